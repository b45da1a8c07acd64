//! `strongroom keys backup-header` and `strongroom keys restore-header`.

use strongroom::ErrorKind;

use crate::arguments::keys::{BackupHeader, RestoreHeader};
use crate::failure::{Code, Failure};
use crate::output;
use crate::place::{self, WholeKeys};

pub(crate) fn backup(arguments: &BackupHeader) -> Result<(), Failure> {
    let BackupHeader { file, report: format, whole } = arguments;
    place::require_new_file(file)?;
    let store = place::open_whole(whole)?;
    let written = store.backup_header(file).map_err(|error| {
        let is_file = *error.kind() == ErrorKind::BackupFile;
        let failure = Failure::from(error);
        if is_file { failure.code(Code::Conflict) } else { failure }
    });
    let generation = store.key_census(&mut |_| {}).map(|census| census.root_generation);
    store.close()?;
    written?;
    let generation = generation?;
    if format.json {
        return output::json_line(&serde_json::json!({ "generation": generation }));
    }
    let file = output::shown(&file.display().to_string());
    output::line(format_args!("copied the header, with the root key of generation {generation}, to {file}"))
}

pub(crate) fn restore(arguments: &RestoreHeader) -> Result<(), Failure> {
    let RestoreHeader { file, report: format, whole } = arguments;
    place::require_old_file(file)?;
    let directory = whole.dir.display();
    if !whole.dir.is_dir() {
        return Err(Failure::new(Code::NotFound, format!("there is no directory `{directory}`")));
    }
    let keys = WholeKeys::new(whole, &whole.dir)?;
    let secrets = keys.opened(format!("opening {directory}"), |builder, _| {
        let store = builder.restore_header(file)?;
        let stats = store.stats()?;
        store.close().map(|()| stats.secrets)
    });
    let secrets = secrets.map_err(|failure| failure.hint_instead(WAYS))?;
    if format.json {
        return output::json_line(&serde_json::json!({ "secrets": secrets }));
    }
    let secrets = output::counted(secrets, "secret");
    output::line(format_args!("put the header of the store in {directory} back, and opened it: {secrets}"))
}

/// What to do if the copy is of no use.
const WAYS: &str = "a copy fits the store that it was made of until the root key is changed; `strongroom \
    restore-backup` makes a new store from a backup";
