//! Functions that panic, talk too much, do nothing, do the wrong thing, or never come back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, ErrorKind, GetSecretValueRequest, PutSecretValueRequest,
    RotateSecretRequest, RotationError, RotationStep, SecretStore, SecretsManager, UpdateSecretVersionStageRequest,
};

use crate::fixture::{ARN, Bench, Free, STEPS, Scripted, at, builder, clock, days, token, work};

/// Longer than any test waits for something that does happen.
const PATIENCE: Duration = Duration::from_secs(60);
const OTHER: &str = "arn:aws:lambda:us-east-1:000000000000:function:other";

fn rotate(secrets: &SecretsManager, name: &str, arn: &str) {
    secrets.create_secret(CreateSecretRequest::new(name).secret_string("first")).unwrap();
    secrets.rotate_secret(RotateSecretRequest::new(name).rotation_lambda_arn(arn)).unwrap();
}

fn is_rotated(secrets: &SecretsManager, name: &str) -> bool {
    secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap().last_rotated_date.is_some()
}

fn last_failure(secrets: &SecretsManager, name: &str) -> String {
    let status = secrets.rotation_status(name).unwrap().unwrap();
    status.in_progress.unwrap().last_failure.unwrap().1
}

#[test]
fn a_panic_is_a_failed_step_and_keeps_nobody_from_anything() {
    for timeout in [None, Some(PATIENCE)] {
        for step in RotationStep::ALL {
            let panics = Arc::new(AtomicUsize::new(1));
            let left = Arc::clone(&panics);
            let function = Free::new(move |call| {
                let is_due = call.step == step && call.secret_id.contains(":secret:a-");
                let take = |left: usize| left.checked_sub(1);
                if is_due && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    panic!("this text must not be shown to anybody");
                }
                work(call, false)
            });
            let clock = clock("2026-01-15T12:00:00Z");
            let store = builder(&clock).rotation_function(ARN, function).rotation_timeout(timeout).open().unwrap();
            let secrets = store.default_secrets_manager();
            rotate(&secrets, "a", ARN);
            rotate(&secrets, "b", ARN);
            let report = store.maintain().unwrap();
            assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 1), "{step}");
            assert!(!is_rotated(&secrets, "a") && is_rotated(&secrets, "b"), "{step}");
            let reason = last_failure(&secrets, "a");
            assert!(reason.contains(&format!("during {step} step")) && !reason.contains("must not"), "{reason}");
            clock.advance(TimeDelta::minutes(1));
            assert_eq!(store.maintain().unwrap().rotated_secrets, 1, "{step}");
            store.close().unwrap();
        }
    }
}

#[test]
fn of_a_long_reason_only_the_beginning_is_kept() {
    for reason in ["x".repeat(10_000_000), "é".repeat(5_000_000), String::new(), "\0\n\"".repeat(100_000)] {
        let long = reason.clone();
        let bench = Bench::new(Scripted::new(move |_| Err(RotationError::new(long.clone()))));
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        assert_eq!(bench.maintain().failed_rotations, 1);
        let kept = last_failure(&bench.secrets, "db");
        assert!(kept.chars().count() <= 1_024, "{}", kept.chars().count());
        assert!(kept.starts_with("Error when executing lambda"), "{}", &kept[..40]);
        let shown: String = reason.chars().take(500).collect();
        assert!(kept.contains(&shown));
        bench.store.close().unwrap();
    }
}

#[test]
fn a_function_that_does_nothing_fails_in_the_end() {
    let bench = Bench::new(Scripted::new(|_| Ok(())));
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1))).unwrap();
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 1));
    assert_eq!(bench.steps(), STEPS);
    assert!(last_failure(&bench.secrets, "db").contains("AWSCURRENT"));
    assert_eq!((bench.labels().as_str(), bench.current().as_str()), ("1 CURRENT, 2 PENDING", "first"));
    assert_eq!(bench.describe().last_rotated_date, None);
    bench.advance(TimeDelta::minutes(1));
    assert_eq!(bench.maintain().failed_rotations, 1);
}

#[test]
fn a_function_that_does_everything_at_once_has_rotated() {
    let bench = Bench::new(Scripted::new(|call| {
        let put = PutSecretValueRequest::new(&call.secret_id, "made").client_request_token(&call.client_request_token);
        call.secrets.put_secret_value(put)?;
        Ok(())
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0));
    assert_eq!((bench.labels().as_str(), bench.current().as_str()), ("1 PREVIOUS, 2 CURRENT", "made"));
}

#[test]
fn a_function_that_makes_another_version_current_has_not_rotated() {
    let bench = Bench::new(Scripted::new(|call| {
        if call.step == RotationStep::FinishSecret {
            let request = UpdateSecretVersionStageRequest::new(&call.secret_id, "AWSCURRENT");
            let request = request.remove_from_version_id(token(1)).move_to_version_id(token(3));
            call.secrets.update_secret_version_stage(request)?;
            return Ok(());
        }
        work(call, false)
    }));
    bench.put(3, &["blue"]);
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 1));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 PENDING, 3 CURRENT+blue");
    assert_eq!(bench.describe().last_rotated_date, None);
    bench.function.answers(|call| work(call, false));
    bench.advance(TimeDelta::minutes(1));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.labels(), "2 CURRENT+PENDING, 3 PREVIOUS+blue");
}

