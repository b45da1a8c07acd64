//! Names, ARNs, and what a `SecretId` can be.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>, "When using an ARN".

use std::collections::BTreeSet;

use strongroom::{
    BatchGetSecretValueRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest,
    DeleteSecretRequest, DescribeSecretRequest, GetResourcePolicyRequest, GetSecretValueRequest,
    ListResourcePoliciesRequest, ListSecretVersionIdsRequest, PutResourcePolicyRequest, PutSecretValueRequest,
    RestoreSecretRequest, Result, SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest, ValidateResourcePolicyRequest,
};

use crate::fixture::{CURRENT, Fixture, INVALID_NAME, NOT_FOUND, Refusal, creation, refused, rotating, token};

/// The ARN and the name in an answer, where the operation gives them.
type Answer = Option<(String, String)>;
type Call = fn(&SecretsManager, &str) -> Result<Answer>;

/// Every operation that takes a `SecretId`, each on a secret whose version 1 is current.
const OPERATIONS: [(&str, Call); 17] = [
    ("DescribeSecret", |secrets, id| {
        secrets.describe_secret(DescribeSecretRequest::new(id)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("GetSecretValue", |secrets, id| {
        secrets.get_secret_value(GetSecretValueRequest::new(id)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("ListSecretVersionIds", |secrets, id| {
        secrets
            .list_secret_version_ids(ListSecretVersionIdsRequest::new(id))
            .map(|answer| Some((answer.arn, answer.name)))
    }),
    ("PutSecretValue", |secrets, id| {
        let request = PutSecretValueRequest::new(id, "value 2").client_request_token(token(2)).version_stages(["two"]);
        secrets.put_secret_value(request).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("UpdateSecret", |secrets, id| {
        secrets
            .update_secret(UpdateSecretRequest::new(id).description("d"))
            .map(|answer| Some((answer.arn, answer.name)))
    }),
    ("UpdateSecretVersionStage", |secrets, id| {
        let request = UpdateSecretVersionStageRequest::new(id, "label").move_to_version_id(token(1));
        secrets.update_secret_version_stage(request).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("TagResource", |secrets, id| {
        secrets.tag_resource(TagResourceRequest::new(id, [Tag::new("k", "v")])).map(|()| None)
    }),
    ("UntagResource", |secrets, id| secrets.untag_resource(UntagResourceRequest::new(id, ["k"])).map(|()| None)),
    ("DeleteSecret", |secrets, id| {
        secrets.delete_secret(DeleteSecretRequest::new(id)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("RestoreSecret", |secrets, id| {
        secrets.restore_secret(RestoreSecretRequest::new(id)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("RotateSecret", |secrets, id| {
        secrets.rotate_secret(rotating(id, 9)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("CancelRotateSecret", |secrets, id| {
        // There has to be something to cancel, where there is a secret at all.
        _ = secrets.rotate_secret(rotating(id, 9));
        let request = CancelRotateSecretRequest::new(id);
        secrets.cancel_rotate_secret(request).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("PutResourcePolicy", |secrets, id| {
        secrets
            .put_resource_policy(PutResourcePolicyRequest::new(id, POLICY))
            .map(|answer| Some((answer.arn, answer.name)))
    }),
    ("GetResourcePolicy", |secrets, id| {
        secrets.get_resource_policy(GetResourcePolicyRequest::new(id)).map(|answer| Some((answer.arn, answer.name)))
    }),
    ("DeleteResourcePolicy", |secrets, id| {
        secrets
            .delete_resource_policy(DeleteResourcePolicyRequest::new(id))
            .map(|answer| Some((answer.arn, answer.name)))
    }),
    ("ListResourcePolicies", |secrets, id| {
        secrets.list_resource_policies(ListResourcePoliciesRequest::new(id)).map(|_| None)
    }),
    ("ValidateResourcePolicy", |secrets, id| {
        secrets.validate_resource_policy(ValidateResourcePolicyRequest::new(POLICY).secret_id(id)).map(|_| None)
    }),
];

const POLICY: &str =
    r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "*", "Resource": "*"}}"#;

/// The random end of a complete ARN.
fn suffix(arn: &str) -> &str {
    arn.rsplit_once('-').unwrap().1
}

/// A complete ARN without its random end.
fn without_suffix(arn: &str) -> &str {
    arn.rsplit_once('-').unwrap().0
}

#[test]
fn a_name_may_have_letters_digits_and_eight_signs() {
    let legal = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@!-";
    let fixture = Fixture::new();
    assert_eq!(fixture.create(legal).name, legal);
    assert_eq!(fixture.read(legal), "value 1");
    for c in legal.chars() {
        let name = c.to_string();
        assert_eq!(fixture.create(&name).name, name);
        assert_eq!(fixture.describe(&name).name, name);
    }
}

#[test]
fn a_name_with_any_other_character_is_refused() {
    let legal = "/_+=.@!-";
    let fixture = Fixture::new();
    let ascii = (0..128_u8).map(char::from).filter(|c| !c.is_ascii_alphanumeric() && !legal.contains(*c));
    for c in ascii.chain("äßéπ密🔑\u{a0}\u{200b}ＡΑ".chars()) {
        for name in [format!("{c}"), format!("{c}name"), format!("na{c}me"), format!("name{c}")] {
            refused(fixture.secrets.create_secret(creation(&name, 1)), INVALID_NAME);
        }
    }
}

/// The four inputs were recorded against the service, on these operations.
#[test]
fn every_operation_refuses_an_invalid_name_before_it_looks_for_the_secret() {
    let fixture = Fixture::new();
    for name in ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-"] {
        refused(fixture.secrets.create_secret(CreateSecretRequest::new(name)), INVALID_NAME);
        for (_, call) in OPERATIONS {
            refused(call(&fixture.secrets, name), INVALID_NAME);
        }
        let force = DeleteSecretRequest::new(name).force_delete_without_recovery(true);
        refused(fixture.secrets.delete_secret(force), INVALID_NAME);
    }
}

#[test]
fn names_are_case_sensitive_and_may_begin_with_a_slash() {
    let fixture = Fixture::new();
    let names = ["app", "App", "APP", "/app", "app/", "//app"];
    for (n, name) in (1..).zip(names) {
        fixture.secrets.create_secret(creation(name, n)).unwrap();
    }
    for (n, name) in (1..).zip(names) {
        assert_eq!(fixture.read(name), format!("value {n}"));
    }
    refused(fixture.secrets.describe_secret(DescribeSecretRequest::new("aPP")), NOT_FOUND);
}

/// Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html>
#[test]
fn an_arn_ends_in_six_random_letters_or_digits() {
    let fixture = Fixture::new();
    let mut suffixes = BTreeSet::new();
    let mut characters = BTreeSet::new();
    for n in 0..200 {
        let name = format!("app{n}");
        let arn = fixture.create(&name).arn;
        let suffix =
            arn.strip_prefix(&format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}-")).unwrap();
        assert_eq!(suffix.len(), 6, "{arn}");
        characters.extend(suffix.chars());
        assert!(suffixes.insert(suffix.to_owned()), "{arn}");
    }
    assert!(characters.iter().all(char::is_ascii_alphanumeric), "{characters:?}");
    for kind in [char::is_ascii_uppercase, char::is_ascii_lowercase, char::is_ascii_digit] {
        assert!(characters.iter().filter(|c| kind(c)).count() >= 8, "{characters:?}");
    }
}

/// The names are the recorded ones: only the last one reads as a complete ARN when its suffix is left out.
#[test]
fn a_partial_arn_finds_the_secret_unless_it_reads_as_a_complete_one() {
    for (name, is_found) in [
        ("Valid/_+=.@-Name", true),
        ("Valid/_+=.@-Name-a1b2", true),
        ("Valid/_+=.@-Name-a1b2c3-", true),
        ("Valid/_+=.@-Name-a1b2c34", true),
        ("Valid/_+=.@-Name-a1b2c_", true),
        ("Valid/_+=.@-Name-a1b2c3/x", true),
        ("Valid/_+=.@-Namea1b2c3", true),
        ("a1b2c3", true),
        ("Invalid/_+=.@-Name-a1b2c3", false),
        ("Invalid/_+=.@-Name-ABCDEF", false),
        ("Invalid/_+=.@-Name-123456", false),
    ] {
        for (operation, call) in OPERATIONS {
            let fixture = Fixture::new();
            let arn = fixture.create(name).arn;
            let expected = (arn.clone(), name.to_owned());
            // The answer has the complete ARN and the name, whatever the request had.
            for id in [name, arn.as_str(), without_suffix(&arn)] {
                let found = id != without_suffix(&arn) || is_found;
                let result = call(&fixture.secrets, id);
                if !found {
                    refused(result, NOT_FOUND);
                    continue;
                }
                if let Some(answer) = result.unwrap_or_else(|error| panic!("{operation} {id}: {error}")) {
                    assert_eq!(answer, expected, "{operation} {id}");
                }
                // For the next id, undo what the call did.
                if operation == "DeleteSecret" {
                    fixture.secrets.restore_secret(RestoreSecretRequest::new(name)).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_complete_arn_means_that_secret_only() {
    let fixture = Fixture::new();
    let arn = fixture.create("app").arn;
    let longer = format!("app-{}", suffix(&arn));
    let longer_arn = fixture.secrets.create_secret(creation(&longer, 2)).unwrap().arn;
    // As a complete ARN it is the first secret's, as one without its suffix it would be the second's.
    assert_eq!(without_suffix(&longer_arn), arn);
    assert_eq!(fixture.read(&arn), "value 1");
    assert_eq!(fixture.read(&longer_arn), "value 2");
    assert_eq!(fixture.read(&longer), "value 2");

    // Of a secret that is gone, the complete ARN finds nothing, and the one without suffix finds the successor.
    fixture.secrets.delete_secret(DeleteSecretRequest::new("app").force_delete_without_recovery(true)).unwrap();
    let successor = fixture.secrets.create_secret(creation("app", 3)).unwrap().arn;
    assert_ne!(successor, arn);
    for (_, call) in OPERATIONS {
        refused(call(&fixture.secrets, &arn), NOT_FOUND);
    }
    assert_eq!(fixture.read(without_suffix(&successor)), "value 3");
}

#[test]
fn an_arn_is_compared_byte_by_byte() {
    let fixture = Fixture::new();
    let arn = fixture.create("app").arn;
    let suffix = suffix(&arn);
    let other: String = suffix
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    assert_ne!(other, suffix);
    let id = format!("{}-{other}", without_suffix(&arn));
    refused(fixture.secrets.describe_secret(DescribeSecretRequest::new(id)), NOT_FOUND);
}

#[test]
fn a_name_that_looks_like_the_end_of_an_arn_is_still_a_name() {
    let fixture = Fixture::new();
    for name in ["app-a1b2c3", "app", "-a1b2c3", "arn", "arn-a1b2c3", "secret"] {
        fixture.create(name);
        assert_eq!(fixture.describe(name).name, name);
    }
    // A suffix that does not belong to it makes another name of a name.
    let arn = fixture.describe("app").arn;
    let id = format!("app-{}", suffix(&arn));
    refused(fixture.secrets.describe_secret(DescribeSecretRequest::new(id)), NOT_FOUND);
}

#[test]
fn arns_that_point_elsewhere_find_nothing() {
    let fixture = Fixture::new();
    let arn = fixture.create("app").arn;
    for (old, new) in [
        ("us-east-1", "us-east-2"),
        ("000000000000", "111111111111"),
        ("arn:aws:", "arn:aws-cn:"),
        (":secret:app-", ":secret:other-"),
        (":secret:app-", ":secret:App-"),
    ] {
        let elsewhere = arn.replace(old, new);
        assert_ne!(elsewhere, arn);
        for (operation, call) in OPERATIONS {
            for id in [elsewhere.as_str(), without_suffix(&elsewhere)] {
                let error = call(&fixture.secrets, id).expect_err(operation);
                assert_eq!((error.code(), error.message()), NOT_FOUND, "{operation} {id}");
            }
        }
    }
}

/// Whatever is neither a name nor an ARN of a secret is refused for its form.
#[test]
fn malformed_ids_are_refused_for_their_form() {
    let fixture = Fixture::with_value("app");
    for id in [
        "arn:",
        "arn:aws",
        "arn:aws:s3:::bucket",
        "arn:aws:kms:us-east-1:000000000000:key/1234",
        "arn:aws:secretsmanager:us-east-1:000000000000",
        "arn:aws:secretsmanager:us-east-1:000000000000:secret",
        "arn:aws:secretsmanager:us-east-1:000000000000:secret:",
        "arn:aws:secretsmanager:us-east-1:000000000000:policy:app",
        "ARN:aws:secretsmanager:us-east-1:000000000000:secret:app",
        " app",
        "app ",
        "app:app",
        "app*",
        "app\0",
        "app\n",
        "..\\app",
    ] {
        for (operation, call) in OPERATIONS {
            let error = call(&fixture.secrets, id).expect_err(operation);
            assert_eq!((error.code(), error.message()), INVALID_NAME, "{operation} {id:?}");
        }
    }
}

#[test]
fn an_unknown_secret_is_not_found_by_any_operation() {
    let fixture = Fixture::with_value("app");
    for (operation, call) in OPERATIONS {
        let error = call(&fixture.secrets, "nope").expect_err(operation);
        assert_eq!((error.code(), error.message()), NOT_FOUND, "{operation}");
    }
}

#[test]
fn a_batch_takes_every_form_of_id_and_says_which_it_could_not_find() {
    let fixture = Fixture::new();
    let arn = fixture.create("app").arn;
    let ids = ["app", &arn, without_suffix(&arn), "nope"];
    let batch = fixture.secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(ids)).unwrap();
    let found: Vec<_> = batch.secret_values.iter().map(|value| (value.arn.as_str(), value.name.as_str())).collect();
    assert_eq!(found, [(arn.as_str(), "app"); 3]);
    let missing: Vec<(&str, Refusal<'_>)> = batch
        .errors
        .iter()
        .map(|entry| (entry.secret_id.as_str(), (entry.error.code(), entry.error.message())))
        .collect();
    assert_eq!(missing, [("nope", NOT_FOUND)]);
}

#[test]
fn the_arn_finds_a_secret_that_was_moved_through_its_whole_life() {
    let fixture = Fixture::new();
    let arn = fixture.create("app").arn;
    fixture.put(&arn, 2, &[]);
    fixture.move_label(&arn, CURRENT, Some(2), Some(1)).unwrap();
    fixture.secrets.delete_secret(DeleteSecretRequest::new(&arn)).unwrap();
    assert_eq!(fixture.describe(&arn).arn, arn);
    fixture.secrets.restore_secret(RestoreSecretRequest::new(without_suffix(&arn))).unwrap();
    assert_eq!(fixture.read(&arn), "value 1");
}
