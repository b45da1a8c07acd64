//! Backups: one file with everything, as of one moment, encrypted as it is stored; and stores made from them.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use crate::entropy::random_uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::records::anchor::Anchors;
use crate::records::backup::{Reader, Writer};
use crate::records::codec::Head;
use crate::records::header::Header;
use crate::records::sweep::disagreement;
use crate::records::{Records, no_more_commits, storage};
use crate::storage::{Batch, Durability};
use crate::store::builder::{Builder, Maker, OpenMode, Opened, Place};
use crate::store::directory::{Directory, Found};
use crate::store::progress::{Meter, Progress};
use crate::store::{Inner, SecretStore};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes of records that are committed at once where a store is filled.
pub(super) const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// How far a restored or salvaged store begins ahead of what is known of the old one: commits that the old one may have
/// acknowledged since are far fewer, so no anchor of it takes the new store for an older state.
pub(super) const EPOCH_STRIDE: u64 = 1 << 32;

/// What [`SecretStore::backup`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Number of the newest commit in the backup.
    pub epoch: u64,
    /// Secrets, over all accounts and Regions.
    pub secrets: u64,
    /// Records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl SecretStore {
    /// Writes everything that the store holds into one file, as of one moment at the end of the call.
    ///
    /// Others go on reading and writing meanwhile; a writer waits for a hundred records to be read at most. The file is
    /// encrypted as the store is, and opened by the same key: it needs no other protection, and is of no use without the
    /// key provider, which has to be backed up on its own. It appears under its name only when it is complete, durable,
    /// and has been read back. [`Builder::restore`] makes a store from it.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::BackupFile`]: there is a file of that name; it is left as it is.
    /// 2. [`ErrorKind::Corrupted`]: the records are not those that were acknowledged, so a backup would not be one.
    /// 3. [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// let store = SecretStore::builder(directory.join("vault")).key_provider(StaticKey::new([7; 32])).open()?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// store.backup(directory.join("vault.backup"), &mut |_| {})?;
    ///
    /// let builder = SecretStore::builder(directory.join("another")).key_provider(StaticKey::new([7; 32]));
    /// let restored = builder.restore(directory.join("vault.backup"), &mut |_| {})?;
    /// assert_eq!(restored.stats()?.secrets, 1);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn backup(&self, path: impl AsRef<Path>, progress: &mut dyn FnMut(Progress)) -> Result<BackupReport> {
        self.inner.backup(path.as_ref(), progress)
    }
}

/// The error of a file that the caller named.
pub(super) fn cannot(doing: &str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let text = format!("cannot {doing} `{}`", path.display());
    move |error| Error::new(ErrorKind::Storage, format!("{text}: {error}")).with_source(error)
}

/// A new file of a name that the caller gave, which must be free.
pub(super) fn new_file(path: &Path) -> Result<files::NewFile> {
    files::NewFile::create(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::BackupFile, format!("`{}` exists already", path.display())).with_source(error)
        }
        _ => cannot("write", path)(error),
    })
}

/// A file that the caller gave for reading.
pub(super) fn given_file(what: &str, path: &Path) -> Result<File> {
    files::open_given(path).map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no {what} `{}`", path.display()),
            std::io::ErrorKind::InvalidInput => format!("`{}`: {error}", path.display()),
            _ => return cannot("read", path)(error),
        };
        Error::new(ErrorKind::BackupFile, text).with_source(error)
    })
}

