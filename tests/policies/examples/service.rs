//! The examples of the guide of Secrets Manager.

use strongroom::Decision::{Allow, ExplicitDeny, ImplicitDeny};

use super::{
    ALICE, ALLOW_ALL, ANONYMOUS, Ask, BOB, DESCRIBE, Example, GET, PARTNER_ALICE, PARTNER_SESSION, SECRET, SESSION,
    STRANGER,
};

const PAGE: &str = "Secrets Manager auth-and-access_examples.html";
const RESOURCE: &str = "Secrets Manager auth-and-access_resource-policies.html";
const CROSS: &str = "Secrets Manager auth-and-access_examples_cross.html";
const PRACTICES: &str = "Secrets Manager best-practices.html";
const REFERENCE: &str = "Secrets Manager reference_iam-permissions.html";

const OTHER: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:api/key-d4e5f6";

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: PAGE,
        says: "One secret may be read by an identity",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3"}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, OTHER, &[], ImplicitDeny),
            Ask(ALICE, DESCRIBE, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "One secret may be read by a role, by the secret's own policy",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:role/deploy"},
                "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}"#,
        ),
        asks: &[
            Ask(SESSION, GET, SECRET, &[], Allow),
            Ask(SESSION, DESCRIBE, SECRET, &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(PARTNER_SESSION, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Names with six ? behind the hyphen: the secret whatever its suffix, and none whose name goes on",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-??????"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-zzzzzz", &[], Allow),
            Ask(ALICE, GET, "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-2-a1b2c3", &[], ImplicitDeny),
            Ask(ALICE, GET, "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main", &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A group of secrets by the beginning of their names",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/*"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, OTHER, &[], ImplicitDeny),
            Ask(ALICE, GET, "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db/main-a1b2c3", &[], ImplicitDeny),
            Ask(ALICE, GET, "arn:aws:secretsmanager:us-east-1:444455556666:secret:db/main-a1b2c3", &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Several secrets in one batch: listing is about no secret, reading about each",
        identity: &[r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action":
                ["secretsmanager:BatchGetSecretValue",
            "secretsmanager:ListSecrets"], "Resource": "*"}, {"Effect": "Allow", "Action":
            "secretsmanager:GetSecretValue",
            "Resource": ["arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3"]}]}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "secretsmanager:BatchGetSecretValue", "*", &[], Allow),
            Ask(ALICE, "secretsmanager:ListSecrets", "*", &[], Allow),
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, OTHER, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Creating is about no secret that is there yet",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:CreateSecret",
                "Resource": "*"}}"#,
        ],
        resource: None,
        asks: &[Ask(ALICE, "secretsmanager:CreateSecret", "*", &[], Allow), Ask(ALICE, GET, SECRET, &[], ImplicitDeny)],
    },
    Example {
        page: PAGE,
        says: "One action is denied on some secrets, and the rest allowed",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:ListSecrets",
            "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], "Resource": "*"}, {"Effect": "Deny",
            "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:*:*:secret:api/*"}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, OTHER, &[], ExplicitDeny),
            Ask(ALICE, DESCRIBE, OTHER, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: PAGE,
        says: "Secrets with a tag",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:DescribeSecret",
            "Resource": "arn:aws:secretsmanager:*:111122223333:secret:*", "Condition": {"StringEquals":
            {"secretsmanager:ResourceTag/ServerName": "ServerABC"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, DESCRIBE, SECRET, &[("secretsmanager:ResourceTag/ServerName", &["ServerABC"])], Allow),
            Ask(ALICE, DESCRIBE, SECRET, &[("secretsmanager:ResourceTag/ServerName", &["ServerXYZ"])], ImplicitDeny),
            Ask(ALICE, DESCRIBE, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Principal and secret have the same tag",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:role/deploy"},
                "Condition": {"StringEquals": {"aws:ResourceTag/AccessProject": "${aws:PrincipalTag/AccessProject}"}},
                "Action": "secretsmanager:GetSecretValue", "Resource": "*"}}"#,
        ),
        asks: &[
            Ask(
                SESSION,
                GET,
                SECRET,
                &[("aws:ResourceTag/AccessProject", &["a"]), ("aws:PrincipalTag/AccessProject", &["a"])],
                Allow,
            ),
            Ask(
                SESSION,
                GET,
                SECRET,
                &[("aws:ResourceTag/AccessProject", &["a"]), ("aws:PrincipalTag/AccessProject", &["b"])],
                ImplicitDeny,
            ),
            Ask(SESSION, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PRACTICES,
        says: "Denied unless it comes through an endpoint of a VPC",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Id": "example-policy-1", "Statement": [{"Sid":
                "RestrictGetSecretValueoperation", "Effect":
                "Deny", "Principal": "*", "Action": ["secretsmanager:GetSecretValue"], "Resource": ["*"], "Condition":
                {"StringNotEquals": {"aws:sourceVpce": "vpce-1234a5678b9012c"}}}]}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:SourceVpce", &["vpce-1234a5678b9012c"])], Allow),
            Ask(ALICE, GET, SECRET, &[("aws:SourceVpce", &["vpce-other"])], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, DESCRIBE, SECRET, &[], Allow),
        ],
    },
    Example {
        page: PRACTICES,
        says: "Allowed from a VPC; statements about other actions do not matter",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:user/alice"},
                "Action": ["secretsmanager:GetSecretValue"], "Resource": ["*"], "Condition": {"StringEquals":
                {"aws:sourceVpc":
                "vpc-12345678"}}}, {"Effect": "Deny", "Principal": "*", "Action": ["secretsmanager:PutSecretValue"],
                "Resource": ["*"],
                "Condition": {"StringNotEquals": {"aws:sourceVpc": "vpc-12345678"}}}]}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:SourceVpc", &["vpc-12345678"])], Allow),
            Ask(ALICE, GET, SECRET, &[("aws:SourceVpc", &["vpc-87654321"])], ImplicitDeny),
            Ask(ALICE, "secretsmanager:PutSecretValue", SECRET, &[("aws:SourceVpc", &["vpc-87654321"])], ExplicitDeny),
        ],
    },
    Example {
        page: PRACTICES,
        says: "Denied from other addresses, unless a service calls",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action":
                "secretsmanager:*", "Resource": "*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "BoolIfExists": {"aws:ViaAWSService": "false"}}}}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:SourceIp", &["203.0.113.7"])], Allow),
            Ask(ALICE, GET, SECRET, &[("aws:SourceIp", &["198.51.100.7"])], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[("aws:ViaAWSService", &["true"])], Allow),
        ],
    },
    Example {
        page: RESOURCE,
        says: "A user of the own account, and nobody else",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:user/alice"},
                "Action": "secretsmanager:*", "Resource": "*"}]}"#,
        ),
        asks: &[
            Ask(ALICE, "secretsmanager:DeleteSecret", SECRET, &[], Allow),
            Ask(BOB, "secretsmanager:DeleteSecret", SECRET, &[], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: CROSS,
        says: "Across accounts: policies of the secret and of the identity",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3"}, {"Effect": "Allow",
            "Action":
            "kms:Decrypt", "Resource": "arn:aws:kms:us-east-1:111122223333:key/EncryptionKey"}]}"#,
        ],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::444455556666:role/deploy"},
                "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}"#,
        ),
        asks: &[
            Ask(PARTNER_SESSION, GET, SECRET, &[], Allow),
            Ask(PARTNER_SESSION, DESCRIBE, SECRET, &[], ImplicitDeny),
            Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(STRANGER, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A service, only for its own account and resource",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service":
                ["appflow.amazonaws.com"]},
                "Action": "secretsmanager:GetSecretValue", "Resource": "*", "Condition": {"ArnLike": {"aws:sourceArn":
                "arn:aws:appflow:us-east-1:111122223333:*"}, "StringEquals": {"aws:sourceAccount": "111122223333"}}}]}"#,
        ),
        asks: &[
            Ask(
                "service appflow.amazonaws.com",
                GET,
                SECRET,
                &[
                    ("aws:SourceArn", &["arn:aws:appflow:us-east-1:111122223333:flow/f"]),
                    ("aws:SourceAccount", &["111122223333"]),
                ],
                Allow,
            ),
            Ask(
                "service appflow.amazonaws.com",
                GET,
                SECRET,
                &[
                    ("aws:SourceArn", &["arn:aws:appflow:us-east-1:777788889999:flow/f"]),
                    ("aws:SourceAccount", &["777788889999"]),
                ],
                ImplicitDeny,
            ),
            Ask("service appflow.amazonaws.com", GET, SECRET, &[], ImplicitDeny),
            Ask("service lambda.amazonaws.com", GET, SECRET, &[("aws:SourceAccount", &["111122223333"])], ImplicitDeny),
        ],
    },
    Example {
        page: REFERENCE,
        says: "secretsmanager:VersionStage: only the current version",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": "*", "Condition": {"ForAnyValue:StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[("secretsmanager:VersionStage", &["AWSCURRENT"])], Allow),
            Ask(ALICE, GET, SECRET, &[("secretsmanager:VersionStage", &["AWSPREVIOUS"])], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: REFERENCE,
        says: "secretsmanager:BlockPublicPolicy, Name, RecoveryWindowInDays and ForceDeleteWithoutRecovery",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "secretsmanager:PutResourcePolicy",
            "Resource": "*", "Condition": {"Bool": {"secretsmanager:BlockPublicPolicy": "true"}}}, {"Effect":
            "Allow", "Action":
            "secretsmanager:CreateSecret", "Resource": "*", "Condition": {"StringLike": {"secretsmanager:Name":
            "team-a/*"}}},
            {"Effect": "Allow", "Action": "secretsmanager:DeleteSecret", "Resource": "*", "Condition":
            {"NumericGreaterThanEquals":
            {"secretsmanager:RecoveryWindowInDays": "14"}, "BoolIfExists": {"secretsmanager:ForceDeleteWithoutRecovery": "false"}}}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(
                ALICE,
                "secretsmanager:PutResourcePolicy",
                SECRET,
                &[("secretsmanager:BlockPublicPolicy", &["true"])],
                Allow,
            ),
            Ask(
                ALICE,
                "secretsmanager:PutResourcePolicy",
                SECRET,
                &[("secretsmanager:BlockPublicPolicy", &["false"])],
                ImplicitDeny,
            ),
            Ask(ALICE, "secretsmanager:PutResourcePolicy", SECRET, &[], ImplicitDeny),
            Ask(ALICE, "secretsmanager:CreateSecret", "*", &[("secretsmanager:Name", &["team-a/db"])], Allow),
            Ask(ALICE, "secretsmanager:CreateSecret", "*", &[("secretsmanager:Name", &["team-b/db"])], ImplicitDeny),
            Ask(
                ALICE,
                "secretsmanager:DeleteSecret",
                SECRET,
                &[("secretsmanager:RecoveryWindowInDays", &["30"])],
                Allow,
            ),
            Ask(
                ALICE,
                "secretsmanager:DeleteSecret",
                SECRET,
                &[("secretsmanager:RecoveryWindowInDays", &["7"])],
                ImplicitDeny,
            ),
            Ask(
                ALICE,
                "secretsmanager:DeleteSecret",
                SECRET,
                &[
                    ("secretsmanager:RecoveryWindowInDays", &["30"]),
                    ("secretsmanager:ForceDeleteWithoutRecovery", &["true"]),
                ],
                ImplicitDeny,
            ),
        ],
    },
];
