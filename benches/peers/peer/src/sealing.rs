//! The least that an encrypted store has to do: a data key for each value, sealed with AES-256-GCM under a master key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// A nonce, the data key and a tag.
const WRAP_BYTES: usize = NONCE_LEN + KEY_BYTES + TAG_BYTES;

/// The key that all data keys are sealed under.
#[derive(Debug)]
pub struct Master {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Default for Master {
    #[expect(clippy::disallowed_methods, reason = "the peers have no seam for randomness")]
    fn default() -> Self {
        Self { key: cipher(&[7; KEY_BYTES]), random: SystemRandom::new() }
    }
}

impl Master {
    /// The sealed data key, then the sealed value. Both belong to the name.
    pub fn seal(&self, name: &str, value: &[u8]) -> Vec<u8> {
        let mut data_key = [0; KEY_BYTES];
        self.random.fill(&mut data_key).expect("random bytes");
        let mut record = Vec::with_capacity(WRAP_BYTES + NONCE_LEN + value.len() + TAG_BYTES);
        self.append(&mut record, &self.key, name, &data_key);
        self.append(&mut record, &cipher(&data_key), name, value);
        record
    }

    /// Opens in place, without any allocation.
    pub fn open<'a>(&self, name: &str, record: &'a mut [u8]) -> &'a [u8] {
        let (wrap, value) = record.split_at_mut(WRAP_BYTES);
        let data_key = cipher(opened(&self.key, name, wrap));
        opened(&data_key, name, value)
    }

    fn append(&self, record: &mut Vec<u8>, key: &LessSafeKey, name: &str, text: &[u8]) {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("random bytes");
        record.extend(nonce);
        let start = record.len();
        record.extend(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = record.get_mut(start..).expect("what was just added");
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(name), sealed).expect("it seals");
        record.extend(tag.as_ref());
    }
}

fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"))
}

fn opened<'a>(key: &LessSafeKey, name: &str, sealed: &'a mut [u8]) -> &'a [u8] {
    let (nonce, sealed) = sealed.split_at_mut(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).expect("a nonce");
    key.open_in_place(nonce, Aad::from(name), sealed).expect("it opens")
}
