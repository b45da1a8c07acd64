//! Replicas on somebody's behalf: which actions they ask for, and where; in other Regions and in another account.

use serde_json::{Value, json};
use strongroom::wire::{WireResponse, dispatch};
use strongroom::{
    AssociateCrossAccountReplicaRequest, Caller, CreateSecretRequest, DescribeSecretRequest, ErrorKind,
    GetSecretValueRequest, KeyScope, LocalKeyring, PutSecretValueRequest, Replication, SecretStore, SecretsManager,
    StaticKey, StatusType, StopReplicationToReplicaRequest, UpdateSecretRequest,
};

use crate::people::{
    OTHER, OWN, allow, attach, caller, create, is_denied, is_refusal, own, principal, read, statement, user,
};

const PASS_ROLE: &str = r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}"#;

fn alice(statements: &[&str]) -> Caller {
    caller(user(OWN, "alice"), statements)
}

fn call(secrets: &SecretsManager, operation: &str, body: &Value) -> WireResponse {
    dispatch(secrets, &format!("secretsmanager.{operation}"), body.to_string().as_bytes())
}

fn actions(actions: &[&str]) -> String {
    let actions: Vec<String> = actions.iter().map(|action| format!("secretsmanager:{action}")).collect();
    json!({"Effect": "Allow", "Action": actions, "Resource": "*"}).to_string()
}

/// A primary `db` of one account, and `copy`, which was made as its replica in another one.
struct Accounts {
    ours: SecretsManager,
    theirs: SecretsManager,
    primary: String,
    replica: String,
    store: SecretStore,
}

impl Accounts {
    fn new() -> Self {
        Self::with(Replication::Synchronous)
    }

    fn with(replication: Replication) -> Self {
        let keyring = LocalKeyring::in_memory();
        let key = keyring.create_key(KeyScope::new("aws", OTHER, "us-east-1")).unwrap();
        keyring.create_alias("alias/theirs", &key).unwrap();
        let store = SecretStore::in_memory().key_provider(keyring).replication(replication).open().unwrap();
        let (ours, theirs) = (own(&store), store.secrets_manager(OTHER, "us-east-1").unwrap());
        let primary = create(&ours, "db");
        let create = CreateSecretRequest::new("copy").kms_key_id("alias/theirs").cross_account_primary_arn(&primary);
        let replica = theirs.create_secret(create).unwrap().arn;
        Self { ours, theirs, primary, replica, store }
    }

    fn associated() -> Self {
        let accounts = Self::new();
        accounts.ours.associate_cross_account_replica(accounts.associate()).unwrap();
        accounts
    }

    fn associate(&self) -> AssociateCrossAccountReplicaRequest {
        AssociateCrossAccountReplicaRequest::new("db", &self.replica)
    }

    /// The status of the replication, from both sides, and why it failed.
    fn status(&self) -> (Option<StatusType>, Option<StatusType>, Option<String>) {
        let described = self.ours.describe_secret(DescribeSecretRequest::new("db")).unwrap();
        let replica = described.cross_account_replicas.and_then(|mut replicas| replicas.pop());
        let described = self.theirs.describe_secret(DescribeSecretRequest::new("copy")).unwrap();
        let primary = described.cross_account_primary;
        let message = replica.as_ref().and_then(|replica| replica.status_message.clone());
        assert_eq!(message, primary.as_ref().and_then(|primary| primary.status_message.clone()));
        (replica.map(|replica| replica.replication_status), primary.map(|primary| primary.replication_status), message)
    }

    fn is_associated(&self) -> bool {
        self.status().0.is_some()
    }
}

/// What the service calls the right to replicate to a secret; no operation has this name.
const ACCEPT: &str = "secretsmanager:AcceptCrossAccountReplication";

