//! Many threads on one store.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use strongroom::{
    Call as ProviderCall, CreateSecretRequest, DataKey, DeleteSecretRequest, DescribeSecretRequest, EncryptionContext,
    GetSecretValueRequest, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ListSecretVersionIdsRequest,
    ListSecretsRequest, PutSecretValueRequest, SecretStore, SecretsManager, StaticKey, Tag, TagResourceRequest,
    UpdateSecretRequest, UpdateSecretVersionStageRequest, WrappedKey,
};

use crate::history::{CURRENT, Kept, PREVIOUS, State, observe_one, token};

const THREADS: usize = 8;

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The value that belongs to a token of [`token`].
fn value_of(token: &str) -> String {
    token.chars().take(9).collect()
}

fn store() -> SecretStore {
    SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap()
}

fn on_every_thread(secrets: &SecretsManager, work: impl Fn(&SecretsManager, usize) + Sync) {
    let work = &work;
    thread::scope(|threads| {
        for thread in 0..THREADS {
            threads.spawn(move || work(secrets, thread));
        }
    });
}

fn create(secrets: &SecretsManager, name: &str, unique: u64) {
    let token = token(false, 9, unique);
    let create = CreateSecretRequest::new(name).secret_string(value_of(&token));
    secrets.create_secret(create.client_request_token(token)).unwrap();
}

fn put(secrets: &SecretsManager, name: &str, unique: u64) -> String {
    let token = token(false, 9, unique);
    let put = PutSecretValueRequest::new(name, value_of(&token)).client_request_token(&token);
    assert_eq!(secrets.put_secret_value(put).unwrap().version_stages, [CURRENT], "the labels of the new version");
    token
}

#[test]
fn threads_that_put_values_on_one_secret_lose_none() {
    let store = store();
    let secrets = store.default_secrets_manager();
    create(&secrets, "shared", 1_000);
    let tokens = Mutex::new(BTreeSet::from([token(false, 9, 1_000)]));
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..30 {
            let token = put(secrets, "shared", (thread * 100 + number) as u64);
            tokens.lock().unwrap().insert(token);
        }
    });
    let kept = observe_one(&secrets, "shared").unwrap();
    assert_eq!(kept.versions, tokens.into_inner().unwrap());
    assert_eq!(kept.labels.keys().collect::<Vec<_>>(), [CURRENT, PREVIOUS]);
    assert_ne!(kept.labels[CURRENT], kept.labels[PREVIOUS]);
}

#[test]
fn readers_beside_writers_see_whole_versions_and_one_current_one() {
    let store = store();
    let secrets = store.default_secrets_manager();
    create(&secrets, "shared", 1_000);
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..40 {
            if thread < 3 {
                put(secrets, "shared", (thread * 100 + number) as u64);
            } else if thread < 6 {
                let read = secrets.get_secret_value(GetSecretValueRequest::new("shared")).unwrap();
                assert_eq!(
                    read.secret_string.unwrap().expose(),
                    value_of(&read.version_id),
                    "the value of {}",
                    read.version_id
                );
                let labels = read.version_stages.unwrap();
                assert!(labels.contains(&CURRENT.to_owned()), "{labels:?}");
            } else {
                let about = secrets.describe_secret(DescribeSecretRequest::new("shared")).unwrap();
                let labels: Vec<String> = about.version_ids_to_stages.unwrap().into_values().flatten().collect();
                assert_eq!(labels.iter().filter(|label| *label == CURRENT).count(), 1, "{labels:?}");
                assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "{labels:?}");
            }
        }
    });
}

#[test]
fn threads_that_tag_one_secret_overwrite_nothing_of_each_other() {
    let store = store();
    let secrets = store.default_secrets_manager();
    create(&secrets, "shared", 1);
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..6 {
            let tag = Tag::new(format!("{thread}-{number}"), "value");
            secrets.tag_resource(TagResourceRequest::new("shared", [tag])).unwrap();
        }
    });
    let tags = secrets.describe_secret(DescribeSecretRequest::new("shared")).unwrap().tags.unwrap();
    assert_eq!(tags.into_iter().map(|tag| tag.key).collect::<BTreeSet<_>>().len(), THREADS * 6);
}

