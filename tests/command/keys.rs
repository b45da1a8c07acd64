//! What opens a store: which keys are made when, which are refused, and that a wrong one changes nothing.

use std::fs;

use crate::fixture::{Folder, run};
use crate::server::Server;

/// Every way to say what opens the store: the options, and files that they need.
const CHOICES: [&str; 4] = ["", "--keyring ring", "--key-file key", "--passphrase-fd 0"];
const PASSPHRASE: &[u8] = b"correct horse\n";

/// A store with a secret `x`, opened by this choice. The value is in a file, because the passphrase may be on
/// standard input.
fn opened_by(choice: &str) -> Folder {
    let folder = Folder::new();
    folder.write("value", b"s3cret", 0o600);
    folder.run_with(&format!("init --dir vault {choice}"), PASSPHRASE).ok();
    folder.run_with(&format!("create x --value-file value --dir vault {choice}"), PASSPHRASE).quiet();
    folder
}

#[test]
fn the_default_is_a_keyring_beside_the_store_made_with_it() {
    for directory in ["vault", "vault/", "./vault"] {
        let folder = Folder::new();
        let made = folder.run(&format!("init --dir {directory}")).ok();
        let keyring = format!("{}.keyring", directory.trim_end_matches('/'));
        assert!(made.stderr.contains("made a keyring: ") && made.stderr.contains("vault.keyring"), "{made:?}");
        assert!(made.stderr.contains("Back it up"), "{made:?}");
        assert_eq!((folder.mode(&keyring), folder.mode(directory)), (0o600, 0o700), "{directory}");
        folder.run_with(&format!("create x --dir {directory}"), b"v").quiet();
    }
}

/// The directories above a store are made with it, and so its keyring has a place.
#[test]
fn a_store_can_be_made_where_its_parent_is_still_missing() {
    for choice in ["", "--keyring ring", "--key-file key", "--passphrase-fd 0"] {
        let folder = Folder::new();
        folder.run_with(&format!("init --dir deep/er/vault {choice}"), PASSPHRASE).ok();
        folder.run_with(&format!("list --dir deep/er/vault {choice}"), PASSPHRASE).quiet();
    }
}

#[test]
fn the_keyring_is_never_inside_the_directory_of_the_store() {
    for directory in [".", "./", "../inner", "./../inner/."] {
        let folder = Folder::new();
        fs::create_dir(folder.join("inner")).unwrap();
        let run_inside = |arguments: &[&str]| {
            run(folder.command(arguments).args(["--dir", directory]).current_dir(folder.join("inner")), b"v")
        };
        let made = run_inside(&["init"]);
        let files = folder.files();
        let inside = files.keys().filter(|path| path.starts_with(folder.join("inner")));
        let keys: Vec<_> = inside.filter(|path| path.to_string_lossy().contains("keyring")).collect();
        assert!(keys.is_empty(), "{directory}: {keys:?} {made:?}");
        made.ok();
        run_inside(&["create", "x"]).quiet();
        assert_eq!(run_inside(&["get", "x"]).quiet().text(), "v");
        assert!(folder.has("inner.keyring"), "{directory}");
    }
}

#[test]
fn every_choice_of_a_key_opens_what_it_has_made_and_makes_files_for_the_owner_alone() {
    for (choice, file) in CHOICES.into_iter().zip([Some("vault.keyring"), Some("ring"), Some("key"), None]) {
        let folder = opened_by(choice);
        for line in ["get x", "get x"] {
            let read = folder.run_with(&format!("{line} --dir vault {choice}"), PASSPHRASE).quiet();
            assert_eq!(read.text(), "s3cret", "{choice}");
        }
        for name in ["vault.keyring", "ring", "key"] {
            assert_eq!(folder.has(name), file == Some(name), "{choice}: {name}");
        }
        assert!(file.is_none_or(|file| folder.mode(file) == 0o600), "{choice}");
    }
}

#[test]
fn serve_makes_a_store_and_its_key_too_and_says_so() {
    for (choice, file) in [("", "vault.keyring"), ("--keyring ring", "ring"), ("--key-file key", "key")] {
        let folder = Folder::new();
        let mut server = Server::start(&folder, choice);
        server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
        server.stop();
        assert!(server.log().contains("made a key") && server.log().contains(file), "{choice}: {}", server.log());
        assert_eq!((folder.mode(file), folder.mode("vault")), (0o600, 0o700));
        assert_eq!(folder.vault(&format!("get x {choice}")).quiet().text(), "v");
        let again = Server::start(&folder, choice);
        assert!(!again.log().contains("made a key"), "{}", again.log());
    }
}

