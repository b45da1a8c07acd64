//! Replicated secrets on their way to another store: what is wanted arrives, how far it has come does not.

use serde_json::{Value, json};
use strongroom::{
    AssociateCrossAccountReplicaRequest, ConflictReason, CreateSecretRequest, DescribeSecretRequest,
    DescribeSecretResponse, DisassociateCrossAccountReplicaRequest, ExportOptions, GetSecretValueRequest,
    ImportOptions, PutSecretValueRequest, RemoveRegionsFromReplicationRequest, ReplicaRegionType,
    ReplicateSecretToRegionsRequest, SecretStore, SecretsManager, StatusType, StopReplicationToReplicaRequest,
};

use crate::fixture::{Exported, Source, Target, export_key, file_is_refused, import, import_lines, import_with, names};
use crate::lines::{ARN, file, secret};

/// An account and a Region.
type Place = (&'static str, &'static str);

const HOME: Place = ("123456789012", "eu-central-1");
const IRELAND: Place = ("123456789012", "eu-west-1");
const LONDON: Place = ("123456789012", "eu-west-2");
const OTHER: Place = ("000000000000", "eu-central-1");

fn manager(store: &SecretStore, (account, region): Place) -> SecretsManager {
    store.secrets_manager(account, region).unwrap()
}

fn describe(store: &SecretStore, tenant: Place, name: &str) -> DescribeSecretResponse {
    manager(store, tenant).describe_secret(DescribeSecretRequest::new(name)).unwrap()
}

/// The status of every replica of a secret, those in other Regions first.
fn statuses(store: &SecretStore, tenant: Place, name: &str) -> Vec<StatusType> {
    let described = describe(store, tenant, name);
    let regions = described.replication_status.into_iter().flatten().map(|replica| replica.status);
    let accounts = described.cross_account_replicas.into_iter().flatten().map(|replica| replica.replication_status);
    regions.chain(accounts).collect()
}

fn read(store: &SecretStore, tenant: Place, name: &str) -> String {
    let read = manager(store, tenant).get_secret_value(GetSecretValueRequest::new(name)).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

fn put(store: &SecretStore, value: &str) {
    manager(store, HOME).put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
}

const ROLE: &str = "arn:aws:iam::123456789012:role/replicates";

/// A secret `db` in sync with two replicas in other Regions and `copy` in another account, each under a key of its own.
fn replicated() -> Source {
    let source = Source::empty();
    for (account, region) in [HOME, IRELAND, LONDON, OTHER] {
        let key = source.keyring.create_key(strongroom::KeyScope::new("aws", account, region)).unwrap();
        source.keyring.create_alias("alias/app", &key).unwrap();
    }
    let (home, other) = (manager(&source.store, HOME), manager(&source.store, OTHER));
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id("alias/app"), ReplicaRegionType::new("eu-west-2")];
    let create = CreateSecretRequest::new("db").secret_string("one").description("replicated");
    let primary = home.create_secret(create.add_replica_regions(regions)).unwrap().arn;
    let create = CreateSecretRequest::new("copy").kms_key_id("alias/app").cross_account_primary_arn(primary);
    let copy = other.create_secret(create).unwrap().arn;
    let associate = AssociateCrossAccountReplicaRequest::new("db", copy).replication_role_arn(ROLE);
    home.associate_cross_account_replica(associate.replica_restriction("NoRestriction")).unwrap();
    put(&source.store, "two");
    assert_eq!(statuses(&source.store, HOME, "db"), [StatusType::InSync; 3]);
    source
}

/// A store without secrets, that has the same keys by name.
fn target() -> Target {
    let target = Target::new();
    for (account, region) in [IRELAND, LONDON, OTHER] {
        let key = target.keyring.create_key(strongroom::KeyScope::new("aws", account, region)).unwrap();
        target.keyring.create_alias("alias/app", &key).unwrap();
    }
    target
}

/// An export of some accounts and Regions, in either form.
fn carried(from: &SecretStore, to: &SecretStore, tenants: &[Place], is_encrypted: bool) -> u64 {
    let options =
        tenants.iter().fold(ExportOptions::new(), |options, (account, region)| options.only(*account, *region));
    let report = if is_encrypted {
        let place = Exported::place();
        from.export(&place.path, &export_key(), &options, &mut |_| ()).unwrap();
        import(to, &place.path)
    } else {
        let mut lines = Vec::new();
        from.export_plaintext(&mut lines, &options, &mut |_| ()).unwrap();
        import_lines(to, &lines)
    };
    let report = report.unwrap();
    assert_eq!(report.conflicts, [], "{report:?}");
    report.created
}

