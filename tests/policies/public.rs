//! Whether a policy is public: what is called not public gives nothing to outsiders, by search, and what the documentation
//! calls public or not is called so.
//!
//! 4,000 documents that are not public although they allow something to everybody are searched, 40,000 with
//! `STRONGROOM_LONG=1`.

use std::collections::{BTreeMap, BTreeSet};

use strongroom::{Decision, IdentityPolicy, Policies, ResourcePolicy};

use crate::generate::{Ask, Cond, Doc, List, Person, Random, Stmt, Who};

/// Keys that say who asks, or from where.
const CONFINING: [&str; 9] = [
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceAccount",
    "aws:PrincipalOrgID",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:userid",
    "aws:SourceIp",
];

const OTHER_KEYS: [&str; 7] = [
    "aws:PrincipalTag/team",
    "aws:TagKeys",
    "aws:SecureTransport",
    "aws:PrincipalType",
    "aws:username",
    "secretsmanager:VersionStage",
    "aws:CalledVia",
];

const TEXTS: [&str; 13] = [
    "vpc-1a",
    "vpc-*",
    "*",
    "111122223333",
    "anonymous",
    "o-aaaaaaaaaa",
    "${aws:PrincipalTag/team}",
    "${aws:username, 'vpc-1a'}",
    "${*}",
    "a?c",
    "AROADEPLOY:*",
    "true",
    "",
];

const ARNS: [&str; 8] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:*",
    "arn:aws:sns:us-east-1:111122223333:topic",
    "*",
    "arn:aws:s3:::bucket",
    "arn:aws:*:*:*:*",
    "arn:aws:sns:us-east-1:${aws:PrincipalAccount}:topic",
    "arn:aws:iam",
];

const BLOCKS: [&str; 10] = [
    "203.0.113.0/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "128.0.0.0/1",
    "192.0.0.0/7",
    "198.51.100.7",
    "2001:db8::/32",
    "2000::/3",
    "::/0",
    "2001:db8::1",
];

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-a1b2c3";
const GET: &str = "secretsmanager:GetSecretValue";

/// Nobody of these is named by a generated document.
fn outsiders() -> [Person; 5] {
    [
        Person::Anonymous,
        Person::Aws("arn:aws:iam::777788889999:user/eve".to_owned()),
        Person::Aws("arn:aws:iam::777788889999:root".to_owned()),
        Person::Aws("arn:aws:sts::777788889999:assumed-role/deploy/s1".to_owned()),
        Person::Federated("accounts.google.com".to_owned()),
    ]
}

fn document(random: &mut Random) -> Doc {
    let version = if random.percent(80) { Some("2012-10-17") } else { None };
    Doc { version, statements: (0..1 + random.below(3)).map(|_| statement(random)).collect() }
}

fn statement(random: &mut Random) -> Stmt {
    let effect = if random.percent(85) { "Allow" } else { "Deny" };
    let list = |random: &mut Random, narrow: &str| {
        let of = if random.percent(80) { "*" } else { narrow };
        let negated = random.percent(8);
        List { negated, of: vec![if negated { "secretsmanager:Delete*" } else { of }.to_owned()] }
    };
    let actions = list(random, "secretsmanager:Get*");
    let mut resources = list(random, SECRET);
    if resources.negated {
        resources.of = vec!["arn:aws:s3:::*".to_owned()];
    }
    let mut conditions: Vec<Cond> = Vec::new();
    for _ in 0..*random.pick(&[0, 1, 1, 1, 2, 2, 3]) {
        let condition = condition(random);
        if !conditions
            .iter()
            .any(|other| other.operator == condition.operator && other.key.eq_ignore_ascii_case(&condition.key))
        {
            conditions.push(condition);
        }
    }
    Stmt { sid: None, effect, principal: Some(principal(random, effect)), actions, resources, conditions }
}

