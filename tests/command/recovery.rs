//! Checking a store, backing it up, and what can be done once it is damaged.

use std::fs;
use std::path::Path;

use serde_json::Value;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, Durability, KeyScope, LocalKeyring, OpenMode, PutSecretValueRequest,
    SecretStore,
};

use crate::fixture::{Folder, Outcome, contains, run};
use crate::server::Server;

const CANARY: &str = "canary-7be0-91d3";
const SECRETS: usize = 40;

/// A store `vault` with secrets `s0`, `s1`, …, whose newest values are `canary-…-0`, `canary-…-1`, …; every fourth has an
/// older value too, and one has no value.
pub(crate) fn populated() -> Folder {
    let folder = Folder::with_store();
    fill(&folder.join("vault"), &folder.join("vault.keyring"), SECRETS);
    folder.vault("create empty --no-value").quiet();
    folder
}

fn fill(directory: &Path, keyring: &Path, secrets: usize) {
    let keyring = LocalKeyring::open(keyring).unwrap();
    let builder = SecretStore::builder(directory).key_provider(keyring).mode(OpenMode::OpenExisting);
    let store = builder.durability(Durability::Eventual).open().unwrap();
    let manager = store.default_secrets_manager();
    for number in 0..secrets {
        let (name, value) = (format!("s{number}"), format!("{CANARY}-{number}"));
        if number % 4 == 0 {
            let older = CreateSecretRequest::new(&*name).secret_string(format!("older {CANARY}"));
            manager.create_secret(older).unwrap();
            manager.put_secret_value(PutSecretValueRequest::new(name, value)).unwrap();
        } else {
            manager.create_secret(CreateSecretRequest::new(name).secret_string(value)).unwrap();
        }
    }
    store.close().unwrap();
}

/// How many versions with a value [`populated`] has.
const VERSIONS: usize = SECRETS + SECRETS.div_ceil(4);

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Cuts off the second half of what is used of a file: something is gone for certain.
fn cut_to_half(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(path, &bytes[..used / 2]).unwrap();
}

/// Copies a directory with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            _ = fs::copy(entry.path(), target).unwrap()
        }
    }
}

/// Puts `kept` in the place of `vault`.
fn put_back(folder: &Folder) {
    fs::remove_dir_all(folder.join("vault")).unwrap();
    copy(&folder.join("kept"), &folder.join("vault"));
}

/// A store in which a flipped bit is known to do damage.
fn damaged() -> Folder {
    let folder = populated();
    copy(&folder.join("vault"), &folder.join("kept"));
    for at in places(&folder) {
        flip(&folder.join("vault/sled/db"), at);
        if folder.vault("verify").code == Some(8) {
            return folder;
        }
        put_back(&folder);
    }
    panic!("no flipped bit did any damage");
}

/// Places all over the part of the engine's file that is in use.
fn places(folder: &Folder) -> Vec<usize> {
    let bytes = fs::read(folder.join("kept/sled/db")).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let places: Vec<usize> = (1..=12).map(|part| used * part / 13).collect();
    assert!(used > 10_000, "the store is too small: {used} bytes");
    places
}

/// Output of one JSON object for each line: findings, and the summary.
#[track_caller]
pub(crate) fn report(done: &Outcome) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("no summary: {done:?}"));
    for line in &lines {
        let members: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(members, ["kind", "subject", "text"], "{line}");
        assert!(line.as_object().unwrap().values().all(|member| member.as_str().is_some_and(|text| !text.is_empty())));
    }
    (lines, summary)
}

#[track_caller]
pub(crate) fn shows_no_value(done: &Outcome) {
    assert!(!contains(&done.stdout, CANARY.as_bytes()) && !done.stderr.contains(CANARY), "{done:?}");
    assert!(!done.stderr.contains("panicked at"), "{done:?}");
}

