//! The directory of a store: its lock, its header, and how it comes into being.
//!
//! ```text
//! mystore/            0700
//!   LOCK              locked exclusively while the store is open
//!   store.hdr         what has to be known before anything can be opened; its presence says that the store exists
//!   sled/             the records
//!   sled.new/         only while the store is being made; removed when an unfinished one is found
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::records::header::HEADER_BYTES_MAX;
use crate::storage::sled::SledBackend;

const LOCK: &str = "LOCK";
const HEADER: &str = "store.hdr";
const RECORDS: &str = "sled";
const UNFINISHED_RECORDS: &str = "sled.new";

const LOCK_POLL: Duration = Duration::from_millis(5);

/// A locked directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Unlocked by the system when it is closed, however the process ends.
    _lock: File,
}

/// What a directory holds.
#[derive(Debug)]
pub(super) enum Found {
    /// A store with this header.
    Store(Vec<u8>),
    /// Nothing but what we make ourselves.
    Nothing,
}

fn storage(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let text = format!("cannot {doing} `{}`", path.display());
    move |error| Error::new(ErrorKind::Storage, format!("{text}: {error}")).with_source(error)
}

fn not_a_store(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::NotAStore, format!("`{}` {why}", path.display()))
}

/// Whether there is a store in a directory. Changes nothing, and waits for nobody.
pub(super) fn holds_store(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(about) if !about.is_dir() => return Err(not_a_store(path, "is not a directory")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(false);
        }
        Err(error) => return Err(storage("read", path)(error)),
    }
    let has_header = || match fs::symlink_metadata(path.join(HEADER)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(storage("read", path)(error)),
    };
    if has_header()? {
        return Ok(true);
    }
    let has_finished_records = path.join(RECORDS).exists() && !is_half_made(path)?;
    // Somebody may be making the store: the header is there before the records are marked as finished.
    if has_header()? {
        return Ok(true);
    }
    if has_finished_records {
        return Err(header_lost(path));
    }
    refuse_foreign_files(path)?;
    Ok(false)
}

/// Whether the records are those of a store whose making was interrupted before its header was written.
fn is_half_made(path: &Path) -> Result<bool> {
    let mark = path.join(RECORDS).join(MARK);
    mark.try_exists().map_err(storage("read", &mark))
}

fn header_lost(path: &Path) -> Error {
    Error::corrupted(format!("`{}` holds records but no `{HEADER}`: the header was lost", path.display()))
}

