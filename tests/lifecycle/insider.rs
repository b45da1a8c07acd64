//! Somebody who has a directory, every key of the provider, and the stored bytes of another time: what can be opened with
//! that is opened, by the format alone and without the store's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use strongroom::testing::{SeededEntropy, format};
use strongroom::{Backend, Call, EncryptionContext, KeyProvider, LocalKeyring, SledBackend, WrappedKey};

use crate::stores::{TENANTS, copy, files};

const MAGIC: &[u8] = b"STRONGRM";

/// Records by their keys, as they are stored.
pub(crate) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Header {
    store: [u8; 16],
    pub(crate) generation: u32,
    /// Provider, ARN, version and bytes of each wrap.
    pub(crate) wraps: Vec<(String, String, String, Vec<u8>)>,
    pub(crate) former: Vec<u8>,
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?);
    take(bytes, usize::try_from(length).ok()?)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(field(bytes)?.to_vec()).ok()
}

impl Header {
    /// The header whose body begins here.
    fn parse(body: &[u8]) -> Option<Self> {
        let mut body = body.get(16..)?;
        let store = take(&mut body, 16)?.try_into().ok()?;
        let generation = u32::from_be_bytes(take(&mut body, 4)?.try_into().ok()?);
        field(&mut body)?;
        let count = u16::from_be_bytes(take(&mut body, 2)?.try_into().ok()?);
        let mut wraps = Vec::new();
        for _ in 0..count {
            take(&mut body, 1)?;
            field(&mut body)?;
            let [provider, arn, version] = [text(&mut body)?, text(&mut body)?, text(&mut body)?];
            wraps.push((provider, arn, version, field(&mut body)?.to_vec()));
        }
        let former = field(&mut body)?.to_vec();
        Some(Self { store, generation, wraps, former })
    }

    /// Every header that any file of a directory holds, whole or not.
    pub(crate) fn all_in(directory: &Path) -> BTreeSet<Self> {
        let mut found = BTreeSet::new();
        for bytes in files(directory).into_values() {
            let is_magic = |(_, window): &(usize, &[u8])| window[0] == MAGIC[0] && *window == MAGIC;
            let begins = bytes.windows(MAGIC.len()).enumerate().filter(is_magic);
            found.extend(begins.filter_map(|(at, _)| Self::parse(&bytes[at..])));
        }
        found
    }

    /// The root keys that the provider's keys give of it.
    fn roots(&self, keyring: &LocalKeyring) -> BTreeSet<[u8; 32]> {
        let id = uuid::Uuid::from_bytes(self.store).hyphenated().to_string();
        let pairs = [("strongroom:store", id.as_str())];
        let unwrap = |(provider, arn, version, blob): &(String, String, String, Vec<u8>)| {
            let wrapped = WrappedKey::new(provider.as_str(), arn.as_str(), version.as_str(), blob.as_slice());
            let entropy = SeededEntropy::new(9);
            let opened = keyring.unwrap(&wrapped, &EncryptionContext::new(&pairs), &Call::new(&entropy)).ok()?;
            Some(*opened.expose())
        };
        self.wraps.iter().filter_map(unwrap).collect()
    }
}

/// The records of a store that is closed. The files stay as they are.
pub(crate) fn records_of(directory: &Path) -> Records {
    let scratch = tempfile::tempdir().unwrap();
    copy(&directory.join("sled"), &scratch.path().join("sled"));
    let engine = SledBackend::open(scratch.path().join("sled"), 1 << 20).unwrap();
    let records = engine.scan(b"", None, usize::MAX).unwrap();
    let records = records.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect();
    engine.close().unwrap();
    records
}

/// A version as it was stored, and everything that has to be known to open it but keys.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    tenant: [&'static str; 2],
    arn: String,
    uid: [u8; 16],
    pub(crate) version: String,
    pub(crate) record: Vec<u8>,
}

/// Somebody with root keys.
#[derive(Debug)]
pub(crate) struct Insider {
    store: [u8; 16],
    roots: BTreeSet<([u8; 32], u32)>,
}

impl Insider {
    /// Whoever finds these headers and has the provider's keys.
    pub(crate) fn of(headers: &BTreeSet<Header>, keyring: &LocalKeyring) -> Self {
        let store = headers.first().expect("there is a header").store;
        let mut roots = BTreeSet::new();
        for header in headers {
            // Also for generations that the header does not name.
            roots.extend(header.roots(keyring).into_iter().flat_map(|root| (1..=8).map(move |number| (root, number))));
        }
        assert!(!roots.is_empty(), "the present root key can be opened");
        Self { store, roots }
    }

