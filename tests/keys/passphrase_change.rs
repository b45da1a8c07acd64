//! Changing the passphrase of a `PassphraseProvider`: what wraps, what still unwraps, and what it costs.

use std::thread;

use strongroom::testing::key_provider_conformance;
use strongroom::{
    Call, ErrorKind, KeyError, KeyProvider, KeyRef, MemoryBackend, OsEntropy, PassphraseParameters, PassphraseProvider,
    SecretStore, WrappedKey,
};

use crate::fixture::home;
use crate::passphrase::{PARAMETERS_AT, PREFIX, SALT_AT, cheap, create, unwrap, value, with_blob, wrap};

const OLD: &str = "correct horse";
const NEW: &str = "battery staple";
const THIRD: &str = "paper clip";

fn changing() -> PassphraseProvider {
    PassphraseProvider::cheap_changing_for_tests(OLD, NEW).unwrap()
}

fn version(provider: &PassphraseProvider) -> String {
    let handle = provider.resolve(&home(), KeyRef::Default, &Call::new(&OsEntropy::default())).unwrap();
    handle.version.to_string()
}

fn opens(provider: &PassphraseProvider, wrapped: &WrappedKey) -> bool {
    unwrap(provider, wrapped).is_ok()
}

#[test]
fn after_a_change_the_new_passphrase_wraps_and_both_unwrap() {
    let provider = cheap(OLD);
    let (old, old_version) = (wrap(&provider), version(&provider));
    let clone = provider.clone();
    clone.change_to(NEW).unwrap();
    assert_eq!(provider.derivations(), 1, "a change derives nothing");
    // Asked for before anything is wrapped.
    let new_version = version(&provider);
    assert_ne!(new_version, old_version);
    let new = wrap(&provider);
    assert_eq!(*new.key_version, *new_version);
    assert_ne!(new.blob[SALT_AT..PREFIX], old.blob[SALT_AT..PREFIX], "a salt of its own");
    assert_eq!(new.blob[..SALT_AT], old.blob[..SALT_AT], "and the parameters of the provider");
    assert!(opens(&provider, &old) && opens(&provider, &new));
    assert_eq!(*wrap(&provider).key_version, *new_version, "what unwraps does not decide what wraps");
    assert_eq!(provider.derivations(), 2);

    assert_eq!((unwrap(&cheap(OLD), &new), unwrap(&cheap(NEW), &old)), {
        let wrong = KeyError::WrongPassphrase;
        (Err(wrong.clone()), Err(wrong))
    });
    assert!(opens(&cheap(NEW), &new));
    key_provider_conformance(&provider, None);
    key_provider_conformance(&changing(), None);
}

/// As a store is used: the values of before are read, those of after are under the new passphrase.
#[test]
fn a_store_that_is_open_goes_on_through_a_change() {
    let backend = MemoryBackend::new();
    let open = |provider: &PassphraseProvider| {
        SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open()
    };
    let provider = cheap(OLD);
    let store = open(&provider).unwrap();
    create(&store, "before");
    provider.change_to(NEW).unwrap();
    create(&store, "after");
    assert_eq!([value(&store, "before"), value(&store, "after")], ["v", "v"]);
    store.close().unwrap();
    assert_eq!(provider.derivations(), 2);

    // The root key is still under the old passphrase.
    for provider in [changing(), {
        let provider = cheap(OLD);
        provider.change_to(NEW).unwrap();
        provider
    }] {
        let store = open(&provider).unwrap();
        assert_eq!([value(&store, "before"), value(&store, "after")], ["v", "v"]);
        store.close().unwrap();
        // Of the old setting both passphrases, of the new one the new passphrase.
        assert_eq!(provider.derivations(), 3);
    }
    assert!(matches!(open(&cheap(NEW)).unwrap_err().kind(), ErrorKind::WrongKey(_)));
}

/// After a crash: nobody knows what is under which passphrase.
#[test]
fn with_both_passphrases_everything_opens_whichever_is_met_first() {
    let (old, new) = (wrap(&cheap(OLD)), wrap(&cheap(NEW)));
    for (order, expected) in [([&old, &new], 3), ([&new, &old], 3)] {
        let provider = changing();
        for _ in 0..3 {
            assert!(order.iter().all(|wrapped| opens(&provider, wrapped)));
        }
        assert_eq!(provider.derivations(), expected);
        assert_eq!(wrap(&provider).key_version, new.key_version, "the change is gone on with, under the same salt");
        assert_eq!(provider.derivations(), expected);
    }
    let provider = changing();
    assert!(opens(&provider, &old));
    let own = wrap(&provider);
    assert!(own.key_version != old.key_version && opens(&cheap(NEW), &own), "the old passphrase never wraps");
    assert!(opens(&provider, &new));
    assert_eq!(*wrap(&provider).key_version, *own.key_version, "nor does the salt change once it was drawn");
}

