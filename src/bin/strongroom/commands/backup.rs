//! `strongroom backup`.

use serde::Serialize;
use strongroom::ErrorKind;

use crate::arguments::upkeep::Backup;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::{place, progress};

#[derive(Serialize)]
struct Summary {
    epoch: u64,
    secrets: u64,
    records: u64,
    bytes: u64,
}

pub(crate) fn run(arguments: Backup) -> Result<(), Failure> {
    let Backup { file, whole, report: format } = arguments;
    place::require_new_file(&file)?;
    let store = place::open_whole(&whole)?;
    let written = progress::follow("backing up", |tell| store.backup(&file, tell)).map_err(|error| {
        let is_file = *error.kind() == ErrorKind::BackupFile;
        let failure = Failure::from(error);
        if is_file { failure.code(Code::Conflict) } else { failure }
    });
    store.close()?;
    let written = written?;
    if format.json {
        let (epoch, secrets, records, bytes) = (written.epoch, written.secrets, written.records, written.bytes);
        return output::json_line(&Summary { epoch, secrets, records, bytes });
    }
    output::line(format_args!(
        "backed up {} in {} to {}: {}",
        counted(written.secrets, "secret"),
        counted(written.records, "record"),
        output::shown(&file.display().to_string()),
        counted(written.bytes, "byte"),
    ))
}