#[test]
fn a_secret_that_is_made_with_replicas_asks_for_the_actions_of_both() {
    let primary = format!("arn:aws:secretsmanager:us-east-1:{OTHER}:secret:db-AbCdEf");
    let key = format!("arn:aws:kms:us-east-1:{OWN}:alias/shared");
    let regions = json!([{"Region": "eu-west-1"}]);
    let rows = [
        (json!({"Name": "new"}), None),
        (json!({"Name": "new", "Tags": [{"Key": "k"}]}), Some("TagResource")),
        (json!({"Name": "new", "AddReplicaRegions": regions}), Some("ReplicateSecretToRegions")),
        (json!({"Name": "new", "KmsKeyId": key, "CrossAccountPrimaryARN": primary}), Some("PutResourcePolicy")),
    ];
    for (body, second) in rows {
        let (store, _) = crate::people::store();
        let secrets = own(&store);
        let alone = call(&secrets.as_caller(alice(&[&actions(&["CreateSecret"])])), "CreateSecret", &body);
        assert_eq!(is_refusal(&alone), second.is_some(), "{body}");
        let Some(second) = second else { continue };
        let message = alone.error.unwrap().message().to_owned();
        assert!(message.contains(&format!("secretsmanager:{second} on resource: new because")), "{message}");
        assert_eq!(*read(&secrets, "new").unwrap_err().kind(), ErrorKind::ResourceNotFound, "{body}");
        let only = call(&secrets.as_caller(alice(&[&actions(&[second])])), "CreateSecret", &body);
        assert!(is_refusal(&only), "{body}");
        let both = call(&secrets.as_caller(alice(&[&actions(&["CreateSecret", second])])), "CreateSecret", &body);
        assert_eq!(both.status, 200, "{body}: {:?}", both.error);
    }
}

/// Body, operator, key, values, and whether the condition is met. The key has all Regions of the request.
#[test]
fn conditions_see_the_regions_that_were_asked_for_and_whether_secrets_are_replaced() {
    let in_europe = json!({"Region": "eu-west-1"});
    let one = json!([in_europe]);
    let two = json!([in_europe, {"Region": "us-west-2"}]);
    let regions = "secretsmanager:AddReplicaRegions";
    let overwrite = "secretsmanager:ForceOverwriteReplicaSecret";
    let europe = json!("eu-*");
    let rows = [
        (&one, None, "ForAllValues:StringLike", regions, &europe, true),
        (&two, None, "ForAllValues:StringLike", regions, &europe, false),
        (&two, None, "ForAnyValue:StringLike", regions, &europe, true),
        (&two, None, "ForAnyValue:StringEquals", regions, &json!("eu-west-2"), false),
        (
            &two,
            None,
            "ForAllValues:StringEquals",
            "SECRETSMANAGER:addreplicaregions",
            &json!(["us-west-2", "eu-west-1"]),
            true,
        ),
        (&one, None, "Null", overwrite, &json!("true"), true),
        (&one, Some(true), "Bool", overwrite, &json!("true"), true),
        (&one, Some(false), "Bool", overwrite, &json!("true"), false),
        (&one, Some(false), "Bool", overwrite, &json!("false"), true),
    ];
    for (asked, force, operator, key, value, is_met) in rows {
        let condition =
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}});
        for operation in ["CreateSecret", "ReplicateSecretToRegions"] {
            let (store, _) = crate::people::store();
            let secrets = own(&store);
            create(&secrets, "db");
            let member = if operation == "CreateSecret" { "Name" } else { "SecretId" };
            let name = if operation == "CreateSecret" { "new" } else { "db" };
            let body = json!({member: name, "AddReplicaRegions": asked, "ForceOverwriteReplicaSecret": force});
            let answer = call(&secrets.as_caller(alice(&[&condition.to_string()])), operation, &body);
            assert_eq!(answer.status == 200, is_met, "{operation} {body} {condition}: {:?}", answer.error);
            assert!(is_met || is_refusal(&answer), "{operation} {body} {condition}");
        }
    }
    // A call that asks for no Region has none.
    let (store, _) = crate::people::store();
    let secrets = own(&store);
    create(&secrets, "db");
    let none = r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Null": {"secretsmanager:AddReplicaRegions": "false"}}}"#;
    assert!(is_denied(&read(&secrets.as_caller(alice(&[none])), "db")));
}

