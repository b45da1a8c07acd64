//! What the command says, and which code it exits with, when it cannot do what was asked.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use strongroom::{BackendError, Error, ErrorKind, KeyFaultReason, ReplicationFault};

use crate::output::shown;

/// Exit codes. 0 is success, and 2 is the argument parser's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Other = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    Invalid = 5,
    Key = 6,
    InUse = 7,
    Damaged = 8,
    Rotation = 9,
    Denied = 10,
}

/// The same as text, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  success
   1  another failure
   2  wrong usage
   3  there is no such secret, version, policy, store or file
   4  it exists already, or its state does not allow this
   5  the request, or a policy, is invalid
   6  a key is missing, wrong, or cannot be used
   7  the store is open in another process
   8  the store, a backup or an export is damaged, or newer than this version
   9  a rotation function cannot be called, or failed
  10  policies do not allow it";

/// What to do about a damaged store.
pub(crate) const DAMAGED: &str = "`strongroom verify` says what is wrong; `strongroom restore-backup` makes a new store \
    from a backup, `strongroom salvage` one from what can still be read; `strongroom keys restore-header` puts a copy of the \
    header back";

/// What to do about a function that is not there.
const NO_FUNCTION: &str = "--rotation-command [ARN=]PROGRAM or --lambda-endpoint URL says who does its work; a program \
    that opens the store through the library registers functions of its own";

#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Something else to do about it, if there was anything.
    pub(crate) fn hint_instead(self, hint: &str) -> Self {
        Self { hint: self.hint.map(|_| hint.to_owned()), ..self }
    }

    /// The same with another exit code.
    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// What failed, in front of why.
    pub(crate) fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn report(&self) -> ExitCode {
        // Nobody is left to be told if this fails.
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: {}", shown(&shortened(&self.message)));
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "hint: {}", shown(hint));
        }
        ExitCode::from(self.code as u8)
    }
}

/// Characters at the beginning and at the end of a message that are printed: what was refused may be long.
const HEAD_CHARS: usize = 1_500;
const TAIL_CHARS: usize = 500;

