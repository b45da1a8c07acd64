//! One simulation: the store and the reference model side by side.
//!
//! Whatever was acknowledged is in the model. Where something went wrong, the model is set to that of the allowed states
//! which the store shows (see `mod aftermath`), and everything that can be seen is compared.

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;
use serde_json::Value;
use strongroom::Error;

use crate::counts::Counts;
use crate::machine::{Machine, has_keyring};
use crate::model::{Outcome, Secret, Settings, Tenant, World};
use crate::request::{Given, Listing, Request, shortened};
use crate::resolve::resolve;
use crate::steps::Step;

/// 2023-11-14.
const START: i64 = 1_700_000_000_000;
/// Steps between two comparisons of everything but values.
const STEPS_PER_CHECK: u64 = 15;
/// Steps between two comparisons of everything.
const STEPS_PER_FULL_CHECK: u64 = 60;
/// How much of what was done is told of a failure.
const TOLD: usize = 60;

/// A write that is going to fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    pub(crate) write: u64,
    pub(crate) power_cut: Option<usize>,
}

/// What the key provider does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Work,
    AreOut,
    AreFlaky,
}

pub(crate) struct Run<'a> {
    pub(crate) machine: Machine,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) world: World,
    pub(crate) counts: &'a mut Counts,
    /// What there was after each commit that a power cut may still go back to, or that was not the last of a call.
    pub(crate) snapshots: BTreeMap<usize, Vec<Secret>>,
    pub(crate) armed: Option<Armed>,
    seed: u64,
    reads_left: Option<u64>,
    keys: Keys,
    calls: u64,
    settings: Settings,
    /// The last things that were done, in words.
    told: VecDeque<Box<dyn Fn() -> String>>,
}

/// What a call did, for the one that judges it.
pub(crate) struct Made {
    pub(crate) tenant: usize,
    pub(crate) request: Request,
    pub(crate) actual: Outcome,
    /// Commits that no power cut could take before the call.
    pub(crate) floor: usize,
}

/// Everything in order from first to last. The error is a story for people.
pub(crate) fn simulate(seed: u64, steps: &[Step], counts: &mut Counts) -> Result<(), String> {
    let settings = Settings {
        require_token: seed.is_multiple_of(7),
        versions_max: if seed.is_multiple_of(5) { 110 } else { 1_000 },
        secrets_max: if seed.is_multiple_of(6) { 3 } else { 500_000 },
    };
    let tenants = [("000000000000", "us-east-1"), ("123456789012", "eu-west-1")]
        .map(|(account, region)| Tenant { account: account.into(), region: region.into() });
    let mut run = Run {
        machine: Machine::new(seed, START, settings, &tenants),
        tenants: tenants.to_vec(),
        world: World::new(settings, START),
        counts,
        snapshots: BTreeMap::new(),
        armed: None,
        seed,
        reads_left: None,
        keys: Keys::Work,
        calls: 0,
        settings,
        told: VecDeque::new(),
    };
    let done = run.all(steps);
    done.map_err(|end| run.story(&end))
}

