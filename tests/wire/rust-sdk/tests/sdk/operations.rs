//! Every operation once.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use aws_sdk_secretsmanager::types::{ReplicaRegionType, ReplicationStatusType, Tag};

use crate::server::{Server, refused};

const V1: &str = "00000000-0000-0000-0000-000000000001";
const V2: &str = "00000000-0000-0000-0000-000000000002";

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// The labels of every version that has some, as sorted text.
async fn stages(client: &Client, secret_id: &str) -> Vec<String> {
    let described = client.describe_secret().secret_id(secret_id).send().await.unwrap();
    let versions = described.version_ids_to_stages.unwrap_or_default();
    let mut stages: Vec<String> = versions
        .into_iter()
        .map(|(version, mut labels)| {
            labels.sort();
            format!("{version} {}", labels.join(" "))
        })
        .collect();
    stages.sort();
    stages
}

#[tokio::test]
async fn a_secret_lives() {
    let server = Server::start();
    let client = server.client();
    let created = client
        .create_secret()
        .name("db/main")
        .secret_string("one")
        .client_request_token(V1)
        .description("about")
        .tags(tag("team", "a"))
        .send()
        .await
        .unwrap();
    let arn = created.arn.unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:111122223333:secret:db/main-"));
    assert_eq!((created.name.as_deref(), created.version_id.as_deref()), (Some("db/main"), Some(V1)));
    assert_eq!(created.replication_status, None);

    let put = client.put_secret_value().secret_id("db/main").secret_string("two").client_request_token(V2);
    let put = put.send().await.unwrap();
    assert_eq!(put.arn.as_deref(), Some(arn.as_str()));
    assert_eq!((put.version_id.as_deref(), put.version_stages()), (Some(V2), &["AWSCURRENT".to_owned()][..]));

    for secret_id in ["db/main", &arn, &arn[..arn.len() - 7]] {
        let got = client.get_secret_value().secret_id(secret_id).send().await.unwrap();
        assert_eq!((got.secret_string.as_deref(), got.secret_binary), (Some("two"), None));
        assert_eq!((got.arn.as_deref(), got.version_id.as_deref()), (Some(arn.as_str()), Some(V2)));
    }
    let got = client.get_secret_value().secret_id("db/main").version_stage("AWSPREVIOUS").send().await.unwrap();
    assert_eq!(got.secret_string.as_deref(), Some("one"));
    let got = client.get_secret_value().secret_id("db/main").version_id(V1).send().await.unwrap();
    assert_eq!((got.secret_string.as_deref(), got.version_stages()), (Some("one"), &["AWSPREVIOUS".to_owned()][..]));

    let described = client.describe_secret().secret_id("db/main").send().await.unwrap();
    assert_eq!(described.description.as_deref(), Some("about"));
    assert_eq!(described.tags, Some(vec![tag("team", "a")]));
    assert_eq!((described.rotation_enabled, described.kms_key_id, described.deleted_date), (None, None, None));
    assert_eq!(stages(&client, "db/main").await, [format!("{V1} AWSPREVIOUS"), format!("{V2} AWSCURRENT")]);

    let updated = client.update_secret().secret_id("db/main").description("changed").send().await.unwrap();
    assert_eq!(updated.version_id, None);
    let updated = client.update_secret().secret_id("db/main").secret_string("three").send().await.unwrap();
    assert_eq!(updated.version_id.map(|version| version.len()), Some(36));

    let listed = client.list_secrets().send().await.unwrap();
    let [entry] = listed.secret_list() else { panic!("{:?}", listed.secret_list()) };
    assert_eq!((entry.name(), entry.description()), (Some("db/main"), Some("changed")));
    assert_eq!(entry.secret_versions_to_stages().map(|versions| versions.len()), Some(2));

    let versions = client.list_secret_version_ids().secret_id("db/main").include_deprecated(true).send().await.unwrap();
    let ids: Vec<_> = versions.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!((ids.len(), ids[0], ids[1]), (3, V1, V2));
    assert!(versions.versions().iter().all(|version| version.kms_key_ids() == ["DefaultEncryptionKey"]));

    let deleted = client.delete_secret().secret_id("db/main").recovery_window_in_days(7).send().await.unwrap();
    let deletion_date = deleted.deletion_date.unwrap();
    let described = client.describe_secret().secret_id("db/main").send().await.unwrap();
    assert_eq!(described.deleted_date, Some(deletion_date));
    assert!(client.list_secrets().send().await.unwrap().secret_list().is_empty());
    let planned = client.list_secrets().include_planned_deletion(true).send().await.unwrap();
    assert_eq!(planned.secret_list().len(), 1);
    client.restore_secret().secret_id("db/main").send().await.unwrap();
    let got = client.get_secret_value().secret_id("db/main").send().await.unwrap();
    assert_eq!(got.secret_string.as_deref(), Some("three"));

    client.delete_secret().secret_id("db/main").force_delete_without_recovery(true).send().await.unwrap();
    let gone = client.describe_secret().secret_id("db/main").send().await;
    refused(gone, 400, "ResourceNotFoundException", Some("Secrets Manager can't find the specified secret."));
}

