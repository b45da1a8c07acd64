//! The one place that names bincode: record structs to bytes and back.
//!
//! Nothing is decoded before its seal has been verified. Decoding is bounded in memory, refuses trailing bytes, and
//! checks every reference between parts, so that what comes out upholds the invariants of the model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::id::SecretName;
use crate::model::policy::AttachedPolicies;
use crate::model::secret::Secret;
use crate::model::stages::Stages;
use crate::model::tag::Tag;
use crate::model::tenant::Tenant;
use crate::model::value::ValueKind;
use crate::model::version::{Content, KeyRole, KeyUse, KmsKeyId, Version, VersionId};
use crate::records::manifest::SetHash;
use crate::records::replication::StoredLinks;
use crate::records::rotation::StoredRotation;
use crate::storage::RECORD_BYTES_MAX;
use crate::time::{Timestamp, from_millis};

/// First byte of every record.
const VERSION: u8 = 1;

/// Most records fit into this.
const USUAL_BYTES: usize = 512;

/// What decoding may claim. bincode counts elements of lists by their size in memory, which is up to 16 times that of
/// their bytes; whatever could be encoded must be decoded again.
const DECODE_BYTES_MAX: usize = 16 * RECORD_BYTES_MAX;

fn config() -> bincode::config::Configuration<bincode::config::BigEndian> {
    bincode::config::standard().with_big_endian()
}

/// Why a record could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("the record does not fit into {RECORD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the record has the unknown version {0}")]
    UnknownVersion(u8),
    #[error("the record cannot be decoded")]
    Malformed,
}

pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match bincode::serde::encode_into_std_write(
        (VERSION, record),
        &mut bytes,
        config().with_limit::<RECORD_BYTES_MAX>(),
    ) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(CodecError::TooLarge),
    }
}

pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (&version, body) = bytes.split_first().ok_or(CodecError::Malformed)?;
    if version != VERSION {
        return Err(CodecError::UnknownVersion(version));
    }
    match bincode::serde::borrow_decode_from_slice(body, config().with_limit::<DECODE_BYTES_MAX>()) {
        Ok((record, read)) if read == body.len() => Ok(record),
        _ => Err(CodecError::Malformed),
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSecret<'a> {
    account: &'a str,
    region: &'a str,
    uid: [u8; 16],
    name: &'a str,
    arn: &'a str,
    description: Option<&'a str>,
    kms_key_id: Option<&'a str>,
    external_type: Option<&'a str>,
    #[serde(borrow)]
    tags: Option<Vec<(&'a str, &'a str)>>,
    created_at: i64,
    last_changed_at: i64,
    accessed_on: Option<i64>,
    deletion_at: Option<i64>,
    owning_service: Option<&'a str>,
    primary_region: Option<&'a str>,
    #[serde(borrow)]
    links: StoredLinks<'a>,
    #[serde(borrow)]
    rotation: Option<StoredRotation<'a>>,
    /// Name and text, the default one first, the others by name.
    #[serde(borrow)]
    policies: Vec<(&'a str, &'a str)>,
    versions_made: u64,
    /// Keys in use by the versions, each once.
    #[serde(borrow)]
    keys: Vec<StoredKeyUse<'a>>,
    #[serde(borrow)]
    versions: Vec<StoredVersion<'a>>,
    /// Label and index of its version, in order of attachment.
    #[serde(borrow)]
    stages: Vec<(&'a str, u32)>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct StoredKeyUse<'a> {
    requested: Option<&'a str>,
    provider: &'a str,
    key_arn: &'a str,
    key_version: &'a str,
    is_recovery: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredVersion<'a> {
    id: &'a str,
    number: u64,
    created_at: i64,
    accessed_on: Option<i64>,
    content: Option<StoredContent>,
}

#[derive(Serialize, Deserialize)]
struct StoredContent {
    is_binary: bool,
    /// Indexes into `StoredSecret::keys`.
    keys: Vec<u32>,
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.timestamp_millis())
}

fn shown(key: &KmsKeyId) -> Option<&str> {
    key.shown()
}

fn requested(text: Option<&str>) -> KmsKeyId {
    text.map_or(KmsKeyId::Default, |text| KmsKeyId::Given(text.to_owned()))
}

/// A secret as bytes, yet to be sealed.
pub(crate) fn encode_secret(secret: &Secret) -> Result<Vec<u8>, CodecError> {
    let Secret {
        tenant,
        uid,
        name,
        arn,
        description,
        kms_key_id,
        external_type,
        tags,
        created_at,
        last_changed_at,
        accessed_on,
        deletion_at,
        owning_service,
        primary_region,
        links,
        rotation,
        policies,
        versions_made,
        versions,
        stages,
    } = secret;
    let mut keys: Vec<StoredKeyUse<'_>> = Vec::new();
    let mut stored_versions = Vec::with_capacity(versions.len());
    for Version { id, number, created_at, accessed_on, content } in versions {
        let content = match content {
            None => None,
            Some(Content { kind, keys: used }) => {
                let mut indexes = Vec::with_capacity(used.len());
                for key in used {
                    let KeyUse { requested, provider, key_arn, key_version, role } = &**key;
                    let is_recovery = *role == KeyRole::Recovery;
                    let requested = shown(requested);
                    let key = StoredKeyUse { requested, provider, key_arn, key_version, is_recovery };
                    let index = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                        keys.push(key);
                        keys.len() - 1
                    });
                    indexes.push(u32::try_from(index).map_err(|_| CodecError::TooLarge)?);
                }
                Some(StoredContent { is_binary: *kind == ValueKind::Binary, keys: indexes })
            }
        };
        stored_versions.push(StoredVersion {
            id: id.as_str(),
            number: *number,
            created_at: created_at.timestamp_millis(),
            accessed_on: millis(*accessed_on),
            content,
        });
    }
    let stages = stages
        .iter()
        .map(|(label, holder)| {
            let index = versions.iter().position(|version| version.id == *holder).ok_or(CodecError::Malformed)?;
            Ok((label, u32::try_from(index).map_err(|_| CodecError::TooLarge)?))
        })
        .collect::<Result<_, CodecError>>()?;
    encode(&StoredSecret {
        account: tenant.account(),
        region: tenant.region(),
        uid: *uid.as_bytes(),
        name: name.as_str(),
        arn,
        description: description.as_deref(),
        kms_key_id: shown(kms_key_id),
        external_type: external_type.as_deref(),
        tags: tags.as_ref().map(|tags| tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect()),
        created_at: created_at.timestamp_millis(),
        last_changed_at: last_changed_at.timestamp_millis(),
        accessed_on: millis(*accessed_on),
        deletion_at: millis(*deletion_at),
        owning_service: owning_service.as_deref(),
        primary_region: primary_region.as_deref(),
        links: StoredLinks::new(links),
        rotation: rotation.as_deref().map(StoredRotation::new),
        policies: policies.iter().collect(),
        versions_made: *versions_made,
        keys,
        versions: stored_versions,
        stages,
    })
}

