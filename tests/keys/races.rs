//! Changes of keys that meet other changes, damage, or a provider with large answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use strongroom::{
    Backend, Batch, Call, CreateSecretRequest, DataKey, Durability, EncryptionContext, ErrorKind,
    GetSecretValueRequest, KEY_NAME_BYTES_MAX, KeyError, KeyFaultReason, KeyHandle, KeyProvider, KeyRef, KeyScope,
    LocalKeyring, MemoryBackend, SecretStore, Tag, TagResourceRequest, UpdateSecretRequest, WRAPPED_KEY_BYTES_MAX,
    WrappedKey,
};

use crate::fixture::{World, home};

/// A keyring that counts calls, and pads what it wraps.
#[derive(Debug, Clone)]
struct Counted {
    keyring: LocalKeyring,
    calls: Arc<AtomicU64>,
    padded_to: usize,
    arn_padded_to: usize,
    other: Option<Meanwhile>,
}

/// What somebody else does to a secret while the provider unwraps.
#[derive(Debug, Clone)]
struct Meanwhile {
    secrets: strongroom::SecretsManager,
    calls: Arc<AtomicU64>,
}

impl Counted {
    fn new(keyring: &LocalKeyring) -> Self {
        Self { keyring: keyring.clone(), calls: Arc::default(), padded_to: 0, arn_padded_to: 0, other: None }
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn inner<'a>(&self, wrapped: &'a WrappedKey) -> (&'a str, &'a [u8]) {
        let length = u32::from_be_bytes(wrapped.blob[..4].try_into().unwrap()) as usize;
        (wrapped.key_arn.trim_end_matches('x'), &wrapped.blob[4..4 + length])
    }
}

impl KeyProvider for Counted {
    fn id(&self) -> &str {
        self.keyring.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.count();
        self.keyring.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.count();
        let wrapped = self.keyring.wrap(key, data_key, context, call)?;
        let mut blob = u32::try_from(wrapped.blob.len()).unwrap().to_be_bytes().to_vec();
        blob.extend_from_slice(&wrapped.blob);
        blob.resize(blob.len().max(self.padded_to), 0);
        let arn = format!("{:x<1$}", wrapped.key_arn, self.arn_padded_to);
        Ok(WrappedKey::new(wrapped.provider, arn, wrapped.key_version, blob))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.count();
        if let Some(Meanwhile { secrets, calls }) = &self.other
            && calls.fetch_add(1, Ordering::SeqCst) < 50
        {
            let tag = Tag::new("k", calls.load(Ordering::SeqCst).to_string());
            secrets.tag_resource(TagResourceRequest::new("s", [tag])).unwrap();
        }
        let (arn, blob) = self.inner(wrapped);
        let wrapped = WrappedKey::new(wrapped.provider.clone(), arn, wrapped.key_version.clone(), blob);
        self.keyring.unwrap(&wrapped, context, call)
    }
}

#[test]
fn threads_that_change_the_key_of_one_secret_do_not_take_each_other_for_damage() {
    let (world, keyring) = World::with_keyring();
    let keys: Vec<String> = (0..6).map(|_| keyring.create_key(home()).unwrap()).collect();
    for round in 0..20 {
        let name = format!("s{round}");
        world.create(&name, &keys[0]).unwrap();
        thread::scope(|threads| {
            for key in &keys[1..] {
                threads.spawn(|| world.change_key(&name, key).unwrap());
            }
        });
        assert_eq!(world.read(&name).unwrap(), "1");
    }
}

#[test]
fn a_value_that_is_missing_is_damage_for_a_change_of_the_key_too() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(home()).unwrap();
    let provider = Counted::new(&keyring);
    let backend = MemoryBackend::new();
    let store = SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    let mut batch = Batch::new();
    for (key, _) in backend.scan(b"v", None, 10).unwrap() {
        batch.remove(key);
    }
    backend.commit(&batch, Durability::Immediate).unwrap();
    let before = provider.calls.load(Ordering::SeqCst);
    let error = secrets.update_secret(UpdateSecretRequest::new("s").kms_key_id(key)).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (&ErrorKind::Corrupted, false));
    assert!(provider.calls.load(Ordering::SeqCst) - before < 5, "it is found out at once");
}

