//! Changing the key of a secret: which versions open under which key afterwards.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>

use std::sync::{Arc, Mutex};

use strongroom::{
    Call, DataKey, EncryptionContext, KeyError, KeyFaultReason, KeyHandle, KeyOperation, KeyProvider, KeyRef, KeyScope,
    LocalKeyring, UpdateSecretRequest, WrappedKey,
};

use crate::fixture::{World, home, key_failure};

/// A secret whose versions are: 1 without labels, 2 `mine`, 3 `AWSPREVIOUS`, 4 `AWSCURRENT`, 5 `AWSPENDING`.
fn labelled(world: &World, key: &str) {
    world.create("s", key).unwrap();
    world.put("s", 2, &[]).unwrap();
    world.put("s", 3, &[]).unwrap();
    world.put("s", 4, &[]).unwrap();
    world.put("s", 5, &["AWSPENDING"]).unwrap();
    let label = strongroom::UpdateSecretVersionStageRequest::new("s", "mine").move_to_version_id(crate::fixture::id(2));
    world.secrets.update_secret_version_stage(label).unwrap();
}

/// The versions that can be read now.
fn readable(world: &World) -> Vec<usize> {
    (1..=5)
        .filter(|version| world.read_version("s", *version).is_ok_and(|value| value == version.to_string()))
        .collect()
}

/// The versions that can be read with only one key switched on.
fn readable_under(world: &World, keyring: &LocalKeyring, all: &[&String], only: &String) -> Vec<usize> {
    for key in all {
        if *key == only { keyring.enable_key(key).unwrap() } else { keyring.disable_key(key).unwrap() }
    }
    let found = readable(world);
    all.iter().for_each(|key| keyring.enable_key(key).unwrap());
    found
}

#[test]
fn labelled_versions_open_under_the_old_key_and_the_new_one_each_alone() {
    let (world, keyring) = World::with_keyring();
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &old);
    let keys = [&old, &new];
    assert_eq!(readable_under(&world, &keyring, &keys, &old), [1, 2, 3, 4, 5]);
    assert!(readable_under(&world, &keyring, &keys, &new).is_empty());
    world.change_key("s", &new).unwrap();
    assert_eq!(world.describe("s").kms_key_id.as_ref(), Some(&new));
    assert_eq!(readable_under(&world, &keyring, &keys, &old), [1, 2, 3, 4, 5]);
    assert_eq!(readable_under(&world, &keyring, &keys, &new), [3, 4, 5], "CURRENT, PENDING and PREVIOUS");
    let both = vec![old.clone(), new.clone()];
    let one = vec![old.clone()];
    assert_eq!(world.version_keys("s"), [one.clone(), one, both.clone(), both.clone(), both]);
    // A version that is stored after the change knows the new key only.
    world.put("s", 6, &[]).unwrap();
    keyring.disable_key(&new).unwrap();
    key_failure(world.read("s"), "DecryptionFailure", &new, KeyFaultReason::Disabled, KeyOperation::Unwrap);
    keyring.enable_key(&new).unwrap();
    keyring.disable_key(&old).unwrap();
    assert_eq!(world.read("s").unwrap(), "6");
}

#[test]
fn changing_the_key_changes_no_label_and_makes_no_version() {
    let (world, keyring) = World::with_keyring();
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &old);
    let before = world.describe("s");
    world.hours(1);
    let updated = world.secrets.update_secret(UpdateSecretRequest::new("s").kms_key_id(&new)).unwrap();
    assert_eq!(updated.version_id, None);
    let after = world.describe("s");
    assert_eq!(after.version_ids_to_stages, before.version_ids_to_stages);
    assert!(after.last_changed_date > before.last_changed_date);
    assert_eq!(readable(&world), [1, 2, 3, 4, 5]);
}

/// A new value and a new key in one call: the version of the call is under the new key only, the others as always.
#[test]
fn a_value_that_comes_with_the_new_key_is_under_the_new_key() {
    let (world, keyring) = World::with_keyring();
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    world.create("s", &old).unwrap();
    world.put("s", 2, &[]).unwrap();
    let request = UpdateSecretRequest::new("s").kms_key_id(&new).secret_string("3");
    world.secrets.update_secret(request.client_request_token(crate::fixture::id(3))).unwrap();
    assert_eq!(world.version_keys("s"), [vec![old.clone()], vec![old.clone(), new.clone()], vec![new.clone()]]);
    keyring.disable_key(&old).unwrap();
    assert_eq!(readable(&world), [2, 3]);
    keyring.enable_key(&old).unwrap();
    keyring.disable_key(&new).unwrap();
    assert_eq!(readable(&world), [1, 2]);
}

#[test]
fn going_back_and_forth_between_two_keys_never_ends_badly() {
    let (world, keyring) = World::with_keyring();
    let (one, two) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &one);
    for round in 0..30 {
        world.change_key("s", if round % 2 == 0 { &two } else { &one }).unwrap();
        assert_eq!(readable(&world), [1, 2, 3, 4, 5]);
    }
    let both = vec![one.clone(), two.clone()];
    assert_eq!(world.version_keys("s")[3], both);
    for only in &both {
        assert!(readable_under(&world, &keyring, &[&one, &two], only).ends_with(&[3, 4, 5]));
    }
}

/// A host may well change its keys once a year for ten years while a value stays.
#[test]
fn a_value_may_live_through_many_changes_of_the_key() {
    let (world, keyring) = World::with_keyring();
    world.create("s", "").unwrap();
    for _ in 0..20 {
        let key = keyring.create_key(home()).unwrap();
        world.change_key("s", &key).unwrap();
        assert_eq!(world.read("s").unwrap(), "1");
        assert_eq!(world.version_keys("s")[0].last(), Some(&key));
    }
}

