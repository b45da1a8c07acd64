//! The reference model: what a secret store does, in the most naive way. Everything is a list, and every question is
//! answered by walking through it.
//!
//! It shares no code with the engine. What is random (ARNs, generated version ids, passwords, page tokens) is learned
//! from the engine's response, after a check that it is possible.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::request::{Given, Request};
use crate::rotation::{Maintained, Rotation};
use crate::shape::id_syntax;

/// Why a call fails: error code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Every member of the response under the name that the API gives it; dates are milliseconds.
pub(crate) type Outcome = Result<Value, Failure>;

pub(crate) fn failure<T>(code: &str, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { code: code.into(), message: message.into() })
}

pub(crate) const DAY: i64 = 86_400_000;

/// An account and a Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Tenant {
    pub(crate) fn arn_start(&self) -> String {
        format!("arn:aws:secretsmanager:{}:{}:secret:", self.region, self.account)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    String(String),
    Binary(Vec<u8>),
    /// The version waits for it.
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// Rises with each version of a secret.
    pub(crate) number: i64,
    pub(crate) created: i64,
    pub(crate) accessed: Option<i64>,
    /// As they were given; `None` is the default key.
    pub(crate) keys: Vec<Option<String>>,
    pub(crate) value: Held,
    /// In order of attachment.
    pub(crate) stages: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) tenant: Tenant,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) created: i64,
    pub(crate) changed: i64,
    pub(crate) accessed: Option<i64>,
    pub(crate) deleted: Option<i64>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) policies: BTreeMap<String, String>,
    /// Versions made so far, gone ones too.
    pub(crate) made: i64,
    /// In the order in which they were made, which is the order of lists also if the clock went backwards.
    pub(crate) versions: Vec<Version>,
}

/// A page token that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) tenant: Tenant,
    pub(crate) token: String,
    /// Who asked for what, all in one text.
    pub(crate) query: String,
    /// The request, to go on with.
    pub(crate) request: Request,
    /// What the last entry of the page is sorted by.
    pub(crate) last: (String, String),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) require_token: bool,
    pub(crate) versions_max: usize,
    pub(crate) secrets_max: usize,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now: i64,
    /// In order of creation.
    pub(crate) secrets: Vec<Secret>,
    /// Every ARN that was ever given out.
    pub(crate) arns: Vec<String>,
    pub(crate) pages: Vec<Page>,
}

