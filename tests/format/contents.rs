//! What a store holds, as a file says it: read out of a store through its API, and compared.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use strongroom::{
    DescribeSecretRequest, DescribeSecretResponse, ExportOptions, GetResourcePolicyRequest, GetSecretValueRequest,
    ListResourcePoliciesRequest, ListSecretVersionIdsRequest, ListSecretsRequest, RestoreSecretRequest, RotationStatus,
    SecretStore, SecretVersionsListEntry, SecretsManager, StatusType, Tag, Timestamp,
};

use crate::fixture::Hex;

/// The whole store, in order of account, Region and name.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) secrets: Vec<Secret>,
}

/// Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) r#type: Option<String>,
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) created: i64,
    pub(crate) last_changed: i64,
    pub(crate) last_accessed: Option<i64>,
    pub(crate) deleted: Option<i64>,
    pub(crate) owning_service: Option<String>,
    pub(crate) primary_region: Option<String>,
    pub(crate) rotation: Option<Rotation>,
    /// In the order in which they were asked for.
    pub(crate) replica_regions: Vec<RegionReplica>,
    pub(crate) account_replicas: Vec<AccountReplica>,
    pub(crate) account_primary: Option<AccountPrimary>,
    /// Names and documents, as they are listed.
    pub(crate) policies: Vec<(String, String)>,
    /// In order of their ids.
    pub(crate) versions: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) function: Option<String>,
    /// As they were given.
    pub(crate) rules: Option<Rules>,
    /// As they are shown.
    pub(crate) days_shown: Option<i64>,
    pub(crate) metadata: Option<Vec<(String, String)>>,
    pub(crate) role: Option<String>,
    pub(crate) rotated: Option<i64>,
    pub(crate) window: Option<(i64, i64)>,
    pub(crate) next: Option<i64>,
    pub(crate) running: Option<Running>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) days: Option<i64>,
    pub(crate) duration: Option<String>,
    pub(crate) expression: Option<String>,
}

