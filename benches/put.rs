//! Durable `put_secret_value` beside its floors, and by many threads beside one.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

#[path = "floor/records.rs"]
mod records;
#[path = "floor/store.rs"]
mod store;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use strongroom::{PutSecretValueRequest, SecretStore, SecretsManager, SledBackend};

use crate::records::{Layout, Seals, fill, key};
use measure::{Effort, Lane, Run, timed};

/// So many that none of them gets many versions: the record of a secret grows with each.
const SECRETS: usize = 2_048;
const CACHE_BYTES: u64 = 1024 * 1024 * 1024;
const THREADS: usize = 16;
/// Puts to one secret for which the floor knows the sizes.
const PUTS_KNOWN: usize = 64;

/// Puts to all secrets in turn, any number of threads at a time.
struct Engine<'a> {
    manager: SecretsManager,
    names: &'a [String],
    /// Puts by each thread. Every thread has secrets of its own.
    done: Vec<AtomicUsize>,
}

impl<'a> Engine<'a> {
    fn new(manager: SecretsManager, names: &'a [String]) -> Self {
        Self { manager, names, done: (0..THREADS).map(|_| AtomicUsize::new(0)).collect() }
    }

    fn put(&self, thread: usize, threads: usize) {
        let done = self.done[thread].fetch_add(1, Ordering::Relaxed);
        let own = self.names.len() / threads;
        let name = &self.names[thread + done % own * threads];
        let request = PutSecretValueRequest::new(name.as_str(), store::value(done));
        self.manager.put_secret_value(request).expect("the value is put");
    }

    fn by_threads(&self, threads: usize, operations: usize) {
        thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || (0..operations.div_ceil(threads)).for_each(|_| self.put(thread, threads)));
            }
        });
    }
}

/// The same number of records of the same sizes, sealed as often, through the same commit protocol.
struct Floor {
    db: sled::Db,
    log: File,
    seals: Seals,
    /// By how often a secret was put to.
    layouts: Vec<Layout>,
    secrets: usize,
    done: AtomicUsize,
}

impl Floor {
    fn make(path: &Path, secrets: usize) -> Self {
        let db = store::raw_sled(path, CACHE_BYTES);
        let layouts = Layout::of_puts(PUTS_KNOWN);
        let seals = Seals::new();
        fill(&db, &seals, &layouts[0], secrets);
        let log = File::open(path.join("db")).expect("sled has a log");
        Self { db, log, seals, layouts, secrets, done: AtomicUsize::new(0) }
    }

    /// So many puts in one commit.
    fn commit(&self, puts: usize) {
        let mut batch = sled::Batch::default();
        for _ in 0..puts {
            let done = self.done.fetch_add(1, Ordering::Relaxed);
            let layout = &self.layouts[(1 + done / self.secrets).min(PUTS_KNOWN)];
            let version = self.seals.version(layout, store::value(done).as_bytes());
            batch.insert(key(b'v', self.secrets + done), version);
            batch.insert(key(b's', done % self.secrets), self.seals.aggregate(layout));
        }
        batch.insert(b"h", self.seals.head(&self.layouts[0]));
        self.db.apply_batch(batch).expect("sled applies a batch");
        self.db.flush().expect("sled flushes");
        self.log.sync_data().expect("the log is synced");
    }
}

/// The bytes of a put appended to a file, and one `fdatasync`.
struct RawFloor {
    file: File,
    bytes: Vec<u8>,
}

impl RawFloor {
    fn make(path: &Path) -> Self {
        let layout = Layout::of_puts(1).pop().expect("a put was recorded");
        let seals = Seals::new();
        let version = seals.version(&layout, store::value(0).as_bytes());
        let records =
            [(key(b'v', 0), version), (key(b's', 0), seals.aggregate(&layout)), (vec![b'h'], seals.head(&layout))];
        let bytes = records.into_iter().flat_map(|(key, value)| [key, value].concat()).collect();
        Self { file: File::create(path.join("log")).expect("a file is made"), bytes }
    }

    fn append(&mut self) {
        self.file.write_all(&self.bytes).expect("the bytes are written");
        self.file.sync_data().expect("the file is synced");
    }
}

/// Makes a store on sled's files alone, without a directory around them that has an anchor.
fn without_anchor(path: &Path, cache_bytes: u64) -> SecretStore {
    let backend = SledBackend::open(path, cache_bytes).expect("sled opens");
    store::with_key(SecretStore::with_backend(backend)).open().expect("the store opens")
}

