//! `strongroom standby`.

use serde::Serialize;
use strongroom::{KeptChanges, StandbyState};

use crate::arguments::standby::{Forget, Standby, StandbyCommand};
use crate::failure::Failure;
use crate::output::{self, counted};
use crate::place;

/// For programs.
#[derive(Serialize)]
struct Status {
    state: Option<&'static str>,
    epoch: Option<u64>,
    kept: Option<Kept>,
}

/// What a store keeps for standbys of its own.
#[derive(Serialize)]
struct Kept {
    commits_max: u64,
    oldest: u64,
    newest: u64,
}

pub(crate) fn run(command: StandbyCommand) -> Result<(), Failure> {
    match command {
        StandbyCommand::Status(standby) => status(&standby),
        StandbyCommand::Promote(standby) => promote(&standby),
        StandbyCommand::Forget(Forget { whole }) => {
            let store = place::open_whole(&whole)?;
            store.stop_keeping_changes()?;
            store.close()?;
            output::line("no changes are kept for standbys any more")
        }
    }
}

fn status(standby: &Standby) -> Result<(), Failure> {
    let store = place::open_whole(&standby.whole())?;
    let found = store.standby_status()?;
    let kept = if store.is_standby() { None } else { store.kept_changes()? };
    store.close()?;
    let state = found.map(|found| match found.state {
        StandbyState::Seeding => "seeding",
        StandbyState::Following => "following",
        StandbyState::Promoted => "promoted",
        _ => "unknown",
    });
    let epoch = found.map(|found| found.position.epoch());
    if standby.report.json {
        let kept = kept.map(|KeptChanges { commits_max, oldest, newest, .. }| Kept { commits_max, oldest, newest });
        return output::json_line(&Status { state, epoch, kept });
    }
    let kept = kept.map(|KeptChanges { commits_max, oldest, newest, .. }| {
        let most = counted(commits_max, "commit");
        if oldest > newest {
            format!("none yet, at most {most}")
        } else {
            format!("{oldest} to {newest}, at most {most}")
        }
    });
    output::members([
        ("State", vec![state.unwrap_or("no standby").to_owned()]),
        (
            "Commit",
            epoch.map(|epoch| format!("{epoch} of the store that it follows or followed")).into_iter().collect(),
        ),
        ("Keeps changes", kept.into_iter().collect()),
    ])
}

fn promote(standby: &Standby) -> Result<(), Failure> {
    let store = place::open_whole(&standby.whole())?;
    let promoted = store.promote();
    store.close()?;
    let epoch = promoted?.epoch();
    if standby.report.json {
        return output::json_line(&Status { state: Some("promoted"), epoch: Some(epoch), kept: None });
    }
    output::line(format_args!("promoted at commit {epoch}: it is a store like any other now"))
}
