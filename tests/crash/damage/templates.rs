//! The stores that are copied and then damaged.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use strongroom::testing::ManualClock;
use strongroom::{Builder, Durability, SecretStore, StaticKey};
use tempfile::TempDir;

use crate::child::store_in;
use crate::damage::contents::{Contents, OPENED_AT};

/// The store of a place, as everything here opens it.
pub(super) fn builder(store: &Path, key: u8) -> Builder {
    SecretStore::builder(store).key_provider(StaticKey::new([key; 32])).clock(ManualClock::at_millis(OPENED_AT))
}

/// How a template was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was closed.
    Closed,
    /// As a crash leaves it, after one session.
    CrashedInTheFirstSession,
    /// As a crash leaves it, after several sessions.
    CrashedLater,
}

impl End {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::CrashedInTheFirstSession, Self::CrashedLater];
}

/// A store that is copied for each try.
pub(super) struct Template {
    pub(super) secrets: usize,
    pub(super) end: End,
    directory: TempDir,
}

impl Template {
    pub(super) fn new(secrets: usize, end: End) -> Self {
        let contents = Contents::of(secrets);
        let (work, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = store_in(work.path());
        let clock = ManualClock::at_millis(0);
        let open = |durability| builder(&store, 7).clock(clock.clone()).durability(durability).open().unwrap();
        let template = Self { secrets, end, directory };

        let first = open(Durability::Eventual);
        contents.run_early(&first, &clock);
        first.flush().unwrap();
        let last = if end == End::CrashedInTheFirstSession {
            copy(&store.join("sled"), &template.older()).unwrap();
            first
        } else {
            first.close().unwrap();
            copy(&store.join("sled"), &template.older()).unwrap();
            open(Durability::Immediate)
        };
        contents.run_late(&last, &clock);
        last.flush().unwrap();
        if end == End::Closed {
            last.close().unwrap();
            copy(&store, &template.store()).unwrap();
        } else {
            copy(&store, &template.store()).unwrap();
            last.close().unwrap();
        }

        let foreign =
            builder(&template.foreign(), 9).clock(clock.clone()).durability(Durability::Eventual).open().unwrap();
        Contents::of(30).run_early(&foreign, &clock);
        foreign.close().unwrap();
        template
    }

    pub(super) fn store(&self) -> PathBuf {
        store_in(self.directory.path())
    }

    /// The engine's files of an earlier time.
    pub(super) fn older(&self) -> PathBuf {
        self.directory.path().join("older")
    }

    /// Another store.
    pub(super) fn foreign(&self) -> PathBuf {
        self.directory.path().join("foreign")
    }

    /// A place with a store of its own to be damaged.
    pub(super) fn copied(&self) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        copy(&self.store(), &store_in(place.path())).unwrap();
        place
    }

    /// Every file of the store, relative to it.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let (root, mut files) = (self.store(), Vec::new());
        let mut rest = vec![root.clone()];
        while let Some(path) = rest.pop() {
            if path.is_dir() {
                rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                files.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
        files.sort();
        files
    }
}

/// Copies a directory into one that is made for it. What holes there are stay holes.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            copy_file(&entry.path(), &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let bytes = fs::read(from)?;
    let file = File::create(to)?;
    file.set_len(bytes.len() as u64)?;
    for (index, block) in bytes.chunks(65_536).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, index as u64 * 65_536)?;
        }
    }
    Ok(())
}
