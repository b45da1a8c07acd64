//! Secret values: wiped on drop, never cloned, never printed, compared in constant time.
//!
//! INVARIANT: the bytes of a value live in exactly one allocation, which is never grown, so that dropping the value
//! wipes every copy that this crate ever made of it. Only `expose` gives access; searching for it is the audit.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Text that is secret.
///
/// ```
/// use strongroom::SecretString;
///
/// let secret = SecretString::from("s3cret");
/// assert_eq!(secret.expose(), "s3cret");
/// assert_eq!(format!("{secret:?}"), "SecretString([redacted; 6 bytes])");
/// ```
pub struct SecretString(Zeroizing<String>);

/// Bytes that are secret.
///
/// ```
/// use strongroom::SecretBytes;
///
/// let secret = SecretBytes::from(vec![1, 2, 3]);
/// assert_eq!(secret.expose(), [1, 2, 3]);
/// assert_eq!(format!("{secret:?}"), "SecretBytes([redacted; 3 bytes])");
/// ```
pub struct SecretBytes(Zeroizing<Vec<u8>>);

/// The value of one version of a secret: text or bytes, as it was stored.
///
/// Two values are equal if they are of the same kind and hold the same bytes; the comparison takes the same time
/// wherever they differ.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the service has exactly these two forms")]
pub enum SecretValue {
    /// Stored as `SecretString`.
    String(SecretString),
    /// Stored as `SecretBinary`.
    Binary(SecretBytes),
}

/// Which of the two forms a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    String,
    Binary,
}

impl SecretString {
    /// The text. Keep the borrow short and do not copy it into an ordinary `String`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretBytes {
    /// The bytes. Keep the borrow short and do not copy them into an ordinary `Vec`.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl SecretValue {
    /// The bytes of the value, whichever form it has.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::String(text) => text.expose().as_bytes(),
            Self::Binary(bytes) => bytes.expose(),
        }
    }

    pub(crate) fn kind(&self) -> ValueKind {
        match self {
            Self::String(_) => ValueKind::String,
            Self::Binary(_) => ValueKind::Binary,
        }
    }

    /// Takes over a decrypted buffer without copying it. `None` if text was expected and the bytes are not UTF-8.
    pub(crate) fn from_plaintext(kind: ValueKind, mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let bytes = std::mem::take(&mut *bytes);
        match kind {
            ValueKind::Binary => Some(Self::Binary(SecretBytes(Zeroizing::new(bytes)))),
            ValueKind::String => match String::from_utf8(bytes) {
                Ok(text) => Some(Self::String(SecretString(Zeroizing::new(text)))),
                Err(not_text) => {
                    drop(Zeroizing::new(not_text.into_bytes()));
                    None
                }
            },
        }
    }

    /// The pair `(SecretString, SecretBinary)` of a response: exactly one is there.
    pub(crate) fn into_members(self) -> (Option<SecretString>, Option<SecretBytes>) {
        match self {
            Self::String(text) => (Some(text), None),
            Self::Binary(bytes) => (None, Some(bytes)),
        }
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for SecretString {}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "SecretString([redacted; {} bytes])", text.len())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = self;
        write!(f, "SecretBytes([redacted; {} bytes])", bytes.len())
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl From<String> for SecretString {
    /// Takes the buffer over; nothing is copied.
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl<const N: usize> From<&[u8; N]> for SecretBytes {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl From<Vec<u8>> for SecretBytes {
    /// Takes the buffer over; nothing is copied.
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<SecretString> for SecretValue {
    fn from(text: SecretString) -> Self {
        Self::String(text)
    }
}

impl From<&[u8]> for SecretValue {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for SecretValue {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Vec<u8>> for SecretValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<SecretBytes> for SecretValue {
    fn from(bytes: SecretBytes) -> Self {
        Self::Binary(bytes)
    }
}
