//! The audit file: what is in it, who may open it, and how it is gone on with.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::{
    AuditBreakKind, AuditFile, AuditFileOptions, AuditRecord, CreateSecretRequest, DescribeSecretRequest, ErrorKind,
    Observer as _,
};

use crate::fixture::{Seen, observed_by};

pub(crate) fn open(path: &Path) -> AuditFile {
    AuditFile::open(path, AuditFileOptions::new()).unwrap()
}

/// Puts a file in the place of another. Writing over one would wait for the disk on some file systems.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

/// Different records, as they come.
pub(crate) fn records(count: usize) -> Vec<AuditRecord> {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    for number in 0..count {
        let request = CreateSecretRequest::new(format!("s{number}")).description("line\nbreak, \"quotes\", \u{1f511}");
        secrets.create_secret(request).unwrap();
    }
    seen.take()
}

/// An audit file with some records.
pub(crate) fn written(path: &Path, count: usize) -> Vec<u8> {
    let file = open(path);
    for record in records(count) {
        file.observe(&record);
    }
    assert_eq!(file.failure(), None);
    drop(file);
    fs::read(path).unwrap()
}

#[test]
fn the_file_has_a_line_of_json_for_every_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let (file, seen) = (Arc::new(open(&path)), Seen::default());
    let store = crate::fixture::builder().observer(Arc::clone(&file)).observer(seen.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string("CANARY")).unwrap();
    secrets.describe_secret(DescribeSecretRequest::new("nope")).unwrap_err();
    // They are there before anything is closed.
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("CANARY"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["sequence"], &lines[0]["format"], &lines[0]["version"]),
        (&json!(0), &json!("strongroom-audit"), &json!(1))
    );
    for ((line, record), sequence) in lines[1..].iter().zip(seen.take()).zip(1..) {
        let mut line = line.as_object().unwrap().clone();
        assert_eq!(line.remove("sequence"), Some(json!(sequence)));
        assert_eq!(line.remove("hash").unwrap().as_str().unwrap().len(), 64);
        assert_eq!(Value::Object(line), serde_json::to_value(&record).unwrap());
    }
    assert_eq!(lines[2]["hash"].as_str().unwrap(), file.head().to_string());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_is_gone_on_with_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let records = records(6);
    let mut heads = Vec::new();
    for (number, record) in (1_u64..).zip(&records) {
        let file = AuditFile::open(&path, AuditFileOptions::new().sync(number.is_multiple_of(2))).unwrap();
        file.observe(record);
        heads.push(file.head());
        assert_eq!((file.failure(), file.path()), (None, path.as_path()));
        // It may be verified while it is open.
        let report = AuditFile::verify(&path, None).unwrap();
        assert_eq!((report.records, report.head, report.broken), (number, heads.last().copied(), None));
    }
    for head in heads {
        assert!(AuditFile::verify(&path, Some(head)).unwrap().is_whole(), "every head that there ever was is there");
        assert_eq!(head.to_string().parse::<strongroom::AuditHash>().unwrap(), head);
    }
}

/// Whatever a crash leaves of the last line, and of the line that says so: nothing that was whole is lost, the file is gone on
/// with, and says how often.
#[test]
fn a_file_that_ends_anywhere_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let (whole, record) = (written(&path, 3), records(1).remove(0));
    let starts: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let mut tried = 0;
    for length in 0..=whole.len() {
        put(&path, &whole[..length]);
        let report = AuditFile::verify(&path, None).unwrap();
        let is_between_lines = starts.contains(&length);
        let lines = starts.iter().filter(|start| **start <= length).count() as u64;
        assert_eq!(report.is_whole(), is_between_lines, "{length}");
        if let Some(broken) = report.broken.filter(|_| lines > 0) {
            assert_eq!((broken.line, broken.kind), (lines + 1, AuditBreakKind::Torn), "{length}");
        }
        // A line of which only its end is missing is whole.
        let lacks_its_end = starts.contains(&(length + 1)) && lines > 0;
        let is_torn = lines > 0 && !is_between_lines && !lacks_its_end;
        let file = open(&path);
        let resumed = fs::read(&path).unwrap();
        assert!(resumed.starts_with(&whole[..length]), "{length}: nothing is taken away");
        drop(file);
        let file = open(&path);
        assert!(fs::read(&path).unwrap() == resumed, "{length}: it is said once");
        file.observe(&record);
        drop(file);
        let report = AuditFile::verify(&path, None).unwrap();
        let kept = lines.saturating_sub(1) + u64::from(lacks_its_end);
        assert_eq!((report.records, report.broken), (kept + 1, None), "{length}");
        assert_eq!((report.torn_lines, report.lost_records), (u64::from(is_torn), 0), "{length}");
        tried += 1;
        // And again, within the line that says so.
        if is_torn && length.is_multiple_of(97) {
            for again in length..resumed.len() {
                put(&path, &resumed[..again]);
                let file = open(&path);
                file.observe(&record);
                drop(file);
                let report = AuditFile::verify(&path, None).unwrap();
                assert_eq!((report.records, report.broken, report.torn_lines), (kept + 1, None, 1), "{length} {again}");
                tried += 1;
            }
        }
    }
    eprintln!("{tried} ends of a file gone on with");
}

