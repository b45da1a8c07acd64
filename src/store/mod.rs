//! Assembly: opening, closing and maintaining a store, and the handles that work on it.

pub(crate) mod background;
mod backup;
mod builder;
mod compact;
mod directory;
mod keys;
pub(crate) mod maintenance;
mod portable;
mod progress;
pub(crate) mod replication;
pub(crate) mod rotation;
mod salvage;
mod seal;
mod space;
mod standby;
mod verify;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use uuid::Uuid;

use crate::access::{Caller, ParsedPolicies};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::model::limits as lim;
use crate::model::rotation::attempts::Retries;
use crate::model::secret::Owner;
use crate::model::tenant::Tenant;
use crate::model::version::KmsKeyId;
use crate::observe::Observers;
use crate::records::header::Header;
use crate::records::{Closed, Records};
use crate::storage::Backend;
use crate::storage::memory::MemoryBackend;
use crate::store::background::Alarm;
use crate::store::builder::Place;
use crate::store::directory::Directory;
use crate::store::maintenance::Upkeep;
use crate::store::replication::ReplicationSettings;
use crate::store::rotation::{Functions, Rotating};
use crate::time::{Timestamp, to_millis};

pub use crate::store::backup::BackupReport;
pub use crate::store::builder::{Builder, CheckRecords, OpenMode};
pub use crate::store::compact::CompactReport;
pub use crate::store::keys::{
    DropReport, KeyCensus, KeyOptions, KeyProblem, KeyUsage, KeyUse, ReencryptReport, RewrapReport, RootKeyReport,
    ShredReport,
};
pub use crate::store::maintenance::MaintenanceReport;
pub use crate::store::portable::{
    ConflictReason, ExportOptions, ExportReport, ImportConflict, ImportOptions, ImportReport, SkippedSecret,
};
pub use crate::store::progress::Progress;
pub use crate::store::replication::Replication;
pub use crate::store::rotation::{RotationCall, RotationError, RotationFunction, RotationStep};
pub use crate::store::salvage::SalvageReport;
pub use crate::store::space::SpaceUse;
pub use crate::store::standby::link::{ReplicationLink, ReplicationReport, StandbyDirectory};
pub use crate::store::standby::{StandbyState, StandbyStatus};
pub use crate::store::verify::{Finding, FindingKind, VerifyOptions, VerifyReport};

/// An open store: it owns the files, the keys, the clock and the source of randomness.
///
/// Work is done through handles for one account and Region, [`SecretsManager`]. Dropping the store and its handles
/// closes it; [`close`](Self::close) also reports whether that worked.
///
/// # Example
///
/// ```
/// use strongroom::{CreateSecretRequest, GetSecretValueRequest, LocalKeyring, SecretStore};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let directory = directory.path();
/// let keyring = LocalKeyring::open_or_create(directory.join("my.keyring"))?;
/// let store = SecretStore::builder(directory.join("mystore")).key_provider(keyring).open()?;
/// let secrets = store.default_secrets_manager();
///
/// secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
/// let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main"))?;
/// assert_eq!(read.secret_string.unwrap().expose(), "s3cret");
/// store.close()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug)]
pub struct SecretStore {
    inner: Arc<Inner>,
    default_tenant: Arc<Tenant>,
}

/// A handle for the secrets of one account and Region. Cheap to clone, and usable from any thread.
///
/// Every operation of the API is a method here. A method that changes something returns when the change is durable
/// (see [`Durability`](crate::Durability)), and changes nothing if it fails, with one exception: after [`ErrorKind::Storage`](crate::ErrorKind::Storage) the store
/// has to be opened again to learn whether the change is there.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    owner: Owner,
    /// On whose behalf it works. `None`: the host's own, who may do everything.
    caller: Option<Arc<Caller>>,
    /// The host's own id of the request that is being answered.
    request_id: Option<Arc<str>>,
}

#[derive(Debug)]
struct Inner {
    records: Records,
    envelope: Envelope,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    /// Who rotates which secrets.
    functions: Functions,
    /// Who is told of every operation.
    observers: Observers,
    /// Secrets whose function is being called.
    rotating: Rotating,
    /// Policies of secrets, for calls on somebody's behalf.
    parsed_policies: ParsedPolicies,
    /// What the store's own thread waits for.
    alarm: Arc<Alarm>,
    /// The key that is to protect the root key, if the builder was told one.
    root_key_id: Option<KmsKeyId>,
    header: RwLock<StoredHeader>,
    /// Held shared by whoever needs every record to stay under its key, exclusively while the root key is being changed.
    steady: RwLock<()>,
    /// One operation on keys at a time.
    key_work: Mutex<()>,
    /// Held as long as the records are open. `None` for a store without a directory.
    directory: Mutex<Option<Directory>>,
}

/// The header, and the bytes that it is stored as.
#[derive(Debug, Clone)]
struct StoredHeader {
    header: Header,
    stored: Vec<u8>,
}

