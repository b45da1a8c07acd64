//! Bytes on the disk: after filling, after everything was overwritten, and after compaction.

use std::fs;
use std::path::Path;

use measure::{Quantiles, Run, timed};
use strongroom::{Durability, PutSecretValueRequest, SecretStore};

use crate::{CACHE_BYTES, figure, store, title};

/// How often everything is overwritten, up to a size and beyond it.
const ROUNDS: usize = 10;
const MANY: usize = 500_000;
const ROUNDS_OF_MANY: usize = 1;

pub(crate) fn measure_filled(run: &mut Run, path: &Path, secrets: usize, live_bytes: f64) {
    tell(run, "filled", path, secrets, live_bytes);
}

/// Every version is kept for a day, so that nothing of a value is dead: what is overwritten is the secrets' own records.
pub(crate) fn measure_overwritten(run: &mut Run, path: &Path, scratch: &Path, secrets: usize) {
    let rounds = if secrets < MANY { run.scale(ROUNDS).min(ROUNDS) } else { ROUNDS_OF_MANY };
    let builder = || store::with_key(SecretStore::builder(path)).cache_capacity_bytes(CACHE_BYTES);
    let store = builder().durability(Durability::Eventual).open().expect("the store opens");
    let manager = store.default_secrets_manager();
    let took = timed(|| {
        for number in 0..rounds * secrets {
            let request = PutSecretValueRequest::new(store::name(number % secrets), store::value(number));
            manager.put_secret_value(request).expect("the value is put");
        }
        store.flush().expect("the puts become durable");
    });
    let rate = (rounds * secrets) as f64 / took;
    figure(run, "puts, not each durable: a second", secrets, rate, "1/s");
    store.maintain().expect("the store is maintained");
    let backup = scratch.join("backup");
    let live_bytes = store.backup(&backup, &mut |_| {}).expect("the store is backed up").bytes as f64;
    fs::remove_file(&backup).expect("the backup is removed");
    store.close().expect("the store closes");
    tell(run, &format!("after {rounds} rounds of overwriting everything"), path, secrets, live_bytes);

    let mut report = None;
    let took = timed(|| report = Some(builder().compact(&mut |_| {}).expect("the store is compacted")));
    tell(run, &format!("after {rounds} rounds and compact"), path, secrets, live_bytes);
    figure(run, "compact", secrets, took, "s");
    let records = report.expect("it says what it did").records as f64;
    figure(run, "compact, records a second", secrets, records / took, "1/s");
    run.point("the whole store", "compact", secrets as f64, Quantiles::of(vec![took]), "s");
}

fn tell(run: &mut Run, when: &str, path: &Path, secrets: usize, live_bytes: f64) {
    let bytes = bytes_in(path);
    let each = bytes / secrets as f64;
    figure(run, &format!("bytes on the disk for each secret, {when}"), secrets, each, "bytes");
    let ratio = Quantiles::of(vec![bytes / live_bytes]);
    let what = format!("bytes on the disk to bytes of a backup, {when}");
    run.figure(&title(&what, secrets), ratio, "x", None);
    run.point("disk", when, secrets as f64, Quantiles::of(vec![each]), "bytes");
}

/// Bytes of all files.
fn bytes_in(path: &Path) -> f64 {
    let entries = fs::read_dir(path).expect("the directory is read").map(|entry| entry.expect("the directory is read"));
    let sizes = entries.map(|entry| match entry.metadata().expect("there is such a file") {
        found if found.is_dir() => bytes_in(&entry.path()),
        found => found.len() as f64,
    });
    sizes.sum()
}
