//! Operations on keys that are killed at any moment, and gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use strongroom::{Builder, DeleteSecretRequest, Durability, LocalKeyring, OpenMode, SecretStore, VerifyOptions};

use crate::child::{self, say};
use crate::keys::{Watched, new_key, rotate_all};
use crate::operations::{ALL, Cast, Operation};
use crate::stores::{Chance, TENANTS, fill, manager, name_of, names, read, token, value_of};

const VERSIONS: u64 = 3_000;
const KILLS: u64 = 6;

/// Versions of each secret.
const VERSIONS_EACH: usize = 3;

/// Secrets that are committed together: what was done before a kill is done again for as many at most.
const BATCH_SECRETS: usize = 64;

/// Of so many secrets, the values of one are read after most kills.
const STRIDE: usize = 7;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn store_in(place: &Path) -> PathBuf {
    place.join("store")
}

fn keyring_of(place: &Path) -> LocalKeyring {
    LocalKeyring::open_or_create(place.join("keys")).expect("the key file opens")
}

fn cast_of(place: &Path) -> Cast {
    let text = fs::read_to_string(place.join("cast")).unwrap();
    let (newcomer, leaver) = text.split_once('\n').unwrap();
    Cast { newcomer: newcomer.to_owned(), leaver: leaver.to_owned() }
}

fn builder(place: &Path, keys: impl strongroom::KeyProvider + 'static) -> Builder {
    SecretStore::builder(store_in(place)).key_provider(keys)
}

/// In the child: one operation, with a line for each step of it.
pub(crate) fn work(place: &Path, job: &str) {
    let opened = builder(place, keyring_of(place)).mode(OpenMode::OpenExisting).open();
    let store = match opened {
        Ok(store) => store,
        Err(error) => return say(&format!("failed\t{error:?}")),
    };
    say("open");
    let done = Operation::of_name(job).run(&store, &cast_of(place), &mut |progress| {
        say(&format!("step\t{}", progress.done));
    });
    match done {
        Ok(()) => say("done"),
        Err(error) => say(&format!("failed\t{error:?}")),
    }
}

/// Digests of data keys, by the id of the version.
type DataKeys = BTreeMap<String, [u8; 32]>;

/// Whether these are all among those.
fn are_of(some: &DataKeys, all: &DataKeys) -> bool {
    some.iter().all(|(id, key)| all.get(id) == Some(key))
}

/// What is to be in the store: by account and name, the ids of the versions.
type Known = BTreeMap<(usize, String), Vec<String>>;

#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    kills_before_open: usize,
    kills_in_the_middle: usize,
    kills_after_end: usize,
    resumed_changes: usize,
    /// Versions of which more than once a data key was made.
    done_twice: usize,
    values_read: usize,
}

struct Trial {
    place: PathBuf,
    keyring: LocalKeyring,
    cast: Cast,
    known: Known,
    tally: Tally,
}

impl Trial {
    /// A store with so many versions, under the default keys of three accounts and a key of their own.
    fn new(place: &Path, versions: u64) -> Self {
        let keyring = keyring_of(place);
        let [own, newcomer, leaver] = [(); 3].map(|()| new_key(&keyring));
        fs::write(place.join("cast"), format!("{newcomer}\n{leaver}")).unwrap();
        let secrets = usize::try_from(versions).unwrap().div_ceil(VERSIONS_EACH);
        let store = builder(place, keyring.clone()).durability(Durability::Eventual).open().unwrap();
        store.add_recipient(&leaver, &mut |_| {}).unwrap();
        fill(&store, 0..secrets, VERSIONS_EACH, |secret| (secret % 6 == 3).then(|| own.clone()));
        store.close().unwrap();
        let ids = |secret| (0..VERSIONS_EACH).map(|version| token(secret, version)).collect();
        let known = (0..secrets).map(|secret| ((secret % TENANTS.len(), name_of(secret)), ids(secret))).collect();
        let cast = Cast { newcomer, leaver };
        Self { place: place.to_owned(), keyring, cast, known, tally: Tally::default() }
    }

