//! A `PassphraseProvider` with Argon2id: which passphrase opens which store, what deriving may cost, and how often it
//! happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use strongroom::testing::key_provider_conformance;
use strongroom::{
    Call, CreateSecretRequest, DataKey, EncryptionContext, Entropy, EntropyError, Error, ErrorKind,
    GetSecretValueRequest, KeyError, KeyFaultReason, KeyProvider, KeyRef, MemoryBackend, OsEntropy,
    PassphraseParameters, PassphraseProvider, Result, SecretStore, StaticKey, WrappedKey,
};
use tempfile::TempDir;

use crate::fixture::{fault, home};

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// The bounds of memory in KiB, passes and lanes.
const WEAKEST: [u32; 3] = [19 * 1024, 2, 1];
const STRONGEST: [u32; 3] = [1024 * 1024, 64, 16];

/// The data key `[0x2a; 32]` under the passphrase `pässword`, by a script that shares no code with this crate: Argon2id
/// with the weakest parameters that are allowed, and the salt 00 01 … 0f.
const FOREIGN_WRAP: &str = "\
    00010100004c000000000200000001000102030405060708090a0b0c0d0e0f00014fc2a46b639a1eaf8b1f56250d54a351c895ae210d0168ba\
    fce3144ec6b8d55cbd1c11b7e8bfa276461f0e8ccac75f21c909f555c27105ccf977ee92eba51a7f7dab88a3a7ba67dc9162b61d1b85a25d09\
    57e2428b356dc37e79f5c55b7b2c68bed870794edb1a3694ecd6926477782fd6a5c28efb48c9e9bba1cf7958a576210de5978b5c6330ce16d2\
    d325eac43d58";
pub(crate) const DEFAULT_KEY: &str = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";

/// What stands in front of a wrapped key: two bytes of format, one of the function, then the parameters and the salt.
pub(crate) const PARAMETERS_AT: usize = 3;
pub(crate) const SALT_AT: usize = 15;
pub(crate) const PREFIX: usize = 31;

pub(crate) fn cheap(passphrase: &str) -> PassphraseProvider {
    PassphraseProvider::cheap_for_tests(passphrase).unwrap()
}

fn parameters([memory_kib, passes, lanes]: [u32; 3]) -> PassphraseParameters {
    PassphraseParameters::new().memory_kib(memory_kib).passes(passes).lanes(lanes)
}

fn weakest(passphrase: &str) -> PassphraseProvider {
    PassphraseProvider::with_parameters(passphrase, parameters(WEAKEST)).unwrap()
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pairs() -> [(&'static str, &'static str); 2] {
    [("SecretARN", "a"), ("SecretVersionId", "v")]
}

pub(crate) fn wrap_with(
    provider: &PassphraseProvider,
    entropy: &dyn Entropy,
) -> Result<(DataKey, WrappedKey), KeyError> {
    let handle = provider.resolve(&home(), KeyRef::Default, &Call::new(entropy))?;
    let data_key = DataKey::from_slice(&[5; 32]).unwrap();
    let wrapped = provider.wrap(&handle, &data_key, &EncryptionContext::new(&pairs()), &Call::new(entropy))?;
    Ok((data_key, wrapped))
}

pub(crate) fn wrap(provider: &PassphraseProvider) -> WrappedKey {
    wrap_with(provider, &OsEntropy::default()).unwrap().1
}

pub(crate) fn unwrap(provider: &PassphraseProvider, wrapped: &WrappedKey) -> Result<DataKey, KeyError> {
    provider.unwrap(wrapped, &EncryptionContext::new(&pairs()), &Call::new(&OsEntropy::default()))
}

pub(crate) fn with_blob(wrapped: &WrappedKey, blob: Vec<u8>) -> WrappedKey {
    WrappedKey::new(wrapped.provider.clone(), wrapped.key_arn.clone(), wrapped.key_version.clone(), blob)
}

/// The same wrapped key, said to have been made with other parameters.
pub(crate) fn claiming(wrapped: &WrappedKey, parameters: [u32; 3]) -> WrappedKey {
    let claimed: Vec<u8> = parameters.iter().flat_map(|number| number.to_be_bytes()).collect();
    let mut blob = wrapped.blob.to_vec();
    blob[PARAMETERS_AT..SALT_AT].copy_from_slice(&claimed);
    with_blob(wrapped, blob)
}

pub(crate) fn value(store: &SecretStore, name: &str) -> String {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name)).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