/// The replicas have what their primary has, under their own keys, and receive what follows.
fn is_in_sync(store: &SecretStore, what: &str) {
    assert_eq!(statuses(store, HOME, "db"), [StatusType::InSync; 3], "{what}");
    let told = describe(store, OTHER, "copy").cross_account_primary.unwrap();
    assert_eq!((told.replication_status, told.status_message), (StatusType::InSync, None), "{what}");
    let primary = describe(store, HOME, "db");
    for (tenant, name, key) in
        [(IRELAND, "db", Some("alias/app")), (LONDON, "db", None), (OTHER, "copy", Some("alias/app"))]
    {
        let replica = describe(store, tenant, name);
        assert_eq!(replica.version_ids_to_stages, primary.version_ids_to_stages, "{what}: {tenant:?}");
        assert_eq!(replica.kms_key_id.as_deref(), key, "{what}: {tenant:?}");
        assert_eq!(read(store, tenant, name), "two", "{what}: {tenant:?}");
    }
    put(store, "three");
    for (tenant, name) in [(HOME, "db"), (IRELAND, "db"), (LONDON, "db"), (OTHER, "copy")] {
        assert_eq!(read(store, tenant, name), "three", "{what}: {tenant:?}");
    }
    let report = store.verify(strongroom::VerifyOptions::new(), &mut |_| ()).unwrap();
    assert!(report.is_clean(), "{what}: {:?}", report.findings);
}

#[test]
fn a_primary_and_its_replicas_arrive_in_any_order_and_are_in_sync_once_the_store_was_maintained() {
    let source = replicated();
    let rows: [(&str, &[&[Place]]); 5] = [
        ("together", &[&[HOME, IRELAND, LONDON, OTHER]]),
        ("the primary first", &[&[HOME], &[IRELAND], &[LONDON, OTHER]]),
        ("the primary last", &[&[OTHER, IRELAND], &[LONDON], &[HOME]]),
        ("the primary between", &[&[LONDON], &[HOME], &[OTHER, IRELAND]]),
        ("without replicas in other Regions", &[&[HOME], &[OTHER]]),
    ];
    for (what, parts) in rows {
        for is_encrypted in [true, false] {
            let target = target();
            for part in parts {
                assert_eq!(carried(&source.store, &target.store, part, is_encrypted), part.len() as u64, "{what}");
            }
            let wanted = StatusType::InProgress;
            assert_eq!(statuses(&target.store, HOME, "db"), [wanted; 3], "{what}: nothing of how far it had come");
            target.store.maintain().unwrap();
            assert_eq!(
                describe(&target.store, HOME, "db").cross_account_replicas,
                describe(&source.store, HOME, "db").cross_account_replicas
            );
            is_in_sync(&target.store, what);
        }
    }
}

/// What is there already is the same, however far its replication has come here and there.
#[test]
fn an_import_that_is_repeated_before_or_after_replication_changes_nothing() {
    let source = replicated();
    let everything = [HOME, IRELAND, LONDON, OTHER];
    for is_encrypted in [true, false] {
        let target = target();
        assert_eq!(carried(&source.store, &target.store, &[HOME, OTHER], is_encrypted), 2);
        assert_eq!(carried(&source.store, &target.store, &[HOME, OTHER], is_encrypted), 0);
        target.store.maintain().unwrap();
        let epoch = target.epoch();
        assert_eq!(carried(&source.store, &target.store, &everything, is_encrypted), 0, "replicas were made meanwhile");
        assert_eq!(carried(&source.store, &source.store, &everything, is_encrypted), 0);
        assert_eq!(target.epoch(), epoch);
        is_in_sync(&target.store, "repeated");
    }
}

/// An export is of one moment for each secret only.
#[test]
fn a_replica_that_was_exported_before_or_after_its_primary_becomes_what_that_is() {
    for is_replica_newer in [false, true] {
        let (source, target) = (replicated(), target());
        let replicas = [IRELAND, OTHER];
        let lines = |tenants: &[Place]| {
            let mut lines = Vec::new();
            let options =
                tenants.iter().fold(ExportOptions::new(), |options, (account, region)| options.only(*account, *region));
            source.store.export_plaintext(&mut lines, &options, &mut |_| ()).unwrap();
            lines
        };
        let first = lines(if is_replica_newer { &[HOME] } else { &replicas });
        put(&source.store, if is_replica_newer { "later" } else { "two" });
        let second = lines(if is_replica_newer { &replicas } else { &[HOME] });
        for lines in [first, second] {
            assert_eq!(import_lines(&target.store, &lines).unwrap().conflicts, []);
        }
        target.store.maintain().unwrap();
        is_in_sync(&target.store, if is_replica_newer { "a newer replica" } else { "an older replica" });
    }
}

