//! Errors as the client's own types, with code, text and status.

use std::fs;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use crate::server::{Folder, Server, refused};

const V1: &str = "00000000-0000-0000-0000-000000000001";
const UNKNOWN: &str = "00000000-0000-0000-0000-00000000000f";
const NOT_FOUND: &str = "Secrets Manager can't find the specified secret.";
const MARKED: &str = "You can't perform this operation on the secret because it was marked for deletion.";
const BAD_NAME: &str =
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let server = Server::start();
    let client = server.client();
    macro_rules! check {
        ($call:expr, $text:expr) => {
            let error = refused($call.send().await, 400, "ResourceNotFoundException", Some($text));
            assert!(error.is_resource_not_found_exception());
        };
    }
    check!(client.get_secret_value().secret_id("missing"), NOT_FOUND);
    check!(client.put_secret_value().secret_id("missing").secret_string("x"), NOT_FOUND);
    check!(client.update_secret().secret_id("missing").secret_string("x"), NOT_FOUND);
    check!(client.describe_secret().secret_id("missing"), NOT_FOUND);
    check!(client.delete_secret().secret_id("missing"), NOT_FOUND);
    check!(client.restore_secret().secret_id("missing"), NOT_FOUND);
    check!(client.list_secret_version_ids().secret_id("missing"), NOT_FOUND);
    check!(client.untag_resource().secret_id("missing").tag_keys("k"), NOT_FOUND);
    let update = client.update_secret_version_stage().secret_id("missing").version_stage("a");
    check!(update.move_to_version_id(UNKNOWN), NOT_FOUND);

    client.create_secret().name("a").secret_string("x").send().await.unwrap();
    check!(
        client.get_secret_value().secret_id("a").version_stage("AWSPENDING"),
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"
    );
    check!(
        client.get_secret_value().secret_id("a").version_id(UNKNOWN),
        "Secrets Manager can't find the specified secret value for VersionId: 00000000-0000-0000-0000-00000000000f"
    );
}

#[tokio::test]
async fn what_exists_is_not_made_again() {
    let server = Server::start();
    let client = server.client();
    let create = client.create_secret().name("a").secret_string("x");
    let arn = create.clone().client_request_token(V1).send().await.unwrap().arn.unwrap();
    let taken = "The operation failed because the secret a already exists.";
    let error = refused(create.clone().send().await, 400, "ResourceExistsException", Some(taken));
    assert!(error.is_resource_exists_exception());

    let taken = format!(
        "You can't use ClientRequestToken {V1} because that value is already in use for a version of secret {arn}."
    );
    let put = client.put_secret_value().secret_id("a").secret_string("y").client_request_token(V1);
    let error = refused(put.send().await, 400, "ResourceExistsException", Some(&taken));
    assert!(error.is_resource_exists_exception());
    let update = client.update_secret().secret_id("a").secret_string("y").client_request_token(V1);
    let error = refused(update.send().await, 400, "ResourceExistsException", Some(&taken));
    assert!(error.is_resource_exists_exception());
    let create = client.create_secret().name("a").secret_string("y").client_request_token(V1);
    let error = refused(create.send().await, 400, "ResourceExistsException", Some(&taken));
    assert!(error.is_resource_exists_exception());
}

#[tokio::test]
async fn what_the_state_forbids_is_refused() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("x").client_request_token(V1).send().await.unwrap();
    client.put_secret_value().secret_id("a").secret_string("y").send().await.unwrap();
    let get = client.get_secret_value().secret_id("a").version_id(V1).version_stage("AWSCURRENT");
    let text = "You provided a VersionStage that is not associated to the provided VersionId.";
    assert!(refused(get.send().await, 400, "InvalidRequestException", Some(text)).is_invalid_request_exception());

    client.delete_secret().secret_id("a").send().await.unwrap();
    macro_rules! check {
        ($call:expr, $text:expr) => {
            let error = refused($call.send().await, 400, "InvalidRequestException", Some($text));
            assert!(error.is_invalid_request_exception());
        };
    }
    check!(client.get_secret_value().secret_id("a"), MARKED);
    check!(client.put_secret_value().secret_id("a").secret_string("z"), MARKED);
    check!(client.update_secret().secret_id("a"), MARKED);
    check!(client.untag_resource().secret_id("a").tag_keys("k"), MARKED);
    check!(client.delete_secret().secret_id("a"), MARKED);
    check!(
        client.create_secret().name("a"),
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    );
}

