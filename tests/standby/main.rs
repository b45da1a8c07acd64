//! A store and the standby that follows it: what the standby is at every moment, what it refuses, and what a crash leaves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod bad_frames;
mod child;
mod copying;
mod copying_large;
mod cost;
mod damaged_log;
mod deletion;
mod following;
#[path = "../crash/history.rs"]
mod history;
mod keys_of_the_standby;
mod kill;
mod pair;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../processes/process.rs"]
mod process;
mod promoting;
mod remembered;
mod retention;
mod retention_races;
mod root_key;
mod two_copies;
mod writes_refused;
