//! What the operations that bring a value have in common: the token, the value, and the repeated token.

use crate::entropy::random_uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::{DEFAULT_KEY_ALIAS, KmsKeyId, VersionId};
use crate::store::SecretsManager;

impl SecretsManager {
    /// The token of a request, or a new one where the caller need not bring one.
    pub(super) fn client_request_token(&self, token: Option<String>) -> Result<VersionId> {
        match token {
            Some(token) => Ok(VersionId::new(token)),
            None if self.settings().require_client_request_token => Err(Error::invalid_request(
                "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
            )),
            None => Ok(VersionId::new(random_uuid(self.entropy())?.to_string())),
        }
    }
}

/// The value of a request: one form or none.
pub(super) fn value(string: Option<SecretString>, binary: Option<SecretBytes>) -> Result<Option<SecretValue>> {
    match (string, binary) {
        (Some(_), Some(_)) => {
            Err(Error::invalid_parameter("You must provide either SecretString or SecretBinary, but not both."))
        }
        (Some(string), None) => Ok(Some(SecretValue::String(string))),
        (None, Some(binary)) => Ok(Some(SecretValue::Binary(binary))),
        (None, None) => Ok(None),
    }
}

/// The key of a request. The ARN of the default key's alias, in the caller's own account and Region, means the default key
/// as much as the alias does.
pub(super) fn kms_key_id(text: &str, tenant: &Tenant) -> KmsKeyId {
    let (partition, region, account) = (tenant.partition(), tenant.region(), tenant.account());
    let is_default = text == format!("arn:{partition}:kms:{region}:{account}:{DEFAULT_KEY_ALIAS}");
    if is_default { KmsKeyId::Default } else { KmsKeyId::parse(text) }
}

/// What a token means for a secret that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// It names no version, or one that waits for its value.
    New,
    /// It names a version with another value than the request's, or it is not known yet whether it does.
    Taken { is_same: Option<bool> },
}

pub(super) fn token(secret: &Secret, token: &VersionId, is_same: Option<bool>) -> Token {
    match secret.version(token) {
        Some(version) if version.has_value() => Token::Taken { is_same },
        _ => Token::New,
    }
}

/// The token was used before with another value.
pub(super) fn token_taken(secret: &Secret, token: &VersionId) -> Error {
    Error::new(
        ErrorKind::ResourceExists,
        format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
            secret.arn
        ),
    )
}
