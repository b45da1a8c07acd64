//! Stores to measure: the same secrets in every bench.

use std::path::Path;

use strongroom::{Builder, CreateSecretRequest, Durability, SecretStore, SecretsManager, StaticKey};
use tempfile::TempDir;

/// The key of the one key provider.
pub(crate) const KEY: [u8; 32] = [7; 32];

/// A place on the disk that the build is on: a temporary directory of the system may be in memory.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// What all stores of the benches have in common.
pub(crate) fn with_key(builder: Builder) -> Builder {
    builder.key_provider(StaticKey::new(KEY)).secrets_max(u64::MAX)
}

/// Opens the store in a directory.
pub(crate) fn open(path: &Path, cache_bytes: u64) -> SecretStore {
    with_key(SecretStore::builder(path)).cache_capacity_bytes(cache_bytes).open().expect("the store opens")
}

/// sled alone, as the store configures it.
pub(crate) fn raw_sled(path: &Path, cache_bytes: u64) -> sled::Db {
    let config = sled::Config::new().path(path).segment_size(8 * 1024 * 1024).cache_capacity(cache_bytes);
    config.flush_every_ms(Some(500)).open().expect("sled opens")
}

/// Makes a store of so many secrets in a directory, and closes it.
pub(crate) fn make(path: &Path, secrets: usize, cache_bytes: u64) {
    let builder = with_key(SecretStore::builder(path)).cache_capacity_bytes(cache_bytes);
    let store = builder.durability(Durability::Eventual).open().expect("the store opens");
    fill(&store.default_secrets_manager(), secrets);
    store.close().expect("the store closes");
}

/// Creates secrets with values of 1 KiB.
pub(crate) fn fill(manager: &SecretsManager, secrets: usize) {
    for index in 0..secrets {
        let request = CreateSecretRequest::new(name(index)).secret_string(value(index));
        manager.create_secret(request).expect("the secret is created");
    }
}

pub(crate) fn name(index: usize) -> String {
    format!("bench/application/secret-{index:08}")
}

/// 1 KiB of text, another one for each number. Cheap to make: it is made while puts are measured.
pub(crate) fn value(number: usize) -> String {
    format!("{number:016x}{}", "x".repeat(1_008))
}
