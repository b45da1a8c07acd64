//! When secrets are rotated: schedules against a walk through every hour of years, against another reader of cron
//! expressions, and against whatever text somebody sends.
//!
//! Generated schedules come from a seed, 1 unless `STRONGROOM_SEED` says otherwise; a failure tells the expression.
//! `STRONGROOM_LONG=1` tries more of them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod crosscheck;
mod expressions;
mod oracle;
mod totality;
mod walk;

use strongroom::{RotationSchedule, Timestamp};

/// The members of `RotationRules`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Rules {
    days: Option<i64>,
    expression: Option<String>,
    /// Hours.
    duration: Option<usize>,
}

impl Rules {
    fn expression(expression: &str) -> Self {
        Self { expression: Some(expression.to_owned()), ..Self::default() }
    }

    fn lasting(self, hours: usize) -> Self {
        Self { duration: Some(hours), ..self }
    }

    fn parse(&self) -> Result<RotationSchedule, strongroom::Error> {
        let duration = self.duration.map(|hours| format!("{hours}h"));
        RotationSchedule::parse(self.days, self.expression.as_deref(), duration.as_deref()).map(Option::unwrap)
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn is_long() -> bool {
    std::env::var_os("STRONGROOM_LONG").is_some()
}

fn seed() -> u64 {
    std::env::var("STRONGROOM_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}