#[tokio::test]
async fn bytes_come_back_as_they_were() {
    let server = Server::start();
    let client = server.client();
    let values = [vec![0], (0..=255).collect(), vec![255; 65_536]];
    for (number, value) in values.into_iter().enumerate() {
        let name = format!("binary-{number}");
        client.create_secret().name(&name).secret_binary(Blob::new(value.clone())).send().await.unwrap();
        let got = client.get_secret_value().secret_id(&name).send().await.unwrap();
        assert_eq!((got.secret_binary, got.secret_string), (Some(Blob::new(value.clone())), None));
        let batch = client.batch_get_secret_value().secret_id_list(&name).send().await.unwrap();
        assert_eq!(batch.secret_values()[0].secret_binary(), Some(&Blob::new(value)));
    }
}

#[tokio::test]
async fn several_values_are_read_at_once() {
    let server = Server::start();
    let client = server.client();
    for name in ["one", "two"] {
        client.create_secret().name(name).secret_string(name).send().await.unwrap();
    }
    let batch = client.batch_get_secret_value().set_secret_id_list(Some(vec![
        "two".to_owned(),
        "missing".to_owned(),
        "one".to_owned(),
    ]));
    let batch = batch.send().await.unwrap();
    let values: Vec<_> = batch.secret_values().iter().filter_map(|value| value.secret_string()).collect();
    assert_eq!(values, ["two", "one"]);
    let [error] = batch.errors() else { panic!("{:?}", batch.errors()) };
    assert_eq!(error.secret_id(), Some("missing"));
    assert_eq!(error.error_code(), Some("ResourceNotFoundException"));
    assert_eq!(error.message(), Some("Secrets Manager can't find the specified secret."));
}

#[tokio::test]
async fn labels_rotate() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("one").client_request_token(V1).send().await.unwrap();
    let put = client.put_secret_value().secret_id("a").secret_string("two").client_request_token(V2);
    put.version_stages("AWSPENDING").send().await.unwrap();
    assert_eq!(stages(&client, "a").await, [format!("{V1} AWSCURRENT"), format!("{V2} AWSPENDING")]);
    let update = client.update_secret_version_stage().secret_id("a").version_stage("AWSCURRENT");
    update.remove_from_version_id(V1).move_to_version_id(V2).send().await.unwrap();
    assert_eq!(stages(&client, "a").await, [format!("{V1} AWSPREVIOUS"), format!("{V2} AWSCURRENT AWSPENDING")]);
    let update = client.update_secret_version_stage().secret_id("a").version_stage("AWSPENDING");
    update.remove_from_version_id(V2).send().await.unwrap();
    assert_eq!(stages(&client, "a").await, [format!("{V1} AWSPREVIOUS"), format!("{V2} AWSCURRENT")]);
}

#[tokio::test]
async fn tags_are_absent_until_there_were_some() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").send().await.unwrap();
    let tags = async || client.describe_secret().secret_id("a").send().await.unwrap().tags;
    assert_eq!(tags().await, None);
    client.tag_resource().secret_id("a").tags(tag("b", "1")).tags(tag("a", "")).send().await.unwrap();
    assert_eq!(tags().await, Some(vec![tag("b", "1"), tag("a", "")]));
    client.untag_resource().secret_id("a").tag_keys("a").tag_keys("b").send().await.unwrap();
    assert_eq!(tags().await, Some(vec![]));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the clock of the server is the clock of the machine")]
