//! The collections of examples of the guides of IAM and S3.

use strongroom::Decision::{Allow, ExplicitDeny, ImplicitDeny};

use super::{ALICE, ALLOW_ALL, ANONYMOUS, Ask, BOB, Example, GET, PARTNER_ALICE, SECRET, SESSION, STRANGER};

const OBJECT: &str = "arn:aws:s3:::bucket/taxdocuments/2026.pdf";
const S3_POLICIES: &str = "S3 example-bucket-policies.html";

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: "IAM reference_policies_examples_aws-dates.html",
        says: "Actions between two dates, both excluded",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "service-prefix:ActionName",
            "Resource": "*", "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"},
            "DateLessThan": {"aws:CurrentTime": "2020-06-30T23:59:59Z"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "service-prefix:ActionName", "*", &[("aws:CurrentTime", &["2020-05-01T00:00:00Z"])], Allow),
            Ask(
                ALICE,
                "service-prefix:ActionName",
                "*",
                &[("aws:CurrentTime", &["2020-04-01T00:00:00Z"])],
                ImplicitDeny,
            ),
            Ask(
                ALICE,
                "service-prefix:ActionName",
                "*",
                &[("aws:CurrentTime", &["2020-07-01T00:00:00Z"])],
                ImplicitDeny,
            ),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_aws_deny-ip.html",
        says: "Denied from elsewhere, unless a service calls on behalf of the principal",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition":
                {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}, "Bool": {"aws:ViaAWSService": "false"}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:SourceIp", &["192.0.2.77"]), ("aws:ViaAWSService", &["false"])], Allow),
            Ask(
                ALICE,
                GET,
                SECRET,
                &[("aws:SourceIp", &["198.51.100.1"]), ("aws:ViaAWSService", &["false"])],
                ExplicitDeny,
            ),
            Ask(ALICE, GET, SECRET, &[("aws:SourceIp", &["198.51.100.1"]), ("aws:ViaAWSService", &["true"])], Allow),
            // Through an endpoint of a VPC there is no such address.
            Ask(ALICE, GET, SECRET, &[("aws:ViaAWSService", &["false"])], ExplicitDeny),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_aws_deny-requested-region.html",
        says: "Denied outside of some Regions, but for global services",
        identity: &[
            ALLOW_ALL,
            r#"{"Version": "2012-10-17", "Statement": {"Sid": "DenyAllOutsideRequestedRegions", "Effect": "Deny",
                "NotAction":
                ["cloudfront:*", "iam:*", "route53:*", "support:*"], "Resource": "*", "Condition": {"StringNotEquals":
                {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}}}}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, GET, SECRET, &[("aws:RequestedRegion", &["eu-west-1"])], Allow),
            Ask(ALICE, GET, SECRET, &[("aws:RequestedRegion", &["us-east-1"])], ExplicitDeny),
            Ask(ALICE, "iam:CreateUser", "*", &[("aws:RequestedRegion", &["us-east-1"])], Allow),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_aws_my-sec-creds-self-manage.html",
        says: "Own credentials, and without a second factor nothing else",
        identity: &[r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["iam:ChangePassword",
                "iam:GetUser"],
                "Resource": "arn:aws:iam::*:user/${aws:username}"}, {"Effect": "Allow", "Action": "secretsmanager:*",
                "Resource": "*"},
                {"Sid": "DenyAllExceptListedIfNoMFA", "Effect": "Deny", "NotAction": ["iam:ChangePassword",
                "iam:GetUser",
                "sts:GetSessionToken"], "Resource": "*", "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}]}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "iam:ChangePassword", ALICE, &[], Allow),
            Ask(ALICE, "iam:ChangePassword", BOB, &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[("aws:MultiFactorAuthPresent", &["true"])], Allow),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_ec2_tag-owner.html",
        says: "Instances may be stopped by their owner",
        identity: &[r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:StartInstances",
            "ec2:StopInstances"], "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": {"StringEquals":
            {"aws:ResourceTag/Owner": "${aws:username}"}}}, {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}]}"#],
        resource: None,
        asks: &[
            Ask(
                ALICE,
                "ec2:StopInstances",
                "arn:aws:ec2:us-east-1:111122223333:instance/i-1",
                &[("aws:ResourceTag/Owner", &["alice"])],
                Allow,
            ),
            Ask(
                ALICE,
                "ec2:StopInstances",
                "arn:aws:ec2:us-east-1:111122223333:instance/i-1",
                &[("aws:ResourceTag/Owner", &["bob"])],
                ImplicitDeny,
            ),
            Ask(ALICE, "ec2:DescribeInstances", "*", &[], Allow),
            Ask(ALICE, "ec2:StopInstances", "*", &[("aws:ResourceTag/Owner", &["alice"])], ImplicitDeny),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_s3_deny-except-bucket.html",
        says: "One bucket and nothing else",
        identity: &[r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource":
            ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]}, {"Effect": "Deny", "NotAction": "s3:*", "NotResource":
            ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]}]}"#],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:PutObject", "arn:aws:s3:::bucket/key", &[], Allow),
            Ask(ALICE, "s3:PutObject", "arn:aws:s3:::other/key", &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
        ],
    },
    Example {
        page: "IAM reference_policies_examples_s3_home-directory-console.html",
        says: "A home in a bucket: listed by prefix, written below it",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource":
            "arn:aws:s3:::bucket", "Condition": {"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}}},
            {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::bucket/home/${aws:username}",
            "arn:aws:s3:::bucket/home/${aws:username}/*"]}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(ALICE, "s3:ListBucket", "arn:aws:s3:::bucket", &[("s3:prefix", &["home/alice/x"])], Allow),
            Ask(ALICE, "s3:ListBucket", "arn:aws:s3:::bucket", &[("s3:prefix", &["home/bob/x"])], ImplicitDeny),
            Ask(ALICE, "s3:ListBucket", "arn:aws:s3:::bucket", &[], ImplicitDeny),
            Ask(ALICE, "s3:DeleteObject", "arn:aws:s3:::bucket/home/alice/x", &[], Allow),
            Ask(ALICE, "s3:DeleteObject", "arn:aws:s3:::bucket/home/alicex", &[], ImplicitDeny),
        ],
    },
    Example {
        page: "IAM tutorial_attribute-based-access-control.html",
        says: "Tags of the role's session decide which secrets it creates and reads",
        identity: &[
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:CreateSecret",
            "secretsmanager:TagResource"], "Resource": "*", "Condition": {"StringEquals":
            {"aws:RequestTag/access-project":
            "${aws:PrincipalTag/access-project}"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["access-project",
            "access-team",
            "cost-center", "Name"]}}}, {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*", "Condition":
            {"StringEquals": {"secretsmanager:ResourceTag/access-project": "${aws:PrincipalTag/access-project}"}}}]}"#,
        ],
        resource: None,
        asks: &[
            Ask(
                SESSION,
                "secretsmanager:CreateSecret",
                "*",
                &[
                    ("aws:RequestTag/access-project", &["peg"]),
                    ("aws:PrincipalTag/access-project", &["peg"]),
                    ("aws:TagKeys", &["access-project", "Name"]),
                ],
                Allow,
            ),
            Ask(
                SESSION,
                "secretsmanager:CreateSecret",
                "*",
                &[
                    ("aws:RequestTag/access-project", &["peg"]),
                    ("aws:PrincipalTag/access-project", &["peg"]),
                    ("aws:TagKeys", &["access-project", "other"]),
                ],
                ImplicitDeny,
            ),
            Ask(
                SESSION,
                "secretsmanager:CreateSecret",
                "*",
                &[("aws:RequestTag/access-project", &["uni"]), ("aws:PrincipalTag/access-project", &["peg"])],
                ImplicitDeny,
            ),
            Ask(
                SESSION,
                GET,
                SECRET,
                &[
                    ("secretsmanager:ResourceTag/access-project", &["peg"]),
                    ("aws:PrincipalTag/access-project", &["peg"]),
                ],
                Allow,
            ),
            Ask(SESSION, GET, SECRET, &[("aws:PrincipalTag/access-project", &["peg"])], ImplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "Read by everybody",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject",
                "s3:GetObjectVersion"], "Resource": "arn:aws:s3:::bucket/*"}}"#,
        ),
        asks: &[
            Ask(ANONYMOUS, "s3:GetObject", OBJECT, &[], Allow),
            Ask(ANONYMOUS, "s3:PutObject", OBJECT, &[], ImplicitDeny),
            Ask(ANONYMOUS, "s3:GetObject", "arn:aws:s3:::other/key", &[], ImplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "From some addresses only, those of IPv6 as well",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource":
                ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"], "Condition": {"NotIpAddress": {"aws:SourceIp":
                ["192.0.2.0/24", "2001:DB8:1234:5678::/64"]}}}}"#,
        ),
        asks: &[
            Ask(ALICE, "s3:GetObject", OBJECT, &[("aws:SourceIp", &["192.0.2.188"])], Allow),
            Ask(ALICE, "s3:GetObject", OBJECT, &[("aws:SourceIp", &["2001:db8:1234:5678::abcd"])], Allow),
            Ask(ALICE, "s3:GetObject", OBJECT, &[("aws:SourceIp", &["198.51.100.1"])], ExplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "From pages of a site only",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                "Resource":
                "arn:aws:s3:::bucket/*", "Condition": {"StringLike": {"aws:Referer": ["http://www.example.com/*",
                "http://example.com/*"]}}}}"#,
        ),
        asks: &[
            Ask(ANONYMOUS, "s3:GetObject", OBJECT, &[("aws:Referer", &["http://www.example.com/a"])], Allow),
            Ask(ANONYMOUS, "s3:GetObject", OBJECT, &[("aws:Referer", &["http://evil.example/"])], ImplicitDeny),
            Ask(ANONYMOUS, "s3:GetObject", OBJECT, &[], ImplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "Only with a second factor, which is at most an hour old",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource":
                "arn:aws:s3:::bucket/taxdocuments/*", "Condition": {"Null": {"aws:MultiFactorAuthAge": true}}},
                {"Effect": "Deny",
                "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/taxdocuments/*", "Condition":
                {"NumericGreaterThan": {"aws:MultiFactorAuthAge": 3600}}}]}"#,
        ),
        asks: &[
            Ask(ALICE, "s3:GetObject", OBJECT, &[], ExplicitDeny),
            Ask(ALICE, "s3:GetObject", OBJECT, &[("aws:MultiFactorAuthAge", &["3601"])], ExplicitDeny),
            Ask(ALICE, "s3:GetObject", OBJECT, &[("aws:MultiFactorAuthAge", &["3600"])], Allow),
            Ask(ALICE, "s3:GetObject", "arn:aws:s3:::bucket/public", &[], Allow),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "Members of an organization only",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action":
                "secretsmanager:*", "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-xxxxxxxxxxx"]}}}}"#,
        ),
        asks: &[
            Ask(PARTNER_ALICE, GET, SECRET, &[("aws:PrincipalOrgID", &["o-xxxxxxxxxxx"])], Allow),
            Ask(STRANGER, GET, SECRET, &[("aws:PrincipalOrgID", &["o-yyyyyyyyyyy"])], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "A distribution of CloudFront, by its service and its ARN",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service":
                "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*", "Condition": {"StringEquals":
                {"aws:SourceArn":
                "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"}}}}"#,
        ),
        asks: &[
            Ask(
                "service cloudfront.amazonaws.com",
                "s3:GetObject",
                OBJECT,
                &[("aws:SourceArn", &["arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"])],
                Allow,
            ),
            Ask(
                "service cloudfront.amazonaws.com",
                "s3:GetObject",
                OBJECT,
                &[("aws:SourceArn", &["arn:aws:cloudfront::111122223333:distribution/OTHER"])],
                ImplicitDeny,
            ),
            Ask("service cloudfront.amazonaws.com", "s3:GetObject", OBJECT, &[], ImplicitDeny),
        ],
    },
    Example {
        page: S3_POLICIES,
        says: "Uploads have to give the bucket's owner full control",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS":
                "arn:aws:iam::111122223333:user/alice"},
                "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/*", "Condition": {"StringEquals":
                {"s3:x-amz-acl":
                "bucket-owner-full-control"}}}}"#,
        ),
        asks: &[
            Ask(ALICE, "s3:PutObject", OBJECT, &[("s3:x-amz-acl", &["bucket-owner-full-control"])], Allow),
            Ask(ALICE, "s3:PutObject", OBJECT, &[("s3:x-amz-acl", &["public-read"])], ImplicitDeny),
            Ask(ALICE, "s3:PutObject", OBJECT, &[], ImplicitDeny),
        ],
    },
];
