//! A key that is derived from a passphrase with Argon2id. The only file that names `argon2`.
//!
//! Every wrapped key carries what its key was derived with, in front and authenticated. The root key's wrap is part of the
//! store's header, so this is also how a store remembers its parameters and its salt.

use std::fmt;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, Ad, Fields};
use crate::envelope::local::only_key;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WrappedKey,
};
use crate::envelope::seal::{KEY_BYTES, Label, SealingKey, sealed_len};
use crate::error::{Error, Result};
use crate::model::value::SecretString;

const ID: &str = "passphrase";
const VERSION: u32 = 1;

/// The form of what stands in front of a wrapped key.
const FORMAT: u16 = 1;
/// Argon2id, version 0x13 of the algorithm.
const ARGON2ID: u8 = 1;
const SALT_BYTES: usize = 16;
const PREFIX_BYTES: usize = 2 + 1 + 3 * 4 + SALT_BYTES;

/// Derived keys that are kept at a time.
const KEYS_MAX: usize = 4;

/// The minimum that OWASP recommends.
const WEAKEST: PassphraseParameters = PassphraseParameters { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
/// Beyond this, opening a store is an attack on the machine.
const STRONGEST: PassphraseParameters = PassphraseParameters { memory_kib: 1024 * 1024, passes: 64, lanes: 16 };
/// The second choice of RFC 9106, for machines that cannot spare 2 GiB.
const RECOMMENDED: PassphraseParameters = PassphraseParameters { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
#[cfg(feature = "testing")]
const CHEAP: PassphraseParameters = PassphraseParameters { memory_kib: 64, passes: 1, lanes: 1 };

/// What deriving a key from a passphrase costs: us once for each opening, an attacker once for each guess.
///
/// The default, 64 MiB of memory in 3 passes with 4 lanes, is the second recommendation of RFC 9106 and takes about a
/// fifth of a second.
///
/// # Limits
///
/// - Memory: 19,456 (19 MiB, OWASP's minimum) to 1,048,576 KiB (1 GiB).
/// - Passes: 2 to 64.
/// - Lanes: 1 to 16.
///
/// They are checked by [`PassphraseProvider::with_parameters`], and again for every wrapped key that is read.
///
/// ```
/// use strongroom::{PassphraseParameters, PassphraseProvider};
///
/// let parameters = PassphraseParameters::new().memory_kib(128 * 1024).passes(4);
/// let provider = PassphraseProvider::with_parameters("correct horse battery staple", parameters)?;
/// # drop(provider);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseParameters {
    /// The default parameters.
    #[must_use]
    pub fn new() -> Self {
        RECOMMENDED
    }

    /// Memory in KiB. Default: 65,536.
    #[must_use]
    pub fn memory_kib(mut self, memory_kib: u32) -> Self {
        self.memory_kib = memory_kib;
        self
    }

    /// Passes over the memory. Default: 3.
    #[must_use]
    pub fn passes(mut self, passes: u32) -> Self {
        self.passes = passes;
        self
    }

    /// Lanes. Default: 4. They are computed one after another here.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes;
        self
    }

    /// The first parameter that is out of bounds: what it is, what was found, and the bounds.
    fn out_of_bounds(&self, weakest: &Self) -> Option<(&'static str, u32, [u32; 2])> {
        let Self { memory_kib, passes, lanes } = *self;
        [
            ("KiB of memory", memory_kib, [weakest.memory_kib, STRONGEST.memory_kib]),
            ("passes", passes, [weakest.passes, STRONGEST.passes]),
            ("lanes", lanes, [weakest.lanes, STRONGEST.lanes]),
        ]
        .into_iter()
        .find(|(_, found, [least, most])| !(least..=most).contains(&found))
    }
}

impl Default for PassphraseParameters {
    fn default() -> Self {
        RECOMMENDED
    }
}

