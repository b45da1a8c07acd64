//! What replicas follow: rotation, retention, many versions and large ones; and how many secrets a Region takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, RecordingBackend};
use strongroom::{
    Builder, CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, LocalKeyring,
    PutSecretValueRequest, ReplicaRegionType, ReplicateSecretToRegionsRequest, RotateSecretRequest, RotationCall,
    RotationError, RotationFunction, RotationRules, RotationStep, SecretStore, SecretsManager, StatusType,
    StopReplicationToReplicaRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest, VerifyOptions,
};

use crate::fixture::{
    ACCOUNT, Fixture, HOME, Seen, assert_equal, describe, in_sync, read, status, statuses, token, versions,
};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:rotate";
const REGIONS: [&str; 2] = ["eu-west-1", "sa-east-1"];

/// A function that puts a new value and makes it current.
fn rotate(call: &RotationCall) -> Result<(), RotationError> {
    let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
    match call.step {
        RotationStep::CreateSecret => {
            let put = PutSecretValueRequest::new(id, format!("made for {token}")).client_request_token(token);
            secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
        }
        RotationStep::FinishSecret => {
            let stages = describe(secrets, id).version_ids_to_stages.unwrap();
            let is_current = |stages: &Vec<String>| stages.iter().any(|stage| stage == "AWSCURRENT");
            let current = stages.iter().find(|(_, stages)| is_current(stages)).map(|(id, _)| id.clone()).unwrap();
            let request = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
            secrets.update_secret_version_stage(request.remove_from_version_id(current))?;
        }
        _ => {}
    }
    Ok(())
}

/// What the function was called for, and the replica that it looks at.
#[derive(Debug, Clone, Default)]
struct Rotator {
    calls: Arc<AtomicUsize>,
    replica: Arc<Mutex<Option<SecretsManager>>>,
}

impl RotationFunction for Rotator {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert_eq!(call.secrets.region(), HOME, "a replica is never rotated");
        if call.step == RotationStep::SetSecret
            && let Some(replica) = &*self.replica.lock().unwrap()
        {
            let stages = describe(replica, "db").version_ids_to_stages.unwrap();
            assert_eq!(
                stages[call.client_request_token.as_str()],
                ["AWSPENDING"],
                "what is pending is at the replica too"
            );
        }
        rotate(call)
    }
}

#[test]
fn a_primary_is_rotated_and_its_replicas_follow_label_for_label() {
    let function = Rotator::default();
    let fixture = Fixture::built(|builder| builder.rotation_function("*", function.clone()));
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("db").secret_string("one").add_replica_regions(REGIONS)).unwrap();
    *function.replica.lock().unwrap() = Some(ireland.clone());
    let rules = RotationRules::new().automatically_after_days(10);
    home.rotate_secret(RotateSecretRequest::new("db").rotation_lambda_arn(FUNCTION).rotation_rules(rules)).unwrap();
    assert_equal(&fixture, "db", &REGIONS);
    let maintained = fixture.store.maintain().unwrap();
    assert_eq!((maintained.rotated_secrets, maintained.failed_rotations), (1, 0));
    assert_equal(&fixture, "db", &REGIONS);
    let replica = describe(&ireland, "db");
    assert_eq!((replica.rotation_enabled, replica.rotation_lambda_arn.as_deref()), (Some(true), Some(FUNCTION)));
    assert_eq!((read(&ireland, "db"), function.calls.load(Ordering::SeqCst)), (read(&home, "db"), 4));
    assert_eq!(replica.next_rotation_date, describe(&home, "db").next_rotation_date);

    *function.replica.lock().unwrap() = None;
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    let promoted = describe(&ireland, "db");
    assert_eq!((promoted.rotation_enabled, promoted.rotation_lambda_arn.as_deref()), (Some(false), Some(FUNCTION)));
    assert_eq!((promoted.next_rotation_date, promoted.last_rotated_date), (None, None));
    fixture.clock.advance(TimeDelta::days(11));
    assert_eq!(fixture.store.maintain().unwrap().rotated_secrets, 1, "the primary alone");
    assert_equal(&fixture, "db", &REGIONS[1..]);
    home.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap();
    assert_equal(&fixture, "db", &REGIONS[1..]);
    assert_eq!(describe(&fixture.region("sa-east-1"), "db").rotation_enabled, Some(false));
}

