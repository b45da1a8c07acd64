//! Import: nothing is written before everything was read and checked; then each secret is there as a whole or not at all.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::envelope::provider::{KeyHandle, KeyProvider};
use crate::envelope::root::KeyTime;
use crate::envelope::{Identity, SealedVersion, require_usable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::portable::Portable;
use crate::model::secret::Secret;
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;
use crate::model::version::{KmsKeyId, VersionId};
use crate::records::{Loaded, Outcome, SecretChange};
use crate::run::new_uid;
use crate::store::portable::file::{ExportFile, too_many_versions};
use crate::store::portable::{Source, about};
use crate::store::progress::Meter;
use crate::store::{Progress, SecretStore, SecretsManager};

/// Rounds after which a secret that others keep changing is given up.
const ROUNDS_MAX: usize = 1_000;

/// Keys that are remembered, so that a provider is not asked again for every secret.
const KEYS_MAX: usize = 1_024;

/// How an import is done. By default every value is sealed under the KMS key that the secret had.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    kms_key_id: Option<String>,
    is_dry_run: bool,
}

impl ImportOptions {
    /// As everything was.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The KMS key of every imported secret and of its replicas in other Regions, whatever key they had: a key id, key ARN, alias or alias ARN. Empty: the
    /// default key.
    #[must_use]
    pub fn kms_key_id(mut self, kms_key_id: impl Into<String>) -> Self {
        self.kms_key_id = Some(kms_key_id.into());
        self
    }

    /// Whether to say what would happen, and change nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.is_dry_run = dry_run;
        self
    }

    pub(super) fn key(&self) -> Result<Option<KmsKeyId>> {
        let mut shape = Shape::new();
        shape.metadata(None, self.kms_key_id.as_ref());
        shape.finish()?;
        Ok(self.kms_key_id.as_deref().map(KmsKeyId::parse))
    }
}

/// What [`SecretStore::import`] did, or would have done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// Secrets that were not there and are now.
    pub created: u64,
    /// Secrets that were there already, exactly as they are in the export.
    pub unchanged: u64,
    /// Secrets that were left alone.
    pub conflicts: Vec<ImportConflict>,
}

/// A secret of an export that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportConflict {
    /// Its account.
    pub account: String,
    /// Its Region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: ConflictReason,
}

/// Why a secret of an export was not imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictReason {
    /// There is a secret of this name, and it is another one or has changed. The member of the API in which it differs,
    /// the first one if there are several.
    Differs(&'static str),
    /// The recovery window of the secret ended after it was exported.
    Expired,
}

