//! Outages behind a recipient, callbacks that call back, page tokens and large secrets.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use strongroom::testing::FaultyProvider;
use strongroom::{
    CreateSecretRequest, ErrorKind, GetSecretValueRequest, KeyError, KeyOptions, ListSecretsRequest, LocalKeyring,
    MemoryBackend, PutSecretValueRequest, RouterProvider, SecretStore, StaticKey, UpdateSecretRequest, VerifyOptions,
};

use crate::fixture::home;

struct Two {
    keyring: LocalKeyring,
    main: String,
    recovery: FaultyProvider,
    backend: MemoryBackend,
}

impl Two {
    fn new() -> Self {
        let keyring = LocalKeyring::in_memory();
        let main = keyring.create_key(home()).unwrap();
        let recovery = FaultyProvider::new(StaticKey::with_id("safe", [9; 32]).unwrap(), 1);
        Self { keyring, main, recovery, backend: MemoryBackend::new() }
    }

    fn open(&self) -> strongroom::Result<SecretStore> {
        let router = RouterProvider::new(self.keyring.clone()).route("recovery*", self.recovery.clone());
        SecretStore::with_backend(self.backend.clone()).key_provider(router).root_key_id(&self.main).open()
    }

    fn with_one_secret(&self) -> SecretStore {
        let store = self.open().unwrap();
        let create = CreateSecretRequest::new("a").secret_string("1").kms_key_id(&self.main);
        store.default_secrets_manager().create_secret(create).unwrap();
        store.add_recipient("recovery", &mut |_| {}).unwrap();
        store
    }

    fn lose_main_and_reach_nobody(&self) {
        self.keyring.schedule_key_deletion(&self.main).unwrap();
        self.recovery.fail_with(Some(KeyError::Unavailable));
    }
}

fn is_outage(error: &strongroom::Error) -> bool {
    matches!(error.kind(), ErrorKind::KeyProviderOutage(_))
}

#[test]
fn a_value_that_a_recipient_may_open_later_is_not_called_lost() {
    let two = Two::new();
    let store = two.with_one_secret();
    two.lose_main_and_reach_nobody();
    let error = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("a")).unwrap_err();
    assert!(is_outage(&error), "{error:?}");
}

#[test]
fn a_store_that_a_recipient_may_open_later_is_not_of_a_wrong_key() {
    let two = Two::new();
    two.with_one_secret().close().unwrap();
    two.lose_main_and_reach_nobody();
    let error = two.open().unwrap_err();
    assert!(is_outage(&error), "{error:?}");
}

#[test]
fn another_key_passes_over_no_version_because_its_recipient_is_down() {
    let two = Two::new();
    let store = two.with_one_secret();
    let new = two.keyring.create_key(home()).unwrap();
    two.lose_main_and_reach_nobody();
    let update = UpdateSecretRequest::new("a").kms_key_id(&new);
    let updated = store.default_secrets_manager().update_secret(update);
    assert!(updated.as_ref().is_err_and(is_outage), "{updated:?}");
}

#[test]
fn a_rewrap_that_meets_an_outage_ends_with_it() {
    let two = Two::new();
    let store = two.with_one_secret();
    let new = two.keyring.create_key(home()).unwrap();
    two.keyring.schedule_key_deletion(&two.main).unwrap();
    store.drop_wraps("nobody", &KeyOptions::new(), &mut |_| {}).unwrap();
    // Wrapping works, and unwrapping does not.
    two.recovery.hold("never");
    two.recovery.fail_with(Some(KeyError::Unavailable));
    let rewrapped = store.reencrypt(&KeyOptions::new(), &mut |_| {});
    assert!(rewrapped.is_err() || rewrapped.as_ref().unwrap().problems_total > 0, "{rewrapped:?}");
    let dropped = store.drop_wraps(&two.main, &KeyOptions::new(), &mut |_| {});
    assert!(dropped.as_ref().is_err_and(is_outage), "{dropped:?} {new}");
}

/// Whether something comes to its end. What does not is left behind.
fn ends(work: impl FnOnce() + Send + 'static) -> bool {
    let (done, is_done) = channel();
    thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(10)).is_ok()
}

fn filled(count: usize) -> Arc<SecretStore> {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    for number in 0..count {
        let create = CreateSecretRequest::new(format!("s/{number:04}")).secret_string("1");
        store.default_secrets_manager().create_secret(create).unwrap();
    }
    Arc::new(store)
}

#[test]
fn keys_may_be_counted_while_the_root_key_is_changed() {
    let store = filled(10);
    assert!(ends(move || {
        let inner = Arc::clone(&store);
        let _ = store.rotate_root_key(&mut |_| {
            let _ = inner.key_census(&mut |_| {});
        });
    }));
}

#[test]
fn a_recipient_may_be_added_while_a_backup_tells_its_progress() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    let store = filled(10);
    assert!(ends(move || {
        let inner = Arc::clone(&store);
        let mut is_first = true;
        let _ = store.backup(&file, &mut |_| {
            if std::mem::take(&mut is_first) {
                let _ = inner.add_recipient("alias/recovery", &mut |_| {});
            }
        });
    }));
}

#[test]
fn page_tokens_are_honoured_until_the_store_is_closed() {
    for rotations in 1..4 {
        let store = filled(10);
        let secrets = store.default_secrets_manager();
        let first = secrets.list_secrets(ListSecretsRequest::new().max_results(3)).unwrap();
        for _ in 0..rotations {
            store.rotate_root_key(&mut |_| {}).unwrap();
        }
        let request = ListSecretsRequest::new().max_results(3).next_token(first.next_token.unwrap());
        let next = secrets.list_secrets(request);
        assert!(next.is_ok(), "after {rotations}: {:?}", next.unwrap_err());
    }
}

#[test]
fn a_recipient_that_is_the_key_of_the_store_too_can_cease_to_be_one() {
    let keyring = LocalKeyring::in_memory();
    let main = keyring.create_key(home()).unwrap();
    let store = SecretStore::in_memory().key_provider(keyring.clone()).root_key_id(&main).open().unwrap();
    store.add_recipient(&main, &mut |_| {}).unwrap();
    let dropped = store.drop_wraps(&main, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert!(store.recipients().is_empty(), "{dropped:?}");
}

/// One secret whose record has hardly any room left.
#[test]
fn a_secret_without_room_for_another_wrap_is_a_problem_and_no_end_of_it_all() {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    let key = "k".repeat(2_000);
    secrets.create_secret(CreateSecretRequest::new("a").kms_key_id(&key).secret_string("1")).unwrap();
    let mut count = 0;
    for number in 0..99 {
        let put = PutSecretValueRequest::new("a", number.to_string());
        if secrets.put_secret_value(put).is_err() {
            break;
        }
        count += 1;
    }
    secrets.create_secret(CreateSecretRequest::new("b").secret_string("1")).unwrap();
    let added = store.add_recipient("alias/recovery-of-this-store", &mut |_| {});
    let census = store.key_census(&mut |_| {}).unwrap();
    assert!(added.is_ok(), "with {count} versions: {:?}; {census:?}", added.unwrap_err());
}

#[test]
fn large_secrets_go_through_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let store = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    let value = "x".repeat(65_536);
    for name in ["a", "b"] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string(value.as_str())).unwrap();
        for number in 0..19 {
            let put = PutSecretValueRequest::new(name, value.as_str()).version_stages([format!("L{number}")]);
            secrets.put_secret_value(put).unwrap();
        }
    }
    store.rotate_root_key(&mut |_| {}).unwrap();
    store.add_recipient("alias/recovery", &mut |_| {}).unwrap();
    store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    let report = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}
