//! Keys as a client of the JSON protocol sees them: every error byte for byte, and where a key is shown.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>

use serde_json::{Value, json};
use strongroom::{ErrorKind, KeyError, KeyOperation, KeyScope, KeyState, wire};

use crate::fixture::{NO_ACCESS, World, home, id};
use crate::kms_errors::{ASYMMETRIC, CANNOT_DECRYPT, CANNOT_ENCRYPT, SERVER_SIDE};
use crate::kms_service::Kms;

/// A store in which `s` is under the key of a customer, and `d` under the default key.
struct Client {
    kms: Kms,
    world: World,
    key: String,
}

impl Client {
    fn new() -> Self {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let key = kms.keyring.create_key(home()).unwrap();
        kms.keyring.create_alias("alias/app", &key).unwrap();
        world.create("s", &key).unwrap();
        world.create("d", "").unwrap();
        Self { kms, world, key }
    }

    fn send(&self, operation: &str, body: &Value) -> wire::WireResponse {
        wire::dispatch(&self.world.secrets, &format!("secretsmanager.{operation}"), body.to_string().as_bytes())
    }

    fn ok(&self, operation: &str, body: &Value) -> Value {
        let answer = self.send(operation, body);
        assert_eq!(answer.status, 200, "{operation} {body}: {:?}", answer.error);
        serde_json::from_slice(answer.body.expose()).unwrap()
    }
}

/// Requests that set the key of the customer, or any other that is put in its place.
fn settings(key: &str) -> Vec<(&'static str, Value)> {
    let token = id(7);
    vec![
        ("CreateSecret", json!({"Name": "n", "ClientRequestToken": token, "SecretString": "v", "KmsKeyId": key})),
        ("CreateSecret", json!({"Name": "n", "ClientRequestToken": token, "SecretBinary": "AAEC", "KmsKeyId": key})),
        ("UpdateSecret", json!({"SecretId": "d", "ClientRequestToken": token, "KmsKeyId": key})),
        ("UpdateSecret", json!({"SecretId": "d", "ClientRequestToken": token, "KmsKeyId": key, "SecretString": "w"})),
    ]
}

/// Requests that need the key that `s` has: to seal, and to open.
fn seals() -> Vec<(&'static str, Value)> {
    let token = id(7);
    vec![
        ("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": "w"})),
        ("UpdateSecret", json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": "w"})),
    ]
}

fn opens() -> Vec<(&'static str, Value)> {
    let token = id(1);
    vec![
        ("GetSecretValue", json!({"SecretId": "s"})),
        ("GetSecretValue", json!({"SecretId": "s", "VersionId": token})),
        ("GetSecretValue", json!({"SecretId": "s", "VersionStage": "AWSCURRENT"})),
        ("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": "1"})),
        ("UpdateSecret", json!({"SecretId": "s", "ClientRequestToken": token, "SecretString": "1"})),
        ("CreateSecret", json!({"Name": "s", "ClientRequestToken": token, "SecretString": "1"})),
    ]
}

