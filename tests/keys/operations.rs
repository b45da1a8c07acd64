//! New wraps and new data keys for what is there.

use strongroom::{
    DeleteSecretRequest, DescribeSecretRequest, ErrorKind, KeyOptions, KeyProvider as _, ListSecretVersionIdsRequest,
    RestoreSecretRequest, SecretStore, VerifyOptions,
};

use crate::fixture::{World, home, id};

fn nothing(_: strongroom::Progress) {}

/// Key ARN and version of every wrap in the store, with the versions under each.
fn wraps(store: &SecretStore) -> Vec<(String, String, u64)> {
    let census = store.key_census(&mut nothing).unwrap();
    let row = |usage: strongroom::KeyUsage| (usage.key.key_arn, usage.key.key_version, usage.versions);
    census.keys.into_iter().map(row).filter(|(.., versions)| *versions > 0).collect()
}

fn assert_clean(store: &SecretStore) {
    let report = store.verify(VerifyOptions::new(), &mut nothing).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn after_a_key_was_rotated_everything_goes_over_to_its_newest_version() {
    let (world, keyring) = World::with_keyring();
    let [a, b] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    world.create("a", &a).unwrap();
    world.put("a", 2, &[]).unwrap();
    world.create("b", &b).unwrap();
    world.create("deleted", &a).unwrap();
    world.secrets.delete_secret(DeleteSecretRequest::new("deleted")).unwrap();
    keyring.rotate_key(&a).unwrap();

    let before = (world.describe("a"), world.version_keys("a"));
    let dry = world.store.rewrap(&KeyOptions::new().dry_run(true), &mut nothing).unwrap();
    assert_eq!((dry.secrets, dry.versions, dry.rewrapped_versions), (3, 4, 3));
    assert_eq!(wraps(&world.store).iter().filter(|(_, version, _)| version == "2").count(), 0);

    let report = world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap();
    assert_eq!((report.secrets, report.versions, report.rewrapped_versions), (3, 4, 3));
    assert!(wraps(&world.store).contains(&(a, "2".to_owned(), 3)), "{:?}", wraps(&world.store));
    assert_eq!(wraps(&world.store).len(), 2);
    assert_eq!((world.describe("a"), world.version_keys("a")), before, "clients see no difference");
    let again = world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap();
    assert_eq!((again.rewrapped_versions, again.root_rewrapped), (0, false));
    world.secrets.restore_secret(RestoreSecretRequest::new("deleted")).unwrap();
    for (name, version) in [("a", 1), ("a", 2), ("b", 1), ("deleted", 1)] {
        assert_eq!(world.read_version(name, version).unwrap(), version.to_string());
    }
    assert_clean(&world.store);
}

#[test]
fn an_alias_that_was_moved_is_followed_by_what_is_wrapped_anew() {
    let (world, keyring) = World::with_keyring();
    let [a, b] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/mine", &a).unwrap();
    world.create("s", "alias/mine").unwrap();
    keyring.create_alias("alias/mine", &b).unwrap();
    world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap();
    assert_eq!(wraps(&world.store), [(b, "1".to_owned(), 1)]);
    keyring.schedule_key_deletion(&a).unwrap();
    assert_eq!(world.read("s").unwrap(), "1");
    assert_eq!(world.version_keys("s"), [["alias/mine"]]);
}

#[test]
fn the_root_key_goes_over_to_the_newest_version_of_its_key() {
    let (world, keyring) = World::with_keyring();
    let default = keyring.keys().into_iter().find(|key| key.aws_managed).unwrap().arn;
    keyring.rotate_key(&default).unwrap();
    let report = world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap();
    assert!(report.root_rewrapped);
    let census = world.store.key_census(&mut nothing).unwrap();
    let opening: Vec<_> = census.keys.iter().filter(|usage| usage.opens_store).collect();
    assert_eq!(opening.len(), 1, "the old wrap is gone");
    assert_eq!((opening[0].key.key_arn.as_str(), opening[0].key.key_version.as_str()), (default.as_str(), "2"));
}

#[test]
fn a_key_in_the_way_is_a_problem_of_its_versions_and_of_no_others() {
    let (world, keyring) = World::with_keyring();
    let [a, b] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    world.create("a", &a).unwrap();
    world.create("b", &b).unwrap();
    [&a, &b].into_iter().for_each(|key| keyring.rotate_key(key).unwrap());
    keyring.disable_key(&a).unwrap();
    for operation in ["rewrap", "reencrypt"] {
        let (changed, problems) = if operation == "rewrap" {
            let report = world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap();
            assert_eq!(report.problems_total, 1);
            (report.rewrapped_versions, report.problems)
        } else {
            let report = world.store.reencrypt(&KeyOptions::new(), &mut nothing).unwrap();
            assert_eq!(report.problems_total, 1);
            (report.versions, report.problems)
        };
        assert_eq!((changed, problems.len()), (1, 1), "{operation}");
        assert!(problems[0].arn.contains(":a-") && problems[0].version_id == Some(id(1)));
        assert!(matches!(problems[0].error.kind(), ErrorKind::EncryptionFailure(fault) if fault.key == a));
    }
    keyring.enable_key(&a).unwrap();
    assert_eq!(world.store.rewrap(&KeyOptions::new(), &mut nothing).unwrap().rewrapped_versions, 1);
    assert_eq!((world.read("a").unwrap(), world.read("b").unwrap()), ("1".to_owned(), "1".to_owned()));
}

#[test]
fn everything_of_one_key_can_be_moved_to_another() {
    let (world, keyring) = World::with_keyring();
    let [a, b, other] = [(); 3].map(|()| keyring.create_key(home()).unwrap());
    keyring.create_alias("alias/a", &a).unwrap();
    world.create("by-arn", &a).unwrap();
    world.create("by-alias", "alias/a").unwrap();
    world.create("other", &other).unwrap();
    let report = world.store.rewrap(&KeyOptions::new().replace_key(&a, &b), &mut nothing).unwrap();
    assert_eq!((report.versions, report.rewrapped_versions), (3, 2));
    let mut expected = [(b.clone(), "1".to_owned(), 2), (other, "1".to_owned(), 1)];
    expected.sort();
    let mut found = wraps(&world.store);
    found.sort();
    assert_eq!(found, expected);
    let shown = |name: &str| world.describe(name).kms_key_id.unwrap();
    assert_eq!((shown("by-arn"), shown("by-alias")), (b.clone(), b.clone()), "whatever name led to it");
    assert!(world.version_keys("by-alias").concat().contains(&b));
    // An alias that leads elsewhere by now stays.
    let c = keyring.create_key(home()).unwrap();
    world.create("moved-alias", "alias/a").unwrap();
    keyring.create_alias("alias/a", &c).unwrap();
    world.store.rewrap(&KeyOptions::new().replace_key(&a, &b), &mut nothing).unwrap();
    assert_eq!(world.describe("moved-alias").kms_key_id.unwrap(), "alias/a");
}

#[test]
fn only_the_chosen_accounts_are_gone_through() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("here", &key).unwrap();
    let elsewhere = world.store.secrets_manager("111122223333", "eu-west-1").unwrap();
    elsewhere.create_secret(strongroom::CreateSecretRequest::new("there").secret_string("v")).unwrap();
    let options = KeyOptions::new().only("111122223333", "eu-west-1");
    let report = world.store.reencrypt(&options, &mut nothing).unwrap();
    assert_eq!((report.secrets, report.versions), (1, 1));
    let wrong = KeyOptions::new().only("not-an-account", "eu-west-1");
    assert_eq!(*world.store.rewrap(&wrong, &mut nothing).unwrap_err().kind(), ErrorKind::Configuration);
}

