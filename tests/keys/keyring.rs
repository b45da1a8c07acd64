//! `LocalKeyring`: keys, aliases, states and material.

use std::sync::Barrier;
use std::thread;

use strongroom::testing::SeededEntropy;
use strongroom::{
    Call, DataKey, EncryptionContext, Entropy, ErrorKind, KeyDescription, KeyError, KeyHandle, KeyProvider, KeyRef,
    KeyScope, KeyState, LocalKeyring, OsEntropy, WrappedKey,
};

use crate::fixture::{World, home};

fn context() -> EncryptionContext<'static> {
    EncryptionContext::new(&[("SecretARN", "arn"), ("SecretVersionId", "id")])
}

fn resolve(keyring: &LocalKeyring, key: &str) -> Result<KeyHandle, KeyError> {
    keyring.resolve(&home(), KeyRef::parse(key), &Call::new(&OsEntropy::default()))
}

fn wrap(keyring: &LocalKeyring, key: &str) -> Result<(DataKey, WrappedKey), KeyError> {
    let handle = resolve(keyring, key)?;
    keyring.generate(&handle, &context(), &Call::new(&OsEntropy::default()))
}

fn unwrap(keyring: &LocalKeyring, wrapped: &WrappedKey) -> Result<DataKey, KeyError> {
    keyring.unwrap(wrapped, &context(), &Call::new(&OsEntropy::default()))
}

fn describe(keyring: &LocalKeyring, arn: &str) -> KeyDescription {
    keyring.keys().into_iter().find(|key| key.arn == arn).unwrap()
}

#[track_caller]
fn impossible(result: strongroom::Result<()>) {
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::Configuration));
}

#[test]
fn a_new_key_is_enabled_and_has_one_version() {
    let keyring = LocalKeyring::in_memory();
    assert_eq!(keyring.keys(), []);
    assert_eq!(keyring.path(), None);
    let arn = keyring.create_key(KeyScope::new("aws-cn", "123456789012", "cn-north-1")).unwrap();
    assert!(arn.starts_with("arn:aws-cn:kms:cn-north-1:123456789012:key/"), "{arn}");
    let key = describe(&keyring, &arn);
    assert_eq!((key.state, key.aws_managed, key.versions, key.aliases), (KeyState::Enabled, false, 1, vec![]));
    assert_ne!(keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    assert_eq!(keyring.keys().len(), 3);
}

#[test]
fn keys_are_made_for_possible_accounts_and_regions_only() {
    let keyring = LocalKeyring::in_memory();
    for (account, region) in [("1", "us-east-1"), ("", ""), ("000000000000", "nowhere"), ("00000000000x", "us-east-1")]
    {
        let error = keyring.create_key(KeyScope::new("aws", account, region)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration), "{account} {region}");
    }
    assert_eq!(keyring.keys(), []);
}

#[test]
fn every_name_of_a_key_leads_to_it() {
    let keyring = LocalKeyring::in_memory();
    let arn = keyring.create_key(home()).unwrap();
    let id = arn.rsplit_once('/').unwrap().1;
    keyring.create_alias("alias/a", id).unwrap();
    keyring.create_alias("alias/b/c_d-1", &arn).unwrap();
    for name in [id, &arn, "alias/a", "alias/b/c_d-1", "arn:aws:kms:us-east-1:000000000000:alias/a"] {
        assert_eq!(*resolve(&keyring, name).unwrap().arn, *arn, "{name}");
    }
    let aliases = ["arn:aws:kms:us-east-1:000000000000:alias/a", "arn:aws:kms:us-east-1:000000000000:alias/b/c_d-1"];
    assert_eq!(describe(&keyring, &arn).aliases, aliases);
    for name in
        ["alias/c", "alias/b", "a", &id[1..], "arn:aws:kms:us-east-2:000000000000:alias/a", &arn[..arn.len() - 1]]
    {
        assert_eq!(resolve(&keyring, name), Err(KeyError::NotFound), "{name}");
    }
    let other = keyring.create_key(home()).unwrap();
    keyring.create_alias("alias/a", &other).unwrap();
    assert_eq!(*resolve(&keyring, "alias/a").unwrap().arn, *other, "an alias can be moved");
}

#[test]
fn an_alias_belongs_to_its_account_and_region() {
    let keyring = LocalKeyring::in_memory();
    let theirs = keyring.create_key(KeyScope::new("aws", "111111111111", "us-east-1")).unwrap();
    let ours = keyring.create_key(home()).unwrap();
    keyring.create_alias("alias/same", &theirs).unwrap();
    assert_eq!(resolve(&keyring, "alias/same"), Err(KeyError::NotFound));
    keyring.create_alias("alias/same", &ours).unwrap();
    assert_eq!(*resolve(&keyring, "alias/same").unwrap().arn, *ours);
    assert_eq!(describe(&keyring, &theirs).aliases, ["arn:aws:kms:us-east-1:111111111111:alias/same"]);
}