/// Somebody tags the secret again and again while its value is being wrapped anew. What was wrapped once is not wrapped
/// again for it.
#[test]
fn a_change_of_the_key_is_not_starved_by_other_changes() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(home()).unwrap();
    let mut provider = Counted::new(&keyring);
    let backend = MemoryBackend::new();
    let open = |provider: &Counted| SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open();
    let store = open(&provider).unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    store.close().unwrap();

    // The provider disturbs the secret through a handle of the store that asks it.
    let quiet = open(&provider).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    provider.other = Some(Meanwhile { secrets: quiet.default_secrets_manager(), calls: Arc::clone(&calls) });
    provider.calls.store(0, Ordering::SeqCst);
    let busy = open(&provider);
    // Two stores on one backend are only this test's trick: the second sees what the first commits.
    let secrets = busy.unwrap().default_secrets_manager();
    secrets.update_secret(UpdateSecretRequest::new("s").kms_key_id(&key)).unwrap();
    assert!(provider.calls.load(Ordering::SeqCst) < 20, "the provider was asked again and again");
}

/// The largest answers that a provider may give: older wraps make room for newer ones.
#[test]
fn a_value_may_live_through_many_keys_of_a_provider_with_large_answers() {
    let keyring = LocalKeyring::in_memory();
    let keys: Vec<String> = (0..12).map(|_| keyring.create_key(home()).unwrap()).collect();
    let provider = Counted { padded_to: WRAPPED_KEY_BYTES_MAX, ..Counted::new(&keyring) };
    let store = SecretStore::in_memory().key_provider(provider).open().unwrap();
    let secrets = store.default_secrets_manager();
    let value = vec![1; 65_536];
    secrets.create_secret(CreateSecretRequest::new("s").secret_binary(value.as_slice()).kms_key_id(&keys[0])).unwrap();
    for key in &keys[1..] {
        secrets.update_secret(UpdateSecretRequest::new("s").kms_key_id(key)).unwrap();
        let read = secrets.get_secret_value(GetSecretValueRequest::new("s")).unwrap();
        assert_eq!(read.secret_binary.unwrap().expose(), value);
    }
}

/// A store is never made that could not be opened again.
#[test]
fn names_of_keys_beyond_all_bounds_are_refused_before_anything_is_stored() {
    for (length, is_taken) in [(KEY_NAME_BYTES_MAX, true), (KEY_NAME_BYTES_MAX + 1, false)] {
        let backend = MemoryBackend::new();
        let provider = Counted { arn_padded_to: length, ..Counted::new(&LocalKeyring::in_memory()) };
        let open = || SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open();
        match open() {
            Ok(store) => {
                assert!(is_taken);
                store.close().unwrap();
                open().unwrap().close().unwrap();
            }
            Err(error) => {
                assert!(!is_taken, "{error}");
                assert!(backend.scan(b"", None, 1).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn the_key_that_an_alias_leads_to_now_is_the_one_that_is_named() {
    let (world, keyring) = World::with_keyring();
    let (first, second) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/a", &first).unwrap();
    world.create("s", "alias/a").unwrap();
    keyring.create_alias("alias/a", &second).unwrap();
    world.change_key("s", "alias/a").unwrap();
    keyring.disable_key(&first).unwrap();
    keyring.schedule_key_deletion(&second).unwrap();
    let error = world.read("s").unwrap_err();
    let ErrorKind::DecryptionFailure(fault) = error.kind() else { panic!("{error:?}") };
    assert_eq!((fault.key.as_str(), fault.reason), (second.as_str(), KeyFaultReason::PendingDeletion));
}

#[test]
fn a_partition_that_the_region_is_not_in_makes_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let keyring = LocalKeyring::open_or_create(directory.path().join("k")).unwrap();
    let good = keyring.create_key(home()).unwrap();
    let long = "p".repeat(600);
    for partition in ["", "x:y", "aws-cn", &long] {
        let refused = keyring.create_key(KeyScope::new(partition, "000000000000", "us-east-1")).unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Configuration, "{partition}");
    }
    keyring.disable_key(&good).unwrap();
    assert_eq!(LocalKeyring::open(directory.path().join("k")).unwrap().keys().len(), 1);
}
