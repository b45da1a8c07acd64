//! The one sealing construction, used for everything that is stored.
//!
//! AES-256-GCM under a key, a nonce and a commitment that are derived afresh for every text, by HKDF-SHA-256, from a
//! long-lived key and a random salt. `docs/FORMAT.md` gives the bytes; `docs/DESIGN.md` says why it is built like this.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hkdf, hmac};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, EntropyError};
use crate::envelope::wiped::Wiped;

/// The suite that this version writes and reads: HKDF-SHA-256, AES-256-GCM, 256-bit commitment.
pub(crate) const SUITE: u16 = 1;

pub(crate) const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
const HEADER_BYTES: usize = 2 + SALT_BYTES + COMMITMENT_BYTES;

/// Longest text that is sealed or opened. Above every legal value and record; a bound against absurd input.
const PLAINTEXT_BYTES_MAX: usize = 256 * 1024;

/// What is being sealed. Two uses of one key never share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Secrets, due entries and every other record without a value.
    Metadata,
    /// The head record.
    Head,
    /// The value of a version, under the version's data key.
    Value,
    /// A wrapped data key, under the store's root key.
    DataKey,
    /// A data key, under a key of a local provider.
    Wrap,
    /// A page token.
    Token,
    /// A chunk of an export, under the key of the export.
    Export,
    /// The root key of the generation before.
    FormerRoot,
    /// A chunk of a frame of changes, under the key of a feed.
    Changes,
}

impl Label {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ALL: [Self; 9] = [
        Self::Metadata,
        Self::Head,
        Self::Value,
        Self::DataKey,
        Self::Wrap,
        Self::Token,
        Self::Export,
        Self::FormerRoot,
        Self::Changes,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Head => "head",
            Self::Value => "value",
            Self::DataKey => "data-key",
            Self::Wrap => "wrap",
            Self::Token => "token",
            Self::Export => "export",
            Self::FormerRoot => "former-root",
            Self::Changes => "changes",
        }
    }
}

/// Why a sealed text could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// Made by a suite that this version does not know.
    #[error("sealed with the unknown suite {0}")]
    UnsupportedSuite(u16),
    /// Does not authenticate. Deliberately says no more.
    #[error("does not authenticate")]
    Tampered,
}

/// A length for `ring`'s HKDF.
struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand into `out`. `out` is at most 64 bytes here, far below HKDF's bound, so this cannot fail; if it did, the
/// bytes would be left as they were, which is why every caller passes a buffer that it has just zeroed.
fn expand(prk: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), OpenError> {
    let okm = prk.expand(info, Bytes(out.len())).map_err(|_| OpenError::Tampered)?;
    okm.fill(out).map_err(|_| OpenError::Tampered)
}

/// HKDF-SHA-256 with one 32-byte output, for keys derived from the root key.
pub(crate) fn derive(salt: &[u8], key: &[u8; KEY_BYTES], info: &[&[u8]]) -> Result<SealingKey, OpenError> {
    let prk = Wiped::new(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key));
    SealingKey::fill(|bytes| expand(&prk, info, bytes))
}

/// A key that seals, with the key that makes its salts.
#[derive(Debug)]
pub(crate) struct SealingKey(Box<Keys>);

#[derive(Debug)]
struct Keys {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    hedge: Wiped<hmac::Key>,
}

/// The parts derived for one text.
struct Derived {
    cipher: Wiped<LessSafeKey>,
    nonce: [u8; 12],
    commitment: Zeroizing<[u8; COMMITMENT_BYTES]>,
}

