//! The stored format by itself: what test vectors are compared with, and what benches take as their floor.
//!
//! `docs/FORMAT.md` describes every construction; these functions are the ones that the store itself uses. The seal of a
//! closed store is not among them: closing a store in a directory writes one.

use std::path::Path;

use ring::hmac;
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::ad;
use crate::envelope::local;
use crate::envelope::passphrase::pbkdf2;
use crate::envelope::provider::{DataKey, EncryptionContext, WrappedKey};
use crate::envelope::root::{IndexKey, Purpose, RootKeys};
use crate::envelope::seal::{self, Label, SealingKey};
use crate::error::Result;
use crate::model::id::SecretName;
use crate::model::tenant::Tenant;
use crate::model::value::ValueKind;
use crate::model::version::{KeyRole, KmsKeyId, VersionId};
use crate::records::anchor::{AnchorFile, Anchors};
use crate::records::codec::{self, Head, Job};
use crate::records::header::{Header, RootWrap};
use crate::records::keys::{self, JobKind, SecretKey, Task};
use crate::records::manifest::SetHash;
use crate::time::Timestamp;

/// A key that seals and opens.
#[derive(Debug)]
pub struct Sealer(SealingKey);

fn label(name: &str) -> Option<Label> {
    Label::ALL.into_iter().find(|label| label.as_str() == name)
}

impl Sealer {
    /// A key of 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(SealingKey::new(key))
    }

    /// Seals a text. `None` for an unknown label or a random source that fails.
    #[must_use]
    pub fn seal(&self, label_name: &str, ad: &[u8], plaintext: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
        self.0.seal(label(label_name)?, ad, plaintext, entropy).ok()
    }

    /// Opens a sealed text. `None` if it does not authenticate.
    #[must_use]
    pub fn open(&self, label_name: &str, ad: &[u8], sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        self.0.open(label(label_name)?, ad, sealed).ok()
    }
}

/// Opens a sealed text with a key that is used once, as a data key is.
#[must_use]
pub fn open_once(key: &[u8; 32], label_name: &str, ad: &[u8], sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    seal::open(key, label(label_name)?, ad, sealed).ok()
}

/// The key derived from a root key for a purpose: `root/index`, `root/metadata`, `root/outer`, `root/token`,
/// `root/header`, `root/manifest`, `root/anchor`, `root/seal`, `root/backup` or `root/former`. `None` for any other.
#[must_use]
pub fn derived_key(root: &[u8; 32], store: [u8; 16], generation: u32, purpose: &str) -> Option<[u8; 32]> {
    let purpose = Purpose::ALL.into_iter().find(|known| known.label() == purpose)?;
    let key = purpose.key(&DataKey::from_slice(root)?, &Uuid::from_bytes(store), generation).ok()?;
    Some(*key.expose())
}

