//! Doing what is due: purging what is past its recovery window, removing old versions, finding what rotates.

use std::collections::BTreeSet;

use crate::error::{ErrorKind, Result};
use crate::model::secret::Secret;
use crate::observe::rotation::{RotationEvent, RotationEventKind};
use crate::records::keys::SecretKey;
use crate::records::{Due, Loaded, Outcome, SecretChange};
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
    /// Secrets of which every replica whose turn it was has been brought up to date.
    pub replicated_secrets: u64,
    /// Secrets of which a replica could not be brought up to date. Unless somebody has to remove the reason, that is tried again,
    /// each time after a pause twice as long.
    pub failed_replications: u64,
    /// Attempts to rotate, or to try a function, that failed. They are made again when the retry policy says.
    pub failed_rotations: u64,
    /// When there is next something to do. `None`: nothing is scheduled.
    pub next_due_at: Option<Timestamp>,
}

/// What maintenance has done by those who can.
pub(crate) trait Upkeep {
    /// Commits a change, with what follows from it.
    fn commit(&self, old: &Loaded, new: &Secret) -> Result<Outcome>;

    /// Brings replicas of a secret up to date that are due.
    fn replicate(&self, key: &SecretKey, report: &mut MaintenanceReport) -> Result<()>;

    /// Rotates secrets that are due, some at a time, in the order in which they are due.
    fn rotate(&mut self, keys: Vec<SecretKey>, report: &mut MaintenanceReport) -> Result<()>;
}

/// What of a secret is due besides what was done.
struct Left {
    rotation: bool,
    replication: bool,
}

impl Left {
    fn of(secret: &Secret, now: Timestamp) -> Self {
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        Self { rotation: is_due(secret.rotation_due()), replication: is_due(secret.replication_due()) }
    }
}

impl Inner {
    /// Purges secrets and removes versions that are due, and has replicas and rotations attended to.
    pub(crate) fn maintain(&self, upkeep: &mut impl Upkeep) -> Result<MaintenanceReport> {
        let now = self.now();
        let mut report = MaintenanceReport::default();
        if self.records.is_standby() {
            // What is due there is done by the store that it follows.
            self.records.usable()?;
            return Ok(report);
        }
        let mut damage = None;
        // What is due again after it was tried waits for the next call.
        let mut tried = BTreeSet::new();
        self.for_each_due(|entries| {
            let mut to_rotate = Vec::new();
            for due in entries.iter().take_while(|due| due.at <= now) {
                let Ok(key) = self.records.due_secret(due) else { continue };
                let attended = self.attend(&key, now, upkeep, &mut report).and_then(|left| {
                    let Some(left) = left.filter(|_| tried.insert(key.clone())) else { return Ok(false) };
                    if left.replication {
                        upkeep.replicate(&key, &mut report)?;
                    }
                    Ok(left.rotation)
                });
                match attended {
                    Ok(true) => to_rotate.push(key),
                    // One damaged record does not keep the others from being attended to.
                    Err(error) if is_damage(error.kind()) => _ = damage.get_or_insert(error),
                    done => _ = done?,
                }
            }
            match upkeep.rotate(to_rotate, &mut report) {
                Err(error) if is_damage(error.kind()) => _ = damage.get_or_insert(error),
                done => done?,
            }
            Ok(entries.iter().all(|due| due.at <= now))
        })?;
        // Looked up afterwards: what was just done may have brought something new, earlier than the rest.
        self.for_each_due(|entries| {
            for due in entries {
                // What comes after the next one is opened too, so that damage is told before it is due.
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

    /// Purges a secret that is past its recovery window, or removes its old versions. `None`: it is gone.
    fn attend(
        &self,
        key: &SecretKey,
        now: Timestamp,
        upkeep: &impl Upkeep,
        report: &mut MaintenanceReport,
    ) -> Result<Option<Left>> {
        loop {
            let Some(old) = self.records.load_by_key(key)? else { return Ok(None) };
            let secret = &old.secret;
            let is_expired = secret.is_expired(now);
            let mut kept = Secret::clone(secret);
            // A replica has the versions that its primary has.
            let removed = if secret.is_replica() { 0 } else { kept.retire_versions(now).len() };
            if is_expired {
                let change = SecretChange { key, old: Some(&old), new: None, sealed: &[], quota: None };
                if self.records.commit(&change)? != Outcome::Stale {
                    report.purged_secrets += 1;
                    self.tell_of_the_end(secret);
                    return Ok(None);
                }
            } else if removed == 0 {
                // It is for its rotation or its replicas, or somebody else did it after the entry was read.
                return Ok(Some(Left::of(secret, now)));
            } else if upkeep.commit(&old, &kept)? != Outcome::Stale {
                report.removed_versions += removed as u64;
                return Ok(Some(Left::of(&kept, now)));
            }
        }
    }
}

fn is_damage(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. })
}
