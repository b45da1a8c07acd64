//! Compaction: a fresh set of engine files with live records only, in the place of the old one.

use std::path::Path;

use crate::envelope::root::Roots;
use crate::error::{Error, ErrorKind, Result};
use crate::records::keys::Family;
use crate::records::manifest::Tally;
use crate::records::sweep::{disagreement, tally_of};
use crate::records::{Closed, Records, storage};
use crate::storage::sled::SledBackend;
use crate::storage::{Backend as _, Batch, Durability};
use crate::store::backup::BATCH_BYTES;
use crate::store::builder::{Builder, OpenMode, Opened, Place};
use crate::store::directory::Directory;
use crate::store::progress::{Meter, Progress};
use crate::store::space::SpaceUse;

/// What [`Builder::compact`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Whether the files were compacted. Otherwise that was not worth the time.
    pub is_compacted: bool,
    /// Records of the store.
    pub records: u64,
    /// Bytes of everything that is live, what is kept for standbys included.
    pub live_bytes: u64,
    /// Bytes that the engine's files took before.
    pub bytes_before: u64,
    /// Bytes that they take now.
    pub bytes_after: u64,
}

impl Builder {
    /// Copies the live records of a closed store into fresh files, and puts those in the place of the old ones.
    ///
    /// The storage engine gives no space back, and what was overwritten or deleted stays in its files until it happens to
    /// be written over. Under overwriting that never ends they grow to three to six times what is live, and stay there; a
    /// compaction brings them to about twice, with large values up to three times, also files that were smaller because they had
    /// just been filled. Afterwards the files hold live records only. The records stay sealed as they are and the epoch stays
    /// what it is; the copy is read back and compared with the head before it takes the old files' place, in one step: a
    /// crash leaves the old files or the new ones. For the time of the copy it takes the space of both.
    /// [`mode`](Self::mode) does not matter.
    ///
    /// What is kept for standbys is live too: a store that [keeps changes](crate::SecretStore::keep_changes) has what was
    /// deleted or replaced there for as many commits as it keeps.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open). [`ErrorKind::Configuration`]: the store is not in a directory.
    /// [`ErrorKind::Corrupted`]: a record is missing, or not the one that was acknowledged; the store is left as it is.
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("vault");
    /// # SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open()?.close()?;
    /// let report = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).compact(&mut |_| {})?;
    /// assert_eq!(report.records, 0);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn compact(self, progress: &mut dyn FnMut(Progress)) -> Result<CompactReport> {
        self.compact_unless(|_| Ok(None), progress)
    }

    /// Compacts a closed store if its files [have grown so much](SpaceUse::is_compaction_recommended) that it is worth the
    /// time: for a regular job, which keeps them within three times what is live, or 48 MiB above twice if that is more.
    ///
    /// # Errors
    ///
    /// As for [`compact`](Self::compact).
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("vault");
    /// # SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open()?.close()?;
    /// let builder = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32]));
    /// assert!(!builder.compact_if_recommended(&mut |_| {})?.is_compacted);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn compact_if_recommended(self, progress: &mut dyn FnMut(Progress)) -> Result<CompactReport> {
        let good_enough = |records: &Records| {
            let used = SpaceUse::of(records)?;
            Ok((!used.is_compaction_recommended()).then_some(used.live_bytes))
        };
        self.compact_unless(good_enough, progress)
    }

    /// Compacts unless that is found not to be worth it; then it is told how many bytes are live.
    fn compact_unless(
        self,
        good_enough: impl FnOnce(&Records) -> Result<Option<u64>>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<CompactReport> {
        let (mut bytes_before, mut live_bytes, mut is_compacted) = (0, 0, false);
        let store = self.mode(OpenMode::OpenExisting).open_by(|maker, place, patience, cache_bytes| {
            let Place::Directory(path) = place else {
                return Err(Error::configuration("only a store in a directory can be compacted"));
            };
            let directory = Directory::lock(&path, false, patience)?;
            let opened = maker.open_directory(&directory, cache_bytes)?;
            bytes_before = opened.records.stats()?.1.stored_bytes;
            let compacted = match good_enough(&opened.records) {
                Ok(Some(live)) => {
                    live_bytes = live;
                    return Ok((opened, Some(directory)));
                }
                Ok(None) => compact(&opened, &directory, cache_bytes, progress),
                Err(error) => Err(error),
            };
            // Closed and sealed also if it failed: the old files are as they were.
            if let Closed::Now { epoch, is_whole: true } = opened.records.close()? {
                directory.write_seal(
                    &opened.records.roots().newest,
                    &opened.header.header.instance,
                    epoch,
                    &*maker.entropy,
                )?;
            }
            live_bytes = compacted?;
            is_compacted = true;
            directory.finish_compaction()?;
            // Opened once more, so that what is there now is known to open; and closed and sealed like any other.
            Ok((maker.open_directory(&directory, cache_bytes)?, Some(directory)))
        })?;
        let bytes_after = store.stats()?.stored_bytes;
        let records = store.inner.records.head().records;
        let report = CompactReport { is_compacted, records, live_bytes, bytes_before, bytes_after };
        store.close().map(|()| report)
    }
}

