//! When a schedule has a secret rotated: not before its window, as soon as it opens, and what becomes of windows in which
//! nobody looked after the store.

use chrono::TimeDelta;
use strongroom::{Clock, CreateSecretRequest, RotateSecretRequest, RotationRules};

use crate::fixture::{ARN, Bench, STEPS, Scripted, at, days, expression, token, work};

/// A secret that rotates by these rules, which were given at noon of 2026-01-15, a Thursday.
fn bench(rules: RotationRules) -> Bench {
    let bench = Bench::new(Scripted::working());
    bench.schedule(rules);
    bench
}

#[test]
fn nothing_happens_before_the_window_and_the_first_maintenance_inside_it_rotates() {
    // Start and end of the window, and the start of the next one after a rotation at its start.
    let rows = [
        (days(1), "2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z", "2026-01-17T00:00:00Z"),
        (days(3).duration("2h"), "2026-01-18T00:00:00Z", "2026-01-18T02:00:00Z", "2026-01-21T00:00:00Z"),
        (expression("rate(5 hours)"), "2026-01-15T15:00:00Z", "2026-01-15T16:00:00Z", "2026-01-15T20:00:00Z"),
        (
            expression("rate(5 hours)").duration("5h"),
            "2026-01-15T15:00:00Z",
            "2026-01-15T20:00:00Z",
            "2026-01-15T20:00:00Z",
        ),
        (expression("cron(0 16 * * ? *)"), "2026-01-15T16:00:00Z", "2026-01-16T00:00:00Z", "2026-01-16T16:00:00Z"),
        (
            expression("cron(0 16 * * ? *)").duration("1h"),
            "2026-01-15T16:00:00Z",
            "2026-01-15T17:00:00Z",
            "2026-01-16T16:00:00Z",
        ),
        (expression("cron(0 2/6 * * ? *)"), "2026-01-15T14:00:00Z", "2026-01-15T15:00:00Z", "2026-01-15T20:00:00Z"),
    ];
    let millisecond = TimeDelta::milliseconds(1);
    for (rules, start, end, next) in rows {
        let what = format!("{rules:?}");
        let (start, end) = (at(start), at(end));
        for when in [start, start + millisecond, start + (end - start) / 2, end - millisecond] {
            let bench = bench(rules.clone());
            let report = bench.maintain();
            assert_eq!((report.rotated_secrets, report.next_due_at), (0, Some(start)), "{what}");
            let window = bench.status().next_window.unwrap();
            assert_eq!((window.start, window.end), (start, end), "{what}");
            bench.clock.set(start - millisecond);
            let report = bench.maintain();
            assert_eq!(
                (report.rotated_secrets, report.next_due_at, bench.steps().len()),
                (0, Some(start), 0),
                "{what}"
            );
            bench.clock.set(when);
            let report = bench.maintain();
            assert_eq!((report.rotated_secrets, bench.steps().len()), (1, 4), "{what} at {when}");
            assert_eq!(bench.describe().last_rotated_date, Some(when), "{what} at {when}");
            if when == start {
                assert_eq!(report.next_due_at, Some(at(next)), "{what}");
            }
            // Once in a window.
            assert_eq!((bench.maintain().rotated_secrets, bench.steps().len()), (0, 0), "{what} at {when}");
        }
    }
}

#[test]
fn year_in_year_out_a_secret_rotates_once_in_each_window() {
    let rows = [
        (days(30), 366 / 30 + 1),
        (expression("cron(0 16 1,15 * ? *)").duration("2h"), 24),
        (expression("cron(0 8 ? * MON-FRI *)"), 261),
        (expression("cron(0 12 L * ? *)"), 12),
        (expression("rate(7 days)"), 52),
    ];
    for (rules, expected) in rows {
        let bench = bench(rules.clone());
        let mut rotated = 0;
        let end = at("2027-01-15T12:00:00Z");
        while let Some(due) = bench.maintain().next_due_at.filter(|due| *due <= end) {
            assert!(due > bench.clock.now(), "time goes on: {rules:?}");
            bench.clock.set(due);
            let report = bench.maintain();
            assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0), "{rules:?} at {due}");
            rotated += 1;
        }
        assert!((expected - 1..=expected + 1).contains(&rotated), "{rules:?}: {rotated}");
    }
}

