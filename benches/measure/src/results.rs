//! What a run found, as data: `docs/BENCHMARKS.md` is made of it.
//!
//! With `STRONGROOM_BENCH_RESULTS` a run leaves `<bench>.json` in that directory: the machine, and one row for each ratio,
//! figure, note and point of a plot.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use crate::{Quantiles, in_unit};

/// What one run found.
#[derive(Default)]
pub(super) struct Results(Vec<Value>);

pub(super) enum Row {
    /// A subject beside something else, in seconds per operation.
    Ratio {
        title: String,
        subject: String,
        subject_seconds: f64,
        other: String,
        other_seconds: f64,
        ratio: Quantiles,
        bar: Option<Bar>,
    },
    Figure {
        title: String,
        figure: Quantiles,
        unit: String,
        bar: Option<Bar>,
    },
    Point {
        plot: String,
        line: String,
        x: f64,
        y: Quantiles,
        unit: String,
    },
    Note {
        title: String,
        text: String,
    },
}

/// Where a figure should be.
#[derive(Clone, Copy)]
pub(super) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    pub(super) fn of(range: &RangeInclusive<f64>) -> Option<Self> {
        let is_at_most = range.end().is_finite();
        Some(if is_at_most { Self::AtMost(*range.end()) } else { Self::AtLeast(*range.start()) })
    }

    pub(super) fn verdict(self, number: f64, unit: &str) -> String {
        let (is_met, bar) = match self {
            Self::AtMost(bar) => (number <= bar, in_unit(bar, unit)),
            Self::AtLeast(bar) => (number >= bar, format!("at least {}", in_unit(bar, unit))),
        };
        format!("bar {bar}{}", if is_met { "" } else { ": MISSED" })
    }

    fn as_json(self) -> Value {
        match self {
            Self::AtMost(bar) => json!({ "at_most": bar }),
            Self::AtLeast(bar) => json!({ "at_least": bar }),
        }
    }
}

impl Row {
    fn as_json(&self) -> Value {
        let spread = |of: &Quantiles| json!({ "low": of.low, "median": of.median, "high": of.high });
        match self {
            Self::Ratio { title, subject, subject_seconds, other, other_seconds, ratio, bar } => json!({
                "kind": "ratio", "title": title, "subject": subject, "subject_seconds": subject_seconds,
                "other": other, "other_seconds": other_seconds, "ratio": spread(ratio),
                "bar": bar.map(Bar::as_json),
            }),
            Self::Figure { title, figure, unit, bar } => json!({
                "kind": "figure", "title": title, "figure": spread(figure), "unit": unit, "bar": bar.map(Bar::as_json),
            }),
            Self::Point { plot, line, x, y, unit } => json!({
                "kind": "point", "plot": plot, "line": line, "x": x, "y": spread(y), "unit": unit,
            }),
            Self::Note { title, text } => json!({ "kind": "note", "title": title, "text": text }),
        }
    }
}

impl Results {
    pub(super) fn add(&mut self, row: Row) {
        self.0.push(row.as_json());
    }

    /// Writes what was found, if that was asked for.
    pub(super) fn write(&self) {
        let Some(directory) = env::var_os("STRONGROOM_BENCH_RESULTS").map(PathBuf::from) else { return };
        let results = json!({ "machine": machine(), "rows": self.0 });
        let text = serde_json::to_string_pretty(&results).expect("plain data");
        let path = directory.join(format!("{}.json", bench()));
        fs::create_dir_all(&directory).and_then(|()| fs::write(&path, text + "\n")).expect("the results are written");
        eprintln!("results: {}", path.display());
    }
}

/// The name of this bench: that of its executable, without what Cargo appends.
fn bench() -> String {
    let program = env::args().next().unwrap_or_default();
    let stem = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.rsplit_once('-').map_or(stem.clone(), |(bench, _)| bench.to_owned())
}

/// What it was measured on.
fn machine() -> Value {
    let first_word_after = |path: &str, label: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
        line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
    };
    let said_by = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    json!({
        "processor": first_word_after("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": first_word_after("/proc/meminfo", "MemTotal"),
        "load": first_word_after("/proc/loadavg", ""),
        "system": said_by("uname", &["-sr"]),
        "rustc": said_by("rustc", &["-V"]),
        "date": said_by("date", &["-u", "+%Y-%m-%d"]),
    })
}
