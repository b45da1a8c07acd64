//! What somebody else does to a secret while it is being rotated, from inside a step or between two attempts.

use chrono::TimeDelta;
use strongroom::{
    CancelRotateSecretRequest, GetSecretValueRequest, PutSecretValueRequest, RotateSecretRequest, RotationCall,
    RotationStep, SecretsManager, UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::fixture::{ARN, Bench, STEPS, Scripted, days, token, work};

/// Something that ends a rotation, and the labels afterwards: before the version that is being made has a value, and after.
struct Row {
    what: &'static str,
    act: fn(&SecretsManager, &str),
    without_value: &'static str,
    with_value: &'static str,
    /// Whether rotation is still on.
    is_enabled: bool,
}

const TABLE: [Row; 6] = [
    Row {
        what: "a value is put",
        act: |secrets, id| {
            let put = PutSecretValueRequest::new(id, "by hand").client_request_token(token(3));
            secrets.put_secret_value(put).unwrap();
        },
        without_value: "1 PREVIOUS, 3 CURRENT",
        with_value: "1 PREVIOUS, 3 CURRENT",
        is_enabled: true,
    },
    Row {
        what: "a value is put by an update",
        act: |secrets, id| {
            let update = UpdateSecretRequest::new(id).client_request_token(token(3)).secret_string("by hand");
            secrets.update_secret(update).unwrap();
        },
        without_value: "1 PREVIOUS, 3 CURRENT",
        with_value: "1 PREVIOUS, 3 CURRENT",
        is_enabled: true,
    },
    Row {
        what: "a value is put as pending",
        act: |secrets, id| {
            let put = PutSecretValueRequest::new(id, "by hand").client_request_token(token(3));
            secrets.put_secret_value(put.version_stages(["AWSPENDING"])).unwrap();
        },
        without_value: "1 CURRENT, 3 PENDING",
        with_value: "1 CURRENT, 3 PENDING",
        is_enabled: true,
    },
    Row {
        what: "the label is removed",
        act: |secrets, id| {
            let request = UpdateSecretVersionStageRequest::new(id, "AWSPENDING").remove_from_version_id(token(2));
            secrets.update_secret_version_stage(request).unwrap();
        },
        without_value: "1 CURRENT",
        with_value: "1 CURRENT",
        is_enabled: true,
    },
    Row {
        what: "the label is moved",
        act: |secrets, id| {
            let request = UpdateSecretVersionStageRequest::new(id, "AWSPENDING").remove_from_version_id(token(2));
            secrets.update_secret_version_stage(request.move_to_version_id(token(1))).unwrap();
        },
        without_value: "1 CURRENT+PENDING",
        with_value: "1 CURRENT+PENDING",
        is_enabled: true,
    },
    Row {
        what: "rotation is turned off",
        act: |secrets, id| {
            let cancelled = secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(id)).unwrap();
            assert_eq!(cancelled.version_id, Some(token(2)));
        },
        without_value: "1 CURRENT, 2 PENDING",
        with_value: "1 CURRENT, 2 PENDING",
        is_enabled: false,
    },
];

/// The rotation is over, was no success and no failure, and does not come back.
fn is_over(bench: &Bench, row: &Row, labels: &str, what: &str) {
    let what = format!("{}, {what}", row.what);
    assert_eq!(bench.labels(), labels, "{what}");
    assert_eq!(bench.status().in_progress, None, "{what}");
    let described = bench.describe();
    assert_eq!((described.rotation_enabled, described.last_rotated_date), (Some(row.is_enabled), None), "{what}");
    bench.advance(TimeDelta::days(1));
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 0), "{what}");
    assert_eq!(report.next_due_at.is_some(), row.is_enabled, "the schedule stays: {what}");
}

#[test]
fn a_rotation_that_is_ended_inside_a_step_goes_no_further() {
    for row in &TABLE {
        for (number, step) in RotationStep::ALL.into_iter().enumerate() {
            // Before the step does its own work, or instead of it.
            for goes_on in [false, true] {
                let act = row.act;
                let bench = Bench::new(Scripted::new(move |call| {
                    if call.step == step {
                        act(&call.secrets, &call.secret_id);
                        if !goes_on {
                            return Ok(());
                        }
                    }
                    work(call, false)
                }));
                bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(10))).unwrap();
                let report = bench.maintain();
                let what = format!("{step}, goes on: {goes_on}");
                assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 0), "{}, {what}", row.what);
                assert_eq!(bench.steps(), STEPS[..=number], "{}, {what}", row.what);
                let labels = if number == 0 { row.without_value } else { row.with_value };
                is_over(&bench, row, labels, &what);
            }
        }
    }
}

