//! What ties a secret to its copies, in a line of JSON.

use serde::{Deserialize, Serialize};

use crate::json::Exact;
use crate::json::lines::Bounded;
use crate::model::replication::{
    AccountLink, AccountPrimary, LinkState, Links, RegionLink, ReplicaRestriction, StatusType,
};
use crate::model::version::KmsKeyId;

/// Regions and accounts that are read: more than fit into the record of a secret. A bound against absurd input.
const LINKS_READ_MAX: usize = 20_000;

/// Only of what has ended, or has not begun.
type Status = Option<StatusType>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WrittenLinks<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replica_regions: Vec<WrittenRegion<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cross_account_replicas: Vec<WrittenAccount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_primary: Option<WrittenPrimary<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenRegion<'a> {
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenAccount<'a> {
    #[serde(rename = "ReplicaSecretARN")]
    replica_secret_arn: &'a str,
    #[serde(rename = "ReplicationRoleARN", skip_serializing_if = "Option::is_none")]
    replication_role_arn: Option<&'a str>,
    replica_restriction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenPrimary<'a> {
    #[serde(rename = "PrimarySecretARN")]
    primary_secret_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Status,
}

/// The members as they stand in a line.
pub(super) struct ReadLinks {
    pub(super) regions: Option<ReadRegions>,
    pub(super) accounts: Option<ReadAccounts>,
    pub(super) primary: Option<Exact<ReadPrimary>>,
}

pub(super) type ReadRegions = Bounded<ReadRegion, LINKS_READ_MAX>;
pub(super) type ReadAccounts = Bounded<ReadAccount, LINKS_READ_MAX>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReadRegion {
    region: String,
    kms_key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReadAccount {
    #[serde(rename = "ReplicaSecretARN")]
    replica_secret_arn: String,
    #[serde(rename = "ReplicationRoleARN")]
    replication_role_arn: Option<String>,
    replica_restriction: Option<String>,
    replication_status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReadPrimary {
    #[serde(rename = "PrimarySecretARN")]
    primary_secret_arn: String,
    replication_status: Status,
}

impl<'a> WrittenLinks<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        let Links { regions, accounts, primary } = links;
        let region = |link: &'a RegionLink| {
            // Whether it may replace something, and how far it has come, does not leave its store.
            let RegionLink { region, kms_key_id, may_overwrite: _, is_rekeyed: _, state: _ } = link;
            WrittenRegion { region, kms_key_id: kms_key_id.shown() }
        };
        let account = |AccountLink { replica_arn, role_arn, restriction, state }: &'a AccountLink| WrittenAccount {
            replica_secret_arn: replica_arn,
            replication_role_arn: role_arn.as_deref(),
            replica_restriction: restriction.as_str(),
            replication_status: Some(state.status).filter(|status| *status == StatusType::Detached),
        };
        let primary = primary.as_ref().map(|AccountPrimary { primary_arn, status, message: _ }| WrittenPrimary {
            primary_secret_arn: primary_arn,
            replication_status: Some(*status).filter(is_said),
        });
        Self {
            replica_regions: regions.iter().map(region).collect(),
            cross_account_replicas: accounts.iter().map(account).collect(),
            cross_account_primary: primary,
        }
    }
}

/// Whether an export says this status of a primary in another account.
fn is_said(status: &StatusType) -> bool {
    matches!(status, StatusType::Pending | StatusType::Detached)
}

impl ReadLinks {
    pub(super) fn links(self) -> Result<Links, String> {
        let region = |ReadRegion { region, kms_key_id }: ReadRegion| {
            RegionLink::moved(region, kms_key_id.map(|key| KmsKeyId::parse(&key)).unwrap_or_default())
        };
        let regions = self.regions.unwrap_or_default().0.into_iter().map(region).collect();
        let mut accounts = Vec::new();
        for account in self.accounts.unwrap_or_default().0 {
            let text = account.replica_restriction.as_deref();
            let restriction = text.map_or(Some(ReplicaRestriction::default()), ReplicaRestriction::parse);
            accounts.push(AccountLink {
                replica_arn: account.replica_secret_arn,
                role_arn: account.replication_role_arn,
                restriction: restriction.ok_or("a ReplicaRestriction is not one")?,
                state: match account.replication_status {
                    None => LinkState::in_sync(),
                    Some(StatusType::Detached) => LinkState::detached(),
                    Some(_) => return Err("the status of a replica in another account is not Detached".to_owned()),
                },
            });
        }
        let primary = match self.primary {
            Some(Exact(ReadPrimary { primary_secret_arn: primary_arn, replication_status })) => {
                if replication_status.is_some_and(|status| !is_said(&status)) {
                    return Err("the status of a primary in another account is neither Pending nor Detached".to_owned());
                }
                let status = replication_status.unwrap_or(StatusType::InSync);
                Some(AccountPrimary { primary_arn, status, message: None })
            }
            None => None,
        };
        Ok(Links { regions, accounts, primary })
    }
}
