//! Keys that open everything besides each secret's own, and wraps that are given up.

use strongroom::testing::RecordingBackend;
use strongroom::{
    DeleteSecretRequest, ErrorKind, GetSecretValueRequest, KeyCensus, KeyFaultReason, KeyOperation, KeyOptions,
    LocalKeyring, PutSecretValueRequest, RouterProvider, SecretStore, StaticKey, VerifyOptions,
};

use crate::fixture::{World, home, id, key_failure};

fn census(store: &SecretStore) -> KeyCensus {
    store.key_census(&mut |_| {}).unwrap()
}

/// Versions under a key, and whether it opens the store.
fn under(store: &SecretStore, arn: &str) -> (u64, bool) {
    let found: Vec<_> = census(store).keys.into_iter().filter(|usage| usage.key.key_arn == arn).collect();
    (found.iter().map(|usage| usage.versions).sum(), found.iter().any(|usage| usage.opens_store))
}

fn assert_clean(store: &SecretStore) {
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

/// The drill: the main key is lost, the recovery key opens everything, and a new main key takes over.
#[test]
fn a_recovery_key_opens_everything_when_the_main_key_is_lost_and_a_new_one_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = LocalKeyring::in_memory();
    let [main, recovery] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    let open = || SecretStore::builder(&path).key_provider(keyring.clone()).root_key_id(&main).open();
    let store = open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = |name: &str| {
        let request = strongroom::CreateSecretRequest::new(name).secret_string(format!("value of {name}"));
        secrets.create_secret(request.kms_key_id(&main).client_request_token(id(1))).map(drop)
    };
    let names: Vec<String> = (0..100).map(|number| format!("before/{number}")).collect();
    names.iter().for_each(|name| create(name).unwrap());
    secrets.delete_secret(DeleteSecretRequest::new("before/1")).unwrap();
    let report = store.add_recipient(&recovery, &mut |_| {}).unwrap();
    assert_eq!((report.versions, report.rewrapped_versions, report.root_rewrapped), (100, 100, true));
    create("after").unwrap();
    secrets.put_secret_value(PutSecretValueRequest::new("after", "second")).unwrap();
    assert_eq!(under(&store, &recovery), (102, true));
    assert_eq!(under(&store, &main), (102, true));
    store.close().unwrap();

    // Lost.
    keyring.schedule_key_deletion(&main).unwrap();
    let store = open().unwrap();
    assert_eq!(store.recipients(), [recovery.as_str()]);
    let secrets = store.default_secrets_manager();
    let read = |name: &str| {
        let read = secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        read.secret_string.unwrap().expose().to_owned()
    };
    assert_eq!((read("before/7"), read("after")), ("value of before/7".to_owned(), "second".to_owned()));
    let put = secrets.put_secret_value(PutSecretValueRequest::new("after", "third"));
    key_failure(put, "EncryptionFailure", &main, KeyFaultReason::PendingDeletion, KeyOperation::Wrap);

    // A new main key.
    let new = keyring.create_key(home()).unwrap();
    let report = store.rewrap(&KeyOptions::new().replace_key(&main, &new), &mut |_| {}).unwrap();
    assert_eq!((report.versions, report.rewrapped_versions, report.problems_total), (102, 102, 0));
    assert_eq!((under(&store, &new), under(&store, &main)), ((102, true), (0, false)));
    secrets.put_secret_value(PutSecretValueRequest::new("after", "third")).unwrap();
    assert_eq!(under(&store, &new).0, 103);
    let dropped = store.drop_wraps(&recovery, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((dropped.versions, dropped.root_dropped, dropped.problems_total), (103, true, 0));
    assert_eq!((under(&store, &recovery), store.recipients().len()), ((0, false), 0));
    keyring.schedule_key_deletion(&recovery).unwrap();
    assert_eq!((read("before/99"), read("after")), ("value of before/99".to_owned(), "third".to_owned()));
    assert_clean(&store);
    store.close().unwrap();
    assert_clean(&open().unwrap());
}

/// The drill with a key that is really gone, and all that was made with it.
#[test]
fn a_recovery_key_alone_opens_a_store_whose_provider_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let key = |id: &str, byte| StaticKey::with_id(id, [byte; 32]).unwrap();
    let with_recovery = |main: StaticKey| RouterProvider::new(main).route("recovery*", key("safe", 9));
    let open = |provider: RouterProvider| SecretStore::builder(&path).key_provider(provider).open();
    let value = |store: &SecretStore, name: &str| {
        let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name))?;
        Ok::<_, strongroom::Error>(read.secret_string.unwrap().expose().to_owned())
    };
    let create = |store: &SecretStore, name: &str| {
        let request = strongroom::CreateSecretRequest::new(name).secret_string(name).kms_key_id("alias/app");
        store.default_secrets_manager().create_secret(request).unwrap();
    };
    let store = open(with_recovery(key("2025", 1))).unwrap();
    create(&store, "before");
    store.add_recipient("recovery-2025", &mut |_| {}).unwrap();
    create(&store, "after");
    store.close().unwrap();

    // The main key is gone; another one of the same name takes its place.
    let lost = open(RouterProvider::new(key("2026", 2))).unwrap_err();
    assert!(matches!(lost.kind(), ErrorKind::WrongKey(fault) if fault.reason == KeyFaultReason::NotFound), "{lost}");
    let store = open(with_recovery(key("2026", 2))).unwrap();
    assert_eq!((value(&store, "before").unwrap(), value(&store, "after").unwrap()), ("before".into(), "after".into()));
    let report = store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((report.rewrapped_versions, report.root_rewrapped, report.problems_total), (2, true, 0));
    let census = census(&store);
    assert!(census.keys.iter().all(|usage| usage.key.key_version != "2025"), "{census:?}");
    store.close().unwrap();

    // The recovery key goes back into its safe.
    let store = SecretStore::builder(&path).key_provider(key("2026", 2)).open().unwrap();
    assert_eq!(value(&store, "before").unwrap(), "before");
    assert_clean(&store);
}

