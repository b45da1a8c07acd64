//! How new passwords are made.

use crate::api::GetRandomPasswordRequest;
use crate::model::value::SecretString;
use crate::store::{RotationError, SecretsManager};

/// Characters that connection strings and shells take amiss.
const EXCLUDED: &str = ":/@\"'\\";

/// What a strategy was told about its passwords.
#[derive(Debug, Clone)]
pub(super) struct PasswordRules {
    pub(super) length: Option<i64>,
    pub(super) exclude_characters: String,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { length: None, exclude_characters: EXCLUDED.to_owned() }
    }
}

impl PasswordRules {
    pub(super) fn make(&self, secrets: &SecretsManager) -> Result<SecretString, RotationError> {
        let mut request = GetRandomPasswordRequest::new().exclude_characters(self.exclude_characters.as_str());
        if let Some(length) = self.length {
            request = request.password_length(length);
        }
        Ok(secrets.get_random_password(request)?.random_password)
    }
}
