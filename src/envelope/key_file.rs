//! One key in a text file.
//!
//! The text has exactly one form for every key, so that a file is either what was written or refused.

use std::fmt::{self, Write as _};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::{OsEntropy, random_uuid};
use crate::envelope::local::OnlyKey;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::{KEY_BYTES, SealingKey};
use crate::error::{Error, ErrorKind, Result};
use crate::files;

const ID: &str = "key-file";

const MAGIC: &str = "strongroom-key-file ";
pub(super) const FORMAT: u16 = 1;

/// `sha256 `, 64 digits and the end of the line. The last line of every format.
const CHECKSUM_LINE_BYTES: usize = 72;

/// Longest key file that is read. One of format 1 has 203 bytes.
const FILE_BYTES_MAX: usize = 4096;

/// A [`KeyProvider`] with a single key of 32 bytes, kept in a text file.
///
/// Every key id, ARN and alias is accepted and stands for the same key, and keys have no states, as with
/// [`StaticKey`](crate::StaticKey). What was wrapped names the file's key id, which is also the version of the key, so that
/// another key file is told apart from damage. For keys with names and states see [`LocalKeyring`](crate::LocalKeyring).
///
/// The file holds the key in the clear, so it is as precious as the secrets, and it is never changed: back it up once,
/// apart from the store. Whoever has only one of the two has nothing, and whoever loses the file loses the secrets. Keep it
/// out of the store's directory, or one backup carries both. Its mode is 0600, and the directory that it is in must exist.
///
/// ```
/// use strongroom::{KeyFileProvider, SecretStore};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let directory = directory.path();
/// let key = KeyFileProvider::open_or_create(directory.join("app.key"))?;
/// let store = SecretStore::builder(directory.join("app.secrets")).key_provider(key).open()?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct KeyFileProvider {
    path: PathBuf,
    key_id: String,
    key: SealingKey,
}

/// Who may have access to a key file besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Nobody,
    Readers,
}

/// What can be wrong with a key file, and what to do about it.
#[derive(Debug, thiserror::Error)]
enum FileProblem {
    #[error("there is no key file `{}`; check the path, or make one with `KeyFileProvider::create`", .0.display())]
    Missing(PathBuf),
    #[error("there is a file `{}` already, and a key file is never replaced; open it, or give another path", .0.display())]
    Exists(PathBuf),
    #[error("key file `{}` is a symbolic link or not a file; give the path of the file itself", .0.display())]
    NotAFile(PathBuf),
    #[error(
        "key file `{}` can be read or written by others; set its mode to 0600", .0.display()
    )]
    Exposed(PathBuf),
    #[error("key file `{}` can be written by others; take that right away from them", .0.display())]
    Writable(PathBuf),
    #[error("`{}` is not a key file, or is damaged; check the path, or put back a copy of the file", .0.display())]
    Damaged(PathBuf),
    #[error(
        "key file `{}` has the newer format {found}, and this version reads up to {FORMAT}; use a newer version",
        .path.display()
    )]
    NewerFormat { path: PathBuf, found: u16 },
    #[error("cannot {doing} key file `{}`: {error}", .path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
}

impl From<FileProblem> for Error {
    fn from(problem: FileProblem) -> Self {
        Self::new(ErrorKind::KeyFile, problem.to_string()).with_source(problem)
    }
}

