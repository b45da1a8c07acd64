//! `strongroom rotation cancel`.

use strongroom::CancelRotateSecretRequest;

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let cancelled = place::open(&place)?.cancel_rotate_secret(CancelRotateSecretRequest::new(id))?;
    if format.json {
        return output::json(&cancelled);
    }
    output::line(output::shown(&format!("{} is not rotated any more", cancelled.name)))?;
    let Some(version) = cancelled.version_id else { return Ok(()) };
    output::line(format_args!("AWSPENDING is still on version {version}"))
}
