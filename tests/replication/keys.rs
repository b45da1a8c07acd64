//! Keys of replicas, and what happens while they do not work.

use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, KeyOptions, PutSecretValueRequest, ReplicaRegionType,
    ReplicateSecretToRegionsRequest, StatusType, Tag, TagResourceRequest, UpdateSecretRequest,
};

use crate::fixture::{ACCOUNT, Fixture, Seen, describe, in_sync, read, status};

fn ireland_under(key: &str) -> [ReplicaRegionType; 1] {
    [ReplicaRegionType::new("eu-west-1").kms_key_id(key)]
}

#[test]
fn a_replica_has_the_key_that_was_asked_for_and_keeps_it() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let key = fixture.key("eu-west-1");
    fixture.keyring.create_alias("alias/app", &key).unwrap();
    let default = "alias/aws/secretsmanager";
    for (name, asked, shown, own) in [
        ("arn", Some(key.as_str()), key.as_str(), Some(key.as_str())),
        ("alias", Some("alias/app"), "alias/app", Some("alias/app")),
        ("default", Some(default), default, None),
        ("empty", Some(""), default, None),
        ("none", None, default, None),
    ] {
        let mut region = ReplicaRegionType::new("eu-west-1");
        region.kms_key_id = asked.map(str::to_owned);
        home.create_secret(CreateSecretRequest::new(name).secret_string("v").add_replica_regions([region])).unwrap();
        let status = describe(&home, name).replication_status.unwrap().remove(0);
        assert_eq!((status.kms_key_id.as_str(), status.status), (shown, StatusType::InSync), "{name}");
        assert_eq!(describe(&ireland, name).kms_key_id.as_deref(), own, "{name}");
        let other = fixture.key("us-east-1");
        home.update_secret(UpdateSecretRequest::new(name).kms_key_id(other.as_str())).unwrap();
        assert_eq!(describe(&ireland, name).kms_key_id.as_deref(), own, "the primary's key is its own, {name}");
        assert_eq!(Seen::of(&ireland, name), Seen::of(&home, name), "{name}");
    }
}

#[test]
fn each_of_primary_and_replica_is_read_with_its_own_key() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let (own, theirs) = (fixture.key("us-east-1"), fixture.key("eu-west-1"));
    let create = CreateSecretRequest::new("db").secret_string("v").kms_key_id(own.as_str());
    home.create_secret(create.add_replica_regions(ireland_under(&theirs))).unwrap();
    let request = || GetSecretValueRequest::new("db");
    fixture.keyring.disable_key(&own).unwrap();
    assert_eq!(read(&ireland, "db"), "v");
    assert!(home.get_secret_value(request()).is_err());
    fixture.keyring.enable_key(&own).unwrap();
    fixture.keyring.disable_key(&theirs).unwrap();
    assert_eq!(read(&home, "db"), "v");
    assert!(ireland.get_secret_value(request()).is_err());
}

#[test]
fn a_key_that_cannot_be_used_fails_the_replica_and_not_the_call() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let disabled = fixture.key("eu-west-1");
    fixture.keyring.disable_key(&disabled).unwrap();
    let elsewhere = fixture.key("us-east-1");
    let missing = format!("arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555");
    for (name, key) in
        [("disabled", disabled.as_str()), ("elsewhere", &elsewhere), ("missing", &missing), ("alias", "alias/none")]
    {
        let create = CreateSecretRequest::new(name).secret_string("v").add_replica_regions(ireland_under(key));
        let created = home.create_secret(create).unwrap();
        let status = created.replication_status.unwrap().remove(0);
        let message = status.status_message.unwrap();
        assert_eq!((status.status, status.kms_key_id.as_str()), (StatusType::Failed, key), "{name}");
        assert!(message.starts_with("Replication failed: "), "{name}: {message}");
        let there = fixture.region("eu-west-1").describe_secret(strongroom::DescribeSecretRequest::new(name));
        assert_eq!(there.unwrap_err().code(), "ResourceNotFoundException", "{name}");
        let report = fixture.store.maintain().unwrap();
        assert!(report.next_due_at.is_some(), "{name}");
    }
}

/// What comes after a replica failed because of its key.
#[derive(Debug, Clone, Copy)]
enum Repair {
    Maintenance,
    Replicate,
    Put,
    Tag,
    OtherKey,
}

