//! Salvage: what can still be read of a damaged store, made into a new one.
//!
//! Two readers are asked, both about a copy: the engine, in a process that may fail, and a reader of its files that
//! believes nothing of them but what authenticates. Secrets are put into the new store one by one, as their owner would
//! have made them, so that indexes, due entries, counts and the set hash of the new store are right whatever the old ones
//! were.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::entropy::random_uuid;
use crate::envelope::root::Roots;
use crate::envelope::{Envelope, Identity, SealedVersion, StoredVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::model::secret::Secret;
use crate::model::version::VersionId;
use crate::records::anchor::{AnchorFile, Anchors};
use crate::records::codec::Head;
use crate::records::dump::{self, Dump};
use crate::records::feed::follow::Stage;
use crate::records::header::Header;
use crate::records::keys::{self, Family, SecretKey};
use crate::records::manifest::{SetHash, Tally};
use crate::records::sweep::{disagreement, is_outside};
use crate::records::{Loaded, Parts, Records, SecretChange, StoredRecord, no_more_commits, open_head, storage};
use crate::storage::carve::{Carved, Shape};
use crate::storage::sled::{SEGMENT_BYTES, SledBackend};
use crate::storage::{Backend, Durability, Stored};
use crate::store::SecretStore;
use crate::store::backup::{EPOCH_STRIDE, cannot, new_place};
use crate::store::builder::{Builder, Maker, OpenMode};
use crate::store::directory;
use crate::store::progress::{Meter, Progress};
use crate::store::verify::{Finding, FindingKind, Findings, hexadecimal, is_key_at_fault, shown};

/// The engine's page cache while it reads a damaged copy.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How often the process of the engine's reader is looked at, and for how many looks it may give nothing new.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const IDLE_LOOKS_MAX: u32 = 3_000;

/// Holes of a file that are copied.
const HOLES_MAX: u64 = 256 * 1024 * 1024;

/// What is copied at once. Where the medium cannot be read, this much is left out.
const BLOCK_BYTES: usize = 4096;

/// What [`Builder::salvage`] brought into the new store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Whether everything that was acknowledged is there: nothing is missing, and nothing is older than it was.
    pub is_whole: bool,
    /// Number of the newest commit of which the head was found. 0: none was.
    pub epoch: u64,
    /// Number of the newest commit that was acknowledged, as far as the anchor tells. 0: it does not.
    pub expected_epoch: u64,
    /// Secrets in the new store.
    pub secrets: u64,
    /// Versions with a value in the new store.
    pub versions: u64,
    /// Values among them that were not opened, because their key cannot be used now.
    pub closed_values: u64,
    /// What is missing. The first 10,000.
    pub findings: Vec<Finding>,
    /// How much is missing, what is not listed included.
    pub findings_total: u64,
}

impl SecretStore {
    /// Reads everything that the storage engine gives of its files in a directory, and writes it to a new file.
    ///
    /// This is the part of [`Builder::salvage`] that may fail in any way: the engine repairs its files as it thinks right,
    /// and may panic or hang. A program that salvages runs itself once more for it. Nothing that is written is readable
    /// without the store's key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`]: the engine refused the files, panicked, or the file cannot be written. What was written is of
    /// use all the same.
    pub fn read_engine_files(directory: impl AsRef<Path>, out: impl AsRef<Path>) -> Result<u64> {
        let directory = directory.as_ref();
        if !SledBackend::is_there(directory) {
            // The engine would make what is missing anew.
            let text = format!("`{}` does not hold the engine's files", directory.display());
            return Err(Error::new(ErrorKind::Storage, text));
        }
        let out = files::create_private(out.as_ref()).map_err(cannot("write", out.as_ref()))?;
        let backend = SledBackend::open(directory, CACHE_BYTES).map_err(storage)?;
        dump::write(&backend, out).map_err(storage)
    }
}

