//! `strongroom replicas associate`, `strongroom replicas disassociate`.

use strongroom::{
    AssociateCrossAccountReplicaRequest, DescribeSecretRequest, DisassociateCrossAccountReplicaRequest, StatusType,
};

use crate::arguments::replicas::{Associate, Disassociate};
use crate::commands::replicas::warn_of;
use crate::failure::Failure;
use crate::{output, place};

pub(super) fn associate(arguments: Associate) -> Result<(), Failure> {
    let Associate { id, replica_arn, role, any_organization, place, format } = arguments;
    let mut request = AssociateCrossAccountReplicaRequest::new(id, replica_arn);
    request.replication_role_arn = role;
    request.replica_restriction = any_organization.then(|| "NoRestriction".to_owned());
    let secrets = place::open(&place)?;
    let associated = secrets.associate_cross_account_replica(request)?;
    let (primary, replica) = (associated.arn.clone(), associated.cross_account_replica_arn.clone());
    let status = associated.replication_status;
    if format.json {
        output::json(&associated)?;
    } else {
        let replica = format!("{replica}  {}", status.as_str());
        output::members([("ARN", vec![primary.clone()]), ("Replica", vec![replica])])?;
    }
    if status == StatusType::Failed {
        let entries = secrets.describe_secret(DescribeSecretRequest::new(primary))?.cross_account_replicas;
        let entry = entries.iter().flatten().find(|entry| entry.replica_secret_arn == replica);
        warn_of(&replica, status, entry.and_then(|entry| entry.status_message.as_deref()));
    }
    Ok(())
}

pub(super) fn disassociate(arguments: Disassociate) -> Result<(), Failure> {
    let Disassociate { id, replica_arn, place, format } = arguments;
    let request = DisassociateCrossAccountReplicaRequest::new(id, replica_arn);
    let ended = place::open(&place)?.disassociate_cross_account_replica(request)?;
    if format.json {
        return output::json(&ended);
    }
    output::members([("ARN", vec![ended.arn]), ("No longer replicated to", vec![ended.cross_account_replica_arn])])
}
