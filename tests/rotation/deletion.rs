//! Rotation of secrets that are scheduled for deletion, gone, or back.

use chrono::TimeDelta;
use strongroom::{CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, RestoreSecretRequest, RotationStep};

use crate::fixture::{Bench, STEPS, Scripted, at, days, refusal, token, work};

impl Bench {
    fn delete(&self) {
        self.secrets.delete_secret(DeleteSecretRequest::new("db")).unwrap();
    }

    fn restore(&self) {
        self.secrets.restore_secret(RestoreSecretRequest::new("db")).unwrap();
    }
}

#[test]
fn a_secret_that_is_scheduled_for_deletion_does_not_rotate_until_it_is_restored() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    bench.delete();
    let described = bench.describe();
    assert_eq!((described.rotation_enabled, described.rotation_rules), (Some(true), Some(days(1))));
    for day in ["2026-01-16T00:00:00Z", "2026-01-16T12:00:00Z", "2026-01-20T00:00:00Z"] {
        bench.at(day);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 0), "{day}");
        assert_eq!(report.next_due_at, bench.describe().deleted_date, "{day}");
    }
    bench.restore();
    assert_eq!(bench.describe().rotation_enabled, Some(true));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.describe().last_rotated_date, Some(at("2026-01-20T00:00:00Z")));
}

#[test]
fn a_window_that_passed_while_the_secret_was_to_be_deleted_is_not_made_up_for_if_it_has_a_duration() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1).duration("2h"));
    bench.delete();
    bench.at("2026-01-16T03:00:00Z");
    bench.restore();
    assert_eq!(bench.maintain().rotated_secrets, 0);
    bench.at("2026-01-17T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn a_rotation_that_was_under_way_goes_on_after_a_restoration() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.delete();
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 0));
    bench.advance(TimeDelta::days(3));
    bench.restore();
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
}

#[test]
fn a_secret_that_is_scheduled_for_deletion_during_a_step_is_left_alone_until_it_is_restored() {
    for (number, step) in RotationStep::ALL.into_iter().enumerate() {
        let bench = Bench::new(Scripted::new(move |call| {
            let done = work(call, false);
            if call.step == step {
                call.secrets.delete_secret(DeleteSecretRequest::new(&call.secret_id))?;
            }
            done
        }));
        bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
        bench.maintain();
        assert_eq!(bench.steps(), STEPS[..=number], "no step is called once it is scheduled: {step}");
        bench.advance(TimeDelta::hours(1));
        bench.maintain();
        assert_eq!(bench.steps().len(), 0, "{step}");
        bench.function.answers(|call| work(call, false));
        bench.restore();
        let report = bench.maintain();
        if step == RotationStep::FinishSecret {
            // Everything was done when it was deleted.
            assert!(bench.status().in_progress.is_none(), "{step}");
        } else {
            assert_eq!(report.rotated_secrets, 1, "{step}");
            assert_eq!(bench.steps(), STEPS, "{step}");
        }
        assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING", "{step}");
        assert!(bench.describe().last_rotated_date.is_some(), "{step}");
    }
}

#[test]
fn a_secret_that_is_removed_during_a_step_is_gone_and_one_of_the_same_name_is_another() {
    for is_made_again in [false, true] {
        for (number, step) in RotationStep::ALL.into_iter().enumerate() {
            let bench = Bench::new(Scripted::new(move |call| {
                if call.step != step {
                    return work(call, false);
                }
                let force = DeleteSecretRequest::new(&call.secret_id).force_delete_without_recovery(true);
                call.secrets.delete_secret(force)?;
                if is_made_again {
                    let create = CreateSecretRequest::new("db").client_request_token(&call.client_request_token);
                    call.secrets.create_secret(create.secret_string("another"))?;
                }
                Ok(())
            }));
            bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
            let report = bench.maintain();
            assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 0), "{step}");
            assert_eq!(bench.steps().len(), number + 1, "{step}");
            if is_made_again {
                let described = bench.describe();
                assert_eq!((described.rotation_enabled, described.last_rotated_date), (None, None), "{step}");
                assert_eq!((bench.labels().as_str(), bench.current().as_str()), ("2 CURRENT", "another"), "{step}");
                bench.function.answers(|call| work(call, false));
                bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
                assert_eq!(bench.maintain().rotated_secrets, 1, "{step}");
            } else {
                let described = bench.secrets.describe_secret(DescribeSecretRequest::new("db"));
                assert_eq!(refusal(described).0, "ResourceNotFoundException", "{step}");
                bench.advance(TimeDelta::days(10));
                assert_eq!((bench.maintain().next_due_at, bench.steps().len()), (None, 0), "{step}");
            }
        }
    }
}

#[test]
fn a_secret_that_was_rotating_is_purged_when_its_time_has_come() {
    let bench = Bench::new(Scripted::new(|_| Err("no".into())));
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(days(3))).unwrap();
    bench.maintain();
    bench.delete();
    bench.advance(TimeDelta::days(30));
    let report = bench.maintain();
    assert_eq!((report.purged_secrets, report.failed_rotations, report.next_due_at), (1, 0, None));
    assert_eq!(bench.store.stats().unwrap().secrets, 0);
    bench
        .secrets
        .create_secret(CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("v"))
        .unwrap();
    assert_eq!(bench.describe().rotation_enabled, None);
}
