//! Operations on keys on secrets that are larger than one commit should be.

use strongroom::testing::{ManualClock, RecordingBackend};
use strongroom::{
    Backend, CheckRecords, CreateSecretRequest, Durability, GetSecretValueRequest, LocalKeyring, MemoryBackend,
    PutSecretValueRequest, SecretStore, limits,
};

use crate::keys::{new_key, rotate_all};
use crate::operations::{ALL, Cast, Operation};
use crate::stores::{NOW, assert_clean, everything, on, token};

/// A value of the largest size that says whose it is.
fn large(version: usize) -> String {
    let mut text = format!("{version:06} ").repeat(limits::VALUE_BYTES_MAX / 7 + 1);
    text.truncate(limits::VALUE_BYTES_MAX);
    text
}

fn fill(store: &SecretStore, versions: usize) {
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("small").secret_string("small")).unwrap();
    secrets.create_secret(CreateSecretRequest::new("large")).unwrap();
    for version in 0..versions {
        let put = PutSecretValueRequest::new("large", large(version)).client_request_token(token(7, version));
        secrets.put_secret_value(put).unwrap();
    }
}

fn check(store: &SecretStore, versions: usize, what: &str) {
    let secrets = store.default_secrets_manager();
    for version in 0..versions {
        let get = GetSecretValueRequest::new("large").version_id(token(7, version));
        let read = secrets.get_secret_value(get).unwrap_or_else(|error| panic!("{what}, {version}: {error:?}"));
        assert!(read.secret_string.unwrap().expose() == large(version), "{what}: version {version}");
    }
    assert_clean(store);
}

fn cast_of(keyring: &LocalKeyring) -> Cast {
    let [newcomer, leaver] = [(); 2].map(|()| new_key(keyring));
    Cast { newcomer, leaver }
}

#[test]
fn a_secret_of_many_large_versions_goes_through_every_operation_on_keys() {
    const VERSIONS: usize = 110;
    let place = tempfile::tempdir().unwrap();
    let keyring = LocalKeyring::in_memory();
    let cast = cast_of(&keyring);
    let open = |durability| {
        let builder = SecretStore::builder(place.path().join("store")).key_provider(keyring.clone());
        let clock = ManualClock::at_millis(NOW);
        builder.clock(clock).durability(durability).check_records(CheckRecords::Always).open().unwrap()
    };
    let store = open(Durability::Eventual);
    store.add_recipient(&cast.leaver, &mut |_| {}).unwrap();
    fill(&store, VERSIONS);
    store.close().unwrap();
    rotate_all(&keyring);
    for operation in ALL {
        let store = open(Durability::Immediate);
        operation.run(&store, &cast, &mut |_| {}).unwrap_or_else(|error| panic!("{operation:?}: {error:?}"));
        assert_eq!(operation.unfinished(&store, &keyring, &cast), None, "{operation:?}");
        store.close().unwrap();
    }
    check(&open(Durability::Immediate), VERSIONS, "in the end");
    eprintln!("a secret of {VERSIONS} versions of {} bytes: {} operations on keys", limits::VALUE_BYTES_MAX, ALL.len());
}

#[test]
fn a_secret_that_goes_over_to_another_root_key_in_parts_is_whole_in_between() {
    const VERSIONS: usize = 40;
    let keyring = LocalKeyring::in_memory();
    let cast = cast_of(&keyring);
    let clock = ManualClock::at_millis(NOW);
    let memory = MemoryBackend::new();
    let store = on(memory.clone(), keyring.clone(), &clock).open().unwrap();
    fill(&store, VERSIONS);
    store.close().unwrap();
    let recording = RecordingBackend::new();
    recording.commit(&everything(&memory), Durability::Immediate).unwrap();
    let first = recording.commits();
    let store = on(recording.clone(), keyring.clone(), &clock).open().unwrap();
    Operation::RotateRootKey.run(&store, &cast, &mut |_| {}).unwrap();
    store.close().unwrap();
    let parts = recording.commits() - first;
    assert!(parts >= 6, "{parts} commits: it did not go in parts");
    for commits in first..=recording.commits() {
        let what = format!("{} of {parts} commits", commits - first);
        let image = recording.image(commits).unwrap();
        let store = on(image.clone(), keyring.clone(), &clock).open().unwrap();
        check(&store, VERSIONS, &what);
        // Somebody changes the secret while it is in parts.
        let put = PutSecretValueRequest::new("large", large(VERSIONS)).client_request_token(token(7, VERSIONS));
        store.default_secrets_manager().put_secret_value(put).unwrap();
        store.rotate_root_key(&mut |_| {}).unwrap();
        store.close().unwrap();
        check(&on(image, keyring.clone(), &clock).open().unwrap(), VERSIONS + 1, &what);
    }
}
