//! What all benches share: when they may run, how something is measured beside something else, and what becomes of it.
//!
//! A *floor* does only what is unavoidable, with the same sealing functions and the same sizes. Absolute times are noise
//! on most machines, so the subject and its floors take turns within one run and what is reported is the ratio: the
//! median of the ratios of all rounds, with the tenth and the ninetieth percentile behind it.

mod counts;
mod results;

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use criterion::Criterion;

pub use crate::counts::{Comparison, Counts, NoCounts};
use crate::results::{Bar, Results, Row};

/// One run of a bench program.
pub struct Run {
    /// Not so under `cargo test`, which runs everything once to see that it works.
    is_measured: bool,
    lines: Vec<String>,
    results: Results,
}

/// How often something is done.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Operations of each lane in each round.
    pub operations: usize,
}

/// Something that takes turns with others.
pub struct Lane<'a> {
    pub name: &'a str,
    /// Where the ratio of the first lane to this one should be.
    pub bar: Option<RangeInclusive<f64>>,
    /// Does so many operations, and says how many seconds they took.
    pub work: &'a mut dyn FnMut(usize) -> f64,
}

/// Seconds that the work takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let kept = work();
    let took = start.elapsed().as_secs_f64();
    drop(kept);
    took
}

impl Run {
    /// Looks how the program was called. An unoptimised build measures nothing worth knowing and ends here.
    pub fn begin() -> Self {
        let is_asked = |flag: &str| std::env::args().any(|argument| argument == flag);
        let is_measured = is_asked("--bench") && !is_asked("--test") && !is_asked("--list");
        if is_measured && cfg!(debug_assertions) {
            eprintln!("This is a debug build, in which every ratio is wrong. Run `cargo bench` instead.");
            std::process::exit(2);
        }
        Self { is_measured, lines: Vec::new(), results: Results::default() }
    }

    /// Whether this run is to find something out.
    pub fn is_measured(&self) -> bool {
        self.is_measured
    }

    /// How many there should be: next to none if nothing is measured.
    pub fn scale(&self, measured: usize) -> usize {
        if self.is_measured { measured } else { measured.min(20) }
    }

