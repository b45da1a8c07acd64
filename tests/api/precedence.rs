//! Which error wins when a call breaks several rules. The order is the documented one of each method.

use std::fmt::Debug;

use strongroom::testing::{FaultyBackend, SeededEntropy};
use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    KeyScope, LocalKeyring, MemoryBackend, PutSecretValueRequest, RestoreSecretRequest, RotateSecretRequest,
    SecretStore, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
};

use crate::fixture::{
    CURRENT, Fixture, INVALID_NAME, LABEL_ELSEWHERE, MARKED, NAME_SCHEDULED, NO_FUNCTION, NO_TOKEN, NO_VALUE,
    NOT_FOUND, Refusal, creation, moving, putting, rotating, token,
};

/// A store in which everything is broken that can be: it demands tokens, is full, its next commit fails, and it has
///
/// * `app`: version 1;
/// * `full`: versions 1 and 2, which is as many as a secret may have here, and 20 labels;
/// * `tagged`: 50 tags;
/// * `locked`: version 1 under a key that is disabled;
/// * `locked-full`: versions 1 and 2 under that key;
/// * `scheduled`: version 1, 50 tags, to be deleted.
struct World {
    fixture: Fixture,
    backend: FaultyBackend,
}

const VERSIONS_MAX: usize = 2;
const SECRETS: [&str; 6] = ["app", "full", "tagged", "locked", "locked-full", "scheduled"];

impl World {
    fn new() -> Self {
        let backend = FaultyBackend::new(MemoryBackend::new());
        let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(2));
        let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
        let fixture = Fixture::on(SecretStore::with_backend(backend.clone()), |builder| {
            builder
                .key_provider(keyring.clone())
                .require_client_request_token(true)
                .versions_per_secret_max(VERSIONS_MAX)
                .secrets_max(u64::try_from(SECRETS.len()).unwrap())
        });
        let tags = || (1..=50).map(|n| Tag::new(format!("key {n}"), "v"));
        for name in SECRETS {
            let request = match name {
                "tagged" | "scheduled" => creation(name, 1).tags(tags()),
                "locked" | "locked-full" => creation(name, 1).kms_key_id(&key),
                _ => creation(name, 1),
            };
            fixture.secrets.create_secret(request).unwrap();
        }
        fixture.put("full", 2, &["label 1"]);
        for n in 2..=19 {
            fixture.move_label("full", &format!("label {n}"), None, Some(1)).unwrap();
        }
        fixture.put("locked-full", 2, &[]);
        fixture.secrets.delete_secret(DeleteSecretRequest::new("scheduled")).unwrap();
        keyring.disable_key(&key).unwrap();
        Self { fixture, backend }
    }

    /// Makes room for one secret.
    fn make_room(&self) {
        let force = DeleteSecretRequest::new("tagged").force_delete_without_recovery(true);
        self.fixture.secrets.delete_secret(force).unwrap();
    }

    /// The operations; the next commit fails.
    fn secrets(&self) -> &SecretsManager {
        self.backend.fail_commit(0);
        &self.fixture.secrets
    }
}

/// The code and the text of what the call came to.
type Outcome = (String, String);
/// A check, a call that breaks it and checks below it, and its refusal: code and a part of the text.
type Row = (&'static str, fn(&World) -> Outcome, Refusal<'static>);

fn outcome<T: Debug>(result: strongroom::Result<T>) -> Outcome {
    let error = result.expect_err("every call of the table is refused");
    (error.code().to_owned(), error.message().to_owned())
}

