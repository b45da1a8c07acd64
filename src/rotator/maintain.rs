//! `maintain`: everything that is due now.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::records::keys::SecretKey;
use crate::rotator::Done;
use crate::rotator::calls::Caller;
use crate::store::background::Background;
use crate::store::maintenance::MaintenanceReport;
use crate::store::{Builder, SecretStore, SecretsManager};

impl SecretStore {
    /// Does what is due now, and says what it did and when to come back.
    ///
    /// * Secrets whose recovery window is over are purged. They cannot be reached from the moment the window ends,
    ///   whether this has run or not.
    /// * Of secrets with more than 100 versions, unlabelled versions older than 24 hours are removed, oldest first. This
    ///   also happens whenever a version is added.
    /// * Secrets whose rotation is due are rotated, in the order in which they are due and as many at a time as
    ///   [`Builder::rotation_workers`](crate::Builder::rotation_workers) says. This returns when each of them was tried once.
    ///
    /// Other callers go on working meanwhile. A call that is interrupted has done part of the work, and the next one
    /// goes on. Two calls at a time share the work; no secret is rotated by both.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted),
    /// [`ErrorKind::UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat): a record that is due cannot be read. It is left
    /// as it is, and everything else that was due has been done. [`ErrorKind::Storage`](crate::ErrorKind::Storage),
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed). A rotation that
    /// fails is no error: it is counted, noted with the secret, told to observers, and made again later.
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let report = store.maintain()?;
    /// assert_eq!((report.purged_secrets, report.next_due_at), (0, None));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn maintain(&self) -> Result<MaintenanceReport> {
        self.default_secrets_manager().maintain_store()
    }
}

impl Builder {
    /// Has a thread of the store's own call [`SecretStore::maintain`], when something is due and at least every `interval`. It
    /// begins when the store is opened, and ends when the store is closed, or the last handle is dropped. Default: no thread,
    /// and `maintain` is called by whoever has the time.
    ///
    /// `report` is told what came of it every time, on that thread.
    ///
    /// ```
    /// use std::time::Duration;
    /// use strongroom::{SecretStore, StaticKey};
    ///
    /// let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
    /// let builder = builder.background_maintenance(Duration::from_secs(60), |report| {
    ///     if let Err(error) = report {
    ///         eprintln!("maintenance: {error}");
    ///     }
    /// });
    /// let store = builder.open()?;
    /// store.close()?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn background_maintenance(
        self,
        interval: Duration,
        report: impl Fn(&Result<MaintenanceReport>) + Send + Sync + 'static,
    ) -> Self {
        self.background(Background::new(interval, SecretsManager::maintain_store, report))
    }
}

impl SecretsManager {
    /// See [`SecretStore::maintain`].
    fn maintain_store(&self) -> Result<MaintenanceReport> {
        let settings = self.settings().rotation.clone();
        let mut callers: Vec<Caller> = Vec::new();
        self.maintain_records(|keys, report| {
            let workers = settings.workers.min(keys.len());
            while callers.len() < workers {
                callers.push(Caller::new(settings.timeout));
            }
            let round = Round { store: self, keys: &keys, next: AtomicUsize::new(0), state: Mutex::default() };
            match callers.get_mut(..workers).unwrap_or_default() {
                [] => {}
                [caller] => round.work(caller),
                [own, others @ ..] => thread::scope(|scope| {
                    for caller in others {
                        // Fewer at a time where the system has no more threads to give.
                        let _ = thread::Builder::new().spawn_scoped(scope, || round.work(caller));
                    }
                    round.work(own);
                }),
            }
            round.finish(report)
        })
    }
}

/// Secrets that are rotated by some workers.
struct Round<'a> {
    store: &'a SecretsManager,
    keys: &'a [SecretKey],
    next: AtomicUsize,
    state: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    rotated: u64,
    tested: u64,
    failed: u64,
    error: Option<Error>,
}

impl Round<'_> {
    fn work(&self, caller: &mut Caller) {
        while let Some(key) = self.keys.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let done = self.store.rotate(key, caller);
            let mut counts = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match done {
                Ok(Done::Nothing) => {}
                Ok(Done::Rotated) => counts.rotated += 1,
                Ok(Done::Tested) => counts.tested += 1,
                Ok(Done::Failed) => counts.failed += 1,
                // One secret does not keep the others from being rotated.
                Err(error) => _ = counts.error.get_or_insert(error),
            }
        }
    }

    fn finish(self, report: &mut MaintenanceReport) -> Result<()> {
        let counts = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.rotated_secrets += counts.rotated;
        report.tested_rotations += counts.tested;
        report.failed_rotations += counts.failed;
        counts.error.map_or(Ok(()), Err)
    }
}
