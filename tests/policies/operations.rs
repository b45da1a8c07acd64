//! What the operations on resource policies do and refuse, one rule after the other.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html> and its siblings.

use strongroom::{
    CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest, DescribeSecretRequest, ErrorKind,
    GetResourcePolicyRequest, ListResourcePoliciesRequest, PolicyFaultReason, PutResourcePolicyRequest,
    PutSecretValueRequest, RestoreSecretRequest, Result, Tag, TagResourceRequest, UpdateSecretRequest,
};

use crate::fixture::{
    Fixture, LOCK_OUT, MARKED, NOT_FOUND, PRINCIPAL, PUBLIC, Refusal, SERVICE, SYNTAX, allow, delete, deny_all,
    document, get, list, policy_of, put, refused, statement, validate,
};

const OTHER_NAME_PUT: Refusal<'_> =
    ("InvalidParameterException", "You can only attach the resource policy with the name default.");
const OTHER_NAME_DELETE: Refusal<'_> =
    ("InvalidParameterException", "You can only delete the resource policy with the name default.");

#[test]
fn without_a_name_the_default_policy_is_meant_and_answers_say_so() {
    let fixture = Fixture::new();
    let arn = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap().arn;
    let policy = allow("111122223333");
    for name in [None, Some("default")] {
        let named =
            |answer: (String, String, String)| assert_eq!(answer, (arn.clone(), "app".into(), "default".into()));
        let (mut put, mut get, mut delete) = (put(&policy), get(), delete());
        put.policy_name = name.map(str::to_owned);
        get.policy_name = put.policy_name.clone();
        delete.policy_name = put.policy_name.clone();
        let answer = fixture.secrets.put_resource_policy(put).unwrap();
        named((answer.arn, answer.name, answer.policy_name));
        let answer = fixture.secrets.get_resource_policy(get).unwrap();
        named((answer.arn, answer.name, answer.policy_name));
        assert_eq!(answer.resource_policy.as_ref(), Some(&policy));
        let answer = fixture.secrets.delete_resource_policy(delete).unwrap();
        named((answer.arn, answer.name, answer.policy_name));
        assert_eq!(fixture.policy(), None);
    }
}

#[test]
fn only_the_default_policy_can_be_attached_and_detached() {
    let fixture = Fixture::new();
    let policy = allow("111122223333");
    fixture.put(&policy).unwrap();
    let before = fixture.epoch();
    for name in ["other", "Default", "default-", "d", "_", &"n".repeat(64)] {
        refused(name, fixture.secrets.put_resource_policy(put("{}").policy_name(name)), OTHER_NAME_PUT);
        refused(name, fixture.secrets.delete_resource_policy(delete().policy_name(name)), OTHER_NAME_DELETE);
    }
    assert_eq!((fixture.epoch(), fixture.policy()), (before, Some(policy)));
}

/// They come with replicas of other accounts, and with an import.
#[test]
fn policies_of_other_names_are_the_services() {
    let fixture = Fixture::empty();
    assert_eq!(fixture.import(&["service"]).unwrap().created, 1);
    let get =
        |name: &str| fixture.secrets.get_resource_policy(GetResourcePolicyRequest::new("shared").policy_name(name));
    let found = get("service").unwrap();
    assert_eq!((found.policy_name.as_str(), found.resource_policy), ("service", Some(allow("111122223333"))));
    let put = PutResourcePolicyRequest::new("shared", allow("*")).policy_name("service");
    refused("put", fixture.secrets.put_resource_policy(put), OTHER_NAME_PUT);
    // The default one is attached beside it, and taken away again.
    fixture.secrets.put_resource_policy(PutResourcePolicyRequest::new("shared", allow("*"))).unwrap();
    fixture.secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("shared")).unwrap();
    assert_eq!(get("default").unwrap().resource_policy, None);
    assert!(get("service").is_ok());
}

#[test]
fn a_policy_that_is_not_there_is_not_found_unless_it_is_the_default_one() {
    let fixture = Fixture::new();
    for name in ["other", "Default", "DEFAULT"] {
        refused(name, fixture.secrets.get_resource_policy(get().policy_name(name)), NOT_FOUND);
    }
    let found = fixture.secrets.get_resource_policy(get()).unwrap();
    assert_eq!((found.name.as_str(), found.policy_name.as_str(), found.resource_policy), ("app", "default", None));
}

