//! Carrying out rotations: what is due is taken up, its function called step by step, and the outcome noted.
//!
//! A rotation is a job in the record of its secret. Beginning an attempt and ending it are one commit each, so that a crash
//! between them leaves a job that is carried on, with the same version. No lock is held while a function works.

mod calls;
mod maintain;
mod status;

use std::sync::Arc;

pub use crate::rotator::status::{RotationInProgress, RotationStatus};

use crate::access::Access;
use crate::entropy::random_uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretId;
use crate::model::rotation::JobKind;
use crate::model::rotation::attempts::{Attempt, Due, Ending, NOT_CURRENT};
use crate::model::secret::Secret;
use crate::model::stages::CURRENT;
use crate::model::value::{SecretString, SecretValue};
use crate::model::version::{Version, VersionId};
use crate::observe::rotation::RotationEventKind;
use crate::records::keys::SecretKey;
use crate::records::{Loaded, Outcome};
use crate::rotator::calls::Caller;
use crate::run::{KeyWork, Moment, Operation, Plan, Verdict};
use crate::store::rotation::RotatingNow;
use crate::store::{RotationCall, RotationFunction, RotationStep, SecretsManager};

/// What was done for one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing was due, or somebody else is at it.
    Nothing,
    Rotated,
    Tested,
    Failed,
}

impl SecretsManager {
    /// A rotation of this secret was begun: makes its first attempt, or sees to it that somebody does.
    pub(crate) fn rotation_begun(&self, arn: &str) {
        if !self.settings().rotation.is_inline {
            return self.ring();
        }
        // What comes of it is noted with the secret, and a failure to do even that is found by whoever maintains the store.
        let loaded = SecretId::parse(arn, self.tenant()).and_then(|id| self.find_any(&id, self.now()));
        if let Ok(Some(loaded)) = loaded {
            let _ = self.rotate(&loaded.key, &mut Caller::new(self.settings().rotation.timeout));
        }
        // What comes next may be earlier than what the store's own thread waits for.
        self.ring();
    }

    /// Makes the attempt that is due for a secret.
    fn rotate(&self, key: &SecretKey, caller: &mut Caller) -> Result<Done> {
        let Some(loaded) = self.records().load_by_key(key)? else { return Ok(Done::Nothing) };
        let Some(guard) = self.rotating().begin(loaded.secret.uid) else { return Ok(Done::Nothing) };
        let manager = self.with_tenant(&loaded.secret.tenant);
        let Some((secret, attempt)) = manager.take_up(key)? else { return Ok(Done::Nothing) };
        let work = Work { manager: &manager, secret: &secret, attempt: &attempt, guard: Arc::new(guard) };
        let outcome = work.steps(caller);
        manager.settle(&secret, &attempt, outcome)
    }

    /// Finds the attempt that is due, and notes that it begins.
    fn take_up(&self, key: &SecretKey) -> Result<Option<(Secret, Attempt)>> {
        let settings = self.settings();
        loop {
            let Some(old) = self.records().load_by_key(key)? else { return Ok(None) };
            let now = self.now();
            let mut secret = Secret::clone(&old.secret);
            let mut new_ids = || {
                let id = || Ok::<_, Error>(random_uuid(self.entropy())?.to_string());
                Ok((VersionId::new(id()?), id()?))
            };
            let taken = secret.take_up_rotation(&settings.rotation.retries, settings.versions_max, now, &mut new_ids);
            let due = match taken {
                Err(error) if *error.kind() == ErrorKind::LimitExceeded => {
                    secret = Secret::clone(&old.secret);
                    secret.skip_window(now);
                    Err(error)
                }
                taken => Ok(taken?),
            };
            if matches!(due, Ok(Due::Nothing)) {
                return Ok(None);
            }
            if self.store_rotation(&old, &secret)? == Outcome::Stale {
                continue;
            }
            match due {
                Ok(Due::Attempt(attempt)) => {
                    if attempt.number == 1 {
                        self.tell(&secret, Event::Started, &attempt, None);
                    }
                    return Ok(Some((secret, attempt)));
                }
                // The window that was found instead may have begun.
                Ok(Due::Postponed) => {}
                Ok(Due::GivenUp(attempt)) => {
                    self.tell(&secret, Event::Failed, &attempt, Some(UNFINISHED));
                    return Ok(None);
                }
                Err(error) => {
                    self.tell_of(&secret, RotationEventKind::RotationFailed, "", None, Some(error.message()));
                    return Ok(None);
                }
                Ok(Due::Nothing) => return Ok(None),
            }
        }
    }

