//! The reader against files that the engine wrote, whole and damaged, with what the engine itself says as the measure.

mod by_hand;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::format::{self, Header, KIND_CHANGE, KIND_PAGE, PageHead, SEGMENT_HEADER_BYTES};
use super::{Carved, LOG, Shape};
use crate::storage::sled::SledBackend;
use crate::storage::{Backend, Batch, Durability};

const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const SECTOR_BYTES: usize = 512;

/// Set for runs that take minutes.
const LONG: &str = "STRONGROOM_CARVE_LONG";

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Families, each with the length of its keys.
const FAMILIES: [(u8, usize); 5] = [(b's', 25), (b'v', 25), (b'd', 37), (b'h', 1), (b'm', 1)];

fn is_key(bytes: &[u8]) -> bool {
    FAMILIES.iter().any(|(family, length)| bytes.first() == Some(family) && bytes.len() == *length)
}

fn may_be_any_key(bytes: &[u8]) -> bool {
    (1..=64).contains(&bytes.len()) && FAMILIES.iter().any(|(family, _)| bytes.first() == Some(family))
}

const SHAPE: Shape = Shape { segment_bytes: SEGMENT_BYTES, is_key };

struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 1
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next().to_be_bytes());
        }
        out.truncate(count);
        // The lowest bytes vary most.
        out.rotate_left(count.min(1));
        out
    }
}

fn is_long() -> bool {
    std::env::var_os(LONG).is_some()
}

fn times(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// How a store came to be.
#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    commits: usize,
    /// Keys to choose from.
    keys: usize,
    value_bytes_max: usize,
    reopenings: usize,
    /// Lengths of keys at random, not those of the families.
    any_length: bool,
}

const SMALL: Life = Life { seed: 1, commits: 90, keys: 160, value_bytes_max: 3000, reopenings: 2, any_length: false };

fn key(dice: &mut Dice, any_length: bool) -> Vec<u8> {
    let (family, length) = match dice.below(40) {
        0 => FAMILIES[3],
        1 => FAMILIES[4],
        choice => FAMILIES[choice % 3],
    };
    let length = if any_length { 1 + dice.below(64) } else { length };
    let mut key = dice.bytes(length);
    key[0] = family;
    // Times are alike at the front.
    if family == b'd' && length > 8 {
        key[1..7].copy_from_slice(&[0x80, 0, 0, 0x67, 0x41, 0x80]);
    }
    key
}

/// A value whose length is anything from nothing to the most, mostly short.
fn value(dice: &mut Dice, bytes_max: usize) -> Vec<u8> {
    let limit = match dice.below(10) {
        0 => 2,
        1..=6 => bytes_max.min(600),
        _ => bytes_max,
    };
    let length = dice.below(limit + 1);
    dice.bytes(length)
}

/// Runs a life in a directory; returns what the engine says in the end. The engine was closed, or only flushed.
fn live(life: Life, directory: &Path, copy_while_open: Option<&Path>) -> Records {
    let mut dice = Dice::new(life.seed);
    let mut keys: Vec<Vec<u8>> = (0..life.keys).map(|_| key(&mut dice, life.any_length)).collect();
    keys.sort();
    keys.dedup();
    let mut records = Records::new();
    for opening in 0..=life.reopenings {
        let store = SledBackend::open(directory, CACHE_BYTES).unwrap();
        for _ in 0..life.commits {
            let mut batch = Batch::new();
            for _ in 0..1 + dice.below(6) {
                let key = keys[dice.below(keys.len())].clone();
                // In some phases more is removed than written, so that pages merge.
                if dice.below(8) < if opening % 2 == 1 { 5 } else { 1 } {
                    batch.remove(key);
                } else {
                    batch.put(key, value(&mut dice, life.value_bytes_max));
                }
            }
            store.commit(&batch, Durability::Eventual).unwrap();
        }
        store.flush().unwrap();
        records = scan(&store);
        if let Some(copy) = copy_while_open.filter(|_| opening == life.reopenings) {
            fs::copy(directory.join(LOG), copy.join(LOG)).unwrap();
        }
        store.close().unwrap();
    }
    records
}

