//! A year of rotations, beside the oracle.

use std::time::Duration;

use crate::calendar::{Calendar, DAY, HOUR, MINUTE, START, Spec, YEAR_DAYS};
use crate::oracle::{Deed, Event, Fault, Line, Oracle, What};
use crate::year::{Script, Year};

const END: i64 = START + YEAR_DAYS * DAY;

/// What secrets are rotated by, how many of them by each, and the day on which they begin. The frequent ones begin late,
/// so that each kind has its share of the time that this takes.
const MIX: [(Spec, usize, i64); 50] = [
    (Spec::days(1), 1, 300),
    (Spec::days(7), 2, 0),
    (Spec::days(30), 15, 0),
    (Spec::days(45), 20, 0),
    (Spec::days(60).open("3h"), 25, 0),
    (Spec::days(90), 40, 0),
    (Spec::days(180), 90, 0),
    (Spec::days(365), 125, 0),
    (Spec::days(1_000), 20, 0),
    (Spec::expression("rate(1 day)"), 1, 300),
    (Spec::expression("rate(2 days)").open("24h"), 1, 240),
    (Spec::expression("rate(10 days)"), 6, 0),
    (Spec::expression("rate(28 days)").open("1h"), 15, 0),
    (Spec::expression("rate(90 days)"), 45, 0),
    (Spec::expression("rate(365 days)").open("12h"), 135, 0),
    (Spec::expression("rate(999 days)"), 34, 0),
    (Spec::expression("rate(4 hours)"), 1, 345),
    (Spec::expression("rate(5 hours)").open("5h"), 1, 340),
    (Spec::expression("rate(6 hours)").open("2h"), 1, 340),
    (Spec::expression("rate(7 hour)"), 1, 345),
    (Spec::expression("rate(10 hours)"), 1, 330),
    (Spec::expression("rate(12 hours)").open("12h"), 1, 330),
    (Spec::expression("rate(23 hours)"), 1, 300),
    (Spec::expression("cron(0 8/8 * * ? *)"), 1, 340),
    (Spec::expression("cron(0 2/10 * * ? *)").open("2h"), 1, 330),
    (Spec::expression("cron(0 /6 1 * ? *)"), 4, 0),
    (Spec::expression("cron(0 0,4,20 ? * TUE *)").open("4h"), 2, 150),
    (Spec::expression("cron(0 2-22/5 1-10/4 */4 ? *)"), 4, 0),
    (Spec::expression("cron(0 10 * * ? *)"), 1, 320),
    (Spec::expression("cron(0 18 ? * SAT *)"), 4, 0),
    (Spec::expression("cron(0 18 ? * L *)").open("6h"), 2, 0),
    (Spec::expression("cron(0 8 ? * MON-FRI *)"), 1, 300),
    (Spec::expression("cron(0 8 ? * FRI-MON *)").open("16h"), 1, 300),
    (Spec::expression("cron(0 0 ? * 2 *)"), 4, 0),
    (Spec::expression("cron(0 3 ? * 1/2 *)"), 1, 270),
    (Spec::expression("cron(0 8 1 * ? *)"), 15, 0),
    (Spec::expression("cron(0 16 1,15 * ? *)").open("2h"), 10, 0),
    (Spec::expression("cron(0 17 L * ? *)"), 20, 0),
    (Spec::expression("cron(0 3 SUNL * ? *)").open("1h"), 20, 0),
    (Spec::expression("cron(0 3 15,L 2,6 ? *)"), 20, 0),
    (Spec::expression("cron(0 1 ? 1/3 SUN#1 *)"), 80, 0),
    (Spec::expression("cron(0 23 ? * TUE#3 *)").open("1h"), 20, 0),
    (Spec::expression("cron(0 9 ? * MON#5,4#1 *)"), 20, 0),
    (Spec::expression("cron(0 0 ? * mon#1 *)"), 10, 0),
    (Spec::expression("cron(0 5 29 2 ? *)"), 40, 0),
    (Spec::expression("cron(0 6 31 * ? *)"), 20, 0),
    (Spec::expression("cron(0 22 28-31 DEC-FEB ? *)").open("2h"), 20, 0),
    (Spec::expression("cron(0 12 1/2 jul ? *)"), 10, 0),
    (Spec::expression("cron(0 7 1 JAN,APR,JUL,OCT ? *)"), 41, 0),
    (Spec::expression("cron(0 0 1 1 ? *)").open("24h"), 46, 0),
];

