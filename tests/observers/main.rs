//! What observers are told, what they are never told, and the audit file.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

mod audit_file;
mod behaviour;
mod child;
mod events;
mod fixture;
mod manipulations;
mod operations;
mod secrecy;
