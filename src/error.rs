//! The one public error, and how the service's codes and texts are kept apart from our own reasons.
//!
//! Owns [`Error`] and [`ErrorKind`]. Every module with failure cases of its own has a private enum and, beside it,
//! the conversion into [`Error`]; nothing converts a foreign error without saying what was being done.

use std::borrow::Cow;
use std::fmt;

use crate::policy::{Decision, Evaluation, PolicyFault, PolicyFaultReason, PolicyKind, PolicySource};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong, in the service's words and in ours.
///
/// * [`code`](Error::code) and [`message`](Error::message) are what a client of AWS Secrets Manager would see.
/// * [`kind`](Error::kind) is machine readable and says more than the service does, for example which key is disabled.
/// * `Display` is for people and logs. It never contains a secret value, a key or a token that grants access.
///
/// ```
/// use strongroom::{ErrorKind, GetSecretValueRequest, SecretStore, StaticKey};
///
/// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
/// let error = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("nope")).unwrap_err();
/// assert_eq!(error.code(), "ResourceNotFoundException");
/// assert_eq!(error.message(), "Secrets Manager can't find the specified secret.");
/// assert!(matches!(error.kind(), ErrorKind::ResourceNotFound));
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: Cow<'static, str>,
    source: Option<Source>,
}

/// Machine-readable reason of an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A member of the request breaks a constraint of the API model, or a name has illegal characters.
    Validation,
    /// A parameter, or a combination of parameters, is refused.
    InvalidParameter,
    /// The request does not fit the state of the secret.
    InvalidRequest,
    /// The page token was not issued by this store for this query.
    InvalidNextToken,
    /// No such secret, version or label.
    ResourceNotFound,
    /// The name or the token is taken.
    ResourceExists,
    /// The text is no resource policy, or names a principal in a form that is not supported.
    MalformedPolicyDocument(PolicyFault),
    /// The resource policy gives access to everybody, and the caller asked for such policies to be refused.
    PublicPolicy {
        /// The place, from 0, of the first statement that does.
        statement: usize,
    },
    /// A quota is used up.
    LimitExceeded,
    /// The key provider refuses access to the key.
    KeyAccessDenied(KeyFault),
    /// The key is named in a way in which it cannot be used, for example by the ARN of another Region.
    InvalidKey(KeyFault),
    /// The rotation function is not registered, or says that it cannot be called. Nothing was stored.
    FunctionNotInvocable {
        /// Its ARN, or the service that nobody is registered for.
        function: String,
    },
    /// Policies do not allow the call. Nothing was changed.
    AccessDenied(Box<AccessFault>),
    /// A value could not be encrypted, because of its key.
    EncryptionFailure(KeyFault),
    /// A value could not be decrypted, because of its key or because the stored bytes do not authenticate.
    DecryptionFailure(KeyFault),

    /// The key provider is slow, unreachable or failing. Trying again may help.
    KeyProviderOutage(KeyFault),
    /// The store is open elsewhere, in this process or another.
    AlreadyOpen,
    /// The directory holds no store, or files that are not ours.
    NotAStore,
    /// A store is there already although a new one was asked for.
    StoreExists,
    /// The key provider cannot open this store's root key: the key is not the one the store was made with.
    WrongKey(KeyFault),
    /// A key file is missing, damaged, open to others or cannot be written.
    KeyFile,
    /// A backup or an export is missing, damaged, cut short, or not such a file.
    BackupFile,
    /// The store was written by a newer version, or with a feature that this version does not know.
    UnsupportedFormat {
        /// The format, suite or flag value found in the file.
        found: u16,
        /// The newest value that this version can read.
        newest: u16,
    },
    /// Stored bytes are damaged, missing or do not authenticate. Nothing was changed.
    Corrupted,
    /// The records are older than what was acknowledged, or another commit stands in the place of the newest one: the
    /// storage engine lost the newest part of its files, or files of another time were put in their place. Nothing was
    /// opened for writing. A backup can be restored, and what is left can be salvaged.
    LostCommits {
        /// Number of the newest commit that is there.
        have: u64,
        /// Number of the newest commit that was acknowledged.
        expected: u64,
    },
    /// Reading or writing the store failed. After a failed write the outcome is unknown until the store is reopened.
    Storage,
    /// An earlier write failed. The store refuses all work until it is reopened.
    Poisoned,
    /// The handle was used after [`SecretStore::close`](crate::SecretStore::close).
    Closed,
    /// The source of randomness failed.
    Entropy,
    /// Other callers kept changing the same secret. Nothing was changed; trying again may help.
    Contended,
    /// The builder or the handle was given an impossible setting.
    Configuration,
    /// A store and its standby do not fit together, or one of them cannot do what was asked of it. Nothing was changed.
    Replication(ReplicationFault),
}

