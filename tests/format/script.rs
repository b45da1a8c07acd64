//! Runs the independent script, where there is a Python with the package `cryptography`.

use std::process::Command;

use crate::fixture::path;

/// What the script says, or `None` if it cannot be run here.
fn run(arguments: &[&str]) -> Option<String> {
    let imported = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !imported.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no python3 with the package `cryptography`");
        return None;
    }
    // No `__pycache__` in the tree.
    let script = path("vectors.py");
    let output = Command::new("python3").arg("-B").arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

#[test]
fn the_script_decrypts_every_record_of_the_golden_store() {
    let golden = path("v1/golden.json");
    let Some(said) = run(&["--verify-golden", golden.to_str().unwrap()]) else { return };
    let summary = "13 secrets, 120 values, 122 wrapped data keys, 2 purge, 1 remove versions\nas expected\n";
    assert!(said.ends_with(summary), "{said}");
}

#[test]
fn the_script_still_gives_the_vectors_that_are_stored() {
    run(&["--check"]);
}
