//! When secrets are rotated: the rules of a request, and the windows that follow from them.
//!
//! Everything is a function of its arguments, in UTC, and ends for every input and every instant of the calendar.

mod cron;
mod fields;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Timelike};

use crate::error::{Error, Result};
use crate::rotation::cron::Cron;
use crate::time::{self, Timestamp};

const HOURS_OF_A_DAY: u32 = 24;
const SECONDS_OF_AN_HOUR: i64 = 3_600;
const SECONDS_OF_A_DAY: i64 = 86_400;

/// When a secret is rotated: every so many days, every so many hours, or at the hours of a calendar.
///
/// It comes from the members of the API's `RotationRules`:
///
/// | member | legal | what it means |
/// |---|---|---|
/// | `AutomaticallyAfterDays` | 1 to 1,000 days | at midnight, so many days after the last rotation |
/// | `ScheduleExpression`: `rate(N days)` | 1 to 999 days | the same |
/// | `ScheduleExpression`: `rate(N hours)` | 4 to 23 hours | at midnight, and every so many hours from then on |
/// | `ScheduleExpression`: `cron(MINUTES HOURS DAYS MONTHS WEEKDAYS YEAR)` | see below | at these hours of these days |
/// | `Duration`: `Nh` | 1 to 24 hours | how long a window stays open |
///
/// Days and an expression are never given together. All times are UTC. `hour` and `hours`, `day` and `days` are the same.
///
/// # Cron expressions
///
/// | field | values | also |
/// |---|---|---|
/// | minutes | `0` | |
/// | hours | `0` to `23`, at least four hours apart on a day | `,` `-` `*` `/` |
/// | days of the month | `1` to `31`, `L` the last day, `SUNL` the last Sunday of the month | `,` `-` `*` `/` `?` |
/// | months | `1` to `12`, or `JAN` to `DEC` | `,` `-` `*` `/` |
/// | days of the week | `1` to `7`, or `SUN` to `SAT`; `L` Saturday; `TUE#3` the third Tuesday of the month | `,` `-` `*` `/` `?` |
/// | year | `*` | |
///
/// Exactly one of the two fields of days is `?`. `8/8` is 8 and every eighth value after it up to the end of the field, and
/// begins anew in each day, week, month or year; `/8` begins at the first value, `1-20/8` ends at 20. `FRI-MON` and
/// `NOV-FEB` go round. Names may be in any case. Fields are parted by spaces. An expression that names no day of any year
/// is refused.
///
/// # Windows
///
/// A rotation happens within a window. It begins at the hour that the rules name, and ends
///
/// * after the `Duration`, if there is one, but not after the day in UTC ends or the next window begins;
/// * else after an hour, if the rules are `rate(N hours)` or name several hours of a day;
/// * else when the day in UTC ends.
///
/// # Examples
///
/// ```
/// use strongroom::{RotationSchedule, Timestamp};
///
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
///
/// // On the first and the fifteenth of each month, from four to six in the afternoon.
/// let schedule = RotationSchedule::parse(None, Some("cron(0 16 1,15 * ? *)"), Some("2h"))?.unwrap();
/// let now = at("2026-03-02T09:30:00Z");
/// let window = schedule.next_window(now, now).unwrap();
/// assert_eq!(window.start, at("2026-03-15T16:00:00Z"));
/// assert_eq!(window.end, at("2026-03-15T18:00:00Z"));
/// assert_eq!(window.next_rotation_date(), at("2026-03-15T17:59:59Z"));
/// assert_eq!(schedule.automatically_after_days(now), 14);
///
/// // Thirty days after the last rotation.
/// let schedule = RotationSchedule::parse(Some(30), None, None)?.unwrap();
/// let rotated = at("2024-02-22T07:16:15.807Z");
/// let window = schedule.next_window(rotated, rotated).unwrap();
/// assert_eq!(window.next_rotation_date(), at("2024-03-23T23:59:59Z"));
///
/// let error = RotationSchedule::parse(None, Some("rate(2 hours)"), None).unwrap_err();
/// assert_eq!(error.code(), "InvalidParameterException");
/// assert_eq!(error.message(), "Rate in hour should be least 4 and less than 24.");
/// # Ok::<(), strongroom::Error>(())
/// ```
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html> and
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSchedule {
    rule: Rule,
    /// Hours, 1 to 24.
    duration: Option<u32>,
}

