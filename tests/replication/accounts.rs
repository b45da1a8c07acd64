//! A replica in another account.

use strongroom::{
    AssociateCrossAccountReplicaRequest, Caller, CancelRotateSecretRequest, CreateSecretRequest,
    CrossAccountReplicaEntry, DeleteResourcePolicyRequest, DeleteSecretRequest, DisassociateCrossAccountReplicaRequest,
    Error, GetResourcePolicyRequest, IdentityPolicy, ListResourcePoliciesRequest, Principal, PutResourcePolicyRequest,
    PutSecretValueRequest, ReplicateSecretToRegionsRequest, RestoreSecretRequest, RotateSecretRequest, SecretsManager,
    StatusType, StopReplicationToReplicaRequest, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

use crate::fixture::{ACCOUNT, Fixture, HOME, OTHER_ACCOUNT, describe, read, refusal, refused, token, versions};

const UNKNOWN: &str = "Secrets Manager can't find the specified secret.";
const REFUSAL: &str = "Operation not permitted on a cross-account replica secret. Call must be made on the primary secret, or \
                       after StopReplicationToReplica.";
const POLICY_NAME: &str = "cross-account-replication";
const ROLE: &str = "arn:aws:iam::111122223333:role/replication";

/// A primary, and a replica in another account that waits to be associated.
struct Pair {
    fixture: Fixture,
    primary: SecretsManager,
    replica: SecretsManager,
    primary_arn: String,
    replica_arn: String,
}

impl Pair {
    fn new() -> Self {
        Self::of(Fixture::new())
    }

    fn of(fixture: Fixture) -> Self {
        let (primary, replica) = (fixture.home(), fixture.of(OTHER_ACCOUNT, HOME));
        let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("one");
        let primary_arn = primary.create_secret(create.description("main")).unwrap().arn;
        let mut pair = Self { fixture, primary, replica, primary_arn, replica_arn: String::new() };
        pair.replica_arn = pair.replica_named("copy");
        pair
    }

    fn replica_named(&self, name: &str) -> String {
        let key = self.fixture.key_of(OTHER_ACCOUNT, HOME);
        let create = CreateSecretRequest::new(name).cross_account_primary_arn(self.primary_arn.as_str());
        self.replica.create_secret(create.kms_key_id(key)).unwrap().arn
    }

    fn associated() -> Self {
        let pair = Self::new();
        pair.associate().unwrap();
        pair
    }

    fn associate(&self) -> Result<StatusType, Error> {
        let request = AssociateCrossAccountReplicaRequest::new("db", self.replica_arn.as_str());
        let answer = self.primary.associate_cross_account_replica(request)?;
        assert_eq!((&answer.arn, &answer.cross_account_replica_arn), (&self.primary_arn, &self.replica_arn));
        Ok(answer.replication_status)
    }

    fn disassociate(&self) -> Result<(), Error> {
        let request = DisassociateCrossAccountReplicaRequest::new("db", self.replica_arn.as_str());
        let answer = self.primary.disassociate_cross_account_replica(request)?;
        assert_eq!((&answer.arn, &answer.cross_account_replica_arn), (&self.primary_arn, &self.replica_arn));
        Ok(())
    }

    fn stop(&self) {
        self.replica.stop_replication_to_replica(StopReplicationToReplicaRequest::new("copy")).unwrap();
    }

    /// What the primary and the replica tell of each other.
    fn statuses(&self) -> (Option<StatusType>, Option<StatusType>) {
        let entries = describe(&self.primary, "db").cross_account_replicas.unwrap_or_default();
        assert!(entries.len() <= 1);
        assert!(entries.iter().all(|entry| entry.replica_secret_arn == self.replica_arn));
        let primary = describe(&self.replica, "copy").cross_account_primary;
        assert!(primary.iter().all(|primary| primary.primary_secret_arn == self.primary_arn));
        (entries.first().map(|entry| entry.replication_status), primary.map(|primary| primary.replication_status))
    }

    fn put(&self, number: usize) {
        let put = PutSecretValueRequest::new("db", format!("value {number}")).client_request_token(token(number));
        self.primary.put_secret_value(put).unwrap();
    }

    fn policies(&self) -> Vec<String> {
        let request = ListResourcePoliciesRequest::new("copy");
        let listed = self.replica.list_resource_policies(request).unwrap().resource_policies;
        listed.into_iter().map(|policy| policy.policy_name).collect()
    }

    fn assert_equal(&self) {
        assert_eq!(versions(&self.replica, "copy"), versions(&self.primary, "db"));
    }
}

const IN_SYNC: (Option<StatusType>, Option<StatusType>) = (Some(StatusType::InSync), Some(StatusType::InSync));

#[test]
fn a_replica_waits_until_its_primary_associates_it_and_follows_from_then_on() {
    let pair = Pair::new();
    assert_eq!(pair.statuses(), (None, Some(StatusType::Pending)));
    assert_eq!(describe(&pair.replica, "copy").version_ids_to_stages, None, "it has no versions");
    pair.put(2);
    assert_eq!(pair.statuses().1, Some(StatusType::Pending));
    assert_eq!(pair.associate().unwrap(), StatusType::InSync);
    assert_eq!(pair.statuses(), IN_SYNC);
    pair.assert_equal();
    pair.put(3);
    let moved = UpdateSecretVersionStageRequest::new("db", "green").move_to_version_id(token(2));
    pair.primary.update_secret_version_stage(moved).unwrap();
    assert_eq!(read(&pair.replica, "copy"), "value 3");
    let labels = |secrets, name| describe(secrets, name).version_ids_to_stages;
    assert_eq!(labels(&pair.replica, "copy"), labels(&pair.primary, "db"));
    let (own, theirs) = (describe(&pair.primary, "db").kms_key_id, describe(&pair.replica, "copy").kms_key_id);
    assert!(own.is_none() && theirs.is_some(), "each is under its own key");
}

#[test]
fn what_is_not_a_value_or_a_label_stays_the_replicas_own() {
    let pair = Pair::associated();
    pair.primary.tag_resource(TagResourceRequest::new("db", [Tag::new("a", "b")])).unwrap();
    pair.primary.update_secret(UpdateSecretRequest::new("db").description("changed")).unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"444455556666"},"Action":"secretsmanager:PutSecretValue","Resource":"*"}]}"#;
    pair.primary.put_resource_policy(PutResourcePolicyRequest::new("db", policy)).unwrap();
    let replica = describe(&pair.replica, "copy");
    assert_eq!((replica.tags, replica.description, replica.primary_region), (None, None, None));
    assert_eq!((pair.policies(), pair.statuses()), (vec![POLICY_NAME.to_owned()], IN_SYNC));
}

