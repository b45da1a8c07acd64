//! Child processes: this test binary once more, with a job of its own.
//!
//! A child talks to its parent in lines on its standard output, and stops when its standard input ends.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use strongroom::{Builder, LocalKeyring, SecretStore};

use crate::{damage, directory, disk_full, holders, kill};

const JOB: &str = "STRONGROOM_TEST_JOB";
const PLACE: &str = "STRONGROOM_TEST_PLACE";
const SEED: &str = "STRONGROOM_TEST_SEED";

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a child marks its lines among those of the test harness.
const MARK: char = '@';

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
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child::entry", "--ignored", "--nocapture", "--test-threads=1"]);
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

/// Tells the parent something, in one piece.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{MARK}{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Waits until the parent has had enough of this child.
pub(crate) fn await_end_of_input() {
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A child at work.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            // A line without an end was cut by the kill: nobody was told what it would have said.
            while output.read_line(&mut line).unwrap_or(0) > 0 && line.ends_with('\n') {
                if let Some(said) = line.trim_end_matches('\n').strip_prefix(MARK)
                    && send.send(said.to_owned()).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Self { child, lines }
    }

    /// The next line, which must come.
    pub(crate) fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the child said nothing more")
    }

    /// Kills the child and gives what it had said and nobody had heard yet.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Ends the child's input and waits for it.
    pub(crate) fn finish(mut self) -> (Vec<String>, ExitStatus) {
        drop(self.child.stdin.take());
        let said = self.lines.iter().collect();
        (said, self.child.wait().unwrap())
    }

    /// As [`finish`](Self::finish), but kills a child that says nothing for so long. `None`: it had to be killed.
    pub(crate) fn finish_within(mut self, patience: Duration) -> Option<Vec<String>> {
        drop(self.child.stdin.take());
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    self.child.wait().unwrap();
                    return Some(said);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    self.child.wait().unwrap();
                    return None;
                }
            }
        }
    }
}
