//! Child processes that change a store, or follow one.

use std::env;
use std::path::{Path, PathBuf};

use crate::kill;
use crate::process::Running;
pub(crate) use crate::process::say;

const JOB: &str = "STRONGROOM_TEST_JOB";
const PLACE: &str = "STRONGROOM_TEST_PLACE";
const SEED: &str = "STRONGROOM_TEST_SEED";

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(job) = env::var(JOB) else { return };
    let place = PathBuf::from(env::var(PLACE).unwrap());
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    match job.as_str() {
        "write and follow" => kill::write_and_follow(&place, seed),
        "follow" => kill::follow(&place),
        other => panic!("no such job: {other}"),
    }
}

pub(crate) fn start(job: &str, place: &Path, seed: u64) -> Running {
    let mut command = crate::process::command();
    command.env(JOB, job).env(PLACE, place).env(SEED, seed.to_string());
    Running::start(command)
}
