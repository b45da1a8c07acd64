//! Values go in and come out byte for byte, and come from where they may come from.

use crate::fixture::{Folder, command, run};

/// Stores a value and gets it back as bytes.
#[track_caller]
fn goes_round(folder: &Folder, name: &str, options: &str, value: &[u8]) {
    folder.vault_with(&format!("create {name} {options}"), value).quiet();
    assert!(folder.vault(&format!("get {name}")).quiet().stdout == value, "{name}: another value came back");
}

#[test]
fn a_text_comes_back_byte_for_byte() {
    let folder = Folder::with_store();
    let largest = "ä".repeat(32_768);
    let rows: [(&str, &[u8]); 9] = [
        ("plain", b"s3cret"),
        ("newline-at-the-end", b"s3cret\n"),
        ("newlines", b"\n\na\r\nb\n\n"),
        ("spaces", b"  \t "),
        ("nul", b"a\0b"),
        ("unicode", "pässwörd \u{1f511}\u{feff}".as_bytes()),
        ("terminal", b"\x1b[31mred\x07"),
        ("like-an-option", b"--help"),
        ("largest", largest.as_bytes()),
    ];
    for (name, value) in rows {
        goes_round(&folder, name, "", value);
    }
    folder.vault_with("put plain --value-file -", b"again\n").quiet();
    assert_eq!(folder.vault("get plain").quiet().stdout, b"again\n");
}

#[test]
fn bytes_come_back_byte_for_byte() {
    let folder = Folder::with_store();
    let every_byte: Vec<u8> = (0..=255).collect();
    goes_round(&folder, "every-byte", "--binary", &every_byte);
    goes_round(&folder, "largest", "--binary", &every_byte.repeat(256));
    goes_round(&folder, "text", "--binary", b"text\n");
    let text = folder.vault("get text --json").quiet().json();
    assert!(text.get("SecretString").is_none() && text["SecretBinary"] == "dGV4dAo=", "{text}");
}

#[test]
fn a_value_that_cannot_be_stored_is_refused_and_nothing_is_made() {
    let folder = Folder::with_store();
    let rows: [(&str, &[u8], &[&str]); 7] = [
        ("create x", &[b'a'; 65_537], &["65536"]),
        ("create x --binary", &[0; 65_537], &["65536"]),
        ("create x", &[b'a'; 1_000_000], &["65536"]),
        ("create x", b"caf\xe9", &["UTF-8", "hint", "--binary"]),
        ("create x", b"half \xed\xa0\x80", &["UTF-8"]),
        ("create x", b"", &["secretString"]),
        ("create x --binary", b"", &["secretBinary"]),
    ];
    for (line, value, named) in rows {
        folder.vault_with(line, value).fails(5, named);
    }
    folder.vault("describe x").fails(3, &[]);
}

#[test]
fn a_value_can_come_from_a_file() {
    let folder = Folder::with_store();
    folder.write("value", b"from a file\n", 0o600);
    folder.write("large", vec![7; 65_537], 0o600);
    folder.vault_with("create x --value-file value", b"not this").quiet();
    assert_eq!(folder.vault("get x").quiet().text(), "from a file\n");
    folder.vault("put x --value-file large --binary").fails(5, &["large", "65536"]);
    folder.vault("put x --value-file absent").fails(1, &["absent", "No such file"]);
    folder.vault("put x --value-file .").fails(1, &[".", "directory"]);
    let endless = folder.vault("put x --binary --value-file /dev/zero");
    endless.fails(5, &["/dev/zero", "65536"]);
    assert_eq!(folder.vault("get x").quiet().text(), "from a file\n");
}

