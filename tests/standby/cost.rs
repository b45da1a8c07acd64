//! What keeping changes costs whoever writes: nothing but bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom::testing::{ManualClock, RecordingBackend};
use strongroom::{Backend, BackendError, BackendStats, Batch, Durability, SecretStore, StaticKey, Stored};

use crate::pair::Journal;

/// Counts what makes something durable.
#[derive(Debug, Clone, Default)]
struct Counting {
    inner: RecordingBackend,
    flushes: Arc<AtomicU64>,
}

impl Backend for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.flushes.fetch_add(u64::from(durability == Durability::Immediate), Ordering::SeqCst);
        self.inner.commit(batch, durability)
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.inner.flush()
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.inner.close()
    }
}

#[test]
fn keeping_changes_costs_no_flush_and_no_commit_more() {
    let costs = |keeps: bool| {
        let backend = Counting::default();
        let builder = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]));
        let store = builder.clock(ManualClock::at_millis(1_700_000_000_000)).open().unwrap();
        let since = keeps.then(|| store.keep_changes(20).unwrap());
        let mut journal = Journal::new(40, &store);
        let (flushes, commits) = (backend.flushes.load(Ordering::SeqCst), backend.inner.commits());
        journal.run(&store, 100);
        let cost = (backend.flushes.load(Ordering::SeqCst) - flushes, backend.inner.commits() - commits);
        if since.is_some() {
            // Nor does whoever reads what is durable already.
            let newest = store.keep_changes(20).unwrap();
            let before = backend.flushes.load(Ordering::SeqCst);
            assert!(store.changes_since(&newest, 1 << 20).unwrap().is_empty());
            assert_eq!(backend.flushes.load(Ordering::SeqCst), before);
        }
        cost
    };
    let (without, with) = (costs(false), costs(true));
    assert_eq!(with, without);
    assert!(with.0 > 90, "{with:?}");
}

/// A commit is only given to a standby when a power cut cannot take it back from the store.
#[test]
fn nothing_is_given_that_the_store_could_lose() {
    let backend = RecordingBackend::new();
    let builder = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]));
    let store = builder.durability(Durability::Eventual).open().unwrap();
    let mut position = store.keep_changes(100).unwrap();
    for number in 0..20 {
        crate::pair::create(&store, &format!("secret-{number}"), "value");
        let is_durable_before = backend.durable_commits() == backend.commits();
        assert!(!is_durable_before);
        let changes = store.changes_since(&position, 1 << 20).unwrap();
        assert_eq!(changes.to().epoch(), position.epoch() + 1);
        assert_eq!(backend.durable_commits(), backend.commits());
        position = changes.to();
    }
}
