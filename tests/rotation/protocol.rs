//! The four steps, and the states around them.

use std::sync::{Arc, Mutex};

use strongroom::{
    Clock, DescribeSecretRequest, GetSecretValueRequest, ListSecretVersionIdsRequest, PutSecretValueRequest,
    RotationCall, RotationRules, RotationStep,
};

use crate::fixture::{ARN, Bench, STEPS, Scripted, shown, token, work};

#[test]
fn a_rotation_begins_with_a_placeholder_and_ends_with_a_new_current_version() {
    let bench = Bench::new(Scripted::working());
    let rules = RotationRules::new().automatically_after_days(1);
    let begun = bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(rules)).unwrap();
    assert_eq!(begun.version_id, token(2));
    assert_eq!(shown(&bench.stages()), "1 CURRENT, 2 PENDING");
    let before = bench.describe();
    assert_eq!((before.rotation_enabled, before.last_rotated_date), (Some(true), None));
    assert_eq!(bench.function.calls(), []);

    let report = bench.store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0));
    let expected: Vec<_> = RotationStep::ALL.iter().map(|step| (*step, token(2))).collect();
    assert_eq!(bench.function.calls(), expected);
    assert_eq!(shown(&bench.stages()), "1 PREVIOUS, 2 CURRENT+PENDING");
    assert_eq!(bench.current(), format!("made for {}", token(2)));
    let after = bench.describe();
    assert_eq!(after.last_rotated_date, Some(bench.clock.now()));
    assert_eq!(after.next_rotation_date.unwrap().to_string(), "2026-01-16 23:59:59 UTC");
    assert_eq!(after.rotation_rules, Some(RotationRules::new().automatically_after_days(1)));

    bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
    assert_eq!(shown(&bench.stages()), "1 PREVIOUS, 2 CURRENT, 3 PENDING");
    bench.function.answers(|call| work(call, true));
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
    assert_eq!(shown(&bench.stages()), "2 PREVIOUS, 3 CURRENT");
}

/// Labels step by step, as they were recorded of a function whose last step also removes `AWSPENDING`, and of one whose does
/// not.
#[test]
fn the_labels_move_as_they_were_recorded() {
    for (unlabels, rows) in [
        (true, ["1 PREVIOUS, 2 CURRENT", "2 PREVIOUS, 3 CURRENT", "3 PREVIOUS, 4 CURRENT"]),
        (false, ["1 PREVIOUS, 2 CURRENT+PENDING", "2 PREVIOUS, 3 CURRENT+PENDING", "3 PREVIOUS, 4 CURRENT+PENDING"]),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let bench = Bench::new(Scripted::new(move |call| {
            let described = call.secrets.describe_secret(DescribeSecretRequest::new(&call.secret_id))?;
            let mine = described.version_ids_to_stages.unwrap().remove(&call.client_request_token).unwrap();
            let get = GetSecretValueRequest::new(&call.secret_id).version_id(&call.client_request_token);
            let has_value = call.secrets.get_secret_value(get.version_stage("AWSPENDING")).is_ok();
            told.lock().unwrap().push((call.step.as_str(), mine, has_value));
            work(call, unlabels)
        }));
        for (number, row) in (2..).zip(rows) {
            bench.secrets.rotate_secret(bench.rotate(number)).unwrap();
            assert_eq!(bench.maintain().rotated_secrets, 1);
            assert_eq!(bench.labels(), row);
            // Up to the last step the version is pending and nothing else.
            let pending = || vec!["AWSPENDING".to_owned()];
            let expected: Vec<_> = STEPS.iter().map(|step| (*step, pending(), *step != "createSecret")).collect();
            assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), expected);
        }
        let list = ListSecretVersionIdsRequest::new("db").include_deprecated(true);
        let versions = bench.secrets.list_secret_version_ids(list).unwrap().versions;
        assert_eq!(versions.len(), 4, "what is deprecated can still be listed");
    }
}

#[test]
fn going_back_after_a_rotation_holds_up_the_next_one() {
    for (unlabels, labels, is_held_up) in
        [(true, "1 CURRENT, 2 PREVIOUS", false), (false, "1 CURRENT, 2 PENDING+PREVIOUS", true)]
    {
        let bench = Bench::new(Scripted::new(move |call| work(call, unlabels)));
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        bench.maintain();
        bench.move_label("AWSCURRENT", Some(2), Some(1));
        assert_eq!(bench.labels(), labels);
        assert_eq!(bench.secrets.rotate_secret(bench.rotate(3)).is_err(), is_held_up);
    }
}

#[test]
fn a_function_is_told_what_the_service_tells_one() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let bench = Bench::new(Scripted::new(move |call| {
        let RotationCall { step, secret_id, client_request_token, rotation_token, function_arn, .. } = call;
        let row = (*step, secret_id.clone(), client_request_token.clone(), function_arn.clone());
        told.lock().unwrap().push((row, rotation_token.expose().to_owned()));
        // The token of the rotation is for PutSecretValue, which takes it.
        if *step == RotationStep::CreateSecret {
            let put = PutSecretValueRequest::new(secret_id, "made").client_request_token(client_request_token);
            let put = put.version_stages(["AWSPENDING"]).rotation_token(rotation_token.expose());
            call.secrets.put_secret_value(put)?;
            return Ok(());
        }
        work(call, false)
    }));
    let arn = bench.describe().arn;
    let mut tokens = Vec::new();
    for number in [2, 3] {
        bench.secrets.rotate_secret(bench.rotate(number)).unwrap();
        assert_eq!(bench.maintain().rotated_secrets, 1);
        let calls = std::mem::take(&mut *seen.lock().unwrap());
        for ((row, rotation_token), step) in calls.iter().zip(RotationStep::ALL) {
            assert_eq!(*row, (step, arn.clone(), token(number), Some(ARN.to_owned())));
            assert!((36..=256).contains(&rotation_token.len()), "{rotation_token}");
            assert!(
                rotation_token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                "{rotation_token}"
            );
            assert_eq!(*rotation_token, calls[0].1, "the same for all steps");
        }
        assert_eq!(calls.len(), 4);
        tokens.push(calls[0].1.clone());
        assert_ne!(calls[0].1, token(number));
    }
    assert_ne!(tokens[0], tokens[1], "another for each rotation");
}

#[test]
fn a_rotation_by_the_schedule_makes_a_version_of_its_own() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(RotationRules::new().automatically_after_days(1));
    let mut made = Vec::new();
    for day in ["2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z"] {
        bench.at(day);
        assert_eq!(bench.maintain().rotated_secrets, 1);
        let calls = bench.function.calls();
        assert_eq!(calls.iter().map(|(step, _)| *step).collect::<Vec<_>>(), RotationStep::ALL);
        assert!(calls.iter().all(|(_, id)| *id == calls[0].1));
        assert_eq!(calls[0].1.len(), 36);
        made.push(calls[0].1.clone());
    }
    assert_ne!(made[0], made[1]);
    assert_eq!(bench.current(), format!("made for {}", made[1]));
}

#[test]
fn a_step_that_finds_its_work_done_does_it_no_second_time() {
    let bench = Bench::new(Scripted::new(|call| work(call, false).and_then(|()| work(call, false))));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
}

#[test]
fn what_a_function_is_told_hides_its_token_in_logs() {
    let bench = Bench::new(Scripted::new(|call| {
        let shown = format!("{call:?}");
        assert!(!shown.contains(call.rotation_token.expose()), "{shown}");
        work(call, false)
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
}
