//! Requests in plain words, made for both sides: the engine gets them translated, the reference model as they are.
//!
//! A text of the form `<…>` stands for something that is known only when the request is made, such as the ARN of a
//! secret. [`crate::resolve`] replaces it.

use std::fmt;

pub(crate) type Tags = Vec<(String, String)>;

/// Bytes that print in short.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0..=16 => write!(f, "{:?}", self.0),
            length => write!(f, "[{length} bytes]"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) key: Option<String>,
    pub(crate) values: Vec<String>,
}

/// A value as a request gives it: any of the forms, both or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) string: Option<String>,
    pub(crate) binary: Option<Bytes>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Password {
    pub(crate) length: Option<i64>,
    pub(crate) exclude: Option<String>,
    pub(crate) no_numbers: Option<bool>,
    pub(crate) no_punctuation: Option<bool>,
    pub(crate) no_uppercase: Option<bool>,
    pub(crate) no_lowercase: Option<bool>,
    pub(crate) space: Option<bool>,
    pub(crate) each: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) planned: Option<bool>,
    pub(crate) filters: Option<Vec<Filter>>,
    pub(crate) sort_by: Option<String>,
    pub(crate) order: Option<String>,
    pub(crate) max: Option<i32>,
    pub(crate) next: Option<String>,
}

/// What creating and updating a secret share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) token: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) kind: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    CreateSecret {
        name: String,
        value: Given,
        metadata: Metadata,
        tags: Option<Tags>,
    },
    GetSecretValue {
        id: String,
        version: Option<String>,
        stage: Option<String>,
    },
    BatchGetSecretValue {
        ids: Option<Vec<String>>,
        filters: Option<Vec<Filter>>,
        max: Option<i32>,
        next: Option<String>,
    },
    PutSecretValue {
        id: String,
        token: Option<String>,
        value: Given,
        stages: Option<Vec<String>>,
        rotation_token: Option<String>,
    },
    UpdateSecret {
        id: String,
        value: Given,
        metadata: Metadata,
    },
    UpdateSecretVersionStage {
        id: String,
        stage: String,
        from: Option<String>,
        to: Option<String>,
    },
    DescribeSecret {
        id: String,
    },
    ListSecrets(Listing),
    ListSecretVersionIds {
        id: String,
        max: Option<i32>,
        next: Option<String>,
        deprecated: Option<bool>,
    },
    DeleteSecret {
        id: String,
        days: Option<i64>,
        force: Option<bool>,
    },
    RestoreSecret {
        id: String,
    },
    TagResource {
        id: String,
        tags: Tags,
    },
    UntagResource {
        id: String,
        keys: Vec<String>,
    },
    GetRandomPassword(Password),
    RotateSecret {
        id: String,
        token: Option<String>,
        function: Option<String>,
        days: Option<i64>,
        immediately: Option<bool>,
    },
    CancelRotateSecret {
        id: String,
    },
    PutResourcePolicy {
        id: String,
        policy: String,
        name: Option<String>,
        block: Option<bool>,
    },
    GetResourcePolicy {
        id: String,
        name: Option<String>,
    },
    DeleteResourcePolicy {
        id: String,
        name: Option<String>,
    },
    ListResourcePolicies {
        id: String,
        max: Option<i32>,
        next: Option<String>,
    },
    ValidateResourcePolicy {
        id: Option<String>,
        policy: String,
    },
}

/// The operations, in the order in which they are reported.
pub(crate) const OPERATIONS: [&str; 21] = [
    "CreateSecret",
    "GetSecretValue",
    "BatchGetSecretValue",
    "PutSecretValue",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "DescribeSecret",
    "ListSecrets",
    "ListSecretVersionIds",
    "DeleteSecret",
    "RestoreSecret",
    "TagResource",
    "UntagResource",
    "GetRandomPassword",
    "RotateSecret",
    "CancelRotateSecret",
    "PutResourcePolicy",
    "GetResourcePolicy",
    "DeleteResourcePolicy",
    "ListResourcePolicies",
    "ValidateResourcePolicy",
];

