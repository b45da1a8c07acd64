//! What a function outside this process is sent, and what is kept of its complaints.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::json::to_bytes;
use crate::model::value::SecretString;
use crate::store::{RotationCall, RotationError};

/// Characters of a complaint that are kept.
const REASON_CHARS_MAX: usize = 1024;

/// The event of the service.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    step: &'static str,
    secret_id: &'a str,
    client_request_token: &'a str,
    rotation_token: &'a SecretString,
}

/// The event of a call as JSON.
pub(super) fn event(call: &RotationCall) -> Result<Zeroizing<Vec<u8>>, RotationError> {
    let event = Event {
        step: call.step.as_str(),
        secret_id: &call.secret_id,
        client_request_token: &call.client_request_token,
        rotation_token: &call.rotation_token,
    };
    to_bytes(&event).map_err(|_| "the event cannot be written".into())
}

/// A text from outside that is fit for logs: in one line, without control characters, and not too long.
pub(super) fn cleaned(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut cleaned = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.extend(word.chars().filter(|c| !is_invisible(*c)));
    }
    cleaned.chars().take(REASON_CHARS_MAX).collect()
}

/// Characters that change how a line looks without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_becomes_one_bounded_line_without_control_characters() {
        let rows: [(&[u8], &str); 7] = [
            (b"", ""),
            (b" \n\t\0", ""),
            (b"no such user\n", "no such user"),
            (b"one\r\n  two\x1b[31mthree", "one two [31mthree"),
            (b"a\xffb", "a\u{fffd}b"),
            ("\u{202e}gnorw\u{feff}".as_bytes(), "gnorw"),
            ("gr\u{fc}n \u{1f600}".as_bytes(), "gr\u{fc}n \u{1f600}"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(cleaned(bytes), expected);
        }
        for long in ["x".repeat(5000), "x ".repeat(5000), "\u{1f600}".repeat(5000)] {
            let length = cleaned(long.as_bytes()).chars().count();
            assert!((1000..=REASON_CHARS_MAX).contains(&length), "{length}");
        }
    }
}
