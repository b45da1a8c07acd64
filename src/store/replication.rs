//! How replicas are kept up to date, and where they may be.

use std::fmt;
use std::sync::Arc;

use crate::store::Builder;

/// When replicas receive what changes at their primary.
///
/// ```
/// use strongroom::{Replication, SecretStore, StaticKey};
///
/// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).replication(Replication::Deferred).open()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Replication {
    /// With the change itself, in one step: whoever sees the change at the primary sees it at the replicas. The default.
    #[default]
    Synchronous,
    /// When [`SecretStore::maintain`](crate::SecretStore::maintain) is called next; until then their status is
    /// [`StatusType::InProgress`](crate::StatusType::InProgress). For tests of code that waits.
    Deferred,
}

/// Whether two accounts belong to the same organization.
type SameOrganization = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// How replicas are kept up to date.
#[derive(Clone, Default)]
pub(crate) struct ReplicationSettings {
    pub(crate) mode: Replication,
    /// Regions that the host has besides those of the service.
    pub(crate) regions: Vec<String>,
    same_organization: Option<SameOrganization>,
}

impl fmt::Debug for ReplicationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, regions, same_organization } = self;
        let asked = same_organization.is_some();
        f.debug_struct("ReplicationSettings")
            .field("mode", mode)
            .field("regions", regions)
            .field("asked", &asked)
            .finish()
    }
}

impl ReplicationSettings {
    pub(crate) fn is_same_organization(&self, account: &str, other: &str) -> bool {
        self.same_organization.as_ref().is_none_or(|ask| ask(account, other))
    }
}

/// How replicas are kept up to date.
impl Builder {
    /// When replicas receive what changes at their primary. Default: [`Replication::Synchronous`].
    pub fn replication(mut self, replication: Replication) -> Self {
        self.settings.replication.mode = replication;
        self
    }

    /// Regions in which replicas can be besides those that the service has, for example of an emulator's own making. They are
    /// in the partition that their name says, `aws` if it says none.
    pub fn replica_regions<I: Into<String>>(mut self, regions: impl IntoIterator<Item = I>) -> Self {
        self.settings.replication.regions.extend(regions.into_iter().map(Into::into));
        self
    }

    /// Who belongs to whose organization: told two account ids, whether they are in the same one. It is asked when a replica in
    /// another account is associated with the restriction `SameOrg`. Default: all accounts are.
    pub fn same_organization(mut self, ask: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        self.settings.replication.same_organization = Some(Arc::new(ask));
        self
    }
}
