//! What is chosen for an operation on keys is what is done: nothing in a dry run, one account, another key, another name.

use strongroom::testing::{ManualClock, RecordingBackend};
use strongroom::{
    Backend, CreateSecretRequest, Durability, Error, GetSecretValueRequest, KeyOptions, LocalKeyring, MemoryBackend,
    SecretStore, UpdateSecretRequest,
};

use crate::faults::prepared;
use crate::keys::{Watched, new_key, rotate_all};
use crate::operations::Operation;
use crate::stores::{NOW, TENANTS, assert_clean, everything, fill, on, seen};

fn in_memory(keyring: &LocalKeyring) -> SecretStore {
    on(MemoryBackend::new(), keyring.clone(), &ManualClock::at_millis(NOW)).open().unwrap()
}

/// Secrets that an operation went through, versions that it changed, and whether the root key was concerned.
type Counts = (u64, u64, Option<bool>, u64);

fn counts(store: &SecretStore, leaver: &str, operation: Operation, options: &KeyOptions) -> Result<Counts, Error> {
    let none = &mut |_| {};
    Ok(match operation {
        Operation::Rewrap => {
            let report = store.rewrap(options, none)?;
            (report.secrets, report.rewrapped_versions, Some(report.root_rewrapped), report.problems_total)
        }
        Operation::Reencrypt => {
            let report = store.reencrypt(options, none)?;
            (report.secrets, report.versions, None, report.problems_total)
        }
        _ => {
            let report = store.drop_wraps(leaver, options, none)?;
            (report.secrets, report.versions, Some(report.root_dropped), report.problems_total)
        }
    })
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let prepared = prepared(9, 5);
    for operation in [Operation::Rewrap, Operation::Reencrypt, Operation::DropWraps] {
        let recording = RecordingBackend::new();
        recording.commit(&everything(&prepared.memory), Durability::Immediate).unwrap();
        let store = prepared.open(recording.clone());
        let before = recording.commits();
        let leaver = &prepared.cast.leaver;
        let dry = counts(&store, leaver, operation, &KeyOptions::new().dry_run(true)).unwrap();
        assert_eq!(recording.commits(), before, "{operation:?} has written something");
        let done = counts(&store, leaver, operation, &KeyOptions::new()).unwrap();
        assert_eq!(dry, done, "{operation:?}");
        assert!(done.1 > 0 && recording.commits() > before, "{operation:?} has something to do");
    }
}

#[test]
fn only_the_chosen_account_and_region_is_changed() {
    let keyring = LocalKeyring::in_memory();
    let keys = Watched::new(keyring.clone());
    let store = on(MemoryBackend::new(), keys.clone(), &ManualClock::at_millis(NOW)).open().unwrap();
    fill(&store, 0..9, 2, |_| None);
    rotate_all(&keyring);
    let shown = seen(&store);
    let before = keys.data_keys();
    let [account, region] = TENANTS[1];
    let chosen = KeyOptions::new().only(account, region);
    assert_eq!(store.rewrap(&chosen, &mut |_| {}).unwrap().rewrapped_versions, 6);
    let census = store.key_census(&mut |_| {}).unwrap();
    let newer: u64 = census.keys.iter().filter(|usage| usage.key.key_version == "2").map(|usage| usage.versions).sum();
    assert_eq!(newer, 6);
    assert_eq!(store.reencrypt(&chosen, &mut |_| {}).unwrap().versions, 6);
    assert!(seen(&store) == shown);
    let now = keys.data_keys();
    let changed = now.iter().filter(|(id, key)| before[*id] != **key).count();
    assert_eq!(changed, 6);
    assert_clean(&store);
}

#[test]
fn a_lost_recipient_is_replaced_by_another_one() {
    for is_lost in [false, true] {
        let keyring = LocalKeyring::in_memory();
        let [lost, new] = [(); 2].map(|()| new_key(&keyring));
        let store = in_memory(&keyring);
        store.add_recipient(&lost, &mut |_| {}).unwrap();
        fill(&store, 0..6, 2, |_| None);
        if is_lost {
            keyring.disable_key(&lost).unwrap();
        }
        let report = store.rewrap(&KeyOptions::new().replace_key(&lost, &new), &mut |_| {}).unwrap();
        assert_eq!(report.problems_total, 0, "lost: {is_lost}: {:?}", report.problems.first());
        assert_eq!(store.recipients(), [&*new], "lost: {is_lost}");
        let create = CreateSecretRequest::new("db/main").secret_string("s3cret");
        store.default_secrets_manager().create_secret(create).unwrap();
        let census = store.key_census(&mut |_| {}).unwrap();
        let is_there = |key: &str| census.keys.iter().any(|usage| usage.key.key_arn == key);
        assert!(!is_there(&lost) && is_there(&new), "lost: {is_lost}: {census:#?}");
        let usage = census.keys.iter().find(|usage| usage.key.key_arn == new).unwrap();
        assert_eq!((usage.versions, usage.opens_store), (census.versions, true), "lost: {is_lost}");
        assert_clean(&store);
    }
}

