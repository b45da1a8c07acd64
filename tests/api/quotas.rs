//! Quotas: each at its edge, and one past it.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>

use chrono::TimeDelta;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, GetSecretValueRequest, PutSecretValueRequest, Tag, TagResourceRequest,
    UntagResourceRequest, UpdateSecretRequest, limits,
};

use crate::fixture::{CURRENT, Fixture, PREVIOUS, code, creation, putting, refused, token, value};

const LIMIT: &str = "LimitExceededException";

/// The numbers that the service publishes.
#[test]
fn the_quotas_are_those_of_the_service() {
    assert_eq!(limits::SECRETS_MAX_DEFAULT, 500_000);
    assert_eq!((limits::VERSIONS_KEPT, limits::VERSION_KEPT_HOURS), (100, 24));
    assert_eq!(limits::LABELS_MAX, 20);
    assert_eq!(limits::VALUE_BYTES_MAX, 65_536);
    assert_eq!(limits::TAGS_MAX, 50);
    assert_eq!((limits::NAME_CHARS_MAX, limits::DESCRIPTION_CHARS_MAX), (512, 2_048));
}

#[test]
fn an_account_and_region_hold_so_many_secrets_and_no_more() {
    let fixture = Fixture::with(|builder| builder.secrets_max(3));
    for name in ["a", "b", "c"] {
        fixture.create(name);
    }
    assert_eq!(code(fixture.secrets.create_secret(creation("d", 1))), LIMIT);
    assert_eq!(code(fixture.secrets.create_secret(CreateSecretRequest::new("d"))), LIMIT);
    assert_eq!(fixture.store.stats().unwrap().secrets, 3);

    // What is there can be used and repeated as before.
    fixture.put("a", 2, &[]);
    fixture.secrets.create_secret(creation("b", 1)).unwrap();

    // Other accounts and Regions have their own quota.
    for (account, region) in [("000000000000", "us-east-2"), ("111111111111", "us-east-1")] {
        let other = fixture.store.secrets_manager(account, region).unwrap();
        for name in ["a", "b", "c"] {
            other.create_secret(creation(name, 1)).unwrap();
        }
        assert_eq!(code(other.create_secret(creation("d", 1))), LIMIT);
    }

    let force = DeleteSecretRequest::new("a").force_delete_without_recovery(true);
    fixture.secrets.delete_secret(force).unwrap();
    fixture.create("d");
    assert_eq!(code(fixture.secrets.create_secret(creation("e", 1))), LIMIT);
}

#[test]
fn a_secret_past_its_recovery_window_makes_room_for_its_successor() {
    let fixture = Fixture::with(|builder| builder.secrets_max(1));
    fixture.create("a");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("a").recovery_window_in_days(7)).unwrap();
    fixture.advance(TimeDelta::days(7));
    fixture.create("a");
    assert_eq!(code(fixture.secrets.create_secret(creation("b", 1))), LIMIT);

    fixture.secrets.delete_secret(DeleteSecretRequest::new("a").recovery_window_in_days(7)).unwrap();
    fixture.advance(TimeDelta::days(7));
    assert_eq!(fixture.store.maintain().unwrap().purged_secrets, 1);
    fixture.create("b");
}

/// Ids of all versions, by number.
fn numbers(fixture: &Fixture) -> Vec<usize> {
    let mut listed = Vec::new();
    for n in 1..=150 {
        let read = fixture.secrets.get_secret_value(GetSecretValueRequest::new("app").version_id(token(n)));
        if read.is_ok() {
            listed.push(n);
        }
    }
    listed
}

#[test]
fn versions_beyond_a_hundred_go_oldest_first_when_they_are_a_day_old() {
    let fixture = Fixture::with_value("app");
    for n in 2..=100 {
        fixture.put("app", n, &[]);
    }
    // A hundred stay however old they are.
    fixture.advance(TimeDelta::days(365));
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.removed_versions, report.next_due_at), (0, None));
    assert_eq!(numbers(&fixture), (1..=100).collect::<Vec<_>>());

    // The one that makes it 101 takes the place of the oldest without labels.
    fixture.put("app", 101, &[]);
    assert_eq!(numbers(&fixture), (2..=101).collect::<Vec<_>>());
    fixture.put("app", 102, &["blue"]);
    assert_eq!(numbers(&fixture), (3..=102).collect::<Vec<_>>());
    assert_eq!(fixture.read("app"), "value 101");
}

