//! Sealing, byte for byte as an independent implementation does it, and what it refuses to open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use strongroom::testing::format::{Sealer, open_once};
use strongroom::{CreateSecretRequest, ListSecretsRequest, MemoryBackend};

use crate::fixture::{Hex, Known, NOW, builder, pattern, read};

const LABELS: [&str; 6] = ["metadata", "head", "value", "data-key", "wrap", "token"];
/// The suite, the salt and the commitment.
const SEAL_HEADER_BYTES: usize = 66;
const TAG_BYTES: usize = 16;

#[derive(Deserialize)]
struct Vectors {
    seal: Vec<Seal>,
    padding: Vec<Padding>,
    tokens: Vec<Token>,
    salamander: Salamander,
    spliced: Vec<Spliced>,
    frames: Vec<Sealed>,
}

#[derive(Deserialize)]
struct Seal {
    name: String,
    label: String,
    key: Hex,
    ad: Hex,
    r: Hex,
    plain_len: usize,
    plain_sha256: Hex,
    salt: Hex,
    commitment: Hex,
    /// Only of short ones.
    sealed: Option<Hex>,
    sealed_sha256: Option<Hex>,
}

#[derive(Deserialize)]
struct Padding {
    plain_len: usize,
    frame_len: usize,
}

#[derive(Deserialize)]
struct Token {
    key: Hex,
    ad: Hex,
    plain: Hex,
    r: Hex,
    issued: i64,
    token: Hex,
}

#[derive(Deserialize)]
struct Salamander {
    label: String,
    ad: Hex,
    body: Hex,
    readers: Vec<Reader>,
}

#[derive(Deserialize)]
struct Reader {
    key: Hex,
    aes_key: Hex,
    nonce: Hex,
    plain: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct Spliced {
    name: String,
    label: String,
    key: Hex,
    ad: Hex,
    sealed: Hex,
    aes_key: Hex,
    nonce: Hex,
    body: Hex,
}

#[derive(Deserialize)]
struct Sealed {
    name: String,
    label: String,
    key: Hex,
    ad: Hex,
    sealed: Hex,
}

fn vectors() -> Vectors {
    read("vectors.json")
}

fn opens(key: &Hex, label: &str, ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let opened = Sealer::new(&key.array()).open(label, ad, sealed).map(|plain| plain.to_vec());
    assert_eq!(opened, open_once(&key.array(), label, ad, sealed).map(|plain| plain.to_vec()));
    opened
}

/// Plain AES-256-GCM, which knows nothing of commitments.
fn gcm_opens(aes_key: &Hex, nonce: &Hex, ad: &Hex, body: &Hex) -> bool {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, aes_key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    key.open_in_place(nonce, Aad::from(&**ad), &mut body.0.clone()).is_ok()
}

impl Seal {
    fn seal(&self) -> Vec<u8> {
        let sealer = Sealer::new(&self.key.array());
        sealer.seal(&self.label, &self.ad, &pattern(self.plain_len), &Known::new(&self.r)).unwrap()
    }
}

/// With one bit changed, another one at each place.
fn with_one_bit_changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1 << (at % 8);
    changed
}

#[test]
fn sealing_gives_the_bytes_of_the_independent_implementation() {
    let vectors = vectors().seal;
    assert_eq!(vectors.len(), 56);
    for vector in vectors {
        let (name, sealed) = (&vector.name, vector.seal());
        assert_eq!(digest(&SHA256, &pattern(vector.plain_len)).as_ref(), &*vector.plain_sha256, "{name}: plaintext");
        assert_eq!(sealed[..2], [0, 1], "{name}: suite");
        assert_eq!(sealed[2..34], *vector.salt, "{name}: salt");
        assert_eq!(sealed[34..66], *vector.commitment, "{name}: commitment");
        match (&vector.sealed, &vector.sealed_sha256) {
            (Some(expected), None) => assert_eq!(sealed, **expected, "{name}"),
            (None, Some(expected)) => assert_eq!(digest(&SHA256, &sealed).as_ref(), &**expected, "{name}"),
            _ => panic!("{name}: nothing to compare with"),
        }
    }
}

#[test]
fn what_was_sealed_opens_again() {
    for vector in vectors().seal {
        let opened = opens(&vector.key, &vector.label, &vector.ad, &vector.seal());
        assert_eq!(opened, Some(pattern(vector.plain_len)), "{}", vector.name);
    }
}

