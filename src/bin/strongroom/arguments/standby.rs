//! The arguments of standbys: following a store, and what becomes of who follows.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use crate::arguments::Key;
use crate::arguments::upkeep::{Report, Whole};

/// What opens the standby, if that is not what opens the store.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Standby")]
pub(crate) struct StandbyKey {
    /// The keyring that opens the standby. Without: whatever opens the store
    #[arg(long, value_name = "FILE", requires = "standby", conflicts_with = "standby_key_file")]
    pub(crate) standby_keyring: Option<PathBuf>,

    /// The key file that opens the standby
    #[arg(long, value_name = "FILE", requires = "standby")]
    pub(crate) standby_key_file: Option<PathBuf>,
}

impl StandbyKey {
    /// `None`: whatever opens the store.
    pub(crate) fn own(&self) -> Option<Key> {
        let Self { standby_keyring, standby_key_file } = self;
        (standby_keyring.is_some() || standby_key_file.is_some()).then(|| Key {
            keyring: standby_keyring.clone(),
            key_file: standby_key_file.clone(),
            passphrase: false,
            passphrase_fd: None,
            also_key_file: Vec::new(),
        })
    }
}

/// Where a server keeps a standby.
#[derive(Debug, Args)]
#[command(next_help_heading = "Standby")]
pub(crate) struct ServedStandby {
    /// Keep a standby of the store in this directory: what is changed is there a second later, and when the server has ended
    #[arg(long, value_name = "DIR")]
    pub(crate) standby: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) key: StandbyKey,
}

#[derive(Debug, Args)]
#[command(
    after_help = REPLICATE_HELP,
    override_usage = "strongroom replicate [OPTIONS] --dir <DIR> <STANDBY>\n       \
                      strongroom replicate [OPTIONS] --dir <DIR> --follow <STANDBY>"
)]
pub(crate) struct Replicate {
    /// The directory of the standby. It is made if it is not there
    #[arg(value_name = "STANDBY")]
    pub(crate) standby: PathBuf,

    /// Go on, until SIGINT (Ctrl-C) or SIGTERM ends it between two steps
    #[arg(long)]
    pub(crate) follow: bool,

    /// How often to look whether there is something new
    #[arg(long, value_name = "SECONDS", default_value_t = 1, requires = "follow", value_parser = value_parser!(u32).range(1..=86_400))]
    pub(crate) interval: u32,

    /// For how many commits the store keeps what they change, from now on [default: as it was, and 100,000 for the first
    /// standby]
    #[arg(long, value_name = "COMMITS", value_parser = value_parser!(u64).range(1..))]
    pub(crate) keep: Option<u64>,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,

    #[command(flatten)]
    pub(crate) key: StandbyKey,
}

const REPLICATE_HELP: &str = "\
Examples:
  $ strongroom replicate /mnt/other/standby
  $ strongroom replicate /mnt/other/standby --follow

A standby is a store that holds what this one held at one of its commits, and only follows: it can
be read, not written to. When this store is lost, `strongroom standby promote STANDBY` makes it a
store like any other. If there is none yet, all secrets are copied first. It can be interrupted and
killed at any moment; the next call goes on. A line says how far the standby is.

With --follow both stores are open only while there is something to bring over, so that other
commands can work on them in between; a store that is open elsewhere is waited for. A server keeps
its store open: use `strongroom serve --standby`.

A standby that was away for more commits than the store keeps has to be made anew: remove its
directory. It is no backup: what is deleted here is deleted there. Keep the keys in two places, too.";

#[derive(Debug, Subcommand)]
pub(crate) enum StandbyCommand {
    /// Show whether a store is a standby, and how far it is; or for how long standbys of it may be away
    Status(Standby),
    /// Make a standby a store like any other, because the one that it follows is lost
    #[command(after_help = PROMOTE_HELP)]
    Promote(Standby),
    /// Keep no changes for standbys any more, and forget those that were kept: every standby of this store is given up
    Forget(Forget),
}

/// A store that may be a standby.
#[derive(Debug, Args)]
#[command(mut_arg("keyring", |keyring| keyring.help(
    "A keyring: a file of named keys with states. The default, as STANDBY.keyring beside it [env: STRONGROOM_KEYRING]"
)))]
pub(crate) struct Standby {
    /// Its directory
    #[arg(value_name = "STANDBY")]
    pub(crate) directory: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) key: Key,
}

impl Standby {
    pub(crate) fn whole(&self) -> Whole {
        Whole { dir: self.directory.clone(), key: self.key.clone() }
    }
}

const PROMOTE_HELP: &str = "\
There is no way back: from then on it follows nobody, and what the other store committed after that
is not in it. See to it that nobody uses the other store any more; both go by the same ARNs. When
the other one is back, move its directory away and make it a standby of this one.";

#[derive(Debug, Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    pub(crate) whole: Whole,
}
