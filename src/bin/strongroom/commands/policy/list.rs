//! `strongroom policy list`.

use strongroom::ListResourcePoliciesRequest;

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let request = || ListResourcePoliciesRequest::new(id.as_str());
    let secrets = place::open(&place)?;
    let mut listed = secrets.list_resource_policies(request())?;
    while let Some(token) = listed.next_token.take() {
        let page = secrets.list_resource_policies(request().next_token(token))?;
        listed.resource_policies.extend(page.resource_policies);
        listed.next_token = page.next_token;
    }
    if format.json {
        return output::json(&listed);
    }
    output::table(&["POLICY"], listed.resource_policies.into_iter().map(|policy| vec![policy.policy_name]))
}