#[test]
fn a_window_with_a_duration_that_was_missed_is_left_out() {
    // When somebody looks again, and when the secret is rotated then.
    let rows = [
        (expression("cron(0 16 * * ? *)").duration("2h"), "2026-01-15T18:00:00Z", "2026-01-16T16:00:00Z"),
        (expression("cron(0 16 * * ? *)").duration("2h"), "2026-01-20T15:59:59Z", "2026-01-20T16:00:00Z"),
        (days(3).duration("2h"), "2026-01-18T02:00:00Z", "2026-01-21T00:00:00Z"),
        (days(3).duration("2h"), "2026-01-22T12:00:00Z", "2026-01-24T00:00:00Z"),
        (expression("rate(6 hours)").duration("1h"), "2026-01-15T20:00:00Z", "2026-01-16T00:00:00Z"),
        (expression("cron(0 4/8 * * ? *)").duration("1h"), "2026-01-15T19:00:00Z", "2026-01-15T20:00:00Z"),
    ];
    for (rules, back_at, next) in rows {
        let what = format!("{rules:?}, looked at {back_at}");
        let bench = bench(rules);
        bench.at(back_at);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 0), "{what}");
        assert_eq!(report.next_due_at, Some(at(next)), "{what}");
        assert_eq!(bench.labels(), "1 CURRENT", "{what}");
        bench.at(next);
        assert_eq!(bench.maintain().rotated_secrets, 1, "{what}");
    }
}

#[test]
fn whoever_comes_back_in_another_window_rotates_at_once() {
    // Another secret, which is due later, has nothing to do with it.
    for has_neighbour in [false, true] {
        for (rules, back_at) in [
            (expression("cron(0 16 * * ? *)").duration("2h"), "2026-01-17T17:00:00Z"),
            (expression("cron(0 16 * * ? *)").duration("2h"), "2026-01-17T16:00:00Z"),
            (days(3).duration("2h"), "2026-01-24T01:00:00Z"),
            (expression("rate(6 hours)").duration("1h"), "2026-01-16T06:30:00Z"),
        ] {
            let what = format!("{rules:?}, looked at {back_at}, neighbour: {has_neighbour}");
            let bench = bench(rules);
            if has_neighbour {
                bench.secrets.create_secret(CreateSecretRequest::new("neighbour").secret_string("v")).unwrap();
                let request = RotateSecretRequest::new("neighbour").rotation_lambda_arn(ARN).rotation_rules(days(300));
                bench.secrets.rotate_secret(request).unwrap();
                bench.maintain();
                bench.function.calls();
            }
            bench.at(back_at);
            let report = bench.maintain();
            assert_eq!((report.rotated_secrets, bench.steps()), (1, STEPS.to_vec()), "{what}");
            assert_eq!(bench.describe().last_rotated_date, Some(at(back_at)), "{what}");
        }
    }
}

#[test]
fn a_window_without_a_duration_that_was_missed_is_made_up_for_once() {
    let rows = [
        (days(3), "2026-01-19T05:00:00Z", "2026-01-22T00:00:00Z"),
        (days(3), "2026-02-19T05:00:00Z", "2026-02-22T00:00:00Z"),
        (expression("cron(0 16 * * ? *)"), "2026-01-16T03:00:00Z", "2026-01-16T16:00:00Z"),
        (expression("cron(0 16 ? * MON *)"), "2026-01-22T03:00:00Z", "2026-01-26T16:00:00Z"),
        (expression("rate(4 hours)"), "2026-01-16T01:30:00Z", "2026-01-16T04:00:00Z"),
        (expression("cron(0 4/8 * * ? *)"), "2026-01-16T02:00:00Z", "2026-01-16T04:00:00Z"),
    ];
    for (rules, back_at, next) in rows {
        let what = format!("{rules:?}, looked at {back_at}");
        let bench = bench(rules);
        bench.at(back_at);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, bench.steps()), (1, STEPS.to_vec()), "{what}");
        assert_eq!(report.next_due_at, Some(at(next)), "{what}");
        assert_eq!((bench.maintain().rotated_secrets, bench.steps().len()), (0, 0), "{what}");
    }
}