impl Directory {
    /// Locks a directory, which is made if `may_create`. Waits up to `patience` for another holder of the lock.
    pub(super) fn lock(path: &Path, may_create: bool, patience: Duration) -> Result<Self> {
        match fs::metadata(path) {
            Ok(about) if !about.is_dir() => return Err(not_a_store(path, "is not a directory")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_create => {
                files::create_private_directory(path).map_err(storage("make", path))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(not_a_store(path, "does not exist").with_source(error));
            }
            Err(error) => return Err(storage("read", path)(error)),
        }
        // A directory that holds no store is left exactly as it is, without even a lock file.
        if !path.join(LOCK).exists() && !path.join(HEADER).exists() {
            if !may_create {
                return Err(not_a_store(path, "holds no store"));
            }
            refuse_foreign_files(path)?;
        }
        let lock_path = path.join(LOCK);
        if fs::symlink_metadata(&lock_path).is_ok_and(|about| !about.is_file()) {
            return Err(not_a_store(&lock_path, "is not a file"));
        }
        let lock = files::open_lock(&lock_path).map_err(storage("open", &lock_path))?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < patience => {
                    thread::sleep(LOCK_POLL);
                    waited += LOCK_POLL;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        ErrorKind::AlreadyOpen,
                        format!("the store in `{}` is open elsewhere", path.display()),
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(storage("lock", &lock_path)(error)),
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Sets the modes of what is ours, once it is known to be ours.
    pub(super) fn make_private(&self) -> Result<()> {
        let set = || {
            files::set_private(&self.path, true)?;
            for name in [LOCK, HEADER] {
                files::set_private(&self.path.join(name), false)?;
            }
            files::set_private(&self.records(), true)
        };
        set().map_err(storage("set the permissions of", &self.path))
    }

    /// Looks what there is.
    pub(super) fn look(&self) -> Result<Found> {
        let header = self.path.join(HEADER);
        let file = match fs::symlink_metadata(&header) {
            Ok(about) if !about.is_file() => return Err(not_a_store(&header, "is not a file")),
            Ok(_) => File::open(&header).map_err(storage("read", &header))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.join(RECORDS).exists() && !is_half_made(&self.path)? {
                    return Err(header_lost(&self.path));
                }
                refuse_foreign_files(&self.path)?;
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(storage("read", &header)(error)),
        };
        let mut bytes = Vec::new();
        file.take(HEADER_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(storage("read", &header))?;
        // Looked at before the engine is let in: it would make what is missing anew, and empty.
        if !SledBackend::is_there(&self.records()) {
            return Err(Error::corrupted(format!("`{}` has a header but no records", self.path.display())));
        }
        // The making may have been interrupted between the header and the removal of the mark.
        self.remove_mark()?;
        Ok(Found::Store(bytes))
    }

    /// Where the records are.
    pub(super) fn records(&self) -> PathBuf {
        self.path.join(RECORDS)
    }

    /// Makes the records of a new store: `fill` writes them in a place of its own, and they are durable and under their
    /// own name before this returns.
    pub(super) fn make_records(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let unfinished = self.path.join(UNFINISHED_RECORDS);
        self.remove_leftovers().map_err(storage("remove what is left of a store in", &self.path))?;
        files::create_private_directory(&unfinished).map_err(storage("make", &unfinished))?;
        fs::write(unfinished.join(MARK), []).map_err(storage("write", &unfinished))?;
        fill(&unfinished)?;
        let finish = || {
            files::sync_tree(&unfinished)?;
            fs::rename(&unfinished, self.records())?;
            files::sync_directory(&self.path)?;
            files::sync_directory(files::parent(&self.path))
        };
        finish().map_err(storage("finish", &self.path))
    }

    /// Removes records that are marked as unfinished, and those that were never under their own name.
    ///
    /// Records lose their name before their files, or a crash could leave some of them without the mark, which is what a
    /// store looks like that has lost its header.
    fn remove_leftovers(&self) -> io::Result<()> {
        let unfinished = self.path.join(UNFINISHED_RECORDS);
        let remove = || match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove()?;
        match fs::rename(self.records(), &unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                files::sync_directory(&self.path)?;
                remove()
            }
        }
    }

    /// Gives up the store, durably and in one step: it is marked as one that was never finished, and then its header is
    /// removed. What is left is removed by [`make_records`](Self::make_records), or by the next opener's.
    pub(super) fn discard(&self) -> Result<()> {
        let records = self.records();
        let discard = || {
            File::create(records.join(MARK))?.sync_all()?;
            files::sync_directory(&records)?;
            fs::remove_file(self.path.join(HEADER))?;
            files::sync_directory(&self.path)
        };
        discard().map_err(storage("discard", &self.path))
    }

    /// Writes the header, durably and in one step: from now on the store exists.
    pub(super) fn write_header(&self, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(HEADER);
        files::replace(&path, bytes).map_err(storage("write", &path))?;
        self.remove_mark()
    }

    fn remove_mark(&self) -> Result<()> {
        let records = self.records();
        let remove = || match fs::remove_file(records.join(MARK)) {
            Ok(()) => files::sync_directory(&records),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        remove().map_err(storage("write", &records))
    }
}

/// In the records of a store that has no header yet.
const MARK: &str = "unfinished";

/// A directory with files that are not ours is not made into a store.
fn refuse_foreign_files(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(storage("read", path))? {
        let name = entry.map_err(storage("read", path))?.file_name();
        let ours = [LOCK, RECORDS, UNFINISHED_RECORDS, HEADER, "store.hdr.tmp"];
        if !ours.iter().any(|ours| name == *ours) {
            return Err(not_a_store(path, &format!("holds no store, but other files: `{}`", name.display())));
        }
    }
    Ok(())
}
