//! Stores to work on, what is known to be in them, and everything that a user can see of one.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Backend, Batch, Builder, CreateSecretRequest, DescribeSecretRequest, Durability, Entropy, GetSecretValueRequest,
    KeyProvider, ListSecretVersionIdsRequest, ListSecretsRequest, MemoryBackend, PutSecretValueRequest, SecretStore,
    SecretsManager, Tag, VerifyOptions,
};

/// When the stores of these tests live.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// Accounts and Regions that [`fill`] uses.
pub(crate) const TENANTS: [[&str; 2]; 3] =
    [["000000000000", "us-east-1"], ["111111111111", "us-east-1"], ["222222222222", "eu-central-1"]];

/// The account and Region of a builder that says nothing else.
pub(crate) const HOME: [&str; 2] = TENANTS[0];

/// A store in memory on a backend that somebody else keeps too.
pub(crate) fn on(backend: impl Backend + 'static, keys: impl KeyProvider + 'static, clock: &ManualClock) -> Builder {
    SecretStore::with_backend(backend).key_provider(keys).clock(clock.clone())
}

/// A backend with the same records.
pub(crate) fn copied(from: &MemoryBackend) -> MemoryBackend {
    let copy = MemoryBackend::new();
    copy.commit(&everything(from), Durability::Immediate).unwrap();
    copy
}

/// One batch that makes an empty backend hold what this one holds.
pub(crate) fn everything(from: &dyn Backend) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in from.scan(b"", None, usize::MAX).unwrap() {
        batch.put(key, value.as_ref().to_vec());
    }
    batch
}

/// The version id of a secret's version of this number.
pub(crate) fn token(secret: usize, version: usize) -> String {
    format!("{secret:016x}-{version:016x}")
}

/// The value of the version with this id.
pub(crate) fn value_of(token: &str) -> String {
    format!("the value of {token}")
}

pub(crate) fn name_of(secret: usize) -> String {
    format!("secret-{secret:06}")
}

pub(crate) fn manager(store: &SecretStore, secret: usize) -> SecretsManager {
    let [account, region] = TENANTS[secret % TENANTS.len()];
    store.secrets_manager(account, region).unwrap()
}

/// Makes secrets with so many versions each. `key` says under which key one is, if not under the default one.
pub(crate) fn fill(store: &SecretStore, secrets: Range<usize>, versions: usize, key: impl Fn(usize) -> Option<String>) {
    for secret in secrets {
        let manager = manager(store, secret);
        let name = name_of(secret);
        let first = token(secret, 0);
        let mut create = CreateSecretRequest::new(&name).tags([Tag::new("number", secret.to_string())]);
        if let Some(key) = key(secret) {
            create = create.kms_key_id(key);
        }
        if versions > 0 {
            create = create.secret_string(value_of(&first)).client_request_token(first);
        }
        manager.create_secret(create).unwrap();
        for version in 1..versions {
            put(&manager, secret, version);
        }
    }
}

pub(crate) fn put(manager: &SecretsManager, secret: usize, version: usize) {
    let token = token(secret, version);
    let put = PutSecretValueRequest::new(name_of(secret), value_of(&token)).client_request_token(&token);
    manager.put_secret_value(put).unwrap();
}

/// Everything of a store that its user can see, by what it is. Every value that can be read is the right one.
pub(crate) fn seen(store: &SecretStore) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for [account, region] in TENANTS {
        let manager = store.secrets_manager(account, region).unwrap();
        for name in names(&manager) {
            let described = manager.describe_secret(DescribeSecretRequest::new(&name)).unwrap();
            let is_scheduled = described.deleted_date.is_some();
            // A read notes its day, which is not what these tests are about.
            let mut described = described;
            described.last_accessed_date = None;
            seen.insert(format!("{account} {name}"), format!("{described:?}"));
            for (id, labels) in versions(&manager, &name) {
                if !is_scheduled {
                    assert_eq!(read(&manager, &name, &id), value_of(&id), "version {id} of {name}");
                }
                seen.insert(format!("{account} {name} {id}"), format!("{labels:?}"));
            }
        }
    }
    seen
}

/// The value of a version.
pub(crate) fn read(manager: &SecretsManager, name: &str, id: &str) -> String {
    let get = GetSecretValueRequest::new(name).version_id(id);
    let read = manager.get_secret_value(get).unwrap_or_else(|error| panic!("version {id} of {name}: {error:?}"));
    read.secret_string.unwrap().expose().to_owned()
}

fn versions(manager: &SecretsManager, name: &str) -> Vec<(String, Option<Vec<String>>)> {
    let mut found = Vec::new();
    let mut request = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
    loop {
        let page = manager.list_secret_version_ids(request).unwrap();
        found.extend(page.versions.into_iter().map(|version| (version.version_id, version.version_stages)));
        let Some(token) = page.next_token else { return found };
        request = ListSecretVersionIdsRequest::new(name).include_deprecated(true).next_token(token);
    }
}

/// The names of every secret, scheduled for deletion or not.
pub(crate) fn names(manager: &SecretsManager) -> Vec<String> {
    let mut names = Vec::new();
    let mut request = ListSecretsRequest::new().include_planned_deletion(true).max_results(100);
    loop {
        let page = manager.list_secrets(request).unwrap();
        names.extend(page.secret_list.into_iter().map(|entry| entry.name));
        let Some(token) = page.next_token else { return names };
        request = ListSecretsRequest::new().include_planned_deletion(true).max_results(100).next_token(token);
    }
}

/// Fails unless a verification that opens every value finds nothing.
pub(crate) fn assert_clean(store: &SecretStore) {
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");
}

/// Every file below a directory.
pub(crate) fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut rest = vec![path.to_owned()];
    while let Some(next) = rest.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else {
                files.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Numbers that are the same for the same seed.
pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_be_bytes(bytes) % bound as u64).unwrap()
    }
}
