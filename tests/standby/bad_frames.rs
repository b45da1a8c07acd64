//! Frames, seeds and positions that are not what the store made: a typed error, and nothing is changed.

use strongroom::{
    Changes, ErrorKind, FeedPosition, MemoryBackend, ReplicationFault, ReplicationLink, SecretStore, Seed,
    StandbyStatus, StaticKey,
};

use crate::history::State;
use crate::pair::{Pair, Wiretap, assert_clean, create, epoch, fault, observe, put, replicate};

const EVERYTHING: usize = 1 << 20;

/// What must not change.
fn remains(standby: &SecretStore) -> (u64, Option<StandbyStatus>, State) {
    (epoch(standby), standby.standby_status().unwrap(), observe(standby))
}

fn put_token(store: &SecretStore, number: u64) {
    let token = crate::history::token(false, 20, number);
    crate::history::Call::Put { name: "db/main".to_owned(), token, labels: Vec::new() }
        .run(&store.default_secrets_manager())
        .unwrap();
}

/// A store with one secret, whose standby is behind by one frame.
fn behind(pair: &Pair) -> (SecretStore, SecretStore, Changes) {
    let source = pair.open("source");
    let token = crate::history::token(false, 20, 0);
    crate::history::Call::Create { name: "db/main".to_owned(), token: Some(token) }
        .run(&source.default_secrets_manager())
        .unwrap();
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    let standby = link.store().unwrap();
    put_token(&source, 1);
    let frame = source.changes_since(&position, EVERYTHING).unwrap();
    (source, standby, frame)
}

#[test]
fn no_byte_of_a_frame_can_be_changed_and_none_can_be_missing() {
    let pair = Pair::new();
    let (source, standby, frame) = behind(&pair);
    let before = remains(&standby);
    let bytes = frame.as_bytes();
    let (mut at_the_outline, mut by_the_standby) = (0, 0);
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.to_vec();
            changed[at] ^= change;
            match Changes::from_bytes(changed) {
                Err(_) => at_the_outline += 1,
                Ok(changed) => {
                    let _: ReplicationFault = fault(standby.apply_changes(&changed));
                    by_the_standby += 1;
                }
            }
        }
    }
    for length in 0..bytes.len() {
        assert_eq!(fault(Changes::from_bytes(&bytes[..length])), ReplicationFault::Damaged, "{length}");
    }
    assert_eq!(fault(Changes::from_bytes([bytes, b"x"].concat())), ReplicationFault::Damaged);
    assert_eq!(remains(&standby), before);
    assert_eq!(standby.apply_changes(&frame).unwrap().epoch(), epoch(&source));
    assert_clean(&standby);
    eprintln!(
        "{} changed bytes refused: {at_the_outline} at the outline, {by_the_standby} by the standby; {} cuts refused",
        at_the_outline + by_the_standby,
        bytes.len()
    );
    assert!(at_the_outline > 30 && by_the_standby > 500);
}

#[test]
fn a_frame_of_absurd_sizes_is_refused_at_once() {
    let pair = Pair::new();
    let (_source, _standby, frame) = behind(&pair);
    let outside = frame.as_bytes().len() - frame.as_bytes()[144..].len();
    for (at, number) in [(outside - 4, u32::MAX), (outside - 4, 0), (outside, u32::MAX), (outside, 1 << 30)] {
        let mut bytes = frame.as_bytes().to_vec();
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        assert_eq!(fault(Changes::from_bytes(bytes)), ReplicationFault::Damaged, "{at} {number}");
    }
    let mut newer = frame.as_bytes().to_vec();
    newer[9] = 2;
    let error = Changes::from_bytes(newer).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::UnsupportedFormat { found: 2, newest: 1 });
    for nothing in [&b""[..], b"STRONGCH", &[0; 500], b"STRONGBK"] {
        assert_eq!(fault(Changes::from_bytes(nothing)), ReplicationFault::Damaged);
        assert_eq!(fault(Seed::from_bytes(nothing)), ReplicationFault::Damaged);
        assert_eq!(fault(FeedPosition::from_bytes(nothing)), ReplicationFault::Damaged);
    }
}

