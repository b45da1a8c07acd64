//! How the `Authorization` header may be written, and how not.

use proptest::prelude::*;

use super::*;

#[test]
fn the_parts_may_stand_in_any_order_and_with_or_without_spaces() {
    for row in recorded() {
        let text = row.authorization();
        let [a, b, c] = [0, 1, 2].map(|index| text.split_once(' ').unwrap().1.split(", ").nth(index).unwrap());
        for parts in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            for between in [",", ", ", " , ", ",\t", ",    "] {
                let written = format!("AWS4-HMAC-SHA256 {}", parts.join(between));
                row.with_authorization(|_| written).accepted("written otherwise");
            }
        }
        row.with_authorization(|text| text.replacen(' ', "  ", 1)).accepted("two spaces");
    }
}

#[test]
fn a_header_that_is_not_of_the_scheme_is_refused() {
    let row = usual();
    row.changed(|row| row.headers.retain(|(name, _)| name != "Authorization")).refused(
        "no header",
        "MissingAuthenticationTokenException",
        Some("Missing Authentication Token"),
    );
    row.with_authorization(|_| "  ".to_owned()).refused("empty", "MissingAuthenticationTokenException", None);
    row.changed(|row| row.headers.push(("authorization".to_owned(), row.authorization().into_bytes()))).refused(
        "two headers",
        INCOMPLETE,
        Some(NO_STANDARD),
    );
    row.changed(|row| row.headers.retain(|(name, _)| name != "Authorization"))
        .changed(|row| row.headers.push(("Authorization".to_owned(), vec![0xff, 0xfe])))
        .refused("no text", INCOMPLETE, Some(NO_STANDARD));
    row.with_authorization(|text| format!("{text}\n")).refused("line end", INCOMPLETE, Some(NO_STANDARD));
    for (from, to) in [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "),
        ("AWS4-HMAC-SHA256 ", "aws4-hmac-sha256 "),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256 ", "Basic "),
        ("AWS4-HMAC-SHA256 ", ""),
        ("Credential=", "credential="),
        ("Credential=", "Credential ="),
        ("Credential=", "Credential= "),
        ("Credential=", "Unknown=1, Credential="),
        ("Credential=", "=, Credential="),
        ("Signature=", "Signature=, Signature="),
        ("SignedHeaders=", "SignedHeaders=host, SignedHeaders="),
        (", SignedHeaders=", " SignedHeaders="),
        (", Signature=", "; Signature="),
    ] {
        row.replacing(from, to).refused(&format!("`{to}` for `{from}`"), INCOMPLETE, Some(NO_STANDARD));
    }
}

