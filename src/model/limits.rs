//! Every quota, in one place. "API" is the API model of 2017-10-17, "quotas" the service's quota page.

/// Characters of a secret name (API, `NameType`).
pub const NAME_CHARS_MAX: usize = 512;
/// Characters of a `SecretId` (API).
pub const SECRET_ID_CHARS_MAX: usize = 2048;
/// Characters of a `ClientRequestToken` or `VersionId`, at least (API).
pub const VERSION_ID_CHARS_MIN: usize = 32;
/// Characters of a `ClientRequestToken` or `VersionId`, at most (API).
pub const VERSION_ID_CHARS_MAX: usize = 64;
/// Characters of a description (API).
pub const DESCRIPTION_CHARS_MAX: usize = 2048;
/// Characters of a `KmsKeyId` (API).
pub const KMS_KEY_ID_CHARS_MAX: usize = 2048;
/// Bytes of a secret value (quotas). The API model counts characters for `SecretString`; both are enforced.
pub const VALUE_BYTES_MAX: usize = 65_536;
/// Characters of a staging label (API).
pub const LABEL_CHARS_MAX: usize = 256;
/// Staging labels in one request, and over all versions of one secret (API, quotas).
pub const LABELS_MAX: usize = 20;
/// Characters of a tag key (API).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag value (API).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Tags of one secret (quotas).
pub const TAGS_MAX: usize = 50;
/// Characters of the `Type` of a managed external secret (API).
pub const TYPE_CHARS_MAX: usize = 256;
/// Filters of one listing (API).
pub const FILTERS_MAX: usize = 10;
/// Values of one filter (API).
pub const FILTER_VALUES_MAX: usize = 10;
/// Characters of one filter value (API).
pub const FILTER_VALUE_CHARS_MAX: usize = 512;
/// Entries of one page (API).
pub const PAGE_MAX: i32 = 100;
/// Entries of one page of `BatchGetSecretValue` (API, quotas).
pub const BATCH_MAX: i32 = 20;
/// Ids in one `BatchGetSecretValue` (API, quotas).
pub const BATCH_LEN_MAX: usize = 20;
/// Characters of a page token (API).
pub const NEXT_TOKEN_CHARS_MAX: usize = 4096;
/// Characters of a generated password (API).
pub const PASSWORD_CHARS_MAX: i64 = 4096;
/// Characters of a generated password when the caller names no length (API).
pub const PASSWORD_CHARS_DEFAULT: i64 = 32;
/// Characters of `ExcludeCharacters` (API).
pub const EXCLUDE_CHARS_MAX: usize = 4096;
/// Characters of a `RotationToken`, at least (API).
pub const ROTATION_TOKEN_CHARS_MIN: usize = 36;
/// Characters of a `RotationToken`, at most (API).
pub const ROTATION_TOKEN_CHARS_MAX: usize = 256;
/// Characters of the name of a service that owns a secret (API, `OwningServiceType`).
pub const OWNING_SERVICE_CHARS_MAX: usize = 128;
/// Characters of a `RotationLambdaARN` (API).
pub const ROTATION_LAMBDA_ARN_CHARS_MAX: usize = 2048;
/// Characters of the name of a Lambda function, and of its qualifier (Lambda's API).
pub const FUNCTION_NAME_CHARS_MAX: usize = 140;
/// Days of `AutomaticallyAfterDays`, at most (API).
pub const ROTATION_DAYS_MAX: i64 = 1000;
/// Characters of a `Duration`, at least (API).
pub const DURATION_CHARS_MIN: usize = 2;
/// Characters of a `Duration`, at most (API).
pub const DURATION_CHARS_MAX: usize = 3;
/// Characters of a `ScheduleExpression` (API).
pub const SCHEDULE_EXPRESSION_CHARS_MAX: usize = 256;
/// Characters of a key of `ExternalSecretRotationMetadata` (API).
pub const METADATA_KEY_CHARS_MAX: usize = 256;
/// Characters of a value of `ExternalSecretRotationMetadata` (API).
pub const METADATA_VALUE_CHARS_MAX: usize = 2048;
/// Characters of a role's ARN, at least (API).
pub const ROLE_ARN_CHARS_MIN: usize = 20;
/// Characters of a role's ARN, at most (API).
pub const ROLE_ARN_CHARS_MAX: usize = 2048;
/// Characters of a resource policy (API, quotas).
pub const RESOURCE_POLICY_CHARS_MAX: usize = crate::policy::POLICY_CHARS_MAX;
/// Characters of the name of a resource policy (API).
pub const POLICY_NAME_CHARS_MAX: usize = 64;
/// Policies of one secret. Ours: callers attach one, and the service names no number for its own.
pub const POLICIES_MAX: usize = 100;
/// Characters of a Region (API).
pub const REGION_CHARS_MAX: usize = 128;
/// Characters of the message of a replication status (API).
pub const STATUS_MESSAGE_CHARS_MAX: usize = 4096;
/// Characters of a secret's ARN, at least (API).
pub const SECRET_ARN_CHARS_MIN: usize = 20;
/// Characters of a secret's ARN, at most (API).
pub const SECRET_ARN_CHARS_MAX: usize = 2048;
/// Cross-account replicas of one secret (quotas).
pub const CROSS_ACCOUNT_REPLICAS_MAX: usize = 1;
/// Shortest recovery window in days (API reference of `DeleteSecret`).
pub const RECOVERY_DAYS_MIN: i64 = 7;
/// Longest recovery window in days, and the default (API reference of `DeleteSecret`).
pub const RECOVERY_DAYS_MAX: i64 = 30;
/// Versions of one secret beyond which unlabelled ones are removed (quotas).
pub const VERSIONS_KEPT: usize = 100;
/// Hours for which no version is removed (quotas).
pub const VERSION_KEPT_HOURS: i64 = 24;
/// Versions of one secret at which a further one is refused. Ours: the service names no number.
pub const VERSIONS_MAX_DEFAULT: usize = 1_000;
/// Secrets of one account and Region (quotas).
pub const SECRETS_MAX_DEFAULT: u64 = 500_000;
/// Commits whose changes are kept for standbys, unless somebody says otherwise.
pub const CHANGES_KEPT_DEFAULT: u64 = 100_000;