#[test]
fn a_whole_store_is_said_to_be_whole_and_what_it_holds_is_counted() {
    let folder = populated();
    let done = folder.vault("verify").quiet();
    let text = done.text();
    assert!(text.starts_with("whole: ") && text.lines().count() == 1, "{text}");
    let (secrets, versions) = (SECRETS + 1, VERSIONS);
    assert!(text.contains(&format!(", {secrets} secrets, {versions} versions, {versions} values opened, ")), "{text}");
    assert!(!text.contains("not opened"), "{text}");

    let (findings, summary) = report(&folder.vault("verify --json").quiet());
    assert!(findings.is_empty());
    assert_eq!(summary["clean"], true);
    assert!(summary["epoch"].as_u64().unwrap() > 0 && summary["records"].as_u64().unwrap() > SECRETS as u64);
    let counts = ["secrets", "versions", "opened_values", "closed_values", "findings"].map(|name| &summary[name]);
    assert_eq!(counts, [secrets, versions, versions, 0, 0]);
    assert_eq!(summary.as_object().unwrap().len(), 8);

    let (_, unopened) = report(&folder.vault("verify --json --no-values").quiet());
    assert_eq!((&unopened["clean"], &unopened["opened_values"]), (&Value::from(true), &Value::from(0)));
    assert_eq!(unopened["versions"], summary["versions"]);
    folder.vault("get s3").quiet();
}

#[test]
fn a_store_that_is_older_than_a_known_epoch_is_damaged() {
    let folder = populated();
    let epoch = report(&folder.vault("verify --json").quiet()).1["epoch"].as_u64().unwrap();
    folder.vault(&format!("verify --expect-epoch {epoch}")).quiet();
    let before = folder.files();
    let done = folder.vault(&format!("verify --expect-epoch {}", epoch + 1));
    assert_eq!(done.code, Some(8), "{done:?}");
    assert!(done.text().starts_with("store: ") && done.text().contains(&epoch.to_string()), "{done:?}");
    assert!(folder.files() == before);
}

#[test]
fn a_value_whose_key_is_disabled_is_counted_and_is_no_damage() {
    let folder = populated();
    let keyring = LocalKeyring::open(folder.join("vault.keyring")).unwrap();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    folder.vault_with(&format!("create closed --kms-key-id {key}"), CANARY.as_bytes()).quiet();
    keyring.disable_key(&key).unwrap();
    drop(keyring);
    let done = folder.vault("verify").quiet();
    assert!(done.text().contains(", 1 value not opened because of a key"), "{done:?}");
    let (findings, summary) = report(&folder.vault("verify --json").quiet());
    assert!(findings.is_empty() && summary["clean"] == true && summary["closed_values"] == 1, "{summary}");

    let saved = folder.run("salvage vault --dir saved").ok();
    assert!(saved.text().contains(", 1 value not opened because of a key"), "{saved:?}");
}

#[test]
fn damage_is_listed_with_exit_code_8_and_the_store_is_left_as_it_is() {
    let folder = populated();
    copy(&folder.join("vault"), &folder.join("kept"));
    let (mut found, mut unharmed) = (0, 0);
    for at in places(&folder) {
        flip(&folder.join("vault/sled/db"), at);
        let before = folder.files();
        let done = folder.vault("verify");
        shows_no_value(&done);
        if done.code == Some(0) {
            assert!(done.text().starts_with("whole: "), "byte {at}: {done:?}");
            unharmed += 1;
            put_back(&folder);
            continue;
        }
        found += 1;
        assert_eq!(done.code, Some(8), "byte {at}: {done:?}");
        assert!(folder.files() == before, "byte {at}: verifying has changed something");
        let lines: Vec<&str> = done.text().lines().collect();
        let (last, listed) = lines.split_last().unwrap();
        assert!(!listed.is_empty() && listed.iter().all(|line| line.splitn(3, ": ").count() == 3), "{done:?}");
        let plural = if listed.len() == 1 { "" } else { "s" };
        assert_eq!(*last, format!("damaged: {} finding{plural}", listed.len()));
        for word in ["error: ", "vault` is damaged", "hint: ", "strongroom salvage", "strongroom restore-backup"] {
            assert!(done.stderr.contains(word), "{word}: {done:?}");
        }

        let (findings, summary) = report(&folder.vault("verify --json"));
        assert_eq!(
            (&summary["clean"], summary["findings"].as_u64()),
            (&Value::from(false), Some(findings.len() as u64))
        );
        assert_eq!(findings.len(), listed.len());
        put_back(&folder);
    }
    assert!(found >= 4, "{found} of the flipped bits did damage, {unharmed} did none");
    eprintln!("verify: {found} flipped bits found, {unharmed} in unused bytes");
}

#[test]
fn every_command_on_a_damaged_store_says_what_can_be_done() {
    let folder = damaged();
    let hints = ["hint: ", "strongroom verify", "strongroom restore-backup", "strongroom salvage"];
    for line in ["get s1", "list", "put s1", "delete s1", "backup out", "compact", "serve --listen 127.0.0.1:0"] {
        let refused = folder.vault_with(line, b"v");
        refused.fails(8, &hints);
        shows_no_value(&refused);
    }
    assert!(!folder.has("out"));
}

