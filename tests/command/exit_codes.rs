//! Every exit code: what leads to it, and what is said. A script can rely on the number, a person on the words.

use std::fs;

use crate::fixture::{Folder, command, run};
use crate::server::Server;

/// With a secret `x` in the store, one that is scheduled for deletion, and one without a value.
fn furnished() -> Folder {
    let folder = Folder::with_store();
    folder.vault_with("create x", b"v").quiet();
    folder.vault_with("create leaving", b"v").quiet();
    folder.vault("delete leaving").quiet();
    folder.vault("create empty --no-value").quiet();
    folder
}

#[test]
fn what_is_not_there_is_3() {
    let folder = furnished();
    fs::create_dir(folder.join("bare")).unwrap();
    let absent = "arn:aws:secretsmanager:us-east-1:000000000000:secret:absent-AbCdEf";
    let not_found = "ResourceNotFoundException: Secrets Manager can't find the specified secret";
    for operation in ["get", "describe", "versions", "delete", "restore", "put", "tag"] {
        let more = if operation == "tag" { "a=b" } else { "" };
        for id in ["absent", absent] {
            folder.vault_with(&format!("{operation} {id} {more}"), b"v").fails(3, &[not_found]);
        }
    }
    let id = "00000000-0000-4000-8000-000000000000";
    folder.vault(&format!("get x --version-id {id}")).fails(3, &[id]);
    folder.vault("get x --version-stage NONE").fails(3, &["NONE"]);
    folder.vault("get x --version-stage AWSPREVIOUS").fails(3, &["AWSPREVIOUS"]);
    folder.vault("get empty").fails(3, &["AWSCURRENT"]);
    for line in [
        "get x",
        "list",
        "create x",
        "put x",
        "describe x",
        "versions x",
        "tag x a=b",
        "delete x",
        "restore x",
        "rotate x",
        "rotation status",
        "rotation cancel x",
        "replicas add x eu-west-1",
        "replicas remove x eu-west-1",
        "replicas list x",
        "replicas promote x",
        "maintain",
    ] {
        folder
            .run_with(&format!("{line} --dir nowhere"), b"v")
            .fails(3, &["no store in `", "nowhere`", "hint", "init"]);
        folder.run_with(&format!("{line} --dir bare"), b"v").fails(3, &["no store in `", "bare`", "hint", "init"]);
    }
    assert!(!folder.has("nowhere") && fs::read_dir(folder.join("bare")).unwrap().next().is_none());
    assert!(!folder.has("nowhere.keyring") && !folder.has("bare.keyring"));
}

#[test]
fn what_is_in_the_way_is_4() {
    let folder = furnished();
    folder.vault_with("create x", b"v").fails(4, &["ResourceExistsException", "already exists"]);
    folder.vault_with("create leaving", b"v").fails(4, &["InvalidRequestException", "deletion"]);
    folder.vault("get leaving").fails(4, &["InvalidRequestException", "marked for deletion"]);
    folder.vault_with("put leaving", b"v").fails(4, &["marked for deletion"]);
    folder.run("init --dir vault").fails(4, &["there is a store in `", "vault` already"]);
    assert_eq!(folder.vault("get x").quiet().text(), "v");
}

