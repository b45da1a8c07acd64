//! Condition keys of the service and of the request, as operations present them.

use std::net::IpAddr;

use chrono::TimeDelta;
use strongroom::wire::dispatch;
use strongroom::{Caller, CreateSecretRequest, Tag};

use crate::people::{OWN, caller, own, store, user};

/// Operation, body, operator, key, the value of the policy, and whether the request has it.
const ROWS: [(&str, &str, &str, &str, &str, bool); 62] = [
    (
        "GetSecretValue",
        r#"{"SecretId": "db"}"#,
        "ArnLike",
        "secretsmanager:SecretId",
        "arn:aws:secretsmanager:*:*:secret:db-??????",
        true,
    ),
    (
        "GetSecretValue",
        r#"{"SecretId": "db"}"#,
        "ArnLike",
        "SECRETSMANAGER:secretid",
        "arn:aws:secretsmanager:*:*:secret:other-??????",
        false,
    ),
    ("GetSecretValue", r#"{"SecretId": "db"}"#, "StringEquals", "secretsmanager:VersionStage", "AWSCURRENT", false),
    (
        "GetSecretValue",
        r#"{"SecretId": "db", "VersionStage": "AWSCURRENT"}"#,
        "StringEquals",
        "secretsmanager:VersionStage",
        "AWSCURRENT",
        true,
    ),
    (
        "GetSecretValue",
        r#"{"SecretId": "db", "VersionStage": "AWSPREVIOUS"}"#,
        "StringEquals",
        "secretsmanager:VersionStage",
        "AWSCURRENT",
        false,
    ),
    (
        "GetSecretValue",
        r#"{"SecretId": "db", "VersionId": "11111111111111111111111111111111"}"#,
        "StringEquals",
        "secretsmanager:VersionId",
        "11111111111111111111111111111111",
        true,
    ),
    ("GetSecretValue", r#"{"SecretId": "db"}"#, "Null", "secretsmanager:VersionId", "true", true),
    (
        "UpdateSecretVersionStage",
        r#"{"SecretId": "db", "VersionStage": "X", "MoveToVersionId": "11111111111111111111111111111111"}"#,
        "StringEquals",
        "secretsmanager:VersionStage",
        "X",
        true,
    ),
    (
        "DeleteSecret",
        r#"{"SecretId": "db", "ForceDeleteWithoutRecovery": true}"#,
        "Bool",
        "secretsmanager:ForceDeleteWithoutRecovery",
        "true",
        true,
    ),
    ("DeleteSecret", r#"{"SecretId": "db"}"#, "Bool", "secretsmanager:ForceDeleteWithoutRecovery", "true", false),
    ("DeleteSecret", r#"{"SecretId": "db"}"#, "Null", "secretsmanager:ForceDeleteWithoutRecovery", "true", true),
    (
        "DeleteSecret",
        r#"{"SecretId": "db", "RecoveryWindowInDays": 10}"#,
        "NumericGreaterThanEquals",
        "secretsmanager:RecoveryWindowInDays",
        "10",
        true,
    ),
    (
        "DeleteSecret",
        r#"{"SecretId": "db", "RecoveryWindowInDays": 9}"#,
        "NumericGreaterThanEquals",
        "secretsmanager:RecoveryWindowInDays",
        "10",
        false,
    ),
    (
        "DeleteSecret",
        r#"{"SecretId": "db"}"#,
        "NumericGreaterThanEquals",
        "secretsmanager:RecoveryWindowInDays",
        "7",
        false,
    ),
    (
        "CreateSecret",
        r#"{"Name": "new", "KmsKeyId": "alias/x"}"#,
        "StringEquals",
        "secretsmanager:KmsKeyId",
        "alias/x",
        true,
    ),
    ("CreateSecret", r#"{"Name": "new"}"#, "Null", "secretsmanager:KmsKeyId", "true", true),
    (
        "UpdateSecret",
        r#"{"SecretId": "db", "KmsKeyId": "alias/x"}"#,
        "StringNotEquals",
        "secretsmanager:KmsKeyId",
        "alias/x",
        false,
    ),
    ("CreateSecret", r#"{"Name": "team/new"}"#, "StringLike", "secretsmanager:Name", "team/*", true),
    ("CreateSecret", r#"{"Name": "new"}"#, "StringLike", "secretsmanager:Name", "team/*", false),
    (
        "CreateSecret",
        r#"{"Name": "new", "Description": "for the app"}"#,
        "StringLike",
        "secretsmanager:Description",
        "for *",
        true,
    ),
    (
        "UpdateSecret",
        r#"{"SecretId": "db", "Description": "for the app"}"#,
        "StringLike",
        "secretsmanager:Description",
        "for *",
        true,
    ),
    ("UpdateSecret", r#"{"SecretId": "db", "SecretString": "v"}"#, "Null", "secretsmanager:Description", "true", true),
    ("CreateSecret", r#"{"Name": "new", "Type": "Partner"}"#, "StringEquals", "secretsmanager:Type", "Partner", true),
    (
        "PutResourcePolicy",
        r#"{"SecretId": "db", "ResourcePolicy": "{}", "BlockPublicPolicy": true}"#,
        "Bool",
        "secretsmanager:BlockPublicPolicy",
        "true",
        true,
    ),
    (
        "PutResourcePolicy",
        r#"{"SecretId": "db", "ResourcePolicy": "{}"}"#,
        "Bool",
        "secretsmanager:BlockPublicPolicy",
        "true",
        false,
    ),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "secretsmanager:ResourceTag/Team", "red", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:ResourceTag/team", "red", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:ResourceTag/Team", "blue", false),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "Null", "aws:ResourceTag/Other", "true", true),
    (
        "DescribeSecret",
        r#"{"SecretId": "db"}"#,
        "StringEquals",
        "aws:ResourceTag/Team",
        "${aws:PrincipalTag/Team}",
        true,
    ),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:PrincipalTag/team", "red", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:PrincipalTag/team", "blue", false),
    (
        "TagResource",
        r#"{"SecretId": "db", "Tags": [{"Key": "Cost", "Value": "7"}]}"#,
        "StringEquals",
        "aws:RequestTag/cost",
        "7",
        true,
    ),
    (
        "TagResource",
        r#"{"SecretId": "db", "Tags": [{"Key": "Cost", "Value": "7"}]}"#,
        "ForAllValues:StringEquals",
        "aws:TagKeys",
        "Cost",
        true,
    ),
    (
        "TagResource",
        r#"{"SecretId": "db", "Tags": [{"Key": "Cost", "Value": "7"}, {"Key": "X", "Value": ""}]}"#,
        "ForAllValues:StringEquals",
        "aws:TagKeys",
        "Cost",
        false,
    ),
    (
        "TagResource",
        r#"{"SecretId": "db", "Tags": [{"Key": "Cost", "Value": "7"}, {"Key": "X", "Value": ""}]}"#,
        "ForAnyValue:StringEquals",
        "aws:TagKeys",
        "Cost",
        true,
    ),
    (
        "UntagResource",
        r#"{"SecretId": "db", "TagKeys": ["Cost"]}"#,
        "ForAnyValue:StringEquals",
        "aws:TagKeys",
        "Cost",
        true,
    ),
    ("UntagResource", r#"{"SecretId": "db", "TagKeys": ["Cost"]}"#, "Null", "aws:RequestTag/Cost", "true", true),
    (
        "CreateSecret",
        r#"{"Name": "new", "Tags": [{"Key": "Cost", "Value": "7"}]}"#,
        "StringEquals",
        "aws:RequestTag/Cost",
        "7",
        true,
    ),
    ("CreateSecret", r#"{"Name": "new"}"#, "Null", "aws:RequestTag/Cost", "true", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "DateGreaterThan", "aws:CurrentTime", "2026-03-01T11:59:59Z", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "DateGreaterThan", "aws:CurrentTime", "2026-03-01T12:00:01Z", false),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "NumericEquals", "aws:EpochTime", "1772366400", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "DateEquals", "aws:EpochTime", "2026-03-01T12:00:00Z", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:RequestedRegion", "us-east-1", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:ResourceAccount", "111122223333", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:PrincipalAccount", "111122223333", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/staff/*", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:PrincipalType", "User", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "Bool", "aws:PrincipalIsAWSService", "false", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:username", "alice", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:userid", "AIDACKCEVSQ6C2EXAMPLE", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "IpAddress", "aws:SourceIp", "203.0.113.0/24", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "NotIpAddress", "aws:SourceIp", "203.0.113.0/24", false),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:SourceVpc", "vpc-1", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "StringEquals", "aws:SourceVpce", "vpce-1", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "Bool", "aws:SecureTransport", "true", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "NumericLessThan", "aws:MultiFactorAuthAge", "3600", true),
    ("DescribeSecret", r#"{"SecretId": "db"}"#, "Null", "secretsmanager:resource/AllowRotationLambdaArn", "true", true),
    (
        "RotateSecret",
        r#"{"SecretId": "db", "RotationLambdaARN": "arn:aws:lambda:us-east-1:111122223333:function:f"}"#,
        "ArnEquals",
        "secretsmanager:RotationLambdaARN",
        "arn:aws:lambda:us-east-1:111122223333:function:f",
        true,
    ),
    (
        "RotateSecret",
        r#"{"SecretId": "db", "RotateImmediately": false}"#,
        "Bool",
        "secretsmanager:RotateImmediately",
        "false",
        true,
    ),
];

/// Everything that is known of Alice.
fn alice(statements: &[&str]) -> Caller {
    caller(user(OWN, "staff/alice"), statements)
        .tags([Tag::new("Team", "red")])
        .source_ip("203.0.113.9".parse::<IpAddr>().unwrap())
        .source_vpc("vpc-1")
        .source_vpce("vpce-1")
        .secure_transport(true)
        .organization("o-a1b2c3d4e5")
        .user_id("AIDACKCEVSQ6C2EXAMPLE")
        .context_key("aws:MultiFactorAuthAge", "120")
        // What follows from the request cannot be set.
        .context_key("aws:RequestTag/Cost", "8")
        .context_key("secretsmanager:VersionStage", "AWSCURRENT")
        .context_key("aws:CurrentTime", "1999-01-01")
}

#[test]
fn conditions_see_what_the_request_says() {
    for (operation, body, operator, key, value, is_allowed) in ROWS {
        let (store, _) = store();
        let secrets = own(&store);
        let request = CreateSecretRequest::new("db").secret_string("v").tags([Tag::new("Team", "red")]);
        secrets.create_secret(request).unwrap();
        let conditional = format!(
            r#"{{"Effect": "Allow", "Action": "secretsmanager:{operation}", "Resource": "*",
                 "Condition": {{"{operator}": {{"{key}": "{value}"}}}}}}"#
        );
        // What they also need.
        let tag = r#"{"Effect": "Allow", "Action": ["secretsmanager:TagResource", "lambda:InvokeFunction"], "Resource": "*"}"#;
        let statements: &[&str] =
            if matches!(operation, "CreateSecret" | "RotateSecret") { &[&conditional, tag] } else { &[&conditional] };
        let answer =
            dispatch(&secrets.as_caller(alice(statements)), &format!("secretsmanager.{operation}"), body.as_bytes());
        assert_eq!(!crate::people::is_refusal(&answer), is_allowed, "{operation} {body} {operator} {key} {value}");
    }
}

#[test]
fn time_is_that_of_the_stores_clock() {
    let (store, clock) = store();
    let secrets = own(&store);
    crate::people::create(&secrets, "db");
    let until = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
                    "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-03-01T13:00:00Z"}}}"#;
    let alice = secrets.as_caller(alice(&[until]));
    assert!(crate::people::read(&alice, "db").is_ok());
    clock.advance(TimeDelta::hours(1));
    assert!(crate::people::is_denied(&crate::people::read(&alice, "db")));
}

#[test]
fn a_condition_can_be_about_the_function_that_rotates_a_secret() {
    use strongroom::testing::ManualClock;
    use strongroom::{RotateSecretRequest, RotationCall, RotationError, RotationFunction, SecretStore, StaticKey};
    #[derive(Debug)]
    struct Nothing;
    impl RotationFunction for Nothing {
        fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
            Ok(())
        }
    }
    let store = SecretStore::in_memory()
        .key_provider(StaticKey::new([7; 32]))
        .clock(ManualClock::new(crate::people::NOON.parse().unwrap()))
        .rotation_function("arn:*", Nothing)
        .open()
        .unwrap();
    let secrets = own(&store);
    crate::people::create(&secrets, "db");
    let function = format!("arn:aws:lambda:us-east-1:{OWN}:function:rotate-db");
    let condition = format!(
        r#"{{"Effect": "Allow", "Action": "*", "Resource": "*",
             "Condition": {{"ArnEquals": {{"secretsmanager:resource/AllowRotationLambdaArn": "{function}"}}}}}}"#
    );
    let alice = || secrets.as_caller(alice(&[&condition]));
    assert!(crate::people::is_denied(&crate::people::read(&alice(), "db")));
    secrets.rotate_secret(RotateSecretRequest::new("db").rotation_lambda_arn(function.as_str())).unwrap();
    assert!(crate::people::read(&alice(), "db").is_ok());
}