/// What stands between a store and its standby, or between a standby and its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicationFault {
    /// The store keeps no changes:
    /// [`SecretStore::keep_changes`](crate::SecretStore::keep_changes) makes it.
    NotKeepingChanges,
    /// The store no longer has the changes that come next, because it keeps only so many, because its root key was changed,
    /// or because it began to keep them later. A new standby has to be made.
    BeginsLater {
        /// Where the standby is.
        position: u64,
        /// The first commit from which on the store could go on.
        begins: u64,
    },
    /// A change that the store should have is missing or damaged. Its secrets are not concerned; a new standby has to be
    /// made, after [`SecretStore::stop_keeping_changes`](crate::SecretStore::stop_keeping_changes).
    LogDamaged {
        /// The commit that cannot be read.
        epoch: u64,
    },
    /// The position, the seed or the frame is of another store.
    OtherStore,
    /// The position, the seed or the frame is none, or does not authenticate: it was edited or cut.
    Damaged,
    /// The frame begins elsewhere than where the standby is: one before it is missing.
    OutOfOrder {
        /// Where the standby is.
        expected: u64,
        /// Where the frame begins.
        got: u64,
    },
    /// Frames of a copy are missing before this one.
    CopyOutOfOrder {
        /// Frames of the copy that the standby has.
        expected: u64,
        /// Frames that come before this one.
        got: u64,
    },
    /// The frame is of another copy than the one that fills, or filled, the standby.
    OtherCopy,
    /// The histories differ: since the standby was where it is, the store was made anew from a backup, or the standby was
    /// promoted. One of the two has to be given up.
    Diverged,
    /// The store is a standby, which only follows. [`SecretStore::promote`](crate::SecretStore::promote) ends that.
    IsStandby,
    /// The standby has not been filled yet, so it cannot be read or promoted.
    StillSeeding,
    /// The store is no standby.
    NotAStandby,
    /// What connects the store with its standby failed, as it said itself.
    Link,
}

/// Whom policies did not allow what, and why.
///
/// `Display` is the service's text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessFault {
    /// Who called.
    pub principal: String,
    /// The action, such as `secretsmanager:GetSecretValue`.
    pub action: String,
    /// The secret, or the function, as the request names it. `None`: the action is about none.
    pub resource: Option<String>,
    /// What the policies say.
    pub evaluation: Evaluation,
}

impl fmt::Display for AccessFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { principal, action, resource, evaluation } = self;
        write!(f, "User: {principal} is not authorized to perform: {action}")?;
        if let Some(resource) = resource {
            write!(f, " on resource: {resource}")?;
        }
        let kind = |kind: PolicyKind| match kind {
            PolicyKind::Identity => "identity-based",
            PolicyKind::Resource => "resource-based",
        };
        if evaluation.decision == Decision::ExplicitDeny {
            let by = evaluation.decided_by.first().map_or(PolicyKind::Identity, |by| match by.policy {
                PolicySource::Identity(_) => PolicyKind::Identity,
                PolicySource::Resource => PolicyKind::Resource,
            });
            return match by {
                PolicyKind::Identity => f.write_str(" with an explicit deny in an identity-based policy"),
                PolicyKind::Resource => f.write_str(" with an explicit deny in a resource-based policy"),
            };
        }
        let missing = kind(evaluation.missing.unwrap_or(PolicyKind::Identity));
        write!(f, " because no {missing} policy allows the {action} action")
    }
}

/// Which key stood in the way, why, and during what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyFault {
    /// The key's ARN, or what the caller wrote where no ARN is known yet.
    pub key: String,
    /// Why the key could not be used.
    pub reason: KeyFaultReason,
    /// What it was needed for.
    pub operation: KeyOperation,
}

