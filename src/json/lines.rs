//! Secrets as lines of JSON: an export that is not encrypted. Members have the names that the API gives them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::json::replication::{ReadAccounts, ReadLinks, ReadPrimary, ReadRegions, WrittenLinks};
use crate::json::rotation::{ReadRotation, WrittenRotation};
use crate::json::{Exact, Unread, date, from_line, or_empty, to_bytes};
use crate::model::id::SecretName;
use crate::model::limits as lim;
use crate::model::policy::AttachedPolicies;
use crate::model::portable::Portable;
use crate::model::secret::Secret;
use crate::model::stages::Stages;
use crate::model::tag::Tag;
use crate::model::tenant::Tenant;
use crate::model::value::{SecretBytes, SecretString, SecretValue};
use crate::model::version::{Content, KmsKeyId, Version, VersionId};
use crate::time::{Timestamp, from_millis};

/// What the first line says.
const FORMAT: &str = "strongroom-plaintext-export";

/// The format that this version writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u16 = 1;

/// Versions that are read from one line. More than any secret has; a bound against absurd input.
const VERSIONS_READ_MAX: usize = 100_000;

/// A line that was read.
#[derive(Debug)]
pub(crate) enum Line {
    Secret(Box<Portable>),
    End { secrets: u64, versions: u64 },
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Header {
    format: String,
    format_version: u64,
}

/// The last line.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct End {
    secret_count: u64,
    version_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenSecret<'a> {
    name: &'a str,
    #[serde(rename = "ARN")]
    arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [Tag]>,
    created_date: Date,
    last_changed_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owning_service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<&'a str>,
    #[serde(flatten)]
    links: WrittenLinks<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<WrittenRotation<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<WrittenPolicy<'a>>,
    versions_made: u64,
    versions: Vec<WrittenVersion<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenPolicy<'a> {
    policy_name: &'a str,
    resource_policy: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenVersion<'a> {
    version_id: &'a str,
    version_number: u64,
    version_stages: Vec<String>,
    created_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<&'a SecretString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<&'a SecretBytes>,
}

/// Any line but the first: a secret, or the counts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadLine {
    name: Option<String>,
    #[serde(rename = "ARN")]
    arn: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    r#type: Option<String>,
    tags: Option<Bounded<ReadTag, { lim::TAGS_MAX }>>,
    created_date: Option<Date>,
    last_changed_date: Option<Date>,
    last_accessed_date: Option<Date>,
    deleted_date: Option<Date>,
    owning_service: Option<String>,
    primary_region: Option<String>,
    replica_regions: Option<ReadRegions>,
    cross_account_replicas: Option<ReadAccounts>,
    cross_account_primary: Option<Exact<ReadPrimary>>,
    rotation: Option<Exact<ReadRotation>>,
    policies: Option<Bounded<ReadPolicy, { lim::POLICIES_MAX }>>,
    versions_made: Option<u64>,
    versions: Option<Bounded<ReadVersion, VERSIONS_READ_MAX>>,
    secret_count: Option<u64>,
    version_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadVersion {
    version_id: String,
    version_number: u64,
    #[serde(default, deserialize_with = "or_empty")]
    version_stages: Bounded<String, { lim::LABELS_MAX }>,
    created_date: Date,
    last_accessed_date: Option<Date>,
    secret_string: Option<SecretString>,
    secret_binary: Option<SecretBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadTag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadPolicy {
    policy_name: String,
    resource_policy: String,
}

/// A list that is refused as soon as it has more entries.
pub(super) struct Bounded<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Exact(entry)) = entries.next_element()? {
            if list.len() >= MAX {
                return Err(serde::de::Error::invalid_length(MAX, &self));
            }
            list.push(entry);
        }
        Ok(Bounded(list))
    }
}

