//! Decoders of records: a letter for the kind, then what the seal was taken from.
//!
//! Whatever is decoded is encoded again as the same thing, in no more bytes, and decoding claims no more memory than
//! the length of the input warrants.

#![no_main]

use peak_alloc::PeakAlloc;
use strongroom::testing::fuzzing::{RECORD_KINDS, decode_record, encode_again};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that a decoder may claim before it has read anything: lists are taken on trust up to a mebibyte each.
const FIRST_BYTES: usize = 4 << 20;
/// The smallest parts of a record take a few bytes, and about fifty times as many in memory.
const BYTES_PER_BYTE: usize = 256;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((letter, bytes)) = input.split_first() else { return };
    let kind = RECORD_KINDS.into_iter().find(|kind| kind.as_bytes().first() == Some(letter));
    let kind = kind.unwrap_or(RECORD_KINDS[usize::from(*letter) % RECORD_KINDS.len()]);

    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let is_record = decode_record(kind, bytes);
    let claimed = MEMORY.peak_usage().saturating_sub(before);
    assert!(claimed <= FIRST_BYTES + BYTES_PER_BYTE * bytes.len(), "{claimed} bytes for {} bytes", bytes.len());

    if !is_record {
        assert_eq!(encode_again(kind, bytes), None);
        return;
    }
    let written = encode_again(kind, bytes).expect("what was decoded is encoded as the same thing");
    assert!(written.len() <= bytes.len(), "{} bytes became {}", bytes.len(), written.len());
    assert_eq!(encode_again(kind, &written).as_ref(), Some(&written), "nothing changes any more");
});
