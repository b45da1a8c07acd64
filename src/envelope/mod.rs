//! Envelope encryption: the only code that sees values and keys together.
//!
//! Every version of a secret has a data key of its own, which the key provider wraps under the secret's KMS key. What
//! the provider returns is sealed once more under the store's root key, so that neither the store nor the provider's
//! keys alone open anything. This module knows values and ids, not where they are kept.

pub(crate) mod ad;
pub(crate) mod keyring;
mod keyring_file;
pub(crate) mod local;
pub(crate) mod provider;
pub(crate) mod root;
pub(crate) mod seal;
pub(crate) mod static_key;
pub(crate) mod wiped;

use std::sync::Arc;

use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::ad::{Ad, Fields, push_field};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyScope, ProviderFailure,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::envelope::root::RootKeys;
use crate::envelope::seal::{Label, OpenError, SealingKey, sealed_len};
use crate::error::{Error, ErrorKind, KeyFault, KeyOperation, Result};
use crate::model::tenant::Tenant;
use crate::model::value::{SecretValue, ValueKind};
use crate::model::version::{Content, DEFAULT_KEY_ALIAS, KeyUse, KmsKeyId, VersionId};

/// Keys that one version can be wrapped under.
const WRAPS_MAX: usize = 8;

/// What a value is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) arn: &'a str,
    pub(crate) uid: &'a Uuid,
    pub(crate) version: &'a VersionId,
}

/// A sealed version: how to open it, and the bytes to store.
#[derive(Debug)]
pub(crate) struct SealedVersion {
    pub(crate) content: Content,
    pub(crate) record: Vec<u8>,
}

/// What became of a version that was to be wrapped under another key.
#[derive(Debug)]
pub(crate) enum Rewrapped {
    /// The version now has one wrap more.
    Added(SealedVersion),
    /// The version stays as it was: it has that wrap already, or a key did not permit it.
    Unchanged,
}

/// Seals and opens values.
#[derive(Debug)]
pub(crate) struct Envelope {
    provider: Arc<dyn KeyProvider>,
    entropy: Arc<dyn Entropy>,
    root: Arc<RootKeys>,
    store: Uuid,
}

impl Envelope {
    pub(crate) fn new(
        provider: Arc<dyn KeyProvider>,
        entropy: Arc<dyn Entropy>,
        root: Arc<RootKeys>,
        store: Uuid,
    ) -> Self {
        Self { provider, entropy, root, store }
    }