#[test]
fn no_other_command_makes_a_key_and_none_is_made_for_a_store_that_is_there() {
    let folder = opened_by("");
    fs::rename(folder.join("vault.keyring"), folder.join("kept")).unwrap();
    let before = folder.files();
    let lines =
        ["get x", "list", "create y --no-value", "describe x", "versions x", "tag x a=b", "delete x", "restore x"];
    for choice in ["", "--keyring new", "--key-file new"] {
        for line in lines.into_iter().chain(["serve --listen 127.0.0.1:0"]) {
            let name = if choice.is_empty() { "vault.keyring" } else { "new" };
            folder.vault(&format!("{line} {choice}")).fails(6, &[name]);
        }
        folder.vault(&format!("init {choice}")).fails(4, &["already"]);
    }
    assert!(folder.files() == before, "something was made or changed");
    folder.vault("get x").fails(6, &["there is no", "vault.keyring", "hint", "--key-file", "--passphrase"]);
    assert_eq!(folder.vault("get x --keyring kept").quiet().text(), "s3cret");
}

#[test]
fn a_key_is_not_made_where_no_store_can_be() {
    let folder = Folder::new();
    fs::create_dir(folder.join("vault")).unwrap();
    folder.write("vault/photo.jpg", b"not ours", 0o644);
    folder.write("file", b"not ours", 0o644);
    let at_first = folder.files();
    for line in ["init --dir vault", "serve --listen 127.0.0.1:0 --dir vault", "init --dir vault --key-file key"] {
        let refused = folder.run(line);
        assert!(refused.code != Some(0) && refused.stderr.contains("photo.jpg"), "{line}: {refused:?}");
        assert!(!refused.stderr.contains("`strongroom init --dir DIR` makes a store"), "{refused:?}");
        assert!(folder.files() == at_first, "{line} has made something");
    }
    // What cannot even be looked at may well be a store.
    std::os::unix::fs::symlink("looped", folder.join("looped")).unwrap();
    let before = folder.files();
    let too_long = "n".repeat(300);
    for line in
        ["--dir looped", "--dir file", "--dir file/vault", &format!("--dir {too_long}"), "--dir new --account none"]
    {
        for command in ["init", "serve --listen 127.0.0.1:0"] {
            for choice in ["--keyring ring", "--key-file key"] {
                let refused = folder.run(&format!("{command} {line} {choice}"));
                assert!(refused.code != Some(0) && refused.stderr.contains("error: "), "{line}: {refused:?}");
                assert!(!folder.has("ring") && !folder.has("key"), "a key was made: {line}: {refused:?}");
            }
        }
    }
    assert!(folder.files() == before, "{:?}", folder.files().keys());
}

#[test]
fn the_wrong_key_of_every_kind_is_refused_with_a_hint_and_nothing_is_changed() {
    let others = Folder::new();
    others.run("init --dir other --keyring ring").ok();
    others.run("init --dir another --key-file key").ok();
    for choice in CHOICES {
        let folder = opened_by(choice);
        for name in ["ring", "key"] {
            fs::copy(others.join(name), folder.join(&format!("other-{name}"))).unwrap();
        }
        let before = folder.files();
        for wrong in ["--keyring other-ring", "--key-file other-key", "--passphrase-fd 0"] {
            for line in ["get x", "delete x --force", "serve --listen 127.0.0.1:0"] {
                let refused = folder.run_with(&format!("{line} --dir vault {wrong}"), b"wrong\n");
                refused.fails(6, &["hint", "with which the store was made"]);
            }
        }
        let changed: Vec<_> =
            folder.files().into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes)).collect();
        assert!(changed.is_empty() && folder.files().len() == before.len(), "{choice}: {changed:?}");
        let read = folder.run_with(&format!("get x --dir vault {choice}"), PASSPHRASE).quiet();
        assert_eq!(read.text(), "s3cret", "{choice}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    for (choice, file) in [("", "vault.keyring"), ("--keyring ring", "ring"), ("--key-file key", "key")] {
        let folder = opened_by(choice);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o666] {
            folder.set_mode(file, mode);
            folder.vault(&format!("get x {choice}")).fails(6, &[file, "by others", "0600"]);
        }
        folder.set_mode(file, 0o600);
        folder.vault(&format!("get x {choice}")).quiet();
        std::os::unix::fs::symlink(folder.join(file), folder.join("link")).unwrap();
        let option = if choice.starts_with("--key-file") { "--key-file" } else { "--keyring" };
        folder.vault(&format!("get x {option} link")).fails(6, &["link"]);
    }
}

