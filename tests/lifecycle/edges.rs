//! Where operations on keys meet limits, keys that may only wrap, calls that are under way, and headers of another time.

use std::thread;
use std::time::Duration;

use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, ErrorKind, KeyOptions, ListSecretsRequest, LocalKeyring, MemoryBackend, PutSecretValueRequest,
    SecretStore,
};

use crate::keys::{Watched, new_key};
use crate::stores::{NOW, assert_clean, copy, fill, name_of, on, seen, token, value_of};

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn clock() -> ManualClock {
    ManualClock::at_millis(NOW)
}

#[test]
fn a_store_that_was_given_many_recipients_opens_again() {
    let keyring = LocalKeyring::in_memory();
    let memory = MemoryBackend::new();
    let store = on(memory.clone(), keyring.clone(), &clock()).open().unwrap();
    let added = (0..70).filter(|_| store.add_recipient(new_key(&keyring), &mut |_| {}).is_ok()).count();
    store.close().unwrap();
    let store = on(memory, keyring, &clock()).open();
    let store = store.unwrap_or_else(|error| panic!("after {added} recipients: {error:?}"));
    assert_eq!(store.recipients().len(), added);
}

#[test]
fn a_value_can_be_stored_for_as_many_recipients_as_the_store_takes() {
    let keyring = LocalKeyring::in_memory();
    let store = on(MemoryBackend::new(), keyring.clone(), &clock()).open().unwrap();
    let added = (0..12).filter(|_| store.add_recipient(new_key(&keyring), &mut |_| {}).is_ok()).count();
    let create = CreateSecretRequest::new("db/main").secret_string("s3cret");
    let created = store.default_secrets_manager().create_secret(create);
    assert!(created.is_ok(), "with {added} recipients: {created:?}");
}

#[test]
fn a_key_that_is_rotated_again_and_again_while_another_is_disabled_does_not_cost_the_store() {
    let keyring = LocalKeyring::in_memory();
    let other = new_key(&keyring);
    let memory = MemoryBackend::new();
    let store = on(memory.clone(), keyring.clone(), &clock()).open().unwrap();
    fill(&store, 0..3, 1, |secret| (secret == 1).then(|| other.clone()));
    keyring.disable_key(&other).unwrap();
    let home = keyring.keys().into_iter().find(|key| key.aws_managed && key.arn.contains("000000000000")).unwrap();
    for _ in 0..70 {
        keyring.rotate_key(&home.arn).unwrap();
        // The disabled key is a problem of the report each time.
        assert_eq!(store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap().problems_total, 1);
    }
    store.close().unwrap();
    keyring.enable_key(&other).unwrap();
    let store = on(memory, keyring, &clock()).open().unwrap_or_else(|error| panic!("{error:?}"));
    assert_clean(&store);
}

#[test]
fn the_root_key_goes_to_the_key_that_the_builder_names_also_if_it_was_there_before() {
    let keyring = LocalKeyring::in_memory();
    let [first, second, blocked] = [(); 3].map(|()| new_key(&keyring));
    let memory = MemoryBackend::new();
    let open = |key: &str| on(memory.clone(), keyring.clone(), &clock()).root_key_id(key).open().unwrap();
    let store = open(&first);
    fill(&store, 0..1, 1, |_| Some(blocked.clone()));
    store.close().unwrap();

    let store = open(&second);
    keyring.rotate_key(&blocked).unwrap();
    keyring.disable_key(&blocked).unwrap();
    // With a problem in the report, the old wrap of the root key stays.
    assert_eq!(store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap().problems_total, 1);
    store.close().unwrap();

    let store = open(&first);
    keyring.enable_key(&blocked).unwrap();
    assert_eq!(store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap().problems_total, 0);
    let census = store.key_census(&mut |_| {}).unwrap();
    let opening: Vec<_> = census.keys.iter().filter(|key| key.opens_store).map(|key| &*key.key.key_arn).collect();
    assert_eq!(opening, [&*first], "the second key is {second}");
}

#[test]
fn a_key_under_which_this_caller_can_only_wrap_does_not_become_the_only_one_of_a_value() {
    let keyring = LocalKeyring::in_memory();
    let [readable, closed] = [(); 2].map(|()| new_key(&keyring));
    let keys = Watched::new(keyring);
    let store = on(MemoryBackend::new(), keys.clone(), &clock()).open().unwrap();
    fill(&store, 0..6, 2, |secret| (secret % 3 < 2).then(|| readable.clone()));
    let before = seen(&store);
    keys.only_wrap_under(&closed);
    let report = store.rewrap(&KeyOptions::new().replace_key(&readable, &closed), &mut |_| {});
    assert!(report.is_ok_and(|report| report.problems_total > 0), "that nobody saw it open is said");
    assert_eq!(seen(&store).len(), before.len(), "every value can still be read");
    assert_clean(&store);
}

