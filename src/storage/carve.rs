//! What the engine's log still holds, read without the engine, whatever has happened to it.
//!
//! The engine refuses a damaged log, panics on it or cuts it off. This reader changes nothing and stops at nothing: a
//! record comes out if its key and its value are there, each with the number before it that tells its length. It does not
//! judge: wrong bytes come out too, and so does what was never committed. Whoever asks authenticates every record.
//!
//! What it takes besides: What all keys of a page begin with stands in the page and in the index over it; one of them has
//! to be there, or another copy of the key. The number of a page may be lost, but not have become that of another page. A
//! key of less than eight bytes is not found without the header of its message. Nor is the last message of a segment
//! that is being written over, behind which what is left of older messages follows.
//!
//! The log is a file of segments. A segment is a header and messages; a message is a page, a change of one key of a page,
//! or bookkeeping, and tells the number of the segment for which it was written. So messages can be put into their order
//! without the headers of the segments, also those of a segment that was written over in part.

mod crc;
mod format;
mod items;
mod mend;
mod orphans;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crc::Crc;
use format::{Header, KIND_CHANGE, KIND_FREE, KIND_PAGE, PageHead, SEGMENT_HEADER_BYTES};
use mend::{Found, NO_PAGE};
use orphans::Orphan;
use survey::{Known, Piece};

/// The file of the log.
const LOG: &str = "db";

/// Values of one key that are kept in mind.
const VALUES_MAX: usize = 256;

/// Of these, values that may be none.
const GUESSES_MAX: usize = 192;

/// Last words of pages about one key that are kept in mind.
const WORDS_MAX: usize = 4;

/// Pages that are asked whether they cover a key. In a whole log the first does or none.
const COVERS_MAX: usize = 16;

/// What the reader has to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a segment.
    pub(crate) segment_bytes: usize,
    /// Whether bytes can be a key. The more exactly it answers, the fewer keys come out that never were.
    pub(crate) is_key: fn(&[u8]) -> bool,
}

/// What the files of the engine still hold.
#[derive(Debug)]
pub(crate) struct Carved {
    log: Mutex<File>,
    keys: BTreeMap<Vec<u8>, Entry>,
    /// Wrong bits that were put right, by their place in the file.
    mended: BTreeMap<u64, u8>,
    damaged_places: u64,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Entry {
    /// Distinct values, the newest last.
    places: Vec<Place>,
    /// What pages said last, the newest last.
    words: Vec<Word>,
    is_removed: bool,
}

/// Where a value is.
#[derive(Debug, Clone)]
struct Place {
    offset: u64,
    length: usize,
    digest: u64,
    order: u64,
    /// Whether wrong bits of it are to be put right.
    is_mended: bool,
    /// Whether the message in which it stands is damaged, so that it may be no value at all.
    is_guess: bool,
}

/// What one writing of a page, with the changes that follow it, says of a key.
#[derive(Debug, Clone, Copy)]
struct Word {
    page: u64,
    /// When the page was written.
    base: u64,
    order: u64,
    is_removed: bool,
}

impl Carved {
    /// Reads the log in `directory`. Nothing is changed. Tells its progress: bytes that were read, and bytes to read.
    pub(crate) fn read(directory: &Path, shape: Shape, progress: &mut dyn FnMut(u64, u64)) -> io::Result<Self> {
        let path = directory.join(LOG);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::other("the log is not a file"));
        }
        let mut log = File::open(&path)?;
        let length = log.metadata()?.len();
        let segment_bytes = shape.segment_bytes.max(SEGMENT_HEADER_BYTES);
        let crc = Crc::new(segment_bytes);
        let numbers = segment_numbers(&mut log, length, segment_bytes, &crc)?;
        let newest = numbers.iter().copied().flatten().max();

        let (mut pieces, mut damaged_places) = (Vec::new(), 0);
        let mut base = 0;
        for segment in &numbers {
            let bytes = read_at(&mut log, base, segment_bytes)?;
            let known = Known { segment: *segment, newest, segment_bytes };
            let survey = survey::survey(&crc, &bytes, base, known);
            pieces.extend(survey.pieces);
            damaged_places += survey.damaged_places;
            base += segment_bytes as u64;
            progress(base.min(length), 2 * length);
        }
        // In the order of writing. A segment that was given up may hold messages whose numbers were used again.
        pieces.sort_by_key(|piece| (piece.segment, piece.is_at_home, piece.base, piece.range.start));

