//! Envelope encryption: the only code that sees values and keys together.
//!
//! Every version of a secret has a data key of its own, which the key provider wraps under the secret's KMS key. What
//! the provider returns is sealed once more under the store's root key, so that neither the store nor the provider's
//! keys alone open anything. This module knows values and ids, not where they are kept.

pub(crate) mod ad;
pub(crate) mod cache;
pub(crate) mod carried;
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
mod wraps;

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};
use crate::envelope::ad::Ad;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KEY_NAME_BYTES_MAX, KeyError, KeyHandle, KeyProvider, KeyScope, ProviderFailure,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::envelope::root::{KeyTime, RootKeys, Roots};
use crate::envelope::seal::{Label, OpenError, SealingKey};
use crate::envelope::wraps::{Record, Wrap};
use crate::error::{Error, ErrorKind, KeyFault, KeyFaultReason, KeyOperation, Result};
use crate::model::tenant::Tenant;
use crate::model::value::{SecretValue, ValueKind};
use crate::model::version::{Content, DEFAULT_KEY_ALIAS, KeyRole, KmsKeyId, VersionId};

pub(crate) use crate::envelope::wraps::{Renewal, Renewed, Rewrapped, WRAPS_MAX, Wanted};

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

/// A key that everything is wrapped under besides its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) key: KmsKeyId,
    /// The store's root key as it is wrapped for this one: whoever unwraps it is who is meant.
    pub(crate) root: WrappedKey,
}

/// The recipients of a store.
#[derive(Debug, Default)]
struct Recipients {
    list: Vec<Recipient>,
    /// ARNs and versions of keys that were seen to be those of recipients.
    genuine: Vec<(Arc<str>, Arc<str>)>,
}

/// A version as it is stored, with what it takes to open it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredVersion<'a> {
    /// What its wrapped keys are sealed under.
    pub(crate) root: &'a RootKeys,
    pub(crate) identity: Identity<'a>,
    /// The key that the secret uses now, whose wrap is tried first.
    pub(crate) current: &'a KmsKeyId,
    pub(crate) content: &'a Content,
    pub(crate) record: &'a [u8],
}

/// A sealed version: how to open it, and the bytes to store.
#[derive(Debug, Clone)]
pub(crate) struct SealedVersion {
    pub(crate) content: Content,
    pub(crate) record: Vec<u8>,
    /// When its data key was wrapped.
    pub(crate) time: KeyTime,
}

/// Seals and opens values.
#[derive(Debug)]
pub(crate) struct Envelope {
    provider: Arc<dyn KeyProvider>,
    entropy: Arc<dyn Entropy>,
    store: Uuid,
    /// Where the keys of recipients are looked for.
    home: Arc<Tenant>,
    recipients: RwLock<Recipients>,
}

impl Envelope {
    pub(crate) fn new(
        provider: Arc<dyn KeyProvider>,
        entropy: Arc<dyn Entropy>,
        store: Uuid,
        home: Arc<Tenant>,
        recipients: Vec<Recipient>,
    ) -> Self {
        let recipients = RwLock::new(Recipients { list: recipients, genuine: Vec::new() });
        Self { provider, entropy, store, home, recipients }
    }

    /// Keys that every data key is wrapped under besides the secret's own.
    pub(crate) fn recipients(&self) -> Vec<Recipient> {
        self.recipients.read().unwrap_or_else(PoisonError::into_inner).list.clone()
    }

    /// From now on every new data key is wrapped under these too.
    pub(crate) fn set_recipients(&self, recipients: Vec<Recipient>) {
        let new = Recipients { list: recipients, genuine: Vec::new() };
        *self.recipients.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// The account and Region in which keys of the store are looked for.
    pub(crate) fn home(&self) -> &Tenant {
        &self.home
    }

    fn call(&self) -> Call<'_> {
        Call::new(&*self.entropy)
    }

