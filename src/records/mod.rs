//! Between the model and bytes: typed reads, sealed records, and the changes that a commit is made of.
//!
//! Operations never see a key, a seal or a backend; the backend never sees a name. Index and due entries are never
//! written by operations: they follow from the old and the new state of a secret, in [`indexes`].

pub(crate) mod anchor;
pub(crate) mod backup;
pub(crate) mod catalogue;
pub(crate) mod codec;
mod commit;
pub(crate) mod dump;
pub(crate) mod feed;
mod generations;
pub(crate) mod header;
mod indexes;
pub(crate) mod keys;
pub(crate) mod manifest;
mod opened;
pub(crate) mod portable;
mod replication;
mod rotation;
pub(crate) mod sweep;
pub(crate) mod token;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, FORMAT};
use crate::envelope::root::{RootKeys, Roots};
use crate::envelope::seal::Label;
use crate::envelope::{SealedVersion, VERSION_BYTES_MAX, unopened};
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretName;
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::version::VersionId;
use crate::records::anchor::{Anchors, HeadTag, head_tag, lost};
use crate::records::catalogue::Catalogue;
use crate::records::codec::{CodecError, DueEntry, Head};
use crate::records::commit::Committer;
use crate::records::feed::Feed;
use crate::records::keys::{Family, SecretKey, Task};
use crate::records::opened::OpenedSecrets;
use crate::storage::{Backend, BackendError, BackendStats, Batch, Durability, RECORD_BYTES_MAX, Stored};
use crate::time::Timestamp;

pub(crate) use crate::records::commit::{Outcome, no_more_commits};
pub(crate) use crate::records::generations::Move;

const _: () = assert!(VERSION_BYTES_MAX <= RECORD_BYTES_MAX, "the largest version can be stored");

/// Records that one scan asks for.
const SCAN_RECORDS: usize = 256;

/// The records of a store.
#[derive(Debug)]
pub(crate) struct Records {
    backend: Box<dyn Backend>,
    roots: RwLock<Arc<Roots>>,
    entropy: Arc<dyn Entropy>,
    store: Uuid,
    /// The next revision to hand out. Revisions order changes over the whole store; they need not be contiguous.
    next_revision: AtomicU64,
    /// Set after a failed write: nothing that the backend shows can be believed any more.
    failed: AtomicBool,
    closed: AtomicBool,
    /// The records are known to be those that were acknowledged, or known not to be.
    is_counted: AtomicBool,
    is_disowned: AtomicBool,
    committer: Committer,
    catalogue: Catalogue,
    opened: OpenedSecrets,
    anchors: Anchors,
    feed: Feed,
}

/// What records are made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) roots: Roots,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: Uuid,
    pub(crate) durability: Durability,
    pub(crate) anchors: Anchors,
}

/// A record as it is stored, and the root keys that it is under.
#[derive(Debug)]
pub(crate) struct StoredRecord {
    pub(crate) stored: Stored,
    pub(crate) root: Arc<RootKeys>,
}

/// A secret as it was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) secret: Arc<Secret>,
    pub(crate) key: SecretKey,
    pub(crate) revision: u64,
}

/// What a commit does to one secret.
#[derive(Debug)]
pub(crate) struct SecretChange<'a> {
    /// Where the secret is kept.
    pub(crate) key: &'a SecretKey,
    /// What was read, whatever its state; the commit is refused if it no longer stands.
    pub(crate) old: Option<&'a Loaded>,
    /// What is to be; `None` removes the secret and everything of it.
    pub(crate) new: Option<&'a Secret>,
    /// Versions that were sealed for the new state.
    pub(crate) sealed: &'a [(VersionId, SealedVersion)],
    /// Where the change may add a secret: how many the account and Region may have at this time.
    pub(crate) quota: Option<(u64, Timestamp)>,
}

/// Whether every record is counted before records are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// It is: they must be those that were acknowledged.
    All,
    /// It need not be: they are known to be.
    Known,
    /// It is not, and nobody knows: a record that the engine lost is noticed only by whoever looks for it.
    Unknown,
}

