//! Word search against a second implementation of its rules, on many made-up texts.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html>

use std::collections::BTreeSet;

use strongroom::testing::SeededEntropy;
use strongroom::{CreateSecretRequest, Entropy, Filter, ListSecretsRequest};

use crate::fixture::World;

/// The words of a text: pieces between punctuation, then runs of digits and of letters, and of the letters, every
/// capital with the small letters that follow it, and what is left between those.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in text.split(|character: char| !character.is_ascii_alphanumeric()) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let is_digits = first.is_ascii_digit();
            let end = rest.find(|other: char| other.is_ascii_digit() != is_digits).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            if is_digits {
                words.push(run.to_owned())
            } else {
                letters(run, &mut words)
            }
            rest = after;
        }
    }
    words.iter().map(|word| word.to_ascii_lowercase()).collect()
}

fn letters(run: &str, words: &mut Vec<String>) {
    let bytes = run.as_bytes();
    let (mut between, mut index) = (0, 0);
    while index < bytes.len() {
        let small = bytes[index + 1..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if bytes[index].is_ascii_uppercase() && small > 0 {
            words.push(run[between..index].to_owned());
            words.push(run[index..=index + small].to_owned());
            index += 1 + small;
            between = index;
        } else {
            index += 1;
        }
    }
    words.push(run[between..].to_owned());
    words.retain(|word| !word.is_empty());
}

/// Whether every word of the value begins some word of the text.
fn finds(value: &str, text: &str) -> bool {
    let (wanted, there) = (words(value), words(text));
    !wanted.is_empty() && wanted.iter().all(|wanted| there.iter().any(|word| word.starts_with(wanted.as_str())))
}

/// Texts of few different characters, so that they find each other now and then.
fn text(source: &SeededEntropy, alphabet: &[u8], longest: u8) -> String {
    let mut bytes = [0; 32];
    source.fill(&mut bytes).unwrap();
    let length = usize::from(bytes[31] % longest) + 1;
    bytes[..length].iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

#[test]
fn the_second_implementation_agrees_with_the_documented_examples() {
    for (text, expected) in [
        ("credsDatabase#892", "creds database 892"),
        ("MyTest", "my test"),
        ("COMPANYthings", "compan ythings"),
        ("Thirdsecret", "thirdsecret"),
        ("prod/AppBeta-x", "prod app beta x"),
    ] {
        assert_eq!(words(text).join(" "), expected, "{text}");
    }
}

#[test]
fn made_up_texts_are_found_by_the_rules() {
    let source = SeededEntropy::new(70);
    let world = World::new();
    let descriptions: Vec<String> = (0..90).map(|_| text(&source, b"aabABB1 -#", 12)).collect();
    for (number, description) in descriptions.iter().enumerate() {
        let request = CreateSecretRequest::new(format!("{number}")).secret_string("v").description(description);
        world.create_with(request);
    }
    let (mut hits, mut misses) = (0, 0);
    for _ in 0..500 {
        let value = text(&source, b"aabABB1 -", 4);
        for negated in [false, true] {
            let written = if negated { format!("!{value}") } else { value.clone() };
            let filters = || [Filter::new("description", [written.clone()])];
            let found = world.names(|| ListSecretsRequest::new().filters(filters()));
            let expected: BTreeSet<String> = (0..90)
                .filter(|number| finds(&value, &descriptions[*number]) != negated)
                .map(|number| number.to_string())
                .collect();
            hits += expected.len();
            misses += 90 - expected.len();
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "`{written}`");
        }
    }
    assert!(hits > 5_000 && misses > 5_000, "{hits} found, {misses} not");
}
