//! Replicas that follow later: with maintenance, whoever calls for it.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, MaintenanceReport, PutSecretValueRequest,
    RemoveRegionsFromReplicationRequest, ReplicaRegionType, ReplicateSecretToRegionsRequest, Replication, StatusType,
    StopReplicationToReplicaRequest,
};

use crate::fixture::{Fixture, Seen, assert_equal, describe, in_sync, read, status, statuses};

const REGIONS: [&str; 2] = ["eu-west-1", "sa-east-1"];
/// Far beyond what a thread takes to be woken.
const PATIENCE: Duration = Duration::from_secs(60);

fn in_progress() -> (StatusType, String) {
    (StatusType::InProgress, String::new())
}

#[test]
fn replicas_are_in_progress_until_the_store_is_maintained() {
    let fixture = Fixture::with(Replication::Deferred);
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let create = CreateSecretRequest::new("db").secret_string("one").add_replica_regions(REGIONS);
    let created = home.create_secret(create).unwrap().replication_status.unwrap();
    assert!(created.iter().all(|status| status.status == StatusType::InProgress), "{created:?}");
    assert_eq!(fixture.store.stats().unwrap().secrets, 1, "they are not there yet");
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.replicated_secrets, report.failed_replications, report.next_due_at), (1, 0, None));
    assert_equal(&fixture, "db", &REGIONS);
    let before = Seen::of(&ireland, "db");

    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert!(statuses(&home, "db").iter().all(|(_, status, _)| *status == StatusType::InProgress));
    assert_eq!(Seen::of(&ireland, "db"), before, "an earlier state of the primary");
    fixture.pass(30);
    home.put_secret_value(PutSecretValueRequest::new("db", "three")).unwrap();
    assert_eq!(Seen::of(&ireland, "db"), before);
    assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_equal(&fixture, "db", &REGIONS);
    assert_eq!(fixture.store.maintain().unwrap(), MaintenanceReport::default(), "nothing is left to do");
}

#[test]
fn reading_a_primary_or_a_replica_leaves_its_replicas_in_sync() {
    let fixture = Fixture::with(Replication::Deferred);
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions(["eu-west-1"])).unwrap();
    fixture.store.maintain().unwrap();
    for secrets in [&home, &ireland] {
        fixture.clock.advance(chrono::TimeDelta::days(1));
        read(secrets, "db");
        assert_eq!(status(&home, "db"), in_sync());
    }
}

#[test]
fn a_conflict_or_a_broken_key_is_found_when_the_store_is_maintained() {
    let fixture = Fixture::with(Replication::Deferred);
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    ireland.create_secret(CreateSecretRequest::new("taken").secret_string("theirs")).unwrap();
    home.create_secret(CreateSecretRequest::new("taken").secret_string("v").add_replica_regions(["eu-west-1"]))
        .unwrap();
    let key = fixture.key("eu-west-1");
    fixture.keyring.disable_key(&key).unwrap();
    let region = ReplicaRegionType::new("eu-west-1").kms_key_id(key.as_str());
    home.create_secret(CreateSecretRequest::new("keyed").secret_string("v").add_replica_regions([region])).unwrap();
    for name in ["taken", "keyed"] {
        assert_eq!(status(&home, name), in_progress(), "{name}");
    }
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.replicated_secrets, report.failed_replications), (0, 2));
    let minute = chrono::TimeDelta::minutes(1);
    assert_eq!(report.next_due_at, Some(strongroom::Clock::now(&fixture.clock) + minute), "the key is tried again");
    let text = "Replication failed: Secret name taken already exists in region eu-west-1.";
    assert_eq!(status(&home, "taken"), (StatusType::Failed, text.to_owned()));
    assert_eq!(status(&home, "keyed").0, StatusType::Failed);
    fixture.keyring.enable_key(&key).unwrap();
    fixture.pass(1);
    assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_eq!(status(&home, "keyed"), in_sync());
}

#[test]
fn what_ends_a_replication_does_not_wait() {
    let fixture = Fixture::with(Replication::Deferred);
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("db").secret_string("one").add_replica_regions(REGIONS)).unwrap();
    fixture.store.maintain().unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["sa-east-1"])).unwrap();
    assert_eq!((describe(&home, "db").replication_status, read(&ireland, "db")), (None, "one".to_owned()));
    assert_eq!(fixture.store.stats().unwrap().secrets, 2);
    fixture.store.maintain().unwrap();
    assert_eq!(read(&ireland, "db"), "one");
    home.delete_secret(DeleteSecretRequest::new("db")).unwrap();
}

#[test]
fn a_thread_that_maintains_the_store_is_woken_by_what_is_to_be_replicated() {
    let (report, reports) = channel();
    let report = Mutex::new(report);
    // So long that whatever happens here is not for its sake.
    let interval = Duration::from_secs(86_400);
    let fixture = Fixture::built(|builder| {
        builder.replication(Replication::Deferred).background_maintenance(interval, move |done| {
            _ = report.lock().unwrap().send(done.as_ref().unwrap().replicated_secrets);
        })
    });
    let home = fixture.home();
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap(), 0, "it looks as soon as it is opened");
    let until_done = || while reports.recv_timeout(PATIENCE).unwrap() == 0 {};
    home.create_secret(CreateSecretRequest::new("db").secret_string("one")).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", REGIONS)).unwrap();
    until_done();
    assert_equal(&fixture, "db", &REGIONS);
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    until_done();
    assert_equal(&fixture, "db", &REGIONS);
}
