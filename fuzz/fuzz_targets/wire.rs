//! Requests of the protocol, one after the other on one store. What must hold is said once, beside the project's tests.

#![no_main]

#[path = "../../tests/protocol/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    properties::check(input);
});
