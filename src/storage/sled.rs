//! Records in sled files. The only file that names sled.
//!
//! sled 0.34 is fast and honest about process crashes, but its own `flush` does not survive a power cut, it panics on
//! damaged files, and pages beyond a quarter of a segment go to files that it never syncs. So:
//!
//! * one tree; one caller commits at a time; a commit is a batch, sled's flush, and `fdatasync` of the log file through
//!   a handle of our own, in this order, before it is acknowledged;
//! * segments of 8 MiB and records of at most 112 KiB, so that a leaf of 17 records stays below a quarter of a segment
//!   and nothing ever becomes a blob file;
//! * an unfinished snapshot that a killed process left behind is removed before sled sees it;
//! * every call runs inside `catch_unwind`.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::files;
use crate::storage::{Backend, BackendError, BackendStats, Batch, Durability, Stored};

/// Bytes of one segment of sled's log.
pub(crate) const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// sled's log, and its settings.
const LOG: &str = "db";
const CONFIG: &str = "conf";

/// sled's background flusher. It frees space; our commits do not depend on it.
const FLUSH_EVERY_MS: u64 = 500;

/// sled's threads may hold its files for a moment after the handle is dropped.
const RELEASE_POLL: Duration = Duration::from_millis(1);
const RELEASE_POLLS_MAX: u32 = 10_000;

/// Commits after which permissions of new files are set again.
const PERMISSIONS_EVERY: u32 = 4096;

/// A [`Backend`] over a directory of sled files.
///
/// [`SecretStore::builder`](crate::SecretStore::builder) uses it; on its own it is of use in benches and tests.
#[derive(Debug)]
pub struct SledBackend {
    directory: PathBuf,
    cache_bytes: u64,
    engine: RwLock<Option<Engine>>,
}

#[derive(Debug)]
struct Engine {
    db: ::sled::Db,
    /// Our own handle of the log file, for `fdatasync`.
    log: File,
    commits: std::sync::atomic::AtomicU32,
}

impl SledBackend {
    /// Opens the sled files in a directory, or makes them. The caller makes sure that nobody else does.
    ///
    /// `cache_bytes` bounds sled's page cache.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: the files cannot be read or made, or sled refuses or panics on them.
    pub fn open(directory: impl AsRef<Path>, cache_bytes: u64) -> Result<Self, BackendError> {
        let directory = directory.as_ref().to_owned();
        remove_unfinished_snapshots(&directory).map_err(io_error("clean up the sled directory"))?;
        let db = open(&directory, cache_bytes)?;
        let log = File::open(directory.join(LOG)).map_err(io_error("open sled's log"))?;
        make_private(&directory).map_err(io_error("set the permissions of sled's files"))?;
        let engine = Engine { db, log, commits: Default::default() };
        Ok(Self { directory, cache_bytes, engine: RwLock::new(Some(engine)) })
    }

    /// Whether somebody has the sled files in a directory open.
    pub(crate) fn is_in_use(directory: &Path) -> io::Result<bool> {
        match File::open(directory.join(LOG))?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a directory holds a log of sled's.
    pub(crate) fn has_log(directory: &Path) -> bool {
        fs::symlink_metadata(directory.join(LOG)).is_ok_and(|about| about.is_file())
    }

    /// Whether a directory holds the files that sled cannot do without.
    pub(crate) fn is_there(directory: &Path) -> bool {
        let is_file = |name| fs::symlink_metadata(directory.join(name)).is_ok_and(|about| about.is_file());
        [LOG, CONFIG].into_iter().all(is_file)
    }

    fn with<T>(&self, work: impl FnOnce(&Engine) -> Result<T, BackendError>) -> Result<T, BackendError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        work(engine.as_ref().ok_or(BackendError::Closed)?)
    }
}

