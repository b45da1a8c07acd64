//! Years in the life of a store, and threads that must agree on what happened.
//!
//! *Simulations* run on one thread with everything made from a seed: calls, time, randomness, failing disks, failing
//! keys, power cuts. Every answer is compared with the reference model of `tests/model`. `STRONGROOM_SIMULATIONS` sets
//! the number of seeds, `STRONGROOM_SEED` replays one.
//!
//! *Histories* are made by eight threads on a few secrets; then an order is searched, secret by secret, in which the
//! reference model gives the same answers. `STRONGROOM_HISTORIES` sets their number.

#![expect(
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

// The reference model, which shares no code with the engine.
#[path = "../model/changes.rs"]
mod changes;
#[path = "../model/choices.rs"]
mod choices;
#[path = "../model/engine.rs"]
mod engine;
#[path = "../model/filters.rs"]
mod filters;
#[path = "../model/model.rs"]
mod model;
#[path = "../model/passwords.rs"]
mod passwords;
#[path = "../model/policies.rs"]
mod policies;
#[path = "../model/reads.rs"]
mod reads;
#[expect(dead_code, reason = "nothing rotates in a simulation")]
#[path = "../model/request.rs"]
mod request;
#[path = "../model/resolve.rs"]
mod resolve;
#[path = "../model/rotation.rs"]
mod rotation;
#[path = "../model/shape.rs"]
mod shape;

mod aftermath;
mod chance;
mod counts;
mod histories;
mod linear;
mod machine;
mod refusals;
mod run;
mod shrink;
mod simulations;
mod steps;

pub(crate) fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text}")))
}
