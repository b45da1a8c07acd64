//! `ListResourcePolicies`.

use crate::access::Access;
use crate::error::Result;
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::shape::Shape;
use crate::records::codec::Cursor;
use crate::records::token::Query;
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::list_resource_policies`].
    ListResourcePoliciesRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// Entries of one page: 1 to 100. Absent: 100.
            max_results: i32,
            /// Where to go on: `next_token` of the page before, with the same secret.
            next_token: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::list_resource_policies`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    ListResourcePoliciesResponse {
        /// The policies of this page: `default` first, the others by name.
        resource_policies: Vec<ResourcePolicySummary>,
        /// Absent on the last page.
        next_token: Option<String>,
    }
}

response! {
    /// A policy in a list.
    #[derive(Debug, Clone, PartialEq, Eq)]
    ResourcePolicySummary {
        /// The name of the policy.
        policy_name: String,
    }
}

impl SecretsManager {
    /// Lists the names of the policies of a secret, page by page.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`ListResourcePoliciesRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::InvalidNextToken`](crate::ErrorKind::InvalidNextToken): the token was not issued for this query.
    /// 5. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored record is damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
    ///     "Resource": "*", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}}"#;
    /// secrets.put_resource_policy(PutResourcePolicyRequest::new("db/main", policy))?;
    /// let listed = secrets.list_resource_policies(ListResourcePoliciesRequest::new("db/main"))?;
    /// assert_eq!(listed.resource_policies[0].policy_name, "default");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListResourcePolicies.html>
    pub fn list_resource_policies(&self, request: ListResourcePoliciesRequest) -> Result<ListResourcePoliciesResponse> {
        self.call(request, |request| self.answer_list_resource_policies(request))
    }

    fn answer_list_resource_policies(
        &self,
        request: ListResourcePoliciesRequest,
    ) -> Result<ListResourcePoliciesResponse> {
        let ListResourcePoliciesRequest { secret_id, max_results, next_token } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.page(max_results, lim::PAGE_MAX, next_token.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let now = self.now();
        let secret = self.find(&id, now, &Access::to("ListResourcePolicies"))?.secret;
        secret.require_active()?;
        let query = Query::new("ListResourcePolicies").text(&secret.uid.to_string());
        let cursor = next_token.map(|token| self.records().redeem_token(self.tenant(), &query, &token)).transpose()?;

        let limit = usize::try_from(max_results.unwrap_or(lim::PAGE_MAX)).unwrap_or_default();
        let last = cursor.map(|cursor| cursor.name);
        let mut listed = secret.policies.names_after(last.as_deref());
        let shown: Vec<&str> = listed.by_ref().take(limit).collect();
        let next_token = match (shown.last(), listed.next()) {
            (Some(last), Some(_)) => {
                let cursor = Cursor { at: None, name: (*last).to_owned() };
                Some(self.records().issue_token(self.tenant(), &query, &cursor, now)?)
            }
            _ => None,
        };
        let summary = |name: &str| ResourcePolicySummary { policy_name: name.to_owned() };
        Ok(ListResourcePoliciesResponse { resource_policies: shown.into_iter().map(summary).collect(), next_token })
    }
}
