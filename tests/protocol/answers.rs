//! Answers: every member has the name and the kind of the API model, and everything that can appear does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom::{Caller, CreateSecretRequest, IdentityPolicy, Principal};

use crate::fixture::{OTHER, Server, policy, token};
use crate::model::{Model, model};

/// Limits that answers break deliberately: the model allows 512 characters for a name that is given, and 256 for the same
/// name in an answer.
const LONGER: [&str; 1] = ["SecretNameType"];

/// Answers by operation, of a store that is brought into every state in which a member can appear.
fn answers() -> BTreeMap<&'static str, Vec<Value>> {
    let server = Server::new();
    let mut answers: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let mut ok = |operation: &'static str, body: Value| {
        let answer = server.ok(operation, &body);
        answers.entry(operation).or_default().push(answer.clone());
        answer
    };
    let everything = json!({
        "Name": "everything", "ClientRequestToken": token(1), "Description": "d", "KmsKeyId": "alias/own", "Type": "t",
        "SecretString": "one", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "empty"}],
    });
    ok("CreateSecret", everything);
    ok("CreateSecret", json!({"Name": "bytes", "ClientRequestToken": token(1), "SecretBinary": "/+8="}));
    ok("CreateSecret", json!({"Name": "nothing", "Tags": []}));
    ok("CreateSecret", json!({"Name": "n".repeat(512), "SecretString": "s"}));
    ok("PutSecretValue", json!({"SecretId": "everything", "ClientRequestToken": token(2), "SecretBinary": "AAA="}));
    ok("PutSecretValue", json!({"SecretId": "everything", "ClientRequestToken": token(3), "SecretString": "three"}));
    ok("UpdateSecret", json!({"SecretId": "bytes", "Description": "more"}));
    ok("UpdateSecret", json!({"SecretId": "bytes", "SecretString": "text", "ClientRequestToken": token(2)}));
    ok("GetSecretValue", json!({"SecretId": "everything"}));
    ok("GetSecretValue", json!({"SecretId": "everything", "VersionId": token(1)}));
    ok("GetSecretValue", json!({"SecretId": "everything", "VersionStage": "AWSPREVIOUS"}));
    server.clock.advance(TimeDelta::milliseconds(877));
    ok("BatchGetSecretValue", json!({"SecretIdList": ["everything", "bytes", "nothing", "missing"]}));
    ok("BatchGetSecretValue", json!({"Filters": [{"Key": "name", "Values": ["b", "e"]}], "MaxResults": 1}));
    ok("PutSecretValue", json!({"SecretId": "bytes", "SecretBinary": "AAEC"}));
    ok("BatchGetSecretValue", json!({"SecretIdList": ["bytes"]}));
    ok("ListSecretVersionIds", json!({"SecretId": "everything", "IncludeDeprecated": true}));
    ok("ListSecretVersionIds", json!({"SecretId": "everything", "MaxResults": 1}));
    ok("ListSecretVersionIds", json!({"SecretId": "nothing"}));
    let stage = json!({"SecretId": "everything", "VersionStage": "own", "MoveToVersionId": token(1)});
    ok("UpdateSecretVersionStage", stage);
    ok("TagResource", json!({"SecretId": "bytes", "Tags": [{"Key": "k", "Value": "v"}]}));
    ok("UntagResource", json!({"SecretId": "bytes", "TagKeys": ["k"]}));
    let managed = json!({"Name": "managed", "ClientRequestToken": token(1), "SecretString": "one", "Type": "Partner"});
    ok("CreateSecret", managed);
    let partner = json!({
        "SecretId": "managed", "ClientRequestToken": token(2), "RotationRules": {"AutomaticallyAfterDays": 7},
        "ExternalSecretRotationMetadata": [{"Key": "k", "Value": "v"}],
        "ExternalSecretRotationRoleArn": "arn:aws:iam::000000000000:role/rotate",
    });
    ok("RotateSecret", partner);
    assert_eq!(server.store.maintain().unwrap().rotated_secrets, 1);
    let function = json!({
        "SecretId": "bytes", "ClientRequestToken": token(4),
        "RotationLambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:rotate",
        "RotationRules": {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"},
    });
    ok("RotateSecret", function);
    server.import(&json!({
        "Name": "shared", "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:shared-AbCdEf",
        "CreatedDate": 1_699_999_999, "LastChangedDate": 1_699_999_999, "VersionsMade": 0, "Versions": [],
        "Policies": [{"PolicyName": "service", "ResourcePolicy": policy("*")}],
    }));
    ok("PutResourcePolicy", json!({"SecretId": "shared", "ResourcePolicy": policy("123456789012")}));
    ok("GetResourcePolicy", json!({"SecretId": "shared"}));
    ok("GetResourcePolicy", json!({"SecretId": "nothing"}));
    ok("ListResourcePolicies", json!({"SecretId": "shared", "MaxResults": 1}));
    ok("ListResourcePolicies", json!({"SecretId": "nothing"}));
    ok("ValidateResourcePolicy", json!({"ResourcePolicy": policy("*")}));
    ok("ValidateResourcePolicy", json!({"SecretId": "shared", "ResourcePolicy": policy("123456789012")}));
    ok("DeleteResourcePolicy", json!({"SecretId": "shared"}));
    let service = server.store.default_secrets_manager().as_owning_service("rds").unwrap();
    service.create_secret(CreateSecretRequest::new("rds!db")).unwrap();
    ok("DeleteSecret", json!({"SecretId": "everything", "RecoveryWindowInDays": 7}));
    for secret in ["everything", "bytes", "nothing", "managed", "rds!db"] {
        ok("DescribeSecret", json!({"SecretId": secret}));
    }
    ok("ListSecrets", json!({"IncludePlannedDeletion": true}));
    ok("CancelRotateSecret", json!({"SecretId": "bytes"}));
    ok("CancelRotateSecret", json!({"SecretId": "managed"}));
    ok("ListSecrets", json!({"MaxResults": 1}));
    ok("ListSecrets", json!({"Filters": [{"Key": "name", "Values": ["no such"]}]}));
    ok("RestoreSecret", json!({"SecretId": "everything"}));
    ok("DeleteSecret", json!({"SecretId": "everything", "ForceDeleteWithoutRecovery": true}));
    ok("GetRandomPassword", json!({"PasswordLength": 4096, "IncludeSpace": true}));
    replication_answers(&server, &mut answers);
    answers
}

