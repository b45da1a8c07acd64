//! The anchor of a store in a directory: its bytes, what becomes of a damaged one, and that a store which is older than
//! its anchor is never opened.

use std::fs;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::Deserialize;
use strongroom::testing::format;
use strongroom::{Backend, ErrorKind, SecretStore, SledBackend};
use tempfile::TempDir;

use crate::fixture::{
    Hex, assert_unchanged, copy, create, exchange_sled, in_directory, names, read, rounds, sled, tree,
};
use crate::insider::Insider;

const SLOT: usize = 512;
/// The bytes of a slot that are not filler.
const USED: usize = 8 + 2 + 16 + 8 + 16 + 32;

#[derive(Deserialize)]
struct Vectors {
    anchors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: Hex,
    instance: Hex,
    commits: Vec<Commit>,
    slots_without_zeros: [Hex; 2],
    sha256: Hex,
}

#[derive(Deserialize)]
struct Commit {
    epoch: String,
    head_tag: Hex,
}

#[test]
fn an_anchor_and_what_commits_make_of_it() {
    let vectors = read::<Vectors>("vectors.json").anchors;
    assert_eq!(vectors.len(), 6);
    for Vector { name, key, instance, commits, slots_without_zeros, sha256 } in vectors {
        let commits: Vec<_> =
            commits.iter().map(|commit| (commit.epoch.parse().unwrap(), commit.head_tag.array())).collect();
        let (&(epoch, tag), later) = commits.split_first().unwrap();
        let new = format::new_anchor(&key.array(), instance.array(), epoch, tag);
        let directory = tempfile::tempdir().unwrap();
        // In one go, and opened anew for each commit.
        for (file, at_once) in [("one", later.len().max(1)), ("other", 1)] {
            let file = directory.path().join(file);
            fs::write(&file, &new).unwrap();
            for commits in later.chunks(at_once) {
                format::advance_anchor(&file, &key.array(), instance.array(), commits).unwrap();
            }
            let made = fs::read(&file).unwrap();
            for (slot, expected) in made.chunks(SLOT).zip(&slots_without_zeros) {
                assert_eq!(slot[..expected.len()], **expected, "{name}");
                assert!(slot[expected.len()..].iter().all(|byte| *byte == 0), "{name}");
            }
            assert_eq!(digest(&SHA256, &made).as_ref(), &*sha256, "{name}");
        }
    }
}

