//! One key in the keyring of the operating system (feature `os-keyring`). The only file that names `keyring_core`.
//!
//! The entry has the text of a key file, with another beginning, so that an entry is either what was written or refused.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use keyring_core::Entry;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, OsEntropy, random_uuid};
use crate::envelope::key_file::{FORMAT, Unreadable, decode, encode};
use crate::envelope::local::OnlyKey;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::SealingKey;
use crate::error::{Error, ErrorKind, Result};

const ID: &str = "os-keyring";

const MAGIC: &str = "strongroom-os-keyring ";

/// Longest entry that is read: what the Credential Manager of Windows holds. One of format 1 has 205 bytes.
const ENTRY_BYTES_MAX: usize = 2560;

/// Keyrings cannot make an entry only if there is none, so within a process one is made at a time.
static CREATING: Mutex<()> = Mutex::new(());

/// A [`KeyProvider`] with a single key of 32 bytes, kept in the keyring of the operating system (feature `os-keyring`):
/// the Keychain of macOS, the Credential Manager of Windows, the Secret Service of a Linux desktop, and others.
///
/// The keyring holds this one key and no secrets of the store. Every key id, ARN and alias is accepted and stands for the
/// same key, and keys have no states, as with [`StaticKey`](crate::StaticKey). What was wrapped names the id that the entry
/// gives its key, which is also the version of the key, so that another key is told apart from damage.
///
/// The application chooses the keyring: it adds one of the crates that implement `keyring_core::api::CredentialStoreApi`
/// for its system, and passes it to `keyring_core::set_default_store` before it opens a provider. The entry is found by
/// the names of a service and a user, both of the application's choice.
///
/// Whoever may read the entry has the key, and whoever loses the keyring, with the account on the machine for example,
/// loses the secrets: keep a backup of another kind, such as an export under a passphrase. Servers and containers mostly
/// have no keyring; use a [`KeyFileProvider`](crate::KeyFileProvider) or a
/// [`PassphraseProvider`](crate::PassphraseProvider) there.
///
/// ```
/// use strongroom::{OsKeyringProvider, SecretStore};
///
/// // A keyring for tests. An application takes that of its system.
/// keyring_core::set_default_store(keyring_core::mock::Store::new().unwrap());
///
/// let key = OsKeyringProvider::open_or_create("com.example.app", "secrets")?;
/// let store = SecretStore::in_memory().key_provider(key).open()?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct OsKeyringProvider {
    service: String,
    user: String,
    key_id: String,
    key: SealingKey,
}

/// What to do where there is no keyring.
const ELSEWHERE: &str = "where the system has no keyring, as on most servers, use a key file (`KeyFileProvider`) or a \
    passphrase (`PassphraseProvider`)";

/// What can be wrong with an entry, and what to do about it.
#[derive(Debug, thiserror::Error)]
enum EntryProblem {
    #[error("no keyring was chosen: call `keyring_core::set_default_store` first; {ELSEWHERE}")]
    NoKeyring,
    #[error("the keyring cannot be reached to {doing} the entry {name}: {reason}; unlock it, or, {ELSEWHERE}")]
    Unreachable { doing: &'static str, name: Name, reason: String },
    #[error("the keyring does not take the entry {name}: {reason}; give other names, or, {ELSEWHERE}")]
    Refused { name: Name, reason: String },
    #[error("the keyring has no entry {0}; check the names, or make one with `OsKeyringProvider::create`")]
    Missing(Name),
    #[error("the keyring has an entry {0} already, and an entry is never replaced; open it, or give other names")]
    Exists(Name),
    #[error("the keyring has several entries {0}; remove all but the right one")]
    Ambiguous(Name),
    #[error(
        "the entry {0} of the keyring is not one of this provider, or is damaged, and is left as it is; give other names, \
         or put back a copy of the entry"
    )]
    Damaged(Name),
    #[error(
        "the entry {name} of the keyring has the newer format {found}, and this version reads up to {FORMAT}; use a \
         newer version"
    )]
    NewerFormat { name: Name, found: u16 },
    #[error(
        "the keyring did not keep the entry {0} as it was given, or another process made it at the same moment; try again, \
         or, {ELSEWHERE}"
    )]
    NotKept(Name),
}

/// How an entry is named.
#[derive(Debug, Clone)]
struct Name {
    service: String,
    user: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of service `{}`", self.user, self.service)
    }
}

impl Name {
    fn parse(service: &str, user: &str) -> Result<Self> {
        if service.is_empty() || user.is_empty() {
            // Some keyrings would take an empty name for any name.
            return Err(Error::configuration("an entry of the keyring needs the name of a service and of a user"));
        }
        Ok(Self { service: service.to_owned(), user: user.to_owned() })
    }

    fn entry(&self) -> Result<Entry, EntryProblem> {
        Entry::new(&self.service, &self.user).map_err(|error| self.problem("open", error))
    }

    /// What the keyring's error means. Such errors can hold the entry itself, so they go no further than this.
    fn problem(&self, doing: &'static str, error: keyring_core::Error) -> EntryProblem {
        use keyring_core::Error as E;
        let name = self.clone();
        match error {
            E::NoDefaultStore => EntryProblem::NoKeyring,
            E::NoEntry => EntryProblem::Missing(name),
            E::BadEncoding(mut bytes) | E::BadDataFormat(mut bytes, _) => {
                bytes.zeroize();
                EntryProblem::Damaged(name)
            }
            E::Ambiguous(_) => EntryProblem::Ambiguous(name),
            error @ (E::Invalid(..) | E::TooLong(..) | E::NotSupportedByStore(_)) => {
                EntryProblem::Refused { name, reason: error.to_string() }
            }
            error @ (E::PlatformFailure(_) | E::NoStorageAccess(_) | E::BadStoreFormat(_)) => {
                EntryProblem::Unreachable { doing, name, reason: error.to_string() }
            }
            // What a later version of the keyring adds: nothing of it is shown.
            _ => EntryProblem::Unreachable { doing, name, reason: "it failed".to_owned() },
        }
    }
}