#[tokio::test]
async fn parameters_that_exclude_each_other_are_refused() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("x").client_request_token(V1).send().await.unwrap();
    macro_rules! check {
        ($call:expr, $text:expr) => {
            let error = refused($call.send().await, 400, "InvalidParameterException", Some($text));
            assert!(error.is_invalid_parameter_exception());
        };
    }
    check!(
        client.delete_secret().secret_id("a").recovery_window_in_days(6),
        "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
    );
    check!(
        client.delete_secret().secret_id("a").recovery_window_in_days(7).force_delete_without_recovery(true),
        "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
    );
    check!(
        client.update_secret_version_stage().secret_id("a").version_stage("AWSCURRENT").remove_from_version_id(V1),
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."
    );
    check!(
        client.batch_get_secret_value().secret_id_list("a").max_results(1),
        "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
    );
    check!(
        client.get_random_password().password_length(3),
        "Password length is too short based on the required types."
    );
}

#[tokio::test]
async fn a_secret_holds_20_labels() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("x").client_request_token(V1).send().await.unwrap();
    let attach = |label: String| {
        client.update_secret_version_stage().secret_id("a").version_stage(label).move_to_version_id(V1).send()
    };
    for number in 1..20 {
        attach(format!("label-{number}")).await.unwrap();
    }
    let error = refused(attach("label-20".to_owned()).await, 400, "LimitExceededException", None);
    assert!(error.is_limit_exceeded_exception());
}

#[tokio::test]
async fn a_token_of_nobody_is_no_next_page() {
    let server = Server::start();
    let client = server.client();
    client.create_secret().name("a").secret_string("x").send().await.unwrap();
    let text = Some("The NextToken value is invalid.");
    let answer = client.list_secrets().next_token("made up").send().await;
    assert!(refused(answer, 400, "InvalidNextTokenException", text).is_invalid_next_token_exception());
    let answer = client.list_secret_version_ids().secret_id("a").next_token("made up").send().await;
    assert!(refused(answer, 400, "InvalidNextTokenException", text).is_invalid_next_token_exception());
    let filter = Filter::builder().key(FilterNameStringType::Name).values("a").build();
    let answer = client.batch_get_secret_value().filters(filter).next_token("made up").send().await;
    assert!(refused(answer, 400, "InvalidNextTokenException", text).is_invalid_next_token_exception());
}

#[tokio::test]
async fn errors_outside_the_model_have_a_code_and_a_text() {
    let server = Server::start();
    let client = server.client();
    let answer = client.get_secret_value().secret_id("Inv Name").send().await;
    refused(answer, 400, "ValidationException", Some(BAD_NAME));
    let answer = client.get_secret_value().secret_id("a").version_id("AWSCURRENT").send().await;
    let text = "1 validation error detected: Value 'AWSCURRENT' at 'versionId' failed to satisfy constraint: \
                Member must have length greater than or equal to 32";
    refused(answer, 400, "ValidationException", Some(text));
    let answer = client.create_secret().name("a").secret_string("x").kms_key_id("alias/nobody").send().await;
    refused(answer, 400, "AccessDeniedException", Some("Access to KMS is not allowed"));
    assert!(client.list_secrets().send().await.unwrap().secret_list().is_empty());
}

#[tokio::test]
async fn a_value_whose_key_is_missing_cannot_be_decrypted() {
    let folder = Folder::new();
    let keyring = folder.path().join("store.keyring");
    let server = Server::start_in(&folder, &[]);
    server.client().create_secret().name("early").secret_string("x").send().await.unwrap();
    let backup = fs::read(&keyring).unwrap();
    let client = server.client_of("444455556666", "us-east-1");
    client.create_secret().name("late").secret_string("x").send().await.unwrap();
    server.kill();

    fs::write(&keyring, backup).unwrap();
    let server = Server::start_in(&folder, &[]);
    server.client().get_secret_value().secret_id("early").send().await.unwrap();
    let client = server.client_of("444455556666", "us-east-1");
    let error = refused(client.get_secret_value().secret_id("late").send().await, 400, "DecryptionFailure", None);
    assert!(error.is_decryption_failure());
}
