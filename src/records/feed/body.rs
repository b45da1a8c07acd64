//! The body of a frame: what secrets are to be at the standby.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::envelope::ad::{Fields, push_field};
use crate::envelope::carried::CarriedVersion;
use crate::envelope::provider::WRAPPED_KEY_BYTES_MAX;
use crate::envelope::{VERSION_BYTES_MAX, WRAPS_MAX};
use crate::error::Result;
use crate::model::id::SecretName;
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::version::VersionId;
use crate::records::codec::decode_secret;
use crate::records::feed::frame::damaged;
use crate::records::feed::pieces::{NAME_BYTES_MAX, Place};
use crate::storage::RECORD_BYTES_MAX;

const SECRET: u8 = 1;
const REMOVAL: u8 = 2;
const AHEAD: u8 = 3;
const WITHDRAWN: u8 = 4;

/// Versions of a secret, outside of every root key.
pub(super) type Versions = Vec<(VersionId, CarriedVersion)>;

/// Appends a secret, encoded, with some of its versions.
pub(super) fn push_secret(body: &mut Vec<u8>, record: &[u8], versions: &[(VersionId, CarriedVersion)]) {
    push_versions(body, SECRET, record, versions);
}

/// Appends versions that come before the secret, encoded, that they are of.
pub(super) fn push_ahead(body: &mut Vec<u8>, record: &[u8], versions: &[(VersionId, CarriedVersion)]) {
    push_versions(body, AHEAD, record, versions);
}

fn push_versions(body: &mut Vec<u8>, kind: u8, record: &[u8], versions: &[(VersionId, CarriedVersion)]) {
    body.push(kind);
    push_field(body, record);
    push_count(body, versions.len());
    for (id, CarriedVersion { wraps, value }) in versions {
        push_field(body, id.as_str().as_bytes());
        body.push(u8::try_from(wraps.len()).unwrap_or(u8::MAX));
        wraps.iter().for_each(|wrap| push_field(body, wrap));
        push_field(body, value);
    }
}

fn push_count(body: &mut Vec<u8>, count: usize) {
    body.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

/// Appends that a secret is gone.
pub(super) fn push_removal(body: &mut Vec<u8>, place: Place<'_>) {
    body.push(REMOVAL);
    place.push(body);
}

/// Appends that versions that came before their secret belong to none.
pub(super) fn push_withdrawn(body: &mut Vec<u8>, uid: &Uuid, versions: &[VersionId]) {
    body.push(WITHDRAWN);
    body.extend_from_slice(uid.as_bytes());
    push_count(body, versions.len());
    versions.iter().for_each(|id| push_field(body, id.as_str().as_bytes()));
}

/// What is to be at the standby.
#[derive(Debug)]
pub(super) enum State {
    Present {
        secret: Box<Secret>,
        versions: Versions,
    },
    Gone {
        tenant: Arc<Tenant>,
        name: SecretName,
    },
    /// Versions of a secret that comes in a later frame.
    Ahead {
        secret: Box<Secret>,
        versions: Versions,
    },
    /// Versions that came like that, and do not belong to a secret any more.
    Withdrawn {
        uid: Uuid,
        versions: Vec<VersionId>,
    },
}

impl State {
    /// Which secret it is about.
    fn place(&self) -> Option<(&Arc<Tenant>, &SecretName)> {
        match self {
            Self::Present { secret, .. } | Self::Ahead { secret, .. } => Some((&secret.tenant, &secret.name)),
            Self::Gone { tenant, name } => Some((tenant, name)),
            Self::Withdrawn { .. } => None,
        }
    }

    /// Whether this is in copies only.
    pub(super) fn is_of_copy(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Withdrawn { .. })
    }
}

/// Takes a body apart. Each secret is there once.
pub(super) fn states(body: &[u8]) -> Result<Vec<State>> {
    let mut fields = Fields::new(body);
    let mut states: Vec<State> = Vec::new();
    let mut tenant = None;
    while !fields.is_empty() {
        let state = state(&mut fields, tenant.as_ref()).ok_or_else(damaged)?;
        // Neighbours mostly belong to the same account and Region, and then share the record of it.
        tenant = state.place().map(|(tenant, _)| Arc::clone(tenant)).or(tenant);
        states.push(state);
    }
    let mut seen = HashSet::new();
    let is_once = states.iter().filter_map(State::place).all(|place| seen.insert(place));
    if is_once { Ok(states) } else { Err(damaged()) }
}

