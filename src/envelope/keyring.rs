//! Many named keys in one file: a small key management service in process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use zeroize::Zeroizing;

use crate::entropy::{Entropy, OsEntropy, random_uuid};
use crate::envelope::keyring_file::{self, KeyringFile};
use crate::envelope::local::{self, Blob};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState, WrappedKey,
};
use crate::envelope::seal::SealingKey;
use crate::error::{Error, ErrorKind, Result};
use crate::model::tenant::Tenant;
use crate::model::version::DEFAULT_KEY_ALIAS;

const ID: &str = "local-keyring";

/// Characters of an alias, with its `alias/` (AWS KMS).
const ALIAS_CHARS_MAX: usize = 256;

/// A [`KeyProvider`] with many keys, aliases and key states, kept in memory or in one key file.
///
/// Keys can be disabled, scheduled for deletion and rotated, and the store answers with the service's own errors. The
/// default key, `alias/aws/secretsmanager`, is made on first use for each account and Region and cannot be switched off.
///
/// The key file holds the keys in the clear, so it is as precious as the secrets: its mode is 0600, and it should be kept
/// out of the store's directory and backed up apart from it. Whoever has only one of the two has nothing. Beside it stands
/// an empty `FILE.lock`. The directory that it is in must exist. Every change is on disk before
/// the call returns. Several processes may use one key file; [`reload`](Self::reload) sees what others changed.
///
/// Clones share the same keys.
///
/// ```
/// use strongroom::{KeyScope, LocalKeyring, SecretStore};
///
/// let keyring = LocalKeyring::in_memory();
/// let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1"))?;
/// keyring.create_alias("alias/payments", &key)?;
/// let store = SecretStore::in_memory().key_provider(keyring.clone()).open()?;
/// keyring.disable_key(&key)?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalKeyring {
    shared: Arc<Shared>,
}

struct Shared {
    keys: RwLock<Keys>,
    file: Option<KeyringFile>,
    entropy: Box<dyn Entropy>,
}

/// The keys and aliases of a keyring.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// By key id.
    pub(crate) keys: BTreeMap<String, Key>,
    /// By the ARN of the alias, the id of its key.
    pub(crate) aliases: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) arn: String,
    pub(crate) state: KeyState,
    pub(crate) aws_managed: bool,
    /// The material, oldest first; never empty. The newest wraps, all unwrap.
    pub(crate) material: Vec<SealingKey>,
}

/// What [`LocalKeyring::keys`] tells of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDescription {
    /// The key's ARN.
    pub arn: String,
    /// Its state.
    pub state: KeyState,
    /// Whether it is a default key.
    pub aws_managed: bool,
    /// How many versions of its material there are.
    pub versions: usize,
    /// The ARNs of its aliases.
    pub aliases: Vec<String>,
}

