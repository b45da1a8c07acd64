//! `strongroom put`.

use strongroom::PutSecretValueRequest;

use crate::arguments::{Put, Secret};
use crate::failure::Failure;
use crate::{output, place, values};

pub(crate) fn run(arguments: Put) -> Result<(), Failure> {
    let Put { secret: Secret { id, place, format }, value, version_stages, token } = arguments;
    place::require_store(&place)?;
    // Before the store is opened: whoever makes the value may need the store, and typing takes time.
    let mut request = PutSecretValueRequest::new(id, values::read(&value, &place.key)?);
    request.client_request_token = token;
    request.version_stages = (!version_stages.is_empty()).then_some(version_stages);
    let put = place::open(&place)?.put_secret_value(request)?;
    if format.json {
        return output::json(&put);
    }
    output::members([
        ("ARN", vec![put.arn]),
        ("Version", vec![put.version_id]),
        ("Labels", vec![put.version_stages.join(", ")]),
    ])
}
