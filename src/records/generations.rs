//! Going over from one generation of the root key to the next, record by record, while others go on working.
//!
//! What is left under the former generation is what is left to do: nothing else remembers how far the work has come.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::envelope::SealedVersion;
use crate::envelope::root::{RootKeys, Roots};
use crate::error::{Error, Result};
use crate::model::version::VersionId;
use crate::records::anchor::head_tag;
use crate::records::catalogue::CatalogueChange;
use crate::records::codec::{self, DueEntry, Job};
use crate::records::commit::{Commit, Guard, Part, no_more_commits};
use crate::records::feed::Trimmed;
use crate::records::keys::{self, Family, JobKind, SecretKey};
use crate::records::{Loaded, Outcome, Records, misplaced, seal_head, storage, tasks, undecodable};
use crate::storage::{Batch, Durability};

/// Families whose records are under a generation.
const FAMILIES: [Family; 6] =
    [Family::Secret, Family::Version, Family::Due, Family::Job, Family::Standby, Family::Change];

/// A secret that goes over to the newest generation, with the versions that go in the same commit.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) loaded: Loaded,
    pub(crate) sealed: Vec<(VersionId, SealedVersion)>,
}

/// How far an operation has come, where that is kept.
struct StoredJob {
    key: Vec<u8>,
    revision: u64,
    job: Job,
}

impl Records {
    /// From now on everything new is sealed under the next generation.
    pub(crate) fn begin_generation(&self, next: Arc<RootKeys>) {
        self.exchange_roots(|roots| roots.with_next(next));
    }

    /// The keys that wrap data keys may be others from now on: what was wrapped before and is not stored yet is refused, and
    /// wrapped anew.
    pub(crate) fn begin_turn(&self) {
        self.exchange_roots(Roots::with_next_turn);
    }

    fn exchange_roots(&self, exchange: impl FnOnce(&Roots) -> Roots) {
        // No commit may be half made for one generation and half for another.
        self.while_nobody_commits(|| {
            let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
            *roots = Arc::new(exchange(&roots));
        });
    }

    /// Some of the secrets that are still under the former generation.
    pub(crate) fn former_secrets(&self, after: Option<&SecretKey>) -> Result<Vec<Loaded>> {
        let roots = self.roots();
        let Some(former) = &roots.former else { return Ok(Vec::new()) };
        let prefix = keys::of_generation(Family::Secret, former.index.mark);
        let found = self.scan(&prefix, after.map(SecretKey::as_bytes))?;
        let open = |(key, record): (Vec<u8>, _)| {
            self.open_found(SecretKey::from_bytes(&key).ok_or_else(misplaced)?, &record, None)
        };
        found.into_iter().map(open).collect()
    }

    /// Whether a version of a secret is still under the former generation.
    pub(crate) fn former_version(&self, loaded: &Loaded, id: &VersionId) -> Result<Option<super::StoredRecord>> {
        let roots = self.roots();
        match &roots.former {
            Some(former) => self.read(&keys::version(&former.index, &loaded.secret.uid, id)),
            None => Ok(None),
        }
    }

    /// Moves secrets to the newest generation, each with everything of it in one step. Versions that are not given have
    /// been moved before.
    pub(crate) fn move_secrets(&self, moves: &[Move]) -> Result<Vec<Outcome>> {
        self.submit_some(moves.iter().map(|one| self.moving(one)).collect::<Result<_>>()?)
    }

    fn moving(&self, Move { loaded, sealed }: &Move) -> Result<Option<Commit>> {
        let Loaded { secret, key, revision: standing } = loaded;
        let roots = self.roots();
        let (newest, Some(former)) = (&roots.newest, &roots.former) else { return Ok(None) };
        if sealed.iter().any(|(_, version)| version.time != roots.time()) {
            return Ok(None);
        }
        let revision = self.next_revision.fetch_add(1, Ordering::Relaxed);
        let new_key = SecretKey::new(&newest.index, &secret.tenant, &secret.name);
        let mut batch = Batch::new();
        for (id, version) in sealed {
            batch.put(keys::version(&newest.index, &secret.uid, id), version.record.clone());
            batch.remove(keys::version(&former.index, &secret.uid, id));
        }
        for version in secret.versions.iter().filter(|version| version.has_value()) {
            let is_given = sealed.iter().any(|(id, _)| *id == version.id);
            if !is_given && !self.has(&keys::version(&newest.index, &secret.uid, &version.id))? {
                // It is not there, or the secret has been changed: then the commit is refused.
                let still_stands = self.load_by_key(key)?.is_some_and(|now| now.revision == *standing);
                return if still_stands {
                    Err(Error::corrupted("the value of a version is missing"))
                } else {
                    Ok(None)
                };
            }
        }
        for (at, task) in tasks(secret) {
            batch.remove(keys::due(&former.index, at, task, key));
            let entry = keys::due(&newest.index, at, task, &new_key);
            let plaintext =
                codec::encode_due(&DueEntry { secret: new_key.as_bytes().to_vec() }).map_err(undecodable)?;
            let sealed = self.seal_record(newest, &entry, revision, &plaintext)?;
            batch.put(entry, sealed);
        }
        batch.remove(key.as_bytes().to_vec());
        let plaintext = codec::encode_secret(secret).map_err(undecodable)?;
        let record = self.seal_record(newest, new_key.as_bytes(), revision, &plaintext)?;
        batch.put(new_key.as_bytes().to_vec(), record);
        self.plain_commit(&roots, batch, Guard { key: key.as_bytes().to_vec(), revision: Some(*standing) }).map(Some)
    }

