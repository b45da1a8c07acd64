//! Creating, describing, reading, updating and putting.

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, PutSecretValueRequest, Tag, UpdateSecretRequest,
};

use crate::fixture::{
    CURRENT, Fixture, LABEL_ELSEWHERE, MARKED, NO_VALUE, NOT_FOUND, PENDING, PREVIOUS, code, creation, putting,
    refused, text, token, value,
};

/// Creating.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
#[test]
fn a_secret_created_with_a_value_has_one_current_version_named_by_the_token() {
    let fixture = Fixture::new();
    let created = fixture.secrets.create_secret(creation("app", 1)).unwrap();
    assert_eq!((created.name.as_str(), created.version_id), ("app", Some(token(1))));
    let described = fixture.describe("app");
    assert_eq!(described.arn, created.arn);
    assert_eq!(described.version_ids_to_stages, Some([(token(1), vec![CURRENT.to_owned()])].into()));
    assert_eq!(fixture.read("app"), "value 1");
}

#[test]
fn a_secret_created_without_a_value_has_no_version_until_one_is_put() {
    let fixture = Fixture::new();
    let created = fixture.secrets.create_secret(CreateSecretRequest::new("empty").description("")).unwrap();
    assert_eq!(created.version_id, None);
    let described = fixture.describe("empty");
    assert_eq!((described.version_ids_to_stages, described.description), (None, None));
    assert!(fixture.versions("empty").is_empty());

    let put = fixture.secrets.put_secret_value(putting("empty", 1)).unwrap();
    assert_eq!((put.version_id, put.version_stages), (token(1), vec![CURRENT.to_owned()]));
    assert_eq!(fixture.read("empty"), "value 1");
}

#[test]
fn what_the_creation_said_is_described() {
    let fixture = Fixture::new();
    let request = creation("app", 1)
        .description("the app")
        .kms_key_id("alias/app")
        .r#type("partner")
        .tags([Tag::new("team", "payments"), Tag::new("stage", "test")]);
    fixture.secrets.create_secret(request).unwrap();
    let described = fixture.describe("app");
    assert_eq!(described.description.as_deref(), Some("the app"));
    assert_eq!(described.kms_key_id.as_deref(), Some("alias/app"));
    assert_eq!(described.r#type.as_deref(), Some("partner"));
    assert_eq!(described.tags, Some(vec![Tag::new("team", "payments"), Tag::new("stage", "test")]));
}

#[test]
fn an_existing_name_is_refused_under_a_new_token_whatever_the_value() {
    let fixture = Fixture::with_value("app");
    let text = "The operation failed because the secret app already exists.";
    for request in [
        creation("app", 2),
        creation("app", 2).secret_string(value(1)),
        CreateSecretRequest::new("app"),
        CreateSecretRequest::new("app").secret_string(value(1)),
    ] {
        refused(fixture.secrets.create_secret(request), ("ResourceExistsException", text));
    }
    assert_eq!(fixture.read("app"), "value 1");
    assert_eq!(fixture.versions("app").len(), 1);
}

#[test]
fn a_name_is_free_again_as_soon_as_its_secret_is_purged_and_gets_another_arn() {
    let fixture = Fixture::new();
    let first = fixture.create("app");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app").force_delete_without_recovery(true)).unwrap();
    let second = fixture.secrets.create_secret(creation("app", 2)).unwrap();
    assert_ne!(second.arn, first.arn);
    assert_eq!(fixture.read("app"), "value 2");
    assert_eq!(fixture.versions("app").len(), 1, "nothing of the first secret is left");
}

#[test]
fn both_forms_of_value_together_are_refused_everywhere() {
    let fixture = Fixture::with_value("app");
    let created = creation("new", 2).secret_binary(b"bytes");
    let updated = UpdateSecretRequest::new("app").secret_string("text").secret_binary(b"bytes");
    let mut put = PutSecretValueRequest::new("app", "text");
    put.secret_binary = Some(b"bytes".into());
    for refusal in [
        code(fixture.secrets.create_secret(created)),
        code(fixture.secrets.update_secret(updated)),
        code(fixture.secrets.put_secret_value(put)),
    ] {
        assert_eq!(refusal, "InvalidParameterException");
    }
    refused(fixture.secrets.get_secret_value(GetSecretValueRequest::new("new")), NOT_FOUND);
    assert_eq!(fixture.versions("app").len(), 1);
}

/// Reading.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
#[test]
fn a_version_is_read_by_default_by_label_by_id_or_by_both() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[CURRENT, "blue"]);
    fixture.put("app", 3, &["green"]);
    let get = || GetSecretValueRequest::new("app");
    for (request, expected, labels) in [
        (get(), 2, &[CURRENT, "blue"][..]),
        (get().version_stage(CURRENT), 2, &[CURRENT, "blue"]),
        (get().version_stage("blue"), 2, &[CURRENT, "blue"]),
        (get().version_stage("green"), 3, &["green"]),
        (get().version_stage(PREVIOUS), 1, &[PREVIOUS]),
        (get().version_id(token(1)), 1, &[PREVIOUS]),
        (get().version_id(token(3)), 3, &["green"]),
        (get().version_id(token(1)).version_stage(PREVIOUS), 1, &[PREVIOUS]),
        (get().version_id(token(3)).version_stage("green"), 3, &["green"]),
    ] {
        let case = format!("{request:?}");
        let read = fixture.get(request);
        assert_eq!(read.version_id, token(expected), "{case}");
        assert_eq!(text(&read), value(expected), "{case}");
        assert_eq!(read.name, "app");
        let mut shown = read.version_stages.unwrap();
        shown.sort();
        assert_eq!(shown, labels, "{case}");
    }
}