async fn dates_arrive_in_milliseconds() {
    let server = Server::start();
    let client = server.client();
    let before = DateTime::from(SystemTime::now()).to_millis().unwrap();
    client.create_secret().name("a").secret_string("x").send().await.unwrap();
    let after = DateTime::from(SystemTime::now()).to_millis().unwrap();
    client.get_secret_value().secret_id("a").send().await.unwrap();
    let described = client.describe_secret().secret_id("a").send().await.unwrap();
    let created = described.created_date.unwrap();
    assert!((before..=after).contains(&created.to_millis().unwrap()));
    assert_eq!(described.last_changed_date, Some(created));
    let accessed = described.last_accessed_date.unwrap();
    assert_eq!((accessed.secs() % 86_400, accessed.subsec_nanos()), (0, 0));
}

#[tokio::test]
async fn a_random_password_is_made_of_what_is_allowed() {
    let server = Server::start();
    let client = server.client();
    let default = client.get_random_password().send().await.unwrap().random_password.unwrap();
    assert_eq!(default.chars().count(), 32);
    let digits = client.get_random_password().password_length(100).exclude_lowercase(true).exclude_uppercase(true);
    let digits = digits.exclude_punctuation(true).exclude_characters("09").send().await.unwrap();
    let digits = digits.random_password.unwrap();
    assert_eq!(digits.len(), 100);
    assert!(digits.chars().all(|c| ('1'..='8').contains(&c)));
}

#[tokio::test]
async fn accounts_and_regions_are_separate() {
    let server = Server::start();
    let places = [("1", "us-east-1"), ("1", "eu-west-1"), ("2", "us-east-1")];
    let places = places.map(|(number, region)| (number.repeat(12), region));
    for (account, region) in &places {
        let client = server.client_of(account, region);
        let created = client.create_secret().name("same").secret_string(format!("{account} {region}"));
        let arn = created.send().await.unwrap().arn.unwrap();
        assert!(arn.starts_with(&format!("arn:aws:secretsmanager:{region}:{account}:secret:same-")), "{arn}");
    }
    for (account, region) in &places {
        let client = server.client_of(account, region);
        let got = client.get_secret_value().secret_id("same").send().await.unwrap();
        assert_eq!(got.secret_string, Some(format!("{account} {region}")));
        assert_eq!(client.list_secrets().send().await.unwrap().secret_list().len(), 1);
    }
}

#[tokio::test]
async fn a_repeated_token_with_the_same_value_changes_nothing() {
    let server = Server::start();
    let client = server.client();
    let create = client.create_secret().name("a").secret_string("one").client_request_token(V1);
    let first = create.clone().send().await.unwrap();
    let again = create.send().await.unwrap();
    assert_eq!((first.arn, first.version_id), (again.arn, again.version_id));
    let put = client.put_secret_value().secret_id("a").secret_binary(Blob::new("two")).client_request_token(V2);
    put.clone().send().await.unwrap();
    let before = stages(&client, "a").await;
    let again = put.version_stages("ignored").send().await.unwrap();
    assert_eq!(again.version_stages(), ["AWSCURRENT"]);
    let update = client.update_secret().secret_id("a").secret_string("one").client_request_token(V1);
    assert_eq!(update.send().await.unwrap().version_id.as_deref(), Some(V1));
    assert_eq!(stages(&client, "a").await, before);
}

