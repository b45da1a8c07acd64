//! The life of keys: what is wrapped under which key, and how that is changed while the store is in use.
//!
//! Every operation goes through the secrets one by one. A secret is changed in one atomic commit, or not at all, and only
//! after the new wraps were shown to open what they should. An operation that was interrupted is called again.

mod census;
mod header;
mod passphrase;
mod reencrypt;
mod rewrap;
mod root;
mod walk;

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, RwLockWriteGuard, TryLockError};

use crate::envelope::Recipient;
use crate::envelope::provider::KeyHandle;
use crate::error::{Error, ErrorKind, KeyFaultReason, Result};
use crate::model::tenant::Tenant;
use crate::model::version::KmsKeyId;
use crate::store::Inner;

pub use crate::store::keys::census::{KeyCensus, KeyUsage, KeyUse};
pub use crate::store::keys::reencrypt::ReencryptReport;
pub use crate::store::keys::rewrap::{DropReport, RewrapReport};
pub use crate::store::keys::root::{RootKeyReport, ShredReport};

/// Problems that a report lists; it counts all of them.
const PROBLEMS_MAX: usize = 100;

/// What an operation on keys is to go through, and how. By default every secret of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyOptions {
    tenants: Vec<(String, String)>,
    is_dry_run: bool,
    is_anew: bool,
    replaced: Option<(String, String)>,
}

impl KeyOptions {
    /// Every secret of the store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only the secrets of this account and Region, and of others that are given like this.
    #[must_use]
    pub fn only(mut self, account: impl Into<String>, region: impl Into<String>) -> Self {
        self.tenants.push((account.into(), region.into()));
        self
    }

    /// Whether to report what would be done, and do nothing. Default: `false`. (Keys are looked for, and a provider that makes
    /// default keys on first use may make one.)
    #[must_use]
    pub fn dry_run(mut self, is_dry_run: bool) -> Self {
        self.is_dry_run = is_dry_run;
        self
    }

    /// For [`SecretStore::reencrypt`](crate::SecretStore::reencrypt): whether to begin anew, although one that was interrupted
    /// could go on, however long ago that was. Default: `false`.
    #[must_use]
    pub fn anew(mut self, is_anew: bool) -> Self {
        self.is_anew = is_anew;
        self
    }

    /// For [`SecretStore::rewrap`](crate::SecretStore::rewrap): whatever is wrapped under `from`, a key ARN or what a caller
    /// wrote when it was wrapped, is to be wrapped under `to` instead, and secrets that use `from`, under whatever name, are
    /// to use `to`. For a key that is lost or to be given up.
    #[must_use]
    pub fn replace_key(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.replaced = Some((from.into(), to.into()));
        self
    }

    /// The key that is to take the place of one that somebody wrote, which led to this ARN.
    fn successor(&self, key: &KmsKeyId, arn: &str) -> KmsKeyId {
        match &self.replaced {
            Some((from, to)) if *key == KmsKeyId::parse(from) || arn == from => KmsKeyId::parse(to),
            _ => key.clone(),
        }
    }

    /// Refuses what cannot be meant, before anything is changed.
    fn check(&self) -> Result<()> {
        if let Some((from, to)) = &self.replaced {
            refuse_empty(from)?;
            refuse_empty(to)?;
        }
        self.tenants().map(drop)
    }

    fn tenants(&self) -> Result<Vec<Tenant>> {
        self.tenants.iter().map(|(account, region)| Tenant::parse(account, region)).collect()
    }

    /// What an interrupted operation has to agree on with the one that goes on.
    fn scope(&self) -> String {
        self.tenants.iter().map(|(account, region)| format!("{account}/{region}\n")).collect()
    }
}

/// An empty name would mean the default key, which has a name of its own.
fn refuse_empty(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::configuration("a key is named by its id, ARN, alias or the ARN of an alias"));
    }
    Ok(())
}

/// A version that an operation on keys had to leave as it was.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyProblem {
    /// The ARN of the secret.
    pub arn: String,
    /// The version. `None`: it is about the root key of the store, or about the secret as a whole.
    pub version_id: Option<String>,
    /// Why.
    pub error: Error,
}

/// Problems: the first of them, and how many there are.
#[derive(Debug, Default)]
struct Problems {
    list: Vec<KeyProblem>,
    total: u64,
}