/// What the builder decided for the operations.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) require_client_request_token: bool,
    pub(crate) versions_max: usize,
    pub(crate) secrets_max: u64,
    pub(crate) rotation: RotationSettings,
    pub(crate) replication: ReplicationSettings,
}

/// How rotations are carried out.
#[derive(Debug, Clone)]
pub(crate) struct RotationSettings {
    pub(crate) retries: Retries,
    /// How long a call of a function may take. `None`: it is called on the thread that maintains the store, and waited for.
    pub(crate) timeout: Option<Duration>,
    /// Secrets that are rotated at a time.
    pub(crate) workers: usize,
    /// Whether `RotateSecret` makes the first attempt before it returns.
    pub(crate) is_inline: bool,
}

/// Sizes and counts of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Secrets over all accounts and Regions, those that are scheduled for deletion included.
    pub secrets: u64,
    /// Commits since the store was made.
    pub epoch: u64,
    /// Bytes that the records take where they are kept.
    pub stored_bytes: u64,
    /// Bytes that the storage engine keeps outside its log. Always 0.
    pub unsynced_bytes: u64,
}

impl SecretStore {
    /// A store in a directory, which is made with mode 0700 if it is missing.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder::new(Place::Directory(directory.as_ref().to_owned()))
    }

    /// A store that is gone with the process.
    pub fn in_memory() -> Builder {
        Self::with_backend(MemoryBackend::new())
    }

    /// A store on a backend of the caller's. The header is kept in the backend too.
    pub fn with_backend(backend: impl Backend + 'static) -> Builder {
        Builder::new(Place::Backend(Box::new(backend)))
    }

    /// Whether there is a store in a directory. Nothing is opened, made or changed, and no key is needed: this is for
    /// deciding whether a key has to be made before [`Builder::open`] makes a store.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::NotAStore`](crate::ErrorKind::NotAStore): the path is not a directory, or holds other files, so that
    ///    no store can be made there either.
    /// 2. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted): there was a store, and its header is gone.
    /// 3. [`ErrorKind::Storage`](crate::ErrorKind::Storage): the directory cannot be read.
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("vault");
    /// assert!(!SecretStore::exists(&path)?);
    /// SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open()?.close()?;
    /// assert!(SecretStore::exists(&path)?);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn exists(directory: impl AsRef<Path>) -> Result<bool> {
        directory::holds_store(directory.as_ref())
    }

    /// A handle for one account and Region. They need not be announced; names are unique within each pair.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the account is not 12 digits, or the Region has not the form `us-east-1`.
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let frankfurt = store.secrets_manager("123456789012", "eu-central-1")?;
    /// assert_eq!(frankfurt.region(), "eu-central-1");
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn secrets_manager(&self, account: &str, region: &str) -> Result<SecretsManager> {
        let tenant = Arc::new(Tenant::parse(account, region)?);
        Ok(self.handle(tenant))
    }

    /// The handle for applications that do not think of accounts.
    #[must_use]
    pub fn default_secrets_manager(&self) -> SecretsManager {
        self.handle(Arc::clone(&self.default_tenant))
    }

    pub(crate) fn handle(&self, tenant: Arc<Tenant>) -> SecretsManager {
        let inner = Arc::clone(&self.inner);
        SecretsManager { inner, tenant, owner: Owner::default(), caller: None, request_id: None }
    }

    /// Builds what listings and filters need, which is otherwise done by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage), [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn warm_up(&self) -> Result<()> {
        self.inner.records.warm_up()
    }

    /// Makes everything durable that was acknowledged under [`Durability::Eventual`](crate::Durability::Eventual).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage): the store refuses all work until it is reopened. [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned),
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn flush(&self) -> Result<()> {
        self.inner.records.flush()
    }

    /// Sizes and counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage), [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn stats(&self) -> Result<StoreStats> {
        let (head, stats) = self.inner.records.stats()?;
        Ok(StoreStats {
            secrets: head.secrets,
            epoch: head.epoch,
            stored_bytes: stats.stored_bytes,
            unsynced_bytes: stats.unsynced_bytes,
        })
    }

    /// Closes the store: waits for what is under way, makes everything durable, and gives the directory free. Handles
    /// that are still around answer [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned) if an earlier write failed, [`ErrorKind::Storage`](crate::ErrorKind::Storage) if closing did. The directory is free
    /// in any case.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }
}

impl Inner {
    fn header(&self) -> RwLockReadGuard<'_, StoredHeader> {
        self.header.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which life of the store this is.
    fn instance(&self) -> Uuid {
        self.header().header.instance
    }

