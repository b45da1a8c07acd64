//! How long changes are kept, and what becomes of a standby that comes too late.

use strongroom::testing::RecordingBackend;
use strongroom::{Backend as _, ReplicationFault, SecretStore, StaticKey};

use crate::pair::{Journal, Pair, assert_clean, create, epoch, fault, observe, put, replicate};

fn entries(backend: &RecordingBackend) -> usize {
    // The settings have a key of two bytes.
    backend.scan(b"c", None, 100_000).unwrap().iter().filter(|(key, _)| key.len() > 2).count()
}

#[test]
fn the_newest_commits_are_kept_and_never_more() {
    let backend = RecordingBackend::new();
    let open = || SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap();
    let store = open();
    let positions = vec![store.keep_changes(10).unwrap()];
    create(&store, "db/main", "one");
    let mut positions: Vec<_> = positions;
    for number in 0..40 {
        positions.push(store.changes_since(positions.last().unwrap(), 1).unwrap().to());
        put(&store, "db/main", &format!("value {number}"));
        let kept = store.kept_changes().unwrap().unwrap();
        assert_eq!(kept.newest, epoch(&store));
        assert_eq!(kept.newest - kept.oldest + 1, (number + 2).min(10));
        assert_eq!(entries(&backend) as u64, (number + 2).min(10));
    }
    let newest = epoch(&store);
    for position in &positions {
        let changes = store.changes_since(position, 1 << 20);
        if position.epoch() + 10 >= newest {
            assert_eq!(changes.unwrap().to().epoch(), newest);
        } else {
            let begins = newest - 10;
            let expected = ReplicationFault::BeginsLater { position: position.epoch(), begins };
            assert_eq!(fault(changes), expected);
        }
    }
    // Fewer from now on: the surplus goes with the next commits.
    store.keep_changes(3).unwrap();
    put(&store, "db/main", "last");
    assert_eq!(entries(&backend), 3);
    // And more again.
    store.keep_changes(1_000).unwrap();
    for number in 0..20 {
        put(&store, "db/main", &format!("again {number}"));
    }
    assert_eq!(entries(&backend), 23);
    store.stop_keeping_changes().unwrap();
    assert!(backend.scan(b"c", None, 10).unwrap().is_empty());
    put(&store, "db/main", "unkept");
    assert!(backend.scan(b"c", None, 10).unwrap().is_empty());
}

#[test]
fn what_is_kept_is_kept_over_a_restart() {
    let pair = Pair::new();
    let source = pair.open("source");
    let position = source.keep_changes(50).unwrap();
    let mut journal = Journal::new(4, &source);
    journal.run(&source, 30);
    let kept = source.kept_changes().unwrap();
    source.close().unwrap();
    let source = pair.open("source");
    assert_eq!(source.kept_changes().unwrap(), kept);
    journal.run(&source, 5);
    let changes = source.changes_since(&position, 1 << 20).unwrap();
    assert_eq!(changes.to().epoch(), epoch(&source));
    assert_eq!(source.keep_changes(50).unwrap(), changes.to());
}

#[test]
fn a_standby_that_comes_too_late_is_told_and_is_left_as_it_is() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(4, &source);
    source.keep_changes(20).unwrap();
    journal.run(&source, 30);
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    let then = journal.now.clone();
    journal.run(&source, 60);
    let expected = fault(source.replicate_to(&link, &mut |_| {}));
    let begins = source.kept_changes().unwrap().unwrap().oldest - 1;
    assert_eq!(expected, ReplicationFault::BeginsLater { position: position.epoch(), begins });
    assert_eq!(observe(&link.store().unwrap()), then);
    // A new one takes its place.
    link.close().unwrap();
    std::fs::remove_dir_all(pair.path("standby")).unwrap();
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert!(report.seeded_secrets.is_some());
    assert_eq!(observe(&link.store().unwrap()), journal.now);
}

#[test]
fn changes_that_are_kept_anew_are_another_feed() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    source.stop_keeping_changes().unwrap();
    let begins = source.keep_changes(100).unwrap().epoch();
    let expected = ReplicationFault::BeginsLater { position: position.epoch(), begins };
    assert_eq!(fault(source.replicate_to(&link, &mut |_| {})), expected);
    put(&source, "db/main", "two");
    assert_eq!(fault(source.replicate_to(&link, &mut |_| {})), expected);
}

#[test]
fn a_compaction_leaves_what_is_kept_as_it_is() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(6, &source);
    journal.run(&source, 20);
    let link = pair.link("standby");
    replicate(&source, &link);
    journal.run(&source, 20);
    source.close().unwrap();
    link.close().unwrap();
    pair.builder("source").compact(&mut |_| {}).unwrap();
    pair.builder("standby").compact(&mut |_| {}).unwrap();
    let source = pair.open("source");
    journal.run(&source, 5);
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!(report.seeded_secrets, None);
    assert_eq!(observe(&link.store().unwrap()), journal.now);
    assert_clean(&source);
    assert_clean(&link.store().unwrap());
}

#[test]
fn a_standby_is_backed_up_and_restored_as_one() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(6, &source);
    journal.run(&source, 20);
    let link = pair.link("standby");
    replicate(&source, &link);
    link.store().unwrap().backup(pair.path("backup"), &mut |_| {}).unwrap();
    journal.run(&source, 20);
    let restored = pair.builder("restored").restore(pair.path("backup"), &mut |_| {}).unwrap();
    assert!(restored.is_standby());
    restored.close().unwrap();
    let again = pair.link("restored");
    let report = source.replicate_to(&again, &mut |_| {}).unwrap();
    assert_eq!(report.seeded_secrets, None);
    assert_eq!(observe(&again.store().unwrap()), journal.now);
    assert_clean(&again.store().unwrap());
}