fn scan(store: &SledBackend) -> Records {
    let found = store.scan(b"", None, usize::MAX).unwrap();
    found.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect()
}

fn carve(directory: &Path, shape: Shape) -> Carved {
    let mut last = (0, 0);
    let carved = Carved::read(directory, shape, &mut |done, total| last = (done, total)).unwrap();
    assert!(last.0 <= last.1);
    carved
}

/// The keys that are there, with their newest values.
fn newest(carved: &Carved) -> Records {
    let present = carved.keys().filter(|(_, is_removed)| !is_removed);
    present.map(|(key, _)| (key.to_vec(), carved.values(key).next().unwrap().unwrap())).collect()
}

/// Records that are not among what comes out.
fn missing<'a>(carved: &Carved, records: &'a Records) -> Vec<&'a Vec<u8>> {
    let is_there = |key: &[u8], value: &Vec<u8>| carved.values(key).any(|candidate| candidate.unwrap() == *value);
    records.iter().filter(|(key, value)| !is_there(key, value)).map(|(key, _)| key).collect()
}

/// The messages of a whole log, in the order of writing.
fn messages(log: &[u8]) -> Vec<Header> {
    let mut messages = Vec::new();
    for base in (0..log.len()).step_by(SEGMENT_BYTES) {
        let segment = &log[..log.len().min(base + SEGMENT_BYTES)];
        let read = |at: usize| Header::read(segment, at).filter(Header::is_of_known_kind);
        let first = read(base + SEGMENT_HEADER_BYTES);
        let next = |message: &Header| read(message.body.end).filter(|next| next.segment == message.segment);
        messages.extend(std::iter::successors(first, next));
    }
    messages.sort_by_key(|message| message.segment);
    messages
}

/// Where a record stands in a whole log: its key without what all keys of its page begin with, and its value, each with
/// the number that tells its length.
struct Stand {
    key: Range<usize>,
    value: Range<usize>,
}

impl Stand {
    fn is_hit(&self, damage: &Range<usize>) -> bool {
        [&self.key, &self.value].iter().any(|item| item.start < damage.end && damage.start < item.end)
    }
}

