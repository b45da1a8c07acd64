//! A dump: the records that an engine gave, in a file, so that the engine may fail in a process of its own.
//!
//! ```text
//! dump  = entry … || u32 0xffffffff
//! entry = F(key) || F(value)
//! ```
//!
//! A dump without its end is one whose writer failed; what it holds is of use all the same. It is read by the program that
//! had it written, and is no stored format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use crate::envelope::ad::push_field;
use crate::storage::{Backend, BackendError, KEY_BYTES_MAX, RECORD_BYTES_MAX};

const END: u32 = u32::MAX;

/// Records that are read from the engine at once.
const STEP_RECORDS: usize = 128;

/// Writes everything that a backend gives.
pub(crate) fn write(backend: &dyn Backend, out: File) -> Result<u64, BackendError> {
    let failed = |error| BackendError::Io { doing: "write what was read", error };
    let mut out = BufWriter::new(out);
    let mut last: Option<Vec<u8>> = None;
    let mut records = 0;
    loop {
        let found = backend.scan(&[], last.as_deref(), STEP_RECORDS)?;
        for (key, value) in &found {
            let mut entry = Vec::with_capacity(8 + key.len() + value.as_ref().len());
            push_field(&mut entry, key);
            push_field(&mut entry, value.as_ref());
            out.write_all(&entry).map_err(failed)?;
            records += 1;
        }
        let is_last = found.len() < STEP_RECORDS;
        last = found.into_iter().next_back().map(|(key, _)| key);
        if is_last {
            out.write_all(&END.to_be_bytes()).and_then(|()| out.flush()).map_err(failed)?;
            return Ok(records);
        }
    }
}

/// Where a value is in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    bytes: usize,
}

/// A dump that was written.
#[derive(Debug)]
pub(crate) struct Dump {
    file: File,
    places: BTreeMap<Vec<u8>, Place>,
    /// It has its end: the engine failed nowhere.
    pub(crate) is_whole: bool,
}

impl Dump {
    /// Reads the keys of a dump, up to where its writer failed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut places = BTreeMap::new();
        let mut input = BufReader::new(&file);
        let mut at = 0;
        let is_whole = loop {
            match next(&mut input, &mut at) {
                Ok(Some((key, place))) => _ = places.insert(key, place),
                Ok(None) => break true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break false,
                Err(error) => return Err(error),
            }
        };
        Ok(Self { file, places, is_whole })
    }

    /// Keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.places.keys().map(Vec::as_slice)
    }

    pub(crate) fn value(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(Place { at, bytes }) = self.places.get(key) else { return Ok(None) };
        let mut value = vec![0; *bytes];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*at))?;
        file.read_exact(&mut value)?;
        Ok(Some(value))
    }
}

fn length(input: &mut impl Read, at: &mut u64) -> io::Result<u32> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    *at += 4;
    Ok(u32::from_be_bytes(length))
}

fn next(input: &mut BufReader<&File>, at: &mut u64) -> io::Result<Option<(Vec<u8>, Place)>> {
    let bounded = |length: u32, max: usize| {
        usize::try_from(length).ok().filter(|length| *length <= max).ok_or(io::ErrorKind::UnexpectedEof)
    };
    let key_length = length(input, at)?;
    if key_length == END {
        return Ok(None);
    }
    let mut key = vec![0; bounded(key_length, KEY_BYTES_MAX)?];
    input.read_exact(&mut key)?;
    *at += u64::from(key_length);
    let value_length = length(input, at)?;
    let place = Place { at: *at, bytes: bounded(value_length, RECORD_BYTES_MAX)? };
    let skipped = io::copy(&mut input.by_ref().take(value_length.into()), &mut io::sink())?;
    if skipped < u64::from(value_length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    *at += skipped;
    Ok(Some((key, place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::MemoryBackend;
    use crate::storage::{Batch, Durability};

    #[test]
    fn what_was_written_is_read_and_a_dump_that_is_cut_gives_what_stands_before_the_cut() {
        let backend = MemoryBackend::new();
        let mut batch = Batch::new();
        for index in 0..300_u16 {
            batch.put(index.to_be_bytes().to_vec(), vec![7; usize::from(index) * 3]);
        }
        backend.commit(&batch, Durability::Immediate).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump");
        assert_eq!(write(&backend, File::create(&path).unwrap()).unwrap(), 300);
        let dump = Dump::open(&path).unwrap();
        assert!(dump.is_whole && dump.keys().count() == 300);
        assert_eq!(dump.value(&299_u16.to_be_bytes()).unwrap().unwrap(), vec![7; 897]);
        assert_eq!(dump.value(b"?").unwrap(), None);

        let bytes = std::fs::read(&path).unwrap();
        let mut most = 0;
        for cut in (0..bytes.len()).step_by(97) {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let dump = Dump::open(&path).unwrap();
            assert!(!dump.is_whole && dump.keys().count() >= most);
            most = dump.keys().count();
            assert!(dump.keys().all(|key| dump.value(key).unwrap().is_some()));
        }
    }
}