fn mac_key(key: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

fn index_key(key: &[u8; 32], generation: u32) -> IndexKey {
    IndexKey::new(&SealingKey::new(key), generation)
}

/// Where a secret is stored. `None` for an impossible account, Region or name.
#[must_use]
pub fn secret_key(index: &[u8; 32], generation: u32, account: &str, region: &str, name: &str) -> Option<Vec<u8>> {
    let tenant = Tenant::parse(account, region).ok()?;
    let name = SecretName::parse(name).ok()?;
    Some(SecretKey::new(&index_key(index, generation), &tenant, &name).as_bytes().to_vec())
}

/// Where the value of a version is stored.
#[must_use]
pub fn version_key(index: &[u8; 32], generation: u32, uid: [u8; 16], version_id: &str) -> Vec<u8> {
    keys::version(&index_key(index, generation), &Uuid::from_bytes(uid), &VersionId::new(version_id))
}

/// Where the due entry of a purge is stored. `None` if the key is not that of a secret.
#[must_use]
pub fn purge_key(index: &[u8; 32], generation: u32, at: Timestamp, secret: &[u8]) -> Option<Vec<u8>> {
    Some(keys::due(&index_key(index, generation), at, Task::Purge, &SecretKey::from_bytes(secret)?))
}

/// Where the due entry of a rotation is stored. `None` if the key is not that of a secret.
#[must_use]
pub fn rotation_key(index: &[u8; 32], generation: u32, at: Timestamp, secret: &[u8]) -> Option<Vec<u8>> {
    Some(keys::due(&index_key(index, generation), at, Task::Rotate, &SecretKey::from_bytes(secret)?))
}

/// Where the due entry of a replication is stored. `None` if the key is not that of a secret.
#[must_use]
pub fn replication_key(index: &[u8; 32], generation: u32, at: Timestamp, secret: &[u8]) -> Option<Vec<u8>> {
    Some(keys::due(&index_key(index, generation), at, Task::Replicate, &SecretKey::from_bytes(secret)?))
}

/// Where a re-encryption keeps how far it has come.
#[must_use]
pub fn reencryption_key(index: &[u8; 32], generation: u32) -> Vec<u8> {
    keys::job(&index_key(index, generation), JobKind::Reencrypt)
}

/// Associated data of a value. `None` for an impossible account or Region.
#[must_use]
pub fn value_ad(
    store: [u8; 16],
    [account, region]: [&str; 2],
    arn: &str,
    uid: [u8; 16],
    version_id: &str,
    is_binary: bool,
) -> Option<Vec<u8>> {
    let tenant = Tenant::parse(account, region).ok()?;
    let kind = if is_binary { ValueKind::Binary } else { ValueKind::String };
    let ad = ad::value(&Uuid::from_bytes(store), &tenant, arn, &Uuid::from_bytes(uid), version_id, kind);
    Some(ad.as_bytes().to_vec())
}

/// Associated data of a wrapped data key. `key` is provider, ARN and version.
#[must_use]
pub fn data_key_ad(store: [u8; 16], uid: [u8; 16], version_id: &str, key: [&str; 3], index: u8) -> Vec<u8> {
    ad::data_key(&Uuid::from_bytes(store), &Uuid::from_bytes(uid), version_id, key, index).as_bytes().to_vec()
}

/// Associated data of a record without a value.
#[must_use]
pub fn record_ad(store: [u8; 16], key: &[u8], revision: u64) -> Vec<u8> {
    ad::record(&Uuid::from_bytes(store), key, revision).as_bytes().to_vec()
}

/// Associated data of the head record.
#[must_use]
pub fn head_ad(store: [u8; 16], epoch: u64) -> Vec<u8> {
    ad::head(&Uuid::from_bytes(store), epoch).as_bytes().to_vec()
}

/// Associated data of a page token. `None` for an impossible account or Region.
#[must_use]
pub fn token_ad(
    store: [u8; 16],
    [account, region]: [&str; 2],
    query_digest: &[u8; 32],
    issued_at_millis: i64,
) -> Option<Vec<u8>> {
    let tenant = Tenant::parse(account, region).ok()?;
    Some(ad::token(&Uuid::from_bytes(store), &tenant, query_digest, issued_at_millis).as_bytes().to_vec())
}

/// Associated data of the root key of the generation before, as the header of the next one has it.
#[must_use]
pub fn former_root_ad(store: [u8; 16], generation: u32) -> Vec<u8> {
    ad::former_root(&Uuid::from_bytes(store), generation).as_bytes().to_vec()
}

/// A data key wrapped by a local provider's key, given by its bytes, id, ARN and version. `None` if randomness fails.
#[must_use]
pub fn local_wrap(
    kek: &[u8; 32],
    [key_id, key_arn]: [&str; 2],
    key_version: u32,
    data_key: &[u8; 32],
    context: &EncryptionContext<'_>,
    entropy: &dyn Entropy,
) -> Option<Vec<u8>> {
    let data_key = DataKey::from_slice(data_key)?;
    local::wrap(&SealingKey::new(kek), key_id, key_arn, key_version, &data_key, context, entropy).ok()
}

/// PBKDF2-HMAC-SHA-256 as the key of a passphrase is derived with it, into as many bytes as there is room for. `false`
/// without iterations.
#[must_use]
pub fn pbkdf2_hmac_sha256(password: &[u8], salt: &[u8], iterations: u32, key: &mut [u8]) -> bool {
    pbkdf2::derive_into(password, salt, iterations, key).is_ok()
}

/// A root key, wrapped for one key, as a store's header has it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeaderWrap {
    /// The key as somebody wrote it; empty for the default key.
    pub requested: String,
    /// Whether it is one of the store's recipients.
    pub is_recovery: bool,
    /// The root key as the provider wrapped it.
    pub wrapped: WrappedKey,
}

impl HeaderWrap {
    /// A wrap.
    #[must_use]
    pub fn new(requested: &str, is_recovery: bool, wrapped: WrappedKey) -> Self {
        Self { requested: requested.to_owned(), is_recovery, wrapped }
    }
}

