//! Rotation over long times and under every misfortune: a year beside an oracle, kills at any moment, and faults of the
//! backend and of the key provider.
//!
//! Short by default. `STRONGROOM_KILLS` is how often a process that rotates is killed (default 20; a long run: 200), and
//! `STRONGROOM_SEED` is the seed of the moments at which that happens (default 1).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod calendar;
mod child;
mod edges;
mod faults;
mod kills;
mod oracle;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../processes/process.rs"]
mod process;
mod simulations;
mod year;
