//! Damage to the files of a store.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::damage::templates::{Template, copy};
use crate::history::Chance;

/// Longer than any disk that a test runs on, and nothing but a hole.
const HUGE_BYTES: u64 = 1 << 40;

/// Where the second copy of the header begins.
const HEADER_COPY_BYTES: usize = 4096;

/// What is done to one file, or to the files of the engine together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Flip,
    Cut,
    Zeros(usize),
    Append,
    Delete,
    Empty,
    Link,
    Directory,
    Pipe,
    Huge,
    /// The engine's files of an earlier time.
    Older,
    /// The engine's files of another store.
    Foreign,
    /// Another store's header, anchor or seal.
    ForeignFile,
    /// One copy of the header is another store's.
    MixedHeader,
}

impl Damage {
    /// What needs no place in the file.
    pub(super) const WHOLE_FILE: [Self; 7] =
        [Self::Append, Self::Delete, Self::Empty, Self::Link, Self::Directory, Self::Pipe, Self::Huge];

    /// Where a short file is looked at as a whole, so that most tries hit what means something.
    pub(super) fn is_random(self) -> bool {
        matches!(self, Self::Flip | Self::Cut | Self::Zeros(_))
    }
}

/// What was done.
pub(super) struct Done {
    pub(super) damage: Damage,
    /// Relative to the store.
    pub(super) file: PathBuf,
    how: String,
}

impl Done {
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.file == Path::new(name)
    }

    pub(super) fn is_of_the_engine(&self) -> bool {
        self.file.starts_with("sled")
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}: {}", self.damage, self.file.display(), self.how)
    }
}

/// Which file a try hits: mostly the log, which is most of what there is, and every file now and then.
pub(super) fn choose<'a>(files: &'a [PathBuf], chance: &Chance) -> &'a Path {
    // The lock file is empty: there is nothing in it that could be changed.
    let files: Vec<&PathBuf> = files.iter().filter(|file| !file.ends_with("LOCK")).collect();
    match chance.below(10) {
        0..6 => Path::new("sled/db"),
        _ => files[chance.below(files.len())],
    }
}

/// Damages a store that was copied from a template.
pub(super) fn inflict(template: &Template, store: &Path, file: &Path, damage: Damage, chance: &Chance) -> Done {
    let path = store.join(file);
    let done = |damage, how: String| Done { damage, file: file.to_owned(), how };
    let bytes = fs::read(&path).unwrap_or_default();
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let open = || OpenOptions::new().write(true).open(&path).unwrap();
    // An empty file has nothing that could be changed.
    let damage = if damage.is_random() && written == 0 { Damage::Append } else { damage };
    match damage {
        Damage::Flip => {
            let (at, bit) = (chance.below(written), chance.below(8));
            open().write_all_at(&[bytes[at] ^ (1 << bit)], at as u64).unwrap();
            done(damage, format!("bit {bit} of byte {at}, {written} written"))
        }
        Damage::Cut => {
            let at = chance.below(written);
            open().set_len(at as u64).unwrap();
            done(damage, format!("at {at}, {written} written"))
        }
        Damage::Zeros(length) => {
            let at = chance.below(written) / length * length;
            let length = length.min(bytes.len() - at);
            open().write_all_at(&vec![0; length], at as u64).unwrap();
            done(damage, format!("at {at}, {written} written"))
        }
        Damage::Append => {
            let length = 1 + chance.below(5_000);
            let garbage: Vec<u8> = (0..length).map(|_| u8::try_from(chance.below(256)).unwrap()).collect();
            open().write_all_at(&garbage, bytes.len() as u64).unwrap();
            done(damage, format!("{length} bytes at {}", bytes.len()))
        }
        Damage::Delete => {
            fs::remove_file(&path).unwrap();
            done(damage, String::new())
        }
        Damage::Empty => {
            open().set_len(0).unwrap();
            done(damage, String::new())
        }
        Damage::Link => {
            fs::rename(&path, store.join("../elsewhere")).unwrap();
            symlink(store.join("../elsewhere"), &path).unwrap();
            done(damage, "to the same bytes".to_owned())
        }
        Damage::Directory => {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            done(damage, String::new())
        }
        Damage::Pipe => {
            fs::remove_file(&path).unwrap();
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            done(damage, String::new())
        }
        Damage::Huge => {
            open().set_len(HUGE_BYTES).unwrap();
            done(damage, String::new())
        }
        Damage::Older | Damage::Foreign => {
            let from = if damage == Damage::Older { template.older() } else { template.foreign().join("sled") };
            fs::remove_dir_all(store.join("sled")).unwrap();
            copy(&from, &store.join("sled")).unwrap();
            done(damage, "all of sled".to_owned())
        }
        Damage::ForeignFile => {
            fs::copy(template.foreign().join(file), &path).unwrap();
            done(damage, String::new())
        }
        Damage::MixedHeader => {
            let at = if chance.below(2) == 0 { 0 } else { HEADER_COPY_BYTES };
            let foreign = fs::read(template.foreign().join(file)).unwrap();
            open().write_all_at(&foreign[at..at + HEADER_COPY_BYTES], at as u64).unwrap();
            done(damage, format!("the copy at {at}"))
        }
    }
}
