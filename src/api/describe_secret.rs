//! `DescribeSecret`.

use crate::access::Access;
use crate::api::{CrossAccountPrimaryType, CrossAccountReplicaEntry, ReplicationStatusType};
use crate::error::Result;
use crate::model::id::SecretId;
use crate::model::rotation::{ExternalSecretRotationMetadataItem, RotationRules, RotationShown};
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
        /// Whether the secret rotates by its schedule. Absent if rotation was never configured.
        rotation_enabled: Option<bool>,
        /// The function that rotates it.
        rotation_lambda_arn as "RotationLambdaARN": Option<String>,
        /// When it is rotated. `automatically_after_days` is also told for schedule expressions.
        rotation_rules: Option<RotationRules>,
        /// What a partner has to know to rotate a managed external secret.
        external_secret_rotation_metadata: Option<Vec<ExternalSecretRotationMetadataItem>>,
        /// The role with which a partner rotates a managed external secret.
        external_secret_rotation_role_arn: Option<String>,
        /// When the last successful rotation ended. Absent while rotation is disabled.
        last_rotated_date: Option<Timestamp>,
        /// The latest moment of the window in which the next rotation is planned. A failed rotation leaves it as it is.
        /// Absent while rotation is disabled, and without a schedule.
        next_rotation_date: Option<Timestamp>,
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
        /// The replicas in other Regions, of a primary that has any.
        replication_status: Option<Vec<ReplicationStatusType>>,
        /// The primary in another account, of a replica of one.
        cross_account_primary: Option<CrossAccountPrimaryType>,
        /// The replicas in other accounts, of a primary that has any.
        cross_account_replicas: Option<Vec<CrossAccountReplicaEntry>>,
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
        self.call(request, |request| self.answer_describe_secret(request))
    }

    fn answer_describe_secret(&self, request: DescribeSecretRequest) -> Result<DescribeSecretResponse> {
        let DescribeSecretRequest { secret_id } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let secret = self.find(&id, self.now(), &Access::to("DescribeSecret"))?.secret;
        let RotationShown { is_enabled, function_arn, rules, metadata, role_arn, last_rotated_at, next_date } =
            secret.rotation_shown();
        let statuses = self.replication_statuses(&secret)?;
        Ok(DescribeSecretResponse {
            replication_status: (!statuses.is_empty()).then_some(statuses),
            cross_account_primary: CrossAccountPrimaryType::of(&secret),
            cross_account_replicas: CrossAccountReplicaEntry::all(&secret),
            version_ids_to_stages: secret.stages_by_version(),
            kms_key_id: secret.kms_key_id.shown().map(str::to_owned),
            rotation_enabled: is_enabled,
            rotation_lambda_arn: function_arn,
            rotation_rules: rules,
            external_secret_rotation_metadata: metadata,
            external_secret_rotation_role_arn: role_arn,
            last_rotated_date: last_rotated_at,
            next_rotation_date: next_date,
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            r#type: secret.external_type.clone(),
            description: secret.description.clone(),
            last_changed_date: secret.last_changed_at,
            last_accessed_date: secret.accessed_on,
            deleted_date: secret.deletion_at,
            tags: secret.tags.clone(),
            owning_service: secret.owning_service.clone(),
            created_date: secret.created_at,
            primary_region: secret.primary_region.clone(),
        })
    }
}
