//! Rotation in the reference model. Schedules are days; whoever rotates gives the version the value `rotated`, unless it has
//! one, and makes it current. There is one attempt.

use serde_json::{Value, json};

use crate::choices;
use crate::model::{DAY, Failure, Held, Outcome, Secret, Tenant, World, failure, is_random_uuid};
use crate::shape::Shape;

pub(crate) const VALUE: &str = "rotated";

#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    pub(crate) is_enabled: bool,
    pub(crate) function: Option<String>,
    pub(crate) days: Option<i64>,
    pub(crate) rotated: Option<i64>,
    /// The day on which days are counted from: that of the last rotation, value put by hand, or configuration.
    base: i64,
    /// The midnight at which the next window begins.
    window: Option<i64>,
    pub(crate) next: Option<i64>,
    job: Option<Job>,
}

#[derive(Clone, Debug)]
struct Job {
    token: String,
    is_test: bool,
    is_scheduled: bool,
    /// `None`: it was tried in vain, and waits.
    due: Option<i64>,
}

/// What a maintenance did.
#[derive(Debug, Default)]
pub(crate) struct Maintained {
    pub(crate) purged: usize,
    pub(crate) removed: usize,
    pub(crate) rotated: usize,
    pub(crate) tested: usize,
    pub(crate) failed: usize,
}

impl Rotation {
    fn window_after(&self, now: i64) -> Option<i64> {
        let days = self.days.filter(|_| self.is_enabled)?;
        let first = self.base.div_euclid(DAY) * DAY;
        let mut start = first + days * DAY;
        if start <= now {
            // The first of the series that is later than now.
            start += (now - start).div_euclid(days * DAY) * days * DAY;
            while start <= now {
                start += days * DAY;
            }
        }
        Some(start)
    }

    fn plan(&mut self, now: i64) {
        self.window = self.window_after(now);
        self.next = self.window.map(|start| start + DAY - 1_000);
    }

    fn count_from(&mut self, now: i64) {
        self.base = now;
        if self.is_enabled {
            self.plan(now);
        }
    }
}

