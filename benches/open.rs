//! Opening a store beside sled's own opening of the same files, after a clean close.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "floor/files.rs"]
mod files;
#[path = "floor/store.rs"]
mod store;

use std::path::Path;

use criterion::BatchSize;
use tempfile::TempDir;

use crate::files::copy;
use measure::{Effort, Lane, Run, timed};

const CACHE_BYTES: u64 = 64 * 1024 * 1024;

fn open_store(original: &Path) -> f64 {
    let place = copy(original);
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::open(place.path(), CACHE_BYTES)));
    opened.into_iter().for_each(|store| store.close().expect("the store closes"));
    seconds
}

fn open_sled(original: &Path) -> f64 {
    files::open_sled(copy(original).path(), CACHE_BYTES)
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
