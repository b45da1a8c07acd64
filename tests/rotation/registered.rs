//! Which function is called for an ARN, and what makes one that cannot be called.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use strongroom::{
    Builder, CreateSecretRequest, ErrorKind, RotateSecretRequest, RotationCall, RotationError, RotationFunction,
    SecretStore,
};

use crate::fixture::{ARN, Bench, Free, Scripted, builder, clock, days, refusal, token};

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

/// Names under which functions were registered, and the ARNs of the calls.
type Calls = Arc<Mutex<Vec<(&'static str, Option<String>)>>>;

/// Notes the name under which it was registered, with the ARN of the call.
fn named(name: &'static str, calls: &Calls) -> Free {
    let calls = Arc::clone(calls);
    Free::new(move |call| {
        calls.lock().unwrap().push((name, call.function_arn.clone()));
        Err("seen".into())
    })
}

#[test]
fn exactly_the_arn_is_preferred_and_then_the_longest_beginning() {
    let calls = Calls::default();
    let clock = clock("2026-01-15T12:00:00Z");
    let mut builder = builder(&clock);
    for (registered, name) in [
        ("arn:aws:lambda:us-east-1:000000000000:function:my-*", "my"),
        ("*", "everything"),
        ("arn:aws:lambda:us-east-1:*", "region"),
        (&arn("my-function"), "exact"),
        (&arn("my-f*"), "my-f"),
        (&arn("twice"), "the earlier one"),
        (&arn("twice"), "the later one"),
        (&arn("twice-*"), "the earlier beginning"),
        (&arn("twice-*"), "the later beginning"),
        (&arn("longer"), "shorter than its beginning"),
        (&arn("longer*"), "beginning"),
    ] {
        builder = builder.rotation_function(registered, named(name, &calls));
    }
    let store = builder.open().unwrap();
    let secrets = store.default_secrets_manager();
    for (name, expected) in [
        ("my-function", "exact"),
        ("my-functions", "my-f"),
        ("my-f", "my-f"),
        ("my-other", "my"),
        ("my", "region"),
        ("twice", "the later one"),
        ("twice-1", "the later beginning"),
        ("longer", "shorter than its beginning"),
        ("longer-still", "beginning"),
    ] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
        secrets.rotate_secret(RotateSecretRequest::new(name).rotation_lambda_arn(arn(name))).unwrap();
        store.maintain().unwrap();
        assert_eq!(*calls.lock().unwrap(), [(expected, Some(arn(name)))], "{name}");
        calls.lock().unwrap().clear();
    }
    let elsewhere = store.secrets_manager("000000000000", "eu-west-1").unwrap();
    elsewhere.create_secret(CreateSecretRequest::new("far").secret_string("v")).unwrap();
    let far = "arn:aws:lambda:eu-west-1:000000000000:function:far";
    elsewhere.rotate_secret(RotateSecretRequest::new("far").rotation_lambda_arn(far)).unwrap();
    store.maintain().unwrap();
    assert_eq!(*calls.lock().unwrap(), [("everything", Some(far.to_owned()))]);
}

/// Says whether it can be called, and counts how often it is asked.
#[derive(Debug, Clone, Default)]
struct Choosy {
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Option<bool>>>,
    called: Arc<AtomicUsize>,
}

impl RotationFunction for Choosy {
    fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
        self.called.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn is_invocable(&self, function_arn: &str) -> bool {
        self.asked.lock().unwrap().push(function_arn.to_owned());
        let answer = *self.answer.lock().unwrap();
        answer.unwrap_or_else(|| panic!("I do not know"))
    }
}

