//! What is counted: each case does its call so many times.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom::testing::ManualClock;
use strongroom::{
    AuthorizationRequest, BatchGetSecretValueRequest, Builder, Caller, CreateSecretRequest, Decision,
    DescribeSecretRequest, Entropy, EntropyError, GetSecretValueRequest, ListSecretsRequest, MemoryBackend, Policies,
    Principal, PutResourcePolicyRequest, PutSecretValueRequest, RequestContext, ResourcePolicy, RotateSecretRequest,
    RotationCall, RotationError, RotationFunction, RotationRules, RotationSchedule, SecretStore, SecretsManager,
    SortBy, Timestamp, wire,
};

use crate::store;

const SECRETS: usize = 200;
const START_MILLIS: i64 = 1_700_000_000_000;
const ACCOUNT: &str = "111122223333";
const PARTNER: &str = "partner";

/// What many secrets have: an application may read, and nobody from outside may do anything.
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Sid": "AppReads", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/app"},
     "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], "Resource": "*",
     "Condition": {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}},
    {"Sid": "OnlyFromInside", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*",
     "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringNotEquals": {"aws:SourceVpce": "vpce-1a2b"}}}]}"#;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Does it so many times, after what has to be there for it.
    pub(crate) work: fn(usize),
}

pub(crate) const CASES: [Case; 20] = [
    Case { name: "get_secret_value", work: |times| read(&filled(), times) },
    Case { name: "get_secret_value,policy", work: read_by_policy },
    Case { name: "get_secret_value,json", work: read_as_json },
    Case { name: "describe_secret", work: describe },
    Case { name: "put_secret_value", work: put },
    Case { name: "create_secret", work: create },
    Case { name: "batch_get_secret_value,20", work: read_twenty },
    Case { name: "list_secrets,100,by_creation", work: |times| list(&SortBy::CreatedDate, times) },
    Case { name: "list_secrets,100,by_access", work: |times| list(&SortBy::LastAccessedDate, times) },
    Case { name: "list_secrets,100,by_change", work: |times| list(&SortBy::LastChangedDate, times) },
    Case { name: "list_secrets,100,by_name", work: |times| list(&SortBy::Name, times) },
    Case { name: "maintain,nothing_due", work: maintain },
    Case { name: "open,200_secrets", work: open },
    Case {
        name: "schedule,parse",
        work: |times| {
            (0..times).for_each(|_| {
                black_box(schedule("cron(0 8 ? * MON-FRI *)"));
            })
        },
    },
    Case { name: "schedule,weekdays", work: |times| find_windows("cron(0 8 ? * MON-FRI *)", times) },
    Case { name: "schedule,third_tuesday", work: |times| find_windows("cron(0 0 ? * TUE#3 *)", times) },
    Case { name: "schedule,rate", work: |times| find_windows("rate(10 days)", times) },
    Case { name: "schedule,29_february", work: |times| find_windows("cron(0 0 29 2 ? *)", times) },
    Case { name: "policy,parse", work: |times| (0..times).for_each(|_| drop(black_box(policy()))) },
    Case { name: "policy,evaluate", work: decide },
];

/// Random bytes that are always the same and cost next to nothing, as those of the system do in user space.
#[derive(Debug)]
struct Sequence(AtomicU64);

