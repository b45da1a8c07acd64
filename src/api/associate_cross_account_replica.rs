//! `AssociateCrossAccountReplica`.

use std::sync::Arc;

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::{SecretId, SecretName, counterpart_of};
use crate::model::limits as lim;
use crate::model::replication::{ACCEPT_REPLICATION, ReplicaRestriction, StatusType};
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::associate_cross_account_replica`].
    AssociateCrossAccountReplicaRequest {
        required {
            /// Name, ARN, or ARN without its random end, of the primary.
            secret_id: String,
        }
        required_renamed {
            /// The complete ARN of the replica, which was created in another account for this primary.
            cross_account_replica_arn as "CrossAccountReplicaARN": String,
        }
        optional {
            /// `SameOrg`, the default: the account of the replica must be of the same organization. `NoRestriction`: it need not.
            replica_restriction: String,
        }
        renamed {
            /// The role with which the secret is replicated. Absent: with the rights of whoever changes the primary.
            replication_role_arn as "ReplicationRoleARN": String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::associate_cross_account_replica`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    AssociateCrossAccountReplicaResponse {
        /// The ARN of the primary.
        arn: String,
        /// The ARN of the replica.
        cross_account_replica_arn as "CrossAccountReplicaARN": String,
        /// How far the replication has come.
        replication_status: StatusType,
    }
}

impl SecretsManager {
    /// Begins to replicate a secret to its replica in another account, which was created there with
    /// `cross_account_primary_arn`. From then on the replica has the versions and labels of its primary.
    ///
    /// For a replica that is associated already, it repairs the replication.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`AssociateCrossAccountReplicaRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the other ARN is not the complete ARN of a secret
    ///    in another account of the same Region and partition.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 5. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the secret is a replica itself.
    /// 6. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): it belongs to a service; then, to another account than
    ///    the handle's.
    /// 7. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such replica, or the caller may not replicate
    ///    to it.
    /// 8. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the replica is scheduled for deletion, was created for
    ///    another primary, or is of another organization.
    /// 9. [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): the secret has another replica in another account.
    /// 10. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let keyring = LocalKeyring::open_or_create(directory.path().join("my.keyring"))?;
    /// # let store = SecretStore::in_memory().key_provider(keyring.clone()).open()?;
    /// let ours = store.secrets_manager("111122223333", "us-east-1")?;
    /// let theirs = store.secrets_manager("444455556666", "us-east-1")?;
    /// let key = keyring.create_key(KeyScope::new("aws", "444455556666", "us-east-1"))?;
    /// let primary = ours.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?.arn;
    /// let create = CreateSecretRequest::new("db/copy").kms_key_id(key).cross_account_primary_arn(primary.as_str());
    /// let replica = theirs.create_secret(create)?.arn;
    ///
    /// ours.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new(primary, replica))?;
    /// let read = theirs.get_secret_value(GetSecretValueRequest::new("db/copy"))?;
    /// assert_eq!(read.secret_string.unwrap().expose(), "s3cret");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_AssociateCrossAccountReplica.html>
    pub fn associate_cross_account_replica(
        &self,
        request: AssociateCrossAccountReplicaRequest,
    ) -> Result<AssociateCrossAccountReplicaResponse> {
        self.call(request, |request| self.answer_associate_cross_account_replica(request))
    }