/// Providers with a single key take every name for it.
#[test]
fn nobody_wraps_for_a_recipient_in_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let key = |id: &str, byte| StaticKey::with_id(id, [byte; 32]).unwrap();
    let with_recovery = |recovery| RouterProvider::new(key("main", 1)).route("recovery*", recovery);
    let create = |store: &SecretStore, name: &str| {
        let request = strongroom::CreateSecretRequest::new(name).secret_string(name);
        store.default_secrets_manager().create_secret(request)
    };
    let open = |provider: RouterProvider| SecretStore::builder(&path).key_provider(provider).open().unwrap();
    let store = open(with_recovery(key("safe", 9)));
    create(&store, "before").unwrap();
    store.add_recipient("recovery", &mut |_| {}).unwrap();
    create(&store, "first").unwrap();
    store.close().unwrap();
    for (number, provider) in
        [RouterProvider::new(key("main", 1)), with_recovery(key("other", 9))].into_iter().enumerate()
    {
        let store = open(provider);
        let error = create(&store, "second").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::KeyAccessDenied(fault) if fault.reason == KeyFaultReason::NotFound));
        let report = store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
        assert!(report.problems_total >= 2 && report.rewrapped_versions == 0, "{number}: {report:?}");
        store.close().unwrap();
    }
    let store = open(with_recovery(key("safe", 9)));
    create(&store, "second").unwrap();
    let report = store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((report.rewrapped_versions, report.problems_total), (0, 0));
    assert_clean(&store);
}

#[test]
fn clients_are_shown_the_keys_of_their_secrets_and_no_recovery_key() {
    let (world, keyring) = World::with_keyring();
    let recovery = keyring.create_key(home()).unwrap();
    let customer = keyring.create_key(home()).unwrap();
    world.create("s", "").unwrap();
    world.store.add_recipient(&recovery, &mut |_| {}).unwrap();
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.version_keys("s"), [["DefaultEncryptionKey"], ["DefaultEncryptionKey"]]);
    world.change_key("s", &customer).unwrap();
    assert!(world.version_keys("s").iter().all(|keys| *keys == ["DefaultEncryptionKey", &customer]));
    // The recovery key may be the key of a secret as well.
    world.change_key("s", &recovery).unwrap();
    assert!(world.version_keys("s").iter().all(|keys| keys.last() == Some(&recovery)));
    assert_eq!(world.describe("s").kms_key_id.as_deref(), Some(recovery.as_str()));
    keyring.disable_key(&customer).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
}

