//! What else changes when a secret does: its replicas, and the primary of a replica that goes its own way.
//!
//! All of it follows from the old and the new state of the secret, so that no operation can forget a replica, and is committed
//! with the secret in one step. A replica whose turn fails is noted with its primary and keeps nobody from going on.

mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::access::Access;
use crate::entropy::Entropy;
use crate::envelope::SealedVersion;
use crate::envelope::root::Roots;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::{SecretName, arn_in_region, place_of};
use crate::model::replication::{
    ACCEPT_REPLICATION, AccountLink, AccountPrimary, LinkState, Links, RegionLink, StatusType,
};
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::value::SecretValue;
use crate::model::version::VersionId;
use crate::records::keys::SecretKey;
use crate::records::{Loaded, Outcome, SecretChange};
use crate::run::{Done, ROUNDS_MAX, new_uid};
use crate::store::{Replication, SecretsManager};
use crate::time::Timestamp;

/// Bytes of values that one commit brings to replicas that are behind. What is left follows in further commits.
const STEP_BYTES: usize = 2 * 1024 * 1024;

/// A secret that changes with another one.
#[derive(Debug)]
pub(crate) struct Companion {
    key: SecretKey,
    old: Option<Loaded>,
    /// `None`: it goes.
    new: Option<Secret>,
    sealed: Vec<(VersionId, SealedVersion)>,
}

/// A change of a secret that others may have to follow.
pub(crate) struct Change<'a> {
    /// What can be reached of it now.
    pub(crate) old: Option<&'a Loaded>,
    /// A version that is not stored yet, and its value.
    pub(crate) value: Option<(&'a VersionId, &'a SecretValue)>,
    pub(crate) pace: Replication,
    /// Somebody asked for it: what was refused to another caller is tried for this one.
    pub(crate) is_asked: bool,
    pub(crate) now: Timestamp,
}

/// Why a replica was not brought up to date.
enum Setback {
    /// The secret was changed meanwhile.
    Stale,
    /// Somebody has to remove the reason.
    Refused(String),
    /// It is tried again later.
    Failed(Error),
    /// It is tried again, and not in this call.
    Later(String),
    /// Nothing can go on.
    Broken(Error),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Storage | ErrorKind::Poisoned | ErrorKind::Closed => Self::Broken(error),
            _ => Self::Failed(error),
        }
    }
}

type Turn<T> = std::result::Result<T, Setback>;

/// A replica that has failed in this call.
pub(super) struct Noted {
    tenant: Arc<Tenant>,
    text: String,
    /// There is no room for it, or in it.
    is_full: bool,
}

/// How much of what is behind is brought over in this commit.
struct Budget {
    bytes: usize,
    /// Something was left for later.
    is_exhausted: bool,
}

impl Budget {
    /// Where a link stands that had its turn.
    fn reached(&mut self, now: Timestamp) -> LinkState {
        if std::mem::take(&mut self.is_exhausted) { LinkState::wanted(now) } else { LinkState::in_sync() }
    }
}

impl SecretsManager {
    /// Commits a change that nobody asked for through the API, together with what follows from it.
    pub(crate) fn commit_following(&self, old: &Loaded, new: &Secret, pace: Replication) -> Result<Outcome> {
        let mut done = Done::default();
        loop {
            let change = Change { old: Some(old), value: None, pace, is_asked: false, now: self.now() };
            let mut new = new.clone();
            let noted = done.noted;
            let Some(companions) = self.companions(&change, &mut new, &mut done)? else { return Ok(Outcome::Stale) };
            let change = SecretChange { key: &old.key, old: Some(old), new: Some(&new), sealed: &[], quota: None };
            let outcome = self.commit_with(&change, &companions, &mut done)?;
            // What is noted is noted once, so that this comes to an end.
            if outcome != Outcome::Stale || done.noted == noted {
                return Ok(outcome);
            }
        }
    }

