//! `UpdateSecret`.

use crate::access::Access;
use crate::api::write::{Token, kms_key_id, token, token_taken, value};
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::{KmsKeyId, VersionId};
use crate::run::{KeyWork, Moment, Operation, Plan, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::update_secret`].
    UpdateSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// 32 to 64 characters; becomes the id of the new version, if there is one.
            client_request_token: String,
            /// At most 2,048 characters. Empty removes the description; absent keeps it.
            description: String,
            /// The key that protects the values from now on. Empty: the default key. Absent: the same key.
            kms_key_id: String,
            /// The new value, as text: 1 to 65,536 bytes of UTF-8. Excludes `secret_binary`.
            secret_string: SecretString,
            /// The new value, as bytes: 1 to 65,536. Excludes `secret_string`.
            secret_binary: SecretBytes,
            /// The partner of a managed external secret, at most 256 characters (`Type` in the API).
            r#type: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::update_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    UpdateSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the version, if the request brought a value.
        version_id: Option<String>,
    }
}

impl SecretsManager {
    /// Changes the value, the description, the key or the type of a secret.
    ///
    /// A new value becomes a new version with the label `AWSCURRENT`, as with
    /// [`put_secret_value`](Self::put_secret_value) without labels.
    ///
    /// A new key wraps the data keys of the versions labelled `AWSCURRENT`, `AWSPENDING` and `AWSPREVIOUS`, which then
    /// open under the old key and the new one. Versions that the old key does not open, or for which the new key may not
    /// be used, stay as they are, and the call succeeds. Other versions keep their key.
    ///
    /// # Idempotency
    ///
    /// Repeating a call with the same token and the same value makes no new version and succeeds; other members are
    /// applied again.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`UpdateSecretRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): both forms of value are given.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): there is no token, and the store requires one.
    /// 4. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 5. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 6. [`ErrorKind::ResourceExists`](crate::ErrorKind::ResourceExists): the token names a version with another value.
    ///    [`ErrorKind::DecryptionFailure`](crate::ErrorKind::DecryptionFailure): that version could not be opened to
    ///    compare.
    /// 7. [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): the secret would have more than 20 labels, or
    ///    has too many versions that cannot be removed yet.
    /// 8. [`ErrorKind::KeyAccessDenied`](crate::ErrorKind::KeyAccessDenied),
    ///    [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey),
    ///    [`ErrorKind::EncryptionFailure`](crate::ErrorKind::EncryptionFailure),
    ///    [`ErrorKind::KeyProviderOutage`](crate::ErrorKind::KeyProviderOutage): the key cannot be used. Nothing is stored.
    /// 9. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, SecretStore, StaticKey, UpdateSecretRequest};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("one"))?;
    /// let updated = secrets.update_secret(UpdateSecretRequest::new("db/main").description("main database"))?;
    /// assert_eq!(updated.version_id, None);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>
    pub fn update_secret(&self, request: UpdateSecretRequest) -> Result<UpdateSecretResponse> {
        self.call(request, |request| self.run(&UpdateSecret::parse(self, request)?))
    }
}

#[derive(Debug)]
struct UpdateSecret {
    id: SecretId,
    token: VersionId,
    value: Option<SecretValue>,
    description: Option<String>,
    kms_key_id: Option<KmsKeyId>,
    /// As it was asked for, the default key included.
    kms_key_text: Option<String>,
    external_type: Option<String>,
    versions_max: usize,
    owner: Owner,
}

impl UpdateSecret {
    fn parse(manager: &SecretsManager, request: UpdateSecretRequest) -> Result<Self> {
        let UpdateSecretRequest {
            secret_id,
            client_request_token,
            description,
            kms_key_id: key,
            secret_string,
            secret_binary,
            r#type,
        } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.client_request_token(client_request_token.as_ref());
        shape.metadata(description.as_ref(), key.as_ref());
        shape.value(secret_string.as_ref(), secret_binary.as_ref());
        shape.optional_text("type", r#type.as_ref(), 0, lim::TYPE_CHARS_MAX);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, manager.tenant())?;
        let value = value(secret_string, secret_binary)?;
        let token = manager.client_request_token(client_request_token)?;
        let kms_key_text = key.clone();
        let key = key.map(|key| kms_key_id(&key, manager.tenant()));
        Ok(Self {
            id,
            token,
            value,
            description,
            kms_key_id: key,
            kms_key_text,
            external_type: r#type,
            versions_max: manager.settings().versions_max,
            owner: manager.owner().clone(),
        })
    }
}

impl Operation for UpdateSecret {
    type Response = UpdateSecretResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access {
            description: self.description.as_deref(),
            kms_key_id: self.kms_key_text.as_deref(),
            secret_type: self.external_type.as_deref(),
            ..Access::to("UpdateSecret")
        }
    }

    fn value(&self) -> Option<&SecretValue> {
        self.value.as_ref()
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        is_same: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<UpdateSecretResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(&self.owner)?;
        let mut seal = None;
        if self.value.is_some() {
            match token(&secret, &self.token, is_same) {
                Token::Taken { is_same: None } => return Ok(Verdict::Compare(self.token.clone())),
                Token::Taken { is_same: Some(false) } => return Err(token_taken(&secret, &self.token)),
                Token::Taken { is_same: Some(true) } => {}
                Token::New => {
                    secret.add_version(&self.token, &[], self.versions_max, moment.now)?;
                    seal = Some(self.token.clone());
                }
            }
        }
        let mut key = KeyWork::None;
        let is_changing = self.description.is_some() || self.kms_key_id.is_some() || self.external_type.is_some();
        if let Some(description) = &self.description {
            secret.describe(description.clone());
        }
        if let Some(external_type) = &self.external_type {
            secret.external_type = Some(external_type.clone()).filter(|text| !text.is_empty());
        }
        if let Some(kms_key_id) = &self.kms_key_id {
            secret.kms_key_id = kms_key_id.clone();
            key = KeyWork::Rewrap;
        }
        if is_changing && seal.is_none() {
            secret.touch(moment.now);
        }
        let response = UpdateSecretResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            version_id: self.value.is_some().then(|| self.token.to_string()),
        };
        Ok(Verdict::Store(Box::new(Plan { secret, seal, key, response })))
    }
}