impl KeyFileProvider {
    /// Opens a key file that must be there.
    ///
    /// # Errors
    ///
    /// All of them are [`ErrorKind::KeyFile`] with a text that says what to do. In this order, the first that applies:
    ///
    /// 1. There is no such file, or it cannot be read.
    /// 2. It is a symbolic link, a directory or anything else that is not a file.
    /// 3. Its mode gives its group or others any right. On systems without such modes this is not checked.
    /// 4. It is longer than 4096 bytes, is not a key file, or is damaged.
    /// 5. It has a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), Others::Nobody)
    }

    /// Opens a key file that others may read, such as a secret that is mounted into a container.
    ///
    /// Whoever can read the file has the key. A file that others can *write* is refused all the same, because whoever
    /// puts a key of their own there can read every store that is made with it. So is a symbolic link: give the path that
    /// it leads to (`std::fs::canonicalize`).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except that others may read and execute the file.
    pub fn open_shared(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), Others::Readers)
    }

    /// Makes a key file with a new random key. It is on disk before this returns.
    ///
    /// The file appears whole or not at all, and never in the place of another.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Entropy`]: the system's source of random bytes failed.
    /// 2. [`ErrorKind::KeyFile`]: the file cannot be written, for example because its directory is missing or its file
    ///    system has no hard links.
    /// 3. [`ErrorKind::KeyFile`]: there is something under that name already. It is left as it is.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::make(path)?.ok_or_else(|| FileProblem::Exists(path.to_owned()).into())
    }

    /// Opens the key file, or makes one if there is none. Of several callers at once, one makes it and all open the same.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) if there is something under that name, else as [`create`](Self::create).
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if let Some(opened) = Self::read(path, Others::Nobody)? {
            return Ok(opened);
        }
        match Self::make(path)? {
            Some(made) => Ok(made),
            // Somebody else was first.
            None => Self::open(path),
        }
    }

    /// Where the key is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id that the file gives its key: a random UUID, which is not secret.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    fn open_with(path: &Path, others: Others) -> Result<Self> {
        Self::read(path, others)?.ok_or_else(|| FileProblem::Missing(path.to_owned()).into())
    }

    /// The key in the file, or `None` if there is no file.
    fn read(path: &Path, others: Others) -> Result<Option<Self>, FileProblem> {
        let failed = |error| FileProblem::Io { doing: "read", path: path.to_owned(), error };
        let named = match fs::symlink_metadata(path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Before it is opened: opening a pipe would wait for its other end.
        if !named.is_file() {
            return Err(FileProblem::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if !is_same_file(&named, &about) {
            return Err(FileProblem::NotAFile(path.to_owned()));
        }
        match others {
            Others::Nobody if files::is_exposed(&about) => return Err(FileProblem::Exposed(path.to_owned())),
            Others::Readers if is_writable_by_others(&about) => return Err(FileProblem::Writable(path.to_owned())),
            Others::Nobody | Others::Readers => {}
        }
        // More room than is read, so that the buffer never grows while it holds the key.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 64));
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        let (key_id, key) = decode(MAGIC, &bytes).map_err(|unreadable| match unreadable {
            Unreadable::Damaged => FileProblem::Damaged(path.to_owned()),
            Unreadable::NewerFormat(found) => FileProblem::NewerFormat { path: path.to_owned(), found },
        })?;
        Ok(Some(Self { path: path.to_owned(), key_id, key }))
    }

    /// A new key in a new file, or `None` if there is something under that name already.
    fn make(path: &Path) -> Result<Option<Self>> {
        let entropy = OsEntropy::default();
        let key_id = random_uuid(&entropy)?.to_string();
        let key = SealingKey::fill(|bytes| crate::entropy::Entropy::fill(&entropy, bytes))?;
        if place(path, &key_id, encode(MAGIC, &key_id, key.expose()).as_bytes())? {
            Ok(Some(Self { path: path.to_owned(), key_id, key }))
        } else {
            Ok(None)
        }
    }
}

/// Puts a file under a name that is free, whole and durably. `false`: the name is taken.
///
/// The file is finished beside its place and then linked into it, which fails if the name is taken. Made in its place, it
/// could be seen half written by another process, and would be left so by a crash.
fn place(path: &Path, key_id: &str, bytes: &[u8]) -> Result<bool, FileProblem> {
    let failed = |error| FileProblem::Io { doing: "make", path: path.to_owned(), error };
    let finished = files::beside(path, &format!(".{key_id}"));
    files::replace(&finished, bytes).map_err(failed)?;
    let linked = fs::hard_link(&finished, path);
    let removed = fs::remove_file(&finished);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        linked => linked.map_err(failed)?,
    }
    removed.map_err(failed)?;
    files::sync_directory(files::parent(path)).map_err(failed)?;
    Ok(true)
}

/// Whether a name still led to the same file when it was opened.
#[cfg(unix)]
fn is_same_file(named: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (named.dev(), named.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn is_same_file(_: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(unix)]
fn is_writable_by_others(about: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o022 != 0
}

#[cfg(not(unix))]
fn is_writable_by_others(_: &Metadata) -> bool {
    false
}

/// The text of a key file, or of another place where one key is kept, which begins in another way.
pub(super) fn encode(magic: &str, key_id: &str, key: &[u8; KEY_BYTES]) -> Zeroizing<String> {
    // More than is needed: the text must never grow while it holds the key.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{magic}{FORMAT}\nid {key_id}\nkey ");
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let checksum = checksum_line(text.as_bytes());
    text.push_str(&checksum);
    text
}

fn checksum_line(body: &[u8]) -> String {
    let mut line = String::with_capacity(CHECKSUM_LINE_BYTES);
    line.push_str("sha256 ");
    for byte in digest::digest(&digest::SHA256, body).as_ref() {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    line
}

/// Why the text of a key file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged,
    NewerFormat(u16),
}

/// The key id and the key in such a text.
pub(super) fn decode(magic: &str, bytes: &[u8]) -> Result<(String, SealingKey), Unreadable> {
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_LINE_BYTES>().ok_or(Unreadable::Damaged)?;
    if bytes.len() > FILE_BYTES_MAX || checksum_line(body).as_bytes() != checksum {
        return Err(Unreadable::Damaged);
    }
    let lines = std::str::from_utf8(body).ok().and_then(|text| text.strip_prefix(magic)?.split_once('\n'));
    let (format, lines) = lines.ok_or(Unreadable::Damaged)?;
    match format.parse::<u16>() {
        // A number can be written in other ways than ours.
        Ok(found) if found.to_string() != format => Err(Unreadable::Damaged),
        Ok(FORMAT) => decode_lines(lines).ok_or(Unreadable::Damaged),
        Ok(found) if found > FORMAT => Err(Unreadable::NewerFormat(found)),
        _ => Err(Unreadable::Damaged),
    }
}

fn decode_lines(lines: &str) -> Option<(String, SealingKey)> {
    let (key_id, lines) = lines.strip_prefix("id ")?.split_once('\n')?;
    if Uuid::try_parse(key_id).ok()?.to_string() != key_id {
        return None;
    }
    let digits: &[u8; 2 * KEY_BYTES] = lines.strip_prefix("key ")?.strip_suffix('\n')?.as_bytes().try_into().ok()?;
    let key = SealingKey::fill(|key| {
        for (byte, [high, low]) in key.iter_mut().zip(digits.as_chunks().0) {
            *byte = 16 * hex_digit(*high)? + hex_digit(*low)?;
        }
        Ok::<(), Unreadable>(())
    });
    Some((key_id.to_owned(), key.ok()?))
}

fn hex_digit(digit: u8) -> Result<u8, Unreadable> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(Unreadable::Damaged),
    }
}

impl KeyFileProvider {
    fn only(&self) -> OnlyKey<'_> {
        OnlyKey { provider: ID, key_id: &self.key_id, key: &self.key }
    }
}

impl KeyProvider for KeyFileProvider {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let mut handle = OnlyKey::resolve(scope, key);
        handle.version = self.key_id.as_str().into();
        Ok(handle)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let mut wrapped = self.only().wrap(&key.arn, data_key, context, call.entropy)?;
        wrapped.key_version = self.key_id.as_str().into();
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        self.only().unwrap(wrapped, context)
    }
}

impl fmt::Debug for KeyFileProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, key_id, key: _ } = self;
        f.debug_struct("KeyFileProvider")
            .field("path", path)
            .field("key_id", key_id)
            .field("key", &"[redacted]")
            .finish()
    }
}
