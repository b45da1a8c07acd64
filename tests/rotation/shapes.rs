//! The constraints of the API model for the members of RotateSecret: each limit at its edge and one past it.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html>

use strongroom::{
    CreateSecretRequest, Error, ExternalSecretRotationMetadataItem, RotateSecretRequest, RotationRules, SecretsManager,
};

use crate::fixture::{Bench, Scripted, refusal, token};

/// A text member: its path, its limits in characters, and a call that brings it. The call is for a secret that is not there,
/// which is what it is refused for when the shape is legal.
struct Member {
    path: &'static str,
    min: usize,
    max: usize,
    letter: &'static str,
    call: fn(&SecretsManager, &str) -> Result<(), Error>,
}

fn rotate(
    secrets: &SecretsManager,
    with: impl FnOnce(RotateSecretRequest) -> RotateSecretRequest,
) -> Result<(), Error> {
    secrets.rotate_secret(with(RotateSecretRequest::new("nope").client_request_token(token(2)))).map(drop)
}

fn rules(secrets: &SecretsManager, rules: RotationRules) -> Result<(), Error> {
    rotate(secrets, |request| request.rotation_rules(rules))
}

fn item(secrets: &SecretsManager, key: &str, value: &str) -> Result<(), Error> {
    let items =
        [ExternalSecretRotationMetadataItem::new("k", "v"), ExternalSecretRotationMetadataItem::new(key, value)];
    rotate(secrets, |request| request.external_secret_rotation_metadata(items))
}

const MEMBERS: [Member; 5] = [
    Member {
        path: "clientRequestToken",
        min: 32,
        max: 64,
        letter: "é",
        call: |secrets, text| rotate(secrets, |request| request.client_request_token(text)),
    },
    Member {
        path: "externalSecretRotationRoleArn",
        min: 20,
        max: 2_048,
        letter: "é",
        call: |secrets, text| rotate(secrets, |request| request.external_secret_rotation_role_arn(text)),
    },
    Member {
        path: "externalSecretRotationMetadata.2.member.key",
        min: 1,
        max: 256,
        letter: "é",
        call: |secrets, text| item(secrets, text, "v"),
    },
    Member {
        path: "externalSecretRotationMetadata.2.member.value",
        min: 1,
        max: 2_048,
        letter: "é",
        call: |secrets, text| item(secrets, "k", text),
    },
    Member {
        path: "secretId",
        min: 1,
        max: 2_048,
        letter: "n",
        call: |secrets, text| {
            secrets.rotate_secret(RotateSecretRequest::new(text).client_request_token(token(2))).map(drop)
        },
    },
];

fn violation(value: &str, path: &str, constraint: &str) -> String {
    format!("Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}")
}

#[test]
fn each_text_is_taken_at_its_limits_and_refused_one_past_them() {
    let bench = Bench::new(Scripted::working());
    for Member { path, min, max, letter, call } in MEMBERS {
        for length in [min, max] {
            let (code, text) = refusal(call(&bench.secrets, &letter.repeat(length)));
            assert_eq!(code, "ResourceNotFoundException", "{path} of {length}: {text}");
        }
        for (length, constraint) in [
            (min - 1, format!("have length greater than or equal to {min}")),
            (max + 1, format!("have length less than or equal to {max}")),
        ] {
            let value = letter.repeat(length);
            let (code, text) = refusal(call(&bench.secrets, &value));
            let expected = format!("1 validation error detected: {}", violation(&value, path, &constraint));
            assert_eq!((code, text), ("ValidationException", expected), "{path} of {length}");
        }
    }
}

#[test]
fn the_arn_of_the_function_may_be_empty_and_has_at_most_2048_characters() {
    let bench = Bench::new(Scripted::working());
    let arn = |length: usize| rotate(&bench.secrets, |request| request.rotation_lambda_arn("x".repeat(length)));
    assert_eq!(refusal(arn(0)).0, "ResourceNotFoundException");
    assert_eq!(refusal(arn(2_048)).0, "InvalidParameterException");
    let value = "x".repeat(2_049);
    let expected = violation(&value, "rotationLambdaARN", "have length less than or equal to 2048");
    assert_eq!(refusal(arn(2_049)), ("ValidationException", format!("1 validation error detected: {expected}")));
}

#[test]
fn days_are_1_to_1000() {
    let bench = Bench::new(Scripted::working());
    let days = |days: i64| rules(&bench.secrets, RotationRules::new().automatically_after_days(days));
    for legal in [1, 2, 999, 1_000] {
        assert_eq!(refusal(days(legal)).0, "ResourceNotFoundException", "{legal}");
    }
    for (number, constraint) in [
        (0, "greater than or equal to 1"),
        (-1, "greater than or equal to 1"),
        (i64::MIN, "greater than or equal to 1"),
        (1_001, "less than or equal to 1000"),
        (i64::MAX, "less than or equal to 1000"),
    ] {
        let expected =
            violation(&number.to_string(), "rotationRules.automaticallyAfterDays", &format!("have value {constraint}"));
        let expected = format!("1 validation error detected: {expected}");
        assert_eq!(refusal(days(number)), ("ValidationException", expected));
    }
}

