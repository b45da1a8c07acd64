//! `PutResourcePolicy`.

use std::sync::Arc;

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::policy::DEFAULT_POLICY;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::policy::{PolicyFault, ResourcePolicy};
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::put_resource_policy`].
    PutResourcePolicyRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
            /// The document, as JSON: 1 to 20,480 characters.
            resource_policy: String,
        }
        optional {
            /// 1 to 64 of the characters `A-Z a-z 0-9 - _`. Only `default` can be attached, which is also meant if this is
            /// absent.
            policy_name: String,
            /// Whether to refuse a policy that gives access to everybody. Absent: it is accepted.
            block_public_policy: bool,
        }
    }
}

response! {
    /// Response of [`SecretsManager::put_resource_policy`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    PutResourcePolicyResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The name of the policy.
        policy_name: String,
    }
}

impl SecretsManager {
    /// Attaches a resource policy to a secret, in the place of the one that it has. The text is kept as it is.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`PutResourcePolicyRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the policy has another name than `default`.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 5. [`ErrorKind::MalformedPolicyDocument`](crate::ErrorKind::MalformedPolicyDocument): the text is no resource policy,
    ///    or names a principal in a form that is not supported. The kind tells what is wrong, and where.
    /// 6. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the policy would keep the caller from attaching
    ///    another one.
    /// 7. [`ErrorKind::PublicPolicy`](crate::ErrorKind::PublicPolicy): the policy gives access to everybody, and
    ///    `block_public_policy` is set.
    /// 8. [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): with it, the secret's metadata is too large.
    /// 9. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
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
    /// secrets.put_resource_policy(PutResourcePolicyRequest::new("db/main", policy).block_public_policy(true))?;
    ///
    /// let everybody = policy.replace("arn:aws:iam::111122223333:root", "*");
    /// let put = PutResourcePolicyRequest::new("db/main", everybody).block_public_policy(true);
    /// let error = secrets.put_resource_policy(put).unwrap_err();
    /// assert_eq!(*error.kind(), ErrorKind::PublicPolicy { statement: 0 });
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html>
    pub fn put_resource_policy(&self, request: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse> {
        self.call(request, |request| self.answer_put_resource_policy(request))
    }

    fn answer_put_resource_policy(&self, request: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse> {
        let PutResourcePolicyRequest { secret_id, resource_policy, policy_name, block_public_policy } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        let text = shape.resource_policy(resource_policy);
        shape.policy_name(policy_name.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, self.tenant())?;
        if policy_name.is_some_and(|name| name != DEFAULT_POLICY) {
            return Err(Error::invalid_parameter("You can only attach the resource policy with the name default."));
        }
        let policy = ResourcePolicy::parse(&text);
        self.run(&PutResourcePolicy {
            secrets: self,
            id,
            text: text.into(),
            policy,
            asked_to_block: block_public_policy,
        })
    }
}

#[derive(Debug)]
struct PutResourcePolicy<'a> {
    secrets: &'a SecretsManager,
    id: SecretId,
    text: Arc<str>,
    policy: Result<ResourcePolicy, PolicyFault>,
    asked_to_block: Option<bool>,
}

impl Operation for PutResourcePolicy<'_> {
    type Response = PutResourcePolicyResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access { block_public_policy: self.asked_to_block, ..Access::to("PutResourcePolicy") }
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<PutResourcePolicyResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_primary()?;
        let policy = self.policy.as_ref().map_err(|fault| Error::malformed_policy(fault.clone()))?;
        if self.secrets.is_locked_out(&self.access(), Ok(&secret), policy)? {
            return Err(Error::locked_out());
        }
        if let Some(statement) = policy.public_statement().filter(|_| self.asked_to_block == Some(true)) {
            return Err(Error::public_policy(statement));
        }
        secret.put_policy(Arc::clone(&self.text), moment.now);
        let response = PutResourcePolicyResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            policy_name: DEFAULT_POLICY.to_owned(),
        };
        Ok(Verdict::store(secret, response))
    }
}
