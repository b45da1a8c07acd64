//! Another root key, and what that makes unreadable for good.

use std::sync::Arc;

use crate::envelope::provider::DataKey;
use crate::envelope::root::RootKeys;
use crate::envelope::{Identity, StoredVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::secret::Secret;
use crate::records::header::{Header, RootWrap};
use crate::records::keys::{JobKind, SecretKey};
use crate::records::{Loaded, Move, Outcome, SecretChange, StoredRecord};
use crate::store::builder::derive;
use crate::store::keys::KeyOptions;
use crate::store::keys::walk::{Counts, Visit, Visitor};
use crate::store::maintenance::{MaintenanceReport, Upkeep};
use crate::store::progress::{Meter, Progress};
use crate::store::{Inner, SecretStore, SecretsManager};

/// Bytes of a secret's versions that are moved in one commit.
const MOVED_BYTES_MAX: usize = 1024 * 1024;

/// Rounds after which a secret that others keep changing is given up.
const ROUNDS_MAX: usize = 1_000;

/// What [`SecretStore::rotate_root_key`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootKeyReport {
    /// Generation of the root key that is in use now.
    pub generation: u32,
    /// Secrets that were sealed anew by this call.
    pub secrets: u64,
    /// Their versions.
    pub versions: u64,
    /// Whether this call went on with one that was interrupted.
    pub was_resumed: bool,
}

/// What [`SecretStore::shred`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShredReport {
    /// Secrets that were past their recovery window and went first.
    pub purged_secrets: u64,
    /// Generation of the root key that is in use now. Everything older is unreadable.
    pub generation: u32,
    /// Secrets that are left, and were sealed anew.
    pub secrets: u64,
}

impl SecretStore {
    /// Gives the store another root key: a new generation, under which every record is sealed anew, with new storage keys.
    /// Data keys and values stay as they are. The old root key is forgotten when nothing is under it any more.
    ///
    /// The new root key is wrapped under the keys that the old one is wrapped under, and shown to open, before anything is
    /// changed. Each secret goes over in one step; others go on reading and writing meanwhile. Everything is read back
    /// before the old root key is forgotten. Backups and exports wait until it is done, and it waits for those that are
    /// under way. Interrupted, the store opens as ever, and calling this
    /// again goes on where it stopped. Page tokens of before are honoured until the store is closed. No provider is asked
    /// but for the root key itself. Takes some tens of microseconds for each secret, and the flushes.
    ///
    /// Backups of before hold the old root key, wrapped, and open as before. `progress` must not begin a backup, an export,
    /// a verification, a census or another operation on keys: they would wait for each other.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Contended`]: another operation on keys is under way.
    /// 2. [`ErrorKind::KeyAccessDenied`], [`ErrorKind::EncryptionFailure`], [`ErrorKind::KeyProviderOutage`],
    ///    [`ErrorKind::WrongKey`]: the root key cannot be wrapped under one of its keys; nothing has changed.
    /// 3. [`ErrorKind::Corrupted`]: a record cannot be moved, because it is damaged or belongs to no secret. What was moved
    ///    stays so, and the old root key is kept.
    /// 4. [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let report = store.rotate_root_key(&mut |_| {})?;
    /// assert_eq!(report.generation, 2);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn rotate_root_key(&self, progress: &mut dyn FnMut(Progress)) -> Result<RootKeyReport> {
        let _work = self.inner.begin_key_work()?;
        self.inner.rotate_root_key(progress)
    }

    /// Makes everything unreadable for good that has been deleted so far: for whoever has the store's files as they are
    /// after this call, and every key of the provider's.
    ///
    /// A deleted value stays in the storage engine's files until it happens to be written over. Its data key is wrapped by
    /// the provider, and that wrap is sealed under the store's root key, which is nowhere but in the header. So the root
    /// key is [changed](Self::rotate_root_key), what is left is sealed anew, and the old header is replaced and written
    /// over. What is past its recovery window is purged first; what can still be restored stays.
    ///
    /// Not promised: that the medium forgets the old header (flash, copy-on-write and networked file systems, snapshots),
    /// and anything about copies and backups that were made before, which hold the old root key, wrapped. Deleting the
    /// provider's key that wrapped it makes those unreadable too. A store outside a directory keeps its header among its
    /// records, where the backend decides what happens to the old one.
    ///
    /// What was kept for standbys goes too, with the key of the feed; so every standby has to be made anew. Until then, what
    /// was deleted is in the standby as in any copy: shredding does not reach it.
    ///
    /// Interrupted, call it again; what was deleted is certain to be unreadable when it returns.
    ///
    /// # Errors
    ///
    /// As for [`rotate_root_key`](Self::rotate_root_key).
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let report = store.shred(&mut |_| {})?;
    /// assert_eq!(report.purged_secrets, 0);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn shred(&self, progress: &mut dyn FnMut(Progress)) -> Result<ShredReport> {
        let _work = self.inner.begin_key_work()?;
        // What is due to be rotated is for whoever has the functions.
        let purged_secrets = self.inner.maintain(&mut Purges(&self.inner))?.purged_secrets;
        if self.inner.records.roots().former.is_some() {
            // What was deleted since that began is under a root key that would stay.
            self.inner.rotate_root_key(progress)?;
        }
        // Whoever has frames and the files must not find the key of the one in the other.
        self.inner.records.renew_feed()?;
        let RootKeyReport { generation, secrets, .. } = self.inner.rotate_root_key(progress)?;
        Ok(ShredReport { purged_secrets, generation, secrets })
    }
}

