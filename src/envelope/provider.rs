//! Seam: who holds the keys that wrap data keys.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};
use crate::error::{KeyFaultReason, KeyOperation};
use crate::model::tenant::partition_of;
use crate::model::version::{DEFAULT_KEY_ALIAS, KmsKeyId};

/// Longest wrapped key, in bytes, that is accepted from a provider.
pub const WRAPPED_KEY_BYTES_MAX: usize = 8 * 1024;

/// Longest provider id, key ARN and key version, in bytes, that are accepted from a provider.
pub const KEY_NAME_BYTES_MAX: usize = 16 * 1024;

/// A key management service: many named keys with states, that wrap and unwrap data keys.
///
/// [`LocalKeyring`](crate::LocalKeyring) keeps many keys in one file, [`StaticKey`](crate::StaticKey) is one key in
/// hand. Implement this trait to use a service or a device of your own, and run
/// `strongroom::testing::key_provider_conformance` (feature `testing`) on the result.
///
/// # Contract for implementers
///
/// * All methods are called from any thread, several at a time, and never while the store holds a lock: a slow provider
///   delays only its own caller.
/// * The encryption context must be authenticated: what was wrapped under one context must not unwrap under another.
///   For versions of secrets it is exactly what AWS Secrets Manager uses, `SecretARN` and `SecretVersionId`.
/// * `unwrap` enforces the state of the key itself. The store also checks the state that `resolve` reports before it
///   wraps, but never instead of the provider.
/// * An unknown key, a refusal and an outage are different errors; see [`KeyError`]. Nothing in an error is secret.
/// * A wrapped key is at most [`WRAPPED_KEY_BYTES_MAX`] bytes long, and its names at most [`KEY_NAME_BYTES_MAX`]; more is
///   refused.
/// * A provider takes randomness only from the [`Call`]. Its deadline is the store's wish; today the store never sets one.
/// * An answer that was remembered is no proof: where [`Call::is_proof`] is set, whoever holds the key is asked.
/// * What another provider wrapped, and what is longer than this provider ever makes, is [`KeyError::NotFound`] or
///   [`KeyError::Corrupt`].
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// A short, stable name. It is stored with every wrapped key, so that several providers can share a store.
    fn id(&self) -> &str;

    /// Finds a key by what the caller wrote, in the caller's account and Region.
    ///
    /// [`KeyRef::Default`] names `alias/aws/secretsmanager`, which the provider creates on first use for each account
    /// and Region. Creation must be durable before this returns.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotFound`] for an unknown key or alias, [`KeyError::AccessDenied`], or an outage. A key in a state
    /// that forbids its use is found, not refused.
    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError>;

    /// Wraps a data key under the newest version of a key.
    ///
    /// # Errors
    ///
    /// The state of the key, a refusal or an outage.
    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError>;

    /// Unwraps what [`wrap`](Self::wrap) made under the same context, whatever version of the key made it.
    ///
    /// # Errors
    ///
    /// The state of the key, a refusal, an outage, or [`KeyError::Corrupt`] if the wrapped key or the context is not
    /// what was wrapped.
    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError>;

    /// Makes a data key and wraps it. Override where the service makes better keys than the store's random source.
    ///
    /// # Errors
    ///
    /// As [`wrap`](Self::wrap); [`KeyError::Entropy`] if the random source fails.
    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        let data_key = DataKey::generate(call.entropy)?;
        let wrapped = self.wrap(key, &data_key, context, call)?;
        Ok((data_key, wrapped))
    }

    /// What the provider is like. For diagnostics; the store behaves the same whatever this says.
    fn traits(&self) -> ProviderTraits {
        ProviderTraits::default()
    }
}

/// A provider that is shared: by several stores, or with whoever manages its keys.
impl<P: KeyProvider + ?Sized> KeyProvider for Arc<P> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        (**self).resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        (**self).wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        (**self).unwrap(wrapped, context, call)
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        (**self).generate(key, context, call)
    }

    fn traits(&self) -> ProviderTraits {
        (**self).traits()
    }
}

/// What a provider is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderTraits {
    /// Calls leave the process and may be slow.
    pub remote: bool,
}

impl ProviderTraits {
    /// The traits of a provider whose calls leave the process.
    #[must_use]
    pub fn remote() -> Self {
        Self { remote: true }
    }
}

