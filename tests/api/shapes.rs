//! The constraints of the API model: each limit at its edge and one past it, and how violations are told.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html> and its siblings,
//! "Length Constraints".

use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest,
    DescribeSecretRequest, GetRandomPasswordRequest, GetResourcePolicyRequest, GetSecretValueRequest,
    ListResourcePoliciesRequest, ListSecretVersionIdsRequest, PutResourcePolicyRequest, PutSecretValueRequest,
    RestoreSecretRequest, Result, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest, ValidateResourcePolicyRequest,
};

use crate::fixture::{Fixture, error, refused, rotating, token};

const VALIDATION: &str = "ValidationException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const MALFORMED: &str = "MalformedPolicyDocumentException";

/// A text member of a request: its path, its limits in characters, and a call that brings it for the secret `app`.
struct Member {
    operation: &'static str,
    path: &'static str,
    min: usize,
    max: usize,
    /// What the call comes to within the limits: `None` is success.
    within: Option<&'static str>,
    call: fn(&SecretsManager, &str) -> Result<()>,
}

fn member(
    operation: &'static str,
    path: &'static str,
    (min, max): (usize, usize),
    within: Option<&'static str>,
    call: fn(&SecretsManager, &str) -> Result<()>,
) -> Member {
    Member { operation, path, min, max, within, call }
}

fn put(secrets: &SecretsManager, with: impl FnOnce(PutSecretValueRequest) -> PutSecretValueRequest) -> Result<()> {
    secrets.put_secret_value(with(PutSecretValueRequest::new("app", "v"))).map(drop)
}

fn update(secrets: &SecretsManager, with: impl FnOnce(UpdateSecretRequest) -> UpdateSecretRequest) -> Result<()> {
    secrets.update_secret(with(UpdateSecretRequest::new("app"))).map(drop)
}

fn create(secrets: &SecretsManager, with: impl FnOnce(CreateSecretRequest) -> CreateSecretRequest) -> Result<()> {
    secrets.create_secret(with(CreateSecretRequest::new("new").secret_string("v"))).map(drop)
}

const SECRET_ID: (usize, usize) = (1, 2_048);
const TOKEN: (usize, usize) = (32, 64);
const TEXT: (usize, usize) = (0, 2_048);
const TYPE: (usize, usize) = (0, 256);
const LABEL: (usize, usize) = (1, 256);
const TAG_KEY: (usize, usize) = (1, 128);
const POLICY: (usize, usize) = (1, 20_480);

fn members() -> Vec<Member> {
    let mut all = request_members();
    all.extend(secret_ids());
    all
}