#[test]
fn versions_that_are_removed_after_a_day_are_removed_at_the_replicas_too() {
    let fixture = Fixture::new();
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db").secret_string("0").add_replica_regions(REGIONS)).unwrap();
    for number in 0..119 {
        home.put_secret_value(PutSecretValueRequest::new("db", "v").client_request_token(token(number))).unwrap();
    }
    assert_eq!(Seen::of(&home, "db").versions.len(), 120);
    assert_equal(&fixture, "db", &REGIONS);
    fixture.clock.advance(TimeDelta::days(1) + TimeDelta::seconds(1));
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.removed_versions, report.next_due_at), (20, None));
    assert_eq!(Seen::of(&home, "db").versions.len(), 100);
    assert_equal(&fixture, "db", &REGIONS);
    home.put_secret_value(PutSecretValueRequest::new("db", "last")).unwrap();
    assert_equal(&fixture, "db", &REGIONS);
    assert!(fixture.store.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
}

/// A secret with so many large versions that they do not fit into one commit.
fn large(fixture: &Fixture, versions: usize, bytes: usize) {
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db")).unwrap();
    for number in 0..versions {
        let value = number.to_string().chars().cycle().take(bytes).collect::<String>();
        let put = PutSecretValueRequest::new("db", value).client_request_token(token(number));
        let put =
            if number % 3 == 0 && number / 3 < 18 { put.version_stages([format!("label-{number}")]) } else { put };
        home.put_secret_value(put).unwrap();
    }
}

#[test]
fn hundreds_of_large_versions_are_replicated_within_one_call() {
    for (versions, bytes) in [(60, 65_536), (300, 20)] {
        let fixture = Fixture::new();
        large(&fixture, versions, bytes);
        let home = fixture.home();
        let request = ReplicateSecretToRegionsRequest::new("db", REGIONS);
        let answer = home.replicate_secret_to_regions(request).unwrap();
        assert!(answer.replication_status.iter().all(|status| status.status == StatusType::InSync), "{answer:?}");
        assert_equal(&fixture, "db", &REGIONS);
        assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 0, "nothing was left");
    }
}

#[test]
fn large_versions_take_several_commits_of_bounded_size() {
    let backend = RecordingBackend::new();
    let store = SecretStore::with_backend(backend.clone()).key_provider(LocalKeyring::in_memory()).open().unwrap();
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    for _ in 0..80 {
        home.put_secret_value(PutSecretValueRequest::new("db", "x".repeat(65_536))).unwrap();
    }
    let before = backend.commits();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", REGIONS)).unwrap();
    let batches = backend.batches().split_off(before);
    let bytes = |batch: &strongroom::Batch| batch.iter().map(|(_, value)| value.map_or(0, <[u8]>::len)).sum::<usize>();
    let most = batches.iter().map(bytes).max().unwrap();
    assert!(batches.len() > 4 && most < 4 * 1024 * 1024, "{} commits, the largest of {most} bytes", batches.len());
    assert!(statuses(&home, "db").iter().all(|(_, status, _)| *status == StatusType::InSync));
}

