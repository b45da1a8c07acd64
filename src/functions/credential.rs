//! What opens a system: the JSON document that is the value of a secret.

use std::fmt;

use crate::json::document::Document;
use crate::model::value::SecretString;
use crate::store::RotationError;

const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const HOST: &str = "host";

/// The value of a secret that is a JSON document with at least the members `username` and `password`, both texts.
///
/// Its other members say where the system is, and whatever else somebody has put there.
///
/// ```
/// use strongroom::{Credential, SecretString};
///
/// let text = r#"{"username":"app","password":"s3cret","host":"db.internal","port":5432}"#;
/// let credential = Credential::parse(SecretString::from(text))?;
/// assert_eq!((credential.username(), credential.password().expose()), ("app", "s3cret"));
/// assert_eq!(credential.member("port").unwrap().expose(), "5432");
/// assert_eq!(format!("{credential:?}"), "Credential([redacted])");
/// # Ok::<(), strongroom::RotationError>(())
/// ```
pub struct Credential {
    document: SecretString,
    username: SecretString,
    password: SecretString,
}

impl Credential {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// The text is no JSON object, a member is there twice, or `username` or `password` is missing, empty, or no text.
    pub fn parse(document: SecretString) -> Result<Self, RotationError> {
        let members = Document::parse(&document).ok_or("the value of the secret is no JSON object")?;
        let text = |name: &str| {
            let text = members.text(name).filter(|text| !text.expose().is_empty());
            text.ok_or_else(|| RotationError::new(format!("the value of the secret has no text `{name}`")))
        };
        let (username, password) = (text(USERNAME)?, text(PASSWORD)?);
        Ok(Self { document, username, password })
    }

    /// The member `username`.
    #[must_use]
    pub fn username(&self) -> &str {
        self.username.expose()
    }

    /// The member `password`.
    #[must_use]
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// Any member: its text if it is one, and otherwise as it is written in the document.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<SecretString> {
        Document::parse(&self.document)?.member(name)
    }

    /// The whole document.
    #[must_use]
    pub fn document(&self) -> &SecretString {
        &self.document
    }

    /// The same document with another password.
    pub(super) fn with_password(&self, password: &SecretString) -> Result<Self, RotationError> {
        self.with(&[(PASSWORD, password)])
    }

    /// The same document with another user.
    pub(super) fn with_user(&self, username: &SecretString, password: &SecretString) -> Result<Self, RotationError> {
        self.with(&[(USERNAME, username), (PASSWORD, password)])
    }

    fn with(&self, changes: &[(&str, &SecretString)]) -> Result<Self, RotationError> {
        let document = Document::parse(&self.document).and_then(|members| members.with(changes));
        Self::parse(document.ok_or("the value of the secret cannot be written")?)
    }

    pub(super) fn into_document(self) -> SecretString {
        self.document
    }

    /// Whether both are for the same user of the same host.
    pub(super) fn is_for_the_same_user(&self, other: &Self) -> bool {
        self.username == other.username && self.is_for_the_same_host(other)
    }

    /// Whoever may write a secret could otherwise have a login sent to a host of theirs.
    pub(super) fn is_for_the_same_host(&self, other: &Self) -> bool {
        self.member(HOST) == other.member(HOST)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_a_user_and_a_password_is_refused_without_a_word_of_it() {
        let rows = [
            "hunter2",
            "[\"hunter2\"]",
            r#"{"username":"hunter2"}"#,
            r#"{"password":"hunter2"}"#,
            r#"{"username":"hunter2","password":""}"#,
            r#"{"username":"","password":"hunter2"}"#,
            r#"{"username":"hunter2","password":7}"#,
            r#"{"username":"a","password":"hunter2","password":"hunter2"}"#,
        ];
        for text in rows {
            let error = Credential::parse(SecretString::from(text)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn another_user_or_another_host_is_noticed() {
        let parse = |text: &str| Credential::parse(SecretString::from(text)).unwrap();
        let ours = parse(r#"{"username":"a","password":"p","host":"h"}"#);
        let rows = [
            (r#"{"host":"h","username":"a","password":"q"}"#, true),
            (r#"{"username":"b","password":"p","host":"h"}"#, false),
            (r#"{"username":"a","password":"p","host":"i"}"#, false),
            (r#"{"username":"a","password":"p"}"#, false),
        ];
        for (text, expected) in rows {
            assert_eq!(ours.is_for_the_same_user(&parse(text)), expected, "{text}");
        }
    }
}