#[test]
fn conditions_see_the_region_that_a_replica_is_of_first() {
    let (store, _) = crate::people::store();
    let (here, ireland) = (own(&store), store.secrets_manager(OWN, "eu-west-1").unwrap());
    here.create_secret(CreateSecretRequest::new("db").secret_string("s3cret").add_replica_regions(["eu-west-1"]))
        .unwrap();
    create(&ireland, "local");
    let condition = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"secretsmanager:SecretPrimaryRegion": "us-east-1"}}}"#;
    let alice = || alice(&[condition]);
    for (secrets, name, is_allowed) in [(&here, "db", true), (&ireland, "db", true), (&ireland, "local", false)] {
        let outcome = read(&secrets.as_caller(alice()), name);
        assert_eq!(outcome.is_ok(), is_allowed, "{name} in {}: {outcome:?}", secrets.region());
    }
    ireland.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
    assert!(is_denied(&read(&ireland.as_caller(alice()), "db")), "it is of its own Region now");
    // The policy of the primary is that of the replica too.
    here.create_secret(CreateSecretRequest::new("shown").secret_string("s").add_replica_regions(["eu-west-1"]))
        .unwrap();
    let reader = r#"{"AWS": "arn:aws:iam::111122223333:user/alice"}"#;
    attach(&here, "shown", &[&statement("Allow", reader, "secretsmanager:GetSecretValue", "")]);
    assert!(read(&ireland.as_caller(caller(user(OWN, "alice"), &[])), "shown").is_ok());
    assert!(is_denied(&read(&ireland.as_caller(caller(user(OWN, "bob"), &[])), "shown")));
}

/// The service brings it there.
#[test]
fn replicas_in_other_regions_ask_nothing_of_whoever_changes_the_primary() {
    let (store, _) = crate::people::store();
    let (here, ireland) = (own(&store), store.secrets_manager(OWN, "eu-west-1").unwrap());
    here.create_secret(CreateSecretRequest::new("db").secret_string("v1").add_replica_regions(["eu-west-1"])).unwrap();
    let put = r#"{"Effect": "Allow", "Action": "secretsmanager:PutSecretValue",
        "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:db-??????"}"#;
    here.as_caller(alice(&[put])).put_secret_value(PutSecretValueRequest::new("db", "v2")).unwrap();
    assert_eq!(read(&ireland, "db").unwrap(), "v2");
    // Nor is anything asked of a secret that is replaced, which is what the condition key is for.
    create(&here, "other");
    create(&ireland, "other");
    let replicate = r#"{"Effect": "Allow", "Action": "secretsmanager:ReplicateSecretToRegions",
        "Resource": "arn:aws:secretsmanager:us-east-1:111122223333:secret:other-??????"}"#;
    let body = json!({
        "SecretId": "other", "AddReplicaRegions": [{"Region": "eu-west-1"}], "ForceOverwriteReplicaSecret": true,
    });
    assert_eq!(call(&here.as_caller(alice(&[replicate])), "ReplicateSecretToRegions", &body).status, 200);
    let described = ireland.describe_secret(DescribeSecretRequest::new("other")).unwrap();
    assert_eq!(described.primary_region.as_deref(), Some("us-east-1"));
}

