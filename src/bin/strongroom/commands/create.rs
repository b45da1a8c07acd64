//! `strongroom create`.

use strongroom::{CreateSecretRequest, SecretValue, Tag};

use crate::arguments::Create;
use crate::arguments::replicas::NewReplicas;
use crate::commands::{pair, replicas};
use crate::failure::Failure;
use crate::{output, place, values};

pub(crate) fn run(arguments: Create) -> Result<(), Failure> {
    let Create { name, place, value, no_value, description, kms_key_id, tags, token, replicas: wanted, format } =
        arguments;
    let NewReplicas { replica_regions, overwrite_replicas, cross_account_primary, also } = wanted;
    let mut request = CreateSecretRequest::new(name);
    request.description = description;
    request.kms_key_id = kms_key_id;
    request.client_request_token = token;
    if !tags.is_empty() {
        let parse = |text: &String| pair(text, "--tag").map(|(key, value)| Tag::new(key, value));
        request.tags = Some(tags.iter().map(parse).collect::<Result<_, _>>()?);
    }
    if !replica_regions.is_empty() {
        request.add_replica_regions = Some(replica_regions);
    }
    request.force_overwrite_replica_secret = overwrite_replicas.then_some(true);
    let has_value = !no_value && cross_account_primary.is_none();
    request.cross_account_primary_arn = cross_account_primary;
    place::require_store(&place)?;
    // Before the store is opened: whoever makes the value may need the store, and typing takes time.
    if has_value {
        match values::read(&value, &place.key)? {
            SecretValue::String(text) => request.secret_string = Some(text),
            SecretValue::Binary(bytes) => request.secret_binary = Some(bytes),
        }
    }
    let secrets = replicas::open(&place, also)?;
    let created = secrets.create_secret(request)?;
    let statuses = created.replication_status.clone().unwrap_or_default();
    if format.json {
        output::json(&created)?;
    } else {
        output::members([
            ("ARN", vec![created.arn]),
            ("Version", created.version_id.into_iter().collect()),
            ("Replicas", statuses.iter().map(replicas::region_line).collect()),
        ])?;
    }
    replicas::warn(&statuses);
    Ok(())
}
