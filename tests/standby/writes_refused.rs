//! What a standby refuses: whatever would change a secret, before anything of it is looked at.

use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest, Error,
    ImportOptions, KeyOptions, PutResourcePolicyRequest, PutSecretValueRequest, ReplicationFault, RestoreSecretRequest,
    RotateSecretRequest, SecretStore, SecretsManager, StaticKey, Tag, TagResourceRequest, UntagResourceRequest,
    UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::pair::{Pair, create, epoch, fault, observe, replicate};

type Write = (&'static str, fn(&SecretsManager) -> Result<(), Error>);

const VERSION: &str = "01234567-89ab-4cde-8f01-23456789abcd";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"111122223333"},
    "Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;

/// Every operation of the API that changes something, on a secret that is there and on one that is not.
const WRITES: [Write; 14] = [
    ("CreateSecret", |s| s.create_secret(CreateSecretRequest::new("new").secret_string("v")).map(drop)),
    ("CreateSecret of a taken name", |s| s.create_secret(CreateSecretRequest::new("db/main")).map(drop)),
    ("PutSecretValue", |s| s.put_secret_value(PutSecretValueRequest::new("db/main", "v")).map(drop)),
    ("PutSecretValue of none", |s| s.put_secret_value(PutSecretValueRequest::new("none", "v")).map(drop)),
    ("UpdateSecret", |s| s.update_secret(UpdateSecretRequest::new("db/main").description("d")).map(drop)),
    ("UpdateSecretVersionStage", |s| {
        s.update_secret_version_stage(
            UpdateSecretVersionStageRequest::new("db/main", "blue").move_to_version_id(VERSION),
        )
        .map(drop)
    }),
    ("DeleteSecret", |s| s.delete_secret(DeleteSecretRequest::new("db/main")).map(drop)),
    ("RestoreSecret", |s| s.restore_secret(RestoreSecretRequest::new("db/main")).map(drop)),
    ("TagResource", |s| s.tag_resource(TagResourceRequest::new("db/main", [Tag::new("k", "v")]))),
    ("UntagResource", |s| s.untag_resource(UntagResourceRequest::new("db/main", ["k"]))),
    ("RotateSecret", |s| s.rotate_secret(RotateSecretRequest::new("db/main")).map(drop)),
    ("CancelRotateSecret", |s| s.cancel_rotate_secret(CancelRotateSecretRequest::new("db/main")).map(drop)),
    ("PutResourcePolicy", |s| s.put_resource_policy(PutResourcePolicyRequest::new("db/main", POLICY)).map(drop)),
    ("DeleteResourcePolicy", |s| s.delete_resource_policy(DeleteResourcePolicyRequest::new("db/main")).map(drop)),
];

type Upkeep = (&'static str, fn(&SecretStore) -> Result<(), Error>);

const UPKEEP: [Upkeep; 6] = [
    ("reencrypt", |s| s.reencrypt(&KeyOptions::new(), &mut |_| {}).map(drop)),
    ("rotate_root_key", |s| s.rotate_root_key(&mut |_| {}).map(drop)),
    ("shred", |s| s.shred(&mut |_| {}).map(drop)),
    ("keep_changes", |s| s.keep_changes(10).map(drop)),
    ("replicate_to", |s| {
        let nowhere = strongroom::StandbyDirectory::new(SecretStore::in_memory());
        s.replicate_to(&nowhere, &mut |_| {}).map(drop)
    }),
    ("import", |s| s.import("nowhere", &StaticKey::new([7; 32]), &ImportOptions::new(), &mut |_| {}).map(drop)),
];

#[test]
fn whatever_would_change_a_secret_is_refused_and_changes_nothing() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    replicate(&source, &link);
    let standby = link.store().unwrap();
    let (before, secrets) = (epoch(&standby), standby.default_secrets_manager());
    for (name, write) in WRITES {
        assert_eq!(fault(write(&secrets)), ReplicationFault::IsStandby, "{name}");
    }
    for (name, work) in UPKEEP {
        assert_eq!(fault(work(&standby)), ReplicationFault::IsStandby, "{name}");
    }
    // What cannot be meant is told first, as ever.
    let error = secrets.create_secret(CreateSecretRequest::new("").secret_string("v")).unwrap_err();
    assert_eq!(error.code(), "ValidationException");
    assert_eq!(epoch(&standby), before);
}

#[test]
fn maintenance_of_a_standby_does_nothing_and_that_of_the_store_is_followed() {
    let pair = Pair::new();
    let source = pair.open("source");
    let call = crate::history::Call::Create { name: "going".to_owned(), token: None };
    call.run(&source.default_secrets_manager()).unwrap();
    source.default_secrets_manager().delete_secret(DeleteSecretRequest::new("going")).unwrap();
    let link = pair.link("standby");
    replicate(&source, &link);
    let standby = link.store().unwrap();
    pair.clock.advance(chrono::TimeDelta::days(40));
    let (before, report) = (epoch(&standby), standby.maintain().unwrap());
    assert_eq!((report.purged_secrets, report.next_due_at, epoch(&standby)), (0, None, before));
    assert_eq!(standby.stats().unwrap().secrets, 1);
    assert_eq!(source.maintain().unwrap().purged_secrets, 1);
    replicate(&source, &link);
    assert_eq!(standby.stats().unwrap().secrets, 0);
    assert_eq!(observe(&standby), observe(&source));
}