impl Engine {
    fn make_durable(&self) -> Result<(), BackendError> {
        contain("flush", || self.db.flush())?;
        self.log.sync_data().map_err(io_error("sync sled's log"))
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.with(|engine| Ok(contain("read a record", || engine.db.get(key))?.map(Stored::new)))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.with(|engine| {
            contain("scan records", || {
                let from = match after {
                    Some(after) if after >= prefix => std::ops::Bound::Excluded(after),
                    _ => std::ops::Bound::Included(prefix),
                };
                let mut found = Vec::new();
                for record in engine.db.range::<&[u8], _>((from, std::ops::Bound::Unbounded)).take(limit) {
                    let (key, value) = record?;
                    if !key.starts_with(prefix) {
                        break;
                    }
                    found.push((key.to_vec(), Stored::new(value)));
                }
                Ok(found)
            })
        })
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        batch.check()?;
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch.iter() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.with(|engine| {
            contain("apply a batch", || engine.db.apply_batch(changes))?;
            if durability == Durability::Immediate {
                engine.make_durable()?;
            }
            let commits = engine.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if commits % PERMISSIONS_EVERY == PERMISSIONS_EVERY - 1 {
                make_private(&self.directory).map_err(io_error("set the permissions of sled's files"))?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.with(Engine::make_durable)
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        let size = |directory: &Path| -> io::Result<u64> {
            let mut bytes = 0;
            for entry in fs::read_dir(directory)? {
                let about = entry?.metadata()?;
                bytes += if about.is_file() { about.len() } else { 0 };
            }
            Ok(bytes)
        };
        let stored_bytes = size(&self.directory).map_err(io_error("measure sled's files"))?;
        let unsynced_bytes = match size(&self.directory.join("blobs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            measured => measured.map_err(io_error("measure sled's files"))?,
        };
        Ok(BackendStats { stored_bytes, unsynced_bytes })
    }

    fn close(&self) -> Result<(), BackendError> {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        let Some(Engine { db, log, commits: _ }) = engine.take() else { return Err(BackendError::Closed) };
        contain("flush", || db.flush())?;
        log.sync_data().map_err(io_error("sync sled's log"))?;
        release(db, &log)?;
        // Opened once more, sled writes down what it recovers. Damage to files in that state makes it fail, where it
        // would otherwise pass over it in silence.
        release(open(&self.directory, self.cache_bytes)?, &log)?;
        make_private(&self.directory).map_err(io_error("set the permissions of sled's files"))
    }
}

fn open(directory: &Path, cache_bytes: u64) -> Result<::sled::Db, BackendError> {
    let config = ::sled::Config::new()
        .path(directory)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    contain("open its files", || config.open())
}

/// Closes sled, and waits until its threads let go of its files.
fn release(db: ::sled::Db, log: &File) -> Result<(), BackendError> {
    catch_unwind(AssertUnwindSafe(|| drop(db))).map_err(|_| BackendError::Panicked { doing: "close" })?;
    await_release(log)
}

/// Runs a call into sled. A panic becomes an error.
fn contain<T>(doing: &'static str, call: impl FnOnce() -> ::sled::Result<T>) -> Result<T, BackendError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(::sled::Error::Io(error))) => Err(BackendError::Io { doing, error }),
        Ok(Err(error)) => Err(BackendError::Engine { doing, text: error.to_string() }),
        Err(_) => Err(BackendError::Panicked { doing }),
    }
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> BackendError {
    move |error| BackendError::Io { doing, error }
}

/// Waits until sled's threads let go of the lock on the log file.
fn await_release(log: &File) -> Result<(), BackendError> {
    for _ in 0..RELEASE_POLLS_MAX {
        match log.try_lock() {
            Ok(()) => return log.unlock().map_err(io_error("release sled's log")),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(RELEASE_POLL),
            Err(fs::TryLockError::Error(error)) => return Err(BackendError::Io { doing: "lock sled's log", error }),
        }
    }
    Err(BackendError::Engine { doing: "close", text: "sled's threads did not release its files".to_owned() })
}

/// A process that was killed while sled wrote a snapshot leaves an unfinished file that would make sled fail.
fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// sled makes its files under the process's umask; they are for the owner alone.
fn make_private(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files::set_private(&entry.path(), true)?,
            Ok(_) => match files::set_private(&entry.path(), false) {
                // sled renames and removes its snapshots whenever it likes.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
