//! What every module here needs: files of vectors, bytes as hexadecimal text, a random source that gives known bytes,
//! and stores that can be taken apart into their records.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, Batch, Builder, Durability, Entropy, EntropyError, MemoryBackend, SecretStore, StaticKey, Timestamp,
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