/// Answers about replicas: in sync, failed, read and not, in other Regions and accounts.
fn replication_answers(server: &Server, answers: &mut BTreeMap<&'static str, Vec<Value>>) {
    let (here, ireland) = (server.handle("000000000000", "us-east-1"), server.handle("000000000000", "eu-west-1"));
    let theirs = server.handle(OTHER, "us-east-1");
    let mut ok = |secrets: &strongroom::SecretsManager, operation: &'static str, body: Value| {
        let answer = server.ok_in(secrets, operation, &body);
        answers.entry(operation).or_default().push(answer.clone());
        answer
    };
    ok(&ireland, "CreateSecret", json!({"Name": "spread", "SecretString": "in the way"}));
    let regions = json!([{"Region": "eu-west-1"}, {"Region": "eu-west-2", "KmsKeyId": "alias/own"}]);
    ok(&here, "CreateSecret", json!({"Name": "spread", "SecretString": "one", "AddReplicaRegions": regions}));
    let replicate = json!({
        "SecretId": "spread", "AddReplicaRegions": [{"Region": "eu-west-1"}], "ForceOverwriteReplicaSecret": true,
    });
    ok(&here, "ReplicateSecretToRegions", replicate);
    ok(&ireland, "GetSecretValue", json!({"SecretId": "spread"}));
    ok(
        &here,
        "ReplicateSecretToRegions",
        json!({"SecretId": "spread", "AddReplicaRegions": [{"Region": "eu-west-3"}]}),
    );
    for secrets in [&here, &ireland] {
        ok(secrets, "DescribeSecret", json!({"SecretId": "spread"}));
        ok(secrets, "ListSecrets", json!({}));
    }
    ok(&ireland, "StopReplicationToReplica", json!({"SecretId": "spread"}));
    ok(&ireland, "DescribeSecret", json!({"SecretId": "spread"}));
    let all = json!({"SecretId": "spread", "RemoveReplicaRegions": ["eu-west-2", "eu-west-3", "eu-south-1"]});
    ok(&here, "RemoveRegionsFromReplication", all);
    ok(&here, "DescribeSecret", json!({"SecretId": "spread"}));

    let primary = ok(&here, "CreateSecret", json!({"Name": "lent", "SecretString": "one"}))["ARN"].clone();
    let create = json!({"Name": "borrowed", "KmsKeyId": "alias/own", "CrossAccountPrimaryARN": primary});
    let replica = ok(&theirs, "CreateSecret", create)["ARN"].clone();
    ok(&theirs, "DescribeSecret", json!({"SecretId": "borrowed"}));
    let associate = json!({"SecretId": "lent", "CrossAccountReplicaARN": replica});
    ok(&here, "AssociateCrossAccountReplica", associate.clone());
    ok(&theirs, "ListResourcePolicies", json!({"SecretId": "borrowed"}));
    // Who may change the primary, and not the replica, leaves a replication that has failed.
    let everything =
        r#"{"Statement": {"Effect": "Allow", "Action": "secretsmanager:PutSecretValue", "Resource": "*"}}"#;
    let alice = Principal::parse("arn:aws:iam::000000000000:user/alice").unwrap();
    let alice = Caller::new(alice).identity_policies([IdentityPolicy::parse(everything).unwrap()]);
    ok(&here.as_caller(alice), "PutSecretValue", json!({"SecretId": "lent", "SecretString": "two"}));
    for (secrets, secret) in [(&here, "lent"), (&theirs, "borrowed")] {
        ok(secrets, "DescribeSecret", json!({"SecretId": secret}));
    }
    let mut with_role = associate.clone();
    with_role["ReplicationRoleARN"] = json!("arn:aws:iam::000000000000:role/replicate");
    ok(&here, "AssociateCrossAccountReplica", with_role);
    ok(&here, "DescribeSecret", json!({"SecretId": "lent"}));
    ok(&here, "DisassociateCrossAccountReplica", associate);
    ok(&theirs, "DescribeSecret", json!({"SecretId": "borrowed"}));
    ok(&theirs, "StopReplicationToReplica", json!({"SecretId": "borrowed"}));
}

