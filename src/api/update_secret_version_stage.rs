//! `UpdateSecretVersionStage`.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::model::id::SecretId;
use crate::model::limits as lim;
use crate::model::secret::{Owner, Secret, StageMove};
use crate::model::shape::Shape;
use crate::model::version::VersionId;
use crate::run::{Moment, Operation, Verdict};
use crate::store::SecretsManager;

request! {
    /// Request of [`SecretsManager::update_secret_version_stage`]. At least one of the version ids is needed.
    UpdateSecretVersionStageRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
            /// The label: 1 to 256 characters.
            version_stage: String,
        }
        optional {
            /// The version that has the label now.
            remove_from_version_id: String,
            /// The version that is to have the label.
            move_to_version_id: String,
        }
    }
}

response! {
    /// Response of [`SecretsManager::update_secret_version_stage`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    UpdateSecretVersionStageResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
    }
}

impl SecretsManager {
    /// Attaches a staging label to a version, moves it to another one, or removes it.
    ///
    /// When `AWSCURRENT` moves, the version that it leaves becomes `AWSPREVIOUS`; no other label moves by itself. A
    /// version without labels is deprecated: hidden from lists unless asked for, readable by id, and removed when there
    /// are more than 100 versions and it is older than 24 hours.
    ///
    /// Moving a label to where it already is changes nothing and succeeds.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): members break the limits given at
    ///    [`UpdateSecretVersionStageRequest`]; then, the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): neither version id is given.
    /// 3. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such secret.
    /// 4. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest): the secret is scheduled for deletion; then, it belongs to a
    ///    service.
    /// 5. [`ErrorKind::ResourceNotFound`](crate::ErrorKind::ResourceNotFound): no such version.
    /// 6. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): `remove_from_version_id` does not have the
    ///    label; then, unless the label is where it is to go already, it is missing although another version has the
    ///    label, or `AWSCURRENT` would be removed altogether.
    /// 7. [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): the secret would have more than 20 labels.
    /// 8. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// # secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let put = PutSecretValueRequest::new("db/main", "next").version_stages(["AWSPENDING"]);
    /// let next = secrets.put_secret_value(put)?.version_id;
    /// let now = secrets.get_secret_value(GetSecretValueRequest::new("db/main"))?.version_id;
    /// let promote = UpdateSecretVersionStageRequest::new("db/main", "AWSCURRENT");
    /// secrets.update_secret_version_stage(promote.remove_from_version_id(now).move_to_version_id(next))?;
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>
    pub fn update_secret_version_stage(
        &self,
        request: UpdateSecretVersionStageRequest,
    ) -> Result<UpdateSecretVersionStageResponse> {
        self.call(request, |request| self.run(&UpdateSecretVersionStage::parse(self, request)?))
    }
}

#[derive(Debug)]
struct UpdateSecretVersionStage {
    id: SecretId,
    label: String,
    step: StageMove,
    owner: Owner,
}

impl UpdateSecretVersionStage {
    fn parse(manager: &SecretsManager, request: UpdateSecretVersionStageRequest) -> Result<Self> {
        let UpdateSecretVersionStageRequest { secret_id, version_stage, remove_from_version_id, move_to_version_id } =
            request;
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        let version_stage = shape.required_text("versionStage", version_stage, 1, lim::LABEL_CHARS_MAX);
        shape.version_id("removeFromVersionId", remove_from_version_id.as_ref());
        shape.version_id("moveToVersionId", move_to_version_id.as_ref());
        shape.finish()?;
        let id = SecretId::parse(&secret_id, manager.tenant())?;
        let step = match (remove_from_version_id.map(VersionId::new), move_to_version_id.map(VersionId::new)) {
            (None, None) => {
                return Err(Error::invalid_parameter(
                    "You must provide RemoveFromVersionId, MoveToVersionId, or both.",
                ));
            }
            (None, Some(to)) => StageMove::Attach { to },
            (Some(from), Some(to)) => StageMove::Move { from, to },
            (Some(from), None) => StageMove::Remove { from },
        };
        Ok(Self { id, label: version_stage, step, owner: manager.owner().clone() })
    }
}

impl Operation for UpdateSecretVersionStage {
    type Response = UpdateSecretVersionStageResponse;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access { version_stage: Some(&self.label), ..Access::to("UpdateSecretVersionStage") }
    }

    fn decide(
        &self,
        secret: Option<Secret>,
        _: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<UpdateSecretVersionStageResponse>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_writable(&self.owner)?;
        secret.move_stage(&self.label, &self.step, moment.now)?;
        let response = UpdateSecretVersionStageResponse { arn: secret.arn.clone(), name: secret.name.to_string() };
        Ok(Verdict::store(secret, response))
    }
}
