//! The first look at a segment: which of its bytes are messages as they were written, and which are not.

use std::ops::Range;

use super::crc::{Crc, Ranges};
use super::format::{self, Header, KIND_CAP, MESSAGE_HEADER_BYTES_MAX, SEGMENT_HEADER_BYTES};
use super::mend;

/// Bytes of a segment that belong together.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Number of the segment, in the order of writing, whose messages these are. The first are the oldest.
    pub(super) segment: u64,
    /// Whether the segment in which they lie says the same number of itself.
    pub(super) is_at_home: bool,
    /// Where the segment is in the file, and where in the segment the piece is.
    pub(super) base: u64,
    pub(super) range: Range<usize>,
    /// Whether nothing is wrong with them.
    pub(super) is_whole: bool,
    /// For damaged bytes: what is behind them.
    pub(super) end: End,
}

/// What is behind damaged bytes, so what is known of where their last message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A message of the same segment: the last one ends right before it.
    Closed,
    /// Nothing, up to the end of the segment or of the file: the last one ends about where the bytes end.
    Open,
    /// What is left of older messages, with no mark where it begins.
    Older,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) pieces: Vec<Piece>,
    pub(super) damaged_places: u64,
}

/// What is known before the survey of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// What the segment's header says.
    pub(super) segment: Option<u64>,
    /// The highest number that a header of the log says.
    pub(super) newest: Option<u64>,
    pub(super) segment_bytes: usize,
}

/// Reads a segment that begins at `base` of the file.
pub(super) fn survey(crc: &Crc, bytes: &[u8], base: u64, known: Known) -> Survey {
    let mut walk = Walk { crc, bytes, base, known, ranges: None, found: Survey::default() };
    if known.segment.is_none() && bytes.iter().take(SEGMENT_HEADER_BYTES).any(|byte| *byte != 0) {
        walk.found.damaged_places += 1;
    }
    walk.run();
    walk.found
}

struct Walk<'a> {
    crc: &'a Crc,
    bytes: &'a [u8],
    base: u64,
    known: Known,
    /// Made when something is damaged.
    ranges: Option<Ranges<'a>>,
    found: Survey,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut at = SEGMENT_HEADER_BYTES;
        let mut is_capped = false;
        while at < self.bytes.len() && !is_capped {
            if let Some(header) = self.message(at) {
                is_capped = header.kind == KIND_CAP;
                self.add_message(at, &header);
                at = header.body.end;
                continue;
            }
            let next = self.look_on(at + 1);
            self.add_damaged(at..next.unwrap_or(self.bytes.len()), next);
            at = next.unwrap_or(self.bytes.len());
        }
    }

    /// The message that begins at a place, if it is whole.
    fn message(&self, at: usize) -> Option<Header> {
        let header = Header::read(self.bytes, at).filter(Header::is_of_known_kind)?;
        let head = self.bytes.get(Header::summed(at)..header.body.start)?;
        let is_whole = match &self.ranges {
            None => self.crc.of(&[self.bytes.get(header.body.clone())?, head]) == header.checksum,
            Some(ranges) => self.crc.pass(ranges.of(header.body.start, header.body.end), head) == header.checksum,
        };
        is_whole.then_some(header)
    }

    /// Where the next whole message begins.
    fn look_on(&mut self, from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        let silent = rest.iter().take_while(|byte| **byte == 0).count();
        if silent == rest.len() {
            return None;
        }
        if self.ranges.is_none() {
            self.ranges = Some(self.crc.ranges(self.bytes));
        }
        // A header begins with a checksum, which may begin with zeros.
        let first = from + silent.saturating_sub(MESSAGE_HEADER_BYTES_MAX);
        (first..self.bytes.len()).find(|at| self.message(*at).is_some())
    }

    fn add_message(&mut self, at: usize, header: &Header) {
        match self.found.pieces.last_mut() {
            Some(last) if last.is_whole && last.segment == header.segment && last.range.end == at => {
                last.range.end = header.body.end;
            }
            _ => self.found.pieces.push(self.piece(header.segment, at..header.body.end)),
        }
    }

    fn piece(&self, segment: u64, range: Range<usize>) -> Piece {
        let is_at_home = self.known.segment == Some(segment);
        Piece { segment, is_at_home, base: self.base, range, is_whole: true, end: End::Closed }
    }

    fn add_damaged(&mut self, range: Range<usize>, next: Option<usize>) {
        let before = self.found.pieces.last().map(|piece| piece.segment);
        let after = next.and_then(|next| Header::read(self.bytes, next)).map(|header| header.segment);
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        let is_silent = bytes.iter().all(|byte| *byte == 0);
        // No message begins in the last bytes of a segment.
        let is_margin =
            after.is_none() && self.known.segment_bytes.saturating_sub(range.start) <= MESSAGE_HEADER_BYTES_MAX;
        let owner = before.or(self.known.segment);
        // The engine may have been about to write here: what is behind its last message is older, or nothing.
        let is_tip = owner.is_some() && owner == self.known.newest && after != owner;
        let is_begun = Header::read(self.bytes, range.start).is_some_and(|header| Some(header.segment) == owner)
            || owner.filter(|_| is_tip).is_some_and(|owner| mend::is_one_bit_off(self.crc, bytes, owner));
        let is_older = matches!((owner, after), (Some(owner), Some(after)) if after < owner);
        let is_damaged = match after {
            _ if is_margin => false,
            None if is_silent && owner.is_none() => false,
            None if is_silent => !is_tip,
            None => !is_tip || is_begun,
            Some(_) => !(is_older && is_tip && !is_begun),
        };
        self.found.damaged_places += u64::from(is_damaged);
        if !is_silent {
            // What is left of older messages belongs to those that follow. The newer ones may go on before it.
            let (segment, end) = match after {
                Some(after) => (after, End::Closed),
                None => (owner.unwrap_or_default(), End::Open),
            };
            let newer = owner.filter(|owner| *owner != segment).map(|owner| (owner, End::Older));
            for (segment, end) in newer.into_iter().chain([(segment, end)]) {
                self.found.pieces.push(Piece { is_whole: false, end, ..self.piece(segment, range.clone()) });
            }
        }
    }
}

/// The number in the header of the segment of which these are the first bytes.
pub(super) fn number(crc: &Crc, bytes: &[u8], segment_bytes: usize) -> Option<u64> {
    format::segment_number(crc, bytes, segment_bytes)
}