impl Builder {
    /// Makes a store of everything that authenticates in a damaged one, in a directory that holds none, and opens it.
    ///
    /// `source` is the damaged store's directory. Nothing in it is changed, and nobody may have it open. Its header has to
    /// be readable, in one of its two copies, and the key provider must be one that opens it: without the header nothing
    /// of a store can be read.
    ///
    /// Of every secret the newest record that authenticates is taken, with every version whose value authenticates; the
    /// rest is listed in the report. Where the newest records are lost, secrets may be older than they were. If what is
    /// left is exactly what was acknowledged, the report says so. Of a standby that was not promoted it never does: the new
    /// store is an ordinary one. Commits of the new store are numbered far above those of
    /// the old one.
    ///
    /// `reader` is a command that calls [`SecretStore::read_engine_files`] with the two paths that it is given as its last
    /// arguments. Without it, that is called in this process, which a panic does not end, but an abort or a hang of the
    /// engine would.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Configuration`], [`ErrorKind::NotAStore`], [`ErrorKind::StoreExists`]: as for
    ///    [`restore`](Self::restore).
    /// 2. [`ErrorKind::NotAStore`]: there is no store in `source`. [`ErrorKind::AlreadyOpen`]: it is open.
    /// 3. [`ErrorKind::Corrupted`], [`ErrorKind::UnsupportedFormat`]: both copies of its header are damaged, or newer, or there
    ///    is no log.
    /// 4. [`ErrorKind::WrongKey`] and its like: as for [`open`](Self::open).
    /// 5. [`ErrorKind::Storage`]: something cannot be read or written.
    pub fn salvage(
        self,
        source: impl AsRef<Path>,
        reader: Option<Command>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(SecretStore, SalvageReport)> {
        let source = source.as_ref();
        let mut report = SalvageReport::default();
        let store = self.mode(OpenMode::OpenOrCreate).open_by(|maker, place, patience, cache_bytes| {
            let directory = new_place(place, patience)?;
            let _lock = directory::lock_for_reading(source)?;
            let (header, roots) = maker.open_header(Header::read(&directory::read_header(source)?)?)?;
            let anchor = directory::read_anchor(source, &roots, &header.instance).ok();
            let sealed = directory::read_sealed_epoch(source, &roots.newest, &header.instance);
            let remembered = [anchor.as_ref().map(AnchorFile::epoch), sealed, Some(maker.anchors(None).expected()?)];
            report.expected_epoch = remembered.into_iter().flatten().max().unwrap_or(0);
            let is_anchored = anchor.is_some();

            let scratch = directory.begin_salvage()?;
            let found = Found::read(&directory::records_of(source), &scratch, reader, progress)?;
            let salvage = Salvage { maker, roots: &roots, header: &header, found: &found, is_anchored };
            let new_header = Header { instance: random_uuid(&*maker.entropy)?, former: Vec::new(), ..header.clone() };
            // Whatever is saved is sealed under the newest generation.
            let new_roots = roots.without_former();
            let opened = maker.make(&directory, new_header, new_roots, cache_bytes, |backend, roots, _| {
                salvage.fill(backend, roots, &mut report, progress)
            })?;
            directory.end_salvage()?;
            Ok((opened, Some(directory)))
        })?;
        Ok((store, report))
    }
}

/// What both readers found.
struct Found {
    engine: Option<Dump>,
    carved: Carved,
    /// Parts of the files that the medium did not give.
    unread_blocks: u64,
}

impl Found {
    fn read(
        records: &Path,
        scratch: &Path,
        reader: Option<Command>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        if !SledBackend::has_log(records) {
            let text = format!("`{}` holds no log of the engine: nothing can be salvaged", records.display());
            return Err(Error::corrupted(format!("{text}, and only a backup helps")));
        }
        // The engine changes the files that it reads, so each reader has a copy of its own.
        let (raw, of_the_engine) = (scratch.join("raw"), scratch.join("engine"));
        let mut unread_blocks = 0;
        for copy in [&raw, &of_the_engine] {
            files::create_private_directory(copy).map_err(cannot("make", copy))?;
            unread_blocks = copy_readable(records, copy).map_err(cannot("copy", records))?;
        }
        let dump = scratch.join("dump");
        let engine = ask_engine(&of_the_engine, &dump, reader).then(|| Dump::open(&dump).ok()).flatten();
        let mut meter = Meter::new("searching the files", 0, progress);
        let shape = Shape { segment_bytes: SEGMENT_BYTES, is_key: keys::is_key };
        let carved = Carved::read(&raw, shape, &mut |done, total| meter.reach_of(done, total));
        meter.finish();
        Ok(Self { engine, carved: carved.map_err(cannot("read", records))?, unread_blocks })
    }