impl LocalKeyring {
    /// A keyring that is gone with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::assemble(Keys::default(), None, Box::new(OsEntropy::default()))
    }

    /// A keyring in memory whose keys come from this source of randomness.
    #[must_use]
    pub fn in_memory_with_entropy(entropy: impl Entropy + 'static) -> Self {
        Self::assemble(Keys::default(), None, Box::new(entropy))
    }

    /// Opens the key file, or makes an empty one if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyFile`]: the file is a symbolic link, open to others, damaged or of a newer format, or it cannot
    /// be read or made.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let file = KeyringFile::new(path.as_ref());
        let lock = file.lock()?;
        let keys = match file.load()? {
            Some(keys) => keys,
            None => {
                let keys = Keys::default();
                file.save(&keys)?;
                keys
            }
        };
        drop(lock);
        Ok(Self::assemble(keys, Some(file), Box::new(OsEntropy::default())))
    }

    /// Opens a key file that must be there.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create); also if there is no such file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let file = KeyringFile::new(path.as_ref());
        let Some(keys) = file.load()? else { return Err(keyring_file::missing(path.as_ref())) };
        Ok(Self::assemble(keys, Some(file), Box::new(OsEntropy::default())))
    }

    fn assemble(keys: Keys, file: Option<KeyringFile>, entropy: Box<dyn Entropy>) -> Self {
        Self { shared: Arc::new(Shared { keys: RwLock::new(keys), file, entropy }) }
    }

    /// Where the keys are kept, if in a file.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.shared.file.as_ref().map(|file| file.path().to_owned())
    }

    /// Reads the key file again, to see what other processes changed.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). The keys in memory stay as they were.
    pub fn reload(&self) -> Result<()> {
        if let Some(file) = &self.shared.file {
            *self.write() = file.load()?.ok_or_else(|| keyring_file::missing(file.path()))?;
        }
        Ok(())
    }

    /// Makes a key and returns its ARN.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for an impossible account or Region, or a partition that the Region is not in;
    /// [`ErrorKind::Entropy`], [`ErrorKind::KeyFile`].
    pub fn create_key(&self, scope: KeyScope<'_>) -> Result<String> {
        self.change(|keys| keys.create(&scope, false, &*self.shared.entropy))
    }

    /// Gives a key another name. `key` is a key id or ARN; the alias lives in the key's account and Region, and is
    /// moved if it exists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: the alias does not begin with `alias/`, has other characters than letters, digits,
    /// `/`, `_` and `-`, or is reserved (`alias/aws/`); or there is no such key. [`ErrorKind::KeyFile`].
    pub fn create_alias(&self, alias: &str, key: &str) -> Result<()> {
        let legal = alias.strip_prefix("alias/").is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
        });
        if !legal || alias.len() > ALIAS_CHARS_MAX || alias.starts_with("alias/aws/") {
            return Err(Error::configuration(format!("`{}` is not a legal alias", alias.escape_debug())));
        }
        self.change(|keys| {
            let id = keys.find_id(key)?;
            let arn = keys.keys.get(&id).map(|key| key.arn.as_str()).unwrap_or_default();
            let alias_arn = arn.rsplit_once(':').map(|(start, _)| format!("{start}:{alias}")).unwrap_or_default();
            keys.aliases.insert(alias_arn, id);
            Ok(())
        })
    }

    /// Switches a key off: reading and writing the values under it fails until it is enabled again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: there is no such key, it is a default key, or it is scheduled for deletion.
    /// [`ErrorKind::KeyFile`].
    pub fn disable_key(&self, key: &str) -> Result<()> {
        self.set_state(key, false, KeyState::Disabled)
    }

    /// Switches a key on.
    ///
    /// # Errors
    ///
    /// As [`disable_key`](Self::disable_key).
    pub fn enable_key(&self, key: &str) -> Result<()> {
        self.set_state(key, false, KeyState::Enabled)
    }

    /// Schedules a key for deletion. The keyring keeps its material, and
    /// [`cancel_key_deletion`](Self::cancel_key_deletion) brings the key back disabled, as AWS KMS does.
    ///
    /// # Errors
    ///
    /// As [`disable_key`](Self::disable_key).
    pub fn schedule_key_deletion(&self, key: &str) -> Result<()> {
        self.set_state(key, false, KeyState::PendingDeletion)
    }

    /// Takes back a scheduled deletion. The key is disabled afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: there is no such key, or it is not scheduled for deletion. [`ErrorKind::KeyFile`].
    pub fn cancel_key_deletion(&self, key: &str) -> Result<()> {
        self.set_state(key, true, KeyState::Disabled)
    }

    /// Adds new material to a key. What was wrapped before stays readable, under the same ARN.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: there is no such key. [`ErrorKind::Entropy`], [`ErrorKind::KeyFile`].
    pub fn rotate_key(&self, key: &str) -> Result<()> {
        self.change(|keys| {
            let material = SealingKey::fill(|bytes| self.shared.entropy.fill(bytes))?;
            keys.find(key)?.material.push(material);
            Ok(())
        })
    }

    /// All keys, by key id.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyDescription> {
        let keys = self.read();
        let describe = |(id, key): (&String, &Key)| KeyDescription {
            arn: key.arn.clone(),
            state: key.state,
            aws_managed: key.aws_managed,
            versions: key.material.len(),
            aliases: keys.aliases.iter().filter(|(_, of)| *of == id).map(|(alias, _)| alias.clone()).collect(),
        };
        keys.keys.iter().map(describe).collect()
    }

    /// Only a cancellation may touch a key that is scheduled for deletion, and nothing else.
    fn set_state(&self, key: &str, is_cancellation: bool, state: KeyState) -> Result<()> {
        self.change(|keys| {
            let key = keys.find(key)?;
            if key.aws_managed {
                return Err(Error::configuration(format!(
                    "key `{}` is managed by the store and always enabled",
                    key.arn
                )));
            }
            if (key.state == KeyState::PendingDeletion) != is_cancellation {
                let is = if is_cancellation { "is not" } else { "is" };
                return Err(Error::configuration(format!("key `{}` {is} scheduled for deletion", key.arn)));
            }
            key.state = state;
            Ok(())
        })
    }

    /// Applies a change to the keys on disk and in memory, or to neither.
    fn change<T>(&self, apply: impl FnOnce(&mut Keys) -> Result<T>) -> Result<T> {
        let mut keys = self.write();
        let Some(file) = &self.shared.file else { return apply(&mut keys) };
        let lock = file.lock()?;
        // Another process may have added keys meanwhile; writing our view would lose them.
        let mut latest = file.load()?.ok_or_else(|| keyring_file::missing(file.path()))?;
        let result = apply(&mut latest)?;
        file.save(&latest)?;
        drop(lock);
        *keys = latest;
        Ok(result)
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn create(&mut self, scope: &KeyScope<'_>, aws_managed: bool, entropy: &dyn Entropy) -> Result<String> {
        // Nothing goes into the key file that could not be read back.
        let tenant = Tenant::parse(scope.account, scope.region)?;
        if scope.partition != tenant.partition() {
            let (partition, region) = (scope.partition.escape_debug(), scope.region);
            return Err(Error::configuration(format!("Region `{region}` is not in a partition `{partition}`")));
        }
        let id = random_uuid(entropy)?.to_string();
        let material = vec![SealingKey::fill(|bytes| entropy.fill(bytes))?];
        let arn = format!("arn:{}:kms:{}:{}:key/{id}", scope.partition, scope.region, scope.account);
        self.keys.insert(id, Key { arn: arn.clone(), state: KeyState::Enabled, aws_managed, material });
        Ok(arn)
    }

    /// The id of a key given by its id or ARN.
    fn find_id(&self, key: &str) -> Result<String> {
        let id = key.rsplit_once(":key/").map_or(key, |(_, id)| id);
        match self.keys.get(id) {
            Some(found) if key == id || found.arn == key => Ok(id.to_owned()),
            _ => Err(Error::configuration(format!("the keyring has no key `{}`", key.escape_debug()))),
        }
    }

    fn find(&mut self, key: &str) -> Result<&mut Key> {
        let id = self.find_id(key)?;
        self.keys.get_mut(&id).ok_or_else(|| Error::configuration("the keyring has no such key"))
    }

    /// The key that a caller means, if there is one that the caller may use: a default key serves its own account only.
    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>) -> Option<KeyHandle> {
        let KeyScope { partition, account, region } = scope;
        let own = |resource: &str| format!("arn:{partition}:kms:{region}:{account}:{resource}");
        let by_alias = |arn: &str| self.aliases.get(arn).and_then(|id| self.keys.get(id));
        let by_arn = |arn: &str| {
            let (_, id) = arn.rsplit_once(":key/")?;
            self.keys.get(id).filter(|key| key.arn == arn)
        };
        let found = match key {
            KeyRef::Default => by_alias(&own(DEFAULT_KEY_ALIAS)),
            KeyRef::Alias(alias) => by_alias(&own(alias)),
            KeyRef::AliasArn(arn) => by_alias(arn),
            KeyRef::Id(id) => by_arn(&own(&format!("key/{id}"))),
            KeyRef::Arn(arn) => by_arn(arn),
        }?;
        if found.aws_managed && !found.arn.starts_with(&own("key/")) {
            return None;
        }
        let handle = KeyHandle::new(found.arn.as_str(), found.material.len().to_string());
        Some(handle.with_state(found.state).aws_managed(found.aws_managed))
    }
}

