//! Seam: what connects a store with its standby; and the shipped one, a standby in another directory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::model::limits::CHANGES_KEPT_DEFAULT;
use crate::records::feed::follow::Stage;
use crate::records::feed::frame::{Changes, FeedPosition, Seed};
use crate::records::header::TEST_ONLY;
use crate::store::builder::{Builder, OpenMode};
use crate::store::progress::{Meter, Progress};
use crate::store::standby::store_exists;
use crate::store::{Inner, SecretStore};

/// Bytes of kept commits that go into one frame. A frame costs the standby one flush.
const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// What connects a store with one standby, wherever that is. Given to [`SecretStore::replicate_to`].
///
/// A [`StandbyDirectory`] is one. For a standby on another machine, implement this by carrying [`Seed`]s, [`Changes`] and
/// [`FeedPosition`]s there as bytes, and calling [`Builder::begin_standby`], [`SecretStore::apply_changes`] and
/// [`SecretStore::standby_status`] there.
///
/// # Contract for implementers
///
/// * `position` says where the standby is *durably*. Whatever a link remembers must not be ahead of the standby.
/// * `begin` makes a new standby, or makes one anew that was never whole. It never throws away one that was, and changes nothing
///   then, but gives [`ErrorKind::StoreExists`]. The seed is secret, and must come from the store and nobody else.
/// * `apply` applies a frame wholly or not at all, and gives where the standby is then. Frames come in order, one at a time. They
///   need no protection on their way: one that was changed, lost or exchanged is refused by the standby, and one that is
///   repeated changes nothing.
/// * No method panics. A failure of the link's own is [`Error::replication_link`]; errors of the standby are passed on as they
///   are.
pub trait ReplicationLink: Send + Sync + fmt::Debug {
    /// Where the standby is. `None`: there is none yet, or its copy was interrupted.
    ///
    /// # Errors
    ///
    /// It cannot be told. What is there is no standby, or was promoted: [`ErrorKind::Replication`].
    fn position(&self) -> Result<Option<FeedPosition>>;

    /// Makes a new, empty standby.
    ///
    /// # Errors
    ///
    /// As for [`Builder::begin_standby`].
    fn begin(&self, seed: &Seed) -> Result<()>;

    /// Applies a frame.
    ///
    /// # Errors
    ///
    /// As for [`SecretStore::apply_changes`].
    fn apply(&self, changes: &Changes) -> Result<FeedPosition>;

    /// Held by a store as long as it works with this link, so that two calls go one after the other. Default: nothing. Two
    /// calls at once then get in each other's way: the standby takes the frames of one of them, and the other fails.
    fn turns(&self) -> Option<&Mutex<()>> {
        None
    }
}

/// What [`SecretStore::replicate_to`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicationReport {
    /// Secrets that were copied, if a new standby was made.
    pub seeded_secrets: Option<u64>,
    /// Frames of changes that were applied.
    pub frames: u64,
    /// Commits that they led over.
    pub commits: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// Where the standby is now.
    pub position: FeedPosition,
}

