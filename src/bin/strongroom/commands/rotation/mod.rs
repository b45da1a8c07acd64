//! `strongroom rotate`, `strongroom rotation`.

mod cancel;
pub(crate) mod failures;
mod rotate;
mod status;

use strongroom::{RotationWindow, Timestamp};

use crate::arguments::rotate::RotationCommand;
use crate::failure::Failure;

pub(crate) use crate::commands::rotation::rotate::run as rotate;

pub(crate) fn run(command: RotationCommand) -> Result<(), Failure> {
    match command {
        RotationCommand::Status(status) => status::run(status),
        RotationCommand::Cancel(secret) => cancel::run(secret),
    }
}

/// `2026-11-22 16:00 UTC, 2h`: windows begin on the hour, and last some hours.
fn shown_window(window: &RotationWindow) -> String {
    let hours = Timestamp::signed_duration_since(window.end, window.start).num_hours();
    format!("{}, {hours}h", window.start.format("%Y-%m-%d %H:%M UTC"))
}
