//! Rotation functions outside this process: programs, and endpoints that speak Lambda's API.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod command;
mod endpoint;
mod fixture;