    /// Every value of a key that anybody found, the likeliest first.
    fn values(&self, key: &[u8], view: View) -> Vec<Vec<u8>> {
        let engine = || self.engine.as_ref().and_then(|dump| dump.value(key).ok().flatten());
        let carved = || self.carved.values(key).flatten();
        match view {
            View::Engine => engine().into_iter().collect(),
            View::Carved => carved().take(1).collect(),
            View::Both => engine().into_iter().chain(carved()).collect(),
        }
    }

    /// Keys that were there at the end, as far as anybody can tell.
    fn keys(&self, view: View) -> BTreeSet<Vec<u8>> {
        let engine = self.engine.iter().flat_map(Dump::keys);
        match view {
            View::Engine => engine.map(<[u8]>::to_vec).collect(),
            View::Carved => {
                self.carved.keys().filter(|(_, is_removed)| !is_removed).map(|(key, _)| key.to_vec()).collect()
            }
            View::Both => {
                let mut keys: BTreeSet<_> = engine.map(<[u8]>::to_vec).collect();
                for (key, is_removed) in self.carved.keys() {
                    // Whoever reads the files sees further than an engine that stops at the first damage.
                    if is_removed {
                        keys.remove(key)
                    } else {
                        keys.insert(key.to_vec())
                    };
                }
                keys
            }
        }
    }
}

/// Whose word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// The engine's alone: what it gave is whole.
    Engine,
    /// That of the reader of the files alone: what it found is whole.
    Carved,
    /// Neither is whole.
    Both,
}

struct Salvage<'a> {
    maker: &'a Maker,
    roots: &'a Roots,
    header: &'a Header,
    found: &'a Found,
    /// Somebody can tell which commit was acknowledged last.
    is_anchored: bool,
}

