//! The seal of a closed store: its bytes, when there is one, and that no changed file of the engine's gets past it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::Deserialize;
use strongroom::testing::SeededEntropy;
use strongroom::{CheckRecords, Entropy, ErrorKind, ExternalAnchor, OpenMode};

use crate::anchor::{Place, name};
use crate::fixture::{Entry, Hex, assert_unchanged, create, in_directory, names, read, rounds, sled, tree};
use crate::insider::Insider;

#[derive(Deserialize)]
struct Vectors {
    store_seals: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: Hex,
    instance: Hex,
    epoch: String,
    salt: Hex,
    files: Vec<File>,
    file: Hex,
}

#[derive(Deserialize)]
struct File {
    path: String,
    content: Hex,
}

/// A seal as the description has it.
fn seal(key: &[u8; 32], instance: &[u8; 16], epoch: u64, salt: &[u8; 32], mut files: Vec<(&[u8], &[u8])>) -> Vec<u8> {
    files.sort_unstable();
    let code = hmac::Key::new(hmac::HMAC_SHA256, key);
    let blocks = hmac::sign(&code, &[b"blocks", salt.as_slice()].concat());
    let blocks = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, blocks.as_ref()).unwrap());
    let count = u32::try_from(files.len()).unwrap().to_be_bytes();
    let mut out = [b"STRONGSE\0\x01".as_slice(), instance, &epoch.to_be_bytes(), salt, &count].concat();
    for (number, (path, content)) in (0_u32..).zip(files) {
        out.extend(u32::try_from(path.len()).unwrap().to_be_bytes());
        out.extend(path);
        out.extend(u64::try_from(content.len()).unwrap().to_be_bytes());
        let mut tags = Vec::new();
        for (index, block) in (0_u64..).zip(content.chunks(262_144)) {
            let nonce = [number.to_be_bytes().as_slice(), &index.to_be_bytes()].concat();
            let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
            let tag = blocks.seal_in_place_separate_tag(nonce, Aad::empty(), &mut block.to_vec()).unwrap();
            tags.extend(tag.as_ref());
        }
        out.extend(digest(&SHA256, &tags).as_ref());
    }
    let code = hmac::sign(&code, &out);
    [out.as_slice(), code.as_ref()].concat()
}

fn insider(place: &Place) -> Insider {
    Insider::of_header(&fs::read(place.path().join("store.hdr")).unwrap())
}

/// The seal that the files of a store should have.
fn right_seal(place: &Place, insider: &Insider, epoch: u64) -> Vec<u8> {
    let tree = tree(&sled(&place.path()));
    let files = tree.iter().filter_map(|(path, entry)| match entry {
        Entry::File(bytes) => Some((path.to_str().unwrap().as_bytes(), &**bytes)),
        Entry::Directory | Entry::Link(_) => None,
    });
    // The salt is whatever it is; everything else follows.
    let salt = fs::read(place.seal()).unwrap()[34..66].try_into().unwrap();
    seal(&insider.key("root/seal"), &insider.instance, epoch, &salt, files.collect())
}

/// What writes seals below writes those of the independent implementation.
#[test]
fn seals_of_the_independent_implementation() {
    let vectors = read::<Vectors>("vectors.json").store_seals;
    assert_eq!(vectors.len(), 5);
    for Vector { name, key, instance, epoch, salt, files, file } in vectors {
        let files = files.iter().map(|File { path, content }| (path.as_bytes(), content.0.as_slice())).collect();
        let made = seal(&key.array(), &instance.array(), epoch.parse().unwrap(), &salt.array(), files);
        assert_eq!(Hex(made), file, "{name}");
    }
}

#[test]
fn a_closed_store_has_the_seal_that_the_description_gives() {
    let place = Place::empty();
    for commits in [0..0, 0..3, 3..4] {
        let epoch = place.go_on(1, commits.clone());
        let expected = right_seal(&place, &insider(&place), epoch);
        assert_eq!(Hex(fs::read(place.seal()).unwrap()), Hex(expected), "after {commits:?}");
    }
}

#[derive(Debug, Clone, Default)]
struct FailsOnDemand(Arc<AtomicBool>);

impl ExternalAnchor for FailsOnDemand {
    fn load(&self) -> std::io::Result<Option<u64>> {
        Ok(None)
    }

    fn advance(&self, _: u64) -> std::io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(std::io::Error::other("on demand")) } else { Ok(()) }
    }
}

