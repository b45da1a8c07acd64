//! The arguments of `export` and `import`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::arguments::upkeep::{Report, Whole};

/// What an export is encrypted with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Export")]
#[group(skip)]
pub(crate) struct ExportKey {
    /// A file with the key of the export
    #[arg(long, value_name = "FILE")]
    pub(crate) export_key_file: Option<PathBuf>,

    /// Ask for the passphrase of the export on the terminal
    #[arg(long)]
    pub(crate) export_passphrase: bool,

    /// Read the passphrase of the export from this inherited file descriptor; one newline at its end is dropped
    #[arg(long, value_name = "FD")]
    pub(crate) export_passphrase_fd: Option<u32>,
}

/// Every way to say it, and the way to do without.
fn one_way() -> ArgGroup {
    ArgGroup::new("way").required(true).args(["export_key_file", "export_passphrase", "export_passphrase_fd", "plain"])
}

#[derive(Debug, Args)]
#[command(
    after_help = EXPORT_HELP,
    override_usage = "strongroom export [OPTIONS] --dir <DIR> --export-key-file <KEY> <FILE>\n       \
                      strongroom export [OPTIONS] --dir <DIR> --export-passphrase <FILE>",
    group = one_way(),
    mut_arg("export_key_file", |file| file.help("A file with the key of the export. It is made if it is not there"))
)]
pub(crate) struct Export {
    /// The file to write. It must not be there yet. With --plain, `-` is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) key: ExportKey,

    /// Leave out secrets with a value that its key does not open, and list them, instead of failing
    #[arg(long)]
    pub(crate) skip_unreadable: bool,

    /// Write JSON lines that everybody can read, values included
    #[arg(long, requires = "yes_write_values_in_plain_text")]
    pub(crate) plain: bool,

    /// Allow --plain
    #[arg(long, requires = "plain")]
    pub(crate) yes_write_values_in_plain_text: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const EXPORT_HELP: &str = "\
Every secret of every account and Region, with all of its versions, values, labels, tags and dates,
in a file with a key of its own: `strongroom import FILE` brings them into any other store.

For the way back after damage, a backup is quicker and complete: `strongroom backup`.";

#[derive(Debug, Args)]
#[command(
    after_help = IMPORT_HELP,
    override_usage = "strongroom import [OPTIONS] --dir <DIR> --export-key-file <KEY> <FILE>\n       \
                      strongroom import [OPTIONS] --dir <DIR> --export-passphrase <FILE>",
    group = one_way()
)]
pub(crate) struct Import {
    /// A file that `strongroom export` wrote. With --plain, `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) key: ExportKey,

    /// Read the JSON lines of `strongroom export --plain`
    #[arg(long)]
    pub(crate) plain: bool,

    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The key that protects all imported values from now on; empty for the default key. Without: the key id that each
    /// secret had
    #[arg(long, value_name = "KEY")]
    pub(crate) kms_key_id: Option<String>,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const IMPORT_HELP: &str = "\
Nothing is written before the whole file was checked. A secret that is there already is never
changed: if it is the same, nothing happens; if it is not, it is listed, all others are imported,
and the exit code is 4. So an import can be repeated.";
