//! Stores with secrets of every kind, and what a client can see of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest,
    DescribeSecretResponse, Error, ErrorKind, ExportOptions, ExportReport, ExternalSecretRotationMetadataItem,
    GetResourcePolicyRequest, GetSecretValueRequest, ImportOptions, ImportReport, KeyProvider, KeyScope,
    ListSecretVersionIdsRequest, ListSecretsRequest, LocalKeyring, MemoryBackend, PutResourcePolicyRequest,
    PutSecretValueRequest, Result, RotateSecretRequest, RotationCall, RotationError, RotationFunction, RotationRules,
    RotationStep, SecretStore, SecretsManager, StaticKey, Tag, Timestamp, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};
use tempfile::TempDir;

/// 2023-11-14 22:13:20 UTC.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

/// The accounts and Regions in which there are secrets.
pub(crate) const TENANTS: [(&str, &str); 3] =
    [("000000000000", "us-east-1"), ("123456789012", "eu-central-1"), ("123456789012", "cn-north-1")];

pub(crate) fn open(
    backend: impl Backend + 'static,
    provider: impl KeyProvider + 'static,
    clock: &ManualClock,
) -> Result<SecretStore> {
    let entropy = SeededEntropy::new(u64::try_from(clock_millis(clock)).unwrap());
    SecretStore::with_backend(backend)
        .key_provider(provider)
        .clock(clock.clone())
        .entropy(entropy)
        .rotation_function("arn:*", Renews)
        .partner_rotation("partner/type", Renews)
        .rotation_timeout(None)
        .open()
}

/// Rotates every secret, but those of which the name says that it cannot.
#[derive(Debug)]
struct Renews;

