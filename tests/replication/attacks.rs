//! What somebody found who looked for it: replicas that could not be opened, consent that outlived its call, and ways around
//! what a policy, a key or an account allows.

use strongroom::{
    AssociateCrossAccountReplicaRequest, Caller, CreateSecretRequest, GetSecretValueRequest, IdentityPolicy,
    ListSecretVersionIdsRequest, Principal, PutResourcePolicyRequest, PutSecretValueRequest, ReplicaRegionType,
    ReplicateSecretToRegionsRequest, SecretsManager, StatusType, StopReplicationToReplicaRequest, Tag,
    TagResourceRequest,
};

use crate::fixture::{Fixture, HOME, OTHER_ACCOUNT, assert_equal, describe, in_sync, read, refusal, refused, status};

/// A handle of another account's user who may do everything that somebody lets them.
fn stranger(fixture: &Fixture, account: &str) -> SecretsManager {
    let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let principal = Principal::parse(&format!("arn:aws:iam::{account}:user/mallory")).unwrap();
    let caller = Caller::new(principal).identity_policies([IdentityPolicy::parse(everything).unwrap()]);
    fixture.of(account, HOME).as_caller(caller)
}

fn share(fixture: &Fixture, name: &str, account: &str) {
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":"secretsmanager:*","Resource":"*"}}]}}"#
    );
    fixture.home().put_resource_policy(PutResourcePolicyRequest::new(name, policy)).unwrap();
}

/// A secret and its replica in another account, not yet associated.
fn pair(fixture: &Fixture) -> (String, String) {
    let primary = fixture.home().create_secret(CreateSecretRequest::new("db").secret_string("one")).unwrap().arn;
    let key = fixture.key_of(OTHER_ACCOUNT, HOME);
    let create = CreateSecretRequest::new("copy").kms_key_id(key).cross_account_primary_arn(primary.as_str());
    (primary, fixture.of(OTHER_ACCOUNT, HOME).create_secret(create).unwrap().arn)
}

#[test]
fn a_replica_opens_although_the_call_that_made_it_began_again() {
    let fixture = Fixture::built(|builder| builder.secrets_max(1));
    fixture.region("eu-west-2").create_secret(CreateSecretRequest::new("full")).unwrap();
    let create = CreateSecretRequest::new("db").secret_string("one").add_replica_regions(["eu-west-1", "eu-west-2"]);
    let made = fixture.home().create_secret(create).unwrap().replication_status.unwrap();
    assert_eq!(made.iter().map(|made| made.status).collect::<Vec<_>>(), [StatusType::InSync, StatusType::Failed]);
    assert_eq!(read(&fixture.region("eu-west-1"), "db"), "one");
}

#[test]
fn another_key_takes_the_place_of_one_that_is_gone() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    let (old, new) = (fixture.key("eu-west-1"), fixture.key("eu-west-1"));
    let under = |key: &str| [ReplicaRegionType::new("eu-west-1").kms_key_id(key)];
    home.create_secret(CreateSecretRequest::new("db").secret_string("one").add_replica_regions(under(&old))).unwrap();
    fixture.keyring.disable_key(&old).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert_eq!(status(&home, "db").0, StatusType::Failed);
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", under(&new))).unwrap();
    assert_eq!(status(&home, "db"), in_sync());
    assert_eq!(read(&ireland, "db"), "two");
    // What has labels is readable without the old key.
    let previous = ireland.get_secret_value(GetSecretValueRequest::new("db").version_stage("AWSPREVIOUS")).unwrap();
    assert_eq!(previous.secret_string.unwrap().expose(), "one");
    assert_eq!(describe(&ireland, "db").kms_key_id, Some(new));
}