impl Entropy for Sequence {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in dest.chunks_mut(8) {
            // SplitMix64: a counter, well mixed.
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let random = (word ^ (word >> 31)).to_be_bytes();
            chunk.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}

fn builder(backend: &MemoryBackend) -> Builder {
    let builder = store::with_key(SecretStore::with_backend(backend.clone())).account(ACCOUNT);
    builder.clock(ManualClock::at_millis(START_MILLIS)).entropy(Sequence(AtomicU64::new(1))).test_only(true)
}

fn open_on(backend: &MemoryBackend) -> SecretsManager {
    builder(backend).open().expect("the store opens").default_secrets_manager()
}

/// A store of secrets, all of which were read today.
fn filled() -> SecretsManager {
    let manager = open_on(&MemoryBackend::new());
    store::fill(&manager, SECRETS);
    read(&manager, SECRETS);
    manager
}

fn read(manager: &SecretsManager, times: usize) {
    names(times).for_each(|name| read_one(manager, name));
}

fn read_one(manager: &SecretsManager, name: String) {
    let request = GetSecretValueRequest::new(name).version_stage("AWSCURRENT");
    black_box(manager.get_secret_value(request).expect("the value is read").secret_string);
}

/// Names of secrets that are there, again and again.
fn names(times: usize) -> impl Iterator<Item = String> {
    (0..times).map(|turn| store::name(turn % SECRETS))
}

/// As somebody who may read because of the policy of a secret. Only few have one: a policy that is read costs not quite the
/// same every time, which would be left over of the set-up.
fn read_by_policy(times: usize) {
    const WITH_POLICY: usize = 10;
    let manager = filled();
    for name in names(WITH_POLICY) {
        manager.put_resource_policy(PutResourcePolicyRequest::new(name, POLICY)).expect("the policy is attached");
    }
    let caller = manager.as_caller(Caller::new(app()).source_ip([10, 1, 2, 3].into()));
    for turn in 0..WITH_POLICY + times {
        read_one(&caller, store::name(turn % WITH_POLICY));
    }
}

fn app() -> Principal {
    Principal::parse(&format!("arn:aws:iam::{ACCOUNT}:user/app")).expect("it is a user")
}

fn read_as_json(times: usize) {
    let manager = filled();
    for name in names(times) {
        let body = format!(r#"{{"SecretId": "{name}"}}"#);
        let answer = wire::dispatch(&manager, "secretsmanager.GetSecretValue", body.as_bytes());
        assert_eq!(answer.status, 200, "the value is read");
        black_box(answer);
    }
}

fn describe(times: usize) {
    let manager = filled();
    for name in names(times) {
        black_box(manager.describe_secret(DescribeSecretRequest::new(name)).expect("it is described"));
    }
}

fn put(times: usize) {
    let manager = filled();
    // From the second put on a version loses its last label.
    for (number, name) in names(SECRETS + times).enumerate() {
        let request = PutSecretValueRequest::new(name, store::value(number));
        black_box(manager.put_secret_value(request).expect("the value is put"));
    }
}

fn create(times: usize) {
    let manager = filled();
    for number in 0..times {
        let request = CreateSecretRequest::new(store::name(SECRETS + number)).secret_string(store::value(number));
        black_box(manager.create_secret(request).expect("the secret is created"));
    }
}

fn read_twenty(times: usize) {
    let manager = filled();
    for turn in 0..times {
        let names = (0..20).map(|place| store::name((turn + 10 * place) % SECRETS));
        let request = BatchGetSecretValueRequest::new().secret_id_list(names);
        let values = manager.batch_get_secret_value(request).expect("they are read").secret_values;
        assert_eq!(values.len(), 20, "all of them are there");
        black_box(values);
    }
}

fn list(order: &SortBy, times: usize) {
    let manager = filled();
    for _ in 0..times {
        let request = ListSecretsRequest::new().sort_by(order.clone()).max_results(100);
        let page = manager.list_secrets(request).expect("a page").secret_list;
        assert_eq!(page.len(), 100, "the page is full");
        black_box(page);
    }
}

/// A partner's function, which need not be tried before the first rotation is due.
#[derive(Debug)]
struct Idle;

impl RotationFunction for Idle {
    fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
        Ok(())
    }
}

/// Among secrets that all rotate in a thousand days.
fn maintain(times: usize) {
    let store = builder(&MemoryBackend::new()).partner_rotation(PARTNER, Idle).open().expect("the store opens");
    let manager = store.default_secrets_manager();
    for name in names(SECRETS) {
        let mut create = CreateSecretRequest::new(&name);
        create.r#type = Some(PARTNER.to_owned());
        manager.create_secret(create).expect("the secret is created");
        let rules = RotationRules::new().automatically_after_days(1_000);
        let rotate = RotateSecretRequest::new(name).rotate_immediately(false).rotation_rules(rules);
        manager.rotate_secret(rotate).expect("the rotation is scheduled");
    }
    for _ in 0..times {
        let report = store.maintain().expect("the store is maintained");
        assert!(report.next_due_at.is_some() && report.rotated_secrets == 0, "nothing is due");
        black_box(report);
    }
}

/// Opening a store that is there, and the first page, which needs the catalogue.
fn open(times: usize) {
    let backend = MemoryBackend::new();
    let store = builder(&backend).open().expect("the store opens");
    store::fill(&store.default_secrets_manager(), SECRETS);
    store.close().expect("the store closes");
    for _ in 0..times {
        let store = builder(&backend).open().expect("the store opens");
        let page = store.default_secrets_manager().list_secrets(ListSecretsRequest::new().max_results(1));
        black_box(page.expect("a page"));
        store.close().expect("the store closes");
    }
}

fn schedule(expression: &str) -> RotationSchedule {
    RotationSchedule::parse(None, Some(black_box(expression)), None).expect("it is legal").expect("it is a schedule")
}

/// The next window, from instants of forty years that have nothing to do with each other.
fn find_windows(expression: &str, times: usize) {
    let schedule = schedule(expression);
    let instant = |number: i64| {
        let seconds = 1_700_000_000 + number * 793_939_793 % 1_262_277_040;
        Timestamp::from_timestamp(seconds, 0).expect("it is in the calendar")
    };
    for number in (0..).take(times) {
        black_box(schedule.next_window(instant(0), black_box(instant(number))));
    }
}

fn policy() -> ResourcePolicy {
    ResourcePolicy::parse(black_box(POLICY)).expect("it is a policy")
}

fn decide(times: usize) {
    let policy = policy();
    let policies = Policies::new().resource(&policy);
    let context =
        RequestContext::new().with("aws:SourceIp", "10.1.2.3").with("secretsmanager:VersionStage", "AWSCURRENT");
    let secret = format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:prod/db/main-a1b2c3");
    let request = AuthorizationRequest::new(app(), "secretsmanager:GetSecretValue", secret).context(context);
    for _ in 0..times {
        let evaluation = black_box(&policies).evaluate(black_box(&request));
        assert_eq!(evaluation.decision, Decision::Allow, "the application may read");
    }
}
