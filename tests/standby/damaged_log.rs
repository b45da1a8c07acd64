//! What is kept of commits can be lost or damaged: that costs standbys, and no secret.

use strongroom::testing::ManualClock;
use strongroom::{
    Backend, BackendError, BackendStats, Batch, Durability, MemoryBackend, ReplicationFault, SecretStore, StaticKey,
    Stored,
};

use crate::history::Chance;
use crate::pair::{Journal, assert_clean, epoch, fault, observe};

/// A backend in memory that stays when the store is closed.
#[derive(Debug, Clone, Default)]
struct Kept(std::sync::Arc<MemoryBackend>);

impl Backend for Kept {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.0.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.0.commit(batch, durability)
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.0.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

fn open(backend: &Kept) -> SecretStore {
    let builder = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]));
    builder.clock(ManualClock::at_millis(1_700_000_000_000)).open().unwrap()
}

fn copy(backend: &Kept) -> Kept {
    let copy = Kept::default();
    let mut batch = Batch::new();
    for (key, value) in backend.scan(&[], None, usize::MAX).unwrap() {
        batch.put(key, value.as_ref().to_vec());
    }
    copy.commit(&batch, Durability::Immediate).unwrap();
    copy
}

#[test]
fn an_entry_that_is_missing_exchanged_or_damaged_is_noticed_by_who_reads_it_and_costs_the_store_nothing() {
    let backend = Kept::default();
    let store = open(&backend);
    let since = store.keep_changes(1_000).unwrap();
    let mut journal = Journal::new(30, &store);
    journal.run(&store, 40);
    store.close().unwrap();
    let entries = backend.scan(b"c", None, usize::MAX).unwrap();
    let entries: Vec<(Vec<u8>, Vec<u8>)> =
        entries.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect();
    let chance = Chance::new(1);
    let (mut refused, mut settings) = (0, 0);
    for (at, (key, value)) in entries.iter().enumerate() {
        for damage in 0..3 {
            let damaged = copy(&backend);
            let mut batch = Batch::new();
            match damage {
                0 => batch.remove(key.clone()),
                1 => {
                    let mut value = value.clone();
                    let place = chance.below(value.len());
                    value[place] ^= 1 << chance.below(8);
                    batch.put(key.clone(), value);
                }
                _ => batch.put(key.clone(), entries[(at + 1) % entries.len()].1.clone()),
            }
            damaged.commit(&batch, Durability::Immediate).unwrap();
            let store = open(&damaged);
            assert_eq!(observe(&store), journal.now);
            assert_clean(&store);
            let fault = fault(store.changes_since(&since, usize::MAX));
            match fault {
                ReplicationFault::NotKeepingChanges if key.len() == 2 => settings += 1,
                ReplicationFault::LogDamaged { .. } if key.len() == 2 => settings += 1,
                ReplicationFault::LogDamaged { epoch } => {
                    assert_eq!(Some(epoch.to_be_bytes().as_slice()), key.get(2..10));
                    refused += 1;
                }
                // The first of all is missing: it cannot be told from one that is kept no longer.
                ReplicationFault::BeginsLater { .. } if damage == 0 && at == 1 => refused += 1,
                other => panic!("entry {at}, damage {damage}: {other:?}"),
            }
            // It can be begun anew.
            store.stop_keeping_changes().unwrap();
            let anew = store.keep_changes(10).unwrap();
            journal_free_put(&store);
            assert_eq!(store.changes_since(&anew, 1).unwrap().to().epoch(), epoch(&store));
        }
    }
    assert_eq!(settings, 3);
    eprintln!("{refused} damaged entries of {} noticed, no store harmed", entries.len() - 1);
    assert!(refused >= 3 * 40);
}

fn journal_free_put(store: &SecretStore) {
    crate::pair::create(store, "another", "value");
}