/// Every place of a whole log where a key stands with its newest value.
fn stands(log: &[u8], records: &Records) -> BTreeMap<Vec<u8>, Vec<Stand>> {
    let mut stands = BTreeMap::<Vec<u8>, Vec<Stand>>::new();
    let mut prefixes = BTreeMap::new();
    for message in messages(log) {
        let (body, mut item_start) = (&message.body, message.body.start + 1);
        let pairs = match message.kind {
            // Others than of one key are about pages that are merged.
            KIND_CHANGE => {
                let change = format::change(log, body);
                change.and_then(|(key, value)| Some((key, value?))).into_iter().collect()
            }
            KIND_PAGE => {
                let head = PageHead::read(log, body).unwrap();
                prefixes.insert(message.page, log[head.prefix.clone()].to_vec());
                item_start = head.items;
                if head.is_leaf { head.leaf(log, body).unwrap() } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        // One item begins where the one before it ends.
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let mut with_length = |item: &Range<usize>| std::mem::replace(&mut item_start, item.end)..item.end;
        let key_items: Vec<_> = keys.iter().map(&mut with_length).collect();
        let value_items: Vec<_> = values.iter().map(with_length).collect();
        for (index, (key, value)) in key_items.into_iter().zip(value_items).enumerate() {
            let whole_key = [prefixes[&message.page].as_slice(), &log[keys[index].clone()]].concat();
            if records.get(&whole_key).is_some_and(|newest| *newest == log[values[index].clone()]) {
                stands.entry(whole_key).or_default().push(Stand { key, value });
            }
        }
    }
    assert!(stands.keys().eq(records.keys()), "every record stands somewhere");
    stands
}

struct Fixture {
    directory: tempfile::TempDir,
    log: Vec<u8>,
    records: Records,
}

impl Fixture {
    fn new(life: Life) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let records = live(life, directory.path(), None);
        let log = fs::read(directory.path().join(LOG)).unwrap();
        // What the file holds behind the last message is nothing. That message may end with zeros.
        let silent_from = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let end = messages(&log).iter().fold(silent_from, |end, message| end.max(message.body.end));
        Self { directory, log: log[..end].to_vec(), records }
    }

    /// What comes out of other bytes.
    fn carve(&self, log: &[u8]) -> Carved {
        fs::write(self.log_path(), log).unwrap();
        carve(self.directory.path(), SHAPE)
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join(LOG)
    }
}

#[test]
fn a_whole_log_gives_what_the_engine_gives() {
    let large = Life { commits: 220, keys: 3000, value_bytes_max: 100 * 1024, reopenings: 3, ..SMALL };
    let many = Life { commits: 1500, keys: 6000, value_bytes_max: 300, reopenings: 2, ..SMALL };
    let any_length = Life { commits: 700, keys: 900, any_length: true, ..SMALL };
    let lives = [(SMALL, times(4, 40)), (many, times(1, 6)), (any_length, times(2, 20)), (large, times(1, 6))];
    let (mut stores, mut keys) = (0, 0);
    for (life, seeds) in lives {
        let shape = if life.any_length { Shape { is_key: may_be_any_key, ..SHAPE } } else { SHAPE };
        for seed in 1..=seeds as u64 {
            let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let records = live(Life { seed, ..life }, directory.path(), Some(copy.path()));
            for place in [directory.path(), copy.path()] {
                let before = fs::read(place.join(LOG)).unwrap();
                let carved = carve(place, shape);
                assert!(newest(&carved) == records, "seed {seed}, {} keys", life.keys);
                assert_eq!(carved.damaged_places(), 0, "seed {seed}, {} keys", life.keys);
                assert!(fs::read(place.join(LOG)).unwrap() == before, "the log was changed");
            }
            (stores, keys) = (stores + 1, keys + records.len());
        }
    }
    eprintln!("whole logs: {stores} stores, {keys} records");
}

/// Stores with many old copies of everything, with hardly any, and with long values.
fn lives(seeds: usize) -> impl Iterator<Item = Life> {
    let fresh = Life { commits: 60, keys: 2000, value_bytes_max: 1500, reopenings: 0, ..SMALL };
    let long_values = Life { commits: 14, keys: 60, value_bytes_max: 100 * 1024, reopenings: 0, ..SMALL };
    let seeds = 11..11 + seeds as u64;
    seeds.flat_map(move |seed| [SMALL, fresh, long_values].map(|life| Life { seed, ..life }))
}

#[test]
fn one_wrong_bit_costs_nothing() {
    let mut dice = Dice::new(2);
    let (mut logs, mut records) = (0, 0);
    for life in lives(times(1, 5)) {
        let fixture = Fixture::new(life);
        for _ in 0..times(30, 1500) {
            let mut log = fixture.log.clone();
            let (at, bit) = (dice.below(log.len()), dice.below(8));
            log[at] ^= 1 << bit;
            let carved = fixture.carve(&log);
            assert_eq!(missing(&carved, &fixture.records), Vec::<&Vec<u8>>::new(), "bit {bit} of byte {at}");
            let newest = newest(&carved);
            let wrong: Vec<&Vec<u8>> = newest.keys().chain(fixture.records.keys()).collect();
            let wrong: Vec<_> = wrong.into_iter().filter(|key| newest.get(*key) != fixture.records.get(*key)).collect();
            assert!(wrong.is_empty(), "bit {bit} of byte {at}: {wrong:02x?}");
            assert_eq!(carved.damaged_places(), 1, "bit {bit} of byte {at}");
            logs += 1;
        }
        records += fixture.records.len();
    }
    eprintln!("wrong bits: {logs} logs, none of {records} records lost");
}

#[test]
fn what_is_outside_a_lost_sector_comes_out() {
    let (mut lost, mut unhit_lost, mut tried) = (0, 0, 0);
    for life in lives(times(1, 4)) {
        let fixture = Fixture::new(life);
        let stands = stands(&fixture.log, &fixture.records);
        let sectors = fixture.log.len().div_ceil(SECTOR_BYTES);
        for sector in (0..sectors).step_by(times(1 + sectors / 50, 1)) {
            let damage = sector * SECTOR_BYTES..fixture.log.len().min((sector + 1) * SECTOR_BYTES);
            let mut log = fixture.log.clone();
            log[damage.clone()].fill(0);
            // A file may go on behind its last message.
            log.resize(log.len() + sector % 2 * SECTOR_BYTES, 0);
            let carved = fixture.carve(&log);
            for key in missing(&carved, &fixture.records) {
                lost += 1;
                // A key of one byte has no end by which it is known again when its page is lost.
                if stands[key].iter().any(|stand| !stand.is_hit(&damage)) && key.len() > 1 {
                    eprintln!("seed {}, {} keys, sector {sector}: {key:02x?} is lost", life.seed, life.keys);
                    unhit_lost += 1;
                }
            }
            tried += 1;
        }
    }
    eprintln!("lost sectors: {tried} logs, {lost} records lost, {unhit_lost} of them outside");
    assert_eq!(unhit_lost, 0);
    assert!(lost > 0);
}

#[test]
fn what_is_before_the_end_of_a_cut_log_comes_out() {
    let mut dice = Dice::new(5);
    let (mut cuts, mut seen) = (0, 0);
    for life in lives(times(1, 4)) {
        let fixture = Fixture::new(life);
        let stands = stands(&fixture.log, &fixture.records);
        let is_before = |stands: &Vec<Stand>, cut: usize| stands.iter().any(|stand| stand.value.end <= cut);
        for _ in 0..times(15, 300) {
            let cut = dice.below(fixture.log.len());
            let carved = fixture.carve(&fixture.log[..cut]);
            for key in missing(&carved, &fixture.records) {
                assert!(!is_before(&stands[key], cut), "{key:02x?} is before the cut at {cut}");
            }
            seen += stands.values().filter(|stands| is_before(stands, cut)).count();
            cuts += 1;
        }
    }
    assert!(seen > 0);
    eprintln!("cut logs: {cuts}, {seen} records before the cut");
}

#[test]
fn a_segment_without_its_header_loses_nothing() {
    let life = Life { seed: 6, commits: 160, keys: 500, value_bytes_max: 100 * 1024, reopenings: 1, any_length: false };
    let fixture = Fixture::new(life);
    let segments = fixture.log.len().div_ceil(SEGMENT_BYTES);
    assert!(segments > 1);
    let mut headless = fixture.log.clone();
    for segment in 0..segments {
        headless[segment * SEGMENT_BYTES..][..20].fill(0xA5);
    }
    let carved = fixture.carve(&headless);
    assert!(newest(&carved) == fixture.records);
    assert!(carved.damaged_places() >= segments as u64);

    // Segments in another order are put into theirs.
    let mut turned = fixture.log.clone();
    turned.resize(segments * SEGMENT_BYTES, 0);
    turned.rotate_left(SEGMENT_BYTES);
    assert!(newest(&fixture.carve(&turned)) == fixture.records);
    eprintln!("headers of segments: {segments} segments, {} records", fixture.records.len());
}

#[test]
fn no_bytes_make_it_stumble() {
    let tiny = Fixture::new(Life { commits: 6, keys: 8, value_bytes_max: 120, reopenings: 0, ..SMALL });
    let step = if is_long() { 1 } else { 1 + tiny.log.len() / 1500 };
    let prefixes = (0..=tiny.log.len()).step_by(step);
    let mut tried = 0;
    for length in prefixes {
        tiny.carve(&tiny.log[..length]);
        tried += 1;
    }
    let mut dice = Dice::new(7);
    for round in 0..times(40, 600) {
        let mut bytes = match round % 4 {
            // Noise, one byte again and again, a log with noise in it, a log with parts of itself elsewhere.
            0 => dice.bytes(100_000),
            1 => vec![u8::try_from(round % 256).unwrap(); 60_000],
            _ => tiny.log.repeat(4),
        };
        for _ in 0..if round % 4 > 1 { 30 } else { 0 } {
            let length = 1 + dice.below(200);
            let (from, to) = (dice.below(bytes.len() - length), dice.below(bytes.len() - length));
            if round % 4 == 2 {
                let noise = dice.bytes(length);
                bytes[to..to + length].copy_from_slice(&noise);
            } else {
                bytes.copy_within(from..from + length, to);
            }
        }
        let carved = tiny.carve(&bytes);
        for (key, _) in carved.keys() {
            assert!(carved.values(key).map(Result::unwrap).count() <= 256);
        }
        tried += 1;
    }
    eprintln!("bytes of all kinds: {tried} logs");
}

#[test]
fn what_is_not_a_log_is_refused() {
    let fixture = Fixture::new(Life { commits: 3, reopenings: 0, ..SMALL });
    let read = |directory: &Path| Carved::read(directory, SHAPE, &mut |_, _| {});
    assert_eq!(read(&fixture.directory.path().join("nowhere")).unwrap_err().kind(), std::io::ErrorKind::NotFound);

    fs::write(fixture.log_path(), b"").unwrap();
    let empty = read(fixture.directory.path()).unwrap();
    assert_eq!((empty.keys().count(), empty.damaged_places()), (0, 0));

    fs::remove_file(fixture.log_path()).unwrap();
    fs::create_dir(fixture.log_path()).unwrap();
    read(fixture.directory.path()).unwrap_err();

    #[cfg(unix)]
    {
        fs::remove_dir(fixture.log_path()).unwrap();
        let elsewhere = fixture.directory.path().join("elsewhere");
        fs::write(&elsewhere, &fixture.log).unwrap();
        std::os::unix::fs::symlink(&elsewhere, fixture.log_path()).unwrap();
        read(fixture.directory.path()).unwrap_err();
    }
}

#[test]
fn the_checksum_is_the_usual_one_and_finds_every_wrong_bit() {
    use super::crc::{Crc, WrongBit, wrong_bit};
    let crc = Crc::new(100_000);
    assert_eq!(!crc.of(&[b"1234", b"56789"]), 0xCBF4_3926);
    let mut dice = Dice::new(8);
    let mut bytes = dice.bytes(9000);
    let ranges = crc.ranges(&bytes);
    for (start, end) in [(0, 0), (0, 9000), (1, 8999), (17, 18), (100, 4196), (100, 4197)] {
        assert_eq!(ranges.of(start, end), crc.of(&[&bytes[start..end]]));
    }
    drop(ranges);
    let right = crc.of(&[&bytes]);
    for _ in 0..200 {
        let (at, mask) = (dice.below(bytes.len()), 1 << dice.below(8));
        bytes[at] ^= mask;
        assert_eq!(wrong_bit(crc.of(&[&bytes]), right, bytes.len()), Some(WrongBit::Byte(at, mask)));
        bytes[at] ^= mask;
    }
    assert_eq!(wrong_bit(right, right ^ 4, bytes.len()), Some(WrongBit::Checksum));
}

/// What one pass over a large log takes: `STRONGROOM_CARVE_LONG=1 cargo test --release the_rate -- --nocapture`, timed.
#[test]
fn the_rate_of_a_large_log() {
    if !is_long() {
        return;
    }
    let life =
        Life { seed: 9, commits: 1200, keys: 4000, value_bytes_max: 100 * 1024, reopenings: 0, any_length: false };
    let fixture = Fixture::new(life);
    let begun = fs::metadata(fixture.log_path()).unwrap().len();
    for round in 0..3 {
        let stamp = fixture.directory.path().join(format!("stamp{round}"));
        fs::write(&stamp, b"").unwrap();
        let keys = carve(fixture.directory.path(), SHAPE).keys().count();
        let end = fixture.directory.path().join("end");
        fs::write(&end, b"").unwrap();
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let took = modified(&end).duration_since(modified(&stamp)).unwrap();
        eprintln!("rate: {begun} bytes, {keys} keys in {took:?}");
    }
}
