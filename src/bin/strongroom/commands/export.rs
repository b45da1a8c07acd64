//! `strongroom export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom::{Error, ErrorKind, ExportOptions, ExportReport, KeyFileProvider, KeyProvider, SecretStore};

use crate::arguments::transfer::{Export, ExportKey};
use crate::arguments::upkeep::Whole;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::{place, progress};

pub(crate) fn run(arguments: Export) -> Result<(), Failure> {
    let Export { file, key, skip_unreadable, plain, yes_write_values_in_plain_text: _, whole, report: format } =
        arguments;
    let is_stdout = file == Path::new("-");
    if is_stdout && !plain {
        return Err(Failure::usage("`-` is for --plain: an encrypted export is a file"));
    }
    if is_stdout && format.json {
        return Err(Failure::usage("standard output cannot be both the export and the --json report"));
    }
    if !is_stdout {
        place::require_new_file(&file)?;
    }
    place::require_store_in(&whole.dir)?;
    let options = ExportOptions::new().skip_unreadable(skip_unreadable);
    let report = if plain {
        write_plain(&whole, &file, is_stdout, &options)?
    } else {
        write_encrypted(&whole, &file, &key, &options)?
    };
    if is_stdout {
        return Ok(());
    }
    print(&report, &file, format.json)
}

fn write_encrypted(
    whole: &Whole,
    file: &Path,
    key: &ExportKey,
    options: &ExportOptions,
) -> Result<ExportReport, Failure> {
    // Before the store is opened: typing takes time.
    let key = NewKey::read(key, whole)?;
    let store = place::open_whole(whole)?;
    let report = key.get().and_then(|key| {
        progress::follow("exporting", |tell| store.export(file, &*key, options, tell))
            .map_err(|error| failed(file, error))
    });
    store.close()?;
    report
}

/// The key of a new export. A file that is not there is made only when the store is known to open.
enum NewKey {
    Read(Arc<dyn KeyProvider>),
    ToMake(PathBuf),
}

impl NewKey {
    fn read(key: &ExportKey, whole: &Whole) -> Result<Self, Failure> {
        match &key.export_key_file {
            Some(path) if !path.exists() => Ok(Self::ToMake(path.clone())),
            _ => key_of(key, whole, true).map(Self::Read),
        }
    }

    fn get(self) -> Result<Arc<dyn KeyProvider>, Failure> {
        match self {
            Self::Read(provider) => Ok(provider),
            Self::ToMake(path) => {
                let provider = KeyFileProvider::create(&path)?;
                // Nobody is left to be told if this fails.
                let _ = writeln!(
                    io::stderr(),
                    "made a key file: {}\nWithout it nothing in the export can be read. Keep it apart from the export.",
                    path.display()
                );
                Ok(Arc::new(provider))
            }
        }
    }
}

/// The key of an export, as the arguments name it.
pub(super) fn key_of(key: &ExportKey, whole: &Whole, is_new: bool) -> Result<Arc<dyn KeyProvider>, Failure> {
    if let Some(path) = &key.export_key_file {
        if !path.exists() {
            return Err(Failure::new(Code::Key, format!("there is no key file `{}`", path.display())));
        }
        return Ok(Arc::new(KeyFileProvider::open(path)?));
    }
    if key.export_passphrase_fd.is_some() && key.export_passphrase_fd == whole.key.passphrase_fd {
        return Err(Failure::usage("one descriptor cannot hold both the store's passphrase and that of the export"));
    }
    place::by_passphrase(key.export_passphrase_fd, "Passphrase of the export: ", is_new)
}

fn failed(file: &Path, error: Error) -> Failure {
    let is_file = *error.kind() == ErrorKind::BackupFile;
    let failure = Failure::from(error);
    match is_file {
        true if file.exists() => failure.code(Code::Conflict),
        true => failure.code(Code::Other),
        false => failure,
    }
}

fn write_plain(whole: &Whole, file: &Path, is_stdout: bool, options: &ExportOptions) -> Result<ExportReport, Failure> {
    let store = place::open_whole(whole)?;
    let report = if is_stdout {
        write_lines(&store, &mut io::stdout().lock(), options)
    } else {
        write_plain_file(&store, file, options)
    };
    store.close()?;
    report
}

fn write_plain_file(store: &SecretStore, path: &Path, options: &ExportOptions) -> Result<ExportReport, Failure> {
    let cannot_write = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::AlreadyExists { Code::Conflict } else { Code::Other };
        Failure::from(error).code(code).during(format_args!("cannot write `{}`", path.display()))
    };
    let file = private(path).map_err(cannot_write)?;
    let written = write_lines(store, &mut BufWriter::new(&file), options)
        .and_then(|report| file.sync_all().map(|()| report).map_err(cannot_write));
    if written.is_err() {
        // What is incomplete would be refused by an import, and its values can be read all the same.
        let _ = fs::remove_file(path);
    }
    written
}

fn write_lines(store: &SecretStore, out: &mut dyn io::Write, options: &ExportOptions) -> Result<ExportReport, Failure> {
    progress::follow("exporting", |tell| store.export_plaintext(out, options, tell)).map_err(|error| {
        let is_file = *error.kind() == ErrorKind::BackupFile;
        let failure = Failure::from(error);
        if is_file { failure.code(Code::Other) } else { failure }
    })
}

/// A file that only its owner can read, where there was none.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn print(report: &ExportReport, file: &Path, is_json: bool) -> Result<(), Failure> {
    for skipped in &report.skipped {
        let text = skipped.error.to_string();
        if is_json {
            output::json_line(&serde_json::json!({ "kind": "skipped", "subject": skipped.arn, "text": text }))?;
        } else {
            output::line(output::shown(&format!("skipped: {}: {text}", skipped.arn)))?;
        }
    }
    if is_json {
        let skipped = report.skipped.len();
        return output::json_line(
            &serde_json::json!({ "secrets": report.secrets, "versions": report.versions, "skipped": skipped }),
        );
    }
    let file = output::shown(&file.display().to_string());
    let secrets = counted(report.secrets, "secret");
    output::line(format_args!("exported {secrets} with {} to {file}", counted(report.versions, "version")))
}
