//! Links that come out of a record or out of an export: what they have to be like, and what becomes of them in another store.

use std::collections::HashSet;

use crate::model::id::counterpart_of;
use crate::model::limits as lim;
use crate::model::replication::{AccountLink, LinkState, Links, RegionLink, ReplicaRestriction, StatusType};
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::tenant::partition_of;
use crate::model::version::KmsKeyId;
use crate::time::Timestamp;

impl RegionLink {
    /// One that comes from another store, and replaces nothing here.
    pub(crate) fn moved(region: String, kms_key_id: KmsKeyId) -> Self {
        Self { region, kms_key_id, may_overwrite: false, is_rekeyed: false, state: LinkState::in_sync() }
    }
}

impl Links {
    /// Goes on in another store: whatever has not ended is wanted at once.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let Self { regions, accounts, primary } = self;
        for link in regions {
            link.state = LinkState::wanted(now);
        }
        for link in accounts.iter_mut().filter(|link| link.state.status != StatusType::Detached) {
            link.state = LinkState::wanted(now);
        }
        let has_ended = |status| matches!(status, StatusType::Pending | StatusType::Detached);
        if let Some(primary) = primary.as_mut().filter(|primary| !has_ended(primary.status)) {
            (primary.status, primary.message) = (StatusType::InProgress, None);
        }
    }

    /// Whether the same Regions are wanted, under the same keys.
    pub(crate) fn has_regions_of(&self, other: &Self) -> bool {
        fn wanted(link: &RegionLink) -> (&str, &KmsKeyId) {
            (&link.region, &link.kms_key_id)
        }
        self.regions.iter().map(wanted).eq(other.regions.iter().map(wanted))
    }

    /// Whether the replicas in other accounts are the same, and replicated to in the same way.
    pub(crate) fn has_accounts_of(&self, other: &Self) -> bool {
        fn wanted(link: &AccountLink) -> (&str, Option<&str>, ReplicaRestriction) {
            (&link.replica_arn, link.role_arn.as_deref(), link.restriction)
        }
        self.accounts.iter().map(wanted).eq(other.accounts.iter().map(wanted))
    }

    /// Whether both follow the same primary in another account, or none.
    pub(crate) fn has_primary_of(&self, other: &Self) -> bool {
        fn arn(links: &Links) -> Option<&str> {
            links.primary.as_ref().map(|primary| primary.primary_arn.as_str())
        }
        arn(self) == arn(other)
    }
}

impl Secret {
    /// What contradicts the invariants of links, if anything does.
    pub(crate) fn link_inconsistency(&self) -> Option<String> {
        let Links { regions, accounts, primary: _ } = &self.links;
        if self.is_replica() && !(regions.is_empty() && accounts.is_empty()) {
            return Some("it is a replica, and has replicas of its own".to_owned());
        }
        let mut known = HashSet::with_capacity(regions.len());
        for RegionLink { region, .. } in regions {
            if region == self.tenant.region() {
                return Some("it is replicated to its own Region".to_owned());
            }
            if !known.insert(region) {
                return Some(format!("it is replicated to the Region {region} twice"));
            }
        }
        None
    }

    /// Refuses links that no call could have made, with the reason.
    pub(crate) fn check_links(&self) -> Result<(), String> {
        let Links { regions, accounts, primary } = &self.links;
        let mut shape = Shape::new();
        for (index, RegionLink { region, kms_key_id, .. }) in (1..).zip(regions) {
            let path = format!("addReplicaRegions.{index}.member");
            shape.region(&format!("{path}.region"), region);
            let key = kms_key_id.shown().unwrap_or_default();
            shape.text(&format!("{path}.kmsKeyId"), key, 0, lim::KMS_KEY_ID_CHARS_MAX);
        }
        for AccountLink { replica_arn, role_arn, .. } in accounts {
            shape.secret_arn("crossAccountReplicaARN", Some(replica_arn));
            let (least, most) = (lim::ROLE_ARN_CHARS_MIN, lim::ROLE_ARN_CHARS_MAX);
            shape.optional_text("replicationRoleARN", role_arn.as_ref(), least, most);
        }
        shape.secret_arn("crossAccountPrimaryARN", primary.as_ref().map(|primary| &primary.primary_arn));
        shape.finish().map_err(|error| error.message().to_owned())?;

        if let Some(fault) = self.link_inconsistency() {
            return Err(fault);
        }
        let partition = self.tenant.partition();
        if let Some(RegionLink { region, .. }) = regions.iter().find(|link| partition_of(&link.region) != partition) {
            return Err(format!("the Region {region} is of another partition than the secret"));
        }
        if !regions.is_empty() && self.primary_region.as_deref() != Some(self.tenant.region()) {
            return Err("the secret has replicas in other Regions, and is not in its primary Region".to_owned());
        }
        if accounts.len() > lim::CROSS_ACCOUNT_REPLICAS_MAX {
            return Err(format!("the secret has more than {} cross-account replica", lim::CROSS_ACCOUNT_REPLICAS_MAX));
        }
        let arns =
            accounts.iter().map(|link| &link.replica_arn).chain(primary.as_ref().map(|known| &known.primary_arn));
        if arns.into_iter().any(|arn| counterpart_of(arn, &self.tenant).is_none()) {
            return Err("an ARN is not that of a secret of another account in the same Region".to_owned());
        }
        if primary.is_some() && self.is_region_replica() {
            return Err("the secret is a replica of two others".to_owned());
        }
        let is_over = |link: &AccountLink| link.state.status == StatusType::Detached;
        let is_tied = !regions.is_empty() || self.is_replica() || !accounts.iter().all(is_over);
        if is_tied && self.deletion_at.is_some() {
            return Err("the secret is scheduled for deletion, and has replicas or is one".to_owned());
        }
        Ok(())
    }
}
