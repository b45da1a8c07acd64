//! A store with several Regions and accounts, its clock and its keys, and everything that can be seen of a secret.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    Builder, DescribeSecretRequest, DescribeSecretResponse, Error, GetResourcePolicyRequest, GetSecretValueRequest,
    KeyScope, ListSecretVersionIdsRequest, LocalKeyring, Replication, RotationRules, SecretStore, SecretsManager,
    StatusType, Tag, Timestamp,
};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER_ACCOUNT: &str = "444455556666";
/// Where the primaries of most tests are.
pub(crate) const HOME: &str = "us-east-1";
pub(crate) const REPLICA_REFUSAL: &str =
    "Operation not permitted on a replica secret. Call must be made in primary secret's region.";
pub(crate) const MARKED: &str = "You can't perform this operation on the secret because it was marked for deletion.";

pub(crate) struct Fixture {
    pub(crate) store: SecretStore,
    pub(crate) clock: ManualClock,
    pub(crate) keyring: LocalKeyring,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Replication::Synchronous)
    }

    pub(crate) fn with(replication: Replication) -> Self {
        Self::built(|builder| builder.replication(replication))
    }

    pub(crate) fn built(build: impl FnOnce(Builder) -> Builder) -> Self {
        let keyring = LocalKeyring::in_memory();
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH + TimeDelta::days(20_000));
        let builder = SecretStore::in_memory().key_provider(keyring.clone()).clock(clock.clone());
        Self { store: build(builder).open().unwrap(), clock, keyring }
    }

    pub(crate) fn of(&self, account: &str, region: &str) -> SecretsManager {
        self.store.secrets_manager(account, region).unwrap()
    }

    pub(crate) fn region(&self, region: &str) -> SecretsManager {
        self.of(ACCOUNT, region)
    }

    pub(crate) fn home(&self) -> SecretsManager {
        self.region(HOME)
    }

    /// A key of one's own in a Region.
    pub(crate) fn key(&self, region: &str) -> String {
        self.key_of(ACCOUNT, region)
    }

    pub(crate) fn key_of(&self, account: &str, region: &str) -> String {
        self.keyring.create_key(KeyScope::new("aws", account, region)).unwrap()
    }

    pub(crate) fn pass(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }
}

pub(crate) fn describe(secrets: &SecretsManager, id: &str) -> DescribeSecretResponse {
    secrets.describe_secret(DescribeSecretRequest::new(id)).unwrap()
}

pub(crate) fn read(secrets: &SecretsManager, id: &str) -> String {
    let read = secrets.get_secret_value(GetSecretValueRequest::new(id)).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

/// Region, status and message of each replica.
pub(crate) fn statuses(secrets: &SecretsManager, id: &str) -> Vec<(String, StatusType, Option<String>)> {
    let statuses = describe(secrets, id).replication_status.unwrap_or_default();
    statuses.into_iter().map(|status| (status.region, status.status, status.status_message)).collect()
}

/// The status and message of the only replica.
pub(crate) fn status(secrets: &SecretsManager, id: &str) -> (StatusType, String) {
    let statuses = statuses(secrets, id);
    assert_eq!(statuses.len(), 1);
    let (_, status, message) = statuses.into_iter().next().unwrap();
    (status, message.unwrap_or_default())
}

pub(crate) fn in_sync() -> (StatusType, String) {
    (StatusType::InSync, String::new())
}

/// Code and text of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    let error = result.unwrap_err();
    (error.code().to_owned(), error.message().to_owned())
}

pub(crate) fn refused(code: &str, text: impl Into<String>) -> (String, String) {
    (code.to_owned(), text.into())
}

/// A token that is told apart by its number.
pub(crate) fn token(number: usize) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

/// A version as it is seen: its labels in alphabetical order, when it was made, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenVersion {
    pub(crate) labels: Vec<String>,
    pub(crate) created: Timestamp,
    pub(crate) value: Option<String>,
}

/// What a replica must have exactly as its primary has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) versions: BTreeMap<String, SeenVersion>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<Vec<Tag>>,
    pub(crate) policy: Option<String>,
    pub(crate) rotation: (Option<bool>, Option<String>, Option<RotationRules>),
    pub(crate) dates: (Timestamp, Timestamp, Option<Timestamp>, Option<Timestamp>),
    /// Without its Region.
    pub(crate) arn: String,
}

impl Seen {
    pub(crate) fn of(secrets: &SecretsManager, id: &str) -> Self {
        let described = describe(secrets, id);
        let policy = secrets.get_resource_policy(GetResourcePolicyRequest::new(id)).unwrap().resource_policy;
        Self {
            versions: versions(secrets, id),
            description: described.description,
            tags: described.tags,
            policy,
            rotation: (described.rotation_enabled, described.rotation_lambda_arn, described.rotation_rules),
            dates: (
                described.created_date,
                described.last_changed_date,
                described.last_rotated_date,
                described.next_rotation_date,
            ),
            arn: described.arn.replace(secrets.region(), "REGION"),
        }
    }
}

/// Every version that can be listed, with its value.
pub(crate) fn versions(secrets: &SecretsManager, id: &str) -> BTreeMap<String, SeenVersion> {
    let mut versions = BTreeMap::new();
    let mut next = None;
    loop {
        let mut request = ListSecretVersionIdsRequest::new(id).include_deprecated(true).max_results(100);
        request.next_token = next.take();
        let page = secrets.list_secret_version_ids(request).unwrap();
        for entry in page.versions {
            let request = GetSecretValueRequest::new(id).version_id(entry.version_id.as_str());
            let value = match secrets.get_secret_value(request) {
                Ok(read) => Some(read.secret_string.unwrap().expose().to_owned()),
                Err(error) => {
                    assert_eq!(error.code(), "ResourceNotFoundException", "{error:?}");
                    None
                }
            };
            let mut labels = entry.version_stages.unwrap_or_default();
            labels.sort();
            versions.insert(entry.version_id, SeenVersion { labels, created: entry.created_date, value });
        }
        next = page.next_token;
        if next.is_none() {
            return versions;
        }
    }
}

/// Checks that a replica has whatever its primary has.
pub(crate) fn assert_equal(fixture: &Fixture, name: &str, regions: &[&str]) {
    let primary = Seen::of(&fixture.home(), name);
    for region in regions {
        assert_eq!(Seen::of(&fixture.region(region), name), primary, "{name} in {region}");
    }
}
