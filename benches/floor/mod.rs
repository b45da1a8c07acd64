//! What all benches share: when they may run, and how something is measured beside its floor.
//!
//! A *floor* does only what is unavoidable, with the same sealing functions and the same sizes. Absolute times are noise
//! on most machines, so the subject and its floors take turns within one run and what is reported is the ratio: the
//! median of the ratios of all rounds, with the tenth and the ninetieth percentile behind it.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use criterion::Criterion;

/// One run of a bench program.
pub(crate) struct Run {
    /// Not so under `cargo test`, which runs everything once to see that it works.
    is_measured: bool,
    lines: Vec<String>,
}

/// How often something is done.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Operations of each lane in each round.
    pub(crate) operations: usize,
}

/// Something that takes turns with others.
pub(crate) struct Lane<'a> {
    pub(crate) name: &'a str,
    /// Where the ratio of the first lane to this one should be.
    pub(crate) bar: Option<RangeInclusive<f64>>,
    /// Does so many operations, and says how many seconds they took.
    pub(crate) work: &'a mut dyn FnMut(usize) -> f64,
}

/// Seconds that the work takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let kept = work();
    let took = start.elapsed().as_secs_f64();
    drop(kept);
    took
}

impl Run {
    /// Looks how the program was called. An unoptimised build measures nothing worth knowing and ends here.
    pub(crate) fn begin() -> Self {
        let is_asked = |flag: &str| std::env::args().any(|argument| argument == flag);
        let is_measured = is_asked("--bench") && !is_asked("--test") && !is_asked("--list");
        if is_measured && cfg!(debug_assertions) {
            eprintln!("This is a debug build, in which every ratio is wrong. Run `cargo bench` instead.");
            std::process::exit(2);
        }
        Self { is_measured, lines: Vec::new() }
    }

    /// How many there should be: next to none if nothing is measured.
    pub(crate) fn scale(&self, measured: usize) -> usize {
        if self.is_measured { measured } else { measured.min(20) }
    }

    /// Criterion's own reports, for absolute times and for comparison with earlier runs.
    pub(crate) fn criterion(&self) -> Criterion {
        let criterion = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1));
        criterion.measurement_time(Duration::from_secs(3)).configure_from_args()
    }

    /// Lets the lanes take turns; for each lane, the seconds per operation of every round.
    pub(crate) fn interleave(&self, effort: Effort, lanes: &mut [Lane<'_>]) -> Vec<Vec<f64>> {
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

    /// Measures the first lane beside all others, one line for each of them.
    pub(crate) fn compare(&mut self, title: &str, effort: Effort, lanes: &mut [Lane<'_>]) {
        let times = self.interleave(effort, lanes);
        let measured: Vec<(&Lane<'_>, &Vec<f64>)> = lanes.iter().zip(&times).collect();
        let Some(((subject, own), others)) = measured.split_first() else { return };
        for (other, theirs) in others {
            let ratios = own.iter().zip(theirs.iter()).map(|(own, theirs)| own / theirs).collect();
            let ratio = Quantiles::of(ratios);
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
    }

    /// Keeps a line for the end, where Criterion's output does not hide it.
    pub(crate) fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Prints what was found.
    pub(crate) fn finish(self) {
        if self.is_measured {
            eprintln!("\nratios of one run: median [tenth to ninetieth percentile of the rounds]");
            for line in self.lines {
                eprintln!("{line}");
            }
        }
    }
}

/// The middle of some numbers, and where most of them lie.
pub(crate) struct Quantiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Quantiles {
    pub(crate) fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let at = |per_cent: usize| {
            let index = numbers.len().saturating_sub(1) * per_cent / 100;
            numbers.get(index).copied().unwrap_or(f64::NAN)
        };
        Self { low: at(10), median: at(50), high: at(90) }
    }
}

/// A time in the unit that suits it.
pub(crate) fn show(seconds: f64) -> String {
    match seconds {
        ..1e-6 => format!("{:.0} ns", seconds * 1e9),
        ..1e-3 => format!("{:.2} us", seconds * 1e6),
        ..1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
