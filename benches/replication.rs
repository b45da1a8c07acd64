//! Durable `put_secret_value` to a primary with replicas, beside its floor and beside a put without replicas.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

#[path = "floor/records.rs"]
mod records;
#[path = "floor/store.rs"]
mod store;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::testing::RecordingBackend;
use strongroom::{Durability, PutSecretValueRequest, ReplicateSecretToRegionsRequest, SecretStore, SecretsManager};

use crate::records::{Layout, SEAL_BYTES, Seals, key};
use measure::{Effort, Lane, Run, timed};

/// So many that none of them gets many versions: the record of a secret grows with each.
const SECRETS: usize = 512;
const CACHE_BYTES: u64 = 1024 * 1024 * 1024;
const REGIONS: [&str; 5] = ["ap-south-1", "ca-central-1", "eu-west-1", "eu-west-2", "sa-east-1"];
/// Puts to one secret for which the floor knows the sizes.
const PUTS_KNOWN: usize = 64;

/// Puts to all secrets in turn.
struct Engine {
    manager: SecretsManager,
    names: Vec<String>,
    done: AtomicUsize,
}

impl Engine {
    fn make(path: &Path, secrets: usize, regions: &[&str]) -> (SecretStore, Self) {
        store::make(path, secrets, CACHE_BYTES);
        let names: Vec<String> = (0..secrets).map(store::name).collect();
        if !regions.is_empty() {
            let builder = store::with_key(SecretStore::builder(path)).cache_capacity_bytes(CACHE_BYTES);
            let made = builder.durability(Durability::Eventual).open().expect("the store opens");
            names.iter().for_each(|name| replicate(&made.default_secrets_manager(), name, regions));
            made.close().expect("the store closes");
        }
        let opened = store::open(path, CACHE_BYTES);
        let manager = opened.default_secrets_manager();
        (opened, Self { manager, names, done: AtomicUsize::new(0) })
    }

    fn put(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed);
        let name = &self.names[done % self.names.len()];
        let request = PutSecretValueRequest::new(name.as_str(), store::value(done));
        self.manager.put_secret_value(request).expect("the value is put");
    }
}

fn replicate(manager: &SecretsManager, name: &str, regions: &[&str]) {
    let request = ReplicateSecretToRegionsRequest::new(name, regions.to_vec());
    manager.replicate_secret_to_regions(request).expect("the secret is replicated");
}

/// The records of one put: those of a version are all of one size, those of the secrets are not.
struct Change {
    versions: usize,
    /// For each record of a secret.
    secrets: Vec<Layout>,
}

impl Change {
    /// The changes that puts to a primary with replicas make, one after another, and what precedes them.
    fn of_puts(puts: usize, regions: &[&str]) -> Vec<Self> {
        let backend = RecordingBackend::new();
        let store = store::with_key(SecretStore::with_backend(backend.clone())).open().expect("the store opens");
        let manager = store.default_secrets_manager();
        store::fill(&manager, 1);
        replicate(&manager, &store::name(0), regions);
        let before = backend.commits();
        for number in 0..puts {
            let request = PutSecretValueRequest::new(store::name(0), store::value(number));
            manager.put_secret_value(request).expect("the value is put");
        }
        let (seals, created) = (Seals::new(), Layout::of_puts(0).pop().expect("a create was recorded"));
        let change = |batch: &strongroom::Batch| {
            let mut change = Self { versions: 0, secrets: Vec::new() };
            for (key, value) in batch.iter() {
                let value = value.expect("a put removes nothing");
                match key.first() {
                    Some(b's') => {
                        // Epoch or revision, seal and length stand around the plaintext.
                        let mut layout = Layout::of_puts(0).pop().expect("a create was recorded");
                        layout.aggregate = vec![0x5a; value.len() - 8 - SEAL_BYTES - 4];
                        assert_eq!(seals.aggregate(&layout).len(), value.len(), "the floor must write the same sizes");
                        change.secrets.push(layout);
                    }
                    Some(b'v') => {
                        let ours = seals.version(&created, store::value(0).as_bytes());
                        assert_eq!(ours.len(), value.len(), "the floor must write the same sizes");
                        change.versions += 1;
                    }
                    Some(b'h') => {}
                    other => unreachable!("no record of a put begins with {other:?}"),
                }
            }
            assert_eq!((change.versions, change.secrets.len()), (1 + regions.len(), 1 + regions.len()));
            change
        };
        backend.batches().split_off(before).iter().map(change).collect()
    }
}

/// The same number of records of the same sizes, sealed as often, through the same commit protocol.
struct Floor {
    db: sled::Db,
    log: File,
    seals: Seals,
    layout: Layout,
    /// By how often a secret was put to.
    changes: Vec<Change>,
    secrets: usize,
    done: AtomicUsize,
}

impl Floor {
    fn make(path: &Path, secrets: usize, regions: &[&str]) -> Self {
        let db = store::raw_sled(path, CACHE_BYTES);
        let layout = Layout::of_puts(0).pop().expect("a create was recorded");
        let seals = Seals::new();
        records::fill(&db, &seals, &layout, secrets * (1 + regions.len()));
        let log = File::open(path.join("db")).expect("sled has a log");
        let changes = Change::of_puts(PUTS_KNOWN, regions);
        Self { db, log, seals, layout, changes, secrets, done: AtomicUsize::new(0) }
    }

    fn commit(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed);
        let change = &self.changes[(done / self.secrets).min(PUTS_KNOWN - 1)];
        let mut batch = sled::Batch::default();
        let places = change.secrets.len();
        for index in 0..change.versions {
            let version = self.seals.version(&self.layout, store::value(done).as_bytes());
            batch.insert(key(b'v', (self.secrets + done) * places + index), version);
        }
        for (index, layout) in change.secrets.iter().enumerate() {
            batch.insert(key(b's', done % self.secrets * places + index), self.seals.aggregate(layout));
        }
        batch.insert(b"h", self.seals.head(&self.layout));
        self.db.apply_batch(batch).expect("sled applies a batch");
        self.db.flush().expect("sled flushes");
        self.log.sync_data().expect("the log is synced");
    }
}

fn main() {
    let mut run = Run::begin();
    let secrets = run.scale(SECRETS);
    let places: Vec<_> = (0..3).map(|_| store::directory()).collect();
    let (_replicated, primary) = Engine::make(places[0].path(), secrets, &REGIONS);
    let (_alone, alone) = Engine::make(places[1].path(), secrets, &[]);
    let floor = Floor::make(places[2].path(), secrets, &REGIONS);

    let mut with_replicas = |operations| timed(|| (0..operations).for_each(|_| primary.put()));
    let mut by_floor = |operations| timed(|| (0..operations).for_each(|_| floor.commit()));
    let mut without_replicas = |operations| timed(|| (0..operations).for_each(|_| alone.put()));
    let mut lanes = [
        Lane { name: "5 replicas", bar: None, work: &mut with_replicas },
        Lane { name: "floor", bar: Some(0.0..=1.5), work: &mut by_floor },
        Lane { name: "no replicas", bar: None, work: &mut without_replicas },
    ];
    run.compare("durable put 1 KiB to a primary", Effort { rounds: 201, operations: 5 }, &mut lanes);

    let mut criterion = run.criterion();
    let mut group = criterion.benchmark_group("durable put 1 KiB to a primary");
    group.bench_function("5 replicas", |bencher| bencher.iter(|| primary.put()));
    group.bench_function("floor", |bencher| bencher.iter(|| floor.commit()));
    group.bench_function("no replicas", |bencher| bencher.iter(|| alone.put()));
    group.finish();
    criterion.final_summary();
    run.finish();
}
