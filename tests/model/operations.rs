//! Which operations are tried: small pools, so that calls meet each other, and wrong inputs of each kind.

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use crate::request::{Bytes, Filter, Given, Listing, Metadata, Password, Request, Tags};

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A call of a tenant.
    Call(usize, Request),
    /// The call, and then all pages that follow.
    Walk(usize, Request),
    /// So many new versions of a secret.
    Burst(usize, String, usize),
    /// The clock moves by milliseconds.
    Clock(i64),
    Maintain,
    /// The store is closed, or just dropped, and opened again.
    Reopen {
        is_closed: bool,
    },
}

pub(crate) const NAMES: [&str; 13] = [
    "app",
    "db/main",
    "app-a1b2c3",
    "/db/leading",
    "App",
    "prod/AppBeta",
    "app-a1b2c3-",
    "app-a1b2",
    "uat/COMPANYthings",
    "rds!db-1",
    "Invalid/_+=.@-Name-a1b2c3",
    "secret one2Two",
    "z",
];

const FEW: usize = 4;

/// All of these, or fewer where a failure is made shorter.
fn sample(steps: Vec<Step>) -> impl Strategy<Value = Vec<Step>> {
    let kept = vec(prop::bool::weighted(0.9), steps.len());
    kept.prop_map(move |kept| {
        steps.iter().zip(kept).filter(|(_, is_kept)| *is_kept).map(|(step, _)| step.clone()).collect()
    })
}

