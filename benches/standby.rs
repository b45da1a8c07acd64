//! Changes that a standby catches up with, beside single durable puts to the store that it follows.
//!
//! `STRONGROOM_BENCH_CHANGES` sets how many there are.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[expect(dead_code, reason = "other benches use more of it")]
#[path = "floor/store.rs"]
mod store;

use std::path::Path;

use strongroom::{Durability, PutSecretValueRequest, ReplicationLink as _, SecretStore, StandbyDirectory};

use measure::{Quantiles, Run, timed};

const CACHE_BYTES: u64 = 1024 * 1024 * 1024;
/// What `replicate_to` asks for at a time.
const FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Puts to one secret: the record of a secret grows with each version.
const PUTS: usize = 10;
/// Times as fast as single puts that changes have to be applied.
const BAR: f64 = 5.0;

fn main() {
    let mut run = Run::begin();
    let changes = std::env::var("STRONGROOM_BENCH_CHANGES").ok().and_then(|changes| changes.parse().ok());
    let changes: usize = run.scale(changes.unwrap_or(100_000));
    let secrets = changes.div_ceil(PUTS);
    let place = store::directory();
    let (source, standby) = (place.path().join("source"), place.path().join("standby"));
    store::make(&source, secrets, CACHE_BYTES);
    let builder = |path: &Path| store::with_key(SecretStore::builder(path)).cache_capacity_bytes(CACHE_BYTES);

    let link = StandbyDirectory::new(builder(&standby));
    let opened = builder(&source).durability(Durability::Eventual).open().expect("the store opens");
    opened.keep_changes(u64::MAX).expect("changes are kept");
    let copied = timed(|| opened.replicate_to(&link, &mut |_| {}).expect("the standby is filled"));
    // Every secret in turn, so that a frame hardly has the same secret twice.
    put(&opened, 0..changes, secrets);
    opened.flush().expect("the puts become durable");
    let (mut commits, mut frames, mut reading, mut applying) = (0, 0, 0.0, 0.0);
    let mut position = link.position().expect("the standby is there").expect("it was filled");
    loop {
        let mut frame = None;
        reading += timed(|| frame = Some(opened.changes_since(&position, FRAME_BYTES).expect("changes are read")));
        let frame = frame.expect("a frame was read");
        if frame.is_empty() {
            break;
        }
        commits += frame.to().epoch() - position.epoch();
        frames += 1;
        applying += timed(|| position = link.apply(&frame).expect("changes are applied"));
    }
    let took = reading + applying;
    assert!(commits >= changes as u64, "every put is a change");
    opened.close().expect("the store closes");
    link.close().expect("the standby closes");

    // The same store, as somebody uses it who waits for every put.
    let durable = builder(&source).open().expect("the store opens");
    let singles = (changes / 50).max(1);
    let single = timed(|| put(&durable, 0..singles, secrets)) / singles as f64;
    let applied = took / commits as f64;
    let mut figure = |title: &str, number, unit, bar| run.figure(title, Quantiles::of(vec![number]), unit, bar);
    figure("changes, times as fast as durable puts", single / applied, "x", Some(BAR..=f64::INFINITY));
    figure("a durable put", single, "s", None);
    figure(&format!("one of {commits} changes in {frames} frames, read and applied"), applied, "s", None);
    figure("the same, read", reading / commits as f64, "s", None);
    figure("the same, applied", applying / commits as f64, "s", None);
    figure(&format!("a new standby of {secrets} secrets"), copied, "s", None);
    run.finish();
}

fn put(store: &SecretStore, numbers: std::ops::Range<usize>, secrets: usize) {
    let manager = store.default_secrets_manager();
    for number in numbers {
        let request = PutSecretValueRequest::new(store::name(number % secrets), store::value(number));
        manager.put_secret_value(request).expect("the value is put");
    }
}