impl SealingKey {
    /// A key whose 32 bytes are written by `fill`, in place.
    pub(crate) fn fill<E>(fill: impl FnOnce(&mut [u8; KEY_BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(&mut bytes)?;
        Ok(Self::new(&bytes))
    }

    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let mut hedge = Zeroizing::new([0; KEY_BYTES]);
        let prk = Wiped::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(key));
        // HKDF of 32 bytes cannot fail; were it to, the hedge would be an HMAC under a fixed key, and salts would still
        // be as good as the random bytes that go into them.
        let _ = expand(&prk, &[b"strongroom/v1/hedge"], hedge.as_mut_slice());
        let hedge = Wiped::new(hmac::Key::new(hmac::HMAC_SHA256, hedge.as_slice()));
        Self(Box::new(Keys { bytes: Zeroizing::new(*key), hedge }))
    }

    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0.bytes
    }

    /// Seals `plaintext`, bound to `label` and `ad`, and appends the result to `out`.
    pub(crate) fn seal_into(
        &self,
        label: Label,
        ad: &[u8],
        plaintext: &[u8],
        entropy: &dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), EntropyError> {
        let mut random = [0; 32];
        entropy.fill(&mut random)?;
        let mut salt = hmac::Context::with_key(&self.0.hedge);
        salt.update(&random);
        salt.update(&(ad.len() as u64).to_be_bytes());
        salt.update(ad);
        salt.update(&(plaintext.len() as u64).to_be_bytes());
        salt.update(plaintext);
        let salt = salt.sign();
        // The derivations fail only for outputs beyond HKDF's bound, which none here is.
        let Derived { cipher, nonce, commitment } =
            derive_parts(self.expose(), label, ad, salt.as_ref()).map_err(|_| EntropyError::new())?;

        let padded = padded_len(plaintext.len());
        // Exactly sized before the plaintext goes in: growing later would leave a copy of it behind.
        out.reserve_exact(HEADER_BYTES + padded + TAG_BYTES);
        out.extend_from_slice(&SUITE.to_be_bytes());
        out.extend_from_slice(salt.as_ref());
        out.extend_from_slice(commitment.as_slice());
        let start = out.len();
        out.extend_from_slice(plaintext);
        out.resize(start + padded - LENGTH_BYTES, 0);
        let length = u32::try_from(plaintext.len()).map_err(|_| EntropyError::new())?;
        out.extend_from_slice(&length.to_be_bytes());
        let frame = out.get_mut(start..).unwrap_or_default();
        match cipher.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(ad), frame) {
            Ok(tag) => {
                out.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                out.zeroize();
                Err(EntropyError::new())
            }
        }
    }

    /// Seals into a buffer of its own.
    pub(crate) fn seal(
        &self,
        label: Label,
        ad: &[u8],
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, EntropyError> {
        let mut out = Vec::new();
        self.seal_into(label, ad, plaintext, entropy, &mut out)?;
        Ok(out)
    }

    /// Opens what [`seal_into`](Self::seal_into) made with the same key, label and associated data.
    pub(crate) fn open(&self, label: Label, ad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open(self.expose(), label, ad, sealed)
    }
}

/// The key, nonce and commitment of one text.
fn derive_parts(key: &[u8; KEY_BYTES], label: Label, ad: &[u8], salt: &[u8]) -> Result<Derived, OpenError> {
    let prk = Wiped::new(hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key));
    let bound = digest::digest(&digest::SHA256, ad);
    let info = |part: &'static [u8]| [b"strongroom/v1/", label.as_str().as_bytes(), part, bound.as_ref()];

    let mut key = Zeroizing::new([0; KEY_BYTES]);
    expand(&prk, &info(b"/key"), key.as_mut_slice())?;
    let mut nonce = [0; 12];
    expand(&prk, &info(b"/nonce"), &mut nonce)?;
    let mut commitment = Zeroizing::new([0; COMMITMENT_BYTES]);
    expand(&prk, &info(b"/commit"), commitment.as_mut_slice())?;

    let cipher = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| OpenError::Tampered)?;
    Ok(Derived { cipher: Wiped::new(LessSafeKey::new(cipher)), nonce, commitment })
}

