//! A store, the directory of its standby, and what tests compare.

use std::path::PathBuf;

use strongroom::testing::ManualClock;
use strongroom::{
    Builder, Changes, CreateSecretRequest, Error, ErrorKind, FeedPosition, PutSecretValueRequest, ReplicationFault,
    ReplicationLink, SecretStore, SecretsManager, Seed, StandbyDirectory, StaticKey, VerifyOptions,
};
use tempfile::TempDir;

use crate::history::{Call, Chance, State, next_call};

/// When the stores of these tests live.
const NOW: i64 = 1_700_000_000_000;

/// Sizes of values in bytes.
pub(crate) const BYTES: [usize; 5] = [1, 20, 300, 5_000, 65_536];

/// Two directories.
pub(crate) struct Pair {
    place: TempDir,
    pub(crate) clock: ManualClock,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self { place: tempfile::tempdir().unwrap(), clock: ManualClock::at_millis(NOW) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn builder(&self, name: &str) -> Builder {
        SecretStore::builder(self.path(name)).key_provider(StaticKey::new([7; 32])).clock(self.clock.clone())
    }

    pub(crate) fn open(&self, name: &str) -> SecretStore {
        self.builder(name).open().unwrap()
    }

    pub(crate) fn link(&self, name: &str) -> StandbyDirectory {
        StandbyDirectory::new(self.builder(name))
    }
}

pub(crate) fn create(store: &SecretStore, name: &str, value: &str) {
    store.default_secrets_manager().create_secret(CreateSecretRequest::new(name).secret_string(value)).unwrap();
}

pub(crate) fn put(store: &SecretStore, name: &str, value: &str) {
    store.default_secrets_manager().put_secret_value(PutSecretValueRequest::new(name, value)).unwrap();
}

pub(crate) fn replicate(store: &SecretStore, link: &dyn ReplicationLink) -> FeedPosition {
    let report = store.replicate_to(link, &mut |_| {}).unwrap();
    assert_eq!(link.position().unwrap(), Some(report.position));
    report.position
}

pub(crate) fn observe(store: &SecretStore) -> State {
    State::observe(&store.default_secrets_manager())
}

pub(crate) fn epoch(store: &SecretStore) -> u64 {
    store.stats().unwrap().epoch
}

/// Fails unless a verification finds nothing.
pub(crate) fn assert_clean(store: &SecretStore) {
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");
}

/// Why something was refused.
pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, Error>) -> ReplicationFault {
    let error = result.expect_err("it is refused");
    match error.kind() {
        ErrorKind::Replication(fault) => {
            // What somebody asks of a standby is theirs to ask elsewhere; the rest is not the doing of who calls.
            let is_asked = *fault == ReplicationFault::IsStandby;
            assert_eq!(error.code(), if is_asked { "InvalidRequestException" } else { "InternalServiceError" });
            *fault
        }
        other => panic!("refused for another reason: {other:?}: {error}"),
    }
}

/// Calls on a few secrets, and what the store holds after each of its commits.
pub(crate) struct Journal {
    chance: Chance,
    names: Vec<String>,
    unique: u64,
    pub(crate) now: State,
    /// By the number of the commit.
    pub(crate) states: Vec<(u64, State)>,
}

impl Journal {
    pub(crate) fn new(seed: u64, store: &SecretStore) -> Self {
        let names = (0..12).map(|index| format!("secret-{index}")).collect();
        let now = observe(store);
        Self {
            chance: Chance::new(seed),
            names,
            unique: seed * 1_000_000,
            states: vec![(epoch(store), now.clone())],
            now,
        }
    }

    pub(crate) fn next(&mut self) -> Call {
        self.unique += 1;
        next_call(&self.chance, &self.now, &self.names, &BYTES, self.unique)
    }

    /// Makes so many calls.
    pub(crate) fn run(&mut self, store: &SecretStore, calls: usize) {
        let secrets: SecretsManager = store.default_secrets_manager();
        for _ in 0..calls {
            let call = self.next();
            call.run(&secrets).unwrap_or_else(|error| panic!("{call}: {error}"));
            self.now.apply(&call);
            self.states.push((epoch(store), self.now.clone()));
        }
    }

    /// What the store held after a commit.
    pub(crate) fn at(&self, epoch: u64) -> &State {
        let (_, state) = self.states.iter().rfind(|(at, _)| *at <= epoch).expect("the journal begins later");
        state
    }
}

/// A link that keeps everything it was given, and gives it to another one.
#[derive(Debug)]
pub(crate) struct Wiretap<'a> {
    pub(crate) link: &'a StandbyDirectory,
    pub(crate) seeds: std::sync::Mutex<Vec<Seed>>,
    pub(crate) frames: std::sync::Mutex<Vec<Changes>>,
    /// Frames after which the link breaks down.
    pub(crate) breaks_after: usize,
}

impl<'a> Wiretap<'a> {
    pub(crate) fn new(link: &'a StandbyDirectory) -> Self {
        Self { link, seeds: Vec::new().into(), frames: Vec::new().into(), breaks_after: usize::MAX }
    }
}

impl ReplicationLink for Wiretap<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        let position = self.link.position()?;
        // As if it came over a wire.
        position.map(|position| FeedPosition::from_bytes(&position.to_bytes())).transpose()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.seeds.lock().unwrap().push(seed.clone());
        self.link.begin(&Seed::from_bytes(seed.expose())?)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        let mut frames = self.frames.lock().unwrap();
        if frames.len() >= self.breaks_after {
            return Err(Error::replication_link("the wire was cut"));
        }
        frames.push(changes.clone());
        self.link.apply(&Changes::from_bytes(changes.as_bytes())?)
    }
}
