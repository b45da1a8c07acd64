//! The passphrase of a store that is in use changes.

use std::path::Path;
use std::sync::Arc;

use strongroom::{
    CreateSecretRequest, ErrorKind, GetSecretValueRequest, KeyFaultReason, KeyOptions, PassphraseProvider, Result,
    SecretStore, SecretsManager, VerifyOptions,
};

const OLD: &str = "old passphrase";
const NEW: &str = "new passphrase";

fn open(path: &Path, provider: &Arc<PassphraseProvider>) -> Result<SecretStore> {
    SecretStore::builder(path).key_provider(Arc::clone(provider)).open()
}

fn cheap(passphrase: &str) -> Arc<PassphraseProvider> {
    Arc::new(PassphraseProvider::cheap_for_tests(passphrase).unwrap())
}

fn create(secrets: &SecretsManager, name: &str) {
    secrets.create_secret(CreateSecretRequest::new(name).secret_string(format!("value of {name}"))).unwrap();
}

fn assert_readable(store: &SecretStore, names: &[&str]) {
    for name in names {
        let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(*name)).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("value of {name}"));
    }
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean() && report.closed_values == 0, "{report:?}");
}

fn assert_refused(path: &Path, passphrase: &str) {
    let error = open(path, &cheap(passphrase)).unwrap_err();
    let ErrorKind::WrongKey(fault) = error.kind() else { panic!("{error}") };
    assert_eq!(fault.reason, KeyFaultReason::WrongPassphrase);
}

#[test]
fn after_a_change_of_the_passphrase_only_the_new_one_opens_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let provider = cheap(OLD);
    let store = open(&path, &provider).unwrap();
    let secrets = store.default_secrets_manager();
    ["a", "b"].into_iter().for_each(|name| create(&secrets, name));
    let report = store.change_passphrase(&provider, NEW, &mut |_| {}).unwrap();
    assert_eq!((report.rewrapped_versions, report.root_rewrapped, report.problems_total), (2, true, 0));
    create(&secrets, "c");
    assert_readable(&store, &["a", "b", "c"]);
    let census = store.key_census(&mut |_| {}).unwrap();
    assert_eq!(census.keys.len(), 1, "one key opens everything: {census:?}");
    store.close().unwrap();

    assert_refused(&path, OLD);
    assert_refused(&path, "another passphrase");
    let provider = cheap(NEW);
    let store = open(&path, &provider).unwrap();
    assert_readable(&store, &["a", "b", "c"]);
    assert!(provider.derivations() <= 1, "one derivation for an opening: {}", provider.derivations());
}

#[test]
fn a_change_that_was_interrupted_is_finished_with_both_passphrases() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let provider = cheap(OLD);
    let store = open(&path, &provider).unwrap();
    let secrets = store.default_secrets_manager();
    ["a", "b"].into_iter().for_each(|name| create(&secrets, name));
    // As far as it came: what is new is under the new passphrase, and nothing else.
    provider.change_to(NEW).unwrap();
    create(&secrets, "c");
    store.close().unwrap();

    let provider = Arc::new(PassphraseProvider::cheap_changing_for_tests(OLD, NEW).unwrap());
    let store = open(&path, &provider).unwrap();
    assert_readable(&store, &["a", "b", "c"]);
    let report = store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.root_rewrapped && report.problems_total == 0, "{report:?}");
    store.close().unwrap();
    assert_refused(&path, OLD);
    assert_readable(&open(&path, &cheap(NEW)).unwrap(), &["a", "b", "c"]);
}