/// A version is shown with each key once, also after the key's material was rotated between the changes.
#[test]
fn a_rotated_key_is_shown_once() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("s", &key).unwrap();
    for _ in 0..3 {
        keyring.rotate_key(&key).unwrap();
        world.change_key("s", &key).unwrap();
    }
    assert_eq!(world.read("s").unwrap(), "1");
    assert_eq!(world.version_keys("s"), [[key]]);
}

/// Naming the same key again, in whatever way, leaves the versions as they are.
#[test]
fn naming_the_same_key_again_adds_no_key() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    keyring.create_alias("alias/same", &key).unwrap();
    world.create("s", &key).unwrap();
    for same in [key.as_str(), "alias/same", key.rsplit_once('/').unwrap().1] {
        world.change_key("s", same).unwrap();
        assert_eq!(world.describe("s").kms_key_id.as_deref(), Some(same));
        assert_eq!(world.version_keys("s")[0].len(), 1);
        assert_eq!(world.read("s").unwrap(), "1");
    }
}

/// A secret without values takes a new key too.
#[test]
fn a_secret_without_a_value_takes_a_new_key() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.secrets.create_secret(strongroom::CreateSecretRequest::new("s")).unwrap();
    world.change_key("s", &key).unwrap();
    world.put("s", 1, &[]).unwrap();
    assert_eq!(world.version_keys("s"), [[key]]);
}

#[test]
fn a_new_key_that_is_switched_off_is_refused_and_nothing_changes() {
    let (world, keyring) = World::with_keyring();
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &old);
    let before = (world.describe("s"), world.version_keys("s"));
    keyring.disable_key(&new).unwrap();
    key_failure(world.change_key("s", &new), "EncryptionFailure", &new, KeyFaultReason::Disabled, KeyOperation::Wrap);
    keyring.schedule_key_deletion(&new).unwrap();
    let reason = KeyFaultReason::PendingDeletion;
    key_failure(world.change_key("s", &new), "EncryptionFailure", &new, reason, KeyOperation::Wrap);
    assert_eq!((world.describe("s"), world.version_keys("s")), before);
}

/// What the old key does not open stays as it was, and the call succeeds: later versions are under the new key.
#[test]
fn versions_that_the_old_key_does_not_open_stay_as_they_were() {
    let (world, keyring) = World::with_keyring();
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &old);
    let before = world.version_keys("s");
    keyring.disable_key(&old).unwrap();
    world.change_key("s", &new).unwrap();
    assert_eq!(world.describe("s").kms_key_id.as_ref(), Some(&new));
    assert_eq!(world.version_keys("s"), before);
    world.put("s", 6, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "6");
    keyring.enable_key(&old).unwrap();
    assert_eq!(readable(&world), [1, 2, 3, 4, 5]);
}

/// A keyring that refuses to wrap under one key, as KMS does without the permission `kms:Encrypt`.
#[derive(Debug, Clone)]
struct Unwilling {
    keyring: LocalKeyring,
    /// What wrapping under which key fails with.
    refuses: Arc<Mutex<Option<(String, KeyError)>>>,
}

impl Unwilling {
    fn new(keyring: LocalKeyring) -> Self {
        Self { keyring, refuses: Arc::default() }
    }

    fn refuse(&self, key: &str, error: KeyError) {
        *self.refuses.lock().unwrap() = Some((key.to_owned(), error));
    }
}

impl KeyProvider for Unwilling {
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
        match &*self.refuses.lock().unwrap() {
            Some((refused, error)) if **refused == *key.arn => Err(error.clone()),
            _ => self.keyring.wrap(key, data_key, context, call),
        }
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.keyring.unwrap(wrapped, context, call)
    }
}

/// Without permission to encrypt under the new key, existing versions stay as they were and the call succeeds.
#[test]
fn without_permission_to_wrap_the_versions_stay_and_the_call_succeeds() {
    let keyring = LocalKeyring::in_memory();
    let provider = Unwilling::new(keyring.clone());
    let world = World::over(provider.clone());
    let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    labelled(&world, &old);
    let before = world.version_keys("s");
    provider.refuse(&new, KeyError::AccessDenied);
    world.change_key("s", &new).unwrap();
    assert_eq!(world.describe("s").kms_key_id.as_ref(), Some(&new));
    assert_eq!(world.version_keys("s"), before);
    assert_eq!(readable(&world), [1, 2, 3, 4, 5]);
    // A new value cannot be stored under it, of course.
    let error = world.put("s", 6, &[]).unwrap_err();
    assert_eq!((error.code(), error.message()), ("AccessDeniedException", crate::fixture::NO_ACCESS));
    assert_eq!(world.read("s").unwrap(), "4");
}

/// Any other failure to wrap refuses the call as a whole.
#[test]
fn a_failure_to_wrap_leaves_everything_as_it_was() {
    for (error, code, is_retryable) in [
        (KeyError::Disabled, "EncryptionFailure", false),
        (KeyError::PendingDeletion, "EncryptionFailure", false),
        (KeyError::Unavailable, "InternalServiceError", true),
        (KeyError::Throttled, "InternalServiceError", true),
    ] {
        let keyring = LocalKeyring::in_memory();
        let provider = Unwilling::new(keyring.clone());
        let world = World::over(provider.clone());
        let (old, new) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
        labelled(&world, &old);
        let before = (world.describe("s"), world.version_keys("s"), world.store.stats().unwrap());
        provider.refuse(&new, error);
        let failure = world.change_key("s", &new).unwrap_err();
        assert_eq!((failure.code(), failure.is_retryable()), (code, is_retryable));
        assert_eq!((world.describe("s"), world.version_keys("s"), world.store.stats().unwrap()), before);
    }
}