pub(crate) fn create(store: &SecretStore, name: &str) {
    let request = CreateSecretRequest::new(name).secret_string("v").kms_key_id(format!("alias/{name}"));
    store.default_secrets_manager().create_secret(request).unwrap();
}

fn open_at(path: &Path, provider: &PassphraseProvider) -> Result<SecretStore> {
    SecretStore::builder(path).key_provider(provider.clone()).open()
}

/// A directory with a store that has a secret `s`.
fn existing() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = open_at(&path, &cheap(PASSPHRASE)).unwrap();
    create(&store, "s");
    store.close().unwrap();
    (directory, path)
}

/// A source of random bytes that fails.
#[derive(Debug)]
struct Broken;

impl Entropy for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError::new())
    }
}

#[test]
fn a_passphrase_keeps_the_contract_of_providers_under_every_name() {
    for name in [None, Some("alias/x"), Some("x"), Some("arn:aws:kms:us-east-1:000000000000:key/x")] {
        key_provider_conformance(&cheap(PASSPHRASE), name);
    }
}

/// With the parameters that users get.
#[test]
fn a_store_is_opened_again_with_its_passphrase() {
    let backend = MemoryBackend::new();
    let open = |passphrase: &str| {
        SecretStore::with_backend(backend.clone()).key_provider(PassphraseProvider::new(passphrase)?).open()
    };
    let store = open(PASSPHRASE).unwrap();
    create(&store, "s");
    store.close().unwrap();
    assert_eq!(value(&open(PASSPHRASE).unwrap(), "s"), "v");
    fault(open("another one"));
}

/// A wrong passphrase is the wrong key; it does no harm, and nothing is guessed on the user's behalf.
#[test]
fn another_passphrase_is_the_wrong_key() {
    let (_directory, path) = existing();
    let padded = [" correct horse battery staple", "correct horse battery staple ", "correct horse battery staple\n"];
    for wrong in [&padded[..], &["Correct horse battery staple", "correct", "\0", "x"]].concat() {
        let error = open_at(&path, &cheap(wrong)).unwrap_err();
        let ErrorKind::WrongKey(fault) = error.kind() else { panic!("{wrong:?}: {error:?}") };
        assert_eq!(fault.reason, KeyFaultReason::WrongPassphrase);
        assert!(error.to_string().starts_with("this is not the passphrase of the store"), "{error}");
        assert!(!format!("{error} {error:?}").contains("horse"), "{error:?}");
    }
    assert_eq!(value(&open_at(&path, &cheap(PASSPHRASE)).unwrap(), "s"), "v");
}

/// One character or two: they look the same and are not.
#[test]
fn a_passphrase_is_not_normalised() {
    let composed = cheap("caf\u{e9}");
    let wrapped = wrap(&composed);
    assert_eq!(unwrap(&cheap("cafe\u{301}"), &wrapped), Err(KeyError::WrongPassphrase));
    assert!(unwrap(&cheap("caf\u{e9}"), &wrapped).is_ok());
}

#[test]
fn an_empty_passphrase_is_refused() {
    let empty = [
        PassphraseProvider::new(""),
        PassphraseProvider::new(String::new()),
        PassphraseProvider::with_parameters("", PassphraseParameters::new()),
        PassphraseProvider::cheap_for_tests(""),
    ];
    for result in empty {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration), "{error:?}");
        assert_eq!(error.to_string(), "a passphrase must not be empty");
    }
}

