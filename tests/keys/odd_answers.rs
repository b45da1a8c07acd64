//! Providers that answer oddly, once, and providers that are not the store's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom::{
    Call, CreateSecretRequest, DataKey, DataKeyCache, EncryptionContext, GetSecretValueRequest, KeyError, KeyHandle,
    KeyOptions, KeyProvider, KeyRef, KeyScope, LocalKeyring, PassphraseProvider, SecretStore, WrappedKey,
};

use crate::fixture::home;

/// A keyring that gives another key than was wrapped for the root key, when told to: once, or for ever.
#[derive(Debug)]
struct Odd {
    inner: LocalKeyring,
    is_armed: Arc<AtomicBool>,
}

impl KeyProvider for Odd {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let opened = self.inner.unwrap(wrapped, context, call)?;
        let is_root = context.pairs().iter().any(|(name, _)| *name == "strongroom:store");
        if is_root && self.is_armed.swap(false, Ordering::SeqCst) {
            return Ok(DataKey::from_slice(&[9; 32]).unwrap());
        }
        Ok(opened)
    }
}

/// `damage` is done to the store while the provider gives one wrong answer.
fn survives(operation: impl Fn(&SecretStore, &LocalKeyring, &str) -> strongroom::Result<()>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = LocalKeyring::in_memory();
    let main = keyring.create_key(home()).unwrap();
    let is_armed = Arc::new(AtomicBool::new(false));
    let open = || {
        let odd = Odd { inner: keyring.clone(), is_armed: Arc::clone(&is_armed) };
        SecretStore::builder(&path).key_provider(odd).root_key_id(&main).open()
    };
    let store = open().unwrap();
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("a").secret_string("1")).unwrap();
    is_armed.store(true, Ordering::SeqCst);
    let told = operation(&store, &keyring, &main);
    is_armed.store(false, Ordering::SeqCst);
    store.close().unwrap();
    let read = open()
        .and_then(|store| store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("a")).map(drop));
    assert!(read.is_ok(), "the operation said {told:?}; then: {:?}", read.unwrap_err());
}

#[test]
fn one_wrong_answer_during_a_rewrap_loses_nothing() {
    survives(|store, keyring, main| {
        keyring.rotate_key(main)?;
        store.rewrap(&KeyOptions::new(), &mut |_| {}).map(drop)
    });
}

#[test]
fn one_wrong_answer_while_the_root_key_begins_to_be_changed_loses_nothing() {
    survives(|store, _, _| {
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            store.rotate_root_key(&mut |_| panic!("the process ends here")).map(drop)
        }));
        stopped.unwrap_or(Ok(()))
    });
}

#[test]
fn a_recipient_that_was_accepted_opens_the_store_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let keyring = LocalKeyring::in_memory();
    let [main, recovery] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    let is_armed = Arc::new(AtomicBool::new(false));
    let odd = Odd { inner: keyring.clone(), is_armed: Arc::clone(&is_armed) };
    let store = SecretStore::builder(&path).key_provider(odd).root_key_id(&main).open().unwrap();
    is_armed.store(true, Ordering::SeqCst);
    let added = store.add_recipient(&recovery, &mut |_| {});
    store.close().unwrap();
    keyring.schedule_key_deletion(&main).unwrap();
    let opened = SecretStore::builder(&path).key_provider(keyring).open();
    assert!(added.is_err() || opened.is_ok(), "{added:?}, {:?}", opened.unwrap_err());
}

#[test]
fn a_changed_passphrase_of_another_provider_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let provider = |text: &str| PassphraseProvider::cheap_for_tests(text).unwrap();
    let store = SecretStore::builder(&path).key_provider(provider("old")).open().unwrap();
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("a").secret_string("1")).unwrap();
    let report = store.change_passphrase(&provider("old"), "new", &mut |_| {});
    store.close().unwrap();
    let by_old = SecretStore::builder(&path).key_provider(provider("old")).open();
    assert!(report.is_err() || by_old.is_err(), "{report:?}, and the old passphrase opens the store");
}

/// The key was destroyed a moment ago, and a cache does not know it.
#[test]
fn the_last_wrap_that_opens_is_kept_although_a_cache_remembers_others() {
    let keyring = LocalKeyring::in_memory();
    let [root, dead, alive] = [(); 3].map(|()| keyring.create_key(home()).unwrap());
    let store =
        SecretStore::in_memory().key_provider(DataKeyCache::new(keyring.clone())).root_key_id(&root).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("1").kms_key_id(&dead)).unwrap();
    store.add_recipient(&alive, &mut |_| {}).unwrap();
    secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    keyring.schedule_key_deletion(&dead).unwrap();
    let report = store.drop_wraps(&alive, &KeyOptions::new(), &mut |_| {}).unwrap();
    let census = store.key_census(&mut |_| {}).unwrap();
    let is_kept = census.keys.iter().any(|usage| usage.key.key_arn == alive && usage.versions == 1);
    assert!(is_kept, "{report:?}");
}
