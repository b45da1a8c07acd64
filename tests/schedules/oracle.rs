//! The rules of schedules in other words: a calendar that counts days one by one, and expressions that are compared as
//! texts with each day and each hour. Nothing here is quick, and nothing is shared with what is tested.

use std::collections::BTreeSet;

use crate::Rules;

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    pub(crate) year: i32,
    /// From 1 on, like the day.
    pub(crate) month: usize,
    pub(crate) day: usize,
    /// 0 is Sunday.
    pub(crate) weekday: usize,
    length_of_month: usize,
}

fn length_of_month(year: i32, month: usize) -> usize {
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap_year { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    lengths[month - 1]
}

/// All days of so many years.
pub(crate) fn days(first_year: i32, years: usize) -> Vec<Day> {
    // 1 January 2000 was a Saturday, and four centuries are a whole number of weeks.
    let mut weekday = 6;
    let mut days = Vec::new();
    let years = i32::try_from(years).unwrap();
    for year in 2000 - 400..first_year + years {
        for month in 1..=12 {
            let length_of_month = length_of_month(year, month);
            for day in 1..=length_of_month {
                if year >= first_year {
                    days.push(Day { year, month, day, weekday, length_of_month });
                }
                weekday = (weekday + 1) % 7;
            }
        }
    }
    days
}

/// What a list names, where the values from `first` on have these names, and are also called by their number.
fn listed(list: &str, first: usize, names: &[String]) -> BTreeSet<usize> {
    list.split(',').flat_map(|item| listed_once(item, first, names)).collect()
}

fn listed_once(item: &str, first: usize, names: &[String]) -> Vec<usize> {
    let (base, step) = item.split_once('/').map_or((item, ""), |(base, step)| (base, step));
    let place = |text: &str| {
        let by_number = text.parse::<usize>().ok().map(|number| number - first);
        by_number.or_else(|| names.iter().position(|name| *name == text.to_uppercase())).unwrap()
    };
    let (from, to) = match base.split('-').collect::<Vec<_>>()[..] {
        ["" | "*"] => (0, names.len() - 1),
        [value] if step.is_empty() => (place(value), place(value)),
        [value] => (place(value), names.len() - 1),
        [from, to] => (place(from), place(to)),
        _ => panic!("{item} is no item"),
    };
    // Twice around, so that what passes the end goes on at the beginning.
    let around = (0..names.len()).chain(0..names.len()).skip(from);
    let length = if from <= to { to - from } else { names.len() - from + to } + 1;
    around.take(length).step_by(step.parse().unwrap_or(1)).map(|place| place + first).collect()
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn numbered(first: usize, last: usize) -> Vec<String> {
    (first..=last).map(|number| number.to_string()).collect()
}

/// A cron expression, as its words.
pub(crate) struct Cron<'a> {
    hours: &'a str,
    days: &'a str,
    months: BTreeSet<usize>,
    weekdays: &'a str,
}

impl<'a> Cron<'a> {
    pub(crate) fn new(expression: &'a str) -> Option<Self> {
        let words: Vec<&str> = expression.strip_prefix("cron(")?.strip_suffix(')')?.split_whitespace().collect();
        let [_, hours, days, months, weekdays, _] = words[..] else { panic!("{expression} has other fields") };
        Some(Self { hours, days, months: listed(months, 1, &named(&MONTHS)), weekdays })
    }

    pub(crate) fn hours(&self) -> BTreeSet<usize> {
        listed(self.hours, 0, &numbered(0, 23))
    }

    /// Whether the hours of a day are far enough apart.
    pub(crate) fn is_spaced(&self) -> bool {
        let hours: Vec<usize> = self.hours().into_iter().collect();
        hours.windows(2).all(|pair| pair[1] - pair[0] >= 4)
    }

    pub(crate) fn has(&self, day: &Day) -> bool {
        let is_month = self.months.contains(&day.month);
        is_month && if self.weekdays == "?" { self.has_day_of_month(day) } else { self.has_day_of_week(day) }
    }

    fn has_day_of_month(&self, day: &Day) -> bool {
        self.days.split(',').any(|item| {
            let upper = item.to_uppercase();
            match upper.strip_suffix('L') {
                Some("") => day.day == day.length_of_month,
                Some(weekday) => WEEKDAYS[day.weekday] == weekday && day.day + 7 > day.length_of_month,
                None => listed_once(item, 1, &numbered(1, 31)).contains(&day.day),
            }
        })
    }

    fn has_day_of_week(&self, day: &Day) -> bool {
        self.weekdays.split(',').any(|item| match item.split_once('#') {
            Some((weekday, number)) => {
                let is_weekday = listed_once(weekday, 1, &named(&WEEKDAYS)).contains(&(day.weekday + 1));
                is_weekday && day.day.div_ceil(7).to_string() == number
            }
            None if item.eq_ignore_ascii_case("L") => day.weekday == 6,
            None => listed_once(item, 1, &named(&WEEKDAYS)).contains(&(day.weekday + 1)),
        })
    }

    /// Whether there is such a day at all, in the four centuries after which everything repeats.
    pub(crate) fn can_come(&self) -> bool {
        days(2000, 8).iter().any(|day| self.has(day)) || days(2000, 400).iter().any(|day| self.has(day))
    }
}

/// The number of a rate, and whether it is in hours.
fn rate(rules: &Rules) -> Option<(usize, bool)> {
    if let Some(days) = rules.days {
        return Some((usize::try_from(days).unwrap(), false));
    }
    let rate = rules.expression.as_deref()?.strip_prefix("rate(")?.strip_suffix(')')?;
    let words: Vec<&str> = rate.split_whitespace().collect();
    Some((words[0].parse().unwrap(), words[1].starts_with("hour")))
}

/// The hours of the days at which windows start, counted from the first one. Days and hours are counted from a day.
pub(crate) fn starts(rules: &Rules, days: &[Day], origin: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    if let Some((number, is_in_hours)) = rate(rules) {
        // Hours since midnight of the day, or days since it: each time that so many have passed, it is time.
        let mut passed = 0;
        for hour in origin * 24..days.len() * 24 {
            let is_counted = is_in_hours || hour % 24 == 0;
            if is_counted && passed % number == 0 && (is_in_hours || passed > 0) {
                starts.push(hour);
            }
            passed += usize::from(is_counted);
        }
        return starts;
    }
    let cron = rules.expression.as_deref().and_then(Cron::new).unwrap();
    let hours = cron.hours();
    for (index, _) in days.iter().enumerate().filter(|(_, day)| cron.has(day)) {
        starts.extend(hours.iter().map(|hour| index * 24 + hour));
    }
    starts
}

/// How many hours a window is open, if that does not depend on the day: by its duration, or for want of one.
pub(crate) fn hours_open(rules: &Rules) -> Option<usize> {
    let is_short = match rate(rules) {
        Some((_, is_in_hours)) => is_in_hours,
        None => rules.expression.as_deref().and_then(Cron::new).unwrap().hours().len() > 1,
    };
    rules.duration.or(is_short.then_some(1))
}

/// The hour at which the window ends that starts at this one, found by waiting. `next` is the start of the next window.
pub(crate) fn end(hours_open: Option<usize>, start: usize, next: Option<usize>) -> usize {
    let mut hour = start;
    loop {
        hour += 1;
        if hour.is_multiple_of(24) || Some(hour) == next || Some(hour - start) == hours_open {
            return hour;
        }
    }
}

/// `AutomaticallyAfterDays`, asked at a time between these two starts.
pub(crate) fn days_between(rules: &Rules, last: usize, next: usize) -> usize {
    match rate(rules) {
        Some((_, true)) => 1,
        Some((days, false)) => days,
        None => (next / 24 - last / 24).max(1),
    }
}
