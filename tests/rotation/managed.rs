//! Secrets that a service or a partner rotates, instead of a function.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/service-linked-secrets.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/managed-external-secrets.html>

use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, DescribeSecretResponse,
    ExternalSecretRotationMetadataItem, GetSecretValueRequest, ListSecretsRequest, PutSecretValueRequest,
    RotateSecretRequest, RotationRules, SecretStore, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest,
    UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::fixture::{ARN, Scripted, at, builder, clock, days, refusal, token, work};

const ROLE: &str = "arn:aws:iam::000000000000:role/rotate";

/// `rds!db-1` belongs to the service `rds`, and `crm` to the partner `Crm`. Whoever rotates them does it with `function`.
struct World {
    clock: strongroom::testing::ManualClock,
    store: SecretStore,
    secrets: SecretsManager,
    service: SecretsManager,
    function: Scripted,
}

impl World {
    fn new() -> Self {
        let function = Scripted::working();
        let clock = clock("2026-01-15T12:00:00Z");
        let builder = builder(&clock).managed_rotation("rds", function.clone());
        let builder = builder.partner_rotation("Crm", function.clone()).rotation_function(ARN, Scripted::working());
        let store = builder.open().unwrap();
        let secrets = store.default_secrets_manager();
        let service = secrets.clone().as_owning_service("rds").unwrap();
        let create = CreateSecretRequest::new("rds!db-1").client_request_token(token(1)).secret_string("first");
        let tags = [Tag::new("aws:rds:primaryDBInstanceArn", "arn:aws:rds:us-east-1:000000000000:db:one")];
        service.create_secret(create.tags(tags)).unwrap();
        let create = CreateSecretRequest::new("crm").client_request_token(token(1)).secret_string("first");
        secrets.create_secret(create.r#type("Crm")).unwrap();
        Self { clock, store, secrets, service, function }
    }

    fn describe(&self, id: &str) -> DescribeSecretResponse {
        self.secrets.describe_secret(DescribeSecretRequest::new(id)).unwrap()
    }

    fn current(&self, id: &str) -> String {
        let read = self.secrets.get_secret_value(GetSecretValueRequest::new(id)).unwrap();
        read.secret_string.unwrap().expose().to_owned()
    }
}

fn rotate(id: &str, number: u32) -> RotateSecretRequest {
    RotateSecretRequest::new(id).client_request_token(token(number))
}

#[test]
fn a_secret_of_a_service_looks_as_those_of_the_service_do() {
    let world = World::new();
    world.service.rotate_secret(rotate("rds!db-1", 2).rotation_rules(days(7))).unwrap();
    let described = world.describe("rds!db-1");
    assert_eq!(described.owning_service.as_deref(), Some("rds"));
    assert_eq!((described.rotation_enabled, &described.rotation_rules), (Some(true), &Some(days(7))));
    assert_eq!(described.rotation_lambda_arn, None);
    let tags: Vec<_> = described.tags.unwrap().into_iter().map(|tag| (tag.key, tag.value)).collect();
    assert!(tags.contains(&("aws:secretsmanager:owningService".to_owned(), "rds".to_owned())), "{tags:?}");
    assert!(tags.iter().any(|(key, _)| key == "aws:rds:primaryDBInstanceArn"), "{tags:?}");
    let list = world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
    let entry = list.into_iter().find(|entry| entry.name == "rds!db-1").unwrap();
    assert_eq!((entry.owning_service.as_deref(), entry.rotation_enabled), (Some("rds"), Some(true)));
    assert_eq!((entry.rotation_rules, entry.rotation_lambda_arn), (Some(days(7)), None));
}

#[test]
fn a_user_may_change_when_it_rotates_and_its_tags_and_nothing_else() {
    let world = World::new();
    let id = "rds!db-1";
    type Call = fn(&SecretsManager) -> Result<(), strongroom::Error>;
    const ID: &str = "rds!db-1";
    let rows: [(&str, Call, bool); 12] = [
        ("reading", |s| s.get_secret_value(GetSecretValueRequest::new(ID)).map(drop), true),
        ("tagging", |s| s.tag_resource(TagResourceRequest::new(ID, [Tag::new("team", "a")])), true),
        ("untagging", |s| s.untag_resource(UntagResourceRequest::new(ID, ["team"])), true),
        ("a reserved tag", |s| s.tag_resource(TagResourceRequest::new(ID, [Tag::new("aws:x", "a")])), false),
        ("putting", |s| s.put_secret_value(PutSecretValueRequest::new(ID, "mine")).map(drop), false),
        (
            "updating the value",
            |s| s.update_secret(UpdateSecretRequest::new(ID).secret_string("mine")).map(drop),
            false,
        ),
        ("updating the key", |s| s.update_secret(UpdateSecretRequest::new(ID).kms_key_id("alias/k")).map(drop), false),
        ("deleting", |s| s.delete_secret(DeleteSecretRequest::new(ID)).map(drop), false),
        (
            "deleting by force",
            |s| s.delete_secret(DeleteSecretRequest::new(ID).force_delete_without_recovery(true)).map(drop),
            false,
        ),
        ("a function", |s| s.rotate_secret(rotate(ID, 5).rotation_lambda_arn(ARN)).map(drop), false),
        (
            "a schedule",
            |s| s.rotate_secret(rotate(ID, 6).rotation_rules(days(3)).rotate_immediately(false)).map(drop),
            true,
        ),
        ("turning it off", |s| s.cancel_rotate_secret(CancelRotateSecretRequest::new(ID)).map(drop), false),
    ];
    for (what, call, is_allowed) in rows {
        let before = world.describe(id);
        let called = call(&world.secrets);
        assert_eq!(called.is_ok(), is_allowed, "{what}: {called:?}");
        if !is_allowed {
            let (code, _) = refusal(called);
            assert!(["InvalidRequestException", "InvalidParameterException"].contains(&code), "{what}: {code}");
            assert_eq!(world.describe(id), before, "{what}");
        }
    }
    assert_eq!(world.describe(id).next_rotation_date, Some(at("2026-01-18T23:59:59Z")));
    assert_eq!(world.current(id), "first");
}

#[test]
fn a_user_does_not_choose_its_value_by_moving_a_label() {
    let world = World::new();
    let put = PutSecretValueRequest::new("rds!db-1", "second").client_request_token(token(2));
    world.service.put_secret_value(put).unwrap();
    let back = UpdateSecretVersionStageRequest::new("rds!db-1", "AWSCURRENT");
    let back = back.remove_from_version_id(token(2)).move_to_version_id(token(1));
    let moved = world.secrets.update_secret_version_stage(back);
    assert_eq!(world.current("rds!db-1"), "second");
    assert_eq!(refusal(moved).0, "InvalidRequestException");
}

#[test]
fn another_service_may_do_no_more_than_a_user() {
    let world = World::new();
    let ecs = world.secrets.clone().as_owning_service("ecs").unwrap();
    refusal(ecs.put_secret_value(PutSecretValueRequest::new("rds!db-1", "mine")));
    refusal(ecs.delete_secret(DeleteSecretRequest::new("rds!db-1")));
    refusal(ecs.cancel_rotate_secret(CancelRotateSecretRequest::new("rds!db-1")));
    assert_eq!(world.current("rds!db-1"), "first");
}

#[test]
fn the_service_may_turn_rotation_off_and_on() {
    let world = World::new();
    world.service.rotate_secret(rotate("rds!db-1", 2).rotation_rules(days(7))).unwrap();
    world.store.maintain().unwrap();
    world.service.cancel_rotate_secret(CancelRotateSecretRequest::new("rds!db-1")).unwrap();
    let described = world.describe("rds!db-1");
    assert_eq!((described.rotation_enabled, described.rotation_rules), (Some(false), Some(days(7))));
    world.service.rotate_secret(rotate("rds!db-1", 3)).unwrap();
    assert_eq!(world.describe("rds!db-1").rotation_enabled, Some(true));
}

#[test]
fn whoever_is_registered_for_the_service_rotates_it_by_its_schedule() {
    let world = World::new();
    world.function.answers(|call| {
        assert_eq!(call.function_arn, None);
        work(call, false)
    });
    let schedule = rotate("rds!db-1", 2).rotation_rules(days(7)).rotate_immediately(false);
    world.secrets.rotate_secret(schedule).unwrap();
    assert_eq!(world.store.maintain().unwrap().next_due_at, Some(at("2026-01-22T00:00:00Z")));
    assert_eq!(world.function.calls().len(), 0, "there is no function that could be tried");
    assert_eq!(world.describe("rds!db-1").version_ids_to_stages.unwrap().len(), 1);
    world.clock.set(at("2026-01-22T00:00:00Z"));
    let report = world.store.maintain().unwrap();
    assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0));
    assert_eq!(world.function.calls().len(), 4);
    assert!(world.current("rds!db-1").starts_with("made for "));
    let described = world.describe("rds!db-1");
    assert_eq!(described.last_rotated_date, Some(at("2026-01-22T00:00:00Z")));
    assert_eq!(described.next_rotation_date, Some(at("2026-01-29T23:59:59Z")));
}

