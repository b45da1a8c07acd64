//! `strongroom stage`.

use strongroom::UpdateSecretVersionStageRequest;

use crate::arguments::{Secret, Stage};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Stage) -> Result<(), Failure> {
    let Stage { secret: Secret { id, place, format }, label, to, from } = arguments;
    let mut request = UpdateSecretVersionStageRequest::new(id, label);
    request.move_to_version_id = to;
    request.remove_from_version_id = from;
    let moved = place::open(&place)?.update_secret_version_stage(request)?;
    if format.json {
        return output::json(&moved);
    }
    output::members([("ARN", vec![moved.arn])])
}
