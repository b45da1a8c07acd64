//! One key in hand, under any name.

use std::fmt;

use zeroize::Zeroizing;

use crate::envelope::local::{self, Blob};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::SealingKey;

const ID: &str = "static";
const VERSION: u32 = 1;

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
}

impl KeyProvider for StaticKey {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        Ok(local::only_key(scope, key, VERSION))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let blob = local::wrap(&self.0, ID, &key.arn, VERSION, data_key, context, call.entropy)?;
        Ok(WrappedKey::new(ID, key.arn.clone(), key.version.clone(), blob))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *ID {
            return Err(KeyError::NotFound);
        }
        let blob = Blob::parse(&wrapped.blob)?;
        if blob.key_id != ID || blob.key_version != VERSION {
            return Err(KeyError::NotFound);
        }
        local::unwrap(&self.0, &wrapped.key_arn, &blob, context)
    }
}

impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticKey([redacted])")
    }
}
