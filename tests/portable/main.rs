//! Exports and imports: what comes out of one store is what the other one has afterwards, or nothing is.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod conflicts;
mod damage;
mod exporting;
mod faults;
mod fixture;
mod importing;
mod lines;
mod replication;
mod rotation;
mod round_trip;
