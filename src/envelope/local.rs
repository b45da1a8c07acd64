//! Wrapping with a key that is in memory: what every local provider has in common.
//!
//! A wrapped key names the key and the version that made it, so that "unknown key" and "damaged" can be told apart.

use std::sync::Arc;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, Fields, push_field};
use crate::envelope::provider::{DataKey, EncryptionContext, KeyError, KeyHandle, KeyRef, KeyScope, WrappedKey};
use crate::envelope::seal::{Label, SUITE, SealingKey};
use crate::model::version::DEFAULT_KEY_ALIAS;

/// Longest key id that a wrapped key may name.
const KEY_ID_BYTES_MAX: usize = 256;

/// The parts of a wrapped key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) key_version: u32,
    sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, KeyError> {
        let mut fields = Fields::new(bytes);
        let mut parse = || {
            (u16::from_be_bytes(fields.array()?) == SUITE).then_some(())?;
            let key_id = fields.text(KEY_ID_BYTES_MAX)?;
            let key_version = u32::from_be_bytes(fields.array()?);
            Some(Self { key_id, key_version, sealed: fields.rest() })
        };
        parse().ok_or(KeyError::Corrupt)
    }
}

/// Wraps a data key.
pub(crate) fn wrap(
    key: &SealingKey,
    key_id: &str,
    key_arn: &str,
    key_version: u32,
    data_key: &DataKey,
    context: &EncryptionContext<'_>,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, KeyError> {
    let mut blob = Vec::with_capacity(256);
    blob.extend_from_slice(&SUITE.to_be_bytes());
    push_field(&mut blob, key_id.as_bytes());
    blob.extend_from_slice(&key_version.to_be_bytes());
    let ad = ad::wrap(&context.canonical(), key_arn, key_version);
    key.seal_into(Label::Wrap, ad.as_bytes(), data_key.expose(), entropy, &mut blob)?;
    Ok(blob)
}

/// Unwraps a data key with the key that its blob names.
pub(crate) fn unwrap(
    key: &SealingKey,
    key_arn: &str,
    blob: &Blob<'_>,
    context: &EncryptionContext<'_>,
) -> Result<DataKey, KeyError> {
    let ad = ad::wrap(&context.canonical(), key_arn, blob.key_version);
    let opened = key.open(Label::Wrap, ad.as_bytes(), blob.sealed).map_err(|_| KeyError::Corrupt)?;
    DataKey::from_slice(&opened).ok_or(KeyError::Corrupt)
}

/// The handle of a provider's only key, under whatever name the caller gave it.
pub(super) fn only_key(scope: &KeyScope<'_>, key: KeyRef<'_>, version: u32) -> KeyHandle {
    let KeyScope { partition, account, region } = scope;
    let arn = match key {
        KeyRef::Default => format!("arn:{partition}:kms:{region}:{account}:alias/aws/secretsmanager"),
        KeyRef::Arn(arn) | KeyRef::AliasArn(arn) => arn.to_owned(),
        KeyRef::Alias(alias) => format!("arn:{partition}:kms:{region}:{account}:{alias}"),
        KeyRef::Id(id) => format!("arn:{partition}:kms:{region}:{account}:key/{id}"),
    };
    let is_default = key == KeyRef::Default || arn.ends_with(&format!(":{DEFAULT_KEY_ALIAS}"));
    KeyHandle::new(arn, version.to_string()).aws_managed(is_default)
}

/// The key of a provider that has no other, and what wrapping with it is called.
pub(super) struct OnlyKey<'a> {
    pub(super) provider: &'a str,
    pub(super) key_id: &'a str,
    pub(super) key: &'a SealingKey,
}

impl OnlyKey<'_> {
    /// A key that is never rotated has this version.
    const VERSION: u32 = 1;

    pub(super) fn resolve(scope: &KeyScope<'_>, key: KeyRef<'_>) -> KeyHandle {
        only_key(scope, key, Self::VERSION)
    }

    pub(super) fn wrap(
        &self,
        key_arn: &Arc<str>,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, KeyError> {
        let blob = wrap(self.key, self.key_id, key_arn, Self::VERSION, data_key, context, entropy)?;
        Ok(WrappedKey::new(self.provider, Arc::clone(key_arn), Self::VERSION.to_string(), blob))
    }

    /// What another key wrapped is not found, so that it is told apart from damage.
    pub(super) fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *self.provider {
            return Err(KeyError::NotFound);
        }
        let blob = Blob::parse(&wrapped.blob)?;
        if blob.key_id != self.key_id || blob.key_version != Self::VERSION {
            return Err(KeyError::NotFound);
        }
        unwrap(self.key, &wrapped.key_arn, &blob, context)
    }
}
