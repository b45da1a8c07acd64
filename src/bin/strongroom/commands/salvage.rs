//! `strongroom salvage`, and the part of it that is a process of its own.

use std::path::Path;
use std::process::Command;

use serde::Serialize;
use strongroom::{SalvageReport, SecretStore};

use crate::arguments::Key;
use crate::arguments::upkeep::{Salvage, SalvageReader};
use crate::commands::restore_backup::in_the_way;
use crate::commands::verify;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};

/// What to do about what could not be saved.
const BACKUP: &str = "a backup may have the rest: `strongroom restore-backup`";

/// The last line for programs.
#[derive(Serialize)]
struct Summary {
    whole: bool,
    epoch: u64,
    expected_epoch: u64,
    secrets: u64,
    versions: u64,
    closed_values: u64,
    findings: u64,
}

pub(crate) fn run(arguments: Salvage) -> Result<(), Failure> {
    let Salvage { source, whole, report: format } = arguments;
    require_source(&source)?;
    if std::path::absolute(&whole.dir)?.starts_with(std::path::absolute(&source)?) && source != whole.dir {
        return Err(Failure::usage("the new store cannot be made inside the damaged one, in which nothing is changed"));
    }
    if place::is_made(&whole.dir)? {
        return Err(in_the_way(&whole.dir));
    }
    let keys = WholeKeys::new(&whole, &source)?;
    let mut reader = Command::new(std::env::current_exe()?);
    reader.arg("salvage-reader");
    let report = keys.opened(format!("copying {}", source.display()), |builder, tell| {
        let (store, report) = builder.salvage(&source, Some(reader), tell)?;
        store.close().map(|()| report)
    });
    let report = report.map_err(|failure| {
        // A header that cannot even be recognised.
        let is_damaged = failure.is(Code::NotFound) && source.join("store.hdr").exists();
        beyond_help(if is_damaged { failure.code(Code::Damaged).hint(BACKUP) } else { failure })
    })?;
    verify::list(&report.findings, report.findings_total, format.json)?;
    let is_whole = report.is_whole && report.findings_total == 0;
    if format.json {
        output::json_line(&summary(&report, is_whole))?;
    } else {
        tell(&report, &whole.dir, is_whole)?;
        output::line(format_args!("{}", how_to_open(&source, &whole.dir, &whole.key)?))?;
    }
    if is_whole {
        return Ok(());
    }
    let text = format!(
        "not everything could be saved; what could is in the new store in `{}`, which is sound",
        whole.dir.display()
    );
    Err(Failure::new(Code::Damaged, text).hint(BACKUP))
}

/// Fails if there is nothing to salvage.
fn require_source(source: &Path) -> Result<(), Failure> {
    if SecretStore::exists(source).map_err(|error| beyond_help(error.into()))? {
        return Ok(());
    }
    Err(Failure::new(Code::NotFound, format!("there is no store in `{}`", source.display())))
}

/// What is too damaged for a salvage needs another hint than a salvage.
fn beyond_help(failure: Failure) -> Failure {
    if failure.is(Code::Damaged) { failure.hint_instead(BACKUP) } else { failure }
}

/// The child: what is left of the engine's files, as the engine sees them.
pub(crate) fn read(arguments: &SalvageReader) -> Result<(), Failure> {
    // The engine would make what is not there.
    if !arguments.dir.is_dir() {
        return Err(Failure::new(Code::NotFound, format!("there is no directory `{}`", arguments.dir.display())));
    }
    SecretStore::read_engine_files(&arguments.dir, &arguments.out)?;
    Ok(())
}

fn summary(report: &SalvageReport, whole: bool) -> Summary {
    Summary {
        whole,
        epoch: report.epoch,
        expected_epoch: report.expected_epoch,
        secrets: report.secrets,
        versions: report.versions,
        closed_values: report.closed_values,
        findings: report.findings_total,
    }
}

fn tell(report: &SalvageReport, directory: &Path, is_whole: bool) -> Result<(), Failure> {
    let mut saved = format!(
        "saved {} with {} into {}",
        counted(report.secrets, "secret"),
        counted(report.versions, "version"),
        output::shown(&directory.display().to_string()),
    );
    if report.closed_values > 0 {
        saved.push_str(&format!(", {} not opened because of a key", counted(report.closed_values, "value")));
    }
    output::line(saved)?;
    if is_whole {
        output::line("whole: nothing is missing")
    } else {
        output::line(format_args!("incomplete: {}", counted(report.findings_total, "finding")))
    }
}

/// The keys stay where they are. Only the default keyring is found by the place of the store.
pub(super) fn how_to_open(source: &Path, directory: &Path, key: &Key) -> Result<String, Failure> {
    let Key { keyring, key_file, passphrase, passphrase_fd, .. } = key.or_from_environment()?;
    let option = match (keyring, key_file) {
        _ if passphrase || passphrase_fd.is_some() => return Ok("it opens with the same passphrase".to_owned()),
        (_, Some(path)) => format!("--key-file {}", path.display()),
        (Some(path), None) => format!("--keyring {}", path.display()),
        (None, None) => format!("--keyring {}", place::beside(source).display()),
    };
    Ok(output::shown(&format!("open it with: --dir {} {option}", directory.display())))
}
