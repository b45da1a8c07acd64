//! The arguments, and the help that teaches them.

pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod random_password;
pub(crate) mod replicas;
pub(crate) mod rotate;
pub(crate) mod rotation;
pub(crate) mod standby;
pub(crate) mod transfer;
pub(crate) mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

use crate::arguments::audit::AuditCommand;
use crate::arguments::keys::KeyCommand;
use crate::arguments::policy::PolicyCommand;
use crate::arguments::random_password::RandomPassword;
use crate::arguments::replicas::{NewReplicas, ReplicasCommand, ServedReplicas};
use crate::arguments::rotate::{Maintain, Rotate, RotationCommand};
use crate::arguments::rotation::Rotation;
use crate::arguments::standby::{Replicate, ServedStandby, StandbyCommand};
use crate::arguments::transfer::{Export, Import};
use crate::arguments::upkeep::{Backup, Compact, RestoreBackup, Salvage, SalvageReader, Verify};
use crate::failure::{EXIT_CODES, Failure};

/// An encrypted secret store in one directory, with the data model of AWS Secrets Manager.
///
/// `strongroom serve` lets every AWS SDK and the AWS CLI speak to it; the other commands work on the directory
/// themselves, without a server. One process at a time can have a store open.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, max_term_width = 100, after_help = EXIT_CODES, after_long_help = format!("{FIRST_SESSION}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const FIRST_SESSION: &str = "\
A first session:
  $ strongroom init --dir ./vault
  $ printf s3cret | strongroom create db/main --dir ./vault
  $ strongroom get db/main --dir ./vault

With an SDK or the AWS CLI:
  $ strongroom serve --dir ./vault
  $ export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1
  $ aws secretsmanager get-secret-value --secret-id db/main --endpoint-url http://127.0.0.1:4566

So that nothing is lost:
  $ strongroom backup ./vault.backup --dir ./vault
  $ strongroom verify --dir ./vault
Keep ./vault.keyring too, apart from both. After damage: restore-backup, or salvage.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a store over HTTP, to AWS SDKs and the AWS CLI
    Serve(Serve),
    /// Make a new store, and a key for it unless there is one
    Init(Init),
    /// Create a secret; its value comes from standard input or a file
    Create(Create),
    /// Print the value of a secret
    Get(Get),
    /// Store a new value of a secret
    Put(Put),
    /// List secrets
    List(List),
    /// Show everything of a secret but its values
    Describe(Secret),
    /// List the versions of a secret
    Versions(Versions),
    /// Add tags to a secret, or remove them
    Tag(Tag),
    /// Change the description or the KMS key of a secret
    Update(Update),
    /// Move a staging label to another version, attach it, or remove it
    Stage(Stage),
    /// Schedule a secret for deletion, or remove it at once
    Delete(Delete),
    /// Take back a scheduled deletion
    #[command(after_help = RESTORE_HELP)]
    Restore(Secret),
    /// Have the function of a secret give it a new value, now and by a schedule
    Rotate(Rotate),
    /// See how rotations stand, and turn them off
    #[command(subcommand)]
    Rotation(RotationCommand),
    /// See and change who may do what with a secret, and find out why somebody may not
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Keep copies of a secret in other Regions, or in another account
    #[command(subcommand)]
    Replicas(ReplicasCommand),
    /// Do what is due: rotate, replicate, purge what is past its recovery window, remove old versions
    Maintain(Maintain),
    /// Check that a store is whole; nothing is changed
    Verify(Verify),
    /// Write everything into one encrypted file, as of one moment
    Backup(Backup),
    /// Make a store from a backup
    RestoreBackup(RestoreBackup),
    /// Make a new store from what can still be read of a damaged one
    Salvage(Salvage),
    /// Bring a standby, a second store that follows, to where a store is
    Replicate(Replicate),
    /// See how far a standby is, and make it a store like any other
    #[command(subcommand)]
    Standby(StandbyCommand),
    /// Give back the space of what was overwritten or deleted
    Compact(Compact),
    /// Write all secrets into a file with a key of its own, for another store
    Export(Export),
    /// Bring the secrets of an export into a store
    Import(Import),
    /// Check a file of `serve --audit-file`
    #[command(subcommand)]
    Audit(AuditCommand),
    /// See and change which keys open what, and the keys of a keyring
    #[command(subcommand)]
    Keys(KeyCommand),
    #[command(hide = true)]
    SalvageReader(SalvageReader),
    /// Print a random password; nothing is stored
    RandomPassword(RandomPassword),
    /// Print a completion script for a shell
    Completions(Completions),
}

