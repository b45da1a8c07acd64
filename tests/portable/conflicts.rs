//! Secrets that are there already: equal ones are left alone silently, others are left alone and reported.

use chrono::TimeDelta;
use strongroom::{
    ConflictReason, CreateSecretRequest, DeleteSecretRequest, PutResourcePolicyRequest, PutSecretValueRequest,
    RestoreSecretRequest, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

use crate::fixture::{Source, Target, current, import, import_lines, see};

fn labelled() -> Source {
    let source = Source::small();
    let secrets = source.home();
    source.clock.advance(TimeDelta::seconds(1));
    secrets.put_secret_value(PutSecretValueRequest::new("small", "second")).unwrap();
    secrets.tag_resource(TagResourceRequest::new("small", [Tag::new("team", "one")])).unwrap();
    source
}

#[test]
fn a_secret_that_has_changed_is_left_as_it_is_and_the_member_is_named() {
    type Change = fn(&SecretsManager);
    let rows: [(&str, Change); 8] = [
        ("Description", |secrets| {
            secrets.update_secret(UpdateSecretRequest::new("small").description("new")).unwrap();
        }),
        ("KmsKeyId", |secrets| {
            secrets.update_secret(UpdateSecretRequest::new("small").kms_key_id("alias/app")).unwrap();
        }),
        ("Tags", |secrets| {
            secrets.tag_resource(TagResourceRequest::new("small", [Tag::new("team", "two")])).unwrap();
        }),
        ("Policies", |secrets| {
            let policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
            secrets.put_resource_policy(PutResourcePolicyRequest::new("small", policy)).unwrap();
        }),
        ("DeletedDate", |secrets| {
            secrets.delete_secret(DeleteSecretRequest::new("small")).unwrap();
        }),
        ("Versions", |secrets| {
            secrets.put_secret_value(PutSecretValueRequest::new("small", "third")).unwrap();
        }),
        ("VersionStages", |secrets| {
            let first = see(secrets, "small").versions[0].id.clone();
            let label = UpdateSecretVersionStageRequest::new("small", "extra").move_to_version_id(first);
            secrets.update_secret_version_stage(label).unwrap();
        }),
        // There and back again is a change all the same.
        ("LastChangedDate", |secrets| {
            secrets.tag_resource(TagResourceRequest::new("small", [Tag::new("more", "")])).unwrap();
            secrets.untag_resource(UntagResourceRequest::new("small", ["more"])).unwrap();
        }),
    ];
    let source = labelled();
    let (exported, lines) = (source.export(), source.lines());
    for (member, change) in rows {
        let target = Target::new();
        import(&target.store, &exported.path).unwrap();
        change(&target.home());
        let (before, epoch) = (see_all(&target), target.epoch());
        for report in [import(&target.store, &exported.path), import_lines(&target.store, &lines)] {
            let report = report.unwrap();
            assert_eq!((report.created, report.unchanged, report.conflicts.len()), (0, 0, 1), "{member}");
            let conflict = &report.conflicts[0];
            assert_eq!(conflict.reason, ConflictReason::Differs(member));
            assert_eq!(
                (conflict.account.as_str(), conflict.region.as_str(), conflict.name.as_str()),
                ("000000000000", "us-east-1", "small")
            );
        }
        assert_eq!((see_all(&target), target.epoch()), (before, epoch), "{member}");
    }
}

fn see_all(target: &Target) -> String {
    let described = target.home().describe_secret(strongroom::DescribeSecretRequest::new("small")).unwrap();
    format!("{described:?}")
}

#[test]
fn another_secret_of_the_same_name_is_a_conflict() {
    let (source, target) = (Source::several(3), Target::new());
    target.home().create_secret(CreateSecretRequest::new("secret/1").secret_string("mine")).unwrap();
    let report = import(&target.store, &source.export().path).unwrap();
    assert_eq!((report.created, report.unchanged), (2, 0));
    assert_eq!(report.conflicts[0].name, "secret/1");
    assert_eq!(report.conflicts[0].reason, ConflictReason::Differs("ARN"));
    assert_eq!(current(&target.store, "secret/1").unwrap(), "mine");
    assert_eq!(current(&target.store, "secret/2").unwrap(), "value 2");
}

/// All members are the same, and only the value is another one: this can be brought about only with edited lines.
#[test]
fn another_value_under_the_same_version_is_a_conflict() {
    let (source, target) = (Source::small(), Target::new());
    let lines = String::from_utf8(source.lines()).unwrap();
    import_lines(&target.store, lines.replace("CANARY-VALUE", "CANARY-OTHER").as_bytes()).unwrap();
    for report in [import_lines(&target.store, lines.as_bytes()), import(&target.store, &source.export().path)] {
        let report = report.unwrap();
        assert_eq!(report.conflicts[0].reason, ConflictReason::Differs("SecretValue"));
    }
    assert_eq!(current(&target.store, "small").unwrap(), "CANARY-OTHER");
}

#[test]
fn what_is_missing_is_added_to_what_is_there() {
    let (source, target) = (Source::several(4), Target::new());
    let first = source.export();
    import(&target.store, &first.path).unwrap();
    target.home().delete_secret(DeleteSecretRequest::new("secret/0").force_delete_without_recovery(true)).unwrap();
    source.create("added", "later");
    let report = import(&target.store, &source.export().path).unwrap();
    assert_eq!((report.created, report.unchanged, report.conflicts.len()), (2, 3, 0));
    assert_eq!(current(&target.store, "secret/0").unwrap(), "value 0");
    assert_eq!(current(&target.store, "added").unwrap(), "later");
}

#[test]
fn a_secret_past_its_recovery_window_makes_way() {
    let (source, target) = (Source::small(), Target::new());
    target.home().create_secret(CreateSecretRequest::new("small").secret_string("old")).unwrap();
    target.home().delete_secret(DeleteSecretRequest::new("small").recovery_window_in_days(7)).unwrap();
    let exported = source.export();
    assert_eq!(import(&target.store, &exported.path).unwrap().conflicts.len(), 1);
    target.clock.advance(TimeDelta::days(7));
    assert_eq!(import(&target.store, &exported.path).unwrap().created, 1);
    assert_eq!(current(&target.store, "small").unwrap(), "CANARY-VALUE");
    assert_eq!(target.store.stats().unwrap().secrets, 1);
    assert_eq!(target.store.maintain().unwrap().purged_secrets, 0, "nothing of the old one is due");
}

#[test]
fn a_recovery_window_that_ended_on_the_way_is_reported() {
    let source = Source::several(2);
    source.home().delete_secret(DeleteSecretRequest::new("secret/0").recovery_window_in_days(7)).unwrap();
    let (exported, target) = (source.export(), Target::new());
    let kept = import(&target.store, &exported.path).unwrap();
    assert_eq!(kept.created, 2, "five days later it can still be restored");
    target.home().restore_secret(RestoreSecretRequest::new("secret/0")).unwrap();

    let late = Target::new();
    late.clock.advance(TimeDelta::days(10));
    let report = import(&late.store, &exported.path).unwrap();
    assert_eq!((report.created, report.conflicts.len()), (1, 1));
    assert_eq!(report.conflicts[0].reason, ConflictReason::Expired);
}

/// Versions that were made within a day are all kept, and the oldest go when they may, as in any store.
#[test]
fn versions_beyond_the_number_that_is_kept_are_removed_when_they_are_due() {
    let source = Source::small();
    for number in 0..120 {
        source.home().put_secret_value(PutSecretValueRequest::new("small", number.to_string())).unwrap();
    }
    let target = Target::new();
    import(&target.store, &source.export().path).unwrap();
    assert_eq!(see(&target.home(), "small").versions.len(), 121);
    assert_eq!(target.store.maintain().unwrap().removed_versions, 21);
    assert_eq!(current(&target.store, "small").unwrap(), "119");
}
