//! Which dates answers carry, and which members are absent rather than empty.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretVersionsListEntry.html>

use chrono::TimeDelta;
use strongroom::{
    BatchGetSecretValueRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest,
    DescribeSecretRequest, GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest,
    RestoreSecretRequest, Tag, TagResourceRequest, Timestamp, UntagResourceRequest, UpdateSecretRequest,
};

use crate::fixture::{CURRENT, Fixture, START_MILLIS, creation, putting, rotating, token, value};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn listed(fixture: &Fixture) -> strongroom::SecretListEntry {
    let request = ListSecretsRequest::new().include_planned_deletion(true);
    fixture.secrets.list_secrets(request).unwrap().secret_list.remove(0)
}

#[test]
fn a_secret_keeps_the_date_of_its_creation() {
    let fixture = Fixture::with_value("app");
    fixture.advance(TimeDelta::milliseconds(1_234));
    fixture.put("app", 2, &[]);
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    fixture.advance(TimeDelta::days(1));
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!(fixture.describe("app").created_date, fixture.after(0));
    assert_eq!(listed(&fixture).created_date, fixture.after(0));
}

#[test]
fn a_value_is_read_with_the_date_of_its_version() {
    let fixture = Fixture::with_value("app");
    fixture.advance(TimeDelta::milliseconds(1_234));
    fixture.put("app", 2, &[]);
    fixture.advance(TimeDelta::days(3));
    for (n, millis) in [(1, 0), (2, 1_234)] {
        let read = fixture.get(GetSecretValueRequest::new("app").version_id(token(n)));
        assert_eq!(read.created_date, fixture.after(millis));
        assert_eq!(fixture.versions("app")[n - 1].created_date, fixture.after(millis));
    }
}

#[test]
fn dates_are_cut_to_milliseconds() {
    let fixture = Fixture::new();
    fixture.clock.set(at("2024-02-29T12:34:56.123987654Z"));
    fixture.create("app");
    let described = fixture.describe("app");
    assert_eq!(described.created_date, at("2024-02-29T12:34:56.123Z"));
    assert_eq!(described.last_changed_date, at("2024-02-29T12:34:56.123Z"));
    let deleted = fixture.secrets.delete_secret(DeleteSecretRequest::new("app").recovery_window_in_days(7)).unwrap();
    assert_eq!(deleted.deletion_date, at("2024-03-07T12:34:56.123Z"));
}

#[test]
fn every_change_moves_the_date_of_the_last_change() {
    let fixture = Fixture::with_value("app");
    type Change = fn(&Fixture);
    let changes: &[(&str, Change)] = &[
        ("RotateSecret", |f| drop(f.secrets.rotate_secret(rotating("app", 9)).unwrap())),
        ("CancelRotateSecret", |f| {
            drop(f.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("app")).unwrap());
        }),
        ("PutSecretValue", |f| drop(f.put("app", 2, &[]))),
        ("PutSecretValue with a custom label", |f| drop(f.put("app", 3, &["blue"]))),
        ("UpdateSecretVersionStage, move", |f| f.move_label("app", CURRENT, Some(2), Some(3)).unwrap()),
        ("UpdateSecretVersionStage, remove", |f| f.move_label("app", "blue", Some(3), None).unwrap()),
        ("UpdateSecretVersionStage, attach", |f| f.move_label("app", "blue", None, Some(1)).unwrap()),
        ("UpdateSecret, description", |f| update(f, UpdateSecretRequest::new("app").description("d"))),
        ("UpdateSecret, the same description", |f| update(f, UpdateSecretRequest::new("app").description("d"))),
        ("UpdateSecret, key", |f| update(f, UpdateSecretRequest::new("app").kms_key_id("alias/k"))),
        ("UpdateSecret, type", |f| update(f, UpdateSecretRequest::new("app").r#type("t"))),
        ("UpdateSecret, value", |f| update(f, UpdateSecretRequest::new("app").secret_string("v"))),
        ("UpdateSecret, the same value", |f| update(f, UpdateSecretRequest::new("app").secret_string("v"))),
        ("TagResource", |f| f.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new("k", "v")])).unwrap()),
        ("UntagResource", |f| f.secrets.untag_resource(UntagResourceRequest::new("app", ["k"])).unwrap()),
        ("DeleteSecret", |f| drop(f.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap())),
        ("RestoreSecret", |f| drop(f.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap())),
    ];
    assert_eq!(fixture.describe("app").last_changed_date, fixture.after(0));
    for (n, (name, change)) in (1..).zip(changes) {
        let now = n * 60_000;
        fixture.clock.set(fixture.after(now));
        change(&fixture);
        assert_eq!(fixture.describe("app").last_changed_date, fixture.after(now), "{name}");
        assert_eq!(listed(&fixture).last_changed_date, fixture.after(now), "{name}");
    }
    // It rises with every change even if the clock stands still or goes back.
    for step in [0, -3_600_000] {
        fixture.advance(TimeDelta::milliseconds(step));
        for (name, change) in &changes[6..] {
            if name.contains("attach") {
                continue;
            }
            let before = fixture.describe("app").last_changed_date;
            change(&fixture);
            assert!(fixture.describe("app").last_changed_date > before, "{name}");
        }
    }
}

