//! How the engine writes messages, pages and changes of pages, read without trust in any byte.

use std::ops::Range;

use crate::storage::{KEY_BYTES_MAX, RECORD_BYTES_MAX};

/// Bytes of a segment before its first message.
pub(super) const SEGMENT_HEADER_BYTES: usize = 20;

/// No message begins in the last bytes of a segment.
pub(super) const MESSAGE_HEADER_BYTES_MAX: usize = 32;

const CHECKSUM_BYTES: usize = 4;

/// Items of a page that is worth a look. The engine splits leaves at 17 and indexes at 257.
const ITEMS_MAX: usize = 4096;

/// What a message is.
const KIND_FIRST: u8 = 1;
pub(super) const KIND_CAP: u8 = 2;
pub(super) const KIND_FREE: u8 = 4;
pub(super) const KIND_PAGE: u8 = 8;
pub(super) const KIND_CHANGE: u8 = 10;
const KIND_LAST: u8 = 11;

/// Bytes that are read from the front.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A whole number, in as few bytes as it takes.
    pub(super) fn number(&mut self) -> Option<u64> {
        let before = self.at;
        let first = self.byte()?;
        let number = match first {
            0..=240 => return Some(first.into()),
            241..=248 => 240 + 256 * (u64::from(first) - 241) + u64::from(self.byte()?),
            249 => 2288 + 256 * u64::from(self.byte()?) + u64::from(self.byte()?),
            250..=255 => {
                let rest = self.bytes.get(self.at..)?.get(..usize::from(first) - 247)?;
                self.at += rest.len();
                little_endian(rest)
            }
        };
        let fewest = match number {
            0..=240 => 1,
            241..=2287 => 2,
            2288..=67823 => 3,
            _ => 1 + (64 - number.leading_zeros() as usize).div_ceil(8),
        };
        (self.at - before == fewest).then_some(number)
    }

    /// A number of bytes, and so many bytes: where they are.
    pub(super) fn item(&mut self, bytes_max: usize) -> Option<Range<usize>> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= bytes_max)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let item = self.at..end;
        self.at = end;
        Some(item)
    }
}

pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The header of a segment: the number of the segment, if the header is whole.
pub(super) fn segment_number(crc: &super::crc::Crc, bytes: &[u8], segment_bytes: usize) -> Option<u64> {
    let header = bytes.get(..SEGMENT_HEADER_BYTES)?;
    let (checksum, rest) = header.split_at_checked(CHECKSUM_BYTES)?;
    if u64::from(crc.of(&[rest])) != little_endian(checksum) {
        return None;
    }
    let lsn = little_endian(rest.get(..8)?) ^ (u64::MAX >> 1);
    lsn.checked_div(u64::try_from(segment_bytes).ok()?)
}

/// The header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) checksum: u32,
    pub(super) kind: u8,
    /// Of the segment to which the message belongs, in the order of writing.
    pub(super) segment: u64,
    pub(super) page: u64,
    /// Where the body is.
    pub(super) body: Range<usize>,
}

impl Header {
    /// Reads the header that begins at a place. The body lies in `bytes`, or it is no header.
    pub(super) fn read(bytes: &[u8], at: usize) -> Option<Self> {
        Self::read_cut(bytes, at).filter(|(_, is_cut)| !is_cut).map(|(header, _)| header)
    }

    /// Reads the header that begins at a place. Of a body that is too long, only what is there; tells whether it is.
    pub(super) fn read_cut(bytes: &[u8], at: usize) -> Option<(Self, bool)> {
        let checksum = bytes.get(at..)?.get(..CHECKSUM_BYTES)?;
        let checksum = u32::try_from(little_endian(checksum)).ok()?;
        let mut reader = Reader::new(bytes, at + CHECKSUM_BYTES);
        let kind = reader.byte()?;
        let length = usize::try_from(reader.number()?).ok()?;
        let segment = reader.number()?;
        let page = reader.number()?;
        let end = reader.at.checked_add(length)?;
        let is_cut = end > bytes.len();
        Some((Self { checksum, kind, segment, page, body: reader.at..end.min(bytes.len()) }, is_cut))
    }

