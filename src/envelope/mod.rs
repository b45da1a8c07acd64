//! Envelope encryption: the only code that sees values and keys together.
//!
//! Every version of a secret has a data key of its own, which the key provider wraps under the secret's KMS key. What
//! the provider returns is sealed once more under the store's root key, so that neither the store nor the provider's
//! keys alone open anything. This module knows values and ids, not where they are kept.

pub(crate) mod ad;
pub(crate) mod cache;
pub(crate) mod key_file;
pub(crate) mod keyring;
mod keyring_file;
pub(crate) mod local;
#[cfg(feature = "os-keyring")]
pub(crate) mod os_keyring;
pub(crate) mod passphrase;
pub(crate) mod provider;
pub(crate) mod root;
pub(crate) mod router;
pub(crate) mod seal;
pub(crate) mod static_key;
pub(crate) mod timeout;
pub(crate) mod wiped;

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};
use crate::envelope::ad::{Ad, Fields, push_field};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KEY_NAME_BYTES_MAX, KeyError, KeyHandle, KeyProvider, KeyScope, ProviderFailure,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::envelope::root::RootKeys;
use crate::envelope::seal::{Label, OpenError, SealingKey, sealed_len};
use crate::error::{Error, ErrorKind, KeyFault, KeyFaultReason, KeyOperation, Result};
use crate::model::tenant::Tenant;
use crate::model::value::{SecretValue, ValueKind};
use crate::model::version::{Content, DEFAULT_KEY_ALIAS, KeyUse, KmsKeyId, VersionId};

/// Keys that one version can be wrapped under.
const WRAPS_MAX: usize = 8;

/// Longest record of a version, in bytes. The records see to it that it can be stored.
pub(crate) const VERSION_BYTES_MAX: usize = 112 * 1024;

/// What a value is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) arn: &'a str,
    pub(crate) uid: &'a Uuid,
    pub(crate) version: &'a VersionId,
}

