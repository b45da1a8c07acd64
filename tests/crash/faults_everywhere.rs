//! Every operation, with each of its calls of the backend failing once, in every way in which it can fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, BackendError, BackendStats, Batch, BatchGetSecretValueRequest, Builder, CreateSecretRequest,
    DeleteSecretRequest, DescribeSecretRequest, Durability, Error, ErrorKind, Filter, FilterKey,
    GetRandomPasswordRequest, GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest, MemoryBackend,
    OpenMode, PutSecretValueRequest, RestoreSecretRequest, SecretStore, StaticKey, Stored, Tag, TagResourceRequest,
    UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest, VerifyOptions, limits,
};

use crate::history::{CURRENT, State, token, value_of};

const BEGIN: i64 = 1_700_000_000_000;

/// How a call of the backend fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing is done.
    Before,
    /// It is done, and reported as failed.
    After,
    /// As if the engine panicked before anything was done.
    Panicked,
}

/// A backend of which one call fails, once. Clones share the count.
#[derive(Debug, Clone)]
struct FailsOnce {
    inner: MemoryBackend,
    calls: Arc<AtomicU64>,
    fails_at: u64,
    fault: Fault,
    /// Calls are counted, and fail, only while this is set.
    is_armed: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
    has_failed_to_write: Arc<AtomicBool>,
}

impl FailsOnce {
    fn new(inner: MemoryBackend, fails_at: u64, fault: Fault) -> Self {
        Self {
            inner,
            calls: Arc::default(),
            fails_at,
            fault,
            is_armed: Arc::default(),
            has_failed: Arc::default(),
            has_failed_to_write: Arc::default(),
        }
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    fn call<T>(
        &self,
        doing: &'static str,
        is_write: bool,
        call: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let is_hit = self.is_armed.load(Ordering::SeqCst) && self.calls.fetch_add(1, Ordering::SeqCst) == self.fails_at;
        if !is_hit {
            return call();
        }
        self.has_failed.store(true, Ordering::SeqCst);
        self.has_failed_to_write.fetch_or(is_write, Ordering::SeqCst);
        match self.fault {
            Fault::Panicked => Err(BackendError::Panicked { doing }),
            Fault::After => call().and_then(|_| Err(injected(doing))),
            Fault::Before => Err(injected(doing)),
        }
    }
}

fn injected(doing: &'static str) -> BackendError {
    BackendError::Io { doing, error: std::io::Error::other("injected fault") }
}

impl Backend for FailsOnce {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.call("read a record", false, || self.inner.get(key))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.call("scan records", false, || self.inner.scan(prefix, after, limit))
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        self.call("apply a batch", true, || self.inner.commit(batch, durability))
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.call("flush", true, || self.inner.flush())
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.call("measure", false, || self.inner.stats())
    }

    fn close(&self) -> Result<(), BackendError> {
        self.call("close", true, || self.inner.close())
    }
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

fn builder(backend: impl Backend + 'static, clock: &ManualClock) -> Builder {
    let builder = SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32]));
    builder.clock(clock.clone()).entropy(SeededEntropy::new(1)).mode(OpenMode::OpenExisting)
}

fn version(number: u64) -> String {
    token(false, 30, number)
}

/// A store, and the time at which something is done with it.
type Prepared = (MemoryBackend, ManualClock);

/// A store with something for every operation to do. With `is_crowded`, there is a secret with versions that are to go,
/// and nothing else.
fn prepared(is_crowded: bool) -> Prepared {
    let memory = MemoryBackend::new();
    let clock = ManualClock::at_millis(BEGIN);
    let store = builder(memory.clone(), &clock).mode(OpenMode::CreateNew).open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = |name: &str, number| {
        let create = CreateSecretRequest::new(name).client_request_token(version(number));
        let value = value_of(&version(number));
        secrets.create_secret(create.secret_string(text(&value))).unwrap()
    };
    let put = |name: &str, number, labels: &[&str]| {
        let value = value_of(&version(number));
        let put = PutSecretValueRequest::new(name, value).client_request_token(version(number));
        secrets.put_secret_value(put.version_stages(labels.iter().copied())).unwrap();
    };
    if is_crowded {
        create("crowded", 2);
        for number in 0..limits::VERSIONS_KEPT as u64 + 3 {
            put("crowded", 1_000 + number, &["spare"]);
        }
        clock.advance(TimeDelta::days(8));
        store.close().unwrap();
        return (memory, clock);
    }
    create("expired", 1);
    secrets.delete_secret(DeleteSecretRequest::new("expired").recovery_window_in_days(7)).unwrap();
    clock.advance(TimeDelta::days(8));
    create("main", 10);
    secrets.tag_resource(TagResourceRequest::new("main", [Tag::new("team", "payments")])).unwrap();
    put("main", 11, &[CURRENT]);
    put("main", 12, &["blue"]);
    create("other", 20);
    create("scheduled", 30);
    secrets.delete_secret(DeleteSecretRequest::new("scheduled")).unwrap();
    secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    store.close().unwrap();
    (memory, clock)
}

