//! `strongroom audit`.

use strongroom::{AuditBreak, AuditFile, AuditReport};

use crate::arguments::audit::{AuditCommand, VerifyAudit};
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place;

pub(crate) fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(verify) => self::verify(&verify),
    }
}

fn verify(arguments: &VerifyAudit) -> Result<(), Failure> {
    let VerifyAudit { file, expect_head, report: format } = arguments;
    place::require_old_file(file)?;
    let report = AuditFile::verify(file, *expect_head)?;
    if let Some(AuditBreak { line, kind, .. }) = report.broken {
        if format.json {
            let finding = serde_json::json!({ "kind": kind.as_str(), "line": line, "text": kind.to_string() });
            output::json_line(&finding)?;
        } else {
            output::line(format_args!("{}: line {line}: {kind}", kind.as_str()))?;
        }
    }
    if format.json {
        output::json_line(&summary(&report))?;
    } else {
        output::line(verdict(&report))?;
    }
    if report.is_whole() {
        return Ok(());
    }
    Err(Failure::new(Code::Damaged, format!("the audit file `{}` is not as it was written", file.display())))
}

fn summary(report: &AuditReport) -> serde_json::Value {
    serde_json::json!({
        "clean": report.is_whole(),
        "records": report.records,
        "lost_records": report.lost_records,
        "torn_lines": report.torn_lines,
        "head": report.head.map(|head| head.to_string()),
    })
}

fn verdict(report: &AuditReport) -> String {
    let mut verdict = if report.is_whole() { "whole: " } else { "not as it was written: before that, " }.to_owned();
    verdict.push_str(&counted(report.records, "record"));
    if report.lost_records > 0 {
        verdict.push_str(&format!(", {} lost when they could not be written", counted(report.lost_records, "record")));
    }
    if report.torn_lines > 0 {
        verdict.push_str(&format!(", {}", counted(report.torn_lines, "torn line")));
    }
    if let Some(head) = report.head {
        verdict.push_str(&format!(", head {head}"));
    }
    verdict
}
