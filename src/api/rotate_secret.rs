//! `RotateSecret`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::access::Access;
use crate::entropy::random_uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretId;
use crate::model::rotation::{
    Configuration, External, ExternalSecretRotationMetadataItem, JobKind, RotationRules, check_function_arn,
    check_shape,
};
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::version::VersionId;
use crate::run::{Moment, Operation, Verdict};
use crate::store::rotation::Rotating;
use crate::store::{RotationFunction, SecretsManager};

request! {
    /// Request of [`SecretsManager::rotate_secret`].
    RotateSecretRequest {
        required {
            /// Name, ARN, or ARN without its random end.
            secret_id: String,
        }
        optional {
            /// The id of the new version: 32 to 64 characters. Made if it is absent, unless the store
            /// [requires it](crate::Builder::require_client_request_token).
            client_request_token: String,
            /// The role with which a partner rotates a managed external secret: 20 to 2,048 characters.
            external_secret_rotation_role_arn: String,
            /// Whether the secret is rotated at once, or only the function's step testSecret is tried and the secret rotates
            /// when its schedule says. Default: `true`.
            rotate_immediately: bool,
        }
        renamed {
            /// The function that rotates the secret: `arn:aws:lambda:<region>:<account>:function:<name>`, at most 2,048
            /// characters. Default: the one that it has. Empty means absent.
            rotation_lambda_arn as "RotationLambdaARN": String,
        }
        structures {
            /// When the secret is rotated. Default: as before.
            rotation_rules: RotationRules,
        }
        lists {
            /// What a partner has to know to rotate a managed external secret.
            external_secret_rotation_metadata: ExternalSecretRotationMetadataItem,
        }
    }
}

response! {
    /// Response of [`SecretsManager::rotate_secret`].
    #[derive(Debug, Clone, PartialEq, Eq)]
    RotateSecretResponse {
        /// The ARN of the secret.
        arn: String,
        /// The name of the secret.
        name: String,
        /// The id of the version that is being made: the token.
        version_id: String,
    }
}

impl SecretsManager {
    /// Configures the rotation of a secret, and begins one.
    ///
    /// What is given is stored, and rotation is enabled. Then `AWSPENDING` goes to a new version, which has no value yet, and
    /// the call returns. The rotation function is called by the next [`maintain`](crate::SecretStore::maintain), by the
    /// store's own thread ([`background_maintenance`](crate::Builder::background_maintenance)), or before this returns
    /// ([`rotate_inline`](crate::Builder::rotate_inline)). A rotation that was begun is carried on after a restart.
    ///
    /// A call with the token of the rotation that is under way succeeds and does nothing, or, if every attempt of it failed,
    /// has it tried again at once.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`]: members break the limits given at [`RotateSecretRequest`] and [`RotationRules`]; then,
    ///    the `SecretId` is neither a name nor an ARN of a secret.
    /// 2. [`ErrorKind::InvalidParameter`]: the ARN is not that of a function of this Region; then, the rules are no schedule;
    ///    then, there is no token although one is required.
    /// 3. [`ErrorKind::ResourceNotFound`]: no such secret.
    /// 4. [`ErrorKind::InvalidRequest`]: the secret is scheduled for deletion; then, a service or a partner rotates it and a
    ///    function was given; then, it has no function and none was given; then, an earlier rotation is not complete; then, the
    ///    token names a version.
    /// 5. [`ErrorKind::InvalidParameter`]: only members of managed external secrets for another secret, or a duration that
    ///    does not go with the schedule.
    /// 6. [`ErrorKind::FunctionNotInvocable`]: the function is not registered, or says that it cannot be called. For a managed
    ///    external secret, [`ErrorKind::InvalidRequest`]: nobody is registered for its partner.
    /// 7. [`ErrorKind::LimitExceeded`]: the secret has too many versions that cannot be removed yet.
    /// 8. [`ErrorKind::Storage`]: the commit failed. Reopen the store to learn the outcome.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # #[derive(Debug)]
    /// # struct MyFunction;
    /// # impl RotationFunction for MyFunction {
    /// #     fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> { Ok(()) }
    /// # }
    /// let arn = "arn:aws:lambda:us-east-1:000000000000:function:rotate-db";
    /// let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
    /// let store = builder.rotation_function(arn, MyFunction).open()?;
    /// let secrets = store.default_secrets_manager();
    /// secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    ///
    /// let monthly = RotationRules::new().automatically_after_days(30);
    /// let rotate = RotateSecretRequest::new("db/main").rotation_lambda_arn(arn).rotation_rules(monthly);
    /// secrets.rotate_secret(rotate)?;
    /// let report = store.maintain()?; // calls the function
    /// # assert_eq!(report.failed_rotations, 1);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
    pub fn rotate_secret(&self, request: RotateSecretRequest) -> Result<RotateSecretResponse> {
        self.call(request, |request| self.begin_rotation(request))
            .inspect(|response| self.rotation_begun(&response.arn))
    }

