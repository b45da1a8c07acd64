//! How everything grows with the number of secrets, and of versions: time, memory, files.
//!
//! `STRONGROOM_BENCH_SIZES` lists the sizes, such as `1000,10000,100000,1000000`. The first one is what the others are
//! compared with; both stores are open and take turns. Stores are on the disk, with values of 1 KiB.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

#[path = "scale/child.rs"]
mod child;
#[path = "scale/disk.rs"]
mod disk;
#[path = "floor/files.rs"]
mod files;
#[path = "scale/opening.rs"]
mod opening;
#[path = "scale/operations.rs"]
mod operations;
#[path = "scale/site.rs"]
mod site;
#[path = "floor/store.rs"]
mod store;
#[path = "scale/versions.rs"]
mod versions;

use std::path::Path;

use measure::{Quantiles, Run, show, timed};

use crate::site::Site;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Holds everything in every store of this bench.
const CACHE_BYTES: u64 = 8 * 1024 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == child::FLAG) {
        child::main(&arguments[2..]);
        return;
    }
    let mut run = Run::begin();
    let sizes = sizes(&run);
    let first = *sizes.first().expect("there is a size");
    for secrets in sizes {
        let place = store::directory();
        let path = place.path().join("store");
        let phase = |what: &str, work: &mut dyn FnMut()| {
            let took = timed(work);
            eprintln!("{}: {what}, {}", title("scale", secrets), show(took));
        };
        phase("filled", &mut || fill(&mut run, &path, secrets));
        phase("processes of their own", &mut || {
            let live = child::measure(&mut run, &path, place.path(), secrets);
            disk::measure_filled(&mut run, &path, secrets, live);
        });
        phase("opening", &mut || opening::measure(&mut run, &path, secrets));
        phase("operations", &mut || operate(&mut run, &path, secrets, first));
        phase("overwriting", &mut || disk::measure_overwritten(&mut run, &path, place.path(), secrets));
    }
    versions::measure(&mut run);
    run.finish();
}

/// Operations on the store, beside the same ones on one of the first size.
fn operate(run: &mut Run, path: &Path, secrets: usize, first: usize) {
    let open = |path: &Path, secrets| Site::open(path, secrets).find_middles();
    let site = open(path, secrets);
    let place = store::directory();
    let beside = (secrets != first).then(|| {
        store::make(place.path(), first, CACHE_BYTES);
        open(place.path(), first)
    });
    operations::measure(run, &site, beside.as_ref());
    site.close();
    beside.into_iter().for_each(Site::close);
}

/// Numbers of secrets, smallest first.
fn sizes(run: &Run) -> Vec<usize> {
    if !run.is_measured() {
        return vec![10, 20];
    }
    let asked = std::env::var("STRONGROOM_BENCH_SIZES").ok();
    let mut sizes = asked.map_or(SIZES.to_vec(), |asked| {
        let numbers = asked.split(',').map(|size| size.trim().parse().expect("a number of secrets"));
        numbers.collect()
    });
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Makes the store, and reads every value once: the first read of a day writes down the day.
fn fill(run: &mut Run, path: &Path, secrets: usize) {
    let took = timed(|| store::make(path, secrets, CACHE_BYTES));
    figure(run, "creating, not each durable, and closing: secrets a second", secrets, secrets as f64 / took, "1/s");
    Site::open(path, secrets).close();
}

/// 1,000 rather than 1000.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn title(what: &str, secrets: usize) -> String {
    format!("{what}, {} secrets", grouped(secrets))
}

/// A single number without a bar.
fn figure(run: &mut Run, what: &str, secrets: usize, number: f64, unit: &str) {
    run.figure(&title(what, secrets), Quantiles::of(vec![number]), unit, None);
}
