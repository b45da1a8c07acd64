//! The examples of the API model: their inputs succeed, and their outputs have the members that are documented.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::{Server, policy};

#[derive(Deserialize)]
struct Example {
    operation: String,
    input: Value,
    output: Option<Value>,
}

const FIRST: &str = "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1";
const SECOND: &str = "EXAMPLE2-90ab-cdef-fedc-ba987SECRET2";

/// Members that are in the answer and not in the example, and the other way round.
fn deviations(operation: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match operation {
        // The example is older than the member, which the reference has.
        "DescribeSecret" => (
            // So is it than the date of the next rotation.
            &["CreatedDate", "NextRotationDate"],
            &[],
        ),
        // The example is shortened: the secrets of the test have all of these.
        "ListSecrets" => {
            (&["SecretList.CreatedDate", "SecretList.KmsKeyId", "SecretList.LastAccessedDate", "SecretList.Tags"], &[])
        }
        // The examples are older than the member.
        "DeleteResourcePolicy" | "GetResourcePolicy" | "PutResourcePolicy" => (&["PolicyName"], &[]),
        // The example is older than both members.
        "ListSecretVersionIds" => (&["Versions.KmsKeyIds", "Versions.LastAccessedDate"], &[]),
        _ => (&[], &[]),
    }
}

/// The secret of an example as the example supposes it to be.
fn prepare(example: &Example) -> Server {
    let server = Server::with(strongroom::SecretStore::in_memory(), |builder| {
        let provider = strongroom::StaticKey::new([7; 32]);
        builder.key_provider(provider).account("123456789012").region("us-west-2")
    });
    let Example { operation, input, .. } = example;
    let Some(secret) = input.get("SecretId").or((operation == "ListSecrets").then_some(&json!("one"))).cloned() else {
        return server;
    };
    let create = json!({
        "Name": secret, "ClientRequestToken": FIRST, "SecretString": "{}", "Description": "My test database secret",
        "KmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/EXAMPLE1-90ab-cdef-fedc-ba987KMSKEY1",
        "Tags": [{"Key": "SecondTag", "Value": "AnotherValue"}, {"Key": "FirstTag", "Value": "SomeValue"}],
    });
    server.ok("CreateSecret", &create);
    server.ok("GetSecretValue", &json!({"SecretId": secret}));
    let put = |token: &str, labels: Value| json!({"SecretId": secret, "ClientRequestToken": token, "SecretString": "two", "VersionStages": labels});
    server.ok("PutSecretValue", &put(SECOND, json!(["AWSPENDING"])));
    match operation.as_str() {
        // These have been rotated, by rules of their own.
        "DescribeSecret" | "CancelRotateSecret" | "RotateSecret" => {
            let stages = json!({"SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": SECOND});
            server.ok("UpdateSecretVersionStage", &stages);
            let rotate = json!({
                "SecretId": secret, "RotationLambdaARN": "arn:aws:lambda:us-west-2:123456789012:function:MyTestRotationLambda",
                "RotationRules": {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"},
            });
            server.ok("RotateSecret", &rotate);
            assert_eq!(server.store.maintain().unwrap().rotated_secrets, 1);
        }
        "DeleteResourcePolicy" | "GetResourcePolicy" => {
            server.ok("PutResourcePolicy", &json!({"SecretId": secret, "ResourcePolicy": policy("123456789012")}));
        }
        "RestoreSecret" => drop(server.ok("DeleteSecret", &json!({"SecretId": secret}))),
        "UpdateSecretVersionStage" if input.get("MoveToVersionId").is_none() => {
            let attach = json!({"SecretId": secret, "VersionStage": "STAGINGLABEL1", "MoveToVersionId": FIRST});
            server.ok("UpdateSecretVersionStage", &attach);
        }
        // The example has a deprecated version too.
        "ListSecretVersionIds" => {
            server.ok("PutSecretValue", &put("EXAMPLE3-90ab-cdef-fedc-ba987EXAMPLE;", json!(["AWSPENDING"])));
        }
        _ => {}
    }
    server
}

/// Names of members, those in lists behind the name of the list. The keys of maps are no members.
fn members(answer: &Value, path: &str, found: &mut BTreeSet<String>) {
    match answer {
        Value::Object(members_here) if !path.ends_with("Stages.") => {
            for (name, inner) in members_here {
                found.insert(format!("{path}{name}"));
                members(inner, &format!("{path}{name}."), found);
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| members(entry, path, found)),
        _ => {}
    }
}

fn members_of(answer: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    members(answer, "", &mut found);
    found
}

#[test]
fn the_examples_of_the_model_work_as_documented() {
    let examples: Vec<Example> = serde_json::from_str(include_str!("examples.json")).unwrap();
    for (number, example) in examples.iter().enumerate() {
        let Example { operation, input, output } = example;
        let row = format!("example {number}, {operation}");
        let server = prepare(example);
        let answer = server.ok(operation, input);
        let Some(output) = output else {
            assert_eq!(answer, Value::Null, "{row}");
            continue;
        };
        let (more, less) = deviations(operation);
        let is_of = |names: &[&str], member: &str| {
            names.iter().any(|name| member == *name || member.starts_with(&format!("{name}.")))
        };
        let answered = members_of(&answer);
        let documented = members_of(output);
        let added: Vec<&String> = answered.difference(&documented).collect();
        let lost: Vec<&String> = documented.difference(&answered).collect();
        assert!(added.iter().all(|member| is_of(more, member)), "{row}: {added:?} more in {answer}");
        assert!(lost.iter().all(|member| is_of(less, member)), "{row}: {lost:?} missing in {answer}");
        assert!(
            more.iter().chain(less).all(|name| added.iter().chain(&lost).any(|member| is_of(&[name], member))),
            "{row}"
        );
        for member in ["Name", "VersionId"] {
            let is_chosen = input.get("ClientRequestToken").is_some() || member == "Name";
            if is_chosen && let (Some(answered), Some(documented)) = (answer.get(member), output.get(member)) {
                // One example asks for another secret than it answers, one answers with the name of the member.
                let is_odd = ["CancelRotateSecret", "DeleteSecret"].contains(&operation.as_str());
                let documented = if is_odd { &input["SecretId"] } else { documented };
                assert_eq!(answered, documented, "{row}");
            }
        }
    }
    assert_eq!(examples.len(), 24);
}
