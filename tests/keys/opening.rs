//! Opening stores on backends: what is refused, in which words, and what a closed handle answers.

use std::time::Duration;

use strongroom::testing::{FaultyBackend, FaultyProvider, ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, Builder, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Error,
    ErrorKind, Filter, GetSecretValueRequest, KeyError, KeyFaultReason, KeyOperation, ListSecretVersionIdsRequest,
    ListSecretsRequest, LocalKeyring, MemoryBackend, OpenMode, PutSecretValueRequest, RestoreSecretRequest, Result,
    SecretStore, StaticKey, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

use crate::fixture::{fault, home, id};

const SERVER_SIDE: &str = "An error occurred on the server side.";

fn on(backend: &MemoryBackend) -> Builder {
    SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]))
}

/// A backend with a store of one secret in it.
fn existing() -> MemoryBackend {
    let backend = MemoryBackend::new();
    let store = on(&backend).open().unwrap();
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    store.close().unwrap();
    backend
}

fn value(store: &SecretStore) -> String {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("s")).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

#[track_caller]
fn fails(result: Result<SecretStore>, is_expected: impl Fn(&ErrorKind) -> bool) -> Error {
    let error = result.unwrap_err();
    assert!(is_expected(error.kind()), "{error:?}");
    assert_eq!((error.code(), error.message()), ("InternalServiceError", SERVER_SIDE), "a client learns nothing more");
    error
}

fn is_configuration(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Configuration)
}

#[test]
fn a_store_needs_a_key_provider() {
    fails(SecretStore::in_memory().open(), is_configuration);
    fails(SecretStore::with_backend(existing()).open(), is_configuration);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fails(SecretStore::builder(&path).open(), is_configuration);
    assert!(!path.exists(), "nothing is made before the settings are right");
}

#[test]
fn impossible_accounts_regions_and_limits_are_refused() {
    let builder = || SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
    for account in ["", "1", "12345678901", "1234567890123", "12345678901x", "\u{661}23456789012", " 12345678901"] {
        fails(builder().account(account).open(), is_configuration);
    }
    for region in ["", "useast1", "us-east", "us-east-1 ", "US-EAST-1", "us--1", "-1", "us-east-1-", "../x-1"] {
        fails(builder().region(region).open(), is_configuration);
    }
    fails(builder().versions_per_secret_max(0).open(), is_configuration);
    fails(builder().secrets_max(0).open(), is_configuration);
    let store = builder().account("123456789012").region("eu-central-1").open().unwrap();
    let manager = store.default_secrets_manager();
    assert_eq!((manager.account(), manager.region()), ("123456789012", "eu-central-1"));
    for (account, region) in [("1", "us-east-1"), ("123456789012", "nowhere"), ("", ""), ("12345678901\n", "us-east-1")]
    {
        let error = store.secrets_manager(account, region).unwrap_err();
        assert!(is_configuration(error.kind()), "{account} {region}");
    }
}

#[test]
fn modes_say_whether_a_store_may_be_made_or_must_be_there() {
    for (mode, on_nothing, on_existing) in [
        (OpenMode::OpenOrCreate, None, None),
        (OpenMode::OpenExisting, Some(ErrorKind::NotAStore), None),
        (OpenMode::CreateNew, None, Some(ErrorKind::StoreExists)),
    ] {
        let outcome = |backend: &MemoryBackend| on(backend).mode(mode).open().err().map(|error| error.kind().clone());
        let fresh = MemoryBackend::new();
        assert_eq!(outcome(&fresh), on_nothing, "{mode:?} on nothing");
        let backend = existing();
        assert_eq!(outcome(&backend), on_existing, "{mode:?} on a store");
        assert_eq!(value(&on(&backend).open().unwrap()), "v", "{mode:?} does no harm");
    }
    assert_eq!(OpenMode::default(), OpenMode::OpenOrCreate);
}

#[test]
fn modes_mean_the_same_for_directories() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let open = |mode| SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).mode(mode).open();
    fails(open(OpenMode::OpenExisting), |kind| matches!(kind, ErrorKind::NotAStore));
    assert!(!path.exists());
    open(OpenMode::CreateNew).unwrap().close().unwrap();
    fails(open(OpenMode::CreateNew), |kind| matches!(kind, ErrorKind::StoreExists));
    open(OpenMode::OpenExisting).unwrap().close().unwrap();
    let store = open(OpenMode::OpenOrCreate).unwrap();
    let busy = fails(open(OpenMode::OpenOrCreate), |kind| matches!(kind, ErrorKind::AlreadyOpen));
    assert!(busy.is_retryable());
    let waits =
        SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).wait_for_lock(Duration::from_secs(60));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waits.open());
        store.close().unwrap();
        waiting.join().unwrap().unwrap().close().unwrap();
    });
}