#[test]
fn consent_to_overwrite_is_for_one_attempt() {
    let fixture = Fixture::new();
    let (home, ireland) = (fixture.home(), fixture.region("eu-west-1"));
    home.create_secret(CreateSecretRequest::new("db").secret_string("one")).unwrap();
    let key = fixture.key("eu-west-1");
    fixture.keyring.disable_key(&key).unwrap();
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id(key.as_str())];
    let request = ReplicateSecretToRegionsRequest::new("db", regions).force_overwrite_replica_secret(true);
    home.replicate_secret_to_regions(request).unwrap();
    ireland.create_secret(CreateSecretRequest::new("db").secret_string("precious")).unwrap();
    fixture.keyring.enable_key(&key).unwrap();
    fixture.pass(5);
    fixture.store.maintain().unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert_eq!(read(&ireland, "db"), "precious");
    assert_eq!(status(&home, "db").0, StatusType::Failed);
}

#[test]
fn a_replica_without_a_value_needs_a_key_too() {
    let fixture = Fixture::new();
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id("alias/nowhere")];
    let create = CreateSecretRequest::new("db").add_replica_regions(regions);
    let made = fixture.home().create_secret(create).unwrap().replication_status.unwrap();
    assert_eq!(made[0].status, StatusType::Failed);
}

#[test]
fn a_key_that_is_away_for_a_while_costs_no_version() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let (old, new) = (fixture.key(HOME), fixture.key(HOME));
    home.create_secret(CreateSecretRequest::new("db").secret_string("0").kms_key_id(old.as_str())).unwrap();
    for value in ["1", "2"] {
        home.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
    }
    let update = strongroom::UpdateSecretRequest::new("db").kms_key_id(new);
    home.update_secret(update).unwrap();
    fixture.keyring.disable_key(&old).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!(status(&home, "db").0, StatusType::Failed);
    fixture.keyring.enable_key(&old).unwrap();
    fixture.pass(1);
    fixture.store.maintain().unwrap();
    assert_eq!(status(&home, "db"), in_sync());
    assert_equal(&fixture, "db", &["eu-west-1"]);
}

#[test]
fn a_replica_in_another_account_receives_versions_without_labels_too() {
    let fixture = Fixture::new();
    let (primary, replica) = pair(&fixture);
    let (home, theirs) = (fixture.home(), fixture.of(OTHER_ACCOUNT, HOME));
    for value in ["two", "three"] {
        home.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
    }
    home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new(primary, replica)).unwrap();
    let versions = |secrets: &SecretsManager, id: &str| {
        let list = ListSecretVersionIdsRequest::new(id).include_deprecated(true);
        let listed = secrets.list_secret_version_ids(list).unwrap().versions;
        listed.into_iter().map(|entry| (entry.version_id, entry.version_stages)).collect::<Vec<_>>()
    };
    assert_eq!(versions(&theirs, "copy").len(), 3);
    assert_eq!(versions(&theirs, "copy"), versions(&home, "db"));
    // What does not concern it does not change it.
    let before = describe(&theirs, "copy").last_changed_date;
    fixture.pass(1);
    home.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "a")])).unwrap();
    assert_eq!(describe(&theirs, "copy").last_changed_date, before);
}

#[test]
fn only_the_account_of_a_primary_associates_its_replica() {
    let fixture = Fixture::new();
    let (primary, replica) = pair(&fixture);
    share(&fixture, "db", "777788889999");
    let mallory = stranger(&fixture, "777788889999");
    let role = "arn:aws:iam::777788889999:role/any";
    let request = AssociateCrossAccountReplicaRequest::new(primary, replica).replication_role_arn(role);
    let text = "You must call this operation from the account that owns the primary secret.";
    assert_eq!(refusal(mallory.associate_cross_account_replica(request)), refused("InvalidRequestException", text));
}

#[test]
fn a_value_under_the_default_key_is_not_replicated_for_another_account() {
    let fixture = Fixture::new();
    let (primary, _) = pair(&fixture);
    share(&fixture, "db", "777788889999");
    let mallory = stranger(&fixture, "777788889999");
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id(fixture.key("eu-west-1"))];
    let asked = mallory.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new(primary, regions));
    assert_eq!(asked.unwrap_err().code(), "InvalidRequestException");
    assert_eq!(describe(&fixture.home(), "db").replication_status, None);
}

