//! Secrets of several accounts and Regions in one store.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, ListSecretsRequest, RotateSecretRequest,
    SecretsManager,
};

use crate::fixture::{Free, at, builder, clock, days, refusal, token, work};

const TENANTS: [(&str, &str); 3] =
    [("000000000000", "us-east-1"), ("000000000000", "eu-west-1"), ("123456789012", "us-east-1")];

fn function_of(secrets: &SecretsManager) -> String {
    format!("arn:aws:lambda:{}:{}:function:rotate", secrets.region(), secrets.account())
}

fn current(secrets: &SecretsManager) -> String {
    let read = secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

#[test]
fn secrets_of_the_same_name_rotate_each_in_its_account_and_region() {
    let seen: Arc<Mutex<BTreeSet<(String, String, String)>>> = Arc::default();
    let told = Arc::clone(&seen);
    let function = Free::new(move |call| {
        let secrets = &call.secrets;
        // The handle is that of the secret, so that its name is enough.
        let described = secrets.describe_secret(DescribeSecretRequest::new("db"))?;
        assert_eq!(described.arn, call.secret_id);
        assert_eq!(secrets.list_secrets(ListSecretsRequest::new())?.secret_list.len(), 1);
        let tenant = (secrets.account().to_owned(), secrets.region().to_owned());
        told.lock().unwrap().insert((tenant.0, tenant.1, call.function_arn.clone().unwrap()));
        work(call, false)
    });
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function("arn:aws:lambda:*", function).open().unwrap();
    let handles = TENANTS.map(|(account, region)| store.secrets_manager(account, region).unwrap());
    for (number, secrets) in (2..).zip(&handles) {
        let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first");
        secrets.create_secret(create).unwrap();
        let request = RotateSecretRequest::new("db").client_request_token(token(number));
        let request = request.rotation_lambda_arn(function_of(secrets)).rotation_rules(days(number.into()));
        secrets.rotate_secret(request).unwrap();
    }
    assert_eq!(store.maintain().unwrap().rotated_secrets, 3);
    for (number, secrets) in (2..).zip(&handles) {
        assert_eq!(current(secrets), format!("made for {}", token(number)));
        let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
        let next = format!("2026-01-{}T23:59:59Z", 15 + number);
        assert_eq!(described.next_rotation_date, Some(at(&next)));
    }
    let seen = seen.lock().unwrap();
    let expected: BTreeSet<_> = handles
        .iter()
        .map(|secrets| (secrets.account().to_owned(), secrets.region().to_owned(), function_of(secrets)))
        .collect();
    assert_eq!(*seen, expected);
}

#[test]
fn the_function_has_to_be_in_the_region_of_the_secret_and_may_be_of_another_account() {
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function("*", Free::new(|call| work(call, false))).open().unwrap();
    let [first, elsewhere, other] = TENANTS.map(|(account, region)| store.secrets_manager(account, region).unwrap());
    let rotate = |secrets: &SecretsManager, function: &SecretsManager| {
        let name = format!("{}-{}", secrets.account(), function.account());
        let name = format!("{name}-{}-{}", secrets.region(), function.region());
        secrets.create_secret(CreateSecretRequest::new(&name).secret_string("v")).unwrap();
        secrets.rotate_secret(RotateSecretRequest::new(name).rotation_lambda_arn(function_of(function)))
    };
    rotate(&first, &other).unwrap();
    rotate(&other, &first).unwrap();
    rotate(&elsewhere, &elsewhere).unwrap();
    assert_eq!(refusal(rotate(&first, &elsewhere)).0, "InvalidParameterException");
    assert_eq!(refusal(rotate(&elsewhere, &other)).0, "InvalidParameterException");
    assert_eq!(store.maintain().unwrap().rotated_secrets, 3);
}

#[test]
fn a_secret_is_rotated_only_by_those_who_can_reach_it() {
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function("*", Free::new(|call| work(call, false))).open().unwrap();
    let [first, elsewhere, other] = TENANTS.map(|(account, region)| store.secrets_manager(account, region).unwrap());
    let arn = first.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap().arn;
    for secrets in [&elsewhere, &other] {
        for id in ["db", &arn] {
            let request = RotateSecretRequest::new(id).rotation_lambda_arn(function_of(secrets));
            assert_eq!(refusal(secrets.rotate_secret(request)).0, "ResourceNotFoundException");
            let cancel = strongroom::CancelRotateSecretRequest::new(id);
            assert_eq!(refusal(secrets.cancel_rotate_secret(cancel)).0, "ResourceNotFoundException");
        }
    }
    assert_eq!(first.rotation_status("db").unwrap(), None);
}
