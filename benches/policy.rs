//! Policies: reading them, deciding by them, wildcards that were made to be slow, and what a call on somebody's behalf costs
//! more than the host's own.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "floor/store.rs"]
#[expect(dead_code, reason = "one store in memory is enough")]
mod store;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use strongroom::{
    AuthorizationRequest, Caller, CreateSecretRequest, Decision, GetSecretValueRequest, IdentityPolicy, Policies,
    Principal, PutResourcePolicyRequest, RequestContext, ResourcePolicy, SecretStore, SecretsManager, Tag,
};

use measure::{Effort, Lane, Quantiles, Run, timed};

/// What each of them should take at most, in seconds.
const PARSE_BAR: f64 = 1e-3;
const EVALUATE_BAR: f64 = 50e-6;
const ENFORCE_BAR: f64 = 2e-6;

const ACCOUNT: &str = "111122223333";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db/main-a1b2c3";

fn repeat(mut work: impl FnMut()) -> impl FnMut(usize) -> f64 {
    move |operations| timed(|| (0..operations).for_each(|_| work()))
}

fn user(name: &str) -> Principal {
    Principal::parse(&format!("arn:aws:iam::{ACCOUNT}:user/{name}")).expect("it is a user")
}

/// A policy of just under 20,480 characters: statements for other people, other secrets and other conditions, and at the end
/// the one that decides.
fn large() -> String {
    let statement = |number: usize| {
        format!(
            r#"{{"Sid": "S{number}", "Effect": "Allow", "Principal": {{"AWS": "*"}}, "Action": "secretsmanager:Get*",
"Resource": "arn:aws:secretsmanager:*:{ACCOUNT}:secret:prod/*/main-??????",
"Condition": {{"StringLike": {{"aws:PrincipalArn": "arn:aws:iam::{ACCOUNT}:user/team-{number}/*"}},
"IpAddress": {{"aws:SourceIp": ["203.0.{number}.0/24", "2001:db8:{number}::/48"]}}}}}}"#
        )
    };
    let last = format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::{ACCOUNT}:user/alice"}}, "Action": "*", "Resource": "*"}}"#
    );
    let mut statements: Vec<String> = Vec::new();
    let mut length = last.len() + 64;
    for number in 0.. {
        let next = statement(number);
        length += next.len() + 1;
        if length > 20_480 {
            break;
        }
        statements.push(next);
    }
    statements.push(last);
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","))
}

/// What many secrets have: an application may read, only over its endpoint, and nobody from outside may do anything.
const TYPICAL: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Sid": "AppReads", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/app"},
     "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], "Resource": "*",
     "Condition": {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT", "aws:PrincipalTag/team": "payments"}}},
    {"Sid": "OnlyFromInside", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*",
     "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}}]}"#;

fn app() -> Caller {
    let session = Principal::parse(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/app/task")).expect("it is a session");
    let identity = IdentityPolicy::parse(
        r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:ListSecrets"], "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}]}"#,
    );
    Caller::new(session)
        .identity_policies([identity.expect("it is a policy")])
        .tags([Tag::new("team", "payments")])
        .source_ip(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)))
}

fn figure(run: &mut Run, what: &str, seconds: &[f64], bar: Option<f64>) {
    run.figure(what, Quantiles::of(seconds.to_vec()), "s", bar.map(|bar| 0.0..=bar));
}

