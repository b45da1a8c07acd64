//! Sweeps: reading every record once, consistently, while others go on writing.
//!
//! Records are read some at a time, in the order of their keys, each time between two commits. A commit that changes a
//! record which the sweep has passed already is told to the sweep; one that changes a record still ahead is not, because
//! the sweep will see it. So what was read, with what was told, is at every step exactly what the passed part of the
//! store holds, and after the last step it is the whole store at one moment. Writers wait for one step at most.
//!
//! No sweep is made while records move to another generation of the root key: whoever begins one sees to that.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::envelope::root::Roots;
use crate::error::{Error, Result};
use crate::records::Records;
use crate::records::codec::Head;
use crate::records::keys::Family;
use crate::records::manifest::{Effect, SetHash, Tally};
use crate::storage::{Backend, BackendError, KEY_BYTES_MAX, Stored};

/// Records that are read between two commits.
const STEP_RECORDS: usize = 128;

/// After every key of what is kept for standbys, which is not counted, and may be most of what there is.
const AFTER_KEPT: [u8; 1 + KEY_BYTES_MAX] = {
    let mut key = [u8::MAX; 1 + KEY_BYTES_MAX];
    key[0] = Family::Change as u8;
    key
};

/// A change to a record that the sweep has passed.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) effect: Effect,
}

#[derive(Debug, Default)]
struct Passed {
    /// The last key that was read.
    last: Option<Vec<u8>>,
    told: Vec<Told>,
    /// Whether the sweep wants the values of changed records.
    wants_values: bool,
}

/// Sweeps that are under way.
#[derive(Debug, Default)]
pub(super) struct Sweeps(Mutex<Vec<Weak<Mutex<Passed>>>>);

impl Sweeps {
    fn begin(&self, wants_values: bool) -> Arc<Mutex<Passed>> {
        let passed = Arc::new(Mutex::new(Passed { wants_values, ..Passed::default() }));
        let mut sweeps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sweeps.retain(|sweep| sweep.strong_count() > 0);
        sweeps.push(Arc::downgrade(&passed));
        drop(sweeps);
        passed
    }

    /// Tells of changes that were just committed.
    pub(super) fn tell<'a>(&self, changes: impl Iterator<Item = ((&'a [u8], Option<&'a [u8]>), &'a Effect)>) {
        let mut sweeps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeps.is_empty() {
            return;
        }
        sweeps.retain(|sweep| sweep.strong_count() > 0);
        let sweeps: Vec<_> = sweeps.iter().filter_map(Weak::upgrade).collect();
        for ((key, value), effect) in changes {
            for sweep in &sweeps {
                let mut passed = sweep.lock().unwrap_or_else(PoisonError::into_inner);
                if passed.last.as_deref().is_some_and(|last| key <= last) {
                    let value = value.filter(|_| passed.wants_values).map(<[u8]>::to_vec);
                    passed.told.push(Told { key: key.to_vec(), value, effect: *effect });
                }
            }
        }
    }
}

/// One sweep.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    records: &'a Records,
    passed: Arc<Mutex<Passed>>,
    tally: Tally,
}

/// What a step of a sweep brought.
#[derive(Debug)]
pub(crate) struct Step {
    /// Changes to records of earlier steps, in order.
    pub(crate) told: Vec<Told>,
    /// Records that come next, in order, without the head and the header.
    pub(crate) found: Vec<(Vec<u8>, Stored)>,
    /// The head, as it is stored, if this was the last step: everything together is the store at that commit.
    pub(crate) end: Option<(Head, Vec<u8>)>,
}

