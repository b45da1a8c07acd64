//! How an input is read: settings, then lines of eight bytes. The first byte of a line is what is done, the second the
//! account and Region, the third the secret; the others choose members. Digits are numbers, so that a line such as
//! `p01230..` can be written by hand; any other byte is one of these as well.

use crate::model::Settings;
use crate::policies::TEXTS;
use crate::request::{Bytes, Filter, Given, Listing, Metadata, Password, Request, Tags};
use strongroom_fuzz::Input;

const STEPS_MAX: usize = 64;
/// Each makes a hundred calls.
const BURSTS_MAX: usize = 2;

/// What goes wrong inside the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its commit fails and leaves nothing.
    Commit,
    /// Its commit fails although everything arrived.
    Flush,
    /// The engine panics in its commit.
    Panic,
    /// Only so many of its reads work.
    Reads(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Call(usize, Request),
    /// So many new versions of a secret.
    Burst(usize, String, usize),
    /// The clock moves by milliseconds.
    Clock(i64),
    Maintain,
    Reopen {
        is_closed: bool,
    },
    /// Power is lost: of what was not yet durable, some is left.
    Crash(usize),
    Fault(Fault),
}

const NAMES: [&str; 6] = ["app", "db/main", "app-a1b2c3", "prod/AppBeta", "uat/COMPANYthings", "z"];

const IDS: [&str; 20] = [
    "app",
    "db/main",
    "app-a1b2c3",
    "prod/AppBeta",
    "uat/COMPANYthings",
    "z",
    "<arn app>",
    "<arn db/main>",
    "<partial app>",
    "<partial app-a1b2c3>",
    "<old app>",
    "<suffix app>",
    "<region app>",
    "<account db/main>",
    "<bare app>",
    "nobody",
    "Inv Name",
    "arn:aws:secretsmanager",
    "<arn app-a1b2c3>",
    "",
];

const TOKENS: [Option<&str>; 10] = [
    Some("<fresh>"),
    Some("token-one-00000000000000000000001"),
    Some("token-two-0000000000000000000000002"),
    Some("<version>"),
    None,
    Some("<version 2>"),
    Some("12345678-1234-4234-8234-123456789abc"),
    Some("short"),
    Some("<version 3>"),
    Some("<version 1>"),
];

const VERSIONS: [Option<&str>; 9] = [
    None,
    Some("<version>"),
    Some("<version 1>"),
    Some("<version 2>"),
    Some("<version 3>"),
    Some("<holder>"),
    Some("<other>"),
    Some("token-one-00000000000000000000001"),
    Some(""),
];

const LABELS: [&str; 12] = [
    "AWSCURRENT",
    "AWSPENDING",
    "AWSPREVIOUS",
    "blue",
    "green",
    "<held 0>",
    "<held 1>",
    "<held 2>",
    "awscurrent",
    "AWSOTHER",
    " ✓",
    "",
];

const FILTERS: [(&str, &str); 12] = [
    ("name", "app"),
    ("name", "!app"),
    ("all", "beta"),
    ("all", "!one two"),
    ("description", "a secret"),
    ("description", "!"),
    ("tag-key", "team"),
    ("tag-value", "pay"),
    ("primary-region", "us-"),
    ("owning-service", "!x"),
    ("all", "Ythings"),
    ("name", "a*"),
];

const HOUR: i64 = 3_600_000;
const CLOCK: [i64; 14] = [
    1,
    1_000,
    HOUR,
    24 * HOUR - 1,
    24 * HOUR,
    24 * HOUR + 1,
    7 * 24 * HOUR,
    30 * 24 * HOUR,
    -1,
    -HOUR,
    -25 * HOUR,
    12 * HOUR,
    0,
    400 * 24 * HOUR,
];