    /// Notes what came of an attempt.
    fn settle(&self, begun: &Secret, attempt: &Attempt, outcome: std::result::Result<(), Failure>) -> Result<Done> {
        loop {
            // By its name: its record may have gone over to another root key meanwhile.
            let found = self.records().load(&begun.tenant, &begun.name)?;
            let Some(old) = found.filter(|old| old.secret.uid == begun.uid) else { return Ok(Done::Nothing) };
            let mut secret = Secret::clone(&old.secret);
            let failure = outcome.as_ref().err().map(|failure| failure.reason.as_str());
            let ending = secret.end_attempt(attempt, failure, &self.settings().rotation.retries, self.now());
            if ending == Ending::Gone {
                return Ok(Done::Nothing);
            }
            if self.store_rotation(&old, &secret)? == Outcome::Stale {
                continue;
            }
            if ending != Ending::Succeeded {
                let told = outcome.as_ref().err().map_or(NOT_CURRENT, |failure| failure.told.as_str());
                self.tell(&secret, Event::Failed, attempt, Some(told));
                return Ok(Done::Failed);
            }
            self.tell(&secret, Event::Succeeded, attempt, None);
            return Ok(match attempt.kind {
                JobKind::Rotation => Done::Rotated,
                JobKind::Test => Done::Tested,
            });
        }
    }

    /// Tells observers what happened in an attempt.
    fn tell(&self, secret: &Secret, event: Event, attempt: &Attempt, reason: Option<&str>) {
        use RotationEventKind as K;
        let kind = match (event, attempt.kind) {
            (Event::Started, JobKind::Rotation) => K::RotationStarted,
            (Event::Succeeded, JobKind::Rotation) => K::RotationSucceeded,
            (Event::Failed, JobKind::Rotation) => K::RotationFailed,
            (Event::Started, JobKind::Test) => K::TestRotationStarted,
            (Event::Succeeded, JobKind::Test) => K::TestRotationSucceeded,
            (Event::Failed, JobKind::Test) => K::TestRotationFailed,
        };
        self.tell_of(secret, kind, attempt.token.as_str(), Some(attempt.number), reason);
    }

    fn store_rotation(&self, old: &Loaded, secret: &Secret) -> Result<Outcome> {
        self.commit_following(old, secret, self.settings().replication.mode)
    }
}

/// What happened in an attempt.
#[derive(Debug, Clone, Copy)]
enum Event {
    Started,
    Succeeded,
    Failed,
}

/// Why an attempt failed.
#[derive(Debug)]
struct Failure {
    /// What observers are told: nothing that a function wrote, because that may quote a value.
    told: String,
    /// What is noted with the secret.
    reason: String,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { told: reason.clone(), reason }
    }
}

/// Why a rotation failed whose last attempt has no outcome.
const UNFINISHED: &str = "The attempts or the window ended before the rotation did";

/// An attempt that was begun.
struct Work<'a> {
    /// Of the account and Region of the secret.
    manager: &'a SecretsManager,
    secret: &'a Secret,
    attempt: &'a Attempt,
    guard: Arc<RotatingNow>,
}

