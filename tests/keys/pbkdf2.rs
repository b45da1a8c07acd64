//! A `PassphraseProvider` with PBKDF2: what it costs, what is refused, and that it is what it says it is.

use strongroom::testing::key_provider_conformance;
use strongroom::{
    DataKey, ErrorKind, KeyError, KeyFaultReason, MemoryBackend, PassphraseParameters, PassphraseProvider, SecretStore,
    WrappedKey,
};

use crate::fixture::fault;
use crate::passphrase::{
    DEFAULT_KEY, PARAMETERS_AT, PASSPHRASE, PREFIX, SALT_AT, claiming, create, from_hex, unwrap, value, with_blob, wrap,
};

const LEAST: u32 = 600_000;
const MOST: u32 = 50_000_000;

/// The data key `[0x2a; 32]` under the passphrase `pässword` and the salt 00 01 … 0f, with the fewest iterations that are
/// allowed, by `tests/keys/passphrase_wraps.py`, which shares no code with this crate.
const FOREIGN_WRAP: &str = "\
    000102000927c00000000000000000000102030405060708090a0b0c0d0e0f0001b1b370ec618d8f7f03b9fc181bdbd84dfe37a1b1e43f2915\
    b61d125504827bcb617b888e2b363794b8ef8df6c177ea80f660a6db3d64370c2867ff05732a005d688b07af3e0c66c8edee58510ba7806d4a\
    2ecc61282ea9204092f55fc830843a54fe66114bf981f224eba657706496ad0480c3c0560f6b0ef00e93b4e1da8fe0abd6a7a5fbd3f6df3bf2\
    8f65fee908e1";

/// What that script calls the key that it was wrapped with.
const FOREIGN_VERSION: &str = "967a851173d9da89";

fn cheap(passphrase: &str) -> PassphraseProvider {
    PassphraseProvider::cheap_with_parameters_for_tests(passphrase, PassphraseParameters::pbkdf2(1)).unwrap()
}

fn with_iterations(passphrase: &str, iterations: u32) -> strongroom::Result<PassphraseProvider> {
    PassphraseProvider::with_parameters(passphrase, PassphraseParameters::pbkdf2(iterations))
}

fn foreign() -> WrappedKey {
    WrappedKey::new("passphrase", DEFAULT_KEY, FOREIGN_VERSION, from_hex(FOREIGN_WRAP))
}

#[test]
fn a_key_from_pbkdf2_keeps_the_contract_of_providers_under_every_name() {
    // One for all names: the suite changes the number of iterations too, and that is derived once.
    let provider = cheap(PASSPHRASE);
    for name in [None, Some("alias/x"), Some("x"), Some("arn:aws:kms:us-east-1:000000000000:key/x")] {
        key_provider_conformance(&provider, name);
    }
}

/// With as many iterations as users get at least.
#[test]
fn a_store_is_opened_again_by_whatever_provider_has_its_passphrase() {
    let backend = MemoryBackend::new();
    let open = |provider: &PassphraseProvider| {
        SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open()
    };
    let store = open(&with_iterations(PASSPHRASE, LEAST).unwrap()).unwrap();
    create(&store, "s");
    store.close().unwrap();
    // Its own default is Argon2id, and it keeps to the function of the store.
    let other = PassphraseProvider::new(PASSPHRASE).unwrap();
    let store = open(&other).unwrap();
    assert_eq!(value(&store, "s"), "v");
    create(&store, "t");
    store.close().unwrap();
    assert_eq!(other.derivations(), 1);
    assert_eq!(wrap(&other).blob[2], 2, "what it wraps is wrapped with PBKDF2 as well");
    let (_, fault) = fault(open(&with_iterations("another one", LEAST).unwrap()));
    assert_eq!(fault.reason, KeyFaultReason::WrongPassphrase);
}

#[test]
fn what_was_wrapped_elsewhere_opens_here() {
    let provider = PassphraseProvider::new("p\u{e4}ssword").unwrap();
    assert_eq!(unwrap(&provider, &foreign()), Ok(DataKey::from_slice(&[0x2a; 32]).unwrap()));
    let own = wrap(&provider);
    assert_eq!(own.blob[..PREFIX], foreign().blob[..PREFIX], "the first setting that opened something stays");
    assert_eq!(*own.key_version, *FOREIGN_VERSION);
    assert_eq!(provider.derivations(), 1);
    assert_eq!(unwrap(&PassphraseProvider::new("password").unwrap(), &foreign()), Err(KeyError::WrongPassphrase));
}

