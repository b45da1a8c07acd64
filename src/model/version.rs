//! Versions of a secret, and the keys that open them.

use std::fmt;
use std::sync::Arc;

use crate::model::value::ValueKind;
use crate::time::Timestamp;

/// The id of a version: the `ClientRequestToken` that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VersionId(Arc<str>);

impl VersionId {
    /// The length is a shape constraint and has been checked.
    pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which KMS key a caller asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum KmsKeyId {
    /// The account's default key, `alias/aws/secretsmanager`.
    #[default]
    Default,
    /// A key id, key ARN, alias or alias ARN, as it was written.
    Given(String),
}

/// The alias of the default key.
pub(crate) const DEFAULT_KEY_ALIAS: &str = "alias/aws/secretsmanager";

impl KmsKeyId {
    /// An empty text and the default key's own alias both mean the default key.
    pub(crate) fn parse(text: &str) -> Self {
        if text.is_empty() || text == DEFAULT_KEY_ALIAS { Self::Default } else { Self::Given(text.to_owned()) }
    }

    /// As `DescribeSecret` shows it: absent for the default key.
    pub(crate) fn shown(&self) -> Option<&str> {
        match self {
            Self::Default => None,
            Self::Given(text) => Some(text),
        }
    }

    /// As a version list shows it.
    pub(crate) fn shown_in_version(&self) -> &str {
        self.shown().unwrap_or("DefaultEncryptionKey")
    }
}

/// Why a key opens something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum KeyRole {
    /// It is the key of the secret, or of the store.
    #[default]
    Secret,
    /// It is one of the store's recipients: it opens everything, should the others be lost.
    Recovery,
}

/// One key that a version's data key is wrapped under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyUse {
    /// As the caller wrote it when the wrap was made.
    pub(crate) requested: KmsKeyId,
    /// The provider that made the wrap.
    pub(crate) provider: Arc<str>,
    /// The key's ARN.
    pub(crate) key_arn: Arc<str>,
    /// The version of the key's material.
    pub(crate) key_version: Arc<str>,
    pub(crate) role: KeyRole,
}

/// One version, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// Counts the versions of the secret, from 1, in the order in which they were made. Never used again.
    pub(crate) number: u64,
    pub(crate) created_at: Timestamp,
    /// Midnight of the day of the last successful read.
    pub(crate) accessed_on: Option<Timestamp>,
    /// `None`: a placeholder made by rotation, without a value.
    pub(crate) content: Option<Content>,
}

/// How the value of a version is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: ValueKind,
    /// In the order of the wrapped keys in the version's record; never empty.
    pub(crate) keys: Vec<Arc<KeyUse>>,
}

impl Version {
    pub(crate) fn has_value(&self) -> bool {
        self.content.is_some()
    }
}
