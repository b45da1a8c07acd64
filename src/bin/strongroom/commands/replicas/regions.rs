//! `strongroom replicas add`, `strongroom replicas remove`.

use strongroom::{RemoveRegionsFromReplicationRequest, ReplicateSecretToRegionsRequest, ReplicationStatusType};

use crate::arguments::replicas::{Add, Remove};
use crate::commands::replicas::{open, region_line, warn};
use crate::failure::Failure;
use crate::{output, place};

pub(super) fn add(arguments: Add) -> Result<(), Failure> {
    let Add { id, regions, overwrite, also, place, format } = arguments;
    let mut request = ReplicateSecretToRegionsRequest::new(id, regions);
    request.force_overwrite_replica_secret = overwrite.then_some(true);
    let replicated = open(&place, also)?.replicate_secret_to_regions(request)?;
    if format.json {
        output::json(&replicated)?;
    } else {
        print(replicated.arn, &replicated.replication_status)?;
    }
    warn(&replicated.replication_status);
    Ok(())
}

pub(super) fn remove(arguments: Remove) -> Result<(), Failure> {
    let Remove { id, regions, place, format } = arguments;
    let request = RemoveRegionsFromReplicationRequest::new(id, regions);
    let left = place::open(&place)?.remove_regions_from_replication(request)?;
    if format.json {
        return output::json(&left);
    }
    print(left.arn, &left.replication_status)
}

fn print(arn: String, statuses: &[ReplicationStatusType]) -> Result<(), Failure> {
    output::members([("ARN", vec![arn]), ("Replicas", statuses.iter().map(region_line).collect())])
}
