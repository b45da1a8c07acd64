//! `strongroom maintain`.

use std::sync::Arc;

use serde::Serialize;
use strongroom::{MaintenanceReport, Timestamp};

use crate::arguments::rotate::Maintain;
use crate::commands::replicas;
use crate::commands::rotation::failures::Failures;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::{place, serve};

/// What was done, for programs: also what the administrative endpoint answers.
#[derive(Serialize)]
pub(crate) struct Summary {
    purged_secrets: u64,
    removed_versions: u64,
    rotated_secrets: u64,
    tested_rotations: u64,
    failed_rotations: u64,
    replicated_secrets: u64,
    failed_replications: u64,
    next_due_at: Option<f64>,
}

impl Summary {
    pub(crate) fn new(report: &MaintenanceReport) -> Self {
        Self {
            purged_secrets: report.purged_secrets,
            removed_versions: report.removed_versions,
            rotated_secrets: report.rotated_secrets,
            tested_rotations: report.tested_rotations,
            failed_rotations: report.failed_rotations,
            replicated_secrets: report.replicated_secrets,
            failed_replications: report.failed_replications,
            next_due_at: report.next_due_at.as_ref().map(|at| Timestamp::timestamp_millis(at) as f64 / 1000.0),
        }
    }
}

pub(crate) fn run(arguments: &Maintain) -> Result<(), Failure> {
    let Maintain { whole, beside, report: format } = arguments;
    let failures = Failures::default();
    let done = serve::beside(&whole.place(), beside, false, Arc::new(failures.clone()), |store| {
        let waiting = place::waiting(format!("maintaining {}", whole.dir.display()));
        let done = store.maintain();
        waiting.finish_and_clear();
        Ok(done?)
    })?;
    if format.json {
        output::json_line(&Summary::new(&done))?;
    } else {
        print(&done)?;
    }
    if done.failed_replications > 0 {
        replicas::warn_of_failures(done.failed_replications);
    }
    match done.failed_rotations {
        0 => Ok(()),
        failed => Err(Failure::new(Code::Rotation, failures.reasons().join("; "))
            .during(format_args!("{} failed", counted(failed, "rotation")))
            .hint("`strongroom rotation status` says when it is tried again")),
    }
}

fn print(done: &MaintenanceReport) -> Result<(), Failure> {
    let next = done.next_due_at.as_ref().map_or_else(|| "nothing is scheduled".to_owned(), output::date);
    output::members([
        ("Purged", vec![counted(done.purged_secrets, "secret")]),
        ("Removed", vec![counted(done.removed_versions, "version")]),
        ("Rotated", vec![counted(done.rotated_secrets, "secret")]),
        ("Tested", vec![counted(done.tested_rotations, "function")]),
        ("Replicated", vec![counted(done.replicated_secrets, "secret")]),
        ("Failed", vec![counted(done.failed_rotations, "rotation"), counted(done.failed_replications, "replication")]),
        ("Next", vec![next]),
    ])
}