#[test]
fn a_backup_is_restored_with_everything_in_it() {
    let folder = populated();
    let done = folder.vault("backup vault.backup").quiet();
    assert!(done.text().starts_with(&format!("backed up {} secrets in ", SECRETS + 1)), "{done:?}");
    assert!(done.text().contains(" to vault.backup: ") && done.text().ends_with(" bytes\n"), "{done:?}");
    let file = fs::read(folder.join("vault.backup")).unwrap();
    assert!(!contains(&file, CANARY.as_bytes()) && !contains(&file, b"s17") && folder.mode("vault.backup") == 0o600);
    folder.vault_with("put s1", b"after the backup").quiet();

    let restored = folder.run("restore-backup vault.backup --dir other --keyring vault.keyring").quiet();
    assert_eq!(restored.text(), format!("made a store in other with {} secrets\n", SECRETS + 1));
    assert!(!folder.has("other.keyring"), "no key is made");
    for number in [0, 1, SECRETS - 1] {
        let read = folder.run(&format!("get s{number} --dir other --keyring vault.keyring")).quiet();
        assert_eq!(read.text(), format!("{CANARY}-{number}"));
    }
    folder.run("verify --dir other --keyring vault.keyring").quiet();
    assert_eq!(folder.vault("get s1").quiet().text(), "after the backup", "the first store is as it was");

    fs::remove_dir_all(folder.join("vault")).unwrap();
    folder.vault("restore-backup vault.backup").quiet();
    assert_eq!(folder.vault("get s1").quiet().text(), format!("{CANARY}-1"), "the keyring still lies beside it");
    let again = folder.vault("backup another --json").quiet().json();
    let bytes = fs::metadata(folder.join("another")).unwrap().len();
    assert_eq!((again["secrets"].as_u64(), again["bytes"].as_u64()), (Some(SECRETS as u64 + 1), Some(bytes)));
    let json = folder.run("restore-backup another --dir third --keyring vault.keyring --json").quiet().json();
    assert_eq!(json["secrets"], again["secrets"]);
    assert!(json["epoch"].as_u64() > again["epoch"].as_u64(), "{json} {again}");
}

#[test]
fn a_store_with_a_passphrase_is_backed_up_restored_verified_salvaged_and_compacted() {
    let folder = Folder::new();
    let on = |line: &str| folder.run_with(&format!("{line} --passphrase-fd 0"), b"correct horse\n");
    on("init --dir vault").ok();
    folder.write("value", CANARY, 0o600);
    on("create x --value-file value --dir vault").quiet();
    on("verify --dir vault").quiet();
    on("backup file --dir vault").quiet();
    on("compact --dir vault").quiet();
    on("restore-backup file --dir restored").quiet();
    let saved = on("salvage vault --dir saved").quiet();
    assert!(saved.text().ends_with("it opens with the same passphrase\n"), "{saved:?}");
    for directory in ["vault", "restored", "saved"] {
        assert_eq!(on(&format!("get x --dir {directory}")).quiet().text(), CANARY, "{directory}");
    }
    let wrong = folder.run_with("verify --dir vault --passphrase-fd 0", b"wrong\n");
    wrong.fails(6, &["not the passphrase"]);
}