#[test]
fn illegal_aliases_and_unknown_keys_are_refused() {
    let keyring = LocalKeyring::in_memory();
    let arn = keyring.create_key(home()).unwrap();
    let longest = format!("alias/{}", "a".repeat(250));
    let too_long = format!("{longest}a");
    for alias in
        ["", "a", "alias/", "Alias/a", "alias/a b", "alias/a:b", "alias/\u{e9}", "alias/aws/x", "alias/a\0", &too_long]
    {
        impossible(keyring.create_alias(alias, &arn));
    }
    keyring.create_alias(&longest, &arn).unwrap();
    for key in ["", "missing", "alias/a", &arn[1..], "arn:aws:kms:us-east-1:000000000000:key/missing"] {
        impossible(keyring.create_alias("alias/a", key));
        impossible(keyring.disable_key(key));
        impossible(keyring.enable_key(key));
        impossible(keyring.schedule_key_deletion(key));
        impossible(keyring.cancel_key_deletion(key));
        impossible(keyring.rotate_key(key));
    }
    // The right id under the wrong account is another key.
    impossible(keyring.disable_key(&arn.replace("000000000000", "111111111111")));
    assert_eq!(describe(&keyring, &arn).aliases.len(), 1);
}

#[test]
fn the_state_of_a_key_decides_what_it_may_do() {
    type Step = fn(&LocalKeyring, &str) -> strongroom::Result<()>;
    let rows: [(Step, KeyState, Option<KeyError>); 5] = [
        (LocalKeyring::disable_key, KeyState::Disabled, Some(KeyError::Disabled)),
        (LocalKeyring::enable_key, KeyState::Enabled, None),
        (LocalKeyring::schedule_key_deletion, KeyState::PendingDeletion, Some(KeyError::PendingDeletion)),
        (LocalKeyring::cancel_key_deletion, KeyState::Disabled, Some(KeyError::Disabled)),
        (LocalKeyring::enable_key, KeyState::Enabled, None),
    ];
    let keyring = LocalKeyring::in_memory();
    let arn = keyring.create_key(home()).unwrap();
    let (made, wrapped) = wrap(&keyring, &arn).unwrap();
    for (step, state, refusal) in rows {
        step(&keyring, &arn).unwrap();
        assert_eq!(describe(&keyring, &arn).state, state);
        assert_eq!(resolve(&keyring, &arn).unwrap().state, state, "a key is found whatever its state");
        assert_eq!(wrap(&keyring, &arn).err(), refusal);
        match refusal {
            Some(refusal) => assert_eq!(unwrap(&keyring, &wrapped), Err(refusal)),
            None => assert_eq!(unwrap(&keyring, &wrapped).as_ref(), Ok(&made)),
        }
    }
}

#[test]
fn only_a_cancellation_brings_a_key_back_that_is_scheduled_for_deletion() {
    let keyring = LocalKeyring::in_memory();
    let arn = keyring.create_key(home()).unwrap();
    impossible(keyring.cancel_key_deletion(&arn));
    keyring.schedule_key_deletion(&arn).unwrap();
    impossible(keyring.enable_key(&arn));
    impossible(keyring.disable_key(&arn));
    impossible(keyring.schedule_key_deletion(&arn));
    assert_eq!(describe(&keyring, &arn).state, KeyState::PendingDeletion);
    keyring.cancel_key_deletion(&arn).unwrap();
    assert_eq!(describe(&keyring, &arn).state, KeyState::Disabled);
}

#[test]
fn the_default_key_cannot_be_switched_off() {
    let keyring = LocalKeyring::in_memory();
    let arn = resolve(&keyring, "").unwrap().arn;
    impossible(keyring.disable_key(&arn));
    impossible(keyring.schedule_key_deletion(&arn));
    impossible(keyring.cancel_key_deletion(&arn));
    let key = describe(&keyring, &arn);
    assert_eq!((key.state, key.aws_managed), (KeyState::Enabled, true));
    wrap(&keyring, "alias/aws/secretsmanager").unwrap();
}

#[test]
fn rotated_material_leaves_what_was_wrapped_before_readable() {
    let keyring = LocalKeyring::in_memory();
    let arn = keyring.create_key(home()).unwrap();
    let mut made = vec![wrap(&keyring, &arn).unwrap()];
    for version in 2..=20 {
        keyring.rotate_key(&arn).unwrap();
        made.push(wrap(&keyring, &arn).unwrap());
        assert_eq!(describe(&keyring, &arn).versions, version);
    }
    for (index, (key, wrapped)) in made.iter().enumerate() {
        assert_eq!(*wrapped.key_version, *(index + 1).to_string());
        assert_eq!(unwrap(&keyring, wrapped).as_ref(), Ok(key));
    }
    assert_eq!(resolve(&keyring, &arn).unwrap().arn, made[0].1.key_arn, "the ARN stays");
}

