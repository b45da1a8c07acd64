//! Secrets that were opened lately, so that the same sealed record need not be opened and decoded again.
//!
//! What is kept is what a record says of a secret, never a value or a key. It is used for a record only if every stored byte
//! of it is the same as when it was opened: a record that was changed, by whomever, is opened like any other.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::secret::Secret;
use crate::records::keys::SecretKey;

/// Stored bytes of all records together. Decoded they take up to ten times as much.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Of records that are smaller than this, one in eight is kept: those that are read often are soon among them, and reads
/// all over a large store do not pay for what is pushed out before it is of use.
const LARGE_BYTES: usize = 2 * 1024;

/// Whether a small record is one in eight, without any order that reads could have too.
fn is_chosen(number: u64) -> bool {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 == 0
}

/// A secret and the record that it was read from.
struct One {
    stored: Box<[u8]>,
    secret: Arc<Secret>,
}

/// The secrets, those that came first in front.
#[derive(Default)]
struct Kept {
    secrets: HashMap<SecretKey, Arc<One>>,
    order: VecDeque<SecretKey>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct OpenedSecrets {
    kept: Mutex<Kept>,
    /// Small records that could have been kept.
    seen: AtomicU64,
}

impl fmt::Debug for OpenedSecrets {
    /// Nothing of the secrets: the token of a rotation, for example, tells calls of its function from others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "OpenedSecrets([{} secrets])", kept.secrets.len())
    }
}

impl OpenedSecrets {
    /// The secret of this very record.
    pub(super) fn get(&self, key: &SecretKey, stored: &[u8]) -> Option<Arc<Secret>> {
        let one = self.kept.lock().unwrap_or_else(PoisonError::into_inner).secrets.get(key).cloned();
        one.filter(|one| *one.stored == *stored).map(|one| Arc::clone(&one.secret))
    }

    /// Keeps a secret that was opened, if that is likely to pay, in the place of those that were kept first.
    pub(super) fn keep(&self, key: &SecretKey, stored: &[u8], secret: &Arc<Secret>) {
        let is_small = stored.len() < LARGE_BYTES;
        if is_small && !is_chosen(self.seen.fetch_add(1, Ordering::Relaxed)) {
            return;
        }
        let one = Arc::new(One { stored: stored.into(), secret: Arc::clone(secret) });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += stored.len();
        let mut gone = Vec::new();
        match kept.secrets.insert(key.clone(), one) {
            Some(former) => gone.push(former),
            None => kept.order.push_back(key.clone()),
        }
        kept.bytes -= gone.iter().map(|one| one.stored.len()).sum::<usize>();
        while kept.bytes > BYTES_MAX {
            let oldest = kept.order.pop_front();
            let Some(former) = oldest.and_then(|oldest| kept.secrets.remove(&oldest)) else { break };
            kept.bytes -= former.stored.len();
            gone.push(former);
        }
        // Others need not wait until these are freed.
        drop(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::codec::tests::secret;
    use crate::records::keys::Family;

    fn key(number: u8) -> SecretKey {
        let mut bytes = [number; 26];
        bytes[0] = Family::Secret as u8;
        SecretKey::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn a_secret_comes_back_for_the_very_bytes_it_was_read_from_only() {
        let (opened, kept) = (OpenedSecrets::default(), Arc::new(secret(1, 1, 32)));
        let record = vec![7; LARGE_BYTES];
        opened.keep(&key(1), &record, &kept);
        assert!(opened.get(&key(1), &record).is_some_and(|found| Arc::ptr_eq(&found, &kept)));
        assert_eq!(opened.get(&key(2), &record), None);
        for at in [0, LARGE_BYTES / 2, LARGE_BYTES - 1] {
            let mut other = record.clone();
            other[at] ^= 1;
            assert_eq!(opened.get(&key(1), &other), None, "byte {at}");
        }
        assert_eq!(opened.get(&key(1), &record[..LARGE_BYTES - 1]), None);
    }

    #[test]
    fn the_latest_record_of_a_secret_takes_the_place_of_the_one_before() {
        let (opened, kept) = (OpenedSecrets::default(), Arc::new(secret(1, 1, 32)));
        for byte in 0..100 {
            opened.keep(&key(1), &[byte; LARGE_BYTES], &kept);
        }
        assert_eq!(opened.get(&key(1), &[98; LARGE_BYTES]), None);
        assert!(opened.get(&key(1), &[99; LARGE_BYTES]).is_some());
        assert_eq!(opened.kept.lock().unwrap().bytes, LARGE_BYTES);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let (opened, kept) = (OpenedSecrets::default(), Arc::new(secret(1, 1, 32)));
        let record = vec![7; 100 * 1024];
        let fit = u8::try_from(BYTES_MAX / record.len()).unwrap();
        for number in 0..fit + 5 {
            opened.keep(&key(number), &record, &kept);
            let now = opened.kept.lock().unwrap();
            assert!(now.bytes <= BYTES_MAX && now.secrets.len() == now.order.len());
        }
        for number in 0..fit + 5 {
            assert_eq!(opened.get(&key(number), &record).is_some(), number >= 5, "{number}");
        }
    }

    #[test]
    fn of_small_records_those_that_are_read_again_and_again_are_kept() {
        let (opened, kept) = (OpenedSecrets::default(), Arc::new(secret(1, 1, 32)));
        for _ in 0..100 {
            for number in 0..64 {
                if opened.get(&key(number), &[number; 300]).is_none() {
                    opened.keep(&key(number), &[number; 300], &kept);
                }
            }
        }
        assert_eq!((0..64).filter(|number| opened.get(&key(*number), &[*number; 300]).is_some()).count(), 64);
    }
}
