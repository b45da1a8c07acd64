//! Standard streams that are closed, full or read by somebody who has seen enough.

use crate::fixture::Folder;

/// A store with so much in it that a listing does not fit into a pipe.
fn crowded() -> Folder {
    let folder = Folder::with_store();
    let server = crate::server::Server::start(&folder, "");
    let description = "d".repeat(2000);
    for number in 0..60 {
        server.call("CreateSecret", &format!(r#"{{"Name": "s{number}", "Description": "{description}"}}"#)).ok();
    }
    server.call("CreateSecret", &format!(r#"{{"Name": "x", "SecretString": "{}"}}"#, "v".repeat(65_536))).ok();
    folder
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = crowded();
    let lines = [
        "list --dir vault",
        "list --dir vault --json",
        "get x --dir vault",
        "get x --dir vault --json",
        "describe s1 --dir vault",
        "describe s1 --dir vault --json",
        "versions x --dir vault --json",
        "random-password --length 4096",
        "random-password --length 4096 --json",
        "completions bash",
        "--help",
        "serve --help",
    ];
    for line in lines {
        for reader in ["true", "head -c 10"] {
            let script = format!(r#"{{ sleep 0.05; "$BIN" {line}; echo "code $?" >&2; }} | {reader}"#);
            let done = folder.shell(&script);
            assert_eq!(done.stderr, "code 0\n", "{line} | {reader}");
        }
    }
}

#[test]
fn closed_streams_make_no_panic_and_the_work_is_done() {
    let folder = Folder::with_store();
    folder.shell(r#""$BIN" create a --dir vault --no-value >&-"#).quiet();
    folder.shell(r#""$BIN" create b --dir vault --no-value 2>&-"#).quiet();
    folder.shell(r#"printf v | "$BIN" create c --dir vault >&- 2>&-"#).quiet();
    for name in ["a", "b", "c"] {
        folder.vault(&format!("describe {name}")).quiet();
    }
    let rows = [
        (r#""$BIN" list --dir vault >&- 2>&-"#, 0),
        (r#""$BIN" get c --dir vault >&-"#, 0),
        (r#""$BIN" get absent --dir vault 2>&-"#, 3),
        (r#""$BIN" list 2>&-"#, 2),
        (r#""$BIN" create d --dir vault <&-"#, 5),
        (r#""$BIN" --help >&-"#, 0),
    ];
    for (script, code) in rows {
        let done = folder.shell(script);
        assert_eq!(done.code, Some(code), "{script}: {done:?}");
        assert!(!done.stderr.contains("panicked"), "{script}: {done:?}");
    }
}

/// Output that was lost is a failure: a backup script must not take an empty file for a secret.
#[test]
fn a_full_disk_behind_standard_output_is_a_failure_that_is_told() {
    let folder = Folder::with_store();
    folder.vault_with("create x", b"s3cret").quiet();
    let lines = [
        "get x --dir vault",
        "get x --dir vault --json",
        "list --dir vault",
        "list --dir vault --json",
        "describe x --dir vault",
        "versions x --dir vault",
        "create y --no-value --dir vault",
        "random-password",
        "completions bash",
    ];
    for line in lines {
        let done = folder.shell(&format!(r#""$BIN" {line} >/dev/full"#));
        done.fails(1, &["No space left"]);
    }
    let both = folder.shell(r#""$BIN" get x --dir vault >/dev/full 2>/dev/full"#);
    assert_eq!((both.code, both.stderr.as_str()), (Some(1), ""));
    assert_ne!(folder.shell(r#""$BIN" serve --listen 127.0.0.1:0 --dir vault >/dev/full"#).code, Some(0));
    assert_eq!(folder.vault("get x").quiet().text(), "s3cret");
}

#[test]
fn names_of_directories_may_be_anything() {
    for name in ["new\nline", "sp ace", "-dash", "quo'te\"", "\u{1f511}", "--json", "dot.", "a\\b", "*"] {
        let folder = Folder::new();
        let directory = format!("--dir={name}");
        folder.arguments(&["init", &directory], b"").ok();
        folder.arguments(&["create", "x", &directory], b"v").quiet();
        assert_eq!(folder.arguments(&["get", "x", &directory], b"").quiet().text(), "v", "{name:?}");
        assert!(folder.has(name) && folder.has(&format!("{name}.keyring")), "{name:?}");
    }
    let folder = Folder::new();
    let done = folder.shell(r#"d="$(printf 'not-\377-utf8')"; "$BIN" init --dir "$d" && printf v | "$BIN" create x --dir "$d" && "$BIN" get x --dir "$d""#);
    assert!(done.code == Some(0) && done.text().ends_with('v'), "{done:?}");
}

#[test]
fn a_store_can_be_reached_through_a_symbolic_link() {
    let folder = Folder::with_store();
    std::os::unix::fs::symlink("vault", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    folder.vault_with("create x", b"v").quiet();
    let by_link = folder.run("get x --dir link --keyring vault.keyring").quiet();
    assert_eq!(by_link.text(), "v");
    let server = crate::server::Server::start(&folder, "");
    folder.run("get x --dir link --keyring vault.keyring").fails(7, &[]);
    drop(server);
    assert_ne!(folder.run("init --dir dangling").code, Some(0));
    assert!(!folder.has("nowhere"));
}

#[test]
fn of_several_that_make_a_store_at_once_one_succeeds() {
    for choice in ["", "--keyring ring", "--key-file key"] {
        let folder = Folder::new();
        let done: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..6).map(|_| scope.spawn(|| folder.run(&format!("init --dir vault {choice}")))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let codes: Vec<_> = done.iter().map(|done| done.code.unwrap()).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{choice}: {done:?}");
        // The others found a store, the key of one, or somebody at work on them.
        assert!(codes.iter().all(|code| [0, 4, 6, 7].contains(code)), "{choice}: {done:?}");
        folder.vault_with(&format!("create x {choice}"), b"v").quiet();
        assert_eq!(folder.vault(&format!("get x {choice}")).quiet().text(), "v");
    }
}

/// Whoever does not read the log, or cannot keep it, loses lines, and nothing else.
#[test]
fn a_log_that_goes_nowhere_stops_no_server() {
    let (gone, broken) = std::io::pipe().unwrap();
    drop(gone);
    let (unread, full) = std::io::pipe().unwrap();
    let full_disk = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let logs: [(&str, std::process::Stdio); 3] = [
        ("its reader has gone", broken.into()),
        ("nobody reads it", full.into()),
        ("the disk is full", full_disk.into()),
    ];
    for (row, log) in logs {
        let folder = Folder::new();
        let mut server = crate::server::Server::start_with_log(&folder, "--durability eventual", log);
        for number in 0..600 {
            let made = server.call("CreateSecret", &format!(r#"{{"Name": "s{number}"}}"#));
            assert_eq!(made.status, 200, "{row}: {made:?}");
        }
        server.stop();
        assert_eq!(folder.vault("list --json").quiet().text().matches("\"Name\"").count(), 600, "{row}");
    }
    drop(unread);
}
