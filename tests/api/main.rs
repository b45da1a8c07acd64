//! The operations as a client sees them: one file per behaviour, recorded facts of the service as tables.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod dates_and_presence;
mod deletion;
mod fixture;
mod idempotency;
mod identifiers;
mod lifecycle;
mod precedence;
mod quotas;
mod shapes;
mod staging;
mod tags;
mod tenants;
