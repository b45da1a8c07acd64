//! `StopReplicationToReplica`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::stop_replication_to_replica`].
    StopReplicationToReplicaRequest {
        required {
            /// Name, ARN, or ARN without its random end, of the replica.
            secret_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::stop_replication_to_replica`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    StopReplicationToReplicaResponse {
        /// The ARN of the secret that was a replica.
        arn: String,
    }
}

impl SecretsManager {
    /// Makes a replica a secret of its own. Called on a handle of the replica's Region and account.
    ///
    /// It keeps its ARN and everything that it has. Its rotation is no longer enabled, because the function is in the Region of
    /// the primary. A primary in another Region no longer lists it; one in another account lists it as
    /// [`StatusType::Detached`](crate::StatusType::Detached), and the policy that the service attached is gone. It also works if
    /// the primary is gone.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the `SecretId` is too long, or neither a name nor
    ///    an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion; then, it belongs
    ///    to a service; then, it is no replica.
    /// 4. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let create = CreateSecretRequest::new("db/main").secret_string("s3cret").add_replica_regions(["eu-west-1"]);
    /// secrets.create_secret(create)?;
    /// let ireland = store.secrets_manager("000000000000", "eu-west-1")?;
    /// ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db/main"))?;
    /// ireland.put_secret_value(PutSecretValueRequest::new("db/main", "its own"))?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_StopReplicationToReplica.html>
    pub fn stop_replication_to_replica(
        &self,
        request: StopReplicationToReplicaRequest,
    ) -> Result<StopReplicationToReplicaResponse> {
        self.call(request, |request| self.answer_stop_replication_to_replica(request))
    }

    fn answer_stop_replication_to_replica(
        &self,
        request: StopReplicationToReplicaRequest,
    ) -> Result<StopReplicationToReplicaResponse> {
        let StopReplicationToReplicaRequest { secret_id } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.finish()?;
        self.run(&StopReplicationToReplica { secrets: self, id: SecretId::parse(&secret_id, self.tenant())? })
    }
}

#[derive(Debug)]
struct StopReplicationToReplica<'a> {
    secrets: &'a SecretsManager,
    id: SecretId,
}

impl Operation for StopReplicationToReplica<'_> {
    type Response = StopReplicationToReplicaResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("StopReplicationToReplica")
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<StopReplicationToReplicaResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_owner(self.secrets.owner())?;
        if secret.links.primary.is_some() {
            // The policy of the service goes with it.
            self.secrets.authorize(&Access::to("DeleteResourcePolicy"), &self.id, &secret)?;
        }
        if !secret.promote(moment.now) {
            return Err(Error::invalid_request("You can't stop replication to a secret that isn't a replica secret."));
        }
        let response = StopReplicationToReplicaResponse { arn: secret.arn.clone() };
        Ok(Verdict::store(secret, response))
    }
}
