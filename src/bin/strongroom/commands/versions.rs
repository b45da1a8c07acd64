//! `strongroom versions`.

use strongroom::{ListSecretVersionIdsRequest, SecretVersionsListEntry};

use crate::arguments::{Secret, Versions};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Versions) -> Result<(), Failure> {
    let Versions { secret: Secret { id, place, format }, include_deprecated } = arguments;
    let request = || ListSecretVersionIdsRequest::new(id.as_str()).include_deprecated(include_deprecated);
    let secrets = place::open(&place)?;
    let mut listed = secrets.list_secret_version_ids(request())?;
    while let Some(token) = listed.next_token.take() {
        let page = secrets.list_secret_version_ids(request().next_token(token))?;
        listed.versions.extend(page.versions);
        listed.next_token = page.next_token;
    }
    if format.json {
        return output::json(&listed);
    }
    output::table(&["VERSION", "CREATED", "READ", "LABELS", "KEYS"], listed.versions.iter().map(row))
}

fn row(version: &SecretVersionsListEntry) -> Vec<String> {
    vec![
        version.version_id.clone(),
        output::date(&version.created_date),
        version.last_accessed_date.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d").to_string()),
        version.version_stages.as_deref().unwrap_or_default().join(", "),
        version.kms_key_ids.join(", "),
    ]
}
