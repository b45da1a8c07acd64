//! The arguments of `audit`: files that a server has written of what was done.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom::AuditHash;

use crate::arguments::upkeep::Report;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no line of an audit file was changed, removed or moved
    Verify(VerifyAudit),
}

#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct VerifyAudit {
    /// A file that `strongroom serve --audit-file` wrote. It may still be written
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The hash of a line that is known to have been there, for example the head of an earlier verification
    #[arg(long, value_name = "HEX")]
    pub(crate) expect_head: Option<AuditHash>,

    #[command(flatten)]
    pub(crate) report: Report,
}

const VERIFY_HELP: &str = "\
Every line is bound to all before it by a hash. The first line that does not fit is printed,
`kind: line: text`; the last line is the summary. Exit code 8 if there is one.

Whoever can write the file can also write all of it anew, or cut off its end. Keep the head that is
printed where they cannot write, and give it with --expect-head the next time.

A file that ends within a line may be written just now, or a crash has left it so. The server goes
on with it.";