#[test]
fn a_frame_out_of_order_is_refused_and_a_repeated_one_changes_nothing() {
    let pair = Pair::new();
    let (source, standby, first) = behind(&pair);
    put_token(&source, 2);
    let second = source.changes_since(&first.to(), EVERYTHING).unwrap();
    let both = source.changes_since(&first.from(), EVERYTHING).unwrap();
    let before = remains(&standby);
    let (expected, got) = (first.from().epoch(), second.from().epoch());
    assert_eq!(fault(standby.apply_changes(&second)), ReplicationFault::OutOfOrder { expected, got });
    assert_eq!(remains(&standby), before);

    standby.apply_changes(&first).unwrap();
    standby.apply_changes(&second).unwrap();
    let after = remains(&standby);
    for repeated in [&first, &second, &both] {
        assert_eq!(standby.apply_changes(repeated).unwrap(), second.to());
    }
    assert_eq!(remains(&standby), after);

    // One that overlaps with what is there and leads further.
    put_token(&source, 3);
    let further = source.changes_since(&first.from(), EVERYTHING).unwrap();
    let (expected, got) = (second.to().epoch(), first.from().epoch());
    assert_eq!(fault(standby.apply_changes(&further)), ReplicationFault::OutOfOrder { expected, got });
    assert_eq!(remains(&standby), after);
}

#[test]
fn frames_and_positions_of_another_store_are_refused() {
    let pair = Pair::new();
    let (source, standby, frame) = behind(&pair);
    let other = pair.open("other");
    create(&other, "db/main", "other");
    let there = other.keep_changes(100).unwrap();
    put(&other, "db/main", "other still");
    let foreign = other.changes_since(&there, EVERYTHING).unwrap();
    let before = remains(&standby);
    assert_eq!(fault(standby.apply_changes(&foreign)), ReplicationFault::OtherStore);
    assert_eq!(fault(source.changes_since(&there, EVERYTHING)), ReplicationFault::OtherStore);
    assert_eq!(fault(other.changes_since(&frame.from(), EVERYTHING)), ReplicationFault::OtherStore);
    let link = pair.link("others-standby");
    replicate(&other, &link);
    assert_eq!(fault(source.replicate_to(&link, &mut |_| {})), ReplicationFault::OtherStore);
    assert_eq!(remains(&standby), before);
}