    /// Commits a change and its companions in one step. What there is no room for, a companion or messages, is noted, and left
    /// out by whoever tries again.
    pub(super) fn commit_with(
        &self,
        change: &SecretChange<'_>,
        companions: &[Companion],
        done: &mut Done,
    ) -> Result<Outcome> {
        let now = self.now();
        let others = companions.iter().map(|Companion { key, old, new, sealed }| {
            // What takes the place of a secret that can be reached needs no room.
            let is_counted = old.as_ref().is_some_and(|old| !old.secret.is_expired(now));
            let quota = (!is_counted).then_some((self.settings().secrets_max, now));
            SecretChange { key, old: old.as_ref(), new: new.as_ref(), sealed, quota }
        });
        let own = SecretChange { ..*change };
        let changes: Vec<SecretChange<'_>> = [own].into_iter().chain(others).collect();
        let (part, refusal, is_quota) = match self.records().commit_together(&changes) {
            Ok(Outcome::OverQuota { part }) if part > 0 => (part, self.over_quota(), true),
            Ok(outcome) => {
                if outcome == Outcome::Done {
                    for Companion { old, new, .. } in companions {
                        self.tell_of_abandonment(old.as_ref().map(|old| &*old.secret), new.as_ref());
                    }
                }
                return Ok(outcome);
            }
            Err((part, error)) if *error.kind() == ErrorKind::LimitExceeded => (part, error, false),
            Err((_, error)) => return Err(error),
        };
        // Whoever is told of a full Region has to make room there, and who is told of a full secret cannot.
        let reason = if is_quota { refusal.message() } else { told_to_others(refusal.kind()) };
        let is_noted = match part.checked_sub(1).and_then(|index| companions.get(index)) {
            Some(companion) => companion.new.as_ref().is_some_and(|new| done.note_full(&new.tenant, reason)),
            // A message of why a replica failed must not keep its primary from being changed.
            None => {
                let has_messages = change.new.is_some_and(|new| new.links.failed().next().is_some());
                has_messages && done.note_terse()
            }
        };
        if is_noted { Ok(Outcome::Stale) } else { Err(refusal) }
    }

    /// What else changes when a secret becomes `new`, whose links are brought up to date. `None`: it was changed meanwhile.
    pub(super) fn companions(
        &self,
        change: &Change<'_>,
        new: &mut Secret,
        done: &mut Done,
    ) -> Result<Option<Vec<Companion>>> {
        let nothing = Links::default();
        let before = change.old.map(|old| &*old.secret).filter(|old| old.uid == new.uid);
        let links_before = before.map_or(&nothing, |old| &old.links);
        let was_replica = before.is_some_and(Secret::is_region_replica);
        if new.links == nothing && *links_before == nothing && !was_replica {
            return Ok(Some(Vec::new()));
        }
        let mut companions = Vec::new();
        let mut links = std::mem::take(&mut new.links);
        let mut budget = Budget { bytes: STEP_BYTES, is_exhausted: false };
        for link in links.regions.iter_mut().filter(|link| link.is_attempted(change.now)) {
            if change.pace == Replication::Deferred {
                link.state.put_off(change.now);
                continue;
            }
            if link.state.status != StatusType::InSync && budget.bytes == 0 {
                // It stays due.
                continue;
            }
            let turn = self.bring_to_region(change, new, link, &mut budget, done);
            // Whoever agreed to it agreed to this attempt.
            link.may_overwrite = false;
            match turn {
                Ok(companion) => {
                    companions.extend(companion);
                    link.state = budget.reached(change.now);
                }
                Err(setback) => {
                    budget.is_exhausted = false;
                    if let Some(end) = self.note(setback, &mut link.state, new.tenant_in(&link.region), false, done) {
                        return end.map(|()| None);
                    }
                }
            }
        }
        for link in links.accounts.iter_mut().filter(|link| !link.is_over()) {
            // Whoever asks for a change answers for its replication, also if it is made later.
            let turn = match self.require_accepted(change, new, link) {
                Ok(()) if !link.is_attempted(change.now, change.is_asked) => continue,
                Ok(()) if link.state.status != StatusType::InSync && budget.bytes == 0 => continue,
                Ok(()) => self.bring_to_account(change, new, link, &mut budget, done),
                Err(setback) => Err(setback),
            };
            match turn {
                Ok(companion) => {
                    companions.extend(companion);
                    if change.pace == Replication::Deferred {
                        link.state.put_off(change.now);
                        companions.extend(self.tell_replica(link, new, done)?);
                    } else {
                        link.state = budget.reached(change.now);
                    }
                }
                Err(setback) => {
                    let tenant = place_of(&link.replica_arn).map(|(tenant, _)| tenant);
                    if let Some(end) = self.note(setback, &mut link.state, tenant, true, done) {
                        return end.map(|()| None);
                    }
                    companions.extend(self.tell_replica(link, new, done)?);
                }
            }
        }
        if done.is_terse {
            links.forget_messages();
        }
        new.links = links;
        self.leave(before, new, change.now, &mut companions)?;
        Ok(Some(companions))
    }