/// The body of an error: the member with the text depends on whether the service models the error.
fn body(code: &str, text: &str) -> String {
    let member = if code == "AccessDeniedException" { "message" } else { "Message" };
    format!(r#"{{"__type":"{code}","{member}":"{text}"}}"#)
}

/// Sends requests that must all fail alike and store nothing.
fn check(client: &Client, requests: &[(&str, Value)], status: u16, code: &str, text: &str) -> usize {
    let before = client.world.store.stats().unwrap();
    for (operation, request) in requests {
        let answer = client.send(operation, request);
        let sent = String::from_utf8(answer.body.expose().to_vec()).unwrap();
        assert_eq!((answer.status, sent), (status, body(code, text)), "{operation} {request}");
        assert_eq!((answer.content_type, answer.error_code.as_deref()), ("application/x-amz-json-1.1", Some(code)));
        // The server itself is told which key it was. A client never is.
        let kind = answer.error.as_ref().unwrap().kind().clone();
        match (code, kind) {
            ("AccessDeniedException", ErrorKind::KeyAccessDenied(_))
            | ("EncryptionFailure", ErrorKind::EncryptionFailure(_))
            | ("DecryptionFailure", ErrorKind::DecryptionFailure(_))
            | ("InternalServiceError", ErrorKind::KeyProviderOutage(_))
            | ("InvalidRequestException", ErrorKind::InvalidKey(_)) => {}
            (_, other) => panic!("{operation} {request}: {other:?}"),
        }
    }
    assert_eq!(client.world.store.stats().unwrap(), before, "{code}");
    requests.len()
}

#[test]
fn a_key_that_is_refused_when_it_is_set_is_told_in_the_words_of_the_service() {
    let elsewhere =
        |client: &Client| client.kms.keyring.create_key(KeyScope::new("aws", "000000000000", "eu-west-1")).unwrap();
    let wrong_region = "The operation failed because of an invalid KMS key: Invalid arn eu-west-1";
    let refuse = |operation: KeyOperation, error: KeyError| {
        move |client: &Client| {
            client.kms.refuse(operation, &client.key, error.clone());
            client.key.clone()
        }
    };
    let state = |state: KeyState| {
        move |client: &Client| {
            client.kms.put_into(&client.key, state);
            client.key.clone()
        }
    };
    type Prepare = Box<dyn Fn(&Client) -> String>;
    let rows: [(Prepare, u16, &str, &str); 15] = [
        (Box::new(|_| "alias/missing".to_owned()), 400, "AccessDeniedException", NO_ACCESS),
        (Box::new(|_| "alias/aws/s3".to_owned()), 400, "AccessDeniedException", NO_ACCESS),
        (Box::new(|_| "no key \u{1f511}".to_owned()), 400, "AccessDeniedException", NO_ACCESS),
        (Box::new(|_| "mrk-1234abcd12ab34cd56ef1234567890ab".to_owned()), 400, "AccessDeniedException", NO_ACCESS),
        (Box::new(refuse(KeyOperation::Resolve, KeyError::AccessDenied)), 400, "AccessDeniedException", NO_ACCESS),
        (Box::new(elsewhere), 400, "InvalidRequestException", wrong_region),
        (Box::new(refuse(KeyOperation::Resolve, KeyError::WrongUsage)), 400, "EncryptionFailure", ASYMMETRIC),
        (Box::new(refuse(KeyOperation::Wrap, KeyError::WrongUsage)), 400, "EncryptionFailure", ASYMMETRIC),
        (Box::new(state(KeyState::Disabled)), 400, "EncryptionFailure", CANNOT_ENCRYPT),
        (Box::new(state(KeyState::PendingDeletion)), 400, "EncryptionFailure", CANNOT_ENCRYPT),
        (Box::new(state(KeyState::PendingImport)), 400, "EncryptionFailure", CANNOT_ENCRYPT),
        (Box::new(state(KeyState::Unavailable)), 500, "InternalServiceError", SERVER_SIDE),
        (Box::new(refuse(KeyOperation::Resolve, KeyError::Throttled)), 500, "InternalServiceError", SERVER_SIDE),
        (Box::new(refuse(KeyOperation::Wrap, KeyError::Timeout)), 500, "InternalServiceError", SERVER_SIDE),
        (Box::new(refuse(KeyOperation::Wrap, KeyError::Internal)), 500, "InternalServiceError", SERVER_SIDE),
    ];
    let mut requests = 0;
    for (prepare, status, code, text) in &rows {
        let client = Client::new();
        let key = prepare(&client);
        requests += check(&client, &settings(&key), *status, code, text);
    }
    eprintln!("{} keys that are refused, {requests} requests", rows.len());
}

#[test]
fn a_key_that_stopped_working_is_told_in_the_words_of_the_service() {
    use KeyError as E;
    // The error; how a write is answered; how a read is answered.
    let rows = [
        (E::AccessDenied, (400, "AccessDeniedException", NO_ACCESS), (400, "AccessDeniedException", NO_ACCESS)),
        (E::NotFound, (400, "AccessDeniedException", NO_ACCESS), (400, "DecryptionFailure", CANNOT_DECRYPT)),
        (E::Disabled, (400, "EncryptionFailure", CANNOT_ENCRYPT), (400, "DecryptionFailure", CANNOT_DECRYPT)),
        (E::PendingDeletion, (400, "EncryptionFailure", CANNOT_ENCRYPT), (400, "DecryptionFailure", CANNOT_DECRYPT)),
        (E::PendingImport, (400, "EncryptionFailure", CANNOT_ENCRYPT), (400, "DecryptionFailure", CANNOT_DECRYPT)),
        (E::WrongUsage, (400, "EncryptionFailure", ASYMMETRIC), (400, "DecryptionFailure", CANNOT_DECRYPT)),
        (E::Throttled, (500, "InternalServiceError", SERVER_SIDE), (500, "InternalServiceError", SERVER_SIDE)),
        (E::Unavailable, (500, "InternalServiceError", SERVER_SIDE), (500, "InternalServiceError", SERVER_SIDE)),
        (E::Timeout, (500, "InternalServiceError", SERVER_SIDE), (500, "InternalServiceError", SERVER_SIDE)),
        (E::Internal, (500, "InternalServiceError", SERVER_SIDE), (500, "InternalServiceError", SERVER_SIDE)),
    ];
    let mut requests = 0;
    for (error, on_write, on_read) in &rows {
        let client = Client::new();
        client.ok("GetSecretValue", &json!({"SecretId": "d"}));
        client.kms.refuse_all(&client.key, error);
        for (sent, (status, code, text)) in [(seals(), on_write), (opens(), on_read)] {
            requests += check(&client, &sent, *status, code, text);
        }
        // In a batch the secret has its own entry, and the others are delivered.
        let (_, code, text) = on_read;
        let arn = client.world.describe("s").arn;
        for (request, named) in [
            (json!({"SecretIdList": ["s", "d"]}), "s"),
            (json!({"Filters": [{"Key": "name", "Values": ["s", "d"]}]}), arn.as_str()),
        ] {
            let batch = client.ok("BatchGetSecretValue", &request);
            let failed = json!([{"SecretId": named, "ErrorCode": code, "Message": text}]);
            assert_eq!((&batch["Errors"], batch["SecretValues"].as_array().unwrap().len()), (&failed, 1), "{error}");
            assert_eq!(batch["SecretValues"][0]["Name"], "d");
            requests += 1;
        }
        client.kms.permit();
        for (operation, request) in opens().iter().chain(&seals()) {
            client.ok(operation, request);
        }
    }
    eprintln!("{} ways to stop working, {requests} requests", rows.len());
}

/// The key of a secret as it was given, or no such member for the default key.
#[test]
fn a_client_is_shown_the_key_as_it_was_given() {
    let client = Client::new();
    let key_id = client.key.rsplit_once('/').unwrap().1.to_owned();
    let alias_arn = "arn:aws:kms:us-east-1:000000000000:alias/app";
    let default_arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";
    let rows = [
        (json!(null), None),
        (json!(""), None),
        (json!("alias/aws/secretsmanager"), None),
        (json!(default_arn), None),
        (json!(key_id), Some(key_id.as_str())),
        (json!(client.key), Some(client.key.as_str())),
        (json!("alias/app"), Some("alias/app")),
        (json!(alias_arn), Some(alias_arn)),
    ];
    for (index, (given, shown)) in rows.iter().enumerate() {
        let name = format!("row-{index}");
        let token = id(1);
        let create = json!({"Name": name, "ClientRequestToken": token, "SecretString": "v", "KmsKeyId": given});
        let created = client.ok("CreateSecret", &create);
        assert_eq!(created.as_object().unwrap().keys().collect::<Vec<_>>(), ["ARN", "Name", "VersionId"]);
        let described = client.ok("DescribeSecret", &json!({"SecretId": name}));
        let filter = json!({"Filters": [{"Key": "name", "Values": [name]}]});
        let listed = client.ok("ListSecrets", &filter)["SecretList"][0].clone();
        for seen in [described, listed] {
            assert_eq!(seen.get("KmsKeyId"), shown.map(Value::from).as_ref(), "{given}");
        }
        let versions = client.ok("ListSecretVersionIds", &json!({"SecretId": name}));
        assert_eq!(versions["Versions"][0]["KmsKeyIds"], json!([shown.unwrap_or("DefaultEncryptionKey")]), "{given}");

        // The key alone: no version comes of it.
        let update = json!({"SecretId": name, "ClientRequestToken": id(2), "KmsKeyId": given});
        let updated = client.ok("UpdateSecret", &update);
        assert_eq!(updated.as_object().unwrap().keys().collect::<Vec<_>>(), ["ARN", "Name"]);
    }
}
