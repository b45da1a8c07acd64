//! A store that is closed between any two steps goes on where it was, with the same version.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    Builder, CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, RotateSecretRequest, RotationFunction,
    RotationStep, SecretStore, StaticKey,
};

use crate::fixture::{ARN, Free, STEPS, Scripted, at, clock, days, token, work};

const PATIENCE: Duration = Duration::from_secs(60);
/// So long that nothing happens for its sake.
const INTERVAL: Duration = Duration::from_secs(86_400);

struct Files {
    directory: tempfile::TempDir,
    clock: ManualClock,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: clock("2026-01-15T12:00:00Z") }
    }

    fn open(&self, function: impl RotationFunction + 'static) -> SecretStore {
        self.open_with(function, |builder| builder)
    }

    fn open_with(
        &self,
        function: impl RotationFunction + 'static,
        with: impl FnOnce(Builder) -> Builder,
    ) -> SecretStore {
        let builder = SecretStore::builder(self.directory.path().join("store")).key_provider(StaticKey::new([7; 32]));
        with(builder.clock(self.clock.clone()).rotation_function(ARN, function)).open().unwrap()
    }

    fn begun(&self, function: impl RotationFunction + 'static) -> SecretStore {
        self.begun_with(function, |builder| builder)
    }

    /// A secret whose rotation to version 2 was begun.
    fn begun_with(
        &self,
        function: impl RotationFunction + 'static,
        with: impl FnOnce(Builder) -> Builder,
    ) -> SecretStore {
        let store = self.open_with(function, with);
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first");
        secrets.create_secret(create).unwrap();
        let request = RotateSecretRequest::new("db").client_request_token(token(2)).rotation_lambda_arn(ARN);
        secrets.rotate_secret(request.rotation_rules(days(3))).unwrap();
        store
    }

    /// Opens the store, and sees the rotation through.
    fn finish(&self, what: &str) {
        let function = Scripted::working();
        let store = self.open(function.clone());
        let report = store.maintain().unwrap();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0), "{what}");
        let calls = function.calls();
        assert_eq!(calls.iter().map(|(step, _)| step.as_str()).collect::<Vec<_>>(), STEPS, "{what}");
        assert!(calls.iter().all(|(_, id)| *id == token(2)), "{what}");
        let secrets = store.default_secrets_manager();
        let read = secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("made for {}", token(2)), "{what}");
        let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
        assert_eq!(described.version_ids_to_stages.unwrap().len(), 2, "{what}");
        assert_eq!(described.last_rotated_date, Some(strongroom::Clock::now(&self.clock)), "{what}");
        assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")), "{what}");
        store.close().unwrap();
    }
}

#[test]
fn a_rotation_that_was_begun_is_carried_on() {
    for is_closed in [true, false] {
        let files = Files::new();
        let store = files.begun(Scripted::working());
        if is_closed {
            store.close().unwrap();
        } else {
            drop(store);
        }
        files.finish(&format!("closed: {is_closed}"));
    }
}

#[test]
fn a_store_that_is_closed_before_or_after_the_work_of_any_step_carries_on() {
    for step in RotationStep::ALL {
        for is_done in [false, true] {
            let what = format!("{step}, its work was done: {is_done}");
            let files = Files::new();
            let (enter, entered) = channel();
            let (go_on, wait) = channel::<()>();
            let wait = Mutex::new(wait);
            let function = Free::new(move |call| {
                if call.step != step {
                    return work(call, false);
                }
                if is_done {
                    work(call, false)?;
                }
                enter.send(()).unwrap();
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                work(call, false)
            });
            let (report, reports) = channel();
            let report = Mutex::new(report);
            let store = files.begun_with(function, |builder| {
                builder.background_maintenance(INTERVAL, move |done| {
                    _ = report.lock().unwrap().send(done.is_ok());
                })
            });
            entered.recv_timeout(PATIENCE).unwrap();
            store.close().unwrap();
            go_on.send(()).unwrap();
            // It cannot note anything any more.
            assert_eq!(reports.iter().last(), Some(false), "{what}");
            files.finish(&what);
        }
    }
}

#[test]
fn attempts_are_counted_over_restarts() {
    let files = Files::new();
    files.begun(Scripted::working()).close().unwrap();
    for (attempt, minutes) in [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8)] {
        files.clock.advance(TimeDelta::minutes(minutes));
        let store = files.open(Scripted::new(|_| Err("no".into())));
        assert_eq!(store.maintain().unwrap().failed_rotations, 1, "attempt {attempt}");
        let status = store.default_secrets_manager().rotation_status("db").unwrap().unwrap();
        assert_eq!(status.in_progress.unwrap().attempts, attempt);
        store.close().unwrap();
    }
    let store = files.open(Scripted::new(|_| Err("no".into())));
    assert_eq!(store.maintain().unwrap().failed_rotations, 0);
    // All that is known of it is known again.
    let secrets = store.default_secrets_manager();
    let job = secrets.rotation_status("db").unwrap().unwrap().in_progress.unwrap();
    assert_eq!((job.version_id, job.next_attempt_at), (token(2), None));
    let (failed_at, reason) = job.last_failure.unwrap();
    assert_eq!(failed_at, at("2026-01-15T12:15:00Z"));
    assert!(reason.ends_with("no"), "{reason}");
}

#[test]
fn a_store_that_crashes_again_and_again_does_not_try_for_ever() {
    let files = Files::new();
    files.begun(Scripted::working()).close().unwrap();
    let mut called = 0;
    for _ in 0..8 {
        let (enter, entered) = channel();
        let (go_on, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let ended = enter.clone();
        let function = Free::new(move |_| {
            enter.send(true).unwrap();
            _ = wait.lock().unwrap().recv_timeout(PATIENCE);
            Ok(())
        });
        let ended = Mutex::new(ended);
        let store = files.open_with(function, |builder| {
            builder.background_maintenance(INTERVAL, move |_| _ = ended.lock().unwrap().send(false))
        });
        // Either it is called, or the maintenance ends without.
        called += usize::from(entered.recv_timeout(PATIENCE).unwrap());
        store.close().unwrap();
        _ = go_on.send(());
    }
    assert_eq!(called, 5);
}

#[test]
fn a_schedule_is_kept() {
    let files = Files::new();
    let store = files.begun(Scripted::working());
    assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
    let secrets = store.default_secrets_manager();
    let before = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
    let status = secrets.rotation_status("db").unwrap();
    store.close().unwrap();
    let store = files.open(Scripted::working());
    let secrets = store.default_secrets_manager();
    assert_eq!(secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap(), before);
    assert_eq!(secrets.rotation_status("db").unwrap(), status);
    assert_eq!(store.maintain().unwrap().next_due_at, Some(at("2026-01-18T00:00:00Z")));
    files.clock.set(at("2026-01-18T00:00:00Z"));
    assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
}
