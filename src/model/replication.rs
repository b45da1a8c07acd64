//! What ties a secret to its copies: replicas in other Regions, and the one in another account.
//!
//! A replica is a secret of its own, in its own Region, under its own key. Its primary keeps a link to it, with the status of
//! what was last brought there; it knows its primary. What a replica is to be follows from its primary ([`copy`]).
//!
//! Invariants:
//! * a secret has a link to a Region once, and none to its own;
//! * a replica has no links.

mod checked;
pub(crate) mod copy;

use chrono::TimeDelta;

use crate::error::{Error, Result};
use crate::model::limits as lim;
use crate::model::region::is_replica_region;
use crate::model::secret::{Owner, Secret};
use crate::model::tenant::Tenant;
use crate::model::version::{DEFAULT_KEY_ALIAS, KmsKeyId};
use crate::time::{Timestamp, after};

/// A Region to replicate a secret to.
///
/// ```
/// use strongroom::ReplicaRegionType;
///
/// let ireland = ReplicaRegionType::new("eu-west-1").kms_key_id("alias/app");
/// assert_eq!((ireland.region.as_str(), ireland.kms_key_id.as_deref()), ("eu-west-1", Some("alias/app")));
/// ```
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicaRegionType.html>
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Deserialize), serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct ReplicaRegionType {
    /// The Region, for example `eu-west-1`. Not the secret's own, and in the same partition.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub region: String,
    /// The key of that Region that protects the replica's values. Absent or empty: the default key.
    #[cfg_attr(feature = "json", serde(default))]
    pub kms_key_id: Option<String>,
}

impl ReplicaRegionType {
    /// A Region, under its default key. Limits are checked by the operation that uses it.
    pub fn new(region: impl Into<String>) -> Self {
        Self { region: region.into(), kms_key_id: None }
    }

    /// The key of that Region that protects the replica's values.
    #[must_use]
    pub fn kms_key_id(mut self, key: impl Into<String>) -> Self {
        self.kms_key_id = Some(key.into());
        self
    }
}

impl<T: Into<String>> From<T> for ReplicaRegionType {
    fn from(region: T) -> Self {
        Self::new(region)
    }
}

/// How far the replication to one replica has come.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum StatusType {
    /// The replica has everything that its primary has.
    InSync,
    /// It could not be brought there; the status message says why. The replica, if there is one, is as it was before.
    Failed,
    /// It will be brought there.
    InProgress,
    /// A replica in another account waits to be associated.
    Pending,
    /// A replica in another account, or its primary, has ended the replication.
    Detached,
}

impl StatusType {
    /// The values of the API.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("InSync", Self::InSync),
        ("Failed", Self::Failed),
        ("InProgress", Self::InProgress),
        ("Pending", Self::Pending),
        ("Detached", Self::Detached),
    ];

    /// As the API writes it.
    ///
    /// ```
    /// assert_eq!(strongroom::StatusType::InSync.as_str(), "InSync");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, status)| *status == self).map_or("", |(name, _)| name)
    }
}

/// Whose secrets a secret may be replicated to in another account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub(crate) enum ReplicaRestriction {
    /// Accounts of the same organization.
    #[default]
    SameOrg,
    /// Any account.
    NoRestriction,
}

impl ReplicaRestriction {
    /// The values of the API.
    pub(crate) const ALL: [(&'static str, Self); 2] =
        [("SameOrg", Self::SameOrg), ("NoRestriction", Self::NoRestriction)];

    /// As the API writes it.
    #[cfg(feature = "json")]
    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, restriction)| *restriction == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, restriction)| restriction)
    }
}

/// What ties a secret to its copies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Links {
    /// Replicas in other Regions, in the order in which they were asked for.
    pub(crate) regions: Vec<RegionLink>,
    /// Replicas in other accounts.
    pub(crate) accounts: Vec<AccountLink>,
    /// The secret is the replica of one in another account.
    pub(crate) primary: Option<AccountPrimary>,
}

impl Links {
    /// What replicas would have to follow now, they follow later.
    pub(crate) fn defer(&mut self, now: Timestamp) {
        let Self { regions, accounts, primary: _ } = self;
        for link in regions.iter_mut().filter(|link| link.is_attempted(now)) {
            link.state.put_off(now);
        }
        for link in accounts.iter_mut().filter(|link| link.is_attempted(now, false)) {
            link.state.put_off(now);
        }
    }

    /// Every link: the Region or the ARN of the replica, and how far it has come.
    fn states(&self) -> impl Iterator<Item = (&str, &LinkState)> {
        let Self { regions, accounts, primary: _ } = self;
        let of_regions = regions.iter().map(|link| (link.region.as_str(), &link.state));
        of_regions.chain(accounts.iter().map(|link| (link.replica_arn.as_str(), &link.state)))
    }

