//! `strongroom rotation status`.

use serde::Serialize;
use serde_json::{Number, Value};
use strongroom::{
    ListSecretsRequest, RotationInProgress, RotationRules, RotationStatus, RotationWindow, SecretsManager,
};

use crate::arguments::rotate::Status;
use crate::commands::rotation::shown_window;
use crate::failure::Failure;
use crate::{output, place};

const HEADER: [&str; 9] =
    ["NAME", "ENABLED", "FUNCTION", "SCHEDULE", "LAST", "NEXT WINDOW", "ATTEMPTS", "NEXT ATTEMPT", "LAST FAILURE"];

pub(crate) fn run(arguments: Status) -> Result<(), Failure> {
    let Status { id, place, format } = arguments;
    let secrets = place::open(&place)?;
    let Some(id) = id else {
        let rotations = all(&secrets)?;
        if format.json {
            return output::json(&Rotations { rotations: rotations.iter().map(Written::new).collect() });
        }
        return output::table(&HEADER, rotations.iter().map(row));
    };
    let status = secrets.rotation_status(id.as_str())?;
    if format.json {
        return output::json(&status.as_ref().map(Written::new));
    }
    match status {
        Some(status) => print(&status),
        None => output::line(output::shown(&format!("rotation was never configured for {id}"))),
    }
}

/// The rotations of all secrets, in the order of their names.
fn all(secrets: &SecretsManager) -> Result<Vec<RotationStatus>, Failure> {
    let request = || ListSecretsRequest::new().sort_by("name").sort_order("asc");
    let mut rotations = Vec::new();
    let mut listed = secrets.list_secrets(request())?;
    loop {
        for entry in listed.secret_list.iter().filter(|entry| entry.rotation_enabled.is_some()) {
            rotations.extend(secrets.rotation_status(entry.arn.as_str())?);
        }
        let Some(token) = listed.next_token.take() else { return Ok(rotations) };
        listed = secrets.list_secrets(request().next_token(token))?;
    }
}

fn row(status: &RotationStatus) -> Vec<String> {
    let progress = status.in_progress.as_ref();
    vec![
        status.name.clone(),
        yes_or_no(status.is_enabled).to_owned(),
        performer(status),
        schedule(status.rules.as_ref()),
        status.last_rotated_at.as_ref().map_or_else(|| "never".to_owned(), output::date),
        status.next_window.as_ref().map(shown_window).unwrap_or_default(),
        progress.map(attempts).unwrap_or_default(),
        progress.map(|progress| next_attempt(status, progress)).unwrap_or_default(),
        progress.and_then(last_failure).unwrap_or_default(),
    ]
}

fn print(status: &RotationStatus) -> Result<(), Failure> {
    let one = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
    let progress = status.in_progress.as_ref();
    output::members([
        ("Name", vec![status.name.clone()]),
        ("ARN", vec![status.arn.clone()]),
        ("Enabled", vec![yes_or_no(status.is_enabled).to_owned()]),
        ("Function", vec![status.function_arn.clone().unwrap_or_else(|| performer(status))]),
        ("Schedule", vec![schedule(status.rules.as_ref())]),
        ("Last rotated", vec![status.last_rotated_at.as_ref().map_or_else(|| "never".to_owned(), output::date)]),
        ("Next window", one(status.next_window.as_ref().map(shown_window))),
        ("In progress", one(progress.map(|progress| progress.version_id.clone()))),
        ("Attempts", one(progress.map(attempts))),
        ("Next attempt", one(progress.map(|progress| next_attempt(status, progress)))),
        ("No attempt after", one(progress.and_then(|progress| progress.window_end.as_ref().map(output::date)))),
        ("Last failure", one(progress.and_then(last_failure))),
    ])
}

fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// The name of the function. The rest of its ARN is the same for all of them, more often than not.
fn performer(status: &RotationStatus) -> String {
    match &status.function_arn {
        Some(arn) => arn.split_once(":function:").map_or(arn.as_str(), |(_, name)| name).to_owned(),
        None => "managed".to_owned(),
    }
}

fn schedule(rules: Option<&RotationRules>) -> String {
    let Some(rules) = rules else { return "on demand".to_owned() };
    let mut shown = match (&rules.schedule_expression, rules.automatically_after_days) {
        (Some(expression), _) => expression.clone(),
        (None, Some(1)) => "every day".to_owned(),
        (None, Some(days)) => format!("every {days} days"),
        (None, None) => return "on demand".to_owned(),
    };
    if let Some(duration) = &rules.duration {
        shown.push_str(&format!(" for {duration}"));
    }
    shown
}

fn attempts(progress: &RotationInProgress) -> String {
    format!("{}{}", progress.attempts, if progress.is_test { " (test)" } else { "" })
}

fn next_attempt(status: &RotationStatus, progress: &RotationInProgress) -> String {
    let later = if status.next_window.is_some() { "next window" } else { "none" };
    progress.next_attempt_at.as_ref().map_or_else(|| later.to_owned(), output::date)
}

fn last_failure(progress: &RotationInProgress) -> Option<String> {
    let (at, reason) = progress.last_failure.as_ref()?;
    Some(format!("{}: {reason}", output::date(at)))
}

/// For programs.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rotations<'a> {
    rotations: Vec<Written<'a>>,
}

/// The names are the API's where it has the member.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a> {
    #[serde(rename = "ARN")]
    arn: &'a str,
    name: &'a str,
    rotation_enabled: bool,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    rotation_lambda_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<&'a RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated_date: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_window: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress: Option<InProgress<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct InProgress<'a> {
    version_id: &'a str,
    is_test: bool,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_date: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_end_date: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_date: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_reason: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn new(status: &'a RotationStatus) -> Self {
        let window = |window: &RotationWindow| serde_json::json!({ "StartDate": output::seconds(&window.start), "EndDate": output::seconds(&window.end) });
        Self {
            arn: &status.arn,
            name: &status.name,
            rotation_enabled: status.is_enabled,
            rotation_lambda_arn: status.function_arn.as_deref(),
            rotation_rules: status.rules.as_ref(),
            last_rotated_date: status.last_rotated_at.as_ref().and_then(output::seconds),
            next_window: status.next_window.as_ref().map(window),
            in_progress: status.in_progress.as_ref().map(InProgress::new),
        }
    }
}

impl<'a> InProgress<'a> {
    fn new(progress: &'a RotationInProgress) -> Self {
        let failure = progress.last_failure.as_ref();
        Self {
            version_id: &progress.version_id,
            is_test: progress.is_test,
            attempts: progress.attempts,
            next_attempt_date: progress.next_attempt_at.as_ref().and_then(output::seconds),
            window_end_date: progress.window_end.as_ref().and_then(output::seconds),
            last_failure_date: failure.and_then(|(at, _)| output::seconds(at)),
            last_failure_reason: failure.map(|(_, reason)| reason.as_str()),
        }
    }
}