#[test]
fn a_function_that_puts_a_value_of_its_own_ends_its_rotation() {
    let bench = Bench::new(Scripted::new(|call| {
        let put = PutSecretValueRequest::new(&call.secret_id, "of my own").client_request_token(token(9));
        call.secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
        Ok(())
    }));
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1))).unwrap();
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 1));
    assert_eq!(bench.labels(), "1 CURRENT, 9 PENDING");
    // The schedule goes on with what is pending.
    bench.function.answers(|call| work(call, false));
    bench.at("2026-01-16T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!((bench.labels().as_str(), bench.current().as_str()), ("1 PREVIOUS, 9 CURRENT+PENDING", "of my own"));
}

#[test]
fn a_function_may_use_other_secrets_and_rotate_them() {
    let clock = clock("2026-01-15T12:00:00Z");
    let first = Free::new(|call| {
        if call.step == RotationStep::SetSecret {
            rotate(&call.secrets, "second", OTHER);
            let admin = call.secrets.get_secret_value(GetSecretValueRequest::new("admin"))?;
            assert_eq!(admin.secret_string.unwrap().expose(), "first");
        }
        work(call, false)
    });
    for is_inline in [false, true] {
        let builder = builder(&clock).rotation_function(ARN, first.clone()).rotate_inline(is_inline);
        let store = builder.rotation_function(OTHER, Free::new(|call| work(call, false))).open().unwrap();
        let secrets = store.default_secrets_manager();
        secrets.create_secret(CreateSecretRequest::new("admin").secret_string("first")).unwrap();
        rotate(&secrets, "first", ARN);
        if !is_inline {
            store.maintain().unwrap();
            store.maintain().unwrap();
        }
        assert!(is_rotated(&secrets, "first") && is_rotated(&secrets, "second"), "inline: {is_inline}");
    }
}

#[test]
fn a_function_may_maintain_the_store_that_calls_it() {
    let slot: Arc<Mutex<Option<Arc<SecretStore>>>> = Arc::default();
    let inner = Arc::clone(&slot);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let function = Free::new(move |call| {
        counted.fetch_add(1, Ordering::SeqCst);
        let store = Arc::clone(inner.lock().unwrap().as_ref().unwrap());
        let report = store.maintain().unwrap();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 0));
        work(call, false)
    });
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, function).open().unwrap();
    let store = Arc::new(store);
    *slot.lock().unwrap() = Some(Arc::clone(&store));
    let secrets = store.default_secrets_manager();
    rotate(&secrets, "db", ARN);
    assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    slot.lock().unwrap().take();
}

/// A function that hangs when it is called for the secret `hanging`, until it is told to go on.
struct Hanging {
    function: Free,
    entered: Receiver<String>,
    go_on: Sender<()>,
    returned: Receiver<Result<(), RotationError>>,
}

impl Hanging {
    fn new(step: RotationStep) -> Self {
        let (enter, entered) = channel();
        let (go_on, wait) = channel::<()>();
        let (give, returned) = channel();
        let wait = Mutex::new(wait);
        let function = Free::new(move |call| {
            if call.secret_id.contains(":hanging-") && call.step == step {
                enter.send(call.client_request_token.clone()).unwrap();
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                let outcome = work(call, false);
                // Nobody may be left to hear it.
                _ = give.send(outcome.clone());
                return outcome;
            }
            work(call, false)
        });
        Self { function, entered, go_on, returned }
    }
}

