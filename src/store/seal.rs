//! The seal: what the engine's files looked like when the store was closed.
//!
//! The engine repairs what it finds when it opens, and destroys the evidence. The seal is checked before, so that files
//! that were changed while the store was closed are noticed and left as they are. It is removed before the engine is let
//! in; after an unclean end there is none, and the anchor and the set hash decide.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::thread;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::envelope::ad::{FORMAT, Fields, push_field};
use crate::envelope::wiped::Wiped;
use crate::error::{Error, ErrorKind, Result};
use crate::files;

const MAGIC: &[u8; 8] = b"STRONGSE";
const MAC_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;
const NAME_BYTES_MAX: usize = 1024;

/// Longest seal that is read: thousands of files, where the engine has a handful.
const SEAL_BYTES_MAX: u64 = 1024 * 1024;

/// What is read of a file at once, and authenticated by one tag.
const BLOCK_BYTES: usize = 256 * 1024;

/// Threads that read one file at once, and what each of them has to do at least.
const WORKERS_MAX: u64 = 8;
const BLOCKS_A_WORKER_MIN: u64 = 16;

/// Random bytes that make the key of one seal.
const SALT_BYTES: usize = 32;
pub(super) type Salt = [u8; SALT_BYTES];

/// A file's length, and what its blocks' tags come to.
type Digest = (u64, [u8; DIGEST_BYTES]);

/// What a seal says.
#[derive(Debug)]
pub(super) struct Seal {
    /// Number of the newest commit.
    pub(super) epoch: u64,
    salt: Salt,
    /// The engine's files, by their paths inside its directory.
    files: BTreeMap<String, Digest>,
}

impl Seal {
    /// Looks at the engine's files as they are.
    pub(super) fn of(records: &Path, key: &hmac::Key, salt: Salt, epoch: u64) -> io::Result<Self> {
        let mut found = BTreeMap::new();
        list(records, "", &mut found)?;
        let blocks = Blocks::new(key, &salt)?;
        let sealed = |(number, (name, length)): (u32, (String, u64))| {
            let digest = blocks.digest(&records.join(&name), number, length)?;
            Ok((name, digest))
        };
        Ok(Self { epoch, salt, files: (0..).zip(found).map(sealed).collect::<io::Result<_>>()? })
    }

    pub(super) fn encode(&self, key: &hmac::Key, instance: &Uuid) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(instance.as_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&u32::try_from(self.files.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (name, (length, digest)) in &self.files {
            push_field(&mut out, name.as_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(digest);
        }
        let mac = hmac::sign(key, &out);
        out.extend_from_slice(mac.as_ref());
        out
    }

    /// Reads a seal. `None`: there is none, because the store was not closed.
    pub(super) fn read(path: &Path, key: &hmac::Key, instance: &Uuid) -> Result<Option<Self>> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Storage, format!("cannot read `{}`: {error}", path.display())).with_source(error)
        };
        let file = match files::open_regular(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        let mut bytes = Vec::new();
        file.take(SEAL_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let seal = decode(&bytes, key, instance).ok_or_else(|| {
            Error::corrupted(format!(
                "`{}` is damaged or was edited; if everything else is in order, removing it lets the store be opened with \
                 every record being checked",
                path.display()
            ))
        })?;
        Ok(Some(seal))
    }

    /// Refuses files that are not those that were sealed.
    pub(super) fn check(&self, records: &Path, key: &hmac::Key) -> Result<()> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Storage, format!("cannot read `{}`: {error}", records.display())).with_source(error)
        };
        let mut found = BTreeMap::new();
        list(records, "", &mut found).map_err(failed)?;
        let name_of = |name: &str| records.join(name).display().to_string();
        let refused = |name: &str, what: &str| {
            Err(Error::corrupted(format!(
                "`{}` {what}, which was not so when the store was closed; nothing was opened. Restore a backup, or salvage \
                 what is left",
                name_of(name)
            )))
        };
        // Lengths first: whatever has the right one can be read in bounded time.
        for (name, (sealed_length, _)) in &self.files {
            match found.get(name) {
                None => return refused(name, "is missing"),
                Some(length) if length != sealed_length => return refused(name, "has another length"),
                Some(_) => {}
            }
        }
        if let Some(name) = found.keys().find(|name| !self.files.contains_key(*name)) {
            return refused(name, "is there");
        }
        let blocks = Blocks::new(key, &self.salt).map_err(failed)?;
        for (number, (name, sealed)) in (0..).zip(&self.files) {
            if blocks.digest(&records.join(name), number, sealed.0).map_err(failed)? != *sealed {
                return refused(name, "has other contents");
            }
        }
        Ok(())
    }
}

fn decode(bytes: &[u8], key: &hmac::Key, instance: &Uuid) -> Option<Seal> {
    let (body, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
    if !bool::from(hmac::sign(key, body).as_ref().ct_eq(mac)) {
        return None;
    }
    let mut fields = Fields::new(body);
    let is_ours = fields.array()? == *MAGIC
        && u16::from_be_bytes(fields.array()?) == FORMAT
        && Uuid::from_bytes(fields.array()?) == *instance;
    if !is_ours {
        return None;
    }
    let epoch = u64::from_be_bytes(fields.array()?);
    let salt = fields.array()?;
    let count = u32::from_be_bytes(fields.array()?);
    let mut files = BTreeMap::new();
    for _ in 0..count {
        let name = fields.text(NAME_BYTES_MAX)?.to_owned();
        files.insert(name, (u64::from_be_bytes(fields.array()?), fields.array()?));
    }
    fields.is_empty().then_some(Seal { epoch, salt, files })
}

/// The files below a directory, and their lengths. What is neither a file nor a directory is refused.
fn list(directory: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.insert(name, entry.metadata()?.len());
        } else {
            return Err(io::Error::other(format!("`{}` is neither a file nor a directory", entry.path().display())));
        }
    }
    Ok(())
}