impl KeyFault {
    pub(crate) fn new(key: impl Into<String>, reason: KeyFaultReason, operation: KeyOperation) -> Self {
        Self { key: key.into(), reason, operation }
    }
}

/// Why a key could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFaultReason {
    /// No such key or alias.
    NotFound,
    /// The key is disabled.
    Disabled,
    /// The key is scheduled for deletion.
    PendingDeletion,
    /// The key's material has not been imported.
    PendingImport,
    /// The provider refuses this caller.
    AccessDenied,
    /// The key cannot make data keys, for example because it is asymmetric.
    WrongUsage,
    /// The key belongs to another Region.
    WrongRegion,
    /// The wrapped key or the stored value does not authenticate under this key and context.
    Corrupt,
    /// The wrapped key is under another passphrase.
    WrongPassphrase,
    /// The wrapped key needs a function that this build does not have: the feature `passphrase`.
    Unsupported,
    /// The provider limits the request rate.
    Throttled,
    /// The provider cannot be reached.
    Unavailable,
    /// The provider did not answer in time.
    Timeout,
    /// The provider failed, or broke its contract.
    Internal,
}

/// What a key was needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOperation {
    /// Finding the key by id, ARN or alias.
    Resolve,
    /// Wrapping a data key.
    Wrap,
    /// Unwrapping a data key.
    Unwrap,
}

