//! Cron expressions beside `croner`, which reads them for other programs.

use chrono::TimeDelta;
use croner::parser::{CronParser, Seconds, Year};

use crate::expressions::{DOCUMENTED, generated};
use crate::{Random, Rules, at, is_long, seed};

/// The same expression in the other dialect: weekdays from 1, Sunday, to 7, as here, and no year. Both understand `?` and
/// names in any case. `Err` says why there is none.
fn translated(expression: &str) -> Result<String, &'static str> {
    let inside = expression.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')).ok_or("it is a rate")?;
    let words: Vec<String> = inside.split_whitespace().map(str::to_uppercase).collect();
    let [minutes, hours, days, months, weekdays, _] = &words[..] else { panic!("{expression} has other fields") };
    let (mut days, mut months, mut weekdays) = (days.clone(), months.clone(), weekdays.clone());
    if weekdays.split(',').any(|item| item == "L") {
        return Err("`L` alone as a day of the week means nothing there");
    }
    for field in [&mut days, &mut months, &mut weekdays] {
        if field.split(',').any(|item| item == "*") {
            // There `*` stands alone.
            "*".clone_into(field);
        }
    }
    let is_last_weekday = |item: &str| item.len() > 1 && item.ends_with('L');
    if days.split(',').all(is_last_weekday) {
        // There the last Sunday of the month is a day of the week.
        (days, weekdays) = ("*".to_owned(), days);
    } else if days.split(',').any(is_last_weekday) {
        return Err("days of the month and last weekdays are in two fields there");
    }
    let goes_round = |field: &str, names: &[&str]| {
        field.split(',').any(|item| {
            let range = item.split('/').next().and_then(|base| base.split_once('-'));
            let place = |text: &str| {
                text.parse().ok().or_else(|| names.iter().position(|name| *name == text).map(|place| place + 1))
            };
            range.is_some_and(|(from, to)| place(from) > place(to))
        })
    };
    let months_of_the_year = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let days_of_the_week = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    if goes_round(&months, &months_of_the_year) || goes_round(&weekdays, &days_of_the_week) {
        return Err("ranges do not go round there");
    }
    Ok([minutes, hours, &days, &months, &weekdays].map(String::as_str).join(" "))
}

fn compare(expression: &str, from: &str, count: usize) {
    let theirs = translated(expression).unwrap();
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .alternative_weekdays(true)
        // `8/8` and `/8`.
        .sloppy_ranges(true)
        .build();
    let theirs = parser.parse(&theirs).unwrap_or_else(|error| panic!("{expression} as {theirs}: {error}"));
    let ours = Rules::expression(expression).parse().unwrap();
    let mut after = at(from);
    // The other reader gives up in the year 5000.
    for _ in 0..count {
        if after > at("4500-01-01T00:00:00Z") {
            break;
        }
        let start = ours.next_window(after, after).unwrap().start;
        let expected = theirs.find_next_occurrence(&after, false).unwrap();
        assert_eq!(start, expected, "{expression} after {after}");
        after = start;
    }
}

#[test]
fn another_reader_of_cron_expressions_names_the_same_hours() {
    let mut random = Random(seed());
    let (mut compared, mut excluded) = (0, [0; 4]);
    let documented = DOCUMENTED.map(|expression| (expression.to_owned(), 300));
    let generated = std::iter::repeat_with(|| generated(&mut random)).filter_map(|rules| {
        let is_taken = Rules { duration: None, ..rules.clone() }.parse().is_ok();
        rules.expression.filter(|_| is_taken).map(|expression| (expression, 40))
    });
    for (expression, count) in documented.into_iter().chain(generated.take(if is_long() { 20_000 } else { 500 })) {
        match translated(&expression) {
            Ok(_) => {
                compared += 1;
                for from in ["2023-12-31T23:30:00Z", "1895-02-28T12:00:00Z"] {
                    compare(&expression, from, count);
                }
            }
            Err("it is a rate") => excluded[0] += 1,
            Err("ranges do not go round there") => excluded[1] += 1,
            Err("days of the month and last weekdays are in two fields there") => excluded[2] += 1,
            Err(_) => excluded[3] += 1,
        }
    }
    let [rates, round, mixed, last] = excluded;
    eprintln!(
        "another reader: {compared} expressions compared; not compared: {rates} rates, {round} with ranges that go round, \
         {mixed} with days of the month beside last weekdays, {last} with `L` as a day of the week"
    );
    assert!(compared > 100);
}

/// `L` as a day of the week, ranges that go round, and last weekdays beside days of the month are written out.
#[test]
fn what_the_other_reader_does_not_know_is_the_same_as_what_it_knows() {
    let rows = [
        ("cron(0 8 ? * L *)", "cron(0 8 ? * SAT *)"),
        ("cron(0 8 ? * MON,L *)", "cron(0 8 ? * MON,SAT *)"),
        ("cron(0 8 ? * FRI-MON *)", "cron(0 8 ? * FRI,SAT,SUN,MON *)"),
        ("cron(0 8 ? * FRI-MON/2 *)", "cron(0 8 ? * FRI,SUN *)"),
        ("cron(0 8 1 NOV-FEB ? *)", "cron(0 8 1 11,12,1,2 ? *)"),
        ("cron(0 8 1 11-2/3 ? *)", "cron(0 8 1 11,2 ? *)"),
    ];
    for (ours, theirs) in rows {
        assert!(translated(ours).is_err(), "{ours}");
        assert_eq!(Rules::expression(ours).parse().unwrap(), Rules::expression(theirs).parse().unwrap(), "{ours}");
        compare(theirs, "2023-12-31T23:30:00Z", 300);
    }
    let (mixed, sundays) = ("cron(0 8 15,SUNL * ? *)", "cron(0 8 SUNL * ? *)");
    let [mixed, sundays, fifteenth] =
        [mixed, sundays, "cron(0 8 15 * ? *)"].map(|text| Rules::expression(text).parse().unwrap());
    let mut after = at("2023-12-31T23:30:00Z");
    for _ in 0..300 {
        let next = |schedule: &strongroom::RotationSchedule| schedule.next_window(after, after).unwrap().start;
        assert_eq!(next(&mixed), next(&sundays).min(next(&fifteenth)), "after {after}");
        after = next(&mixed) + TimeDelta::zero();
    }
}
