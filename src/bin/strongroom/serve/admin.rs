//! The administrative endpoint: what a test suite needs that the API has no operation for.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::commands::maintain::Summary;
use crate::failure::Failure;
use crate::serve::clock::{Reading, ServerClock};
use crate::serve::maintenance::Maintenance;
use crate::serve::shelf::Shelf;

/// An answer.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// What to do with the clock: exactly one of the members.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    freeze: Option<bool>,
    freeze_at: Option<f64>,
    advance_seconds: Option<f64>,
    release: Option<bool>,
}

/// What has no members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Reads an object: what is derived would also take a list of the members.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Carries out what is named by the last part of the path.
pub(super) fn act(shelf: &Shelf, clock: &ServerClock, action: &str, is_change: bool, body: &[u8]) -> Done {
    if is_change
        && action != "clock"
        && let Some(refused) = refuse_members(body)
    {
        return refused;
    }
    let done = match (action, is_change) {
        ("reset", true) => shelf.reset().map(|()| json!({})),
        ("stats", false) => stats(shelf),
        ("clock", false) => Ok(show(clock.read())),
        ("clock", true) => return move_clock(clock, body),
        _ => return refused(404, "there is no such action"),
    };
    answer(done, action)
}

/// Has the store maintained.
pub(super) async fn maintain(maintenance: &Maintenance, body: &[u8]) -> Done {
    if let Some(refused) = refuse_members(body) {
        return refused;
    }
    let done = maintenance.run().await;
    answer(done.and_then(|report| Ok(serde_json::to_value(Summary::new(&report))?)), "maintain")
}

/// Refuses a body that is more than `{}`.
fn refuse_members(body: &[u8]) -> Option<Done> {
    let is_legal = body.is_empty() || read::<Nothing>(body).is_some();
    (!is_legal).then(|| refused(400, "the body is {}"))
}

fn answer(done: Result<Value, Failure>, action: &str) -> Done {
    match done {
        Ok(body) => Done { status: 200, body },
        Err(failure) => {
            tracing::error!(%failure, action, "administration failed");
            refused(500, &failure.to_string())
        }
    }
}

fn stats(shelf: &Shelf) -> Result<Value, Failure> {
    let stats = shelf.with(|store| store.stats())?;
    Ok(json!({ "secrets": stats.secrets, "epoch": stats.epoch, "stored_bytes": stats.stored_bytes }))
}

fn move_clock(clock: &ServerClock, body: &[u8]) -> Done {
    let Some(change) = read::<ClockChange>(body) else {
        return refused(
            400,
            "the body is one of {\"freeze\":true}, {\"freeze_at\":SECONDS}, {\"advance_seconds\":SECONDS}, {\"release\":true}",
        );
    };
    let is_done = match change {
        ClockChange { freeze: Some(true), freeze_at: None, advance_seconds: None, release: None } => {
            clock.freeze();
            true
        }
        ClockChange { freeze: None, freeze_at: Some(at), advance_seconds: None, release: None } => {
            millis(at).is_some_and(|at| clock.freeze_at(at))
        }
        ClockChange { freeze: None, freeze_at: None, advance_seconds: Some(by), release: None } => {
            millis(by).is_some_and(|by| clock.advance(by))
        }
        ClockChange { freeze: None, freeze_at: None, advance_seconds: None, release: Some(true) } => {
            clock.release();
            true
        }
        _ => return refused(400, "exactly one of freeze, freeze_at, advance_seconds and release is needed"),
    };
    if is_done { Done { status: 200, body: show(clock.read()) } } else { refused(400, "there is no such time") }
}

fn show(reading: Reading) -> Value {
    json!({
        "now": seconds(reading.now_millis),
        "frozen": reading.is_frozen,
        "offset_seconds": seconds(reading.offset_millis),
    })
}

fn refused(status: u16, error: &str) -> Done {
    Done { status, body: json!({ "error": error }) }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Whole milliseconds, if there are so many.
#[expect(clippy::cast_possible_truncation, reason = "a number that does not fit is filtered out before")]
fn millis(seconds: f64) -> Option<i64> {
    const MOST: f64 = 9.0e15;
    let millis = (seconds * 1000.0).round();
    (millis.abs() <= MOST).then_some(millis as i64)
}
