//! PBKDF2-HMAC-SHA-256, by `ring`: what there is in every build.

use std::num::NonZeroU32;

use ring::pbkdf2;

use crate::envelope::provider::KeyError;
use crate::envelope::seal::SealingKey;

/// A key of 32 bytes.
pub(super) fn derive(passphrase: &[u8], salt: &[u8], iterations: u32) -> Result<SealingKey, KeyError> {
    SealingKey::fill(|key| derive_into(passphrase, salt, iterations, key))
}

/// As many bytes as there is room for. Without iterations there is no key.
pub(crate) fn derive_into(passphrase: &[u8], salt: &[u8], iterations: u32, key: &mut [u8]) -> Result<(), KeyError> {
    let iterations = NonZeroU32::new(iterations).ok_or(KeyError::Corrupt)?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, passphrase, key);
    Ok(())
}
