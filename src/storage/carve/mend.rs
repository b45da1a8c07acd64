//! Bytes between messages that are not as they were written: what can still be told of them.
//!
//! One wrong bit is found by the checksum and put right. Otherwise a header that makes sense is believed, and what its
//! message holds is read item by item.

use std::ops::Range;

use super::crc::{Crc, Ranges, WrongBit, wrong_bit};
use super::format::{self, Header, KIND_CHANGE, KIND_PAGE, MESSAGE_HEADER_BYTES_MAX, PageHead};

/// A message's header is at least so long.
const HEADER_BYTES_MIN: usize = 8;

/// A page that is not told.
pub(super) const NO_PAGE: u64 = u64::MAX;

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// A message as it was written, one bit perhaps put right: where, and which.
    Mended(Header, Option<(usize, u8)>),
    /// What looks like a message. Its end may be missing.
    Damaged(Header, bool),
    /// The same, where one wrong bit explains everything and the message follows as it was written.
    Alternative(Header, bool),
    /// Bytes that end where a message ends, whose beginning is lost.
    Tail(Range<usize>),
}

/// Reads damaged bytes that belong to a segment. Hands over what it finds, with the bytes as they are at that moment.
pub(super) fn mend(crc: &Crc, bytes: &mut [u8], segment: u64, is_closed: bool, found: &mut dyn FnMut(&[u8], Found)) {
    let mender = Mender { ranges: crc.ranges(bytes), crc, segment, is_closed };
    let mut at = 0;
    while bytes.get(at..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
        let as_it_is = mender.plausible(bytes, at);
        if let Some((header, wrong)) = mender.exact(bytes, at) {
            at = header.body.end;
            if let Some((place, mask)) = wrong {
                // The other reading stays a possibility.
                if let Some((header, is_cut)) = as_it_is {
                    found(bytes, Found::Alternative(header, is_cut));
                }
                flip(bytes, place, mask);
            }
            found(bytes, Found::Mended(header, wrong));
        } else if let Some((header, is_cut)) = as_it_is {
            at = header.body.end.max(at + 1);
            found(bytes, Found::Damaged(header, is_cut));
        } else {
            let next = (at + 1..bytes.len()).find(|next| mender.plausible(bytes, *next).is_some());
            let end = next.unwrap_or(bytes.len());
            if next.is_some() || is_closed {
                mender.headless(bytes, at..end, found);
            }
            at = end;
        }
    }
}

struct Mender<'a> {
    crc: &'a Crc,
    ranges: Ranges<'a>,
    segment: u64,
    is_closed: bool,
}

impl Mender<'_> {
    fn fits(&self, header: &Header) -> bool {
        header.is_of_known_kind() && header.segment == self.segment
    }

    /// The message that begins at a place, if at most one bit of it is wrong, and which. Leaves the bytes as they are.
    fn exact(&self, bytes: &mut [u8], at: usize) -> Option<(Header, Option<(usize, u8)>)> {
        let is_last = |header: &Header| self.is_closed && header.body.end == bytes.len();
        let header = Header::read(bytes, at).filter(|header| self.fits(header) || is_last(header));
        if let Some(header) = header {
            let length = header.body.len() + header.body.start.saturating_sub(Header::summed(at));
            match wrong_bit(self.checksum(bytes, at, &header)?, header.checksum, length) {
                Some(WrongBit::Checksum) => return Some((header, None)),
                Some(WrongBit::Byte(index, mask)) => {
                    let place = match index.checked_sub(header.body.len()) {
                        None => header.body.start + index,
                        Some(index) => Header::summed(at) + index,
                    };
                    let mended = with_flipped(bytes, place, mask, |bytes| Header::read(bytes, at));
                    let is_same = |mended: &Header| mended.body == header.body && self.fits(mended);
                    if let Some(mended) = mended.filter(is_same) {
                        return Some((mended, Some((place, mask))));
                    }
                }
                None => {}
            }
        }
        // A wrong bit in the header may have moved everything behind it.
        for place in Header::summed(at)..bytes.len().min(at + MESSAGE_HEADER_BYTES_MAX) {
            for bit in 0..8 {
                let mask = 1 << bit;
                let mended = with_flipped(bytes, place, mask, |bytes| {
                    let header = Header::read(bytes, at).filter(|header| self.fits(header))?;
                    (self.checksum(bytes, at, &header)? == header.checksum && place < header.body.start)
                        .then_some(header)
                });
                if let Some(header) = mended {
                    return Some((header, Some((place, mask))));
                }
            }
        }
        None
    }

    fn checksum(&self, bytes: &[u8], at: usize, header: &Header) -> Option<u32> {
        let head = bytes.get(Header::summed(at)..header.body.start)?;
        Some(self.crc.pass(self.ranges.of(header.body.start, header.body.end), head))
    }

    /// What looks like a message at a place, and whether its end is missing.
    fn plausible(&self, bytes: &[u8], at: usize) -> Option<(Header, bool)> {
        let (header, is_cut) = Header::read_cut(bytes, at)?;
        if header.segment != self.segment {
            return None;
        }
        let end = header.body.end;
        let is_followed = || end < bytes.len() && Header::read(bytes, end).is_some_and(|next| self.fits(&next));
        let is_placed = end == bytes.len() && (self.is_closed || is_cut) || is_followed();
        let is_sound = match header.kind {
            KIND_PAGE => PageHead::read(bytes, &header.body).is_some(),
            KIND_CHANGE => !is_cut && is_placed && format::change(bytes, &header.body).is_some(),
            _ => false,
        };
        is_sound.then_some((header, is_cut))
    }

    /// Bytes that begin with a message whose header makes no sense, or in the middle of one.
    fn headless(&self, bytes: &[u8], range: Range<usize>, found: &mut dyn FnMut(&[u8], Found)) {
        let Some(bytes) = bytes.get(..range.end) else { return };
        for start in range.start + HEADER_BYTES_MIN..=range.start + MESSAGE_HEADER_BYTES_MAX {
            let body = start..range.end;
            let is_leaf = PageHead::read(bytes, &body).is_some_and(|head| head.leaf(bytes, &body).is_some());
            let is_change = format::change(bytes, &body).is_some();
            if is_leaf || is_change {
                let kind = if is_leaf { KIND_PAGE } else { KIND_CHANGE };
                let header = Header { checksum: 0, kind, segment: self.segment, page: NO_PAGE, body };
                return found(bytes, Found::Damaged(header, false));
            }
        }
        found(bytes, Found::Tail(range));
    }
}

fn flip(bytes: &mut [u8], place: usize, mask: u8) {
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= mask;
    }
}

fn with_flipped<T>(bytes: &mut [u8], place: usize, mask: u8, read: impl FnOnce(&[u8]) -> T) -> T {
    flip(bytes, place, mask);
    let out = read(bytes);
    flip(bytes, place, mask);
    out
}
