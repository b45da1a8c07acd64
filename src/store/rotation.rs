//! Seam: who changes a password in the system that it opens, and for which secrets.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::error::Error;
use crate::model::rotation::attempts::Retries;
use crate::model::secret::Secret;
use crate::model::value::SecretString;
use crate::store::background::Background;
use crate::store::{Builder, RotationSettings, SecretsManager};

/// A rotation function: what the service runs as a Lambda function, here in process.
///
/// A rotation calls it four times, once for each [`RotationStep`], with the same version. It works through
/// [`RotationCall::secrets`], as a function of the service works through the service's API.
///
/// # Contract for implementers
///
/// * A step may be called again, from the first one on, with the same version: after a failure, and after a crash at
///   any point. What was done before has to be found done.
/// * It is called on a thread of its own unless [`Builder::rotation_timeout`](crate::Builder::rotation_timeout) says
///   otherwise, never twice at a time for one secret, and with no lock held: it may call everything.
/// * A panic is a failed step. A call that does not return in time is a failed step too, and the secret is left alone
///   until it does return.
/// * `finishSecret` moves `AWSCURRENT` to the version. The engine moves no label.
///
/// ```
/// use strongroom::{
///     PutSecretValueRequest, RotationCall, RotationError, RotationFunction, RotationStep, UpdateSecretVersionStageRequest,
/// };
///
/// /// For secrets that open nothing: a new one is a new text.
/// #[derive(Debug)]
/// struct Renew;
///
/// impl RotationFunction for Renew {
///     fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
///         let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
///         match call.step {
///             RotationStep::CreateSecret => {
///                 let put = PutSecretValueRequest::new(id, format!("made for {token}"));
///                 secrets.put_secret_value(put.client_request_token(token).version_stages(["AWSPENDING"]))?;
///             }
///             RotationStep::FinishSecret => {
///                 let stages = secrets.describe_secret(strongroom::DescribeSecretRequest::new(id))?.version_ids_to_stages;
///                 let holds = |stages: &Vec<String>| stages.iter().any(|stage| stage == "AWSCURRENT");
///                 let current = stages.unwrap_or_default().into_iter().find(|(_, stages)| holds(stages));
///                 let (current, _) = current.ok_or("nothing is current")?;
///                 let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
///                 secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
///             }
///             _ => {}
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>
pub trait RotationFunction: Send + Sync + fmt::Debug {
    /// Does one step.
    ///
    /// # Errors
    ///
    /// The step failed. The rotation begins again later, with the same version, until its attempts are used up.
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError>;

    /// Whether the function of this ARN can be called at all; for a function that was registered for an owner, it is the
    /// owner's name. It is asked by `RotateSecret`, on the caller's thread, which refuses a function that cannot be called
    /// with `AccessDeniedException`, and stores nothing then. By default it can.
    fn is_invocable(&self, function_arn: &str) -> bool {
        let _ = function_arn;
        true
    }
}

impl<F: RotationFunction + ?Sized> RotationFunction for Arc<F> {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        (**self).invoke(call)
    }

    fn is_invocable(&self, function_arn: &str) -> bool {
        (**self).is_invocable(function_arn)
    }
}

/// One call of a [`RotationFunction`].
#[derive(Debug)]
#[non_exhaustive]
pub struct RotationCall {
    /// What is to be done.
    pub step: RotationStep,
    /// The ARN of the secret.
    pub secret_id: String,
    /// The id of the version that is being made.
    pub client_request_token: String,
    /// Tells the calls of one rotation from those of everybody else. For `PutSecretValue`.
    pub rotation_token: SecretString,
    /// The ARN under which the function was called: the secret's `RotationLambdaARN`. Absent for secrets that a service or
    /// a partner rotates.
    pub function_arn: Option<String>,
    /// The account and Region of the secret.
    pub secrets: SecretsManager,
}

