//! A key that is derived from a passphrase, with Argon2id (feature `passphrase`) or with PBKDF2.
//!
//! Every wrapped key carries what its key was derived with, in front and authenticated. The root key's wrap is part of the
//! store's header, so this is also how a store remembers its parameters and its salt.

#[cfg(feature = "passphrase")]
mod argon2id;
mod derived;
pub(crate) mod pbkdf2;
mod setting;

use std::fmt;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::entropy::Entropy;
use crate::envelope::ad::{self, Ad};
use crate::envelope::local::only_key;
use crate::envelope::passphrase::derived::{Derived, Keys, Known, Passphrase};
pub use crate::envelope::passphrase::setting::PassphraseParameters;
use crate::envelope::passphrase::setting::{Floor, SALT_BYTES, Setting};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::{KEY_BYTES, Label, SealingKey, sealed_len};
use crate::error::{Error, Result};
use crate::model::value::SecretString;

const ID: &str = "passphrase";
/// The version in the associated data. What tells keys apart is the prefix, which is there too.
const VERSION: u32 = 1;

/// A [`KeyProvider`] whose single key is derived from a passphrase: with Argon2id (feature `passphrase`), or with PBKDF2
/// in any build; see [`PassphraseParameters`].
///
/// Every key id, ARN and alias is accepted and stands for the same key, and keys have no states, as with
/// [`StaticKey`](crate::StaticKey).
///
/// A new store gets a random salt of its own. The salt and the parameters are kept with every wrapped key, the one in the
/// store's header among them, and are authenticated: changing the parameters of the provider later has no effect on stores
/// that exist. The key is derived once for each opening, not once for each secret, and derivations run one at a time.
///
/// The passphrase is used byte for byte as it is given, as UTF-8. Nothing is normalised or trimmed: an `é` that is one
/// character and an `é` that is two make two passphrases, so an application that takes it from a keyboard should normalise
/// it (NFC) first.
///
/// # Changing the passphrase
///
/// [`change_to`](Self::change_to) gives the provider a second passphrase: from then on everything is wrapped under the new
/// one, with a salt of its own, and what was wrapped under the old one still unwraps. The version of the key that
/// [`resolve`](KeyProvider::resolve) and wrapped keys name is different for every passphrase, salt and set of parameters,
/// so that what is not yet wrapped under the newest can be told. Whoever does not know whether an earlier change came to
/// its end opens the store with both, by [`changing`](Self::changing).
///
/// # Errors when a store is opened
///
/// With another passphrase, opening fails with [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey), whose reason is
/// [`KeyFaultReason::WrongPassphrase`](crate::KeyFaultReason::WrongPassphrase). A damaged header is found by its checksum
/// before that and is [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted). Limiting the rate of guesses is the
/// application's business. A store whose key was derived with Argon2id does not open in a build without the feature
/// `passphrase`; the reason is [`KeyFaultReason::Unsupported`](crate::KeyFaultReason::Unsupported). Where memory runs out,
/// it is [`ErrorKind::KeyProviderOutage`](crate::ErrorKind::KeyProviderOutage).
///
/// # Builds without optimisation
///
/// Argon2id takes seconds there. Put this into the application's `Cargo.toml`:
///
/// ```toml
/// [profile.dev.package.argon2]
/// opt-level = 3
/// [profile.dev.package.blake2]
/// opt-level = 3
/// ```
///
/// Clones share the passphrases and the derived keys.
///
/// ```
/// use strongroom::{PassphraseProvider, SecretStore};
///
/// let provider = PassphraseProvider::new("correct horse battery staple")?;
/// let store = SecretStore::in_memory().key_provider(provider).open()?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct PassphraseProvider {
    shared: Arc<Shared>,
}

