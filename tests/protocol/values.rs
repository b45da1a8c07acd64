//! Every operation once, with the whole of its answer.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::fixture::{START, Server, token};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";

/// What is random, as a pattern: the ends of ARNs, and page tokens.
fn masked(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("arn:aws:secretsmanager:") => {
            let (start, suffix) = text.rsplit_once('-').unwrap();
            assert!(suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            json!(format!("{start}-??????"))
        }
        Value::Array(entries) => entries.into_iter().map(masked).collect(),
        Value::Object(members) => {
            let mask = |(name, value): (String, Value)| match name.as_str() {
                "NextToken" => {
                    assert!(value.as_str().is_some_and(|token| (1..=4096).contains(&token.len())), "{value}");
                    (name, json!("?"))
                }
                _ => (name, masked(value)),
            };
            Value::Object(members.into_iter().map(mask).collect())
        }
        other => other,
    }
}

/// One secret with everything, one with bytes, one with nothing, made a second apart.
fn server() -> Server {
    let server = Server::new();
    let all = json!({
        "Name": "all", "ClientRequestToken": token(1), "Description": "d \"q\"", "KmsKeyId": "alias/own", "Type": "t",
        "SecretString": "one", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "empty"}],
    });
    server.ok("CreateSecret", &all);
    server.clock.advance(TimeDelta::seconds(1));
    server
        .ok("CreateSecret", &json!({"Name": "bytes", "ClientRequestToken": token(2), "SecretBinary": "Zm9vdGVzdA=="}));
    server.clock.advance(TimeDelta::milliseconds(877));
    server.ok("CreateSecret", &json!({"Name": "nothing", "ClientRequestToken": token(3)}));
    server
}

fn arn(name: &str) -> String {
    format!("{ARN}{name}-??????")
}

fn named(name: &str) -> Value {
    json!({"ARN": arn(name), "Name": name})
}

fn with(mut answer: Value, more: Value) -> Value {
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    answer
}

/// Requests that follow each other, and their answers as a whole.
#[track_caller]
fn check(server: &Server, rows: &[(&str, Value, Value)]) {
    for (operation, request, expected) in rows {
        assert_eq!(masked(server.ok(operation, request)), *expected, "{operation} {request}");
    }
}

/// 2023-11-14T00:00:00Z.
const MIDNIGHT: i64 = 1_699_920_000;

#[test]
fn create_put_and_update_answer_with_the_secret_and_its_version() {
    let server = server();
    let version = |name, number| with(named(name), json!({"VersionId": token(number)}));
    let put = |name, number, labels: Value| with(version(name, number), json!({"VersionStages": labels}));
    check(
        &server,
        &[
            ("CreateSecret", json!({"Name": "a/b_c+=.@!-"}), named("a/b_c+=.@!-")),
            (
                "CreateSecret",
                json!({"Name": "new", "SecretString": "s", "ClientRequestToken": token(4)}),
                version("new", 4),
            ),
            // Again, as an SDK does after a lost answer.
            (
                "CreateSecret",
                json!({"Name": "new", "SecretString": "s", "ClientRequestToken": token(4)}),
                version("new", 4),
            ),
            (
                "PutSecretValue",
                json!({"SecretId": "new", "SecretString": "s", "ClientRequestToken": token(5)}),
                put("new", 5, json!(["AWSCURRENT"])),
            ),
            (
                "PutSecretValue",
                json!({"SecretId": "new", "SecretBinary": "AA==", "ClientRequestToken": token(6), "VersionStages": ["x"]}),
                put("new", 6, json!(["x"])),
            ),
            (
                "PutSecretValue",
                json!({"SecretId": "nothing", "SecretString": "s", "ClientRequestToken": token(7),
                       "VersionStages": ["AWSPENDING"]}),
                put("nothing", 7, json!(["AWSPENDING", "AWSCURRENT"])),
            ),
            ("UpdateSecret", json!({"SecretId": "new"}), named("new")),
            ("UpdateSecret", json!({"SecretId": "new", "Description": "d", "KmsKeyId": "", "Type": ""}), named("new")),
            (
                "UpdateSecret",
                json!({"SecretId": "new", "SecretString": "s", "ClientRequestToken": token(8)}),
                version("new", 8),
            ),
            (
                "UpdateSecretVersionStage",
                json!({"SecretId": "new", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(6),
                       "RemoveFromVersionId": token(8)}),
                named("new"),
            ),
            ("TagResource", json!({"SecretId": "new", "Tags": [{"Key": "a", "Value": "b"}]}), Value::Null),
            ("UntagResource", json!({"SecretId": "new", "TagKeys": ["a"]}), Value::Null),
        ],
    );
}

/// A version id that nobody chose is a UUID.
#[test]
fn a_request_without_a_token_is_given_one() {
    let made = server().ok("CreateSecret", &json!({"Name": "new", "SecretString": "s"}));
    let id = made["VersionId"].as_str().unwrap();
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
    assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{id}");
}

