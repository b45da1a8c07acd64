//! What requests may contain, and who may be asked.

use strongroom::{
    AssociateCrossAccountReplicaRequest, CreateSecretRequest, DeleteSecretRequest,
    DisassociateCrossAccountReplicaRequest, RemoveRegionsFromReplicationRequest, ReplicaRegionType,
    ReplicateSecretToRegionsRequest, StatusType, StopReplicationToReplicaRequest,
};

use crate::fixture::{Fixture, MARKED, OTHER_ACCOUNT, Seen, describe, refusal, refused, statuses};

const PATTERN: &str = r"Member must satisfy regular expression pattern: ^([a-z]+-)+\d+$";
const UNKNOWN: &str = "Secrets Manager can't find the specified secret.";

fn one(what: &str) -> (String, String) {
    refused("ValidationException", format!("1 validation error detected: {what}"))
}

fn must_be(value: &str, path: &str, what: &str) -> (String, String) {
    one(&format!("Value '{value}' at '{path}' failed to satisfy constraint: {what}"))
}

#[test]
fn malformed_regions_and_keys_are_told_by_their_place_in_the_list() {
    let fixture = Fixture::new();
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    let before = Seen::of(&home, "db");
    let (long, long_key) = (format!("{}-1", "a".repeat(127)), "k".repeat(2_049));
    let region = |region: &str| vec![ReplicaRegionType::new(region)];
    let keyed = vec![ReplicaRegionType::new("eu-west-1").kms_key_id(long_key.as_str())];
    let path = "addReplicaRegions.1.member.region";
    let rows = [
        (vec![], must_be("[]", "addReplicaRegions", "Member must have length greater than or equal to 1")),
        (region(""), must_be("", path, "Member must have length greater than or equal to 1")),
        (region(&long), must_be(&long, path, "Member must have length less than or equal to 128")),
        (region("eu-west"), must_be("eu-west", path, PATTERN)),
        (region("EU-west-1"), must_be("EU-west-1", path, PATTERN)),
        (region("eu-west-1 "), must_be("eu-west-1 ", path, PATTERN)),
        (
            keyed,
            must_be(
                &long_key,
                "addReplicaRegions.1.member.kmsKeyId",
                "Member must have length less than or equal to 2048",
            ),
        ),
        (vec!["eu-west-1".into(), "nowhere".into()], must_be("nowhere", "addReplicaRegions.2.member.region", PATTERN)),
    ];
    for (regions, expected) in rows {
        let create = CreateSecretRequest::new("new").secret_string("v").add_replica_regions(regions.clone());
        assert_eq!(refusal(home.create_secret(create)), expected);
        let replicate = ReplicateSecretToRegionsRequest::new("db", regions);
        assert_eq!(refusal(home.replicate_secret_to_regions(replicate)), expected);
    }
    let path = "removeReplicaRegions.1.member";
    for (regions, expected) in [
        (vec![], must_be("[]", "removeReplicaRegions", "Member must have length greater than or equal to 1")),
        (vec![""], must_be("", path, "Member must have length greater than or equal to 1")),
        (vec![long.as_str()], must_be(&long, path, "Member must have length less than or equal to 128")),
        (vec!["Nowhere"], must_be("Nowhere", path, PATTERN)),
    ] {
        let remove = RemoveRegionsFromReplicationRequest::new("db", regions);
        assert_eq!(refusal(home.remove_regions_from_replication(remove)), expected);
    }
    assert_eq!(Seen::of(&home, "db"), before);
}

#[test]
fn members_that_are_missing_are_all_told_at_once() {
    let home = Fixture::new().home();
    let null = |path: &str| format!("Value null at '{path}' failed to satisfy constraint: Member must not be null");
    let both = |path: &str| {
        let text = format!("2 validation errors detected: {}; {}", null("secretId"), null(path));
        refused("ValidationException", text)
    };
    let replicate = home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::default());
    assert_eq!(refusal(replicate), both("addReplicaRegions"));
    let remove = home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::default());
    assert_eq!(refusal(remove), both("removeReplicaRegions"));
    let stop = home.stop_replication_to_replica(StopReplicationToReplicaRequest::default());
    assert_eq!(refusal(stop), one(&null("secretId")));
    let associate = home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::default());
    assert_eq!(refusal(associate), both("crossAccountReplicaARN"));
    let disassociate = home.disassociate_cross_account_replica(DisassociateCrossAccountReplicaRequest::default());
    assert_eq!(refusal(disassociate), both("crossAccountReplicaARN"));
}

#[test]
fn members_of_an_association_have_their_limits() {
    let home = Fixture::new().home();
    let arn = "arn:aws:secretsmanager:us-east-1:444455556666:secret:copy-a1b2c3";
    let long = "x".repeat(2_049);
    let request = || AssociateCrossAccountReplicaRequest::new("db", arn);
    for (request, expected) in [
        (
            AssociateCrossAccountReplicaRequest::new("db", "short"),
            must_be("short", "crossAccountReplicaARN", "Member must have length greater than or equal to 20"),
        ),
        (
            AssociateCrossAccountReplicaRequest::new("db", long.as_str()),
            must_be(&long, "crossAccountReplicaARN", "Member must have length less than or equal to 2048"),
        ),
        (
            request().replica_restriction("Everybody"),
            must_be("Everybody", "replicaRestriction", "Member must satisfy enum value set: [SameOrg, NoRestriction]"),
        ),
        (
            request().replication_role_arn("role"),
            must_be("role", "replicationRoleARN", "Member must have length greater than or equal to 20"),
        ),
    ] {
        assert_eq!(refusal(home.associate_cross_account_replica(request)), expected);
    }
}

