//! Audit files that somebody has been at, as our verifier and an independent one see them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use strongroom::{AuditBreakKind as K, AuditFile, AuditHash, AuditReport, Observer as _};

use crate::audit_file::{open, put, records, written};

const RECORDS: usize = 10;

/// What the independent script says of a file. `None` if there is no Python.
fn script(path: &Path, head: Option<AuditHash>) -> Option<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/format/audit_file.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(path);
    if let Some(head) = head {
        command.arg("--expect-head").arg(head.to_string());
    }
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no python3");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn as_json(report: &AuditReport) -> Value {
    json!({
        "records": report.records,
        "lost_records": report.lost_records,
        "torn_lines": report.torn_lines,
        "head": report.head.map(|head| head.to_string()),
        "broken": report.broken.map(|broken| json!([broken.line, broken.kind.as_str()])),
    })
}

/// The lines, without their ends.
fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

/// Computes the hashes of lines anew, from one of them on up to another, as somebody could who knows how.
fn rehashed(mut lines: Vec<Vec<u8>>, from: usize, to: usize) -> Vec<Vec<u8>> {
    for at in from..to {
        let previous = String::from_utf8(lines[at - 1].clone()).unwrap();
        let previous = &previous[previous.len() - 66..previous.len() - 2];
        let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&previous[2 * at..2 * at + 2], 16).unwrap()).collect();
        let length = lines[at].len();
        let body = lines[at][..length - 75].to_vec();
        let mut hash = Context::new(&SHA256);
        hash.update(&bytes);
        hash.update(&body);
        let hash: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        lines[at] = [body.as_slice(), b",\"hash\":\"", hash.as_bytes(), b"\"}"].concat();
    }
    lines
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

/// What was done, what the file is then, and where it is seen.
type Row = (&'static str, Vec<u8>, Option<(u64, K)>);

fn rows(file: &[u8]) -> Vec<Row> {
    let original = lines(file);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = original.clone();
        change(&mut lines);
        joined(&lines)
    };
    // Line 5 of the file is the entry 4 of the list.
    vec![
        ("nothing", file.to_vec(), None),
        ("a name is changed", with(&|lines| lines[4] = replaced(&lines[4], "\"s3\"", "\"s7\"")), Some((5, K::Changed))),
        (
            "a blank is put in",
            with(&|lines| lines[4] = replaced(&lines[4], ",\"event", ", \"event")),
            Some((5, K::Changed)),
        ),
        (
            "its hash is changed",
            with(&|lines| {
                let at = lines[4].len() - 3;
                lines[4][at] = if lines[4][at] == b'0' { b'1' } else { b'0' };
            }),
            Some((5, K::Changed)),
        ),
        (
            "a line is changed, and its hash with it",
            with(&|lines| {
                lines[4] = replaced(&lines[4], "\"s3\"", "\"s7\"");
                *lines = rehashed(lines.clone(), 4, 5);
            }),
            Some((6, K::Changed)),
        ),
        ("a line is removed", with(&|lines| drop(lines.remove(4))), Some((5, K::Removed))),
        ("three lines are removed", with(&|lines| drop(lines.drain(4..7))), Some((5, K::Removed))),
        ("the first record is removed", with(&|lines| drop(lines.remove(1))), Some((2, K::Removed))),
        ("two lines are exchanged", with(&|lines| lines.swap(4, 5)), Some((5, K::Reordered))),
        ("a line stands twice", with(&|lines| lines.insert(5, lines[4].clone())), Some((6, K::Reordered))),
        (
            "a line is moved up",
            with(&|lines| {
                let line = lines.remove(9);
                lines.insert(4, line);
            }),
            Some((5, K::Reordered)),
        ),
        ("a text is put in", with(&|lines| lines.insert(4, b"hello".to_vec())), Some((5, K::Foreign))),
        ("an empty line is put in", with(&|lines| lines.insert(4, Vec::new())), Some((5, K::Foreign))),
        ("an empty line is at the end", with(&|lines| lines.push(Vec::new())), Some((12, K::Foreign))),
        ("a line is emptied", with(&|lines| lines[4].clear()), Some((5, K::Foreign))),
        ("a line is cut short", with(&|lines| lines[4].truncate(200)), Some((5, K::Foreign))),
        ("a line has no end", with(&|lines| lines[4] = vec![b'x'; 3_000_000]), Some((5, K::Foreign))),
        (
            "a line and its end are zeros",
            with(&|lines| {
                let zeros = vec![0; lines[4].len() + 1];
                lines[5].splice(0..0, zeros);
                lines.remove(4);
            }),
            Some((5, K::Foreign)),
        ),
        ("the file is cut in the last line", file[..file.len() - 100].to_vec(), Some((11, K::Torn))),
        ("the end of the last line is cut off", file[..file.len() - 1].to_vec(), Some((11, K::Torn))),
        (
            "the file is cut in the middle",
            [joined(&original[..4]).as_slice(), &original[4][..50]].concat(),
            Some((5, K::Torn)),
        ),
        ("the first line is removed", with(&|lines| drop(lines.remove(0))), Some((1, K::NotAnAuditFile))),
        (
            "the first line is changed",
            with(&|lines| lines[0] = replaced(&lines[0], "audit", "Audit")),
            Some((1, K::NotAnAuditFile)),
        ),
        ("everything is removed", Vec::new(), Some((1, K::NotAnAuditFile))),
        (
            "the ends of lines are those of another system",
            original.iter().flat_map(|line| [line.as_slice(), b"\r\n"].concat()).collect(),
            Some((1, K::NotAnAuditFile)),
        ),
        // What the chain alone does not tell.
        ("the last line is removed", with(&|lines| drop(lines.pop())), None),
        (
            "everything from a change on is written anew",
            with(&|lines| {
                lines[4] = replaced(&lines[4], "\"s3\"", "\"s7\"");
                *lines = rehashed(lines.clone(), 4, RECORDS + 1);
            }),
            None,
        ),
        (
            "a record is put in, and everything behind it written anew",
            with(&|lines| {
                lines.insert(5, lines[4].clone());
                for (at, line) in lines.iter_mut().enumerate().skip(5) {
                    *line = replaced(line, &format!("{{\"sequence\":{},", at - 1), &format!("{{\"sequence\":{at},"));
                }
                *lines = rehashed(lines.clone(), 5, RECORDS + 2);
            }),
            None,
        ),
    ]
}