#[test]
fn a_replica_is_not_touched_by_a_change_that_it_does_not_get() {
    let pair = Pair::associated();
    for number in 2..5 {
        pair.put(number);
    }
    // The first version has no label any more, and so had none when another replica was made.
    pair.stop();
    pair.disassociate().unwrap();
    pair.replica.delete_secret(DeleteSecretRequest::new("copy").force_delete_without_recovery(true)).unwrap();
    let pair = Pair { replica_arn: pair.replica_named("copy"), ..pair };
    pair.associate().unwrap();
    let before = describe(&pair.replica, "copy");
    pair.fixture.pass(5);
    pair.primary.tag_resource(TagResourceRequest::new("db", [Tag::new("a", "b")])).unwrap();
    pair.associate().unwrap();
    assert_eq!(describe(&pair.replica, "copy"), before);
    assert_eq!(
        describe(&pair.replica, "copy").version_ids_to_stages,
        describe(&pair.primary, "db").version_ids_to_stages
    );
}

#[test]
fn the_policy_of_the_service_is_shown_and_cannot_be_changed() {
    let pair = Pair::new();
    assert_eq!(pair.policies(), [POLICY_NAME]);
    let request = GetResourcePolicyRequest::new("copy").policy_name(POLICY_NAME);
    let text = pair.replica.get_resource_policy(request).unwrap().resource_policy.unwrap();
    assert!(text.contains(ACCOUNT) && text.contains("AcceptCrossAccountReplication"), "{text}");
    for name in ["copy", "db"] {
        let secrets = if name == "copy" { &pair.replica } else { &pair.primary };
        let put = PutResourcePolicyRequest::new(name, text.as_str()).policy_name(POLICY_NAME);
        assert_eq!(secrets.put_resource_policy(put).unwrap_err().code(), "InvalidParameterException");
        let delete = DeleteResourcePolicyRequest::new(name).policy_name(POLICY_NAME);
        assert_eq!(secrets.delete_resource_policy(delete).unwrap_err().code(), "InvalidParameterException");
    }
    pair.associate().unwrap();
    assert_eq!(pair.policies(), [POLICY_NAME]);
    pair.stop();
    assert!(pair.policies().is_empty());
}