#[test]
fn a_function_that_says_it_cannot_be_called_or_panics_is_refused() {
    let choosy = Choosy::default();
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function("arn:aws:lambda:us-east-1:*", choosy.clone()).open().unwrap();
    let bench = Bench { clock, function: Scripted::working(), secrets: store.default_secrets_manager(), store };
    bench
        .secrets
        .create_secret(CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first"))
        .unwrap();
    let before = bench.describe();
    for answer in [Some(false), None] {
        *choosy.answer.lock().unwrap() = answer;
        for immediately in [true, false] {
            let request = bench.rotate(2).rotation_rules(days(1)).rotate_immediately(immediately);
            let error = bench.secrets.rotate_secret(request).unwrap_err();
            assert_eq!(error.code(), "AccessDeniedException", "{answer:?}");
            assert_eq!(
                error.message(),
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants \
                 access to the principal secretsmanager.amazonaws.com."
            );
            assert_eq!(*error.kind(), ErrorKind::FunctionNotInvocable { function: ARN.to_owned() });
            assert_eq!(*choosy.asked.lock().unwrap(), [ARN], "{answer:?}");
            choosy.asked.lock().unwrap().clear();
            assert_eq!(bench.describe(), before);
            assert_eq!(bench.maintain().next_due_at, None);
        }
    }
    *choosy.answer.lock().unwrap() = Some(true);
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    assert_eq!(*choosy.asked.lock().unwrap(), [ARN]);
    assert_eq!(choosy.called.load(Ordering::SeqCst), 0);
}

#[test]
fn a_function_is_not_asked_for_what_is_refused_anyway() {
    let choosy = Choosy::default();
    *choosy.answer.lock().unwrap() = Some(true);
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, choosy.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("v");
    secrets.create_secret(create).unwrap();
    let rotate = |id: &str, number: u32| {
        RotateSecretRequest::new(id).client_request_token(token(number)).rotation_lambda_arn(ARN)
    };
    refusal(secrets.rotate_secret(rotate("nope", 2)));
    refusal(secrets.rotate_secret(rotate("db", 1)));
    assert_eq!(choosy.asked.lock().unwrap().len(), 0);
    secrets.rotate_secret(rotate("db", 2)).unwrap();
    assert_eq!(choosy.asked.lock().unwrap().len(), 1);
    refusal(secrets.rotate_secret(rotate("db", 3)));
    secrets.rotate_secret(rotate("db", 2)).unwrap();
    assert_eq!(choosy.asked.lock().unwrap().len(), 1);
}

#[test]
fn a_function_that_is_asked_may_use_the_store() {
    #[derive(Debug)]
    struct Asking(Arc<Mutex<Option<SecretStore>>>);
    impl RotationFunction for Asking {
        fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
            Ok(())
        }
        fn is_invocable(&self, _: &str) -> bool {
            let store = self.0.lock().unwrap();
            let secrets = store.as_ref().unwrap().default_secrets_manager();
            secrets.put_secret_value(strongroom::PutSecretValueRequest::new("db", "meanwhile")).is_ok()
        }
    }
    let slot = Arc::new(Mutex::new(None));
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, Asking(Arc::clone(&slot))).open().unwrap();
    let secrets = store.default_secrets_manager();
    *slot.lock().unwrap() = Some(store);
    secrets.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    let request = RotateSecretRequest::new("db").client_request_token(token(2)).rotation_lambda_arn(ARN);
    assert_eq!(secrets.rotate_secret(request).unwrap().version_id, token(2));
    slot.lock().unwrap().take();
}

#[test]
fn a_function_that_is_no_longer_registered_fails_until_it_is_again() {
    let backend = strongroom::MemoryBackend::new();
    let clock = clock("2026-01-15T12:00:00Z");
    let open = |with: &dyn Fn(Builder) -> Builder| {
        let builder = SecretStore::with_backend(backend.clone()).key_provider(strongroom::StaticKey::new([7; 32]));
        let builder = builder.clock(clock.clone()).entropy(strongroom::testing::SeededEntropy::new(1));
        with(builder).open().unwrap()
    };
    let store = open(&|builder| builder.rotation_function(ARN, Scripted::working()));
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    let request = RotateSecretRequest::new("db").client_request_token(token(2)).rotation_lambda_arn(ARN);
    secrets.rotate_secret(request).unwrap();
    store.close().unwrap();

    let store = open(&|builder| builder);
    assert_eq!(store.maintain().unwrap().failed_rotations, 1);
    let status = store.default_secrets_manager().rotation_status("db").unwrap().unwrap();
    let (_, reason) = status.in_progress.unwrap().last_failure.unwrap();
    assert!(reason.contains(ARN), "{reason}");
    store.close().unwrap();

    let store = open(&|builder| builder.rotation_function(ARN, Scripted::working()));
    clock.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
    assert_eq!(store.default_secrets_manager().rotation_status("db").unwrap().unwrap().in_progress, None);
}