/// A secret from bytes whose seal has been verified. `tenant` is the caller's, shared if it is the same.
pub(crate) fn decode_secret(bytes: &[u8], tenant: Option<&Arc<Tenant>>) -> Result<Secret, CodecError> {
    let stored: StoredSecret<'_> = decode(bytes)?;
    let tenant = match tenant {
        Some(tenant) if tenant.account() == stored.account && tenant.region() == stored.region => Arc::clone(tenant),
        _ => Arc::new(Tenant::parse(stored.account, stored.region).map_err(|_| CodecError::Malformed)?),
    };
    let keys: Vec<Arc<KeyUse>> = stored
        .keys
        .into_iter()
        .map(|StoredKeyUse { requested: key, provider, key_arn, key_version, is_recovery }| {
            Arc::new(KeyUse {
                requested: requested(key),
                provider: provider.into(),
                key_arn: key_arn.into(),
                key_version: key_version.into(),
                role: if is_recovery { KeyRole::Recovery } else { KeyRole::Secret },
            })
        })
        .collect();
    let versions = stored
        .versions
        .into_iter()
        .map(|StoredVersion { id, number, created_at, accessed_on, content }| {
            let content = match content {
                None => None,
                Some(StoredContent { is_binary, keys: used }) => {
                    let kind = if is_binary { ValueKind::Binary } else { ValueKind::String };
                    let used: Option<Vec<_>> =
                        used.into_iter().map(|index| keys.get(usize::try_from(index).ok()?).cloned()).collect();
                    Some(Content { kind, keys: used.filter(|used| !used.is_empty()).ok_or(CodecError::Malformed)? })
                }
            };
            let accessed_on = accessed_on.map(from_millis);
            Ok(Version { id: VersionId::new(id), number, created_at: from_millis(created_at), accessed_on, content })
        })
        .collect::<Result<Vec<_>, CodecError>>()?;
    let stages = stored
        .stages
        .into_iter()
        .map(|(label, index)| {
            let version = usize::try_from(index).ok().and_then(|index| versions.get(index));
            Ok((label.to_owned(), version.ok_or(CodecError::Malformed)?.id.clone()))
        })
        .collect::<Result<_, CodecError>>()?;
    Ok(Secret {
        tenant,
        uid: Uuid::from_bytes(stored.uid),
        name: SecretName::from_record(stored.name),
        arn: stored.arn.to_owned(),
        description: stored.description.map(str::to_owned),
        kms_key_id: requested(stored.kms_key_id),
        external_type: stored.external_type.map(str::to_owned),
        tags: stored.tags.map(|tags| tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect()),
        created_at: from_millis(stored.created_at),
        last_changed_at: from_millis(stored.last_changed_at),
        accessed_on: stored.accessed_on.map(from_millis),
        deletion_at: stored.deletion_at.map(from_millis),
        owning_service: stored.owning_service.map(str::to_owned),
        primary_region: stored.primary_region.map(str::to_owned),
        links: stored.links.read().ok_or(CodecError::Malformed)?,
        rotation: stored.rotation.map(|rotation| Box::new(rotation.read())),
        policies: AttachedPolicies::from_record(stored.policies).ok_or(CodecError::Malformed)?,
        versions_made: stored.versions_made,
        versions,
        stages: Stages::from_record(stages),
    })
}