impl RotationCall {
    /// A call as a rotation would make it, for tests of an implementation. Its rotation token is empty, and it has no
    /// function ARN, unless they are set.
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, RotationCall, RotationStep, SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let arn = secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?.arn;
    /// let token = "11111111-2222-4333-8444-555555555555";
    /// let call = RotationCall::new(RotationStep::CreateSecret, arn, token, secrets)
    ///     .function_arn("arn:aws:lambda:us-east-1:000000000000:function:mine");
    /// assert_eq!(call.client_request_token, token);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn new(
        step: RotationStep,
        secret_id: impl Into<String>,
        client_request_token: impl Into<String>,
        secrets: SecretsManager,
    ) -> Self {
        Self {
            step,
            secret_id: secret_id.into(),
            client_request_token: client_request_token.into(),
            rotation_token: SecretString::from(String::new()),
            function_arn: None,
            secrets,
        }
    }

    /// Tells the calls of one rotation from those of everybody else.
    #[must_use]
    pub fn rotation_token(mut self, token: impl Into<SecretString>) -> Self {
        self.rotation_token = token.into();
        self
    }

    /// The ARN under which the function was called.
    #[must_use]
    pub fn function_arn(mut self, arn: impl Into<String>) -> Self {
        self.function_arn = Some(arn.into());
        self
    }
}

/// The steps of a rotation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RotationStep {
    /// Make the new value, and store it under the version's id with the label `AWSPENDING`.
    CreateSecret,
    /// Bring the new value into the system that it opens.
    SetSecret,
    /// See whether the new value opens it.
    TestSecret,
    /// Move the label `AWSCURRENT` to the new version.
    FinishSecret,
}

impl RotationStep {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::CreateSecret, Self::SetSecret, Self::TestSecret, Self::FinishSecret];

    /// As the service calls it, for example `createSecret`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }
}

impl fmt::Display for RotationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a step of a rotation failed.
///
/// Its text is kept with the secret, cut to 1,024 characters, and given to observers: it must contain no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RotationError {
    reason: String,
}

