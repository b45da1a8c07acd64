//! The directory of a store: its lock, its header, and how it comes into being.
//!
//! ```text
//! mystore/            0700
//!   LOCK              locked exclusively while the store is open
//!   store.hdr         what has to be known before anything can be opened; its presence says that the store exists
//!   store.anchor      which commit was acknowledged last
//!   store.seal        only while the store is closed: what the engine's files looked like then
//!   sled/             the records
//!   sled.compact/     only while the store is being compacted: the records that are to take the place of the old ones
//!   sled.old/         only while the store is being compacted: the old records, of no use any more
//!   sled.kept/        only while a store that was not closed is being opened: its records as they were before
//!   sled.salvage/     only while the store is being made of a damaged one: copies of that one's files
//!   sled.new/         only while the store is being made; removed when an unfinished one is found
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ring::hmac;
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::root::{RootKeys, Roots};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::records::anchor::{AnchorFile, HeadTag};
use crate::records::header::HEADER_BYTES_MAX;
use crate::storage::sled::SledBackend;
use crate::store::seal::{Salt, Seal};

const LOCK: &str = "LOCK";
const HEADER: &str = "store.hdr";
const ANCHOR: &str = "store.anchor";
const SEAL: &str = "store.seal";
const RECORDS: &str = "sled";
const UNFINISHED_RECORDS: &str = "sled.new";

/// Fresh files that a compaction fills, and those that they replaced.
const COMPACTED: &str = "sled.compact";
const REPLACED: &str = "sled.old";

/// In fresh files that are complete, durable and checked.
const COMPLETE: &str = "complete";

/// The records of a store that was not closed, as they were before the engine was let in.
const KEPT: &str = "sled.kept";
const KEPT_IN_PART: &str = "sled.kept.tmp";

/// Holes of a file of the engine that are none of its own making.
const HOLES_MAX: u64 = 256 * 1024 * 1024;

/// Copies of a damaged store's files.
const SALVAGED: &str = "sled.salvage";

const LOCK_POLL: Duration = Duration::from_millis(5);

/// A locked directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Unlocked by the system when it is closed, however the process ends.
    lock: File,
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

/// The header of a store that nobody has to lock, as it is stored.
pub(super) fn read_header(directory: &Path) -> Result<Vec<u8>> {
    let path = directory.join(HEADER);
    let mut bytes = Vec::new();
    let read =
        files::open_regular(&path, false).and_then(|file| file.take(HEADER_BYTES_MAX as u64).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(not_a_store(directory, &format!("holds no store: there is no `{HEADER}`")))
        }
        read => read.map(|_| bytes).map_err(storage("read", &path)),
    }
}

fn anchor_keys(roots: &Roots) -> Vec<&hmac::Key> {
    roots.each().map(|root| &*root.anchor).collect()
}

/// The anchor of a store to which nothing is to be written.
pub(super) fn read_anchor(directory: &Path, roots: &Roots, instance: &Uuid) -> Result<AnchorFile> {
    AnchorFile::open(&directory.join(ANCHOR), false, &anchor_keys(roots), instance)
}

/// The number of the newest commit when a store was closed, if there is a seal that says so.
pub(super) fn read_sealed_epoch(directory: &Path, root: &RootKeys, instance: &Uuid) -> Option<u64> {
    Seal::read(&directory.join(SEAL), &root.seal, instance).ok().flatten().map(|seal| seal.epoch)
}

/// Where the records of a damaged store are, whatever was being done with them.
pub(super) fn records_of(directory: &Path) -> PathBuf {
    let names = [KEPT, RECORDS, COMPACTED, REPLACED];
    let found = names.iter().map(|name| directory.join(name)).find(|path| path.is_dir());
    found.unwrap_or_else(|| directory.join(RECORDS))
}

/// Sees to it that nobody opens a store, without writing anything. A store without a lock file is not locked.
pub(super) fn lock_for_reading(directory: &Path) -> Result<Option<File>> {
    // Without a log there is nothing to lock, and whoever salvages will say so.
    if SledBackend::is_in_use(&records_of(directory)).is_ok_and(|is_in_use| is_in_use) {
        return Err(open_elsewhere(directory));
    }
    let path = directory.join(LOCK);
    match files::open_regular(&path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage("read", &path)(error)),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(open_elsewhere(directory)),
            Err(TryLockError::Error(error)) => Err(storage("lock", &path)(error)),
        },
    }
}