#[test]
fn the_wrong_key_does_not_open_a_store_and_does_no_harm() {
    let backend = existing();
    let other = |provider: StaticKey| SecretStore::with_backend(backend.clone()).key_provider(provider).open();
    for key in [[0; 32], [8; 32], [0xff; 32]] {
        fails(other(StaticKey::new(key)), |kind| {
            matches!(kind, ErrorKind::WrongKey(fault) if fault.operation == KeyOperation::Unwrap
                && fault.reason == KeyFaultReason::Corrupt)
        });
    }
    let keyring = SecretStore::with_backend(backend.clone()).key_provider(LocalKeyring::in_memory()).open();
    fails(keyring, |kind| matches!(kind, ErrorKind::WrongKey(_)));
    assert_eq!(value(&on(&backend).open().unwrap()), "v");
}

/// The root key's own key: whoever switches it off closes the store.
#[test]
fn the_key_of_the_root_key_must_be_there_and_enabled() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(home()).unwrap();
    keyring.create_alias("alias/root", &key).unwrap();
    let backend = MemoryBackend::new();
    let open =
        |root: &str| SecretStore::with_backend(backend.clone()).key_provider(keyring.clone()).root_key_id(root).open();

    let (code, missing) = fault(open("alias/missing"));
    assert_eq!((code, missing.key.as_str()), ("AccessDeniedException", "alias/missing"));
    assert_eq!((missing.reason, missing.operation), (KeyFaultReason::NotFound, KeyOperation::Resolve));
    keyring.disable_key(&key).unwrap();
    let (code, disabled) = fault(open("alias/root"));
    assert_eq!(
        (code, disabled.reason, disabled.operation),
        ("EncryptionFailure", KeyFaultReason::Disabled, KeyOperation::Wrap)
    );
    keyring.enable_key(&key).unwrap();
    open("alias/root").unwrap().close().unwrap();

    for (switch_off, reason) in [
        (LocalKeyring::disable_key as fn(&LocalKeyring, &str) -> Result<()>, KeyFaultReason::Disabled),
        (LocalKeyring::schedule_key_deletion, KeyFaultReason::PendingDeletion),
    ] {
        switch_off(&keyring, &key).unwrap();
        let (code, fault) = fault(open("alias/root"));
        assert_eq!((code, fault.key.as_str(), fault.reason), ("InternalServiceError", key.as_str(), reason));
        if reason == KeyFaultReason::PendingDeletion {
            keyring.cancel_key_deletion(&key).unwrap();
        }
        keyring.enable_key(&key).unwrap();
        open("").unwrap().close().unwrap();
    }
}

#[test]
fn an_outage_of_the_key_provider_while_opening_is_retryable() {
    let provider = FaultyProvider::new(StaticKey::new([7; 32]), 1);
    let fresh = MemoryBackend::new();
    for backend in [fresh, existing()] {
        let open = || SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open();
        for error in [KeyError::Unavailable, KeyError::Throttled, KeyError::Timeout, KeyError::Internal] {
            provider.fail_with(Some(error));
            let failure = fails(open(), |kind| matches!(kind, ErrorKind::KeyProviderOutage(_)));
            assert!(failure.is_retryable());
        }
        provider.fail_with(None);
        open().unwrap().close().unwrap();
    }
}

#[test]
fn a_store_for_tests_stays_one() {
    type Mark = fn(Builder) -> Builder;
    let marks: [Mark; 3] = [
        |builder| builder.entropy(SeededEntropy::new(1)),
        |builder| builder.clock(ManualClock::at_millis(0)),
        |builder| builder.test_only(true),
    ];
    for (number, mark) in (1..).zip(marks) {
        let backend = MemoryBackend::new();
        mark(on(&backend)).open().unwrap().close().unwrap();
        let error = fails(on(&backend).open(), is_configuration);
        assert!(error.to_string().contains("test_only(true)"), "{number}: {error}");
        for allows in marks {
            allows(on(&backend)).open().unwrap().close().unwrap();
        }
        fails(on(&backend).test_only(false).open(), is_configuration);
    }
}

/// Values sealed with predictable randomness would not be secret.
#[test]
fn a_store_that_is_not_for_tests_refuses_predictable_randomness() {
    let backend = existing();
    fails(on(&backend).entropy(SeededEntropy::new(1)).open(), is_configuration);
    fails(on(&backend).entropy(SeededEntropy::new(1)).test_only(true).open(), is_configuration);
    // Neither of these makes a value guessable, and neither marks the store after the fact.
    on(&backend).clock(ManualClock::at_millis(0)).open().unwrap().close().unwrap();
    on(&backend).test_only(true).open().unwrap().close().unwrap();
    assert_eq!(value(&on(&backend).open().unwrap()), "v");
}

