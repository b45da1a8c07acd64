//! Eight threads on a few secrets, and the order in which it all happened.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use strongroom::testing::ManualClock;
use strongroom::{
    Backend, BackendError, BackendStats, Batch, Builder, Durability, MemoryBackend, SecretStore, SecretsManager,
    StaticKey, Stored,
};

use crate::chance::Chance;
use crate::from_environment;
use crate::linear::{Event, NOW, Search, without_day};
use crate::request::{Given, Metadata, Request};
use crate::run::in_words;

const HISTORIES: u64 = 200;
/// Of so many histories, one is made on files.
const HISTORIES_PER_HISTORY_ON_FILES: u64 = 10;
const THREADS: usize = 8;
const CALLS: usize = 6;
const SECRETS: [&str; 2] = ["a", "b"];

/// A memory that lets other threads go first, so that calls meet in the middle.
#[derive(Debug)]
struct Yielding(MemoryBackend);

impl Backend for Yielding {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        thread::yield_now();
        let got = self.0.get(key);
        thread::yield_now();
        got
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.0.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        thread::yield_now();
        self.0.commit(batch, durability)?;
        thread::yield_now();
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.0.flush()
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        self.0.stats()
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.close()
    }
}

fn open(builder: Builder) -> SecretStore {
    builder.key_provider(StaticKey::new([7; 32])).clock(ManualClock::at_millis(NOW)).open().unwrap()
}

/// The token of a version says its value, so that a token that is used twice is a replay.
fn value_of(token: &str) -> Given {
    Given { string: Some(format!("value of {token}")), binary: None }
}

/// What a thread does, chosen without knowing what the others do.
fn request(chance: &mut Chance) -> Request {
    let id = chance.pick(&SECRETS).to_owned();
    // Few tokens, so that puts are repeated and labels are moved to versions that are there.
    let tokens: Vec<String> = (0..6).map(|token| format!("token-{token}-{:024}", 0)).collect();
    let token = chance.pick(&tokens);
    let label = chance.pick(&["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "blue"]).to_owned();
    match chance.below(24) {
        0..3 => {
            let metadata = Metadata { token: Some(token.clone()), ..Metadata::default() };
            Request::CreateSecret { name: id, value: value_of(&token), metadata, tags: None }
        }
        3..8 => {
            let stages = chance.is_one_of(3).then(|| vec![label]);
            // Another value under the same token is refused.
            let value = if chance.is_one_of(8) { value_of("another") } else { value_of(&token) };
            Request::PutSecretValue { id, token: Some(token), value, stages, rotation_token: None }
        }
        8..13 => Request::GetSecretValue { id, version: None, stage: chance.is_one_of(3).then_some(label) },
        13..17 => {
            let from = chance.is_one_of(2).then(|| chance.pick(&tokens));
            Request::UpdateSecretVersionStage { id, stage: label, from, to: Some(token) }
        }
        17 => Request::TagResource { id, tags: vec![(chance.pick(&["x", "y"]).to_owned(), token)] },
        18 => Request::UntagResource { id, keys: vec!["x".to_owned()] },
        19 => Request::UpdateSecret {
            id,
            value: Given::default(),
            metadata: Metadata { description: Some(token), ..Metadata::default() },
        },
        20 => Request::DeleteSecret { id, days: None, force: chance.is_one_of(2).then_some(true) },
        21 => Request::RestoreSecret { id },
        _ => Request::DescribeSecret { id },
    }
}

struct Recorder<'a> {
    secrets: &'a SecretsManager,
    counter: &'a AtomicU64,
}

impl Recorder<'_> {
    fn call(&self, thread: usize, request: Request) -> Event {
        let invoked = self.counter.fetch_add(1, Ordering::SeqCst);
        let outcome = without_day(crate::engine::call(self.secrets, &request));
        let answered = self.counter.fetch_add(1, Ordering::SeqCst);
        Event { thread, request, outcome, invoked, answered }
    }
}