/// Purges what is due, and leaves everything else to whoever maintains the store.
struct Purges<'a>(&'a Inner);

impl Upkeep for Purges<'_> {
    fn commit(&self, old: &Loaded, new: &Secret) -> Result<Outcome> {
        let mut new = new.clone();
        new.links.defer(self.0.now());
        let change = SecretChange { key: &old.key, old: Some(old), new: Some(&new), sealed: &[], quota: None };
        self.0.records.commit(&change)
    }

    fn replicate(&self, _: &SecretKey, _: &mut MaintenanceReport) -> Result<()> {
        Ok(())
    }

    fn rotate(&mut self, _: Vec<SecretKey>, _: &mut MaintenanceReport) -> Result<()> {
        Ok(())
    }
}

impl Inner {
    fn rotate_root_key(self: &Arc<Self>, progress: &mut dyn FnMut(Progress)) -> Result<RootKeyReport> {
        // Listings must not look for secrets by their keys while these change.
        self.records.warm_up()?;
        let was_resumed = self.records.roots().former.is_some();
        // The provider is asked while nobody waits for this.
        let next = if was_resumed { None } else { Some(self.prepare_root_key()?) };
        let _unsteady = self.unsteady();
        if let Some((header, next)) = next {
            self.replace_header(header, &next.header)?;
            self.records.begin_generation(next);
        }
        let (secrets, versions) = self.move_everything(progress)?;
        self.records.require_nothing_former()?;
        self.walk(&KeyOptions::new(), None, "reading back", &mut ReadBack { store: self }, progress)?;
        self.records.renew_head()?;
        let header = Header { former: Vec::new(), ..self.header().header.clone() };
        let roots = self.records.roots();
        self.replace_header(header, &roots.newest.header)?;
        self.records.finish_generation();
        Ok(RootKeyReport { generation: roots.newest.generation, secrets, versions, was_resumed })
    }

    /// The next generation, and the header that has both.
    fn prepare_root_key(&self) -> Result<(Header, Arc<RootKeys>)> {
        let header = self.header().header.clone();
        let old = self.open_root_key()?;
        // Never from the provider: one that repeats itself must not repeat a root key.
        let new = DataKey::generate(&*self.entropy)?;
        let generation = header.generation.checked_add(1).ok_or_else(|| {
            Error::new(ErrorKind::Storage, "there is no number left for a further generation of the root key")
        })?;
        let mut wraps = Vec::with_capacity(header.wraps.len());
        let mut is_proven = false;
        for RootWrap { requested, role, .. } in &header.wraps {
            let handle = self.key_for_root(requested, *role)?;
            let (wrapped, opens) = self.envelope.wrap_root(&handle, &new)?;
            is_proven |= opens;
            wraps.push(RootWrap { requested: requested.clone(), role: *role, wrapped });
        }
        if !is_proven {
            return Err(Error::configuration("no key of the store shows that it opens what it has wrapped"));
        }
        let next = derive(&new, &header.store, generation)?;
        let former = Header::seal_former(&next, &header.store, &old, header.generation, &*self.entropy)?;
        Ok((Header { generation, wraps, former, ..header }, next))
    }

    /// Moves what is under the former generation to the newest. Gives the secrets and versions that were moved.
    fn move_everything(&self, progress: &mut dyn FnMut(Progress)) -> Result<(u64, u64)> {
        let mut meter = Meter::new("sealing anew", self.records.head().secrets, progress);
        let (mut secrets, mut versions) = (0, 0);
        let mut after = None;
        loop {
            let found = self.records.former_secrets(after.as_ref())?;
            let Some(last) = found.last() else { break };
            after = Some(last.key.clone());
            for batch in batches(found) {
                let count = batch.len() as u64;
                versions += self.move_batch(batch)?;
                secrets += count;
                meter.advance(count);
            }
        }
        self.records.move_job(JobKind::Reencrypt)?;
        self.records.move_feed()?;
        meter.finish();
        Ok((secrets, versions))
    }

