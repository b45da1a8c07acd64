//! Operations of the reference model that change something.

use serde_json::{Value, json};

use crate::choices;
use crate::model::{
    DAY, Failure, Held, Outcome, Secret, Tenant, World, failure, one_value, token_in_use, without_suffix,
};
use crate::request::{Given, Metadata, Tags};
use crate::shape::{Shape, name_syntax};

const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// The key as it is kept: nothing for the default key, however it was asked for.
fn kept_key(key: &Option<String>) -> Option<String> {
    key.clone().filter(|key| !key.is_empty() && key != DEFAULT_KEY)
}

fn kept_text(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn check_tags(tags: &Tags) -> Result<(), Failure> {
    if tags.len() > 50 {
        return failure("InvalidParameterException", choices::TAGS);
    }
    for (index, (key, _)) in tags.iter().enumerate() {
        if key.to_lowercase().starts_with("aws:") {
            return failure("InvalidParameterException", choices::reserved_tag(key));
        }
        if tags[..index].iter().any(|(other, _)| other == key) {
            return failure("InvalidParameterException", choices::duplicate_tag(key));
        }
    }
    Ok(())
}

impl World {
    pub(crate) fn create_secret(
        &mut self,
        tenant: &Tenant,
        name: String,
        value: Given,
        metadata: Metadata,
        tags: Option<Tags>,
        learned: &Value,
    ) -> Outcome {
        Shape::default()
            .text("name", &name, 1, 512)
            .version_id("clientRequestToken", &metadata.token)
            .opt_text("description", &metadata.description, 0, 2048)
            .opt_text("kmsKeyId", &metadata.key, 0, 2048)
            .value(&value)
            .tags(&tags.clone().unwrap_or_default())
            .opt_text("type", &metadata.kind, 0, 256)
            .check()?;
        name_syntax(&name)?;
        let value = one_value(value)?;
        check_tags(&tags.clone().unwrap_or_default())?;
        self.token(&metadata.token)?;
        if let Some(index) = self.named(tenant, &name) {
            let secret = &self.secrets[index];
            if secret.deleted.is_some() {
                return failure(
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                );
            }
            let token = metadata.token.unwrap_or_default();
            // A version that waits for its value is none yet.
            let version = secret.version(&token).filter(|at| secret.versions[*at].value != Held::Nothing);
            let Some(version) = version else {
                return failure(
                    "ResourceExistsException",
                    format!("The operation failed because the secret {name} already exists."),
                );
            };
            if Some(&secret.versions[version].value) != value.as_ref() {
                return token_in_use(&token, &secret.arn);
            }
            return Ok(json!({ "ARN": secret.arn, "Name": name, "VersionId": token }));
        }
        // Whatever had the name is past its recovery window, and neither it nor others like it take anybody's place.
        let others =
            |secret: &&Secret| secret.tenant == *tenant && secret.deleted.is_none_or(|deleted| self.now < deleted);
        if self.secrets.iter().filter(others).count() >= self.settings.secrets_max {
            return failure("LimitExceededException", choices::secrets(self.settings.secrets_max));
        }
        self.secrets.retain(|secret| secret.tenant != *tenant || secret.name != name);
        let mut secret = Secret {
            tenant: tenant.clone(),
            name: name.clone(),
            arn: self.new_arn(tenant, &name, learned),
            description: kept_text(&metadata.description),
            key: kept_key(&metadata.key),
            kind: kept_text(&metadata.kind),
            tags,
            created: self.now,
            changed: self.now,
            accessed: None,
            deleted: None,
            rotation: None,
            policies: std::collections::BTreeMap::new(),
            made: 0,
            versions: Vec::new(),
        };
        let mut response = json!({ "ARN": secret.arn, "Name": name });
        if let Some(value) = value {
            let id = self.version_id(metadata.token, learned);
            secret.add_version(self.now, usize::MAX, id.clone(), value, vec!["AWSCURRENT".into()])?;
            response["VersionId"] = json!(id);
        }
        self.secrets.push(secret);
        Ok(response)
    }

    /// Whether the token made a version with this value already. Another value under it is refused.
    fn is_replay(&self, index: usize, token: &Option<String>, value: &Held) -> Result<bool, Failure> {
        let secret = &self.secrets[index];
        let Some(token) = token else { return Ok(false) };
        match secret.version(token) {
            None => Ok(false),
            Some(version) if secret.versions[version].value == Held::Nothing => Ok(false),
            Some(version) if secret.versions[version].value == *value => Ok(true),
            Some(_) => token_in_use(token, &secret.arn),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of the request")]
    pub(crate) fn put_secret_value(
        &mut self,
        tenant: &Tenant,
        id: &str,
        token: Option<String>,
        value: Given,
        stages: Option<Vec<String>>,
        rotation_token: &Option<String>,
        learned: &Value,
    ) -> Outcome {
        Shape::default()
            .secret_id(id)
            .version_id("clientRequestToken", &token)
            .value(&value)
            .stages(&stages)
            .rotation_token(rotation_token)
            .check()?;
        self.check_id(id)?;
        let Some(value) = one_value(value)? else {
            return failure("InvalidRequestException", "You must provide either SecretString or SecretBinary.");
        };
        self.token(&token)?;
        let index = self.lookup_active(tenant, id)?;
        let is_replay = self.is_replay(index, &token, &value)?;
        let version = self.version_id(token, learned);
        if !is_replay {
            let mut changed = self.secrets[index].clone();
            // No rotation of these has a token that anybody could guess.
            let is_pending = stages.iter().flatten().any(|label| label == "AWSPENDING");
            let is_rotated = changed.rotation.is_some() && changed.version(&version).is_none();
            if rotation_token.is_some() && is_rotated && is_pending {
                return failure("InvalidRequestException", "The rotation that the RotationToken belongs to is over.");
            }
            let labels = stages.unwrap_or_else(|| vec!["AWSCURRENT".into()]);
            changed.add_version(self.now, self.settings.versions_max, version.clone(), value, labels)?;
            self.secrets[index] = changed;
            self.touch(index);
        }
        let secret = &self.secrets[index];
        let at = secret.version(&version).expect("it is there");
        Ok(json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": version,
            "VersionStages": secret.versions[at].stages,
        }))
    }

    pub(crate) fn update_secret(
        &mut self,
        tenant: &Tenant,
        id: &str,
        value: Given,
        metadata: Metadata,
        learned: &Value,
    ) -> Outcome {
        Shape::default()
            .secret_id(id)
            .version_id("clientRequestToken", &metadata.token)
            .opt_text("description", &metadata.description, 0, 2048)
            .opt_text("kmsKeyId", &metadata.key, 0, 2048)
            .value(&value)
            .opt_text("type", &metadata.kind, 0, 256)
            .check()?;
        self.check_id(id)?;
        let value = one_value(value)?;
        self.token(&metadata.token)?;
        let index = self.lookup_active(tenant, id)?;
        let is_replay = match &value {
            Some(value) => self.is_replay(index, &metadata.token, value)?,
            None => false,
        };
        let mut secret = self.secrets[index].clone();
        let mut response = json!({ "ARN": secret.arn, "Name": secret.name });
        let is_new_version = value.is_some() && !is_replay;
        let is_changed =
            is_new_version || metadata.description.is_some() || metadata.key.is_some() || metadata.kind.is_some();
        if metadata.description.is_some() {
            secret.description = kept_text(&metadata.description);
        }
        if metadata.kind.is_some() {
            secret.kind = kept_text(&metadata.kind);
        }
        if metadata.key.is_some() {
            secret.key = kept_key(&metadata.key);
        }
        if let Some(value) = value {
            let version = self.version_id(metadata.token.clone(), learned);
            if !is_replay {
                let labels = vec!["AWSCURRENT".into()];
                secret.add_version(self.now, self.settings.versions_max, version.clone(), value, labels)?;
            }
            response["VersionId"] = json!(version);
        }
        if metadata.key.is_some() {
            // Those that have these labels now, after the new version took its own.
            let automatic = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"];
            for version in &mut secret.versions {
                let is_labelled = version.stages.iter().any(|stage| automatic.contains(&stage.as_str()));
                if is_labelled && version.value != Held::Nothing && !version.keys.contains(&secret.key) {
                    version.keys.push(secret.key.clone());
                }
            }
        }
        self.secrets[index] = secret;
        // An update that says nothing, or nothing new, is not a change.
        if is_changed {
            self.touch(index);
        }
        Ok(response)
    }

    pub(crate) fn update_secret_version_stage(
        &mut self,
        tenant: &Tenant,
        id: &str,
        stage: &str,
        from: Option<String>,
        to: Option<String>,
    ) -> Outcome {
        Shape::default()
            .secret_id(id)
            .text("versionStage", stage, 1, 256)
            .version_id("removeFromVersionId", &from)
            .version_id("moveToVersionId", &to)
            .check()?;
        self.check_id(id)?;
        if from.is_none() && to.is_none() {
            return failure("InvalidParameterException", choices::NO_VERSION);
        }
        let index = self.lookup_active(tenant, id)?;
        let mut secret = self.secrets[index].clone();
        for version in [&from, &to].into_iter().flatten() {
            if secret.version(version).is_none() {
                return failure(
                    "ResourceNotFoundException",
                    format!("Secrets Manager can't find the specified secret value for VersionId: {version}"),
                );
            }
        }
        let holder = secret.holder(stage).map(|holder| secret.versions[holder].id.clone());
        let current = secret.current();
        if from.is_some() && from != holder {
            return failure("InvalidParameterException", choices::elsewhere(stage, holder.as_ref()));
        }
        match (&to, &holder) {
            (None, _) if stage == "AWSCURRENT" => {
                return failure(
                    "InvalidParameterException",
                    "You can only move staging label AWSCURRENT to a different secret version. It can't be completely \
                     removed.",
                );
            }
            (None, _) => secret.detach(stage),
            (Some(to), Some(holder)) if from.is_none() && to != holder => {
                return failure(
                    "InvalidParameterException",
                    format!(
                        "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached \
                         to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                    ),
                );
            }
            (Some(to), _) => {
                let target = secret.version(to).expect("it was checked");
                secret.attach(stage, target);
                secret.check_labels()?;
            }
        }
        let response = json!({ "ARN": secret.arn, "Name": secret.name });
        let is_changed = to.is_none() || to != holder;
        if is_changed {
            secret.labels_moved(self.now, current);
        }
        self.secrets[index] = secret;
        if is_changed {
            self.touch(index);
        }
        Ok(response)
    }

    pub(crate) fn delete_secret(
        &mut self,
        tenant: &Tenant,
        id: &str,
        days: Option<i64>,
        force: Option<bool>,
        learned: &Value,
    ) -> Outcome {
        Shape::default().secret_id(id).check()?;
        self.check_id(id)?;
        if days.is_some_and(|days| !(7..=30).contains(&days)) {
            return failure(
                "InvalidParameterException",
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            );
        }
        let is_forced = force == Some(true);
        if is_forced && days.is_some() {
            return failure(
                "InvalidParameterException",
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            );
        }
        if !is_forced {
            let index = self.lookup_active(tenant, id)?;
            let date = self.now + days.unwrap_or(30) * DAY;
            self.secrets[index].deleted = Some(date);
            self.touch(index);
            let secret = &self.secrets[index];
            return Ok(json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": date }));
        }
        if let Some(index) = self.find(tenant, id) {
            let secret = self.secrets.remove(index);
            return Ok(json!({ "ARN": secret.arn, "Name": secret.name, "DeletionDate": self.now }));
        }
        // An ARN without its suffix says no more than the name.
        let start = tenant.arn_start();
        let partial =
            id.strip_prefix(&start).filter(|name| without_suffix(name).is_none() && name_syntax(name).is_ok());
        let (arn, name) = if id.starts_with("arn:") && partial.is_none() {
            let name = id.splitn(7, ':').last().unwrap_or_default();
            (id.to_owned(), without_suffix(name).unwrap_or(name).to_owned())
        } else {
            let name = partial.unwrap_or(id);
            (self.new_arn(tenant, name, learned), name.to_owned())
        };
        Ok(json!({ "ARN": arn, "Name": name, "DeletionDate": self.now }))
    }

    pub(crate) fn restore_secret(&mut self, tenant: &Tenant, id: &str) -> Outcome {
        Shape::default().secret_id(id).check()?;
        self.check_id(id)?;
        let index = self.lookup(tenant, id)?;
        if self.secrets[index].deleted.is_some() {
            self.secrets[index].deleted = None;
            self.touch(index);
        }
        Ok(json!({ "ARN": self.secrets[index].arn, "Name": self.secrets[index].name }))
    }

    pub(crate) fn tag_resource(&mut self, tenant: &Tenant, id: &str, tags: Tags) -> Outcome {
        Shape::default().secret_id(id).tags(&tags).check()?;
        self.check_id(id)?;
        check_tags(&tags)?;
        let index = self.lookup_active(tenant, id)?;
        let mut all = self.secrets[index].tags.clone().unwrap_or_default();
        for (key, value) in tags {
            match all.iter_mut().find(|(other, _)| *other == key) {
                Some(tag) => tag.1 = value,
                None => all.push((key, value)),
            }
        }
        if all.len() > 50 {
            return failure("InvalidParameterException", choices::TAGS);
        }
        self.secrets[index].tags = Some(all);
        self.touch(index);
        Ok(json!({}))
    }

    pub(crate) fn untag_resource(&mut self, tenant: &Tenant, id: &str, keys: &[String]) -> Outcome {
        Shape::default().secret_id(id).texts("tagKeys", keys, usize::MAX, 1, 128).check()?;
        self.check_id(id)?;
        let index = self.lookup_active(tenant, id)?;
        if let Some(tags) = &mut self.secrets[index].tags {
            tags.retain(|(key, _)| !keys.contains(key));
        }
        self.touch(index);
        Ok(json!({}))
    }
}
