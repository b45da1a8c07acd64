//! strongroom beside other encrypted stores, in one run, with the same values and the same durability.
//!
//! `benches/peers/README.md` says who takes part, what they do and do not do, and what is measured.
//! `STRONGROOM_BENCH_SECRETS` sets the size of the large store.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]

#[path = "../floor/http.rs"]
mod http;
#[path = "../floor/store.rs"]
#[expect(dead_code, reason = "the peers fill their stores themselves")]
mod store;

mod contestants;
mod ours;
mod served;

use std::ops::RangeInclusive;

use measure::{Effort, Lane, Quantiles, Run};
use tempfile::TempDir;

use crate::contestants::{Asked, Contestant, Missing, bytes_on_disk};

const FEW: usize = 1_000;
/// So many that none of them gets many versions.
const WRITTEN: usize = 2_048;
const OVERWRITTEN: usize = 10_000;
const OVERWRITES: usize = 5;
const WRITERS: [usize; 5] = [1, 2, 4, 8, 16];

fn main() {
    let mut arguments = std::env::args().skip(1).skip_while(|argument| argument != "--peer").skip(1);
    match arguments.next().as_deref() {
        Some("strongroom") => peer::converse::<ours::Strongroom>(arguments),
        Some("floor") => peer::converse::<ours::Floor>(arguments),
        _ => compare(),
    }
}

fn compare() {
    let mut run = Run::begin();
    let contestants = introduce(&mut run);
    reads_of_few(&mut run, &contestants);
    large_store(&mut run, &contestants);
    writes(&mut run, &contestants);
    overwriting(&mut run, &contestants);
    served::compare(&mut run);
    run.finish();
}

/// Everybody who can be built and started. Of the others it is noted that they are missing.
fn introduce(run: &mut Run) -> Vec<Contestant> {
    let mut all: Vec<Result<Contestant, Missing>> = Contestant::own().into_iter().map(Ok).collect();
    if run.is_measured() {
        all.extend(Contestant::others());
    }
    let mut present = Vec::new();
    for contestant in all {
        let place = store::directory();
        let started = contestant.and_then(|contestant| Ok((contestant.start(place.path())?, contestant)));
        match started {
            Ok((asked, contestant)) => {
                let titles = ["", "; encryption: ", "; names: ", "; an acknowledged write: ", "; versions: "];
                let parts = titles.into_iter().zip(&asked.about).flat_map(|(title, text)| [title, text]);
                run.note(contestant.name, &parts.collect::<String>());
                present.push(contestant);
            }
            Err(Missing { name, why }) => miss(run, name, &why),
        }
    }
    present
}

fn miss(run: &mut Run, name: &str, why: &str) {
    eprintln!("{name} is missing: {why}");
    run.note(&format!("{name} is missing"), why);
}

/// Programs with stores of their own, and the directories that these are in.
struct Open {
    asked: Vec<Asked>,
    places: Vec<TempDir>,
}

impl Open {
    /// Fills a store for everybody to whom that many secrets make sense.
    fn filled(contestants: &[Contestant], secrets: usize) -> Self {
        let able = contestants.iter().filter(|contestant| secrets <= contestant.secrets_max);
        let fill = |contestant: &Contestant| {
            let place = store::directory();
            contestant.fill(place.path(), secrets, 0);
            (contestant.open(place.path(), secrets), place)
        };
        let (asked, places) = able.map(fill).unzip();
        Self { asked, places }
    }

    /// Lets everybody read everything, with so many threads.
    fn warm(&mut self, threads: usize) {
        self.asked.iter_mut().for_each(|asked| {
            asked.seconds(&format!("check {threads}"));
        });
    }

    /// Lets all of them that are able take turns with one question.
    fn race(
        &mut self,
        run: &mut Run,
        title: &str,
        effort: Effort,
        question: &str,
        bar: impl Fn(&Contestant) -> Option<f64>,
    ) {
        race(run, title, effort, self.asked.iter_mut(), bar, |asked, operations| {
            asked.seconds(&format!("{question} {operations}"))
        });
    }
}

fn race<'a>(
    run: &mut Run,
    title: &str,
    effort: Effort,
    asked: impl Iterator<Item = &'a mut Asked>,
    bar: impl Fn(&Contestant) -> Option<f64>,
    work: impl Fn(&mut Asked, usize) -> f64,
) {
    let lane = |asked: &'a mut Asked| {
        let contestant = asked.contestant.clone();
        let work = &work;
        (contestant, move |operations: usize| work(asked, operations))
    };
    let mut runners: Vec<_> = asked.map(lane).collect();
    let lanes = runners.iter_mut().map(|(contestant, work)| Lane {
        name: contestant.name,
        bar: bar(contestant).map(at_most),
        work,
    });
    run.compare(title, effort, &mut lanes.collect::<Vec<_>>());
}

fn at_most(bar: f64) -> RangeInclusive<f64> {
    0.0..=bar
}

