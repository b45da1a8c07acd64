//! How a key may be named, and what of it is shown: the default key, the forms, aliases that move, other accounts.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretListEntry.html>

use strongroom::{
    Call, CreateSecretRequest, DescribeSecretRequest, Filter, FilterKey, GetSecretValueRequest, KeyError,
    KeyFaultReason, KeyOperation, KeyProvider, KeyRef, KeyScope, ListSecretVersionIdsRequest, ListSecretsRequest,
    LocalKeyring, OsEntropy, SecretStore, SecretsManager, UpdateSecretRequest,
};

use crate::fixture::{NO_ACCESS, World, home, id, key_failure, refused};
use crate::kms_service::Kms;

const DEFAULT: &str = "DefaultEncryptionKey";

/// What a client sees of the key of a secret: as described, as listed, and of its versions, oldest first.
#[derive(Debug, PartialEq)]
struct Shown {
    described: Option<String>,
    listed: Option<String>,
    versions: Vec<Vec<String>>,
}

impl Shown {
    fn new(key: Option<&str>, versions: &[&[&str]]) -> Self {
        let key = key.map(str::to_owned);
        let owned = |keys: &&[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self { described: key.clone(), listed: key, versions: versions.iter().map(owned).collect() }
    }
}

fn shown(secrets: &SecretsManager, name: &str) -> Shown {
    let list = secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
    let versions = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
    let versions = secrets.list_secret_version_ids(versions).unwrap().versions;
    Shown {
        described: secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap().kms_key_id,
        listed: list.into_iter().find(|entry| entry.name == name).unwrap().kms_key_id,
        versions: versions.into_iter().map(|version| version.kms_key_ids).collect(),
    }
}

fn value(secrets: &SecretsManager, name: &str) -> String {
    let read = secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

fn create(secrets: &SecretsManager, name: &str, key: Option<&str>, value: Option<&str>) -> strongroom::Result<()> {
    let mut request = CreateSecretRequest::new(name);
    request.kms_key_id = key.map(str::to_owned);
    request.secret_string = value.map(Into::into);
    secrets.create_secret(request).map(drop)
}

/// Every form that names a key of a customer, for one and the same key of this account, and for one of another.
struct Forms {
    kms: Kms,
    world: World,
    own: String,
    foreign: String,
    /// What the caller writes, how the key service is asked for it, and which key it means.
    rows: Vec<(String, &'static str, String)>,
}

fn forms() -> Forms {
    let kms = Kms::new();
    let world = World::over(kms.clone());
    let own = kms.keyring.create_key(home()).unwrap();
    let foreign = kms.keyring.create_key(KeyScope::new("aws", "111111111111", "us-east-1")).unwrap();
    kms.keyring.create_alias("alias/team/app_1-x", &own).unwrap();
    kms.keyring.create_alias("alias/shared", &foreign).unwrap();
    let multi_region = "mrk-1234abcd12ab34cd56ef1234567890ab";
    let multi_region_arn = format!("arn:aws:kms:us-east-1:000000000000:key/{multi_region}");
    kms.name(multi_region, &own);
    kms.name(&multi_region_arn, &own);
    let key_id = own.rsplit_once('/').unwrap().1.to_owned();
    let rows = vec![
        (key_id, "Id", own.clone()),
        (own.clone(), "Arn", own.clone()),
        ("alias/team/app_1-x".to_owned(), "Alias", own.clone()),
        ("arn:aws:kms:us-east-1:000000000000:alias/team/app_1-x".to_owned(), "AliasArn", own.clone()),
        (multi_region.to_owned(), "Id", own.clone()),
        (multi_region_arn, "Arn", own.clone()),
        (foreign.clone(), "Arn", foreign.clone()),
        ("arn:aws:kms:us-east-1:111111111111:alias/shared".to_owned(), "AliasArn", foreign.clone()),
    ];
    Forms { kms, world, own, foreign, rows }
}

/// Whichever way the key comes to the secret, the service is asked for it by the text that was given, and shows that text.
#[test]
fn every_form_of_a_key_is_shown_as_it_was_given() {
    let Forms { kms, world, rows, .. } = forms();
    let secrets = &world.secrets;
    let mut cases = 0;
    for (index, (key, form, _)) in rows.iter().enumerate() {
        let key = key.as_str();
        let name = |way: &str| format!("{way}-{index}");
        let asked = [format!("{form}({key:?})")];
        kms.asked();

        create(secrets, &name("created"), Some(key), Some("v")).unwrap();
        assert_eq!(kms.asked(), asked);
        assert_eq!(shown(secrets, &name("created")), Shown::new(Some(key), &[&[key]]));

        create(secrets, &name("valueless"), Some(key), None).unwrap();
        assert_eq!(kms.asked(), asked);
        assert_eq!(shown(secrets, &name("valueless")), Shown::new(Some(key), &[]));
        world.put(&name("valueless"), 1, &[]).unwrap();
        assert_eq!(kms.asked(), asked, "a new version asks for the key again");
        assert_eq!(shown(secrets, &name("valueless")), Shown::new(Some(key), &[&[key]]));

        create(secrets, &name("updated"), None, Some("v")).unwrap();
        kms.asked();
        world.change_key(&name("updated"), key).unwrap();
        assert_eq!(kms.asked(), asked);
        assert_eq!(shown(secrets, &name("updated")), Shown::new(Some(key), &[&[DEFAULT, key]]));

        create(secrets, &name("both"), None, Some("v")).unwrap();
        kms.asked();
        secrets.update_secret(UpdateSecretRequest::new(name("both")).kms_key_id(key).secret_string("v")).unwrap();
        assert_eq!(kms.asked(), asked);
        assert_eq!(shown(secrets, &name("both")), Shown::new(Some(key), &[&[DEFAULT, key], &[key]]));

        for way in ["created", "updated", "both"] {
            assert_eq!(value(secrets, &name(way)), "v");
        }
        assert_eq!(value(secrets, &name("valueless")), "1");
        assert_eq!(kms.asked(), Vec::<String>::new(), "a key is not looked up again for a read");
        cases += 4;
    }
    eprintln!("keys named in {} ways, {cases} secrets", rows.len());
}

/// Each form leads to the key that it names: without that key there is no value.
#[test]
fn every_form_of_a_key_seals_under_that_key() {
    let Forms { kms, world, own, foreign, rows } = forms();
    for (index, (key, _, arn)) in rows.iter().enumerate() {
        let name = format!("s{index}");
        world.create(&name, key).unwrap();
        let other = if *arn == own { &foreign } else { &own };
        kms.keyring.disable_key(other).unwrap();
        assert_eq!(world.read(&name).unwrap(), "1", "{key}");
        kms.keyring.enable_key(other).unwrap();
        kms.keyring.disable_key(arn).unwrap();
        key_failure(world.read(&name), "DecryptionFailure", arn, KeyFaultReason::Disabled, KeyOperation::Unwrap);
        key_failure(world.put(&name, 2, &[]), "EncryptionFailure", arn, KeyFaultReason::Disabled, KeyOperation::Wrap);
        kms.keyring.enable_key(arn).unwrap();
    }
}

/// The key is no attribute that a secret is found by.
#[test]
fn a_secret_is_not_found_by_its_key() {
    let Forms { world, rows, .. } = forms();
    for (index, (key, ..)) in rows.iter().enumerate() {
        create(&world.secrets, &format!("s{index}"), Some(key), Some("v")).unwrap();
        for filter in [FilterKey::All, FilterKey::Name, FilterKey::Description, FilterKey::TagKey, FilterKey::TagValue]
        {
            let request = ListSecretsRequest::new().filters([Filter::new(filter.clone(), [key.as_str()])]);
            assert_eq!(world.secrets.list_secrets(request).unwrap().secret_list, [], "{filter:?} {key}");
        }
    }
}

/// What means the default key, for an account and Region.
fn defaults(partition: &str, account: &str, region: &str) -> [Option<String>; 4] {
    let arn = format!("arn:{partition}:kms:{region}:{account}:alias/aws/secretsmanager");
    [None, Some(String::new()), Some("alias/aws/secretsmanager".to_owned()), Some(arn)]
}

/// The default key is made by whatever is the first use of it, and never shown, however it was asked for.
#[test]
fn the_default_key_is_made_on_first_use_and_never_shown() {
    let (world, keyring) = World::with_keyring();
    let mut accounts = 0;
    for (partition, region) in [("aws", "us-east-1"), ("aws", "eu-west-3"), ("aws-cn", "cn-north-1")] {
        for row in 0..4 {
            for has_value in [true, false] {
                accounts += 1;
                let account = format!("{accounts:012}");
                let key = defaults(partition, &account, region)[row].clone();
                let secrets = world.store.secrets_manager(&account, region).unwrap();
                let owner = format!("{region}:{account}:");
                let made = || keyring.keys().iter().filter(|key| key.arn.contains(&owner)).count();
                assert_eq!(made(), 0);
                create(&secrets, "s", key.as_deref(), has_value.then_some("v")).unwrap();
                assert_eq!(shown(&secrets, "s").described, None, "{key:?}");
                secrets.update_secret(UpdateSecretRequest::new("s").secret_string("w")).unwrap();
                let versions: &[&[&str]] = if has_value { &[&[DEFAULT], &[DEFAULT]] } else { &[&[DEFAULT]] };
                assert_eq!(shown(&secrets, "s"), Shown::new(None, versions), "{key:?}");
                assert_eq!(value(&secrets, "s"), "w");
                assert_eq!(made(), 1, "{key:?}");
            }
        }
    }
    eprintln!("the default key of {accounts} accounts");
}

/// The key of a customer is left by any name of the default key.
#[test]
fn a_secret_goes_back_to_the_default_key_by_each_of_its_names() {
    for key in defaults("aws", "000000000000", "us-east-1").into_iter().flatten() {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let customer = kms.keyring.create_key(home()).unwrap();
        world.create("s", &customer).unwrap();
        world.change_key("s", &key).unwrap();
        let both: &[&str] = &[&customer, DEFAULT];
        assert_eq!(shown(&world.secrets, "s"), Shown::new(None, &[both]), "{key:?}");
        kms.keyring.disable_key(&customer).unwrap();
        assert_eq!(world.read("s").unwrap(), "1", "the default key opens it alone");
        world.put("s", 2, &[]).unwrap();
        assert_eq!(shown(&world.secrets, "s"), Shown::new(None, &[both, &[DEFAULT]]), "{key:?}");
        kms.keyring.enable_key(&customer).unwrap();

        let default = kms.keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
        kms.refuse(KeyOperation::Unwrap, &default, KeyError::AccessDenied);
        assert_eq!(world.read_version("s", 1).unwrap(), "1", "the key of the customer opens it alone");
        let reason = KeyFaultReason::AccessDenied;
        key_failure(world.read("s"), "AccessDeniedException", &default, reason, KeyOperation::Unwrap);
    }
}

/// Leaving the key out is not the same as asking for the default key: the secret keeps the key that it has.
#[test]
fn an_update_that_names_no_key_keeps_the_key() {
    let Forms { world, rows, .. } = forms();
    for (index, (key, ..)) in rows.iter().enumerate() {
        let (name, key) = (format!("s{index}"), key.as_str());
        world.create(&name, key).unwrap();
        for request in [
            UpdateSecretRequest::new(&name),
            UpdateSecretRequest::new(&name).description("d"),
            UpdateSecretRequest::new(&name).secret_string("w"),
        ] {
            world.secrets.update_secret(request).unwrap();
            assert_eq!(shown(&world.secrets, &name).described.as_deref(), Some(key));
        }
        assert_eq!(shown(&world.secrets, &name), Shown::new(Some(key), &[&[key], &[key]]));
    }
}

/// A default key serves its own account only, by whatever name another account calls it. A customer's key has to be
/// named by an ARN.
/// Source: <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html>
#[test]
fn the_keys_that_another_account_may_not_use_are_refused() {
    let Forms { kms, world, foreign, .. } = forms();
    let theirs = world.store.secrets_manager("111111111111", "us-east-1").unwrap();
    create(&theirs, "s", None, Some("v")).unwrap();
    let is_theirs = |key: &&strongroom::KeyDescription| key.aws_managed && key.arn.contains(":111111111111:");
    let default = kms.keyring.keys().iter().find(is_theirs).unwrap().arn.clone();
    world.create("s", "").unwrap();
    let before = (shown(&world.secrets, "s"), world.store.stats().unwrap());
    for key in [
        default.as_str(),
        "arn:aws:kms:us-east-1:111111111111:alias/aws/secretsmanager",
        "arn:aws:kms:us-east-1:222222222222:alias/aws/secretsmanager",
        default.rsplit_once('/').unwrap().1,
        foreign.rsplit_once('/').unwrap().1,
        "alias/shared",
        "arn:aws:kms:us-east-1:000000000000:alias/shared",
    ] {
        for value in [Some("v"), None] {
            refused(create(&world.secrets, "new", Some(key), value), "AccessDeniedException", NO_ACCESS);
        }
        refused(world.change_key("s", key), "AccessDeniedException", NO_ACCESS);
        assert_eq!((shown(&world.secrets, "s"), world.store.stats().unwrap()), before, "{key}");
    }
    // To its own account it is the default key.
    assert_eq!(shown(&theirs, "s"), Shown::new(None, &[&[DEFAULT]]));
    assert_eq!(value(&theirs, "s"), "v");
}

/// An alias is what the secret remembers, and the key is what a version remembers.
#[test]
fn an_alias_that_is_moved_is_followed_by_what_is_sealed_after_the_move() {
    for alias in ["alias/app", "arn:aws:kms:us-east-1:000000000000:alias/app"] {
        let kms = Kms::new();
        let world = World::over(kms.clone());
        let [one, two, three] = [(); 3].map(|()| kms.keyring.create_key(home()).unwrap());
        kms.keyring.create_alias("alias/app", &one).unwrap();
        world.create("s", alias).unwrap();
        world.put("s", 2, &[]).unwrap();
        let before = (shown(&world.secrets, "s"), world.describe("s"), world.store.stats().unwrap());
        kms.keyring.create_alias("alias/app", &two).unwrap();
        let after = (shown(&world.secrets, "s"), world.describe("s"), world.store.stats().unwrap());
        assert_eq!(after, before, "moving an alias changes no secret");
        world.put("s", 3, &[]).unwrap();
        assert_eq!(shown(&world.secrets, "s"), Shown::new(Some(alias), &[&[alias], &[alias], &[alias]]));

        // Naming the alias again wraps the labelled versions that are not under its key yet: version 2, AWSPREVIOUS.
        world.change_key("s", alias).unwrap();
        assert_eq!(shown(&world.secrets, "s"), Shown::new(Some(alias), &[&[alias], &[alias, alias], &[alias]]));
        kms.keyring.create_alias("alias/app", &three).unwrap();
        world.put("s", 4, &[]).unwrap();
        for (switched_off, readable) in [(&one, [false, true, true, true]), (&two, [true, true, false, true])] {
            kms.keyring.disable_key(switched_off).unwrap();
            let read = [1, 2, 3, 4].map(|version| world.read_version("s", version).is_ok());
            assert_eq!(read, readable, "{alias} {switched_off}");
            kms.keyring.enable_key(switched_off).unwrap();
        }
        kms.keyring.disable_key(&three).unwrap();
        key_failure(world.read("s"), "DecryptionFailure", &three, KeyFaultReason::Disabled, KeyOperation::Unwrap);
        assert_eq!(world.read_version("s", 3).unwrap(), "3");
    }
}

/// New material inside a key: nothing that a client sees changes, and everything opens.
#[test]
fn new_material_of_a_key_is_not_to_be_seen() {
    let Forms { kms, world, own, foreign, rows } = forms();
    let default = kms.keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
    let keys: Vec<&str> = rows.iter().map(|(key, ..)| key.as_str()).chain([""]).collect();
    for (index, key) in keys.iter().enumerate() {
        world.create(&format!("s{index}"), key).unwrap();
    }
    let all = || -> Vec<_> {
        let look = |index: usize| (world.describe(&format!("s{index}")), shown(&world.secrets, &format!("s{index}")));
        (0..keys.len()).map(look).collect()
    };
    let (before, stats) = (all(), world.store.stats().unwrap());
    for round in 0..3 {
        for key in [&own, &foreign, &default] {
            kms.keyring.rotate_key(key).unwrap();
        }
        assert_eq!(world.store.stats().unwrap(), stats, "{round}");
        assert_eq!(all(), before);
    }
    for (index, key) in keys.iter().enumerate() {
        let name = format!("s{index}");
        world.put(&name, 2, &[]).unwrap();
        assert_eq!((world.read_version(&name, 1).unwrap(), world.read(&name).unwrap()), ("1".into(), "2".into()));
        let key = if key.is_empty() { DEFAULT } else { key };
        assert_eq!(world.version_keys(&name), [[key], [key]], "{}", id(1));
    }
}

/// A keyring makes the default key for whoever asks for it, by its alias or by the ARN of that; a store may be opened so.
#[test]
fn a_keyring_makes_its_default_key_by_any_of_its_names() {
    let arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";
    let foreign = "arn:aws:kms:us-east-1:111111111111:alias/aws/secretsmanager";
    for (key, is_made) in [
        (KeyRef::Default, true),
        (KeyRef::Alias("alias/aws/secretsmanager"), true),
        (KeyRef::AliasArn(arn), true),
        (KeyRef::AliasArn(foreign), false),
        (KeyRef::Alias("alias/aws/s3"), false),
    ] {
        let keyring = LocalKeyring::in_memory();
        let found = keyring.resolve(&home(), key, &Call::new(&OsEntropy::default()));
        assert_eq!((found.is_ok_and(|found| found.aws_managed), keyring.keys().len()), (is_made, usize::from(is_made)));
    }
    let store = SecretStore::in_memory().key_provider(LocalKeyring::in_memory()).root_key_id(arn).open().unwrap();
    create(&store.default_secrets_manager(), "s", None, Some("v")).unwrap();
    assert_eq!(value(&store.default_secrets_manager(), "s"), "v");
}

/// The id and the ARN of the default key itself are names of it too.
#[test]
fn the_default_key_is_not_shown_either_if_it_is_named_by_its_own_id() {
    let (world, keyring) = World::with_keyring();
    let arn = keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
    let customer = keyring.create_key(home()).unwrap();
    for (index, key) in [arn.as_str(), arn.rsplit_once('/').unwrap().1].into_iter().enumerate() {
        let name = format!("s{index}");
        world.create(&name, key).unwrap();
        assert_eq!(shown(&world.secrets, &name), Shown::new(None, &[&[DEFAULT]]), "{key}");
        create(&world.secrets, &format!("valueless{index}"), Some(key), None).unwrap();
        assert_eq!(shown(&world.secrets, &format!("valueless{index}")), Shown::new(None, &[]), "{key}");
        world.change_key(&name, &customer).unwrap();
        world.change_key(&name, key).unwrap();
        assert_eq!(shown(&world.secrets, &name).described, None, "{key}");
        assert_eq!(world.read(&name).unwrap(), "1");
    }
}
