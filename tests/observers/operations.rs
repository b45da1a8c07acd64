//! Every operation leaves one record, which says what was asked and how it ended.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixture::{Seen, call, observed_by, operations};

const TOKEN: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";

/// An operation, what is asked for, what the record says of that and of the answer, and the code and text of the error.
/// `$ARN` stands for the ARN of the secret.
type Row = (&'static str, Value, Value, Value, Option<(&'static str, &'static str)>);

/// A policy is no secret: records tell it as it was given.
const POLICY: &str =
    r#"{ "Statement": {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "*", "Resource": "*"}}"#;

/// A secret of another account, which is not there.
const ELSEWHERE: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/copy-AbCdEf";

const NOT_FOUND: Option<(&str, &str)> =
    Some(("ResourceNotFoundException", "Secrets Manager can't find the specified secret."));

fn rows() -> Vec<Row> {
    let changed = json!({"arn": "$ARN", "name": "db/main"});
    let governed = json!({"arn": "$ARN", "name": "db/main", "policyName": "default"});
    vec![
        (
            "CreateSecret",
            json!({
                "Name": "db/main", "ClientRequestToken": TOKEN, "Description": "the main database",
                "KmsKeyId": "alias/mine", "SecretString": "s3cret", "Tags": [{"Key": "team", "Value": "payments"}],
                "Type": "partner"
            }),
            json!({
                "name": "db/main", "clientRequestToken": TOKEN, "description": "the main database",
                "kmsKeyId": "alias/mine", "type": "partner", "tags": [{"key": "team", "value": "payments"}]
            }),
            json!({"arn": "$ARN", "name": "db/main", "versionId": TOKEN}),
            None,
        ),
        (
            "CreateSecret",
            json!({"Name": "db/main", "ClientRequestToken": SECOND, "SecretString": "s3cret"}),
            json!({"name": "db/main", "clientRequestToken": SECOND}),
            Value::Null,
            Some(("ResourceExistsException", "The operation failed because the secret db/main already exists.")),
        ),
        (
            "PutSecretValue",
            json!({
                "SecretId": "db/main", "ClientRequestToken": SECOND, "SecretBinary": "c2VjcmV0",
                "VersionStages": ["AWSPENDING", "mine"], "RotationToken": "0123456789012345678901234567890123456789"
            }),
            json!({"secretId": "db/main", "clientRequestToken": SECOND, "versionStages": ["AWSPENDING", "mine"]}),
            json!({"arn": "$ARN", "name": "db/main", "versionId": SECOND, "versionStages": ["AWSPENDING", "mine"]}),
            None,
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "nope", "SecretString": "s3cret"}),
            json!({"secretId": "nope"}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "UpdateSecret",
            json!({"SecretId": "db/main", "Description": "another", "SecretString": "s3cret", "ClientRequestToken": TOKEN}),
            json!({"secretId": "db/main", "clientRequestToken": TOKEN, "description": "another"}),
            json!({"arn": "$ARN", "name": "db/main", "versionId": TOKEN}),
            None,
        ),
        (
            "UpdateSecret",
            json!({"SecretId": "db/main", "SecretString": "a", "SecretBinary": "YQ=="}),
            json!({"secretId": "db/main"}),
            Value::Null,
            Some(("InvalidParameterException", "You must provide either SecretString or SecretBinary, but not both.")),
        ),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": "$ARN", "VersionStage": "mine", "RemoveFromVersionId": SECOND, "MoveToVersionId": TOKEN}),
            json!({"secretId": "$ARN", "versionStage": "mine", "removeFromVersionId": SECOND, "moveToVersionId": TOKEN}),
            changed.clone(),
            None,
        ),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": "db/main", "VersionStage": "mine"}),
            json!({"secretId": "db/main", "versionStage": "mine"}),
            Value::Null,
            Some(("InvalidParameterException", "You must provide RemoveFromVersionId, MoveToVersionId, or both.")),
        ),
        (
            "GetSecretValue",
            json!({"SecretId": "db/main", "VersionId": TOKEN, "VersionStage": "AWSCURRENT"}),
            json!({"secretId": "db/main", "versionId": TOKEN, "versionStage": "AWSCURRENT"}),
            Value::Null,
            None,
        ),
        (
            "GetSecretValue",
            json!({"SecretId": "db/main", "VersionStage": "gone"}),
            json!({"secretId": "db/main", "versionStage": "gone"}),
            Value::Null,
            Some((
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for staging label: gone",
            )),
        ),
        (
            "BatchGetSecretValue",
            json!({"SecretIdList": ["db/main", "nope", "$ARN"]}),
            json!({"secretIdList": ["db/main", "nope", "$ARN"]}),
            Value::Null,
            None,
        ),
        (
            "BatchGetSecretValue",
            json!({"Filters": [{"Key": "name", "Values": ["db/", "x/"]}], "MaxResults": 5}),
            json!({"maxResults": 5, "filters": [{"key": "name", "values": ["db/", "x/"]}]}),
            Value::Null,
            None,
        ),
        (
            "BatchGetSecretValue",
            json!({}),
            Value::Null,
            Value::Null,
            Some(("InvalidParameterException", "Either 'SecretIdList' or 'Filters' must be provided, but not both.")),
        ),
        ("DescribeSecret", json!({"SecretId": "db/main"}), json!({"secretId": "db/main"}), Value::Null, None),
        ("DescribeSecret", json!({"SecretId": "nope"}), json!({"secretId": "nope"}), Value::Null, NOT_FOUND),
        (
            "ListSecrets",
            json!({
                "IncludePlannedDeletion": true, "MaxResults": 7, "SortBy": "name", "SortOrder": "desc",
                "Filters": [{"Key": "tag-key", "Values": ["team"]}]
            }),
            json!({
                "includePlannedDeletion": true, "maxResults": 7, "sortBy": "name", "sortOrder": "desc",
                "filters": [{"key": "tag-key", "values": ["team"]}]
            }),
            Value::Null,
            None,
        ),
        (
            "ListSecrets",
            json!({"NextToken": "made up"}),
            Value::Null,
            Value::Null,
            Some(("InvalidNextTokenException", "The NextToken value is invalid.")),
        ),
        (
            "ListSecretVersionIds",
            json!({"SecretId": "db/main", "MaxResults": 1, "IncludeDeprecated": true}),
            json!({"secretId": "db/main", "maxResults": 1, "includeDeprecated": true}),
            Value::Null,
            None,
        ),
        ("ListSecretVersionIds", json!({"SecretId": "nope"}), json!({"secretId": "nope"}), Value::Null, NOT_FOUND),
        (
            "GetRandomPassword",
            json!({
                "PasswordLength": 20, "ExcludeCharacters": "xyz", "ExcludeNumbers": false, "ExcludePunctuation": true,
                "ExcludeUppercase": false, "ExcludeLowercase": false, "IncludeSpace": true,
                "RequireEachIncludedType": false
            }),
            json!({
                "passwordLength": 20, "excludeCharacters": "xyz", "excludeNumbers": false, "excludePunctuation": true,
                "excludeUppercase": false, "excludeLowercase": false, "includeSpace": true,
                "requireEachIncludedType": false
            }),
            Value::Null,
            None,
        ),
        ("GetRandomPassword", json!({}), Value::Null, Value::Null, None),
        (
            "GetRandomPassword",
            json!({"PasswordLength": 2}),
            json!({"passwordLength": 2}),
            Value::Null,
            Some(("InvalidParameterException", "Password length is too short based on the required types.")),
        ),
        (
            "TagResource",
            json!({"SecretId": "db/main", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]}),
            json!({"secretId": "db/main", "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]}),
            Value::Null,
            None,
        ),
        (
            "TagResource",
            json!({"SecretId": "nope", "Tags": []}),
            json!({"secretId": "nope", "tags": []}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "UntagResource",
            json!({"SecretId": "db/main", "TagKeys": ["a", "never"]}),
            json!({"secretId": "db/main", "tagKeys": ["a", "never"]}),
            Value::Null,
            None,
        ),
        (
            "UntagResource",
            json!({"SecretId": "nope", "TagKeys": ["a"]}),
            json!({"secretId": "nope", "tagKeys": ["a"]}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "DeleteSecret",
            json!({"SecretId": "db/main", "RecoveryWindowInDays": 6}),
            json!({"secretId": "db/main", "recoveryWindowInDays": 6}),
            Value::Null,
            Some((
                "InvalidParameterException",
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            )),
        ),
        (
            "DeleteSecret",
            json!({"SecretId": "db/main", "RecoveryWindowInDays": 7}),
            json!({"secretId": "db/main", "recoveryWindowInDays": 7}),
            json!({"arn": "$ARN", "name": "db/main", "deletionDate": "2023-11-21T22:13:20Z"}),
            None,
        ),
        ("RestoreSecret", json!({"SecretId": "db/main"}), json!({"secretId": "db/main"}), changed.clone(), None),
        (
            "RotateSecret",
            json!({
                "SecretId": "db/main",
                "RotationLambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "RotationRules": {"ScheduleExpression": "rate(10 days)", "Duration": "2h"},
                "RotateImmediately": false,
            }),
            json!({
                "secretId": "db/main",
                "rotateImmediately": false,
                "rotationLambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "rotationRules": {"duration": "2h", "scheduleExpression": "rate(10 days)"},
            }),
            Value::Null,
            Some(("InvalidRequestException", "Rotation Lambda ARN is not supported for a service-managed secret.")),
        ),
        (
            "CancelRotateSecret",
            json!({"SecretId": "db/main"}),
            json!({"secretId": "db/main"}),
            Value::Null,
            Some(("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")),
        ),
        ("RestoreSecret", json!({"SecretId": "nope"}), json!({"secretId": "nope"}), Value::Null, NOT_FOUND),
        (
            "PutResourcePolicy",
            json!({
                "SecretId": "db/main", "ResourcePolicy": POLICY, "PolicyName": "default", "BlockPublicPolicy": true
            }),
            json!({
                "secretId": "db/main", "resourcePolicy": POLICY, "policyName": "default", "blockPublicPolicy": true
            }),
            governed.clone(),
            None,
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "db/main", "ResourcePolicy": "{ policy"}),
            json!({"secretId": "db/main", "resourcePolicy": "{ policy"}),
            Value::Null,
            Some(("MalformedPolicyDocumentException", "This resource policy contains a syntax error.")),
        ),
        ("GetResourcePolicy", json!({"SecretId": "db/main"}), json!({"secretId": "db/main"}), Value::Null, None),
        (
            "GetResourcePolicy",
            json!({"SecretId": "db/main", "PolicyName": "other"}),
            json!({"secretId": "db/main", "policyName": "other"}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "ListResourcePolicies",
            json!({"SecretId": "$ARN", "MaxResults": 3}),
            json!({"secretId": "$ARN", "maxResults": 3}),
            Value::Null,
            None,
        ),
        (
            "ListResourcePolicies",
            json!({"SecretId": "db/main", "NextToken": "made up"}),
            json!({"secretId": "db/main"}),
            Value::Null,
            Some(("InvalidNextTokenException", "The NextToken value is invalid.")),
        ),
        (
            "ValidateResourcePolicy",
            json!({"SecretId": "db/main", "ResourcePolicy": "{}"}),
            json!({"secretId": "db/main", "resourcePolicy": "{}"}),
            Value::Null,
            None,
        ),
        (
            "ValidateResourcePolicy",
            json!({"ResourcePolicy": "["}),
            json!({"resourcePolicy": "["}),
            Value::Null,
            Some(("MalformedPolicyDocumentException", "This resource policy contains a syntax error.")),
        ),
        ("DeleteResourcePolicy", json!({"SecretId": "db/main"}), json!({"secretId": "db/main"}), governed, None),
        (
            "DeleteResourcePolicy",
            json!({"SecretId": "db/main", "PolicyName": "other"}),
            json!({"secretId": "db/main", "policyName": "other"}),
            Value::Null,
            Some(("InvalidParameterException", "You can only delete the resource policy with the name default.")),
        ),
        (
            "CreateSecret",
            json!({
                "Name": "db/spread", "ClientRequestToken": TOKEN, "AddReplicaRegions": [{"Region": "us-east-1"}],
                "ForceOverwriteReplicaSecret": false
            }),
            json!({
                "name": "db/spread", "clientRequestToken": TOKEN, "forceOverwriteReplicaSecret": false,
                "addReplicaRegions": [{"region": "us-east-1"}]
            }),
            Value::Null,
            Some(("InvalidParameterException", "Invalid replica region.")),
        ),
        (
            "CreateSecret",
            json!({
                "Name": "db/copy", "ClientRequestToken": TOKEN, "Description": "d", "CrossAccountPrimaryARN": ELSEWHERE
            }),
            json!({
                "name": "db/copy", "clientRequestToken": TOKEN, "description": "d", "crossAccountPrimaryARN": ELSEWHERE
            }),
            Value::Null,
            Some(("InvalidParameterException", "You can't specify Description together with CrossAccountPrimaryARN.")),
        ),
        (
            "ReplicateSecretToRegions",
            json!({
                "SecretId": "db/main", "ForceOverwriteReplicaSecret": true,
                "AddReplicaRegions": [{"Region": "eu-west-1"}, {"Region": "eu-west-2", "KmsKeyId": "alias/mine"}]
            }),
            json!({
                "secretId": "db/main", "forceOverwriteReplicaSecret": true,
                "addReplicaRegions": [{"region": "eu-west-1"}, {"region": "eu-west-2", "kmsKeyId": "alias/mine"}]
            }),
            json!({"arn": "$ARN", "replicationStatus": [
                {"region": "eu-west-1", "kmsKeyId": "alias/aws/secretsmanager", "status": "InSync"},
                {"region": "eu-west-2", "kmsKeyId": "alias/mine", "status": "InSync"},
            ]}),
            None,
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "nope", "AddReplicaRegions": [{"Region": "eu-west-1"}]}),
            json!({"secretId": "nope", "addReplicaRegions": [{"region": "eu-west-1"}]}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "RemoveRegionsFromReplication",
            json!({"SecretId": "$ARN", "RemoveReplicaRegions": ["eu-west-1", "eu-west-2"]}),
            json!({"secretId": "$ARN", "removeReplicaRegions": ["eu-west-1", "eu-west-2"]}),
            json!({"arn": "$ARN", "replicationStatus": []}),
            None,
        ),
        (
            "RemoveRegionsFromReplication",
            json!({"SecretId": "nope", "RemoveReplicaRegions": ["eu-west-1"]}),
            json!({"secretId": "nope", "removeReplicaRegions": ["eu-west-1"]}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "StopReplicationToReplica",
            json!({"SecretId": "db/main"}),
            json!({"secretId": "db/main"}),
            Value::Null,
            Some(("InvalidRequestException", "You can't stop replication to a secret that isn't a replica secret.")),
        ),
        (
            "AssociateCrossAccountReplica",
            json!({
                "SecretId": "db/main", "CrossAccountReplicaARN": ELSEWHERE, "ReplicaRestriction": "NoRestriction",
                "ReplicationRoleARN": "arn:aws:iam::000000000000:role/replicate"
            }),
            json!({
                "secretId": "db/main", "crossAccountReplicaARN": ELSEWHERE, "replicaRestriction": "NoRestriction",
                "replicationRoleARN": "arn:aws:iam::000000000000:role/replicate"
            }),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "DisassociateCrossAccountReplica",
            json!({"SecretId": "db/main", "CrossAccountReplicaARN": ELSEWHERE}),
            json!({"secretId": "db/main", "crossAccountReplicaARN": ELSEWHERE}),
            Value::Null,
            NOT_FOUND,
        ),
        (
            "DeleteSecret",
            json!({"SecretId": "db/main", "ForceDeleteWithoutRecovery": true}),
            json!({"secretId": "db/main", "forceDeleteWithoutRecovery": true}),
            json!({"arn": "$ARN", "name": "db/main", "deletionDate": "2023-11-14T22:13:20Z"}),
            None,
        ),
    ]
}

