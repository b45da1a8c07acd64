//! `strongroom replicas list`.

use serde::Serialize;
use strongroom::{
    CrossAccountPrimaryType, CrossAccountReplicaEntry, DescribeSecretRequest, DescribeSecretResponse,
    ReplicationStatusType,
};

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

const REGIONS: [&str; 5] = ["REGION", "KEY", "STATUS", "LAST READ", "MESSAGE"];
const ACCOUNTS: [&str; 4] = ["REPLICA", "STATUS", "ROLE", "MESSAGE"];

pub(super) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let described = place::open(&place)?.describe_secret(DescribeSecretRequest::new(id))?;
    if format.json {
        return output::json(&Written::new(&described));
    }
    print(&described)
}

fn print(secret: &DescribeSecretResponse) -> Result<(), Failure> {
    let regions = secret.replication_status.as_deref().unwrap_or_default();
    let accounts = secret.cross_account_replicas.as_deref().unwrap_or_default();
    if regions.is_empty() && accounts.is_empty() {
        return output::line(output::shown(&without(secret)));
    }
    if !regions.is_empty() {
        output::table(&REGIONS, regions.iter().map(region))?;
    }
    if !regions.is_empty() && !accounts.is_empty() {
        output::line("")?;
    }
    if !accounts.is_empty() {
        output::table(&ACCOUNTS, accounts.iter().map(account))?;
    }
    Ok(())
}

/// What there is to say of a secret that has no replicas.
fn without(secret: &DescribeSecretResponse) -> String {
    let name = &secret.name;
    if let Some(CrossAccountPrimaryType { primary_secret_arn, replication_status, status_message, .. }) =
        &secret.cross_account_primary
    {
        let why = status_message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        return format!("{name} is a replica of {primary_secret_arn}, {}{why}", replication_status.as_str());
    }
    let own = secret.arn.split(':').nth(3);
    match secret.primary_region.as_deref() {
        Some(primary) if Some(primary) != own => format!("{name} is a replica, its primary is in {primary}"),
        Some(_) | None => format!("{name} has no replicas"),
    }
}

fn region(replica: &ReplicationStatusType) -> Vec<String> {
    let ReplicationStatusType { region, kms_key_id, status, status_message, last_accessed_date, .. } = replica;
    vec![
        region.clone(),
        kms_key_id.clone(),
        status.as_str().to_owned(),
        last_accessed_date.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d").to_string()),
        status_message.clone().unwrap_or_default(),
    ]
}

fn account(replica: &CrossAccountReplicaEntry) -> Vec<String> {
    let CrossAccountReplicaEntry {
        replica_secret_arn, replication_role_arn, replication_status, status_message, ..
    } = replica;
    vec![
        replica_secret_arn.clone(),
        replication_status.as_str().to_owned(),
        replication_role_arn.clone().unwrap_or_default(),
        status_message.clone().unwrap_or_default(),
    ]
}

/// For programs: what `DescribeSecret` says of replicas.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a> {
    #[serde(rename = "ARN")]
    arn: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<&'a str>,
    replication_status: &'a [ReplicationStatusType],
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_primary: Option<&'a CrossAccountPrimaryType>,
    cross_account_replicas: &'a [CrossAccountReplicaEntry],
}

impl<'a> Written<'a> {
    fn new(secret: &'a DescribeSecretResponse) -> Self {
        Self {
            arn: &secret.arn,
            name: &secret.name,
            primary_region: secret.primary_region.as_deref(),
            replication_status: secret.replication_status.as_deref().unwrap_or_default(),
            cross_account_primary: secret.cross_account_primary.as_ref(),
            cross_account_replicas: secret.cross_account_replicas.as_deref().unwrap_or_default(),
        }
    }
}