fn principal(random: &mut Random, effect: &str) -> Who {
    let negated = effect == "Deny" && random.percent(30);
    let everybody = || ("AWS", "*".to_owned());
    if !negated && random.percent(55) {
        return Who { negated, entries: if random.percent(50) { vec![everybody()] } else { Vec::new() } };
    }
    let named = [
        ("AWS", "111122223333"),
        ("AWS", "arn:aws:iam::444455556666:root"),
        ("AWS", "arn:aws:iam::111122223333:user/alice"),
        ("AWS", "arn:aws:iam::444455556666:role/deploy"),
        ("Service", "lambda.amazonaws.com"),
        ("Federated", "arn:aws:iam::111122223333:saml-provider/corp"),
        ("CanonicalUser", crate::generate::CANONICAL),
        ("Federated", "accounts.google.com"),
    ];
    let mut entries: Vec<(&str, String)> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let count = if random.percent(15) { 8 } else { 7 };
        let (kind, name) = *random.pick(&named[..count]);
        entries.push((kind, name.to_owned()));
    }
    if !negated && random.percent(15) {
        entries.push(everybody());
    }
    Who { negated, entries }
}

fn condition(random: &mut Random) -> Cond {
    let key = if random.percent(70) { *random.pick(&CONFINING) } else { *random.pick(&OTHER_KEYS) };
    let texts = [
        "StringEquals",
        "StringLike",
        "StringEquals",
        "StringLike",
        "StringNotEquals",
        "StringNotLike",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
    ];
    let arns = ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"];
    let (test, pool): (&str, &[&str]) = match random.below(10) {
        _ if key == "aws:SourceIp" && random.percent(70) => {
            (if random.percent(85) { "IpAddress" } else { "NotIpAddress" }, &BLOCKS)
        }
        0 => ("Null", &["true", "false"]),
        1 => ("Bool", &["true", "false"]),
        2 if !key.ends_with("Arn") => ("IpAddress", &BLOCKS),
        3 | 4 => (*random.pick(&arns), &ARNS),
        5..=7 if key.ends_with("Arn") => (*random.pick(&arns), &ARNS),
        5 if key.ends_with("Account") => ("NumericEquals", &["111122223333", "0"]),
        _ => (*random.pick(&texts), &TEXTS),
    };
    let quantifier = match random.below(10) {
        _ if test == "Null" => "",
        0 | 1 => "ForAllValues:",
        2 | 3 => "ForAnyValue:",
        _ => "",
    };
    let if_exists = if test != "Null" && random.percent(12) { "IfExists" } else { "" };
    // Mostly those that name something.
    let value = |random: &mut Random| {
        let pool = if random.percent(60) { &pool[..1] } else { pool };
        (*random.pick(pool)).to_owned()
    };
    let values = (0..1 + random.below(2)).map(|_| value(random)).collect();
    let key = if random.percent(10) { key.to_uppercase() } else { key.to_owned() };
    Cond { operator: format!("{quantifier}{test}{if_exists}"), key, values }
}

/// A value one character off, or one more.
fn near(random: &mut Random, value: &str) -> String {
    match random.below(3) {
        0 => format!("{value}x"),
        1 => value.chars().skip(1).collect(),
        _ => value.to_uppercase(),
    }
}

/// A request of an outsider: keys that confine have values that no policy names, or none; all others what the document
/// has for any key, something near to it, none, or several.
fn ask(random: &mut Random, person: &Person, doc: &Doc, values: &[String]) -> Ask {
    let conditions = doc.statements.iter().flat_map(|statement| &statement.conditions);
    let keys: BTreeSet<String> = conditions
        .map(|condition| condition.key.to_ascii_lowercase())
        .chain(["aws:principaltag/team".to_owned()])
        .collect();
    let mut context = BTreeMap::new();
    for key in keys {
        let fresh: &[&str] = match key.as_str() {
            // They follow from the principal.
            "aws:principalarn" | "aws:principalaccount" => continue,
            "aws:sourceip" => &["9.9.9.9", "fc00::9", "elsewhere"],
            "aws:sourcearn" => &["arn:aws:sns:us-east-1:777788889999:fresh", "arn:aws:s3:::fresh"],
            key if CONFINING.iter().any(|confining| confining.eq_ignore_ascii_case(key)) => {
                &["fresh-1", "777788889999"]
            }
            _ => &[],
        };
        let one = |random: &mut Random| {
            if !fresh.is_empty() {
                return (*random.pick(fresh)).to_owned();
            }
            let value = random.pick(values);
            if random.percent(85) { value.clone() } else { near(random, value) }
        };
        let count = *random.pick(&[0, 1, 1, 1, 1, 2]);
        if count > 0 || random.percent(30) {
            let held: Vec<String> = (0..count).map(|_| one(random)).collect();
            context.insert(key, held);
        }
    }
    Ask { person: person.clone(), action: GET.to_owned(), resource: SECRET.to_owned(), context }
}

