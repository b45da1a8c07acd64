//! The protocol: requests and answers leave no value in memory that is given back, in whatever form it was written.
//!
//! The buffer of a request's body is the caller's, and is not looked at: it is freed after the watch.

use std::fmt::Debug;

use strongroom::wire::{WireResponse, dispatch};
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, GetSecretValueRequest, PutSecretValueRequest, SecretStore,
    SecretsManager, StaticKey, UpdateSecretRequest, limits,
};
use zeroize::Zeroizing;

use crate::allocator::{SECRET_BYTES, Watch};

/// A piece of a value, again and again: as it is, as a client writes it, and as it is answered.
struct Form {
    name: &'static str,
    member: &'static str,
    value: &'static [u8],
    written: &'static str,
    answered: &'static str,
}

const FORMS: [Form; 4] = [
    Form {
        name: "plain text",
        member: "SecretString",
        value: b"kqz-xjv-qkz-vxj-jqv-zkx-",
        written: "kqz-xjv-qkz-vxj-jqv-zkx-",
        answered: "kqz-xjv-qkz-vxj-jqv-zkx-",
    },
    Form {
        name: "text full of escapes",
        member: "SecretString",
        value: "kq\"z\u{e9}\\xj\nv\u{20ac}q/k\tz\"vx\u{1f600}".as_bytes(),
        written: r#"k\u0071\"z\u00e9\\xj\nv\u20ACq\/k\tz\"vx\ud83d\ude00"#,
        answered: "kq\\\"z\u{e9}\\\\xj\\nv\u{20ac}q/k\\tz\\\"vx\u{1f600}",
    },
    Form {
        name: "bytes",
        member: "SecretBinary",
        value: b"\xf0\x9f\x00kq\xffz\xfe\x80xj\x01v\xc3\xc3qk\x7fz\xaavx\x55j",
        written: "8J8Aa3H/ev6AeGoBdsPDcWt/eqp2eFVq",
        answered: "8J8Aa3H/ev6AeGoBdsPDcWt/eqp2eFVq",
    },
    Form {
        name: "bytes, with escapes in the base64",
        member: "SecretBinary",
        value: b"\xf0\x9f\x00kq\xffz\xfe\x80xj\x01v\xc3\xc3qk\x7fz\xaavx\x55j",
        written: r"8J8A\u00613H\/ev6AeGoBdsPDcWt\/eqp2eFVq",
        answered: "8J8Aa3H/ev6AeGoBdsPDcWt/eqp2eFVq",
    },
];

/// How often the piece is repeated: 24 bytes to 60 KB. Less than 24 bytes the watch cannot see.
const TIMES: [usize; 5] = [1, 2, 11, 210, 2_500];

fn token(number: usize) -> String {
    format!("token-{number:030}")
}

/// A body from a template, in which `$` is the member of the form and `@` is the value as it is written. The only buffer
/// of a test that holds the value; it never grows and is wiped, so that nothing found can have come from here.
fn body(form: &Form, times: usize, template: &str) -> Zeroizing<String> {
    let length = template.matches('@').count() * times * form.written.len();
    let length = length + template.matches('$').count() * form.member.len() + template.len();
    let mut body = Zeroizing::new(String::with_capacity(length));
    for letter in template.chars() {
        match letter {
            '$' => body.push_str(form.member),
            '@' => (0..times).for_each(|_| body.push_str(form.written)),
            other => body.push(other),
        }
    }
    assert!(body.len() <= length);
    body
}

/// Sends a request, and fails if a block was freed with the value in it. The answer is dropped while it is watched.
fn clean(watch: &Watch, row: &str, secrets: &SecretsManager, request: (&str, &str), check: &dyn Fn(&WireResponse)) {
    let (operation, body) = request;
    let target = format!("secretsmanager.{operation}");
    let ((), found) = watch.during(|| check(&dispatch(secrets, &target, body.as_bytes())));
    assert_eq!(found, 0, "{row}: {operation} left the value in {found} freed blocks");
}

