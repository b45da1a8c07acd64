//! A folder for stores, and the command run in it to its end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");

/// Longest that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// A command that knows nothing of the tester's own environment.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STRONGROOM_") {
            command.env_remove(name);
        }
    }
    command.env_remove("COLUMNS").env("BIN", BINARY);
    command
}

/// Waits for the end of a process, and fails instead of hanging.
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if waited > PATIENCE {
            child.kill().unwrap();
            panic!("process {} did not end", child.id());
        }
        thread::sleep(POLL);
        waited += POLL;
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !is_so() {
        assert!(waited < PATIENCE, "{what} did not happen");
        thread::sleep(POLL);
        waited += POLL;
    }
}

/// What a finished command has left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It worked.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It worked, and had nothing to say about it but on standard output.
    #[track_caller]
    pub(crate) fn quiet(self) -> Self {
        let done = self.ok();
        assert_eq!(done.stderr, "");
        done
    }

    /// It failed with this code, printed nothing, and its message names everything in `named`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.text(), "", "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        for name in named {
            assert!(self.stderr.contains(name), "`{name}` is missing: {self:?}");
        }
    }
}

/// Runs a command to its end with something on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its input closes the pipe early.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let done = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Outcome { code: done.status.code(), stdout: done.stdout, stderr: String::from_utf8(done.stderr).unwrap() }
}

/// A folder of its own, in which commands run, so that paths can be short names.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a store `vault` and its keyring `vault.keyring`.
    pub(crate) fn with_store() -> Self {
        let folder = Self::new();
        folder.run("init --dir vault").ok();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(BINARY);
        command.args(arguments).current_dir(self.path());
        command
    }

    /// Runs the command with arguments that are separated by spaces, and nothing on standard input.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.run_with(line, b"")
    }

    pub(crate) fn run_with(&self, line: &str, input: &[u8]) -> Outcome {
        self.arguments(&line.split_whitespace().collect::<Vec<_>>(), input)
    }

    pub(crate) fn arguments(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        run(&mut self.command(arguments), input)
    }

    /// Runs the command on the store `vault`.
    pub(crate) fn vault(&self, line: &str) -> Outcome {
        self.vault_with(line, b"")
    }

    pub(crate) fn vault_with(&self, line: &str, input: &[u8]) -> Outcome {
        self.run_with(&format!("{line} --dir vault"), input)
    }

    /// Runs a script of the shell, in which `$BIN` is the command.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        run(command("sh").args(["-c", script]).current_dir(self.path()), b"")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.join(name), bytes).unwrap();
        self.set_mode(name, mode);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(self.join(name)).unwrap().permissions().mode() & 0o7777
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.join(name).symlink_metadata().is_ok()
    }

    /// Every file of the folder with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut rest = vec![self.path().to_owned()];
        while let Some(path) = rest.pop() {
            for entry in fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    rest.push(path);
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
                    files.insert(path, target);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path, bytes);
                }
            }
        }
        files
    }
}

/// Whether the bytes of one are somewhere in the other.
pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
