//! What RotateSecret stores and begins, and how the version that is being made looks to everybody else.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>

use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    ListSecretVersionIdsRequest, PutSecretValueRequest, RotateSecretRequest, RotationRules, UpdateSecretRequest,
};

use crate::fixture::{ARN, Bench, Scripted, days, expression, refusal, token, work};

#[test]
fn the_response_names_the_secret_and_the_version_whatever_form_the_id_has() {
    let bench = Bench::new(Scripted::working());
    let arn = bench.describe().arn;
    for (number, id) in [(2, "db"), (3, arn.as_str()), (4, &arn[..arn.len() - 7])] {
        let request = RotateSecretRequest::new(id).client_request_token(token(number)).rotation_lambda_arn(ARN);
        let begun = bench.secrets.rotate_secret(request).unwrap();
        assert_eq!((begun.arn, begun.name.as_str(), begun.version_id), (arn.clone(), "db", token(number)));
        assert_eq!(bench.maintain().rotated_secrets, 1);
    }
}

#[test]
fn a_token_is_made_for_whoever_gives_none() {
    let bench = Bench::new(Scripted::working());
    let mut made = Vec::new();
    for _ in 0..2 {
        let begun = bench.secrets.rotate_secret(RotateSecretRequest::new("db").rotation_lambda_arn(ARN)).unwrap();
        assert_eq!(begun.version_id.len(), 36);
        assert_eq!(bench.describe().version_ids_to_stages.unwrap()[&begun.version_id], ["AWSPENDING"]);
        made.push(begun.version_id);
        bench.maintain();
    }
    assert_ne!(made[0], made[1]);
    // Two tests with a token that was made do not meet either.
    let later = || bench.secrets.rotate_secret(RotateSecretRequest::new("db").rotate_immediately(false)).unwrap();
    let first = later().version_id;
    bench.maintain();
    assert_ne!(first, later().version_id);
}

#[test]
fn rotating_at_once_is_what_happens_unless_it_is_refused() {
    for immediately in [None, Some(true), Some(false)] {
        let bench = Bench::new(Scripted::working());
        let mut request = bench.rotate(2).rotation_rules(days(3));
        request.rotate_immediately = immediately;
        assert_eq!(bench.secrets.rotate_secret(request).unwrap().version_id, token(2));
        let described = bench.describe();
        assert_eq!(described.rotation_enabled, Some(true));
        assert_eq!(described.rotation_lambda_arn.as_deref(), Some(ARN));
        assert_eq!(described.rotation_rules, Some(days(3)));
        let report = bench.maintain();
        let is_rotated = immediately != Some(false);
        assert_eq!((report.rotated_secrets, report.tested_rotations), if is_rotated { (1, 0) } else { (0, 1) });
        assert_eq!(bench.current(), if is_rotated { format!("made for {}", token(2)) } else { "first".to_owned() });
    }
}

#[test]
fn what_was_configured_is_used_again() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
    bench.maintain();
    let before = bench.describe();
    let again = RotateSecretRequest::new("db").client_request_token(token(3));
    bench.secrets.rotate_secret(again).unwrap();
    bench.maintain();
    let after = bench.describe();
    assert_eq!(bench.labels(), "2 PREVIOUS, 3 CURRENT+PENDING");
    assert_eq!(
        (after.rotation_lambda_arn, after.rotation_rules, after.next_rotation_date),
        (before.rotation_lambda_arn, before.rotation_rules, before.next_rotation_date)
    );
    // An empty ARN is the same as none.
    let empty = RotateSecretRequest::new("db").client_request_token(token(4)).rotation_lambda_arn("");
    bench.secrets.rotate_secret(empty).unwrap();
    assert_eq!(bench.describe().rotation_lambda_arn.as_deref(), Some(ARN));
}

#[test]
fn without_rules_a_secret_rotates_on_demand_only() {
    let bench = Bench::new(Scripted::working());
    for rules in [None, Some(RotationRules::new())] {
        let bench = Bench::new(Scripted::working());
        let mut request = bench.rotate(2);
        request.rotation_rules = rules;
        bench.secrets.rotate_secret(request).unwrap();
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.next_due_at), (1, None));
        let described = bench.describe();
        assert_eq!((described.rotation_enabled, described.rotation_rules), (Some(true), None));
        assert_eq!(described.next_rotation_date, None);
        assert_eq!(described.last_rotated_date, Some(crate::fixture::at("2026-01-15T12:00:00Z")));
    }
    // A duration alone is kept for the schedule to come, and is no schedule.
    let alone = RotationRules::new().duration("2h");
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(alone.clone())).unwrap();
    assert_eq!(bench.maintain().next_due_at, None);
    assert_eq!(bench.describe().rotation_rules.unwrap().duration, alone.duration);
    assert_eq!(bench.describe().next_rotation_date, None);
}