#[test]
fn a_value_is_not_stored_while_it_cannot_be_wrapped_for_recovery() {
    let (world, keyring) = World::with_keyring();
    let recovery = keyring.create_key(home()).unwrap();
    world.create("s", "").unwrap();
    world.store.add_recipient(&recovery, &mut |_| {}).unwrap();
    keyring.disable_key(&recovery).unwrap();
    let put = world.put("s", 2, &[]);
    key_failure(put, "EncryptionFailure", &recovery, KeyFaultReason::Disabled, KeyOperation::Wrap);
    assert_eq!(world.read("s").unwrap(), "1");
    keyring.enable_key(&recovery).unwrap();
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
}

#[test]
fn a_key_that_cannot_be_used_becomes_no_recipient() {
    let (world, keyring) = World::with_keyring();
    let disabled = keyring.create_key(home()).unwrap();
    keyring.disable_key(&disabled).unwrap();
    world.create("s", "").unwrap();
    for (key, reason) in [("alias/none", KeyFaultReason::NotFound), (&disabled, KeyFaultReason::Disabled)] {
        let error = world.store.add_recipient(key, &mut |_| {}).unwrap_err();
        let (ErrorKind::KeyAccessDenied(fault) | ErrorKind::EncryptionFailure(fault)) = error.kind() else {
            panic!("{error}")
        };
        assert_eq!((fault.key.as_str(), fault.reason), (key, reason));
        assert_eq!(world.store.recipients().len(), 0);
    }
    assert_clean(&world.store);
}

#[test]
fn the_last_wrap_of_anything_is_kept() {
    let (world, keyring) = World::with_keyring();
    let [a, b] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    world.create("both", &a).unwrap();
    world.change_key("both", &b).unwrap();
    world.create("one", &a).unwrap();
    let dry = world.store.drop_wraps(&a, &KeyOptions::new().dry_run(true), &mut |_| {}).unwrap();
    assert_eq!((dry.versions, dry.problems_total), (1, 1));
    assert_eq!(under(&world.store, &a).0, 2, "a rehearsal changes nothing");
    let report = world.store.drop_wraps(&a, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((report.secrets, report.versions, report.root_dropped), (2, 1, false));
    let [problem] = report.problems.as_slice() else { panic!("{report:?}") };
    assert!(problem.arn.contains(":one-") && problem.version_id == Some(id(1)), "{problem:?}");
    assert_eq!((under(&world.store, &a).0, under(&world.store, &b).0), (1, 1));
    // The key that alone opens the store.
    let default = keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
    let report = world.store.drop_wraps(&default, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert!(!report.root_dropped && report.problems_total == 1 && report.problems[0].version_id.is_none());
    assert_eq!((world.read("one").unwrap(), world.read("both").unwrap()), ("1".to_owned(), "1".to_owned()));
    assert_clean(&world.store);
}

#[test]
fn wraps_are_kept_if_what_would_be_left_does_not_open() {
    let (world, keyring) = World::with_keyring();
    let [a, b] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    world.create("s", &a).unwrap();
    world.change_key("s", &b).unwrap();
    keyring.disable_key(&b).unwrap();
    let report = world.store.drop_wraps(&a, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((report.versions, report.problems_total), (0, 1));
    assert!(matches!(report.problems[0].error.kind(), ErrorKind::DecryptionFailure(fault) if fault.key == b));
    assert_eq!(world.read("s").unwrap(), "1");
}

#[test]
fn a_recipient_is_still_one_after_a_restart_and_a_change_of_the_root_key() {
    let backend = RecordingBackend::new();
    let keyring = LocalKeyring::in_memory();
    let recovery = keyring.create_key(home()).unwrap();
    let store = SecretStore::with_backend(backend.clone()).key_provider(keyring.clone()).open().unwrap();
    store.add_recipient(&recovery, &mut |_| {}).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    drop(store);
    let image = backend.image(backend.commits()).unwrap();
    let store = SecretStore::with_backend(image).key_provider(keyring.clone()).open().unwrap();
    assert_eq!(store.recipients(), [recovery.as_str()]);
    let request = strongroom::CreateSecretRequest::new("s").secret_string("v");
    store.default_secrets_manager().create_secret(request).unwrap();
    assert_eq!(under(&store, &recovery), (1, true));
}