#[test]
fn every_changed_bit_is_refused() {
    for vector in vectors().seal {
        let sealed = vector.seal();
        // Of the long ones every byte at the edges and some of the middle; of the short ones all.
        let edge = |at: usize| at < SEAL_HEADER_BYTES + TAG_BYTES || at + 2 * TAG_BYTES >= sealed.len();
        for at in (0..sealed.len()).filter(|at| sealed.len() < 2048 || edge(*at) || at % 997 == 0) {
            let changed = with_one_bit_changed(&sealed, at);
            assert_eq!(opens(&vector.key, &vector.label, &vector.ad, &changed), None, "{}, byte {at}", vector.name);
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    for vector in vectors().seal.into_iter().filter(|vector| vector.plain_len <= 1000) {
        let sealed = vector.seal();
        let longer = [sealed.as_slice(), &[0]].concat();
        let shorter = (0..sealed.len()).map(|length| &sealed[..length]);
        for changed in shorter.chain([longer.as_slice(), &sealed[1..]]) {
            let opened = opens(&vector.key, &vector.label, &vector.ad, changed);
            assert_eq!(opened, None, "{}, {} bytes", vector.name, changed.len());
        }
    }
}

#[test]
fn another_key_label_or_associated_data_is_refused() {
    for vector in vectors().seal.into_iter().filter(|vector| vector.plain_len <= 1000) {
        let Seal { name, label, key, ad, .. } = &vector;
        let sealed = vector.seal();
        for at in 0..key.len() {
            assert_eq!(opens(&Hex(with_one_bit_changed(key, at)), label, ad, &sealed), None, "{name}, key byte {at}");
        }
        for other in LABELS.into_iter().filter(|other| other != label) {
            assert_eq!(opens(key, other, ad, &sealed), None, "{name} as {other}");
        }
        for at in 0..ad.len() {
            assert_eq!(opens(key, label, &with_one_bit_changed(ad, at), &sealed), None, "{name}, ad byte {at}");
            assert_eq!(opens(key, label, &ad[..at], &sealed), None, "{name}, ad of {at} bytes");
        }
        assert_eq!(opens(key, label, &[ad, [0].as_slice()].concat(), &sealed), None, "{name}, longer ad");
    }
}

#[test]
fn another_suite_is_refused() {
    let vector = vectors().seal.remove(0);
    let mut sealed = vector.seal();
    for suite in (0..=u16::MAX).filter(|suite| *suite != 1) {
        sealed[..2].copy_from_slice(&suite.to_be_bytes());
        assert_eq!(opens(&vector.key, &vector.label, &vector.ad, &sealed), None, "suite {suite}");
    }
}

#[test]
fn an_unknown_label_neither_seals_nor_opens() {
    let vector = vectors().seal.remove(0);
    for label in ["", "Metadata", "metadata ", "header", "wrap/key"] {
        let sealed = Sealer::new(&vector.key.array()).seal(label, &vector.ad, b"", &Known::new(&vector.r));
        assert_eq!((sealed, opens(&vector.key, label, &vector.ad, &vector.seal())), (None, None), "{label}");
    }
}

#[test]
fn padding_follows_the_rule_at_every_step() {
    let vectors = vectors().padding;
    assert!(vectors.len() >= 30);
    let (key, r) = (Hex(vec![1; 32]), Hex(vec![2; 32]));
    for Padding { plain_len, frame_len } in vectors {
        let sealed = Sealer::new(&key.array()).seal("value", b"", &pattern(plain_len), &Known::new(&r)).unwrap();
        assert_eq!(sealed.len(), SEAL_HEADER_BYTES + frame_len + TAG_BYTES, "{plain_len} bytes");
        assert_eq!(opens(&key, "value", b"", &sealed), Some(pattern(plain_len)), "{plain_len} bytes");
    }
}

#[test]
fn page_tokens_are_sealed_as_described() {
    for Token { key, ad, plain, r, issued, token } in vectors().tokens {
        let sealed = Sealer::new(&key.array()).seal("token", &ad, &plain, &Known::new(&r)).unwrap();
        assert_eq!([issued.to_be_bytes().as_slice(), &sealed].concat(), token.0);
        assert_eq!(opens(&key, "token", &ad, &token[8..]), Some(plain.0));
    }
}

/// What a token says without any key: when it was issued, and that it is sealed. Its query is known to nobody else, so
/// an independent implementation cannot open it.
#[test]
fn a_token_of_a_store_begins_with_its_time_of_issue() {
    let store = builder(MemoryBackend::new(), 1).open().unwrap();
    let manager = store.default_secrets_manager();
    for name in ["a", "b"] {
        manager.create_secret(CreateSecretRequest::new(name)).unwrap();
    }
    let token = manager.list_secrets(ListSecretsRequest::new().max_results(1)).unwrap().next_token.unwrap();
    let bytes: Hex = serde_json::from_value(token.clone().into()).unwrap();
    assert_eq!(bytes.to_string(), token, "lower case");
    assert_eq!(bytes[..10], [NOW.to_be_bytes().as_slice(), &[0, 1]].concat());
    assert_eq!(bytes.len(), 8 + SEAL_HEADER_BYTES + 32 + TAG_BYTES);
}

/// AES-GCM does not commit to its key: whoever knows two keys can make one text that opens under both, to different
/// plaintexts. The commitment lets it open under one at most.
#[test]
fn a_text_that_plain_gcm_opens_under_two_keys_opens_under_the_committed_one_only() {
    let Salamander { label, ad, body, readers } = vectors().salamander;
    let [one, other] = readers.as_slice() else { panic!("two readers") };
    assert_ne!(one.plain, other.plain);
    for reader in [one, other] {
        assert!(gcm_opens(&reader.aes_key, &reader.nonce, &ad, &body), "the text is no forgery otherwise");
        assert_eq!(reader.sealed[SEAL_HEADER_BYTES..], *body);
        assert_eq!(opens(&reader.key, &label, &ad, &reader.sealed), Some(reader.plain.0.clone()));
    }
    assert_eq!(opens(&other.key, &label, &ad, &one.sealed), None);
    assert_eq!(opens(&one.key, &label, &ad, &other.sealed), None);
}

#[test]
fn a_text_that_plain_gcm_opens_is_refused_if_the_commitment_is_not_its_own() {
    let vectors = vectors().spliced;
    assert_eq!(vectors.len(), 4);
    for Spliced { name, label, key, ad, sealed, aes_key, nonce, body } in vectors {
        assert!(gcm_opens(&aes_key, &nonce, &ad, &body), "{name}: plain GCM opens it");
        assert_eq!(sealed[SEAL_HEADER_BYTES..], *body);
        assert_eq!(opens(&key, &label, &ad, &sealed), None, "{name}");
    }
}

#[test]
fn a_frame_that_the_padding_rule_does_not_give_is_refused() {
    let vectors = vectors().frames;
    assert_eq!(vectors.len(), 7);
    for Sealed { name, label, key, ad, sealed } in vectors {
        assert_eq!(opens(&key, &label, &ad, &sealed), None, "{name}");
    }
}
