//! Doing what is due: purging what is past its recovery window, removing old versions.

use crate::error::{ErrorKind, Result};
use crate::records::keys::SecretKey;
use crate::records::{Due, Outcome, SecretChange};
use crate::store::{Inner, SecretStore};
use crate::time::Timestamp;

/// What [`SecretStore::maintain`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// Secrets that were past their recovery window and are gone.
    pub purged_secrets: u64,
    /// Unlabelled versions that were removed.
    pub removed_versions: u64,
    /// When there is next something to do. `None`: nothing is scheduled.
    pub next_due_at: Option<Timestamp>,
}

impl SecretStore {
    /// Does what is due now, and says what it did and when to come back.
    ///
    /// * Secrets whose recovery window is over are purged. They cannot be reached from the moment the window ends,
    ///   whether this has run or not.
    /// * Of secrets with more than 100 versions, unlabelled versions older than 24 hours are removed, oldest first. This
    ///   also happens whenever a version is added.
    ///
    /// Other callers go on working meanwhile. A call that is interrupted has done part of the work, and the next one
    /// goes on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupted`], [`ErrorKind::UnsupportedFormat`]: a record that is due cannot be read. It is left as it
    /// is, and everything else that was due has been done. [`ErrorKind::Storage`], [`ErrorKind::Poisoned`],
    /// [`ErrorKind::Closed`].
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let report = store.maintain()?;
    /// assert_eq!((report.purged_secrets, report.next_due_at), (0, None));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn maintain(&self) -> Result<MaintenanceReport> {
        self.inner.maintain()
    }
}

impl Inner {
    fn maintain(&self) -> Result<MaintenanceReport> {
        let now = self.now();
        let mut report = MaintenanceReport::default();
        let mut damage = None;
        self.for_each_due(|entries| {
            for due in entries.iter().take_while(|due| due.at <= now) {
                let Ok(key) = &due.secret else { continue };
                match self.attend(key, now, &mut report) {
                    // One damaged record does not keep the others from being attended to.
                    Err(error) if is_damage(error.kind()) => _ = damage.get_or_insert(error),
                    done => done?,
                }
            }
            Ok(entries.iter().all(|due| due.at <= now))
        })?;
        // Looked up afterwards: what was just done may have brought something new, earlier than the rest.
        self.for_each_due(|entries| {
            for due in entries {
                match due.secret {
                    Ok(_) if due.at > now && report.next_due_at.is_none() => report.next_due_at = Some(due.at),
                    Ok(_) => {}
                    Err(error) => _ = damage.get_or_insert(error),
                }
            }
            Ok(report.next_due_at.is_none())
        })?;
        damage.map_or(Ok(report), Err)
    }

    /// Visits due entries, the earliest first, some at a time, as long as the visitor wants more.
    fn for_each_due(&self, mut visit: impl FnMut(Vec<Due>) -> Result<bool>) -> Result<()> {
        let mut last = None;
        loop {
            let entries = self.records.due(last.as_deref())?;
            let Some(due) = entries.last() else { return Ok(()) };
            last = Some(due.entry.clone());
            if !visit(entries)? {
                return Ok(());
            }
        }
    }

    /// Does what is due for one secret.
    fn attend(&self, key: &SecretKey, now: Timestamp, report: &mut MaintenanceReport) -> Result<()> {
        loop {
            let Some(old) = self.records.load_by_key(key)? else { return Ok(()) };
            let secret = &old.secret;
            let is_expired = secret.is_expired(now);
            let mut kept = secret.clone();
            let removed = kept.retire_versions(now).len();
            if !is_expired && removed == 0 {
                // Somebody else did it, or the secret was restored, after the entry was read.
                return Ok(());
            }
            let new = (!is_expired).then_some(&kept);
            let change = SecretChange { key, old: Some(&old), new, sealed: &[], quota: None };
            match self.records.commit(&change)? {
                Outcome::Stale => {}
                Outcome::Done | Outcome::OverQuota if is_expired => {
                    report.purged_secrets += 1;
                    return Ok(());
                }
                Outcome::Done | Outcome::OverQuota => {
                    report.removed_versions += removed as u64;
                    return Ok(());
                }
            }
        }
    }
}

fn is_damage(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. })
}
