//! The engine's side: translates a request, and writes every member of the response down as the reference model does.

use serde_json::{Map, Value, json};
use strongroom::{
    BatchGetSecretValueRequest, CancelRotateSecretRequest, CreateSecretRequest, DeleteResourcePolicyRequest,
    DeleteResourcePolicyResponse, DeleteSecretRequest, DescribeSecretRequest, Error, FilterKey,
    GetRandomPasswordRequest, GetResourcePolicyRequest, GetSecretValueRequest, ListResourcePoliciesRequest,
    ListSecretVersionIdsRequest, ListSecretsRequest, PutResourcePolicyRequest, PutResourcePolicyResponse,
    PutSecretValueRequest, RestoreSecretRequest, RotateSecretRequest, RotationCall, RotationError, RotationFunction,
    RotationRules, RotationStep, SecretBytes, SecretString, SecretsManager, SortBy, SortOrder, Tag, TagResourceRequest,
    Timestamp, UntagResourceRequest, UpdateSecretRequest, UpdateSecretVersionStageRequest,
    ValidateResourcePolicyRequest, ValidationErrorsEntry,
};

use crate::model::{Failure, Outcome};
use crate::request::{Bytes, Filter, Given, Metadata, Password, Request};

/// Makes a value for the version that has none, and makes it the current one. A function whose ARN ends with `nobody` cannot be
/// called.
#[derive(Debug)]
pub(crate) struct Renew;

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        if call.step != RotationStep::CreateSecret {
            return Ok(());
        }
        let (secrets, id, token) = (&call.secrets, &call.secret_id, &call.client_request_token);
        let put = PutSecretValueRequest::new(id, crate::rotation::VALUE).client_request_token(token);
        if let Err(error) = secrets.put_secret_value(put)
            && error.code() != "ResourceExistsException"
        {
            return Err(error.into());
        }
        let stages = secrets.describe_secret(DescribeSecretRequest::new(id))?.version_ids_to_stages.unwrap_or_default();
        let is_current = |labels: &Vec<String>| labels.iter().any(|label| label == "AWSCURRENT");
        let current = stages.into_iter().find(|(_, labels)| is_current(labels)).map(|(id, _)| id);
        if current.as_ref() != Some(token) {
            let mut update = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
            update.remove_from_version_id = current;
            secrets.update_secret_version_stage(update)?;
        }
        Ok(())
    }

    fn is_invocable(&self, function_arn: &str) -> bool {
        !function_arn.ends_with(":nobody")
    }
}

type Called = Result<Value, Error>;

