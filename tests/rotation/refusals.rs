//! What RotateSecret and CancelRotateSecret refuse, in which words, and that a refusal leaves nothing behind.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html>

use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, DescribeSecretResponse,
    ExternalSecretRotationMetadataItem, ListSecretVersionIdsRequest, ListSecretsRequest, PutSecretValueRequest,
    RotateSecretRequest, RotationRules, RotationStatus, SecretListEntry, SecretStore, SecretVersionsListEntry,
    SecretsManager,
};

use crate::fixture::{ARN, Scripted, builder, clock, refusal, token};

type Refusal = (&'static str, &'static str);

const UNREGISTERED: &str = "arn:aws:lambda:us-east-1:000000000000:function:nobody";

const NO_TOKEN: Refusal =
    ("InvalidParameterException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.");
const INVALID_NAME: Refusal = (
    "ValidationException",
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
);
const NOT_FOUND: Refusal = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
const MARKED: Refusal =
    ("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.");
const NO_FUNCTION: Refusal =
    ("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.");
const NOT_INVOCABLE: Refusal = (
    "AccessDeniedException",
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the \
     principal secretsmanager.amazonaws.com.",
);
const NO_LAMBDA_ARN: Refusal = (
    "InvalidParameterException",
    "Invalid rotation Lambda ARN. Ensure the ARN matches format \
     arn:aws:lambda:<region>:<account>:function:<functionName>.",
);
const INCOMPLETE: Refusal =
    ("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.");
const SERVICE_MANAGED: Refusal =
    ("InvalidRequestException", "Rotation Lambda ARN is not supported for a service-managed secret.");
const NO_ROLE: Refusal = ("InvalidRequestException", "unable to assume role");
const BOTH: Refusal =
    ("InvalidParameterException", "You cannot specify both rotation frequency and schedule expression together.");
const NO_SCHEDULE: Refusal = ("InvalidParameterException", "Invalid schedule expression.");
const DAY: Refusal = ("InvalidParameterException", "Starting hour and duration must be within a day.");

/// A store that demands tokens, with a secret in each state that matters:
///
/// * `plain`: a value, rotation was never configured; `empty`: not even a value;
/// * `pending`: versions 1 and 2, of which 2 is pending although rotation was never configured;
/// * `rotated`: rotated to version 2 every day at 16 hours; `previous`: version 1 of it is deprecated;
/// * `busy`: a rotation to version 2 is under way;
/// * `gone`: as `rotated`, and scheduled for deletion; `gone-plain`: scheduled, and never configured;
/// * `rds!db`, `ecs!db`: of services, of which only `rds` has somebody who rotates; `rds!gone`: scheduled;
/// * `partner`, `stranger`: of partners, of which only `Partner` has somebody who rotates.
struct World {
    store: SecretStore,
    secrets: SecretsManager,
}

type Seen = (DescribeSecretResponse, Option<RotationStatus>, Vec<SecretVersionsListEntry>);

