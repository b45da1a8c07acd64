//! Compaction: the same store in less space, or the store as it was.

use std::fs;
use std::path::Path;

use strongroom::{DeleteSecretRequest, ErrorKind, PutSecretValueRequest, SecretStore};

use crate::child;
use crate::stores::{assert_clean, builder, copy, files, fill, in_memory, manager, seen};

fn names_in(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const OF_A_CLOSED_STORE: [&str; 5] = ["LOCK", "sled", "store.anchor", "store.hdr", "store.seal"];

/// A closed store with much that is not needed any more.
fn make(path: &Path, secrets: usize) -> SecretStore {
    let store = builder(path).durability(strongroom::Durability::Eventual).open().unwrap();
    fill(&store, 0..secrets);
    for index in (0..secrets).filter(|index| index % 3 == 0) {
        let delete = DeleteSecretRequest::new(format!("secret-{index:05}")).force_delete_without_recovery(true);
        manager(&store, index).delete_secret(delete).unwrap();
    }
    store
}

#[test]
fn what_was_deleted_is_gone_from_the_files_and_everything_else_is_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = make(&path, 60);
    let secrets = manager(&store, 1);
    let large = "x".repeat(60_000);
    for round in 0..900 {
        let id = format!("a-version-that-is-found-in-no-file-{round:05}");
        secrets
            .put_secret_value(PutSecretValueRequest::new("secret-00001", large.as_str()).client_request_token(id))
            .unwrap();
    }
    secrets.delete_secret(DeleteSecretRequest::new("secret-00001").force_delete_without_recovery(true)).unwrap();
    let before = seen(&store);
    let epoch = store.stats().unwrap().epoch;
    store.close().unwrap();

    let left = builder(&path).open().unwrap();
    let used = left.space_use().unwrap();
    left.close().unwrap();
    assert!(used.is_compaction_recommended(), "{used:?}");
    let report = builder(&path).compact_if_recommended(&mut |_| {}).unwrap();
    assert!(report.is_compacted && report.bytes_after < report.bytes_before, "{report:?}");
    assert!(report.live_bytes < report.bytes_after, "{report:?}");
    let again = builder(&path).compact_if_recommended(&mut |_| {}).unwrap();
    assert!(!again.is_compacted && again.bytes_after == again.bytes_before, "{again:?}");
    assert_eq!(again.live_bytes, report.live_bytes);
    assert_eq!(names_in(&path), OF_A_CLOSED_STORE);
    let store = builder(&path).open().unwrap();
    assert_eq!(seen(&store), before);
    assert!(store.stats().unwrap().epoch >= epoch);
    assert_clean(&store);
    fill(&store, 100..110);
    store.close().unwrap();
    assert_clean(&builder(&path).open().unwrap());
}