fn one_of<'a, T: ?Sized>(input: &mut Input<'_>, of: &[&'a T]) -> &'a T {
    of[input.below(of.len())]
}

fn maybe(input: &mut Input<'_>, of: &[Option<&str>]) -> Option<String> {
    of[input.below(of.len())].map(str::to_owned)
}

/// What the store is opened with: one byte.
pub(crate) fn settings(input: &mut Input<'_>) -> Settings {
    let choice = input.below(8);
    Settings {
        require_token: choice & 1 == 1,
        versions_max: if choice & 2 == 2 { 104 } else { 1_000 },
        secrets_max: if choice & 4 == 4 { 4 } else { 500_000 },
    }
}

/// The steps of the rest of an input.
pub(crate) fn steps(input: &mut Input<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    while !input.0.is_empty() && steps.len() < STEPS_MAX {
        let step = step(&mut Input(input.take(8)));
        let bursts = steps.iter().filter(|step| matches!(step, Step::Burst(..))).count();
        if bursts < BURSTS_MAX || !matches!(step, Step::Burst(..)) {
            steps.push(step);
        }
    }
    steps
}

fn step(line: &mut Input<'_>) -> Step {
    const KINDS: &[u8] = b"cgbpuselvdrtnwkmoxfBPGDLV";
    let kind = line.byte();
    let kind = if KINDS.contains(&kind) { kind } else { KINDS[usize::from(kind) % KINDS.len()] };
    let tenant = line.below(3);
    match kind {
        b'k' => Step::Clock(CLOCK[line.below(CLOCK.len())]),
        b'm' => Step::Maintain,
        b'o' => Step::Reopen { is_closed: line.below(2) == 1 },
        b'x' => Step::Crash(line.below(256)),
        b'f' => Step::Fault(match line.below(8) {
            0 => Fault::Commit,
            1 => Fault::Flush,
            2 => Fault::Panic,
            reads => Fault::Reads(reads as u64 - 3),
        }),
        b'B' => Step::Burst(tenant, NAMES[line.below(2)].to_owned(), 95 + line.below(10)),
        _ => Step::Call(tenant, request(kind, line)),
    }
}

fn request(kind: u8, line: &mut Input<'_>) -> Request {
    if kind == b'c' {
        let (name, value) = (one_of(line, &NAMES).to_owned(), value(line));
        return Request::CreateSecret { name, value, metadata: metadata(line), tags: tags(line) };
    }
    let id = one_of(line, &IDS).to_owned();
    match kind {
        b'g' => {
            let version = maybe(line, &VERSIONS);
            Request::GetSecretValue { id, version, stage: label(line) }
        }
        b'b' => {
            let is_by_id = line.below(2) == 0;
            let (filters, max, next) = (filters(line), max(line), next(line));
            let ids = vec![id, "app".to_owned(), "db/main".to_owned()];
            if is_by_id {
                Request::BatchGetSecretValue { ids: Some(ids), filters: None, max: None, next: None }
            } else {
                Request::BatchGetSecretValue { ids: None, filters, max, next }
            }
        }
        b'p' => {
            let (value, token, stages) = (value(line), maybe(line, &TOKENS), stages(line));
            Request::PutSecretValue { id, token, value, stages, rotation_token: None }
        }
        b'u' => {
            let value = value(line);
            Request::UpdateSecret { id, value, metadata: metadata(line) }
        }
        b's' => {
            let stage = one_of(line, &LABELS).to_owned();
            let from = maybe(line, &VERSIONS);
            Request::UpdateSecretVersionStage { id, stage, from, to: maybe(line, &VERSIONS) }
        }
        b'l' => {
            let order = line.below(16);
            let sort_by = ["name", "created-date", "last-accessed-date", "last-changed-date"][order % 4];
            let (max, next, filters) = (max(line), next(line), filters(line));
            Request::ListSecrets(Listing {
                planned: Some(order & 4 == 4),
                filters,
                sort_by: Some(sort_by.to_owned()),
                order: (order & 8 == 8).then(|| "desc".to_owned()),
                max,
                next,
            })
        }
        b'v' => {
            let (max, next) = (max(line), next(line));
            Request::ListSecretVersionIds { id, max, next, deprecated: Some(line.below(2) == 0) }
        }
        b'd' => {
            let days = [None, Some(7), Some(30), Some(6), Some(31)][line.below(5)];
            Request::DeleteSecret { id, days, force: [None, Some(true), Some(false)][line.below(3)] }
        }
        b'r' => Request::RestoreSecret { id },
        b't' => Request::TagResource { id, tags: tags(line).unwrap_or_default() },
        b'P' => {
            let (policy, name) = (policy(line), policy_name(line));
            Request::PutResourcePolicy { id, policy, name, block: [None, Some(true), Some(false)][line.below(3)] }
        }
        b'G' => Request::GetResourcePolicy { id, name: policy_name(line) },
        b'D' => Request::DeleteResourcePolicy { id, name: policy_name(line) },
        b'L' => Request::ListResourcePolicies { id, max: max(line), next: next(line) },
        b'V' => {
            let policy = policy(line);
            Request::ValidateResourcePolicy { id: (line.below(2) == 1).then_some(id), policy }
        }
        b'n' => Request::UntagResource { id, keys: vec![one_of(line, &["team", "tag3", "foo", ""]).to_owned()] },
        b'w' => Request::GetRandomPassword(Password {
            length: [None, Some(1), Some(4), Some(40), Some(0)][line.below(5)],
            no_numbers: Some(line.below(2) == 1),
            no_lowercase: Some(line.below(2) == 1),
            each: Some(line.below(2) == 1),
            ..Password::default()
        }),
        _ => Request::DescribeSecret { id },
    }
}

fn value(line: &mut Input<'_>) -> Given {
    let string = |text: &str| Given { string: Some(text.to_owned()), binary: None };
    match line.below(9) {
        0 => string("one"),
        1 => string("two"),
        2 => Given { string: None, binary: Some(Bytes(b"one".to_vec())) },
        3 => Given::default(),
        4 => Given { string: Some("one".to_owned()), binary: Some(Bytes(vec![0])) },
        5 => string(""),
        6 => string(&"x".repeat(65_536)),
        7 => Given { string: None, binary: Some(Bytes(vec![255; 65_537])) },
        _ => string("{\"user\":\"väl\"}"),
    }
}

fn metadata(line: &mut Input<'_>) -> Metadata {
    let token = maybe(line, &TOKENS);
    let (description, key) = [
        (None, None),
        (Some("a secret"), None),
        (Some(""), Some("")),
        (Some("one and two"), Some("alias/app")),
        (None, Some("<key arn>")),
        (Some("credsDatabase#892"), Some("alias/aws/secretsmanager")),
    ][line.below(6)];
    Metadata { token, description: description.map(str::to_owned), key: key.map(str::to_owned), kind: None }
}

fn tags(line: &mut Input<'_>) -> Option<Tags> {
    let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    match line.below(7) {
        0 => None,
        1 => Some(vec![tag("team", "payments")]),
        2 => Some(vec![tag("foo", "One Two"), tag("team", "")]),
        3 => Some((0..50).map(|number| (format!("tag{number}"), "v".to_owned())).collect()),
        4 => Some(Vec::new()),
        5 => Some(vec![tag("aws:x", "v")]),
        _ => Some(vec![tag("foo", "v"), tag("foo", "w")]),
    }
}

fn policy(line: &mut Input<'_>) -> String {
    match line.below(TEXTS.len() + 1) {
        0 => String::new(),
        at => TEXTS[at - 1].0.to_owned(),
    }
}

fn policy_name(line: &mut Input<'_>) -> Option<String> {
    maybe(line, &[None, Some("default"), Some("other"), Some("a b")])
}

fn label(line: &mut Input<'_>) -> Option<String> {
    match line.below(LABELS.len() + 1) {
        0 => None,
        at => Some(LABELS[at - 1].to_owned()),
    }
}

fn stages(line: &mut Input<'_>) -> Option<Vec<String>> {
    let labels = |labels: &[&str]| Some(labels.iter().map(|label| (*label).to_owned()).collect());
    match line.below(9) {
        0 => None,
        1 => labels(&["AWSPENDING"]),
        2 => labels(&["AWSCURRENT"]),
        3 => labels(&["AWSCURRENT", "AWSPENDING"]),
        4 => labels(&["blue"]),
        5 => labels(&["green", "AWSPREVIOUS"]),
        6 => Some((0..18).map(|number| format!("label{number}")).collect()),
        7 => labels(&["blue", "blue"]),
        _ => labels(&[]),
    }
}

fn filters(line: &mut Input<'_>) -> Option<Vec<Filter>> {
    let (first, second) = (line.byte(), line.byte());
    let filter = |byte: u8| {
        let (key, value) = FILTERS[Input(&[byte]).below(FILTERS.len())];
        Filter { key: Some(key.to_owned()), values: vec![value.to_owned()] }
    };
    match (first, second) {
        (b'.', _) => Some(Vec::new()),
        (_, b'.') => Some(vec![filter(first)]),
        _ => Some(vec![filter(first), filter(second)]),
    }
}

fn max(line: &mut Input<'_>) -> Option<i32> {
    [None, Some(1), Some(2), Some(3), Some(20), Some(0), Some(101)][line.below(7)]
}

fn next(line: &mut Input<'_>) -> Option<String> {
    maybe(line, &[None, Some("<next>"), Some("<next anyway>"), Some("<next of any>"), Some("token")])
}
