//! Rotations that fail: how often they are tried again, when, and what becomes of them then.

use chrono::TimeDelta;
use strongroom::{RotateSecretRequest, RotationStep};

use crate::fixture::{Bench, STEPS, Scripted, at, days, expression, token, work};

/// Fails whatever it is asked.
fn failing() -> Scripted {
    Scripted::new(|_| Err("the database does not answer".into()))
}

/// Maintains the store whenever it says that something is due, up to a time. Gives when a function was called, and how often.
fn calls_until(bench: &Bench, end: &str) -> Vec<(String, usize)> {
    let mut calls = Vec::new();
    for _ in 0..1_000 {
        let report = bench.maintain();
        let called = bench.function.calls().len();
        if called > 0 {
            let now = strongroom::Clock::now(&bench.clock);
            calls.push((now.format("%dT%H:%M:%S").to_string(), called));
        }
        match report.next_due_at {
            Some(due) if due <= at(end) => bench.clock.set(due),
            _ => {
                bench.at(end);
                return calls;
            }
        }
    }
    panic!("there is always something due: {calls:?}");
}

fn times(calls: &[(String, usize)]) -> Vec<&str> {
    calls.iter().map(|(at, _)| at.as_str()).collect()
}

#[test]
fn five_attempts_are_made_with_pauses_that_double() {
    let bench = Bench::new(failing());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let calls = calls_until(&bench, "2026-06-01T00:00:00Z");
    assert_eq!(times(&calls), ["15T12:00:00", "15T12:01:00", "15T12:03:00", "15T12:07:00", "15T12:15:00"]);
    assert!(calls.iter().all(|(_, steps)| *steps == 1));
    let job = bench.job();
    assert_eq!((job.version_id, job.attempts, job.next_attempt_at), (token(2), 5, None));
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
}

#[test]
fn an_attempt_is_not_made_before_its_time() {
    let bench = Bench::new(failing());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    for (attempt, pause) in [(1, 0), (2, 60_000), (3, 120_000), (4, 240_000), (5, 480_000)] {
        if pause > 0 {
            bench.advance(TimeDelta::milliseconds(pause - 1));
            let report = bench.maintain();
            assert_eq!((report.failed_rotations, bench.steps().len()), (0, 0), "attempt {attempt}");
            let due = strongroom::Clock::now(&bench.clock) + TimeDelta::milliseconds(1);
            assert_eq!(report.next_due_at, Some(due), "attempt {attempt}");
            assert_eq!(bench.job().next_attempt_at, Some(due), "attempt {attempt}");
            bench.advance(TimeDelta::milliseconds(1));
        }
        assert_eq!(bench.maintain().failed_rotations, 1, "attempt {attempt}");
        assert_eq!(bench.function.calls(), [(RotationStep::CreateSecret, token(2))], "attempt {attempt}");
        assert_eq!(bench.job().attempts, attempt);
        // A second look at the same time finds nothing to do.
        assert_eq!(bench.maintain().failed_rotations, 0, "attempt {attempt}");
    }
}

#[test]
fn the_whole_rotation_is_made_again_with_the_same_version_and_rotation_token() {
    for (number, failing) in RotationStep::ALL.into_iter().enumerate() {
        let tokens = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&tokens);
        let mut is_first = true;
        let bench = Bench::new(Scripted::new(move |call| {
            seen.lock().unwrap().push(call.rotation_token.expose().to_owned());
            if call.step == failing && std::mem::take(&mut is_first) {
                return Err("not yet".into());
            }
            work(call, false)
        }));
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        assert_eq!(bench.maintain().failed_rotations, 1, "{failing}");
        assert_eq!(bench.steps(), STEPS[..=number], "no step after the one that failed");
        let (failed_at, reason) = bench.job().last_failure.unwrap();
        assert_eq!(failed_at, at("2026-01-15T12:00:00Z"));
        let expected = format!("Error when executing lambda {} during {failing} step", crate::fixture::ARN);
        assert!(reason.starts_with(&expected) && reason.ends_with("not yet"), "{reason}");
        bench.advance(TimeDelta::minutes(1));
        assert_eq!(bench.maintain().rotated_secrets, 1, "{failing}");
        let calls = bench.function.calls();
        assert!(calls.iter().all(|(_, id)| *id == token(2)), "{failing}");
        assert_eq!(calls.iter().map(|(step, _)| step.as_str()).collect::<Vec<_>>(), STEPS, "{failing}");
        let tokens = tokens.lock().unwrap();
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{failing}: {tokens:?}");
        assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING", "{failing}");
    }
}

