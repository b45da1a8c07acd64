//! The anchor: which commit was acknowledged last, kept outside the storage engine.
//!
//! An engine that loses the newest part of its files opens as an older, consistent store and cannot know it. The anchor
//! can: it is written after every durable commit, so it is never ahead of what the engine holds unless the engine lost
//! something. It may be behind, which is harmless, and so it needs no fsync of its own. `docs/FORMAT.md` gives the bytes
//! and the argument.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ring::hmac;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::envelope::ad::FORMAT;
use crate::error::{Error, ErrorKind, Result};
use crate::files;

const MAGIC: &[u8; 8] = b"STRONGAN";
/// A slot has a disk sector of its own, so that tearing one leaves the other whole.
const SLOT_BYTES: usize = 512;
const BODY_BYTES: usize = 8 + 2 + 16 + 8 + HEAD_TAG_BYTES;
const MAC_BYTES: usize = 32;
const HEAD_TAG_BYTES: usize = 16;

/// The last bytes of a sealed head, which no other head has.
pub(crate) type HeadTag = [u8; HEAD_TAG_BYTES];

/// The tag at the end of a stored head.
pub(crate) fn head_tag(stored: &[u8]) -> HeadTag {
    stored.last_chunk().copied().unwrap_or_default()
}

/// A place outside the store's directory that remembers the newest acknowledged commit.
///
/// The store's own anchor is a file beside its records. Whoever puts back an older copy of the *whole* directory puts
/// back the anchor too, and only something that is kept elsewhere can tell: the system's keyring, a TPM's counter, a
/// service, a file on another medium. Give it to [`Builder::external_anchor`](crate::Builder::external_anchor).
///
/// # Contract for implementers
///
/// * `load` gives the highest number that `advance` was ever told, or `None` if that has never been called.
/// * `advance` is called with rising numbers by one thread at a time, after each durable commit and before its callers
///   are told, so its duration adds to theirs. When it returns, the number is safe. If it fails, the change is stored but
///   not acknowledged, and the store refuses everything until it is opened again.
/// * One anchor serves one store.
pub trait ExternalAnchor: Send + Sync + fmt::Debug {
    /// The number of the newest commit that was acknowledged, or `None` if there has been none.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read: the store is not opened then.
    fn load(&self) -> io::Result<Option<u64>>;

    /// Remembers the number of a commit that is about to be acknowledged.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being remembered.
    fn advance(&self, epoch: u64) -> io::Result<()>;
}

/// Everything that remembers which commit was acknowledged last.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    pub(crate) file: Option<AnchorFile>,
    external: Option<Arc<dyn ExternalAnchor>>,
    /// What the caller knows from elsewhere.
    known: Option<u64>,
    /// The newest commit that everybody remembers, once that is known.
    reached: AtomicU64,
}

impl Anchors {
    pub(crate) fn new(file: Option<AnchorFile>, external: Option<Arc<dyn ExternalAnchor>>, known: Option<u64>) -> Self {
        Self { file, external, known, reached: AtomicU64::new(0) }
    }

    /// The number of the newest commit that anybody remembers.
    pub(crate) fn expected(&self) -> Result<u64> {
        let external = self.load_external()?;
        let file = self.file.as_ref().map(|file| file.newest.epoch);
        Ok([file, external, self.known].into_iter().flatten().max().unwrap_or(0))
    }

    fn load_external(&self) -> Result<Option<u64>> {
        match &self.external {
            Some(anchor) => anchor.load().map_err(|error| external_failed("read", error)),
            None => Ok(None),
        }
    }

