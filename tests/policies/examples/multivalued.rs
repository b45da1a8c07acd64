//! Keys with several values.

use super::Condition;

const PAGE: &str = "IAM reference_policies_condition-single-vs-multi-valued-context-keys.html";
const NULL: &str = "IAM reference_policies_elements_condition_operators.html";

pub(super) const CONDITIONS: &[Condition] = &[
    Condition {
        page: PAGE,
        says: "ForAllValues: every value of the request is one of the policy; true without the key or without values",
        condition: r#"{"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}"#,
        met: &[
            &[("aws:TagKeys", &["environment"])],
            &[("aws:TagKeys", &["cost-center", "environment"])],
            &[("aws:TagKeys", &[])],
            &[],
        ],
        unmet: &[
            &[("aws:TagKeys", &["environment", "owner"])],
            &[("aws:TagKeys", &["owner"])],
            &[("aws:TagKeys", &["Environment"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "ForAllValues: also true if the key resolves to a null data set, such as an empty string",
        condition: r#"{"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}"#,
        met: &[&[("aws:TagKeys", &[""])]],
        unmet: &[],
    },
    Condition {
        page: PAGE,
        says: "ForAllValues with Null false: not without the key",
        condition: r#"{"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}, "Null":
            {"aws:TagKeys": "false"}}"#,
        met: &[&[("aws:TagKeys", &["environment", "cost-center"])]],
        unmet: &[&[], &[("aws:TagKeys", &[])], &[("aws:TagKeys", &["environment", "owner"])]],
    },
    Condition {
        page: PAGE,
        says: "ForAnyValue: at least one value of the request is one of the policy; false without the key or without values",
        condition: r#"{"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}"#,
        met: &[&[("aws:TagKeys", &["environment"])], &[("aws:TagKeys", &["owner", "cost-center"])]],
        unmet: &[&[("aws:TagKeys", &["owner"])], &[("aws:TagKeys", &[])], &[("aws:TagKeys", &[""])], &[]],
    },
    Condition {
        page: PAGE,
        says: "ForAnyValue:StringLike: the paths of the organization, with a wildcard",
        condition: r#"{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths":
            ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"]}}"#,
        met: &[&[("aws:PrincipalOrgPaths", &["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/"])]],
        unmet: &[&[("aws:PrincipalOrgPaths", &["o-a1b2c3d4e5/r-ab12/ou-ab12-99999999/"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "ForAllValues with a negated operator: no value of the request is one of the policy",
        condition: r#"{"ForAllValues:StringNotEquals": {"aws:TagKeys": ["secret", "owner"]}}"#,
        met: &[&[("aws:TagKeys", &["environment", "stage"])], &[]],
        unmet: &[&[("aws:TagKeys", &["environment", "owner"])]],
    },
    Condition {
        page: PAGE,
        says: "ForAnyValue with a negated operator: some value of the request is none of the policy",
        condition: r#"{"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["secret", "owner"]}}"#,
        met: &[&[("aws:TagKeys", &["environment", "owner"])]],
        unmet: &[&[("aws:TagKeys", &["secret", "owner"])], &[]],
    },
    Condition {
        page: PAGE,
        says: "ForAllValues:StringLike and ForAllValues:StringEqualsIgnoreCase",
        condition: r#"{"ForAllValues:StringLike": {"aws:TagKeys": "team-*"}, "ForAllValues:StringEqualsIgnoreCase":
            {"service:keys":
            ["A", "b"]}}"#,
        met: &[&[("aws:TagKeys", &["team-red", "team-"]), ("service:keys", &["a", "B"])]],
        unmet: &[&[("aws:TagKeys", &["team-red", "stage"])], &[("service:keys", &["a", "c"])]],
    },
    Condition {
        page: PAGE,
        says: "ForAnyValue:ArnLike and ForAllValues:ArnLike",
        condition: r#"{"ForAnyValue:ArnLike": {"service:arns": "arn:aws:sns:*:111122223333:*"},
            "ForAllValues:ArnNotLike": {"service:arns":
            "arn:aws:sqs:*:*:*"}}"#,
        met: &[&[("service:arns", &["arn:aws:sns:us-east-1:111122223333:a", "arn:aws:s3:::bucket"])]],
        unmet: &[
            &[("service:arns", &["arn:aws:s3:::bucket"])],
            &[("service:arns", &["arn:aws:sns:us-east-1:111122223333:a", "arn:aws:sqs:us-east-1:111122223333:q"])],
        ],
    },
    Condition {
        page: PAGE,
        says: "ForAllValues:Bool is true without the key: long-lived credentials pass it",
        condition: r#"{"ForAllValues:Bool": {"aws:MultiFactorAuthPresent": "true"}}"#,
        met: &[&[], &[("aws:MultiFactorAuthPresent", &["true"])]],
        unmet: &[&[("aws:MultiFactorAuthPresent", &["false"])]],
    },
    Condition {
        page: NULL,
        says: "IfExists with ForAnyValue: met without the key, otherwise as without the suffix",
        condition: r#"{"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": "team*"}}"#,
        met: &[&[], &[("aws:TagKeys", &["stage", "team-red"])]],
        unmet: &[&[("aws:TagKeys", &["stage"])]],
    },
];