#[test]
fn what_can_be_read_of_a_damaged_store_is_salvaged_into_a_new_one() {
    let folder = populated();
    copy(&folder.join("vault"), &folder.join("kept"));
    let (mut whole, mut incomplete, mut read, mut lost) = (0, 0, 0, 0);
    // Flipped bits, and at last a file of which the second half is gone.
    let flipped = places(&folder).into_iter().step_by(2).map(Some);
    for (index, at) in flipped.chain([None]).enumerate() {
        match at {
            Some(at) => flip(&folder.join("vault/sled/db"), at),
            None => cut_to_half(&folder.join("vault/sled/db")),
        }
        let before = folder.files();
        let target = format!("saved{index}");
        let done = folder.run(&format!("salvage vault --dir {target}"));
        shows_no_value(&done);
        for (path, bytes) in before {
            assert!(fs::read(&path).unwrap() == bytes, "{at:?}: {} was changed", path.display());
        }
        let lines: Vec<&str> = done.text().lines().collect();
        let [listed @ .., saved, verdict, how] = &lines[..] else { panic!("{done:?}") };
        assert!(saved.starts_with("saved ") && saved.ends_with(&format!(" into {target}")), "{done:?}");
        match done.code {
            Some(0) => {
                whole += 1;
                assert_eq!((listed.len(), *verdict, done.stderr.as_str()), (0, "whole: nothing is missing", ""));
            }
            Some(8) => {
                incomplete += 1;
                let plural = if listed.len() == 1 { "" } else { "s" };
                assert_eq!(*verdict, format!("incomplete: {} finding{plural}", listed.len()));
                assert!(done.stderr.contains("new store") && done.stderr.contains("restore-backup"), "{done:?}");
            }
            _ => panic!("{at:?}: {done:?}"),
        }
        // What is said about opening it is true.
        let options = how.strip_prefix("open it with: ").unwrap();
        assert_eq!(options, format!("--dir {target} --keyring vault.keyring"));
        folder.run(&format!("verify {options}")).quiet();
        for number in (0..SECRETS).step_by(5) {
            let got = folder.run(&format!("get s{number} {options}"));
            match got.code {
                Some(0) if number % 4 == 0 && got.text() == format!("older {CANARY}") => lost += 1,
                Some(0) => {
                    assert_eq!(got.text(), format!("{CANARY}-{number}"));
                    read += 1;
                }
                _ => {
                    got.fails(3, &[]);
                    lost += 1;
                }
            }
        }
        assert!(done.code == Some(8) || lost == 0, "{at:?}: what is whole lacks nothing");
        assert!(at.is_none() || 10 * lost <= read, "{at:?}: {read} values were saved, {lost} were lost");
        assert!(!folder.has(&format!("{target}.keyring")), "no key is made");
        put_back(&folder);
    }
    assert!(whole > 0 && incomplete > 0, "{whole} stores were whole, {incomplete} were not");
    eprintln!("salvage: {whole} stores whole, {incomplete} incomplete; {read} values read, {lost} lost");
}

#[test]
fn a_salvage_tells_programs_what_is_missing() {
    let folder = populated();
    let (findings, summary) = report(&folder.run("salvage vault --dir saved --json").quiet());
    assert!(findings.is_empty());
    let expected = [("whole", Value::from(true)), ("secrets", Value::from(SECRETS + 1)), ("findings", Value::from(0))];
    for (name, value) in expected {
        assert_eq!(summary[name], value, "{summary}");
    }
    assert_eq!((&summary["versions"], &summary["closed_values"]), (&Value::from(VERSIONS), &Value::from(0)));
    assert!(summary["epoch"].as_u64().unwrap() > 0 && summary["epoch"] == summary["expected_epoch"], "{summary}");

    cut_to_half(&folder.join("vault/sled/db"));
    let done = folder.run("salvage vault --dir rest --json");
    assert_eq!(done.code, Some(8), "{done:?}");
    let (findings, summary) = report(&done);
    assert_eq!((&summary["whole"], summary["findings"].as_u64()), (&Value::from(false), Some(findings.len() as u64)));
    assert!(!findings.is_empty());
    folder.run("verify --dir rest --keyring vault.keyring").quiet();
}