#[test]
fn a_primary_without_the_replica_in_another_account_says_so_until_that_arrives() {
    let (source, target) = (replicated(), target());
    carried(&source.store, &target.store, &[HOME], true);
    target.store.maintain().unwrap();
    use StatusType::{Failed, InSync};
    assert_eq!(statuses(&target.store, HOME, "db"), [InSync, InSync, Failed]);
    carried(&source.store, &target.store, &[OTHER], true);
    target.clock.advance(chrono::TimeDelta::minutes(1));
    target.store.maintain().unwrap();
    assert_eq!(statuses(&target.store, HOME, "db"), [InSync; 3]);
    put(&target.store, "two again");
    assert_eq!(read(&target.store, OTHER, "copy"), "two again");
}

#[test]
fn a_replica_that_comes_alone_stays_one_until_it_is_made_a_secret_of_its_own() {
    let source = replicated();
    for is_encrypted in [true, false] {
        let target = target();
        carried(&source.store, &target.store, &[IRELAND, OTHER], is_encrypted);
        assert_eq!(describe(&target.store, IRELAND, "db").primary_region.as_deref(), Some("eu-central-1"));
        let told = describe(&target.store, OTHER, "copy").cross_account_primary.unwrap();
        assert_eq!(told.primary_secret_arn, describe(&source.store, HOME, "db").arn);
        assert_eq!(told.replication_status, StatusType::InProgress);
        target.store.maintain().unwrap();
        for (tenant, name) in [(IRELAND, "db"), (OTHER, "copy")] {
            let replica = manager(&target.store, tenant);
            let put = || replica.put_secret_value(PutSecretValueRequest::new(name, "own"));
            assert_eq!(put().unwrap_err().code(), "InvalidParameterException", "{name}");
            replica.stop_replication_to_replica(StopReplicationToReplicaRequest::new(name)).unwrap();
            put().unwrap();
            assert_eq!(read(&target.store, tenant, name), "own");
        }
    }
}

#[test]
fn what_was_pending_or_detached_still_is() {
    for is_encrypted in [true, false] {
        let source = replicated();
        let primary = describe(&source.store, HOME, "db").arn;
        let create = CreateSecretRequest::new("waits").kms_key_id("alias/app").cross_account_primary_arn(primary);
        manager(&source.store, OTHER).create_secret(create).unwrap();
        let stop = StopReplicationToReplicaRequest::new("copy");
        manager(&source.store, OTHER).stop_replication_to_replica(stop).unwrap();
        let target = target();
        carried(&source.store, &target.store, &[HOME, OTHER], is_encrypted);
        for moment in ["imported", "maintained"] {
            assert_eq!(statuses(&target.store, HOME, "db")[2], StatusType::Detached, "{moment}");
            let waits = describe(&target.store, OTHER, "waits").cross_account_primary.unwrap();
            assert_eq!(waits.replication_status, StatusType::Pending, "{moment}");
            assert_eq!(describe(&target.store, OTHER, "copy").cross_account_primary, None, "{moment}");
            target.store.maintain().unwrap();
        }

        let source = replicated();
        let copy = describe(&source.store, OTHER, "copy").arn;
        let end = DisassociateCrossAccountReplicaRequest::new("db", copy);
        manager(&source.store, HOME).disassociate_cross_account_replica(end).unwrap();
        let target = self::target();
        carried(&source.store, &target.store, &[HOME, OTHER], is_encrypted);
        target.store.maintain().unwrap();
        let told = describe(&target.store, OTHER, "copy").cross_account_primary.unwrap();
        assert_eq!(told.replication_status, StatusType::Detached);
        assert_eq!(describe(&target.store, HOME, "db").cross_account_replicas, None);
    }
}

