//! Which keys open how much.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::version::{Content, KeyRole};
use crate::store::progress::{Meter, Progress};
use crate::store::{Inner, SecretStore};

/// How many versions a key opens, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// The key.
    pub key: KeyUse,
    /// Versions that have a wrap under it.
    pub versions: u64,
    /// Versions that nothing else opens.
    pub only_key_of: u64,
    /// Whether it opens the store itself.
    pub opens_store: bool,
}

/// A key, with the version of its material, as wraps name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct KeyUse {
    /// [`KeyProvider::id`](crate::KeyProvider::id) of its provider.
    pub provider: String,
    /// Its ARN.
    pub key_arn: String,
    /// The version of its material.
    pub key_version: String,
    /// Whether it is one of the store's recipients.
    pub is_recovery: bool,
}

/// Which keys open how much of a store: [`SecretStore::key_census`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCensus {
    /// Secrets, over all accounts and Regions.
    pub secrets: u64,
    /// Versions with a value.
    pub versions: u64,
    /// Every key, in order.
    pub keys: Vec<KeyUsage>,
    /// Generation of the store's root key.
    pub root_generation: u32,
    /// Whether a change of the root key was begun and is not finished.
    pub is_root_changing: bool,
}

impl SecretStore {
    /// Counts which keys the store and its versions are wrapped under. No key is asked for anything.
    ///
    /// Secrets that are scheduled for deletion count. What others change meanwhile may or may not be seen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage),
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, SecretStore, StaticKey};
    /// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let census = store.key_census(&mut |_| {})?;
    /// assert_eq!((census.versions, census.keys[0].versions, census.keys[0].opens_store), (1, 1, true));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn key_census(&self, progress: &mut dyn FnMut(Progress)) -> Result<KeyCensus> {
        self.inner.key_census(progress)
    }
}

impl Inner {
    pub(super) fn key_census(&self, progress: &mut dyn FnMut(Progress)) -> Result<KeyCensus> {
        let roots = self.records.roots();
        let mut census = KeyCensus {
            secrets: 0,
            versions: 0,
            keys: Vec::new(),
            root_generation: roots.newest.generation,
            is_root_changing: roots.former.is_some(),
        };
        let mut keys = Counts::new();
        for wrap in &self.header().header.wraps {
            let key = KeyUse {
                provider: wrap.wrapped.provider.to_string(),
                key_arn: wrap.wrapped.key_arn.to_string(),
                key_version: wrap.wrapped.key_version.to_string(),
                is_recovery: wrap.role == KeyRole::Recovery,
            };
            keys.entry(key).or_default().2 = true;
        }
        let mut meter = Meter::new("counting keys", self.records.head().secrets, progress);
        let catalogue = self.records.catalogue()?;
        for tenant in catalogue.tenants() {
            let mut last = None;
            loop {
                // By their names, and not by their keys, which another root key changes.
                let names = catalogue.names(&tenant, last.as_ref(), NAMES);
                for name in &names {
                    meter.advance(1);
                    let Some(loaded) = self.records.load(&tenant, name)? else { continue };
                    census.secrets += 1;
                    for content in loaded.secret.versions.iter().filter_map(|version| version.content.as_ref()) {
                        census.versions += 1;
                        count(content, &mut keys);
                    }
                }
                match names.into_iter().next_back() {
                    Some(name) => last = Some(name),
                    None => break,
                }
            }
        }
        meter.finish();
        let usage = |(key, (versions, only_key_of, opens_store))| KeyUsage { key, versions, only_key_of, opens_store };
        census.keys = keys.into_iter().map(usage).collect();
        Ok(census)
    }
}

/// Names that are looked up at a time.
const NAMES: usize = 256;

/// Versions under a key, those of them that nothing else opens, and whether it opens the store.
type Counts = BTreeMap<KeyUse, (u64, u64, bool)>;

fn count(content: &Content, keys: &mut Counts) {
    for used in &content.keys {
        let key = KeyUse {
            provider: used.provider.to_string(),
            key_arn: used.key_arn.to_string(),
            key_version: used.key_version.to_string(),
            is_recovery: used.role == KeyRole::Recovery,
        };
        let (versions, alone, _) = keys.entry(key).or_default();
        *versions += 1;
        *alone += u64::from(content.keys.len() == 1);
    }
}
