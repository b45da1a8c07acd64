//! `strongroom restore-backup`.

use serde::Serialize;

use crate::arguments::upkeep::RestoreBackup;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};

#[derive(Serialize)]
struct Summary {
    epoch: u64,
    secrets: u64,
}

pub(crate) fn run(arguments: RestoreBackup) -> Result<(), Failure> {
    let RestoreBackup { file, whole, report: format } = arguments;
    let directory = whole.dir.display();
    place::require_old_file(&file)?;
    if place::is_made(&whole.dir)? {
        return Err(in_the_way(&whole.dir));
    }
    let keys = WholeKeys::new(&whole, &whole.dir)?;
    let restored = keys.opened(format!("restoring {directory}"), |builder, tell| {
        let store = builder.restore(&file, tell)?;
        let stats = store.stats()?;
        store.close().map(|()| stats)
    })?;
    if format.json {
        return output::json_line(&Summary { epoch: restored.epoch, secrets: restored.secrets });
    }
    output::line(format_args!("made a store in {directory} with {}", counted(restored.secrets, "secret")))
}

/// Nothing that is there is overwritten.
pub(super) fn in_the_way(directory: &std::path::Path) -> Failure {
    Failure::new(Code::Conflict, format!("there is a store in `{}` already", directory.display()))
        .hint("nothing is overwritten: give another --dir, or move the store away")
}
