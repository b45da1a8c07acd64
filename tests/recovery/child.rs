//! Child processes that do one piece of work and may be killed in the middle of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::stores::builder;

const JOB: &str = "STRONGROOM_TEST_JOB";
const PLACE: &str = "STRONGROOM_TEST_PLACE";

/// Rounds of each kill loop, unless `STRONGROOM_RECOVERY_KILLS` says otherwise.
pub(crate) fn rounds() -> u64 {
    env::var("STRONGROOM_RECOVERY_KILLS").map_or(12, |text| text.parse().unwrap())
}

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(job) = env::var(JOB) else { return };
    let place = PathBuf::from(env::var(PLACE).unwrap());
    match job.as_str() {
        "compact" => drop(builder(&place.join("store")).compact(&mut |_| {})),
        "restore" => drop(builder(&place.join("store")).restore(place.join("backup"), &mut |_| {})),
        other => panic!("no such job: {other}"),
    }
}

fn start(job: &str, place: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child::entry", "--ignored", "--test-threads=1"]);
    command.env(JOB, job).env(PLACE, place).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How long a job takes when nobody kills it: the range in which kills are of interest.
pub(crate) fn looks_of_a_whole_job(job: &str, place: &Path) -> u64 {
    let mut child = start(job, place);
    let mut looks = 0;
    while child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_micros(500));
        looks += 1;
    }
    looks
}

/// Starts a job and kills it after so many looks.
pub(crate) fn kill_after(job: &str, place: &Path, looks: u64) {
    let mut child = start(job, place);
    for _ in 0..looks {
        thread::sleep(Duration::from_micros(500));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
