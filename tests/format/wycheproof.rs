//! The primitives, against the vectors of Project Wycheproof: AES-256-GCM, HKDF-SHA-256 and HMAC-SHA-256 of `ring`, called
//! as the store calls them, and PBKDF2-HMAC-SHA-256 by the function with which a passphrase becomes a key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom::testing::format::pbkdf2_hmac_sha256;
use subtle::ConstantTimeEq;

use crate::fixture::{Hex, read};

#[derive(Deserialize)]
struct File<T> {
    tests: Vec<T>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Invalid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gcm {
    tc_id: u32,
    comment: String,
    key_size: usize,
    iv_size: usize,
    tag_size: usize,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    result: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hkdf {
    tc_id: u32,
    comment: String,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
    result: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hmac {
    tc_id: u32,
    comment: String,
    tag_size: usize,
    key: Hex,
    msg: Hex,
    tag: Hex,
    result: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pbkdf2 {
    tc_id: u32,
    comment: String,
    password: Hex,
    salt: Hex,
    iteration_count: u32,
    dk_len: usize,
    dk: Hex,
    result: Verdict,
}

/// The tests of a file: so many, of which so many are valid.
fn tests<T: DeserializeOwned>(name: &str, count: usize, valid: usize, is_valid: impl Fn(&T) -> bool) -> Vec<T> {
    let File { tests } = read::<File<T>>(&format!("wycheproof/{name}"));
    let found = (tests.len(), tests.iter().filter(|test| is_valid(test)).count());
    assert_eq!(found, (count, valid), "{name}");
    tests
}

fn gcm_key(key: &Hex) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn nonce(iv: &Hex) -> Nonce {
    Nonce::assume_unique_for_key(iv.array())
}

#[test]
fn aes_256_gcm() {
    for test in tests("aes_256_gcm.json", 66, 39, |test: &Gcm| test.result == Verdict::Valid) {
        let Gcm { tc_id, comment, key_size, iv_size, tag_size, key, iv, aad, msg, ct, tag, result } = test;
        let what = format!("{tc_id} {comment}");
        assert_eq!((key_size, iv_size, tag_size), (256, 96, 128), "{what}");
        let mut sealed = [ct.0.as_slice(), &tag].concat();
        let opened = gcm_key(&key).open_in_place(nonce(&iv), Aad::from(&*aad), &mut sealed);
        match (opened, &result) {
            (Ok(plain), Verdict::Valid) => assert_eq!(plain, &*msg, "{what}"),
            (Err(_), Verdict::Invalid) => {}
            (Ok(_), Verdict::Invalid) => panic!("{what}: opened"),
            (Err(_), Verdict::Valid) => panic!("{what}: refused"),
        }
        // Whatever the verdict is: sealing the message gives a valid text, and so differs from an invalid one.
        let mut text = msg.0.clone();
        let made = gcm_key(&key).seal_in_place_separate_tag(nonce(&iv), Aad::from(&*aad), &mut text).unwrap();
        let is_same = text == ct.0 && made.as_ref() == &*tag;
        assert_eq!(is_same, result == Verdict::Valid, "{what}: sealed");
    }
}

/// How many bytes to derive.
struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], key: &[u8], info: &[u8], size: usize) -> Option<Vec<u8>> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    let mut out = vec![0; size];
    prk.expand(&[info], Bytes(size)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

#[test]
fn hkdf_sha256() {
    for test in tests("hkdf_sha256.json", 86, 83, |test: &Hkdf| test.result == Verdict::Valid) {
        let Hkdf { tc_id, comment, ikm, salt, info, size, okm, result } = test;
        let expected = (result == Verdict::Valid).then_some(okm.0);
        assert_eq!(derive(&salt, &ikm, &info, size), expected, "{tc_id} {comment}");
    }
}

/// The info of a derivation is given in parts, which must be the same as given in one.
#[test]
fn hkdf_sha256_with_the_info_in_parts() {
    for test in tests("hkdf_sha256.json", 86, 83, |test: &Hkdf| test.result == Verdict::Valid) {
        let Hkdf { tc_id, ikm, salt, info, size, okm, result, .. } = test;
        if result == Verdict::Valid {
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&ikm);
            let (one, other) = info.split_at(info.len() / 2);
            let mut out = vec![0; size];
            prk.expand(&[one, &[], other], Bytes(size)).unwrap().fill(&mut out).unwrap();
            assert_eq!(out, okm.0, "{tc_id}");
        }
    }
}

#[test]
fn hmac_sha256() {
    for test in tests("hmac_sha256.json", 174, 66, |test: &Hmac| test.result == Verdict::Valid) {
        let Hmac { tc_id, comment, tag_size, key, msg, tag, result } = test;
        let what = format!("{tc_id} {comment}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let mut context = hmac::Context::with_key(&key);
        let (one, other) = msg.split_at(msg.len() / 2);
        context.update(one);
        context.update(other);
        let (whole, in_parts) = (hmac::sign(&key, &msg), context.sign());
        assert_eq!(whole.as_ref(), in_parts.as_ref(), "{what}");
        let is_valid: bool = whole.as_ref()[..tag_size / 8].ct_eq(&tag).into();
        assert_eq!(is_valid, result == Verdict::Valid, "{what}");
        if tag_size == 256 {
            assert_eq!(hmac::verify(&key, &msg, &tag).is_ok(), result == Verdict::Valid, "{what}");
        }
    }
}

#[test]
fn pbkdf2_with_hmac_sha256() {
    for test in tests("pbkdf2_hmac_sha256.json", 60, 60, |test: &Pbkdf2| test.result == Verdict::Valid) {
        let Pbkdf2 { tc_id, comment, password, salt, iteration_count, dk_len, dk, .. } = test;
        let mut key = vec![0; dk_len];
        assert!(pbkdf2_hmac_sha256(&password, &salt, iteration_count, &mut key), "{tc_id} {comment}");
        assert_eq!(key, dk.0, "{tc_id} {comment}");
        assert!(pbkdf2_hmac_sha256(&password, &salt, iteration_count + 1, &mut key), "{tc_id} {comment}");
        assert_ne!(key, dk.0, "{tc_id} {comment}: one iteration more");
        let before = key.clone();
        assert!(!pbkdf2_hmac_sha256(&password, &salt, 0, &mut key), "{tc_id} {comment}");
        assert_eq!(key, before, "{tc_id} {comment}: without iterations nothing is derived");
    }
}
