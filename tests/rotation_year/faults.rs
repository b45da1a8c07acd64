//! Each commit and each call of the key provider that a rotation makes fails once, and the rotation is finished all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::TimeDelta;
use strongroom::testing::{FaultyBackend, ManualClock};
use strongroom::{
    Backend, Batch, Call, CancelRotateSecretRequest, Clock, CreateSecretRequest, DataKey, DescribeSecretRequest,
    DescribeSecretResponse, Durability, EncryptionContext, ErrorKind, GetSecretValueRequest, KeyError, KeyHandle,
    KeyProvider, KeyRef, KeyScope, MaintenanceReport, MemoryBackend, Result, RotateSecretRequest, RotationCall,
    RotationError, RotationFunction, RotationRules, SecretStore, SecretsManager, StaticKey,
    UpdateSecretVersionStageRequest, VerifyOptions, WrappedKey,
};

use crate::calendar::START;
use crate::year::{ARN, do_step, value_of};

const FIRST: &str = "first-00000000000000000000000000";
const SECOND: &str = "second-0000000000000000000000000";
const THIRD: &str = "third-00000000000000000000000000";

/// A function without faults of its own.
#[derive(Debug)]
struct Function;

impl RotationFunction for Function {
    fn invoke(&self, call: &RotationCall) -> std::result::Result<(), RotationError> {
        do_step(call, false)
    }
}

/// A key provider of which one call fails, once. Clones share the count.
#[derive(Debug, Clone)]
struct Failing {
    inner: Arc<StaticKey>,
    calls: Arc<AtomicU64>,
    fails_at: u64,
    is_armed: Arc<AtomicBool>,
}

impl Failing {
    fn new(fails_at: u64) -> Self {
        let inner = Arc::new(StaticKey::new([7; 32]));
        Self { inner, calls: Arc::default(), fails_at, is_armed: Arc::default() }
    }

    fn count(&self) -> std::result::Result<(), KeyError> {
        let is_hit = self.is_armed.load(Ordering::SeqCst) && self.calls.fetch_add(1, Ordering::SeqCst) == self.fails_at;
        if is_hit { Err(KeyError::Unavailable) } else { Ok(()) }
    }

    fn has_failed(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.fails_at
    }
}

impl KeyProvider for Failing {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(
        &self,
        scope: &KeyScope<'_>,
        key: KeyRef<'_>,
        call: &Call<'_>,
    ) -> std::result::Result<KeyHandle, KeyError> {
        self.count()?;
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> std::result::Result<WrappedKey, KeyError> {
        self.count()?;
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> std::result::Result<DataKey, KeyError> {
        self.count()?;
        self.inner.unwrap(wrapped, context, call)
    }
}

fn open(backend: impl Backend + 'static, keys: impl KeyProvider + 'static, clock: &ManualClock) -> SecretStore {
    let builder = SecretStore::with_backend(backend).key_provider(keys).clock(clock.clone());
    let builder = builder.rotation_function(ARN, Function).rotation_timeout(None);
    builder.open().unwrap_or_else(|error| panic!("the store does not open: {error:?}"))
}

/// A backend with the same records.
fn copied(from: &MemoryBackend) -> MemoryBackend {
    let copy = MemoryBackend::new();
    let mut batch = Batch::new();
    for (key, value) in from.scan(b"", None, usize::MAX).unwrap() {
        batch.put(key, value.as_ref().to_vec());
    }
    copy.commit(&batch, Durability::Immediate).unwrap();
    copy
}

fn rotate(token: &str) -> RotateSecretRequest {
    let rules = RotationRules::new().automatically_after_days(10);
    RotateSecretRequest::new("db").client_request_token(token).rotation_lambda_arn(ARN).rotation_rules(rules)
}

fn describe(secrets: &SecretsManager) -> DescribeSecretResponse {
    secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap()
}

/// The version with a label. No label is on two.
fn holder(secrets: &SecretsManager, label: &str) -> Option<String> {
    let labels = describe(secrets).version_ids_to_stages.unwrap_or_default();
    let mut holders = labels.into_iter().filter(|(_, labels)| labels.iter().any(|held| held == label));
    let holder = holders.next().map(|(version, _)| version);
    assert!(holders.next().is_none(), "{label} is on two versions");
    holder
}

/// The version that is being made, and whether that is a test.
fn job(secrets: &SecretsManager) -> Option<(String, bool)> {
    let status = secrets.rotation_status("db").unwrap()?;
    status.in_progress.map(|job| (job.version_id, job.is_test))
}

/// The current value is that of the current version.
fn check_current(secrets: &SecretsManager, what: &str) {
    let read = secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), value_of(&read.version_id), "{what}");
    assert_eq!(holder(secrets, "AWSCURRENT"), Some(read.version_id), "{what}");
}

