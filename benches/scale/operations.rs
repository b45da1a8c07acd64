//! Operations on a store of so many secrets, beside the same ones on the smallest.

use std::ops::RangeInclusive;

use measure::{Effort, Lane, Quantiles, Run, timed};
use strongroom::FilterKey;

use crate::site::{ORDERS, Site};
use crate::{grouped, title};

/// What a thousand times as many secrets may cost more: as the logarithm grows.
const GROWTH_BAR: f64 = 2.0;
/// Longest time that a filter may take over 100,000 secrets.
const FILTER_BAR_SECONDS: f64 = 0.1;
const MAINTAIN_BAR_SECONDS: f64 = 0.001;
/// How long one operation is measured in each store, about.
const LANE_SECONDS: f64 = 2.0;
const ROUNDS_MIN: usize = 5;
const THREADS: [usize; 5] = [1, 2, 4, 8, 16];

/// What is measured, and how it is told.
struct Subject<'a> {
    what: &'a str,
    plot: &'a str,
    line: &'a str,
    effort: Effort,
    bar_seconds: Option<f64>,
    /// Whether it may take twice the time at most, however many secrets there are.
    is_flat: bool,
}

pub(crate) fn measure(run: &mut Run, site: &Site, beside: Option<&Site>) {
    let mut measure = |subject: Subject<'_>, work: &dyn Fn(&Site, usize)| compare(run, &subject, site, beside, work);

    let often = Effort { rounds: 1_001, operations: 100 };
    let read = |what, line, operations| Subject {
        what,
        plot: "read",
        line,
        effort: Effort { operations, ..often },
        bar_seconds: None,
        is_flat: true,
    };
    measure(read("get of 1 KiB", "get", 100), &|site, operations| site.get(operations));
    measure(read("batch get of 20 values", "batch get of 20", 5), &|site, operations| site.batch_get(operations));
    measure(read("describe", "describe", 100), &|site, operations| site.describe(operations));

    for (order, (.., name)) in ORDERS.iter().enumerate() {
        for (position, plot) in [("first page", "first page"), ("page in the middle", "page in the middle")] {
            let subject = Subject {
                what: &format!("{position} of 100 {name}"),
                plot,
                line: name,
                effort: Effort { rounds: 501, operations: 2 },
                bar_seconds: None,
                is_flat: true,
            };
            measure(subject, &|site, operations| match position {
                "first page" => site.first_page(order, operations),
                _ => site.middle_page(order, operations),
            });
        }
    }

    for (key, name) in [(FilterKey::Name, "by name"), (FilterKey::All, "by all")] {
        let subject = Subject {
            what: &format!("filter {name} that matches nothing"),
            plot: "filter",
            line: name,
            effort: Effort { rounds: 101, operations: 1 },
            bar_seconds: Some(FILTER_BAR_SECONDS * site.secrets.max(100_000) as f64 / 100_000.0),
            is_flat: false,
        };
        measure(subject, &|site, operations| site.find_nothing(&key, operations));
    }

    let subject = Subject {
        what: "maintain with nothing due",
        plot: "maintain",
        line: "nothing due",
        effort: Effort { rounds: 201, operations: 10 },
        bar_seconds: Some(MAINTAIN_BAR_SECONDS),
        is_flat: true,
    };
    measure(subject, &|site, operations| site.maintain(operations));

    // Last, because they leave versions behind.
    for threads in THREADS {
        let (what, line) = match threads {
            1 => ("durable put of 1 KiB by 1 thread".to_owned(), "1 thread".to_owned()),
            _ => (format!("durable put of 1 KiB by {threads} threads"), format!("{threads} threads")),
        };
        let subject = Subject {
            what: &format!("{what}, time for each"),
            plot: "durable put",
            line: &line,
            effort: Effort { rounds: 15, operations: 16 * threads },
            bar_seconds: None,
            is_flat: true,
        };
        let times = compare(run, &subject, site, beside, &|site, operations| site.put(threads, operations));
        let rates = Quantiles::of(times.iter().map(|seconds| 1.0 / seconds).collect());
        run.figure(&title(&format!("{what}, puts a second"), site.secrets), rates, "1/s", None);
        let secrets = format!("{} secrets", grouped(site.secrets));
        run.point("durable puts a second", &secrets, threads as f64, rates, "1/s");
        let waits = Quantiles::of(times.iter().map(|seconds| seconds * threads as f64).collect());
        run.figure(&title(&format!("{what}, as its thread waits for it"), site.secrets), waits, "s", None);
    }
}

/// Measures something in a store, and beside the smallest one. Gives the seconds of every round.
fn compare(
    run: &mut Run,
    subject: &Subject<'_>,
    site: &Site,
    beside: Option<&Site>,
    work: &dyn Fn(&Site, usize),
) -> Vec<f64> {
    let effort = within(subject.effort, site, work);
    let mut own = |operations| timed(|| work(site, operations));
    let own = Lane { name: &format!("{} secrets", grouped(site.secrets)), bar: None, work: &mut own };
    let times = match beside {
        Some(beside) => {
            let name = format!("{} secrets", grouped(beside.secrets));
            let bar: Option<RangeInclusive<f64>> = subject.is_flat.then_some(0.0..=GROWTH_BAR);
            let mut theirs = |operations| timed(|| work(beside, operations));
            let what = format!("growth of {} from {name} to {}", subject.what, own.name);
            run.compare(&what, effort, &mut [own, Lane { name: &name, bar, work: &mut theirs }])
        }
        None => run.interleave(effort, &mut [own]),
    };
    let times = times.into_iter().next().unwrap_or_default();
    let figure = Quantiles::of(times.clone());
    let bar = subject.bar_seconds.map(|bar| 0.0..=bar);
    run.figure(&title(subject.what, site.secrets), figure, "s", bar);
    run.point(subject.plot, subject.line, site.secrets as f64, figure, "s");
    times
}

/// As many rounds as fit into the time.
fn within(effort: Effort, site: &Site, work: &dyn Fn(&Site, usize)) -> Effort {
    let operations = effort.operations;
    // The first time may have something to build.
    work(site, 1);
    let round = timed(|| work(site, operations));
    let mut rounds = ROUNDS_MIN;
    while rounds < effort.rounds && (rounds + 1) as f64 * round <= LANE_SECONDS {
        rounds += 1;
    }
    Effort { rounds, operations }
}
