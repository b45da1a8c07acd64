//! How much of the files is live.

use crate::error::Result;
use crate::records::Records;
use crate::store::SecretStore;

/// Files that are smaller than this are never worth a compaction: the storage engine takes several megabytes for itself.
const SMALL_BYTES: u64 = 32 * 1024 * 1024;
/// How many times what is live the files may take.
const TIMES_LIVE_MAX: u64 = 3;

/// What [`SecretStore::space_use`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

    /// Whether [`Builder::compact`](crate::Builder::compact) is worth its time: the files take more than 32 MiB and more than
    /// three times what is live. A compaction brings them to about twice.
    #[must_use]
    pub fn is_compaction_recommended(&self) -> bool {
        self.stored_bytes > SMALL_BYTES && self.stored_bytes > self.live_bytes.saturating_mul(TIMES_LIVE_MAX)
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
            ((0, 32 * MIB), false),
            ((0, 32 * MIB + 1), true),
            ((10 * MIB, 32 * MIB), false),
            ((10 * MIB, 33 * MIB), true),
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
