//! Everything that a client can see of a secret is the same in the other store.

use chrono::TimeDelta;
use strongroom::{ExportOptions, ImportOptions, RestoreSecretRequest, SecretStore, StaticKey};

use crate::fixture::{Exported, Picture, Source, TENANTS, Target, import, import_lines, picture};

/// Secrets of a rich store: so many in each of its accounts and Regions.
const SECRETS: usize = 3 * 21;

/// Of a version made before the key of its secret was changed, the source knows more keys than the other store has to.
fn with_keys_of_secrets(mut picture: Picture) -> Picture {
    for seen in picture.values_mut() {
        let key = seen.described.kms_key_id.clone().unwrap_or_else(|| "DefaultEncryptionKey".to_owned());
        seen.versions.iter_mut().for_each(|version| version.key.clone_from(&key));
    }
    picture
}

fn rich() -> (Source, Picture) {
    let source = Source::rich();
    // The first look notes the day; the second sees what the export will hold.
    picture(&source.store);
    let seen = with_keys_of_secrets(picture(&source.store));
    (source, seen)
}

#[test]
fn a_rich_store_arrives_as_it_was_under_other_keys_at_another_time() {
    let (source, expected) = rich();
    let exported = Exported::place();
    let report = exported.from(&source.store).unwrap();
    // In each account and Region, one version waits for its value, and is in no list.
    let versions = TENANTS.len() + expected.values().map(|seen| seen.versions.len()).sum::<usize>();
    assert_eq!((report.secrets, report.versions), (expected.len() as u64, versions as u64));
    assert!(report.skipped.is_empty() && expected.len() == SECRETS, "{}", expected.len());

    for is_encrypted in [true, false] {
        let target = Target::new();
        let imported = if is_encrypted {
            import(&target.store, &exported.path).unwrap()
        } else {
            import_lines(&target.store, &source.lines()).unwrap()
        };
        assert_eq!((imported.created, imported.unchanged, imported.conflicts.len()), (report.secrets, 0, 0));
        let found = picture(&target.store);
        assert!(found.keys().eq(expected.keys()));
        for (arn, seen) in &found {
            assert_eq!(*seen, expected[arn], "{arn}");
        }
        // What was scheduled for deletion can still be restored, and then read.
        for (account, region) in TENANTS {
            let secrets = target.store.secrets_manager(account, region).unwrap();
            secrets.restore_secret(RestoreSecretRequest::new("going")).unwrap();
            let seen = crate::fixture::see(&secrets, "going");
            assert_eq!(seen.versions[0].value, Some(crate::fixture::Value::Text("restore me".to_owned())));
        }
        eprintln!("{} secrets, {versions} versions, encrypted: {is_encrypted}", found.len());
    }
}

#[test]
fn importing_again_changes_nothing_even_after_the_secrets_were_read() {
    let (source, expected) = rich();
    let (exported, target) = (source.export(), Target::new());
    import(&target.store, &exported.path).unwrap();
    // Reading on a later day notes that day, which is no change of a secret.
    target.clock.advance(TimeDelta::days(1));
    picture(&target.store);
    let epoch = target.epoch();
    for again in [import(&target.store, &exported.path), import_lines(&target.store, &source.lines())] {
        let again = again.unwrap();
        assert_eq!((again.created, again.unchanged), (0, expected.len() as u64), "{:?}", again.conflicts);
        assert_eq!(target.epoch(), epoch, "not one commit");
    }
}

#[test]
fn an_export_imports_into_the_store_it_came_from_as_unchanged() {
    let (source, expected) = rich();
    let epoch = source.store.stats().unwrap().epoch;
    for report in [import(&source.store, &source.export().path), import_lines(&source.store, &source.lines())] {
        let report = report.unwrap();
        assert_eq!((report.created, report.unchanged), (0, expected.len() as u64), "{:?}", report.conflicts);
    }
    assert_eq!(source.store.stats().unwrap().epoch, epoch);
}

#[test]
fn an_export_of_an_import_is_the_same_export() {
    let (source, _) = rich();
    let target = Target::new();
    let lines = source.lines();
    import_lines(&target.store, &lines).unwrap();
    let sorted = |lines: &[u8]| {
        let mut lines: Vec<String> = String::from_utf8(lines.to_vec()).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let mut again = Vec::new();
    target.store.export_plaintext(&mut again, &ExportOptions::new(), &mut |_| ()).unwrap();
    assert!(sorted(&lines) == sorted(&again));
}

/// A secret with as many of the largest values as one may have, in one commit of a store on disk.
#[test]
fn a_secret_with_many_large_versions_is_written_in_one_step() {
    let versions = if std::env::var_os("STRONGROOM_LONG").is_some() { 1_000 } else { 120 };
    let source = Source::small();
    for number in 0..versions - 1 {
        let value = vec![u8::try_from(number % 251).unwrap(); 65_536];
        source.home().put_secret_value(strongroom::PutSecretValueRequest::new("small", value)).unwrap();
    }
    let exported = source.export();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let open = || SecretStore::builder(&path).key_provider(StaticKey::new([9; 32])).open().unwrap();
    let store = open();
    let epoch = store.stats().unwrap().epoch;
    import(&store, &exported.path).unwrap();
    assert_eq!(store.stats().unwrap().epoch, epoch + 1);
    store.close().unwrap();
    let store = open();
    let again = import(&store, &exported.path).unwrap();
    assert_eq!((again.created, again.unchanged), (0, 1), "{:?}", again.conflicts);
    eprintln!("{versions} versions in one commit");
}

#[test]
fn only_the_chosen_accounts_and_regions_are_exported() {
    let (source, expected) = rich();
    let exported = Exported::place();
    let options = ExportOptions::new().only("123456789012", "eu-central-1").only("999999999999", "us-east-1");
    source.store.export(&exported.path, &StaticKey::new([1; 32]), &options, &mut |_| ()).unwrap();
    let target = Target::new();
    import(&target.store, &exported.path).unwrap();
    let found = picture(&target.store);
    assert_eq!(found.len() * 3, expected.len());
    assert!(found.keys().all(|arn| arn.starts_with("arn:aws:secretsmanager:eu-central-1:123456789012:")));
}

#[test]
fn an_empty_store_is_exported_too() {
    let source = Source::empty();
    let target = Target::new();
    let report = import(&target.store, &source.export().path).unwrap();
    assert_eq!((report.created, report.unchanged, report.conflicts.len()), (0, 0, 0));
    assert_eq!(import_lines(&target.store, &source.lines()).unwrap(), report);
}

/// The other store has none of the keys, and everything goes under one that it has, or under its default key.
#[test]
fn secrets_can_be_brought_under_another_key() {
    let source = Source::rich();
    let exported = source.export();
    for (given, shown) in [("", None), ("alias/app", Some("alias/app"))] {
        let target = Target::new();
        let options = ImportOptions::new().kms_key_id(given);
        let report = crate::fixture::import_with(&target.store, &exported.path, &options).unwrap();
        assert_eq!((report.created, report.conflicts.len()), (SECRETS as u64, 0));
        for seen in picture(&target.store).into_values() {
            assert_eq!(seen.described.kms_key_id.as_deref(), shown);
            assert!(seen.versions.iter().all(|version| version.key == shown.unwrap_or("DefaultEncryptionKey")));
        }
        let again = crate::fixture::import_with(&target.store, &exported.path, &options).unwrap();
        assert_eq!(again.unchanged, SECRETS as u64, "{:?}", again.conflicts);
    }
}
