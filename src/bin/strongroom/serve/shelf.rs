//! The open store of a server, which a reset replaces by an empty one.

use std::sync::{PoisonError, RwLock};

use strongroom::{OpenMode, SecretStore};

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
        let store = shelf.open_store(OpenMode::OpenOrCreate)?;
        *shelf.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
        Ok(shelf)
    }

    fn open_store(&self, mode: OpenMode) -> Result<SecretStore, Failure> {
        let builder = self.keys.builder().clock(self.clock.clone()).durability(self.durability);
        // As the service does with requests that were not made by an SDK.
        self.keys.open(builder.require_client_request_token(true).mode(mode))
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
    /// If that fails before the old store is gone, it is put back; if it fails after that, another reset can help.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = store.take() {
            // What an earlier failure has poisoned is given up with the rest.
            let _ = open.close();
        }
        match self.open_store(OpenMode::Replace) {
            Ok(new) => {
                *store = Some(new);
                Ok(())
            }
            Err(failure) => {
                *store = self.open_store(OpenMode::OpenOrCreate).ok();
                Err(failure)
            }
        }
    }

    /// Closes the store. Calls from now on fail.
    pub(super) fn close(&self) -> Result<(), Failure> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        store.map_or(Ok(()), |store| Ok(store.close()?))
    }
}

fn closed() -> Failure {
    Failure::new(Code::Other, "the store is closed")
}
