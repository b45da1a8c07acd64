//! `strongroom update`.

use strongroom::UpdateSecretRequest;

use crate::arguments::{Secret, Update};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Update) -> Result<(), Failure> {
    let Update { secret: Secret { id, place, format }, description, kms_key_id } = arguments;
    let mut request = UpdateSecretRequest::new(id);
    request.description = description;
    request.kms_key_id = kms_key_id;
    let updated = place::open(&place)?.update_secret(request)?;
    if format.json {
        return output::json(&updated);
    }
    output::members([("ARN", vec![updated.arn])])
}