/// A sealed version: how to open it, and the bytes to store.
#[derive(Debug, Clone)]
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
            let shown = key.shown().unwrap_or(DEFAULT_KEY_ALIAS);
            let fault = KeyFault::new(shown, KeyFaultReason::WrongRegion, KeyOperation::Resolve);
            let text = format!("The operation failed because of an invalid KMS key: Invalid arn {region}");
            return Err(Error::new(ErrorKind::InvalidKey(fault), text));
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
        require_usable(key)?;
        let failed =
            |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
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
        let keys = vec![Arc::new(key_use(requested, &wrapped))];
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
        let Opened { plaintext, .. } = self.open_any(&identity, current, content, &parsed)?.map_err(on_read)?;
        SecretValue::from_plaintext(content.kind, plaintext).ok_or_else(damaged)
    }

    /// Checks as much of a stored version as can be checked without its key: that it can be taken apart, and that what
    /// the provider returned for each of its keys is there and authenticates.
    pub(crate) fn check(&self, identity: Identity<'_>, content: &Content, record: &[u8]) -> Result<()> {
        let parsed = Record::parse(record, content).ok_or_else(damaged)?;
        for (index, (used, sealed)) in (0..).zip(content.keys.iter().zip(&parsed.wraps)) {
            self.open_wrap(&identity, index, used, sealed)?;
        }
        Ok(())
    }

    /// Wraps the data key of a version under one key more. The value itself is not touched.
    ///
    /// A wrap under older material of the same key is replaced. Beyond [`WRAPS_MAX`] keys the oldest wraps go, but for
    /// the one that has just worked.
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
        // The value is opened, not only the key: a wrong key must not be wrapped anew.
        let Opened { data_key, index: opened_by, .. } = match self.open_any(&identity, current, content, &parsed)? {
            Ok(opened) => opened,
            Err(failure) if failure.error.is_outage() => return Err(on_write(failure)),
            Err(_) => return Ok(Rewrapped::Unchanged),
        };
        let pairs = context(&identity);
        let context = EncryptionContext::new(&pairs);
        let wrapped = match self.provider.wrap(key, &data_key, &context, &self.call()) {
            Ok(wrapped) => checked(wrapped).map_err(failed)?,
            Err(KeyError::AccessDenied) => return Ok(Rewrapped::Unchanged),
            Err(error) => return Err(failed(error)),
        };
        match self.provider.unwrap(&wrapped, &context, &self.call()) {
            Ok(unwrapped) if unwrapped == data_key => {}
            // Whoever may only encrypt cannot be asked for proof.
            Err(KeyError::AccessDenied) => {}
            Ok(_) => return Err(failed(KeyError::Internal)),
            Err(error) => return Err(failed(error)),
        }
        let mut kept = Vec::with_capacity(content.keys.len() + 1);
        for (index, (used, sealed)) in (0..).zip(content.keys.iter().zip(&parsed.wraps)) {
            if used.key_arn != key.arn {
                kept.push((index, self.open_wrap(&identity, index, used, sealed)?, Arc::clone(used)));
            }
        }
        let field_len = |wrapped: &WrappedKey| 4 + sealed_len(wrapped.blob.len());
        loop {
            let bytes = kept.iter().map(|(_, wrapped, _)| field_len(wrapped)).sum::<usize>();
            let fits = 1 + bytes + field_len(&wrapped) + parsed.value.len() <= VERSION_BYTES_MAX;
            let oldest = kept.iter().position(|(index, ..)| *index != opened_by);
            match oldest {
                Some(oldest) if !fits || kept.len() >= WRAPS_MAX => kept.remove(oldest),
                _ => break,
            };
        }
        let wraps = kept.into_iter().map(|(_, wrapped, used)| (wrapped, used));
        let added = Arc::new(key_use(requested, &wrapped));
        let (wraps, keys): (Vec<_>, Vec<_>) = wraps.chain([(wrapped, added)]).unzip();

        let mut record =
            Vec::with_capacity(record.len() + 4 + wraps.iter().map(|wrap| sealed_len(wrap.blob.len())).sum::<usize>());
        record.extend(u8::try_from(wraps.len()));
        for (index, wrapped) in (0..).zip(&wraps) {
            push_field(&mut record, &self.seal_wrap(&identity, index, wrapped)?);
        }
        record.extend_from_slice(parsed.value);
        Ok(Rewrapped::Added(SealedVersion { content: Content { kind: content.kind, keys }, record }))
    }

    /// Opens the value with the first wrap that works. The inner error is that of the secret's current key.
    fn open_any(
        &self,
        identity: &Identity<'_>,
        current: &KmsKeyId,
        content: &Content,
        record: &Record<'_>,
    ) -> Result<std::result::Result<Opened, ProviderFailure>> {
        let pairs = context(identity);
        let context = EncryptionContext::new(&pairs);
        let ad = self.value_ad(identity, content.kind);
        // Newest first: the same alias may have led to another key before.
        let newest_first = || (0..).zip(content.keys.iter().zip(&record.wraps)).collect::<Vec<_>>().into_iter().rev();
        let current_first = newest_first()
            .filter(|(_, (used, _))| used.requested == *current)
            .chain(newest_first().filter(|(_, (used, _))| used.requested != *current));
        let mut first_failure = None;
        for (index, (used, sealed)) in current_first {
            let wrapped = self.open_wrap(identity, index, used, sealed)?;
            let opened = self
                .provider
                .unwrap(&wrapped, &context, &self.call())
                .map(|data_key| (seal::open(data_key.expose(), Label::Value, ad.as_bytes(), record.value), data_key));
            let error = match opened {
                Ok((Ok(plaintext), data_key)) => return Ok(Ok(Opened { plaintext, data_key, index })),
                Ok((Err(error @ OpenError::UnsupportedSuite(_)), _)) => return Err(unopened(error)),
                Ok((Err(OpenError::Tampered), _)) => KeyError::Corrupt,
                Err(error) => error,
            };
            let key = used.key_arn.to_string();
            first_failure.get_or_insert(ProviderFailure { key, operation: KeyOperation::Unwrap, error });
        }
        first_failure.map(Err).ok_or_else(damaged)
    }

    fn open_wrap(&self, identity: &Identity<'_>, index: u8, used: &KeyUse, sealed: &[u8]) -> Result<WrappedKey> {
        let ad = self.wrap_ad(identity, index, &used.provider, &used.key_arn, &used.key_version);
        let blob = self.root.outer.open(Label::DataKey, ad.as_bytes(), sealed).map_err(unopened)?;
        Ok(WrappedKey {
            provider: used.provider.clone(),
            key_arn: used.key_arn.clone(),
            key_version: used.key_version.clone(),
            blob: blob.as_slice().into(),
        })
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

/// A value that was opened, and how.
struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    data_key: DataKey,
    /// Place of the wrap that worked.
    index: u8,
}