#[test]
fn a_label_that_threads_fight_for_is_on_one_version() {
    let store = store();
    let secrets = store.default_secrets_manager();
    create(&secrets, "shared", 1_000);
    let tokens: Vec<String> = (0..THREADS as u64).map(|unique| put(&secrets, "shared", unique)).collect();
    on_every_thread(&secrets, |secrets, thread| {
        for _ in 0..20 {
            // Whoever guesses the present holder wrongly is refused; nobody else may be.
            let holder = blue_holder(secrets);
            let request = UpdateSecretVersionStageRequest::new("shared", "blue").move_to_version_id(&tokens[thread]);
            let request = match holder {
                Some(holder) => request.remove_from_version_id(holder),
                None => request,
            };
            if let Err(error) = secrets.update_secret_version_stage(request) {
                assert_eq!(error.code(), "InvalidParameterException", "{error}");
            }
        }
    });
    let kept: Kept = observe_one(&secrets, "shared").unwrap();
    assert!(tokens.contains(&kept.labels["blue"]));
    assert_eq!((&kept.labels[CURRENT], &kept.labels[PREVIOUS]), (&tokens[7], &tokens[6]), "other labels stay");
}

fn blue_holder(secrets: &SecretsManager) -> Option<String> {
    let about = secrets.describe_secret(DescribeSecretRequest::new("shared")).unwrap();
    let stages = about.version_ids_to_stages.unwrap();
    stages.into_iter().find(|(_, labels)| labels.iter().any(|label| label == "blue")).map(|(version, _)| version)
}

#[test]
fn threads_with_secrets_of_their_own_do_not_disturb_each_other() {
    let store = store();
    let secrets = store.default_secrets_manager();
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..10 {
            let name = format!("{thread}/{number}");
            create(secrets, &name, (thread * 1_000 + number * 10) as u64);
            put(secrets, &name, (thread * 1_000 + number * 10 + 1) as u64);
            secrets.update_secret(UpdateSecretRequest::new(&name).description("new")).unwrap();
            if number % 2 == 1 {
                let delete = DeleteSecretRequest::new(&name).force_delete_without_recovery(true);
                secrets.delete_secret(delete).unwrap();
            }
        }
    });
    let state = State::observe(&secrets);
    assert_eq!(state.secrets.len(), THREADS * 5);
    assert_eq!(store.stats().unwrap().secrets, (THREADS * 5) as u64);
    for (name, kept) in state.secrets {
        assert_eq!((kept.versions.len(), kept.description.as_deref()), (2, Some("new")), "{name}");
    }
}

#[test]
fn of_threads_that_create_the_same_secret_one_succeeds() {
    let store = store();
    let secrets = store.default_secrets_manager();
    for round in 0..10 {
        let name = format!("round-{round}");
        let wins = Mutex::new(0);
        on_every_thread(&secrets, |secrets, thread| {
            let value = format!("value of thread {thread}");
            match secrets.create_secret(CreateSecretRequest::new(&name).secret_string(value)) {
                Ok(_) => *wins.lock().unwrap() += 1,
                Err(error) => assert_eq!(error.code(), "ResourceExistsException", "{error}"),
            }
        });
        assert_eq!(wins.into_inner().unwrap(), 1, "{name}");
    }
    assert_eq!(store.stats().unwrap().secrets, 10);
}

#[test]
fn a_quota_holds_against_threads_that_create_together() {
    let keys = StaticKey::new([7; 32]);
    let store = SecretStore::in_memory().key_provider(keys).secrets_max(20).open().unwrap();
    let secrets = store.default_secrets_manager();
    let created = Mutex::new(0);
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..10 {
            match secrets.create_secret(CreateSecretRequest::new(format!("{thread}-{number}"))) {
                Ok(_) => *created.lock().unwrap() += 1,
                Err(error) => assert_eq!(error.code(), "LimitExceededException", "{error}"),
            }
        }
    });
    assert_eq!((created.into_inner().unwrap(), store.stats().unwrap().secrets), (20, 20));
}

#[test]
fn ids_that_the_store_makes_up_are_all_different() {
    let store = store();
    let secrets = store.default_secrets_manager();
    create(&secrets, "shared", 1_000);
    let ids = Mutex::new(BTreeSet::new());
    let arns = Mutex::new(BTreeSet::new());
    on_every_thread(&secrets, |secrets, thread| {
        for number in 0..20 {
            let put = secrets.put_secret_value(PutSecretValueRequest::new("shared", "value")).unwrap();
            assert!(ids.lock().unwrap().insert(put.version_id), "an id was made twice");
            let created = secrets.create_secret(CreateSecretRequest::new(format!("{thread}-{number}"))).unwrap();
            assert!(arns.lock().unwrap().insert(created.arn), "an ARN was made twice");
        }
    });
    let versions = ListSecretVersionIdsRequest::new("shared").include_deprecated(true);
    let listed = secrets.list_secret_version_ids(versions).unwrap();
    assert_eq!((listed.versions.len(), listed.next_token.is_some()), (100, true), "one page of 161 versions");
}