impl Sweep<'_> {
    /// Reads on.
    pub(crate) fn step(&mut self) -> Result<Step> {
        let records = self.records;
        records.usable()?;
        let step = records.while_nobody_commits(|| self.step_between_commits())?;
        step.told.iter().for_each(|told| self.tally.apply(&told.effect));
        let roots = records.roots();
        for (key, value) in &step.found {
            self.tally.add(SetHash::of_record(&roots, key, value.as_ref()));
        }
        if let Some((head, _)) = &step.end {
            let flag =
                if disagreement(head, self.tally).is_none() { &records.is_counted } else { &records.is_disowned };
            flag.store(true, Ordering::Release);
        }
        Ok(step)
    }

    fn step_between_commits(&self) -> Result<Step> {
        let records = self.records;
        // Another commit may have failed while this waited.
        records.usable()?;
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| records.failed_read(error);
        let (mut found, last) = scan_counted(&*records.backend, passed.last.as_deref()).map_err(failed)?;
        let is_last = last.is_none();
        if let Some(last) = last.or_else(|| found.last().map(|(key, _)| key.clone())) {
            passed.last = Some(last);
        }
        found.retain(|(key, _)| !is_outside(key));
        let told = std::mem::take(&mut passed.told);
        let end = if is_last {
            let stored = records.backend.get(&[Family::Head as u8]).map_err(failed)?;
            let stored = stored.ok_or_else(|| Error::corrupted("the head record is gone"))?;
            Some((records.committer.head(), stored.as_ref().to_vec()))
        } else {
            None
        };
        Ok(Step { told, found, end })
    }

    /// What has been read so far, with everything that was told.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

type Found = Vec<(Vec<u8>, Stored)>;

/// Some records after the one given, without reading what is kept for standbys; and where to go on, unless these are the last.
fn scan_counted(
    backend: &dyn Backend,
    after: Option<&[u8]>,
) -> std::result::Result<(Found, Option<Vec<u8>>), BackendError> {
    let is_kept = |(key, _): &(Vec<u8>, Stored)| key.first() == Some(&(Family::Change as u8));
    if after.is_none() && backend.scan(&[], None, 1)?.first().is_some_and(is_kept) {
        return Ok((Vec::new(), Some(AFTER_KEPT.to_vec())));
    }
    let mut found = backend.scan(&[], after, STEP_RECORDS)?;
    if let Some(first_kept) = found.iter().position(is_kept) {
        found.truncate(first_kept);
        return Ok((found, Some(AFTER_KEPT.to_vec())));
    }
    let last = found.last().filter(|_| found.len() >= STEP_RECORDS).map(|(key, _)| key.clone());
    Ok((found, last))
}

/// What a backend holds to which nobody writes.
pub(crate) fn tally_of(backend: &dyn Backend, roots: &Roots) -> std::result::Result<Tally, BackendError> {
    let mut tally = Tally::default();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let (found, next) = scan_counted(backend, last.as_deref())?;
        for (key, value) in found.iter().filter(|(key, _)| !is_outside(key)) {
            tally.add(SetHash::of_record(roots, key, value.as_ref()));
        }
        if next.is_none() {
            return Ok(tally);
        }
        last = next;
    }
}

/// Whether a record is not among those that are counted.
pub(crate) fn is_outside(key: &[u8]) -> bool {
    key == [Family::Head as u8] || key == [Family::Header as u8] || key.first() == Some(&(Family::Change as u8))
}

impl Records {
    /// Begins to read every record.
    pub(crate) fn sweep(&self, wants_values: bool) -> Sweep<'_> {
        Sweep { records: self, passed: self.committer.sweeps.begin(wants_values), tally: Tally::default() }
    }

    /// What the record under a key counts as.
    pub(super) fn element(&self, roots: &Roots, key: &[u8]) -> Result<Option<SetHash>> {
        Ok(self.read(key)?.map(|found| SetHash::of_record(roots, key, found.stored.as_ref())))
    }

    /// Counts every record and compares with the head.
    pub(super) fn check_tally(&self) -> Result<()> {
        let mut sweep = self.sweep(false);
        loop {
            if let Step { end: Some((head, _)), .. } = sweep.step()? {
                return match disagreement(&head, sweep.tally()) {
                    None => Ok(()),
                    Some(what) => Err(Error::corrupted(format!(
                        "{what}: restore a backup, or salvage what is left; `verify` tells more"
                    ))),
                };
            }
        }
    }
}

/// How the records differ from what the head says of them.
pub(crate) fn disagreement(head: &Head, tally: Tally) -> Option<String> {
    let Tally { records, set } = tally;
    if records != head.records {
        return Some(format!("the store holds {records} records where {} were acknowledged", head.records));
    }
    (set != head.set).then(|| {
        format!("the {records} records of the store are not those that were acknowledged: some are older, or exchanged")
    })
}
