//! Instants as the service shows them: UTC, whole milliseconds, and whole days for last-accessed dates.

use chrono::{DateTime, TimeDelta, Utc};

/// An instant in UTC with millisecond precision, as in every date of the API.
pub type Timestamp = DateTime<Utc>;

pub(crate) const DAY: TimeDelta = TimeDelta::days(1);

/// The last whole millisecond of the calendar.
fn end() -> Timestamp {
    DateTime::from_timestamp_millis(DateTime::<Utc>::MAX_UTC.timestamp_millis()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Cuts to whole milliseconds.
pub(crate) fn to_millis(at: Timestamp) -> Timestamp {
    from_millis(at.timestamp_millis())
}

/// The instant `millis` after the epoch, moved into the range of the calendar if it lies outside.
pub(crate) fn from_millis(millis: i64) -> Timestamp {
    DateTime::from_timestamp_millis(millis).unwrap_or(if millis < 0 { DateTime::<Utc>::MIN_UTC } else { end() })
}

/// `at + delta`, stopping at the ends of the calendar.
pub(crate) fn after(at: Timestamp, delta: TimeDelta) -> Timestamp {
    at.checked_add_signed(delta).unwrap_or(if delta < TimeDelta::zero() { DateTime::<Utc>::MIN_UTC } else { end() })
}

/// Midnight UTC of the day that contains `at`.
pub(crate) fn day_of(at: Timestamp) -> Timestamp {
    let millis = at.timestamp_millis();
    from_millis(millis.saturating_sub(millis.rem_euclid(DAY.num_milliseconds())))
}

/// Sorts like the instant when compared as bytes, also before 1970.
pub(crate) fn sortable(at: Timestamp) -> [u8; 8] {
    (at.timestamp_millis() ^ i64::MIN).to_be_bytes()
}

/// The inverse of [`sortable`].
pub(crate) fn from_sortable(bytes: [u8; 8]) -> Timestamp {
    from_millis(i64::from_be_bytes(bytes) ^ i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_sort_as_bytes_the_way_they_sort_in_time() {
        let mut last = None;
        for millis in [i64::MIN, -1, 0, 1, 86_400_000, 4_102_444_800_000, i64::MAX] {
            let at = from_millis(millis);
            let bytes = sortable(at);
            assert!(last < Some(bytes));
            assert_eq!(from_sortable(bytes), to_millis(at));
            last = Some(bytes);
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc_also_before_1970() {
        for (millis, day) in [(0, 0), (1, 0), (86_399_999, 0), (86_400_000, 86_400_000), (-1, -86_400_000)] {
            assert_eq!(day_of(from_millis(millis)), from_millis(day));
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_not_passed() {
        assert_eq!(after(DateTime::<Utc>::MAX_UTC, DAY), end());
        assert_eq!(after(DateTime::<Utc>::MIN_UTC, -DAY), DateTime::<Utc>::MIN_UTC);
    }
}
