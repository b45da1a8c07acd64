//! An `OsKeyringProvider` over a keyring for tests: what is kept there, what is refused, and that nothing is replaced.
//!
//! The keyring is the process's own, so every test has a user of its own in it.

use std::any::Any;
use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex, Once};
use std::thread;

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::mock::{Cred, Store};
use keyring_core::{Credential, Entry, Error as KeyringError};
use strongroom::testing::key_provider_conformance;
use strongroom::{
    Call, DataKey, EncryptionContext, ErrorKind, KeyError, KeyFaultReason, KeyProvider, KeyRef, MemoryBackend,
    OsEntropy, OsKeyringProvider, Result, SecretStore, StaticKey, WrappedKey,
};

use crate::fixture::{fault, home};
use crate::passphrase::{create, value};

const SERVICE: &str = "strongroom-tests";
const DAMAGED: &str = "is not one of this provider, or is damaged, and is left as it is";
/// The first three lines of an entry that was not made by this crate.
const FOREIGN_BODY: &str = "strongroom-os-keyring 1\n\
                            id 01234567-89ab-4cde-8f01-23456789abcd\n\
                            key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
const ALTERNATIVES: [&str; 2] = ["key file (`KeyFileProvider`)", "passphrase (`PassphraseProvider`)"];

/// A keyring for tests, in which the entries of some users do not keep what they are given.
#[derive(Debug)]
struct Keyring(Arc<Store>);

impl CredentialStoreApi for Keyring {
    fn vendor(&self) -> String {
        self.0.vendor()
    }

    fn id(&self) -> String {
        self.0.id()
    }

