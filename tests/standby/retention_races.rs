//! Reading what is kept at the very moment at which it is removed, and reading a store without what it keeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};

use strongroom::{
    Backend, BackendError, BackendStats, Batch, Durability, Error, FeedPosition, MemoryBackend, ReplicationFault,
    SecretStore, StaticKey, Stored,
};

use crate::pair::{assert_clean, create, fault, put};

type Reader = JoinHandle<Result<(), Error>>;

/// Reads on, in a thread of its own, when entries were removed and the commit that removed them has not returned yet.
#[derive(Debug)]
struct Ambush {
    store: Arc<SecretStore>,
    position: FeedPosition,
    readers: Arc<Mutex<Vec<Reader>>>,
}

#[derive(Debug, Default)]
struct Shared {
    inner: MemoryBackend,
    ambush: Mutex<Option<Ambush>>,
    /// The thread of the reader, and who waits for it to look at an entry.
    watched: Mutex<Option<(ThreadId, Sender<()>)>>,
    /// Entries that were read.
    entries_read: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct Watched(Arc<Shared>);

fn is_entry(key: &[u8]) -> bool {
    key.first() == Some(&b'c') && key.len() > 2
}

impl Watched {
    fn spring(&self, Ambush { store, position, readers }: Ambush) {
        let (send, looked) = channel();
        let shared = Arc::clone(&self.0);
        let reader = thread::spawn(move || {
            *shared.watched.lock().unwrap() = Some((thread::current().id(), send.clone()));
            let read = store.changes_since(&position, 1 << 20).map(drop);
            *shared.watched.lock().unwrap() = None;
            // Without having looked at any, perhaps.
            let _ = send.send(());
            read
        });
        looked.recv().unwrap();
        readers.lock().unwrap().push(reader);
    }
}

impl Backend for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        let found = self.0.inner.get(key);
        if is_entry(key)
            && let Some((reader, looked)) = &*self.0.watched.lock().unwrap()
            && *reader == thread::current().id()
        {
            let _ = looked.send(());
        }
        found
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        let found = self.0.inner.scan(prefix, after, limit)?;
        let entries = found.iter().filter(|(key, _)| is_entry(key)).count() as u64;
        self.0.entries_read.fetch_add(entries, Ordering::SeqCst);
        Ok(found)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.0.inner.commit(batch, durability)?;
        if batch.iter().any(|(key, value)| is_entry(key) && value.is_none()) {
            let ambush = self.0.ambush.lock().unwrap().take();
            ambush.into_iter().for_each(|ambush| self.spring(ambush));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.0.inner.flush()
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.0.inner.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.inner.close()
    }
}

fn open(backend: &Watched) -> SecretStore {
    SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap()
}

type Removal = (&'static str, fn(&SecretStore));

/// What removes entries.
const REMOVALS: [Removal; 3] = [
    ("one commit more than are kept", |store| put(store, "db/main", "one more")),
    ("a change of the root key", |store| {
        store.rotate_root_key(&mut |_| {}).unwrap();
    }),
    ("a shredding", |store| {
        store.shred(&mut |_| {}).unwrap();
    }),
];

#[test]
fn whoever_reads_what_is_just_being_removed_is_told_that_it_is_kept_no_longer_and_not_that_it_is_damaged() {
    for (name, remove) in REMOVALS {
        let backend = Watched::default();
        let store = Arc::new(open(&backend));
        create(&store, "db/main", "one");
        let position = store.keep_changes(4).unwrap();
        (0..4).for_each(|number| put(&store, "db/main", &format!("{number}")));
        let readers = Arc::new(Mutex::default());
        let ambush = Ambush { store: Arc::clone(&store), position, readers: Arc::clone(&readers) };
        *backend.0.ambush.lock().unwrap() = Some(ambush);
        remove(&store);
        let mut readers: Vec<Reader> = std::mem::take(&mut *readers.lock().unwrap());
        assert_eq!(readers.len(), 1, "{name}");
        let refused = fault(readers.remove(0).join().unwrap());
        // After a shredding it is another feed, which is told as soon as it is noticed.
        let is_expected = match refused {
            ReplicationFault::BeginsLater { position: at, .. } => at == position.epoch(),
            ReplicationFault::NotKeepingChanges => name == "a shredding",
            _ => false,
        };
        assert!(is_expected, "{name}: {refused:?}");
    }
}

#[test]
fn verifying_a_store_does_not_read_what_it_keeps_for_standbys() {
    let backend = Watched::default();
    let store = open(&backend);
    store.keep_changes(10_000).unwrap();
    for number in 0..400 {
        create(&store, &format!("secret-{number}"), "value");
    }
    let before = backend.0.entries_read.load(Ordering::SeqCst);
    assert_clean(&store);
    let read = backend.0.entries_read.load(Ordering::SeqCst) - before;
    assert!(read <= 1, "{read} of 400 entries were read");
}