    /// A commit that changes neither how many secrets there are nor what is listed of them.
    pub(super) fn plain_commit(&self, roots: &Roots, batch: Batch, guard: Guard) -> Result<Commit> {
        let effects = super::manifest::effects(roots, &batch, |key| self.element(roots, key))?;
        let part = Part { guard, secrets_delta: 0, quota: None, catalogue: CatalogueChange::Nothing };
        let told = Some(Vec::new());
        Ok(Commit { batch, effects, time: roots.time(), is_sealing: false, parts: vec![part], told })
    }

    /// Refuses to go on while anything is left under the former generation; only then is its key of no use.
    pub(crate) fn require_nothing_former(&self) -> Result<()> {
        let roots = self.roots();
        let Some(former) = &roots.former else { return Ok(()) };
        let mark = former.index.mark;
        for family in FAMILIES {
            // Due entries are ordered by their time, so all of them have to be looked at.
            let is_by_time = family == Family::Due;
            let prefix = keys::of_generation(family, mark);
            let prefix = if is_by_time { prefix.get(..1).unwrap_or_default() } else { &prefix };
            let mut after: Option<Vec<u8>> = None;
            loop {
                let found = self.scan(prefix, after.as_deref())?;
                if found.iter().any(|(key, _)| keys::mark(key) == Some(mark)) {
                    return Err(Error::corrupted(
                        "records are left under the former root key that belong to no secret; the root key is kept. \
                         `verify` tells more",
                    ));
                }
                after = found.into_iter().next_back().map(|(key, _)| key);
                if after.is_none() || !is_by_time {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Brings the head and both slots of the anchor over to the newest generation, durably.
    pub(crate) fn renew_head(&self) -> Result<()> {
        for _ in 0..2 {
            self.exclusively(|| {
                let roots = self.roots();
                let mut head = self.committer.head();
                head.epoch = head.epoch.checked_add(1).ok_or_else(no_more_commits)?;
                head.revision = self.next_revision();
                let sealed = seal_head(&roots.newest, &self.store, &*self.entropy, &head)?;
                let tag = head_tag(&sealed);
                let mut batch = Batch::new();
                batch.put(vec![Family::Head as u8], sealed);
                let trimmed = self.log_changes(&roots, head.epoch, std::iter::empty(), &mut batch)?;
                self.backend.commit(&batch, Durability::Immediate).map_err(storage)?;
                self.anchors.advance(&roots.newest.anchor, head.epoch, &tag)?;
                self.committer.set_head(head, tag);
                trimmed.into_iter().for_each(Trimmed::was_committed);
                Ok(())
            })?;
        }
        // A slot is written without a sync, and the header must not forget the key of those that are on the medium.
        self.anchors.sync()
    }

    /// Forgets the key of the former generation, under which nothing is left.
    pub(crate) fn finish_generation(&self) {
        self.exchange_roots(Roots::without_former);
    }

    /// Writes the header of a store that has no directory.
    pub(crate) fn write_header(&self, header: Vec<u8>) -> Result<()> {
        self.exclusively(|| {
            let mut batch = Batch::new();
            batch.put(vec![Family::Header as u8], header);
            self.backend.commit(&batch, Durability::Immediate).map_err(storage)
        })
    }

    /// How far an operation has come, if it was interrupted.
    pub(crate) fn job(&self, kind: JobKind) -> Result<Option<Job>> {
        let Some(StoredJob { job, .. }) = self.stored_job(kind)? else { return Ok(None) };
        Ok(Some(job))
    }

    fn stored_job(&self, kind: JobKind) -> Result<Option<StoredJob>> {
        let found = self.look_up(|root| {
            let key = keys::job(&root.index, kind);
            Ok(self.read(&key)?.map(|record| (key, record)))
        })?;
        let Some((key, record)) = found else { return Ok(None) };
        let (revision, bytes) = self.open_record(&key, &record)?;
        let job = codec::decode_job(&bytes).map_err(undecodable)?;
        Ok(Some(StoredJob { key, revision, job }))
    }

    /// Sees whether a record that a sweep has found is what an operation remembers.
    pub(crate) fn check_job(&self, key: &[u8], found: &super::StoredRecord) -> Result<()> {
        let (_, bytes) = self.open_record(key, found)?;
        codec::decode_job(&bytes).map(drop).map_err(undecodable)
    }

    /// Remembers how far an operation has come, or that it is at its end.
    pub(crate) fn set_job(&self, kind: JobKind, job: Option<&Job>) -> Result<()> {
        loop {
            let roots = self.roots();
            let before = self.stored_job(kind)?;
            let key = keys::job(&roots.newest.index, kind);
            let mut batch = Batch::new();
            match job {
                Some(job) => {
                    let revision = self.next_revision.fetch_add(1, Ordering::Relaxed);
                    let plaintext = codec::encode_job(job).map_err(undecodable)?;
                    batch.put(key.clone(), self.seal_record(&roots.newest, &key, revision, &plaintext)?);
                }
                None => batch.remove(key.clone()),
            }
            let guard = match before {
                Some(StoredJob { key: old, revision, .. }) => {
                    if old != key {
                        batch.remove(old.clone());
                    }
                    Guard { key: old, revision: Some(revision) }
                }
                None if job.is_none() => return Ok(()),
                None => Guard { key, revision: None },
            };
            let commit = self.plain_commit(&roots, batch, guard)?;
            if self.submit(commit)? == Outcome::Done {
                return Ok(());
            }
        }
    }

    /// Moves what an interrupted operation remembers to the newest generation.
    pub(crate) fn move_job(&self, kind: JobKind) -> Result<()> {
        match self.job(kind)? {
            Some(job) => self.set_job(kind, Some(&job)),
            None => Ok(()),
        }
    }
}
