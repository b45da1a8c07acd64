//! What a verification finds, and that it finds nothing where nothing is wrong.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom::testing::{FaultyProvider, RecordingBackend};
use strongroom::{
    Backend, Batch, Builder, CheckRecords, CreateSecretRequest, DeleteSecretRequest, Durability, ErrorKind,
    FindingKind, KeyError, LocalKeyring, PutSecretValueRequest, SecretStore, StaticKey, VerifyOptions, VerifyReport,
};

use crate::stores::{NOW, builder, files, fill};

fn on(backend: RecordingBackend) -> Builder {
    let clock = strongroom::testing::ManualClock::at_millis(NOW);
    SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32])).clock(clock)
}

fn verify(backend: &RecordingBackend) -> VerifyReport {
    let store = on(backend.clone()).check_records(CheckRecords::Never).open().unwrap();
    store.verify(VerifyOptions::new(), &mut |_| {}).unwrap()
}

fn kinds(report: &VerifyReport) -> Vec<FindingKind> {
    let mut kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn first(backend: &RecordingBackend, family: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (key, value) = backend.scan(family, None, 1).unwrap().remove(0);
    (key, value.as_ref().to_vec())
}

fn write(backend: &RecordingBackend, key: Vec<u8>, value: Option<Vec<u8>>) {
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(key, value),
        None => batch.remove(key),
    }
    backend.commit(&batch, Durability::Immediate).unwrap();
}

fn filled() -> RecordingBackend {
    let backend = RecordingBackend::new();
    let store = on(backend.clone()).open().unwrap();
    fill(&store, 0..30);
    backend
}

#[test]
fn a_sound_store_has_no_findings_and_everything_is_counted() {
    let report = verify(&filled());
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!((report.secrets, report.opened_values, report.closed_values), (30, report.versions, 0));
    // One record for each secret and each value, and one for each of the six deletions.
    assert_eq!(report.records, 30 + report.versions + 6);
}

/// Each kind of damage to single records, as somebody who writes to the engine would do it.
#[test]
fn every_kind_of_damage_to_a_record_is_found_and_named() {
    use FindingKind as F;
    type Damage = fn(&RecordingBackend);
    let rows: [(&str, Damage, &[F]); 9] = [
        ("a secret is gone", |b| write(b, first(b, b"s").0, None), &[F::Orphan, F::Count, F::SetHash]),
        ("a value is gone", |b| write(b, first(b, b"v").0, None), &[F::Version, F::SetHash]),
        ("a due entry is gone", |b| write(b, first(b, b"d").0, None), &[F::Due, F::SetHash]),
        ("a secret is changed", |b| flip(b, b"s"), &[F::Record, F::Orphan, F::Count, F::SetHash]),
        ("a value is changed", |b| flip(b, b"v"), &[F::Version, F::SetHash]),
        ("a due entry is changed", |b| flip(b, b"d"), &[F::Due, F::SetHash]),
        (
            "a value is there twice",
            |b| {
                let (mut key, value) = first(b, b"v");
                key[9] ^= 1;
                write(b, key, Some(value));
            },
            &[F::Orphan, F::SetHash],
        ),
        ("something foreign", |b| write(b, b"x-foreign".to_vec(), Some(vec![1; 40])), &[F::Record, F::SetHash]),
        (
            "a secret is as it was before",
            |b| {
                let (key, now) = first(b, b"s");
                let batches = b.batches();
                let old = batches.iter().flat_map(Batch::iter).find_map(|(of, value)| {
                    value.filter(|value| of == key.as_slice() && *value != now.as_slice()).map(<[u8]>::to_vec)
                });
                write(b, key, Some(old.unwrap()));
            },
            &[F::SetHash],
        ),
    ];
    for (what, damage, expected) in rows {
        let backend = filled();
        if what.ends_with("before") {
            let store = on(backend.clone()).open().unwrap();
            for index in 0..30 {
                let put = PutSecretValueRequest::new(format!("secret-{index:05}"), "newer");
                // Those that are scheduled for deletion are refused.
                drop(crate::stores::manager(&store, index).put_secret_value(put));
            }
        }
        damage(&backend);
        let found = kinds(&verify(&backend));
        assert!(expected.iter().all(|kind| found.contains(kind)), "{what}: {found:?}");
        let error = on(backend).open().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{what}: opening counts the records: {error:?}");
    }
}

