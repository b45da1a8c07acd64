//! A store in memory with a clock that is moved by hand, and how tests look at answers.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Builder, CreateSecretRequest, CreateSecretResponse, DescribeSecretRequest, DescribeSecretResponse, Error,
    GetSecretValueRequest, GetSecretValueResponse, ListSecretVersionIdsRequest, PutSecretValueRequest, Result,
    RotateSecretRequest, RotationCall, RotationError, RotationFunction, SecretStore, SecretVersionsListEntry,
    SecretsManager, StaticKey, Timestamp, UpdateSecretVersionStageRequest,
};

/// 2023-11-14T22:13:20Z, an hour and three quarters before midnight.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

/// The one function that can be called.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:idle";

/// Does nothing, because nobody maintains the store.
#[derive(Debug)]
struct Idle;

impl RotationFunction for Idle {
    fn invoke(&self, _: &RotationCall) -> std::result::Result<(), RotationError> {
        Ok(())
    }
}

/// A code and its text, as recorded against the service.
pub(crate) type Refusal<'a> = (&'a str, &'a str);

pub(crate) const NOT_FOUND: Refusal<'_> =
    ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
pub(crate) const MARKED: Refusal<'_> =
    ("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.");
pub(crate) const NAME_SCHEDULED: Refusal<'_> = (
    "InvalidRequestException",
    "You can't create this secret because a secret with this name is already scheduled for deletion.",
);
pub(crate) const INVALID_NAME: Refusal<'_> = (
    "ValidationException",
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
);
pub(crate) const NO_TOKEN: Refusal<'_> =
    ("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.");
pub(crate) const NO_FUNCTION: Refusal<'_> =
    ("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.");
pub(crate) const LABEL_ELSEWHERE: Refusal<'_> =
    ("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.");
pub(crate) const NO_VALUE: Refusal<'_> =
    ("InvalidRequestException", "You must provide either SecretString or SecretBinary.");

pub(crate) struct Fixture {
    pub(crate) store: SecretStore,
    pub(crate) secrets: SecretsManager,
    pub(crate) clock: ManualClock,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A fixture whose store has other settings.
    pub(crate) fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self::on(SecretStore::in_memory(), settings)
    }

    pub(crate) fn on(builder: Builder, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let builder = builder.key_provider(StaticKey::new([7; 32])).clock(clock.clone()).entropy(SeededEntropy::new(1));
        let builder = builder.rotation_function(FUNCTION, Idle);
        let store = settings(builder).open().expect("the store opens");
        let secrets = store.default_secrets_manager();
        Self { store, secrets, clock }
    }

    /// One secret of this name, without a value.
    pub(crate) fn with_secret(name: &str) -> Self {
        let fixture = Self::new();
        fixture.secrets.create_secret(CreateSecretRequest::new(name)).expect("the secret is created");
        fixture
    }

    /// One secret of this name whose version 1 is current.
    pub(crate) fn with_value(name: &str) -> Self {
        let fixture = Self::new();
        fixture.create(name);
        fixture
    }

    /// A secret with the value `value 1` in version 1.
    pub(crate) fn create(&self, name: &str) -> CreateSecretResponse {
        self.secrets.create_secret(creation(name, 1)).expect("the secret is created")
    }

    /// Another version, which takes these labels, none meaning the default.
    pub(crate) fn put(&self, id: &str, n: usize, labels: &[&str]) -> Vec<String> {
        let mut request = putting(id, n);
        if !labels.is_empty() {
            request = request.version_stages(labels.iter().copied());
        }
        sorted(self.secrets.put_secret_value(request).expect("the value is put").version_stages)
    }

    pub(crate) fn describe(&self, id: &str) -> DescribeSecretResponse {
        self.secrets.describe_secret(DescribeSecretRequest::new(id)).expect("the secret is described")
    }

    pub(crate) fn get(&self, request: GetSecretValueRequest) -> GetSecretValueResponse {
        self.secrets.get_secret_value(request).expect("the value is read")
    }

    /// The current value.
    pub(crate) fn read(&self, id: &str) -> String {
        text(&self.get(GetSecretValueRequest::new(id)))
    }

    /// The value of a version.
    pub(crate) fn read_version(&self, id: &str, n: usize) -> String {
        text(&self.get(GetSecretValueRequest::new(id).version_id(token(n))))
    }

    /// The labels of each labelled version, sorted.
    pub(crate) fn labels(&self, id: &str) -> BTreeMap<String, Vec<String>> {
        let stages = self.describe(id).version_ids_to_stages.unwrap_or_default();
        stages.into_iter().map(|(version, labels)| (version, sorted(labels))).collect()
    }

    /// Every version, deprecated ones included.
    pub(crate) fn versions(&self, id: &str) -> Vec<SecretVersionsListEntry> {
        let request = ListSecretVersionIdsRequest::new(id).include_deprecated(true);
        self.secrets.list_secret_version_ids(request).expect("the versions are listed").versions
    }

    pub(crate) fn move_label(&self, id: &str, label: &str, from: Option<usize>, to: Option<usize>) -> Result<()> {
        self.secrets.update_secret_version_stage(moving(id, label, from, to)).map(|_| ())
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// So many milliseconds after the fixture was made.
    pub(crate) fn after(&self, millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(START_MILLIS + millis).expect("in range")
    }
}

/// The id of version `n`: 32 characters, and not a UUID.
pub(crate) fn token(n: usize) -> String {
    format!("version-{n:0>24}")
}

pub(crate) fn value(n: usize) -> String {
    format!("value {n}")
}

/// Creation with `value n` under token `n`.
pub(crate) fn creation(name: &str, n: usize) -> CreateSecretRequest {
    CreateSecretRequest::new(name).client_request_token(token(n)).secret_string(value(n))
}

/// Putting `value n` under token `n`.
pub(crate) fn putting(id: &str, n: usize) -> PutSecretValueRequest {
    PutSecretValueRequest::new(id, value(n)).client_request_token(token(n))
}

pub(crate) fn moving(id: &str, label: &str, from: Option<usize>, to: Option<usize>) -> UpdateSecretVersionStageRequest {
    let mut request = UpdateSecretVersionStageRequest::new(id, label);
    if let Some(from) = from {
        request = request.remove_from_version_id(token(from));
    }
    if let Some(to) = to {
        request = request.move_to_version_id(token(to));
    }
    request
}

/// Rotation to version `n` by the one function.
pub(crate) fn rotating(id: &str, n: usize) -> RotateSecretRequest {
    RotateSecretRequest::new(id).client_request_token(token(n)).rotation_lambda_arn(FUNCTION)
}

/// The text of a value that was stored as text.
pub(crate) fn text(read: &GetSecretValueResponse) -> String {
    read.secret_string.as_ref().expect("the value is text").expose().to_owned()
}

pub(crate) fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort();
    labels
}

#[track_caller]
pub(crate) fn error<T: Debug>(result: Result<T>) -> Error {
    result.expect_err("the call is refused")
}

/// The code of a refusal whose text is not known.
#[track_caller]
pub(crate) fn code<T: Debug>(result: Result<T>) -> &'static str {
    error(result).code()
}

/// The call is refused with exactly this code and text.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T>, (code, text): Refusal<'_>) {
    let error = error(result);
    assert_eq!((error.code(), error.message()), (code, text));
}