/// Opens a sealed text with a key that is used only this once.
pub(crate) fn open(
    key: &[u8; KEY_BYTES],
    label: Label,
    ad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (suite, rest) = sealed.split_first_chunk().ok_or(OpenError::Tampered)?;
    let suite = u16::from_be_bytes(*suite);
    if suite != SUITE {
        return Err(OpenError::UnsupportedSuite(suite));
    }
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(OpenError::Tampered)?;
    let (commitment, ciphertext) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(OpenError::Tampered)?;
    if ciphertext.len() < LENGTH_BYTES + TAG_BYTES || ciphertext.len() > padded_len(PLAINTEXT_BYTES_MAX) + TAG_BYTES {
        return Err(OpenError::Tampered);
    }
    let derived = derive_parts(key, label, ad, salt)?;
    if !bool::from(derived.commitment.as_slice().ct_eq(commitment)) {
        return Err(OpenError::Tampered);
    }
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let frame = derived
        .cipher
        .open_in_place(Nonce::assume_unique_for_key(derived.nonce), Aad::from(ad), &mut buffer)
        .map_err(|_| OpenError::Tampered)?;
    let (padded, length) = frame.split_last_chunk::<LENGTH_BYTES>().ok_or(OpenError::Tampered)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > padded.len() || frame.len() != padded_len(length) {
        return Err(OpenError::Tampered);
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Bytes of a sealed text.
pub(crate) fn sealed_len(plaintext: usize) -> usize {
    HEADER_BYTES + padded_len(plaintext) + TAG_BYTES
}

/// Bytes of the frame that holds a text of this length, its padding and its length.
///
/// Up to 256 bytes frames are multiples of 32. Beyond, the Padmé rule keeps as many leading bits of the length as its
/// exponent needs, so that a length tells at most O(log log n) bits and costs at most 12 %.
fn padded_len(plaintext: usize) -> usize {
    let needed = plaintext + LENGTH_BYTES;
    let mask = if needed <= 256 {
        31
    } else {
        let exponent = needed.ilog2();
        let kept = exponent.ilog2() + 1;
        (1_usize << (exponent - kept)) - 1
    };
    (needed + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    /// A random source that always repeats itself.
    #[derive(Debug)]
    struct Stuck;

    impl Entropy for Stuck {
        fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
            dest.fill(0x17);
            Ok(())
        }
    }

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; 32])
    }

    #[test]
    fn open_after_seal_gives_the_text_back() {
        for length in [0, 1, 27, 28, 29, 252, 253, 1000, 65_536] {
            let text: Vec<u8> = (0..=250).cycle().take(length).collect();
            let sealed = key(1).seal(Label::Value, b"ad", &text, &OsEntropy::default()).unwrap();
            assert_eq!(sealed.len(), sealed_len(length));
            assert_eq!(*key(1).open(Label::Value, b"ad", &sealed).unwrap(), text);
        }
    }

    #[test]
    fn every_changed_byte_and_every_missing_byte_is_noticed() {
        let sealed = key(1).seal(Label::Value, b"ad", b"text", &OsEntropy::default()).unwrap();
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[index] ^= 1 << bit;
                assert!(key(1).open(Label::Value, b"ad", &bad).is_err(), "byte {index}, bit {bit}");
            }
            assert!(key(1).open(Label::Value, b"ad", &sealed[..index]).is_err(), "cut at {index}");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert!(key(1).open(Label::Value, b"ad", &longer).is_err());
    }

    #[test]
    fn a_text_opens_only_under_its_key_its_label_and_its_associated_data() {
        let sealed = key(1).seal(Label::Value, b"ad", b"text", &OsEntropy::default()).unwrap();
        assert_eq!(key(2).open(Label::Value, b"ad", &sealed), Err(OpenError::Tampered));
        assert_eq!(key(1).open(Label::Wrap, b"ad", &sealed), Err(OpenError::Tampered));
        assert_eq!(key(1).open(Label::Value, b"da", &sealed), Err(OpenError::Tampered));
    }

    #[test]
    fn an_unknown_suite_is_named_and_never_guessed() {
        let mut sealed = key(1).seal(Label::Value, b"ad", b"text", &OsEntropy::default()).unwrap();
        sealed[1] = 9;
        assert_eq!(key(1).open(Label::Value, b"ad", &sealed), Err(OpenError::UnsupportedSuite(9)));
    }

    #[test]
    fn a_source_that_repeats_never_repeats_a_salt_for_different_texts() {
        let seal = |ad: &[u8], text: &[u8]| key(1).seal(Label::Value, ad, text, &Stuck).unwrap();
        let salt = |sealed: &[u8]| sealed[2..34].to_vec();
        let first = seal(b"ad", b"one");
        assert_eq!(first, seal(b"ad", b"one"), "the same text twice is all that can be told");
        assert_ne!(salt(&first), salt(&seal(b"ad", b"two")));
        assert_ne!(salt(&first), salt(&seal(b"da", b"one")));
        assert_ne!(salt(&seal(b"a", b"bc")), salt(&seal(b"ab", b"c")));
    }

    #[test]
    fn labels_are_unique_and_none_begins_another() {
        let labels = Label::ALL.map(Label::as_str);
        for (i, a) in labels.iter().enumerate() {
            for b in labels.iter().skip(i + 1) {
                assert!(!a.starts_with(b) && !b.starts_with(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn padding_hides_small_differences_and_costs_at_most_twelve_per_cent() {
        for (plaintext, padded) in [(0, 32), (28, 32), (29, 64), (252, 256), (253, 272), (1000, 1024), (65_536, 67_584)]
        {
            assert_eq!(padded_len(plaintext), padded, "{plaintext}");
        }
        for plaintext in 253..100_000 {
            let padded = padded_len(plaintext);
            assert!(padded >= plaintext + LENGTH_BYTES);
            assert!((padded - plaintext - LENGTH_BYTES) * 100 <= (plaintext + LENGTH_BYTES) * 12, "{plaintext}");
        }
    }
}
