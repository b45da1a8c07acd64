//! Passphrases in a build without the feature `passphrase`: PBKDF2 is there, and Argon2id is refused by its name.

use std::sync::Mutex;

use strongroom::testing::key_provider_conformance;
use strongroom::{
    Call, CreateSecretRequest, DataKey, EncryptionContext, ErrorKind, GetSecretValueRequest, KeyError, KeyFaultReason,
    KeyHandle, KeyProvider, KeyRef, KeyScope, MemoryBackend, OsEntropy, PassphraseParameters, PassphraseProvider,
    SecretStore, StaticKey, WrappedKey,
};

const PASSPHRASE: &str = "correct horse battery staple";

/// Argon2id with 64 MiB, 3 passes and 4 lanes, a salt, and what could be a sealed key.
fn argon2id_blob() -> Vec<u8> {
    let mut blob = vec![0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4];
    blob.extend([7; 16 + 146]);
    blob
}

/// Wraps as if with Argon2id: what a build with the feature left behind. The root key is readable if that is asked for;
/// otherwise only this provider, which has just wrapped it, knows it.
#[derive(Debug)]
struct Planted {
    root: StaticKey,
    passphrase: PassphraseProvider,
    is_root_readable: bool,
    wrapped: Mutex<Option<DataKey>>,
}

impl Planted {
    fn new(is_root_readable: bool) -> Self {
        let passphrase = PassphraseProvider::cheap_for_tests(PASSPHRASE).unwrap();
        Self { root: StaticKey::new([7; 32]), passphrase, is_root_readable, wrapped: Mutex::default() }
    }
}

impl KeyProvider for Planted {
    fn id(&self) -> &str {
        "passphrase"
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.root.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        if context.pairs().len() == 1 {
            if self.is_root_readable {
                return self.root.wrap(key, data_key, context, call);
            }
            *self.wrapped.lock().unwrap() = DataKey::from_slice(data_key.expose());
        }
        Ok(WrappedKey::new("passphrase", key.arn.clone(), "1", argon2id_blob()))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        match &*wrapped.provider {
            "static" => self.root.unwrap(wrapped, context, call),
            _ if context.pairs().len() == 1 => self.wrapped.lock().unwrap().take().ok_or(KeyError::NotFound),
            _ => self.passphrase.unwrap(wrapped, context, call),
        }
    }
}

#[test]
fn a_passphrase_needs_no_feature() {
    assert_eq!(PassphraseParameters::new(), PassphraseParameters::pbkdf2(600_000));
    key_provider_conformance(&PassphraseProvider::cheap_for_tests(PASSPHRASE).unwrap(), None);
    let backend = MemoryBackend::new();
    let open = |passphrase: &str| {
        SecretStore::with_backend(backend.clone()).key_provider(PassphraseProvider::new(passphrase)?).open()
    };
    let store = open(PASSPHRASE).unwrap();
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    store.close().unwrap();
    let store = open(PASSPHRASE).unwrap();
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("s")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "v");
    store.close().unwrap();
    let error = open("another one").unwrap_err();
    let ErrorKind::WrongKey(fault) = error.kind() else { panic!("{error:?}") };
    assert_eq!(fault.reason, KeyFaultReason::WrongPassphrase);
}

/// Parameters beyond the bounds stay what they are: not a question of the build.
#[test]
fn what_argon2id_wrapped_is_named_as_such() {
    let provider = PassphraseProvider::new(PASSPHRASE).unwrap();
    let unwrap = |blob: Vec<u8>| {
        let wrapped = WrappedKey::new("passphrase", "arn:aws:kms:us-east-1:000000000000:key/x", "1", blob);
        provider.unwrap(&wrapped, &EncryptionContext::new(&[]), &Call::new(&OsEntropy::default()))
    };
    assert_eq!(unwrap(argon2id_blob()), Err(KeyError::Unsupported));
    for (at, byte) in [(0, 1), (2, 3), (3, 255), (6, 255), (10, 0), (14, 0), (14, 17)] {
        let mut blob = argon2id_blob();
        blob[at] = byte;
        // The lowest byte of the memory is the only one of these that may be anything.
        let expected = if at == 6 { KeyError::Unsupported } else { KeyError::Corrupt };
        assert_eq!(unwrap(blob), Err(expected), "byte {at}");
    }
    assert_eq!(unwrap(argon2id_blob()[1..].to_vec()), Err(KeyError::Corrupt));
}

#[test]
fn a_store_that_needs_argon2id_says_which_feature_is_missing() {
    let backend = MemoryBackend::new();
    SecretStore::with_backend(backend.clone()).key_provider(Planted::new(false)).open().unwrap().close().unwrap();
    let provider = PassphraseProvider::new(PASSPHRASE).unwrap();
    let error = SecretStore::with_backend(backend).key_provider(provider).open().unwrap_err();
    let ErrorKind::WrongKey(fault) = error.kind() else { panic!("{error:?}") };
    assert_eq!(fault.reason, KeyFaultReason::Unsupported);
    assert!(error.to_string().contains("build it with the feature `passphrase`"), "{error}");
}

#[test]
fn a_value_that_needs_argon2id_says_which_feature_is_missing() {
    let store = SecretStore::in_memory().key_provider(Planted::new(true)).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    let error = secrets.get_secret_value(GetSecretValueRequest::new("s")).unwrap_err();
    let ErrorKind::DecryptionFailure(fault) = error.kind() else { panic!("{error:?}") };
    assert_eq!((error.code(), fault.reason), ("DecryptionFailure", KeyFaultReason::Unsupported));
    assert!(error.to_string().contains("build it with the feature `passphrase`"), "{error}");
}