impl Run<'_> {
    fn all(&mut self, steps: &[Step]) -> Result<(), String> {
        self.machine.open().map_err(|error| format!("a new store does not open: {error:?}"))?;
        self.remember();
        for (number, step) in (1..).zip(steps) {
            self.counts.steps += 1;
            self.step(step)?;
            if number % STEPS_PER_CHECK == 0 {
                self.compare_all(number % STEPS_PER_FULL_CHECK == 0)?;
            }
        }
        self.mend_keys();
        self.compare_all(true)?;
        self.reopen(true)?;
        self.compare_all(true)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step.clone() {
            Step::Call(tenant, request) => self.call(tenant, request)?,
            Step::Burst(tenant, name, count) => {
                for n in 0..count {
                    let value = Given { string: Some(format!("burst {n}")), binary: None };
                    let (id, token) = (name.clone(), Some("<fresh>".to_owned()));
                    self.call(
                        tenant,
                        Request::PutSecretValue { id, token, value, stages: None, rotation_token: None },
                    )?;
                }
            }
            Step::Clock(by) => self.advance(by),
            Step::ClockToDue(beyond) => {
                let by = self.world.due().map_or(0, |due| due + beyond - self.world.now);
                if by > 0 {
                    self.advance(by);
                }
            }
            Step::Maintain => self.maintain()?,
            Step::Flush => {
                self.machine.store().flush().map_err(|error| format!("flushing failed: {error:?}"))?;
                self.tell(|| "flush".to_owned());
                if self.machine.disk.durable_commits() < self.machine.disk.commits() {
                    return Err("a flush left something that a power cut can take".to_owned());
                }
                self.remember();
            }
            Step::Reopen { is_closed } => self.reopen(is_closed)?,
            Step::PowerCut { spared } => {
                self.counts.crashes += 1;
                let floor = self.machine.disk.durable_commits();
                self.lose_power(floor, spared)?;
            }
            // One thing at a time, so that it is known what each of them may do.
            Step::FailWrite { fault, after, power_cut } if self.armed.is_none() => {
                self.reads_left = None;
                self.armed = Some(Armed { write: self.machine.fail_write(fault, after), power_cut });
                self.tell(move || format!("the write after {after} others will fail: {fault:?}"));
            }
            Step::FailReads { after } if self.armed.is_none() && self.keys == Keys::Work => {
                self.reads_left = Some(after);
            }
            Step::FailWrite { .. } | Step::FailReads { .. } => {}
            Step::Outage(Some(error)) => {
                self.mend_keys();
                self.reads_left = None;
                self.keys = Keys::AreOut;
                self.machine.provider.fail_with(Some(error.clone()));
                self.tell(move || format!("the key provider fails: {error}"));
            }
            Step::Outage(None) => self.mend_keys(),
            Step::Flaky(per_cent) => {
                self.mend_keys();
                self.reads_left = None;
                self.keys = Keys::AreFlaky;
                self.machine.provider.fail_per_cent(per_cent);
                self.tell(move || format!("of a hundred calls of the key provider {per_cent} fail"));
            }
        }
        Ok(())
    }

    pub(crate) fn tell(&mut self, what: impl Fn() -> String + 'static) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        self.told.push_back(Box::new(what));
    }

    fn advance(&mut self, by: i64) {
        self.world.now += by;
        self.machine.clock.advance(TimeDelta::milliseconds(by));
        self.counts.milliseconds += by;
        self.tell(move || format!("the clock moves by {by} ms"));
    }

    pub(crate) fn keys_work(&self) -> bool {
        self.keys == Keys::Work
    }

    pub(crate) fn mend_keys(&mut self) {
        if self.keys != Keys::Work {
            self.keys = Keys::Work;
            self.machine.provider.fail_with(None);
            self.machine.provider.fail_per_cent(0);
            self.tell(|| "the key provider works again".to_owned());
        }
    }

    /// Notes what there is now, for power cuts, and forgets what no power cut can bring back.
    pub(crate) fn remember(&mut self) {
        let commits = self.machine.disk.commits();
        if self.snapshots.last_key_value().is_none_or(|(last, _)| *last != commits) {
            self.snapshots.insert(commits, self.world.secrets.clone());
        }
        let floor = self.machine.disk.durable_commits();
        if let Some((needed, _)) = self.snapshots.range(..=floor).next_back() {
            let needed = *needed;
            self.snapshots.retain(|commits, _| *commits >= needed);
        }
    }

    /// Opens the store, at first in vain if the key provider is out.
    pub(crate) fn open(&mut self) -> Result<(), String> {
        (self.armed, self.reads_left) = (None, None);
        self.counts.opened += 1;
        if self.keys == Keys::AreOut && self.machine.open().is_ok() {
            return Err("a store opened although its key provider is out".to_owned());
        }
        self.mend_keys();
        self.machine.open().map_err(|error| format!("the store does not open again: {error:?}"))?;
        self.snapshots.clear();
        Ok(())
    }

    fn reopen(&mut self, is_closed: bool) -> Result<(), String> {
        let store = self.machine.take();
        if is_closed {
            store.close().map_err(|error| format!("closing failed: {error:?}"))?;
            if self.machine.disk.durable_commits() < self.machine.disk.commits() {
                return Err("a store that was closed left something that a power cut can take".to_owned());
            }
        } else {
            drop(store);
        }
        self.tell(move || format!("the store is opened again (closed: {is_closed})"));
        self.open()?;
        self.remember();
        self.compare_all(false)
    }

    /// One call on both sides.
    fn call(&mut self, tenant: usize, mut request: Request) -> Result<(), String> {
        self.calls += 1;
        if has_keyring(self.seed)
            && let Request::CreateSecret { metadata, .. } | Request::UpdateSecret { metadata, .. } = &mut request
        {
            // A keyring has no other key than the default one.
            metadata.key = metadata.key.take().filter(|key| key.is_empty());
        }
        let request = resolve(&self.world, &self.tenants[tenant], request, self.calls);
        let (floor, asked) = (self.machine.disk.durable_commits(), self.machine.provider.calls());
        let commits = self.machine.disk.commits();
        let reads_left = self.reads_left.take();
        self.machine.engine.fail_reads(reads_left.unwrap_or(u64::MAX));
        let actual = crate::engine::call(&self.machine.handles[tenant], &request);
        self.machine.engine.fail_reads(u64::MAX);
        self.counts.call(request.operation(), &actual);
        let (done, outcome) = (request.clone(), actual.clone());
        self.tell(move || format!("{tenant}: {done}\n      {}", in_words(&outcome)));
        // The note of the day of a read may be lost.
        let is_read = matches!(request, Request::GetSecretValue { .. } | Request::BatchGetSecretValue { .. });
        if actual.is_ok() && !is_read {
            self.machine.check_durable(commits)?;
        }
        let made = Made { tenant, request, actual, floor };
        if self.has_failed() {
            self.failed_write(&made)
        } else if let Some(reads) = reads_left {
            self.tell(move || format!("(the disk could not be read any more after {reads} reads)"));
            self.failed_read(&made)
        } else if self.keys != Keys::Work && self.machine.provider.calls() > asked {
            self.failed_key(&made, self.keys == Keys::AreOut)
        } else {
            let learned = made.actual.clone().unwrap_or_default();
            let expected = self.world.call(&self.tenants[tenant], &made.request, &learned);
            check(&made.actual, &expected)?;
            self.remember();
            Ok(())
        }
    }

    /// Whether the write that was to fail has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.armed.is_some_and(|armed| self.machine.engine.commits() > armed.write)
    }

    fn maintain(&mut self) -> Result<(), String> {
        let (floor, commits) = (self.machine.disk.durable_commits(), self.machine.disk.commits());
        let reads_left = self.reads_left.take();
        self.machine.engine.fail_reads(reads_left.unwrap_or(u64::MAX));
        let done = self.machine.store().maintain();
        self.machine.engine.fail_reads(u64::MAX);
        let outcome = done.as_ref().map_or_else(Error::to_string, |report| format!("{report:?}"));
        self.tell(move || format!("maintenance\n      {outcome}"));
        if self.has_failed() {
            return self.failed_maintenance(done.is_ok(), floor);
        }
        let before = self.world.secrets.clone();
        // Nothing of a simulation rotates.
        let done_by_model = self.world.maintain(&|_| String::new());
        match done {
            Ok(report) => {
                self.machine.check_durable(commits)?;
                self.counts.purged += report.purged_secrets;
                self.counts.removed_versions += report.removed_versions;
                let next = report.next_due_at.map(|at| at.timestamp_millis());
                let actual = (report.purged_secrets, report.removed_versions, next);
                let expected = (done_by_model.purged as u64, done_by_model.removed as u64, self.world.due());
                if actual != expected {
                    return Err(format!(
                        "maintenance (purged secrets, removed versions, next due)\n  store: {actual:?}\n  model: {expected:?}"
                    ));
                }
            }
            Err(_) if reads_left.is_some() => {
                self.counts.failed_reads += 1;
                let after = std::mem::take(&mut self.world.secrets);
                self.settle(&before, &after)?;
            }
            Err(error) => return Err(format!("maintenance failed: {error:?}")),
        }
        self.remember();
        Ok(())
    }

    /// Compares everything that can be seen: lists, descriptions, versions, and the values if they are asked for.
    pub(crate) fn compare_all(&mut self, with_values: bool) -> Result<(), String> {
        // Reading values asks for keys, and notes the day.
        let with_values = with_values && self.keys == Keys::Work && self.armed.is_none();
        for tenant in 0..self.tenants.len() {
            self.compare(tenant, Request::ListSecrets(Listing { planned: Some(true), ..Listing::default() }))?;
            let mine = |secret: &&Secret| secret.tenant == self.tenants[tenant];
            let secrets: Vec<_> = self.world.secrets.iter().filter(mine).cloned().collect();
            for secret in secrets {
                self.compare_one(tenant, &secret, with_values)?;
            }
        }
        let stats = self.machine.store().stats().map_err(|error| format!("{error:?}"))?;
        if stats.secrets != self.world.secrets.len() as u64 {
            return Err(format!("the store counts {} secrets, the model {}", stats.secrets, self.world.secrets.len()));
        }
        self.remember();
        Ok(())
    }

    fn compare_one(&mut self, tenant: usize, secret: &Secret, with_values: bool) -> Result<(), String> {
        let is_there = self.world.is_there(secret);
        for id in [secret.arn.clone(), secret.name.clone()] {
            let about = self.compare(tenant, Request::DescribeSecret { id: id.clone() })?;
            self.compare(tenant, Request::GetResourcePolicy { id: id.clone(), name: None })?;
            let labels = about["VersionIdsToStages"].as_object();
            let labels = labels.into_iter().flat_map(|labels| labels.values()).filter_map(Value::as_array);
            let current = labels.flatten().filter(|label| *label == "AWSCURRENT").count();
            if is_there && current != usize::from(!secret.versions.is_empty()) {
                return Err(format!("{id} has {current} current versions"));
            }
            if !is_there {
                let (version, stage) = (None, None);
                let read = crate::engine::call(
                    &self.machine.handles[tenant],
                    &Request::GetSecretValue { id: id.clone(), version, stage },
                );
                if !about.is_null() || read.is_ok() {
                    return Err(format!("{id} can be reached after its recovery window"));
                }
            }
        }
        let (max, mut next, deprecated) = (None, None, Some(true));
        loop {
            let page = Request::ListSecretVersionIds { id: secret.arn.clone(), max, next, deprecated };
            next = self.compare(tenant, page)?["NextToken"].as_str().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        for version in secret.versions.iter().filter(|_| with_values) {
            let (id, version) = (secret.arn.clone(), Some(version.id.clone()));
            self.compare(tenant, Request::GetSecretValue { id, version, stage: None })?;
        }
        Ok(())
    }

    /// A call of the comparison itself, which is not counted.
    fn compare(&mut self, tenant: usize, request: Request) -> Result<Value, String> {
        let actual = crate::engine::call(&self.machine.handles[tenant], &request);
        let learned = actual.clone().unwrap_or_default();
        let expected = self.world.call(&self.tenants[tenant], &request, &learned);
        check(&actual, &expected).map_err(|told| format!("on comparing everything, {tenant}: {request}\n{told}"))?;
        // Each value that is read may have been noted in a commit of its own.
        if matches!(request, Request::GetSecretValue { .. }) {
            self.remember();
        }
        Ok(learned)
    }

    fn story(&self, end: &str) -> String {
        let told: Vec<_> = self.told.iter().map(|told| format!("  - {}\n", told())).collect();
        format!("{:?}, the last things that were done:\n{}{end}\n", self.settings, told.concat())
    }
}

/// Whether a call that fails for want of a key may have this code.
pub(crate) fn is_key_failure(code: &str) -> bool {
    ["InternalServiceError", "AccessDeniedException", "EncryptionFailure", "DecryptionFailure"].contains(&code)
}

pub(crate) fn check(actual: &Outcome, expected: &Outcome) -> Result<(), String> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("the store and the model differ:\n  store: {}\n  model: {}", in_words(actual), in_words(expected)))
}

/// Long answers are cut.
pub(crate) fn in_words(outcome: &Outcome) -> String {
    let words = match outcome {
        Ok(response) => shortened(&response.to_string()),
        Err(failure) => shortened(&format!("{}: {}", failure.code, failure.message)),
    };
    words.chars().take(2_000).collect()
}
