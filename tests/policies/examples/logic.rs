//! How policies work together, and the elements `Action`, `Resource` and their opposites.

use strongroom::Decision::{Allow, ExplicitDeny, ImplicitDeny};

use super::{
    ALICE, ALLOW_ALL, ANONYMOUS, Ask, BOB, DESCRIBE, Example, GET, LAMBDA, PARTNER_ALICE, PARTNER_ROOT,
    PARTNER_SESSION, ROOT, SECRET, SESSION, STRANGER,
};

const BASICS: &str = "IAM reference_policies_evaluation-logic_policy-eval-basics.html";
const DENY: &str = "IAM reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html";
const CROSS: &str = "IAM reference_policies_evaluation-logic-cross-account.html";
const ACTION: &str = "IAM reference_policies_elements_action.html";
const NOT_ACTION: &str = "IAM reference_policies_elements_notaction.html";
const RESOURCE: &str = "IAM reference_policies_elements_resource.html";
const NOT_RESOURCE: &str = "IAM reference_policies_elements_notresource.html";
const GRAMMAR: &str = "IAM reference_policies_grammar.html";

const ALLOW_GET: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action":
    "secretsmanager:GetSecretValue", "Resource": "*"}}"#;

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: BASICS,
        says: "Without any policy everything is denied but to the root user",
        identity: &[],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(SESSION, GET, SECRET, &[], ImplicitDeny),
            Ask(ROOT, GET, SECRET, &[], Allow),
            Ask(PARTNER_ROOT, GET, SECRET, &[], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
            Ask(LAMBDA, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: BASICS,
        says: "Within an account the policies of identity and resource add up: that of the identity alone",
        identity: &[ALLOW_GET],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, DESCRIBE, SECRET, &[], ImplicitDeny),
            Ask(SESSION, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: BASICS,
        says: "... and that of the resource alone",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:user/alice"},
                "Action": "secretsmanager:DescribeSecret", "Resource": "*"}}"#,
        ),
        asks: &[
            Ask(ALICE, DESCRIBE, SECRET, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(BOB, DESCRIBE, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: BASICS,
        says: "... and the two together",
        identity: &[ALLOW_GET],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:user/alice"},
                "Action": "secretsmanager:DescribeSecret", "Resource": "*"}}"#,
        ),
        asks: &[
            Ask(ALICE, DESCRIBE, SECRET, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, "secretsmanager:DeleteSecret", SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: DENY,
        says: "A statement that denies decides, in a policy of the identity",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "secretsmanager:Get*", "Resource":
                "*"}}"#,
        ],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
                "Resource": "*"}}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, DESCRIBE, SECRET, &[], Allow),
            Ask(PARTNER_ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(PARTNER_ALICE, DESCRIBE, SECRET, &[], Allow),
        ],
    },
    Example {
        page: DENY,
        says: "... and in the policy of the resource, also against the root user and against its own statement that allows",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*",
                "Resource": "*"},
                {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}]}"#,
        ),
        asks: &[
            Ask(ALICE, "secretsmanager:DeleteSecret", SECRET, &[], ExplicitDeny),
            Ask(ROOT, "secretsmanager:DeleteSecret", SECRET, &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: CROSS,
        says: "From another account both sides have to allow: the resource's does not",
        identity: &[ALLOW_ALL],
        resource: None,
        asks: &[Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny), Ask(PARTNER_ROOT, GET, SECRET, &[], ImplicitDeny)],
    },
    Example {
        page: CROSS,
        says: "... the identity's does not",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Principal": {"AWS": ["arn:aws:iam::444455556666:user/alice", "444455556666"]}}}"#,
        ),
        asks: &[Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny), Ask(PARTNER_ROOT, GET, SECRET, &[], Allow)],
    },
    Example {
        page: CROSS,
        says: "... both do, to the account or to the role itself",
        identity: &[ALLOW_GET],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": ["arn:aws:iam::444455556666:role/deploy", "777788889999"]}}}"#,
        ),
        asks: &[
            Ask(PARTNER_SESSION, GET, SECRET, &[], Allow),
            Ask(PARTNER_SESSION, DESCRIBE, SECRET, &[], ImplicitDeny),
            Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(STRANGER, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: ACTION,
        says: "Prefix and name of an action do not tell upper case from lower case",
        identity: &[
            r#"{"Statement": {"Effect": "Allow", "Action": ["iam:ListAccessKeys", "S3:getobject"], "Resource": "*"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "IAM:listaccesskeys", "*", &[], Allow),
            Ask(ALICE, "iam:ListAccessKeys", "*", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/key", &[], Allow),
            Ask(ALICE, "iam:ListAccessKey", "*", &[], ImplicitDeny),
        ],
    },
    Example {
        page: ACTION,
        says: "Wildcards anywhere in the name of an action",
        identity: &[r#"{"Statement": {"Effect": "Allow", "Action": ["s3:*", "iam:*AccessKey*", "ec2:D?scribeVpcs"],
                "Resource": "*"}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:ListAllMyBuckets", "*", &[], Allow),
            Ask(ALICE, "iam:CreateAccessKey", "*", &[], Allow),
            Ask(ALICE, "iam:GetAccessKeyLastUsed", "*", &[], Allow),
            Ask(ALICE, "iam:CreateUser", "*", &[], ImplicitDeny),
            Ask(ALICE, "ec2:DescribeVpcs", "*", &[], Allow),
            Ask(ALICE, "ec2:DeescribeVpcs", "*", &[], ImplicitDeny),
            Ask(ALICE, "s3-outposts:ListBuckets", "*", &[], ImplicitDeny),
        ],
    },
    Example {
        page: NOT_ACTION,
        says: "Allow with NotAction: every action on the resources but these",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource":
                "arn:aws:s3:::*"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:PutObject", "arn:aws:s3:::bucket/key", &[], Allow),
            Ask(ALICE, "s3:DeleteBucket", "arn:aws:s3:::bucket", &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            // About no bucket.
            Ask(ALICE, "s3:ListAllMyBuckets", "*", &[], ImplicitDeny),
        ],
    },
    Example {
        page: NOT_ACTION,
        says: "Allow with NotAction on every resource: everything but a service",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, "iam:CreateUser", "arn:aws:iam::111122223333:user/bob", &[], ImplicitDeny),
        ],
    },
    Example {
        page: NOT_ACTION,
        says: "Deny with NotAction: without a second factor nothing but IAM",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*",
                "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, "iam:ListUsers", "*", &[], Allow),
            Ask(ALICE, GET, SECRET, &[("aws:MultiFactorAuthPresent", &["true"])], Allow),
        ],
    },
    Example {
        page: RESOURCE,
        says: "* in the middle of a resource reaches beyond slashes",
        identity: &[r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*/test/*"}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1/test/object.jpg", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/object.jpg", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/3/object.jpg", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/3/test/4/object.jpg", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1-test/object.jpg", &[], ImplicitDeny),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/test/object.jpg", &[], ImplicitDeny),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test.jpg", &[], ImplicitDeny),
        ],
    },
    Example {
        page: RESOURCE,
        says: "? for one character, and several resources in a list",
        identity: &[r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource":
            ["arn:aws:sqs:us-east-2:111122223333:queue?", "arn:aws:sqs:*:111122223333:jobs"]}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "sqs:SendMessage", "arn:aws:sqs:us-east-2:111122223333:queue1", &[], Allow),
            Ask(ALICE, "sqs:SendMessage", "arn:aws:sqs:us-east-2:111122223333:queue12", &[], ImplicitDeny),
            Ask(ALICE, "sqs:SendMessage", "arn:aws:sqs:us-east-2:111122223333:queue", &[], ImplicitDeny),
            Ask(ALICE, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:jobs", &[], Allow),
            Ask(ALICE, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:Jobs", &[], ImplicitDeny),
        ],
    },
    Example {
        page: RESOURCE,
        says: "A wildcard at the end of a part of the ARN goes on beyond it",
        identity: &[r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sns:*",
            "Resource": "arn:aws:sns:*:111122223333:topic"}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "sns:Publish", "arn:aws:sns:us-east-1:111122223333:topic", &[], Allow),
            Ask(ALICE, "sns:Publish", "arn:aws:sns:us-east-1:111122223333:111122223333:topic", &[], Allow),
        ],
    },
    Example {
        page: NOT_RESOURCE,
        says: "Deny with NotResource: nothing outside a bucket, even if it is allowed elsewhere",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "NotResource":
                ["arn:aws:s3:::HRBucket/Payroll", "arn:aws:s3:::HRBucket/Payroll/*"]}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::HRBucket/Payroll/2026", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::HRBucket/Payroll", &[], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::HRBucket/other", &[], ExplicitDeny),
            Ask(ALICE, "s3:ListAllMyBuckets", "*", &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: GRAMMAR,
        says: "One statement or a list, one value or a list; Id and Sid change nothing",
        identity: &[
            r#"{"Version": "2012-10-17", "Id": "cd3ad3d9-2776-4ef1-a904-4c229d1642ee", "Statement": [{"Sid": "1",
                "Effect":
            "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": ["*"]}, {"Sid": "2", "Effect": "Deny",
            "Action":
            "secretsmanager:DeleteSecret", "Resource": "*"}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(ALICE, "secretsmanager:DeleteSecret", SECRET, &[], ExplicitDeny),
            Ask(ALICE, DESCRIBE, SECRET, &[], ImplicitDeny),
        ],
    },
];