impl SecretStore {
    /// Brings the secrets of an export into this store, each with its ARN, dates, versions, version ids, values and staging
    /// labels, into the account and Region that it was in. Values are sealed anew under this store's keys.
    ///
    /// Nothing is written before the whole file has been read and checked to its end. Then every secret is written in one
    /// step, with all of its versions. A secret that is there already is never changed: if it is the same it counts as
    /// unchanged, and if it is not, it is reported as a conflict. When it was last read is not compared. So an import that
    /// was interrupted, or was already done, can be repeated. A secret past its recovery window does not stand in the way,
    /// as for [`create_secret`](SecretsManager::create_secret).
    ///
    /// A secret that has replicas is replicated here too: the next [`maintain`](Self::maintain) makes those that are missing,
    /// and finds those in sync that were imported, in whatever order. Until then their status is
    /// [`StatusType::InProgress`](crate::StatusType::InProgress), and how far replication has come is no difference.
    ///
    /// # Errors
    ///
    /// Up to the last two, nothing was written:
    ///
    /// 1. [`ErrorKind::Validation`]: the id of the KMS key is too long.
    /// 2. [`ErrorKind::BackupFile`]: the file is missing, damaged, cut short or no export.
    ///    [`ErrorKind::UnsupportedFormat`]: a newer version wrote it.
    /// 3. [`ErrorKind::WrongKey`]: `key` is not the one that it was exported with. [`ErrorKind::KeyProviderOutage`]: it
    ///    cannot be asked.
    /// 4. [`ErrorKind::KeyAccessDenied`], [`ErrorKind::InvalidKey`], [`ErrorKind::EncryptionFailure`]: the KMS key of a
    ///    secret does not exist here, or may not be used. The text names the secret.
    /// 5. [`ErrorKind::LimitExceeded`]: a secret has more versions, or an account and Region would have more secrets, than
    ///    this store allows.
    /// 6. [`ErrorKind::DecryptionFailure`]: a value that is there already cannot be opened to compare.
    /// 7. [`ErrorKind::KeyProviderOutage`] and the errors of 4 and 5, if things have changed meanwhile;
    ///    [`ErrorKind::Contended`]. Some secrets may have been written.
    /// 8. [`ErrorKind::Storage`]: a commit failed. Reopen the store, and repeat the import.
    ///
    /// # Example
    ///
    /// See [`export`](Self::export). To see what would happen:
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, ExportOptions, ImportOptions, SecretStore, StaticKey};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("secrets.export");
    /// # let key = StaticKey::new([1; 32]);
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// # store.export(&path, &key, &ExportOptions::new(), &mut |_| ())?;
    /// let planned = store.import(&path, &key, &ImportOptions::new().dry_run(true), &mut |_| ())?;
    /// assert_eq!((planned.created, planned.unchanged), (0, 1));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn import(
        &self,
        path: impl AsRef<Path>,
        key: &dyn KeyProvider,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportReport> {
        options.key()?;
        self.inner.records.writable()?;
        let file = ExportFile::open(path.as_ref())?;
        let mut chunks = file.unwrap(key, &*self.inner.entropy, self.inner.settings.versions_max)?;
        self.import_from(&mut chunks, options, progress)
    }

    pub(super) fn import_from(
        &self,
        source: &mut dyn Source,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportReport> {
        let mut import = Import { store: self, key: options.key()?, handles: HashMap::new(), time: None };
        let plan = import.plan(source, progress)?;
        if options.is_dry_run || plan.created == 0 {
            return Ok(plan);
        }
        source.rewind()?;
        let mut report = ImportReport::default();
        let mut meter = Meter::new("importing secrets", plan.total(), progress);
        while let Some(portable) = import.next(source)? {
            let fate = import.place(&portable)?;
            report.note(&portable.secret, fate);
            meter.reach(report.total());
        }
        meter.finish();
        Ok(report)
    }
}

/// What becomes of a secret of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Created,
    Unchanged,
    Conflict(ConflictReason),
}

impl ImportReport {
    fn note(&mut self, secret: &Secret, fate: Fate) {
        match fate {
            Fate::Created => self.created += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::Conflict(reason) => self.conflicts.push(ImportConflict {
                account: secret.tenant.account().to_owned(),
                region: secret.tenant.region().to_owned(),
                name: secret.name.to_string(),
                reason,
            }),
        }
    }

    fn total(&self) -> u64 {
        self.created.saturating_add(self.unchanged).saturating_add(self.conflicts.len() as u64)
    }
}

/// What is to be done with a secret, as things stand.
enum Step {
    Done(Fate),
    /// It is not there, or this expired one is in its place.
    Write(Option<Box<Loaded>>),
    /// Somebody changed it while it was being compared.
    Again,
}

struct Import<'a> {
    store: &'a SecretStore,
    /// The key of every secret, if it is not its own.
    key: Option<KmsKeyId>,
    /// Keys that were found, as of this time.
    handles: HashMap<(Arc<Tenant>, Option<String>), KeyHandle>,
    time: Option<KeyTime>,
}

