//! Operations on keys while everybody goes on working.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use strongroom::testing::ManualClock;
use strongroom::{
    BatchGetSecretValueRequest, CheckRecords, CreateSecretRequest, DeleteSecretRequest, ErrorKind,
    GetSecretValueRequest, KeyOptions, ListSecretsRequest, LocalKeyring, MemoryBackend, PutSecretValueRequest,
    RestoreSecretRequest, SecretStore, SecretsManager, Tag, TagResourceRequest, UpdateSecretRequest, VerifyOptions,
};

use crate::keys::{Watched, new_key, rotate_all};
use crate::operations::{ALL, Cast, Operation};
use crate::stores::{Chance, NOW, assert_clean, fill, manager, name_of, names, on, read, token, value_of};

/// Secrets that nobody changes.
const STABLE: usize = 180;
const ROUNDS: usize = 2;
const WRITERS: usize = 2;

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    /// Changes of the root key that have begun.
    generations: AtomicU64,
    reads: AtomicU64,
    listings: AtomicU64,
    writes: AtomicU64,
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }
}

fn read_on(store: &SecretStore, seed: u64, tally: &Tally) {
    let chance = Chance::new(seed);
    while tally.goes_on() {
        let secret = chance.below(STABLE);
        let id = token(secret, chance.below(2));
        assert_eq!(read(&manager(store, secret), &name_of(secret), &id), value_of(&id));
        let same: Vec<_> = (0..5).map(|step| name_of((secret + 3 * step) % STABLE)).collect();
        let batch = BatchGetSecretValueRequest::new().secret_id_list(same.clone());
        let read = manager(store, secret).batch_get_secret_value(batch).unwrap();
        assert!(read.errors.is_empty(), "{:?}", read.errors);
        assert_eq!(read.secret_values.len(), same.len());
        for value in read.secret_values {
            assert_eq!(value.secret_string.unwrap().expose(), value_of(&value.version_id));
        }
        tally.reads.fetch_add(6, Ordering::Relaxed);
    }
}

fn list_on(store: &SecretStore, tally: &Tally) {
    let stable: BTreeSet<_> = (0..STABLE).step_by(3).map(name_of).collect();
    let manager = manager(store, 0);
    'listing: while tally.goes_on() {
        let begun = tally.generations.load(Ordering::SeqCst);
        let mut found = BTreeSet::new();
        let mut request = ListSecretsRequest::new().max_results(20);
        loop {
            let page = match manager.list_secrets(request) {
                Ok(page) => page,
                // A token is known to be honoured after one change of the root key; so many changes during one listing
                // come from a machine that stands still.
                Err(error) if *error.kind() == ErrorKind::InvalidNextToken => {
                    let changes = tally.generations.load(Ordering::SeqCst) - begun;
                    assert!(changes > 1, "{error:?} after {changes} changes of the root key");
                    continue 'listing;
                }
                Err(error) => panic!("{error:?}"),
            };
            for entry in page.secret_list {
                assert!(found.insert(entry.name.clone()), "{} is listed twice", entry.name);
            }
            let Some(token) = page.next_token else { break };
            request = ListSecretsRequest::new().max_results(20).next_token(token);
        }
        let missed: Vec<_> = stable.difference(&found).collect();
        assert!(missed.is_empty(), "not listed: {missed:?}");
        tally.listings.fetch_add(1, Ordering::Relaxed);
    }
}

