//! `DescribeSecret`.

use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::shape::Shape;
use crate::model::tag::Tag;
use crate::store::SecretsManager;
use crate::time::Timestamp;
use std::collections::BTreeMap;

request! {
    /// Request of [`SecretsManager::describe_secret`].
    DescribeSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::describe_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    DescribeSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The partner of a managed external secret (`Type` in the API).
        r#type: Option<String>,
        /// Absent if it was never set, or is empty.
        description: Option<String>,
        /// The key, as it was given. Absent for the default key.
        kms_key_id: Option<String>,
        /// When the secret was last modified in any way.
        last_changed_date: Timestamp,
        /// Midnight, UTC, of the day of the last successful read of a value. Absent before the first.
        last_accessed_date: Option<Timestamp>,
        /// When the secret can no longer be restored. Absent unless it is scheduled for deletion.
        deleted_date: Option<Timestamp>,
        /// In order of attachment. Absent if the secret never had a list of tags, empty if it lost its last one.
        tags: Option<Vec<Tag>>,
        /// The labels of each version that has any. Absent if none has.
        version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
        /// The service that manages the secret.
        owning_service: Option<String>,
        /// When the secret was created.
        created_date: Timestamp,
        /// The primary Region of a secret that is or was replicated.
        primary_region: Option<String>,
    }
}

impl SecretsManager {
    /// Tells everything of a secret but its values. Also works while the secret is scheduled for deletion.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the `SecretId` is too long, or neither a name nor
    ///    an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored record is damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let described = secrets.describe_secret(DescribeSecretRequest::new("db/main"))?;
    /// assert_eq!(described.last_accessed_date, None);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
    pub fn describe_secret(&self, request: DescribeSecretRequest) -> Result<DescribeSecretResponse> {
        let DescribeSecretRequest { secret_id } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let secret = self.find(&id, self.now())?.ok_or_else(Error::secret_not_found)?.secret;
        Ok(DescribeSecretResponse {
            version_ids_to_stages: secret.stages_by_version(),
            kms_key_id: secret.kms_key_id.shown().map(str::to_owned),
            arn: secret.arn,
            name: secret.name.to_string(),
            r#type: secret.external_type,
            description: secret.description,
            last_changed_date: secret.last_changed_at,
            last_accessed_date: secret.accessed_on,
            deleted_date: secret.deletion_at,
            tags: secret.tags,
            owning_service: secret.owning_service,
            created_date: secret.created_at,
            primary_region: secret.primary_region,
        })
    }
}
