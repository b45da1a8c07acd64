//! What observers are told of a rotation.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use strongroom::{AuditRecord, CancelRotateSecretRequest, DeleteSecretRequest, Observer, RotationStep};

use crate::fixture::{Bench, Scripted, token, work};

/// Names of events, apart from those of calls, and why something failed.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Observer for Seen {
    fn observe(&self, record: &AuditRecord) {
        if record.event_name.starts_with("Rotation") || record.event_name.starts_with("TestRotation") {
            let data = &record.additional_event_data;
            let member = |name: &str| data.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            let version = member("versionId").and_then(|value| value.as_text()).unwrap_or_default();
            let reason = member("reason").and_then(|value| value.as_text()).unwrap_or_default();
            let version: u32 = version.get(..8).and_then(|start| start.parse().ok()).unwrap_or_default();
            let event = format!("{} {version} {reason}", record.event_name);
            self.0.lock().unwrap().push(event.trim_end().to_owned());
        }
    }
}

fn bench(function: Scripted) -> (Bench, Seen) {
    let seen = Seen::default();
    (Bench::with(function, |builder| builder.observer(seen.clone())), seen)
}

#[test]
fn every_turn_of_a_rotation_is_told_in_order() {
    type Story = fn(&Bench);
    let rows: [(&str, Story, &[&str]); 7] = [
        (
            "a rotation that succeeds",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
                bench.maintain();
            },
            &["RotationStarted 2", "RotationSucceeded 2"],
        ),
        (
            "one that fails once",
            |bench| {
                bench.function.answers(|_| Err("hunter2".into()));
                bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
                bench.maintain();
                bench.function.answers(|call| work(call, false));
                bench.clock.advance(TimeDelta::minutes(1));
                bench.maintain();
            },
            &[
                "RotationStarted 2",
                "RotationFailed 2 Error when executing lambda \
                 arn:aws:lambda:us-east-1:000000000000:function:rotate during createSecret step",
                "RotationSucceeded 2",
            ],
        ),
        (
            "one that a value put by hand ends",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
                bench.put(3, &[]);
                bench.maintain();
            },
            &["RotationAbandoned 2"],
        ),
        (
            "one that is cancelled",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
                bench.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap();
            },
            &["RotationAbandoned 2"],
        ),
        (
            "one whose secret is gone when its recovery window ends",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
                bench.secrets.delete_secret(DeleteSecretRequest::new("db").recovery_window_in_days(7)).unwrap();
                bench.clock.advance(TimeDelta::days(7));
                bench.maintain();
            },
            &["RotationAbandoned 2"],
        ),
        (
            "a function that is tried",
            |bench| {
                bench.secrets.rotate_secret(bench.rotate(2).rotate_immediately(false)).unwrap();
                bench.maintain();
            },
            &["TestRotationStarted 2", "TestRotationSucceeded 2"],
        ),
        (
            "a function that is tried in vain",
            |bench| {
                bench.function.answers(|call| match call.step {
                    RotationStep::TestSecret => Err("hunter2".into()),
                    _ => work(call, false),
                });
                bench.secrets.rotate_secret(bench.rotate(2).rotate_immediately(false)).unwrap();
                bench.maintain();
            },
            &[
                "TestRotationStarted 2",
                "TestRotationFailed 2 Error when executing lambda \
                 arn:aws:lambda:us-east-1:000000000000:function:rotate during testSecret step",
            ],
        ),
    ];
    for (what, story, expected) in rows {
        let (bench, seen) = bench(Scripted::working());
        story(&bench);
        assert_eq!(*seen.0.lock().unwrap(), expected, "{what}");
    }
}

/// The version is the current one by then, which does not block another rotation otherwise.
#[test]
fn no_rotation_begins_while_another_one_is_being_finished() {
    let (bench, _) = bench(Scripted::new(|call| {
        work(call, false)?;
        if call.step == RotationStep::FinishSecret {
            let again = strongroom::RotateSecretRequest::new(&call.secret_id).client_request_token(token(3));
            let error = call.secrets.rotate_secret(again).unwrap_err();
            assert_eq!(error.message(), "A previous rotation isn't complete. That rotation will be reattempted.");
        }
        Ok(())
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
    bench.secrets.rotate_secret(bench.rotate(3)).unwrap();
}
