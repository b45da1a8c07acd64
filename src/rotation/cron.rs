//! Cron expressions: which hours of which days they name, and how to find the next one without trying all.

use chrono::{Datelike, NaiveDate, Timelike};

use crate::rotation::fields::{self, DAYS, HOURS, MONTHS, WEEKDAYS};
use crate::time::Timestamp;

/// Hours between two rotations of a day, at least.
const HOURS_BETWEEN: u32 = 4;
const WEEK: u32 = 0b111_1111;
/// The longest time without a leap day on a given weekday is forty years, from one century to the next.
const YEARS_BETWEEN_MAX: usize = 40;

/// The hours that an expression names. Sets of bits, of which none is empty and which do meet in some year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    /// Bits 0 to 23.
    hours: u32,
    /// Bits 1 to 12.
    months: u32,
    days: Days,
}

/// The days of a month: all that any of the fields names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Days {
    /// Bits 1 to 31.
    of_the_month: u32,
    is_last_of_the_month: bool,
    /// Bits 0, Sunday, to 6: weekdays of which the last one of the month is meant.
    last_weekdays: u32,
    /// The same bits, of the first seven days of the month, the next seven, and so on.
    weekdays: [u32; 5],
}

impl Cron {
    /// From what is between the parentheses.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = fields::words(text);
        let mut word = || words.next();
        let (minutes, hours, days, months, weekdays, year) = (word()?, word()?, word()?, word()?, word()?, word()?);
        if word().is_some() || fields::number(minutes) != Some(0) || year != "*" {
            return None;
        }
        let days = match (days, weekdays) {
            ("?", "?") => return None,
            (days, "?") => Days::of_the_month(days)?,
            ("?", weekdays) => Days::of_the_week(weekdays)?,
            _ => return None,
        };
        let cron = Self { hours: HOURS.list(hours)?, months: MONTHS.list(months)?, days };
        // No hour has another one within the next three.
        let are_apart = (1..HOURS_BETWEEN).all(|hours| cron.hours & cron.hours >> hours == 0);
        (are_apart && cron.can_come()).then_some(cron)
    }

    /// Whether any year has a day that is meant. Only days of the month can be missing from all of the months.
    fn can_come(&self) -> bool {
        let by_number = |month| self.days.of_the_month & up_to(days_in(month, true)) != 0;
        let by_other_means = Days { of_the_month: 0, ..self.days.clone() } != Days::default();
        by_other_means || bits(self.months).any(by_number)
    }

    pub(super) fn has_one_hour(&self) -> bool {
        self.hours.is_power_of_two()
    }

    pub(super) fn last_hour(&self) -> u32 {
        highest(self.hours)
    }

    /// The next hour of the same day.
    pub(super) fn hour_after(&self, hour: u32) -> Option<u32> {
        let later = self.hours & !up_to(hour);
        (later != 0).then(|| later.trailing_zeros())
    }

    /// The first day and hour later than an instant.
    pub(super) fn next(&self, after: Timestamp) -> Option<(NaiveDate, u32)> {
        let today = after.date_naive();
        if let Some(hour) = self.hour_after(after.hour()).filter(|_| self.has(today)) {
            return Some((today, hour));
        }
        Some((self.next_day(today)?, self.hours.trailing_zeros()))
    }

    /// The day of the last hour that is not later than an instant.
    pub(super) fn last_day(&self, at: Timestamp) -> Option<NaiveDate> {
        let today = at.date_naive();
        let has_begun = self.hours & up_to(at.hour()) != 0;
        if has_begun && self.has(today) { Some(today) } else { self.day_before(today) }
    }

    fn has(&self, date: NaiveDate) -> bool {
        let is_month = self.months & 1 << date.month() != 0;
        is_month && self.days.within(date.year(), date.month()).is_some_and(|days| days & 1 << date.day() != 0)
    }

    fn next_day(&self, after: NaiveDate) -> Option<NaiveDate> {
        let (mut year, month) = (after.year(), after.month());
        if self.months & 1 << month != 0 {
            let days = self.days.within(year, month)? & !up_to(after.day());
            if days != 0 {
                return NaiveDate::from_ymd_opt(year, month, days.trailing_zeros());
            }
        }
        let mut months = self.months & !up_to(month);
        for _ in 0..=YEARS_BETWEEN_MAX {
            for month in bits(months) {
                let days = self.days.within(year, month)?;
                if days != 0 {
                    return NaiveDate::from_ymd_opt(year, month, days.trailing_zeros());
                }
            }
            year += 1;
            months = self.months;
        }
        None
    }

    fn day_before(&self, before: NaiveDate) -> Option<NaiveDate> {
        let (mut year, month) = (before.year(), before.month());
        if self.months & 1 << month != 0 {
            let days = self.days.within(year, month)? & up_to(before.day() - 1);
            if days != 0 {
                return NaiveDate::from_ymd_opt(year, month, highest(days));
            }
        }
        let mut months = self.months & up_to(month - 1);
        for _ in 0..=YEARS_BETWEEN_MAX {
            while months != 0 {
                let month = highest(months);
                let days = self.days.within(year, month)?;
                if days != 0 {
                    return NaiveDate::from_ymd_opt(year, month, highest(days));
                }
                months &= up_to(month - 1);
            }
            year -= 1;
            months = self.months;
        }
        None
    }
}

