//! Standbys: stores that follow another one, and the feed that they follow.

pub(super) mod link;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::records::anchor::Anchors;
use crate::records::feed::KeptChanges;
use crate::records::feed::follow::{Stage, first_record};
use crate::records::feed::frame::{Changes, FeedPosition, Seed};
use crate::records::header::Header;
use crate::records::{Closed, Records, storage};
use crate::storage::Durability;
use crate::store::SecretStore;
use crate::store::builder::{Builder, Maker, OpenMode, Opened, Place};
use crate::store::directory::{Directory, Found};

/// How far a standby is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandbyStatus {
    /// What it is.
    pub state: StandbyState,
    /// The commit of the other store at which it is, or at which it was promoted.
    pub position: FeedPosition,
}

/// What a standby is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandbyState {
    /// It is being filled. It cannot be read.
    Seeding,
    /// It holds exactly what the other store held at its position, and can be read.
    Following,
    /// It was promoted, and is a store of its own.
    Promoted,
}

impl SecretStore {
    /// Keeps what the next commits change, for standbys, or another number of them. Gives where the store is.
    ///
    /// What a commit changes is kept in the same commit, sealed like everything else: that takes no further flush, and about
    /// as much space again as the change itself, for the newest `commits` commits: at most `commits` times what one changes,
    /// of bytes there is no bound. What was deleted or replaced stays there for that long. A standby that was out of reach for
    /// longer has to be made anew. It is kept until [`stop_keeping_changes`](Self::stop_keeping_changes), over restarts and
    /// compactions. Backups, exports and salvaged stores do not have it.
    /// [`replicate_to`](Self::replicate_to) calls this by itself, with
    /// [`CHANGES_KEPT_DEFAULT`](crate::limits::CHANGES_KEPT_DEFAULT).
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    /// 2. [`ErrorKind::Replication`] with [`ReplicationFault::IsStandby`].
    /// 3. [`ErrorKind::Configuration`]: `commits` is 0.
    /// 4. [`ErrorKind::Storage`], [`ErrorKind::Entropy`].
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let before = store.keep_changes(10_000)?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let changes = store.changes_since(&before, 1024 * 1024)?;
    /// assert_eq!(changes.to().epoch(), before.epoch() + 1);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn keep_changes(&self, commits: u64) -> Result<FeedPosition> {
        let _steady = self.inner.steady();
        self.inner.records.keep_changes(self.inner.instance(), commits)
    }

    /// Keeps no changes any more, and forgets those that were kept. Every standby has to be made anew if it is to follow again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    pub fn stop_keeping_changes(&self) -> Result<()> {
        let _steady = self.inner.steady();
        self.inner.records.stop_keeping_changes()
    }

    /// Which changes are kept. `None`: none are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]. [`ErrorKind::Replication`] with [`ReplicationFault::LogDamaged`]: it
    /// cannot be told.
    pub fn kept_changes(&self) -> Result<Option<KeptChanges>> {
        self.inner.records.kept_changes()
    }

    /// What was committed after a position, for a standby that is there: as many commits as fit into about `max_bytes`, and at
    /// least one if there is one. At most 8 MiB, unless one commit has more.
    ///
    /// Of a secret that these commits changed several times, only the last state is in it; so applying it costs less than the
    /// commits did. Nobody is asked for a key, and no value is opened. Only what is durable is given; if nothing else is left, a
    /// flush makes the rest so. Reads and writes go on meanwhile.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies. All but the first and the last are [`ErrorKind::Replication`] with a
    /// [`ReplicationFault`]:
    ///
    /// 1. [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    /// 2. [`NotKeepingChanges`](ReplicationFault::NotKeepingChanges), [`LogDamaged`](ReplicationFault::LogDamaged).
    /// 3. [`OtherStore`](ReplicationFault::OtherStore): the position is in the history of another store.
    /// 4. [`Diverged`](ReplicationFault::Diverged): it is in no history that this store has had.
    /// 5. [`BeginsLater`](ReplicationFault::BeginsLater): what follows it is kept no longer.
    /// 6. [`Diverged`](ReplicationFault::Diverged): another commit has its number.
    /// 7. [`LogDamaged`](ReplicationFault::LogDamaged): what follows it is missing or damaged.
    /// 8. [`ErrorKind::Storage`], [`ErrorKind::Entropy`].
    pub fn changes_since(&self, position: &FeedPosition, max_bytes: usize) -> Result<Changes> {
        let inner = &self.inner;
        inner.records.changes_since(&inner.envelope, inner.instance(), position, max_bytes)
    }

    /// Whether the store follows another one, so that whatever would change a secret is refused with
    /// [`ReplicationFault::IsStandby`].
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.inner.records.is_standby()
    }

    /// How far a standby is. `None`: the store never was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    pub fn standby_status(&self) -> Result<Option<StandbyStatus>> {
        self.inner.records.usable()?;
        let Some(followed) = self.inner.records.followed() else { return Ok(None) };
        let state = match followed.stage {
            Stage::Copying { .. } | Stage::CatchingUp { .. } => StandbyState::Seeding,
            Stage::Following => StandbyState::Following,
            Stage::Promoted => StandbyState::Promoted,
        };
        Ok(Some(StandbyStatus { state, position: followed.position }))
    }

    /// Brings a standby to where a frame leads: all of it in one commit, or nothing. Gives where the standby is then.
    ///
    /// Values are not opened; what the key provider returned for them is sealed under this store's own root key. A frame that
    /// ends where the standby is, or before, changes nothing and is no error, so a frame whose fate is unknown can be applied
    /// again; so with frames of the copy that filled the standby. But for those, it is durable when this returns, whatever the
    /// builder's [`durability`](Builder::durability). Others go on reading meanwhile, and see all of it or nothing of each secret.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies. Nothing was changed, but for the last one, after which the store has to be opened
    /// again. All but the first and the last are [`ErrorKind::Replication`] with a [`ReplicationFault`]:
    ///
    /// 1. [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    /// 2. [`OtherStore`](ReplicationFault::OtherStore), [`NotAStandby`](ReplicationFault::NotAStandby).
    /// 3. [`Diverged`](ReplicationFault::Diverged): the store was promoted, or the other one was restored from a backup.
    ///    [`BeginsLater`](ReplicationFault::BeginsLater): the other one has begun to keep changes anew.
    /// 4. [`Damaged`](ReplicationFault::Damaged): the frame does not authenticate.
    /// 5. [`OtherCopy`](ReplicationFault::OtherCopy): it is of a copy, and not of the one that fills the standby.
    ///    [`OutOfOrder`](ReplicationFault::OutOfOrder), [`CopyOutOfOrder`](ReplicationFault::CopyOutOfOrder),
    ///    [`StillSeeding`](ReplicationFault::StillSeeding): others have to come before.
    /// 6. [`Diverged`](ReplicationFault::Diverged): it leads from, or to, another commit of the number at which the standby is.
    /// 7. [`ErrorKind::Corrupted`], [`ErrorKind::Entropy`], [`ErrorKind::Storage`].
    pub fn apply_changes(&self, changes: &Changes) -> Result<FeedPosition> {
        self.inner.records.apply_changes(&self.inner.envelope, changes)
    }

    /// Makes a standby an ordinary store, durably. Gives the commit of the other store at which that was.
    ///
    /// From then on it can be written to, and follows nobody: what the other store committed after that position is not in it.
    /// Whoever promotes sees to it that the other store is not written to any more; both go by the same ARNs.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Poisoned`], [`ErrorKind::Closed`].
    /// 2. [`ErrorKind::Replication`] with [`ReplicationFault::NotAStandby`]: it is none, or none any more; with
    ///    [`ReplicationFault::StillSeeding`]: it does not hold everything yet.
    /// 3. [`ErrorKind::Storage`]: open it again to learn whether it was promoted.
    pub fn promote(&self) -> Result<FeedPosition> {
        self.inner.records.promote()
    }
}