#[expect(clippy::disallowed_methods, reason = "the time that a test takes is told")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Another instant for each secret, never one at which something is due.
fn instant_of(secret: usize, day: i64) -> i64 {
    START + day * DAY + secret as i64 * 37 * MINUTE + 17_503 + secret as i64
}

/// Shows the first difference with what came before it for the same secret.
fn compare(lines: &[Line], expected: &[Line]) {
    if lines == expected {
        return;
    }
    let index = lines.iter().zip(expected).position(|(is, should)| is != should);
    let index = index.unwrap_or(lines.len().min(expected.len()));
    let secret = expected.get(index).or(lines.get(index)).unwrap().secret;
    let of_secret = |lines: &[Line]| {
        let lines: Vec<Line> = lines.iter().take(index + 1).filter(|line| line.secret == secret).copied().collect();
        lines[lines.len().saturating_sub(4)..].to_vec()
    };
    panic!(
        "{} lines, expected {}; the first difference is in line {index}, of secret {secret}:\n{:?}\nexpected {:?}\n\
         before it: {:?}",
        lines.len(),
        expected.len(),
        lines.get(index),
        expected.get(index),
        of_secret(&expected[..index.min(expected.len())]),
    );
}

/// Lives through scripts and through the oracle's reading of them.
fn simulate(title: &str, scripts: &[Script], specs: &[Spec], purged: u64) -> Vec<Line> {
    let calendar = Calendar::new(specs);
    let (expected, of_oracle) = timed(|| {
        let of_secret = |(secret, script): (usize, &Script)| Oracle::lines(&calendar, secret, &script.events, END);
        let mut lines: Vec<Line> = scripts.iter().enumerate().flat_map(of_secret).collect();
        lines.sort_by_key(|line| (line.at, line.secret));
        lines
    });
    let mut year = Year::new(scripts.len());
    let ((), of_store) = timed(|| year.live(scripts, END));
    let firings = year.lines.iter().filter(|line| line.is_firing()).count();
    let counts = &year.counts;
    eprintln!(
        "{title}: {} secrets, {firings} firings in {} calls of maintain ({} rotated, {} failed, {} tested), {} \
         secrets purged, {} calls by hand; {:.1} s, and {:.1} s for the oracle",
        scripts.len(),
        counts.maintained,
        counts.rotated,
        counts.failed,
        counts.tested,
        counts.purged,
        year.lines.len() - firings,
        of_store.as_secs_f64(),
        of_oracle.as_secs_f64()
    );
    compare(&year.lines, &expected);
    assert_eq!(counts.purged, purged, "secrets whose recovery window ended");
    assert_eq!(year.check_values() as u64 + purged, scripts.len() as u64, "secrets that are left");
    expected
}

