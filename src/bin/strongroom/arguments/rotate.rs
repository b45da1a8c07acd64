//! The arguments of rotation: beginning one, how it stands, ending it, and doing what is due.

use clap::{Args, Subcommand};

use crate::arguments::rotation::Beside;
use crate::arguments::upkeep::{Report, Whole};
use crate::arguments::{Format, Place, Secret};

#[derive(Debug, Args)]
#[command(after_help = ROTATE_HELP)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// The Lambda function that rotates the secret. Without: the one that it has
    #[arg(long, value_name = "ARN")]
    pub(crate) function: Option<String>,

    /// Rotate it every so many days from now on: 1 to 1,000
    #[arg(long, value_name = "N", conflicts_with = "schedule")]
    pub(crate) every_days: Option<i64>,

    /// Rotate it at these times, UTC, from now on, for example "rate(6 hours)" or "cron(0 2 ? * SUN *)"
    #[arg(long, value_name = "EXPR")]
    pub(crate) schedule: Option<String>,

    /// How long a window stays open that begins at such a time: 1h to 24h
    #[arg(long, value_name = "HOURS")]
    pub(crate) duration: Option<String>,

    /// Do not rotate it now: store the schedule, and only try the step testSecret of the function
    #[arg(long)]
    pub(crate) no_run_now: bool,

    /// 32 to 64 characters: the id of the new version. A repeated call with the same id is harmless, or takes a rotation up
    /// again of which every attempt failed
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    #[command(flatten)]
    pub(crate) beside: Beside,
}

const ROTATE_HELP: &str = "\
Examples:
  $ strongroom rotate db/main --rotation-command ./rotate-db \\
      --function arn:aws:lambda:us-east-1:000000000000:function:rotate-db
  $ strongroom rotate db/main --rotation-command ./rotate-db --every-days 30
  $ strongroom rotate db/main --rotation-command ./rotate-db --no-run-now \\
      --schedule \"cron(0 16 1,15 * ? *)\" --duration 2h

The function and the schedule are stored with the secret, and what is not given stays as it is. Who
does the work of a function is not stored: say it every time. Then the first attempt is made. If it
fails, the exit code is 9, and `strongroom maintain`, or a server, makes the further ones when they
are due.

A program gets each event on its standard input, as JSON, and fails with an exit status other than 0
and its reason on standard error. SDKs in it find the API, and credentials that are good as long as
it runs, in the environment. With --lambda-endpoint credentials are not looked at: the account is
the access key id if it is 12 digits, else --account.";

#[derive(Debug, Subcommand)]
pub(crate) enum RotationCommand {
    /// Show how the rotation of one secret, or of all that rotate, stands
    Status(Status),
    /// Turn the rotation of a secret off; its function and its schedule are kept
    #[command(after_help = CANCEL_HELP)]
    Cancel(Secret),
}

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct Status {
    /// The name or ARN. Without: every secret for which rotation was ever configured
    pub(crate) id: Option<String>,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

const STATUS_HELP: &str = "\
ATTEMPTS counts those that were begun in this window, of a rotation that is under way. If all of
them failed, the NEXT ATTEMPT is made in the next window. Without a schedule there is none, and
`strongroom rotate ID --token VERSION` takes the rotation up again, with the version that is in
progress. Secrets that are scheduled for deletion are not listed: they do not rotate.";

const CANCEL_HELP: &str = "\
A rotation that is under way ends where it is. AWSPENDING stays on the version that was being made:
`strongroom stage ID AWSPENDING --from VERSION` removes it, and makes way for another rotation.
`strongroom rotate ID` turns rotation on again.";

#[derive(Debug, Args)]
#[command(after_help = MAINTAIN_HELP)]
pub(crate) struct Maintain {
    #[command(flatten)]
    pub(crate) report: Report,

    #[command(flatten)]
    pub(crate) whole: Whole,

    #[command(flatten)]
    pub(crate) beside: Beside,
}

const MAINTAIN_HELP: &str = "\
Example:
  $ strongroom maintain --rotation-command ./rotate-db

Secrets that are past their recovery window are purged, versions beyond the 100 that are kept are
removed, and each secret whose rotation is due is tried once, in all accounts and Regions. The last
line says when there is next something to do: run it from a timer, where no server runs. Programs
and endpoints do the work of rotations as with `strongroom rotate`; where nobody does it they fail.

Exit code 9 if a rotation failed: the rest is done all the same, and `strongroom rotation status`
says why. It is tried again by a later call.";