/// What closing found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Everything is durable and given free.
    Now {
        /// Number of the newest commit.
        epoch: u64,
        /// The records are known to be those that were acknowledged.
        is_whole: bool,
    },
    /// It was closed already.
    Before,
}

/// A due entry as it was found.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    /// Its place among the others.
    pub(crate) entry: Vec<u8>,
    found: StoredRecord,
}

impl Records {
    /// Opens the records of an existing store. They are refused if they are not those that were acknowledged.
    ///
    pub(crate) fn open(parts: Parts, count: Count) -> Result<Self> {
        let records = Self::assemble(parts);
        let counted = records.read_head().and_then(|()| match count {
            Count::All => records.check_tally(),
            Count::Known => {
                records.is_counted.store(true, Ordering::Release);
                Ok(())
            }
            Count::Unknown => Ok(()),
        });
        let opened = counted.and_then(|()| records.read_feed());
        match opened {
            Ok(()) => Ok(records),
            Err(error) => {
                // So that the next opener finds the files free. What is wrong is told by the first error.
                let _ = records.close();
                Err(error)
            }
        }
    }

    fn read_head(&self) -> Result<()> {
        let Some(StoredRecord { stored: sealed, .. }) = self.read(&[Family::Head as u8])? else {
            return Err(match self.anchors.expected()? {
                0 => Error::corrupted("the store has a header but no head record: its data is missing"),
                expected => lost(0, expected),
            });
        };
        let head = open_head(&self.roots(), &self.store, sealed.as_ref())?;
        self.anchors.check(head.epoch, &head_tag(sealed.as_ref()))?;
        self.next_revision.store(head.revision.saturating_add(1), Ordering::Relaxed);
        self.committer.set_head(head, head_tag(sealed.as_ref()));
        Ok(())
    }

    /// Begins the records of a new store with a head, and with its header if that is kept among them. What the backend
    /// holds already are the records that the head speaks of. All of it appears in one step.
    pub(crate) fn create(parts: Parts, header: Option<Vec<u8>>, head: &Head) -> Result<Self> {
        let records = Self::assemble(parts);
        let mut batch = Batch::new();
        let head = seal_head(&records.roots().newest, &records.store, &*records.entropy, head)?;
        batch.put(vec![Family::Head as u8], head);
        if let Some(header) = header {
            batch.put(vec![Family::Header as u8], header);
        }
        records.backend.commit(&batch, Durability::Immediate).map_err(storage)?;
        records.read_head()?;
        Ok(records)
    }

    fn assemble(Parts { backend, roots, entropy, store, durability, anchors }: Parts) -> Self {
        Self {
            backend,
            roots: RwLock::new(Arc::new(roots)),
            entropy,
            store,
            next_revision: AtomicU64::new(1),
            failed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            is_counted: AtomicBool::new(false),
            is_disowned: AtomicBool::new(false),
            committer: Committer::new(durability),
            catalogue: Catalogue::default(),
            opened: OpenedSecrets::default(),
            anchors,
            feed: Feed::default(),
        }
    }

