//! `strongroom policy put`.

use strongroom::PutResourcePolicyRequest;

use crate::arguments::Secret;
use crate::arguments::policy::PutPolicy;
use crate::commands::policy::read;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: PutPolicy) -> Result<(), Failure> {
    let PutPolicy { secret: Secret { id, place, format }, file, block_public_policy } = arguments;
    place::require_store(&place)?;
    let request = PutResourcePolicyRequest::new(id, read(&file, &place.key)?);
    let put = place::open(&place)?.put_resource_policy(request.block_public_policy(block_public_policy))?;
    if format.json {
        return output::json(&put);
    }
    output::members([("ARN", vec![put.arn]), ("Policy", vec![put.policy_name])])
}