type Attempt = fn(&SecretsManager) -> Result<(), Error>;

#[test]
fn writes_to_a_replica_are_refused_while_it_is_one() {
    let attempts: [(&str, Attempt); 11] = [
        ("UpdateSecret", |secrets| secrets.update_secret(UpdateSecretRequest::new("copy").description("x")).map(drop)),
        ("PutSecretValue", |secrets| secrets.put_secret_value(PutSecretValueRequest::new("copy", "x")).map(drop)),
        ("TagResource", |secrets| {
            secrets.tag_resource(TagResourceRequest::new("copy", [Tag::new("a", "b")])).map(|_| ())
        }),
        ("UntagResource", |secrets| secrets.untag_resource(UntagResourceRequest::new("copy", ["a"])).map(|_| ())),
        ("PutResourcePolicy", |secrets| {
            let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}]}"#;
            secrets.put_resource_policy(PutResourcePolicyRequest::new("copy", text)).map(drop)
        }),
        ("DeleteResourcePolicy", |secrets| {
            secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("copy")).map(drop)
        }),
        ("RestoreSecret", |secrets| secrets.restore_secret(RestoreSecretRequest::new("copy")).map(drop)),
        ("RotateSecret", |secrets| secrets.rotate_secret(RotateSecretRequest::new("copy")).map(drop)),
        ("CancelRotateSecret", |secrets| {
            secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("copy")).map(drop)
        }),
        ("UpdateSecretVersionStage", |secrets| {
            let request = UpdateSecretVersionStageRequest::new("copy", "green").move_to_version_id(token(1));
            secrets.update_secret_version_stage(request).map(drop)
        }),
        ("ReplicateSecretToRegions", |secrets| {
            secrets.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("copy", ["eu-west-1"])).map(drop)
        }),
    ];
    let pair = Pair::new();
    for is_associated in [false, true] {
        if is_associated {
            pair.associate().unwrap();
        }
        let before = describe(&pair.replica, "copy");
        for (name, attempt) in attempts {
            let expected = refused("InvalidParameterException", REFUSAL);
            assert_eq!(refusal(attempt(&pair.replica)), expected, "{name}, associated {is_associated}");
            assert_eq!(describe(&pair.replica, "copy"), before, "{name}");
        }
    }
    pair.stop();
    pair.replica.put_secret_value(PutSecretValueRequest::new("copy", "its own")).unwrap();
    assert_eq!(read(&pair.primary, "db"), "one");
}

