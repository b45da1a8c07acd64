//! A day of operations in little time: processes that work with a store as fast as they can and are killed all the time,
//! while every answer is compared with what was acknowledged.
//!
//! `STRONGROOM_SOAK_SECONDS`, the time with kills, and `STRONGROOM_SOAK_SEED` make it longer, and another one. The bench
//! `soak` does the same on a larger store and measures memory and disk.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod child;
mod desk;
mod fill;
mod heap;
mod ledger;
mod plan;
#[expect(dead_code, reason = "other suites use more of it")]
#[path = "../processes/process.rs"]
mod process;
mod reads;
#[expect(dead_code, reason = "the bench shows more of what was found")]
mod run;
mod state;
mod told;
mod value;
mod work;

use std::env;

use crate::plan::Plan;

const SECONDS: u64 = 14;

#[test]
fn a_day_under_full_load_and_kills_loses_nothing_and_every_read_is_right() {
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let seconds = number("STRONGROOM_SOAK_SECONDS").unwrap_or(SECONDS);
    let plan = Plan::small(seconds, number("STRONGROOM_SOAK_SEED").unwrap_or(1));
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let outcome = run::run(&plan, place.path(), &process::command);
    eprintln!("soak of {seconds} s, seed {}: {}", plan.seed, outcome.summary());
    let counts = outcome.counts;
    assert!(outcome.kills > 0 && outcome.applied + outcome.not_applied > 0, "the kills came at no interesting time");
    for (what, count) in [
        ("rotated secrets", counts.rotated),
        ("purged secrets", counts.purged),
        ("removed versions", counts.removed_versions),
        ("rotations that were asked for", outcome.rotations_asked_for),
        ("changes", counts.changes),
        ("values", counts.values),
    ] {
        assert!(count > 0, "no {what}");
    }
}
