//! CancelRotateSecret, what it leaves, and how rotation begins again.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html>

use chrono::TimeDelta;
use strongroom::{
    CancelRotateSecretRequest, DescribeSecretResponse, ListSecretsRequest, RotateSecretRequest, RotationStep,
    SecretListEntry,
};

use crate::fixture::{ARN, Bench, Scripted, at, days, refusal, token, work};

fn listed(bench: &Bench) -> SecretListEntry {
    bench.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.remove(0)
}

/// A secret that was rotated to version 2, and rotates every third day.
fn rotated() -> Bench {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    bench.function.calls();
    bench
}

#[test]
fn rotation_is_turned_off_and_its_configuration_kept() {
    let bench = rotated();
    let before = bench.describe();
    assert_eq!(
        (before.last_rotated_date, before.next_rotation_date),
        (Some(bench.describe().created_date), Some(at("2026-01-18T23:59:59Z")))
    );
    bench.advance(TimeDelta::seconds(1));
    let cancelled = bench.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap();
    assert_eq!((cancelled.arn, cancelled.name.as_str(), cancelled.version_id), (before.arn.clone(), "db", None));
    let after = bench.describe();
    assert_eq!(after, {
        let mut expected: DescribeSecretResponse = before.clone();
        expected.rotation_enabled = Some(false);
        expected.next_rotation_date = None;
        expected.last_rotated_date = None;
        expected.last_changed_date = at("2026-01-15T12:00:01Z");
        expected
    });
    let entry = listed(&bench);
    assert_eq!((entry.rotation_enabled, entry.rotation_lambda_arn.as_deref()), (Some(false), Some(ARN)));
    assert_eq!((entry.rotation_rules, entry.next_rotation_date, entry.last_rotated_date), (Some(days(3)), None, None));
    // And nothing rotates any more.
    bench.advance(TimeDelta::days(1_000));
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.next_due_at, bench.steps().len()), (0, None, 0));
}

#[test]
fn cancelling_again_changes_nothing() {
    let bench = rotated();
    bench.cancel();
    let before = (bench.describe(), bench.status());
    bench.advance(TimeDelta::days(1));
    assert_eq!(bench.cancel(), None);
    assert_eq!((bench.describe(), bench.status()), before);
}

#[test]
fn the_version_of_a_rotation_that_was_in_progress_is_told() {
    type Arrange = fn(&Bench);
    let rows: [(&str, Arrange, Option<u32>, &str); 6] = [
        ("none", |_| {}, None, "1 PREVIOUS, 2 CURRENT+PENDING"),
        (
            "without a value yet",
            |bench| _ = bench.secrets.rotate_secret(bench.rotate(3)).unwrap(),
            Some(3),
            "1 PREVIOUS, 2 CURRENT, 3 PENDING",
        ),
        (
            "with a value",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
                bench.put(3, &["AWSPENDING"]);
            },
            Some(3),
            "1 PREVIOUS, 2 CURRENT, 3 PENDING",
        ),
        (
            "which only tries the function",
            |bench| _ = bench.secrets.rotate_secret(bench.rotate(3).rotate_immediately(false)).unwrap(),
            Some(3),
            "1 PREVIOUS, 2 CURRENT, 3 PENDING",
        ),
        (
            "whose version is current already",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
                bench.put(3, &["AWSPENDING"]);
                bench.move_label("AWSCURRENT", Some(2), Some(3));
            },
            None,
            "2 PREVIOUS, 3 CURRENT+PENDING",
        ),
        (
            "that was given up by hand",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
                bench.put(4, &[]);
            },
            None,
            "2 PREVIOUS, 4 CURRENT",
        ),
    ];
    for (what, arrange, version, labels) in rows {
        let bench = rotated();
        arrange(&bench);
        assert_eq!(bench.cancel(), version.map(token), "{what}");
        assert_eq!(bench.labels(), labels, "{what}");
        assert_eq!(bench.status().in_progress, None, "{what}");
        bench.advance(TimeDelta::days(10));
        bench.maintain();
        assert_eq!(bench.steps().len(), 0, "{what}");
    }
}

