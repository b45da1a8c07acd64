//! A whole secret with its values, on its way from one store to another: what it must be like, and what makes two differ.

use std::collections::HashSet;

use crate::model::id::{SecretId, SecretName};
use crate::model::limits as lim;
use crate::model::policy::{AttachedPolicies, is_policy_name};
use crate::model::rotation::Rotation;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::tag::NewTags;
use crate::model::tenant::is_region;
use crate::model::value::SecretValue;
use crate::model::version::Version;
use crate::policy::ResourcePolicy;
use crate::time::day_of;

/// Most versions that a secret can have had: every such number is exact in a double, and none is ever reached.
const VERSIONS_MADE_MAX: u64 = 1 << 53;

/// A secret and the values of its versions, independent of any store: the uid is nil, and no version names its keys.
#[derive(Debug)]
pub(crate) struct Portable {
    pub(crate) secret: Secret,
    /// One for each version, in the same order. `None`: the version is a placeholder.
    pub(crate) values: Vec<Option<SecretValue>>,
}

impl Portable {
    /// Versions with their values.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&Version, Option<&SecretValue>)> {
        self.secret.versions.iter().zip(self.values.iter().map(Option::as_ref))
    }

    /// Refuses what the operations of the API would never have made, with the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
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
            deletion_at: _,
            owning_service,
            primary_region,
            links: _,
            rotation,
            policies,
            versions_made,
            versions: _,
            stages: _,
        } = &self.secret;
        let mut shape = Shape::new();
        shape.text("name", name.as_str(), 1, lim::NAME_CHARS_MAX);
        shape.text("arn", arn, 1, lim::SECRET_ID_CHARS_MAX);
        shape.optional_text("description", description.as_ref(), 0, lim::DESCRIPTION_CHARS_MAX);
        shape.text("kmsKeyId", kms_key_id.shown().unwrap_or_default(), 0, lim::KMS_KEY_ID_CHARS_MAX);
        shape.optional_text("type", external_type.as_ref(), 0, lim::TYPE_CHARS_MAX);
        shape.optional_text("owningService", owning_service.as_ref(), 1, lim::OWNING_SERVICE_CHARS_MAX);
        shape.tags(tags.as_deref().unwrap_or_default());
        self.check_versions(&mut shape)?;
        shape.finish().map_err(|error| error.message().to_owned())?;

        SecretName::parse(name.as_str()).map_err(|error| error.message().to_owned())?;
        let is_own_arn = |id| matches!(id, SecretId::Arn { name: named, .. } if named == *name);
        if !SecretId::parse(arn, tenant).is_ok_and(is_own_arn) {
            return Err("the ARN is not that of a secret of this name, account and Region".to_owned());
        }
        if let Some(tags) = tags {
            let parse = if owning_service.is_some() { NewTags::parse_any } else { NewTags::parse };
            parse(tags.clone()).map_err(|error| error.message().to_owned())?;
        }
        let is_day = |at: Option<_>| at.is_none_or(|at| day_of(at) == at);
        if !is_day(*accessed_on) || !self.secret.versions.iter().all(|version| is_day(version.accessed_on)) {
            return Err("a date of last access is not the midnight of a day".to_owned());
        }
        if last_changed_at < created_at {
            return Err("the secret was changed before it was created".to_owned());
        }
        if *versions_made > VERSIONS_MADE_MAX {
            return Err("the number of versions made is out of range".to_owned());
        }
        if let Some(rotation) = rotation {
            rotation.check(tenant).map_err(|error| error.message().to_owned())?;
        }
        check_policies(policies)?;
        if primary_region.as_ref().is_some_and(|region| !is_region(region)) {
            return Err("the primary Region is not a Region".to_owned());
        }
        self.secret.check_links()
    }

    fn check_versions(&self, shape: &mut Shape) -> Result<(), String> {
        let Secret { versions, stages, versions_made, .. } = &self.secret;
        let mut last = 0;
        let mut ids = HashSet::with_capacity(versions.len());
        for (index, (version, value)) in (1..).zip(self.versions()) {
            let id = version.id.as_str();
            shape.text(
                &format!("versions.{index}.member.versionId"),
                id,
                lim::VERSION_ID_CHARS_MIN,
                lim::VERSION_ID_CHARS_MAX,
            );
            match value {
                Some(SecretValue::String(text)) => shape.value(Some(text), None),
                Some(SecretValue::Binary(bytes)) => shape.value(None, Some(bytes)),
                None => {}
            }
            if !ids.insert(id) {
                return Err(format!("version {index} has the id of another version"));
            }
            if version.number <= last || version.number > *versions_made {
                return Err("the numbers of the versions do not rise up to the number of versions made".to_owned());
            }
            last = version.number;
        }
        if stages.len() > lim::LABELS_MAX {
            return Err(format!("the secret has more than {} staging labels", lim::LABELS_MAX));
        }
        let mut labels = HashSet::with_capacity(stages.len());
        for (index, (label, holder)) in (1..).zip(stages.iter()) {
            shape.text(&format!("versionStages.{index}.member"), label, 1, lim::LABEL_CHARS_MAX);
            if !labels.insert(label) {
                return Err("a staging label is on two versions, or twice on one".to_owned());
            }
            if !ids.contains(holder.as_str()) {
                return Err("a staging label is on a version that is not there".to_owned());
            }
        }
        if versions.iter().any(Version::has_value) && stages.holder(crate::model::stages::CURRENT).is_none() {
            return Err("no version has the staging label AWSCURRENT".to_owned());
        }
        Ok(())
    }

    /// The first member in which a secret of a store differs, apart from its values, from dates of last access, which are no
    /// changes of a secret, and from how far its replication has come. Labels are compared as the API shows them: in order, for each version.
    pub(crate) fn difference(&self, existing: &Secret) -> Option<&'static str> {
        let Secret {
            tenant: _,
            uid: _,
            name: _,
            arn,
            description,
            kms_key_id,
            external_type,
            tags,
            created_at,
            last_changed_at,
            accessed_on: _,
            deletion_at,
            owning_service,
            primary_region,
            links,
            rotation,
            policies,
            versions_made,
            versions,
            stages,
        } = &self.secret;
        let is_same_version = |(a, b): (&Version, &Version)| {
            let kind = |version: &Version| version.content.as_ref().map(|content| content.kind);
            (&a.id, a.number, a.created_at, kind(a)) == (&b.id, b.number, b.created_at, kind(b))
        };
        let has_same_versions = *versions_made == existing.versions_made
            && versions.len() == existing.versions.len()
            && versions.iter().zip(&existing.versions).all(is_same_version);
        let has_same_labels = stages.len() == existing.stages.len()
            && versions.iter().all(|version| stages.of(&version.id) == existing.stages.of(&version.id));
        let members = [
            ("ARN", *arn == existing.arn),
            ("CreatedDate", *created_at == existing.created_at),
            ("Description", *description == existing.description),
            ("KmsKeyId", *kms_key_id == existing.kms_key_id),
            ("Type", *external_type == existing.external_type),
            ("Tags", *tags == existing.tags),
            ("DeletedDate", *deletion_at == existing.deletion_at),
            ("OwningService", *owning_service == existing.owning_service),
            ("PrimaryRegion", *primary_region == existing.primary_region),
            ("ReplicationStatus", links.has_regions_of(&existing.links)),
            ("CrossAccountReplicas", links.has_accounts_of(&existing.links)),
            ("CrossAccountPrimary", links.has_primary_of(&existing.links)),
            ("Rotation", is_same_rotation(rotation.as_deref(), existing.rotation.as_deref())),
            ("Policies", *policies == existing.policies),
            ("Versions", has_same_versions),
            ("VersionStages", has_same_labels),
            ("LastChangedDate", *last_changed_at == existing.last_changed_at),
        ];
        members.into_iter().find(|(_, is_same)| !is_same).map(|(member, _)| member)
    }
}

/// Refuses policies that no call could have attached.
fn check_policies(policies: &AttachedPolicies) -> Result<(), String> {
    if policies.len() > lim::POLICIES_MAX {
        return Err(format!("the secret has more than {} policies", lim::POLICIES_MAX));
    }
    for (name, text) in policies.iter() {
        if !is_policy_name(name) || name.len() > lim::POLICY_NAME_CHARS_MAX {
            return Err("the name of a policy is not one".to_owned());
        }
        if let Err(fault) = ResourcePolicy::parse(text) {
            return Err(format!("the policy {name} is not a resource policy: {fault}"));
        }
    }
    Ok(())
}

/// Whether two rotations are the same, apart from what is under way.
fn is_same_rotation(one: Option<&Rotation>, other: Option<&Rotation>) -> bool {
    let settled = |rotation: Option<&Rotation>| rotation.map(|rotation| Rotation { job: None, ..rotation.clone() });
    settled(one) == settled(other)
}