impl RotationFunction for Renews {
    fn invoke(&self, call: &RotationCall) -> std::result::Result<(), RotationError> {
        let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
        let pending = || GetSecretValueRequest::new(id).version_id(token).version_stage("AWSPENDING");
        match call.step {
            RotationStep::CreateSecret if secrets.get_secret_value(pending()).is_err() => {
                let put = PutSecretValueRequest::new(id, format!("made for {token}")).client_request_token(token);
                secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
            }
            RotationStep::SetSecret if id.contains("stuck") => return Err("nobody answers".into()),
            RotationStep::FinishSecret => {
                let current = secrets.get_secret_value(GetSecretValueRequest::new(id))?.version_id;
                let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
                secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The ARN of a rotation function of an account and Region.
pub(crate) fn function_arn(account: &str, region: &str) -> String {
    let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
    format!("arn:{partition}:lambda:{region}:{account}:function:rotate")
}

fn clock_millis(clock: &ManualClock) -> i64 {
    strongroom::Clock::now(clock).timestamp_millis()
}

/// A store whose secrets are moved, with its keys and its clock.
pub(crate) struct Source {
    pub(crate) store: SecretStore,
    pub(crate) keyring: LocalKeyring,
    pub(crate) clock: ManualClock,
}

impl Source {
    pub(crate) fn empty() -> Self {
        let (keyring, clock) = (LocalKeyring::in_memory(), ManualClock::at_millis(START_MILLIS));
        let store = open(MemoryBackend::new(), keyring.clone(), &clock).unwrap();
        Self { store, keyring, clock }
    }

    pub(crate) fn home(&self) -> SecretsManager {
        self.store.default_secrets_manager()
    }

    pub(crate) fn create(&self, name: &str, value: &str) {
        self.home().create_secret(CreateSecretRequest::new(name).secret_string(value)).unwrap();
        self.clock.advance(TimeDelta::milliseconds(7));
    }

    /// One secret with one small value.
    pub(crate) fn small() -> Self {
        let source = Self::empty();
        source.create("small", "CANARY-VALUE");
        source
    }

    /// A few small secrets.
    pub(crate) fn several(count: usize) -> Self {
        let source = Self::empty();
        for number in 0..count {
            source.create(&format!("secret/{number}"), &format!("value {number}"));
        }
        source
    }

    /// Secrets of every kind, in every account and Region.
    pub(crate) fn rich() -> Self {
        let source = Self::empty();
        for (account, region) in TENANTS {
            source.fill(account, region);
        }
        source
    }

    fn fill(&self, account: &str, region: &str) {
        let secrets = self.store.secrets_manager(account, region).unwrap();
        let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
        let key = self.keyring.create_key(KeyScope::new(partition, account, region)).unwrap();
        self.keyring.create_alias("alias/app", &key).unwrap();
        let step = || self.clock.advance(TimeDelta::milliseconds(1_234));
        let put = |name: &str, value: strongroom::SecretValue, labels: &[&str]| {
            let mut request = PutSecretValueRequest::new(name, value);
            if !labels.is_empty() {
                request = request.version_stages(labels.iter().copied());
            }
            let put = secrets.put_secret_value(request).unwrap();
            self.clock.advance(TimeDelta::milliseconds(999));
            put.version_id
        };
        let create = |request: CreateSecretRequest| {
            step();
            secrets.create_secret(request).unwrap()
        };

        create(
            CreateSecretRequest::new("labels/of/all/kinds").secret_string("one").description("Ünïcödé, 描述 \"\\\n"),
        );
        let second = put("labels/of/all/kinds", "two".into(), &["blue", "AWSCURRENT", "grün 🎨"]);
        put("labels/of/all/kinds", "three".into(), &[]);
        put("labels/of/all/kinds", "four".into(), &["AWSPENDING", "x"]);
        let label = UpdateSecretVersionStageRequest::new("labels/of/all/kinds", "late").move_to_version_id(second);
        secrets.update_secret_version_stage(label).unwrap();

        let every_byte: Vec<u8> = (0..=255).collect();
        create(CreateSecretRequest::new("binary").secret_binary(every_byte));
        put("binary", b"\xff\0".into(), &[]);
        create(CreateSecretRequest::new("one-byte").secret_string(" "));
        create(CreateSecretRequest::new("controls").secret_string("\u{0}\u{1f}\u{7f}\u{2028}\u{feff}\r\n\t\"\\"));
        create(CreateSecretRequest::new("largest/text").secret_string("€".repeat(21_845) + "!"));
        create(CreateSecretRequest::new("largest/binary").secret_binary(vec![0xa5; 65_536]));
        create(CreateSecretRequest::new("empty"));
        create(CreateSecretRequest::new("tags/none").secret_string("v"));
        create(CreateSecretRequest::new("tags/empty").secret_string("v").tags(Vec::<Tag>::new()));
        let tags = (0..50).map(|number| Tag::new(format!("ключ {number}"), "値".repeat(number)));
        create(CreateSecretRequest::new("tags/most").secret_string("v").tags(tags));
        create(CreateSecretRequest::new("N".repeat(512)).secret_string("long name").description("d".repeat(2_048)));
        create(CreateSecretRequest::new("external").secret_string("v").r#type("partner/type"));
        create(CreateSecretRequest::new("own-key").secret_string("first").kms_key_id("alias/app"));
        put("own-key", "second".into(), &[]);
        create(CreateSecretRequest::new("changed-key").secret_string("under the default key"));
        step();
        secrets.update_secret(UpdateSecretRequest::new("changed-key").kms_key_id("alias/app")).unwrap();
        create(CreateSecretRequest::new("many").secret_string("0"));
        for number in 1..150 {
            put("many", number.to_string().as_str().into(), &[]);
        }
        self.rotate(&secrets);
        for (name, principal) in [("binary", "*"), ("tags/most", "111122223333"), ("rotates/stuck", "444455556666")] {
            let policy = format!(
                "\t{{\"Id\": \"Ünïcödé, 描述 {account}\", \"Statement\":\r\n[{{\"Effect\": \"Allow\", \"Action\": \"*\", \
                 \"Resource\": \"*\", \"Principal\": {{\"AWS\": \"{principal}\"}}}}]}}\n"
            );
            secrets.put_resource_policy(PutResourcePolicyRequest::new(name, policy)).unwrap();
        }
        create(CreateSecretRequest::new("going").secret_string("restore me"));
        secrets.delete_secret(DeleteSecretRequest::new("going").recovery_window_in_days(30)).unwrap();
        // Noted on the second day, so that the day differs from the day of creation.
        for name in ["binary", "own-key"] {
            secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        }
    }

    /// Secrets whose rotation is in each of its states.
    fn rotate(&self, secrets: &SecretsManager) {
        let function = function_arn(secrets.account(), secrets.region());
        let create = |name: &str| CreateSecretRequest::new(name).secret_string("before rotation");
        let rotate = |name: &str| RotateSecretRequest::new(name).rotation_lambda_arn(&function);
        let by_days = RotationRules::new().automatically_after_days(30).duration("2h");
        let by_weeks = RotationRules::new().schedule_expression("cron(0 4 ? * SUN#2 *)").duration("3h");
        for name in ["rotates/by-days", "rotates/cancelled", "rotates/stuck", "rotates/on-demand"] {
            secrets.create_secret(create(name)).unwrap();
        }
        self.clock.advance(TimeDelta::milliseconds(1_234));
        secrets.rotate_secret(rotate("rotates/by-days").rotation_rules(by_days)).unwrap();
        secrets.rotate_secret(rotate("rotates/cancelled").rotation_rules(by_weeks.clone())).unwrap();
        secrets.rotate_secret(rotate("rotates/stuck").rotation_rules(by_weeks.clone())).unwrap();
        // Those that are stuck in other accounts and Regions are tried again.
        let report = self.store.maintain().unwrap();
        assert!(report.rotated_secrets == 2 && report.failed_rotations > 0, "{report:?}");
        self.clock.advance(TimeDelta::milliseconds(1_234));
        secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("rotates/cancelled")).unwrap();
        secrets.rotate_secret(rotate("rotates/on-demand")).unwrap();
        secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("rotates/on-demand")).unwrap();

        secrets.create_secret(create("rotates/partner").r#type("partner/type")).unwrap();
        let partner = RotateSecretRequest::new("rotates/partner").rotation_rules(by_weeks).rotate_immediately(false);
        let items = ["k", "Schlüssel"].map(|key| ExternalSecretRotationMetadataItem::new(key, "値".repeat(682)));
        let partner = partner.external_secret_rotation_role_arn("arn:aws:iam::000000000000:role/rotates");
        secrets.rotate_secret(partner.external_secret_rotation_metadata(items)).unwrap();
    }

    pub(crate) fn export(&self) -> Exported {
        let exported = Exported::place();
        exported.from(&self.store).unwrap();
        exported
    }

    /// The lines of an export that is not encrypted.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        self.store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| ()).unwrap();
        lines
    }
}

/// The key of every export, unless a test says otherwise.
pub(crate) fn export_key() -> StaticKey {
    StaticKey::new([1; 32])
}

/// A file for an export, in a directory of its own.
pub(crate) struct Exported {
    _directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Exported {
    pub(crate) fn place() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.export");
        Self { _directory: directory, path }
    }

    pub(crate) fn from(&self, store: &SecretStore) -> Result<ExportReport> {
        store.export(&self.path, &export_key(), &ExportOptions::new(), &mut |_| ())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

pub(crate) fn import(store: &SecretStore, path: &Path) -> Result<ImportReport> {
    import_with(store, path, &ImportOptions::new())
}

pub(crate) fn import_with(store: &SecretStore, path: &Path, options: &ImportOptions) -> Result<ImportReport> {
    store.import(path, &export_key(), options, &mut |_| ())
}

pub(crate) fn import_lines(store: &SecretStore, lines: &[u8]) -> Result<ImportReport> {
    store.import_plaintext(&mut std::io::Cursor::new(lines), &ImportOptions::new(), &mut |_| ())
}

/// A store with other keys and another clock, in which secrets arrive.
pub(crate) struct Target {
    pub(crate) store: SecretStore,
    pub(crate) keyring: LocalKeyring,
    pub(crate) clock: ManualClock,
}

impl Target {
    pub(crate) fn new() -> Self {
        Self::over(MemoryBackend::new())
    }

    pub(crate) fn over(backend: impl Backend + 'static) -> Self {
        let keyring = LocalKeyring::in_memory();
        for (account, region) in TENANTS {
            let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
            let key = keyring.create_key(KeyScope::new(partition, account, region)).unwrap();
            keyring.create_alias("alias/app", &key).unwrap();
        }
        let clock = ManualClock::at_millis(START_MILLIS + 5 * 86_400_000);
        let store = open(backend, keyring.clone(), &clock).unwrap();
        Self { store, keyring, clock }
    }

    pub(crate) fn home(&self) -> SecretsManager {
        self.store.default_secrets_manager()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.store.stats().unwrap().epoch
    }
}

/// A version as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenVersion {
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) accessed: Option<Timestamp>,
    pub(crate) labels: Vec<String>,
    /// The key that seals what is new.
    pub(crate) key: String,
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "text of {}: {:?}", text.len(), text.chars().take(20).collect::<String>()),
            Self::Bytes(bytes) => write!(f, "{} bytes: {:?}", bytes.len(), &bytes[..bytes.len().min(20)]),
        }
    }
}

