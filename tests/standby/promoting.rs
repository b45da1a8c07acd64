//! A standby that is promoted, and what it and the store that it followed are to each other then.

use strongroom::{ReplicationFault, ReplicationLink, StandbyState};

use crate::pair::{Journal, Pair, Wiretap, assert_clean, create, epoch, fault, observe, put, replicate};

#[test]
fn a_promoted_standby_is_an_ordinary_store_for_good() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(3, &source);
    journal.run(&source, 40);
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    source.close().unwrap();

    let standby = link.store().unwrap();
    assert_eq!(standby.promote().unwrap(), position);
    assert!(!standby.is_standby());
    journal.run(&standby, 30);
    assert_eq!(observe(&standby), journal.now);
    drop(standby);
    link.close().unwrap();

    let promoted = pair.open("standby");
    assert!(!promoted.is_standby());
    let status = promoted.standby_status().unwrap().unwrap();
    assert_eq!((status.state, status.position), (StandbyState::Promoted, position));
    assert_eq!(observe(&promoted), journal.now);
    assert_eq!(fault(promoted.promote()), ReplicationFault::NotAStandby);
    promoted.maintain().unwrap();
    promoted.rotate_root_key(&mut |_| {}).unwrap();
    assert_clean(&promoted);
    promoted.close().unwrap();
    let promoted = pair.open("standby");
    assert_eq!(promoted.standby_status().unwrap().unwrap().state, StandbyState::Promoted);

    // It can be followed itself.
    let next = pair.link("next");
    replicate(&promoted, &next);
    put_something(&promoted);
    replicate(&promoted, &next);
    assert_eq!(observe(&next.store().unwrap()), observe(&promoted));
}

fn put_something(store: &strongroom::SecretStore) {
    create(store, "late", "one");
    put(store, "late", "s-00003-late-late-late-late-late-late");
    store
        .default_secrets_manager()
        .delete_secret(strongroom::DeleteSecretRequest::new("late").force_delete_without_recovery(true))
        .unwrap();
}

#[test]
fn after_a_promotion_the_other_store_is_refused_as_one_with_another_history() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    let position = replicate(&source, &link);
    put(&source, "db/main", "two");
    let frame = source.changes_since(&position, 1 << 20).unwrap();
    let standby = link.store().unwrap();
    standby.promote().unwrap();
    let before = (observe_values(&standby), epoch(&standby));
    assert_eq!(fault(standby.apply_changes(&frame)), ReplicationFault::Diverged);
    assert_eq!(fault(link.position()), ReplicationFault::Diverged);
    assert_eq!(fault(source.replicate_to(&link, &mut |_| {})), ReplicationFault::Diverged);
    assert_eq!((observe_values(&standby), epoch(&standby)), before);
}

fn observe_values(store: &strongroom::SecretStore) -> Option<String> {
    let get = strongroom::GetSecretValueRequest::new("db/main");
    let read = store.default_secrets_manager().get_secret_value(get).unwrap();
    read.secret_string.map(|value| value.expose().to_owned())
}

#[test]
fn only_a_standby_that_is_whole_can_be_promoted() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    assert_eq!(fault(source.promote()), ReplicationFault::NotAStandby);
    let link = pair.link("standby");
    let wiretap = Wiretap { breaks_after: 0, ..Wiretap::new(&link) };
    assert_eq!(fault(source.replicate_to(&wiretap, &mut |_| {})), ReplicationFault::Link);
    let standby = link.store().unwrap();
    assert_eq!(fault(standby.promote()), ReplicationFault::StillSeeding);
    assert!(standby.is_standby());
    drop(standby);
    replicate(&source, &link);
    link.store().unwrap().promote().unwrap();
}

#[test]
fn an_ordinary_store_is_never_taken_for_a_standby() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    pair.open("other").close().unwrap();
    let link = pair.link("other");
    assert_eq!(fault(source.replicate_to(&link, &mut |_| {})), ReplicationFault::NotAStandby);
    let before = source.keep_changes(10).unwrap();
    put(&source, "db/main", "two");
    let frame = source.changes_since(&before, 1 << 20).unwrap();
    assert_eq!(fault(source.apply_changes(&frame)), ReplicationFault::NotAStandby);
}