/// A [`KeyProvider`] whose single key is derived from a passphrase, with Argon2id (feature `passphrase`).
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
/// # Errors when a store is opened
///
/// With another passphrase, opening fails with [`ErrorKind::WrongKey`](crate::ErrorKind::WrongKey). A damaged header is
/// found by its checksum before that and is [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted). Limiting the rate of
/// guesses is the application's business. Where memory runs out, it is
/// [`ErrorKind::KeyProviderOutage`](crate::ErrorKind::KeyProviderOutage).
///
/// # Builds without optimisation
///
/// Deriving a key takes seconds there. Put this into the application's `Cargo.toml`:
///
/// ```toml
/// [profile.dev.package.argon2]
/// opt-level = 3
/// [profile.dev.package.blake2]
/// opt-level = 3
/// ```
///
/// Clones share the derived keys.
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
    passphrase: SecretString,
    parameters: PassphraseParameters,
    /// Weaker parameters are refused when they are read.
    weakest: PassphraseParameters,
    /// Keys that have opened something or were made here.
    ///
    /// INVARIANT: at most [`KEYS_MAX`]; the first one wraps, and is never exchanged for another.
    keys: RwLock<Vec<(Setting, Arc<SealingKey>)>>,
    /// Held while a key is derived, so that nobody derives the same key at the same time. Not needed to use a key.
    deriving: Mutex<()>,
    #[cfg(feature = "testing")]
    derivations: AtomicU64,
}

/// What a key is derived with, besides the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    parameters: PassphraseParameters,
    salt: [u8; SALT_BYTES],
}

impl PassphraseProvider {
    /// A provider with the default parameters for new stores.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty.
    pub fn new(passphrase: impl Into<SecretString>) -> Result<Self> {
        Self::with_parameters(passphrase, RECOMMENDED)
    }

    /// A provider with other parameters for new stores.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the passphrase is empty, or a parameter is outside
    /// the limits of [`PassphraseParameters`].
    pub fn with_parameters(passphrase: impl Into<SecretString>, parameters: PassphraseParameters) -> Result<Self> {
        Self::assemble(passphrase.into(), parameters, WEAKEST)
    }

    /// A provider that derives its key in no time and protects nothing. Stores that are made with it open with such a
    /// provider only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[cfg(feature = "testing")]
    pub fn cheap_for_tests(passphrase: impl Into<SecretString>) -> Result<Self> {
        Self::assemble(passphrase.into(), CHEAP, CHEAP)
    }

    /// How many keys were derived so far, by this provider and its clones (feature `testing`).
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn derivations(&self) -> u64 {
        self.shared.derivations.load(Ordering::Relaxed)
    }

    fn assemble(
        passphrase: SecretString,
        parameters: PassphraseParameters,
        weakest: PassphraseParameters,
    ) -> Result<Self> {
        if passphrase.expose().is_empty() {
            return Err(Error::configuration("a passphrase must not be empty"));
        }
        if let Some((what, found, [least, most])) = parameters.out_of_bounds(&weakest) {
            return Err(Error::configuration(format!(
                "a passphrase needs {least} to {most} {what}, and {found} were asked for"
            )));
        }
        let shared = Shared {
            passphrase,
            parameters,
            weakest,
            keys: RwLock::default(),
            deriving: Mutex::default(),
            #[cfg(feature = "testing")]
            derivations: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// The key that wraps: the first that this provider used, or one with a salt of its own.
    fn wrapping_key(&self, entropy: &dyn Entropy) -> Result<(Setting, Arc<SealingKey>), KeyError> {
        if let Some(first) = self.first() {
            return Ok(first);
        }
        let _turn = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = self.first() {
            return Ok(first);
        }
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt)?;
        let setting = Setting { parameters: self.parameters, salt };
        let key = Arc::new(self.derive(&setting)?);
        self.remember(setting, Arc::clone(&key));
        Ok((setting, key))
    }

    /// Opens something with the key of a setting. A key is remembered once it has opened something, so that forged
    /// settings neither push out a key that is needed nor decide what is wrapped with.
    fn with_key<T>(&self, setting: Setting, open: impl Fn(&SealingKey) -> Result<T, KeyError>) -> Result<T, KeyError> {
        if let Some(key) = self.known(&setting) {
            return open(&key);
        }
        let _turn = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.known(&setting) {
            return open(&key);
        }
        let key = self.derive(&setting)?;
        let opened = open(&key)?;
        self.remember(setting, Arc::new(key));
        Ok(opened)
    }

    fn first(&self) -> Option<(Setting, Arc<SealingKey>)> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    fn known(&self, setting: &Setting) -> Option<Arc<SealingKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|(known, _)| known == setting).map(|(_, key)| Arc::clone(key))
    }

    fn remember(&self, setting: Setting, key: Arc<SealingKey>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            // The oldest but the first.
            keys.remove(1);
        }
        keys.push((setting, key));
    }

    fn derive(&self, setting: &Setting) -> Result<SealingKey, KeyError> {
        #[cfg(feature = "testing")]
        self.derivations.fetch_add(1, Ordering::Relaxed);
        derive(self.passphrase.expose(), setting)
    }
}