    /// Links whose turn it is.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.states().filter(move |(_, state)| state.is_due(now)).map(|(link, _)| link)
    }

    /// Links whose replica could not be brought up to date.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &str> {
        self.states().filter(|(_, state)| state.status == StatusType::Failed).map(|(link, _)| link)
    }

    /// Gives up telling why replicas failed.
    pub(crate) fn forget_messages(&mut self) {
        self.regions.iter_mut().for_each(|link| link.state.message = None);
        self.accounts.iter_mut().for_each(|link| link.state.message = None);
    }
}

/// A replica in another Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegionLink {
    pub(crate) region: String,
    pub(crate) kms_key_id: KmsKeyId,
    /// Whether a secret that is there already may be replaced.
    pub(crate) may_overwrite: bool,
    /// Whether a replica that is there already gets the key of the link, because somebody asked for it.
    pub(crate) is_rekeyed: bool,
    pub(crate) state: LinkState,
}

impl RegionLink {
    /// Whether a change of the primary is brought over. One that failed is tried again when it is due, and never if somebody
    /// else's secret is in the way.
    pub(crate) fn is_attempted(&self, now: Timestamp) -> bool {
        self.state.status == StatusType::InSync || self.state.is_due(now)
    }

    /// The key, as the status of a replica shows it: also if it is the default one.
    pub(crate) fn key_shown(&self) -> &str {
        self.kms_key_id.shown().unwrap_or(DEFAULT_KEY_ALIAS)
    }
}

/// A replica in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountLink {
    pub(crate) replica_arn: String,
    pub(crate) role_arn: Option<String>,
    pub(crate) restriction: ReplicaRestriction,
    pub(crate) state: LinkState,
}

impl AccountLink {
    /// Whether the other side has ended it, or not begun.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state.status, StatusType::Detached | StatusType::Pending)
    }

    /// Whether a change of the primary is brought over. One that was refused may be granted to the next who asks.
    pub(crate) fn is_attempted(&self, now: Timestamp, is_asked: bool) -> bool {
        let was_refused = self.state.status == StatusType::Failed && self.state.due_at.is_none();
        !self.is_over() && (is_asked || !was_refused) && self.state.due_at.is_none_or(|due| due <= now)
    }
}

/// The primary of a replica that is in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountPrimary {
    pub(crate) primary_arn: String,
    pub(crate) status: StatusType,
    pub(crate) message: Option<String>,
}

/// How far the replication over one link has come, and when it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) status: StatusType,
    pub(crate) message: Option<String>,
    /// When it is to be tried by whoever comes first. `None`: nothing is to be done, or only somebody can who changes
    /// something.
    pub(crate) due_at: Option<Timestamp>,
    /// Attempts that have failed in a row.
    pub(crate) failures: u32,
}

/// The first and the longest pause between two attempts, in minutes.
const RETRY_MINUTES_MIN: i64 = 1;
const RETRY_MINUTES_MAX: i64 = 60;

impl LinkState {
    /// Something is to be brought over.
    pub(crate) fn wanted(now: Timestamp) -> Self {
        Self { status: StatusType::InProgress, message: None, due_at: Some(now), failures: 0 }
    }

    pub(crate) fn in_sync() -> Self {
        Self { status: StatusType::InSync, message: None, due_at: None, failures: 0 }
    }

    /// Ended by the other side.
    pub(crate) fn detached() -> Self {
        Self { status: StatusType::Detached, ..Self::in_sync() }
    }

    /// It failed, for a reason that somebody has to remove.
    pub(crate) fn fail(&mut self, message: impl Into<String>) {
        let mut message = message.into();
        if message.chars().count() > lim::STATUS_MESSAGE_CHARS_MAX {
            message = message.chars().take(lim::STATUS_MESSAGE_CHARS_MAX).collect();
        }
        *self = Self { status: StatusType::Failed, message: Some(message), ..Self::in_sync() };
    }

    /// It failed, and is tried again later, each time after a pause twice as long.
    pub(crate) fn fail_for_now(&mut self, message: impl Into<String>, now: Timestamp) {
        let failures = self.failures.saturating_add(1);
        self.fail(message);
        let minutes = RETRY_MINUTES_MIN.checked_shl(failures - 1).map_or(RETRY_MINUTES_MAX, |minutes| {
            if failures > 16 { RETRY_MINUTES_MAX } else { minutes.min(RETRY_MINUTES_MAX) }
        });
        self.failures = failures;
        self.due_at = Some(after(now, TimeDelta::minutes(minutes)));
    }

    /// What was to be done now is to be done by whoever maintains the store.
    pub(crate) fn put_off(&mut self, now: Timestamp) {
        *self = Self { failures: self.failures, ..Self::wanted(now) };
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }
}

