//! Doing what is due: purging what is past its recovery window, removing old versions.

use crate::error::{Error, ErrorKind, Result};
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
    /// Due entries whose secret cannot be read, because its record or the entry is damaged. They are left as they are.
    pub unreadable_secrets: u64,
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
    /// [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]. Damaged records are counted in the report.
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
        self.for_each_due(|due| {
            let is_due = due.at <= now;
            if is_due {
                match self.attend(due, now, &mut report) {
                    // One damaged record does not keep the others from being attended to.
                    Err(error) if is_damage(error.kind()) => report.unreadable_secrets += 1,
                    done => done?,
                }
            }
            Ok(is_due)
        })?;
        // Looked up afterwards: what was just done may have brought something new, earlier than the rest.
        self.for_each_due(|due| {
            report.next_due_at = (due.at > now).then_some(due.at);
            Ok(report.next_due_at.is_none())
        })?;
        Ok(report)
    }

    /// Visits due entries, the earliest first, as long as the visitor wants more.
    fn for_each_due(&self, mut visit: impl FnMut(&Due) -> Result<bool>) -> Result<()> {
        let mut last: Option<Due> = None;
        loop {
            let entries = self.records.due(last.as_ref())?;
            if entries.is_empty() {
                return Ok(());
            }
            for due in entries {
                if !visit(&due)? {
                    return Ok(());
                }
                last = Some(due);
            }
        }
    }

    /// Does what is due for one secret.
    fn attend(&self, due: &Due, now: Timestamp, report: &mut MaintenanceReport) -> Result<()> {
        let key = match &due.secret {
            Ok(key) => key,
            Err(error) => return Err(Error::new(error.kind().clone(), error.to_string())),
        };
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
