//! `CancelRotateSecret`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::cancel_rotate_secret`].
    CancelRotateSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::cancel_rotate_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    CancelRotateSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The version of the rotation that was in progress. Absent if there was none.
        version_id: Option<String>,
    }
}

impl SecretsManager {
    /// Turns rotation off. The function and the rules are kept, and
    /// [`rotate_secret`](SecretsManager::rotate_secret) without them turns it on again.
    ///
    /// A rotation that is in progress ends where it is: a step that is running is not interrupted, the next one is not called.
    /// `AWSPENDING` stays, and as long as it is on a version that is not the current one no rotation can be begun; see
    /// [`update_secret_version_stage`](SecretsManager::update_secret_version_stage). A call for a secret whose rotation is off
    /// already succeeds and does nothing.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the `SecretId` is too long, or neither a name nor
    ///    an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 3. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion; then, it
    ///    belongs to a service; then, its rotation was never configured.
    /// 4. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let error = secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db/main")).unwrap_err();
    /// assert_eq!(error.message(), "No Lambda rotation function ARN is associated with this secret.");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html>
    pub fn cancel_rotate_secret(&self, request: CancelRotateSecretRequest) -> Result<CancelRotateSecretResponse> {
        self.call(request, |request| {
            let CancelRotateSecretRequest { secret_id } = request;
            let mut shape = Shape::new();
            let secret_id = shape.secret_id(secret_id);
            shape.finish()?;
            let id = SecretId::parse(&secret_id, self.tenant())?;
            self.run(&CancelRotateSecret { id, owner: self.owner().clone() })
        })
    }
}

#[derive(Debug)]
struct CancelRotateSecret {
    id: SecretId,
    owner: Owner,
}

impl Operation for CancelRotateSecret {
    type Response = CancelRotateSecretResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("CancelRotateSecret")
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<CancelRotateSecretResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(&self.owner)?;
        if secret.rotation.is_none() {
            return Err(Error::no_rotation_function());
        }
        let version_id = secret.cancel_rotation(moment.now).map(|version| version.to_string());
        let response =
            CancelRotateSecretResponse { arn: secret.arn.clone(), name: secret.name.to_string(), version_id };
        Ok(Verdict::store(secret, response))
    }
}
