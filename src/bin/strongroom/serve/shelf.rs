//! The open store of a server, which a reset replaces by an empty one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use strongroom::{MaintenanceReport, Observer, OpenMode, Replication, SecretStore};

use crate::arguments::Durability;
use crate::failure::{Code, Failure};
use crate::place::Keys;
use crate::serve::clock::ServerClock;
use crate::serve::functions::Functions;

/// Secrets that are rotated at a time: some wait for the systems that their values open.
const ROTATION_WORKERS: usize = 8;

/// How long a reset waits for rotation functions that are being called.
const RETURN_PATIENCE: Duration = Duration::from_secs(4);

/// How a store is opened, every time.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) keys: Keys,
    pub(super) clock: ServerClock,
    pub(super) durability: Durability,
    pub(super) functions: Functions,
    /// Who is told of every operation, besides the log.
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// Whether `RotateSecret` makes the first attempt itself.
    pub(super) rotates_inline: bool,
    pub(super) replication: Replication,
    /// Regions in which replicas can be besides those that AWS has.
    pub(super) also_regions: Vec<String>,
}

impl Opening {
    fn open(&self, mode: OpenMode) -> Result<SecretStore, Failure> {
        let durability = match self.durability {
            Durability::Immediate => strongroom::Durability::Immediate,
            Durability::Eventual => strongroom::Durability::Eventual,
        };
        let builder = self.keys.builder().clock(self.clock.clone()).durability(durability);
        let builder = self.functions.register(builder).rotation_workers(ROTATION_WORKERS);
        let builder = builder.rotate_inline(self.rotates_inline).replication(self.replication);
        let mut builder = builder.replica_regions(self.also_regions.clone());
        if let Some(observer) = &self.observer {
            builder = builder.observer(Arc::clone(observer));
        }
        // As the service does with requests that were not made by an SDK.
        self.keys.open(builder.require_client_request_token(true).mode(mode))
    }
}

/// Where the store stands. Calls share it; a reset has it alone.
#[derive(Debug)]
pub(super) struct Shelf {
    opening: Opening,
    /// `None` once it is closed, or if nothing could be opened after a reset; another reset may help then.
    store: RwLock<Option<Arc<SecretStore>>>,
    /// Whether somebody works with the store who calls rotation functions, as maintenance does. They call the server, so
    /// that the work must not be in the way of calls; and they may hang, so that nobody waits for ever for it.
    is_lent: Mutex<bool>,
    returned: Condvar,
}

/// The store, as long as somebody works with it who calls rotation functions.
struct Lent<'a> {
    shelf: &'a Shelf,
    store: Option<Arc<SecretStore>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.store = None;
        *self.shelf.is_lent.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.shelf.returned.notify_all();
    }
}

impl Shelf {
    pub(super) fn open(opening: Opening, mode: OpenMode) -> Result<Self, Failure> {
        let store = RwLock::new(Some(Arc::new(opening.open(mode)?)));
        Ok(Self { opening, store, is_lent: Mutex::new(false), returned: Condvar::new() })
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

    /// Does what is due. Calls go on meanwhile.
    pub(super) fn maintain(&self) -> Result<MaintenanceReport, Failure> {
        self.lent(|store| Ok(store.maintain()?))
    }

    /// Does work that calls rotation functions. Calls go on meanwhile.
    pub(super) fn lent<T>(&self, work: impl FnOnce(&SecretStore) -> Result<T, Failure>) -> Result<T, Failure> {
        let lent = self.lend()?;
        work(lent.store.as_ref().ok_or_else(closed)?)
    }

    fn lend(&self) -> Result<Lent<'_>, Failure> {
        let mut is_lent = self.is_lent.lock().unwrap_or_else(PoisonError::into_inner);
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        let store = Some(store.ok_or_else(closed)?);
        *is_lent = true;
        Ok(Lent { shelf: self, store })
    }

    /// Waits until the store is not being maintained. As long as the result is kept, it will not be.
    fn at_home(&self, patience: Duration) -> Option<MutexGuard<'_, bool>> {
        let is_lent = self.is_lent.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.returned.wait_timeout_while(is_lent, patience, |is_lent| *is_lent);
        let (is_lent, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!*is_lent).then_some(is_lent)
    }

    /// Replaces the store by an empty one with the same keys.
    ///
    /// If that fails before the old store is gone, it is put back; if it fails after that, another reset can help.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        self.reset_within(RETURN_PATIENCE)
    }

    fn reset_within(&self, patience: Duration) -> Result<(), Failure> {
        let Some(_at_home) = self.at_home(patience) else {
            return Err(Failure::new(Code::Other, "a rotation function is being called, and has not returned yet"));
        };
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = store.take().and_then(Arc::into_inner) {
            // What an earlier failure has poisoned is given up with the rest.
            let _ = open.close();
        }
        match self.opening.open(OpenMode::Replace) {
            Ok(new) => {
                *store = Some(Arc::new(new));
                Ok(())
            }
            Err(failure) => {
                *store = self.opening.open(OpenMode::OpenOrCreate).ok().map(Arc::new);
                Err(failure)
            }
        }
    }

    /// Closes the store. Calls from now on fail.
    ///
    /// If a rotation function has not returned, everything is made durable, and the process may end: what a server that is
    /// killed leaves behind is more.
    pub(super) fn close(&self) -> Result<(), Failure> {
        let _at_home = self.at_home(Duration::ZERO);
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        match store.map(Arc::try_unwrap) {
            None => Ok(()),
            Some(Ok(store)) => Ok(store.close()?),
            Some(Err(store)) => {
                tracing::warn!("a rotation has not come to an end in time, and is carried on by the next start");
                Ok(store.flush()?)
            }
        }
    }
}

fn closed() -> Failure {
    Failure::new(Code::Other, "the store is closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Key, Place};

    fn shelf(directory: &std::path::Path) -> Shelf {
        let keyring = Some(directory.join("keyring"));
        let key = Key { keyring, key_file: None, passphrase: false, passphrase_fd: None, also_key_file: Vec::new() };
        let (account, region) = ("000000000000".to_owned(), "us-east-1".to_owned());
        let place = Place { dir: directory.join("vault"), key, account, region };
        let keys = Keys::new(&place, |_, _| {}).unwrap();
        let (clock, functions) = (ServerClock::default(), Functions::default());
        let opening = Opening {
            keys,
            clock,
            durability: Durability::Eventual,
            functions,
            observer: None,
            rotates_inline: false,
            replication: Replication::default(),
            also_regions: Vec::new(),
        };
        Shelf::open(opening, OpenMode::OpenOrCreate).unwrap()
    }

    #[test]
    fn a_store_that_is_being_maintained_is_neither_replaced_nor_waited_for_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = shelf(directory.path());
        let lent = shelf.lend().unwrap();
        assert!(shelf.reset_within(Duration::ZERO).unwrap_err().to_string().contains("rotation function"));
        assert!(shelf.with(|store| store.stats()).is_ok(), "calls go on");
        drop(lent);
        shelf.reset_within(Duration::ZERO).unwrap();

        let lent = shelf.lend().unwrap();
        shelf.close().unwrap();
        assert!(shelf.with(|store| store.stats()).is_err() && shelf.maintain().is_err());
        drop(lent);
        assert!(SecretStore::exists(directory.path().join("vault")).unwrap());
    }
}