impl World {
    fn new() -> Self {
        let clock = clock("2026-01-15T12:00:00Z");
        let builder = builder(&clock).require_client_request_token(true);
        let builder = builder.rotation_function(ARN, Scripted::working());
        let builder = builder.managed_rotation("rds", Scripted::working());
        let store = builder.partner_rotation("Partner", Scripted::working()).open().unwrap();
        let secrets = store.default_secrets_manager();
        let world = Self { store, secrets };
        for name in ["plain", "pending", "rotated", "busy", "gone", "gone-plain"] {
            world.create(&world.secrets, name, |request| request);
        }
        let empty = CreateSecretRequest::new("empty").client_request_token(token(1));
        world.secrets.create_secret(empty).unwrap();
        let put = PutSecretValueRequest::new("pending", "2").client_request_token(token(2));
        world.secrets.put_secret_value(put.version_stages(["AWSPENDING"])).unwrap();
        for name in ["rds!db", "rds!gone", "ecs!db"] {
            let service = world.secrets.clone().as_owning_service(&name[..3]).unwrap();
            world.create(&service, name, |request| request);
        }
        for (name, partner) in [("partner", "Partner"), ("stranger", "Stranger")] {
            world.create(&world.secrets, name, |request| request.r#type(partner));
        }
        for name in ["rotated", "gone"] {
            let rules = RotationRules::new().schedule_expression("cron(0 16 * * ? *)");
            world.secrets.rotate_secret(rotate(name, 2).rotation_lambda_arn(ARN).rotation_rules(rules)).unwrap();
        }
        assert_eq!(world.store.maintain().unwrap().rotated_secrets, 2);
        world.secrets.rotate_secret(rotate("busy", 2).rotation_lambda_arn(ARN)).unwrap();
        for name in ["gone", "gone-plain"] {
            world.secrets.delete_secret(DeleteSecretRequest::new(name)).unwrap();
        }
        let rds = world.secrets.clone().as_owning_service("rds").unwrap();
        rds.delete_secret(DeleteSecretRequest::new("rds!gone")).unwrap();
        world
    }

    fn create(
        &self,
        secrets: &SecretsManager,
        name: &str,
        with: impl FnOnce(CreateSecretRequest) -> CreateSecretRequest,
    ) {
        let request = CreateSecretRequest::new(name).client_request_token(token(1)).secret_string("first");
        secrets.create_secret(with(request)).unwrap();
    }

    /// All that can be seen.
    fn seen(&self) -> (Vec<SecretListEntry>, Vec<Seen>) {
        let list = ListSecretsRequest::new().include_planned_deletion(true);
        let list = self.secrets.list_secrets(list).unwrap().secret_list;
        let each = list.iter().map(|entry| {
            let id = entry.arn.clone();
            let described = self.secrets.describe_secret(DescribeSecretRequest::new(&id)).unwrap();
            let versions = ListSecretVersionIdsRequest::new(&id).include_deprecated(true);
            let versions = self.secrets.list_secret_version_ids(versions).unwrap().versions;
            (described, self.secrets.rotation_status(&id).unwrap(), versions)
        });
        let each = each.collect();
        (list, each)
    }
}

fn rotate(id: &str, number: u32) -> RotateSecretRequest {
    RotateSecretRequest::new(id).client_request_token(token(number))
}

fn without_token(id: &str) -> RotateSecretRequest {
    RotateSecretRequest::new(id)
}

fn days(days: i64) -> RotationRules {
    RotationRules::new().automatically_after_days(days)
}

fn cron(expression: &str) -> RotationRules {
    RotationRules::new().schedule_expression(expression)
}

fn metadata() -> [ExternalSecretRotationMetadataItem; 1] {
    [ExternalSecretRotationMetadataItem::new("key", "value")]
}

/// Breaks what is looked at without looking at a secret, last check first: the token, the rules, the ARN.
fn all_wrong(id: &str) -> RotateSecretRequest {
    without_token(id).rotation_lambda_arn("nonsense").rotation_rules(days(1).schedule_expression("nonsense"))
}

type Row = (&'static str, RotateSecretRequest, Refusal);

/// Every refusal by itself.
fn single() -> Vec<Row> {
    let taken = |name: &str, number: u32| rotate(name, number).rotation_lambda_arn(ARN);
    let of = |id: &str| rotate(id, 3);
    vec![
        ("no token", without_token("rotated"), NO_TOKEN),
        ("an illegal name", of("bad name"), INVALID_NAME),
        ("nobody's name", of("nope").rotation_lambda_arn(ARN), NOT_FOUND),
        ("scheduled for deletion", of("gone"), MARKED),
        ("scheduled for deletion, with a function", of("gone").rotation_lambda_arn(ARN), MARKED),
        ("never configured", of("plain"), NO_FUNCTION),
        ("never configured, with rules", of("plain").rotation_rules(days(1)), NO_FUNCTION),
        ("never configured, without a value", of("empty").rotation_rules(days(1)), NO_FUNCTION),
        ("an empty ARN is none", of("plain").rotation_lambda_arn("").rotation_rules(days(1)), NO_FUNCTION),
        ("nobody's function", of("plain").rotation_lambda_arn(UNREGISTERED).rotation_rules(days(1)), NOT_INVOCABLE),
        (
            "nobody's function, for later",
            of("plain").rotation_lambda_arn(UNREGISTERED).rotate_immediately(false),
            NOT_INVOCABLE,
        ),
        ("nobody's function instead of one", of("rotated").rotation_lambda_arn(UNREGISTERED), NOT_INVOCABLE),
        ("days and an expression", of("rotated").rotation_rules(days(1).schedule_expression("rate(1 day)")), BOTH),
        ("no expression", of("rotated").rotation_rules(cron("every day")), NO_SCHEDULE),
        (
            "too often",
            of("rotated").rotation_rules(cron("rate(3 hours)")),
            ("InvalidParameterException", "Rate in hour should be least 4 and less than 24."),
        ),
        (
            "too many hours",
            of("rotated").rotation_rules(cron("rate(24 hours)")),
            ("InvalidParameterException", "Rate in hour should be least 4 and less than 24."),
        ),
        (
            "no days",
            of("rotated").rotation_rules(cron("rate(0 days)")),
            ("InvalidParameterException", "Rate in day should be greater than 0 and less than 1000."),
        ),
        (
            "too many days",
            of("rotated").rotation_rules(cron("rate(1000 days)")),
            ("InvalidParameterException", "Rate in day should be greater than 0 and less than 1000."),
        ),
        (
            "no duration",
            of("rotated").rotation_rules(days(1).duration("0h")),
            ("InvalidParameterException", "Duration must be at least 1 hour, at most 24 hour."),
        ),
        (
            "too long",
            of("rotated").rotation_rules(days(1).duration("25h")),
            ("InvalidParameterException", "Duration must be at least 1 hour, at most 24 hour."),
        ),
        (
            "longer than the rate",
            of("rotated").rotation_rules(cron("rate(4 hours)").duration("5h")),
            ("InvalidParameterException", "Duration cannot be greater than Rate in hour."),
        ),
        ("into the next day", of("rotated").rotation_rules(cron("cron(0 16 * * ? *)").duration("9h")), DAY),
        (
            "into the next day, for the schedule there is",
            of("rotated").rotation_rules(RotationRules::new().duration("9h")),
            DAY,
        ),
        ("an earlier rotation is under way", of("busy"), INCOMPLETE),
        ("an earlier rotation is under way, for later", of("busy").rotate_immediately(false), INCOMPLETE),
        ("another version is pending", of("pending").rotation_lambda_arn(ARN), INCOMPLETE),
        ("the token of the pending version", taken("pending", 2), INCOMPLETE),
        ("a function for a service", of("rds!db").rotation_lambda_arn(ARN), SERVICE_MANAGED),
        ("a function for a partner", of("partner").rotation_lambda_arn(ARN), SERVICE_MANAGED),
        ("nobody for the partner", of("stranger").external_secret_rotation_metadata(metadata()), NO_ROLE),
    ]
}

/// The first check of several that fail.
fn precedence() -> Vec<Row> {
    vec![
        ("the form of the id, before the function, the rules and the token", all_wrong("bad name"), INVALID_NAME),
        ("the function, before the rules, the token and the secret", all_wrong("nope"), NO_LAMBDA_ARN),
        (
            "the rules, before the token and the secret",
            without_token("nope").rotation_rules(days(1).schedule_expression("nonsense")),
            BOTH,
        ),
        (
            "the expression, before the duration",
            without_token("nope").rotation_rules(cron("nonsense").duration("0h")),
            NO_SCHEDULE,
        ),
        (
            "the duration, before how it goes with the schedule",
            without_token("nope").rotation_rules(cron("rate(4 hours)").duration("99h")),
            ("InvalidParameterException", "Duration must be at least 1 hour, at most 24 hour."),
        ),
        ("the token, before the secret", without_token("nope").rotation_lambda_arn(UNREGISTERED), NO_TOKEN),
        ("the token, before the state of the secret", without_token("gone"), NO_TOKEN),
        ("no such secret, before the function", rotate("nope", 1).rotation_lambda_arn(UNREGISTERED), NOT_FOUND),
        ("scheduled, before the token", rotate("gone", 1).rotation_lambda_arn(UNREGISTERED), MARKED),
        ("scheduled, before no function", rotate("gone-plain", 1).rotation_rules(days(1)), MARKED),
        ("scheduled, before the service", rotate("rds!gone", 1).rotation_lambda_arn(UNREGISTERED), MARKED),
        ("the service, before the token", rotate("rds!db", 1).rotation_lambda_arn(UNREGISTERED), SERVICE_MANAGED),
        ("no function, before the pending version", rotate("pending", 1).rotation_rules(days(1)), NO_FUNCTION),
        ("the pending version, before the token", rotate("pending", 1).rotation_lambda_arn(UNREGISTERED), INCOMPLETE),
        ("the pending version, before the function", rotate("busy", 3).rotation_lambda_arn(UNREGISTERED), INCOMPLETE),
        (
            "the duration, before the function",
            rotate("rotated", 3).rotation_lambda_arn(UNREGISTERED).rotation_rules(RotationRules::new().duration("9h")),
            DAY,
        ),
    ]
}

#[test]
fn every_refusal_has_its_words_and_leaves_nothing_behind() {
    let world = World::new();
    let before = world.seen();
    for (what, request, (code, text)) in single().into_iter().chain(precedence()) {
        assert_eq!(refusal(world.secrets.rotate_secret(request)), (code, text.to_owned()), "{what}");
        assert_eq!(world.seen(), before, "{what}");
    }
    // What was refused is not remembered for later either.
    assert_eq!(world.store.maintain().unwrap().rotated_secrets, 1, "only the one that was under way");
}

#[test]
fn a_token_that_names_a_version_is_refused_whatever_else_is_wrong_later() {
    let world = World::new();
    let before = world.seen();
    for (name, number) in [("rotated", 1), ("rotated", 2), ("plain", 1)] {
        let request = rotate(name, number).rotation_lambda_arn(UNREGISTERED);
        let (code, text) = refusal(world.secrets.rotate_secret(request));
        let arn = world.secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap().arn;
        let expected = format!(
            "You can't use ClientRequestToken {} because that value is already in use for a version of secret {arn}.",
            token(number)
        );
        assert_eq!((code, text), ("InvalidRequestException", expected), "{name} {number}");
    }
    assert_eq!(world.seen(), before);
}

#[test]
fn members_of_managed_external_secrets_are_not_for_others() {
    let world = World::new();
    let before = world.seen();
    let role = "arn:aws:iam::000000000000:role/rotate";
    for request in [
        rotate("plain", 3).rotation_lambda_arn(ARN).external_secret_rotation_metadata(metadata()),
        rotate("rotated", 3).external_secret_rotation_role_arn(role),
        rotate("rds!db", 3).external_secret_rotation_role_arn(role),
    ] {
        assert_eq!(refusal(world.secrets.rotate_secret(request)).0, "InvalidParameterException");
    }
    assert_eq!(world.seen(), before);
}

#[test]
fn a_service_that_nobody_plays_the_part_of_cannot_rotate() {
    let world = World::new();
    let before = world.seen();
    let (code, _) = refusal(world.secrets.rotate_secret(rotate("ecs!db", 3)));
    assert_eq!(code, "AccessDeniedException");
    assert_eq!(world.seen(), before);
}

#[test]
fn only_the_arn_of_a_function_of_the_region_is_taken() {
    let world = World::new();
    let before = world.seen();
    for arn in [
        "nonsense",
        "arn:aws:lambda:us-east-1:000000000000:function:",
        "arn:aws:lambda:us-east-1:000000000000:function",
        "arn:aws:lambda:us-east-1:000000000000:layer:rotate",
        "arn:aws:lambda:us-east-1:00000000000:function:rotate",
        "arn:aws:lambda:us-east-1:00000000000x:function:rotate",
        "arn:aws:lambda:us-east-1::function:rotate",
        "arn:aws:lambda:eu-west-1:000000000000:function:rotate",
        "arn:aws:lambda::000000000000:function:rotate",
        "arn:aws-cn:lambda:us-east-1:000000000000:function:rotate",
        "arn:aws:s3:us-east-1:000000000000:function:rotate",
        "arn:aws:lambda:us-east-1:000000000000:function:ro tate",
        "arn:aws:lambda:us-east-1:000000000000:function:röte",
        "arn:aws:lambda:us-east-1:000000000000:function:rotate:",
        "arn:aws:lambda:us-east-1:000000000000:function:rotate:1:2",
        " arn:aws:lambda:us-east-1:000000000000:function:rotate",
        "ARN:aws:lambda:us-east-1:000000000000:function:rotate",
        &"x".repeat(2_048),
    ] {
        let request = rotate("plain", 3).rotation_lambda_arn(arn);
        let (code, text) = refusal(world.secrets.rotate_secret(request));
        assert_eq!((code, text.as_str()), NO_LAMBDA_ARN, "{arn}");
    }
    // A version or an alias of a function is one, and so is that of another account.
    for arn in [
        "arn:aws:lambda:us-east-1:000000000000:function:rotate:$LATEST",
        "arn:aws:lambda:us-east-1:000000000000:function:rotate:7",
        "arn:aws:lambda:us-east-1:000000000000:function:rotate:prod",
        "arn:aws:lambda:us-east-1:123456789012:function:my-rotation_1",
    ] {
        let request = rotate("plain", 3).rotation_lambda_arn(arn);
        let (code, text) = refusal(world.secrets.rotate_secret(request));
        assert_eq!((code, text.as_str()), NOT_INVOCABLE, "{arn}");
    }
    assert_eq!(world.seen(), before);
}

#[test]
fn what_cannot_be_cancelled() {
    let world = World::new();
    let before = world.seen();
    let long = "bad name ".repeat(300);
    for (id, (code, text)) in [
        ("bad name", INVALID_NAME),
        (
            "",
            (
                "ValidationException",
                "1 validation error detected: Value '' at 'secretId' failed to satisfy constraint: \
                                      Member must have length greater than or equal to 1",
            ),
        ),
        ("nope", NOT_FOUND),
        ("gone", MARKED),
        ("gone-plain", MARKED),
        ("rds!gone", MARKED),
        ("plain", NO_FUNCTION),
        ("empty", NO_FUNCTION),
        ("pending", NO_FUNCTION),
        ("partner", NO_FUNCTION),
    ] {
        let cancelled = world.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(id));
        assert_eq!(refusal(cancelled), (code, text.to_owned()), "{id}");
    }
    let too_long = refusal(world.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(&long)));
    assert_eq!(too_long.0, "ValidationException");
    assert!(too_long.1.ends_with("Member must have length less than or equal to 2048"), "{}", too_long.1);
    let managed = world.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("rds!db"));
    assert_eq!(refusal(managed).0, "InvalidRequestException");
    assert_eq!(world.seen(), before);
}
