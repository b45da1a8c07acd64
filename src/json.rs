//! Feature `json`: how the types of the API are read from and written as its JSON.
//!
//! Values of secrets never pass through the parser's own buffers, which are not wiped: the parser hands over the text of
//! such a member as it stands in the body, and it is decoded here, into one allocation of the right size.

pub(crate) mod document;
pub(crate) mod lines;
mod replication;
mod rotation;

use std::fmt;
use std::io;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::model::value::{SecretBytes, SecretString};
use crate::time::Timestamp;

/// A structure that is written as an object, or a text. What `serde` derives for a structure would also take a list of
/// its members in order, which the API does not.
pub(crate) struct Exact<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExactVisitor(PhantomData)).map(Self)
    }
}

struct ExactVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ExactVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::deserialize(StrDeserializer::new(text))
    }
}

/// A list, absent if it is `null`.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let entries = Option::<Vec<Exact<T>>>::deserialize(deserializer)?;
    Ok(entries.map(|entries| entries.into_iter().map(|Exact(entry)| entry).collect()))
}

/// A structure, absent if it is `null`.
pub(crate) fn structure<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Exact<T>>::deserialize(deserializer)?.map(|Exact(structure)| structure))
}

/// What is empty if it is `null`.
pub(crate) fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Seconds since 1970, with milliseconds as a fraction.
pub(crate) fn date<S: Serializer>(date: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = date.timestamp_millis();
    match millis.rem_euclid(1000) {
        0 => serializer.serialize_i64(millis / 1000),
        // Every millisecond of the calendar is exact in a double.
        _ => serializer.serialize_f64(millis as f64 / 1000.0),
    }
}

pub(crate) fn optional_date<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => date(at, serializer),
        None => serializer.serialize_none(),
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        secret_text(deserializer).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(secret_text(deserializer)?);
        let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
        let length = STANDARD.decode_slice(text.as_bytes(), &mut bytes).map_err(|_| D::Error::custom("not base64"))?;
        bytes.truncate(length);
        Ok(Self::from(std::mem::take(&mut *bytes)))
    }
}

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.expose();
        let mut text =
            Zeroizing::new(String::with_capacity(base64::encoded_len(bytes.len(), true).unwrap_or_default()));
        STANDARD.encode_string(bytes, &mut text);
        serializer.serialize_str(&text)
    }
}

/// The text of a string member, taken from the body as it stands there.
fn secret_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = Zeroizing::new(Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?));
    let quoted = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted else { return Err(D::Error::custom("not a text")) };
    unescape(quoted).map(|mut text| std::mem::take(&mut *text)).ok_or_else(|| D::Error::custom("not Unicode"))
}

/// Decodes the inside of a JSON string that the parser has found well-formed. `None` for half of a surrogate pair.
fn unescape(quoted: &str) -> Option<Zeroizing<String>> {
    // No escape is shorter than what it stands for, so the text never grows.
    let mut text = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut rest = quoted;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let mut characters = escape.chars();
        text.push(match characters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, behind) = unicode_escape(characters.as_str())?;
                characters = behind.chars();
                character
            }
            itself => itself,
        });
        rest = characters.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The character behind `\u`, which may be the first half of a pair, and what follows it.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let (first, rest) = hexadecimal(text)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = hexadecimal(rest.strip_prefix("\\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

fn hexadecimal(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    u16::from_str_radix(digits, 16).ok().map(|number| (number, rest))
}

/// Why a text could not be read. Says nothing of what is in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Whether it is JSON, and a member is not what it should be.
    pub(crate) is_data: bool,
    pub(crate) column: usize,
}

/// Reads an object from a text of one line.
pub(crate) fn from_line<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Unread> {
    match serde_json::from_str(line) {
        Ok(Exact(content)) => Ok(content),
        Err(error) => Err(Unread { is_data: error.is_data(), column: error.column() }),
    }
}

/// Writes into a buffer that wipes itself.
pub(crate) fn to_bytes(content: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = WipedBuffer::default();
    serde_json::to_writer(&mut buffer, content)?;
    Ok(buffer.0)
}

/// Grows like a `Vec` and leaves no copy behind when it does.
#[derive(Debug, Default)]
pub(crate) struct WipedBuffer(pub(crate) Zeroizing<Vec<u8>>);

impl io::Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(512).saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            std::mem::swap(&mut self.0, &mut larger);
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millis;

    #[test]
    fn a_secret_text_is_decoded_as_the_parser_decodes_any_text() {
        let texts = [
            r#""""#,
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20ac\ud83d\ude00""#,
            r#""a\u0000b""#,
            "\"\u{e9}\u{20ac}\u{1f600}\"",
            r#"  "around"  "#,
        ];
        for text in texts {
            let expected: String = serde_json::from_str(text).unwrap();
            let found: SecretString = serde_json::from_str(text).unwrap();
            assert_eq!(found.expose(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_text_is_refused_without_showing_it() {
        let texts = [
            "31337",
            "true",
            "[31337]",
            r#"{"a":31337}"#,
            r#""31337\ud800""#,
            r#""31337\ud800\u0041""#,
            r#""\udc00 31337""#,
            r#""31337\x""#,
            r#""31337\u12""#,
            r#""31337"#,
            "null",
            "",
        ];
        for text in texts {
            let error = serde_json::from_str::<SecretString>(text).unwrap_err().to_string();
            assert!(!error.contains("31337"), "{text}: {error}");
        }
        for text in [r#""MTIzNDU""#, r#""MTIz NDU=""#, r#""-_-_""#, "31337"] {
            let error = serde_json::from_str::<SecretBytes>(text).unwrap_err().to_string();
            assert!(!error.contains("31337") && !error.contains("MTI"), "{text}: {error}");
        }
    }

    #[test]
    fn bytes_are_base64_also_with_escapes() {
        for (text, bytes) in
            [(r#""""#, ""), (r#""Zm9vdGVzdA==""#, "footest"), (r#""Zm9vdGVzdA\u003d\u003d""#, "footest")]
        {
            assert_eq!(serde_json::from_str::<SecretBytes>(text).unwrap().expose(), bytes.as_bytes());
        }
        assert_eq!(serde_json::to_string(&SecretBytes::from(b"footest")).unwrap(), r#""Zm9vdGVzdA==""#);
    }

    #[test]
    fn dates_are_seconds_with_milliseconds_as_a_fraction() {
        struct Date(i64);
        impl Serialize for Date {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                date(&from_millis(self.0), serializer)
            }
        }
        let rows = [
            (1_523_477_145_713, "1523477145.713"),
            (1_523_477_145_700, "1523477145.7"),
            (1_523_477_145_000, "1523477145"),
            (0, "0"),
            (1, "0.001"),
            (-1, "-0.001"),
            (-1000, "-1"),
            (253_402_300_799_999, "253402300799.999"),
        ];
        for (millis, text) in rows {
            assert_eq!(serde_json::to_string(&Date(millis)).unwrap(), text);
        }
    }
}