/// A span of time in which a rotation may happen. The start belongs to it, the end does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationWindow {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant that does not belong to it. It is at least an hour later.
    pub end: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// 1 to 1,000 days.
    Days(u32),
    /// 4 to 23 hours.
    Hours(u32),
    Cron(Cron),
}

impl RotationSchedule {
    /// Understands the members of `RotationRules` as a request has them. There is no schedule, `None`, if there are neither
    /// days nor an expression; a duration alone is checked and then means nothing.
    ///
    /// ```
    /// use strongroom::RotationSchedule;
    ///
    /// assert!(RotationSchedule::parse(None, Some("rate(10 days)"), Some("3h"))?.is_some());
    /// assert!(RotationSchedule::parse(None, None, None)?.is_none());
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidParameterException`, with the text for the first of these: both days and an expression; days or an
    /// expression that are not legal; a duration that is not; a duration that is longer than the rate in hours, or that would
    /// take the last window of a day into the next day.
    pub fn parse(
        automatically_after_days: Option<i64>,
        schedule_expression: Option<&str>,
        duration: Option<&str>,
    ) -> Result<Option<Self>> {
        let rule = match (automatically_after_days, schedule_expression) {
            (Some(_), Some(_)) => {
                let text = "You cannot specify both rotation frequency and schedule expression together.";
                return Err(Error::invalid_parameter(text));
            }
            (Some(days), None) => {
                let days = u32::try_from(days).ok().filter(|days| (1..=1_000).contains(days));
                let text = "AutomaticallyAfterDays must be between 1 and 1000.";
                Some(Rule::Days(days.ok_or_else(|| Error::invalid_parameter(text))?))
            }
            (None, Some(expression)) => Some(Rule::parse(expression)?),
            (None, None) => None,
        };
        let duration = duration.map(parse_duration).transpose()?;
        let Some(rule) = rule else { return Ok(None) };
        if let Some(duration) = duration {
            rule.check_duration(duration)?;
        }
        Ok(Some(Self { rule, duration }))
    }

    /// The first window that starts later than `after`. There is none behind the end of the calendar.
    ///
    /// Days are counted from the day of `origin` in UTC, usually that of the last rotation: the first window starts at
    /// midnight so many days later, the next ones as many days apart. Hours are counted from midnight of that day, which is
    /// the first start, and go on through the days. Cron expressions ignore it.
    ///
    /// ```
    /// use strongroom::{RotationSchedule, Timestamp};
    ///
    /// let at = |text: &str| text.parse::<Timestamp>().unwrap();
    /// let schedule = RotationSchedule::parse(None, Some("rate(10 hours)"), None)?.unwrap();
    /// let origin = at("2026-01-01T05:00:00Z");
    /// let start = |after| schedule.next_window(origin, after).unwrap().start;
    /// assert_eq!(start(origin), at("2026-01-01T10:00:00Z"));
    /// assert_eq!(start(at("2026-01-01T20:00:00Z")), at("2026-01-02T06:00:00Z"));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    #[must_use]
    pub fn next_window(&self, origin: Timestamp, after: Timestamp) -> Option<RotationWindow> {
        let start = match &self.rule {
            Rule::Days(days) => next_of_series(origin, 1, i64::from(*days) * SECONDS_OF_A_DAY, after)?,
            Rule::Hours(hours) => next_of_series(origin, 0, i64::from(*hours) * SECONDS_OF_AN_HOUR, after)?,
            Rule::Cron(cron) => {
                let (date, hour) = cron.next(after)?;
                date.and_hms_opt(hour, 0, 0)?.and_utc()
            }
        };
        let open = self.rule.hours_open(start.hour(), self.duration);
        let end = start.checked_add_signed(TimeDelta::hours(i64::from(open)))?;
        Some(RotationWindow { start, end })
    }

    /// How many days lie between two rotations, as `AutomaticallyAfterDays` of a description shows it.
    ///
    /// For days their number, for hours 1. For cron expressions the days from the last start of a window at or before `at` to
    /// the next one after it, at least 1; and 1 where the calendar ends before there is another.
    #[must_use]
    pub fn automatically_after_days(&self, at: Timestamp) -> i64 {
        match &self.rule {
            Rule::Days(days) => i64::from(*days),
            Rule::Hours(_) => 1,
            Rule::Cron(cron) => {
                let days = cron.last_day(at).zip(cron.next(at)).map(|(last, (next, _))| (next - last).num_days());
                days.unwrap_or(1).max(1)
            }
        }
    }