#[test]
fn a_request_that_breaks_the_rules_of_the_api_is_5() {
    let folder = furnished();
    let long = "n".repeat(513);
    let rows: [(&[&str], &[&str]); 16] = [
        (&["create", "no spaces"], &["Invalid name"]),
        (&["create", ""], &["name"]),
        (&["create", &long], &["ValidationException", "512"]),
        (&["create", "y", "--token", "short"], &["clientRequestToken", "32"]),
        (&["create", "y", "--tag", "aws:reserved=1"], &["InvalidParameterException", "aws:"]),
        (&["create", "y", "--tag", "a=1", "--tag", "a=2"], &["InvalidParameterException"]),
        (&["create", "y", "--tag", "=1"], &["ValidationException", "key"]),
        (&["put", "x", "--token", "short"], &["clientRequestToken", "32"]),
        (&["put", "x", "--version-stage", ""], &["versionStages"]),
        (&["delete", "x", "--recovery-window", "6"], &["RecoveryWindowInDays", "7 and 30"]),
        (&["delete", "x", "--recovery-window", "31"], &["RecoveryWindowInDays", "7 and 30"]),
        (&["list", "--filter", "color=red"], &["color", "tag-key"]),
        (&["list", "--sort-by", "color"], &["color", "created-date"]),
        (&["get", "x", "--version-id", "short"], &["versionId", "32"]),
        (&["describe", ""], &["secretId"]),
        (&["tag", "x", "aws:a=1"], &["aws:"]),
    ];
    for (arguments, named) in rows {
        let arguments = [arguments, &["--dir", "vault"]].concat();
        folder.arguments(&arguments, b"v").fails(5, named);
    }
    folder.run("random-password --length 0").fails(5, &["passwordLength"]);
    folder.run("random-password --length 4097").fails(5, &["passwordLength", "4096"]);
    folder.run("random-password --length=-1").fails(5, &["passwordLength"]);
    folder
        .run("random-password --exclude numbers,punctuation,uppercase,lowercase")
        .fails(5, &["InvalidParameterException"]);
    folder.run("random-password --length 3").fails(5, &["InvalidParameterException"]);
}

#[test]
fn a_key_that_cannot_be_used_is_6() {
    let folder = furnished();
    let no_key = "AccessDeniedException: Access to KMS is not allowed";
    folder.vault_with("create y --kms-key-id alias/none", b"v").fails(6, &[no_key]);
    folder.vault_with("create y --kms-key-id 00000000-0000-4000-8000-000000000000", b"v").fails(6, &[no_key]);
    folder.vault("list --keyring none").fails(6, &["none`"]);
    folder.vault("list --key-file none").fails(6, &["none`"]);
    folder.vault("list --passphrase-fd 77").fails(6, &["passphrase cannot be read"]);
}

#[test]
fn a_store_that_is_open_elsewhere_is_7() {
    let folder = furnished();
    let mut server = Server::start(&folder, "");
    let lines = [
        "get x",
        "list",
        "create y",
        "put x",
        "describe x",
        "versions x",
        "tag x a=b",
        "delete x",
        "restore x",
        "rotate x",
        "rotation status",
        "rotation cancel x",
        "replicas add x eu-west-1",
        "replicas remove x eu-west-1",
        "replicas list x",
        "replicas promote x",
        "maintain",
    ];
    for line in lines {
        folder.vault_with(line, b"v").fails(7, &["vault`", "open elsewhere", "hint", "server"]);
    }
    folder.vault("serve --listen 127.0.0.1:0").fails(7, &["open elsewhere"]);
    folder.run("init --dir vault").fails(4, &["already"]);
    assert!(server.is_well());
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert_eq!(folder.vault("get x").quiet().text(), "v", "what was killed does not hold the store");
}

/// The header is there twice, so that one damaged copy loses nothing.
#[test]
fn a_store_with_a_damaged_header_is_8_and_is_left_as_it_is() {
    const COPY_BYTES: usize = 4096;
    let folder = furnished();
    let path = folder.join("vault/store.hdr");
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len(), 2 * COPY_BYTES);
    for at in [20, 40, 100, 200, 300] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(folder.vault("get x").quiet().text(), "v", "byte {at}");
        bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes[at + COPY_BYTES] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        folder.vault("get x").fails(8, &["both copies of the store's header are damaged"]);
        folder.vault("serve --listen 127.0.0.1:0").fails(8, &["header"]);
        assert!(fs::read(&path).unwrap() == bytes, "byte {at}: the damaged header was changed");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(folder.vault("get x").quiet().text(), "v");
}