    /// Notes a setback with the link. Otherwise, how the whole change ends.
    fn note(
        &self,
        setback: Setback,
        state: &mut LinkState,
        tenant: Option<Arc<Tenant>>,
        is_other_account: bool,
        done: &mut Done,
    ) -> Option<Result<()>> {
        let text = match setback {
            Setback::Stale => return Some(Ok(())),
            Setback::Broken(error) => return Some(Err(error)),
            Setback::Refused(text) => {
                state.fail(text);
                return None;
            }
            Setback::Later(text) => text,
            Setback::Failed(error) => {
                let text =
                    if is_other_account { failure(told_to_others(error.kind())) } else { failure(error.message()) };
                if let Some(tenant) = tenant {
                    done.setbacks.push(Noted { tenant, text: text.clone(), is_full: false });
                }
                text
            }
        };
        // After the attempt, which may have taken its time.
        state.fail_for_now(text, self.now());
        None
    }

    /// Brings a replica in another Region up to date. `None`: it is.
    fn bring_to_region(
        &self,
        change: &Change<'_>,
        new: &Secret,
        link: &mut RegionLink,
        budget: &mut Budget,
        done: &mut Done,
    ) -> Turn<Option<Companion>> {
        let refused = || Setback::Refused(failure("Invalid replica region."));
        let tenant = new.tenant_in(&link.region).ok_or_else(refused)?;
        done.require_no_setback(&tenant)?;
        let roots = self.records().roots();
        let found = self.records().load(&tenant, &new.name)?;
        let there = found.as_ref().map(|found| &*found.secret).filter(|there| !there.is_expired(change.now));
        if let Some(conflict) = there.and_then(|there| new.conflict(link, there)) {
            return Err(Setback::Refused(conflict));
        }
        let replica = there.filter(|there| there.is_replica_of(new));
        let uid = done.uid_of(arn_in_region(&new.arn, tenant.region()), self.entropy())?;
        let is_behind = link.state.status != StatusType::InSync || replica.is_none();
        let mut copied = new.copied_to_region(link, &tenant, replica, uid);
        let sealed = self.seal_missing(change, new, &mut copied, is_behind.then_some(budget), done)?;
        // The default key is shown as such, whatever the caller called it.
        link.kms_key_id.clone_from(&copied.secret.kms_key_id);
        link.is_rekeyed = false;
        Ok(self.companion(found, &roots, copied.secret, sealed))
    }

    /// Brings the replica in another account up to date. `None`: it is.
    fn bring_to_account(
        &self,
        change: &Change<'_>,
        new: &Secret,
        link: &AccountLink,
        budget: &mut Budget,
        done: &mut Done,
    ) -> Turn<Option<Companion>> {
        let roots = self.records().roots();
        let found = self.account_replica(new, link)?;
        let Some(found) = found.filter(|found| !found.secret.is_expired(change.now)) else {
            return Err(Setback::Later(failure("the replica secret is not there, or is that of another secret.")));
        };
        let there = &*found.secret;
        done.require_no_setback(&there.tenant)?;
        if change.pace == Replication::Deferred {
            return Ok(None);
        }
        let mut copied = new.copied_to_account(there);
        let is_behind = link.state.status != StatusType::InSync;
        let sealed = self.seal_missing(change, new, &mut copied, is_behind.then_some(&mut *budget), done)?;
        if copied.secret != *there {
            copied.secret.touch(change.now);
        }
        if let Some(primary) = &mut copied.secret.links.primary {
            let status = if budget.is_exhausted { StatusType::InProgress } else { StatusType::InSync };
            (primary.status, primary.message) = (status, None);
        }
        Ok(self.companion(Some(found), &roots, copied.secret, sealed))
    }

    /// Refuses to replicate with the rights of somebody who may not.
    fn require_accepted(&self, change: &Change<'_>, new: &Secret, link: &AccountLink) -> Turn<()> {
        if !change.is_asked || link.role_arn.is_some() || self.caller().is_none() {
            return Ok(());
        }
        match self.account_replica(new, link)? {
            // What does not concern the replica needs nobody's rights.
            Some(found)
                if link.state.status == StatusType::InSync
                    && new.copied_to_account(&found.secret).is(&found.secret) =>
            {
                Ok(())
            }
            Some(found) if !self.may(&Access::to(ACCEPT_REPLICATION), &found.secret)? => {
                Err(Setback::Refused(failure("the caller may not replicate to the replica secret.")))
            }
            // One that is not there is told of by whoever looks for it.
            _ => Ok(()),
        }
    }

