//! Deleting, the recovery window, restoring, and the reuse of names.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>

use chrono::TimeDelta;
use strongroom::{
    BatchGetSecretValueRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest,
    DeleteSecretRequest, DescribeSecretRequest, Filter, FilterKey, GetResourcePolicyRequest, GetSecretValueRequest,
    ListResourcePoliciesRequest, ListSecretVersionIdsRequest, ListSecretsRequest, PutResourcePolicyRequest,
    RestoreSecretRequest, Result, RotateSecretRequest, Tag, TagResourceRequest, UntagResourceRequest,
    UpdateSecretRequest, ValidateResourcePolicyRequest,
};

use crate::fixture::{
    CURRENT, Fixture, MARKED, NAME_SCHEDULED, NOT_FOUND, PREVIOUS, Refusal, START_MILLIS, creation, putting, refused,
    rotating, token,
};

const WINDOW: Refusal<'_> =
    ("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
const WINDOW_AND_FORCE: Refusal<'_> =
    ("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
const DAY_MILLIS: i64 = 86_400_000;

fn deletion(id: &str) -> DeleteSecretRequest {
    DeleteSecretRequest::new(id)
}

fn force(id: &str) -> DeleteSecretRequest {
    deletion(id).force_delete_without_recovery(true)
}

/// A secret `app` that was scheduled for deletion in 30 days.
fn scheduled() -> Fixture {
    let fixture = Fixture::with_value("app");
    fixture.secrets.delete_secret(deletion("app")).unwrap();
    fixture
}

#[test]
fn the_window_is_30_days_unless_it_is_chosen_from_7_to_30() {
    for (request, days) in [
        (deletion("app"), 30),
        (deletion("app").recovery_window_in_days(7), 7),
        (deletion("app").recovery_window_in_days(8), 8),
        (deletion("app").recovery_window_in_days(30), 30),
        (deletion("app").recovery_window_in_days(7).force_delete_without_recovery(false), 7),
        (deletion("app").force_delete_without_recovery(false), 30),
        (force("app"), 0),
    ] {
        let case = format!("{request:?}");
        let fixture = Fixture::with_value("app");
        let arn = fixture.describe("app").arn;
        let deleted = fixture.secrets.delete_secret(request).unwrap();
        assert_eq!((deleted.arn, deleted.name.as_str()), (arn, "app"), "{case}");
        assert_eq!(deleted.deletion_date, fixture.after(days * DAY_MILLIS), "{case}");
    }
}

#[test]
fn a_window_out_of_range_is_refused_even_together_with_force() {
    let fixture = Fixture::with_value("app");
    for days in [0, 1, 6, 31, -1, -7, 365, i64::MIN, i64::MAX] {
        refused(fixture.secrets.delete_secret(deletion("app").recovery_window_in_days(days)), WINDOW);
        refused(fixture.secrets.delete_secret(force("app").recovery_window_in_days(days)), WINDOW);
    }
    for days in [7, 30] {
        refused(fixture.secrets.delete_secret(force("app").recovery_window_in_days(days)), WINDOW_AND_FORCE);
    }
    assert_eq!(fixture.describe("app").deleted_date, None);
    assert_eq!(fixture.read("app"), "value 1");
}

#[test]
fn a_scheduled_secret_keeps_everything_and_says_when_it_goes() {
    let fixture = Fixture::new();
    fixture.secrets.create_secret(creation("app", 1).description("d").tags([Tag::new("k", "v")])).unwrap();
    fixture.put("app", 2, &[]);
    let before = fixture.describe("app");
    let deleted = fixture.secrets.delete_secret(deletion("app").recovery_window_in_days(7)).unwrap();
    let after = fixture.describe("app");
    assert_eq!(after.deleted_date, Some(deleted.deletion_date));
    assert_eq!(
        (after.version_ids_to_stages, after.description, after.tags, after.created_date),
        (before.version_ids_to_stages, before.description, before.tags, before.created_date)
    );
}

/// What can still be done to a secret that is scheduled for deletion. Recorded against the service for tagging,
/// describing, creating, restoring and forced deletion; documented or chosen for the rest.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html>
#[test]
fn a_scheduled_secret_refuses_all_but_looking_restoring_and_purging() {
    type Call = fn(&Fixture) -> Result<()>;
    let table: &[(&str, Call, Option<Refusal<'_>>)] = &[
        (
            "S1 TagResource",
            |f| f.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new("k", "v")])),
            Some(MARKED),
        ),
        ("S2 UntagResource", |f| f.secrets.untag_resource(UntagResourceRequest::new("app", ["k"])), Some(MARKED)),
        (
            "S3 GetSecretValue",
            |f| f.secrets.get_secret_value(GetSecretValueRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        (
            "S3 GetSecretValue of a version",
            |f| f.secrets.get_secret_value(GetSecretValueRequest::new("app").version_id(token(1))).map(drop),
            Some(MARKED),
        ),
        (
            "S4 GetResourcePolicy",
            |f| f.secrets.get_resource_policy(GetResourcePolicyRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        ("S5 UpdateSecretVersionStage", |f| f.move_label("app", "label", None, Some(1)), Some(MARKED)),
        (
            "S6 UpdateSecret",
            |f| f.secrets.update_secret(UpdateSecretRequest::new("app").description("d")).map(drop),
            Some(MARKED),
        ),
        (
            "S6 UpdateSecret of nothing",
            |f| f.secrets.update_secret(UpdateSecretRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        ("S7 PutSecretValue", |f| f.secrets.put_secret_value(putting("app", 2)).map(drop), Some(MARKED)),
        ("S7 PutSecretValue, repeated", |f| f.secrets.put_secret_value(putting("app", 1)).map(drop), Some(MARKED)),
        ("S8 RotateSecret", |f| f.secrets.rotate_secret(rotating("app", 2)).map(drop), Some(MARKED)),
        (
            "S8 RotateSecret without a function",
            |f| f.secrets.rotate_secret(RotateSecretRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        (
            "S8 CancelRotateSecret",
            |f| f.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        (
            "S9 PutResourcePolicy",
            |f| f.secrets.put_resource_policy(PutResourcePolicyRequest::new("app", "{}")).map(drop),
            Some(MARKED),
        ),
        (
            "S9 DeleteResourcePolicy",
            |f| f.secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        (
            "S9 ListResourcePolicies",
            |f| f.secrets.list_resource_policies(ListResourcePoliciesRequest::new("app")).map(drop),
            Some(MARKED),
        ),
        (
            "S9 ValidateResourcePolicy",
            |f| {
                let request = ValidateResourcePolicyRequest::new("{}").secret_id("app");
                f.secrets.validate_resource_policy(request).map(drop)
            },
            Some(MARKED),
        ),
        ("S11 DescribeSecret", |f| f.secrets.describe_secret(DescribeSecretRequest::new("app")).map(drop), None),
        (
            "S12 ListSecretVersionIds",
            |f| f.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("app")).map(drop),
            None,
        ),
        ("S16 RestoreSecret", |f| f.secrets.restore_secret(RestoreSecretRequest::new("app")).map(drop), None),
        ("S17 DeleteSecret by force", |f| f.secrets.delete_secret(force("app")).map(drop), None),
        ("S18 DeleteSecret", |f| f.secrets.delete_secret(deletion("app")).map(drop), Some(MARKED)),
        ("S19 CreateSecret", |f| f.secrets.create_secret(creation("app", 2)).map(drop), Some(NAME_SCHEDULED)),
        ("S19 CreateSecret, repeated", |f| f.secrets.create_secret(creation("app", 1)).map(drop), Some(NAME_SCHEDULED)),
        (
            "S19 CreateSecret without a value",
            |f| f.secrets.create_secret(CreateSecretRequest::new("app")).map(drop),
            Some(NAME_SCHEDULED),
        ),
    ];
    for (row, call, expected) in table {
        let fixture = scheduled();
        let before = fixture.describe("app");
        match (call(&fixture), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => {
                assert_eq!((error.code(), error.message()), *expected, "{row}");
                assert_eq!(fixture.describe("app"), before, "{row}");
            }
            (result, _) => panic!("{row}: {result:?}"),
        }
    }
}

#[test]
fn a_scheduled_secret_is_listed_only_on_request_and_not_selected_by_batches() {
    let fixture = scheduled();
    fixture.create("other");
    let names = |request| -> Vec<_> {
        let page = fixture.secrets.list_secrets(request).unwrap();
        page.secret_list.into_iter().map(|entry| (entry.name, entry.deleted_date.is_some())).collect()
    };
    assert_eq!(names(ListSecretsRequest::new()), [("other".to_owned(), false)]);
    assert_eq!(
        names(ListSecretsRequest::new().include_planned_deletion(true)),
        [("app".to_owned(), true), ("other".to_owned(), false)]
    );

    let by_id = BatchGetSecretValueRequest::new().secret_id_list(["app", "other"]);
    let batch = fixture.secrets.batch_get_secret_value(by_id).unwrap();
    assert_eq!(batch.secret_values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>(), ["other"]);
    let errors: Vec<_> = batch
        .errors
        .iter()
        .map(|entry| (entry.secret_id.as_str(), entry.error.code(), entry.error.message()))
        .collect();
    assert_eq!(errors, [("app", MARKED.0, MARKED.1)]);

    let by_filter = BatchGetSecretValueRequest::new().filters([Filter::new(FilterKey::Name, ["app", "other"])]);
    let batch = fixture.secrets.batch_get_secret_value(by_filter).unwrap();
    assert_eq!(batch.secret_values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>(), ["other"]);
    assert!(batch.errors.is_empty());
}

#[test]
fn a_restored_secret_is_as_it_was() {
    let fixture = Fixture::new();
    fixture.secrets.create_secret(creation("app", 1).description("d").tags([Tag::new("k", "v")])).unwrap();
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &["blue"]);
    fixture.put("app", 4, &[]);
    let before = fixture.describe("app");
    fixture.secrets.delete_secret(deletion("app").recovery_window_in_days(7)).unwrap();
    fixture.advance(TimeDelta::days(6));
    let restored = fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!((&restored.arn, restored.name.as_str()), (&before.arn, "app"));

    let mut after = fixture.describe("app");
    assert_eq!(after.deleted_date, None);
    assert!(after.last_changed_date > before.last_changed_date);
    after.last_changed_date = before.last_changed_date;
    assert_eq!(after, before);
    for n in 1..=4 {
        assert_eq!(fixture.read_version("app", n), format!("value {n}"));
    }
    fixture.put("app", 5, &[]);

    // The window that was taken back no longer counts.
    fixture.advance(TimeDelta::days(60));
    assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 0);
    assert_eq!(fixture.read("app"), "value 5");
}

#[test]
fn restoring_what_is_not_scheduled_changes_nothing() {
    let fixture = Fixture::with_value("app");
    let before = fixture.describe("app");
    fixture.advance(TimeDelta::hours(1));
    let restored = fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!((restored.arn, restored.name), (before.arn.clone(), before.name.clone()));
    assert_eq!(fixture.describe("app"), before);
}

#[test]
fn a_secret_deleted_by_force_is_gone_and_its_name_is_free() {
    for is_scheduled in [false, true] {
        let fixture = Fixture::with_value("app");
        let arn = fixture.describe("app").arn;
        if is_scheduled {
            fixture.secrets.delete_secret(deletion("app")).unwrap();
            fixture.advance(TimeDelta::days(1));
        }
        let deleted = fixture.secrets.delete_secret(force("app")).unwrap();
        let now = if is_scheduled { DAY_MILLIS } else { 0 };
        assert_eq!((&deleted.arn, deleted.deletion_date), (&arn, fixture.after(now)));
        for id in ["app", arn.as_str()] {
            refused(fixture.secrets.describe_secret(DescribeSecretRequest::new(id)), NOT_FOUND);
            refused(fixture.secrets.get_secret_value(GetSecretValueRequest::new(id)), NOT_FOUND);
            refused(fixture.secrets.restore_secret(RestoreSecretRequest::new(id)), NOT_FOUND);
        }
        assert_eq!(fixture.store.stats().unwrap().secrets, 0);
        assert_ne!(fixture.create("app").arn, arn);
        assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 0);
        fixture.advance(TimeDelta::days(60));
        assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 0, "the old schedule does not hit the new secret");
        assert_eq!(fixture.read("app"), "value 1");
    }
}

#[test]
fn forced_deletion_of_what_does_not_exist_succeeds_as_if_it_did() {
    let fixture = Fixture::new();
    let deleted = fixture.secrets.delete_secret(force("nope")).unwrap();
    assert_eq!((deleted.name.as_str(), deleted.deletion_date), ("nope", fixture.after(0)));
    let suffix = deleted.arn.strip_prefix("arn:aws:secretsmanager:us-east-1:000000000000:secret:nope-").unwrap();
    assert!(suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{suffix}");

    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nope-a1b2c3";
    let deleted = fixture.secrets.delete_secret(force(arn)).unwrap();
    assert_eq!((deleted.arn.as_str(), deleted.name.as_str()), (arn, "nope"));
    assert_eq!(fixture.store.stats().unwrap().secrets, 0);

    // A complete ARN of another secret's predecessor leaves the secret of that name alone.
    fixture.create("nope");
    fixture.secrets.delete_secret(force(arn)).unwrap();
    assert_eq!(fixture.read("nope"), "value 1");
}

#[test]
fn deletion_of_what_does_not_exist_is_refused_without_force() {
    let fixture = Fixture::new();
    for request in [
        deletion("nope"),
        deletion("nope").recovery_window_in_days(7),
        deletion("nope").force_delete_without_recovery(false),
    ] {
        refused(fixture.secrets.delete_secret(request), NOT_FOUND);
    }
    refused(fixture.secrets.restore_secret(RestoreSecretRequest::new("nope")), NOT_FOUND);
}

#[test]
fn a_secret_is_out_of_reach_from_its_deletion_date_on_and_not_earlier() {
    let fixture = Fixture::with_value("app");
    let arn = fixture.describe("app").arn;
    let date = fixture.secrets.delete_secret(deletion("app").recovery_window_in_days(7)).unwrap().deletion_date;

    fixture.clock.set(date - TimeDelta::milliseconds(1));
    assert_eq!(fixture.describe("app").deleted_date, Some(date));
    refused(fixture.secrets.create_secret(creation("app", 2)), NAME_SCHEDULED);
    refused(fixture.secrets.get_secret_value(GetSecretValueRequest::new("app")), MARKED);

    // Nobody has called `maintain`.
    fixture.clock.set(date);
    for id in ["app", arn.as_str()] {
        refused(fixture.secrets.describe_secret(DescribeSecretRequest::new(id)), NOT_FOUND);
        refused(fixture.secrets.get_secret_value(GetSecretValueRequest::new(id)), NOT_FOUND);
        refused(fixture.secrets.restore_secret(RestoreSecretRequest::new(id)), NOT_FOUND);
        refused(fixture.secrets.delete_secret(deletion(id)), NOT_FOUND);
        refused(fixture.secrets.put_secret_value(putting(id, 2)), NOT_FOUND);
        refused(fixture.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new(id)), NOT_FOUND);
        refused(fixture.secrets.tag_resource(TagResourceRequest::new(id, [Tag::new("k", "v")])), NOT_FOUND);
    }
    let all = fixture.secrets.list_secrets(ListSecretsRequest::new().include_planned_deletion(true)).unwrap();
    assert!(all.secret_list.is_empty());
}

#[test]
fn the_name_is_free_from_the_deletion_date_on_whether_it_was_purged_or_not() {
    for is_purged in [false, true] {
        let fixture = scheduled();
        let arn = fixture.describe("app").arn;
        fixture.advance(TimeDelta::days(30));
        if is_purged {
            assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 1);
            assert_eq!(fixture.store.stats().unwrap().secrets, 0);
        }
        // Also under the token of the first one, with another value.
        let created = fixture.secrets.create_secret(creation("app", 1).secret_string("new")).unwrap();
        assert_ne!(created.arn, arn);
        assert_eq!(fixture.read("app"), "new");
        assert_eq!((fixture.versions("app").len(), fixture.store.stats().unwrap().secrets), (1, 1));
        assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 0);
        assert_eq!(fixture.read("app"), "new");
    }
}

#[test]
fn forced_deletion_after_the_deletion_date_answers_as_for_a_secret_that_never_was() {
    let fixture = scheduled();
    fixture.advance(TimeDelta::days(30));
    assert_eq!(fixture.secrets.delete_secret(force("app")).unwrap().deletion_date, fixture.after(30 * DAY_MILLIS));
    refused(fixture.secrets.describe_secret(DescribeSecretRequest::new("app")), NOT_FOUND);
}

#[test]
fn a_secret_can_be_restored_until_its_last_millisecond() {
    let fixture = scheduled();
    fixture.advance(TimeDelta::days(30) - TimeDelta::milliseconds(1));
    assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 0);
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!(fixture.read("app"), "value 1");
}

#[test]
fn maintenance_purges_what_is_due_and_says_what_is_next() {
    let fixture = Fixture::new();
    for (name, days) in [("a", 7), ("b", 8), ("c", 30)] {
        fixture.create(name);
        fixture.secrets.delete_secret(deletion(name).recovery_window_in_days(days)).unwrap();
    }
    fixture.create("kept");
    for (days, purged, next) in [(0, 0, Some(7)), (7, 1, Some(8)), (29, 1, Some(30)), (30, 1, None), (99, 0, None)] {
        fixture.clock.set(fixture.after(days * DAY_MILLIS));
        let report = fixture.store.maintain().unwrap();
        assert_eq!(report.purged_secrets, purged, "day {days}");
        assert_eq!(report.next_due_at, next.map(|days: i64| fixture.after(days * DAY_MILLIS)), "day {days}");
    }
    assert_eq!(fixture.read("kept"), "value 1");
    assert_eq!(fixture.after(0).timestamp_millis(), START_MILLIS);
}

/// There is no call that deletes a version: it is deprecated by taking its labels.
#[test]
fn a_version_is_deprecated_by_taking_its_labels() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &["blue", "green"]);
    fixture.move_label("app", "blue", Some(2), None).unwrap();
    assert_eq!(fixture.labels("app")[&token(2)], ["green"]);
    fixture.move_label("app", "green", Some(2), None).unwrap();
    assert_eq!(fixture.labels("app"), [(token(1), vec![CURRENT.to_owned()])].into());
    let listed = fixture.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("app")).unwrap();
    assert_eq!(listed.versions.len(), 1);
    assert_eq!(fixture.read_version("app", 2), "value 2");
    assert!(fixture.labels("app").values().flatten().all(|label| label != PREVIOUS));
}
