//! Power cuts: what is left when only some of the commits arrived.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use strongroom::testing::{ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{
    Backend, BackendError, BackendStats, Batch, Durability, ErrorKind, MemoryBackend, OpenMode, SecretStore, StaticKey,
    Stored,
};

use crate::history::{Call, Chance, State, next_call, token};

const NAMES: [&str; 4] = ["a", "b", "c/d", "e"];
const BYTES: [usize; 5] = [1, 100, 3_000, 65_536, 65_536];
const CALLS: u64 = 120;

fn open(backend: impl Backend + 'static, durability: Durability, mode: OpenMode) -> strongroom::Result<SecretStore> {
    SecretStore::with_backend(backend)
        .key_provider(StaticKey::new([7; 32]))
        .clock(ManualClock::at_millis(1_700_000_000_000))
        .entropy(SeededEntropy::new(1))
        .durability(durability)
        .mode(mode)
        .open()
}

/// What the store holds if only the first `commits` commits arrived.
fn left_after(backend: &RecordingBackend, commits: usize) -> State {
    let image = backend.image(commits).unwrap();
    let store = open(image, Durability::Immediate, OpenMode::OpenExisting)
        .unwrap_or_else(|error| panic!("the first {commits} commits do not make a store: {error:?}"));
    let state = State::observe(&store.default_secrets_manager());
    assert_eq!(store.stats().unwrap().secrets, state.secrets.len() as u64, "the count after {commits} commits");
    state
}

/// The commits and the state after each acknowledged call, the one before the first call included.
type Acknowledged = Vec<(usize, State)>;

/// Makes calls. After each, `inspect` sees what is acknowledged so far.
fn run(store: &SecretStore, backend: &RecordingBackend, seed: u64, mut inspect: impl FnMut(&Acknowledged)) {
    let secrets = store.default_secrets_manager();
    let names = NAMES.map(str::to_owned);
    let chance = Chance::new(seed);
    let mut acknowledged = vec![(backend.commits(), State::default())];
    inspect(&acknowledged);
    for unique in 0..CALLS {
        let state = &acknowledged.last().unwrap().1;
        let call = next_call(&chance, state, &names, &BYTES, unique);
        call.run(&secrets).unwrap_or_else(|error| panic!("{call}: {error:?}"));
        let state = state.after(&call);
        acknowledged.push((backend.commits(), state));
        inspect(&acknowledged);
    }
}

/// The state that a cut must leave: that after the last call whose commits all arrived.
fn whole_calls(acknowledged: &Acknowledged, commits: usize) -> &State {
    &acknowledged.iter().rev().find(|(at, _)| *at <= commits).unwrap().1
}

/// Design promise: acknowledged means durable. A cut at any moment leaves everything that was acknowledged until then,
/// and of the call under way all or nothing.
#[test]
fn a_cut_after_any_commit_leaves_whole_calls_and_every_acknowledged_one() {
    let backend = RecordingBackend::new();
    let store = open(backend.clone(), Durability::Immediate, OpenMode::CreateNew).unwrap();
    let mut all = Vec::new();
    run(&store, &backend, 11, |acknowledged| {
        let (commits, state) = acknowledged.last().unwrap();
        assert_eq!(backend.durable_commits(), *commits, "an acknowledged call would not survive a power cut");
        assert_eq!(left_after(&backend, *commits), *state, "after {commits} commits");
        all.clone_from(acknowledged);
    });
    for commits in all[0].0..=backend.commits() {
        assert_eq!(left_after(&backend, commits), *whole_calls(&all, commits), "after {commits} commits");
    }
}

/// A reader that notes the day adds a commit of its own, which changes nothing that a cut could show.
#[test]
fn a_cut_after_the_note_of_a_read_leaves_whole_calls() {
    let backend = RecordingBackend::new();
    let store = open(backend.clone(), Durability::Immediate, OpenMode::CreateNew).unwrap();
    let secrets = store.default_secrets_manager();
    let names = NAMES.map(str::to_owned);
    let (chance, mut acknowledged) = (Chance::new(12), vec![(backend.commits(), State::default())]);
    for unique in 0..30 {
        let state = acknowledged.last().unwrap().1.clone();
        let call = next_call(&chance, &state, &names, &[10], unique);
        call.run(&secrets).unwrap();
        let state = state.after(&call);
        acknowledged.push((backend.commits(), state.clone()));
        assert_eq!(State::observe(&secrets), state, "after {call}");
    }
    assert!(backend.commits() - acknowledged[0].0 >= acknowledged.len(), "no read was noted");
    for commits in acknowledged[0].0..=backend.commits() {
        assert_eq!(left_after(&backend, commits), *whole_calls(&acknowledged, commits), "after {commits} commits");
    }
}