    /// Keeps records under their keys until the result is dropped.
    fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.steady.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> Result<()> {
        self.alarm.stop();
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        let closed = self.records.close()?;
        match (directory, closed) {
            // What nobody has counted is not vouched for, and is counted when it is opened.
            (Some(directory), Closed::Now { epoch, is_whole: true }) => {
                directory.write_seal(&self.records.roots().newest, &self.instance(), epoch, &*self.entropy)
            }
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// Closes a store that was only looked at. If it is not known to be whole, its files are again as they were.
    fn close_inspected(&self) -> Result<()> {
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        let closed = self.records.close();
        let Some(directory) = directory else { return closed.map(drop) };
        match closed {
            Ok(Closed::Now { epoch, is_whole: true }) => {
                directory.forget_kept_records()?;
                directory.write_seal(&self.records.roots().newest, &self.instance(), epoch, &*self.entropy)
            }
            closed => directory.put_back_kept_records().and(closed.map(drop)),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to be told; whoever wants to know calls `close`.
        let _ = self.close();
    }
}

impl SecretsManager {
    /// The account of this handle.
    #[must_use]
    pub fn account(&self) -> &str {
        self.tenant.account()
    }

    /// The Region of this handle.
    #[must_use]
    pub fn region(&self) -> &str {
        self.tenant.region()
    }

    /// The same handle for one request of the host's, whose id is in the records that its operations leave
    /// ([`AuditRecord::request_id`](crate::AuditRecord::request_id)).
    #[must_use]
    pub fn with_request_id(&self, id: impl AsRef<str>) -> Self {
        Self { request_id: Some(Arc::from(id.as_ref())), ..self.clone() }
    }

    /// The same handle, acting for a service such as `rds`: secrets that it creates belong to the service, and it may change
    /// them.
    ///
    /// Other handles can read such a secret, tag it, and change when it rotates, but not its value, its key or its
    /// description, and they cannot delete it. The API has no way to make one: this is for whoever plays the part of the
    /// service. [`create_secret`](Self::create_secret) also takes tags whose keys begin with `aws:` then, and adds
    /// `aws:secretsmanager:owningService`; by convention the name begins with the service and `!`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the name of the service is empty or has more than 128
    /// characters.
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let rds = store.default_secrets_manager().as_owning_service("rds")?;
    /// rds.create_secret(CreateSecretRequest::new("rds!db-1").secret_string("s3cret"))?;
    ///
    /// let secrets = store.default_secrets_manager();
    /// let described = secrets.describe_secret(DescribeSecretRequest::new("rds!db-1"))?;
    /// assert_eq!(described.owning_service.as_deref(), Some("rds"));
    /// assert!(secrets.put_secret_value(PutSecretValueRequest::new("rds!db-1", "mine")).is_err());
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn as_owning_service(mut self, service: impl AsRef<str>) -> Result<Self> {
        let service = service.as_ref();
        if service.is_empty() || service.chars().count() > lim::OWNING_SERVICE_CHARS_MAX {
            return Err(Error::configuration("the name of an owning service has 1 to 128 characters"));
        }
        self.owner = Owner(Some(service.into()));
        Ok(self)
    }

    /// The same handle on behalf of somebody, of whom it does what their policies and those of the secrets allow; everything
    /// else is refused with [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied). A handle without a caller may do
    /// everything.
    ///
    /// The handle works in the account of the caller, in the Region of this one: names and lists are those of that account,
    /// and the secret of another account is reached by its complete ARN. Whoever has no account, such as a service, works in
    /// the account of this handle.
    ///
    /// Access is decided after the secret was found and before anything else of its state counts. What policies say is told
    /// at [`Policies::evaluate`](crate::Policies::evaluate), what conditions can be about in `docs/POLICIES.md`. Keys are not
    /// part of it: whoever may read a secret need not be allowed to use its KMS key.
    #[must_use]
    pub fn as_caller(&self, caller: Caller) -> Self {
        let account = caller.principal().account();
        let tenant = account.and_then(|account| Tenant::parse(account, self.region()).ok());
        let tenant = tenant.filter(|tenant| *tenant != *self.tenant).map_or_else(|| Arc::clone(&self.tenant), Arc::new);
        Self { tenant, caller: Some(Arc::new(caller)), ..self.clone() }
    }

    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    pub(crate) fn parsed_policies(&self) -> &ParsedPolicies {
        &self.inner.parsed_policies
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub(crate) fn records(&self) -> &Records {
        &self.inner.records
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.inner.envelope
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.inner.entropy
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn observers(&self) -> &Observers {
        &self.inner.observers
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.inner.functions
    }

    /// A handle for another account and Region, which acts for nobody.
    pub(crate) fn with_tenant(&self, tenant: &Arc<Tenant>) -> Self {
        let (inner, tenant) = (Arc::clone(&self.inner), Arc::clone(tenant));
        Self { inner, tenant, owner: Owner::default(), caller: None, request_id: None }
    }

    /// Does what is due in the whole store. See [`Inner::maintain`].
    pub(crate) fn maintain_records(&self, upkeep: &mut impl Upkeep) -> Result<MaintenanceReport> {
        self.inner.maintain(upkeep)
    }

    pub(crate) fn rotating(&self) -> &Rotating {
        &self.inner.rotating
    }

    /// Something is due at once.
    pub(crate) fn ring(&self) {
        self.inner.alarm.ring();
    }

    /// The clock's time, in whole milliseconds.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.now()
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        to_millis(self.clock.now())
    }
}
