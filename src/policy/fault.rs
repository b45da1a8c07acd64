//! What is wrong with a policy document, and where.

use std::fmt;

/// Why a policy document was refused, and the place in its text.
///
/// ```
/// use strongroom::{PolicyFaultReason, ResourcePolicy};
///
/// let text = "{\"Statement\": {\n  \"Effect\": \"Permit\", \"Principal\": \"*\", \"Action\": \"*\", \"Resource\": \"*\"}}";
/// let fault = ResourcePolicy::parse(text).unwrap_err();
/// assert_eq!(fault.reason, PolicyFaultReason::InvalidEffect);
/// assert_eq!((fault.line, fault.column, fault.path.as_str()), (2, 13, "Statement.Effect"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyFault {
    /// What is wrong.
    pub reason: PolicyFaultReason,
    /// The line in the document, from 1.
    pub line: usize,
    /// The column in the line, in characters, from 1.
    pub column: usize,
    /// The element, such as `Statement[2].Condition.IpAddress.aws:SourceIp`. Empty for the document as a whole.
    pub path: String,
}

/// What is wrong with a policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyFaultReason {
    /// More than 20,480 characters.
    TooLong,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Text that is not JSON.
    NotJson,
    /// Lists and objects are nested more deeply than any policy needs.
    TooDeep,
    /// An object has a member twice.
    DuplicateMember,
    /// There is no such element.
    UnknownElement,
    /// A required element is missing.
    MissingElement,
    /// An element that is used together with its opposite, such as `Action` with `NotAction`.
    ConflictingElements,
    /// An element of the wrong JSON type.
    WrongType,
    /// A list or an object without members where something is needed.
    Empty,
    /// A `Version` other than `2008-10-17` and `2012-10-17`.
    InvalidVersion,
    /// An `Effect` other than `Allow` and `Deny`.
    InvalidEffect,
    /// A `Sid` that another statement has too.
    DuplicateSid,
    /// An action that is neither `*` nor of the form `service:name`.
    InvalidAction,
    /// A resource that is neither `*` nor an ARN.
    InvalidResource,
    /// A `Principal` in an identity policy.
    PrincipalNotAllowed,
    /// `NotPrincipal` in a statement that allows.
    NotPrincipalNotAllowed,
    /// No such condition operator.
    InvalidOperator,
    /// A condition key without the prefix of a service.
    InvalidConditionKey,
    /// A value that is no number, date, truth value, address or base64, as its operator needs.
    InvalidValue,
    /// A policy variable that is not closed, or is used where variables have no meaning.
    InvalidVariable,
    /// A principal of a form that is not supported, such as an ARN with a wildcard, a group or a unique id.
    UnsupportedPrincipal,
    /// The name of a service principal has not the form of one.
    UnsupportedServicePrincipal,
}

impl PolicyFaultReason {
    fn text(self) -> &'static str {
        match self {
            Self::TooLong => "the document has more than 20480 characters",
            Self::NotUtf8 => "the bytes are not UTF-8",
            Self::NotJson => "the text is not JSON",
            Self::TooDeep => "the nesting is too deep",
            Self::DuplicateMember => "the member is there twice",
            Self::UnknownElement => "there is no such element",
            Self::MissingElement => "a required element is missing",
            Self::ConflictingElements => "the element and its opposite exclude each other",
            Self::WrongType => "the element has the wrong type",
            Self::Empty => "the element is empty",
            Self::InvalidVersion => "the version is neither 2008-10-17 nor 2012-10-17",
            Self::InvalidEffect => "the effect is neither Allow nor Deny",
            Self::DuplicateSid => "another statement has the same Sid",
            Self::InvalidAction => "the action is neither * nor of the form service:name",
            Self::InvalidResource => "the resource is neither * nor an ARN",
            Self::PrincipalNotAllowed => "an identity policy names no principal",
            Self::NotPrincipalNotAllowed => "NotPrincipal needs the effect Deny",
            Self::InvalidOperator => "there is no such condition operator",
            Self::InvalidConditionKey => "a condition key has the form service:name",
            Self::InvalidValue => "the value does not fit the condition operator",
            Self::InvalidVariable => "the policy variable cannot be read, or has no meaning here",
            Self::UnsupportedPrincipal => "the principal is not supported",
            Self::UnsupportedServicePrincipal => "the service principal is not supported",
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, ", {}", self.path.escape_debug())?;
        }
        write!(f, ": {}", self.reason.text())
    }
}

impl std::error::Error for PolicyFault {}

/// A fault whose place is still an offset into the text.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) reason: PolicyFaultReason,
    pub(super) offset: usize,
    /// The steps to the element, innermost first.
    path: Vec<String>,
}

impl Found {
    pub(super) fn new(reason: PolicyFaultReason, offset: usize) -> Self {
        Self { reason, offset, path: Vec::new() }
    }

    /// The same, inside a member of an object.
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.path.push(format!(".{}", name.chars().take(PATH_CHARS_MAX).collect::<String>()));
        self
    }

    /// The same, inside an element of a list.
    pub(super) fn at(mut self, index: usize) -> Self {
        self.path.push(format!("[{index}]"));
        self
    }

    pub(super) fn locate(self, text: &str) -> PolicyFault {
        let (line, column) = position(text, self.offset);
        let path: String = self.path.into_iter().rev().collect();
        let path = path.strip_prefix('.').map(str::to_owned).unwrap_or(path);
        PolicyFault { reason: self.reason, line, column, path }
    }
}

/// How much of a name is shown in a path.
const PATH_CHARS_MAX: usize = 128;

/// Line and column of an offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The fault of bytes that are not UTF-8.
pub(super) fn not_utf8(bytes: &[u8], valid: usize) -> PolicyFault {
    let text = bytes.get(..valid).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
    Found::new(PolicyFaultReason::NotUtf8, text.len()).locate(text)
}