/// Goes on until no rotation is under way. What was found on the way is in the last report.
fn go_on(store: &SecretStore, clock: &ManualClock, what: &str) {
    let secrets = store.default_secrets_manager();
    for _ in 0..10 {
        let MaintenanceReport { next_due_at, .. } = store.maintain().unwrap();
        if job(&secrets).is_none() {
            return;
        }
        let next = next_due_at.unwrap_or_else(|| panic!("{what}: nothing is due, and {:?}", job(&secrets)));
        clock.set(next.max(clock.now()));
    }
    panic!("{what}: {:?} does not end", job(&secrets));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    AtOnce,
    Test,
    BySchedule,
    Cancel,
}

const ALL: [Scenario; 4] = [Scenario::AtOnce, Scenario::Test, Scenario::BySchedule, Scenario::Cancel];

impl Scenario {
    fn prepare(self) -> (MemoryBackend, ManualClock) {
        let (memory, clock) = (MemoryBackend::new(), ManualClock::at_millis(START + 7_000_000));
        let store = open(memory.clone(), StaticKey::new([7; 32]), &clock);
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new("db").client_request_token(FIRST).secret_string(value_of(FIRST));
        secrets.create_secret(create).unwrap();
        match self {
            Self::AtOnce | Self::Test => {}
            Self::BySchedule => {
                secrets.rotate_secret(rotate(THIRD).rotate_immediately(false)).unwrap();
                let report = store.maintain().unwrap();
                assert_eq!(report.tested_rotations, 1);
                clock.set(report.next_due_at.unwrap());
            }
            Self::Cancel => _ = secrets.rotate_secret(rotate(SECOND)).unwrap(),
        }
        store.close().unwrap();
        (memory, clock)
    }

