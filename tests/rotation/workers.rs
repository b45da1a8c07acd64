//! Many secrets, many threads: nobody is called twice at a time, nobody is forgotten, and the order is that of their dates.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, RotateSecretRequest, RotationRules, RotationStep, SecretsManager,
};

use crate::fixture::{ARN, Free, at, builder, clock, days, expression, token, work};

fn create(secrets: &SecretsManager, name: &str, rules: Option<RotationRules>) {
    secrets.create_secret(CreateSecretRequest::new(name).secret_string("first")).unwrap();
    let mut request = RotateSecretRequest::new(name).rotation_lambda_arn(ARN);
    request.rotate_immediately = Some(rules.is_none());
    request.rotation_rules = rules;
    secrets.rotate_secret(request).unwrap();
}

fn name_of(arn: &str) -> String {
    let name = arn.rsplit(':').next().unwrap();
    name[..name.len() - 7].to_owned()
}

/// Lets nobody pass before so many have come, or a long time has passed.
struct Gate {
    wanted: usize,
    inside: Mutex<usize>,
    came: Condvar,
}

impl Gate {
    /// Whether they all came.
    fn wait(&self) -> bool {
        let mut inside = self.inside.lock().unwrap();
        *inside += 1;
        self.came.notify_all();
        let is_short = |inside: &mut usize| *inside < self.wanted;
        let waited = self.came.wait_timeout_while(inside, Duration::from_secs(60), is_short).unwrap();
        !waited.1.timed_out()
    }
}

#[test]
fn as_many_secrets_are_rotated_at_a_time_as_there_are_workers_and_no_more() {
    const WORKERS: usize = 4;
    let gate = Gate { wanted: WORKERS, inside: Mutex::default(), came: Condvar::new() };
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, max) = (Arc::clone(&inside), Arc::clone(&most));
    let function = Free::new(move |call| {
        max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let did_all_come = call.step != RotationStep::CreateSecret || gate.wait();
        let done = work(call, false);
        now.fetch_sub(1, Ordering::SeqCst);
        if did_all_come { done } else { Err("alone".into()) }
    });
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, function).rotation_workers(WORKERS).open().unwrap();
    let secrets = store.default_secrets_manager();
    for n in 0..13 {
        create(&secrets, &format!("secret{n}"), None);
    }
    let report = store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (13, 0));
    assert_eq!((inside.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, WORKERS));
}

#[test]
fn a_single_worker_rotates_in_the_order_in_which_secrets_are_due() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let called = Arc::clone(&order);
    let function = Free::new(move |call| {
        called.lock().unwrap().push((name_of(&call.secret_id), call.step));
        work(call, false)
    });
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, function).open().unwrap();
    let secrets = store.default_secrets_manager();
    for (name, rules) in [
        ("e", days(9)),
        ("b", expression("cron(0 18 15 * ? *)")),
        ("a", expression("rate(4 hours)")),
        ("d", days(8)),
        ("c", expression("cron(0 22 15 * ? *)")),
    ] {
        create(&secrets, name, Some(rules));
    }
    assert_eq!(store.maintain().unwrap().tested_rotations, 5);
    order.lock().unwrap().clear();
    clock.set(at("2026-01-24T00:00:00Z"));
    assert_eq!(store.maintain().unwrap().rotated_secrets, 5);
    let order = order.lock().unwrap();
    let expected: Vec<_> = ["a", "b", "c", "d", "e"]
        .iter()
        .flat_map(|name| RotationStep::ALL.map(|step| ((*name).to_owned(), step)))
        .collect();
    assert_eq!(*order, expected);
}

#[test]
fn however_many_maintain_the_store_at_a_time_no_secret_is_called_twice_at_a_time() {
    for workers in [1, 3] {
        let inside: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let calls: Arc<Mutex<BTreeMap<String, Vec<RotationStep>>>> = Arc::default();
        let (now, all) = (Arc::clone(&inside), Arc::clone(&calls));
        let function = Free::new(move |call| {
            let name = name_of(&call.secret_id);
            let count = {
                let mut now = now.lock().unwrap();
                let count = now.entry(name.clone()).or_default();
                *count += 1;
                *count
            };
            assert_eq!(count, 1, "{name} is called twice at a time");
            all.lock().unwrap().entry(name.clone()).or_default().push(call.step);
            thread::yield_now();
            let done = work(call, false);
            *now.lock().unwrap().get_mut(&name).unwrap() -= 1;
            done
        });
        let clock = clock("2026-01-15T12:00:00Z");
        let store = builder(&clock).rotation_function(ARN, function).rotation_workers(workers).open().unwrap();
        let secrets = store.default_secrets_manager();
        for n in 0..6 {
            create(&secrets, &format!("secret{n}"), None);
        }
        let rotated: u64 = thread::scope(|scope| {
            let maintain = || {
                let report = store.maintain().unwrap();
                assert_eq!(report.failed_rotations, 0);
                report.rotated_secrets
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(maintain)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(rotated, 6);
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), 6);
        assert!(calls.values().all(|steps| *steps == RotationStep::ALL), "{calls:?}");
    }
}

#[test]
fn one_secret_that_is_asked_for_by_many_at_a_time_is_rotated_once() {
    for is_inline in [false, true] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let function = Free::new(move |call| {
            counted.fetch_add(1, Ordering::SeqCst);
            work(call, false)
        });
        let clock = clock("2026-01-15T12:00:00Z");
        let store = builder(&clock).rotation_function(ARN, function).rotate_inline(is_inline).open().unwrap();
        let secrets = store.default_secrets_manager();
        secrets
            .create_secret(CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("v"))
            .unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let request = RotateSecretRequest::new("db").client_request_token(token(2));
                    // Once it is over, the token is that of a version.
                    _ = secrets.rotate_secret(request.rotation_lambda_arn(ARN));
                });
                scope.spawn(|| store.maintain().unwrap());
            }
        });
        store.maintain().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 4, "inline: {is_inline}");
        let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
        assert!(described.last_rotated_date.is_some());
    }
}

#[test]
fn more_secrets_than_are_looked_at_at_once_are_all_rotated() {
    const SECRETS: u64 = 700;
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, Free::new(|call| work(call, false))).rotation_timeout(None);
    let store = store.open().unwrap();
    let secrets = store.default_secrets_manager();
    for n in 0..SECRETS {
        create(&secrets, &format!("secret{n}"), None);
    }
    let report = store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations, report.next_due_at), (SECRETS, 0, None));
}

#[test]
fn a_secret_that_fails_keeps_no_other_from_being_rotated() {
    let clock = clock("2026-01-15T12:00:00Z");
    let function = Free::new(|call| match name_of(&call.secret_id).strip_prefix("secret").unwrap().parse::<u32>() {
        Ok(n) if n % 3 == 0 => Err("no".into()),
        _ => work(call, false),
    });
    let store = builder(&clock).rotation_function(ARN, function).rotation_workers(2).open().unwrap();
    let secrets = store.default_secrets_manager();
    for n in 0..30 {
        create(&secrets, &format!("secret{n}"), None);
    }
    let report = store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (20, 10));
    assert_eq!(report.next_due_at, Some(at("2026-01-15T12:01:00Z")));
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(store.maintain().unwrap().failed_rotations, 10);
}