    /// The replica of a secret in another account, if it is that.
    fn account_replica(&self, primary: &Secret, link: &AccountLink) -> Result<Option<Loaded>> {
        let Some((tenant, name)) = place_of(&link.replica_arn) else { return Ok(None) };
        let found = self.records().load(&tenant, &name)?;
        Ok(found.filter(|Loaded { secret, .. }| {
            let follows = |known: &AccountPrimary| known.primary_arn == primary.arn;
            secret.arn == link.replica_arn && secret.links.primary.as_ref().is_some_and(follows)
        }))
    }

    /// A secret that is only to be told something. One that is damaged is as good as gone: it is found damaged by whoever reads
    /// it, and keeps nobody else from going on.
    pub(crate) fn find_other(&self, tenant: &Arc<Tenant>, name: &SecretName) -> Result<Option<Loaded>> {
        as_gone(self.records().load(tenant, name))
    }

    fn companion(
        &self,
        found: Option<Loaded>,
        roots: &Roots,
        new: Secret,
        sealed: Vec<(VersionId, SealedVersion)>,
    ) -> Option<Companion> {
        if found.as_ref().is_some_and(|found| *found.secret == new) {
            return None;
        }
        let key = match &found {
            Some(found) => found.key.clone(),
            None => self.records().key_of(roots, &new.tenant, &new.name),
        };
        Some(Companion { key, old: found, new: Some(new), sealed })
    }

    /// Tells the replica in another account what its primary has noted of it.
    fn tell_replica(&self, link: &AccountLink, primary: &Secret, done: &Done) -> Result<Option<Companion>> {
        let found = as_gone(self.account_replica(primary, link))?;
        // One that is full has no room for it.
        let found = found.filter(|found| !done.is_full(&found.secret.tenant));
        Ok(found.and_then(|found| {
            found.changed(|secret| {
                if let Some(known) = &mut secret.links.primary {
                    (known.status, known.message) = (link.state.status, link.state.message.clone());
                }
            })
        }))
    }

    /// Replicas that are no longer wanted go, and whoever no longer follows is no longer counted on.
    fn leave(
        &self,
        before: Option<&Secret>,
        new: &Secret,
        now: Timestamp,
        companions: &mut Vec<Companion>,
    ) -> Result<()> {
        let Some(before) = before else { return Ok(()) };
        for link in &before.links.regions {
            let is_kept = new.links.regions.iter().any(|kept| kept.region == link.region);
            let Some(tenant) = new.tenant_in(&link.region).filter(|_| !is_kept) else { continue };
            let found = self.find_other(&tenant, &new.name)?;
            if let Some(found) = found.filter(|found| found.secret.is_replica_of(before)) {
                companions.push(Companion { key: found.key.clone(), old: Some(found), new: None, sealed: Vec::new() });
            }
        }
        for link in &before.links.accounts {
            let is_kept = new.links.accounts.iter().any(|kept| kept.replica_arn == link.replica_arn);
            if is_kept {
                continue;
            }
            if let Some(found) = as_gone(self.account_replica(before, link))? {
                companions.extend(found.changed(|secret| {
                    if let Some(known) = &mut secret.links.primary {
                        (known.status, known.message) = (StatusType::Detached, None);
                    }
                    secret.touch(now);
                }));
            }
        }
        let primary = if before.is_region_replica() && !new.is_region_replica() {
            let tenant = before.primary_region.as_deref().and_then(|region| before.tenant_in(region));
            tenant.map(|tenant| (tenant, before.name.clone()))
        } else if new.links.primary.is_none() {
            before.links.primary.as_ref().and_then(|primary| place_of(&primary.primary_arn))
        } else {
            None
        };
        let Some((tenant, name)) = primary else { return Ok(()) };
        let Some(found) = self.find_other(&tenant, &name)? else { return Ok(()) };
        companions.extend(found.changed(|secret| {
            if before.is_replica_of(secret) {
                secret.links.regions.retain(|link| link.region != before.tenant.region());
            }
            let follows = before.links.primary.as_ref().is_some_and(|primary| primary.primary_arn == secret.arn);
            for link in secret.links.accounts.iter_mut().filter(|link| follows && link.replica_arn == before.arn) {
                link.state = LinkState::detached();
            }
        }));
        Ok(())
    }