/// A Region that was asked for, where a replica can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewReplica {
    pub(crate) region: String,
    /// `None`: the caller named none.
    pub(crate) kms_key_id: Option<KmsKeyId>,
}

impl NewReplica {
    /// Regions in which a secret of this account and Region can have replicas, each once.
    pub(crate) fn parse_all(asked: Vec<ReplicaRegionType>, tenant: &Tenant, added: &[String]) -> Result<Vec<Self>> {
        let mut replicas: Vec<Self> = Vec::new();
        for ReplicaRegionType { region, kms_key_id } in asked {
            let is_there = replicas.iter().any(|replica| replica.region == region);
            if is_there || !is_replica_region(&region, tenant.region(), added) {
                return Err(Error::invalid_parameter("Invalid replica region."));
            }
            replicas.push(Self { kms_key_id: kms_key_id.as_deref().map(KmsKeyId::parse), region });
        }
        Ok(replicas)
    }
}

impl Secret {
    /// Whether it is the replica of a secret in another Region.
    pub(crate) fn is_region_replica(&self) -> bool {
        self.primary_region.as_deref().is_some_and(|primary| primary != self.tenant.region())
    }

    /// Whether it follows a primary, in another Region or account.
    pub(crate) fn is_replica(&self) -> bool {
        self.is_region_replica() || self.links.primary.is_some()
    }

    /// Refuses what may only be done to the primary of a replica.
    pub(crate) fn require_primary(&self) -> Result<()> {
        if self.is_region_replica() {
            return Err(Error::invalid_parameter(
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            ));
        }
        if self.links.primary.is_some() {
            return Err(Error::invalid_parameter(
                "Operation not permitted on a cross-account replica secret. Call must be made on the primary secret, or \
                 after StopReplicationToReplica.",
            ));
        }
        Ok(())
    }

    /// Refuses a change that may not be made now, to this secret, or by this caller.
    pub(crate) fn require_writable(&self, caller: &Owner) -> Result<()> {
        self.require_active()?;
        self.require_primary()?;
        self.require_owner(caller)
    }

    /// Refuses the deletion of a secret that others depend on, or that depends on another.
    pub(crate) fn require_deletable(&self) -> Result<()> {
        if self.links.primary.is_some() {
            return Err(Error::invalid_request(
                "You can't delete a cross-account replica secret before you stop its replication with \
                 StopReplicationToReplica.",
            ));
        }
        self.require_primary()?;
        if !self.links.regions.is_empty() {
            let regions: Vec<&str> = self.links.regions.iter().map(|link| link.region.as_str()).collect();
            return Err(Error::invalid_parameter(format!(
                "You can't delete secret {} that still has replica regions [{}].",
                self.arn,
                regions.join(", ")
            )));
        }
        match self.links.accounts.iter().find(|link| link.state.status != StatusType::Detached) {
            Some(AccountLink { replica_arn, .. }) => Err(Error::invalid_request(format!(
                "You can't delete secret {} that still has the cross-account replica {replica_arn}. Call \
                 DisassociateCrossAccountReplica first.",
                self.arn
            ))),
            None => Ok(()),
        }
    }

    /// Wants replicas in these Regions. One that is in sync stays as it is, one that failed is tried again.
    pub(crate) fn add_regions(&mut self, asked: &[NewReplica], may_overwrite: bool, now: Timestamp) {
        let mut is_changed = false;
        for NewReplica { region, kms_key_id } in asked {
            match self.links.regions.iter_mut().find(|link| link.region == *region) {
                Some(link) if link.state.status == StatusType::InSync => continue,
                Some(link) => {
                    if let Some(key) = kms_key_id.as_ref().filter(|key| **key != link.kms_key_id) {
                        link.kms_key_id = key.clone();
                        link.is_rekeyed = true;
                    }
                    link.may_overwrite = may_overwrite;
                    link.state = LinkState::wanted(now);
                }
                None => self.links.regions.push(RegionLink {
                    region: region.clone(),
                    kms_key_id: kms_key_id.clone().unwrap_or_default(),
                    may_overwrite,
                    is_rekeyed: false,
                    state: LinkState::wanted(now),
                }),
            }
            is_changed = true;
        }
        if is_changed {
            self.primary_region = Some(self.tenant.region().to_owned());
            self.touch(now);
        }
    }

    /// Wants no replicas in these Regions. Those where there is none are passed over.
    pub(crate) fn remove_regions(&mut self, regions: &[String], now: Timestamp) {
        let before = self.links.regions.len();
        self.links.regions.retain(|link| !regions.contains(&link.region));
        if self.links.regions.len() < before {
            self.touch(now);
        }
    }

    /// A new secret is to be the replica of one in another account, which has to associate it.
    pub(crate) fn await_primary(&mut self, primary_arn: String, primary: &Tenant) {
        self.links.primary = Some(AccountPrimary { primary_arn, status: StatusType::Pending, message: None });
        self.policies.insert(REPLICATION_POLICY, replication_policy(primary).into());
    }

