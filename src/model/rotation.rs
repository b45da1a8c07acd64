//! What is known of a secret's rotation, and every legal transition of it.
//!
//! Invariants:
//! * there is a job only while rotation is enabled, and its version is there;
//! * there is a next window, and a date that tells it, only while rotation is enabled and has a schedule.

pub(crate) mod attempts;

use chrono::TimeDelta;

use crate::error::{Error, ErrorKind, Result};
use crate::model::limits as lim;
use crate::model::secret::Secret;
use crate::model::shape::{LISTED_MAX, Shape};
use crate::model::stages::{CURRENT, PENDING};
use crate::model::tenant::Tenant;
use crate::model::version::{Version, VersionId};
use crate::rotation::{RotationSchedule, RotationWindow};
use crate::time::{DAY, Timestamp};

/// When a secret is rotated.
///
/// Either days or an expression. Without both, rotation happens on demand only.
///
/// ```
/// use strongroom::RotationRules;
///
/// let monthly = RotationRules::new().automatically_after_days(30);
/// let at_night = RotationRules::new().schedule_expression("cron(0 2 1,15 * ? *)").duration("3h");
/// assert_eq!((monthly.automatically_after_days, at_night.duration.as_deref()), (Some(30), Some("3h")));
/// ```
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html>
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Deserialize, serde::Serialize), serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct RotationRules {
    /// Days after the day of the last rotation, 1 to 1,000. In responses, what a schedule expression comes to.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub automatically_after_days: Option<i64>,
    /// How long the window is that begins when the schedule says, in hours: `1h` to `24h`. Without it, to the end of the day
    /// or, for schedules of several times a day, an hour.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub duration: Option<String>,
    /// `rate(10 days)`, `rate(6 hours)`, `cron(0 16 1,15 * ? *)`: see [`RotationSchedule`].
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub schedule_expression: Option<String>,
}

impl RotationRules {
    /// No schedule yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Days after the day of the last rotation, 1 to 1,000.
    #[must_use]
    pub fn automatically_after_days(mut self, days: i64) -> Self {
        self.automatically_after_days = Some(days);
        self
    }

    /// How long the window is that begins when the schedule says: `1h` to `24h`.
    #[must_use]
    pub fn duration(mut self, duration: impl Into<String>) -> Self {
        self.duration = Some(duration.into());
        self
    }

    /// An expression, `rate(…)` or `cron(…)`.
    #[must_use]
    pub fn schedule_expression(mut self, expression: impl Into<String>) -> Self {
        self.schedule_expression = Some(expression.into());
        self
    }

    /// The schedule. `None`: rotation happens on demand only.
    pub(crate) fn schedule(&self) -> Result<Option<RotationSchedule>> {
        let Self { automatically_after_days, duration, schedule_expression } = self;
        RotationSchedule::parse(*automatically_after_days, schedule_expression.as_deref(), duration.as_deref())
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that a partner has to know to rotate a managed external secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Deserialize, serde::Serialize), serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct ExternalSecretRotationMetadataItem {
    /// 1 to 256 characters.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub key: String,
    /// 1 to 2,048 characters.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub value: String,
}

impl ExternalSecretRotationMetadataItem {
    /// Limits are checked by the operation that uses it.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// How a partner rotates a managed external secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct External {
    pub(crate) metadata: Option<Vec<ExternalSecretRotationMetadataItem>>,
    pub(crate) role_arn: Option<String>,
}

/// The rotation of a secret for which it was configured at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) is_enabled: bool,
    /// The Lambda function. `None`: a service or a partner rotates the secret.
    pub(crate) function_arn: Option<String>,
    pub(crate) rules: Option<RotationRules>,
    pub(crate) external: External,
    pub(crate) last_rotated_at: Option<Timestamp>,
    /// When the rules were given.
    pub(crate) configured_at: Timestamp,
    /// When the secret last was configured, rotated, or given a value by hand.
    pub(crate) counts_from: Timestamp,
    /// The next window in which it is to be rotated.
    pub(crate) window: Option<RotationWindow>,
    /// The date that is shown. A failure leaves it as it is, so that it may be that of an earlier window.
    pub(crate) next_date: Option<Timestamp>,
    /// Days between firings, for schedules that are not given in days.
    pub(crate) days: Option<i64>,
    pub(crate) job: Option<Job>,
}

/// What a job is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// All four steps.
    Rotation,
    /// The step testSecret with a copy of the current value, which then goes again.
    Test,
}

/// A rotation that was begun and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// The version that is being made.
    pub(crate) token: VersionId,
    pub(crate) kind: JobKind,
    /// Tells the function's calls from those of others.
    pub(crate) rotation_token: String,
    /// Attempts that were begun, in this window.
    pub(crate) attempts: u32,
    /// When the next attempt is due. `None`: none in this window.
    pub(crate) due_at: Option<Timestamp>,
    /// The end of the window. No attempt begins after it.
    pub(crate) until: Option<Timestamp>,
    /// When the last attempt failed, and why.
    pub(crate) failure: Option<(Timestamp, String)>,
}

