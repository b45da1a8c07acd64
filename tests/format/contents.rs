//! What a store holds, as a file says it: read out of a store through its API, and compared.

use serde::{Deserialize, Serialize};
use strongroom::{
    DescribeSecretRequest, GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest,
    RestoreSecretRequest, SecretStore, SecretVersionsListEntry, SecretsManager, Tag, Timestamp,
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
    /// In order of their ids.
    pub(crate) versions: Vec<Version>,
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
pub(crate) const TENANTS: [(&str, &str); 3] =
    [("111122223333", "eu-central-1"), ("444455556666", "eu-central-1"), ("444455556666", "us-gov-west-1")];

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

impl Secret {
    pub(crate) fn of(manager: &SecretsManager, name: &str) -> strongroom::Result<Self> {
        let described = manager.describe_secret(DescribeSecretRequest::new(name))?;
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
            versions,
        })
    }
}