    /// Nothing is believed any more until the store is opened again.
    pub(crate) fn poison(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Refuses all work after a failed write, and after closing.
    pub(crate) fn usable(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// The root keys that are in use at this moment.
    pub(crate) fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, key: &[u8]) -> Result<Option<StoredRecord>> {
        self.usable()?;
        let before = self.roots();
        let stored = self.backend.get(key).map_err(|error| self.failed_read(error))?;
        Ok(stored.map(|stored| StoredRecord { stored, root: self.root_of(key, &before) }))
    }

    /// A record that was read while no record could go over to another generation.
    pub(crate) fn steady_record(&self, key: &[u8], stored: Stored) -> StoredRecord {
        StoredRecord { stored, root: self.root_of(key, &self.roots()) }
    }

    /// The root keys of a record that was read after these were looked up: they may have changed meanwhile.
    fn root_of(&self, key: &[u8], before: &Roots) -> Arc<RootKeys> {
        let Some(mark) = keys::mark(key) else { return Arc::clone(&before.newest) };
        match before.of_mark(mark) {
            Some(root) => Arc::clone(root),
            None => {
                let now = self.roots();
                // What is of no generation in use does not authenticate under any.
                Arc::clone(now.of_mark(mark).unwrap_or(&now.newest))
            }
        }
    }

    /// Looks a record up under each generation that is in use.
    ///
    /// A record moves to the next generation in one step. So one that is found under neither, the newest tried last, was
    /// not there, unless the generations in use were others by then.
    fn look_up<T>(&self, mut read: impl FnMut(&RootKeys) -> Result<Option<T>>) -> Result<Option<T>> {
        loop {
            let roots = self.roots();
            let again = roots.former.as_ref().map(|_| &roots.newest);
            for root in roots.each().chain(again) {
                if let Some(found) = read(root)? {
                    return Ok(Some(found));
                }
            }
            if self.roots().newest.generation == roots.newest.generation {
                return Ok(None);
            }
        }
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, StoredRecord)>> {
        self.usable()?;
        let before = self.roots();
        let found = self.backend.scan(prefix, after, SCAN_RECORDS).map_err(|error| self.failed_read(error))?;
        let with_root = |(key, stored): (Vec<u8>, Stored)| {
            let root = self.root_of(&key, &before);
            (key, StoredRecord { stored, root })
        };
        Ok(found.into_iter().map(with_root).collect())
    }

    /// After a panic inside the engine nothing it says is to be believed.
    fn failed_read(&self, error: BackendError) -> Error {
        if matches!(error, BackendError::Panicked { .. }) {
            self.failed.store(true, Ordering::Release);
        }
        storage(error)
    }

    /// Where a new secret of this name is kept.
    ///
    /// `roots` were in use before it was looked for: what was not there then may be there under a newer generation.
    pub(crate) fn key_of(&self, roots: &Roots, tenant: &Tenant, name: &SecretName) -> SecretKey {
        SecretKey::new(&roots.newest.index, tenant, name)
    }

    /// The secret of this name, whatever its state.
    pub(crate) fn load(&self, tenant: &Arc<Tenant>, name: &SecretName) -> Result<Option<Loaded>> {
        let found = self.look_up(|root| {
            let key = SecretKey::new(&root.index, tenant, name);
            Ok(self.read(key.as_bytes())?.map(|found| (key, found)))
        })?;
        let Some((key, found)) = found else { return Ok(None) };
        let loaded = self.open_kept(key, &found, tenant)?;
        if loaded.secret.name != *name || *loaded.secret.tenant != **tenant {
            return Err(misplaced());
        }
        Ok(Some(loaded))
    }

    /// The secret under this very key, whatever its state.
    pub(crate) fn load_by_key(&self, key: &SecretKey) -> Result<Option<Loaded>> {
        match self.read(key.as_bytes())? {
            Some(found) => self.open_found(key.clone(), &found, None).map(Some),
            None => Ok(None),
        }
    }

    /// The sealed value of a version.
    pub(crate) fn load_version(&self, secret: &Secret, id: &VersionId) -> Result<Option<StoredRecord>> {
        self.look_up(|root| self.read(&keys::version(&root.index, &secret.uid, id)))
    }

    /// Every secret of the store, in no particular order.
    pub(crate) fn for_each_secret(&self, mut visit: impl FnMut(Loaded)) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        let mut tenant = None;
        loop {
            let found = self.scan(&[Family::Secret as u8], after.as_deref())?;
            let is_last = found.len() < SCAN_RECORDS;
            for (key, stored) in found {
                let secret_key = SecretKey::from_bytes(&key).ok_or_else(misplaced)?;
                // Neighbours mostly belong to the same account and Region, and then share the record of it.
                let loaded = self.open_found(secret_key, &stored, tenant.as_ref())?;
                tenant = Some(Arc::clone(&loaded.secret.tenant));
                visit(loaded);
                after = Some(key);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The earliest due entries, a few of them, after the one given. They were not opened yet.
    pub(crate) fn due(&self, after: Option<&[u8]>) -> Result<Vec<Due>> {
        let read = |(entry, found): (Vec<u8>, StoredRecord)| {
            let at = keys::due_at(&entry).ok_or_else(|| Error::corrupted("a due entry has no time"))?;
            Ok(Due { at, entry, found })
        };
        self.scan(&[Family::Due as u8], after)?.into_iter().map(read).collect()
    }

    /// The secret that a due entry is about, or why that cannot be told.
    pub(crate) fn due_secret(&self, due: &Due) -> Result<SecretKey> {
        self.open_due(&due.entry, &due.found)
    }

    /// The secret that a due entry is about.
    pub(crate) fn open_due(&self, entry: &[u8], found: &StoredRecord) -> Result<SecretKey> {
        let (_, bytes) = self.open_record(entry, found)?;
        let DueEntry { secret } = codec::decode_due(&bytes).map_err(undecodable)?;
        SecretKey::from_bytes(&secret).ok_or_else(misplaced)
    }

    /// Where the due entries of a secret are.
    pub(crate) fn due_keys<'a>(&self, loaded: &'a Loaded) -> impl Iterator<Item = Vec<u8>> + use<'a> {
        let root = self.root_of(loaded.key.as_bytes(), &self.roots());
        tasks(&loaded.secret).map(move |(at, task)| keys::due(&root.index, at, task, &loaded.key))
    }

    /// Whether there is a record under a key.
    pub(crate) fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.read(key)?.is_some())
    }

    /// The revision that the next change gets.
    pub(crate) fn next_revision(&self) -> u64 {
        self.next_revision.load(Ordering::Relaxed)
    }

    /// Slots of the anchor that were whole when it was opened. Two if there is none.
    pub(crate) fn whole_anchor_slots(&self) -> u8 {
        self.anchors.file.as_ref().map_or(2, |file| file.whole_slots)
    }

    /// Applies a change to one secret: all of it, durably, or nothing.
    pub(crate) fn commit(&self, change: &SecretChange<'_>) -> Result<Outcome> {
        self.writable()?;
        match indexes::change(self, change)? {
            Some(commit) => self.submit(commit),
            None => Ok(Outcome::Stale),
        }
    }

    /// Applies changes to several secrets: all of them, durably, or nothing.
    ///
    /// # Errors
    ///
    /// With the place of the change that cannot be made, 0 if it is about all of them.
    pub(crate) fn commit_together(&self, changes: &[SecretChange<'_>]) -> std::result::Result<Outcome, (usize, Error)> {
        self.writable().map_err(|error| (0, error))?;
        let mut whole: Option<commit::Commit> = None;
        for (index, change) in changes.iter().enumerate() {
            let Some(part) = indexes::change(self, change).map_err(|error| (index, error))? else {
                return Ok(Outcome::Stale);
            };
            let Some(whole) = &mut whole else {
                whole = Some(part);
                continue;
            };
            if !whole.join(part) {
                return Ok(Outcome::Stale);
            }
        }
        whole.map_or(Ok(Outcome::Stale), |whole| self.submit(whole).map_err(|error| (0, error)))
    }

    /// Applies changes to several secrets, each of them wholly or not at all, and waits for all of them at once.
    pub(crate) fn commit_all(&self, changes: &[SecretChange<'_>]) -> Result<Vec<Outcome>> {
        self.writable()?;
        self.submit_some(changes.iter().map(|change| indexes::change(self, change)).collect::<Result<_>>()?)
    }

    /// Applies a change that need not survive a crash and may be lost to a race, and waits for nobody.
    pub(crate) fn note(&self, change: &SecretChange<'_>) -> Result<()> {
        if self.is_standby() {
            return Ok(());
        }
        indexes::change(self, change)?.map_or(Ok(()), |commit| self.submit_note(commit))
    }

    /// Secrets of an account and Region, and their order.
    pub(crate) fn catalogue(&self) -> Result<&Catalogue> {
        self.usable()?;
        self.readable()?;
        self.warm_up()?;
        Ok(&self.catalogue)
    }

    /// Builds the catalogue if it has not been built yet.
    pub(crate) fn warm_up(&self) -> Result<()> {
        self.catalogue.build(|add| self.for_each_secret(add))
    }

    /// Seals a record under its key and a new revision.
    fn seal_record(&self, root: &RootKeys, key: &[u8], revision: u64, plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(8 + crate::envelope::seal::sealed_len(plaintext.len()));
        out.extend_from_slice(&revision.to_be_bytes());
        let ad = ad::record(&self.store, key, revision);
        root.metadata.seal_into(Label::Metadata, ad.as_bytes(), plaintext, &*self.entropy, &mut out)?;
        if out.len() > RECORD_BYTES_MAX {
            return Err(too_large());
        }
        Ok(out)
    }

    /// The revision and the plaintext of a record.
    fn open_record(&self, key: &[u8], found: &StoredRecord) -> Result<(u64, zeroize::Zeroizing<Vec<u8>>)> {
        let (revision, sealed) = split_revision(found.stored.as_ref())?;
        let ad = ad::record(&self.store, key, revision);
        let plaintext = found.root.metadata.open(Label::Metadata, ad.as_bytes(), sealed).map_err(unopened)?;
        Ok((revision, plaintext))
    }

    fn open_secret(&self, key: SecretKey, found: &StoredRecord, tenant: Option<&Arc<Tenant>>) -> Result<Loaded> {
        let (revision, plaintext) = self.open_record(key.as_bytes(), found)?;
        let secret = codec::decode_secret(&plaintext, tenant).map_err(undecodable)?;
        Ok(Loaded { secret: Arc::new(secret), key, revision })
    }

    /// Opens a secret, unless it was opened lately from the very same record.
    fn open_kept(&self, key: SecretKey, found: &StoredRecord, tenant: &Arc<Tenant>) -> Result<Loaded> {
        let stored = found.stored.as_ref();
        if let Some(secret) = self.opened.get(&key, stored) {
            let (revision, _) = split_revision(stored)?;
            return Ok(Loaded { secret, key, revision });
        }
        let loaded = self.open_secret(key, found, Some(tenant))?;
        self.opened.keep(&loaded.key, stored, &loaded.secret);
        Ok(loaded)
    }

    /// Opens a secret of which only the key is known.
    pub(crate) fn open_found(
        &self,
        key: SecretKey,
        found: &StoredRecord,
        tenant: Option<&Arc<Tenant>>,
    ) -> Result<Loaded> {
        let loaded = self.open_secret(key, found, tenant)?;
        let belongs_at = SecretKey::new(&found.root.index, &loaded.secret.tenant, &loaded.secret.name);
        if loaded.key == belongs_at { Ok(loaded) } else { Err(misplaced()) }
    }

    /// Makes every acknowledged change durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.usable()?;
        self.exclusively(|| {
            self.backend.flush().map_err(storage)?;
            self.anchor_newest()
        })
    }

    /// Remembers the newest commit, which has been made durable.
    pub(crate) fn anchor_newest(&self) -> Result<()> {
        let (epoch, tag) = self.newest();
        self.anchors.advance(&self.roots().newest.anchor, epoch, &tag)
    }

    /// Number of all records, those included that are kept for standbys, and the bytes of their keys and values.
    pub(crate) fn live(&self) -> Result<(u64, u64)> {
        let (mut records, mut bytes) = (0, 0);
        let mut after: Option<Vec<u8>> = None;
        loop {
            self.usable()?;
            let found =
                self.backend.scan(&[], after.as_deref(), SCAN_RECORDS).map_err(|error| self.failed_read(error))?;
            records += found.len() as u64;
            bytes += found.iter().map(|(key, value)| (key.len() + value.as_ref().len()) as u64).sum::<u64>();
            if found.len() < SCAN_RECORDS {
                return Ok((records, bytes));
            }
            after = found.into_iter().next_back().map(|(key, _)| key);
        }
    }

    pub(crate) fn stats(&self) -> Result<(Head, BackendStats)> {
        self.usable()?;
        let stats = self.backend.stats().map_err(|error| self.failed_read(error))?;
        Ok((self.committer.head(), stats))
    }

    /// Waits for commits that are under way, and closes the backend. Everything is refused afterwards.
    pub(crate) fn close(&self) -> Result<Closed> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(Closed::Before);
        }
        let mut had_failed = false;
        let closed = self.exclusively(|| {
            // A commit that was under way may have failed meanwhile.
            had_failed = self.failed.load(Ordering::Acquire);
            self.backend.close().map_err(storage)?;
            if had_failed { Ok(()) } else { self.anchor_newest() }
        });
        if had_failed {
            return Err(poisoned());
        }
        let is_whole = self.is_counted.load(Ordering::Acquire) && !self.is_disowned.load(Ordering::Acquire);
        closed.map(|()| Closed::Now { epoch: self.committer.head().epoch, is_whole })
    }

    /// The store's id.
    pub(crate) fn store(&self) -> &Uuid {
        &self.store
    }

    /// The number of the newest commit, and what tells its head from every other.
    pub(crate) fn newest(&self) -> (u64, HeadTag) {
        let (head, tag) = self.committer.head_and_tag();
        (head.epoch, tag)
    }

    /// What the newest commit wrote.
    pub(crate) fn head(&self) -> Head {
        self.committer.head()
    }
}