#[test]
fn a_version_younger_than_a_day_stays_however_many_there_are() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.advance(TimeDelta::hours(1));
    for n in 3..=103 {
        fixture.put("app", n, &[]);
    }
    assert_eq!(numbers(&fixture).len(), 103);

    fixture.clock.set(fixture.after(86_400_000 - 1));
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.removed_versions, report.next_due_at), (0, Some(fixture.after(86_400_000))));
    assert_eq!(numbers(&fixture).len(), 103);

    // The two oldest are a day old now, the third has an hour to go.
    fixture.clock.set(fixture.after(86_400_000));
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.removed_versions, report.next_due_at), (2, Some(fixture.after(86_400_000 + 3_600_000))));
    assert_eq!(numbers(&fixture), (3..=103).collect::<Vec<_>>());

    fixture.clock.set(fixture.after(86_400_000 + 3_600_000));
    let report = fixture.store.maintain().unwrap();
    assert_eq!((report.removed_versions, report.next_due_at), (1, None));
    assert_eq!(numbers(&fixture), (4..=103).collect::<Vec<_>>());
    let text = format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(1));
    let read = fixture.secrets.get_secret_value(GetSecretValueRequest::new("app").version_id(token(1)));
    refused(read, ("ResourceNotFoundException", &text));
}

#[test]
fn a_version_with_a_label_is_never_removed() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &["keep"]);
    fixture.move_label("app", PREVIOUS, Some(1), None).unwrap();
    fixture.move_label("app", "old", None, Some(1)).unwrap();
    fixture.advance(TimeDelta::days(2));
    for n in 4..=106 {
        fixture.put("app", n, &[]);
        fixture.advance(TimeDelta::days(2));
    }
    let kept = numbers(&fixture);
    assert_eq!(kept.len(), 100);
    assert_eq!(kept[..3], [1, 3, 9]);
    assert_eq!(fixture.get(GetSecretValueRequest::new("app").version_stage("old")).version_id, token(1));
    assert_eq!(fixture.get(GetSecretValueRequest::new("app").version_stage("keep")).version_id, token(3));
}

#[test]
fn a_secret_that_changes_too_often_in_a_day_is_refused_a_further_version() {
    let fixture = Fixture::with(|builder| builder.versions_per_secret_max(103));
    fixture.create("app");
    for n in 2..=103 {
        fixture.put("app", n, &[]);
    }
    let before = fixture.describe("app");
    let update = || UpdateSecretRequest::new("app").client_request_token(token(104)).secret_string(value(104));
    assert_eq!(code(fixture.secrets.put_secret_value(putting("app", 104))), LIMIT);
    assert_eq!(code(fixture.secrets.put_secret_value(putting("app", 104).version_stages(["blue"]))), LIMIT);
    assert_eq!(code(fixture.secrets.update_secret(update())), LIMIT);
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(numbers(&fixture).len(), 103);

    // What needs no further version still works.
    fixture.secrets.put_secret_value(putting("app", 103)).unwrap();
    fixture.secrets.update_secret(UpdateSecretRequest::new("app").description("d")).unwrap();

    // A day later the surplus goes by itself.
    fixture.advance(TimeDelta::days(1));
    fixture.secrets.update_secret(update()).unwrap();
    assert_eq!(numbers(&fixture), (5..=104).collect::<Vec<_>>());
}