const SHAPE: Refusal<'_> = ("ValidationException", "1 validation error detected: ");
const BOTH_VALUES: Refusal<'_> = ("InvalidParameterException", "SecretString");
const TAGS: Refusal<'_> = ("InvalidParameterException", "");
const EXISTS: Refusal<'_> = ("ResourceExistsException", "The operation failed because the secret app already exists.");
const TAKEN: Refusal<'_> = ("ResourceExistsException", "You can't use ClientRequestToken ");
const KEY_MISSING: Refusal<'_> = ("AccessDeniedException", "Access to KMS is not allowed");
const ENCRYPTION: Refusal<'_> = ("EncryptionFailure", "");
const DECRYPTION: Refusal<'_> = ("DecryptionFailure", "");
const LIMIT: Refusal<'_> = ("LimitExceededException", "");
const STORAGE: Refusal<'_> = ("InternalServiceError", "");
const NO_ROTATION_TOKEN: Refusal<'_> = ("InvalidParameterException", NO_TOKEN.1);
const NOBODY: &str = "arn:aws:lambda:us-east-1:000000000000:function:nobody";
const NO_VERSION: Refusal<'_> = (
    "ResourceNotFoundException",
    "Secrets Manager can't find the specified secret value for VersionId: version-000000000000000000000009",
);

const BAD: &str = "bad name";

fn long_id() -> String {
    "bad name ".repeat(1_000)
}

fn reserved() -> [Tag; 1] {
    [Tag::new("aws:k", "v")]
}

fn labels(n: usize) -> impl Iterator<Item = String> {
    (1..=n).map(|n| format!("new label {n}"))
}

/// Puts another value than the one there is under this token, or under none.
fn other(id: &str, n: Option<usize>) -> PutSecretValueRequest {
    let mut request = PutSecretValueRequest::new(id, "other");
    request.client_request_token = n.map(token);
    request
}

fn with_both_values(mut request: PutSecretValueRequest) -> PutSecretValueRequest {
    request.secret_binary = Some(b"bytes".into());
    request
}

fn without_value(mut request: PutSecretValueRequest) -> PutSecretValueRequest {
    request.secret_string = None;
    request
}

fn create(world: &World, request: CreateSecretRequest) -> Outcome {
    outcome(world.secrets().create_secret(request))
}

fn put(world: &World, request: PutSecretValueRequest) -> Outcome {
    outcome(world.secrets().put_secret_value(request))
}

fn update(world: &World, request: UpdateSecretRequest) -> Outcome {
    outcome(world.secrets().update_secret(request))
}

fn get(world: &World, request: GetSecretValueRequest) -> Outcome {
    outcome(world.secrets().get_secret_value(request))
}

fn shift(world: &World, id: &str, label: &str, from: Option<usize>, to: Option<usize>) -> Outcome {
    outcome(world.secrets().update_secret_version_stage(moving(id, label, from, to)))
}

fn delete(world: &World, id: &str, days: Option<i64>, force: bool) -> Outcome {
    let mut request = DeleteSecretRequest::new(id).force_delete_without_recovery(force);
    request.recovery_window_in_days = days;
    outcome(world.secrets().delete_secret(request))
}

fn tag(world: &World, id: &str, tags: impl IntoIterator<Item = Tag>) -> Outcome {
    outcome(world.secrets().tag_resource(TagResourceRequest::new(id, tags)))
}

fn untag(world: &World, id: &str, key: &str) -> Outcome {
    outcome(world.secrets().untag_resource(UntagResourceRequest::new(id, [key])))
}

