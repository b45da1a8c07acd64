//! The standby's own root key: it goes over to other keys without the store that is followed.

use std::sync::Arc;

use strongroom::{
    ErrorKind, GetSecretValueRequest, KeyOptions, KeyScope, LocalKeyring, PassphraseProvider, SecretStore,
    StandbyDirectory,
};

use crate::pair::{Pair, assert_clean, create, epoch, put, replicate};

fn value(store: &SecretStore) -> String {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("db/main")).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

#[test]
fn a_standby_goes_over_to_another_key_and_opens_when_the_old_one_is_gone() {
    let pair = Pair::new();
    let keyring = LocalKeyring::in_memory();
    let key = || keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let (old, new, recovery) = (key(), key(), key());
    let open = |name: &str, root: &str| {
        let builder = SecretStore::builder(pair.path(name)).key_provider(keyring.clone()).root_key_id(root);
        builder.clock(pair.clock.clone())
    };
    let source = open("source", &new).open().unwrap();
    create(&source, "db/main", "one");
    let link = StandbyDirectory::new(open("standby", &old));
    replicate(&source, &link);

    let standby = link.store().unwrap();
    let before = epoch(&standby);
    // A newer version of the same key, another key, and one more.
    keyring.rotate_key(&old).unwrap();
    let report = standby.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.root_rewrapped && report.problems_total == 0);
    standby.add_recipient(&recovery, &mut |_| {}).unwrap();
    let report = standby.rewrap(&KeyOptions::new().replace_key(&old, &new), &mut |_| {}).unwrap();
    assert_eq!((report.root_rewrapped, report.secrets, report.problems_total), (true, 0, 0));
    let dropped = standby.drop_wraps(&recovery, &KeyOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((dropped.root_dropped, dropped.versions), (true, 0));
    assert_eq!(epoch(&standby), before, "no secret was changed");
    drop(standby);
    link.close().unwrap();

    keyring.disable_key(&old).unwrap();
    keyring.disable_key(&recovery).unwrap();
    put(&source, "db/main", "two");
    let link = StandbyDirectory::new(open("standby", &new));
    replicate(&source, &link);
    let standby = link.store().unwrap();
    assert_clean(&standby);
    standby.promote().unwrap();
    assert_eq!(value(&standby), "two");
}

#[test]
fn the_passphrase_of_a_standby_is_changed_there() {
    const OLD: &str = "correct horse";
    const NEW: &str = "battery staple";
    let pair = Pair::new();
    let source = pair.builder("source").open().unwrap();
    create(&source, "db/main", "one");
    let provider = Arc::new(PassphraseProvider::cheap_for_tests(OLD).unwrap());
    let link = StandbyDirectory::new(pair.builder("standby").key_provider(Arc::clone(&provider)));
    replicate(&source, &link);
    let report = link.store().unwrap().change_passphrase(&provider, NEW, &mut |_| {}).unwrap();
    assert!(report.root_rewrapped);
    put(&source, "db/main", "two");
    replicate(&source, &link);
    link.close().unwrap();
    let open = |text: &str| pair.builder("standby").key_provider(PassphraseProvider::cheap_for_tests(text).unwrap());
    assert!(matches!(open(OLD).open().unwrap_err().kind(), ErrorKind::WrongKey(_)));
    assert!(open(NEW).open().unwrap().is_standby());
}
