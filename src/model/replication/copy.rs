//! What a replica is to be, given its primary. Pure.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::id::arn_in_region;
use crate::model::replication::{Links, RegionLink};
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::version::{Version, VersionId};

/// A replica as it is to be, but for the values that it does not have yet.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) secret: Secret,
    /// Versions whose values are to be brought over: those with labels first, then the newest.
    pub(crate) missing: Vec<VersionId>,
    /// There is none yet.
    pub(crate) is_new: bool,
}

impl Copied {
    /// Whether the replica is what it is to be.
    pub(crate) fn is(&self, there: &Secret) -> bool {
        self.missing.is_empty() && self.secret == *there
    }
}

impl Secret {
    /// The account and Region of a replica in another Region.
    pub(crate) fn tenant_in(&self, region: &str) -> Option<Arc<Tenant>> {
        Tenant::parse(self.tenant.account(), region).ok().map(Arc::new)
    }

    /// Whether it is the replica of `primary` in its Region.
    pub(crate) fn is_replica_of(&self, primary: &Self) -> bool {
        self.is_region_replica()
            && self.primary_region.as_deref() == Some(primary.tenant.region())
            && self.arn == arn_in_region(&primary.arn, self.tenant.region())
    }

    /// Why what is there keeps a replica of this secret from being made, if it does.
    pub(crate) fn conflict(&self, link: &RegionLink, there: &Self) -> Option<String> {
        let (name, region) = (&self.name, &link.region);
        if there.is_replica_of(self) {
            return None;
        }
        if there.is_region_replica() {
            return Some(format!(
                "Replication failed: Secret name {name} is currently replicated to {region} with a different arn"
            ));
        }
        // Whoever others depend on, or a service owns, is not replaced.
        let is_alone = there.links == Links::default() && there.owning_service.is_none();
        let is_replaced = link.may_overwrite && is_alone;
        (!is_replaced).then(|| format!("Replication failed: Secret name {name} already exists in region {region}."))
    }

    /// The replica of this secret in another Region: everything but what is the replica's own, which is the key of its
    /// link, its wrapped values and its days of access. `there` is the replica as it is; without one, `uid` is that of the new one.
    pub(crate) fn copied_to_region(
        &self,
        link: &RegionLink,
        tenant: &Arc<Tenant>,
        there: Option<&Self>,
        uid: Uuid,
    ) -> Copied {
        let mut versions = self.copied_versions(there);
        // As with a primary that is given another key, what has labels is under the new one.
        for version in versions.iter_mut().filter(|version| link.is_rekeyed && self.stages.is_labelled(&version.id)) {
            version.content = None;
        }
        let kept = there.filter(|_| !link.is_rekeyed);
        let missing = self.missing_in(&versions);
        let secret = Self {
            tenant: Arc::clone(tenant),
            uid: there.map_or(uid, |there| there.uid),
            arn: arn_in_region(&self.arn, tenant.region()),
            kms_key_id: kept.map_or_else(|| link.kms_key_id.clone(), |there| there.kms_key_id.clone()),
            accessed_on: there.and_then(|there| there.accessed_on),
            deletion_at: None,
            primary_region: Some(self.tenant.region().to_owned()),
            links: Links::default(),
            rotation: self.rotation.as_ref().map(|rotation| {
                let mut rotation = rotation.clone();
                // Only the primary is rotated.
                rotation.job = None;
                rotation
            }),
            versions,
            ..self.clone()
        };
        Copied { secret, missing, is_new: there.is_none() }
    }

    /// The replica of this secret in another account: its versions and their labels, and everything else as it is there.
    pub(crate) fn copied_to_account(&self, there: &Self) -> Copied {
        let versions = self.copied_versions(Some(there));
        let missing = self.missing_in(&versions);
        let (versions_made, stages) = (self.versions_made, self.stages.clone());
        Copied { secret: Self { versions_made, versions, stages, ..there.clone() }, missing, is_new: false }
    }

    /// Versions with the values that the replica has already.
    fn copied_versions(&self, there: Option<&Self>) -> Vec<Version> {
        let copied = |version: &Version| {
            // A version that went and was made again under its id has another number.
            let is_same = |own: &&Version| own.number == version.number;
            let own = there.and_then(|there| there.version(&version.id)).filter(is_same);
            Version {
                accessed_on: own.and_then(|own| own.accessed_on),
                content: own.and_then(|own| own.content.clone()),
                ..version.clone()
            }
        };
        self.versions.iter().map(copied).collect()
    }

    fn missing_in(&self, versions: &[Version]) -> Vec<VersionId> {
        let pairs = self.versions.iter().zip(versions).rev();
        let missing = pairs.filter(|(own, copy)| own.has_value() && !copy.has_value()).map(|(own, _)| &own.id);
        let (labelled, others): (Vec<_>, Vec<_>) = missing.partition(|id| self.stages.is_labelled(id));
        labelled.into_iter().chain(others).cloned().collect()
    }
}
