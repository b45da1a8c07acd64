//! What the strategies have in common: the checks before every step, and the steps that are the same for all.

use std::collections::BTreeMap;

use crate::api::{
    DescribeSecretRequest, GetSecretValueRequest, PutSecretValueRequest, UpdateSecretVersionStageRequest,
};
use crate::error::ErrorKind;
use crate::functions::credential::Credential;
use crate::functions::password::PasswordRules;
use crate::model::stages::{CURRENT, PENDING};
use crate::model::value::SecretString;
use crate::store::{RotationCall, RotationError, RotationStep};

/// The steps in which strategies differ.
pub(super) trait Strategy {
    /// How passwords are made.
    fn rules(&self) -> &PasswordRules;

    /// The credential that takes the place of the current one.
    fn next(&self, current: &Credential, password: &SecretString) -> Result<Credential, RotationError>;

    /// Brings the pending credential, which does not open the system yet, into it.
    fn set(&self, pending: &Credential, rotation: &Rotation<'_>) -> Result<(), RotationError>;

    /// Logs in.
    fn test(&self, credential: &Credential) -> Result<(), RotationError>;
}

/// Does one step of a rotation.
pub(super) fn run(strategy: &impl Strategy, call: &RotationCall) -> Result<(), RotationError> {
    let rotation = Rotation { call };
    let Some(current) = rotation.check()? else { return Ok(()) };
    match call.step {
        RotationStep::CreateSecret => rotation.create(strategy),
        RotationStep::SetSecret => {
            let pending = rotation.pending()?;
            // An earlier attempt may have come that far.
            if strategy.test(&pending).is_ok() { Ok(()) } else { strategy.set(&pending, &rotation) }
        }
        RotationStep::TestSecret => strategy.test(&rotation.pending()?),
        RotationStep::FinishSecret => rotation.finish(current),
    }
}

/// A rotation as one call of it finds it.
#[derive(Debug)]
pub(super) struct Rotation<'a> {
    call: &'a RotationCall,
}

/// The version that has the label `AWSCURRENT`, if there is one.
type Current = Option<String>;

impl Rotation<'_> {
    /// Sees that the call is about a rotation that is under way. `None`: it is finished, and there is nothing to do.
    fn check(&self) -> Result<Option<Current>, RotationError> {
        let RotationCall { secret_id, client_request_token: token, secrets, .. } = self.call;
        let described = secrets.describe_secret(DescribeSecretRequest::new(secret_id))?;
        if described.rotation_enabled != Some(true) {
            return Err("rotation is not enabled for the secret".into());
        }
        let stages = described.version_ids_to_stages.unwrap_or_default();
        let of_ours = stages.get(token).ok_or("no version of the secret with the rotation's token has a label")?;
        if of_ours.iter().any(|label| label == CURRENT) {
            return Ok(None);
        }
        if !of_ours.iter().any(|label| label == PENDING) {
            return Err("the version with the rotation's token has not the label AWSPENDING".into());
        }
        Ok(Some(current_of(stages)))
    }

    /// Stores the next credential, unless an earlier attempt has.
    fn create(&self, strategy: &impl Strategy) -> Result<(), RotationError> {
        let RotationCall { secret_id, client_request_token: token, rotation_token, secrets, .. } = self.call;
        let current = self.current()?;
        match self.read(self.pending_request()) {
            Ok(_) => return Ok(()),
            Err(error) if *error.kind() == ErrorKind::ResourceNotFound => {}
            Err(error) => return Err(error.into()),
        }
        let next = strategy.next(&current, &strategy.rules().make(secrets)?)?;
        let mut put = PutSecretValueRequest::new(secret_id, next.into_document()).client_request_token(token);
        if !rotation_token.expose().is_empty() {
            put = put.rotation_token(rotation_token.expose());
        }
        secrets.put_secret_value(put.version_stages([PENDING]))?;
        Ok(())
    }

    fn finish(&self, current: Current) -> Result<(), RotationError> {
        let RotationCall { secret_id, client_request_token: token, secrets, .. } = self.call;
        let mut update = UpdateSecretVersionStageRequest::new(secret_id, CURRENT).move_to_version_id(token);
        if let Some(current) = current {
            update = update.remove_from_version_id(current);
        }
        secrets.update_secret_version_stage(update)?;
        Ok(())
    }

    pub(super) fn current(&self) -> Result<Credential, RotationError> {
        self.labelled(CURRENT)
    }

    fn pending(&self) -> Result<Credential, RotationError> {
        parse(self.read(self.pending_request())?)
    }

    /// The credential of the version that has a label.
    pub(super) fn labelled(&self, label: &str) -> Result<Credential, RotationError> {
        parse(self.read(GetSecretValueRequest::new(&self.call.secret_id).version_stage(label))?)
    }

    /// The current credential of another secret of the same account and Region.
    pub(super) fn of_other_secret(&self, id: &str) -> Result<Credential, RotationError> {
        parse(self.read(GetSecretValueRequest::new(id).version_stage(CURRENT))?)
    }

    fn pending_request(&self) -> GetSecretValueRequest {
        let RotationCall { secret_id, client_request_token: token, .. } = self.call;
        GetSecretValueRequest::new(secret_id).version_id(token).version_stage(PENDING)
    }

    fn read(&self, request: GetSecretValueRequest) -> crate::error::Result<Option<SecretString>> {
        Ok(self.call.secrets.get_secret_value(request)?.secret_string)
    }
}

fn parse(value: Option<SecretString>) -> Result<Credential, RotationError> {
    Credential::parse(value.ok_or("the value of the secret is not text")?)
}

fn current_of(stages: BTreeMap<String, Vec<String>>) -> Current {
    stages.into_iter().find(|(_, labels)| labels.iter().any(|label| label == CURRENT)).map(|(version, _)| version)
}
