//! The calendar of the oracle: days counted one by one from a known one, and schedules read anew for each hour of them.
//!
//! Nothing here is clever. Where a window begins is found by asking every hour.

use std::collections::BTreeMap;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Midnight of Tuesday, the first of June 2027, in milliseconds. The year that begins with it has a leap day.
pub(crate) const START: i64 = 1_811_808_000_000;

/// Days that are simulated.
pub(crate) const YEAR_DAYS: i64 = 366;

/// Days that the oracle knows, enough for every window that follows from something within the year.
const KNOWN_DAYS: usize = 6 * 366;

const MONTH_NAMES: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAY_NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When a secret is rotated, as its user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) days: Option<i64>,
    pub(crate) expression: Option<&'static str>,
    pub(crate) duration: Option<&'static str>,
}

impl Spec {
    pub(crate) const fn days(days: i64) -> Self {
        Self { days: Some(days), expression: None, duration: None }
    }

    pub(crate) const fn expression(expression: &'static str) -> Self {
        Self { days: None, expression: Some(expression), duration: None }
    }

    pub(crate) const fn open(mut self, duration: &'static str) -> Self {
        self.duration = Some(duration);
        self
    }

    fn hours_open(&self) -> Option<i64> {
        self.duration.map(|text| text.trim_end_matches('h').parse().unwrap())
    }
}

enum Rule<'a> {
    Days(i64),
    Hours(i64),
    /// Which hours since the start are named.
    Cron(&'a [bool]),
}

impl Rule<'_> {
    fn is_start(&self, origin: Origin, hour: i64) -> bool {
        match self {
            Self::Days(days) => {
                let since = hour / 24 - origin.days_from;
                hour % 24 == 0 && since > 0 && since % days == 0
            }
            Self::Hours(hours) => hour >= origin.hours_from * 24 && (hour - origin.hours_from * 24) % hours == 0,
            Self::Cron(hours) => hours[usize::try_from(hour).unwrap()],
        }
    }
}

/// What schedules are counted from, as days since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The last rotation, change of the value by hand, or configuration.
    pub(crate) days_from: i64,
    /// The configuration.
    pub(crate) hours_from: i64,
}

/// A window, in hours since the start. The end does not belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    start: i64,
    end: i64,
}

impl Window {
    pub(crate) fn start(self) -> i64 {
        START + self.start * HOUR
    }

    pub(crate) fn end(self) -> i64 {
        START + self.end * HOUR
    }

    /// What `NextRotationDate` shows of it.
    pub(crate) fn date(self) -> i64 {
        self.end() - 1_000
    }
}

struct Day {
    month: i64,
    day: i64,
    /// 1 is Sunday.
    weekday: i64,
    days_of_month: i64,
}

pub(crate) struct Calendar {
    days: Vec<Day>,
    /// For each cron expression, which hours since the start it names.
    crons: BTreeMap<&'static str, Vec<bool>>,
}

impl Calendar {
    pub(crate) fn new(specs: &[Spec]) -> Self {
        let mut calendar = Self { days: known_days(), crons: BTreeMap::new() };
        for expression in specs.iter().filter_map(|spec| spec.expression).filter(|text| text.starts_with("cron")) {
            if !calendar.crons.contains_key(expression) {
                let hours = calendar.days.iter().flat_map(|day| hours_of(expression, day)).collect();
                calendar.crons.insert(expression, hours);
            }
        }
        calendar
    }

    fn rule(&self, spec: &Spec) -> Rule<'_> {
        let Some(expression) = spec.expression else { return Rule::Days(spec.days.unwrap()) };
        if let Some(hours) = self.crons.get(expression) {
            return Rule::Cron(hours);
        }
        let rate = expression.trim_start_matches("rate(").trim_end_matches(')');
        let (number, unit) = rate.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        if unit.starts_with("day") { Rule::Days(number) } else { Rule::Hours(number) }
    }

    /// The first window that begins later than an instant.
    pub(crate) fn next(&self, spec: &Spec, origin: Origin, after: i64) -> Window {
        let known = self.days.len() as i64 * 24;
        let rule = self.rule(spec);
        let first = (after - START).div_euclid(HOUR).max(-1) + 1;
        let start = (first..known).find(|hour| rule.is_start(origin, *hour)).expect("the oracle knows too little");
        let is_often = match rule {
            Rule::Days(_) => false,
            Rule::Hours(_) => true,
            Rule::Cron(_) => {
                let hours = spec.expression.unwrap().split(' ').nth(1).unwrap();
                (0..24).filter(|hour| lists(hours, *hour, 0, 23, &[])).count() > 1
            }
        };
        let longest = spec.hours_open().unwrap_or(if is_often { 1 } else { 24 });
        let end = (start + 1..start + longest)
            .find(|hour| hour % 24 == 0 || rule.is_start(origin, *hour))
            .unwrap_or(start + longest);
        Window { start, end }
    }

    /// The window that an instant is in, or else the first one after it.
    pub(crate) fn open_or_next(&self, spec: &Spec, origin: Origin, now: i64) -> Window {
        let mut window = self.next(spec, origin, now - 2 * DAY);
        while window.end() <= now {
            window = self.next(spec, origin, window.start());
        }
        window
    }
}