#[test]
fn a_thousand_secrets_rotate_through_a_year_exactly_when_their_schedules_say() {
    let each = MIX.iter().flat_map(|(spec, count, day)| std::iter::repeat_n((*spec, *day), *count));
    let scripts: Vec<Script> = each
        .enumerate()
        .map(|(secret, (spec, day))| {
            let at = instant_of(secret, day);
            let configure = Deed::Configure { spec, immediately: secret % 2 == 0 };
            Script { events: vec![Event { at, deed: Deed::Create }, Event { at: at + HOUR, deed: configure }] }
        })
        .collect();
    assert_eq!(scripts.len(), 1_000);
    let specs = MIX.map(|(spec, ..)| spec);
    let lines = simulate("a year", &scripts, &specs, 0);
    let mut by_spec = MIX.map(|_| 0);
    let mut first = 0;
    for (index, (_, count, _)) in MIX.iter().enumerate() {
        by_spec[index] = lines.iter().filter(|line| (first..first + count).contains(&line.secret)).count() / count;
        first += count;
    }
    // Creating, configuring, and one attempt at once; everything else came by itself. Days beyond a year do not come.
    let silent = MIX.iter().zip(by_spec).filter(|((spec, ..), lines)| *lines <= 3 && !is_beyond_a_year(spec));
    assert_eq!(silent.map(|((spec, ..), _)| spec).collect::<Vec<_>>(), Vec::<&Spec>::new(), "never due");
}

fn is_beyond_a_year(spec: &Spec) -> bool {
    spec.days == Some(1_000) || spec.expression == Some("rate(999 days)") || spec.days == Some(365) || {
        spec.expression.is_some_and(|text| text == "rate(365 days)")
    }
}

/// What the secrets of the second year are rotated by. Each of them meets each of the scripts.
const SPECS: [Spec; 10] = [
    Spec::days(10),
    Spec::days(30).open("4h"),
    Spec::expression("rate(14 days)"),
    Spec::expression("rate(3 days)").open("6h"),
    Spec::expression("rate(23 hours)"),
    Spec::expression("cron(0 /12 ? * MON *)"),
    Spec::expression("cron(0 8 1,15 * ? *)").open("3h"),
    Spec::expression("cron(0 17 L * ? *)"),
    Spec::expression("cron(0 3 ? * SUN *)"),
    Spec::expression("cron(0 20 ? * 6#2 *)").open("2h"),
];

/// Begins on a day late in the year for schedules that fire often, so that they do not fire too often.
fn first_day(spec: &Spec) -> i64 {
    let is_frequent = matches!(spec.expression, Some("rate(3 days)" | "rate(23 hours)"));
    if is_frequent { 300 } else { 0 }
}

/// The starts of the windows in which a secret would be rotated if nothing else happened.
fn undisturbed(calendar: &Calendar, events: &[Event]) -> Vec<i64> {
    let lines = Oracle::lines(calendar, 0, events, END);
    let by_schedule = lines.iter().filter(|line| line.is_firing() && line.at % HOUR == 0);
    by_schedule.map(|line| line.at).collect()
}

