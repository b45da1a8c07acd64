//! Every window of eight years, beside a walk through their hours.

use chrono::TimeDelta;
use strongroom::{RotationSchedule, Timestamp};

use crate::expressions::{DOCUMENTED, generated};
use crate::oracle::{self, Cron, Day};
use crate::{Random, Rules, at, is_long, seed};

const YEARS: usize = 8;
/// With leap years, with and without a leap year at the turn of a century, and before the epoch.
const FIRST_YEARS: [i32; 5] = [2023, 2026, 1996, 2096, 1896];

fn hours(count: usize) -> TimeDelta {
    TimeDelta::hours(i64::try_from(count).unwrap())
}

/// What was compared.
#[derive(Default)]
struct Compared {
    schedules: usize,
    windows: usize,
    instants: usize,
}

struct Walk<'a> {
    rules: &'a Rules,
    schedule: RotationSchedule,
    /// Midnight of the first day.
    begin: Timestamp,
    origin: Timestamp,
    /// In hours from the first day on.
    starts: Vec<usize>,
    /// The hour behind the last one.
    end: usize,
}

impl<'a> Walk<'a> {
    fn new(rules: &'a Rules, days: &[Day], random: &mut Random) -> Self {
        let schedule = rules.parse().unwrap_or_else(|error| panic!("{rules:?}: {error}"));
        let begin = at(&format!("{}-01-01T00:00:00Z", days[0].year));
        let origin_day = random.below(400);
        let within_the_day = TimeDelta::milliseconds(i64::try_from(random.below(86_400_000)).unwrap());
        let origin = begin + hours(origin_day * 24) + within_the_day;
        Self { rules, schedule, begin, origin, starts: oracle::starts(rules, days, origin_day), end: days.len() * 24 }
    }

    fn time(&self, hour: usize) -> Timestamp {
        self.begin + hours(hour)
    }

    /// All windows, one after the other.
    fn follow(&self) -> usize {
        let mut after = self.begin - TimeDelta::milliseconds(1);
        let hours_open = oracle::hours_open(self.rules);
        for (index, start) in self.starts.iter().enumerate() {
            let window = self.schedule.next_window(self.origin, after).unwrap();
            let next = self.starts.get(index + 1).copied();
            let end = oracle::end(hours_open, *start, next);
            let expected = (self.time(*start), self.time(end));
            assert_eq!((window.start, window.end), expected, "{:?} from {} after {after}", self.rules, self.origin);
            assert_eq!(window.next_rotation_date(), expected.1 - TimeDelta::seconds(1));
            after = window.start;
        }
        let next = self.schedule.next_window(self.origin, after);
        assert!(next.is_none_or(|next| next.start >= self.time(self.end)), "{:?}: another {next:?}", self.rules);
        self.starts.len()
    }

    /// The next window after an instant, and the days between the last one and it.
    fn ask(&self, after: Timestamp) {
        let next = self.starts.partition_point(|start| self.time(*start) <= after);
        let window = self.schedule.next_window(self.origin, after);
        if next == self.starts.len() {
            assert!(window.is_none_or(|window| window.start >= self.time(self.end)), "{:?} after {after}", self.rules);
            return;
        }
        let start = window.map(|window| window.start);
        assert_eq!(start, Some(self.time(self.starts[next])), "{:?} from {} after {after}", self.rules, self.origin);
        if let Some(last) = next.checked_sub(1) {
            let days = oracle::days_between(self.rules, self.starts[last], self.starts[next]);
            let found = self.schedule.automatically_after_days(after);
            assert_eq!(usize::try_from(found).unwrap(), days, "{:?} at {after}", self.rules);
        }
    }

    fn ask_often(&self, count: usize, random: &mut Random) -> usize {
        for _ in 0..count {
            // Half of them at a start or beside it, the others anywhere.
            let near = (random.below(2) == 0 && !self.starts.is_empty()).then(|| random.one_of(&self.starts));
            let millis = random.one_of(&[-1, 0, 1]);
            let anywhere = TimeDelta::milliseconds(i64::try_from(random.below(3_600_000)).unwrap());
            self.ask(match near {
                Some(hour) => self.time(hour) + TimeDelta::milliseconds(millis),
                None => self.time(random.below(self.end)) + anywhere,
            });
        }
        count
    }
}

impl Compared {
    fn compare(&mut self, rules: &Rules, days: &[Day], random: &mut Random) {
        let walk = Walk::new(rules, days, random);
        self.schedules += 1;
        self.windows += walk.follow();
        self.instants += walk.ask_often(100, random);
    }
}

