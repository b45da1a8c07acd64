//! `ClientRequestToken`: what a repeated call does, and what a reused token may not do.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, PutSecretValueRequest, RestoreSecretRequest,
    SecretValue, Tag, UpdateSecretRequest,
};

use crate::fixture::{CURRENT, Fixture, NO_TOKEN, PREVIOUS, creation, putting, refused, token, value};

fn updating(id: &str, n: usize) -> UpdateSecretRequest {
    UpdateSecretRequest::new(id).client_request_token(token(n)).secret_string(value(n))
}

fn taken(arn: &str, n: usize) -> String {
    let token = token(n);
    format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
    )
}

#[test]
fn the_token_is_the_id_of_the_version_it_makes() {
    let fixture = Fixture::new();
    // Any text of 32 to 64 characters will do, such as the ones that Terraform makes.
    let created = creation("app", 1).client_request_token("terraform-20240812120000000000000001");
    assert_eq!(
        fixture.secrets.create_secret(created).unwrap().version_id.unwrap(),
        "terraform-20240812120000000000000001"
    );
    assert_eq!(fixture.secrets.put_secret_value(putting("app", 2)).unwrap().version_id, token(2));
    assert_eq!(fixture.secrets.update_secret(updating("app", 3)).unwrap().version_id, Some(token(3)));
    let odd = "пробел и знак: ☃ 'quoted' \"twice\"";
    assert!((32..=64).contains(&odd.chars().count()));
    let put = PutSecretValueRequest::new("app", "v").client_request_token(odd);
    assert_eq!(fixture.secrets.put_secret_value(put).unwrap().version_id, odd);
    assert_eq!(fixture.get(GetSecretValueRequest::new("app").version_id(odd)).version_id, odd);
}

#[test]
fn a_caller_without_a_token_is_given_a_random_uuid() {
    let fixture = Fixture::new();
    let created = fixture.secrets.create_secret(CreateSecretRequest::new("app").secret_string("one")).unwrap();
    let put = fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", "two")).unwrap();
    let updated = fixture.secrets.update_secret(UpdateSecretRequest::new("app").secret_string("three")).unwrap();
    let ids = [created.version_id.unwrap(), put.version_id, updated.version_id.unwrap()];
    for id in &ids {
        let uuid = uuid::Uuid::parse_str(id).unwrap();
        assert_eq!((uuid.get_version_num(), uuid.to_string()), (4, id.clone()));
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

/// A raw request without a token is refused before anything is looked up.
#[test]
fn a_store_that_requires_tokens_refuses_calls_without_one() {
    let fixture = Fixture::with(|builder| builder.require_client_request_token(true));
    fixture.create("app");
    let secrets = &fixture.secrets;
    for id in ["app", "nope"] {
        refused(secrets.create_secret(CreateSecretRequest::new(id).secret_string("v")), NO_TOKEN);
        refused(secrets.create_secret(CreateSecretRequest::new(id)), NO_TOKEN);
        refused(secrets.put_secret_value(PutSecretValueRequest::new(id, "v")), NO_TOKEN);
        refused(secrets.update_secret(UpdateSecretRequest::new(id).secret_string("v")), NO_TOKEN);
        refused(secrets.update_secret(UpdateSecretRequest::new(id).description("d")), NO_TOKEN);
    }
    fixture.put("app", 2, &[]);
    secrets.update_secret(updating("app", 3)).unwrap();
    assert_eq!(fixture.read("app"), "value 3");
}

#[test]
fn a_repeated_creation_gives_the_first_answer_and_changes_nothing() {
    let fixture = Fixture::new();
    let first = fixture.secrets.create_secret(creation("app", 1).description("first")).unwrap();
    let before = fixture.describe("app");
    fixture.advance(TimeDelta::hours(1));
    // Only the value is compared; what else the repetition says is ignored.
    let again = creation("app", 1).description("again").kms_key_id("alias/other").tags([Tag::new("k", "v")]);
    assert_eq!(fixture.secrets.create_secret(again).unwrap(), first);
    assert_eq!(fixture.describe("app"), before);

    // The first version need not be the current one for that.
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &[]);
    let before = fixture.describe("app");
    assert_eq!(fixture.secrets.create_secret(creation("app", 1)).unwrap(), first);
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(fixture.read("app"), "value 3");
}

#[test]
fn a_repeated_put_gives_the_labels_as_they_are_and_moves_none() {
    let fixture = Fixture::with_value("app");
    let arn = fixture.describe("app").arn;
    fixture.put("app", 2, &["blue"]);
    fixture.put("app", 3, &["green"]);
    let before = fixture.describe("app");
    fixture.advance(TimeDelta::hours(1));
    for (n, labels) in [(1, CURRENT), (2, "blue"), (3, "green")] {
        for request in [putting("app", n), putting("app", n).version_stages([CURRENT, "blue", "new"])] {
            let again = fixture.secrets.put_secret_value(request).unwrap();
            assert_eq!((&again.arn, again.name.as_str()), (&arn, "app"));
            assert_eq!((again.version_id, again.version_stages), (token(n), vec![labels.to_owned()]));
        }
    }
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(fixture.versions("app").len(), 3);

    // The labels in the answer are those of now, not those of then.
    fixture.put("app", 4, &[]);
    let again = fixture.secrets.put_secret_value(putting("app", 1)).unwrap();
    assert_eq!(again.version_stages, [PREVIOUS]);
    assert_eq!(fixture.read("app"), "value 4");
}

#[test]
fn a_repeated_update_succeeds_with_the_version_and_moves_no_label() {
    let fixture = Fixture::with_value("app");
    fixture.secrets.update_secret(updating("app", 2)).unwrap();
    let before = fixture.describe("app");
    fixture.advance(TimeDelta::hours(1));
    for n in [1, 2] {
        let again = fixture.secrets.update_secret(updating("app", n)).unwrap();
        assert_eq!((again.arn, again.name, again.version_id), (before.arn.clone(), "app".into(), Some(token(n))));
    }
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(fixture.read("app"), "value 2");

    // What is not the value is applied.
    fixture.secrets.update_secret(updating("app", 1).description("new")).unwrap();
    assert_eq!(fixture.describe("app").description.as_deref(), Some("new"));
    assert_eq!(fixture.labels("app"), [(token(1), vec![PREVIOUS.into()]), (token(2), vec![CURRENT.into()])].into());
}

#[test]
fn a_reused_token_with_another_value_is_refused() {
    let fixture = Fixture::with_value("app");
    let arn = fixture.describe("app").arn;
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &["blue"]);
    fixture.put("app", 4, &[]);
    let before = fixture.describe("app");
    fixture.advance(TimeDelta::hours(1));
    // Version 1 has no label by now: it still occupies its token.
    for n in 1..=4 {
        let expected = taken(&arn, n);
        let expected = ("ResourceExistsException", expected.as_str());
        refused(fixture.secrets.create_secret(creation("app", n).secret_string("other")), expected);
        let put = PutSecretValueRequest::new("app", "other").client_request_token(token(n));
        refused(fixture.secrets.put_secret_value(put), expected);
        refused(fixture.secrets.update_secret(updating("app", n).secret_string("other")), expected);
    }
    assert_eq!(fixture.describe("app"), before);
    for n in 1..=4 {
        assert_eq!(fixture.read_version("app", n), value(n));
    }
}

