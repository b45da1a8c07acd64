//! `ListSecretVersionIds`.

use crate::access::Access;
use crate::error::Result;
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::version::{KeyRole, Version};
use crate::records::codec::Cursor;
use crate::records::token::Query;
use crate::store::SecretsManager;
use crate::time::Timestamp;

request! {
    /// Request of [`SecretsManager::list_secret_version_ids`].
    ListSecretVersionIdsRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// Entries of one page: 1 to 100. Absent: 100.
            max_results: i32,
            /// Where to go on: `next_token` of the page before, with the same secret and choice of versions.
            next_token: String,
            /// Whether versions without labels are listed too. Absent: they are not.
            include_deprecated: bool,
        }
    }
}

response! {
    /// Response of [`SecretsManager::list_secret_version_ids`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    ListSecretVersionIdsResponse {
        /// The versions of this page, oldest first.
        versions: Vec<SecretVersionsListEntry>,
        /// Absent on the last page.
        next_token: Option<String>,
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
    }
}

response! {
    /// A version in a list.
    #[derive(Debug, Clone, PartialEq, Eq)]
    SecretVersionsListEntry {
        /// The id of the version.
        version_id: String,
        /// Its labels. Absent if it has none.
        version_stages: Option<Vec<String>>,
        /// Midnight, UTC, of the day of the last successful read. Absent before the first.
        last_accessed_date: Option<Timestamp>,
        /// When the version was made.
        created_date: Timestamp,
        /// The keys that open it, as they were given; `DefaultEncryptionKey` for the default key.
        kms_key_ids: Vec<String>,
    }
}

impl SecretsManager {
    /// Lists the versions of a secret that have a value, page by page. Also works while the secret is scheduled for
    /// deletion.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`ListSecretVersionIdsRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidNextToken`](crate::ErrorKind::InvalidNextToken): the token was not issued for this query.
    /// 4. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored record is damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let listed = secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("db/main"))?;
    /// assert_eq!(listed.versions[0].kms_key_ids, ["DefaultEncryptionKey"]);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html>
    pub fn list_secret_version_ids(
        &self,
        request: ListSecretVersionIdsRequest,
    ) -> Result<ListSecretVersionIdsResponse> {
        self.call(request, |request| self.answer_list_secret_version_ids(request))
    }

    fn answer_list_secret_version_ids(
        &self,
        request: ListSecretVersionIdsRequest,
    ) -> Result<ListSecretVersionIdsResponse> {
        let ListSecretVersionIdsRequest { secret_id, max_results, next_token, include_deprecated } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.page(max_results, lim::PAGE_MAX, next_token.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let now = self.now();
        let secret = self.find(&id, now, &Access::to("ListSecretVersionIds"))?.secret;
        let with_deprecated = include_deprecated == Some(true);
        let query = Query::new("ListSecretVersionIds").text(&secret.uid.to_string()).flag(with_deprecated);
        let cursor = next_token.map(|token| self.records().redeem_token(self.tenant(), &query, &token)).transpose()?;

        let limit = usize::try_from(max_results.unwrap_or(lim::PAGE_MAX)).unwrap_or_default();
        let last_number = cursor.map_or(0, |cursor| cursor.at.unwrap_or_default());
        let is_after = |version: &&Version| i64::try_from(version.number).is_ok_and(|number| number > last_number);
        let mut listed = secret
            .versions
            .iter()
            .filter(is_after)
            .filter(|version| version.has_value() && (with_deprecated || secret.stages.is_labelled(&version.id)));
        let shown: Vec<&Version> = listed.by_ref().take(limit).collect();
        let next_token = match (shown.last(), listed.next()) {
            (Some(last), Some(_)) => {
                let cursor = Cursor { at: i64::try_from(last.number).ok(), name: last.id.to_string() };
                Some(self.records().issue_token(self.tenant(), &query, &cursor, now)?)
            }
            _ => None,
        };
        Ok(ListSecretVersionIdsResponse {
            versions: shown.into_iter().map(|version| entry(&secret, version)).collect(),
            next_token,
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
        })
    }
}

fn entry(secret: &Secret, version: &Version) -> SecretVersionsListEntry {
    let labels = secret.stages.of(&version.id);
    // Keys for recovery are the store's affair: the service knows none.
    let keys = version.content.iter().flat_map(|content| &content.keys).filter(|used| used.role == KeyRole::Secret);
    SecretVersionsListEntry {
        version_id: version.id.to_string(),
        version_stages: (!labels.is_empty()).then_some(labels),
        last_accessed_date: version.accessed_on,
        created_date: version.created_at,
        kms_key_ids: keys.map(|key| key.requested.shown_in_version().to_owned()).collect(),
    }
}