#[test]
fn every_operation_leaves_one_record_of_what_was_asked_and_how_it_ended() {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    let reads = [
        "BatchGetSecretValue",
        "DescribeSecret",
        "GetRandomPassword",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListResourcePolicies",
        "ListSecretVersionIds",
        "ListSecrets",
        "ValidateResourcePolicy",
    ];
    let (mut arn, mut ids) = (String::new(), BTreeSet::new());
    let rows = rows();
    for (operation, body, parameters, elements, error) in &rows {
        let with_arn = |value: &Value| serde_json::from_str::<Value>(&value.to_string().replace("$ARN", &arn)).unwrap();
        let (status, answer) = call(&secrets, operation, &with_arn(body).to_string());
        let what = format!("{operation} {body}: {answer}");
        assert_eq!(status == 200, error.is_none(), "{what}");
        if arn.is_empty() {
            arn = answer["ARN"].as_str().unwrap().to_owned();
        }
        let with_arn = |value: &Value| serde_json::from_str::<Value>(&value.to_string().replace("$ARN", &arn)).unwrap();
        let record = seen.one();
        assert!(ids.insert(record.event_id), "{what}: an id came twice");
        let mut expected = json!({
            "eventVersion": "1.08",
            "eventTime": "2023-11-14T22:13:20Z",
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": operation,
            "awsRegion": "us-east-1",
            "requestParameters": with_arn(parameters),
            "responseElements": with_arn(elements),
            "eventID": record.event_id.to_string(),
            "readOnly": reads.contains(operation),
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": "000000000000",
            "eventCategory": "Management",
        });
        if let Some((code, text)) = error {
            expected["errorCode"] = json!(code);
            expected["errorMessage"] = json!(text);
        }
        assert_eq!(serde_json::to_value(&record).unwrap(), expected, "{what}");
        assert_eq!((record.error_code, record.error_message.as_deref()), error.unzip(), "{what}");
        // Members of a record are in the order of the API, which a map of JSON does not show.
        if let (Some(asked), "CreateSecret") = (parameters.as_object(), *operation) {
            assert_eq!(record.request_parameters.len(), asked.len());
            assert_eq!(record.request_parameters[0].0, "name");
            assert_eq!(record.request_parameters[1].0, "clientRequestToken");
        }
    }
    let tried: BTreeSet<&str> = rows.iter().map(|(operation, ..)| *operation).collect();
    for operation in operations() {
        assert!(tried.contains(operation.as_str()), "{operation} has no row");
    }
    eprintln!("{} calls of {} operations, one record each", rows.len(), tried.len());
}