/// What was seen in answers.
#[derive(Default)]
struct Seen<'a> {
    shapes: BTreeSet<&'a str>,
    members: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Seen<'a> {
    /// Holds a value against a shape and everything inside it.
    fn check(&mut self, model: &'a Model, name: &'a str, value: &Value, path: &str) {
        let shape = model.shape(name);
        self.shapes.insert(name);
        let length = match (shape.kind.as_str(), value) {
            ("structure", Value::Object(members)) => {
                for (member, inner) in members {
                    let path = format!("{path}.{member}");
                    let Some((member, shape)) = shape.members.get_key_value(member) else {
                        panic!("{path} is not in the model");
                    };
                    self.members.insert((name, member));
                    self.check(model, shape, inner, &path);
                }
                None
            }
            ("list", Value::Array(entries)) => {
                let inner = shape.member.as_ref().unwrap();
                entries.iter().for_each(|entry| self.check(model, inner, entry, &format!("{path}[]")));
                Some(entries.len())
            }
            ("map", Value::Object(entries)) => {
                for (key, entry) in entries {
                    self.check(model, shape.key.as_ref().unwrap(), &json!(key), &format!("{path} key"));
                    self.check(model, shape.value.as_ref().unwrap(), entry, &format!("{path}[{key}]"));
                }
                None
            }
            ("string", Value::String(text)) => {
                assert!(shape.values.is_empty() || shape.values.contains(text), "{path}: {text}");
                Some(text.chars().count())
            }
            ("blob", Value::String(text)) => {
                let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
                assert!(text.len() % 4 == 0 && text.bytes().all(is_base64), "{path}: {text}");
                None
            }
            // Seconds since 1970, and milliseconds behind the point.
            ("timestamp", Value::Number(number)) => {
                let seconds = number.as_f64().unwrap();
                assert!((1.6e9..1.8e9).contains(&seconds), "{path}: {number} is not a date in seconds");
                assert!((seconds * 1000.0).fract().abs() < 1e-3, "{path}: {number} is finer than milliseconds");
                None
            }
            ("long", Value::Number(number)) => Some(usize::try_from(number.as_u64().unwrap()).unwrap()),
            ("boolean", Value::Bool(_)) => None,
            (kind, value) => panic!("{path} is a {kind}, not {value}"),
        };
        if let Some(length) = length {
            assert!(length >= shape.min.unwrap_or_default(), "{path} has {length}");
            assert!(length <= shape.max.unwrap_or(usize::MAX) || LONGER.contains(&name), "{path} has {length}");
        }
    }
}

fn seen<'a>(model: &'a Model, answers: &BTreeMap<&'static str, Vec<Value>>) -> Seen<'a> {
    let mut seen = Seen::default();
    for (operation, declared) in model.each_operation() {
        let answers = &answers.get(operation).unwrap_or_else(|| panic!("no answer of {operation}"));
        for answer in answers.iter() {
            match &declared.output {
                Some(output) => seen.check(model, output, answer, operation),
                None => assert_eq!(answer, &Value::Null, "{operation} has an empty body"),
            }
        }
    }
    seen
}