const RESTORE_HELP: &str = "To make a store from a file of `strongroom backup`, use `strongroom restore-backup FILE`.";

/// Whose secrets are meant if nothing else is said.
pub(crate) const DEFAULT_ACCOUNT: &str = "000000000000";
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// Which store, and what opens it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct Place {
    /// The directory of the store
    #[arg(long, env = "STRONGROOM_DIR", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) key: Key,

    /// The account whose secrets are meant: 12 digits
    #[arg(long, env = "STRONGROOM_ACCOUNT", value_name = "ID", default_value = DEFAULT_ACCOUNT)]
    pub(crate) account: String,

    /// The Region whose secrets are meant
    #[arg(long, env = "STRONGROOM_REGION", value_name = "REGION", default_value = DEFAULT_REGION)]
    pub(crate) region: String,
}

/// What opens the store. Without any of these: `--keyring DIR.keyring`, beside the store.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Key {
    /// A keyring: a file of named keys with states. The default, as DIR.keyring beside the store
    /// [env: STRONGROOM_KEYRING]
    #[arg(long, value_name = "FILE", group = "opens")]
    pub(crate) keyring: Option<PathBuf>,

    /// A file with one key, which stands for every KMS key id, ARN and alias
    /// [env: STRONGROOM_KEY_FILE]
    #[arg(long, value_name = "FILE", group = "opens")]
    pub(crate) key_file: Option<PathBuf>,

    /// Ask for a passphrase on the terminal
    #[arg(long, group = "opens")]
    pub(crate) passphrase: bool,

    /// Read the passphrase from this inherited file descriptor; one newline at its end is dropped
    #[arg(long, value_name = "FD", group = "opens")]
    pub(crate) passphrase_fd: Option<u32>,

    /// A key file besides: it opens what is wrapped with it, and is the key that NAME, as in alias/recovery, leads to (can
    /// be given several times) [env: STRONGROOM_ALSO_KEY_FILE]
    #[arg(long, value_name = "[NAME=]FILE", value_parser = AlsoKeyFile::parse)]
    pub(crate) also_key_file: Vec<AlsoKeyFile>,
}

/// A key file that stands for one alias, or for none and only opens.
#[derive(Debug, Clone)]
pub(crate) struct AlsoKeyFile {
    pub(crate) alias: Option<String>,
    pub(crate) path: PathBuf,
}

impl AlsoKeyFile {
    /// Only what begins like an alias is one, so that other files may have a `=` in their paths.
    fn parse(text: &str) -> Result<Self, String> {
        let (alias, path) = match text.split_once('=').filter(|(name, _)| name.starts_with("alias/")) {
            Some((name, _)) if name.contains('*') => return Err("NAME is one alias".to_owned()),
            Some((name, path)) => (Some(name.to_owned()), path),
            None => (None, text),
        };
        if path.is_empty() {
            return Err("there is no FILE".to_owned());
        }
        Ok(Self { alias, path: path.into() })
    }
}

