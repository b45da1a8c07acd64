//! The feed of a store: what each commit changed, kept in the same commit, for standbys that follow.
//!
//! While it is switched on, the leader of a commit adds one record for it to the batch (more, if it is large): what was
//! changed, and the end of the head before, so that commits form a chain. These records are outside the set hash: one that
//! is missing or damaged is noticed by who reads the feed, and costs the store nothing.

mod body;
pub(crate) mod copy;
pub(crate) mod follow;
pub(crate) mod frame;
pub(super) mod pieces;
mod read;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::random_uuid;
use crate::envelope::root::{RootKeys, Roots};
use crate::envelope::seal::{KEY_BYTES, SealingKey};
use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::records::anchor::HeadTag;
use crate::records::codec::{decode, encode};
use crate::records::feed::follow::Followed;
use crate::records::feed::frame::FeedPosition;
use crate::records::keys::{self, Family};
use crate::records::{Records, StoredRecord, storage, undecodable};
use crate::storage::{Batch, Durability};

/// Version of an entry's form.
const ENTRY: u8 = 1;

/// Bytes of a commit that one entry holds.
const PART_BYTES: usize = 64 * 1024;

/// Records that are looked at or removed together.
const STEP_RECORDS: usize = 64;

/// Commits whose entries are removed with one that comes new, where fewer are to be kept than are there.
const TRIMMED_MAX: usize = 16;

fn fault(fault: ReplicationFault) -> Error {
    Error::replication(fault)
}

/// What can be decoded by whoever has the keys, or, of a frame, a seed and a position, by anybody.
#[cfg(any(test, feature = "testing"))]
pub(crate) const DECODED_KINDS: [&str; 7] = ["frame", "seed", "position", "body", "changes", "kept", "standby"];

/// Whether the bytes are of this kind.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn is_decoded(kind: &str, bytes: &[u8]) -> bool {
    match kind {
        "frame" => frame::Changes::from_bytes(bytes).is_ok(),
        "seed" => frame::Seed::from_bytes(bytes).is_ok(),
        "position" => FeedPosition::from_bytes(bytes).is_ok(),
        "body" => body::states(bytes).is_ok(),
        "changes" => pieces::read(bytes).is_some(),
        "kept" => decode::<StoredLog>(bytes).is_ok(),
        "standby" => Followed::decode(Uuid::nil(), bytes).is_ok(),
        _ => false,
    }
}

/// What a store knows of its feed, and of the one that it follows.
#[derive(Debug, Default)]
pub(super) struct Feed {
    log: RwLock<Log>,
    keeps: AtomicBool,
    /// What a standby follows, or followed until it was promoted.
    followed: RwLock<Option<Arc<Followed>>>,
    role: AtomicU8,
    /// Held by whoever applies changes, promotes, or switches.
    work: Mutex<()>,
}

/// Whether a store keeps changes.
#[derive(Debug, Default)]
enum Log {
    #[default]
    Off,
    On(Arc<KeptLog>),
    /// It does, and how cannot be read.
    Damaged,
}

/// The changes that a store keeps.
#[derive(Debug)]
struct KeptLog {
    feed: Uuid,
    key: SealingKey,
    commits_max: AtomicU64,
    /// The first commit that is kept. If it is above the newest, none is.
    oldest: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct StoredLog {
    feed: [u8; 16],
    key: [u8; KEY_BYTES],
    commits_max: u64,
}

impl Drop for StoredLog {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// What the commit that was just made has left of the changes that are kept.
pub(super) struct Trimmed {
    log: Arc<KeptLog>,
    oldest: u64,
}

impl Trimmed {
    pub(super) fn was_committed(self) {
        self.log.oldest.fetch_max(self.oldest, Ordering::Relaxed);
    }
}

/// How many changes a store keeps, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptChanges {
    /// Commits that are kept at most.
    pub commits_max: u64,
    /// The first commit that is kept. If it is above the newest, none is.
    pub oldest: u64,
    /// The newest commit of the store.
    pub newest: u64,
}

impl Records {
    /// Reads whether the store keeps changes, and whether it follows another one.
    pub(super) fn read_feed(&self) -> Result<()> {
        self.read_followed()?;
        let found = self.look_up(|root| {
            let key = keys::change_log(&root.index);
            Ok(self.read(&key)?.map(|record| (key, record)))
        })?;
        let Some((key, record)) = found else { return Ok(()) };
        let log = match self.open_log(&key, &record) {
            Ok(log) => {
                log.oldest.store(self.oldest_entry()?, Ordering::Relaxed);
                Log::On(Arc::new(log))
            }
            // That costs a standby, and no secret.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. }) => {
                Log::Damaged
            }
            Err(error) => return Err(error),
        };
        self.set_log(log);
        Ok(())
    }

