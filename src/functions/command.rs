//! A rotation function that is a program of this machine.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::envelope::timeout::now;
use crate::functions::event::{cleaned, event};
use crate::store::{RotationCall, RotationError, RotationFunction};

/// As long as the service lets a function run.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Between two looks at whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Bytes of standard error that are kept of its beginning, and as many of its end.
const COMPLAINT_BYTES_MAX: usize = 500;

/// Bytes of standard error that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A [`RotationFunction`] that runs a program once for each step (feature `cli`, on Unix).
///
/// The program gets the event of the service on its standard input, as one JSON object:
///
/// ```json
/// {"Step": "createSecret", "SecretId": "arn:aws:secretsmanager:...", "ClientRequestToken": "...", "RotationToken": "..."}
/// ```
///
/// Exit status 0 is success. With any other, what the program wrote to standard error is the reason: its beginning and its
/// end if it is long, in one line. It is kept with the secret, and must contain no secret. Standard output is thrown away.
///
/// The program reaches the secret through the API of whatever server this process is, and finds it through its environment,
/// which is that of this process with what [`env`](Self::env) adds. `AWS_REGION` and `AWS_DEFAULT_REGION` are the Region of
/// the secret, as in a Lambda function. No shell is involved.
///
/// It runs in a process group of its own. When it ends, or its time is up, whatever is left of the group is killed. A
/// process that has left the group is not waited for.
///
/// ```
/// use std::time::Duration;
/// use strongroom::{CommandFunction, SecretStore, StaticKey};
///
/// let function = CommandFunction::new("/usr/local/libexec/rotate-db")
///     .argument("--verbose")
///     .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:4566")
///     .timeout(Duration::from_secs(60));
/// let store = SecretStore::in_memory()
///     .key_provider(StaticKey::new([7; 32]))
///     .rotation_function("arn:aws:lambda:us-east-1:000000000000:function:rotate-db", function)
///     .open()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct CommandFunction {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    timeout: Duration,
}

impl CommandFunction {
    /// Runs this program. A name without a directory is looked for in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new(), timeout: TIMEOUT }
    }

    /// Adds an argument of the program. Default: none.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable of the program's environment. Of two with the same name the later counts.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long a step may take. Default: 15 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn start(&self, call: &RotationCall) -> io::Result<Running> {
        let region = call.secrets.region();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("AWS_REGION", region).env("AWS_DEFAULT_REGION", region);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        Running::start(&mut command)
    }

    /// Runs the program to its end, or to that of its time.
    fn run(&self, call: &RotationCall) -> Result<(), RotationError> {
        let event = event(call)?;
        let deadline = now().checked_add(self.timeout);
        let failed = |doing: &str, error: &io::Error| RotationError::new(format!("{}: {doing}: {error}", self.name()));
        let mut running = self.start(call).map_err(|error| failed("cannot be started", &error))?;
        let ended = running.work(&event, deadline).map_err(|error| failed("cannot be watched", &error))?;
        let complaint = running.complaint.shown();
        let status = running.end().map_err(|error| failed("cannot be waited for", &error))?;
        let what = match (ended, status.code(), status.signal()) {
            (Ended::Itself, Some(0), _) => return Ok(()),
            (Ended::TimeIsUp, ..) => format!("did not end within {:?} and was killed", self.timeout),
            (Ended::Itself, Some(code), _) => format!("exit status {code}"),
            (Ended::Itself, None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
        };
        let colon = if complaint.is_empty() { "" } else { ": " };
        Err(RotationError::new(format!("{}: {what}{colon}{complaint}", self.name())))
    }

    /// The program in messages.
    fn name(&self) -> String {
        cleaned(self.program.file_name().unwrap_or(self.program.as_os_str()).as_encoded_bytes())
    }
}

/// Without the values of the environment, which may be what the program logs in with.
impl fmt::Debug for CommandFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, arguments, environment, timeout } = self;
        let names: Vec<&OsString> = environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("CommandFunction")
            .field("program", program)
            .field("arguments", arguments)
            .field("environment", &names)
            .field("timeout", timeout)
            .finish()
    }
}

impl RotationFunction for CommandFunction {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        self.run(call)
    }

    /// Whether the program is an executable file.
    fn is_invocable(&self, _: &str) -> bool {
        let is_name =
            self.program.components().count() == 1 && !self.program.as_os_str().as_encoded_bytes().contains(&b'/');
        if !is_name {
            return is_executable(&self.program);
        }
        let set = self.environment.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let path = set.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
        std::env::split_paths(&path).any(|directory| is_executable(&directory.join(&self.program)))
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// How a program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Itself,
    TimeIsUp,
}