#[test]
fn compaction_gives_space_back_and_keeps_everything() {
    let folder = Folder::with_store();
    let keyring = LocalKeyring::open(folder.join("vault.keyring")).unwrap();
    let builder = SecretStore::builder(folder.join("vault")).key_provider(keyring).durability(Durability::Eventual);
    let store = builder.open().unwrap();
    let manager = store.default_secrets_manager();
    for number in 0..250 {
        let name = format!("gone{number}");
        manager.create_secret(CreateSecretRequest::new(&*name).secret_string("v".repeat(60_000))).unwrap();
        let delete = DeleteSecretRequest::new(name).force_delete_without_recovery(true);
        manager.delete_secret(delete).unwrap();
    }
    manager.create_secret(CreateSecretRequest::new("kept").secret_string("first")).unwrap();
    for number in 0..30 {
        manager.put_secret_value(PutSecretValueRequest::new("kept", format!("{number}").repeat(20_000))).unwrap();
    }
    store.close().unwrap();
    let size = || -> u64 {
        let files = folder.files().into_iter().filter(|(path, _)| path.starts_with(folder.join("vault")));
        files.map(|(_, bytes)| bytes.len() as u64).sum()
    };
    let before = size();
    let done = folder.vault("compact --json").quiet().json();
    let bytes = |name: &str| done[name].as_u64().unwrap();
    assert!(bytes("bytes_after") < bytes("bytes_before") / 2 && size() < before / 2, "{done} {before} {}", size());
    assert!(bytes("records") > 0);
    assert_eq!(folder.vault("get kept").quiet().text(), "29".repeat(20_000));
    folder.vault("get gone1").fails(3, &[]);
    folder.vault("verify").quiet();
    assert_eq!(done["compacted"], true);
    assert!(bytes("live_bytes") > 30 * 20_000 && bytes("live_bytes") < bytes("bytes_after"), "{done}");
    let again = folder.vault("compact").quiet();
    let names: Vec<&str> = again.text().lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["Compacted", "Records", "Live", "Before", "After"], "{again:?}");
    let left = folder.vault("compact --if-recommended --json").quiet().json();
    assert_eq!((&left["compacted"], &left["bytes_after"]), (&Value::from(false), &left["bytes_before"]), "{left}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let folder = populated();
    folder.vault("backup file").quiet();
    folder.run("init --dir other").ok();
    folder.write("taken", b"not ours", 0o644);
    fs::create_dir(folder.join("photos")).unwrap();
    folder.write("photos/photo.jpg", b"not ours", 0o644);
    std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
    let before = folder.files();
    let rows = [
        ("backup file --dir vault", "file` exists already"),
        ("backup taken --dir vault", "taken` exists already"),
        ("backup photos --dir vault", "photos` exists already"),
        ("backup link --dir vault", "link` exists already"),
        ("restore-backup file --dir vault", "vault` already"),
        ("restore-backup file --dir other", "other` already"),
        ("restore-backup file --dir photos --keyring vault.keyring", "photo.jpg"),
        ("restore-backup file --dir taken --keyring vault.keyring", "taken"),
        ("salvage vault --dir other", "other` already"),
        ("salvage vault --dir vault", "vault` already"),
        ("salvage vault --dir photos", "photo.jpg"),
    ];
    for (line, named) in rows {
        folder.run(line).fails(4, &[named]);
        assert!(folder.files() == before, "{line} has changed something");
    }
}

#[test]
fn each_failure_has_its_exit_code_and_changes_nothing() {
    let folder = populated();
    folder.vault("backup file").quiet();
    folder.run("init --dir other").ok();
    let good = fs::read(folder.join("file")).unwrap();
    for (name, at) in [("early", 100), ("middle", good.len() / 2), ("late", good.len() - 5)] {
        folder.write(name, &good, 0o600);
        flip(&folder.join(name), at);
    }
    folder.write("cut", &good[..good.len() - 1], 0o600);
    folder.write("text", b"hello\n", 0o600);
    fs::create_dir(folder.join("bare")).unwrap();
    let before = folder.files();
    let rows: [(i32, &str, &[&str]); 30] = [
        (2, "verify", &["--dir"]),
        (2, "verify --dir vault --expect-epoch soon", &["soon"]),
        (2, "backup --dir vault", &["FILE"]),
        (2, "restore-backup --dir new", &["FILE"]),
        (2, "salvage --dir new", &["SOURCE"]),
        (2, "salvage vault --dir vault/new", &["inside the damaged one"]),
        (2, "compact", &["--dir"]),
        (1, "backup no/such/file --dir vault", &["no directory `no/such`"]),
        (3, "verify --dir nowhere", &["no store in `nowhere`", "init"]),
        (3, "verify --dir bare", &["no store in `bare`"]),
        (3, "backup new --dir nowhere", &["no store in `nowhere`"]),
        (3, "compact --dir nowhere", &["no store in `nowhere`"]),
        (3, "restore-backup nowhere --dir new --keyring vault.keyring", &["no file `nowhere`"]),
        (3, "salvage nowhere --dir new", &["no store in `nowhere`"]),
        (3, "salvage bare --dir new", &["no store in `bare`"]),
        (6, "verify --dir vault --keyring other.keyring", &["not the key of the store"]),
        (6, "verify --dir vault --keyring none", &["no keyring `none`"]),
        (6, "backup new --dir vault --keyring other.keyring", &["not the key of the store"]),
        (6, "compact --dir vault --keyring other.keyring", &["not the key of the store"]),
        (6, "compact --dir vault --key-file none", &["no key file `none`"]),
        (6, "restore-backup file --dir new", &["new.keyring`", "--keyring"]),
        (6, "restore-backup file --dir new --keyring other.keyring", &["not the key of the store"]),
        (6, "salvage vault --dir new --keyring other.keyring", &["not the key of the store"]),
        (6, "salvage vault --dir new --keyring none", &["no keyring `none`"]),
        (8, "restore-backup early --dir new --keyring vault.keyring", &["backup"]),
        (8, "restore-backup middle --dir new --keyring vault.keyring", &["backup"]),
        (8, "restore-backup late --dir new --keyring vault.keyring", &["backup"]),
        (8, "restore-backup cut --dir new --keyring vault.keyring", &["backup"]),
        (8, "restore-backup text --dir new --keyring vault.keyring", &["backup"]),
        (8, "restore-backup vault.keyring --dir new --keyring vault.keyring", &["backup"]),
    ];
    for (code, line, named) in rows {
        let refused = folder.run(line);
        refused.fails(code, named);
        shows_no_value(&refused);
        // An empty directory may be left where a store was to be made.
        let is_changed = folder
            .files()
            .into_iter()
            .any(|(path, bytes)| !path.starts_with(folder.join("new")) && before.get(&path) != Some(&bytes));
        assert!(!is_changed && !folder.has("new/store.hdr"), "{line} has changed something");
    }
    folder.run("restore-backup file --dir new --keyring vault.keyring").quiet();
}

