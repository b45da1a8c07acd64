//! The arguments of `keys`: what is wrapped under which key, and the keys of a keyring.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::Place;
use crate::arguments::upkeep::{Report, Whole};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Count what each key opens; no key is used
    Census(Census),
    /// Wrap everything under the newest versions of its keys, or under other keys
    Rewrap(Rewrap),
    /// Give every version a new data key and a new ciphertext
    Reencrypt(Reencrypt),
    /// Remove what a key has wrapped, wherever another key opens it too
    DropWraps(DropWraps),
    /// Add a recovery key, which opens everything besides each secret's own key
    AddRecipient(AddRecipient),
    /// Give the store another root key
    #[command(after_help = ROTATE_ROOT_HELP)]
    RotateRoot(RootWork),
    /// Make unreadable for good what was deleted
    #[command(after_help = SHRED_HELP)]
    Shred(RootWork),
    /// Change the passphrase that opens the store
    ChangePassphrase(ChangePassphrase),
    /// Copy the header of the store, without which nothing opens it, into a file
    BackupHeader(BackupHeader),
    /// Put a copy of the header back, after both copies in the store were lost
    RestoreHeader(RestoreHeader),
    /// List the keys of the keyring
    #[command(after_help = KEYRING_HELP)]
    List(Work),
    /// Make a key in the keyring, and print its ARN
    Create(Create),
    /// Switch a key of the keyring off: its secrets can be neither read nor written
    #[command(after_help = KEYRING_HELP)]
    Disable(OneKey),
    /// Switch a key of the keyring on
    #[command(after_help = KEYRING_HELP)]
    Enable(OneKey),
    /// Schedule a key of the keyring for deletion; the keyring keeps it
    #[command(after_help = SCHEDULE_HELP)]
    ScheduleDeletion(OneKey),
    /// Take back the scheduled deletion of a key; it is disabled then
    #[command(after_help = KEYRING_HELP)]
    CancelDeletion(OneKey),
    /// Give a key of the keyring new material; the older stays, for what is wrapped under it
    #[command(after_help = ROTATE_HELP)]
    Rotate(OneKey),
    /// Give a key of the keyring another name, or let that name lead to another key
    #[command(after_help = KEYRING_HELP)]
    Alias(Alias),
}

/// A store, and the account and Region in which names of keys are looked for.
#[derive(Debug, Clone, Args)]
#[command(
    mut_arg("account", |account| account.help("The account in which names of keys are looked for: 12 digits")),
    mut_arg("region", |region| region.help("The Region in which names of keys are looked for"))
)]
pub(crate) struct Holder {
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Work that needs nothing but the store, or its keyring.
#[derive(Debug, Args)]
pub(crate) struct Work {
    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

/// Work on the root key.
#[derive(Debug, Args)]
pub(crate) struct RootWork {
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

#[derive(Debug, Args)]
#[command(after_help = CENSUS_HELP)]
pub(crate) struct Census {
    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const CENSUS_HELP: &str = "\
WRAPPED counts the versions that the key opens, ONLY KEY OF those that no other key opens: these
are lost with the key. Secrets that are scheduled for deletion count. A key that was rotated stands
there once for each version of it that is in use.";

/// Accounts and Regions whose secrets are gone through.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Only the secrets of this account and Region (can be given several times), and not the root key. Without: everything
    #[arg(long, value_name = "ACCOUNT/REGION")]
    pub(crate) only: Vec<String>,

    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = REWRAP_HELP)]
pub(crate) struct Rewrap {
    /// Wrap under TO whatever is wrapped under FROM, each an ARN or a name, and let secrets that use FROM use TO
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pub(crate) replace: Option<Vec<String>>,

    #[command(flatten)]
    pub(crate) scope: Scope,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const REWRAP_HELP: &str = "\
After `keys rotate`, `keys alias`, or for a key that is lost or to be given up. The root key goes
over to what the name of its key leads to now, or where --replace says. The values and their data
keys stay as they are: after a leak of those, `strongroom keys reencrypt`.

What each key opens is printed as it was before and as it is after. Exit code 6 if a key was in the
way: its versions stay as they were, and each is listed. Interrupted, call it again.";

#[derive(Debug, Args)]
#[command(after_help = REENCRYPT_HELP)]
pub(crate) struct Reencrypt {
    #[command(flatten)]
    pub(crate) scope: Scope,