impl RotationError {
    /// For implementers of [`RotationFunction`].
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<Error> for RotationError {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<&str> for RotationError {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for RotationError {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

/// Attempts of a rotation in one window, unless the builder says otherwise.
const ATTEMPTS: u32 = 5;
/// Time between the first and the second, unless the builder says otherwise.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// How long a rotation function may take for one step, unless the builder says otherwise. Lambda's own limit.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);

impl Default for RotationSettings {
    fn default() -> Self {
        let retries = Retries { attempts: ATTEMPTS, pause: PAUSE };
        Self { retries, timeout: Some(FUNCTION_TIMEOUT), workers: 1, is_inline: false }
    }
}

/// How rotations are carried out.
impl Builder {
    /// Registers a function for a Lambda ARN, or for every ARN that begins with a text: `arn:aws:lambda:*` is for all of
    /// them. The function of exactly the ARN is preferred, then that of the longest beginning; of two for the same text the
    /// later counts. Default: none, and then `RotateSecret` answers that the function cannot be invoked.
    ///
    /// Functions are not stored. A store whose secrets rotate is opened with them every time.
    pub fn rotation_function(
        mut self,
        function_arn: impl Into<String>,
        function: impl RotationFunction + 'static,
    ) -> Self {
        self.functions.register(function_arn.into(), Arc::new(function));
        self
    }

    /// Registers who rotates the secrets of an owning service, such as `rds`.
    pub fn managed_rotation(mut self, service: impl Into<String>, function: impl RotationFunction + 'static) -> Self {
        self.functions.by_service.push((service.into(), Arc::new(function)));
        self
    }

    /// Registers who rotates the managed external secrets of a partner, which have its name as their `Type`. Whoever may
    /// create secrets chooses their type: the function is called for all of them.
    pub fn partner_rotation(mut self, partner: impl Into<String>, function: impl RotationFunction + 'static) -> Self {
        self.functions.by_partner.push((partner.into(), Arc::new(function)));
        self
    }

    /// How often a rotation that fails is tried in one window, and the time between the first two attempts, which doubles with
    /// every further failure. Times are those of the store's clock. Default: 5 attempts, the first two a minute apart.
    ///
    /// No attempt begins after the end of the window. When the attempts are used up, the rotation waits for the next window,
    /// and is then carried on with the same version.
    pub fn rotation_retries(mut self, attempts: u32, pause: TimeDelta) -> Self {
        self.settings.rotation.retries = Retries { attempts, pause };
        self
    }

    /// How long a rotation function may take for one step. Default: 15 minutes. A call that takes longer is a failed attempt.
    ///
    /// The function is called on a thread of its own, because a call cannot be stopped: until it returns after all, the
    /// secret is not rotated. `None`: it is called on the thread that maintains the store, which waits for as long as it takes.
    pub fn rotation_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.rotation.timeout = timeout;
        self
    }

    /// How many secrets [`SecretStore::maintain`](crate::SecretStore::maintain) rotates at a time. Default: 1, so that
    /// everything happens in one order.
    pub fn rotation_workers(mut self, workers: usize) -> Self {
        self.settings.rotation.workers = workers;
        self
    }

    /// Whether [`SecretsManager::rotate_secret`](crate::SecretsManager::rotate_secret) makes the first attempt before it
    /// returns. Default: `false`. What comes of it does not change the response; an attempt that fails is made again by
    /// [`SecretStore::maintain`](crate::SecretStore::maintain).
    pub fn rotate_inline(mut self, is_inline: bool) -> Self {
        self.settings.rotation.is_inline = is_inline;
        self
    }

    pub(crate) fn background(mut self, background: Background) -> Self {
        self.background = Some(background);
        self
    }
}

/// Which function rotates which secrets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Functions {
    /// ARNs, and beginnings of ARNs that end with `*`, in the order in which they were given.
    by_arn: Vec<(String, Arc<dyn RotationFunction>)>,
    by_service: Vec<(String, Arc<dyn RotationFunction>)>,
    /// By the `Type` of managed external secrets, which anybody can choose.
    by_partner: Vec<(String, Arc<dyn RotationFunction>)>,
}

impl Functions {
    pub(super) fn register(&mut self, arn: String, function: Arc<dyn RotationFunction>) {
        self.by_arn.push((arn, function));
    }

    /// The function of an ARN: the one that was given for exactly it, or else for the longest beginning of it.
    pub(crate) fn of_arn(&self, arn: &str) -> Option<&Arc<dyn RotationFunction>> {
        let exact = self.by_arn.iter().rev().find(|(known, _)| known == arn);
        let begins = |known: &str| known.strip_suffix('*').is_some_and(|start| arn.starts_with(start));
        let longest = || self.by_arn.iter().filter(|(known, _)| begins(known)).max_by_key(|(known, _)| known.len());
        exact.or_else(longest).map(|(_, function)| function)
    }

    /// The function of an owning service.
    pub(crate) fn of_service(&self, service: &str) -> Option<&Arc<dyn RotationFunction>> {
        self.by_service.iter().rev().find(|(known, _)| known == service).map(|(_, function)| function)
    }

    /// The function of a partner.
    pub(crate) fn of_partner(&self, partner: &str) -> Option<&Arc<dyn RotationFunction>> {
        self.by_partner.iter().rev().find(|(known, _)| known == partner).map(|(_, function)| function)
    }

    /// The function that rotates a secret, and the name under which it was looked for.
    pub(crate) fn of(&self, secret: &Secret) -> (Option<&Arc<dyn RotationFunction>>, String) {
        if let Some(service) = &secret.owning_service {
            return (self.of_service(service), service.clone());
        }
        if let Some(partner) = &secret.external_type {
            return (self.of_partner(partner), partner.clone());
        }
        let arn = secret.rotation.as_ref().and_then(|rotation| rotation.function_arn.clone()).unwrap_or_default();
        (self.of_arn(&arn), arn)
    }
}

/// The secrets whose function is being called, so that none is called twice at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotating(Arc<Mutex<HashSet<Uuid>>>);

/// Keeps a secret among those that are being rotated.
#[derive(Debug)]
pub(crate) struct RotatingNow {
    rotating: Rotating,
    uid: Uuid,
}

impl Rotating {
    /// `None` if it is being rotated already.
    pub(crate) fn begin(&self, uid: Uuid) -> Option<RotatingNow> {
        let is_new = self.lock().insert(uid);
        is_new.then(|| RotatingNow { rotating: self.clone(), uid })
    }

    pub(crate) fn has(&self, uid: &Uuid) -> bool {
        self.lock().contains(uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RotatingNow {
    fn drop(&mut self) {
        self.rotating.lock().remove(&self.uid);
    }
}
