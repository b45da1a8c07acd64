//! The key file of a [`LocalKeyring`](crate::LocalKeyring): its bytes, its permissions, its replacement in one step.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest;
use zeroize::Zeroizing;

use crate::envelope::ad::{Fields, push_field};
use crate::envelope::keyring::{Key, Keys, material};
use crate::envelope::provider::KeyState;
use crate::error::{Error, Result};
use crate::files;

const MAGIC: &[u8; 8] = b"STRONGKR";
const FORMAT: u16 = 1;
const CHECKSUM_BYTES: usize = 32;
const TEXT_BYTES_MAX: usize = 512;

/// Longest key file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What can be wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileProblem {
    #[error("there is no key file `{}`", .0.display())]
    Missing(PathBuf),
    #[error("key file `{}` is a symbolic link or not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("key file `{}` can be read or written by others; its mode must be 0600", .0.display())]
    Exposed(PathBuf),
    #[error("`{}` is not a key file, or is damaged", .0.display())]
    Damaged(PathBuf),
    #[error("key file `{}` has the newer format {found}; this version reads up to {FORMAT}", .path.display())]
    NewerFormat { path: PathBuf, found: u16 },
    #[error("cannot {doing} key file `{}`: {error}", .path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
}

pub(crate) fn missing(path: &Path) -> Error {
    FileProblem::Missing(path.to_owned()).into()
}

/// A key file by its path.
#[derive(Debug)]
pub(crate) struct KeyringFile {
    path: PathBuf,
}

impl KeyringFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, doing: &'static str) -> impl Fn(io::Error) -> FileProblem {
        move |error| FileProblem::Io { doing, path: self.path.clone(), error }
    }

    /// Keeps other processes from changing the file meanwhile.
    pub(crate) fn lock(&self) -> Result<File> {
        let lock = files::open_lock(&files::beside(&self.path, ".lock")).map_err(self.io("lock"))?;
        lock.lock().map_err(self.io("lock"))?;
        Ok(lock)
    }

    /// The keys in the file, or `None` if there is no file.
    pub(crate) fn load(&self) -> Result<Option<Keys>> {
        let about = match fs::symlink_metadata(&self.path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("read")(error).into()),
        };
        if !about.is_file() {
            return Err(FileProblem::NotAFile(self.path.clone()).into());
        }
        if files::is_exposed(&about) {
            return Err(FileProblem::Exposed(self.path.clone()).into());
        }
        let damaged = || FileProblem::Damaged(self.path.clone());
        let length = usize::try_from(about.len().min(FILE_BYTES_MAX)).map_err(|_| damaged())?;
        // One byte more than the file has, so that reading to its end never makes the buffer grow.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
        let file = File::open(&self.path).map_err(self.io("read"))?;
        file.take(length as u64).read_to_end(&mut bytes).map_err(self.io("read"))?;
        if bytes.len() as u64 != about.len() {
            return Err(damaged().into());
        }
        self.decode(&bytes).map(Some)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Keys> {
        let damaged = || Error::from(FileProblem::Damaged(self.path.clone()));
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        let mut fields = Fields::new(body);
        if fields.array() != Some(*MAGIC) || digest::digest(&digest::SHA256, body).as_ref() != checksum {
            return Err(damaged());
        }
        let found = u16::from_be_bytes(fields.array().ok_or_else(damaged)?);
        if found != FORMAT {
            return Err(FileProblem::NewerFormat { path: self.path.clone(), found }.into());
        }
        decode_keys(fields).ok_or_else(damaged)
    }

    /// Replaces the file in one step, durably.
    pub(crate) fn save(&self, keys: &Keys) -> Result<()> {
        files::replace(&self.path, &encode(keys)).map_err(self.io("write"))?;
        Ok(())
    }
}

fn encode(keys: &Keys) -> Zeroizing<Vec<u8>> {
    let key_bytes: usize =
        keys.keys.iter().map(|(id, key)| id.len() + key.arn.len() + 32 + 36 * key.material.len()).sum();
    let alias_bytes: usize = keys.aliases.iter().map(|(arn, id)| arn.len() + id.len() + 8).sum();
    // More than is needed: the buffer must never grow while it holds keys.
    let mut out = Zeroizing::new(Vec::with_capacity(128 + key_bytes + alias_bytes));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_be_bytes());
    push_count(&mut out, keys.keys.len());
    for (id, key) in &keys.keys {
        push_field(&mut out, id.as_bytes());
        push_field(&mut out, key.arn.as_bytes());
        out.push(state_code(key.state));
        out.push(u8::from(key.aws_managed));
        push_count(&mut out, key.material.len());
        for material in key.material_bytes() {
            push_field(&mut out, material);
        }
    }
    push_count(&mut out, keys.aliases.len());
    for (arn, id) in &keys.aliases {
        push_field(&mut out, arn.as_bytes());
        push_field(&mut out, id.as_bytes());
    }
    let checksum = digest::digest(&digest::SHA256, &out);
    out.extend_from_slice(checksum.as_ref());
    out
}

fn push_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

fn decode_keys(mut fields: Fields<'_>) -> Option<Keys> {
    let mut keys = Keys::default();
    for _ in 0..u32::from_be_bytes(fields.array()?) {
        let id = fields.text(TEXT_BYTES_MAX)?.to_owned();
        let arn = fields.text(TEXT_BYTES_MAX)?.to_owned();
        let state = state_from_code(u8::from_be_bytes(fields.array()?))?;
        let aws_managed = u8::from_be_bytes(fields.array()?) == 1;
        let mut versions = Vec::new();
        for _ in 0..u32::from_be_bytes(fields.array()?) {
            versions.push(material(fields.field(32)?)?);
        }
        if versions.is_empty() {
            return None;
        }
        keys.keys.insert(id, Key { arn, state, aws_managed, material: versions });
    }
    for _ in 0..u32::from_be_bytes(fields.array()?) {
        let arn = fields.text(TEXT_BYTES_MAX)?.to_owned();
        let id = fields.text(TEXT_BYTES_MAX)?.to_owned();
        keys.keys.contains_key(&id).then_some(())?;
        keys.aliases.insert(arn, id);
    }
    fields.is_empty().then_some(keys)
}

fn state_code(state: KeyState) -> u8 {
    match state {
        KeyState::Enabled => 0,
        KeyState::Disabled => 1,
        KeyState::PendingDeletion => 2,
        KeyState::PendingImport => 3,
        KeyState::Unavailable => 4,
    }
}

fn state_from_code(code: u8) -> Option<KeyState> {
    Some(match code {
        0 => KeyState::Enabled,
        1 => KeyState::Disabled,
        2 => KeyState::PendingDeletion,
        3 => KeyState::PendingImport,
        4 => KeyState::Unavailable,
        _ => return None,
    })
}