/// Every state of the directory that an interruption can leave, made by hand.
#[test]
fn an_interrupted_compaction_leaves_the_store() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = make(&path, 20);
    let expected = seen(&store);
    store.close().unwrap();
    let old = place.path().join("old");
    copy(&path, &old);
    builder(&path).compact(&mut |_| {}).unwrap();
    let fresh = place.path().join("fresh");
    copy(&path.join("sled"), &fresh);

    type Interrupt = fn(&Path, &Path);
    let rows: [(&str, Interrupt); 7] = [
        ("while it copies", |path, _| {
            fs::create_dir(path.join("sled.compact")).unwrap();
            fs::write(path.join("sled.compact/db"), "half of it").unwrap();
        }),
        ("before the copy is complete", |path, fresh| copy(fresh, &path.join("sled.compact"))),
        ("when the copy is complete", |path, fresh| {
            copy(fresh, &path.join("sled.compact"));
            fs::write(path.join("sled.compact/complete"), "").unwrap();
        }),
        ("when the seal is removed", |path, fresh| {
            copy(fresh, &path.join("sled.compact"));
            fs::write(path.join("sled.compact/complete"), "").unwrap();
            fs::remove_file(path.join("store.seal")).unwrap();
        }),
        ("when the old files are set aside", |path, fresh| {
            copy(fresh, &path.join("sled.compact"));
            fs::write(path.join("sled.compact/complete"), "").unwrap();
            fs::remove_file(path.join("store.seal")).unwrap();
            fs::rename(path.join("sled"), path.join("sled.old")).unwrap();
        }),
        ("when the fresh files have their place", |path, fresh| {
            fs::remove_file(path.join("store.seal")).unwrap();
            fs::rename(path.join("sled"), path.join("sled.old")).unwrap();
            copy(fresh, &path.join("sled"));
            fs::write(path.join("sled/complete"), "").unwrap();
        }),
        ("while the old files are removed", |path, fresh| {
            fs::remove_file(path.join("store.seal")).unwrap();
            fs::rename(path.join("sled"), path.join("sled.old")).unwrap();
            fs::remove_file(path.join("sled.old/db")).unwrap();
            copy(fresh, &path.join("sled"));
        }),
    ];
    for (what, interrupt) in rows {
        let path = place.path().join(format!("interrupted {what}"));
        copy(&old, &path);
        interrupt(&path, &fresh);
        let store = builder(&path).open().unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(seen(&store), expected, "{what}");
        assert_clean(&store);
        store.close().unwrap();
        assert_eq!(names_in(&path), OF_A_CLOSED_STORE, "{what}");
    }
}

#[test]
fn a_kill_while_a_store_is_compacted_leaves_the_store() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = make(&path, 150);
    let expected = seen(&store);
    store.close().unwrap();
    let looks = child::looks_of_a_whole_job("compact", place.path());
    for round in 0..child::rounds() {
        child::kill_after("compact", place.path(), looks * round / child::rounds());
        let store = builder(&path).open().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        assert_eq!(seen(&store), expected, "round {round}");
        assert_clean(&store);
        store.close().unwrap();
    }
    eprintln!("kills while a store is compacted: {} kills, 0 stores lost", child::rounds());
}

#[test]
fn a_kill_while_a_store_is_restored_leaves_none_or_a_whole_one() {
    let place = tempfile::tempdir().unwrap();
    let source = make(&place.path().join("source"), 150);
    let expected = seen(&source);
    source.backup(place.path().join("backup"), &mut |_| {}).unwrap();
    let path = place.path().join("store");
    let looks = child::looks_of_a_whole_job("restore", place.path());
    let (mut none, mut whole) = (0, 0);
    for round in 0..child::rounds() {
        fs::remove_dir_all(&path).unwrap_or_default();
        child::kill_after("restore", place.path(), looks * (round + 1) / child::rounds());
        let store = if SecretStore::exists(&path).unwrap() {
            whole += 1;
            builder(&path).open().unwrap_or_else(|error| panic!("round {round}: {error:?}"))
        } else {
            none += 1;
            builder(&path).restore(place.path().join("backup"), &mut |_| {}).unwrap()
        };
        assert_eq!(seen(&store), expected, "round {round}");
        assert_clean(&store);
    }
    eprintln!("kills while a store is restored: {none} left none, {whole} a whole one");
}

#[test]
fn what_cannot_be_compacted_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    assert_eq!(*builder(&path).compact(&mut |_| {}).unwrap_err().kind(), ErrorKind::NotAStore);
    let store = make(&path, 10);
    assert_eq!(*builder(&path).compact(&mut |_| {}).unwrap_err().kind(), ErrorKind::AlreadyOpen);
    store.close().unwrap();
    assert_eq!(*in_memory(1).compact(&mut |_| {}).unwrap_err().kind(), ErrorKind::Configuration);
    let log = path.join("sled/db");
    let mut bytes = fs::read(&log).unwrap();
    bytes[30_000] ^= 1;
    fs::write(&log, bytes).unwrap();
    let before = files(&path);
    assert_eq!(*builder(&path).compact(&mut |_| {}).unwrap_err().kind(), ErrorKind::Corrupted);
    assert_eq!(files(&path), before);
}