/// Somebody else's secret is not replaced, even if the primary was once allowed to replace one.
#[test]
fn a_secret_that_is_in_the_way_stays_and_the_rest_arrives() {
    let source = replicated();
    let home = manager(&source.store, HOME);
    home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", ["eu-west-2"])).unwrap();
    let again = ReplicateSecretToRegionsRequest::new("db", ["eu-west-2"]).force_overwrite_replica_secret(true);
    home.replicate_secret_to_regions(again).unwrap();
    let target = target();
    manager(&target.store, LONDON).create_secret(CreateSecretRequest::new("db").secret_string("mine")).unwrap();
    carried(&source.store, &target.store, &[HOME, OTHER], true);
    target.store.maintain().unwrap();
    use StatusType::{Failed, InSync};
    assert_eq!(statuses(&target.store, HOME, "db"), [InSync, Failed, InSync]);
    assert_eq!(read(&target.store, LONDON, "db"), "mine");
    assert_eq!(read(&target.store, IRELAND, "db"), "two");
}

#[test]
fn a_key_for_every_imported_secret_is_also_that_of_the_replicas_it_will_have() {
    let (source, target) = (replicated(), target());
    let options = ImportOptions::new().kms_key_id("alias/app");
    assert_eq!(import_with(&target.store, &source.export().path, &options).unwrap().created, 4);
    target.store.maintain().unwrap();
    assert_eq!(import_with(&target.store, &source.export().path, &options).unwrap().unchanged, 4);
    let keys = describe(&target.store, HOME, "db").replication_status.unwrap();
    let keys: Vec<_> = keys.into_iter().map(|replica| (replica.kms_key_id, replica.status)).collect();
    assert_eq!(keys, [("alias/app".to_owned(), StatusType::InSync), ("alias/app".to_owned(), StatusType::InSync)]);
    for (tenant, name) in [(HOME, "db"), (IRELAND, "db"), (LONDON, "db"), (OTHER, "copy")] {
        assert_eq!(describe(&target.store, tenant, name).kms_key_id.as_deref(), Some("alias/app"), "{tenant:?}");
    }
}

type Change = fn(&mut Value);

const REPLICA: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:other-Ab3dE6";

/// A secret of the home Region with everything that ties it to replicas.
fn primary() -> Value {
    let mut secret = secret();
    secret["PrimaryRegion"] = json!("us-east-1");
    secret["ReplicaRegions"] = json!([{"Region": "eu-west-1", "KmsKeyId": "alias/app"}, {"Region": "eu-west-2"}]);
    secret["CrossAccountReplicas"] =
        json!([{"ReplicaSecretARN": REPLICA, "ReplicationRoleARN": ROLE, "ReplicaRestriction": "NoRestriction"}]);
    secret
}

fn line(change: Change) -> String {
    let mut secret = primary();
    change(&mut secret);
    file(&[secret.to_string()], 1, 2)
}

/// What a secret has of replicas, as an export in plain text says it.
fn exported(store: &SecretStore) -> Value {
    let mut lines = Vec::new();
    store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| ()).unwrap();
    let secret: Value = serde_json::from_slice(lines.split(|byte| *byte == b'\n').nth(1).unwrap()).unwrap();
    let members = ["ReplicaRegions", "CrossAccountReplicas", "CrossAccountPrimary"];
    members
        .into_iter()
        .map(|member| (member.to_owned(), secret[member].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn what_somebody_wrote_of_replicas_arrives_by_lines_and_encrypted() {
    let follows: Change = |s| {
        s["ReplicaRegions"] = Value::Null;
        s["CrossAccountReplicas"] = Value::Null;
        s["PrimaryRegion"] = Value::Null;
        s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA});
    };
    let rows: [(&str, Change); 10] = [
        ("everything", |_| ()),
        ("no Regions", |s| s["ReplicaRegions"] = json!([])),
        ("the default key by its name", |s| s["ReplicaRegions"][0]["KmsKeyId"] = json!("alias/aws/secretsmanager")),
        ("a Region that nobody knows", |s| s["ReplicaRegions"][0]["Region"] = json!("eu-nowhere-7")),
        ("no role", |s| s["CrossAccountReplicas"][0]["ReplicationRoleARN"] = Value::Null),
        ("no restriction", |s| s["CrossAccountReplicas"][0]["ReplicaRestriction"] = Value::Null),
        ("a detached account", |s| s["CrossAccountReplicas"][0]["ReplicationStatus"] = json!("Detached")),
        ("scheduled for deletion and detached", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"][0]["ReplicationStatus"] = json!("Detached");
            s["DeletedDate"] = json!(1_900_000_000);
        }),
        ("a replica", follows),
        ("a replica that waits", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA, "ReplicationStatus": "Pending"});
        }),
    ];
    for (what, change) in rows {
        let first = Target::new();
        assert_eq!(import_lines(&first.store, line(change).as_bytes()).unwrap().created, 1, "{what}");
        let mut expected = primary();
        change(&mut expected);
        let found = exported(&first.store);
        let regions = expected["ReplicaRegions"].as_array().into_iter().flatten();
        let regions: Vec<_> = regions.map(|region| region["Region"].clone()).collect();
        let shown = found["ReplicaRegions"].as_array().into_iter().flatten();
        assert_eq!(shown.map(|region| region["Region"].clone()).collect::<Vec<_>>(), regions, "{what}");
        for member in ["ReplicaSecretARN", "ReplicationRoleARN", "ReplicationStatus"] {
            let of = |links: &Value| links["CrossAccountReplicas"][0][member].clone();
            assert_eq!(of(&found), of(&expected), "{what}: {member}");
        }
        assert_eq!(found["CrossAccountPrimary"], expected["CrossAccountPrimary"], "{what}");
        let restriction = &found["CrossAccountReplicas"][0]["ReplicaRestriction"];
        let wanted = &expected["CrossAccountReplicas"][0]["ReplicaRestriction"];
        let default = if found["CrossAccountReplicas"].is_null() { Value::Null } else { json!("SameOrg") };
        assert_eq!(restriction, if wanted.is_null() { &default } else { wanted }, "{what}");

        let place = Exported::place();
        place.from(&first.store).unwrap();
        let second = Target::new();
        assert_eq!(import(&second.store, &place.path).unwrap().created, 1, "{what}");
        assert_eq!(exported(&second.store), found, "{what}, encrypted");
        assert_eq!(import(&first.store, &place.path).unwrap().unchanged, 1, "{what}");
    }
}

