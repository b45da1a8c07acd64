//! What a power cut leaves of a disk, and what the store makes of it.
//!
//! A small engine of its own writes every commit into a simulated disk as checksummed frames, in pieces, and syncs. The
//! anchor is a file on the same disk that is written without a sync. A cut at any write keeps everything that was synced,
//! and of the rest whatever the disk happens to have taken: each write wholly, not at all, or in part, down to a sector of
//! 512 bytes or 4 KiB, in any order. A disk that lies about syncs is tried too.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::sync::{Arc, Mutex};

use ring::digest;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, BackendError, BackendStats, Batch, CreateSecretRequest, Durability, Entropy, ErrorKind, ExternalAnchor,
    GetSecretValueRequest, MemoryBackend, PutSecretValueRequest, SecretStore, StaticKey, Stored, VerifyOptions,
};

use crate::stores::NOW;

/// Images of each run, unless `STRONGROOM_IMAGES` says otherwise.
const IMAGES: usize = 1_200;
const CALLS: usize = 30;
const NAMES: [&str; 3] = ["first", "second", "third"];

/// The files of the disk.
const LOG: usize = 0;
const ANCHOR: usize = 1;

#[derive(Debug, Clone)]
enum Event {
    Write {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Sync {
        file: usize,
    },
    /// A call was acknowledged.
    Acknowledged,
}

#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Vec<Event>>>);

impl Disk {
    fn say(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

/// An engine that appends what it commits to a log.
#[derive(Debug)]
struct Engine {
    now: MemoryBackend,
    disk: Disk,
    end: Mutex<usize>,
}

impl Engine {
    fn new(disk: Disk) -> Self {
        Self { now: MemoryBackend::new(), disk, end: Mutex::default() }
    }

    /// What can be read of a log: frames up to the first that is not whole.
    fn recover(log: &[u8]) -> MemoryBackend {
        let backend = MemoryBackend::new();
        let mut rest = log;
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (Some(body), Some(sum)) = (behind.get(..length), behind.get(length..length + 32)) else { break };
            if length == 0 || digest::digest(&digest::SHA256, body).as_ref() != sum {
                break;
            }
            backend.commit(&parse(body), Durability::Immediate).unwrap();
            rest = &behind[length + 32..];
        }
        backend
    }
}

fn frame(batch: &Batch) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in batch.iter() {
        body.push(u8::from(value.is_some()));
        for part in [key, value.unwrap_or_default()] {
            body.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            body.extend(part);
        }
    }
    let sum = digest::digest(&digest::SHA256, &body);
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body, sum.as_ref()].concat()
}

fn parse(mut body: &[u8]) -> Batch {
    let mut batch = Batch::new();
    while let Some((&is_put, mut rest)) = body.split_first() {
        let [key, value] = [(); 2].map(|()| {
            let (length, behind) = rest.split_first_chunk::<4>().unwrap();
            let (part, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
            rest = behind;
            part.to_vec()
        });
        if is_put == 1 {
            batch.put(key, value)
        } else {
            batch.remove(key)
        }
        body = rest;
    }
    batch
}

impl Backend for Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.now.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.now.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.now.commit(batch, durability)?;
        let mut end = self.end.lock().unwrap();
        for piece in frame(batch).chunks(1_500) {
            self.disk.say(Event::Write { file: LOG, at: *end, bytes: piece.to_vec() });
            *end += piece.len();
        }
        if durability == Durability::Immediate {
            self.disk.say(Event::Sync { file: LOG });
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.disk.say(Event::Sync { file: LOG });
        Ok(())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.now.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.flush()
    }
}

/// An anchor on the same disk, of which nobody syncs the file.
#[derive(Debug)]
struct DiskAnchor(Disk);

impl ExternalAnchor for DiskAnchor {
    fn load(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn advance(&self, epoch: u64) -> io::Result<()> {
        self.0.say(Event::Write { file: ANCHOR, at: 0, bytes: epoch.to_be_bytes().to_vec() });
        Ok(())
    }
}

/// An anchor as a cut left it.
#[derive(Debug)]
struct Left(u64);

impl ExternalAnchor for Left {
    fn load(&self) -> io::Result<Option<u64>> {
        Ok(Some(self.0))
    }

    fn advance(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Small numbers from a seed.
struct Chance(SeededEntropy);

impl Chance {
    fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_be_bytes(bytes) % bound as u64).unwrap()
    }
}

/// What the disk holds after a cut that comes before the event of this number.
fn image(events: &[Event], cut: usize, sector: usize, is_honest: bool, chance: &Chance) -> [Vec<u8>; 2] {
    let mut files = [Vec::new(), Vec::new()];
    let mut unsynced: Vec<&Event> = Vec::new();
    for event in &events[..cut] {
        match event {
            Event::Write { .. } => unsynced.push(event),
            // A disk that lies mostly keeps in its cache what it was told to keep for good.
            Event::Sync { file } if is_honest || chance.below(3) == 0 => {
                unsynced.retain(|waiting| match waiting {
                    Event::Write { file: of, at, bytes } if of == file => {
                        write(&mut files[*of], *at, bytes);
                        false
                    }
                    _ => true,
                });
            }
            Event::Sync { .. } | Event::Acknowledged => {}
        }
    }
    while !unsynced.is_empty() {
        let next = unsynced.swap_remove(chance.below(unsynced.len()));
        let Event::Write { file, at, bytes } = next else { continue };
        match chance.below(3) {
            0 => {}
            1 => write(&mut files[*file], *at, bytes),
            _ => {
                // Torn where a sector ends, with one of the two sides taken.
                let first = sector - at % sector;
                let tears = bytes.len().saturating_sub(first).div_ceil(sector);
                let tear = (first + chance.below(tears + 1) * sector).min(bytes.len());
                if chance.below(2) == 0 {
                    write(&mut files[*file], *at, &bytes[..tear]);
                } else {
                    write(&mut files[*file], at + tear, &bytes[tear..]);
                }
            }
        }
    }
    files
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn builder(backend: impl Backend + 'static) -> strongroom::Builder {
    let clock = ManualClock::at_millis(NOW);
    SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32])).clock(clock)
}