pub(crate) fn call(secrets: &SecretsManager, request: &Request) -> Outcome {
    let called = match request.clone() {
        Request::CreateSecret { name, value, metadata, tags } => create(secrets, name, value, metadata, tags),
        Request::GetSecretValue { id, version, stage } => get(secrets, id, version, stage),
        Request::BatchGetSecretValue { ids, filters, max, next } => {
            let mut batch = BatchGetSecretValueRequest::new();
            (batch.secret_id_list, batch.filters) = (ids, filters.map(translated));
            (batch.max_results, batch.next_token) = (max, next);
            get_batch(secrets, batch)
        }
        Request::PutSecretValue { id, token, value, stages, rotation_token } => {
            let mut put = PutSecretValueRequest::new(id, "");
            (put.secret_string, put.secret_binary) = both(value);
            (put.client_request_token, put.version_stages) = (token, stages);
            put.rotation_token = rotation_token.map(Into::into);
            secrets.put_secret_value(put).map(|done| {
                json!({
                    "ARN": done.arn, "Name": done.name, "VersionId": done.version_id, "VersionStages": done.version_stages,
                })
            })
        }
        Request::UpdateSecret { id, value, metadata } => update(secrets, id, value, metadata),
        Request::UpdateSecretVersionStage { id, stage, from, to } => {
            let mut update = UpdateSecretVersionStageRequest::new(id, stage);
            (update.remove_from_version_id, update.move_to_version_id) = (from, to);
            secrets.update_secret_version_stage(update).map(|done| json!({ "ARN": done.arn, "Name": done.name }))
        }
        Request::DescribeSecret { id } => describe(secrets, id),
        Request::ListSecrets(listing) => {
            let mut list = ListSecretsRequest::new();
            (list.include_planned_deletion, list.filters) = (listing.planned, listing.filters.map(translated));
            (list.sort_by, list.sort_order) = (listing.sort_by.map(SortBy::from), listing.order.map(SortOrder::from));
            (list.max_results, list.next_token) = (listing.max, listing.next);
            list_secrets(secrets, list)
        }
        Request::ListSecretVersionIds { id, max, next, deprecated } => {
            let mut list = ListSecretVersionIdsRequest::new(id);
            (list.max_results, list.next_token, list.include_deprecated) = (max, next, deprecated);
            list_versions(secrets, list)
        }
        Request::DeleteSecret { id, days, force } => {
            let mut delete = DeleteSecretRequest::new(id);
            (delete.recovery_window_in_days, delete.force_delete_without_recovery) = (days, force);
            secrets
                .delete_secret(delete)
                .map(|done| json!({ "ARN": done.arn, "Name": done.name, "DeletionDate": millis(&done.deletion_date) }))
        }
        Request::RestoreSecret { id } => secrets
            .restore_secret(RestoreSecretRequest::new(id))
            .map(|done| json!({ "ARN": done.arn, "Name": done.name })),
        Request::TagResource { id, tags } => {
            secrets.tag_resource(TagResourceRequest::new(id, to_tags(tags))).map(|()| json!({}))
        }
        Request::UntagResource { id, keys } => {
            secrets.untag_resource(UntagResourceRequest::new(id, keys)).map(|()| json!({}))
        }
        Request::GetRandomPassword(password) => random_password(secrets, password),
        Request::RotateSecret { id, token, function, days, immediately } => {
            let mut rotate = RotateSecretRequest::new(id);
            (rotate.client_request_token, rotate.rotation_lambda_arn) = (token, function);
            rotate.rotation_rules = days.map(|days| RotationRules::new().automatically_after_days(days));
            rotate.rotate_immediately = immediately;
            secrets
                .rotate_secret(rotate)
                .map(|done| json!({ "ARN": done.arn, "Name": done.name, "VersionId": done.version_id }))
        }
        Request::PutResourcePolicy { id, policy, name, block } => {
            let mut put = PutResourcePolicyRequest::new(id, policy);
            (put.policy_name, put.block_public_policy) = (name, block);
            let named = |done: PutResourcePolicyResponse| json!({ "ARN": done.arn, "Name": done.name, "PolicyName": done.policy_name });
            secrets.put_resource_policy(put).map(named)
        }
        Request::GetResourcePolicy { id, name } => {
            let mut get = GetResourcePolicyRequest::new(id);
            get.policy_name = name;
            secrets.get_resource_policy(get).map(|done| {
                let mut out = json!({ "ARN": done.arn, "Name": done.name, "PolicyName": done.policy_name });
                with(&mut out, "ResourcePolicy", done.resource_policy);
                out
            })
        }
        Request::DeleteResourcePolicy { id, name } => {
            let mut delete = DeleteResourcePolicyRequest::new(id);
            delete.policy_name = name;
            let named = |done: DeleteResourcePolicyResponse| json!({ "ARN": done.arn, "Name": done.name, "PolicyName": done.policy_name });
            secrets.delete_resource_policy(delete).map(named)
        }
        Request::ListResourcePolicies { id, max, next } => {
            let mut list = ListResourcePoliciesRequest::new(id);
            (list.max_results, list.next_token) = (max, next);
            secrets.list_resource_policies(list).map(|done| {
                let names =
                    done.resource_policies.into_iter().map(|policy| json!({ "PolicyName": policy.policy_name }));
                let mut out = json!({ "ResourcePolicies": names.collect::<Vec<_>>() });
                with(&mut out, "NextToken", done.next_token);
                out
            })
        }
        Request::ValidateResourcePolicy { id, policy } => {
            let mut validate = ValidateResourcePolicyRequest::new(policy);
            validate.secret_id = id;
            secrets.validate_resource_policy(validate).map(|done| {
                let shown = |entry: ValidationErrorsEntry| json!({ "CheckName": entry.check_name, "ErrorMessage": entry.error_message });
                let errors: Vec<_> = done.validation_errors.into_iter().map(shown).collect();
                json!({ "PolicyValidationPassed": done.policy_validation_passed, "ValidationErrors": errors })
            })
        }
        Request::CancelRotateSecret { id } => {
            secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(id)).map(|done| {
                let mut out = json!({ "ARN": done.arn, "Name": done.name });
                with(&mut out, "VersionId", done.version_id);
                out
            })
        }
    };
    called.map_err(|error| Failure { code: error.code().to_owned(), message: error.message().to_owned() })
}

fn millis(at: &Timestamp) -> i64 {
    assert_eq!(at.timestamp_subsec_nanos() % 1_000_000, 0, "dates are whole milliseconds");
    at.timestamp_millis()
}