#[test]
fn a_prefix_names_the_function_and_the_iterations_and_nothing_else() {
    let wrapped = wrap(&with_iterations(PASSPHRASE, 600_001).unwrap());
    assert_eq!(wrapped.blob[..SALT_AT], [0, 1, 2, 0x00, 0x09, 0x27, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_ne!(wrapped.blob[SALT_AT..PREFIX], [0; 16]);
}

#[test]
fn too_few_and_too_many_iterations_are_refused_when_they_are_asked_for() {
    for iterations in [LEAST, LEAST + 1, MOST - 1, MOST] {
        assert!(with_iterations(PASSPHRASE, iterations).is_ok(), "{iterations}");
    }
    let provider = PassphraseProvider::new(PASSPHRASE).unwrap();
    for iterations in [0, 1, LEAST - 1, MOST + 1, u32::MAX] {
        let changed = provider.change_to_with_parameters("x", PassphraseParameters::pbkdf2(iterations));
        for error in [with_iterations(PASSPHRASE, iterations).unwrap_err(), changed.unwrap_err()] {
            assert!(matches!(error.kind(), ErrorKind::Configuration), "{error:?}");
            let said = format!("a passphrase needs {LEAST} to {MOST} iterations, and {iterations} were asked for");
            assert_eq!(error.to_string(), said);
        }
    }
    assert!(with_iterations("", LEAST).is_err());
}

/// A wrapped key may come from an enemy. Nothing is derived, so no time is taken.
#[test]
fn a_wrapped_key_with_absurd_iterations_is_refused_before_anything_is_derived() {
    let foreign = foreign();
    let provider = PassphraseProvider::new("p\u{e4}ssword").unwrap();
    for numbers in [
        [0, 0, 0],
        [1, 0, 0],
        [LEAST - 1, 0, 0],
        [MOST + 1, 0, 0],
        [u32::MAX, 0, 0],
        [LEAST, 1, 0],
        [LEAST, 0, 1],
        [LEAST, u32::MAX, u32::MAX],
        [64 * 1024, 3, 4],
    ] {
        assert_eq!(unwrap(&provider, &claiming(&foreign, numbers)), Err(KeyError::Corrupt), "{numbers:?}");
    }
    // As Argon2id, and with functions and formats that there are not.
    for (at, bytes) in [(2, [1]), (2, [0]), (2, [3]), (2, [255]), (0, [1]), (1, [0]), (1, [2])] {
        let mut blob = foreign.blob.to_vec();
        blob[at..=at].copy_from_slice(&bytes);
        assert_eq!(unwrap(&provider, &with_blob(&foreign, blob)), Err(KeyError::Corrupt), "byte {at}: {bytes:?}");
    }
    for length in (0..foreign.blob.len()).chain([foreign.blob.len() + 1, 8 * 1024, 8 * 1024 + 1, 1 << 20]) {
        let mut blob = foreign.blob.to_vec();
        blob.resize(length, 0);
        assert_eq!(unwrap(&provider, &with_blob(&foreign, blob)), Err(KeyError::Corrupt), "{length} bytes");
    }
    assert_eq!(provider.derivations(), 0);
}

/// Iterations within bounds, but not those of the key; and the salt.
#[test]
fn iterations_and_salt_are_authenticated() {
    let provider = cheap(PASSPHRASE);
    let wrapped = wrap(&provider);
    assert_eq!(unwrap(&provider, &claiming(&wrapped, [2, 0, 0])), Err(KeyError::WrongPassphrase));
    for at in SALT_AT..PREFIX {
        let mut blob = wrapped.blob.to_vec();
        blob[at] ^= 1;
        assert_eq!(unwrap(&provider, &with_blob(&wrapped, blob)), Err(KeyError::WrongPassphrase), "byte {at}");
    }
    assert!(unwrap(&provider, &wrapped).is_ok());
    let strict = PassphraseProvider::new(PASSPHRASE).unwrap();
    assert_eq!(unwrap(&strict, &wrapped), Err(KeyError::Corrupt), "what is cheap is of use in tests only");
    assert_eq!(strict.derivations(), 0);
}

/// The numbers of Argon2id begin with its defaults if PBKDF2 was chosen before.
#[test]
fn the_last_function_that_was_chosen_counts() {
    let chosen = PassphraseParameters::pbkdf2(LEAST).memory_kib(32 * 1024);
    assert_eq!(chosen, PassphraseParameters::new().memory_kib(32 * 1024));
    assert_eq!(PassphraseParameters::pbkdf2(LEAST).passes(4).lanes(2), PassphraseParameters::new().passes(4).lanes(2));
    let argon2id = wrap(&PassphraseProvider::cheap_for_tests(PASSPHRASE).unwrap());
    assert_eq!((argon2id.blob[2], wrap(&cheap(PASSPHRASE)).blob[2]), (1, 2));
    let changed = PassphraseProvider::with_parameters(PASSPHRASE, PassphraseParameters::new()).unwrap();
    changed.change_to_with_parameters(PASSPHRASE, PassphraseParameters::pbkdf2(LEAST)).unwrap();
    assert_eq!(wrap(&changed).blob[2..PARAMETERS_AT + 4], [2, 0, 9, 0x27, 0xc0]);
}
