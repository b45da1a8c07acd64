//! `BatchGetSecretValue`.

use crate::access::Access;
use crate::api::get_secret_value::{Read, Selector};
use crate::api::list_secrets::{Page, query};
use crate::error::{Error, ErrorKind, Result};
use crate::model::filter::{Filter, Filters, SortBy, check_shape};
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::shape::Shape;
use crate::model::value::{SecretBytes, SecretString};
use crate::observe::parameters::{Budget, Parameter, ParameterValue};
use crate::records::catalogue::Listing;
use crate::store::SecretsManager;
use crate::time::Timestamp;

request! {
    /// Request of [`SecretsManager::batch_get_secret_value`]. Exactly one of ids and filters is needed.
    BatchGetSecretValueRequest {
        optional {
            /// Entries of one page: 1 to 20, only with filters. Absent: 20.
            max_results: i32,
            /// Where to go on: `next_token` of the page before, with the same filters.
            next_token: String,
        }
        lists {
            /// 1 to 20 names, ARNs, or ARNs without their random ends.
            secret_id_list: String,
            /// At most 10; a secret must satisfy all of them.
            filters: Filter,
        }
    }
}

response! {
    /// Response of [`SecretsManager::batch_get_secret_value`].
    #[derive(Debug)]
    BatchGetSecretValueResponse {
        /// What could be read, in the order of the ids, or of the listing.
        secret_values: Vec<SecretValueEntry>,
        /// What could not be read.
        errors: Vec<BatchGetSecretValueError>,
        /// Absent on the last page.
        next_token: Option<String>,
    }
}

response! {
    /// A value that was read: that of the version labelled `AWSCURRENT`. Exactly one of the two forms is there.
    #[derive(Debug)]
    SecretValueEntry {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the version.
        version_id: String,
        /// The value, if it was stored as text.
        secret_string: Option<SecretString>,
        /// The value, if it was stored as bytes.
        secret_binary: Option<SecretBytes>,
        /// The labels of the version.
        version_stages: Vec<String>,
        /// When the version was made.
        created_date: Timestamp,
    }
}

/// A secret of the batch that could not be read (`APIErrorType` in the API).
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchGetSecretValueError {
    /// The id as the request gave it; for a filter, the ARN.
    pub secret_id: String,
    /// What [`get_secret_value`](SecretsManager::get_secret_value) would have failed with.
    pub error: Error,
}

/// A batch only reads, and of what was read nothing is told.
impl Parameter for BatchGetSecretValueError {
    fn value(&self, _: &mut Budget) -> Option<ParameterValue> {
        None
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for BatchGetSecretValueError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let Self { secret_id, error } = self;
        let mut members = serializer.serialize_struct("APIErrorType", 3)?;
        members.serialize_field("SecretId", secret_id)?;
        members.serialize_field("ErrorCode", error.code())?;
        members.serialize_field("Message", error.message())?;
        members.end()
    }
}

impl SecretsManager {
    /// Reads the current values of several secrets, given by their ids or by filters.
    ///
    /// A secret that cannot be read is listed among the errors, and the others are read all the same.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`]: members break the limits given at [`BatchGetSecretValueRequest`] and [`Filter`]; then,
    ///    an id is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`]: ids and filters are both given, or neither is; a page size is given for ids; a
    ///    filter has no key, or no values.
    /// 3. [`ErrorKind::InvalidNextToken`]: the token was not issued for this query.
    /// 4. [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]: nothing can be read at all.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let batch = secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(["db/main", "nope"]))?;
    /// assert_eq!(batch.secret_values[0].secret_string.as_ref().unwrap().expose(), "s3cret");
    /// assert_eq!(batch.errors[0].error.code(), "ResourceNotFoundException");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html>
    pub fn batch_get_secret_value(&self, request: BatchGetSecretValueRequest) -> Result<BatchGetSecretValueResponse> {
        self.call(request, |request| self.answer_batch_get_secret_value(request))
    }

