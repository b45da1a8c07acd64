//! Engines, disks and random sources that fail.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chrono::TimeDelta;
use strongroom::testing::{FaultyBackend, ManualClock, SeededEntropy};
use strongroom::{
    Backend, BackendError, BackendStats, Batch, BatchGetSecretValueRequest, Builder, CreateSecretRequest,
    DescribeSecretRequest, Durability, Entropy, EntropyError, Error, ErrorKind, GetRandomPasswordRequest,
    GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest, LocalKeyring, MemoryBackend, OpenMode,
    SecretStore, SecretsManager, StaticKey, Stored,
};

use crate::history::{CURRENT, Call, PENDING, State, token};

fn builder(backend: impl Backend + 'static, entropy: impl Entropy + 'static) -> Builder {
    SecretStore::with_backend(backend)
        .key_provider(StaticKey::new([7; 32]))
        .clock(ManualClock::at_millis(1_700_000_000_000))
        .entropy(entropy)
}

fn open(backend: impl Backend + 'static) -> Result<SecretStore, Error> {
    builder(backend, SeededEntropy::new(1)).open()
}

/// What is kept, seen by a store of its own.
fn state_of(memory: &MemoryBackend) -> State {
    let store = builder(memory.clone(), SeededEntropy::new(2)).mode(OpenMode::OpenExisting).open();
    let store = store.unwrap_or_else(|error| panic!("the store does not open again: {error:?}"));
    let state = State::observe(&store.default_secrets_manager());
    assert_eq!(store.stats().unwrap().secrets, state.secrets.len() as u64, "the count of secrets");
    state
}

/// Every operation that writes, in the order of a secret's life.
fn script() -> Vec<Call> {
    let name = |name: &str| name.to_owned();
    let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(|unique| token(unique == 3, 100, unique));
    let large = token(true, 65_536, 6);
    vec![
        Call::Create { name: name("other"), token: Some(token(false, 5, 9)) },
        Call::Create { name: name("empty"), token: None },
        Call::Create { name: name("main"), token: Some(one.clone()) },
        Call::Put { name: name("main"), token: two.clone(), labels: vec![] },
        Call::Put { name: name("main"), token: three.clone(), labels: vec![PENDING.to_owned(), name("blue")] },
        Call::Move { name: name("main"), label: CURRENT.to_owned(), from: Some(two.clone()), to: Some(three.clone()) },
        Call::Move { name: name("main"), label: name("green"), from: None, to: Some(one) },
        Call::Move { name: name("main"), label: name("blue"), from: Some(three), to: None },
        Call::Update { name: name("main"), token: None, description: name("new description") },
        Call::Update { name: name("main"), token: Some(four), description: name("newer description") },
        Call::Put { name: name("empty"), token: five, labels: vec![] },
        Call::Put { name: name("main"), token: large, labels: vec![] },
        Call::Tag { name: name("main"), key: name("team"), value: name("payments") },
        Call::Tag { name: name("main"), key: name("stage"), value: name("test") },
        Call::Untag { name: name("main"), key: name("team") },
        Call::Schedule { name: name("main") },
        Call::Restore { name: name("main") },
        Call::Schedule { name: name("empty") },
        Call::Purge { name: name("empty") },
        Call::Purge { name: name("main") },
    ]
}

/// Every call that looks at the store or changes it.
fn every_call(store: &SecretStore, secrets: &SecretsManager) -> Vec<(String, Result<(), Error>)> {
    let mut results: Vec<_> = script().iter().map(|call| (call.to_string(), call.run(secrets))).collect();
    let mut add = |name: &str, result| results.push((name.to_owned(), result));
    add("get", secrets.get_secret_value(GetSecretValueRequest::new("other")).map(drop));
    let batch = BatchGetSecretValueRequest::new().secret_id_list(["other"]);
    add("batch get", secrets.batch_get_secret_value(batch).map(drop));
    add("describe", secrets.describe_secret(DescribeSecretRequest::new("other")).map(drop));
    add("list", secrets.list_secrets(ListSecretsRequest::new()).map(drop));
    add("versions", secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("other")).map(drop));
    add("flush", store.flush());
    add("maintain", store.maintain().map(drop));
    add("stats", store.stats().map(drop));
    add("warm up", store.warm_up());
    results
}

