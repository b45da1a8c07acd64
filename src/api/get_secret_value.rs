//! `GetSecretValue`.

use crate::access::Access;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::stages::CURRENT;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::{Version, VersionId};
use crate::records::{Loaded, SecretChange};
use crate::store::SecretsManager;
use crate::time::{Timestamp, day_of};

request! {
    /// Request of [`SecretsManager::get_secret_value`].
    GetSecretValueRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// The version, by id: 32 to 64 characters.
            version_id: String,
            /// The version, by label: 1 to 256 characters. With neither, the one labelled `AWSCURRENT`.
            version_stage: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::get_secret_value`]. Exactly one of the two forms of value is there.
    #[derive(Debug)]
    GetSecretValueResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the version.
        version_id: String,
        /// The value, if it was stored as text.
        secret_string: Option<SecretString>,
        /// The value, if it was stored as bytes.
        secret_binary: Option<SecretBytes>,
        /// The labels of the version. Absent if it has none.
        version_stages: Option<Vec<String>>,
        /// When the version was made.
        created_date: Timestamp,
    }
}

/// Rounds after which a read of a secret that keeps changing gives up.
const ROUNDS_MAX: usize = 1_000;

impl SecretsManager {
    /// Reads the value of a version.
    ///
    /// The first successful read of a version on a day, by UTC, notes the day as the last-accessed date of the version
    /// and the secret.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`]: members break the limits given at [`GetSecretValueRequest`]; then, the `SecretId` is
    ///    neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`]: no such secret.
    /// 3. [`ErrorKind::InvalidRequest`]: the secret is scheduled for deletion.
    /// 4. [`ErrorKind::ResourceNotFound`]: no such version, or the label is on none; or it has no value yet.
    /// 5. [`ErrorKind::InvalidRequest`]: the version exists and does not carry the label.
    /// 6. [`ErrorKind::DecryptionFailure`]: the key is disabled or gone, or the stored value does not authenticate.
    ///    [`ErrorKind::KeyAccessDenied`], [`ErrorKind::KeyProviderOutage`].
    /// 7. [`ErrorKind::Corrupted`], [`ErrorKind::Storage`]: the stored records are damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main").version_stage("AWSCURRENT"))?;
    /// assert_eq!(read.secret_string.unwrap().expose(), "s3cret");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub fn get_secret_value(&self, request: GetSecretValueRequest) -> Result<GetSecretValueResponse> {
        self.call(request, |request| self.answer_get_secret_value(request))
    }

    fn answer_get_secret_value(&self, request: GetSecretValueRequest) -> Result<GetSecretValueResponse> {
        let GetSecretValueRequest { secret_id, version_id, version_stage } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.version_id("versionId", version_id.as_ref());
        shape.optional_text("versionStage", version_stage.as_ref(), 1, lim::LABEL_CHARS_MAX);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let selector = Selector { version: version_id.map(VersionId::new), label: version_stage };
        let Read { loaded, version, value } = self.read_value(&id, &selector)?;
        let (secret_string, secret_binary) = value.into_members();
        let secret = loaded.secret;
        let labels = secret.stages.of(&version.id);
        Ok(GetSecretValueResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            version_id: version.id.to_string(),
            secret_string,
            secret_binary,
            version_stages: (!labels.is_empty()).then_some(labels),
            created_date: version.created_at,
        })
    }

    /// Reads a value and notes the day.
    pub(super) fn read_value(&self, id: &SecretId, selector: &Selector) -> Result<Read> {
        for _ in 0..ROUNDS_MAX {
            let now = self.now();
            let loaded = self.find(id, now, &selector.access())?;
            loaded.secret.require_active()?;
            let version = selector.select(&loaded.secret)?.clone();
            self.require_shared_key(&loaded.secret, loaded.secret.has_shared_key(&version.id))?;
            let Some(value) = self.open_value(&loaded, &version.id)? else { continue };
            self.note_access(&loaded, &version.id, now);
            return Ok(Read { loaded, version, value });
        }
        Err(Error::new(ErrorKind::Contended, "other calls kept changing the same secret"))
    }

    /// Notes the day of a read, once a day. The value has been read, and is delivered whether this works or not.
    fn note_access(&self, read: &Loaded, version: &VersionId, now: Timestamp) {
        let today = day_of(now);
        let is_noted = |secret: &Secret| {
            let noted = secret.version(version).is_none_or(|version| version.accessed_on >= Some(today));
            noted && secret.accessed_on >= Some(today)
        };
        if is_noted(&read.secret) {
            return;
        }
        let mut new = Secret::clone(&read.secret);
        new.accessed_on = new.accessed_on.max(Some(today));
        if let Some(version) = new.version_mut(version) {
            version.accessed_on = version.accessed_on.max(Some(today));
        }
        let change = SecretChange { key: &read.key, old: Some(read), new: Some(&new), sealed: &[], quota: None };
        // A note that loses a race is made by the next read; the reader waits for nobody's flush.
        let _ = self.records().note(&change);
    }
}

/// A value that was read, with its secret as it stood.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) loaded: Loaded,
    pub(super) version: Version,
    pub(super) value: SecretValue,
}

/// Which version a request asks for.
#[derive(Debug, Default)]
pub(super) struct Selector {
    version: Option<VersionId>,
    label: Option<String>,
}

impl Selector {
    fn access(&self) -> Access<'_> {
        let version_id = self.version.as_ref().map(VersionId::as_str);
        Access { version_id, version_stage: self.label.as_deref(), ..Access::to("GetSecretValue") }
    }

    fn select<'a>(&self, secret: &'a Secret) -> Result<&'a Version> {
        let with_value = |version: &&Version| version.has_value();
        match (&self.version, &self.label) {
            (None, label) => {
                let label = label.as_deref().unwrap_or(CURRENT);
                let holder = secret.stages.holder(label).and_then(|holder| secret.version(holder));
                holder.filter(with_value).ok_or_else(|| Error::label_not_found(label))
            }
            (Some(id), None) => {
                secret.version(id).filter(with_value).ok_or_else(|| Error::version_not_found(id.as_str()))
            }
            (Some(id), Some(label)) => {
                let version = secret.version(id).ok_or_else(|| Error::version_not_found(id.as_str()))?;
                if secret.stages.holder(label) != Some(id) {
                    return Err(Error::invalid_request(
                        "You provided a VersionStage that is not associated to the provided VersionId.",
                    ));
                }
                Some(version).filter(with_value).ok_or_else(|| Error::label_not_found(label))
            }
        }
    }
}
