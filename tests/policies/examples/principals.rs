//! Whom a policy is about: `Principal` and `NotPrincipal`.

use strongroom::Decision::{Allow, ExplicitDeny, ImplicitDeny};

use super::{
    ALICE, ALLOW_ALL, ANONYMOUS, Ask, BOB, DEPLOY, Example, FEDERATED_USER, GET, LAMBDA, PARTNER_ALICE, PARTNER_ROOT,
    PARTNER_SESSION, ROOT, SECRET, SESSION, STRANGER,
};

const PAGE: &str = "IAM reference_policies_elements_principal.html";
const NOT: &str = "IAM reference_policies_elements_notprincipal.html";

pub(super) const EXAMPLES: &[Example] = &[
    Example {
        page: PAGE,
        says: "An account by the ARN of its root: its administrators decide who may use the permission",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}}"#,
        ),
        asks: &[
            Ask(ROOT, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
            Ask(SESSION, GET, SECRET, &[], ImplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "An account by its number is the same as the ARN of its root",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "444455556666"}}}"#,
        ),
        asks: &[
            Ask(PARTNER_ALICE, GET, SECRET, &[], Allow),
            Ask(PARTNER_SESSION, GET, SECRET, &[], Allow),
            Ask(STRANGER, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Several accounts in one list",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": ["arn:aws:iam::444455556666:root", "777788889999"]}}}"#,
        ),
        asks: &[
            Ask(PARTNER_ALICE, GET, SECRET, &[], Allow),
            Ask(STRANGER, GET, SECRET, &[], Allow),
            Ask(PARTNER_ROOT, GET, SECRET, &[], Allow),
            Ask("arn:aws:iam::999999999999:user/zoe", GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Denying to an account denies to everybody in it",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "111122223333"}}}"#,
        ),
        asks: &[Ask(ALICE, GET, SECRET, &[], ExplicitDeny), Ask(SESSION, GET, SECRET, &[], ExplicitDeny)],
    },
    Example {
        page: PAGE,
        says: "A role stands for its sessions",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "arn:aws:iam::111122223333:role/deploy"}}}"#,
        ),
        asks: &[
            Ask(SESSION, GET, SECRET, &[], Allow),
            Ask(DEPLOY, GET, SECRET, &[], Allow),
            Ask("arn:aws:sts::111122223333:assumed-role/deployer/build-7", GET, SECRET, &[], ImplicitDeny),
            Ask(PARTNER_SESSION, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A session by its own ARN is that session alone",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/deploy/build-7"}}}"#,
        ),
        asks: &[
            Ask(SESSION, GET, SECRET, &[], Allow),
            Ask("arn:aws:sts::111122223333:assumed-role/deploy/build-8", GET, SECRET, &[], ImplicitDeny),
            Ask(DEPLOY, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Users by their ARNs; the case of a name counts",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal":
                {"AWS": ["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/division/carla"]}}}"#,
        ),
        asks: &[
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask("arn:aws:iam::111122223333:user/division/carla", GET, SECRET, &[], Allow),
            Ask("arn:aws:iam::111122223333:user/carla", GET, SECRET, &[], ImplicitDeny),
            Ask("arn:aws:iam::111122223333:user/Alice", GET, SECRET, &[], ImplicitDeny),
            Ask(BOB, GET, SECRET, &[], ImplicitDeny),
            Ask(PARTNER_ALICE, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A federated user by its own ARN",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
                "Principal": {"AWS": "arn:aws:sts::111122223333:federated-user/fred"}}}"#,
        ),
        asks: &[
            Ask(FEDERATED_USER, GET, SECRET, &[], Allow),
            Ask("arn:aws:sts::111122223333:federated-user/frieda", GET, SECRET, &[], ImplicitDeny),
            Ask("arn:aws:iam::111122223333:user/fred", GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Identity providers, of the web and of SAML",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal":
                {"Federated": ["accounts.google.com", "arn:aws:iam::111122223333:saml-provider/corp"]}}}"#,
        ),
        asks: &[
            Ask("federated accounts.google.com", GET, SECRET, &[], Allow),
            Ask("federated arn:aws:iam::111122223333:saml-provider/corp", GET, SECRET, &[], Allow),
            Ask("federated arn:aws:iam::111122223333:saml-provider/corporation", GET, SECRET, &[], ImplicitDeny),
            Ask("federated www.amazon.com", GET, SECRET, &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "Services, several in a list",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal":
                {"Service": ["lambda.amazonaws.com", "logs.us-east-1.amazonaws.com"]}}}"#,
        ),
        asks: &[
            Ask(LAMBDA, GET, SECRET, &[], Allow),
            Ask("service logs.us-east-1.amazonaws.com", GET, SECRET, &[], Allow),
            Ask("service logs.amazonaws.com", GET, SECRET, &[], ImplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "A canonical user id, and several types side by side",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal":
                {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
                "AWS": "arn:aws:iam::111122223333:user/alice", "Service": "lambda.amazonaws.com"}}}"#,
        ),
        asks: &[
            Ask("canonical 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", GET, SECRET, &[], Allow),
            Ask(
                "canonical 00a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
                GET,
                SECRET,
                &[],
                ImplicitDeny,
            ),
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(LAMBDA, GET, SECRET, &[], Allow),
            Ask(BOB, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "* is everybody, anonymous users too",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
                "Resource": "*"}}"#,
        ),
        asks: &[
            Ask(ANONYMOUS, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], Allow),
            Ask(SESSION, GET, SECRET, &[], Allow),
            // Their own account has to allow it as well.
            Ask(STRANGER, GET, SECRET, &[], ImplicitDeny),
        ],
    },
    Example {
        page: PAGE,
        says: "{\"AWS\": \"*\"} is the same",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*",
                "Resource": "*"}}"#,
        ),
        asks: &[Ask(ANONYMOUS, GET, SECRET, &[], Allow), Ask(STRANGER, GET, SECRET, &[], Allow)],
    },
    Example {
        page: NOT,
        says: "Denying to everybody but a user, who is named together with the account",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
                "NotPrincipal":
                {"AWS": ["arn:aws:iam::111122223333:user/bob", "arn:aws:iam::111122223333:root"]}}]}"#,
        ),
        asks: &[
            Ask(BOB, GET, SECRET, &[], Allow),
            Ask(ROOT, GET, SECRET, &[], Allow),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
            Ask(STRANGER, GET, SECRET, &[], ExplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ExplicitDeny),
            Ask(LAMBDA, GET, SECRET, &[], ExplicitDeny),
        ],
    },
    Example {
        page: NOT,
        says: "Without the account the user may be denied as well",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal":
                {"AWS": "arn:aws:iam::111122223333:user/bob"}}}"#,
        ),
        asks: &[Ask(BOB, GET, SECRET, &[], ExplicitDeny)],
    },
    Example {
        page: NOT,
        says: "The account alone leaves out none of its users",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal":
                {"AWS": "111122223333"}}}"#,
        ),
        asks: &[Ask(ROOT, GET, SECRET, &[], Allow), Ask(BOB, GET, SECRET, &[], ExplicitDeny)],
    },
    Example {
        page: NOT,
        says: "A session is left out if it, its role and its account are named",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal":
                {"AWS": ["arn:aws:sts::111122223333:assumed-role/deploy/build-7",
                "arn:aws:iam::111122223333:role/deploy",
                "arn:aws:iam::111122223333:root"]}}}"#,
        ),
        asks: &[
            Ask(SESSION, GET, SECRET, &[], Allow),
            Ask("arn:aws:sts::111122223333:assumed-role/deploy/build-8", GET, SECRET, &[], ExplicitDeny),
            Ask(ALICE, GET, SECRET, &[], ExplicitDeny),
        ],
    },
    Example {
        page: NOT,
        says: "A session is not left out by its role and account alone",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal":
                {"AWS": ["arn:aws:iam::111122223333:role/deploy", "111122223333"]}}}"#,
        ),
        asks: &[Ask(SESSION, GET, SECRET, &[], ExplicitDeny)],
    },
    Example {
        page: NOT,
        says: "... nor by itself and its account alone",
        identity: &[ALLOW_ALL],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal":
                {"AWS": ["arn:aws:sts::111122223333:assumed-role/deploy/build-7", "111122223333"]}}}"#,
        ),
        asks: &[Ask(SESSION, GET, SECRET, &[], ExplicitDeny)],
    },
    Example {
        page: NOT,
        says: "A service can be left out",
        identity: &[],
        resource: Some(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
                "NotPrincipal": {"Service": "lambda.amazonaws.com"}}, {"Effect": "Allow", "Principal": "*", "Action":
                "*",
                "Resource": "*"}]}"#,
        ),
        asks: &[
            Ask(LAMBDA, GET, SECRET, &[], Allow),
            Ask("service logs.amazonaws.com", GET, SECRET, &[], ExplicitDeny),
            Ask(ANONYMOUS, GET, SECRET, &[], ExplicitDeny),
        ],
    },
];
