//! Time that is moved and randomness that repeats.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use ring::hmac;

use crate::clock::Clock;
use crate::entropy::{Entropy, EntropyError};
use crate::time::{Timestamp, after, from_millis};

/// A clock that stands still until it is moved. Clones share the time.
///
/// ```
/// use chrono::TimeDelta;
/// use strongroom::Clock;
/// use strongroom::testing::ManualClock;
///
/// let clock = ManualClock::at_millis(0);
/// clock.advance(TimeDelta::days(1));
/// assert_eq!(clock.now().timestamp(), 86_400);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows this instant.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new(now)) }
    }

    /// A clock that shows this many milliseconds after the epoch.
    #[must_use]
    pub fn at_millis(millis: i64) -> Self {
        Self::new(from_millis(millis))
    }

    /// Moves the clock, forwards or backwards.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = after(*now, by);
    }

    /// Sets the clock.
    pub fn set(&self, to: Timestamp) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}

/// Random-looking bytes that are the same for the same seed. Clones continue the same stream.
///
/// ```
/// use strongroom::Entropy;
/// use strongroom::testing::SeededEntropy;
///
/// let (mut a, mut b) = ([0; 8], [0; 8]);
/// SeededEntropy::new(7).fill(&mut a)?;
/// SeededEntropy::new(7).fill(&mut b)?;
/// assert_eq!(a, b);
/// # Ok::<(), strongroom::EntropyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    key: hmac::Key,
    /// Blocks that were given out.
    used: Arc<Mutex<u64>>,
}

impl SeededEntropy {
    /// A stream of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes()), used: Arc::default() }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in dest.chunks_mut(32) {
            *used += 1;
            let block = hmac::sign(&self.key, &used.to_be_bytes());
            for (byte, random) in chunk.iter_mut().zip(block.as_ref()) {
                *byte = *random;
            }
        }
        Ok(())
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}