    /// Everything that is stored of a version, found by opening the record of its secret.
    pub(crate) fn find(
        &self,
        records: &Records,
        tenant: [&'static str; 2],
        [name, arn, version]: [&str; 3],
    ) -> Option<Stored> {
        self.roots.iter().find_map(|(root, generation)| {
            let key = |purpose| format::derived_key(root, self.store, *generation, purpose).unwrap();
            let at = format::secret_key(&key("root/index"), *generation, tenant[0], tenant[1], name)?;
            let (revision, sealed) = records.get(&at)?.split_first_chunk()?;
            let ad = format::record_ad(self.store, &at, u64::from_be_bytes(*revision));
            let plain = format::Sealer::new(&key("root/metadata")).open("metadata", &ad, sealed)?;
            plain.windows(16).find_map(|window| {
                let uid = window.try_into().unwrap();
                let record = records.get(&format::version_key(&key("root/index"), *generation, uid, version))?.clone();
                Some(Stored { tenant, arn: arn.to_owned(), uid, version: version.to_owned(), record })
            })
        })
    }

    /// The value, if any of the wraps opens under any of the root keys.
    pub(crate) fn open(&self, stored: &Stored, keyring: &LocalKeyring) -> Option<String> {
        let Stored { tenant, arn, uid, version, record } = stored;
        let mut rest = record.as_slice();
        let count = take(&mut rest, 1)?[0];
        let wraps: Vec<_> = (0..count).map(|_| field(&mut rest)).collect::<Option<_>>()?;
        let value_ad = format::value_ad(self.store, *tenant, arn, *uid, version, false)?;
        let pairs = [("SecretARN", arn.as_str()), ("SecretVersionId", version.as_str())];
        let entropy = SeededEntropy::new(9);
        for (root, generation) in &self.roots {
            let outer = format::derived_key(root, self.store, *generation, "root/outer").unwrap();
            for (index, sealed) in (0..).zip(&wraps) {
                for key in keyring.keys() {
                    for material in (1..=key.versions).map(|version| version.to_string()) {
                        let named = [keyring.id(), &key.arn, &material];
                        let ad = format::data_key_ad(self.store, *uid, version, named, index);
                        let Some(blob) = format::Sealer::new(&outer).open("data-key", &ad, sealed) else { continue };
                        let wrapped = WrappedKey::new(keyring.id(), &*key.arn, material.as_str(), blob.as_slice());
                        let context = EncryptionContext::new(&pairs);
                        let data_key = keyring.unwrap(&wrapped, &context, &Call::new(&entropy)).ok()?;
                        let value = format::open_once(data_key.expose(), "value", &value_ad, rest)?;
                        return String::from_utf8(value.to_vec()).ok();
                    }
                }
            }
        }
        None
    }
}

/// Every 32 bytes in a row of a header's wrapped root keys, without what names the key: that stands elsewhere too.
pub(crate) fn windows_of(header: &Header) -> BTreeSet<Vec<u8>> {
    // A suite, the length of the key's id, the id, and the version of its material.
    const NAMED_BYTES: usize = 2 + 4 + 36 + 4;
    header.wraps.iter().flat_map(|(.., blob)| blob[NAMED_BYTES..].windows(32).map(<[u8]>::to_vec)).collect()
}

/// How many of these are in the files of a directory.
pub(crate) fn count_in(directory: &Path, windows: &BTreeSet<Vec<u8>>) -> usize {
    // Most places are ruled out by what they begin with.
    let begins: BTreeSet<[u8; 2]> = windows.iter().map(|window| [window[0], window[1]]).collect();
    let mut is_begin = vec![false; 1 << 16];
    begins.iter().for_each(|begin| is_begin[usize::from(u16::from_be_bytes(*begin))] = true);
    let found = |bytes: &Vec<u8>| {
        let is_likely = |window: &&[u8]| is_begin[usize::from(window[0]) << 8 | usize::from(window[1])];
        bytes.windows(32).filter(is_likely).filter(|window| windows.contains(*window)).count()
    };
    files(directory).values().map(found).sum()
}

/// The account and Region of a secret.
pub(crate) fn tenant_of(secret: usize) -> [&'static str; 2] {
    TENANTS[secret % TENANTS.len()]
}