    /// Moves some secrets together. Gives their versions.
    fn move_batch(&self, mut batch: Vec<Loaded>) -> Result<u64> {
        let mut versions = 0;
        for _ in 0..ROUNDS_MAX {
            if batch.is_empty() {
                return Ok(versions);
            }
            let mut ready = Vec::with_capacity(batch.len());
            for loaded in batch {
                ready.extend(self.ready_to_move(loaded)?);
            }
            let outcomes = self.records.move_secrets(&ready)?;
            batch = Vec::new();
            for (Move { loaded, sealed }, outcome) in ready.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Done => versions += sealed.len() as u64,
                    // Somebody has changed it meanwhile.
                    Outcome::Stale | Outcome::OverQuota { .. } => batch.extend(self.records.load_by_key(&loaded.key)?),
                }
            }
        }
        match batch.first() {
            Some(loaded) => {
                Err(Error::new(ErrorKind::Contended, format!("other calls kept changing {}", loaded.secret.arn)))
            }
            None => Ok(versions),
        }
    }

    /// A secret with the versions that go over together with it; if there is more of them than one commit should have, the
    /// others go first. `None`: it is gone.
    fn ready_to_move(&self, mut loaded: Loaded) -> Result<Option<Move>> {
        let roots = self.records.roots();
        for _ in 0..ROUNDS_MAX {
            let mut sealed = Vec::new();
            let mut bytes = 0;
            let mut is_all = true;
            for version in &loaded.secret.versions {
                let Some(content) = &version.content else { continue };
                let Some(StoredRecord { stored, root }) = self.records.former_version(&loaded, &version.id)? else {
                    continue;
                };
                if bytes > MOVED_BYTES_MAX {
                    is_all = false;
                    break;
                }
                let secret = &loaded.secret;
                let identity =
                    Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version: &version.id };
                let (root, current) = (&*root, &secret.kms_key_id);
                let stored = StoredVersion { root, identity, current, content, record: stored.as_ref() };
                match self.envelope.reseal(&stored, &roots) {
                    Ok(moved) => {
                        bytes += moved.record.len();
                        sealed.push((version.id.clone(), moved));
                    }
                    Err(error) if *error.kind() == ErrorKind::Corrupted => {
                        let now = self.records.load_by_key(&loaded.key)?;
                        if now.is_some_and(|now| now.revision == loaded.revision) {
                            return Err(error);
                        }
                        // Its two records were read on both sides of a change.
                        is_all = false;
                        sealed.clear();
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_all {
                return Ok(Some(Move { loaded, sealed }));
            }
            if !sealed.is_empty() {
                let (key, secret) = (&loaded.key, &loaded.secret);
                let change = SecretChange { key, old: Some(&loaded), new: Some(secret), sealed: &sealed, quota: None };
                self.records.commit(&change)?;
            }
            match self.records.load_by_key(&loaded.key)? {
                Some(now) => loaded = now,
                None => return Ok(None),
            }
        }
        Err(Error::new(ErrorKind::Contended, format!("other calls kept changing {}", loaded.secret.arn)))
    }
}

/// Sees that whatever was sealed anew opens, before the key of what it was is forgotten.
struct ReadBack<'a> {
    store: &'a Inner,
}

impl Visitor for ReadBack<'_> {
    fn visit(&mut self, manager: &SecretsManager, loaded: &Loaded) -> Result<Visit> {
        for version in loaded.secret.versions.iter().filter(|version| version.has_value()) {
            if manager.with_version(loaded, &version.id, |stored| self.store.envelope.check(stored))?.is_none() {
                return Ok(Visit::Again);
            }
        }
        Ok(Visit::Unchanged(Counts::default()))
    }

    fn done(&mut self, _: &str, _: Counts) {}
}

/// Secrets that are moved together.
const BATCH_SECRETS: usize = 64;

fn batches(mut found: Vec<Loaded>) -> impl Iterator<Item = Vec<Loaded>> {
    std::iter::from_fn(move || {
        let rest = found.split_off(found.len().min(BATCH_SECRETS));
        let batch = std::mem::replace(&mut found, rest);
        (!batch.is_empty()).then_some(batch)
    })
}