/// How a caller names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRef<'a> {
    /// `alias/aws/secretsmanager` of the account and Region.
    Default,
    /// A key id.
    Id(&'a str),
    /// The ARN of a key.
    Arn(&'a str),
    /// `alias/…`, in the account and Region of the scope.
    Alias(&'a str),
    /// The ARN of an alias.
    AliasArn(&'a str),
}

impl<'a> KeyRef<'a> {
    /// Sorts a text into one of the forms. Any text has one; whether there is such a key is for the provider to say.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        if text.is_empty() || text == DEFAULT_KEY_ALIAS {
            Self::Default
        } else if text.starts_with("alias/") {
            Self::Alias(text)
        } else if !text.starts_with("arn:") {
            Self::Id(text)
        } else if text.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("alias/")) {
            Self::AliasArn(text)
        } else {
            Self::Arn(text)
        }
    }

    /// The Region that an ARN names.
    pub(crate) fn region(&self) -> Option<&'a str> {
        match self {
            Self::Arn(arn) | Self::AliasArn(arn) => arn.split(':').nth(3),
            Self::Default | Self::Id(_) | Self::Alias(_) => None,
        }
    }
}

impl KmsKeyId {
    pub(crate) fn as_key_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Default => KeyRef::Default,
            Self::Given(text) => KeyRef::parse(text),
        }
    }
}

/// The account and Region of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyScope<'a> {
    /// The partition, for example `aws`.
    pub partition: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// For example `us-east-1`.
    pub region: &'a str,
}

impl<'a> KeyScope<'a> {
    /// A scope.
    #[must_use]
    pub fn new(partition: &'a str, account: &'a str, region: &'a str) -> Self {
        Self { partition, account, region }
    }

    /// The scope of an account and a Region, in the partition that the Region belongs to.
    #[must_use]
    pub fn of(account: &'a str, region: &'a str) -> Self {
        Self { partition: partition_of(region), account, region }
    }
}

/// Whether a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// The key may be used.
    Enabled,
    /// The key is switched off.
    Disabled,
    /// The key will be deleted.
    PendingDeletion,
    /// The key has no material yet.
    PendingImport,
    /// The key's store cannot be reached.
    Unavailable,
}

impl KeyState {
    /// Refuses every state but [`KeyState::Enabled`].
    ///
    /// # Errors
    ///
    /// The error that stands for the state.
    pub fn require_enabled(self) -> Result<(), KeyError> {
        match self {
            Self::Enabled => Ok(()),
            Self::Disabled => Err(KeyError::Disabled),
            Self::PendingDeletion => Err(KeyError::PendingDeletion),
            Self::PendingImport => Err(KeyError::PendingImport),
            Self::Unavailable => Err(KeyError::Unavailable),
        }
    }
}

/// A key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyHandle {
    /// The key's ARN.
    pub arn: Arc<str>,
    /// The version of its material that wraps now.
    pub version: Arc<str>,
    /// Its state.
    pub state: KeyState,
    /// Whether it is the account's default key.
    pub aws_managed: bool,
}

impl KeyHandle {
    /// An enabled key that is not the default key.
    pub fn new(arn: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> Self {
        Self { arn: arn.into(), version: version.into(), state: KeyState::Enabled, aws_managed: false }
    }

    /// The same key in this state.
    #[must_use]
    pub fn with_state(mut self, state: KeyState) -> Self {
        self.state = state;
        self
    }

    /// The same key as the account's default key.
    #[must_use]
    pub fn aws_managed(mut self, aws_managed: bool) -> Self {
        self.aws_managed = aws_managed;
        self
    }
}

/// A data key as a provider returned it, with the key that made it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrappedKey {
    /// [`KeyProvider::id`] of the provider.
    pub provider: Arc<str>,
    /// The ARN of the key.
    pub key_arn: Arc<str>,
    /// The version of the key's material.
    pub key_version: Arc<str>,
    /// What the provider needs to unwrap it, at most [`WRAPPED_KEY_BYTES_MAX`] bytes.
    pub blob: Box<[u8]>,
}

impl WrappedKey {
    /// A wrapped key.
    pub fn new(
        provider: impl Into<Arc<str>>,
        key_arn: impl Into<Arc<str>>,
        key_version: impl Into<Arc<str>>,
        blob: impl Into<Box<[u8]>>,
    ) -> Self {
        Self { provider: provider.into(), key_arn: key_arn.into(), key_version: key_version.into(), blob: blob.into() }
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, key_arn, key_version, blob } = self;
        f.debug_struct("WrappedKey")
            .field("provider", provider)
            .field("key_arn", key_arn)
            .field("key_version", key_version)
            .field("blob", &format_args!("[{} bytes]", blob.len()))
            .finish()
    }
}

/// A 256-bit data key in the clear: wiped on drop, never cloned, never printed.
pub struct DataKey(Box<Zeroizing<[u8; 32]>>);

impl DataKey {
    /// A key whose bytes are written in place.
    ///
    /// # Errors
    ///
    /// Whatever `fill` returns.
    pub fn fill<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new(Zeroizing::new([0; 32])));
        fill(&mut key.0)?;
        Ok(key)
    }

    /// A random key.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Self::fill(|bytes| entropy.fill(bytes))
    }

    /// A copy of 32 bytes. `None` if there are not exactly 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Self::fill(|key| {
            key.copy_from_slice(bytes);
            Ok::<(), EntropyError>(())
        })
        .ok()
    }

    /// The bytes. Keep the borrow short.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_slice().ct_eq(other.expose().as_slice()).into()
    }
}

