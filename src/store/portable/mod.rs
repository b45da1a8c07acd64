//! Moving secrets between stores: exports, which know nothing of the store they come from but its secrets.
//!
//! An export is written and read one secret at a time, so that it takes the memory of its largest secret.

mod export;
mod file;
mod import;
#[cfg(feature = "json")]
mod lines;

use crate::error::{Error, ErrorKind, Result};
use crate::model::portable::Portable;

pub use crate::store::portable::export::{ExportOptions, ExportReport, SkippedSecret};
pub use crate::store::portable::import::{ConflictReason, ImportConflict, ImportOptions, ImportReport};

/// Where secrets come from. They can be read twice, and are the same the second time.
trait Source {
    /// The next secret, or `None` once the end was there and everything fits.
    fn next(&mut self) -> Result<Option<Portable>>;

    /// Goes back to the first secret.
    fn rewind(&mut self) -> Result<()>;

    /// Bytes read so far, since the last [`rewind`](Self::rewind).
    fn position(&self) -> u64;

    /// Bytes that there are to read.
    fn length(&self) -> u64;

    /// What is wrong with the secret that was read last.
    fn refuse(&self, why: &str) -> Error;
}

fn bad_file(text: String) -> Error {
    Error::new(ErrorKind::BackupFile, text)
}

/// The same error, with what it is about.
fn about(what: &str, error: Error) -> Error {
    use ErrorKind as K;
    let key = match error.kind() {
        K::KeyAccessDenied(fault)
        | K::InvalidKey(fault)
        | K::EncryptionFailure(fault)
        | K::DecryptionFailure(fault)
        | K::KeyProviderOutage(fault) => format!(" (key `{}`, {:?})", fault.key, fault.reason),
        _ => String::new(),
    };
    // Failures of ours tell what happened only when they are displayed, the others begin with their code then.
    let text = if error.code() == "InternalServiceError" { error.to_string() } else { error.message().to_owned() };
    Error::new(error.kind().clone(), format!("{what}: {text}{key}")).with_source(error)
}