fn text(value: &strongroom::SecretValue) -> String {
    match value {
        strongroom::SecretValue::String(text) => text.expose().to_owned(),
        strongroom::SecretValue::Binary(_) => panic!("a text was asked for"),
    }
}

type Run = fn(&SecretStore, &Path) -> Result<(), Error>;

/// An operation, and whether it uses the backend at all.
struct Row {
    name: &'static str,
    run: Run,
    is_on_records: bool,
    /// Whether it is done with the store that has old versions.
    is_crowded: bool,
}

/// Every operation of the API and everything else that an open store does.
fn rows() -> Vec<Row> {
    let row = |name, run| Row { name, run, is_on_records: true, is_crowded: false };
    let crowded = |name, run| Row { name, run, is_on_records: true, is_crowded: true };
    vec![
        row("create", |store, _| {
            let create = CreateSecretRequest::new("new").client_request_token(version(50));
            let create = create.secret_string(text(&value_of(&version(50)))).tags([Tag::new("a", "b")]);
            store.default_secrets_manager().create_secret(create).map(drop)
        }),
        row("create without a value", |store, _| {
            store.default_secrets_manager().create_secret(CreateSecretRequest::new("new")).map(drop)
        }),
        row("create again with the same token", |store, _| {
            let create = CreateSecretRequest::new("other").client_request_token(version(20));
            let create = create.secret_string(text(&value_of(&version(20))));
            store.default_secrets_manager().create_secret(create).map(drop)
        }),
        row("put", |store, _| {
            let put = PutSecretValueRequest::new("main", value_of(&version(51))).client_request_token(version(51));
            store.default_secrets_manager().put_secret_value(put).map(drop)
        }),
        row("put with labels", |store, _| {
            let put = PutSecretValueRequest::new("empty", value_of(&version(52))).client_request_token(version(52));
            store.default_secrets_manager().put_secret_value(put.version_stages(["blue"])).map(drop)
        }),
        crowded("maintenance of old versions", |store, _| store.maintain().map(drop)),
        crowded("put that removes old versions", |store, _| {
            let put = PutSecretValueRequest::new("crowded", value_of(&version(53))).client_request_token(version(53));
            store.default_secrets_manager().put_secret_value(put).map(drop)
        }),
        row("put again with the same token", |store, _| {
            let put = PutSecretValueRequest::new("main", value_of(&version(11))).client_request_token(version(11));
            store.default_secrets_manager().put_secret_value(put).map(drop)
        }),
        row("update of the description", |store, _| {
            let update = UpdateSecretRequest::new("main").description("new");
            store.default_secrets_manager().update_secret(update).map(drop)
        }),
        row("update of the value", |store, _| {
            let update = UpdateSecretRequest::new("main").client_request_token(version(54));
            let update = update.secret_string(text(&value_of(&version(54))));
            store.default_secrets_manager().update_secret(update).map(drop)
        }),
        row("update of a label", |store, _| {
            let update = UpdateSecretVersionStageRequest::new("main", CURRENT);
            let update = update.remove_from_version_id(version(11)).move_to_version_id(version(12));
            store.default_secrets_manager().update_secret_version_stage(update).map(drop)
        }),
        row("tag", |store, _| {
            let tag = TagResourceRequest::new("main", [Tag::new("a", "b")]);
            store.default_secrets_manager().tag_resource(tag)
        }),
        row("untag", |store, _| {
            store.default_secrets_manager().untag_resource(UntagResourceRequest::new("main", ["team"]))
        }),
        row("delete", |store, _| {
            store.default_secrets_manager().delete_secret(DeleteSecretRequest::new("main")).map(drop)
        }),
        row("forced deletion", |store, _| {
            let delete = DeleteSecretRequest::new("main").force_delete_without_recovery(true);
            store.default_secrets_manager().delete_secret(delete).map(drop)
        }),
        row("restore", |store, _| {
            store.default_secrets_manager().restore_secret(RestoreSecretRequest::new("scheduled")).map(drop)
        }),
        row("get", |store, _| {
            store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("main")).map(drop)
        }),
        row("get by label", |store, _| {
            let get = GetSecretValueRequest::new("main").version_stage("blue");
            store.default_secrets_manager().get_secret_value(get).map(drop)
        }),
        row("batch get by names", |store, _| {
            let get = BatchGetSecretValueRequest::new().secret_id_list(["main", "other", "nobody"]);
            store.default_secrets_manager().batch_get_secret_value(get).map(drop)
        }),
        row("batch get by filter", |store, _| {
            let get = BatchGetSecretValueRequest::new().filters([Filter::new(FilterKey::Name, ["main", "other"])]);
            store.default_secrets_manager().batch_get_secret_value(get).map(drop)
        }),
        row("describe", |store, _| {
            store.default_secrets_manager().describe_secret(DescribeSecretRequest::new("main")).map(drop)
        }),
        row("list", |store, _| store.default_secrets_manager().list_secrets(ListSecretsRequest::new()).map(drop)),
        row("list of versions", |store, _| {
            let list = ListSecretVersionIdsRequest::new("main").include_deprecated(true);
            store.default_secrets_manager().list_secret_version_ids(list).map(drop)
        }),
        Row {
            name: "random password",
            run: |store, _| {
                store.default_secrets_manager().get_random_password(GetRandomPasswordRequest::new()).map(drop)
            },
            is_on_records: false,
            is_crowded: false,
        },
        row("flush", |store, _| store.flush()),
        row("maintain", |store, _| store.maintain().map(drop)),
        row("stats", |store, _| store.stats().map(drop)),
        row("warm up", |store, _| store.warm_up()),
        row("verify", |store, _| {
            store.verify(VerifyOptions::new(), &mut |_| {}).map(|report| assert!(report.is_clean(), "{report:?}"))
        }),
        row("backup", |store, place| store.backup(place.join("backup"), &mut |_| {}).map(drop)),
    ]
}