/// What a parameter may be, each in turn with the others as they are by default.
#[test]
fn parameters_that_are_too_weak_or_too_expensive_are_refused() {
    let default = [64 * 1024, 3, 4];
    assert_eq!(parameters(default), PassphraseParameters::default());
    let asked = |parameters: PassphraseParameters| PassphraseProvider::with_parameters(PASSPHRASE, parameters);
    for (index, what) in ["KiB of memory", "passes", "lanes"].into_iter().enumerate() {
        let with = |number| {
            let mut numbers = default;
            numbers[index] = number;
            asked(parameters(numbers))
        };
        let (least, most) = (WEAKEST[index], STRONGEST[index]);
        for number in [least, most] {
            assert!(with(number).is_ok(), "{number} {what}");
        }
        for number in [0, least - 1, most + 1, u32::MAX] {
            let error = with(number).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Configuration), "{error:?}");
            let said = format!("a passphrase needs {least} to {most} {what}, and {number} were asked for");
            assert_eq!(error.to_string(), said);
        }
    }
}

/// A wrapped key may come from an enemy. Nothing is derived, so no memory is taken.
#[test]
fn a_wrapped_key_with_absurd_parameters_is_refused_before_anything_is_derived() {
    let foreign = WrappedKey::new("passphrase", DEFAULT_KEY, "1", from_hex(FOREIGN_WRAP));
    let provider = PassphraseProvider::new("p\u{e4}ssword").unwrap();
    for index in 0..3 {
        for number in [0, 1, WEAKEST[index] - 1, STRONGEST[index] + 1, 64 << 20, u32::MAX] {
            if !(WEAKEST[index]..=STRONGEST[index]).contains(&number) {
                let mut claimed = WEAKEST;
                claimed[index] = number;
                assert_eq!(unwrap(&provider, &claiming(&foreign, claimed)), Err(KeyError::Corrupt), "{claimed:?}");
            }
        }
    }
    for (at, byte) in [(0, 1), (1, 0), (1, 2), (2, 0), (2, 2), (2, 3), (2, 255)] {
        let mut blob = foreign.blob.to_vec();
        blob[at] = byte;
        assert_eq!(unwrap(&provider, &with_blob(&foreign, blob)), Err(KeyError::Corrupt), "byte {at}");
    }
    for length in (0..foreign.blob.len()).chain([foreign.blob.len() + 1, 8 * 1024, 8 * 1024 + 1, 1 << 20]) {
        let mut blob = foreign.blob.to_vec();
        blob.resize(length, 0);
        assert_eq!(unwrap(&provider, &with_blob(&foreign, blob)), Err(KeyError::Corrupt), "{length} bytes");
    }
    let (_, of_another) = {
        let key = StaticKey::new([7; 32]);
        let entropy = OsEntropy::default();
        let handle = key.resolve(&home(), KeyRef::Default, &Call::new(&entropy)).unwrap();
        key.generate(&handle, &EncryptionContext::new(&pairs()), &Call::new(&entropy)).unwrap()
    };
    assert_eq!(unwrap(&provider, &of_another), Err(KeyError::NotFound));
    assert_eq!(provider.derivations(), 0);

    assert_eq!(unwrap(&provider, &foreign), Ok(DataKey::from_slice(&[0x2a; 32]).unwrap()));
    assert_eq!(provider.derivations(), 1);
}

/// Parameters within bounds, but not those of the key.
#[test]
fn parameters_and_salt_are_authenticated() {
    let provider = cheap(PASSPHRASE);
    let wrapped = wrap(&provider);
    for other in [[65, 1, 1], [64, 2, 1], [64, 1, 2]] {
        let error = unwrap(&cheap(PASSPHRASE), &claiming(&wrapped, other)).unwrap_err();
        assert_eq!(error, KeyError::WrongPassphrase, "{other:?}");
    }
    for at in SALT_AT..PREFIX {
        let mut blob = wrapped.blob.to_vec();
        blob[at] ^= 1;
        assert_eq!(unwrap(&provider, &with_blob(&wrapped, blob)), Err(KeyError::WrongPassphrase), "byte {at}");
    }
    assert!(unwrap(&provider, &wrapped).is_ok());
}

/// What tests make in no time is of no use elsewhere.
#[test]
fn a_store_with_cheap_parameters_opens_for_tests_only() {
    let (_directory, path) = existing();
    let real = PassphraseProvider::new(PASSPHRASE).unwrap();
    fault(open_at(&path, &real));
    assert_eq!(real.derivations(), 0);
}

