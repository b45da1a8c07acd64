//! `--also-key-file`: a recovery key in a file of its own, and the day on which all other keys are lost.

use std::fs;

use serde_json::Value;

use crate::fixture::{Folder, run};

const ALSO: &str = "--also-key-file alias/recovery=recovery.key";

/// A store with secrets `a` and `p`, opened by this choice, with a recovery key in `recovery.key`.
fn protected(choice: &str) -> Folder {
    let folder = Folder::new();
    folder.run(&format!("init --dir vault {choice}")).ok();
    folder.vault_with(&format!("create a {choice}"), b"s3cret").quiet();
    let added = folder.vault(&format!("keys add-recipient alias/recovery {choice} {ALSO}")).ok();
    assert!(added.stderr.starts_with("made a key file: recovery.key\n"), "{added:?}");
    assert_eq!(folder.mode("recovery.key"), 0o600);
    folder
}

/// Keys of a census: provider, versions, and whether it is for recovery.
fn census(folder: &Folder, options: &str) -> Vec<(String, u64, bool)> {
    let done = folder.vault(&format!("keys census --json {options}")).quiet();
    let lines = done.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let keys = lines.filter(|line| line["kind"] == "key");
    let told = |key: Value| {
        let provider = key["provider"].as_str().unwrap().to_owned();
        (provider, key["versions"].as_u64().unwrap(), key["recovery"].as_bool().unwrap())
    };
    keys.map(told).collect()
}

#[test]
fn when_the_main_keys_are_lost_the_recovery_key_alone_opens_everything() {
    for (choice, file) in [("", "vault.keyring"), ("--keyring ring", "ring"), ("--key-file main.key", "main.key")] {
        let folder = protected(choice);
        folder.vault_with(&format!("create b {choice} {ALSO}"), b"later").quiet();
        assert_eq!(folder.vault(&format!("get b {choice}")).quiet().text(), "later", "{choice}: no option is needed");
        fs::remove_file(folder.join(file)).unwrap();
        folder.vault(&format!("get a {choice}")).fails(6, &[file]);
        for (id, value) in [("a", "s3cret"), ("b", "later")] {
            let read = folder.vault(&format!("get {id} --key-file recovery.key")).quiet();
            assert_eq!(read.text(), value, "{choice}: {id}");
        }
        folder.vault("verify --key-file recovery.key").quiet();
        let backed_up = folder.vault("backup copy --key-file recovery.key").quiet();
        assert!(backed_up.text().starts_with("backed up 2 secrets"), "{backed_up:?}");
    }
}

#[test]
fn everything_is_brought_over_to_a_new_keyring_and_the_lost_one_is_forgotten() {
    let folder = protected("");
    folder.vault("keys create --alias alias/pay").quiet();
    folder.vault_with(&format!("create p --kms-key-id alias/pay {ALSO}"), b"paid").quiet();
    fs::remove_file(folder.join("vault.keyring")).unwrap();
    folder.run("init --dir other --keyring new.keyring").ok();

    let refused = folder.vault(&format!("keys rewrap --keyring new.keyring {ALSO}"));
    assert_eq!(refused.code, Some(6), "the new keyring has no alias/pay: {refused:?}");
    assert!(refused.text().contains("\nproblem: ") && refused.text().contains("there is no such key"), "{refused:?}");
    let replace = "--replace alias/pay alias/aws/secretsmanager";
    folder.vault(&format!("keys rewrap {replace} --keyring new.keyring {ALSO}")).quiet();
    for (id, value) in [("a", "s3cret"), ("p", "paid")] {
        assert_eq!(folder.vault(&format!("get {id} --keyring new.keyring")).quiet().text(), value, "{id}");
    }
    let keys = census(&folder, "--keyring new.keyring");
    assert_eq!(keys, [("key-file".to_owned(), 2, true), ("local-keyring".to_owned(), 2, false)]);
}

