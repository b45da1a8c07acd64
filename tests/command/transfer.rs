//! Bringing secrets from one store into another, with `export` and `import`.

use std::fs;

use serde_json::Value;
use strongroom::{KeyScope, LocalKeyring};

use crate::fixture::{Folder, Outcome, contains};
use crate::recovery::{report, shows_no_value};
use crate::server::Server;

const CANARY: &str = "canary-7be0-91d3";

/// Stores `vault`, with a few secrets of every kind, and `other`, which is empty and has other keys.
fn two_stores() -> Folder {
    let folder = Folder::with_store();
    folder.run("init --dir other").ok();
    folder.vault_with("create db/main --description main --tag team=a --tag stage=prod", b"first").quiet();
    folder.vault_with("put db/main", CANARY.as_bytes()).quiet();
    folder.vault_with("create bytes --binary", &[0, 255, 10, 13]).quiet();
    folder.vault("create empty --no-value").quiet();
    folder.vault_with("create leaving", CANARY.as_bytes()).quiet();
    folder.vault("delete leaving").quiet();
    folder.vault_with("create far --region eu-west-1 --account 111122223333", CANARY.as_bytes()).quiet();
    folder
}

const SECRETS: u64 = 5;
const VERSIONS: u64 = 5;

/// Everything that a store says of its secrets, values included.
fn contents(folder: &Folder, directory: &str) -> Vec<(String, Option<i32>, Vec<u8>)> {
    let mut lines = vec!["list --json --include-deleted".to_owned()];
    for name in ["db/main", "bytes", "empty", "leaving"] {
        lines.push(format!("describe {name} --json"));
        lines.push(format!("versions {name} --include-deprecated --json"));
    }
    for line in ["get db/main", "get db/main --version-stage AWSPREVIOUS", "get bytes", "get empty"] {
        lines.push(line.to_owned());
    }
    lines.push("get far --json --region eu-west-1 --account 111122223333".to_owned());
    let run = |line: String| {
        let done = folder.run(&format!("{line} --dir {directory}"));
        // When a secret was read is of the store, and reading it here changes it.
        let lines = String::from_utf8_lossy(&done.stdout).into_owned();
        let kept = lines.lines().filter(|line| !line.contains("LastAccessedDate")).collect::<Vec<_>>().join("\n");
        (line, done.code, kept.into_bytes())
    };
    lines.into_iter().map(run).collect()
}

#[track_caller]
fn fails_with(done: &Outcome, code: i32, named: &[&str]) {
    done.fails(code, named);
    shows_no_value(done);
}

#[test]
fn secrets_come_into_another_store_as_they_were() {
    let folder = two_stores();
    let done = folder.vault("export file --export-key-file export.key").ok();
    assert_eq!(done.text(), format!("exported {SECRETS} secrets with {VERSIONS} versions to file\n"));
    assert!(done.stderr.starts_with("made a key file: export.key\n") && done.stderr.contains("export"), "{done:?}");
    assert_eq!((folder.mode("file"), folder.mode("export.key")), (0o600, 0o600));
    let file = fs::read(folder.join("file")).unwrap();
    for readable in [CANARY, "db/main", "team", "leaving", "eu-west-1"] {
        assert!(!contains(&file, readable.as_bytes()), "{readable} can be read in the export");
    }

    let before = folder.files();
    let planned = folder.run("import file --export-key-file export.key --dir other --dry-run").quiet();
    assert_eq!(planned.text(), format!("would import {SECRETS} secrets; 0 there already, 0 left alone\n"));
    let secrets = folder.run("list --dir other --json").quiet().json();
    assert_eq!(secrets["SecretList"].as_array().unwrap().len(), 0, "nothing is imported");
    assert!(folder.files().keys().eq(before.keys()));

    let imported = folder.run("import file --export-key-file export.key --dir other").quiet();
    assert_eq!(imported.text(), format!("imported {SECRETS} secrets; 0 there already, 0 left alone\n"));
    for (old, new) in contents(&folder, "vault").into_iter().zip(contents(&folder, "other")) {
        assert!(old == new, "{}: {:?}", old.0, (String::from_utf8_lossy(&old.2), String::from_utf8_lossy(&new.2)));
    }
    let again = folder.run("import file --export-key-file export.key --dir other").quiet();
    assert_eq!(again.text(), format!("imported 0 secrets; {SECRETS} there already, 0 left alone\n"));
    folder.run("verify --dir other").quiet();

    // The key is there now, and is used again.
    folder.vault("export second --export-key-file export.key").quiet();
    folder.run("import second --export-key-file export.key --dir other").quiet();
}