struct Shared {
    /// Weaker parameters are refused when they are asked for and when they are read.
    floor: Floor,
    keys: RwLock<Keys>,
    /// Held while a key is derived, so that nobody derives the same key at the same time. Not needed to use a key.
    deriving: Mutex<()>,
    #[cfg(feature = "testing")]
    derivations: AtomicU64,
}

impl PassphraseProvider {
    /// A provider with the default parameters for new stores.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty.
    pub fn new(passphrase: impl Into<SecretString>) -> Result<Self> {
        Self::with_parameters(passphrase, PassphraseParameters::new())
    }

    /// A provider with other parameters for new stores.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty, or a parameter is outside
    /// the limits of [`PassphraseParameters`].
    pub fn with_parameters(passphrase: impl Into<SecretString>, parameters: PassphraseParameters) -> Result<Self> {
        Self::assemble(passphrase.into(), None, parameters, Floor::SAFE)
    }

    /// A provider with two passphrases: `new` wraps, with the default parameters, and both unwrap.
    ///
    /// For a store whose passphrase was being changed when the process ended, of which some keys may be wrapped under the
    /// one and some under the other. If both are the same, this is [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): a passphrase is empty.
    ///
    /// ```
    /// use strongroom::{CreateSecretRequest, GetSecretValueRequest, MemoryBackend, PassphraseProvider, SecretStore};
    ///
    /// let backend = MemoryBackend::new();
    /// let open = |provider| SecretStore::with_backend(backend.clone()).key_provider(provider).open();
    /// let store = open(PassphraseProvider::new("correct horse")?)?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("a").secret_string("b"))?;
    /// store.close()?;
    ///
    /// let store = open(PassphraseProvider::changing("correct horse", "battery staple")?)?;
    /// let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("a"))?;
    /// assert_eq!(read.secret_string.unwrap().expose(), "b");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn changing(old: impl Into<SecretString>, new: impl Into<SecretString>) -> Result<Self> {
        Self::assemble(new.into(), Some(old.into()), PassphraseParameters::new(), Floor::SAFE)
    }

    /// A provider that derives its key in no time and protects nothing. Stores that are made with it open with such a
    /// provider only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[cfg(feature = "testing")]
    pub fn cheap_for_tests(passphrase: impl Into<SecretString>) -> Result<Self> {
        Self::cheap_with_parameters_for_tests(passphrase, PassphraseParameters::cheap())
    }

    /// As [`cheap_for_tests`](Self::cheap_for_tests), with parameters that may be as weak as that: 64 KiB, 1 pass and
    /// 1 lane of Argon2id, 1 iteration of PBKDF2.
    ///
    /// # Errors
    ///
    /// As [`with_parameters`](Self::with_parameters).
    #[cfg(feature = "testing")]
    pub fn cheap_with_parameters_for_tests(
        passphrase: impl Into<SecretString>,
        parameters: PassphraseParameters,
    ) -> Result<Self> {
        Self::assemble(passphrase.into(), None, parameters, Floor::FOR_TESTS)
    }

    /// As [`changing`](Self::changing), with keys as [`cheap_for_tests`](Self::cheap_for_tests) derives them.
    ///
    /// # Errors
    ///
    /// As [`changing`](Self::changing).
    #[cfg(feature = "testing")]
    pub fn cheap_changing_for_tests(old: impl Into<SecretString>, new: impl Into<SecretString>) -> Result<Self> {
        Self::assemble(new.into(), Some(old.into()), PassphraseParameters::cheap(), Floor::FOR_TESTS)
    }

    /// How many keys were derived so far, by this provider and its clones (feature `testing`).
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn derivations(&self) -> u64 {
        self.shared.derivations.load(Ordering::Relaxed)
    }

    /// Changes the passphrase, for this provider and its clones, and keeps the parameters that the provider has for new
    /// stores.
    ///
    /// Whatever is wrapped after this returns is wrapped under the new passphrase, with a new salt that is drawn when it is
    /// first needed; nothing is derived here. What was wrapped under the old one still unwraps, and has to be wrapped anew
    /// before the old passphrase can be forgotten. A change to the same passphrase makes a new salt only.
    ///
    /// At most two passphrases are known at a time. Another change forgets the older one of them, or the newer one if
    /// nothing was wrapped or unwrapped under it yet: finish one change before the next.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty. Nothing is changed then.
    ///
    /// ```
    /// use strongroom::PassphraseProvider;
    ///
    /// let provider = PassphraseProvider::new("correct horse")?;
    /// provider.change_to("battery staple")?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn change_to(&self, passphrase: impl Into<SecretString>) -> Result<()> {
        let parameters = self.shared.read().parameters();
        self.change_to_with_parameters(passphrase, parameters)
    }

    /// Changes the passphrase and the parameters, as [`change_to`](Self::change_to).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty, or a parameter is outside
    /// the limits of [`PassphraseParameters`]. Nothing is changed then.
    pub fn change_to_with_parameters(
        &self,
        passphrase: impl Into<SecretString>,
        parameters: PassphraseParameters,
    ) -> Result<()> {
        let passphrase = checked(passphrase.into())?;
        require_bounded(&parameters, &self.shared.floor)?;
        self.shared.write().change(passphrase, parameters);
        Ok(())
    }

    fn assemble(
        passphrase: SecretString,
        older: Option<SecretString>,
        parameters: PassphraseParameters,
        floor: Floor,
    ) -> Result<Self> {
        let (passphrase, older) = (checked(passphrase)?, older.map(checked).transpose()?);
        require_bounded(&parameters, &floor)?;
        let shared = Shared {
            floor,
            keys: RwLock::new(Keys::new(passphrase, older, parameters)),
            deriving: Mutex::default(),
            #[cfg(feature = "testing")]
            derivations: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn checked(passphrase: SecretString) -> Result<SecretString> {
    if passphrase.expose().is_empty() {
        Err(Error::configuration("a passphrase must not be empty"))
    } else {
        Ok(passphrase)
    }
}

fn require_bounded(parameters: &PassphraseParameters, floor: &Floor) -> Result<()> {
    parameters.out_of_bounds(floor).map_or(Ok(()), |(what, found, [least, most])| {
        Err(Error::configuration(format!("a passphrase needs {least} to {most} {what}, and {found} were asked for")))
    })
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrapped with: the first setting that this provider used, or one with a salt of its own.
    fn wrapping_setting(&self, entropy: &dyn Entropy) -> Result<Setting, KeyError> {
        if let Some(setting) = self.read().setting() {
            return Ok(setting);
        }
        self.draw(entropy).map(|(_, setting)| setting)
    }

    /// What is wrapped with, made if there is nothing yet.
    fn draw(&self, entropy: &dyn Entropy) -> Result<(Arc<Passphrase>, Setting), KeyError> {
        let mut keys = self.write();
        let setting = match keys.setting() {
            Some(setting) => setting,
            None => {
                let mut salt = [0; SALT_BYTES];
                entropy.fill(&mut salt)?;
                keys.set_salt(salt)
            }
        };
        Ok((keys.newest(), setting))
    }

    fn wrapping_key(&self, entropy: &dyn Entropy) -> Result<Derived, KeyError> {
        if let Some(wrapping) = self.wrapping() {
            return Ok(wrapping);
        }
        let _turn = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrapping) = self.wrapping() {
            return Ok(wrapping);
        }
        let (passphrase, setting) = self.draw(entropy)?;
        let derived = self.derive(passphrase, setting)?;
        self.write().prove(derived.clone());
        Ok(derived)
    }

    fn wrapping(&self) -> Option<Derived> {
        self.read().wrapping()
    }

    /// Opens something with a key of a setting. A key wraps, and pushes out others, only once it has opened something, so
    /// that forged settings neither push out a key that is needed nor decide what is wrapped with.
    ///
    /// Every passphrase is tried with every setting once, as long as there is room for what came of it.
    fn open_with<T>(&self, setting: Setting, open: impl Fn(&SealingKey) -> Option<T>) -> Result<T, KeyError> {
        if let Some(outcome) = self.open_with_known(setting, &open) {
            return outcome;
        }
        let _turn = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have derived it in the meantime.
        if let Some(outcome) = self.open_with_known(setting, &open) {
            return outcome;
        }
        let Known::Open { untried, .. } = self.known(setting) else { return Err(KeyError::Corrupt) };
        for passphrase in untried {
            let derived = self.derive(passphrase, setting)?;
            if let Some(opened) = open(&derived.key) {
                self.write().prove(derived);
                return Ok(opened);
            }
            self.write().keep_tried(derived);
        }
        Err(KeyError::WrongPassphrase)
    }

    /// `None`: a key has to be derived.
    fn open_with_known<T>(
        &self,
        setting: Setting,
        open: &impl Fn(&SealingKey) -> Option<T>,
    ) -> Option<Result<T, KeyError>> {
        match self.known(setting) {
            // The salt is random, so no other passphrase goes with it.
            Known::Proven(derived) => Some(open(&derived.key).ok_or(KeyError::Corrupt)),
            Known::Open { tried, untried } => {
                for derived in tried {
                    if let Some(opened) = open(&derived.key) {
                        self.write().prove(derived);
                        return Some(Ok(opened));
                    }
                }
                untried.is_empty().then_some(Err(KeyError::WrongPassphrase))
            }
        }
    }

    fn known(&self, setting: Setting) -> Known {
        self.read().known(&setting)
    }

    fn derive(&self, passphrase: Arc<Passphrase>, setting: Setting) -> Result<Derived, KeyError> {
        #[cfg(feature = "testing")]
        self.derivations.fetch_add(1, Ordering::Relaxed);
        let key = Arc::new(setting.derive(passphrase.expose())?);
        Ok(Derived { passphrase, setting, key })
    }
}

/// What a wrapped key is bound to: all that any local wrap is, and how its key was derived.
fn bound_to(context: &EncryptionContext<'_>, key_arn: &str, prefix: &[u8]) -> Ad {
    ad::wrap(&context.canonical(), key_arn, VERSION).bytes(prefix)
}

impl KeyProvider for PassphraseProvider {
    fn id(&self) -> &str {
        ID
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let mut handle = only_key(scope, key, VERSION);
        handle.version = self.shared.wrapping_setting(call.entropy)?.key_version().into();
        Ok(handle)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let Derived { setting, key: derived, .. } = self.shared.wrapping_key(call.entropy)?;
        let mut blob = setting.encode();
        let ad = bound_to(context, &key.arn, &blob);
        derived.seal_into(Label::Wrap, ad.as_bytes(), data_key.expose(), call.entropy, &mut blob)?;
        Ok(WrappedKey::new(ID, key.arn.clone(), setting.key_version(), blob))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *ID {
            return Err(KeyError::NotFound);
        }
        let (prefix, sealed) = wrapped.blob.split_first_chunk().ok_or(KeyError::Corrupt)?;
        let setting = Setting::decode(prefix, &self.shared.floor).ok_or(KeyError::Corrupt)?;
        // What cannot be opened with any key is not worth deriving one.
        if sealed.len() != sealed_len(KEY_BYTES) {
            return Err(KeyError::Corrupt);
        }
        let ad = bound_to(context, &wrapped.key_arn, prefix);
        self.shared.open_with(setting, |key| {
            let opened = key.open(Label::Wrap, ad.as_bytes(), sealed).ok()?;
            DataKey::from_slice(&opened)
        })
    }
}

impl fmt::Debug for PassphraseProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseProvider")
            .field("passphrase", &"[redacted]")
            .field("parameters", &self.shared.read().parameters())
            .finish_non_exhaustive()
    }
}