impl Builder {
    /// Makes a new standby in a directory that holds no store, and opens it. It is empty and cannot be read until it was filled.
    ///
    /// This is for a [`ReplicationLink`](crate::ReplicationLink) of your own; a [`StandbyDirectory`](crate::StandbyDirectory)
    /// calls it by itself. The standby has the id of the store that it follows, because values are bound to that, and a root
    /// key of its own. A directory with a standby of this store that was never whole is begun anew.
    /// [`mode`](Self::mode) does not matter. Where an external anchor, or [`open_expecting`](Self::open_expecting), remembers
    /// commits of a standby that is gone, the commits of the new one are numbered from there on.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Replication`] with [`ReplicationFault::Damaged`]: the seed is none.
    /// 2. [`ErrorKind::Configuration`]: as for [`open`](Self::open), or the store is not to be in a directory, or the other one
    ///    was made for tests and this one must not be.
    /// 3. [`ErrorKind::NotAStore`], [`ErrorKind::AlreadyOpen`] and, for a directory with a store, its other errors: as for
    ///    [`open`](Self::open).
    /// 4. [`ErrorKind::StoreExists`]: there is a store already. It is left as it is.
    /// 5. [`ErrorKind::KeyAccessDenied`] and its like: the key provider gives no root key. [`ErrorKind::Storage`].
    pub fn begin_standby(self, seed: &Seed) -> Result<SecretStore> {
        let is_for_tests = seed.sown()?.is_for_tests;
        self.mode(OpenMode::OpenOrCreate).open_by(|maker, place, patience, cache_bytes| {
            let Place::Directory(path) = place else {
                return Err(Error::configuration("only a store in a directory can be made into a standby"));
            };
            if is_for_tests && !maker.is_test_only {
                return Err(Error::configuration(
                    "the store that is to be followed was made for tests, with a predictable clock or random source: \
                     follow it with `test_only(true)`",
                ));
            }
            let directory = Directory::lock(&path, true, patience)?;
            let store = seed.sown()?.position.store;
            if let Found::Store(_) = directory.look()? {
                require_never_filled(maker, &directory, cache_bytes, store)?;
                directory.discard()?;
            }
            // Only now: what was there may have been remembered when it was closed. It is of no use to anybody any more,
            // and what is remembered of it is only the number from which a new one has to count.
            let expected = maker.anchors(None).expected()?;
            Ok((maker.begin_standby(&directory, cache_bytes, seed, expected)?, Some(directory)))
        })
    }
}