    fn build(&self, service: &str, user: &str, modifiers: Option<&HashMap<&str, &str>>) -> keyring_core::Result<Entry> {
        match user {
            "forgetful" => {
                Ok(Entry::new_with_credential(Arc::new(Unfaithful { keeps: None, was_given: Mutex::default() })))
            }
            "stubborn" => {
                let keeps = Some(with_checksum(FOREIGN_BODY));
                Ok(Entry::new_with_credential(Arc::new(Unfaithful { keeps, was_given: Mutex::default() })))
            }
            _ => self.0.build(service, user, modifiers),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An entry that takes everything, and then has something else.
#[derive(Debug)]
struct Unfaithful {
    keeps: Option<String>,
    was_given: Mutex<bool>,
}

impl CredentialApi for Unfaithful {
    fn set_secret(&self, _: &[u8]) -> keyring_core::Result<()> {
        *self.was_given.lock().unwrap() = true;
        Ok(())
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        let was_given = *self.was_given.lock().unwrap();
        let kept = self.keeps.clone().filter(|_| was_given);
        kept.map(String::into_bytes).ok_or(KeyringError::NoEntry)
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        Err(KeyringError::NoEntry)
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The entry of a user, in the one keyring of this process.
fn entry(user: &str) -> Entry {
    static KEYRING: Once = Once::new();
    KEYRING.call_once(|| keyring_core::set_default_store(Arc::new(Keyring(Store::new().unwrap()))));
    Entry::new(SERVICE, user).unwrap()
}

/// The next call for this entry fails.
fn fail_next(entry: &Entry, error: KeyringError) {
    entry.as_any().downcast_ref::<Cred>().unwrap().set_error(error);
}

fn open(user: &str) -> Result<OsKeyringProvider> {
    OsKeyringProvider::open(SERVICE, user)
}

fn create_key(user: &str) -> Result<OsKeyringProvider> {
    OsKeyringProvider::create(SERVICE, user)
}

fn open_or_create(user: &str) -> Result<OsKeyringProvider> {
    OsKeyringProvider::open_or_create(SERVICE, user)
}

#[track_caller]
fn refused(result: Result<OsKeyringProvider>, text: &str) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyFile), "{error:?}");
    assert!(error.to_string().contains(text), "{error} does not say `{text}`");
    format!("{error} {error:?}")
}

fn pairs() -> [(&'static str, &'static str); 2] {
    [("SecretARN", "a"), ("SecretVersionId", "v")]
}

fn wrap_with(provider: &dyn KeyProvider) -> (DataKey, WrappedKey) {
    let entropy = OsEntropy::default();
    let handle = provider.resolve(&home(), KeyRef::Default, &Call::new(&entropy)).unwrap();
    let (key, wrapped) = provider.generate(&handle, &EncryptionContext::new(&pairs()), &Call::new(&entropy)).unwrap();
    assert_eq!(handle.version, wrapped.key_version);
    (key, wrapped)
}

fn unwrap_with(provider: &dyn KeyProvider, wrapped: &WrappedKey) -> Result<DataKey, KeyError> {
    provider.unwrap(wrapped, &EncryptionContext::new(&pairs()), &Call::new(&OsEntropy::default()))
}

/// Puts the right last line, the SHA-256 of everything before it, at the end of a forged entry.
fn with_checksum(body: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body}sha256 {hex}\n")
}

#[test]
fn a_key_in_the_keyring_keeps_the_contract_of_providers_under_every_name() {
    entry("contract");
    let provider = create_key("contract").unwrap();
    for name in [None, Some("alias/x"), Some("x"), Some("arn:aws:kms:us-east-1:000000000000:key/x")] {
        key_provider_conformance(&provider, name);
    }
}

#[test]
fn a_store_is_opened_again_with_its_key_and_with_no_other() {
    entry("store");
    let backend = MemoryBackend::new();
    let open = |user| SecretStore::with_backend(backend.clone()).key_provider(open_or_create(user)?).open();
    let store = open("store").unwrap();
    create(&store, "s");
    store.close().unwrap();
    assert_eq!(value(&open("store").unwrap(), "s"), "v");
    let (_, other) = fault(open("store-other"));
    assert_eq!(other.reason, KeyFaultReason::NotFound);
}

#[test]
fn a_missing_entry_is_opened_only_if_it_may_be_made() {
    let entry = entry("missing");
    refused(open("missing"), "has no entry `missing` of service `strongroom-tests`");
    assert!(matches!(entry.get_secret(), Err(KeyringError::NoEntry)));
    let made = open_or_create("missing").unwrap();
    assert_eq!((made.service(), made.user()), (SERVICE, "missing"));
    for opened in [open("missing").unwrap(), open_or_create("missing").unwrap()] {
        assert_eq!(opened.key_id(), made.key_id());
    }
    entry.delete_credential().unwrap();
    refused(open("missing"), "has no entry");
    assert_ne!(create_key("missing").unwrap().key_id(), made.key_id());
}

/// Told apart: a key that is not this one, and damage.
#[test]
fn what_another_key_wrapped_is_not_found_and_what_is_damaged_is_corrupt() {
    entry("apart");
    let provider = create_key("apart").unwrap();
    let (key, wrapped) = wrap_with(&provider);
    assert_eq!(*wrapped.provider, *"os-keyring");
    assert_eq!(*wrapped.key_version, *provider.key_id());
    assert_eq!(unwrap_with(&open("apart").unwrap(), &wrapped), Ok(key));
    assert_eq!(unwrap_with(&create_key("apart-other").unwrap(), &wrapped), Err(KeyError::NotFound));
    assert_eq!(unwrap_with(&provider, &wrap_with(&StaticKey::new([7; 32])).1), Err(KeyError::NotFound));
    for length in [0, 1, wrapped.blob.len() - 1, 8 * 1024 + 1] {
        let mut blob = wrapped.blob.to_vec();
        blob.resize(length, 0);
        let cut = WrappedKey::new("os-keyring", wrapped.key_arn.clone(), wrapped.key_version.clone(), blob);
        assert_eq!(unwrap_with(&provider, &cut), Err(KeyError::Corrupt), "{length} bytes");
    }
    let mut blob = wrapped.blob.to_vec();
    *blob.last_mut().unwrap() ^= 1;
    let damaged = WrappedKey::new("os-keyring", wrapped.key_arn, wrapped.key_version, blob);
    assert_eq!(unwrap_with(&provider, &damaged), Err(KeyError::Corrupt));
}

/// The entry is text of one form, well below what the smallest keyring holds.
#[test]
fn an_entry_has_one_form() {
    let entry = entry("form");
    let provider = create_key("form").unwrap();
    let text = entry.get_password().unwrap();
    assert_eq!(text.len(), 205);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["strongroom-os-keyring 1", &format!("id {}", provider.key_id())]);
    assert_eq!(with_checksum(&text[..text.len() - 72]), text);
    assert!(lines[2].starts_with("key ") && lines[2].len() == 68);
    // The same form from elsewhere.
    entry.set_password(&with_checksum(FOREIGN_BODY)).unwrap();
    assert_eq!(open("form").unwrap().key_id(), "01234567-89ab-4cde-8f01-23456789abcd");
}