#[test]
fn a_rotation_that_was_asked_for_and_failed_waits_for_ever_until_its_token_is_sent_again() {
    let bench = Bench::new(failing());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    for _ in 0..3 {
        assert_eq!(calls_until(&bench, "2027-01-01T00:00:00Z").len(), 5);
        let report = bench.maintain();
        assert_eq!((report.failed_rotations, report.next_due_at), (0, None));
        // It is tried again, as often as before, and nothing is made anew.
        bench.at("2026-02-01T00:00:00Z");
        let again = RotateSecretRequest::new("db").client_request_token(token(2));
        assert_eq!(bench.secrets.rotate_secret(again).unwrap().version_id, token(2));
        assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
        assert_eq!((bench.job().attempts, bench.job().next_attempt_at), (0, Some(at("2026-02-01T00:00:00Z"))));
    }
    bench.function.answers(|call| work(call, false));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
}

#[test]
fn in_each_window_it_is_tried_again_with_the_same_version() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(2));
    bench.function.answers(|_| Err("no".into()));
    let before = bench.describe();
    let mut versions = Vec::new();
    bench.at("2026-01-17T00:00:00Z");
    for _ in 0..3 {
        for minutes in [0, 1, 2, 4, 8] {
            bench.advance(TimeDelta::minutes(minutes));
            assert_eq!(bench.maintain().failed_rotations, 1);
            versions.extend(bench.function.calls().into_iter().map(|(_, id)| id));
        }
        let job = bench.job();
        assert_eq!((job.attempts, job.next_attempt_at), (5, None));
        let next = bench.maintain().next_due_at.unwrap();
        assert_eq!(bench.status().next_window.unwrap().start, next);
        bench.clock.set(next);
    }
    assert_eq!(strongroom::Clock::now(&bench.clock), at("2026-01-23T00:00:00Z"));
    assert!(versions.iter().all(|id| *id == versions[0]), "{versions:?}");
    assert_eq!(bench.labels(), "1 CURRENT, new PENDING");
    let after = bench.describe();
    assert_eq!(
        (after.last_rotated_date, after.next_rotation_date),
        (before.last_rotated_date, before.next_rotation_date)
    );
    assert_eq!(after.next_rotation_date, Some(at("2026-01-17T23:59:59Z")), "it lies in the past");
    bench.function.answers(|call| work(call, false));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert!(bench.function.calls().iter().all(|(_, id)| *id == versions[0]));
}

#[test]
fn a_window_that_ends_ends_the_attempts() {
    // When the store is first looked at, and the attempts that are made: the window is open from 16 to 17 hours.
    for (first, expected) in [
        ("16:00:00", &["16:00:00", "16:01:00", "16:03:00", "16:07:00", "16:15:00"][..]),
        ("16:50:00", &["16:50:00", "16:51:00", "16:53:00", "16:57:00"]),
        ("16:55:00", &["16:55:00", "16:56:00", "16:58:00"]),
        ("16:56:59", &["16:56:59", "16:57:59", "16:59:59"]),
        ("16:57:00", &["16:57:00", "16:58:00"]),
        ("16:59:00", &["16:59:00"]),
        ("16:59:59", &["16:59:59"]),
    ] {
        let bench = Bench::new(Scripted::working());
        bench.schedule(expression("cron(0 16 * * ? *)").duration("1h"));
        bench.function.answers(|_| Err("no".into()));
        bench.at(&format!("2026-01-15T{first}Z"));
        let calls = calls_until(&bench, "2026-01-16T15:59:59Z");
        let expected: Vec<String> = expected.iter().map(|time| format!("15T{time}")).collect();
        assert_eq!(times(&calls), expected, "{first}");
        assert_eq!(bench.job().next_attempt_at, None, "{first}");
        // The next day.
        bench.at("2026-01-16T16:00:00Z");
        assert_eq!(bench.maintain().failed_rotations, 1, "{first}");
    }
}

