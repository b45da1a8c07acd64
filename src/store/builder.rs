//! Opening or making a store: the settings, and the steps.

mod again;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, OsEntropy, random_uuid};
use crate::envelope::provider::{DataKey, KeyProvider};
use crate::envelope::root::{RootKeys, Roots};
use crate::envelope::{Envelope, new_root, open_root, unopened};
use crate::error::{Error, ErrorKind, Result};
use crate::model::limits as lim;
use crate::model::tenant::Tenant;
use crate::model::version::{KeyRole, KmsKeyId};
use crate::observe::{Observer, Observers};
use crate::records::anchor::{AnchorFile, Anchors, ExternalAnchor, HeadTag, lost};
use crate::records::codec::Head;
use crate::records::header::{Header, ReadHeader, RootWrap, TEST_ONLY};
use crate::records::keys::Family;
use crate::records::{Count, Parts, Records, storage};
use crate::storage::sled::SledBackend;
use crate::storage::{Backend, Durability};
use crate::store::background::Background;
use crate::store::directory::{Directory, Found};
use crate::store::replication::ReplicationSettings;
use crate::store::rotation::{Functions, Rotating};
use crate::store::{Inner, RotationSettings, SecretStore, Settings, StoredHeader};

/// Account of [`SecretStore::default_secrets_manager`], unless the builder says otherwise.
const DEFAULT_ACCOUNT: &str = "000000000000";
/// Region of [`SecretStore::default_secrets_manager`], unless the builder says otherwise.
const DEFAULT_REGION: &str = "us-east-1";
/// sled's page cache, unless the builder says otherwise.
const DEFAULT_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Generation of the root key of a new store.
const FIRST_GENERATION: u32 = 1;

/// Whether a store may be made, must be made, or must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OpenMode {
    /// Open the store, or make it if there is none. The default.
    #[default]
    OpenOrCreate,
    /// Open the store that is there.
    OpenExisting,
    /// Make a new store where there is none.
    CreateNew,
    /// Throw away the store that is there, if there is one, and make a new one in its place. What it held is lost for good.
    ///
    /// A crash leaves the old store, or none, in whose place the next opener can make one (with an external anchor, by
    /// replacing it as well). Nobody else can open either
    /// meanwhile. What cannot be recognised as a store is refused. For stores in a directory only.
    Replace,
}

/// When every record is counted before a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CheckRecords {
    /// Unless the store was closed and its files are exactly those that were closed. The default.
    ///
    /// After a crash this adds about a second for a million records, and the time and the room for a copy of the engine's
    /// files, which is kept until the store is known to be whole. A store on a backend of the caller's has no files
    /// that could be compared, so it is always checked.
    #[default]
    UnlessSealed,
    /// Always.
    Always,
    /// Never. After a crash, a record that the storage engine lost, or brought back, is noticed only by
    /// [`SecretStore::verify`]; that the newest commits are there, and that what is read is what was
    /// written, is checked all the same.
    Never,
}

/// Opens or makes a store. Made by [`SecretStore::builder`], [`SecretStore::in_memory`] and
/// [`SecretStore::with_backend`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    place: Place,
    provider: Option<Arc<dyn KeyProvider>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    is_test_only: bool,
    mode: OpenMode,
    patience: Duration,
    durability: Durability,
    cache_bytes: u64,
    account: String,
    region: String,
    root_key_id: Option<KmsKeyId>,
    check_records: CheckRecords,
    external_anchor: Option<Arc<dyn ExternalAnchor>>,
    expected_epoch: Option<u64>,
    is_inspection: bool,
    pub(super) settings: Settings,
    pub(super) functions: Functions,
    pub(super) background: Option<Background>,
    observers: Vec<Arc<dyn Observer>>,
}

/// Where the records are.
#[derive(Debug)]
pub(super) enum Place {
    Directory(PathBuf),
    Backend(Box<dyn Backend>),
}