/// Everything that was called on a store and answered. It ends with a look at everything.
fn history(secrets: &SecretsManager, seed: u64) -> Vec<Event> {
    let recorder = Recorder { secrets, counter: &AtomicU64::new(0) };
    let mut chance = Chance::new(seed);
    let mut events = Vec::new();
    // Most secrets are there from the beginning.
    for name in SECRETS {
        let token = format!("token-0-{:024}", 0);
        let metadata = Metadata { token: Some(token.clone()), ..Metadata::default() };
        let create = Request::CreateSecret { name: name.to_owned(), value: value_of(&token), metadata, tags: None };
        if !chance.is_one_of(4) {
            events.push(recorder.call(THREADS, create));
        }
    }
    let work: Vec<Vec<Request>> = (0..THREADS).map(|_| (0..CALLS).map(|_| request(&mut chance)).collect()).collect();
    let start = Barrier::new(THREADS);
    thread::scope(|threads| {
        let recorder = &recorder;
        let start = &start;
        let running: Vec<_> = (0..)
            .zip(work)
            .map(|(thread, requests)| {
                threads.spawn(move || {
                    start.wait();
                    requests.into_iter().map(|request| recorder.call(thread, request)).collect::<Vec<_>>()
                })
            })
            .collect();
        events.extend(running.into_iter().flat_map(|thread| thread.join().unwrap()));
    });
    for name in SECRETS {
        let id = name.to_owned();
        events.push(recorder.call(THREADS, Request::DescribeSecret { id: id.clone() }));
        let (max, next, deprecated) = (None, None, Some(true));
        let list = recorder.call(THREADS, Request::ListSecretVersionIds { id: id.clone(), max, next, deprecated });
        let versions = list.outcome.as_ref().ok().and_then(|list| list["Versions"].as_array().cloned());
        events.push(list);
        for version in versions.into_iter().flatten() {
            let version = version["VersionId"].as_str().map(str::to_owned);
            events.push(recorder.call(THREADS, Request::GetSecretValue { id: id.clone(), version, stage: None }));
        }
    }
    events
}

/// How many calls were under way at the same time as another one on the same secret.
fn met(events: &[Event]) -> u64 {
    let overlaps = |a: &Event, b: &Event| a.thread != b.thread && a.invoked < b.answered && b.invoked < a.answered;
    events.iter().filter(|event| events.iter().any(|other| overlaps(event, other))).count() as u64
}

fn in_full(events: &[Event]) -> String {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.invoked);
    let line = |event: &Event| {
        let Event { thread, request, outcome, invoked, answered } = event;
        format!("  {invoked:4} to {answered:4}, thread {thread}: {request}\n      {}\n", in_words(outcome))
    };
    events.iter().map(line).collect()
}

#[test]
fn an_order_explains_all_that_threads_were_told_at_once() {
    let histories = from_environment("STRONGROOM_HISTORIES").unwrap_or(HISTORIES);
    let (mut calls, mut concurrent, mut states, mut refused) = (0, 0, 0, 0);
    for seed in 1..=histories {
        let directory = tempfile::tempdir().unwrap();
        let store = if seed.is_multiple_of(HISTORIES_PER_HISTORY_ON_FILES) {
            open(SecretStore::builder(directory.path().join("store")))
        } else {
            open(SecretStore::with_backend(Yielding(MemoryBackend::new())))
        };
        let events = history(&store.default_secrets_manager(), seed);
        store.close().unwrap();
        let mut by_secret: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for mut event in events {
            let id = event.request.id_mut().unwrap().clone();
            by_secret.entry(id).or_default().push(event);
        }
        for (id, events) in by_secret {
            let mut search = Search::default();
            assert!(
                search.explains(&events),
                "history {seed}: no order explains what was told of `{id}`:\n{}",
                in_full(&events)
            );
            calls += events.len() as u64;
            concurrent += met(&events);
            states += search.states();
            refused += events.iter().filter(|event| event.outcome.is_err()).count() as u64;
        }
    }
    eprintln!(
        "histories: {histories} of {THREADS} threads, {calls} calls, {concurrent} of them beside others on the same \
         secret, {refused} refused, {states} states searched"
    );
    assert!(concurrent * 10 > calls, "only {concurrent} of {calls} calls met others");
}