/// The stored bytes of a version, taken apart: a count, that many length-prefixed sealed wraps, the sealed value.
struct Record<'a> {
    wraps: Vec<&'a [u8]>,
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
        Some(Self { wraps, value: fields.rest() })
    }
}

/// Exactly the encryption context that AWS Secrets Manager uses.
fn context<'a>(identity: &Identity<'a>) -> [(&'a str, &'a str); 2] {
    [("SecretARN", identity.arn), ("SecretVersionId", identity.version.as_str())]
}

fn checked(wrapped: WrappedKey) -> std::result::Result<WrappedKey, KeyError> {
    let WrappedKey { provider, key_arn, key_version, blob } = &wrapped;
    let names = [provider, key_arn, key_version];
    let is_bounded = (1..=WRAPPED_KEY_BYTES_MAX).contains(&blob.len())
        && names.into_iter().all(|name| name.len() <= KEY_NAME_BYTES_MAX);
    if is_bounded { Ok(wrapped) } else { Err(KeyError::Internal) }
}

fn key_use(requested: &KmsKeyId, wrapped: &WrappedKey) -> KeyUse {
    KeyUse {
        requested: requested.clone(),
        provider: wrapped.provider.clone(),
        key_arn: wrapped.key_arn.clone(),
        key_version: wrapped.key_version.clone(),
    }
}

/// Refuses a key that is in a state in which nothing may be sealed under it.
pub(crate) fn require_usable(key: &KeyHandle) -> Result<()> {
    let failed = |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
    key.state.require_enabled().map_err(failed)
}

/// A new root key for a store, wrapped under one of the provider's keys, which has to show that it unwraps it again: a store
/// that nobody can open must not be made.
pub(crate) fn new_root(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    tenant: &Tenant,
    key: &KmsKeyId,
    store: &Uuid,
) -> Result<(DataKey, WrappedKey)> {
    let store = store.to_string();
    let pairs = root_context(&store);
    let context = EncryptionContext::new(&pairs);
    let (root, wrapped) = new_key(provider, entropy, tenant, key, &context)?;
    let error = match provider.unwrap(&wrapped, &context, &Call::new(entropy)) {
        Ok(unwrapped) if unwrapped == root => return Ok((root, wrapped)),
        Ok(_) => KeyError::Internal,
        Err(error) => error,
    };
    Err(on_write(ProviderFailure { key: wrapped.key_arn.to_string(), operation: KeyOperation::Unwrap, error }))
}

/// A new key for an export, wrapped under the provider's default key.
///
/// The provider has to show that it can unwrap it again, unless it may not: whoever may only encrypt makes exports for
/// others.
pub(crate) fn new_export_key(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    tenant: &Tenant,
    export: &Uuid,
) -> Result<(DataKey, WrappedKey)> {
    let export = export.to_string();
    let pairs = export_context(&export);
    let context = EncryptionContext::new(&pairs);
    let (key, wrapped) = new_key(provider, entropy, tenant, &KmsKeyId::Default, &context)?;
    let failed =
        |error| on_write(ProviderFailure { key: wrapped.key_arn.to_string(), operation: KeyOperation::Unwrap, error });
    match provider.unwrap(&wrapped, &context, &Call::new(entropy)) {
        Ok(unwrapped) if unwrapped == key => Ok((key, wrapped)),
        Err(KeyError::AccessDenied) => Ok((key, wrapped)),
        Ok(_) => Err(failed(KeyError::Internal)),
        Err(error) => Err(failed(error)),
    }
}