#[test]
fn regions_where_no_replica_can_be_fail_the_whole_call() {
    let fixture = Fixture::built(|builder| builder.replica_regions(["xx-test-1"]));
    let home = fixture.home();
    home.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    let before = Seen::of(&home, "db");
    for regions in [
        &["us-nowhere-1"][..],
        &["us-east-1"],
        &["cn-north-1"],
        &["us-gov-west-1"],
        &["eu-west-1", "us-east-1"],
        &["eu-west-1", "eu-west-2", "eu-west-1"],
    ] {
        let expected = refused("InvalidParameterException", "Invalid replica region.");
        let replicate = ReplicateSecretToRegionsRequest::new("db", regions.to_vec());
        assert_eq!(refusal(home.replicate_secret_to_regions(replicate)), expected, "{regions:?}");
        let create = CreateSecretRequest::new("new").secret_string("v").add_replica_regions(regions.to_vec());
        assert_eq!(refusal(home.create_secret(create)), expected, "{regions:?}");
    }
    assert_eq!((Seen::of(&home, "db"), fixture.store.stats().unwrap().secrets), (before, 1));
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["xx-test-1"])).unwrap();
    assert_eq!(statuses(&home, "db"), [("xx-test-1".to_owned(), StatusType::InSync, None)]);
}

#[test]
fn regions_of_another_partition_have_replicas_among_themselves() {
    let fixture = Fixture::new();
    for (region, other) in [("cn-north-1", "cn-northwest-1"), ("us-gov-west-1", "us-gov-east-1")] {
        let secrets = fixture.region(region);
        secrets.create_secret(CreateSecretRequest::new("db").secret_string("v").add_replica_regions([other])).unwrap();
        assert_eq!(Seen::of(&fixture.region(other), "db"), Seen::of(&secrets, "db"));
    }
}

#[test]
fn a_secret_that_is_not_there_or_marked_for_deletion_is_not_replicated() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let arn = format!("arn:aws:secretsmanager:us-east-1:{OTHER_ACCOUNT}:secret:copy-a1b2c3");
    let answers = || {
        [
            refusal(home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", ["eu-west-1"]))),
            refusal(
                home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["eu-west-1"])),
            ),
            refusal(home.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db"))),
            refusal(home.associate_cross_account_replica(AssociateCrossAccountReplicaRequest::new("db", &*arn))),
            refusal(home.disassociate_cross_account_replica(DisassociateCrossAccountReplicaRequest::new("db", &*arn))),
        ]
    };
    for answer in answers() {
        assert_eq!(answer, refused("ResourceNotFoundException", UNKNOWN));
    }
    home.create_secret(CreateSecretRequest::new("db").secret_string("v")).unwrap();
    home.delete_secret(DeleteSecretRequest::new("db")).unwrap();
    for answer in answers() {
        assert_eq!(answer, refused("InvalidRequestException", MARKED));
    }
    assert!(describe(&home, "db").primary_region.is_none());
}

#[test]
fn a_replica_in_another_account_is_made_of_nothing_but_its_name_its_key_and_its_tags() {
    let fixture = Fixture::new();
    let other = fixture.of(OTHER_ACCOUNT, "us-east-1");
    let key = fixture.key_of(OTHER_ACCOUNT, "us-east-1");
    let arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db-a1b2c3";
    let request = || CreateSecretRequest::new("copy").cross_account_primary_arn(arn).kms_key_id(key.as_str());
    let excluded = |member: &str| format!("You can't specify {member} together with CrossAccountPrimaryARN.");
    let place = "The primary and the replica must be in the same Region and partition and in different accounts, and the ARN \
                 must be complete.";
    let own_key = "You must specify a customer managed key in KmsKeyId for a cross-account replica secret.";
    let of = |arn: &str| CreateSecretRequest::new("copy").cross_account_primary_arn(arn).kms_key_id(key.as_str());
    let rows = [
        (request().add_replica_regions(["eu-west-1"]), excluded("AddReplicaRegions")),
        (request().description("d"), excluded("Description")),
        (request().secret_string("s"), excluded("SecretBinary or SecretString")),
        (request().secret_binary(vec![1]), excluded("SecretBinary or SecretString")),
        (request().r#type("t"), excluded("Type")),
        (CreateSecretRequest::new("copy").cross_account_primary_arn(arn), own_key.to_owned()),
        (request().kms_key_id(""), own_key.to_owned()),
        (request().kms_key_id("alias/aws/secretsmanager"), own_key.to_owned()),
        (of("arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3"), place.to_owned()),
        (of("arn:aws-cn:secretsmanager:us-east-1:111122223333:secret:db-a1b2c3"), place.to_owned()),
        (of("arn:aws:secretsmanager:us-east-1:444455556666:secret:db-a1b2c3"), place.to_owned()),
        (of("arn:aws:secretsmanager:us-east-1:111122223333:secret:db"), place.to_owned()),
        (of("not the ARN of a secret"), place.to_owned()),
    ];
    for (request, text) in rows {
        let shown = format!("{request:?}");
        assert_eq!(refusal(other.create_secret(request)), refused("InvalidParameterException", text), "{shown}");
    }
    assert_eq!(fixture.store.stats().unwrap().secrets, 0);
}