/// A secret as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) described: DescribeSecretResponse,
    pub(crate) versions: Vec<SeenVersion>,
    /// The version that each label reads.
    pub(crate) by_label: BTreeMap<String, String>,
    /// Its resource policy. Of a secret that is scheduled for deletion nobody is told.
    pub(crate) policy: Option<String>,
}

pub(crate) type Picture = BTreeMap<String, Seen>;

/// Everything that a client can learn of the secrets of a store, by ARN. Dates of last access as they were before.
pub(crate) fn picture(store: &SecretStore) -> Picture {
    let mut picture = Picture::new();
    for (account, region) in TENANTS {
        let secrets = store.secrets_manager(account, region).unwrap();
        for name in names(&secrets) {
            let seen = see(&secrets, &name);
            picture.insert(seen.described.arn.clone(), seen);
        }
    }
    picture
}

pub(crate) fn names(secrets: &SecretsManager) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = None;
    loop {
        let mut request = ListSecretsRequest::new().include_planned_deletion(true);
        if let Some(token) = next {
            request = request.next_token(token);
        }
        let page = secrets.list_secrets(request).unwrap();
        names.extend(page.secret_list.into_iter().map(|entry| entry.name));
        next = page.next_token;
        if next.is_none() {
            return names;
        }
    }
}

