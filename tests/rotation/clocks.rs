//! Clocks that go backwards, stand still, or have reached the end of the calendar.

use chrono::{DateTime, TimeDelta};
use strongroom::{Clock, CreateSecretRequest, DescribeSecretRequest, RotateSecretRequest, Timestamp};

use crate::fixture::{ARN, Bench, STEPS, Scripted, at, builder, clock, days, expression, token, work};

#[test]
fn a_clock_that_goes_back_rotates_nothing_early_and_nothing_twice() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    bench.at("2026-01-16T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    let rotated = bench.describe();
    for earlier in ["2026-01-15T23:59:59Z", "2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1900-01-01T00:00:00Z"] {
        bench.at(earlier);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.next_due_at), (0, Some(at("2026-01-17T00:00:00Z"))), "{earlier}");
        assert_eq!(bench.describe(), rotated, "{earlier}");
    }
    bench.at("2026-01-17T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn the_date_of_the_last_change_rises_although_the_clock_goes_back() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1))).unwrap();
    let mut last = bench.describe().last_changed_date;
    bench.at("2020-01-01T00:00:00Z");
    let mut rises = |what: &str| {
        let changed = bench.describe().last_changed_date;
        assert!(changed > last, "{what}");
        last = changed;
    };
    bench.at("2026-01-15T12:00:00Z");
    bench.maintain();
    rises("rotating");
    bench.at("2020-01-01T00:00:00Z");
    bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
    rises("beginning");
    bench.cancel();
    rises("cancelling");
}

#[test]
fn a_clock_that_goes_back_during_a_step_puts_the_next_attempt_where_it_belongs() {
    let bench = Bench::new(Scripted::working());
    let clock = bench.clock.clone();
    bench.function.answers(move |_| {
        clock.set(at("2026-01-15T10:00:00Z"));
        Err("no".into())
    });
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let report = bench.maintain();
    assert_eq!((report.failed_rotations, bench.job().next_attempt_at), (1, Some(at("2026-01-15T10:01:00Z"))));
    bench.function.answers(|call| work(call, false));
    bench.at("2026-01-15T10:01:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-01-15T10:01:00Z")));
}

#[test]
fn a_clock_that_stands_still_is_no_trouble() {
    let bench = Bench::new(Scripted::working());
    for number in 2..20 {
        bench.secrets.rotate_secret(bench.rotate(number).rotation_rules(days(1))).unwrap();
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.next_due_at), (1, Some(at("2026-01-16T00:00:00Z"))));
    }
    assert_eq!(bench.labels(), "18 PREVIOUS, 19 CURRENT+PENDING");
}

#[test]
fn far_in_the_past_schedules_work_as_ever() {
    let bench = Bench::new(Scripted::working());
    for (number, now, next) in [
        (2, "1969-12-31T23:59:59Z", "1970-01-01T23:59:59Z"),
        (3, "1900-02-28T12:00:00Z", "1900-03-01T23:59:59Z"),
        (4, "0000-02-29T12:00:00Z", "0000-03-01T23:59:59Z"),
    ] {
        bench.at(now);
        let create = CreateSecretRequest::new(format!("secret{number}")).secret_string("first");
        bench.secrets.create_secret(create).unwrap();
        let request = RotateSecretRequest::new(format!("secret{number}")).rotation_lambda_arn(ARN);
        bench.secrets.rotate_secret(request.rotation_rules(days(1)).client_request_token(token(number))).unwrap();
        assert_eq!(bench.maintain().rotated_secrets, 1, "{now}");
        let id = DescribeSecretRequest::new(format!("secret{number}"));
        let described = bench.secrets.describe_secret(id).unwrap();
        assert_eq!(described.next_rotation_date, Some(at(next)), "{now}");
    }
}

#[test]
fn at_the_end_of_the_calendar_nothing_panics_and_nothing_goes_on_for_ever() {
    let last = DateTime::<chrono::Utc>::MAX_UTC;
    let ends: [Timestamp; 4] =
        [last, last - TimeDelta::hours(1), last - TimeDelta::days(1), DateTime::<chrono::Utc>::MIN_UTC];
    for end in ends {
        for rules in [
            days(1),
            days(1_000).duration("24h"),
            expression("rate(4 hours)"),
            expression("rate(999 days)"),
            expression("cron(0 0 29 2 ? *)"),
            expression("cron(0 23 ? * 7#5 *)").duration("1h"),
        ] {
            let what = format!("{rules:?} at {end}");
            let function = Scripted::working();
            let clock = clock("2026-01-15T12:00:00Z");
            clock.set(end);
            let store = builder(&clock).rotation_function(ARN, function.clone()).open().unwrap();
            let secrets = store.default_secrets_manager();
            let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first");
            secrets.create_secret(create).unwrap();
            let request = RotateSecretRequest::new("db").client_request_token(token(2)).rotation_lambda_arn(ARN);
            secrets.rotate_secret(request.rotation_rules(rules.clone())).unwrap();
            assert_eq!(store.maintain().unwrap().rotated_secrets, 1, "{what}");
            assert_eq!(function.calls().len(), 4, "{what}");
            let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
            if let Some(next) = described.next_rotation_date {
                assert!(next >= clock.now(), "{what}: {next}");
            }
            assert!(described.rotation_rules.unwrap().automatically_after_days.unwrap() >= 1, "{what}");

            function.answers(|_| Err("no".into()));
            let request = RotateSecretRequest::new("db").client_request_token(token(3));
            secrets.rotate_secret(request).unwrap();
            let mut failed = 0;
            for _ in 0..100 {
                failed += store.maintain().unwrap().failed_rotations;
            }
            assert!((1..=10).contains(&failed), "{what}: {failed}");
        }
    }
}

#[test]
fn a_leap_into_the_far_future_rotates_once() {
    for rules in
        [days(1), expression("rate(4 hours)"), expression("cron(0 4/8 * * ? *)"), expression("cron(0 0 29 2 ? *)")]
    {
        let bench = Bench::new(Scripted::working());
        bench.schedule(rules.clone());
        bench.at("9000-06-15T12:00:00Z");
        assert_eq!((bench.maintain().rotated_secrets, bench.steps()), (1, STEPS.to_vec()), "{rules:?}");
        assert_eq!(bench.maintain().rotated_secrets, 0, "{rules:?}");
        assert!(bench.describe().next_rotation_date.unwrap() > at("9000-06-15T12:00:00Z"), "{rules:?}");
    }
}