impl Salvage<'_> {
    /// The newest head, and whose word counts.
    fn view(&self, expected_epoch: u64) -> (Option<Head>, View) {
        let heads = |view| {
            let values = self.found.values(&[Family::Head as u8], view);
            values
                .iter()
                .filter_map(|stored| open_head(self.roots, &self.header.store, stored).ok())
                .collect::<Vec<_>>()
        };
        let newest = heads(View::Both).into_iter().max_by_key(|head| head.epoch);
        let least = newest.map_or(0, |head| head.epoch).max(expected_epoch);
        let is_whole = |view: View| {
            let is_ended = view != View::Engine || self.found.engine.as_ref().is_some_and(|dump| dump.is_whole);
            let head = heads(view).into_iter().next().filter(|head| head.epoch >= least);
            is_ended && head.is_some_and(|head| disagreement(&head, self.tally(view)).is_none())
        };
        let view = [View::Engine, View::Carved].into_iter().find(|view| is_whole(*view));
        (newest, view.unwrap_or(View::Both))
    }

    fn tally(&self, view: View) -> Tally {
        let mut tally = Tally::default();
        for key in self.found.keys(view).iter().filter(|key| !is_outside(key)) {
            for value in self.found.values(key, view).iter().take(1) {
                tally.add(SetHash::of_record(self.roots, key, value));
            }
        }
        tally
    }

    fn fill(
        &self,
        backend: Box<dyn Backend>,
        roots: &Roots,
        report: &mut SalvageReport,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Records> {
        let (head, view) = self.view(report.expected_epoch);
        report.epoch = head.map_or(0, |head| head.epoch);
        report.is_whole = view != View::Both;
        let known = self.maker.anchors(None).expected()?.max(report.epoch).max(report.expected_epoch);
        let new_head = Head {
            epoch: known.checked_add(EPOCH_STRIDE).ok_or_else(no_more_commits)?,
            revision: head.map_or(0, |head| head.revision),
            ..Head::default()
        };
        let parts = self.maker.parts(backend, roots, self.header.store, Anchors::default());
        let records = Records::create(Parts { durability: Durability::Eventual, ..parts }, None, &new_head)?;
        let envelope = self.maker.envelope(self.header);
        let keys = self.found.keys(view);
        let of = |family: Family| keys.iter().filter(move |key| key.first() == Some(&(family as u8)));
        // A secret that has moved to the newest generation is there twice if its old place is still seen.
        let is_moved = |key: &&Vec<u8>| keys::mark(key) == Some(roots.newest.index.mark);
        let (moved, others): (Vec<_>, Vec<_>) = of(Family::Secret).partition(is_moved);
        let mut findings = Findings::default();
        let mut meter = Meter::new("saving secrets", of(Family::Secret).count() as u64, progress);
        for key in moved.into_iter().chain(others) {
            meter.advance(1);
            match self.newest(&records, key, view) {
                Some(Loaded { secret, .. }) if records.load(&secret.tenant, &secret.name)?.is_some() => {}
                Some(loaded) => self.save(&records, &envelope, &loaded, view, report, &mut findings)?,
                None => findings.add(
                    FindingKind::Record,
                    hexadecimal(key),
                    "nothing under the key of this secret authenticates: it is lost, or it never was",
                ),
            }
        }
        meter.finish();
        if let Some(head) = head
            && head.secrets != report.secrets
        {
            let text = format!("{} are here, and there were {} at commit {}", report.secrets, head.secrets, head.epoch);
            findings.add(FindingKind::Count, "secrets", text);
        }
        if head.is_none() {
            findings.add(FindingKind::Record, "head", "no head authenticates: nobody knows how much there was");
        }
        if report.epoch < report.expected_epoch {
            let text =
                format!("the newest is number {}, and number {} was acknowledged", report.epoch, report.expected_epoch);
            findings.add(FindingKind::SetHash, "commits", text);
        }
        if let Some(what) = self.standby(&records, of(Family::Standby), view) {
            findings.add(FindingKind::Store, "standby", what);
        }
        let values = of(Family::Version).count() as u64;
        if values > report.versions {
            let text = format!("{} are left that belong to no secret that is here", values - report.versions);
            findings.add(FindingKind::Orphan, "values", text);
        }
        if !report.is_whole {
            let places = match self.found.carved.damaged_places() + self.found.unread_blocks {
                0 => String::new(),
                places => format!("; the files have {places} damaged places"),
            };
            let text = format!("what is here is not all that was acknowledged, or not all as new{places}");
            findings.add(FindingKind::SetHash, "all records", text);
        }
        if !self.is_anchored {
            findings.add(
                FindingKind::Store,
                "store.anchor",
                "is missing or damaged: nobody knows what was acknowledged last",
            );
        }
        report.is_whole &= findings.total == 0;
        (report.findings, report.findings_total) = (findings.list, findings.total);
        Ok(records)
    }

    /// What is to be said of a store that followed another one, which the new one does not.
    fn standby<'k>(
        &self,
        records: &Records,
        keys: impl Iterator<Item = &'k Vec<u8>>,
        view: View,
    ) -> Option<&'static str> {
        let mut newest = None;
        for key in keys {
            let Some(root) = keys::mark(key).and_then(|mark| self.roots.of_mark(mark)) else { continue };
            let record = |value| StoredRecord { stored: Stored::new(value), root: Arc::clone(root) };
            let stages =
                self.found.values(key, view).into_iter().map(|value| records.stage_of(key, &record(value)).ok());
            newest = stages.max_by_key(|found| found.map(|(revision, _)| revision)).or(newest);
        }
        match newest? {
            Some((_, Stage::Promoted)) => None,
            Some((_, Stage::Following)) => Some("it was a standby, and the new store follows nobody"),
            Some((_, Stage::Copying { .. } | Stage::CatchingUp { .. })) => {
                Some("it was a standby that was being filled: what it held was never all that the other store had")
            }
            None => Some("it was a standby once, and how far it was cannot be read"),
        }
    }

    /// The newest record of a secret that authenticates.
    fn newest(&self, records: &Records, key: &[u8], view: View) -> Option<Loaded> {
        let secret_key = SecretKey::from_bytes(key)?;
        let values = self.found.values(key, view);
        let root = Arc::clone(keys::mark(key).and_then(|mark| self.roots.of_mark(mark))?);
        let record = |value| StoredRecord { stored: Stored::new(value), root: Arc::clone(&root) };
        let open = |record: StoredRecord| records.open_found(secret_key.clone(), &record, None).ok();
        values.into_iter().map(record).filter_map(open).max_by_key(|loaded| loaded.revision)
    }

    fn save(
        &self,
        records: &Records,
        envelope: &Envelope,
        loaded: &Loaded,
        view: View,
        report: &mut SalvageReport,
        findings: &mut Findings,
    ) -> Result<()> {
        let mut secret = Secret::clone(&loaded.secret);
        let mut sealed = Vec::new();
        let mut lost: Vec<VersionId> = Vec::new();
        for version in secret.versions.iter().filter(|version| version.has_value()) {
            match self.value_of(envelope, &secret, &version.id, view) {
                Some((version_sealed, is_opened)) => {
                    report.closed_values += u64::from(!is_opened);
                    sealed.push((version.id.clone(), version_sealed));
                }
                None => lost.push(version.id.clone()),
            }
        }
        for id in lost {
            let text = format!("the value of version {} is lost", id.as_str());
            findings.add(FindingKind::Version, shown(&secret), text);
            // The version stays, as one that has no value: its labels and its date are still known.
            if let Some(version) = secret.version_mut(&id) {
                version.content = None;
            }
        }
        if let Some(fault) = secret.inconsistency() {
            findings.add(FindingKind::Labels, shown(&secret), fault);
        }
        let key = records.key_of(&records.roots(), &secret.tenant, &secret.name);
        let change = SecretChange { key: &key, old: None, new: Some(&secret), sealed: &sealed, quota: None };
        records.commit(&change)?;
        report.secrets += 1;
        report.versions += sealed.len() as u64;
        Ok(())
    }

    /// The stored value of a version, if any that was found authenticates, and whether it was opened.
    fn value_of(
        &self,
        envelope: &Envelope,
        secret: &Secret,
        id: &VersionId,
        view: View,
    ) -> Option<(SealedVersion, bool)> {
        let content = secret.version(id)?.content.as_ref()?;
        let identity = Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version: id };
        let mut closed = None;
        for root in self.roots.each() {
            for record in self.found.values(&keys::version(&root.index, &secret.uid, id), view) {
                let current = &secret.kms_key_id;
                let stored = StoredVersion { root, identity, current, content, record: &record };
                // Fails for whatever does not authenticate.
                let Ok(moved) = envelope.reseal(&stored, self.roots) else { continue };
                match envelope.open(&stored) {
                    Ok(_) => return Some((moved, true)),
                    Err(error) if is_key_at_fault(&error) => _ = closed.get_or_insert(moved),
                    Err(_) => {}
                }
            }
        }
        closed.map(|version| (version, false))
    }
}

