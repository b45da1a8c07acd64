//! Seam: where the time comes from.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::{Timestamp, from_millis};

/// A source of the current time.
///
/// # Contract for implementers
///
/// * `now` is called once per operation, from any thread, and must not block.
/// * It may stand still or go backwards. The engine keeps `LastChangedDate` strictly rising per secret whatever the
///   clock says, and never relies on the clock for the uniqueness of anything.
/// * Anything finer than a millisecond is cut off.
///
/// ```
/// use strongroom::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_timestamp_millis(43_200_000).expect("in range")
///     }
/// }
/// assert_eq!(Noon.now().to_string(), "1970-01-01 12:00:00 UTC");
/// ```
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Whether this clock is moved by hand. A store that is made with it is marked as one for tests. Other stores open with
    /// it too, and [`maintain`](crate::SecretStore::maintain) then purges by its time.
    fn is_for_tests(&self) -> bool {
        false
    }
}

/// The operating system's clock. The default.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "so that it can be written as a value; it will never have a field")]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        from_millis(millis)
    }
}