fn open_elsewhere(directory: &Path) -> Error {
    Error::new(ErrorKind::AlreadyOpen, format!("the store in `{}` is open elsewhere", directory.display()))
}

/// Whether the records are those of a store whose making was interrupted before its header was written.
fn is_half_made(path: &Path) -> Result<bool> {
    let mark = path.join(RECORDS).join(MARK);
    mark.try_exists().map_err(storage("read", &mark))
}

fn header_lost(path: &Path) -> Error {
    Error::corrupted(format!("`{}` holds records but no `{HEADER}`: the header was lost", path.display()))
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A process that is being started at this moment holds what we close until its program begins.
        let _ = self.lock.unlock();
    }
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
                    return Err(open_elsewhere(path));
                }
                Err(TryLockError::Error(error)) => return Err(storage("lock", &lock_path)(error)),
            }
        }
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Sets the modes of what is ours, once it is known to be ours.
    pub(super) fn make_private(&self) -> Result<()> {
        let set = || {
            files::set_private(&self.path, true)?;
            for name in [LOCK, HEADER, ANCHOR] {
                files::set_private(&self.path.join(name), false)?;
            }
            files::set_private(&self.records(), true)
        };
        set().map_err(storage("set the permissions of", &self.path))
    }

    /// Looks what there is.
    pub(super) fn look(&self) -> Result<Found> {
        let header = self.path.join(HEADER);
        match fs::symlink_metadata(&header) {
            Ok(about) if !about.is_file() => return Err(not_a_store(&header, "is not a file")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.join(RECORDS).exists() && !is_half_made(&self.path)? {
                    return Err(header_lost(&self.path));
                }
                refuse_foreign_files(&self.path)?;
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(storage("read", &header)(error)),
        }
        let bytes = self.read_header()?;
        self.settle()?;
        // Looked at before the engine is let in: it would make what is missing anew, and empty.
        if !SledBackend::is_there(&self.records()) {
            return Err(Error::corrupted(format!("`{}` has a header but no records", self.path.display())));
        }
        // The making may have been interrupted between the header and the removal of the mark.
        self.remove_mark()?;
        Ok(Found::Store(bytes))
    }

    /// Where a compaction puts records.
    pub(super) fn compacted(&self) -> PathBuf {
        self.path.join(COMPACTED)
    }

    /// Makes an empty place for the records of a compaction.
    pub(super) fn begin_compaction(&self) -> Result<()> {
        let path = self.compacted();
        let begin = || {
            remove_tree(&path)?;
            files::create_private_directory(&path)
        };
        begin().map_err(storage("make", &path))
    }

    /// Puts fresh records, which the engine has let go of, in the place of the old ones, which it has let go of too.
    ///
    /// From the moment at which the fresh ones are marked as complete, every opener that does not find `sled/` goes on from
    /// where this was interrupted; as long as it finds `sled/`, that is the store.
    pub(super) fn finish_compaction(&self) -> Result<()> {
        let fresh = self.compacted();
        let finish = || {
            File::create(fresh.join(COMPLETE))?.sync_all()?;
            files::sync_tree(&fresh)?;
            files::sync_directory(&self.path)?;
            // The seal is of the old files.
            remove_file(&self.path.join(SEAL))?;
            files::sync_directory(&self.path)?;
            fs::rename(self.records(), self.path.join(REPLACED))?;
            files::sync_directory(&self.path)
        };
        finish().map_err(storage("replace", &self.records()))?;
        self.settle()
    }

    /// Refuses what the engine would stumble over, or never be done with: what is neither a file nor a directory, and files
    /// that are mostly holes.
    pub(super) fn check_engine_files(&self) -> Result<()> {
        let mut rest = vec![self.records()];
        while let Some(directory) = rest.pop() {
            for entry in fs::read_dir(&directory).map_err(storage("read", &directory))? {
                let path = entry.map_err(storage("read", &directory))?.path();
                let about = match fs::symlink_metadata(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    about => about.map_err(storage("read", &path))?,
                };
                if about.is_dir() {
                    rest.push(path);
                } else if !about.is_file() {
                    return Err(Error::corrupted(format!("`{}` is neither a file nor a directory", path.display())));
                } else if files::holes(&about) > HOLES_MAX {
                    return Err(Error::corrupted(format!("`{}` is longer than it can be", path.display())));
                }
            }
        }
        Ok(())
    }

    /// Refuses files that the engine has open, in spite of our lock: somebody may have removed the lock file.
    pub(super) fn refuse_if_in_use(&self) -> Result<()> {
        match SledBackend::is_in_use(&self.records()) {
            Ok(false) => Ok(()),
            Ok(true) => Err(open_elsewhere(&self.path)),
            Err(error) => Err(storage("lock", &self.records())(error)),
        }
    }

    /// Copies the records before the engine is let in, unless an opening that was interrupted has done so: nothing was
    /// committed since. Without room for a copy there is none, and then the engine's repairs cannot be undone.
    pub(super) fn keep_records(&self) -> Result<()> {
        let (kept, unfinished) = (self.path.join(KEPT), self.path.join(KEPT_IN_PART));
        let keep = || {
            if kept.try_exists()? {
                return Ok(());
            }
            remove_tree(&unfinished)?;
            files::copy_tree(&self.records(), &unfinished)?;
            // Whoever finds it under its name believes it.
            files::sync_tree(&unfinished)?;
            fs::rename(&unfinished, &kept)?;
            files::sync_directory(&self.path)
        };
        match keep() {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                remove_tree(&unfinished).map_err(storage("remove", &unfinished))
            }
            kept => kept.map_err(storage("copy", &self.records())),
        }
    }

    /// Removes that copy, durably: the store is whole, and will be changed.
    pub(super) fn forget_kept_records(&self) -> Result<()> {
        let (kept, unfinished) = (self.path.join(KEPT), self.path.join(KEPT_IN_PART));
        let forget = || {
            remove_tree(&unfinished)?;
            if kept.try_exists()? {
                // It loses its name before its files.
                fs::rename(&kept, &unfinished)?;
                files::sync_directory(&self.path)?;
                remove_tree(&unfinished)?;
            }
            Ok(())
        };
        forget().map_err(storage("remove", &kept))
    }

    /// Puts that copy in the place of what the engine has made of the records.
    pub(super) fn put_back_kept_records(&self) -> Result<()> {
        let (kept, records) = (self.path.join(KEPT), self.records());
        let put_back = || {
            if kept.try_exists()? {
                let replaced = self.path.join(REPLACED);
                remove_tree(&replaced)?;
                fs::rename(&records, &replaced)?;
                files::sync_directory(&self.path)?;
                fs::rename(&kept, &records)?;
                files::sync_directory(&self.path)?;
                remove_tree(&replaced)?;
            }
            Ok(())
        };
        put_back().map_err(storage("put back", &records))
    }

    /// Finishes what was interrupted: putting kept records back, and a compaction after its commitment. Cleans up after a
    /// compaction that had not come so far.
    fn settle(&self) -> Result<()> {
        let (records, fresh) = (self.records(), self.compacted());
        let settle = || {
            let kept = self.path.join(KEPT);
            if !records.try_exists()? && kept.try_exists()? {
                // Putting it back was interrupted.
                fs::rename(&kept, &records)?;
                files::sync_directory(&self.path)?;
            }
            if !records.try_exists()? && fresh.join(COMPLETE).try_exists()? {
                fs::rename(&fresh, &records)?;
                files::sync_directory(&self.path)?;
            }
            if records.is_dir() {
                remove_file(&records.join(COMPLETE))?;
                remove_tree(&fresh)?;
                remove_tree(&self.path.join(REPLACED))?;
                remove_tree(&self.path.join(SALVAGED))?;
            }
            Ok(())
        };
        settle().map_err(storage("settle what was interrupted in", &self.path))
    }

    /// The header as it is stored.
    pub(super) fn read_header(&self) -> Result<Vec<u8>> {
        read_header(&self.path)
    }

    /// Makes an empty place for copies of a damaged store's files.
    pub(super) fn begin_salvage(&self) -> Result<PathBuf> {
        let path = self.path.join(SALVAGED);
        let begin = || {
            remove_tree(&path)?;
            files::create_private_directory(&path)
        };
        begin().map_err(storage("make", &path))?;
        Ok(path)
    }

    /// Removes those copies.
    pub(super) fn end_salvage(&self) -> Result<()> {
        let path = self.path.join(SALVAGED);
        remove_tree(&path).map_err(storage("remove", &path))
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
        self.remove_seal()?;
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
        remove_tree(&unfinished)?;
        match fs::rename(self.records(), &unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                files::sync_directory(&self.path)?;
                remove_tree(&unfinished)
            }
        }
    }

    /// Writes the anchor of a store that is being made.
    pub(super) fn write_anchor(&self, root: &RootKeys, instance: &Uuid, epoch: u64, tag: HeadTag) -> Result<()> {
        let path = self.path.join(ANCHOR);
        files::replace(&path, &AnchorFile::encode(&root.anchor, instance, epoch, tag)).map_err(storage("write", &path))
    }

    pub(super) fn open_anchor(&self, roots: &Roots, instance: &Uuid) -> Result<AnchorFile> {
        AnchorFile::open(&self.path.join(ANCHOR), true, &anchor_keys(roots), instance)
    }

    /// The seal, if the store was closed.
    pub(super) fn read_seal<'a>(&self, roots: &'a Roots, instance: &Uuid) -> Result<(Option<Seal>, &'a RootKeys)> {
        let read = |root: &'a RootKeys| Ok((Seal::read(&self.path.join(SEAL), &root.seal, instance)?, root));
        match &roots.former {
            // By the former one, if replacing the header was told as a failure and was none.
            Some(former) => read(&roots.newest).or_else(|error| read(former).map_err(|_: Error| error)),
            None => read(&roots.newest),
        }
    }

    /// Removes the seal, durably: from now on the engine may change its files.
    pub(super) fn remove_seal(&self) -> Result<()> {
        let path = self.path.join(SEAL);
        let remove = || {
            if path.try_exists()? {
                remove_file(&path)?;
                files::sync_directory(&self.path)?;
            }
            Ok(())
        };
        remove().map_err(storage("remove", &path))
    }

    /// Seals the engine's files, which it has let go of.
    pub(super) fn write_seal(&self, root: &RootKeys, instance: &Uuid, epoch: u64, entropy: &dyn Entropy) -> Result<()> {
        let mut salt = Salt::default();
        entropy.fill(&mut salt)?;
        let path = self.path.join(SEAL);
        let write = || {
            // What the seal says must not reach the disk before the files do.
            files::sync_tree(&self.records())?;
            let seal = Seal::of(&self.records(), &root.seal, salt, epoch)?;
            files::replace(&path, &seal.encode(&root.seal, instance))
        };
        write().map_err(storage("write", &path))
    }

    /// Gives up the store, durably and in one step: it is marked as one that was never finished, and then its header is
    /// removed. What is left is removed by [`make_records`](Self::make_records), or by the next opener's.
    pub(super) fn discard(&self) -> Result<()> {
        self.forget_kept_records()?;
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

    /// Puts a header in the place of the one that is there, and erases that one.
    pub(super) fn replace_header(&self, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(HEADER);
        files::replace_and_erase(&path, bytes).map_err(storage("write", &path))
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

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// In the records of a store that has no header yet.
const MARK: &str = "unfinished";

/// A directory with files that are not ours is not made into a store.
fn refuse_foreign_files(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(storage("read", path))? {
        let name = entry.map_err(storage("read", path))?.file_name();
        let ours = [LOCK, RECORDS, UNFINISHED_RECORDS, SALVAGED, HEADER, ANCHOR, SEAL];
        let temporary = [HEADER, ANCHOR, SEAL].map(|name| format!("{name}.tmp"));
        if !ours.iter().any(|ours| name == *ours) && !temporary.iter().any(|ours| name == **ours) {
            return Err(not_a_store(path, &format!("holds no store, but other files: `{}`", name.display())));
        }
    }
    Ok(())
}
