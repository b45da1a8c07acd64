//! Many threads that want the same at once, and readers and listings in the middle of it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use strongroom::{
    Backend, BackendError, BackendStats, Batch, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest,
    Durability, GetSecretValueRequest, ListSecretsRequest, MemoryBackend, PutSecretValueRequest, RestoreSecretRequest,
    SecretStore, StaticKey, Stored, Tag, TagResourceRequest,
};

fn over(backend: impl Backend + 'static) -> SecretStore {
    SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32])).open().unwrap()
}

/// A store that called itself poisoned although nothing had failed: a caller that took its answer early was mistaken
/// for one that got none.
#[test]
fn a_storm_of_puts_on_one_secret_neither_fails_nor_poisons_the_store() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let open = SecretStore::builder(directory.path().join("store")).key_provider(StaticKey::new([7; 32]));
        let store = open.open().unwrap();
        let secrets = store.default_secrets_manager();
        secrets.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
        thread::scope(|threads| {
            for _ in 0..32 {
                threads.spawn(|| {
                    for _ in 0..8 {
                        secrets.put_secret_value(PutSecretValueRequest::new("s", "v")).unwrap();
                    }
                });
            }
        });
        store.close().unwrap();
    }
}

/// A backend whose commits of one kind wait for a word.
#[derive(Debug, Clone)]
struct Gated {
    inner: MemoryBackend,
    is_shut: Arc<AtomicBool>,
    kind: Durability,
    entered: Sender<()>,
    released: Arc<Mutex<Receiver<()>>>,
}

impl Backend for Gated {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.inner.commit(batch, durability)?;
        if self.is_shut.load(Ordering::SeqCst) && durability == self.kind {
            self.entered.send(()).unwrap();
            self.released.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// The first read of a day notes the day; it does not wait until somebody else's change is durable, and the note is not
/// lost either.
#[test]
fn a_read_never_waits_for_the_flush_of_somebody_else() {
    let (entered, is_entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let is_shut = Arc::new(AtomicBool::new(false));
    let released = Arc::new(Mutex::new(released));
    let kind = Durability::Immediate;
    let store = over(Gated { inner: MemoryBackend::new(), is_shut: Arc::clone(&is_shut), kind, entered, released });
    let secrets = store.default_secrets_manager();
    for name in ["quiet", "busy"] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
    }
    is_shut.store(true, Ordering::SeqCst);
    thread::scope(|threads| {
        let writer = threads.spawn(|| secrets.tag_resource(TagResourceRequest::new("busy", [Tag::new("k", "v")])));
        is_entered.recv().unwrap();
        // The writer now waits inside its flush, and the reads come back all the same.
        for name in ["quiet", "busy"] {
            secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        }
        assert!(!writer.is_finished());
        is_shut.store(false, Ordering::SeqCst);
        release.send(()).unwrap();
        writer.join().unwrap().unwrap();
    });
    for name in ["quiet", "busy"] {
        let described = secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
        assert!(described.last_accessed_date.is_some(), "{name}");
    }
}

/// A note that finds another note being made is made after it, although nobody writes anything else.
#[test]
fn of_two_first_reads_at_once_both_are_noted() {
    let (entered, is_entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let is_shut = Arc::new(AtomicBool::new(false));
    let released = Arc::new(Mutex::new(released));
    let kind = Durability::Eventual;
    let store = over(Gated { inner: MemoryBackend::new(), is_shut: Arc::clone(&is_shut), kind, entered, released });
    let secrets = store.default_secrets_manager();
    for name in ["one", "two"] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
    }
    is_shut.store(true, Ordering::SeqCst);
    thread::scope(|threads| {
        let first = threads.spawn(|| secrets.get_secret_value(GetSecretValueRequest::new("one")).map(drop));
        is_entered.recv().unwrap();
        secrets.get_secret_value(GetSecretValueRequest::new("two")).unwrap();
        is_shut.store(false, Ordering::SeqCst);
        release.send(()).unwrap();
        first.join().unwrap().unwrap();
    });
    for name in ["one", "two"] {
        let described = secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
        assert!(described.last_accessed_date.is_some(), "{name}");
    }
}

#[test]
fn a_listing_without_scheduled_secrets_never_shows_one() {
    let store = over(MemoryBackend::new());
    let secrets = store.default_secrets_manager();
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    for name in &names {
        secrets.create_secret(CreateSecretRequest::new(name.as_str())).unwrap();
    }
    let is_done = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..60 {
                for name in &names {
                    secrets.delete_secret(DeleteSecretRequest::new(name.as_str())).unwrap();
                }
                for name in &names {
                    secrets.restore_secret(RestoreSecretRequest::new(name.as_str())).unwrap();
                }
            }
            is_done.store(true, Ordering::SeqCst);
        });
        while !is_done.load(Ordering::SeqCst) {
            let listed = secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
            assert!(listed.iter().all(|secret| secret.deleted_date.is_none()));
        }
    });
    assert_eq!(secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.len(), names.len());
}
