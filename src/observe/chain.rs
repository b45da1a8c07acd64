//! The lines of an audit file, and how each is bound to the one before it. Pure: bytes in, bytes out.
//!
//! The layout is chosen so that a verifier needs no parser: the number of a line is at its beginning, its hash at its end,
//! and what is hashed is the rest, as it stands there.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256, digest};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{Error, Result};
use crate::json::to_bytes;
use crate::observe::record::AuditRecord;

/// Longest line, without its end. The longest that is written is far below: a record has at most 300 KiB of text, of which
/// every byte takes at most six.
pub(crate) const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is before the number, in every line.
const BEFORE_SEQUENCE: &[u8] = b"{\"sequence\":";
/// What is before the hash, and behind it.
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const BEHIND_HASH: &[u8] = b"\"}";
const HASH_DIGITS: usize = 64;
const SUFFIX_BYTES: usize = BEFORE_HASH.len() + HASH_DIGITS + BEHIND_HASH.len();

/// What is hashed of the first line.
const FIRST_BODY: &[u8] = b"{\"sequence\":0,\"format\":\"strongroom-audit\",\"version\":1";

/// The hash of a line of an [`AuditFile`](crate::AuditFile), and with it of everything before. As text: 64 digits, of which
/// the letters are lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditHash([u8; 32]);

impl AuditHash {
    /// The hash as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Stands before the first line.
    pub(crate) const NONE: Self = Self([0; 32]);

    pub(crate) fn finish(context: Context) -> Self {
        Self(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The hash of a line, from the one before it.
    fn next(self, body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(body);
        Self::finish(context)
    }

    fn read(digits: &[u8]) -> Option<Self> {
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Some(Self(bytes))
    }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for AuditHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.to_ascii_lowercase();
        Self::read(digits.as_bytes())
            .ok_or_else(|| Error::configuration("a hash of an audit file is 64 hexadecimal digits"))
    }
}

/// A line that has the form of one, whether it is genuine or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) sequence: u64,
    body: &'a [u8],
    pub(crate) hash: AuditHash,
}

impl<'a> Line<'a> {
    /// Reads a line without its end. `None` if it does not have the form.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let (body, hash) = split(line)?;
        let number = body.strip_prefix(BEFORE_SEQUENCE)?;
        let end = number.iter().position(|byte| *byte == b',')?;
        let sequence = number_of(number.get(..end)?)?;
        Some(Self { sequence, body, hash })
    }

    /// Whether it is the line that follows the one of this hash, under this number.
    pub(crate) fn follows(&self, previous: AuditHash, sequence: u64) -> bool {
        self.sequence == sequence && self.hash == previous.next(self.body)
    }

    pub(crate) fn is_first(&self) -> bool {
        self.body == FIRST_BODY && self.follows(AuditHash::NONE, 0)
    }

    /// The version of the format, if it is the first line of an audit file of whatever version.
    pub(crate) fn version(&self) -> Option<u16> {
        let version = self.body.strip_prefix(b"{\"sequence\":0,\"format\":\"strongroom-audit\",\"version\":")?;
        let end = version.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(version.len());
        number_of(version.get(..end)?).and_then(|version| u16::try_from(version).ok())
    }

    /// What it says of what is between it and the line before it, if that is what it is for.
    pub(crate) fn resumption(&self) -> Option<Resumption> {
        let text = std::str::from_utf8(self.body).ok()?;
        let (_, rest) = text.split_once(",\"resumed\":{\"tornBytes\":")?;
        let (torn_bytes, rest) = rest.split_once(",\"tornHash\":\"")?;
        let (torn_hash, rest) = rest.split_once("\",\"lostRecords\":")?;
        let read = Resumption {
            torn_bytes: number_of(torn_bytes.as_bytes())?,
            torn_hash: AuditHash::read(torn_hash.as_bytes())?,
            lost_records: number_of(rest.strip_suffix('}')?.as_bytes())?,
        };
        // There is one way to write it.
        (read.body(self.sequence) == text).then_some(read)
    }
}

/// The hash that a line ends with, also if its beginning is not at hand.
pub(crate) fn hash_of(line: &[u8]) -> Option<AuditHash> {
    split(line).map(|(_, hash)| hash)
}