impl Rotation {
    fn new(now: Timestamp) -> Self {
        Self {
            is_enabled: true,
            function_arn: None,
            rules: None,
            external: External::default(),
            last_rotated_at: None,
            configured_at: now,
            counts_from: now,
            window: None,
            next_date: None,
            days: None,
            job: None,
        }
    }

    /// The schedule. Rules were checked when they were given; ones that this version does not understand mean none.
    fn schedule(&self) -> Option<RotationSchedule> {
        self.rules.as_ref()?.schedule().ok().flatten()
    }

    fn origin(&self, schedule: &RotationSchedule) -> Timestamp {
        if schedule.is_in_hours() { self.configured_at } else { self.counts_from }
    }

    /// Plans the first window after `now`, and shows it.
    fn plan(&mut self, now: Timestamp) {
        let schedule = if self.is_enabled { self.schedule() } else { None };
        self.window = schedule.as_ref().and_then(|schedule| schedule.next_window(self.origin(schedule), now));
        self.next_date = self.window.map(|window| window.next_rotation_date());
        self.days = schedule.map(|schedule| schedule.automatically_after_days(now));
    }

    /// Plans the first window after `now`, and goes on showing the one that was missed.
    fn postpone(&mut self, now: Timestamp) {
        let schedule = self.schedule();
        self.window = schedule.and_then(|schedule| schedule.next_window(self.origin(&schedule), now));
    }

    /// The secret was rotated, or given a value by hand.
    fn count_from(&mut self, now: Timestamp) {
        self.counts_from = now;
        if self.is_enabled {
            self.plan(now);
        }
    }

    /// Refuses what `RotateSecret` would not have made.
    pub(crate) fn check(&self, tenant: &Tenant) -> Result<()> {
        if let Some(arn) = &self.function_arn {
            check_function_arn(arn, tenant)?;
        }
        let mut shape = Shape::new();
        check_shape(&mut shape, self.function_arn.as_ref(), self.rules.as_ref(), &self.external);
        shape.finish()?;
        if let Some(rules) = &self.rules {
            rules.schedule()?;
        }
        if self.days.is_some_and(|days| days < 1) {
            return Err(Error::invalid_parameter("the days between two rotations are none"));
        }
        if !self.window.iter().all(is_window) || (!self.may_be_planned() && self.is_planned()) {
            return Err(Error::invalid_parameter("the window of the next rotation is none"));
        }
        Ok(())
    }

    /// What contradicts the invariants of a rotation, if anything does. `has_version`: whether the secret has a version.
    pub(crate) fn inconsistency(&self, has_version: impl Fn(&VersionId) -> bool) -> Option<String> {
        if let Some(job) = &self.job {
            if !self.is_enabled {
                return Some("a rotation is in progress, and rotation is disabled".to_owned());
            }
            if !has_version(&job.token) {
                return Some(format!("the rotation in progress makes the version {}, which is not there", job.token));
            }
        }
        if !self.may_be_planned() && self.is_planned() {
            return Some("a rotation is planned, and rotation is disabled or has no schedule".to_owned());
        }
        if !self.window.iter().all(is_window) {
            return Some("the window of the next rotation does not end within a day after its start".to_owned());
        }
        None
    }

    fn is_planned(&self) -> bool {
        self.window.is_some() || self.next_date.is_some()
    }

    /// Whether there may be a next window. Rules that this version does not understand may well have a schedule.
    fn may_be_planned(&self) -> bool {
        let has_schedule =
            |rules: &RotationRules| rules.automatically_after_days.is_some() || rules.schedule_expression.is_some();
        self.is_enabled && self.rules.as_ref().is_some_and(has_schedule)
    }

    /// When there is next something to do.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        if !self.is_enabled {
            return None;
        }
        let job = self.job.as_ref().and_then(|job| job.due_at);
        job.or_else(|| self.window.map(|window| window.start))
    }

    fn rules_shown(&self) -> Option<RotationRules> {
        let mut rules = self.rules.clone()?;
        rules.automatically_after_days = rules.automatically_after_days.or(self.days);
        Some(rules)
    }
}

/// What responses show of a rotation.
#[derive(Debug, Default)]
pub(crate) struct RotationShown {
    pub(crate) is_enabled: Option<bool>,
    pub(crate) function_arn: Option<String>,
    pub(crate) rules: Option<RotationRules>,
    pub(crate) metadata: Option<Vec<ExternalSecretRotationMetadataItem>>,
    pub(crate) role_arn: Option<String>,
    pub(crate) last_rotated_at: Option<Timestamp>,
    pub(crate) next_date: Option<Timestamp>,
}