    fn answer_associate_cross_account_replica(
        &self,
        request: AssociateCrossAccountReplicaRequest,
    ) -> Result<AssociateCrossAccountReplicaResponse> {
        let AssociateCrossAccountReplicaRequest {
            secret_id,
            cross_account_replica_arn: replica_arn,
            replica_restriction,
            replication_role_arn,
        } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.secret_arn("crossAccountReplicaARN", replica_arn.as_ref());
        let replica_arn = shape.required("crossAccountReplicaARN", replica_arn);
        if let Some(restriction) = &replica_restriction {
            shape.one_of("replicaRestriction", restriction, &ReplicaRestriction::ALL.map(|(name, _)| name));
        }
        shape.optional_text(
            "replicationRoleARN",
            replication_role_arn.as_ref(),
            lim::ROLE_ARN_CHARS_MIN,
            lim::ROLE_ARN_CHARS_MAX,
        );
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let (tenant, name) = counterpart(&replica_arn, self.tenant())?;
        let restriction = replica_restriction.as_deref().and_then(ReplicaRestriction::parse).unwrap_or_default();
        let associate =
            Associate { secrets: self, id, replica_arn, tenant, name, restriction, role_arn: replication_role_arn };
        let arn = self.run(&associate)?;
        let found = self.find_any(&SecretId::parse(&arn, self.tenant())?, self.now())?;
        let links = found.as_ref().map(|found| found.secret.links.accounts.as_slice()).unwrap_or_default();
        let link = links.iter().find(|link| link.replica_arn == associate.replica_arn);
        Ok(AssociateCrossAccountReplicaResponse {
            arn,
            // Whoever ended it meanwhile, it was associated.
            replication_status: link.map_or(StatusType::Detached, |link| link.state.status),
            cross_account_replica_arn: associate.replica_arn,
        })
    }
}

/// The account, Region and name of a secret on the other side of a replication between accounts, seen from this side.
pub(super) fn counterpart(arn: &str, own: &Tenant) -> Result<(Arc<Tenant>, SecretName)> {
    counterpart_of(arn, own).ok_or_else(|| {
        Error::invalid_parameter(
            "The primary and the replica must be in the same Region and partition and in different accounts, and the ARN must \
             be complete.",
        )
    })
}

#[derive(Debug)]
struct Associate<'a> {
    secrets: &'a SecretsManager,
    id: SecretId,
    replica_arn: String,
    tenant: Arc<Tenant>,
    name: SecretName,
    restriction: ReplicaRestriction,
    role_arn: Option<String>,
}

impl Associate<'_> {
    /// Refuses a replica that cannot be that of this secret.
    fn check_replica(&self, primary: &Secret, moment: &Moment<'_>) -> Result<()> {
        let found = self.secrets.records().load(&self.tenant, &self.name)?.map(|found| found.secret);
        let replica = found.filter(|secret| secret.arn == self.replica_arn && !secret.is_expired(moment.now));
        let replica = replica.ok_or_else(Error::secret_not_found)?;
        let is_meant = replica.links.primary.as_ref().is_some_and(|known| known.primary_arn == primary.arn);
        // Whoever brings a role need not be allowed to, but then learns only of what was made for this primary.
        let is_told = match self.role_arn {
            Some(_) if is_meant => true,
            _ => self.secrets.may(&Access::to(ACCEPT_REPLICATION), &replica)?,
        };
        if !is_told {
            return Err(Error::secret_not_found());
        }
        replica.require_active()?;
        if !is_meant {
            return Err(Error::invalid_request(format!(
                "The secret {} wasn't created as a cross-account replica of {}.",
                replica.arn, primary.arn
            )));
        }
        let accounts = (primary.tenant.account(), replica.tenant.account());
        let is_allowed = self.restriction == ReplicaRestriction::NoRestriction
            || self.secrets.settings().replication.is_same_organization(accounts.0, accounts.1);
        if !is_allowed {
            return Err(Error::invalid_request(
                "The account of the replica secret isn't in the same organization as the account of the primary secret.",
            ));
        }
        Ok(())
    }
}

impl Operation for Associate<'_> {
    type Response = String;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("AssociateCrossAccountReplica")
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<String>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        let owner: &Owner = self.secrets.owner();
        secret.require_writable(owner)?;
        self.secrets.require_own(&secret)?;
        if let Some(role_arn) = &self.role_arn {
            self.secrets.authorize_role(role_arn)?;
        }
        self.check_replica(&secret, moment)?;
        secret.associate(&self.replica_arn, self.role_arn.clone(), self.restriction, moment.now)?;
        let arn = secret.arn.clone();
        Ok(Verdict::store(secret, arn))
    }
}