/// Has the engine read its files. Whether it gave anything.
fn ask_engine(directory: &Path, dump: &Path, reader: Option<Command>) -> bool {
    let Some(mut command) = reader else {
        // What it gave before it failed is of use too.
        let _ = SecretStore::read_engine_files(directory, dump);
        return dump.exists();
    };
    command.args([directory, dump]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let (mut idle, mut bytes) = (0, 0);
    while let Ok(None) = child.try_wait() {
        thread::sleep(LOOK_EVERY);
        let now = fs::metadata(dump).map_or(0, |about| about.len());
        idle = if now == bytes { idle + 1 } else { 0 };
        bytes = now;
        if idle > IDLE_LOOKS_MAX {
            let _ = child.kill();
        }
    }
    dump.exists()
}

/// Copies the files of a directory, as far as they can be read. Gives the blocks that cannot.
fn copy_readable(from: &Path, to: &Path) -> io::Result<u64> {
    let mut unread = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            unread += copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(unread)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = files::open_regular(from, false)?;
    let about = source.metadata()?;
    // What is mostly a hole is longer than it ever was: the end of it is left out.
    let is_absurd = files::holes(&about) > HOLES_MAX;
    let bytes = if is_absurd { (about.len() - files::holes(&about)).saturating_add(HOLES_MAX) } else { about.len() };
    let mut target = io::BufWriter::new(files::create_private(to)?);
    let mut block = vec![0; BLOCK_BYTES];
    let (mut done, mut unread) = (0, u64::from(is_absurd));
    while done < bytes {
        let length = usize::try_from(bytes - done).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let part = block.get_mut(..length).unwrap_or_default();
        if source.read_exact(part).is_err() {
            part.fill(0);
            unread += 1;
            io::Seek::seek(&mut source, io::SeekFrom::Start(done + length as u64))?;
        }
        target.write_all(part)?;
        done += length as u64;
    }
    target.flush()?;
    Ok(unread)
}
