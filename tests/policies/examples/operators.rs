//! Condition operators, one by one.

use strongroom::Decision::{Allow, ExplicitDeny};

use super::{ALICE, ALLOW_ALL, Ask, Condition, Example, GET, SECRET};

const PAGE: &str = "IAM reference_policies_elements_condition_operators.html";
const CONDITION: &str = "IAM reference_policies_elements_condition.html";
const LOGIC: &str = "IAM reference_policies_condition-logic-multiple-context-keys-or-values.html";

pub(super) const CONDITIONS: &[Condition] = &[
    Condition {
        page: PAGE,
        says: "StringEquals: exact matching, the case counts",
        condition: r#"{"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}}"#,
        met: &[&[("aws:PrincipalTag/job-category", &["iamuser-admin"])]],
        unmet: &[
            &[("aws:PrincipalTag/job-category", &["IamUser-Admin"])],
            &[("aws:PrincipalTag/job-category", &["iamuser-administrator"])],
            &[("aws:PrincipalTag/job-category", &[""])],
            &[],
        ],
    },
    Condition {
        page: PAGE,
        says: "StringEquals: wildcards are plain characters",
        condition: r#"{"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-*"}}"#,
        met: &[&[("aws:PrincipalTag/job-category", &["iamuser-*"])]],
        unmet: &[&[("aws:PrincipalTag/job-category", &["iamuser-admin"])]],
    },
    Condition {
        page: PAGE,
        says: "StringNotEquals: negated matching, also met without the key",
        condition: r#"{"StringNotEquals": {"aws:PrincipalTag/job-category": ["iamuser-admin", "auditor"]}}"#,
        met: &[
            &[("aws:PrincipalTag/job-category", &["developer"])],
            &[("aws:PrincipalTag/job-category", &["Auditor"])],
            &[],
        ],
        unmet: &[
            &[("aws:PrincipalTag/job-category", &["auditor"])],
            &[("aws:PrincipalTag/job-category", &["iamuser-admin"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "StringEqualsIgnoreCase: exact matching without regard to the case",
        condition: r#"{"StringEqualsIgnoreCase": {"aws:ResourceTag/stage": "Production"}}"#,
        met: &[&[("aws:ResourceTag/stage", &["PRODUCTION"])], &[("aws:ResourceTag/stage", &["production"])]],
        unmet: &[&[("aws:ResourceTag/stage", &["productions"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "StringNotEqualsIgnoreCase: its negation",
        condition: r#"{"StringNotEqualsIgnoreCase": {"aws:ResourceTag/stage": "Production"}}"#,
        met: &[&[("aws:ResourceTag/stage", &["test"])], &[]],
        unmet: &[&[("aws:ResourceTag/stage", &["pRODUCTION"])]],
    },
    Condition {
        page: PAGE,
        says: "StringLike: * for several characters, ? for one, the case counts",
        condition: r#"{"StringLike": {"ec2:InstanceType": ["t1.*", "m?.large"]}}"#,
        met: &[
            &[("ec2:InstanceType", &["t1.micro"])],
            &[("ec2:InstanceType", &["t1."])],
            &[("ec2:InstanceType", &["m3.large"])],
        ],
        unmet: &[
            &[("ec2:InstanceType", &["T1.micro"])],
            &[("ec2:InstanceType", &["m10.large"])],
            &[("ec2:InstanceType", &["t2.micro"])],
            &[],
        ],
    },
    Condition {
        page: PAGE,
        says: "StringNotLike: its negation",
        condition: r#"{"StringNotLike": {"ec2:InstanceType": ["t1.*", "m?.large"]}}"#,
        met: &[&[("ec2:InstanceType", &["c5.large"])], &[]],
        unmet: &[&[("ec2:InstanceType", &["t1.micro"])], &[("ec2:InstanceType", &["m5.large"])]],
    },
    Condition {
        page: PAGE,
        says: "NumericLessThanEquals: at most ten keys of a bucket are listed",
        condition: r#"{"NumericLessThanEquals": {"s3:max-keys": "10"}}"#,
        met: &[&[("s3:max-keys", &["10"])], &[("s3:max-keys", &["9"])], &[("s3:max-keys", &["9.5"])]],
        unmet: &[&[("s3:max-keys", &["11"])], &[("s3:max-keys", &["100"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "NumericEquals compares numbers, not texts",
        condition: r#"{"NumericEquals": {"s3:max-keys": 10}}"#,
        met: &[&[("s3:max-keys", &["10"])], &[("s3:max-keys", &["10.0"])]],
        unmet: &[&[("s3:max-keys", &["010.5"])], &[("s3:max-keys", &["ten"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "NumericNotEquals: its negation",
        condition: r#"{"NumericNotEquals": {"s3:max-keys": ["10", "20"]}}"#,
        met: &[&[("s3:max-keys", &["15"])], &[]],
        unmet: &[&[("s3:max-keys", &["10"])], &[("s3:max-keys", &["20"])]],
    },
    Condition {
        page: PAGE,
        says: "NumericLessThan, NumericGreaterThan and NumericGreaterThanEquals",
        condition: r#"{"NumericLessThan": {"s3:max-keys": "10"}, "NumericGreaterThan": {"s3:max-keys": "-1"},
            "NumericGreaterThanEquals": {"s3:signatureage": "0"}}"#,
        met: &[&[("s3:max-keys", &["9"]), ("s3:signatureage", &["0"])]],
        unmet: &[
            &[("s3:max-keys", &["10"]), ("s3:signatureage", &["0"])],
            &[("s3:max-keys", &["-1"]), ("s3:signatureage", &["0"])],
            &[("s3:max-keys", &["9"]), ("s3:signatureage", &["-0.5"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "DateGreaterThan: credentials that were issued after a date",
        condition: r#"{"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}}"#,
        met: &[
            &[("aws:TokenIssueTime", &["2020-01-01T00:00:02Z"])],
            &[("aws:TokenIssueTime", &["1577836802"])],
            &[("aws:TokenIssueTime", &["2020-01-01T01:00:02+01:00"])],
        ],
        unmet: &[
            &[("aws:TokenIssueTime", &["2020-01-01T00:00:01Z"])],
            &[("aws:TokenIssueTime", &["2019-12-31T23:59:59Z"])],
            &[("aws:TokenIssueTime", &["yesterday"])],
            &[],
        ],
    },
    Condition {
        page: PAGE,
        says: "Dates of a policy may be seconds since 1970",
        condition: r#"{"DateLessThanEquals": {"aws:EpochTime": "1577836800"}, "DateGreaterThanEquals":
            {"aws:EpochTime": 1}}"#,
        met: &[&[("aws:EpochTime", &["1577836800"])], &[("aws:EpochTime", &["2019-12-31T00:00:00Z"])]],
        unmet: &[&[("aws:EpochTime", &["1577836801"])], &[("aws:EpochTime", &["0"])]],
    },
    Condition {
        page: PAGE,
        says: "DateEquals, DateNotEquals and DateLessThan, with a day alone",
        condition: r#"{"DateEquals": {"aws:CurrentTime": "2020-07-01"}, "DateNotEquals": {"aws:TokenIssueTime":
            "2020-07-01"},
            "DateLessThan": {"aws:EpochTime": "2030-01-01"}}"#,
        met: &[&[("aws:CurrentTime", &["2020-07-01T00:00:00Z"]), ("aws:EpochTime", &["1"])]],
        unmet: &[
            &[("aws:CurrentTime", &["2020-07-01T00:00:01Z"]), ("aws:EpochTime", &["1"])],
            &[
                ("aws:CurrentTime", &["2020-07-01"]),
                ("aws:EpochTime", &["1"]),
                ("aws:TokenIssueTime", &["2020-07-01T00:00Z"]),
            ],
            &[("aws:CurrentTime", &["2020-07-01"]), ("aws:EpochTime", &["2030-01-01T00:00:00Z"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "Bool: true or false",
        condition: r#"{"Bool": {"aws:SecureTransport": "true"}}"#,
        met: &[&[("aws:SecureTransport", &["true"])]],
        unmet: &[&[("aws:SecureTransport", &["false"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "BinaryEquals: byte for byte, of base64",
        condition: r#"{"BinaryEquals": {"service:key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}"#,
        met: &[&[("service:key", &["QmluYXJ5VmFsdWVJbkJhc2U2NA=="])]],
        unmet: &[&[("service:key", &["qmluYXJ5VmFsdWVJbkJhc2U2NA=="])], &[("service:key", &["QmluYXJ5"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "IpAddress: a block of addresses",
        condition: r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}"#,
        met: &[&[("aws:SourceIp", &["203.0.113.0"])], &[("aws:SourceIp", &["203.0.113.255"])]],
        unmet: &[&[("aws:SourceIp", &["203.0.114.1"])], &[("aws:SourceIp", &["2001:db8::1"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "IpAddress: without a prefix it is the one address",
        condition: r#"{"IpAddress": {"aws:SourceIp": "203.0.113.7"}}"#,
        met: &[&[("aws:SourceIp", &["203.0.113.7"])]],
        unmet: &[&[("aws:SourceIp", &["203.0.113.8"])]],
    },
    Condition {
        page: PAGE,
        says: "IpAddress: blocks of IPv4 and IPv6 side by side",
        condition: r#"{"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}}"#,
        met: &[
            &[("aws:SourceIp", &["203.0.113.7"])],
            &[("aws:SourceIp", &["2001:db8:1234:5678:9999::1"])],
            &[("aws:SourceIp", &["2001:0DB8:1234:5678:0:0:0:1"])],
        ],
        unmet: &[&[("aws:SourceIp", &["2001:db8:1234:5679::1"])], &[("aws:SourceIp", &["198.51.100.1"])]],
    },
    Condition {
        page: PAGE,
        says: "NotIpAddress: everything but the blocks",
        condition: r#"{"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}}"#,
        met: &[&[("aws:SourceIp", &["198.51.100.1"])], &[]],
        unmet: &[&[("aws:SourceIp", &["192.0.2.1"])], &[("aws:SourceIp", &["203.0.113.9"])]],
    },
    Condition {
        page: PAGE,
        says: "ArnEquals and ArnLike: the six parts are checked one by one, each with wildcards",
        condition: r#"{"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:111122223333:topic-?"}}"#,
        met: &[
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:topic-1"])],
            &[("aws:SourceArn", &["arn:aws:sns::111122223333:topic-a"])],
        ],
        unmet: &[
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:444455556666:topic-1"])],
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:444455556666:111122223333:topic-1"])],
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:topic-12"])],
            &[("aws:SourceArn", &["arn:aws:sqs:us-east-1:111122223333:topic-1"])],
            &[],
        ],
    },
    Condition {
        page: PAGE,
        says: "ArnLike behaves as ArnEquals; the last part may hold colons",
        condition: r#"{"ArnLike": {"aws:SourceArn": ["arn:aws:sns:us-east-1:111122223333:*:end",
            "arn:aws:s3:::bucket"]}}"#,
        met: &[
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:topic:a:end"])],
            &[("aws:SourceArn", &["arn:aws:s3:::bucket"])],
        ],
        unmet: &[&[("aws:SourceArn", &["arn:aws:s3:::bucket/key"])], &[("aws:SourceArn", &["bucket"])]],
    },
    Condition {
        page: PAGE,
        says: "ArnNotEquals and ArnNotLike: their negations",
        condition: r#"{"ArnNotEquals": {"aws:SourceArn": "arn:aws:sns:*:111122223333:*"}, "ArnNotLike":
            {"aws:SourceArn":
            "arn:aws:sqs:*:111122223333:*"}}"#,
        met: &[&[("aws:SourceArn", &["arn:aws:s3:::bucket"])], &[]],
        unmet: &[
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:topic"])],
            &[("aws:SourceArn", &["arn:aws:sqs:us-east-1:111122223333:queue"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "IfExists: met without the key, otherwise as the operator says",
        condition: r#"{"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}"#,
        met: &[&[], &[("ec2:InstanceType", &["t2.nano"])]],
        unmet: &[&[("ec2:InstanceType", &["c5.large"])]],
    },
    Condition {
        page: PAGE,
        says: "IfExists with other operators",
        condition: r#"{"NumericLessThanIfExists": {"s3:max-keys": "10"}, "IpAddressIfExists": {"aws:SourceIp":
            "203.0.113.0/24"},
            "DateLessThanIfExists": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}, "BoolIfExists":
            {"aws:SecureTransport": "true"},
            "ArnLikeIfExists": {"aws:SourceArn": "arn:aws:s3:::*"}, "BinaryEqualsIfExists": {"service:key": "QUJD"},
            "StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}"#,
        met: &[&[], &[("s3:max-keys", &["9"]), ("aws:SourceIp", &["203.0.113.1"]), ("service:key", &["QUJD"])]],
        unmet: &[
            &[("s3:max-keys", &["10"])],
            &[("aws:SourceIp", &["198.51.100.1"])],
            &[("aws:CurrentTime", &["2031-01-01T00:00:00Z"])],
            &[("aws:SecureTransport", &["false"])],
            &[("aws:SourceArn", &["arn:aws:sns:us-east-1:111122223333:topic"])],
            &[("service:key", &["QUJE"])],
            &[("aws:SourceVpc", &["vpc-1"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "Null true: the key must be absent; without temporary credentials there is no token",
        condition: r#"{"Null": {"aws:TokenIssueTime": "true"}}"#,
        met: &[&[]],
        unmet: &[&[("aws:TokenIssueTime", &["2020-01-01T00:00:00Z"])]],
    },
    Condition {
        page: PAGE,
        says: "Null false: the key must be there and have a value",
        condition: r#"{"Null": {"aws:TokenIssueTime": false}}"#,
        met: &[&[("aws:TokenIssueTime", &["2020-01-01T00:00:00Z"])]],
        unmet: &[&[], &[("aws:TokenIssueTime", &[])]],
    },
    Condition {
        page: CONDITION,
        says: "Names of condition keys do not tell upper case from lower case",
        condition: r#"{"StringEquals": {"AWS:SOURCEVPC": "vpc-1"}}"#,
        met: &[&[("aws:SourceVpc", &["vpc-1"])], &[("aws:sourcevpc", &["vpc-1"])]],
        unmet: &[&[("aws:SourceVpce", &["vpc-1"])]],
    },
    Condition {
        page: LOGIC,
        says: "Several operators and keys: all must be met; several values: one is enough",
        condition: r#"{"StringEquals": {"aws:PrincipalTag/department": ["finance", "hr", "legal"],
            "aws:PrincipalTag/role": ["audit", "security"]}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/*"}}"#,
        met: &[
            &[("aws:PrincipalTag/department", &["hr"]), ("aws:PrincipalTag/role", &["audit"])],
            &[("aws:PrincipalTag/department", &["legal"]), ("aws:PrincipalTag/role", &["security"])],
        ],
        unmet: &[
            &[("aws:PrincipalTag/department", &["hr"]), ("aws:PrincipalTag/role", &["pm"])],
            &[("aws:PrincipalTag/department", &["sales"]), ("aws:PrincipalTag/role", &["audit"])],
            &[("aws:PrincipalTag/department", &["hr"])],
        ],
    },
    Condition {
        page: LOGIC,
        says: "A negated operator with several values: none of them may fit",
        condition: r#"{"StringNotEquals": {"aws:PrincipalTag/department": ["finance", "hr"], "aws:PrincipalTag/role":
            ["audit"]}}"#,
        met: &[&[("aws:PrincipalTag/department", &["sales"]), ("aws:PrincipalTag/role", &["pm"])], &[]],
        unmet: &[
            &[("aws:PrincipalTag/department", &["hr"]), ("aws:PrincipalTag/role", &["pm"])],
            &[("aws:PrincipalTag/department", &["sales"]), ("aws:PrincipalTag/role", &["audit"])],
        ],
    },
];

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: PAGE,
        says: "Bool in a statement that denies what is not sent over TLS; without the key it does not apply",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:SecureTransport", &["false"])], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[("aws:SecureTransport", &["true"])], Allow),
            Ask(ALICE, GET, SECRET, &[], Allow),
        ],
    },
    Example {
        page: PAGE,
        says: "BoolIfExists in a statement that denies: also long-lived credentials, which have no such key",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:MultiFactorAuthPresent", &["false"])], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[("aws:MultiFactorAuthPresent", &["true"])], Allow),
        ],
    },
];
