//! The programs that are compared: how they are built, started, and asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Holds everything in every store of this bench.
const CACHE_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// What SQLite takes if nobody says anything.
const SQLITE_CACHE_BYTES: u64 = 2_000 * 1024;
/// How much of what a program complained about is passed on.
const COMPLAINT_LINES: usize = 8;

/// A program that can be started as often as there are directories.
#[derive(Clone)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    program: Vec<OsString>,
    cache_bytes: u64,
    /// More than so many secrets, or threads that write, make no sense to it.
    pub(crate) secrets_max: usize,
    pub(crate) writers_max: usize,
    pub(crate) bars: Bars,
}

/// Highest ratios of our times to theirs that we set ourselves as a goal.
#[derive(Clone, Copy)]
pub(crate) struct Bars {
    pub(crate) read: Option<f64>,
    pub(crate) write: Option<f64>,
    /// Of sixteen threads.
    pub(crate) crowd: Option<f64>,
}

const NO_BARS: Bars = Bars { read: None, write: None, crowd: None };
const STORES: Bars = Bars { read: Some(0.333), write: Some(1.0), crowd: Some(0.25) };

/// Everybody else's packages.
const PACKAGES: [(&str, Bars); 5] =
    [("sqlcipher", STORES), ("askar", STORES), ("redb", NO_BARS), ("fjall", NO_BARS), ("securestore", NO_BARS)];

impl Contestant {
    fn new(name: &'static str, program: Vec<OsString>, bars: Bars) -> Self {
        let is_one_file = name == "securestore";
        let [secrets_max, writers_max] = if is_one_file { [1_000, 1] } else { [usize::MAX; 2] };
        Self { name, program, cache_bytes: CACHE_BYTES, secrets_max, writers_max, bars }
    }

    /// The two that are in this executable.
    pub(crate) fn own() -> Vec<Self> {
        let executable = std::env::current_exe().expect("this program has a path");
        let own = |name: &'static str| {
            Self::new(name, vec![executable.clone().into(), "--peer".into(), name.into()], NO_BARS)
        };
        vec![own("strongroom"), own("floor")]
    }

    /// All others, or why they are not there.
    pub(crate) fn others() -> Vec<Result<Self, Missing>> {
        PACKAGES.into_iter().map(|(package, bars)| Self::build(package, bars)).collect()
    }

    fn build(package: &'static str, bars: Bars) -> Result<Self, Missing> {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--release", "--locked", "--manifest-path"]).arg(here(package).join("Cargo.toml"));
        build.arg("--target-dir").arg(built());
        eprintln!("building {package}");
        let done = build.stdin(Stdio::null()).output();
        let done = done.map_err(|error| Missing::new(package, &build, &error.to_string()))?;
        if !done.status.success() {
            return Err(Missing::new(package, &build, &String::from_utf8_lossy(&done.stderr)));
        }
        let program = built().join("release").join(format!("peer-{package}{}", std::env::consts::EXE_SUFFIX));
        Ok(Self::new(package, vec![program.into()], bars))
    }

    /// The same with as little cache as SQLite takes if nobody says anything.
    pub(crate) fn with_little_cache(&self) -> Self {
        let name = "sqlcipher with 2 MB of cache";
        Self { name, cache_bytes: SQLITE_CACHE_BYTES, bars: NO_BARS, ..self.clone() }
    }

    /// Starts it on a directory, where it has not opened anything yet.
    pub(crate) fn start(&self, directory: &Path) -> Result<Asked, Missing> {
        let files = directory.join("files");
        let complaints = directory.join("stderr");
        let mut command = Command::new(self.program.first().expect("every program has a path"));
        command.args(self.program.iter().skip(1)).arg(&files).arg(self.cache_bytes.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = fs::create_dir_all(&files).and_then(|()| command.stderr(File::create(&complaints)?).spawn());
        let mut child = started.map_err(|error| Missing::new(self.name, &command, &error.to_string()))?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut asked = Asked { contestant: self.clone(), child, questions, answers, complaints, about: Vec::new() };
        let about = asked.try_to_ask("about").map_err(|complaints| Missing::new(self.name, &command, &complaints))?;
        asked.about = about.split('\t').map(str::to_owned).collect();
        Ok(asked)
    }

    /// Makes a store of so many secrets that were overwritten so often, without measuring it.
    pub(crate) fn fill(&self, directory: &Path, secrets: usize, rounds: usize) {
        let mut asked = self.start(directory).expect("it was started before");
        asked.seconds(&format!("fill {} {rounds}", secrets.min(self.secrets_max)));
    }

    /// Starts it on what was filled, and opens that.
    pub(crate) fn open(&self, directory: &Path, secrets: usize) -> Asked {
        let mut asked = self.start(directory).expect("it was started before");
        asked.seconds(&format!("open {} 0", secrets.min(self.secrets_max)));
        asked
    }
}

/// Somebody who takes no part.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

impl Missing {
    /// What was tried, and what was said to that in the end.
    pub(crate) fn new(name: &'static str, command: &Command, complaints: &str) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let lines: Vec<&str> = complaints.trim_end().lines().collect();
        let last = lines.get(lines.len().saturating_sub(COMPLAINT_LINES)..).unwrap_or_default().join("\n");
        Self { name, why: format!("`{}` failed:\n{last}", words.join(" ")) }
    }
}

/// A program that was started, and ends when this is dropped.
pub(crate) struct Asked {
    pub(crate) contestant: Contestant,
    /// What it is and does, as it says itself.
    pub(crate) about: Vec<String>,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    complaints: PathBuf,
}

impl Asked {
    /// Asks, and takes the answer for a time.
    pub(crate) fn seconds(&mut self, question: &str) -> f64 {
        let answer = self.try_to_ask(question);
        let answer = answer.unwrap_or_else(|why| panic!("{} does not answer {question}:\n{why}", self.contestant.name));
        answer.parse().expect("a number")
    }

    /// The answer, or what was complained about.
    fn try_to_ask(&mut self, question: &str) -> Result<String, String> {
        let mut answer = String::new();
        let sent = self.questions.as_mut().map(|questions| writeln!(questions, "{question}"));
        let is_sent = sent.is_some_and(|sent| sent.is_ok());
        if is_sent && self.answers.read_line(&mut answer).is_ok() && answer.ends_with('\n') {
            return Ok(answer.trim_end().to_owned());
        }
        Err(fs::read_to_string(&self.complaints).unwrap_or_default())
    }

    /// Memory of the program in bytes. `None` where the system does not say.
    pub(crate) fn resident_bytes(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Nobody asks any more: it closes what it has open, and ends.
        self.questions = None;
        let _ = self.child.wait();
    }
}

/// Bytes that the files below a directory take on the disk.
pub(crate) fn bytes_on_disk(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).expect("the directory is read");
    let of_entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("the directory is read");
        let about = entry.metadata().expect("it is there");
        if about.is_dir() { bytes_on_disk(&entry.path()) } else { bytes_of_file(&about) }
    };
    entries.map(of_entry).sum()
}

#[cfg(unix)]
fn bytes_of_file(about: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

#[cfg(not(unix))]
fn bytes_of_file(about: &fs::Metadata) -> u64 {
    about.len()
}

/// A directory of the bench's own sources.
pub(crate) fn here(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(directory)
}

/// Where the peers are built.
pub(crate) fn built() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers")
}
