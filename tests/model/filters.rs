//! Which secrets a filter selects.

use crate::model::Secret;
use crate::request::Filter;

/// Every filter must be satisfied, by any of its values.
pub(crate) fn selected(secret: &Secret, filters: &Option<Vec<Filter>>) -> bool {
    filters.iter().flatten().all(|filter| {
        let key = filter.key.as_deref().unwrap_or_default();
        filter.values.iter().any(|value| match value.strip_prefix('!') {
            // Nothing is said of a secret without primary Region, not even that it is in another one.
            Some(_) if key == "primary-region" => false,
            Some(rest) => !attributes(secret, key).iter().any(|attribute| matches(key, attribute, rest)),
            None => attributes(secret, key).iter().any(|attribute| matches(key, attribute, value)),
        })
    })
}

/// No secret here is replicated or managed by a service, so those attributes are never there.
fn attributes(secret: &Secret, key: &str) -> Vec<String> {
    let tags = secret.tags.clone().unwrap_or_default();
    let tag_keys: Vec<_> = tags.iter().map(|(key, _)| key.clone()).collect();
    let tag_values: Vec<_> = tags.iter().map(|(_, value)| value.clone()).collect();
    match key {
        "name" => vec![secret.name.clone()],
        "description" => secret.description.iter().cloned().collect(),
        "tag-key" => tag_keys,
        "tag-value" => tag_values,
        "all" => {
            [vec![secret.name.clone()], secret.description.iter().cloned().collect(), tag_keys, tag_values].concat()
        }
        _ => Vec::new(),
    }
}

fn matches(key: &str, attribute: &str, wanted: &str) -> bool {
    match key {
        "description" | "all" => words_match(attribute, wanted),
        _ => attribute.starts_with(wanted),
    }
}

/// Every word of the filter begins some word of the attribute. The empty value begins everything; a value without words
/// begins nothing.
pub(crate) fn words_match(attribute: &str, wanted: &str) -> bool {
    let wanted_words = words(wanted);
    wanted.is_empty()
        || !wanted_words.is_empty()
            && wanted_words.iter().all(|wanted| words(attribute).iter().any(|word| word.starts_with(wanted)))
}

/// Words in lower case. They end at punctuation and spaces, between letters and digits, and before a character that is
/// not a lower-case letter and is followed by lower-case letters.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut last: Option<char> = None;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            pieces.push(String::new());
            last = None;
            continue;
        }
        if last.is_some_and(|last| last.is_numeric() != c.is_numeric()) {
            pieces.push(String::new());
        }
        pieces.last_mut().expect("there is one").push(c);
        last = Some(c);
    }
    pieces.iter().flat_map(|piece| split_at_capitals(piece)).map(|word| word.to_lowercase()).collect()
}

/// As splitting by the captured group `[^a-z][a-z]+` does.
fn split_at_capitals(piece: &str) -> Vec<String> {
    let chars: Vec<char> = piece.chars().collect();
    let lower = |at: usize| chars.get(at).is_some_and(char::is_ascii_lowercase);
    let mut words = Vec::new();
    let mut between = String::new();
    let mut at = 0;
    while at < chars.len() {
        if !lower(at) && lower(at + 1) {
            words.push(std::mem::take(&mut between));
            let mut word = chars[at].to_string();
            at += 1;
            while lower(at) {
                word.push(chars[at]);
                at += 1;
            }
            words.push(word);
        } else {
            between.push(chars[at]);
            at += 1;
        }
    }
    words.push(between);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_reference_splits_words_as_recorded() {
    for (text, expected) in [
        ("MyTest", vec!["my", "test"]),
        ("COMPANY", vec!["company"]),
        ("COMPANYthings", vec!["compan", "ythings"]),
        ("Thirdsecret", vec!["thirdsecret"]),
        ("credsDatabase#892", vec!["creds", "database", "892"]),
        ("prod/AppBeta/x", vec!["prod", "app", "beta", "x"]),
        ("+", vec![]),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn the_reference_matches_words_as_recorded() {
    for (attribute, wanted, expected) in [
        ("a secret", "a", true),
        ("an secret", "a", true),
        ("asecret", "a", true),
        ("thesecret", "a", false),
        ("a secret", "a secret", true),
        ("asecret", "a secret", false),
        ("one and two", "one two", true),
        ("one and two", "o t", true),
        ("one", "one two", false),
        ("SecretOne", "ret", false),
        ("DescTwo", "d t", true),
        ("uat/COMPANY/x", "company", true),
        ("uat/COMPANYthings/x", "company", false),
        ("uat/COMPANYthings/x", "things", false),
        ("uat/COMPANYthings/x", "Ythings", true),
        ("uat/COMPANY/x", "N", false),
        ("a", "+", false),
    ] {
        assert_eq!(words_match(attribute, wanted), expected, "{attribute} for {wanted}");
    }
}