fn update(fixture: &Fixture, request: UpdateSecretRequest) {
    fixture.secrets.update_secret(request).unwrap();
}

#[test]
fn reading_and_repeating_do_not_move_the_date_of_the_last_change() {
    let fixture = Fixture::with_value("app");
    let secrets = &fixture.secrets;
    fixture.advance(TimeDelta::days(2));
    secrets.get_secret_value(GetSecretValueRequest::new("app")).unwrap();
    secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(["app"])).unwrap();
    secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap();
    secrets.list_secrets(ListSecretsRequest::new()).unwrap();
    secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("app")).unwrap();
    secrets.put_secret_value(putting("app", 1)).unwrap();
    secrets.create_secret(creation("app", 1)).unwrap();
    assert_eq!(fixture.describe("app").last_changed_date, fixture.after(0));
}

#[test]
fn the_last_access_is_noted_as_midnight_of_the_day_by_utc() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    assert_eq!(fixture.after(0), at("2023-11-14T22:13:20Z"));
    let seen = |n: usize| {
        let versions = fixture.versions("app");
        (fixture.describe("app").last_accessed_date, versions[n - 1].last_accessed_date)
    };
    let read = |n: usize| drop(fixture.get(GetSecretValueRequest::new("app").version_id(token(n))));
    let first = Some(at("2023-11-14T00:00:00Z"));
    let second = Some(at("2023-11-15T00:00:00Z"));
    assert_eq!((seen(1), seen(2)), ((None, None), (None, None)));

    read(2);
    assert_eq!((seen(1), seen(2)), ((first, None), (first, first)));
    assert_eq!(listed(&fixture).last_accessed_date, first);

    fixture.clock.set(at("2023-11-14T23:59:59.999Z"));
    read(2);
    assert_eq!(seen(2), (first, first));

    fixture.clock.set(at("2023-11-15T00:00:00Z"));
    read(1);
    assert_eq!((seen(1), seen(2)), ((second, second), (second, first)));

    // A day that the secret has noted already is still news for the version.
    read(2);
    assert_eq!((seen(1), seen(2)), ((second, second), (second, second)));
    assert_eq!(listed(&fixture).last_accessed_date, second);
}

#[test]
fn a_batch_counts_as_an_access() {
    let fixture = Fixture::with_value("app");
    let batch = BatchGetSecretValueRequest::new().secret_id_list(["app"]);
    fixture.secrets.batch_get_secret_value(batch).unwrap();
    assert_eq!(fixture.describe("app").last_accessed_date, Some(at("2023-11-14T00:00:00Z")));
}

#[test]
fn looking_at_a_secret_and_failing_to_read_it_are_no_accesses() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.secrets.create_secret(CreateSecretRequest::new("empty")).unwrap();
    let get = |id: &str| GetSecretValueRequest::new(id);
    for request in [
        get("app").version_stage("none"),
        get("app").version_id(token(9)),
        get("app").version_id(token(1)).version_stage(CURRENT),
        get("empty"),
    ] {
        assert!(fixture.secrets.get_secret_value(request).is_err());
    }
    for _ in 0..5 {
        fixture.describe("app");
    }
    fixture.versions("app");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    assert!(fixture.secrets.get_secret_value(get("app")).is_err());
    for id in ["app", "empty"] {
        assert_eq!(fixture.describe(id).last_accessed_date, None, "{id}");
        assert!(fixture.versions(id).iter().all(|version| version.last_accessed_date.is_none()), "{id}");
    }
}