#[test]
fn a_new_data_key_changes_nothing_that_clients_see() {
    let (world, keyring) = World::with_keyring();
    let key = keyring.create_key(home()).unwrap();
    world.create("s", &key).unwrap();
    world.put("s", 2, &["AWSPENDING"]).unwrap();
    world.create("empty", "").unwrap();
    let listed = || {
        let request = ListSecretVersionIdsRequest::new("s").include_deprecated(true);
        (world.secrets.list_secret_version_ids(request).unwrap(), world.describe("s"))
    };
    let before = listed();
    let dry = world.store.reencrypt(&KeyOptions::new().dry_run(true), &mut nothing).unwrap();
    assert_eq!((dry.secrets, dry.versions), (2, 3));
    let report = world.store.reencrypt(&KeyOptions::new(), &mut nothing).unwrap();
    assert_eq!((report.secrets, report.versions, report.was_resumed, report.problems_total), (2, 3, false, 0));
    assert_eq!(listed(), before);
    assert_eq!((world.read_version("s", 1).unwrap(), world.read_version("s", 2).unwrap()), ("1".into(), "2".into()));
    assert_clean(&world.store);
}

#[test]
fn there_is_one_operation_on_keys_at_a_time() {
    let (world, keyring) = World::with_keyring();
    world.create("s", "").unwrap();
    let mut refused = 0;
    world
        .store
        .rewrap(&KeyOptions::new(), &mut |_| {
            let error = world.store.reencrypt(&KeyOptions::new(), &mut nothing).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Contended);
            assert!(error.is_retryable());
            refused += 1;
            // Clients go on meanwhile.
            world.secrets.describe_secret(DescribeSecretRequest::new("s")).unwrap();
            assert_eq!(world.read("s").unwrap(), "1");
        })
        .unwrap();
    assert!(refused > 0);
    assert_eq!(keyring.id(), "local-keyring");
}
