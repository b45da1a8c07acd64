//! What a key is derived with besides the passphrase: a function, what it costs, and a salt; and how they are written in
//! front of a wrapped key.

use std::fmt::Write as _;

use ring::digest;

use crate::envelope::ad::Fields;
#[cfg(feature = "passphrase")]
use crate::envelope::passphrase::argon2id;
use crate::envelope::passphrase::pbkdf2;
use crate::envelope::provider::KeyError;
use crate::envelope::seal::SealingKey;

/// The form of what stands in front of a wrapped key.
const FORMAT: u16 = 1;
/// Argon2id, version 0x13 of the algorithm.
const ARGON2ID: u8 = 1;
/// PBKDF2-HMAC-SHA-256.
const PBKDF2: u8 = 2;

pub(super) const SALT_BYTES: usize = 16;
pub(super) const PREFIX_BYTES: usize = 2 + 1 + 3 * 4 + SALT_BYTES;

/// Bytes of the digest of a prefix that name the key that was derived with it.
const VERSION_BYTES: usize = 8;

/// The second choice of RFC 9106, for machines that cannot spare 2 GiB.
#[cfg(feature = "passphrase")]
const ARGON2ID_RECOMMENDED: [u32; 3] = [64 * 1024, 3, 4];
/// Beyond this, opening a store is an attack on the machine.
const ARGON2ID_MOST: [u32; 3] = [1024 * 1024, 64, 16];
/// What OWASP recommends, and the least that is accepted.
#[cfg(not(feature = "passphrase"))]
const PBKDF2_RECOMMENDED: u32 = 600_000;
const PBKDF2_MOST: u32 = 50_000_000;

/// What deriving a key from a passphrase costs: us once for each opening, an attacker once for each guess.
///
/// There are two functions. **Argon2id** (feature `passphrase`) also takes memory, which is what makes guessing with
/// special hardware expensive; it is the default where it is there: 64 MiB in 3 passes with 4 lanes, the second
/// recommendation of RFC 9106, which take about a fifth of a second. **PBKDF2** with HMAC-SHA-256 needs no feature and no
/// memory; it is the default without the feature, with 600,000 iterations.
///
/// # Limits
///
/// - Argon2id, memory: 19,456 (19 MiB, OWASP's minimum) to 1,048,576 KiB (1 GiB).
/// - Argon2id, passes: 2 to 64.
/// - Argon2id, lanes: 1 to 16.
/// - PBKDF2, iterations: 600,000 (OWASP's minimum) to 50,000,000.
///
/// They are checked by [`PassphraseProvider::with_parameters`](crate::PassphraseProvider::with_parameters), and again for
/// every wrapped key that is read.
///
/// ```
/// use strongroom::{PassphraseParameters, PassphraseProvider};
///
/// let provider = PassphraseProvider::with_parameters(
///     "correct horse battery staple",
///     PassphraseParameters::pbkdf2(1_000_000),
/// )?;
/// # drop(provider);
/// # #[cfg(feature = "passphrase")] {
/// // Feature `passphrase`: memory, passes and lanes of Argon2id.
/// let parameters = PassphraseParameters::new().memory_kib(128 * 1024).passes(4);
/// let provider = PassphraseProvider::with_parameters("correct horse battery staple", parameters)?;
/// # drop(provider);
/// # }
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseParameters(Function);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    /// Known in every build, so that a build without it can say what it lacks.
    Argon2id {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
    Pbkdf2 {
        iterations: u32,
    },
}

impl PassphraseParameters {
    /// The default parameters: those of Argon2id, or of PBKDF2 in a build without the feature `passphrase`.
    #[must_use]
    pub fn new() -> Self {
        #[cfg(feature = "passphrase")]
        let function = argon2id_of(ARGON2ID_RECOMMENDED);
        #[cfg(not(feature = "passphrase"))]
        let function = Function::Pbkdf2 { iterations: PBKDF2_RECOMMENDED };
        Self(function)
    }

    /// PBKDF2-HMAC-SHA-256 with so many iterations.
    ///
    /// For where the store must also open in a build without the feature `passphrase`, or where policy demands PBKDF2. Of
    /// the two functions it is the weaker one.
    #[must_use]
    pub fn pbkdf2(iterations: u32) -> Self {
        Self(Function::Pbkdf2 { iterations })
    }

    /// Memory of Argon2id in KiB (feature `passphrase`). Default: 65,536.
    ///
    /// Parameters of PBKDF2 become the default ones of Argon2id with this change.
    #[cfg(feature = "passphrase")]
    #[must_use]
    pub fn memory_kib(self, memory_kib: u32) -> Self {
        let [_, passes, lanes] = self.argon2id();
        Self(Function::Argon2id { memory_kib, passes, lanes })
    }

    /// Passes of Argon2id over the memory (feature `passphrase`). Default: 3.
    ///
    /// Parameters of PBKDF2 become the default ones of Argon2id with this change.
    #[cfg(feature = "passphrase")]
    #[must_use]
    pub fn passes(self, passes: u32) -> Self {
        let [memory_kib, _, lanes] = self.argon2id();
        Self(Function::Argon2id { memory_kib, passes, lanes })
    }

    /// Lanes of Argon2id (feature `passphrase`). Default: 4. They are computed one after another here.
    ///
    /// Parameters of PBKDF2 become the default ones of Argon2id with this change.
    #[cfg(feature = "passphrase")]
    #[must_use]
    pub fn lanes(self, lanes: u32) -> Self {
        let [memory_kib, passes, _] = self.argon2id();
        Self(Function::Argon2id { memory_kib, passes, lanes })
    }

