//! What is known of a secret's rotation beyond what the API tells.

use crate::access::Access;
use crate::error::Result;
use crate::model::id::SecretId;
use crate::model::rotation::{Job, JobKind, RotationRules};
use crate::model::shape::Shape;
use crate::rotation::RotationWindow;
use crate::store::SecretsManager;
use crate::time::Timestamp;

/// The rotation of a secret. Made by [`SecretsManager::rotation_status`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationStatus {
    /// The ARN of the secret.
    pub arn: String,
    /// The name of the secret.
    pub name: String,
    /// Whether the secret rotates by its schedule.
    pub is_enabled: bool,
    /// The function that rotates it. Absent if a service or a partner does.
    pub function_arn: Option<String>,
    /// When it is rotated, as it was given.
    pub rules: Option<RotationRules>,
    /// When the last successful rotation ended.
    pub last_rotated_at: Option<Timestamp>,
    /// The window in which it is rotated next. Absent while rotation is disabled, and without a schedule.
    pub next_window: Option<RotationWindow>,
    /// The rotation that was begun and has not ended.
    pub in_progress: Option<RotationInProgress>,
}

/// A rotation that was begun and has not ended: it is under way, or waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationInProgress {
    /// The version that is being made.
    pub version_id: String,
    /// Whether only the function is being tried, with a copy of the current value.
    pub is_test: bool,
    /// Attempts that were begun in this window.
    pub attempts: u32,
    /// When the next attempt is due. Absent if none is left: the rotation waits for the next window.
    pub next_attempt_at: Option<Timestamp>,
    /// No attempt begins after it. Absent for a rotation that was asked for.
    pub window_end: Option<Timestamp>,
    /// When the last attempt failed, and why.
    pub last_failure: Option<(Timestamp, String)>,
}

impl RotationInProgress {
    fn new(job: &Job) -> Self {
        Self {
            version_id: job.token.to_string(),
            is_test: job.kind == JobKind::Test,
            attempts: job.attempts,
            next_attempt_at: job.due_at,
            window_end: job.until,
            last_failure: job.failure.clone(),
        }
    }
}

impl SecretsManager {
    /// Tells what is known of a secret's rotation: more than [`describe_secret`](Self::describe_secret), and not part of the
    /// API. `None`: rotation was never configured.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the id is too long, or neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored record is damaged or cannot be read.
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// assert_eq!(secrets.rotation_status("db/main")?, None);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn rotation_status(&self, secret_id: impl Into<String>) -> Result<Option<RotationStatus>> {
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(Some(secret_id.into()));
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let secret = self.find(&id, self.now(), &Access::to("DescribeSecret"))?.secret;
        Ok(secret.rotation.as_ref().map(|rotation| RotationStatus {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            is_enabled: rotation.is_enabled,
            function_arn: rotation.function_arn.clone(),
            rules: rotation.rules.clone(),
            last_rotated_at: rotation.last_rotated_at,
            next_window: rotation.window,
            in_progress: rotation.job.as_ref().map(RotationInProgress::new),
        }))
    }
}
