//! Bodies that are no requests: refused without storing anything and without repeating anything.

use serde_json::json;

use crate::fixture::{Answer, Server};

const CODE: &str = "SerializationException";

/// In every value that could be secret. Nothing that is answered may contain it.
const CANARY: &str = "kqzxjvCANARY";

/// Fails unless the text is one of the two, and says no more than where.
fn check_text(row: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.code.as_str()), (400, CODE), "{row}: {answer}");
    let message = answer.message();
    let numbers: Vec<&str> = message.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let [line, column] = numbers[..] else { panic!("{row}: {message}") };
    let wrong =
        format!("A member of the request is of the wrong type or appears twice, before line {line}, column {column}.");
    let broken = format!("The body of the request is not valid JSON: line {line}, column {column}.");
    assert!([wrong, broken].contains(&message), "{row}: {message}");
}

fn check_refused(operation: &str, bodies: &[(&str, Vec<u8>)]) {
    let server = Server::new();
    for (row, body) in bodies {
        let before = server.epoch();
        let answer = server.send_bytes(operation, body);
        let row = format!("{operation}: {row}: {:.100}", String::from_utf8_lossy(body));
        check_text(&row, &answer);
        assert!(!answer.message().contains(CANARY), "{row}: {answer}");
        server.check_unchanged(before, &row);
    }
}

