//! The chunks of an export: secrets and values as plaintext that is yet to be sealed, and back.
//!
//! A value is never part of what the codec encodes, whose buffers are not wiped: it stands behind the encoded record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::envelope::ad::{Fields, push_field};
use crate::error::Result;
use crate::model::id::SecretName;
use crate::model::policy::AttachedPolicies;
use crate::model::portable::Portable;
use crate::model::secret::Secret;
use crate::model::stages::Stages;
use crate::model::tag::Tag;
use crate::model::tenant::Tenant;
use crate::model::value::{SecretValue, ValueKind};
use crate::model::version::{Content, KmsKeyId, Version, VersionId};
use crate::records::codec::{CodecError, decode, encode};
use crate::records::keys::{Family, SecretKey};
use crate::records::replication::ExportedLinks;
use crate::records::rotation::StoredRotation;
use crate::records::{Loaded, Records, SCAN_RECORDS, misplaced, undecodable};
use crate::storage::RECORD_BYTES_MAX;
use crate::time::{Timestamp, from_millis};

/// Longest plaintext of a chunk: its kind, a record, and a value.
pub(crate) const CHUNK_BYTES_MAX: usize = 1 + 4 + RECORD_BYTES_MAX + crate::model::limits::VALUE_BYTES_MAX;

const SECRET: u8 = 1;
const VERSION: u8 = 2;
const END: u8 = 3;

/// One chunk of an export.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// A secret, whose versions follow.
    Secret(Box<Draft>),
    /// The next version of the secret, and its value.
    Version(Version, Option<SecretValue>),
    /// There is no more.
    End(Counts),
}

/// What an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) secrets: u64,
    pub(crate) versions: u64,
}

/// A secret whose versions are still to come.
#[derive(Debug)]
pub(crate) struct Draft {
    portable: Portable,
    versions: u32,
    /// Label and index of its version.
    labels: Vec<(String, u32)>,
}

#[derive(Serialize, Deserialize)]
struct StoredHead<'a> {
    account: &'a str,
    region: &'a str,
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
    links: ExportedLinks<'a>,
    #[serde(borrow)]
    rotation: Option<StoredRotation<'a>>,
    #[serde(borrow)]
    policies: Vec<(&'a str, &'a str)>,
    versions_made: u64,
    versions: u32,
    #[serde(borrow)]
    labels: Vec<(&'a str, u32)>,
}

#[derive(Serialize, Deserialize)]
struct StoredVersion<'a> {
    id: &'a str,
    number: u64,
    created_at: i64,
    accessed_on: Option<i64>,
    /// Whether the value is bytes. `None`: there is none.
    is_binary: Option<bool>,
}

impl Draft {
    /// Versions that have not come yet.
    pub(crate) fn missing(&self) -> usize {
        usize::try_from(self.versions).unwrap_or(usize::MAX).saturating_sub(self.portable.values.len())
    }

    /// The versions that were announced.
    pub(crate) fn versions(&self) -> usize {
        usize::try_from(self.versions).unwrap_or(usize::MAX)
    }

    pub(crate) fn arn(&self) -> &str {
        &self.portable.secret.arn
    }

    pub(crate) fn push(&mut self, version: Version, value: Option<SecretValue>) {
        self.portable.secret.versions.push(version);
        self.portable.values.push(value);
    }

    /// The whole secret. `None` if a label is on a version that is not there.
    pub(crate) fn finish(mut self) -> Option<Portable> {
        let versions = &self.portable.secret.versions;
        let holder = |index: u32| usize::try_from(index).ok().and_then(|index| versions.get(index));
        let labels = self.labels.into_iter().map(|(label, index)| Some((label, holder(index)?.id.clone())));
        let stages = Stages::from_record(labels.collect::<Option<_>>()?);
        self.portable.secret.stages = stages;
        Some(self.portable)
    }
}

fn chunk(kind: u8, record: &[u8], value: &[u8]) -> Zeroizing<Vec<u8>> {
    // Exactly sized, so that growing leaves no copy of a value behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(1 + 4 + record.len() + value.len()));
    plaintext.push(kind);
    push_field(&mut plaintext, record);
    plaintext.extend_from_slice(value);
    plaintext
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.timestamp_millis())
}

