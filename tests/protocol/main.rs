//! The protocol: requests as bytes, answers as bytes, held against the service's API model.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod answers;
mod errors;
mod examples;
mod fixture;
mod fuzzed;
mod malformed;
mod model;
mod properties;
mod shapes;
mod texts;
mod values;