#[test]
fn each_passphrase_is_tried_with_each_setting_once() {
    let provider = changing();
    let others: Vec<_> = (0..5).map(|_| wrap(&cheap(THIRD))).collect();
    for _ in 0..3 {
        for other in &others {
            assert_eq!(unwrap(&provider, other), Err(KeyError::WrongPassphrase));
        }
    }
    assert_eq!(provider.derivations(), 10);
    // What did not open under the one is tried under the other when that comes.
    provider.change_to(THIRD).unwrap();
    assert!(others.iter().all(|other| opens(&provider, other)));
    assert_eq!(provider.derivations(), 15);
}

#[test]
fn damage_stays_damage_through_a_change() {
    let provider = cheap(OLD);
    let old = wrap(&provider);
    provider.change_to(NEW).unwrap();
    let new = wrap(&provider);
    for wrapped in [&old, &new] {
        let mut blob = wrapped.blob.to_vec();
        *blob.last_mut().unwrap() ^= 1;
        assert_eq!(unwrap(&provider, &with_blob(wrapped, blob)), Err(KeyError::Corrupt));
    }
    assert_eq!(provider.derivations(), 2);
}

/// The same passphrase again: a new salt, and other parameters if they are given.
#[test]
fn a_change_to_the_same_passphrase_changes_its_salt() {
    let provider = cheap(OLD);
    let first = wrap(&provider);
    provider.change_to(OLD).unwrap();
    let second = wrap(&provider);
    assert_ne!(first.key_version, second.key_version);
    provider.change_to_with_parameters(OLD, PassphraseParameters::pbkdf2(3)).unwrap();
    let third = wrap(&provider);
    assert_eq!(third.blob[2..PARAMETERS_AT + 4], [2, 0, 0, 0, 3]);
    for wrapped in [&first, &second, &third] {
        assert!(opens(&provider, wrapped) && opens(&cheap(OLD), wrapped));
    }
    assert_eq!(provider.derivations(), 3);
    // Also where the setting of before is met only after the change.
    let late = cheap(OLD);
    late.change_to_with_parameters(OLD, PassphraseParameters::pbkdf2(3)).unwrap();
    assert!(opens(&late, &first));
    assert_eq!(wrap(&late).blob[2..PARAMETERS_AT + 4], [2, 0, 0, 0, 3]);
    // Both the same from the start: there is one.
    let one = PassphraseProvider::cheap_changing_for_tests(OLD, OLD).unwrap();
    assert_eq!(unwrap(&one, &wrap(&cheap(NEW))), Err(KeyError::WrongPassphrase));
    assert!(opens(&one, &first));
    assert_eq!(one.derivations(), 2);
}

#[test]
fn two_passphrases_are_known_at_a_time() {
    let provider = cheap(OLD);
    let old = wrap(&provider);
    // Nothing was wrapped under this one, so it is the one to forget.
    provider.change_to(THIRD).unwrap();
    provider.change_to(NEW).unwrap();
    let new = wrap(&provider);
    assert!(opens(&provider, &old) && opens(&provider, &new));
    provider.change_to(THIRD).unwrap();
    let third = wrap(&provider);
    assert!(opens(&provider, &new) && opens(&provider, &third));
    assert_eq!(unwrap(&provider, &old), Err(KeyError::WrongPassphrase));
    // Back to one that was known before: it is as new.
    provider.change_to(OLD).unwrap();
    assert!(opens(&provider, &third) && opens(&provider, &old));
    assert_eq!(unwrap(&provider, &new), Err(KeyError::WrongPassphrase));
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let provider = cheap(OLD);
    let before = wrap(&provider);
    let weak = PassphraseParameters::pbkdf2(0);
    for refused in [
        provider.change_to(""),
        provider.change_to_with_parameters("", weak),
        provider.change_to_with_parameters(NEW, weak),
        PassphraseProvider::changing("", NEW).map(drop),
        PassphraseProvider::changing(OLD, "").map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration), "{error:?}");
    }
    assert_eq!(wrap(&provider).key_version, before.key_version);
}

/// Several threads wrap and unwrap while others change the passphrase.
#[test]
fn a_change_beside_other_threads_breaks_nothing() {
    let provider = cheap(OLD);
    let old = wrap(&provider);
    let (wrapped, rounds) = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let made: Vec<_> = (0..50).map(|_| wrap(&provider)).collect();
                    assert!(made.iter().chain([&old]).all(|wrapped| opens(&provider, wrapped)));
                    made
                })
            })
            .collect();
        provider.change_to(NEW).unwrap();
        let wrapped: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        let rounds = wrapped.len();
        (wrapped, rounds)
    });
    let newest = version(&provider);
    let is_old = |made: &&WrappedKey| made.key_version == old.key_version;
    assert!(wrapped.iter().all(|made| is_old(&made) || *made.key_version == *newest), "{rounds} wraps");
    assert_eq!(*wrap(&provider).key_version, *newest);
    assert!(provider.derivations() <= 2, "{}", provider.derivations());
}

#[test]
fn neither_passphrase_is_shown_when_it_is_printed() {
    let provider = changing();
    wrap(&provider);
    provider.change_to(THIRD).unwrap();
    let shown = format!("{provider:?} {provider:#?}");
    assert!(shown.contains("[redacted]"), "{shown}");
    assert!(!["horse", "staple", "clip"].iter().any(|word| shown.contains(word)), "{shown}");
}
