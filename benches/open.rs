//! Opening a store beside sled's own opening of the same files, after a clean close.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "floor/store.rs"]
mod store;

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::BatchSize;
use tempfile::TempDir;

use measure::{Effort, Lane, Run, timed};

const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Opening changes files, so everybody opens a copy that nobody has opened before.
fn copy(from: &Path) -> TempDir {
    let to = store::directory();
    copy_into(from, to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the directory is read") {
        let entry = entry.expect("the directory is read");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).expect("a directory is made");
            copy_into(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("the file is copied");
            // Otherwise the system writes the copy back while the opening is measured.
            fs::File::open(&to).and_then(|file| file.sync_all()).expect("the copy is synced");
        }
    }
}

/// Waits until sled's threads, which outlive its handle, let go of its files.
fn await_release(log: &Path) {
    let log = fs::File::open(log).expect("sled has a log");
    while log.try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn open_store(original: &Path) -> f64 {
    let place = copy(original);
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::open(place.path(), CACHE_BYTES)));
    opened.into_iter().for_each(|store| store.close().expect("the store closes"));
    seconds
}

fn open_sled(original: &Path) -> f64 {
    let place = copy(original);
    let files = place.path().join("sled");
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::raw_sled(&files, CACHE_BYTES)));
    drop(opened);
    await_release(&files.join("db"));
    seconds
}

fn main() {
    let mut run = Run::begin();
    let mut criterion = run.criterion();
    for secrets in [1_000, 20_000] {
        let original = store::directory();
        store::make(original.path(), run.scale(secrets), CACHE_BYTES);
        let original = original.path();

        let mut engine = |operations| (0..operations).map(|_| open_store(original)).sum();
        let mut sled = |operations| (0..operations).map(|_| open_sled(original)).sum();
        let mut lanes = [
            Lane { name: "engine", bar: None, work: &mut engine },
            Lane { name: "sled", bar: Some(0.0..=1.2), work: &mut sled },
        ];
        run.compare(&format!("open, {secrets} secrets"), Effort { rounds: 41, operations: 1 }, &mut lanes);

        let mut group = criterion.benchmark_group(format!("open, {secrets} secrets"));
        group.sample_size(10);
        let open = |place: TempDir| (store::open(place.path(), CACHE_BYTES), place);
        group.bench_function("engine", |bencher| {
            bencher.iter_batched(|| copy(original), open, BatchSize::PerIteration);
        });
        let open = |place: TempDir| (store::raw_sled(&place.path().join("sled"), CACHE_BYTES), place);
        group.bench_function("sled", |bencher| {
            bencher.iter_batched(|| copy(original), open, BatchSize::PerIteration);
        });
        group.finish();
    }
    criterion.final_summary();
    run.finish();
}