impl Builder {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            provider: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy::default()),
            is_test_only: false,
            mode: OpenMode::default(),
            patience: Duration::ZERO,
            durability: Durability::default(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            account: DEFAULT_ACCOUNT.to_owned(),
            region: DEFAULT_REGION.to_owned(),
            root_key_id: None,
            check_records: CheckRecords::default(),
            external_anchor: None,
            expected_epoch: None,
            is_inspection: false,
            settings: Settings {
                require_client_request_token: false,
                versions_max: lim::VERSIONS_MAX_DEFAULT,
                secrets_max: lim::SECRETS_MAX_DEFAULT,
                rotation: RotationSettings::default(),
                replication: ReplicationSettings::default(),
            },
            functions: Functions::default(),
            background: None,
            observers: Vec::new(),
        }
    }

    /// The store is only looked at: what was kept of it is kept until it is closed.
    pub(super) fn inspection(mut self) -> Self {
        self.is_inspection = true;
        self
    }

    /// The directory of the store, if it has one.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Directory(path) => Some(path.clone()),
            Place::Backend(_) => None,
        }
    }

    /// Where the store is, for people.
    pub(super) fn place_shown(&self) -> String {
        match &self.place {
            Place::Directory(path) => path.display().to_string(),
            Place::Backend(_) => "the backend".to_owned(),
        }
    }

    /// Who holds the keys. Required.
    pub fn key_provider(mut self, provider: impl KeyProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where random bytes come from. Default: [`OsEntropy`].
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Allows opening a store that was made for tests. Default: `false`.
    ///
    /// A store that is made with a predictable clock or random source is marked as one for tests, for good, so that a
    /// store whose keys can be guessed never becomes one that somebody relies on. Using such a source allows it too.
    pub fn test_only(mut self, is_test_only: bool) -> Self {
        self.is_test_only = is_test_only;
        self
    }

    /// Whether the store may be made, must be made, or must be there. Default: [`OpenMode::OpenOrCreate`].
    pub fn mode(mut self, mode: OpenMode) -> Self {
        self.mode = mode;
        self
    }

    /// How long to wait while the store is open elsewhere. Default: not at all.
    pub fn wait_for_lock(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// When a change is acknowledged. Default: [`Durability::Immediate`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bound of the storage engine's page cache in bytes. Default: 64 MiB.
    ///
    /// Reads of records outside the cache take tens of microseconds instead of a few; besides the cache, the engine
    /// takes about 45 MB for each million records. The store itself keeps up to 2 MiB of the records of secrets that were
    /// read lately, which take up to ten times as much when they are opened, and no values.
    pub fn cache_capacity_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Account of [`SecretStore::default_secrets_manager`]. Default: `000000000000`.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Region of [`SecretStore::default_secrets_manager`]. Default: `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The key that protects the store's root key: a key id, key ARN, alias or alias ARN of the provider's. Default:
    /// `alias/aws/secretsmanager` of the builder's account and Region, and for a store that exists, the one that it has, in
    /// the account and Region that it is in.
    /// A store that exists is opened with the keys that it has, and goes over to another one with the next
    /// [`SecretStore::rewrap`]. Whoever disables this key can no longer open the store.
    pub fn root_key_id(mut self, key: impl AsRef<str>) -> Self {
        self.root_key_id = Some(KmsKeyId::parse(key.as_ref()));
        self
    }

    /// Whether a request without a `ClientRequestToken` is refused, as the service does, or given one, as the AWS SDKs
    /// do. Default: `false`, it is given one.
    pub fn require_client_request_token(mut self, is_required: bool) -> Self {
        self.settings.require_client_request_token = is_required;
        self
    }

    /// Versions of one secret at which a further one is refused with `LimitExceededException`. Default: 1,000.
    ///
    /// Unlabelled versions beyond 100 are removed once they are a day old, so only a secret that changes that often
    /// within a day can get there.
    pub fn versions_per_secret_max(mut self, versions: usize) -> Self {
        self.settings.versions_max = versions;
        self
    }

    /// Secrets of one account and Region at which a further one is refused with `LimitExceededException`. Default:
    /// 500,000, the service's quota.
    pub fn secrets_max(mut self, secrets: u64) -> Self {
        self.settings.secrets_max = secrets;
        self
    }

    /// Somebody who is told of every operation. Can be called several times: they are told in this order. Default: nobody.
    ///
    /// For each record the clock is asked for the time once more than without observers. The random source is not.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Something outside the directory that remembers the newest commit. Default: nothing, and then whoever puts back an
    /// older copy of the whole directory is not noticed.
    ///
    /// Every durable commit waits for it. A store is not made while it remembers another one, unless that is what
    /// [`OpenMode::Replace`] is to replace.
    pub fn external_anchor(mut self, anchor: impl ExternalAnchor + 'static) -> Self {
        self.external_anchor = Some(Arc::new(anchor));
        self
    }

    /// The number of a commit that is known to have been acknowledged, from [`StoreStats::epoch`](crate::StoreStats::epoch):
    /// a store whose newest commit is older is refused. Default: none.
    ///
    /// For applications that keep that number somewhere else anyway. See [`ExternalAnchor`] for one that is kept for them.
    pub fn open_expecting(mut self, epoch: u64) -> Self {
        self.expected_epoch = Some(epoch);
        self
    }

    /// When every record is counted before the store is opened. Default: [`CheckRecords::UnlessSealed`].
    pub fn check_records(mut self, when: CheckRecords) -> Self {
        self.check_records = when;
        self
    }

    /// Opens the store.
    ///
    /// A store is made in steps such that a crash leaves none, or a whole one. What cannot be opened is left as it is.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Configuration`]: no key provider, an impossible account, Region or limit, or a store outside a
    ///    directory that is to be replaced.
    /// 2. [`ErrorKind::NotAStore`]: the path is not a directory, holds other files, or holds nothing and
    ///    [`OpenMode::OpenExisting`] was asked for.
    /// 3. [`ErrorKind::AlreadyOpen`]: the store is open, in this process or another.
    /// 4. [`ErrorKind::StoreExists`]: [`OpenMode::CreateNew`] was asked for.
    /// 5. [`ErrorKind::Corrupted`], [`ErrorKind::UnsupportedFormat`]: the header is damaged, or newer than this version.
    /// 6. [`ErrorKind::WrongKey`]: the provider does not open the store's root key. [`ErrorKind::KeyProviderOutage`],
    ///    [`ErrorKind::KeyAccessDenied`], [`ErrorKind::EncryptionFailure`]: it cannot or may not.
    /// 7. [`ErrorKind::Configuration`]: the store was made for tests and [`test_only`](Self::test_only) was not set, or the
    ///    random source is predictable and the store was not made for tests.
    /// 8. [`ErrorKind::Storage`]: reading or writing failed. [`ErrorKind::Corrupted`]: the anchor or the seal is missing or
    ///    damaged.
    /// 9. [`ErrorKind::LostCommits`]: the store was closed at an earlier commit than was acknowledged.
    /// 10. [`ErrorKind::Corrupted`]: the store was closed, and its files are not those that were closed.
    /// 11. [`ErrorKind::Storage`]: the storage engine failed on its files.
    /// 12. [`ErrorKind::Corrupted`], [`ErrorKind::LostCommits`]: the records are missing, damaged, or not those that were
    ///     acknowledged.
    pub fn open(self) -> Result<SecretStore> {
        self.open_by(|maker, place, patience, cache_bytes| match place {
            Place::Directory(path) => {
                let may_create = maker.mode != OpenMode::OpenExisting;
                let directory = Directory::lock(&path, may_create, patience)?;
                Ok((maker.open_directory(&directory, cache_bytes)?, Some(directory)))
            }
            Place::Backend(backend) => Ok((maker.open_backend(backend)?, None)),
        })
    }

    /// Checks the settings, and assembles a store from the parts that `open` gives.
    pub(super) fn open_by(
        self,
        open: impl FnOnce(&Maker, Place, Duration, u64) -> Result<(Opened, Option<Directory>)>,
    ) -> Result<SecretStore> {
        let Self {
            place,
            provider,
            clock,
            entropy,
            is_test_only,
            mode,
            patience,
            durability,
            cache_bytes,
            account,
            region,
            root_key_id,
            check_records,
            external_anchor,
            expected_epoch,
            is_inspection,
            settings,
            functions,
            background,
            observers,
        } = self;
        let default_tenant = Arc::new(Tenant::parse(&account, &region)?);
        let provider = provider.ok_or_else(|| {
            Error::configuration(
                "a store needs a key provider: see `Builder::key_provider`, `LocalKeyring`, `KeyFileProvider`, `StaticKey`",
            )
        })?;
        if settings.versions_max == 0 || settings.secrets_max == 0 {
            return Err(Error::configuration("a store in which nothing may be stored is of no use"));
        }
        let RotationSettings { retries, workers, .. } = &settings.rotation;
        if retries.attempts == 0 || *workers == 0 || retries.pause < TimeDelta::zero() {
            return Err(Error::configuration("rotations need at least one attempt and one worker"));
        }
        let is_test_only = is_test_only || clock.is_for_tests() || entropy.is_for_tests();
        let maker = Maker {
            provider,
            entropy,
            is_test_only,
            mode,
            durability,
            root_key_id,
            tenant: Arc::clone(&default_tenant),
            check_records,
            external_anchor,
            expected_epoch,
            is_inspection,
        };
        let (Opened { records, header }, directory) = open(&maker, place, patience, cache_bytes)?;
        let envelope = maker.envelope(&header.header);
        let Maker { entropy, root_key_id, .. } = maker;
        let observers = Observers::new(observers, header.header.instance, &*entropy)?;
        let inner = Arc::new(Inner {
            records,
            envelope,
            clock,
            entropy,
            settings,
            functions,
            observers,
            rotating: Rotating::default(),
            parsed_policies: Default::default(),
            alarm: Arc::default(),
            root_key_id,
            header: RwLock::new(header),
            steady: RwLock::default(),
            key_work: Mutex::default(),
            directory: Mutex::new(directory),
        });
        if let Some(background) = background {
            background.start(&inner, &default_tenant)?;
        }
        Ok(SecretStore { inner, default_tenant })
    }
}