pub(crate) fn see(secrets: &SecretsManager, name: &str) -> Seen {
    let described = secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
    let mut versions = Vec::new();
    let mut next = None;
    loop {
        let mut request = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
        if let Some(token) = next {
            request = request.next_token(token);
        }
        let page = secrets.list_secret_version_ids(request).unwrap();
        versions.extend(page.versions.into_iter().map(|entry| SeenVersion {
            id: entry.version_id,
            created: entry.created_date,
            accessed: entry.last_accessed_date,
            labels: entry.version_stages.unwrap_or_default(),
            key: entry.kms_key_ids.last().unwrap().clone(),
            value: None,
        }));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    let mut by_label = BTreeMap::new();
    let mut policy = None;
    if described.deleted_date.is_none() {
        let found = secrets.get_resource_policy(GetResourcePolicyRequest::new(name)).unwrap();
        policy = found.resource_policy;
        for version in &mut versions {
            version.value = Some(value(secrets, GetSecretValueRequest::new(name).version_id(&version.id)).1);
            for label in &version.labels {
                by_label.insert(label.clone(), value(secrets, GetSecretValueRequest::new(name).version_stage(label)).0);
            }
        }
    }
    Seen { described, versions, by_label, policy }
}

fn value(secrets: &SecretsManager, request: GetSecretValueRequest) -> (String, Value) {
    let read = secrets.get_secret_value(request).unwrap();
    let value = match (read.secret_string, read.secret_binary) {
        (Some(text), None) => Value::Text(text.expose().to_owned()),
        (None, Some(bytes)) => Value::Bytes(bytes.expose().to_vec()),
        other => panic!("{other:?}"),
    };
    (read.version_id, value)
}

/// The current value of a secret of the default account and Region.
pub(crate) fn current(store: &SecretStore, name: &str) -> Result<String> {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name))?;
    Ok(read.secret_string.unwrap().expose().to_owned())
}

/// What a refused call was refused with, after checking that the file was to blame.
#[track_caller]
pub(crate) fn file_is_refused<T: std::fmt::Debug>(result: Result<T>, what: &str) -> Error {
    let error = result.map(|done| panic!("{what}: {done:?}")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::BackupFile, "{what}: {error}");
    error
}