/// The chunk of a secret.
pub(crate) fn secret_chunk(secret: &Secret) -> Result<Zeroizing<Vec<u8>>> {
    let Secret {
        tenant,
        uid: _,
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
    let labels = stages.iter().map(|(label, holder)| {
        let index = versions.iter().position(|version| version.id == *holder).ok_or(CodecError::Malformed)?;
        Ok((label, u32::try_from(index).map_err(|_| CodecError::TooLarge)?))
    });
    let encoded = || {
        encode(&StoredHead {
            account: tenant.account(),
            region: tenant.region(),
            name: name.as_str(),
            arn,
            description: description.as_deref(),
            kms_key_id: kms_key_id.shown(),
            external_type: external_type.as_deref(),
            tags: tags.as_ref().map(|tags| tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect()),
            created_at: created_at.timestamp_millis(),
            last_changed_at: last_changed_at.timestamp_millis(),
            accessed_on: millis(*accessed_on),
            deletion_at: millis(*deletion_at),
            owning_service: owning_service.as_deref(),
            primary_region: primary_region.as_deref(),
            links: ExportedLinks::new(links),
            rotation: rotation.as_deref().map(|rotation| StoredRotation::new(rotation).without_job()),
            policies: policies.iter().collect(),
            versions_made: *versions_made,
            versions: u32::try_from(versions.len()).map_err(|_| CodecError::TooLarge)?,
            labels: labels.collect::<Result<_, CodecError>>()?,
        })
    };
    Ok(chunk(SECRET, &encoded().map_err(undecodable)?, &[]))
}

/// The chunk of a version.
pub(crate) fn version_chunk(version: &Version, value: Option<&SecretValue>) -> Result<Zeroizing<Vec<u8>>> {
    let record = encode(&StoredVersion {
        id: version.id.as_str(),
        number: version.number,
        created_at: version.created_at.timestamp_millis(),
        accessed_on: millis(version.accessed_on),
        is_binary: value.map(|value| value.kind() == ValueKind::Binary),
    })
    .map_err(undecodable)?;
    Ok(chunk(VERSION, &record, value.map(SecretValue::expose).unwrap_or_default()))
}

/// The last chunk.
pub(crate) fn end_chunk(counts: &Counts) -> Result<Zeroizing<Vec<u8>>> {
    Ok(chunk(END, &encode(counts).map_err(undecodable)?, &[]))
}

/// An instant, unless it is outside the calendar.
fn instant(millis: i64) -> Result<Timestamp, CodecError> {
    let at = from_millis(millis);
    if at.timestamp_millis() == millis { Ok(at) } else { Err(CodecError::Malformed) }
}

/// A chunk from a plaintext whose seal has been verified.
pub(crate) fn decode_chunk(plaintext: &[u8]) -> Result<Chunk, CodecError> {
    let (&kind, rest) = plaintext.split_first().ok_or(CodecError::Malformed)?;
    let mut fields = Fields::new(rest);
    let record = fields.field(RECORD_BYTES_MAX).ok_or(CodecError::Malformed)?;
    let value = fields.rest();
    match kind {
        SECRET if value.is_empty() => decode_head(record).map(|draft| Chunk::Secret(Box::new(draft))),
        VERSION => decode_version(record, value),
        END if value.is_empty() => decode(record).map(Chunk::End),
        _ => Err(CodecError::Malformed),
    }
}

fn decode_head(record: &[u8]) -> Result<Draft, CodecError> {
    let stored: StoredHead<'_> = decode(record)?;
    let tenant = Tenant::parse(stored.account, stored.region).map_err(|_| CodecError::Malformed)?;
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let rotation = match stored.rotation {
        Some(rotation) => Some(Box::new(rotation.read_exported().ok_or(CodecError::Malformed)?)),
        None => None,
    };
    let secret = Secret {
        tenant: Arc::new(tenant),
        uid: Uuid::nil(),
        name: SecretName::from_record(stored.name),
        arn: stored.arn.to_owned(),
        description: text(stored.description),
        kms_key_id: stored.kms_key_id.map(KmsKeyId::parse).unwrap_or_default(),
        external_type: text(stored.external_type),
        tags: stored.tags.map(|tags| tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect()),
        created_at: instant(stored.created_at)?,
        last_changed_at: instant(stored.last_changed_at)?,
        accessed_on: stored.accessed_on.map(instant).transpose()?,
        deletion_at: stored.deletion_at.map(instant).transpose()?,
        owning_service: stored.owning_service.map(str::to_owned),
        primary_region: stored.primary_region.map(str::to_owned),
        links: stored.links.read().ok_or(CodecError::Malformed)?,
        rotation,
        policies: AttachedPolicies::from_record(stored.policies).ok_or(CodecError::Malformed)?,
        versions_made: stored.versions_made,
        versions: Vec::new(),
        stages: Stages::default(),
    };
    Ok(Draft {
        portable: Portable { secret, values: Vec::new() },
        versions: stored.versions,
        labels: stored.labels.into_iter().map(|(label, index)| (label.to_owned(), index)).collect(),
    })
}

fn decode_version(record: &[u8], value: &[u8]) -> Result<Chunk, CodecError> {
    let stored: StoredVersion<'_> = decode(record)?;
    let kind = stored.is_binary.map(|is_binary| if is_binary { ValueKind::Binary } else { ValueKind::String });
    let value = match kind {
        Some(kind) => {
            let bytes = Zeroizing::new(value.to_vec());
            Some(SecretValue::from_plaintext(kind, bytes).ok_or(CodecError::Malformed)?)
        }
        None if value.is_empty() => None,
        None => return Err(CodecError::Malformed),
    };
    let version = Version {
        id: VersionId::new(stored.id),
        number: stored.number,
        created_at: instant(stored.created_at)?,
        accessed_on: stored.accessed_on.map(instant).transpose()?,
        content: kind.map(|kind| Content { kind, keys: Vec::new() }),
    };
    Ok(Chunk::Version(version, value))
}

impl Records {
    /// Some secrets, in the order of their keys, after the one given. None: there are no more.
    pub(crate) fn secrets_after(&self, after: Option<&SecretKey>) -> Result<Vec<Loaded>> {
        let found = self.scan(&[Family::Secret as u8], after.map(SecretKey::as_bytes))?;
        let mut secrets: Vec<Loaded> = Vec::with_capacity(found.len().min(SCAN_RECORDS));
        for (key, stored) in found {
            let key = SecretKey::from_bytes(&key).ok_or_else(misplaced)?;
            let tenant = secrets.last().map(|before| Arc::clone(&before.secret.tenant));
            secrets.push(self.open_found(key, &stored, tenant.as_ref())?);
        }
        Ok(secrets)
    }

    /// Secrets of an account and Region that are not past their recovery window.
    pub(crate) fn reachable_secrets(&self, tenant: &Tenant, now: Timestamp) -> Result<u64> {
        self.warm_up()?;
        Ok(self.catalogue.count(tenant, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::replication::{
        AccountLink, AccountPrimary, LinkState, Links, RegionLink, ReplicaRestriction, StatusType,
    };

    fn links() -> Links {
        let (primary_arn, message) = ("primary".to_owned(), None);
        Links {
            regions: vec![RegionLink::moved("eu-west-1".to_owned(), KmsKeyId::parse("alias/app"))],
            accounts: vec![AccountLink {
                replica_arn: "replica".to_owned(),
                role_arn: Some("role".to_owned()),
                restriction: ReplicaRestriction::NoRestriction,
                state: LinkState::detached(),
            }],
            primary: Some(AccountPrimary { primary_arn, status: StatusType::Pending, message }),
        }
    }

    fn version() -> Zeroizing<Vec<u8>> {
        let version = Version {
            id: VersionId::new("v".repeat(32)),
            number: 3,
            created_at: from_millis(5),
            accessed_on: None,
            content: None,
        };
        version_chunk(&version, Some(&SecretValue::from("s3cret"))).unwrap()
    }

    fn secret() -> Zeroizing<Vec<u8>> {
        let secret = Secret {
            tenant: Arc::new(Tenant::parse("000000000000", "us-east-1").unwrap()),
            uid: Uuid::nil(),
            name: SecretName::from_record("n"),
            arn: "arn".to_owned(),
            description: Some("d".to_owned()),
            kms_key_id: KmsKeyId::Default,
            external_type: None,
            tags: Some(vec![Tag::new("k", "v")]),
            created_at: from_millis(0),
            last_changed_at: from_millis(0),
            accessed_on: None,
            deletion_at: None,
            owning_service: None,
            primary_region: None,
            links: links(),
            rotation: None,
            policies: AttachedPolicies::from_record(vec![("default", "{}"), ("service", "")]).unwrap(),
            versions_made: 1,
            versions: vec![],
            stages: Stages::default(),
        };
        secret_chunk(&secret).unwrap()
    }

    /// Nobody without the key gets as far as this; whoever has it still breaks nothing.
    #[test]
    fn chunks_that_are_not_what_was_written_are_refused_or_read_and_never_worse() {
        let end = end_chunk(&Counts { secrets: 1, versions: 2 }).unwrap();
        let mut refused = 0;
        for chunk in [version(), secret(), end] {
            assert!(decode_chunk(&chunk).is_ok());
            for at in 0..chunk.len() {
                for byte in [0, 1, 2, 3, 0x7f, 250, 251, 253, 255] {
                    let mut changed = chunk.to_vec();
                    changed[at] = byte;
                    refused += usize::from(decode_chunk(&changed).is_err());
                }
            }
            // A value has no end of its own: the seal says where it ends.
            for length in 0..chunk.len() - "s3cret".len() {
                assert!(decode_chunk(&chunk[..length]).is_err(), "{length}");
            }
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn only_a_version_has_a_value_and_only_one_that_says_so() {
        let placeholder = Version {
            id: VersionId::new("v".repeat(32)),
            number: 1,
            created_at: from_millis(5),
            accessed_on: None,
            content: None,
        };
        let placeholder = version_chunk(&placeholder, None).unwrap();
        for chunk in [secret(), placeholder, end_chunk(&Counts::default()).unwrap()] {
            assert!(decode_chunk(&chunk).is_ok());
            assert!(matches!(decode_chunk(&[&chunk[..], b"v"].concat()), Err(CodecError::Malformed)));
        }
    }

    #[test]
    fn a_label_on_a_version_that_is_not_there_is_refused() {
        let Ok(Chunk::Secret(mut draft)) = decode_chunk(&secret()) else { panic!("no secret") };
        draft.labels.push(("AWSCURRENT".to_owned(), 0));
        assert!(draft.finish().is_none());
    }
}
