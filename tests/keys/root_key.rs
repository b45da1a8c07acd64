//! Another root key, while the store is in use.

use std::sync::Arc;

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, KeyOptions, LocalKeyring, PutSecretValueRequest,
    SecretStore, VerifyOptions,
};

#[test]
fn everything_is_there_after_a_change_of_the_root_key_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = Arc::new(LocalKeyring::in_memory());
    let open = || SecretStore::builder(&path).key_provider(Arc::clone(&keyring)).open().unwrap();
    let store = open();
    let secrets = store.default_secrets_manager();
    for number in 0..300 {
        let name = format!("s/{number}");
        secrets.create_secret(CreateSecretRequest::new(&name).secret_string(format!("one {number}"))).unwrap();
        if number % 3 == 0 {
            secrets.put_secret_value(PutSecretValueRequest::new(&name, format!("two {number}"))).unwrap();
        }
        if number % 50 == 7 {
            secrets.delete_secret(DeleteSecretRequest::new(&name).recovery_window_in_days(7)).unwrap();
        }
    }
    for generation in 2..4 {
        let report = store.rotate_root_key(&mut |_| {}).unwrap();
        assert_eq!((report.generation, report.secrets, report.was_resumed), (generation, 300, false));
        let verified = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
        assert!(verified.is_clean(), "{:?}", verified.findings);
    }
    let census = store.key_census(&mut |_| {}).unwrap();
    assert_eq!(
        (census.secrets, census.versions, census.root_generation, census.is_root_changing),
        (300, 400, 3, false)
    );
    store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    store.shred(&mut |_| {}).unwrap();
    store.close().unwrap();
    let store = open();
    let verified = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
    assert!(verified.is_clean(), "{:?}", verified.findings);
    let secrets = store.default_secrets_manager();
    let read = secrets.get_secret_value(GetSecretValueRequest::new("s/9")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "two 9");
}