fn succeeds(answer: &WireResponse) {
    assert_eq!((answer.status, answer.error_code.as_deref()), (200, None));
}

/// Fails unless the answer holds the value.
fn is_read(form: &Form, times: usize, answer: &WireResponse) {
    succeeds(answer);
    let (body, piece) = (answer.body.expose(), form.answered.as_bytes());
    let start = body.windows(piece.len()).position(|window| window == piece).unwrap();
    let value = &body[start..start + piece.len() * times];
    assert!(value.chunks(piece.len()).all(|found| found == piece));
}

/// Requests that are refused, as templates, and why.
const REFUSED: [(&str, &str); 20] = [
    ("ValidationException", r#"{"$": "@"}"#),
    ("ValidationException", r#"{"SecretId": "main", "$": "@", "ClientRequestToken": "short"}"#),
    ("ValidationException", r#"{"SecretId": "main", "$": "@", "VersionStages": []}"#),
    ("ValidationException", r#"{"SecretId": "main", "$": "@", "RotationToken": "*@"}"#),
    ("ValidationException", r#"{"SecretId": "a b", "$": "@"}"#),
    ("ResourceNotFoundException", r#"{"SecretId": "none", "$": "@"}"#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@", "$": "@"}"#),
    ("SerializationException", r#"{"$": "@", "SecretId": "main", "SecretId": "main"}"#),
    ("SerializationException", r#"{"$": "@", "SecretId": "main", "VersionStages": 7}"#),
    ("SerializationException", r#"{"$": "@", "SecretId": "main", "VersionStages": [null]}"#),
    ("SerializationException", r#"{"$": "@", "SecretId": "main", "RotationToken": ["@"]}"#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@""#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@"} {"#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@"#),
    ("SerializationException", r#"{"SecretId": "main", "$": ["@"]}"#),
    ("SerializationException", r#"{"SecretId": "main", "$": {"@": "@"}}"#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@\ud800"}"#),
    ("SerializationException", r#"{"SecretId": "main", "$": "@\q"}"#),
    ("SerializationException", r#"{"SecretId": "main", "SecretBinary": "@*"}"#),
    ("InvalidRequestException", r#"{"SecretId": "main", "Secret": "@"}"#),
];

/// Every request that carries a value, and some that are refused.
fn every_request_with_a_value(watch: &Watch, form: &Form, times: usize) {
    let row = format!("{}, {times} times", form.name);
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = &store.default_secrets_manager();
    let run = |operation: &str, template: &str, check: &dyn Fn(&WireResponse)| {
        let body = body(form, times, &template.replace("TOKEN", &token(1)));
        clean(watch, &format!("{row}: {template}"), secrets, (operation, &body), check);
    };
    run("CreateSecret", r#"{"Name": "main", "ClientRequestToken": "TOKEN", "$": "@"}"#, &succeeds);
    run("CreateSecret", r#"{"$": "@", "Name": "main", "ClientRequestToken": "TOKEN"}"#, &succeeds);
    run("PutSecretValue", r#"{ "$"  :  "@" , "SecretId": "main"}"#, &succeeds);
    run("UpdateSecret", "{\n\"SecretId\": \"main\",\n\"$\": \"@\"\n}", &succeeds);
    let is_read = |answer: &WireResponse| is_read(form, times, answer);
    run("GetSecretValue", r#"{"SecretId": "main"}"#, &is_read);
    run("GetSecretValue", r#"{"SecretId": "main", "VersionId": "TOKEN"}"#, &is_read);
    run("BatchGetSecretValue", r#"{"SecretIdList": ["main", "none", "main"]}"#, &is_read);
    run("BatchGetSecretValue", r#"{"Filters": [{"Key": "name", "Values": ["m"]}]}"#, &is_read);

    let refused =
        |code: &'static str| move |answer: &WireResponse| assert_eq!(answer.error_code.as_deref(), Some(code));
    for (code, template) in REFUSED {
        run("PutSecretValue", template, &refused(code));
    }
    if form.member == "SecretBinary" && times * form.written.len() <= limits::VALUE_BYTES_MAX {
        let both = r#"{"SecretId": "main", "SecretString": "@", "SecretBinary": "@"}"#;
        run("PutSecretValue", both, &refused("InvalidParameterException"));
    }
    run("CreateSecret", r#"{"Name": "main", "$": "@"}"#, &refused("ResourceExistsException"));
    let replicas = r#"{"Name": "new", "$": "@", "AddReplicaRegions": []}"#;
    run("CreateSecret", replicas, &refused("ValidationException"));
    // Values are opened and sealed again for replicas: the value that came with the request, and the one that is stored.
    let replicas = r#"{"Name": "spread", "$": "@", "AddReplicaRegions": [{"Region": "eu-west-1"}]}"#;
    run("CreateSecret", replicas, &succeeds);
    run("PutSecretValue", r#"{"SecretId": "spread", "$": "@"}"#, &succeeds);
    let replicate = r#"{"SecretId": "spread", "AddReplicaRegions": [{"Region": "eu-west-2"}]}"#;
    run("ReplicateSecretToRegions", replicate, &succeeds);
    // Operations that do not know the member.
    run("DescribeSecret", r#"{"SecretId": "main", "$": "@"}"#, &succeeds);
    run("RotateSecret", r#"{"SecretId": "main", "$": "@"}"#, &refused("InvalidRequestException"));
    run("ReplicateSecretToRegions", r#"{"SecretId": "main", "$": "@"}"#, &refused("ValidationException"));
    run("StopReplicationToReplica", r#"{"SecretId": "main", "$": "@"}"#, &refused("InvalidRequestException"));
    run(
        "PutResourcePolicy",
        r#"{"SecretId": "main", "ResourcePolicy": "{", "$": "@"}"#,
        &refused("MalformedPolicyDocumentException"),
    );
    run("Nothing", r#"{"SecretId": "main", "$": "@"}"#, &refused("UnknownOperationException"));
}

#[test]
fn no_request_leaves_a_value_in_memory_that_it_gives_back() {
    for form in &FORMS {
        for looked_for in [form.value, form.written.as_bytes(), form.answered.as_bytes()] {
            assert!(looked_for.len() >= SECRET_BYTES, "{}", form.name);
            let watch = Watch::new(|at| looked_for[at]);
            for times in TIMES {
                every_request_with_a_value(&watch, form, times);
            }
        }
    }
}

/// What the other test would miss if the forms were not those in which values pass.
#[test]
fn the_forms_are_those_in_which_values_pass() {
    for form in &FORMS {
        let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
        let secrets = store.default_secrets_manager();
        let body = body(form, 2, r#"{"Name": "main", "$": "@"}"#);
        succeeds(&dispatch(&secrets, "secretsmanager.CreateSecret", body.as_bytes()));
        let read = secrets.get_secret_value(GetSecretValueRequest::new("main")).unwrap();
        let value = read.secret_string.as_ref().map(|text| text.expose().as_bytes());
        let value = value.or(read.secret_binary.as_ref().map(strongroom::SecretBytes::expose)).unwrap();
        assert_eq!(value.len(), form.value.len() * 2, "{}", form.name);
        assert!(value.chunks(form.value.len()).all(|piece| piece == form.value), "{}", form.name);
        is_read(form, 2, &dispatch(&secrets, "secretsmanager.GetSecretValue", br#"{"SecretId": "main"}"#));
    }
}

/// With a value that no other test has, because it is left behind on purpose.
#[test]
fn the_watch_sees_an_answer_that_is_copied() {
    const VALUE: &str = "left-behind-on-purpose-qzx";
    let watch = Watch::new(|at| VALUE.as_bytes()[at]);
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = format!(r#"{{"Name": "main", "SecretString": "{VALUE}"}}"#);
    succeeds(&dispatch(&secrets, "secretsmanager.CreateSecret", create.as_bytes()));
    let read = || dispatch(&secrets, "secretsmanager.GetSecretValue", br#"{"SecretId": "main"}"#);
    assert_eq!(watch.during(|| drop(read().body.expose().to_vec())).1, 1);
}

/// A password of one letter is known before it is made.
#[test]
fn an_answered_password_is_not_left_in_memory() {
    let watch = Watch::new(|_| b'q');
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    for length in [24, 100, 1_000, 4_096] {
        let body = format!(
            r#"{{"PasswordLength": {length}, "ExcludeCharacters": "abcdefghijklmnoprstuvwxyz", "ExcludeNumbers": true,
                "ExcludePunctuation": true, "ExcludeUppercase": true}}"#
        );
        clean(&watch, "a password", &secrets, ("GetRandomPassword", &body), &|answer| {
            succeeds(answer);
            assert!(answer.body.expose().windows(length).any(|window| window.iter().all(|byte| *byte == b'q')));
        });
    }
}

const CANARY: &str = "canary-zwxqvkjy-PLMNBTRW-canary-hg";
/// The base64 of the canary.
const CANARY_BASE64: &str = "Y2FuYXJ5LXp3eHF2a2p5LVBMTU5CVFJXLWNhbmFyeS1oZw==";

/// Fails if an output shows the canary as text, as base64, or as a list of its bytes.
fn check_hidden(what: &str, value: &dyn Debug) {
    let list = format!("{:?}", &CANARY.as_bytes()[..8]);
    for output in [format!("{value:?}"), format!("{value:#?}").split_whitespace().collect::<String>()] {
        let list = list.trim_matches(['[', ']']);
        for form in
            [CANARY, CANARY_BASE64].map(|text| text.split_at(12).0).into_iter().chain([list, &list.replace(' ', "")])
        {
            assert!(!output.contains(form), "{what} shows the canary: {output}");
        }
    }
}

#[test]
fn requests_and_answers_show_no_value_when_they_are_printed() {
    let text = format!(r#""SecretString": "{CANARY}", "RotationToken": "{CANARY}""#);
    let bytes = format!(r#""SecretBinary": "{CANARY_BASE64}", "RotationToken": "{CANARY}""#);
    let (name, id) = (r#""Name": "main""#, r#""SecretId": "main""#);
    for members in [&text, &bytes] {
        let (named, identified) = (format!("{{{name}, {members}}}"), format!("{{{id}, {members}}}"));
        check_hidden("a request", &serde_json::from_str::<CreateSecretRequest>(&named).unwrap());
        check_hidden("a request", &serde_json::from_str::<PutSecretValueRequest>(&identified).unwrap());
        check_hidden("a request", &serde_json::from_str::<UpdateSecretRequest>(&identified).unwrap());
        check_hidden("a request", &serde_json::from_str::<GetSecretValueRequest>(&identified).unwrap());
        check_hidden("a request", &serde_json::from_str::<BatchGetSecretValueRequest>(&identified).unwrap());
        let twice = format!("{{{name}, {members}, {members}}}");
        check_hidden("an error", &serde_json::from_str::<CreateSecretRequest>(&twice).unwrap_err());

        let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
        let secrets = store.default_secrets_manager();
        for (operation, body) in [
            ("CreateSecret", named.as_str()),
            ("GetSecretValue", r#"{"SecretId": "main"}"#),
            ("BatchGetSecretValue", r#"{"SecretIdList": ["main"]}"#),
            ("PutSecretValue", &identified),
            ("CreateSecret", &twice),
        ] {
            let answer = dispatch(&secrets, &format!("secretsmanager.{operation}"), body.as_bytes());
            check_hidden(operation, &answer);
            assert!(!format!("{answer:?}").contains("VersionId"), "{operation} prints its body");
        }
    }
}
