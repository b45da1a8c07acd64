//! `strongroom describe`.

use strongroom::{DescribeSecretRequest, DescribeSecretResponse};

use crate::arguments::Secret;
use crate::commands::replicas;
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn run(arguments: Secret) -> Result<(), Failure> {
    let Secret { id, place, format } = arguments;
    let described = place::open(&place)?.describe_secret(DescribeSecretRequest::new(id))?;
    if format.json {
        return output::json(&described);
    }
    print(&described)
}

fn print(secret: &DescribeSecretResponse) -> Result<(), Failure> {
    let one = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
    let tags = secret.tags.iter().flatten().map(|tag| format!("{}={}", tag.key, tag.value));
    let versions = secret.version_ids_to_stages.iter().flatten();
    let versions = versions.map(|(id, labels)| format!("{id}  {}", labels.join(", ")));
    output::members([
        ("Name", one(Some(secret.name.clone()))),
        ("ARN", one(Some(secret.arn.clone()))),
        ("Description", one(secret.description.clone())),
        ("Type", one(secret.r#type.clone())),
        ("KMS key", vec![secret.kms_key_id.clone().unwrap_or_else(|| "default".to_owned())]),
        ("Created", vec![output::date(&secret.created_date)]),
        ("Last changed", vec![output::date(&secret.last_changed_date)]),
        ("Last read", one(secret.last_accessed_date.map(|at| at.format("%Y-%m-%d").to_string()))),
        ("Deletion on", one(secret.deleted_date.as_ref().map(output::date))),
        ("Tags", tags.collect()),
        ("Versions", versions.collect()),
        ("Primary Region", one(secret.primary_region.clone())),
        ("Replicas", secret.replication_status.iter().flatten().map(replicas::region_line).collect()),
        ("Replica of", secret.cross_account_primary.iter().map(replicas::primary_line).collect()),
        ("Elsewhere", secret.cross_account_replicas.iter().flatten().map(replicas::account_line).collect()),
    ])
}