#[test]
fn what_was_pending_blocks_the_next_rotation_until_it_is_cleared() {
    let bench = rotated();
    bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
    assert_eq!(bench.cancel(), Some(token(3)));
    for number in [3, 4] {
        let (code, text) = refusal(bench.secrets.rotate_secret(bench.rotate(number)));
        assert_eq!(code, "InvalidRequestException", "{number}");
        assert_eq!(text, "A previous rotation isn't complete. That rotation will be reattempted.", "{number}");
    }
    assert_eq!(bench.describe().rotation_enabled, Some(false));
    bench.move_label("AWSPENDING", Some(3), None);
    bench.secrets.rotate_secret(bench.rotate(4)).unwrap();
    assert_eq!(bench.describe().rotation_enabled, Some(true));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT, 4 PENDING");
}

#[test]
fn a_step_that_runs_after_the_cancellation_finds_rotation_disabled() {
    for (number, step) in RotationStep::ALL.into_iter().enumerate() {
        let bench = Bench::new(Scripted::new(move |call| {
            if call.step == step {
                call.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(&call.secret_id))?;
            }
            work(call, false)
        }));
        bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 0), "{step}");
        assert_eq!(bench.steps().len(), number + 1, "{step}");
        assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING", "{step}");
        assert_eq!((bench.status().in_progress, bench.describe().last_rotated_date), (None, None), "{step}");
        bench.advance(TimeDelta::days(10));
        assert_eq!((bench.maintain().next_due_at, bench.steps().len()), (None, 0), "{step}");
    }
}

#[test]
fn rotation_begins_again_with_what_was_configured() {
    let bench = rotated();
    let rotated_at = bench.describe().last_rotated_date;
    bench.cancel();
    bench.at("2026-01-16T12:00:00Z");
    let again = RotateSecretRequest::new("db").client_request_token(token(3)).rotate_immediately(false);
    bench.secrets.rotate_secret(again).unwrap();
    let described = bench.describe();
    assert_eq!((described.rotation_enabled, described.rotation_rules), (Some(true), Some(days(3))));
    assert_eq!(described.rotation_lambda_arn.as_deref(), Some(ARN));
    // Counted from when the secret last was rotated, and that is told again.
    assert_eq!(described.last_rotated_date, rotated_at);
    assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
    assert_eq!(bench.maintain().tested_rotations, 1);
    bench.at("2026-01-18T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn a_secret_that_rotates_again_after_a_long_time_may_do_so_very_soon() {
    let bench = rotated();
    bench.cancel();
    bench.at("2026-03-10T12:00:00Z");
    let again = RotateSecretRequest::new("db").client_request_token(token(3)).rotate_immediately(false);
    bench.secrets.rotate_secret(again).unwrap();
    let next = bench.describe().next_rotation_date.unwrap();
    assert!(next > at("2026-03-10T12:00:00Z") && next <= at("2026-03-13T23:59:59Z"), "{next}");
}

#[test]
fn rotating_at_once_turns_rotation_on_again() {
    let bench = rotated();
    bench.cancel();
    bench.secrets.rotate_secret(RotateSecretRequest::new("db").client_request_token(token(3))).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    let described = bench.describe();
    assert_eq!(
        (described.rotation_enabled, described.last_rotated_date),
        (Some(true), Some(at("2026-01-15T12:00:00Z")))
    );
    assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
}

#[test]
fn while_rotation_is_off_a_value_that_is_put_brings_no_date() {
    let bench = rotated();
    bench.cancel();
    bench.put(3, &[]);
    let described = bench.describe();
    assert_eq!((described.rotation_enabled, described.next_rotation_date), (Some(false), None));
    assert_eq!(bench.maintain().next_due_at, None);
}