/// The shapes that the tests here look at.
pub(crate) fn visited(model: &Model) -> BTreeSet<&str> {
    seen(model, &answers()).shapes
}

/// Nothing is `null`, because `null` is of no kind that the model has.
#[test]
fn every_member_of_every_answer_appears_and_is_what_the_model_says() {
    let model = model();
    let seen = seen(&model, &answers());
    let mut expected = BTreeSet::new();
    for shape in &seen.shapes {
        expected.extend(model.shape(shape).members.keys().map(|member| (*shape, member.as_str())));
    }
    let missing: BTreeSet<(&str, &str)> = expected.difference(&seen.members).copied().collect();
    assert_eq!(missing, BTreeSet::new());
}

/// A client may rely on these, although the model calls nothing required.
#[test]
fn what_is_always_there_is_always_there() {
    let always: [(&str, &[&str]); 24] = [
        ("AssociateCrossAccountReplica", &["ARN", "CrossAccountReplicaARN", "ReplicationStatus"]),
        ("BatchGetSecretValue", &["Errors", "SecretValues"]),
        ("CancelRotateSecret", &["ARN", "Name"]),
        ("CreateSecret", &["ARN", "Name"]),
        ("DeleteResourcePolicy", &["ARN", "Name", "PolicyName"]),
        ("DeleteSecret", &["ARN", "DeletionDate", "Name"]),
        ("DescribeSecret", &["ARN", "CreatedDate", "LastChangedDate", "Name"]),
        ("DisassociateCrossAccountReplica", &["ARN", "CrossAccountReplicaARN"]),
        ("GetRandomPassword", &["RandomPassword"]),
        ("GetResourcePolicy", &["ARN", "Name", "PolicyName"]),
        ("GetSecretValue", &["ARN", "CreatedDate", "Name", "VersionId"]),
        ("ListResourcePolicies", &["ResourcePolicies"]),
        ("ListSecretVersionIds", &["ARN", "Name", "Versions"]),
        ("ListSecrets", &["SecretList"]),
        ("PutResourcePolicy", &["ARN", "Name", "PolicyName"]),
        ("PutSecretValue", &["ARN", "Name", "VersionId", "VersionStages"]),
        ("RemoveRegionsFromReplication", &["ARN", "ReplicationStatus"]),
        ("ReplicateSecretToRegions", &["ARN", "ReplicationStatus"]),
        ("RestoreSecret", &["ARN", "Name"]),
        ("RotateSecret", &["ARN", "Name", "VersionId"]),
        ("StopReplicationToReplica", &["ARN"]),
        ("UpdateSecret", &["ARN", "Name"]),
        ("UpdateSecretVersionStage", &["ARN", "Name"]),
        ("ValidateResourcePolicy", &["PolicyValidationPassed", "ValidationErrors"]),
    ];
    let answers = answers();
    // The two that answer nothing.
    assert_eq!(answers.len(), always.len() + 2);
    for (operation, members) in always {
        for answer in &answers[operation] {
            let missing: Vec<_> = members.iter().filter(|member| answer.get(**member).is_none()).collect();
            assert!(missing.is_empty(), "{operation}: {answer} lacks {missing:?}");
        }
    }
}

/// Recorded: a secret that never had tags has no list of them; one that lost its last has an empty list.
#[test]
fn a_list_of_tags_is_told_from_an_empty_one() {
    let server = Server::new();
    let created = [("never", json!({})), ("emptied", json!({"Tags": [{"Key": "k"}]})), ("empty", json!({"Tags": []}))];
    for (name, more) in created {
        let mut create = json!({"Name": name});
        create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.ok("CreateSecret", &create);
    }
    server.ok("UntagResource", &json!({"SecretId": "emptied", "TagKeys": ["k"]}));
    let listed = server.ok("ListSecrets", &json!({"SortBy": "name"}));
    for (entry, (name, tags)) in
        [("emptied", Some(json!([]))), ("empty", Some(json!([]))), ("never", None)].iter().enumerate()
    {
        let described = server.ok("DescribeSecret", &json!({"SecretId": name}));
        assert_eq!(described.get("Tags"), tags.as_ref(), "{name}");
        assert_eq!(listed["SecretList"][entry]["Name"], *name);
        assert_eq!(listed["SecretList"][entry].get("Tags"), tags.as_ref(), "{name} in the list");
    }
}
