//! Runs the engine and the reference model side by side and compares them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::TimeDelta;
use serde_json::Value;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{Builder, Durability, MaintenanceReport, MemoryBackend, SecretStore, SecretsManager, StaticKey};
use tempfile::TempDir;

use crate::engine::Renew;
use crate::model::{Failure, Outcome, Settings, Tenant, World};
use crate::operations::Step;
use crate::request::{Bytes, Given, Listing, Request, shortened};
use crate::resolve::resolve;

/// 2023-11-14.
const START: i64 = 1_700_000_000_000;
/// Calls between two comparisons of everything but values.
const CALLS_PER_CHECK: u64 = 40;
/// Calls between two comparisons of everything.
const CALLS_PER_FULL_CHECK: u64 = 160;

/// Where the records are kept.
pub(crate) enum Medium {
    Memory(MemoryBackend),
    Files(TempDir, Durability),
}

/// How often each operation succeeded and failed, and with which codes.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) by_operation: BTreeMap<&'static str, (u64, u64)>,
    pub(crate) by_code: BTreeMap<String, u64>,
    pub(crate) opened: u64,
    pub(crate) purged: u64,
    pub(crate) removed_versions: u64,
    pub(crate) rotated: u64,
    pub(crate) tested: u64,
    pub(crate) failed: u64,
}