/// Both copies of a store's header. The ids are those of the store and of the instance; `former` is the root key of the
/// generation before, as [`former_root`] seals it, or empty.
///
/// # Errors
///
/// [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if no key can be derived.
pub fn header(
    root: &[u8; 32],
    [store, instance]: [[u8; 16]; 2],
    generation: u32,
    flags: u16,
    wraps: Vec<HeaderWrap>,
    former: Vec<u8>,
) -> Result<Vec<u8>> {
    let store = Uuid::from_bytes(store);
    let keys = root_keys(root, &store, generation)?;
    let wrap = |HeaderWrap { requested, is_recovery, wrapped }| {
        let role = if is_recovery { KeyRole::Recovery } else { KeyRole::Secret };
        RootWrap { requested: KmsKeyId::parse(&requested), role, wrapped }
    };
    let wraps = wraps.into_iter().map(wrap).collect();
    let instance = Uuid::from_bytes(instance);
    Ok(Header { flags, store, instance, generation, wraps, former }.encode(&keys.header))
}

fn root_keys(root: &[u8; 32], store: &Uuid, generation: u32) -> Result<RootKeys> {
    let corrupted = || crate::error::Error::corrupted("no key could be derived");
    let root = DataKey::from_slice(root).ok_or_else(corrupted)?;
    RootKeys::derive(&root, store, generation).map_err(|_| corrupted())
}

/// The root key of the generation before, as the header of the next one has it.
///
/// # Errors
///
/// [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if no key can be derived. [`ErrorKind::Entropy`](crate::ErrorKind::Entropy).
pub fn former_root(
    (root, generation): (&[u8; 32], u32),
    store: [u8; 16],
    (former, former_generation): (&[u8; 32], u32),
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let store = Uuid::from_bytes(store);
    let corrupted = || crate::error::Error::corrupted("no key could be derived");
    let former = DataKey::from_slice(former).ok_or_else(corrupted)?;
    Header::seal_former(&root_keys(root, &store, generation)?, &store, &former, former_generation, entropy)
}

/// The plaintext of a head record: epoch, secrets, highest revision and records, and the set hash of those. `None` if it
/// cannot be encoded.
#[must_use]
pub fn head([epoch, secrets, revision, records]: [u64; 4], set_hash: [u8; 32]) -> Option<Vec<u8>> {
    codec::encode_head(&Head { epoch, secrets, revision, records, set: SetHash::from(set_hash) }).ok()
}

/// The plaintext of the record in which a long operation on keys keeps how far it has come: what it is about, account,
/// Region and name of the last secret that was done, and how many secrets and versions were. `None` if it cannot be
/// encoded.
#[must_use]
pub fn job(scope: &str, [account, region, name]: [&str; 3], [secrets, versions]: [u64; 2]) -> Option<Vec<u8>> {
    let after = (account.to_owned(), region.to_owned(), name.to_owned());
    codec::encode_job(&Job { scope: scope.to_owned(), after, secrets, versions }).ok()
}

/// What a record counts as in the set hash, under the key derived for `root/manifest`.
#[must_use]
pub fn element(manifest: &[u8; 32], key: &[u8], value: &[u8]) -> [u8; 32] {
    SetHash::of(&mac_key(manifest), key, value).into()
}

/// A set hash with an element more.
#[must_use]
pub fn set_hash_plus(sum: [u8; 32], element: [u8; 32]) -> [u8; 32] {
    SetHash::from(sum).plus(SetHash::from(element)).into()
}

/// A set hash with an element less.
#[must_use]
pub fn set_hash_minus(sum: [u8; 32], element: [u8; 32]) -> [u8; 32] {
    SetHash::from(sum).minus(SetHash::from(element)).into()
}

/// The anchor of a store that is being made, under the key derived for `root/anchor`.
#[must_use]
pub fn new_anchor(anchor: &[u8; 32], instance: [u8; 16], epoch: u64, head_tag: [u8; 16]) -> Vec<u8> {
    AnchorFile::encode(&mac_key(anchor), &Uuid::from_bytes(instance), epoch, head_tag)
}

/// Opens the anchor in a file and brings it up to each of these commits, given by epoch and the end of the head.
///
/// # Errors
///
/// [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) if it has no slot of this instance,
/// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it cannot be read or written.
pub fn advance_anchor(file: &Path, anchor: &[u8; 32], instance: [u8; 16], commits: &[(u64, [u8; 16])]) -> Result<()> {
    let key = mac_key(anchor);
    let opened = AnchorFile::open(file, true, &[&key], &Uuid::from_bytes(instance))?;
    let anchors = Anchors::new(Some(opened), None, None);
    commits.iter().try_for_each(|(epoch, head_tag)| anchors.advance(&key, *epoch, head_tag))
}
