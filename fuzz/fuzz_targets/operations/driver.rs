//! The engine and the reference model side by side, with clock moves, faults and crashes.
//!
//! After a commit that failed, the store must refuse everything until it is opened again, and then hold what the fault
//! left. After a crash it must hold everything that was acknowledged, but for days of access that were noted since.

use chrono::TimeDelta;
use serde_json::Value;
use strongroom::testing::{FaultyBackend, ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{Backend, Batch, Durability, SecretStore, SecretsManager, StaticKey};
use strongroom_fuzz::START;

use crate::engine::Renew;
use crate::model::{Outcome, Secret, Settings, Tenant, World};
use crate::request::{Given, Listing, Request};
use crate::resolve::resolve;
use crate::steps::{Fault, Step};

const INTERNAL: &str = "InternalServiceError";
const STEPS_PER_COMPARISON: usize = 24;
const VALUES_COMPARED: usize = 3;

pub(crate) struct Run {
    settings: Settings,
    clock: ManualClock,
    entropy: SeededEntropy,
    recorder: RecordingBackend,
    backend: FaultyBackend,
    store: Option<SecretStore>,
    handles: Vec<SecretsManager>,
    tenants: Vec<Tenant>,
    world: World,
    calls: u64,
    steps: usize,
    fault: Option<Fault>,
    /// Numbers of commits that a crash may leave, and what is then there.
    marks: Vec<(usize, Vec<Secret>)>,
    is_told: bool,
}

impl Run {
    pub(crate) fn new(settings: Settings) -> Self {
        let tenants = [("000000000000", "us-east-1"), ("000000000000", "eu-west-1"), ("123456789012", "us-east-1")]
            .map(|(account, region)| Tenant { account: account.into(), region: region.into() });
        let recorder = RecordingBackend::new();
        let mut run = Self {
            settings,
            clock: ManualClock::at_millis(START),
            entropy: SeededEntropy::new(1),
            backend: FaultyBackend::new(recorder.clone()),
            recorder,
            store: None,
            handles: Vec::new(),
            tenants: tenants.to_vec(),
            world: World::new(settings, START),
            calls: 0,
            steps: 0,
            fault: None,
            marks: Vec::new(),
            is_told: std::env::var_os("STRONGROOM_FUZZ_TOLD").is_some(),
        };
        run.open();
        run.mark();
        run
    }

    /// Opens what is left, on a backend without faults.
    fn open(&mut self) {
        self.handles.clear();
        self.store = None;
        self.backend = FaultyBackend::new(self.recorder.clone());
        let store = SecretStore::with_backend(self.backend.clone())
            .key_provider(StaticKey::new([7; 32]))
            .rotation_function("arn:*", Renew)
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
    }

    /// Remembers what is there, for as long as a crash could bring it back.
    fn mark(&mut self) {
        let durable = self.recorder.durable_commits();
        self.marks.push((self.recorder.commits(), self.world.secrets.clone()));
        // Of several states after the same commits, the last one is right.
        self.marks.dedup_by(|later, earlier| {
            later.0 == earlier.0 && {
                earlier.1 = std::mem::take(&mut later.1);
                true
            }
        });
        self.marks.retain(|(commits, _)| *commits >= durable);
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{:3}. {}", self.steps, what());
        }
    }

    pub(crate) fn step(&mut self, step: Step) {
        self.steps += 1;
        match step {
            Step::Call(tenant, request) => self.call(tenant, request),
            Step::Burst(tenant, name, count) => {
                for number in 0..count {
                    let value = Given { string: Some(format!("burst {number}")), binary: None };
                    let (id, token) = (name.clone(), Some("<fresh>".to_owned()));
                    self.call(tenant, Request::PutSecretValue { id, token, value, stages: None, rotation_token: None });
                }
            }
            Step::Clock(by) => {
                self.tell(|| format!("the clock moves by {by} ms"));
                self.world.now += by;
                self.clock.advance(TimeDelta::milliseconds(by));
            }
            Step::Maintain => self.maintain(),
            Step::Reopen { is_closed } => {
                self.tell(|| format!("opened again, closed {is_closed}"));
                if is_closed {
                    self.store.take().expect("it is open").close().expect("it closes");
                }
                self.open();
            }
            Step::Crash(choice) => self.crash(choice),
            Step::Fault(fault) => self.fault = Some(fault),
        }
        self.mark();
        if self.steps.is_multiple_of(STEPS_PER_COMPARISON) {
            self.compare_all();
            self.mark();
        }
    }

    fn engine(&self, tenant: usize, request: &Request) -> Outcome {
        crate::engine::call(&self.handles[tenant], request)
    }

    fn call(&mut self, tenant: usize, request: Request) {
        self.calls += 1;
        let mut request = resolve(&self.world, &self.tenants[tenant], request, self.calls);
        match self.fault.take() {
            Some(fault) if suits(fault, &mut request) => self.call_with(fault, tenant, &request),
            _ => {
                let actual = self.engine(tenant, &request);
                self.expect(tenant, &request, &actual);
            }
        }
    }

    fn expect(&mut self, tenant: usize, request: &Request, actual: &Outcome) {
        self.tell(|| format!("{tenant}: {request}\n       {actual:?}"));
        let learned = actual.clone().unwrap_or_default();
        let expected = self.world.call(&self.tenants[tenant], request, &learned);
        assert!(*actual == expected, "{tenant}: {request}\nengine:    {actual:?}\nreference: {expected:?}");
    }

    fn call_with(&mut self, fault: Fault, tenant: usize, request: &Request) {
        self.tell(|| format!("{fault:?} inside the next call"));
        let before = self.backend.commits();
        match fault {
            Fault::Commit => self.backend.fail_commit(0),
            Fault::Flush => self.backend.fail_flush(0),
            Fault::Panic => self.backend.panic_in_commit(0),
            Fault::Reads(left) => self.backend.fail_reads(left),
        }
        let actual = self.engine(tenant, request);
        self.backend.fail_reads(u64::MAX);
        let has_failed = actual.as_ref().is_err_and(|error| error.code == INTERNAL);
        if let Fault::Reads(_) = fault {
            // What could not be read was not changed.
            if !has_failed {
                self.expect(tenant, request, &actual);
                if request.operation() == "GetSecretValue" && actual.is_ok() {
                    // The value was delivered; the day of the read may not have been noted. The next read does it.
                    let again = self.engine(tenant, request);
                    self.expect(tenant, request, &again);
                }
            }
            return;
        }
        if self.backend.commits() == before {
            self.expect(tenant, request, &actual);
        } else {
            self.tell(|| format!("{tenant}: {request}\n       {actual:?}"));
            assert!(has_failed, "a failed commit was acknowledged: {request}\n{actual:?}");
            if fault == Fault::Flush {
                let done = self.world.call(&self.tenants[tenant], request, &Value::Null);
                assert!(done.is_ok(), "{request} was committed, and the reference says {done:?}");
            }
            let poisoned = self.engine(0, &Request::DescribeSecret { id: "app".to_owned() });
            assert!(poisoned.is_err_and(|error| error.code == INTERNAL), "it works on after a failed commit");
        }
        self.open();
        self.compare_all();
    }

    fn crash(&mut self, choice: usize) {
        let (commits, secrets) = self.marks[choice % self.marks.len()].clone();
        let lost = self.recorder.commits() - commits;
        self.tell(|| format!("a crash that loses {lost} commits"));
        let image = self.recorder.image(commits).expect("memory is read");
        let mut all = Batch::new();
        for (key, value) in image.scan(&[], None, usize::MAX).expect("memory is read") {
            all.put(key, value.as_ref().to_vec());
        }
        self.recorder = RecordingBackend::new();
        self.recorder.commit(&all, Durability::Immediate).expect("memory takes it");
        self.marks.clear();
        self.world.secrets = secrets;
        self.open();
        self.compare_all();
    }

    fn maintain(&mut self) {
        let report = self.store.as_ref().expect("it is open").maintain().expect("maintenance works");
        // Nothing rotates here.
        let done = self.world.maintain(&|_| String::new());
        let actual =
            (report.purged_secrets, report.removed_versions, report.next_due_at.map(|at| at.timestamp_millis()));
        self.tell(|| format!("maintenance {actual:?}"));
        assert_eq!(actual, (done.purged as u64, done.removed as u64, self.world.due()));
    }

    /// Compares everything that can be seen.
    pub(crate) fn compare_all(&mut self) {
        for tenant in 0..self.tenants.len() {
            self.compare(tenant, &Request::ListSecrets(Listing { planned: Some(true), ..Listing::default() }));
            let mine = |secret: &&Secret| secret.tenant == self.tenants[tenant];
            let secrets: Vec<Secret> = self.world.secrets.iter().filter(mine).cloned().collect();
            for secret in secrets {
                let id = secret.arn;
                self.compare(tenant, &Request::DescribeSecret { id: id.clone() });
                self.compare(tenant, &Request::GetResourcePolicy { id: id.clone(), name: None });
                let (max, next, deprecated) = (None, None, Some(true));
                self.compare(tenant, &Request::ListSecretVersionIds { id: id.clone(), max, next, deprecated });
                // All versions are in the list above; of many, the values of the oldest and the newest will do.
                let newest = secret.versions.len().saturating_sub(VALUES_COMPARED);
                let ends = |(at, _): &(usize, _)| *at < VALUES_COMPARED || *at >= newest;
                for (_, version) in secret.versions.into_iter().enumerate().filter(ends) {
                    let version = Some(version.id);
                    self.compare(tenant, &Request::GetSecretValue { id: id.clone(), version, stage: None });
                }
            }
        }
        let stats = self.store.as_ref().expect("it is open").stats().expect("it can be asked");
        assert_eq!(stats.secrets, self.world.secrets.len() as u64);
    }

    fn compare(&mut self, tenant: usize, request: &Request) {
        let actual = self.engine(tenant, request);
        let learned = actual.clone().unwrap_or_default();
        let expected = self.world.call(&self.tenants[tenant], request, &learned);
        assert!(actual == expected, "on comparing: {request}\nengine:    {actual:?}\nreference: {expected:?}");
    }
}

/// Whether what must follow from the fault can be told.
fn suits(fault: Fault, request: &mut Request) -> bool {
    let changes = [
        "DeleteResourcePolicy",
        "DeleteSecret",
        "PutResourcePolicy",
        "RestoreSecret",
        "TagResource",
        "UntagResource",
        "UpdateSecretVersionStage",
    ];
    let with_token = ["PutSecretValue", "UpdateSecret"];
    let operation = request.operation();
    match fault {
        // Reading several secrets may note the first one before it fails on the second.
        Fault::Reads(_) => operation != "BatchGetSecretValue",
        Fault::Commit | Fault::Panic => {
            changes.contains(&operation) || with_token.contains(&operation) || operation == "CreateSecret"
        }
        // Without a token nobody learns what was made up.
        Fault::Flush => {
            let has_token = request.version_ids_mut().iter().all(|token| token.is_some());
            changes.contains(&operation) || with_token.contains(&operation) && has_token
        }
    }
}
