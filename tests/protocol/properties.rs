//! What holds for every sequence of requests, whatever they say. Used by the fuzz target and by a test.
//!
//! An input is a list of requests, separated by lines `---`. The first line of a request is its target, the rest is its
//! body. Instead of a target, `@advance SECONDS` moves the clock, `@maintain` maintains the store, and `@handle ACCOUNT REGION`
//! lets the requests behind it go there. In a body, `@ARN@`, `@VERSION@` and `@NEXT@` stand for the last ARN, version id and
//! page token that was answered.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::wire::{self, WireResponse};
use strongroom::{
    PutSecretValueRequest, RotationCall, RotationError, RotationFunction, SecretStore, SecretsManager, StaticKey,
};

const REQUESTS_MAX: usize = 64;

/// Errors that are part of the protocol, not of one operation.
const COMMON: [&str; 4] =
    ["AccessDeniedException", "SerializationException", "UnknownOperationException", "ValidationException"];

/// Operations that change nothing but the days of last access, and whose answer therefore repeats.
const READS: [&str; 8] = [
    "BatchGetSecretValue",
    "DescribeSecret",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListResourcePolicies",
    "ListSecretVersionIds",
    "ListSecrets",
    "ValidateResourcePolicy",
];

/// How often each operation gave each code; `200` for success.
pub(crate) type Seen = BTreeMap<(String, String), u64>;

/// Carries out an input on a new store.
///
/// # Panics
///
/// If something that must hold does not.
pub(crate) fn check(input: &[u8]) -> Seen {
    let mut world = World::new();
    for request in split(input, b"\n---\n").into_iter().take(REQUESTS_MAX) {
        let (target, body) = match request.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&request[..end], &request[end + 1..]),
            None => (request, &[][..]),
        };
        let target = String::from_utf8_lossy(target);
        match target.split_once(' ') {
            _ if target == "@maintain" => _ = world.store.maintain().expect("a store in memory is maintained"),
            Some(("@advance", seconds)) => {
                world.clock.advance(TimeDelta::seconds(seconds.parse::<u32>().unwrap_or(1).into()));
            }
            Some(("@handle", place)) => world.go_to(place),
            _ => {
                let body = world.fill_in(body);
                world.request(&target, &body);
            }
        }
    }
    world.seen
}

fn split<'a>(input: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(separator.len()).position(|window| window == separator) {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// Puts a new value, unless the version has it already, and so makes it the current one.
#[derive(Debug)]
struct Renew;

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let put = PutSecretValueRequest::new(&call.secret_id, "new").client_request_token(&call.client_request_token);
        call.secrets.put_secret_value(put)?;
        Ok(())
    }
}

