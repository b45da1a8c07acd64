//! `strongroom import`.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use strongroom::{
    ConflictReason, Error, ErrorKind, ImportConflict, ImportOptions, ImportReport, KeyFaultReason, KeyProvider,
    SecretStore,
};
use zeroize::Zeroizing;

use crate::arguments::transfer::Import;
use crate::commands::export;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::{place, progress};

/// What is read of a pipe, which has to be kept because lines are read twice.
const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(crate) fn run(arguments: Import) -> Result<(), Failure> {
    let Import { file, key, plain, dry_run, kms_key_id, whole, report: format } = arguments;
    let is_stdin = file == Path::new("-");
    if is_stdin && !plain {
        return Err(Failure::usage("`-` is for --plain: an encrypted export is a file"));
    }
    if is_stdin && whole.key.passphrase_fd == Some(0) {
        return Err(Failure::usage("standard input cannot be both the passphrase and the export"));
    }
    if !is_stdin {
        place::require_old_file(&file)?;
    }
    place::require_store_in(&whole.dir)?;
    let mut options = ImportOptions::new().dry_run(dry_run);
    if let Some(key) = kms_key_id {
        options = options.kms_key_id(key);
    }
    // Before the store is opened: typing takes time, and whoever writes the lines may need the store.
    let source = match (plain, is_stdin) {
        (false, _) => Source::Encrypted(export::key_of(&key, &whole, false)?),
        (true, false) => open(&file)?,
        (true, true) => Source::Input(read_input(io::stdin().lock())?),
    };
    let store = place::open_whole(&whole)?;
    let report = source.import(&store, &file, &options);
    store.close()?;
    let report = report?;
    print(&report, dry_run, format.json)?;
    let differing = report.conflicts.iter().filter(|conflict| differs(conflict).is_some()).count() as u64;
    if differing == 0 {
        return Ok(());
    }
    let text =
        format!("{} of the export differ from what is there, which was left as it is", counted(differing, "secret"));
    Err(Failure::new(Code::Conflict, text))
}

/// Where the secrets come from.
enum Source {
    Encrypted(Arc<dyn KeyProvider>),
    File(BufReader<File>),
    Input(Cursor<Zeroizing<Vec<u8>>>),
}

impl Source {
    fn import(self, store: &SecretStore, path: &Path, options: &ImportOptions) -> Result<ImportReport, Failure> {
        progress::follow("importing", |tell| match self {
            Self::Encrypted(key) => store.import(path, &*key, options, tell),
            Self::File(mut lines) => store.import_plaintext(&mut lines, options, tell),
            Self::Input(mut lines) => store.import_plaintext(&mut lines, options, tell),
        })
        .map_err(failed)
    }
}

fn failed(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::WrongKey(fault) if fault.reason == KeyFaultReason::WrongPassphrase => {
            Failure::from(error).hint("give the passphrase with which the export was made")
        }
        ErrorKind::WrongKey(_) => {
            Failure::new(Code::Key, format!("this is not the key of the export, or not its passphrase: {error}"))
                .hint("give the key file or passphrase with which the export was made")
        }
        ErrorKind::KeyAccessDenied(_) => Failure::from(error)
            .hint("--kms-key-id KEY seals everything under another key, --kms-key-id '' under the default one"),
        _ => error.into(),
    }
}

/// The lines of a file, or of a pipe with a name.
fn open(path: &Path) -> Result<Source, Failure> {
    let cannot_read = |error| Failure::from(error).during(format_args!("cannot read `{}`", path.display()));
    let file = File::open(path).map_err(cannot_read)?;
    if file.metadata().map_err(cannot_read)?.is_file() {
        return Ok(Source::File(BufReader::new(file)));
    }
    read_input(file).map(Source::Input).map_err(|failure| failure.during(path.display()))
}

/// All of what can be read once only. The allocator wipes what is freed while it grows.
fn read_input(input: impl Read) -> Result<Cursor<Zeroizing<Vec<u8>>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    input.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        let text = format!("there are more than {} in the pipe", counted(INPUT_BYTES_MAX, "byte"));
        return Err(Failure::new(Code::Invalid, text).hint("import a file, which can be as long as it likes"));
    }
    Ok(Cursor::new(bytes))
}

/// The member of the API in which a secret differs from the one that is there.
fn differs(conflict: &ImportConflict) -> Option<&'static str> {
    match conflict.reason {
        ConflictReason::Differs(member) => Some(member),
        _ => None,
    }
}

fn print(report: &ImportReport, is_dry_run: bool, is_json: bool) -> Result<(), Failure> {
    for conflict in &report.conflicts {
        let subject = format!("{}/{}/{}", conflict.account, conflict.region, conflict.name);
        let (kind, text) = match conflict.reason {
            ConflictReason::Differs(member) => ("conflict", format!("another one is there, with another {member}")),
            ConflictReason::Expired => ("expired", "its recovery window is over".to_owned()),
            _ => ("conflict", "it cannot be imported".to_owned()),
        };
        if is_json {
            output::json_line(&serde_json::json!({ "kind": kind, "subject": subject, "text": text }))?;
        } else {
            output::line(output::shown(&format!("{kind}: {subject}: {text}")))?;
        }
    }
    if is_json {
        return output::json_line(&serde_json::json!({
            "dry_run": is_dry_run,
            "created": report.created,
            "unchanged": report.unchanged,
            "conflicts": report.conflicts.len(),
        }));
    }
    let did = if is_dry_run { "would import" } else { "imported" };
    let created = counted(report.created, "secret");
    let alone = report.conflicts.len() as u64;
    output::line(format_args!("{did} {created}; {} there already, {alone} left alone", report.unchanged))
}
