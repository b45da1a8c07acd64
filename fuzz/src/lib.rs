//! What several targets share: stores that are the same each time, and inputs that are read byte by byte.

use std::fmt::Debug;

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{Backend, Error, SecretStore, StaticKey};

/// 2023-11-14, in milliseconds.
pub const START: i64 = 1_700_000_000_000;

/// The error of whoever uses a page token that was not issued for the query.
pub const INVALID_TOKEN: &str = "InvalidNextTokenException";
/// The error of whoever breaks a limit.
pub const VALIDATION: &str = "ValidationException";

/// Opens a store, or makes one. The seed decides everything that is random.
///
/// # Errors
///
/// Whatever opening fails with.
pub fn open(backend: impl Backend + 'static, clock: &ManualClock, seed: u64) -> Result<SecretStore, Error> {
    SecretStore::with_backend(backend)
        .key_provider(StaticKey::new([7; 32]))
        .clock(clock.clone())
        .entropy(SeededEntropy::new(seed))
        .open()
}

/// The code of an error, and nothing of a success.
pub fn code<T: Debug>(outcome: &Result<T, Error>) -> &str {
    outcome.as_ref().map_or_else(Error::code, |_| "")
}

/// An input that is used up from its beginning. Behind its end are zeros.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below the end, from one byte. Digits are their own value, so that inputs can be written by hand.
    pub fn below(&mut self, end: usize) -> usize {
        let byte = self.byte();
        usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte }) % end.max(1)
    }

    /// A number below the end, from two bytes.
    pub fn far_below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end.max(1)
    }

    /// Everything that is left, up to a limit.
    pub fn take(&mut self, limit: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(limit.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Edits of at most this many places.
const EDITS_MAX: usize = 16;

/// Changes bytes as the input says: six bytes for each edit.
pub fn edit(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..EDITS_MAX {
        if input.0.is_empty() {
            return;
        }
        let kind = input.below(6);
        let at = input.far_below(bytes.len() + 1);
        let (count, byte) = (input.far_below(bytes.len() - at + 1), input.byte());
        match kind {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|old| *old ^= byte | 1),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + count)),
            4 => drop(bytes.splice(at..at, std::iter::repeat_n(byte, usize::from(byte)))),
            _ => bytes.extend_from_within(at..at + count),
        }
    }
}