    fn call(&self) -> Call<'_> {
        Call::new(&*self.entropy)
    }

    /// Finds the key that a caller asked for, whatever its state.
    pub(crate) fn resolve(&self, tenant: &Tenant, key: &KmsKeyId) -> Result<KeyHandle> {
        let key_ref = key.as_key_ref();
        if let Some(region) = key_ref.region()
            && region != tenant.region()
        {
            // The key's own text was given by the caller, so naming it tells nobody anything new.
            return Err(Error::invalid_request(format!(
                "The operation failed because of an invalid KMS key: Invalid arn {region}"
            )));
        }
        let scope = KeyScope::new(tenant.partition(), tenant.account(), tenant.region());
        self.provider.resolve(&scope, key_ref, &self.call()).map_err(|error| {
            let key = key.shown().unwrap_or(DEFAULT_KEY_ALIAS).to_owned();
            on_write(ProviderFailure { key, operation: KeyOperation::Resolve, error })
        })
    }

    /// Seals a value under a fresh data key, wrapped under `key`.
    pub(crate) fn seal(
        &self,
        identity: Identity<'_>,
        requested: &KmsKeyId,
        key: &KeyHandle,
        value: &SecretValue,
    ) -> Result<SealedVersion> {
        let failed =
            |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
        key.state.require_enabled().map_err(failed)?;
        let pairs = context(&identity);
        let (data_key, wrapped) =
            self.provider.generate(key, &EncryptionContext::new(&pairs), &self.call()).map_err(failed)?;
        let wrapped = checked(wrapped).map_err(failed)?;

        let plaintext = value.expose();
        let mut record = Vec::with_capacity(8 + sealed_len(wrapped.blob.len()) + sealed_len(plaintext.len()));
        record.push(1);
        push_field(&mut record, &self.seal_wrap(&identity, 0, &wrapped)?);
        let ad = self.value_ad(&identity, value.kind());
        SealingKey::new(data_key.expose()).seal_into(
            Label::Value,
            ad.as_bytes(),
            plaintext,
            &*self.entropy,
            &mut record,
        )?;
        let keys = vec![Arc::new(key_use(requested, wrapped))];
        Ok(SealedVersion { content: Content { kind: value.kind(), keys }, record })
    }

    /// Opens the value of a version. `current` is the key that the secret uses now, whose wrap is tried first.
    pub(crate) fn open(
        &self,
        identity: Identity<'_>,
        current: &KmsKeyId,
        content: &Content,
        record: &[u8],
    ) -> Result<SecretValue> {
        let parsed = Record::parse(record, content).ok_or_else(damaged)?;
        let data_key = self.unwrap(&identity, current, content, &parsed)?.map_err(on_read)?;
        let ad = self.value_ad(&identity, content.kind);
        let plaintext =
            seal::open(data_key.expose(), Label::Value, ad.as_bytes(), parsed.value).map_err(|error| match error {
                OpenError::UnsupportedSuite(_) => unopened(error),
                OpenError::Tampered => on_read(ProviderFailure {
                    key: content.keys.first().map(|key| key.key_arn.to_string()).unwrap_or_default(),
                    operation: KeyOperation::Unwrap,
                    error: KeyError::Corrupt,
                }),
            })?;
        SecretValue::from_plaintext(content.kind, plaintext).ok_or_else(damaged)
    }

    /// Wraps the data key of a version under one key more. The value itself is not touched.
    pub(crate) fn rewrap(
        &self,
        identity: Identity<'_>,
        current: &KmsKeyId,
        content: &Content,
        record: &[u8],
        requested: &KmsKeyId,
        key: &KeyHandle,
    ) -> Result<Rewrapped> {
        let failed =
            |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
        key.state.require_enabled().map_err(failed)?;
        if content.keys.iter().any(|used| used.key_arn == key.arn && used.key_version == key.version) {
            return Ok(Rewrapped::Unchanged);
        }
        let parsed = Record::parse(record, content).ok_or_else(damaged)?;
        let data_key = match self.unwrap(&identity, current, content, &parsed)? {
            Ok(data_key) => data_key,
            Err(failure) if failure.error.is_outage() => return Err(on_write(failure)),
            Err(_) => return Ok(Rewrapped::Unchanged),
        };
        let pairs = context(&identity);
        let wrapped = match self.provider.wrap(key, &data_key, &EncryptionContext::new(&pairs), &self.call()) {
            Ok(wrapped) => checked(wrapped).map_err(failed)?,
            Err(KeyError::AccessDenied) => return Ok(Rewrapped::Unchanged),
            Err(error) => return Err(failed(error)),
        };
        if content.keys.len() >= WRAPS_MAX {
            return Err(Error::limit_exceeded(format!(
                "Version {} is encrypted under {WRAPS_MAX} KMS keys already. Store the value again before changing the key.",
                identity.version
            )));
        }
        let mut sealed = Vec::with_capacity(record.len() + 4 + sealed_len(wrapped.blob.len()));
        sealed.push(parsed.count + 1);
        sealed.extend_from_slice(parsed.wraps_bytes);
        push_field(&mut sealed, &self.seal_wrap(&identity, parsed.count, &wrapped)?);
        sealed.extend_from_slice(parsed.value);
        let mut content = content.clone();
        content.keys.push(Arc::new(key_use(requested, wrapped)));
        Ok(Rewrapped::Added(SealedVersion { content, record: sealed }))
    }

    /// Unwraps a data key with the first key that works. The inner error is that of the secret's current key.
    fn unwrap(
        &self,
        identity: &Identity<'_>,
        current: &KmsKeyId,
        content: &Content,
        record: &Record<'_>,
    ) -> Result<std::result::Result<DataKey, ProviderFailure>> {
        let pairs = context(identity);
        let numbered = || (0_u8..).zip(content.keys.iter().zip(&record.wraps));
        // With one wrap, by far the most common case, both passes together try it once.
        let current_first = numbered()
            .filter(|(_, (used, _))| used.requested == *current)
            .chain(numbered().filter(|(_, (used, _))| used.requested != *current));
        let mut first_failure = None;
        for (index, (used, sealed)) in current_first {
            let ad = self.wrap_ad(identity, index, &used.provider, &used.key_arn, &used.key_version);
            let blob = self.root.outer.open(Label::DataKey, ad.as_bytes(), sealed).map_err(unopened)?;
            let wrapped = WrappedKey {
                provider: used.provider.clone(),
                key_arn: used.key_arn.clone(),
                key_version: used.key_version.clone(),
                blob: blob.as_slice().into(),
            };
            match self.provider.unwrap(&wrapped, &EncryptionContext::new(&pairs), &self.call()) {
                Ok(data_key) => return Ok(Ok(data_key)),
                Err(error) => {
                    first_failure.get_or_insert(ProviderFailure {
                        key: used.key_arn.to_string(),
                        operation: KeyOperation::Unwrap,
                        error,
                    });
                }
            }
        }
        first_failure.map(Err).ok_or_else(damaged)
    }

    fn seal_wrap(&self, identity: &Identity<'_>, index: u8, wrapped: &WrappedKey) -> Result<Vec<u8>> {
        let ad = self.wrap_ad(identity, index, &wrapped.provider, &wrapped.key_arn, &wrapped.key_version);
        Ok(self.root.outer.seal(Label::DataKey, ad.as_bytes(), &wrapped.blob, &*self.entropy)?)
    }

    fn wrap_ad(&self, identity: &Identity<'_>, index: u8, provider: &str, key_arn: &str, key_version: &str) -> Ad {
        let key = [provider, key_arn, key_version];
        ad::data_key(&self.store, identity.uid, identity.version.as_str(), key, index)
    }

    fn value_ad(&self, identity: &Identity<'_>, kind: ValueKind) -> Ad {
        let Identity { tenant, arn, uid, version } = *identity;
        ad::value(&self.store, tenant, arn, uid, version.as_str(), kind)
    }
}

