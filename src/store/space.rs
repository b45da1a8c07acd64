//! How much of the files is live.

use crate::error::Result;
use crate::records::Records;
use crate::store::SecretStore;

/// How many times what is live the files may take, and what a compaction leaves at best.
const TIMES_LIVE_MAX: u64 = 3;
const TIMES_LIVE_LEFT: u64 = 2;
/// What a compaction has to give back. Of what it leaves, some 30 MB are the storage engine's own, so that less might be nothing.
const GAIN_BYTES_MIN: u64 = 48 * 1024 * 1024;

/// What [`SecretStore::space_use`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpaceUse {
    /// Records that are live, those that are kept for standbys included.
    pub live_records: u64,
    /// Bytes of their keys and values.
    pub live_bytes: u64,
    /// Bytes that the storage engine's files take.
    pub stored_bytes: u64,
}

impl SpaceUse {
    pub(super) fn of(records: &Records) -> Result<Self> {
        let (live_records, live_bytes) = records.live()?;
        Ok(Self { live_records, live_bytes, stored_bytes: records.stats()?.1.stored_bytes })
    }

    /// Whether [`Builder::compact`](crate::Builder::compact) is worth its time: the files take more than three times what is
    /// live, and at least 48 MiB more than twice. A compaction brings them to twice or, with large values, up to three times.
    #[must_use]
    pub fn is_compaction_recommended(&self) -> bool {
        let left = self.live_bytes.saturating_mul(TIMES_LIVE_LEFT);
        self.stored_bytes > self.live_bytes.saturating_mul(TIMES_LIVE_MAX)
            && self.stored_bytes.saturating_sub(left) >= GAIN_BYTES_MIN
    }
}

impl SecretStore {
    /// Measures how much of the files is live, which takes a look at every record while others work.
    ///
    /// Files do not shrink by themselves. For a regular job that keeps them in bounds there is
    /// [`Builder::compact_if_recommended`](crate::Builder::compact_if_recommended).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage), [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned),
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// let store = SecretStore::builder(directory.path().join("vault")).key_provider(StaticKey::new([7; 32])).open()?;
    /// assert!(!store.space_use()?.is_compaction_recommended());
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn space_use(&self) -> Result<SpaceUse> {
        SpaceUse::of(&self.inner.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_is_recommended_for_large_files_that_are_mostly_dead() {
        const MIB: u64 = 1024 * 1024;
        // Live bytes, stored bytes.
        let rows = [
            ((0, 0), false),
            ((0, 48 * MIB - 1), false),
            ((0, 48 * MIB), true),
            ((30 * MIB, 108 * MIB - 1), false),
            ((30 * MIB, 108 * MIB), true),
            ((100 * MIB, 300 * MIB), false),
            ((100 * MIB, 300 * MIB + 1), true),
            ((u64::MAX, u64::MAX), false),
        ];
        for ((live_bytes, stored_bytes), expected) in rows {
            let used = SpaceUse { live_records: 1, live_bytes, stored_bytes };
            assert_eq!(used.is_compaction_recommended(), expected, "{used:?}");
        }
    }
}
