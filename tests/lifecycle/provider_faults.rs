//! Key providers that fail in the middle of an operation on keys.

use strongroom::KeyOptions;
use strongroom::testing::FaultyProvider;

use crate::faults::{Prepared, prepared};
use crate::keys::Watched;
use crate::operations::{ALL, Operation, is_outage};
use crate::stores::{assert_clean, copied, fill, on, seen};

const SEEDS: u64 = 12;

/// An operation that says that it is done is done, whichever call of the provider failed in it.
fn fail_each_call(operation: Operation, prepared: &Prepared) -> u64 {
    for number in 0.. {
        let what = format!("{operation:?}, call {number} of the provider");
        let memory = copied(&prepared.memory);
        let keys = Watched::new(prepared.keyring.clone());
        let store = on(memory.clone(), keys.clone(), &prepared.clock).open().unwrap();
        keys.fail_call(number);
        let result = operation.run(&store, &prepared.cast, &mut |_| {});
        let has_failed = keys.stop_failing();
        match result {
            Ok(()) => {
                prepared.check_done(store, &memory, operation, &what);
                if !has_failed {
                    return number;
                }
            }
            Err(error) => {
                assert!(is_outage(&error), "{what}: {error:?}");
                assert_clean(&store);
                assert!(seen(&store) == prepared.seen, "{what}: something else is seen");
                // The store is as usable as before, and the operation is repeated on it.
                operation.run(&store, &prepared.cast, &mut |_| {}).unwrap();
                prepared.check_done(store, &memory, operation, &what);
            }
        }
    }
    0
}

fn check(operation: Operation) {
    let prepared = prepared(6, 0);
    let calls = fail_each_call(operation, &prepared);
    eprintln!("calls of the key provider that failed in {}: {calls}, 0 values lost", operation.name());
}

#[test]
fn an_outage_in_any_call_of_rewrap_is_reported_and_gone_on_from() {
    check(Operation::Rewrap);
}

#[test]
fn an_outage_in_any_call_of_reencrypt_is_reported_and_gone_on_from() {
    check(Operation::Reencrypt);
}

#[test]
fn an_outage_in_any_call_of_add_recipient_is_reported_and_gone_on_from() {
    check(Operation::AddRecipient);
}

#[test]
fn an_outage_in_any_call_of_drop_wraps_is_reported_and_gone_on_from() {
    check(Operation::DropWraps);
}

#[test]
fn an_outage_in_any_call_of_rotate_root_key_is_reported_and_gone_on_from() {
    check(Operation::RotateRootKey);
}

#[test]
fn an_outage_in_any_call_of_shred_is_reported_and_gone_on_from() {
    check(Operation::Shred);
}

/// Repeats an operation over a provider that fails now and then until it says that it is done.
#[test]
fn operations_over_a_provider_that_fails_now_and_then_come_to_an_end() {
    let prepared = prepared(6, 0);
    let (mut failures, mut runs) = (0, 0);
    for operation in ALL {
        for seed in 0..SEEDS {
            let what = format!("{operation:?}, seed {seed}");
            let memory = copied(&prepared.memory);
            let keys = FaultyProvider::new(prepared.keyring.clone(), seed);
            let store = on(memory.clone(), keys.clone(), &prepared.clock).open().unwrap();
            keys.fail_per_cent(3);
            let mut tries = 0;
            while let Err(error) = operation.run(&store, &prepared.cast, &mut |_| {}) {
                // A wrap that only looked like the last one is a problem of the report, and no more is lost by that.
                let is_kept = *error.kind() == strongroom::ErrorKind::InvalidRequest;
                assert!(is_outage(&error) || is_kept, "{what}: {error:?}");
                (failures, tries) = (failures + 1, tries + 1);
                assert!(tries < 2_000, "{what}: it never ends");
            }
            keys.fail_per_cent(0);
            assert_clean(&store);
            assert!(seen(&store) == prepared.seen, "{what}: something else is seen");
            operation.run(&store, &prepared.cast, &mut |_| {}).unwrap();
            prepared.check_done(store, &memory, operation, &what);
            runs += 1;
        }
    }
    eprintln!("operations over a provider that fails now and then: {runs} runs, {failures} failures, 0 values lost");
    assert!(failures > runs / 4);
}

/// What was encrypted anew before the outage is not encrypted once more: one batch of each account at most.
#[test]
fn an_interrupted_encryption_goes_on_where_it_stopped() {
    let keyring = strongroom::LocalKeyring::in_memory();
    let keys = Watched::new(keyring);
    let clock = strongroom::testing::ManualClock::at_millis(crate::stores::NOW);
    let store = on(strongroom::MemoryBackend::new(), keys.clone(), &clock).open().unwrap();
    // A hundred secrets in each of three accounts, in batches of 64.
    fill(&store, 0..300, 1, |_| None);
    let before = keys.wraps();
    keys.fail_call(3 * 250);
    assert!(is_outage(&store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap_err()));
    assert!(keys.stop_failing());
    let first = keys.wraps() - before;
    let report = store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    let second = keys.wraps() - before - first;
    assert!(report.was_resumed);
    assert_eq!((report.secrets, report.versions, report.problems_total), (300, 300, 0));
    assert!(first > 150, "{first} wraps before the outage");
    assert!(first + second <= 300 + 64, "{first} wraps before the outage and {second} after it");
    assert!(!store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap().was_resumed);
}
