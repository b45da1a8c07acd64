//! A child process that changes replicated secrets until it is killed.

use std::env;
use std::path::{Path, PathBuf};

use crate::process::Running;
pub(crate) use crate::process::say;

const PLACE: &str = "STRONGROOM_REPLICATION_TEST_PLACE";
const SEED: &str = "STRONGROOM_REPLICATION_TEST_SEED";

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(place) = env::var(PLACE) else { return };
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    crate::kill::write_until_killed(&PathBuf::from(place), seed);
}

pub(crate) fn start(place: &Path, seed: u64) -> Running {
    let mut command = crate::process::command();
    command.env(PLACE, place).env(SEED, seed.to_string());
    Running::start(command)
}
