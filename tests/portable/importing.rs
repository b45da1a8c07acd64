//! How an import is done: dry, under keys that are missing, within quotas.

use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, ErrorKind, ImportOptions, KeyScope, LocalKeyring, PutSecretValueRequest,
    SecretStore,
};

use crate::fixture::{START_MILLIS, Source, Target, import, import_lines, import_with, names};

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let (source, target) = (Source::several(5), Target::new());
    let exported = source.export();
    import(&target.store, &exported.path).unwrap();
    target.home().delete_secret(DeleteSecretRequest::new("secret/0").force_delete_without_recovery(true)).unwrap();
    target.home().put_secret_value(PutSecretValueRequest::new("secret/1", "changed")).unwrap();
    let epoch = target.epoch();
    let dry = ImportOptions::new().dry_run(true);
    let planned = import_with(&target.store, &exported.path, &dry).unwrap();
    assert_eq!((planned.created, planned.unchanged, planned.conflicts.len()), (1, 3, 1));
    assert_eq!(target.epoch(), epoch);
    assert_eq!(import(&target.store, &exported.path).unwrap(), planned, "and that is what happens");
    assert_eq!(target.epoch(), epoch + 1);
}

/// A source whose secrets are under keys of their own.
fn with_key(count: usize) -> (Source, String) {
    let source = Source::several(count);
    let key = source.keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let request = CreateSecretRequest::new("z-keyed").secret_string("v").kms_key_id(&key);
    source.home().create_secret(request).unwrap();
    (source, key)
}

#[test]
fn a_key_that_is_not_there_stops_the_import_before_anything_is_written() {
    let (source, key) = with_key(5);
    let exported = source.export();
    for is_dry in [true, false] {
        let target = Target::new();
        let error = import_with(&target.store, &exported.path, &ImportOptions::new().dry_run(is_dry)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::KeyAccessDenied(fault) if fault.key == key), "{error:?}");
        assert!(error.to_string().contains("secret:z-keyed-"), "{error}");
        assert!(names(&target.home()).is_empty());
    }
}

#[test]
fn a_key_that_is_switched_off_stops_the_import_before_anything_is_written() {
    let (source, key) = with_key(5);
    let exported = source.export();
    let clock = ManualClock::at_millis(START_MILLIS);
    let target = crate::fixture::open(strongroom::MemoryBackend::new(), source.keyring.clone(), &clock).unwrap();
    source.keyring.disable_key(&key).unwrap();
    let error = import(&target, &exported.path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::EncryptionFailure(fault) if fault.key == key), "{error:?}");
    assert!(names(&target.default_secrets_manager()).is_empty());
    source.keyring.enable_key(&key).unwrap();
    assert_eq!(import(&target, &exported.path).unwrap().created, 6);
}

#[test]
fn the_key_that_is_given_for_all_secrets_is_checked_like_any_other() {
    let source = Source::small();
    let exported = source.export();
    let target = Target::new();
    for (key, kind) in [
        ("alias/nope".to_owned(), "AccessDeniedException"),
        ("arn:aws:kms:eu-west-1:000000000000:key/x".to_owned(), "InvalidRequestException"),
        ("k".repeat(2_049), "ValidationException"),
    ] {
        let error = import_with(&target.store, &exported.path, &ImportOptions::new().kms_key_id(key)).unwrap_err();
        assert_eq!(error.code(), kind);
    }
    assert!(names(&target.home()).is_empty());
}

/// A store in memory that allows so much.
fn limited(secrets: u64, versions: usize) -> SecretStore {
    SecretStore::in_memory()
        .key_provider(LocalKeyring::in_memory())
        .clock(ManualClock::at_millis(START_MILLIS))
        .secrets_max(secrets)
        .versions_per_secret_max(versions)
        .open()
        .unwrap()
}

#[test]
fn quotas_hold_and_are_known_before_anything_is_written() {
    let source = Source::several(5);
    source.home().put_secret_value(PutSecretValueRequest::new("secret/4", "second")).unwrap();
    source.home().put_secret_value(PutSecretValueRequest::new("secret/4", "third")).unwrap();
    let (exported, lines) = (source.export(), source.lines());
    for (secrets, versions, is_fine) in [(5, 3, true), (4, 3, false), (5, 2, false)] {
        for is_encrypted in [true, false] {
            let store = limited(secrets, versions);
            let result = if is_encrypted { import(&store, &exported.path) } else { import_lines(&store, &lines) };
            let there = names(&store.default_secrets_manager()).len();
            match result {
                Ok(report) => assert!(is_fine && report.created == 5 && there == 5),
                Err(error) => {
                    assert!(!is_fine && *error.kind() == ErrorKind::LimitExceeded && there == 0, "{error:?}");
                }
            }
        }
    }
    // What is there already, or past its window, is not counted twice.
    let store = limited(5, 3);
    import(&store, &exported.path).unwrap();
    assert_eq!(import(&store, &exported.path).unwrap().unchanged, 5);
}

#[test]
fn a_store_goes_on_as_usual_with_what_was_imported() {
    let (source, target) = (Source::small(), Target::new());
    import(&target.store, &source.export().path).unwrap();
    let secrets = target.home();
    target.clock.advance(chrono::TimeDelta::minutes(1));
    let put = secrets.put_secret_value(PutSecretValueRequest::new("small", "next")).unwrap();
    assert_eq!(put.version_stages, ["AWSCURRENT"]);
    let previous = strongroom::GetSecretValueRequest::new(put.arn).version_stage("AWSPREVIOUS");
    assert_eq!(secrets.get_secret_value(previous).unwrap().secret_string.unwrap().expose(), "CANARY-VALUE");
    // The token of an imported version is still taken.
    let first = crate::fixture::see(&secrets, "small").versions[0].id.clone();
    let again = PutSecretValueRequest::new("small", "other").client_request_token(first);
    assert_eq!(secrets.put_secret_value(again).unwrap_err().code(), "ResourceExistsException");
}