impl Request {
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::CreateSecret { .. } => "CreateSecret",
            Self::GetSecretValue { .. } => "GetSecretValue",
            Self::BatchGetSecretValue { .. } => "BatchGetSecretValue",
            Self::PutSecretValue { .. } => "PutSecretValue",
            Self::UpdateSecret { .. } => "UpdateSecret",
            Self::UpdateSecretVersionStage { .. } => "UpdateSecretVersionStage",
            Self::DescribeSecret { .. } => "DescribeSecret",
            Self::ListSecrets(_) => "ListSecrets",
            Self::ListSecretVersionIds { .. } => "ListSecretVersionIds",
            Self::DeleteSecret { .. } => "DeleteSecret",
            Self::RestoreSecret { .. } => "RestoreSecret",
            Self::TagResource { .. } => "TagResource",
            Self::UntagResource { .. } => "UntagResource",
            Self::GetRandomPassword(_) => "GetRandomPassword",
            Self::RotateSecret { .. } => "RotateSecret",
            Self::CancelRotateSecret { .. } => "CancelRotateSecret",
            Self::PutResourcePolicy { .. } => "PutResourcePolicy",
            Self::GetResourcePolicy { .. } => "GetResourcePolicy",
            Self::DeleteResourcePolicy { .. } => "DeleteResourcePolicy",
            Self::ListResourcePolicies { .. } => "ListResourcePolicies",
            Self::ValidateResourcePolicy { .. } => "ValidateResourcePolicy",
        }
    }

    /// The secret that is spoken of, where there is exactly one.
    pub(crate) fn id_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::CreateSecret { name: id, .. }
            | Self::GetSecretValue { id, .. }
            | Self::PutSecretValue { id, .. }
            | Self::UpdateSecret { id, .. }
            | Self::UpdateSecretVersionStage { id, .. }
            | Self::DescribeSecret { id }
            | Self::ListSecretVersionIds { id, .. }
            | Self::DeleteSecret { id, .. }
            | Self::RestoreSecret { id }
            | Self::RotateSecret { id, .. }
            | Self::CancelRotateSecret { id }
            | Self::PutResourcePolicy { id, .. }
            | Self::GetResourcePolicy { id, .. }
            | Self::DeleteResourcePolicy { id, .. }
            | Self::ListResourcePolicies { id, .. }
            | Self::TagResource { id, .. }
            | Self::UntagResource { id, .. } => Some(id),
            Self::ValidateResourcePolicy { id, .. } => id.as_mut(),
            Self::BatchGetSecretValue { .. } | Self::ListSecrets(_) | Self::GetRandomPassword(_) => None,
        }
    }

    /// Members that name a version, or will.
    pub(crate) fn version_ids_mut(&mut self) -> Vec<&mut Option<String>> {
        match self {
            Self::CreateSecret { metadata, .. } | Self::UpdateSecret { metadata, .. } => vec![&mut metadata.token],
            Self::PutSecretValue { token, .. } | Self::RotateSecret { token, .. } => vec![token],
            Self::GetSecretValue { version, .. } => vec![version],
            Self::UpdateSecretVersionStage { from, to, .. } => vec![from, to],
            _ => Vec::new(),
        }
    }

    /// Members that name a label that a version has.
    pub(crate) fn label_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::GetSecretValue { stage, .. } => stage.as_mut(),
            Self::UpdateSecretVersionStage { stage, .. } => Some(stage),
            _ => None,
        }
    }

    /// The page token.
    pub(crate) fn next_mut(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::ListSecrets(Listing { next, .. })
            | Self::BatchGetSecretValue { next, .. }
            | Self::ListSecretVersionIds { next, .. }
            | Self::ListResourcePolicies { next, .. } => Some(next),
            _ => None,
        }
    }
}

/// Leaves out absent members, and shortens long runs of one character.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortened(&without_absent(format!("{self:?}"))))
    }
}

fn without_absent(mut text: String) -> String {
    while let Some(at) = text.find(": None") {
        let from = text[..at].rfind([' ', '{']).map_or(0, |space| space + 1);
        let end = at + ": None".len();
        let end = if text[end..].starts_with(", ") { end + 2 } else { end };
        text.replace_range(from..end, "");
    }
    text
}

/// Replaces runs of one character by the character and their length.
pub(crate) fn shortened(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut run = 1;
        while chars.next_if_eq(&c).is_some() {
            run += 1;
        }
        if run > 40 {
            out.push_str(&format!("{c}(×{run})"));
        } else {
            out.extend(std::iter::repeat_n(c, run));
        }
    }
    out
}