#[test]
fn a_secret_has_twenty_labels_over_all_its_versions() {
    let fixture = Fixture::with_value("app");
    let labels = |from: usize, to: usize| (from..=to).map(|n| format!("label {n}"));
    fixture.secrets.put_secret_value(putting("app", 2).version_stages(labels(1, 10))).unwrap();
    fixture.secrets.put_secret_value(putting("app", 3).version_stages(labels(11, 18))).unwrap();
    fixture.move_label("app", "label 19", None, Some(1)).unwrap();
    assert_eq!(fixture.labels("app").values().flatten().count(), 20);
    let before = fixture.describe("app");

    assert_eq!(code(fixture.move_label("app", "label 20", None, Some(2))), LIMIT);
    assert_eq!(code(fixture.secrets.put_secret_value(putting("app", 4).version_stages(["label 20"]))), LIMIT);
    // A new current version, or another one, would leave `AWSPREVIOUS` behind as one label more.
    assert_eq!(code(fixture.secrets.put_secret_value(putting("app", 4))), LIMIT);
    let update = UpdateSecretRequest::new("app").client_request_token(token(4)).secret_string(value(4));
    assert_eq!(code(fixture.secrets.update_secret(update)), LIMIT);
    assert_eq!(code(fixture.move_label("app", CURRENT, Some(1), Some(2))), LIMIT);
    assert_eq!(fixture.describe("app"), before);
    assert_eq!(fixture.versions("app").len(), 3);

    // Labels that only move are not more labels, and one less makes room for one.
    fixture.secrets.put_secret_value(putting("app", 4).version_stages(labels(1, 19))).unwrap();
    fixture.move_label("app", "label 1", Some(4), None).unwrap();
    fixture.put("app", 5, &[]);
    assert_eq!(fixture.labels("app").values().flatten().count(), 20);
    assert_eq!(fixture.labels("app")[&token(1)], [PREVIOUS]);
}

#[test]
fn the_first_version_takes_twenty_labels_with_the_current_one_among_them() {
    let labels = |n: usize| (1..=n).map(|n| format!("label {n}"));
    let fixture = Fixture::with_secret("app");
    assert_eq!(code(fixture.secrets.put_secret_value(putting("app", 1).version_stages(labels(20)))), LIMIT);
    assert!(fixture.versions("app").is_empty());
    let put = fixture.secrets.put_secret_value(putting("app", 1).version_stages(labels(19))).unwrap();
    assert_eq!(put.version_stages.len(), 20);

    let fixture = Fixture::with_secret("app");
    let all = labels(19).chain([CURRENT.to_owned()]);
    fixture.secrets.put_secret_value(putting("app", 1).version_stages(all)).unwrap();
    assert_eq!(fixture.labels("app")[&token(1)].len(), 20);
}

#[test]
fn a_value_has_65536_bytes_in_either_form() {
    let fixture = Fixture::with_secret("app");
    let refusal = |member: &str| {
        format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length less \
             than or equal to 65536"
        )
    };
    for text in ["x".repeat(65_536), "é".repeat(32_768), "🔑".repeat(16_384)] {
        fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", text.as_str())).unwrap();
        assert_eq!(fixture.read("app"), text);
        let more = PutSecretValueRequest::new("app", format!("{text}x"));
        refused(fixture.secrets.put_secret_value(more), ("ValidationException", &refusal("secretString")));
    }
    let bytes = vec![0xfe; 65_536];
    fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", bytes.as_slice())).unwrap();
    let read = fixture.get(GetSecretValueRequest::new("app"));
    assert_eq!(read.secret_binary.unwrap().expose(), bytes);
    let more = PutSecretValueRequest::new("app", vec![0xfe; 65_537]);
    refused(fixture.secrets.put_secret_value(more), ("ValidationException", &refusal("secretBinary")));
}

fn tags(from: usize, to: usize) -> Vec<Tag> {
    (from..=to).map(|n| Tag::new(format!("key {n}"), format!("value {n}"))).collect()
}