/// With `Durability::Eventual` a crash may lose the latest calls, in order; a flush makes durable what came before it.
#[test]
fn a_cut_of_a_store_that_waits_with_durability_loses_only_the_latest_whole_calls() {
    let backend = RecordingBackend::new();
    let store = open(backend.clone(), Durability::Eventual, OpenMode::CreateNew).unwrap();
    let mut most_at_stake = 0;
    run(&store, &backend, 13, |acknowledged| {
        let calls = acknowledged.len() - 1;
        let (commits, state) = acknowledged.last().unwrap();
        if calls % 17 == 16 {
            store.flush().unwrap();
            assert_eq!(backend.durable_commits(), *commits, "a flush leaves nothing at stake");
            assert_eq!(left_after(&backend, *commits), *state);
        }
        most_at_stake = most_at_stake.max(commits - backend.durable_commits());
        if calls % 10 == 0 {
            for left in backend.durable_commits()..=*commits {
                assert_eq!(left_after(&backend, left), *whole_calls(acknowledged, left), "{left} of {commits} commits");
            }
        }
    });
    assert!(most_at_stake > 1, "every call waited for the disk");
    store.close().unwrap();
    assert_eq!(backend.durable_commits(), backend.commits(), "closing makes everything durable");
}

/// "A store is made in steps such that a crash leaves none, or a whole one."
#[test]
fn a_cut_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let backend = RecordingBackend::new();
    open(backend.clone(), Durability::Immediate, OpenMode::CreateNew).unwrap();
    for commits in 0..=backend.commits() {
        let image = backend.image(commits).unwrap();
        match open(image.clone(), Durability::Immediate, OpenMode::OpenExisting) {
            Ok(store) => assert_eq!(State::observe(&store.default_secrets_manager()), State::default()),
            Err(error) => assert_eq!(*error.kind(), ErrorKind::NotAStore, "after {commits} commits: {error:?}"),
        }
        let store = open(image, Durability::Immediate, OpenMode::OpenOrCreate);
        let store = store.unwrap_or_else(|error| panic!("no store can be made after {commits} commits: {error:?}"));
        Call::Create { name: "a".to_owned(), token: None }.run(&store.default_secrets_manager()).unwrap();
    }
}

/// A memory backend whose commits wait while the gate is closed, as they would for a slow disk.
#[derive(Clone, Default)]
struct SlowBackend {
    inner: MemoryBackend,
    commits: Arc<Mutex<usize>>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    /// Threads that are about to make a call.
    ready: usize,
}

impl fmt::Debug for SlowBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowBackend")
    }
}

impl Backend for SlowBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), BackendError> {
        *self.commits.lock().unwrap() += 1;
        let (gate, opened) = &*self.gate;
        drop(opened.wait_while(gate.lock().unwrap(), |gate| gate.is_closed && gate.ready < 8).unwrap());
        // The other threads are on their way: give them every chance to queue before this commit ends.
        for _ in 0..10_000 {
            thread::yield_now();
        }
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

/// Concurrent callers share one flush: eight threads must not cost eight flushes.
#[test]
fn calls_that_wait_together_are_committed_together() {
    const ROUNDS: usize = 5;
    let backend = SlowBackend::default();
    let store = open(backend.clone(), Durability::Immediate, OpenMode::CreateNew).unwrap();
    let secrets = store.default_secrets_manager();
    let names: Vec<String> = (0..8).map(|index| format!("secret-{index}")).collect();
    for name in &names {
        Call::Create { name: name.clone(), token: None }.run(&secrets).unwrap();
    }
    let before = *backend.commits.lock().unwrap();
    for round in 0..ROUNDS {
        *backend.gate.0.lock().unwrap() = Gate { is_closed: true, ready: 0 };
        thread::scope(|threads| {
            let (backend, secrets) = (&backend, &secrets);
            for (number, name) in names.iter().enumerate() {
                threads.spawn(move || {
                    let token = token(false, 9, (round * 8 + number) as u64);
                    backend.gate.0.lock().unwrap().ready += 1;
                    backend.gate.1.notify_all();
                    Call::Put { name: name.clone(), token, labels: vec![] }.run(secrets).unwrap();
                });
            }
        });
    }
    let commits = *backend.commits.lock().unwrap() - before;
    let calls = ROUNDS * names.len();
    assert!(commits <= calls / 2, "{calls} calls by eight threads took {commits} commits");
    let versions: usize = State::observe(&secrets).secrets.values().map(|kept| kept.versions.len()).sum();
    assert_eq!(versions, calls);
}
