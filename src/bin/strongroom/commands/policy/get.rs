//! `strongroom policy get`.

use strongroom::GetResourcePolicyRequest;

use crate::arguments::Secret;
use crate::failure::{Code, Failure};
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let found = place::open(&place)?.get_resource_policy(GetResourcePolicyRequest::new(id))?;
    let Some(policy) = &found.resource_policy else {
        return Err(Failure::new(Code::NotFound, format!("no policy is attached to `{}`", found.name))
            .hint("`strongroom policy put NAME FILE` attaches one"));
    };
    if format.json { output::json(&found) } else { output::document(policy) }
}