pub(crate) struct Run<'a> {
    medium: Medium,
    settings: Settings,
    clock: ManualClock,
    entropy: SeededEntropy,
    store: Option<SecretStore>,
    handles: Vec<SecretsManager>,
    tenants: Vec<Tenant>,
    world: World,
    counts: &'a mut Counts,
    calls: u64,
    /// What was done so far, in words.
    history: Vec<Box<dyn Fn() -> String>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(medium: Medium, settings: Settings, seed: u64, counts: &'a mut Counts) -> Self {
        let tenants = [("000000000000", "us-east-1"), ("000000000000", "eu-west-1"), ("123456789012", "us-east-1")]
            .map(|(account, region)| Tenant { account: account.into(), region: region.into() });
        let mut run = Self {
            medium,
            settings,
            clock: ManualClock::at_millis(START),
            entropy: SeededEntropy::new(seed),
            store: None,
            handles: Vec::new(),
            tenants: tenants.to_vec(),
            world: World::new(settings, START),
            counts,
            calls: 0,
            history: Vec::new(),
        };
        run.open();
        run
    }

    fn open(&mut self) {
        let builder: Builder = match &self.medium {
            Medium::Memory(memory) => SecretStore::with_backend(memory.clone()),
            Medium::Files(directory, durability) => {
                SecretStore::builder(directory.path().join("store")).durability(*durability)
            }
        };
        let store = builder
            .key_provider(StaticKey::new([7; 32]))
            .rotation_function("*", Renew)
            .partner_rotation("Partner", Renew)
            .partner_rotation("x".repeat(256), Renew)
            .rotation_retries(1, TimeDelta::minutes(1))
            .rotation_timeout(None)
            .clock(self.clock.clone())
            .entropy(self.entropy.clone())
            .require_client_request_token(self.settings.require_token)
            .versions_per_secret_max(self.settings.versions_max)
            .secrets_max(self.settings.secrets_max as u64)
            .open()
            .expect("the store opens");
        let handle = |tenant: &Tenant| store.secrets_manager(&tenant.account, &tenant.region).expect("it is a tenant");
        self.handles = self.tenants.iter().map(handle).collect();
        self.store = Some(store);
        self.counts.opened += 1;
    }

    /// Makes all steps and ends with a comparison of everything, before and after the store is opened again.
    pub(crate) fn all(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            self.step(step)?;
        }
        self.compare_all(true)?;
        self.step(&Step::Reopen { is_closed: true })?;
        self.compare_all(true)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step.clone() {
            Step::Call(tenant, request) => {
                let _done = self.call(tenant, request)?;
            }
            Step::Walk(tenant, request) => {
                let mut page = self.call(tenant, request)?;
                while page.is_ok_and(|page| page["NextToken"].is_string()) {
                    let next = self.world.pages.last().expect("the token was issued");
                    let (mut request, token) = (next.request.clone(), next.token.clone());
                    *request.next_mut().expect("it is a list") = Some(token);
                    page = self.call(tenant, request)?;
                }
            }
            Step::Burst(tenant, name, count) => {
                for n in 0..count {
                    let value = match n % 2 {
                        0 => Given { string: Some(format!("burst {n}")), binary: None },
                        _ => Given { string: None, binary: Some(Bytes(vec![7; n + 1])) },
                    };
                    let token = Some("<fresh>".to_owned());
                    let id = name.clone();
                    let put = Request::PutSecretValue { id, token, value, stages: None, rotation_token: None };
                    if self.call(tenant, put)?.is_err() {
                        break;
                    }
                }
            }
            Step::Clock(by) => {
                self.world.now += by;
                self.clock.advance(TimeDelta::milliseconds(by));
                self.history.push(Box::new(move || format!("the clock moves by {by} ms")));
            }
            Step::Maintain => self.maintain()?,
            Step::Reopen { is_closed } => {
                self.handles.clear();
                let store = self.store.take().expect("it is open");
                if is_closed {
                    store.close().map_err(|error| format!("closing failed: {error:?}"))?;
                } else {
                    drop(store);
                }
                self.open();
                self.history.push(Box::new(move || format!("the store is opened again (closed: {is_closed})")));
            }
        }
        Ok(())
    }

    /// One call on both sides.
    fn call(&mut self, tenant: usize, request: Request) -> Result<Outcome, String> {
        let who = &self.tenants[tenant];
        self.calls += 1;
        let request = resolve(&self.world, who, request, self.calls);
        let actual = crate::engine::call(&self.handles[tenant], &request);
        let learned = actual.clone().unwrap_or_default();
        let expected = self.world.call(who, &request, &learned);
        self.counts.count(request.operation(), &actual);
        let (done, told) = (request.clone(), actual.clone());
        self.history.push(Box::new(move || format!("{tenant}: {done}\n      {}", in_words(&told))));
        if actual != expected {
            return Err(self.story(&format!("{request}\n{}", difference(&actual, &expected))));
        }
        if self.calls.is_multiple_of(CALLS_PER_CHECK) {
            self.compare_all(self.calls.is_multiple_of(CALLS_PER_FULL_CHECK))?;
        }
        Ok(actual)
    }

    fn maintain(&mut self) -> Result<(), String> {
        let store = self.store.as_ref().expect("it is open");
        // Until nothing is left: a secret whose function was tried may be due for its rotation as well.
        let mut report = MaintenanceReport::default();
        loop {
            let MaintenanceReport {
                purged_secrets,
                removed_versions,
                rotated_secrets,
                tested_rotations,
                failed_rotations,
                next_due_at,
                ..
            } = store.maintain().map_err(|error| format!("maintenance failed: {error:?}"))?;
            report.purged_secrets += purged_secrets;
            report.removed_versions += removed_versions;
            report.rotated_secrets += rotated_secrets;
            report.tested_rotations += tested_rotations;
            report.failed_rotations += failed_rotations;
            report.next_due_at = next_due_at;
            if rotated_secrets + tested_rotations + failed_rotations == 0 {
                break;
            }
        }
        self.history.push(Box::new(|| "maintenance".to_owned()));
        let handles: Vec<_> = self.tenants.iter().zip(&self.handles).collect();
        let done = self.world.maintain(&|secret| {
            let handle = handles.iter().find(|(tenant, _)| **tenant == secret.tenant).map(|(_, handle)| *handle);
            let described = handle.map(|handle| {
                crate::engine::call(handle, &Request::DescribeSecret { id: secret.arn.clone() }).unwrap_or_default()
            });
            let described = described.unwrap_or_default();
            let stages = described["VersionIdsToStages"].as_object().cloned().unwrap_or_default();
            let is_current =
                |labels: &Value| labels.as_array().is_some_and(|all| all.iter().any(|l| l == "AWSCURRENT"));
            let current = stages.into_iter().find(|(_, labels)| is_current(labels));
            current.map(|(id, _)| id).unwrap_or_default()
        });
        self.counts.rotated += report.rotated_secrets;
        self.counts.tested += report.tested_rotations;
        self.counts.failed += report.failed_rotations;
        self.counts.purged += report.purged_secrets;
        self.counts.removed_versions += report.removed_versions;
        let next = report.next_due_at.map(|at| at.timestamp_millis());
        let rotations = [report.rotated_secrets, report.tested_rotations, report.failed_rotations];
        let actual = (report.purged_secrets, report.removed_versions, rotations, next);
        let rotations = [done.rotated as u64, done.tested as u64, done.failed as u64];
        let expected = (done.purged as u64, done.removed as u64, rotations, self.world.due());
        if actual != expected {
            return Err(self.story(&format!(
                "maintenance (purged secrets, removed versions, [rotated, tested, failed], next due)\nengine:    {actual:?}\nreference: {expected:?}"
            )));
        }
        Ok(())
    }

    /// Compares everything that can be seen: lists, descriptions, versions, and the values if they are asked for.
    fn compare_all(&mut self, with_values: bool) -> Result<(), String> {
        for tenant in 0..self.tenants.len() {
            self.compare(tenant, Request::ListSecrets(Listing { planned: Some(true), ..Listing::default() }))?;
            let mine = |secret: &&crate::model::Secret| secret.tenant == self.tenants[tenant];
            let secrets: Vec<_> = self.world.secrets.iter().filter(mine).cloned().collect();
            for secret in secrets {
                let id = secret.arn.clone();
                self.compare(tenant, Request::DescribeSecret { id: id.clone() })?;
                self.compare(tenant, Request::GetResourcePolicy { id: id.clone(), name: None })?;
                self.compare(tenant, Request::ListResourcePolicies { id: id.clone(), max: None, next: None })?;
                let deprecated = Some(true);
                let (max, mut next) = (None, None);
                loop {
                    let id = id.clone();
                    let page = Request::ListSecretVersionIds { id, max, next, deprecated };
                    next = self.compare(tenant, page)?["NextToken"].as_str().map(str::to_owned);
                    if next.is_none() {
                        break;
                    }
                }
                for version in secret.versions.iter().filter(|_| with_values) {
                    let (id, version) = (id.clone(), Some(version.id.clone()));
                    self.compare(tenant, Request::GetSecretValue { id, version, stage: None })?;
                }
            }
        }
        let stats = self.store.as_ref().expect("it is open").stats().map_err(|error| format!("{error:?}"))?;
        if stats.secrets != self.world.secrets.len() as u64 {
            let told =
                format!("the store counts {} secrets, the reference {}", stats.secrets, self.world.secrets.len());
            return Err(self.story(&told));
        }
        Ok(())
    }

    /// A call of the comparison itself, which is not counted.
    fn compare(&mut self, tenant: usize, request: Request) -> Result<Value, String> {
        let actual = crate::engine::call(&self.handles[tenant], &request);
        let learned = actual.clone().unwrap_or_default();
        let expected = self.world.call(&self.tenants[tenant], &request, &learned);
        if actual != expected {
            let told =
                format!("on comparing everything, tenant {tenant}: {request}\n{}", difference(&actual, &expected));
            return Err(self.story(&told));
        }
        Ok(learned)
    }

    /// All that was done, and the end of it.
    fn story(&self, end: &str) -> String {
        let mut out = format!("{:?}\n", self.settings);
        for (number, done) in self.history.iter().enumerate() {
            writeln!(out, "{number:4}. {}", done()).expect("a string can be written to");
        }
        writeln!(out, "\nthe engine and the reference model differ: {}", shortened(end)).expect("as above");
        out
    }
}