    pub(super) fn is_of_known_kind(&self) -> bool {
        (KIND_FIRST..=KIND_LAST).contains(&self.kind)
    }

    /// Where what the checksum covers of the header begins, for a message that begins at a place.
    pub(super) fn summed(at: usize) -> usize {
        at + CHECKSUM_BYTES
    }
}

/// What is before the items of a page.
#[derive(Debug)]
pub(super) struct PageHead {
    pub(super) lo: Range<usize>,
    pub(super) hi: Range<usize>,
    /// What all keys begin with: so many bytes of `lo`.
    pub(super) prefix: Range<usize>,
    pub(super) is_leaf: bool,
    pub(super) count: usize,
    /// Where the items begin.
    pub(super) items: usize,
}

impl PageHead {
    pub(super) fn read(bytes: &[u8], body: &Range<usize>) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..body.end)?, body.start);
        reader.number()?;
        reader.number()?;
        let (_is_merging, prefix) = (reader.byte().filter(|byte| *byte <= 1)?, usize::from(reader.byte()?));
        let lo = reader.item(KEY_BYTES_MAX)?;
        let hi = reader.item(KEY_BYTES_MAX)?;
        let is_leaf = reader.byte().filter(|byte| *byte <= 1)? == 0;
        let count = usize::try_from(reader.number()?).ok().filter(|count| *count <= ITEMS_MAX)?;
        let is_ordered = hi.is_empty() || bytes.get(lo.clone())? < bytes.get(hi.clone())?;
        let is_sound = is_ordered && prefix <= lo.len() && prefix <= hi.len();
        let prefix = lo.start..lo.start + prefix;
        is_sound.then_some(Self { lo, hi, prefix, is_leaf, count, items: reader.at })
    }

    /// Keys and values of a leaf in which nothing is out of place.
    pub(super) fn leaf(&self, bytes: &[u8], body: &Range<usize>) -> Option<Vec<(Range<usize>, Range<usize>)>> {
        let mut reader = Reader::new(bytes.get(..body.end)?, self.items);
        let keys = (0..self.count).map(|_| reader.item(KEY_BYTES_MAX)).collect::<Option<Vec<_>>>()?;
        let values = (0..self.count).map(|_| reader.item(RECORD_BYTES_MAX)).collect::<Option<Vec<_>>>()?;
        (reader.at == body.end).then(|| keys.into_iter().zip(values).collect())
    }

    /// Keys and pages of an index in which nothing is out of place.
    pub(super) fn index(&self, bytes: &[u8], body: &Range<usize>) -> Option<Vec<(Range<usize>, u64)>> {
        let mut reader = Reader::new(bytes.get(..body.end)?, self.items);
        let keys = (0..self.count).map(|_| reader.item(KEY_BYTES_MAX)).collect::<Option<Vec<_>>>()?;
        let pages = (0..self.count).map(|_| reader.number()).collect::<Option<Vec<_>>>()?;
        (reader.at == body.end).then(|| keys.into_iter().zip(pages).collect())
    }
}

/// A change of one key of a page: the key without what all keys of the page begin with, and the new value.
pub(super) fn change(bytes: &[u8], body: &Range<usize>) -> Option<(Range<usize>, Option<Range<usize>>)> {
    let mut reader = Reader::new(bytes.get(..body.end)?, body.start);
    let is_removal = reader.byte().filter(|byte| *byte <= 1)? == 1;
    let key = reader.item(KEY_BYTES_MAX)?;
    let value = if is_removal { None } else { Some(reader.item(RECORD_BYTES_MAX)?) };
    (reader.at == body.end).then_some((key, value))
}
