//! The reader against a log that is written here, byte by byte, and is damaged at every place.
//!
//! The engine's threads decide what its logs look like, so a log of its own does not come twice. This one does, and has
//! behind its last message what there can be: nothing, zeros, or what is left of older messages.

use std::fs;
use std::ops::Range;
use std::path::Path;

use super::super::crc::Crc;
use super::super::format::{Header, KIND_CHANGE, KIND_PAGE};
use super::super::{Carved, LOG, Shape};
use super::{Dice, Records, Stand, is_key, messages, missing, stands, times, value};

const SEGMENT_BYTES: usize = 16 * 1024;
const LEAF_SEGMENT_BYTES: usize = 64 * 1024;

/// Numbers of segments that are shorter and longer than a byte.
const OLDER: u64 = 3;
const NEWER: u64 = 700;

struct Writer {
    crc: Crc,
    dice: Dice,
}

/// The lowest bytes of a number, the lowest first.
fn low(number: u64, count: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().rev().take(count).collect()
}

fn number(number: u64) -> Vec<u8> {
    match number {
        0..=240 => low(number, 1),
        241..=2287 => [low(241 + (number - 240) / 256, 1), low((number - 240) % 256, 1)].concat(),
        _ => [vec![249], low((number - 2288) / 256, 1), low((number - 2288) % 256, 1)].concat(),
    }
}