    /// A call whose answer nobody may remember from earlier.
    fn proof(&self) -> Call<'_> {
        self.call().as_proof()
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
        roots: &Roots,
        identity: Identity<'_>,
        requested: &KmsKeyId,
        key: &KeyHandle,
        value: &SecretValue,
    ) -> Result<SealedVersion> {
        require_usable(key)?;
        let failed =
            |error| on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error });
        let pairs = context(&identity);
        let context = EncryptionContext::new(&pairs);
        let (data_key, wrapped) = self.provider.generate(key, &context, &self.call()).map_err(failed)?;
        let wrapped = checked(wrapped).map_err(failed)?;
        let own = Wrap::new(requested, KeyRole::Secret, wrapped);
        let mut wraps = vec![own];
        for recipient in self.recipients() {
            let handle = self.recipient_key(&recipient)?;
            if wraps.iter().all(|wrap| wrap.used.key_arn != handle.arn) {
                let wrapped = self.wrap(&handle, &data_key, &context)?;
                wraps.push(Wrap::new(&recipient.key, KeyRole::Recovery, wrapped));
            }
        }
        let sealed = self.seal_value(&identity, value.kind(), value.expose(), &data_key)?;
        self.assemble(roots, &identity, value.kind(), wraps, &sealed)
    }

    fn seal_value(
        &self,
        identity: &Identity<'_>,
        kind: ValueKind,
        plaintext: &[u8],
        data_key: &DataKey,
    ) -> Result<Vec<u8>> {
        let ad = self.value_ad(identity, kind);
        Ok(SealingKey::new(data_key.expose()).seal(Label::Value, ad.as_bytes(), plaintext, &*self.entropy)?)
    }

    /// Finds the key of a recipient, which must be usable, and the one that became a recipient: a provider that takes every
    /// name for a key of its own would wrap for somebody else, and nobody would notice before the day on which it counts.
    pub(crate) fn recipient_key(&self, recipient: &Recipient) -> Result<KeyHandle> {
        let handle = self.resolve_for_store(&recipient.key)?;
        let known = (Arc::clone(&handle.arn), Arc::clone(&handle.version));
        if self.recipients.read().unwrap_or_else(PoisonError::into_inner).genuine.contains(&known) {
            return Ok(handle);
        }
        let store = self.store.to_string();
        let pairs = root_context(&store);
        match self.provider.unwrap(&recipient.root, &EncryptionContext::new(&pairs), &self.proof()) {
            // Whoever may only encrypt cannot be asked for proof.
            Ok(_) | Err(KeyError::AccessDenied) => {
                let mut recipients = self.recipients.write().unwrap_or_else(PoisonError::into_inner);
                if !recipients.genuine.contains(&known) {
                    recipients.genuine.push(known);
                }
                Ok(handle)
            }
            Err(error) => {
                Err(on_write(ProviderFailure { key: handle.arn.to_string(), operation: KeyOperation::Unwrap, error }))
            }
        }
    }

    /// Finds a key for the store itself, which must be usable.
    pub(crate) fn resolve_for_store(&self, key: &KmsKeyId) -> Result<KeyHandle> {
        let scope = KeyScope::new(self.home.partition(), self.home.account(), self.home.region());
        let shown = || key.shown().unwrap_or(DEFAULT_KEY_ALIAS).to_owned();
        let failed = |error| on_write(ProviderFailure { key: shown(), operation: KeyOperation::Resolve, error });
        let handle = self.provider.resolve(&scope, key.as_key_ref(), &self.call()).map_err(failed)?;
        require_usable(&handle).map(|()| handle)
    }

    /// Wraps a store's root key under a key, and says whether that key was seen to give it back: whoever may only encrypt
    /// cannot show it.
    pub(crate) fn wrap_root(&self, key: &KeyHandle, root: &DataKey) -> Result<(WrappedKey, bool)> {
        let store = self.store.to_string();
        let pairs = root_context(&store);
        let context = EncryptionContext::new(&pairs);
        let wrapped = self.wrap(key, root, &context)?;
        let is_proven = self.prove(&wrapped, root, &context)?;
        Ok((wrapped, is_proven))
    }

    /// Opens a store's root key.
    pub(crate) fn open_root(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        open_root(&*self.provider, &*self.entropy, &self.store, wrapped)
    }

    /// Wraps a data key under a key.
    fn wrap(&self, key: &KeyHandle, data_key: &DataKey, context: &EncryptionContext<'_>) -> Result<WrappedKey> {
        self.provider.wrap(key, data_key, context, &self.call()).and_then(checked).map_err(|error| {
            on_write(ProviderFailure { key: key.arn.to_string(), operation: KeyOperation::Wrap, error })
        })
    }

    /// Opens the value of a version.
    pub(crate) fn open(&self, stored: &StoredVersion<'_>) -> Result<SecretValue> {
        let opened = self.open_any(stored, &Record::parse(stored)?, &self.call())?;
        let Opened { plaintext, .. } = opened.map_err(on_read)?;
        SecretValue::from_plaintext(stored.content.kind, plaintext).ok_or_else(damaged)
    }

    /// Checks as much of a stored version as can be checked without its key: that it can be taken apart, and that what
    /// the provider returned for each of its keys is there and authenticates.
    pub(crate) fn check(&self, stored: &StoredVersion<'_>) -> Result<()> {
        self.open_wraps(stored, &Record::parse(stored)?).map(drop)
    }

    /// Opens the value with the first wrap that works. The inner error is that of the secret's current key, unless a key that
    /// would have opened it could not be asked.
    fn open_any(
        &self,
        stored: &StoredVersion<'_>,
        record: &Record<'_>,
        call: &Call<'_>,
    ) -> Result<std::result::Result<Opened, ProviderFailure>> {
        let StoredVersion { root, identity, current, content, .. } = stored;
        let pairs = context(identity);
        let context = EncryptionContext::new(&pairs);
        let ad = self.value_ad(identity, content.kind);
        // Newest first: the same alias may have led to another key before. Keys for recovery come last.
        let mut order: Vec<_> = (0..).zip(content.keys.iter().zip(&record.wraps)).collect();
        order.sort_by_key(|(index, (used, _))| {
            (used.role == KeyRole::Recovery, used.requested != **current, std::cmp::Reverse(*index))
        });
        let mut first_failure: Option<ProviderFailure> = None;
        for (index, (used, sealed)) in order {
            let wrapped = self.open_wrap(root, identity, index, used, sealed)?;
            let opened = self
                .provider
                .unwrap(&wrapped, &context, call)
                .map(|data_key| (seal::open(data_key.expose(), Label::Value, ad.as_bytes(), record.value), data_key));
            let error = match opened {
                Ok((Ok(plaintext), data_key)) => return Ok(Ok(Opened { plaintext, data_key, index })),
                Ok((Err(error @ OpenError::UnsupportedSuite(_)), _)) => return Err(unopened(error)),
                Ok((Err(OpenError::Tampered), _)) => KeyError::Corrupt,
                Err(error) => error,
            };
            let key = used.key_arn.to_string();
            let failure = ProviderFailure { key, operation: KeyOperation::Unwrap, error };
            match &first_failure {
                Some(ProviderFailure { error, .. }) if error.is_outage() || !failure.error.is_outage() => {}
                _ => first_failure = Some(failure),
            }
        }
        first_failure.map(Err).ok_or_else(damaged)
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
    provider.unwrap(wrapped, context, &Call::new(entropy).as_proof()).map_err(|error| {
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