#[test]
fn an_association_that_is_refused_changes_neither_side() {
    let fixture = Fixture::built(|builder| builder.same_organization(|_, other| other != OTHER_ACCOUNT));
    let pair = Pair::of(fixture);
    let (primary, replica) = (&pair.primary, &pair.replica);
    let plain = replica.create_secret(CreateSecretRequest::new("plain").secret_string("v")).unwrap().arn;
    primary.create_secret(CreateSecretRequest::new("other").secret_string("v")).unwrap();
    let organization = "The account of the replica secret isn't in the same organization as the account of the primary \
                        secret.";
    let place = "The primary and the replica must be in the same Region and partition and in different accounts, and the ARN \
                 must be complete.";
    let (arn, invalid) = (pair.replica_arn.as_str(), "InvalidParameterException");
    let not_made =
        |of: &str, primary: &str| format!("The secret {of} wasn't created as a cross-account replica of {primary}.");
    let other_arn = describe(primary, "other").arn;
    for (name, replica_arn, code, text) in [
        ("db", format!("{}-a1B2c3", arn.rsplit_once('-').unwrap().0), "ResourceNotFoundException", UNKNOWN.to_owned()),
        ("db", arn.replace("copy", "none"), "ResourceNotFoundException", UNKNOWN.to_owned()),
        ("none", arn.to_owned(), "ResourceNotFoundException", UNKNOWN.to_owned()),
        ("db", arn.replace(HOME, "eu-west-1"), invalid, place.to_owned()),
        ("db", arn.replace("arn:aws:", "arn:aws-cn:"), invalid, place.to_owned()),
        ("db", arn.replace(OTHER_ACCOUNT, ACCOUNT), invalid, place.to_owned()),
        ("db", plain.clone(), "InvalidRequestException", not_made(&plain, &pair.primary_arn)),
        ("other", arn.to_owned(), "InvalidRequestException", not_made(arn, &other_arn)),
        ("db", arn.to_owned(), "InvalidRequestException", organization.to_owned()),
    ] {
        let before = (describe(primary, "db"), describe(replica, "copy"));
        let request = AssociateCrossAccountReplicaRequest::new(name, replica_arn.as_str());
        let answer = refusal(primary.associate_cross_account_replica(request));
        assert_eq!(answer, refused(code, text), "{name} and {replica_arn}");
        assert_eq!((describe(primary, "db"), describe(replica, "copy")), before, "{name} and {replica_arn}");
    }
    let request = AssociateCrossAccountReplicaRequest::new("db", arn).replica_restriction("NoRestriction");
    assert_eq!(primary.associate_cross_account_replica(request).unwrap().replication_status, StatusType::InSync);
}

#[test]
fn a_primary_has_one_replica_in_another_account() {
    let pair = Pair::associated();
    let second = pair.replica_named("second");
    let request = || AssociateCrossAccountReplicaRequest::new("db", second.as_str());
    let expected = refused("LimitExceededException", "A secret can have at most 1 cross-account replica.");
    assert_eq!(refusal(pair.primary.associate_cross_account_replica(request())), expected);
    assert_eq!(pair.statuses(), IN_SYNC);
    pair.stop();
    pair.primary.associate_cross_account_replica(request()).unwrap();
    let entries = describe(&pair.primary, "db").cross_account_replicas.unwrap();
    let expected: Vec<&CrossAccountReplicaEntry> =
        entries.iter().filter(|entry| entry.replica_secret_arn == second).collect();
    assert_eq!((entries.len(), expected.len()), (1, 1), "one that is detached makes room");
}

#[test]
fn associating_again_repairs_and_notes_the_role() {
    let pair = Pair::associated();
    let key = describe(&pair.replica, "copy").kms_key_id.unwrap();
    pair.fixture.keyring.disable_key(&key).unwrap();
    pair.put(2);
    assert_eq!(pair.statuses(), (Some(StatusType::Failed), Some(StatusType::Failed)));
    let message = describe(&pair.replica, "copy").cross_account_primary.unwrap().status_message.unwrap();
    assert!(message.starts_with("Replication failed: "), "{message}");
    pair.fixture.keyring.enable_key(&key).unwrap();
    assert_eq!(read(&pair.replica, "copy"), "one");
    let request = AssociateCrossAccountReplicaRequest::new("db", pair.replica_arn.as_str()).replication_role_arn(ROLE);
    assert_eq!(pair.primary.associate_cross_account_replica(request).unwrap().replication_status, StatusType::InSync);
    assert_eq!(pair.statuses(), IN_SYNC);
    pair.assert_equal();
    let entry = describe(&pair.primary, "db").cross_account_replicas.unwrap().remove(0);
    assert_eq!((entry.replication_role_arn.as_deref(), entry.status_message), (Some(ROLE), None));
}

