//! Recipients and the limits of a version, interrupted changes in copies, and empty names.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use strongroom::testing::FaultyBackend;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, KeyOptions, LocalKeyring, MemoryBackend,
    SecretStore, StaticKey, VerifyOptions,
};

use crate::fixture::{World, home};

#[test]
fn a_secret_changes_its_key_beside_every_recipient_that_was_accepted() {
    let (world, keyring) = World::with_keyring();
    let main = keyring.create_key(home()).unwrap();
    world.create("a", &main).unwrap();
    for number in 0..7 {
        let recovery = keyring.create_key(home()).unwrap();
        let Ok(report) = world.store.add_recipient(&recovery, &mut |_| {}) else { break };
        assert_eq!(report.problems_total, 0);
        let next = keyring.create_key(home()).unwrap();
        world.create(&format!("b/{number}"), &main).unwrap();
        world.change_key(&format!("b/{number}"), &next).unwrap_or_else(|error| panic!("{number}: {error:?}"));
    }
}

/// Keys that secrets have had before take the place that a recipient needs.
#[test]
fn a_version_that_has_had_many_keys_is_wrapped_for_recovery() {
    let (world, keyring) = World::with_keyring();
    let keys: Vec<_> = (0..10).map(|_| keyring.create_key(home()).unwrap()).collect();
    world.create("a", &keys[0]).unwrap();
    for key in &keys[1..9] {
        world.change_key("a", key).unwrap();
    }
    let report = world.store.add_recipient(&keys[9], &mut |_| {}).unwrap();
    assert_eq!(report.problems_total, 0, "{:?}", report.problems);
}

#[test]
fn an_empty_name_is_no_key() {
    let (world, keyring) = World::with_keyring();
    world.create("a", "").unwrap();
    let recovery = keyring.create_key(home()).unwrap();
    world.store.add_recipient(&recovery, &mut |_| {}).unwrap();
    let dropped = world.store.drop_wraps("", &KeyOptions::new(), &mut |_| {});
    assert!(dropped.is_err(), "{dropped:?}");
}

fn interrupted(path: &Path, count: usize, stop_at: usize) {
    let store = SecretStore::builder(path).key_provider(StaticKey::new([7; 32])).open().unwrap();
    for number in 0..count {
        let create = CreateSecretRequest::new(format!("s/{number:04}")).secret_string("1");
        store.default_secrets_manager().create_secret(create).unwrap();
    }
    store.add_recipient("alias/recovery", &mut |_| {}).unwrap();
    let mut calls = 0;
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _ = store.rotate_root_key(&mut |_| {
            assert!(calls < stop_at, "stopped");
            calls += 1;
        });
    }));
}

fn assert_whole(store: &SecretStore, count: usize) {
    let secrets = store.default_secrets_manager();
    for number in 0..count {
        secrets.get_secret_value(GetSecretValueRequest::new(format!("s/{number:04}"))).unwrap();
    }
    assert_eq!(store.recipients(), ["alias/recovery"]);
    let report = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    store.rotate_root_key(&mut |_| {}).unwrap();
    let report = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn an_interrupted_change_of_the_root_key_survives_every_copy() {
    for stop_at in [0, 1, 2, 4, 7] {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let key = || StaticKey::new([7; 32]);
        interrupted(&at("vault"), 200, stop_at);
        let (salvaged, report) =
            SecretStore::builder(at("salvaged")).key_provider(key()).salvage(at("vault"), None, &mut |_| {}).unwrap();
        assert!(report.is_whole, "{stop_at}: {report:?}");
        assert_whole(&salvaged, 200);
        SecretStore::builder(at("vault")).key_provider(key()).compact(&mut |_| {}).unwrap();
        let store = SecretStore::builder(at("vault")).key_provider(key()).open().unwrap();
        store.backup(at("backup"), &mut |_| {}).unwrap();
        let restored =
            SecretStore::builder(at("restored")).key_provider(key()).restore(at("backup"), &mut |_| {}).unwrap();
        assert_whole(&restored, 200);
        store.default_secrets_manager().delete_secret(DeleteSecretRequest::new("s/0001")).unwrap();
        store.default_secrets_manager().restore_secret(strongroom::RestoreSecretRequest::new("s/0001")).unwrap();
        assert_whole(&store, 200);
    }
}

/// Every commit fails once, and the data is opened again.
#[test]
fn a_failed_commit_at_any_point_of_any_operation_loses_nothing() {
    let keyring = Arc::new(LocalKeyring::in_memory());
    let [main, other] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    let mut failures = 0;
    for operation in 0..4 {
        for after in 0..40 {
            let memory = MemoryBackend::new();
            let open = |backend: FaultyBackend| {
                SecretStore::with_backend(backend).key_provider(Arc::clone(&keyring)).root_key_id(&main).open().unwrap()
            };
            let store = open(FaultyBackend::new(memory.clone()));
            for number in 0..70 {
                let create = CreateSecretRequest::new(format!("s/{number:04}")).secret_string("1").kms_key_id(&main);
                store.default_secrets_manager().create_secret(create).unwrap();
            }
            store.close().unwrap();
            let backend = FaultyBackend::new(memory.clone());
            let store = open(backend.clone());
            keyring.rotate_key(&main).unwrap();
            backend.fail_commit(after);
            let run = |store: &SecretStore| match operation {
                0 => store.rotate_root_key(&mut |_| {}).map(drop),
                1 => store.rewrap(&KeyOptions::new(), &mut |_| {}).map(drop),
                2 => store.add_recipient(&other, &mut |_| {}).map(drop),
                _ => store.reencrypt(&KeyOptions::new(), &mut |_| {}).map(drop),
            };
            let told = run(&store);
            let _ = store.close();
            let store = open(FaultyBackend::new(memory));
            for number in 0..70 {
                let name = format!("s/{number:04}");
                store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name)).unwrap();
            }
            run(&store).unwrap();
            let report = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
            assert!(report.is_clean(), "{operation} {after} {:?}", report.findings);
            if told.is_ok() {
                break;
            }
            failures += 1;
        }
    }
    eprintln!("{failures} failed commits");
    assert!(failures > 10);
}