impl Counts {
    fn count(&mut self, operation: &'static str, outcome: &Outcome) {
        self.calls += 1;
        let (succeeded, failed) = self.by_operation.entry(operation).or_default();
        match outcome {
            Ok(_) => *succeeded += 1,
            Err(error) => {
                *failed += 1;
                *self.by_code.entry(error.code.clone()).or_default() += 1;
            }
        }
    }

    pub(crate) fn summary(&self) -> String {
        let each: Vec<_> =
            self.by_operation.iter().map(|(operation, (ok, failed))| format!("{operation} {ok}+{failed}")).collect();
        let codes: Vec<_> = self.by_code.iter().map(|(code, count)| format!("{code} {count}")).collect();
        format!(
            "{} calls (succeeded+failed): {}; {}; opened {} times, {} secrets purged, {} versions removed, {} secrets rotated, {} functions tried, {} rotations failed",
            self.calls,
            each.join(", "),
            codes.join(", "),
            self.opened,
            self.purged,
            self.removed_versions,
            self.rotated,
            self.tested,
            self.failed
        )
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Ok(response) => shortened(&response.to_string()),
        Err(Failure { code, message }) => shortened(&format!("{code}: {message}")),
    }
}

/// What differs, member by member.
fn difference(actual: &Outcome, expected: &Outcome) -> String {
    let mut out = String::new();
    if let (Ok(actual), Ok(expected)) = (actual, expected) {
        differences("", actual, expected, &mut out);
        return out;
    }
    format!("  engine:    {}\n  reference: {}", in_words(actual), in_words(expected))
}

fn differences(path: &str, actual: &Value, expected: &Value, out: &mut String) {
    match (actual, expected) {
        (Value::Object(a), Value::Object(e)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(e.keys()).collect();
            for name in names {
                let (a, e) = (a.get(name).unwrap_or(&Value::Null), e.get(name).unwrap_or(&Value::Null));
                differences(&format!("{path}.{name}"), a, e, out);
            }
        }
        (Value::Array(a), Value::Array(e)) if a.len() == e.len() => {
            for (index, (a, e)) in a.iter().zip(e).enumerate() {
                differences(&format!("{path}[{index}]"), a, e, out);
            }
        }
        _ if actual == expected => {}
        _ => writeln!(out, "  {path}\n    engine:    {actual}\n    reference: {expected}").expect("a string"),
    }
}
