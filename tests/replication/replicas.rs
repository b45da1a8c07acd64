//! What may be done to a replica, how it becomes a secret of its own, and what is shown of both.

use strongroom::{
    BatchGetSecretValueRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest,
    DeleteSecretRequest, Error, ExportOptions, Filter, GetResourcePolicyRequest, GetSecretValueRequest, ImportOptions,
    ListResourcePoliciesRequest, ListSecretVersionIdsRequest, ListSecretsRequest, PutResourcePolicyRequest,
    PutSecretValueRequest, RemoveRegionsFromReplicationRequest, ReplicateSecretToRegionsRequest, RestoreSecretRequest,
    RotateSecretRequest, SecretsManager, StaticKey, StatusType, StopReplicationToReplicaRequest, Tag,
    TagResourceRequest, Timestamp, UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest,
    ValidateResourcePolicyRequest,
};

use crate::fixture::{
    ACCOUNT, Fixture, REPLICA_REFUSAL, Seen, describe, in_sync, read, refusal, refused, status, statuses, token,
};

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"444455556666"},"Action":"secretsmanager:PutSecretValue","Resource":"*"}]}"#;

fn with_replicas(fixture: &Fixture, regions: &[&str]) {
    let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("one");
    let create = create.description("main").tags([Tag::new("team", "a")]).add_replica_regions(regions.to_vec());
    let home = fixture.home();
    home.create_secret(create).unwrap();
    home.put_resource_policy(PutResourcePolicyRequest::new("db", POLICY)).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two").client_request_token(token(2))).unwrap();
}

type Attempt = fn(&SecretsManager) -> Result<(), Error>;

#[test]
fn whatever_would_change_a_replica_is_refused_and_changes_nothing() {
    let attempts: [(&str, Attempt); 16] = [
        ("UpdateSecret", |secrets| secrets.update_secret(UpdateSecretRequest::new("db").description("x")).map(drop)),
        ("UpdateSecret with a value", |secrets| {
            secrets.update_secret(UpdateSecretRequest::new("db").secret_string("x")).map(drop)
        }),
        ("UpdateSecret with a key", |secrets| {
            secrets.update_secret(UpdateSecretRequest::new("db").kms_key_id("alias/aws/secretsmanager")).map(drop)
        }),
        ("PutSecretValue", |secrets| secrets.put_secret_value(PutSecretValueRequest::new("db", "x")).map(drop)),
        ("PutSecretValue with a token that was used", |secrets| {
            secrets.put_secret_value(PutSecretValueRequest::new("db", "two").client_request_token(token(2))).map(drop)
        }),
        ("TagResource", |secrets| {
            secrets.tag_resource(TagResourceRequest::new("db", [Tag::new("a", "b")])).map(|_| ())
        }),
        ("UntagResource", |secrets| secrets.untag_resource(UntagResourceRequest::new("db", ["team"])).map(|_| ())),
        ("PutResourcePolicy", |secrets| {
            secrets.put_resource_policy(PutResourcePolicyRequest::new("db", POLICY)).map(drop)
        }),
        ("DeleteResourcePolicy", |secrets| {
            secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("db")).map(drop)
        }),
        ("DeleteSecret", |secrets| secrets.delete_secret(DeleteSecretRequest::new("db")).map(drop)),
        ("DeleteSecret at once", |secrets| {
            secrets.delete_secret(DeleteSecretRequest::new("db").force_delete_without_recovery(true)).map(drop)
        }),
        ("RestoreSecret", |secrets| secrets.restore_secret(RestoreSecretRequest::new("db")).map(drop)),
        ("RotateSecret", |secrets| {
            let arn = "arn:aws:lambda:eu-west-1:111122223333:function:rotate";
            secrets.rotate_secret(RotateSecretRequest::new("db").rotation_lambda_arn(arn)).map(drop)
        }),
        ("CancelRotateSecret", |secrets| secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).map(drop)),
        ("UpdateSecretVersionStage", |secrets| {
            let request = UpdateSecretVersionStageRequest::new("db", "green").move_to_version_id(token(1));
            secrets.update_secret_version_stage(request).map(drop)
        }),
        ("ReplicateSecretToRegions", |secrets| {
            secrets.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["sa-east-1"])).map(drop)
        }),
    ];
    let fixture = Fixture::new();
    with_replicas(&fixture, &["eu-west-1"]);
    let ireland = fixture.region("eu-west-1");
    let before = (Seen::of(&ireland, "db"), describe(&ireland, "db").primary_region);
    let remove: Attempt = |secrets| {
        let request = RemoveRegionsFromReplicationRequest::new("db", ["us-east-1"]);
        secrets.remove_regions_from_replication(request).map(drop)
    };
    for (name, attempt) in attempts.into_iter().chain([("RemoveRegionsFromReplication", remove)]) {
        let expected = refused("InvalidParameterException", REPLICA_REFUSAL);
        assert_eq!(refusal(attempt(&ireland)), expected, "{name}");
        let is = (Seen::of(&ireland, "db"), describe(&ireland, "db").primary_region);
        assert_eq!(is, before, "{name}");
        assert_eq!(status(&fixture.home(), "db"), in_sync(), "{name}");
    }
}