/// Whether the key is the default key of the scope, by whichever of its three names.
fn is_default(scope: &KeyScope<'_>, key: KeyRef<'_>) -> bool {
    let KeyScope { partition, account, region } = scope;
    match key {
        KeyRef::Default => true,
        KeyRef::Alias(alias) => alias == DEFAULT_KEY_ALIAS,
        KeyRef::AliasArn(arn) => arn == format!("arn:{partition}:kms:{region}:{account}:{DEFAULT_KEY_ALIAS}"),
        KeyRef::Id(_) | KeyRef::Arn(_) => false,
    }
}

impl KeyProvider for LocalKeyring {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let key = if is_default(scope, key) { KeyRef::Default } else { key };
        if let Some(handle) = self.read().resolve(scope, key) {
            return Ok(handle);
        }
        if key != KeyRef::Default {
            return Err(KeyError::NotFound);
        }
        let created = self.change(|keys| {
            // Somebody else may have been first.
            if let Some(handle) = keys.resolve(scope, key) {
                return Ok(handle);
            }
            let arn = keys.create(scope, true, call.entropy)?;
            let KeyScope { partition, account, region } = scope;
            let id = keys.find_id(&arn)?;
            keys.aliases.insert(format!("arn:{partition}:kms:{region}:{account}:{DEFAULT_KEY_ALIAS}"), id);
            keys.resolve(scope, key).ok_or_else(|| Error::configuration("the default key was not made"))
        });
        created.map_err(|error| match error.kind() {
            ErrorKind::Entropy => KeyError::Entropy,
            _ => KeyError::Internal,
        })
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let keys = self.read();
        let (_, id) = key.arn.rsplit_once(":key/").ok_or(KeyError::NotFound)?;
        let found = keys.keys.get(id).filter(|found| *found.arn == *key.arn).ok_or(KeyError::NotFound)?;
        found.state.require_enabled()?;
        let newest = found.material.last().ok_or(KeyError::Internal)?;
        let version = u32::try_from(found.material.len()).map_err(|_| KeyError::Internal)?;
        let blob = local::wrap(newest, id, &found.arn, version, data_key, context, call.entropy)?;
        Ok(WrappedKey::new(ID, key.arn.clone(), version.to_string(), blob))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *ID {
            return Err(KeyError::NotFound);
        }
        let blob = Blob::parse(&wrapped.blob)?;
        let keys = self.read();
        let found = keys.keys.get(blob.key_id).ok_or(KeyError::NotFound)?;
        if *found.arn != *wrapped.key_arn {
            return Err(KeyError::Corrupt);
        }
        found.state.require_enabled()?;
        let index = usize::try_from(blob.key_version).ok().and_then(|version| version.checked_sub(1));
        let material = index.and_then(|index| found.material.get(index)).ok_or(KeyError::NotFound)?;
        local::unwrap(material, &found.arn, &blob, context)
    }
}

impl fmt::Debug for LocalKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { keys: _, file, entropy: _ } = &*self.shared;
        f.debug_struct("LocalKeyring")
            .field("path", &file.as_ref().map(KeyringFile::path))
            .field("keys", &self.read().keys.len())
            .finish()
    }
}

impl Key {
    /// Material for the key file.
    pub(crate) fn material_bytes(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.material.iter().map(SealingKey::expose)
    }
}

/// One piece of material from the key file.
pub(crate) fn material(bytes: &[u8]) -> Option<SealingKey> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    Some(SealingKey::new(&Zeroizing::new(*bytes)))
}

impl From<keyring_file::FileProblem> for Error {
    fn from(problem: keyring_file::FileProblem) -> Self {
        Self::new(ErrorKind::KeyFile, problem.to_string()).with_source(problem)
    }
}