fn with<T: Into<Value>>(map: &mut Value, member: &str, value: Option<T>) {
    if let Some(value) = value {
        map[member] = value.into();
    }
}

fn both(value: Given) -> (Option<SecretString>, Option<SecretBytes>) {
    (value.string.map(Into::into), value.binary.map(|Bytes(bytes)| bytes.into()))
}

fn to_tags(tags: Vec<(String, String)>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect()
}

fn translated(filters: Vec<Filter>) -> Vec<strongroom::Filter> {
    filters
        .into_iter()
        .map(|filter| {
            let mut translated = strongroom::Filter::new(FilterKey::All, filter.values);
            translated.key = filter.key.map(FilterKey::from);
            translated
        })
        .collect()
}

fn create(
    secrets: &SecretsManager,
    name: String,
    value: Given,
    metadata: Metadata,
    tags: Option<Vec<(String, String)>>,
) -> Called {
    let mut create = CreateSecretRequest::new(name);
    (create.secret_string, create.secret_binary) = both(value);
    (create.client_request_token, create.description) = (metadata.token, metadata.description);
    (create.kms_key_id, create.r#type, create.tags) = (metadata.key, metadata.kind, tags.map(to_tags));
    let done = secrets.create_secret(create)?;
    let mut out = json!({ "ARN": done.arn, "Name": done.name });
    with(&mut out, "VersionId", done.version_id);
    Ok(out)
}

fn update(secrets: &SecretsManager, id: String, value: Given, metadata: Metadata) -> Called {
    let mut update = UpdateSecretRequest::new(id);
    (update.secret_string, update.secret_binary) = both(value);
    (update.client_request_token, update.description) = (metadata.token, metadata.description);
    (update.kms_key_id, update.r#type) = (metadata.key, metadata.kind);
    let done = secrets.update_secret(update)?;
    let mut out = json!({ "ARN": done.arn, "Name": done.name });
    with(&mut out, "VersionId", done.version_id);
    Ok(out)
}

/// What a read of a value tells, alone or in a batch.
fn value(
    (arn, name, version_id): (String, String, String),
    string: Option<SecretString>,
    binary: Option<SecretBytes>,
    stages: Option<Vec<String>>,
    created: &Timestamp,
) -> Value {
    let mut out = json!({ "ARN": arn, "Name": name, "VersionId": version_id, "CreatedDate": millis(created) });
    with(&mut out, "SecretString", string.map(|string| string.expose().to_owned()));
    with(&mut out, "SecretBinary", binary.map(|binary| binary.expose().to_vec()));
    with(&mut out, "VersionStages", stages);
    out
}

fn get(secrets: &SecretsManager, id: String, version: Option<String>, stage: Option<String>) -> Called {
    let mut get = GetSecretValueRequest::new(id);
    (get.version_id, get.version_stage) = (version, stage);
    let done = secrets.get_secret_value(get)?;
    let ids = (done.arn, done.name, done.version_id);
    Ok(value(ids, done.secret_string, done.secret_binary, done.version_stages, &done.created_date))
}

fn get_batch(secrets: &SecretsManager, batch: BatchGetSecretValueRequest) -> Called {
    let done = secrets.batch_get_secret_value(batch)?;
    let values = done.secret_values.into_iter().map(|entry| {
        let ids = (entry.arn, entry.name, entry.version_id);
        value(ids, entry.secret_string, entry.secret_binary, Some(entry.version_stages), &entry.created_date)
    });
    let errors = done.errors.into_iter().map(|entry| {
        json!({ "SecretId": entry.secret_id, "ErrorCode": entry.error.code(), "Message": entry.error.message() })
    });
    let (values, errors) = (values.collect::<Vec<_>>(), errors.collect::<Vec<_>>());
    let mut out = json!({ "SecretValues": values, "Errors": errors });
    with(&mut out, "NextToken", done.next_token);
    Ok(out)
}

fn shown_tags(tags: Option<Vec<Tag>>) -> Option<Vec<Value>> {
    let shown = |tag: Tag| json!({ "Key": tag.key, "Value": tag.value });
    tags.map(|tags| tags.into_iter().map(shown).collect())
}

fn shown_stages(stages: Option<std::collections::BTreeMap<String, Vec<String>>>) -> Option<Map<String, Value>> {
    stages.map(|stages| stages.into_iter().map(|(version, labels)| (version, json!(labels))).collect())
}

fn shown_rules(rules: RotationRules) -> Value {
    assert_eq!((rules.duration, rules.schedule_expression), (None, None), "nobody gave them");
    json!({ "AutomaticallyAfterDays": rules.automatically_after_days })
}

fn describe(secrets: &SecretsManager, id: String) -> Called {
    let done = secrets.describe_secret(DescribeSecretRequest::new(id))?;
    let mut out = json!({
        "ARN": done.arn,
        "Name": done.name,
        "CreatedDate": millis(&done.created_date),
        "LastChangedDate": millis(&done.last_changed_date),
    });
    with(&mut out, "Description", done.description);
    with(&mut out, "KmsKeyId", done.kms_key_id);
    with(&mut out, "Type", done.r#type);
    with(&mut out, "LastAccessedDate", done.last_accessed_date.as_ref().map(millis));
    with(&mut out, "DeletedDate", done.deleted_date.as_ref().map(millis));
    with(&mut out, "Tags", shown_tags(done.tags));
    with(&mut out, "VersionIdsToStages", shown_stages(done.version_ids_to_stages));
    with(&mut out, "RotationEnabled", done.rotation_enabled);
    with(&mut out, "RotationLambdaARN", done.rotation_lambda_arn);
    with(&mut out, "RotationRules", done.rotation_rules.map(shown_rules));
    with(&mut out, "LastRotatedDate", done.last_rotated_date.as_ref().map(millis));
    with(&mut out, "NextRotationDate", done.next_rotation_date.as_ref().map(millis));
    with(&mut out, "OwningService", done.owning_service);
    with(&mut out, "PrimaryRegion", done.primary_region);
    Ok(out)
}

fn list_secrets(secrets: &SecretsManager, list: ListSecretsRequest) -> Called {
    let done = secrets.list_secrets(list)?;
    let mut entries = Vec::new();
    for entry in done.secret_list {
        let mut out = json!({
            "ARN": entry.arn,
            "Name": entry.name,
            "CreatedDate": millis(&entry.created_date),
            "LastChangedDate": millis(&entry.last_changed_date),
        });
        with(&mut out, "Description", entry.description);
        with(&mut out, "KmsKeyId", entry.kms_key_id);
        with(&mut out, "Type", entry.r#type);
        with(&mut out, "LastAccessedDate", entry.last_accessed_date.as_ref().map(millis));
        with(&mut out, "DeletedDate", entry.deleted_date.as_ref().map(millis));
        with(&mut out, "Tags", shown_tags(entry.tags));
        with(&mut out, "SecretVersionsToStages", shown_stages(entry.secret_versions_to_stages));
        with(&mut out, "RotationEnabled", entry.rotation_enabled);
        with(&mut out, "RotationLambdaARN", entry.rotation_lambda_arn);
        with(&mut out, "RotationRules", entry.rotation_rules.map(shown_rules));
        with(&mut out, "LastRotatedDate", entry.last_rotated_date.as_ref().map(millis));
        with(&mut out, "NextRotationDate", entry.next_rotation_date.as_ref().map(millis));
        with(&mut out, "OwningService", entry.owning_service);
        with(&mut out, "PrimaryRegion", entry.primary_region);
        entries.push(out);
    }
    let mut out = json!({ "SecretList": entries });
    with(&mut out, "NextToken", done.next_token);
    Ok(out)
}

fn list_versions(secrets: &SecretsManager, list: ListSecretVersionIdsRequest) -> Called {
    let done = secrets.list_secret_version_ids(list)?;
    let mut versions = Vec::new();
    for entry in done.versions {
        let mut out = json!({
            "VersionId": entry.version_id,
            "CreatedDate": millis(&entry.created_date),
            "KmsKeyIds": entry.kms_key_ids,
        });
        with(&mut out, "VersionStages", entry.version_stages);
        with(&mut out, "LastAccessedDate", entry.last_accessed_date.as_ref().map(millis));
        versions.push(out);
    }
    let mut out = json!({ "ARN": done.arn, "Name": done.name, "Versions": versions });
    with(&mut out, "NextToken", done.next_token);
    Ok(out)
}

fn random_password(secrets: &SecretsManager, password: Password) -> Called {
    let mut random = GetRandomPasswordRequest::new();
    (random.password_length, random.exclude_characters) = (password.length, password.exclude);
    (random.exclude_numbers, random.exclude_punctuation) = (password.no_numbers, password.no_punctuation);
    (random.exclude_uppercase, random.exclude_lowercase) = (password.no_uppercase, password.no_lowercase);
    (random.include_space, random.require_each_included_type) = (password.space, password.each);
    let done = secrets.get_random_password(random)?;
    Ok(json!({ "RandomPassword": done.random_password.expose() }))
}
