//! `DisassociateCrossAccountReplica`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::disassociate_cross_account_replica`].
    DisassociateCrossAccountReplicaRequest {
        required {
            /// Name, ARN, or ARN without its random end, of the primary.
            secret_id: String,
        }
        required_renamed {
            /// The ARN of the replica, as it was associated.
            cross_account_replica_arn as "CrossAccountReplicaARN": String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::disassociate_cross_account_replica`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    DisassociateCrossAccountReplicaResponse {
        /// The ARN of the primary.
        arn: String,
        /// The ARN of the replica.
        cross_account_replica_arn as "CrossAccountReplicaARN": String,
    }
}

impl SecretsManager {
    /// Ends the replication of a secret to its replica in another account. The replica stays as it is, with the status
    /// [`StatusType::Detached`](crate::StatusType::Detached), until its own account stops the replication or it is associated
    /// again. If the replica's account has stopped it already, what is left of it here is removed.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`DisassociateCrossAccountReplicaRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the secret is a replica itself.
    /// 5. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): it belongs to a service; then, to another account than
    ///    the handle's.
    /// 6. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): it has no such replica.
    /// 7. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let replica = "arn:aws:secretsmanager:us-east-1:444455556666:secret:db/copy-a1b2c3";
    /// let request = DisassociateCrossAccountReplicaRequest::new("db/main", replica);
    /// let refused = secrets.disassociate_cross_account_replica(request).unwrap_err();
    /// assert_eq!(refused.code(), "ResourceNotFoundException");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DisassociateCrossAccountReplica.html>
    pub fn disassociate_cross_account_replica(
        &self,
        request: DisassociateCrossAccountReplicaRequest,
    ) -> Result<DisassociateCrossAccountReplicaResponse> {
        self.call(request, |request| self.answer_disassociate_cross_account_replica(request))
    }

    fn answer_disassociate_cross_account_replica(
        &self,
        request: DisassociateCrossAccountReplicaRequest,
    ) -> Result<DisassociateCrossAccountReplicaResponse> {
        let DisassociateCrossAccountReplicaRequest { secret_id, cross_account_replica_arn: replica_arn } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.secret_arn("crossAccountReplicaARN", replica_arn.as_ref());
        let replica_arn = shape.required("crossAccountReplicaARN", replica_arn);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        self.run(&Disassociate { secrets: self, id, replica_arn })
    }
}

#[derive(Debug)]
struct Disassociate<'a> {
    secrets: &'a SecretsManager,
    id: SecretId,
    replica_arn: String,
}

impl Operation for Disassociate<'_> {
    type Response = DisassociateCrossAccountReplicaResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("DisassociateCrossAccountReplica")
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<DisassociateCrossAccountReplicaResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(self.secrets.owner())?;
        self.secrets.require_own(&secret)?;
        if !secret.disassociate(&self.replica_arn, moment.now) {
            return Err(Error::secret_not_found());
        }
        let response = DisassociateCrossAccountReplicaResponse {
            arn: secret.arn.clone(),
            cross_account_replica_arn: self.replica_arn.clone(),
        };
        Ok(Verdict::store(secret, response))
    }
}