#[test]
fn replicas_that_no_call_could_have_asked_for_are_refused() {
    let rows: Vec<(&str, Change)> = vec![
        ("a Region that is none", |s| s["ReplicaRegions"][0]["Region"] = json!("nowhere")),
        ("an empty Region", |s| s["ReplicaRegions"][0]["Region"] = json!("")),
        ("a long Region", |s| s["ReplicaRegions"][0]["Region"] = json!(format!("{}-1", "e".repeat(127)))),
        ("no Region", |s| s["ReplicaRegions"][0]["Region"] = Value::Null),
        ("its own Region", |s| s["ReplicaRegions"][0]["Region"] = json!("us-east-1")),
        ("a Region twice", |s| s["ReplicaRegions"][0]["Region"] = json!("eu-west-2")),
        ("a Region of another partition", |s| s["ReplicaRegions"][0]["Region"] = json!("cn-north-1")),
        ("a long key", |s| s["ReplicaRegions"][0]["KmsKeyId"] = json!("k".repeat(2_049))),
        ("Regions as an object", |s| s["ReplicaRegions"] = json!({})),
        ("a Region as a text", |s| s["ReplicaRegions"] = json!(["eu-west-1"])),
        ("an unknown member of a Region", |s| s["ReplicaRegions"][0]["Status"] = json!("InSync")),
        ("too many Regions to read", |s| {
            s["ReplicaRegions"] = (0..20_001).map(|number| json!({"Region": format!("eu-west-{number}")})).collect();
        }),
        ("Regions without a primary one", |s| s["PrimaryRegion"] = Value::Null),
        ("Regions of a replica", |s| s["PrimaryRegion"] = json!("eu-west-3")),
        ("an account of a replica", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["PrimaryRegion"] = json!("eu-west-3");
        }),
        ("Regions of a replica of another account", |s| {
            s["CrossAccountReplicas"] = Value::Null;
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA});
        }),
        ("a primary here and there", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
            s["PrimaryRegion"] = json!("eu-west-3");
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA});
        }),
        ("two accounts", |s| {
            let mut other = s["CrossAccountReplicas"][0].clone();
            other["ReplicaSecretARN"] = json!(REPLICA.replace("111122223333", "444455556666"));
            s["CrossAccountReplicas"].as_array_mut().unwrap().push(other);
        }),
        ("no ARN", |s| s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = json!("other")),
        ("an ARN without its end", |s| {
            s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = json!(REPLICA.trim_end_matches("-Ab3dE6"));
        }),
        ("an ARN of the same account", |s| s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = json!(ARN)),
        ("an ARN of another Region", |s| {
            s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = json!(REPLICA.replace("us-east-1", "us-east-2"));
        }),
        ("an ARN of another service", |s| {
            s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = json!(REPLICA.replace("secretsmanager", "s3"));
        }),
        ("a missing ARN", |s| s["CrossAccountReplicas"][0]["ReplicaSecretARN"] = Value::Null),
        ("a short role", |s| s["CrossAccountReplicas"][0]["ReplicationRoleARN"] = json!("role")),
        ("a long role", |s| s["CrossAccountReplicas"][0]["ReplicationRoleARN"] = json!("r".repeat(2_049))),
        ("an unknown restriction", |s| s["CrossAccountReplicas"][0]["ReplicaRestriction"] = json!("sameorg")),
        ("an account that is in sync", |s| s["CrossAccountReplicas"][0]["ReplicationStatus"] = json!("InSync")),
        ("an unknown status", |s| s["CrossAccountReplicas"][0]["ReplicationStatus"] = json!("Gone")),
        ("an unknown member of an account", |s| s["CrossAccountReplicas"][0]["DueDate"] = json!(1)),
        ("a primary without an ARN", |s| s["CrossAccountPrimary"] = json!({})),
        ("a primary that is in sync", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA, "ReplicationStatus": "InSync"});
        }),
        ("a primary of the same account", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": ARN});
        }),
        ("scheduled for deletion with Regions", |s| {
            s["CrossAccountReplicas"] = Value::Null;
            s["DeletedDate"] = json!(1_900_000_000);
        }),
        ("scheduled for deletion with an account", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["DeletedDate"] = json!(1_900_000_000);
        }),
    ];
    let target = Target::new();
    let epoch = target.epoch();
    for (what, change) in &rows {
        let error = file_is_refused(import_lines(&target.store, line(*change).as_bytes()), what).to_string();
        assert!(error.starts_with("line 2: "), "{what}: {error}");
        assert_eq!(target.epoch(), epoch, "{what}");
    }
    assert!(names(&target.home()).is_empty());
    eprintln!("{} secrets with replicas that cannot be", rows.len());
}