/// A rotation that was begun and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) version: String,
    pub(crate) test: bool,
    pub(crate) attempts: u32,
    pub(crate) next: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) failure: Option<(i64, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegionReplica {
    pub(crate) region: String,
    pub(crate) kms_key_id: String,
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountReplica {
    pub(crate) arn: String,
    pub(crate) role: Option<String>,
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountPrimary {
    pub(crate) arn: String,
    pub(crate) status: String,
    pub(crate) message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) last_accessed: Option<i64>,
    /// In order of the alphabet.
    pub(crate) stages: Vec<String>,
    pub(crate) kms_key_ids: Vec<String>,
    /// `None`: the version is a placeholder.
    pub(crate) value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Value {
    Text(String),
    Bytes(Hex),
}

/// The accounts and Regions that the stores here use.
pub(crate) const TENANTS: [(&str, &str); 5] = [
    ("111122223333", "eu-central-1"),
    ("111122223333", "eu-west-1"),
    ("111122223333", "eu-west-2"),
    ("444455556666", "eu-central-1"),
    ("444455556666", "us-gov-west-1"),
];

fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

fn sorted(labels: Option<Vec<String>>) -> Vec<String> {
    let mut labels = labels.unwrap_or_default();
    labels.sort();
    labels
}

fn pairs(tags: Option<Vec<Tag>>) -> Option<Vec<(String, String)>> {
    tags.map(|tags| tags.into_iter().map(|Tag { key, value, .. }| (key, value)).collect())
}

impl Rotation {
    /// What a description and a status tell, where both do the same.
    fn of(described: &DescribeSecretResponse, status: RotationStatus) -> Self {
        let rules = status.rules.clone().map(|rules| Rules {
            days: rules.automatically_after_days,
            duration: rules.duration,
            expression: rules.schedule_expression,
        });
        assert_eq!(described.rotation_enabled, Some(status.is_enabled));
        assert_eq!(described.rotation_lambda_arn, status.function_arn);
        assert_eq!(described.last_rotated_date, status.last_rotated_at.filter(|_| status.is_enabled));
        let shown = described.rotation_rules.as_ref();
        assert_eq!(shown.map(|rules| &rules.duration), status.rules.as_ref().map(|rules| &rules.duration));
        let metadata = described.external_secret_rotation_metadata.as_ref();
        Self {
            enabled: status.is_enabled,
            function: status.function_arn,
            rules,
            days_shown: shown.and_then(|rules| rules.automatically_after_days),
            metadata: metadata.map(|items| items.iter().map(|item| (item.key.clone(), item.value.clone())).collect()),
            role: described.external_secret_rotation_role_arn.clone(),
            rotated: status.last_rotated_at.map(millis),
            window: status.next_window.map(|window| (millis(window.start), millis(window.end))),
            next: described.next_rotation_date.map(millis),
            running: status.in_progress.map(|running| Running {
                version: running.version_id,
                test: running.is_test,
                attempts: running.attempts,
                next: running.next_attempt_at.map(millis),
                until: running.window_end.map(millis),
                failure: running.last_failure.map(|(at, why)| (millis(at), why)),
            }),
        }
    }
}

impl Contents {
    /// Everything that the store tells about itself. Changes the store: it notes reads, and a secret that is scheduled
    /// for deletion has to be restored before its values can be read.
    pub(crate) fn of(store: &SecretStore) -> strongroom::Result<Self> {
        let mut secrets = Vec::new();
        for (account, region) in TENANTS {
            let manager = store.secrets_manager(account, region)?;
            let names = names(&manager)?;
            for name in names {
                secrets.push(Secret::of(&manager, &name)?);
            }
        }
        Ok(Self { secrets })
    }

    /// The same with placeholders, which only an export tells of.
    pub(crate) fn with_placeholders(store: &SecretStore) -> strongroom::Result<Self> {
        let mut contents = Self::of(store)?;
        let mut lines = Vec::new();
        store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| ())?;
        let lines = String::from_utf8(lines).unwrap();
        for line in lines.lines().skip(1) {
            let exported: Json = serde_json::from_str(line).unwrap();
            let Some(secret) = contents.secrets.iter_mut().find(|secret| exported["ARN"] == secret.arn) else {
                continue;
            };
            for version in exported["Versions"].as_array().unwrap() {
                if version.get("SecretString").is_none() && version.get("SecretBinary").is_none() {
                    secret.versions.push(Version::placeholder(version));
                }
            }
            secret.versions.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Ok(contents)
    }
}

impl Version {
    /// One that has no value, as a line of an export tells of it.
    fn placeholder(exported: &Json) -> Self {
        let text = |text: &Json| text.as_str().unwrap().to_owned();
        let stages = exported["VersionStages"].as_array().unwrap();
        Self {
            id: text(&exported["VersionId"]),
            // Whole milliseconds again.
            created: format!("{:.0}", exported["CreatedDate"].as_f64().unwrap() * 1000.0).parse().unwrap(),
            last_accessed: None,
            stages: sorted(Some(stages.iter().map(text).collect())),
            kms_key_ids: Vec::new(),
            value: None,
        }
    }
}

/// The names of all secrets, those scheduled for deletion included.
pub(crate) fn names(manager: &SecretsManager) -> strongroom::Result<Vec<String>> {
    let list = manager.list_secrets(ListSecretsRequest::new().include_planned_deletion(true))?;
    let mut names: Vec<_> = list.secret_list.into_iter().map(|entry| entry.name).collect();
    names.sort();
    Ok(names)
}

/// All versions that have a value, page by page.
fn versions(manager: &SecretsManager, name: &str) -> strongroom::Result<Vec<SecretVersionsListEntry>> {
    let (mut entries, mut token) = (Vec::new(), None);
    loop {
        let mut request = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
        request.next_token = token;
        let page = manager.list_secret_version_ids(request)?;
        entries.extend(page.versions);
        token = page.next_token;
        if token.is_none() {
            return Ok(entries);
        }
    }
}

/// All policies, page by page.
fn policies(manager: &SecretsManager, name: &str) -> strongroom::Result<Vec<(String, String)>> {
    let (mut policies, mut token) = (Vec::new(), None);
    loop {
        let mut request = ListResourcePoliciesRequest::new(name).max_results(1);
        request.next_token = token;
        let page = manager.list_resource_policies(request)?;
        for listed in page.resource_policies {
            let get = GetResourcePolicyRequest::new(name).policy_name(listed.policy_name.as_str());
            policies.push((listed.policy_name, manager.get_resource_policy(get)?.resource_policy.unwrap()));
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(policies);
        }
    }
}

/// What a description tells of replicas.
fn replication(
    described: &DescribeSecretResponse,
) -> (Vec<RegionReplica>, Vec<AccountReplica>, Option<AccountPrimary>) {
    let status = |status: StatusType| status.as_str().to_owned();
    let regions = described.replication_status.iter().flatten().map(|told| RegionReplica {
        region: told.region.clone(),
        kms_key_id: told.kms_key_id.clone(),
        status: status(told.status),
        message: told.status_message.clone(),
    });
    let accounts = described.cross_account_replicas.iter().flatten().map(|told| AccountReplica {
        arn: told.replica_secret_arn.clone(),
        role: told.replication_role_arn.clone(),
        status: status(told.replication_status),
        message: told.status_message.clone(),
    });
    let primary = described.cross_account_primary.as_ref().map(|told| AccountPrimary {
        arn: told.primary_secret_arn.clone(),
        status: status(told.replication_status),
        message: told.status_message.clone(),
    });
    (regions.collect(), accounts.collect(), primary)
}

impl Secret {
    pub(crate) fn of(manager: &SecretsManager, name: &str) -> strongroom::Result<Self> {
        let described = manager.describe_secret(DescribeSecretRequest::new(name))?;
        let (replica_regions, account_replicas, account_primary) = replication(&described);
        let rotation = manager.rotation_status(name)?.map(|status| Rotation::of(&described, status));
        assert_eq!(described.rotation_enabled.is_some(), rotation.is_some());
        let entries = versions(manager, name)?;
        if described.deleted_date.is_some() {
            manager.restore_secret(RestoreSecretRequest::new(name))?;
        }
        let mut versions = Vec::new();
        for entry in entries {
            let read =
                manager.get_secret_value(GetSecretValueRequest::new(name).version_id(entry.version_id.as_str()))?;
            assert_eq!(
                (&read.name, &read.arn, read.created_date),
                (&described.name, &described.arn, entry.created_date)
            );
            let text = read.secret_string.map(|text| Value::Text(text.expose().to_owned()));
            let bytes = read.secret_binary.map(|bytes| Value::Bytes(Hex(bytes.expose().to_vec())));
            assert!(text.is_some() != bytes.is_some(), "{name}: a value is either text or bytes");
            versions.push(Version {
                id: entry.version_id,
                created: millis(entry.created_date),
                last_accessed: entry.last_accessed_date.map(millis),
                stages: sorted(entry.version_stages),
                kms_key_ids: entry.kms_key_ids,
                value: text.or(bytes),
            });
        }
        versions.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self {
            account: manager.account().to_owned(),
            region: manager.region().to_owned(),
            name: described.name,
            arn: described.arn,
            description: described.description,
            kms_key_id: described.kms_key_id,
            r#type: described.r#type,
            tags: pairs(described.tags),
            created: millis(described.created_date),
            last_changed: millis(described.last_changed_date),
            last_accessed: described.last_accessed_date.map(millis),
            deleted: described.deleted_date.map(millis),
            owning_service: described.owning_service,
            primary_region: described.primary_region,
            rotation,
            replica_regions,
            account_replicas,
            account_primary,
            policies: policies(manager, name)?,
            versions,
        })
    }
}