/// Argon2id of the passphrase, as UTF-8. The setting is within bounds.
fn derive(passphrase: &str, setting: &Setting) -> Result<SealingKey, KeyError> {
    let Setting { parameters: PassphraseParameters { memory_kib, passes, lanes }, salt } = setting;
    // Fewer than 8 KiB for each lane is no Argon2; only parameters for tests can be like that.
    let parameters = Params::new(*memory_kib, *passes, *lanes, Some(KEY_BYTES)).map_err(|_| KeyError::Corrupt)?;
    let mut memory = Memory::new(parameters.block_count())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    SealingKey::fill(|key| argon2.hash_password_into_with_memory(passphrase.as_bytes(), salt, key, &mut memory.0))
        .map_err(|_| KeyError::Internal)
}

/// Argon2's memory, from whose last blocks the key could be computed: wiped on drop, which the crate's own is not.
struct Memory(Vec<Block>);

impl Memory {
    fn new(blocks: usize) -> Result<Self, KeyError> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| KeyError::Internal)?;
        memory.resize(blocks, Block::new());
        Ok(Self(memory))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Not the vector as a whole: that would also wipe, byte by byte, room that was never used.
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl Setting {
    /// What stands in front of a wrapped key.
    fn encode(&self) -> Vec<u8> {
        let Self { parameters: PassphraseParameters { memory_kib, passes, lanes }, salt } = self;
        let mut prefix = Vec::with_capacity(PREFIX_BYTES);
        prefix.extend_from_slice(&FORMAT.to_be_bytes());
        prefix.push(ARGON2ID);
        for number in [memory_kib, passes, lanes] {
            prefix.extend_from_slice(&number.to_be_bytes());
        }
        prefix.extend_from_slice(salt);
        prefix
    }

    /// `None` for another format, another function, and parameters that are too weak or too expensive.
    fn decode(prefix: &[u8; PREFIX_BYTES], weakest: &PassphraseParameters) -> Option<Self> {
        let mut fields = Fields::new(prefix);
        let is_known = u16::from_be_bytes(fields.array()?) == FORMAT && fields.array()? == [ARGON2ID];
        let mut number = || fields.array().map(u32::from_be_bytes);
        let parameters = PassphraseParameters { memory_kib: number()?, passes: number()?, lanes: number()? };
        let is_bounded = parameters.out_of_bounds(weakest).is_none();
        (is_known && is_bounded).then_some(Self { parameters, salt: fields.array()? })
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

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, _: &Call<'_>) -> Result<KeyHandle, KeyError> {
        Ok(only_key(scope, key, VERSION))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let (setting, derived) = self.shared.wrapping_key(call.entropy)?;
        let mut blob = setting.encode();
        let ad = bound_to(context, &key.arn, &blob);
        derived.seal_into(Label::Wrap, ad.as_bytes(), data_key.expose(), call.entropy, &mut blob)?;
        Ok(WrappedKey::new(ID, key.arn.clone(), VERSION.to_string(), blob))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        if *wrapped.provider != *ID {
            return Err(KeyError::NotFound);
        }
        let (prefix, sealed) = wrapped.blob.split_first_chunk().ok_or(KeyError::Corrupt)?;
        let setting = Setting::decode(prefix, &self.shared.weakest).ok_or(KeyError::Corrupt)?;
        // What cannot be opened with any key is not worth deriving one.
        if sealed.len() != sealed_len(KEY_BYTES) {
            return Err(KeyError::Corrupt);
        }
        let ad = bound_to(context, &wrapped.key_arn, prefix);
        self.shared.with_key(setting, |key| {
            let opened = key.open(Label::Wrap, ad.as_bytes(), sealed).map_err(|_| KeyError::Corrupt)?;
            DataKey::from_slice(&opened).ok_or(KeyError::Corrupt)
        })
    }
}

impl fmt::Debug for PassphraseProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseProvider")
            .field("passphrase", &"[redacted]")
            .field("parameters", &self.shared.parameters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};

    use super::*;

    /// RFC 9106, section 5.3.
    #[test]
    fn the_crate_computes_the_example_of_the_rfc() {
        let mut parameters = ParamsBuilder::new();
        parameters.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let argon2 = Argon2::new_with_secret(&[3; 8], algorithm, version, parameters.build().unwrap()).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let expected = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0, 0x1e,
            0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ];
        assert_eq!(tag, expected);
    }
}