    /// Refuses records whose newest commit is not the newest that was acknowledged.
    pub(crate) fn check(&self, epoch: u64, tag: &HeadTag) -> Result<()> {
        let expected = self.expected()?;
        if epoch < expected {
            return Err(lost(epoch, expected));
        }
        let file = self.file.as_ref().map(|file| file.newest);
        if file.is_some_and(|newest| newest.epoch == epoch && newest.tag != *tag) {
            return Err(lost(epoch, expected));
        }
        // An external anchor that remembers nothing yet has everything to be told.
        let external = self.external.is_some().then(|| self.load_external()).transpose()?;
        let remembered = [file.map(|newest| newest.epoch), external.map(Option::unwrap_or_default)];
        self.reached.store(remembered.into_iter().flatten().min().unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Remembers a commit that is durable and about to be acknowledged. Called by one thread at a time.
    pub(crate) fn advance(&self, key: &hmac::Key, epoch: u64, tag: &HeadTag) -> Result<()> {
        if epoch <= self.reached.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(file) = &self.file {
            file.write(key, epoch, tag).map_err(|error| {
                Error::new(ErrorKind::Storage, format!("cannot write the anchor: {error}")).with_source(error)
            })?;
        }
        if let Some(anchor) = &self.external {
            anchor.advance(epoch).map_err(|error| external_failed("advance", error))?;
        }
        self.reached.store(epoch, Ordering::Relaxed);
        Ok(())
    }

    /// The newest commit that is known to be durable. There may be later ones that are durable too.
    pub(crate) fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Makes what the anchor's file says durable: before the key of its older slots is forgotten.
    pub(crate) fn sync(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.file.sync_data().map_err(|error| {
            Error::new(ErrorKind::Storage, format!("cannot sync the anchor: {error}")).with_source(error)
        })
    }
}

fn external_failed(doing: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot {doing} the external anchor: {error}")).with_source(error)
}

/// What was acknowledged is not what is there.
pub(crate) fn lost(have: u64, expected: u64) -> Error {
    let text = if have < expected {
        format!(
            "the store has lost commits: the newest is number {have}, and number {expected} was acknowledged; nothing \
             was opened. Restore a backup, or salvage what is left"
        )
    } else {
        format!(
            "commit number {have} of the store is not the one that was acknowledged under that number: files of \
             another time were put in their place; nothing was opened. Restore a backup, or salvage what is left"
        )
    };
    Error::new(ErrorKind::LostCommits { have, expected }, text)
}

/// What a slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    epoch: u64,
    tag: HeadTag,
}

/// The anchor's file: two slots, of which the older is overwritten each time.
#[derive(Debug)]
pub(crate) struct AnchorFile {
    file: File,
    instance: Uuid,
    /// As it was read.
    newest: Slot,
    /// The next slot to overwrite is the second.
    second_is_next: AtomicBool,
    /// Slots that could be read, of two.
    pub(crate) whole_slots: u8,
}

fn encode(key: &hmac::Key, instance: &Uuid, Slot { epoch, tag }: Slot) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT_BYTES);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&FORMAT.to_be_bytes());
    slot.extend_from_slice(instance.as_bytes());
    slot.extend_from_slice(&epoch.to_be_bytes());
    slot.extend_from_slice(&tag);
    let mac = hmac::sign(key, &slot);
    slot.extend_from_slice(mac.as_ref());
    slot.resize(SLOT_BYTES, 0);
    slot
}

fn decode(key: &hmac::Key, instance: &Uuid, bytes: &[u8]) -> Option<Slot> {
    let (body, rest) = bytes.split_at_checked(BODY_BYTES)?;
    let mac = rest.first_chunk::<MAC_BYTES>()?;
    if !bool::from(hmac::sign(key, body).as_ref().ct_eq(mac)) {
        return None;
    }
    let (tag_at, epoch_at) = (BODY_BYTES - HEAD_TAG_BYTES, BODY_BYTES - HEAD_TAG_BYTES - 8);
    let epoch = u64::from_be_bytes(*body.get(epoch_at..)?.first_chunk()?);
    let tag = *body.get(tag_at..)?.first_chunk()?;
    let slot = Slot { epoch, tag };
    // A slot of an earlier life of the store says nothing about this one.
    encode(key, instance, slot).starts_with(body).then_some(slot)
}

impl AnchorFile {
    /// A new anchor's bytes.
    pub(crate) fn encode(key: &hmac::Key, instance: &Uuid, epoch: u64, tag: HeadTag) -> Vec<u8> {
        encode(key, instance, Slot { epoch, tag }).repeat(2)
    }

