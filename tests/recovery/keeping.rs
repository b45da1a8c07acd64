//! What the engine does to the files of a store that was not closed is undone if the store is not whole.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use strongroom::{
    Backend, Batch, CheckRecords, Durability, ErrorKind, ExternalAnchor, OpenMode, SecretStore, SledBackend,
    VerifyOptions,
};

use crate::stores::{assert_clean, builder, copy, files, fill, seen};

/// A store as a crash leaves it.
fn crashed(path: &Path, secrets: usize) -> std::collections::BTreeMap<String, String> {
    let original = path.with_extension("original");
    let store = builder(&original).open().unwrap();
    fill(&store, 0..secrets);
    let seen = seen(&store);
    store.flush().unwrap();
    copy(&original, path);
    store.close().unwrap();
    seen
}

fn flip_in_the_middle(path: &Path) {
    let log = path.join("sled/db");
    let mut bytes = fs::read(&log).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 0x10;
    fs::write(&log, bytes).unwrap();
}

/// The names of files without what belongs to opening alone.
fn records(path: &Path) -> Vec<(String, Vec<u8>)> {
    files(path).into_iter().filter(|(name, _)| name.contains("/sled/")).collect()
}

#[test]
fn whoever_looks_at_a_damaged_store_leaves_it_as_it_was_and_all_of_it_can_be_salvaged() {
    type Look = fn(&Path) -> bool;
    let rows: [(&str, Look); 4] = [
        ("open", |path| builder(path).open().is_err()),
        ("verify", |path| !builder(path).verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean()),
        ("compact", |path| builder(path).compact(&mut |_| {}).is_err()),
        ("verify twice", |path| {
            let verify = || builder(path).verify(VerifyOptions::new(), &mut |_| {}).unwrap();
            !verify().is_clean() && !verify().is_clean()
        }),
    ];
    for (what, look) in rows {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let expected = crashed(&path, 60);
        flip_in_the_middle(&path);
        let before = records(&path);
        assert!(look(&path), "{what}: the damage is reported");
        assert!(records(&path) == before, "{what}: the engine's files are as they were");
        assert!(!path.join("sled.kept").exists() && !path.join("store.seal").exists(), "{what}");
        let (store, _) = builder(&place.path().join("salvaged")).salvage(&path, None, &mut |_| {}).unwrap();
        let saved = seen(&store);
        let lost = expected.iter().filter(|(what, seen)| saved.get(*what) != Some(seen)).count();
        assert!(lost <= 3, "{what}: {lost} of {}", expected.len());
    }
}

#[test]
fn what_nobody_has_counted_is_not_vouched_for() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    crashed(&path, 20);
    // A record is lost in a way that the engine does not notice.
    let engine = SledBackend::open(path.join("sled"), 1 << 20).unwrap();
    let mut loss = Batch::new();
    loss.remove(engine.scan(b"v", None, 1).unwrap().remove(0).0);
    engine.commit(&loss, Durability::Immediate).unwrap();
    engine.close().unwrap();

    let refused = || assert_eq!(*builder(&path).open().unwrap_err().kind(), ErrorKind::Corrupted);
    refused();
    builder(&path).check_records(CheckRecords::Never).open().unwrap().close().unwrap();
    refused();
    assert!(!builder(&path).verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
    refused();
    let store = builder(&path).check_records(CheckRecords::Never).open().unwrap();
    assert!(!store.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
    store.close().unwrap();
    assert!(!path.join("store.seal").exists());
    refused();
}

/// Every state of the directory that a kill leaves while a store is being opened, made by hand.
#[test]
fn an_interrupted_opening_leaves_the_store() {
    type Interrupt = fn(&Path);
    let rows: [(&str, Interrupt); 7] = [
        ("while it is copied", |path| {
            fs::create_dir(path.join("sled.kept.tmp")).unwrap();
            fs::write(path.join("sled.kept.tmp/db"), "half").unwrap();
        }),
        ("when it is copied", |path| copy(&path.join("sled"), &path.join("sled.kept"))),
        ("when the engine has cut its log off", |path| {
            copy(&path.join("sled"), &path.join("sled.kept"));
            fs::write(path.join("sled/db"), vec![0; 8 << 20]).unwrap();
        }),
        ("while the copy is removed", |path| {
            fs::create_dir(path.join("sled.kept.tmp")).unwrap();
            fs::copy(path.join("sled/conf"), path.join("sled.kept.tmp/conf")).unwrap();
        }),
        ("when what the engine made is set aside", |path| {
            copy(&path.join("sled"), &path.join("sled.kept"));
            fs::rename(path.join("sled"), path.join("sled.old")).unwrap();
            fs::write(path.join("sled.old/db"), "cut off").unwrap();
        }),
        ("when the copy is back", |path| {
            copy(&path.join("sled"), &path.join("sled.old"));
            fs::write(path.join("sled.old/db"), "cut off").unwrap();
        }),
        ("while what the engine made is removed", |path| {
            fs::create_dir(path.join("sled.old")).unwrap();
            fs::write(path.join("sled.old/conf"), "left").unwrap();
        }),
    ];
    for (what, interrupt) in rows {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let expected = crashed(&path, 10);
        interrupt(&path);
        let mut opened = builder(&path).open();
        if what.ends_with("its log off") {
            // The first opener finds the engine's work, and undoes it.
            let error = opened.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::LostCommits { .. } | ErrorKind::Storage), "{what}: {error:?}");
            opened = builder(&path).open();
        }
        let store = opened.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(seen(&store), expected, "{what}");
        assert_clean(&store);
        store.close().unwrap();
        let left = ["sled.kept", "sled.kept.tmp", "sled.old"].iter().any(|name| path.join(name).exists());
        assert!(!left, "{what}: nothing is left over");
    }
}

