//! Child processes: this test binary once more, with a job of its own.
//!
//! A child talks to its parent in lines on its standard output.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::kill;

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
        "write and follow" => kill::write_and_follow(&place, seed),
        "follow" => kill::follow(&place),
        other => panic!("no such job: {other}"),
    }
}

/// Tells the parent something, in one piece.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{MARK}{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A child at work.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(job: &str, place: &Path, seed: u64) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "child::entry", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(JOB, job).env(PLACE, place).env(SEED, seed.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
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
}
