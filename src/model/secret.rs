//! The secret: the aggregate of metadata, versions and labels. Every legal transition is a method here.
//!
//! Invariants:
//! * every label points at a version in `versions`;
//! * as soon as a version has a value, one version carries `AWSCURRENT`;
//! * versions are in order of creation, and their ids are unique;
//! * `last_changed_at` rises strictly with every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::filter::Searchable;
use crate::model::id::SecretName;
use crate::model::limits as lim;
use crate::model::policy::{AttachedPolicies, DEFAULT_POLICY};
use crate::model::replication::Links;
use crate::model::rotation::Rotation;
use crate::model::stages::{CURRENT, Stages};
use crate::model::tag::{NewTags, Tag};
use crate::model::tenant::Tenant;
use crate::model::version::{KeyRole, KeyUse, KmsKeyId, Version, VersionId};
use crate::time::{Timestamp, after};

/// The service on behalf of which a caller acts, if it does for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owner(pub(crate) Option<Arc<str>>);

/// A secret, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// Whose secret it is.
    pub(crate) tenant: Arc<Tenant>,
    /// Made at creation: a secret that is created again under the same name is another one.
    pub(crate) uid: Uuid,
    pub(crate) name: SecretName,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: KmsKeyId,
    /// The `Type` of a managed external secret.
    pub(crate) external_type: Option<String>,
    /// `None`: the secret never had a tag list, which is not the same as having lost its last tag.
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_changed_at: Timestamp,
    /// Midnight of the day of the last successful read.
    pub(crate) accessed_on: Option<Timestamp>,
    /// When a scheduled deletion takes effect.
    pub(crate) deletion_at: Option<Timestamp>,
    pub(crate) owning_service: Option<String>,
    /// Of a secret that is or was replicated. It is a replica if this is another Region than its own.
    pub(crate) primary_region: Option<String>,
    /// Its replicas, and its primary in another account.
    pub(crate) links: Links,
    /// `None`: it was never configured.
    pub(crate) rotation: Option<Box<Rotation>>,
    /// Who may do what with the secret.
    pub(crate) policies: AttachedPolicies,
    /// Versions made so far, those that are gone included.
    pub(crate) versions_made: u64,
    pub(crate) versions: Vec<Version>,
    pub(crate) stages: Stages,
}