    fn open_log(&self, key: &[u8], record: &StoredRecord) -> Result<KeptLog> {
        let (_, bytes) = self.open_record(key, record)?;
        let stored: StoredLog = decode(&bytes).map_err(undecodable)?;
        Ok(KeptLog {
            feed: Uuid::from_bytes(stored.feed),
            key: SealingKey::new(&stored.key),
            commits_max: AtomicU64::new(stored.commits_max),
            oldest: AtomicU64::new(u64::MAX),
        })
    }

    /// The oldest commit of which anything is kept.
    fn oldest_entry(&self) -> Result<u64> {
        self.roots().each().map(|root| self.oldest_of(root)).try_fold(u64::MAX, |oldest, of| Ok(oldest.min(of?)))
    }

    /// The oldest commit of which anything is kept under a generation. The next one, if nothing is.
    fn oldest_of(&self, root: &RootKeys) -> Result<u64> {
        let next = self.head().epoch.saturating_add(1);
        let settings = keys::change_log(&root.index);
        let found = self.backend.scan(&settings, Some(&settings), 1).map_err(|error| self.failed_read(error))?;
        Ok(found.first().and_then(|(key, _)| keys::change_epoch(key)).unwrap_or(next).min(next))
    }

    fn set_log(&self, log: Log) {
        let mut now = self.feed.log.write().unwrap_or_else(PoisonError::into_inner);
        self.feed.keeps.store(matches!(log, Log::On(_)), Ordering::Release);
        *now = log;
    }

    /// Whether commits have to say what they change.
    pub(super) fn keeps_changes(&self) -> bool {
        self.feed.keeps.load(Ordering::Acquire)
    }

    fn log(&self) -> Result<Option<Arc<KeptLog>>> {
        match &*self.feed.log.read().unwrap_or_else(PoisonError::into_inner) {
            Log::Off => Ok(None),
            Log::On(log) => Ok(Some(Arc::clone(log))),
            Log::Damaged => Err(fault(ReplicationFault::LogDamaged { epoch: self.head().epoch })),
        }
    }

