//! The key space: one ordered space, a one-byte family before every key, nothing readable in it.
//!
//! A digest in a key is preceded by the mark of the root key's generation that made it.

use ring::hmac;
use uuid::Uuid;

use crate::envelope::ad::Ad;
use crate::envelope::root::IndexKey;
use crate::model::id::SecretName;
use crate::model::tenant::Tenant;
use crate::model::version::VersionId;
use crate::time::{Timestamp, from_sortable, sortable};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Family {
    /// What a commit has changed, for standbys. And how many of these are kept.
    Change = b'c',
    /// What is due when.
    Due = b'd',
    /// What a standby follows. One record.
    Standby = b'f',
    /// The head of the store. One record.
    Head = b'h',
    /// How far a long operation has come.
    Job = b'j',
    /// The store's header, where the store has no directory. One record.
    Header = b'm',
    /// A secret without its values.
    Secret = b's',
    /// The value of one version.
    Version = b'v',
}

/// Whether bytes can be the key of a record.
pub(crate) fn is_key(bytes: &[u8]) -> bool {
    let Some((family, rest)) = bytes.split_first() else { return false };
    match *family {
        family if family == Family::Head as u8 || family == Family::Header as u8 => rest.is_empty(),
        family if family == Family::Due as u8 => rest.len() == 8 + 1 + INDEX_BYTES,
        family if family == Family::Job as u8 => rest.len() == 1 + 1,
        family if family == Family::Standby as u8 => rest.len() == 1,
        family if family == Family::Change as u8 => rest.len() == 1 || rest.len() == 1 + 8 + 4,
        family if family == Family::Secret as u8 || family == Family::Version as u8 => rest.len() == 1 + INDEX_BYTES,
        _ => false,
    }
}

/// Bytes of an HMAC that are kept: 192 bits, far beyond accidental and deliberate collisions.
const INDEX_BYTES: usize = 24;

/// A mark and a digest.
type Digest = [u8; 1 + INDEX_BYTES];

type DigestKey = [u8; 1 + 1 + INDEX_BYTES];

fn digest(key: &IndexKey, what: &Ad) -> Digest {
    let tag = hmac::sign(&key.mac, what.as_bytes());
    let mut out = [key.mark; 1 + INDEX_BYTES];
    for (byte, of_tag) in out.iter_mut().skip(1).zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    out
}

fn index(key: &IndexKey, family: Family, what: &Ad) -> DigestKey {
    let mut out = [family as u8; 1 + 1 + INDEX_BYTES];
    for (byte, of_digest) in out.iter_mut().skip(1).zip(digest(key, what)) {
        *byte = of_digest;
    }
    out
}

/// What begins the keys of a family that one generation has made.
pub(crate) fn of_generation(family: Family, mark: u8) -> [u8; 2] {
    [family as u8, mark]
}

/// The mark of the generation that a key was made by. `None`: it is of no generation.
pub(crate) fn mark(key: &[u8]) -> Option<u8> {
    let place = if *key.first()? == Family::Due as u8 { 1 + 8 } else { 1 };
    key.get(place).copied()
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SecretKey(DigestKey);

impl SecretKey {
    pub(crate) fn new(key: &IndexKey, tenant: &Tenant, name: &SecretName) -> Self {
        let what = Ad::new("secret").text(tenant.account()).text(tenant.region()).text(name.as_str());
        Self(index(key, Family::Secret, &what))
    }

    /// A key that a scan or an authenticated record gave us. `None` if it cannot be that of a secret.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key: DigestKey = bytes.try_into().ok()?;
        (key.first() == Some(&(Family::Secret as u8))).then_some(Self(key))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where the value of a version is kept.
pub(crate) fn version(key: &IndexKey, uid: &Uuid, id: &VersionId) -> Vec<u8> {
    Vec::from(index(key, Family::Version, &Ad::new("version").uuid(uid).text(id.as_str())))
}

/// What will have to be done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Task {
    /// Its recovery window ends.
    Purge = 1,
    /// A version can be removed.
    Retire = 2,
    /// An attempt to rotate it can begin.
    Rotate = 3,
    /// A replica can be brought up to date.
    Replicate = 4,
}

/// An operation that remembers how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum JobKind {
    /// Every value gets a data key and a ciphertext of its own.
    Reencrypt = 1,
}

/// Where an operation keeps how far it has come.
pub(crate) fn job(key: &IndexKey, kind: JobKind) -> Vec<u8> {
    vec![Family::Job as u8, key.mark, kind as u8]
}

/// Where a standby keeps what it follows.
pub(crate) fn standby(key: &IndexKey) -> Vec<u8> {
    vec![Family::Standby as u8, key.mark]
}

/// Where a store keeps how it keeps changes.
pub(crate) fn change_log(key: &IndexKey) -> Vec<u8> {
    vec![Family::Change as u8, key.mark]
}

/// What begins the keys of the entries of one commit.
pub(crate) fn changes_of(mark: u8, epoch: u64) -> Vec<u8> {
    let mut out = vec![Family::Change as u8, mark];
    out.extend_from_slice(&epoch.to_be_bytes());
    out
}

/// Where an entry of a commit is kept.
pub(crate) fn change(mark: u8, epoch: u64, sequence: u32) -> Vec<u8> {
    let mut out = changes_of(mark, epoch);
    out.extend_from_slice(&sequence.to_be_bytes());
    out
}

/// The commit that an entry is of.
pub(crate) fn change_epoch(key: &[u8]) -> Option<u64> {
    key.get(2..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Where a due entry is kept: ordered by time, then by a digest that tells entries apart.
pub(crate) fn due(key: &IndexKey, at: Timestamp, task: Task, secret: &SecretKey) -> Vec<u8> {
    let what = Ad::new("due").u8(task as u8).bytes(secret.as_bytes());
    let mut out = vec![Family::Due as u8];
    out.extend_from_slice(&sortable(at));
    out.extend(digest(key, &what));
    out
}

/// When the entry under a due key is due.
pub(crate) fn due_at(key: &[u8]) -> Option<Timestamp> {
    key.get(1..)?.first_chunk().map(|bytes| from_sortable(*bytes))
}
