//! A day of operations in ten minutes, with a kill every five seconds: memory, and the disk beside what is live on it.
//!
//! What is done and verified is the suite `tests/soak`, on a larger store. After the kills, one process works for half as
//! long again without being killed, which shows what memory does. `STRONGROOM_SOAK_SECONDS`, the time with kills, and
//! `STRONGROOM_SOAK_SEED` make it longer or shorter, and another one. Whatever is lost or read wrongly ends it with a panic.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

#[path = "../tests/soak/desk.rs"]
mod desk;
#[path = "../tests/soak/fill.rs"]
mod fill;
#[path = "../tests/soak/heap.rs"]
mod heap;
#[path = "../tests/soak/ledger.rs"]
mod ledger;
#[path = "../tests/soak/plan.rs"]
mod plan;
#[expect(dead_code, reason = "suites of tests use more of it")]
#[path = "../tests/processes/process.rs"]
mod process;
#[path = "../tests/soak/reads.rs"]
mod reads;
#[path = "../tests/soak/run.rs"]
mod run;
#[path = "../tests/soak/state.rs"]
mod state;
#[path = "../tests/soak/told.rs"]
mod told;
#[path = "../tests/soak/value.rs"]
mod value;
#[path = "../tests/soak/work.rs"]
mod work;

use std::env;
use std::process::Command;

use measure::{Quantiles, Run};

use crate::plan::Plan;
use crate::run::{Memory, Outcome};
use crate::work::Life;

const SECONDS: u64 = 600;
/// A run that is not measured only shows that everything works.
const SECONDS_UNMEASURED: u64 = 10;

const MB: f64 = 1_000_000.0;
/// How far memory may be from what it was after the warm-up, in per cent.
const MEMORY_BAR: f64 = 5.0;
/// What the store may take on the disk, in bytes for each that is live.
const DISK_BAR: f64 = 3.0;
/// Points of a plot.
const POINTS: usize = 30;

fn main() {
    // A child of this program.
    if let Some(life) = Life::given() {
        return life.live();
    }
    let mut run = Run::begin();
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("STRONGROOM_SOAK_SEED").unwrap_or(1);
    let plan = if run.is_measured() {
        Plan::measured(number("STRONGROOM_SOAK_SECONDS").unwrap_or(SECONDS), seed)
    } else {
        Plan::small(SECONDS_UNMEASURED, seed)
    };
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let outcome = run::run(&plan, place.path(), &|| Command::new(env::current_exe().expect("a path")));
    run.say(format!("soak of {} s, seed {seed}: {}", plan.seconds, outcome.summary()));
    report_counts(&mut run, &outcome);
    report_memory(&mut run, &plan, &outcome);
    report_disk(&mut run, &plan, &outcome);
    run.finish();
}

fn one(number: f64) -> Quantiles {
    Quantiles { low: number, median: number, high: number }
}

fn report_counts(run: &mut Run, outcome: &Outcome) {
    let counts = outcome.counts;
    for (title, count) in [
        ("soak: kills", outcome.kills),
        ("soak: kills before the store was open", outcome.kills_before_open),
        ("soak: calls", counts.calls),
        ("soak: changes acknowledged", counts.changes),
        ("soak: answers compared", counts.reads),
        ("soak: values compared", counts.values + outcome.verified_values),
        ("soak: rotations", counts.rotated),
        ("soak: secrets purged", counts.purged),
        ("soak: versions removed", counts.removed_versions),
    ] {
        run.figure(title, one(count as f64), "", None);
    }
    run.note("soak", "an acknowledged change that is lost, or a wrong answer, ends the run; this one came to its end");
    run.figure("soak: opening after a kill", Quantiles::of(outcome.openings.clone()), "s", None);
}

/// By how many per cent the mean of the later of two parts of some samples is above that of the earlier one. A part is
/// between two percentages.
fn drift(samples: &[f64], earlier: [usize; 2], later: [usize; 2]) -> Option<f64> {
    let mean = |[begin, end]: [usize; 2]| {
        let index = |per_cent: usize| samples.len() * per_cent / 100;
        let part = samples.get(index(begin)..index(end)).filter(|part| !part.is_empty())?;
        Some(part.iter().sum::<f64>() / part.len() as f64)
    };
    Some((mean(later)? / mean(earlier)? - 1.0) * 100.0)
}