    /// Opens an anchor that is there. Each slot is by one of the root keys that are in use.
    pub(crate) fn open(path: &Path, is_written: bool, keys: &[&hmac::Key], instance: &Uuid) -> Result<Self> {
        let missing = || {
            Error::corrupted(format!(
                "`{}` is missing: without it nobody can tell whether the store has lost its newest commits; salvage what \
                 is there, or restore a backup",
                path.display()
            ))
        };
        let file = match files::open_regular(path, is_written) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            Err(error) => {
                let text = format!("cannot read `{}`: {error}", path.display());
                return Err(Error::new(ErrorKind::Storage, text).with_source(error));
            }
        };
        let mut bytes = Vec::with_capacity(2 * SLOT_BYTES);
        (&file).take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Storage, format!("cannot read `{}`: {error}", path.display())).with_source(error)
        })?;
        let (first, second) = bytes.split_at_checked(SLOT_BYTES).unwrap_or((&bytes, &[]));
        let slots = [first, second].map(|slot| keys.iter().find_map(|key| decode(key, instance, slot)));
        let whole_slots = if slots.iter().all(Option::is_some) { 2 } else { 1 };
        let (newest, second_is_next) = match slots {
            [Some(first), Some(second)] if first.epoch >= second.epoch => (first, true),
            [_, Some(second)] => (second, false),
            [Some(first), None] => (first, true),
            [None, None] => {
                return Err(Error::corrupted(format!(
                    "`{}` is damaged: without it nobody can tell whether the store has lost its newest commits; salvage \
                     what is there, or restore a backup",
                    path.display()
                )));
            }
        };
        Ok(Self { file, instance: *instance, newest, second_is_next: AtomicBool::new(second_is_next), whole_slots })
    }

    /// The number of the newest commit, as it was read.
    pub(crate) fn epoch(&self) -> u64 {
        self.newest.epoch
    }

    fn write(&self, key: &hmac::Key, epoch: u64, tag: &HeadTag) -> io::Result<()> {
        let is_second = self.second_is_next.fetch_xor(true, Ordering::Relaxed);
        let at = if is_second { SLOT_BYTES as u64 } else { 0 };
        files::write_at(&self.file, &encode(key, &self.instance, Slot { epoch, tag: *tag }), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[9; 32])
    }

    fn opened(bytes: &[u8]) -> Result<AnchorFile> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        std::fs::write(&path, bytes).unwrap();
        AnchorFile::open(&path, true, &[&key()], &Uuid::from_u128(1))
    }

    fn after_epochs(epochs: std::ops::RangeInclusive<u64>) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchor");
        std::fs::write(&path, AnchorFile::encode(&key(), &Uuid::from_u128(1), 0, [0; 16])).unwrap();
        let anchor = AnchorFile::open(&path, true, &[&key()], &Uuid::from_u128(1)).unwrap();
        epochs.for_each(|epoch| anchor.write(&key(), epoch, &[7; 16]).unwrap());
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn the_newest_of_two_slots_counts_and_the_other_is_overwritten() {
        for last in 1..6 {
            let bytes = after_epochs(1..=last);
            let anchor = opened(&bytes).unwrap();
            assert_eq!((anchor.newest.epoch, anchor.whole_slots), (last, 2));
            anchor.write(&key(), last + 1, &[8; 16]).unwrap();
        }
    }

    #[test]
    fn any_changed_bit_leaves_the_other_slot_and_two_changed_slots_are_refused() {
        let bytes = after_epochs(1..=8);
        for at in (0..BODY_BYTES + MAC_BYTES).flat_map(|at| [at, SLOT_BYTES + at]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let anchor = opened(&damaged).unwrap();
            assert!(anchor.whole_slots == 1 && [7, 8].contains(&anchor.newest.epoch), "byte {at}");
            damaged[(at + SLOT_BYTES) % (2 * SLOT_BYTES)] ^= 1;
            assert_eq!(*opened(&damaged).unwrap_err().kind(), ErrorKind::Corrupted, "byte {at}");
        }
        assert!(opened(&bytes[..SLOT_BYTES]).is_ok());
        assert!(opened(&[]).is_err());
    }

    #[test]
    fn a_slot_of_another_life_or_under_another_key_says_nothing() {
        let other_life = AnchorFile::encode(&key(), &Uuid::from_u128(2), 5, [0; 16]);
        let other_key = hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]);
        let other_key = AnchorFile::encode(&other_key, &Uuid::from_u128(1), 5, [0; 16]);
        assert!(opened(&other_life).is_err());
        assert!(opened(&other_key).is_err());
    }
}
