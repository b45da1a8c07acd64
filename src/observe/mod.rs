//! Who is told of every operation when it is over, and what they are told.
//!
//! Owns [`Observer`], [`AuditRecord`] and the way from one to the other. A record is made of a request and an outcome, and
//! has no place for the value of a secret. Where nobody observes, nothing is collected.

pub(crate) mod parameters;
pub(crate) mod record;
pub(crate) mod rotation;

#[cfg(feature = "json")]
pub(crate) mod chain;
#[cfg(feature = "json")]
pub(crate) mod file;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
#[cfg(feature = "json")]
pub(crate) mod verify;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use uuid::Uuid;

use crate::entropy::{Entropy, OsEntropy};
use crate::error::{Error, Result};
use crate::model::tenant::Tenant;
use crate::observe::parameters::{Budget, Parameter, ParameterValue, Request};
use crate::observe::record::{AuditRecord, Outcome, Subject};
use crate::policy::Principal;
use crate::time::Timestamp;

/// Somebody who is told of every operation, whether it succeeded or failed.
///
/// # Contract for implementers
///
/// * `observe` is called once for each operation, on the thread of whoever called it, when its outcome is certain: what it
///   changed is as durable as the caller is about to be told. Records of calls that ran at the same time come in any order.
/// * The caller waits until `observe` returns. What is slow belongs on a thread of the observer's own.
/// * No lock is held: it may call the store, and is then called again for what it calls, so it must not answer every
///   record with a call.
/// * It must not panic. A panic is caught and ignored, and the operation's outcome stays what it was.
/// * A record never contains the value of a secret, a generated password or a token that grants something. It does contain
///   names, descriptions and tags.
///
/// ```
/// use std::sync::Mutex;
///
/// use strongroom::{AuditRecord, DescribeSecretRequest, Observer, SecretStore, StaticKey};
///
/// #[derive(Debug, Default)]
/// struct Names(Mutex<Vec<String>>);
///
/// impl Observer for Names {
///     fn observe(&self, record: &AuditRecord) {
///         let outcome = record.error_code.unwrap_or("ok");
///         self.0.lock().unwrap().push(format!("{}: {outcome}", record.event_name));
///     }
/// }
///
/// let names = std::sync::Arc::new(Names::default());
/// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).observer(names.clone()).open()?;
/// store.default_secrets_manager().describe_secret(DescribeSecretRequest::new("nope")).unwrap_err();
/// assert_eq!(*names.0.lock().unwrap(), ["DescribeSecret: ResourceNotFoundException"]);
/// # Ok::<(), strongroom::Error>(())
/// ```
pub trait Observer: Send + Sync + fmt::Debug {
    /// Takes note of an operation.
    fn observe(&self, record: &AuditRecord);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, record: &AuditRecord) {
        (**self).observe(record);
    }
}

/// The observers of a store.
#[derive(Debug)]
pub(crate) struct Observers {
    list: Vec<Arc<dyn Observer>>,
    ids: EventIds,
}

/// What a call asked for, kept from before it was made.
#[derive(Debug)]
pub(crate) struct Asked {
    operation: &'static str,
    parameters: Vec<(String, ParameterValue)>,
    budget: Budget,
}

/// In which account and Region, when, and under which id of the host's.
#[derive(Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) at: Timestamp,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) caller: Option<&'a Principal>,
}

impl Asked {
    pub(crate) fn new<Q: Request>(request: &Q) -> Self {
        let mut budget = Budget::new();
        let parameters = request.parameters(&mut budget);
        Self { operation: Q::operation(), parameters, budget }
    }
}