/// The stored bytes of a version, taken apart: a count, that many length-prefixed sealed wraps, the sealed value.
struct Record<'a> {
    count: u8,
    wraps: Vec<&'a [u8]>,
    wraps_bytes: &'a [u8],
    value: &'a [u8],
}

impl<'a> Record<'a> {
    /// `None` if the bytes are not of this form or do not fit what the secret's own record says of them.
    fn parse(bytes: &'a [u8], content: &Content) -> Option<Self> {
        let (&count, after_count) = bytes.split_first()?;
        if usize::from(count) != content.keys.len() {
            return None;
        }
        let mut fields = Fields::new(after_count);
        let wraps = (0..count).map(|_| fields.field(sealed_len(WRAPPED_KEY_BYTES_MAX))).collect::<Option<Vec<_>>>()?;
        let value = fields.rest();
        let wraps_bytes = after_count.get(..after_count.len() - value.len())?;
        Some(Self { count, wraps, wraps_bytes, value })
    }
}

/// Exactly the encryption context that AWS Secrets Manager uses.
fn context<'a>(identity: &Identity<'a>) -> [(&'a str, &'a str); 2] {
    [("SecretARN", identity.arn), ("SecretVersionId", identity.version.as_str())]
}

fn checked(wrapped: WrappedKey) -> std::result::Result<WrappedKey, KeyError> {
    let length = wrapped.blob.len();
    if length == 0 || length > WRAPPED_KEY_BYTES_MAX { Err(KeyError::Internal) } else { Ok(wrapped) }
}

fn key_use(requested: &KmsKeyId, wrapped: WrappedKey) -> KeyUse {
    let WrappedKey { provider, key_arn, key_version, blob: _ } = wrapped;
    KeyUse { requested: requested.clone(), provider, key_arn, key_version }
}

