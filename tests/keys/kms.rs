//! What keys and their states mean for the operations.

use strongroom::testing::{FaultyProvider, SeededEntropy};
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, ErrorKind, KeyError, KeyFaultReason, KeyOperation, KeyScope, KeyState,
    ListSecretsRequest, LocalKeyring, PutSecretValueRequest, RestoreSecretRequest, SecretStore, StaticKey, Tag,
    TagResourceRequest, UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest,
};

use crate::fixture::{NO_ACCESS, NOT_FOUND, World, fault, home, id, key_failure, refused};

/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html>
#[test]
fn the_default_key_is_made_on_first_use_for_each_account_and_region() {
    let (world, keyring) = World::with_keyring();
    let defaults = || -> Vec<String> {
        let is_default = |alias: &String| alias.ends_with(":alias/aws/secretsmanager");
        let mut aliases: Vec<String> =
            keyring.keys().into_iter().flat_map(|key| key.aliases).filter(is_default).collect();
        aliases.sort();
        aliases
    };
    let home = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager".to_owned();
    // Opening the store needed it already.
    assert_eq!(defaults(), std::slice::from_ref(&home));
    let elsewhere = world.store.secrets_manager("111111111111", "cn-north-1").unwrap();
    elsewhere.list_secrets(ListSecretsRequest::new()).unwrap();
    assert_eq!(defaults(), std::slice::from_ref(&home), "listing uses no key");
    for name in ["one", "two"] {
        elsewhere.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
        let foreign = "arn:aws-cn:kms:cn-north-1:111111111111:alias/aws/secretsmanager".to_owned();
        assert_eq!(defaults(), [foreign, home.clone()]);
    }
    assert_eq!(keyring.keys().len(), 2);
    assert!(keyring.keys().iter().all(|key| key.aws_managed && key.state == KeyState::Enabled));
}

/// Recorded: a secret under the default key shows no key, and its versions show this name.
#[test]
fn the_default_key_is_not_described() {
    let (world, _) = World::with_keyring();
    for (name, key) in [("a", None), ("b", Some("")), ("c", Some("alias/aws/secretsmanager"))] {
        let mut request = CreateSecretRequest::new(name).secret_string("v");
        request.kms_key_id = key.map(str::to_owned);
        world.secrets.create_secret(request).unwrap();
        assert_eq!(world.describe(name).kms_key_id, None, "{key:?}");
        assert_eq!(world.version_keys(name), [["DefaultEncryptionKey"]], "{key:?}");
    }
}

/// Key id, key ARN, alias and alias ARN are accepted, and shown as they were given.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
#[test]
fn a_key_can_be_named_in_four_ways() {
    let (world, keyring) = World::with_keyring();
    let arn = keyring.create_key(home()).unwrap();
    keyring.create_alias("alias/my/key_1-x", &arn).unwrap();
    let key_id = arn.rsplit_once('/').unwrap().1;
    let alias_arn = "arn:aws:kms:us-east-1:000000000000:alias/my/key_1-x";
    for (name, key) in [("id", key_id), ("arn", &arn), ("alias", "alias/my/key_1-x"), ("alias-arn", alias_arn)] {
        world.create(name, key).unwrap();
        assert_eq!(world.describe(name).kms_key_id.as_deref(), Some(key));
        assert_eq!(world.version_keys(name), [[key]]);
        assert_eq!(world.read(name).unwrap(), "1");
        world.change_key(name, "").unwrap();
        assert_eq!(world.describe(name).kms_key_id, None);
        world.change_key(name, key).unwrap();
        assert_eq!(world.describe(name).kms_key_id.as_deref(), Some(key));
    }
    keyring.disable_key(&arn).unwrap();
    world.create("id-2", key_id).unwrap_err();
    key_failure(
        world.create("x", "alias/my/key_1-x"),
        "EncryptionFailure",
        &arn,
        KeyFaultReason::Disabled,
        KeyOperation::Wrap,
    );
}

