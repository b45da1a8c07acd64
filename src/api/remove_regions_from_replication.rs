//! `RemoveRegionsFromReplication`.

use crate::access::Access;
use crate::api::ReplicationStatusType;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::{Owner, Secret};
use crate::model::shape::{LISTED_MAX, Shape};
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::remove_regions_from_replication`].
    RemoveRegionsFromReplicationRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        required_lists {
            /// Regions of replicas to remove, at least one. Those without a replica are passed over.
            remove_replica_regions: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::remove_regions_from_replication`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    RemoveRegionsFromReplicationResponse {
        /// The ARN of the secret.
        arn: String,
        /// The status of the replicas that are left.
        replication_status: Vec<ReplicationStatusType>,
    }
}

impl SecretsManager {
    /// Removes replicas of a secret. They are gone at once, without a recovery window.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`RemoveRegionsFromReplicationRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the secret is a replica itself.
    /// 5. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): it belongs to a service.
    /// 6. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let create = CreateSecretRequest::new("db/main").secret_string("s3cret").add_replica_regions(["eu-west-1"]);
    /// secrets.create_secret(create)?;
    /// let left = secrets.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db/main", ["eu-west-1"]))?;
    /// assert_eq!(left.replication_status, []);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RemoveRegionsFromReplication.html>
    pub fn remove_regions_from_replication(
        &self,
        request: RemoveRegionsFromReplicationRequest,
    ) -> Result<RemoveRegionsFromReplicationResponse> {
        self.call(request, |request| self.answer_remove_regions_from_replication(request))
    }

    fn answer_remove_regions_from_replication(
        &self,
        request: RemoveRegionsFromReplicationRequest,
    ) -> Result<RemoveRegionsFromReplicationResponse> {
        let RemoveRegionsFromReplicationRequest { secret_id, remove_replica_regions } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        if let Some(regions) = &remove_replica_regions {
            shape.list("removeReplicaRegions", regions, 1, usize::MAX);
            for (region, index) in regions.iter().take(LISTED_MAX).zip(1..) {
                shape.region(&format!("removeReplicaRegions.{index}.member"), region);
            }
        }
        let regions = shape.required("removeReplicaRegions", remove_replica_regions);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let owner = self.owner().clone();
        let arn = self.run(&RemoveRegionsFromReplication { id, regions, owner })?;
        let replication_status = self.replication_statuses_of(&arn)?;
        Ok(RemoveRegionsFromReplicationResponse { arn, replication_status })
    }
}

#[derive(Debug)]
struct RemoveRegionsFromReplication {
    id: SecretId,
    regions: Vec<String>,
    owner: Owner,
}

impl Operation for RemoveRegionsFromReplication {
    type Response = String;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("RemoveRegionsFromReplication")
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<String>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(&self.owner)?;
        secret.remove_regions(&self.regions, moment.now);
        let arn = secret.arn.clone();
        Ok(Verdict::store(secret, arn))
    }
}