        let mut reading = Reading::new(shape);
        let mut done = length;
        for piece in &pieces {
            let start = piece.base + piece.range.start as u64;
            let mut bytes = read_at(&mut log, start, piece.range.len())?;
            reading.piece(&crc, piece, &mut bytes, start);
            done += bytes.len() as u64;
            progress(done.min(2 * length), 2 * length);
        }
        reading.resolve_orphans();
        reading.settle();
        let Reading { keys, mended, .. } = reading;
        Ok(Self { log: Mutex::new(log), keys, mended, damaged_places })
    }

    /// Keys in order; for each whether the newest thing that the log says is that it was removed.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.keys.iter().map(|(key, entry)| (key.as_slice(), entry.is_removed))
    }

    /// Every distinct value that the log still holds for a key, the newest first, 256 at most.
    pub(crate) fn values(&self, key: &[u8]) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let places = self.keys.get(key).map(|entry| entry.places.as_slice()).unwrap_or_default();
        places.iter().rev().map(|place| self.value(place))
    }

    /// Places in the log that could not be understood although something was written there.
    pub(crate) fn damaged_places(&self) -> u64 {
        self.damaged_places
    }

    fn value(&self, place: &Place) -> io::Result<Vec<u8>> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut value = read_at(&mut log, place.offset, place.length)?;
        if value.len() < place.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if place.is_mended {
            for (at, mask) in self.mended.range(place.offset..place.offset + place.length as u64) {
                let byte = usize::try_from(at - place.offset).ok().and_then(|index| value.get_mut(index));
                byte.into_iter().for_each(|byte| *byte ^= mask);
            }
        }
        Ok(value)
    }
}

/// The numbers that the headers of the segments tell.
fn segment_numbers(log: &mut File, length: u64, segment_bytes: usize, crc: &Crc) -> io::Result<Vec<Option<u64>>> {
    let mut numbers = Vec::new();
    let mut base = 0;
    while base < length {
        let header = read_at(log, base, SEGMENT_HEADER_BYTES)?;
        numbers.push(survey::number(crc, &header, segment_bytes));
        base += segment_bytes as u64;
    }
    Ok(numbers)
}

/// Reads bytes of a file, fewer if it ends before.
fn read_at(file: &mut File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A page as it was last written.
#[derive(Debug)]
struct Page {
    order: u64,
    lo: Vec<u8>,
    hi: Vec<u8>,
    prefix: Vec<u8>,
    /// Whether nothing was wrong with it.
    is_whole: bool,
}

impl Page {
    fn covers(&self, key: &[u8]) -> bool {
        self.lo.as_slice() <= key && (self.hi.is_empty() || key < self.hi.as_slice())
    }
}

/// The state while messages are read in their order.
#[derive(Debug)]
struct Reading {
    shape: Shape,
    keys: BTreeMap<Vec<u8>, Entry>,
    mended: BTreeMap<u64, u8>,
    /// Leaves that were not given up since.
    pages: HashMap<u64, Page>,
    /// What indexes say which keys a page is for: from, to.
    children: HashMap<u64, (Vec<u8>, Vec<u8>)>,
    orphans: Vec<Orphan>,
    order: u64,
    /// Whether what is read adds values and decides nothing.
    is_silent: bool,
}

/// A message and where it is.
struct Message<'a> {
    bytes: &'a [u8],
    header: &'a Header,
    /// Where `bytes` begins in the file.
    start: u64,
    is_whole: bool,
    /// Whether its end is missing.
    is_cut: bool,
}

impl Message<'_> {
    fn get(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn body(&self) -> &Range<usize> {
        &self.header.body
    }
}

impl Reading {
    fn new(shape: Shape) -> Self {
        let (keys, mended, is_silent) = (BTreeMap::new(), BTreeMap::new(), false);
        Self {
            shape,
            keys,
            mended,
            pages: HashMap::new(),
            children: HashMap::new(),
            orphans: Vec::new(),
            order: 0,
            is_silent,
        }
    }

