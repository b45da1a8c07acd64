//! What can be saved of a damaged store.

use std::fs;
use std::path::Path;

use strongroom::{
    ErrorKind, Finding, FindingKind, GetSecretValueRequest, LocalKeyring, PutSecretValueRequest, SalvageReport,
    SecretStore,
};

use crate::stores::{assert_clean, builder, files, fill, manager, seen};

fn salvage(source: &Path, target: &Path) -> (SecretStore, SalvageReport) {
    let before = files(source);
    let salvaged = builder(target).salvage(source, None, &mut |_| {}).unwrap();
    assert!(files(source) == before, "the damaged store is left as it was");
    salvaged
}

#[test]
fn a_store_whose_files_were_damaged_in_one_place_is_saved() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = builder(&path).open().unwrap();
    fill(&store, 0..60);
    let expected = seen(&store);
    store.close().unwrap();
    let log = path.join("sled/db");
    let sound = fs::read(&log).unwrap();
    let written = sound.iter().rposition(|byte| *byte != 0).unwrap();
    for (round, at) in (0..8).map(|round| (round, written * (2 * round + 1) / 16)) {
        let mut damaged = sound.clone();
        damaged[at..at + 8].fill(0xa5);
        fs::write(&log, damaged).unwrap();
        assert_eq!(*builder(&path).open().unwrap_err().kind(), ErrorKind::Corrupted, "at {at}");
        let (store, report) = salvage(&path, &place.path().join(format!("salvaged-{round}")));
        assert_clean(&store);
        let saved = seen(&store);
        let wrong: Vec<_> = saved.iter().filter(|(what, seen)| expected.get(*what) != Some(seen)).collect();
        let missing = expected.len() - saved.iter().filter(|(what, seen)| expected.get(*what) == Some(seen)).count();
        assert!(missing <= 3, "eight bytes at {at} cost one record, which {missing} things show: {wrong:#?}");
        assert!(!report.is_whole || missing == 0, "{report:#?}");
        assert_eq!(report.findings_total == 0, report.is_whole, "{report:#?}");
    }
}

/// The engine takes the first damaged place for the end of its log. What stands behind it is not lost.
#[test]
fn what_the_engine_gives_up_is_saved_from_behind_the_damage() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = builder(&path).open().unwrap();
    fill(&store, 0..40);
    let expected = seen(&store);
    // As a crash leaves it, with a damaged place in the middle of what was written.
    let crashed = place.path().join("crashed");
    crate::stores::copy(&path, &crashed);
    store.close().unwrap();
    let log = crashed.join("sled/db");
    let mut bytes = fs::read(&log).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 0x10;
    fs::write(&log, &bytes).unwrap();
    let copied = place.path().join("copied");
    crate::stores::copy(&crashed, &copied);
    let error = builder(&copied).open().unwrap_err();
    let is_reported = matches!(error.kind(), ErrorKind::LostCommits { .. } | ErrorKind::Corrupted | ErrorKind::Storage);
    assert!(is_reported, "{error:?}");

    let (store, report) = salvage(&crashed, &place.path().join("salvaged"));
    assert_clean(&store);
    let saved = seen(&store);
    let lost = expected.iter().filter(|(what, seen)| saved.get(*what) != Some(seen)).count();
    assert!(lost <= 3, "{lost} of {}: {report:#?}", expected.len());
}

#[test]
fn a_value_that_is_lost_is_named_and_the_rest_of_its_secret_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let log = path.join("sled/db");
    let store = builder(&path).open().unwrap();
    fill(&store, 0..6);
    store.flush().unwrap();
    let before = fs::read(&log).unwrap();
    let id = "the-version-whose-value-is-lost-1";
    let put = PutSecretValueRequest::new("secret-00002", "long ".repeat(10_000)).client_request_token(id);
    manager(&store, 2).put_secret_value(put).unwrap();
    store.close().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    // What was written last is the long value, and little else.
    let begin = bytes.iter().zip(&before).position(|(now, before)| now != before).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    assert!((50_000..200_000).contains(&(end - begin)), "{begin} to {end}");
    (0..9).for_each(|part| bytes[begin + 8_000 + part * 4_000..][..64].fill(0x11));
    fs::write(&log, bytes).unwrap();

    let (store, report) = salvage(&path, &place.path().join("salvaged"));
    assert!(!report.is_whole);
    let is_named = |finding: &&Finding| finding.kind == FindingKind::Version && finding.text.contains(id);
    let lost = report.findings.iter().find(is_named).unwrap_or_else(|| panic!("{report:#?}"));
    assert_eq!(lost.subject, "000000000000/us-east-1/secret-00002");
    let get = GetSecretValueRequest::new("secret-00002").version_stage("AWSPREVIOUS");
    assert!(manager(&store, 2).get_secret_value(get).is_ok());
    let get = GetSecretValueRequest::new("secret-00002");
    assert_eq!(manager(&store, 2).get_secret_value(get).unwrap_err().code(), "ResourceNotFoundException");
}

#[test]
fn what_cannot_be_salvaged_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let (path, target) = (place.path().join("store"), place.path().join("target"));
    let salvage = |source: &Path| builder(&target).salvage(source, None, &mut |_| {}).map(drop).unwrap_err();
    assert_eq!(*salvage(&path).kind(), ErrorKind::NotAStore);
    let store = builder(&path).open().unwrap();
    fill(&store, 0..3);
    assert_eq!(*salvage(&path).kind(), ErrorKind::AlreadyOpen);
    store.close().unwrap();
    let onto_itself = builder(&path).salvage(&path, None, &mut |_| {}).map(drop).unwrap_err();
    assert_eq!(*onto_itself.kind(), ErrorKind::StoreExists);
    let before = files(&path);
    let stranger = SecretStore::builder(&target).key_provider(LocalKeyring::in_memory()).test_only(true);
    let error = stranger.salvage(&path, None, &mut |_| {}).map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error:?}");
    assert_eq!(files(&path), before);
    fs::write(path.join("store.hdr"), vec![0x55; 8192]).unwrap();
    assert_eq!(*salvage(&path).kind(), ErrorKind::NotAStore);
    assert!(!SecretStore::exists(&target).unwrap());
}

#[test]
fn a_store_without_anchor_seal_and_log_gives_what_there_is() {
    let rows: [&[&str]; 4] =
        [&["store.anchor"], &["store.anchor", "store.seal"], &["store.seal", "sled/conf"], &["sled/db"]];
    for files in rows {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let store = builder(&path).open().unwrap();
        fill(&store, 0..10);
        let expected = seen(&store);
        store.close().unwrap();
        files.iter().for_each(|name| fs::remove_file(path.join(name)).unwrap());
        let target = place.path().join("target");
        if files == ["sled/db"] {
            let error = builder(&target).salvage(&path, None, &mut |_| {}).map(drop).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Corrupted, "there is nothing to save: {error:?}");
            continue;
        }
        let (store, _) = salvage(&path, &target);
        assert_eq!(seen(&store), expected, "without {files:?}");
        assert_clean(&store);
    }
}
