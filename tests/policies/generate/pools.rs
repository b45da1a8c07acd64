//! The names and values that generated policies and requests are made of.

/// The account that has the secrets.
pub(crate) const OWNER: &str = "111122223333";
pub(crate) const PARTNER: &str = "444455556666";

pub(crate) const CANONICAL: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Texts,
    Number,
    Date,
    Truth,
    Address,
    Arn,
    Bytes,
}

pub(crate) const KEYS: [(&str, Kind, &[&str]); 23] = [
    ("aws:PrincipalTag/team", Kind::Text, &["red", "Red", "blue", "r*", "straße", "É", "é", "é", "main"]),
    (
        "secretsmanager:Name",
        Kind::Text,
        &["alice/db", "bob/db", "app/main", "${aws:username}", "cost$5", "a*b", "axb", "é1"],
    ),
    ("secretsmanager:VersionStage", Kind::Text, &["AWSCURRENT", "AWSPREVIOUS", "awscurrent"]),
    ("aws:SourceVpc", Kind::Text, &["vpc-1a", "vpc-2b"]),
    ("aws:SourceAccount", Kind::Text, &[OWNER, PARTNER]),
    ("aws:PrincipalOrgID", Kind::Text, &["o-aaaaaaaaaa", "o-bbbbbbbbbb"]),
    ("aws:userid", Kind::Text, &["AIDAALICE", "AROADEPLOY:s1"]),
    ("aws:username", Kind::Text, &["alice", "bob", "deploy"]),
    ("aws:PrincipalAccount", Kind::Text, &[OWNER, PARTNER]),
    ("aws:PrincipalType", Kind::Text, &["User", "AssumedRole", "Account", "Anonymous"]),
    ("aws:TagKeys", Kind::Texts, &["team", "stage", "cost", "Team"]),
    ("secretsmanager:AddReplicaRegions", Kind::Texts, &["us-east-1", "eu-west-1", "eu-north-1"]),
    ("secretsmanager:RecoveryWindowInDays", Kind::Number, &["7", "10", "30", "10.0", "1e1", "-1", "7.5"]),
    ("s3:max-keys", Kind::Number, &["7", "10", "30", "10.0"]),
    ("aws:CurrentTime", Kind::Date, &DATES),
    ("aws:TokenIssueTime", Kind::Date, &DATES),
    ("aws:SecureTransport", Kind::Truth, &["true", "false"]),
    ("aws:MultiFactorAuthPresent", Kind::Truth, &["true", "false"]),
    ("aws:SourceIp", Kind::Address, &["203.0.113.7", "203.0.114.7", "198.51.100.1", "2001:db8:1::7", "2001:db8:2::7"]),
    ("aws:VpcSourceIp", Kind::Address, &["10.1.2.3", "10.2.2.3"]),
    ("aws:SourceArn", Kind::Arn, &ARNS),
    ("aws:PrincipalArn", Kind::Arn, &ARNS),
    ("kms:Blob", Kind::Bytes, &["QUJD", "qujd", "AAEC", "YQ=="]),
];

/// Five instants; those that stand together are the same.
pub(crate) const DATES: [&str; 12] = [
    "2020-01-01T00:00:00Z",
    "1577836800",
    "2020-01-01",
    "2020-01-01T00:00Z",
    "2020-01-01T02:00:00+02:00",
    "1577836800.0",
    "2020-07-01T12:00:00Z",
    "1593604800",
    "2020-07-01T12:00:00.5Z",
    "2021-03-04T05:06:07Z",
    "1614834367",
    "2019-12-31T23:59:59Z",
];

/// The same instant in the form that everybody reads.
pub(crate) fn plain_date(text: &str) -> &str {
    match text {
        "1577836800" | "2020-01-01" | "2020-01-01T00:00Z" | "2020-01-01T02:00:00+02:00" | "1577836800.0" => DATES[0],
        "1593604800" => DATES[6],
        "1614834367" => DATES[9],
        other => other,
    }
}

pub(crate) const ARNS: [&str; 6] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:role/deploy",
    "arn:aws:iam::444455556666:user/alice",
    "arn:aws:sns:us-east-1:111122223333:topic:a:b",
    "arn:aws:s3:::bucket",
    "arn:aws:lambda:us-east-1:111122223333:function:rotate",
];

