//! `RestoreSecret`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::restore_secret`].
    RestoreSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::restore_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    RestoreSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
    }
}

impl SecretsManager {
    /// Takes back a scheduled deletion. Versions, labels, tags and everything else are as they were.
    ///
    /// A secret that is not scheduled for deletion stays as it is, and the call succeeds.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the `SecretId` is too long, or neither a name nor
    ///    an ARN of a secret.
    /// 2. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret, or its recovery window is
    ///    over.
    /// 3. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// secrets.delete_secret(DeleteSecretRequest::new("db/main"))?;
    /// secrets.restore_secret(RestoreSecretRequest::new("db/main"))?;
    /// assert!(secrets.get_secret_value(GetSecretValueRequest::new("db/main")).is_ok());
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html>
    pub fn restore_secret(&self, request: RestoreSecretRequest) -> Result<RestoreSecretResponse> {
        self.call(request, |request| self.answer_restore_secret(request)).inspect(|_| self.ring())
    }

    fn answer_restore_secret(&self, request: RestoreSecretRequest) -> Result<RestoreSecretResponse> {
        let RestoreSecretRequest { secret_id } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.finish()?;
        self.run(&RestoreSecret { id: SecretId::parse(&secret_id, self.tenant())? })
    }
}

#[derive(Debug)]
struct RestoreSecret {
    id: SecretId,
}

impl Operation for RestoreSecret {
    type Response = RestoreSecretResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access::to("RestoreSecret")
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<RestoreSecretResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_primary()?;
        secret.restore(moment.now);
        let response = RestoreSecretResponse { arn: secret.arn.clone(), name: secret.name.to_string() };
        Ok(Verdict::store(secret, response))
    }
}
