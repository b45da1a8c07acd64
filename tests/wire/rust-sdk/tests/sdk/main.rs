//! The command, driven by the official client for Rust.

mod concurrency;
mod errors;
mod operations;
mod pages;
mod server;
mod signatures;