#[test]
fn an_entry_of_another_form_is_refused_and_left_as_it_is() {
    let entry = entry("foreign");
    create_key("foreign").unwrap();
    let good = entry.get_secret().unwrap();
    let key_file = String::from_utf8(good.clone()).unwrap();
    let key_file = with_checksum(&key_file[..key_file.len() - 72].replace("-os-keyring", "-key-file"));
    let long = [&good[..], &vec![b'\n'; 3000]].concat();
    let mut cases: Vec<Vec<u8>> = vec![Vec::new(), b"hunter2".to_vec(), vec![0xff; 32], key_file.into_bytes(), long];
    cases.extend((0..good.len()).map(|length| good[..length].to_vec()));
    cases.extend((0..good.len()).map(|at| {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        flipped
    }));
    for case in cases {
        entry.set_secret(&case).unwrap();
        refused(open("foreign"), DAMAGED);
        refused(open_or_create("foreign"), DAMAGED);
        refused(create_key("foreign"), "has an entry `foreign` of service `strongroom-tests` already");
        assert_eq!(entry.get_secret().unwrap(), case);
    }
    let newer = with_checksum("strongroom-os-keyring 2\nwhatever\n");
    entry.set_password(&newer).unwrap();
    refused(open("foreign"), "has the newer format 2, and this version reads up to 1; use a newer version");
    refused(create_key("foreign"), "already");
    assert_eq!(entry.get_password().unwrap(), newer);
    // No form is longer than what the smallest keyring holds.
    for (padding, text) in [(2463, "newer format 2"), (2464, DAMAGED)] {
        let long = with_checksum(&format!("strongroom-os-keyring 2\n{}\n", "x".repeat(padding)));
        entry.set_password(&long).unwrap();
        assert_eq!(long.len(), padding + 97);
        refused(open("foreign"), text);
    }
    entry.set_secret(&good).unwrap();
    open("foreign").unwrap();
    refused(create_key("foreign"), "already");
}