/// What opening or making a store needs.
pub(super) struct Maker {
    pub(super) provider: Arc<dyn KeyProvider>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) is_test_only: bool,
    pub(super) mode: OpenMode,
    durability: Durability,
    root_key_id: Option<KmsKeyId>,
    tenant: Arc<Tenant>,
    check_records: CheckRecords,
    external_anchor: Option<Arc<dyn ExternalAnchor>>,
    expected_epoch: Option<u64>,
    is_inspection: bool,
}

/// The parts of a store that was opened.
pub(super) struct Opened {
    pub(super) records: Records,
    pub(super) header: StoredHeader,
}

fn open_sled(path: &Path, cache_bytes: u64) -> Result<SledBackend> {
    SledBackend::open(path, cache_bytes).map_err(storage)
}

impl Maker {
    pub(super) fn open_directory(&self, directory: &Directory, cache_bytes: u64) -> Result<Opened> {
        match directory.look()? {
            Found::Store(bytes) if self.mode != OpenMode::Replace => {
                let (header, roots) = self.open_header(Header::read(&bytes)?)?;
                let Header { store, instance, .. } = header;
                let anchors = self.anchors(Some(directory.open_anchor(&roots, &instance)?));
                let (seal, sealed_by) = directory.read_seal(&roots, &instance)?;
                // Also where there is no seal: an anchor that cannot be asked is no reason to let the engine in.
                let expected = anchors.expected()?;
                if let Some(seal) = &seal {
                    if seal.epoch < expected {
                        return Err(lost(seal.epoch, expected));
                    }
                    seal.check(&directory.records(), &sealed_by.seal)?;
                }
                directory.check_engine_files()?;
                directory.refuse_if_in_use()?;
                directory.make_private()?;
                // Before the engine is let in, which changes its files.
                directory.remove_seal()?;
                let is_sealed = seal.is_some();
                if !is_sealed {
                    directory.keep_records()?;
                }
                let opened = open_sled(&directory.records(), cache_bytes)
                    .and_then(|backend| self.records(Box::new(backend), &roots, store, anchors, is_sealed));
                match opened {
                    Ok(records) => {
                        if !self.is_inspection {
                            directory.forget_kept_records()?;
                        }
                        Ok(Opened { records, header: StoredHeader { header, stored: bytes } })
                    }
                    Err(error) => {
                        // What the engine did to its files is undone. What is wrong is told by the first error.
                        let _ = directory.put_back_kept_records();
                        Err(error)
                    }
                }
            }
            found => {
                self.require_may_create()?;
                let first_epoch = self.first_epoch()?;
                let (header, roots) = self.new_header(random_uuid(&*self.entropy)?)?;
                // Only now, when the keys for a new store are at hand.
                if let Found::Store(bytes) = &found {
                    match Header::read(bytes) {
                        Err(error) if *error.kind() == ErrorKind::NotAStore => return Err(error),
                        _ => {}
                    }
                    directory.discard()?;
                }
                let head = Head { epoch: first_epoch, ..Head::default() };
                self.make(directory, header, roots, cache_bytes, |backend, roots, store| {
                    Records::create(self.parts(backend, roots, store, Anchors::default()), None, &head)
                })
            }
        }
    }

