//! The life of keys: rewrapping, encrypting anew, recipients, other root keys and shredding, while everything goes wrong.
//!
//! Short by default. `STRONGROOM_KEY_VERSIONS` is how many versions the store of the kill loops has (default 3,000; a long
//! run: 100000), `STRONGROOM_KEY_KILLS` how often each operation is killed before it may finish (default 6; a long run: 20),
//! and `STRONGROOM_SEED` is the seed of the moments at which that happens (default 1).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod child;
mod choices;
mod concurrency;
mod edges;
mod faults;
mod generations;
mod insider;
mod keys;
mod kills;
mod operations;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../processes/process.rs"]
mod process;
mod provider_faults;
mod shredding;
mod sizes;
mod stores;