    /// Whether it is a rate in hours, which is counted from when the rules were given.
    pub(crate) fn is_in_hours(&self) -> bool {
        matches!(self.rule, Rule::Hours(_))
    }

    /// Whether the rules name a `Duration`.
    #[must_use]
    pub fn has_duration(&self) -> bool {
        self.duration.is_some()
    }
}

impl RotationWindow {
    /// What `NextRotationDate` shows for this window: its last whole second.
    #[must_use]
    pub fn next_rotation_date(&self) -> Timestamp {
        time::after(self.end, TimeDelta::seconds(-1))
    }
}

impl Rule {
    fn parse(expression: &str) -> Result<Self> {
        let inside = |name| expression.strip_prefix(name).and_then(|rest| rest.strip_suffix(')'));
        if let Some(rate) = inside("rate(") {
            return Self::parse_rate(rate);
        }
        inside("cron(").and_then(Cron::parse).map(Self::Cron).ok_or_else(invalid_expression)
    }

    fn parse_rate(text: &str) -> Result<Self> {
        let mut words = fields::words(text);
        let (number, unit) = (words.next().and_then(fields::number), words.next());
        match (number, unit, words.next()) {
            (Some(hours), Some("hour" | "hours"), None) if (4..HOURS_OF_A_DAY).contains(&hours) => {
                Ok(Self::Hours(hours))
            }
            (Some(_), Some("hour" | "hours"), None) => {
                Err(Error::invalid_parameter("Rate in hour should be least 4 and less than 24."))
            }
            (Some(days), Some("day" | "days"), None) if (1..1_000).contains(&days) => Ok(Self::Days(days)),
            (Some(_), Some("day" | "days"), None) => {
                Err(Error::invalid_parameter("Rate in day should be greater than 0 and less than 1000."))
            }
            _ => Err(invalid_expression()),
        }
    }

    fn check_duration(&self, duration: u32) -> Result<()> {
        match self {
            Self::Hours(hours) if duration > *hours => {
                Err(Error::invalid_parameter("Duration cannot be greater than Rate in hour."))
            }
            Self::Cron(cron) if cron.last_hour() + duration > HOURS_OF_A_DAY => {
                Err(Error::invalid_parameter("Starting hour and duration must be within a day."))
            }
            // Windows of days start at midnight, and no duration is longer than a day.
            Self::Days(_) | Self::Hours(_) | Self::Cron(_) => Ok(()),
        }
    }

    /// How many hours a window is open that starts at this hour.
    fn hours_open(&self, start: u32, duration: Option<u32>) -> u32 {
        let left_of_the_day = HOURS_OF_A_DAY.saturating_sub(start);
        let (until_the_next, by_default) = match self {
            Self::Days(_) => (HOURS_OF_A_DAY, HOURS_OF_A_DAY),
            Self::Hours(hours) => (*hours, 1),
            Self::Cron(cron) => {
                let until_the_next = cron.hour_after(start).map_or(HOURS_OF_A_DAY, |next| next.saturating_sub(start));
                (until_the_next, if cron.has_one_hour() { HOURS_OF_A_DAY } else { 1 })
            }
        };
        duration.unwrap_or(by_default).min(left_of_the_day).min(until_the_next)
    }
}

fn invalid_expression() -> Error {
    Error::invalid_parameter("Invalid schedule expression.")
}

fn parse_duration(text: &str) -> Result<u32> {
    let hours = text.strip_suffix('h').and_then(fields::number).filter(|hours| (1..=HOURS_OF_A_DAY).contains(hours));
    hours.ok_or_else(|| Error::invalid_parameter("Duration must be at least 1 hour, at most 24 hour."))
}

/// The first of the instants after `after` that are a multiple of `period`, at least `first` of them, later than midnight of
/// the origin's day. In seconds, of which the calendar has far fewer than an `i64` can count.
fn next_of_series(origin: Timestamp, first: i64, period: i64, after: Timestamp) -> Option<Timestamp> {
    let origin = origin.timestamp();
    let midnight = origin - origin.rem_euclid(SECONDS_OF_A_DAY);
    let passed = (after.timestamp() - midnight).div_euclid(period) + 1;
    DateTime::from_timestamp(midnight + passed.max(first) * period, 0)
}
