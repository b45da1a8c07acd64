//! A store that is driven through a year: the clock goes from one thing that is due to the next, and what happened is noted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Clock, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    PutSecretValueRequest, RestoreSecretRequest, RotateSecretRequest, RotationCall, RotationError, RotationFunction,
    RotationRules, RotationStep, SecretStore, SecretsManager, StaticKey, Timestamp, UpdateSecretVersionStageRequest,
};

use crate::calendar::{START, Spec};
use crate::oracle::{Deed, Event, Fault, Line, Shown, What};

pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotate";

/// The value that a version has, whoever made it.
pub(crate) fn value_of(version: &str) -> String {
    format!("the value of {version}")
}

pub(crate) fn rules_of(spec: &Spec) -> RotationRules {
    let mut rules = RotationRules::new();
    rules.automatically_after_days = spec.days;
    rules.schedule_expression = spec.expression.map(str::to_owned);
    rules.duration = spec.duration.map(str::to_owned);
    rules
}

/// Does a step as the published functions do it. Whether `AWSPENDING` is taken away in the end differs among them.
pub(crate) fn do_step(call: &RotationCall, also_unlabels: bool) -> Result<(), RotationError> {
    let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
    let described = secrets.describe_secret(DescribeSecretRequest::new(id))?;
    if described.rotation_enabled != Some(true) {
        return Err("the secret is not enabled for rotation".into());
    }
    let labels = described.version_ids_to_stages.unwrap_or_default();
    let has = |version: &Vec<String>, label: &str| version.iter().any(|held| held == label);
    let mine = labels.get(token).ok_or("the version is not there")?;
    if has(mine, "AWSCURRENT") {
        return Ok(());
    }
    if !has(mine, "AWSPENDING") {
        return Err("the version is not pending".into());
    }
    match call.step {
        RotationStep::CreateSecret => {
            secrets.get_secret_value(GetSecretValueRequest::new(id))?;
            let put = PutSecretValueRequest::new(id, value_of(token)).client_request_token(token);
            secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
        }
        RotationStep::FinishSecret => {
            let current = labels.iter().find(|(_, labels)| has(labels, "AWSCURRENT"));
            let (current, _) = current.ok_or("nothing is current")?;
            let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
            secrets.update_secret_version_stage(finish.remove_from_version_id(current.clone()))?;
            if also_unlabels {
                let unlabel = UpdateSecretVersionStageRequest::new(id, "AWSPENDING").remove_from_version_id(token);
                secrets.update_secret_version_stage(unlabel)?;
            }
        }
        _ => {
            secrets.get_secret_value(GetSecretValueRequest::new(id).version_id(token).version_stage("AWSPENDING"))?;
        }
    }
    Ok(())
}

/// An attempt that the function saw.
struct Attempt {
    name: String,
    token: String,
    steps: Vec<RotationStep>,
    before: Seen,
}

/// The function of all secrets.
#[derive(Clone, Default)]
struct Function {
    faults: Arc<Mutex<HashMap<String, Fault>>>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

impl RotationFunction for Function {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let token = &call.client_request_token;
        let fault = {
            let mut attempts = self.attempts.lock().unwrap();
            match attempts.iter_mut().find(|attempt| attempt.token == *token) {
                Some(attempt) => attempt.steps.push(call.step),
                None => {
                    let (name, before) = Seen::of(&call.secrets, &call.secret_id);
                    attempts.push(Attempt { name, token: token.clone(), steps: vec![call.step], before });
                }
            }
            let name = &attempts.iter().find(|attempt| attempt.token == *token).unwrap().name;
            self.faults.lock().unwrap().get(name).copied()
        };
        let step = RotationStep::ALL.iter().position(|step| *step == call.step).unwrap();
        match fault {
            Some(Fault::InStep(failing)) if failing == step => return Err("it was told to fail".into()),
            Some(Fault::Idle) => return Ok(()),
            _ => do_step(call, call.secret_id.len().is_multiple_of(2))?,
        }
        if fault == Some(Fault::AfterFinish) && call.step == RotationStep::FinishSecret {
            return Err("it was told to fail after all".into());
        }
        Ok(())
    }
}

/// What `DescribeSecret` shows, with ids of versions.
struct Seen {
    enabled: Option<bool>,
    last: Option<Timestamp>,
    next: Option<Timestamp>,
    current: Option<String>,
    previous: Option<String>,
}

