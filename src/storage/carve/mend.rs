//! Bytes between messages that are not as they were written: what can still be told of them.
//!
//! One wrong bit is found by the checksum and put right. Otherwise a header that makes sense is believed, and what its
//! message holds is read item by item. Where the length that it tells does not fit, the message is read as one without a
//! header too.

use std::ops::Range;

use super::crc::{Crc, Ranges, WrongBit, wrong_bit};
use super::format::{self, Header, KIND_CHANGE, KIND_PAGE, MESSAGE_HEADER_BYTES_MAX, PageHead};
use super::survey::End;

/// A message's header is at least so long.
const HEADER_BYTES_MIN: usize = 8;

/// Places that are tried for the end of the last message of all: the last byte that is not zero, and zeros behind it.
const ENDS_MAX: usize = 4;

/// Bytes that are looked through for the end of a leaf whose beginning is lost. No leaf is longer.
const TAIL_BYTES_MAX: usize = 4 * 1024 * 1024;

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
pub(super) fn mend(crc: &Crc, bytes: &mut [u8], segment: u64, end: End, found: &mut dyn FnMut(&[u8], Found)) {
    let mender = Mender { ranges: crc.ranges(bytes), crc, segment, end };
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
            let end = header.body.end.max(at + 1);
            let is_in_place = mender.is_in_place(bytes, &header, is_cut);
            found(bytes, Found::Damaged(header, is_cut));
            let next = if is_in_place { None } else { mender.next(bytes, at + 1) };
            if !is_in_place {
                mender.untold(bytes, at, next, found);
            }
            at = next.unwrap_or(end).min(end);
        } else {
            let next = mender.next(bytes, at + 1);
            mender.untold(bytes, at, next, found);
            at = next.unwrap_or(bytes.len());
        }
    }
}

/// Whether damaged bytes begin with a message of a segment of which one bit is wrong.
pub(super) fn is_one_bit_off(crc: &Crc, bytes: &[u8], segment: u64) -> bool {
    let mender = Mender { ranges: crc.ranges(bytes), crc, segment, end: End::Older };
    mender.exact(&mut bytes.to_vec(), 0).is_some()
}

struct Mender<'a> {
    crc: &'a Crc,
    ranges: Ranges<'a>,
    segment: u64,
    end: End,
}

impl Mender<'_> {
    fn fits(&self, header: &Header) -> bool {
        header.is_of_known_kind() && header.segment == self.segment
    }

    /// The message that begins at a place, if at most one bit of it is wrong, and which. Leaves the bytes as they are.
    fn exact(&self, bytes: &mut [u8], at: usize) -> Option<(Header, Option<(usize, u8)>)> {
        let is_last = |header: &Header| self.end == End::Closed && header.body.end == bytes.len();
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
        let is_sound = match header.kind {
            KIND_PAGE => PageHead::read(bytes, &header.body).is_some(),
            KIND_CHANGE => !is_cut && format::change(bytes, &header.body).is_some(),
            _ => false,
        };
        is_sound.then_some((header, is_cut))
    }

    /// Whether nothing contradicts the length that the header of what looks like a message tells.
    fn is_in_place(&self, bytes: &[u8], header: &Header, is_cut: bool) -> bool {
        let end = header.body.end;
        let is_full = || {
            let head = PageHead::read(bytes, &header.body);
            head.is_some_and(|head| {
                head.leaf(bytes, &header.body).is_some() || head.index(bytes, &header.body).is_some()
            })
        };
        let is_placed =
            || if end == bytes.len() { !is_cut || self.end == End::Open } else { self.plausible(bytes, end).is_some() };
        header.kind != KIND_PAGE || is_placed() || is_full()
    }

    /// Where the next thing that looks like a message begins.
    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        (from..bytes.len()).find(|next| self.plausible(bytes, *next).is_some())
    }

    /// Bytes of which no header tells what they are, up to the next message.
    fn untold(&self, bytes: &[u8], at: usize, next: Option<usize>, found: &mut dyn FnMut(&[u8], Found)) {
        match (next, self.end) {
            (Some(end), _) => self.headless(bytes, at..end, found),
            (None, End::Closed) => self.headless(bytes, at..bytes.len(), found),
            (None, End::Open) => {
                let silent = bytes.iter().rev().take_while(|byte| **byte == 0).count();
                for end in (bytes.len().saturating_sub(silent)..=bytes.len()).take(ENDS_MAX) {
                    self.headless(bytes, at..end, found);
                }
            }
            // Without a header nothing tells the newer from the older.
            (None, End::Older) => {}
        }
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
        let start = range.start.max(range.end.saturating_sub(TAIL_BYTES_MAX));
        found(bytes, Found::Tail(start..range.end));
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