    /// Makes a store in a directory that holds none: a crash leaves none, or a whole one. `fill` makes its records, in a
    /// place of their own; what it gives is closed, opened again under its own name and checked before the store exists.
    pub(super) fn make(
        &self,
        directory: &Directory,
        header: Header,
        roots: Roots,
        cache_bytes: u64,
        fill: impl FnOnce(Box<dyn Backend>, &Roots, Uuid) -> Result<Records>,
    ) -> Result<Opened> {
        let Header { store, instance, .. } = header;
        let mut newest = (0, HeadTag::default());
        directory.make_records(|path| {
            let records = fill(Box::new(open_sled(path, cache_bytes)?), &roots, store)?;
            newest = records.newest();
            records.close().map(drop)
        })?;
        let (epoch, tag) = newest;
        directory.write_anchor(&roots.newest, &instance, epoch, tag)?;
        let anchors = self.anchors(Some(directory.open_anchor(&roots, &instance)?));
        let backend = Box::new(open_sled(&directory.records(), cache_bytes)?);
        let records = Records::open(self.parts(backend, &roots, store, anchors), Count::All)?;
        let stored = header.encode(&roots.newest.header);
        directory.write_header(&stored)?;
        records.anchor_newest()?;
        directory.make_private()?;
        Ok(Opened { records, header: StoredHeader { header, stored } })
    }