    fn run(self, store: &SecretStore) -> Result<MaintenanceReport> {
        let secrets = store.default_secrets_manager();
        match self {
            Self::AtOnce => secrets.rotate_secret(rotate(SECOND)).map(drop)?,
            Self::Test => secrets.rotate_secret(rotate(SECOND).rotate_immediately(false)).map(drop)?,
            Self::BySchedule => {}
            Self::Cancel => {
                secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).map(drop)?;
            }
        }
        store.maintain()
    }

    /// What was left is whole, and comes to the end that it would have come to.
    fn finish(self, store: &SecretStore, clock: &ManualClock, what: &str) {
        let secrets = store.default_secrets_manager();
        let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{what}: {report:#?}");
        check_current(&secrets, what);
        match self {
            Self::AtOnce => {
                self.check_job(&secrets, Some(SECOND), what);
                if holder(&secrets, "AWSCURRENT").as_deref() != Some(SECOND) {
                    assert_eq!(secrets.rotate_secret(rotate(SECOND)).unwrap().version_id, SECOND, "{what}");
                }
                go_on(store, clock, what);
                assert_eq!(holder(&secrets, "AWSCURRENT").as_deref(), Some(SECOND), "{what}");
                assert_eq!(holder(&secrets, "AWSPREVIOUS").as_deref(), Some(FIRST), "{what}");
            }
            Self::Test => {
                self.check_job(&secrets, Some(SECOND), what);
                if describe(&secrets).rotation_enabled.is_none() {
                    secrets.rotate_secret(rotate(SECOND).rotate_immediately(false)).unwrap();
                }
                go_on(store, clock, what);
                let described = describe(&secrets);
                assert_eq!((described.rotation_enabled, described.last_rotated_date), (Some(true), None), "{what}");
                assert_eq!(holder(&secrets, "AWSCURRENT").as_deref(), Some(FIRST), "{what}");
                assert_eq!(described.version_ids_to_stages.unwrap().len(), 1, "{what}: the version of the test stays");
                self.check_goes_on(store, clock, what);
            }
            Self::BySchedule => {
                let begun = holder(&secrets, "AWSPENDING");
                self.check_job(&secrets, begun.as_deref(), what);
                go_on(store, clock, what);
                let current = holder(&secrets, "AWSCURRENT");
                assert_ne!(current.as_deref(), Some(FIRST), "{what}: it was not rotated");
                assert_eq!(holder(&secrets, "AWSPREVIOUS").as_deref(), Some(FIRST), "{what}: rotated twice");
                assert!(begun.is_none() || begun == current, "{what}: {begun:?} was begun, and {current:?} is current");
                assert_eq!(describe(&secrets).last_rotated_date, Some(clock.now()), "{what}");
            }
            Self::Cancel => {
                let described = describe(&secrets);
                let is_cancelled = described.rotation_enabled == Some(false);
                assert_eq!(job(&secrets).is_none(), is_cancelled, "{what}");
                assert_eq!(described.next_rotation_date.is_none(), is_cancelled, "{what}");
                let cancelled = secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap();
                assert_eq!(cancelled.version_id.as_deref(), Some(SECOND).filter(|_| !is_cancelled), "{what}");
                assert_eq!(store.maintain().unwrap(), MaintenanceReport::default(), "{what}");
                assert_eq!(holder(&secrets, "AWSPENDING").as_deref(), Some(SECOND), "{what}");
                let clear = UpdateSecretVersionStageRequest::new("db", "AWSPENDING").remove_from_version_id(SECOND);
                secrets.update_secret_version_stage(clear).unwrap();
                secrets.rotate_secret(RotateSecretRequest::new("db").client_request_token(THIRD)).unwrap();
                go_on(store, clock, what);
                assert_eq!(holder(&secrets, "AWSCURRENT").as_deref(), Some(THIRD), "{what}");
            }
        }
        check_current(&secrets, what);
        let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{what}: {report:#?}");
    }

    /// If a rotation is under way, it is the one that was begun.
    fn check_job(self, secrets: &SecretsManager, expected: Option<&str>, what: &str) {
        if let Some((token, is_test)) = job(secrets) {
            assert_eq!((Some(token.as_str()), is_test), (expected, self == Self::Test), "{what}");
        }
    }

    /// What was tried is done by the schedule, ten days later.
    fn check_goes_on(self, store: &SecretStore, clock: &ManualClock, what: &str) {
        clock.advance(TimeDelta::days(10));
        assert_eq!(store.maintain().unwrap().rotated_secrets, 1, "{what}: the first rotation by the schedule");
    }
}

/// Tells a backend which of its next commits fails.
type Fault = (&'static str, fn(&FaultyBackend, u64));

const FAULTS: [Fault; 3] = [
    ("a failed commit", FaultyBackend::fail_commit),
    ("a failed flush", FaultyBackend::fail_flush),
    ("a panic", FaultyBackend::panic_in_commit),
];

#[test]
fn whichever_commit_of_a_rotation_fails_it_is_told_and_the_rotation_can_be_finished() {
    let mut faults = 0;
    for scenario in ALL {
        let (memory, clock) = scenario.prepare();
        let now = clock.now();
        for (fault, plan) in FAULTS {
            for number in 0.. {
                let what = format!("{scenario:?}, {fault} in commit {number}");
                clock.set(now);
                let memory = copied(&memory);
                let faulty = FaultyBackend::new(memory.clone());
                let store = open(faulty.clone(), StaticKey::new([7; 32]), &clock);
                let first = faulty.commits();
                plan(&faulty, number);
                let result = scenario.run(&store);
                if faulty.commits() <= first + number {
                    assert!(result.is_ok(), "{what}, which never came: {result:?}");
                    assert!(number >= if scenario == Scenario::Cancel { 1 } else { 3 }, "{what}: hardly all of them");
                    break;
                }
                let error = result.expect_err(&what);
                assert!(matches!(error.kind(), ErrorKind::Storage | ErrorKind::Poisoned), "{what}: {error:?}");
                assert_eq!(*store.close().unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
                let store = open(memory, StaticKey::new([7; 32]), &clock);
                scenario.finish(&store, &clock, &what);
                store.close().unwrap();
                faults += 1;
            }
        }
    }
    eprintln!("commits of rotations that failed: {faults}, 0 rotations lost or stuck");
}

#[test]
fn whichever_call_of_the_key_provider_fails_in_a_rotation_it_is_made_again_with_the_same_version() {
    let mut faults = 0;
    for scenario in ALL {
        let (memory, clock) = scenario.prepare();
        let now = clock.now();
        for number in 0.. {
            let what = format!("{scenario:?}, call {number} of the key provider");
            clock.set(now);
            let (memory, keys) = (copied(&memory), Failing::new(number));
            let store = open(memory.clone(), keys.clone(), &clock);
            keys.is_armed.store(true, Ordering::SeqCst);
            let report = scenario.run(&store).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            keys.is_armed.store(false, Ordering::SeqCst);
            let has_failed = keys.has_failed();
            assert_eq!(report.failed_rotations, u64::from(has_failed), "{what}: {report:?}");
            if has_failed && scenario != Scenario::Test {
                let status = store.default_secrets_manager().rotation_status("db").unwrap().unwrap();
                let job = status.in_progress.unwrap_or_else(|| panic!("{what}: it was given up"));
                assert_eq!((job.attempts, job.next_attempt_at), (1, Some(now + TimeDelta::minutes(1))), "{what}");
                let (_, reason) = job.last_failure.unwrap();
                assert!(reason.starts_with("Error when executing lambda"), "{what}: {reason}");
            }
            // On the same store, and on one that was opened again.
            let store = if number % 2 == 0 {
                store
            } else {
                store.close().unwrap();
                open(memory, StaticKey::new([7; 32]), &clock)
            };
            scenario.finish(&store, &clock, &what);
            store.close().unwrap();
            if !has_failed {
                assert!(number >= 3 || scenario == Scenario::Cancel, "{what}: hardly all of them");
                break;
            }
            faults += 1;
        }
    }
    eprintln!("calls of the key provider in rotations that failed: {faults}, 0 rotations lost or stuck");
    assert!(faults > 10);
}