#[test]
fn a_store_has_a_seal_while_it_is_closed_and_at_no_other_time() {
    let place = Place::empty();
    let (has_seal, fails) = (|place: &Place| place.seal().exists(), FailsOnDemand::default());

    let store = place.open().unwrap();
    assert!(!has_seal(&place), "while it is open");
    create(&store, &name(0)).unwrap();
    assert!(!has_seal(&place), "after a commit");
    assert!(!has_seal(&place.copy()), "killed");
    store.close().unwrap();
    assert!(has_seal(&place), "closed");

    let store = place.open().unwrap();
    let handle = store.default_secrets_manager();
    assert!(!has_seal(&place), "open again, before anything is changed");
    drop(store);
    assert!(!has_seal(&place), "a handle is left");
    drop(handle);
    assert!(has_seal(&place), "closed by dropping it");

    let store = in_directory(&place.path(), 3).external_anchor(fails.clone()).open().unwrap();
    create(&store, &name(1)).unwrap();
    fails.0.store(true, Ordering::SeqCst);
    create(&store, &name(2)).unwrap_err();
    store.close().unwrap_err();
    assert!(!has_seal(&place), "a write had failed");

    let store = in_directory(&place.path(), 3).mode(OpenMode::OpenExisting).open().unwrap();
    let found = names(&store);
    assert!(found.len() >= 2 && !has_seal(&place), "{found:?}");
    store.close().unwrap();
    assert!(has_seal(&place));

    let store = in_directory(&place.path(), 9).mode(OpenMode::Replace).open().unwrap();
    assert!(!has_seal(&place), "the seal of the store that was replaced");
    store.close().unwrap();
    place.opens_with("replaced", 0);
}

/// The store is refused before the engine is let in.
#[track_caller]
fn is_refused(what: &str, place: &Place, kinds: &[ErrorKind], naming: &str) {
    let before = tree(&place.path());
    let checks = [CheckRecords::UnlessSealed, CheckRecords::Never];
    for check in checks {
        let error = in_directory(&place.path(), 3).check_records(check).open().map(drop).expect_err(what);
        assert!(kinds.contains(error.kind()), "{what}: {:?}: {error}", error.kind());
        assert!(error.to_string().contains(naming), "{what}: {error}");
        assert_unchanged(what, &before, &place.path());
    }
}

#[test]
fn a_seal_that_is_not_the_one_that_was_written_is_refused() {
    let place = Place::closed(3);
    let insider = insider(&place);
    let whole = fs::read(place.seal()).unwrap();
    let refuse = |what: &str, bytes: &[u8]| {
        fs::write(place.seal(), bytes).unwrap();
        is_refused(what, &place, &[ErrorKind::Corrupted], "store.seal");
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        refuse(&format!("byte {at}"), &changed);
    }
    for length in 0..whole.len() {
        refuse(&format!("{length} bytes"), &whole[..length]);
    }
    refuse("a byte more", &[whole.as_slice(), &[0]].concat());
    refuse("twice", &[whole.as_slice(), &whole].concat());
    refuse("two megabytes", &vec![7; 2 << 20]);

    let other = Place::empty();
    other.go_on(7, 0..3);
    refuse("that of another store", &fs::read(other.seal()).unwrap());
    let key = insider.key("root/seal");
    let foreign = |key: &[u8; 32], instance: &[u8; 16]| {
        let files = tree(&sled(&place.path()));
        let files = files.iter().filter_map(|(path, entry)| match entry {
            Entry::File(bytes) => Some((path.to_str().unwrap().as_bytes(), &**bytes)),
            Entry::Directory | Entry::Link(_) => None,
        });
        let salt = whole[34..66].try_into().unwrap();
        seal(key, instance, 3, &salt, files.collect())
    };
    assert_eq!(foreign(&key, &insider.instance), whole, "the control");
    refuse("that of another life of the store", &foreign(&key, &[9; 16]));
    refuse("under a key of another purpose", &foreign(&insider.key("root/anchor"), &insider.instance));

    let elsewhere = place.path().with_file_name("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    fs::remove_file(place.seal()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.seal()).unwrap();
    is_refused("a link to itself", &place, &[ErrorKind::Storage], "store.seal");
    fs::remove_file(place.seal()).unwrap();
    fs::create_dir(place.seal()).unwrap();
    is_refused("a directory", &place, &[ErrorKind::Storage], "store.seal");
    fs::remove_dir(place.seal()).unwrap();
    fs::write(place.seal(), &whole).unwrap();
    place.opens_with("its own seal again", 3);
    eprintln!("seal: {} bytes changed, {} lengths cut: all refused", whole.len(), whole.len());
}

/// Authentic, and of this store: of a time before.
#[test]
fn a_seal_from_before_is_refused() {
    let earlier = Place::closed(3);
    let later = earlier.copy();
    later.go_on(2, 3..5);
    fs::copy(earlier.seal(), later.seal()).unwrap();
    is_refused("under the anchor", &later, &[ErrorKind::LostCommits { have: 3, expected: 5 }], "");
    fs::copy(earlier.anchor(), later.anchor()).unwrap();
    is_refused("under the anchor from before", &later, &[ErrorKind::Corrupted], "sled");
}

fn random(seed: u64, below: usize) -> usize {
    let mut bytes = [0; 8];
    SeededEntropy::new(seed).fill(&mut bytes).unwrap();
    usize::try_from(u64::from_be_bytes(bytes) % u64::try_from(below).unwrap()).unwrap()
}

/// What a place is changed with, by the path of one file of the engine's and its content.
type Change<'a> = (&'a str, &'a dyn Fn(&Path, &[u8]));

#[test]
fn no_changed_file_of_the_engine_gets_past_the_seal() {
    let place = Place::closed(20);
    let files: Vec<_> = tree(&sled(&place.path()))
        .into_iter()
        .filter_map(|(path, entry)| match entry {
            Entry::File(bytes) => Some((sled(&place.path()).join(path), bytes.0)),
            Entry::Directory | Entry::Link(_) => None,
        })
        .collect();
    assert!(files.len() >= 3, "the log, the settings, a snapshot");
    let elsewhere = place.path().with_file_name("elsewhere");
    let put_back = |path: &Path, content: &[u8]| {
        let _ = fs::remove_dir_all(path);
        let _ = fs::remove_file(path);
        fs::write(path, content).unwrap();
    };
    let is_damage = [ErrorKind::Corrupted, ErrorKind::Storage];
    let (mut bits, mut changes) = (0, 0);
    for (path, content) in &files {
        let short = path.strip_prefix(place.path()).unwrap().display().to_string();
        for round in 0..rounds(12, 1000) {
            let at = match round {
                0 => 0,
                1 => content.len() - 1,
                _ => random(u64::try_from(round).unwrap(), content.len()),
            };
            let mut changed = content.clone();
            changed[at] ^= 1 << (round % 8);
            put_back(path, &changed);
            is_refused(&format!("{short}, byte {at}"), &place, &[ErrorKind::Corrupted], &short);
            bits += 1;
        }
        let rows: [Change<'_>; 11] = [
            ("empty", &|path, _| fs::write(path, []).unwrap()),
            ("half of it", &|path, content| fs::write(path, &content[..content.len() / 2]).unwrap()),
            ("the last byte cut off", &|path, content| fs::write(path, &content[..content.len() - 1]).unwrap()),
            ("the first byte cut off", &|path, content| fs::write(path, &content[1..]).unwrap()),
            ("a byte more", &|path, content| fs::write(path, [content, &[0]].concat()).unwrap()),
            ("a page more", &|path, content| fs::write(path, [content, &[7; 4096]].concat()).unwrap()),
            ("zeros", &|path, content| fs::write(path, vec![0; content.len()]).unwrap()),
            ("removed", &|path, _| fs::remove_file(path).unwrap()),
            ("a directory", &|path, _| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            }),
            ("a link to itself", &|path, content| {
                fs::remove_file(path).unwrap();
                fs::write(&elsewhere, content).unwrap();
                std::os::unix::fs::symlink(&elsewhere, path).unwrap();
            }),
            ("a link to nothing", &|path, _| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("nowhere", path).unwrap();
            }),
        ];
        for (what, change) in rows {
            put_back(path, content);
            change(path, content);
            is_refused(&format!("{short}: {what}"), &place, &is_damage, "");
            changes += 1;
        }
        put_back(path, content);
    }
    place.opens_with("everything as it was", 20);
    eprintln!("sealed files: {bits} bits and {changes} other changes of {} files: all refused", files.len());
}