#[test]
fn what_one_keyring_wrapped_another_does_not_open() {
    let (one, other) = (LocalKeyring::in_memory(), LocalKeyring::in_memory());
    let arn = one.create_key(home()).unwrap();
    let (_, wrapped) = wrap(&one, &arn).unwrap();
    other.create_key(home()).unwrap();
    assert_eq!(unwrap(&other, &wrapped), Err(KeyError::NotFound));
    // Nor a key of the same keyring, nor another provider of the same form.
    let second = one.create_key(home()).unwrap();
    let moved = WrappedKey::new(wrapped.provider.clone(), second, wrapped.key_version.clone(), wrapped.blob.clone());
    assert_eq!(unwrap(&one, &moved), Err(KeyError::Corrupt));
    let foreign = WrappedKey::new("kms", wrapped.key_arn.clone(), wrapped.key_version.clone(), wrapped.blob.clone());
    assert_eq!(unwrap(&one, &foreign), Err(KeyError::NotFound));
}

#[test]
fn nothing_secret_is_printed() {
    let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(5));
    keyring.create_key(home()).unwrap();
    let shown = format!("{keyring:?} {:?}", keyring.keys());
    assert!(!shown.contains("material"), "{shown}");
    // The id takes the first 16 bytes of the stream, in a block of its own; the material takes the next block.
    let source = SeededEntropy::new(5);
    let (mut id, mut material) = ([0; 16], [0; 32]);
    source.fill(&mut id).unwrap();
    source.fill(&mut material).unwrap();
    let twin = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(5));
    assert_eq!(twin.create_key(home()).unwrap(), keyring.keys()[0].arn);
    for window in material.windows(4) {
        let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{window:?}");
        assert!(!shown.to_lowercase().contains(&hex) && !shown.contains(list.trim_matches(['[', ']'])), "{shown}");
    }
}

/// Many threads ask for the default key of several accounts at once: each account gets one.
#[test]
fn a_concurrent_first_use_makes_one_default_key() {
    let directory = tempfile::tempdir().unwrap();
    for keyring in [LocalKeyring::in_memory(), LocalKeyring::open_or_create(directory.path().join("keys")).unwrap()] {
        let barrier = Barrier::new(12);
        let arns: Vec<(usize, String)> = thread::scope(|scope| {
            let ask = |index: usize| {
                let (keyring, barrier) = (&keyring, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let account = format!("{:012}", index % 3);
                    let scope = KeyScope::new("aws", &account, "us-east-1");
                    let found = keyring.resolve(&scope, KeyRef::Default, &Call::new(&OsEntropy::default())).unwrap();
                    (index % 3, found.arn.to_string())
                })
            };
            let threads: Vec<_> = (0..12).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(keyring.keys().len(), 3);
        for (index, arn) in &arns {
            assert!(arns.iter().all(|(other, other_arn)| (other == index) == (other_arn == arn)));
        }
    }
}

/// The same through a store, with secrets.
#[test]
fn a_concurrent_first_secret_of_an_account_makes_one_default_key() {
    let (world, keyring) = World::with_keyring();
    let manager = world.store.secrets_manager("111111111111", "us-east-1").unwrap();
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for index in 0..8 {
            let (manager, barrier) = (&manager, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let request = strongroom::CreateSecretRequest::new(format!("s{index}")).secret_string("v");
                manager.create_secret(request).unwrap();
            });
        }
    });
    assert_eq!(keyring.keys().iter().filter(|key| key.arn.contains("111111111111")).count(), 1);
    for index in 0..8 {
        let read = manager.get_secret_value(strongroom::GetSecretValueRequest::new(format!("s{index}"))).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), "v");
    }
}

/// Keys made of a seed are the same for the same seed: what one wraps, its twin opens.
#[test]
fn a_seeded_keyring_can_be_made_again() {
    let make = || {
        let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(9));
        let arn = keyring.create_key(home()).unwrap();
        (keyring, arn)
    };
    let ((one, arn), (twin, twin_arn)) = (make(), make());
    assert_eq!(arn, twin_arn);
    let (key, wrapped) = wrap(&one, &arn).unwrap();
    assert_eq!(unwrap(&twin, &wrapped), Ok(key));
}

/// Clones are the same keyring.
#[test]
fn clones_share_their_keys() {
    let keyring = LocalKeyring::in_memory();
    let clone = keyring.clone();
    let arn = keyring.create_key(home()).unwrap();
    clone.disable_key(&arn).unwrap();
    assert_eq!(describe(&keyring, &arn).state, KeyState::Disabled);
}
