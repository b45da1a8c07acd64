//! A store, and people who call.

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::wire::WireResponse;
use strongroom::{
    Caller, CreateSecretRequest, Error, ErrorKind, GetSecretValueRequest, IdentityPolicy, KeyScope, LocalKeyring,
    Principal, PutResourcePolicyRequest, SecretStore, SecretsManager, Timestamp,
};

/// The account whose secrets the tests are about, and another one.
pub(crate) const OWN: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";

pub(crate) const NOON: &str = "2026-03-01T12:00:00Z";

/// A store that stands at noon, with a customer managed key named `alias/shared`, and its clock.
pub(crate) fn store() -> (SecretStore, ManualClock) {
    let clock = ManualClock::new(NOON.parse::<Timestamp>().unwrap());
    let keyring = LocalKeyring::in_memory();
    let shared = keyring.create_key(KeyScope::new("aws", OWN, "us-east-1")).unwrap();
    keyring.create_alias("alias/shared", &shared).unwrap();
    let store = SecretStore::in_memory()
        .key_provider(keyring)
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .open()
        .unwrap();
    (store, clock)
}

/// The secrets of [`OWN`], without a caller.
pub(crate) fn own(store: &SecretStore) -> SecretsManager {
    store.secrets_manager(OWN, "us-east-1").unwrap()
}

pub(crate) fn principal(arn: &str) -> Principal {
    Principal::parse(arn).unwrap_or_else(|| panic!("{arn} is no principal"))
}

/// A user of an account.
pub(crate) fn user(account: &str, name: &str) -> Principal {
    principal(&format!("arn:aws:iam::{account}:user/{name}"))
}

/// A user of an account, with what they may do: statements of an identity policy.
pub(crate) fn caller(principal: Principal, statements: &[&str]) -> Caller {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    let policies = if statements.is_empty() { Vec::new() } else { vec![IdentityPolicy::parse(&document).unwrap()] };
    Caller::new(principal).identity_policies(policies)
}

/// A statement that allows actions on everything.
pub(crate) fn allow(actions: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Action": "{actions}", "Resource": "*"}}"#)
}

/// A statement of a resource policy.
pub(crate) fn statement(effect: &str, principal: &str, actions: &str, more: &str) -> String {
    format!(r#"{{"Effect": "{effect}", "Principal": {principal}, "Action": "{actions}", "Resource": "*"{more}}}"#)
}

pub(crate) fn create(secrets: &SecretsManager, name: &str) -> String {
    secrets.create_secret(CreateSecretRequest::new(name).secret_string("s3cret")).unwrap().arn
}

/// Attaches statements to a secret, on the host's behalf.
pub(crate) fn attach(secrets: &SecretsManager, id: &str, statements: &[&str]) {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    secrets.put_resource_policy(PutResourcePolicyRequest::new(id, document)).unwrap();
}

pub(crate) fn read(secrets: &SecretsManager, id: &str) -> Result<String, Error> {
    let read = secrets.get_secret_value(GetSecretValueRequest::new(id))?;
    Ok(read.secret_string.unwrap().expose().to_owned())
}

/// Whether a call was refused by policies; that it failed otherwise is no refusal.
pub(crate) fn is_denied<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::AccessDenied(_)))
}

/// Whether policies refused what a client asked for.
pub(crate) fn is_refusal(answer: &WireResponse) -> bool {
    answer.error.as_ref().is_some_and(|error| matches!(error.kind(), ErrorKind::AccessDenied(_)))
}