#[test]
fn detaching_what_is_not_attached_succeeds_and_changes_nothing() {
    let fixture = Fixture::new();
    let before = (fixture.epoch(), fixture.last_changed());
    for _ in 0..2 {
        fixture.advance(1000);
        fixture.secrets.delete_resource_policy(delete()).unwrap();
    }
    assert_eq!((fixture.epoch(), fixture.last_changed()), before);
}

#[test]
fn a_policy_comes_back_as_it_was_given_byte_for_byte() {
    let fixture = Fixture::new();
    let plain = allow("111122223333");
    let inner = statement("Allow", r#"{"AWS": "*"}"#, "*");
    for (what, policy) in [
        ("as it is written here", plain.clone()),
        ("white space around it", format!(" \t\r\n{plain}\n\n  ")),
        ("white space inside", plain.replace("\": ", "\"\r\n\t  : ").replace(", ", " ,\n")),
        ("no white space", plain.replace(' ', "")),
        ("escapes that need not be", plain.replace("AWS", r"\u0041\u0057\u0053").replace("Effect", r"\u0045ffect")),
        ("solidus with and without", plain.replace(r#""Resource": "*""#, r#""Resource": "arn:aws:s3:::a\/b/c""#)),
        ("members in another order", format!(r#"{{"Statement":{inner},"Id":"i","Version":"2008-10-17"}}"#)),
        ("beyond ASCII", format!(r#"{{"Id": "größer, 秘密, 🔑 \ud83d\udd11 é e\u0301", "Statement": {inner}}}"#)),
        (
            "characters that look empty",
            format!("{{\"Id\": \"\u{a0}\u{200b}\u{feff}\u{2028}\", \"Statement\": {inner}}}"),
        ),
        ("a list of one", format!(r#"{{"Statement": [{inner}]}}"#)),
        ("one without a list", format!(r#"{{"Statement": {inner}}}"#)),
        ("the longest", format!("{plain}{}", " ".repeat(20_480 - plain.chars().count()))),
        ("the longest in bytes", {
            let head = r#"{"Id": ""#;
            let tail = format!(r#"", "Statement": {inner}}}"#);
            format!("{head}{}{tail}", "🔑".repeat(20_480 - head.len() - tail.len()))
        }),
    ] {
        fixture.put(&policy).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(fixture.policy().unwrap(), policy, "{what}");
    }
}

#[test]
fn a_policy_takes_the_place_of_the_one_before() {
    let fixture = Fixture::new();
    for policy in [allow("111122223333"), allow("*"), allow("444455556666"), allow("111122223333")] {
        fixture.put(&policy).unwrap();
        assert_eq!(fixture.policy(), Some(policy));
    }
    assert_eq!(fixture.secrets.list_resource_policies(list()).unwrap().resource_policies.len(), 1);
}

/// Attaching the same text again is a change too, as it is with `UpdateSecret`.
#[test]
fn attaching_and_detaching_change_the_date_of_the_last_change_and_looking_does_not() {
    let fixture = Fixture::new();
    let policy = allow("111122223333");
    type Call = fn(&Fixture, &str) -> Result<()>;
    let rows: [(&str, Call, bool); 10] = [
        ("get", |f, _| f.secrets.get_resource_policy(get()).map(drop), false),
        ("delete without one", |f, _| f.secrets.delete_resource_policy(delete()).map(drop), false),
        ("put", |f, policy| f.put(policy).map(drop), true),
        ("put the same", |f, policy| f.put(policy).map(drop), true),
        ("put another", |f, _| f.put(&allow("*")).map(drop), true),
        ("list", |f, _| f.secrets.list_resource_policies(list()).map(drop), false),
        (
            "validate",
            |f, policy| f.secrets.validate_resource_policy(validate(policy).secret_id("app")).map(drop),
            false,
        ),
        ("get it", |f, _| f.secrets.get_resource_policy(get()).map(drop), false),
        ("delete", |f, _| f.secrets.delete_resource_policy(delete()).map(drop), true),
        ("delete again", |f, _| f.secrets.delete_resource_policy(delete()).map(drop), false),
    ];
    for (what, call, is_change) in rows {
        // Also in the millisecond of the change before.
        for millis in [0, 1000] {
            fixture.advance(millis);
            let before = fixture.last_changed();
            if what.starts_with("delete") && is_change {
                fixture.put(&policy).unwrap();
            }
            call(&fixture, &policy).unwrap();
            assert_eq!(fixture.last_changed() > before, is_change, "{what}, {millis} ms later");
        }
    }
}

#[test]
fn nothing_else_of_the_secret_changes() {
    let fixture = Fixture::new();
    let before = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap();
    fixture.put(&allow("111122223333")).unwrap();
    let mut after = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap();
    after.last_changed_date = before.last_changed_date;
    assert_eq!(after, before);
    // And other changes leave the policy alone.
    fixture.secrets.put_secret_value(PutSecretValueRequest::new("app", "two")).unwrap();
    fixture.secrets.update_secret(UpdateSecretRequest::new("app").description("d").kms_key_id("alias/other")).unwrap();
    fixture.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new("k", "v")])).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!(fixture.policy(), Some(allow("111122223333")));
}

/// A secret of the same name is another one.
#[test]
fn a_policy_goes_with_its_secret() {
    let fixture = Fixture::new();
    fixture.put(&allow("111122223333")).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app").force_delete_without_recovery(true)).unwrap();
    fixture.secrets.create_secret(CreateSecretRequest::new("app")).unwrap();
    assert_eq!(fixture.policy(), None);
    let elsewhere = fixture.store.secrets_manager("111122223333", "us-east-1").unwrap();
    elsewhere.create_secret(CreateSecretRequest::new("app")).unwrap();
    elsewhere.put_resource_policy(put(&allow("*"))).unwrap();
    assert_eq!((fixture.policy(), policy_of(&elsewhere, "app")), (None, Some(allow("*"))));
}

#[test]
fn a_document_that_cannot_be_understood_is_refused_and_the_former_policy_stands() {
    let fixture = Fixture::new();
    let former = allow("111122223333");
    fixture.put(&former).unwrap();
    let service = |name: &str| document(&[statement("Allow", &format!(r#"{{"Service": "{name}"}}"#), "*")]);
    let before = (fixture.epoch(), fixture.last_changed());
    for (what, policy, refusal, reason) in [
        ("no JSON", "policy".to_owned(), SYNTAX, PolicyFaultReason::NotJson),
        ("JSON and no policy", "{}".to_owned(), SYNTAX, PolicyFaultReason::MissingElement),
        ("no statement", r#"{"Statement": []}"#.to_owned(), SYNTAX, PolicyFaultReason::Empty),
        ("an unknown effect", former.replace("Allow", "Permit"), SYNTAX, PolicyFaultReason::InvalidEffect),
        ("no principal", former.replace("Principal", "Sid"), SYNTAX, PolicyFaultReason::WrongType),
        ("half of an ARN", allow("arn:aws:iam::1111"), PRINCIPAL, PolicyFaultReason::UnsupportedPrincipal),
        ("a name", allow("alice"), PRINCIPAL, PolicyFaultReason::UnsupportedPrincipal),
        ("a service of nobody", service("amazon"), SERVICE, PolicyFaultReason::UnsupportedServicePrincipal),
    ] {
        let error = fixture.put(&policy).unwrap_err();
        let ErrorKind::MalformedPolicyDocument(fault) = error.kind() else { panic!("{what}: {error:?}") };
        assert_eq!(fault.reason, reason, "{what}");
        assert!(std::error::Error::source(&error).is_some_and(|source| source.to_string() == fault.to_string()));
        refused(what, Err::<(), _>(error), refusal);
        assert_eq!(
            ((fixture.epoch(), fixture.last_changed()), fixture.policy()),
            (before, Some(former.clone())),
            "{what}"
        );
    }
}

/// Recorded for a principal `*` without `BlockPublicPolicy`.
#[test]
fn a_public_policy_is_refused_only_on_request() {
    let fixture = Fixture::new();
    let confined = document(&[statement("Allow", r#""*""#, "*").replace(
        r#""Resource""#,
        r#""Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}, "Resource""#,
    )]);
    let second = document(&[statement("Allow", r#"{"AWS": "111122223333"}"#, "*"), statement("Allow", r#""*""#, "*")]);
    for (what, policy, public) in [
        ("everybody", allow("*"), Some(0)),
        ("everybody, in the second statement", second, Some(1)),
        ("everybody from an account", confined, None),
        ("an account", allow("111122223333"), None),
        ("nobody", document(&[statement("Deny", r#"{"AWS": "111122223333"}"#, "*")]), None),
    ] {
        for (block, is_blocked) in [(None, false), (Some(false), false), (Some(true), true)] {
            let mut request = put(&policy);
            request.block_public_policy = block;
            let result = fixture.secrets.put_resource_policy(request);
            match public.filter(|_| is_blocked) {
                None => assert!(result.is_ok(), "{what}, {block:?}: {result:?}"),
                Some(statement) => {
                    let error = result.unwrap_err();
                    assert_eq!(*error.kind(), ErrorKind::PublicPolicy { statement }, "{what}");
                    refused(what, Err::<(), _>(error), PUBLIC);
                }
            }
        }
    }
}

/// The caller is the root user of the secret's account, who may do all that no statement denies.
#[test]
fn a_policy_that_locks_its_caller_out_is_refused() {
    let fixture = Fixture::new();
    let own = r#"{"AWS": "arn:aws:iam::000000000000:root"}"#;
    let arn = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap().arn;
    let with = |what: &str| statement("Deny", r#""*""#, "secretsmanager:*").replace(r#""Resource": "*""#, what);
    let condition = |condition: &str| with(&format!(r#""Resource": "*", "Condition": {condition}"#));
    for (what, statement, is_locked_out) in [
        ("everything to everybody", statement("Deny", r#""*""#, "*"), true),
        ("attaching, to everybody", statement("Deny", r#""*""#, "secretsmanager:PutResourcePolicy"), true),
        ("attaching by a wildcard", statement("Deny", r#""*""#, "secretsmanager:Put*Policy"), true),
        ("to the own account", statement("Deny", own, "*"), true),
        ("to the own account by its number", statement("Deny", r#"{"AWS": "000000000000"}"#, "*"), true),
        ("to this secret", with(&format!(r#""Resource": "{arn}""#)), true),
        ("unless from an endpoint", condition(r#"{"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}"#), false),
        ("unless from an account", condition(r#"{"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}"#), true),
        ("unless from the own", condition(r#"{"StringNotEquals": {"aws:PrincipalAccount": "000000000000"}}"#), false),
        ("unless of the own", condition(r#"{"StringNotEquals": {"aws:ResourceAccount": "000000000000"}}"#), false),
        ("where tagged, and it is not", condition(r#"{"StringEquals": {"aws:ResourceTag/team": "a"}}"#), false),
        ("reading, to everybody", statement("Deny", r#""*""#, "secretsmanager:GetSecretValue"), false),
        ("to another account", statement("Deny", r#"{"AWS": "111122223333"}"#, "*"), false),
        (
            "to a user of the own account",
            statement("Deny", r#"{"AWS": "arn:aws:iam::000000000000:user/a"}"#, "*"),
            false,
        ),
        ("to another secret", with(&format!(r#""Resource": "{arn}x""#)), false),
        ("nothing, and allowing it to others", statement("Allow", r#"{"AWS": "111122223333"}"#, "*"), false),
    ] {
        let result = fixture.put(&document(&[statement]));
        if is_locked_out { refused(what, result, LOCK_OUT) } else { assert!(result.is_ok(), "{what}: {result:?}") }
    }
    fixture.secrets.tag_resource(TagResourceRequest::new("app", [Tag::new("team", "a")])).unwrap();
    for key in ["aws:ResourceTag/team", "secretsmanager:ResourceTag/team"] {
        let tagged = document(&[condition(&format!(r#"{{"StringEquals": {{"{key}": "a"}}}}"#))]);
        refused("where tagged", fixture.put(&tagged), LOCK_OUT);
    }
}

#[test]
fn a_resource_of_another_name_is_accepted() {
    let fixture = Fixture::new();
    for resource in ["*", "arn:aws:secretsmanager:*:*:secret:*", "arn:aws:s3:::bucket"] {
        let policy = allow("111122223333").replace(r#""Resource": "*""#, &format!(r#""Resource": "{resource}""#));
        fixture.put(&policy).unwrap();
        assert_eq!(fixture.policy(), Some(policy));
    }
}

/// Everything from some check on is broken, and that check is told.
#[test]
fn the_first_broken_check_of_attaching_wins() {
    let long = "x".repeat(20_481);
    let denying = |principal: &str| document(&[statement("Deny", principal, "*"), statement("Allow", r#""*""#, "*")]);
    let everybody = denying(r#""*""#);
    let rows: [(&str, PutResourcePolicyRequest, (&str, &str)); 9] = [
        (
            "shape, all of it",
            PutResourcePolicyRequest::new("bad name", &long).policy_name("bad name"),
            ("ValidationException", "2 validation errors detected: Value 'xxx"),
        ),
        (
            "form of the id",
            PutResourcePolicyRequest::new("bad name", "{").policy_name("other"),
            ("ValidationException", "Invalid name."),
        ),
        ("name of the policy", PutResourcePolicyRequest::new("nope", "{").policy_name("other"), OTHER_NAME_PUT),
        ("unknown secret", PutResourcePolicyRequest::new("nope", "{"), NOT_FOUND),
        ("scheduled for deletion", PutResourcePolicyRequest::new("scheduled", "{"), MARKED),
        ("syntax", put(&denying("7")), SYNTAX),
        ("principal", put(&denying(r#"{"AWS": "nobody"}"#)), PRINCIPAL),
        ("lock-out", put(&everybody), LOCK_OUT),
        ("public", put(&allow("*")), PUBLIC),
    ];
    let fixture = Fixture::new();
    fixture.secrets.create_secret(CreateSecretRequest::new("scheduled")).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new("scheduled")).unwrap();
    let before = fixture.epoch();
    for (what, request, (code, text)) in rows {
        let error = fixture.secrets.put_resource_policy(request.block_public_policy(true)).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error:?}");
        assert!(error.message().starts_with(text), "{what}: {}", error.message());
    }
    assert_eq!(fixture.epoch(), before);
}

/// The same of the other operations.
#[test]
fn the_first_broken_check_of_the_others_wins() {
    const BAD: &str = "bad name";
    let fixture = Fixture::new();
    fixture.secrets.create_secret(CreateSecretRequest::new("scheduled")).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new("scheduled")).unwrap();
    let secrets = &fixture.secrets;
    let get = |id: &str, name: &str| {
        secrets.get_resource_policy(GetResourcePolicyRequest::new(id).policy_name(name)).map(drop)
    };
    let delete = |id: &str, name: &str| {
        secrets.delete_resource_policy(DeleteResourcePolicyRequest::new(id).policy_name(name)).map(drop)
    };
    let list = |id: &str, max: i32| {
        let list = ListResourcePoliciesRequest::new(id).max_results(max).next_token("mine");
        secrets.list_resource_policies(list).map(drop)
    };
    let check = |id: &str, text: &str| secrets.validate_resource_policy(validate(text).secret_id(id)).map(drop);
    let shape = ("ValidationException", "1 validation error detected: Value");
    let form = ("ValidationException", "Invalid name.");
    let token = ("InvalidNextTokenException", "The NextToken value is invalid.");
    let pattern = r"[0-9A-Za-z\-\_]+";
    let rows = [
        ("get: shape", get(BAD, "a b"), shape),
        ("get: form of the id", get(BAD, "other"), form),
        ("get: unknown secret", get("nope", "other"), NOT_FOUND),
        ("get: scheduled, before the name", get("scheduled", "other"), MARKED),
        ("get: unknown name", get("app", "other"), NOT_FOUND),
        ("delete: shape", delete(BAD, "a b"), shape),
        ("delete: form of the id", delete(BAD, "other"), form),
        ("delete: name, before finding the secret", delete("nope", "other"), OTHER_NAME_DELETE),
        ("delete: unknown secret", delete("nope", "default"), NOT_FOUND),
        ("delete: scheduled", delete("scheduled", "default"), MARKED),
        ("list: shape", list(BAD, 0), shape),
        ("list: shape, from above", list(BAD, 101), shape),
        ("list: form of the id", list(BAD, 1), form),
        ("list: unknown secret", list("nope", 1), NOT_FOUND),
        ("list: scheduled, before the token", list("scheduled", 1), MARKED),
        ("list: token", list("app", 1), token),
        ("validate: shape", check(BAD, ""), shape),
        ("validate: form of the id", check(BAD, "{"), form),
        ("validate: unknown secret", check("nope", "{"), NOT_FOUND),
        ("validate: scheduled, before the syntax", check("scheduled", "{"), MARKED),
        ("validate: syntax", check("app", "{"), SYNTAX),
    ];
    for (what, result, (code, text)) in rows {
        let error = result.expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error:?}");
        assert!(error.message().starts_with(text), "{what}: {}", error.message());
    }
    let message = get("app", "a b").unwrap_err().message().to_owned();
    let expected = format!(
        "{} 'a b' at 'policyName' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}",
        shape.1
    );
    assert_eq!(message, expected);
}

#[test]
fn no_operation_on_policies_works_on_a_scheduled_secret() {
    type Call = fn(&Fixture) -> Result<()>;
    let rows: [(&str, Call); 9] = [
        ("S4 get", |f| f.secrets.get_resource_policy(get()).map(drop)),
        ("S4 get, another name", |f| f.secrets.get_resource_policy(get().policy_name("other")).map(drop)),
        ("S9 put", |f| f.put(&allow("*")).map(drop)),
        ("S9 put, malformed", |f| f.put("{").map(drop)),
        ("S9 put, locking out", |f| f.put(&deny_all()).map(drop)),
        ("S9 delete", |f| f.secrets.delete_resource_policy(delete()).map(drop)),
        ("S9 list", |f| f.secrets.list_resource_policies(list()).map(drop)),
        ("S9 list, foreign token", |f| f.secrets.list_resource_policies(list().next_token("mine")).map(drop)),
        ("S9 validate", |f| f.secrets.validate_resource_policy(validate("{").secret_id("app")).map(drop)),
    ];
    let fixture = Fixture::new();
    fixture.put(&allow("111122223333")).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app")).unwrap();
    let before = fixture.epoch();
    for (what, call) in rows {
        refused(what, call(&fixture), MARKED);
    }
    assert_eq!(fixture.epoch(), before);
    // Without a secret there is nothing that could be scheduled.
    assert!(fixture.secrets.validate_resource_policy(validate(&allow("*"))).is_ok());
    fixture.secrets.restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!(fixture.policy(), Some(allow("111122223333")));
}

/// Text that takes more than there is room for beside everything else of the secret.
#[test]
fn a_policy_that_does_not_fit_beside_the_rest_is_refused_and_nothing_changes() {
    let fixture = Fixture::empty();
    let tags = (0..50).map(|n| Tag::new(format!("{n:02}{}", "ключ".repeat(31)), "値".repeat(256)));
    fixture.secrets.create_secret(CreateSecretRequest::new("app").tags(tags)).unwrap();
    fixture.put(&allow("111122223333")).unwrap();
    let id = "🔑".repeat(20_000);
    let large = format!(r#"{{"Id": "{id}", "Statement": {}}}"#, statement("Allow", r#""*""#, "*"));
    let error = fixture.put(&large).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::LimitExceeded, "{error:?}");
    assert!(error.message().contains("resource policy"), "{error:?}");
    assert_eq!(fixture.policy(), Some(allow("111122223333")));
}

/// A secret that belongs to a service can be given a policy by its users.
#[test]
fn a_secret_of_a_service_takes_policies_from_everybody() {
    let fixture = Fixture::empty();
    let rds = fixture.store.default_secrets_manager().as_owning_service("rds").unwrap();
    rds.create_secret(CreateSecretRequest::new("app").secret_string("v")).unwrap();
    fixture.put(&allow("111122223333")).unwrap();
    fixture.secrets.delete_resource_policy(delete()).unwrap();
}