#[test]
fn a_rotation_that_is_ended_between_two_attempts_is_not_made_again() {
    for row in &TABLE {
        for failing in [RotationStep::CreateSecret, RotationStep::TestSecret] {
            let bench =
                Bench::new(Scripted::new(
                    move |call| {
                        if call.step == failing { Err("no".into()) } else { work(call, false) }
                    },
                ));
            bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(10))).unwrap();
            assert_eq!(bench.maintain().failed_rotations, 1);
            bench.function.calls();
            (row.act)(&bench.secrets, "db");
            let labels = if failing == RotationStep::CreateSecret { row.without_value } else { row.with_value };
            is_over(&bench, row, labels, &format!("after {failing}"));
        }
    }
}

#[test]
fn the_next_rotation_is_not_held_up_by_one_that_was_ended() {
    for row in TABLE.iter().filter(|row| row.is_enabled && !row.with_value.contains("3 PENDING")) {
        let bench = Bench::new(Scripted::working());
        bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(10))).unwrap();
        (row.act)(&bench.secrets, "db");
        bench.secrets.rotate_secret(bench.rotate(4)).unwrap();
        assert_eq!(bench.maintain().rotated_secrets, 1, "{}", row.what);
        assert_eq!(bench.current(), format!("made for {}", token(4)), "{}", row.what);
    }
}

#[test]
fn a_version_without_value_that_lost_its_label_is_no_version() {
    for row in TABLE.iter().filter(|row| !row.without_value.contains("2 PENDING")) {
        let bench = Bench::new(Scripted::working());
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        (row.act)(&bench.secrets, "db");
        let read = bench.secrets.get_secret_value(GetSecretValueRequest::new("db").version_id(token(2)));
        assert_eq!(read.unwrap_err().code(), "ResourceNotFoundException", "{}", row.what);
        // Nothing is in the way of somebody who uses the token for a value of their own.
        bench.put(2, &[]);
        assert_eq!(bench.current(), "value 2", "{}", row.what);
    }
}

#[test]
fn a_value_that_was_made_before_the_end_stays_readable() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.put(2, &["AWSPENDING"]);
    bench.put(3, &[]);
    let read = bench.secrets.get_secret_value(GetSecretValueRequest::new("db").version_id(token(2))).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "value 2");
    assert_eq!(read.version_stages, None);
}

#[test]
fn a_rotation_that_was_finished_by_hand_is_one_that_succeeded() {
    let finish = |call: &RotationCall| {
        let (secrets, id) = (&call.secrets, &call.secret_id);
        let request = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").remove_from_version_id(token(1));
        secrets.update_secret_version_stage(request.move_to_version_id(token(2))).unwrap();
    };
    for step in [RotationStep::SetSecret, RotationStep::TestSecret, RotationStep::FinishSecret] {
        let bench = Bench::new(Scripted::new(move |call| {
            if call.step == step {
                finish(call);
            }
            work(call, false)
        }));
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        assert_eq!(bench.maintain().rotated_secrets, 1, "{step}");
        assert_eq!(bench.steps(), STEPS, "{step}");
        assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING", "{step}");
    }
}

#[test]
fn no_other_rotation_begins_inside_a_step() {
    let bench = Bench::new(Scripted::new(|call| {
        let other = RotateSecretRequest::new(&call.secret_id).client_request_token(token(9)).rotation_lambda_arn(ARN);
        if call.step != RotationStep::FinishSecret {
            let error = call.secrets.rotate_secret(other).unwrap_err();
            assert_eq!(error.message(), "A previous rotation isn't complete. That rotation will be reattempted.");
        }
        let same = RotateSecretRequest::new(&call.secret_id).client_request_token(token(2));
        assert_eq!(call.secrets.rotate_secret(same).unwrap().version_id, token(2));
        work(call, false)
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.steps(), STEPS);
    assert_eq!(bench.maintain().rotated_secrets, 0);
}

#[test]
fn whoever_reads_meanwhile_gets_the_value_that_was_current() {
    let bench = Bench::new(Scripted::new(|call| {
        let read = call.secrets.get_secret_value(GetSecretValueRequest::new(&call.secret_id)).unwrap();
        assert_eq!(read.version_id, token(1));
        let done = work(call, false);
        let read = call.secrets.get_secret_value(GetSecretValueRequest::new(&call.secret_id)).unwrap();
        let is_finished = call.step == RotationStep::FinishSecret;
        assert_eq!(read.version_id, token(if is_finished { 2 } else { 1 }));
        done
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.maintain().rotated_secrets, 1);
}
