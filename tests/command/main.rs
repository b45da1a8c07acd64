//! The `strongroom` command, driven as a person or a script would.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod administration;
mod audit;
mod enforcement;
mod everyday;
mod exit_codes;
mod fixture;
mod help;
mod http;
mod key_operations;
mod keyring;
mod keys;
mod passphrases;
mod policy;
mod readme;
mod recovery;
mod recovery_key;
mod replicas;
mod rotation;
mod rotation_beside;
mod rotation_functions;
mod running;
mod secrecy;
mod server;
mod standby;
mod starting;
mod streams;
mod transfer;
mod values;