#[test]
fn a_store_that_is_open_in_a_server_is_left_alone() {
    let folder = populated();
    let mut server = Server::start(&folder, "");
    for line in ["verify --dir vault", "backup new --dir vault", "compact --dir vault", "salvage vault --dir new"] {
        folder.run(line).fails(7, &["open elsewhere", "hint", "server"]);
    }
    assert!(server.is_well());
    server.stop();
    folder.vault("verify").quiet();
}

#[test]
fn a_store_whose_header_is_gone_is_beyond_salvage_and_the_hint_is_a_backup() {
    let folder = populated();
    folder.vault("backup file").quiet();
    let header = folder.join("vault/store.hdr");
    let bytes = vec![0; fs::read(&header).unwrap().len()];
    for is_there in [true, false] {
        if is_there {
            fs::write(&header, &bytes).unwrap()
        } else {
            fs::remove_file(&header).unwrap()
        }
        let refused = folder.run("salvage vault --dir new");
        refused.fails(8, &["header", "hint: ", "strongroom restore-backup"]);
        assert!(!refused.stderr.contains("strongroom salvage"), "{refused:?}");
        let verified = folder.vault("verify");
        assert_eq!(verified.code, Some(8), "{verified:?}");
        let said = format!("{}{}", verified.text(), verified.stderr);
        assert!(said.contains("header") && said.contains("strongroom restore-backup"), "{said}");
        assert!(!said.contains("strongroom verify"), "{said}");
    }
    fs::rename(folder.join("vault"), folder.join("broken")).unwrap();
    folder.vault("restore-backup file").quiet();
    assert_eq!(folder.vault("get s1").quiet().text(), format!("{CANARY}-1"));
}

#[test]
fn the_keys_of_a_salvage_come_from_the_environment_too() {
    let folder = populated();
    fs::rename(folder.join("vault.keyring"), folder.join("ring")).unwrap();
    let line = ["salvage", "vault", "--dir", "saved"];
    let done = run(folder.command(&line).env("STRONGROOM_KEYRING", "ring"), b"").quiet();
    assert!(done.text().ends_with("open it with: --dir saved --keyring ring\n"), "{done:?}");
    folder.run("salvage vault --dir another").fails(6, &["vault.keyring`"]);
}

/// The part of a salvage that runs in a process of its own is nothing that anybody should call.
#[test]
fn the_reader_of_a_salvage_is_hidden_and_does_no_harm() {
    let folder = populated();
    assert!(!folder.run("--help").quiet().text().contains("salvage-reader"));
    folder.write("taken", b"not ours", 0o600);
    let refused = folder.run("salvage-reader vault/sled taken");
    refused.fails(1, &["taken"]);
    assert_eq!(fs::read(folder.join("taken")).unwrap(), b"not ours");
    folder.run("salvage-reader nowhere out").fails(3, &["nowhere"]);
    assert!(!folder.has("nowhere") && !folder.has("out"));
}