fn shortened(message: &str) -> Cow<'_, str> {
    let count = message.chars().count();
    if count <= HEAD_CHARS + TAIL_CHARS {
        return Cow::Borrowed(message);
    }
    let head: String = message.chars().take(HEAD_CHARS).collect();
    let tail: String = message.chars().skip(count - TAIL_CHARS).collect();
    Cow::Owned(format!("{head} … {tail}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Whether the storage engine gave up on its files, and not the system on the storage engine.
fn is_of_the_engine(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    matches!(source, Some(BackendError::Engine { .. } | BackendError::Panicked { .. }))
}

fn hint_for_state(reason: KeyFaultReason) -> Option<&'static str> {
    match reason {
        KeyFaultReason::Disabled => Some("`strongroom keys enable KEY`, if it is a key of a keyring"),
        KeyFaultReason::PendingDeletion => {
            Some("`strongroom keys cancel-deletion KEY`, and then `keys enable KEY`, if it is a key of a keyring")
        }
        _ => None,
    }
}

/// What to do about a store and a standby that do not fit together.
fn of_replication(fault: ReplicationFault) -> (Code, Option<&'static str>) {
    use ReplicationFault as F;
    match fault {
        F::BeginsLater { .. } => (
            Code::Conflict,
            Some(
                "move the directory of the standby away, and `strongroom replicate` makes a new one; --keep says for how many \
                 commits a standby may be away",
            ),
        ),
        F::LogDamaged { .. } => (
            Code::Damaged,
            Some(
                "`strongroom standby forget`; then move the directory of the standby away, and `strongroom replicate` makes a \
                 new one",
            ),
        ),
        F::OtherStore => (Code::Conflict, Some("every standby has a directory of its own: give another one")),
        F::Diverged => (
            Code::Conflict,
            Some(
                "move the directory of the one that does not count away, and `strongroom replicate` makes a standby anew",
            ),
        ),
        F::IsStandby => (
            Code::Conflict,
            Some("`strongroom standby promote STANDBY` makes it a store like any other, if the other one is lost"),
        ),
        F::StillSeeding => (Code::Conflict, Some("`strongroom replicate` fills it")),
        F::NotAStandby => (
            Code::Conflict,
            Some("a standby is made by `strongroom replicate`, in a directory that holds no store: give another one"),
        ),
        F::Damaged => (Code::Damaged, None),
        F::NotKeepingChanges | F::OutOfOrder { .. } | F::OtherCopy | F::CopyOutOfOrder { .. } => (Code::Conflict, None),
        _ => (Code::Other, None),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use ErrorKind as K;
        let (code, hint) = match error.kind() {
            K::ResourceNotFound => (Code::NotFound, None),
            K::ResourceExists | K::InvalidRequest | K::StoreExists => (Code::Conflict, None),
            K::Validation | K::InvalidParameter | K::InvalidNextToken | K::LimitExceeded => (Code::Invalid, None),
            K::MalformedPolicyDocument(_) => (Code::Invalid, None),
            K::PublicPolicy { .. } => {
                (Code::Invalid, Some("name whom it is for, or give it a condition on where they come from"))
            }
            K::AccessDenied(_) => (Code::Denied, None),
            K::KeyAccessDenied(_) => {
                let hint = "`strongroom keys list` shows the keys of a keyring, `keys create --alias` makes one; a recovery key \
                            in a file of its own needs --also-key-file alias/NAME=FILE";
                (Code::Key, Some(hint))
            }
            K::FunctionNotInvocable { .. } => (Code::Rotation, Some(NO_FUNCTION)),
            K::EncryptionFailure(fault) | K::DecryptionFailure(fault) => (Code::Key, hint_for_state(fault.reason)),
            K::InvalidKey(_) | K::KeyProviderOutage(_) => (Code::Key, None),
            K::KeyFile => (Code::Key, None),
            K::Replication(fault) => of_replication(*fault),
            K::WrongKey(fault) if fault.reason == KeyFaultReason::WrongPassphrase => {
                (Code::Key, Some("give the passphrase with which the store was made, or to which it was changed"))
            }
            K::WrongKey(_) => {
                (Code::Key, Some("give the key file, keyring or passphrase with which the store was made"))
            }
            K::NotAStore => (Code::NotFound, None),
            K::Configuration => (Code::Usage, None),
            K::AlreadyOpen => (
                Code::InUse,
                Some("one process at a time: stop the server or the other command, or speak to the server"),
            ),
            K::Corrupted | K::LostCommits { .. } => (Code::Damaged, Some(DAMAGED)),
            K::Storage if is_of_the_engine(&error) => (Code::Damaged, Some(DAMAGED)),
            K::BackupFile | K::UnsupportedFormat { .. } => (Code::Damaged, None),
            _ => (Code::Other, None),
        };
        let message = match error.kind() {
            // Their texts say so themselves, or say that it is something else.
            K::WrongKey(fault)
                if matches!(fault.reason, KeyFaultReason::WrongPassphrase | KeyFaultReason::Unsupported) =>
            {
                error.to_string()
            }
            K::WrongKey(_) => format!("this is not the key of the store, or not the passphrase: {error}"),
            K::KeyAccessDenied(fault) | K::EncryptionFailure(fault) | K::DecryptionFailure(fault) => {
                match std::error::Error::source(&error) {
                    Some(why) => format!("{error} (key `{}`: {why})", fault.key),
                    None => format!("{error} (key `{}`)", fault.key),
                }
            }
            K::FunctionNotInvocable { function } => format!("{error} (`{function}`)"),
            K::MalformedPolicyDocument(fault) => format!("{error} ({fault})"),
            K::PublicPolicy { statement } => format!("{error} (statement {})", statement + 1),
            _ => error.to_string(),
        };
        let failure = Self::new(code, message);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Code::Other, error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}
