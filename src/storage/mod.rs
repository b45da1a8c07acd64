//! Seam: ordered keys and values, bytes in and bytes out, with an atomic and durable commit.

pub(crate) mod carve;
pub(crate) mod memory;
pub(crate) mod sled;

use std::fmt;
use std::io;

/// Longest value of one record, in bytes. Backends may rely on it: `SledBackend` keeps records so small that sled never
/// moves a page out of its log into a file that it does not sync.
pub const RECORD_BYTES_MAX: usize = 112 * 1024;

/// Longest key of one record, in bytes.
pub const KEY_BYTES_MAX: usize = 64;

/// Where records are kept.
///
/// A store comes with two: sled files, and memory. To keep records elsewhere, implement this trait, run
/// `strongroom::testing::backend_conformance` (feature `testing`) on the result, and hand it to
/// [`SecretStore::with_backend`](crate::SecretStore::with_backend).
///
/// # Contract for implementers
///
/// * Keys are ordered as bytes. Keys and values are opaque; nothing in them is readable.
/// * `get` and `scan` are called from any thread, at any time, and never wait for a `commit` to become durable.
/// * `commit` is called by one thread at a time. It applies the whole batch or nothing, also across a crash. With
///   [`Durability::Immediate`] it returns `Ok` only when this and every earlier batch survives a power cut. Its effect
///   is visible to every `get` and `scan` that begins after it returns; it may be visible earlier, but only as a whole
///   for any one key.
/// * After a `commit` or `flush` that failed, the store calls nothing but `close`. The batch may or may not be there
///   when the same data is opened again, but never half of it.
/// * `close` is called at most once, and last. Dropping without `close` loses nothing that was durable.
/// * No method panics. A backend over an engine that may panic turns that into [`BackendError::Panicked`].
pub trait Backend: Send + Sync + fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`BackendError`] if the data cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError>;

    /// Up to `limit` records whose keys begin with `prefix` and are greater than `after`, in order.
    ///
    /// Records that are committed meanwhile may or may not be seen.
    ///
    /// # Errors
    ///
    /// [`BackendError`] if the data cannot be read.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError>;

    /// Applies a batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: the outcome is unknown until the data is opened again.
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError>;

    /// Makes every earlier commit durable.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    fn flush(&self) -> Result<(), BackendError>;

    /// Sizes, for diagnostics.
    ///
    /// # Errors
    ///
    /// [`BackendError`] if they cannot be told.
    fn stats(&self) -> Result<BackendStats, BackendError>;

    /// Makes everything durable and gives the data free for another opener before it returns.
    ///
    /// # Errors
    ///
    /// [`BackendError`] if something could not be made durable or is still in use.
    fn close(&self) -> Result<(), BackendError>;
}

/// When a change is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// When it survives a power cut. The default. Other calls may see a change a moment before, and a crash in that moment
    /// takes it back: only what was acknowledged is kept.
    #[default]
    Immediate,
    /// When it is written. A crash may lose the latest changes, in order: for test harnesses and bulk loads, with
    /// [`SecretStore::flush`](crate::SecretStore::flush) where it matters.
    Eventual,
}

/// A value as a backend returned it, in whatever memory the backend keeps it.
pub struct Stored(Box<dyn AsRef<[u8]> + Send + Sync>);

impl Stored {
    /// Wraps a value without copying it.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Box::new(bytes))
    }
}

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored([{} bytes])", self.as_ref().len())
    }
}

/// Changes that belong together. Later changes of a key replace earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Removes a record, if it is there.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }

    /// Appends another batch.
    pub fn append(&mut self, other: Self) {
        self.changes.extend(other.changes);
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in order: a key with its new value, or none if it is removed.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Refuses what no backend has to take.
    ///
    /// # Errors
    ///
    /// [`BackendError::TooLarge`] for a key or a value beyond the limits of the seam.
    pub fn check(&self) -> Result<(), BackendError> {
        for (key, value) in self.iter() {
            let bytes = value.map_or(0, <[u8]>::len);
            if key.len() > KEY_BYTES_MAX || bytes > RECORD_BYTES_MAX {
                return Err(BackendError::TooLarge { bytes });
            }
        }
        Ok(())
    }
}

/// Sizes of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BackendStats {
    /// Bytes that the data takes where it is kept.
    pub stored_bytes: u64,
    /// Bytes outside the log that the engine does not sync. Always 0; anything else is a fault.
    pub unsynced_bytes: u64,
}

impl BackendStats {
    /// Stats of a backend that keeps everything in one place.
    #[must_use]
    pub fn new(stored_bytes: u64) -> Self {
        Self { stored_bytes, unsynced_bytes: 0 }
    }
}

/// Why a backend failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Reading or writing failed.
    #[error("{doing}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The engine reported a failure of its own.
    #[error("{doing}: {text}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// What the engine said.
        text: String,
    },
    /// The engine panicked.
    #[error("the storage engine panicked while it was to {doing}")]
    Panicked {
        /// What was being done.
        doing: &'static str,
    },
    /// A record is larger than any backend has to take.
    #[error("a record of {bytes} bytes is too large")]
    TooLarge {
        /// Size of the value.
        bytes: usize,
    },
    /// The backend was closed.
    #[error("the storage is closed")]
    Closed,
}
