//! Bad replies of a key provider, through the engine: typed errors, and nothing that was stored is lost.

use std::sync::{Arc, Mutex};

use strongroom::testing::{FaultyProvider, ReplyFault, SeededEntropy};
use strongroom::{
    Call, DataKey, EncryptionContext, Entropy, Error, ErrorKind, KeyError, KeyFaultReason, KeyHandle, KeyProvider,
    KeyRef, KeyScope, LocalKeyring, MemoryBackend, SecretStore, StaticKey, WRAPPED_KEY_BYTES_MAX, WrappedKey,
};

use crate::doubles::{find, make};
use crate::fixture::{World, fault, home};

/// A failure that is about keys, and said so.
#[track_caller]
fn is_about_keys(error: &Error) {
    assert!(
        matches!(
            error.kind(),
            ErrorKind::EncryptionFailure(_)
                | ErrorKind::DecryptionFailure(_)
                | ErrorKind::KeyAccessDenied(_)
                | ErrorKind::KeyProviderOutage(_)
        ),
        "{error:?}"
    );
}

/// Each fault, while a value is stored, read and wrapped anew.
#[test]
fn a_spoiled_reply_costs_at_most_the_version_that_it_was_for() {
    for fault in ReplyFault::ALL {
        for seed in 0..20 {
            let keyring = LocalKeyring::in_memory();
            let other = keyring.create_key(home()).unwrap();
            let provider = FaultyProvider::new(keyring, seed);
            let world = World::over(provider.clone());
            world.create("s", "").unwrap();
            world.read("s").unwrap();
            let before = world.describe("s");

            provider.spoil_with(Some(fault));
            is_about_keys(&world.change_key("s", &other).unwrap_err());
            assert_eq!(world.describe("s"), before, "{fault:?} {seed}");
            assert_eq!(world.read("s").unwrap(), "1", "what was there opens beside a provider that spoils what is new");
            let put = world.put("s", 2, &[]);
            let impossible = matches!(fault, ReplyFault::Empty | ReplyFault::Oversized);
            assert_eq!(put.is_err(), impossible, "{fault:?} {seed}");
            provider.spoil_with(None);

            if impossible {
                is_about_keys(&put.unwrap_err());
                assert_eq!(world.describe("s"), before);
                assert_eq!(world.read("s").unwrap(), "1");
            } else {
                is_about_keys(&world.read("s").unwrap_err());
            }
            assert_eq!(world.read_version("s", 1).unwrap(), "1", "{fault:?} {seed}");
            world.put("s", 3, &[]).unwrap();
            world.change_key("s", &other).unwrap();
            assert_eq!(world.read("s").unwrap(), "3");
        }
    }
}

/// A store is not begun on a root key that its provider cannot open: it would be lost with the process.
#[test]
fn a_store_is_not_made_with_a_root_key_that_cannot_be_opened() {
    for fault in ReplyFault::ALL {
        for seed in 0..5 {
            let provider = FaultyProvider::new(StaticKey::new([7; 32]), seed);
            let backend = MemoryBackend::new();
            let open = || SecretStore::with_backend(backend.clone()).key_provider(provider.clone()).open();
            provider.spoil_with(Some(fault));
            let made = open();
            provider.spoil_with(None);
            match made {
                Err(error) => is_about_keys(&error),
                Ok(store) => {
                    store.close().unwrap();
                    assert!(open().is_ok(), "{fault:?} {seed}: a store was made that nobody can open");
                }
            }
            open().unwrap();
        }
    }
}

/// A provider that answers with something that was wrapped for something else, and is asked for it instead of what is
/// stored.
#[derive(Debug, Clone)]
struct Swaps {
    keyring: LocalKeyring,
    /// What it answers when it is asked to wrap.
    answers: Arc<Mutex<Option<WrappedKey>>>,
    /// What it unwraps, whatever it is asked to.
    unwraps: Arc<Mutex<Option<WrappedKey>>>,
    /// What it wrapped last.
    last: Arc<Mutex<Option<WrappedKey>>>,
}

impl KeyProvider for Swaps {
    fn id(&self) -> &str {
        self.keyring.id()
    }
    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.keyring.resolve(scope, key, call)
    }
    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let wrapped = self.keyring.wrap(key, data_key, context, call)?;
        *self.last.lock().unwrap() = Some(wrapped.clone());
        Ok(self.answers.lock().unwrap().clone().unwrap_or(wrapped))
    }
    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let swapped = self.unwraps.lock().unwrap().clone();
        self.keyring.unwrap(swapped.as_ref().unwrap_or(wrapped), context, call)
    }
}