#[test]
fn a_replica_whose_key_works_again_is_brought_up_to_date_by_maintenance() {
    let pair = Pair::associated();
    let key = describe(&pair.replica, "copy").kms_key_id.unwrap();
    pair.fixture.keyring.disable_key(&key).unwrap();
    pair.put(2);
    pair.fixture.keyring.enable_key(&key).unwrap();
    assert_eq!(pair.fixture.store.maintain().unwrap().replicated_secrets, 0, "it is not due yet");
    pair.fixture.pass(1);
    assert_eq!(pair.fixture.store.maintain().unwrap().replicated_secrets, 1);
    assert_eq!((pair.statuses(), read(&pair.replica, "copy").as_str()), (IN_SYNC, "value 2"));
}

#[test]
fn either_side_can_end_the_replication() {
    let detached = Some(StatusType::Detached);
    // The primary: the replica stays as it is, is nobody's, and can be associated again.
    let pair = Pair::associated();
    pair.disassociate().unwrap();
    assert_eq!(pair.statuses(), (None, detached));
    pair.put(2);
    assert_eq!(read(&pair.replica, "copy"), "one");
    let put = PutSecretValueRequest::new("copy", "x");
    assert_eq!(refusal(pair.replica.put_secret_value(put)), refused("InvalidParameterException", REFUSAL));
    assert_eq!(refusal(pair.disassociate()), refused("ResourceNotFoundException", UNKNOWN));
    pair.associate().unwrap();
    assert_eq!((pair.statuses(), read(&pair.replica, "copy").as_str()), (IN_SYNC, "value 2"));
    // The replica: it is a secret of its own, and the primary's entry is removed by disassociating.
    pair.stop();
    assert_eq!(pair.statuses(), (detached, None));
    pair.put(3);
    assert_eq!(read(&pair.replica, "copy"), "value 2");
    let again = refusal(pair.associate());
    assert_eq!(again.0, "InvalidRequestException", "{again:?}");
    assert_eq!(pair.statuses(), (detached, None));
    pair.disassociate().unwrap();
    assert_eq!(pair.statuses(), (None, None));
    let stop = pair.replica.stop_replication_to_replica(StopReplicationToReplicaRequest::new("copy"));
    assert_eq!(stop.unwrap_err().code(), "InvalidRequestException");
}

#[test]
fn neither_side_is_deleted_before_the_replication_has_ended() {
    let delete = |secrets: &SecretsManager, name: &str, is_forced: bool| {
        secrets.delete_secret(DeleteSecretRequest::new(name).force_delete_without_recovery(is_forced))
    };
    let pair = Pair::new();
    let waiting = delete(&pair.replica, "copy", true).unwrap_err();
    assert_eq!(waiting.code(), "InvalidRequestException", "{waiting}");
    pair.associate().unwrap();
    for is_forced in [false, true] {
        for (secrets, name) in [(&pair.primary, "db"), (&pair.replica, "copy")] {
            let error = delete(secrets, name, is_forced).unwrap_err();
            assert_eq!(error.code(), "InvalidRequestException", "{name}: {error}");
        }
    }
    assert_eq!(pair.statuses(), IN_SYNC);
    pair.disassociate().unwrap();
    assert_eq!(delete(&pair.replica, "copy", true).unwrap_err().code(), "InvalidRequestException");
    pair.stop();
    delete(&pair.replica, "copy", true).unwrap();
    delete(&pair.primary, "db", true).unwrap();
    assert_eq!(pair.fixture.store.stats().unwrap().secrets, 0);
}