#[test]
fn a_duration_is_digits_and_an_h_and_an_expression_has_few_characters() {
    const DURATION: (&str, &str) = ("rotationRules.duration", "satisfy regular expression pattern: [0-9]+h");
    const EXPRESSION: (&str, &str) =
        ("rotationRules.scheduleExpression", "satisfy regular expression pattern: [0-9A-Za-z\\(\\)#\\?\\*\\-\\/, ]+");
    let bench = Bench::new(Scripted::working());
    let duration = |text: &str| rules(&bench.secrets, RotationRules::new().duration(text));
    let expression = |text: &str| rules(&bench.secrets, RotationRules::new().schedule_expression(text));
    for legal in ["1h", "9h", "24h", "01h"] {
        assert_eq!(refusal(duration(legal)).0, "ResourceNotFoundException", "{legal}");
    }
    // Legal in their form, and then no duration and no expression.
    for text in ["0h", "25h", "99h"] {
        assert_eq!(refusal(duration(text)).0, "InvalidParameterException", "{text}");
    }
    for text in ["x", "(", "#?*-/, 09AZaz()", &"x".repeat(256)] {
        assert_eq!(refusal(expression(text)).0, "InvalidParameterException", "{text}");
    }
    let least = |min: usize| format!("have length greater than or equal to {min}");
    let most = |max: usize| format!("have length less than or equal to {max}");
    type Row = (String, (&'static str, &'static str), Option<String>, bool);
    let long = |start: &str, length: usize| format!("{start}{}", "x".repeat(length));
    let rows: Vec<Row> = vec![
        (String::new(), DURATION, Some(least(2)), true),
        ("h".to_owned(), DURATION, Some(least(2)), true),
        ("1".to_owned(), DURATION, Some(least(2)), true),
        ("100h".to_owned(), DURATION, Some(most(3)), false),
        ("1 h".to_owned(), DURATION, None, true),
        ("1H".to_owned(), DURATION, None, true),
        ("-1h".to_owned(), DURATION, None, true),
        ("hh".to_owned(), DURATION, None, true),
        ("24".to_owned(), DURATION, None, true),
        ("1hh".to_owned(), DURATION, None, true),
        ("٣h".to_owned(), DURATION, None, true),
        ("1h\n".to_owned(), DURATION, None, true),
        (String::new(), EXPRESSION, Some(least(1)), true),
        (long("", 257), EXPRESSION, Some(most(256)), false),
        (long("é", 256), EXPRESSION, Some(most(256)), true),
        ("rate(1 day)\n".to_owned(), EXPRESSION, None, true),
        ("rate(1\tday)".to_owned(), EXPRESSION, None, true),
        ("rate(1 day);".to_owned(), EXPRESSION, None, true),
        ("rate(é day)".to_owned(), EXPRESSION, None, true),
        ("@daily".to_owned(), EXPRESSION, None, true),
    ];
    for (text, (path, pattern), length, is_pattern) in rows {
        let call = if path == DURATION.0 { duration(&text) } else { expression(&text) };
        let mut expected: Vec<String> = length.iter().map(|length| violation(&text, path, length)).collect();
        if is_pattern {
            expected.push(violation(&text, path, pattern));
        }
        let noun = if expected.len() == 1 { "error" } else { "errors" };
        let expected = format!("{} validation {noun} detected: {}", expected.len(), expected.join("; "));
        assert_eq!(refusal(call), ("ValidationException", expected), "{path} {text:?}");
    }
}

#[test]
fn all_violations_are_told_in_one_message() {
    let bench = Bench::new(Scripted::working());
    let rules = RotationRules::new().automatically_after_days(0).duration("1").schedule_expression("@");
    let request = RotateSecretRequest::new("").client_request_token("short").rotation_lambda_arn("x".repeat(2_049));
    let request = request.rotation_rules(rules).external_secret_rotation_role_arn("role");
    let request = request.external_secret_rotation_metadata([ExternalSecretRotationMetadataItem::new("", "")]);
    let (code, text) = refusal(bench.secrets.rotate_secret(request));
    assert_eq!(code, "ValidationException");
    let told = text.strip_prefix("10 validation errors detected: ").unwrap_or_else(|| panic!("{text}"));
    let mut paths: Vec<&str> =
        told.split("; ").filter_map(|part| part.split(" at '").nth(1)?.split('\'').next()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "clientRequestToken",
            "externalSecretRotationMetadata.1.member.key",
            "externalSecretRotationMetadata.1.member.value",
            "externalSecretRotationRoleArn",
            "rotationLambdaARN",
            "rotationRules.automaticallyAfterDays",
            "rotationRules.duration",
            "rotationRules.duration",
            "rotationRules.scheduleExpression",
            "secretId",
        ]
    );
}

#[test]
fn shapes_come_before_everything_else() {
    let bench = Bench::new(Scripted::working());
    let before = bench.describe();
    let request = RotateSecretRequest::new("bad name").rotation_lambda_arn("nonsense");
    let rules = RotationRules::new().automatically_after_days(1).schedule_expression("nonsense").duration("ever");
    let (code, text) = refusal(bench.secrets.rotate_secret(request.rotation_rules(rules)));
    assert_eq!(code, "ValidationException");
    assert!(text.contains("rotationRules.duration"), "{text}");
    assert_eq!(bench.describe(), before);
}

#[test]
fn many_items_of_metadata_take_no_more_than_their_size() {
    let bench = Bench::new(Scripted::working());
    let create = CreateSecretRequest::new("external").secret_string("first").r#type("Partner");
    bench.secrets.create_secret(create).unwrap();
    let items = (0..100_000).map(|_| ExternalSecretRotationMetadataItem::new("", ""));
    let request = RotateSecretRequest::new("external").external_secret_rotation_metadata(items);
    let (code, text) = refusal(bench.secrets.rotate_secret(request));
    assert_eq!(code, "ValidationException");
    assert!(text.len() < 1_000_000, "the message has {} bytes", text.len());
    assert_eq!(bench.secrets.rotation_status("external").unwrap(), None);
}