impl SecretStore {
    /// Brings a standby to where this store is: to the newest commit at the time of the call, or further.
    ///
    /// If there is no standby yet, a new one is made: every secret is copied, and then what was changed meanwhile is applied. If
    /// the store does not keep changes, that is switched on, for
    /// [`CHANGES_KEPT_DEFAULT`](crate::limits::CHANGES_KEPT_DEFAULT) commits. To follow, call this again whenever there is time;
    /// a call that finds nothing to do reads a few records. The standby is always exactly what this store was at one of its
    /// commits. Interrupted, wherever, the next call goes on; only the copy begins anew. Two calls with one link go one after the
    /// other.
    ///
    /// Others go on working meanwhile. A change of the root key waits for a copy that is under way, and a copy for it; `progress`
    /// must not begin other long work on this store.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]. [`ErrorKind::Replication`] with [`ReplicationFault::IsStandby`]: a
    ///    standby is followed by nobody.
    /// 2. The errors of [`keep_changes`](Self::keep_changes), of the link, and of [`changes_since`](Self::changes_since).
    ///
    /// ```
    /// use strongroom::{CreateSecretRequest, SecretStore, StandbyDirectory, StaticKey};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// let key = || StaticKey::new([7; 32]);
    /// let store = SecretStore::builder(directory.join("vault")).key_provider(key()).open()?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    ///
    /// let standby = StandbyDirectory::new(SecretStore::builder(directory.join("standby")).key_provider(key()));
    /// let report = store.replicate_to(&standby, &mut |_| {})?;
    /// assert_eq!(report.seeded_secrets, Some(1));
    ///
    /// // The store is lost.
    /// store.close()?;
    /// standby.store()?.promote()?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn replicate_to(
        &self,
        link: &dyn ReplicationLink,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ReplicationReport> {
        self.inner.records.usable()?;
        self.inner.records.writable()?;
        let _turn = link.turns().map(|turns| turns.lock().unwrap_or_else(PoisonError::into_inner));
        let standing = link.position()?;
        if self.kept_changes()?.is_none() {
            self.keep_changes(CHANGES_KEPT_DEFAULT)?;
        }
        let goal = self.inner.records.head().epoch;
        let mut first = None;
        let (mut position, seeded_secrets) = match standing {
            None => self.inner.seed_standby(link, progress)?,
            Some(position) => match self.changes_since(&position, FRAME_BYTES) {
                // If it never was whole, it never will be: it is begun anew. Otherwise it is left as it is.
                Err(error) if is_without_hope(&error) => match self.inner.seed_standby(link, progress) {
                    Err(refused) if *refused.kind() == ErrorKind::StoreExists => return Err(error),
                    seeded => seeded?,
                },
                changes => {
                    first = Some(changes?);
                    (position, None)
                }
            },
        };
        let goal = goal.max(if seeded_secrets.is_some() { self.inner.records.head().epoch } else { 0 });
        let mut report = ReplicationReport { seeded_secrets, frames: 0, commits: 0, bytes: 0, position };
        let start = position.epoch;
        let mut meter = Meter::new("applying changes", goal.saturating_sub(start), progress);
        loop {
            let changes = match first.take() {
                Some(changes) => changes,
                None => self.changes_since(&position, FRAME_BYTES)?,
            };
            if changes.is_empty() {
                break;
            }
            position = link.apply(&changes)?;
            report.frames += 1;
            report.commits += changes.to().epoch.saturating_sub(changes.from().epoch);
            report.bytes += changes.as_bytes().len() as u64;
            meter.reach(position.epoch.saturating_sub(start));
            if position.epoch >= goal {
                break;
            }
        }
        meter.finish();
        Ok(ReplicationReport { position, ..report })
    }
}

impl Inner {
    /// Copies every secret to a new standby. Gives where that is, and how many secrets there were.
    fn seed_standby(
        &self,
        link: &dyn ReplicationLink,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(FeedPosition, Option<u64>)> {
        // Secrets are read in the order of their keys, which stay as they are as long as this is held.
        let _steady = self.steady();
        let records = &self.records;
        let is_for_tests = self.header().header.flags & TEST_ONLY != 0;
        let seed = records.seed(self.instance(), is_for_tests)?;
        link.begin(&seed)?;
        let mut meter = Meter::new("copying secrets", records.head().secrets, progress);
        let give = |changes: &Changes| link.apply(changes);
        let mut copying = records.copying(&self.envelope, &seed, &give)?;
        let mut secrets = 0;
        let mut after = None;
        loop {
            let found = records.secrets_after(after.as_ref())?;
            let Some(last) = found.last() else { break };
            after = Some(last.key.clone());
            for loaded in found {
                secrets += u64::from(copying.secret(loaded)?);
                meter.advance(1);
            }
        }
        let position = copying.end()?;
        meter.finish();
        Ok((position, Some(secrets)))
    }
}

/// Whether a standby can never go on from where it is.
fn is_without_hope(error: &Error) -> bool {
    use ReplicationFault::{BeginsLater, Diverged};
    matches!(error.kind(), ErrorKind::Replication(BeginsLater { .. } | Diverged))
}

/// A standby in another directory: another disk, a removable medium, the mount of another machine.
///
/// It is opened when it is first needed and stays open, and locked, until [`close`](Self::close) is called or this is dropped. All
/// calls go one after the other.
#[derive(Debug)]
pub struct StandbyDirectory {
    builder: Builder,
    store: Mutex<Option<SecretStore>>,
    turns: Mutex<()>,
}

impl StandbyDirectory {
    /// A standby where this builder opens a store, with its key provider and all of its settings.
    ///
    /// The key provider holds the standby's own root key. To read values there, before or after the standby is promoted, it has
    /// to have the keys of the secrets too. The [`mode`](Builder::mode) does not matter. Nothing is opened yet.
    #[must_use]
    pub fn new(builder: Builder) -> Self {
        Self { builder, store: Mutex::default(), turns: Mutex::default() }
    }