impl Problems {
    fn add(&mut self, arn: &str, version_id: Option<&str>, error: Error) {
        self.total += 1;
        if self.list.len() < PROBLEMS_MAX {
            let version_id = version_id.map(str::to_owned);
            self.list.push(KeyProblem { arn: arn.to_owned(), version_id, error });
        }
    }
}

/// The right to do one operation on keys.
struct KeyWork<'a>(#[expect(dead_code, reason = "held for as long as the operation lasts")] MutexGuard<'a, ()>);

impl Inner {
    /// Begins an operation on keys, of which there is one at a time.
    fn begin_key_work(&self) -> Result<KeyWork<'_>> {
        self.records.usable()?;
        self.records.writable()?;
        self.begin_wrap_work()
    }

    /// Begins one that a standby permits, because it leaves secrets alone there.
    fn begin_wrap_work(&self) -> Result<KeyWork<'_>> {
        self.records.usable()?;
        match self.key_work.try_lock() {
            Ok(guard) => Ok(KeyWork(guard)),
            Err(TryLockError::Poisoned(guard)) => Ok(KeyWork(guard.into_inner())),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorKind::Contended, "another operation on the keys of this store is under way"))
            }
        }
    }

    /// Waits until nobody needs the header and the places of records to stay as they are.
    fn unsteady(&self) -> RwLockWriteGuard<'_, ()> {
        self.steady.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Keys that were found, each looked for once.
#[derive(Default)]
struct Resolved(HashMap<Sought, std::result::Result<KeyHandle, ErrorKind>>);

/// A key as somebody wrote it, for the secrets of an account and Region, or for the store.
type Sought = (Option<Arc<Tenant>>, KmsKeyId);

/// Keys that are remembered; beyond, all are looked for anew.
const RESOLVED_MAX: usize = 10_000;

impl Resolved {
    /// The key of a secret, if it is there and may be used. An outage is an error, another reason is not.
    fn of_secret(
        &mut self,
        store: &Inner,
        tenant: &Arc<Tenant>,
        key: &KmsKeyId,
    ) -> Result<std::result::Result<KeyHandle, Error>> {
        let sought = (Some(Arc::clone(tenant)), key.clone());
        self.find(sought, || {
            let handle = store.envelope.resolve(tenant, key)?;
            crate::envelope::require_usable(&handle).map(|()| handle)
        })
    }

    /// The key of one of the store's recipients.
    fn of_recipient(&mut self, store: &Inner, recipient: &Recipient) -> Result<std::result::Result<KeyHandle, Error>> {
        self.find((None, recipient.key.clone()), || store.envelope.recipient_key(recipient))
    }

    fn find(
        &mut self,
        sought: Sought,
        resolve: impl FnOnce() -> Result<KeyHandle>,
    ) -> Result<std::result::Result<KeyHandle, Error>> {
        let failed = |kind: &ErrorKind| Error::new(kind.clone(), unusable(kind));
        if let Some(known) = self.0.get(&sought) {
            return Ok(known.clone().map_err(|kind| failed(&kind)));
        }
        if self.0.len() >= RESOLVED_MAX {
            self.0.clear();
        }
        match resolve() {
            Ok(handle) => {
                self.0.insert(sought, Ok(handle.clone()));
                Ok(Ok(handle))
            }
            Err(error) if is_key_in_the_way(error.kind()) => {
                self.0.insert(sought, Err(error.kind().clone()));
                Ok(Err(failed(error.kind())))
            }
            Err(error) => Err(error),
        }
    }
}

fn unusable(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::KeyAccessDenied(fault) | ErrorKind::EncryptionFailure(fault) => {
            let why = match fault.reason {
                KeyFaultReason::NotFound => "there is no such key, or it is another one of that name",
                KeyFaultReason::Disabled => "it is disabled",
                KeyFaultReason::PendingDeletion => "it is scheduled for deletion",
                _ => "it may not be used",
            };
            format!("nothing can be wrapped under the key `{}`: {why}", fault.key)
        }
        _ => "nothing can be wrapped under the key that the key's name leads to".to_owned(),
    }
}

/// Whether one key is in the way, and not its provider or the store.
fn is_key_in_the_way(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::KeyAccessDenied(_)
            | ErrorKind::EncryptionFailure(_)
            | ErrorKind::DecryptionFailure(_)
            | ErrorKind::InvalidKey(_)
            | ErrorKind::InvalidRequest
            | ErrorKind::LimitExceeded
    )
}
