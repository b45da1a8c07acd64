//! A standby's side: what it follows, and applying what comes.
//!
//! Nobody else commits in a standby, so what is made from its records stands until it is committed.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::Entropy;
use crate::envelope::ad;
use crate::envelope::root::Roots;
use crate::envelope::seal::{KEY_BYTES, Label, SealingKey};
use crate::envelope::{Envelope, Identity, SealedVersion};
use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::model::id::SecretName;
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::version::VersionId;
use crate::records::anchor::{HeadTag, head_tag};
use crate::records::codec::{Head, decode, encode};
use crate::records::commit::{Commit, Guard, no_more_commits};
use crate::records::feed::body::{self, State, Versions};
use crate::records::feed::fault;
use crate::records::feed::frame::{Changes, FeedPosition, Kind, Outside, Seed};
use crate::records::keys::{self, Family};
use crate::records::manifest::{SetHash, Tally};
use crate::records::{Loaded, Outcome, Records, SecretChange, indexes, seal_head, storage, undecodable};
use crate::storage::{Batch, Durability};

/// Not a standby, or not any more.
const ORDINARY: u8 = 0;
/// A standby that cannot be read yet.
const SEEDING: u8 = 1;
/// A standby that can be read.
const FOLLOWING: u8 = 2;

/// The revision of the record with which a standby begins.
const FIRST_REVISION: u64 = 1;

/// How far a standby has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Secrets are being copied: so many frames have come.
    Copying { frames: u64 },
    /// They were copied while they changed: it is whole when it has come to this commit.
    CatchingUp { complete_at: u64 },
    /// It is what the other store was.
    Following,
    /// It follows no more.
    Promoted,
}

/// What a standby follows.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) position: FeedPosition,
    pub(crate) stage: Stage,
    /// The copy that filled it, or fills it.
    copy: Uuid,
    /// Of the feed. Nothing after the promotion.
    key: SealingKey,
}

#[derive(Serialize, Deserialize)]
struct StoredFollowed {
    instance: [u8; 16],
    feed: [u8; 16],
    key: [u8; KEY_BYTES],
    epoch: u64,
    tag: HeadTag,
    copy: [u8; 16],
    stage: Stage,
}

impl Drop for StoredFollowed {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Followed {
    fn new(seed: &Seed) -> Result<Self> {
        let sown = seed.sown()?;
        let (position, copy, key) = (sown.position, sown.copy, SealingKey::new(&sown.key));
        Ok(Self { position, stage: Stage::Copying { frames: 0 }, copy, key })
    }

    fn at(&self, position: FeedPosition, stage: Stage) -> Self {
        let key = if stage == Stage::Promoted { &[0; KEY_BYTES] } else { self.key.expose() };
        Self { position, stage, copy: self.copy, key: SealingKey::new(key) }
    }

    /// Whether it was filled at any time. One that was not is of no use to anybody.
    pub(crate) fn was_filled(&self) -> bool {
        match self.stage {
            Stage::Copying { .. } | Stage::CatchingUp { .. } => false,
            Stage::Following | Stage::Promoted => true,
        }
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let Self { position: FeedPosition { instance, feed, epoch, tag, .. }, stage, copy, key } = self;
        let stored = StoredFollowed {
            instance: *instance.as_bytes(),
            feed: *feed.as_bytes(),
            key: *key.expose(),
            epoch: *epoch,
            tag: *tag,
            copy: *copy.as_bytes(),
            stage: *stage,
        };
        encode(&stored).map(Zeroizing::new).map_err(undecodable)
    }

    pub(super) fn decode(store: Uuid, bytes: &[u8]) -> Result<Self> {
        let stored: StoredFollowed = decode(bytes).map_err(undecodable)?;
        let [instance, feed, copy] = [stored.instance, stored.feed, stored.copy].map(Uuid::from_bytes);
        let position = FeedPosition { store, instance, feed, epoch: stored.epoch, tag: stored.tag };
        Ok(Self { position, stage: stored.stage, copy, key: SealingKey::new(&stored.key) })
    }

    /// The stage after the next frame of a copy. `None`: it came before.
    fn after_copy(&self, outside: &Outside) -> Result<Option<Stage>> {
        if outside.copy != self.copy {
            return Err(fault(ReplicationFault::OtherCopy));
        }
        let Stage::Copying { frames } = self.stage else { return Ok(None) };
        if outside.from != self.position {
            return Err(fault(ReplicationFault::OtherCopy));
        }
        if outside.index > frames {
            return Err(fault(ReplicationFault::CopyOutOfOrder { expected: frames, got: outside.index }));
        }
        Ok((outside.index == frames).then(|| match outside.kind {
            Kind::EndOfCopy => stage_at(self.position.epoch, outside.complete_at),
            Kind::Copy | Kind::Changes => Stage::Copying { frames: frames.saturating_add(1) },
        }))
    }

