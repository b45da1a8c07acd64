//! Child processes with an operation on keys to do.

use std::env;
use std::path::{Path, PathBuf};

use crate::kills;
use crate::process::Running;
pub(crate) use crate::process::say;

const JOB: &str = "STRONGROOM_TEST_JOB";
const PLACE: &str = "STRONGROOM_TEST_PLACE";

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(job) = env::var(JOB) else { return };
    kills::work(&PathBuf::from(env::var(PLACE).unwrap()), &job);
}

pub(crate) fn start(job: &str, place: &Path) -> Running {
    let mut command = crate::process::command();
    command.env(JOB, job).env(PLACE, place);
    Running::start(command)
}