/// For each operation its checks in order. Every call breaks its check and, wherever both can be broken at once, the
/// one of the next row and more; the one of the last row is broken by all of them.
const TABLE: &[(&str, &[Row])] = &[
    (
        "CreateSecret",
        &[
            (
                "shape, before the characters of the name",
                |w| {
                    create(
                        w,
                        CreateSecretRequest::new(BAD).r#type("t".repeat(257)).secret_string("a").secret_binary(b"b"),
                    )
                },
                SHAPE,
            ),
            (
                "characters of the name, before both values",
                |w| create(w, CreateSecretRequest::new(BAD).secret_string("a").secret_binary(b"b").tags(reserved())),
                INVALID_NAME,
            ),
            (
                "both values, before tags and token",
                |w| create(w, CreateSecretRequest::new("app").secret_string("a").secret_binary(b"b").tags(reserved())),
                BOTH_VALUES,
            ),
            (
                "tags, before the token",
                |w| create(w, CreateSecretRequest::new("scheduled").secret_string("a").tags(reserved())),
                TAGS,
            ),
            (
                "token, before the state of the secret",
                |w| create(w, CreateSecretRequest::new("scheduled").secret_string("a").kms_key_id("alias/nope")),
                NO_TOKEN,
            ),
            (
                "scheduled, before the reused token",
                |w| create(w, creation("scheduled", 1).secret_string("other").kms_key_id("alias/nope")),
                NAME_SCHEDULED,
            ),
            ("existing name, before the key", |w| create(w, creation("app", 2).kms_key_id("alias/nope")), EXISTS),
            (
                "reused token, before the key",
                |w| create(w, creation("app", 1).secret_string("other").kms_key_id("alias/nope")),
                TAKEN,
            ),
            (
                "a version that cannot be compared, before the key",
                |w| create(w, creation("locked", 1).kms_key_id("alias/nope")),
                DECRYPTION,
            ),
            ("key, before the quota", |w| create(w, creation("new", 1).kms_key_id("alias/nope")), KEY_MISSING),
            ("quota, before the commit", |w| create(w, creation("new", 1)), LIMIT),
            (
                "commit",
                |w| {
                    w.make_room();
                    create(w, creation("new", 1))
                },
                STORAGE,
            ),
        ],
    ),
    (
        "GetSecretValue",
        &[
            (
                "shape, before the form of the id",
                |w| get(w, GetSecretValueRequest::new(BAD).version_id("short")),
                SHAPE,
            ),
            ("form of the id, before finding it", |w| get(w, GetSecretValueRequest::new(BAD)), INVALID_NAME),
            (
                "unknown secret, before the version",
                |w| get(w, GetSecretValueRequest::new("nope").version_id(token(9))),
                NOT_FOUND,
            ),
            (
                "scheduled, before the version",
                |w| get(w, GetSecretValueRequest::new("scheduled").version_id(token(9)).version_stage("none")),
                MARKED,
            ),
            (
                "unknown version, before the label",
                |w| get(w, GetSecretValueRequest::new("locked-full").version_id(token(9)).version_stage("none")),
                NO_VERSION,
            ),
            (
                "label elsewhere, before the key",
                |w| get(w, GetSecretValueRequest::new("locked-full").version_id(token(1)).version_stage(CURRENT)),
                LABEL_ELSEWHERE,
            ),
            ("key", |w| get(w, GetSecretValueRequest::new("locked-full").version_id(token(1))), DECRYPTION),
        ],
    ),
    (
        "PutSecretValue",
        &[
            (
                "shape, before the form of the id",
                |w| put(w, with_both_values(other(BAD, None)).version_stages(Vec::<String>::new())),
                SHAPE,
            ),
            ("form of the id, before both values", |w| put(w, with_both_values(other(BAD, None))), INVALID_NAME),
            ("form of the id, before no value", |w| put(w, without_value(other(BAD, None))), INVALID_NAME),
            ("both values, before the token", |w| put(w, with_both_values(other("nope", None))), BOTH_VALUES),
            ("no value, before the token", |w| put(w, without_value(other("nope", None))), NO_VALUE),
            ("token, before finding the secret", |w| put(w, other("nope", None)), NO_TOKEN),
            ("token, before the state of the secret", |w| put(w, other("scheduled", None)), NO_TOKEN),
            ("unknown secret", |w| put(w, other("nope", Some(1)).version_stages(labels(20))), NOT_FOUND),
            (
                "scheduled, before the reused token",
                |w| put(w, other("scheduled", Some(1)).version_stages(labels(20))),
                MARKED,
            ),
            ("reused token, before labels", |w| put(w, other("full", Some(1)).version_stages(labels(20))), TAKEN),
            (
                "a version that cannot be compared, before labels",
                |w| put(w, other("locked", Some(1)).version_stages(labels(20))),
                DECRYPTION,
            ),
            ("labels, before the key", |w| put(w, putting("locked", 2).version_stages(labels(20))), LIMIT),
            ("versions, before the key", |w| put(w, putting("locked-full", 3)), LIMIT),
            ("key, before the commit", |w| put(w, putting("locked", 2)), ENCRYPTION),
            ("commit", |w| put(w, putting("app", 2)), STORAGE),
        ],
    ),
    (
        "UpdateSecret",
        &[
            (
                "shape, before the form of the id",
                |w| {
                    update(
                        w,
                        UpdateSecretRequest::new(BAD).r#type("t".repeat(257)).secret_string("a").secret_binary(b"b"),
                    )
                },
                SHAPE,
            ),
            (
                "form of the id, before both values",
                |w| update(w, UpdateSecretRequest::new(BAD).secret_string("a").secret_binary(b"b")),
                INVALID_NAME,
            ),
            (
                "both values, before the token",
                |w| update(w, UpdateSecretRequest::new("nope").secret_string("a").secret_binary(b"b")),
                BOTH_VALUES,
            ),
            ("token, before finding the secret", |w| update(w, UpdateSecretRequest::new("nope")), NO_TOKEN),
            ("token, before the state of the secret", |w| update(w, UpdateSecretRequest::new("scheduled")), NO_TOKEN),
            ("unknown secret", |w| update(w, updating("nope", 1).kms_key_id("alias/nope")), NOT_FOUND),
            (
                "scheduled, before the reused token",
                |w| update(w, updating("scheduled", 1).kms_key_id("alias/nope")),
                MARKED,
            ),
            ("reused token, before the key", |w| update(w, updating("full", 1).kms_key_id("alias/nope")), TAKEN),
            (
                "a version that cannot be compared, before the key",
                |w| update(w, updating("locked-full", 1).kms_key_id("alias/nope")),
                DECRYPTION,
            ),
            ("versions, before the key", |w| update(w, updating("locked-full", 3)), LIMIT),
            ("versions, before the new key", |w| update(w, updating("locked-full", 3).kms_key_id("alias/nope")), LIMIT),
            ("key, before the commit", |w| update(w, updating("locked", 2)), ENCRYPTION),
            ("new key, before the commit", |w| update(w, updating("app", 2).kms_key_id("alias/nope")), KEY_MISSING),
            ("commit", |w| update(w, updating("app", 2)), STORAGE),
        ],
    ),
    (
        "DescribeSecret",
        &[
            ("shape, before the form of the id", |w| describe(w, &long_id()), SHAPE),
            ("form of the id, before finding it", |w| describe(w, BAD), INVALID_NAME),
            ("unknown secret", |w| describe(w, "nope"), NOT_FOUND),
        ],
    ),
    (
        "UpdateSecretVersionStage",
        &[
            ("shape, before the form of the id", |w| shift(w, BAD, "", None, None), SHAPE),
            ("form of the id, before no version", |w| shift(w, BAD, CURRENT, None, None), INVALID_NAME),
            (
                "no version, before finding the secret",
                |w| shift(w, "nope", CURRENT, None, None),
                ("InvalidParameterException", "MoveToVersionId"),
            ),
            (
                "no version, before the state of the secret",
                |w| shift(w, "scheduled", CURRENT, None, None),
                ("InvalidParameterException", "MoveToVersionId"),
            ),
            ("unknown secret, before the version", |w| shift(w, "nope", CURRENT, Some(9), None), NOT_FOUND),
            ("scheduled, before the version", |w| shift(w, "scheduled", CURRENT, Some(9), None), MARKED),
            (
                "unknown version to move to, before the one that lacks the label",
                |w| shift(w, "full", "label 20", Some(1), Some(9)),
                NO_VERSION,
            ),
            (
                "unknown version to move to, before the label elsewhere",
                |w| shift(w, "full", CURRENT, None, Some(9)),
                NO_VERSION,
            ),
            (
                "unknown version to remove from, before the removal of the current label",
                |w| shift(w, "full", CURRENT, Some(9), None),
                NO_VERSION,
            ),
            (
                "a version that lacks the label, before the quota of labels",
                |w| shift(w, "full", "label 20", Some(1), Some(2)),
                (
                    "InvalidParameterException",
                    "When you move staging label label 20, if you specify RemoveFromVersionId, ",
                ),
            ),
            (
                "removal of the current label, before the commit",
                |w| shift(w, "app", CURRENT, Some(1), None),
                (
                    "InvalidParameterException",
                    "You can only move staging label AWSCURRENT to a different secret version.",
                ),
            ),
            (
                "label elsewhere, before the quota of labels",
                |w| shift(w, "full", CURRENT, None, Some(2)),
                ("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. "),
            ),
            ("quota of labels, before the commit", |w| shift(w, "full", "label 20", None, Some(2)), LIMIT),
            ("quota of labels, also by moving", |w| shift(w, "full", CURRENT, Some(1), Some(2)), LIMIT),
            ("commit", |w| shift(w, "app", "label", None, Some(1)), STORAGE),
        ],
    ),
    (
        "DeleteSecret",
        &[
            ("shape, before the form of the id", |w| delete(w, &long_id(), Some(1), true), SHAPE),
            ("form of the id, before the window", |w| delete(w, BAD, Some(1), true), INVALID_NAME),
            (
                "window, before window and force",
                |w| delete(w, "nope", Some(31), true),
                (
                    "InvalidParameterException",
                    "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
                ),
            ),
            (
                "window and force, before finding the secret",
                |w| delete(w, "nope", Some(30), true),
                (
                    "InvalidParameterException",
                    "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
                ),
            ),
            (
                "window and force, before the state of the secret",
                |w| delete(w, "scheduled", Some(30), true),
                (
                    "InvalidParameterException",
                    "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
                ),
            ),
            ("unknown secret", |w| delete(w, "nope", Some(30), false), NOT_FOUND),
            ("scheduled, before the commit", |w| delete(w, "scheduled", Some(30), false), MARKED),
            ("commit", |w| delete(w, "app", Some(30), false), STORAGE),
            ("commit, by force", |w| delete(w, "app", None, true), STORAGE),
        ],
    ),
    (
        "RestoreSecret",
        &[
            ("shape, before the form of the id", |w| restore(w, &long_id()), SHAPE),
            ("form of the id, before finding it", |w| restore(w, BAD), INVALID_NAME),
            ("unknown secret", |w| restore(w, "nope"), NOT_FOUND),
            ("commit", |w| restore(w, "scheduled"), STORAGE),
        ],
    ),
    (
        "RotateSecret",
        &[
            (
                "shape, before the form of the id",
                |w| rotate(w, RotateSecretRequest::new(BAD).client_request_token("short")),
                SHAPE,
            ),
            (
                "form of the id, before the function",
                |w| rotate(w, RotateSecretRequest::new(BAD).rotation_lambda_arn("x")),
                INVALID_NAME,
            ),
            ("token, before finding the secret", |w| rotate(w, RotateSecretRequest::new("nope")), NO_ROTATION_TOKEN),
            (
                "token, before the state of the secret",
                |w| rotate(w, RotateSecretRequest::new("scheduled")),
                NO_ROTATION_TOKEN,
            ),
            (
                "unknown secret, before the function",
                |w| rotate(w, rotating("nope", 1).rotation_lambda_arn(NOBODY)),
                NOT_FOUND,
            ),
            (
                "scheduled, before the function",
                |w| rotate(w, rotating("scheduled", 1).rotation_lambda_arn(NOBODY)),
                MARKED,
            ),
            ("no function, before the token", |w| rotate(w, rotating("app", 1).rotation_lambda_arn("")), NO_FUNCTION),
            (
                "reused token, before the function",
                |w| rotate(w, rotating("full", 1).rotation_lambda_arn(NOBODY)),
                ("InvalidRequestException", "You can't use ClientRequestToken "),
            ),
            (
                "function, before labels and versions",
                |w| rotate(w, rotating("full", 3).rotation_lambda_arn(NOBODY)),
                ("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function."),
            ),
            ("labels, before the commit", |w| rotate(w, rotating("full", 3)), LIMIT),
            ("versions, before the commit", |w| rotate(w, rotating("locked-full", 3)), LIMIT),
            ("commit", |w| rotate(w, rotating("app", 2)), STORAGE),
        ],
    ),
    (
        "CancelRotateSecret",
        &[
            ("shape, before the form of the id", |w| cancel(w, &long_id()), SHAPE),
            ("form of the id, before finding it", |w| cancel(w, BAD), INVALID_NAME),
            ("unknown secret", |w| cancel(w, "nope"), NOT_FOUND),
            ("scheduled, before never configured", |w| cancel(w, "scheduled"), MARKED),
            ("never configured, before the commit", |w| cancel(w, "app"), NO_FUNCTION),
            (
                "commit",
                |w| {
                    w.fixture.secrets.rotate_secret(rotating("app", 2)).unwrap();
                    cancel(w, "app")
                },
                STORAGE,
            ),
        ],
    ),
    (
        "TagResource",
        &[
            ("shape, before the form of the id", |w| tag(w, BAD, [Tag::new("", "v"), Tag::new("aws:k", "v")]), SHAPE),
            ("form of the id, before reserved keys", |w| tag(w, BAD, reserved()), INVALID_NAME),
            ("reserved key, before finding the secret", |w| tag(w, "nope", reserved()), TAGS),
            ("reserved key, before the state of the secret", |w| tag(w, "scheduled", reserved()), TAGS),
            (
                "too many in the request, before finding the secret",
                |w| tag(w, "nope", (1..=51).map(|n| Tag::new(format!("new {n}"), "v"))),
                TAGS,
            ),
            ("unknown secret", |w| tag(w, "nope", [Tag::new("new", "v")]), NOT_FOUND),
            ("scheduled, before too many on the secret", |w| tag(w, "scheduled", [Tag::new("new", "v")]), MARKED),
            ("too many on the secret, before the commit", |w| tag(w, "tagged", [Tag::new("new", "v")]), TAGS),
            ("commit", |w| tag(w, "app", [Tag::new("new", "v")]), STORAGE),
        ],
    ),
    (
        "UntagResource",
        &[
            ("shape, before the form of the id", |w| untag(w, BAD, ""), SHAPE),
            ("form of the id, before finding it", |w| untag(w, BAD, "k"), INVALID_NAME),
            ("unknown secret", |w| untag(w, "nope", "k"), NOT_FOUND),
            ("scheduled, before the commit", |w| untag(w, "scheduled", "key 1"), MARKED),
            ("commit", |w| untag(w, "tagged", "key 1"), STORAGE),
        ],
    ),
];

