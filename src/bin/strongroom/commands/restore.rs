//! `strongroom restore`.

use strongroom::RestoreSecretRequest;

use crate::arguments::Secret;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let restored = place::open(&place)?.restore_secret(RestoreSecretRequest::new(id))?;
    if format.json {
        return output::json(&restored);
    }
    output::line(format_args!("{} is no longer scheduled for deletion", restored.name))
}
