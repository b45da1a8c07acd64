//! `strongroom describe`.

use strongroom::{DescribeSecretRequest, DescribeSecretResponse};

use crate::arguments::Describe;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Describe) -> Result<(), Failure> {
    let Describe { id, place, format } = arguments;
    let described = place::open(&place)?.describe_secret(DescribeSecretRequest::new(id))?;
    if format.json {
        return output::json(&described);
    }
    print(&described)
}

fn print(secret: &DescribeSecretResponse) -> Result<(), Failure> {
    let tags = secret.tags.as_ref().map(|tags| {
        let shown: Vec<String> = tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
        shown.join("\n")
    });
    let labels = secret.version_ids_to_stages.as_ref().map(|versions| {
        let shown: Vec<String> = versions.iter().map(|(id, labels)| format!("{id}  {}", labels.join(", "))).collect();
        shown.join("\n")
    });
    output::members([
        ("Name", Some(secret.name.clone())),
        ("ARN", Some(secret.arn.clone())),
        ("Description", secret.description.clone()),
        ("Type", secret.r#type.clone()),
        ("KMS key", Some(secret.kms_key_id.clone().unwrap_or_else(|| "default".to_owned()))),
        ("Created", Some(output::date(&secret.created_date))),
        ("Last changed", Some(output::date(&secret.last_changed_date))),
        ("Last read", secret.last_accessed_date.map(|at| at.format("%Y-%m-%d").to_string())),
        ("Deleted on", secret.deleted_date.as_ref().map(output::date)),
        ("Tags", tags.filter(|tags| !tags.is_empty())),
        ("Versions", labels),
    ])
}
