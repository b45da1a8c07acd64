//! `strongroom rotate`.

use std::sync::Arc;

use strongroom::{
    Entropy as _, Error, OsEntropy, RotateSecretRequest, RotationInProgress, RotationRules, SecretsManager,
};

use crate::arguments::rotate::Rotate;
use crate::arguments::rotation::Rotation;
use crate::arguments::{Place, Secret};
use crate::commands::rotation::failures::Failures;
use crate::commands::rotation::shown_window;
use crate::failure::{Code, Failure};
use crate::{output, place, serve};

pub(crate) fn run(arguments: Rotate) -> Result<(), Failure> {
    let Rotate { secret, function, every_days, schedule, duration, no_run_now, token, beside } = arguments;
    let Secret { id, place, format } = secret;
    let mut request = RotateSecretRequest::new(id.as_str());
    request.rotation_lambda_arn = function;
    request.client_request_token = Some(token.map_or_else(new_token, Ok)?);
    request.rotate_immediately = no_run_now.then_some(false);
    let mut rules = RotationRules::new();
    (rules.automatically_after_days, rules.schedule_expression, rules.duration) = (every_days, schedule, duration);
    request.rotation_rules = (rules != RotationRules::new()).then_some(rules);

    let failures = Failures::default();
    let (rotated, status) = serve::beside(&place, &beside, true, Arc::new(failures.clone()), |store| {
        let secrets = store.default_secrets_manager();
        let waiting = place::waiting(format!("rotating {id}"));
        let rotated = secrets.rotate_secret(request);
        waiting.finish_and_clear();
        let rotated = rotated.map_err(|error| refused(&secrets, &id, error, &beside.rotation, &place))?;
        let status = secrets.rotation_status(rotated.arn.as_str())?;
        Ok((rotated, status))
    })?;

    let progress = status.as_ref().and_then(|status| status.in_progress.as_ref());
    if format.json {
        output::json(&rotated)?;
    } else {
        let next = status.as_ref().and_then(|status| status.next_window.as_ref());
        output::members([
            ("ARN", vec![rotated.arn.clone()]),
            // The version of a test is gone when the test is over.
            ("Version", if no_run_now { Vec::new() } else { vec![rotated.version_id.clone()] }),
            ("Rotation", vec![outcome(progress, no_run_now).to_owned()]),
            ("Next window", next.map(shown_window).into_iter().collect()),
        ])?;
    }
    match progress.and_then(|progress| progress.last_failure.as_ref().map(|failure| (progress, failure))) {
        Some((progress, (_, reason))) => Err(failed(&rotated.name, progress, reason, &beside.rotation)),
        // Nothing else is left of a trial.
        None => match failures.reasons().pop().filter(|_| no_run_now) {
            Some(reason) => Err(Failure::new(Code::Rotation, reason).during("the function was tried")),
            None => Ok(()),
        },
    }
}

/// A version id. It is made here because a store that is served wants one with every request.
fn new_token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    let failed = |error| Failure::new(Code::Other, format!("no version id could be made: {error}"));
    OsEntropy::default().fill(&mut bytes).map_err(failed)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

fn outcome(progress: Option<&RotationInProgress>, no_run_now: bool) -> &'static str {
    match progress {
        Some(RotationInProgress { last_failure: Some(_), .. }) => "failed",
        Some(_) => "under way",
        None if no_run_now => "not now",
        None => "done",
    }
}

fn failed(name: &str, progress: &RotationInProgress, reason: &str, rotation: &Rotation) -> Failure {
    let version = &progress.version_id;
    let by = if rotation.is_nobody() { "" } else { " with the same functions" };
    let hint = match &progress.next_attempt_at {
        Some(at) => format!("`strongroom maintain`{by} tries it again, from {} on", output::date(at)),
        None => format!("it is taken up again in the next window, or by `strongroom rotate` with --token {version}"),
    };
    Failure::new(Code::Rotation, reason).during(format_args!("{name} was not rotated")).hint(hint)
}

/// The same failure, with what can be done about how the rotation stands.
fn refused(secrets: &SecretsManager, id: &str, error: Error, rotation: &Rotation, place: &Place) -> Failure {
    let failure = Failure::from(error);
    if failure.is(Code::Rotation) && rotation.lambda_endpoint.is_some() {
        return failure.hint("the endpoint of --lambda-endpoint has no such function, or does not answer");
    }
    if !failure.is(Code::Conflict) {
        return failure;
    }
    match secrets.rotation_status(id) {
        Ok(Some(status)) if status.in_progress.is_some() => failure.hint(
            "`strongroom rotation status` says how it stands, `strongroom maintain` tries it again when it is due, \
             `strongroom rotation cancel` ends it",
        ),
        Ok(None) => failure.hint(match rotation.only_arn() {
            Some(arn) => format!("it has none yet: --function {arn} says who rotates it, from now on"),
            None => format!(
                "--function ARN says who rotates it, from now on: a name such as \
                 arn:aws:lambda:{}:{}:function:rotate-db, which is stored with the secret",
                place.region, place.account
            ),
        }),
        Ok(Some(_)) | Err(_) => failure,
    }
}