/// Copies every record into fresh files. Gives the bytes of all of them.
fn compact(
    opened: &Opened,
    directory: &Directory,
    cache_bytes: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    let Opened { records, .. } = opened;
    let head = records.head();
    directory.begin_compaction()?;
    let fresh = SledBackend::open(directory.compacted(), cache_bytes).map_err(storage)?;
    let mut meter = Meter::new("copying records", head.records, progress);
    // Nobody else has the store, so there is nothing to be told.
    let mut sweep = records.sweep(false);
    let mut batch = Batch::new();
    let mut copied_bytes = 0;
    let mut write = |batch: &mut Batch| {
        copied_bytes += batch.bytes() as u64;
        fresh.commit(&std::mem::take(batch), Durability::Eventual).map_err(storage)
    };
    loop {
        let step = sweep.step()?;
        for (key, value) in &step.found {
            batch.put(key.clone(), value.as_ref().to_vec());
        }
        meter.advance(step.found.len() as u64);
        if let Some((_, stored)) = &step.end {
            batch.put(vec![Family::Head as u8], stored.clone());
        }
        if batch.bytes() >= BATCH_BYTES || step.end.is_some() {
            write(&mut batch)?;
        }
        if step.end.is_some() {
            break;
        }
    }
    meter.finish();
    // What is kept for standbys is not counted, and is checked by whoever reads it.
    let mut after = None;
    loop {
        let kept = records.feed_records(after.as_deref())?;
        let Some((last, _)) = kept.last() else { break };
        after = Some(last.clone());
        for (key, value) in kept {
            batch.put(key, value);
            if batch.bytes() >= BATCH_BYTES {
                write(&mut batch)?;
            }
        }
    }
    write(&mut batch)?;
    if let Some(what) = disagreement(&head, sweep.tally()) {
        fresh.close().map_err(storage)?;
        return Err(Error::corrupted(format!("{what}; the store was left as it was")));
    }
    fresh.close().map_err(storage)?;
    let copied = copied_tally(&directory.compacted(), &records.roots(), cache_bytes)?;
    if let Some(what) = disagreement(&head, copied) {
        return Err(Error::new(ErrorKind::Storage, format!("the copy does not read as it was written: {what}")));
    }
    Ok(copied_bytes)
}

/// What a copy holds, read back through the engine.
fn copied_tally(path: &Path, roots: &Roots, cache_bytes: u64) -> Result<Tally> {
    let copy = SledBackend::open(path, cache_bytes).map_err(storage)?;
    let tally = tally_of(&copy, roots).map_err(storage);
    copy.close().map_err(storage)?;
    tally
}