pub(crate) fn not_found<T>() -> Result<T, Failure> {
    failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

pub(crate) fn marked<T>() -> Result<T, Failure> {
    failure(
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

pub(crate) fn token_in_use<T>(token: &str, arn: &str) -> Result<T, Failure> {
    failure(
        "ResourceExistsException",
        format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
        ),
    )
}

fn is_suffix(text: &str) -> bool {
    text.len() == 6 && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The ARN or name without a hyphen and six letters or digits at its end, if it has them.
pub(crate) fn without_suffix(text: &str) -> Option<&str> {
    let (start, end) = text.rsplit_once('-')?;
    is_suffix(end).then_some(start)
}

impl World {
    pub(crate) fn new(settings: Settings, now: i64) -> Self {
        Self { settings, now, secrets: Vec::new(), arns: Vec::new(), pages: Vec::new() }
    }

    pub(crate) fn call(&mut self, tenant: &Tenant, request: &Request, learned: &Value) -> Outcome {
        match request.clone() {
            Request::CreateSecret { name, value, metadata, tags } => {
                self.create_secret(tenant, name, value, metadata, tags, learned)
            }
            Request::GetSecretValue { id, version, stage } => self.get_secret_value(tenant, &id, &version, &stage),
            Request::BatchGetSecretValue { ids, filters, max, next } => {
                self.batch_get_secret_value(tenant, request, ids, filters, max, &next, learned)
            }
            Request::PutSecretValue { id, token, value, stages, rotation_token } => {
                self.put_secret_value(tenant, &id, token, value, stages, &rotation_token, learned)
            }
            Request::UpdateSecret { id, value, metadata } => self.update_secret(tenant, &id, value, metadata, learned),
            Request::UpdateSecretVersionStage { id, stage, from, to } => {
                self.update_secret_version_stage(tenant, &id, &stage, from, to)
            }
            Request::DescribeSecret { id } => self.describe_secret(tenant, &id),
            Request::ListSecrets(listing) => self.list_secrets(tenant, request, listing, learned),
            Request::ListSecretVersionIds { id, max, next, deprecated } => {
                self.list_secret_version_ids(tenant, request, &id, max, &next, deprecated, learned)
            }
            Request::DeleteSecret { id, days, force } => self.delete_secret(tenant, &id, days, force, learned),
            Request::RestoreSecret { id } => self.restore_secret(tenant, &id),
            Request::TagResource { id, tags } => self.tag_resource(tenant, &id, tags),
            Request::UntagResource { id, keys } => self.untag_resource(tenant, &id, &keys),
            Request::GetRandomPassword(password) => crate::passwords::get_random_password(&password, learned),
            Request::RotateSecret { id, token, function, days, immediately } => {
                self.rotate_secret(tenant, &id, token, function, days, immediately, learned)
            }
            Request::CancelRotateSecret { id } => self.cancel_rotate_secret(tenant, &id),
            Request::PutResourcePolicy { id, policy, name, block } => {
                self.put_resource_policy(tenant, &id, &policy, &name, block)
            }
            Request::GetResourcePolicy { id, name } => self.get_resource_policy(tenant, &id, &name),
            Request::DeleteResourcePolicy { id, name } => self.delete_resource_policy(tenant, &id, &name),
            Request::ListResourcePolicies { id, max, next } => self.list_resource_policies(tenant, &id, max, &next),
            Request::ValidateResourcePolicy { id, policy } => self.validate_resource_policy(tenant, &id, &policy),
        }
    }

    /// Whether the recovery window of the secret is not over.
    pub(crate) fn is_there(&self, secret: &Secret) -> bool {
        secret.deleted.is_none_or(|deleted| self.now < deleted)
    }

    pub(crate) fn named(&self, tenant: &Tenant, name: &str) -> Option<usize> {
        self.secrets.iter().position(|secret| secret.tenant == *tenant && secret.name == name && self.is_there(secret))
    }

    /// The secret that is meant by a name, an ARN, or an ARN without its suffix.
    pub(crate) fn find(&self, tenant: &Tenant, id: &str) -> Option<usize> {
        if !id.starts_with("arn:") {
            return self.named(tenant, id);
        }
        let mine = |secret: &Secret| secret.tenant == *tenant && self.is_there(secret);
        if let Some(exact) = self.secrets.iter().position(|secret| mine(secret) && secret.arn == id) {
            return Some(exact);
        }
        if without_suffix(id).is_some() {
            return None;
        }
        self.secrets.iter().position(|secret| mine(secret) && without_suffix(&secret.arn) == Some(id))
    }

    /// The secret, whether it is scheduled for deletion or not.
    pub(crate) fn lookup(&self, tenant: &Tenant, id: &str) -> Result<usize, Failure> {
        self.find(tenant, id).map_or_else(not_found, Ok)
    }

    /// The secret, unless it is scheduled for deletion.
    pub(crate) fn lookup_active(&self, tenant: &Tenant, id: &str) -> Result<usize, Failure> {
        let index = self.lookup(tenant, id)?;
        if self.secrets[index].deleted.is_some() { marked() } else { Ok(index) }
    }

    pub(crate) fn check_id(&self, id: &str) -> Result<(), Failure> {
        id_syntax(id)
    }

    /// The token of a request that brings a value. Without one, that which the engine made up.
    pub(crate) fn token(&self, token: &Option<String>) -> Result<(), Failure> {
        if token.is_none() && self.settings.require_token {
            return failure(
                "InvalidRequestException",
                "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
            );
        }
        Ok(())
    }

    /// The id of a new version: the token, or a random UUID that the engine made up.
    pub(crate) fn version_id(&self, token: Option<String>, learned: &Value) -> String {
        if let Some(token) = token {
            return token;
        }
        let made_up = learned["VersionId"].as_str().unwrap_or_default();
        let is_known = self.secrets.iter().flat_map(|secret| &secret.versions).any(|version| version.id == made_up);
        if is_random_uuid(made_up) && !is_known { made_up.to_owned() } else { "<a new random UUID>".to_owned() }
    }

    /// The ARN of a new secret.
    pub(crate) fn new_arn(&mut self, tenant: &Tenant, name: &str, learned: &Value) -> String {
        let start = format!("{}{name}-", tenant.arn_start());
        let arn = learned["ARN"].as_str().unwrap_or_default();
        let is_possible = arn.strip_prefix(&start).is_some_and(is_suffix) && !self.arns.iter().any(|old| old == arn);
        let arn = if is_possible { arn.to_owned() } else { format!("<a new ARN {start}??????>") };
        self.arns.push(arn.clone());
        arn
    }

    /// Notes a change: the date of the last one always rises.
    pub(crate) fn touch(&mut self, index: usize) {
        let now = self.now;
        let secret = &mut self.secrets[index];
        secret.changed = now.max(secret.changed + 1);
    }

    /// Removes what is past its recovery window and what nobody can need any more, and rotates what is due. `learned` tells the
    /// current version of a secret afterwards.
    pub(crate) fn maintain(&mut self, learned: &dyn Fn(&Secret) -> String) -> Maintained {
        let before = self.secrets.len();
        let now = self.now;
        self.secrets.retain(|secret| secret.deleted.is_none_or(|deleted| now < deleted));
        let purged = before - self.secrets.len();
        let removed = self.secrets.iter_mut().map(|secret| secret.remove_old_versions(now)).sum();
        let mut done = Maintained { purged, removed, ..Maintained::default() };
        for index in 0..self.secrets.len() {
            self.rotate(index, learned, &mut done);
        }
        done
    }

    /// When there is next something to remove.
    pub(crate) fn due(&self) -> Option<i64> {
        let deletions = self.secrets.iter().filter_map(|secret| secret.deleted);
        let removals = self.secrets.iter().filter(|secret| secret.versions.len() > 100).filter_map(|secret| {
            let unlabelled = secret.versions.iter().filter(|version| version.stages.is_empty());
            unlabelled.map(|version| version.created + DAY).min()
        });
        let rotations = self.secrets.iter().filter_map(Secret::rotation_due);
        deletions.chain(removals).chain(rotations).min()
    }
}

pub(crate) fn is_random_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && text.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c))
        && parts[2].starts_with('4')
        && parts[3].starts_with(['8', '9', 'a', 'b'])
}