    /// Refuses a replica of another account under the default key, which cannot be shared.
    pub(crate) fn require_shareable_key(&self) -> Result<()> {
        if self.links.primary.is_some() { require_own_key(&self.kms_key_id) } else { Ok(()) }
    }

    /// Replicates to a secret in another account, or repairs that.
    pub(crate) fn associate(
        &mut self,
        replica_arn: &str,
        role_arn: Option<String>,
        restriction: ReplicaRestriction,
        now: Timestamp,
    ) -> Result<()> {
        let is_other =
            |link: &&AccountLink| link.replica_arn != replica_arn && link.state.status != StatusType::Detached;
        if self.links.accounts.iter().filter(is_other).count() >= lim::CROSS_ACCOUNT_REPLICAS_MAX {
            return Err(Error::limit_exceeded(format!(
                "A secret can have at most {} cross-account replica.",
                lim::CROSS_ACCOUNT_REPLICAS_MAX
            )));
        }
        self.links.accounts.clear();
        let (replica_arn, state) = (replica_arn.to_owned(), LinkState::wanted(now));
        self.links.accounts.push(AccountLink { replica_arn, role_arn, restriction, state });
        self.touch(now);
        Ok(())
    }

    /// Replicates no longer to a secret in another account. Whether it did.
    pub(crate) fn disassociate(&mut self, replica_arn: &str, now: Timestamp) -> bool {
        let before = self.links.accounts.len();
        self.links.accounts.retain(|link| link.replica_arn != replica_arn);
        let is_changed = self.links.accounts.len() < before;
        if is_changed {
            self.touch(now);
        }
        is_changed
    }

    /// Makes a replica a secret of its own. Whether it was one.
    ///
    /// Its rotation stays configured and is no longer enabled: the function is in the primary's Region.
    pub(crate) fn promote(&mut self, now: Timestamp) -> bool {
        if self.is_region_replica() {
            self.primary_region = Some(self.tenant.region().to_owned());
            if self.rotation.as_ref().is_some_and(|rotation| rotation.is_enabled) {
                self.cancel_rotation(now);
            }
        } else if self.links.primary.take().is_some() {
            self.policies.remove(REPLICATION_POLICY);
        } else {
            return false;
        }
        self.touch(now);
        true
    }

    /// When a replica is to be looked at.
    pub(crate) fn replication_due(&self) -> Option<Timestamp> {
        self.links.states().filter_map(|(_, state)| state.due_at).min()
    }
}

/// Refuses the default key for a replica in another account, because it cannot be shared.
pub(crate) fn require_own_key(key: &KmsKeyId) -> Result<()> {
    if *key != KmsKeyId::Default {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "You must specify a customer managed key in KmsKeyId for a cross-account replica secret.",
    ))
}

/// The name of the policy that the service attaches to a replica in another account.
pub(crate) const REPLICATION_POLICY: &str = "cross-account-replication";

/// The action that the service asks for on a replica in another account.
pub(crate) const ACCEPT_REPLICATION: &str = "AcceptCrossAccountReplication";

/// The text of that policy: the account of the primary may replicate to it.
pub(crate) fn replication_policy(primary: &Tenant) -> String {
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\
         \"arn:{}:iam::{}:root\"}},\"Action\":\"secretsmanager:{ACCEPT_REPLICATION}\",\"Resource\":\"*\"}}]}}",
        primary.partition(),
        primary.account()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millis;

    #[test]
    fn pauses_between_attempts_double_up_to_an_hour() {
        let now = from_millis(0);
        let mut state = LinkState::wanted(now);
        let mut minutes = Vec::new();
        for _ in 0..9 {
            state.fail_for_now("no", now);
            minutes.push(state.due_at.unwrap().timestamp() / 60);
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        state.failures = u32::MAX;
        state.fail_for_now("no", now);
        assert_eq!(state.due_at.unwrap().timestamp(), 3_600);
        assert_eq!((state.status, state.failures), (StatusType::Failed, u32::MAX));
    }

    #[test]
    fn a_status_message_is_cut_to_what_the_api_allows() {
        let mut state = LinkState::wanted(from_millis(0));
        state.fail("é".repeat(5_000));
        assert_eq!(state.message.unwrap().chars().count(), lim::STATUS_MESSAGE_CHARS_MAX);
    }

    #[test]
    fn the_policy_of_the_service_names_the_account_of_the_primary() {
        let tenant = Tenant::parse("111122223333", "cn-north-1").unwrap();
        let text = replication_policy(&tenant);
        assert!(text.contains("arn:aws-cn:iam::111122223333:root"), "{text}");
        assert!(crate::policy::ResourcePolicy::parse(&text).is_ok());
    }
}