/// Also of an operation that is added later, and of calls that fail before anything is looked at.
#[test]
fn an_operation_that_is_refused_for_its_form_leaves_a_record() {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    for operation in operations() {
        let (status, _) = call(&secrets, &operation, "{}");
        let seen = seen.take();
        assert_eq!(seen.len(), 1, "{operation}");
        assert_eq!(seen[0].event_name, operation);
        assert_eq!(seen[0].error_code.is_some(), status != 200, "{operation}");
        assert!(seen[0].request_parameters.is_empty(), "{operation}");
    }
}

#[test]
fn what_is_no_call_of_the_engine_leaves_no_record() {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    for (operation, body) in [("Nonsense", "{}"), ("CreateSecret", "["), ("CreateSecret", r#"{"Name": 7}"#)] {
        assert_eq!(call(&secrets, operation, body).0, 400);
        assert!(seen.take().is_empty(), "{operation} {body}");
    }
}

#[test]
fn a_record_names_account_region_and_the_request_of_the_host() {
    let seen = Seen::default();
    let (store, _) = observed_by(seen.clone());
    let frankfurt = store.secrets_manager("123456789012", "eu-central-1").unwrap();
    call(&frankfurt.with_request_id("request 7"), "ListSecrets", "{}");
    let record = seen.one();
    assert_eq!((record.recipient_account_id.as_str(), record.aws_region.as_str()), ("123456789012", "eu-central-1"));
    assert_eq!(record.request_id.as_deref(), Some("request 7"));
    assert_eq!(serde_json::to_value(&record).unwrap()["requestID"], "request 7");
    call(&frankfurt, "ListSecrets", "{}");
    assert_eq!(seen.one().request_id, None);
}

#[test]
fn a_request_of_any_size_leaves_a_record_of_bounded_size_that_says_so() {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    let long = "x".repeat(3_000_000);
    let many: Vec<String> = (0..200_000).map(|number| format!("s{number}")).collect();
    let tags: Vec<Value> =
        (0..50_000).map(|number| json!({"Key": format!("k{number}"), "Value": "\u{1}".repeat(20)})).collect();
    let rows = [
        ("DescribeSecret", json!({"SecretId": long})),
        ("CreateSecret", json!({"Name": "a", "Description": long, "KmsKeyId": long})),
        ("BatchGetSecretValue", json!({"SecretIdList": many})),
        ("TagResource", json!({"SecretId": "a", "Tags": tags})),
        ("UntagResource", json!({"SecretId": "a", "TagKeys": many})),
        ("ListSecrets", json!({"Filters": [{"Key": long, "Values": many}]})),
        ("GetRandomPassword", json!({"ExcludeCharacters": long})),
        ("PutResourcePolicy", json!({"SecretId": "a", "ResourcePolicy": long})),
    ];
    for (operation, body) in rows {
        call(&secrets, operation, &body.to_string());
        let record = seen.one();
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["additionalEventData"], json!({"truncated": true}), "{operation}");
        assert!(json.to_string().len() < 2 * 1024 * 1024, "{operation}: {}", json.to_string().len());
    }
    // The largest that is not refused is told whole.
    let value = "x".repeat(512);
    let filter = json!({"Key": "all", "Values": vec![value; 10]});
    assert_eq!(call(&secrets, "ListSecrets", &json!({"Filters": vec![filter; 10]}).to_string()).0, 200);
    assert!(seen.one().additional_event_data.is_empty());
}