/// Nothing says whether a key is missing or only out of reach.
#[test]
fn a_key_that_is_not_there_is_refused_like_one_without_permission() {
    let (world, keyring) = World::with_keyring();
    let foreign = keyring.create_key(KeyScope::new("aws", "111111111111", "us-east-1")).unwrap();
    let foreign_id = foreign.rsplit_once('/').unwrap().1;
    keyring.create_alias("alias/theirs", &foreign).unwrap();
    world.create("s", "").unwrap();
    let before = world.describe("s");
    let stats = world.store.stats().unwrap();
    for key in [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/missing",
        "alias/aws/s3",
        "alias/theirs",
        foreign_id,
        "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:000000000000:alias/missing",
        "not a key \u{1f511}",
        "alias/",
        "alias/AWS/secretsmanager",
    ] {
        let create = world.secrets.create_secret(CreateSecretRequest::new("new").secret_string("v").kms_key_id(key));
        refused(create, "AccessDeniedException", NO_ACCESS);
        let valueless = world.secrets.create_secret(CreateSecretRequest::new("new").kms_key_id(key));
        refused(valueless, "AccessDeniedException", NO_ACCESS);
        refused(world.change_key("s", key), "AccessDeniedException", NO_ACCESS);
        let update = UpdateSecretRequest::new("s").kms_key_id(key).secret_string("w").description("x");
        key_failure(
            world.secrets.update_secret(update),
            "AccessDeniedException",
            key,
            KeyFaultReason::NotFound,
            KeyOperation::Resolve,
        );
    }
    assert_eq!(world.describe("s"), before);
    assert_eq!(world.store.stats().unwrap(), stats, "nothing was stored");
    assert_eq!(world.read("s").unwrap(), "1");
}

#[test]
fn a_key_of_another_region_is_refused() {
    let (world, keyring) = World::with_keyring();
    let elsewhere = keyring.create_key(KeyScope::new("aws", "000000000000", "eu-west-1")).unwrap();
    world.create("s", "").unwrap();
    for (key, region) in [
        (elsewhere.as_str(), "eu-west-1"),
        ("arn:aws:kms:ap-southeast-2:000000000000:alias/missing", "ap-southeast-2"),
        ("arn:aws:kms:us-east-2:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab", "us-east-2"),
    ] {
        let text = format!("The operation failed because of an invalid KMS key: Invalid arn {region}");
        refused(world.create("new", key), "InvalidRequestException", &text);
        refused(world.change_key("s", key), "InvalidRequestException", &text);
    }
    refused(world.read("new"), "ResourceNotFoundException", NOT_FOUND);
    // In its own Region the key is as good as any.
    let manager = world.store.secrets_manager("000000000000", "eu-west-1").unwrap();
    manager.create_secret(CreateSecretRequest::new("s").secret_string("v").kms_key_id(&elsewhere)).unwrap();
}

/// A key can only be used once its state permits it, and the failure names the key, the state and the purpose.
#[test]
fn a_key_that_is_switched_off_stops_writes_and_reads_until_it_is_switched_on() {
    type Switch = fn(&LocalKeyring, &str) -> strongroom::Result<()>;
    let rows: [(Switch, KeyFaultReason); 3] = [
        (LocalKeyring::disable_key, KeyFaultReason::Disabled),
        (LocalKeyring::schedule_key_deletion, KeyFaultReason::PendingDeletion),
        (
            |keyring, key| keyring.schedule_key_deletion(key).and_then(|()| keyring.cancel_key_deletion(key)),
            KeyFaultReason::Disabled,
        ),
    ];
    for (switch_off, reason) in rows {
        let (world, keyring) = World::with_keyring();
        let key = keyring.create_key(home()).unwrap();
        world.create("s", &key).unwrap();
        world.put("s", 2, &[]).unwrap();
        let before = world.describe("s");
        switch_off(&keyring, &key).unwrap();

        let stats = world.store.stats().unwrap();
        let encryption = |result| key_failure(result, "EncryptionFailure", &key, reason, KeyOperation::Wrap);
        encryption(world.put("s", 3, &[]));
        encryption(world.create("new", &key).map(drop));
        encryption(world.secrets.update_secret(UpdateSecretRequest::new("s").secret_string("x")).map(drop));
        let decryption = |result| key_failure(result, "DecryptionFailure", &key, reason, KeyOperation::Unwrap);
        decryption(world.read("s"));
        decryption(world.read_version("s", 1));
        decryption(world.read_version("s", 2));
        // To tell a replay from a conflict, the stored value must be opened.
        decryption(world.put("s", 2, &[]).map(|()| String::new()));
        assert_eq!(world.store.stats().unwrap(), stats, "nothing was stored");
        assert_eq!(world.describe("s"), before);

        if reason == KeyFaultReason::PendingDeletion {
            keyring.cancel_key_deletion(&key).unwrap();
        }
        keyring.enable_key(&key).unwrap();
        assert_eq!(world.read("s").unwrap(), "2");
        assert_eq!(world.read_version("s", 1).unwrap(), "1");
        world.put("s", 3, &[]).unwrap();
        assert_eq!(world.read("s").unwrap(), "3");
    }
}

