//! How many keys a store and its versions can be under.

use std::sync::Arc;

use strongroom::{
    CreateSecretRequest, ErrorKind, GetSecretValueRequest, KeyOptions, KeyProvider, LocalKeyring, SecretStore,
    StaticKey,
};

use crate::fixture::home;

fn opens_again(path: &std::path::Path, provider: impl KeyProvider + 'static) {
    let opened = SecretStore::builder(path).key_provider(provider).open();
    assert!(opened.is_ok(), "{:?}", opened.unwrap_err());
}

#[test]
fn a_store_with_very_many_recipients_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let store = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open().unwrap();
    for number in 0..70 {
        if let Err(error) = store.add_recipient(format!("alias/recovery-{number}"), &mut |_| {}) {
            assert!(matches!(error.kind(), ErrorKind::LimitExceeded), "{error}");
            break;
        }
    }
    store.close().unwrap();
    opens_again(&path, StaticKey::new([7; 32]));
}

#[test]
fn a_store_whose_key_is_rotated_often_opens_again_if_only_some_regions_are_wrapped_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = Arc::new(LocalKeyring::in_memory());
    let key = keyring.create_key(home()).unwrap();
    let store = SecretStore::builder(&path).key_provider(Arc::clone(&keyring)).root_key_id(&key).open().unwrap();
    for _ in 0..70 {
        keyring.rotate_key(&key).unwrap();
        let only = KeyOptions::new().only("000000000000", "us-east-1");
        if store.rewrap(&only, &mut |_| {}).is_err() {
            break;
        }
    }
    store.close().unwrap();
    opens_again(&path, keyring);
}

#[test]
fn a_store_whose_key_is_rotated_often_opens_again_if_one_version_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = Arc::new(LocalKeyring::in_memory());
    let [key, gone] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    let store = SecretStore::builder(&path).key_provider(Arc::clone(&keyring)).root_key_id(&key).open().unwrap();
    let create = CreateSecretRequest::new("old").secret_string("1").kms_key_id(&gone);
    store.default_secrets_manager().create_secret(create).unwrap();
    keyring.schedule_key_deletion(&gone).unwrap();
    for _ in 0..70 {
        keyring.rotate_key(&key).unwrap();
        if store.rewrap(&KeyOptions::new(), &mut |_| {}).is_err() {
            break;
        }
    }
    store.close().unwrap();
    opens_again(&path, keyring);
}

#[test]
fn values_can_be_stored_with_every_recipient_that_was_accepted() {
    let keyring = Arc::new(LocalKeyring::in_memory());
    let store = SecretStore::in_memory().key_provider(Arc::clone(&keyring)).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("before").secret_string("1")).unwrap();
    for number in 0..10 {
        let recovery = keyring.create_key(home()).unwrap();
        let added = store.add_recipient(&recovery, &mut |_| {});
        let is_accepted = added.as_ref().is_ok_and(|report| report.problems_total == 0);
        let created = secrets.create_secret(CreateSecretRequest::new(format!("s/{number}")).secret_string("1"));
        assert!(created.is_ok(), "after recipient {number} (accepted: {is_accepted}): {:?}", created.unwrap_err());
    }
}

/// A long value beside a recipient.
#[test]
fn the_longest_value_is_read_whatever_is_done_to_its_keys() {
    let keyring = Arc::new(LocalKeyring::in_memory());
    let store = SecretStore::in_memory().key_provider(Arc::clone(&keyring)).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("long").secret_string("x".repeat(65_536))).unwrap();
    let recovery = keyring.create_key(home()).unwrap();
    let report = store.add_recipient(&recovery, &mut |_| {}).unwrap();
    assert_eq!(report.problems_total, 0);
    store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    secrets.get_secret_value(GetSecretValueRequest::new("long")).unwrap();
}