#[test]
fn a_passphrase_protects_an_export_as_well() {
    let folder = two_stores();
    folder.write("pass", b"correct horse\n", 0o600);
    folder.write("wrong", b"wrong horse\n", 0o600);
    folder.shell(r#""$BIN" export file --dir vault --export-passphrase-fd 3 3<pass"#).quiet();
    let refused = folder.shell(r#""$BIN" import file --dir other --export-passphrase-fd 3 3<wrong"#);
    fails_with(&refused, 6, &["not the passphrase of the export", "hint", "with which the export was made"]);
    folder.shell(r#""$BIN" import file --dir other --export-passphrase-fd 3 3<pass"#).quiet();
    assert_eq!(folder.run("get db/main --dir other").quiet().text(), CANARY);
    let asked = folder.shell(r#"setsid -w "$BIN" export another --dir vault --export-passphrase </dev/null"#);
    fails_with(&asked, 6, &["passphrase", "terminal"]);

    // The passphrases of a store and of an export are two.
    folder.shell(r#""$BIN" init --dir third --passphrase-fd 4 4<wrong"#).ok();
    let both = r#""$BIN" import file --dir third --passphrase-fd 4 --export-passphrase-fd 3 3<pass 4<wrong"#;
    folder.shell(both).quiet();
    let one = folder.shell(r#""$BIN" import file --dir third --passphrase-fd 3 --export-passphrase-fd 3 3<pass"#);
    fails_with(&one, 2, &["one descriptor"]);
}

#[test]
fn values_are_written_in_plain_text_only_when_that_is_asked_for_twice() {
    let folder = two_stores();
    let rows = [
        "export lines --plain",
        "export - --plain",
        "export lines --yes-write-values-in-plain-text",
        "export lines --plain --yes-write-values-in-plain-text --export-key-file key",
    ];
    for line in rows {
        let refused = folder.vault(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
        assert!(!folder.has("lines") && !folder.has("-") && !folder.has("key"), "{line}");
    }
    let done = folder.vault("export lines --plain --yes-write-values-in-plain-text").quiet();
    assert_eq!(done.text(), format!("exported {SECRETS} secrets with {VERSIONS} versions to lines\n"));
    let lines = fs::read_to_string(folder.join("lines")).unwrap();
    assert!(lines.contains(CANARY) && lines.contains("db/main") && folder.mode("lines") == 0o600);
    assert_eq!(lines.lines().count() as u64, SECRETS + 2, "the format, the secrets, the counts");
    for line in lines.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let piped = folder.vault("export - --plain --yes-write-values-in-plain-text").quiet();
    assert_eq!(piped.text().lines().count(), lines.lines().count());

    let imported = folder.run("import lines --plain --dir other").quiet();
    assert_eq!(imported.text(), format!("imported {SECRETS} secrets; 0 there already, 0 left alone\n"));
    for (old, new) in contents(&folder, "vault").into_iter().zip(contents(&folder, "other")) {
        assert!(old == new, "{}", old.0);
    }
    folder.run("init --dir third").ok();
    folder
        .shell(r#""$BIN" export - --plain --yes-write-values-in-plain-text --dir vault | "$BIN" import - --plain --dir third"#)
        .quiet();
    assert_eq!(folder.run("get db/main --dir third").quiet().text(), CANARY);
    let named = r#"mkfifo pipe; cat lines >pipe & "$BIN" import pipe --plain --dir third"#;
    assert_eq!(folder.shell(named).quiet().text(), "imported 0 secrets; 5 there already, 0 left alone\n");
}

#[test]
fn lines_that_are_no_export_import_nothing() {
    let folder = two_stores();
    let lines = folder.vault("export - --plain --yes-write-values-in-plain-text").quiet();
    let whole: Vec<&str> = lines.text().lines().collect();
    let without = |left_out: usize| {
        let rest = whole.iter().enumerate().filter(|(index, _)| *index != left_out);
        rest.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let unknown = whole.join("\n").replacen(r#""Name""#, r#""Nome""#, 1);
    let rows = [String::new(), "hello\n".to_owned(), without(0), without(1), without(whole.len() - 1), unknown];
    for text in rows {
        let refused = folder.run_with("import - --plain --dir other", text.as_bytes());
        fails_with(&refused, 8, &["line"]);
    }
    assert_eq!(folder.run("list --dir other --json").quiet().json()["SecretList"], Value::Array(Vec::new()));
}

#[test]
fn a_secret_that_differs_is_left_alone_and_all_others_are_imported() {
    let folder = two_stores();
    folder.vault("export file --export-key-file key").ok();
    folder.run_with("create db/main --dir other", b"another one").quiet();
    let line = "import file --export-key-file key --dir other";
    for (line, code) in [(format!("{line} --dry-run --json"), 4), (format!("{line} --json"), 4)] {
        let done = folder.run(&line);
        assert_eq!(done.code, Some(code), "{done:?}");
        shows_no_value(&done);
        let (conflicts, summary) = report(&done);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(
            (&conflicts[0]["kind"], &conflicts[0]["subject"]),
            (&"conflict".into(), &"000000000000/us-east-1/db/main".into())
        );
        let expected = serde_json::json!({
            "dry_run": line.contains("dry-run"), "created": SECRETS - 1, "unchanged": 0, "conflicts": 1
        });
        assert_eq!(summary, expected);
        assert!(done.stderr.starts_with("error: 1 secret of the export"), "{done:?}");
    }
    assert_eq!(folder.run("get db/main --dir other").quiet().text(), "another one");
    assert_eq!(folder.run("get bytes --dir other").quiet().stdout, [0, 255, 10, 13]);
    let done = folder.run(line);
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.text().starts_with("conflict: 000000000000/us-east-1/db/main: "), "{done:?}");
    assert!(done.text().ends_with("imported 0 secrets; 4 there already, 1 left alone\n"), "{done:?}");
}

#[test]
fn a_kms_key_that_the_other_store_does_not_know_can_be_replaced() {
    let folder = two_stores();
    let keyring = LocalKeyring::open(folder.join("vault.keyring")).unwrap();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    drop(keyring);
    folder.vault_with(&format!("create keyed --kms-key-id {key}"), CANARY.as_bytes()).quiet();
    folder.vault("export file --export-key-file key").ok();
    let line = "import file --export-key-file key --dir other";
    fails_with(&folder.run(line), 6, &["keyed", "hint: --kms-key-id"]);
    assert_eq!(folder.run("list --dir other --json").quiet().json()["SecretList"], Value::Array(Vec::new()));
    folder.arguments(&[&line.split(' ').collect::<Vec<_>>()[..], &["--kms-key-id", ""]].concat(), b"").quiet();
    assert_eq!(folder.run("get keyed --dir other").quiet().text(), CANARY);
}

#[test]
fn a_secret_that_cannot_be_opened_ends_an_export_unless_it_may_be_left_out() {
    let folder = two_stores();
    let keyring = LocalKeyring::open(folder.join("vault.keyring")).unwrap();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    folder.vault_with(&format!("create closed --kms-key-id {key}"), CANARY.as_bytes()).quiet();
    keyring.disable_key(&key).unwrap();
    drop(keyring);
    let refused = folder.vault("export file --export-key-file key");
    assert_eq!((refused.code, refused.text()), (Some(6), ""), "{refused:?}");
    assert!(refused.stderr.contains(":secret:closed-") && !folder.has("file"), "{refused:?}");
    let done = folder.vault("export file --export-key-file key --skip-unreadable").quiet();
    let lines: Vec<&str> = done.text().lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("skipped: arn:aws:secretsmanager:us-east-1:"), "{done:?}");
    assert!(lines[0].contains(":secret:closed-") && lines[1].starts_with("exported 5 secrets"), "{done:?}");
    let (skipped, summary) =
        report(&folder.vault("export second --export-key-file key --skip-unreadable --json").quiet());
    assert_eq!((skipped.len(), &skipped[0]["kind"]), (1, &Value::from("skipped")));
    assert_eq!(summary, serde_json::json!({ "secrets": SECRETS, "versions": VERSIONS, "skipped": 1 }));
}

#[test]
fn each_failure_has_its_exit_code_and_changes_nothing() {
    let folder = two_stores();
    folder.vault("export file --export-key-file key").ok();
    folder.run("init --dir third --key-file wrong").ok();
    let good = fs::read(folder.join("file")).unwrap();
    for (name, at) in [("early", 20), ("middle", good.len() / 2), ("late", good.len() - 5)] {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        folder.write(name, bytes, 0o600);
    }
    folder.write("cut", &good[..good.len() - 1], 0o600);
    folder.write("text", b"hello\n", 0o600);
    folder.write("open.key", fs::read(folder.join("key")).unwrap(), 0o644);
    folder.vault("backup backup").quiet();
    let before = folder.files();
    let plain = "--plain --yes-write-values-in-plain-text";
    let import = |what: &str| format!("import {what} --export-key-file key --dir other");
    let rows: [(i32, &str, &[&str]); 27] = [
        (2, "export new --dir vault", &["--export-key-file"]),
        (2, "export --export-key-file key --dir vault", &["FILE"]),
        (2, "export - --export-key-file key --dir vault", &["--plain"]),
        (2, &format!("export - --json {plain} --dir vault"), &["standard output"]),
        (2, "export new --export-key-file key --export-passphrase --dir vault", &["cannot be used with"]),
        (2, "import file --dir other", &["--export-key-file"]),
        (2, "import - --export-key-file key --dir other", &["--plain"]),
        (2, "import - --plain --passphrase-fd 0 --dir other", &["standard input"]),
        (3, "export new --export-key-file new.key --dir nowhere", &["no store in `nowhere`"]),
        (3, "import file --export-key-file key --dir nowhere", &["no store in `nowhere`"]),
        (3, &import("nowhere"), &["no file `nowhere`"]),
        (3, "import nowhere --plain --dir other", &["no file `nowhere`"]),
        (4, "export text --export-key-file key --dir vault", &["text` exists already"]),
        (4, "export text --export-key-file new.key --dir vault", &["text` exists already"]),
        (4, &format!("export text {plain} --dir vault"), &["text` exists already"]),
        (6, "export new --export-key-file open.key --dir vault", &["open.key", "0600"]),
        (6, "export new --export-key-file new.key --keyring other.keyring --dir vault", &["not the key of the store"]),
        (6, "import file --export-key-file wrong --dir other", &["not the key of the export"]),
        (6, "import file --export-key-file none --dir other", &["no key file `none`"]),
        (6, "import file --export-key-file key --keyring vault.keyring --dir other", &["not the key of the store"]),
        (8, &import("early"), &["early"]),
        (8, &import("middle"), &["middle"]),
        (8, &import("late"), &["late"]),
        (8, &import("cut"), &["cut"]),
        (8, &import("text"), &["text` is not an export"]),
        (8, &import("backup"), &["backup` is not an export"]),
        (8, "import file --plain --dir other", &["line"]),
    ];
    for (code, line, named) in rows {
        let refused = folder.run(line);
        assert_eq!((refused.code, refused.text()), (Some(code), ""), "{line}: {refused:?}");
        shows_no_value(&refused);
        for name in named {
            assert!(refused.stderr.contains(name), "{line}: `{name}` is missing: {refused:?}");
        }
        assert!(folder.files().keys().eq(before.keys()), "{line} has made a file: {:?}", folder.files().keys());
    }
    assert_eq!(folder.run("list --dir other --json").quiet().json()["SecretList"], Value::Array(Vec::new()));
    for name in ["text", "file", "key", "backup"] {
        assert!(before[&folder.join(name)] == fs::read(folder.join(name)).unwrap(), "{name} was changed");
    }
}

#[test]
fn a_store_that_is_open_in_a_server_is_left_alone() {
    let folder = two_stores();
    folder.vault("export file --export-key-file key").ok();
    let mut server = Server::start(&folder, "");
    folder.vault("export new --export-key-file new.key").fails(7, &["open elsewhere", "hint"]);
    folder.vault("import file --export-key-file key").fails(7, &["open elsewhere", "hint"]);
    assert!(!folder.has("new") && !folder.has("new.key"));
    assert!(server.is_well());
    server.stop();
}

/// What cannot be written in full is no export, and no half of it is left with values that can be read.
#[test]
fn a_full_disk_behind_an_export_is_a_failure() {
    let folder = two_stores();
    let plain = "--plain --yes-write-values-in-plain-text";
    let full = folder.shell(&format!(r#""$BIN" export - {plain} --dir vault >/dev/full"#));
    fails_with(&full, 1, &["cannot write the export"]);
    fails_with(&folder.vault(&format!("export no/such/file {plain}")), 1, &["no directory `no/such`"]);
    fails_with(&folder.vault("export no/such/file --export-key-file key"), 1, &["no directory `no/such`"]);
    assert!(!folder.has("key") && !folder.has("no"));
}