impl Key {
    /// The choice of the command line, or else that of the environment.
    pub(crate) fn or_from_environment(&self) -> Result<Self, Failure> {
        let Self { keyring, key_file, passphrase, passphrase_fd, also_key_file } = self;
        let also_key_file = match std::env::var("STRONGROOM_ALSO_KEY_FILE") {
            Ok(text) if also_key_file.is_empty() && !text.is_empty() => {
                let also = AlsoKeyFile::parse(&text);
                vec![also.map_err(|error| Failure::usage(error).during("STRONGROOM_ALSO_KEY_FILE"))?]
            }
            _ => also_key_file.clone(),
        };
        if keyring.is_some() || key_file.is_some() || *passphrase || passphrase_fd.is_some() {
            return Ok(Self { also_key_file, ..self.clone() });
        }
        let path = |name| std::env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let (keyring, key_file) = (path("STRONGROOM_KEYRING"), path("STRONGROOM_KEY_FILE"));
        if keyring.is_some() && key_file.is_some() {
            return Err(Failure::usage(
                "STRONGROOM_KEYRING and STRONGROOM_KEY_FILE are both set, and one store has one key",
            ));
        }
        Ok(Self { keyring, key_file, also_key_file, ..self.clone() })
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Format {
    /// Print JSON with the member names of the API, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,

    /// Where to listen; port 0 takes a free one. Anything but loopback needs --verify-signatures or --enforce-policies
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// A JSON file that maps access key ids to accounts, principals and secret keys
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,

    /// Refuse every request that is not signed with one of the --credentials
    #[arg(long, requires = "credentials")]
    pub(crate) verify_signatures: bool,

    /// Let everybody do only what policies allow: those of the secrets, and those that --credentials has for them. Includes
    /// --verify-signatures
    #[arg(long, requires = "credentials")]
    pub(crate) enforce_policies: bool,

    /// Offer the administrative endpoint /_strongroom/: reset, clock, maintain, stats
    #[arg(long)]
    pub(crate) admin: bool,

    /// A further host name that clients may use for this server (can be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,

    /// The longest body that is read; more is answered with status 413
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = value_parser!(u32).range(1..=BODY_BYTES_MAX))]
    pub(crate) max_body_bytes: u32,

    /// At most so many seconds between two rounds of maintenance, which rotates what is due and purges what is past its
    /// recovery window; 0 for none but after RotateSecret [default: 60, and 0 with --admin]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) maintain_every: Option<u64>,

    /// Append a line of JSON for every call to this file, each bound to all before it by a hash
    #[arg(long, value_name = "FILE")]
    pub(crate) audit_file: Option<PathBuf>,

    /// When a change is acknowledged
    #[arg(long, value_enum, default_value_t = Durability::Immediate)]
    pub(crate) durability: Durability,

    /// How log lines on standard error are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What is logged
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,

    #[command(flatten)]
    pub(crate) rotation: Rotation,

    #[command(flatten)]
    pub(crate) replicas: ServedReplicas,

    #[command(flatten)]
    pub(crate) standby: ServedStandby,
}

/// Largest --max-body-bytes.
const BODY_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// An IP address and a port. `localhost` is the one name that needs nobody to be asked.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numbers.parse().map_err(|_| "an IP address and a port are needed, as in 127.0.0.1:4566".to_owned())
}

const SERVE_HELP: &str = "\
The account of a request is the one that --credentials gives its access key id; without that, the
access key id itself if it is 12 digits; else --account. Its Region is the one it is signed for, or
--region. Signatures are checked only with --verify-signatures or --enforce-policies; policies only
with --enforce-policies. Then every entry of --credentials has a `principal`, and may have `policies`.

A program of --rotation-command gets each event of a rotation on its standard input, as JSON, and
fails with an exit status other than 0 and its reason on standard error. SDKs in it find the server
through AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_REGION and AWS_DEFAULT_REGION; without --credentials,
and unless the server has AWS keys in its own environment, AWS_ACCESS_KEY_ID is the account of the secret.

When the server is ready it prints one line on standard output: listening on http://ADDRESS:PORT.
SIGINT and SIGTERM end it: calls that are under way are finished, and the store is closed.

