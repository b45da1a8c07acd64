//! LastRotatedDate, NextRotationDate, LastChangedDate and the days between rotations, as descriptions and lists show them.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>

use chrono::TimeDelta;
use strongroom::{
    CancelRotateSecretRequest, Clock, ListSecretsRequest, RotateSecretRequest, RotationRules, SecretListEntry,
    Timestamp, UpdateSecretRequest,
};

use crate::fixture::{ARN, Bench, Scripted, at, days, expression, token, work};

fn listed(bench: &Bench) -> SecretListEntry {
    bench.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.remove(0)
}

/// A secret that was rotated at this time, by these rules.
fn rotated(rules: RotationRules, now: &str) -> Bench {
    let bench = Bench::new(Scripted::working());
    bench.at(now);
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(rules)).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    bench
}

#[test]
fn the_next_date_is_the_last_second_of_the_next_window() {
    let rows = [
        // Seen in public.
        (days(30), "2024-02-22T07:16:15.807Z", "2024-03-23T23:59:59Z", 30),
        (expression("cron(0 0 ? * 2 *)"), "2023-10-16T07:18:02.417Z", "2023-10-23T23:59:59Z", 7),
        (expression("cron(0 16 1,15 * ? *)").duration("2h"), "2026-03-02T09:30:00Z", "2026-03-15T17:59:59Z", 14),
        // Days: from the day of the rotation, whatever the hour.
        (days(1), "2026-01-31T00:00:00Z", "2026-02-01T23:59:59Z", 1),
        (days(1), "2026-01-31T23:59:59.999Z", "2026-02-01T23:59:59Z", 1),
        (days(365), "2027-03-01T12:00:00Z", "2028-02-29T23:59:59Z", 365),
        (days(1_000), "2024-01-01T12:00:00Z", "2026-09-27T23:59:59Z", 1_000),
        (days(1).duration("3h"), "2026-01-31T12:00:00Z", "2026-02-01T02:59:59Z", 1),
        (days(1).duration("24h"), "2026-01-31T12:00:00Z", "2026-02-01T23:59:59Z", 1),
        (expression("rate(10 days)"), "2026-01-31T12:00:00Z", "2026-02-10T23:59:59Z", 10),
        (expression("rate(10 day)").duration("1h"), "2026-01-31T12:00:00Z", "2026-02-10T00:59:59Z", 10),
        // Hours: from midnight of the day on which the rules were given.
        (expression("rate(10 hours)"), "2026-01-31T05:00:00Z", "2026-01-31T10:59:59Z", 1),
        (expression("rate(10 hours)"), "2026-01-31T10:00:00Z", "2026-01-31T20:59:59Z", 1),
        (expression("rate(10 hours)").duration("4h"), "2026-01-31T05:00:00Z", "2026-01-31T13:59:59Z", 1),
        // Hours of the calendar.
        (expression("cron(0 8 * * ? *)"), "2026-01-31T07:59:59.999Z", "2026-01-31T23:59:59Z", 1),
        (expression("cron(0 8 * * ? *)"), "2026-01-31T08:00:00Z", "2026-02-01T23:59:59Z", 1),
        (expression("cron(0 8 * * ? *)"), "2026-01-31T20:00:00Z", "2026-02-01T23:59:59Z", 1),
        (expression("cron(0 8/8 * * ? *)"), "2026-01-31T09:00:00Z", "2026-01-31T16:59:59Z", 1),
        (expression("cron(0 8/8 * * ? *)").duration("8h"), "2026-01-31T09:00:00Z", "2026-01-31T23:59:59Z", 1),
        (expression("cron(0 17 L * ? *)"), "2024-02-10T12:00:00Z", "2024-02-29T23:59:59Z", 29),
        (expression("cron(0 18 ? * SAT *)").duration("1h"), "2026-01-15T12:00:00Z", "2026-01-17T18:59:59Z", 7),
        (expression("cron(0 1 ? 1/3 SUN#1 *)"), "2026-01-15T12:00:00Z", "2026-04-05T23:59:59Z", 91),
    ];
    for (rules, rotated_at, next, between) in rows {
        let what = format!("{rules:?} rotated at {rotated_at}");
        let bench = rotated(rules.clone(), rotated_at);
        let described = bench.describe();
        assert_eq!(described.last_rotated_date, Some(at(rotated_at)), "{what}");
        assert_eq!(described.next_rotation_date, Some(at(next)), "{what}");
        let shown = described.rotation_rules.clone().unwrap();
        assert_eq!(shown.automatically_after_days, Some(between), "{what}");
        assert_eq!(
            (&shown.duration, &shown.schedule_expression),
            (&rules.duration, &rules.schedule_expression),
            "{what}"
        );
        let entry = listed(&bench);
        assert_eq!(
            (entry.rotation_enabled, entry.rotation_lambda_arn, entry.rotation_rules),
            (described.rotation_enabled, described.rotation_lambda_arn, described.rotation_rules),
            "{what}"
        );
        assert_eq!(
            (entry.last_rotated_date, entry.next_rotation_date),
            (described.last_rotated_date, described.next_rotation_date),
            "{what}"
        );
    }
}