/// A head as it is stored.
pub(crate) fn seal_head(root: &RootKeys, store: &Uuid, entropy: &dyn Entropy, head: &Head) -> Result<Vec<u8>> {
    let plaintext = codec::encode_head(head).map_err(undecodable)?;
    let mut out = Vec::with_capacity(8 + crate::envelope::seal::sealed_len(plaintext.len()));
    out.extend_from_slice(&head.epoch.to_be_bytes());
    let ad = ad::head(store, head.epoch);
    root.metadata.seal_into(Label::Head, ad.as_bytes(), &plaintext, entropy, &mut out)?;
    Ok(out)
}

/// A head from its stored bytes.
pub(crate) fn open_head(roots: &Roots, store: &Uuid, stored: &[u8]) -> Result<Head> {
    let (epoch, sealed) = split_revision(stored)?;
    let ad = ad::head(store, epoch);
    let open = |root: &RootKeys| root.metadata.open(Label::Head, ad.as_bytes(), sealed).map_err(unopened);
    let plaintext = match &roots.former {
        // Nothing was committed yet since the root key began to be changed.
        Some(former) => open(&roots.newest).or_else(|error| open(former).map_err(|_| error))?,
        None => open(&roots.newest)?,
    };
    codec::decode_head(&plaintext).map_err(undecodable)
}