fn check_poisoned(store: SecretStore, secrets: &SecretsManager) {
    for (call, result) in every_call(&store, secrets) {
        let error = result.expect_err(&call);
        assert_eq!(*error.kind(), ErrorKind::Poisoned, "{call}: {error:?}");
    }
    assert_eq!(*store.close().unwrap_err().kind(), ErrorKind::Poisoned, "close");
}

/// Tells a backend which of its next commits fails.
type Plan = fn(&FaultyBackend, u64);

/// Runs the script over a backend that fails once, for every place where it can fail, and says how often it did.
///
/// `is_applied` says whether the failing commit reaches the data all the same.
fn fail_each_commit(plan: Plan, is_applied: bool) {
    for number in 0.. {
        let memory = MemoryBackend::new();
        let faulty = FaultyBackend::new(memory.clone());
        let store = open(faulty.clone()).unwrap();
        let secrets = store.default_secrets_manager();
        plan(&faulty, number);
        let mut state = State::default();
        let failed = script().into_iter().find_map(|call| match call.run(&secrets) {
            Ok(()) => {
                state.apply(&call);
                None
            }
            Err(error) => Some((call, error)),
        });
        let Some((call, error)) = failed else {
            assert_eq!(number, script().len() as u64, "every call of the script is one commit");
            return;
        };
        assert_eq!(*error.kind(), ErrorKind::Storage, "{call}: {error:?}");
        check_poisoned(store, &secrets);
        let expected = if is_applied { state.after(&call) } else { state };
        assert_eq!(state_of(&memory), expected, "commit {number}, {call}");
    }
}

/// After a failed write nothing the store shows can be believed, until it is opened again.
#[test]
fn a_commit_that_fails_poisons_the_store_and_leaves_nothing() {
    fail_each_commit(FaultyBackend::fail_commit, false);
}

#[test]
fn a_flush_that_fails_poisons_the_store_although_the_whole_call_may_be_there() {
    fail_each_commit(FaultyBackend::fail_flush, true);
}

#[test]
fn an_engine_that_panics_in_a_commit_poisons_the_store_and_leaves_nothing() {
    fail_each_commit(FaultyBackend::panic_in_commit, false);
}

