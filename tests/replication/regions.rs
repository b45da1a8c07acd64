//! Replicas in other Regions.

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, PutSecretValueRequest, RemoveRegionsFromReplicationRequest,
    ReplicateSecretToRegionsRequest, StatusType, StopReplicationToReplicaRequest, Tag, TagResourceRequest,
};

use crate::fixture::{Fixture, describe, read, statuses};

#[test]
fn a_replica_has_what_its_primary_has_and_follows_it() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let created = home
        .create_secret(CreateSecretRequest::new("db").secret_string("one").add_replica_regions(["eu-west-1"]))
        .unwrap();
    assert_eq!(created.replication_status.unwrap()[0].status, StatusType::InSync);
    assert_eq!(read(&ireland, "db"), "one");
    let replica = describe(&ireland, "db");
    assert_eq!(replica.arn, created.arn.replace("us-east-1", "eu-west-1"));
    assert_eq!(replica.primary_region.as_deref(), Some("us-east-1"));

    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    home.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "a")])).unwrap();
    assert_eq!(read(&ireland, "db"), "two");
    let (primary, replica) = (describe(&home, "db"), describe(&ireland, "db"));
    assert_eq!(primary.version_ids_to_stages, replica.version_ids_to_stages);
    assert_eq!(primary.tags, replica.tags);

    let refused = ireland.put_secret_value(PutSecretValueRequest::new("db", "three")).unwrap_err();
    assert_eq!(
        refused.message(),
        "Operation not permitted on a replica secret. Call must be made in primary secret's region."
    );
    let refused = home.delete_secret(DeleteSecretRequest::new("db")).unwrap_err();
    assert_eq!(
        refused.message(),
        format!("You can't delete secret {} that still has replica regions [eu-west-1].", created.arn)
    );
}

#[test]
fn replicas_come_and_go() {
    let fixture = Fixture::new();
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db").secret_string("one")).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1", "eu-west-2"])).unwrap();
    let two = [("eu-west-1".to_owned(), StatusType::InSync, None), ("eu-west-2".to_owned(), StatusType::InSync, None)];
    assert_eq!(statuses(&home, "db"), two);
    let paris = fixture.region("eu-west-2");
    paris.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    assert_eq!(statuses(&home, "db"), two[..1]);
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["eu-west-1"])).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert_eq!(read(&paris, "db"), "one");
    assert!(describe(&home, "db").replication_status.is_none());
    home.delete_secret(DeleteSecretRequest::new("db")).unwrap();
}
