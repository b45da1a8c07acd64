//! Documents as text: what is printed is read as the same policy, and says the same as the original under a normal form that
//! is made without the code under test; wildcards against their definition.
//!
//! 2,000 documents and 20,000 patterns, ten times as many with `STRONGROOM_LONG=1`.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use strongroom::{AuthorizationRequest, Decision, IdentityPolicy, Policies, Principal, RequestContext, ResourcePolicy};

use crate::generate::{self, Doc, Profile, Random};
use crate::wildcards::fits;

/// Texts that need care: quotes, control characters, characters of one to four bytes.
const TEXTS: [&str; 8] = ["", "plain", "\"quoted\"", "back\\slash/", "\u{1}\n\t\u{1f}", "é", "鍵\u{2028}", "🔑\u{7f}"];

fn times(count: usize) -> usize {
    if crate::is_long() { count * 10 } else { count }
}

/// A document as JSON, with an id, Sids and texts that need care.
fn document(random: &mut Random, of_resource: bool) -> Value {
    let pair = generate::pair(random, Profile::Language);
    let Doc { version, mut statements } = generate::doc(random, Profile::Language, &pair.ask, of_resource);
    for (index, statement) in statements.iter_mut().enumerate() {
        if random.percent(40) {
            statement.sid = Some(format!("{index}{}", random.pick(&TEXTS)));
        }
        for condition in &mut statement.conditions {
            if condition.operator.contains("StringNotEquals") {
                condition.values.push((*random.pick(&TEXTS)).to_owned());
            }
        }
    }
    let mut document = Doc { version, statements }.json();
    if random.percent(30) {
        document["Id"] = json!(random.pick(&TEXTS));
    }
    document
}

/// Every place that takes one or several has a list, and every value of a condition is a text.
fn normal(document: &Value) -> Value {
    let list = |value: &Value| if value.is_array() { value.clone() } else { json!([value]) };
    let texts = |value: &Value| -> Value {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        list(value).as_array().unwrap().iter().map(text).collect()
    };
    let mut document = document.clone();
    let mut statements = list(&document["Statement"]);
    for statement in statements.as_array_mut().unwrap() {
        for (name, value) in statement.as_object_mut().unwrap() {
            match name.as_str() {
                "Action" | "NotAction" | "Resource" | "NotResource" => *value = list(value),
                "Principal" | "NotPrincipal" if value.is_object() => {
                    value.as_object_mut().unwrap().values_mut().for_each(|names| *names = list(names));
                }
                "Condition" => {
                    let operators = value.as_object_mut().unwrap().values_mut();
                    let keys = operators.flat_map(|keys| keys.as_object_mut().unwrap().values_mut());
                    keys.for_each(|values| *values = texts(values));
                }
                _ => {}
            }
        }
    }
    document["Statement"] = statements;
    document
}

/// The same document, written in one of many ways: the order of elements, spaces, escapes, lists of one, truth values and
/// numbers as such.
fn written(random: &mut Random, value: &Value, path: &str) -> String {
    let space = |random: &mut Random| *random.pick(&["", "", "", " ", "\n", "\t\r\n"]);
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            // Statements and conditions keep their order, which is part of a policy.
            if ["", "Statement", "Principal", "NotPrincipal"].contains(&path) {
                let count = members.len();
                members.rotate_left(random.below(count));
            }
            let mut text = "{".to_owned();
            for (index, (name, value)) in members.into_iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let value = written(random, value, name);
                write!(
                    text,
                    "{comma}{}{}{}:{}{value}{}",
                    space(random),
                    quoted(random, name),
                    space(random),
                    space(random),
                    space(random)
                )
                .unwrap();
            }
            text + "}"
        }
        Value::Array(values) if values.len() == 1 && random.percent(50) => written(random, &values[0], path),
        Value::Array(values) => {
            let each = |value: &Value| match value {
                Value::String(text) => scalar(random, text, path),
                value => written(random, value, path),
            };
            let values: Vec<String> = values.iter().map(each).collect();
            format!("[{}]", values.join(&format!("{},{}", space(random), space(random))))
        }
        Value::String(text) if !takes_list(path) => quoted(random, text),
        Value::String(text) if random.percent(15) => format!("[{}{}]", space(random), scalar(random, text, path)),
        Value::String(text) => scalar(random, text, path),
        other => other.to_string(),
    }
}