#[test]
fn a_user_can_have_the_service_rotate_its_secret_at_once() {
    let world = World::new();
    assert_eq!(world.secrets.rotate_secret(rotate("rds!db-1", 2)).unwrap().version_id, token(2));
    assert_eq!(world.store.maintain().unwrap().rotated_secrets, 1);
    assert_eq!(world.current("rds!db-1"), format!("made for {}", token(2)));
}

#[test]
fn the_function_of_an_ordinary_secret_acts_for_no_service() {
    let function = Scripted::new(|call| {
        let put = PutSecretValueRequest::new("rds!db-1", "taken over");
        assert!(call.secrets.put_secret_value(put).is_err(), "the secret of the service");
        work(call, false)
    });
    let clock = clock("2026-01-15T12:00:00Z");
    let store = builder(&clock).rotation_function(ARN, function).rotate_inline(true).open().unwrap();
    let service = store.default_secrets_manager().as_owning_service("rds").unwrap();
    service.create_secret(CreateSecretRequest::new("rds!db-1").secret_string("first")).unwrap();
    let secrets = store.default_secrets_manager();
    secrets
        .create_secret(CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first"))
        .unwrap();
    // Even if it is the service that asks.
    service.rotate_secret(rotate("db", 2).rotation_lambda_arn(ARN)).unwrap();
    let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
    assert_eq!(described.last_rotated_date, Some(at("2026-01-15T12:00:00Z")));
}

#[test]
fn what_a_partner_needs_is_kept_and_told() {
    let world = World::new();
    let item = |key: &str, value: &str| ExternalSecretRotationMetadataItem::new(key, value);
    let request = rotate("crm", 2).rotation_rules(days(5)).external_secret_rotation_role_arn(ROLE);
    let request = request.external_secret_rotation_metadata([item("consumer", "app"), item("b", "c")]);
    world.secrets.rotate_secret(request).unwrap();
    let described = world.describe("crm");
    assert_eq!((described.r#type.as_deref(), described.rotation_enabled), (Some("Crm"), Some(true)));
    assert_eq!(described.external_secret_rotation_metadata, Some(vec![item("consumer", "app"), item("b", "c")]));
    assert_eq!(described.external_secret_rotation_role_arn.as_deref(), Some(ROLE));
    assert_eq!((described.rotation_lambda_arn, &described.rotation_rules), (None, &Some(days(5))));
    let list = world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
    let entry = list.into_iter().find(|entry| entry.name == "crm").unwrap();
    assert_eq!(entry.external_secret_rotation_metadata, described.external_secret_rotation_metadata);
    assert_eq!(entry.external_secret_rotation_role_arn, described.external_secret_rotation_role_arn);
    assert_eq!(world.store.maintain().unwrap().rotated_secrets, 1);
    assert_eq!(world.current("crm"), format!("made for {}", token(2)));

    // What is not given stays, and what is given takes the place of what was there.
    world.secrets.rotate_secret(rotate("crm", 3)).unwrap();
    world.store.maintain().unwrap();
    assert_eq!(world.describe("crm").external_secret_rotation_metadata.unwrap().len(), 2);
    world.secrets.rotate_secret(rotate("crm", 4).external_secret_rotation_metadata([item("d", "e")])).unwrap();
    let described = world.describe("crm");
    assert_eq!(described.external_secret_rotation_metadata, Some(vec![item("d", "e")]));
    assert_eq!(described.external_secret_rotation_role_arn.as_deref(), Some(ROLE));
}

#[test]
fn others_show_nothing_of_partners() {
    let world = World::new();
    world.secrets.rotate_secret(rotate("rds!db-1", 2).rotation_rules(RotationRules::new())).unwrap();
    let described = world.describe("rds!db-1");
    assert_eq!(described.external_secret_rotation_metadata, None);
    assert_eq!(described.external_secret_rotation_role_arn, None);
}

#[test]
fn a_partner_that_nobody_plays_the_part_of_has_a_role_that_cannot_be_assumed() {
    let world = World::new();
    world.secrets.create_secret(CreateSecretRequest::new("other").secret_string("v").r#type("Other")).unwrap();
    let before = world.describe("other");
    let request = rotate("other", 2).rotation_rules(days(5)).external_secret_rotation_role_arn(ROLE);
    let refused = refusal(world.secrets.rotate_secret(request));
    assert_eq!(refused, ("InvalidRequestException", "unable to assume role".to_owned()));
    assert_eq!(world.describe("other"), before);
}