    /// The stage after changes. `None`: they came before.
    fn after_changes(&self, outside: &Outside) -> Result<Option<Stage>> {
        let at = self.position;
        if let Stage::Copying { .. } = self.stage {
            return Err(fault(ReplicationFault::StillSeeding));
        }
        if outside.to.epoch < at.epoch || outside.to == at {
            return Ok(None);
        }
        if outside.to.epoch == at.epoch {
            return Err(fault(ReplicationFault::Diverged));
        }
        if outside.from.epoch != at.epoch {
            return Err(fault(ReplicationFault::OutOfOrder { expected: at.epoch, got: outside.from.epoch }));
        }
        if outside.from.tag != at.tag {
            return Err(fault(ReplicationFault::Diverged));
        }
        Ok(Some(match self.stage {
            Stage::CatchingUp { complete_at } => stage_at(outside.to.epoch, complete_at),
            stage => stage,
        }))
    }

    fn role(&self) -> u8 {
        match self.stage {
            Stage::Copying { .. } | Stage::CatchingUp { .. } => SEEDING,
            Stage::Following => FOLLOWING,
            Stage::Promoted => ORDINARY,
        }
    }
}

fn stage_at(epoch: u64, complete_at: u64) -> Stage {
    if epoch >= complete_at { Stage::Following } else { Stage::CatchingUp { complete_at } }
}

/// The only record of a new standby, and the head that speaks of it.
pub(crate) fn first_record(roots: &Roots, seed: &Seed, epoch: u64, entropy: &dyn Entropy) -> Result<(Batch, Head)> {
    let followed = Followed::new(seed)?;
    let root = &roots.newest;
    let key = keys::standby(&root.index);
    let mut record = FIRST_REVISION.to_be_bytes().to_vec();
    let ad = ad::record(&followed.position.store, &key, FIRST_REVISION);
    root.metadata.seal_into(Label::Metadata, ad.as_bytes(), &followed.encode()?, entropy, &mut record)?;
    let mut tally = Tally::default();
    tally.add(SetHash::of_record(roots, &key, &record));
    let mut batch = Batch::new();
    batch.put(key, record);
    let (records, set) = (tally.records, tally.set);
    Ok((batch, Head { epoch, revision: FIRST_REVISION, records, set, ..Head::default() }))
}

impl Records {
    pub(super) fn read_followed(&self) -> Result<()> {
        let found = self.look_up(|root| {
            let key = keys::standby(&root.index);
            Ok(self.read(&key)?.map(|record| (key, record)))
        })?;
        let Some((key, record)) = found else { return Ok(()) };
        let (_, bytes) = self.open_record(&key, &record)?;
        self.set_followed(Followed::decode(self.store, &bytes)?);
        Ok(())
    }

    /// Sees whether a record that a sweep has found is what a standby follows.
    pub(crate) fn check_followed(&self, key: &[u8], found: &super::StoredRecord) -> Result<()> {
        self.stage_of(key, found).map(drop)
    }

    /// The revision of a record that says what a standby follows, and how far that was.
    pub(crate) fn stage_of(&self, key: &[u8], found: &super::StoredRecord) -> Result<(u64, Stage)> {
        let (revision, bytes) = self.open_record(key, found)?;
        Ok((revision, Followed::decode(self.store, &bytes)?.stage))
    }

    fn set_followed(&self, followed: Followed) {
        let mut now = self.feed.followed.write().unwrap_or_else(PoisonError::into_inner);
        self.feed.role.store(followed.role(), Ordering::Release);
        *now = Some(Arc::new(followed));
    }

