//! The arguments of `policy`: who may do what with a secret.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use strongroom::Principal;

use crate::arguments::{DEFAULT_ACCOUNT, DEFAULT_REGION, Format, Key, Place, Secret};
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Attach a policy to a secret, in the place of the one that it has
    Put(PutPolicy),
    /// Print the policy of a secret, as it was attached
    #[command(after_help = GET_HELP)]
    Get(Secret),
    /// Detach the policy of a secret
    Delete(Secret),
    /// List the names of the policies of a secret
    List(Secret),
    /// Check a policy without attaching it
    Validate(ValidatePolicy),
    /// Say whether policies allow something, and what each of their statements says of it
    Explain(Explain),
}

#[derive(Debug, Args)]
#[command(after_help = PUT_HELP)]
pub(crate) struct PutPolicy {
    #[command(flatten)]
    pub(crate) secret: Secret,

    /// The policy as JSON, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Refuse a policy that gives access to everybody
    #[arg(long)]
    pub(crate) block_public_policy: bool,
}

const PUT_HELP: &str = "\
Policies bind those who call through `strongroom serve --enforce-policies`. Whoever has the store
and its key may do everything: this command is one of them.

`strongroom policy validate FILE` says what is wrong with a policy that is refused.";

const GET_HELP: &str = "\
Exit code 3 if no policy is attached.";

/// Which store, and what opens it, for commands that need one only for some of what they can do.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct MaybePlace {
    /// The directory of the store: needed with --secret only
    #[arg(long, env = "STRONGROOM_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) key: Key,

    /// The account that is meant: 12 digits
    #[arg(long, env = "STRONGROOM_ACCOUNT", value_name = "ID", default_value = DEFAULT_ACCOUNT)]
    pub(crate) account: String,

    /// The Region that is meant
    #[arg(long, env = "STRONGROOM_REGION", value_name = "REGION", default_value = DEFAULT_REGION)]
    pub(crate) region: String,
}

impl MaybePlace {
    /// The store in which a secret is.
    pub(crate) fn of_secret(self) -> Result<Place, Failure> {
        let Self { dir, key, account, region } = self;
        let dir = dir.ok_or_else(|| Failure::usage("--secret needs the store in which it is: --dir DIR"))?;
        Ok(Place { dir, key, account, region })
    }
}

#[derive(Debug, Args)]
#[command(after_help = VALIDATE_HELP)]
pub(crate) struct ValidatePolicy {
    /// The policy as JSON, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The secret that it is meant for, by its name or ARN. Without: any
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Option<String>,

    #[command(flatten)]
    pub(crate) place: MaybePlace,

    #[command(flatten)]
    pub(crate) format: Format,
}

const VALIDATE_HELP: &str = "\
Each check that fails is one line: of the syntax, of whether the account itself could still attach
another policy, and of whether everybody would get access. Exit code 5 if there is one. No store is
opened unless --secret is given.";

#[derive(Debug, Args)]
#[command(
    after_help = EXPLAIN_HELP,
    override_usage = EXPLAIN_USAGE,
    group = ArgGroup::new("about").required(true).args(["secret", "resource"])
)]
pub(crate) struct Explain {
    /// Who asks: the ARN of a user, role, session or account root, or the name of a service of AWS
    #[arg(long, value_name = "ARN", value_parser = principal)]
    pub(crate) principal: Principal,

    /// What they ask for; without a service, one of Secrets Manager is meant, for example GetSecretValue
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: String,

    /// The secret that they ask it of, by its name or ARN: its policy and its tags count
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Option<String>,

    /// The ARN that they ask it of, or `*` for an action that is about none; no store is opened
    #[arg(long, value_name = "ARN")]
    pub(crate) resource: Option<String>,

    /// The resource policy; with --secret in the place of the one that it has. `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// A policy of the principal (can be given several times)
    #[arg(long = "identity-policy", value_name = "FILE")]
    pub(crate) identity_policies: Vec<PathBuf>,

    /// A condition key of the request, for example aws:SourceIp=203.0.113.7; given several times, it has several values
    #[arg(long = "context", value_name = "KEY=VALUE")]
    pub(crate) context: Vec<String>,

    #[command(flatten)]
    pub(crate) place: MaybePlace,

    #[command(flatten)]
    pub(crate) format: Format,
}

/// In lines that fit on the screen.
const EXPLAIN_USAGE: &str = "\
strongroom policy explain --principal <ARN> --action <ACTION>
                                 <--secret <NAME>|--resource <ARN>> [OPTIONS]";

const EXPLAIN_HELP: &str = "\
Example:
  $ strongroom policy explain --principal arn:aws:iam::111122223333:user/alice \\
      --action GetSecretValue --secret db/main --identity-policy alice.json \\
      --context aws:SourceIp=203.0.113.7

The first line is the decision, and then there is a line for every statement. Exit code 0 if it is
allowed, 10 if not. Known of a request are the principal, the time, and of the resource its ARN, its
account and Region; of a secret also its tags and its rotation function. Everything else is absent
unless --context has it. Keys are not part of it: a secret of another account under the default key
cannot be read, whatever policies say.";

/// Whoever can ask.
fn principal(text: &str) -> Result<Principal, String> {
    let is_service = text.ends_with(".amazonaws.com") && !text.contains(['/', ':', ' ']);
    match Principal::parse(text) {
        Some(principal) => Ok(principal),
        None if is_service => Ok(Principal::service(text)),
        None => {
            Err("the ARN of a user, role, session or account root is needed, or a name as lambda.amazonaws.com"
                .to_owned())
        }
    }
}