/// Authenticates blocks of files with the tags of AES-256-GCM, which is several times as fast as hashing them. The key is
/// made for one seal, so that a block's place is a nonce that is never used again.
struct Blocks(Wiped<LessSafeKey>);

impl Blocks {
    fn new(key: &hmac::Key, salt: &Salt) -> io::Result<Self> {
        let key = hmac::sign(key, &[b"blocks", salt.as_slice()].concat());
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| io::Error::other("no key could be made"))?;
        Ok(Self(Wiped::new(LessSafeKey::new(key))))
    }

    /// The digest of a file that has at most so many bytes: one more is read, and makes another one of it.
    fn digest(&self, path: &Path, number: u32, length_max: u64) -> io::Result<Digest> {
        let end = length_max.saturating_add(1);
        let blocks = end.div_ceil(BLOCK_BYTES as u64);
        let workers = workers(blocks);
        let share = blocks.div_ceil(workers);
        let part = |worker: u64| {
            let from = |worker: u64| worker.saturating_mul(share).min(blocks);
            self.tags(path, number, from(worker)..from(worker + 1), end)
        };
        let parts: Vec<io::Result<Part>> = thread::scope(|scope| {
            let start = |worker| (worker, thread::Builder::new().spawn_scoped(scope, move || part(worker)));
            let others: Vec<_> = (1..workers).map(start).collect();
            let finish = |(worker, started): (u64, io::Result<thread::ScopedJoinHandle<'_, _>>)| match started {
                Ok(running) => {
                    running.join().unwrap_or_else(|_| Err(io::Error::other("a thread that reads it panicked")))
                }
                Err(_) => part(worker),
            };
            std::iter::once(part(0)).chain(others.into_iter().map(finish)).collect()
        });
        let mut tags = digest::Context::new(&digest::SHA256);
        let mut length = 0;
        for part in parts {
            let part = part?;
            tags.update(&part.tags);
            length += part.length;
        }
        Ok((length, tags.finish().as_ref().first_chunk().copied().unwrap_or_default()))
    }

    /// The tags of some blocks of a file, of which nothing is read from `end` on.
    fn tags(&self, path: &Path, number: u32, blocks: Range<u64>, end: u64) -> io::Result<Part> {
        let offset = |block: u64| block.saturating_mul(BLOCK_BYTES as u64).min(end);
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset(blocks.start)))?;
        let mut file = file.take(offset(blocks.end) - offset(blocks.start));
        let mut part = Part { tags: Vec::new(), length: 0 };
        let mut buffer = vec![0; BLOCK_BYTES];
        for index in blocks {
            let read = fill(&mut file, &mut buffer)?;
            let block = buffer.get_mut(..read).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            part.length += read as u64;
            let mut nonce = [0; 12];
            let place = number.to_be_bytes().into_iter().chain(index.to_be_bytes());
            nonce.iter_mut().zip(place).for_each(|(byte, of_place)| *byte = of_place);
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), block);
            part.tags
                .extend_from_slice(tag.map_err(|_| io::Error::other("a block could not be authenticated"))?.as_ref());
        }
        Ok(part)
    }
}

/// What was found of some blocks of a file.
struct Part {
    /// One tag after the other.
    tags: Vec<u8>,
    length: u64,
}

/// How many threads read so many blocks: each has enough to do to be worth starting.
fn workers(blocks: u64) -> u64 {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    cores.min(WORKERS_MAX).min(blocks / BLOCKS_A_WORKER_MIN).max(1)
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_share_a_file_see_what_one_would_see() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let blocks = Blocks::new(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), &[8; SALT_BYTES]).unwrap();
        let block = BLOCK_BYTES as u64;
        let large = WORKERS_MAX * BLOCKS_A_WORKER_MIN * block;
        for length in [0, 1, block, block + 1, large - 1, large, large + 1, large + 3 * block + 17] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 251 % 251) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let alone = |end: u64| {
                let part = blocks.tags(&path, 3, 0..end.div_ceil(block), end).unwrap();
                let digest = digest::digest(&digest::SHA256, &part.tags);
                (part.length, *digest.as_ref().first_chunk::<DIGEST_BYTES>().unwrap())
            };
            // A file that is as long as it should be, one that is longer, and one that is shorter.
            for length_max in [length, length.saturating_sub(1), length + 5 * block] {
                assert_eq!(
                    blocks.digest(&path, 3, length_max).unwrap(),
                    alone(length_max + 1),
                    "{length} {length_max}"
                );
            }
            assert_eq!(blocks.digest(&path, 3, length).unwrap().0, length);
            let Some(last) = bytes.len().checked_sub(1) else { continue };
            let before = blocks.digest(&path, 3, length).unwrap();
            for place in [0, last / 2, last] {
                let mut changed = bytes.clone();
                changed[place] ^= 1;
                fs::write(&path, &changed).unwrap();
                assert_ne!(blocks.digest(&path, 3, length).unwrap(), before, "byte {place} of {length}");
            }
        }
    }
}