/// "A store is made in steps such that a crash leaves none, or a whole one."
#[test]
fn a_store_whose_making_failed_can_be_made_again() {
    let plans: [(&str, Plan); 3] = [
        ("failed commit", FaultyBackend::fail_commit),
        ("failed flush", FaultyBackend::fail_flush),
        ("panic", FaultyBackend::panic_in_commit),
    ];
    let mut failures = Vec::new();
    for (fault, plan) in plans {
        for number in 0.. {
            let memory = MemoryBackend::new();
            let faulty = FaultyBackend::new(memory.clone());
            plan(&faulty, number);
            match open(faulty.clone()) {
                Ok(_) => break,
                Err(error) => assert_eq!(*error.kind(), ErrorKind::Storage, "{fault} {number}: {error:?}"),
            }
            match open(memory) {
                Ok(store) => assert_eq!(State::observe(&store.default_secrets_manager()), State::default()),
                Err(error) => failures.push(format!("{fault} in commit {number}, opened again: {error:?}")),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_purge_that_fails_is_done_by_the_next_maintenance() {
    for is_applied in [false, true] {
        let memory = MemoryBackend::new();
        let faulty = FaultyBackend::new(memory.clone());
        let clock = ManualClock::at_millis(1_700_000_000_000);
        let store = builder(faulty.clone(), SeededEntropy::new(1)).clock(clock.clone()).open().unwrap();
        let secrets = store.default_secrets_manager();
        Call::Create { name: "gone".to_owned(), token: Some(token(false, 9, 1)) }.run(&secrets).unwrap();
        Call::Schedule { name: "gone".to_owned() }.run(&secrets).unwrap();
        clock.advance(TimeDelta::days(31));
        if is_applied {
            faulty.fail_flush(0);
        } else {
            faulty.fail_commit(0);
        }
        assert_eq!(*store.maintain().unwrap_err().kind(), ErrorKind::Storage);
        check_poisoned(store, &secrets);
        let store = builder(memory, SeededEntropy::new(2)).clock(clock).open().unwrap();
        let report = store.maintain().unwrap();
        assert_eq!((report.purged_secrets, report.next_due_at), (u64::from(!is_applied), None));
        assert_eq!(store.stats().unwrap().secrets, 0);
    }
}

#[test]
fn a_value_is_delivered_although_the_day_of_the_read_cannot_be_noted() {
    let faulty = FaultyBackend::new(MemoryBackend::new());
    let store = open(faulty.clone()).unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("value")).unwrap();
    faulty.fail_commit(0);
    let read = secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "value");
    let next = secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap_err();
    assert_eq!(*next.kind(), ErrorKind::Poisoned);
}

/// A read that fails fails its call and nothing else: no other state, no poisoned store.
#[test]
fn a_disk_that_cannot_be_read_changes_nothing() {
    let script = script();
    for (done, call) in script.iter().enumerate() {
        for reads in 0.. {
            let memory = MemoryBackend::new();
            let faulty = FaultyBackend::new(memory.clone());
            let store = open(faulty.clone()).unwrap();
            let secrets = store.default_secrets_manager();
            let mut before = State::default();
            for earlier in &script[..done] {
                earlier.run(&secrets).unwrap();
                before.apply(earlier);
            }
            faulty.fail_reads(reads);
            let result = call.run(&secrets);
            faulty.fail_reads(u64::MAX);
            let expected = match &result {
                Ok(()) => before.after(call),
                Err(error) => {
                    assert_eq!(*error.kind(), ErrorKind::Storage, "{call}, read {reads}: {error:?}");
                    before
                }
            };
            assert_eq!(State::observe(&secrets), expected, "{call}, read {reads}");
            assert_eq!(state_of(&memory), expected, "{call}, read {reads}, opened again");
            if result.is_ok() {
                assert!(reads > 0, "{call} needs no read");
                break;
            }
        }
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_reported_by_every_operation_that_reads() {
    let faulty = FaultyBackend::new(MemoryBackend::new());
    let store = open(faulty.clone()).unwrap();
    let secrets = store.default_secrets_manager();
    script()[0].run(&secrets).unwrap();
    faulty.fail_reads(0);
    for (call, result) in every_call(&store, &secrets) {
        match call.as_str() {
            // These do not read.
            "flush" | "stats" => result.unwrap(),
            _ => assert_eq!(*result.expect_err(&call).kind(), ErrorKind::Storage, "{call}"),
        }
    }
    faulty.fail_reads(u64::MAX);
    assert_eq!(State::observe(&secrets), State::default().after(&script()[0]));
    store.close().unwrap();
}

/// A backend that breaks its contract and panics.
#[derive(Clone, Default)]
struct PanickingBackend {
    inner: MemoryBackend,
    /// Commits that still work.
    left: Arc<AtomicU64>,
}

impl fmt::Debug for PanickingBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PanickingBackend")
    }
}

impl Backend for PanickingBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        assert!(left > 0, "a panic on purpose");
        self.inner.commit(batch, durability)
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.inner.flush()
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.inner.close()
    }
}

#[test]
fn a_backend_that_panics_leaves_nobody_waiting_for_ever() {
    let backend = PanickingBackend { left: Arc::new(AtomicU64::new(10)), ..PanickingBackend::default() };
    let store = open(backend.clone()).unwrap();
    let secrets = store.default_secrets_manager();
    let outcomes: Vec<_> = thread::scope(|threads| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let secrets = secrets.clone();
                threads.spawn(move || {
                    let create =
                        |number: u64| secrets.create_secret(CreateSecretRequest::new(format!("{thread}/{number}")));
                    (0..20).try_for_each(|number| create(number).map(drop))
                })
            })
            .collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "one thread sees the panic");
    for outcome in outcomes.into_iter().flatten() {
        let kind = outcome.unwrap_err().kind().clone();
        assert!(matches!(kind, ErrorKind::Storage | ErrorKind::Poisoned), "{kind:?}");
    }
    check_poisoned(store, &secrets);
}

/// A random source that works a number of times and then no more. Clones share the number.
#[derive(Debug, Clone)]
struct FailingEntropy {
    inner: SeededEntropy,
    left: Arc<AtomicU64>,
}

impl FailingEntropy {
    fn new(left: u64) -> Self {
        Self { inner: SeededEntropy::new(3), left: Arc::new(AtomicU64::new(left)) }
    }
}

