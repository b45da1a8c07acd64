//! The clock of a server, which the administrative endpoint can stop and move.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom::{Clock, SystemClock, Timestamp};

/// The system's clock until somebody moves it. Copies show the same time.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerClock(Arc<Mutex<Hands>>);

/// INVARIANT: whatever they show can be told in milliseconds of the calendar; what cannot is refused when it is set.
#[derive(Debug, Clone, Copy, Default)]
struct Hands {
    /// Where the clock stands still.
    frozen_at: Option<i64>,
    /// How far it is ahead of the system's otherwise.
    offset_millis: i64,
}

/// What the clock shows, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) now_millis: i64,
    pub(super) is_frozen: bool,
    pub(super) offset_millis: i64,
}

impl ServerClock {
    pub(super) fn read(&self) -> Reading {
        let hands = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now_millis = hands.frozen_at.unwrap_or_else(|| system_millis().saturating_add(hands.offset_millis));
        // A clock that runs can come to the end of the calendar, and stays there.
        let [first, last] = [Timestamp::MIN_UTC, Timestamp::MAX_UTC].map(|at| at.timestamp_millis());
        let now_millis = now_millis.clamp(first, last);
        Reading { now_millis, is_frozen: hands.frozen_at.is_some(), offset_millis: hands.offset_millis }
    }

    /// Stops the clock where it is.
    pub(super) fn freeze(&self) {
        let now = self.read().now_millis;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).frozen_at = Some(now);
    }

    /// Stops the clock at an instant. `false` if there is no such instant.
    pub(super) fn freeze_at(&self, millis: i64) -> bool {
        let is_instant = Timestamp::from_timestamp_millis(millis).is_some();
        if is_instant {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).frozen_at = Some(millis);
        }
        is_instant
    }

    /// Moves the clock, backwards too. `false` if it would leave the calendar.
    pub(super) fn advance(&self, millis: i64) -> bool {
        let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = hands.frozen_at.unwrap_or_else(|| system_millis().saturating_add(hands.offset_millis));
        let then = now.checked_add(millis).filter(|then| Timestamp::from_timestamp_millis(*then).is_some());
        let (Some(then), Some(offset)) = (then, hands.offset_millis.checked_add(millis)) else { return false };
        match &mut hands.frozen_at {
            Some(at) => *at = then,
            None => hands.offset_millis = offset,
        }
        true
    }

    /// Back to the system's time.
    pub(super) fn release(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Hands::default();
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_millis(self.read().now_millis).unwrap_or_else(|| SystemClock.now())
    }
}

fn system_millis() -> i64 {
    SystemClock.now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_is_moved_by_hand_only_and_goes_back_to_the_systems_time() {
        let clock = ServerClock::default();
        assert!(clock.freeze_at(1_700_000_000_500));
        assert!(clock.advance(3_600_000) && clock.advance(-1));
        assert_eq!(clock.read(), Reading { now_millis: 1_700_003_600_499, is_frozen: true, offset_millis: 0 });
        assert_eq!(clock.now().timestamp_millis(), 1_700_003_600_499);
        clock.release();
        assert!(!clock.read().is_frozen && clock.now().timestamp_millis() > 1_750_000_000_000);
    }

    #[test]
    fn a_running_clock_is_ahead_by_what_it_was_moved() {
        let clock = ServerClock::default();
        assert!(clock.advance(86_400_000));
        let ahead = clock.now().timestamp_millis() - SystemClock.now().timestamp_millis();
        assert!((86_390_000..=86_400_000).contains(&ahead), "{ahead}");
    }

    #[test]
    fn a_time_that_does_not_exist_is_refused_and_nothing_moves() {
        let clock = ServerClock::default();
        assert!(clock.freeze_at(0));
        for millis in [i64::MAX, i64::MIN, i64::MAX / 2] {
            assert!(!clock.freeze_at(millis) && !clock.advance(millis), "{millis}");
        }
        assert_eq!(clock.read().now_millis, 0);
    }
}