fn reads(run: &mut Run, open: &mut Open, secrets: usize, rounds: usize) {
    for threads in [1, 2] {
        open.warm(threads);
        let title = format!("read of 1 KiB, {secrets} secrets, {threads} thread{}", plural(threads));
        let effort = Effort { rounds, operations: 100 };
        open.race(run, &title, effort, &format!("get {threads}"), |contestant| contestant.bars.read);
    }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn reads_of_few(run: &mut Run, contestants: &[Contestant]) {
    let few = run.scale(FEW);
    if many(run) <= few {
        // The large store is no larger.
        return;
    }
    let mut open = Open::filled(contestants, few);
    reads(run, &mut open, few, 301);
}

/// The size of the large store.
fn many(run: &Run) -> usize {
    let many = std::env::var("STRONGROOM_BENCH_SECRETS").ok().and_then(|secrets| secrets.parse().ok());
    run.scale(many.unwrap_or(100_000))
}

/// Reads, lists, memory, files, and opening.
fn large_store(run: &mut Run, contestants: &[Contestant]) {
    let many = many(run);
    let mut contestants = contestants.to_vec();
    let sqlcipher = contestants.iter().find(|contestant| contestant.name == "sqlcipher");
    let with_little_cache = sqlcipher.map(Contestant::with_little_cache);
    contestants.extend(with_little_cache);

    let mut open = Open::filled(&contestants, many);
    open.warm(1);
    for asked in &open.asked {
        if let Some(bytes) = asked.resident_bytes() {
            let title = format!("{}: memory for each of {many} secrets, all of them read", asked.contestant.name);
            figure(run, &title, bytes / many as f64, "bytes");
        }
    }
    reads(run, &mut open, many, 301);
    let title = format!("list of the first 100, {many} secrets");
    open.race(run, &title, Effort { rounds: 101, operations: 2 }, "list", |_| None);

    let Open { asked, places } = open;
    drop(asked);
    let able = contestants.iter().filter(|contestant| many <= contestant.secrets_max);
    let mut stores: Vec<_> = able.zip(&places).collect();
    let mut opening = stores.iter_mut().map(|(contestant, place)| {
        let contestant = contestant.clone();
        let place = place.path();
        (contestant.name, move |_: usize| {
            let mut asked = contestant.start(place).expect("it was started before");
            asked.seconds(&format!("open {many} 0"))
        })
    });
    let mut opening: Vec<_> = opening.by_ref().collect();
    let lanes = opening.iter_mut().map(|(name, work)| Lane { name, bar: None, work });
    let title = format!("open after a clean close, and the first read, {many} secrets");
    run.compare(&title, Effort { rounds: 11, operations: 1 }, &mut lanes.collect::<Vec<_>>());
}

fn figure(run: &mut Run, title: &str, number: f64, unit: &str) {
    run.figure(title, Quantiles { low: number, median: number, high: number }, unit, None);
}

/// Durable writes, by more and more threads.
fn writes(run: &mut Run, contestants: &[Contestant]) {
    let secrets = run.scale(WRITTEN).next_multiple_of(16);
    // A file that is written as a whole is smaller, and is only written by one thread.
    let (crowds, single): (Vec<_>, Vec<_>) =
        contestants.iter().cloned().partition(|contestant| contestant.writers_max > 1);
    let mut open = Open::filled(&crowds, secrets);
    let few = Open::filled(&single, run.scale(FEW));
    let Open { mut asked, places } = few;
    for threads in WRITERS {
        let title = format!("durable write of 1 KiB by {threads} thread{}", plural(threads));
        let effort = if threads == 1 {
            Effort { rounds: 101, operations: 5 }
        } else {
            Effort { rounds: 31, operations: threads * 10 }
        };
        let bar = |contestant: &Contestant| match threads {
            1 => contestant.bars.write,
            16 => contestant.bars.crowd,
            _ => None,
        };
        let able = open.asked.iter_mut().chain(asked.iter_mut().filter(|_| threads == 1));
        race(run, &title, effort, able, bar, |asked, operations| asked.seconds(&format!("put {threads} {operations}")));
        open.warm(1);
    }
    asked.iter_mut().for_each(|asked| {
        asked.seconds("check 1");
    });
    drop(asked);
    drop(places);
}

/// What the files take, at first and after every secret was overwritten so often.
fn overwriting(run: &mut Run, contestants: &[Contestant]) {
    let secrets = many(run).min(OVERWRITTEN);
    for contestant in contestants {
        let secrets = secrets.min(contestant.secrets_max);
        let place = store::directory();
        for rounds in 0..=OVERWRITES {
            contestant.fill(place.path(), secrets, rounds);
            let each = bytes_on_disk(place.path()) as f64 / secrets as f64;
            let each = Quantiles { low: each, median: each, high: each };
            run.point("bytes on disk for each secret, by overwrites", contestant.name, rounds as f64, each, "bytes");
        }
    }
}