    fn feed_work(&self) -> MutexGuard<'_, ()> {
        self.feed.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the batch of a commit what is kept of it, and takes away what is kept no longer. Called by whoever commits,
    /// who says so when it is committed.
    pub(super) fn log_changes<'a>(
        &self,
        roots: &Roots,
        epoch: u64,
        told: impl Iterator<Item = &'a [u8]>,
        batch: &mut Batch,
    ) -> Result<Option<Trimmed>> {
        if !self.keeps_changes() {
            return Ok(None);
        }
        let Ok(Some(log)) = self.log() else { return Ok(None) };
        let (_, previous) = self.committer.head_and_tag();
        let stream: Vec<u8> = told.flatten().copied().collect();
        let (first, rest) = stream.split_at(stream.len().min(PART_BYTES));
        let parts = rest.len().div_ceil(PART_BYTES).saturating_add(1);
        let count = u32::try_from(parts).map_err(|_| super::too_large())?;
        let mut head = vec![ENTRY];
        head.extend_from_slice(&count.to_be_bytes());
        head.extend_from_slice(&previous);
        head.extend_from_slice(first);
        let root = &roots.newest;
        for (sequence, part) in (0..).zip(std::iter::once(head.as_slice()).chain(rest.chunks(PART_BYTES))) {
            let key = keys::change(root.index.mark, epoch, sequence);
            let sealed = self.seal_record(root, &key, epoch, part)?;
            batch.put(key, sealed);
        }
        let mut oldest = log.oldest.load(Ordering::Relaxed);
        let commits_max = log.commits_max.load(Ordering::Relaxed);
        for _ in 0..TRIMMED_MAX {
            if epoch.saturating_sub(oldest) < commits_max {
                break;
            }
            self.trim(roots, oldest, batch)?;
            oldest = oldest.saturating_add(1);
        }
        Ok(Some(Trimmed { log, oldest }))
    }

    /// Removes the entries of a commit.
    fn trim(&self, roots: &Roots, oldest: u64, batch: &mut Batch) -> Result<()> {
        for root in roots.each() {
            let prefix = keys::changes_of(root.index.mark, oldest);
            let mut after: Option<Vec<u8>> = None;
            loop {
                let found = self.backend.scan(&prefix, after.as_deref(), STEP_RECORDS);
                let found = found.map_err(|error| self.failed_read(error))?;
                let is_last = found.len() < STEP_RECORDS;
                after = found.last().map(|(key, _)| key.clone());
                found.into_iter().for_each(|(key, _)| batch.remove(key));
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is kept. `None`: nothing.
    pub(crate) fn kept_changes(&self) -> Result<Option<KeptChanges>> {
        self.usable()?;
        Ok(self.log()?.map(|log| KeptChanges {
            commits_max: log.commits_max.load(Ordering::Relaxed),
            oldest: log.oldest.load(Ordering::Relaxed),
            newest: self.head().epoch,
        }))
    }

    /// Keeps what the next commits change, or another number of them. Gives where the store is.
    ///
    /// No record may go to another generation meanwhile.
    pub(crate) fn keep_changes(&self, instance: Uuid, commits_max: u64) -> Result<FeedPosition> {
        self.usable()?;
        self.writable()?;
        if commits_max == 0 {
            return Err(Error::configuration("a store that keeps no commits keeps no changes"));
        }
        let _work = self.feed_work();
        let position = |feed, (epoch, tag)| FeedPosition { store: self.store, instance, feed, epoch, tag };
        let Some(log) = self.log().unwrap_or_default() else {
            // Nothing of an earlier feed may be taken for a part of this one.
            self.remove_entries(&[Family::Change as u8])?;
            let (feed, newest) = self.begin_feed(commits_max)?;
            return Ok(position(feed, newest));
        };
        let stored = StoredLog { feed: *log.feed.as_bytes(), key: *log.key.expose(), commits_max };
        let batch = self.log_record(&self.roots(), &stored)?;
        let newest = self.commit_log(&batch, |_| log.commits_max.store(commits_max, Ordering::Relaxed))?;
        Ok(position(log.feed, newest))
    }

    /// Begins a feed with a key of its own, in the place of the one that there is. Gives its id, and where the store is.
    fn begin_feed(&self, commits_max: u64) -> Result<(Uuid, (u64, HeadTag))> {
        let feed = random_uuid(&*self.entropy)?;
        let key = SealingKey::fill(|bytes| self.entropy.fill(bytes)).map_err(Error::from)?;
        let stored = StoredLog { feed: *feed.as_bytes(), key: *key.expose(), commits_max };
        let batch = self.log_record(&self.roots(), &stored)?;
        let newest = self.commit_log(&batch, |epoch| {
            let oldest = AtomicU64::new(epoch.saturating_add(1));
            self.set_log(Log::On(Arc::new(KeptLog { feed, key, commits_max: commits_max.into(), oldest })));
        })?;
        Ok((feed, newest))
    }

    /// Writes how changes are kept, between two commits, of which the one before is durable then.
    fn commit_log(&self, batch: &Batch, done: impl FnOnce(u64)) -> Result<(u64, HeadTag)> {
        let mut newest = Default::default();
        self.exclusively(|| {
            self.backend.commit(batch, Durability::Immediate).map_err(storage)?;
            // Whatever was committed before is durable now too.
            self.anchor_newest()?;
            newest = self.newest();
            done(newest.0);
            Ok(())
        })?;
        Ok(newest)
    }

    /// Begins another feed if there is one, so that nobody who has the key of that can open or follow what comes. What was kept
    /// of commits goes with the root key that it is under.
    pub(crate) fn renew_feed(&self) -> Result<()> {
        let _work = self.feed_work();
        match self.log() {
            Ok(Some(log)) => self.begin_feed(log.commits_max.load(Ordering::Relaxed)).map(drop),
            _ => Ok(()),
        }
    }

    fn log_record(&self, roots: &Roots, stored: &StoredLog) -> Result<Batch> {
        let key = keys::change_log(&roots.newest.index);
        let plaintext = Zeroizing::new(encode(stored).map_err(undecodable)?);
        let sealed = self.seal_record(&roots.newest, &key, self.head().epoch, &plaintext)?;
        let mut batch = Batch::new();
        batch.put(key, sealed);
        Ok(batch)
    }

    /// Keeps no changes any more, and forgets those that were kept.
    pub(crate) fn stop_keeping_changes(&self) -> Result<()> {
        self.usable()?;
        let _work = self.feed_work();
        let mut batch = Batch::new();
        self.roots().each().for_each(|root| batch.remove(keys::change_log(&root.index)));
        self.exclusively(|| {
            self.set_log(Log::Off);
            self.backend.commit(&batch, Durability::Immediate).map_err(storage)
        })?;
        self.remove_entries(&[Family::Change as u8])
    }

    /// Removes what is outside the set hash and begins like this, some at a time.
    fn remove_entries(&self, prefix: &[u8]) -> Result<()> {
        loop {
            let mut is_empty = true;
            self.exclusively(|| {
                let found = self.backend.scan(prefix, None, STEP_RECORDS).map_err(|error| self.failed_read(error))?;
                is_empty = found.is_empty();
                let mut batch = Batch::new();
                found.into_iter().for_each(|(key, _)| batch.remove(key));
                if is_empty { Ok(()) } else { self.backend.commit(&batch, Durability::Eventual).map_err(storage) }
            })?;
            if is_empty {
                return Ok(());
            }
        }
    }

    /// Brings what is under the former generation over to the newest, but for what was kept of commits: that begins with the
    /// newest generation.
    pub(crate) fn move_feed(&self) -> Result<()> {
        let _work = self.feed_work();
        let roots = self.roots();
        let Some(former) = &roots.former else { return Ok(()) };
        self.move_followed(&roots)?;
        let former_log = keys::change_log(&former.index);
        if let Ok(Some(log)) = self.log()
            && self.has(&former_log)?
        {
            let commits_max = log.commits_max.load(Ordering::Relaxed);
            let stored = StoredLog { feed: *log.feed.as_bytes(), key: *log.key.expose(), commits_max };
            let mut batch = self.log_record(&roots, &stored)?;
            batch.remove(former_log.clone());
            self.exclusively(|| self.backend.commit(&batch, Durability::Immediate).map_err(storage))?;
        }
        if let Ok(Some(log)) = self.log() {
            // Before anything is removed, so that whoever misses it knows why.
            log.oldest.fetch_max(self.oldest_of(&roots.newest)?, Ordering::Relaxed);
        }
        self.remove_entries(&former_log)
    }

    /// Some of the records of the feed, as they are stored, after the one given. None, if the store keeps no changes: what
    /// is left then is what nobody came to remove.
    pub(crate) fn feed_records(&self, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if matches!(self.log(), Ok(None)) {
            return Ok(Vec::new());
        }
        let found = self.scan(&[Family::Change as u8], after)?;
        Ok(found.into_iter().map(|(key, found)| (key, found.stored.as_ref().to_vec())).collect())
    }

    /// Where the end of the head of a commit is known from, if it is known.
    fn tag_of(&self, epoch: u64, (newest, tag): (u64, HeadTag)) -> Result<HeadTag> {
        if epoch == newest { Ok(tag) } else { Ok(self.entries_of(epoch.saturating_add(1))?.previous) }
    }
}