impl Import<'_> {
    fn manager(&self, tenant: &Arc<Tenant>) -> SecretsManager {
        self.store.handle(Arc::clone(tenant))
    }

    fn next(&self, source: &mut dyn Source) -> Result<Option<Portable>> {
        let Some(mut portable) = source.next()? else { return Ok(None) };
        portable.check().map_err(|why| source.refuse(&why))?;
        if let Some(key) = &self.key {
            portable.secret.kms_key_id = key.clone();
            for link in &mut portable.secret.links.regions {
                link.kms_key_id = key.clone();
            }
        }
        portable.secret.require_shareable_key().map_err(|error| source.refuse(error.message()))?;
        Ok(Some(portable))
    }

    /// Reads and checks everything, and finds out what is to be done. What speaks against it counts only once the file is
    /// known to be whole.
    fn plan(&mut self, source: &mut dyn Source, progress: &mut dyn FnMut(Progress)) -> Result<ImportReport> {
        let mut report = ImportReport::default();
        let mut objection = None;
        let mut seen = HashSet::new();
        let roots = self.store.inner.records.roots();
        let mut created: HashMap<Arc<Tenant>, u64> = HashMap::new();
        let mut meter = Meter::new("reading the export", source.length(), progress);
        while let Some(portable) = self.next(source)? {
            let secret = &portable.secret;
            if !seen.insert(self.store.inner.records.key_of(&roots, &secret.tenant, &secret.name)) {
                return Err(source.refuse("a secret is there twice"));
            }
            if objection.is_none() {
                match self.foresee(&portable) {
                    Ok(fate) => {
                        if fate == Fate::Created {
                            *created.entry(Arc::clone(&secret.tenant)).or_default() += 1;
                        }
                        report.note(secret, fate);
                    }
                    Err(error) => objection = Some(error),
                }
            }
            meter.reach(source.position());
        }
        meter.finish();
        match objection {
            Some(error) => Err(error),
            None => self.check_quota(&created).map(|()| report),
        }
    }

    fn foresee(&mut self, portable: &Portable) -> Result<Fate> {
        let secret = &portable.secret;
        let manager = self.manager(&secret.tenant);
        match self.settle(&manager, portable)? {
            Step::Done(fate) => Ok(fate),
            Step::Write(_) => {
                let versions_max = manager.settings().versions_max;
                if secret.versions.len() > versions_max {
                    return Err(too_many_versions(&secret.arn, versions_max));
                }
                // The default key is always there; a provider may make it when it is first asked for.
                if secret.kms_key_id != KmsKeyId::Default {
                    let usable = self.handle(&manager, secret).and_then(|handle| require_usable(&handle));
                    usable.map_err(|error| about(&secret.arn, error))?;
                }
                Ok(Fate::Created)
            }
            Step::Again => Err(contended(secret)),
        }
    }

    fn check_quota(&self, created: &HashMap<Arc<Tenant>, u64>) -> Result<()> {
        let secrets_max = self.store.inner.settings.secrets_max;
        let all = created.values().fold(self.store.stats()?.secrets, |sum, count| sum.saturating_add(*count));
        if all <= secrets_max {
            return Ok(());
        }
        for (tenant, count) in created {
            let there = self.store.inner.records.reachable_secrets(tenant, self.store.inner.now())?;
            if there.saturating_add(*count) > secrets_max {
                return Err(over_quota(tenant, secrets_max));
            }
        }
        Ok(())
    }

    /// Compares a secret with what is there in its place.
    fn settle(&self, manager: &SecretsManager, portable: &Portable) -> Result<Step> {
        let now = manager.now();
        for _ in 0..ROUNDS_MAX {
            let loaded = manager.records().load(manager.tenant(), &portable.secret.name)?;
            let existing = match loaded {
                Some(existing) if !existing.secret.is_expired(now) => existing,
                _ if portable.secret.is_expired(now) => return Ok(Step::Done(Fate::Conflict(ConflictReason::Expired))),
                gone => return Ok(Step::Write(gone.map(Box::new))),
            };
            if let Some(fate) = compare(manager, portable, &existing)? {
                return Ok(Step::Done(fate));
            }
        }
        Ok(Step::Again)
    }

    /// Writes a secret in one step, unless it is there.
    fn place(&mut self, portable: &Portable) -> Result<Fate> {
        let manager = self.manager(&portable.secret.tenant);
        let mut new: Option<(Secret, Vec<(VersionId, SealedVersion)>)> = None;
        for _ in 0..ROUNDS_MAX {
            let roots = manager.records().roots();
            let old = match self.settle(&manager, portable)? {
                Step::Done(fate) => return Ok(fate),
                Step::Write(old) => old,
                Step::Again => break,
            };
            let now = manager.records().roots().time();
            let is_of_now =
                |sealed: &[(VersionId, SealedVersion)]| sealed.iter().all(|(_, version)| version.time == now);
            let key = match &old {
                Some(old) => old.key.clone(),
                None => manager.records().key_of(&roots, manager.tenant(), &portable.secret.name),
            };
            let (secret, sealed) = match new.take() {
                Some(new) if is_of_now(&new.1) => new,
                _ => self.seal(&manager, portable).map_err(|error| about(&portable.secret.arn, error))?,
            };
            let secrets_max = manager.settings().secrets_max;
            let change = SecretChange {
                key: &key,
                old: old.as_deref(),
                new: Some(&secret),
                sealed: &sealed,
                quota: Some((secrets_max, manager.now())),
            };
            match manager.records().commit(&change)? {
                Outcome::Done => return Ok(Fate::Created),
                Outcome::OverQuota { .. } => return Err(over_quota(manager.tenant(), secrets_max)),
                Outcome::Stale => new = Some((secret, sealed)),
            }
        }
        Err(contended(&portable.secret))
    }

    /// The secret as a new one of this store, with its values sealed.
    fn seal(
        &mut self,
        manager: &SecretsManager,
        portable: &Portable,
    ) -> Result<(Secret, Vec<(VersionId, SealedVersion)>)> {
        let mut secret = portable.secret.clone();
        secret.uid = new_uid(manager.entropy())?;
        secret.links.resume(manager.now());
        // Before the provider is asked: what it answers may be another thing afterwards.
        let roots = manager.records().roots();
        if self.time != Some(roots.time()) {
            self.handles.clear();
            self.time = Some(roots.time());
        }
        let handle = self.handle(manager, &secret)?;
        let mut sealed = Vec::with_capacity(portable.values.len());
        for (version, value) in secret.versions.iter_mut().zip(&portable.values) {
            let Some(value) = value else { continue };
            let identity =
                Identity { tenant: manager.tenant(), arn: &secret.arn, uid: &secret.uid, version: &version.id };
            let new = manager.envelope().seal(&roots, identity, &secret.kms_key_id, &handle, value)?;
            version.content = Some(new.content.clone());
            sealed.push((version.id.clone(), new));
        }
        Ok((secret, sealed))
    }

    /// The key of a secret.
    fn handle(&mut self, manager: &SecretsManager, secret: &Secret) -> Result<KeyHandle> {
        let sought = (Arc::clone(&secret.tenant), secret.kms_key_id.shown().map(str::to_owned));
        if let Some(handle) = self.handles.get(&sought) {
            return Ok(handle.clone());
        }
        let handle = manager.envelope().resolve(&secret.tenant, &secret.kms_key_id)?;
        if self.handles.len() >= KEYS_MAX {
            self.handles.clear();
        }
        self.handles.insert(sought, handle.clone());
        Ok(handle)
    }
}

/// Whether a secret is the one that is there. `None` if that one was changed meanwhile.
fn compare(manager: &SecretsManager, portable: &Portable, existing: &Loaded) -> Result<Option<Fate>> {
    if let Some(member) = portable.difference(&existing.secret) {
        return Ok(Some(Fate::Conflict(ConflictReason::Differs(member))));
    }
    for (version, value) in portable.versions() {
        let Some(value) = value else { continue };
        let opened = manager.open_value(existing, &version.id);
        let Some(there) = opened.map_err(|error| about(&existing.secret.arn, error))? else { return Ok(None) };
        if there != *value {
            return Ok(Some(Fate::Conflict(ConflictReason::Differs("SecretValue"))));
        }
    }
    Ok(Some(Fate::Unchanged))
}

fn contended(secret: &Secret) -> Error {
    Error::new(ErrorKind::Contended, format!("other calls kept changing {}", secret.arn))
}

fn over_quota(tenant: &Tenant, most: u64) -> Error {
    let (account, region) = (tenant.account(), tenant.region());
    Error::limit_exceeded(format!("You can have at most {most} secrets in account {account}, Region {region}."))
}
