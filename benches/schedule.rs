//! Rotation schedules: reading them, and finding the next window. Nothing is beside them, so times are absolute.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use strongroom::{RotationSchedule, Timestamp};

use measure::{Effort, Lane, Quantiles, Run, timed};

/// What a window should take at most, in seconds.
const BAR: f64 = 2e-6;

const EXPRESSIONS: [&str; 13] = [
    "rate(10 days)",
    "rate(4 hours)",
    "cron(0 8/8 * * ? *)",
    "cron(0 18 ? * SAT *)",
    "cron(0 8 1 * ? *)",
    "cron(0 1 ? 1/3 SUN#1 *)",
    "cron(0 17 L * ? *)",
    "cron(0 17 SUNL * ? *)",
    "cron(0 8 ? * MON-FRI *)",
    "cron(0 16 1,15 * ? *)",
    "cron(0 0 ? * TUE#3 *)",
    "cron(0 0 1 1 ? *)",
    "cron(0 0 29 2 ? *)",
];

fn schedule(expression: &str) -> RotationSchedule {
    RotationSchedule::parse(None, Some(black_box(expression)), None).expect("it is legal").expect("it is a schedule")
}

/// Instants of forty years that have nothing to do with each other.
fn instants() -> Vec<Timestamp> {
    let seconds = (0..1_000_i64).map(|number| 1_700_000_000 + number * 793_939_793 % 1_262_277_040);
    seconds.map(|seconds| Timestamp::from_timestamp(seconds, 0).expect("it is in the calendar")).collect()
}

fn repeat(mut work: impl FnMut()) -> impl FnMut(usize) -> f64 {
    move |operations| timed(|| (0..operations).for_each(|_| work()))
}

fn main() {
    let mut run = Run::begin();
    let mut criterion = run.criterion();
    let instants = instants();
    let origin = *instants.first().expect("there are some");

    for expression in EXPRESSIONS {
        let known = schedule(expression);
        let parse = || schedule(expression);
        let mut turns = instants.iter().cycle();
        let mut next = || known.next_window(origin, black_box(*turns.next().expect("it goes round")));
        let mut turns = instants.iter().cycle();
        let mut days = || known.automatically_after_days(black_box(*turns.next().expect("it goes round")));

        let mut group = criterion.benchmark_group(expression);
        group.bench_function("parse", |bencher| bencher.iter(parse));
        group.bench_function("next window", |bencher| bencher.iter(&mut next));
        group.bench_function("days between", |bencher| bencher.iter(&mut days));
        group.finish();

        let mut parsing = repeat(|| {
            black_box(parse());
        });
        let mut finding = repeat(|| {
            black_box(next());
        });
        let mut counting = repeat(|| {
            black_box(days());
        });
        let mut lanes = [
            Lane { name: "parse", bar: None, work: &mut parsing },
            Lane { name: "next window", bar: None, work: &mut finding },
            Lane { name: "days between", bar: None, work: &mut counting },
        ];
        let times = run.interleave(Effort { rounds: 201, operations: run.scale(2_000) }, &mut lanes);
        for (lane, times) in lanes.iter().zip(times) {
            let bar = (lane.name == "next window").then_some(0.0..=BAR);
            run.figure(&format!("{}: {expression}", lane.name), Quantiles::of(times), "s", bar);
        }
    }
    criterion.final_summary();
    run.finish();
}
