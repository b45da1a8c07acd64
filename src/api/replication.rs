//! What the API shows of a secret's replicas.

use crate::error::Result;
use crate::model::id::SecretId;
use crate::model::replication::{AccountLink, AccountPrimary, RegionLink, StatusType};
use crate::model::secret::Secret;
use crate::store::SecretsManager;
use crate::time::Timestamp;

response! {
    /// How far the replication to one Region has come.
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>
    #[derive(Debug, Clone, PartialEq, Eq)]
    ReplicationStatusType {
        /// The Region of the replica.
        region: String,
        /// The key that protects the replica's values, as it was given; `alias/aws/secretsmanager` for the default key.
        kms_key_id: String,
        /// How far it has come.
        status: StatusType,
        /// Why it failed.
        status_message: Option<String>,
        /// Midnight, UTC, of the day of the last successful read of a value in that Region.
        last_accessed_date: Option<Timestamp>,
    }
}

response! {
    /// A replica in another account, seen from its primary.
    #[derive(Debug, Clone, PartialEq, Eq)]
    CrossAccountReplicaEntry {
        /// The ARN of the replica.
        replica_secret_arn as "ReplicaSecretARN": String,
        /// The role with which it is replicated to. Absent: the rights of whoever changes the primary.
        replication_role_arn as "ReplicationRoleARN": Option<String>,
        /// How far the replication has come.
        replication_status: StatusType,
        /// Why it failed.
        status_message: Option<String>,
    }
}

response! {
    /// The primary of a replica that is in another account.
    #[derive(Debug, Clone, PartialEq, Eq)]
    CrossAccountPrimaryType {
        /// The ARN of the primary.
        primary_secret_arn as "PrimarySecretARN": String,
        /// How far the replication has come.
        replication_status: StatusType,
        /// Why it failed.
        status_message: Option<String>,
    }
}

impl CrossAccountReplicaEntry {
    /// `None`: the secret has no replicas in other accounts.
    pub(super) fn all(secret: &Secret) -> Option<Vec<Self>> {
        let entry = |AccountLink { replica_arn, role_arn, restriction: _, state }: &AccountLink| Self {
            replica_secret_arn: replica_arn.clone(),
            replication_role_arn: role_arn.clone(),
            replication_status: state.status,
            status_message: state.message.clone(),
        };
        let entries: Vec<Self> = secret.links.accounts.iter().map(entry).collect();
        (!entries.is_empty()).then_some(entries)
    }
}

impl CrossAccountPrimaryType {
    pub(super) fn of(secret: &Secret) -> Option<Self> {
        secret.links.primary.as_ref().map(|AccountPrimary { primary_arn, status, message }| Self {
            primary_secret_arn: primary_arn.clone(),
            replication_status: *status,
            status_message: message.clone(),
        })
    }
}

impl SecretsManager {
    /// The status of every replica of a secret in other Regions, in the order in which they were asked for.
    pub(super) fn replication_statuses(&self, secret: &Secret) -> Result<Vec<ReplicationStatusType>> {
        let status = |link: &RegionLink| {
            let found = match secret.tenant_in(&link.region) {
                Some(tenant) => self.find_other(&tenant, &secret.name)?,
                None => None,
            };
            let replica = found.map(|found| found.secret).filter(|found| found.is_replica_of(secret));
            Ok(ReplicationStatusType {
                region: link.region.clone(),
                kms_key_id: link.key_shown().to_owned(),
                status: link.state.status,
                status_message: link.state.message.clone(),
                last_accessed_date: replica.and_then(|replica| replica.accessed_on),
            })
        };
        secret.links.regions.iter().map(status).collect()
    }

    /// The same, of a secret that an operation has just been applied to.
    pub(super) fn replication_statuses_of(&self, arn: &str) -> Result<Vec<ReplicationStatusType>> {
        let id = SecretId::parse(arn, self.tenant())?;
        match self.find_any(&id, self.now())? {
            Some(loaded) => self.replication_statuses(&loaded.secret),
            None => Ok(Vec::new()),
        }
    }
}