/// Seconds of every round, for each lane.
fn rounds(run: &mut Run, operations: usize, lanes: &mut [Lane<'_>]) -> Vec<Vec<f64>> {
    let effort = Effort { rounds: 101, operations: run.scale(operations) };
    run.interleave(effort, lanes)
}

fn lane<'a>(name: &'a str, work: &'a mut dyn FnMut(usize) -> f64) -> Lane<'a> {
    Lane { name, bar: None, work }
}

/// Reading and deciding.
fn documents(run: &mut Run) {
    let text = large();
    let policy = ResourcePolicy::parse(&text).expect("it is a policy");
    let context = RequestContext::new().with("aws:SourceIp", "198.51.100.7");
    let request = AuthorizationRequest::new(user("alice"), "secretsmanager:GetSecretValue", SECRET).context(context);
    let policies = Policies::new().resource(&policy);
    assert_eq!(policies.evaluate(&request).decision, Decision::Allow, "the last statement decides");

    let mut parsing = repeat(|| {
        black_box(ResourcePolicy::parse(black_box(&text)).expect("it is a policy"));
    });
    let mut deciding = repeat(|| {
        black_box(policies.evaluate(black_box(&request)));
    });
    let mut explaining = repeat(|| {
        black_box(policies.explain(black_box(&request)));
    });
    let mut lanes = [lane("parse", &mut parsing), lane("evaluate", &mut deciding), lane("explain", &mut explaining)];
    let times = rounds(run, 100, &mut lanes);
    let size = format!("{} characters, {} statements", text.chars().count(), text.matches("Effect").count());
    let bars = [Some(PARSE_BAR), Some(EVALUATE_BAR), None];
    for ((lane, times), bar) in lanes.iter().zip(&times).zip(bars) {
        figure(run, &format!("{} ({size})", lane.name), times, bar);
    }
}

/// Patterns that make a matcher that goes back take forever, and the longest of them, in growing sizes: twice the size may
/// take no more than twice the time.
fn wildcards(run: &mut Run) {
    let shapes: [(&str, &str, &str); 4] = [
        ("a*a*…b* in aaa…", "a*", "a"),
        ("*a?*a?…b* in aaa…", "*a?", "a"),
        ("?*?*…b* in aaa…", "?*", "a"),
        ("*?a?a…b* in aaa…", "?a", "a"),
    ];
    for (name, unit, text) in shapes {
        for size in [1_000_usize, 2_000, 4_000, 8_000, 16_000] {
            let mut pattern = unit.repeat(size / unit.len());
            if unit == "?a" {
                pattern = format!("*{pattern}");
            }
            let document = format!(
                r#"{{"Statement": {{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:x:::{pattern}b*"}}}}"#
            );
            let policy = IdentityPolicy::parse(&document).expect("it is a policy");
            let resource = format!("arn:aws:x:::{}", text.repeat(2 * size));
            let request = AuthorizationRequest::new(user("alice"), "x:Y", resource);
            let policies = [policy];
            let policies = Policies::new().identity(&policies);
            assert_eq!(policies.evaluate(&request).decision, Decision::ImplicitDeny);
            let mut deciding = repeat(|| {
                black_box(policies.evaluate(black_box(&request)));
            });
            let times = rounds(run, 10, &mut [lane("evaluate", &mut deciding)]).concat();
            let characters = 2 * size;
            let each: Vec<f64> = times.iter().map(|seconds| seconds / characters as f64).collect();
            let title = format!("wildcards {name}, for each of {characters} characters, a pattern of {size}");
            figure(run, &title, &each, None);
            run.point("wildcards", name, characters as f64, Quantiles::of(times), "s");
        }
    }
}

fn get(manager: &SecretsManager) {
    let request = GetSecretValueRequest::new("prod/db/main").version_stage("AWSCURRENT");
    black_box(manager.get_secret_value(request).expect("the value is read").secret_string);
}

/// The same read by the host and by somebody whom policies allow it.
fn enforcement(run: &mut Run) {
    for (what, document) in [("a typical policy", TYPICAL.to_owned()), ("a policy of 20 KB", large())] {
        let store = store::with_key(SecretStore::in_memory()).open().expect("the store opens");
        let host = store.secrets_manager(ACCOUNT, "us-east-1").expect("it is an account");
        host.create_secret(CreateSecretRequest::new("prod/db/main").secret_string("s3cret")).expect("it is made");
        let put = PutResourcePolicyRequest::new("prod/db/main", document);
        host.put_resource_policy(put).expect("it is attached");
        let somebody = if what.starts_with("a typical") { app() } else { Caller::new(user("alice")) };
        let caller = host.as_caller(somebody);
        get(&caller);
        let mut by_host = repeat(|| get(&host));
        let mut by_caller = repeat(|| get(&caller));
        let times = rounds(run, 500, &mut [lane("host", &mut by_host), lane("caller", &mut by_caller)]);
        let [host, caller] = times.as_slice() else { return };
        figure(run, &format!("get by the host, with {what}"), host, None);
        figure(run, &format!("get by a caller, with {what}"), caller, None);
        let more: Vec<f64> = caller.iter().zip(host).map(|(caller, host)| caller - host).collect();
        let bar = if what.starts_with("a typical") { ENFORCE_BAR } else { EVALUATE_BAR };
        figure(run, &format!("enforcement of {what}"), &more, Some(bar));
    }
}

fn main() {
    let mut run = Run::begin();
    documents(&mut run);
    wildcards(&mut run);
    enforcement(&mut run);
    run.finish();
}