/// What is hashed of a line, and the hash.
fn split(line: &[u8]) -> Option<(&[u8], AuditHash)> {
    let (body, suffix) = line.split_at_checked(line.len().checked_sub(SUFFIX_BYTES)?)?;
    let digits = suffix.strip_prefix(BEFORE_HASH)?.strip_suffix(BEHIND_HASH)?;
    Some((body, AuditHash::read(digits)?))
}

/// A number as it is written: without zeros in front.
fn number_of(digits: &[u8]) -> Option<u64> {
    let is_written_so = digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits.first() != Some(&b'0'));
    std::str::from_utf8(digits).ok().filter(|_| is_written_so)?.parse().ok()
}

/// What stands where the chain was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resumption {
    /// Bytes behind the last whole line, all ends of lines included.
    pub(crate) torn_bytes: u64,
    pub(crate) torn_hash: AuditHash,
    /// Records that could not be written, as far as whoever goes on knows.
    pub(crate) lost_records: u64,
}

impl Resumption {
    fn body(&self, sequence: u64) -> String {
        let Self { torn_bytes, torn_hash, lost_records } = self;
        format!(
            "{{\"sequence\":{sequence},\"resumed\":{{\"tornBytes\":{torn_bytes},\"tornHash\":\"{torn_hash}\",\
             \"lostRecords\":{lost_records}}}"
        )
    }
}

/// The end of the chain: what the next line is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) hash: AuditHash,
    /// The number of the next line.
    pub(crate) next: u64,
}

impl Head {
    /// The first line of every file, with its end, and the head behind it.
    pub(crate) fn first() -> (Vec<u8>, Self) {
        Self { hash: AuditHash::NONE, next: 0 }.line(FIRST_BODY.to_vec())
    }

    /// The line of a record. `None` if it is too long, which none is.
    pub(crate) fn record(&self, record: &AuditRecord) -> Option<(Vec<u8>, Self)> {
        let mut body = to_bytes(&Numbered { sequence: self.next, record }).ok()?;
        // The object is closed behind the hash.
        if body.pop() != Some(b'}') || body.len() > LINE_BYTES_MAX - SUFFIX_BYTES {
            return None;
        }
        Some(self.line(std::mem::take(&mut *body)))
    }

    pub(crate) fn resumption(&self, resumption: &Resumption) -> (Vec<u8>, Self) {
        self.line(resumption.body(self.next).into_bytes())
    }

    fn line(&self, body: Vec<u8>) -> (Vec<u8>, Self) {
        let hash = self.hash.next(&body);
        let mut line = body;
        line.reserve_exact(SUFFIX_BYTES + 1);
        line.extend_from_slice(BEFORE_HASH);
        line.extend_from_slice(hash.to_string().as_bytes());
        line.extend_from_slice(BEHIND_HASH);
        line.push(b'\n');
        (line, Self { hash, next: self.next.saturating_add(1) })
    }
}

/// A record with the number of its line.
struct Numbered<'a> {
    sequence: u64,
    record: &'a AuditRecord,
}

impl Serialize for Numbered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("sequence", &self.sequence)?;
        self.record.write(&mut members)?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written_and_in_no_other_way() {
        let (first, head) = Head::first();
        let first = first.strip_suffix(b"\n").unwrap();
        assert!(Line::read(first).unwrap().is_first());
        let resumption = Resumption { torn_bytes: 7, torn_hash: AuditHash::of(b"torn"), lost_records: 3 };
        let (line, _) = head.resumption(&resumption);
        let line = line.strip_suffix(b"\n").unwrap();
        let read = Line::read(line).unwrap();
        assert!(read.follows(head.hash, 1) && !read.is_first());
        assert_eq!(read.resumption(), Some(resumption));
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.to_vec();
                changed[at] ^= 1 << bit;
                let is_accepted = Line::read(&changed).is_some_and(|line| line.follows(head.hash, 1));
                assert!(!is_accepted, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn numbers_have_no_zeros_in_front() {
        for (digits, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("07", None),
            ("00", None),
            ("+7", None),
            ("", None),
            ("7 ", None),
        ] {
            assert_eq!(number_of(digits.as_bytes()), number, "{digits}");
        }
    }
}