    /// The standby, which must be there: to read it, to [verify](SecretStore::verify) it, or to
    /// [promote](SecretStore::promote) it. Whoever closes it closes it for this link too, which opens it again.
    ///
    /// # Errors
    ///
    /// As for [`Builder::open`]. [`ErrorKind::Configuration`]: the builder is not for a directory.
    pub fn store(&self) -> Result<SecretStore> {
        let mut store = self.lock();
        self.opened(&mut store).map(again)
    }

    /// Closes the standby, if it is open.
    ///
    /// # Errors
    ///
    /// As for [`SecretStore::close`].
    pub fn close(&self) -> Result<()> {
        self.lock().take().map_or(Ok(()), SecretStore::close)
    }

    fn lock(&self) -> MutexGuard<'_, Option<SecretStore>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn builder(&self) -> Result<Builder> {
        self.builder.again().ok_or_else(|| Error::configuration("a standby directory is a directory"))
    }

    fn opened<'a>(&self, store: &'a mut Option<SecretStore>) -> Result<&'a SecretStore> {
        // After a failed write, or after somebody closed it, only what is opened again is believed.
        if let Some(unusable) = store.take_if(|store| store.inner.records.usable().is_err()) {
            let _ = unusable.close();
        }
        match store {
            Some(store) => Ok(store),
            None => Ok(store.insert(self.builder()?.mode(OpenMode::OpenExisting).open()?)),
        }
    }
}

fn was_filled(store: &SecretStore) -> bool {
    store.inner.records.followed().is_none_or(|followed| followed.was_filled())
}

fn again(store: &SecretStore) -> SecretStore {
    SecretStore { inner: Arc::clone(&store.inner), default_tenant: Arc::clone(&store.default_tenant) }
}

impl ReplicationLink for StandbyDirectory {
    fn position(&self) -> Result<Option<FeedPosition>> {
        let mut store = self.lock();
        if store.is_none() {
            let directory = self.builder()?.directory();
            if !directory.map_or(Ok(false), SecretStore::exists)? {
                return Ok(None);
            }
        }
        let followed = self.opened(&mut store)?.inner.records.followed();
        let refused = |fault| Err(Error::replication(fault));
        match followed.as_deref().map(|followed| (followed.stage, followed.position)) {
            None => refused(ReplicationFault::NotAStandby),
            Some((Stage::Promoted, _)) => refused(ReplicationFault::Diverged),
            Some((Stage::Copying { .. }, _)) => Ok(None),
            Some((_, position)) => Ok(Some(position)),
        }
    }

    fn begin(&self, seed: &Seed) -> Result<()> {
        let mut store = self.lock();
        if let Some(open) = store.take_if(|open| !was_filled(open)) {
            open.close()?;
        }
        if store.is_some() {
            return Err(store_exists());
        }
        *store = Some(self.builder()?.begin_standby(seed)?);
        Ok(())
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition> {
        let mut store = self.lock();
        let applied = self.opened(&mut store)?.apply_changes(changes);
        if applied.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Storage) {
            // What is there is known when it is opened again.
            if let Some(failed) = store.take() {
                let _ = failed.close();
            }
        }
        applied
    }

    fn turns(&self) -> Option<&Mutex<()>> {
        Some(&self.turns)
    }
}