    fn piece(&mut self, crc: &Crc, piece: &Piece, bytes: &mut [u8], start: u64) {
        if !piece.is_whole {
            mend::mend(crc, bytes, piece.segment, piece.end, &mut |bytes, found| self.found(bytes, found, start));
            return;
        }
        let mut at = 0;
        while let Some(header) = Header::read(bytes, at) {
            self.message(&Message { bytes, header: &header, start, is_whole: true, is_cut: false });
            at = header.body.end;
        }
    }

    fn found(&mut self, bytes: &[u8], found: Found, start: u64) {
        match found {
            Found::Mended(header, wrong) => {
                if let Some((place, mask)) = wrong {
                    self.mended.insert(start + place as u64, mask);
                }
                self.message(&Message { bytes, header: &header, start, is_whole: true, is_cut: false });
            }
            Found::Damaged(header, is_cut) => {
                self.message(&Message { bytes, header: &header, start, is_whole: false, is_cut });
            }
            Found::Alternative(header, is_cut) => {
                self.is_silent = true;
                let orphans = self.orphans.len();
                self.message(&Message { bytes, header: &header, start, is_whole: false, is_cut });
                self.orphans.truncate(orphans);
                self.is_silent = false;
            }
            Found::Tail(range) => self.tail(bytes, range, NO_PAGE, start),
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        self.order += 1;
        match message.header.kind {
            KIND_PAGE => self.page(message),
            KIND_CHANGE => self.change(message),
            KIND_FREE if message.is_whole => {
                self.pages.remove(&message.header.page);
            }
            _ => {}
        }
    }

    fn page(&mut self, message: &Message<'_>) {
        let page = message.header.page;
        if !self.is_silent {
            self.pages.remove(&page);
        }
        let Some(head) = PageHead::read(message.bytes, message.body()) else {
            return self.tail(message.bytes, message.body().clone(), page, message.start);
        };
        if !head.is_leaf {
            return if message.is_whole {
                self.index(message, &head)
            };
        }
        let prefix = message.get(&head.prefix).to_vec();
        let whole = |key: &[u8]| [prefix.as_slice(), key].concat();
        let order = self.order;
        let leaf = Page {
            order,
            lo: message.get(&head.lo).to_vec(),
            hi: message.get(&head.hi).to_vec(),
            prefix: prefix.clone(),
            is_whole: message.is_whole,
        };
        let is_key = self.shape.is_key;
        let in_place = head.leaf(message.bytes, message.body());
        let is_in_place = in_place.is_some();
        let mut pairs = in_place.unwrap_or_default();
        if !is_in_place && message.is_cut {
            pairs = items::first_pairs(message.bytes, message.body(), &head);
        } else if !message.is_whole {
            // Also where items fit: they may by chance, and not be where they were.
            pairs.extend(items::pairs(message.bytes, message.body(), &head, &|key| is_key(&whole(key))));
        }
        let mut places = HashMap::new();
        for (key, value) in pairs {
            let key = message.get(&key);
            let place = places.entry(value).or_insert_with_key(|value| self.place(message, value)).clone();
            if message.is_whole || leaf.covers(&whole(key)) && is_key(&whole(key)) {
                self.note(whole(key), Some(place), Word { page, base: order, order, is_removed: false });
            } else {
                // What its key begins with is damaged, or the key is.
                let (suffix, place) = (key.to_vec(), Some(place));
                self.orphans.push(Orphan { suffix, page, order, is_removed: false, place });
            }
        }
        if page != NO_PAGE && !self.is_silent {
            self.pages.insert(page, leaf);
        }
        if !is_in_place && !message.is_cut {
            // The number of items may be damaged.
            self.tail(message.bytes, head.items..message.body().end, page, message.start);
        }
    }

    fn index(&mut self, message: &Message<'_>, head: &PageHead) {
        let prefix = message.get(&head.prefix);
        let children = head.index(message.bytes, message.body()).unwrap_or_default();
        let mut hi = message.get(&head.hi).to_vec();
        for (key, page) in children.into_iter().rev() {
            let lo = [prefix, message.get(&key)].concat();
            self.children.insert(page, (lo.clone(), hi));
            hi = lo;
        }
    }

    fn change(&mut self, message: &Message<'_>) {
        let Some((suffix, value)) = format::change(message.bytes, message.body()) else { return };
        let (page, order, suffix) = (message.header.page, self.order, message.get(&suffix));
        let place = value.as_ref().map(|value| self.place(message, value));
        let is_removed = value.is_none();
        let known = self.pages.get(&page).and_then(|leaf| {
            let key = [leaf.prefix.as_slice(), suffix].concat();
            (leaf.covers(&key) && (self.shape.is_key)(&key)).then_some((key, leaf.order))
        });
        match known {
            Some((key, base)) => {
                // What is damaged has no say about what the page is now.
                let base = if message.is_whole { base } else { 0 };
                self.note(key, place, Word { page, base, order, is_removed });
            }
            None => {
                self.orphans.push(Orphan { suffix: suffix.to_vec(), page, order, is_removed, place });
            }
        }
    }

    /// The end of a leaf whose beginning is lost.
    fn tail(&mut self, bytes: &[u8], range: Range<usize>, page: u64, start: u64) {
        self.order += 1;
        let order = self.order;
        let Some(bytes) = bytes.get(..range.end) else { return };
        let header = Header { checksum: 0, kind: KIND_PAGE, segment: 0, page, body: range.clone() };
        let message = Message { bytes, header: &header, start, is_whole: false, is_cut: false };
        let mut places = HashMap::new();
        for (key, value) in items::last_pairs(bytes, range.start) {
            let place = Some(places.entry(value).or_insert_with_key(|value| self.place(&message, value)).clone());
            let suffix = message.get(&key).to_vec();
            self.orphans.push(Orphan { suffix, page, order, is_removed: false, place });
        }
    }

    fn place(&self, message: &Message<'_>, value: &Range<usize>) -> Place {
        let bytes = message.get(value);
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Place {
            offset: message.start + value.start as u64,
            length: bytes.len(),
            digest: hasher.finish(),
            order: self.order,
            is_mended: message.is_whole,
            is_guess: !message.is_whole,
        }
    }

    fn note(&mut self, key: Vec<u8>, place: Option<Place>, word: Word) {
        if !(self.shape.is_key)(&key) || self.is_silent && place.is_none() {
            return;
        }
        let Entry { places, words, is_removed: _ } = self.keys.entry(key).or_default();
        if let Some(place) = place {
            let is_same = |other: &Place| other.digest == place.digest && other.length == place.length;
            let guesses = places.iter().filter(|other| other.is_guess).count();
            if !place.is_guess {
                places.retain(|other| !is_same(other));
                places.push(place);
            } else if guesses < GUESSES_MAX && !places.iter().any(is_same) {
                places.push(place);
            }
            if places.len() > VALUES_MAX {
                // Guesses are few, and are not to push out what is sure, nor the other way round.
                let oldest = places.iter().position(|other| !other.is_guess).unwrap_or_default();
                places.remove(oldest);
            }
        }
        if self.is_silent {
            return;
        }
        words.retain(|other| (other.page, other.base) != (word.page, word.base));
        words.push(word);
        if words.len() > WORDS_MAX {
            words.remove(0);
        }
    }

    /// Decides of every key whether it is there. The page that is for it has the last word. If that is damaged, the
    /// newest word counts.
    fn settle(&mut self) {
        let mut by_start: BTreeMap<(&[u8], u64), (u64, &Page)> = BTreeMap::new();
        for (page, leaf) in self.pages.iter().filter(|(_, leaf)| leaf.is_whole) {
            by_start.insert((&leaf.lo, leaf.order), (*page, leaf));
        }
        for (key, entry) in &mut self.keys {
            entry.places.sort_by_key(|place| place.order);
            let before = by_start.range((Bound::Unbounded, Bound::Included((key.as_slice(), u64::MAX))));
            let covers = before.rev().take(COVERS_MAX).filter(|(_, (_, leaf))| leaf.covers(key));
            let last_word = match covers.max_by_key(|((_, order), _)| *order) {
                Some((_, (page, leaf))) => {
                    // A damaged change of the page does not tell on which writing of it it is based.
                    let is_damaged = |word: &Word| word.base == 0 && word.order > leaf.order;
                    let of_page = |word: &&Word| (word.page, word.base) == (*page, leaf.order) || is_damaged(word);
                    let words = entry.words.iter().filter(of_page);
                    words.max_by_key(|word| word.order).is_none_or(|word| word.is_removed)
                }
                None => entry.words.iter().max_by_key(|word| word.order).is_none_or(|word| word.is_removed),
            };
            entry.is_removed = last_word;
        }
    }
}