impl Seen {
    fn of(secrets: &SecretsManager, id: &str) -> (String, Self) {
        let described = secrets.describe_secret(DescribeSecretRequest::new(id)).unwrap();
        let labels = described.version_ids_to_stages.unwrap_or_default();
        let holder = |label: &str| {
            let mut holders = labels.iter().filter(|(_, labels)| labels.iter().any(|held| held == label));
            let holder = holders.next().map(|(id, _)| id.clone());
            assert_eq!(holders.count(), 0, "{id}: {label} is on two versions");
            holder
        };
        let seen = Self {
            enabled: described.rotation_enabled,
            last: described.last_rotated_date,
            next: described.next_rotation_date,
            current: holder("AWSCURRENT"),
            previous: holder("AWSPREVIOUS"),
        };
        (described.name, seen)
    }
}

/// What a secret of the simulation goes through.
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rotated: u64,
    pub(crate) failed: u64,
    pub(crate) tested: u64,
    pub(crate) maintained: usize,
    pub(crate) purged: u64,
}

pub(crate) struct Year {
    clock: ManualClock,
    function: Function,
    store: SecretStore,
    secrets: SecretsManager,
    /// By secret, the numbers of its versions.
    numbers: Vec<HashMap<String, u32>>,
    pub(crate) lines: Vec<Line>,
    pub(crate) counts: Counts,
}

pub(crate) fn name_of(secret: usize) -> String {
    // Names of two lengths, so that both kinds of functions are met.
    format!("year/{secret:04}{}", "x".repeat(secret % 2))
}

fn index_of(name: &str) -> usize {
    name.trim_start_matches("year/").trim_end_matches('x').parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap()
}

