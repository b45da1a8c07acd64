//! `maintain`: everything that is due now.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::model::secret::Secret;
use crate::records::keys::SecretKey;
use crate::records::{Loaded, Outcome};
use crate::rotator::Done;
use crate::rotator::calls::Caller;
use crate::store::background::Background;
use crate::store::maintenance::{MaintenanceReport, Upkeep};
use crate::store::{Builder, SecretStore, SecretsManager};

impl SecretStore {
    /// Does what is due now, and says what it did and when to come back.
    ///
    /// * Secrets whose recovery window is over are purged. They cannot be reached from the moment the window ends,
    ///   whether this has run or not.
    /// * Of secrets with more than 100 versions, unlabelled versions older than 24 hours are removed, oldest first. This
    ///   also happens whenever a version is added.
    /// * Replicas that are behind, because their turn failed or replication is [`Replication::Deferred`](crate::Replication),
    ///   are brought up to date.
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
        self.maintain_records(&mut Attendant { store: self, callers: Vec::new() })
    }
}

/// Does what is due with the means of a handle.
struct Attendant<'a> {
    store: &'a SecretsManager,
    callers: Vec<Caller>,
}

impl Upkeep for Attendant<'_> {
    fn commit(&self, old: &Loaded, new: &Secret) -> Result<Outcome> {
        self.store.commit_following(old, new, self.store.settings().replication.mode)
    }

    fn replicate(&self, key: &SecretKey, report: &mut MaintenanceReport) -> Result<()> {
        match self.store.replicate(key) {
            Ok(Some(true)) => report.replicated_secrets += 1,
            Ok(Some(false)) => report.failed_replications += 1,
            Ok(None) => {}
            // One secret does not keep the others from being attended to.
            Err(error) if matches!(error.kind(), ErrorKind::LimitExceeded | ErrorKind::Contended) => {
                report.failed_replications += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn rotate(&mut self, keys: Vec<SecretKey>, report: &mut MaintenanceReport) -> Result<()> {
        let Self { store, callers } = self;
        let settings = &store.settings().rotation;
        let workers = settings.workers.min(keys.len());
        while callers.len() < workers {
            callers.push(Caller::new(settings.timeout));
        }
        let round = Round { store, keys: &keys, next: AtomicUsize::new(0), state: Mutex::default() };
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