fn flip(backend: &RecordingBackend, family: &[u8]) {
    let (key, mut value) = first(backend, family);
    let last = value.len() - 1;
    value[last] ^= 1;
    write(backend, key, Some(value));
}

#[test]
fn a_key_that_is_switched_off_is_no_damage() {
    let provider = FaultyProvider::new(StaticKey::new([7; 32]), 1);
    let store = SecretStore::in_memory().key_provider(provider.clone()).open().unwrap();
    fill(&store, 0..10);
    provider.fail_with(Some(KeyError::Disabled));
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!((report.opened_values, report.closed_values), (0, report.versions));
    let structure = VerifyOptions::new().opens_values(false);
    let report = store.verify(structure, &mut |_| {}).unwrap();
    assert_eq!((report.opened_values, report.closed_values, report.is_clean()), (0, 0, true));
}

#[test]
fn writers_beside_a_verification_are_not_taken_for_damage() {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    fill(&store, 0..200);
    let is_over = AtomicBool::new(false);
    let verified = thread::scope(|threads| {
        for thread in 0..3 {
            let (store, is_over) = (&store, &is_over);
            threads.spawn(move || {
                let secrets = store.default_secrets_manager();
                for round in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let name = format!("thread-{thread}/{}", round % 7);
                    drop(secrets.create_secret(CreateSecretRequest::new(&name).secret_string("one")));
                    drop(secrets.put_secret_value(PutSecretValueRequest::new(&name, format!("{round}"))));
                    drop(secrets.delete_secret(DeleteSecretRequest::new(&name).recovery_window_in_days(7)));
                    drop(secrets.delete_secret(DeleteSecretRequest::new(&name).force_delete_without_recovery(true)));
                }
            });
        }
        let mut verified = 0;
        let begin = store.stats().unwrap().epoch;
        while store.stats().unwrap().epoch < begin + 600 || verified < 5 {
            let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
            assert!(report.is_clean(), "{report:#?}");
            verified += 1;
        }
        is_over.store(true, Ordering::SeqCst);
        verified
    });
    eprintln!("verifications beside writers: {verified}, all clean");
}

#[test]
fn a_closed_store_is_verified_and_left_closed_and_a_damaged_one_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    let store = builder(&path).open().unwrap();
    fill(&store, 0..20);
    store.close().unwrap();
    let report = builder(&path).verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean() && report.secrets == 20, "{report:#?}");
    assert!(path.join("store.seal").exists());

    let log = fs::OpenOptions::new().write(true).open(path.join("sled/db")).unwrap();
    log.write_all_at(b"damage", 20_000).unwrap();
    let before = files(&path);
    let report = builder(&path).verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!(kinds(&report), [FindingKind::Store]);
    assert!(report.findings[0].text.contains("sled/db"), "{report:#?}");
    assert_eq!(files(&path), before);

    let missing = builder(&place.path().join("none")).verify(VerifyOptions::new(), &mut |_| {});
    assert_eq!(*missing.unwrap_err().kind(), ErrorKind::NotAStore);
    let stranger = SecretStore::builder(&path).key_provider(LocalKeyring::in_memory()).test_only(true);
    let error = stranger.verify(VerifyOptions::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error:?}");
}

#[test]
fn a_damaged_spare_copy_is_found_before_it_is_needed() {
    let rows = [("store.hdr", 20, FindingKind::HeaderCopy), ("store.anchor", 20, FindingKind::AnchorSlot)];
    for (name, at, kind) in rows {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        builder(&path).open().unwrap().close().unwrap();
        let file = fs::OpenOptions::new().write(true).open(path.join(name)).unwrap();
        file.write_all_at(&[0xff; 4], at).unwrap();
        let report = builder(&path).verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        assert_eq!(kinds(&report), [kind], "{report:#?}");
    }
}
