//! Opening a store after a clean close and after SIGKILL, beside sled's own opening of the same files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use measure::{Effort, Lane, Quantiles, Run, timed};
use strongroom::{GetSecretValueRequest, PutSecretValueRequest};
use tempfile::TempDir;

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
    let mut sled = |operations| (0..operations).map(|_| open_sled(copies[1].path())).sum();
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
    let mut sled = |operations| (0..operations).map(|_| open_sled(copy(killed.path()).path())).sum();
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

fn open_sled(path: &Path) -> f64 {
    let files = path.join("sled");
    let mut opened = None;
    let seconds = timed(|| opened = Some(store::raw_sled(&files, CACHE_BYTES)));
    drop(opened);
    // sled's threads outlive its handle.
    let log = fs::File::open(files.join("db")).expect("sled has a log");
    while log.try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    seconds
}

pub(crate) fn copy(from: &Path) -> TempDir {
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
