//! Windows that begin while something else is going on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Clock, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, RestoreSecretRequest, RotateSecretRequest,
    RotationCall, RotationError, RotationFunction, RotationRules, SecretStore, StaticKey, Timestamp,
};

use crate::year::{ARN, do_step};

/// A function that can be told to fail.
#[derive(Debug, Clone, Default)]
struct Function {
    is_failing: Arc<AtomicBool>,
}

impl RotationFunction for Function {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        if self.is_failing.load(Ordering::SeqCst) { Err("it was told to fail".into()) } else { do_step(call, false) }
    }
}

struct Bench {
    clock: ManualClock,
    function: Function,
    store: SecretStore,
}

impl Bench {
    /// A store with the secret `db`, rotated by these rules and at once, and with another one that is not due for long.
    fn new(now: &str, rules: RotationRules) -> Self {
        let (clock, function) = (ManualClock::new(at(now)), Function::default());
        let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).clock(clock.clone());
        let builder = builder.entropy(SeededEntropy::new(1)).rotation_function(ARN, function.clone());
        let store = builder.rotation_timeout(None).open().unwrap();
        let secrets = store.default_secrets_manager();
        for (name, rules) in [("db", rules), ("another", RotationRules::new().automatically_after_days(1_000))] {
            secrets.create_secret(CreateSecretRequest::new(name).secret_string("first")).unwrap();
            let rotate = RotateSecretRequest::new(name).rotation_lambda_arn(ARN).rotation_rules(rules);
            secrets.rotate_secret(rotate).unwrap();
        }
        assert_eq!(store.maintain().unwrap().rotated_secrets, 2);
        Self { clock, function, store }
    }

    fn last_rotated(&self) -> Option<Timestamp> {
        let described = self.store.default_secrets_manager().describe_secret(DescribeSecretRequest::new("db"));
        described.unwrap().last_rotated_date
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A secret misses a window while it is scheduled for deletion, and is restored when the next one is open already. That one
/// is used, in the first call of `maintain` within it.
#[test]
fn a_window_that_is_open_when_the_secret_is_restored_is_used() {
    let rows = [
        ("rate(1 day)", "6h", "2027-06-03T04:00:00Z"),
        ("rate(6 hours)", "2h", "2027-06-02T13:30:00Z"),
        ("cron(0 0/8 * * ? *)", "3h", "2027-06-02T10:00:00Z"),
    ];
    for (expression, duration, restored) in rows {
        let rules = RotationRules::new().schedule_expression(expression).duration(duration);
        let bench = Bench::new("2027-06-01T12:20:00Z", rules);
        let secrets = bench.store.default_secrets_manager();
        bench.clock.set(at("2027-06-01T12:30:00Z"));
        secrets.delete_secret(DeleteSecretRequest::new("db")).unwrap();
        bench.clock.set(at(restored));
        secrets.restore_secret(RestoreSecretRequest::new("db")).unwrap();
        let report = bench.store.maintain().unwrap();
        assert_eq!(report.rotated_secrets, 1, "{expression}, open for {duration}: {report:?}");
        assert_eq!(bench.last_rotated(), Some(at(restored)), "{expression}, open for {duration}");
    }
}

/// The attempts of a rotation that was asked for go on beyond the start of a window. When they are used up, the window is
/// still open, and whoever comes back when `maintain` says so finds the rotation due.
#[test]
fn a_window_that_begins_during_the_attempts_of_another_rotation_is_not_forgotten() {
    let rules = RotationRules::new().automatically_after_days(1);
    let bench = Bench::new("2027-06-01T12:00:00Z", rules);
    bench.clock.set(at("2027-06-01T23:50:00Z"));
    bench.function.is_failing.store(true, Ordering::SeqCst);
    bench.store.default_secrets_manager().rotate_secret(RotateSecretRequest::new("db")).unwrap();
    for minutes in [1, 2, 4, 8, 0] {
        let report = bench.store.maintain().unwrap();
        assert_eq!(report.failed_rotations, 1, "at {}", bench.clock.now());
        if minutes > 0 {
            assert_eq!(report.next_due_at, Some(bench.clock.now() + TimeDelta::minutes(minutes)));
            bench.clock.advance(TimeDelta::minutes(minutes));
        } else {
            bench.function.is_failing.store(false, Ordering::SeqCst);
            let due = report.next_due_at.unwrap();
            assert!(due < at("2027-06-03T00:00:00Z"), "it is to be looked at again only at {due}");
            bench.clock.set(due.max(bench.clock.now()));
        }
    }
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
}
