//! One key in hand, under any name.

use std::fmt;

use zeroize::Zeroizing;

use crate::envelope::local::OnlyKey;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::SealingKey;

const ID: &str = "static";

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
pub struct StaticKey(SealingKey);

impl StaticKey {
    /// Takes the key. Whoever passes it should wipe their own copy.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self(SealingKey::new(&key))
    }

    fn only(&self) -> OnlyKey<'_> {
        OnlyKey { provider: ID, key_id: ID, key: &self.0 }
    }
}

impl KeyProvider for StaticKey {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        Ok(OnlyKey::resolve(scope, key))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.only().wrap(&key.arn, data_key, context, call.entropy)
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        self.only().unwrap(wrapped, context)
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKey([redacted])")
    }
}
