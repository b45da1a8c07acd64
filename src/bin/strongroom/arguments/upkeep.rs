//! The arguments of the commands that work on a whole store: checks, backups, rescue and space.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{DEFAULT_ACCOUNT, DEFAULT_REGION, Key, Place};

/// Which store, and what opens it, for commands to which accounts and Regions do not matter.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct Whole {
    /// The directory of the store
    #[arg(long, env = "STRONGROOM_DIR", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) key: Key,
}

impl Whole {
    /// The same for what needs some account and Region.
    pub(crate) fn place(&self) -> Place {
        let Self { dir, key } = self.clone();
        Place { dir, key, account: DEFAULT_ACCOUNT.to_owned(), region: DEFAULT_REGION.to_owned() }
    }
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Report {
    /// Print JSON for programs: one object on each line, the last of which is the summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct Verify {
    /// Check the seals of values without opening them: the keys of secrets are not used
    #[arg(long)]
    pub(crate) no_values: bool,

    /// Take a store for damaged whose newest commit is older than number N, for example the epoch of an earlier verification
    #[arg(long, value_name = "N")]
    pub(crate) expect_epoch: Option<u64>,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const VERIFY_HELP: &str = "\
Every record is read and compared with all others. Each finding is one line, `kind: subject: text`;
the last line is the summary. Exit code 8 if anything is wrong. Nothing that is stored is changed.

A value whose key is disabled or deleted stays closed. It is counted, and is no damage.

If something is wrong: `strongroom restore-backup` makes a new store from a backup, and
`strongroom salvage` one from what can still be read.";

#[derive(Debug, Args)]
#[command(after_help = BACKUP_HELP)]
pub(crate) struct Backup {
    /// The file to write. It must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const BACKUP_HELP: &str = "\
The file is encrypted as the store is, and only the store's key opens it: back up the keyring or
key file too, and keep it elsewhere. `strongroom restore-backup FILE` makes a store from it.

It holds everything of one moment. To bring secrets into a store with other keys, use
`strongroom export`.";

#[derive(Debug, Args)]
#[command(after_help = RESTORE_BACKUP_HELP)]
pub(crate) struct RestoreBackup {
    /// A file that `strongroom backup` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const RESTORE_BACKUP_HELP: &str = "\
DIR is where the new store is made; a store that is there already is never overwritten. The key is
the one of the store that was backed up: give --keyring if it does not lie beside DIR.

To take back the scheduled deletion of one secret, use `strongroom restore SECRET`.";

#[derive(Debug, Args)]
#[command(after_help = COMPACT_HELP)]
pub(crate) struct Compact {
    /// Only if the files take more than three times what is live and 48 MiB could be given back
    #[arg(long)]
    pub(crate) if_recommended: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const COMPACT_HELP: &str = "\
The files of a store never shrink by themselves, and what was overwritten or deleted stays in them,
encrypted, until it happens to be written over. This copies what is live into fresh files, reads
the copy back, and puts it in the place of the old files in one step. It needs space for both.

For a regular job there is --if-recommended: it leaves files alone that are mostly live.";

#[derive(Debug, Args)]
#[command(
    after_help = SALVAGE_HELP,
    mut_arg("keyring", |keyring| keyring.help(
        "The keyring of the damaged store. The default, as SOURCE.keyring beside the damaged store \
         [env: STRONGROOM_KEYRING]"
    )),
    mut_arg("dir", |dir| dir.help("The directory of the new store: it must hold no store yet"))
)]
pub(crate) struct Salvage {
    /// The directory of the damaged store. Nothing in it is changed
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const SALVAGE_HELP: &str = "\
Of every secret the newest state that authenticates is taken; what is missing or may be older than
it was is listed, one line for each. The new store has the keys of the damaged one: no key is made
or copied, and the last line says how to open it.

Exit code 0 if nothing is missing, 8 if something is: the new store is there all the same. A backup
may hold what is missing: `strongroom restore-backup`.";

/// The part of a salvage that may fail in any way, in a process of its own.
#[derive(Debug, Args)]
pub(crate) struct SalvageReader {
    /// A copy of the engine's files
    pub(crate) dir: PathBuf,

    /// The file to write
    pub(crate) out: PathBuf,
}