/// The head of the store: what every commit brings up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Commits so far.
    pub(crate) epoch: u64,
    /// Secrets in the store, over all accounts and Regions.
    pub(crate) secrets: u64,
    /// No record has a revision above this.
    pub(crate) revision: u64,
    /// Records in the store, without the head and the header.
    pub(crate) records: u64,
    /// The set hash of those records.
    pub(crate) set: SetHash,
}

pub(crate) fn encode_head(head: &Head) -> Result<Vec<u8>, CodecError> {
    encode(head)
}

pub(crate) fn decode_head(bytes: &[u8]) -> Result<Head, CodecError> {
    decode(bytes)
}

/// What a due entry points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueEntry {
    pub(crate) secret: Vec<u8>,
}

pub(crate) fn encode_due(entry: &DueEntry) -> Result<Vec<u8>, CodecError> {
    encode(entry)
}

pub(crate) fn decode_due(bytes: &[u8]) -> Result<DueEntry, CodecError> {
    decode(bytes)
}

/// How far a long operation on keys has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What it is about. Another one is begun anew.
    pub(crate) scope: String,
    /// Account, Region and name of the last secret that was done.
    pub(crate) after: (String, String, String),
    /// Secrets and versions that were done.
    pub(crate) secrets: u64,
    pub(crate) versions: u64,
}

pub(crate) fn encode_job(job: &Job) -> Result<Vec<u8>, CodecError> {
    encode(job)
}

pub(crate) fn decode_job(bytes: &[u8]) -> Result<Job, CodecError> {
    decode(bytes)
}

/// What a page token remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Sort value of the last entry shown, if the order has one.
    pub(crate) at: Option<i64>,
    /// Name or id of the last entry shown.
    pub(crate) name: String,
}

pub(crate) fn encode_cursor(cursor: &Cursor) -> Result<Vec<u8>, CodecError> {
    encode(cursor)
}

pub(crate) fn decode_cursor(bytes: &[u8]) -> Result<Cursor, CodecError> {
    decode(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::replication::Links;

    /// As many small parts as fit: decoding claims the most memory for each byte.
    pub(in crate::records) fn secret(tags: usize, versions: u32, id_chars: usize) -> Secret {
        let key = KeyUse {
            requested: KmsKeyId::Default,
            provider: "p".into(),
            key_arn: "arn:aws:kms:us-east-1:000000000000:key/k".into(),
            key_version: "1".into(),
            role: KeyRole::Secret,
        };
        let keys = vec![Arc::new(key)];
        let version = |number: u32| Version {
            id: VersionId::new(format!("{number:0id_chars$}")),
            number: number.into(),
            created_at: from_millis(i64::from(number)),
            accessed_on: None,
            content: Some(Content { kind: ValueKind::String, keys: keys.clone() }),
        };
        let versions: Vec<Version> = (0..versions).map(version).collect();
        let label = |(index, version): (usize, &Version)| (index.to_string(), version.id.clone());
        Secret {
            tenant: Arc::new(Tenant::parse("000000000000", "us-east-1").unwrap()),
            uid: Uuid::from_u128(1),
            name: SecretName::from_record("n"),
            arn: "arn".to_owned(),
            description: None,
            kms_key_id: KmsKeyId::Default,
            external_type: None,
            tags: Some((0..tags).map(|index| Tag::new(index.to_string(), "")).collect()),
            created_at: from_millis(0),
            last_changed_at: from_millis(0),
            accessed_on: None,
            deletion_at: None,
            owning_service: None,
            primary_region: None,
            links: Links::default(),
            rotation: None,
            policies: AttachedPolicies::default(),
            versions_made: 0,
            stages: Stages::from_record(versions.iter().enumerate().take(20).map(label).collect()),
            versions,
        }
    }

    #[test]
    fn whatever_can_be_encoded_can_be_decoded() {
        let mut encoded = 0;
        for tags in [0, 50, 15_000] {
            for id_chars in [1, 36, 64] {
                for versions in (0..12_000).step_by(487) {
                    let secret = secret(tags, versions, id_chars);
                    let Ok(bytes) = encode_secret(&secret) else { break };
                    let decoded = decode_secret(&bytes, None);
                    assert!(decoded.is_ok_and(|decoded| decoded == secret), "{tags} {versions} {id_chars}");
                    encoded += 1;
                }
            }
        }
        assert!(encoded > 30, "the rows reach the limit from below");
    }

    #[test]
    fn a_record_that_claims_more_than_it_has_is_refused_at_once() {
        let mut bytes = encode_due(&DueEntry { secret: vec![1; 25] }).unwrap();
        bytes.truncate(2);
        bytes[1..].fill(253);
        bytes.extend([0xff; 8]);
        assert!(matches!(decode_due(&bytes), Err(CodecError::Malformed)));
    }
}
