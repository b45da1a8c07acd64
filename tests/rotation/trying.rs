//! RotateSecret with RotateImmediately=false: rotation is configured, and the function only tries its step testSecret.

use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, ListSecretVersionIdsRequest,
    RotateSecretRequest, RotationStep,
};

use crate::fixture::{ARN, Bench, Scripted, at, days, refusal, token};

/// The ids of all versions that have a value, deprecated ones included.
fn versions(bench: &Bench) -> Vec<String> {
    let list = ListSecretVersionIdsRequest::new("db").include_deprecated(true);
    let versions = bench.secrets.list_secret_version_ids(list).unwrap().versions;
    versions.into_iter().map(|version| version.version_id).collect()
}

#[test]
fn rotation_is_configured_and_the_value_stays() {
    let bench = Bench::new(Scripted::working());
    let later = bench.rotate(2).rotation_rules(days(3)).rotate_immediately(false);
    let begun = bench.secrets.rotate_secret(later).unwrap();
    assert_eq!((begun.name.as_str(), begun.version_id), ("db", token(2)));
    for _ in 0..2 {
        let described = bench.describe();
        assert_eq!(described.rotation_enabled, Some(true));
        assert_eq!(described.rotation_lambda_arn.as_deref(), Some(ARN));
        assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
        assert_eq!(described.last_rotated_date, None);
        assert_eq!(bench.current(), "first");
        bench.maintain();
    }
    assert_eq!(bench.labels(), "1 CURRENT");
}

#[test]
fn only_the_test_is_called_with_a_copy_that_goes_again() {
    let bench = Bench::new(Scripted::new(|call| {
        assert_eq!(call.step, RotationStep::TestSecret);
        let get = GetSecretValueRequest::new(&call.secret_id).version_id(&call.client_request_token);
        let copy = call.secrets.get_secret_value(get.version_stage("AWSPENDING"))?;
        assert_eq!(copy.version_stages, Some(vec!["AWSPENDING".to_owned()]));
        assert_eq!(copy.secret_string.unwrap().expose(), "first");
        let described = call.secrets.describe_secret(DescribeSecretRequest::new(&call.secret_id))?;
        assert_eq!(described.rotation_enabled, Some(true));
        assert_eq!(described.version_ids_to_stages.unwrap().len(), 2);
        Ok(())
    }));
    let later = bench.rotate(2).rotation_rules(days(3)).rotate_immediately(false);
    bench.secrets.rotate_secret(later).unwrap();
    let job = bench.job();
    assert_eq!((job.version_id, job.is_test), (token(2), true));
    let report = bench.maintain();
    assert_eq!((report.tested_rotations, report.rotated_secrets, report.failed_rotations), (1, 0, 0));
    assert_eq!(bench.function.calls(), [(RotationStep::TestSecret, token(2))]);
    assert_eq!((bench.labels().as_str(), versions(&bench)), ("1 CURRENT", vec![token(1)]));
    assert_eq!(bench.status().in_progress, None);
    let report = bench.maintain();
    assert_eq!((report.tested_rotations, bench.steps().len()), (0, 0));
    assert_eq!(report.next_due_at, Some(at("2026-01-18T00:00:00Z")));
}