#[test]
fn a_replica_whose_key_works_again_is_brought_up_to_date_by_whatever_comes_first() {
    for repair in [Repair::Maintenance, Repair::Replicate, Repair::Put, Repair::Tag, Repair::OtherKey] {
        let fixture = Fixture::new();
        let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
        let key = fixture.key("eu-west-1");
        let create = CreateSecretRequest::new("db").secret_string("one");
        home.create_secret(create.add_replica_regions(ireland_under(&key))).unwrap();
        let before = Seen::of(&ireland, "db");
        fixture.keyring.disable_key(&key).unwrap();
        home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
        home.tag_resource(TagResourceRequest::new("db", [Tag::new("a", "b")])).unwrap();
        assert_eq!(status(&home, "db").0, StatusType::Failed, "{repair:?}");
        fixture.keyring.enable_key(&key).unwrap();
        assert_eq!(Seen::of(&ireland, "db"), before, "an earlier state, not a mixture, {repair:?}");

        let due = fixture.store.maintain().unwrap();
        assert_eq!((due.replicated_secrets, due.failed_replications), (0, 0), "it is not due yet, {repair:?}");
        let minute = chrono::TimeDelta::minutes(1);
        assert_eq!(due.next_due_at, Some(strongroom::Clock::now(&fixture.clock) + minute), "{repair:?}");
        match repair {
            Repair::Replicate => {
                home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
            }
            Repair::OtherKey => {
                fixture.keyring.disable_key(&key).unwrap();
                let other = fixture.key("eu-west-1");
                let request = ReplicateSecretToRegionsRequest::new("db", ireland_under(&other));
                home.replicate_secret_to_regions(request).unwrap();
                assert_eq!(status(&home, "db"), in_sync(), "the key that was given last is used");
                assert_eq!(describe(&ireland, "db").kms_key_id, Some(other));
                assert_eq!(read(&ireland, "db"), "two");
                fixture.keyring.enable_key(&key).unwrap();
            }
            Repair::Maintenance => {
                fixture.pass(1);
                let done = fixture.store.maintain().unwrap();
                assert_eq!((done.replicated_secrets, done.failed_replications, done.next_due_at), (1, 0, None));
            }
            Repair::Put => {
                fixture.pass(1);
                home.put_secret_value(PutSecretValueRequest::new("db", "three")).unwrap();
            }
            Repair::Tag => {
                fixture.pass(1);
                home.tag_resource(TagResourceRequest::new("db", [Tag::new("c", "d")])).unwrap();
            }
        }
        assert_eq!(status(&home, "db"), in_sync(), "{repair:?}");
        assert_eq!(Seen::of(&ireland, "db"), Seen::of(&home, "db"), "{repair:?}");
    }
}

#[test]
fn a_replica_whose_key_was_replaced_by_the_host_keeps_the_new_one() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let (old, new) = (fixture.key("eu-west-1"), fixture.key("eu-west-1"));
    let create = CreateSecretRequest::new("db").secret_string("one");
    home.create_secret(create.add_replica_regions(ireland_under(&old))).unwrap();
    let replace = KeyOptions::new().replace_key(old.as_str(), new.as_str());
    fixture.store.rewrap(&replace, &mut |_| {}).unwrap();
    fixture.keyring.disable_key(&old).unwrap();
    fixture.keyring.disable_key(&new).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert_eq!(status(&home, "db").0, StatusType::Failed);
    fixture.keyring.enable_key(&new).unwrap();
    fixture.pass(1);
    fixture.store.maintain().unwrap();
    assert_eq!((status(&home, "db"), read(&ireland, "db")), (in_sync(), "two".to_owned()));
    assert_eq!(describe(&ireland, "db").kms_key_id.as_ref(), Some(&new));
    assert_eq!(describe(&home, "db").replication_status.unwrap()[0].kms_key_id, new);
}

#[test]
fn the_pause_between_two_attempts_doubles_up_to_an_hour() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let key = fixture.key("eu-west-1");
    fixture.keyring.disable_key(&key).unwrap();
    let create = CreateSecretRequest::new("db").secret_string("one");
    home.create_secret(create.add_replica_regions(ireland_under(&key))).unwrap();
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        fixture.clock.advance(chrono::TimeDelta::seconds(minutes * 60 - 1));
        assert_eq!(fixture.store.maintain().unwrap().failed_replications, 0, "before {minutes} minutes");
        fixture.clock.advance(chrono::TimeDelta::seconds(1));
        assert_eq!(fixture.store.maintain().unwrap().failed_replications, 1, "after {minutes} minutes");
    }
    fixture.keyring.enable_key(&key).unwrap();
    fixture.pass(60);
    assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_eq!(status(&home, "db"), in_sync());
}

#[test]
fn what_needs_no_key_reaches_a_replica_whose_key_does_not_work() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let key = fixture.key("eu-west-1");
    let create = CreateSecretRequest::new("db").secret_string("one");
    home.create_secret(create.add_replica_regions(ireland_under(&key))).unwrap();
    fixture.keyring.disable_key(&key).unwrap();
    home.update_secret(UpdateSecretRequest::new("db").description("d")).unwrap();
    assert_eq!((status(&home, "db"), describe(&ireland, "db").description.as_deref()), (in_sync(), Some("d")));
}

#[test]
fn a_primary_that_cannot_be_read_fails_its_new_replica_until_it_can() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let key = fixture.key("us-east-1");
    home.create_secret(CreateSecretRequest::new("db").secret_string("v").kms_key_id(key.as_str())).unwrap();
    fixture.keyring.disable_key(&key).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!(status(&home, "db").0, StatusType::Failed);
    fixture.keyring.enable_key(&key).unwrap();
    fixture.pass(60);
    assert_eq!(fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_eq!((status(&home, "db"), read(&ireland, "db")), (in_sync(), "v".to_owned()));
}