#[test]
fn the_same_bytes_as_text_and_as_binary_are_different_values() {
    let fixture = Fixture::with_value("app");
    let expected = taken(&fixture.describe("app").arn, 1);
    let expected = ("ResourceExistsException", expected.as_str());
    let bytes: SecretValue = value(1).into_bytes().into();
    let put = PutSecretValueRequest::new("app", bytes).client_request_token(token(1));
    refused(fixture.secrets.put_secret_value(put), expected);
    let create = CreateSecretRequest::new("app").client_request_token(token(1)).secret_binary(value(1).into_bytes());
    refused(fixture.secrets.create_secret(create), expected);
}

#[test]
fn a_token_is_free_in_every_other_secret() {
    let fixture = Fixture::with_value("one");
    let other = CreateSecretRequest::new("two").client_request_token(token(1)).secret_string("other");
    assert_eq!(fixture.secrets.create_secret(other).unwrap().version_id, Some(token(1)));
    assert_eq!((fixture.read("one"), fixture.read("two")), ("value 1".into(), "other".into()));
}

/// The token of a version that was removed is free again; that of one without labels is not.
#[test]
fn a_token_is_free_again_when_its_version_is_physically_gone() {
    let fixture = Fixture::with_value("app");
    for n in 2..=101 {
        fixture.put("app", n, &[]);
    }
    let other = || PutSecretValueRequest::new("app", "other").client_request_token(token(1));
    let expected = taken(&fixture.describe("app").arn, 1);
    refused(fixture.secrets.put_secret_value(other()), ("ResourceExistsException", &expected));
    fixture.advance(TimeDelta::hours(24));
    assert_eq!(fixture.store.maintain().unwrap().removed_versions, 1);
    fixture.secrets.put_secret_value(other()).unwrap();
    assert_eq!(fixture.read("app"), "other");
}

#[test]
fn a_token_of_a_deleted_secret_is_free_in_its_successor_and_taken_again_after_a_restore() {
    let fixture = Fixture::with_value("app");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app").force_delete_without_recovery(true)).unwrap();
    let arn = fixture.secrets.create_secret(creation("app", 1).secret_string("other")).unwrap().arn;
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    refused(fixture.secrets.put_secret_value(putting("app", 1)), ("ResourceExistsException", &taken(&arn, 1)));
    assert_eq!(fixture.read("app"), "other");
}