    fn open_backend(&self, backend: Box<dyn Backend>) -> Result<Opened> {
        if self.mode == OpenMode::Replace {
            return Err(Error::configuration("only a store in a directory can be replaced"));
        }
        let key = [Family::Header as u8];
        match backend.get(&key).map_err(storage)? {
            Some(stored) => {
                let (header, roots) = self.open_header(Header::read(stored.as_ref())?)?;
                let records = self.records(backend, &roots, header.store, self.anchors(None), false)?;
                Ok(Opened { records, header: StoredHeader { header, stored: stored.as_ref().to_vec() } })
            }
            None => {
                if !backend.scan(&[], None, 1).map_err(storage)?.is_empty() {
                    return Err(Error::corrupted("the backend holds records but no header: the header was lost"));
                }
                self.require_may_create()?;
                let first_epoch = self.first_epoch()?;
                let (header, roots) = self.new_header(random_uuid(&*self.entropy)?)?;
                let stored = header.encode(&roots.newest.header);
                let head = Head { epoch: first_epoch, ..Head::default() };
                let parts = self.parts(backend, &roots, header.store, self.anchors(None));
                let records = Records::create(parts, Some(stored.clone()), &head)?;
                Ok(Opened { records, header: StoredHeader { header, stored } })
            }
        }
    }

    pub(super) fn anchors(&self, file: Option<AnchorFile>) -> Anchors {
        Anchors::new(file, self.external_anchor.clone(), self.expected_epoch)
    }

    /// The number of a new store's first commit.
    fn first_epoch(&self) -> Result<u64> {
        let expected = self.anchors(None).expected()?;
        match self.mode {
            OpenMode::Replace => Ok(expected),
            // There was a store, and it is gone.
            _ if expected > 0 => Err(lost(0, expected)),
            _ => Ok(0),
        }
    }

    fn records(
        &self,
        backend: Box<dyn Backend>,
        roots: &Roots,
        store: Uuid,
        anchors: Anchors,
        is_sealed: bool,
    ) -> Result<Records> {
        let count = match self.check_records {
            CheckRecords::UnlessSealed | CheckRecords::Never if is_sealed => Count::Known,
            CheckRecords::Never => Count::Unknown,
            CheckRecords::UnlessSealed | CheckRecords::Always => Count::All,
        };
        Records::open(self.parts(backend, roots, store, anchors), count)
    }

