//! `strongroom keys change-passphrase`.

use serde_json::Value;
use strongroom::{KeyOptions, OpenMode, PassphraseProvider, SecretStore};

use crate::fixture::{Folder, Outcome, contains};

const OLD: &str = "correct horse";
const NEW: &str = "battery staple";

/// A store under the passphrase of the file `old`, with secrets in two Regions; `new` has another passphrase.
fn under_old() -> Folder {
    let folder = Folder::new();
    folder.write("old", format!("{OLD}\n"), 0o600);
    folder.write("new", format!("{NEW}\n"), 0o600);
    folder.write("value", b"s3cret", 0o600);
    with(&folder, "old", "init").ok();
    with(&folder, "old", "create x --value-file value").ok();
    with(&folder, "old", "create y --value-file value --region eu-west-1").ok();
    folder
}

/// Runs a command on the store with the passphrase of a file.
fn with(folder: &Folder, passphrase: &str, line: &str) -> Outcome {
    folder.shell(&format!(r#""$BIN" {line} --dir vault --passphrase-fd 3 3<{passphrase}"#))
}

#[track_caller]
fn opens_with_new_only(folder: &Folder) {
    assert_eq!(with(folder, "new", "get x").quiet().text(), "s3cret");
    assert_eq!(with(folder, "new", "get y --region eu-west-1").quiet().text(), "s3cret");
    with(folder, "new", "verify").quiet();
    with(folder, "old", "get x").fails(6, &["passphrase", "hint"]);
}

#[test]
fn a_new_passphrase_from_a_file_or_a_descriptor_takes_the_place_of_the_old_one() {
    for source in ["--new-passphrase-file new", "--new-passphrase-fd 4 4<new"] {
        let folder = under_old();
        let changed = with(&folder, "old", &format!("keys change-passphrase {source}")).quiet();
        assert!(changed.text().contains("\nrewrapped 2 of 2 versions in 2 secrets, and the root key\n"), "{changed:?}");
        assert!(
            changed.text().ends_with("\nthe passphrase is changed: only the new one opens the store\n"),
            "{changed:?}"
        );
        for passphrase in [OLD, NEW] {
            assert!(!contains(&changed.stdout, passphrase.as_bytes()), "{changed:?}");
        }
        opens_with_new_only(&folder);
    }
}

#[test]
fn a_change_that_was_interrupted_is_finished_by_the_same_call() {
    let folder = under_old();
    let provider = PassphraseProvider::changing(OLD, NEW).unwrap();
    let builder = SecretStore::builder(folder.join("vault")).key_provider(provider).mode(OpenMode::OpenExisting);
    let store = builder.open().unwrap();
    store.rewrap(&KeyOptions::new().only("000000000000", "eu-west-1"), &mut |_| {}).unwrap();
    store.close().unwrap();
    let line = "keys change-passphrase --new-passphrase-file new --json";
    let done = with(&folder, "old", line).quiet();
    let summary: Value = serde_json::from_str(done.text().lines().last().unwrap()).unwrap();
    assert_eq!((&summary["clean"], &summary["problems"]), (&true.into(), &0.into()), "{summary}");
    opens_with_new_only(&folder);
    // Once more, because somebody may not know how far it came.
    let again = with(&folder, "old", line).quiet();
    let summary: Value = serde_json::from_str(again.text().lines().last().unwrap()).unwrap();
    assert_eq!(summary["problems"], 0, "{summary}");
    opens_with_new_only(&folder);
}

#[test]
fn what_cannot_be_changed_is_refused_and_the_old_passphrase_stays() {
    let folder = under_old();
    folder.write("wrong", b"guess", 0o600);
    folder.write("empty", b"\n", 0o600);
    folder.write("binary", b"\xff", 0o600);
    folder.run("init --dir ring").ok();
    let rows: [(&str, &str, i32, &[&str]); 7] = [
        ("wrong", "--new-passphrase-file new", 6, &["passphrase", "hint"]),
        ("old", "--new-passphrase-file absent", 6, &["absent", "the passphrase cannot be read"]),
        ("old", "--new-passphrase-file empty", 6, &["empty"]),
        ("old", "--new-passphrase-file binary", 6, &["the passphrase cannot be read"]),
        ("old", "--new-passphrase-fd 77", 6, &["77 is not open"]),
        ("old", "--new-passphrase-fd 3", 2, &["one descriptor", "both"]),
        ("old", "--new-passphrase-fd 4 --new-passphrase-file new", 2, &["cannot be used with"]),
    ];
    for (passphrase, options, code, named) in rows {
        with(&folder, passphrase, &format!("keys change-passphrase {options}")).fails(code, named);
        assert_eq!(with(&folder, "old", "get x").quiet().text(), "s3cret", "{options}");
    }
    let asked =
        folder.shell(r#"setsid -w "$BIN" keys change-passphrase --dir vault --passphrase-fd 3 3<old </dev/null"#);
    asked.fails(6, &["passphrase", "terminal"]);
    folder.run("keys change-passphrase --dir ring --new-passphrase-file new").fails(2, &["--passphrase-fd", "hint"]);
    folder.run("keys change-passphrase --dir none --passphrase-fd 0 --new-passphrase-file new").fails(3, &["no store"]);
}
