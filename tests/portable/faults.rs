//! Imports that end in the middle: whole secrets are there or none, and the next import completes them.

use strongroom::testing::{FaultyBackend, ManualClock};
use strongroom::{ErrorKind, LocalKeyring, MemoryBackend, PutSecretValueRequest};

use crate::fixture::{START_MILLIS, Source, import, open, picture};

const SECRETS: usize = 8;

#[test]
fn an_import_that_fails_at_any_commit_leaves_whole_secrets_and_can_be_repeated() {
    let source = Source::several(SECRETS);
    for number in 0..SECRETS {
        for version in 0..3 {
            let put = PutSecretValueRequest::new(format!("secret/{number}"), format!("{number} {version}"));
            source.home().put_secret_value(put).unwrap();
        }
    }
    picture(&source.store);
    let (exported, expected) = (source.export(), picture(&source.store));
    type Plan = fn(&FaultyBackend, u64);
    let plans: [(&str, Plan, usize); 3] = [
        ("failed commit", FaultyBackend::fail_commit, 0),
        ("failed flush", FaultyBackend::fail_flush, 1),
        ("panic", FaultyBackend::panic_in_commit, 0),
    ];
    let mut runs = 0;
    for (what, plan, more) in plans {
        for nth in 0..SECRETS {
            let (memory, keyring) = (MemoryBackend::new(), LocalKeyring::in_memory());
            let clock = ManualClock::at_millis(START_MILLIS);
            let faulty = FaultyBackend::new(memory.clone());
            let store = open(faulty.clone(), keyring.clone(), &clock).unwrap();
            plan(&faulty, nth as u64);
            let error = import(&store, &exported.path).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Storage, "{what} {nth}: {error}");
            // The store believes nothing any more, and says so.
            assert_eq!(*import(&store, &exported.path).unwrap_err().kind(), ErrorKind::Poisoned);
            drop(store);

            clock.advance(chrono::TimeDelta::seconds(1));
            let store = open(memory, keyring, &clock).unwrap();
            let arrived = picture(&store);
            assert_eq!(arrived.len(), nth + more, "{what} {nth}");
            assert!(arrived.iter().all(|(arn, seen)| *seen == expected[arn]), "{what} {nth}");
            let report = import(&store, &exported.path).unwrap();
            assert_eq!((report.created, report.unchanged), ((SECRETS - arrived.len()) as u64, arrived.len() as u64));
            assert_eq!(picture(&store).len(), SECRETS);
            runs += 1;
        }
    }
    eprintln!("{runs} imports that failed");
}

#[test]
fn a_store_that_cannot_be_read_fails_the_export_and_leaves_no_file() {
    let faulty = FaultyBackend::new(MemoryBackend::new());
    let clock = ManualClock::at_millis(START_MILLIS);
    let store = open(faulty.clone(), LocalKeyring::in_memory(), &clock).unwrap();
    for number in 0..3 {
        let request = strongroom::CreateSecretRequest::new(format!("s{number}")).secret_string("v");
        store.default_secrets_manager().create_secret(request).unwrap();
    }
    let exported = crate::fixture::Exported::place();
    // A scan, and the value of each version.
    for reads in 0..4 {
        faulty.fail_reads(reads);
        assert_eq!(*exported.from(&store).unwrap_err().kind(), ErrorKind::Storage, "after {reads} reads");
        assert_eq!(std::fs::read_dir(exported.path.parent().unwrap()).unwrap().count(), 0);
    }
    faulty.fail_reads(u64::MAX);
    assert_eq!(exported.from(&store).unwrap().secrets, 3);
}
