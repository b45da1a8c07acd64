//! `GetResourcePolicy`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::policy::DEFAULT_POLICY;
use crate::model::shape::Shape;
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::get_resource_policy`].
    GetResourcePolicyRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// 1 to 64 of the characters `A-Z a-z 0-9 - _`. Absent: `default`.
            policy_name: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::get_resource_policy`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    GetResourcePolicyResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The document, as it was attached. Absent if none is.
        resource_policy: Option<String>,
        /// The name of the policy.
        policy_name: String,
    }
}

impl SecretsManager {
    /// The resource policy of a secret, as it was attached.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`GetResourcePolicyRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no policy has this name, which is not `default`.
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
    /// let found = secrets.get_resource_policy(GetResourcePolicyRequest::new("db/main"))?;
    /// assert_eq!((found.policy_name.as_str(), found.resource_policy), ("default", None));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetResourcePolicy.html>
    pub fn get_resource_policy(&self, request: GetResourcePolicyRequest) -> Result<GetResourcePolicyResponse> {
        self.call(request, |request| self.answer_get_resource_policy(request))
    }

    fn answer_get_resource_policy(&self, request: GetResourcePolicyRequest) -> Result<GetResourcePolicyResponse> {
        let GetResourcePolicyRequest { secret_id, policy_name } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.policy_name(policy_name.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        let secret = self.find(&id, self.now(), &Access::to("GetResourcePolicy"))?.secret;
        secret.require_active()?;
        let policy_name = policy_name.unwrap_or_else(|| DEFAULT_POLICY.to_owned());
        let policy = secret.policies.get(&policy_name);
        if policy.is_none() && policy_name != DEFAULT_POLICY {
            return Err(Error::secret_not_found());
        }
        Ok(GetResourcePolicyResponse {
            resource_policy: policy.map(|text| text.to_string()),
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            policy_name,
        })
    }
}