#[test]
fn a_value_is_no_argument_unless_that_is_asked_for_twice() {
    let folder = Folder::with_store();
    for line in ["create x --value canary", "create x canary", "create x --insecure-value-argument"] {
        let refused = folder.vault(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
    }
    assert!(folder.vault("create x --value canary").stderr.contains("--insecure-value-argument"));
    let both = folder.vault("create x --value a --insecure-value-argument --value-file b");
    assert_eq!(both.code, Some(2), "{both:?}");
    folder.vault("get x").fails(3, &[]);
    folder.vault_with("create x --value canary --insecure-value-argument", b"not this").quiet();
    assert_eq!(folder.vault("get x").quiet().text(), "canary");
    let none = folder.vault("create y --no-value --binary");
    assert_eq!(none.code, Some(2), "{none:?}");
}

/// A secret is copied, and a new one made, by what anybody would type.
#[test]
fn commands_can_be_joined_by_pipes() {
    let folder = Folder::with_store();
    folder.vault_with("create old", b"s3cret").quiet();
    for round in 0..5 {
        let script = format!(r#""$BIN" get old --dir vault | "$BIN" create new-{round} --dir vault"#);
        folder.shell(&script).quiet();
        assert_eq!(folder.vault(&format!("get new-{round}")).quiet().text(), "s3cret");
    }
    let made = r#""$BIN" random-password --length 20 | "$BIN" create made --dir vault"#;
    folder.shell(made).quiet();
    let password = folder.vault("get made").quiet();
    assert_eq!(password.text().len(), 20, "the password and nothing else: {:?}", password.text());
}

/// Runs a command on a terminal, with lines that are typed there. `None` if this machine cannot.
fn on_a_terminal(folder: &Folder, line: &str, typed: &[u8]) -> Option<String> {
    let has_script = run(command("sh").args(["-c", "script --version"]), b"");
    if !has_script.text().contains("util-linux") {
        eprintln!("skipped: there is no `script` of util-linux to make a terminal with");
        return None;
    }
    let done = run(
        command("script")
            .args(["-qec", &format!("{} {line}", crate::fixture::BINARY), "/dev/null"])
            .current_dir(folder.path()),
        typed,
    );
    Some(format!("{}code {}", done.text(), done.code.unwrap()))
}

#[test]
fn a_value_that_is_shown_on_a_terminal_comes_with_a_warning() {
    let folder = Folder::with_store();
    folder.vault_with("create x", b"s3cret").quiet();
    folder.vault_with("create bytes --binary", b"\0\x1b[31m").quiet();
    let Some(shown) = on_a_terminal(&folder, "get x --dir vault", b"") else { return };
    assert!(shown.contains("warning") && shown.contains("s3cret\r\n") && shown.ends_with("code 0"), "{shown:?}");
    let shown = on_a_terminal(&folder, "get bytes --dir vault", b"").unwrap();
    assert!(!shown.contains('\0') && shown.contains("binary") && shown.ends_with("code 5"), "{shown:?}");
    let shown = on_a_terminal(&folder, "list --dir vault", b"").unwrap();
    assert!(!shown.contains("warning") && shown.contains("bytes") && shown.ends_with("code 0"), "{shown:?}");
}

#[test]
fn a_value_that_is_typed_is_not_shown() {
    let folder = Folder::with_store();
    let Some(shown) = on_a_terminal(&folder, "create x --dir vault", b"typed-canary\n") else { return };
    assert!(shown.contains("Value: ") && shown.ends_with("code 0"), "{shown:?}");
    // What was typed before the command turned the echo off is shown by the terminal itself.
    let after_the_prompt = shown.split("Value: ").nth(1).unwrap();
    assert!(!after_the_prompt.contains("typed-canary"), "{shown:?}");
    assert_eq!(folder.vault("get x").quiet().text(), "typed-canary");
}

#[test]
fn what_others_have_written_does_not_command_the_terminal() {
    let folder = Folder::with_store();
    let evil = "calm\u{1b}]0;owned\u{7}\u{9b}31m\u{8}";
    folder.arguments(&["create", "x", "--dir", "vault", "--description", evil, "--tag", &format!("k={evil}")], b"v");
    for line in ["describe x --dir vault", "list --dir vault"] {
        let Some(shown) = on_a_terminal(&folder, line, b"") else { return };
        assert!(shown.contains("calm"), "{line}: {shown:?}");
        let is_command = |c: char| matches!(c, '\u{7}' | '\u{8}' | '\u{9b}') || shown.contains("\u{1b}]0;");
        assert!(!shown.contains(is_command), "{line}: {shown:?}");
    }
}