#[test]
fn a_part_that_is_missing_is_named_and_the_header_is_not_repeated() {
    let row = usual();
    let requires = |names: &[&str], text: &str| {
        let names: String =
            names.iter().map(|name| format!("Authorization header requires '{name}' parameter. ")).collect();
        format!("{names}(Hashed with SHA-256 and encoded with Base64) Authorization={}", hashed(text))
    };
    let text = row.authorization();
    let parts: Vec<&str> = text.split_once(' ').unwrap().1.split(", ").collect();
    for (index, name) in ["Credential", "SignedHeaders", "Signature"].into_iter().enumerate() {
        let others: Vec<&str> = parts.iter().copied().filter(|part| *part != parts[index]).collect();
        let without = format!("AWS4-HMAC-SHA256 {}", others.join(", "));
        row.with_authorization(|_| without.clone()).refused(name, INCOMPLETE, Some(&requires(&[name], &without)));
        let empty = text.replace(parts[index], &format!("{name}="));
        row.with_authorization(|_| empty.clone()).refused(name, INCOMPLETE, Some(&requires(&[name], &empty)));
    }
    let all = requires(&["Credential", "Signature", "SignedHeaders"], "AWS4-HMAC-SHA256");
    row.with_authorization(|_| "AWS4-HMAC-SHA256".to_owned()).refused("nothing", INCOMPLETE, Some(&all));
    for junk in ["AWS4-HMAC-SHA256 junk", "AWS4-HMAC-SHA256 ,", &format!("{text},"), &format!("{text}, x")] {
        let message = format!(
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with \
             Base64): '{}'.",
            hashed(junk)
        );
        row.with_authorization(|_| junk.to_owned()).refused(junk, INCOMPLETE, Some(&message));
    }
    // The hash of nothing, from elsewhere.
    assert_eq!(hashed(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn there_is_a_bound_to_everything() {
    let row = usual();
    let added = |count: usize| {
        row.changed(|row| row.headers.extend((row.headers.len()..count).map(|index| (format!("n{index}"), Vec::new()))))
    };
    added(HEADERS_MAX).accepted("as many headers as there may be");
    added(HEADERS_MAX + 1).refused("more headers", INCOMPLETE, Some(NO_STANDARD));
    row.changed(|row| row.set("Long", &"x".repeat(HEADER_BYTES_MAX))).refused("long header", INCOMPLETE, None);
    row.changed(|row| row.path.push_str(&"x".repeat(TARGET_BYTES_MAX))).refused("long path", INCOMPLETE, None);
    row.changed(|row| row.query.push_str(&"x".repeat(TARGET_BYTES_MAX))).refused("long query", INCOMPLETE, None);
    let long = "x".repeat(AUTHORIZATION_BYTES_MAX);
    row.with_authorization(|text| format!("{text}{long}")).refused("long signature", INCOMPLETE, Some(NO_STANDARD));
    assert_eq!(scope(&format!("{}{long}", row.authorization())), None);
}

#[test]
fn a_scope_is_read_without_being_believed() {
    let read = |text| scope(text).map(|scope| (scope.access_key_id, scope.date, scope.region, scope.service));
    for row in recorded() {
        let (date, key) = (row.now.format("%Y%m%d").to_string(), row.credential["access_key_id"].as_str().unwrap());
        let expected = Some((key, date.as_str(), Some(row.region.as_str()), "secretsmanager"));
        let text = row.authorization();
        let found = scope(&text).map(|scope| (scope.access_key_id, scope.date, scope.region, scope.service));
        assert_eq!(found, expected, "{}", row.name);
    }
    for (text, expected) in [
        ("Credential=a/b/us-east-1/d/e", Some(("a", "b", Some("us-east-1"), "d"))),
        ("junk Credential=111122223333//eu-west-3//,more", Some(("111122223333", "", Some("eu-west-3"), ""))),
        ("Credential=a/b/somewhere/d/e junk", Some(("a", "b", None, "d"))),
        ("Credential=a/b/us-east-1\u{e9}/d/e", Some(("a", "b", None, "d"))),
        ("Credential=a/b//d/e", Some(("a", "b", None, "d"))),
        ("Credential=/b/us-east-1/d/e", None),
        ("Credential=a/b/us-east-1/d", None),
        ("Credential=a/b/us-east-1/d/e/f", None),
        ("Credential=", None),
        ("credential=a/b/us-east-1/d/e", None),
        ("Basic dXNlcjpwYXNzd29yZA==", None),
        ("", None),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

/// One small damage to a text.
#[derive(Debug, Clone)]
enum Damage {
    Insert(usize, char),
    Replace(usize, char),
    Remove(usize, usize),
    Repeat(usize, usize),
}

impl Damage {
    fn to(&self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        let length = characters.len().max(1);
        let range = |at: usize, count: usize| (at % length)..(at % length + count).min(characters.len());
        match *self {
            Self::Insert(at, character) => characters.insert(at % length, character),
            Self::Replace(at, character) => drop(characters.splice(range(at, 1), [character])),
            Self::Remove(at, count) => drop(characters.drain(range(at, count))),
            Self::Repeat(at, count) => {
                let again: Vec<char> = characters[range(at, count)].to_vec();
                drop(characters.splice(at % length..at % length, again));
            }
        }
        characters.into_iter().collect()
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let character = || prop_oneof![any::<char>(), prop::sample::select(Vec::from_iter("/=,; \tAa0-".chars()))];
    prop_oneof![
        (any::<u16>(), character()).prop_map(|(at, character)| Damage::Insert(at.into(), character)),
        (any::<u16>(), character()).prop_map(|(at, character)| Damage::Replace(at.into(), character)),
        (any::<u16>(), 1_usize..80).prop_map(|(at, count)| Damage::Remove(at.into(), count)),
        (any::<u16>(), 1_usize..80).prop_map(|(at, count)| Damage::Repeat(at.into(), count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_header_is_refused_unless_only_white_space_differs(damages in prop::collection::vec(damage(), 1..4)) {
        let row = usual();
        let text = damages.iter().fold(row.authorization(), |text, damage| damage.to(&text));
        let _ = scope(&text);
        let bare = |text: &str| text.replace([' ', '\t'], "");
        let damaged = row.with_authorization(|_| text.clone());
        if damaged.verify().is_ok() {
            prop_assert_eq!(bare(&text), bare(&row.authorization()));
        }
    }

    #[test]
    fn no_request_makes_it_panic(
        authorization in ".{0,200}",
        name in ".{0,20}",
        value in prop::collection::vec(any::<u8>(), 0..40),
        path in ".{0,60}",
        query in "[a%+=&0-9é]{0,60}",
        date in ".{0,40}",
    ) {
        let _ = scope(&authorization);
        let changed = usual().changed(|row| {
            row.headers.push((name, value));
            row.path = path;
            row.query = query;
        });
        let _ = changed.verify();
        let _ = changed.changed(|row| row.set("X-Amz-Date", &date)).verify();
        let _ = changed.with_authorization(|_| authorization).verify();
        let _ = (basic_time(&date), http_time(&date));
    }
}