#[test]
fn a_damaged_key_file_is_told_from_a_wrong_one() {
    for (choice, file) in [("", "vault.keyring"), ("--key-file key", "key")] {
        let folder = opened_by(choice);
        let good = fs::read(folder.join(file)).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [&b""[..], &good[..good.len() - 1], &flipped, b"hello\n"] {
            folder.write(file, bad, 0o600);
            folder.vault(&format!("get x {choice}")).fails(6, &[file, "is not a key file, or is damaged"]);
        }
        folder.write(file, good, 0o600);
        assert_eq!(folder.vault(&format!("get x {choice}")).quiet().text(), "s3cret");
    }
}

#[test]
fn a_passphrase_comes_from_a_descriptor_without_its_newline() {
    let folder = Folder::new();
    folder.write("pass", b"two words\n", 0o600);
    folder.write("bare", b"two words", 0o600);
    folder.write("crooked", b"two words\n\n", 0o600);
    let made = folder.shell(r#""$BIN" init --dir vault --passphrase-fd 3 3<pass"#).quiet();
    assert_eq!(made.text(), "made a store in vault\n");
    folder.shell(r#"printf s3cret | "$BIN" create x --dir vault --passphrase-fd 9 9<bare"#).quiet();
    let piped = folder.shell(r#"printf 'two words\n' | "$BIN" get x --dir vault --passphrase-fd 0"#).quiet();
    assert_eq!(piped.text(), "s3cret");
    folder.shell(r#""$BIN" get x --dir vault --passphrase-fd 3 3<crooked"#).fails(6, &["hint", "passphrase"]);
    folder.shell(r#""$BIN" get x --dir vault --passphrase-fd 3 3</dev/null"#).fails(6, &["passphrase"]);
    folder.shell(r#""$BIN" get x --dir vault --passphrase-fd 3 3</dev/zero"#).fails(6, &["passphrase", "too long"]);
    folder.shell(r#""$BIN" get x --dir vault --passphrase-fd 3 3<&-"#).fails(6, &["passphrase cannot be read"]);
    folder.shell(r#"printf '\377' | "$BIN" get x --dir vault --passphrase-fd 0"#).fails(6, &["passphrase"]);
}

/// The parent may have read from the descriptor already: what is left belongs to the command.
#[test]
fn a_passphrase_is_read_from_where_the_descriptor_stands() {
    let folder = Folder::new();
    folder.write("lines", b"first line\nsecond line", 0o600);
    folder.shell(r#"printf 'second line' | "$BIN" init --dir vault --passphrase-fd 0"#).ok();
    folder.shell(r#"exec 3<lines; read -r first <&3; "$BIN" list --dir vault --passphrase-fd 3"#).quiet();
}

#[test]
fn a_passphrase_that_should_be_asked_for_without_a_terminal_is_a_clear_failure() {
    let folder = opened_by("--passphrase-fd 0");
    // In a session of its own there is no terminal, also where the tests are run on one.
    let asked = folder.shell(r#"setsid -w "$BIN" list --dir vault --passphrase </dev/null"#);
    asked.fails(6, &["passphrase", "terminal", "--passphrase-fd"]);
}

#[test]
fn keys_are_named_by_the_environment_and_two_names_are_one_too_many() {
    let folder = opened_by("--keyring ring");
    folder.run("init --dir other --key-file key").ok();
    let by_environment = |name: &str, value: &str, line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        run(folder.command(&arguments).env(name, value), b"")
    };
    assert_eq!(by_environment("STRONGROOM_KEYRING", "ring", "get x --dir vault").quiet().text(), "s3cret");
    by_environment("STRONGROOM_KEY_FILE", "key", "list --dir other").quiet();
    by_environment("STRONGROOM_KEY_FILE", "key", "list --dir vault").fails(6, &["hint"]);
    let choices = ["--keyring ring", "--key-file key", "--passphrase", "--passphrase-fd 0"];
    for (index, first) in choices.iter().enumerate() {
        for second in &choices[index + 1..] {
            let refused = folder.vault(&format!("list {first} {second}"));
            assert_eq!((refused.code, refused.text()), (Some(2), ""), "{refused:?}");
            assert!(refused.stderr.contains("cannot be used with"), "{refused:?}");
        }
    }
}