/// A store in a directory of its own.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A store that was closed after so many commits, each of which made one secret.
    pub(crate) fn closed(commits: usize) -> Self {
        let place = Self::empty();
        place.go_on(1, 0..commits);
        place
    }

    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// The same, at another place.
    pub(crate) fn copy(&self) -> Self {
        let other = Self::empty();
        copy(&self.path(), &other.path());
        other
    }

    /// The same at another place, without its seal: as a kill at this moment would have left it.
    pub(crate) fn unsealed(&self) -> Self {
        let other = self.copy();
        fs::remove_file(other.seal()).unwrap();
        other
    }

    /// What a kill leaves of the store, after so many commits more.
    pub(crate) fn killed_after(&self, commits: std::ops::Range<usize>) -> Self {
        let store = in_directory(&self.path(), 2).open().unwrap();
        commits.for_each(|number| create(&store, &name(number)).unwrap());
        let killed = self.copy();
        store.close().unwrap();
        killed
    }

    /// Gives the number of the newest commit.
    pub(crate) fn go_on(&self, seed: u64, commits: std::ops::Range<usize>) -> u64 {
        let store = in_directory(&self.path(), seed).open().unwrap();
        commits.for_each(|number| create(&store, &name(number)).unwrap());
        let epoch = store.stats().unwrap().epoch;
        store.close().unwrap();
        epoch
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn anchor(&self) -> PathBuf {
        self.path().join("store.anchor")
    }

    pub(crate) fn seal(&self) -> PathBuf {
        self.path().join("store.seal")
    }

    pub(crate) fn open(&self) -> strongroom::Result<SecretStore> {
        in_directory(&self.path(), 3).open()
    }

    /// Whether the anchor is taken, without letting the engine in: a store that is closed and expected to have gone
    /// further is refused for that only after its anchor was read.
    #[track_caller]
    fn is_anchor_taken(&self, what: &str) -> bool {
        assert!(self.seal().exists());
        let error = in_directory(&self.path(), 3).open_expecting(u64::MAX).open().unwrap_err();
        match error.kind() {
            ErrorKind::LostCommits { expected: u64::MAX, .. } => true,
            ErrorKind::Corrupted => {
                assert!(error.to_string().contains("store.anchor"), "{what}: {error}");
                false
            }
            other => panic!("{what}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn opens_with(&self, what: &str, secrets: usize) {
        let store = self.open().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(names(&store), (0..secrets).map(name).collect::<Vec<_>>(), "{what}");
        store.close().unwrap();
    }

    #[track_caller]
    fn is_lost(&self, what: &str, have: u64, expected: u64) {
        let before = tree(&self.path());
        let is_closed = self.seal().exists();
        let error = self.open().map(drop).expect_err(what);
        assert_eq!(*error.kind(), ErrorKind::LostCommits { have, expected }, "{what}: {error}");
        if is_closed {
            assert_unchanged(what, &before, &self.path());
        }
        let again = self.open().map(drop).expect_err(what);
        assert_eq!(again.kind(), error.kind(), "{what}: asked again");
    }
}

pub(crate) fn name(number: usize) -> String {
    format!("secret-{number:03}")
}

/// A slot as the description has it: epoch and tag, if it authenticates and names the instance.
fn slot(insider: &Insider, slot: &[u8]) -> Option<(u64, [u8; 16])> {
    let (body, code) = slot[..USED].split_at(USED - 32);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &insider.key("root/anchor")), body, code).ok()?;
    let is_ours = body[..10] == *b"STRONGAN\0\x01" && body[10..26] == insider.instance;
    is_ours.then(|| (u64::from_be_bytes(body[26..34].try_into().unwrap()), body[34..].try_into().unwrap()))
}

fn slots(path: &Path) -> [(u64, [u8; 16]); 2] {
    let insider = Insider::of_header(&fs::read(path.join("store.hdr")).unwrap());
    let bytes = fs::read(path.join("store.anchor")).unwrap();
    assert_eq!(bytes.len(), 2 * SLOT);
    [&bytes[..SLOT], &bytes[SLOT..]].map(|bytes| slot(&insider, bytes).unwrap())
}

/// The newest head's last 16 bytes, out of files that nobody has open.
fn stored_head_tag(path: &Path) -> [u8; 16] {
    let apart = tempfile::tempdir().unwrap();
    copy(&sled(path), apart.path());
    let backend = SledBackend::open(apart.path(), 1 << 20).unwrap();
    let tag = *backend.get(b"h").unwrap().unwrap().as_ref().last_chunk().unwrap();
    backend.close().unwrap();
    tag
}

#[test]
fn every_commit_is_in_the_anchor_when_its_call_returns() {
    let place = Place::empty();
    let store = place.open().unwrap();
    let [first, second] = slots(&place.path());
    assert_eq!((first.0, first), (0, second), "a new store has the same in both");
    for number in 0..6 {
        create(&store, &name(number)).unwrap();
        let mut epochs = slots(&place.path()).map(|(epoch, _)| epoch);
        epochs.sort_unstable();
        let newest = store.stats().unwrap().epoch;
        assert_eq!(epochs, [newest - 1, newest], "the older one is overwritten");
    }
    store.close().unwrap();
    let newest = slots(&place.path()).into_iter().max().unwrap();
    assert_eq!(newest, (6, stored_head_tag(&place.path())));
}