#[test]
fn a_failed_read_under_a_disabled_key_is_no_access() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("s", &key).unwrap();
    keyring.disable_key(&key).unwrap();
    world.read("s").unwrap_err();
    assert_eq!(world.describe("s").last_accessed_date, None);
}

/// Everything that needs no value works while the key is switched off.
#[test]
fn metadata_does_not_depend_on_the_key() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("s", &key).unwrap();
    world.put("s", 2, &[]).unwrap();
    keyring.disable_key(&key).unwrap();

    assert_eq!(world.describe("s").kms_key_id.as_deref(), Some(key.as_str()));
    assert_eq!(world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list.len(), 1);
    assert_eq!(world.version_keys("s"), [[key.clone()], [key.clone()]]);
    world.secrets.tag_resource(TagResourceRequest::new("s", [Tag::new("k", "v")])).unwrap();
    world.secrets.untag_resource(UntagResourceRequest::new("s", ["k"])).unwrap();
    world.secrets.update_secret(UpdateSecretRequest::new("s").description("still editable")).unwrap();
    assert_eq!(world.describe("s").description.as_deref(), Some("still editable"));
    let back = UpdateSecretVersionStageRequest::new("s", "AWSCURRENT").remove_from_version_id(id(2));
    world.secrets.update_secret_version_stage(back.move_to_version_id(id(1))).unwrap();
    world.secrets.delete_secret(DeleteSecretRequest::new("s")).unwrap();
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    let stages = world.describe("s").version_ids_to_stages.unwrap();
    assert_eq!((&stages[&id(1)], &stages[&id(2)]), (&vec!["AWSCURRENT".to_owned()], &vec!["AWSPREVIOUS".to_owned()]));

    keyring.enable_key(&key).unwrap();
    assert_eq!(world.read("s").unwrap(), "1");
    keyring.disable_key(&key).unwrap();
    let gone = DeleteSecretRequest::new("s").force_delete_without_recovery(true);
    world.secrets.delete_secret(gone).unwrap();
    assert_eq!(world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list, []);
}

/// Other secrets do not notice.
#[test]
fn a_disabled_key_concerns_its_own_secrets_only() {
    let (world, keyring) = World::with_keyring();
    let (off, on) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    for (name, key) in [("off", off.as_str()), ("on", &on), ("default", "")] {
        world.create(name, key).unwrap();
    }
    keyring.disable_key(&off).unwrap();
    world.read("off").unwrap_err();
    for name in ["on", "default"] {
        assert_eq!(world.read(name).unwrap(), "1");
        world.put(name, 2, &[]).unwrap();
    }
}

/// A new version takes the key that the secret has now; older ones keep theirs in the list.
#[test]
fn the_version_list_shows_the_keys_of_each_version() {
    let (world, keyring) = World::with_keyring();
    let (one, two) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    world.create("s", "").unwrap();
    for version in 2..=4 {
        world.put("s", version, &[]).unwrap();
    }
    world.change_key("s", &one).unwrap();
    world.put("s", 5, &[]).unwrap();
    world.change_key("s", &two).unwrap();
    let default = "DefaultEncryptionKey".to_owned();
    let (one, two) = (one, two);
    // Versions 1 and 2 had no labels at either change; version 3 was the previous one at the first.
    assert_eq!(
        world.version_keys("s"),
        [
            vec![default.clone()],
            vec![default.clone()],
            vec![default.clone(), one.clone()],
            vec![default, one.clone(), two.clone()],
            vec![one, two],
        ]
    );
}

