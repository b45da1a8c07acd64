//! Feature `json`: the service's protocol, AWS JSON 1.1, as bytes in and bytes out.
//!
//! [`dispatch`] is all that a server needs to speak to the SDKs: it takes what came in the header `X-Amz-Target` and the
//! body of a POST, and gives status, content type and body of the answer. It does no I/O but the store's own, never
//! panics, and takes time and memory in proportion to the body; limiting the body is the server's part.
//!
//! # Secrets
//!
//! The value of a secret is decoded from the body, and encoded into the answer, through buffers that are wiped. What
//! this module cannot wipe is what it does not own: `body` belongs to the caller, and so does whatever the network
//! stack kept of it. The answer's body wipes itself when it is dropped.
//!
//! # Example
//!
//! ```
//! use strongroom::{SecretStore, StaticKey, wire};
//!
//! let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
//! let secrets = store.default_secrets_manager();
//!
//! let created = wire::dispatch(
//!     &secrets,
//!     "secretsmanager.CreateSecret",
//!     br#"{"Name": "db/main", "SecretString": "s3cret"}"#,
//! );
//! assert_eq!((created.status, created.error_code.as_deref()), (200, None));
//!
//! let missing = wire::dispatch(&secrets, "secretsmanager.GetSecretValue", br#"{"SecretId": "nope"}"#);
//! assert_eq!((missing.status, missing.error_code.as_deref()), (400, Some("ResourceNotFoundException")));
//! assert_eq!(
//!     missing.body.expose(),
//!     br#"{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret."}"#,
//! );
//! # Ok::<(), strongroom::Error>(())
//! ```

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::json::{Exact, to_bytes};
use crate::model::value::SecretBytes;
use crate::store::SecretsManager;

/// The content type of every request and every answer.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What stands before the operation in the header `X-Amz-Target`.
const TARGET_PREFIX: &str = "secretsmanager.";

const SERIALIZATION: &str = "SerializationException";

/// Operations of the API.
const OPERATIONS: &[&str] = &[
    "AssociateCrossAccountReplica",
    "BatchGetSecretValue",
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DescribeSecret",
    "DisassociateCrossAccountReplica",
    "GetRandomPassword",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListResourcePolicies",
    "ListSecrets",
    "ListSecretVersionIds",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "ValidateResourcePolicy",
];

/// What a server sends back.
#[derive(Debug)]
#[non_exhaustive]
pub struct WireResponse {
    /// The HTTP status: 200; 400 for every error of the client's; 500 if the store failed.
    pub status: u16,
    /// The value of the header `Content-Type`.
    pub content_type: &'static str,
    /// The body, which is empty for operations without an answer. It can hold the value of a secret.
    pub body: SecretBytes,
    /// The code of the error, as in the body, for a server's log and counters. `None` for success.
    pub error_code: Option<Cow<'static, str>>,
    /// What the engine failed with, for the server's own use: its [`kind`](Error::kind) says more than a client is told, for
    /// example which key is disabled, or what went wrong behind an `InternalServiceError`.
    pub error: Option<Error>,
}

/// Two answers are equal if a client could not tell them apart.
impl PartialEq for WireResponse {
    fn eq(&self, other: &Self) -> bool {
        let Self { status, content_type, body, error_code, error: _ } = self;
        (status, content_type, body, error_code) == (&other.status, &other.content_type, &other.body, &other.error_code)
    }
}

impl Eq for WireResponse {}

impl WireResponse {
    /// An error that the server itself has to report, for example of authentication, in the service's form.
    ///
    /// ```
    /// let refused = strongroom::wire::WireResponse::error(400, "ThrottlingException", "Rate exceeded");
    /// assert_eq!(refused.body.expose(), br#"{"__type":"ThrottlingException","Message":"Rate exceeded"}"#);
    /// ```
    #[must_use]
    pub fn error(status: u16, code: impl Into<Cow<'static, str>>, message: &str) -> Self {
        let code = code.into();
        let body = if is_modelled(&code) {
            json(&ModelledError { code: &code, message })
        } else {
            json(&CommonError { code: &code, message })
        };
        // Two texts are always written; and a status says more than nothing.
        let body = body.unwrap_or_else(|_| SecretBytes::from(Vec::new()));
        Self { status, content_type: CONTENT_TYPE, body, error_code: Some(code), error: None }
    }

    fn success(body: SecretBytes) -> Self {
        Self { status: 200, content_type: CONTENT_TYPE, body, error_code: None, error: None }
    }
}

impl From<Error> for WireResponse {
    fn from(error: Error) -> Self {
        let status = if error.code() == "InternalServiceError" { 500 } else { 400 };
        let response = Self::error(status, error.code(), error.message());
        Self { error: Some(error), ..response }
    }
}

/// Two errors that the service does not model name their text in lower case.
fn is_modelled(code: &str) -> bool {
    !matches!(code, "ValidationException" | "AccessDeniedException")
}

#[derive(Serialize)]
struct ModelledError<'a> {
    #[serde(rename = "__type")]
    code: &'a str,
    #[serde(rename = "Message")]
    message: &'a str,
}

#[derive(Serialize)]
struct CommonError<'a> {
    #[serde(rename = "__type")]
    code: &'a str,
    message: &'a str,
}

/// The operation that a target names, if the API has it: a name that is safe to log and to count by, whatever was sent.
///
/// ```
/// assert_eq!(strongroom::wire::operation("secretsmanager.GetSecretValue"), Some("GetSecretValue"));
/// assert_eq!(strongroom::wire::operation("secretsmanager.Nonsense"), None);
/// ```
#[must_use]
pub fn operation(target: &str) -> Option<&'static str> {
    let name = target.strip_prefix(TARGET_PREFIX)?;
    OPERATIONS.iter().find(|operation| **operation == name).copied()
}

