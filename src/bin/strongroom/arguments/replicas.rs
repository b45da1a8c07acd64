//! The arguments of replicas: in other Regions and in another account.

use clap::{Args, Subcommand};
use strongroom::ReplicaRegionType;

use crate::arguments::{Format, Place, Secret};

#[derive(Debug, Subcommand)]
pub(crate) enum ReplicasCommand {
    /// Replicate a secret to other Regions
    Add(Add),
    /// Remove replicas in other Regions; they are gone at once
    Remove(Remove),
    /// Show where the replicas of a secret are, and how they stand
    #[command(after_help = LIST_HELP)]
    List(Secret),
    /// Make a replica a secret of its own
    #[command(after_help = PROMOTE_HELP)]
    Promote(Secret),
    /// Replicate a secret to its replica in another account
    Associate(Associate),
    /// End the replication to the replica in another account; the replica stays as it is
    Disassociate(Disassociate),
}

/// Regions that are none of AWS's.
#[derive(Debug, Args)]
pub(crate) struct AlsoRegions {
    /// A Region in which replicas can be besides those that AWS has (can be given several times)
    #[arg(long = "also-region", value_name = "REGION")]
    pub(crate) also_regions: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = ADD_HELP)]
pub(crate) struct Add {
    /// The name or ARN
    pub(crate) id: String,

    /// The Regions, each with the key there that protects the replica's values. Without a KEY: its default key. A replica that is
    /// in sync is left as it is, its key too
    #[arg(value_name = "REGION[=KEY]", required = true, value_parser = replica_region)]
    pub(crate) regions: Vec<ReplicaRegionType>,

    /// Replace secrets that have the same name in these Regions. They are gone at once, with all their versions
    #[arg(long)]
    pub(crate) overwrite: bool,

    #[command(flatten)]
    pub(crate) also: AlsoRegions,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

const ADD_HELP: &str = "\
Examples:
  $ strongroom replicas add db/main eu-west-1
  $ strongroom replicas add db/main eu-west-1=alias/app eu-central-1

From then on the replicas have whatever their primary has. They are read with --region, and changed
only at the primary. A replica that could not be made is told on standard error and is Failed; the
exit code is 0. The same command tries it again, also with another KEY. If its key was the reason,
`strongroom maintain` does too.";

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The name or ARN
    pub(crate) id: String,

    /// The Regions. Those without a replica are passed over
    #[arg(value_name = "REGION", required = true)]
    pub(crate) regions: Vec<String>,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

const LIST_HELP: &str = "\
InSync: the replica has everything. Failed: it could not be brought there, and MESSAGE says why.
InProgress: the next `strongroom maintain` brings it there. LAST READ is the day on which a value
was last read in that Region. Replicas in another account come last.";

const PROMOTE_HELP: &str = "\
--region says in which Region the replica is, --account in which account. It keeps its ARN and
everything that it has, and can be changed from then on. Its primary no longer replicates to it; it
need not be there any more. Its rotation is off: `strongroom rotate` turns it on again.";

#[derive(Debug, Args)]
#[command(after_help = ASSOCIATE_HELP)]
pub(crate) struct Associate {
    /// The name or ARN
    pub(crate) id: String,

    /// The complete ARN of the replica
    #[arg(value_name = "REPLICA_ARN")]
    pub(crate) replica_arn: String,

    /// The role with which the secret is replicated
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,

    /// The account of the replica need not be of the same organization
    #[arg(long)]
    pub(crate) any_organization: bool,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

const ASSOCIATE_HELP: &str = "\
The other account makes the replica first, under a key of its own and without a value:
  $ strongroom create db/copy --account 444455556666 --kms-key-id alias/shared \\
      --cross-account-primary PRIMARY_ARN
  $ strongroom replicas associate db/main REPLICA_ARN

From then on the replica has the versions and labels of its primary. For a replica that is
associated already, and has Failed, it repairs the replication.";

#[derive(Debug, Args)]
#[command(after_help = DISASSOCIATE_HELP)]
pub(crate) struct Disassociate {
    /// The name or ARN
    pub(crate) id: String,

    /// The ARN of the replica
    #[arg(value_name = "REPLICA_ARN")]
    pub(crate) replica_arn: String,

    #[command(flatten)]
    pub(crate) place: Place,

    #[command(flatten)]
    pub(crate) format: Format,
}

const DISASSOCIATE_HELP: &str = "\
The replica keeps what it has, is Detached, and cannot be changed until its own account makes it a
secret of its own: `strongroom replicas promote ID --account ACCOUNT`.";

/// Where a new secret has copies, or of what it is one.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replicas")]
pub(crate) struct NewReplicas {
    /// A Region to replicate the secret to, and the key there that protects the replica's values (can be given several
    /// times). Without a KEY: its default key
    #[arg(long = "replica-region", value_name = "REGION[=KEY]", value_parser = replica_region)]
    pub(crate) replica_regions: Vec<ReplicaRegionType>,

    /// Replace secrets that have the same name in these Regions. They are gone at once
    #[arg(long, requires = "replica_regions")]
    pub(crate) overwrite_replicas: bool,

    /// Make a replica, without a value, of this secret in another account. `strongroom replicas associate` brings its values
    #[arg(
        long,
        value_name = "ARN",
        requires = "kms_key_id",
        conflicts_with_all = ["replica_regions", "value_file", "value", "binary", "description"]
    )]
    pub(crate) cross_account_primary: Option<String>,

    #[command(flatten)]
    pub(crate) also: AlsoRegions,
}

/// How a server replicates.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replicas")]
pub(crate) struct ServedReplicas {
    /// Leave replicas InProgress until the next round of maintenance, for tests of code that waits for them
    #[arg(long)]
    pub(crate) deferred_replication: bool,

    #[command(flatten)]
    pub(crate) also: AlsoRegions,
}

/// A Region, alone or with a key behind it.
fn replica_region(text: &str) -> Result<ReplicaRegionType, String> {
    let (region, key) = match text.split_once('=') {
        Some((region, key)) => (region, Some(key)),
        None => (text, None),
    };
    if region.is_empty() {
        return Err("there is no REGION".to_owned());
    }
    let replica = ReplicaRegionType::new(region);
    match key {
        None => Ok(replica),
        Some("") => Err("there is no KEY behind the `=`".to_owned()),
        Some(key) => Ok(replica.kms_key_id(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_may_have_a_key_behind_it() {
        let rows = [
            ("eu-west-1", Some(("eu-west-1", None))),
            ("eu-west-1=alias/app", Some(("eu-west-1", Some("alias/app")))),
            ("eu-west-1=alias/a=b", Some(("eu-west-1", Some("alias/a=b")))),
            ("eu-west-1=", None),
            ("=alias/app", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let parsed = replica_region(text).ok();
            let found = parsed.as_ref().map(|parsed| (parsed.region.as_str(), parsed.kms_key_id.as_deref()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