/// What the service tells a client of any failure on its own side.
const SERVER_SIDE: &str = "An error occurred on the server side.";

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, text: text.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The service's error code, for example `ResourceNotFoundException`.
    ///
    /// Failures that the service has no name for (storage, directory, configuration) are `InternalServiceError`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        use ErrorKind as K;
        match self.0.kind {
            K::Validation => "ValidationException",
            K::InvalidParameter => "InvalidParameterException",
            // Trying again would change nothing, which clients do when the failure is the service's.
            K::InvalidRequest | K::InvalidKey(_) | K::Replication(ReplicationFault::IsStandby) => {
                "InvalidRequestException"
            }
            K::InvalidNextToken => "InvalidNextTokenException",
            K::ResourceNotFound => "ResourceNotFoundException",
            K::ResourceExists => "ResourceExistsException",
            K::MalformedPolicyDocument(_) => "MalformedPolicyDocumentException",
            K::PublicPolicy { .. } => "PublicPolicyException",
            K::LimitExceeded => "LimitExceededException",
            K::KeyAccessDenied(_) | K::FunctionNotInvocable { .. } | K::AccessDenied(_) => "AccessDeniedException",
            K::EncryptionFailure(_) => "EncryptionFailure",
            K::DecryptionFailure(_) => "DecryptionFailure",
            K::KeyProviderOutage(_)
            | K::AlreadyOpen
            | K::NotAStore
            | K::StoreExists
            | K::WrongKey(_)
            | K::KeyFile
            | K::BackupFile
            | K::UnsupportedFormat { .. }
            | K::Corrupted
            | K::LostCommits { .. }
            | K::Storage
            | K::Poisoned
            | K::Closed
            | K::Entropy
            | K::Contended
            | K::Configuration
            | K::Replication(_) => "InternalServiceError",
        }
    }

    /// The service's text for a client. Failures that are ours read like any failure on the service's side;
    /// `Display` tells what really happened.
    #[must_use]
    pub fn message(&self) -> &str {
        if self.is_internal() { SERVER_SIDE } else { &self.0.text }
    }

    /// The machine-readable reason.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::KeyProviderOutage(_) | ErrorKind::Contended | ErrorKind::AlreadyOpen)
    }

    fn is_internal(&self) -> bool {
        self.code() == "InternalServiceError"
    }

    pub(crate) fn validation(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Validation, text)
    }

    pub(crate) fn invalid_parameter(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidParameter, text)
    }

    pub(crate) fn invalid_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidRequest, text)
    }

    pub(crate) fn limit_exceeded(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::LimitExceeded, text)
    }

    pub(crate) fn configuration(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Configuration, text)
    }

    /// What a [`ReplicationLink`](crate::ReplicationLink) of the caller's returns when it could not reach the standby.
    pub fn replication_link(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        let text = format!("the standby cannot be reached: {source}");
        Self::new(ErrorKind::Replication(ReplicationFault::Link), text).with_source(source)
    }

    pub(crate) fn replication(fault: ReplicationFault) -> Self {
        use ReplicationFault as F;
        let text: Cow<'static, str> = match fault {
            F::NotKeepingChanges => {
                "the store keeps no changes that a standby could follow: switch that on first".into()
            }
            F::BeginsLater { position, begins } => format!(
                "the standby is at commit {position}, and the store has kept its changes from commit {begins} on only: \
                 make a new standby"
            )
            .into(),
            F::LogDamaged { epoch } => format!(
                "the change that the store has kept of commit {epoch} is missing or damaged; its secrets are not \
                 concerned. Have it keep changes anew, and make a new standby"
            )
            .into(),
            F::OtherStore => "these are changes of another store, or a standby of another store".into(),
            F::Damaged => "these are no changes of a store, or they were edited or cut; nothing was changed".into(),
            F::OutOfOrder { expected, got } => format!(
                "the standby is at commit {expected}, and these changes follow commit {got}; nothing was changed"
            )
            .into(),
            F::CopyOutOfOrder { expected, got } => format!(
                "the standby has {expected} frames of the copy that fills it, and this one follows {got}; nothing was changed"
            )
            .into(),
            F::OtherCopy => "this is of another copy than the one that the standby was begun with: there were two \
                             attempts to fill it, and the newer one counts"
                .into(),
            F::Diverged => "the store and its standby have different histories: one of them was made anew from a \
                            backup, or promoted. Decide which one counts, and make a new standby of it"
                .into(),
            F::IsStandby => {
                "the store is a standby and takes changes from the store that it follows only: promote it first".into()
            }
            F::StillSeeding => "the standby has not been filled yet: let it be filled to the end first".into(),
            F::NotAStandby => "the store is no standby".into(),
            F::Link => "the standby cannot be reached".into(),
        };
        Self::new(ErrorKind::Replication(fault), text)
    }

    pub(crate) fn corrupted(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupted, text)
    }

    pub(crate) fn secret_not_found() -> Self {
        Self::new(ErrorKind::ResourceNotFound, "Secrets Manager can't find the specified secret.")
    }

    pub(crate) fn invalid_next_token() -> Self {
        Self::new(ErrorKind::InvalidNextToken, "The NextToken value is invalid.")
    }

    pub(crate) fn label_not_found(label: &str) -> Self {
        Self::new(
            ErrorKind::ResourceNotFound,
            format!("Secrets Manager can't find the specified secret value for staging label: {label}"),
        )
    }

    pub(crate) fn version_not_found(version: &str) -> Self {
        Self::new(
            ErrorKind::ResourceNotFound,
            format!("Secrets Manager can't find the specified secret value for VersionId: {version}"),
        )
    }

    pub(crate) fn no_rotation_function() -> Self {
        Self::invalid_request("No Lambda rotation function ARN is associated with this secret.")
    }

    pub(crate) fn managed_by_service() -> Self {
        Self::invalid_request("This secret is managed by an AWS service, and you must use that service to update it.")
    }

    /// The source tells what is wrong, and where.
    pub(crate) fn malformed_policy(fault: PolicyFault) -> Self {
        let text = match fault.reason {
            PolicyFaultReason::UnsupportedPrincipal => "This resource policy contains an unsupported principal.",
            PolicyFaultReason::UnsupportedServicePrincipal => {
                "This resource policy contains an invalid service principal."
            }
            _ => "This resource policy contains a syntax error.",
        };
        Self::new(ErrorKind::MalformedPolicyDocument(fault.clone()), text).with_source(fault)
    }

    pub(crate) fn public_policy(statement: usize) -> Self {
        Self::new(
            ErrorKind::PublicPolicy { statement },
            "You can't attach a resource-based policy that allows broad access to the secret.",
        )
    }

    pub(crate) fn locked_out() -> Self {
        Self::invalid_parameter("Your requested changes will not allow you to manage this secret in the future.")
    }

    pub(crate) fn marked_for_deletion() -> Self {
        Self::invalid_request("You can't perform this operation on the secret because it was marked for deletion.")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_internal() { f.write_str(&self.0.text) } else { write!(f, "{}: {}", self.code(), self.0.text) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, text, source } = &*self.0;
        f.debug_struct("Error").field("kind", kind).field("text", text).field("source", source).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
