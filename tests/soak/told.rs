//! What a process tells its parent: what it is about to change, what it has changed, and how it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::state::Change;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Told {
    /// The store is open, so many milliseconds after the process began.
    Open {
        after_ms: u64,
    },
    /// Everything was read and is as it should be. `applied`: of what the process before was about to do, what was done.
    Verified {
        values: u64,
        applied: Vec<usize>,
    },
    Will {
        secret: usize,
        change: Change,
    },
    Done {
        secret: usize,
    },
    /// A rotation was asked for and is to be carried out, whatever happens.
    Asked {
        secret: usize,
        version: String,
    },
    /// Every now and then.
    Tick(Tick),
    /// Something is wrong.
    Fault(String),
    /// It ended by itself.
    Ended,
}

/// How a process is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Tick {
    /// Milliseconds since the process began.
    pub(crate) age_ms: u64,
    /// The store's clock.
    pub(crate) clock: i64,
    /// Memory that the process has from the system, if that can be told.
    pub(crate) resident_bytes: Option<u64>,
    /// Memory that the process has in use itself.
    pub(crate) heap_bytes: u64,
    pub(crate) counts: Counts,
}

/// What a process has done.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Calls of the API, those of the rotation function included.
    pub(crate) calls: u64,
    pub(crate) changes: u64,
    /// Answers that were compared with what was known.
    pub(crate) reads: u64,
    /// Values in them.
    pub(crate) values: u64,
    pub(crate) rotated: u64,
    pub(crate) purged: u64,
    pub(crate) removed_versions: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { calls, changes, reads, values, rotated, purged, removed_versions } = other;
        self.calls += calls;
        self.changes += changes;
        self.reads += reads;
        self.values += values;
        self.rotated += rotated;
        self.purged += purged;
        self.removed_versions += removed_versions;
    }
}

/// Time as it really passes.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a soak goes on for a real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Memory that this process has from the system.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Bytes of all files in a directory. What vanishes meanwhile does not count.
pub(crate) fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}