#[test]
fn a_wrapped_key_of_something_else_opens_nothing_and_breaks_nothing() {
    let keyring = LocalKeyring::in_memory();
    let other = keyring.create_key(home()).unwrap();
    let provider = Swaps { keyring, answers: Arc::default(), unwraps: Arc::default(), last: Arc::default() };
    let last = |world: &World, name: &str| {
        world.create(name, "").unwrap();
        provider.last.lock().unwrap().clone().unwrap()
    };
    // Another store over the same keys, with a secret of the same name.
    let other_store = World::over(provider.clone());
    let of_another_store = last(&other_store, "s");
    let world = World::on(MemoryBackend::new(), provider.clone());
    let of_another_secret = last(&world, "other");
    world.create("victim", "").unwrap();
    world.create("s", "").unwrap();
    let of_another_version = provider.last.lock().unwrap().clone().unwrap();
    world.put("s", 2, &[]).unwrap();
    let good = provider.last.lock().unwrap().clone().unwrap();
    let stranger = StaticKey::new([7; 32]);
    let of_another_provider = make(&stranger, &find(&stranger, "").unwrap()).unwrap().1;
    let named =
        |blob: Vec<u8>| WrappedKey::new(good.provider.clone(), good.key_arn.clone(), good.key_version.clone(), blob);
    let blob = good.blob.to_vec();
    let rows = [
        ("of another store", of_another_store),
        ("of another secret", of_another_secret),
        ("of another version", of_another_version),
        ("of another provider", of_another_provider),
        ("empty", named(Vec::new())),
        ("one byte", named(vec![0])),
        ("cut", named(blob[..blob.len() - 1].to_vec())),
        ("half", named(blob[..blob.len() / 2].to_vec())),
        ("one byte more", named([&blob[..], &[0]].concat())),
        ("as long as possible", named(vec![0xa5; WRAPPED_KEY_BYTES_MAX])),
        ("too long", named(vec![0xa5; WRAPPED_KEY_BYTES_MAX + 1])),
        ("far too long", named(vec![0xa5; 1 << 20])),
    ];
    let set = |place: &Mutex<Option<WrappedKey>>, wrapped: Option<&WrappedKey>| {
        *place.lock().unwrap() = wrapped.cloned();
    };
    let whole = |what: &str| {
        set(&provider.answers, None);
        set(&provider.unwraps, None);
        assert_eq!(world.read_version("s", 1).unwrap(), "1", "{what}");
        assert_eq!(world.read_version("s", 2).unwrap(), "2", "{what}");
        assert_eq!(world.read("other").unwrap(), "1", "{what}");
        assert_eq!(world.read("victim").unwrap(), "1", "{what}");
    };
    for (number, (what, wrapped)) in (10..).zip(&rows) {
        // Asked to unwrap what is stored, the provider has this instead.
        set(&provider.unwraps, Some(wrapped));
        let (code, failed) = fault(world.read_version("s", 2));
        assert_eq!(code, "DecryptionFailure", "{what}");
        assert!(matches!(failed.reason, KeyFaultReason::Corrupt | KeyFaultReason::NotFound), "{what}: {failed:?}");
        is_about_keys(&world.change_key("s", &other).err().unwrap_or_else(|| fault_free(&world, what)));
        whole(what);
        // Asked to wrap, it answers this.
        set(&provider.answers, Some(wrapped));
        if world.put("s", number, &[]).is_ok() {
            set(&provider.answers, None);
            is_about_keys(&world.read_version("s", number).unwrap_err());
        }
        whole(what);
        set(&provider.answers, Some(wrapped));
        is_about_keys(&world.change_key("victim", &other).unwrap_err());
        whole(what);
    }
    world.put("s", 99, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "99");
    assert_eq!(other_store.read("s").unwrap(), "1");
}

/// A change of the key that succeeded although nothing could be opened has left every version as it was.
fn fault_free(world: &World, what: &str) -> Error {
    let keys = world.version_keys("s");
    assert!(keys.iter().all(|keys| *keys == ["DefaultEncryptionKey"]), "{what}: {keys:?}");
    world.change_key("s", "").unwrap();
    // Whoever asks for the value still gets the error.
    world.read_version("s", 2).unwrap_err()
}

const LONG: &str = "STRONGROOM_REPLIES";

/// Outages and spoiled replies at random: every value that is read is right, and what was stored while the provider was
/// well is there afterwards.
#[test]
fn a_provider_that_fails_and_spoils_at_random_loses_nothing_that_was_whole() {
    let rounds = std::env::var(LONG).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let (mut stored, mut read, mut failed) = (0, 0, 0);
    for seed in 0..rounds {
        let keyring = LocalKeyring::in_memory();
        let other = keyring.create_key(home()).unwrap();
        let provider = FaultyProvider::new(keyring, seed);
        let world = World::over(provider.clone());
        let names = ["a", "b", "c"];
        for name in names {
            world.create(name, "").unwrap();
            world.put(name, 2, &["mine"]).unwrap();
        }
        provider.fail_per_cent(20);
        provider.spoil_per_cent(40);
        let dice = SeededEntropy::new(seed ^ 0x5eed);
        for number in 10..60 {
            let mut random = [0; 2];
            dice.fill(&mut random).unwrap();
            let name = names[usize::from(random[0]) % names.len()];
            let outcome = match random[1] % 4 {
                0 => world.put(name, number, &[]).inspect(|()| stored += 1),
                1 => world.change_key(name, if random[0] > 127 { &other } else { "" }),
                2 => world.read_version(name, 2).map(|value| assert_eq!(value, "2")),
                // Which version is current, is whatever was stored last.
                _ => world.read(name).map(|value| {
                    let value: usize = value.parse().unwrap();
                    assert!(value == 1 || (10..number).contains(&value), "{value}");
                }),
            };
            match outcome {
                Ok(()) => read += usize::from(random[1] % 4 > 1),
                Err(error) => {
                    failed += 1;
                    is_about_keys(&error);
                }
            }
        }
        provider.fail_per_cent(0);
        provider.spoil_per_cent(0);
        for name in names {
            assert_eq!(world.read_version(name, 1).unwrap(), "1", "{seed} {name}");
            assert_eq!(world.read_version(name, 2).unwrap(), "2", "{seed} {name}");
            world.put(name, 99, &[]).unwrap();
            assert_eq!(world.read(name).unwrap(), "99");
        }
    }
    assert!(failed > 0 && read > 0 && stored > 0);
    eprintln!("bad replies: {rounds} stores, {stored} values stored, {read} read, {failed} calls failed");
}