fn updating(id: &str, n: usize) -> UpdateSecretRequest {
    UpdateSecretRequest::new(id).client_request_token(token(n)).secret_string("other")
}

fn rotate(world: &World, request: RotateSecretRequest) -> Outcome {
    outcome(world.secrets().rotate_secret(request))
}

fn cancel(world: &World, id: &str) -> Outcome {
    outcome(world.secrets().cancel_rotate_secret(CancelRotateSecretRequest::new(id)))
}

fn describe(world: &World, id: &str) -> Outcome {
    outcome(world.secrets().describe_secret(DescribeSecretRequest::new(id)))
}

fn restore(world: &World, id: &str) -> Outcome {
    outcome(world.secrets().restore_secret(RestoreSecretRequest::new(id)))
}

#[test]
fn the_first_broken_check_wins() {
    for (operation, rows) in TABLE {
        for (check, call, (code, text)) in *rows {
            let (refused_with, told) = call(&World::new());
            assert_eq!(refused_with, *code, "{operation}: {check}: {told}");
            assert!(told.contains(text), "{operation}: {check}: {told}");
        }
    }
}

/// The whole of a request that breaks nothing else is refused for what the table says is wrong with its secret, so the
/// rows above do compare two broken checks.
#[test]
fn what_is_broken_in_the_table_is_broken_on_its_own() {
    let world = World::new();
    for name in SECRETS {
        let described = world.fixture.describe(name);
        assert_eq!(described.deleted_date.is_some(), name == "scheduled", "{name}");
        assert_eq!(described.kms_key_id.is_some(), name.starts_with("locked"), "{name}");
    }
    let labels = |name: &str| world.fixture.labels(name).values().flatten().count();
    assert_eq!((labels("app"), labels("full"), labels("locked-full")), (1, 20, 2));
    assert_eq!(world.fixture.versions("full").len(), VERSIONS_MAX);
    assert_eq!(world.fixture.versions("locked-full").len(), VERSIONS_MAX);
    assert_eq!(world.fixture.describe("tagged").tags.unwrap().len(), 50);
    assert_eq!(world.fixture.store.stats().unwrap().secrets, 6);
    assert_eq!(world.fixture.read("app"), "value 1");
}
