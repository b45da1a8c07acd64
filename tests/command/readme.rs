//! What the README shows is typed as it stands there, and has to print what it says.

use std::fs;
use std::path::Path;

use crate::fixture::{BINARY, Folder, command, run};

/// A command of a transcript, and the lines that it prints on both outputs.
struct Typed {
    line: String,
    printed: Vec<String>,
}

/// The transcripts of one section.
fn transcripts(section: &str) -> Vec<Typed> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let head = format!("\n## {section}\n");
    let (_, rest) = readme.split_once(&head).unwrap_or_else(|| panic!("there is no section {section}"));
    let text = rest.split("\n## ").next().unwrap();
    let mut typed: Vec<Typed> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(line) => typed.push(Typed { line: line.to_owned(), printed: Vec::new() }),
                None if line.is_empty() => {}
                None => typed.last_mut().unwrap().printed.push(line.to_owned()),
            }
        }
    }
    typed
}

/// Whether a line is as it is shown, where `…` stands for anything.
fn is_as_shown(line: &str, shown: &str) -> bool {
    let Some((start, shown)) = shown.split_once('…') else { return line == shown };
    let Some(mut rest) = line.strip_prefix(start) else { return false };
    let (parts, end) = shown.rsplit_once('…').unwrap_or(("", shown));
    for part in parts.split('…') {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(end)
}

#[test]
fn the_transcripts_of_replicas_and_of_a_standby_print_what_they_show() {
    let folder = Folder::with_store();
    let typed = transcripts("Replicas and a standby");
    assert!(typed.len() >= 6, "{} commands", typed.len());
    for Typed { line, printed } in &typed {
        let script = format!("strongroom() {{ \"{BINARY}\" \"$@\"; }}\n{{ {line}\n}} 2>&1");
        let mut shell = command("sh");
        shell.args(["-c", &script]).current_dir(folder.path()).env("STRONGROOM_DIR", "vault");
        let done = run(&mut shell, b"");
        assert_eq!(done.code, Some(0), "{line}: {done:?}");
        let lines: Vec<&str> = done.text().lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let is_same = lines.len() == printed.len()
            && lines.iter().zip(printed).all(|(line, shown)| is_as_shown(line, shown.trim_end()));
        assert!(is_same, "{line}\nprinted {lines:#?}\nis to print {printed:#?}");
    }
    eprintln!("readme: {} commands", typed.len());
}