#[test]
fn a_primary_whose_replica_stopped_is_deleted_although_it_is_still_listed() {
    let pair = Pair::associated();
    pair.stop();
    pair.primary.delete_secret(DeleteSecretRequest::new("db").force_delete_without_recovery(true)).unwrap();
    assert_eq!(read(&pair.replica, "copy"), "one");
}

#[test]
fn replicas_in_regions_and_in_another_account_follow_one_primary() {
    let pair = Pair::associated();
    let request = ReplicateSecretToRegionsRequest::new("db", ["eu-west-1", "sa-east-1"]);
    pair.primary.replicate_secret_to_regions(request).unwrap();
    pair.put(2);
    pair.assert_equal();
    for region in ["eu-west-1", "sa-east-1"] {
        let replica = pair.fixture.region(region);
        assert_eq!(versions(&replica, "db"), versions(&pair.primary, "db"), "{region}");
        assert_eq!(describe(&replica, "db").cross_account_replicas, None, "{region}");
    }
    // The replica of a Region is not a primary.
    let arn = pair.replica_arn.replace(HOME, "eu-west-1");
    let associate = AssociateCrossAccountReplicaRequest::new("db", arn);
    let error = pair.fixture.region("eu-west-1").associate_cross_account_replica(associate).unwrap_err();
    assert_eq!(error.code(), "InvalidParameterException");
}

/// Somebody of an account who may do these things with every secret.
fn somebody(secrets: &SecretsManager, account: &str, actions: &[&str]) -> SecretsManager {
    let actions = actions.iter().map(|action| format!("\"secretsmanager:{action}\"")).collect::<Vec<_>>().join(",");
    let policy =
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}]}}"#);
    let principal = Principal::parse(&format!("arn:aws:iam::{account}:user/somebody")).unwrap();
    secrets.as_caller(Caller::new(principal).identity_policies([IdentityPolicy::parse(&policy).unwrap()]))
}

#[test]
fn whoever_changes_the_primary_needs_the_right_to_replicate_unless_there_is_a_role() {
    let accept = "AcceptCrossAccountReplication";
    let pair = Pair::associated();
    let put = |actions: &[&str], number: usize| {
        let request = PutSecretValueRequest::new("db", format!("value {number}")).client_request_token(token(number));
        somebody(&pair.primary, ACCOUNT, actions).put_secret_value(request).unwrap();
    };
    put(&["PutSecretValue"], 2);
    assert_eq!(pair.statuses(), (Some(StatusType::Failed), Some(StatusType::Failed)));
    assert_eq!(read(&pair.replica, "copy"), "one");
    let message = describe(&pair.primary, "db").cross_account_replicas.unwrap().remove(0).status_message.unwrap();
    assert_eq!(message, "Replication failed: the caller may not replicate to the replica secret.");
    put(&["PutSecretValue", accept], 3);
    assert_eq!((pair.statuses(), read(&pair.replica, "copy").as_str()), (IN_SYNC, "value 3"));
    let request = AssociateCrossAccountReplicaRequest::new("db", pair.replica_arn.as_str()).replication_role_arn(ROLE);
    pair.primary.associate_cross_account_replica(request).unwrap();
    put(&["PutSecretValue"], 4);
    assert_eq!((pair.statuses(), read(&pair.replica, "copy").as_str()), (IN_SYNC, "value 4"));
}

#[test]
fn stopping_needs_the_right_to_remove_the_policy_of_the_service() {
    let pair = Pair::associated();
    let stop = |actions: &[&str]| {
        let request = StopReplicationToReplicaRequest::new("copy");
        somebody(&pair.replica, OTHER_ACCOUNT, actions).stop_replication_to_replica(request)
    };
    assert_eq!(stop(&["StopReplicationToReplica"]).unwrap_err().code(), "AccessDeniedException");
    assert_eq!(pair.statuses(), IN_SYNC);
    stop(&["StopReplicationToReplica", "DeleteResourcePolicy"]).unwrap();
    assert_eq!(pair.statuses(), (Some(StatusType::Detached), None));
}