#[test]
fn a_key_is_derived_once_for_each_opening() {
    let (_directory, path) = existing();
    let provider = cheap(PASSPHRASE);
    let store = open_at(&path, &provider).unwrap();
    for number in 0..5 {
        create(&store, &format!("s{number}"));
        assert_eq!(value(&store, &format!("s{number}")), "v");
    }
    assert_eq!(value(&store, "s"), "v");
    store.close().unwrap();
    assert_eq!(provider.derivations(), 1);

    let fresh = cheap(PASSPHRASE);
    let store = open_at(&path, &fresh).unwrap();
    assert_eq!(value(&store, "s4"), "v");
    assert_eq!(fresh.derivations(), 1);
    drop(store);
    assert_eq!(value(&open_at(&path, &fresh).unwrap(), "s"), "v");
    assert_eq!(fresh.derivations(), 1, "nor again for the same store");
}

#[test]
fn a_key_that_many_need_at_once_is_derived_once() {
    let wrapped = wrap(&weakest(PASSPHRASE));
    let (reader, writer) = (weakest(PASSPHRASE), weakest(PASSPHRASE));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(unwrap(&reader, &wrapped).is_ok()));
            scope.spawn(|| wrap(&writer));
        }
    });
    assert_eq!((reader.derivations(), writer.derivations()), (1, 1));
}

/// A store keeps the cost and the salt it was made with, whatever its opener would choose for a new one.
#[test]
fn a_store_keeps_its_parameters_and_its_salt() {
    let first = wrap(&weakest(PASSPHRASE));
    assert_eq!(first.blob[PARAMETERS_AT..SALT_AT], [0, 0, 76, 0, 0, 0, 0, 2, 0, 0, 0, 1]);
    let stronger = PassphraseProvider::new(PASSPHRASE).unwrap();
    unwrap(&stronger, &first).unwrap();
    assert_eq!(wrap(&stronger).blob[..PREFIX], first.blob[..PREFIX]);
    assert_eq!(stronger.derivations(), 1);
    let unused = PassphraseProvider::new(PASSPHRASE).unwrap();
    assert_eq!(wrap(&unused).blob[PARAMETERS_AT..SALT_AT], [0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4]);
}

#[test]
fn two_stores_under_one_passphrase_have_two_salts() {
    let [one, two] = [(); 2].map(|()| wrap(&cheap(PASSPHRASE)));
    assert_ne!(one.blob[SALT_AT..PREFIX], two.blob[SALT_AT..PREFIX]);
    let provider = cheap(PASSPHRASE);
    assert!(unwrap(&provider, &one).is_ok() && unwrap(&provider, &two).is_ok());
    assert_eq!(wrap(&provider).blob[..PREFIX], one.blob[..PREFIX], "the first one stays");
}

/// Few derived keys are kept, and the one that wraps always.
#[test]
fn derived_keys_are_kept_but_not_without_end() {
    let provider = cheap(PASSPHRASE);
    let own = wrap(&provider);
    let others: Vec<_> = (0..6).map(|_| wrap(&cheap(PASSPHRASE))).collect();
    let derivations_for = |wrapped: &WrappedKey| {
        let before = provider.derivations();
        unwrap(&provider, wrapped).unwrap();
        provider.derivations() - before
    };
    for other in &others {
        assert_eq!(derivations_for(other), 1);
    }
    for newest in others.iter().rev().take(3).chain([&own]) {
        assert_eq!(derivations_for(newest), 0);
    }
    assert_eq!(derivations_for(&others[0]), 1);
    assert_eq!(wrap(&provider).blob[..PREFIX], own.blob[..PREFIX]);
}

/// What does not open decides nothing.
#[test]
fn forged_wrapped_keys_neither_push_out_keys_nor_choose_parameters() {
    let wrapped = wrap(&cheap(PASSPHRASE));
    let provider = cheap(PASSPHRASE);
    let forge = || {
        for memory in 100..110 {
            assert_eq!(unwrap(&provider, &claiming(&wrapped, [memory, 1, 1])), Err(KeyError::WrongPassphrase));
        }
    };
    forge();
    unwrap(&provider, &wrapped).unwrap();
    assert_eq!(wrap(&provider).blob[..PREFIX], wrapped.blob[..PREFIX]);
    assert_eq!(provider.derivations(), 11);
    forge();
    unwrap(&provider, &wrapped).unwrap();
    assert_eq!(provider.derivations(), 11, "nothing is derived twice");
}