impl Inner {
    fn backup(&self, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<BackupReport> {
        self.records.usable()?;
        // Neither the header nor the places of records change as long as this is held.
        let _steady = self.steady();
        let new = new_file(path)?;
        let head = self.write_backup(&new, path, progress)?;
        new.sync().map_err(cannot("write", path))?;
        let (checked, bytes) = self.check_backup(&new, path, progress)?;
        if checked != head {
            return Err(Error::new(ErrorKind::BackupFile, "the backup does not read as it was written"));
        }
        new.publish().map_err(cannot("write", path))?;
        Ok(BackupReport { epoch: head.epoch, secrets: head.secrets, records: head.records, bytes })
    }

    fn write_backup(&self, new: &files::NewFile, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Head> {
        let failed = cannot("write", path);
        let mut meter = Meter::new("reading records", self.records.head().records, progress);
        let out = BufWriter::with_capacity(BUFFER_BYTES, new.file());
        let mut writer = Writer::new(out, &self.records.roots().newest, &self.header().stored).map_err(&failed)?;
        let mut sweep = self.records.sweep(true);
        loop {
            let step = sweep.step()?;
            for told in &step.told {
                writer.change(told).map_err(&failed)?;
            }
            for (key, value) in &step.found {
                writer.record(key, value.as_ref()).map_err(&failed)?;
            }
            meter.advance(step.found.len() as u64);
            if let Some((head, stored)) = step.end {
                if let Some(what) = disagreement(&head, sweep.tally()) {
                    return Err(Error::corrupted(format!("{what}: there is nothing whole to back up")));
                }
                let (mut out, _) = writer.finish(&stored).map_err(&failed)?;
                out.flush().map_err(&failed)?;
                meter.finish();
                return Ok(head);
            }
        }
    }

    fn check_backup(
        &self,
        new: &files::NewFile,
        path: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Head, u64)> {
        let file = File::open(new.unfinished_path()).map_err(cannot("read back", path))?;
        let bytes = file.metadata().map_err(cannot("read back", path))?.len();
        let mut meter = Meter::new("reading the backup", bytes, progress);
        let reader = Reader::new(BufReader::with_capacity(BUFFER_BYTES, file))?;
        let head = reader.check(&self.records.roots(), self.records.store(), |done| meter.reach(done))?;
        meter.finish();
        Ok((head, bytes))
    }
}

impl Builder {
    /// Makes a store from a backup, in a directory that holds none, and opens it.
    ///
    /// The key provider must be one that opens the store that was backed up. The backup is read to its end and
    /// authenticated before anything is made; then the store is made, read back and compared, and exists from then on: a
    /// crash leaves none, or a whole one. Its commits are numbered far above those of the backup, and above whatever an
    /// [`external_anchor`](Self::external_anchor) remembers, because going back to a backup is what the caller wants: no
    /// anchor takes it for a loss. An external anchor that is given is told of the new store at once, and from then on
    /// refuses the one that was backed up: rehearse a restore without it. [`mode`](Self::mode) does not matter.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Configuration`]: as for [`open`](Self::open), or the store is not to be in a directory.
    /// 2. [`ErrorKind::NotAStore`], [`ErrorKind::AlreadyOpen`]: as for [`open`](Self::open).
    /// 3. [`ErrorKind::StoreExists`]: there is a store already. It is left as it is.
    /// 4. [`ErrorKind::BackupFile`], [`ErrorKind::UnsupportedFormat`]: the file is no backup, is newer, damaged, edited or
    ///    cut short. [`ErrorKind::Storage`]: it cannot be read.
    /// 5. [`ErrorKind::WrongKey`] and its like: as for [`open`](Self::open).
    /// 6. [`ErrorKind::Storage`]: the store could not be made.
    pub fn restore(self, backup: impl AsRef<Path>, progress: &mut dyn FnMut(Progress)) -> Result<SecretStore> {
        let backup = backup.as_ref();
        self.mode(OpenMode::OpenOrCreate).open_by(|maker, place, patience, cache_bytes| {
            let directory = new_place(place, patience)?;
            let opened = maker.restore(&directory, cache_bytes, backup, progress)?;
            Ok((opened, Some(directory)))
        })
    }
}

/// A locked directory that holds no store.
pub(super) fn new_place(place: Place, patience: std::time::Duration) -> Result<Directory> {
    let Place::Directory(path) = place else {
        return Err(Error::configuration("only a store in a directory can be made from another one"));
    };
    let directory = Directory::lock(&path, true, patience)?;
    match directory.look()? {
        Found::Nothing => Ok(directory),
        Found::Store(_) => {
            Err(Error::new(ErrorKind::StoreExists, format!("there is a store in `{}` already", path.display())))
        }
    }
}

impl Maker {
    fn restore(
        &self,
        directory: &Directory,
        cache_bytes: u64,
        backup: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Opened> {
        let open = || -> Result<_> {
            let file = given_file("backup", backup)?;
            let bytes = file.metadata().map_err(cannot("read", backup))?.len();
            Ok((Reader::new(BufReader::with_capacity(BUFFER_BYTES, file))?, bytes))
        };
        let (reader, bytes) = open()?;
        let (header, roots) = self.open_header(Header::read(&reader.header)?)?;
        let mut meter = Meter::new("checking the backup", bytes, progress);
        let head = reader.check(&roots, &header.store, |done| meter.reach(done))?;
        meter.finish();

        let header = Header { instance: random_uuid(&*self.entropy)?, ..header };
        let epoch =
            head.epoch.max(self.anchors(None).expected()?).checked_add(EPOCH_STRIDE).ok_or_else(no_more_commits)?;
        let new_head = Head { epoch, ..head };
        // Read again: what is made is compared with the head that was authenticated before the store exists.
        let (reader, _) = open()?;
        let mut meter = Meter::new("writing records", head.records, progress);
        let made = self.make(directory, header, roots, cache_bytes, |backend, roots, store| {
            let mut batch = Batch::new();
            let commit = |batch: &mut Batch| {
                let full = std::mem::take(batch);
                backend.commit(&full, Durability::Eventual).map_err(storage)
            };
            reader.replay(&roots.newest, |change| {
                batch.append(change);
                meter.advance(1);
                if batch.bytes() >= BATCH_BYTES { commit(&mut batch) } else { Ok(()) }
            })?;
            commit(&mut batch)?;
            Records::create(self.parts(backend, roots, store, Anchors::default()), None, &new_head)
        })?;
        meter.finish();
        Ok(made)
    }
}