/// The revision in front of a sealed record.
fn split_revision(stored: &[u8]) -> Result<(u64, &[u8])> {
    let (revision, sealed) =
        stored.split_first_chunk().ok_or_else(|| Error::corrupted("a stored record is cut short"))?;
    Ok((u64::from_be_bytes(*revision), sealed))
}

/// What a caller is told of a backend that failed.
pub(crate) fn storage(error: BackendError) -> Error {
    if matches!(error, BackendError::Closed) {
        return closed();
    }
    Error::new(ErrorKind::Storage, error.to_string()).with_source(error)
}

fn poisoned() -> Error {
    Error::new(ErrorKind::Poisoned, "an earlier write failed; close the store and open it again to learn what it holds")
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
}

fn misplaced() -> Error {
    Error::corrupted("a record holds another secret than its key says")
}

fn too_large() -> Error {
    Error::limit_exceeded(
        "The metadata of the secret is too large: shorten its description, tags, staging labels or resource policy.",
    )
}

fn undecodable(error: CodecError) -> Error {
    match error {
        CodecError::TooLarge => too_large(),
        CodecError::UnknownVersion(found) => {
            let kind = ErrorKind::UnsupportedFormat { found: found.into(), newest: FORMAT };
            Error::new(kind, error.to_string())
        }
        CodecError::Malformed => Error::corrupted("a stored record cannot be decoded"),
    }
    .with_source(error)
}

/// What a due entry is for, seen from the secret.
fn tasks(secret: &Secret) -> impl Iterator<Item = (Timestamp, Task)> {
    let purge = secret.deletion_at.map(|at| (at, Task::Purge));
    let retire = secret.retirement_due().map(|at| (at, Task::Retire));
    let rotate = secret.rotation_due().map(|at| (at, Task::Rotate));
    let replicate = secret.replication_due().map(|at| (at, Task::Replicate));
    purge.into_iter().chain(retire).chain(rotate).chain(replicate)
}
