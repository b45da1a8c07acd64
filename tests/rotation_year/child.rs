//! Child processes: this test binary once more, with a store on which everything goes on at once.
//!
//! A child talks to its parent in lines on its standard output.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::kills;

const SEED: &str = "STRONGROOM_TEST_SEED";
const PLACE: &str = "STRONGROOM_TEST_PLACE";

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a child marks its lines among those of the test harness.
const MARK: char = '@';

#[test]
#[ignore = "the entry point of child processes; does nothing on its own"]
fn entry() {
    let Ok(seed) = env::var(SEED) else { return };
    kills::work(&PathBuf::from(env::var(PLACE).unwrap()), seed.parse().unwrap());
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
    pub(crate) fn start(place: &Path, seed: u64) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "child::entry", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(SEED, seed.to_string()).env(PLACE, place);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
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

    /// The next line. `None`: the child has come to its end.
    pub(crate) fn hear(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child said nothing for too long"),
        }
    }

    /// Kills the child and gives what it had said and nobody had heard yet.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}