#[test]
fn get_secret_value_answers_with_the_version_in_the_form_it_was_stored_in() {
    let server = server();
    let all = json!({
        "ARN": arn("all"), "Name": "all", "VersionId": token(1), "SecretString": "one", "VersionStages": ["AWSCURRENT"],
        "CreatedDate": START,
    });
    let bytes = json!({
        "ARN": arn("bytes"), "Name": "bytes", "VersionId": token(2), "SecretBinary": "Zm9vdGVzdA==",
        "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_700_000_001.123,
    });
    check(
        &server,
        &[
            ("GetSecretValue", json!({"SecretId": "all"}), all.clone()),
            (
                "GetSecretValue",
                json!({"SecretId": "all", "VersionId": token(1), "VersionStage": "AWSCURRENT"}),
                all.clone(),
            ),
            ("GetSecretValue", json!({"SecretId": "bytes"}), bytes.clone()),
            (
                "BatchGetSecretValue",
                json!({"SecretIdList": ["bytes", "nothing", "missing", "all"]}),
                json!({
                    "SecretValues": [bytes, all],
                    "Errors": [
                        {
                            "SecretId": "nothing", "ErrorCode": "ResourceNotFoundException",
                            "Message":
                                "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
                        },
                        {
                            "SecretId": "missing", "ErrorCode": "ResourceNotFoundException",
                            "Message": "Secrets Manager can't find the specified secret.",
                        },
                    ],
                }),
            ),
            (
                "BatchGetSecretValue",
                json!({"Filters": [{"Key": "name", "Values": ["al", "by"]}], "MaxResults": 1}),
                json!({"SecretValues": [all], "Errors": [], "NextToken": "?"}),
            ),
            (
                "BatchGetSecretValue",
                json!({"Filters": [{"Key": "tag-key", "Values": ["none"]}]}),
                json!({"SecretValues": [], "Errors": []}),
            ),
        ],
    );
    // Two puts later, the first version has no labels.
    for number in [4, 5] {
        server.ok(
            "PutSecretValue",
            &json!({"SecretId": "all", "SecretString": "x", "ClientRequestToken": token(number)}),
        );
    }
    let deprecated = json!({
        "ARN": arn("all"), "Name": "all", "VersionId": token(1), "SecretString": "one", "CreatedDate": START,
    });
    check(&server, &[("GetSecretValue", json!({"SecretId": "all", "VersionId": token(1)}), deprecated)]);
}

#[test]
fn describe_and_list_answer_with_everything_but_the_values() {
    let server = server();
    let all = json!({
        "ARN": arn("all"), "Name": "all", "Type": "t", "Description": "d \"q\"", "KmsKeyId": "alias/own",
        "CreatedDate": START, "LastChangedDate": START,
        "Tags": [{"Key": "k", "Value": "v"}, {"Key": "empty", "Value": ""}],
    });
    let nothing = json!({
        "ARN": arn("nothing"), "Name": "nothing", "CreatedDate": 1_700_000_002, "LastChangedDate": 1_700_000_002,
    });
    let stages = || json!({token(1): ["AWSCURRENT"]});
    check(
        &server,
        &[
            ("DescribeSecret", json!({"SecretId": "nothing"}), nothing.clone()),
            ("DescribeSecret", json!({"SecretId": "all"}), with(all.clone(), json!({"VersionIdsToStages": stages()}))),
        ],
    );
    server.ok("GetSecretValue", &json!({"SecretId": "all"}));
    server.ok("DeleteSecret", &json!({"SecretId": "nothing", "RecoveryWindowInDays": 7}));
    let read = with(all, json!({"LastAccessedDate": MIDNIGHT}));
    let bytes = json!({
        "ARN": arn("bytes"), "Name": "bytes", "CreatedDate": 1_700_000_001.123, "LastChangedDate": 1_700_000_001.123,
        "SecretVersionsToStages": {token(2): ["AWSCURRENT"]},
    });
    // A change is later than the one before it, even if the clock stands still.
    let scheduled = with(nothing, json!({"DeletedDate": 1_700_604_802, "LastChangedDate": 1_700_000_002.001}));
    let listed = with(read.clone(), json!({"SecretVersionsToStages": stages()}));
    check(
        &server,
        &[
            ("DescribeSecret", json!({"SecretId": "all"}), with(read, json!({"VersionIdsToStages": stages()}))),
            ("DescribeSecret", json!({"SecretId": "nothing"}), scheduled.clone()),
            ("ListSecrets", json!({}), json!({"SecretList": [listed, bytes]})),
            (
                "ListSecrets",
                json!({"MaxResults": 1, "SortOrder": "desc"}),
                json!({"SecretList": [bytes], "NextToken": "?"}),
            ),
            (
                "ListSecrets",
                json!({"IncludePlannedDeletion": true, "SortBy": "name", "SortOrder": "desc"}),
                json!({"SecretList": [scheduled, bytes, listed]}),
            ),
            ("ListSecrets", json!({"Filters": [{"Key": "all", "Values": ["zebra"]}]}), json!({"SecretList": []})),
        ],
    );
}