#[test]
fn a_file_is_open_once_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let first = open(&path);
    let error = AuditFile::open(&path, AuditFileOptions::new()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyOpen);
    drop(first);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_audit_file_or_not_as_it_was_written_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let whole = written(&at("whole"), 3);
    let text = String::from_utf8(whole.clone()).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let garbage = [whole.clone(), vec![b'x'; 9_000_000]].concat();
    let rows: [(&str, Vec<u8>, ErrorKind); 8] = [
        ("another file", b"root:x:0:0:root:/root:/bin/sh\n".repeat(10).clone(), ErrorKind::Corrupted),
        ("binary", vec![0; 4096], ErrorKind::Corrupted),
        ("the last line changed", text.replacen("\"s2\"", "\"s3\"", 1).into_bytes(), ErrorKind::Corrupted),
        (
            "the last line changed, without its end",
            {
                let mut changed = text.replacen("\"s2\"", "\"s3\"", 1).into_bytes();
                changed.pop();
                changed
            },
            ErrorKind::Corrupted,
        ),
        ("the last but one missing", [&whole[..=ends[1]], &whole[ends[2] + 1..]].concat(), ErrorKind::Corrupted),
        ("the first missing", whole[ends[0] + 1..].to_vec(), ErrorKind::Corrupted),
        ("more garbage than a crash leaves", garbage, ErrorKind::Corrupted),
        (
            "a newer version",
            text.replacen("\"version\":1", "\"version\":2", 1).into_bytes(),
            ErrorKind::UnsupportedFormat { found: 2, newest: 1 },
        ),
    ];
    for (name, bytes, kind) in rows {
        let path = at("refused");
        put(&path, &bytes);
        let error = AuditFile::open(&path, AuditFileOptions::new()).expect_err(name);
        assert_eq!(*error.kind(), kind, "{name}: {error}");
        assert!(fs::read(&path).unwrap() == bytes, "{name}: it was changed");
    }
    symlink(at("whole"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    for name in ["link", "dangling", "pipe", ".", "no/such/directory"] {
        let error = AuditFile::open(at(name), AuditFileOptions::new()).expect_err(name);
        assert_eq!(*error.kind(), ErrorKind::Storage, "{name}: {error}");
    }
    assert!(!at("nowhere").exists());
    for name in ["nowhere", ".", "pipe"] {
        assert_eq!(*AuditFile::verify(at(name), None).expect_err(name).kind(), ErrorKind::Storage);
    }
}

#[test]
fn a_hash_is_sixty_four_digits() {
    let good = "0123456789abcdef".repeat(4);
    assert_eq!(good.parse::<strongroom::AuditHash>().unwrap().to_string(), good);
    assert_eq!(good.to_uppercase().parse::<strongroom::AuditHash>().unwrap().to_string(), good);
    for bad in ["", "00", &good[1..], &format!("{good}0"), &good.replace('a', "g"), &good.replace('a', "é")] {
        assert_eq!(*bad.parse::<strongroom::AuditHash>().unwrap_err().kind(), ErrorKind::Configuration, "{bad}");
    }
}