/// Whether some request of an outsider is allowed.
fn gives_to_outsiders(
    random: &mut Random,
    doc: &Doc,
    policy: &ResourcePolicy,
    everything: &[IdentityPolicy],
) -> Option<Ask> {
    let conditions = doc.statements.iter().flat_map(|statement| &statement.conditions);
    let mut values: Vec<String> = conditions.flat_map(|condition| condition.values.clone()).collect();
    values.extend(["true", "false", "Anonymous", "User", "vpc-1a"].map(str::to_owned));
    for person in outsiders() {
        for _ in 0..6 {
            let ask = ask(random, &person, doc, &values);
            let policies = Policies::new().identity(everything).resource(policy);
            if policies.evaluate(&ask.request()).decision == Decision::Allow {
                return Some(ask);
            }
        }
    }
    None
}

#[test]
fn what_is_called_not_public_gives_nothing_to_outsiders() {
    let wanted = if crate::is_long() { 40_000 } else { 4_000 };
    let mut random = Random(crate::seed());
    let everything =
        [IdentityPolicy::parse(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#).unwrap()];
    let (mut documents, mut public, mut searched, mut seen, mut confirmed, mut open) = (0, 0, 0, 0, 0, 0);
    while open < wanted {
        let doc = document(&mut random);
        let text = doc.text();
        let policy = ResourcePolicy::parse(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        documents += 1;
        let is_public = policy.public_statement().is_some();
        public += usize::from(is_public);
        let is_everybody = |who: &Who| who.entries.is_empty() || who.entries.iter().any(|(_, name)| name == "*");
        let is_open =
            |statement: &Stmt| statement.effect == "Allow" && statement.principal.as_ref().is_some_and(is_everybody);
        let is_open = doc.statements.iter().any(is_open);
        // Of those that are public, or allow nothing to everybody, a part is enough.
        if (is_public || !is_open) && !random.percent(10) {
            continue;
        }
        searched += 1;
        let found = gives_to_outsiders(&mut random, &doc, &policy, &everything);
        if is_public {
            seen += 1;
            confirmed += usize::from(found.is_some());
            continue;
        }
        assert!(found.is_none(), "it is called not public, and allows {found:#?}: {text}");
        open += usize::from(is_open);
    }
    eprintln!(
        "{documents} documents, {public} of them public; searched {searched}: {confirmed} of {seen} that are public were seen \
         to give something to outsiders, of {} that are not, {open} of which allow something to everybody, none",
        searched - seen
    );
    // A search that finds nothing where there is something would prove nothing.
    assert!(confirmed * 100 / seen >= 50, "the search finds too little");
}

/// The place of the statement that is public, what the documentation says of the policy, and its statements.
struct Row(Option<usize>, &'static str, &'static str);

/// "The meaning of public":
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>,
/// to which the service refers for `BlockPublicPolicy`:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html>
const MEANING: &[Row] = &[
    Row(Some(0), "everybody", r#"{"Principal": "*"}"#),
    Row(Some(0), "everybody, the longer way", r#"{"Principal": {"AWS": "*"}}"#),
    Row(Some(0), "everybody among others", r#"{"Principal": {"AWS": ["111122223333", "*"]}}"#),
    Row(
        None,
        "a VPC by its id",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        Some(0),
        "VPCs by a wildcard",
        r#"{"Principal": "*", "Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}"#,
    ),
    Row(
        None,
        "StringLike without a wildcard",
        r#"{"Principal": "*", "Condition": {"StringLike": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        Some(1),
        "a statement that is not public, and one that is",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}, {"Principal": "*"}"#,
    ),
    Row(
        None,
        "an endpoint",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}}"#,
    ),
    Row(
        None,
        "an organization",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-xxxxxxxxxxx"}}}"#,
    ),
    Row(
        Some(0),
        "organizations by a wildcard",
        r#"{"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}}"#,
    ),
    Row(None, "an account", r#"{"Principal": {"AWS": "arn:aws:iam::444455556666:root"}}"#),
    Row(
        None,
        "a user and a role",
        r#"{"Principal": {"AWS": ["arn:aws:iam::444455556666:user/a", "arn:aws:iam::444455556666:role/b"]}}"#,
    ),
    Row(None, "a service", r#"{"Principal": {"Service": "cloudtrail.amazonaws.com"}}"#),
    Row(
        None,
        "a block of addresses",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}"#,
    ),
    Row(None, "a block of /8", r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "54.0.0.0/8"}}}"#),
    Row(
        Some(0),
        "a block broader than /8",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "54.0.0.0/7"}}}"#,
    ),
    Row(
        Some(0),
        "half of the internet",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}}"#,
    ),
    Row(
        None,
        "a block of /32 of IPv6",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}}"#,
    ),
    Row(
        Some(0),
        "a broader one of IPv6",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "2001:db8::/31"}}}"#,
    ),
    Row(
        Some(0),
        "a narrow block and a broad one",
        r#"{"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}}}"#,
    ),
    Row(
        Some(0),
        "all addresses but some",
        r#"{"Principal": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}"#,
    ),
    Row(
        None,
        "the ARN of a source",
        r#"{"Principal": "*", "Condition": {"ArnEquals": {"aws:SourceArn":
            "arn:aws:sns:us-east-1:111122223333:topic"}}}"#,
    ),
    Row(
        Some(0),
        "sources by a wildcard",
        r#"{"Principal": "*", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}}"#,
    ),
    Row(
        None,
        "the account of a source",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}"#,
    ),
    Row(None, "a user id", r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:userid": "AIDAEXAMPLE"}}}"#),
    Row(
        Some(0),
        "aws:userid of the form AROLEID:*",
        r#"{"Principal": "*", "Condition": {"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}}"#,
    ),
    Row(
        Some(0),
        "a policy variable",
        r#"{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}}}"#,
    ),
    Row(Some(0), "only over TLS", r#"{"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}"#),
    Row(
        Some(0),
        "only from a page",
        r#"{"Principal": "*", "Condition": {"StringLike": {"aws:Referer": "http://example.com/*"}}}"#,
    ),
    Row(
        Some(0),
        "everywhere but in a VPC",
        r#"{"Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        Some(0),
        "in a VPC if there is one",
        r#"{"Principal": "*", "Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        Some(0),
        "true without values",
        r#"{"Principal": "*", "Condition": {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        None,
        "false without values",
        r#"{"Principal": "*", "Condition": {"ForAnyValue:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(
        None,
        "several conditions, of which one confines",
        r#"{"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}, "StringEquals":
            {"aws:SourceVpc": "vpc-91237329"}}}"#,
    ),
    Row(None, "everybody is denied", r#"{"Effect": "Deny", "Principal": "*"}"#),
    Row(None, "everybody but somebody is denied", r#"{"Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}}"#),
    Row(
        Some(1),
        "a statement that denies does not make up for one that allows",
        r#"{"Effect": "Deny", "Principal": "*", "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}}},
            {"Principal": "*"}"#,
    ),
    Row(
        Some(0),
        "whoever has an account with a provider of the web",
        r#"{"Principal": {"Federated": "accounts.google.com"}}"#,
    ),
    Row(
        None,
        "a provider of the account",
        r#"{"Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/corp"}}"#,
    ),
];

#[test]
fn policies_are_public_as_the_documentation_means_it() {
    for Row(expected, says, statements) in MEANING {
        let array: Vec<serde_json::Value> = serde_json::from_str(&format!("[{statements}]")).unwrap();
        let complete = |mut statement: serde_json::Value| {
            for (element, value) in
                [("Effect", "Allow"), ("Action", "secretsmanager:GetSecretValue"), ("Resource", "*")]
            {
                if statement.get(element).is_none() {
                    statement[element] = value.into();
                }
            }
            statement
        };
        let statements: Vec<serde_json::Value> = array.into_iter().map(complete).collect();
        let text = serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policy = ResourcePolicy::parse(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        assert_eq!(policy.public_statement(), *expected, "{says}: {text}");
    }
    eprintln!("{} policies are public or not as the documentation means it", MEANING.len());
}