#[test]
fn a_secret_has_fifty_tags() {
    const REFUSED: &str = "InvalidParameterException";
    let fixture = Fixture::new();
    assert_eq!(code(fixture.secrets.create_secret(creation("app", 1).tags(tags(1, 51)))), REFUSED);
    fixture.secrets.create_secret(creation("app", 1).tags(tags(1, 50))).unwrap();
    fixture.secrets.create_secret(creation("other", 1)).unwrap();

    let tag = |id: &str, tags: Vec<Tag>| fixture.secrets.tag_resource(TagResourceRequest::new(id, tags));
    assert_eq!(code(tag("app", tags(51, 51))), REFUSED);
    assert_eq!(code(tag("app", tags(50, 51))), REFUSED);
    assert_eq!(fixture.describe("app").tags, Some(tags(1, 50)));
    // Overwriting is not adding.
    tag("app", tags(1, 50)).unwrap();
    fixture.secrets.untag_resource(UntagResourceRequest::new("app", ["key 1"])).unwrap();
    tag("app", tags(51, 51)).unwrap();
    assert_eq!(fixture.describe("app").tags, Some(tags(2, 51)));

    assert_eq!(code(tag("other", tags(1, 51))), REFUSED);
    tag("other", tags(1, 25)).unwrap();
    assert_eq!(code(tag("other", tags(26, 51))), REFUSED);
    assert_eq!(fixture.describe("other").tags, Some(tags(1, 25)));
    tag("other", tags(26, 50)).unwrap();
    assert_eq!(fixture.describe("other").tags, Some(tags(1, 50)));
}

#[test]
fn the_largest_secret_there_can_be_is_kept_whole() {
    let fixture = Fixture::new();
    let name = "n".repeat(512);
    let many: Vec<Tag> =
        (0..50).map(|n| Tag::new(format!("{n:0>2}{}", "ключ".repeat(31)), "значение".repeat(32))).collect();
    let request = creation(&name, 1)
        .secret_string("v".repeat(65_536))
        .description("опис".repeat(512))
        .kms_key_id(format!("alias/{}", "k".repeat(200)))
        .r#type("t".repeat(256))
        .tags(many.clone());
    fixture.secrets.create_secret(request).unwrap();
    for n in 1..=17 {
        fixture.move_label(&name, &format!("{n:0>2}{}", "ярлык".repeat(50)), None, Some(1)).unwrap();
    }
    for n in 2..=120 {
        fixture.put(&name, n, &[]);
    }
    let described = fixture.describe(&name);
    assert_eq!(described.tags, Some(many));
    assert_eq!(described.description, Some("опис".repeat(512)));
    assert_eq!(described.version_ids_to_stages.unwrap().values().flatten().count(), 19);
    assert_eq!(fixture.read(&name), "value 120");
    assert_eq!(fixture.read_version(&name, 2), "value 2");
    assert_eq!(
        fixture.get(GetSecretValueRequest::new(&name).version_id(token(1))).secret_string.unwrap().expose().len(),
        65_536
    );
}

/// A secret whose recovery window is over is out of reach, and takes nobody's place.
#[test]
fn a_secret_past_its_recovery_window_does_not_count() {
    let fixture = Fixture::with(|builder| builder.secrets_max(1));
    fixture.create("a");
    fixture.secrets.delete_secret(DeleteSecretRequest::new("a").recovery_window_in_days(7)).unwrap();
    assert_eq!(code(fixture.secrets.create_secret(creation("b", 1))), LIMIT);
    fixture.clock.advance(TimeDelta::days(7));
    fixture.create("b");
    assert_eq!(code(fixture.secrets.create_secret(creation("c", 1))), LIMIT);
}

/// Large metadata and a thousand versions: whatever could be stored can be read, changed and removed.
#[test]
fn a_secret_grows_to_a_limit_and_never_out_of_reach() {
    for (chars, with_tags) in [(36, true), (64, true), (64, false)] {
        let fixture = Fixture::with(|builder| builder);
        let mut creation = CreateSecretRequest::new("s");
        if with_tags {
            creation = creation.tags((0..50).map(|number| Tag::new(format!("{number:0128}"), "v".repeat(256))));
        }
        fixture.secrets.create_secret(creation).unwrap();
        let refusal = (0..1_001).find_map(|number| {
            let request = PutSecretValueRequest::new("s", "v").client_request_token(format!("{number:0chars$}"));
            fixture.secrets.put_secret_value(request).err()
        });
        assert_eq!(refusal.map(|error| error.code()), Some(LIMIT), "{chars} {with_tags}");
        let read = fixture.secrets.get_secret_value(GetSecretValueRequest::new("s")).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), "v");
        let gone = DeleteSecretRequest::new("s").force_delete_without_recovery(true);
        fixture.secrets.delete_secret(gone).unwrap();
        assert_eq!(fixture.store.stats().unwrap().secrets, 0);
    }
}
