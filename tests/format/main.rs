//! The stored format: known answers of an independent implementation, golden stores, the primitives, hostile records.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod anchor;
mod changed_records;
mod changes;
mod contents;
mod external_anchor;
mod fixture;
mod forged_records;
mod generations;
mod golden;
mod header;
mod insider;
mod key_vectors;
mod policies;
mod replication;
mod rotating;
mod rotation;
mod script;
mod seal;
mod seal_vectors;
mod victim;
mod wycheproof;