/// What `RotateSecret` was asked to change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    pub(crate) function_arn: Option<String>,
    pub(crate) rules: Option<RotationRules>,
    pub(crate) external: External,
}

impl Secret {
    /// Who rotates it, apart from a function: its owning service, or its partner.
    pub(crate) fn rotated_by(&self) -> Option<&str> {
        self.owning_service.as_deref().or(self.external_type.as_deref())
    }

    /// The rotation as responses show it: nothing before it was configured, no dates while it is disabled.
    pub(crate) fn rotation_shown(&self) -> RotationShown {
        let Some(rotation) = &self.rotation else { return RotationShown::default() };
        RotationShown {
            is_enabled: Some(rotation.is_enabled),
            function_arn: rotation.function_arn.clone(),
            rules: rotation.rules_shown(),
            metadata: rotation.external.metadata.clone(),
            role_arn: rotation.external.role_arn.clone(),
            last_rotated_at: rotation.last_rotated_at.filter(|_| rotation.is_enabled),
            next_date: rotation.next_date,
        }
    }

    /// The job that is under way, or waits for its next window.
    pub(crate) fn job(&self) -> Option<&Job> {
        self.rotation.as_ref()?.job.as_ref()
    }

    /// The version that stands in the way of a rotation: `AWSPENDING` is on it, and it is not the current one.
    pub(crate) fn pending(&self) -> Option<&VersionId> {
        self.stages.holder(PENDING).filter(|pending| self.stages.holder(CURRENT) != Some(pending))
    }

    /// Takes over what `RotateSecret` brings, and enables rotation. Whoever asks for it notes the change.
    ///
    /// # Errors
    ///
    /// The new duration does not go with the schedule.
    pub(crate) fn configure_rotation(&mut self, change: &Configuration, now: Timestamp) -> Result<()> {
        let mut rotation = self.rotation.take().map_or_else(|| Rotation::new(now), |rotation| *rotation);
        let was_enabled = std::mem::replace(&mut rotation.is_enabled, true);
        if change.function_arn.is_some() {
            rotation.function_arn.clone_from(&change.function_arn);
        }
        if change.external.metadata.is_some() {
            rotation.external.metadata.clone_from(&change.external.metadata);
        }
        if change.external.role_arn.is_some() {
            rotation.external.role_arn.clone_from(&change.external.role_arn);
        }
        let mut is_planned = was_enabled && rotation.window.is_some();
        if let Some(rules) = change.rules.as_ref().filter(|rules| !rules.is_empty()) {
            let has_schedule = rules.automatically_after_days.is_some() || rules.schedule_expression.is_some();
            match &mut rotation.rules {
                // A duration by itself is for the schedule that there is.
                Some(kept) if !has_schedule => kept.duration.clone_from(&rules.duration),
                kept => *kept = Some(rules.clone()),
            }
            if let Some(rules) = &rotation.rules {
                rules.schedule()?;
            }
            (rotation.configured_at, rotation.counts_from, is_planned) = (now, now, false);
        }
        if !is_planned {
            rotation.plan(now);
        }
        self.rotation = Some(Box::new(rotation));
        Ok(())
    }

    /// Begins a rotation: `AWSPENDING` goes to a placeholder, which waits for its value.
    pub(crate) fn begin_rotation(
        &mut self,
        token: &VersionId,
        kind: JobKind,
        rotation_token: String,
        versions_max: usize,
        now: Timestamp,
    ) -> Result<()> {
        if self.version(token).is_none() {
            self.versions_made += 1;
            let (id, number) = (token.clone(), self.versions_made);
            self.versions.push(Version { id, number, created_at: now, accessed_on: None, content: None });
        }
        self.stages.attach(PENDING, token);
        self.check_versions(token, versions_max, now)?;
        self.touch(now);
        self.set_job(Job {
            token: token.clone(),
            kind,
            rotation_token,
            attempts: 0,
            due_at: Some(now),
            until: None,
            failure: None,
        });
        Ok(())
    }

    fn set_job(&mut self, job: Job) {
        if let Some(rotation) = &mut self.rotation {
            rotation.job = Some(job);
        }
    }

    /// No rotation any more. Gives the version of the one that was in progress. Labels stay where they are.
    pub(crate) fn cancel_rotation(&mut self, now: Timestamp) -> Option<VersionId> {
        let pending = self.pending().cloned();
        let rotation = self.rotation.as_mut()?;
        let was_enabled = std::mem::replace(&mut rotation.is_enabled, false);
        rotation.job = None;
        rotation.window = None;
        rotation.next_date = None;
        if was_enabled {
            self.touch(now);
        }
        pending.filter(|_| was_enabled)
    }