    /// Criterion's own reports, for absolute times and for comparison with earlier runs.
    pub fn criterion(&self) -> Criterion {
        let criterion = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1));
        criterion.measurement_time(Duration::from_secs(3)).configure_from_args()
    }

    /// Lets the lanes take turns; for each lane, the seconds per operation of every round.
    pub fn interleave(&self, effort: Effort, lanes: &mut [Lane<'_>]) -> Vec<Vec<f64>> {
        let Effort { rounds, operations } =
            if self.is_measured { effort } else { Effort { rounds: 1, operations: effort.operations.min(16) } };
        let mut times = vec![Vec::with_capacity(rounds); lanes.len()];
        for round in 0..=rounds {
            // Everybody is first equally often, and round 0 only warms up.
            let order = 0..lanes.len();
            let order: Vec<usize> = if round % 2 == 0 { order.collect() } else { order.rev().collect() };
            for index in order {
                let (Some(lane), Some(times)) = (lanes.get_mut(index), times.get_mut(index)) else { continue };
                let seconds = (lane.work)(operations) / operations as f64;
                if round > 0 {
                    times.push(seconds);
                }
            }
        }
        times
    }

    /// Measures the first lane beside all others, one line for each of them. Gives what [`interleave`](Self::interleave)
    /// does.
    pub fn compare(&mut self, title: &str, effort: Effort, lanes: &mut [Lane<'_>]) -> Vec<Vec<f64>> {
        let times = self.interleave(effort, lanes);
        let measured: Vec<(&Lane<'_>, &Vec<f64>)> = lanes.iter().zip(&times).collect();
        let Some(((subject, own), others)) = measured.split_first() else { return times };
        for (other, theirs) in others {
            let ratios = own.iter().zip(theirs.iter()).map(|(own, theirs)| own / theirs).collect();
            let ratio = Quantiles::of(ratios);
            self.results.add(Row::Ratio {
                title: title.to_owned(),
                subject: subject.name.to_owned(),
                subject_seconds: Quantiles::of(own.to_vec()).median,
                other: other.name.to_owned(),
                other_seconds: Quantiles::of(theirs.to_vec()).median,
                ratio,
                bar: other.bar.as_ref().and_then(Bar::of),
            });
            let bar = other.bar.as_ref().map_or("no bar".to_owned(), |bar| {
                let is_missed = if bar.contains(&ratio.median) { "" } else { ": MISSED" };
                let (prefix, bar) = if bar.end().is_finite() { ("", bar.end()) } else { ("at least ", bar.start()) };
                format!("bar {prefix}{bar}{is_missed}")
            });
            self.say(format!(
                "{title}: {} {}, {} {}, ratio {:.2} [{:.2} to {:.2}] ({bar})",
                subject.name,
                show(Quantiles::of(own.to_vec()).median),
                other.name,
                show(Quantiles::of(theirs.to_vec()).median),
                ratio.median,
                ratio.low,
                ratio.high,
            ));
        }
        times
    }

    /// A figure of its own, in a unit such as `bytes` or `s`.
    pub fn figure(&mut self, title: &str, figure: Quantiles, unit: &str, bar: Option<RangeInclusive<f64>>) {
        let bar = bar.as_ref().and_then(Bar::of);
        let verdict = bar.map_or("no bar".to_owned(), |bar| bar.verdict(figure.median, unit));
        let Quantiles { low, median, high } = figure;
        let [low, median, high] = [low, median, high].map(|number| in_unit(number, unit));
        self.say(format!("{title}: {median} [{low} to {high}] ({verdict})"));
        self.results.add(Row::Figure { title: title.to_owned(), figure, unit: unit.to_owned(), bar });
    }

    /// Counts of a unit such as `instructions`, for the data that a run leaves. They are shown as a table, not as lines.
    pub fn counts(&mut self, counts: &Counts, unit: &str) {
        for (case, count) in &counts.cases {
            let count = *count as f64;
            let figure = Quantiles { low: count, median: count, high: count };
            self.results.add(Row::Figure { title: case.clone(), figure, unit: unit.to_owned(), bar: None });
        }
    }

    /// A point of a line of a plot: what something came to at `x`.
    pub fn point(&mut self, plot: &str, line: &str, x: f64, y: Quantiles, unit: &str) {
        let Quantiles { low, median, high } = y;
        let [low, median, high] = [low, median, high].map(|number| in_unit(number, unit));
        self.say(format!("{plot}, {line}, at {x}: {median} [{low} to {high}]"));
        self.results.add(Row::Point { plot: plot.to_owned(), line: line.to_owned(), x, y, unit: unit.to_owned() });
    }

    /// Something that is to be known of the figures and is none itself.
    pub fn note(&mut self, title: &str, text: &str) {
        self.say(format!("{title}: {text}"));
        self.results.add(Row::Note { title: title.to_owned(), text: text.to_owned() });
    }

    /// Keeps a line for the end, where Criterion's output does not hide it.
    pub fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Prints what was found.
    pub fn finish(self) {
        if self.is_measured {
            if !self.lines.is_empty() {
                eprintln!("\nratios of one run: median [tenth to ninetieth percentile of the rounds]");
            }
            for line in self.lines {
                eprintln!("{line}");
            }
            self.results.write();
        }
    }
}

/// The middle of some numbers, and where most of them lie.
#[derive(Clone, Copy)]
pub struct Quantiles {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Quantiles {
    pub fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |per_cent: usize| {
            let index = numbers.len().saturating_sub(1) * per_cent / 100;
            numbers.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { low: at(10), median: at(50), high: at(90) }
    }
}

/// A number with its unit.
fn in_unit(number: f64, unit: &str) -> String {
    match unit {
        "s" => show(number),
        unit if number >= 100.0 => format!("{number:.0} {unit}"),
        unit => format!("{number:.2} {unit}"),
    }
}

/// A time in the unit that suits it.
pub fn show(seconds: f64) -> String {
    match seconds {
        ..1e-6 => format!("{:.0} ns", seconds * 1e9),
        ..1e-3 => format!("{:.2} us", seconds * 1e6),
        ..1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