#[test]
fn what_was_kept_of_a_store_does_not_outlive_its_replacement() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    crashed(&path, 10);
    copy(&path.join("sled"), &path.join("sled.kept"));
    let store = builder(&path).mode(OpenMode::Replace).open().unwrap();
    assert!(!path.join("sled.kept").exists());
    fill(&store, 0..3);
    store.close().unwrap();
    assert_eq!(builder(&path).open().unwrap().stats().unwrap().secrets, 3);
}

#[test]
fn a_store_whose_lock_file_was_removed_is_still_open_once() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = builder(&path).open().unwrap();
    fill(&store, 0..5);
    fs::remove_file(path.join("LOCK")).unwrap();
    assert_eq!(*builder(&path).open().unwrap_err().kind(), ErrorKind::AlreadyOpen);
    let salvaged = builder(&place.path().join("salvaged")).salvage(&path, None, &mut |_| {});
    assert_eq!(*salvaged.map(drop).unwrap_err().kind(), ErrorKind::AlreadyOpen);
    fill(&store, 5..10);
    store.close().unwrap();
    assert_clean(&builder(&path).open().unwrap());
}

#[test]
fn of_two_backups_to_one_place_one_succeeds_and_that_is_what_is_there() {
    let place = tempfile::tempdir().unwrap();
    let store = builder(&place.path().join("store")).open().unwrap();
    fill(&store, 0..200);
    for round in 0..5 {
        let path = place.path().join(format!("backup-{round}"));
        let results = thread::scope(|threads| {
            let both = [(); 2].map(|()| threads.spawn(|| store.backup(&path, &mut |_| {})));
            both.map(|backup| backup.join().unwrap())
        });
        let succeeded = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(succeeded, 1, "{results:?}");
        let restored = builder(&place.path().join(format!("restored-{round}"))).restore(&path, &mut |_| {}).unwrap();
        assert_eq!(restored.stats().unwrap().secrets, 200);
    }
    let left = fs::read_dir(place.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
}

#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<Option<u64>>>);

impl ExternalAnchor for Counter {
    fn load(&self) -> io::Result<Option<u64>> {
        Ok(*self.0.lock().unwrap())
    }

    fn advance(&self, epoch: u64) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(epoch);
        Ok(())
    }
}

#[test]
fn an_external_anchor_hears_of_a_restored_store_at_once() {
    let place = tempfile::tempdir().unwrap();
    let (target, backup) = (place.path().join("target"), place.path().join("backup"));
    let store = builder(&place.path().join("store")).open().unwrap();
    fill(&store, 0..5);
    store.backup(&backup, &mut |_| {}).unwrap();
    let counter = Counter::default();
    let restored = builder(&target).external_anchor(counter.clone()).restore(&backup, &mut |_| {}).unwrap();
    assert_eq!(counter.load().unwrap(), Some(restored.stats().unwrap().epoch));
    restored.close().unwrap();
    fs::remove_dir_all(&target).unwrap();
    let error = builder(&target).external_anchor(counter).open().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LostCommits { have: 0, .. }), "{error:?}");
}

/// Numbers that only an anchor out of its mind remembers.
#[test]
fn a_store_that_has_no_number_left_refuses_to_change() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    builder(&path).open().unwrap().close().unwrap();
    let counter = Counter(Arc::new(Mutex::new(Some(u64::MAX))));
    let store = builder(&path).mode(OpenMode::Replace).external_anchor(counter).open().unwrap();
    let create = strongroom::CreateSecretRequest::new("one-more").secret_string("value");
    let error = store.default_secrets_manager().create_secret(create).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(SecretStore::exists(&path).unwrap());
}