#[test]
fn every_manipulation_is_found_at_its_line_and_an_independent_verifier_agrees() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let file = written(&path, RECORDS);
    let head = AuditFile::verify(&path, None).unwrap().head.unwrap();
    let (mut found, mut agreed) = (0, 0);
    for (what, bytes, expected) in rows(&file) {
        put(&path, &bytes);
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        // Without knowing the newest hash, and with it.
        let missing = (bytes != file).then_some((lines + 1, K::HeadMissing));
        for (head, expected) in [(None, expected), (Some(head), expected.or(missing))] {
            let report = AuditFile::verify(&path, head).unwrap();
            let broken = report.broken.map(|broken| (broken.line, broken.kind));
            assert_eq!(broken, expected, "{what}, head {head:?}");
            found += usize::from(broken.is_some());
            if let Some(said) = script(&path, head) {
                assert_eq!(said, as_json(&report), "{what}, head {head:?}");
                agreed += 1;
            }
        }
    }
    eprintln!("{found} manipulations found, {agreed} times the script agreed");
    assert!(found >= 50);
}

/// A torn line, and the line that tells of it, are part of the chain too.
#[test]
fn what_a_crash_has_left_cannot_be_changed_either() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let file = written(&path, 3);
    put(&path, &file[..file.len() - 40]);
    let audit = open(&path);
    for record in records(2) {
        audit.observe(&record);
    }
    drop(audit);
    // Line 4 is torn, line 5 tells of it.
    let whole = fs::read(&path).unwrap();
    let original = lines(&whole);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = original.clone();
        change(&mut lines);
        joined(&lines)
    };
    let rows: [Row; 7] = [
        ("nothing", whole.clone(), None),
        (
            "the torn line is changed",
            with(&|lines| lines[3] = replaced(&lines[3], "\"s2\"", "\"s1\"")),
            Some((4, K::Foreign)),
        ),
        ("the torn line is removed", with(&|lines| drop(lines.remove(3))), Some((4, K::Removed))),
        ("a second one is put in", with(&|lines| lines.insert(4, b"x".to_vec())), Some((4, K::Foreign))),
        ("the line that tells of it is removed", with(&|lines| drop(lines.remove(4))), Some((4, K::Foreign))),
        (
            "it tells of lost records",
            with(&|lines| lines[4] = replaced(&lines[4], "Records\":0", "Records\":9")),
            Some((4, K::Foreign)),
        ),
        (
            "a later line is changed",
            with(&|lines| lines[6] = replaced(&lines[6], "\"s1\"", "\"s2\"")),
            Some((7, K::Changed)),
        ),
    ];
    for (what, bytes, expected) in rows {
        put(&path, &bytes);
        let report = AuditFile::verify(&path, None).unwrap();
        assert_eq!(report.broken.map(|broken| (broken.line, broken.kind)), expected, "{what}");
        if let Some(said) = script(&path, None) {
            assert_eq!(said, as_json(&report), "{what}");
        }
    }
}

#[test]
fn a_change_of_any_byte_is_found_in_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let file = written(&path, 4);
    let (mut tried, mut agreed) = (0, 0);
    for at in 0..file.len() {
        let line = 1 + file[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        for byte in [file[at] ^ 1, b'\n', 0xff] {
            if byte == file[at] {
                continue;
            }
            let mut changed = file.clone();
            changed[at] = byte;
            put(&path, &changed);
            let report = AuditFile::verify(&path, None).unwrap();
            assert_eq!(report.broken.map(|broken| broken.line), Some(line), "byte {at} is {byte}");
            tried += 1;
            if tried % 401 == 0
                && let Some(said) = script(&path, None)
            {
                assert_eq!(said, as_json(&report), "byte {at} is {byte}");
                agreed += 1;
            }
        }
    }
    eprintln!("{tried} changed bytes found, {agreed} times the script agreed");
}