#[test]
fn a_version_that_is_not_there_is_named_in_the_refusal() {
    let fixture = Fixture::with_value("app");
    fixture.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    fixture.put("app", 2, &[]);
    let get = |id: &str| GetSecretValueRequest::new(id);
    let unknown = format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(9));
    let no_label = "Secrets Manager can't find the specified secret value for staging label: ";
    let no_label = |label: &str| format!("{no_label}{label}");
    let gone = "ResourceNotFoundException";
    for (request, code, text) in [
        (get("nope"), NOT_FOUND.0, NOT_FOUND.1.to_owned()),
        (get("empty"), gone, no_label(CURRENT)),
        (get("empty").version_stage(PREVIOUS), gone, no_label(PREVIOUS)),
        (get("app").version_stage("none"), gone, no_label("none")),
        (get("app").version_stage("awscurrent"), gone, no_label("awscurrent")),
        (get("app").version_stage(PENDING), gone, no_label(PENDING)),
        (get("app").version_id(token(9)), gone, unknown.clone()),
        (get("empty").version_id(token(9)), gone, unknown.clone()),
        (get("app").version_id(token(9)).version_stage(CURRENT), gone, unknown),
        (get("app").version_id(token(1)).version_stage(CURRENT), LABEL_ELSEWHERE.0, LABEL_ELSEWHERE.1.to_owned()),
        (get("app").version_id(token(1)).version_stage("none"), LABEL_ELSEWHERE.0, LABEL_ELSEWHERE.1.to_owned()),
    ] {
        refused(fixture.secrets.get_secret_value(request), (code, &text));
    }
}

#[test]
fn a_version_without_labels_stays_readable_by_its_id_and_shows_no_labels() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &[]);
    let read = fixture.get(GetSecretValueRequest::new("app").version_id(token(1)));
    assert_eq!((text(&read), read.version_stages), (value(1), None));
}

#[test]
fn a_value_comes_back_in_the_form_it_was_stored_in() {
    let fixture = Fixture::new();
    let binary = CreateSecretRequest::new("app").client_request_token(token(1)).secret_binary(b"foo\0test\xff");
    fixture.secrets.create_secret(binary).unwrap();
    let read = fixture.get(GetSecretValueRequest::new("app"));
    assert!(read.secret_string.is_none());
    assert_eq!(read.secret_binary.unwrap().expose(), b"foo\0test\xff");

    // A secret may change from one form to the other with every version.
    fixture.put("app", 2, &[]);
    let read = fixture.get(GetSecretValueRequest::new("app"));
    assert!(read.secret_binary.is_none());
    assert_eq!(text(&read), "value 2");

    let update = UpdateSecretRequest::new("app").client_request_token(token(3)).secret_binary(b"footest");
    fixture.secrets.update_secret(update).unwrap();
    let read = fixture.get(GetSecretValueRequest::new("app"));
    assert_eq!(read.secret_binary.unwrap().expose(), b"footest");
    let read = fixture.get(GetSecretValueRequest::new("app").version_stage(PREVIOUS));
    assert_eq!((text(&read), read.secret_binary), (value(2), None));
}

