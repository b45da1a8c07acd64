//! Key providers that break their contract: nothing wrong is stored, nothing wrong is served, nothing panics.

use std::sync::{Arc, Mutex};

use strongroom::{
    Call, CreateSecretRequest, DataKey, EncryptionContext, ErrorKind, KeyError, KeyFaultReason, KeyHandle, KeyProvider,
    KeyRef, KeyScope, LocalKeyring, Result, SecretStore, WRAPPED_KEY_BYTES_MAX, WrappedKey,
};

use crate::fixture::{World, fault, home};

/// What a provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Vice {
    None,
    /// Wrapped keys have so many bytes.
    BlobOf(usize),
    /// The ARN in a wrapped key has so many characters.
    ArnOf(usize),
    /// The provider's name in a wrapped key has so many characters.
    NameOf(usize),
    /// Wrapped keys are of another data key than the one that was asked for.
    WrapsAnother,
    /// Unwrapping gives another data key.
    UnwrapsAnother,
    /// `generate` returns one data key and wraps another.
    GeneratesAnother,
}

#[derive(Debug, Clone)]
struct Hostile {
    keyring: LocalKeyring,
    vice: Arc<Mutex<Vice>>,
}

impl Hostile {
    fn new() -> Self {
        Self { keyring: LocalKeyring::in_memory(), vice: Arc::new(Mutex::new(Vice::None)) }
    }

    fn turn(&self, vice: Vice) {
        *self.vice.lock().unwrap() = vice;
    }

    fn vice(&self) -> Vice {
        *self.vice.lock().unwrap()
    }
}

impl KeyProvider for Hostile {
    fn id(&self) -> &str {
        self.keyring.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.keyring.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let other = DataKey::from_slice(&[9; 32]).unwrap();
        let is_other = self.vice() == Vice::WrapsAnother;
        let good = self.keyring.wrap(key, if is_other { &other } else { data_key }, context, call)?;
        Ok(match self.vice() {
            Vice::BlobOf(bytes) => WrappedKey::new(good.provider, good.key_arn, good.key_version, vec![0; bytes]),
            Vice::ArnOf(count) => WrappedKey::new(good.provider, "a".repeat(count), good.key_version, good.blob),
            Vice::NameOf(count) => WrappedKey::new("n".repeat(count), good.key_arn, good.key_version, good.blob),
            _ => good,
        })
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let good = self.keyring.unwrap(wrapped, context, call)?;
        Ok(if self.vice() == Vice::UnwrapsAnother { DataKey::from_slice(&[9; 32]).unwrap() } else { good })
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        let data_key = DataKey::generate(call.entropy).map_err(|_| KeyError::Internal)?;
        let wrapped = self.wrap(key, &data_key, context, call)?;
        let other = DataKey::from_slice(&[8; 32]).unwrap();
        Ok((if self.vice() == Vice::GeneratesAnother { other } else { data_key }, wrapped))
    }
}

/// A wrapped key that is empty or longer than any provider may make it is refused, and nothing is stored.
#[test]
fn wrapped_keys_of_impossible_sizes_are_refused() {
    let provider = Hostile::new();
    let world = World::over(provider.clone());
    let other = provider.keyring.create_key(home()).unwrap();
    world.create("s", "").unwrap();
    let before = (world.describe("s"), world.store.stats().unwrap());
    for bytes in [0, WRAPPED_KEY_BYTES_MAX + 1, 100_000, 10_000_000] {
        provider.turn(Vice::BlobOf(bytes));
        for result in [world.put("s", 2, &[]), world.create("new", "").map(drop), world.change_key("s", &other)] {
            let (code, fault) = fault(result);
            assert_eq!((code, fault.reason), ("InternalServiceError", KeyFaultReason::Internal), "{bytes} bytes");
        }
        assert_eq!((world.describe("s"), world.store.stats().unwrap()), before, "{bytes} bytes");
    }
    provider.turn(Vice::None);
    assert_eq!(world.read("s").unwrap(), "1");
    world.put("s", 2, &[]).unwrap();
}

/// The largest wrapped key that a provider may make is kept and given back as it was.
#[test]
fn the_largest_wrapped_key_is_kept() {
    let provider = Hostile::new();
    let world = World::over(provider.clone());
    provider.turn(Vice::BlobOf(WRAPPED_KEY_BYTES_MAX));
    world.create("s", "").unwrap();
    // It is nonsense, so the value is lost; the secret is not.
    assert_eq!(world.read("s").unwrap_err().code(), "DecryptionFailure");
    provider.turn(Vice::None);
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
}

/// Names of keys and providers without end do not damage the store.
#[test]
fn names_without_end_are_refused() {
    let provider = Hostile::new();
    let world = World::over(provider.clone());
    world.create("s", "").unwrap();
    for vice in [Vice::ArnOf(200_000), Vice::NameOf(200_000), Vice::ArnOf(5_000_000)] {
        let before = (world.describe("s"), world.store.stats().unwrap());
        provider.turn(vice);
        world.put("s", 2, &[]).unwrap_err();
        world.create("new", "").unwrap_err();
        provider.turn(Vice::None);
        assert_eq!((world.describe("s"), world.store.stats().unwrap()), before, "{vice:?}");
        assert_eq!(world.read("s").unwrap(), "1");
    }
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
}