fn request_members() -> Vec<Member> {
    vec![
        member("CreateSecret", "name", (1, 512), None, |s, text| {
            s.create_secret(CreateSecretRequest::new(text)).map(drop)
        }),
        member("CreateSecret", "clientRequestToken", TOKEN, None, |s, text| {
            create(s, |r| r.client_request_token(text))
        }),
        member("CreateSecret", "description", TEXT, None, |s, text| create(s, |r| r.description(text))),
        member("CreateSecret", "kmsKeyId", TEXT, None, |s, text| create(s, |r| r.kms_key_id(text))),
        member("CreateSecret", "type", TYPE, None, |s, text| create(s, |r| r.r#type(text))),
        member("CreateSecret", "tags.1.member.key", TAG_KEY, None, |s, text| {
            create(s, |r| r.tags([Tag::new(text, "v")]))
        }),
        member("CreateSecret", "tags.2.member.value", (0, 256), None, |s, text| {
            create(s, |r| r.tags([Tag::new("a", "v"), Tag::new("b", text)]))
        }),
        member("PutSecretValue", "clientRequestToken", TOKEN, None, |s, text| put(s, |r| r.client_request_token(text))),
        member("PutSecretValue", "versionStages.1.member", LABEL, None, |s, text| put(s, |r| r.version_stages([text]))),
        member("PutSecretValue", "versionStages.2.member", LABEL, None, |s, text| {
            put(s, |r| r.version_stages(["a", text]))
        }),
        member("UpdateSecret", "clientRequestToken", TOKEN, None, |s, text| {
            update(s, |r| r.client_request_token(text))
        }),
        member("UpdateSecret", "description", TEXT, None, |s, text| update(s, |r| r.description(text))),
        member("UpdateSecret", "kmsKeyId", TEXT, None, |s, text| update(s, |r| r.kms_key_id(text))),
        member("UpdateSecret", "type", TYPE, None, |s, text| update(s, |r| r.r#type(text))),
        member("GetSecretValue", "versionId", TOKEN, Some(NOT_FOUND), |s, text| {
            s.get_secret_value(GetSecretValueRequest::new("app").version_id(text)).map(drop)
        }),
        member("GetSecretValue", "versionStage", LABEL, Some(NOT_FOUND), |s, text| {
            s.get_secret_value(GetSecretValueRequest::new("app").version_stage(text)).map(drop)
        }),
        member("UpdateSecretVersionStage", "versionStage", LABEL, None, |s, text| {
            let request = UpdateSecretVersionStageRequest::new("app", text).move_to_version_id(token(1));
            s.update_secret_version_stage(request).map(drop)
        }),
        member("UpdateSecretVersionStage", "removeFromVersionId", TOKEN, Some(NOT_FOUND), |s, text| {
            let request = UpdateSecretVersionStageRequest::new("app", "label").remove_from_version_id(text);
            s.update_secret_version_stage(request).map(drop)
        }),
        member("UpdateSecretVersionStage", "moveToVersionId", TOKEN, Some(NOT_FOUND), |s, text| {
            let request = UpdateSecretVersionStageRequest::new("app", "label").move_to_version_id(text);
            s.update_secret_version_stage(request).map(drop)
        }),
        member("RotateSecret", "clientRequestToken", TOKEN, None, |s, text| {
            s.rotate_secret(rotating("app", 9).client_request_token(text)).map(drop)
        }),
        member("TagResource", "tags.1.member.key", TAG_KEY, None, |s, text| {
            s.tag_resource(TagResourceRequest::new("app", [Tag::new(text, "v")]))
        }),
        member("TagResource", "tags.1.member.value", (0, 256), None, |s, text| {
            s.tag_resource(TagResourceRequest::new("app", [Tag::new("k", text)]))
        }),
        member("PutResourcePolicy", "resourcePolicy", POLICY, Some(MALFORMED), |s, text| {
            s.put_resource_policy(PutResourcePolicyRequest::new("app", text)).map(drop)
        }),
        member("ValidateResourcePolicy", "resourcePolicy", POLICY, Some(MALFORMED), |s, text| {
            s.validate_resource_policy(ValidateResourcePolicyRequest::new(text)).map(drop)
        }),
        member("UntagResource", "tagKeys.2.member", TAG_KEY, None, |s, text| {
            s.untag_resource(UntagResourceRequest::new("app", ["k", text]))
        }),
    ]
}

fn secret_ids() -> Vec<Member> {
    let secret_id = |operation, call| member(operation, "secretId", SECRET_ID, Some(NOT_FOUND), call);
    vec![
        secret_id("GetSecretValue", |s, id| s.get_secret_value(GetSecretValueRequest::new(id)).map(drop)),
        secret_id("PutSecretValue", |s, id| s.put_secret_value(PutSecretValueRequest::new(id, "v")).map(drop)),
        secret_id("UpdateSecret", |s, id| s.update_secret(UpdateSecretRequest::new(id)).map(drop)),
        secret_id("DescribeSecret", |s, id| s.describe_secret(DescribeSecretRequest::new(id)).map(drop)),
        secret_id("ListSecretVersionIds", |s, id| {
            s.list_secret_version_ids(ListSecretVersionIdsRequest::new(id)).map(drop)
        }),
        secret_id("UpdateSecretVersionStage", |s, id| {
            let request = UpdateSecretVersionStageRequest::new(id, "label").move_to_version_id(token(1));
            s.update_secret_version_stage(request).map(drop)
        }),
        secret_id("DeleteSecret", |s, id| s.delete_secret(DeleteSecretRequest::new(id)).map(drop)),
        secret_id("RestoreSecret", |s, id| s.restore_secret(RestoreSecretRequest::new(id)).map(drop)),
        secret_id("RotateSecret", |s, id| s.rotate_secret(rotating(id, 9)).map(drop)),
        secret_id("CancelRotateSecret", |s, id| s.cancel_rotate_secret(CancelRotateSecretRequest::new(id)).map(drop)),
        secret_id("TagResource", |s, id| s.tag_resource(TagResourceRequest::new(id, [Tag::new("k", "v")]))),
        secret_id("PutResourcePolicy", |s, id| {
            s.put_resource_policy(PutResourcePolicyRequest::new(id, "{}")).map(drop)
        }),
        secret_id("GetResourcePolicy", |s, id| s.get_resource_policy(GetResourcePolicyRequest::new(id)).map(drop)),
        secret_id("DeleteResourcePolicy", |s, id| {
            s.delete_resource_policy(DeleteResourcePolicyRequest::new(id)).map(drop)
        }),
        secret_id("ListResourcePolicies", |s, id| {
            s.list_resource_policies(ListResourcePoliciesRequest::new(id)).map(drop)
        }),
        secret_id("ValidateResourcePolicy", |s, id| {
            s.validate_resource_policy(ValidateResourcePolicyRequest::new("{}").secret_id(id)).map(drop)
        }),
        secret_id("UntagResource", |s, id| s.untag_resource(UntagResourceRequest::new(id, ["k"]))),
    ]
}

/// Limits count characters, so texts are tried in letters of two bytes wherever the member may have any.
fn fill(member: &Member, length: usize) -> String {
    let is_ascii = ["name", "secretId", "kmsKeyId"].contains(&member.path);
    if is_ascii { "n" } else { "é" }.repeat(length)
}

#[test]
fn each_text_is_taken_at_its_limits_and_refused_one_past_them() {
    for member in members() {
        let Member { operation, path, min, max, within, call } = member;
        let case = |length: usize| format!("{operation} {path} of {length}");
        let try_with = |length: usize| call(&Fixture::with_value("app").secrets, &fill(&member, length));
        for length in [min, max] {
            let result = try_with(length);
            assert_eq!(result.as_ref().err().map(strongroom::Error::code), within, "{}: {result:?}", case(length));
        }
        let short = min.checked_sub(1).map(|length| (length, format!("greater than or equal to {min}")));
        let long = (max + 1, format!("less than or equal to {max}"));
        for (length, constraint) in short.into_iter().chain([long]) {
            let error = error(try_with(length));
            assert_eq!(error.code(), VALIDATION, "{}", case(length));
            let value = fill(&member, length);
            let start = format!("1 validation error detected: Value '{value}");
            let end = format!("' at '{path}' failed to satisfy constraint: Member must have length {constraint}");
            if length <= 1_024 {
                assert_eq!(error.message(), format!("{start}{end}"), "{}", case(length));
            } else {
                // A long value need not be repeated to its end.
                let shown: String = start.chars().take(1_000).collect();
                assert!(error.message().starts_with(&shown), "{}: {}", case(length), error.message());
                assert!(error.message().ends_with(&end), "{}: {}", case(length), error.message());
            }
        }
    }
}

#[test]
fn the_message_for_a_short_version_id_is_the_one_seen_in_public() {
    let fixture = Fixture::with_value("app");
    let read = fixture.secrets.get_secret_value(GetSecretValueRequest::new("app").version_id("AWSCURRENT"));
    let text = "1 validation error detected: Value 'AWSCURRENT' at 'versionId' failed to satisfy constraint: Member must \
                have length greater than or equal to 32";
    refused(read, (VALIDATION, text));
}

#[test]
fn a_refused_value_is_never_shown() {
    let fixture = Fixture::with_value("app");
    let long = || "hunter2 ".repeat(8_193);
    let refusal = |path: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must have length \
             {constraint}"
        )
    };
    let least = "greater than or equal to 1";
    let most = "less than or equal to 65536";
    type Call<'a> = &'a dyn Fn(Option<String>, Option<Vec<u8>>) -> Result<()>;
    let calls: [(&str, Call<'_>); 3] = [
        ("CreateSecret", &|text, bytes| {
            let mut request = CreateSecretRequest::new("new");
            request.secret_string = text.map(Into::into);
            request.secret_binary = bytes.map(Into::into);
            fixture.secrets.create_secret(request).map(drop)
        }),
        ("PutSecretValue", &|text, bytes| {
            let mut request = PutSecretValueRequest::new("app", "v");
            request.secret_string = text.map(Into::into);
            request.secret_binary = bytes.map(Into::into);
            fixture.secrets.put_secret_value(request).map(drop)
        }),
        ("UpdateSecret", &|text, bytes| {
            let mut request = UpdateSecretRequest::new("app");
            request.secret_string = text.map(Into::into);
            request.secret_binary = bytes.map(Into::into);
            fixture.secrets.update_secret(request).map(drop)
        }),
    ];
    for (operation, call) in calls {
        for (text, bytes, message) in [
            (Some(String::new()), None, refusal("secretString", least)),
            (Some(long()), None, refusal("secretString", most)),
            (None, Some(Vec::new()), refusal("secretBinary", least)),
            (None, Some(long().into_bytes()), refusal("secretBinary", most)),
        ] {
            let error = error(call(text, bytes));
            assert_eq!((error.code(), error.message()), (VALIDATION, message.as_str()), "{operation}");
            assert!(!format!("{error:?}{error}").contains("hunter2"), "{operation}");
        }
    }
    // The smallest value there is.
    fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", "x")).unwrap();
    fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", b"\0")).unwrap();
}

#[test]
fn a_rotation_token_has_36_to_256_letters_digits_and_hyphens_and_is_never_shown() {
    let fixture = Fixture::with_value("app");
    let put = |token: &str| {
        fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", "v").rotation_token(token)).map(drop)
    };
    for length in [36, 256] {
        put(&"a-Z0".repeat(length / 4)).unwrap();
    }
    let start = "1 validation error detected: Value at 'rotationToken' failed to satisfy constraint: Member must ";
    for (token, constraint) in [
        ("a".repeat(35), "have length greater than or equal to 36"),
        ("a".repeat(257), "have length less than or equal to 256"),
        (format!("{}_", "a".repeat(36)), "satisfy regular expression pattern: ^[a-zA-Z0-9\\-]+$"),
        (format!("{}é", "a".repeat(36)), "satisfy regular expression pattern: ^[a-zA-Z0-9\\-]+$"),
    ] {
        refused(put(&token), (VALIDATION, &format!("{start}{constraint}")));
    }
}

#[test]
fn a_list_of_labels_has_one_to_twenty_entries() {
    let fixture = Fixture::with_value("app");
    let put = |labels: Vec<String>| {
        fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", "v").version_stages(labels)).map(drop)
    };
    let labels = |n: usize| vec!["label".to_owned(); n];
    put(labels(1)).unwrap();
    put(labels(20)).unwrap();
    for (n, constraint) in [(0, "greater than or equal to 1"), (21, "less than or equal to 20")] {
        let error = error(put(labels(n)));
        let end = format!("at 'versionStages' failed to satisfy constraint: Member must have length {constraint}");
        assert_eq!(error.code(), VALIDATION);
        assert!(error.message().starts_with("1 validation error detected: Value "), "{}", error.message());
        assert!(error.message().ends_with(&end), "{}", error.message());
    }
    assert_eq!(fixture.versions("app").len(), 3);
}

#[test]
fn numbers_out_of_range_are_told_with_their_limit() {
    let fixture = Fixture::with_value("app");
    let list = |n: i32| {
        let request = ListSecretVersionIdsRequest::new("app").max_results(n);
        fixture.secrets.list_secret_version_ids(request).map(drop)
    };
    let password =
        |n: i64| fixture.secrets.get_random_password(GetRandomPasswordRequest::new().password_length(n)).map(drop);
    let refusal = |n: i64, path: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value '{n}' at '{path}' failed to satisfy constraint: Member must have value \
             {constraint}"
        )
    };
    for n in [1, 100] {
        list(n).unwrap();
    }
    refused(list(0), (VALIDATION, &refusal(0, "maxResults", "greater than or equal to 1")));
    refused(list(-1), (VALIDATION, &refusal(-1, "maxResults", "greater than or equal to 1")));
    refused(list(101), (VALIDATION, &refusal(101, "maxResults", "less than or equal to 100")));
    for n in [4, 4_096] {
        password(n).unwrap();
    }
    refused(password(0), (VALIDATION, &refusal(0, "passwordLength", "greater than or equal to 1")));
    refused(password(4_097), (VALIDATION, &refusal(4_097, "passwordLength", "less than or equal to 4096")));
}

#[test]
fn all_violations_are_told_in_one_message() {
    let fixture = Fixture::with_value("app");
    let length = |value: &str, path: &str, constraint: &str| {
        let shown = if value.is_empty() { String::new() } else { format!(" '{value}'") };
        format!("Value{shown} at '{path}' failed to satisfy constraint: Member must have length {constraint}")
    };
    let check = |result: Result<()>, mut expected: Vec<String>| {
        let error = error(result);
        assert_eq!(error.code(), VALIDATION);
        let start = format!("{} validation errors detected: ", expected.len());
        let mut told: Vec<_> = error.message().strip_prefix(&start).unwrap().split("; ").collect();
        told.sort_unstable();
        expected.sort();
        assert_eq!(told, expected);
    };
    let get = GetSecretValueRequest::new("app").version_id("short").version_stage("l".repeat(257));
    check(
        fixture.secrets.get_secret_value(get).map(drop),
        vec![
            length("short", "versionId", "greater than or equal to 32"),
            length(&"l".repeat(257), "versionStage", "less than or equal to 256"),
        ],
    );
    let name = "n".repeat(513);
    let create = CreateSecretRequest::new(&name)
        .client_request_token("t")
        .secret_string("")
        .r#type("y".repeat(257))
        .tags([Tag::new("k".repeat(129), "v"), Tag::new("k", "w".repeat(257))]);
    check(
        fixture.secrets.create_secret(create).map(drop),
        vec![
            length(&name, "name", "less than or equal to 512"),
            length("t", "clientRequestToken", "greater than or equal to 32"),
            length("", "secretString", "greater than or equal to 1"),
            length(&"y".repeat(257), "type", "less than or equal to 256"),
            length(&"k".repeat(129), "tags.1.member.key", "less than or equal to 128"),
            length(&"w".repeat(257), "tags.2.member.value", "less than or equal to 256"),
        ],
    );
}