/// What happens to a secret besides its schedule.
fn disturb(kind: usize, secret: usize, spec: &Spec, starts: &[i64], begun: i64) -> Vec<Event> {
    let does = |at: i64, deed: Deed| Event { at: at + 17_503 + secret as i64, deed };
    let breaks = |fault| Deed::Function(Some(fault));
    let mends = Deed::Function(None);
    let day = |days: i64| begun + days * DAY;
    let (first, second) = (starts[1], starts[2]);
    match kind {
        // A value by hand now and then.
        0 => (1..9).map(|number| does(day(number * 13) + 20 * MINUTE, Deed::Put)).collect(),
        // Turned off and on again, first with a test and then with a rotation.
        1 => vec![
            does(day(20), Deed::Cancel),
            does(day(21) + 5 * HOUR, Deed::Rotate { immediately: false }),
            does(day(40), Deed::Cancel),
            does(day(41), Deed::Cancel),
            does(day(60), Deed::Put),
            does(day(100) + HOUR, Deed::Rotate { immediately: true }),
        ],
        // A function that fails for some windows, in any of its steps.
        2 => vec![does(first - 2 * HOUR, breaks(Fault::InStep(secret / 10 % 4))), does(second + 3 * HOUR, mends)],
        // Deleted and restored, between two windows and over one.
        3 => vec![
            does(first + 12 * HOUR, Deed::Delete),
            does(first + 13 * HOUR, Deed::Restore),
            does(second - 3 * HOUR, Deed::Delete),
            does(second + 2 * DAY + 10 * HOUR, Deed::Restore),
        ],
        // It did everything and says that it failed; later it does nothing and says that it did.
        4 => vec![
            does(first - HOUR, breaks(Fault::AfterFinish)),
            does(first + 5 * MINUTE, mends),
            does(second - HOUR, breaks(Fault::Idle)),
            does(second + 2 * DAY, mends),
        ],
        // Turned off in the middle of a failing rotation, which then stands in the way.
        5 => vec![
            does(first - HOUR, breaks(Fault::InStep(2))),
            does(first + 4 * MINUTE, Deed::Cancel),
            does(first + 30 * MINUTE, Deed::Rotate { immediately: true }),
            does(first + 31 * MINUTE, mends),
            does(first + 40 * MINUTE, Deed::Put),
            does(first + 50 * MINUTE, Deed::Rotate { immediately: false }),
        ],
        // Other rules, and rotations between.
        6 => {
            let other = if spec.expression.is_some() { Spec::days(21).open("2h") } else { SPECS[5] };
            vec![
                does(day(30), Deed::Rotate { immediately: true }),
                does(day(31), Deed::Put),
                does(day(50), Deed::Configure { spec: other, immediately: (secret / 10).is_multiple_of(2) }),
                does(day(70) + 8 * HOUR, Deed::Rotate { immediately: false }),
                does(day(90), Deed::Configure { spec: *spec, immediately: true }),
            ]
        }
        // It fails twice and then works.
        7 => vec![
            does(first - HOUR, breaks(Fault::InStep(1))),
            does(first + 2 * MINUTE, mends),
            does(second - HOUR, breaks(Fault::InStep(3))),
            does(second + 6 * MINUTE, mends),
        ],
        // Deleted between two attempts.
        8 => vec![
            does(first - HOUR, breaks(Fault::InStep(0))),
            does(first + MINUTE, Deed::Delete),
            does(first + 30 * MINUTE, mends),
            does(first + 40 * MINUTE, Deed::Restore),
            does(second - HOUR, breaks(Fault::InStep(0))),
            does(second + MINUTE, Deed::Delete),
            does(second + 150 * MINUTE, mends),
            does(second + 170 * MINUTE, Deed::Restore),
        ],
        // Deleted while a window passes, and restored in the next one; purged in the end.
        _ => vec![
            does(first - HOUR, Deed::Delete),
            // Before the recovery window ends.
            does(if second - first < 20 * DAY { second + 80 * MINUTE } else { first + 26 * HOUR }, Deed::Restore),
            does(second + 10 * DAY, Deed::Delete),
        ],
    }
}

#[test]
fn a_hundred_secrets_that_are_meddled_with_for_a_year_rotate_when_they_should() {
    let calendar = Calendar::new(&SPECS);
    let mut scripts = Vec::new();
    for secret in 0..100 {
        let (spec, kind) = (SPECS[secret / 10], secret % 10);
        let begun = instant_of(secret, first_day(&spec));
        let configure = Deed::Configure { spec, immediately: kind % 2 == 0 };
        let mut events = vec![Event { at: begun, deed: Deed::Create }, Event { at: begun + HOUR, deed: configure }];
        let starts = undisturbed(&calendar, &events);
        events.extend(disturb(kind, secret, &spec, &starts, begun));
        assert!(events.is_sorted_by_key(|event| event.at), "secret {secret}");
        scripts.push(Script { events });
    }
    let lines = simulate("a year of meddling", &scripts, &SPECS, 10);
    let count = |is: fn(&What) -> bool| lines.iter().filter(|line| is(&line.what)).count();
    assert!(count(|what| matches!(what, What::Failed { .. })) > 100, "hardly anything failed");
    assert!(count(|what| matches!(what, What::Refused(_))) > 3, "nothing stood in the way");
}