impl Entropy for FailingEntropy {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        let take = |left: u64| if left == u64::MAX { Some(left) } else { left.checked_sub(1) };
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).map_err(|_| EntropyError::new())?;
        self.inner.fill(dest)
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}

/// Runs each call of the script with a random source that fails at its first, second, third… use, and gives the kinds
/// of the errors that were seen.
fn fail_each_use_of_entropy(with_keys: fn(Builder) -> Builder) -> Vec<(String, ErrorKind)> {
    let mut kinds = Vec::new();
    let script = script();
    for (done, call) in script.iter().enumerate() {
        for uses in 0.. {
            let memory = MemoryBackend::new();
            let entropy = FailingEntropy::new(u64::MAX);
            let store = with_keys(builder(memory.clone(), entropy.clone())).open().unwrap();
            let secrets = store.default_secrets_manager();
            let mut before = State::default();
            for earlier in &script[..done] {
                earlier.run(&secrets).unwrap();
                before.apply(earlier);
            }
            let epoch = store.stats().unwrap().epoch;
            entropy.left.store(uses, Ordering::SeqCst);
            let result = call.run(&secrets);
            entropy.left.store(u64::MAX, Ordering::SeqCst);
            let Err(error) = result else {
                assert!(uses > 0, "{call} needs no randomness");
                break;
            };
            kinds.push((format!("{call}, use {uses}"), error.kind().clone()));
            assert_eq!(store.stats().unwrap().epoch, epoch, "{call}, use {uses}: something was committed");
            assert_eq!(State::observe(&secrets), before, "{call}, use {uses}");
            call.run(&secrets).unwrap_or_else(|error| panic!("{call} once the source works again: {error:?}"));
        }
    }
    kinds
}

fn with_static_key(builder: Builder) -> Builder {
    builder.key_provider(StaticKey::new([7; 32]))
}

fn with_keyring(builder: Builder) -> Builder {
    builder.key_provider(LocalKeyring::in_memory())
}

/// "A failure fails the operation that asked, before anything is stored."
#[test]
fn a_random_source_that_fails_fails_the_call_and_nothing_is_stored() {
    for with_keys in [with_static_key, with_keyring] {
        let kinds = fail_each_use_of_entropy(with_keys);
        assert!(kinds.len() > script().len(), "{} failures", kinds.len());
        // Whether the source failed in the hands of the store or of the key provider, nothing else may be blamed.
        for (place, kind) in kinds {
            assert!(matches!(kind, ErrorKind::Entropy | ErrorKind::KeyProviderOutage(_)), "{place}: {kind:?}");
        }
    }
}

#[test]
fn a_random_source_that_fails_is_named_as_the_reason() {
    for with_keys in [with_static_key, with_keyring] {
        let kinds = fail_each_use_of_entropy(with_keys);
        let others: Vec<_> = kinds.into_iter().filter(|(_, kind)| *kind != ErrorKind::Entropy).collect();
        assert!(others.is_empty(), "{others:#?}");
    }
}

#[test]
fn a_random_source_that_fails_makes_no_password() {
    let entropy = FailingEntropy::new(u64::MAX);
    let store = builder(MemoryBackend::new(), entropy.clone()).open().unwrap();
    entropy.left.store(0, Ordering::SeqCst);
    let error = store.default_secrets_manager().get_random_password(GetRandomPasswordRequest::new()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Entropy);
}

#[test]
fn a_random_source_that_fails_does_not_keep_a_value_from_being_read() {
    let entropy = FailingEntropy::new(u64::MAX);
    let store = builder(MemoryBackend::new(), entropy.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("value")).unwrap();
    entropy.left.store(0, Ordering::SeqCst);
    let read = secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "value");
}

#[test]
fn a_random_source_that_fails_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let mut failures = Vec::new();
    for uses in 0.. {
        let memory = MemoryBackend::new();
        let Err(error) = builder(memory.clone(), FailingEntropy::new(uses)).open() else {
            assert!(uses > 0, "making a store needs no randomness");
            break;
        };
        if !matches!(error.kind(), ErrorKind::Entropy | ErrorKind::KeyProviderOutage(_)) {
            failures.push(format!("use {uses}: {error:?}"));
        }
        if let Err(error) = open(memory) {
            failures.push(format!("use {uses}, opened again: {error:?}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
