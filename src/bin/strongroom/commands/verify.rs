//! `strongroom verify`.

use serde::Serialize;
use strongroom::{Finding, VerifyOptions, VerifyReport};

use crate::arguments::upkeep::Verify;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};

/// What to do about what was found.
const WAYS: &str = "`strongroom restore-backup` makes a new store from a backup, `strongroom salvage` one from what can \
    still be read";

/// The last line for programs.
#[derive(Serialize)]
struct Summary {
    clean: bool,
    epoch: u64,
    records: u64,
    secrets: u64,
    versions: u64,
    opened_values: u64,
    closed_values: u64,
    findings: u64,
}

pub(crate) fn run(arguments: Verify) -> Result<(), Failure> {
    let Verify { whole, no_values, expect_epoch, report: format } = arguments;
    place::require_store_in(&whole.dir).map_err(beyond_report)?;
    let keys = WholeKeys::new(&whole, &whole.dir)?;
    let options = VerifyOptions::new().opens_values(!no_values);
    let report = keys.opened(format!("opening {}", whole.dir.display()), |builder, tell| {
        let builder = match expect_epoch {
            Some(epoch) => builder.open_expecting(epoch),
            None => builder,
        };
        builder.verify(options, tell)
    });
    let report = report.map_err(beyond_report)?;
    list(&report.findings, report.findings_total, format.json)?;
    if format.json {
        output::json_line(&summary(&report))?;
    } else {
        output::line(verdict(&report))?;
    }
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::new(Code::Damaged, format!("the store in `{}` is damaged", whole.dir.display())).hint(WAYS))
}

/// What is too damaged to be reported on needs another hint than a verification.
fn beyond_report(failure: Failure) -> Failure {
    if failure.is(Code::Damaged) { failure.hint_instead(WAYS) } else { failure }
}

/// Prints findings, one on each line.
pub(super) fn list(findings: &[Finding], total: u64, is_json: bool) -> Result<(), Failure> {
    for Finding { kind, subject, text, .. } in findings {
        if is_json {
            let line = serde_json::json!({ "kind": kind.as_str(), "subject": subject, "text": text });
            output::json_line(&line)?;
        } else {
            output::line(output::shown(&format!("{kind}: {subject}: {text}")))?;
        }
    }
    let rest = total.saturating_sub(findings.len() as u64);
    if rest > 0 && !is_json {
        output::line(format_args!("and {} more", counted(rest, "finding")))?;
    }
    Ok(())
}

fn summary(report: &VerifyReport) -> Summary {
    Summary {
        clean: report.is_clean(),
        epoch: report.epoch,
        records: report.records,
        secrets: report.secrets,
        versions: report.versions,
        opened_values: report.opened_values,
        closed_values: report.closed_values,
        findings: report.findings_total,
    }
}

fn verdict(report: &VerifyReport) -> String {
    if !report.is_clean() {
        return format!("damaged: {}", counted(report.findings_total, "finding"));
    }
    let mut verdict = format!(
        "whole: {}, {}, {}, {} opened",
        counted(report.records, "record"),
        counted(report.secrets, "secret"),
        counted(report.versions, "version"),
        counted(report.opened_values, "value"),
    );
    if report.closed_values > 0 {
        verdict.push_str(&format!(", {} not opened because of a key", counted(report.closed_values, "value")));
    }
    format!("{verdict}, epoch {}", report.epoch)
}