impl Observers {
    /// `store` is the life of the store that they observe.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub(crate) fn new(list: Vec<Arc<dyn Observer>>, store: Uuid, entropy: &dyn Entropy) -> Result<Self> {
        let mut opening = [0; 16];
        if !list.is_empty() && !entropy.is_for_tests() {
            OsEntropy::default().fill(&mut opening)?;
        }
        Ok(Self { list, ids: EventIds { store, opening, count: AtomicU64::new(0) } })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tells of a call that is over.
    pub(crate) fn call<R: Parameter>(
        &self,
        asked: Asked,
        outcome: Result<&R, &Error>,
        circumstances: &Circumstances<'_>,
    ) {
        let Asked { operation, parameters, mut budget } = asked;
        let is_read_only = is_read_only(operation);
        let outcome = match outcome {
            Ok(_) if is_read_only => Outcome::default(),
            Ok(response) => Outcome { response: response.value(&mut budget), ..Outcome::default() },
            Err(error) => Outcome { error: Some((error.code(), budget.message(error.message()))), response: None },
        };
        let Circumstances { tenant, at, request_id, caller } = *circumstances;
        let subject = Subject { tenant, at, event_id: self.ids.next(at), caller };
        let request_id = request_id.map(|id| Budget::new().text(id));
        self.tell(&AuditRecord::of_call(&subject, operation, is_read_only, parameters, outcome, request_id, &budget));
    }

    fn tell(&self, record: &AuditRecord) {
        for observer in &self.list {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.observe(record))) {
                // What is thrown can itself panic when it is dropped.
                std::mem::forget(panic);
            }
        }
    }
}

/// Whether an operation only reads. The service's names tell.
fn is_read_only(operation: &str) -> bool {
    ["BatchGet", "Describe", "Get", "List", "Validate"].iter().any(|verb| operation.starts_with(verb))
}

/// Where the ids of records come from.
///
/// Not from the store's own source of randomness: whoever seeds that relies on its sequence, which must not depend on
/// whether somebody observes. An id is a hash of the store, of this opening of it, and of a number that is never given
/// twice. Openings are told apart by random bytes of the system's, except in a store for tests, whose records are to be the
/// same in every run with the same calls; there the time helps.
#[derive(Debug)]
struct EventIds {
    store: Uuid,
    opening: [u8; 16],
    count: AtomicU64,
}

impl EventIds {
    fn next(&self, at: Timestamp) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut hash = Context::new(&SHA256);
        hash.update(b"strongroom/v1/event id");
        hash.update(self.store.as_bytes());
        hash.update(&self.opening);
        hash.update(&count.to_be_bytes());
        hash.update(&at.timestamp_millis().to_be_bytes());
        let digest = hash.finish();
        let id = digest.as_ref().first_chunk().copied().unwrap_or_default();
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_only_read_are_told_by_their_names() {
        let reads = [
            "BatchGetSecretValue",
            "DescribeSecret",
            "GetRandomPassword",
            "GetResourcePolicy",
            "GetSecretValue",
            "ListSecretVersionIds",
            "ListSecrets",
            "ValidateResourcePolicy",
        ];
        let writes = [
            "CancelRotateSecret",
            "CreateSecret",
            "DeleteResourcePolicy",
            "DeleteSecret",
            "PutResourcePolicy",
            "PutSecretValue",
            "RemoveRegionsFromReplication",
            "ReplicateSecretToRegions",
            "RestoreSecret",
            "RotateSecret",
            "StopReplicationToReplica",
            "TagResource",
            "UntagResource",
            "UpdateSecret",
            "UpdateSecretVersionStage",
        ];
        for (operation, expected) in reads.map(|name| (name, true)).into_iter().chain(writes.map(|name| (name, false)))
        {
            assert_eq!(is_read_only(operation), expected, "{operation}");
        }
    }

    #[test]
    fn no_two_openings_of_an_ordinary_store_give_the_same_ids() {
        #[derive(Debug)]
        struct Nobody;
        impl Observer for Nobody {
            fn observe(&self, _: &AuditRecord) {}
        }
        let at = crate::time::from_millis(0);
        let open = || Observers::new(vec![Arc::new(Nobody)], Uuid::nil(), &OsEntropy::default()).unwrap();
        let (first, second) = (open(), open());
        let ids = [first.ids.next(at), first.ids.next(at), second.ids.next(at), second.ids.next(at)];
        let distinct: std::collections::BTreeSet<Uuid> = ids.into_iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.get_version_num() == 8));
    }
}