#[test]
fn a_replica_is_read_in_every_way() {
    let fixture = Fixture::new();
    with_replicas(&fixture, &["eu-west-1"]);
    let ireland = fixture.region("eu-west-1");
    let arn = describe(&ireland, "db").arn;
    for id in ["db", arn.as_str(), arn.rsplit_once('-').unwrap().0] {
        assert_eq!(read(&ireland, id), "two");
    }
    let previous = GetSecretValueRequest::new("db").version_stage("AWSPREVIOUS");
    assert_eq!(ireland.get_secret_value(previous).unwrap().version_id, token(1));
    let batch = BatchGetSecretValueRequest::new().secret_id_list(["db"]);
    assert_eq!(ireland.batch_get_secret_value(batch).unwrap().secret_values[0].arn, arn);
    let ids = ireland.list_secret_version_ids(ListSecretVersionIdsRequest::new("db")).unwrap();
    assert_eq!(ids.versions.len(), 2);
    let listed = ireland.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.remove(0);
    assert_eq!((listed.arn, listed.primary_region.as_deref()), (arn, Some("us-east-1")));
    let policy = ireland.get_resource_policy(GetResourcePolicyRequest::new("db")).unwrap();
    assert_eq!(policy.resource_policy.as_deref(), Some(POLICY));
    let policies = ireland.list_resource_policies(ListResourcePoliciesRequest::new("db")).unwrap();
    assert_eq!(policies.resource_policies.len(), 1);
    let validate = ValidateResourcePolicyRequest::new(POLICY).secret_id("db");
    assert!(ireland.validate_resource_policy(validate).unwrap().policy_validation_passed);
}

#[test]
fn what_is_shown_of_primaries_and_replicas_comes_and_goes_as_documented() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let shown = |secrets: &SecretsManager| {
        let described = describe(secrets, "db");
        (described.primary_region, described.replication_status.map(|statuses| statuses.len()))
    };
    let own = Some("us-east-1".to_owned());
    let created = home.create_secret(CreateSecretRequest::new("db")).unwrap();
    assert_eq!((created.replication_status, shown(&home)), (None, (None, None)), "never replicated");
    let answer = home
        .replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1", "sa-east-1"]))
        .unwrap();
    assert_eq!((answer.arn, answer.replication_status.len()), (created.arn.clone(), 2));
    assert_eq!(answer.replication_status[0].kms_key_id, "alias/aws/secretsmanager");
    assert_eq!((shown(&home), shown(&ireland)), ((own.clone(), Some(2)), (own.clone(), None)));

    let stopped = ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    assert_eq!(stopped.arn, created.arn.replace("us-east-1", "eu-west-1"));
    assert_eq!((shown(&home), shown(&ireland)), ((own.clone(), Some(1)), (Some("eu-west-1".to_owned()), None)));

    let remove = RemoveRegionsFromReplicationRequest::new("db", ["sa-east-1", "sa-east-1", "eu-west-3"]);
    assert_eq!(home.remove_regions_from_replication(remove).unwrap().replication_status, []);
    assert_eq!(shown(&home), (own, None), "the primary Region is kept");
    assert_eq!(fixture.store.stats().unwrap().secrets, 2);
}

#[test]
fn a_region_without_a_replica_is_passed_over_when_regions_are_removed() {
    let fixture = Fixture::new();
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    let before = Seen::of(&home, "db");
    let request = || RemoveRegionsFromReplicationRequest::new("db", ["eu-west-1", "us-east-1", "us-nowhere-7"]);
    assert_eq!(home.remove_regions_from_replication(request()).unwrap().replication_status, []);
    assert_eq!((Seen::of(&home, "db"), describe(&home, "db").primary_region), (before, None));
}

