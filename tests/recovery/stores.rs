//! Stores to work on, and everything that a user can see of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    Builder, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    ListSecretVersionIdsRequest, ListSecretsRequest, PutSecretValueRequest, SecretStore, SecretsManager, StaticKey,
    Tag, VerifyOptions,
};

/// When the stores of these tests live.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// Accounts and Regions that [`fill`] uses.
pub(crate) const TENANTS: [[&str; 2]; 2] = [["000000000000", "us-east-1"], ["123456789012", "eu-central-1"]];

pub(crate) fn builder(path: &Path) -> Builder {
    let clock = ManualClock::at_millis(NOW);
    SecretStore::builder(path).key_provider(StaticKey::new([7; 32])).clock(clock)
}

pub(crate) fn in_memory(seed: u64) -> Builder {
    let clock = ManualClock::at_millis(NOW);
    SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).clock(clock).entropy(SeededEntropy::new(seed))
}

/// A value that tells whose it is.
pub(crate) fn value(index: usize, round: usize) -> String {
    format!("value {round} of secret {index} ").repeat(1 + index % 7 * 20)
}

/// Secrets with several versions, tags and scheduled deletions, in two accounts.
pub(crate) fn fill(store: &SecretStore, secrets: std::ops::Range<usize>) {
    for index in secrets {
        let manager = manager(store, index);
        let name = format!("secret-{index:05}");
        let create =
            CreateSecretRequest::new(&name).secret_string(value(index, 0)).description(format!("number {index}"));
        manager.create_secret(create.tags([Tag::new("index", index.to_string())])).unwrap();
        for round in 1..1 + index % 4 {
            manager.put_secret_value(PutSecretValueRequest::new(&name, value(index, round))).unwrap();
        }
        if index % 5 == 0 {
            manager
                .delete_secret(DeleteSecretRequest::new(&name).recovery_window_in_days(7 + (index % 20) as i64))
                .unwrap();
        }
    }
}

pub(crate) fn manager(store: &SecretStore, index: usize) -> SecretsManager {
    let [account, region] = TENANTS[index % 2];
    store.secrets_manager(account, region).unwrap()
}

/// Everything of a store that its user can see, by what it is.
pub(crate) fn seen(store: &SecretStore) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    for [account, region] in TENANTS {
        let manager = store.secrets_manager(account, region).unwrap();
        for name in names(&manager) {
            let described = manager.describe_secret(DescribeSecretRequest::new(&name)).unwrap();
            // A read notes its day, which is not what these tests are about.
            seen.insert(
                format!("{account} {name}"),
                format!("{described:?}").split("last_accessed").next().unwrap().to_owned(),
            );
            let versions = ListSecretVersionIdsRequest::new(&name).include_deprecated(true);
            for version in manager.list_secret_version_ids(versions).unwrap().versions {
                let id = &version.version_id;
                let get = GetSecretValueRequest::new(&name).version_id(id);
                let read = match manager.get_secret_value(get) {
                    Ok(read) => read.secret_string.unwrap().expose().to_owned(),
                    Err(error) => error.code().to_owned(),
                };
                seen.insert(format!("{account} {name} {id}"), format!("{:?} {read}", version.version_stages));
            }
        }
    }
    seen
}

fn names(manager: &SecretsManager) -> Vec<String> {
    let mut names = Vec::new();
    let mut request = ListSecretsRequest::new().include_planned_deletion(true).max_results(100);
    loop {
        let page = manager.list_secrets(request).unwrap();
        names.extend(page.secret_list.into_iter().map(|entry| entry.name));
        let Some(token) = page.next_token else { return names };
        request = ListSecretsRequest::new().include_planned_deletion(true).max_results(100).next_token(token);
    }
}

/// Fails unless a verification finds nothing.
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