/// A store full of wrapped keys that do not open costs one derivation for each setting, not one for each key, and what is
/// remembered of them has an end.
#[test]
fn what_did_not_open_is_not_derived_again() {
    let provider = cheap(PASSPHRASE);
    let own = wrap(&provider);
    let others: Vec<_> = (0..70).map(|_| wrap(&cheap("another"))).collect();
    let derivations_for = |wrapped: &WrappedKey| {
        let before = provider.derivations();
        for _ in 0..3 {
            assert_eq!(unwrap(&provider, wrapped), Err(KeyError::WrongPassphrase));
        }
        provider.derivations() - before
    };
    let costs: Vec<_> = others.iter().map(derivations_for).collect();
    assert_eq!(costs, [1; 70]);
    let again: u64 = others[6..].iter().map(derivations_for).sum();
    assert_eq!((again, derivations_for(&others[0])), (0, 1));
    let before = provider.derivations();
    unwrap(&provider, &own).unwrap();
    assert_eq!(provider.derivations(), before, "the key that wraps is still there");
}

/// Damage of one wrapped key says nothing of the others, whichever is met first.
#[test]
fn a_damaged_wrapped_key_is_damage_once_its_passphrase_is_known_to_be_right() {
    let wrapped = wrap(&cheap(PASSPHRASE));
    let mut blob = wrapped.blob.to_vec();
    *blob.last_mut().unwrap() ^= 1;
    let damaged = with_blob(&wrapped, blob);
    let provider = cheap(PASSPHRASE);
    assert_eq!(unwrap(&provider, &damaged), Err(KeyError::WrongPassphrase), "nobody can tell yet");
    unwrap(&provider, &wrapped).unwrap();
    assert_eq!(unwrap(&provider, &damaged), Err(KeyError::Corrupt));
    assert_eq!(provider.derivations(), 1);
    // What was wrapped here is known as well.
    let provider = cheap(PASSPHRASE);
    let mut own = wrap(&provider);
    own.blob[PREFIX + 2] ^= 1;
    assert_eq!(unwrap(&provider, &own), Err(KeyError::Corrupt));
}

/// The version of a key names its passphrase's setting: the digest of what stands in front of the wrapped key.
#[test]
fn the_version_of_a_key_is_that_of_its_setting() {
    let entropy = OsEntropy::default();
    let provider = cheap(PASSPHRASE);
    let resolved = |provider: &PassphraseProvider, key| provider.resolve(&home(), key, &Call::new(&entropy)).unwrap();
    // Before there is a key: the salt is drawn, and nothing is derived.
    let first = resolved(&provider, KeyRef::Default);
    assert_eq!(provider.derivations(), 0);
    assert_eq!(resolved(&provider, KeyRef::Alias("alias/x")).version, first.version);
    let wrapped = wrap(&provider);
    let digest = ring::digest::digest(&ring::digest::SHA256, &wrapped.blob[..PREFIX]);
    let expected: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&*wrapped.key_version, &*first.version), (expected.as_str(), expected.as_str()));
    // A provider that opened it has the same, and another one another.
    let reader = cheap(PASSPHRASE);
    unwrap(&reader, &wrapped).unwrap();
    assert_eq!(resolved(&reader, KeyRef::Default).version, first.version);
    assert_ne!(resolved(&cheap(PASSPHRASE), KeyRef::Default).version, first.version);
    // It is a name and decides nothing.
    let renamed = WrappedKey::new("passphrase", wrapped.key_arn.clone(), "1", wrapped.blob.clone());
    assert!(unwrap(&reader, &renamed).is_ok());
}