#[test]
fn replicating_again_to_a_region_in_sync_changes_nothing() {
    let fixture = Fixture::new();
    with_replicas(&fixture, &["eu-west-1"]);
    let home = fixture.home();
    let before = (Seen::of(&home, "db"), Seen::of(&fixture.region("eu-west-1"), "db"));
    fixture.pass(5);
    let again = strongroom::ReplicaRegionType::new("eu-west-1").kms_key_id("alias/none");
    let answer = home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", [again])).unwrap();
    assert_eq!(answer.replication_status[0].status, StatusType::InSync);
    assert_eq!((Seen::of(&home, "db"), Seen::of(&fixture.region("eu-west-1"), "db")), before);
}

#[test]
fn a_replica_that_stopped_is_a_secret_like_any_other() {
    let fixture = Fixture::new();
    with_replicas(&fixture, &["eu-west-1", "sa-east-1"]);
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let mut before = Seen::of(&ireland, "db");
    fixture.pass(1);
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    let after = Seen::of(&ireland, "db");
    assert!(after.dates.1 > before.dates.1, "it was changed");
    before.dates.1 = after.dates.1;
    assert_eq!(after, before);
    assert_eq!(statuses(&home, "db"), [("sa-east-1".to_owned(), StatusType::InSync, None)]);

    home.put_secret_value(PutSecretValueRequest::new("db", "three")).unwrap();
    ireland.put_secret_value(PutSecretValueRequest::new("db", "its own")).unwrap();
    assert_eq!([read(&home, "db"), read(&ireland, "db")], ["three", "its own"]);
    ireland.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-3"])).unwrap();
    assert_eq!(read(&fixture.region("eu-west-3"), "db"), "its own");
    let expected =
        refused("InvalidRequestException", "You can't stop replication to a secret that isn't a replica secret.");
    for secrets in [&home, &ireland] {
        let stop = StopReplicationToReplicaRequest::new("db");
        assert_eq!(refusal(secrets.stop_replication_to_replica(stop)), expected);
    }
}

#[test]
fn a_primary_with_replicas_is_not_deleted() {
    let fixture = Fixture::new();
    with_replicas(&fixture, &["sa-east-1", "eu-west-1"]);
    let home = fixture.home();
    let text = |regions: &str| {
        let arn = describe(&home, "db").arn;
        refused(
            "InvalidParameterException",
            format!("You can't delete secret {arn} that still has replica regions [{regions}]."),
        )
    };
    for is_forced in [false, true] {
        let request = || DeleteSecretRequest::new("db").force_delete_without_recovery(is_forced);
        assert_eq!(refusal(home.delete_secret(request())), text("sa-east-1, eu-west-1"));
    }
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["sa-east-1"])).unwrap();
    assert_eq!(refusal(home.delete_secret(DeleteSecretRequest::new("db"))), text("eu-west-1"));
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["eu-west-1"])).unwrap();
    home.delete_secret(DeleteSecretRequest::new("db")).unwrap();
    home.restore_secret(RestoreSecretRequest::new("db")).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!(status(&home, "db"), in_sync());
}

#[test]
fn a_failed_region_keeps_a_primary_from_being_deleted_too() {
    let fixture = Fixture::new();
    let home = fixture.home();
    fixture.region("eu-west-1").create_secret(CreateSecretRequest::new("db").secret_string("theirs")).unwrap();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions(["eu-west-1"])).unwrap();
    assert_eq!(home.delete_secret(DeleteSecretRequest::new("db")).unwrap_err().code(), "InvalidParameterException");
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!(read(&fixture.region("eu-west-1"), "db"), "theirs", "what was in the way stays");
    home.delete_secret(DeleteSecretRequest::new("db")).unwrap();
}

#[test]
fn secrets_are_listed_by_the_region_of_their_primary() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("from-home").secret_string("v").add_replica_regions(["eu-west-1"]))
        .unwrap();
    ireland
        .create_secret(CreateSecretRequest::new("own").secret_string("v").add_replica_regions(["us-east-1"]))
        .unwrap();
    ireland.create_secret(CreateSecretRequest::new("plain").secret_string("v")).unwrap();
    for (secrets, region, expected) in [
        (&ireland, "us-east-1", &["from-home"][..]),
        (&ireland, "eu-west-1", &["own"]),
        (&ireland, "!us-east-1", &["own"]),
        (&home, "us-east-1", &["from-home"]),
        (&home, "eu-west-1", &["own"]),
        (&home, "sa-east-1", &[]),
    ] {
        let request = ListSecretsRequest::new().filters([Filter::new("primary-region", [region])]);
        let listed = secrets.list_secrets(request).unwrap().secret_list;
        let names: Vec<String> = listed.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, expected, "{region} in {}", secrets.region());
    }
}