    /// What the store follows, or followed until it was promoted.
    pub(crate) fn followed(&self) -> Option<Arc<Followed>> {
        self.feed.followed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_standby(&self) -> bool {
        self.feed.role.load(Ordering::Acquire) != ORDINARY
    }

    /// Refuses whatever would change a secret of a standby.
    pub(crate) fn writable(&self) -> Result<()> {
        if self.is_standby() { Err(fault(ReplicationFault::IsStandby)) } else { Ok(()) }
    }

    /// Refuses whatever would read a standby that is not whole.
    pub(crate) fn readable(&self) -> Result<()> {
        match self.feed.role.load(Ordering::Acquire) {
            SEEDING => Err(fault(ReplicationFault::StillSeeding)),
            _ => Ok(()),
        }
    }

    /// Applies a frame: all of it, or nothing. Gives where the standby is then.
    pub(crate) fn apply_changes(&self, envelope: &Envelope, changes: &Changes) -> Result<FeedPosition> {
        self.usable()?;
        let _work = self.feed_work();
        let outside = changes.outside();
        if outside.from.store != self.store {
            return Err(fault(ReplicationFault::OtherStore));
        }
        let followed = self.followed().ok_or_else(|| fault(ReplicationFault::NotAStandby))?;
        let at = followed.position;
        if followed.stage == Stage::Promoted || outside.from.instance != at.instance {
            return Err(fault(ReplicationFault::Diverged));
        }
        if outside.from.feed != at.feed {
            let (position, begins) = (at.epoch, outside.from.epoch);
            return Err(fault(ReplicationFault::BeginsLater { position, begins }));
        }
        let body = changes.open(&followed.key)?;
        let stage = match outside.kind {
            Kind::Copy | Kind::EndOfCopy => followed.after_copy(outside)?,
            Kind::Changes => followed.after_changes(outside)?,
        };
        let Some(stage) = stage else { return Ok(at) };
        // Of a copy only the whole counts. Otherwise the position is what the other store goes by.
        let durability = if outside.kind == Kind::Copy { Durability::Eventual } else { Durability::Immediate };
        let states = body::states(&body)?;
        if outside.kind != Kind::Copy && states.iter().any(State::is_of_copy) {
            return Err(fault(ReplicationFault::Damaged));
        }
        let commits = self.commits_of(envelope, states)?;
        self.commit_followed(commits, followed.at(outside.to, stage), durability)?;
        Ok(outside.to)
    }

    /// The commits that bring each secret to its state.
    fn commits_of(&self, envelope: &Envelope, states: Vec<State>) -> Result<Vec<Commit>> {
        let roots = self.roots();
        let mut commits = Vec::with_capacity(states.len());
        for state in states {
            match state {
                State::Present { secret, versions } => {
                    let old = self.load(&secret.tenant, &secret.name)?;
                    let sealed = carried_in(envelope, &roots, &secret, &versions)?;
                    commits.push(self.changed(
                        &roots,
                        old.as_ref(),
                        &secret.tenant,
                        &secret.name,
                        Some(&secret),
                        &sealed,
                    )?);
                }
                State::Gone { tenant, name } => {
                    if let Some(old) = self.load(&tenant, &name)? {
                        commits.push(self.changed(&roots, Some(&old), &tenant, &name, None, &[])?);
                    }
                }
                State::Ahead { secret, versions } => {
                    let mut batch = Batch::new();
                    for (id, version) in carried_in(envelope, &roots, &secret, &versions)? {
                        batch.put(keys::version(&roots.newest.index, &secret.uid, &id), version.record);
                    }
                    commits.push(self.plain_commit(&roots, batch, Guard { key: Vec::new(), revision: None })?);
                }
                State::Withdrawn { uid, versions } => {
                    let mut batch = Batch::new();
                    versions.iter().for_each(|id| batch.remove(keys::version(&roots.newest.index, &uid, id)));
                    commits.push(self.plain_commit(&roots, batch, Guard { key: Vec::new(), revision: None })?);
                }
            }
        }
        Ok(commits)
    }

    fn changed(
        &self,
        roots: &Roots,
        old: Option<&Loaded>,
        tenant: &Arc<Tenant>,
        name: &SecretName,
        new: Option<&Secret>,
        sealed: &[(VersionId, SealedVersion)],
    ) -> Result<Commit> {
        let key = old.map_or_else(|| self.key_of(roots, tenant, name), |old| old.key.clone());
        let commit = indexes::change(self, &SecretChange { key: &key, old, new, sealed, quota: None })?;
        // Nobody changes the root key of a standby.
        commit.ok_or_else(|| Error::new(ErrorKind::Contended, "the root key is being changed"))
    }

    /// Commits what was made of a frame together with where the standby is afterwards.
    fn commit_followed(&self, mut commits: Vec<Commit>, followed: Followed, durability: Durability) -> Result<()> {
        let roots = self.roots();
        commits.push(self.followed_commit(&roots, &followed, None)?);
        self.while_nobody_commits(|| {
            self.usable()?;
            let mut head = self.committer.head();
            let mut tally = Tally { records: head.records, set: head.set };
            let mut merged = Batch::new();
            let (mut effects, mut catalogue) = (Vec::new(), Vec::with_capacity(commits.len()));
            for commit in commits {
                let delta = commit.parts.iter().map(|part| i64::from(part.secrets_delta)).sum();
                head.secrets = head.secrets.saturating_add_signed(delta);
                commit.effects.iter().for_each(|effect| tally.apply(effect));
                merged.append(commit.batch);
                effects.extend(commit.effects);
                catalogue.extend(commit.parts.into_iter().map(|part| part.catalogue));
            }
            merged.check().map_err(storage)?;
            head.epoch = head.epoch.checked_add(1).ok_or_else(no_more_commits)?;
            head.revision = self.next_revision();
            (head.records, head.set) = (tally.records, tally.set);
            let sealed = seal_head(&roots.newest, &self.store, &*self.entropy, &head)?;
            let tag = head_tag(&sealed);
            // After all that has an effect on the set hash.
            merged.put(vec![Family::Head as u8], sealed);
            let write = || {
                self.backend.commit(&merged, durability).map_err(storage)?;
                match durability {
                    Durability::Immediate => self.anchors.advance(&roots.newest.anchor, head.epoch, &tag),
                    Durability::Eventual => Ok(()),
                }
            };
            write().inspect_err(|_| self.poison())?;
            self.committer.set_head(head, tag);
            self.committer.sweeps.tell(merged.iter().zip(&effects));
            self.catalogue.apply(catalogue.iter());
            self.set_followed(followed);
            Ok(())
        })
    }

    /// The commit that writes what the store follows.
    fn followed_commit(&self, roots: &Roots, followed: &Followed, former: Option<(Vec<u8>, u64)>) -> Result<Commit> {
        let root = &roots.newest;
        let key = keys::standby(&root.index);
        let revision = self.next_revision.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::new();
        batch.put(key.clone(), self.seal_record(root, &key, revision, &followed.encode()?)?);
        let guard = match former {
            Some((former, revision)) => {
                batch.remove(former.clone());
                Guard { key: former, revision: Some(revision) }
            }
            None => Guard { key, revision: None },
        };
        self.plain_commit(roots, batch, guard)
    }

    /// Moves what a promoted standby followed to the newest generation.
    pub(super) fn move_followed(&self, roots: &Roots) -> Result<()> {
        let (Some(former), Some(followed)) = (&roots.former, self.followed()) else { return Ok(()) };
        let key = keys::standby(&former.index);
        let Some(record) = self.read(&key)? else { return Ok(()) };
        let (revision, _) = self.open_record(&key, &record)?;
        let commit = self.followed_commit(roots, &followed, Some((key, revision)))?;
        match self.submit(commit)? {
            Outcome::Done => Ok(()),
            _ => Err(Error::new(ErrorKind::Contended, "what the store followed was changed by somebody else")),
        }
    }

    /// Makes a standby an ordinary store.
    pub(crate) fn promote(&self) -> Result<FeedPosition> {
        self.usable()?;
        let _work = self.feed_work();
        let followed = self.followed().ok_or_else(|| fault(ReplicationFault::NotAStandby))?;
        match followed.stage {
            Stage::Following => {}
            Stage::Promoted => return Err(fault(ReplicationFault::NotAStandby)),
            Stage::Copying { .. } | Stage::CatchingUp { .. } => return Err(fault(ReplicationFault::StillSeeding)),
        }
        let position = followed.position;
        self.commit_followed(Vec::new(), followed.at(position, Stage::Promoted), Durability::Immediate)?;
        Ok(position)
    }
}

/// Versions under the standby's own root key.
fn carried_in(
    envelope: &Envelope,
    roots: &Roots,
    secret: &Secret,
    versions: &Versions,
) -> Result<Vec<(VersionId, SealedVersion)>> {
    let mut sealed = Vec::with_capacity(versions.len());
    for (id, carried) in versions {
        let content = secret.version(id).and_then(|version| version.content.as_ref());
        let content = content.ok_or_else(|| fault(ReplicationFault::Damaged))?;
        let identity = Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version: id };
        let version = envelope.carry_in(roots, &identity, content, carried);
        let version = version.map_err(|error| match error.kind() {
            ErrorKind::Corrupted => fault(ReplicationFault::Damaged),
            _ => error,
        })?;
        sealed.push((id.clone(), version));
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_promoted_store_does_not_have_the_key_of_the_feed() {
        let [store, instance, feed, copy] = [1, 2, 3, 4].map(Uuid::from_u128);
        let position = FeedPosition { store, instance, feed, epoch: 5, tag: [6; 16] };
        let followed = Followed::new(&Seed::new(position, copy, &[0xa7; KEY_BYTES], false)).unwrap();
        for (stage, has_key) in [(Stage::Following, true), (Stage::Promoted, false)] {
            let stored = followed.at(position, stage).encode().unwrap();
            let read = Followed::decode(store, &stored).unwrap();
            assert_eq!((read.position, read.stage, read.copy), (position, stage, copy));
            assert_eq!(stored.windows(KEY_BYTES).any(|part| part == [0xa7; KEY_BYTES]), has_key);
        }
    }
}
