//! Records in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use crate::storage::{Backend, BackendError, BackendStats, Batch, Durability, Stored};

type Records = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// A [`Backend`] that keeps everything in memory. Clones share their records, so that a store can be opened on them
/// again after it was closed.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    records: Arc<RwLock<Records>>,
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBackend([{} records])", self.records.read().unwrap_or_else(PoisonError::into_inner).len())
    }
}

impl MemoryBackend {
    /// An empty backend.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        Ok(records.get(key).cloned().map(Stored::new))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = records.range::<[u8], _>((from, Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), Stored::new(value.clone()))).collect())
    }

    fn commit(&self, batch: &Batch, _: Durability) -> Result<(), BackendError> {
        batch.check()?;
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.iter() {
            match value {
                Some(value) => records.insert(key.to_vec(), value.into()),
                None => records.remove(key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = records.iter().map(|(key, value)| key.len() + value.len()).sum();
        Ok(BackendStats::new(bytes as u64))
    }

    fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }
}
