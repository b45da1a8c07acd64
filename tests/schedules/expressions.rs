//! Schedules to try: the documented ones, and generated ones of every form.

use crate::{Random, Rules};

/// Expressions of the documentation, and of the forms that it describes.
pub(crate) const DOCUMENTED: [&str; 34] = [
    "rate(10 days)",
    "rate(1 day)",
    "rate(30 day)",
    "rate(999 days)",
    "rate(4 hours)",
    "rate(5 hours)",
    "rate(10 hours)",
    "rate(12 hour)",
    "rate(23 hours)",
    "cron(0 8/8 * * ? *)",
    "cron(0 /4 * * ? *)",
    "cron(0 2/10 * * ? *)",
    "cron(0 0,12 * * ? *)",
    "cron(0 8 * * ? *)",
    "cron(0 18 ? * SAT *)",
    "cron(0 8 1 * ? *)",
    "cron(0 1 ? 1/3 SUN#1 *)",
    "cron(0 17 L * ? *)",
    "cron(0 17 SUNL * ? *)",
    "cron(0 8 ? * MON-FRI *)",
    "cron(0 16 1,15 * ? *)",
    "cron(0 0 ? * 2 *)",
    "cron(0 0 ? * TUE#3 *)",
    "cron(0 0 ? * 2#3 *)",
    "cron(0 0 ? * L *)",
    "cron(0 0 ? * 1/2 *)",
    "cron(0 0 1/2 * ? *)",
    "cron(0 0 */2 * ? *)",
    "cron(0 0 1-10/3 * ? *)",
    "cron(0 0 29 2 ? *)",
    "cron(0 0 31 * ? *)",
    "cron(0 0 ? FEB MON#5 *)",
    "cron(0 0 ? * FRI-MON *)",
    "cron(0 0 1 NOV-FEB ? *)",
];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Rules of any kind. A cron expression among them may name hours that are too close, or days that never come.
pub(crate) fn generated(random: &mut Random) -> Rules {
    let mut rules = match random.below(10) {
        0 => Rules { days: Some(i64::try_from(1 + random.below(1_000)).unwrap()), ..Rules::default() },
        1 => Rules::expression(&format!("rate({} {})", 1 + random.below(400), random.one_of(&["day", "days"]))),
        2 => Rules::expression(&format!("rate({} {})", 4 + random.below(20), random.one_of(&["hour", "hours"]))),
        _ => Rules::expression(&cron(random)),
    };
    if random.below(3) == 0 {
        // Short durations fit more schedules than long ones.
        let limit = random.one_of(&[4, 8, 24]);
        rules.duration = Some(1 + random.below(limit));
    }
    rules
}

fn cron(random: &mut Random) -> String {
    let months = match random.below(3) {
        0 => "*".to_owned(),
        _ => list(random, |random| item(random, 1, 12, &MONTHS)),
    };
    let (days, weekdays) = match random.below(2) {
        0 if random.below(8) == 0 => {
            // Days that some months do not have.
            let short = random.one_of(&["2", "FEB", "4,6", "SEP", "2,11", "FEB-MAR"]);
            return format!("cron(0 8 {} {short} ? *)", random.one_of(&["29", "30", "31", "30-31", "29,31"]));
        }
        0 => (list(random, day_of_month), "?".to_owned()),
        _ => ("?".to_owned(), list(random, day_of_week)),
    };
    let space = random.one_of(&[" ", " ", " ", "  "]);
    format!("cron({})", [random.one_of(&["0", "00"]), &hours(random), &days, &months, &weekdays, "*"].join(space))
}

fn hours(random: &mut Random) -> String {
    let hour = random.below(24);
    match random.below(7) {
        0..=2 => hour.to_string(),
        3 => format!("{hour}/{}", 4 + random.below(20)),
        4 => format!("{}/{}", random.one_of(&["", "*"]), 4 + random.below(20)),
        5 => format!("{}-{}/{}", hour / 2, 12 + hour / 2, 3 + random.below(8)),
        _ => list(random, |random| random.below(24).to_string()),
    }
}

fn day_of_month(random: &mut Random) -> String {
    match random.below(8) {
        0 => random.one_of(&["L", "l"]).to_owned(),
        1 => format!("{}L", random.one_of(&WEEKDAYS)),
        2 => random.one_of(&["29", "30", "31"]).to_owned(),
        _ => item(random, 1, 31, &[]),
    }
}

fn day_of_week(random: &mut Random) -> String {
    match random.below(8) {
        0 => "L".to_owned(),
        1 => format!("{}#{}", random.one_of(&WEEKDAYS), 1 + random.below(5)),
        2 => format!("{}#{}", 1 + random.below(7), 1 + random.below(5)),
        _ => item(random, 1, 7, &WEEKDAYS),
    }
}

fn list(random: &mut Random, item: impl Fn(&mut Random) -> String) -> String {
    let count = random.one_of(&[1, 1, 1, 2, 3]);
    (0..count).map(|_| item(random)).collect::<Vec<_>>().join(",")
}

/// A value, a range or everything, with a step or without. Ranges go round where there are names.
fn item(random: &mut Random, first: usize, last: usize, names: &[&str]) -> String {
    let count = last - first + 1;
    let value = |random: &mut Random, place: usize| match names.get(place) {
        Some(name) if random.below(3) == 0 => name.to_lowercase(),
        Some(name) if random.below(2) == 0 => (*name).to_owned(),
        _ => random.one_of(&["", "", "0"]).to_owned() + &(first + place).to_string(),
    };
    let (from, to) = (random.below(count), random.below(count));
    let (from, to) = if names.is_empty() { (from.min(to), from.max(to)) } else { (from, to) };
    let steps = [0, 1 + random.below(last), 1 + random.below(4)];
    let step = random.one_of(&steps);
    match (random.below(5), step) {
        (0, 0) => "*".to_owned(),
        (0, step) => format!("{}/{step}", random.one_of(&["", "*"])),
        (1 | 2, 0) => value(random, from),
        (1 | 2, step) => format!("{}/{step}", value(random, from)),
        (_, 0) => format!("{}-{}", value(random, from), value(random, to)),
        (_, step) => format!("{}-{}/{step}", value(random, from), value(random, to)),
    }
}
