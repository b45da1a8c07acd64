//! What every module here needs: files of vectors, bytes as hexadecimal text, a random source that gives known bytes,
//! stores that can be taken apart into their records, and stores in directories that can be copied and compared.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, Batch, Builder, CreateSecretRequest, Durability, Entropy, EntropyError, Error, GetSecretValueRequest,
    ListSecretsRequest, MemoryBackend, SecretStore, StaticKey, Timestamp,
};

/// The time of every store here.
pub(crate) const NOW: i64 = 1_700_000_000_000;
/// The key of the key provider of every store here.
pub(crate) const PROVIDER_KEY: [u8; 32] = [0x42; 32];

/// A file beside this one.
pub(crate) fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "format", name].iter().collect()
}

pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Bytes that are hexadecimal text in a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }
}

impl std::ops::Deref for Hex {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes = text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
        bytes.filter(|_| text.len() % 2 == 0).map(Self).ok_or_else(|| serde::de::Error::custom("not hexadecimal"))
    }
}

/// The plaintext of a given length, as the script makes it.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((31 * i + 7 * length + 1) & 0xff).unwrap()).collect()
}

/// Gives 32 known bytes, once.
#[derive(Debug)]
pub(crate) struct Known(Mutex<Option<[u8; 32]>>);

impl Known {
    pub(crate) fn new(bytes: &Hex) -> Self {
        Self(Mutex::new(Some(bytes.array())))
    }
}

impl Entropy for Known {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        let bytes = self.0.lock().unwrap().take().filter(|bytes| bytes.len() == dest.len());
        dest.copy_from_slice(&bytes.ok_or_else(EntropyError::new)?);
        Ok(())
    }
}

/// All records of a store.
pub(crate) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// One record in a dump.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) key: Hex,
    pub(crate) value: Hex,
}

/// All records of a store, in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dump {
    pub(crate) provider_key: Hex,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn records(backend: &dyn Backend) -> Records {
    let all = backend.scan(b"", None, usize::MAX).unwrap();
    all.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect()
}

pub(crate) fn backend(records: &Records) -> MemoryBackend {
    let (backend, mut batch) = (MemoryBackend::new(), Batch::new());
    for (key, value) in records {
        batch.put(key.clone(), value.clone());
    }
    backend.commit(&batch, Durability::Immediate).unwrap();
    backend
}

/// A store on a backend, at [`NOW`].
pub(crate) fn builder(backend: impl Backend + 'static, seed: u64) -> Builder {
    SecretStore::with_backend(backend)
        .key_provider(StaticKey::new(PROVIDER_KEY))
        .clock(ManualClock::at_millis(NOW))
        .entropy(SeededEntropy::new(seed))
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap()
}

/// A store in a directory, at [`NOW`].
pub(crate) fn in_directory(path: &Path, seed: u64) -> Builder {
    SecretStore::builder(path)
        .key_provider(StaticKey::new(PROVIDER_KEY))
        .clock(ManualClock::at_millis(NOW))
        .entropy(SeededEntropy::new(seed))
}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Directory,
    File(Hex),
    Link(PathBuf),
}

/// Everything in a directory, by its path inside.
pub(crate) fn tree(directory: &Path) -> BTreeMap<PathBuf, Entry> {
    let (mut entries, mut left) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let about = std::fs::symlink_metadata(&path).unwrap();
            let found = if about.is_symlink() {
                Entry::Link(std::fs::read_link(&path).unwrap())
            } else if about.is_dir() {
                left.push(path.clone());
                Entry::Directory
            } else {
                Entry::File(Hex(std::fs::read(&path).unwrap()))
            };
            entries.insert(path.strip_prefix(directory).unwrap().to_owned(), found);
        }
    }
    entries
}

/// Copies a directory as it is at this moment, also that of a store that is open: what a kill would leave.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (path, entry) in tree(from) {
        match entry {
            Entry::Directory => std::fs::create_dir_all(to.join(path)).unwrap(),
            Entry::File(bytes) => {
                std::fs::create_dir_all(to.join(&path).parent().unwrap()).unwrap();
                std::fs::write(to.join(path), bytes.0).unwrap();
            }
            Entry::Link(target) => std::os::unix::fs::symlink(target, to.join(path)).unwrap(),
        }
    }
}

/// Fails like `assert_eq`, but names the files that differ instead of printing all their bytes.
#[track_caller]
pub(crate) fn assert_unchanged(what: &str, before: &BTreeMap<PathBuf, Entry>, directory: &Path) {
    let after = tree(directory);
    let paths = before.keys().chain(after.keys());
    let differing: Vec<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differing.is_empty(), "{what}: these have changed: {differing:?}");
}

/// Where the engine's files of a store are.
pub(crate) fn sled(directory: &Path) -> PathBuf {
    directory.join("sled")
}

/// Puts the engine's files of one store in the place of another's.
pub(crate) fn exchange_sled(from: &Path, to: &Path) {
    std::fs::remove_dir_all(sled(to)).unwrap();
    copy(&sled(from), &sled(to));
}

/// Makes one secret: one commit.
pub(crate) fn create(store: &SecretStore, name: &str) -> Result<(), Error> {
    let request = CreateSecretRequest::new(name).secret_string(format!("the value of {name}"));
    store.default_secrets_manager().create_secret(request).map(drop)
}

/// The names of all secrets whose values read as [`create`] made them.
pub(crate) fn names(store: &SecretStore) -> Vec<String> {
    let manager = store.default_secrets_manager();
    let mut names: Vec<_> = manager
        .list_secrets(ListSecretsRequest::new().max_results(100))
        .unwrap()
        .secret_list
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    names.sort();
    for name in &names {
        let read = manager.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("the value of {name}"));
    }
    names
}

/// How often a loop goes round: few times, unless the long runs are asked for.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("STRONGROOM_FORMAT_LONG").is_some() { long } else { short }
}
