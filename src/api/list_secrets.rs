//! `ListSecrets`.

use crate::access::Access;
use crate::error::Result;
use crate::model::filter::{Filter, Filters, SortBy, SortOrder, check_shape};
use crate::model::id::SecretName;
use crate::model::limits as lim;
use crate::model::rotation::{ExternalSecretRotationMetadataItem, RotationRules, RotationShown};
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::tag::Tag;
use crate::records::Loaded;
use crate::records::catalogue::Listing;
use crate::records::token::Query;
use crate::store::SecretsManager;
use crate::time::Timestamp;
use std::collections::BTreeMap;

request! {
    /// Request of [`SecretsManager::list_secrets`].
    ListSecretsRequest {
        optional {
            /// Whether secrets that are scheduled for deletion are listed too. Absent: they are not.
            include_planned_deletion: bool,
            /// Entries of one page: 1 to 100. Absent: 100.
            max_results: i32,
            /// Where to go on: `next_token` of the page before, with the same filters and order.
            next_token: String,
            /// What to sort by. Absent: creation date.
            sort_by: SortBy,
            /// The direction. Absent: ascending.
            sort_order: SortOrder,
        }
        lists {
            /// At most 10; a secret must satisfy all of them.
            filters: Filter,
        }
    }
}

response! {
    /// Response of [`SecretsManager::list_secrets`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    ListSecretsResponse {
        /// The secrets of this page.
        secret_list: Vec<SecretListEntry>,
        /// Absent on the last page. A page can be short and still have a next one.
        next_token: Option<String>,
    }
}

response! {
    /// A secret in a list. See [`DescribeSecretResponse`](crate::DescribeSecretResponse) for the members.
    #[derive(Debug, Clone, PartialEq, Eq)]
    SecretListEntry {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The partner of a managed external secret (`Type` in the API).
        r#type: Option<String>,
        /// Absent if it was never set, or is empty.
        description: Option<String>,
        /// The key, as it was given. Absent for the default key.
        kms_key_id: Option<String>,
        /// Whether the secret rotates by its schedule. Absent if rotation was never configured.
        rotation_enabled: Option<bool>,
        /// The function that rotates it.
        rotation_lambda_arn as "RotationLambdaARN": Option<String>,
        /// When it is rotated. `automatically_after_days` is also told for schedule expressions.
        rotation_rules: Option<RotationRules>,
        /// What a partner has to know to rotate a managed external secret.
        external_secret_rotation_metadata: Option<Vec<ExternalSecretRotationMetadataItem>>,
        /// The role with which a partner rotates a managed external secret.
        external_secret_rotation_role_arn: Option<String>,
        /// When the last successful rotation ended. Absent while rotation is disabled.
        last_rotated_date: Option<Timestamp>,
        /// The latest moment of the window in which the next rotation is planned. A failed rotation leaves it as it is.
        /// Absent while rotation is disabled, and without a schedule.
        next_rotation_date: Option<Timestamp>,
        /// When the secret was last modified in any way.
        last_changed_date: Timestamp,
        /// Midnight, UTC, of the day of the last successful read of a value. Absent before the first.
        last_accessed_date: Option<Timestamp>,
        /// When the secret can no longer be restored. Absent unless it is scheduled for deletion.
        deleted_date: Option<Timestamp>,
        /// In order of attachment. Absent if the secret never had a list of tags, empty if it lost its last one.
        tags: Option<Vec<Tag>>,
        /// The labels of each version that has any. Absent if none has.
        secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
        /// The service that manages the secret.
        owning_service: Option<String>,
        /// When the secret was created.
        created_date: Timestamp,
        /// The primary Region of a secret that is or was replicated.
        primary_region: Option<String>,
    }
}

