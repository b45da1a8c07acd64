//! Backups, and stores made from them.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use strongroom::testing::{FaultyBackend, RecordingBackend};
use strongroom::{
    CreateSecretRequest, ErrorKind, GetSecretValueRequest, MemoryBackend, Progress, PutSecretValueRequest, SecretStore,
    StaticKey,
};

use crate::stores::{assert_clean, builder, files, fill, in_memory, seen};

#[test]
fn what_is_restored_is_what_was_backed_up() {
    let place = tempfile::tempdir().unwrap();
    let (source, backup) = (place.path().join("source"), place.path().join("backup"));
    let store = builder(&source).open().unwrap();
    fill(&store, 0..80);
    let before = seen(&store);
    let report = store.backup(&backup, &mut |_| {}).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((report.secrets, report.epoch), (80, stats.epoch));
    assert_eq!(report.bytes, fs::metadata(&backup).unwrap().len());

    let restored = builder(&place.path().join("restored")).restore(&backup, &mut |_| {}).unwrap();
    assert_eq!(seen(&restored), before);
    assert_clean(&restored);
    fill(&restored, 80..90);
    restored.close().unwrap();
    let reopened = builder(&place.path().join("restored")).open().unwrap();
    assert_eq!(reopened.stats().unwrap().secrets, 90);
    // The source goes on as if nothing had happened.
    fill(&store, 80..90);
    assert_clean(&store);
}

#[test]
fn a_backup_is_of_one_moment_whatever_is_written_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let store = builder(&place.path().join("source")).open().unwrap();
    fill(&store, 0..300);
    let secrets = store.default_secrets_manager();
    // Two secrets that are always changed one after the other, so that a moment has the same number in both, or one more
    // in the first.
    for name in ["a", "z"] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string("0")).unwrap();
    }
    let (is_over, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let number = (writes.fetch_add(1, Ordering::SeqCst) + 1).to_string();
                for name in ["a", "z"] {
                    secrets.put_secret_value(PutSecretValueRequest::new(name, number.as_str())).unwrap();
                }
            }
        });
        for round in 0..6 {
            let begin = writes.load(Ordering::SeqCst);
            while writes.load(Ordering::SeqCst) < begin + 3 {
                thread::yield_now();
            }
            let backup = place.path().join(format!("backup-{round}"));
            store.backup(&backup, &mut |_| {}).unwrap();
            let restored =
                builder(&place.path().join(format!("restored-{round}"))).restore(&backup, &mut |_| {}).unwrap();
            assert_clean(&restored);
            let manager = restored.default_secrets_manager();
            let [a, z] = ["a", "z"].map(|name| {
                let read = manager.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
                read.secret_string.unwrap().expose().parse::<usize>().unwrap()
            });
            assert!(a == z || a == z + 1, "a is {a} and z is {z}");
            assert!(z >= begin && a <= writes.load(Ordering::SeqCst), "it is of a moment within the call");
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_clean(&store);
}

#[test]
fn a_backup_shows_nothing_and_needs_the_key_of_the_store() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let store = builder(&place.path().join("source")).open().unwrap();
    fill(&store, 0..20);
    store.backup(&backup, &mut |_| {}).unwrap();
    let bytes = fs::read(&backup).unwrap();
    for told in ["secret-0000", "value 0 of", "number 1", "eu-central-1", "123456789012"] {
        assert!(!bytes.windows(told.len()).any(|window| window == told.as_bytes()), "{told}");
    }
    let target = place.path().join("target");
    let stranger = SecretStore::builder(&target).key_provider(StaticKey::new([8; 32])).test_only(true);
    let error = stranger.restore(&backup, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error:?}");
    assert!(!SecretStore::exists(&target).unwrap());
}

#[test]
fn a_backup_that_is_not_exactly_what_was_written_makes_no_store() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let store = in_memory(1).open().unwrap();
    fill(&store, 0..3);
    store.backup(&backup, &mut |_| {}).unwrap();
    let other = in_memory(2).open().unwrap();
    fill(&other, 0..3);
    let other_backup = place.path().join("other");
    other.backup(&other_backup, &mut |_| {}).unwrap();

    let bytes = fs::read(&backup).unwrap();
    let other_bytes = fs::read(&other_backup).unwrap();
    let mut tried = 0;
    let target = place.path().join("target");
    let mut refuse = |what: &str, bytes: &[u8]| {
        fs::write(&backup, bytes).unwrap();
        let error = builder(&target).restore(&backup, &mut |_| {}).unwrap_err();
        let is_fine = matches!(
            error.kind(),
            ErrorKind::BackupFile
                | ErrorKind::Corrupted
                | ErrorKind::NotAStore
                | ErrorKind::WrongKey(_)
                | ErrorKind::UnsupportedFormat { .. }
        );
        assert!(is_fine, "{what}: {error:?}");
        assert!(!SecretStore::exists(&target).unwrap(), "{what}");
        tried += 1;
    };
    for at in (0..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        // One whole copy of the header is enough to begin, but the file does not authenticate.
        refuse(&format!("a bit of byte {at}"), &flipped);
    }
    for length in (0..bytes.len()).step_by(29) {
        refuse(&format!("cut at {length}"), &bytes[..length]);
    }
    refuse("something behind", &[&bytes[..], b"!"].concat());
    refuse("twice", &bytes.repeat(2));
    let middle = bytes.len() / 2;
    refuse("two backups", &[&bytes[..middle], &other_bytes[middle..]].concat());
    refuse("not a backup", b"STRONGBO\x00\x01");
    refuse("a claim of 4 GiB", &[&bytes[..10], &[0xff; 64]].concat());
    eprintln!("damaged backups: {tried} refused, no store made");
}