#[test]
fn an_alias_that_is_moved_leads_new_versions_to_the_new_key() {
    let (world, keyring) = World::with_keyring();
    let (one, two) = (keyring.create_key(home()).unwrap(), keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/app", &one).unwrap();
    world.create("s", "alias/app").unwrap();
    keyring.create_alias("alias/app", &two).unwrap();
    assert_eq!(world.read("s").unwrap(), "1", "what was stored keeps its key");
    world.put("s", 2, &[]).unwrap();
    keyring.disable_key(&one).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
    key_failure(world.read_version("s", 1), "DecryptionFailure", &one, KeyFaultReason::Disabled, KeyOperation::Unwrap);
}

/// Rotating the material of a key changes nothing for what is stored.
#[test]
fn secrets_outlive_the_rotation_of_their_key() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("s", &key).unwrap();
    for version in 2..10 {
        keyring.rotate_key(&key).unwrap();
        world.put("s", version, &[]).unwrap();
    }
    for version in 1..10 {
        assert_eq!(world.read_version("s", version).unwrap(), version.to_string());
    }
    assert!(world.version_keys("s").iter().all(|keys| *keys == [key.clone()]));
}

/// An outage is the server's fault for a client, names the provider's trouble for the caller, and stores nothing.
#[test]
fn an_outage_of_the_key_provider_is_retryable_and_stores_nothing() {
    for (error, reason) in [
        (KeyError::Throttled, KeyFaultReason::Throttled),
        (KeyError::Unavailable, KeyFaultReason::Unavailable),
        (KeyError::Timeout, KeyFaultReason::Timeout),
        (KeyError::Internal, KeyFaultReason::Internal),
    ] {
        let provider = FaultyProvider::new(StaticKey::new([7; 32]), 1);
        let world = World::over(provider.clone());
        world.create("s", "").unwrap();
        let (before, stats) = (world.describe("s"), world.store.stats().unwrap());
        provider.fail_with(Some(error.clone()));
        let outage = |result: strongroom::Result<()>| {
            let failure = result.as_ref().unwrap_err();
            assert!(failure.is_retryable(), "{error}");
            assert_eq!(failure.message(), "An error occurred on the server side.");
            assert!(matches!(failure.kind(), ErrorKind::KeyProviderOutage(_)));
            let (code, fault) = fault(result);
            assert_eq!((code, fault.reason), ("InternalServiceError", reason));
        };
        outage(world.create("new", "").map(drop));
        outage(world.put("s", 2, &[]));
        outage(world.change_key("s", "alias/other"));
        outage(world.read("s").map(drop));
        outage(world.secrets.update_secret(UpdateSecretRequest::new("s").secret_string("x")).map(drop));
        assert_eq!((world.describe("s"), world.store.stats().unwrap()), (before, stats));
        provider.fail_with(None);
        assert_eq!(world.read("s").unwrap(), "1");
        world.put("s", 2, &[]).unwrap();
        world.create("new", "").unwrap();
    }
}

