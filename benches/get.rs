//! `get_secret_value` beside its floors, and in a large store beside a small one.
//!
//! `STRONGROOM_BENCH_SECRETS` sets the size of the large store.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

#[path = "floor/records.rs"]
mod records;
#[path = "floor/store.rs"]
mod store;

use std::hint::black_box;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest;
use strongroom::testing::format::open_once;
use strongroom::{GetSecretValueRequest, SecretsManager};

use crate::records::{Layout, Seals, WRAP_PREFIX_BYTES, fill, key};
use measure::{Effort, Lane, Run, timed};

const SECRETS: usize = 1_000;
/// Holds everything in every store of this bench.
const CACHE_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Goes through `0..below` in an order that no cache can guess.
struct Steps {
    at: usize,
    below: usize,
}

impl Steps {
    fn new(below: usize) -> Self {
        Self { at: 0, below }
    }

    fn step(&mut self) -> usize {
        // A prime far above every size: all numbers come once before any comes again.
        self.at = (self.at + 1_000_000_007) % self.below;
        self.at
    }
}

/// Times as many reads as asked for, all over the store.
fn reads(secrets: usize, mut read: impl FnMut(usize)) -> impl FnMut(usize) -> f64 {
    let mut steps = Steps::new(secrets);
    move |operations| timed(|| (0..operations).for_each(|_| read(steps.step())))
}

fn get(manager: &SecretsManager, name: &str) {
    let read = manager.get_secret_value(GetSecretValueRequest::new(name)).expect("the value is read");
    black_box(read.secret_string);
}

/// Two point reads in sled, and the four openings that a read cannot do without.
struct Floor {
    db: sled::Db,
    seals: Seals,
    layout: Layout,
    keys: Vec<[Vec<u8>; 2]>,
}

impl Floor {
    fn make(path: &Path, secrets: usize) -> Self {
        let db = store::raw_sled(path, CACHE_BYTES);
        let layout = Layout::of_puts(0).pop().expect("a create was recorded");
        let seals = Seals::new();
        let keys = fill(&db, &seals, &layout, secrets);
        Self { db, seals, layout, keys }
    }

    fn read(&self, index: usize) {
        let Self { db, seals, layout, keys } = self;
        let [secret, version] = &keys[index];
        let get = |key: &[u8]| db.get(key).expect("sled reads").expect("the record is there");

        let aggregate = get(secret);
        black_box(seals.metadata.open("metadata", &layout.record_ad, &aggregate[8..]).expect("the aggregate opens"));

        let version = get(version);
        let length = version[1..5].try_into().expect("four bytes");
        let (wrap, value) = version[5..].split_at(u32::from_be_bytes(length) as usize);
        let blob = seals.outer.open("data-key", &layout.data_key_ad, wrap).expect("the outer seal opens");
        let wrapped = &blob[WRAP_PREFIX_BYTES..];
        let data_key = seals.provider.open("wrap", &layout.wrap_ad, wrapped).expect("the wrap opens");
        let data_key = data_key.as_slice().try_into().expect("32 bytes");
        black_box(open_once(data_key, "value", &layout.value_ad, value).expect("the value opens"));
    }
}

/// One point read in sled, one plain AES-256-GCM unwrap of a key, and one plain opening of 1 KiB.
struct RawFloor {
    db: sled::Db,
    provider: LessSafeKey,
    keys: Vec<Vec<u8>>,
}

const NONCE: [u8; 12] = [3; 12];

fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"))
}

fn seal(key: &LessSafeKey, text: &[u8]) -> Vec<u8> {
    let mut sealed = text.to_vec();
    // Every key but the provider's seals one text only, and nothing here is secret.
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), Aad::empty(), &mut sealed).expect("it seals");
    sealed
}

