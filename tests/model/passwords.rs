//! What a random password may look like.

use serde_json::{Value, json};

use crate::model::{Failure, Outcome, failure};
use crate::request::Password;
use crate::shape::Shape;

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The engine's password if it is a possible one, otherwise why it is not.
pub(crate) fn get_random_password(request: &Password, learned: &Value) -> Outcome {
    Shape::default()
        .number("passwordLength", request.length, 1, 4096)
        .opt_text("excludeCharacters", &request.exclude, 0, 4096)
        .check()?;
    let excluded = request.exclude.clone().unwrap_or_default();
    let length = request.length.unwrap_or(32);
    let types: Vec<String> = [
        (request.no_uppercase, ('A'..='Z').collect::<String>()),
        (request.no_lowercase, ('a'..='z').collect()),
        (request.no_numbers, ('0'..='9').collect()),
        (request.no_punctuation, PUNCTUATION.to_owned()),
    ]
    .into_iter()
    .filter(|(left_out, _)| *left_out != Some(true))
    .map(|(_, characters)| characters.chars().filter(|c| !excluded.contains(*c)).collect())
    .collect();
    let mut pool = types.concat();
    if request.space == Some(true) && !excluded.contains(' ') {
        pool.push(' ');
    }
    let required = request.each != Some(false);
    if pool.is_empty() {
        return refused("All characters have been excluded from selection.");
    }
    if required && types.iter().any(String::is_empty) {
        return refused("All characters of the desired type have been excluded.");
    }
    if required && length < types.len() as i64 {
        return refused("Password length is too short based on the required types.");
    }
    let password = learned["RandomPassword"].as_str().unwrap_or_default();
    let judged = if password.chars().count() as i64 != length {
        format!("<a password of {length} characters>")
    } else if !password.chars().all(|c| pool.contains(c)) {
        format!("<a password of {pool}>")
    } else if required && !types.iter().all(|characters| password.chars().any(|c| characters.contains(c))) {
        format!("<a password with one of each of {types:?}>")
    } else {
        password.to_owned()
    };
    Ok(json!({ "RandomPassword": judged }))
}

fn refused(message: &str) -> Result<Value, Failure> {
    failure("InvalidParameterException", message)
}