struct World {
    store: SecretStore,
    secrets: SecretsManager,
    clock: ManualClock,
    /// What stands for `@ARN@`, `@VERSION@` and `@NEXT@`.
    last: [(&'static [u8], String); 3],
    seen: Seen,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at_millis(1_700_000_000_123);
        let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
        let builder = builder.rotation_function("arn:aws:lambda:*", Renew).rotation_timeout(None);
        let store = builder.clock(clock.clone()).entropy(SeededEntropy::new(1)).open().expect("the store opens");
        let last = [&b"@ARN@"[..], b"@VERSION@", b"@NEXT@"].map(|name| (name, String::new()));
        Self { secrets: store.default_secrets_manager(), store, clock, last, seen: Seen::new() }
    }

    /// An account and a Region; what is none of both changes nothing.
    fn go_to(&mut self, place: &str) {
        let (account, region) = place.split_once(' ').unwrap_or((place, "us-east-1"));
        if let Ok(secrets) = self.store.secrets_manager(account, region) {
            self.secrets = secrets;
        }
    }

    fn fill_in(&self, body: &[u8]) -> Vec<u8> {
        let fill = |body: Vec<u8>, (name, value): &(&[u8], String)| split(&body, name).join(value.as_bytes());
        self.last.iter().fold(body.to_vec(), fill)
    }

    fn dispatch(&self, target: &str, body: &[u8]) -> WireResponse {
        wire::dispatch(&self.secrets, target, body)
    }

    /// What changes with every commit.
    fn epoch(&self) -> u64 {
        self.store.stats().expect("a store in memory can be asked").epoch
    }

    fn request(&mut self, target: &str, body: &[u8]) {
        let before = self.epoch();
        let answer = self.dispatch(target, body);
        let operation = target.strip_prefix("secretsmanager.").unwrap_or_default();
        let answered = self.check_form(operation, body, &answer);
        let code = answer.error_code.as_deref().unwrap_or("200").to_owned();
        if answer.status == 200 {
            self.check_success(target, operation, body, &answer);
        } else {
            assert_eq!(self.epoch(), before, "a refused request changed something");
            check_error(operation, &answer, &answered);
            // Without a token, a random one is drawn each time, and the random source of the test can be foreseen.
            let tells_token = code == "ResourceExistsException" || operation == "RotateSecret";
            if !tells_token || has_token(body) {
                assert_eq!(self.dispatch(target, body), answer, "what was refused is refused again");
            }
        }
        if !is_json(body) && is_modelled(operation) {
            assert_eq!(code, "SerializationException", "a body that is not JSON");
        }
        for ((_, last), member) in self.last.iter_mut().zip(["ARN", "VersionId", "NextToken"]) {
            if let Some(value) = answered.get(member).and_then(Value::as_str) {
                value.clone_into(last);
            }
        }
        let operation = if is_modelled(operation) { operation } else { "" };
        *self.seen.entry((operation.to_owned(), code)).or_default() += 1;
    }

    /// Status, content type, JSON and size.
    fn check_form(&self, operation: &str, body: &[u8], answer: &WireResponse) -> Value {
        assert!([200, 400].contains(&answer.status), "status {} from a store in memory", answer.status);
        assert_eq!(answer.content_type, "application/x-amz-json-1.1");
        assert_eq!(answer.status == 200, answer.error_code.is_none());
        let bytes = answer.body.expose();
        let stored = usize::try_from(self.store.stats().expect("can be asked").stored_bytes).expect("fits");
        // A batch can name a secret twenty times, and a control character is written in six.
        let most = 16_384 + 16 * body.len() + 128 * stored;
        assert!(bytes.len() <= most, "{} bytes of answer to {} bytes", bytes.len(), body.len());
        let has_no_answer = ["TagResource", "UntagResource"].contains(&operation) && answer.status == 200;
        assert_eq!(bytes.is_empty(), has_no_answer);
        if bytes.is_empty() {
            return json!({});
        }
        let answered: Value = serde_json::from_slice(bytes).expect("the answer is JSON");
        assert!(answered.is_object());
        answered
    }

    fn check_success(&self, target: &str, operation: &str, body: &[u8], answer: &WireResponse) {
        if operation == "PutResourcePolicy" {
            self.check_policy(body, answer);
        }
        if READS.contains(&operation) {
            let again = self.dispatch(target, body);
            assert_eq!(without_token(answer), without_token(&again), "a second read gives something else");
        }
        if operation == "DescribeSecret" {
            self.check_replicas(answer);
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else { return };
        let text = |member: &str| request.get(member).and_then(Value::as_str);
        let value = text("SecretString").map(|text| ("SecretString", text));
        let value = value.or_else(|| text("SecretBinary").map(|text| ("SecretBinary", text)));
        let (Some((form, value)), true) = (value, is_write(operation)) else { return };
        let answered: Value = serde_json::from_slice(answer.body.expose()).expect("the answer is JSON");
        let read = json!({"SecretId": answered["ARN"], "VersionId": answered["VersionId"]}).to_string();
        let read = self.dispatch("secretsmanager.GetSecretValue", read.as_bytes());
        assert_eq!(read.status, 200, "what was stored cannot be read");
        let read: Value = serde_json::from_slice(read.body.expose()).expect("the answer is JSON");
        assert!(read[form] == value, "what was stored comes back changed");
        if operation != "UpdateSecret" && text("ClientRequestToken").is_some() {
            let before = self.epoch();
            assert_eq!(&self.dispatch(target, body), answer, "a repetition is answered like the first time");
            assert_eq!(self.epoch(), before, "a repetition changed something");
        }
    }

    /// A replica that is in sync has what its primary has.
    fn check_replicas(&self, answer: &WireResponse) {
        let primary: Value = serde_json::from_slice(answer.body.expose()).expect("the answer is JSON");
        let place = primary["ARN"].as_str().expect("an ARN").split(':').collect::<Vec<_>>();
        let (own_region, account) = (place[3], place[4]);
        for status in
            primary["ReplicationStatus"].as_array().into_iter().flatten().filter(|at| at["Status"] == "InSync")
        {
            let region = status["Region"].as_str().expect("a Region");
            let there = self.store.secrets_manager(account, region).expect("a replica is somewhere");
            let arn = primary["ARN"].as_str().expect("an ARN").replacen(own_region, region, 1);
            let ask = json!({"SecretId": arn}).to_string();
            let described = wire::dispatch(&there, "secretsmanager.DescribeSecret", ask.as_bytes());
            assert_eq!(described.status, 200, "a replica in sync is not there");
            let replica: Value = serde_json::from_slice(described.body.expose()).expect("the answer is JSON");
            for member in ["Name", "Description", "Tags", "VersionIdsToStages", "PrimaryRegion", "LastChangedDate"] {
                assert_eq!(replica.get(member), primary.get(member), "{member} of a replica in sync");
            }
            let values = [(&self.secrets, &primary), (&there, &replica)].map(|(secrets, described)| {
                let ask = json!({"SecretId": described["ARN"]}).to_string();
                let read = wire::dispatch(secrets, "secretsmanager.GetSecretValue", ask.as_bytes());
                let read: Value = serde_json::from_slice(read.body.expose()).expect("the answer is JSON");
                ["SecretString", "SecretBinary", "VersionId", "VersionStages", "__type"]
                    .map(|member| read.get(member).cloned())
            });
            assert!(values[0] == values[1], "a replica in sync has another value");
        }
    }

    /// A policy that was taken is there, byte for byte, and passes the checks that it must have passed.
    fn check_policy(&self, body: &[u8], answer: &WireResponse) {
        let request: Value = serde_json::from_slice(body).expect("what was taken is JSON");
        let answered: Value = serde_json::from_slice(answer.body.expose()).expect("the answer is JSON");
        let ask = |operation: &str, body: Value| -> Value {
            let answer = self.dispatch(&format!("secretsmanager.{operation}"), body.to_string().as_bytes());
            assert_eq!(answer.status, 200, "{operation} of a policy that was taken");
            serde_json::from_slice(answer.body.expose()).expect("the answer is JSON")
        };
        let read = ask("GetResourcePolicy", json!({"SecretId": answered["ARN"]}));
        assert!(read["ResourcePolicy"] == request["ResourcePolicy"], "a policy comes back changed");
        let validate = json!({"SecretId": answered["ARN"], "ResourcePolicy": request["ResourcePolicy"]});
        let validated = ask("ValidateResourcePolicy", validate);
        let failed = validated["ValidationErrors"].as_array().expect("a list");
        assert_eq!(validated["PolicyValidationPassed"], failed.is_empty());
        let is_blocked = request["BlockPublicPolicy"] == true;
        assert!(failed.iter().all(|entry| !is_blocked && entry["CheckName"] == "BlockPublicPolicyCheck"), "{failed:?}");
    }
}

/// Code and text in the members that the protocol has for them, and a code that the operation declares.
pub(crate) fn check_error(operation: &str, answer: &WireResponse, answered: &Value) {
    let code = answer.error_code.as_deref().expect("an error has a code");
    assert_eq!(answered["__type"], code);
    let text = if ["ValidationException", "AccessDeniedException"].contains(&code) { "message" } else { "Message" };
    assert!(answered[text].as_str().is_some_and(|text| !text.is_empty()), "no text in {text}");
    assert_eq!(answered.as_object().map(serde_json::Map::len), Some(2));
    let declared = model()["operations"][operation]["errors"].as_array();
    let is_declared = declared.is_some_and(|errors| errors.iter().any(|error| error == code));
    assert!(is_declared || COMMON.contains(&code), "{operation} does not declare {code}");
}

/// Page tokens are made anew for each page.
fn without_token(answer: &WireResponse) -> (u16, Value) {
    let mut answered: Value = serde_json::from_slice(answer.body.expose()).expect("the answer is JSON");
    if let Some(token) = answered.get_mut("NextToken") {
        *token = Value::Null;
    }
    (answer.status, answered)
}

fn has_token(body: &[u8]) -> bool {
    let request: Option<Value> = serde_json::from_slice(body).ok();
    request.is_some_and(|request| request["ClientRequestToken"].is_string())
}

fn is_json(body: &[u8]) -> bool {
    let is_value = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    body.is_empty() || (str::from_utf8(body).is_ok() && is_value())
}

fn is_write(operation: &str) -> bool {
    ["CreateSecret", "PutSecretValue", "UpdateSecret"].contains(&operation)
}

fn is_modelled(operation: &str) -> bool {
    model()["operations"].get(operation).is_some()
}

fn model() -> &'static Value {
    static MODEL: OnceLock<Value> = OnceLock::new();
    MODEL.get_or_init(|| serde_json::from_str(include_str!("api_model.json")).expect("the model is JSON"))
}