    /// Brings the replicas of a secret up to date that are due, in as many commits as it takes. Whether none of them failed;
    /// `None`: the secret is gone.
    pub(crate) fn replicate(&self, key: &SecretKey) -> Result<Option<bool>> {
        let mut had_turn = BTreeSet::new();
        let mut lost = 0;
        loop {
            let Some(old) = self.records().load_by_key(key)? else { return Ok(None) };
            let due: Vec<&str> = old.secret.links.due(self.now()).collect();
            if due.is_empty() {
                let is_failed = old.secret.links.failed().any(|link| had_turn.contains(link));
                return Ok(Some(!is_failed));
            }
            had_turn.extend(due.into_iter().map(str::to_owned));
            match self.commit_following(&old, &old.secret, Replication::Synchronous)? {
                Outcome::Stale if lost == ROUNDS_MAX => {
                    return Err(Error::new(ErrorKind::Contended, "other calls kept changing the same secret"));
                }
                Outcome::Stale => lost += 1,
                Outcome::Done | Outcome::OverQuota { .. } => lost = 0,
            }
        }
    }
}

impl Loaded {
    /// The change of a secret that follows another one, if it changes.
    fn changed(self, change: impl FnOnce(&mut Secret)) -> Option<Companion> {
        let mut new = Secret::clone(&self.secret);
        change(&mut new);
        (new != *self.secret).then(|| Companion {
            key: self.key.clone(),
            old: Some(self),
            new: Some(new),
            sealed: Vec::new(),
        })
    }
}

/// What is damaged is as good as gone to somebody else.
fn as_gone(found: Result<Option<Loaded>>) -> Result<Option<Loaded>> {
    match found {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. }) => Ok(None),
        found => found,
    }
}

/// The message of a link that failed.
fn failure(reason: &str) -> String {
    format!("Replication failed: {reason}")
}

/// Why a replica failed, as the other account may know it: nothing of whose keys are where.
fn told_to_others(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidKey(_) | ErrorKind::KeyAccessDenied(_) | ErrorKind::EncryptionFailure(_) => {
            "the KMS key of the replica secret can't be used."
        }
        ErrorKind::DecryptionFailure(_) => "the value of the primary secret can't be decrypted.",
        ErrorKind::KeyProviderOutage(_) => "a KMS key can't be reached.",
        ErrorKind::LimitExceeded => "the replica secret is too large.",
        _ => "an internal error occurred.",
    }
}

impl Done {
    /// Refuses to ask again in this call what has failed in it.
    fn require_no_setback(&self, tenant: &Arc<Tenant>) -> Turn<()> {
        match self.setbacks.iter().find(|noted| noted.tenant == *tenant) {
            Some(noted) => Err(Setback::Later(noted.text.clone())),
            None => Ok(()),
        }
    }

    fn is_full(&self, tenant: &Arc<Tenant>) -> bool {
        self.setbacks.iter().any(|noted| noted.is_full && noted.tenant == *tenant)
    }

    /// Notes that a replica has no room for what it was to have. Whether that is new.
    fn note_full(&mut self, tenant: &Arc<Tenant>, reason: &str) -> bool {
        if self.is_full(tenant) {
            return false;
        }
        self.noted += 1;
        match self.setbacks.iter_mut().find(|noted| noted.tenant == *tenant) {
            Some(noted) => noted.is_full = true,
            None => {
                let (tenant, text) = (Arc::clone(tenant), failure(reason));
                self.setbacks.push(Noted { tenant, text, is_full: true });
            }
        }
        true
    }

    /// Notes that the primary has no room for messages. Whether that is new.
    fn note_terse(&mut self) -> bool {
        self.noted += 1;
        !std::mem::replace(&mut self.is_terse, true)
    }

    /// The uid of a replica that is yet to be made, which stays the same from one round to the next.
    fn uid_of(&mut self, arn: String, entropy: &dyn Entropy) -> Result<Uuid> {
        if let Some((_, uid)) = self.uids.iter().find(|(known, _)| *known == arn) {
            return Ok(*uid);
        }
        let uid = new_uid(entropy)?;
        self.uids.push((arn, uid));
        Ok(uid)
    }
}