#[test]
fn without_random_bytes_nothing_is_wrapped_and_nothing_is_remembered() {
    let provider = cheap(PASSPHRASE);
    assert_eq!(wrap_with(&provider, &Broken).unwrap_err(), KeyError::Entropy);
    assert_eq!(provider.derivations(), 0);
    let wrapped = wrap(&provider);
    assert_ne!(wrapped.blob[SALT_AT..PREFIX], [0; 16]);
    assert_eq!(wrap_with(&provider, &Broken).unwrap_err(), KeyError::Entropy);
    assert!(unwrap(&provider, &wrapped).is_ok());
}

/// Where a header keeps the parameters and the salt: in the body of each copy, which begins at its fifth byte.
fn prefixes_in(header: &[u8]) -> [usize; 2] {
    let length = u32::from_be_bytes(*header.first_chunk().unwrap()) as usize;
    let prefix = [0, 1, 1, 0, 0, 0, 64, 0, 0, 0, 1, 0, 0, 0, 1];
    let at = header[4..4 + length].windows(15).position(|window| window == prefix).unwrap() + 4;
    [at, at + header.len() / 2]
}

/// Changes bytes in both copies of a header, and opens the store.
fn open_changed(path: &Path, good: &[u8], change: impl Fn(&mut [u8]), is_forged: bool) -> (Error, u64) {
    let mut header = good.to_vec();
    for at in prefixes_in(good) {
        change(&mut header[at..at + PREFIX]);
    }
    if is_forged {
        let length = u32::from_be_bytes(*good.first_chunk().unwrap()) as usize;
        for copy in [0, good.len() / 2] {
            let body = copy + 4..copy + 4 + length;
            let digest = ring::digest::digest(&ring::digest::SHA256, &header[body.clone()]);
            header[body.end..body.end + 32].copy_from_slice(digest.as_ref());
        }
    }
    fs::write(path.join("store.hdr"), header).unwrap();
    let provider = cheap(PASSPHRASE);
    (open_at(path, &provider).unwrap_err(), provider.derivations())
}

/// Damage is told apart from a wrong passphrase: the header's checksum comes first.
#[test]
fn a_damaged_header_is_damage_and_not_a_wrong_passphrase() {
    let (_directory, path) = existing();
    let good = fs::read(path.join("store.hdr")).unwrap();
    for at in 0..PREFIX {
        let (error, derivations) = open_changed(&path, &good, |prefix| prefix[at] ^= 0x10, false);
        assert!(matches!(error.kind(), ErrorKind::Corrupted), "byte {at}: {error:?}");
        assert_eq!(derivations, 0, "byte {at}");
    }
    fs::write(path.join("store.hdr"), &good).unwrap();
    assert_eq!(value(&open_at(&path, &cheap(PASSPHRASE)).unwrap(), "s"), "v");
}

/// Somebody who makes the checksum fit still cannot choose the parameters, nor what opening costs.
#[test]
fn a_forged_header_opens_nothing_and_costs_nothing() {
    let (_directory, path) = existing();
    let good = fs::read(path.join("store.hdr")).unwrap();
    for (numbers, expected_derivations) in [
        ([65, 1, 1], 1),
        ([64, 2, 1], 1),
        ([STRONGEST[0] + 1, 1, 1], 0),
        ([64, STRONGEST[1] + 1, 1], 0),
        ([u32::MAX, u32::MAX, u32::MAX], 0),
        ([0, 0, 0], 0),
    ] {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number: &u32| number.to_be_bytes()).collect();
        let change = |prefix: &mut [u8]| prefix[PARAMETERS_AT..SALT_AT].copy_from_slice(&bytes);
        let (error, derivations) = open_changed(&path, &good, change, true);
        assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{numbers:?}: {error:?}");
        assert_eq!(derivations, expected_derivations, "{numbers:?}");
    }
    fs::write(path.join("store.hdr"), &good).unwrap();
    assert_eq!(value(&open_at(&path, &cheap(PASSPHRASE)).unwrap(), "s"), "v");
}

#[test]
fn a_passphrase_is_not_shown_when_it_is_printed() {
    let provider = cheap(PASSPHRASE);
    wrap(&provider);
    let shown = format!("{provider:?} {provider:#?}");
    assert!(shown.contains("[redacted]") && shown.contains("memory_kib"), "{shown}");
    assert!(!shown.contains("horse") && !shown.contains("28"), "neither the text nor its length: {shown}");
}