fn item(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A page: `lo`, `hi`, how many bytes all keys begin with, and what its items are.
fn page(lo: &[u8], hi: &[u8], prefix: u8, is_leaf: bool, keys: &[&[u8]], others: &[Vec<u8>]) -> Vec<u8> {
    let keys = keys.iter().map(|key| item(&key[usize::from(prefix)..])).collect::<Vec<_>>().concat();
    let head = [vec![0, 0, 0, prefix], item(lo), item(hi), vec![u8::from(!is_leaf)], number(others.len() as u64)];
    [head.concat(), keys, others.concat()].concat()
}

impl Writer {
    fn message(&self, kind: u8, segment: u64, page: u64, body: &[u8]) -> Vec<u8> {
        let header = [vec![kind], number(body.len() as u64), number(segment), number(page)].concat();
        [low(self.crc.of(&[body, &header]).into(), 4), header, body.to_vec()].concat()
    }

    fn segment_header(&self, segment: u64) -> Vec<u8> {
        let number = |number: u64| low(number ^ (u64::MAX >> 1), 8);
        let rest = [number(segment * SEGMENT_BYTES as u64), number(0)].concat();
        [low(self.crc.of(&[&rest]).into(), 4), rest].concat()
    }

    /// A leaf of versions and one of secrets, an index over both, and changes.
    fn messages(&mut self, segment: u64, records: &mut Records) -> Vec<u8> {
        let mut key = |family: u8, order: u8| [vec![family, order], self.dice.bytes(23)].concat();
        let keys: Vec<_> = (0..12).map(|order| key(if order < 6 { b's' } else { b'v' }, order)).collect();
        let values: Vec<_> = keys
            .iter()
            .map(|_| {
                let length = 20 + self.dice.below(260);
                self.dice.bytes(length)
            })
            .collect();
        records.extend(keys.iter().cloned().zip(values.iter().cloned()));
        // What keys begin with stands in the index and in the leaves. What is between them keeps them from being lost together.
        let gap = page(b"vz", b"", 0, true, &[&[b"vz", [7; 23].as_slice()].concat()], &[item(&self.dice.bytes(600))]);
        let leaf = |lo: &[u8], hi: &[u8], range: Range<usize>| {
            let names: Vec<&[u8]> = keys[range.clone()].iter().map(Vec::as_slice).collect();
            let items: Vec<_> = values[range].iter().map(|value| item(value)).collect();
            page(lo, hi, 1, true, &names, &items)
        };
        let change = |page: u64, index: usize| {
            let body = [vec![0], item(&keys[index][1..]), item(&values[index])].concat();
            self.message(KIND_CHANGE, segment, page, &body)
        };
        let index = page(b"", b"", 0, false, &[b"", b"s", b"sz", b"v", b"vz"], &[6, 4, 7, 5, 8].map(number));
        [
            self.message(KIND_PAGE, segment, 3, &index),
            self.message(KIND_PAGE, segment, 8, &gap),
            self.message(KIND_PAGE, segment, 4, &leaf(b"s", b"sz", 0..3)),
            self.message(KIND_PAGE, segment, 5, &leaf(b"v", b"vz", 6..9)),
            change(4, 3),
            change(5, 9),
            change(5, 10),
            change(4, 4),
            change(4, 5),
            change(5, 11),
        ]
        .concat()
    }
}

/// A log of one leaf that is as full as its dice say, with a message behind it.
fn one_leaf(writer: &Writer, dice: &mut Dice, records: &mut Records) -> Vec<u8> {
    let count = 1 + dice.below(17);
    for _ in 0..count {
        let key = [b"v".as_slice(), &dice.bytes(24)].concat();
        records.insert(key, value(dice, 3000));
    }
    let keys: Vec<_> = records.keys().map(Vec::as_slice).collect();
    let values: Vec<_> = records.values().map(|value| item(value)).collect();
    let index = page(b"", b"", 0, false, &[b"", b"v", b"w"], &[6, 5, 8].map(number));
    let other = page(b"w", b"", 0, true, &[&[b'w'; 25]], &[item(&dice.bytes(600))]);
    [
        writer.segment_header(NEWER),
        writer.message(KIND_PAGE, NEWER, 3, &index),
        writer.message(KIND_PAGE, NEWER, 8, &other),
        writer.message(KIND_PAGE, NEWER, 5, &page(b"v", b"w", 0, true, &keys, &values)),
        writer.message(KIND_PAGE, NEWER, 8, &other),
    ]
    .concat()
}

#[test]
fn what_is_left_of_a_leaf_comes_out() {
    let writer = Writer { crc: Crc::new(LEAF_SEGMENT_BYTES), dice: Dice::new(0) };
    let directory = tempfile::tempdir().unwrap();
    let (mut leaves, mut lost) = (0, 0);
    for seed in 0..times(400, 10_000) as u64 {
        let (mut dice, mut records) = (Dice::new(1000 + seed), Records::new());
        let whole = one_leaf(&writer, &mut dice, &mut records);
        let stands = stands(&whole, &records);
        let leaf = messages(&whole)[2].body.clone();
        let start = leaf.start + dice.below(leaf.len());
        let damage = start..leaf.end.min(start + 512);
        let mut log = whole.clone();
        log[damage.clone()].fill(0);
        let carved = carve(directory.path(), &log, LEAF_SEGMENT_BYTES);
        for key in missing(&carved, &records) {
            assert!(stands[key].iter().all(|stand| stand.is_hit(&damage)), "seed {seed}, {damage:?}: {key:02x?}");
            lost += 1;
        }
        leaves += 1;
    }
    assert!(lost > 0);
    eprintln!("leaves: {leaves}, {lost} records lost, none of them outside");
}

fn carve(directory: &Path, log: &[u8], segment_bytes: usize) -> Carved {
    fs::write(directory.join(LOG), log).unwrap();
    Carved::read(directory, Shape { segment_bytes, is_key }, &mut |_, _| {}).unwrap()
}

#[test]
fn one_wrong_bit_of_the_last_message_is_told_and_costs_nothing() {
    let mut writer = Writer { crc: Crc::new(SEGMENT_BYTES), dice: Dice::new(22) };
    let mut records = Records::new();
    let newer = [writer.segment_header(NEWER), writer.messages(NEWER, &mut records)].concat();
    let older = [writer.messages(OLDER, &mut Records::new()), writer.messages(OLDER, &mut Records::new())].concat();
    let messages = messages(&newer);
    let [.., before_last, _] = messages.as_slice() else { panic!("too few messages") };
    let directory = tempfile::tempdir().unwrap();
    for behind in [Vec::new(), vec![0; 3000], older[100..].to_vec()] {
        for (at, bit) in (before_last.body.end..newer.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut log = [newer.as_slice(), &behind].concat();
            log[at] ^= 1 << bit;
            let carved = carve(directory.path(), &log, SEGMENT_BYTES);
            assert_eq!(missing(&carved, &records), Vec::<&Vec<u8>>::new(), "bit {bit} of byte {at}");
            assert_eq!(carved.damaged_places(), 1, "bit {bit} of byte {at}, {} bytes behind", behind.len());
        }
    }
}

#[test]
fn whatever_is_lost_of_a_small_log_what_is_outside_comes_out() {
    let mut writer = Writer { crc: Crc::new(SEGMENT_BYTES), dice: Dice::new(21) };
    let mut records = Records::new();
    let newer = [writer.segment_header(NEWER), writer.messages(NEWER, &mut records)].concat();
    let older = [writer.messages(OLDER, &mut Records::new()), writer.messages(OLDER, &mut Records::new())].concat();
    let stands = stands(&newer, &records);
    let messages = messages(&newer);
    let [.., before_last, last] = messages.as_slice() else { panic!("too few messages") };
    let last_header = Header::summed(before_last.body.end)..last.body.start + 1;
    let directory = tempfile::tempdir().unwrap();
    let behind = [("nothing", Vec::new()), ("zeros", vec![0; 3000]), ("older messages", older[100..].to_vec())];
    let (mut tried, mut lost) = (0, 0);
    for (name, behind) in behind {
        let whole = [newer.clone(), behind].concat();
        assert_eq!(missing(&carve(directory.path(), &whole, SEGMENT_BYTES), &records), Vec::<&Vec<u8>>::new());
        for length in [1, 2, 5, 17, 40, 150, 512] {
            let step = times(1 + newer.len() / 15, 1);
            // The beginning of the last message more densely.
            let around_last = last_header.start.saturating_sub(length + 10)..last_header.end + 10;
            for start in (0..newer.len()).step_by(step).chain(around_last.step_by(times(4, 1))) {
                for is_noise in [false, true] {
                    let damage = start..newer.len().min(start + length);
                    // Noise, but not the number of another page, or zeros.
                    let noise = writer.dice.bytes(damage.len()).into_iter().map(|byte| byte | 0x80);
                    let fill = noise.map(|byte| if is_noise { byte } else { 0 });
                    let mut log = whole.clone();
                    log.splice(damage.clone(), fill.collect::<Vec<_>>());
                    let carved = carve(directory.path(), &log, SEGMENT_BYTES);
                    // Only its header tells the last message from what is left of older ones.
                    let is_header_hit =
                        name == "older messages" && last_header.start < damage.end && damage.start < last_header.end;
                    for key in missing(&carved, &records) {
                        let is_hit =
                            |stand: &Stand| stand.is_hit(&damage) || is_header_hit && stand.value.end == last.body.end;
                        assert!(stands[key].iter().all(is_hit), "{name}, noise {is_noise}, {damage:?}: {key:02x?}");
                        lost += 1;
                    }
                    tried += 1;
                }
            }
        }
    }
    assert!(lost > 0);
    eprintln!("small logs: {tried}, {lost} records lost, none of them outside");
}