impl Year {
    pub(crate) fn new(secrets: usize) -> Self {
        let clock = ManualClock::at_millis(START);
        let function = Function::default();
        let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).clock(clock.clone());
        let builder = builder.entropy(SeededEntropy::new(1)).rotation_function(ARN, function.clone());
        let store = builder.rotation_timeout(None).open().unwrap();
        let manager = store.default_secrets_manager();
        let numbers = vec![HashMap::new(); secrets];
        Self { clock, function, store, secrets: manager, numbers, lines: Vec::new(), counts: Counts::default() }
    }

    /// Lives through everything before `end`.
    pub(crate) fn live(&mut self, scripts: &[Script], end: i64) {
        let mut events: BTreeMap<(i64, usize), Deed> = BTreeMap::new();
        for (secret, script) in scripts.iter().enumerate() {
            events.extend(script.events.iter().map(|event| ((event.at, secret), event.deed)));
        }
        let mut due: Option<i64> = None;
        let mut last = None;
        loop {
            let event = events.first_key_value().map(|((at, _), _)| *at);
            let Some(now) = due.into_iter().chain(event).min().filter(|now| *now < end) else { break };
            assert!(last < Some(now), "it was {last:?}, and something is due at {now}");
            last = Some(now);
            self.clock.set(at(now));
            while let Some(entry) = events.first_entry().filter(|entry| entry.key().0 == now) {
                let ((_, secret), deed) = entry.remove_entry();
                self.take(now, secret, deed);
            }
            let report = self.store.maintain().unwrap();
            due = report.next_due_at.map(|due| due.timestamp_millis());
            self.counts.maintained += 1;
            self.counts.purged += report.purged_secrets;
            let before = (self.counts.rotated, self.counts.tested, self.counts.failed);
            self.note_attempts(now);
            let told = (report.rotated_secrets, report.tested_rotations, report.failed_rotations);
            let counts = &self.counts;
            let seen = (counts.rotated - before.0, counts.tested - before.1, counts.failed - before.2);
            assert_eq!(seen, told, "{report:?}");
        }
        self.lines.sort_by_key(|line| (line.at, line.secret));
    }

    fn number(&mut self, secret: usize, version: &str) -> u32 {
        let numbers = &mut self.numbers[secret];
        let next = u32::try_from(numbers.len()).unwrap() + 1;
        *numbers.entry(version.to_owned()).or_insert(next)
    }

    fn shown(&mut self, secret: usize, seen: &Seen) -> Shown {
        Shown {
            enabled: seen.enabled,
            last: seen.last.map(|at| at.timestamp_millis()),
            next: seen.next.map(|at| at.timestamp_millis()),
            current: seen.current.as_ref().map_or(0, |current| self.number(secret, current)),
        }
    }

    /// Does what a user does.
    fn take(&mut self, now: i64, secret: usize, deed: Deed) {
        let name = name_of(secret);
        let before = match deed {
            Deed::Create => Shown::default(),
            _ => {
                let (_, seen) = Seen::of(&self.secrets, &name);
                self.shown(secret, &seen)
            }
        };
        let token = format!("{now:016}-{secret:04}-by-hand-00000");
        let rotate = RotateSecretRequest::new(&name).client_request_token(&token);
        let done = match deed {
            Deed::Create => {
                let create = CreateSecretRequest::new(&name).client_request_token(&token);
                self.secrets.create_secret(create.secret_string(value_of(&token))).map(drop)
            }
            Deed::Configure { spec, immediately } => {
                let rotate = rotate.rotation_lambda_arn(ARN).rotation_rules(rules_of(&spec));
                self.secrets.rotate_secret(rotate.rotate_immediately(immediately)).map(drop)
            }
            Deed::Rotate { immediately } => {
                self.secrets.rotate_secret(rotate.rotate_immediately(immediately)).map(drop)
            }
            Deed::Put => {
                let put = PutSecretValueRequest::new(&name, value_of(&token)).client_request_token(&token);
                self.secrets.put_secret_value(put).map(drop)
            }
            Deed::Cancel => {
                self.secrets.cancel_rotate_secret(strongroom::CancelRotateSecretRequest::new(&name)).map(drop)
            }
            Deed::Delete => {
                let delete = DeleteSecretRequest::new(&name).recovery_window_in_days(30);
                self.secrets.delete_secret(delete).map(drop)
            }
            Deed::Restore => self.secrets.restore_secret(RestoreSecretRequest::new(&name)).map(drop),
            Deed::Function(fault) => {
                let mut faults = self.function.faults.lock().unwrap();
                match fault {
                    Some(fault) => faults.insert(name.clone(), fault),
                    None => faults.remove(&name),
                };
                Ok(())
            }
        };
        let what = match (done, deed) {
            (Ok(()), _) => What::Did(deed),
            (Err(error), Deed::Configure { .. } | Deed::Rotate { .. }) => {
                let text = "A previous rotation isn't complete. That rotation will be reattempted.";
                assert_eq!((error.code(), error.message()), ("InvalidRequestException", text), "{name}");
                What::Refused(deed)
            }
            (Err(error), _) => panic!("{name}, {deed:?}: {error:?}"),
        };
        if what == What::Did(deed) && matches!(deed, Deed::Configure { .. } | Deed::Rotate { .. } | Deed::Put) {
            self.number(secret, &token);
        }
        let (_, seen) = Seen::of(&self.secrets, &name);
        let after = self.shown(secret, &seen);
        self.lines.push(Line { at: now, secret, what, before, after });
    }

    /// Notes the attempts that the function saw in one call of `maintain`.
    fn note_attempts(&mut self, now: i64) {
        let attempts = std::mem::take(&mut *self.function.attempts.lock().unwrap());
        for Attempt { name, token, steps, before } in attempts {
            let secret = index_of(&name);
            let (_, after) = Seen::of(&self.secrets, &name);
            let version = self.number(secret, &token);
            let (shown_before, shown_after) = (self.shown(secret, &before), self.shown(secret, &after));
            let is_current = after.current.as_ref() == Some(&token);
            let what = if steps == [RotationStep::TestSecret] {
                self.counts.tested += 1;
                assert_eq!(before.current, after.current, "{name}: a test changed the value");
                What::Tested { version }
            } else {
                assert_eq!(steps, RotationStep::ALL[..steps.len()], "{name}: the order of steps");
                if is_current && shown_after.last == Some(now) {
                    self.counts.rotated += 1;
                    What::Rotated { version, steps: steps.len() }
                } else {
                    self.counts.failed += 1;
                    What::Failed { version, steps: steps.len() }
                }
            };
            if before.current != after.current {
                assert!(is_current, "{name}: another version became current than the one that was made");
                assert_eq!(after.previous, before.current, "{name}: the former current version");
            }
            self.lines.push(Line { at: now, secret, what, before: shown_before, after: shown_after });
        }
    }

    /// The value of each secret that is left is that of its current version. How many there are.
    pub(crate) fn check_values(&self) -> usize {
        let mut left = 0;
        for secret in 0..self.numbers.len() {
            match self.secrets.get_secret_value(GetSecretValueRequest::new(name_of(secret))) {
                Ok(read) => {
                    let value = read.secret_string.unwrap();
                    assert_eq!(value.expose(), value_of(&read.version_id), "{}", name_of(secret));
                    left += 1;
                }
                Err(error) => assert!(
                    matches!(error.code(), "ResourceNotFoundException" | "InvalidRequestException"),
                    "{}: {error:?}",
                    name_of(secret)
                ),
            }
        }
        assert!(self.clock.now().timestamp_millis() > START);
        left
    }
}