/// As the help of `add-recipient` says it.
#[test]
fn a_new_keyring_takes_over_with_a_key_for_every_alias() {
    let folder = protected("");
    folder.vault("keys create --alias alias/pay").quiet();
    folder.vault_with(&format!("create p --kms-key-id alias/pay {ALSO}"), b"paid").quiet();
    fs::rename(folder.join("vault.keyring"), folder.join("lost")).unwrap();
    folder.vault("keys create --keyring new.keyring --alias alias/pay").ok();
    folder.vault(&format!("keys rewrap --keyring new.keyring {ALSO}")).quiet();
    for (id, value) in [("a", "s3cret"), ("p", "paid")] {
        assert_eq!(folder.vault(&format!("get {id} --keyring new.keyring")).quiet().text(), value, "{id}");
    }
}

#[test]
fn values_are_not_stored_while_the_recovery_key_cannot_be_found() {
    let folder = protected("");
    folder.vault_with("create b", b"v").fails(6, &["KMS"]);
    folder.vault_with("put a", b"v").fails(6, &["KMS"]);
    assert_eq!(folder.vault("get a").quiet().text(), "s3cret");
    let mut by_environment = folder.command(&["put", "a", "--dir", "vault"]);
    let by_environment = by_environment.env("STRONGROOM_ALSO_KEY_FILE", "alias/recovery=recovery.key");
    run(by_environment, b"next").quiet();
    assert_eq!(folder.vault("get a --key-file recovery.key").quiet().text(), "next");
}

/// A key file takes every name for its own, and still does not pass for the recovery key.
#[test]
fn another_key_file_does_not_take_the_place_of_the_recovery_key() {
    let folder = protected("--key-file main.key");
    folder.vault_with("create b --key-file main.key", b"later").fails(6, &["KMS", "alias/recovery"]);
    folder.vault_with(&format!("create b --key-file main.key {ALSO}"), b"later").quiet();
    assert_eq!(folder.vault("get b --key-file recovery.key").quiet().text(), "later");
    let refused = folder.vault("keys rewrap --key-file main.key");
    assert_eq!(refused.code, Some(6), "{}", refused.text());
    assert!(refused.text().contains("another one of that name") && refused.text().contains("rewrapped 0 of 2"));
    folder.vault(&format!("keys rewrap --key-file main.key {ALSO}")).quiet();
    assert_eq!(folder.vault("get b --key-file recovery.key").quiet().text(), "later");
}

#[test]
fn without_a_name_a_key_file_only_opens() {
    let folder = protected("");
    fs::rename(folder.join("vault.keyring"), folder.join("aside")).unwrap();
    folder.run("init --dir other --keyring new.keyring").ok();
    let get = "get a --keyring new.keyring --also-key-file recovery.key";
    assert_eq!(folder.vault(get).quiet().text(), "s3cret");
    fs::rename(folder.join("recovery.key"), folder.join("a=b")).unwrap();
    folder.vault(get).fails(6, &["there is no key file `recovery.key`"]);
    assert_eq!(folder.vault("get a --keyring new.keyring --also-key-file a=b").quiet().text(), "s3cret");
}

#[test]
fn a_key_file_is_made_for_a_recipient_only_and_only_if_the_store_opens() {
    let folder = Folder::with_store();
    folder.run("init --dir other --key-file other.key").ok();
    for line in ["list", "keys census", "keys rewrap"] {
        folder.vault(&format!("{line} {ALSO}")).fails(6, &["there is no key file `recovery.key`"]);
    }
    let add = "keys add-recipient alias/recovery";
    folder.vault(&format!("{add} --key-file other.key {ALSO}")).fails(6, &["not the key of the store"]);
    folder.run(&format!("{add} --dir none {ALSO}")).fails(3, &["no store"]);
    for wrong in ["alias/recovery=", "alias/*=recovery.key", ""] {
        let refused = folder.arguments(&["list", "--dir", "vault", "--also-key-file", wrong], b"");
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{wrong}: {refused:?}");
        if !wrong.is_empty() {
            let mut list = folder.command(&["list", "--dir", "vault"]);
            run(list.env("STRONGROOM_ALSO_KEY_FILE", wrong), b"").fails(2, &["STRONGROOM_ALSO_KEY_FILE"]);
        }
    }
    assert!(!folder.has("recovery.key"));
}
