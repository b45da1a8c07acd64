//! `PutSecretValue`.

use crate::access::Access;
use crate::api::write::{Token, token, token_taken, value};
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::rotation::Job;
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::model::stages::PENDING;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::VersionId;
use crate::run::{KeyWork, Moment, Operation, Plan, Verdict};
use crate::store::SecretsManager;

/// Request of [`SecretsManager::put_secret_value`].
#[derive(Debug, Default)]
#[cfg_attr(feature = "json", derive(serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct PutSecretValueRequest {
    /// Name, ARN, or ARN without its random end.
    pub secret_id: Option<String>,
    /// 32 to 64 characters; becomes the id of the new version.
    pub client_request_token: Option<String>,
    /// The value, as text: 1 to 65,536 bytes of UTF-8. Excludes `secret_binary`.
    pub secret_string: Option<SecretString>,
    /// The value, as bytes: 1 to 65,536. Excludes `secret_string`.
    pub secret_binary: Option<SecretBytes>,
    /// 1 to 20 labels of 1 to 256 characters.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::list"))]
    pub version_stages: Option<Vec<String>>,
    /// Names the rotation that the call belongs to; checked for its form and otherwise ignored.
    pub rotation_token: Option<SecretString>,
}

impl PutSecretValueRequest {
    /// A request with its required members: whose value, and the value, as text or bytes.
    pub fn new(secret_id: impl Into<String>, value: impl Into<SecretValue>) -> Self {
        let (secret_string, secret_binary) = value.into().into_members();
        Self { secret_id: Some(secret_id.into()), secret_string, secret_binary, ..Self::default() }
    }

    /// 32 to 64 characters; becomes the id of the new version.
    #[must_use]
    pub fn client_request_token(mut self, token: impl Into<String>) -> Self {
        self.client_request_token = Some(token.into());
        self
    }

    /// 1 to 20 labels of 1 to 256 characters. They move to the new version from wherever they are.
    #[must_use]
    pub fn version_stages<I: Into<String>>(mut self, labels: impl IntoIterator<Item = I>) -> Self {
        self.version_stages = Some(labels.into_iter().map(Into::into).collect());
        self
    }

    /// Names the rotation that the call belongs to.
    #[must_use]
    pub fn rotation_token(mut self, token: impl Into<SecretString>) -> Self {
        self.rotation_token = Some(token.into());
        self
    }
}

crate::observe::parameters::request_members! {
    PutSecretValueRequest {
        secret_id, client_request_token, secret_string, secret_binary, version_stages, rotation_token,
    }
}

response! {
    /// Response of [`SecretsManager::put_secret_value`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    PutSecretValueResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the version.
        version_id: String,
        /// The labels that are now on the version.
        version_stages: Vec<String>,
    }
}

impl SecretsManager {
    /// Stores a value as a new version of an existing secret.
    ///
    /// The new version takes the given staging labels and no others. With none given it takes `AWSCURRENT`, and the
    /// version that held it becomes `AWSPREVIOUS`. The first version of a secret takes `AWSCURRENT` in any case. A new
    /// current version takes `AWSPENDING` away from whichever version has it, unless it is given that label too. On
    /// `Ok` the version is durable.
    ///
    /// # Idempotency
    ///
    /// Repeating a call with the same token and the same value changes nothing, moves no labels, and succeeds.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`PutSecretValueRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): both forms of value are given.
    ///    [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): none is.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): there is no token, and the store requires one.
    /// 4. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 5. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 6. [`ErrorKind::ResourceExists`](crate::ErrorKind::ResourceExists): the token names a version with another value.
    ///    [`ErrorKind::DecryptionFailure`](crate::ErrorKind::DecryptionFailure): that version could not be opened to
    ///    compare.
    /// 7. [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): the secret would have more than 20 labels, or
    ///    has too many versions that cannot be removed yet.
    /// 8. [`ErrorKind::KeyAccessDenied`](crate::ErrorKind::KeyAccessDenied),
    ///    [`ErrorKind::EncryptionFailure`](crate::ErrorKind::EncryptionFailure),
    ///    [`ErrorKind::KeyProviderOutage`](crate::ErrorKind::KeyProviderOutage): the key cannot be used. Nothing is stored.
    /// 9. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, PutSecretValueRequest, SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// secrets.create_secret(CreateSecretRequest::new("db/main"))?;
    /// let put = secrets.put_secret_value(PutSecretValueRequest::new("db/main", "s3cret"))?;
    /// assert_eq!(put.version_stages, ["AWSCURRENT"]);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    pub fn put_secret_value(&self, request: PutSecretValueRequest) -> Result<PutSecretValueResponse> {
        self.call(request, |request| self.run(&PutSecretValue::parse(self, request)?))
    }
}

#[derive(Debug)]
struct PutSecretValue {
    id: SecretId,
    token: VersionId,
    value: SecretValue,
    labels: Vec<String>,
    versions_max: usize,
    owner: Owner,
    rotation_token: Option<SecretString>,
}

impl PutSecretValue {
    fn parse(manager: &SecretsManager, request: PutSecretValueRequest) -> Result<Self> {
        let PutSecretValueRequest {
            secret_id,
            client_request_token,
            secret_string,
            secret_binary,
            version_stages,
            rotation_token,
        } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.client_request_token(client_request_token.as_ref());
        shape.value(secret_string.as_ref(), secret_binary.as_ref());
        if let Some(labels) = &version_stages {
            shape.version_stages(labels);
        }
        shape.rotation_token(rotation_token.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, manager.tenant())?;
        let value = value(secret_string, secret_binary)?
            .ok_or_else(|| Error::invalid_request("You must provide either SecretString or SecretBinary."))?;
        let token = manager.client_request_token(client_request_token)?;
        let labels = version_stages.unwrap_or_default();
        Ok(Self {
            id,
            token,
            value,
            labels,
            versions_max: manager.settings().versions_max,
            owner: manager.owner().clone(),
            rotation_token,
        })
    }

    /// Whether it comes from a rotation that is over, and would bring back its version.
    fn is_late(&self, secret: &Secret) -> bool {
        let Some(token) = &self.rotation_token else { return false };
        let is_of_this = |job: &Job| job.rotation_token == token.expose();
        secret.rotation.is_some()
            && secret.version(&self.token).is_none()
            && self.labels.iter().any(|label| label == PENDING)
            && !secret.job().is_some_and(is_of_this)
    }

    fn response(&self, secret: &Secret) -> PutSecretValueResponse {
        PutSecretValueResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            version_id: self.token.to_string(),
            version_stages: secret.stages.of(&self.token),
        }
    }
}

impl Operation for PutSecretValue {
    type Response = PutSecretValueResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("PutSecretValue")
    }

    fn value(&self) -> Option<&SecretValue> {
        Some(&self.value)
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        is_same: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<PutSecretValueResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(&self.owner)?;
        match token(&secret, &self.token, is_same) {
            Token::Taken { is_same: None } => return Ok(Verdict::Compare(self.token.clone())),
            Token::Taken { is_same: Some(true) } => return Ok(Verdict::Answer(self.response(&secret))),
            Token::Taken { is_same: Some(false) } => return Err(token_taken(&secret, &self.token)),
            Token::New => {}
        }
        if self.is_late(&secret) {
            return Err(Error::invalid_request("The rotation that the RotationToken belongs to is over."));
        }
        secret.add_version(&self.token, &self.labels, self.versions_max, moment.now)?;
        let response = self.response(&secret);
        Ok(Verdict::Store(Box::new(Plan { secret, seal: Some(self.token.clone()), key: KeyWork::None, response })))
    }
}
