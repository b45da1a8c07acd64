//! Backends that fail on purpose, or remember everything.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::storage::memory::MemoryBackend;
use crate::storage::{Backend, BackendError, BackendStats, Batch, Durability, Stored};

/// What a faulty backend does with a commit that it was told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing is applied.
    Before,
    /// The batch is applied, and the caller is told that it failed.
    After,
    /// As if the engine panicked before anything was applied.
    Panicked,
}

/// A backend over another one that fails when it is told to. Clones share the faults.
#[derive(Debug, Clone)]
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    faults: Arc<Mutex<VecDeque<(u64, Fault)>>>,
    commits: Arc<AtomicU64>,
    reads_left: Arc<AtomicU64>,
}

impl FaultyBackend {
    /// A backend that works until it is told otherwise.
    #[must_use]
    pub fn new(inner: impl Backend + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            faults: Arc::default(),
            commits: Arc::default(),
            reads_left: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Commits so far, failed ones included.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    fn plan(&self, after: u64, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push_back((self.commits() + after, fault));
    }

    /// After `after` more commits, one fails and leaves nothing.
    pub fn fail_commit(&self, after: u64) {
        self.plan(after, Fault::Before);
    }

    /// After `after` more commits, one fails although it was applied, as a failed flush would.
    pub fn fail_flush(&self, after: u64) {
        self.plan(after, Fault::After);
    }

    /// After `after` more commits, the engine panics inside one.
    pub fn panic_in_commit(&self, after: u64) {
        self.plan(after, Fault::Panicked);
    }

    /// After `after` more reads, every read fails. `u64::MAX`: none does.
    pub fn fail_reads(&self, after: u64) {
        self.reads_left.store(after, Ordering::SeqCst);
    }

    fn read(&self, doing: &'static str) -> Result<(), BackendError> {
        let count = |left: u64| if left == u64::MAX { Some(left) } else { left.checked_sub(1) };
        match self.reads_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) {
            Ok(_) => Ok(()),
            Err(_) => Err(injected(doing)),
        }
    }
}

fn injected(doing: &'static str) -> BackendError {
    BackendError::Io { doing, error: io::Error::other("injected fault") }
}

impl Backend for FaultyBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.read("read a record")?;
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.read("scan records")?;
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let fault = {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            let due = faults.iter().position(|(at, _)| *at == number);
            due.and_then(|index| faults.remove(index))
        };
        match fault {
            None => self.inner.commit(batch, durability),
            Some((_, Fault::Before)) => Err(injected("apply a batch")),
            Some((_, Fault::Panicked)) => Err(BackendError::Panicked { doing: "apply a batch" }),
            Some((_, Fault::After)) => {
                self.inner.commit(batch, durability)?;
                Err(injected("flush"))
            }
        }
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.inner.flush()
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.inner.close()
    }
}

/// A backend in memory that remembers every commit. Clones share everything.
///
/// A crash leaves the commits up to the last durable one, and any number of those after it, in order: exactly the
/// states that [`image`](Self::image) can give.
#[derive(Debug, Clone, Default)]
pub struct RecordingBackend {
    now: MemoryBackend,
    log: Arc<Mutex<Vec<Batch>>>,
    /// Commits that survive a power cut.
    durable: Arc<AtomicU64>,
}

impl RecordingBackend {
    /// An empty backend.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits so far.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Commits that survive a power cut now.
    #[must_use]
    pub fn durable_commits(&self) -> usize {
        usize::try_from(self.durable.load(Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    /// Every batch, in order.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is left if only the first `commits` commits arrived.
    ///
    /// # Errors
    ///
    /// [`BackendError`] if a batch cannot be applied again.
    pub fn image(&self, commits: usize) -> Result<MemoryBackend, BackendError> {
        let image = MemoryBackend::new();
        for batch in self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().take(commits) {
            image.commit(batch, Durability::Immediate)?;
        }
        Ok(image)
    }
}

impl Backend for RecordingBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.now.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.now.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.now.commit(batch, durability)?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(batch.clone());
        if durability == Durability::Immediate {
            self.durable.store(log.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.durable.store(self.commits() as u64, Ordering::SeqCst);
        Ok(())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.now.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.flush()
    }
}