fn report_memory(run: &mut Run, plan: &Plan, outcome: &Outcome) {
    let killed = (
        "of processes that are killed, after as many calls each, the last tenth of them beside the second",
        [10, 20],
        [90, 100],
    );
    // It has had half of its life to warm up.
    let unkilled = ("of a process that is not killed, its last quarter beside the one before", [50, 75], [75, 100]);
    let bin = plan.seconds as f64 / POINTS as f64;
    for ((whose, earlier, later), line, samples) in
        [(killed, "killed, after as many calls", &outcome.lives), (unkilled, "not killed", &outcome.unkilled)]
    {
        let resident = |memory: &Memory| Some((memory.at, memory.resident?));
        let heap = |memory: &Memory| Some((memory.at, memory.heap));
        let kinds: [(&str, Vec<(f64, f64)>); 2] = [
            ("resident memory", samples.iter().filter_map(resident).collect()),
            ("heap in use", samples.iter().filter_map(heap).collect()),
        ];
        for (kind, samples) in kinds {
            let bytes: Vec<f64> = samples.iter().map(|(_, bytes)| *bytes).collect();
            if let Some(drift) = drift(&bytes, earlier, later) {
                run.say(format!("soak: {kind} {whose}: {drift:+.2} %"));
                let title = format!("soak: {kind} {whose}, difference");
                run.figure(&title, one(drift.abs()), "%", Some(0.0..=MEMORY_BAR));
            }
            for (x, bytes) in binned(samples.into_iter().map(|(at, bytes)| (at, bytes / MB)), bin) {
                run.point("soak: memory over time", &format!("{kind}, {line}"), x, bytes, "MB");
            }
        }
    }
}

fn report_disk(run: &mut Run, plan: &Plan, outcome: &Outcome) {
    let bin = plan.seconds as f64 / POINTS as f64;
    for (x, bytes) in binned(outcome.disk.iter().map(|disk| (disk.at, disk.bytes / MB)), bin) {
        run.point("soak: disk over time", "the store's directory", x, bytes, "MB");
    }
    for (x, bytes) in binned(outcome.disk.iter().map(|disk| (disk.at, disk.values / MB)), bin) {
        run.point("soak: disk over time", "values that are live", x, bytes, "MB");
    }
    let last = &outcome.last;
    run.figure("soak: secrets in the end", one(last.secrets as f64), "", None);
    run.figure("soak: live records in the end", one(last.live_bytes / MB), "MB", None);
    let job = if last.is_compacted {
        "`compact_if_recommended`, which compacted"
    } else {
        "`compact_if_recommended`, which left it alone"
    };
    let rows = [
        ("after `maintain`".to_owned(), last.grown_bytes, None),
        (format!("after `maintain` and {job}"), last.maintained_bytes, Some(0.0..=DISK_BAR)),
        ("after `compact`".to_owned(), last.compacted_bytes, None),
    ];
    for (title, bytes, bar) in rows {
        run.figure(&format!("soak: disk {title}"), one(bytes / MB), "MB", None);
        run.figure(&format!("soak: disk {title}, per live byte"), one(bytes / last.live_bytes), "x", bar);
    }
}

/// Samples in bins of so many seconds: the middle of each, and its quantiles.
fn binned(samples: impl Iterator<Item = (f64, f64)>, seconds: f64) -> Vec<(f64, Quantiles)> {
    let mut bins: Vec<(f64, Vec<f64>)> = Vec::new();
    for (at, number) in samples {
        let middle = (((at / seconds).floor() + 0.5) * seconds).round();
        match bins.last_mut() {
            Some((last, numbers)) if *last == middle => numbers.push(number),
            _ => bins.push((middle, vec![number])),
        }
    }
    bins.into_iter().map(|(middle, numbers)| (middle, Quantiles::of(numbers))).collect()
}
