//! `DeleteResourcePolicy`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::policy::DEFAULT_POLICY;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::delete_resource_policy`].
    DeleteResourcePolicyRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// 1 to 64 of the characters `A-Z a-z 0-9 - _`. Only `default` can be detached, which is also meant if this is
            /// absent.
            policy_name: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::delete_resource_policy`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    DeleteResourcePolicyResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The name of the policy.
        policy_name: String,
    }
}

impl SecretsManager {
    /// Detaches the resource policy of a secret. Without one nothing changes, and the call succeeds.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`DeleteResourcePolicyRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the policy has another name than `default`.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 5. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
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
    /// secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("db/main"))?;
    /// let found = secrets.get_resource_policy(GetResourcePolicyRequest::new("db/main"))?;
    /// assert_eq!(found.resource_policy, None);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteResourcePolicy.html>
    pub fn delete_resource_policy(&self, request: DeleteResourcePolicyRequest) -> Result<DeleteResourcePolicyResponse> {
        self.call(request, |request| self.answer_delete_resource_policy(request))
    }

    fn answer_delete_resource_policy(
        &self,
        request: DeleteResourcePolicyRequest,
    ) -> Result<DeleteResourcePolicyResponse> {
        let DeleteResourcePolicyRequest { secret_id, policy_name } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.policy_name(policy_name.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        if policy_name.is_some_and(|name| name != DEFAULT_POLICY) {
            return Err(Error::invalid_parameter("You can only delete the resource policy with the name default."));
        }
        self.run(&DeleteResourcePolicy { id })
    }
}

#[derive(Debug)]
struct DeleteResourcePolicy {
    id: SecretId,
}

impl Operation for DeleteResourcePolicy {
    type Response = DeleteResourcePolicyResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("DeleteResourcePolicy")
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<DeleteResourcePolicyResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_primary()?;
        secret.delete_policy(moment.now);
        let response = DeleteResourcePolicyResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            policy_name: DEFAULT_POLICY.to_owned(),
        };
        Ok(Verdict::store(secret, response))
    }
}
