//! How a secret is deleted.

use chrono::TimeDelta;

use crate::error::{Error, Result};
use crate::model::limits as lim;

/// What a `DeleteSecret` request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Can be restored for that long.
    After(TimeDelta),
    /// Gone at once.
    Immediate,
}

impl Deletion {
    /// The window's range is checked before the combination, as the service does.
    pub(crate) fn parse(recovery_window_days: Option<i64>, force: bool) -> Result<Self> {
        if let Some(days) = recovery_window_days
            && !(lim::RECOVERY_DAYS_MIN..=lim::RECOVERY_DAYS_MAX).contains(&days)
        {
            return Err(Error::invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
        match (recovery_window_days, force) {
            (Some(_), true) => Err(Error::invalid_parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            )),
            (None, true) => Ok(Self::Immediate),
            (days, false) => Ok(Self::After(TimeDelta::days(days.unwrap_or(lim::RECOVERY_DAYS_MAX)))),
        }
    }
}