fn maintain_on(store: &SecretStore, tally: &Tally) {
    while tally.goes_on() {
        store.maintain().unwrap();
        let report = store.verify(VerifyOptions::new().opens_values(false), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{report:#?}");
        store.key_census(&mut |_| {}).unwrap();
        thread::yield_now();
    }
}

/// Changes secrets of its own, and gives what is there in the end: by name, the ids of the versions.
fn write_on(manager: &SecretsManager, writer: usize, own_key: &str, tally: &Tally) -> BTreeMap<String, Vec<String>> {
    let chance = Chance::new(1_000 + writer as u64);
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0.. {
        if !tally.goes_on() {
            break;
        }
        let name = format!("writer-{writer}/secret-{}", chance.below(12));
        let token = token(1_000_000 + writer, number);
        match kept.get_mut(&name) {
            None => {
                let create = CreateSecretRequest::new(&name).secret_string(value_of(&token));
                manager.create_secret(create.client_request_token(&token)).unwrap();
                kept.insert(name, vec![token]);
            }
            Some(versions) => match chance.below(8) {
                0..3 => {
                    let put = PutSecretValueRequest::new(&name, value_of(&token)).client_request_token(&token);
                    manager.put_secret_value(put).unwrap();
                    versions.push(token);
                }
                3 => {
                    manager.tag_resource(TagResourceRequest::new(&name, [Tag::new("number", token)])).unwrap();
                }
                4 => {
                    let key = [own_key, "alias/aws/secretsmanager"][chance.below(2)];
                    manager.update_secret(UpdateSecretRequest::new(&name).kms_key_id(key)).unwrap();
                }
                5 => {
                    manager.delete_secret(DeleteSecretRequest::new(&name)).unwrap();
                    manager.restore_secret(RestoreSecretRequest::new(&name)).unwrap();
                }
                6 => {
                    let get = GetSecretValueRequest::new(&name);
                    let current = manager.get_secret_value(get).unwrap();
                    assert_eq!(current.version_id, *versions.last().unwrap(), "the newest value of {name}");
                    assert_eq!(current.secret_string.unwrap().expose(), value_of(&current.version_id));
                }
                _ => {
                    let delete = DeleteSecretRequest::new(&name).force_delete_without_recovery(true);
                    manager.delete_secret(delete).unwrap();
                    kept.remove(&name);
                }
            },
        }
        tally.writes.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

/// Ends what others do also if this thread panics.
struct Over<'a>(&'a Tally);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

#[test]
fn everybody_goes_on_working_while_keys_are_changed() {
    let keyring = LocalKeyring::in_memory();
    let [own, newcomer, leaver] = [(); 3].map(|()| new_key(&keyring));
    let clock = ManualClock::at_millis(NOW);
    let memory = MemoryBackend::new();
    let store = on(memory.clone(), keyring.clone(), &clock).open().unwrap();
    fill(&store, 0..STABLE, 2, |secret| (secret % 5 == 0 && secret % 3 == 0).then(|| own.clone()));
    let tally = Tally::default();
    let managers: Vec<_> = (0..WRITERS).map(|writer| manager(&store, writer)).collect();
    let kept = thread::scope(|threads| {
        let over = Over(&tally);
        let (store, tally, own) = (&store, &tally, &own);
        threads.spawn(move || read_on(store, 1, tally));
        threads.spawn(move || list_on(store, tally));
        threads.spawn(move || maintain_on(store, tally));
        let writers = managers.iter().enumerate();
        let writers: Vec<_> =
            writers.map(|(writer, manager)| threads.spawn(move || write_on(manager, writer, own, tally))).collect();
        for round in 0..ROUNDS {
            store.add_recipient(&leaver, &mut |_| {}).unwrap();
            rotate_all(&keyring);
            let cast = Cast { newcomer: newcomer.clone(), leaver: leaver.clone() };
            for operation in ALL {
                if matches!(operation, Operation::RotateRootKey | Operation::Shred) {
                    tally.generations.fetch_add(1, Ordering::SeqCst);
                }
                operation
                    .run(store, &cast, &mut |_| thread::yield_now())
                    .unwrap_or_else(|error| panic!("{operation:?} in round {round}: {error:?}"));
            }
        }
        drop(over);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_clean(&store);
    store.close().unwrap();

    let store = on(memory, keyring, &clock).check_records(CheckRecords::Always).open().unwrap();
    assert_clean(&store);
    for (writer, kept) in kept.iter().enumerate() {
        let manager = manager(&store, writer);
        let listed: BTreeSet<_> = names(&manager).into_iter().filter(|name| name.starts_with("writer")).collect();
        assert!(listed.iter().eq(kept.keys()), "what writer {writer} has left: {listed:?}");
        for (name, versions) in kept {
            versions.iter().for_each(|id| assert_eq!(read(&manager, name, id), value_of(id), "{name}"));
        }
    }
    for secret in 0..STABLE {
        (0..2).for_each(|version| {
            let id = token(secret, version);
            assert_eq!(read(&manager(&store, secret), &name_of(secret), &id), value_of(&id));
        });
    }
    let [reads, listings, writes] = [&tally.reads, &tally.listings, &tally.writes].map(|n| n.load(Ordering::SeqCst));
    eprintln!(
        "beside {} operations on keys: {reads} values read, {listings} listings, {writes} changes, 0 wrong, 0 missed",
        ROUNDS * ALL.len()
    );
    assert!(reads > 0 && listings > 0 && writes > 0);
}

#[test]
fn a_provider_that_stands_still_in_an_operation_on_keys_stops_nobody_else() {
    for operation in [Operation::Rewrap, Operation::Reencrypt, Operation::AddRecipient, Operation::RotateRootKey] {
        let keyring = LocalKeyring::in_memory();
        let newcomer = new_key(&keyring);
        let keys = Watched::new(keyring.clone());
        let store = on(MemoryBackend::new(), keys.clone(), &ManualClock::at_millis(NOW)).open().unwrap();
        fill(&store, 0..30, 1, |_| None);
        let manager = store.default_secrets_manager();
        rotate_all(&keyring);
        let stands_at = if operation == Operation::RotateRootKey { "strongroom:store" } else { "SecretVersionId" };
        let of_one = token(3, 0);
        let waits = keys.stop(move |doing, context| {
            let is_meant =
                |(name, value): &(&str, &str)| *name == stands_at && (*value == of_one || *name != "SecretVersionId");
            doing == "wrap" && context.pairs().iter().any(is_meant)
        });
        thread::scope(|threads| {
            let cast = Cast { newcomer: newcomer.clone(), leaver: newcomer.clone() };
            let store = &store;
            let working = threads.spawn(move || operation.run(store, &cast, &mut |_| {}));
            waits.recv_timeout(PATIENCE).expect("the operation comes to the provider");
            // All of this happens while it stands still, or this test never ends.
            for secret in (0..30).step_by(3) {
                assert_eq!(read(&manager, &name_of(secret), &token(secret, 0)), value_of(&token(secret, 0)));
            }
            assert_eq!(names(&manager).len(), 10);
            let put = PutSecretValueRequest::new(name_of(6), value_of(&token(6, 1))).client_request_token(token(6, 1));
            manager.put_secret_value(put).unwrap();
            manager.tag_resource(TagResourceRequest::new(name_of(3), [Tag::new("a", "b")])).unwrap();
            manager.create_secret(CreateSecretRequest::new("new").secret_string("value")).unwrap();
            let delete = DeleteSecretRequest::new(name_of(9)).force_delete_without_recovery(true);
            manager.delete_secret(delete).unwrap();
            store.maintain().unwrap();
            let another = store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap_err();
            assert_eq!(*another.kind(), ErrorKind::Contended);
            keys.release();
            working.join().unwrap().unwrap_or_else(|error| panic!("{operation:?}: {error:?}"));
        });
        assert_clean(&store);
        assert_eq!(read(&manager, &name_of(6), &token(6, 1)), value_of(&token(6, 1)));
    }
}