#[test]
fn nothing_of_rotation_is_shown_before_it_was_configured() {
    let bench = Bench::new(Scripted::working());
    let described = bench.describe();
    let entry = listed(&bench);
    assert_eq!((described.rotation_enabled, entry.rotation_enabled), (None, None));
    assert_eq!((described.rotation_lambda_arn, entry.rotation_lambda_arn), (None, None));
    assert_eq!((described.rotation_rules, entry.rotation_rules), (None, None));
    assert_eq!((described.last_rotated_date, entry.last_rotated_date), (None, None));
    assert_eq!((described.next_rotation_date, entry.next_rotation_date), (None, None));
    assert_eq!(bench.secrets.rotation_status("db").unwrap(), None);
}

#[test]
fn a_value_that_is_put_by_hand_moves_the_next_date_and_not_the_last_one() {
    type Change = fn(&Bench);
    let put = |bench: &Bench| bench.put(3, &[]);
    let rows: [(&str, Change, &str); 6] = [
        ("PutSecretValue", put, "2026-03-05T23:59:59Z"),
        (
            "UpdateSecret",
            |bench| {
                let update = UpdateSecretRequest::new("db").secret_string("updated");
                bench.secrets.update_secret(update).unwrap();
            },
            "2026-03-05T23:59:59Z",
        ),
        ("a version that does not become current", |bench| bench.put(3, &["blue"]), "2026-03-04T23:59:59Z"),
        ("a label", |bench| bench.move_label("blue", None, Some(1)), "2026-03-04T23:59:59Z"),
        (
            "the description",
            |bench| _ = bench.secrets.update_secret(UpdateSecretRequest::new("db").description("d")).unwrap(),
            "2026-03-04T23:59:59Z",
        ),
        (
            "the function alone",
            |bench| {
                let request = bench.rotate(3).rotate_immediately(false);
                bench.secrets.rotate_secret(request).unwrap();
            },
            "2026-03-04T23:59:59Z",
        ),
    ];
    for (what, change, next) in rows {
        let bench = rotated(days(30), "2026-02-02T17:16:24.409Z");
        assert_eq!(bench.describe().next_rotation_date, Some(at("2026-03-04T23:59:59Z")));
        bench.at("2026-02-03T08:00:00Z");
        change(&bench);
        let described = bench.describe();
        assert_eq!(described.last_rotated_date, Some(at("2026-02-02T17:16:24.409Z")), "{what}");
        assert_eq!(described.next_rotation_date, Some(at(next)), "{what}");
    }
}

#[test]
fn new_rules_count_from_when_they_are_given() {
    let bench = rotated(days(30), "2026-02-02T12:00:00Z");
    bench.at("2026-02-10T12:00:00Z");
    bench.secrets.rotate_secret(bench.rotate(3).rotation_rules(days(5)).rotate_immediately(false)).unwrap();
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-02-15T23:59:59Z")));
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-02-02T12:00:00Z")));
}

