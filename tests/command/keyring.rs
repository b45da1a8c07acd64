//! `strongroom keys`: the keys of a keyring, from the shell.

use std::fs;

use serde_json::Value;

use crate::fixture::Folder;
use crate::key_operations::{DEFAULT, arn, ends, lines};

#[test]
fn keys_of_a_keyring_are_made_named_switched_and_listed() {
    let folder = Folder::with_store();
    let default = arn(&folder, DEFAULT);
    let key = folder.vault("keys create --alias alias/app").quiet().text().trim_end().to_owned();
    assert!(key.starts_with("arn:aws:kms:us-east-1:000000000000:key/"), "{key}");
    let id = key.rsplit_once('/').unwrap().1.to_owned();
    let china = "keys create --dir vault --account 123456789012 --region cn-north-1";
    let far = folder.run(china).quiet();
    assert!(far.text().starts_with("arn:aws-cn:kms:cn-north-1:123456789012:key/"), "{far:?}");
    // The command, a name of the key, what is said, and the state and the versions then.
    let alias_arn = "arn:aws:kms:us-east-1:000000000000:alias/app";
    let rows = [
        ("disable", id.as_str(), "disabled ", "Disabled", 1),
        ("enable", "alias/app", "enabled ", "Enabled", 1),
        ("schedule-deletion", alias_arn, "scheduled for deletion: ", "PendingDeletion", 1),
        ("cancel-deletion", key.as_str(), "not to be deleted any more, and disabled: ", "Disabled", 1),
        ("enable", "alias/app", "enabled ", "Enabled", 1),
        ("rotate", "alias/app", "rotated ", "Enabled", 2),
        ("alias alias/second", "alias/app", "alias/second leads to ", "Enabled", 2),
    ];
    for (command, name, said, state, versions) in rows {
        let done = folder.vault(&format!("keys {command} {name}")).quiet();
        assert_eq!(done.text(), format!("{said}{key}\n"), "{command} {name}");
        let listed = lines(&folder.vault("keys list --json").quiet());
        let found = listed.iter().find(|line| line["key"] == key.as_str()).unwrap();
        assert_eq!((&found["state"], &found["versions"]), (&state.into(), &versions.into()), "{command} {name}");
    }
    let listed = lines(&folder.vault("keys list --json").quiet());
    assert_eq!(listed.last().unwrap(), &serde_json::json!({ "keys": 3 }));
    let text = folder.vault("keys list").quiet();
    let line = text.text().lines().find(|line| line.starts_with(&key)).unwrap();
    assert!(line.contains("Enabled") && line.ends_with("alias/app, alias/second"), "{line}");
    assert!(text.text().lines().any(|line| line.starts_with(&default) && line.contains("store")), "{text:?}");

    // An alias is moved; in JSON every command tells the key as it is then.
    let other = folder.vault("keys create --json").quiet().json();
    assert_eq!((&other["state"], &other["aliases"]), (&"Enabled".into(), &serde_json::json!([])));
    let moved =
        folder.vault(&format!("keys alias alias/second {} --json", other["key"].as_str().unwrap())).quiet().json();
    assert!(moved["key"] == other["key"] && ends(&moved["aliases"][0], "alias/second"), "{moved}");
    assert_eq!(folder.vault("keys disable alias/second --json").quiet().json()["state"], "Disabled");

    folder.vault_with("create x --kms-key-id alias/app", b"v").quiet();
    folder.vault("keys disable alias/app").quiet();
    folder.vault("get x").fails(6, &["DecryptionFailure"]);
    folder.vault("keys enable alias/app").quiet();
    assert_eq!(folder.vault("get x").quiet().text(), "v");
}

#[test]
fn what_a_keyring_refuses_has_its_exit_code_and_changes_nothing() {
    let folder = Folder::with_store();
    folder.vault("keys create --alias alias/app").quiet();
    folder.vault("keys create --alias alias/leaving").quiet();
    folder.vault("keys schedule-deletion alias/leaving").quiet();
    let before = fs::read(folder.join("vault.keyring")).unwrap();
    let rows: [(&str, i32, &[&str]); 16] = [
        ("create --alias app", 5, &["`app`", "alias"]),
        ("create --alias alias/aws/mine", 5, &["alias/aws/mine"]),
        ("create --alias alias/app", 4, &["alias/app", "already", "keys alias"]),
        ("create --account 12", 2, &["account"]),
        ("create --region nowhere", 2, &["nowhere"]),
        ("alias app alias/app", 5, &["`app`"]),
        ("alias alias/y alias/none", 6, &["no key `alias/none`", "keys list"]),
        ("disable alias/none", 6, &["no key `alias/none`"]),
        ("disable alias/app --region eu-west-1", 6, &["no key `alias/app`", "eu-west-1", "--region"]),
        ("rotate 00000000-0000-4000-8000-000000000000", 6, &["no key"]),
        ("disable alias/aws/secretsmanager", 4, &["managed by the store"]),
        ("schedule-deletion alias/aws/secretsmanager", 4, &["managed by the store"]),
        ("enable alias/leaving", 4, &["is scheduled for deletion"]),
        ("schedule-deletion alias/leaving", 4, &["is scheduled for deletion"]),
        ("cancel-deletion alias/app", 4, &["is not scheduled for deletion"]),
        ("disable app", 6, &["no key `app`"]),
    ];
    for (line, code, named) in rows {
        folder.vault(&format!("keys {line}")).fails(code, named);
        assert!(fs::read(folder.join("vault.keyring")).unwrap() == before, "{line}");
    }
}

/// A key file and a passphrase are one key under every name.
#[test]
fn the_commands_of_a_keyring_want_a_keyring() {
    let folder = Folder::new();
    folder.run("init --dir vault --key-file key").ok();
    for command in
        ["list", "create", "disable k", "enable k", "schedule-deletion k", "cancel-deletion k", "rotate k", "alias a k"]
    {
        folder.vault(&format!("keys {command} --key-file key")).fails(2, &["only a keyring", "a key file", "hint"]);
        folder.vault(&format!("keys {command} --passphrase-fd 0")).fails(2, &["only a keyring", "a passphrase"]);
        folder.vault(&format!("keys {command} --keyring key")).fails(6, &["key"]);
        folder.vault(&format!("keys {command}")).fails(6, &["there is no keyring", "vault.keyring"]);
        folder.run(&format!("keys {command} --dir nowhere")).fails(3, &["no store", "nowhere"]);
    }
    let census: Vec<Value> = lines(&folder.vault("keys census --json --key-file key").quiet());
    assert_eq!(census[0]["provider"], "key-file");
}
