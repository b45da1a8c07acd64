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
mod faults;
mod header;
mod history;
mod kill;
mod sizes;
mod storms;