#[test]
fn text_of_any_language_comes_back_unchanged() {
    let fixture = Fixture::new();
    for (n, text) in ["{\"user\":\"a\",\"password\":\"p\\\"\"}", "пароль 密码 🔑", "\0\n\r\t ", "'"].iter().enumerate()
    {
        let name = format!("app{n}");
        fixture.secrets.create_secret(CreateSecretRequest::new(&name).secret_string(*text)).unwrap();
        assert_eq!(fixture.read(&name), *text);
    }
}

/// Putting.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
#[test]
fn a_put_without_labels_makes_the_new_version_current() {
    let fixture = Fixture::with_value("app");
    let put = fixture.secrets.put_secret_value(putting("app", 2)).unwrap();
    assert_eq!((put.name.as_str(), &put.arn), ("app", &fixture.describe("app").arn));
    assert_eq!((put.version_id, put.version_stages), (token(2), vec![CURRENT.to_owned()]));
    assert_eq!(fixture.read("app"), "value 2");
    assert_eq!(fixture.labels("app")[&token(1)], [PREVIOUS]);
}

#[test]
fn a_put_answers_with_all_labels_of_the_version_and_attaches_only_those_asked_for() {
    for (labels, answer, current) in [
        (&["blue"][..], &["blue"][..], 1),
        (&["AWSSOMETHING", PENDING, "PUT1"], &[PENDING, "AWSSOMETHING", "PUT1"], 1),
        (&[CURRENT, "PUT0"], &[CURRENT, "PUT0"], 2),
        (&[PREVIOUS], &[PREVIOUS], 1),
        (&[CURRENT, PENDING], &[CURRENT, PENDING], 2),
        (&["blue", "blue"], &["blue"], 1),
    ] {
        let fixture = Fixture::with_value("app");
        assert_eq!(fixture.put("app", 2, labels), answer, "{labels:?}");
        assert_eq!(fixture.labels("app")[&token(2)], answer, "{labels:?}");
        assert_eq!(fixture.read("app"), value(current), "{labels:?}");
        let is_moved = current == 2;
        assert_eq!(fixture.labels("app")[&token(1)], [if is_moved { PREVIOUS } else { CURRENT }], "{labels:?}");
    }
}

#[test]
fn the_first_version_of_a_secret_becomes_current_in_any_case() {
    for (labels, answer) in [
        (&[][..], &[CURRENT][..]),
        (&[PENDING], &[CURRENT, PENDING]),
        (&["blue", "green"], &[CURRENT, "blue", "green"]),
        (&[CURRENT], &[CURRENT]),
    ] {
        let fixture = Fixture::with_secret("app");
        assert_eq!(fixture.put("app", 1, labels), answer, "{labels:?}");
        assert_eq!(fixture.read("app"), "value 1");
    }
}

#[test]
fn a_put_without_a_value_is_refused() {
    let fixture = Fixture::with_value("app");
    let mut request = putting("app", 2);
    request.secret_string = None;
    refused(fixture.secrets.put_secret_value(request), NO_VALUE);
    assert_eq!(fixture.versions("app").len(), 1);
}

#[test]
fn the_same_value_under_a_new_token_is_a_new_version() {
    let fixture = Fixture::with_value("app");
    fixture.secrets.put_secret_value(putting("app", 2).version_stages(["blue"])).unwrap();
    let again = PutSecretValueRequest::new("app", value(2)).client_request_token(token(3));
    fixture.secrets.put_secret_value(again).unwrap();
    assert_eq!(fixture.versions("app").len(), 3);
    assert_eq!(fixture.labels("app")[&token(3)], [CURRENT]);
    assert_eq!(fixture.labels("app")[&token(2)], ["blue"]);
}

#[test]
fn a_put_that_names_a_rotation_is_like_any_other() {
    let fixture = Fixture::with_value("app");
    let request = putting("app", 2).rotation_token("d".repeat(36));
    assert_eq!(fixture.secrets.put_secret_value(request).unwrap().version_stages, [CURRENT]);
    assert_eq!(fixture.read("app"), "value 2");
}

