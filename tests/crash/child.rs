//! Child processes with jobs of their own, which stop when their standard input ends.

use std::env;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom::{Builder, LocalKeyring, SecretStore};

pub(crate) use crate::process::{Running, say};
use crate::{damage, directory, disk_full, holders, kill};

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
        "write" => kill::write_until_killed(&place, seed),
        "write once" => kill::write_once(&place),
        "hold" => directory::hold(&place),
        "write and hold" => holders::write_and_hold(&place, seed),
        "fill" => directory::fill(&place),
        "fill disk" => disk_full::fill(&place),
        "power" => crate::power::job(&place, seed),
        "read damaged" => damage::read(&place, usize::try_from(seed).unwrap()),
        "read engine" => damage::read_engine(),
        "salvage" => damage::salvage(&place, usize::try_from(seed).unwrap()),
        other => panic!("no such job: {other}"),
    }
}

/// A directory for a store and, beside it, its key file.
pub(crate) fn store_in(place: &Path) -> PathBuf {
    place.join("store")
}

/// The store of a place, under the key file beside it.
pub(crate) fn builder(place: &Path) -> Builder {
    let keyring = LocalKeyring::open_or_create(place.join("keys")).expect("the key file opens");
    SecretStore::builder(store_in(place)).key_provider(keyring)
}

/// A command that does a job in a child process.
pub(crate) fn command(job: &str, place: &Path, seed: u64) -> Command {
    let mut command = crate::process::command();
    set_job(&mut command, job, place, seed);
    command
}

/// As [`command`], with every permission that the child asks for granted.
pub(crate) fn command_without_umask(job: &str, place: &Path, seed: u64) -> Command {
    let plain = command(job, place, seed);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    set_job(&mut command, job, place, seed);
    command
}

fn set_job(command: &mut Command, job: &str, place: &Path, seed: u64) {
    command.env(JOB, job).env(PLACE, place).env(SEED, seed.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
}

/// Waits until the parent has had enough of this child.
pub(crate) fn await_end_of_input() {
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