/// What the other answers of a provider become.
#[test]
fn refusals_of_the_key_provider_have_their_own_codes() {
    let asymmetric = "Cannot generate a data key with an asymmetric KMS key";
    for (error, on_write, text, on_read) in [
        (KeyError::AccessDenied, "AccessDeniedException", Some(NO_ACCESS), "AccessDeniedException"),
        (KeyError::NotFound, "AccessDeniedException", Some(NO_ACCESS), "DecryptionFailure"),
        (KeyError::WrongUsage, "EncryptionFailure", Some(asymmetric), "DecryptionFailure"),
        (KeyError::Disabled, "EncryptionFailure", None, "DecryptionFailure"),
        (KeyError::PendingDeletion, "EncryptionFailure", None, "DecryptionFailure"),
        (KeyError::PendingImport, "EncryptionFailure", None, "DecryptionFailure"),
    ] {
        let provider = FaultyProvider::new(StaticKey::new([7; 32]), 1);
        let world = World::over(provider.clone());
        world.create("s", "").unwrap();
        provider.fail_with(Some(error.clone()));
        let write = world.put("s", 2, &[]).unwrap_err();
        assert_eq!((write.code(), write.is_retryable()), (on_write, false), "{error}");
        assert!(text.is_none_or(|text| write.message() == text), "{error}: {write}");
        let read = world.read("s").unwrap_err();
        assert_eq!((read.code(), read.is_retryable()), (on_read, false), "{error}");
        provider.fail_with(None);
        assert_eq!(world.read("s").unwrap(), "1");
    }
}

/// Half of all calls fail, in any order: what was acknowledged is there, and nothing else.
#[test]
fn a_flaky_provider_never_leaves_half_a_change() {
    let provider = FaultyProvider::new(StaticKey::new([7; 32]), 3);
    let world = World::over(provider.clone());
    world.create("s", "").unwrap();
    let mut acknowledged = vec![1];
    for version in 2..100 {
        provider.fail_per_cent(50);
        let is_stored = world.put("s", version, &[]).is_ok();
        let key = format!("alias/{version}");
        let is_changed = version % 10 == 0 && world.change_key("s", &key).is_ok();
        provider.fail_per_cent(0);
        if is_stored {
            acknowledged.push(version);
        }
        if is_changed {
            assert_eq!(world.describe("s").kms_key_id, Some(key));
        }
        assert_eq!(world.read("s").unwrap(), acknowledged.last().unwrap().to_string());
    }
    assert!((20..80).contains(&acknowledged.len()), "{acknowledged:?}");
    for version in 1..100 {
        assert_eq!(world.read_version("s", version).is_ok(), acknowledged.contains(&version), "{version}");
    }
    assert_eq!(world.version_keys("s").len(), acknowledged.len());
}

#[test]
fn a_static_key_takes_every_name_for_a_key() {
    let world = World::over(StaticKey::new([7; 32]));
    for (name, key) in [
        ("a", "alias/anything"),
        ("b", "1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("c", "arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("d", "arn:aws:kms:us-east-1:000000000000:alias/x"),
    ] {
        world.create(name, key).unwrap();
        assert_eq!(world.describe(name).kms_key_id.as_deref(), Some(key));
        assert_eq!(world.read(name).unwrap(), "1");
    }
}

/// Names of keys have a limit like every text.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>
#[test]
fn the_name_of_a_key_has_a_limit() {
    let world = World::over(StaticKey::new([7; 32]));
    let longest = format!("alias/{}", "k".repeat(2042));
    world.create("s", &longest).unwrap();
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.version_keys("s"), [[longest.clone()], [longest.clone()]]);
    let too_long = format!("{longest}k");
    for error in [world.create("t", &too_long).unwrap_err(), world.change_key("s", &too_long).unwrap_err()] {
        assert_eq!(error.code(), "ValidationException");
        let ending = "at 'kmsKeyId' failed to satisfy constraint: Member must have length less than or equal to 2048";
        assert!(error.message().ends_with(ending), "{error}");
    }
}

/// Whoever has the key file of one store cannot read the secrets of another.
#[test]
fn the_keys_of_one_store_do_not_open_another() {
    let backend = strongroom::MemoryBackend::new();
    let open = |key: u8| {
        let store = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([key; 32]));
        store.entropy(SeededEntropy::new(1)).open()
    };
    let store = open(1).unwrap();
    let put = PutSecretValueRequest::new("s", "v");
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("s")).unwrap();
    store.default_secrets_manager().put_secret_value(put).unwrap();
    store.close().unwrap();
    assert!(matches!(open(2).unwrap_err().kind(), ErrorKind::WrongKey(_)));
    assert!(open(1).is_ok());
}