/// The one value of a request, if there is one.
pub(crate) fn one_value(given: Given) -> Result<Option<Held>, Failure> {
    match (given.string, given.binary) {
        (Some(_), Some(_)) => {
            failure("InvalidParameterException", "You must provide either SecretString or SecretBinary, but not both.")
        }
        (Some(string), None) => Ok(Some(Held::String(string))),
        (None, Some(binary)) => Ok(Some(Held::Binary(binary.0))),
        (None, None) => Ok(None),
    }
}

impl Secret {
    pub(crate) fn version(&self, id: &str) -> Option<usize> {
        self.versions.iter().position(|version| version.id == id)
    }

    pub(crate) fn holder(&self, label: &str) -> Option<usize> {
        self.versions.iter().position(|version| version.stages.iter().any(|stage| stage == label))
    }

    pub(crate) fn detach(&mut self, label: &str) {
        for version in &mut self.versions {
            version.stages.retain(|stage| stage != label);
        }
    }

    /// Moves a label to a version. The version that loses `AWSCURRENT` becomes `AWSPREVIOUS`.
    pub(crate) fn attach(&mut self, label: &str, target: usize) {
        let former = self.holder(label);
        if former == Some(target) {
            return;
        }
        self.detach(label);
        self.versions[target].stages.push(label.to_owned());
        if let Some(former) = former
            && label == "AWSCURRENT"
        {
            self.detach("AWSPREVIOUS");
            self.versions[former].stages.push("AWSPREVIOUS".to_owned());
        }
    }

    /// While there are more than 100: without a label, and not made within a day, oldest first.
    fn remove_old_versions(&mut self, now: i64) -> usize {
        let before = self.versions.len();
        while self.versions.len() > 100 {
            let is_old = |version: &Version| version.stages.is_empty() && version.created + DAY <= now;
            let Some(oldest) = self.versions.iter().position(is_old) else { break };
            self.versions.remove(oldest);
        }
        before - self.versions.len()
    }

    pub(crate) fn check_labels(&self) -> Result<(), Failure> {
        let labels: usize = self.versions.iter().map(|version| version.stages.len()).sum();
        if labels > 20 {
            return failure("LimitExceededException", crate::choices::LABELS);
        }
        Ok(())
    }

    /// A new version with a value. On failure the secret is in an undefined state.
    pub(crate) fn add_version(
        &mut self,
        now: i64,
        versions_max: usize,
        id: String,
        value: Held,
        mut labels: Vec<String>,
    ) -> Result<(), Failure> {
        let is_pending = labels.iter().any(|label| label == "AWSPENDING");
        let is_first = self.versions.iter().all(|version| version.value == Held::Nothing);
        if is_first && !labels.iter().any(|label| label == "AWSCURRENT") {
            labels.push("AWSCURRENT".to_owned());
        }
        let current = self.current();
        let at = self.version(&id).unwrap_or_else(|| self.push_version(now, id));
        self.versions[at].keys = vec![self.key.clone()];
        self.versions[at].value = value;
        for label in &labels {
            self.attach(label, at);
        }
        if labels.iter().any(|label| label == "AWSCURRENT") && !is_pending {
            self.detach("AWSPENDING");
        }
        self.check_versions(now, versions_max)?;
        self.labels_moved(now, current);
        Ok(())
    }

    /// Quotas, after what nobody needs is gone.
    pub(crate) fn check_versions(&mut self, now: i64, versions_max: usize) -> Result<(), Failure> {
        self.check_labels()?;
        self.versions.retain(|version| version.value != Held::Nothing || !version.stages.is_empty());
        self.remove_old_versions(now);
        if self.versions.len() > versions_max {
            return failure("LimitExceededException", crate::choices::versions(versions_max));
        }
        Ok(())
    }

    /// A new version without a value.
    pub(crate) fn push_version(&mut self, now: i64, id: String) -> usize {
        self.made += 1;
        self.versions.push(Version {
            id,
            number: self.made,
            created: now,
            accessed: None,
            keys: Vec::new(),
            value: Held::Nothing,
            stages: Vec::new(),
        });
        self.versions.len() - 1
    }
}
