//! Doing what is due: purging what is past its recovery window, removing old versions, finding what rotates.

use std::collections::BTreeSet;

use crate::error::{ErrorKind, Result};
use crate::model::secret::Secret;
use crate::observe::rotation::{RotationEvent, RotationEventKind};
use crate::records::keys::SecretKey;
use crate::records::{Due, Outcome, SecretChange};
use crate::store::Inner;
use crate::time::Timestamp;

/// What [`SecretStore::maintain`](crate::SecretStore::maintain) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// Secrets that were past their recovery window and are gone.
    pub purged_secrets: u64,
    /// Unlabelled versions that were removed.
    pub removed_versions: u64,
    /// Secrets that were rotated.
    pub rotated_secrets: u64,
    /// Secrets whose rotation function was tried with a copy of the current value, and passed.
    pub tested_rotations: u64,
    /// Attempts to rotate, or to try a function, that failed. They are made again when the retry policy says.
    pub failed_rotations: u64,
    /// When there is next something to do. `None`: nothing is scheduled.
    pub next_due_at: Option<Timestamp>,
}

impl Inner {
    /// Purges secrets and removes versions that are due. `rotate` is called for the secrets whose rotation is due, some at a
    /// time, in the order in which they are due.
    pub(crate) fn maintain(
        &self,
        mut rotate: impl FnMut(Vec<SecretKey>, &mut MaintenanceReport) -> Result<()>,
    ) -> Result<MaintenanceReport> {
        let now = self.now();
        let mut report = MaintenanceReport::default();
        let mut damage = None;
        // What is due again after it was tried waits for the next call.
        let mut tried = BTreeSet::new();
        self.for_each_due(|entries| {
            let mut to_rotate = Vec::new();
            for due in entries.iter().take_while(|due| due.at <= now) {
                let Ok(key) = self.records.due_secret(due) else { continue };
                match self.attend(&key, now, &mut report) {
                    Ok(true) if tried.insert(key.clone()) => to_rotate.push(key),
                    // One damaged record does not keep the others from being attended to.
                    Err(error) if is_damage(error.kind()) => _ = damage.get_or_insert(error),
                    done => _ = done?,
                }
            }
            match rotate(to_rotate, &mut report) {
                Err(error) if is_damage(error.kind()) => _ = damage.get_or_insert(error),
                done => done?,
            }
            Ok(entries.iter().all(|due| due.at <= now))
        })?;
        // Looked up afterwards: what was just done may have brought something new, earlier than the rest.
        self.for_each_due(|entries| {
            for due in entries {
                match self.records.due_secret(&due) {
                    Ok(_) if report.next_due_at.is_some() => {}
                    Ok(key) if due.at > now || !self.is_being_rotated(&key)? => report.next_due_at = Some(due.at),
                    Ok(_) => {}
                    Err(error) => _ = damage.get_or_insert(error),
                }
            }
            Ok(report.next_due_at.is_none())
        })?;
        damage.map_or(Ok(report), Err)
    }

    /// Whether the function of a secret is being called: it stays due until the call returns.
    fn is_being_rotated(&self, key: &SecretKey) -> Result<bool> {
        match self.records.load_by_key(key) {
            Ok(loaded) => Ok(loaded.is_some_and(|loaded| self.rotating.has(&loaded.secret.uid))),
            // It was told before, and does not become due by waiting.
            Err(error) if is_damage(error.kind()) => Ok(true),
            Err(error) => Err(error),
        }
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

    /// Tells observers that a rotation ended with its secret.
    fn tell_of_the_end(&self, secret: &Secret) {
        let Some(job) = secret.job() else { return };
        self.observers.rotation(&RotationEvent {
            kind: RotationEventKind::RotationAbandoned,
            tenant: &secret.tenant,
            secret_arn: &secret.arn,
            version_id: job.token.as_str(),
            attempt: Some(job.attempts),
            reason: None,
            at: self.now(),
        });
    }

    /// Does what is due for one secret, apart from its rotation. Whether that is due too.
    fn attend(&self, key: &SecretKey, now: Timestamp, report: &mut MaintenanceReport) -> Result<bool> {
        loop {
            let Some(old) = self.records.load_by_key(key)? else { return Ok(false) };
            let secret = &old.secret;
            let is_expired = secret.is_expired(now);
            let mut kept = secret.clone();
            let removed = kept.retire_versions(now).len();
            if !is_expired && removed == 0 {
                // It is for its rotation, or somebody else did it after the entry was read.
                return Ok(secret.rotation_due().is_some_and(|due| due <= now));
            }
            let new = (!is_expired).then_some(&kept);
            let change = SecretChange { key, old: Some(&old), new, sealed: &[], quota: None };
            match self.records.commit(&change)? {
                Outcome::Stale => {}
                Outcome::Done | Outcome::OverQuota if is_expired => {
                    report.purged_secrets += 1;
                    self.tell_of_the_end(secret);
                    return Ok(false);
                }
                Outcome::Done | Outcome::OverQuota => {
                    report.removed_versions += removed as u64;
                    return Ok(kept.rotation_due().is_some_and(|due| due <= now));
                }
            }
        }
    }
}

fn is_damage(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. })
}
