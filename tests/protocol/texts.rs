//! Texts, bytes and dates survive the way through JSON exactly.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::fixture::{Server, base64, token};

const INVALID_NAME: &str =
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";

/// Creates a secret with a member as it is written in JSON, and gives back the value.
fn through(member: &str, written: &str) -> Value {
    let server = Server::new();
    let body = format!(r#"{{"Name": "new", "{member}": {written}}}"#);
    let made = server.send_bytes("CreateSecret", body.as_bytes());
    assert_eq!(made.status, 200, "{written:.100}: {made}");
    let read = server.ok("GetSecretValue", &json!({"SecretId": "new"}));
    let batch = server.ok("BatchGetSecretValue", &json!({"SecretIdList": ["new"]}));
    assert_eq!(batch["SecretValues"][0][member], read[member], "{written:.100}");
    read[member].clone()
}

#[test]
fn a_value_is_exactly_what_was_written() {
    let rows = [
        (r#""plain""#, "plain"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\\u0041 \\n \\\\""#, r"\u0041 \n \\"),
        (r#""\u0041\u00e9\u00E9\u20ac\uFFFF\uffff""#, "A\u{e9}\u{e9}\u{20ac}\u{ffff}\u{ffff}"),
        (r#""\u0000""#, "\0"),
        (r#""a\u0000b\u0000""#, "a\0b\0"),
        (r#""\u0001\u001f\u007f\u0080\u2028\u2029""#, "\u{1}\u{1f}\u{7f}\u{80}\u{2028}\u{2029}"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
        (r#""x\uD83D\uDE00\ud83d\ude00y""#, "x\u{1f600}\u{1f600}y"),
        (r#""\ud800\udc00\udbff\udfff""#, "\u{10000}\u{10ffff}"),
        (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
        ("\"\u{1f600}\u{e9}\u{fffd}\u{feff}\"", "\u{1f600}\u{e9}\u{fffd}\u{feff}"),
        (r#""e\u0301""#, "e\u{301}"),
        (r#"" ""#, " "),
        (r#""  spaces around\t""#, "  spaces around\t"),
        (r#""null""#, "null"),
        (
            r#""{\"username\":\"david\",\"password\":\"EXAMPLE-PASSWORD\"}""#,
            r#"{"username":"david","password":"EXAMPLE-PASSWORD"}"#,
        ),
        ("  \n\t\r \"around\" \n ", "around"),
        (r#""</script>&amp;%41+""#, "</script>&amp;%41+"),
    ];
    for (written, value) in rows {
        assert_eq!(through("SecretString", written), value, "{written}");
    }
}

#[test]
fn every_character_survives_written_as_it_is_and_escaped() {
    // All of the first plane in pieces, and some of every other.
    let characters = (1..0x1_0000_u32).chain((1..0x11).map(|plane| plane << 16 | 0x1234)).filter_map(char::from_u32);
    let all: String = characters.collect();
    let mut rest = all.as_str();
    while !rest.is_empty() {
        let at = rest.char_indices().map(|(at, _)| at).take_while(|at| *at < 60_000).last().unwrap().max(1);
        let (piece, behind) = if rest.len() < 60_000 { (rest, "") } else { rest.split_at(at) };
        assert!(through("SecretString", &json!(piece).to_string()) == piece, "a piece from {:?}", piece.chars().next());
        let escaped: String = piece.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        assert!(
            through("SecretString", &format!("\"{escaped}\"")) == piece,
            "escaped, from {:?}",
            piece.chars().next()
        );
        rest = behind;
    }
}

#[test]
fn the_largest_values_survive_however_long_they_are_written() {
    for (character, count) in [("a", 65_536), ("\u{e9}", 32_768), ("\u{1f600}", 16_384), ("\0", 65_536), ("\"", 65_536)]
    {
        let value = character.repeat(count);
        let escaped: String = value.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        assert!(through("SecretString", &json!(value).to_string()) == value, "{character:?}");
        assert!(through("SecretString", &format!("\"{escaped}\"")) == value, "{character:?} escaped");
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(65_536).collect();
    assert!(through("SecretBinary", &json!(base64(&bytes)).to_string()) == base64(&bytes));
}

/// Recorded: the bytes of `footest` come back as `Zm9vdGVzdA==`.
#[test]
fn bytes_come_back_as_the_same_base64() {
    let rows = [
        (r#""Zm9vdGVzdA==""#, "Zm9vdGVzdA=="),
        (r#""Zm9vdGVzdA\u003d\u003d""#, "Zm9vdGVzdA=="),
        (r#""\u005am9v""#, "Zm9v"),
        (r#""\/\/\/\/""#, "////"),
        (r#""+\/+\/""#, "+/+/"),
        (r#""AA==""#, "AA=="),
        (r#""AAA=""#, "AAA="),
        (r#""AAAA""#, "AAAA"),
    ];
    for (written, value) in rows {
        assert_eq!(through("SecretBinary", written), value, "{written}");
    }
    for length in 1..40_u8 {
        let text = base64(&(0..length).map(|byte| byte.wrapping_mul(37)).collect::<Vec<_>>());
        assert_eq!(through("SecretBinary", &json!(text).to_string()), text);
    }
}

#[test]
fn texts_that_are_not_secret_survive_too() {
    let text = "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}\u{e9}\u{2028}\u{1f600}";
    let server = Server::new();
    let create = json!({
        "Name": "app", "Description": text, "Type": text, "KmsKeyId": "alias/\u{e9}",
        "Tags": [{"Key": text, "Value": text}], "SecretString": "s",
        "ClientRequestToken": format!("{text}{}", token(1)).chars().take(40).collect::<String>(),
    });
    let made = server.ok("CreateSecret", &create);
    assert_eq!(made["VersionId"], create["ClientRequestToken"]);
    let stage = json!({"SecretId": "app", "VersionStage": text, "MoveToVersionId": made["VersionId"]});
    server.ok("UpdateSecretVersionStage", &stage);
    let described = server.ok("DescribeSecret", &json!({"SecretId": "app"}));
    for member in ["Description", "Type", "KmsKeyId", "Tags"] {
        assert_eq!(described[member], create[member], "{member}");
    }
    let labels = &described["VersionIdsToStages"][made["VersionId"].as_str().unwrap()];
    assert_eq!(*labels, json!(["AWSCURRENT", text]));
    let read = server.ok("GetSecretValue", &json!({"SecretId": "app", "VersionStage": text}));
    assert_eq!(read["SecretString"], "s");
    let answer = server.send("GetSecretValue", &json!({"SecretId": "app", "VersionStage": format!("{text}2")}));
    let message = format!("Secrets Manager can't find the specified secret value for staging label: {text}2");
    answer.check("a label that is not there", 400, "ResourceNotFoundException", &message);
}

/// Recorded for ASCII; letters of other alphabets are not among the characters that the text lists.
#[test]
fn names_outside_ascii_are_refused_with_the_services_text() {
    let names = [
        "caf\u{e9}",
        "\u{1f600}",
        "\u{ff41}",
        "a\u{301}",
        "\u{0}",
        "a\0",
        "a\n",
        " a",
        "a\u{a0}",
        "a\u{200b}",
        "\u{661}",
    ];
    for name in names {
        let server = Server::new();
        let before = server.epoch();
        let bodies = [("CreateSecret", json!({"Name": name})), ("DescribeSecret", json!({"SecretId": name}))];
        for (operation, body) in bodies {
            server.send(operation, &body).check(name, 400, "ValidationException", INVALID_NAME);
            let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let member = if operation == "CreateSecret" { "Name" } else { "SecretId" };
            let answer = server.send_bytes(operation, format!(r#"{{"{member}": "{escaped}"}}"#).as_bytes());
            answer.check(name, 400, "ValidationException", INVALID_NAME);
        }
        server.check_unchanged(before, name);
    }
}

#[test]
fn names_of_members_can_be_written_with_escapes() {
    let server = Server::new();
    let body = br#"{"\u004eame": "app", "Secret\u0053tring": "one"}"#;
    assert_eq!(server.send_bytes("CreateSecret", body).status, 200);
    assert_eq!(server.ok("GetSecretValue", &json!({"SecretId": "app"}))["SecretString"], "one");
}

#[test]
fn dates_are_seconds_and_milliseconds_as_a_fraction() {
    let rows = [
        (1_523_477_145_713, "1523477145.713"),
        (1_523_477_145_700, "1523477145.7"),
        (1_523_477_145_010, "1523477145.01"),
        (1_523_477_145_001, "1523477145.001"),
        (1_523_477_145_999, "1523477145.999"),
        (1_523_477_145_000, "1523477145"),
        (253_402_300_799_001, "253402300799.001"),
    ];
    for (millis, written) in rows {
        let server = Server::new();
        server.clock.set(DateTime::from_timestamp_millis(millis).unwrap());
        server.ok("CreateSecret", &json!({"Name": "app", "SecretString": "one"}));
        for (operation, member) in [("GetSecretValue", "CreatedDate"), ("DescribeSecret", "LastChangedDate")] {
            let answer = server.send(operation, &json!({"SecretId": "app"}));
            let text = String::from_utf8(answer.bytes).unwrap();
            let wanted = format!("\"{member}\":{written}");
            let ends = [",", "}"].map(|end| format!("{wanted}{end}"));
            assert!(ends.iter().any(|wanted| text.contains(wanted)), "{millis}: {text}");
        }
    }
}
