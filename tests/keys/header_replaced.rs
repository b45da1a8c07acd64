//! A header that is put back at the wrong time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use strongroom::{CreateSecretRequest, GetSecretValueRequest, SecretStore, StaticKey};

/// The copy is of before a change of the root key that was interrupted.
#[test]
fn a_refused_copy_of_the_header_leaves_the_store_as_it_was() {
    let mut lost = Vec::new();
    for secrets_count in [0, 1, 10, 65, 130] {
        for stop_at in 0..6 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("vault");
            let copy = directory.path().join("vault.hdr");
            let open = || SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open();
            let store = open().unwrap();
            for number in 0..secrets_count {
                let create = CreateSecretRequest::new(format!("s/{number}")).secret_string("1");
                store.default_secrets_manager().create_secret(create).unwrap();
            }
            store.backup_header(&copy).unwrap();
            let mut calls = 0;
            let stopped = catch_unwind(AssertUnwindSafe(|| {
                let _ = store.rotate_root_key(&mut |_| {
                    assert!(calls < stop_at, "stopped");
                    calls += 1;
                });
            }));
            drop(store);
            let _ = stopped;
            // As a crash leaves it: nobody has sealed anything.
            let _ = std::fs::remove_file(path.join("store.seal"));
            let restored = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).restore_header(&copy);
            let _ = std::fs::remove_file(path.join("store.seal"));
            let was_restored = restored.as_ref().map(drop).map_err(|error| error.to_string());
            drop(restored);
            let is_there = open().and_then(|store| {
                for number in 0..secrets_count {
                    store
                        .default_secrets_manager()
                        .get_secret_value(GetSecretValueRequest::new(format!("s/{number}")))?;
                }
                Ok(())
            });
            if let Err(error) = is_there {
                lost.push(format!("{secrets_count} secrets, stopped at {stop_at}: {was_restored:?}: {error}"));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// A header whose former generation is named, and a seal of before: what is left of a header that was put in place and an
/// error after that.
#[test]
fn a_store_opens_whose_header_was_replaced_although_an_error_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let (path, twin) = (directory.path().join("vault"), directory.path().join("twin"));
    let open = |path: &std::path::Path| SecretStore::builder(path).key_provider(StaticKey::new([7; 32])).open();
    let store = open(&path).unwrap();
    store.default_secrets_manager().create_secret(CreateSecretRequest::new("a").secret_string("1")).unwrap();
    store.close().unwrap();
    copy_tree(&path, &twin);
    let store = open(&twin).unwrap();
    let header = twin.join("store.hdr");
    let mut begun = None;
    store.rotate_root_key(&mut |_| _ = begun.get_or_insert_with(|| std::fs::read(&header).unwrap())).unwrap();
    drop(store);
    std::fs::write(path.join("store.hdr"), begun.unwrap()).unwrap();
    let store = open(&path).unwrap();
    store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    assert!(store.rotate_root_key(&mut |_| {}).unwrap().was_resumed);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