    fn begin_rotation(&self, request: RotateSecretRequest) -> Result<RotateSecretResponse> {
        let mut operation = RotateSecret::parse(self, request)?;
        loop {
            match self.run(&operation)? {
                Answer::Ask(who) => {
                    if let Performer::Function(arn) = &who {
                        self.authorize_function(arn, operation.change.function_arn.as_ref() == Some(arn))?;
                    }
                    let is_known = self.is_invocable(&who);
                    operation.asked = Some((who, is_known));
                }
                Answer::Done(response) => return Ok(response),
            }
        }
    }

    /// Whether there is somebody to call, and nothing says that it cannot be done.
    fn is_invocable(&self, who: &Performer) -> bool {
        let asks = |function: &Arc<dyn RotationFunction>, name: &str| {
            catch_unwind(AssertUnwindSafe(|| function.is_invocable(name))).unwrap_or(false)
        };
        match who {
            Performer::Function(arn) => self.functions().of_arn(arn).is_some_and(|function| asks(function, arn)),
            Performer::Service(service) => {
                self.functions().of_service(service).is_some_and(|function| asks(function, service))
            }
            Performer::Partner(partner) => {
                self.functions().of_partner(partner).is_some_and(|function| asks(function, partner))
            }
        }
    }
}

/// Who rotates a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Performer {
    Function(String),
    Service(String),
    Partner(String),
}

impl Performer {
    fn refused(&self) -> Error {
        match self {
            Self::Function(arn) | Self::Service(arn) => Error::new(
                ErrorKind::FunctionNotInvocable { function: arn.clone() },
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access \
                 to the principal secretsmanager.amazonaws.com.",
            ),
            Self::Partner(_) => Error::invalid_request("unable to assume role"),
        }
    }
}

/// What came of one round.
#[derive(Debug)]
enum Answer {
    /// It must be known first whether this one can be called.
    Ask(Performer),
    /// What was asked for is stored, or was before.
    Done(RotateSecretResponse),
}

#[derive(Debug)]
struct RotateSecret {
    id: SecretId,
    token: VersionId,
    rotation_token: String,
    change: Configuration,
    is_immediate: bool,
    /// Whether somebody asks on whose behalf functions are called.
    is_for_caller: bool,
    versions_max: usize,
    /// The secrets whose function is being called.
    rotating: Rotating,
    /// Whether this one can be called.
    asked: Option<(Performer, bool)>,
}

impl RotateSecret {
    fn parse(manager: &SecretsManager, request: RotateSecretRequest) -> Result<Self> {
        let RotateSecretRequest {
            secret_id,
            client_request_token,
            rotation_lambda_arn,
            rotation_rules: rules,
            external_secret_rotation_metadata: metadata,
            external_secret_rotation_role_arn: role_arn,
            rotate_immediately,
        } = request;
        let external = External { metadata, role_arn };
        let mut shape = Shape::new();
        let secret_id = shape.secret_id(secret_id);
        shape.client_request_token(client_request_token.as_ref());
        check_shape(&mut shape, rotation_lambda_arn.as_ref(), rules.as_ref(), &external);
        shape.finish()?;
        let id = SecretId::parse(&secret_id, manager.tenant())?;
        let function_arn = rotation_lambda_arn.filter(|arn| !arn.is_empty());
        if let Some(arn) = &function_arn {
            check_function_arn(arn, manager.tenant())?;
        }
        if let Some(rules) = &rules {
            rules.schedule()?;
        }
        if client_request_token.is_none() && manager.settings().require_client_request_token {
            return Err(Error::invalid_parameter(
                "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
            ));
        }
        Ok(Self {
            id,
            token: manager.client_request_token(client_request_token)?,
            rotation_token: random_uuid(manager.entropy())?.to_string(),
            change: Configuration { function_arn, rules, external },
            is_immediate: rotate_immediately.unwrap_or(true),
            is_for_caller: manager.caller().is_some(),
            versions_max: manager.settings().versions_max,
            rotating: manager.rotating().clone(),
            asked: None,
        })
    }