    fn answer_batch_get_secret_value(
        &self,
        request: BatchGetSecretValueRequest,
    ) -> Result<BatchGetSecretValueResponse> {
        let BatchGetSecretValueRequest { max_results, next_token, secret_id_list, filters } = request;
        let mut shape = Shape::new();
        if let Some(ids) = &secret_id_list {
            shape.list("secretIdList", ids, 1, lim::BATCH_LEN_MAX);
            for (id, index) in ids.iter().take(lim::BATCH_LEN_MAX).zip(1..) {
                shape.text(&format!("secretIdList.{index}.member"), id, 1, lim::SECRET_ID_CHARS_MAX);
            }
        }
        check_shape(filters.as_deref().unwrap_or_default(), &mut shape);
        shape.page(max_results, lim::BATCH_MAX, next_token.as_ref());
        shape.finish()?;
        let ids = secret_id_list.map(|ids| self.parse_ids(ids)).transpose()?;
        self.authorize_call(&Access::to("BatchGetSecretValue"))?;
        match (ids, filters) {
            (Some(_), None) if max_results.is_some() => Err(Error::invalid_parameter(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
            )),
            // No token is ever issued for ids.
            (Some(_), None) if next_token.is_some() => Err(Error::invalid_next_token()),
            (Some(ids), None) => self.batch(ids.into_iter(), None),
            (None, Some(filters)) => self.batch_by_filter(&filters, max_results, next_token.as_deref()),
            (Some(_), Some(_)) | (None, None) => {
                Err(Error::invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both."))
            }
        }
    }

    /// Each id with what it means.
    fn parse_ids(&self, ids: Vec<String>) -> Result<Vec<(String, SecretId)>> {
        let parse = |id: String| SecretId::parse(&id, self.tenant()).map(|parsed| (id, parsed));
        ids.into_iter().map(parse).collect()
    }

    fn batch_by_filter(
        &self,
        filters: &[Filter],
        max_results: Option<i32>,
        token: Option<&str>,
    ) -> Result<BatchGetSecretValueResponse> {
        let parsed = Filters::parse(filters)?;
        self.authorize_call(&Access::to("ListSecrets"))?;
        let listing = Listing {
            filters: &parsed,
            sort_by: &SortBy::CreatedDate,
            is_descending: false,
            with_scheduled: false,
            now: self.now(),
        };
        let query = query("BatchGetSecretValue", filters);
        let Page { found, next_token } = self.page(&listing, &query, token, max_results.unwrap_or(lim::BATCH_MAX))?;
        let ids = found.into_iter().map(|loaded| {
            let (arn, name) = (loaded.secret.arn.clone(), loaded.secret.name.clone());
            (arn.clone(), SecretId::Arn { name, arn })
        });
        self.batch(ids, next_token)
    }

    fn batch(
        &self,
        ids: impl Iterator<Item = (String, SecretId)>,
        next_token: Option<String>,
    ) -> Result<BatchGetSecretValueResponse> {
        let mut response = BatchGetSecretValueResponse { secret_values: Vec::new(), errors: Vec::new(), next_token };
        for (secret_id, id) in ids {
            match self.read_value(&id, &Selector::default()) {
                Ok(read) => response.secret_values.push(entry(read)),
                Err(error) if is_of_the_store(error.kind()) => return Err(error),
                Err(error) => response.errors.push(BatchGetSecretValueError { secret_id, error }),
            }
        }
        Ok(response)
    }
}

/// Whether the failure concerns every secret alike.
fn is_of_the_store(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Storage | ErrorKind::Poisoned | ErrorKind::Closed)
}

fn entry(read: Read) -> SecretValueEntry {
    let Read { loaded, version, value } = read;
    let (secret_string, secret_binary) = value.into_members();
    let version_stages = loaded.secret.stages.of(&version.id);
    SecretValueEntry {
        arn: loaded.secret.arn.clone(),
        name: loaded.secret.name.to_string(),
        version_id: version.id.to_string(),
        secret_string,
        secret_binary,
        version_stages,
        created_date: version.created_at,
    }
}
