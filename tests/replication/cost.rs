//! What replicas cost: commits, and calls of key providers.

use strongroom::testing::{ManualClock, RecordingBackend, RecordingProvider};
use strongroom::{
    Call, CreateSecretRequest, DataKey, Durability, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef,
    KeyScope, LocalKeyring, PutSecretValueRequest, RemoveRegionsFromReplicationRequest,
    ReplicateSecretToRegionsRequest, SecretStore, SecretsManager, StatusType, StopReplicationToReplicaRequest, Tag,
    TagResourceRequest, UpdateSecretRequest, WrappedKey,
};

use crate::fixture::{ACCOUNT, HOME, describe, status};

const REGIONS: [&str; 5] = ["ap-south-1", "ca-central-1", "eu-west-1", "eu-west-2", "sa-east-1"];

#[test]
fn a_change_is_one_durable_commit_however_many_replicas_follow_it() {
    let backend = RecordingBackend::new();
    let builder = SecretStore::with_backend(backend.clone()).durability(Durability::Immediate);
    let store = builder.key_provider(LocalKeyring::in_memory()).open().unwrap();
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    let ireland = store.secrets_manager(ACCOUNT, "eu-west-1").unwrap();
    let commits = |work: &dyn Fn()| {
        let before = (backend.commits(), backend.durable_commits());
        work();
        (backend.commits() - before.0, backend.durable_commits() - before.1)
    };
    for (name, regions) in [("none", &REGIONS[..0]), ("one", &REGIONS[..1]), ("five", &REGIONS[..])] {
        let create = || {
            let request = CreateSecretRequest::new(name).secret_string("first");
            let replicas = (!regions.is_empty()).then(|| regions.to_vec());
            let request = match replicas {
                Some(replicas) => request.add_replica_regions(replicas),
                None => request,
            };
            drop(home.create_secret(request).unwrap());
        };
        assert_eq!(commits(&create), (1, 1), "create with {name}");
        let put = || drop(home.put_secret_value(PutSecretValueRequest::new(name, "second")).unwrap());
        assert_eq!(commits(&put), (1, 1), "put with {name}");
        let update = || drop(home.update_secret(UpdateSecretRequest::new(name).description("d")).unwrap());
        assert_eq!(commits(&update), (1, 1), "update with {name}");
        let tag = || home.tag_resource(TagResourceRequest::new(name, [Tag::new("a", "b")])).unwrap();
        assert_eq!(commits(&tag), (1, 1), "tag with {name}");
    }
    let all = REGIONS;
    let replicate =
        || drop(home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("none", all)).unwrap());
    assert_eq!(commits(&replicate), (1, 1));
    assert_eq!(commits(&replicate), (0, 0), "they are in sync");
    let stop = || drop(ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("none")).unwrap());
    assert_eq!(commits(&stop), (1, 1));
    let request = || RemoveRegionsFromReplicationRequest::new("none", all);
    let remove = || drop(home.remove_regions_from_replication(request()).unwrap());
    assert_eq!(commits(&remove), (1, 1));
    assert_eq!(describe(&home, "none").replication_status, None);
}

/// A provider whose keys of one Region always take too long.
#[derive(Debug)]
struct Slow {
    keyring: LocalKeyring,
    region: &'static str,
}

impl Slow {
    fn admit(&self, about: &str) -> Result<(), KeyError> {
        if about.contains(self.region) { Err(KeyError::Timeout) } else { Ok(()) }
    }
}

impl KeyProvider for Slow {
    fn id(&self) -> &str {
        self.keyring.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.admit(scope.region)?;
        self.keyring.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.admit(&key.arn)?;
        self.keyring.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.admit(&wrapped.key_arn)?;
        self.keyring.unwrap(wrapped, context, call)
    }
}

fn put(home: &SecretsManager, times: usize) {
    for number in 0..times {
        home.put_secret_value(PutSecretValueRequest::new("db", format!("value {number}"))).unwrap();
    }
}

/// Failed calls of a provider, since they were last counted.
fn failures(provider: &RecordingProvider) -> usize {
    provider.take_calls().iter().filter(|call| matches!(call.outcome, Some(Err(_)))).count()
}

#[test]
fn a_provider_that_takes_too_long_is_not_asked_again_by_every_put() {
    let provider = RecordingProvider::new(Slow { keyring: LocalKeyring::in_memory(), region: "eu-west-1" });
    let clock = ManualClock::at_millis(1_700_000_000_000);
    let builder = SecretStore::in_memory().key_provider(provider.clone()).clock(clock.clone());
    let store = builder.open().unwrap();
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions(["eu-west-1"])).unwrap();
    assert_eq!(failures(&provider), 1);
    // The pauses: one minute, two, four. Each ends with one more attempt.
    for minutes in [1, 2, 4] {
        put(&home, 20);
        assert_eq!(failures(&provider), 0, "in the pause of {minutes} minutes");
        clock.advance(chrono::TimeDelta::milliseconds(minutes * 60_000 - 1));
        put(&home, 1);
        assert_eq!(failures(&provider), 0, "at the end of the pause of {minutes} minutes");
        clock.advance(chrono::TimeDelta::milliseconds(1));
        put(&home, 20);
        assert_eq!(failures(&provider), 1, "after the pause of {minutes} minutes");
    }
    assert_eq!(status(&home, "db").0, StatusType::Failed);
}

#[test]
fn a_key_that_is_switched_off_is_not_asked_for_again_by_every_put() {
    let keyring = LocalKeyring::in_memory();
    let provider = RecordingProvider::new(keyring.clone());
    let clock = ManualClock::at_millis(1_700_000_000_000);
    let store = SecretStore::in_memory().key_provider(provider.clone()).clock(clock.clone()).open().unwrap();
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    let key = keyring.create_key(KeyScope::new("aws", ACCOUNT, "eu-west-1")).unwrap();
    let ireland = strongroom::ReplicaRegionType::new("eu-west-1").kms_key_id(key.as_str());
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions([ireland])).unwrap();
    keyring.disable_key(&key).unwrap();
    let calls = |key: &str| provider.take_calls().iter().filter(|call| call.key == key).count();
    calls(&key);
    put(&home, 1);
    assert!(calls(&key) > 0, "the first put asks");
    put(&home, 20);
    assert_eq!(calls(&key), 0);
    clock.advance(chrono::TimeDelta::minutes(1));
    put(&home, 20);
    let after = calls(&key);
    assert!((1..=2).contains(&after), "{after} calls after the pause");
    keyring.enable_key(&key).unwrap();
    clock.advance(chrono::TimeDelta::minutes(2));
    put(&home, 1);
    assert_eq!(status(&home, "db").0, StatusType::InSync);
}
