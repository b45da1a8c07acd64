//! One key in hand, under any name.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::envelope::local::OnlyKey;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::SealingKey;
use crate::error::{Error, Result};

const ID: &str = "static";

/// Longest id of a named key, in characters.
const KEY_ID_CHARS_MAX: usize = 64;

/// A provider with a single key of 32 bytes, which the application keeps.
///
/// Every key id, ARN and alias is accepted and stands for the same key: this is the provider for applications that do
/// not care about KMS keys, and for emulators that accept every plausible key. Keys have no states.
///
/// ```
/// use strongroom::{SecretStore, StaticKey};
///
/// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct StaticKey {
    key: SealingKey,
    /// The id of a named key, which is also the text of its version.
    name: Option<Arc<str>>,
}

impl StaticKey {
    /// Takes the key. Whoever passes it should wipe their own copy.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self { key: SealingKey::new(&key), name: None }
    }

    /// Takes a key that has an id, so that it can be told from other keys.
    ///
    /// What this key wraps names the id, and the id is also the key's version. What was wrapped under another id is
    /// [`KeyError::NotFound`], so that a [`RouterProvider`](crate::RouterProvider) over several keys goes on to the next,
    /// and a version of a secret that moves from one id to another is wrapped anew although its KMS key is called the same.
    /// A key without an id, as [`new`](Self::new) takes it, has the id `static`.
    ///
    /// `id` is not secret, and has 1 to 64 characters: ASCII letters, digits, `.`, `_` and `-`. Ids are not unique by
    /// themselves: two different keys under one id are told apart only by [`KeyError::Corrupt`].
    ///
    /// Whoever passes the key should wipe their own copy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the id is empty, too long or has other characters.
    ///
    /// ```
    /// use strongroom::{CreateSecretRequest, MemoryBackend, RouterProvider, SecretStore, StaticKey, UpdateSecretRequest};
    ///
    /// let backend = MemoryBackend::new();
    /// let old = || StaticKey::with_id("2025", [7; 32]);
    /// let store = SecretStore::with_backend(backend.clone()).key_provider(old()?).open()?;
    /// let created = CreateSecretRequest::new("db").secret_string("s3cret").kms_key_id("alias/db");
    /// store.default_secrets_manager().create_secret(created)?;
    /// store.close()?;
    ///
    /// let both = RouterProvider::new(StaticKey::with_id("2026", [8; 32])?).also(old()?);
    /// let store = SecretStore::with_backend(backend).key_provider(both).open()?;
    /// // The same name, and another key behind it: the versions with labels are wrapped anew.
    /// store.default_secrets_manager().update_secret(UpdateSecretRequest::new("db").kms_key_id("alias/db"))?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn with_id(id: impl AsRef<str>, key: [u8; 32]) -> Result<Self> {
        let key = Zeroizing::new(key);
        let id = id.as_ref();
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if id.is_empty() || id.len() > KEY_ID_CHARS_MAX || !id.bytes().all(is_legal) {
            let shown: String = id.chars().take(KEY_ID_CHARS_MAX).collect();
            return Err(Error::configuration(format!(
                "`{}` is not an id of a key: it needs 1 to {KEY_ID_CHARS_MAX} ASCII letters, digits, `.`, `_` and `-`",
                shown.escape_debug()
            )));
        }
        Ok(Self { key: SealingKey::new(&key), name: Some(id.into()) })
    }

    fn only(&self) -> OnlyKey<'_> {
        OnlyKey { provider: ID, key_id: self.name.as_deref().unwrap_or(ID), key: &self.key }
    }
}

impl KeyProvider for StaticKey {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let mut handle = OnlyKey::resolve(scope, key);
        if let Some(name) = &self.name {
            handle.version = Arc::clone(name);
        }
        Ok(handle)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let mut wrapped = self.only().wrap(&key.arn, data_key, context, call.entropy)?;
        if let Some(name) = &self.name {
            wrapped.key_version = Arc::clone(name);
        }
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        self.only().unwrap(wrapped, context)
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "StaticKey({name}, [redacted])"),
            None => f.write_str("StaticKey([redacted])"),
        }
    }
}