#[test]
fn documented_schedules_name_the_hours_that_a_walk_through_eight_years_finds() {
    let mut random = Random(seed());
    let mut compared = Compared::default();
    for first_year in FIRST_YEARS {
        let days = oracle::days(first_year, YEARS);
        for expression in DOCUMENTED {
            let rules = Rules::expression(expression);
            compared.compare(&rules, &days, &mut random);
            let durations: &[usize] = if is_long() || first_year == FIRST_YEARS[0] { &[1, 3, 8, 24] } else { &[] };
            for &duration in durations {
                let lasting = rules.clone().lasting(duration);
                if lasting.parse().is_ok() {
                    compared.compare(&lasting, &days, &mut random);
                }
            }
        }
        for number in [1, 2, 7, 30, 365, 1_000] {
            compared.compare(&Rules { days: Some(number), ..Rules::default() }, &days, &mut random);
        }
    }
    let Compared { schedules, windows, instants } = compared;
    eprintln!("documented schedules: {schedules} over eight years, {windows} windows, {instants} instants");
}

#[test]
fn generated_schedules_are_refused_or_name_the_hours_that_a_walk_finds() {
    let mut random = Random(seed());
    let mut compared = Compared::default();
    let (mut too_close, mut never, mut too_long) = (0, 0, 0);
    let periods = FIRST_YEARS.map(|year| oracle::days(year, YEARS));
    let count = if is_long() { 20_000 } else { 300 };
    while compared.schedules < count {
        let rules = generated(&mut random);
        let cron = rules.expression.as_deref().and_then(Cron::new);
        let refusal = rules.parse().err();
        let refusal = refusal.as_ref().map_or("", |error| error.message());
        let last_hour = cron.as_ref().and_then(|cron| cron.hours().last().copied());
        let is_too_long = match (last_hour, rules.duration) {
            (Some(last), Some(duration)) => last + duration > 24,
            _ => false,
        };
        if cron.as_ref().is_some_and(|cron| !cron.is_spaced()) {
            assert_eq!(refusal, "Invalid schedule expression.", "{rules:?} has hours that are too close");
            too_close += 1;
        } else if cron.as_ref().is_some_and(|cron| !cron.can_come()) {
            assert_eq!(refusal, "Invalid schedule expression.", "{rules:?} never comes");
            never += 1;
        } else if is_too_long {
            assert_eq!(refusal, "Starting hour and duration must be within a day.", "{rules:?}");
            too_long += 1;
        } else if refusal == "Duration cannot be greater than Rate in hour." {
            let rate = rules.expression.as_deref().unwrap();
            let hours: usize = rate.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            assert!(rate.contains("hour") && hours < rules.duration.unwrap(), "{rules:?}");
            too_long += 1;
        } else {
            assert_eq!(refusal, "", "{rules:?}");
            compared.compare(&rules, &random.one_of(&periods), &mut random);
        }
    }
    assert!(too_close > 0 && never > 0 && too_long > 0, "{too_close} {never} {too_long}");
    let Compared { schedules, windows, instants } = compared;
    eprintln!(
        "generated schedules: {schedules} over eight years, {windows} windows, {instants} instants; refused: {too_close} \
         with hours that are too close, {never} that never come, {too_long} that last too long"
    );
}

#[test]
fn instants_anywhere_in_the_calendar_have_a_later_window_or_none() {
    let mut random = Random(seed());
    let (first, last) = (Timestamp::MIN_UTC, Timestamp::MAX_UTC);
    let seconds = last.timestamp().abs_diff(first.timestamp());
    let instant = |random: &mut Random| match random.below(8) {
        0 => first,
        1 => last,
        2 => first + TimeDelta::milliseconds(i64::try_from(random.below(100_000_000)).unwrap()),
        3 => last - TimeDelta::milliseconds(i64::try_from(random.below(100_000_000)).unwrap()),
        _ => first + TimeDelta::seconds(i64::try_from(random.next() % seconds).unwrap()),
    };
    let (mut found, mut none) = (0, 0);
    for _ in 0..if is_long() { 1_000_000 } else { 20_000 } {
        let rules = Rules::expression(random.one_of(&DOCUMENTED));
        let schedule = rules.parse().unwrap();
        let (origin, after) = (instant(&mut random), instant(&mut random));
        assert!(schedule.automatically_after_days(after) >= 1, "{rules:?} at {after}");
        let Some(window) = schedule.next_window(origin, after) else {
            none += 1;
            // Only days are longer than this away, and they may be counted from far ahead.
            let is_far = rules.expression.as_deref().is_some_and(|text| text.starts_with("rate("));
            assert!(is_far || last - after < TimeDelta::days(366 * 41), "{rules:?} after {after} from {origin}");
            continue;
        };
        found += 1;
        assert!(after < window.start && window.start < window.end, "{rules:?} after {after}: {window:?}");
        assert!(window.end - window.start <= TimeDelta::days(1), "{rules:?} after {after}: {window:?}");
        assert!(window.next_rotation_date() >= window.start);
        let just_before = window.start - TimeDelta::milliseconds(1);
        assert_eq!(schedule.next_window(origin, just_before.max(after)), Some(window), "{rules:?} after {after}");
    }
    eprintln!("instants anywhere: {found} with a window, {none} without");
    assert!(found > none && none > 0);
}