#[test]
fn a_value_that_was_being_written_while_a_recipient_was_added_is_for_it_too() {
    let keyring = LocalKeyring::in_memory();
    let [first, second] = [(); 2].map(|()| new_key(&keyring));
    let keys = Watched::new(keyring);
    let store = on(MemoryBackend::new(), keys.clone(), &clock()).open().unwrap();
    store.add_recipient(&first, &mut |_| {}).unwrap();
    fill(&store, 0..1, 1, |_| None);
    let manager = store.default_secrets_manager();
    let is_slow = |doing: &str, context: &strongroom::EncryptionContext<'_>| {
        doing == "wrap" && context.pairs().iter().any(|(_, value)| *value == token(0, 1))
    };
    // The first wrap is under the secret's own key, the second for the recipient that is there already.
    let wraps = std::sync::atomic::AtomicUsize::new(0);
    let waits = keys.stop(move |doing, context| {
        is_slow(doing, context) && wraps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1
    });
    thread::scope(|threads| {
        let put = PutSecretValueRequest::new(name_of(0), value_of(&token(0, 1))).client_request_token(token(0, 1));
        let writer = threads.spawn(move || manager.put_secret_value(put));
        waits.recv_timeout(PATIENCE).expect("the writer wraps for the first recipient");
        let added = store.add_recipient(&second, &mut |_| {});
        keys.release();
        added.unwrap();
        writer.join().unwrap().unwrap();
    });
    let census = store.key_census(&mut |_| {}).unwrap();
    let usage = census.keys.iter().find(|usage| usage.key.key_arn == second).unwrap();
    assert_eq!(usage.versions, census.versions, "versions that the new recipient opens");
}

#[test]
fn a_value_that_was_being_written_while_a_recipient_went_is_not_for_it() {
    let keyring = LocalKeyring::in_memory();
    let leaver = new_key(&keyring);
    let keys = Watched::new(keyring);
    let store = on(MemoryBackend::new(), keys.clone(), &clock()).open().unwrap();
    store.add_recipient(&leaver, &mut |_| {}).unwrap();
    fill(&store, 0..1, 1, |_| None);
    let manager = store.default_secrets_manager();
    let wraps = std::sync::atomic::AtomicUsize::new(0);
    let waits = keys.stop(move |doing, context| {
        let is_new = context.pairs().iter().any(|(_, value)| *value == token(0, 1));
        doing == "wrap" && is_new && wraps.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1
    });
    thread::scope(|threads| {
        let put = PutSecretValueRequest::new(name_of(0), value_of(&token(0, 1))).client_request_token(token(0, 1));
        let writer = threads.spawn(move || manager.put_secret_value(put));
        waits.recv_timeout(PATIENCE).expect("the writer wraps for the recipient");
        let dropped = store.drop_wraps(&leaver, &KeyOptions::new(), &mut |_| {});
        keys.release();
        dropped.unwrap();
        writer.join().unwrap().unwrap();
    });
    let census = store.key_census(&mut |_| {}).unwrap();
    assert!(census.keys.iter().all(|usage| usage.key.key_arn != leaver), "{census:#?}");
}

/// "Page tokens of before are honoured until the store is closed."
#[test]
fn a_page_token_is_honoured_after_two_changes_of_the_root_key() {
    let store = on(MemoryBackend::new(), LocalKeyring::in_memory(), &clock()).open().unwrap();
    fill(&store, 0..12, 1, |_| None);
    let manager = store.default_secrets_manager();
    let token = manager.list_secrets(ListSecretsRequest::new().max_results(1)).unwrap().next_token.unwrap();
    for changes in 1..=2 {
        store.rotate_root_key(&mut |_| {}).unwrap();
        let next = ListSecretsRequest::new().max_results(1).next_token(&token);
        let page = manager.list_secrets(next).unwrap_or_else(|error| panic!("after {changes}: {error:?}"));
        assert_eq!(page.secret_list.len(), 1);
    }
}

/// The header of before is of no use as soon as anything is under the new root key, and the one that is needed stays.
#[test]
fn a_copy_of_the_header_of_before_is_refused_in_the_middle_of_a_change_of_the_root_key() {
    let place = tempfile::tempdir().unwrap();
    let (path, copied) = (place.path().join("store"), place.path().join("header"));
    let keyring = LocalKeyring::in_memory();
    let builder = |path| SecretStore::builder(path).key_provider(keyring.clone()).clock(clock());
    let store = builder(path.clone()).open().unwrap();
    fill(&store, 0..100, 1, |_| None);
    let before = seen(&store);
    store.backup_header(&copied).unwrap();
    let mut images = 0;
    store
        .rotate_root_key(&mut |_| {
            copy(&path, &place.path().join(format!("image-{images}")));
            images += 1;
        })
        .unwrap();
    store.close().unwrap();
    let mut refused = 0;
    for number in 0..images {
        let image = place.path().join(format!("image-{number}"));
        let restored = builder(image.clone()).restore_header(&copied);
        let store = match restored {
            // Nothing was under the new root key yet.
            Ok(store) => store,
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::Corrupted, "image {number}: {error:?}");
                refused += 1;
                builder(image).open().unwrap_or_else(|error| {
                    panic!("image {number}: the header of before took the place of the one that is needed: {error:?}")
                })
            }
        };
        assert_eq!(seen(&store), before, "image {number}");
        store.rotate_root_key(&mut |_| {}).unwrap();
        assert_clean(&store);
    }
    assert!(refused > 0 && images > 2, "{refused} of {images}");
}