impl Days {
    fn of_the_month(text: &str) -> Option<Self> {
        let mut days = Self::default();
        for item in text.split(',') {
            let weekday = item.strip_suffix(['L', 'l']).and_then(|name| WEEKDAYS.name(name));
            if is_last(item) {
                days.is_last_of_the_month = true;
            } else if let Some(weekday) = weekday {
                days.last_weekdays |= 1 << (weekday - 1);
            } else {
                days.of_the_month |= DAYS.item(item)?;
            }
        }
        Some(days)
    }

    fn of_the_week(text: &str) -> Option<Self> {
        let mut days = Self::default();
        for item in text.split(',') {
            if let Some((weekday, week)) = item.split_once('#') {
                let (weekday, week) = (WEEKDAYS.value(weekday)?, fields::number(week)?);
                let week = usize::try_from(week).ok()?.checked_sub(1)?;
                *days.weekdays.get_mut(week)? |= 1 << (weekday - 1);
            } else {
                let weekdays = if is_last(item) { 1 << 7 } else { WEEKDAYS.item(item)? };
                days.weekdays.iter_mut().for_each(|week| *week |= weekdays >> 1);
            }
        }
        Some(days)
    }

    /// The days of a month that are meant. `None` if the calendar does not have the month.
    fn within(&self, year: i32, month: u32) -> Option<u32> {
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        let count = days_in(month, first.leap_year());
        let first = first.weekday().num_days_from_sunday();
        // What weekdays are as days of a week that begins with the first of the month: its days 0 to 6.
        let turned = |weekdays: u32| (weekdays >> first | weekdays << (7 - first)) & WEEK;
        let mut days = 0;
        let mut shift = 0;
        for weekdays in self.weekdays {
            // The fifth week begins with the 29th, and what is behind the 31st is pushed out.
            days |= turned(weekdays) << shift << 1;
            shift += 7;
        }
        if self.last_weekdays != 0 {
            let week = turned(self.last_weekdays);
            let all = week | week << 7 | week << 14 | week << 21 | week << 28;
            days |= all << 1 & !up_to(count - 7);
        }
        if self.is_last_of_the_month {
            days |= 1 << count;
        }
        Some((days | self.of_the_month) & up_to(count))
    }
}

fn is_last(item: &str) -> bool {
    item.eq_ignore_ascii_case("L")
}

fn days_in(month: u32, is_leap_year: bool) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap_year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The bits 0 to `last`, which is at most 31.
fn up_to(last: u32) -> u32 {
    u32::MAX >> 31_u32.saturating_sub(last)
}

/// The highest bit of a set that is not empty.
fn highest(set: u32) -> u32 {
    set.checked_ilog2().unwrap_or_default()
}

/// The bits of a set, upwards.
fn bits(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        Some(bit)
    })
}
