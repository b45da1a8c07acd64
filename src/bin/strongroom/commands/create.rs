//! `strongroom create`.

use strongroom::{CreateSecretRequest, SecretValue, Tag};

use crate::arguments::Create;
use crate::commands::pair;
use crate::failure::Failure;
use crate::{output, place, values};

pub(crate) fn run(arguments: Create) -> Result<(), Failure> {
    let Create { name, place, value, no_value, description, kms_key_id, tags, token, format } = arguments;
    let mut request = CreateSecretRequest::new(name);
    request.description = description;
    request.kms_key_id = kms_key_id;
    request.client_request_token = token;
    if !tags.is_empty() {
        let parse = |text: &String| pair(text, "--tag").map(|(key, value)| Tag::new(key, value));
        request.tags = Some(tags.iter().map(parse).collect::<Result<_, _>>()?);
    }
    place::require_store(&place)?;
    // Before the store is opened: whoever makes the value may need the store, and typing takes time.
    if !no_value {
        match values::read(&value, &place.key)? {
            SecretValue::String(text) => request.secret_string = Some(text),
            SecretValue::Binary(bytes) => request.secret_binary = Some(bytes),
        }
    }
    let created = place::open(&place)?.create_secret(request)?;
    if format.json {
        return output::json(&created);
    }
    output::members([("ARN", vec![created.arn]), ("Version", created.version_id.into_iter().collect())])
}
