//! The file of a backup: the header, every record as it is stored, the head, and a code that authenticates the whole.
//!
//! ```text
//! "STRONGBK" || u16 format || F(header) || entry … || u8 0 || F(head) || HMAC(root/backup, everything before)
//! entry = u8 1 || F(key) || F(value)                      a record
//!       | u8 2 || F(key) || F(element) || F(value)        a record of an entry before was changed meanwhile
//! ```
//!
//! The element is what the record counted as in the set hash until then, or empty; the value is empty if the record was
//! removed. So the set hash of the result can be computed without remembering anything.

use std::io::{self, Read, Write};

use ring::hmac;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::envelope::ad::{FORMAT, push_field};
use crate::envelope::root::{RootKeys, Roots};
use crate::error::{Error, ErrorKind, Result};
use crate::records::codec::Head;
use crate::records::header::HEADER_BYTES_MAX;
use crate::records::manifest::{SetHash, Tally};
use crate::records::open_head;
use crate::records::sweep::{Told, disagreement, is_outside};
use crate::storage::{Batch, KEY_BYTES_MAX, RECORD_BYTES_MAX};

const MAGIC: &[u8; 8] = b"STRONGBK";
const MAC_BYTES: usize = 32;

const END: u8 = 0;
const RECORD: u8 = 1;
const CHANGE: u8 = 2;

/// Writes a backup.
pub(crate) struct Writer<W> {
    out: W,
    mac: hmac::Context,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W, root: &RootKeys, header: &[u8]) -> io::Result<Self> {
        let mut writer = Self { out, mac: hmac::Context::with_key(&root.backup), bytes: 0 };
        let mut start = MAGIC.to_vec();
        start.extend_from_slice(&FORMAT.to_be_bytes());
        push_field(&mut start, header);
        writer.write(&start)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.mac.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    pub(crate) fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let mut entry = Vec::with_capacity(9 + key.len() + value.len());
        entry.push(RECORD);
        push_field(&mut entry, key);
        push_field(&mut entry, value);
        self.write(&entry)
    }

    pub(crate) fn change(&mut self, told: &Told) -> io::Result<()> {
        let value = told.value.as_deref().unwrap_or_default();
        let before = told.effect.before.map(<[u8; 32]>::from);
        let mut entry = Vec::with_capacity(64 + told.key.len() + value.len());
        entry.push(CHANGE);
        push_field(&mut entry, &told.key);
        push_field(&mut entry, before.as_ref().map_or(&[], |before| before.as_slice()));
        push_field(&mut entry, value);
        self.write(&entry)
    }

    /// Ends the backup. Gives what it was written to, and the bytes.
    pub(crate) fn finish(mut self, head: &[u8]) -> io::Result<(W, u64)> {
        let mut end = vec![END];
        push_field(&mut end, head);
        self.write(&end)?;
        let Self { mut out, mac, bytes } = self;
        let mac = mac.sign();
        out.write_all(mac.as_ref())?;
        Ok((out, bytes + mac.as_ref().len() as u64))
    }
}

/// What comes next in a backup.
enum Entry {
    Record { key: Vec<u8>, value: Vec<u8> },
    Change { key: Vec<u8>, before: Option<SetHash>, value: Option<Vec<u8>> },
    End { head: Vec<u8> },
}

/// Reads a backup. Nothing it gives is to be used before [`check`](Reader::check) has read the whole once.
pub(crate) struct Reader<R> {
    input: R,
    /// Of everything that was read.
    seen: Seen,
    /// The header of the store.
    pub(crate) header: Vec<u8>,
}

enum Seen {
    /// No key is known yet.
    Start(Vec<u8>),
    Mac(Box<hmac::Context>),
}

fn unreadable(why: &str) -> Error {
    Error::new(ErrorKind::BackupFile, format!("the backup {why}"))
}

fn failed(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return unreadable("is cut short");
    }
    Error::new(ErrorKind::Storage, format!("cannot read the backup: {error}")).with_source(error)
}