The file of --audit-file says what was asked for and how it ended, as AWS CloudTrail writes it and
never with a value. `strongroom audit verify FILE` checks it.";

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Durability {
    /// When it is on disk
    Immediate,
    /// When it is written; a crash can lose the last moments. For tests that are thrown away
    Eventual,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

/// A secret that is there.
#[derive(Debug, Args)]
pub(crate) struct Secret {
    /// The name or ARN
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where a value comes from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Value")]
pub(crate) struct Value {
    /// Read the value from this file, or from standard input if it is `-`; nothing is added or dropped
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) value_file: Option<PathBuf>,

    /// Store the value as bytes (SecretBinary) rather than as text (SecretString)
    #[arg(long)]
    pub(crate) binary: bool,

    /// The value itself. Every process of this machine can read arguments, and shells remember them
    #[arg(long, value_name = "TEXT", requires = "insecure_value_argument")]
    pub(crate) value: Option<String>,

    /// Allow --value
    #[arg(long, requires = "value")]
    pub(crate) insecure_value_argument: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The name: letters, digits and /_+=.@!-
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) value: Value,

    /// Create the secret without a value
    #[arg(long, conflicts_with_all = ["value_file", "value", "binary"])]
    pub(crate) no_value: bool,

    /// What the secret is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// The key that protects the values: a key id, key ARN, alias or alias ARN
    #[arg(long, value_name = "KEY")]
    pub(crate) kms_key_id: Option<String>,

    /// A tag (can be given several times)
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<String>,

    /// 32 to 64 characters: the id of the first version. A repeated call with the same id and value is harmless
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    #[command(flatten)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) replicas: NewReplicas,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// The version, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,

    /// The version, by a staging label
    #[arg(long, value_name = "LABEL")]
    pub(crate) version_stage: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) secret: Secret,

    #[command(flatten)]
    pub(crate) value: Value,

    /// A staging label for the new version instead of AWSCURRENT (can be given several times)
    #[arg(long = "version-stage", value_name = "LABEL")]
    pub(crate) version_stages: Vec<String>,

    /// 32 to 64 characters: the id of the new version. A repeated call with the same id and value is harmless
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) place: Place,

    /// KEY=VALUE, where KEY is name, description, tag-key, tag-value, primary-region, owning-service or all, and a VALUE
    /// that begins with ! excludes (can be given several times: all must hold)
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub(crate) filters: Vec<String>,

    /// Also secrets that are scheduled for deletion
    #[arg(long)]
    pub(crate) include_deleted: bool,

    /// What to sort by: created-date, last-accessed-date, last-changed-date or name
    #[arg(long, value_name = "WHAT", default_value = "name")]
    pub(crate) sort_by: String,

    /// Largest first
    #[arg(long)]
    pub(crate) descending: bool,

    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Versions {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// Also versions without labels
    #[arg(long)]
    pub(crate) include_deprecated: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The name or ARN
    pub(crate) id: String,

    /// Tags to add, or to change
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<String>,

    /// A key to remove (can be given several times)
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,

    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// What the secret is for; empty for nothing
    #[arg(long, value_name = "TEXT", required_unless_present = "kms_key_id")]
    pub(crate) description: Option<String>,

    /// The key that protects the values from now on; empty for the default key
    #[arg(long, value_name = "KEY")]
    pub(crate) kms_key_id: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = STAGE_HELP)]
pub(crate) struct Stage {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// The label, for example AWSCURRENT
    pub(crate) label: String,

    /// The version that gets the label
    #[arg(long, value_name = "VERSION", required_unless_present = "from")]
    pub(crate) to: Option<String>,

    /// The version that loses the label: needed if one has it
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<String>,
}

const STAGE_HELP: &str = "\
Back to the value before: strongroom stage ID AWSCURRENT --from CURRENT --to PREVIOUS, with the
version ids that `strongroom versions ID` shows. The version that loses AWSCURRENT becomes
AWSPREVIOUS.";

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// For how many days the secret can be restored: 7 to 30. Without: 30
    #[arg(long, value_name = "DAYS", conflicts_with = "force")]
    pub(crate) recovery_window: Option<i64>,

    /// Remove the secret at once and for good. As at the service, it is no failure if there is none
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}