#[test]
fn what_is_in_the_way_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let (source, backup) = (place.path().join("source"), place.path().join("backup"));
    let store = builder(&source).open().unwrap();
    fill(&store, 0..3);
    fs::write(&backup, "precious").unwrap();
    assert_eq!(*store.backup(&backup, &mut |_| {}).unwrap_err().kind(), ErrorKind::BackupFile);
    assert_eq!(fs::read(&backup).unwrap(), b"precious");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left behind");
    let nowhere = place.path().join("missing/backup");
    assert_eq!(*store.backup(nowhere, &mut |_| {}).unwrap_err().kind(), ErrorKind::Storage);

    fs::remove_file(&backup).unwrap();
    store.backup(&backup, &mut |_| {}).unwrap();
    assert_eq!(*builder(&source).restore(&backup, &mut |_| {}).unwrap_err().kind(), ErrorKind::AlreadyOpen);
    store.close().unwrap();
    let before = files(&source);
    assert_eq!(*builder(&source).restore(&backup, &mut |_| {}).unwrap_err().kind(), ErrorKind::StoreExists);
    assert_eq!(files(&source), before);
    let missing = builder(&place.path().join("target")).restore(place.path().join("none"), &mut |_| {});
    assert_eq!(*missing.unwrap_err().kind(), ErrorKind::BackupFile);
    let in_memory = in_memory(1).restore(&backup, &mut |_| {});
    assert_eq!(*in_memory.unwrap_err().kind(), ErrorKind::Configuration);
}

#[test]
fn a_store_that_has_lost_a_record_is_not_backed_up() {
    let backend = RecordingBackend::new();
    let open = |backend| SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32]));
    let store = open(backend.clone()).open().unwrap();
    fill(&store, 0..5);
    let version = strongroom::Backend::scan(&backend, b"v", None, 1).unwrap().remove(0).0;
    let mut loss = strongroom::Batch::new();
    loss.remove(version);
    strongroom::Backend::commit(&backend, &loss, strongroom::Durability::Immediate).unwrap();
    let place = tempfile::tempdir().unwrap();
    let error = store.backup(place.path().join("backup"), &mut |_| {}).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupted, "{error:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_backup_of_a_store_that_cannot_be_read_fails_and_leaves_nothing() {
    for after in 0..8 {
        let backend = FaultyBackend::new(MemoryBackend::new());
        let store = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap();
        fill(&store, 0..100);
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("backup");
        backend.fail_reads(after);
        match store.backup(&path, &mut |_| {}) {
            Ok(_) => assert!(after > 3, "the backup needs more reads than {after}"),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::Storage, "{error:?}");
                assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "after {after} reads");
            }
        }
        backend.fail_reads(u64::MAX);
        assert_clean(&store);
    }
}

#[test]
fn progress_rises_within_each_step_and_ends_at_its_total() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let store = in_memory(1).open().unwrap();
    fill(&store, 0..400);
    let mut heard: Vec<Progress> = Vec::new();
    store.backup(&backup, &mut |progress| heard.push(progress)).unwrap();
    builder(&place.path().join("restored")).restore(&backup, &mut |progress| heard.push(progress)).unwrap();
    let mut steps: Vec<&str> = heard.iter().map(|progress| progress.step).collect();
    steps.dedup();
    assert_eq!(steps.len(), 4, "{steps:?}");
    for step in steps {
        let of_step: Vec<&Progress> = heard.iter().filter(|progress| progress.step == step).collect();
        assert!(of_step.len() <= 210, "{step}: {} calls", of_step.len());
        assert!(of_step.windows(2).all(|pair| pair[0].done <= pair[1].done), "{step}");
        let last = of_step.last().unwrap();
        assert_eq!(Some(last.done), last.total, "{step}");
    }
}

/// Going back to a backup is a wish and no loss, whatever remembers the commits made since.
#[test]
fn a_restored_store_is_ahead_of_whatever_remembers_the_old_one() {
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let store = builder(&place.path().join("source")).open().unwrap();
    fill(&store, 0..5);
    store.backup(&backup, &mut |_| {}).unwrap();
    fill(&store, 5..30);
    let epoch = store.stats().unwrap().epoch;
    store.close().unwrap();
    let target = place.path().join("target");
    builder(&target).restore(&backup, &mut |_| {}).unwrap().close().unwrap();
    let restored = builder(&target).open_expecting(epoch).open().unwrap();
    assert_eq!(restored.stats().unwrap().secrets, 5);
    drop(restored);
    // The anchor and the seal of the old store say nothing about the new one.
    let old_anchor = place.path().join("source/store.anchor");
    fs::copy(old_anchor, target.join("store.anchor")).unwrap();
    assert_eq!(*builder(&target).open().unwrap_err().kind(), ErrorKind::Corrupted);
}