#[test]
fn days_of_access_are_those_of_each_region() {
    let fixture = Fixture::new();
    let create = CreateSecretRequest::new("db").secret_string("v").add_replica_regions(["eu-west-1", "sa-east-1"]);
    fixture.home().create_secret(create).unwrap();
    let accessed = || -> Vec<Option<Timestamp>> {
        let home = describe(&fixture.home(), "db");
        let statuses = home.replication_status.unwrap();
        let own = ["eu-west-1", "sa-east-1"].map(|region| describe(&fixture.region(region), "db").last_accessed_date);
        assert_eq!(statuses.iter().map(|status| status.last_accessed_date).collect::<Vec<_>>(), own);
        [home.last_accessed_date].into_iter().chain(own).collect()
    };
    let day = |days: i64| Some(Timestamp::UNIX_EPOCH + chrono::TimeDelta::days(20_000 + days));
    assert_eq!(accessed(), [None, None, None]);
    read(&fixture.region("eu-west-1"), "db");
    assert_eq!(accessed(), [None, day(0), None]);
    fixture.clock.advance(chrono::TimeDelta::days(3));
    read(&fixture.home(), "db");
    fixture.home().put_secret_value(PutSecretValueRequest::new("db", "w")).unwrap();
    assert_eq!(accessed(), [day(3), day(0), None]);
    read(&fixture.region("sa-east-1"), "db");
    assert_eq!(accessed(), [day(3), day(0), day(3)]);
}

#[test]
fn a_replica_without_its_primary_is_stopped_and_deleted() {
    let source = Fixture::new();
    with_replicas(&source, &["eu-west-1"]);
    let directory = tempfile::tempdir().unwrap();
    let (path, key) = (directory.path().join("export"), StaticKey::new([1; 32]));
    let only = ExportOptions::new().only(ACCOUNT, "eu-west-1");
    source.store.export(&path, &key, &only, &mut |_| ()).unwrap();
    let target = Fixture::new();
    target.store.import(&path, &key, &ImportOptions::new(), &mut |_| ()).unwrap();
    let ireland = target.region("eu-west-1");
    assert_eq!(describe(&ireland, "db").primary_region.as_deref(), Some("us-east-1"));
    assert_eq!(refusal(ireland.delete_secret(DeleteSecretRequest::new("db"))).1, REPLICA_REFUSAL);
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    assert_eq!(read(&ireland, "db"), "two");
    ireland.delete_secret(DeleteSecretRequest::new("db").force_delete_without_recovery(true)).unwrap();
    assert_eq!(target.store.stats().unwrap().secrets, 0);
}

/// A secret of the same name as the lost primary has another ARN.
#[test]
fn a_replica_without_its_primary_does_not_follow_another_secret_of_that_name() {
    let source = Fixture::new();
    with_replicas(&source, &["eu-west-1"]);
    let directory = tempfile::tempdir().unwrap();
    let (path, key) = (directory.path().join("export"), StaticKey::new([1; 32]));
    let only = ExportOptions::new().only(ACCOUNT, "eu-west-1");
    source.store.export(&path, &key, &only, &mut |_| ()).unwrap();
    let target = Fixture::new();
    target.store.import(&path, &key, &ImportOptions::new(), &mut |_| ()).unwrap();
    let (home, ireland) = (target.home(), target.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("db").secret_string("new").add_replica_regions(["eu-west-1"])).unwrap();
    let text = "Replication failed: Secret name db is currently replicated to eu-west-1 with a different arn";
    assert_eq!(status(&home, "db"), (StatusType::Failed, text.to_owned()));
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    assert_eq!(statuses(&home, "db").len(), 1, "it was not the replica of that one");
    assert_eq!(read(&ireland, "db"), "two");
}

#[test]
fn a_secret_without_a_value_is_replicated_and_its_first_value_follows() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let created = home.create_secret(CreateSecretRequest::new("db").add_replica_regions(["eu-west-1"])).unwrap();
    assert_eq!(created.replication_status.unwrap()[0].status, StatusType::InSync);
    assert_eq!(describe(&ireland, "db").version_ids_to_stages, None);
    home.put_secret_value(PutSecretValueRequest::new("db", "one")).unwrap();
    assert_eq!(Seen::of(&ireland, "db"), Seen::of(&home, "db"));
}
