//! Child processes of tests: the test binary once more, doing what its `child::entry` says.
//!
//! A child talks to its parent in lines on its standard output.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Far beyond what anything here takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a child marks its lines among those of the test harness.
const MARK: char = '@';

/// This test binary once more, with its `child::entry` alone, and nothing to read.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child::entry", "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
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
        self.hear_if_any().unwrap_or_else(|| panic!("the child said nothing more"))
    }

    /// The next line. `None`: the child has come to its end.
    pub(crate) fn hear_if_any(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the child said nothing for too long"),
        }
    }

    /// Kills the child and gives what it had said and nobody had heard yet.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Ends the child's input, if it has any, waits for the child, and gives what it said.
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