impl Eq for DataKey {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([redacted; 32 bytes])")
    }
}

/// What a wrapped key is bound to: pairs of names and values, as AWS KMS knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionContext<'a>(&'a [(&'a str, &'a str)]);

impl<'a> EncryptionContext<'a> {
    /// A context. Names should be unique; [`canonical`](Self::canonical) does not depend on their order.
    #[must_use]
    pub fn new(pairs: &'a [(&'a str, &'a str)]) -> Self {
        Self(pairs)
    }

    /// The pairs.
    #[must_use]
    pub fn pairs(&self) -> &'a [(&'a str, &'a str)] {
        self.0
    }

    /// One byte string for each context: pairs sorted by name, every text preceded by its length as four big-endian
    /// bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut pairs = self.0.to_vec();
        pairs.sort_unstable();
        let mut out = Vec::with_capacity(128);
        for (name, value) in pairs {
            crate::envelope::ad::push_field(&mut out, name.as_bytes());
            crate::envelope::ad::push_field(&mut out, value.as_bytes());
        }
        out
    }
}

/// What a provider may use while it works.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// When to give up. `None`: whenever the provider thinks right.
    pub deadline: Option<Instant>,
    /// The only source of randomness.
    pub entropy: &'a dyn Entropy,
    /// The answer is to prove that the key works: whoever remembers answers of another provider must ask it.
    pub is_proof: bool,
}

impl<'a> Call<'a> {
    /// A call without a deadline.
    #[must_use]
    pub fn new(entropy: &'a dyn Entropy) -> Self {
        Self { deadline: None, entropy, is_proof: false }
    }

    /// The same call, whose answer is to prove that the key works.
    #[must_use]
    pub fn as_proof(mut self) -> Self {
        self.is_proof = true;
        self
    }

    /// The same call with a deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// Why a provider could not do what it was asked. Carries no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No such key or alias.
    #[error("there is no such key")]
    NotFound,
    /// The key is disabled.
    #[error("the key is disabled")]
    Disabled,
    /// The key is scheduled for deletion.
    #[error("the key is scheduled for deletion")]
    PendingDeletion,
    /// The key has no material yet.
    #[error("the key's material has not been imported")]
    PendingImport,
    /// The provider refuses this caller.
    #[error("access to the key is refused")]
    AccessDenied,
    /// The key cannot make data keys.
    #[error("the key cannot wrap data keys")]
    WrongUsage,
    /// The wrapped key or the context is not what was wrapped.
    #[error("the wrapped key does not authenticate")]
    Corrupt,
    /// The wrapped key is under another passphrase.
    #[error("the passphrase is not the one that the key was wrapped under")]
    WrongPassphrase,
    /// The wrapped key needs a function that this build does not have.
    #[error("this build cannot derive the key: it lacks Argon2id; build it with the feature `passphrase`")]
    Unsupported,
    /// The provider limits the request rate.
    #[error("the key provider limits the request rate")]
    Throttled,
    /// The provider cannot be reached.
    #[error("the key provider cannot be reached")]
    Unavailable,
    /// The provider did not answer in time.
    #[error("the key provider did not answer in time")]
    Timeout,
    /// The source of randomness that the [`Call`] brought failed.
    #[error("the source of random bytes failed")]
    Entropy,
    /// The provider failed.
    #[error("the key provider failed")]
    Internal,
}

impl From<EntropyError> for KeyError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl KeyError {
    pub(crate) fn reason(&self) -> KeyFaultReason {
        match self {
            Self::NotFound => KeyFaultReason::NotFound,
            Self::Disabled => KeyFaultReason::Disabled,
            Self::PendingDeletion => KeyFaultReason::PendingDeletion,
            Self::PendingImport => KeyFaultReason::PendingImport,
            Self::AccessDenied => KeyFaultReason::AccessDenied,
            Self::WrongUsage => KeyFaultReason::WrongUsage,
            Self::Corrupt => KeyFaultReason::Corrupt,
            Self::WrongPassphrase => KeyFaultReason::WrongPassphrase,
            Self::Unsupported => KeyFaultReason::Unsupported,
            Self::Throttled => KeyFaultReason::Throttled,
            Self::Unavailable => KeyFaultReason::Unavailable,
            Self::Timeout => KeyFaultReason::Timeout,
            Self::Entropy | Self::Internal => KeyFaultReason::Internal,
        }
    }

    /// Whether the provider, and not the key or the caller, is in the way.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Timeout | Self::Entropy | Self::Internal)
    }
}

/// A failed call to a provider, with what it was about.
#[derive(Debug)]
pub(crate) struct ProviderFailure {
    pub(crate) key: String,
    pub(crate) operation: KeyOperation,
    pub(crate) error: KeyError,
}
