//! How the service finds words: the splitting and matching behind the `description` and `all` filters.

/// Splits a text into lower-case words.
///
/// Words end at every character that is neither a letter nor a digit, where a letter and a digit meet, and before a
/// character that is not a lower-case letter but is followed by one: `MyTest` is `my`, `test`; `COMPANYthings` is
/// `compan`, `ythings`; `Thirdsecret` stays whole.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in text.split(|c: char| !c.is_alphanumeric()) {
        let chars: Vec<char> = piece.chars().collect();
        let mut word = String::new();
        let mut last: Option<char> = None;
        let mut rest = chars.iter().copied().peekable();
        // Inside a capital followed by lower-case letters: the run ends with the lower-case letters.
        let mut in_capitalised = false;
        while let Some(c) = rest.next() {
            let starts_capitalised =
                !c.is_lowercase() && !c.is_numeric() && rest.peek().is_some_and(|next| next.is_lowercase());
            let ends_capitalised = in_capitalised && !c.is_lowercase();
            let changes_class = last.is_some_and(|last| last.is_numeric() != c.is_numeric());
            if (starts_capitalised || ends_capitalised || changes_class) && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            in_capitalised = starts_capitalised || (in_capitalised && !ends_capitalised);
            word.extend(c.to_lowercase());
            last = Some(c);
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

/// Whether every wanted word begins some word of the text. No wanted words match nothing.
pub(crate) fn matches(wanted: &[String], text: &[String]) -> bool {
    !wanted.is_empty() && wanted.iter().all(|wanted| text.iter().any(|word| word.starts_with(wanted.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_split_into_words_as_the_service_does() {
        for (text, words) in [
            ("MyTest", &["my", "test"][..]),
            ("COMPANY", &["company"]),
            ("COMPANYthings", &["compan", "ythings"]),
            ("Thirdsecret", &["thirdsecret"]),
            ("a secret", &["a", "secret"]),
            ("prod/AppBeta/x", &["prod", "app", "beta", "x"]),
            ("prod-AppBeta/x", &["prod", "app", "beta", "x"]),
            ("credsDatabase#892", &["creds", "database", "892"]),
            ("SecretFTag", &["secret", "f", "tag"]),
            ("abcDEF", &["abcdef"]),
            ("AbcDEF", &["abc", "def"]),
            ("+", &[]),
            ("", &[]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }
}