#[test]
fn one_slot_that_authenticates_is_enough_and_none_is_not() {
    let place = Place::closed(5);
    let whole = fs::read(place.anchor()).unwrap();
    let mut opened = 0;
    let every = rounds(23, 1);
    for at in 0..SLOT {
        let (mut one, mut both) = (whole.clone(), whole.clone());
        both[at] ^= 1 << (at % 8);
        both[SLOT + at] ^= 1 << (at % 8);
        fs::write(place.anchor(), &both).unwrap();
        assert_eq!(place.is_anchor_taken(&format!("byte {at} of both")), at >= USED, "byte {at} of both");
        for at in [at, SLOT + at] {
            one.clone_from(&whole);
            one[at] ^= 1 << (at % 8);
            fs::write(place.anchor(), &one).unwrap();
            assert!(place.is_anchor_taken(&format!("byte {at}")), "byte {at}");
            if at % every == 0 {
                place.opens_with(&format!("byte {at}"), 5);
                opened += 1;
                fs::write(place.anchor(), &whole).unwrap();
            }
        }
    }
    eprintln!("anchor: {} bytes changed in one slot, {opened} of them opened; {USED} in both", 2 * SLOT);
}

/// What is put in the place of an anchor, how, and what opening says.
type Refused<'a> = (&'a str, &'a dyn Fn(&Path), ErrorKind);

/// A store whose anchor nobody can read is not opened, or removing it would hide what was lost.
#[test]
fn an_anchor_that_is_missing_or_none_is_refused() {
    let place = Place::closed(3);
    let whole = fs::read(place.anchor()).unwrap();
    for length in 0..=2 * SLOT {
        fs::write(place.anchor(), &whole[..length]).unwrap();
        assert_eq!(place.is_anchor_taken(&format!("{length} bytes")), length >= USED, "{length} bytes");
    }
    fs::write(place.anchor(), [whole.as_slice(), &[7; 5000]].concat()).unwrap();
    assert!(place.is_anchor_taken("too long"));

    let other = Place::empty();
    other.go_on(7, 0..9);
    let elsewhere = place.directory.path().join("anchor");
    fs::write(&elsewhere, &whole).unwrap();
    let insider = Insider::of_header(&fs::read(place.path().join("store.hdr")).unwrap());
    let other_life = format::new_anchor(&insider.key("root/anchor"), [9; 16], 2, [0; 16]);
    let other_purpose = format::new_anchor(&insider.key("root/seal"), insider.instance, 2, [0; 16]);
    let rows: [Refused<'_>; 9] = [
        ("missing", &|_| {}, ErrorKind::Corrupted),
        ("empty", &|path| fs::write(path, b"").unwrap(), ErrorKind::Corrupted),
        ("zeros", &|path| fs::write(path, [0; 2 * SLOT]).unwrap(), ErrorKind::Corrupted),
        ("text", &|path| fs::write(path, "STRONGAN".repeat(128)).unwrap(), ErrorKind::Corrupted),
        ("that of another store", &|path| fs::copy(other.anchor(), path).map(drop).unwrap(), ErrorKind::Corrupted),
        ("that of another life of the store", &|path| fs::write(path, &other_life).unwrap(), ErrorKind::Corrupted),
        ("under a key of another purpose", &|path| fs::write(path, &other_purpose).unwrap(), ErrorKind::Corrupted),
        ("a directory", &|path| fs::create_dir(path).unwrap(), ErrorKind::Storage),
        ("a link to itself", &|path| std::os::unix::fs::symlink(&elsewhere, path).unwrap(), ErrorKind::Storage),
    ];
    for (what, put, expected) in rows {
        for is_closed in [true, false] {
            let place = if is_closed { place.copy() } else { place.unsealed() };
            fs::remove_file(place.anchor()).unwrap();
            put(&place.anchor());
            let before = tree(&place.path());
            let error = place.open().map(drop).expect_err(what);
            assert_eq!(*error.kind(), expected, "{what}: {error}");
            assert!(error.to_string().contains("store.anchor"), "{what}: {error}");
            assert_unchanged(what, &before, &place.path());
        }
    }
    fs::write(place.anchor(), &whole).unwrap();
    place.opens_with("its own again", 3);
}