    /// Begin at the first secret, also if an earlier run was interrupted
    #[arg(long)]
    pub(crate) anew: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const REENCRYPT_HELP: &str = "\
The answer to a data key that may have leaked. Values, dates and labels stay as they are. The old
ciphertexts stay in the files of the store until they are written over: `strongroom keys shred`.

Interrupted, call it again with the same options, and it goes on where it was. Exit code 6 if a key
was in the way: its versions stay as they were, and each is listed.";

#[derive(Debug, Args)]
#[command(after_help = DROP_HELP)]
pub(crate) struct DropWraps {
    /// The key: its ARN, as `strongroom keys census` shows it, or the name by which it was used
    #[arg(value_name = "KEY")]
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) scope: Scope,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const DROP_HELP: &str = "\
A recovery key ceases to be one. What nothing else opens keeps its wrap, and is listed: exit code 4
then. Exit code 6 if nothing is wrapped under the key.

Secrets that use the key go on using it for new versions: `strongroom keys rewrap --replace` moves
them to another. A backup made before still opens with the key.";

#[derive(Debug, Args)]
#[command(
    after_help = ADD_RECIPIENT_HELP,
    mut_arg("also_key_file", |file| file.help(
        "A key file besides, which is the key that NAME, as in alias/recovery, leads to. It is made if it is not there \
         (can be given several times) [env: STRONGROOM_ALSO_KEY_FILE]"
    ))
)]
pub(crate) struct AddRecipient {
    /// The key: a key id, key ARN, alias or alias ARN
    #[arg(value_name = "KEY")]
    pub(crate) key: String,

    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const ADD_RECIPIENT_HELP: &str = "\
Everything that is there is wrapped for the key, and everything that is stored later, for which the
key has to be usable. Interrupted, call it again. `strongroom keys drop-wraps KEY` takes it back.
Exit code 6 if a key was in the way: those versions are listed.

A recovery key in a file of its own, which can be locked away:
  $ strongroom keys add-recipient alias/recovery --also-key-file alias/recovery=recovery.key
Values are stored with the same option from then on; none is needed to read. Forgotten, storing
fails: what the recovery key does not open would be noticed too late.

If all other keys are lost, --key-file recovery.key opens the store, for reading. A new keyring takes
over, with a key for each alias that secrets use (`strongroom list --json` shows them):
  $ strongroom keys create --keyring new.keyring --alias alias/payments
  $ strongroom keys rewrap --keyring new.keyring --also-key-file alias/recovery=recovery.key";

const ROTATE_ROOT_HELP: &str = "\
Every record is sealed anew, under keys that are derived from the new root key; values and their
data keys stay as they are. Backups of before hold the old root key, wrapped, and open as before.
A copy of the header of before is of no use any more. Interrupted, call it again.";

const SHRED_HELP: &str = "\
Promised: whatever was deleted before the call is unreadable for good, for somebody who has the files
of the store as they are after it and all of its keys. Nothing that can still be read is lost: what
is past its recovery window is removed, what can be restored stays. So nothing is asked before.

Not promised: that the medium forgets the old header, which flash, copy-on-write and networked file
systems and snapshots may keep; and anything about backups, exports and copies that were made before.
They open with the keys that they were made with, until those are destroyed.

Interrupted, call it again: what was deleted is unreadable when it has come to its end.";

/// Where a new passphrase comes from. Without any of these it is asked for.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct NewPassphrase {
    /// Read the new passphrase from this file; one newline at its end is dropped
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,

    /// Read the new passphrase from this inherited file descriptor; one newline at its end is dropped
    #[arg(long, value_name = "FD")]
    pub(crate) new_passphrase_fd: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = CHANGE_PASSPHRASE_HELP)]
pub(crate) struct ChangePassphrase {
    #[command(flatten)]
    pub(crate) new: NewPassphrase,

    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const CHANGE_PASSPHRASE_HELP: &str = "\
The present passphrase comes from --passphrase or --passphrase-fd, the new one is asked for twice on
the terminal unless an option says where it is. Interrupted, call it again with the same two: until
it has come to its end, some of the store may open with one of them and some with the other.

Backups and copies of the header that were made before still open with the passphrase of before. If
somebody else may know that, `strongroom keys rotate-root` and `keys reencrypt` come next.";

#[derive(Debug, Args)]
#[command(after_help = BACKUP_HEADER_HELP)]
pub(crate) struct BackupHeader {
    /// The file to write. It must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const BACKUP_HEADER_HELP: &str = "\
The header holds the root key, wrapped. Whoever has the copy and a key that opened the store when it
was made can open the store: keep it as carefully as the keys. After `strongroom keys rotate-root` or
`shred` the copy is of no use: make another. A `strongroom backup` has the header of its day too.";

#[derive(Debug, Args)]
#[command(after_help = RESTORE_HEADER_HELP)]
pub(crate) struct RestoreHeader {
    /// A file that `strongroom keys backup-header` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,
}

const RESTORE_HEADER_HELP: &str = "\
The copy has to be of this very store, of the time since its root key was changed last, and to open
with the keys that are given. The header that is there is written over.";

const KEYRING_HELP: &str = "\
Only the keyring is changed, and the store may be open. A server sees the change when it is started
again at the latest. KEY is a key id, key ARN, alias or alias ARN.";

const SCHEDULE_HELP: &str = "\
Until it is taken back, nothing that only this key opens can be read. `strongroom keys census` says
how much that is. The key stays in the keyring: nothing ever removes it.

Only the keyring is changed, and the store may be open. A server sees the change when it is started
again at the latest. KEY is a key id, key ARN, alias or alias ARN.";

const ROTATE_HELP: &str = "\
New values are wrapped under the new material at once; `strongroom keys rewrap` brings over what is
there.

Only the keyring is changed, and the store may be open. A server sees the change when it is started
again at the latest. KEY is a key id, key ARN, alias or alias ARN.";

#[derive(Debug, Args)]
#[command(
    after_help = CREATE_HELP,
    mut_arg("account", |account| account.help("The account to which the key belongs: 12 digits")),
    mut_arg("region", |region| region.help("The Region to which the key belongs"))
)]
pub(crate) struct Create {
    /// A name for the key, which is not taken yet: alias/ and letters, digits or /_-
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

const CREATE_HELP: &str = "\
For `strongroom create --kms-key-id KEY`, `strongroom update --kms-key-id KEY` and `strongroom keys
add-recipient KEY`. Back the keyring up afterwards, apart from the store.

Only the keyring is changed, and the store may be open. A server sees the key when it is started
again at the latest.";

#[derive(Debug, Args)]
pub(crate) struct OneKey {
    /// The key: a key id, key ARN, alias or alias ARN
    #[arg(value_name = "KEY")]
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}

#[derive(Debug, Args)]
pub(crate) struct Alias {
    /// The name: alias/ and letters, digits or /_-
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The key: a key id, key ARN, alias or alias ARN
    #[arg(value_name = "KEY")]
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) holder: Holder,
}