#[test]
fn a_test_that_fails_leaves_the_configuration_and_is_not_made_again() {
    let bench = Bench::new(Scripted::new(|_| Err("the new password opens nothing".into())));
    let later = bench.rotate(2).rotation_rules(days(3)).rotate_immediately(false);
    bench.secrets.rotate_secret(later).unwrap();
    let report = bench.maintain();
    assert_eq!((report.tested_rotations, report.failed_rotations), (0, 1));
    let described = bench.describe();
    assert_eq!((described.rotation_enabled, described.rotation_rules), (Some(true), Some(days(3))));
    assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
    assert_eq!((bench.labels().as_str(), versions(&bench)), ("1 CURRENT", vec![token(1)]));
    assert_eq!(bench.steps(), ["testSecret"]);
    bench.at("2026-01-17T23:59:59Z");
    let report = bench.maintain();
    assert_eq!((report.failed_rotations, bench.steps().len()), (0, 0));
    // The schedule goes on as if nothing had been.
    bench.function.answers(|call| crate::fixture::work(call, false));
    bench.at("2026-01-18T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn bytes_are_copied_as_bytes() {
    let bench = Bench::new(Scripted::new(|call| {
        let get = GetSecretValueRequest::new(&call.secret_id).version_id(&call.client_request_token);
        let copy = call.secrets.get_secret_value(get)?;
        assert_eq!((copy.secret_binary.unwrap().expose(), copy.secret_string), (&[0, 255][..], None));
        Ok(())
    }));
    bench.secrets.create_secret(CreateSecretRequest::new("bytes").secret_binary(vec![0, 255])).unwrap();
    let later = RotateSecretRequest::new("bytes").rotation_lambda_arn(ARN).rotate_immediately(false);
    bench.secrets.rotate_secret(later).unwrap();
    assert_eq!(bench.maintain().tested_rotations, 1);
}

#[test]
fn a_secret_without_a_value_has_nothing_to_try() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    let later = RotateSecretRequest::new("empty").rotation_lambda_arn(ARN).rotate_immediately(false);
    bench.secrets.rotate_secret(later.rotation_rules(days(3))).unwrap();
    let report = bench.maintain();
    assert_eq!((report.tested_rotations, report.failed_rotations, bench.steps().len()), (0, 1, 0));
    let described = bench.secrets.describe_secret(DescribeSecretRequest::new("empty")).unwrap();
    assert_eq!((described.rotation_enabled, described.version_ids_to_stages), (Some(true), None));
}

#[test]
fn while_a_function_is_to_be_tried_no_rotation_begins() {
    let bench = Bench::new(Scripted::working());
    let later = || bench.rotate(2).rotation_rules(days(3)).rotate_immediately(false);
    let first = bench.secrets.rotate_secret(later()).unwrap();
    let (code, text) = refusal(bench.secrets.rotate_secret(bench.rotate(3)));
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(text, "A previous rotation isn't complete. That rotation will be reattempted.");
    let before = (bench.describe(), bench.status());
    assert_eq!(bench.secrets.rotate_secret(later()).unwrap(), first);
    assert_eq!((bench.describe(), bench.status()), before);
    assert_eq!(bench.maintain().tested_rotations, 1);
    // The version of the test is gone, and its token is free again.
    assert_eq!(bench.secrets.rotate_secret(bench.rotate(2)).unwrap().version_id, token(2));
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn a_value_that_is_put_by_hand_ends_the_test() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3)).rotate_immediately(false)).unwrap();
    bench.put(3, &[]);
    assert_eq!(bench.labels(), "1 PREVIOUS, 3 CURRENT");
    assert_eq!(bench.maintain().tested_rotations, 0);
    assert_eq!(bench.steps().len(), 0);
    assert_eq!(bench.describe().rotation_enabled, Some(true));
}

#[test]
fn the_copy_is_of_the_value_that_is_current_when_it_is_tried() {
    let bench = Bench::new(Scripted::new(|call| {
        let get = GetSecretValueRequest::new(&call.secret_id).version_id(&call.client_request_token);
        assert_eq!(call.secrets.get_secret_value(get)?.secret_string.unwrap().expose(), "value 3");
        Ok(())
    }));
    bench.put(3, &["blue"]);
    bench.secrets.rotate_secret(bench.rotate(2).rotate_immediately(false)).unwrap();
    bench.move_label("AWSCURRENT", Some(1), Some(3));
    assert_eq!(bench.maintain().tested_rotations, 1);
    assert_eq!(bench.labels(), "1 PREVIOUS, 3 CURRENT+blue");
}

#[test]
fn the_configuration_of_a_secret_that_rotates_can_be_changed_without_rotating_it() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(30))).unwrap();
    bench.maintain();
    let rotated_at = bench.describe().last_rotated_date;
    bench.at("2026-01-16T12:00:00Z");
    bench.secrets.rotate_secret(bench.rotate(3).rotation_rules(days(2)).rotate_immediately(false)).unwrap();
    assert_eq!(bench.maintain().tested_rotations, 1);
    let described = bench.describe();
    assert_eq!(described.last_rotated_date, rotated_at);
    assert_eq!(described.next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT");
}