/// While one Region is behind by more than a commit takes, the others have every change with the change itself.
#[test]
fn a_region_that_catches_up_does_not_hold_back_the_regions_in_sync() {
    let backend = RecordingBackend::new();
    let (keyring, clock) = (LocalKeyring::in_memory(), ManualClock::at_millis(1_700_000_000_000));
    let builder = |builder: Builder| builder.key_provider(keyring.clone()).clock(clock.clone());
    let store = builder(SecretStore::with_backend(backend.clone())).open().unwrap();
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    let key = keyring.create_key(strongroom::KeyScope::new("aws", ACCOUNT, "eu-west-1")).unwrap();
    keyring.disable_key(&key).unwrap();
    let ireland = ReplicaRegionType::new("eu-west-1").kms_key_id(key.as_str());
    let create = CreateSecretRequest::new("db").secret_string("first");
    home.create_secret(create.add_replica_regions([ireland, ReplicaRegionType::new("sa-east-1")])).unwrap();
    for _ in 0..60 {
        home.put_secret_value(PutSecretValueRequest::new("db", "x".repeat(65_536))).unwrap();
    }
    keyring.enable_key(&key).unwrap();
    clock.advance(TimeDelta::minutes(60));
    let before = backend.commits();
    home.put_secret_value(PutSecretValueRequest::new("db", "last").client_request_token(token(1))).unwrap();
    assert!(backend.commits() - before > 1, "Ireland takes several commits");
    // What a crash after each of the commits would leave.
    for commits in before + 1..=backend.commits() {
        let left = builder(SecretStore::with_backend(backend.image(commits).unwrap())).open().unwrap();
        let home = left.secrets_manager(ACCOUNT, HOME).unwrap();
        let expected = describe(&home, "db").version_ids_to_stages;
        for (region, status, _) in statuses(&home, "db") {
            let replica = left.secrets_manager(ACCOUNT, &region).unwrap();
            if status == StatusType::InSync {
                assert_eq!(
                    describe(&replica, "db").version_ids_to_stages,
                    expected,
                    "{region} after {commits} commits"
                );
                assert_eq!(read(&replica, "db"), "last", "{region}");
            }
        }
    }
    assert!(statuses(&home, "db").iter().all(|(_, status, _)| *status == StatusType::InSync));
}

#[test]
fn an_unlabelled_version_that_nobody_can_open_any_more_is_left_out_of_a_new_replica() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let key = fixture.key(HOME);
    let create = CreateSecretRequest::new("db").secret_string("old").kms_key_id(key.as_str());
    home.create_secret(create.client_request_token(token(1))).unwrap();
    for number in 2..4 {
        home.put_secret_value(PutSecretValueRequest::new("db", "v").client_request_token(token(number))).unwrap();
    }
    // The labelled versions are wrapped under the new key, the unlabelled one stays under the old.
    home.update_secret(UpdateSecretRequest::new("db").kms_key_id("alias/aws/secretsmanager")).unwrap();
    fixture.keyring.schedule_key_deletion(&key).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    let ids = |secrets| versions(secrets, "db").into_keys().collect::<Vec<_>>();
    assert_eq!((status(&home, "db"), ids(&ireland)), (in_sync(), vec![token(2), token(3)]));
    home.put_secret_value(PutSecretValueRequest::new("db", "w").client_request_token(token(4))).unwrap();
    assert_eq!((status(&home, "db"), ids(&ireland)), (in_sync(), vec![token(2), token(3), token(4)]));
}

#[test]
fn a_region_that_is_full_fails_the_replica_until_there_is_room() {
    let fixture = Fixture::built(|builder| builder.secrets_max(2));
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    for name in ["a", "b"] {
        ireland.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
    }
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions(REGIONS)).unwrap();
    let text = "Replication failed: You can have at most 2 secrets in an account and Region.";
    let expected = [
        ("eu-west-1".to_owned(), StatusType::Failed, Some(text.to_owned())),
        ("sa-east-1".to_owned(), StatusType::InSync, None),
    ];
    assert_eq!(statuses(&home, "db"), expected);
    home.put_secret_value(PutSecretValueRequest::new("db", "w")).unwrap();
    assert_eq!((statuses(&home, "db"), read(&fixture.region("sa-east-1"), "db")), (expected.to_vec(), "w".to_owned()));
    ireland.delete_secret(DeleteSecretRequest::new("a").force_delete_without_recovery(true)).unwrap();
    fixture.pass(1);
    assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_equal(&fixture, "db", &REGIONS);
    // A replica that takes the place of a secret needs no room.
    home.create_secret(CreateSecretRequest::new("b").secret_string("ours")).unwrap();
    let request = ReplicateSecretToRegionsRequest::new("b", ["eu-west-1"]).force_overwrite_replica_secret(true);
    home.replicate_secret_to_regions(request).unwrap();
    let replica = ireland.get_secret_value(GetSecretValueRequest::new("b"));
    assert_eq!(status(&home, "b"), in_sync(), "{replica:?}");
}
