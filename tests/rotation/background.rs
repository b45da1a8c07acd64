//! A store with a thread of its own, and rotation before RotateSecret returns.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, MaintenanceReport, RotateSecretRequest, RotationStep, SecretStore,
};

use crate::fixture::{ARN, Bench, Free, Scripted, at, builder, clock, days, token, work};

const PATIENCE: Duration = Duration::from_secs(60);
/// So long that whatever happens before is not for its sake.
const INTERVAL: Duration = Duration::from_secs(86_400);

struct Background {
    clock: ManualClock,
    store: SecretStore,
    steps: Receiver<(RotationStep, String)>,
    reports: Receiver<MaintenanceReport>,
}

impl Background {
    fn new(
        work: impl Fn(&strongroom::RotationCall) -> Result<(), strongroom::RotationError> + Send + Sync + 'static,
    ) -> Self {
        let (tell, steps) = channel();
        let (report, reports) = channel();
        let (tell, report) = (Mutex::new(tell), Mutex::new(report));
        let function = Free::new(move |call| {
            _ = tell.lock().unwrap().send((call.step, call.client_request_token.clone()));
            work(call)
        });
        let clock = clock("2026-01-15T12:00:00Z");
        let builder = builder(&clock).rotation_function(ARN, function);
        let builder = builder.background_maintenance(INTERVAL, move |done| {
            _ = report.lock().unwrap().send(done.as_ref().unwrap().clone());
        });
        let store = builder.open().unwrap();
        let background = Self { clock, store, steps, reports };
        // It looks as soon as it is opened.
        assert_eq!(background.report(), MaintenanceReport::default());
        background
    }

    fn report(&self) -> MaintenanceReport {
        self.reports.recv_timeout(PATIENCE).unwrap()
    }

    /// The next report that tells of something that was done.
    fn done(&self) -> MaintenanceReport {
        loop {
            let report = self.report();
            if report.rotated_secrets + report.tested_rotations + report.failed_rotations > 0 {
                return report;
            }
        }
    }

    fn rotate(&self, name: &str, number: u32) {
        let secrets = self.store.default_secrets_manager();
        let request = RotateSecretRequest::new(name).client_request_token(token(number)).rotation_lambda_arn(ARN);
        secrets.rotate_secret(request).unwrap();
    }

    fn create(&self, name: &str) {
        let create = CreateSecretRequest::new(name).client_request_token(token(1)).secret_string("first");
        self.store.default_secrets_manager().create_secret(create).unwrap();
    }
}

#[test]
fn a_rotation_that_is_begun_wakes_the_thread() {
    let background = Background::new(|call| work(call, false));
    background.create("db");
    for number in 2..5 {
        background.rotate("db", number);
        for step in RotationStep::ALL {
            assert_eq!(background.steps.recv_timeout(PATIENCE).unwrap(), (step, token(number)));
        }
        assert_eq!(background.done().rotated_secrets, 1);
    }
    background.store.close().unwrap();
}

#[test]
fn what_became_due_because_the_clock_moved_is_done_when_the_thread_is_woken() {
    let background = Background::new(|call| work(call, false));
    for name in ["db", "other"] {
        background.create(name);
    }
    let secrets = background.store.default_secrets_manager();
    let request = RotateSecretRequest::new("db").rotation_lambda_arn(ARN).rotation_rules(days(3));
    secrets.rotate_secret(request.rotate_immediately(false)).unwrap();
    assert_eq!(background.done().tested_rotations, 1);
    background.clock.set(at("2026-01-18T00:00:00Z"));
    background.rotate("other", 2);
    let mut rotated = 0;
    while rotated < 2 {
        rotated += background.done().rotated_secrets;
    }
    let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
    assert_eq!(described.last_rotated_date, Some(at("2026-01-18T00:00:00Z")));
}

#[test]
fn a_rotation_that_fails_is_tried_again_when_its_time_has_come() {
    let background = Background::new(|call| match call.step {
        RotationStep::CreateSecret => Err("no".into()),
        _ => work(call, false),
    });
    for name in ["db", "bell"] {
        background.create(name);
    }
    background.rotate("db", 2);
    let report = background.done();
    assert_eq!((report.failed_rotations, report.next_due_at), (1, Some(at("2026-01-15T12:01:00Z"))));
    background.clock.advance(TimeDelta::minutes(1));
    background.rotate("bell", 2);
    let mut failed = 0;
    while failed < 2 {
        failed += background.done().failed_rotations;
    }
    let status = background.store.default_secrets_manager().rotation_status("db").unwrap().unwrap();
    assert_eq!(status.in_progress.unwrap().attempts, 2);
}

#[test]
fn the_thread_ends_when_the_last_handle_goes() {
    for is_closed in [true, false] {
        let Background { clock: _, store, steps, reports } = Background::new(|call| work(call, false));
        if is_closed {
            store.close().unwrap();
        } else {
            drop(store);
        }
        // What it told goes away with it.
        loop {
            match reports.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, std::sync::mpsc::RecvTimeoutError::Disconnected, "closed: {is_closed}");
                    break;
                }
            }
        }
        assert_eq!(steps.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn a_panic_in_a_function_leaves_the_thread_at_work() {
    let background = Background::new(|call| {
        if call.secret_id.contains(":panics-") {
            panic!("on purpose");
        }
        work(call, false)
    });
    background.create("panics");
    background.create("db");
    background.rotate("panics", 2);
    assert_eq!(background.done().failed_rotations, 1);
    background.rotate("db", 2);
    assert_eq!(background.done().rotated_secrets, 1);
}

#[test]
fn inline_the_rotation_is_over_when_the_call_returns() {
    let bench = Bench::with(Scripted::working(), |builder| builder.rotate_inline(true));
    let begun = bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
    assert_eq!(begun.version_id, token(2));
    assert_eq!(bench.steps().len(), 4);
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-01-15T12:00:00Z")));
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.next_due_at), (0, Some(at("2026-01-18T00:00:00Z"))));
    // A function that is only tried is tried inline too.
    bench.secrets.rotate_secret(bench.rotate(3).rotate_immediately(false)).unwrap();
    assert_eq!(bench.steps(), ["testSecret"]);
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT");
}

#[test]
fn inline_a_failure_does_not_change_the_response_and_is_tried_again() {
    for is_panic in [false, true] {
        let bench = Bench::with(Scripted::working(), |builder| builder.rotate_inline(true).rotation_timeout(None));
        let reason = move |_: &strongroom::RotationCall| {
            assert!(!is_panic, "on purpose");
            Err("no".into())
        };
        let function = Free::new(reason);
        let clock = bench.clock.clone();
        let store = builder(&clock).rotation_function(ARN, function).rotate_inline(true).open().unwrap();
        let secrets = store.default_secrets_manager();
        secrets.create_secret(CreateSecretRequest::new("db").secret_string("first")).unwrap();
        assert_eq!(secrets.rotate_secret(bench.rotate(2)).unwrap().version_id, token(2));
        let job = secrets.rotation_status("db").unwrap().unwrap().in_progress.unwrap();
        assert_eq!((job.attempts, job.next_attempt_at), (1, Some(at("2026-01-15T12:01:00Z"))));
        clock.advance(TimeDelta::minutes(1));
        assert_eq!(store.maintain().unwrap().failed_rotations, 1);
    }
}