    /// Does what follows for rotation when labels were moved by somebody, or versions went: `current_before` had
    /// `AWSCURRENT` before.
    pub(crate) fn follow_labels(&mut self, current_before: Option<&VersionId>, now: Timestamp) {
        let Some(mut rotation) = self.rotation.take() else { return };
        let current = self.stages.holder(CURRENT);
        let is_carried_on = |job: &Job| {
            let holds = |label| self.stages.holder(label) == Some(&job.token);
            // An attempt finds that the version became the current one; what waits for its next window has nothing left to do.
            let is_done = holds(CURRENT) && job.due_at.is_none();
            self.version(&job.token).is_some() && (holds(PENDING) || holds(CURRENT)) && !is_done
        };
        rotation.job.take_if(|job| !is_carried_on(job));
        let token = rotation.job.as_ref().map(|job| &job.token);
        if current != current_before && current != token {
            rotation.count_from(now);
        }
        self.rotation = Some(rotation);
    }

    /// Refuses a new version for a token that is taken.
    pub(crate) fn require_new_token(&self, token: &VersionId) -> Result<()> {
        match self.version(token) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "You can't use ClientRequestToken {token} because that value is already in use for a version of \
                     secret {}.",
                    self.arn
                ),
            )),
        }
    }
}

/// What the members of `RotateSecret` have to be like.
pub(crate) fn check_shape(
    shape: &mut Shape,
    function_arn: Option<&String>,
    rules: Option<&RotationRules>,
    external: &External,
) {
    shape.optional_text("rotationLambdaARN", function_arn, 0, lim::ROTATION_LAMBDA_ARN_CHARS_MAX);
    if let Some(RotationRules { automatically_after_days, duration, schedule_expression }) = rules {
        if let Some(days) = automatically_after_days {
            shape.number("rotationRules.automaticallyAfterDays", *days, 1, lim::ROTATION_DAYS_MAX);
        }
        if let Some(duration) = duration {
            let path = "rotationRules.duration";
            shape.text(path, duration, lim::DURATION_CHARS_MIN, lim::DURATION_CHARS_MAX);
            let hours = duration.strip_suffix('h').unwrap_or_default();
            if hours.is_empty() || !hours.bytes().all(|byte| byte.is_ascii_digit()) {
                shape.pattern(path, Some(duration), "[0-9]+h");
            }
        }
        if let Some(expression) = schedule_expression {
            let path = "rotationRules.scheduleExpression";
            shape.text(path, expression, 1, lim::SCHEDULE_EXPRESSION_CHARS_MAX);
            if expression.is_empty()
                || !expression.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"()#?*-/, ".contains(&byte))
            {
                shape.pattern(path, Some(expression), "[0-9A-Za-z\\(\\)#\\?\\*\\-\\/, ]+");
            }
        }
    }
    if let Some(items) = &external.metadata {
        shape.list("externalSecretRotationMetadata", items, 0, LISTED_MAX);
    }
    for (item, index) in external.metadata.iter().flatten().take(LISTED_MAX).zip(1..) {
        let path = |member: &str| format!("externalSecretRotationMetadata.{index}.member.{member}");
        shape.text(&path("key"), &item.key, 1, lim::METADATA_KEY_CHARS_MAX);
        shape.text(&path("value"), &item.value, 1, lim::METADATA_VALUE_CHARS_MAX);
    }
    let (least, most) = (lim::ROLE_ARN_CHARS_MIN, lim::ROLE_ARN_CHARS_MAX);
    shape.optional_text("externalSecretRotationRoleArn", external.role_arn.as_ref(), least, most);
}

/// Refuses an ARN that is not that of a Lambda function of the Region.
pub(crate) fn check_function_arn(arn: &str, tenant: &Tenant) -> Result<()> {
    let is_word = |text: &str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !text.is_empty() && text.len() <= lim::FUNCTION_NAME_CHARS_MAX && text.bytes().all(is_legal)
    };
    let parts: Vec<&str> = arn.splitn(9, ':').collect();
    let is_function = match parts.as_slice() {
        ["arn", partition, "lambda", region, account, "function", name, qualifier @ ..] => {
            let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            let is_qualified = match qualifier {
                [] => true,
                [qualifier] => *qualifier == "$LATEST" || is_word(qualifier),
                _ => false,
            };
            (*partition, *region) == (tenant.partition(), tenant.region())
                && is_account
                && is_word(name)
                && is_qualified
        }
        _ => false,
    };
    if is_function {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "Invalid rotation Lambda ARN. Ensure the ARN matches format \
         arn:aws:lambda:<region>:<account>:function:<functionName>.",
    ))
}

/// Whether it ends after its start, and not more than a day later.
fn is_window(window: &RotationWindow) -> bool {
    let length = window.end - window.start;
    length > TimeDelta::zero() && length <= DAY
}