/// Updating.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>
#[test]
fn each_member_of_an_update_changes_what_it_names_and_nothing_else() {
    let fixture = Fixture::new();
    let arn =
        fixture.secrets.create_secret(creation("app", 1).description("one").tags([Tag::new("k", "v")])).unwrap().arn;
    let update = || UpdateSecretRequest::new("app").client_request_token(token(2));
    // Request, id of the version in the answer, description, key, type, current version afterwards.
    for (request, version, description, key, external, current) in [
        (UpdateSecretRequest::new("app"), None, Some("one"), None, None, 1),
        (update().description("two"), None, Some("two"), None, None, 1),
        (update(), None, Some("two"), None, None, 1),
        (update().kms_key_id("alias/app"), None, Some("two"), Some("alias/app"), None, 1),
        (update().description(""), None, None, Some("alias/app"), None, 1),
        (update().secret_string(value(2)), Some(2), None, Some("alias/app"), None, 2),
        (
            update().client_request_token(token(3)).secret_string(value(3)).description("three"),
            Some(3),
            Some("three"),
            Some("alias/app"),
            None,
            3,
        ),
        (update().kms_key_id(""), None, Some("three"), None, None, 3),
        (update().r#type("partner"), None, Some("three"), None, Some("partner"), 3),
    ] {
        let case = format!("{request:?}");
        let answer = fixture.secrets.update_secret(request).unwrap();
        assert_eq!((&answer.arn, answer.name.as_str()), (&arn, "app"), "{case}");
        assert_eq!(answer.version_id, version.map(token), "{case}");
        let described = fixture.describe("app");
        assert_eq!(described.description.as_deref(), description, "{case}");
        assert_eq!(described.kms_key_id.as_deref(), key, "{case}");
        assert_eq!(described.r#type.as_deref(), external, "{case}");
        assert_eq!(described.tags, Some(vec![Tag::new("k", "v")]), "{case}");
        assert_eq!(fixture.read("app"), value(current), "{case}");
        assert_eq!(fixture.versions("app").len(), current, "{case}");
    }
    assert_eq!(fixture.labels("app"), [(token(2), vec![PREVIOUS.into()]), (token(3), vec![CURRENT.into()])].into());
}

#[test]
fn an_update_with_the_same_value_succeeds_and_counts_as_a_change() {
    let fixture = Fixture::with_value("app");
    let before = fixture.describe("app").last_changed_date;
    fixture.advance(TimeDelta::milliseconds(5));
    let update = UpdateSecretRequest::new("app").client_request_token(token(2)).secret_string(value(1));
    assert_eq!(fixture.secrets.update_secret(update).unwrap().version_id, Some(token(2)));
    assert!(fixture.describe("app").last_changed_date > before);
    assert_eq!(fixture.labels("app"), [(token(1), vec![PREVIOUS.into()]), (token(2), vec![CURRENT.into()])].into());
}

#[test]
fn an_update_gives_an_empty_secret_its_first_version() {
    let fixture = Fixture::with_secret("app");
    let update = UpdateSecretRequest::new("app").client_request_token(token(1)).secret_string(value(1));
    assert_eq!(fixture.secrets.update_secret(update).unwrap().version_id, Some(token(1)));
    assert_eq!(fixture.labels("app"), [(token(1), vec![CURRENT.into()])].into());
}

/// Describing never fails for a reason of state.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
#[test]
fn every_secret_that_is_there_can_be_described() {
    let fixture = Fixture::with_secret("empty");
    assert_eq!(fixture.describe("empty").version_ids_to_stages, None);
    fixture.create("scheduled");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("scheduled")).unwrap();
    refused(fixture.secrets.get_secret_value(GetSecretValueRequest::new("scheduled")), MARKED);
    assert_eq!(fixture.labels("scheduled"), [(token(1), vec![CURRENT.into()])].into());
}

#[test]
fn a_description_lists_versions_with_labels_and_no_others() {
    let fixture = Fixture::with_value("app");
    for n in 2..=4 {
        fixture.put("app", n, &[]);
    }
    fixture.put("app", 5, &["blue"]);
    let labels: Vec<_> = fixture.labels("app").into_iter().collect();
    assert_eq!(
        labels,
        [
            (token(3), vec![PREVIOUS.to_owned()]),
            (token(4), vec![CURRENT.to_owned()]),
            (token(5), vec!["blue".to_owned()])
        ]
    );
}

#[test]
fn what_a_failed_call_asked_for_is_not_there() {
    let fixture = Fixture::with_value("app");
    let before = fixture.describe("app");
    let taken = UpdateSecretRequest::new("app").client_request_token(token(1)).secret_string("other");
    assert_eq!(
        code(fixture.secrets.update_secret(taken.description("new").kms_key_id("alias/new"))),
        "ResourceExistsException"
    );
    let label_too_many = putting("app", 2).version_stages((0..20).map(|n| format!("label {n}")));
    assert_eq!(code(fixture.secrets.put_secret_value(label_too_many)), "LimitExceededException");
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(fixture.versions("app").len(), 1);
}