#[test]
fn list_secret_version_ids_answers_with_versions_oldest_first() {
    let server = server();
    for number in [4, 5] {
        server.clock.advance(TimeDelta::seconds(1));
        server.ok(
            "PutSecretValue",
            &json!({"SecretId": "bytes", "SecretString": "x", "ClientRequestToken": token(number)}),
        );
    }
    server.ok("GetSecretValue", &json!({"SecretId": "bytes"}));
    let entry = |number, created: f64, more: Value| {
        with(json!({"VersionId": token(number), "CreatedDate": created, "KmsKeyIds": ["DefaultEncryptionKey"]}), more)
    };
    let oldest = entry(2, 1_700_000_001.123, json!({}));
    let previous = json!({
        "VersionId": token(4), "CreatedDate": 1_700_000_003, "KmsKeyIds": ["DefaultEncryptionKey"],
        "VersionStages": ["AWSPREVIOUS"],
    });
    let current = json!({
        "VersionId": token(5), "CreatedDate": 1_700_000_004, "KmsKeyIds": ["DefaultEncryptionKey"],
        "VersionStages": ["AWSCURRENT"], "LastAccessedDate": MIDNIGHT,
    });
    let listed = |versions: Value| with(named("bytes"), json!({"Versions": versions}));
    check(
        &server,
        &[
            ("ListSecretVersionIds", json!({"SecretId": "bytes"}), listed(json!([previous, current]))),
            (
                "ListSecretVersionIds",
                json!({"SecretId": "bytes", "IncludeDeprecated": true}),
                listed(json!([oldest, previous, current])),
            ),
            (
                "ListSecretVersionIds",
                json!({"SecretId": "bytes", "MaxResults": 1}),
                with(listed(json!([previous])), json!({"NextToken": "?"})),
            ),
            ("ListSecretVersionIds", json!({"SecretId": "nothing"}), with(named("nothing"), json!({"Versions": []}))),
            (
                "ListSecretVersionIds",
                json!({"SecretId": "all"}),
                with(
                    named("all"),
                    json!({"Versions": [{
                        "VersionId": token(1), "CreatedDate": START, "KmsKeyIds": ["alias/own"],
                        "VersionStages": ["AWSCURRENT"],
                    }]}),
                ),
            ),
        ],
    );
}

#[test]
fn delete_answers_with_the_date_and_restore_without_it() {
    let days = |days: i64| json!({"DeletionDate": 1_700_000_002 + days * 86_400});
    check(
        &server(),
        &[
            ("DeleteSecret", json!({"SecretId": "all", "RecoveryWindowInDays": 7}), with(named("all"), days(7))),
            ("RestoreSecret", json!({"SecretId": "all"}), named("all")),
            ("DeleteSecret", json!({"SecretId": "all"}), with(named("all"), days(30))),
            (
                "DeleteSecret",
                json!({"SecretId": "all", "ForceDeleteWithoutRecovery": true}),
                with(named("all"), days(0)),
            ),
            (
                "DeleteSecret",
                json!({"SecretId": "missing", "ForceDeleteWithoutRecovery": true}),
                with(named("missing"), days(0)),
            ),
        ],
    );
}

#[test]
fn pages_follow_each_other_through_their_tokens() {
    let server = server();
    let mut names = Vec::new();
    let mut request = json!({"MaxResults": 1, "SortBy": "name"});
    for page in 1..=3 {
        let answer = server.ok("ListSecrets", &request);
        names.extend(answer["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].clone()));
        assert_eq!(answer.get("NextToken").is_some(), page < 3, "page {page}: {answer}");
        if page < 3 {
            request["NextToken"] = answer["NextToken"].clone();
        }
    }
    assert_eq!(names, ["all", "bytes", "nothing"]);
    request["SortBy"] = json!("created-date");
    let answer = server.send("ListSecrets", &request);
    answer.check("a token of another query", 400, "InvalidNextTokenException", "The NextToken value is invalid.");
}

#[test]
fn a_random_password_is_made_of_what_was_asked_for() {
    let server = Server::new();
    let password = |request: Value| {
        let answer = server.ok("GetRandomPassword", &request);
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        answer["RandomPassword"].as_str().unwrap().to_owned()
    };
    assert_eq!(password(json!({})).len(), 32);
    assert_eq!(password(json!({"PasswordLength": 4096})).len(), 4096);
    let digits = json!({
        "PasswordLength": 8, "ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true,
        "ExcludeCharacters": "02468",
    });
    let made = password(digits);
    assert!(made.len() == 8 && made.bytes().all(|byte| b"13579".contains(&byte)), "{made}");
    let spaces = json!({
        "PasswordLength": 3, "ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true,
        "ExcludeNumbers": true, "IncludeSpace": true, "RequireEachIncludedType": true,
    });
    assert_eq!(password(spaces), "   ");
    // Every character that JSON escapes.
    let quotes = json!({
        "PasswordLength": 2, "ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": true,
        "ExcludeCharacters": "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "RequireEachIncludedType": false,
    });
    assert!(password(quotes).chars().all(|c| c == '"' || c == '\\'));
}