#[test]
fn whoever_may_not_replicate_to_a_replica_does_not_learn_of_it() {
    let accounts = Accounts::new();
    let denied = statement("Deny", r#""*""#, ACCEPT, "");
    let associate = actions(&["AssociateCrossAccountReplica"]);
    let both = actions(&["AssociateCrossAccountReplica", "AcceptCrossAccountReplication"]);
    let only_own = format!(r#"{{"Effect": "Allow", "Action": "{ACCEPT}", "Resource": "{}"}}"#, accounts.primary);
    let root = || caller(principal(&format!("arn:aws:iam::{OWN}:root")), &[]);
    let absent = accounts.replica.replace("copy", "none");
    let stranger = user("777788889999", "eve");
    let rows: [(&str, Caller, bool, Option<&str>, bool); 8] = [
        ("no right of the caller's", alice(&[&associate]), false, None, false),
        ("a right to another secret", alice(&[&associate, &only_own]), false, None, false),
        (
            "an explicit deny",
            alice(&[&allow("*"), r#"{"Effect": "Deny", "Action": "secretsmanager:accept*", "Resource": "*"}"#]),
            false,
            None,
            false,
        ),
        ("a replica that is not there", alice(&[&both]), false, Some(&absent), false),
        ("the right", alice(&[&both]), false, None, true),
        ("every right", alice(&[&allow("*")]), false, None, true),
        ("the root of the account", root(), false, None, true),
        ("a role that does it instead", alice(&[&associate, PASS_ROLE]), true, None, true),
    ];
    for (row, caller, has_role, replica, is_accepted) in rows {
        let accounts = Accounts::new();
        let replica = replica.unwrap_or(&accounts.replica);
        let mut request = AssociateCrossAccountReplicaRequest::new("db", replica);
        if has_role {
            request = request.replication_role_arn(format!("arn:aws:iam::{OWN}:role/replicate"));
        }
        let outcome = accounts.ours.as_caller(caller).associate_cross_account_replica(request);
        match outcome {
            Ok(answer) => assert_eq!(answer.replication_status, StatusType::InSync, "{row}"),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::ResourceNotFound, "{row}: {error:?}");
                assert_eq!(error.message(), "Secrets Manager can't find the specified secret.", "{row}");
            }
        }
        assert_eq!(accounts.is_associated(), is_accepted, "{row}");
        assert_eq!(
            accounts.status().1,
            Some(if is_accepted { StatusType::InSync } else { StatusType::Pending }),
            "{row}"
        );
    }
    // Nor does anybody get there whom its own policies keep out, or who may do nothing with the primary.
    let theirs = accounts.theirs.put_resource_policy(strongroom::PutResourcePolicyRequest::new(
        "copy",
        format!(r#"{{"Statement": {denied}}}"#),
    ));
    assert_eq!(
        theirs.unwrap_err().code(),
        "InvalidParameterException",
        "a replica keeps the policy of the service alone"
    );
    let eve = accounts.ours.as_caller(caller(stranger, &[&allow("*")]));
    assert!(eve.associate_cross_account_replica(accounts.associate()).is_err());
    assert!(!accounts.is_associated());
}

#[test]
fn a_change_by_somebody_who_may_not_replicate_succeeds_and_the_replication_has_failed() {
    let accounts = Accounts::associated();
    let put = actions(&["PutSecretValue"]);
    let with_right = actions(&["PutSecretValue", "AcceptCrossAccountReplication"]);
    let put_by = |statements: &str, value: &str| {
        let alice = accounts.ours.as_caller(alice(&[statements]));
        alice.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
        (read(&accounts.ours, "db").unwrap(), read(&accounts.theirs, "copy").unwrap())
    };
    assert_eq!(put_by(&put, "v2"), ("v2".to_owned(), "s3cret".to_owned()));
    let (ours, theirs, message) = accounts.status();
    assert_eq!((ours, theirs), (Some(StatusType::Failed), Some(StatusType::Failed)));
    assert!(message.unwrap().starts_with("Replication failed: "));
    assert_eq!(put_by(&put, "v3"), ("v3".to_owned(), "s3cret".to_owned()));
    // The next one who may brings everything over.
    assert_eq!(put_by(&with_right, "v4"), ("v4".to_owned(), "v4".to_owned()));
    assert_eq!(accounts.status(), (Some(StatusType::InSync), Some(StatusType::InSync), None));
    // With a role nobody is asked.
    let role = format!("arn:aws:iam::{OWN}:role/replicate");
    accounts.ours.associate_cross_account_replica(accounts.associate().replication_role_arn(role)).unwrap();
    assert_eq!(put_by(&put, "v5"), ("v5".to_owned(), "v5".to_owned()));
}

/// Maintenance works on behalf of nobody, and brings over what whoever changed the primary may bring over.
#[test]
fn a_replication_that_is_deferred_asks_for_the_same_right() {
    let accounts = Accounts::with(Replication::Deferred);
    accounts.ours.associate_cross_account_replica(accounts.associate()).unwrap();
    accounts.store.maintain().unwrap();
    assert_eq!(read(&accounts.theirs, "copy").unwrap(), "s3cret");
    let alice = accounts.ours.as_caller(alice(&[&actions(&["PutSecretValue"])]));
    alice.put_secret_value(PutSecretValueRequest::new("db", "v2")).unwrap();
    accounts.store.maintain().unwrap();
    assert_eq!(read(&accounts.theirs, "copy").unwrap(), "s3cret");
    assert_eq!(accounts.status().0, Some(StatusType::Failed));
}

#[test]
fn a_replica_of_another_account_is_released_by_who_may_also_delete_its_policy() {
    let stop = || StopReplicationToReplicaRequest::new("copy");
    let bob =
        |accounts: &Accounts, statements: &[&str]| accounts.theirs.as_caller(caller(user(OTHER, "bob"), statements));
    let alone = actions(&["StopReplicationToReplica"]);
    let delete = actions(&["DeleteResourcePolicy"]);
    let accounts = Accounts::associated();
    let refused = bob(&accounts, &[&alone]).stop_replication_to_replica(stop()).unwrap_err();
    assert!(refused.message().contains("secretsmanager:DeleteResourcePolicy on resource: copy because"), "{refused:?}");
    assert!(is_denied(&bob(&accounts, &[&delete]).stop_replication_to_replica(stop())));
    assert_eq!(accounts.status().0, Some(StatusType::InSync), "nothing was changed");
    bob(&accounts, &[&alone, &delete]).stop_replication_to_replica(stop()).unwrap();
    assert_eq!(accounts.status(), (Some(StatusType::Detached), None, None));
    assert_eq!(read(&accounts.theirs, "copy").unwrap(), "s3cret");

    // One in another Region has no policy of the service.
    let (store, _) = crate::people::store();
    let (here, ireland) = (own(&store), store.secrets_manager(OWN, "eu-west-1").unwrap());
    here.create_secret(CreateSecretRequest::new("db").secret_string("s").add_replica_regions(["eu-west-1"])).unwrap();
    let alice = ireland.as_caller(alice(&[&alone]));
    alice.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
}

/// Somebody of another account who may do everything with a secret, and not read it: it is under the default key.
#[test]
fn replication_does_not_give_a_value_under_the_default_key_to_another_account() {
    let regions = json!([{"Region": "eu-west-1", "KmsKeyId": format!("arn:aws:kms:eu-west-1:{OTHER}:alias/bobs")}]);
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let (here, ireland) = (own(&store), store.secrets_manager(OWN, "eu-west-1").unwrap());
    let arn = create(&here, "db");
    attach(&here, "db", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
    let bob = || caller(user(OTHER, "bob"), &[&allow("*")]);
    assert_eq!(*read(&here.as_caller(bob()), &arn).unwrap_err().kind(), ErrorKind::InvalidRequest);
    let body = json!({"SecretId": arn, "AddReplicaRegions": regions});
    let answer = call(&here.as_caller(bob()), "ReplicateSecretToRegions", &body);
    let replica = read(&ireland.as_caller(bob()), &arn.replace("us-east-1", "eu-west-1"));
    assert!(replica.is_err(), "ReplicateSecretToRegions ({}) let {replica:?} out", answer.status);
}

/// The documentation has it that the account of the primary calls.
#[test]
fn a_replica_is_associated_by_the_account_of_its_primary_alone() {
    const THIRD: &str = "777788889999";
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let here = own(&store);
    let third = store.secrets_manager(THIRD, "us-east-1").unwrap();
    let arn = create(&here, "db");
    attach(&here, "db", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
    let make = CreateSecretRequest::new("copy").kms_key_id("alias/own").cross_account_primary_arn(&arn);
    let replica = third.create_secret(make).unwrap().arn;
    let role = format!("arn:aws:iam::{OTHER}:role/replicate");
    let request = AssociateCrossAccountReplicaRequest::new(&arn, &replica).replication_role_arn(role);
    let bob = here.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]));
    let outcome = bob.associate_cross_account_replica(request);
    assert!(outcome.is_err(), "{outcome:?} replicates {:?}", read(&third, "copy"));
}

/// Nor an old version that was left under it when the secret got another key.
#[test]
fn replication_does_not_give_an_old_version_under_the_default_key_to_another_account() {
    let key = |account: &str, region: &str| format!("arn:aws:kms:{region}:{account}:alias/shared");
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let (here, ireland) = (own(&store), store.secrets_manager(OWN, "eu-west-1").unwrap());
    let created = here.create_secret(CreateSecretRequest::new("db").secret_string("v1")).unwrap();
    for value in ["v2", "v3"] {
        here.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
    }
    here.update_secret(UpdateSecretRequest::new("db").kms_key_id(key(OWN, "us-east-1"))).unwrap();
    attach(&here, "db", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
    let bob = || caller(user(OTHER, "bob"), &[&allow("*")]);
    let first = |secrets: &SecretsManager, arn: &str| {
        let request = GetSecretValueRequest::new(arn).version_id(created.version_id.as_deref().unwrap());
        secrets.as_caller(bob()).get_secret_value(request)
    };
    assert_eq!(read(&here.as_caller(bob()), &created.arn).unwrap(), "v3");
    assert_eq!(*first(&here, &created.arn).unwrap_err().kind(), ErrorKind::InvalidRequest);
    let regions = json!([{"Region": "eu-west-1", "KmsKeyId": key(OTHER, "eu-west-1")}]);
    let body = json!({"SecretId": created.arn, "AddReplicaRegions": regions});
    let answer = call(&here.as_caller(bob()), "ReplicateSecretToRegions", &body);
    let replica = first(&ireland, &created.arn.replace("us-east-1", "eu-west-1"));
    assert!(replica.is_err(), "ReplicateSecretToRegions ({}) let {replica:?} out", answer.status);
}
