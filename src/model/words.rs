//! How the service finds words: the splitting and matching behind the `description` and `all` filters.

/// The words of a text, as they are written, in order.
///
/// Words end at every character that is neither a letter nor a digit, where a letter and a digit meet, and before a
/// character that is not a lower-case letter but is followed by one: `MyTest` is `My`, `Test`; `COMPANYthings` is
/// `COMPAN`, `Ythings`; `Thirdsecret` stays whole.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let (word, after) = rest.split_at_checked(word_len(rest))?;
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// Bytes of the word that a text begins with.
fn word_len(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let mut last: Option<char> = None;
    // Inside a capital followed by lower-case letters: the word ends with the lower-case letters.
    let mut is_capitalised = false;
    while let Some((index, c)) = chars.next() {
        let begins_capitalised =
            !c.is_lowercase() && !c.is_numeric() && chars.peek().is_some_and(|(_, next)| next.is_lowercase());
        if let Some(last) = last {
            let ends_capitalised = is_capitalised && !c.is_lowercase();
            let changes_class = last.is_numeric() != c.is_numeric();
            if !c.is_alphanumeric() || begins_capitalised || ends_capitalised || changes_class {
                return index;
            }
        }
        is_capitalised |= begins_capitalised;
        last = Some(c);
    }
    text.len()
}

/// The words of a filter's value, in lower case.
pub(crate) fn wanted(value: &str) -> Vec<String> {
    split(value).map(str::to_lowercase).collect()
}

/// Whether every wanted word begins some word of the text, in any case. No wanted words match nothing.
pub(crate) fn matches(wanted: &[String], text: &str) -> bool {
    let is_there = |wanted: &String| may_hold(text, wanted) && split(text).any(|word| begins(word, wanted));
    !wanted.is_empty() && wanted.iter().all(is_there)
}

/// Whether a text can hold a wanted word. Mostly it does not, which is found out faster than where its words begin.
fn may_hold(text: &str, wanted: &str) -> bool {
    if !text.is_ascii() || !wanted.is_ascii() {
        return true;
    }
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    let Some((first, rest)) = wanted.split_first() else { return true };
    let mut places = (1..).zip(text).filter(|(_, byte)| byte.eq_ignore_ascii_case(first));
    places.any(|(after, _)| text.get(after..after + rest.len()).is_some_and(|here| here.eq_ignore_ascii_case(rest)))
}

fn begins(word: &str, lower: &str) -> bool {
    // Both nearly always are; comparing bytes is much faster.
    if word.is_ascii() && lower.is_ascii() {
        let start = word.as_bytes().get(..lower.len());
        return start.is_some_and(|start| start.eq_ignore_ascii_case(lower.as_bytes()));
    }
    let mut letters = word.chars().flat_map(char::to_lowercase);
    lower.chars().all(|c| letters.next() == Some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_where_one_begins_with_it() {
        for (wanted_word, text, is_found) in [
            ("app", "prod/AppBeta/x", true),
            ("APP", "prod/appbeta", true),
            ("pro", "prod", true),
            ("prod", "prod", true),
            ("prods", "prod", false),
            ("rod", "prod", false),
            ("beta", "prod/appbeta", false),
            ("x", "prod/AppBeta/x", true),
            ("x", "", false),
            ("größe", "die Größe", true),
            ("k", "\u{212a}elvin", true),
        ] {
            assert_eq!(matches(&wanted(wanted_word), text), is_found, "{wanted_word} in {text}");
        }
    }

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
            assert_eq!(wanted(text), words, "{text}");
        }
    }
}
