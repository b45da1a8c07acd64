//! `ReplicateSecretToRegions`.

use crate::access::Access;
use crate::api::ReplicationStatusType;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::replication::{NewReplica, ReplicaRegionType};
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::replicate_secret_to_regions`].
    ReplicateSecretToRegionsRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        required_lists {
            /// Regions to replicate to, at least one, each once: known ones of the secret's partition, not its own.
            add_replica_regions: ReplicaRegionType,
        }
        optional {
            /// Whether a secret that has the same name in one of the Regions is replaced. It is gone at once.
            force_overwrite_replica_secret: bool,
        }
    }
}

response! {
    /// Response of [`SecretsManager::replicate_secret_to_regions`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    ReplicateSecretToRegionsResponse {
        /// The ARN of the secret.
        arn: String,
        /// The status of all its replicas, in the order in which they were asked for.
        replication_status: Vec<ReplicationStatusType>,
    }
}

impl SecretsManager {
    /// Replicates a secret to other Regions. From then on the replicas have whatever their primary has.
    ///
    /// A replica has the primary's name, its ARN with the other Region, and everything else of it, under a key of its own
    /// Region. It can be read there, and changed only at the primary. A Region to which the secret is replicated already is
    /// left as it is; one that failed is tried again.
    ///
    /// That a replica cannot be made is no error: its status is then [`StatusType::Failed`](crate::StatusType::Failed), with a
    /// message. If its key was the reason, [`SecretStore::maintain`](crate::SecretStore::maintain) tries again.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`ReplicateSecretToRegionsRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): a Region is unknown, in another partition, the
    ///    handle's own, or given twice.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 5. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the secret is a replica itself.
    /// 6. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): it belongs to a service; then, it is of another account
    ///    and one of its versions is under the default key.
    /// 7. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let replicated = secrets.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db/main", ["eu-west-1"]))?;
    /// assert_eq!(replicated.replication_status[0].status, StatusType::InSync);
    ///
    /// let ireland = store.secrets_manager("000000000000", "eu-west-1")?;
    /// let read = ireland.get_secret_value(GetSecretValueRequest::new("db/main"))?;
    /// assert_eq!(read.secret_string.unwrap().expose(), "s3cret");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicateSecretToRegions.html>
    pub fn replicate_secret_to_regions(
        &self,
        request: ReplicateSecretToRegionsRequest,
    ) -> Result<ReplicateSecretToRegionsResponse> {
        self.call(request, |request| self.answer_replicate_secret_to_regions(request))
    }

    fn answer_replicate_secret_to_regions(
        &self,
        request: ReplicateSecretToRegionsRequest,
    ) -> Result<ReplicateSecretToRegionsResponse> {
        let ReplicateSecretToRegionsRequest { secret_id, add_replica_regions, force_overwrite_replica_secret } =
            request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        if let Some(regions) = &add_replica_regions {
            shape.replica_regions(regions);
        }
        let regions = shape.required("addReplicaRegions", add_replica_regions);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let regions = NewReplica::parse_all(regions, self.tenant(), &self.settings().replication.regions)?;
        let operation =
            ReplicateSecretToRegions { secrets: self, id, regions, overwrite: force_overwrite_replica_secret };
        let arn = self.run(&operation)?;
        let replication_status = self.replication_statuses_of(&arn)?;
        Ok(ReplicateSecretToRegionsResponse { arn, replication_status })
    }
}

#[derive(Debug)]
struct ReplicateSecretToRegions<'a> {
    secrets: &'a SecretsManager,
    id: SecretId,
    regions: Vec<NewReplica>,
    overwrite: Option<bool>,
}

impl Operation for ReplicateSecretToRegions<'_> {
    type Response = String;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access {
            replica_regions: Some(&self.regions),
            force_overwrite_replica_secret: self.overwrite,
            ..Access::to("ReplicateSecretToRegions")
        }
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<String>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(self.secrets.owner())?;
        for version in secret.versions.iter().filter(|version| version.has_value()) {
            // What is under the default key does not come under one that is shared by another account's doing.
            self.secrets.require_shared_key(&secret, secret.has_shared_key(&version.id))?;
        }
        secret.add_regions(&self.regions, self.overwrite == Some(true), moment.now);
        let arn = secret.arn.clone();
        Ok(Verdict::store(secret, arn))
    }
}
