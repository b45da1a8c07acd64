//! A store whose time is moved by hand, and functions that are told what to do.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Builder, CancelRotateSecretRequest, CreateSecretRequest, DescribeSecretRequest, DescribeSecretResponse, Error,
    GetSecretValueRequest, MaintenanceReport, PutSecretValueRequest, RotateSecretRequest, RotationCall, RotationError,
    RotationFunction, RotationInProgress, RotationRules, RotationStatus, RotationStep, SecretStore, SecretsManager,
    StaticKey, Timestamp, UpdateSecretVersionStageRequest,
};

pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotate";

/// A token that is told apart by its number.
pub(crate) fn token(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn clock(text: &str) -> ManualClock {
    ManualClock::new(at(text))
}

pub(crate) fn builder(clock: &ManualClock) -> Builder {
    SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).clock(clock.clone()).entropy(SeededEntropy::new(1))
}

/// What a function does, as the published ones do it.
pub(crate) fn work(call: &RotationCall, also_unlabels: bool) -> Result<(), RotationError> {
    let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
    let described = secrets.describe_secret(DescribeSecretRequest::new(id))?;
    if described.rotation_enabled != Some(true) {
        return Err("the secret is not enabled for rotation".into());
    }
    let stages = described.version_ids_to_stages.unwrap_or_default();
    let mine = stages.get(token).ok_or("the version has no stage for rotation")?;
    if mine.iter().any(|stage| stage == "AWSCURRENT") {
        return Ok(());
    }
    if !mine.iter().any(|stage| stage == "AWSPENDING") {
        return Err("the version is not pending".into());
    }
    match call.step {
        RotationStep::CreateSecret => {
            secrets.get_secret_value(GetSecretValueRequest::new(id).version_stage("AWSCURRENT"))?;
            let pending = GetSecretValueRequest::new(id).version_id(token).version_stage("AWSPENDING");
            match secrets.get_secret_value(pending) {
                Ok(_) => {}
                Err(error) if error.code() == "ResourceNotFoundException" => {
                    let put = PutSecretValueRequest::new(id, format!("made for {token}")).client_request_token(token);
                    secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        RotationStep::FinishSecret => {
            let is_current = |stages: &Vec<String>| stages.iter().any(|stage| stage == "AWSCURRENT");
            let current = stages.iter().find(|(_, stages)| is_current(stages)).map(|(id, _)| id.clone());
            let request = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
            secrets.update_secret_version_stage(request.remove_from_version_id(current.ok_or("no current")?))?;
            if also_unlabels {
                let request = UpdateSecretVersionStageRequest::new(id, "AWSPENDING").remove_from_version_id(token);
                secrets.update_secret_version_stage(request)?;
            }
        }
        _ => {
            secrets.get_secret_value(GetSecretValueRequest::new(id).version_id(token).version_stage("AWSPENDING"))?;
        }
    }
    Ok(())
}

type Answer = dyn FnMut(&RotationCall) -> Result<(), RotationError> + Send;

/// A function that does what a test says, and remembers its calls.
#[derive(Clone)]
pub(crate) struct Scripted {
    answer: Arc<Mutex<Box<Answer>>>,
    calls: Arc<Mutex<Vec<(RotationStep, String)>>>,
}

impl Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new(answer: impl FnMut(&RotationCall) -> Result<(), RotationError> + Send + 'static) -> Self {
        Self { answer: Arc::new(Mutex::new(Box::new(answer))), calls: Arc::default() }
    }

    pub(crate) fn working() -> Self {
        Self::new(|call| work(call, false))
    }

    pub(crate) fn answers(&self, answer: impl FnMut(&RotationCall) -> Result<(), RotationError> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// Steps and versions, and forgets them.
    pub(crate) fn calls(&self) -> Vec<(RotationStep, String)> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl RotationFunction for Scripted {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        self.calls.lock().unwrap().push((call.step, call.client_request_token.clone()));
        (self.answer.lock().unwrap())(call)
    }
}

type Work = dyn Fn(&RotationCall) -> Result<(), RotationError> + Send + Sync;

/// A function that may be called by several threads at a time.
#[derive(Clone)]
pub(crate) struct Free(Arc<Work>);

impl Free {
    pub(crate) fn new(work: impl Fn(&RotationCall) -> Result<(), RotationError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(work))
    }
}

impl Debug for Free {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Free")
    }
}

impl RotationFunction for Free {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        (self.0)(call)
    }
}

pub(crate) fn days(days: i64) -> RotationRules {
    RotationRules::new().automatically_after_days(days)
}

