//! Every provider that is shipped, alone and combined, against the suites for implementers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom::testing::{
    FaultyProvider, RecordingProvider, key_provider_conformance, key_provider_state_conformance,
};
use strongroom::{
    Call, DataKey, DataKeyCache, EncryptionContext, KeyError, KeyFileProvider, KeyHandle, KeyProvider, KeyRef,
    KeyScope, KeyState, LocalKeyring, PassphraseProvider, RouterProvider, StaticKey, TimeoutProvider, WrappedKey,
};

use crate::doubles::{PATIENCE, Scripted};
use crate::fixture::home;

/// Every provider that has a default key, by what it is.
fn shipped(directory: &Path) -> Vec<(&'static str, Arc<dyn KeyProvider>)> {
    let file = || KeyFileProvider::open_or_create(directory.join("key")).unwrap();
    let passphrase = || PassphraseProvider::cheap_for_tests("correct horse").unwrap();
    let ring = LocalKeyring::in_memory;
    let named = |id: &str| StaticKey::with_id(id, [8; 32]).unwrap();
    vec![
        ("static key", Arc::new(StaticKey::new([7; 32]))),
        ("named static key", Arc::new(named("2026"))),
        ("keyring in memory", Arc::new(ring())),
        ("keyring in a file", Arc::new(LocalKeyring::open_or_create(directory.join("ring")).unwrap())),
        ("key file", Arc::new(file())),
        ("passphrase", Arc::new(passphrase())),
        ("router", Arc::new(RouterProvider::new(ring()))),
        (
            "router over all",
            Arc::new(
                RouterProvider::new(passphrase())
                    .route("alias/a*", named("a"))
                    .route("alias/aws/secretsmanager", ring())
                    .route("alias/c*", file())
                    .also(named("b"))
                    .also(StaticKey::new([7; 32])),
            ),
        ),
        ("timeout", Arc::new(TimeoutProvider::new(ring(), PATIENCE))),
        ("timeout with one thread", Arc::new(TimeoutProvider::new(StaticKey::new([7; 32]), PATIENCE).threads(1))),
        ("cache", Arc::new(DataKeyCache::new(ring()))),
        ("small cache", Arc::new(DataKeyCache::new(StaticKey::new([7; 32])).entries(1).uses(1))),
        ("cache that is off", Arc::new(DataKeyCache::new(passphrase()).max_age(Duration::ZERO))),
        ("recorded", Arc::new(RecordingProvider::new(ring()))),
        ("faulty", Arc::new(FaultyProvider::new(file(), 1))),
        ("shared", Arc::new(Arc::new(Arc::new(StaticKey::new([7; 32]))))),
        (
            "everything over everything",
            Arc::new(DataKeyCache::new(TimeoutProvider::new(
                RouterProvider::new(RecordingProvider::new(ring())).also(DataKeyCache::new(named("b"))),
                PATIENCE,
            ))),
        ),
    ]
}

#[test]
fn every_shipped_provider_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let providers = shipped(directory.path());
    for (what, provider) in &providers {
        let kept = catch_unwind(AssertUnwindSafe(|| key_provider_conformance(provider, None)));
        assert!(kept.is_ok(), "{what}: {:?}", kept.unwrap_err().downcast_ref::<String>());
    }
    eprintln!("{} providers keep the contract", providers.len());
}

/// Providers that take any name keep it under any name.
#[test]
fn every_name_of_a_key_is_as_good_as_any() {
    let key = || StaticKey::new([7; 32]);
    let providers: [Box<dyn KeyProvider>; 4] = [
        Box::new(RouterProvider::new(key()).route("alias/*", StaticKey::with_id("b", [8; 32]).unwrap())),
        Box::new(TimeoutProvider::new(key(), PATIENCE)),
        Box::new(DataKeyCache::new(key())),
        Box::new(RecordingProvider::new(key())),
    ];
    for provider in &providers {
        for name in ["alias/x", "1234", "arn:aws:kms:us-east-1:000000000000:key/1"] {
            key_provider_conformance(&**provider, Some(name));
        }
    }
}

/// Each state with each operation, for the states that a keyring has.
#[test]
fn every_state_of_a_keyring_counts_through_whatever_is_put_over_it() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(home()).unwrap();
    let set_state = |state| match state {
        KeyState::Enabled => {
            // Fails where nothing is scheduled, which is as good.
            let _ = keyring.cancel_key_deletion(&key);
            keyring.enable_key(&key).is_ok()
        }
        KeyState::Disabled => keyring.disable_key(&key).is_ok(),
        KeyState::PendingDeletion => keyring.schedule_key_deletion(&key).is_ok(),
        _ => false,
    };
    key_provider_state_conformance(&keyring, &key, set_state);
    for (_, provider) in over(keyring.clone()) {
        key_provider_state_conformance(&*provider, &key, set_state);
    }
}

/// And all of them.
#[test]
fn every_state_of_a_key_counts_through_whatever_is_put_over_it() {
    let keys = Scripted::new("scripted", 7);
    let set_state = |state| {
        keys.set_state(state);
        true
    };
    key_provider_state_conformance(&keys, "alias/x", set_state);
    for (_, provider) in over(keys.clone()) {
        key_provider_state_conformance(&*provider, "alias/x", set_state);
    }
}

/// What can be put over a provider without changing what a state means. A cache can only while it remembers nothing.
fn over(keys: impl KeyProvider + Clone + 'static) -> Vec<(&'static str, Box<dyn KeyProvider>)> {
    vec![
        ("router", Box::new(RouterProvider::new(keys.clone()))),
        ("route", Box::new(RouterProvider::new(Scripted::new("default", 1)).route("a*", keys.clone()))),
        ("timeout", Box::new(TimeoutProvider::new(keys.clone(), PATIENCE))),
        ("cache", Box::new(DataKeyCache::new(keys.clone()).max_age(Duration::ZERO))),
        ("recorded", Box::new(RecordingProvider::new(keys.clone()))),
        ("shared", Box::new(Arc::new(keys))),
    ]
}

/// The suite notices a provider whose states do not count.
#[test]
fn the_suite_rejects_a_provider_whose_states_do_not_count() {
    let keys = Scripted::new("scripted", 7);
    let set_state = |state| {
        keys.set_state(state);
        true
    };
    let rejects = |provider: &dyn KeyProvider, set_state: &dyn Fn(KeyState) -> bool| {
        let outcome = catch_unwind(AssertUnwindSafe(|| key_provider_state_conformance(provider, "alias/x", set_state)));
        *outcome.unwrap_err().downcast::<String>().unwrap()
    };
    assert_eq!(rejects(&keys, &|_| true), "Disabled: the state is told");
    assert_eq!(rejects(&keys, &|_| false), "the key can be enabled");
    // A cache answers for a key that is disabled, if somebody read beforehand.
    let cached = DataKeyCache::new(keys.clone());
    key_provider_state_conformance(&cached.clone().max_age(Duration::ZERO), "alias/x", set_state);
    let said = rejects(&Remembering(cached), &set_state);
    assert_eq!(said, "Disabled: nothing is unwrapped");
}

/// Unwraps whatever it makes, so that a cache behind it knows it.
#[derive(Debug)]
struct Remembering(DataKeyCache);

impl KeyProvider for Remembering {
    fn id(&self) -> &str {
        self.0.id()
    }
    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.0.resolve(scope, key, call)
    }
    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let wrapped = self.0.wrap(key, data_key, context, call)?;
        self.0.unwrap(&wrapped, context, call)?;
        Ok(wrapped)
    }
    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.0.unwrap(wrapped, context, call)
    }
}