/// A body of CreateSecret in which `members` follow a name.
fn create(members: &str) -> Vec<u8> {
    format!(r#"{{"Name": "new", {members}}}"#).into_bytes()
}

fn rows(texts: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    texts.iter().map(|text| ("", text.as_bytes().to_vec())).collect()
}

#[test]
fn what_is_not_json_is_refused() {
    let whole = [
        "{",
        "}",
        "[",
        "]",
        "{}}",
        "{}{}",
        "{},",
        "{} x",
        "nul",
        "nulll",
        "tru",
        "not json",
        "'a'",
        "{'Name': 'new'}",
        " ",
        "\n\t",
        "{Name: \"new\"}",
        r#"{"Name"}"#,
        r#"{"Name":}"#,
        r#"{"Name" "new"}"#,
        r#"{"Name": "new",}"#,
        r#"{,}"#,
        r#"{"Name": "new" "Description": "d"}"#,
        r#"{"Name": "new"}]"#,
        r#"{"Name": "new"}{"Name": "more"}"#,
        r#"{"Name": "new"} // comment"#,
        r#"{/* comment */"Name": "new"}"#,
        r#"{"Name": "new"#,
        r#"{"Name": "new""#,
        r#"{"Name": "new\"}"#,
        r#"{"Name": "new\x"}"#,
        r#"{"Name": "new\u12"}"#,
        r#"{"Name": "new\u12g4"}"#,
        r#"{"Name": "new\u+123"}"#,
        "{\"Name\": \"new\n\"}",
        "{\"Name\": \"new\0\"}",
        "{\"Name\": \"new\t\"}",
        "\u{feff}{\"Name\": \"new\"}",
        "{\"Name\": \"new\"}\u{feff}",
        "{\u{a0}\"Name\": \"new\"}",
        "\0",
        "{\"Name\": \"new\"}\0",
        "{1: 2}",
        "{null: 1}",
    ];
    check_refused("CreateSecret", &rows(&whole));
    let members = [
        r#""SecretString": "kqzxjvCANARY"#,
        r#""SecretString": "kqzxjvCANARY\"#,
        r#""SecretString": kqzxjvCANARY"#,
        r#""SecretString": "kqzxjvCANARY\q""#,
        r#""SecretString": "kqzxjvCANARY\u00""#,
        r#""SecretString": 'kqzxjvCANARY'"#,
        r#""SecretBinary": "kqzxjvCANARY\u""#,
        "\"SecretString\": \"kqzxjvCANARY\u{1}\"",
        r#""SecretString": "kqzxjvCANARY" "kqzxjvCANARY""#,
        r#""SecretString": NaN"#,
        r#""SecretString": -"#,
        r#""Unknown": NaN"#,
        r#""Unknown": Infinity"#,
        r#""Unknown": -Infinity"#,
        r#""Unknown": 01"#,
        r#""Unknown": 1."#,
        r#""Unknown": .5"#,
        r#""Unknown": +1"#,
        r#""Unknown": 0x10"#,
        r#""Unknown": 1e"#,
        r#""Unknown": [1,]"#,
        r#""Unknown": undefined"#,
    ];
    check_refused("CreateSecret", &members.map(|members| ("", create(members))));
}

#[test]
fn what_is_not_an_object_is_refused() {
    let texts = [
        "[]",
        "[[]]",
        "[{}]",
        r#"[{"Name": "new"}]"#,
        r#"["new"]"#,
        r#"["new", null, null, null, null, null, null, null]"#,
        r#""new""#,
        r#""""#,
        "\"\\u006eew\"",
        "7",
        "-7",
        "7.5",
        "1e300",
        "true",
        "false",
        "null",
    ];
    for operation in ["CreateSecret", "ListSecrets", "GetRandomPassword", "TagResource", "DescribeSecret"] {
        check_refused(operation, &rows(&texts));
    }
    // Lists that look like the two members that CreateSecret refuses on its own.
    let lists = [r#"[1, 2]"#, r#"[[{"Region": "eu-west-3"}], "arn"]"#, r#"[null, "arn"]"#];
    check_refused("CreateSecret", &rows(&lists));
}

#[test]
fn an_empty_body_is_an_empty_object() {
    let server = Server::with_app();
    for operation in ["ListSecrets", "DescribeSecret", "CreateSecret", "PutSecretValue", "DeleteSecret"] {
        let answers = [&b""[..], b"{}", b" { } \r\n\t"].map(|body| server.send_bytes(operation, body));
        assert_eq!(answers[0], answers[1], "{operation}");
        assert_eq!(answers[0], answers[2], "{operation}");
        assert_ne!(answers[0].code, CODE, "{operation}");
    }
    assert_eq!(server.send_bytes("ListSecrets", b"").status, 200);
    assert_eq!(server.send_bytes("GetRandomPassword", b"").status, 200);
}

#[test]
fn half_of_a_surrogate_pair_is_refused() {
    let halves =
        [r"\ud800", r"\udbff", r"\udc00", r"\udfff", r"\ud800\ud800", r"\ud800\u0041", r"\udc00\ud800", r"\ud83d x"];
    for half in halves {
        let text = format!("kqzxjvCANARY{half}");
        let bodies = [
            ("in a value", create(&format!(r#""SecretString": "{text}""#))),
            ("at the start of a value", create(&format!(r#""SecretString": "{half}""#))),
            ("in base64", create(&format!(r#""SecretBinary": "{half}""#))),
            ("in a name", format!(r#"{{"Name": "{text}"}}"#).into_bytes()),
            ("in a description", create(&format!(r#""Description": "{text}""#))),
            ("in a tag", create(&format!(r#""Tags": [{{"Key": "k", "Value": "{text}"}}]"#))),
        ];
        check_refused("CreateSecret", &bodies);
    }
}

#[test]
fn what_is_not_base64_is_refused() {
    let texts = [
        "a",
        "ab",
        "abc",
        "abcde",
        "ab=",
        "a===",
        "ab==cd==",
        "ab==c",
        "=",
        "==",
        "====",
        "a=bc",
        "abc=d",
        "YWJj YWJj",
        " YWJj",
        "YWJj ",
        "YWJj\\n",
        "YWJj\\r\\nYWJj",
        "-_-_",
        "YW.j",
        "YWJé",
        "YWJ\\u0000",
        "YWJj====",
        "YWI",
        "YQ",
        "YQ=",
        // The last bits are not zero: two texts for the same bytes.
        "YR==",
        "YWK=",
        "kqzxjvCANARYa",
    ];
    for text in texts {
        check_refused("CreateSecret", &[(text, create(&format!(r#""SecretBinary": "{text}""#)))]);
    }
    let bodies =
        ["[97, 98, 99]", "7", "true", "{}", "[]"].map(|value| (value, create(&format!(r#""SecretBinary": {value}"#))));
    check_refused("CreateSecret", &bodies);
}

#[test]
fn a_member_that_appears_twice_is_refused() {
    let twice = [
        r#""Name": "more""#,
        r#""Name": "new""#,
        r#""N\u0061me": "more""#,
        r#""SecretString": "kqzxjvCANARY", "SecretString": "kqzxjvCANARY""#,
        r#""SecretString": "kqzxjvCANARY", "SecretString": null"#,
        r#""SecretString": null, "SecretString": "kqzxjvCANARY""#,
        r#""SecretBinary": "YWJj", "SecretBinary": "YWJj""#,
        r#""Tags": [], "Tags": []"#,
        r#""Tags": [{"Key": "k", "Key": "l"}]"#,
        r#""Tags": [{"Key": "k", "Value": "v", "Value": "v"}]"#,
        r#""SecretString": "kqzxjvCANARY", "Description": "d", "Description": "d""#,
    ];
    check_refused("CreateSecret", &twice.map(|members| ("twice", create(members))));
    let filters = [r#"{"Filters": [{"Key": "name", "Key": "name"}]}"#, r#"{"MaxResults": 1, "MaxResults": 1}"#];
    check_refused("ListSecrets", &rows(&filters));
}

#[test]
fn any_depth_of_brackets_is_refused_or_ignored_and_never_too_much() {
    const DEPTH: usize = 100_000;
    let open = |bracket: &str| bracket.repeat(DEPTH);
    let nested = |open_with: &str, close_with: &str| format!("{}{}", open(open_with), open(close_with));
    let lists = nested("[", "]");
    let objects = nested("{\"a\":", "}").replacen(":}", ":1}", 1);
    let server = Server::new();
    let before = server.epoch();
    for member in ["Name", "SecretString", "SecretBinary", "Tags", "Description", "AddReplicaRegions", "Unknown"] {
        for (row, deep) in [("lists", &lists), ("objects", &objects)] {
            let unclosed = deep.get(..DEPTH).unwrap();
            let answer = server.send_bytes("GetRandomPassword", format!("{{\"{member}\": {unclosed}").as_bytes());
            check_text(&format!("unclosed {row} in {member}, which is not known"), &answer);
            let answer = server.send_bytes("CreateSecret", format!("{{\"{member}\": {unclosed}").as_bytes());
            check_text(&format!("unclosed {row} in {member}"), &answer);
            let answer =
                server.send_bytes("CreateSecret", format!("{{\"Name\": \"new\", \"{member}\": {deep}}}").as_bytes());
            if member == "Unknown" {
                // It is JSON, and the member is not known.
                assert_eq!(answer.status, 200, "{row} in {member}: {answer}");
                server.ok("DeleteSecret", &json!({"SecretId": "new", "ForceDeleteWithoutRecovery": true}));
            } else {
                check_text(&format!("{row} in {member}"), &answer);
            }
        }
    }
    for whole in [lists.clone(), objects.replace('a', "Tags"), open("["), open("{\"Tags\":[")] {
        let answer = server.send_bytes("CreateSecret", whole.as_bytes());
        check_text(&format!("{:.20}", whole), &answer);
    }
    let described = server.send("DescribeSecret", &json!({"SecretId": "new"}));
    assert_eq!(described.code, "ResourceNotFoundException");
    assert!(server.epoch() > before);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let numbers = [
        "2147483648",
        "-2147483649",
        "9223372036854775808",
        "18446744073709551616",
        "1e3",
        "1E2",
        "1.0",
        "1.5",
        "-0.0",
        "1e400",
        "-1e400",
        "123456789012345678901234567890",
        "\"1\"",
        "true",
        "[]",
    ];
    for number in numbers {
        check_refused("ListSecrets", &[(number, format!(r#"{{"MaxResults": {number}}}"#).into_bytes())]);
    }
    for number in numbers.iter().skip(2) {
        let body = format!(r#"{{"SecretId": "app", "RecoveryWindowInDays": {number}}}"#);
        check_refused("DeleteSecret", &[(number, body.into_bytes())]);
        check_refused("GetRandomPassword", &[(number, format!(r#"{{"PasswordLength": {number}}}"#).into_bytes())]);
    }
    // As large as the kind allows: a matter of limits, not of kinds.
    let server = Server::new();
    for number in ["2147483647", "-2147483648", "0"] {
        let answer = server.send_bytes("ListSecrets", format!(r#"{{"MaxResults": {number}}}"#).as_bytes());
        assert_eq!(answer.code, "ValidationException", "{number}: {answer}");
    }
    for number in ["9223372036854775807", "-9223372036854775808"] {
        let answer = server.send_bytes("GetRandomPassword", format!(r#"{{"PasswordLength": {number}}}"#).as_bytes());
        assert_eq!(answer.code, "ValidationException", "{number}: {answer}");
        let body = format!(r#"{{"SecretId": "app", "RecoveryWindowInDays": {number}}}"#);
        let answer = server.send_bytes("DeleteSecret", body.as_bytes());
        assert_eq!(answer.code, "InvalidParameterException", "{number}: {answer}");
    }
}

/// JSON is UTF-8, in members that nobody reads too.
#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let bad: [&[u8]; 9] = [
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xc0\x80",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf0\x9f\x98",
        b"\xfe\xff",
    ];
    for bytes in bad {
        let within = |before: &str, after: &str| [before.as_bytes(), bytes, after.as_bytes()].concat();
        let bodies = [
            ("a value", within(r#"{"Name": "new", "SecretString": "kqzxjvCANARY"#, r#""}"#)),
            ("a value with escapes", within(r#"{"Name": "new", "SecretString": "\n"#, r#"\n"}"#)),
            ("base64", within(r#"{"Name": "new", "SecretBinary": ""#, r#""}"#)),
            ("a name", within(r#"{"Name": ""#, r#""}"#)),
            ("a description", within(r#"{"Name": "new", "Description": "\n"#, r#""}"#)),
            ("the name of a member", within(r#"{"Name": "new", "Other"#, r#"": 1}"#)),
            ("between members", within(r#"{"Name": "new", "#, r#" "Other": 1}"#)),
            ("in front", within("", r#"{"Name": "new"}"#)),
            ("at the end", within(r#"{"Name": "new"}"#, "")),
            ("a member that is not known", within(r#"{"Name": "new", "Other": ""#, r#""}"#)),
            ("deep in a member that is not known", within(r#"{"Name": "new", "Other": [{"a": ""#, r#""}]}"#)),
        ];
        check_refused("CreateSecret", &bodies);
    }
    let wide = r#"{"Name": "new"}"#;
    let wide = |unit: fn(u16) -> [u8; 2]| wide.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    check_refused(
        "CreateSecret",
        &[("UTF-16", wide(u16::to_be_bytes)), ("UTF-16", wide(|unit| unit.swap_bytes().to_be_bytes()))],
    );
}

/// What reads objects could take a list of their members in order.
#[test]
fn a_list_is_not_an_object() {
    let tags =
        [r#"[["k", "v"]]"#, r#"[[]]"#, r#"["k"]"#, r#"[7]"#, r#"[true]"#, r#"[null]"#, r#"[{"Key": "k"}, null]"#];
    check_refused("CreateSecret", &tags.map(|tags| (tags, create(&format!(r#""Tags": {tags}"#)))));
    let tags = tags.map(|tags| (tags, format!(r#"{{"SecretId": "app", "Tags": {tags}}}"#).into_bytes()));
    check_refused("TagResource", &tags);
    let filters =
        [r#"[["name", ["a"]]]"#, r#"[[null, []]]"#, r#"["name"]"#, r#"[null]"#, r#"[{"Key": "name", "Values": "a"}]"#];
    for operation in ["ListSecrets", "BatchGetSecretValue"] {
        let bodies = filters.map(|filters| (filters, format!(r#"{{"Filters": {filters}}}"#).into_bytes()));
        check_refused(operation, &bodies);
    }
}

#[test]
fn null_is_no_entry_of_a_list() {
    let nulls = [
        ("PutSecretValue", r#"{"SecretId": "app", "SecretString": "kqzxjvCANARY", "VersionStages": [null]}"#),
        ("UntagResource", r#"{"SecretId": "app", "TagKeys": ["a", null]}"#),
        ("BatchGetSecretValue", r#"{"SecretIdList": [null, "a"]}"#),
        ("ListSecrets", r#"{"Filters": [{"Key": "name", "Values": ["a", null]}]}"#),
        ("ListSecrets", r#"{"Filters": [null]}"#),
        ("TagResource", r#"{"SecretId": "app", "Tags": [null]}"#),
    ];
    for (operation, body) in nulls {
        check_refused(operation, &rows(&[body]));
    }
}

/// Whatever is wrong with a request that brings a value, the value is not repeated.
#[test]
fn no_error_repeats_a_value() {
    let long = CANARY.repeat(6_000);
    let (plain, member) = (format!(r#""{CANARY}""#), "SecretString");
    let with = |value: &str, more: &str| format!(r#"{{"SecretId": "app", "{member}": {value}{more}}}"#);
    let bodies = [
        with(&plain, r#", "RotationToken": "kqzxjvCANARY""#),
        with(&plain, r#", "RotationToken": "kqzxjvCANARY-kqzxjvCANARY-kqzxjvCANARY-*""#),
        with(&plain, r#", "RotationToken": ["kqzxjvCANARY"]"#),
        with(&plain, r#", "SecretBinary": "kqzxjvCANARY""#),
        with(&plain, r#", "SecretBinary": "kqzxjvCANARY*""#),
        with(&plain, r#", "VersionStages": "#),
        with(&plain, r#", "VersionStages": []"#),
        with(&plain, r#", "ClientRequestToken": "short""#),
        with(&plain, r#", "SecretString": "kqzxjvCANARY""#),
        with(&plain, ", "),
        with(&format!(r#""{long}""#), ""),
        with(&format!("[{plain}]"), ""),
        with(&format!(r#"{{{plain}: {plain}}}"#), ""),
        with(CANARY, ""),
        with(&format!("{plain}{plain}"), ""),
    ];
    for operation in ["PutSecretValue", "UpdateSecret", "CreateSecret"] {
        for body in &bodies {
            let body = if operation == "CreateSecret" { body.replace("SecretId", "Name") } else { body.clone() };
            let server = Server::with_app();
            let answer = server.send_bytes(operation, body.as_bytes());
            let text = String::from_utf8(answer.bytes.clone()).unwrap();
            assert!(!text.contains(CANARY) && !text.contains("kqzxjv"), "{operation} {body:.200}: {text}");
        }
    }
}
