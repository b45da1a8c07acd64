//! What following needs besides a store and its standby: an end that can be asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use strongroom::{Changes, Error, FeedPosition, ReplicationLink, Seed, StandbyDirectory};

/// A wish that something ends, which whoever does it waits for.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_asked: Mutex<bool>,
    asked: Condvar,
}

impl Stop {
    pub(crate) fn ask(&self) {
        *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.asked.notify_all();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits for the wish, or until this time has passed. Whether it was made.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let is_asked = self.is_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.asked.wait_timeout_while(is_asked, patience, |is_asked| !*is_asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A standby in a directory, to which nothing more is brought once the end is asked for. Frames are whole or not there.
#[derive(Debug)]
pub(crate) struct Stoppable<'a> {
    link: &'a StandbyDirectory,
    stop: &'a Stop,
    has_failed: AtomicBool,
}

impl<'a> Stoppable<'a> {
    pub(crate) fn new(link: &'a StandbyDirectory, stop: &'a Stop) -> Self {
        Self { link, stop, has_failed: AtomicBool::new(false) }
    }

    /// Whether it was the standby that failed, and not the store.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        done.inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))
    }
}

impl ReplicationLink for Stoppable<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.noted(self.link.position())
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.noted(self.link.begin(seed))
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        if self.stop.is_asked() {
            return Err(Error::replication_link("it was interrupted"));
        }
        self.noted(self.link.apply(changes))
    }
}