impl<R: Read> Reader<R> {
    /// Reads the beginning.
    pub(crate) fn new(input: R) -> Result<Self> {
        let mut reader = Self { input, seen: Seen::Start(Vec::new()), header: Vec::new() };
        let mut magic = [0; MAGIC.len()];
        match reader.fill(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if *error.kind() != ErrorKind::BackupFile => return Err(error),
            _ => return Err(unreadable("is not one: it does not begin like a backup")),
        }
        let mut format = [0; 2];
        reader.fill(&mut format)?;
        let found = u16::from_be_bytes(format);
        if found != FORMAT {
            let text = format!("the backup has format {found}, and this version reads {FORMAT}");
            return Err(Error::new(ErrorKind::UnsupportedFormat { found, newest: FORMAT }, text));
        }
        reader.header = reader.field(HEADER_BYTES_MAX)?;
        Ok(reader)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(failed)?;
        match &mut self.seen {
            Seen::Start(start) => start.extend_from_slice(bytes),
            Seen::Mac(mac) => mac.update(bytes),
        }
        Ok(())
    }

    fn field(&mut self, max: usize) -> Result<Vec<u8>> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > max {
            return Err(unreadable("is damaged"));
        }
        let mut field = vec![0; length];
        self.fill(&mut field)?;
        Ok(field)
    }

    fn next(&mut self) -> Result<Entry> {
        let mut kind = [0];
        self.fill(&mut kind)?;
        let [kind] = kind;
        if kind == END {
            return Ok(Entry::End { head: self.field(RECORD_BYTES_MAX)? });
        }
        let key = self.field(KEY_BYTES_MAX)?;
        if is_outside(&key) {
            return Err(unreadable("is damaged"));
        }
        match kind {
            RECORD => Ok(Entry::Record { key, value: self.field(RECORD_BYTES_MAX)? }),
            CHANGE => {
                let before = match self.field(32)?.as_slice() {
                    [] => None,
                    bytes => Some(SetHash::from(*bytes.first_chunk().ok_or_else(|| unreadable("is damaged"))?)),
                };
                let value = Some(self.field(RECORD_BYTES_MAX)?).filter(|value| !value.is_empty());
                Ok(Entry::Change { key, before, value })
            }
            _ => Err(unreadable("is damaged")),
        }
    }

    /// From here on everything is authenticated.
    fn key(&mut self, root: &RootKeys) {
        if let Seen::Start(start) = &self.seen {
            let mut mac = hmac::Context::with_key(&root.backup);
            mac.update(start);
            self.seen = Seen::Mac(Box::new(mac));
        }
    }

    /// Reads on to the end, giving each entry to `apply` as a batch of one change.
    pub(crate) fn replay(mut self, root: &RootKeys, mut apply: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        self.key(root);
        loop {
            let mut batch = Batch::new();
            match self.next()? {
                Entry::Record { key, value } | Entry::Change { key, value: Some(value), .. } => batch.put(key, value),
                Entry::Change { key, value: None, .. } => batch.remove(key),
                Entry::End { .. } => return Ok(()),
            }
            apply(batch)?;
        }
    }

    /// Reads on to the end, and gives the head if everything is as it was written. `step` is told of the bytes read.
    pub(crate) fn check(mut self, roots: &Roots, store: &Uuid, mut step: impl FnMut(u64)) -> Result<Head> {
        self.key(&roots.newest);
        let mut tally = Tally::default();
        let mut bytes = 0;
        let stored = loop {
            match self.next()? {
                Entry::Record { key, value } => {
                    tally.add(SetHash::of_record(roots, &key, &value));
                    bytes += key.len() + value.len();
                }
                Entry::Change { key, before, value } => {
                    if let Some(before) = before {
                        tally.subtract(before);
                    }
                    if let Some(value) = &value {
                        tally.add(SetHash::of_record(roots, &key, value));
                    }
                    bytes += key.len() + value.map_or(0, |value| value.len());
                }
                Entry::End { head } => break head,
            }
            step(bytes as u64);
        };
        let Self { mut input, seen, .. } = self;
        let mut mac = [0; MAC_BYTES];
        input.read_exact(&mut mac).map_err(failed)?;
        let is_authentic = match seen {
            Seen::Mac(seen) => bool::from(seen.sign().as_ref().ct_eq(&mac)),
            Seen::Start(_) => false,
        };
        if !is_authentic {
            return Err(unreadable("is damaged or was edited"));
        }
        if input.read(&mut mac).map_err(failed)? > 0 {
            return Err(unreadable("is followed by something else"));
        }
        let head = open_head(roots, store, &stored)?;
        match disagreement(&head, tally) {
            Some(what) => Err(unreadable(&format!("is of a damaged store: {what}"))),
            None => Ok(head),
        }
    }
}
