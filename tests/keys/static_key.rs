//! Keys in hand that have an id.

use strongroom::testing::{RecordingProvider, SeededEntropy, key_provider_conformance};
use strongroom::{ErrorKind, KeyError, KeyOptions, KeyProvider, MemoryBackend, RouterProvider, SecretStore, StaticKey};

use crate::doubles::{find, make, make_with, open};
use crate::fixture::{World, id};

#[test]
fn an_id_has_1_to_64_letters_digits_dots_underscores_and_dashes() {
    let longest = "k".repeat(64);
    for legal in ["a", "2026", "A.b_c-9", ".", "-", longest.as_str()] {
        let key = StaticKey::with_id(legal, [7; 32]).unwrap();
        assert_eq!(&*find(&key, "").unwrap().version, legal);
        key_provider_conformance(&key, Some("alias/x"));
    }
    let too_long = "k".repeat(65);
    let endless = "k".repeat(10_000_000);
    for illegal in ["", " ", "a b", "a/b", "a:b", "schl\u{fc}ssel", "a\n", "\0", "*", &too_long, &endless] {
        let error = StaticKey::with_id(illegal, [7; 32]).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Configuration);
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn what_was_wrapped_under_another_id_is_not_found_even_if_the_key_is_the_same() {
    let [one, two, unnamed] = [
        StaticKey::with_id("one", [7; 32]).unwrap(),
        StaticKey::with_id("two", [7; 32]).unwrap(),
        StaticKey::new([7; 32]),
    ];
    for made_by in [&one, &two, &unnamed] {
        let (data_key, wrapped) = make(made_by, &find(made_by, "alias/x").unwrap()).unwrap();
        for opened_by in [&one, &two, &unnamed] {
            let expected = if std::ptr::eq(made_by, opened_by) { Ok(&data_key) } else { Err(&KeyError::NotFound) };
            assert_eq!(open(opened_by, &wrapped).as_ref(), expected, "{made_by:?} {opened_by:?}");
        }
    }
    let other = StaticKey::with_id("one", [8; 32]).unwrap();
    let (_, wrapped) = make(&one, &find(&one, "alias/x").unwrap()).unwrap();
    assert_eq!(open(&other, &wrapped), Err(KeyError::Corrupt), "another key under the same id");
}

/// What a key without an id makes is what it always made.
#[test]
fn a_key_without_an_id_is_called_static_and_has_version_1() {
    let key = StaticKey::new([7; 32]);
    let handle = find(&key, "").unwrap();
    assert_eq!((key.id(), &*handle.version), ("static", "1"));
    let (_, wrapped) = make_with(&key, &handle, &SeededEntropy::new(1)).unwrap();
    assert_eq!((&*wrapped.provider, &*wrapped.key_version), ("static", "1"));
    // The suite, the length of the id, the id, and the version of the key.
    assert_eq!(wrapped.blob[..16], *b"\0\x01\0\0\0\x06static\0\0\0\x01");
    let same_id = StaticKey::with_id("static", [7; 32]).unwrap();
    assert!(open(&same_id, &wrapped).is_ok());
}

#[test]
fn nothing_shows_the_key() {
    let (named, unnamed) = (StaticKey::with_id("2026", [0xab; 32]).unwrap(), StaticKey::new([0xab; 32]));
    assert_eq!(format!("{named:?} {unnamed:?}"), "StaticKey(2026, [redacted]) StaticKey([redacted])");
}

/// Every secret is told its key again; then the old key opens the store and the older versions, and nothing else.
#[test]
fn a_store_moves_from_one_key_to_another() {
    let backend = MemoryBackend::new();
    let old = || StaticKey::with_id("2025", [7; 32]).unwrap();
    let new = || StaticKey::with_id("2026", [8; 32]).unwrap();
    let names = ["a", "b", "c"];
    let world = World::on(backend.clone(), old());
    for name in names {
        world.create(name, "alias/app").unwrap();
        world.put(name, 2, &[]).unwrap();
    }
    world.store.close().unwrap();

    let old_calls = RecordingProvider::new(old());
    let world = World::on(backend.clone(), RouterProvider::new(new()).also(old_calls.clone()));
    for name in names {
        assert_eq!(world.read(name).unwrap(), "2");
        world.change_key(name, "alias/app").unwrap();
    }
    assert!(old_calls.take_calls().len() > names.len(), "what was there was opened with the old key");
    for name in names {
        assert_eq!(world.read(name).unwrap(), "2");
        assert_eq!(world.read_version(name, 1).unwrap(), "1");
        world.put(name, 3, &[]).unwrap();
        assert_eq!(world.read(name).unwrap(), "3");
    }
    assert_eq!(old_calls.take_calls(), [], "nobody needs the old key for versions with labels");
    world.store.close().unwrap();

    let alone = SecretStore::with_backend(backend.clone()).key_provider(new()).open().unwrap_err();
    assert!(matches!(alone.kind(), ErrorKind::WrongKey(_)), "the store's root key is wrapped as it was: {alone:?}");
    let world = World::on(backend.clone(), RouterProvider::new(new()).also(old()));
    assert_eq!(world.read_version("a", 2).unwrap(), "2", "{}", id(2));
    let report = world.store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.root_rewrapped && report.problems_total == 0, "{report:?}");
    world.store.close().unwrap();

    let world = World::on(backend.clone(), new());
    for name in names {
        for version in 1..=3 {
            assert_eq!(world.read_version(name, version).unwrap(), version.to_string());
        }
    }
    world.store.close().unwrap();
    let gone = SecretStore::with_backend(backend).key_provider(old()).open().unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::WrongKey(_)), "the old key opens nothing: {gone:?}");
}
