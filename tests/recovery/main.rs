//! What an operator does for a store: verify, back up, restore, compact, salvage; and what a crash in between leaves.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod backups;
mod child;
mod compaction;
mod images;
mod keeping;
mod replication;
mod salvaging;
mod stores;
mod verification;