#[test]
fn an_association_tells_nothing_of_secrets_that_are_not_shared() {
    let fixture = Fixture::new();
    let mallory = stranger(&fixture, "777788889999");
    let own = mallory.create_secret(CreateSecretRequest::new("bait").secret_string("x")).unwrap().arn;
    let theirs = fixture.of(OTHER_ACCOUNT, HOME);
    let ordinary = theirs.create_secret(CreateSecretRequest::new("hidden").secret_string("x")).unwrap().arn;
    let scheduled = theirs.create_secret(CreateSecretRequest::new("going").secret_string("x")).unwrap().arn;
    theirs.delete_secret(strongroom::DeleteSecretRequest::new("going")).unwrap();
    let absent = format!("arn:aws:secretsmanager:{HOME}:{OTHER_ACCOUNT}:secret:absent-a1b2c3");
    for role in [None, Some("arn:aws:iam::777788889999:role/any")] {
        for arn in [&ordinary, &scheduled, &absent] {
            let mut request = AssociateCrossAccountReplicaRequest::new(own.as_str(), arn.as_str());
            request.replication_role_arn = role.map(str::to_owned);
            let error = mallory.associate_cross_account_replica(request).unwrap_err();
            assert_eq!(error.code(), "ResourceNotFoundException", "{arn} {role:?}");
        }
    }
}

#[test]
fn a_replica_of_a_service_is_stopped_by_the_service_alone() {
    let fixture = Fixture::new();
    let service = fixture.home().as_owning_service("rds").unwrap();
    service
        .create_secret(CreateSecretRequest::new("rds!db").secret_string("x").add_replica_regions(["eu-west-1"]))
        .unwrap();
    let ireland = fixture.region("eu-west-1");
    let stop = || StopReplicationToReplicaRequest::new("rds!db");
    assert_eq!(ireland.stop_replication_to_replica(stop()).unwrap_err().code(), "InvalidRequestException");
    ireland.as_owning_service("rds").unwrap().stop_replication_to_replica(stop()).unwrap();
}

#[test]
fn the_other_account_does_not_learn_which_keys_there_are() {
    let fixture = Fixture::new();
    let (primary, replica) = pair(&fixture);
    let (home, theirs) = (fixture.home(), fixture.of(OTHER_ACCOUNT, HOME));
    home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new(primary, replica)).unwrap();
    let key = describe(&theirs, "copy").kms_key_id.unwrap();
    fixture.keyring.disable_key(&key).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    let message = describe(&home, "db").cross_account_replicas.unwrap()[0].status_message.clone().unwrap();
    assert_eq!(message, "Replication failed: the KMS key of the replica secret can't be used.");
    assert_eq!(describe(&theirs, "copy").cross_account_primary.unwrap().status_message, Some(message));
}

/// Tags that take as much room as tags can.
fn large_tags() -> Vec<Tag> {
    (0..50).map(|index| Tag::new(format!("{index:02}{}", "𝔸".repeat(126)), "𝔸".repeat(256))).collect()
}

/// Puts with the longest tokens until one is refused, and how many were not.
fn puts_until_full(secrets: &SecretsManager, most: usize) -> usize {
    let put = |number: &usize| {
        let request = PutSecretValueRequest::new("db", "v").client_request_token(format!("{number:064}"));
        match secrets.put_secret_value(request) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code(), "LimitExceededException", "{error:?}");
                false
            }
        }
    };
    (0..most).take_while(put).count()
}

#[test]
fn a_replica_that_has_no_room_left_does_not_hold_its_primary_back() {
    let fixture = Fixture::new();
    let (home, theirs) = (fixture.home(), fixture.of(OTHER_ACCOUNT, HOME));
    let primary = home.create_secret(CreateSecretRequest::new("db").secret_string("one")).unwrap().arn;
    let create = CreateSecretRequest::new("copy").tags(large_tags()).kms_key_id(fixture.key_of(OTHER_ACCOUNT, HOME));
    let replica = theirs.create_secret(create.cross_account_primary_arn(primary.as_str())).unwrap().arn;
    home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new(primary, replica)).unwrap();
    assert_eq!(puts_until_full(&home, 600), 600);
    let link = describe(&home, "db").cross_account_replicas.unwrap().remove(0);
    assert_eq!(link.replication_status, StatusType::Failed);
    assert_eq!(link.status_message.as_deref(), Some("Replication failed: the replica secret is too large."));
    for _ in 0..3 {
        fixture.pass(60);
        assert_eq!(fixture.store.maintain().unwrap().failed_replications, 1);
    }
    // What the replica has is of one moment of its primary.
    let stages = describe(&theirs, "copy").version_ids_to_stages.unwrap();
    assert_eq!(stages.values().flatten().collect::<Vec<_>>().len(), 2, "{stages:?}");
}