pub(crate) fn expression(expression: &str) -> RotationRules {
    RotationRules::new().schedule_expression(expression)
}

/// A store with one secret, `db`, whose first version is `token(1)`.
pub(crate) struct Bench {
    pub(crate) clock: ManualClock,
    pub(crate) function: Scripted,
    pub(crate) store: SecretStore,
    pub(crate) secrets: SecretsManager,
}

impl Bench {
    pub(crate) fn new(function: Scripted) -> Self {
        Self::with(function, |builder| builder)
    }

    pub(crate) fn with(function: Scripted, adjust: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = clock("2026-01-15T12:00:00Z");
        let store = adjust(builder(&clock).rotation_function(ARN, function.clone())).open().unwrap();
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first");
        secrets.create_secret(create).unwrap();
        Self { clock, function, store, secrets }
    }

    pub(crate) fn rotate(&self, number: u32) -> RotateSecretRequest {
        RotateSecretRequest::new("db").client_request_token(token(number)).rotation_lambda_arn(ARN)
    }

    pub(crate) fn describe(&self) -> DescribeSecretResponse {
        self.secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap()
    }

    /// Labels by the number of the version's token.
    pub(crate) fn stages(&self) -> BTreeMap<u32, Vec<String>> {
        let stages = self.describe().version_ids_to_stages.unwrap_or_default();
        stages.into_iter().map(|(id, stages)| (number(&id), stages)).collect()
    }

    /// The labels as a row of a table.
    pub(crate) fn labels(&self) -> String {
        shown(&self.stages())
    }

    pub(crate) fn put(&self, number: u32, stages: &[&str]) {
        let put = PutSecretValueRequest::new("db", format!("value {number}")).client_request_token(token(number));
        let put = if stages.is_empty() { put } else { put.version_stages(stages.iter().copied()) };
        self.secrets.put_secret_value(put).unwrap();
    }

    pub(crate) fn move_label(&self, label: &str, from: Option<u32>, to: Option<u32>) {
        let mut request = UpdateSecretVersionStageRequest::new("db", label);
        (request.remove_from_version_id, request.move_to_version_id) = (from.map(token), to.map(token));
        self.secrets.update_secret_version_stage(request).unwrap();
    }

    pub(crate) fn cancel(&self) -> Option<String> {
        self.secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap().version_id
    }

    /// Rotation by these rules, without a first rotation and without trying the function.
    pub(crate) fn schedule(&self, rules: RotationRules) {
        let request = self.rotate(90).rotation_rules(rules).rotate_immediately(false);
        self.secrets.rotate_secret(request).unwrap();
        assert_eq!(self.maintain().tested_rotations, 1);
        self.function.calls();
    }

    pub(crate) fn maintain(&self) -> MaintenanceReport {
        self.store.maintain().unwrap()
    }

    pub(crate) fn status(&self) -> RotationStatus {
        self.secrets.rotation_status("db").unwrap().unwrap()
    }

    /// The rotation that was begun and has not ended.
    pub(crate) fn job(&self) -> RotationInProgress {
        self.status().in_progress.unwrap()
    }

    /// Sets the clock.
    pub(crate) fn at(&self, text: &str) {
        self.clock.set(at(text));
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The steps that were called since the last time, of however many versions.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        self.function.calls().into_iter().map(|(step, _)| step.as_str()).collect()
    }

    pub(crate) fn current(&self) -> String {
        let read = self.secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
        read.secret_string.unwrap().expose().to_owned()
    }
}

/// The four steps by name.
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The number of a token. Of one that the engine made, the largest.
fn number(id: &str) -> u32 {
    let number = id.strip_suffix("-0000-4000-8000-000000000000");
    number.and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

/// What a call came to: its code and its text.
#[track_caller]
pub(crate) fn refusal<T: Debug>(result: Result<T, Error>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.code(), error.message().to_owned())
}

/// Labels as a row of a table: `1 CURRENT, 2 PENDING`. Versions that the engine made are `new`.
pub(crate) fn shown(stages: &BTreeMap<u32, Vec<String>>) -> String {
    let row = |(version, stages): (&u32, &Vec<String>)| {
        let mut stages: Vec<&str> = stages.iter().map(|stage| stage.strip_prefix("AWS").unwrap_or(stage)).collect();
        stages.sort_unstable();
        let version = if *version == u32::MAX { "new".to_owned() } else { version.to_string() };
        format!("{version} {}", stages.join("+"))
    };
    stages.iter().map(row).collect::<Vec<_>>().join(", ")
}