impl SecretsManager {
    /// Lists the secrets of this account and Region, page by page.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`ListSecretsRequest`] and [`Filter`], or are unknown.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): a filter has no key, or no values.
    /// 3. [`ErrorKind::InvalidNextToken`](crate::ErrorKind::InvalidNextToken): the token was not issued for this query.
    /// 4. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored records are damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let page = secrets.list_secrets(ListSecretsRequest::new().filters([Filter::new(FilterKey::Name, ["db/"])]))?;
    /// assert_eq!(page.secret_list.len(), 1);
    /// assert_eq!(page.next_token, None);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub fn list_secrets(&self, request: ListSecretsRequest) -> Result<ListSecretsResponse> {
        self.call(request, |request| self.answer_list_secrets(request))
    }

    fn answer_list_secrets(&self, request: ListSecretsRequest) -> Result<ListSecretsResponse> {
        let ListSecretsRequest { include_planned_deletion, max_results, next_token, sort_by, sort_order, filters } =
            request;
        let filters = filters.unwrap_or_default();
        let mut shape = Shape::new();
        shape.page(max_results, lim::PAGE_MAX, next_token.as_ref());
        check_shape(&filters, &mut shape);
        if let Some(sort_order) = &sort_order {
            shape.one_of("sortOrder", sort_order.as_str(), SortOrder::KNOWN);
        }
        if let Some(sort_by) = &sort_by {
            shape.one_of("sortBy", sort_by.as_str(), SortBy::KNOWN);
        }
        shape.finish()?;
        let parsed = Filters::parse(&filters)?;
        self.authorize_call(&Access::to("ListSecrets"))?;
        let sort_by = sort_by.unwrap_or(SortBy::CreatedDate);
        let listing = Listing {
            filters: &parsed,
            sort_by: &sort_by,
            is_descending: sort_order == Some(SortOrder::Desc),
            with_scheduled: include_planned_deletion == Some(true),
            now: self.now(),
        };
        let query = query("ListSecrets", &filters)
            .text(sort_by.as_str())
            .flag(listing.is_descending)
            .flag(listing.with_scheduled);
        let limit = max_results.unwrap_or(lim::PAGE_MAX);
        let Page { found, next_token } = self.page(&listing, &query, next_token.as_deref(), limit)?;
        let secret_list = found.iter().map(|loaded| entry(&loaded.secret)).collect();
        Ok(ListSecretsResponse { secret_list, next_token })
    }

    /// One page of a listing, and the token of the next one.
    pub(super) fn page(&self, listing: &Listing<'_>, query: &Query, token: Option<&str>, limit: i32) -> Result<Page> {
        let tenant = self.tenant();
        let cursor = token.map(|token| self.records().redeem_token(tenant, query, token)).transpose()?;
        let limit = usize::try_from(limit).unwrap_or_default();
        // One more than asked for, to know whether there is a next page.
        let entries = self.records().catalogue()?.page(tenant, listing, cursor.as_ref(), limit + 1);
        let is_last = entries.len() <= limit;
        let shown = entries.get(..limit).unwrap_or(&entries);
        let next_token = match shown.last() {
            Some(last) if !is_last => {
                Some(self.records().issue_token(tenant, query, &listing.cursor(last), listing.now)?)
            }
            _ => None,
        };
        let mut found = Vec::with_capacity(shown.len());
        for entry in shown {
            // A secret that was changed meanwhile may no longer belong here; a page may be short.
            let loaded = self.records().load(tenant, &SecretName::from_record(entry.name()))?;
            found.extend(loaded.filter(|loaded| listing.still_shows(&loaded.secret)));
        }
        Ok(Page { found, next_token })
    }
}

/// A page of secrets.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) found: Vec<Loaded>,
    pub(super) next_token: Option<String>,
}

/// What a page token is bound to, as far as all listings share it.
pub(super) fn query(operation: &str, filters: &[Filter]) -> Query {
    filters.iter().fold(Query::new(operation).count(filters.len()), |query, filter| {
        let query = query.text(filter.key.as_ref().map_or("", |key| key.as_str())).count(filter.values.len());
        filter.values.iter().fold(query, |query, value| query.text(value))
    })
}

fn entry(secret: &Secret) -> SecretListEntry {
    let RotationShown { is_enabled, function_arn, rules, metadata, role_arn, last_rotated_at, next_date } =
        secret.rotation_shown();
    SecretListEntry {
        secret_versions_to_stages: secret.stages_by_version(),
        kms_key_id: secret.kms_key_id.shown().map(str::to_owned),
        rotation_enabled: is_enabled,
        rotation_lambda_arn: function_arn,
        rotation_rules: rules,
        external_secret_rotation_metadata: metadata,
        external_secret_rotation_role_arn: role_arn,
        last_rotated_date: last_rotated_at,
        next_rotation_date: next_date,
        arn: secret.arn.clone(),
        name: secret.name.to_string(),
        r#type: secret.external_type.clone(),
        description: secret.description.clone(),
        last_changed_date: secret.last_changed_at,
        last_accessed_date: secret.accessed_on,
        deleted_date: secret.deletion_at,
        tags: secret.tags.clone(),
        owning_service: secret.owning_service.clone(),
        created_date: secret.created_at,
        primary_region: secret.primary_region.clone(),
    }
}