/// Whether an element, a type of principals or a condition key takes one or several.
fn takes_list(name: &str) -> bool {
    let elements = ["Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "CanonicalUser"];
    name.contains(':') || elements.contains(&name)
}

/// A value, as a truth value or a number where only a condition can have it.
fn scalar(random: &mut Random, text: &str, path: &str) -> String {
    let is_plain = matches!(text, "true" | "false") || (text.parse::<i32>().is_ok() && !text.starts_with('0'));
    if path.contains(':') && is_plain && random.percent(50) { text.to_owned() } else { quoted(random, text) }
}

fn quoted(random: &mut Random, text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        let is_special = matches!(c, '"' | '\\') || c < ' ';
        match c {
            '\n' if random.percent(50) => quoted.push_str("\\n"),
            '/' if random.percent(20) => quoted.push_str("\\/"),
            c if is_special || random.percent(3) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| write!(quoted, "\\u{unit:04x}").unwrap());
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[test]
fn what_is_printed_is_the_same_policy() {
    let mut random = Random(crate::seed());
    let count = times(2_000);
    for round in 0..count {
        let of_resource = round % 2 == 0;
        let document = document(&mut random, of_resource);
        let (text, other) = (written(&mut random, &document, ""), written(&mut random, &document, ""));
        let printed = if of_resource {
            let policy = ResourcePolicy::parse(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
            let printed = policy.to_string();
            let again: ResourcePolicy = printed.parse().unwrap();
            assert_eq!((again == policy, again.to_string() == printed), (true, true), "{text}");
            assert!(ResourcePolicy::from_bytes(other.as_bytes()).unwrap() == policy, "{text}\n{other}");
            printed
        } else {
            let policy = IdentityPolicy::parse(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
            let printed = policy.to_string();
            let again: IdentityPolicy = printed.parse().unwrap();
            assert_eq!((again == policy, again.to_string() == printed), (true, true), "{text}");
            assert!(IdentityPolicy::from_bytes(other.as_bytes()).unwrap() == policy, "{text}\n{other}");
            printed
        };
        let shown: Value = serde_json::from_str(&printed).unwrap();
        let original: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(normal(&shown), normal(&original), "{text}\n{printed}");
        assert_eq!(normal(&original), normal(&document), "the document was written as another one");
    }
    eprintln!("{count} documents are printed as the same policy");
}

#[test]
fn policies_are_different_if_one_element_is() {
    let mut random = Random(crate::seed());
    let mut changed = 0;
    for _ in 0..times(500) {
        let document = document(&mut random, true);
        let policy = ResourcePolicy::parse(&document.to_string()).unwrap();
        let mut others = Vec::new();
        let mut other = document.clone();
        let version = if document["Version"] == "2012-10-17" { "2008-10-17" } else { "2012-10-17" };
        other["Version"] = json!(version);
        others.push(other);
        for index in 0..document["Statement"].as_array().unwrap().len() {
            let mut edit = |name: &str, value: Value| {
                let mut other = document.clone();
                other["Statement"][index][name] = value;
                others.push(other);
            };
            let statement = &document["Statement"][index];
            if statement.get("NotPrincipal").is_none() {
                edit("Effect", json!(if statement["Effect"] == "Allow" { "Deny" } else { "Allow" }));
                edit("Principal", json!({"AWS": "999999999999"}));
            }
            edit("Sid", json!("another"));
            edit("Condition", json!({"Null": {"aws:another": "true"}}));
            for name in ["Action", "NotAction", "Resource", "NotResource"] {
                if statement.get(name).is_some() {
                    edit(name, json!(if name.ends_with("Action") { "another:Action" } else { "arn:aws:another:::x" }));
                }
            }
        }
        for other in others {
            changed += 1;
            assert!(ResourcePolicy::parse(&other.to_string()).unwrap() != policy, "{document}\n{other}");
        }
    }
    eprintln!("{changed} changed policies are different ones");
}

/// Whether `StringLike` with a pattern is met by a text.
fn is_like(pattern: &str, text: &str) -> bool {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringLike": {"service:key": pattern}}});
    let mut document = Map::new();
    document.insert("Statement".to_owned(), statement);
    let policy = [IdentityPolicy::parse(&Value::Object(document).to_string()).unwrap()];
    let request =
        AuthorizationRequest::new(Principal::parse("arn:aws:iam::111122223333:user/alice").unwrap(), "a:B", "*")
            .context(RequestContext::new().with("service:key", text));
    Policies::new().identity(&policy).evaluate(&request).decision == Decision::Allow
}

#[test]
fn wildcards_match_what_their_definition_says() {
    let mut random = Random(crate::seed());
    let count = times(20_000);
    let mut matched = 0;
    for _ in 0..count {
        let letters = ["a", "a", "b", "é", "*", "?", "*", "**", "a*"];
        let pattern: String = (0..random.below(14)).map(|_| *random.pick(&letters)).collect();
        // Made from the pattern, so that it often fits, with a few changes.
        let mut text = String::new();
        for c in pattern.chars() {
            match c {
                '*' => (0..random.below(4)).for_each(|_| text.push(*random.pick(&['a', 'b', 'é']))),
                '?' => text.push(*random.pick(&['a', 'é', '*'])),
                c if random.percent(85) => text.push(c),
                _ => {}
            }
        }
        let expected = fits(&pattern, &text);
        matched += usize::from(expected);
        assert_eq!(is_like(&pattern, &text), expected, "{pattern} {text}");
    }
    assert!(matched > count / 5 && matched < count * 4 / 5, "{matched} of {count} fit");
    eprintln!("{count} patterns match what their definition says, {matched} fit");
}

#[test]
fn hostile_wildcards_are_decided_as_all_others() {
    let mut tried = 0;
    for length in [1, 63, 64, 65, 300] {
        for piece in ["*a", "?*a", "*a?", "*aab", "*?a?b", "**", "a?*?a*", "*a*b*é"] {
            let pattern = piece.repeat(length.min(120)) + "z";
            for text in
                ["a".repeat(length * 3), "ab".repeat(length * 2), "aab".repeat(length * 2) + "z", "é".repeat(length)]
            {
                assert_eq!(is_like(&pattern, &text), fits(&pattern, &text), "{piece} {length}");
                tried += 1;
            }
        }
    }
    // As long as a document can hold. By the definition this would be 400 million steps, by trying everything no end.
    for (piece, last, expected) in [("*a", "*", true), ("*a", "b", false), ("?*", "", true), ("*a?", "b*", false)] {
        let pattern = piece.repeat(6_000) + last;
        assert_eq!(is_like(&pattern, &"a".repeat(20_000)), expected, "{piece} {last}");
        tried += 1;
    }
    eprintln!("{tried} hostile patterns are decided");
}
