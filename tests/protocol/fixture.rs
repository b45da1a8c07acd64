//! A server without a network: a store in memory, and what a client sees of it.

use std::sync::OnceLock;

use serde_json::{Value, json};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Builder, ImportOptions, PutSecretValueRequest, RotationCall, RotationError, RotationFunction, SecretStore,
    SecretsManager, StaticKey, wire,
};

/// 2023-11-14T22:13:20.123Z.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_123;
pub(crate) const START: f64 = 1_700_000_000.123;

pub(crate) struct Server {
    pub(crate) store: SecretStore,
    pub(crate) clock: ManualClock,
    secrets: SecretsManager,
}

/// Makes a new value, and makes it the current one.
#[derive(Debug)]
struct Renew;

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let put = PutSecretValueRequest::new(&call.secret_id, "new").client_request_token(&call.client_request_token);
        call.secrets.put_secret_value(put)?;
        Ok(())
    }
}

/// Another account than that of the server.
pub(crate) const OTHER: &str = "444455556666";

/// The replica of `primary` in another account, of every server with `app`: they all draw the same random numbers.
pub(crate) fn replica_arn() -> &'static str {
    static ARN: OnceLock<String> = OnceLock::new();
    ARN.get_or_init(|| {
        let described = Server::with_app().ok("DescribeSecret", &json!({"SecretId": "primary"}));
        described["CrossAccountReplicas"][0]["ReplicaSecretARN"].as_str().expect("it has a replica").to_owned()
    })
}

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The code of an error; empty for success.
    pub(crate) code: String,
    pub(crate) bytes: Vec<u8>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(SecretStore::in_memory(), |builder| builder.key_provider(StaticKey::new([7; 32])))
    }

    pub(crate) fn with(builder: Builder, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let builder = builder.clock(clock.clone()).entropy(SeededEntropy::new(1));
        let builder = builder.rotation_function("arn:aws:lambda:*", Renew);
        let store = settings(builder.partner_rotation("Partner", Renew)).open().expect("the store opens");
        Self { secrets: store.default_secrets_manager(), store, clock }
    }

    /// Two versions of a secret `app`: the first is current, the second has the label `own`. And `managed`, which a partner
    /// rotates; `replica`, whose primary is in Ireland; and `primary`, whose replica is [`replica_arn`].
    pub(crate) fn with_app() -> Self {
        let server = Self::new();
        let create = json!({"Name": "app", "ClientRequestToken": token(1), "SecretString": "one"});
        server.ok("CreateSecret", &create);
        let put = json!({
            "SecretId": "app", "ClientRequestToken": token(2), "SecretString": "two", "VersionStages": ["own"],
        });
        server.ok("PutSecretValue", &put);
        let create =
            json!({"Name": "managed", "ClientRequestToken": token(1), "SecretString": "one", "Type": "Partner"});
        server.ok("CreateSecret", &create);
        server.ok("RotateSecret", &json!({"SecretId": "managed", "RotateImmediately": false}));
        let create = json!({"Name": "replica", "AddReplicaRegions": [{"Region": "us-east-1"}]});
        server.ok_in(&server.handle("000000000000", "eu-west-1"), "CreateSecret", &create);
        let primary = server.ok("CreateSecret", &json!({"Name": "primary"}))["ARN"].clone();
        let create = json!({"Name": "copy", "KmsKeyId": "alias/own", "CrossAccountPrimaryARN": primary});
        let replica = server.ok_in(&server.handle(OTHER, "us-east-1"), "CreateSecret", &create)["ARN"].clone();
        let associate = json!({"SecretId": "primary", "CrossAccountReplicaARN": replica});
        server.ok("AssociateCrossAccountReplica", &associate);
        server
    }

    /// The secrets of an account in a Region.
    pub(crate) fn handle(&self, account: &str, region: &str) -> SecretsManager {
        self.store.secrets_manager(account, region).expect("there is such an account and Region")
    }

    /// A request as a client sends it.
    pub(crate) fn send(&self, operation: &str, body: &Value) -> Answer {
        self.send_bytes(operation, body.to_string().as_bytes())
    }

    pub(crate) fn send_bytes(&self, operation: &str, body: &[u8]) -> Answer {
        self.send_to(&format!("secretsmanager.{operation}"), body)
    }

    pub(crate) fn send_to(&self, target: &str, body: &[u8]) -> Answer {
        Self::send_in(&self.secrets, target, body)
    }

    /// A request to another account or Region, or on behalf of somebody.
    pub(crate) fn send_in(secrets: &SecretsManager, target: &str, body: &[u8]) -> Answer {
        let response = wire::dispatch(secrets, target, body);
        assert_eq!(response.content_type, "application/x-amz-json-1.1");
        let code = response.error_code.as_deref().unwrap_or_default().to_owned();
        Answer { status: response.status, code, bytes: response.body.expose().to_vec() }
    }

    /// A request that succeeds, and its answer.
    pub(crate) fn ok(&self, operation: &str, body: &Value) -> Value {
        self.ok_in(&self.secrets, operation, body)
    }

    pub(crate) fn ok_in(&self, secrets: &SecretsManager, operation: &str, body: &Value) -> Value {
        let answer = Self::send_in(secrets, &format!("secretsmanager.{operation}"), body.to_string().as_bytes());
        assert_eq!((answer.status, answer.code.as_str()), (200, ""), "{operation} {body}: {answer}");
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    }

    /// Fails unless the server still works, and nothing was stored since `before`.
    pub(crate) fn check_unchanged(&self, before: u64, row: &str) {
        assert_eq!(self.epoch(), before, "{row}: something was stored");
        let made = self.ok("CreateSecret", &json!({"Name": "still-works", "SecretString": "yes"}));
        let read = self.ok("GetSecretValue", &json!({"SecretId": made["ARN"]}));
        assert_eq!(read["SecretString"], "yes", "{row}");
        self.ok("DeleteSecret", &json!({"SecretId": "still-works", "ForceDeleteWithoutRecovery": true}));
    }

    /// Brings a secret as a line of an export has it.
    pub(crate) fn import(&self, secret: &Value) {
        let header = json!({"Format": "strongroom-plaintext-export", "FormatVersion": 1});
        let end = json!({"SecretCount": 1, "VersionCount": 0});
        let mut lines = std::io::Cursor::new(format!("{header}\n{secret}\n{end}\n"));
        let report = self.store.import_plaintext(&mut lines, &ImportOptions::new(), &mut |_| {});
        assert_eq!(report.expect("it can be imported").created, 1);
    }

    /// Rises with every change.
    pub(crate) fn epoch(&self) -> u64 {
        self.store.stats().expect("the store can be asked").epoch
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{self} is not JSON: {error}"))
    }

    /// The text of an error, from the member that has it for this code.
    pub(crate) fn message(&self) -> String {
        let body = self.json();
        let member = match self.code.as_str() {
            "ValidationException" | "AccessDeniedException" => "message",
            _ => "Message",
        };
        assert_eq!(body["__type"], self.code.as_str(), "{self}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{self}");
        body[member].as_str().unwrap_or_else(|| panic!("{self} has no {member}")).to_owned()
    }

    /// Fails unless this is an error with this code and text.
    pub(crate) fn check(&self, row: &str, status: u16, code: &str, message: &str) {
        assert_eq!((self.status, self.code.as_str()), (status, code), "{row}: {self}");
        assert_eq!(self.message(), message, "{row}");
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.bytes).chars().take(400).collect();
        write!(f, "{} {} {body}", self.status, self.code)
    }
}

/// A policy that allows everything to a principal.
pub(crate) fn policy(principal: &str) -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "*", "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

pub(crate) fn token(number: usize) -> String {
    format!("token-{number:030}")
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Written here again, so that the decoder is not tested with its own sister.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or_default()));
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let is_padding = at > group.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(ALPHABET[usize::try_from(bits >> shift & 63).unwrap()])
            });
        }
    }
    text
}