#[test]
fn a_store_that_has_lost_a_part_is_8() {
    let folder = furnished();
    fs::rename(folder.join("vault/sled"), folder.join("aside")).unwrap();
    folder.vault("list").fails(8, &["vault", "no records"]);
    assert!(!folder.has("vault/sled"), "nothing is made in its place");
    fs::rename(folder.join("aside"), folder.join("vault/sled")).unwrap();
    for length in [0, 1, 20] {
        let header = fs::read(folder.join("vault/store.hdr")).unwrap();
        fs::write(folder.join("vault/store.hdr"), &header[..length]).unwrap();
        let refused = folder.vault("list");
        refused.fails(8, &["header", "damaged"]);
        assert!(!refused.stderr.contains("init"), "another store is no help: {refused:?}");
        fs::write(folder.join("vault/store.hdr"), &header).unwrap();
    }
    fs::remove_file(folder.join("vault/store.hdr")).unwrap();
    fs::remove_file(folder.join("vault.keyring")).unwrap();
    let before = folder.files();
    for line in ["init", "serve --listen 127.0.0.1:0"] {
        folder.vault(line).fails(8, &["vault", "header was lost"]);
    }
    assert_eq!(folder.files(), before, "not even a key is made for what was a store");
}

#[test]
fn wrong_usage_is_2() {
    let folder = furnished();
    let rows = [
        "",
        "frobnicate",
        "list",
        "get --dir vault",
        "get x y --dir vault",
        "get x --dir",
        "list --dir vault --frobnicate",
        "list --dir vault --keyring a --key-file b",
        "list --dir vault --filter name",
        "tag x --dir vault",
        "tag x novalue --dir vault",
        "create y --tag novalue --dir vault",
        "delete x --force --recovery-window 7 --dir vault",
        "delete x --recovery-window soon --dir vault",
        "random-password --length many",
        "random-password --exclude letters",
        "completions tcsh",
        "list --dir vault --passphrase-fd -1",
        "list --dir vault --account abc",
        "list --dir vault --account 1234567890123",
        "list --dir vault --region nowhere",
        "serve --dir vault --listen nowhere",
        "serve --dir vault --listen 127.0.0.1:99999",
        "serve --dir vault --listen localhost",
        "serve --dir vault --verify-signatures",
        "serve --dir vault --log-level loud",
        "serve --dir vault --durability never",
        "serve --dir vault --max-body-bytes -1",
        "serve --dir vault --listen 0.0.0.0:0",
    ];
    let before = folder.files();
    for line in rows {
        let refused = folder.run(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
        assert!(!refused.stderr.is_empty() && !refused.stderr.contains("panicked"), "{line}: {refused:?}");
    }
    assert!(folder.files() == before, "nothing was changed");
    let unknown = folder.run("list --dir vault --frobnicate").stderr;
    assert!(unknown.contains("--frobnicate") && unknown.contains("Usage: strongroom list"), "{unknown}");
    assert!(folder.run("lst --dir vault").stderr.contains("'list'"), "what was meant is suggested");
}

#[test]
fn another_failure_is_1_and_names_the_file() {
    let folder = furnished();
    folder.vault("put x --value-file absent").fails(1, &["absent"]);
    folder.write("plain", b"", 0o600);
    fs::rename(folder.join("vault.keyring"), folder.join("plain.keyring")).unwrap();
    let blocked = folder.run("init --dir plain/vault --keyring plain.keyring");
    blocked.fails(1, &["plain/vault"]);
}

/// An option in the environment that is no account and no Region is as wrong as one on the command line.
#[test]
fn wrong_settings_in_the_environment_are_wrong_usage_too() {
    let folder = furnished();
    for (name, value) in [("STRONGROOM_ACCOUNT", "me"), ("STRONGROOM_REGION", "here"), ("STRONGROOM_DIR", "")] {
        let refused = run(folder.command(&["get", "x"]).env("STRONGROOM_DIR", "vault").env(name, value), b"");
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{name}: {refused:?}");
    }
    let none = run(command("sh").args(["-c", r#""$BIN" list"#]).current_dir(folder.path()), b"");
    assert!(none.code == Some(2) && none.stderr.contains("--dir"), "{none:?}");
}