impl From<EntryProblem> for Error {
    fn from(problem: EntryProblem) -> Self {
        Self::new(ErrorKind::KeyFile, problem.to_string()).with_source(problem)
    }
}

impl OsKeyringProvider {
    /// Opens an entry that must be there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if a name is empty. All others are [`ErrorKind::KeyFile`] with a text that says what to
    /// do:
    ///
    /// 1. No keyring was chosen, it cannot be reached or is locked, or it does not take these names.
    /// 2. There is no such entry, or there are several.
    /// 3. The entry was not made by this provider, or is damaged.
    /// 4. It has a newer format.
    pub fn open(service: impl AsRef<str>, user: impl AsRef<str>) -> Result<Self> {
        let name = Name::parse(service.as_ref(), user.as_ref())?;
        Self::read(&name, &name.entry()?)?.ok_or_else(|| EntryProblem::Missing(name).into())
    }

    /// Makes an entry with a new random key.
    ///
    /// Keyrings cannot make an entry only if there is none. Within a process one is made at a time; two processes that make
    /// the same one at the same moment may both believe to have done so. Make it when the application is installed, or
    /// first started.
    ///
    /// # Errors
    ///
    /// 1. As [`open`](Self::open), except that the entry must be missing.
    /// 2. [`ErrorKind::KeyFile`]: there is something under these names already, whatever it is. It is left as it is.
    /// 3. [`ErrorKind::Entropy`]: the system's source of random bytes failed.
    /// 4. [`ErrorKind::KeyFile`]: the keyring did not keep the entry.
    pub fn create(service: impl AsRef<str>, user: impl AsRef<str>) -> Result<Self> {
        let name = Name::parse(service.as_ref(), user.as_ref())?;
        let _turn = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = name.entry()?;
        match Self::read(&name, &entry) {
            Ok(None) => Self::make(&name, &entry),
            Ok(Some(_)) | Err(EntryProblem::Damaged(_) | EntryProblem::NewerFormat { .. }) => {
                Err(EntryProblem::Exists(name).into())
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// Opens the entry, or makes one if there is none.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) if there is something under these names, else as [`create`](Self::create).
    pub fn open_or_create(service: impl AsRef<str>, user: impl AsRef<str>) -> Result<Self> {
        let name = Name::parse(service.as_ref(), user.as_ref())?;
        let _turn = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = name.entry()?;
        match Self::read(&name, &entry)? {
            Some(opened) => Ok(opened),
            None => Self::make(&name, &entry),
        }
    }

    /// The service that the entry is named by.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The user that the entry is named by.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The id that the entry gives its key: a random UUID, which is not secret.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key in an entry, or `None` if there is no entry.
    fn read(name: &Name, entry: &Entry) -> Result<Option<Self>, EntryProblem> {
        let bytes = match entry.get_secret() {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(keyring_core::Error::NoEntry) => return Ok(None),
            Err(error) => return Err(name.problem("read", error)),
        };
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryProblem::Damaged(name.clone()));
        }
        let (key_id, key) = decode(MAGIC, &bytes).map_err(|unreadable| match unreadable {
            Unreadable::Damaged => EntryProblem::Damaged(name.clone()),
            Unreadable::NewerFormat(found) => EntryProblem::NewerFormat { name: name.clone(), found },
        })?;
        Ok(Some(Self::assemble(name, key_id, key)))
    }

    /// A new key in a new entry.
    fn make(name: &Name, entry: &Entry) -> Result<Self> {
        let entropy = OsEntropy::default();
        let key_id = random_uuid(&entropy)?.to_string();
        let key = SealingKey::fill(|bytes| entropy.fill(bytes))?;
        let text = encode(MAGIC, &key_id, key.expose());
        entry.set_secret(text.as_bytes()).map_err(|error| name.problem("make", error))?;
        // A key that cannot be read again would lose all that is wrapped under it.
        match Self::read(name, entry)? {
            Some(kept) if kept.key_id == key_id => Ok(kept),
            _ => Err(EntryProblem::NotKept(name.clone()).into()),
        }
    }

    fn assemble(name: &Name, key_id: String, key: SealingKey) -> Self {
        let Name { service, user } = name.clone();
        Self { service, user, key_id, key }
    }

    fn only(&self) -> OnlyKey<'_> {
        OnlyKey { provider: ID, key_id: &self.key_id, key: &self.key }
    }
}

impl KeyProvider for OsKeyringProvider {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let mut handle = OnlyKey::resolve(scope, key);
        handle.version = self.key_id.as_str().into();
        Ok(handle)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let mut wrapped = self.only().wrap(&key.arn, data_key, context, call.entropy)?;
        wrapped.key_version = self.key_id.as_str().into();
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        self.only().unwrap(wrapped, context)
    }
}

impl fmt::Debug for OsKeyringProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, user, key_id, key: _ } = self;
        f.debug_struct("OsKeyringProvider")
            .field("service", service)
            .field("user", user)
            .field("key_id", key_id)
            .field("key", &"[redacted]")
            .finish()
    }
}