    /// Opens the store as a user would, reads the values of every so many secrets, and gives their data keys.
    fn look(&mut self, operation: Operation, unfinished: bool, stride: usize) -> DataKeys {
        let keys = Watched::new(self.keyring.clone());
        let store = builder(&self.place, keys.clone()).mode(OpenMode::OpenExisting).open();
        let store = store.unwrap_or_else(|error| panic!("{operation:?}: the store does not open: {error:?}"));
        // Of what is deleted, nothing is known any more.
        for (tenant, [account, region]) in TENANTS.into_iter().enumerate() {
            let manager = store.secrets_manager(account, region).unwrap();
            let expected: Vec<_> = self.known.keys().filter(|(of, _)| *of == tenant).map(|(_, name)| name).collect();
            let mut listed = names(&manager);
            listed.sort_unstable();
            assert!(listed.iter().eq(expected), "{operation:?}: the listing of {account}");
        }
        let mut looked_at = 0;
        for ((tenant, name), ids) in self.known.iter().skip(self.tally.kills % stride).step_by(stride) {
            let [account, region] = TENANTS[*tenant];
            let manager = store.secrets_manager(account, region).unwrap();
            for id in ids {
                assert_eq!(read(&manager, name, id), value_of(id), "{operation:?}: version {id} of {name}");
                looked_at += 1;
            }
        }
        let report = store.verify(VerifyOptions::new().opens_values(false), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{operation:?}: {report:#?}");
        let census = store.key_census(&mut |_| {}).unwrap();
        let versions = self.known.values().map(Vec::len).sum::<usize>() as u64;
        assert_eq!((census.secrets, census.versions), (self.known.len() as u64, versions), "{operation:?}");
        self.tally.resumed_changes += usize::from(unfinished && census.is_root_changing);
        if !unfinished {
            assert_eq!(operation.unfinished(&store, &self.keyring, &self.cast), None, "{operation:?}");
        }
        let data_keys = keys.data_keys();
        assert_eq!(data_keys.len(), looked_at, "data keys that were seen");
        self.tally.values_read += looked_at;
        data_keys
    }

    fn prepare(&mut self, operation: Operation) {
        rotate_all(&self.keyring);
        if operation == Operation::Shred {
            let store = builder(&self.place, self.keyring.clone()).durability(Durability::Eventual).open().unwrap();
            for secret in (0..self.known.len()).step_by(10) {
                let delete = DeleteSecretRequest::new(name_of(secret)).force_delete_without_recovery(true);
                manager(&store, secret).delete_secret(delete).unwrap();
                self.known.remove(&(secret % TENANTS.len(), name_of(secret)));
            }
            store.close().unwrap();
        }
    }

    /// Kills one child. Whether it had come to its end.
    fn kill_once(&mut self, operation: Operation, chance: &Chance) -> bool {
        let running = child::start(operation.name(), &self.place);
        let mut lines = Vec::new();
        if chance.below(5) == 0 {
            thread::sleep(Duration::from_micros(chance.below(60_000) as u64));
        } else {
            // Any of its steps, and then some time.
            let steps = [1, 2, 3, 5, 10, 30][chance.below(6)];
            while lines.len() < steps {
                match running.hear_if_any() {
                    Some(line) => lines.push(line),
                    None => break,
                }
            }
            thread::sleep(Duration::from_micros(chance.below(2_000) as u64));
        }
        lines.extend(running.kill());
        self.tally.kills += 1;
        self.tally.kills_before_open += usize::from(lines.is_empty());
        let failed = lines.iter().find(|line| line.starts_with("failed"));
        assert_eq!(failed, None, "{operation:?}");
        let is_at_end = lines.iter().any(|line| line == "done");
        let has_begun = lines.iter().any(|line| line.starts_with("step") && line != "step\t0");
        self.tally.kills_in_the_middle += usize::from(has_begun && !is_at_end);
        self.tally.kills_after_end += usize::from(is_at_end);
        is_at_end
    }

    /// Does an operation, killed so many times on the way. Takes the data keys of before, and gives those of afterwards.
    fn interrupt(&mut self, operation: Operation, kills: u64, seed: u64, mut original: DataKeys) -> DataKeys {
        self.prepare(operation);
        let known: BTreeSet<_> = self.known.values().flatten().collect();
        original.retain(|id, _| known.contains(id));
        let chance = Chance::new(seed);
        let mut last = original.clone();
        let mut unseen = 0;
        for _ in 0..kills {
            let is_at_end = self.kill_once(operation, &chance);
            unseen += 1;
            // Mostly the next child is the first to open what the kill left.
            if chance.below(3) == 0 && !is_at_end {
                if operation == Operation::Reencrypt {
                    let now = self.look(operation, true, 1);
                    self.compare(&original, &last, &now, unseen);
                    (last, unseen) = (now, 0);
                } else {
                    let now = self.look(operation, true, STRIDE);
                    assert!(are_of(&now, &original), "{operation:?} has changed a data key");
                }
            }
            if is_at_end {
                // Once more, so that there is something to kill.
                rotate_all(&self.keyring);
                if operation == Operation::Reencrypt {
                    original = self.look(operation, true, 1);
                    (last, unseen) = (original.clone(), 0);
                }
            }
        }
        let said = child::start(operation.name(), &self.place).finish().0;
        assert_eq!(said.last().map(String::as_str), Some("done"), "{operation:?}: {said:?}");
        let now = self.look(operation, false, 1);
        if operation == Operation::Reencrypt {
            let kept = now.iter().filter(|(id, key)| original[*id] == **key).count();
            assert_eq!(kept, 0, "data keys that are the old ones");
        } else {
            assert!(now == original, "{operation:?} has changed a data key");
        }
        now
    }

    /// What was done before the kill is not done once more by whoever goes on, but for a batch in each account.
    fn compare(&mut self, original: &DataKeys, before: &DataKeys, now: &DataKeys, runs: usize) {
        let again = |id: &&String| before[*id] != original[*id] && now[*id] != before[*id];
        let twice = now.keys().filter(again).count();
        assert!(twice <= BATCH_SECRETS * VERSIONS_EACH * runs, "{twice} versions were done again in {runs} runs");
        self.tally.done_twice += twice;
    }
}

#[test]
fn no_kill_in_an_operation_on_keys_loses_or_changes_anything() {
    let versions = number("STRONGROOM_KEY_VERSIONS", VERSIONS);
    let kills = number("STRONGROOM_KEY_KILLS", KILLS);
    let seed = number("STRONGROOM_SEED", 1);
    let place = tempfile::tempdir().unwrap();
    let mut trial = Trial::new(place.path(), versions);
    let mut data_keys = trial.look(Operation::Rewrap, true, 1);
    for (number, operation) in ALL.into_iter().enumerate() {
        data_keys = trial.interrupt(operation, kills, seed * 100 + number as u64, data_keys);
    }
    let Tally { resumed_changes, done_twice, values_read, .. } = trial.tally;
    let Tally { kills, kills_before_open, kills_in_the_middle, kills_after_end, .. } = trial.tally;
    eprintln!(
        "operations on keys under kills: {} operations on {versions} versions, {kills} kills ({kills_before_open} before \
         the store was open, {kills_in_the_middle} in the middle, {kills_after_end} after the end), {resumed_changes} stores seen in the middle of another \
         root key, {done_twice} versions encrypted anew twice, {values_read} values read, 0 lost",
        ALL.len()
    );
    assert!(kills_in_the_middle > kills / 8, "the kills came at no interesting time");
}

/// Small stores, so that the kills fall into the beginning and the end, where the header is replaced.
#[test]
fn no_kill_while_the_header_is_replaced_loses_the_store() {
    let kills = number("STRONGROOM_KEY_KILLS", KILLS) * 4;
    let place = tempfile::tempdir().unwrap();
    let mut trial = Trial::new(place.path(), 60);
    let chance = Chance::new(number("STRONGROOM_SEED", 1) + 7);
    let original = trial.look(Operation::RotateRootKey, true, 1);
    let mut seen_changing = 0;
    for _ in 0..kills {
        let running = child::start(Operation::RotateRootKey.name(), &trial.place);
        assert_eq!(running.hear_if_any().as_deref(), Some("open"));
        thread::sleep(Duration::from_micros(chance.below(9_000) as u64));
        let lines = running.kill();
        assert!(!lines.iter().any(|line| line.starts_with("failed")), "{lines:?}");
        trial.tally.kills += 1;
        if chance.below(2) == 0 {
            let before = trial.tally.resumed_changes;
            assert!(trial.look(Operation::RotateRootKey, true, 1) == original, "a data key was changed");
            seen_changing += trial.tally.resumed_changes - before;
        }
    }
    let said = child::start(Operation::RotateRootKey.name(), &trial.place).finish().0;
    assert_eq!(said.last().map(String::as_str), Some("done"), "{said:?}");
    assert!(trial.look(Operation::RotateRootKey, false, 1) == original, "a data key was changed");
    let store = builder(&trial.place, trial.keyring.clone()).open().unwrap();
    let generation = store.key_census(&mut |_| {}).unwrap().root_generation;
    store.close().unwrap();
    eprintln!(
        "changes of the root key under kills: {kills} kills, generation {generation} in the end, {seen_changing} stores \
         seen in the middle, 0 lost"
    );
}