pub(crate) const ARN_PATTERNS: [&str; 10] = [
    "*",
    "arn:aws:iam::111122223333:*",
    "arn:aws:iam::*:user/${aws:username}",
    "arn:aws:iam::*:role/deploy",
    "arn:aws:*:*:*:b",
    "arn:aws:sns:*:*:b",
    "arn:*:*:*:*:topic:*",
    "arn:aws:s*:*:*:b?????",
    "arn:aws:*:us-east-1:*:rotate",
    "arn:aws:iam::????22223333:user/*",
];

pub(crate) const TEXT_PATTERNS: [&str; 11] = [
    "*",
    "r*",
    "?ed",
    "?",
    "?1",
    "${aws:username}/*",
    "${aws:PrincipalTag/team, 'app'}/*",
    "a${*}b",
    "cost${$}5",
    "AWS*",
    "${aws:userid}",
];

pub(crate) const NAME_PATTERNS: [&str; 6] =
    ["${aws:username}/*", "${aws:username}/*", "${aws:PrincipalTag/team, 'app'}/*", "a${*}b", "cost${$}5", "?1"];

pub(crate) const BLOCKS: [&str; 8] = [
    "203.0.113.0/24",
    "203.0.113.9/24",
    "203.0.0.0/16",
    "198.51.100.1",
    "0.0.0.0/0",
    "2001:db8:1::/48",
    "2001:db8::/32",
    "10.1.0.0/16",
];

pub(crate) const RESOURCES: [&str; 8] = [
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:alice/db-a1b2c3",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/main-d4e5f6",
    "arn:aws:secretsmanager:eu-west-1:111122223333:secret:oddxname-d4e5f6",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:odd*name-a1b2c3",
    "arn:aws:secretsmanager:us-east-1:444455556666:secret:alice/db-a1b2c3",
    "arn:aws:s3:::bucket/alice/photo.png",
    "arn:aws:s3:::bucket/é",
    "*",
];

pub(crate) const RESOURCE_PATTERNS: [&str; 14] = [
    "*",
    "*",
    "arn:aws:secretsmanager:*:111122223333:secret:*",
    "arn:aws:secretsmanager:*:*:secret:*",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/*",
    "arn:aws:secretsmanager:us-east-1:*:secret:${aws:username}/*",
    "arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team, 'app'}/*",
    "arn:aws:secretsmanager:us-east-1:111122223333:secret:*-??????",
    "arn:aws:secretsmanager:us-*-1:11112222????:secret:odd${*}name-*",
    "arn:aws:secretsmanager:*:secret:alice/db-a1b2c3:x",
    "arn:aws:s3:::bucket/*",
    "arn:aws:s3:::bucket/?",
    "arn:aws:s3:::bucket/${aws:username}/*",
    "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*",
];

pub(crate) const ACTIONS: [&str; 6] = [
    "secretsmanager:GetSecretValue",
    "secretsmanager:DescribeSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:ListSecrets",
    "s3:GetObject",
    "s3:PutObject",
];

pub(crate) const ACTION_PATTERNS: [&str; 9] = [
    "*",
    "*",
    "secretsmanager:*",
    "secretsmanager:Get*",
    "SecretsManager:*SECRETVALUE",
    "secretsmanager:*Secret*",
    "s3:?etObject",
    "s3:*",
    "secretsmanager:GetSecretValue",
];

pub(crate) const PEOPLE: [&str; 13] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/division/bob",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:role/deploy",
    "arn:aws:iam::111122223333:role/ci/build",
    "arn:aws:sts::111122223333:assumed-role/deploy/s1",
    "arn:aws:sts::111122223333:assumed-role/build/s2",
    "arn:aws:sts::111122223333:federated-user/fred",
    "arn:aws:iam::444455556666:user/alice",
    "arn:aws:iam::444455556666:root",
    "arn:aws:iam::444455556666:role/deploy",
    "arn:aws:sts::444455556666:assumed-role/deploy/s1",
    "arn:aws:iam::777788889999:user/eve",
];

pub(crate) const OTHERS: [(&str, &str); 9] = [
    ("Service", "lambda.amazonaws.com"),
    ("Service", "cloudtrail.amazonaws.com"),
    ("Federated", "arn:aws:iam::111122223333:saml-provider/corp"),
    ("Federated", "arn:aws:iam::111122223333:saml-provider/corp2"),
    ("Federated", "arn:aws:iam::111122223333:saml-provider/corp"),
    ("Federated", "arn:aws:iam::111122223333:saml-provider/corp2"),
    ("Federated", "accounts.google.com"),
    ("CanonicalUser", CANONICAL),
    ("", ""),
];
