//! Child processes with a store on which everything goes on at once.

use std::env;
use std::path::{Path, PathBuf};

use crate::kills;
use crate::process::Running;
pub(crate) use crate::process::say;

const SEED: &str = "STRONGROOM_TEST_SEED";
const PLACE: &str = "STRONGROOM_TEST_PLACE";

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(seed) = env::var(SEED) else { return };
    kills::work(&PathBuf::from(env::var(PLACE).unwrap()), seed.parse().unwrap());
}

pub(crate) fn start(place: &Path, seed: u64) -> Running {
    let mut command = crate::process::command();
    command.env(SEED, seed.to_string()).env(PLACE, place);
    Running::start(command)
}