#[tokio::test]
async fn a_store_is_there_again_after_a_kill() {
    let folder = crate::server::Folder::new();
    let server = Server::start_in(&folder, &[]);
    let client = server.client();
    client.create_secret().name("a").secret_string("one").send().await.unwrap();
    client.put_secret_value().secret_id("a").secret_string("two").send().await.unwrap();
    server.kill();
    let server = Server::start_in(&folder, &[]);
    let got = server.client().get_secret_value().secret_id("a").send().await.unwrap();
    assert_eq!(got.secret_string.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_policy_is_attached_shown_validated_and_detached() {
    let server = Server::start();
    let client = server.client();
    let arn = client.create_secret().name("a").secret_string("one").send().await.unwrap().arn;
    let policy = |principal: &str| {
        format!(
            "\n{{\"Statement\": {{\"Sid\": \"größer\", \"Effect\": \"Allow\", \"Principal\": {{\"AWS\": \"{principal}\"}}, \
             \"Action\": \"secretsmanager:GetSecretValue\", \"Resource\": \"*\"}}}}"
        )
    };
    let (good, broad) = (policy("444455556666"), policy("*"));
    let put = client.put_resource_policy().secret_id("a").block_public_policy(true);
    let done = put.clone().resource_policy(&good).send().await.unwrap();
    assert_eq!((done.name.as_deref(), &done.arn), (Some("a"), &arn));
    for (policy, code) in [
        (broad.as_str(), "PublicPolicyException"),
        ("{}", "MalformedPolicyDocumentException"),
        (
            &good.replace("Allow", "Deny").replace("444455556666", "*").replace("secretsmanager:GetSecretValue", "*"),
            "InvalidParameterException",
        ),
    ] {
        refused(put.clone().resource_policy(policy).send().await, 400, code, None);
    }
    let got = client.get_resource_policy().secret_id("a").send().await.unwrap();
    assert_eq!((got.resource_policy.as_deref(), &got.arn), (Some(good.as_str()), &arn));

    let validate = |policy: &str| client.validate_resource_policy().secret_id("a").resource_policy(policy);
    let passed = validate(&good).send().await.unwrap();
    assert!(passed.policy_validation_passed && passed.validation_errors().is_empty());
    let failed = validate(&broad).send().await.unwrap();
    assert!(!failed.policy_validation_passed);
    assert_eq!(failed.validation_errors()[0].check_name(), Some("BlockPublicPolicyCheck"));

    client.delete_resource_policy().secret_id("a").send().await.unwrap();
    assert_eq!(client.get_resource_policy().secret_id("a").send().await.unwrap().resource_policy, None);
}

#[tokio::test]
async fn a_secret_is_replicated_and_its_replica_released() {
    let server = Server::start();
    let (client, ireland) = (server.client(), server.client_of("111122223333", "eu-west-1"));
    let region = |region: &str| ReplicaRegionType::builder().region(region).build();
    let create = client.create_secret().name("a").secret_string("one").add_replica_regions(region("eu-west-1"));
    let created = create.send().await.unwrap();
    let shown = |statuses: &[ReplicationStatusType]| -> Vec<(String, String)> {
        let text = |status: &ReplicationStatusType| status.status().unwrap().as_str().to_owned();
        statuses.iter().map(|status| (status.region().unwrap().to_owned(), text(status))).collect()
    };
    let in_sync = |regions: &[&str]| -> Vec<(String, String)> {
        regions.iter().map(|region| ((*region).to_owned(), "InSync".to_owned())).collect()
    };
    assert_eq!(shown(created.replication_status()), in_sync(&["eu-west-1"]));
    let replicate = client.replicate_secret_to_regions().secret_id("a").add_replica_regions(region("eu-west-2"));
    let replicated = replicate.send().await.unwrap();
    assert_eq!(shown(replicated.replication_status()), in_sync(&["eu-west-1", "eu-west-2"]));

    let got = ireland.get_secret_value().secret_id("a").send().await.unwrap();
    assert_eq!(
        (got.secret_string.as_deref(), got.arn),
        (Some("one"), created.arn.map(|arn| arn.replace("us-east", "eu-west")))
    );
    let text = "Operation not permitted on a replica secret. Call must be made in primary secret's region.";
    let put = ireland.put_secret_value().secret_id("a").secret_string("no");
    refused(put.send().await, 400, "InvalidParameterException", Some(text));
    assert_eq!(
        ireland.describe_secret().secret_id("a").send().await.unwrap().primary_region.as_deref(),
        Some("us-east-1")
    );

    ireland.stop_replication_to_replica().secret_id("a").send().await.unwrap();
    ireland.put_secret_value().secret_id("a").secret_string("its own").send().await.unwrap();
    let remove = client.remove_regions_from_replication().secret_id("a").remove_replica_regions("eu-west-2");
    assert_eq!(remove.send().await.unwrap().replication_status(), []);
    let invalid = client.replicate_secret_to_regions().secret_id("a").add_replica_regions(region("us-east-1"));
    refused(invalid.send().await, 400, "InvalidParameterException", Some("Invalid replica region."));
}

#[tokio::test]
async fn a_secret_that_nobody_was_named_for_is_not_rotated() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("one").send().await.unwrap();
    let before = client.describe_secret().secret_id("a").send().await.unwrap();
    refused(client.rotate_secret().secret_id("a").send().await, 400, "InvalidRequestException", None);
    refused(client.cancel_rotate_secret().secret_id("a").send().await, 400, "InvalidRequestException", None);
    let after = client.describe_secret().secret_id("a").send().await.unwrap();
    assert_eq!(after.last_changed_date, before.last_changed_date);
    assert_eq!(after.version_ids_to_stages, before.version_ids_to_stages);
}
