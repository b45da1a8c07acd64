//! The open store of a server, which a reset replaces by an empty one.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use strongroom::SecretStore;

use crate::arguments::Durability;
use crate::failure::{Code, Failure};
use crate::place::Keys;
use crate::serve::clock::ServerClock;
use crate::serve::random_id;

/// Where the store stands. Calls share it; a reset has it alone.
#[derive(Debug)]
pub(super) struct Shelf {
    keys: Keys,
    clock: ServerClock,
    durability: strongroom::Durability,
    /// `None` once it is closed, or if nothing could be opened after a reset; another reset may help then.
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
        let builder = self.keys.builder().clock(self.clock.clone()).durability(self.durability);
        // As the service does with requests that were not made by an SDK.
        self.keys.open(builder.require_client_request_token(true))
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

    /// Replaces the store by an empty one with the same keys. If that fails, the store that is there goes on.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = store.take() {
            // What an earlier failure has poisoned is given up with the rest.
            let _ = open.close();
        }
        let cleared = clear(self.keys.directory());
        let opened = self.open_store();
        if let Err(failure) = &opened {
            tracing::error!(%failure, "the store cannot be opened after a reset");
        }
        *store = Some(opened?);
        Ok(cleared?)
    }

    /// Closes the store. Calls from now on fail.
    pub(super) fn close(&self) -> Result<(), Failure> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        store.map_or(Ok(()), |store| Ok(store.close()?))
    }
}

/// Removes a store's directory, or what is in it where the directory cannot be moved, because it is mounted for example.
///
/// The directory is moved aside in one step, so that a crash leaves the old store or none, never half of one.
fn clear(directory: &Path) -> io::Result<()> {
    let mut aside = directory.as_os_str().to_owned();
    aside.push(format!(".reset-{}", random_id()));
    match fs::rename(directory, &aside) {
        Ok(()) => fs::remove_dir_all(&aside),
        Err(_) => {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        }
    }
}

fn closed() -> Failure {
    Failure::new(Code::Other, "the store is closed")
}
