//! `strongroom replicas promote`.

use strongroom::StopReplicationToReplicaRequest;

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

pub(super) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let stopped = place::open(&place)?.stop_replication_to_replica(StopReplicationToReplicaRequest::new(id))?;
    if format.json {
        return output::json(&stopped);
    }
    output::members([("ARN", vec![stopped.arn])])
}