/// The records of one put, and those that they replace: what the set hash is computed over.
fn put_records() -> Vec<(Vec<u8>, Vec<u8>)> {
    let layout = Layout::of_puts(1).pop().expect("a put was recorded");
    let seals = Seals::new();
    let secret = (key(b's', 0), seals.aggregate(&layout));
    vec![secret.clone(), secret, (key(b'v', 0), seals.version(&layout, store::value(0).as_bytes()))]
}

fn main() {
    let mut run = Run::begin();
    let secrets = run.scale(SECRETS).next_multiple_of(THREADS);
    let places: Vec<_> = (0..5).map(|_| store::directory()).collect();
    store::make(places[0].path(), secrets, CACHE_BYTES);
    let opened = store::open(places[0].path(), CACHE_BYTES);
    let names: Vec<String> = (0..secrets).map(store::name).collect();
    let engine = Engine::new(opened.default_secrets_manager(), &names);
    let floor = Floor::make(places[1].path(), secrets);
    let mut raw_floor = RawFloor::make(places[2].path());

    let mut by_engine = |operations| timed(|| (0..operations).for_each(|_| engine.put(0, 1)));
    let mut by_floor = |operations| timed(|| (0..operations).for_each(|_| floor.commit(1)));
    let mut by_raw_floor = |operations| timed(|| (0..operations).for_each(|_| raw_floor.append()));
    let mut lanes = [
        Lane { name: "engine", bar: None, work: &mut by_engine },
        Lane { name: "floor", bar: Some(0.0..=1.3), work: &mut by_floor },
        Lane { name: "raw floor", bar: None, work: &mut by_raw_floor },
    ];
    run.compare("durable put 1 KiB, 1 thread", Effort { rounds: 401, operations: 5 }, &mut lanes);

    // What finding losses out costs: the same puts without the anchor, and with the set hash computed once more.
    store::make(places[3].path(), secrets, CACHE_BYTES);
    let unanchored = without_anchor(places[4].path(), CACHE_BYTES);
    store::fill(&unanchored.default_secrets_manager(), secrets);
    let unanchored = Engine::new(unanchored.default_secrets_manager(), &names);
    let anchored = store::open(places[3].path(), CACHE_BYTES);
    let anchored = Engine::new(anchored.default_secrets_manager(), &names);
    let records = put_records();
    let mut with_all = |operations| timed(|| (0..operations).for_each(|_| anchored.put(0, 1)));
    let mut without_anchor = |operations| timed(|| (0..operations).for_each(|_| unanchored.put(0, 1)));
    let mut hashed_twice = |operations| {
        timed(|| {
            for _ in 0..operations {
                anchored.put(0, 1);
                for (key, value) in &records {
                    black_box(strongroom::testing::format::element(&store::KEY, key, value));
                }
            }
        })
    };
    let mut lanes = [
        Lane { name: "with anchor and set hash", bar: None, work: &mut with_all },
        Lane { name: "without the anchor", bar: Some(0.0..=1.1), work: &mut without_anchor },
        Lane { name: "with the set hash computed twice", bar: None, work: &mut hashed_twice },
    ];
    run.compare("durable put 1 KiB, the cost of protection", Effort { rounds: 401, operations: 5 }, &mut lanes);

    let mut by_one = |operations| timed(|| engine.by_threads(1, operations));
    let mut by_many = |operations| timed(|| engine.by_threads(THREADS, operations));
    let mut merged =
        |operations: usize| timed(|| (0..operations.div_ceil(THREADS)).for_each(|_| floor.commit(THREADS)));
    let mut lanes = [
        Lane { name: "by 1 thread", bar: None, work: &mut by_one },
        Lane { name: "by 16 threads", bar: Some(6.0..=f64::INFINITY), work: &mut by_many },
        Lane { name: "floor, 16 puts in each commit", bar: None, work: &mut merged },
    ];
    run.compare("durable put 1 KiB, time for each", Effort { rounds: 21, operations: 800 }, &mut lanes);

    let mut criterion = run.criterion();
    let mut group = criterion.benchmark_group("durable put 1 KiB");
    group.bench_function("engine", |bencher| bencher.iter(|| engine.put(0, 1)));
    group.bench_function("floor", |bencher| bencher.iter(|| floor.commit(1)));
    group.bench_function("raw floor", |bencher| bencher.iter(|| raw_floor.append()));
    group.finish();
    criterion.final_summary();
    run.finish();
}
