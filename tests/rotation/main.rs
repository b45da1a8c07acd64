//! Rotation as a user sees it: what is stored, what is shown, what the function is asked, and what becomes of failures.

#![expect(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "tests fail by panicking")]

mod background;
mod cancelling;
mod clocks;
mod dates;
mod deletion;
mod events;
mod fixture;
mod interference;
mod late;
mod limits;
mod managed;
mod misbehaving;
mod pending;
mod protocol;
mod refusals;
mod registered;
mod restart;
mod retries;
mod shapes;
mod starting;
mod tenants;
mod trying;
mod windows;
mod workers;