#[test]
fn a_late_rotation_that_fails_is_tried_again_too() {
    let bench = bench(expression("cron(0 16 ? * MON *)"));
    bench.function.answers(|_| Err("no".into()));
    bench.at("2026-01-22T03:00:00Z");
    for minutes in [0, 1, 2, 4, 8] {
        bench.advance(TimeDelta::minutes(minutes));
        assert_eq!(bench.maintain().failed_rotations, 1);
    }
    let report = bench.maintain();
    assert_eq!((report.failed_rotations, report.next_due_at), (0, Some(at("2026-01-26T16:00:00Z"))));
}

#[test]
fn a_function_that_takes_longer_than_the_window_rotates_all_the_same() {
    let bench = bench(expression("cron(0 16 * * ? *)").duration("1h"));
    let clock = bench.clock.clone();
    bench.function.answers(move |call| {
        clock.advance(TimeDelta::minutes(20));
        work(call, false)
    });
    bench.at("2026-01-15T16:30:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-01-15T17:50:00Z")));
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-01-16T16:59:59Z")));
}

#[test]
fn a_value_that_is_put_by_hand_puts_off_a_schedule_of_days_and_not_one_of_the_calendar() {
    for (rules, next) in
        [(days(3), "2026-01-20T00:00:00Z"), (expression("cron(0 16 ? * SUN *)"), "2026-01-18T16:00:00Z")]
    {
        let bench = bench(rules);
        bench.at("2026-01-17T10:00:00Z");
        bench.put(2, &[]);
        assert_eq!(bench.maintain().next_due_at, Some(at(next)));
    }
}

#[test]
fn a_value_that_is_put_by_hand_inside_the_window_counts_for_it() {
    for rules in [days(1), expression("cron(0 0 * * ? *)")] {
        let bench = bench(rules);
        bench.at("2026-01-16T10:00:00Z");
        bench.put(2, &[]);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.next_due_at), (0, Some(at("2026-01-17T00:00:00Z"))));
    }
}

#[test]
fn a_rotation_that_was_asked_for_inside_the_window_counts_for_it() {
    let bench = bench(days(1));
    bench.at("2026-01-16T10:00:00Z");
    bench.secrets.rotate_secret(RotateSecretRequest::new("db").client_request_token(token(2))).unwrap();
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.next_due_at), (1, Some(at("2026-01-17T00:00:00Z"))));
    assert!(bench.function.calls().iter().all(|(_, id)| *id == token(2)));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
}

#[test]
fn a_function_that_is_to_be_tried_when_the_window_opens_keeps_nobody_from_rotating() {
    // Another secret, which is due later, has nothing to do with it.
    for has_neighbour in [false, true] {
        let bench = Bench::new(Scripted::working());
        if has_neighbour {
            bench.secrets.create_secret(CreateSecretRequest::new("neighbour").secret_string("v")).unwrap();
            let request = RotateSecretRequest::new("neighbour").rotation_lambda_arn(ARN).rotation_rules(days(300));
            bench.secrets.rotate_secret(request).unwrap();
            bench.maintain();
        }
        bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1)).rotate_immediately(false)).unwrap();
        bench.at("2026-01-16T00:00:00Z");
        let report = bench.maintain();
        assert_eq!((report.tested_rotations, report.failed_rotations), (1, 0), "neighbour: {has_neighbour}");
        // The rotation is made as well, or it is told that there is something left to do now.
        let is_told = report.next_due_at.is_some_and(|due| due <= bench.clock.now());
        assert!(report.rotated_secrets == 1 || is_told, "neighbour: {has_neighbour}: {report:?}");
    }
}
