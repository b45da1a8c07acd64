//! The set hash: one keyed digest of all records together, brought up to date with every change.
//!
//! Every record counts as the HMAC of its key and value; the set hash is their sum modulo 2^256. It stands in the head
//! record, so a record that is lost, brought back, duplicated or exchanged for an older one of itself is noticed by
//! adding up what is there. The construction is MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend, Suh: Incremental
//! Multiset Hash Functions and Their Application to Memory Integrity Checking, ASIACRYPT 2003).

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::envelope::root::Roots;
use crate::records::keys::mark;
use crate::storage::Batch;

/// A sum of digests: four words, the least significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "[u8; 32]", into = "[u8; 32]")]
pub(crate) struct SetHash([u64; 4]);

impl From<[u8; 32]> for SetHash {
    fn from(bytes: [u8; 32]) -> Self {
        let (words, _) = bytes.as_chunks();
        let mut sum = [0; 4];
        for (word, bytes) in sum.iter_mut().zip(words.iter().rev()) {
            *word = u64::from_be_bytes(*bytes);
        }
        Self(sum)
    }
}

impl From<SetHash> for [u8; 32] {
    fn from(hash: SetHash) -> Self {
        let mut bytes = [0; 32];
        let (words, _) = bytes.as_chunks_mut();
        for (bytes, word) in words.iter_mut().rev().zip(hash.0) {
            *bytes = word.to_be_bytes();
        }
        bytes
    }
}

impl SetHash {
    /// What one record counts as.
    pub(crate) fn of(key: &hmac::Key, record_key: &[u8], value: &[u8]) -> Self {
        let mut context = hmac::Context::with_key(key);
        for field in [record_key, value] {
            context.update(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            context.update(field);
        }
        context.sign().as_ref().first_chunk().map_or(Self::default(), |bytes| Self::from(*bytes))
    }

    /// The same, by the key of the generation that the record is of. One of no known generation counts too: as something
    /// that does not belong.
    pub(crate) fn of_record(roots: &Roots, record_key: &[u8], value: &[u8]) -> Self {
        let root = mark(record_key).and_then(|mark| roots.of_mark(mark)).unwrap_or(&roots.newest);
        Self::of(&root.manifest, record_key, value)
    }

    /// The sum with a record more.
    pub(crate) fn plus(self, other: Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = false;
        for (out, (a, b)) in sum.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let (once, first) = a.overflowing_add(b);
            let (twice, second) = once.overflowing_add(carry.into());
            (*out, carry) = (twice, first || second);
        }
        Self(sum)
    }

    /// The sum with a record less.
    pub(crate) fn minus(self, other: Self) -> Self {
        // The negative in two's complement: the complement plus one.
        let complement = Self(other.0.map(|word| !word));
        self.plus(complement).plus(Self([1, 0, 0, 0]))
    }
}

/// How many records there are, and their set hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) set: SetHash,
}

impl Tally {
    pub(crate) fn add(&mut self, one: SetHash) {
        self.records = self.records.wrapping_add(1);
        self.set = self.set.plus(one);
    }

    pub(crate) fn subtract(&mut self, one: SetHash) {
        self.records = self.records.wrapping_sub(1);
        self.set = self.set.minus(one);
    }

    pub(crate) fn apply(&mut self, effect: &Effect) {
        if let Some(before) = effect.before {
            self.subtract(before);
        }
        if let Some(after) = effect.after {
            self.add(after);
        }
    }
}

/// What one change of a record does to the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) before: Option<SetHash>,
    pub(crate) after: Option<SetHash>,
}

/// The effects of a batch, one for each of its changes, whose keys are all different. `read` gives what is there.
pub(crate) fn effects<E>(
    roots: &Roots,
    batch: &Batch,
    mut read: impl FnMut(&[u8]) -> Result<Option<SetHash>, E>,
) -> Result<Vec<Effect>, E> {
    let effect = |(record_key, value): (&[u8], Option<&[u8]>)| {
        let after = value.map(|value| SetHash::of_record(roots, record_key, value));
        Ok(Effect { before: read(record_key)?, after })
    };
    batch.iter().map(effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: [u8; 32]) -> SetHash {
        SetHash::from(bytes)
    }

    #[test]
    fn the_sum_is_that_of_big_endian_numbers_modulo_two_to_the_256() {
        let mut one = [0; 32];
        one[31] = 1;
        let mut carried = [0; 32];
        carried[23] = 1;
        let mut low = [0; 32];
        low[24..].fill(0xff);
        assert_eq!(<[u8; 32]>::from(hash(low).plus(hash(one))), carried);
        assert_eq!(<[u8; 32]>::from(hash([0xff; 32]).plus(hash(one))), [0; 32]);
        assert_eq!(<[u8; 32]>::from(hash([0; 32]).minus(hash(one))), [0xff; 32]);
    }

    #[test]
    fn what_is_added_and_taken_away_in_any_order_leaves_nothing() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let records = [(&b"a"[..], &b"1"[..]), (b"a", b"2"), (b"b", b"1"), (b"ab", b""), (b"", b"ab")];
        let elements = records.map(|(record_key, value)| SetHash::of(&key, record_key, value));
        for (i, a) in elements.iter().enumerate() {
            assert!(elements.iter().skip(i + 1).all(|b| a != b), "records that differ count differently");
        }
        let mut tally = Tally::default();
        elements.into_iter().for_each(|one| tally.add(one));
        assert_eq!(tally.records, 5);
        elements.into_iter().rev().for_each(|one| tally.subtract(one));
        assert_eq!(tally, Tally::default());
    }
}
