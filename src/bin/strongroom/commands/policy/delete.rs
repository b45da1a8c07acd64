//! `strongroom policy delete`.

use strongroom::DeleteResourcePolicyRequest;

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let deleted = place::open(&place)?.delete_resource_policy(DeleteResourcePolicyRequest::new(id))?;
    if format.json {
        return output::json(&deleted);
    }
    output::line(format_args!("{} has no policy now", deleted.name))
}
