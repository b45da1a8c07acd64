//! Rules of rotation, and instants to ask about.
//!
//! The input is lines: an expression, a duration, a number of days, each absent if its line is empty. What follows the third
//! line is instants, in milliseconds from 1970 on, eight bytes each, the first of them the one that days are counted from;
//! they are moved into the calendar. Rules are refused with a text of the service, or they have windows, each later than
//! the one before, with nothing between them, within a day in UTC and as long as the rules say. The same rules in capitals
//! and with wider spaces mean the same.

#![no_main]

use std::str;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use strongroom::{RotationSchedule, RotationWindow};

const REFUSALS: [&str; 8] = [
    "You cannot specify both rotation frequency and schedule expression together.",
    "AutomaticallyAfterDays must be between 1 and 1000.",
    "Invalid schedule expression.",
    "Rate in hour should be least 4 and less than 24.",
    "Rate in day should be greater than 0 and less than 1000.",
    "Duration must be at least 1 hour, at most 24 hour.",
    "Duration cannot be greater than Rate in hour.",
    "Starting hour and duration must be within a day.",
];

/// Windows that are looked at, one after the other, from each instant.
const WINDOWS: usize = 8;

fn instant(bytes: &[u8]) -> DateTime<Utc> {
    let mut padded = [0; 8];
    padded.iter_mut().zip(bytes).for_each(|(padded, byte)| *padded = *byte);
    let (first, last) = (DateTime::<Utc>::MIN_UTC.timestamp_millis(), DateTime::<Utc>::MAX_UTC.timestamp_millis());
    let millis = i64::from_be_bytes(padded);
    let millis = if (first..=last).contains(&millis) { millis } else { millis % last };
    DateTime::from_timestamp_millis(millis).expect("it is in the calendar")
}

/// The same in other letters: months and days in capitals, and more spaces between words.
fn rewritten(expression: &str) -> String {
    let Some((start, rest)) = expression.split_once('(') else { return expression.to_owned() };
    let rest = rest.replace(' ', "   ");
    let rest = if start == "cron" { rest.to_ascii_uppercase() } else { rest };
    format!("{start}({rest}")
}

/// The hour of a day, and the number of the day.
fn day_and_hour(at: DateTime<Utc>) -> (i64, u32) {
    (at.timestamp().div_euclid(86_400), at.hour())
}

struct World<'a> {
    schedule: RotationSchedule,
    expression: &'a str,
    duration: Option<i64>,
    origin: DateTime<Utc>,
}

impl World<'_> {
    fn look_at(&self, window: &RotationWindow) {
        let RotationWindow { start, end, .. } = *window;
        let hours = (end - start).num_hours();
        assert!(start < end && end - start == TimeDelta::hours(hours), "{window:?}");
        assert_eq!((start.minute(), start.second(), start.nanosecond()), (0, 0, 0), "{window:?}");
        assert!(i64::from(start.hour()) + hours <= 24, "{window:?}");
        assert!(self.duration.is_none_or(|duration| hours <= duration), "{window:?}");
        let last_second = window.next_rotation_date();
        assert_eq!(last_second + TimeDelta::seconds(1), end);
        assert_eq!(day_and_hour(last_second).0, day_and_hour(start).0, "{window:?}");
    }

    fn follow(&self, mut after: DateTime<Utc>) {
        assert!(self.schedule.automatically_after_days(after) >= 1);
        let mut before: Option<RotationWindow> = None;
        for _ in 0..WINDOWS {
            let Some(window) = self.schedule.next_window(self.origin, after) else { return };
            assert!(after < window.start, "{window:?} after {after}");
            self.look_at(&window);
            // Nothing lies between.
            let middle = after + (window.start - after) / 2;
            for instant in [middle, window.start - TimeDelta::nanoseconds(1)] {
                assert_eq!(self.schedule.next_window(self.origin, instant.max(after)), Some(window), "after {instant}");
            }
            if let Some(before) = before {
                let apart = day_and_hour(window.start).0 - day_and_hour(before.start).0;
                assert!(before.end <= window.start, "{before:?} {window:?}");
                if !self.expression.starts_with("rate(") || self.expression.contains("day") {
                    let days = self.schedule.automatically_after_days(before.start);
                    assert_eq!(days, apart.max(1), "{before:?} {window:?}");
                }
            }
            after = window.start;
            before = Some(window);
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().and_then(|line| str::from_utf8(line).ok()).unwrap_or_default();
    let (expression, duration, days) = (line(), line(), line());
    let instants: Vec<DateTime<Utc>> = lines.next().unwrap_or_default().chunks(8).take(16).map(instant).collect();
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let days: Option<i64> = some(days).map(|days| days.parse().unwrap_or(i64::MAX));
    let parsed = RotationSchedule::parse(days, some(expression), some(duration));
    if let Some(expression) = some(expression) {
        let again = RotationSchedule::parse(days, Some(&rewritten(expression)), some(duration));
        match (&parsed, &again) {
            (Ok(parsed), Ok(again)) => assert_eq!(parsed, again, "{expression}"),
            (Err(parsed), Err(again)) => assert_eq!(parsed.message(), again.message(), "{expression}"),
            _ => panic!("{expression} is {parsed:?}, rewritten {again:?}"),
        }
    }
    let schedule = match parsed {
        Err(error) => return assert!(REFUSALS.contains(&error.message()), "{error}"),
        Ok(None) => return assert_eq!((days, some(expression)), (None, None)),
        Ok(Some(schedule)) => schedule,
    };
    assert_eq!(schedule.has_duration(), some(duration).is_some());
    let duration = some(duration).map(|duration| duration.trim_end_matches('h').parse().expect("it was taken"));
    let origin = instants.first().copied().unwrap_or_default();
    let world = World { schedule, expression, duration, origin };
    for after in instants {
        world.follow(after);
    }
});
