//! Processes that are killed, or whose file may not grow, while they write an audit file.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use strongroom::{AuditFile, AuditFileOptions, DescribeSecretRequest, Observer as _};

use crate::audit_file::{open, records};
use crate::fixture::builder;

const PATH: &str = "STRONGROOM_OBSERVERS_CHILD_PATH";
const CALLS: &str = "STRONGROOM_OBSERVERS_CHILD_CALLS";

/// Makes calls, and says after each one that it has returned. Says in the end what the file says of itself.
#[test]
#[ignore = "a child of other tests"]
fn writer() {
    let path = std::env::var_os(PATH).expect("it is started by another test");
    let calls: u32 = std::env::var(CALLS).unwrap().parse().unwrap();
    let audit = Arc::new(AuditFile::open(path, AuditFileOptions::new()).unwrap());
    let store = builder().observer(Arc::clone(&audit)).open().unwrap();
    let secrets = store.default_secrets_manager();
    for number in 0..calls {
        secrets.describe_secret(DescribeSecretRequest::new(format!("nope{number}"))).unwrap_err();
        eprintln!("returned {number}");
    }
    match audit.failure() {
        Some(failure) => eprintln!("lost {} {}", failure.lost_records, failure.reason),
        None => eprintln!("lost 0"),
    }
}

fn child(path: &Path, calls: u32, limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{limit} exec \"$0\" --ignored --exact --nocapture child::writer"));
    command.arg(std::env::current_exe().unwrap()).env(PATH, path).env(CALLS, calls.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn what_was_acknowledged_before_a_kill_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let record = records(1).remove(0);
    let (mut acknowledged, mut kills) = (0_u64, 0);
    for calls in [1, 7, 40, 150, 400] {
        let mut child = child(&path, u32::MAX, "").spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let returned = lines.map(Result::unwrap).filter(|line| line.starts_with("returned")).take(calls).count();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged += returned as u64;
        kills += 1;
        let audit = open(&path);
        audit.observe(&record);
        acknowledged += 1;
        drop(audit);
        let report = AuditFile::verify(&path, None).unwrap();
        assert_eq!((report.broken, report.lost_records), (None, 0));
        assert!(report.records >= acknowledged, "{} of {acknowledged}", report.records);
    }
    eprintln!("{kills} kills, {acknowledged} acknowledged operations, all in the file");
}

/// The operations go on, the host is told, and whoever goes on with the file sees where it was broken off.
#[test]
fn a_file_that_cannot_grow_loses_records_and_no_operations() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    const CALLS: u32 = 60;
    let output = child(&path, CALLS, "trap '' XFSZ; ulimit -f 8;").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("returned")).count(), CALLS as usize);
    let lost = said.lines().find_map(|line| line.strip_prefix("lost ")).unwrap();
    let (lost, reason) = lost.split_once(' ').expect("something was lost");
    let lost: u32 = lost.parse().unwrap();
    assert!(lost > 0 && lost < CALLS && reason.contains("too large"), "{lost}: {reason}");

    let cut = fs::read(&path).unwrap();
    assert!(!cut.ends_with(b"\n"), "the limit is no end of a line");
    let audit = open(&path);
    audit.observe(&records(1)[0]);
    drop(audit);
    let report = AuditFile::verify(&path, None).unwrap();
    assert_eq!((report.broken, report.torn_lines), (None, 1));
    assert_eq!(report.records, u64::from(CALLS - lost + 1));
    assert!(fs::read(&path).unwrap().starts_with(&cut));
}
