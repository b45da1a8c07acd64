//! Sequences of calls, compared with the reference model of `tests/model`: `operations/steps.rs` says how an input is
//! read, `operations/driver.rs` what is compared.
//!
//! With `STRONGROOM_FUZZ_TOLD=1` in the environment every step is told, which is how a finding is read.

#![no_main]

#[path = "../../tests/model/changes.rs"]
mod changes;
#[path = "../../tests/model/choices.rs"]
mod choices;
#[path = "operations/driver.rs"]
mod driver;
#[path = "../../tests/model/engine.rs"]
mod engine;
#[path = "../../tests/model/filters.rs"]
mod filters;
#[path = "../../tests/model/model.rs"]
mod model;
#[path = "../../tests/model/passwords.rs"]
mod passwords;
#[path = "../../tests/model/policies.rs"]
mod policies;
#[path = "../../tests/model/reads.rs"]
mod reads;
#[path = "../../tests/model/request.rs"]
#[expect(dead_code, reason = "the tests also go through all operations")]
mod request;
#[path = "../../tests/model/resolve.rs"]
mod resolve;
#[path = "../../tests/model/rotation.rs"]
mod rotation;
#[path = "../../tests/model/shape.rs"]
mod shape;
#[path = "operations/steps.rs"]
mod steps;

use strongroom_fuzz::Input;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let settings = steps::settings(&mut input);
    let mut run = driver::Run::new(settings);
    for step in steps::steps(&mut input) {
        run.step(step);
    }
    run.compare_all();
    run.step(steps::Step::Reopen { is_closed: true });
    run.compare_all();
});
