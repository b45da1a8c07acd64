//! `ValidateResourcePolicy`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::{SecretId, SecretName};
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::policy::{PolicyFaultReason, ResourcePolicy};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::validate_resource_policy`].
    ValidateResourcePolicyRequest {
        required {
            /// The document, as JSON: 1 to 20,480 characters.
            resource_policy: String,
        }
        optional {
            /// Name, ARN, or ARN without its random end, of the secret that the policy is meant for. Absent: for any.
            secret_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::validate_resource_policy`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    ValidateResourcePolicyResponse {
        /// Whether the policy has passed every check.
        policy_validation_passed: bool,
        /// The checks that it has not passed.
        validation_errors: Vec<ValidationErrorsEntry>,
    }
}

response! {
    /// A check that a policy has not passed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    ValidationErrorsEntry {
        /// `SyntaxCheck`, `LockOutCheck` or `BlockPublicPolicyCheck`.
        check_name: String,
        /// What is wrong.
        error_message: String,
    }
}

/// A name for a policy that is meant for no secret in particular. The end is that of an ARN.
const ANY_SECRET: &str = "validated";

/// What it asks for.
const ACCESS: Access<'static> = Access::to("ValidateResourcePolicy");

const BROAD_ACCESS: &str = "This resource policy grants broad access to your secret. Secrets Manager does not allow \
                            creating and applying such policies in the console.";

impl SecretsManager {
    /// Checks a resource policy without attaching it: its syntax; whether it would keep the caller from attaching another
    /// one; and whether it gives access to everybody.
    ///
    /// A policy that cannot be understood is a failed `SyntaxCheck`, and no other check is made of it.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`ValidateResourcePolicyRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion.
    /// 4. [`ErrorKind::MalformedPolicyDocument`](crate::ErrorKind::MalformedPolicyDocument): the text is not JSON, is nested
    ///    too deeply, or has a member twice.
    /// 5. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage):
    ///    the stored record is damaged or cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
    /// let checked = secrets.validate_resource_policy(ValidateResourcePolicyRequest::new(policy))?;
    /// assert!(!checked.policy_validation_passed);
    /// assert_eq!(checked.validation_errors[0].check_name, "BlockPublicPolicyCheck");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html>
    pub fn validate_resource_policy(
        &self,
        request: ValidateResourcePolicyRequest,
    ) -> Result<ValidateResourcePolicyResponse> {
        self.call(request, |request| self.answer_validate_resource_policy(request))
    }

    fn answer_validate_resource_policy(
        &self,
        request: ValidateResourcePolicyRequest,
    ) -> Result<ValidateResourcePolicyResponse> {
        let ValidateResourcePolicyRequest { resource_policy, secret_id } = request;
        let mut shape = Shape::new();
        let secret_id = secret_id.map(|secret_id| shape.secret_id(Some(secret_id)));
        let text = shape.resource_policy(resource_policy);
        shape.finish()?;
        let id = secret_id.map(|secret_id| SecretId::parse(&secret_id, self.tenant())).transpose()?;
        let secret = match id {
            Some(id) => Some(self.find(&id, self.now(), &ACCESS)?.secret),
            None => {
                self.authorize_call(&ACCESS)?;
                None
            }
        };
        if let Some(secret) = &secret {
            secret.require_active()?;
        }
        self.validate(&text, secret.as_deref()).map(|validation_errors| ValidateResourcePolicyResponse {
            policy_validation_passed: validation_errors.is_empty(),
            validation_errors,
        })
    }

    /// The checks that a text does not pass.
    fn validate(&self, text: &str, secret: Option<&Secret>) -> Result<Vec<ValidationErrorsEntry>> {
        use PolicyFaultReason as Reason;
        let failed = |check_name: &str, error_message: &str| ValidationErrorsEntry {
            check_name: check_name.to_owned(),
            error_message: error_message.to_owned(),
        };
        let policy = match ResourcePolicy::parse(text) {
            Ok(policy) => policy,
            Err(fault) => {
                let is_json = !matches!(
                    fault.reason,
                    Reason::NotUtf8 | Reason::NotJson | Reason::TooDeep | Reason::DuplicateMember
                );
                let error = Error::malformed_policy(fault);
                return if is_json { Ok(vec![failed("SyntaxCheck", error.message())]) } else { Err(error) };
            }
        };
        let mut errors = Vec::new();
        // What a request to attach it would say is not known; what is safest is assumed.
        let put = Access { block_public_policy: Some(true), ..ACCESS };
        let stand_in = SecretName::from_record(ANY_SECRET);
        if self.is_locked_out(&put, secret.ok_or(&stand_in), &policy)? {
            errors.push(failed("LockOutCheck", Error::locked_out().message()));
        }
        if policy.public_statement().is_some() {
            errors.push(failed("BlockPublicPolicyCheck", BROAD_ACCESS));
        }
        Ok(errors)
    }
}