#[test]
fn the_deletion_date_is_told_while_the_secret_is_scheduled_and_only_then() {
    let fixture = Fixture::with_value("app");
    assert_eq!((fixture.describe("app").deleted_date, listed(&fixture).deleted_date), (None, None));
    let request = DeleteSecretRequest::new("app").recovery_window_in_days(10);
    let date = fixture.secrets.delete_secret(request).unwrap().deletion_date;
    assert_eq!(date.timestamp_millis(), START_MILLIS + 10 * 86_400_000);
    assert_eq!((fixture.describe("app").deleted_date, listed(&fixture).deleted_date), (Some(date), Some(date)));
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!((fixture.describe("app").deleted_date, listed(&fixture).deleted_date), (None, None));
}

/// Members without a value are absent, as recorded.
#[test]
fn a_new_secret_shows_only_what_it_has() {
    let fixture = Fixture::with_secret("app");
    let described = fixture.describe("app");
    assert_eq!((described.description, described.kms_key_id, described.r#type), (None, None, None));
    assert_eq!((described.tags, described.version_ids_to_stages), (None, None));
    assert_eq!((described.last_accessed_date, described.deleted_date), (None, None));
    assert_eq!((described.owning_service, described.primary_region), (None, None));
    let entry = listed(&fixture);
    assert_eq!((entry.description, entry.kms_key_id, entry.r#type), (None, None, None));
    assert_eq!((entry.tags, entry.secret_versions_to_stages), (None, None));
    assert_eq!((entry.last_accessed_date, entry.deleted_date), (None, None));
    assert_eq!((entry.owning_service, entry.primary_region), (None, None));
    assert_eq!((entry.name.as_str(), entry.arn, entry.created_date), ("app", described.arn, fixture.after(0)));
}

#[test]
fn an_empty_description_is_no_description() {
    let fixture = Fixture::new();
    fixture.secrets.create_secret(CreateSecretRequest::new("app").description("")).unwrap();
    assert_eq!(fixture.describe("app").description, None);
    for (description, shown) in [("one", Some("one")), ("", None), (" ", Some(" ")), ("", None)] {
        update(&fixture, UpdateSecretRequest::new("app").description(description));
        assert_eq!(fixture.describe("app").description.as_deref(), shown);
        assert_eq!(listed(&fixture).description.as_deref(), shown);
    }
}

#[test]
fn the_default_key_is_not_named_however_it_was_asked_for() {
    for key in ["", "alias/aws/secretsmanager"] {
        let fixture = Fixture::new();
        fixture.secrets.create_secret(creation("app", 1).kms_key_id(key)).unwrap();
        assert_eq!((fixture.describe("app").kms_key_id, listed(&fixture).kms_key_id), (None, None));
        assert_eq!(fixture.versions("app")[0].kms_key_ids, ["DefaultEncryptionKey"]);

        update(&fixture, UpdateSecretRequest::new("app").kms_key_id("alias/own"));
        assert_eq!(fixture.describe("app").kms_key_id.as_deref(), Some("alias/own"));
        assert_eq!(listed(&fixture).kms_key_id.as_deref(), Some("alias/own"));
        update(&fixture, UpdateSecretRequest::new("app").kms_key_id(key));
        assert_eq!(fixture.describe("app").kms_key_id, None);
    }
}

#[test]
fn a_list_of_versions_shows_labels_and_accesses_only_where_there_are_any() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &[]);
    fixture.read("app");
    let versions = fixture.versions("app");
    let shown: Vec<_> = versions.iter().map(|v| (v.version_stages.is_some(), v.last_accessed_date.is_some())).collect();
    assert_eq!(shown, [(false, false), (true, false), (true, true)]);
    assert!(versions.iter().all(|version| version.kms_key_ids == ["DefaultEncryptionKey"]));
}

#[test]
fn a_version_id_is_answered_only_where_a_value_was_brought() {
    let fixture = Fixture::new();
    let secrets = &fixture.secrets;
    assert_eq!(secrets.create_secret(CreateSecretRequest::new("empty")).unwrap().version_id, None);
    assert_eq!(secrets.create_secret(creation("app", 1)).unwrap().version_id, Some(token(1)));
    let update = || UpdateSecretRequest::new("app").client_request_token(token(2));
    assert_eq!(secrets.update_secret(update().description("d")).unwrap().version_id, None);
    assert_eq!(secrets.update_secret(update().secret_string(value(2))).unwrap().version_id, Some(token(2)));
}

#[test]
fn the_labels_of_a_list_entry_are_those_of_the_description() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &["blue"]);
    let described = fixture.describe("app").version_ids_to_stages;
    assert_eq!(described.as_ref().map(|map| map.len()), Some(3));
    assert_eq!(listed(&fixture).secret_versions_to_stages, described);
}