#[test]
fn a_closed_store_answers_nothing() {
    let backend = existing();
    let store = on(&backend).open().unwrap();
    let secrets = store.default_secrets_manager();
    let other = secrets.clone();
    assert!(other.describe_secret(DescribeSecretRequest::new("s")).is_ok());
    store.close().unwrap();
    let stage = || UpdateSecretVersionStageRequest::new("s", "x").move_to_version_id(id(1));
    let answers: Vec<(&str, Result<()>)> = vec![
        ("create", secrets.create_secret(CreateSecretRequest::new("t").secret_string("v")).map(drop)),
        ("get", secrets.get_secret_value(GetSecretValueRequest::new("s")).map(drop)),
        ("put", secrets.put_secret_value(PutSecretValueRequest::new("s", "w")).map(drop)),
        ("update", secrets.update_secret(UpdateSecretRequest::new("s").description("d")).map(drop)),
        ("describe", other.describe_secret(DescribeSecretRequest::new("s")).map(drop)),
        ("list", secrets.list_secrets(ListSecretsRequest::new()).map(drop)),
        ("versions", secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("s")).map(drop)),
        ("stage", secrets.update_secret_version_stage(stage()).map(drop)),
        ("delete", secrets.delete_secret(DeleteSecretRequest::new("s")).map(drop)),
        ("restore", secrets.restore_secret(RestoreSecretRequest::new("s")).map(drop)),
        ("tag", secrets.tag_resource(TagResourceRequest::new("s", [Tag::new("k", "v")]))),
        ("untag", secrets.untag_resource(UntagResourceRequest::new("s", ["k"]))),
        (
            "batch by ids",
            secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(["s"])).map(drop),
        ),
        (
            "batch by filters",
            secrets
                .batch_get_secret_value(BatchGetSecretValueRequest::new().filters([Filter::new("name", ["s"])]))
                .map(drop),
        ),
    ];
    for (what, answer) in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{what}: {error:?}");
        assert_eq!((error.code(), error.message()), ("InternalServiceError", SERVER_SIDE), "{what}");
    }
    assert_eq!(value(&on(&backend).open().unwrap()), "v", "the old handles are in nobody's way");
}

/// A listing that was prepared before the store was closed is no answer either.
#[test]
fn a_closed_store_lists_nothing_from_memory() {
    let backend = existing();
    let store = on(&backend).open().unwrap();
    store.warm_up().unwrap();
    let secrets = store.default_secrets_manager();
    assert_eq!(secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.len(), 1);
    let nothing = || ListSecretsRequest::new().filters([Filter::new("name", ["nothing"])]);
    assert!(secrets.list_secrets(nothing()).is_ok());
    store.close().unwrap();
    for request in [ListSecretsRequest::new(), nothing()] {
        let error = secrets.list_secrets(request).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    }
}

/// Dropping the last handle closes the store; until then it stays open.
#[test]
fn a_store_is_closed_with_its_last_handle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let open = || SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open();
    let secrets = open().unwrap().default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    fails(open(), |kind| matches!(kind, ErrorKind::AlreadyOpen));
    drop(secrets);
    assert_eq!(value(&open().unwrap()), "v");
}

/// A store comes into being in steps, and a crash between any two of them leaves none or a whole one.
#[test]
fn a_crash_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let recording = RecordingBackend::new();
    let store = SecretStore::with_backend(recording.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap();
    let commits = recording.commits();
    assert!(commits >= 1);
    for survived in 0..=commits {
        let image = recording.image(survived).unwrap();
        let opened =
            on(&image).open().unwrap_or_else(|error| panic!("after {survived} of {commits} commits: {error:?}"));
        opened.default_secrets_manager().create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
        assert_eq!(value(&opened), "v");
    }
    store.close().unwrap();
}

/// The same with a backend that reports failures: opening fails, and works the next time.
#[test]
fn a_backend_that_fails_while_a_store_is_made_can_be_tried_again() {
    for after in 0..3 {
        for plan in [
            FaultyBackend::fail_commit as fn(&FaultyBackend, u64),
            FaultyBackend::fail_flush,
            FaultyBackend::panic_in_commit,
        ] {
            let memory = MemoryBackend::new();
            let faulty = FaultyBackend::new(memory.clone());
            plan(&faulty, after);
            let opened = SecretStore::with_backend(faulty.clone()).key_provider(StaticKey::new([7; 32])).open();
            if faulty.commits() > after {
                fails(opened, |kind| matches!(kind, ErrorKind::Storage));
            } else {
                opened.unwrap().close().unwrap();
            }
            let again = on(&memory).open().unwrap_or_else(|error| panic!("after commit {after}: {error:?}"));
            again.default_secrets_manager().create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
            assert_eq!(value(&again), "v");
        }
    }
}

#[test]
fn a_backend_that_cannot_be_read_does_not_look_like_an_empty_one() {
    let memory = existing();
    let faulty = FaultyBackend::new(memory.clone());
    for readable in 0..2 {
        faulty.fail_reads(readable);
        let opened = SecretStore::with_backend(faulty.clone()).key_provider(StaticKey::new([7; 32])).open();
        fails(opened, |kind| matches!(kind, ErrorKind::Storage));
    }
    assert_eq!(faulty.commits(), 0, "nothing was written");
    assert_eq!(value(&on(&memory).open().unwrap()), "v");
}
