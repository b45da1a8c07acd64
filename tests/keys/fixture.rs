//! A store over a key provider, and the few calls that these tests make.

use std::fmt::Debug;

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, DescribeSecretResponse, ErrorKind, GetSecretValueRequest, KeyFault,
    KeyFaultReason, KeyOperation, KeyProvider, KeyScope, ListSecretVersionIdsRequest, LocalKeyring, MemoryBackend,
    PutSecretValueRequest, Result, SecretStore, SecretsManager, UpdateSecretRequest,
};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

pub(crate) const NO_ACCESS: &str = "Access to KMS is not allowed";
pub(crate) const NOT_FOUND: &str = "Secrets Manager can't find the specified secret.";

/// The account and Region in which everything happens unless a test says otherwise.
pub(crate) fn home() -> KeyScope<'static> {
    KeyScope::new("aws", "000000000000", "us-east-1")
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: SecretStore,
    pub(crate) secrets: SecretsManager,
}

impl World {
    pub(crate) fn over(provider: impl KeyProvider + 'static) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let store = SecretStore::in_memory()
            .key_provider(provider)
            .clock(clock.clone())
            .entropy(SeededEntropy::new(1))
            .open()
            .unwrap();
        let secrets = store.default_secrets_manager();
        Self { clock, store, secrets }
    }

    /// A store over a backend, which is made or opened again.
    pub(crate) fn on(backend: MemoryBackend, provider: impl KeyProvider + 'static) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let store = SecretStore::with_backend(backend).key_provider(provider).clock(clock.clone()).open().unwrap();
        let secrets = store.default_secrets_manager();
        Self { clock, store, secrets }
    }

    /// A store over a keyring in memory.
    pub(crate) fn with_keyring() -> (Self, LocalKeyring) {
        let keyring = LocalKeyring::in_memory();
        (Self::over(keyring.clone()), keyring)
    }

    pub(crate) fn hours(&self, hours: i64) {
        self.clock.advance(TimeDelta::hours(hours));
    }

    /// Creates a secret with the value `1`, as version 1, under a key.
    pub(crate) fn create(&self, name: &str, key: &str) -> Result<String> {
        let request = CreateSecretRequest::new(name).secret_string("1").kms_key_id(key).client_request_token(id(1));
        Ok(self.secrets.create_secret(request)?.arn)
    }

    /// Stores a version whose value is its number.
    pub(crate) fn put(&self, name: &str, version: usize, labels: &[&str]) -> Result<()> {
        self.clock.advance(TimeDelta::seconds(1));
        let mut request = PutSecretValueRequest::new(name, version.to_string()).client_request_token(id(version));
        if !labels.is_empty() {
            request = request.version_stages(labels.iter().copied());
        }
        self.secrets.put_secret_value(request).map(drop)
    }

    /// The current value.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let read = self.secrets.get_secret_value(GetSecretValueRequest::new(name))?;
        Ok(read.secret_string.unwrap().expose().to_owned())
    }

    /// The value of one version.
    pub(crate) fn read_version(&self, name: &str, version: usize) -> Result<String> {
        let read = self.secrets.get_secret_value(GetSecretValueRequest::new(name).version_id(id(version)))?;
        Ok(read.secret_string.unwrap().expose().to_owned())
    }

    pub(crate) fn change_key(&self, name: &str, key: &str) -> Result<()> {
        self.secrets.update_secret(UpdateSecretRequest::new(name).kms_key_id(key)).map(drop)
    }

    pub(crate) fn describe(&self, name: &str) -> DescribeSecretResponse {
        self.secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap()
    }

    /// The keys of every version, oldest first.
    pub(crate) fn version_keys(&self, name: &str) -> Vec<Vec<String>> {
        let request = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
        let listed = self.secrets.list_secret_version_ids(request).unwrap().versions;
        listed.into_iter().map(|version| version.kms_key_ids).collect()
    }
}

/// The token, and so the id, of a version by its number.
pub(crate) fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// What a refused call answers.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T>, code: &str, message: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.message()), (code, message));
}

/// The key, reason and purpose that a failed call names, with its code.
#[track_caller]
pub(crate) fn fault<T: Debug>(result: Result<T>) -> (&'static str, KeyFault) {
    let error = result.unwrap_err();
    match error.kind() {
        ErrorKind::KeyAccessDenied(fault)
        | ErrorKind::InvalidKey(fault)
        | ErrorKind::EncryptionFailure(fault)
        | ErrorKind::DecryptionFailure(fault)
        | ErrorKind::KeyProviderOutage(fault)
        | ErrorKind::WrongKey(fault) => (error.code(), fault.clone()),
        other => panic!("no key is named: {other:?}"),
    }
}

/// A call that failed with this code because of this key.
#[track_caller]
pub(crate) fn key_failure<T: Debug>(
    result: Result<T>,
    code: &str,
    key: &str,
    reason: KeyFaultReason,
    operation: KeyOperation,
) {
    let (found, fault) = fault(result);
    assert_eq!((found, fault.key.as_str(), fault.reason, fault.operation), (code, key, reason, operation));
}