fn no_function<T>() -> Result<T, Failure> {
    failure("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
}

fn check_function(tenant: &Tenant, arn: &str) -> Result<(), Failure> {
    let rest = arn.strip_prefix(&format!("arn:aws:lambda:{}:", tenant.region));
    let is_function = rest.and_then(|rest| rest.split_once(":function:")).is_some_and(|(account, name)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        account.len() == 12
            && account.chars().all(|c| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(is_name)
    });
    if is_function {
        return Ok(());
    }
    failure(
        "InvalidParameterException",
        "Invalid rotation Lambda ARN. Ensure the ARN matches format \
         arn:aws:lambda:<region>:<account>:function:<functionName>.",
    )
}

impl Secret {
    pub(crate) fn current(&self) -> Option<String> {
        self.holder("AWSCURRENT").map(|at| self.versions[at].id.clone())
    }

    /// The version that is pending and not the current one.
    fn pending(&self) -> Option<String> {
        let at = self.holder("AWSPENDING")?;
        (self.holder("AWSCURRENT") != Some(at)).then(|| self.versions[at].id.clone())
    }

    pub(crate) fn rotation_due(&self) -> Option<i64> {
        let rotation = self.rotation.as_ref().filter(|_| self.deleted.is_none())?;
        rotation.job.as_ref().and_then(|job| job.due).or(rotation.window)
    }

    /// Labels were moved, or a value was put; `before` was current.
    pub(crate) fn labels_moved(&mut self, now: i64, before: Option<String>) {
        let (current, pending) = (self.current(), self.holder("AWSPENDING").map(|at| self.versions[at].id.clone()));
        let Some(rotation) = &mut self.rotation else { return };
        let token = rotation.job.as_ref().map(|job| job.token.clone());
        if current != before && (token.is_none() || current != token) {
            rotation.count_from(now);
        }
        // A rotation whose version is neither pending nor current was given up by somebody.
        if token.is_some() && token != current && token != pending {
            rotation.job = None;
        }
    }

    /// A version without a value becomes the pending one.
    fn begin(&mut self, now: i64, versions_max: usize, job: Job) -> Result<(), Failure> {
        let token = job.token.clone();
        let at = self.version(&token).unwrap_or_else(|| self.push_version(now, token));
        self.attach("AWSPENDING", at);
        self.check_versions(now, versions_max)?;
        if let Some(rotation) = &mut self.rotation {
            rotation.job = Some(job);
        }
        Ok(())
    }

    /// The version of a test goes, unless somebody has made it something else. Whether anything changed.
    fn end_test(&mut self, token: &str) -> bool {
        if let Some(rotation) = &mut self.rotation {
            rotation.job = None;
        }
        if self.pending().as_deref() != Some(token) {
            return false;
        }
        self.detach("AWSPENDING");
        self.versions.retain(|version| version.id != token || !version.stages.is_empty());
        true
    }
}

impl World {
    #[expect(clippy::too_many_arguments, reason = "the members of the request")]
    pub(crate) fn rotate_secret(
        &mut self,
        tenant: &Tenant,
        id: &str,
        token: Option<String>,
        function: Option<String>,
        days: Option<i64>,
        immediately: Option<bool>,
        learned: &Value,
    ) -> Outcome {
        Shape::default()
            .secret_id(id)
            .version_id("clientRequestToken", &token)
            .opt_text("rotationLambdaARN", &function, 0, 2048)
            .number("rotationRules.automaticallyAfterDays", days, 1, 1_000)
            .check()?;
        self.check_id(id)?;
        let function = function.filter(|arn| !arn.is_empty());
        if let Some(arn) = &function {
            check_function(tenant, arn)?;
        }
        if let Err(Failure { message, .. }) = self.token(&token) {
            return failure("InvalidParameterException", message);
        }
        let index = self.lookup_active(tenant, id)?;
        let token = self.version_id(token, learned);
        let now = self.now;
        let mut secret = self.secrets[index].clone();
        let response = json!({ "ARN": secret.arn, "Name": secret.name, "VersionId": token });
        let is_partners = secret.kind.is_some();
        if is_partners && function.is_some() {
            return failure(
                "InvalidRequestException",
                "Rotation Lambda ARN is not supported for a service-managed secret.",
            );
        }
        let kept = secret.rotation.as_ref().and_then(|rotation| rotation.function.clone());
        let called = function.clone().or(kept);
        if !is_partners && called.is_none() {
            return no_function();
        }
        if let Some(job) = secret.rotation.as_mut().and_then(|rotation| rotation.job.as_mut())
            && job.token == token
        {
            if job.due.is_none() {
                (job.due, job.is_scheduled) = (Some(now), false);
                self.secrets[index] = secret;
            }
            return Ok(response);
        }
        if secret.pending().is_some() {
            return failure(
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            );
        }
        if secret.version(&token).is_some() {
            return failure("InvalidRequestException", choices::token_of_version(&token, &secret.arn));
        }
        let fresh = || Rotation {
            is_enabled: false,
            function: None,
            days: None,
            rotated: None,
            base: now,
            window: None,
            next: None,
            job: None,
        };
        let rotation = secret.rotation.get_or_insert_with(fresh);
        let was_planned = rotation.is_enabled && rotation.window.is_some();
        rotation.is_enabled = true;
        rotation.function = function.or(rotation.function.take());
        if days.is_some() {
            (rotation.days, rotation.base) = (days, now);
        }
        if days.is_some() || !was_planned {
            rotation.plan(now);
        }
        let is_immediate = immediately != Some(false);
        if is_immediate || !is_partners {
            if !is_partners && called.is_some_and(|arn| arn.ends_with(":nobody")) {
                return failure(
                    "AccessDeniedException",
                    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants \
                     access to the principal secretsmanager.amazonaws.com.",
                );
            }
            let job = Job { token, is_test: !is_immediate, is_scheduled: false, due: Some(now) };
            secret.begin(now, self.settings.versions_max, job)?;
        }
        self.secrets[index] = secret;
        self.touch(index);
        Ok(response)
    }

    pub(crate) fn cancel_rotate_secret(&mut self, tenant: &Tenant, id: &str) -> Outcome {
        Shape::default().secret_id(id).check()?;
        self.check_id(id)?;
        let index = self.lookup_active(tenant, id)?;
        let secret = &mut self.secrets[index];
        let mut response = json!({ "ARN": secret.arn, "Name": secret.name });
        let pending = secret.pending();
        let Some(rotation) = &mut secret.rotation else { return no_function() };
        if rotation.is_enabled {
            (rotation.is_enabled, rotation.job, rotation.window, rotation.next) = (false, None, None, None);
            if let Some(pending) = pending {
                response["VersionId"] = json!(pending);
            }
            self.touch(index);
        }
        Ok(response)
    }

    /// Whatever is due of a secret's rotation: first what was asked for, then what the schedule says.
    pub(crate) fn rotate(&mut self, index: usize, learned: &dyn Fn(&Secret) -> String, done: &mut Maintained) {
        while self.secrets[index].rotation_due().is_some_and(|due| due <= self.now) {
            self.rotate_once(index, learned, done);
        }
    }

    fn rotate_once(&mut self, index: usize, learned: &dyn Fn(&Secret) -> String, done: &mut Maintained) {
        let now = self.now;
        let mut secret = self.secrets[index].clone();
        let Some(rotation) = &mut secret.rotation else { return };
        match &mut rotation.job {
            Some(job) if job.due.is_some() => {}
            Some(job) => (job.due, job.is_scheduled) = (Some(now), true),
            None => {
                let new = learned(&secret);
                let is_known = secret.version(&new).is_some();
                let new = if is_random_uuid(&new) && !is_known { new } else { "<a new random UUID>".to_owned() };
                let token = secret.pending().unwrap_or(new);
                let job = Job { token, is_test: false, is_scheduled: true, due: Some(now) };
                if secret.begin(now, self.settings.versions_max, job).is_err() {
                    // This window is left out.
                    if let Some(rotation) = &mut self.secrets[index].rotation {
                        rotation.window = rotation.window_after(now);
                    }
                    return;
                }
                self.secrets[index] = secret.clone();
                self.touch(index);
            }
        }
        let changed = self.secrets[index].changed;
        secret.changed = changed;
        self.secrets[index] = secret;
        let job = self.secrets[index].rotation.as_ref().and_then(|rotation| rotation.job.clone());
        let Some(job) = job else { return };
        if job.is_test { self.test(index, &job.token, done) } else { self.attempt(index, &job, done) }
    }

    fn test(&mut self, index: usize, token: &str, done: &mut Maintained) {
        let secret = &mut self.secrets[index];
        let value = secret.holder("AWSCURRENT").map(|at| secret.versions[at].value.clone());
        match value.filter(|value| *value != Held::Nothing) {
            None => done.failed += 1,
            Some(value) => {
                done.tested += 1;
                let keys = vec![secret.key.clone()];
                if let Some(at) = secret.version(token)
                    && secret.versions[at].value == Held::Nothing
                {
                    (secret.versions[at].value, secret.versions[at].keys) = (value, keys);
                }
            }
        }
        if secret.end_test(token) {
            self.touch(index);
        }
    }

    fn attempt(&mut self, index: usize, job: &Job, done: &mut Maintained) {
        let now = self.now;
        let mut secret = self.secrets[index].clone();
        let at = secret.version(&job.token).expect("a rotation has its version");
        let made = if secret.versions[at].value == Held::Nothing {
            let labels = vec!["AWSCURRENT".to_owned()];
            let value = Held::String(VALUE.to_owned());
            Some(secret.add_version(now, self.settings.versions_max, job.token.clone(), value, labels))
        } else if secret.holder("AWSCURRENT") != Some(at) {
            let before = secret.current();
            secret.attach("AWSCURRENT", at);
            secret.labels_moved(now, before);
            Some(secret.check_labels())
        } else {
            None
        };
        if let Some(Ok(())) = made {
            self.secrets[index] = secret;
            self.touch(index);
        }
        let is_current = self.secrets[index].current().as_deref() == Some(&job.token);
        let Some(rotation) = &mut self.secrets[index].rotation else { return };
        if is_current {
            (rotation.job, rotation.rotated) = (None, Some(now));
            rotation.count_from(now);
            done.rotated += 1;
            return;
        }
        done.failed += 1;
        if job.is_scheduled {
            rotation.window = rotation.window_after(now);
        }
        if let Some(job) = &mut rotation.job {
            job.due = None;
        }
    }
}