/// Every way in which a keyring fails has a text that says what to do, and none shows what the entry holds.
#[test]
fn what_a_keyring_says_is_passed_on_without_the_key() {
    let entry = entry("failing");
    create_key("failing").unwrap();
    let key = entry.get_secret().unwrap();
    let digits = entry.get_password().unwrap().lines().nth(2).unwrap()[4..20].to_owned();
    let numbers = format!("{}, {}, {}", key[0], key[1], key[2]);
    let because = || -> keyring_core::error::PlatformError { Box::new(std::io::Error::other("it is locked")) };
    let several = || vec![Entry::new(SERVICE, "failing").unwrap()];
    let rows: [(KeyringError, &[&str]); 10] = [
        (KeyringError::NoStorageAccess(because()), &["cannot be reached to read", "it is locked", "unlock it"]),
        (KeyringError::PlatformFailure(because()), &["cannot be reached to read", "it is locked"]),
        (KeyringError::BadStoreFormat("odd".to_owned()), &["cannot be reached to read", "odd"]),
        (KeyringError::BadEncoding(key.clone()), &[DAMAGED]),
        (KeyringError::BadDataFormat(key.clone(), because()), &[DAMAGED]),
        (KeyringError::Ambiguous(several()), &["has several entries"]),
        (KeyringError::TooLong("user".to_owned(), 10), &["does not take", "user"]),
        (KeyringError::Invalid("user".to_owned(), "bad".to_owned()), &["does not take", "bad"]),
        (KeyringError::NotSupportedByStore("no".to_owned()), &["does not take", "no"]),
        (KeyringError::NoDefaultStore, &["no keyring was chosen", "set_default_store"]),
    ];
    for (error, says) in rows {
        let names_alternatives = !matches!(
            error,
            KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) | KeyringError::Ambiguous(_)
        );
        fail_next(&entry, error);
        let said = refused(open("failing"), says[0]);
        assert!(says.iter().all(|text| said.contains(text)), "{said}");
        let alternatives = if names_alternatives { &ALTERNATIVES[..] } else { &[] };
        assert!(alternatives.iter().all(|text| said.contains(text)), "{said}");
        assert!(!said.contains(&digits) && !said.contains(&numbers), "{said}");
    }
    assert_eq!(entry.get_secret().unwrap(), key);
    open("failing").unwrap();
}

/// A key that cannot be read again would lose everything that is wrapped under it.
#[test]
fn a_keyring_that_does_not_keep_its_entry_gives_no_key() {
    entry("other");
    for user in ["forgetful", "stubborn"] {
        for result in [create_key(user), open_or_create(user)] {
            let said = refused(result, "did not keep the entry");
            assert!(ALTERNATIVES.iter().all(|text| said.contains(text)), "{said}");
        }
    }
}

#[test]
fn an_entry_needs_two_names() {
    entry("names");
    for (service, user) in [("", ""), ("", "names"), (SERVICE, "")] {
        for result in [
            OsKeyringProvider::open(service, user),
            OsKeyringProvider::create(service, user),
            OsKeyringProvider::open_or_create(service, user),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Configuration), "{error:?}");
        }
    }
}

/// Run by `without_a_keyring_the_alternatives_are_named` in a process of its own.
#[test]
#[ignore = "only of use as a child process"]
fn child_has_no_keyring() {
    keyring_core::unset_default_store();
    for result in [open("x"), create_key("x"), open_or_create("x")] {
        let said = refused(result, "no keyring was chosen: call `keyring_core::set_default_store` first");
        assert!(ALTERNATIVES.iter().all(|text| said.contains(text)), "{said}");
    }
    eprintln!("every way was refused");
}

#[test]
fn without_a_keyring_the_alternatives_are_named() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "os_keyring::child_has_no_keyring", "--include-ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("every way was refused"), "{said}");
}

/// Within a process one is made at a time.
#[test]
fn several_makers_at_once_get_the_same_key() {
    for round in 0..20 {
        let user = Arc::new(format!("makers-{round}"));
        entry(&user);
        let ids: Vec<String> = thread::scope(|scope| {
            let make = || open_or_create(&user).unwrap().key_id().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(open(&user).unwrap().key_id(), ids[0]);
    }
}

#[test]
fn a_key_is_not_shown_when_it_is_printed() {
    let entry = entry("printed");
    let provider = create_key("printed").unwrap();
    let shown = format!("{provider:?} {provider:#?}");
    let digits = entry.get_password().unwrap().lines().nth(2).unwrap()[4..].to_owned();
    assert!(shown.contains("[redacted]") && shown.contains(provider.key_id()), "{shown}");
    assert!(!shown.contains(&digits), "{shown}");
}