#[test]
fn a_secret_with_other_replicas_is_another_one() {
    let rows: [(&str, Change); 8] = [
        ("ReplicationStatus", |s| s["ReplicaRegions"][0]["Region"] = json!("eu-west-3")),
        ("ReplicationStatus", |s| s["ReplicaRegions"][0]["KmsKeyId"] = json!("alias/other")),
        ("ReplicationStatus", |s| s["ReplicaRegions"][1]["KmsKeyId"] = json!("alias/app")),
        ("ReplicationStatus", |s| s["ReplicaRegions"] = Value::Null),
        ("CrossAccountReplicas", |s| s["CrossAccountReplicas"] = Value::Null),
        ("CrossAccountReplicas", |s| s["CrossAccountReplicas"][0]["ReplicaRestriction"] = Value::Null),
        ("CrossAccountReplicas", |s| s["CrossAccountReplicas"][0]["ReplicationRoleARN"] = Value::Null),
        ("CrossAccountPrimary", |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
            s["CrossAccountPrimary"] = json!({"PrimarySecretARN": REPLICA});
        }),
    ];
    for (member, change) in rows {
        let without_links: Change = |s| {
            s["ReplicaRegions"] = Value::Null;
            s["CrossAccountReplicas"] = Value::Null;
        };
        let target = Target::new();
        let before = if member == "CrossAccountPrimary" { without_links } else { |_: &mut Value| () };
        assert_eq!(import_lines(&target.store, line(before).as_bytes()).unwrap().created, 1);
        let conflicts = import_lines(&target.store, line(change).as_bytes()).unwrap().conflicts;
        assert_eq!(conflicts.len(), 1, "{member}");
        assert_eq!(conflicts[0].reason, ConflictReason::Differs(member));
        let detached: Change = |s| s["CrossAccountReplicas"][0]["ReplicationStatus"] = json!("Detached");
        if member == "ReplicationStatus" {
            assert_eq!(import_lines(&target.store, line(detached).as_bytes()).unwrap().unchanged, 1, "only a status");
        }
    }
}

/// The default key cannot be shared, and no call makes such a replica under it.
#[test]
fn a_replica_of_another_account_does_not_arrive_under_the_default_key() {
    let (source, target) = (replicated(), target());
    let mut lines = Vec::new();
    let options = ExportOptions::new().only(OTHER.0, OTHER.1);
    source.store.export_plaintext(&mut lines, &options, &mut |_| ()).unwrap();
    let options = ImportOptions::new().kms_key_id("");
    let refused = target.store.import_plaintext(&mut std::io::Cursor::new(&lines), &options, &mut |_| ());
    assert!(refused.unwrap_err().to_string().contains("customer managed key"));
    assert_eq!(target.store.stats().unwrap().secrets, 0);
}
