//! Seam: where random bytes come from.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};

/// A source of random bytes: keys, salts, ARN suffixes, version ids and passwords.
///
/// # Contract for implementers
///
/// * `fill` overwrites all of `dest` with bytes that nobody can predict, or fails. It is called from any thread.
/// * A failure fails the operation that asked, before anything is stored.
/// * A source that repeats (a cloned machine, a seeded test) does not break the sealing of values, because every seal
///   also mixes in what it seals; it does make ids and passwords predictable.
///
/// ```
/// use strongroom::{Entropy, OsEntropy};
///
/// let mut bytes = [0; 16];
/// OsEntropy::default().fill(&mut bytes)?;
/// assert_ne!(bytes, [0; 16]);
/// # Ok::<(), strongroom::EntropyError>(())
/// ```
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Overwrites `dest` with random bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the source fails; `dest` is then unspecified.
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError>;

    /// Whether the bytes can be predicted. A store that is made with such a source is marked as one for tests, and other
    /// stores refuse it.
    fn is_for_tests(&self) -> bool {
        false
    }
}

/// The source of random bytes failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of random bytes failed")]
#[non_exhaustive]
pub struct EntropyError;

impl EntropyError {
    /// For implementers of [`Entropy`].
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Default for EntropyError {
    fn default() -> Self {
        Self::new()
    }
}

impl From<EntropyError> for Error {
    fn from(error: EntropyError) -> Self {
        Self::new(ErrorKind::Entropy, "the source of random bytes failed; nothing was stored").with_source(error)
    }
}

/// The operating system's random source. The default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OsEntropy {
    system: SystemRandom,
}

impl Default for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    fn default() -> Self {
        Self { system: SystemRandom::new() }
    }
}

impl Entropy for OsEntropy {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        self.system.fill(dest).map_err(|_| EntropyError)
    }
}

/// A random (version 4) UUID from this source.
pub(crate) fn random_uuid(entropy: &dyn Entropy) -> Result<Uuid, EntropyError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Uniform numbers below a bound, by rejection, from a buffered stream.
pub(crate) struct Dice<'a> {
    entropy: &'a dyn Entropy,
    buffer: zeroize::Zeroizing<[u8; 64]>,
    used: usize,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(entropy: &'a dyn Entropy) -> Self {
        Self { entropy, buffer: zeroize::Zeroizing::new([0; 64]), used: 64 }
    }

    fn word(&mut self) -> Result<u32, EntropyError> {
        loop {
            let rest = self.buffer.get(self.used..).unwrap_or_default();
            if let Some(bytes) = rest.first_chunk::<4>() {
                self.used += 4;
                return Ok(u32::from_be_bytes(*bytes));
            }
            self.entropy.fill(self.buffer.as_mut_slice())?;
            self.used = 0;
        }
    }

    /// A number in `0..bound`, every one equally likely. `bound` 0 is taken as 1.
    pub(crate) fn below(&mut self, bound: usize) -> Result<usize, EntropyError> {
        let bound = u32::try_from(bound.max(1)).map_err(|_| EntropyError)?;
        // The largest multiple of `bound` that fits: words at or above it are thrown away, so no remainder is favoured.
        let fair = u32::MAX - (u32::MAX % bound + 1) % bound;
        loop {
            let word = self.word()?;
            if word <= fair {
                return Ok((word % bound) as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields the given words, then fails.
    #[derive(Debug)]
    struct Words(std::sync::Mutex<Vec<u32>>);

    impl Entropy for Words {
        fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
            let mut words = self.0.lock().unwrap();
            for chunk in dest.chunks_mut(4) {
                let word = if words.is_empty() { return Err(EntropyError) } else { words.remove(0) };
                chunk.copy_from_slice(&word.to_be_bytes());
            }
            Ok(())
        }
    }

    #[test]
    fn words_that_would_favour_small_numbers_are_thrown_away() {
        // 2^32 = 3 * 1431655765 + 1, so exactly the word 2^32 - 1 is unfair for a bound of 3.
        let mut words = vec![u32::MAX, u32::MAX - 1];
        words.resize(16, 0);
        let source = Words(words.into());
        assert_eq!(Dice::new(&source).below(3), Ok(((u32::MAX - 1) % 3) as usize));
    }

    #[test]
    fn a_power_of_two_uses_every_word() {
        let mut words = vec![u32::MAX];
        words.resize(16, 0);
        let source = Words(words.into());
        assert_eq!(Dice::new(&source).below(64), Ok(63));
    }

    #[test]
    fn a_failing_source_is_reported() {
        assert_eq!(Dice::new(&Words(vec![].into())).below(10), Err(EntropyError));
    }
}
