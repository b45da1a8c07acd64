//! Stores that were written once and have to be readable for ever.

use chrono::TimeDelta;
use serde::Deserialize;
use strongroom::testing::{ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{
    AssociateCrossAccountReplicaRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest,
    DeleteSecretRequest, DescribeSecretRequest, ErrorKind, ExternalSecretRotationMetadataItem, GetSecretValueRequest,
    PutResourcePolicyRequest, PutSecretValueRequest, ReplicaRegionType, RestoreSecretRequest, RotateSecretRequest,
    RotationCall, RotationError, RotationFunction, RotationRules, RotationStep, SecretBytes, SecretStore,
    SecretsManager, StaticKey, Tag, UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::contents::{Contents, Secret, Value, Version};
use crate::fixture::{Dump, Hex, NOW, PROVIDER_KEY, Record, Records, backend, builder, path, read, records};

#[derive(Debug, Deserialize)]
struct WrittenByScript {
    now: i64,
    records: Vec<Record>,
    expected: Contents,
}

/// What the script wrote from the description alone: records, and what they hold.
pub(crate) fn written(name: &str) -> (Records, Contents) {
    let WrittenByScript { now, records, expected } = read(name);
    assert_eq!(now, NOW);
    (collect(records), expected)
}

fn collect(dump: Vec<Record>) -> Records {
    dump.into_iter().map(|Record { key, value }| (key.0, value.0)).collect()
}

pub(crate) fn golden() -> (Records, Contents) {
    let Dump { provider_key, records } = read("v1/golden.json");
    assert_eq!(*provider_key, PROVIDER_KEY);
    (collect(records), read("v1/expected.json"))
}

/// A token, and so the id of a version: 32 characters.
fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A policy for one reader, or for everybody, with white space and a name that are to be kept.
fn policy(reader: &str) -> String {
    let statement = r#""Sid": "größer, 秘密",  "Effect" :"Allow", "Action": "secretsmanager:GetSecretValue""#;
    format!(
        "\n{{\"Statement\":\r\n\t{{{statement}, \"Resource\": \"*\", \"Principal\": {{\"AWS\": \"{reader}\"}} }}}} \n"
    )
}

/// Everything that a store of format 1 can hold by way of its API.
fn write(clock: &ManualClock, store: &SecretStore) -> strongroom::Result<()> {
    let main = store.secrets_manager("111122223333", "eu-central-1")?;
    let put =
        |name: &str, value: &str, number| PutSecretValueRequest::new(name, value).client_request_token(id(number));
    let tick = || clock.advance(TimeDelta::milliseconds(1001));

    main.create_secret(CreateSecretRequest::new("db/main").client_request_token(id(1)).secret_string("first"))?;
    tick();
    main.put_secret_value(put("db/main", "second", 2))?;
    tick();
    main.put_secret_value(put("db/main", "third: größer, 秘密, \u{1F511}", 3))?;
    tick();
    main.put_secret_value(put("db/main", "pending", 4).version_stages(["AWSPENDING", "blue"]))?;
    main.get_secret_value(GetSecretValueRequest::new("db/main"))?;
    main.get_secret_value(GetSecretValueRequest::new("db/main").version_id(id(1)))?;

    main.create_secret(
        CreateSecretRequest::new("described")
            .client_request_token(id(5))
            .secret_string("x".repeat(65_536))
            .description("Beschreibung: für alle. ".repeat(80))
            .tags(
                (0..50)
                    .map(|i| Tag::new(format!("key {i} ä"), if i % 2 == 0 { String::new() } else { "v".repeat(256) })),
            ),
    )?;
    let none: [Tag; 0] = [];
    main.create_secret(CreateSecretRequest::new("tagged-with-nothing").secret_string("{}").tags(none))?;
    main.create_secret(CreateSecretRequest::new("without-value").description("nothing yet"))?;
    main.create_secret(CreateSecretRequest::new("partner").r#type("Partner").secret_string("p"))?;
    let every_byte: Vec<u8> = (0..=255).collect();
    main.create_secret(
        CreateSecretRequest::new("binary").client_request_token(id(6)).secret_binary(SecretBytes::from(every_byte)),
    )?;
    tick();
    main.put_secret_value(PutSecretValueRequest::new("binary", &[0]).client_request_token(id(7)))?;

    // Policies: in the middle of it all, one that is replaced, and one that is taken away again.
    main.put_resource_policy(PutResourcePolicyRequest::new("db/main", policy("arn:aws:iam::444455556666:user/first")))?;
    main.put_resource_policy(PutResourcePolicyRequest::new("db/main", policy("444455556666")))?;
    main.put_resource_policy(PutResourcePolicyRequest::new("without-value", policy("*")))?;
    main.put_resource_policy(PutResourcePolicyRequest::new("binary", policy("*")))?;
    main.delete_resource_policy(DeleteResourcePolicyRequest::new("binary"))?;

    // Versions under one key, the same versions under a second key, one more under the second.
    main.create_secret(
        CreateSecretRequest::new("two-keys").client_request_token(id(8)).secret_string("under the default"),
    )?;
    tick();
    main.put_secret_value(put("two-keys", "under the default, too", 9))?;
    tick();
    main.put_secret_value(put("two-keys", "the third", 10))?;
    tick();
    main.update_secret(UpdateSecretRequest::new("two-keys").kms_key_id("alias/other"))?;
    tick();
    main.put_secret_value(put("two-keys", "under the other", 11))?;
    main.update_secret_version_stage(
        UpdateSecretVersionStageRequest::new("two-keys", "old").move_to_version_id(id(9)),
    )?;

    // More versions than are kept, all of them young: their removal is due later.
    main.create_secret(CreateSecretRequest::new("many").client_request_token(id(100)).secret_string("0"))?;
    for number in 1..=101 {
        main.put_secret_value(put("many", &number.to_string(), 100 + number))?;
    }
    tick();

    for (name, days) in [("scheduled", 7), ("scheduled-later", 30), ("restored", 14)] {
        main.create_secret(CreateSecretRequest::new(name).secret_string(format!("the value of {name}")))?;
        if days < 30 {
            main.put_resource_policy(PutResourcePolicyRequest::new(name, policy(&format!("{days:012}"))))?;
        }
        tick();
        main.delete_secret(DeleteSecretRequest::new(name).recovery_window_in_days(days))?;
    }
    main.restore_secret(RestoreSecretRequest::new("restored"))?;
    main.create_secret(CreateSecretRequest::new("gone").secret_string("gone"))?;
    main.delete_secret(DeleteSecretRequest::new("gone").force_delete_without_recovery(true))?;

    rotate(clock, store, &main)?;

    for (account, region) in [("444455556666", "eu-central-1"), ("444455556666", "us-gov-west-1")] {
        let other = store.secrets_manager(account, region)?;
        other.create_secret(CreateSecretRequest::new("db/main").secret_string(format!("{account} {region}")))?;
    }
    replicate(clock, store, &main)
}

/// A secret with a replica, one that cannot be made, and one in another account; and a replica that waits for its primary.
fn replicate(clock: &ManualClock, store: &SecretStore, main: &SecretsManager) -> strongroom::Result<()> {
    let tick = || clock.advance(TimeDelta::milliseconds(1001));
    let in_the_way = store.secrets_manager("111122223333", "eu-west-2")?;
    in_the_way.create_secret(CreateSecretRequest::new("replicated").secret_string("somebody else's"))?;
    let create = CreateSecretRequest::new("replicated").client_request_token(id(400)).secret_string("first");
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id("alias/other"), ReplicaRegionType::new("eu-west-2")];
    let primary = main.create_secret(create.add_replica_regions(regions))?.arn;
    tick();

    let other = store.secrets_manager("444455556666", "eu-central-1")?;
    let replica = |name: &str| CreateSecretRequest::new(name).kms_key_id("alias/shared");
    let copy = other.create_secret(replica("copied").cross_account_primary_arn(primary.as_str()))?.arn;
    other.create_secret(replica("waiting").cross_account_primary_arn(primary.as_str()))?;
    let associate = AssociateCrossAccountReplicaRequest::new("replicated", copy).replica_restriction("NoRestriction");
    main.associate_cross_account_replica(associate.replication_role_arn("arn:aws:iam::111122223333:role/replicates"))?;
    tick();
    main.put_secret_value(PutSecretValueRequest::new("replicated", "second").client_request_token(id(401)))?;
    Ok(())
}

/// The function of every secret of the golden store that rotates.
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:111122223333:function:rotate";

/// Makes a value for every secret but one, of which it cannot.
#[derive(Debug)]
struct Renew;

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
        if id.contains("rotates/failing") {
            return Err("größer than allowed".into());
        }
        match call.step {
            RotationStep::CreateSecret => {
                let put = PutSecretValueRequest::new(id, "rotated").client_request_token(token);
                secrets.put_secret_value(
                    put.version_stages(["AWSPENDING"]).rotation_token(call.rotation_token.expose()),
                )?;
            }
            RotationStep::FinishSecret => {
                let current = secrets.get_secret_value(GetSecretValueRequest::new(id))?.version_id;
                let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
                secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Secrets whose rotation is in each of its states.
fn rotate(clock: &ManualClock, store: &SecretStore, main: &SecretsManager) -> strongroom::Result<()> {
    let rds = main.clone().as_owning_service("rds")?;
    let create = |name: &str, number| {
        CreateSecretRequest::new(name).client_request_token(id(number)).secret_string("before rotation")
    };
    let rotate = |name: &str, number| RotateSecretRequest::new(name).client_request_token(id(number));
    for (name, number) in [("scheduled", 300), ("failing", 302), ("cancelled", 304), ("begun", 306), ("tested", 308)] {
        main.create_secret(create(&format!("rotates/{name}"), number))?;
    }
    rds.create_secret(create("rds!cluster", 310))?;
    main.create_secret(create("rotates/partner", 312).r#type("Partner"))?;
    clock.advance(TimeDelta::milliseconds(1001));

    let monthly = RotationRules::new().schedule_expression("cron(0 4 1 * ? *)").duration("3h");
    main.rotate_secret(rotate("rotates/scheduled", 301).rotation_lambda_arn(FUNCTION).rotation_rules(monthly))?;
    let days = RotationRules::new().automatically_after_days(30);
    main.rotate_secret(rotate("rotates/failing", 303).rotation_lambda_arn(FUNCTION).rotation_rules(days))?;
    let rate = RotationRules::new().schedule_expression("rate(12 hours)");
    main.rotate_secret(rotate("rotates/cancelled", 305).rotation_lambda_arn(FUNCTION).rotation_rules(rate))?;
    rds.rotate_secret(rotate("rds!cluster", 311).rotation_rules(RotationRules::new().automatically_after_days(7)))?;
    let report = store.maintain()?;
    assert_eq!((report.rotated_secrets, report.failed_rotations), (3, 1), "{report:?}");
    clock.advance(TimeDelta::milliseconds(1001));
    main.cancel_rotate_secret(CancelRotateSecretRequest::new("rotates/cancelled"))?;

    main.rotate_secret(rotate("rotates/begun", 307).rotation_lambda_arn(FUNCTION))?;
    let tested = rotate("rotates/tested", 309).rotation_lambda_arn(FUNCTION).rotate_immediately(false);
    main.rotate_secret(tested.rotation_rules(RotationRules::new().schedule_expression("rate(1 day)")))?;
    let partner = rotate("rotates/partner", 313).external_secret_rotation_role_arn("arn:aws:iam::111122223333:role/p");
    let item = ExternalSecretRotationMetadataItem::new("Schlüssel", "v".repeat(2048));
    main.rotate_secret(partner.external_secret_rotation_metadata([item]))?;
    Ok(())
}

#[test]
#[ignore = "writes the golden store anew"]
fn write_the_golden_store() {
    let (clock, log) = (ManualClock::at_millis(NOW), RecordingBackend::new());
    let store = SecretStore::with_backend(log.clone())
        .key_provider(StaticKey::new(PROVIDER_KEY))
        .clock(clock.clone())
        .entropy(SeededEntropy::new(1))
        .rotation_function(FUNCTION, Renew)
        .managed_rotation("rds", Renew)
        .partner_rotation("Partner", Renew)
        // On the thread of the test, so that everything random comes in one order.
        .rotation_timeout(None)
        .open()
        .unwrap();
    write(&clock, &store).unwrap();
    store.close().unwrap();
    let written = records(&log);
    let contents = Contents::with_placeholders(&builder(backend(&written), 2).open().unwrap()).unwrap();
    let records = written.into_iter().map(|(key, value)| Record { key: Hex(key), value: Hex(value) }).collect();
    let dump = Dump { provider_key: Hex(PROVIDER_KEY.to_vec()), records };
    std::fs::write(path("v1/golden.json"), serde_json::to_string_pretty(&dump).unwrap() + "\n").unwrap();
    std::fs::write(path("v1/expected.json"), serde_json::to_string_pretty(&contents).unwrap() + "\n").unwrap();
}

/// What a store tells of a secret: a placeholder is in no list of versions.
pub(crate) fn as_listed(secret: &Secret) -> Secret {
    let versions = secret.versions.iter().filter(|version| version.value.is_some()).cloned().collect();
    Secret { versions, ..secret.clone() }
}

#[track_caller]
pub(crate) fn check(records: &Records, expected: &Contents) {
    let store = builder(backend(records), 2).open().unwrap();
    assert_eq!(store.stats().unwrap().secrets, expected.secrets.len() as u64);
    for secret in &expected.secrets {
        let manager = store.secrets_manager(&secret.account, &secret.region).unwrap();
        check_labels(&manager.describe_secret(DescribeSecretRequest::new(&secret.name)).unwrap(), secret);
        let found = Secret::of(&manager, &secret.name).unwrap();
        assert_eq!(found, as_listed(secret));
    }
    let names = |contents: &Contents| -> Vec<_> {
        contents.secrets.iter().map(|s| (s.account.clone(), s.region.clone(), s.name.clone())).collect()
    };
    assert_eq!(names(&Contents::of(&store).unwrap()), names(expected));
}

/// `DescribeSecret` tells the labels of placeholders too.
#[track_caller]
fn check_labels(described: &strongroom::DescribeSecretResponse, expected: &Secret) {
    let found = described.version_ids_to_stages.clone().unwrap_or_default();
    let found: Vec<_> = found
        .into_iter()
        .map(|(id, mut stages)| {
            stages.sort();
            (id, stages)
        })
        .collect();
    let labelled = expected.versions.iter().filter(|version| !version.stages.is_empty());
    let labelled: Vec<_> = labelled.map(|version| (version.id.clone(), version.stages.clone())).collect();
    assert_eq!(found, labelled, "{}", expected.name);
}

#[test]
fn the_golden_store_of_format_1_reads_as_it_was_written() {
    let (records, expected) = golden();
    check(&records, &expected);
}

/// Guards `expected.json` itself: what the generator's steps mean, in the words of the API.
#[test]
fn the_golden_store_holds_what_its_story_says() {
    let (_, expected) = golden();
    let find = |name: &str| expected.secrets.iter().find(|s| s.name == name && s.account == "111122223333").unwrap();
    let version = |name: &str, number| find(name).versions.iter().find(|v| v.id == id(number)).unwrap();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let day = NOW / 86_400_000 * 86_400_000;

    assert_eq!(expected.secrets.len(), 25);
    assert_eq!(version("db/main", 1).value, text("first"));
    assert_eq!(version("db/main", 1).stages, Vec::<String>::new(), "deprecated");
    assert_eq!(version("db/main", 1).last_accessed, Some(day));
    assert_eq!(version("db/main", 2).stages, ["AWSPREVIOUS"]);
    assert_eq!(version("db/main", 3).value, text("third: größer, 秘密, \u{1F511}"));
    assert_eq!(version("db/main", 3).stages, ["AWSCURRENT"]);
    assert_eq!(version("db/main", 4).stages, ["AWSPENDING", "blue"]);
    assert_eq!(version("db/main", 4).last_accessed, None);
    assert_eq!(find("db/main").last_accessed, Some(day));
    assert_eq!(version("binary", 6).value, Some(Value::Bytes(Hex((0..=255).collect()))));
    assert_eq!(version("binary", 7).value, Some(Value::Bytes(Hex(vec![0]))));
    assert_eq!(find("described").tags.as_ref().unwrap().len(), 50);
    assert_eq!(version("described", 5).value, text(&"x".repeat(65_536)));
    assert_eq!(find("tagged-with-nothing").tags, Some(vec![]));
    assert_eq!((&find("without-value").tags, find("without-value").versions.len()), (&None, 0));
    assert_eq!(find("partner").r#type.as_deref(), Some("Partner"));
    assert_eq!(find("two-keys").kms_key_id.as_deref(), Some("alias/other"));
    assert_eq!(version("two-keys", 8).kms_key_ids, ["DefaultEncryptionKey"], "was deprecated when the key changed");
    assert!(version("two-keys", 10).kms_key_ids.iter().any(|key| key == "alias/other"), "was current then");
    assert_eq!(version("two-keys", 11).kms_key_ids, ["alias/other"]);
    assert_eq!(version("two-keys", 9).stages, ["old"]);
    assert_eq!(find("many").versions.len(), 102);
    assert_eq!((version("many", 100).value.clone(), version("many", 201).value.clone()), (text("0"), text("101")));
    let days = |name: &str| (find(name).deleted.unwrap() - find(name).last_changed) / 86_400_000;
    assert_eq!((days("scheduled"), days("scheduled-later")), (7, 30));
    assert_eq!(find("restored").deleted, None);
    for (name, reader) in [
        ("db/main", "444455556666"),
        ("without-value", "*"),
        ("scheduled", "000000000007"),
        ("restored", "000000000014"),
    ] {
        assert_eq!(find(name).policies, [("default".to_owned(), policy(reader))], "{name}");
    }
    let has_none = |name: &str| find(name).policies.is_empty();
    assert!(has_none("binary") && has_none("scheduled-later") && has_none("described"));
    for (account, region) in [("444455556666", "eu-central-1"), ("444455556666", "us-gov-west-1")] {
        let is_other = |s: &&Secret| s.account == account && s.region == region && s.name == "db/main";
        let other = expected.secrets.iter().find(is_other).unwrap();
        assert_eq!(other.versions[0].value, text(&format!("{account} {region}")));
    }
}

/// The same of the secrets that rotate.
#[test]
fn the_secrets_of_the_golden_store_are_in_every_state_of_a_rotation() {
    let (_, expected) = golden();
    let find = |name: &str| expected.secrets.iter().find(|s| s.name == name).unwrap();
    let rotation = |name: &str| find(name).rotation.clone().unwrap();
    let current = |name: &str| {
        let is_current = |version: &&Version| version.stages.iter().any(|stage| stage == "AWSCURRENT");
        find(name).versions.iter().find(is_current).unwrap().id.clone()
    };
    let running = |name: &str| {
        let running = rotation(name).running.unwrap();
        (running.version, running.test, running.attempts, running.next.is_some())
    };
    let midnight = NOW / 86_400_000 * 86_400_000;

    for (name, number) in [("rotates/scheduled", 301), ("rotates/cancelled", 305), ("rds!cluster", 311)] {
        assert_eq!(current(name), id(number), "{name} was rotated");
        assert!(rotation(name).rotated.is_some() && rotation(name).running.is_none(), "{name}");
    }
    // The first of December 2023, at four.
    let start = 1_701_403_200_000;
    assert_eq!(rotation("rotates/scheduled").window, Some((start, start + 3 * 3_600_000)));
    assert_eq!(rotation("rotates/scheduled").next, Some(start + 3 * 3_600_000 - 1000));
    assert_eq!(rotation("rotates/scheduled").days_shown, Some(30));
    let cancelled = rotation("rotates/cancelled");
    assert_eq!((cancelled.enabled, cancelled.window, cancelled.next), (false, None, None));
    assert_eq!(cancelled.rules.unwrap().expression.as_deref(), Some("rate(12 hours)"));
    let managed = rotation("rds!cluster");
    assert_eq!((find("rds!cluster").owning_service.as_deref(), managed.function), (Some("rds"), None));
    assert_eq!(managed.window, Some((midnight + 7 * 86_400_000, midnight + 8 * 86_400_000)));

    assert_eq!(running("rotates/failing"), (id(303), false, 1, true));
    assert!(rotation("rotates/failing").running.unwrap().failure.unwrap().1.ends_with("größer than allowed"));
    assert_eq!(running("rotates/begun"), (id(307), false, 0, true));
    assert_eq!((rotation("rotates/begun").rules, rotation("rotates/begun").window), (None, None));
    assert_eq!(running("rotates/tested"), (id(309), true, 0, true));
    assert_eq!(running("rotates/partner"), (id(313), false, 0, true));
    assert_eq!(rotation("rotates/partner").metadata.unwrap(), [("Schlüssel".to_owned(), "v".repeat(2048))]);
    assert_eq!(rotation("rotates/partner").role.as_deref(), Some("arn:aws:iam::111122223333:role/p"));
    for (name, number) in [("failing", 302), ("begun", 306), ("tested", 308), ("partner", 312)] {
        let secret = find(&format!("rotates/{name}"));
        assert_eq!(current(&secret.name), id(number), "{name}");
        let pending = secret.versions.iter().find(|version| version.id == id(number + 1)).unwrap();
        assert_eq!((pending.stages.as_slice(), &pending.value), (["AWSPENDING".to_owned()].as_slice(), &None));
    }
}

/// The same of the secret that has replicas.
#[test]
fn the_replicas_of_the_golden_store_have_what_their_primary_has_and_one_cannot_be_made() {
    let (_, expected) = golden();
    let find = |account: &str, region: &str, name: &str| {
        expected.secrets.iter().find(|s| (&*s.account, &*s.region, &*s.name) == (account, region, name)).unwrap()
    };
    let primary = find("111122223333", "eu-central-1", "replicated");
    let shown: Vec<_> = primary.replica_regions.iter().map(|r| (&*r.region, &*r.kms_key_id, &*r.status)).collect();
    let default = "alias/aws/secretsmanager";
    assert_eq!(shown, [("eu-west-1", "alias/other", "InSync"), ("eu-west-2", default, "Failed")]);
    let message = primary.replica_regions[1].message.as_deref();
    assert_eq!(message, Some("Replication failed: Secret name replicated already exists in region eu-west-2."));
    let [copied] = primary.account_replicas.as_slice() else { panic!("{:?}", primary.account_replicas) };
    assert_eq!((copied.status.as_str(), &copied.message), ("InSync", &None));
    assert_eq!(copied.role.as_deref(), Some("arn:aws:iam::111122223333:role/replicates"));

    let replica = find("111122223333", "eu-west-1", "replicated");
    assert_eq!(replica.arn, primary.arn.replace("eu-central-1", "eu-west-1"));
    assert_eq!(replica.primary_region.as_deref(), Some("eu-central-1"));
    let copy = find("444455556666", "eu-central-1", "copied");
    assert_eq!(copy.arn, copied.arn);
    let follows = |secret: &Secret| secret.account_primary.as_ref().map(|p| (p.arn.clone(), p.status.clone())).unwrap();
    assert_eq!(follows(copy), (primary.arn.clone(), "InSync".to_owned()));
    let waiting = find("444455556666", "eu-central-1", "waiting");
    assert_eq!((follows(waiting), waiting.versions.len()), ((primary.arn.clone(), "Pending".to_owned()), 0));

    for (secret, key) in [(primary, "DefaultEncryptionKey"), (replica, "alias/other"), (copy, "alias/shared")] {
        for (number, text, stage) in [(400, "first", "AWSPREVIOUS"), (401, "second", "AWSCURRENT")] {
            let version = secret.versions.iter().find(|version| version.id == id(number)).unwrap();
            let what = format!("{} {}", secret.account, secret.region);
            assert_eq!(version.value, Some(Value::Text(text.to_owned())), "{what}");
            assert_eq!(
                (version.stages.as_slice(), version.kms_key_ids.as_slice()),
                ([stage.to_owned()].as_slice(), [key.to_owned()].as_slice()),
                "{what}"
            );
        }
    }
    let other = find("111122223333", "eu-west-2", "replicated");
    assert_eq!(other.versions[0].value, Some(Value::Text("somebody else's".to_owned())));
    assert_eq!(other.primary_region, None);
}

#[test]
fn a_store_that_the_script_wrote_from_the_description_alone_opens_and_reads() {
    let (records, expected) = written("v1/written_by_script.json");
    check(&records, &expected);
}

#[test]
fn a_store_that_the_script_wrote_can_be_changed() {
    let (records, _) = written("v1/written_by_script.json");
    let shared = backend(&records);
    let store = builder(shared.clone(), 2).open().unwrap();
    let manager = store.secrets_manager("111122223333", "eu-central-1").unwrap();
    manager.put_secret_value(PutSecretValueRequest::new("plain", "two")).unwrap();
    store.close().unwrap();
    let store = builder(shared, 3).open().unwrap();
    let manager = store.secrets_manager("111122223333", "eu-central-1").unwrap();
    for (label, value) in [("AWSCURRENT", "two"), ("AWSPREVIOUS", "one")] {
        let read = manager.get_secret_value(GetSecretValueRequest::new("plain").version_stage(label)).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), value);
    }
}

#[test]
fn the_golden_store_does_not_open_under_another_key() {
    let (records, _) = golden();
    let opened = builder(backend(&records), 2).key_provider(StaticKey::new([0x43; 32])).open();
    let error = opened.map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error:?}");
}
