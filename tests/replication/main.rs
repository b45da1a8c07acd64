//! Replicas of secrets: in other Regions, and in other accounts.
//!
//! `STRONGROOM_REPLICATION_OPERATIONS` sets the number of random operations against the model (default 2,000 in all),
//! `STRONGROOM_REPLICATION_SEED` their seed, `STRONGROOM_REPLICATION_KILLS` the number of killed processes (default 10).

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod accounts;
mod attacks;
mod child;
mod conflicts;
mod cost;
mod fixture;
mod following;
mod keys;
mod kill;
mod later;
mod model;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../processes/process.rs"]
mod process;
mod random;
mod regions;
mod replicas;
mod requests;
mod threads;