/// Seconds since 1970, with milliseconds as a fraction.
#[derive(Clone, Copy)]
pub(super) struct Date(pub(super) Timestamp);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        date(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DateVisitor)
    }
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Date, E> {
        seconds.checked_mul(1000).and_then(instant).ok_or_else(|| E::custom("out of range"))
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Date, E> {
        i64::try_from(seconds).map_err(E::custom).and_then(|seconds| self.visit_i64(seconds))
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole, and exact in a double")]
    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Date, E> {
        let millis = (seconds * 1000.0).round();
        let is_exact = millis.abs() <= 9_007_199_254_740_992.0;
        is_exact.then_some(millis as i64).and_then(instant).ok_or_else(|| E::custom("out of range"))
    }
}

/// An instant, unless it is outside the calendar.
fn instant(millis: i64) -> Option<Date> {
    let at = from_millis(millis);
    (at.timestamp_millis() == millis).then_some(Date(at))
}

fn line(content: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, String> {
    to_bytes(content).map_err(|_| "cannot be written as JSON".to_owned())
}

/// The first line, without its end.
pub(crate) fn header() -> Result<Zeroizing<Vec<u8>>, String> {
    line(&Header { format: FORMAT.to_owned(), format_version: FORMAT_VERSION.into() })
}

/// The line of a secret, without its end.
pub(crate) fn secret(portable: &Portable) -> Result<Zeroizing<Vec<u8>>, String> {
    let Secret {
        tenant: _,
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
        versions: _,
        stages,
    } = &portable.secret;
    let mut versions = Vec::with_capacity(portable.values.len());
    for (version, value) in portable.versions() {
        let (secret_string, secret_binary) = match value {
            Some(SecretValue::String(text)) => (Some(text), None),
            Some(SecretValue::Binary(bytes)) => (None, Some(bytes)),
            None => (None, None),
        };
        versions.push(WrittenVersion {
            version_id: version.id.as_str(),
            version_number: version.number,
            version_stages: stages.of(&version.id),
            created_date: Date(version.created_at),
            last_accessed_date: version.accessed_on.map(Date),
            secret_string,
            secret_binary,
        });
    }
    line(&WrittenSecret {
        name: name.as_str(),
        arn,
        description: description.as_deref(),
        kms_key_id: kms_key_id.shown(),
        r#type: external_type.as_deref(),
        tags: tags.as_deref(),
        created_date: Date(*created_at),
        last_changed_date: Date(*last_changed_at),
        last_accessed_date: accessed_on.map(Date),
        deleted_date: deletion_at.map(Date),
        owning_service: owning_service.as_deref(),
        primary_region: primary_region.as_deref(),
        links: WrittenLinks::new(links),
        rotation: rotation.as_deref().map(WrittenRotation::new),
        policies: policies
            .iter()
            .map(|(policy_name, resource_policy)| WrittenPolicy { policy_name, resource_policy })
            .collect(),
        versions_made: *versions_made,
        versions,
    })
}

/// The last line, without its end.
pub(crate) fn end(secrets: u64, versions: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    line(&End { secret_count: secrets, version_count: versions })
}

fn unread(Unread { is_data, column }: Unread) -> String {
    if is_data {
        format!("a member is not known, missing, there twice or of the wrong type, before column {column}")
    } else {
        format!("not valid JSON, column {column}")
    }
}

/// The number of the format that the first line names.
pub(crate) fn read_header(line: &str) -> Result<u64, String> {
    match from_line(line) {
        Ok(Header { format, format_version }) if format == FORMAT => Ok(format_version),
        _ => Err("not the first line of such an export".to_owned()),
    }
}

/// Any other line.
pub(crate) fn read(line: &str) -> Result<Line, String> {
    let read: ReadLine = from_line(line).map_err(unread)?;
    if let (Some(secrets), Some(versions), None) = (read.secret_count, read.version_count, &read.name) {
        return Ok(Line::End { secrets, versions });
    }
    if read.secret_count.is_some() || read.version_count.is_some() {
        return Err("counts and a secret are in one line, or one of the counts is missing".to_owned());
    }
    let missing = |member: &str| format!("{member} is missing");
    let name = read.name.ok_or_else(|| missing("Name"))?;
    let arn = read.arn.ok_or_else(|| missing("ARN"))?;
    let tenant = tenant_of(&arn).ok_or("the ARN has no account and Region")?;
    let Date(created_at) = read.created_date.ok_or_else(|| missing("CreatedDate"))?;
    let Date(last_changed_at) = read.last_changed_date.ok_or_else(|| missing("LastChangedDate"))?;
    let versions_made = read.versions_made.ok_or_else(|| missing("VersionsMade"))?;
    let rotation = match read.rotation {
        Some(Exact(rotation)) => Some(Box::new(rotation.rotation().ok_or("a window of a rotation has only one end")?)),
        None => None,
    };
    let links = ReadLinks {
        regions: read.replica_regions,
        accounts: read.cross_account_replicas,
        primary: read.cross_account_primary,
    };
    let links = links.links()?;
    let mut policies = AttachedPolicies::default();
    for ReadPolicy { policy_name, resource_policy } in read.policies.unwrap_or_default().0 {
        if !policies.insert(&policy_name, resource_policy.into()) {
            return Err("a policy is there twice".to_owned());
        }
    }
    let read_versions = read.versions.ok_or_else(|| missing("Versions"))?.0;

    let mut versions = Vec::with_capacity(read_versions.len());
    let mut values = Vec::with_capacity(read_versions.len());
    let mut labels = Vec::new();
    for version in read_versions {
        let value = match (version.secret_string, version.secret_binary) {
            (Some(_), Some(_)) => return Err("a version has both SecretString and SecretBinary".to_owned()),
            (Some(text), None) => Some(SecretValue::String(text)),
            (None, Some(bytes)) => Some(SecretValue::Binary(bytes)),
            (None, None) => None,
        };
        let id = VersionId::new(version.version_id);
        labels.extend(version.version_stages.0.into_iter().map(|label| (label, id.clone())));
        if labels.len() > lim::LABELS_MAX {
            return Err(format!("the secret has more than {} staging labels", lim::LABELS_MAX));
        }
        versions.push(Version {
            id,
            number: version.version_number,
            created_at: version.created_date.0,
            accessed_on: version.last_accessed_date.map(|Date(at)| at),
            content: value.as_ref().map(|value| Content { kind: value.kind(), keys: Vec::new() }),
        });
        values.push(value);
    }
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let secret = Secret {
        tenant: Arc::new(tenant),
        uid: Uuid::nil(),
        name: SecretName::from_record(&name),
        arn,
        description: text(read.description),
        kms_key_id: read.kms_key_id.map(|key| KmsKeyId::parse(&key)).unwrap_or_default(),
        external_type: text(read.r#type),
        tags: read.tags.map(|tags| tags.0.into_iter().map(|tag| Tag::new(tag.key, tag.value)).collect()),
        created_at,
        last_changed_at,
        accessed_on: read.last_accessed_date.map(|Date(at)| at),
        deletion_at: read.deleted_date.map(|Date(at)| at),
        owning_service: read.owning_service,
        primary_region: read.primary_region,
        links,
        rotation,
        policies,
        versions_made,
        versions,
        stages: Stages::from_record(labels),
    };
    Ok(Line::Secret(Box::new(Portable { secret, values })))
}

/// The account and Region that an ARN names.
fn tenant_of(arn: &str) -> Option<Tenant> {
    let mut fields = arn.splitn(6, ':').skip(3);
    let (region, account) = (fields.next()?, fields.next()?);
    Tenant::parse(account, region).ok()
}
