//! Work on the keys of the store that is followed.

use strongroom::{GetSecretValueRequest, KeyOptions, LocalKeyring, ReplicationFault, SecretStore, StandbyDirectory};

use crate::pair::{Journal, Pair, assert_clean, create, fault, observe, put, replicate};

#[test]
fn a_standby_that_is_up_to_date_follows_over_a_change_of_the_root_key() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(11, &source);
    journal.run(&source, 30);
    let link = pair.link("standby");
    replicate(&source, &link);
    for _ in 0..3 {
        source.rotate_root_key(&mut |_| {}).unwrap();
        journal.run(&source, 10);
        let report = source.replicate_to(&link, &mut |_| {}).unwrap();
        assert_eq!(report.seeded_secrets, None);
        assert_eq!(observe(&link.store().unwrap()), journal.now);
        assert_clean(&link.store().unwrap());
        assert_clean(&source);
    }
    source.close().unwrap();
    let source = pair.open("source");
    journal.run(&source, 10);
    replicate(&source, &link);
    assert_eq!(observe(&link.store().unwrap()), journal.now);
}

#[test]
fn a_standby_that_is_behind_when_the_root_key_is_changed_has_to_be_made_anew() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(12, &source);
    journal.run(&source, 30);
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    journal.run(&source, 5);
    source.rotate_root_key(&mut |_| {}).unwrap();
    let refused = fault(source.replicate_to(&link, &mut |_| {}));
    assert!(
        matches!(refused, ReplicationFault::BeginsLater { position: at, begins } if at == position.epoch() && begins > at),
        "{refused:?}"
    );
}

/// A secret with many large versions is changed in one commit, which is larger than any frame should be.
#[test]
fn one_commit_of_many_megabytes_is_followed() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "large", "first");
    for number in 0..70 {
        put(&source, "large", &format!("{number:065000}"));
    }
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    source.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    let mut at = position;
    let mut largest = 0;
    loop {
        let changes = source.changes_since(&at, 1).unwrap();
        if changes.is_empty() {
            break;
        }
        largest = changes.as_bytes().len().max(largest);
        at = link.store().unwrap().apply_changes(&changes).unwrap();
    }
    assert!(largest > 4 * 1024 * 1024, "{largest}");
    assert_clean(&link.store().unwrap());
    let read = |store: &SecretStore| {
        let get = GetSecretValueRequest::new("large").version_stage("AWSPREVIOUS");
        store.default_secrets_manager().get_secret_value(get).unwrap().secret_string.unwrap().expose().to_owned()
    };
    assert_eq!(read(&link.store().unwrap()), format!("{:065000}", 68));
}

#[test]
fn what_work_on_keys_does_to_versions_is_followed() {
    let pair = Pair::new();
    let keyring = LocalKeyring::open_or_create(pair.path("keys")).unwrap();
    let open =
        |name: &str| SecretStore::builder(pair.path(name)).key_provider(keyring.clone()).clock(pair.clock.clone());
    let source = open("source").open().unwrap();
    let mut journal = Journal::new(13, &source);
    journal.run(&source, 40);
    let link = StandbyDirectory::new(open("standby"));
    replicate(&source, &link);
    source.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    replicate(&source, &link);
    assert_eq!(observe(&link.store().unwrap()), journal.now);
    assert_clean(&link.store().unwrap());
    source.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    journal.run(&source, 20);
    source.shred(&mut |_| {}).unwrap();
    drop(source);
    let source = open("source").open().unwrap();
    // Behind at the change of the root key, it is made anew.
    assert!(matches!(fault(source.replicate_to(&link, &mut |_| {})), ReplicationFault::BeginsLater { .. }));
    let second = StandbyDirectory::new(open("second"));
    replicate(&source, &second);
    assert_eq!(observe(&second.store().unwrap()), journal.now);
}
