//! Policy variables.

use strongroom::Decision::{Allow, ExplicitDeny, ImplicitDeny};

use super::{
    ALICE, ANONYMOUS, Ask, BOB, Condition, DEPLOY, Example, FEDERATED_USER, GET, LAMBDA, PARTNER_ALICE, ROOT, SECRET,
    SESSION,
};

const PAGE: &str = "IAM reference_policies_variables.html";
const VERSION: &str = "IAM reference_policies_elements_version.html";
const KEYS: &str = "IAM reference_policies_condition-keys.html";

pub(super) const CONDITIONS: &[Condition] = &[
    Condition {
        page: PAGE,
        says: "A variable in a condition stands for the value of the request",
        condition: r#"{"StringEquals": {"ec2:ResourceTag/Owner": "${aws:username}"}}"#,
        met: &[&[("ec2:ResourceTag/Owner", &["alice"])]],
        unmet: &[&[("ec2:ResourceTag/Owner", &["bob"])], &[("ec2:ResourceTag/Owner", &["${aws:username}"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "A variable in a pattern",
        condition: r#"{"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}}"#,
        met: &[&[("s3:prefix", &[""])], &[("s3:prefix", &["home/"])], &[("s3:prefix", &["home/alice/2026"])]],
        unmet: &[&[("s3:prefix", &["home/bob/2026"])], &[("s3:prefix", &["home/alice"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "A default value is used if the request has no such key",
        condition: r#"{"StringLike": {"s3:prefix": "${aws:PrincipalTag/team, 'company-wide'}/*"}}"#,
        met: &[
            &[("s3:prefix", &["company-wide/plan"])],
            &[("s3:prefix", &["yellow/plan"]), ("aws:PrincipalTag/team", &["yellow"])],
        ],
        unmet: &[
            &[("s3:prefix", &["yellow/plan"])],
            &[("s3:prefix", &["company-wide/plan"]), ("aws:PrincipalTag/team", &["yellow"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "${*}, ${?} and ${$} are the characters themselves",
        condition: r#"{"StringLike": {"service:name": ["a${*}b", "what${?}", "cost${$}5*"]}}"#,
        met: &[&[("service:name", &["a*b"])], &[("service:name", &["what?"])], &[("service:name", &["cost$500"])]],
        unmet: &[&[("service:name", &["axb"])], &[("service:name", &["what!"])], &[("service:name", &["cost500"])]],
    },
    Condition {
        page: PAGE,
        says: "Variables in an ARN, and their names without regard to the case",
        condition: r#"{"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:${AWS:PrincipalAccount}:${aws:UserName}-*"}}"#,
        met: &[&[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:alice-topic"])]],
        unmet: &[
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:444455556666:alice-topic"])],
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:bob-topic"])],
        ],
    },
    Condition {
        page: KEYS,
        says: "Keys that follow from a user: ARN, account, type, name, and that it is no service",
        condition: r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/alice"}, "StringEquals":
            {"aws:PrincipalAccount":
            "111122223333", "aws:PrincipalType": "User", "aws:username": "alice"}, "Bool": {"aws:PrincipalIsAWSService": "false"}}"#,
        met: &[&[]],
        unmet: &[&[("aws:PrincipalType", &["Account"])], &[("aws:username", &["bob"])]],
    },
];

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: PAGE,
        says: "A variable in a resource: everybody has a home of their own",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::bucket/home/${aws:username}/*"}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/home/alice/a.png", &[], Allow),
            Ask(BOB, "s3:PutObject", "arn:aws:s3:::bucket/home/bob/a.png", &[], Allow),
            Ask(BOB, "s3:GetObject", "arn:aws:s3:::bucket/home/alice/a.png", &[], ImplicitDeny),
            // Only users have a name.
            Ask(SESSION, "s3:GetObject", "arn:aws:s3:::bucket/home/deploy/a.png", &[], ImplicitDeny),
            Ask(FEDERATED_USER, "s3:GetObject", "arn:aws:s3:::bucket/home/fred/a.png", &[], ImplicitDeny),
            Ask(SESSION, "s3:GetObject", "arn:aws:s3:::bucket/home//a.png", &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "aws:userid of a session, in a resource",
        identity: &[r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*",
            "Resource": "arn:aws:s3:::bucket/${aws:userid}/*"}}"#],
        resource: None,
        asks: &[
            Ask(
                SESSION,
                "s3:GetObject",
                "arn:aws:s3:::bucket/AROAEXAMPLE:build-7/a",
                &[("aws:userid", &["AROAEXAMPLE:build-7"])],
                Allow,
            ),
            Ask(
                SESSION,
                "s3:GetObject",
                "arn:aws:s3:::bucket/AROAEXAMPLE:build-8/a",
                &[("aws:userid", &["AROAEXAMPLE:build-7"])],
                ImplicitDeny,
            ),
        ],
    },
    Example {
        page: PAGE,
        says: "Tags of principal and resource have to be the same",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/project": "${aws:PrincipalTag/project}"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(
                ALICE,
                GET,
                SECRET,
                &[("aws:ResourceTag/project", &["x"]), ("aws:PrincipalTag/project", &["x"])],
                Allow,
            ),
            Ask(
                ALICE,
                GET,
                SECRET,
                &[("aws:ResourceTag/project", &["x"]), ("aws:PrincipalTag/project", &["y"])],
                ImplicitDeny,
            ),
            Ask(ALICE, GET, SECRET, &[("aws:ResourceTag/project", &["x"])], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[("aws:PrincipalTag/project", &["x"])], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A key with several values cannot be a variable",
        identity: &[r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*",
            "Resource": "arn:aws:s3:::bucket/${aws:TagKeys}/*"}}"#],
        resource: None,
        asks: &[Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/a/b", &[("aws:TagKeys", &["a", "b"])], ImplicitDeny)],
    },
    Example {
        page: VERSION,
        says: "With version 2008-10-17 variables are plain text",
        identity: &[r#"{"Version": "2008-10-17", "Statement": {"Effect": "Allow", "Action": "*",
            "Resource": "arn:aws:s3:::bucket/${aws:username}/*"}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/alice/a", &[], ImplicitDeny),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/${aws:username}/a", &[], Allow),
        ],
    },
    Example {
        page: VERSION,
        says: "Without a version it is 2008-10-17",
        identity: &[r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"StringEquals": {"s3:prefix": "${aws:username}"}}}}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:ListBucket", "arn:aws:s3:::bucket", &[("s3:prefix", &["alice"])], ImplicitDeny),
            Ask(ALICE, "s3:ListBucket", "arn:aws:s3:::bucket", &[("s3:prefix", &["${aws:username}"])], Allow),
        ],
    },
    Example {
        page: KEYS,
        says: "aws:PrincipalArn of a session is the ARN of its role; others have their own",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource":
                "*",
                "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/deploy"}}}}"#,
        ),
        asks: &[
            Ask(SESSION, GET, SECRET, &[], ExplicitDeny),
            Ask(DEPLOY, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            // Requests without a signature have no such key.
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: KEYS,
        says: "aws:PrincipalType",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource":
                "*",
                "Condition": {"StringNotEquals": {"aws:PrincipalType": ["Account", "AssumedRole", "FederatedUser"]}}}}"#,
        ),
        asks: &[
            Ask(ROOT, GET, SECRET, &[], Allow),
            Ask(SESSION, GET, SECRET, &[], ImplicitDeny),
            Ask(FEDERATED_USER, GET, SECRET, &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ExplicitDeny),
        ],
    },
    Example {
        page: KEYS,
        says: "aws:PrincipalAccount is there for everybody; for requests without a signature it is \"anonymous\"",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
                "Resource": "*",
                "Condition": {"StringEqualsIfExists": {"aws:PrincipalAccount": "111122223333"}}}}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: KEYS,
        says: "aws:PrincipalIsAWSService is there for every signed request, and for no other",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource":
                "*",
                "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}}}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(LAMBDA, GET, SECRET, &[], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
];