/// A new root key for a store, wrapped under one of the provider's keys.
pub(crate) fn new_root(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    tenant: &Tenant,
    key: &KmsKeyId,
    store: &Uuid,
) -> Result<(DataKey, WrappedKey)> {
    let call = Call::new(entropy);
    let scope = KeyScope::new(tenant.partition(), tenant.account(), tenant.region());
    let shown = key.shown().unwrap_or(DEFAULT_KEY_ALIAS);
    let failed = |operation| move |error| on_write(ProviderFailure { key: shown.to_owned(), operation, error });
    let handle = provider.resolve(&scope, key.as_key_ref(), &call).map_err(failed(KeyOperation::Resolve))?;
    handle.state.require_enabled().map_err(failed(KeyOperation::Wrap))?;
    // The root key always comes from our own random source: a provider that repeats itself must not repeat a store.
    let root = DataKey::generate(entropy)?;
    let store = store.to_string();
    let wrapped = provider
        .wrap(&handle, &root, &EncryptionContext::new(&root_context(&store)), &call)
        .and_then(checked)
        .map_err(failed(KeyOperation::Wrap))?;
    Ok((root, wrapped))
}

/// Opens the root key of a store.
pub(crate) fn open_root(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    store: &Uuid,
    wrapped: &WrappedKey,
) -> std::result::Result<DataKey, Error> {
    let store = store.to_string();
    provider.unwrap(wrapped, &EncryptionContext::new(&root_context(&store)), &Call::new(entropy)).map_err(|error| {
        let failure = ProviderFailure { key: wrapped.key_arn.to_string(), operation: KeyOperation::Unwrap, error };
        if failure.error.is_outage() {
            return on_read(failure);
        }
        let text = format!(
            "the key provider cannot open this store's root key, which is wrapped under `{}`: {}",
            failure.key, failure.error
        );
        let fault = KeyFault::new(failure.key, failure.error.reason(), failure.operation);
        Error::new(ErrorKind::WrongKey(fault), text).with_source(failure.error)
    })
}

fn root_context(store: &str) -> [(&str, &str); 1] {
    [("strongroom:store", store)]
}

/// Stored bytes that cannot be taken apart.
fn damaged() -> Error {
    Error::corrupted("the stored value of a version is damaged")
}

/// Stored bytes that the root key does not open.
pub(crate) fn unopened(error: OpenError) -> Error {
    match error {
        OpenError::UnsupportedSuite(found) => {
            Error::new(ErrorKind::UnsupportedFormat { found, newest: seal::SUITE }, format!("a record was {error}"))
        }
        OpenError::Tampered => Error::corrupted("a stored record does not authenticate"),
    }
    .with_source(error)
}

/// What a caller that stores something is told.
fn on_write(failure: ProviderFailure) -> Error {
    let (text, make): (&str, fn(KeyFault) -> ErrorKind) = match failure.error {
        KeyError::NotFound | KeyError::AccessDenied => ("Access to KMS is not allowed", ErrorKind::KeyAccessDenied),
        KeyError::Disabled | KeyError::PendingDeletion | KeyError::PendingImport | KeyError::Corrupt => (
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key \
             is available, enabled, and not in an invalid state.",
            ErrorKind::EncryptionFailure,
        ),
        KeyError::WrongUsage => ("Cannot generate a data key with an asymmetric KMS key", ErrorKind::EncryptionFailure),
        KeyError::Throttled | KeyError::Unavailable | KeyError::Timeout | KeyError::Internal => return outage(failure),
    };
    key_error(failure, text, make)
}

/// What a caller that reads a value is told.
fn on_read(failure: ProviderFailure) -> Error {
    match failure.error {
        KeyError::AccessDenied => key_error(failure, "Access to KMS is not allowed", ErrorKind::KeyAccessDenied),
        KeyError::Throttled | KeyError::Unavailable | KeyError::Timeout | KeyError::Internal => outage(failure),
        KeyError::NotFound
        | KeyError::Disabled
        | KeyError::PendingDeletion
        | KeyError::PendingImport
        | KeyError::WrongUsage
        | KeyError::Corrupt => key_error(
            failure,
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
            ErrorKind::DecryptionFailure,
        ),
    }
}

fn outage(failure: ProviderFailure) -> Error {
    let text = format!("key `{}`: {}", failure.key, failure.error);
    key_error(failure, text, ErrorKind::KeyProviderOutage)
}

fn key_error(
    failure: ProviderFailure,
    text: impl Into<std::borrow::Cow<'static, str>>,
    kind: fn(KeyFault) -> ErrorKind,
) -> Error {
    let ProviderFailure { key, operation, error } = failure;
    Error::new(kind(KeyFault::new(key, error.reason(), operation)), text).with_source(error)
}
