//! `DeleteSecret`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::deletion::Deletion;
use crate::model::id::{SecretId, arn, split_suffix};
use crate::model::secret::{Owner, Secret};
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;
use crate::run::{Moment, Operation, Verdict, arn_suffix};
use crate::store::SecretsManager;
use crate::time::Timestamp;
use std::sync::Arc;

request! {
    /// Request of [`SecretsManager::delete_secret`].
    DeleteSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// How long the secret can be restored: 7 to 30 days. Absent: 30 days.
            recovery_window_in_days: i64,
            /// Whether to remove the secret at once and for good. Excludes a recovery window.
            force_delete_without_recovery: bool,
        }
    }
}

response! {
    /// Response of [`SecretsManager::delete_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    DeleteSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// When the secret can no longer be restored.
        deletion_date: Timestamp,
    }
}

impl SecretsManager {
    /// Schedules a secret for deletion, or removes it at once.
    ///
    /// Until the deletion date the values cannot be read, the name stays taken, and
    /// [`restore_secret`](Self::restore_secret) brings everything back. From that moment on the secret cannot be reached,
    /// and [`SecretStore::maintain`](crate::SecretStore::maintain) removes what is left of it.
    ///
    /// Forced deletion of a secret that does not exist succeeds, as it does at the service.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the `SecretId` is too long, or neither a name nor
    ///    an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the window is not 7 to 30 days; then, a
    ///    window and force are both given.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret, without force.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled already, without force; then, it
    ///    is a cross-account replica.
    /// 5. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): it is a replica, or has replicas in other Regions.
    /// 6. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): it has a cross-account replica; then, it belongs to a
    ///    service.
    /// 7. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let deleted = secrets.delete_secret(DeleteSecretRequest::new("db/main").recovery_window_in_days(7))?;
    /// let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main"));
    /// assert_eq!(read.unwrap_err().code(), "InvalidRequestException");
    /// secrets.restore_secret(RestoreSecretRequest::new(deleted.arn))?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
    pub fn delete_secret(&self, request: DeleteSecretRequest) -> Result<DeleteSecretResponse> {
        self.call(request, |request| self.run(&DeleteSecret::parse(self, request)?))
    }
}

#[derive(Debug)]
struct DeleteSecret {
    tenant: Arc<Tenant>,
    id: SecretId,
    deletion: Deletion,
    /// The window and the force, as they were asked for.
    asked: (Option<i64>, Option<bool>),
    owner: Owner,
}

impl DeleteSecret {
    fn parse(manager: &SecretsManager, request: DeleteSecretRequest) -> Result<Self> {
        let DeleteSecretRequest { secret_id, recovery_window_in_days, force_delete_without_recovery } = request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, manager.tenant())?;
        let deletion = Deletion::parse(recovery_window_in_days, force_delete_without_recovery == Some(true))?;
        let asked = (recovery_window_in_days, force_delete_without_recovery);
        Ok(Self { tenant: Arc::clone(manager.tenant()), id, deletion, asked, owner: manager.owner().clone() })
    }

    /// What the service answers when there is nothing to delete: an ARN for a name, a name for an ARN.
    fn as_if_it_existed(&self, moment: &Moment<'_>) -> Result<DeleteSecretResponse> {
        let (arn, name) = match &self.id {
            SecretId::Name(name) => (arn(&self.tenant, name, &arn_suffix(moment.entropy)?), name.to_string()),
            SecretId::Arn { arn, name } => (arn.clone(), name.to_string()),
            SecretId::Elsewhere { arn } => {
                let resource = arn.splitn(7, ':').last().unwrap_or_default();
                (arn.clone(), split_suffix(resource).unwrap_or(resource).to_owned())
            }
        };
        Ok(DeleteSecretResponse { arn, name, deletion_date: moment.now })
    }
}

impl Operation for DeleteSecret {
    type Response = DeleteSecretResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access {
            recovery_window_in_days: self.asked.0,
            force_delete_without_recovery: self.asked.1,
            ..Access::to("DeleteSecret")
        }
    }

    fn is_done_without_secret(&self) -> bool {
        self.deletion == Deletion::Immediate
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<DeleteSecretResponse>> {
        let response = |secret: &Secret, deletion_date| DeleteSecretResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            deletion_date,
        };
        match (secret, self.deletion) {
            (None, Deletion::Immediate) => Ok(Verdict::Answer(self.as_if_it_existed(moment)?)),
            (None, Deletion::After(_)) => Err(Error::secret_not_found()),
            (Some(secret), Deletion::Immediate) => {
                secret.require_deletable()?;
                secret.require_owner(&self.owner)?;
                Ok(Verdict::Purge(response(&secret, moment.now)))
            }
            (Some(mut secret), Deletion::After(window)) => {
                secret.require_active()?;
                secret.require_deletable()?;
                secret.require_owner(&self.owner)?;
                let deletion_date = secret.schedule_deletion(window, moment.now);
                let response = response(&secret, deletion_date);
                Ok(Verdict::store(secret, response))
            }
        }
    }
}
