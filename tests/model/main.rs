//! The engine against a naive reference model: random calls are made on both, and every response, every error and
//! everything that can be seen must be the same.
//!
//! `STRONGROOM_MODEL_OPERATIONS` sets the number of calls (default 20,000 in all). Runs are the same each time unless
//! `STRONGROOM_MODEL_SEED` says otherwise; a failure tells the seed of its run, and what was done in it, as short as it
//! could be made.

#![expect(
    clippy::string_slice,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod changes;
mod choices;
mod compare;
mod engine;
mod filters;
mod model;
mod operations;
mod passwords;
mod policies;
mod reads;
mod request;
mod resolve;
mod rotation;
mod shape;

use std::cell::{Cell, RefCell};

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner};
use strongroom::{Durability, MemoryBackend};

use crate::compare::{Counts, Medium, Run};
use crate::model::Settings;
use crate::operations::Step;
use crate::request::{Given, Metadata, Request};

/// Steps of one run, on average.
const STEPS: usize = 220;
const CALLS_DEFAULT: u64 = 20_000;
/// Of so many calls, one is made on files.
const CALLS_PER_CALL_ON_FILES: u64 = 10;

fn from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text}")),
        Err(_) => default,
    }
}

/// Runs until so many calls were made, each run with the next seed.
fn agree(calls: u64, medium: impl Fn(u64) -> Medium) -> Counts {
    let first_seed = from_environment("STRONGROOM_MODEL_SEED", 1);
    let counts = RefCell::new(Counts::default());
    let mut seed = first_seed;
    while counts.borrow().calls < calls {
        let settings = Settings {
            require_token: seed.is_multiple_of(3),
            versions_max: if seed.is_multiple_of(4) { 110 } else { 1_000 },
            secrets_max: if seed.is_multiple_of(5) { 7 } else { 500_000 },
        };
        let config = Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
            max_shrink_iters: 3_000,
            max_shrink_time: 120_000,
            ..Config::default()
        };
        let is_first = Cell::new(true);
        let outcome = TestRunner::new(config).run(&operations::steps(STEPS), |steps| {
            // While a failure is made shorter, calls no longer count.
            let mut others = Counts::default();
            let mut counts = counts.borrow_mut();
            let counts = if is_first.replace(false) { &mut *counts } else { &mut others };
            Run::new(medium(seed), settings, seed, counts).all(&steps).map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(story, _)) => panic!("STRONGROOM_MODEL_SEED={seed}\n{story}"),
            Err(TestError::Abort(reason)) => panic!("STRONGROOM_MODEL_SEED={seed}: {reason}"),
        }
        seed += 1;
    }
    counts.into_inner()
}

#[test]
fn in_memory_the_engine_answers_as_the_reference_model_does() {
    let calls = from_environment("STRONGROOM_MODEL_OPERATIONS", CALLS_DEFAULT);
    let calls = calls - calls / CALLS_PER_CALL_ON_FILES;
    let counts = agree(calls, |_| Medium::Memory(MemoryBackend::new()));
    eprintln!("in memory: {}", counts.summary());
    if calls < CALLS_DEFAULT / 2 {
        return;
    }
    for operation in request::OPERATIONS {
        let (succeeded, failed) = counts.by_operation[operation];
        assert!(succeeded >= 20 && failed >= 20, "{operation}: {succeeded} succeeded, {failed} failed");
    }
    for code in [
        "ValidationException",
        "InvalidParameterException",
        "InvalidRequestException",
        "InvalidNextTokenException",
        "ResourceNotFoundException",
        "ResourceExistsException",
        "LimitExceededException",
        "MalformedPolicyDocumentException",
        "PublicPolicyException",
    ] {
        assert!(counts.by_code.get(code).is_some_and(|count| *count >= 10), "{code} must occur");
    }
    assert!(
        counts.purged > 0 && counts.removed_versions > 0 && counts.rotated > 0,
        "maintenance must have had something to do"
    );
}

#[test]
fn on_files_that_are_opened_again_the_engine_answers_as_the_reference_model_does() {
    let calls = from_environment("STRONGROOM_MODEL_OPERATIONS", CALLS_DEFAULT) / CALLS_PER_CALL_ON_FILES;
    let counts = agree(calls, |seed| {
        let durability = if seed.is_multiple_of(2) { Durability::Eventual } else { Durability::Immediate };
        Medium::Files(tempfile::tempdir().unwrap(), durability)
    });
    eprintln!("on files: {}", counts.summary());
}

/// Short runs in which the two once differed.
#[test]
fn what_once_told_them_apart_no_longer_does() {
    let named = |name: &str| Request::BatchGetSecretValue {
        ids: Some(vec![name.to_owned()]),
        filters: None,
        max: Some(1),
        next: None,
    };
    let value = Given { string: Some("one".to_owned()), binary: None };
    let create = Request::CreateSecret {
        name: "app".to_owned(),
        value: value.clone(),
        metadata: Metadata { token: Some("<fresh>".to_owned()), ..Metadata::default() },
        tags: None,
    };
    let put = Request::PutSecretValue {
        id: "app".to_owned(),
        token: Some("<fresh>".to_owned()),
        value,
        stages: None,
        rotation_token: Some(String::new()),
    };
    let burst = |count| Step::Burst(0, "app".to_owned(), count);
    let back = Step::Clock(-25 * 3_600_000);
    let runs = [
        ("an id with illegal characters, and a page size", vec![Step::Call(0, named("Inv Name"))]),
        ("a rotation token that is empty", vec![Step::Call(0, put)]),
        (
            "versions made after the clock went back are due before older ones",
            vec![Step::Call(0, create), burst(2), back, burst(100), Step::Maintain],
        ),
    ];
    let settings = Settings { require_token: true, versions_max: 1_000, secrets_max: 500_000 };
    let mut differences = String::new();
    for (what, steps) in runs {
        let mut counts = Counts::default();
        let run = Run::new(Medium::Memory(MemoryBackend::new()), settings, 1, &mut counts).all(&steps);
        if let Err(story) = run {
            let end = story.rsplit("\n\n").next().unwrap_or_default();
            differences.push_str(&format!("{what}: {end}\n"));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