/// A wrong data key is noticed: no wrong byte is ever served.
#[test]
fn a_wrong_data_key_is_noticed_when_it_is_used() {
    let provider = Hostile::new();
    let world = World::over(provider.clone());
    world.create("good", "").unwrap();
    for (name, vice) in [("wraps-another", Vice::WrapsAnother), ("generates-another", Vice::GeneratesAnother)] {
        provider.turn(vice);
        world.create(name, "").unwrap();
        provider.turn(Vice::None);
        let (code, fault) = fault(world.read(name));
        assert_eq!((code, fault.reason), ("DecryptionFailure", KeyFaultReason::Corrupt), "{name}");
    }
    provider.turn(Vice::UnwrapsAnother);
    let (code, fault) = fault(world.read("good"));
    assert_eq!((code, fault.reason), ("DecryptionFailure", KeyFaultReason::Corrupt));
    provider.turn(Vice::None);
    assert_eq!(world.read("good").unwrap(), "1");
}

/// A provider that gives back the wrong key while a version is wrapped anew must not make the version unreadable.
#[test]
fn a_wrong_data_key_during_a_change_of_the_key_loses_nothing() {
    let provider = Hostile::new();
    let world = World::over(provider.clone());
    let (old, new) = (provider.keyring.create_key(home()).unwrap(), provider.keyring.create_key(home()).unwrap());
    for vice in [Vice::UnwrapsAnother, Vice::WrapsAnother] {
        let name = format!("{vice:?}");
        world.create(&name, &old).unwrap();
        provider.turn(vice);
        // Whether this is noticed at once or not is the provider's luck.
        let _ = world.change_key(&name, &new);
        provider.turn(Vice::None);
        let read = |off: Option<&String>| {
            off.iter().for_each(|key| provider.keyring.disable_key(key).unwrap());
            let read = world.read(&name);
            off.iter().for_each(|key| provider.keyring.enable_key(key).unwrap());
            read
        };
        assert_eq!(read(Some(&new)).unwrap(), "1", "{vice:?}: the old key still opens it");
        assert_eq!(read(None).unwrap(), "1", "{vice:?}: with both keys on, one of them is right");
    }
}

/// A store is never begun on a key that cannot be kept.
#[test]
fn a_store_is_not_made_with_an_impossible_wrapped_root_key() {
    for bytes in [0, WRAPPED_KEY_BYTES_MAX + 1] {
        let provider = Hostile::new();
        provider.turn(Vice::BlobOf(bytes));
        let backend = strongroom::MemoryBackend::new();
        let failed = SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open();
        assert!(matches!(failed.unwrap_err().kind(), ErrorKind::KeyProviderOutage(_)), "{bytes} bytes");
        provider.turn(Vice::None);
        let store = SecretStore::with_backend(backend).key_provider(provider).open().unwrap();
        store.default_secrets_manager().create_secret(CreateSecretRequest::new("s")).unwrap();
    }
}

/// A key whose states are told wrongly by `resolve` is still refused by `wrap`, and the other way round.
#[test]
fn a_state_counts_wherever_it_is_told() {
    #[derive(Debug)]
    struct Claims {
        keyring: LocalKeyring,
        state: strongroom::KeyState,
        from_the_second_on: Mutex<u32>,
    }
    impl KeyProvider for Claims {
        fn id(&self) -> &str {
            self.keyring.id()
        }
        fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
            let mut calls = self.from_the_second_on.lock().unwrap();
            *calls += 1;
            let handle = self.keyring.resolve(scope, key, call)?;
            Ok(if *calls > 1 { handle.with_state(self.state) } else { handle })
        }
        fn wrap(
            &self,
            key: &KeyHandle,
            data_key: &DataKey,
            context: &EncryptionContext<'_>,
            call: &Call<'_>,
        ) -> Result<WrappedKey, KeyError> {
            self.keyring.wrap(key, data_key, context, call)
        }
        fn unwrap(
            &self,
            wrapped: &WrappedKey,
            context: &EncryptionContext<'_>,
            call: &Call<'_>,
        ) -> Result<DataKey, KeyError> {
            self.keyring.unwrap(wrapped, context, call)
        }
    }
    for (state, code, reason) in [
        (strongroom::KeyState::Disabled, "EncryptionFailure", KeyFaultReason::Disabled),
        (strongroom::KeyState::PendingDeletion, "EncryptionFailure", KeyFaultReason::PendingDeletion),
        (strongroom::KeyState::PendingImport, "EncryptionFailure", KeyFaultReason::PendingImport),
        (strongroom::KeyState::Unavailable, "InternalServiceError", KeyFaultReason::Unavailable),
    ] {
        let keyring = LocalKeyring::in_memory();
        let world = World::over(Claims { keyring, state, from_the_second_on: Mutex::new(0) });
        let (found, fault) = fault(world.create("s", ""));
        assert_eq!((found, fault.reason), (code, reason), "{state:?}");
    }
}