/// Refuses to throw away anything but a standby that was never filled.
fn require_never_filled(maker: &Maker, directory: &Directory, cache_bytes: u64, store: Uuid) -> Result<()> {
    let Opened { records, header } = maker.open_directory(directory, cache_bytes)?;
    let was_filled = records.followed().is_none_or(|followed| followed.was_filled());
    let roots = records.roots();
    if let Closed::Now { epoch, is_whole: true } = records.close()? {
        directory.write_seal(&roots.newest, &header.header.instance, epoch, &*maker.entropy)?;
    }
    if was_filled {
        return Err(store_exists());
    }
    if header.header.store != store {
        return Err(Error::replication(ReplicationFault::OtherStore));
    }
    Ok(())
}

fn store_exists() -> Error {
    Error::new(ErrorKind::StoreExists, "there is a store already")
}

impl Maker {
    fn begin_standby(&self, directory: &Directory, cache_bytes: u64, seed: &Seed, epoch: u64) -> Result<Opened> {
        let (header, roots): (Header, _) = self.new_header(seed.sown()?.position.store)?;
        let (batch, head) = first_record(&roots, seed, epoch, &*self.entropy)?;
        self.make(directory, header, roots, cache_bytes, |backend, roots, store| {
            backend.commit(&batch, Durability::Eventual).map_err(storage)?;
            Records::create(self.parts(backend, roots, store, Anchors::default()), None, &head)
        })
    }
}
