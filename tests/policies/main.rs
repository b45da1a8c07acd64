//! Resource policies: the operations on them, documents that are none, what they decide, and who is kept out; from the
//! examples of the documentation, by search, and by trying to get around them. `oracles/` compares with other evaluators.
//!
//! What is generated follows from a seed, 1 unless `STRONGROOM_SEED` says otherwise. `STRONGROOM_LONG=1` searches longer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

mod attacks;
mod conditions;
mod enforcement;
mod examples;
mod fixture;
#[expect(dead_code, unused_imports, reason = "the comparison with other evaluators needs more")]
mod generate;
mod language;
mod listing;
mod malformed;
mod moving;
mod operations;
mod people;
mod public;
mod replicas;
mod validating;
mod wildcards;

fn is_long() -> bool {
    std::env::var_os("STRONGROOM_LONG").is_some()
}

fn seed() -> u64 {
    std::env::var("STRONGROOM_SEED").map_or(1, |seed| seed.parse().unwrap())
}