fn text(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

fn long(lengths: &'static [usize]) -> BoxedStrategy<String> {
    select(lengths).prop_map(|length| "x".repeat(length)).boxed()
}

fn mostly(parts: Vec<(u32, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    Union::new_weighted(parts).boxed()
}

/// A name that is allowed (`NAMES` has one that is not), and most often taken.
fn name() -> BoxedStrategy<String> {
    mostly(vec![(8, text(&NAMES[..FEW])), (2, text(&NAMES))])
}

fn new_name() -> BoxedStrategy<String> {
    mostly(vec![
        (10, name()),
        (20, text(&NAMES)),
        (1, long(&[512, 513])),
        (2, text(&["", "Inv Name", " Inv*Name? ", "naïve", " Inv *?!]Name\\-", "arn:aws:x"])),
    ])
}

/// A `SecretId` in any of its forms.
fn id() -> BoxedStrategy<String> {
    let arn = |form: &'static str| name().prop_map(move |name| format!("<{form} {name}>")).boxed();
    mostly(vec![
        (40, name()),
        (12, arn("arn")),
        (8, arn("partial")),
        (2, arn("suffix")),
        (2, arn("old")),
        (1, arn("region")),
        (1, arn("account")),
        (1, arn("bare")),
        (
            2,
            text(&[
                "",
                "nobody",
                "Inv Name",
                " Inv*Name? ",
                "naïve",
                "a#b",
                "arn:",
                "arn:aws:s3:::x",
                "arn:aws:secretsmanager",
            ]),
        ),
        (1, long(&[513, 2048, 2049])),
    ])
}

/// Tokens that are used again, and such that are not.
fn token() -> BoxedStrategy<Option<String>> {
    const AGAIN: [&str; 5] = [
        "token-one-00000000000000000000001",
        "token-two-0000000000000000000000002",
        "12345678-1234-4234-8234-123456789abc",
        "terraform-20240812120000000000000001",
        "a token with any characters at all, of exactly 64 characters ✓..",
    ];
    let some = mostly(vec![
        (6, text(&["<fresh>"])),
        (8, text(&AGAIN)),
        (3, text(&["<version>", "<version 2>", "<version 3>"])),
        (1, text(&["", "short", "token-of-31-characters-00000000"])),
        (1, long(&[32, 64, 65])),
    ]);
    weighted(0.8, some).boxed()
}

/// The id of a version.
fn version_id() -> BoxedStrategy<String> {
    mostly(vec![
        (12, text(&["<version>", "<version 1>", "<version 2>", "<version 3>"])),
        (6, text(&["<holder>", "<other>"])),
        (3, text(&["12345678-1234-4234-8234-123456789abc", "token-one-00000000000000000000001"])),
        (1, text(&["", "AWSCURRENT"])),
        (1, long(&[65])),
    ])
}

fn label() -> BoxedStrategy<String> {
    mostly(vec![
        (8, text(&["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"])),
        (6, text(&["blue", "green", "AWSSOMETHING", "PENDING", "awscurrent", " ✓"])),
        (3, (0..24_u8).prop_map(|n| format!("label{n}")).boxed()),
        (1, long(&[0, 256, 257])),
    ])
}

fn stages() -> BoxedStrategy<Option<Vec<String>>> {
    let some = Union::new_weighted(vec![
        (12, vec(label(), 1..4).boxed()),
        (2, vec((0..24_u8).prop_map(|n| format!("label{n}")), 5..22).boxed()),
        (1, Just(Vec::new()).boxed()),
    ]);
    weighted(0.6, some).boxed()
}

fn string() -> BoxedStrategy<String> {
    mostly(vec![
        (30, text(&["one", "two", "{\"user\":\"väl\"}"])),
        (1, long(&[0, 65_536, 65_537])),
        (1, Just("é".repeat(40_000)).boxed()),
    ])
}

fn binary() -> BoxedStrategy<Bytes> {
    Union::new_weighted(vec![
        (20, select(vec![b"one".to_vec(), b"two".to_vec(), vec![0, 255, 128]]).boxed()),
        (1, select(vec![0, 65_536, 65_537]).prop_map(|length| vec![7; length]).boxed()),
    ])
    .prop_map(Bytes)
    .boxed()
}

fn value() -> BoxedStrategy<Given> {
    Union::new_weighted(vec![
        (20, string().prop_map(|string| Given { string: Some(string), binary: None }).boxed()),
        (8, binary().prop_map(|binary| Given { string: None, binary: Some(binary) }).boxed()),
        (1, (string(), binary()).prop_map(|(s, b)| Given { string: Some(s), binary: Some(b) }).boxed()),
        (2, Just(Given::default()).boxed()),
    ])
    .boxed()
}

fn metadata() -> BoxedStrategy<Metadata> {
    let description = mostly(vec![
        (10, text(&["", "a secret", "asecret", "one and two", "credsDatabase#892", "Über COMPANYthings", "DescTwo"])),
        (1, long(&[2048, 2049])),
    ]);
    let key = mostly(vec![
        (12, text(&["", "alias/app", "alias/aws/secretsmanager", "8b9c3e1a-0000-4000-8000-000000000001", "<key arn>"])),
        (1, long(&[2049])),
    ]);
    let kind = mostly(vec![(4, text(&["", "Partner"])), (1, long(&[256, 257]))]);
    (token(), of(description), weighted(0.25, key), weighted(0.1, kind))
        .prop_map(|(token, description, key, kind)| Metadata { token, description, key, kind })
        .boxed()
}

fn tag_key() -> BoxedStrategy<String> {
    mostly(vec![
        (14, text(&["team", "Team", "foo", "1", "stage/AppBeta"])),
        (2, (0..60_u8).prop_map(|n| format!("tag{n}")).boxed()),
    ])
}

fn tags() -> BoxedStrategy<Tags> {
    let odd = mostly(vec![(3, text(&["", "aws:x", "AWS:y", "Aws", "ключ"])), (1, long(&[128, 129]))]);
    let any_key = mostly(vec![(16, tag_key()), (1, odd)]);
    let tag_value = mostly(vec![(12, text(&["", "payments", "foo", "One Two", "v"])), (1, long(&[256, 257]))]);
    Union::new_weighted(vec![
        (1, Just(Vec::new()).boxed()),
        (12, vec((any_key, tag_value), 1..4).boxed()),
        (
            1,
            (0..60_u8, 20..52_u8)
                .prop_map(|(from, n)| (from..from + n).map(|n| (format!("tag{n}"), "v".into())).collect())
                .boxed(),
        ),
    ])
    .boxed()
}

fn filter() -> BoxedStrategy<Filter> {
    const KEYS: [&str; 7] = ["name", "description", "tag-key", "tag-value", "all", "primary-region", "owning-service"];
    let key = Union::new_weighted(vec![
        (60, text(&KEYS[..5]).prop_map(Some).boxed()),
        (6, text(&KEYS[5..]).prop_map(Some).boxed()),
        (1, text(&["tags", ""]).prop_map(Some).boxed()),
        (1, Just(None).boxed()),
    ]);
    let plain = mostly(vec![
        (
            30,
            text(&["a", "app", "App", "db", "/", "one", "secret", "team", "foo", "beta", "one two", "o t", "a secret"]),
        ),
        (
            10,
            text(&["pay", "Ythings", "892", "creds", "company", "prod/App", "v", "T", "1", "desc t", "+", " ", "us-"]),
        ),
        (1, text(&["", "a*", "naïve", "a#b"])),
        (1, long(&[512, 513])),
    ]);
    let value =
        (prop::bool::weighted(0.2), plain).prop_map(|(not, value)| if not { format!("!{value}") } else { value });
    let values = Union::new_weighted(vec![
        (30, vec(value.clone(), 1..3).boxed()),
        (1, vec(value, 9..12).boxed()),
        (1, Just(Vec::new()).boxed()),
    ]);
    (key, values).prop_map(|(key, values)| Filter { key, values }).boxed()
}

fn filters() -> BoxedStrategy<Vec<Filter>> {
    Union::new_weighted(vec![
        (30, vec(filter(), 1..3).boxed()),
        (1, vec(filter(), 9..12).boxed()),
        (1, Just(Vec::new()).boxed()),
    ])
    .boxed()
}

fn max() -> BoxedStrategy<Option<i32>> {
    weighted(0.6, Union::new_weighted(vec![(16, 1..5_i32), (3, 18..23), (1, 99..103), (1, -1..1)])).boxed()
}

fn next() -> BoxedStrategy<Option<String>> {
    // "<next>" is never wrong. "<next anyway>" often is, because the rest of the request is another, and "<next of any>"
    // more often, because it may be for another operation, account or Region.
    let some = mostly(vec![
        (8, text(&["<next>"])),
        (2, text(&["<next anyway>", "<next of any>"])),
        (1, text(&["", "token"])),
        (1, long(&[4096, 4097])),
    ]);
    weighted(0.2, some).boxed()
}

fn listing() -> BoxedStrategy<Listing> {
    let sort_by = weighted(0.6, text(&["name", "created-date", "last-accessed-date", "last-changed-date"]));
    let order = weighted(0.5, text(&["asc", "desc"]));
    let odd = (weighted(0.5, text(&["names", ""])), weighted(0.5, text(&["up", "ASC"])));
    let sorting = Union::new_weighted(vec![(30, (sort_by, order).boxed()), (1, odd.boxed())]);
    (of(any::<bool>()), weighted(0.5, filters()), sorting, max(), next())
        .prop_map(|(planned, filters, (sort_by, order), max, next)| Listing {
            planned,
            filters,
            sort_by,
            order,
            max,
            next,
        })
        .boxed()
}

fn password() -> BoxedStrategy<Password> {
    let flag = || weighted(0.3, prop::bool::weighted(0.7));
    let length = weighted(0.7, Union::new_weighted(vec![(8, 1..6_i64), (4, 7..70), (1, 4095..4098), (1, -1..1)]));
    let exclude = mostly(vec![
        (
            8,
            text(&[
                "",
                "abc",
                "0123456789",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                " é",
                "abcdefghijklmnopqrstuvwxyz0123456789",
            ]),
        ),
        (1, long(&[4096, 4097])),
    ]);
    (length, weighted(0.5, exclude), (flag(), flag(), flag(), flag()), flag(), of(any::<bool>()))
        .prop_map(|(length, exclude, (no_numbers, no_punctuation, no_uppercase, no_lowercase), space, each)| Password {
            length,
            exclude,
            no_numbers,
            no_punctuation,
            no_uppercase,
            no_lowercase,
            space,
            each,
        })
        .boxed()
}

fn get() -> BoxedStrategy<Request> {
    let held = mostly(vec![(3, text(&["<held 0>", "<held 1>", "<held 2>"])), (1, label())]);
    (id(), weighted(0.3, version_id()), weighted(0.3, held))
        .prop_map(|(id, version, stage)| Request::GetSecretValue { id, version, stage })
        .boxed()
}

fn batch() -> BoxedStrategy<Request> {
    let ids = Union::new_weighted(vec![
        (12, vec(name(), 1..6).boxed()),
        (6, vec(id(), 1..6).boxed()),
        (1, vec(name(), 19..23).boxed()),
        (1, Just(Vec::new()).boxed()),
    ]);
    let by_id = (ids.clone(), weighted(0.05, 1..3_i32), weighted(0.05, text(&["token"])))
        .prop_map(|(ids, max, next)| (Some(ids), None, max, next));
    let by_filter = (filters(), max(), next()).prop_map(|(filters, max, next)| (None, Some(filters), max, next));
    let odd = (of(ids), of(filters()), max(), next());
    Union::new_weighted(vec![(8, by_id.boxed()), (8, by_filter.boxed()), (1, odd.boxed())])
        .prop_map(|(ids, filters, max, next)| Request::BatchGetSecretValue { ids, filters, max, next })
        .boxed()
}

fn put() -> BoxedStrategy<Request> {
    let rotation_token = mostly(vec![
        (2, text(&["12345678-1234-4234-8234-123456789abc"])),
        (1, text(&["", "short", "with spaces and of sufficient length, more than 36"])),
        (1, long(&[257])),
    ]);
    (id(), token(), value(), stages(), weighted(0.05, rotation_token))
        .prop_map(|(id, token, value, stages, rotation_token)| Request::PutSecretValue {
            id,
            token,
            value,
            stages,
            rotation_token,
        })
        .boxed()
}

fn update_stage() -> BoxedStrategy<Request> {
    let held = mostly(vec![(4, text(&["AWSCURRENT", "<held 0>", "<held 1>", "<held 2>"])), (2, label())]);
    let target = || text(&["<version>", "<version 1>", "<version 2>", "<version 3>", "<other>"]);
    let sensible = (held, weighted(0.7, text(&["<holder>"])), weighted(0.8, target()));
    let any = (label(), weighted(0.7, version_id()), weighted(0.7, version_id()));
    (id(), Union::new_weighted(vec![(3, sensible.boxed()), (1, any.boxed())]))
        .prop_map(|(id, (stage, from, to))| Request::UpdateSecretVersionStage { id, stage, from, to })
        .boxed()
}

fn rotate() -> BoxedStrategy<Request> {
    const FUNCTIONS: [&str; 2] = [
        "arn:aws:lambda:us-east-1:000000000000:function:rotate",
        "arn:aws:lambda:us-east-1:123456789012:function:rotate_2",
    ];
    let function = mostly(vec![
        (10, text(&FUNCTIONS)),
        (
            2,
            text(&[
                "",
                "x",
                "arn:aws:lambda:eu-west-1:000000000000:function:rotate",
                "arn:aws:lambda:us-east-1:000000000000:function:nobody",
                "arn:aws:lambda:us-east-1:000000000000:function:",
            ]),
        ),
        (1, long(&[2049])),
    ]);
    let days = Union::new_weighted(vec![(12, 1..9_i64), (2, 9..41), (1, -1..2), (1, 999..1_002)]);
    (id(), token(), weighted(0.7, function), weighted(0.5, days), weighted(0.5, prop::bool::weighted(0.5)))
        .prop_map(|(id, token, function, days, immediately)| Request::RotateSecret {
            id,
            token,
            function,
            days,
            immediately,
        })
        .boxed()
}

fn policy() -> BoxedStrategy<String> {
    mostly(vec![
        // Half of them can be attached.
        (10, select(crate::policies::TEXTS[..4].to_vec()).prop_map(|(text, _)| text.to_owned()).boxed()),
        (10, select(crate::policies::TEXTS.to_vec()).prop_map(|(text, _)| text.to_owned()).boxed()),
        (5, Just(crate::policies::TEXTS[2].0.to_owned()).boxed()),
        (1, long(&[0, 20_481])),
    ])
}

fn policy_name() -> BoxedStrategy<Option<String>> {
    let some = mostly(vec![(6, text(&["default"])), (2, text(&["other", "Default", "a b", ""])), (1, long(&[64, 65]))]);
    weighted(0.3, some).boxed()
}

/// Operations on resource policies.
fn governing() -> BoxedStrategy<Request> {
    let put = (id(), policy(), policy_name(), of(any::<bool>()))
        .prop_map(|(id, policy, name, block)| Request::PutResourcePolicy { id, policy, name, block });
    let delete = (id(), policy_name()).prop_map(|(id, name)| Request::DeleteResourcePolicy { id, name });
    let get = (id(), policy_name()).prop_map(|(id, name)| Request::GetResourcePolicy { id, name });
    let list = (id(), max(), next()).prop_map(|(id, max, next)| Request::ListResourcePolicies { id, max, next });
    let validate = (of(id()), policy()).prop_map(|(id, policy)| Request::ValidateResourcePolicy { id, policy });
    Union::new_weighted(vec![
        (8, put.boxed()),
        (3, delete.boxed()),
        (3, get.boxed()),
        (3, list.boxed()),
        (3, validate.boxed()),
    ])
    .boxed()
}

fn request() -> BoxedStrategy<Request> {
    let create = (new_name(), value(), metadata(), of(tags()))
        .prop_map(|(name, value, metadata, tags)| Request::CreateSecret { name, value, metadata, tags });
    let update = (id(), of(value()), metadata()).prop_map(|(id, value, metadata)| Request::UpdateSecret {
        id,
        value: value.unwrap_or_default(),
        metadata,
    });
    let list_versions = (id(), max(), next(), of(any::<bool>()))
        .prop_map(|(id, max, next, deprecated)| Request::ListSecretVersionIds { id, max, next, deprecated });
    let days = Union::new_weighted(vec![(6, 7..31_i64), (1, -1..7), (1, 30..32)]);
    let force = prop::bool::weighted(0.3);
    let delete = (id(), weighted(0.4, days), weighted(0.5, force))
        .prop_map(|(id, days, force)| Request::DeleteSecret { id, days, force });
    let untag_keys = Union::new_weighted(vec![
        (1, Just(Vec::new()).boxed()),
        (16, vec(tag_key(), 1..5).boxed()),
        (1, vec(long(&[0, 1, 129]), 1..3).boxed()),
    ]);
    Union::new_weighted(vec![
        (18, create.boxed()),
        (10, get()),
        (6, batch()),
        (22, put()),
        (10, update.boxed()),
        (16, update_stage()),
        (4, id().prop_map(|id| Request::DescribeSecret { id }).boxed()),
        (8, listing().prop_map(Request::ListSecrets).boxed()),
        (6, list_versions.boxed()),
        (5, delete.boxed()),
        (7, id().prop_map(|id| Request::RestoreSecret { id }).boxed()),
        (6, (id(), tags()).prop_map(|(id, tags)| Request::TagResource { id, tags }).boxed()),
        (4, (id(), untag_keys).prop_map(|(id, keys)| Request::UntagResource { id, keys }).boxed()),
        (3, password().prop_map(Request::GetRandomPassword).boxed()),
        (16, rotate()),
        (4, id().prop_map(|id| Request::CancelRotateSecret { id }).boxed()),
        (14, governing()),
    ])
    .boxed()
}

fn clock() -> BoxedStrategy<i64> {
    const HOUR: i64 = 3_600_000;
    Union::new_weighted(vec![
        (12, (1..5_i64).boxed()),
        (6, (1_000..100_000_i64).boxed()),
        (4, select(vec![HOUR, 12 * HOUR, 24 * HOUR - 1, 24 * HOUR, 24 * HOUR + 1]).boxed()),
        (1, (1..41_i64).prop_map(|days| days * 24 * HOUR).boxed()),
        (2, select(vec![7 * 24 * HOUR, 30 * 24 * HOUR]).boxed()),
        (3, select(vec![-1, -5_000, -HOUR, -25 * HOUR]).boxed()),
    ])
    .boxed()
}

/// Steps of one run. Most are of the first tenant.
pub(crate) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let tenant = || Union::new_weighted(vec![(10, 0..1_usize), (1, 1..3)]);
    let paged = Union::new_weighted(vec![
        (3, listing().prop_map(Request::ListSecrets).boxed()),
        (2, batch()),
        (
            2,
            (id(), max(), of(any::<bool>()))
                .prop_map(|(id, max, deprecated)| Request::ListSecretVersionIds { id, max, next: None, deprecated })
                .boxed(),
        ),
    ]);
    let step = Union::new_weighted(vec![
        (800, (tenant(), request()).prop_map(|(tenant, request)| Step::Call(tenant, request)).boxed()),
        (20, (tenant(), paged).prop_map(|(tenant, request)| Step::Walk(tenant, request)).boxed()),
        (120, clock().prop_map(Step::Clock).boxed()),
        (30, Just(Step::Maintain).boxed()),
        (8, any::<bool>().prop_map(|is_closed| Step::Reopen { is_closed }).boxed()),
        (
            1,
            (0..1_usize, text(&NAMES[..2]), 90..125_usize)
                .prop_map(|(tenant, name, count)| Step::Burst(tenant, name, count))
                .boxed(),
        ),
    ]);
    // Most secrets are there from the beginning.
    let first = NAMES[..FEW].iter().map(|name| {
        let value = Given { string: Some("one".to_owned()), binary: None };
        let metadata = Metadata { token: Some("<fresh>".to_owned()), ..Metadata::default() };
        Step::Call(0, Request::CreateSecret { name: (*name).to_owned(), value, metadata, tags: None })
    });
    let first: Vec<_> = first.collect();
    (sample(first), vec(step, 1..2 * count)).prop_map(|(first, steps)| [first, steps].concat())
}
