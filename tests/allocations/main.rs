//! How often memory is allocated for a call, how much, and what is left of it.
//!
//! Counted is what the thread that calls allocates, which in memory is everything. Growing a buffer counts as another one,
//! and so do the copies of secrets that are wiped.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod budgets;
mod fixture;
mod growth;