#[test]
fn a_call_that_does_not_return_is_given_up_and_the_secret_left_alone_until_it_does() {
    let hanging = Hanging::new(RotationStep::SetSecret);
    let clock = clock("2026-01-15T12:00:00Z");
    let builder = builder(&clock).rotation_function(ARN, hanging.function.clone());
    let store = builder.rotation_timeout(Some(Duration::from_millis(50))).open().unwrap();
    let secrets = store.default_secrets_manager();
    rotate(&secrets, "hanging", ARN);
    rotate(&secrets, "other", ARN);
    let report = store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 1));
    assert!(is_rotated(&secrets, "other"));
    assert!(last_failure(&secrets, "hanging").contains("did not return within 0.05 seconds"));
    let version = hanging.entered.recv_timeout(PATIENCE).unwrap();

    // Its next attempts are due, and not made; everything else goes on.
    for name in ["one", "two"] {
        clock.advance(TimeDelta::minutes(1));
        rotate(&secrets, name, ARN);
        let report = store.maintain().unwrap();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0), "{name}");
    }
    secrets.get_secret_value(GetSecretValueRequest::new("hanging")).unwrap();
    assert_eq!(hanging.entered.try_recv().ok(), None);

    // It returns after all; then the rotation is made again, with the same version.
    hanging.go_on.send(()).unwrap();
    hanging.returned.recv_timeout(PATIENCE).unwrap().unwrap();
    hanging.go_on.send(()).unwrap();
    for _ in 0..1_000_000 {
        if store.maintain().unwrap().rotated_secrets == 1 {
            break;
        }
        thread::yield_now();
    }
    assert!(is_rotated(&secrets, "hanging"));
    assert_eq!(hanging.entered.try_recv().ok(), Some(version.clone()));
    let read = secrets.get_secret_value(GetSecretValueRequest::new("hanging")).unwrap();
    assert_eq!(read.version_id, version);
}

#[test]
fn a_store_can_be_closed_while_a_call_hangs() {
    let hanging = Hanging::new(RotationStep::FinishSecret);
    let directory = tempfile::tempdir().unwrap();
    let clock = clock("2026-01-15T12:00:00Z");
    let open = |function: Free| {
        let builder = SecretStore::builder(directory.path().join("store"));
        let builder = builder.key_provider(strongroom::StaticKey::new([7; 32])).clock(clock.clone());
        let builder = builder.rotation_timeout(Some(Duration::from_millis(50)));
        builder.rotation_function(ARN, function).test_only(true).open().unwrap()
    };
    let store = open(hanging.function.clone());
    let secrets = store.default_secrets_manager();
    rotate(&secrets, "hanging", ARN);
    assert_eq!(store.maintain().unwrap().failed_rotations, 1);
    let version = hanging.entered.recv_timeout(PATIENCE).unwrap();
    store.close().unwrap();

    // Another one is opened in its place, while the call of the first still hangs.
    let store = open(Free::new(|call| work(call, false)));
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
    let read = |store: &SecretStore| {
        let secrets = store.default_secrets_manager();
        secrets.get_secret_value(GetSecretValueRequest::new("hanging")).unwrap().version_id
    };
    assert_eq!(read(&store), version);
    hanging.go_on.send(()).unwrap();
    let outcome = hanging.returned.recv_timeout(PATIENCE).unwrap();
    assert!(outcome.is_err(), "what it holds is closed");
    assert_eq!(*secrets.get_secret_value(GetSecretValueRequest::new("hanging")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(read(&store), version);
    store.close().unwrap();
}

#[test]
fn a_call_that_returns_too_late_does_not_count() {
    let hanging = Hanging::new(RotationStep::FinishSecret);
    let clock = clock("2026-01-15T12:00:00Z");
    let builder = builder(&clock).rotation_function(ARN, hanging.function.clone());
    let store = builder.rotation_timeout(Some(Duration::from_millis(50))).open().unwrap();
    let secrets = store.default_secrets_manager();
    rotate(&secrets, "hanging", ARN);
    assert_eq!(store.maintain().unwrap().failed_rotations, 1);
    hanging.go_on.send(()).unwrap();
    hanging.returned.recv_timeout(PATIENCE).unwrap().unwrap();
    // It did its work, and the rotation counts as done when the next attempt has found that.
    assert!(!is_rotated(&secrets, "hanging"));
    hanging.go_on.send(()).unwrap();
    clock.advance(TimeDelta::minutes(1));
    for _ in 0..1_000_000 {
        if store.maintain().unwrap().rotated_secrets == 1 {
            break;
        }
        thread::yield_now();
    }
    let described = secrets.describe_secret(DescribeSecretRequest::new("hanging")).unwrap();
    assert_eq!(described.last_rotated_date, Some(at("2026-01-15T12:01:00Z")));
}

#[test]
fn without_a_timeout_a_function_is_called_by_whoever_maintains_the_store() {
    for (timeout, is_here) in [(None, true), (Some(PATIENCE), false)] {
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let function = Free::new(move |call| {
            tell.lock().unwrap().send(thread::current().id()).unwrap();
            work(call, false)
        });
        let clock = clock("2026-01-15T12:00:00Z");
        let store = builder(&clock).rotation_function(ARN, function).rotation_timeout(timeout).open().unwrap();
        rotate(&store.default_secrets_manager(), "db", ARN);
        assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
        let threads: Vec<_> = told.try_iter().collect();
        assert_eq!(threads.len(), 4);
        assert!(threads.iter().all(|id| (*id == thread::current().id()) == is_here), "{timeout:?}");
    }
}