/// A key provider that stops in every call about one secret until it is told to go on.
#[derive(Clone)]
struct Stalling {
    inner: Arc<StaticKey>,
    /// Tells the test that a call is being held up.
    held_up: Arc<Mutex<Sender<&'static str>>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl fmt::Debug for Stalling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stalling")
    }
}

impl Stalling {
    fn new() -> (Self, Receiver<&'static str>) {
        let (held_up, seen) = mpsc::channel();
        let inner = Arc::new(StaticKey::new([7; 32]));
        (Self { inner, held_up: Arc::new(Mutex::new(held_up)), gate: Arc::default() }, seen)
    }

    fn pass(&self, context: &EncryptionContext<'_>, doing: &'static str) {
        let is_slow = |(_, value): &(&str, &str)| value.contains(":secret:slow-");
        let (is_open, opened) = &*self.gate;
        if context.pairs().iter().any(is_slow) && !*is_open.lock().unwrap() {
            self.held_up.lock().unwrap().send(doing).unwrap();
            drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        }
    }

    fn set_open(&self, is_open: bool) {
        *self.gate.0.lock().unwrap() = is_open;
        self.gate.1.notify_all();
    }
}

impl KeyProvider for Stalling {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &ProviderCall<'_>) -> Result<KeyHandle, KeyError> {
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &ProviderCall<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.pass(context, "wrap");
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &ProviderCall<'_>,
    ) -> Result<DataKey, KeyError> {
        self.pass(context, "unwrap");
        self.inner.unwrap(wrapped, context, call)
    }
}

/// "No lock is held over a call to a key provider": a slow one delays its own caller alone.
#[test]
fn a_key_provider_that_stops_delays_only_its_own_caller() {
    let (provider, held_up) = Stalling::new();
    provider.set_open(true);
    let store = SecretStore::in_memory().key_provider(provider.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    create(&secrets, "slow", 1);
    create(&secrets, "quick", 2);
    provider.set_open(false);

    thread::scope(|threads| {
        let writer = threads.spawn(|| put(&secrets, "slow", 3));
        assert_eq!(held_up.recv_timeout(PATIENCE).unwrap(), "wrap");
        let reader = threads.spawn(|| secrets.get_secret_value(GetSecretValueRequest::new("slow")).unwrap());
        assert_eq!(held_up.recv_timeout(PATIENCE).unwrap(), "unwrap");

        let (done, others) = mpsc::channel();
        threads.spawn(|| {
            others_work(&store, &secrets);
            done.send(()).unwrap();
            drop(done);
        });
        let in_time = others.recv_timeout(PATIENCE);
        // Whatever happened, nobody may be left waiting.
        provider.set_open(true);
        in_time.expect("somebody else waits for the provider");
        assert_eq!(writer.join().unwrap(), token(false, 9, 3));
        assert_eq!(reader.join().unwrap().secret_string.unwrap().expose(), value_of(&token(false, 9, 1)));
    });
    let kept = observe_one(&secrets, "slow").unwrap();
    assert_eq!(kept.labels[CURRENT], token(false, 9, 3), "the delayed value arrived");
    assert_eq!(kept.tags.len(), 1, "and did not undo what others did meanwhile");
}

/// Every kind of call that does not need the stalled key for the stalled secret.
fn others_work(store: &SecretStore, secrets: &SecretsManager) {
    create(secrets, "new", 10);
    put(secrets, "quick", 11);
    assert_eq!(secrets.get_secret_value(GetSecretValueRequest::new("quick")).unwrap().version_id, token(false, 9, 11));
    secrets.tag_resource(TagResourceRequest::new("slow", [Tag::new("meanwhile", "tagged")])).unwrap();
    secrets.describe_secret(DescribeSecretRequest::new("slow")).unwrap();
    assert_eq!(secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.len(), 3);
    secrets.delete_secret(DeleteSecretRequest::new("new").force_delete_without_recovery(true)).unwrap();
    store.maintain().unwrap();
    store.flush().unwrap();
    store.stats().unwrap();
}