    pub(super) fn parts(&self, backend: Box<dyn Backend>, roots: &Roots, store: Uuid, anchors: Anchors) -> Parts {
        let (roots, entropy) = (roots.clone(), Arc::clone(&self.entropy));
        Parts { backend, roots, entropy, store, durability: self.durability, anchors }
    }

    /// Seals and opens the values of a store.
    pub(super) fn envelope(&self, header: &Header) -> Envelope {
        let (provider, entropy) = (Arc::clone(&self.provider), Arc::clone(&self.entropy));
        let home = header.home().map_or_else(|| Arc::clone(&self.tenant), Arc::new);
        Envelope::new(provider, entropy, header.store, home, header.recipients())
    }

    fn require_may_create(&self) -> Result<()> {
        if self.mode == OpenMode::OpenExisting {
            return Err(Error::new(ErrorKind::NotAStore, "there is no store"));
        }
        Ok(())
    }

    pub(super) fn new_header(&self, store: Uuid) -> Result<(Header, Roots)> {
        let requested = self.root_key_id.clone().unwrap_or_default();
        let instance = random_uuid(&*self.entropy)?;
        let (root, wrapped) = new_root(&*self.provider, &*self.entropy, &self.tenant, &requested, &store)?;
        let flags = if self.is_test_only { TEST_ONLY } else { 0 };
        let wrap = RootWrap { requested, role: KeyRole::Secret, wrapped };
        let header =
            Header { flags, store, instance, generation: FIRST_GENERATION, wraps: vec![wrap], former: Vec::new() };
        let root = derive(&root, &header.store, FIRST_GENERATION)?;
        Ok((header, Roots::new(root, None)))
    }

    pub(super) fn open_header(&self, read: ReadHeader) -> Result<(Header, Roots)> {
        if self.mode == OpenMode::CreateNew {
            return Err(Error::new(ErrorKind::StoreExists, "there is a store already"));
        }
        let Header { store, wraps, generation, .. } = &read.header;
        let mut failures = Failures::default();
        let mut opened = None;
        for RootWrap { wrapped, .. } in wraps {
            let root = open_root(&*self.provider, &*self.entropy, store, wrapped)
                .and_then(|root| derive(&root, store, *generation))
                // A key that the header is not by is none, whatever the provider says.
                .and_then(|root| read.authenticate(&root.header).map(|header| (header, root)));
            match root {
                Ok(root) => {
                    opened = Some(root);
                    break;
                }
                Err(error) => failures.add(error),
            }
        }
        let Some((header, root)) = opened else { return Err(failures.into_error()) };
        let former = match header.former_root(&root)? {
            Some((former, generation)) => Some(derive(&former, &header.store, generation)?),
            None => None,
        };
        if header.flags & TEST_ONLY != 0 && !self.is_test_only {
            return Err(Error::configuration(
                "the store was made for tests, with a predictable clock or random source: open it with `test_only(true)`",
            ));
        }
        if header.flags & TEST_ONLY == 0 && self.entropy.is_for_tests() {
            return Err(Error::configuration(
                "the store was not made for tests: values sealed with a predictable random source would not be secret",
            ));
        }
        Ok((header, Roots::new(root, former)))
    }
}

/// Why none of several wraps of a root key opened it: the first reason, unless one of them could not be asked.
#[derive(Default)]
pub(super) struct Failures(Option<Error>);

impl Failures {
    pub(super) fn add(&mut self, error: Error) {
        match &self.0 {
            Some(first) if is_outage(first.kind()) || !is_outage(error.kind()) => {}
            _ => self.0 = Some(error),
        }
    }

    pub(super) fn into_error(self) -> Error {
        self.0.unwrap_or_else(|| Error::corrupted("the store's header names no key"))
    }
}

/// Whether the provider, and not the key, is in the way.
pub(super) fn is_outage(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::KeyProviderOutage(_) | ErrorKind::Entropy)
}

/// The keys of one generation.
pub(super) fn derive(root: &DataKey, store: &Uuid, generation: u32) -> Result<Arc<RootKeys>> {
    RootKeys::derive(root, store, generation).map(Arc::new).map_err(unopened)
}