/// A value of up to 20 KiB that says which call stored it.
fn value(call: usize) -> String {
    format!("{call:05} ").repeat(1 + call % 7 * 500)
}

/// Calls on a disk, one after the other.
fn history() -> Vec<Event> {
    let disk = Disk::default();
    let store = builder(Engine::new(disk.clone())).external_anchor(DiskAnchor(disk.clone())).open().unwrap();
    let secrets = store.default_secrets_manager();
    for call in 0..CALLS {
        let name = NAMES[call % NAMES.len()];
        if call < NAMES.len() {
            secrets.create_secret(CreateSecretRequest::new(name).secret_string(value(call))).unwrap();
        } else {
            secrets.put_secret_value(PutSecretValueRequest::new(name, value(call))).unwrap();
        }
        disk.say(Event::Acknowledged);
    }
    disk.events()
}

/// The calls that a store shows, if it shows exactly the first so many.
fn calls_of(store: &SecretStore) -> Option<usize> {
    let secrets = store.default_secrets_manager();
    let mut newest = BTreeMap::new();
    for name in NAMES {
        match secrets.get_secret_value(GetSecretValueRequest::new(name)) {
            Ok(read) => {
                let text = read.secret_string.unwrap().expose().to_owned();
                let call: usize = text.get(..5).unwrap().parse().unwrap();
                assert_eq!(text, value(call));
                newest.insert(name, call);
            }
            Err(error) => assert_eq!(*error.kind(), ErrorKind::ResourceNotFound),
        }
    }
    let calls = newest.values().max().map_or(0, |last| last + 1);
    let expected = (0..calls).map(|call| (NAMES[call % NAMES.len()], call)).collect::<BTreeMap<_, _>>();
    (newest == expected).then_some(calls)
}

#[derive(Debug, Default)]
struct Tally {
    images: usize,
    whole: usize,
    with_the_call_under_way: usize,
    not_yet_made: usize,
    refused: usize,
}

fn try_images(is_honest: bool, seed: u64) -> Tally {
    let events = history();
    let images = env::var("STRONGROOM_IMAGES").map_or(IMAGES, |text| text.parse().unwrap());
    let chance = Chance(SeededEntropy::new(seed));
    let mut tally = Tally::default();
    for number in 0..images {
        // Every place of the history in turn, as long as there are images.
        let cut = number % (events.len() + 1);
        let sector = if number % 2 == 0 { 512 } else { 4096 };
        let [log, anchor] = image(&events, cut, sector, is_honest, &chance);
        let acknowledged = events[..cut].iter().filter(|event| matches!(event, Event::Acknowledged)).count();
        let anchored = anchor.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let backend = Engine::recover(&log);
        tally.images += 1;
        let what = format!("image {number}: cut at {cut} of {}, sectors of {sector}", events.len());
        if backend.get(b"m").unwrap().is_none() {
            // The store is not there yet, or the disk has lost all of it and the anchor knows.
            assert!(acknowledged == 0 || !is_honest, "{what}: the store is gone");
            if is_honest || anchored == 0 {
                tally.not_yet_made += 1;
            } else {
                let error = builder(backend).external_anchor(Left(anchored)).open().unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::LostCommits { .. }), "{what}: {error:?}");
                tally.refused += 1;
            }
            continue;
        }
        match builder(backend).external_anchor(Left(anchored)).open() {
            Ok(store) => {
                let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
                assert!(report.is_clean(), "{what}: {report:#?}");
                let calls = calls_of(&store).unwrap_or_else(|| panic!("{what}: calls are missing in between"));
                if is_honest {
                    assert!((acknowledged..=acknowledged + 1).contains(&calls), "{what}: {calls} of {acknowledged}");
                } else {
                    // Whatever the anchor knows of is there. One commit made the store, and one each call.
                    assert!(calls as u64 >= anchored, "{what}: {calls} calls, and the anchor knows of {anchored}");
                }
                tally.whole += 1;
                tally.with_the_call_under_way += usize::from(calls > acknowledged);
            }
            Err(error) => {
                assert!(!is_honest, "{what}: {error:?}");
                assert!(matches!(error.kind(), ErrorKind::LostCommits { .. }), "{what}: {error:?}");
                tally.refused += 1;
            }
        }
    }
    tally
}

#[test]
fn a_power_cut_at_any_write_loses_no_acknowledged_call_and_leaves_half_of_none() {
    let tally = try_images(true, 1);
    eprintln!("power-cut images, torn at 512 B and 4 KiB: {tally:?}, 0 lost, 0 partial");
    assert!(tally.whole > tally.images / 2 && tally.with_the_call_under_way > 0, "{tally:?}");
}

/// What a disk that lies about syncs has lost cannot be there, but it is never passed over in silence.
#[test]
fn a_disk_that_lies_is_found_out_by_the_anchor() {
    let tally = try_images(false, 2);
    eprintln!("power-cut images of a disk that lies: {tally:?}, 0 lost in silence");
    assert!(tally.refused > tally.images / 10 && tally.whole > 0, "{tally:?}");
}
