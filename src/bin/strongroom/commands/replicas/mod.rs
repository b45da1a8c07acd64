//! `strongroom replicas`.

mod accounts;
mod list;
mod promote;
mod regions;

use std::io::{self, Write as _};

use strongroom::{
    CrossAccountPrimaryType, CrossAccountReplicaEntry, ReplicationStatusType, SecretsManager, StatusType,
};

use crate::arguments::Place;
use crate::arguments::replicas::{AlsoRegions, ReplicasCommand};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(command: ReplicasCommand) -> Result<(), Failure> {
    match command {
        ReplicasCommand::Add(add) => regions::add(add),
        ReplicasCommand::Remove(remove) => regions::remove(remove),
        ReplicasCommand::List(secret) => list::run(secret),
        ReplicasCommand::Promote(secret) => promote::run(secret),
        ReplicasCommand::Associate(associate) => accounts::associate(associate),
        ReplicasCommand::Disassociate(disassociate) => accounts::disassociate(disassociate),
    }
}

/// A store that is there, for a call that may name Regions that AWS does not have.
pub(super) fn open(place: &Place, also: AlsoRegions) -> Result<SecretsManager, Failure> {
    let store = place::open_with(place, |builder| builder.replica_regions(also.also_regions))?;
    Ok(store.default_secrets_manager())
}

/// Tells which replicas could not be made: that is no failure of the call.
pub(super) fn warn(statuses: &[ReplicationStatusType]) {
    for ReplicationStatusType { region, status, status_message, .. } in statuses {
        warn_of(region, *status, status_message.as_deref());
    }
}

fn warn_of(replica: &str, status: StatusType, message: Option<&str>) {
    if status == StatusType::Failed {
        let text =
            format!("warning: the replica {replica} is Failed: {}", message.unwrap_or("the reason is not known"));
        // Nobody is left to be told if this fails.
        let _ = writeln!(io::stderr(), "{}", output::shown(&text));
    }
}

/// Tells that maintenance could not bring replicas up to date.
pub(super) fn warn_of_failures(count: u64) {
    let failed = output::counted(count, "replication");
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "warning: {failed} failed; `strongroom replicas list` says why");
}

/// `eu-west-1 InSync`, or why not.
pub(super) fn region_line(replica: &ReplicationStatusType) -> String {
    line(&replica.region, replica.status, replica.status_message.as_deref())
}

/// The same, of a replica in another account.
pub(super) fn account_line(replica: &CrossAccountReplicaEntry) -> String {
    line(&replica.replica_secret_arn, replica.replication_status, replica.status_message.as_deref())
}

/// The same, of a primary in another account.
pub(super) fn primary_line(primary: &CrossAccountPrimaryType) -> String {
    line(&primary.primary_secret_arn, primary.replication_status, primary.status_message.as_deref())
}

fn line(whose: &str, status: StatusType, message: Option<&str>) -> String {
    let why = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("{whose}  {}{why}", status.as_str())
}