#[test]
fn a_rotation_that_fails_leaves_both_dates() {
    let bench = rotated(days(1), "2026-02-02T12:00:00Z");
    bench.function.answers(|_| Err("no".into()));
    for day in 3..8 {
        bench.at(&format!("2026-02-0{day}T00:00:00Z"));
        for minutes in [0, 1, 2, 4, 8] {
            bench.advance(TimeDelta::minutes(minutes));
            assert_eq!(bench.maintain().failed_rotations, 1, "day {day}");
            let described = bench.describe();
            assert_eq!(described.last_rotated_date, Some(at("2026-02-02T12:00:00Z")), "day {day}");
            // It is told although it has passed.
            assert_eq!(described.next_rotation_date, Some(at("2026-02-03T23:59:59Z")), "day {day}");
        }
    }
    bench.function.answers(|call| work(call, false));
    bench.at("2026-02-08T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-02-08T00:00:00Z")));
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-02-09T23:59:59Z")));
}

#[test]
fn a_rotation_on_demand_counts_as_one_of_the_schedule() {
    let bench = rotated(days(10), "2026-02-02T12:00:00Z");
    bench.at("2026-02-05T12:00:00Z");
    bench.secrets.rotate_secret(RotateSecretRequest::new("db").client_request_token(token(3))).unwrap();
    // Until it has succeeded, nothing is known of it.
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-02-12T23:59:59Z")));
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-02-02T12:00:00Z")));
    bench.maintain();
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-02-15T23:59:59Z")));
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-02-05T12:00:00Z")));
}

#[test]
fn the_days_between_rotations_are_found_anew_after_each() {
    let bench = rotated(expression("cron(0 16 1,15 * ? *)"), "2026-01-15T12:00:00Z");
    let shown = || bench.describe().rotation_rules.unwrap().automatically_after_days;
    assert_eq!(shown(), Some(14));
    for (now, between) in [("2026-01-15T16:00:00Z", 17), ("2026-02-01T16:00:00Z", 14), ("2026-02-15T16:00:00Z", 14)] {
        bench.at(now);
        assert_eq!(bench.maintain().rotated_secrets, 1, "{now}");
        assert_eq!(shown(), Some(between), "{now}");
    }
}

#[test]
fn a_secret_is_rotated_a_moment_after_it_last_changed() {
    let bench = Bench::new(Scripted::working());
    let clock = bench.clock.clone();
    bench.function.answers(move |call| {
        let done = work(call, false);
        clock.advance(TimeDelta::milliseconds(12));
        done
    });
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.maintain();
    let described = bench.describe();
    assert_eq!(described.last_rotated_date, Some(bench.clock.now()));
    assert_eq!(described.last_rotated_date.unwrap() - described.last_changed_date, TimeDelta::milliseconds(12));
}

#[test]
fn configuring_and_cancelling_are_changes() {
    let bench = Bench::new(Scripted::working());
    let changed = || -> Timestamp { bench.describe().last_changed_date };
    type Change = fn(&Bench);
    let rows: [(&str, Change, bool); 6] = [
        ("RotateSecret", |bench| _ = bench.secrets.rotate_secret(bench.rotate(2)).unwrap(), true),
        ("RotateSecret again", |bench| _ = bench.secrets.rotate_secret(bench.rotate(2)).unwrap(), false),
        ("the rotation", |bench| _ = bench.maintain(), true),
        (
            "RotateSecret with rules",
            |bench| {
                let request = bench.rotate(3).rotation_rules(days(1)).rotate_immediately(false);
                bench.secrets.rotate_secret(request).unwrap();
            },
            true,
        ),
        ("CancelRotateSecret", |bench| _ = bench.cancel(), true),
        ("CancelRotateSecret again", |bench| _ = bench.cancel(), false),
    ];
    for (what, change, is_change) in rows {
        bench.advance(TimeDelta::seconds(10));
        let before = changed();
        change(&bench);
        if is_change {
            assert!(changed() >= bench.clock.now(), "{what}");
        } else {
            assert_eq!(changed(), before, "{what}");
        }
        assert_eq!(listed(&bench).last_changed_date, changed(), "{what}");
    }
    let missing = CancelRotateSecretRequest::new("nope");
    bench.secrets.cancel_rotate_secret(missing).unwrap_err();
}

#[test]
fn a_read_by_the_function_is_a_read() {
    let bench = rotated(days(1), "2026-02-02T12:00:00Z");
    assert_eq!(bench.describe().last_accessed_date, Some(at("2026-02-02T00:00:00Z")));
    assert_eq!(bench.describe().rotation_lambda_arn.as_deref(), Some(ARN));
}