#[test]
fn new_rules_take_the_place_of_all_that_was_there() {
    let bench = Bench::new(Scripted::working());
    let rows = [
        (days(10).duration("2h"), days(10).duration("2h"), "2026-01-25 01:59:59 UTC"),
        (days(5), days(5), "2026-01-20 23:59:59 UTC"),
        (
            expression("cron(0 20 ? * 7 *)").duration("3h"),
            expression("cron(0 20 ? * 7 *)").duration("3h").automatically_after_days(7),
            "2026-01-17 22:59:59 UTC",
        ),
        (
            expression("rate(12 hours)"),
            expression("rate(12 hours)").automatically_after_days(1),
            "2026-01-16 00:59:59 UTC",
        ),
        (days(1), days(1), "2026-01-16 23:59:59 UTC"),
        (
            expression("rate(20 days)"),
            expression("rate(20 days)").automatically_after_days(20),
            "2026-02-04 23:59:59 UTC",
        ),
    ];
    for (number, (given, shown, next)) in (2..).zip(rows) {
        bench.secrets.rotate_secret(bench.rotate(number).rotation_rules(given)).unwrap();
        bench.maintain();
        let described = bench.describe();
        assert_eq!(described.rotation_rules, Some(shown));
        assert_eq!(described.next_rotation_date.unwrap().to_string(), next);
    }
}

#[test]
fn the_function_can_be_exchanged() {
    let other = "arn:aws:lambda:us-east-1:000000000000:function:other";
    let second = Scripted::working();
    let bench = Bench::with(Scripted::working(), |builder| builder.rotation_function(other, second.clone()));
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
    bench.maintain();
    assert_eq!((bench.steps().len(), second.calls().len()), (4, 0));
    bench.secrets.rotate_secret(bench.rotate(3).rotation_lambda_arn(other)).unwrap();
    bench.maintain();
    assert_eq!((bench.steps().len(), second.calls().len()), (0, 4));
    let described = bench.describe();
    assert_eq!((described.rotation_lambda_arn.as_deref(), described.rotation_rules), (Some(other), Some(days(3))));
}

#[test]
fn the_call_returns_before_the_function_is_called() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1))).unwrap();
    assert_eq!(bench.function.calls(), []);
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
    assert_eq!(bench.describe().last_rotated_date, None);
    assert_eq!(bench.current(), "first");
    let job = bench.job();
    assert_eq!((job.version_id, job.is_test, job.attempts), (token(2), false, 0));
    assert_eq!(
        (job.next_attempt_at, job.window_end, job.last_failure),
        (Some(bench.describe().created_date), None, None)
    );
}

#[test]
fn the_token_of_the_rotation_that_is_under_way_begins_no_other() {
    let bench = Bench::new(Scripted::working());
    let first = bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(1))).unwrap();
    let before = (bench.describe(), bench.status());
    bench.advance(chrono::TimeDelta::seconds(30));
    for again in [
        bench.rotate(2),
        bench.rotate(2).rotation_rules(days(1)),
        RotateSecretRequest::new("db").client_request_token(token(2)),
    ] {
        assert_eq!(bench.secrets.rotate_secret(again).unwrap(), first);
        assert_eq!((bench.describe(), bench.status()), before);
    }
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.steps().len(), 4);
    // Once it is over, the token is that of a version.
    let (code, text) = refusal(bench.secrets.rotate_secret(bench.rotate(2)));
    assert_eq!(code, "InvalidRequestException");
    assert!(text.starts_with(&format!("You can't use ClientRequestToken {} because", token(2))), "{text}");
}