    /// Who is to rotate the secret.
    fn performer(&self, secret: &Secret) -> Result<Performer> {
        self.performer_of(secret, self.change.function_arn.as_ref())
    }

    /// Who rotates it if this function is given.
    fn performer_of(&self, secret: &Secret, given: Option<&String>) -> Result<Performer> {
        if given.is_some() && secret.rotated_by().is_some() {
            return Err(Error::invalid_request("Rotation Lambda ARN is not supported for a service-managed secret."));
        }
        if let Some(service) = &secret.owning_service {
            return Ok(Performer::Service(service.clone()));
        }
        if let Some(partner) = &secret.external_type {
            return Ok(Performer::Partner(partner.clone()));
        }
        // A function that is not of the secret's account would be let into it.
        let is_foreign = |arn: &String| arn.split(':').nth(4) != Some(secret.tenant.account());
        if let Some(arn) = given.filter(|arn| self.is_for_caller && is_foreign(arn)) {
            return Err(Performer::Function(arn.clone()).refused());
        }
        let kept = || secret.rotation.as_ref().and_then(|rotation| rotation.function_arn.as_ref());
        given.or_else(kept).cloned().map(Performer::Function).ok_or_else(Error::no_rotation_function)
    }

    fn response(&self, secret: &Secret) -> RotateSecretResponse {
        RotateSecretResponse {
            arn: secret.arn.clone(),
            name: secret.name.to_string(),
            version_id: self.token.to_string(),
        }
    }
}

impl Operation for RotateSecret {
    type Response = Answer;

    fn secret_id(&self) -> &SecretId {
        &self.id
    }

    fn access(&self) -> Access<'_> {
        Access {
            rotation_lambda_arn: self.change.function_arn.as_deref(),
            modify_rotation_rules: Some(self.change.rules.is_some()),
            rotate_immediately: Some(self.is_immediate),
            ..Access::to("RotateSecret")
        }
    }

    fn decide(&self, secret: Option<Secret>, _: Option<bool>, moment: &Moment<'_>) -> Result<Verdict<Answer>> {
        let mut secret = secret.ok_or_else(Error::secret_not_found)?;
        secret.require_active()?;
        secret.require_primary()?;
        let performer = self.performer(&secret)?;
        let response = self.response(&secret);
        if let Some(job) = secret.job().filter(|job| job.token == self.token) {
            if job.due_at.is_some() {
                return Ok(Verdict::Answer(Answer::Done(response)));
            }
            // What is carried on is what is stored, and is called on behalf of who asks for it now.
            let stored = self.performer_of(&secret, None)?;
            if self.is_for_caller && self.asked.as_ref().is_none_or(|(asked, _)| *asked != stored) {
                return Ok(Verdict::Answer(Answer::Ask(stored)));
            }
            secret.resume_rotation(moment.now);
            return Ok(Verdict::store(secret, Answer::Done(response)));
        }
        // While a rotation is being finished its version is the current one already.
        let is_being_finished = secret.job().is_some() && self.rotating.has(&secret.uid);
        if secret.pending().is_some() || is_being_finished {
            return Err(Error::invalid_request(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ));
        }
        secret.require_new_token(&self.token)?;
        if self.change.external != External::default() && secret.external_type.is_none() {
            return Err(Error::invalid_parameter(
                "ExternalSecretRotationMetadata and ExternalSecretRotationRoleArn are for managed external secrets.",
            ));
        }
        secret.configure_rotation(&self.change, moment.now)?;
        let is_managed = !matches!(performer, Performer::Function(_));
        if is_managed && !self.is_immediate {
            // There is no function that could be tried.
            secret.touch(moment.now);
            return Ok(Verdict::store(secret, Answer::Done(response)));
        }
        match &self.asked {
            Some((asked, is_invocable)) if *asked == performer => {
                if !is_invocable {
                    return Err(performer.refused());
                }
            }
            _ => return Ok(Verdict::Answer(Answer::Ask(performer))),
        }
        let kind = if self.is_immediate { JobKind::Rotation } else { JobKind::Test };
        secret.begin_rotation(&self.token, kind, self.rotation_token.clone(), self.versions_max, moment.now)?;
        Ok(Verdict::store(secret, Answer::Done(response)))
    }
}
