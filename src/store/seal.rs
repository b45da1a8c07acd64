//! The seal: what the engine's files looked like when the store was closed.
//!
//! The engine repairs what it finds when it opens, and destroys the evidence. The seal is checked before, so that files
//! that were changed while the store was closed are noticed and left as they are. It is removed before the engine is let
//! in; after an unclean end there is none, and the anchor and the set hash decide.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

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
        let mut file = File::open(path)?.take(length_max.saturating_add(1));
        let mut tags = digest::Context::new(&digest::SHA256);
        let mut buffer = vec![0; BLOCK_BYTES];
        let mut length = 0;
        for index in 0_u64.. {
            let read = fill(&mut file, &mut buffer)?;
            let block = buffer.get_mut(..read).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            length += read as u64;
            let mut nonce = [0; 12];
            let place = number.to_be_bytes().into_iter().chain(index.to_be_bytes());
            nonce.iter_mut().zip(place).for_each(|(byte, of_place)| *byte = of_place);
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), block);
            tags.update(tag.map_err(|_| io::Error::other("a block could not be authenticated"))?.as_ref());
        }
        Ok((length, tags.finish().as_ref().first_chunk().copied().unwrap_or_default()))
    }
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