impl RawFloor {
    fn make(path: &Path, secrets: usize) -> Self {
        let db = store::raw_sled(path, CACHE_BYTES);
        let provider = cipher(&store::KEY);
        let mut keys = Vec::with_capacity(secrets);
        for index in 0..secrets {
            let data_key = digest::digest(&digest::SHA256, &index.to_be_bytes());
            let mut record = seal(&provider, data_key.as_ref());
            record.extend(seal(&cipher(data_key.as_ref()), store::value(index).as_bytes()));
            let key = key(b'v', index);
            db.insert(&key, record).expect("sled inserts");
            keys.push(key);
        }
        db.flush().expect("sled flushes");
        Self { db, provider, keys }
    }

    fn read(&self, index: usize) {
        let mut record = self.db.get(&self.keys[index]).expect("sled reads").expect("the record is there").to_vec();
        let (wrapped, value) = record.split_at_mut(32 + AES_256_GCM.tag_len());
        let nonce = || Nonce::assume_unique_for_key(NONCE);
        let data_key = self.provider.open_in_place(nonce(), Aad::empty(), wrapped).expect("the key opens");
        black_box(cipher(data_key).open_in_place(nonce(), Aad::empty(), value).expect("the value opens"));
    }
}

fn main() {
    let mut run = Run::begin();
    let secrets = run.scale(SECRETS);
    let places = [store::directory(), store::directory(), store::directory()];
    store::make(places[0].path(), secrets, CACHE_BYTES);
    let engine = store::open(places[0].path(), CACHE_BYTES);
    let manager = engine.default_secrets_manager();
    let names: Vec<String> = (0..secrets).map(store::name).collect();
    // The first read of a day writes down the day.
    names.iter().for_each(|name| get(&manager, name));
    let floor = Floor::make(places[1].path(), secrets);
    let raw_floor = RawFloor::make(places[2].path(), secrets);

    let effort = Effort { rounds: 2_001, operations: 100 };
    let mut by_engine = reads(secrets, |index| get(&manager, &names[index]));
    let mut by_floor = reads(secrets, |index| floor.read(index));
    let mut by_raw_floor = reads(secrets, |index| raw_floor.read(index));
    let mut lanes = [
        Lane { name: "engine", bar: None, work: &mut by_engine },
        Lane { name: "floor", bar: Some(0.0..=1.5), work: &mut by_floor },
        Lane { name: "raw floor", bar: Some(0.0..=8.0), work: &mut by_raw_floor },
    ];
    run.compare("get 1 KiB, 1,000 secrets", effort, &mut lanes);

    compare_sizes(&mut run, &manager, &names);

    let mut criterion = run.criterion();
    let mut group = criterion.benchmark_group("get 1 KiB");
    let mut steps = Steps::new(secrets);
    group.bench_function("engine", |bencher| bencher.iter(|| get(&manager, &names[steps.step()])));
    group.bench_function("floor", |bencher| bencher.iter(|| floor.read(steps.step())));
    group.bench_function("raw floor", |bencher| bencher.iter(|| raw_floor.read(steps.step())));
    group.finish();
    criterion.final_summary();
    run.finish();
}

/// The same reads in a store of many secrets, with a cache that holds them.
fn compare_sizes(run: &mut Run, small: &SecretsManager, small_names: &[String]) {
    let many = std::env::var("STRONGROOM_BENCH_SECRETS").ok().and_then(|secrets| secrets.parse().ok());
    let many = run.scale(many.unwrap_or(100_000));
    let place = store::directory();
    store::make(place.path(), many, CACHE_BYTES);
    let engine = store::open(place.path(), CACHE_BYTES);
    let manager = engine.default_secrets_manager();
    let names: Vec<String> = (0..many).map(store::name).collect();
    names.iter().for_each(|name| get(&manager, name));

    let mut large = reads(many, |index| get(&manager, &names[index]));
    let mut small = reads(small_names.len(), |index| get(small, &small_names[index]));
    let mut lanes = [
        Lane { name: "the large store", bar: None, work: &mut large },
        Lane { name: "1,000 secrets", bar: Some(0.0..=2.0), work: &mut small },
    ];
    run.compare(&format!("get 1 KiB, {many} secrets"), Effort { rounds: 2_001, operations: 100 }, &mut lanes);
}
