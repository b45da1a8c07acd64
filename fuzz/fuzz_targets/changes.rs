//! Decoders of what a store keeps of its commits, and of what travels to a standby: a number for the kind, then the bytes.
//!
//! Nothing breaks, and decoding claims no more memory than the length of the input warrants.

#![no_main]

use peak_alloc::PeakAlloc;
use strongroom::testing::fuzzing::{FEED_KINDS, decode_feed};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that a decoder may claim before it has read anything.
const FIRST_BYTES: usize = 4 << 20;
/// The smallest parts of a record take a few bytes, and about fifty times as many in memory.
const BYTES_PER_BYTE: usize = 256;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((number, bytes)) = input.split_first() else { return };
    let kind = FEED_KINDS[usize::from(*number) % FEED_KINDS.len()];
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let _ = decode_feed(kind, bytes);
    let claimed = MEMORY.peak_usage().saturating_sub(before);
    assert!(claimed <= FIRST_BYTES + BYTES_PER_BYTE * bytes.len(), "{claimed} bytes for {} bytes", bytes.len());
});