fn state(fields: &mut Fields<'_>, tenant: Option<&Arc<Tenant>>) -> Option<State> {
    match fields.array()? {
        [SECRET] => {
            let (secret, versions) = secret_and_versions(fields, tenant)?;
            Some(State::Present { secret, versions })
        }
        [AHEAD] => {
            let (secret, versions) = secret_and_versions(fields, tenant)?;
            Some(State::Ahead { secret, versions })
        }
        [REMOVAL] => {
            let Place { account, region, name } = Place::read(fields)?;
            let tenant = Arc::new(Tenant::parse(account, region).ok()?);
            Some(State::Gone { tenant, name: SecretName::from_record(name) })
        }
        [WITHDRAWN] => {
            let uid = Uuid::from_bytes(fields.array()?);
            let count = u32::from_be_bytes(fields.array()?);
            let mut versions = Vec::new();
            for _ in 0..count {
                versions.push(VersionId::new(fields.text(NAME_BYTES_MAX)?));
            }
            Some(State::Withdrawn { uid, versions })
        }
        _ => None,
    }
}

fn secret_and_versions(fields: &mut Fields<'_>, tenant: Option<&Arc<Tenant>>) -> Option<(Box<Secret>, Versions)> {
    let secret = Box::new(decode_secret(fields.field(RECORD_BYTES_MAX)?, tenant).ok()?);
    let count = u32::from_be_bytes(fields.array()?);
    let mut versions = Vec::new();
    for _ in 0..count {
        let id = VersionId::new(fields.text(NAME_BYTES_MAX)?);
        let [wraps] = fields.array()?;
        if usize::from(wraps) > WRAPS_MAX {
            return None;
        }
        let wrap = |_| fields.field(WRAPPED_KEY_BYTES_MAX).map(<[u8]>::to_vec);
        let wraps = (0..wraps).map(wrap).collect::<Option<Vec<_>>>()?;
        let value = fields.field(VERSION_BYTES_MAX)?.to_vec();
        versions.push((id, CarriedVersion { wraps, value }));
    }
    Some((secret, versions))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::records::codec::encode_secret;

    fn secret(name: &str) -> Secret {
        Secret {
            tenant: Arc::new(Tenant::parse("000000000000", "us-east-1").unwrap()),
            uid: Uuid::from_u128(4),
            name: SecretName::from_record(name),
            arn: "arn".to_owned(),
            description: Some("d".to_owned()),
            kms_key_id: crate::model::version::KmsKeyId::Default,
            external_type: None,
            tags: None,
            created_at: crate::time::from_millis(0),
            last_changed_at: crate::time::from_millis(0),
            accessed_on: None,
            deletion_at: None,
            owning_service: None,
            primary_region: None,
            links: crate::model::replication::Links::default(),
            rotation: None,
            policies: crate::model::policy::AttachedPolicies::default(),
            versions_made: 1,
            versions: Vec::new(),
            stages: crate::model::stages::Stages::default(),
        }
    }

    pub(in crate::records::feed) fn body() -> Vec<u8> {
        let mut body = Vec::new();
        let carried = CarriedVersion { wraps: vec![vec![1; 40], vec![2; 60]], value: vec![3; 100] };
        push_secret(&mut body, &encode_secret(&secret("n")).unwrap(), &[(VersionId::new("v"), carried)]);
        let ahead = CarriedVersion { wraps: vec![vec![4; 40]], value: vec![5; 30] };
        push_ahead(&mut body, &encode_secret(&secret("later")).unwrap(), &[(VersionId::new("v"), ahead)]);
        push_withdrawn(&mut body, &Uuid::from_u128(6), &[VersionId::new("v"), VersionId::new("w")]);
        push_removal(&mut body, Place { account: "000000000000", region: "us-east-1", name: "gone" });
        body
    }

    #[test]
    fn a_secret_is_in_a_frame_once() {
        let twice = [body(), body()].concat();
        assert!(states(&body()).is_ok() && states(&twice).is_err());
    }
}