#[test]
fn no_new_file_gets_past_the_seal() {
    let place = Place::closed(3);
    for new in ["db2", "db.bak", "snap.0000000000000000", "snap.FFFF.generating", "blobs/1", "deep/er/file", "ä", " "]
    {
        let path = sled(&place.path()).join(new);
        let had_directory = path.parent().unwrap().exists();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for content in [b"".as_slice(), b"new"] {
            fs::write(&path, content).unwrap();
            is_refused(new, &place, &[ErrorKind::Corrupted], new);
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("db", &path).unwrap();
        is_refused(new, &place, &[ErrorKind::Storage], new);
        fs::remove_file(&path).unwrap();
        if !had_directory {
            fs::remove_dir_all(sled(&place.path()).join(new.split('/').next().unwrap())).unwrap();
        }
    }
    let moved: (PathBuf, PathBuf) = (sled(&place.path()).join("db"), sled(&place.path()).join("bd"));
    fs::rename(&moved.0, &moved.1).unwrap();
    is_refused("another name", &place, &[ErrorKind::Corrupted], "");
    fs::rename(&moved.1, &moved.0).unwrap();
    place.opens_with("everything as it was", 3);
}

/// The one file that an opener removes by itself: it stands for a store whose making or replacing was interrupted.
#[test]
fn the_mark_of_an_interrupted_replacement_is_no_change() {
    let place = Place::closed(3);
    fs::write(sled(&place.path()).join("unfinished"), []).unwrap();
    place.opens_with("marked", 3);
    assert!(!sled(&place.path()).join("unfinished").exists());
}

/// As after a kill. Then every record is counted.
#[test]
fn a_store_without_its_seal_opens_whole() {
    let place = Place::closed(6);
    place.unsealed().opens_with("the seal is gone", 6);
    place.copy().killed_after(6..9).opens_with("killed", 9);
    let unsealed = place.unsealed();
    let never = in_directory(&unsealed.path(), 3).check_records(CheckRecords::Never).open().unwrap();
    assert_eq!(names(&never).len(), 6);
    drop(never);
    assert!(!unsealed.seal().exists(), "nobody has counted the records, so nobody vouches for them");
    unsealed.opens_with("counted", 6);
    assert!(unsealed.seal().exists(), "sealed again");
}
