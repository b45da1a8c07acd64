//! Secret values that are JSON documents: their members as they are written, and copies with some of them replaced.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{RawValue, Zeroizing, from_line, to_bytes, unescape};
use crate::model::value::{SecretString, SecretValue, ValueKind};

/// The members of an object, in order. Their values are borrowed from the text and never copied by the parser.
#[derive(Debug)]
pub(crate) struct Document<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Document<'a> {
    /// `None` unless the text is one object in which no member is there twice.
    pub(crate) fn parse(text: &'a SecretString) -> Option<Self> {
        from_line(text.expose()).ok()
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// The text of a member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<SecretString> {
        let quoted = self.raw(name)?.strip_prefix('"')?.strip_suffix('"')?;
        unescape(quoted).map(|mut text| SecretString::from(std::mem::take(&mut *text)))
    }

    /// The text of a member that is a text, and any other member as it is written.
    pub(crate) fn member(&self, name: &str) -> Option<SecretString> {
        let raw = self.raw(name)?;
        if raw.starts_with('"') { self.text(name) } else { Some(SecretString::from(raw)) }
    }

    /// The same document with other texts for some of its members. All others stay as they are written, in their order.
    pub(crate) fn with(&self, changes: &[(&str, &SecretString)]) -> Option<SecretString> {
        let mut bytes: Zeroizing<Vec<u8>> = to_bytes(&Changed { members: &self.0, changes }).ok()?;
        match SecretValue::from_plaintext(ValueKind::String, Zeroizing::new(std::mem::take(&mut *bytes)))? {
            SecretValue::String(text) => Some(text),
            SecretValue::Binary(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document<'de>, A::Error> {
        let (mut found, mut names) = (Vec::new(), BTreeSet::new());
        while let Some((name, value)) = members.next_entry::<String, &'de RawValue>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a member is there twice"));
            }
            found.push((name, value));
        }
        Ok(Document(found))
    }
}

struct Changed<'a> {
    members: &'a [(String, &'a RawValue)],
    changes: &'a [(&'a str, &'a SecretString)],
}

impl Serialize for Changed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { members, changes } = self;
        let mut object = serializer.serialize_map(Some(members.len()))?;
        for (name, value) in *members {
            match changes.iter().find(|(changed, _)| changed == name) {
                Some((_, text)) => object.serialize_entry(name, text)?,
                None => object.serialize_entry(name, value)?,
            }
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_not_replaced_stay_as_they_are_written() {
        let rows = [
            (r#"{"password":"old"}"#, r#"{"password":"n\"e\\w"}"#),
            (
                r#"{"z": 1.50, "password": "old", "a": {"y": [1, 2], "b": "\u00e9"}}"#,
                r#"{"z":1.50,"password":"n\"e\\w","a":{"y": [1, 2], "b": "\u00e9"}}"#,
            ),
            ("{ \"n\": null,\n \"passw\\u006frd\": \"\" }", r#"{"n":null,"password":"n\"e\\w"}"#),
            (r#"{"Password":"old"}"#, r#"{"Password":"old"}"#),
            ("{}", "{}"),
        ];
        for (old, new) in rows {
            let old = SecretString::from(old);
            let document = Document::parse(&old).unwrap();
            let changed = document.with(&[("password", &SecretString::from("n\"e\\w"))]).unwrap();
            assert_eq!(changed.expose(), new);
        }
    }

    #[test]
    fn only_an_object_without_doubles_is_a_document() {
        for text in ["", "x", "1", "null", "[]", "\"{}\"", "{", "{}}", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(Document::parse(&SecretString::from(text)).is_none(), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(Document::parse(&SecretString::from(deep)).is_none_or(|document| document.member("a").is_some()));
    }

    #[test]
    fn a_member_is_given_as_text_or_as_it_is_written() {
        let text = SecretString::from(r#"{"a":"x\ny","b":5432,"c":{"d":1},"e":null,"f":"\ud800"}"#);
        let document = Document::parse(&text).unwrap();
        let rows = [
            ("a", Some("x\ny")),
            ("b", Some("5432")),
            ("c", Some("{\"d\":1}")),
            ("e", Some("null")),
            ("f", None),
            ("g", None),
        ];
        for (name, expected) in rows {
            let found = document.member(name);
            assert_eq!(found.as_ref().map(SecretString::expose), expected, "{name}");
        }
        assert!(document.text("b").is_none());
    }
}
