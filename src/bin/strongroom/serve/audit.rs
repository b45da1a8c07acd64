//! The audit file of a server, and what the log says when it cannot be written.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom::{AuditFailure, AuditFile, AuditFileOptions, AuditRecord, Observer};

use crate::failure::Failure;

/// What a damaged audit file is to its server.
const BEGIN_ANOTHER: &str = "`strongroom audit verify FILE` says what is wrong; move it away, and a new one is begun";

/// An audit file whose first failure is in the log. The calls have been carried out all the same.
#[derive(Debug)]
pub(super) struct Audit {
    file: AuditFile,
    is_told: AtomicBool,
}

impl Audit {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = AuditFile::open(path, AuditFileOptions::new());
        let file = file.map_err(|error| Failure::from(error).hint_instead(BEGIN_ANOTHER))?;
        Ok(Self { file, is_told: AtomicBool::new(false) })
    }

    /// Fails if the file does not have everything.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.file.failure() {
            None => Ok(()),
            Some(failure) => Err(Failure::from(std::io::Error::other(told(&self.file, &failure)))),
        }
    }
}

impl Observer for Audit {
    fn observe(&self, record: &AuditRecord) {
        self.file.observe(record);
        if let Some(failure) = self.file.failure()
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            let AuditFailure { reason, .. } = &failure;
            tracing::error!(path = %self.file.path().display(), reason, "the audit file cannot be written");
        }
    }
}

fn told(file: &AuditFile, failure: &AuditFailure) -> String {
    let AuditFailure { reason, lost_records, .. } = failure;
    format!(
        "the audit file `{}` could not be written, {lost_records} records are lost: {reason}",
        file.path().display()
    )
}