/// What a store holds, read through a store of its own.
fn state_of(memory: &MemoryBackend, clock: &ManualClock) -> State {
    let store = builder(copied(memory), clock).open();
    let store = store.unwrap_or_else(|error| panic!("the store does not open again: {error:?}"));
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:?}");
    State::observe(&store.default_secrets_manager())
}

#[derive(Default)]
struct Tally {
    faults: u64,
    writes: u64,
    applied: u64,
    poisoned: u64,
    failures: Vec<String>,
}

/// Fails each call that an operation makes of the backend. Gives how many there are.
fn fail_each(row: &Row, fault: Fault, prepared: &Prepared, tally: &mut Tally) -> u64 {
    let (memory, clock) = prepared;
    let before = state_of(memory, clock);
    let after = {
        let memory = copied(memory);
        let place = tempfile::tempdir().unwrap();
        let store = builder(memory.clone(), clock).open().unwrap();
        (row.run)(&store, place.path()).unwrap_or_else(|error| panic!("{} without a fault: {error:?}", row.name));
        store.close().unwrap();
        state_of(&memory, clock)
    };
    for number in 0.. {
        let memory = copied(memory);
        let place = tempfile::tempdir().unwrap();
        let failing = FailsOnce::new(memory.clone(), number, fault);
        let store = builder(failing.clone(), clock).open().unwrap();
        failing.is_armed.store(true, Ordering::SeqCst);
        let result = catch_unwind(AssertUnwindSafe(|| (row.run)(&store, place.path())));
        failing.is_armed.store(false, Ordering::SeqCst);
        let mut fail = |text: String| tally.failures.push(format!("{}, {fault:?} in call {number}: {text}", row.name));
        let Ok(result) = result else {
            fail("a panic".to_owned());
            continue;
        };
        if !failing.has_failed() {
            if let Err(error) = result {
                fail(format!("an error without a fault: {error:?}"));
            }
            return number;
        }
        let is_write = failing.has_failed_to_write.load(Ordering::SeqCst);
        let is_succeeded = result.is_ok();
        match &result {
            Err(error) if *error.kind() == ErrorKind::Storage => {}
            // Of the secrets of a batch, those after the first note that fails find the store poisoned.
            Err(error) if *error.kind() == ErrorKind::Poisoned && row.name.starts_with("batch get") => {}
            Err(error) => fail(format!("{error:?}")),
            // A value is given although the day on which it was read cannot be noted, and a batch says of each secret
            // what became of it.
            Ok(()) if row.name.starts_with("get") || row.name.starts_with("batch get") => {}
            Ok(()) => fail("it says that it succeeded".to_owned()),
        }
        let leftovers: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        if !leftovers.is_empty() {
            fail(format!("leaves {leftovers:?}"));
        }
        // A failed write, and a panic in the engine whatever it was doing, leave nothing that could be believed.
        let is_poisoned = store.stats().is_err_and(|error| *error.kind() == ErrorKind::Poisoned);
        if is_poisoned != (is_write || fault == Fault::Panicked) {
            fail(format!("poisoned: {is_poisoned}"));
        }
        if !is_poisoned {
            // The next attempt succeeds, as if nothing had been.
            if let Err(error) = (row.run)(&store, place.path()) {
                fail(format!("the next attempt: {error:?}"));
            }
        }
        let closed = store.close();
        if closed.is_err() != is_poisoned {
            fail(format!("closing gives {closed:?}, poisoned: {is_poisoned}"));
        }
        let left = catch_unwind(AssertUnwindSafe(|| state_of(&memory, clock)));
        let is_allowed = match &left {
            Err(_) => false,
            // The second attempt did it.
            Ok(left) if !is_poisoned => *left == after,
            Ok(left) if is_write && fault == Fault::After => {
                *left == before || *left == after || row.name.starts_with("maint")
            }
            Ok(left) => *left == before || is_succeeded || row.name.starts_with("maint"),
        };
        if !is_allowed {
            fail(format!("it left neither the state before nor the state after: {left:#?}"));
        }
        tally.faults += 1;
        tally.writes += u64::from(is_write);
        tally.poisoned += u64::from(is_poisoned);
        tally.applied += u64::from(left.is_ok_and(|left| left != before));
    }
    0
}

