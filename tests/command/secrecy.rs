//! The value of a secret is shown by `get` and by nothing else: not in output, failures, files or the process list.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::fixture::{BINARY, Folder, command, contains, end_of, until};
use crate::server::Server;

const CANARY: &str = "canary-4d1f0b7e-c0ffee";

#[test]
fn no_command_but_get_shows_a_value_whether_it_works_or_fails() {
    let folder = Folder::with_store();
    let canary = CANARY.as_bytes();
    let not_utf8 = [canary, &[0xff]].concat();
    let too_long = CANARY.repeat(4000).into_bytes();
    let rows: [(&str, &[u8]); 22] = [
        ("create x", canary),
        ("create y --json", canary),
        ("create z --binary --json", canary),
        ("create x", canary),
        ("create bad!name*", canary),
        ("create long", &too_long),
        ("create latin", &not_utf8),
        ("create k --kms-key-id alias/none", canary),
        ("put x", canary),
        ("put x --json", canary),
        ("put absent", canary),
        ("put x --token short", canary),
        ("put x --value-file absent", canary),
        ("list", b""),
        ("list --json", b""),
        ("list --filter all=canary", b""),
        ("describe x", b""),
        ("describe x --json", b""),
        ("versions x --include-deprecated", b""),
        ("versions x --json", b""),
        ("delete x", b""),
        ("restore x", b""),
    ];
    for (line, input) in rows {
        let done = folder.vault_with(line, input);
        assert!(!contains(&done.stdout, canary) && !done.stderr.contains(CANARY), "{line}: {done:?}");
    }
    assert_eq!(folder.vault("get x").quiet().text(), CANARY);
    for (path, bytes) in folder.files() {
        assert!(!contains(&bytes, canary), "{}", path.display());
    }
}

#[test]
fn a_value_that_cannot_be_given_is_not_shown_either() {
    let folder = Folder::with_store();
    folder.vault_with("create x", CANARY.as_bytes()).quiet();
    folder.run("init --dir other").ok();
    for line in ["get x --version-stage NONE", "get x --keyring other.keyring", "get x --region eu-west-1"] {
        let failed = folder.vault(line);
        assert!(failed.code != Some(0) && !failed.text().contains(CANARY) && !failed.stderr.contains(CANARY));
    }
    let full = folder.shell(r#""$BIN" get x --dir vault >/dev/full"#);
    assert!(full.code == Some(1) && !full.stderr.contains(CANARY), "{full:?}");
}

#[test]
fn a_passphrase_and_the_bytes_of_keys_are_shown_nowhere() {
    let folder = Folder::new();
    for line in ["init", "list", "list --json", "init", "get absent"] {
        let done = folder.run_with(&format!("{line} --dir vault --passphrase-fd 0"), CANARY.as_bytes());
        assert!(!contains(&done.stdout, CANARY.as_bytes()) && !done.stderr.contains(CANARY), "{done:?}");
    }
    for (path, bytes) in folder.files() {
        assert!(!contains(&bytes, CANARY.as_bytes()), "{}", path.display());
    }
    folder.run("init --dir other --key-file key").ok();
    let text = fs::read_to_string(folder.join("key")).unwrap();
    let secret = text.split_whitespace().filter(|word| word.len() == 64).collect::<Vec<_>>();
    assert!(!secret.is_empty(), "the key was not found in its file");
    for line in ["list", "get absent", "init"] {
        let done = folder.run(&format!("{line} --dir other --key-file key"));
        assert!(!secret.iter().any(|word| done.text().contains(word) || done.stderr.contains(word)), "{done:?}");
    }
}

#[test]
fn a_server_logs_no_value_and_no_key_whatever_it_is_sent() {
    let folder = Folder::with_store();
    folder.write(
        "credentials",
        r#"{"credentials": [{"access_key_id": "AKIDALICE", "secret_access_key": "CANARY/KEY/4d1f0b7e",
            "session_token": "CANARYTOKEN4d1f0b7e", "account": "111122223333"}]}"#,
        0o600,
    );
    for format in ["text", "json"] {
        let mut server = Server::start(
            &folder,
            &format!("--admin --credentials credentials --log-level debug --log-format {format}"),
        );
        let value = format!(r#"{{"Name": "x-{format}", "SecretId": "x-{format}", "SecretString": "{CANARY}"}}"#);
        server.call("CreateSecret", &value).ok();
        server.call("PutSecretValue", &value).ok();
        server.call("UpdateSecret", &value).ok();
        assert!(contains(&server.call("GetSecretValue", &value).ok().body, CANARY.as_bytes()));
        for broken in [format!(r#"{{"SecretString": ["{CANARY}"]}}"#), format!(r#"{{"{CANARY}"#), CANARY.to_owned()] {
            for operation in ["CreateSecret", CANARY] {
                let answer = server.call(operation, &broken);
                assert!(answer.status >= 400 && !contains(&answer.body, CANARY.as_bytes()), "{answer:?}");
            }
        }
        let path = format!("GET /{CANARY}?{CANARY} HTTP/1.1");
        let header = format!("Authorization: Bearer {CANARY}");
        server.send(&[&path, "Host: localhost", &header], b"");
        server.send(&["POST / HTTP/1.1", &format!("Host: {CANARY}.example"), &format!("X-Canary: {CANARY}")], b"");
        server.admin("clock", Some(&format!(r#"{{"{CANARY}": 1}}"#)));
        server.stop();
        let log = server.log();
        assert!(log.contains("PutSecretValue") && log.contains("stopped"), "{log}");
        for secret in [CANARY, "CANARY/KEY", "CANARYTOKEN"] {
            assert!(!log.contains(secret), "{secret} was logged: {log}");
        }
    }
}

/// `--value` can be seen by every process of the machine; standard input and files cannot.
#[test]
fn the_process_list_shows_no_value_and_no_passphrase() {
    if !fs::exists("/proc/self/environ").unwrap() {
        eprintln!("skipped: there is no /proc");
        return;
    }
    let folder = Folder::new();
    folder.write("pass", CANARY, 0o600);
    folder.shell(r#""$BIN" init --dir vault --passphrase-fd 3 3<pass"#).ok();
    let mut child = command("sh")
        .args(["-c", r#"exec "$BIN" create x --dir vault --passphrase-fd 3 3<pass"#])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let id = child.id();
    let about = |what: &str| fs::read(format!("/proc/{id}/{what}")).unwrap();
    until("the start of the command", || about("cmdline").starts_with(BINARY.as_bytes()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(CANARY.as_bytes()).unwrap();
    for what in ["cmdline", "environ"] {
        assert!(contains(&about(what), b"--passphrase-fd") || what == "environ");
        assert!(!contains(&about(what), CANARY.as_bytes()), "{what}");
    }
    drop(stdin);
    assert!(end_of(&mut child).success());
}