impl Secret {
    /// Whether the recovery window is over: the secret can no longer be reached and only waits to be purged.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.deletion_at.is_some_and(|deletion_at| deletion_at <= now)
    }

    /// Refuses what may not be done while the secret is scheduled for deletion.
    pub(crate) fn require_active(&self) -> Result<()> {
        if self.deletion_at.is_some() { Err(Error::marked_for_deletion()) } else { Ok(()) }
    }

    /// Refuses what only the service may do that the secret belongs to, if it belongs to one.
    pub(crate) fn require_owner(&self, caller: &Owner) -> Result<()> {
        if self.owning_service.is_none() || self.owning_service.as_deref() == caller.0.as_deref() {
            Ok(())
        } else {
            Err(Error::managed_by_service())
        }
    }

    /// Whether the value of a version is under a key that can be shared with other accounts, and the secret is too.
    pub(crate) fn has_shared_key(&self, version: &VersionId) -> bool {
        let content = self.version(version).and_then(|version| version.content.as_ref());
        let is_shared = |key: &Arc<KeyUse>| key.role == KeyRole::Secret && key.requested != KmsKeyId::Default;
        self.kms_key_id != KmsKeyId::Default && content.is_some_and(|content| content.keys.iter().any(is_shared))
    }

    /// What contradicts the invariants of a secret, if anything does.
    pub(crate) fn inconsistency(&self) -> Option<String> {
        for (index, version) in self.versions.iter().enumerate() {
            if self.versions.iter().skip(index + 1).any(|other| other.id == version.id) {
                return Some(format!("the version {} is there twice", version.id.as_str()));
            }
            if version.number > self.versions_made {
                return Some(format!("the version {} has a number that was never given", version.id.as_str()));
            }
        }
        for (label, holder) in self.stages.iter() {
            if self.version(holder).is_none() {
                return Some(format!("the label {label} is on a version that is not there"));
            }
        }
        let has_value = self.versions.iter().any(Version::has_value);
        if has_value && !self.stages.iter().any(|(label, _)| label == CURRENT) {
            return Some(format!("no version has the label {CURRENT}"));
        }
        if let Some(fault) = self.link_inconsistency() {
            return Some(fault);
        }
        self.rotation.as_ref()?.inconsistency(|id| self.version(id).is_some())
    }

    pub(crate) fn version(&self, id: &VersionId) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == *id)
    }

    pub(crate) fn version_mut(&mut self, id: &VersionId) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.id == *id)
    }

    pub(crate) fn searchable(&self) -> Searchable<'_, impl Iterator<Item = (&str, &str)> + Clone> {
        let tags = self.tags.as_deref().unwrap_or_default();
        Searchable {
            name: self.name.as_str(),
            description: self.description.as_deref(),
            tags: tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())),
            primary_region: self.primary_region.as_deref(),
            owning_service: self.owning_service.as_deref(),
        }
    }

    /// Notes that something changed, strictly later than the last time.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.last_changed_at = now.max(after(self.last_changed_at, TimeDelta::milliseconds(1)));
    }

    /// An empty description is the same as none.
    pub(crate) fn describe(&mut self, description: String) {
        self.description = (!description.is_empty()).then_some(description);
    }

    /// Adds a version that is about to receive its value, or picks the placeholder that waits for it, and labels it.
    ///
    /// `labels` are the requested ones, none meaning `AWSCURRENT`.
    pub(crate) fn add_version(
        &mut self,
        id: &VersionId,
        labels: &[String],
        versions_max: usize,
        now: Timestamp,
    ) -> Result<()> {
        let is_first = !self.versions.iter().any(Version::has_value);
        if self.version(id).is_none() {
            self.versions_made += 1;
            let (id, number) = (id.clone(), self.versions_made);
            self.versions.push(Version { id, number, created_at: now, accessed_on: None, content: None });
        }
        let current = self.stages.holder(CURRENT).cloned();
        self.stages.label_new(id, labels, is_first);
        self.check_versions(id, versions_max, now)?;
        self.follow_labels(current.as_ref(), now);
        self.touch(now);
        Ok(())
    }

    /// Removes what has to go for the version that was just labelled, and checks the quotas.
    pub(crate) fn check_versions(&mut self, id: &VersionId, versions_max: usize, now: Timestamp) -> Result<()> {
        self.check_label_quota()?;
        self.discard_placeholders(id);
        self.retire_versions(now);
        if self.versions.len() > versions_max {
            return Err(Error::limit_exceeded(format!(
                "The secret has {versions_max} versions that can't be removed yet. Versions without staging labels are \
                 removed when they are older than {} hours.",
                lim::VERSION_KEPT_HOURS
            )));
        }
        Ok(())
    }

    /// A placeholder that lost its last label is of no use to anybody.
    fn discard_placeholders(&mut self, but: &VersionId) {
        let stages = &self.stages;
        self.versions.retain(|version| version.has_value() || version.id == *but || stages.is_labelled(&version.id));
    }

    /// Removes the oldest unlabelled versions beyond the number that is kept, none younger than a day.
    pub(crate) fn retire_versions(&mut self, now: Timestamp) -> Vec<VersionId> {
        let mut surplus = self.versions.len().saturating_sub(lim::VERSIONS_KEPT);
        let stages = &self.stages;
        self.versions
            .extract_if(.., |version| {
                let goes = surplus > 0
                    && after(version.created_at, TimeDelta::hours(lim::VERSION_KEPT_HOURS)) <= now
                    && !stages.is_labelled(&version.id);
                surplus -= usize::from(goes);
                goes
            })
            .map(|version| version.id)
            .collect()
    }

    /// When [`retire_versions`](Self::retire_versions) next has something to do.
    pub(crate) fn retirement_due(&self) -> Option<Timestamp> {
        // A replica has the versions that its primary has.
        if self.versions.len() <= lim::VERSIONS_KEPT || self.is_replica() {
            return None;
        }
        // The clock may have been set back between two versions, so the first of them need not be the oldest.
        let unlabelled = self.versions.iter().filter(|version| !self.stages.is_labelled(&version.id));
        let oldest = unlabelled.map(|version| version.created_at).min()?;
        Some(after(oldest, TimeDelta::hours(lim::VERSION_KEPT_HOURS)))
    }

    fn check_label_quota(&self) -> Result<()> {
        if self.stages.len() > lim::LABELS_MAX {
            return Err(Error::limit_exceeded(format!(
                "A secret can have at most {} staging labels over all its versions.",
                lim::LABELS_MAX
            )));
        }
        Ok(())
    }

    /// Moves, attaches or removes one label, as `UpdateSecretVersionStage` does.
    pub(crate) fn move_stage(&mut self, label: &str, step: &StageMove, now: Timestamp) -> Result<()> {
        let known = |id: &VersionId| match self.version(id) {
            Some(_) => Ok(()),
            None => Err(Error::version_not_found(id.as_str())),
        };
        let holder = self.stages.holder(label).cloned();
        if let Some(remove) = step.remove_from() {
            known(remove)?;
        }
        if let Some(target) = step.move_to() {
            known(target)?;
        }
        if let Some(remove) = step.remove_from()
            && holder.as_ref() != Some(remove)
        {
            return Err(Error::invalid_parameter(format!(
                "When you move staging label {label}, if you specify RemoveFromVersionId, it must be set to the version \
                 that currently has the staging label{}.",
                holder.map(|holder| format!(", which is {holder}")).unwrap_or_default()
            )));
        }
        if holder.is_some() && holder.as_ref() == step.move_to() {
            return Ok(());
        }
        let current = self.stages.holder(CURRENT).cloned();
        match step {
            StageMove::Attach { to } => {
                if let Some(holder) = holder {
                    return Err(Error::invalid_parameter(format!(
                        "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached \
                         to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                    )));
                }
                self.stages.attach(label, to);
            }
            StageMove::Move { to, .. } => self.stages.attach(label, to),
            StageMove::Remove { .. } => {
                if label == CURRENT {
                    return Err(Error::invalid_parameter(
                        "You can only move staging label AWSCURRENT to a different secret version. It can't be \
                         completely removed.",
                    ));
                }
                self.stages.detach(label);
            }
        }
        self.check_label_quota()?;
        self.follow_labels(current.as_ref(), now);
        self.touch(now);
        Ok(())
    }

    pub(crate) fn tag(&mut self, tags: NewTags, now: Timestamp) -> Result<()> {
        tags.merge_into(self.tags.get_or_insert_default())?;
        self.touch(now);
        Ok(())
    }

    pub(crate) fn untag(&mut self, keys: &[String], now: Timestamp) {
        if let Some(tags) = &mut self.tags {
            tags.retain(|tag| !keys.contains(&tag.key));
        }
        self.touch(now);
    }

    /// Attaches the policy that callers attach, in the place of the one before.
    pub(crate) fn put_policy(&mut self, text: Arc<str>, now: Timestamp) {
        self.policies.insert(DEFAULT_POLICY, text);
        self.touch(now);
    }

    /// Detaches that policy. Without one nothing changes.
    pub(crate) fn delete_policy(&mut self, now: Timestamp) {
        if self.policies.remove_default() {
            self.touch(now);
        }
    }

    pub(crate) fn schedule_deletion(&mut self, window: TimeDelta, now: Timestamp) -> Timestamp {
        let deletion_at = after(now, window);
        self.deletion_at = Some(deletion_at);
        self.touch(now);
        deletion_at
    }

    pub(crate) fn restore(&mut self, now: Timestamp) {
        if self.deletion_at.take().is_some() {
            self.touch(now);
        }
    }

    /// The labels of each version that has any. `None` if none has.
    pub(crate) fn stages_by_version(&self) -> Option<BTreeMap<String, Vec<String>>> {
        let mut by_version: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (label, version) in self.stages.iter() {
            by_version.entry(version.to_string()).or_default().push(label.to_owned());
        }
        (!by_version.is_empty()).then_some(by_version)
    }
}

/// What `UpdateSecretVersionStage` was asked to do with a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StageMove {
    /// Only `MoveToVersionId` was given.
    Attach { to: VersionId },
    /// Both were given.
    Move { from: VersionId, to: VersionId },
    /// Only `RemoveFromVersionId` was given.
    Remove { from: VersionId },
}

impl StageMove {
    fn remove_from(&self) -> Option<&VersionId> {
        match self {
            Self::Attach { .. } => None,
            Self::Move { from, .. } | Self::Remove { from } => Some(from),
        }
    }

    fn move_to(&self) -> Option<&VersionId> {
        match self {
            Self::Attach { to } | Self::Move { to, .. } => Some(to),
            Self::Remove { .. } => None,
        }
    }
}
