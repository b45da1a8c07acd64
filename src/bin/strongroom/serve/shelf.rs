//! The open store of a server, which a reset replaces by an empty one.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use strongroom::SecretStore;

use crate::arguments::Durability;
use crate::failure::{Code, Failure};
use crate::place::Keys;
use crate::serve::clock::ServerClock;

/// Where the store stands. Calls share it; a reset has it alone.
#[derive(Debug)]
pub(super) struct Shelf {
    keys: Keys,
    clock: ServerClock,
    durability: strongroom::Durability,
    /// `None` once it is closed, or if a reset could not put a new one there.
    store: RwLock<Option<SecretStore>>,
}

impl Shelf {
    pub(super) fn open(keys: Keys, clock: ServerClock, durability: Durability) -> Result<Self, Failure> {
        let durability = match durability {
            Durability::Immediate => strongroom::Durability::Immediate,
            Durability::Eventual => strongroom::Durability::Eventual,
        };
        let shelf = Self { keys, clock, durability, store: RwLock::new(None) };
        let store = shelf.open_store()?;
        *shelf.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
        Ok(shelf)
    }

    fn open_store(&self) -> Result<SecretStore, Failure> {
        self.keys.open(self.keys.builder().clock(self.clock.clone()).durability(self.durability))
    }

    /// Makes one call. A reset waits until it is done.
    pub(super) fn with<T>(
        &self,
        call: impl FnOnce(&SecretStore) -> Result<T, strongroom::Error>,
    ) -> Result<T, Failure> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or_else(closed)?;
        Ok(call(store)?)
    }

    /// Replaces the store by an empty one with the same keys.
    ///
    /// The old directory is moved aside in one step, so that a crash leaves the old store or none, never half of one.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let open = store.take().ok_or_else(closed)?;
        // What an earlier failure has poisoned is given up with the rest.
        let _ = open.close();
        let directory = self.keys.directory();
        let aside = aside(directory.to_owned());
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => fs::rename(directory, &aside)?,
        }
        *store = Some(self.open_store()?);
        Ok(fs::remove_dir_all(&aside)?)
    }

    /// Closes the store. Calls from now on fail.
    pub(super) fn close(&self) -> Result<(), Failure> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        store.map_or(Ok(()), |store| Ok(store.close()?))
    }
}

fn aside(directory: PathBuf) -> PathBuf {
    let mut name = directory.components().as_path().as_os_str().to_owned();
    name.push(".reset");
    name.into()
}

fn closed() -> Failure {
    Failure::new(Code::Other, "the store is closed")
}
