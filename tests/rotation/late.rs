//! Functions that fail after their work, or come back after their rotation is over, and keys that change meanwhile.

use std::sync::mpsc;
use std::thread;

use chrono::TimeDelta;
use strongroom::{CreateSecretRequest, PutSecretValueRequest, RotateSecretRequest, RotationRules, RotationStep};

use crate::fixture::{Bench, Scripted, token, work};

/// The new version is the current one by then: the next window makes another one.
#[test]
fn a_last_attempt_that_fails_after_its_work_has_rotated_the_secret() {
    let bench = Bench::with(
        Scripted::new(|call| {
            work(call, false)?;
            if call.step == RotationStep::FinishSecret { Err("the answer was lost".into()) } else { Ok(()) }
        }),
        |builder| builder.rotation_retries(1, TimeDelta::minutes(1)),
    );
    let daily = RotationRules::new().automatically_after_days(1);
    bench.secrets.rotate_secret(bench.rotate(2).rotation_rules(daily)).unwrap();
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
    assert!(bench.describe().last_rotated_date.is_some());
    assert_eq!(bench.secrets.rotation_status("db").unwrap().unwrap().in_progress, None);
    let before = bench.current();
    bench.clock.advance(TimeDelta::days(1));
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
    assert_ne!(bench.current(), before);
}

#[test]
fn a_function_that_was_overtaken_does_not_bring_back_its_rotation() {
    let bench = Bench::new(Scripted::new(|call| {
        let put = |value: &str| PutSecretValueRequest::new(&call.secret_id, value);
        // Somebody puts a value while the function makes one.
        call.secrets.put_secret_value(put("by hand").client_request_token(token(3))).unwrap();
        let late = put("late").client_request_token(&call.client_request_token).version_stages(["AWSPENDING"]);
        let error = call.secrets.put_secret_value(late.rotation_token(call.rotation_token.expose())).unwrap_err();
        assert_eq!(error.code(), "InvalidRequestException");
        Err(error.into())
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.store.maintain().unwrap();
    assert_eq!(bench.current(), "by hand");
    bench.function.answers(|call| work(call, false));
    bench.secrets.rotate_secret(bench.rotate(4)).unwrap();
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
}

/// Anybody can give a secret this type.
#[test]
fn the_function_of_a_service_is_not_called_for_a_secret_that_names_the_service_as_its_partner() {
    let service = Scripted::working();
    let bench = Bench::with(Scripted::working(), |builder| builder.managed_rotation("rds", service.clone()));
    let mine = CreateSecretRequest::new("mine").client_request_token(token(1)).secret_string("s3cret").r#type("rds");
    bench.secrets.create_secret(mine).unwrap();
    let error =
        bench.secrets.rotate_secret(RotateSecretRequest::new("mine").client_request_token(token(2))).unwrap_err();
    assert_eq!(error.message(), "unable to assume role");
    assert_eq!(service.calls(), []);
}

#[test]
fn the_root_key_may_be_changed_while_a_function_works() {
    let ((tell, told), (go, gone)) = (mpsc::channel(), mpsc::channel::<()>());
    let bench = Bench::new(Scripted::new(move |call| {
        if call.step == RotationStep::SetSecret {
            tell.send(()).unwrap();
            gone.recv().unwrap();
        }
        work(call, false)
    }));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    thread::scope(|scope| {
        let maintained = scope.spawn(|| bench.store.maintain().unwrap());
        told.recv().unwrap();
        bench.store.rotate_root_key(&mut |_| {}).unwrap();
        go.send(()).unwrap();
        assert_eq!(maintained.join().unwrap().rotated_secrets, 1);
    });
    let status = bench.status();
    assert!(status.last_rotated_at.is_some() && status.in_progress.is_none(), "{status:?}");
}

/// Whoever shreds need not have the functions.
#[test]
fn shredding_rotates_nothing() {
    let bench = Bench::new(Scripted::working());
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    bench.store.shred(&mut |_| {}).unwrap();
    assert_eq!(bench.function.calls(), []);
    assert_eq!(bench.job().attempts, 0);
    assert_eq!(bench.store.maintain().unwrap().rotated_secrets, 1);
}