#[test]
fn why_a_replica_failed_takes_no_room_that_its_primary_needs() {
    let most = |has_replica: bool| {
        let fixture = Fixture::new();
        let home = fixture.home();
        let mut create = CreateSecretRequest::new("db").secret_string("one").tags(large_tags());
        if has_replica {
            let key = fixture.key("eu-west-1");
            fixture.keyring.disable_key(&key).unwrap();
            create = create.add_replica_regions([ReplicaRegionType::new("eu-west-1").kms_key_id(key)]);
        }
        home.create_secret(create).unwrap();
        let most = puts_until_full(&home, 1_000);
        assert!((100..1_000).contains(&most), "{most}");
        fixture.pass(1);
        fixture.store.maintain().unwrap();
        assert_eq!(read(&home, "db"), "v");
        most
    };
    let (alone, with_replica) = (most(false), most(true));
    // The link itself takes room, with the ARN of its key; the message would take that of three versions more.
    assert!((alone - 3..=alone).contains(&with_replica), "{with_replica} of {alone}");
}

#[test]
fn a_version_that_was_left_out_of_a_replica_is_asked_for_when_it_gets_a_label() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let old = fixture.key(HOME);
    let token = |number: usize| format!("{number:032}");
    let create = CreateSecretRequest::new("db").secret_string("0").kms_key_id(old.as_str());
    home.create_secret(create.client_request_token(token(0))).unwrap();
    for number in 1..3 {
        home.put_secret_value(PutSecretValueRequest::new("db", "v").client_request_token(token(number))).unwrap();
    }
    home.update_secret(strongroom::UpdateSecretRequest::new("db").kms_key_id(fixture.key(HOME))).unwrap();
    fixture.keyring.schedule_key_deletion(&old).unwrap();
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"])).unwrap();
    assert_eq!(status(&home, "db"), in_sync());
    let label = strongroom::UpdateSecretVersionStageRequest::new("db", "KEPT").move_to_version_id(token(0));
    home.update_secret_version_stage(label).unwrap();
    assert_eq!(status(&home, "db").0, StatusType::Failed);
    fixture.keyring.cancel_key_deletion(&old).unwrap();
    fixture.keyring.enable_key(&old).unwrap();
    fixture.pass(1);
    fixture.store.maintain().unwrap();
    assert_eq!(status(&home, "db"), in_sync());
    assert_equal(&fixture, "db", &["eu-west-1"]);
}

#[test]
fn what_does_not_concern_a_replica_in_another_account_needs_no_right_to_it() {
    let fixture = Fixture::new();
    let (primary, replica) = pair(&fixture);
    let home = fixture.home();
    home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new(primary, replica)).unwrap();
    let tagging = r#"{"Statement": {"Effect": "Allow", "Action": ["secretsmanager:TagResource", "secretsmanager:PutSecretValue"],
        "Resource": "arn:aws:secretsmanager:*:111122223333:secret:*"}}"#;
    let principal = Principal::parse("arn:aws:iam::111122223333:user/tagger").unwrap();
    let caller = Caller::new(principal).identity_policies([IdentityPolicy::parse(tagging).unwrap()]);
    let tagger = home.as_caller(caller);
    let link = || describe(&home, "db").cross_account_replicas.unwrap().remove(0).replication_status;
    tagger.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "a")])).unwrap();
    assert_eq!(link(), StatusType::InSync);
    tagger.put_secret_value(PutSecretValueRequest::new("db", "two")).unwrap();
    assert_eq!(link(), StatusType::Failed);
}