/// Carries out one request of the protocol.
///
/// `target` is the header `X-Amz-Target`, `secretsmanager.` and the name of the operation. `body` is the JSON of the
/// request; an empty one stands for `{}`. Members that the operation does not know are ignored, `null` is the same as
/// absent.
///
/// # Errors
///
/// Are answers too, with [`error_code`](WireResponse::error_code) set. In this order, the first that applies:
///
/// 1. `UnknownOperationException`: the service has no such operation.
/// 2. `SerializationException`: the body is not JSON, not an object, names a member twice, or has a member of the wrong
///    kind. Where is said by line and column; what, never, because it may be secret.
/// 3. What the operation fails with: its [`code`](Error::code) and [`message`](Error::message).
///
/// Source: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>
#[must_use]
pub fn dispatch(secrets: &SecretsManager, target: &str, body: &[u8]) -> WireResponse {
    let Some(operation) = operation(target) else { return unknown_operation() };
    // Checked as a whole, because the parser does not look into what it ignores.
    let body = match std::str::from_utf8(body) {
        Ok("") => "{}",
        Ok(body) => body,
        Err(error) => {
            let before = body.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            return not_json(line, column);
        }
    };
    match operation {
        "AssociateCrossAccountReplica" => answer(body, |request| secrets.associate_cross_account_replica(request)),
        "BatchGetSecretValue" => answer(body, |request| secrets.batch_get_secret_value(request)),
        "CancelRotateSecret" => answer(body, |request| secrets.cancel_rotate_secret(request)),
        "CreateSecret" => answer(body, |request| secrets.create_secret(request)),
        "DeleteResourcePolicy" => answer(body, |request| secrets.delete_resource_policy(request)),
        "DeleteSecret" => answer(body, |request| secrets.delete_secret(request)),
        "DescribeSecret" => answer(body, |request| secrets.describe_secret(request)),
        "DisassociateCrossAccountReplica" => {
            answer(body, |request| secrets.disassociate_cross_account_replica(request))
        }
        "GetRandomPassword" => answer(body, |request| secrets.get_random_password(request)),
        "GetResourcePolicy" => answer(body, |request| secrets.get_resource_policy(request)),
        "GetSecretValue" => answer(body, |request| secrets.get_secret_value(request)),
        "ListResourcePolicies" => answer(body, |request| secrets.list_resource_policies(request)),
        "ListSecrets" => answer(body, |request| secrets.list_secrets(request)),
        "ListSecretVersionIds" => answer(body, |request| secrets.list_secret_version_ids(request)),
        "PutResourcePolicy" => answer(body, |request| secrets.put_resource_policy(request)),
        "PutSecretValue" => answer(body, |request| secrets.put_secret_value(request)),
        "RemoveRegionsFromReplication" => answer(body, |request| secrets.remove_regions_from_replication(request)),
        "ReplicateSecretToRegions" => answer(body, |request| secrets.replicate_secret_to_regions(request)),
        "RestoreSecret" => answer(body, |request| secrets.restore_secret(request)),
        "RotateSecret" => answer(body, |request| secrets.rotate_secret(request)),
        "StopReplicationToReplica" => answer(body, |request| secrets.stop_replication_to_replica(request)),
        "TagResource" => answer_empty(body, |request| secrets.tag_resource(request)),
        "UntagResource" => answer_empty(body, |request| secrets.untag_resource(request)),
        "UpdateSecret" => answer(body, |request| secrets.update_secret(request)),
        "UpdateSecretVersionStage" => answer(body, |request| secrets.update_secret_version_stage(request)),
        "ValidateResourcePolicy" => answer(body, |request| secrets.validate_resource_policy(request)),
        _ => unknown_operation(),
    }
}

fn answer<'a, Q: Deserialize<'a>, R: Serialize>(body: &'a str, run: impl FnOnce(Q) -> Result<R>) -> WireResponse {
    respond(body, run, |response| json(&response))
}

fn answer_empty<'a, Q: Deserialize<'a>>(body: &'a str, run: impl FnOnce(Q) -> Result<()>) -> WireResponse {
    respond(body, run, |()| Ok(SecretBytes::from(Vec::new())))
}

fn respond<'a, Q: Deserialize<'a>, R>(
    body: &'a str,
    run: impl FnOnce(Q) -> Result<R>,
    write: impl FnOnce(R) -> serde_json::Result<SecretBytes>,
) -> WireResponse {
    let request = match serde_json::from_str(body) {
        Ok(Exact(request)) => request,
        Err(error) => return not_serialized(&error),
    };
    match run(request).map(write) {
        Ok(Ok(body)) => WireResponse::success(body),
        Ok(Err(_)) => WireResponse::from(Error::corrupted("the answer cannot be written as JSON")),
        Err(error) => WireResponse::from(error),
    }
}

fn unknown_operation() -> WireResponse {
    WireResponse::error(400, "UnknownOperationException", "The requested operation is not known.")
}

fn not_serialized(error: &serde_json::Error) -> WireResponse {
    let (line, column) = (error.line(), error.column());
    if !error.is_data() {
        return not_json(line, column);
    }
    let message =
        format!("A member of the request is of the wrong type or appears twice, before line {line}, column {column}.");
    WireResponse::error(400, SERIALIZATION, &message)
}

fn not_json(line: usize, column: usize) -> WireResponse {
    let message = format!("The body of the request is not valid JSON: line {line}, column {column}.");
    WireResponse::error(400, SERIALIZATION, &message)
}

fn json(content: &impl Serialize) -> serde_json::Result<SecretBytes> {
    to_bytes(content).map(|mut bytes| SecretBytes::from(std::mem::take(&mut *bytes)))
}