#[test]
fn an_anchor_from_before_does_no_harm_and_one_from_later_is_believed() {
    let earlier = Place::closed(3);
    let later = earlier.copy();
    later.go_on(2, 3..7);
    let killed = earlier.copy().killed_after(3..5);

    for (what, place, secrets) in [("closed", later.copy(), 7), ("killed", killed, 5)] {
        fs::copy(earlier.anchor(), place.anchor()).unwrap();
        place.opens_with(&format!("{what}, an anchor from before"), secrets);
        let newest = place.go_on(4, secrets..secrets + 2);
        assert_eq!(slots(&place.path()).into_iter().max().unwrap().0, newest, "{what}");
        place.opens_with(&format!("{what}, an anchor from before, and changed since"), secrets + 2);
    }

    for is_closed in [true, false] {
        let place = if is_closed { earlier.copy() } else { earlier.unsealed() };
        let own = fs::read(place.anchor()).unwrap();
        fs::copy(later.anchor(), place.anchor()).unwrap();
        place.is_lost(&format!("an anchor from later, closed: {is_closed}"), 3, 7);
        fs::write(place.anchor(), own).unwrap();
        place.opens_with("its own anchor again", 3);
    }
}

#[test]
fn old_files_of_the_engine_under_a_newer_anchor_are_refused() {
    let earlier = Place::closed(3);
    let later = earlier.copy();
    later.go_on(2, 3..7);

    let place = later.copy();
    exchange_sled(&earlier.path(), &place.path());
    fs::remove_file(place.seal()).unwrap();
    place.is_lost("the files without a seal", 3, 7);

    let place = later.copy();
    exchange_sled(&earlier.path(), &place.path());
    fs::copy(earlier.seal(), place.seal()).unwrap();
    place.is_lost("the files and their seal", 3, 7);

    let place = later.copy();
    exchange_sled(&earlier.path(), &place.path());
    let before = tree(&place.path());
    let error = place.open().map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupted, "the files under the newer seal: {error}");
    assert_unchanged("the files under the newer seal", &before, &place.path());

    exchange_sled(&later.path(), &place.path());
    place.opens_with("its own files again", 7);
}

/// As many commits as were acknowledged, and not those: the number alone would not tell.
#[test]
fn files_of_another_future_with_the_same_number_are_refused() {
    let [one, other] = {
        let one = Place::closed(3);
        let other = one.copy();
        one.go_on(5, 3..6);
        other.go_on(6, 13..16);
        [one, other]
    };
    exchange_sled(&other.path(), &one.path());
    fs::remove_file(one.seal()).unwrap();
    one.is_lost("without a seal", 6, 6);
    fs::copy(other.anchor(), one.anchor()).unwrap();
    assert!(one.open().is_ok(), "under their own anchor");
}

#[test]
fn a_store_is_opened_only_at_the_commit_that_is_expected_or_later() {
    let closed = Place::closed(4);
    let killed = closed.unsealed();
    for (what, place) in [("closed", &closed), ("killed", &killed)] {
        let expecting = |epoch| in_directory(&place.path(), 3).open_expecting(epoch).open().map(drop);
        let before = tree(&place.path());
        for expected in [5, 6, u64::MAX] {
            let error = expecting(expected).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 4, expected }, "{what}: {error}");
            if what == "closed" {
                assert_unchanged(what, &before, &place.path());
            }
        }
        for expected in [4, 3, 0] {
            assert!(expecting(expected).is_ok(), "{what}: {expected}");
        }
    }
    let nothing = Place::empty();
    let error = in_directory(&nothing.path(), 3).open_expecting(4).open().map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 0, expected: 4 }, "no store: {error}");
    assert!(!SecretStore::exists(nothing.path()).unwrap());
}
