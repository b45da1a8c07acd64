//! Observers that misbehave, that call the store, and that are many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use strongroom::{
    AuditRecord, CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, Observer, PutSecretValueRequest,
    SecretsManager,
};

use crate::fixture::{Seen, builder, observed_by};

/// What is thrown panics again when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on being dropped");
    }
}

#[derive(Debug)]
struct Panics {
    with_a_bomb: bool,
}

impl Observer for Panics {
    fn observe(&self, _: &AuditRecord) {
        if self.with_a_bomb {
            std::panic::panic_any(Bomb);
        }
        panic!("an observer that panics");
    }
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    let seen = [Seen::default(), Seen::default(), Seen::default()];
    let [before, between, after] = seen.clone();
    let store = builder()
        .observer(before)
        .observer(Panics { with_a_bomb: false })
        .observer(between)
        .observer(Panics { with_a_bomb: true })
        .observer(after)
        .open()
        .unwrap();
    let secrets = store.default_secrets_manager();
    let created = secrets.create_secret(CreateSecretRequest::new("a").secret_string("v"));
    let refused = secrets.describe_secret(DescribeSecretRequest::new("nope"));
    assert_eq!(created.unwrap().name, "a");
    assert_eq!(refused.unwrap_err().code(), "ResourceNotFoundException");
    let [before, between, after] = seen.map(|seen| seen.take());
    assert_eq!(before.len(), 2);
    assert_eq!((&before, &before), (&between, &after));
    assert_eq!(secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap().secret_string.unwrap().expose(), "v");
    store.close().unwrap();
}

/// Reads, and writes, what was just written.
#[derive(Debug, Default)]
struct Caller {
    secrets: OnceLock<SecretsManager>,
    told: Mutex<Vec<&'static str>>,
}

impl Observer for Caller {
    fn observe(&self, record: &AuditRecord) {
        self.told.lock().unwrap().push(record.event_name);
        let Some(secrets) = self.secrets.get() else { return };
        if record.event_name == "CreateSecret" {
            // The change is there, and nothing is locked.
            let id = record.secret_id().unwrap();
            let read = secrets.get_secret_value(GetSecretValueRequest::new(id)).unwrap();
            let again = format!("{} again", read.secret_string.unwrap().expose());
            secrets.put_secret_value(PutSecretValueRequest::new(id, again)).unwrap();
        }
    }
}

#[test]
fn an_observer_may_call_the_store_and_is_told_of_that_too() {
    let caller = Arc::new(Caller::default());
    let (_store, secrets) = observed_by(Arc::clone(&caller));
    caller.secrets.set(secrets.clone()).unwrap();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("once")).unwrap();
    assert_eq!(*caller.told.lock().unwrap(), ["CreateSecret", "GetSecretValue", "PutSecretValue"]);
    let read = secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "once again");
}

/// Counts those records that come on the thread of the call that they are of.
#[derive(Debug, Default)]
struct OnTheCallersThread(AtomicUsize);

impl Observer for OnTheCallersThread {
    fn observe(&self, record: &AuditRecord) {
        let thread = thread::current();
        let is_its_own = record.secret_id().is_some_and(|id| thread.name().is_some_and(|name| id.contains(name)));
        self.0.fetch_add(usize::from(is_its_own), Ordering::Relaxed);
    }
}

#[test]
fn records_come_on_the_thread_of_the_caller_and_none_is_missing() {
    let (on_the_thread, seen) = (Arc::new(OnTheCallersThread::default()), Seen::default());
    let store = builder().observer(Arc::clone(&on_the_thread)).observer(seen.clone()).open().unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let secrets = store.default_secrets_manager();
            let name = format!("worker{worker}");
            let work = move || {
                let name = thread::current().name().unwrap().to_owned();
                secrets.create_secret(CreateSecretRequest::new(&name)).unwrap();
                for number in 0..50 {
                    secrets.put_secret_value(PutSecretValueRequest::new(&name, format!("{number}"))).unwrap();
                }
            };
            thread::Builder::new().name(name).spawn_scoped(scope, work).unwrap();
        }
    });
    assert_eq!(on_the_thread.0.load(Ordering::Relaxed), 4 * 51);
    let mut ids: Vec<_> = seen.take().into_iter().map(|record| record.event_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4 * 51, "no two records have the same id");
}

/// A store that refuses everything still tells of what it refused.
#[test]
fn calls_of_a_closed_store_leave_records() {
    let seen = Seen::default();
    let (store, secrets) = observed_by(seen.clone());
    store.close().unwrap();
    secrets.describe_secret(DescribeSecretRequest::new("a")).unwrap_err();
    let record = seen.one();
    assert_eq!(record.error_code, Some("InternalServiceError"));
    assert_eq!(record.error_message.as_deref(), Some("An error occurred on the server side."));
}