#[test]
fn the_version_that_is_being_made_is_described_and_cannot_be_read_or_listed() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.describe().version_ids_to_stages.unwrap()[&token(2)], ["AWSPENDING"]);
    for deprecated in [false, true] {
        let list = ListSecretVersionIdsRequest::new("db").include_deprecated(deprecated);
        let versions = bench.secrets.list_secret_version_ids(list).unwrap().versions;
        assert_eq!(versions.len(), 1);
        assert_eq!(versions[0].version_id, token(1));
    }
    let get = || GetSecretValueRequest::new("db");
    let by_id = format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(2));
    let by_label = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING".to_owned();
    let read = |request: GetSecretValueRequest| refusal(bench.secrets.get_secret_value(request));
    assert_eq!(read(get().version_id(token(2))), ("ResourceNotFoundException", by_id));
    assert_eq!(read(get().version_stage("AWSPENDING")), ("ResourceNotFoundException", by_label));
    assert_eq!(read(get().version_id(token(2)).version_stage("AWSPENDING")).0, "ResourceNotFoundException");
    // A read that finds nothing is none.
    assert_eq!(bench.describe().last_accessed_date, None);
    let batch = BatchGetSecretValueRequest::new().secret_id_list(["db"]);
    assert_eq!(bench.secrets.batch_get_secret_value(batch).unwrap().secret_values[0].version_id, token(1));
}

#[test]
fn the_version_that_is_being_made_is_filled_by_its_token() {
    // The labels of the put, and what comes of it for the version, and whether the rotation goes on.
    let rows: [(&[&str], &str, bool); 5] = [
        (&["AWSPENDING"], "1 CURRENT, 2 PENDING", true),
        (&["AWSPENDING", "blue"], "1 CURRENT, 2 PENDING+blue", true),
        (&["blue"], "1 CURRENT, 2 PENDING+blue", true),
        (&["AWSCURRENT"], "1 PREVIOUS, 2 CURRENT", true),
        (&["AWSCURRENT", "AWSPENDING"], "1 PREVIOUS, 2 CURRENT+PENDING", true),
    ];
    for (labels, expected, goes_on) in rows {
        let bench = Bench::new(Scripted::working());
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        bench.put(2, labels);
        assert_eq!(bench.labels(), expected, "{labels:?}");
        assert_eq!(bench.status().in_progress.is_some(), goes_on, "{labels:?}");
        let get = GetSecretValueRequest::new("db").version_id(token(2));
        let read = bench.secrets.get_secret_value(get).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), "value 2", "{labels:?}");
        // Its value does not change any more.
        let other = PutSecretValueRequest::new("db", "another").client_request_token(token(2));
        let other = other.version_stages(["AWSPENDING"]);
        assert_eq!(refusal(bench.secrets.put_secret_value(other)).0, "ResourceExistsException", "{labels:?}");
        bench.put(2, labels);
        assert_eq!(bench.labels(), expected, "{labels:?}");
    }
}

#[test]
fn an_update_with_the_token_makes_the_version_current() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let update = UpdateSecretRequest::new("db").client_request_token(token(2)).secret_string("updated");
    assert_eq!(bench.secrets.update_secret(update).unwrap().version_id, Some(token(2)));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT");
    assert_eq!(bench.current(), "updated");
}

#[test]
fn a_secret_is_not_created_again_with_the_token_of_a_version_without_value() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    let create = CreateSecretRequest::new("db").client_request_token(token(2)).secret_string("again");
    assert_eq!(refusal(bench.secrets.create_secret(create)).0, "ResourceExistsException");
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
}

#[test]
fn the_label_comes_from_the_version_that_was_made_last() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.maintain();
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
    bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT, 3 PENDING");
}

#[test]
fn a_secret_without_a_value_can_be_rotated_by_a_function_that_needs_none() {
    let bench = Bench::new(Scripted::working());
    let rotate =
        |number: u32| RotateSecretRequest::new("empty").client_request_token(token(number)).rotation_lambda_arn(ARN);
    bench.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    bench.secrets.rotate_secret(rotate(1)).unwrap();
    let stages = || {
        let described = bench.secrets.describe_secret(DescribeSecretRequest::new("empty")).unwrap();
        described.version_ids_to_stages.unwrap_or_default().remove(&token(1)).unwrap_or_default()
    };
    assert_eq!(stages(), ["AWSPENDING"]);
    // The published functions read the current value first, and there is none.
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 1));
    assert_eq!(bench.steps(), ["createSecret"]);
    bench.function.answers(|call| match call.step.as_str() {
        "createSecret" => {
            let put = PutSecretValueRequest::new(&call.secret_id, "made").version_stages(["AWSPENDING"]);
            call.secrets.put_secret_value(put.client_request_token(&call.client_request_token))?;
            Ok(())
        }
        _ => work(call, false),
    });
    bench.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(stages(), ["AWSPENDING", "AWSCURRENT"]);
}