#[test]
fn whichever_call_of_the_backend_fails_the_operation_says_so_and_is_done_or_not() {
    let (usual, crowded) = (prepared(false), prepared(true));
    let mut tally = Tally::default();
    let mut operations = 0;
    for row in rows() {
        for fault in [Fault::Before, Fault::After, Fault::Panicked] {
            let prepared = if row.is_crowded { &crowded } else { &usual };
            let calls = fail_each(&row, fault, prepared, &mut tally);
            if (calls > 0) != row.is_on_records {
                tally.failures.push(format!("{} makes {calls} calls of the backend", row.name));
            }
        }
        operations += 1;
    }
    let Tally { faults, writes, applied, poisoned, failures } = tally;
    eprintln!(
        "faults everywhere: {operations} operations, {faults} calls of the backend failed, {writes} of them writes; \
         {poisoned} stores poisoned, {applied} changes found afterwards, {} failures",
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_store_whose_opening_fails_opens_afterwards_and_is_as_it_was() {
    let (memory, clock) = prepared(false);
    let before = state_of(&memory, &clock);
    let mut failures = Vec::new();
    let mut faults = 0;
    for fault in [Fault::Before, Fault::After, Fault::Panicked] {
        for number in 0.. {
            let memory = copied(&memory);
            let failing = FailsOnce::new(memory.clone(), number, fault);
            failing.is_armed.store(true, Ordering::SeqCst);
            let opened = catch_unwind(AssertUnwindSafe(|| builder(failing.clone(), &clock).open()));
            failing.is_armed.store(false, Ordering::SeqCst);
            if !failing.has_failed() {
                break;
            }
            faults += 1;
            match opened {
                Ok(Err(error)) if *error.kind() == ErrorKind::Storage => {}
                other => failures.push(format!("{fault:?} in call {number}: {other:?}")),
            }
            if state_of(&memory, &clock) != before {
                failures.push(format!("{fault:?} in call {number}: the store was changed"));
            }
        }
    }
    eprintln!("faults while opening: {faults}, {} failures", failures.len());
    assert!(failures.is_empty() && faults > 0, "{}", failures.join("\n"));
}