/// A key from our own random source, wrapped under one of the provider's keys.
fn new_key(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    tenant: &Tenant,
    key: &KmsKeyId,
    context: &EncryptionContext<'_>,
) -> Result<(DataKey, WrappedKey)> {
    let call = Call::new(entropy);
    let scope = KeyScope::new(tenant.partition(), tenant.account(), tenant.region());
    let shown = key.shown().unwrap_or(DEFAULT_KEY_ALIAS);
    let failed = |operation| move |error| on_write(ProviderFailure { key: shown.to_owned(), operation, error });
    let handle = provider.resolve(&scope, key.as_key_ref(), &call).map_err(failed(KeyOperation::Resolve))?;
    handle.state.require_enabled().map_err(failed(KeyOperation::Wrap))?;
    // Never from the provider: one that repeats itself must not repeat a store.
    let new = DataKey::generate(entropy)?;
    let wrapped = provider.wrap(&handle, &new, context, &call).and_then(checked).map_err(failed(KeyOperation::Wrap))?;
    Ok((new, wrapped))
}

/// Opens the root key of a store.
pub(crate) fn open_root(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    store: &Uuid,
    wrapped: &WrappedKey,
) -> std::result::Result<DataKey, Error> {
    let store = store.to_string();
    open_key(provider, entropy, ["store", "root key"], wrapped, &EncryptionContext::new(&root_context(&store)))
}

/// Opens the key of an export.
pub(crate) fn open_export_key(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    export: &Uuid,
    wrapped: &WrappedKey,
) -> Result<DataKey> {
    let export = export.to_string();
    open_key(provider, entropy, ["export", "key"], wrapped, &EncryptionContext::new(&export_context(&export)))
}

fn open_key(
    provider: &dyn KeyProvider,
    entropy: &dyn Entropy,
    [owner, what]: [&str; 2],
    wrapped: &WrappedKey,
    context: &EncryptionContext<'_>,
) -> Result<DataKey> {
    provider.unwrap(wrapped, context, &Call::new(entropy)).map_err(|error| {
        let failure = ProviderFailure { key: wrapped.key_arn.to_string(), operation: KeyOperation::Unwrap, error };
        if failure.error.is_outage() {
            return on_read(failure);
        }
        let text = match failure.error {
            KeyError::WrongPassphrase => format!(
                "this is not the passphrase of the {owner}: it was made with another one, or changed to another one since"
            ),
            _ => format!(
                "the key provider cannot open this {owner}'s {what}, which is wrapped under `{}`: {}",
                failure.key, failure.error
            ),
        };
        let fault = KeyFault::new(failure.key, failure.error.reason(), failure.operation);
        Error::new(ErrorKind::WrongKey(fault), text).with_source(failure.error)
    })
}

fn root_context(store: &str) -> [(&str, &str); 1] {
    [("strongroom:store", store)]
}

fn export_context(export: &str) -> [(&str, &str); 1] {
    [("strongroom:export", export)]
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
        KeyError::Disabled
        | KeyError::PendingDeletion
        | KeyError::PendingImport
        | KeyError::Corrupt
        | KeyError::WrongPassphrase
        | KeyError::Unsupported => (
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key \
             is available, enabled, and not in an invalid state.",
            ErrorKind::EncryptionFailure,
        ),
        KeyError::WrongUsage => ("Cannot generate a data key with an asymmetric KMS key", ErrorKind::EncryptionFailure),
        KeyError::Throttled | KeyError::Unavailable | KeyError::Timeout | KeyError::Entropy | KeyError::Internal => {
            return outage(failure);
        }
    };
    key_error(failure, text, make)
}

const CANNOT_DECRYPT: &str = "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";

/// What a caller that reads a value is told.
fn on_read(failure: ProviderFailure) -> Error {
    match failure.error {
        KeyError::AccessDenied => key_error(failure, "Access to KMS is not allowed", ErrorKind::KeyAccessDenied),
        KeyError::Throttled | KeyError::Unavailable | KeyError::Timeout | KeyError::Entropy | KeyError::Internal => {
            outage(failure)
        }
        KeyError::Unsupported => {
            let text = format!("{CANNOT_DECRYPT} Here, {}.", failure.error);
            key_error(failure, text, ErrorKind::DecryptionFailure)
        }
        KeyError::NotFound
        | KeyError::Disabled
        | KeyError::PendingDeletion
        | KeyError::PendingImport
        | KeyError::WrongUsage
        | KeyError::Corrupt
        | KeyError::WrongPassphrase => key_error(failure, CANNOT_DECRYPT, ErrorKind::DecryptionFailure),
    }
}

fn outage(failure: ProviderFailure) -> Error {
    if failure.error == KeyError::Entropy {
        return EntropyError::new().into();
    }
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
