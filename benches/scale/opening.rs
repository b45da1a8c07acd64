//! Opening a store after a clean close and after SIGKILL, beside sled's own opening of the same files.

use std::path::Path;

use measure::{Effort, Lane, Quantiles, Run, timed};
use strongroom::{GetSecretValueRequest, PutSecretValueRequest};

use crate::files::{copy, open_sled};
use crate::{child, store, title};

/// Small, so that what a cache makes ready in advance does not count.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
const BAR: f64 = 1.2;

pub(crate) fn measure(run: &mut Run, path: &Path, secrets: usize) {
    let rounds = match secrets {
        ..50_000 => 21,
        50_000..500_000 => 5,
        _ => 1,
    };
    let effort = Effort { rounds, operations: 1 };

    // Each has a copy of its own, which it closes cleanly for the next round.
    let copies = [copy(path), copy(path)];
    let mut engine = |operations| (0..operations).map(|_| open_store(copies[0].path(), 0).0).sum();
    let mut sled = |operations| (0..operations).map(|_| open_sled(copies[1].path(), CACHE_BYTES)).sum();
    let mut lanes = [
        Lane { name: "engine", bar: None, work: &mut engine },
        Lane { name: "sled", bar: Some(0.0..=BAR), work: &mut sled },
    ];
    let times = run.compare(&title("open after a clean close", secrets), effort, &mut lanes);
    tell(run, times, "after a clean close", secrets);
    drop(copies);

    // What recovers changes files, so everybody opens a copy that nobody has opened before.
    let killed = copy(path);
    let (secret, value) = child::die_at_work(killed.path(), secrets);
    let mut engine = |operations| (0..operations).map(|_| recover(killed.path(), secret, &value)).sum();
    let mut sled = |operations| (0..operations).map(|_| open_sled(copy(killed.path()).path(), CACHE_BYTES)).sum();
    let mut lanes = [
        Lane { name: "engine", bar: None, work: &mut engine },
        Lane { name: "sled", bar: Some(0.0..=BAR), work: &mut sled },
    ];
    let times = run.compare(&title("open after SIGKILL", secrets), effort, &mut lanes);
    tell(run, times, "after SIGKILL", secrets);
}

fn tell(run: &mut Run, times: Vec<Vec<f64>>, when: &str, secrets: usize) {
    for (times, line) in times.into_iter().zip([when.to_owned(), format!("sled alone, {when}")]) {
        run.point("open", &line, secrets as f64, Quantiles::of(times), "s");
    }
}

/// Opens a copy of a store that was killed. What it had acknowledged is there, if nothing newer is.
fn recover(original: &Path, secret: usize, value: &str) -> f64 {
    let place = copy(original);
    let (seconds, read) = open_store(place.path(), secret);
    assert!(read.as_str() >= value, "what was acknowledged is there");
    seconds
}

/// How long opening takes, and what a secret holds.
fn open_store(path: &Path, secret: usize) -> (f64, String) {
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::open(path, CACHE_BYTES)));
    let store = opened.expect("the store opens");
    let manager = store.default_secrets_manager();
    let name = store::name(secret);
    let read = manager.get_secret_value(GetSecretValueRequest::new(name.as_str())).expect("a value is read");
    let read = read.secret_string.expect("it is text").expose().to_owned();
    // It goes on being used.
    manager.put_secret_value(PutSecretValueRequest::new(name, read.as_str())).expect("a value is put");
    store.close().expect("the store closes");
    (seconds, read)
}
