//! One key in the place of another, everywhere.

use std::sync::Arc;

use strongroom::testing::RecordingBackend;
use strongroom::{
    CreateSecretRequest, Durability, ErrorKind, GetSecretValueRequest, ImportOptions, KeyOptions, LocalKeyring,
    PutSecretValueRequest, SecretStore,
};

use crate::fixture::{World, home};

fn versions_under(store: &SecretStore, arn: &str) -> (u64, bool) {
    let census = store.key_census(&mut |_| {}).unwrap();
    let found: Vec<_> = census.keys.iter().filter(|usage| usage.key.key_arn == arn).collect();
    (found.iter().map(|usage| usage.versions).sum(), found.iter().any(|usage| usage.opens_store))
}

#[test]
fn a_recipient_is_replaced_everywhere() {
    let (world, keyring) = World::with_keyring();
    let [main, old, new] = [(); 3].map(|()| keyring.create_key(home()).unwrap());
    world.create("a", &main).unwrap();
    world.store.add_recipient(&old, &mut |_| {}).unwrap();
    let report = world.store.rewrap(&KeyOptions::new().replace_key(&old, &new), &mut |_| {}).unwrap();
    assert_eq!(report.problems_total, 0, "{:?}", report.problems);
    assert_eq!(world.store.recipients(), [new.as_str()]);
    assert_eq!((versions_under(&world.store, &new), versions_under(&world.store, &old)), ((1, true), (0, false)));
}

#[test]
fn a_recipient_that_is_lost_is_replaced_everywhere() {
    let (world, keyring) = World::with_keyring();
    let [main, old, new] = [(); 3].map(|()| keyring.create_key(home()).unwrap());
    world.create("a", &main).unwrap();
    world.store.add_recipient(&old, &mut |_| {}).unwrap();
    keyring.schedule_key_deletion(&old).unwrap();
    let report = world.store.rewrap(&KeyOptions::new().replace_key(&old, &new), &mut |_| {}).unwrap();
    assert_eq!(report.problems_total, 0, "{:?}", report.problems);
    assert_eq!(world.store.recipients(), [new.as_str()]);
    world.put("a", 2, &[]).unwrap();
}

/// The store was opened with an alias for its root key, and the key is named by its ARN.
#[test]
fn the_root_key_leaves_a_key_that_is_replaced_however_the_builder_names_it() {
    let keyring = Arc::new(LocalKeyring::in_memory());
    let [old, new] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/root", &old).unwrap();
    let store = SecretStore::in_memory().key_provider(Arc::clone(&keyring)).root_key_id("alias/root").open().unwrap();
    let report = store.rewrap(&KeyOptions::new().replace_key(&old, &new), &mut |_| {}).unwrap();
    assert_eq!((report.problems_total, report.root_rewrapped), (0, true));
    assert_eq!(versions_under(&store, &old), (0, false));
}

#[test]
fn a_secret_without_a_value_is_not_given_a_key_that_does_not_exist() {
    let (world, keyring) = World::with_keyring();
    let old = keyring.create_key(home()).unwrap();
    world.secrets.create_secret(CreateSecretRequest::new("empty").kms_key_id(&old)).unwrap();
    let options = KeyOptions::new().replace_key(&old, "alias/nowhere");
    let report = world.store.rewrap(&options, &mut |_| {}).unwrap();
    let now = world.describe("empty").kms_key_id;
    assert!(report.problems_total > 0 || now.as_deref() == Some(&old), "{now:?}, {report:?}");
}

#[test]
fn options_that_are_refused_change_nothing() {
    let keyring = Arc::new(LocalKeyring::in_memory());
    let key = keyring.create_key(home()).unwrap();
    let store = SecretStore::in_memory().key_provider(Arc::clone(&keyring)).root_key_id(&key).open().unwrap();
    keyring.rotate_key(&key).unwrap();
    let before = store.key_census(&mut |_| {}).unwrap();
    let error = store.rewrap(&KeyOptions::new().only("nonsense", "us-east-1"), &mut |_| {}).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    assert_eq!(store.key_census(&mut |_| {}).unwrap(), before);
}

/// The import has found the key of its secrets before the alias led to another one.
#[test]
fn what_is_imported_after_everything_was_wrapped_anew_is_under_the_new_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("export");
    let (world, keyring) = World::with_keyring();
    let [old, new] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/app", &old).unwrap();
    for number in 0..200 {
        world.create(&format!("s/{number:03}"), "alias/app").unwrap();
    }
    world
        .store
        .export(&file, &strongroom::StaticKey::new([3; 32]), &strongroom::ExportOptions::new(), &mut |_| {})
        .unwrap();
    let store = SecretStore::in_memory().key_provider(keyring.clone()).open().unwrap();
    let mut rewrapped = None;
    store
        .import(&file, &strongroom::StaticKey::new([3; 32]), &ImportOptions::new(), &mut |progress| {
            if progress.step == "importing secrets" && progress.done == 50 {
                keyring.create_alias("alias/app", &new).unwrap();
                rewrapped = Some(store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap());
            }
        })
        .unwrap();
    let report = rewrapped.expect("progress was told in between");
    assert_eq!(report.problems_total, 0);
    assert_eq!(versions_under(&store, &old).0, 0, "{report:?}");
}

#[test]
fn what_was_wrapped_anew_stays_so_after_a_power_cut_under_eventual_durability() {
    let backend = RecordingBackend::new();
    let keyring = Arc::new(LocalKeyring::in_memory());
    let [root, old, new] = [(); 3].map(|()| keyring.create_key(home()).unwrap());
    let store = SecretStore::with_backend(backend.clone())
        .key_provider(Arc::clone(&keyring))
        .root_key_id(&root)
        .durability(Durability::Eventual)
        .open()
        .unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("1").kms_key_id(&old)).unwrap();
    secrets.put_secret_value(PutSecretValueRequest::new("a", "2")).unwrap();
    store.flush().unwrap();
    let report = store.rewrap(&KeyOptions::new().replace_key(&old, &new), &mut |_| {}).unwrap();
    assert_eq!((report.rewrapped_versions, report.problems_total), (2, 0));
    // The report says that nothing is under the old key any more.
    keyring.schedule_key_deletion(&old).unwrap();
    let after = backend.image(backend.durable_commits()).unwrap();
    let store = SecretStore::with_backend(after).key_provider(keyring).open().unwrap();
    store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("a")).unwrap();
}
