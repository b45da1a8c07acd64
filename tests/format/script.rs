//! Runs the independent script, where there is a Python with the package `cryptography`.

use std::fs;
use std::process::Command;

use crate::anchor::Place;
use crate::fixture::{Dump, Hex, PROVIDER_KEY, Record, Records, path, read, sled};
use crate::insider::Insider;

/// What the script says on success or what it says on failure, or `None` if it cannot be run here.
pub(crate) fn run(arguments: &[&str]) -> Option<Result<String, String>> {
    let imported = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !imported.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no python3 with the package `cryptography`");
        return None;
    }
    // No `__pycache__` in the tree.
    let script = path("vectors.py");
    let output = Command::new("python3").arg("-B").arg(script).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

#[test]
fn the_script_decrypts_every_record_of_the_golden_store() {
    let golden = path("v1/golden.json");
    let Some(said) = run(&["--verify-golden", golden.to_str().unwrap()]) else { return };
    let said = said.unwrap();
    let summary = "171 records, 25 secrets, 137 values, 139 wrapped data keys, 2 purge, 1 remove versions, 6 rotate, 0 replicate, 0 jobs, \
         171 of generation 1\nas expected\n";
    assert!(said.ends_with(summary), "{said}");
}

/// Every record reads as before, and one was sealed anew: only the set hash tells.
#[test]
fn the_script_adds_up_the_records_of_a_store() {
    let golden: Dump = read("v1/golden.json");
    let records: Records = golden.records.into_iter().map(|Record { key, value }| (key.0, value.0)).collect();
    let (insider, secret) = (Insider::of(&records), records.keys().find(|key| key[0] == b's').unwrap().clone());
    let mut changed = records.clone();
    let plain = insider.open(&records, &secret);
    changed.insert(secret.clone(), insider.replace(&records, &secret, &plain));
    let directory = tempfile::tempdir().unwrap();
    let (file, expected) = (directory.path().join("changed.json"), path("v1/expected.json"));
    for (records, is_right) in [(records, true), (changed, false)] {
        let records = records.into_iter().map(|(key, value)| Record { key: Hex(key), value: Hex(value) }).collect();
        let dump = Dump { provider_key: Hex(PROVIDER_KEY.to_vec()), records };
        fs::write(&file, serde_json::to_string(&dump).unwrap()).unwrap();
        let arguments = ["--verify-golden", file.to_str().unwrap(), "--expected", expected.to_str().unwrap()];
        match run(&arguments) {
            None => return,
            Some(Ok(_)) => assert!(is_right, "not noticed"),
            Some(Err(said)) => {
                assert!(!is_right, "{said}");
                assert_eq!(said, "refused: the set hash in the head is not that of the records\n");
            }
        }
    }
}

#[test]
fn the_script_reads_header_anchor_and_seal_of_a_closed_store() {
    let place = Place::closed(4);
    let (directory, key) = (place.path(), Hex(PROVIDER_KEY.to_vec()).to_string());
    let verify = || run(&["--verify-closed", directory.to_str().unwrap(), "--key", &key]);
    let Some(said) = verify() else { return };
    assert_eq!(said.unwrap(), "closed at commit 4, 4 was acknowledged, 3 files as they were sealed\n");
    let log = sled(&directory).join("db");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, bytes).unwrap();
    assert_eq!(verify().unwrap().unwrap_err(), "refused: db is not the file that was sealed\n");
}

#[test]
fn the_script_still_gives_the_vectors_that_are_stored() {
    let Some(said) = run(&["--check"]) else { return };
    said.unwrap();
}