impl Work<'_> {
    /// Calls the function for each step, as long as the rotation is wanted.
    fn steps(&self, caller: &mut Caller) -> std::result::Result<(), Failure> {
        let (function, name) = self.manager.functions().of(self.secret);
        let function = function.ok_or_else(|| format!("No rotation function is registered for {name}"))?;
        let steps: &[RotationStep] = match self.attempt.kind {
            JobKind::Rotation => &RotationStep::ALL,
            JobKind::Test => {
                self.copy_current()?;
                &[RotationStep::TestSecret]
            }
        };
        for step in steps {
            self.call(caller, function, *step).map_err(|reason| {
                let what = if self.secret.rotated_by().is_some() { "rotation by" } else { "lambda" };
                let told = format!("Error when executing {what} {name} during {step} step");
                let reason = format!("{told}: {reason}");
                Failure { told, reason }
            })?;
            match self.standing() {
                Standing::Wanted => {}
                // What became of it is found when the outcome is noted.
                Standing::Ended => return Ok(()),
                Standing::Suspended => return Err("The secret was marked for deletion".to_owned().into()),
            }
        }
        Ok(())
    }

    fn call(
        &self,
        caller: &mut Caller,
        function: &Arc<dyn RotationFunction>,
        step: RotationStep,
    ) -> std::result::Result<(), String> {
        let owner = self.secret.owning_service.as_deref();
        let secrets = match owner {
            // The service that the secret belongs to may change it.
            Some(owner) => self.manager.clone().as_owning_service(owner).map_err(|error| error.to_string())?,
            None => self.manager.clone(),
        };
        let function_arn = self.secret.rotation.as_ref().and_then(|rotation| rotation.function_arn.clone());
        let call = RotationCall {
            step,
            secret_id: self.secret.arn.clone(),
            client_request_token: self.attempt.token.to_string(),
            rotation_token: SecretString::from(self.attempt.rotation_token.clone()),
            function_arn: function_arn.filter(|_| self.secret.rotated_by().is_none()),
            secrets,
        };
        caller.call(Arc::clone(function), call, Arc::clone(&self.guard))
    }

    /// What others did to the rotation meanwhile.
    fn standing(&self) -> Standing {
        let id = SecretId::Arn { arn: self.secret.arn.clone(), name: self.secret.name.clone() };
        match self.manager.find_any(&id, self.manager.now()) {
            Ok(Some(loaded)) if loaded.secret.job().is_some_and(|job| job.token == self.attempt.token) => {
                if loaded.secret.deletion_at.is_some() { Standing::Suspended } else { Standing::Wanted }
            }
            _ => Standing::Ended,
        }
    }

    /// Gives the version of a test a copy of the current value.
    fn copy_current(&self) -> std::result::Result<(), String> {
        let shown = |error: Error| error.to_string();
        let id = SecretId::Arn { arn: self.secret.arn.clone(), name: self.secret.name.clone() };
        for _ in 0..COPY_ROUNDS {
            let found = self.manager.find_any(&id, self.manager.now()).map_err(shown)?;
            let Some(loaded) = found else { return Err("the secret is gone".to_owned()) };
            let Some(current) = loaded.secret.stages.holder(CURRENT) else {
                return Err("the secret has no value yet".to_owned());
            };
            if let Some(value) = self.manager.open_value(&loaded, current).map_err(shown)? {
                let copy = Copy { id, token: self.attempt.token.clone(), value };
                return self.manager.run(&copy).map_err(shown);
            }
        }
        Err("the secret kept changing".to_owned())
    }
}

/// What has become of a rotation while its function worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Wanted,
    /// The secret is scheduled for deletion.
    Suspended,
    Ended,
}

/// How often the current value is read again because it changed while it was being read.
const COPY_ROUNDS: usize = 100;

/// Fills the version of a test.
#[derive(Debug)]
struct Copy {
    id: SecretId,
    token: VersionId,
    value: SecretValue,
}

impl Operation for Copy {
    type Response = ();

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("RotateSecret")
    }

    fn value(&self) -> Option<&SecretValue> {
        Some(&self.value)
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, _: &Moment<'_>) -> Result<Verdict<()>> {
        let Some(secret) = secret else { return Ok(Verdict::Answer(())) };
        let is_wanted = secret.job().is_some_and(|job| job.token == self.token && job.kind == JobKind::Test);
        // A version that has its value was filled before a crash.
        if !is_wanted || secret.version(&self.token).is_none_or(Version::has_value) {
            return Ok(Verdict::Answer(()));
        }
        let seal = Some(self.token.clone());
        Ok(Verdict::Store(Box::new(Plan { secret, seal, key: KeyWork::None, response: () })))
    }
}