#[test]
fn the_standby_of_a_store_that_was_restored_from_an_older_backup_is_refused() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    source.backup(pair.path("backup"), &mut |_| {}).unwrap();
    let link = pair.link("standby");
    replicate(&source, &link);
    put(&source, "db/main", "two");
    replicate(&source, &link);
    source.close().unwrap();

    let restored = pair.builder("restored").restore(pair.path("backup"), &mut |_| {}).unwrap();
    assert_eq!(restored.kept_changes().unwrap(), None, "a backup does not have what was kept");
    let standby = link.store().unwrap();
    let before = epoch(&standby);
    assert_eq!(fault(restored.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged);
    put(&restored, "db/main", "three");
    assert_eq!(fault(restored.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged);
    let since = restored.keep_changes(100).unwrap();
    put(&restored, "db/main", "four");
    let frame = restored.changes_since(&since, EVERYTHING).unwrap();
    assert_eq!(fault(standby.apply_changes(&frame)), ReplicationFault::Diverged);
    assert_eq!(epoch(&standby), before);
    assert_clean(&standby);
}

/// Whoever puts back an older copy of the whole directory has another history, although nothing else tells.
#[test]
fn the_standby_of_a_store_whose_directory_was_put_back_is_refused_as_soon_as_they_differ() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    replicate(&source, &link);
    source.close().unwrap();
    copy_directory(&pair.path("source"), &pair.path("copy"));
    let source = pair.open("source");
    put(&source, "db/main", "two");
    put(&source, "db/main", "three");
    replicate(&source, &link);
    let standby = link.store().unwrap();
    let before = epoch(&standby);

    let copy = pair.open("copy");
    assert_eq!(fault(copy.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged, "it is behind");
    put(&copy, "db/main", "another two");
    put(&copy, "db/main", "another three");
    assert_eq!(fault(copy.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged, "it is another commit");
    put(&copy, "db/main", "another four");
    assert_eq!(fault(copy.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged, "it is ahead");
    assert_eq!(epoch(&standby), before);
    put(&source, "db/main", "four");
    replicate(&source, &link);
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn frames_of_a_copy_are_taken_once_and_in_order_only() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..80 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    let link = pair.link("standby");
    let wiretap = Wiretap::new(&link);
    replicate(&source, &wiretap);
    let frames = wiretap.frames.lock().unwrap().clone();
    assert!(frames.len() >= 4, "{}", frames.len());
    let seed = wiretap.seeds.lock().unwrap()[0].clone();
    let standby = link.store().unwrap();
    let (before, position) = (epoch(&standby), link.position().unwrap().unwrap());
    for late in &frames {
        assert_eq!(standby.apply_changes(late).unwrap(), position);
    }
    assert_eq!(epoch(&standby), before, "it had them all");
    let second = pair.link("second");
    second.begin(&seed).unwrap();
    assert_eq!(fault(second.apply(&frames[1])), ReplicationFault::CopyOutOfOrder { expected: 0, got: 1 });
    let (expected, got) = (0, frames.len() as u64 - 1);
    let early = fault(second.apply(frames.last().unwrap()));
    assert_eq!(early, ReplicationFault::CopyOutOfOrder { expected, got });
    for frame in &frames {
        assert_eq!(second.position().unwrap(), None);
        let once = (second.apply(frame).unwrap(), epoch(&second.store().unwrap()));
        let again = (second.apply(frame).unwrap(), epoch(&second.store().unwrap()));
        assert_eq!(again, once);
    }
    assert_eq!(second.position().unwrap(), link.position().unwrap());
    assert_clean(&second.store().unwrap());
    replicate(&source, &second);
}

#[test]
fn no_byte_of_a_seed_can_be_changed_without_a_frame_being_refused() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    let wiretap = Wiretap::new(&link);
    replicate(&source, &wiretap);
    let frames = wiretap.frames.lock().unwrap().clone();
    let seed = wiretap.seeds.lock().unwrap()[0].clone();
    let mut refused = 0;
    for at in (0..seed.expose().len()).step_by(3) {
        let mut bytes = seed.expose().to_vec();
        bytes[at] ^= 1;
        let Ok(changed) = Seed::from_bytes(&bytes) else {
            refused += 1;
            continue;
        };
        let path = format!("changed-{at}");
        let Ok(standby) = pair.builder(&path).begin_standby(&changed) else {
            refused += 1;
            continue;
        };
        assert!(standby.apply_changes(&frames[0]).is_err(), "byte {at}");
        refused += 1;
    }
    assert!(refused > 30);
    assert_eq!(format!("{seed:?}"), "Seed(_)");
}

#[test]
fn a_position_that_is_none_of_the_store_leads_nowhere() {
    let pair = Pair::new();
    let (source, _standby, frame) = behind(&pair);
    let bytes = frame.from().to_bytes();
    let mut faults = std::collections::BTreeMap::new();
    for at in 0..bytes.len() {
        let mut changed = bytes;
        changed[at] ^= 1;
        let fault = fault(source.changes_since(&FeedPosition::from_bytes(&changed).unwrap(), EVERYTHING));
        *faults.entry(format!("{fault:?}").split(' ').next().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(faults.get("OtherStore"), Some(&16));
    assert!(faults.contains_key("Diverged"), "{faults:?}");
    assert_eq!(faults.values().sum::<i32>(), 72);
}

#[test]
fn a_store_that_keeps_no_changes_says_so() {
    let store = SecretStore::with_backend(MemoryBackend::new()).key_provider(StaticKey::new([7; 32])).open().unwrap();
    let position = store.keep_changes(10).unwrap();
    assert!(store.changes_since(&position, EVERYTHING).unwrap().is_empty());
    store.stop_keeping_changes().unwrap();
    assert_eq!(store.kept_changes().unwrap(), None);
    assert_eq!(fault(store.changes_since(&position, EVERYTHING)), ReplicationFault::NotKeepingChanges);
    let error = store.keep_changes(0).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
}
