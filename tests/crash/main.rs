//! What a store promises when something goes wrong: kills, cuts, failing engines, damaged directories, many threads.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod child;
mod concurrency;
mod cut;
mod damage;
mod directory;
mod disk_full;
mod faults;
mod faults_everywhere;
mod header;
mod history;
mod holders;
mod kill;
mod power;
#[path = "../processes/process.rs"]
mod process;
mod sizes;
mod storms;
