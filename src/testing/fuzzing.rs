//! The decoders of what is sealed in a store, for fuzz targets.
//!
//! A record is decoded only after its seal was verified, so whoever has no key cannot bring it anything. Its decoder must
//! be able to take anything all the same.

use crate::records::codec::{self, CodecError, Cursor};
use crate::records::feed;

/// The kinds of records that are decoded: secrets, the head of the store, due entries, what page tokens
/// remember, and how far a long operation has come.
pub const RECORD_KINDS: [&str; 5] = ["secret", "head", "due", "cursor", "job"];

/// Whether the bytes are a record of this kind. No bytes are one of an unknown kind.
#[must_use]
pub fn decode_record(kind: &str, bytes: &[u8]) -> bool {
    match kind {
        "secret" => codec::decode_secret(bytes, None).is_ok(),
        "head" => codec::decode_head(bytes).is_ok(),
        "due" => codec::decode_due(bytes).is_ok(),
        "cursor" => codec::decode_cursor(bytes).is_ok(),
        "job" => codec::decode_job(bytes).is_ok(),
        _ => false,
    }
}

/// What is written for the record that the bytes are. `None` if they are none, or if what is written would be read as
/// another one.
#[must_use]
pub fn encode_again(kind: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        "secret" => again(bytes, |bytes| codec::decode_secret(bytes, None), codec::encode_secret),
        "head" => again(bytes, codec::decode_head, codec::encode_head),
        "due" => again(bytes, codec::decode_due, codec::encode_due),
        "cursor" => again(bytes, codec::decode_cursor, codec::encode_cursor),
        "job" => again(bytes, codec::decode_job, codec::encode_job),
        _ => None,
    }
}

/// What is decoded of the feed of a store, and of what travels to its standby.
pub const FEED_KINDS: [&str; 7] = feed::DECODED_KINDS;

/// Whether the bytes are of this kind. No bytes are of an unknown kind.
#[must_use]
pub fn decode_feed(kind: &str, bytes: &[u8]) -> bool {
    feed::is_decoded(kind, bytes)
}

fn again<T: PartialEq>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, CodecError>,
) -> Option<Vec<u8>> {
    let record = decode(bytes).ok()?;
    let written = encode(&record).ok()?;
    (decode(&written).ok()? == record).then_some(written)
}

/// What a page token remembers, as bytes. `None` if it is too large.
#[must_use]
pub fn cursor(at: Option<i64>, name: &str) -> Option<Vec<u8>> {
    codec::encode_cursor(&Cursor { at, name: name.to_owned() }).ok()
}
