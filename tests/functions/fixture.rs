//! Calls as a rotation makes them, and an end to waiting.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use strongroom::{RotationCall, RotationError, RotationFunction, RotationStep, SecretStore, SecretsManager, StaticKey};

pub(crate) const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db/main-a1B2c3";
pub(crate) const TOKEN: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:rotate";

/// Longest that anything may take that does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn secrets() -> SecretsManager {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    store.secrets_manager("123456789012", "eu-central-1").unwrap()
}

pub(crate) fn call(step: RotationStep) -> RotationCall {
    RotationCall::new(step, ARN, TOKEN, secrets()).rotation_token("the rotation's \"token\"").function_arn(FUNCTION)
}

/// Does something on another thread, and fails instead of hanging.
pub(crate) fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (give, given) = mpsc::channel();
    thread::spawn(move || give.send(work()));
    given.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// One step of a function, in time.
pub(crate) fn invoke(what: &str, function: impl RotationFunction + 'static) -> Result<(), RotationError> {
    in_time(what, move || function.invoke(&call(RotationStep::SetSecret)))
}

/// The reason of a step that fails, which is one line of bounded length.
pub(crate) fn reason(what: &str, function: impl RotationFunction + 'static) -> String {
    let reason = invoke(what, function).expect_err(what).to_string();
    assert!(reason.chars().count() <= 1300, "{what}: {reason}");
    assert!(!reason.contains(char::is_control), "{what}: {reason:?}");
    reason
}