    #[cfg(feature = "passphrase")]
    fn argon2id(self) -> [u32; 3] {
        match self.0 {
            Function::Argon2id { memory_kib, passes, lanes } => [memory_kib, passes, lanes],
            Function::Pbkdf2 { .. } => ARGON2ID_RECOMMENDED,
        }
    }

    /// What takes no time and protects nothing.
    #[cfg(feature = "testing")]
    pub(super) fn cheap() -> Self {
        #[cfg(feature = "passphrase")]
        let function = argon2id_of([64, 1, 1]);
        #[cfg(not(feature = "passphrase"))]
        let function = Function::Pbkdf2 { iterations: 1 };
        Self(function)
    }

    /// The first parameter that is out of bounds: what it is, what was found, and the bounds.
    pub(super) fn out_of_bounds(&self, floor: &Floor) -> Option<(&'static str, u32, [u32; 2])> {
        let is_out = |(_, found, [least, most]): &(_, u32, [u32; 2])| !(least..=most).contains(&found);
        match self.0 {
            Function::Argon2id { memory_kib, passes, lanes } => {
                let ([memory_least, passes_least, lanes_least], [memory_most, passes_most, lanes_most]) =
                    (floor.argon2id, ARGON2ID_MOST);
                let bounded = [
                    ("KiB of memory", memory_kib, [memory_least, memory_most]),
                    ("passes", passes, [passes_least, passes_most]),
                    ("lanes", lanes, [lanes_least, lanes_most]),
                ];
                bounded.into_iter().find(is_out)
            }
            Function::Pbkdf2 { iterations } => {
                Some(("iterations", iterations, [floor.pbkdf2, PBKDF2_MOST])).filter(is_out)
            }
        }
    }
}

impl Default for PassphraseParameters {
    fn default() -> Self {
        Self::new()
    }
}

fn argon2id_of([memory_kib, passes, lanes]: [u32; 3]) -> Function {
    Function::Argon2id { memory_kib, passes, lanes }
}

/// Weaker parameters are refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    /// Memory in KiB, passes and lanes.
    argon2id: [u32; 3],
    /// Iterations.
    pbkdf2: u32,
}

impl Floor {
    /// The minimum that OWASP recommends.
    pub(super) const SAFE: Self = Self { argon2id: [19 * 1024, 2, 1], pbkdf2: 600_000 };

    #[cfg(feature = "testing")]
    pub(super) const FOR_TESTS: Self = Self { argon2id: [64, 1, 1], pbkdf2: 1 };
}

/// What a key is derived with, besides the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) parameters: PassphraseParameters,
    pub(super) salt: [u8; SALT_BYTES],
}

impl Setting {
    /// What stands in front of a wrapped key.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (function, numbers) = match self.parameters.0 {
            Function::Argon2id { memory_kib, passes, lanes } => (ARGON2ID, [memory_kib, passes, lanes]),
            Function::Pbkdf2 { iterations } => (PBKDF2, [iterations, 0, 0]),
        };
        let mut prefix = Vec::with_capacity(PREFIX_BYTES);
        prefix.extend_from_slice(&FORMAT.to_be_bytes());
        prefix.push(function);
        for number in numbers {
            prefix.extend_from_slice(&number.to_be_bytes());
        }
        prefix.extend_from_slice(&self.salt);
        prefix
    }

    /// `None` for another format, another function, and parameters that are too weak or too expensive.
    pub(super) fn decode(prefix: &[u8; PREFIX_BYTES], floor: &Floor) -> Option<Self> {
        let mut fields = Fields::new(prefix);
        if u16::from_be_bytes(fields.array()?) != FORMAT {
            return None;
        }
        let [function] = fields.array()?;
        let mut number = || fields.array().map(u32::from_be_bytes);
        let function = match (function, [number()?, number()?, number()?]) {
            (ARGON2ID, numbers) => argon2id_of(numbers),
            (PBKDF2, [iterations, 0, 0]) => Function::Pbkdf2 { iterations },
            _ => return None,
        };
        let parameters = PassphraseParameters(function);
        let is_bounded = parameters.out_of_bounds(floor).is_none();
        is_bounded.then_some(Self { parameters, salt: fields.array()? })
    }

    /// What the key that is derived with this setting is called: it differs wherever the setting does.
    pub(super) fn key_version(&self) -> String {
        let mut text = String::with_capacity(2 * VERSION_BYTES);
        for byte in digest::digest(&digest::SHA256, &self.encode()).as_ref().iter().take(VERSION_BYTES) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The key of a passphrase, as UTF-8. The setting is within bounds.
    pub(super) fn derive(&self, passphrase: &str) -> Result<SealingKey, KeyError> {
        let (passphrase, Self { parameters, salt }) = (passphrase.as_bytes(), self);
        match parameters.0 {
            #[cfg(feature = "passphrase")]
            Function::Argon2id { memory_kib, passes, lanes } => {
                argon2id::derive(passphrase, salt, [memory_kib, passes, lanes])
            }
            #[cfg(not(feature = "passphrase"))]
            Function::Argon2id { .. } => Err(KeyError::Unsupported),
            Function::Pbkdf2 { iterations } => pbkdf2::derive(passphrase, salt, iterations),
        }
    }
}