fn known_days() -> Vec<Day> {
    let (mut year, mut month, mut day, mut weekday) = (2027, 6, 1, 3);
    let mut days = Vec::new();
    while days.len() < KNOWN_DAYS {
        let days_of_month = match month {
            2 if year % 4 == 0 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        days.push(Day { month, day, weekday, days_of_month });
        weekday = weekday % 7 + 1;
        day += 1;
        if day > days_of_month {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
    days
}

/// Which hours of a day an expression names.
fn hours_of(expression: &str, day: &Day) -> [bool; 24] {
    let fields: Vec<&str> = expression.trim_start_matches("cron(").trim_end_matches(')').split(' ').collect();
    let [_, hours, days, months, weekdays, _] = fields[..] else { panic!("six fields: {expression}") };
    let of_the_month = |item: &str| match item.strip_suffix('L') {
        Some("") => day.day == day.days_of_month,
        Some(weekday) => number(weekday, &WEEKDAY_NAMES) == day.weekday && day.day + 7 > day.days_of_month,
        None => lists(item, day.day, 1, 31, &[]),
    };
    let of_the_week = |item: &str| match item.split_once('#') {
        Some((weekday, week)) => {
            number(weekday, &WEEKDAY_NAMES) == day.weekday && (day.day + 6) / 7 == number(week, &[])
        }
        None if item == "L" => day.weekday == 7,
        None => lists(item, day.weekday, 1, 7, &WEEKDAY_NAMES),
    };
    let is_day = lists(months, day.month, 1, 12, &MONTH_NAMES)
        && (days == "?" || days.split(',').any(of_the_month))
        && (weekdays == "?" || weekdays.split(',').any(of_the_week));
    std::array::from_fn(|hour| is_day && lists(hours, hour as i64, 0, 23, &[]))
}

/// Whether a list has a value, found by walking along each of its items.
fn lists(list: &str, value: i64, first: i64, last: i64, names: &[&str]) -> bool {
    list.split(',').any(|item| {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(number(step, &[]))));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range.is_empty() => (first, last),
            Some((from, to)) => (number(from, names), number(to, names)),
            None if step.is_some() => (number(range, names), last),
            None => (number(range, names), number(range, names)),
        };
        let (mut at, mut walked) = (from, 0);
        loop {
            if at == value && walked % step.unwrap_or(1) == 0 {
                return true;
            }
            if at == to {
                return false;
            }
            at = if at == last { first } else { at + 1 };
            walked += 1;
        }
    })
}

/// A number, or what a name stands for.
fn number(text: &str, names: &[&str]) -> i64 {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|index| index as i64 + 1);
    named.unwrap_or_else(|| text.parse().unwrap())
}

/// The oracle is only worth something if it knows its calendar: these are read off one that is printed.
#[test]
fn the_oracle_agrees_with_a_printed_calendar() {
    let rows: [(&str, &str, &[&str]); 8] = [
        ("cron(0 8 1 * ? *)", "2027-06-01 09", &["2027-07-01 08", "2027-08-01 08"]),
        ("cron(0 17 L * ? *)", "2028-02-01 00", &["2028-02-29 17", "2028-03-31 17"]),
        ("cron(0 1 ? 1/3 SUN#1 *)", "2027-06-01 00", &["2027-07-04 01", "2027-10-03 01", "2028-01-02 01"]),
        ("cron(0 3 SUNL * ? *)", "2027-06-01 00", &["2027-06-27 03", "2027-07-25 03", "2027-08-29 03"]),
        ("cron(0 8 ? * MON-FRI *)", "2027-06-04 08", &["2027-06-07 08", "2027-06-08 08"]),
        (
            "cron(0 2/10 * * ? *)",
            "2027-06-01 00",
            &["2027-06-01 02", "2027-06-01 12", "2027-06-01 22", "2027-06-02 02"],
        ),
        ("cron(0 5 29 2 ? *)", "2027-06-01 00", &["2028-02-29 05"]),
        ("cron(0 18 ? * SAT *)", "2027-12-31 00", &["2028-01-01 18", "2028-01-08 18"]),
    ];
    let at = |text: &str| format!("{text}:00:00Z").parse::<strongroom::Timestamp>().unwrap().timestamp_millis();
    let origin = Origin { days_from: 0, hours_from: 0 };
    for (expression, after, expected) in rows {
        let spec = Spec::expression(expression);
        let calendar = Calendar::new(&[spec]);
        let mut after = at(after);
        for start in expected {
            after = calendar.next(&spec, origin, after).start();
            assert_eq!(after, at(start), "{expression}: {start}");
        }
    }
}