/// A program that was started. When this is dropped its process group is killed, and it is waited for.
#[derive(Debug)]
struct Running {
    child: Child,
    /// `None` once everything is written, or the program has closed it.
    stdin: Option<ChildStdin>,
    /// `None` once it is at its end.
    stderr: Option<ChildStderr>,
    complaint: Complaint,
    is_reaped: bool,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let running = Self { child, stdin, stderr, complaint: Complaint::default(), is_reaped: false };
        // Whoever holds the other ends, and for how long, is not for this process to wait for.
        if let Some(stdin) = &running.stdin {
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        if let Some(stderr) = &running.stderr {
            rustix::io::ioctl_fionbio(stderr, true)?;
        }
        Ok(running)
    }

    /// Feeds the program and listens to it until it has ended, or the deadline has come.
    fn work(&mut self, event: &[u8], deadline: Option<Instant>) -> io::Result<Ended> {
        let mut rest = event;
        loop {
            let is_up = deadline.is_some_and(|deadline| deadline <= now());
            if self.has_ended()? {
                // What it wrote before its end is in the pipe; what others go on writing there is not waited for.
                self.listen(Complaint::LAST_READS)?;
                return Ok(Ended::Itself);
            }
            if is_up {
                self.listen(Complaint::LAST_READS)?;
                return Ok(Ended::TimeIsUp);
            }
            self.wait(deadline)?;
            rest = self.feed(rest)?;
            self.listen(1)?;
        }
    }

    /// Whether the program has ended. It is not reaped, so that nobody else can get its number.
    fn has_ended(&self) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default()) else { return Ok(true) };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), look) {
            Ok(status) => Ok(status.is_some()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until there is something to do, and a short while at most.
    fn wait(&self, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map_or(LOOK_EVERY, |deadline| deadline.saturating_duration_since(now()));
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.min(LOOK_EVERY).subsec_nanos().into() };
        let mut watched = Vec::with_capacity(2);
        watched.extend(self.stdin.as_ref().map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        watched.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much as the program takes. One that does not want to know is none that has failed.
    fn feed<'a>(&mut self, rest: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(stdin) = &mut self.stdin else { return Ok(rest) };
        match stdin.write(rest) {
            Ok(written) => {
                let rest = rest.get(written..).unwrap_or_default();
                if rest.is_empty() || written == 0 {
                    self.stdin = None;
                }
                Ok(rest)
            }
            Err(error) if is_temporary(&error) => Ok(rest),
            Err(_) => {
                self.stdin = None;
                Ok(rest)
            }
        }
    }

    /// Reads what there is, a number of times at most.
    fn listen(&mut self, reads: usize) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..reads {
            let Some(stderr) = &mut self.stderr else { return Ok(()) };
            match stderr.read(&mut chunk) {
                Ok(0) => self.stderr = None,
                Ok(length) => self.complaint.add(chunk.get(..length).unwrap_or_default()),
                Err(error) if is_temporary(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Kills what is left of the group, and gives the exit status of the program.
    fn end(mut self) -> io::Result<ExitStatus> {
        self.reap()
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.is_reaped = true;
        if let Some(group) = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default()) {
            // There may be nobody left.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // It may have gone to a group of its own.
        let _ = self.child.kill();
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.reap();
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What a program wrote to standard error: its beginning and its end.
#[derive(Debug, Default)]
struct Complaint {
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    is_cut: bool,
}

impl Complaint {
    /// Reads that empty any pipe, and do not go on for ever if somebody keeps filling it.
    const LAST_READS: usize = 128;

    fn add(&mut self, bytes: &[u8]) {
        let room = COMPLAINT_BYTES_MAX.saturating_sub(self.beginning.len());
        let (first, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.beginning.extend_from_slice(first);
        self.end.extend(rest.get(rest.len().saturating_sub(COMPLAINT_BYTES_MAX)..).unwrap_or_default());
        let surplus = self.end.len().saturating_sub(COMPLAINT_BYTES_MAX);
        self.is_cut |= surplus > 0 || rest.len() > COMPLAINT_BYTES_MAX;
        self.end.drain(..surplus);
    }

    fn shown(&mut self) -> String {
        let end = self.end.make_contiguous();
        if self.is_cut {
            return format!("{} ... {}", cleaned(&self.beginning), cleaned(end));
        }
        cleaned(&[self.beginning.as_slice(), end].concat())
    }
}
