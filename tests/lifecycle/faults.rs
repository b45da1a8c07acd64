//! Engines that fail in the middle of an operation on keys, and crashes between any two of its commits.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use strongroom::testing::{FaultyBackend, ManualClock, RecordingBackend};
use strongroom::{
    Backend, CheckRecords, DeleteSecretRequest, Durability, ErrorKind, LocalKeyring, MemoryBackend, SecretStore,
};

use crate::keys::{new_key, rotate_all};
use crate::operations::{ALL, Cast, Operation};
use crate::stores::{NOW, assert_clean, copied, everything, fill, manager, name_of, on, seen};

/// A store on which every operation has something to do, closed, with its keys.
pub(crate) struct Prepared {
    pub(crate) memory: MemoryBackend,
    pub(crate) keyring: LocalKeyring,
    pub(crate) cast: Cast,
    pub(crate) clock: ManualClock,
    /// What its user sees.
    pub(crate) seen: BTreeMap<String, String>,
}

/// So many secrets with values, and so many without: enough for several batches.
pub(crate) fn prepared(with_values: usize, without: usize) -> Prepared {
    let keyring = LocalKeyring::in_memory();
    let [own, newcomer, leaver] = [(); 3].map(|()| new_key(&keyring));
    let clock = ManualClock::at_millis(NOW);
    let memory = MemoryBackend::new();
    let store = on(memory.clone(), keyring.clone(), &clock).open().unwrap();
    fill(&store, with_values + without..with_values + without + 1, 1, |_| None);
    let expired = name_of(with_values + without);
    let delete = DeleteSecretRequest::new(expired).recovery_window_in_days(7);
    manager(&store, with_values + without).delete_secret(delete).unwrap();
    clock.advance(TimeDelta::days(8));
    store.add_recipient(&leaver, &mut |_| {}).unwrap();
    fill(&store, 0..with_values, 2, |secret| (secret % 3 == 1).then(|| own.clone()));
    fill(&store, with_values..with_values + without, 0, |_| None);
    let scheduled = DeleteSecretRequest::new(name_of(2)).recovery_window_in_days(30);
    manager(&store, 2).delete_secret(scheduled).unwrap();
    rotate_all(&keyring);
    let seen = seen(&store);
    store.close().unwrap();
    Prepared { memory, keyring, cast: Cast { newcomer, leaver }, clock, seen }
}

impl Prepared {
    pub(crate) fn open(&self, backend: impl Backend + 'static) -> SecretStore {
        let builder = on(backend, self.keyring.clone(), &self.clock).check_records(CheckRecords::Always);
        builder.open().unwrap_or_else(|error| panic!("the store does not open: {error:?}"))
    }

    /// What was left opens, is whole, and the operation can be brought to its end.
    pub(crate) fn check_left(&self, left: &MemoryBackend, operation: Operation, what: &str) {
        let store = self.open(left.clone());
        assert_clean(&store);
        assert!(seen(&store) == self.seen, "{what}: something else is seen");
        operation.run(&store, &self.cast, &mut |_| {}).unwrap_or_else(|error| panic!("{what}, again: {error:?}"));
        self.check_done(store, left, operation, what);
    }

    pub(crate) fn check_done(&self, store: SecretStore, left: &MemoryBackend, operation: Operation, what: &str) {
        assert_eq!(operation.unfinished(&store, &self.keyring, &self.cast), None, "{what}");
        store.close().unwrap();
        let store = self.open(left.clone());
        assert_clean(&store);
        assert!(seen(&store) == self.seen, "{what}: something else is seen in the end");
        let left = left.scan(b"", None, usize::MAX).unwrap();
        assert!(left.iter().all(|(key, _)| key.first() != Some(&b'j')), "{what}: a job is left");
        store.close().unwrap();
    }
}

/// Tells a backend which of its next commits fails.
type Plan = fn(&FaultyBackend, u64);

#[test]
fn whichever_commit_of_an_operation_fails_it_says_so_and_is_gone_on_with() {
    let prepared = prepared(9, 70);
    let plans: [(&str, Plan); 3] = [
        ("a failed commit", FaultyBackend::fail_commit),
        ("a failed flush", FaultyBackend::fail_flush),
        ("a panic", FaultyBackend::panic_in_commit),
    ];
    let mut faults = 0;
    for operation in ALL {
        for (fault, plan) in plans {
            for number in 0.. {
                let what = format!("{operation:?}, {fault} in commit {number}");
                let memory = copied(&prepared.memory);
                let faulty = FaultyBackend::new(memory.clone());
                let store = prepared.open(faulty.clone());
                plan(&faulty, number);
                let Err(error) = operation.run(&store, &prepared.cast, &mut |_| {}) else {
                    assert!(number >= 3, "{what}: {number} commits, which is hardly all");
                    break;
                };
                assert_eq!(*error.kind(), ErrorKind::Storage, "{what}: {error:?}");
                let stats = store.stats().unwrap_err();
                assert_eq!(*stats.kind(), ErrorKind::Poisoned, "{what}: {stats:?}");
                let again = operation.run(&store, &prepared.cast, &mut |_| {}).unwrap_err();
                assert_eq!(*again.kind(), ErrorKind::Poisoned, "{what}: {again:?}");
                assert_eq!(*store.close().unwrap_err().kind(), ErrorKind::Poisoned, "{what}: closing");
                prepared.check_left(&memory, operation, &what);
                faults += 1;
            }
        }
    }
    eprintln!("commits of operations on keys that failed: {faults}, 0 values lost, 0 operations stuck");
}

#[test]
fn a_crash_between_any_two_commits_of_an_operation_leaves_a_store_that_goes_on() {
    let prepared = prepared(9, 70);
    let mut images = 0;
    for operation in ALL {
        let recording = RecordingBackend::new();
        recording.commit(&everything(&prepared.memory), Durability::Immediate).unwrap();
        let first = recording.commits();
        let store = prepared.open(recording.clone());
        operation.run(&store, &prepared.cast, &mut |_| {}).unwrap();
        store.close().unwrap();
        for commits in first..=recording.commits() {
            let what = format!("{operation:?}, the first {} commits of it", commits - first);
            prepared.check_left(&recording.image(commits).unwrap(), operation, &what);
            images += 1;
        }
    }
    eprintln!("crashes in operations on keys: {images} images opened, 0 values lost, 0 operations stuck");
    assert!(images > ALL.len() * 4);
}