#[test]
fn a_lost_key_is_replaced_by_another_one_with_the_help_of_a_recipient() {
    let keyring = LocalKeyring::in_memory();
    let [lost, new, recovery] = [(); 3].map(|()| new_key(&keyring));
    let memory = MemoryBackend::new();
    let clock = ManualClock::at_millis(NOW);
    let store = on(memory.clone(), keyring.clone(), &clock).root_key_id(&lost).open().unwrap();
    store.add_recipient(&recovery, &mut |_| {}).unwrap();
    fill(&store, 0..9, 2, |secret| (secret % 3 < 2).then(|| lost.clone()));
    let count = seen(&store).len();
    store.close().unwrap();
    keyring.disable_key(&lost).unwrap();

    let store = on(memory.clone(), keyring.clone(), &clock).root_key_id(&lost).open().unwrap();
    let report = store.rewrap(&KeyOptions::new().replace_key(&lost, &new), &mut |_| {}).unwrap();
    assert_eq!((report.problems_total, report.rewrapped_versions), (0, 12), "{:?}", report.problems.first());
    let census = store.key_census(&mut |_| {}).unwrap();
    assert!(census.keys.iter().all(|usage| usage.key.key_arn != lost), "{census:#?}");
    store.close().unwrap();

    keyring.disable_key(&recovery).unwrap();
    let store = on(memory, keyring.clone(), &clock).root_key_id(&new).open().unwrap();
    assert_eq!(seen(&store).len(), count);
    keyring.enable_key(&recovery).unwrap();
    assert_clean(&store);
}

#[test]
fn a_recipient_that_was_added_by_two_names_opens_everything_as_long_as_it_is_one() {
    let keyring = LocalKeyring::in_memory();
    let recovery = new_key(&keyring);
    keyring.create_alias("alias/recovery", &recovery).unwrap();
    let store = in_memory(&keyring);
    store.add_recipient("alias/recovery", &mut |_| {}).unwrap();
    fill(&store, 0..6, 2, |_| None);
    store.add_recipient(&recovery, &mut |_| {}).unwrap();
    store.drop_wraps("alias/recovery", &KeyOptions::new(), &mut |_| {}).unwrap();
    let census = store.key_census(&mut |_| {}).unwrap();
    let opened: u64 =
        census.keys.iter().filter(|usage| usage.key.key_arn == recovery).map(|usage| usage.versions).sum();
    let expected = if store.recipients().is_empty() { 0 } else { census.versions };
    assert_eq!(expected, opened, "recipients: {:?}", store.recipients());
}

/// What an interrupted encryption remembers goes over to another root key, and does not keep it from being changed.
#[test]
fn an_interrupted_encryption_goes_on_after_another_root_key() {
    for operation in [Operation::RotateRootKey, Operation::Shred] {
        let keyring = LocalKeyring::in_memory();
        let cast = crate::operations::Cast { newcomer: String::new(), leaver: String::new() };
        let keys = Watched::new(keyring);
        let memory = MemoryBackend::new();
        let clock = ManualClock::at_millis(NOW);
        let store = on(memory.clone(), keys.clone(), &clock).open().unwrap();
        fill(&store, 0..210, 1, |_| None);
        let shown = seen(&store);
        keys.fail_call(3 * 150);
        store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap_err();
        assert!(keys.stop_failing());
        operation.run(&store, &cast, &mut |_| {}).unwrap();
        store.close().unwrap();
        let store = on(memory, keys.clone(), &clock).open().unwrap();
        let wraps = keys.wraps();
        let report = store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
        assert_eq!((report.was_resumed, report.versions, report.problems_total), (true, 210, 0));
        assert!(keys.wraps() - wraps <= 140, "{} wraps", keys.wraps() - wraps);
        assert!(seen(&store) == shown);
        assert_clean(&store);
    }
}

#[test]
fn the_key_of_a_secret_can_be_changed_in_a_store_with_as_many_recipients_as_it_takes() {
    let keyring = LocalKeyring::in_memory();
    let store = in_memory(&keyring);
    let added = (0..12).filter(|_| store.add_recipient(new_key(&keyring), &mut |_| {}).is_ok()).count();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret")).unwrap();
    for change in 1..=10 {
        let update = UpdateSecretRequest::new("db/main").kms_key_id(new_key(&keyring));
        let updated = secrets.update_secret(update);
        assert!(updated.is_ok(), "change {change} with {added} recipients: {updated:?}");
        let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main")).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), "s3cret");
    }
    let census = store.key_census(&mut |_| {}).unwrap();
    let recipients = store.recipients();
    let opens = |key: &String| census.keys.iter().any(|usage| usage.key.key_arn == *key && usage.versions == 1);
    assert!(recipients.iter().all(opens), "{census:#?}");
}

#[test]
fn a_recipient_that_was_the_key_of_a_secret_once_opens_it_after_any_number_of_others() {
    let keyring = LocalKeyring::in_memory();
    let recovery = new_key(&keyring);
    let store = in_memory(&keyring);
    store.add_recipient(&recovery, &mut |_| {}).unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret").kms_key_id(&recovery)).unwrap();
    for change in 1..=10 {
        let update = UpdateSecretRequest::new("db/main").kms_key_id(new_key(&keyring));
        secrets.update_secret(update).unwrap();
        let census = store.key_census(&mut |_| {}).unwrap();
        let usage = census.keys.iter().filter(|usage| usage.key.key_arn == recovery);
        assert_eq!(usage.map(|usage| usage.versions).sum::<u64>(), 1, "after {change} changes of the key");
    }
}