#[test]
fn attempts_that_were_missed_are_not_made_after_the_window() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(expression("cron(0 16 * * ? *)").duration("1h"));
    bench.function.answers(|_| Err("no".into()));
    bench.at("2026-01-15T16:30:00Z");
    assert_eq!(bench.maintain().failed_rotations, 1);
    bench.function.calls();
    bench.at("2026-01-15T17:00:00Z");
    let report = bench.maintain();
    assert_eq!((report.failed_rotations, bench.steps().len()), (0, 0));
    assert_eq!(report.next_due_at, Some(at("2026-01-16T16:00:00Z")));
    bench.function.answers(|call| work(call, false));
    bench.at("2026-01-16T16:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn a_rotation_on_demand_that_fails_is_taken_up_by_the_schedule() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    bench.function.answers(|_| Err("no".into()));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(calls_until(&bench, "2026-01-15T23:59:59Z").len(), 5);
    bench.function.answers(|call| work(call, false));
    bench.at("2026-01-16T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert!(bench.function.calls().iter().all(|(_, id)| *id == token(2)));
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-01-17T23:59:59Z")));
}

#[test]
fn a_window_that_opens_during_the_attempts_gives_no_second_series() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    bench.function.answers(|_| Err("no".into()));
    bench.at("2026-01-15T23:58:00Z");
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    // Two attempts before midnight, and from then on those of both: never two in one moment, and an end within the day.
    let calls = calls_until(&bench, "2026-01-16T23:59:59Z");
    assert!(calls.len() <= 10, "{calls:?}");
    assert!(calls.iter().all(|(_, steps)| *steps == 1), "{calls:?}");
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
}

#[test]
fn how_often_and_how_soon_can_be_chosen() {
    let bench = Bench::with(failing(), |builder| builder.rotation_retries(3, TimeDelta::seconds(10)));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let calls = calls_until(&bench, "2026-06-01T00:00:00Z");
    assert_eq!(times(&calls), ["15T12:00:00", "15T12:00:10", "15T12:00:30"]);

    let bench = Bench::with(failing(), |builder| builder.rotation_retries(1, TimeDelta::seconds(10)));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(times(&calls_until(&bench, "2026-06-01T00:00:00Z")), ["15T12:00:00"]);
}

#[test]
fn without_a_pause_each_maintenance_makes_one_attempt() {
    let bench = Bench::with(failing(), |builder| builder.rotation_retries(3, TimeDelta::zero()));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.advance(TimeDelta::seconds(5));
    for attempt in 1..=3 {
        assert_eq!(bench.maintain().failed_rotations, 1, "attempt {attempt}");
        assert_eq!(bench.steps().len(), 1, "attempt {attempt}");
    }
    assert_eq!(bench.maintain().failed_rotations, 0);
}

#[test]
fn very_many_attempts_and_very_long_pauses_are_no_trouble() {
    let bench = Bench::with(failing(), |builder| builder.rotation_retries(u32::MAX, TimeDelta::MAX));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.maintain().failed_rotations, 1);
    assert_eq!(bench.maintain().failed_rotations, 0);
    let bench = Bench::with(failing(), |builder| builder.rotation_retries(u32::MAX, TimeDelta::milliseconds(1)));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    for attempt in 1..=40 {
        assert_eq!(bench.maintain().failed_rotations, 1, "attempt {attempt}");
        bench.clock.set(bench.job().next_attempt_at.unwrap());
    }
}
