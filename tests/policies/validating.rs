//! `ValidateResourcePolicy`: what passes, what does not, and that nothing is stored.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html>

use strongroom::{DescribeSecretRequest, ErrorKind, PolicyFaultReason};

use crate::fixture::{
    Fixture, LOCK_OUT, NOT_FOUND, PRINCIPAL, SERVICE, SYNTAX, allow, deny_all, document, refused, statement, validate,
};

const BROAD: &str = "This resource policy grants broad access to your secret. Secrets Manager does not allow creating and \
                     applying such policies in the console.";

/// Whether it has passed, and the checks that it has not passed with their texts, with and without a secret.
fn validated(fixture: &Fixture, policy: &str) -> (bool, Vec<(String, String)>) {
    let outcome = |request| {
        let answer = fixture.secrets.validate_resource_policy(request).unwrap();
        let failed = answer.validation_errors.into_iter().map(|failed| (failed.check_name, failed.error_message));
        (answer.policy_validation_passed, failed.collect::<Vec<_>>())
    };
    let (with, without) = (outcome(validate(policy).secret_id("app")), outcome(validate(policy)));
    assert_eq!(with, without, "{policy}");
    with
}

#[test]
fn a_policy_passes_or_every_check_that_it_does_not_pass_is_named() {
    let fixture = Fixture::new();
    let lock_out = ("LockOutCheck", LOCK_OUT.1);
    let public = ("BlockPublicPolicyCheck", BROAD);
    let syntax = |text: &'static str| vec![("SyntaxCheck", text)];
    let both = document(&[statement("Deny", r#""*""#, "*"), statement("Allow", r#""*""#, "*")]);
    let service = document(&[statement("Allow", r#"{"Service": "nobody"}"#, "*")]);
    for (what, policy, expected) in [
        ("good", allow("111122223333"), vec![]),
        ("public", allow("*"), vec![public]),
        ("locking out", deny_all(), vec![lock_out]),
        ("both", both, vec![lock_out, public]),
        ("no policy", "{}".to_owned(), syntax(SYNTAX.1)),
        ("no object", "[]".to_owned(), syntax(SYNTAX.1)),
        ("an unknown effect", allow("*").replace("Allow", "Permit"), syntax(SYNTAX.1)),
        ("an unsupported principal", allow("alice"), syntax(PRINCIPAL.1)),
        ("an unsupported service", service, syntax(SERVICE.1)),
    ] {
        let (passed, failed) = validated(&fixture, &policy);
        let failed: Vec<(&str, &str)> = failed.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!((passed, failed), (expected.is_empty(), expected), "{what}");
    }
}

#[test]
fn text_that_is_not_json_is_an_error() {
    let fixture = Fixture::new();
    let before = fixture.epoch();
    for (policy, reason) in [
        ("policy", PolicyFaultReason::NotJson),
        (r#"{"Statement": "#, PolicyFaultReason::NotJson),
        (r#"{"Id": "\ud800"}"#, PolicyFaultReason::NotJson),
        (r#"{"Id": "a", "Id": "a"}"#, PolicyFaultReason::DuplicateMember),
        (&"[".repeat(20_480), PolicyFaultReason::TooDeep),
    ] {
        for request in [validate(policy), validate(policy).secret_id("app")] {
            let error = fixture.secrets.validate_resource_policy(request).unwrap_err();
            let ErrorKind::MalformedPolicyDocument(fault) = error.kind() else { panic!("{error:?}") };
            assert_eq!(fault.reason, reason);
            refused(policy, Err::<(), _>(error), SYNTAX);
        }
    }
    assert_eq!(fixture.epoch(), before);
}

#[test]
fn nothing_is_stored() {
    let fixture = Fixture::new();
    let before = (fixture.epoch(), fixture.last_changed());
    for policy in [allow("111122223333"), allow("*"), deny_all(), "{}".to_owned()] {
        fixture.advance(1000);
        validated(&fixture, &policy);
        assert_eq!(((fixture.epoch(), fixture.last_changed()), fixture.policy()), (before, None));
    }
    fixture.put(&allow("111122223333")).unwrap();
    validated(&fixture, &allow("*"));
    assert_eq!(fixture.policy(), Some(allow("111122223333")));
}

/// The names were recorded against the service.
#[test]
fn a_secret_that_is_named_must_be_there() {
    let fixture = Fixture::new();
    let good = allow("111122223333");
    let name =
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
    for id in ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-"] {
        let result = fixture.secrets.validate_resource_policy(validate(&good).secret_id(id));
        refused(id, result, ("ValidationException", name));
    }
    // Also before the text is looked at.
    for policy in [good.as_str(), "{"] {
        refused("nope", fixture.secrets.validate_resource_policy(validate(policy).secret_id("nope")), NOT_FOUND);
    }
    let arn = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap().arn;
    for id in [arn.as_str(), &arn[..arn.len() - 7]] {
        assert!(
            fixture.secrets.validate_resource_policy(validate(&good).secret_id(id)).unwrap().policy_validation_passed
        );
    }
}

/// Without a secret, a statement about one secret in particular locks nobody out.
#[test]
fn a_policy_for_no_secret_in_particular_is_judged_by_a_secret_that_is_none() {
    let fixture = Fixture::new();
    let arn = fixture.secrets.describe_secret(DescribeSecretRequest::new("app")).unwrap().arn;
    let about = |resource: &str| deny_all().replace(r#""Resource": "*""#, &format!(r#""Resource": "{resource}""#));
    let passed = |request| fixture.secrets.validate_resource_policy(request).unwrap().policy_validation_passed;
    assert!(!passed(validate(&about(&arn)).secret_id("app")));
    assert!(passed(validate(&about(&arn))));
    for everywhere in ["*", "arn:aws:secretsmanager:*:*:secret:*", "arn:aws:secretsmanager:us-east-1:000000000000:*"] {
        assert!(!passed(validate(&about(everywhere))), "{everywhere}");
    }
    let elsewhere = fixture.store.secrets_manager("111122223333", "cn-north-1").unwrap();
    let denied = document(&[statement("Deny", r#"{"AWS": "arn:aws-cn:iam::111122223333:root"}"#, "*")]);
    assert!(!elsewhere.validate_resource_policy(validate(&denied)).unwrap().policy_validation_passed);
    assert!(passed(validate(&denied)), "the caller of the other account");
}

#[test]
fn what_passes_can_be_attached_and_what_locks_out_cannot() {
    let fixture = Fixture::new();
    for policy in [allow("111122223333"), allow("*"), deny_all(), allow("alice"), "{}".to_owned()] {
        let (_, failed) = validated(&fixture, &policy);
        let blocks = crate::fixture::put(&policy).block_public_policy(true);
        assert_eq!(fixture.secrets.put_resource_policy(blocks).is_ok(), failed.is_empty(), "{policy}");
    }
}
