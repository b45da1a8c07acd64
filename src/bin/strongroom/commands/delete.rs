//! `strongroom delete`.

use strongroom::DeleteSecretRequest;

use crate::arguments::{Delete, Secret};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Delete) -> Result<(), Failure> {
    let Delete { secret: Secret { id, place, format }, recovery_window, force } = arguments;
    let mut request = DeleteSecretRequest::new(id);
    request.recovery_window_in_days = recovery_window;
    request.force_delete_without_recovery = force.then_some(true);
    let deleted = place::open(&place)?.delete_secret(request)?;
    if format.json {
        return output::json(&deleted);
    }
    let name = deleted.name;
    if force {
        return output::line(format_args!("{name} is gone"));
    }
    output::line(format_args!("{name} can be restored until {}", output::date(&deleted.deletion_date)))
}
