//! Export: every secret as of one moment, with all of its versions, into a file that only its key opens.

use std::path::Path;
use std::sync::Arc;

use crate::entropy::random_uuid;
use crate::envelope::new_export_key;
use crate::envelope::provider::KeyProvider;
use crate::envelope::seal::SealingKey;
use crate::error::{Error, ErrorKind, Result};
use crate::model::portable::Portable;
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::records::Loaded;
use crate::records::portable::Counts;
use crate::store::portable::file::{ExportFile, Header, Unfinished, failed, refuse_existing};
use crate::store::portable::{Source, about};
use crate::store::progress::Meter;
use crate::store::{Progress, SecretStore, SecretsManager};

/// Rounds after which a secret that others keep changing is given up.
const ROUNDS_MAX: usize = 1_000;

/// What an export is to hold. By default every secret of the store, or it fails.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    tenants: Vec<(String, String)>,
    skips_unreadable: bool,
}

impl ExportOptions {
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

    /// Whether to leave out a secret with a value that its KMS key does not open, and report it, instead of failing.
    #[must_use]
    pub fn skip_unreadable(mut self, skip_unreadable: bool) -> Self {
        self.skips_unreadable = skip_unreadable;
        self
    }

    /// The chosen accounts and Regions. None: all.
    pub(super) fn tenants(&self) -> Result<Vec<Tenant>> {
        self.tenants.iter().map(|(account, region)| Tenant::parse(account, region)).collect()
    }
}

/// What [`SecretStore::export`] wrote.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// Secrets that were exported.
    pub secrets: u64,
    /// Their versions.
    pub versions: u64,
    /// Secrets that were left out, only with [`ExportOptions::skip_unreadable`].
    pub skipped: Vec<SkippedSecret>,
}

/// A secret that an export had to leave out.
#[derive(Debug)]
#[non_exhaustive]
pub struct SkippedSecret {
    /// The ARN of the secret.
    pub arn: String,
    /// Why a value could not be opened.
    pub error: Error,
}

impl SecretStore {
    /// Writes a portable copy of the secrets into a new file: with their names, ARNs, tags, dates, versions, values and
    /// staging labels, and without anything of this store, so that [`import`](Self::import) brings them into any other.
    ///
    /// The file is encrypted under a key of its own, which the default key of `key` wraps: of a `PassphraseProvider`, a
    /// [`KeyFileProvider`](crate::KeyFileProvider), or any other. It is for its owner alone (mode 0600), appears under its
    /// name only when it is complete and durable, and has been read back and verified before this returns. It tells how
    /// many secrets and versions it holds and roughly how long their values are, and nothing else.
    ///
    /// Other callers go on working meanwhile. Each secret is exported as it was at one moment; different secrets may be
    /// exported as of different moments. Secrets that are scheduled for deletion are exported with their date, and those
    /// whose recovery window is over are not. `progress` is called now and then, from this thread.
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Configuration`]: a chosen account or Region is none.
    /// 2. [`ErrorKind::BackupFile`]: there is such a file already, which is left as it is, or it cannot be written.
    /// 3. [`ErrorKind::KeyAccessDenied`], [`ErrorKind::EncryptionFailure`], [`ErrorKind::KeyProviderOutage`]: `key` cannot
    ///    wrap the key of the export.
    /// 4. [`ErrorKind::DecryptionFailure`], [`ErrorKind::KeyAccessDenied`], [`ErrorKind::KeyProviderOutage`]: a value
    ///    cannot be opened. The text names the secret and its KMS key.
    /// 5. [`ErrorKind::Contended`]: others kept changing a secret.
    /// 6. [`ErrorKind::Corrupted`], [`ErrorKind::UnsupportedFormat`], [`ErrorKind::Storage`], [`ErrorKind::Poisoned`],
    ///    [`ErrorKind::Closed`]: the store cannot be read.
    ///
    /// After an error there is no file.
    ///
    /// # Example
    ///
    /// ```
    /// use strongroom::{CreateSecretRequest, ExportOptions, ImportOptions, SecretStore, StaticKey};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("secrets.export");
    /// let key = StaticKey::new([1; 32]);
    /// let old = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// old.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let exported = old.export(&path, &key, &ExportOptions::new(), &mut |_| ())?;
    /// assert_eq!((exported.secrets, exported.versions), (1, 1));
    ///
    /// let new = SecretStore::in_memory().key_provider(StaticKey::new([8; 32])).open()?;
    /// let imported = new.import(&path, &key, &ImportOptions::new(), &mut |_| ())?;
    /// assert_eq!((imported.created, imported.conflicts.len()), (1, 0));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn export(
        &self,
        path: impl AsRef<Path>,
        key: &dyn KeyProvider,
        options: &ExportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport> {
        let path = path.as_ref();
        let tenants = options.tenants()?;
        self.inner.records.readable()?;
        refuse_existing(path)?;
        // Secrets are read in the order of their keys, which stay as they are as long as this is held.
        let _steady = self.inner.steady();
        let entropy = &*self.inner.entropy;
        let id = random_uuid(entropy)?;
        let (data_key, wrapped) = new_export_key(key, entropy, &self.default_tenant, &id)?;
        let sealing_key = SealingKey::new(data_key.expose());
        drop(data_key);

        let mut file = Unfinished::create(path, &Header { id, wrapped }, &sealing_key)?;
        let report =
            self.for_each_portable(&tenants, options, progress, &mut |portable| file.write_secret(portable, entropy))?;
        let counts = Counts { secrets: report.secrets, versions: report.versions };
        let written = file.finish(&counts, entropy)?;

        let mut read = ExportFile::open(written.unfinished_path())?.unlock(sealing_key, usize::MAX)?;
        let mut meter = Meter::new("checking the export", read.length(), progress);
        while let Some(portable) = read.next()? {
            portable.check().map_err(|why| read.refuse(&why))?;
            meter.reach(read.position());
        }
        meter.finish();
        if read.counts() != counts {
            return Err(read.refuse("it does not hold what was written"));
        }
        written.publish().map_err(failed("write", path))?;
        Ok(report)
    }

    /// Visits the secrets that are to be exported, each as of one moment.
    pub(super) fn for_each_portable(
        &self,
        tenants: &[Tenant],
        options: &ExportOptions,
        progress: &mut dyn FnMut(Progress),
        visit: &mut dyn FnMut(&Portable) -> Result<()>,
    ) -> Result<ExportReport> {
        let mut report = ExportReport::default();
        let mut meter = Meter::new("exporting secrets", self.stats()?.secrets, progress);
        let mut seen = 0;
        let mut last = None;
        loop {
            let found = self.inner.records.secrets_after(last.as_ref())?;
            let Some(loaded) = found.last() else {
                meter.finish();
                return Ok(report);
            };
            last = Some(loaded.key.clone());
            for loaded in found {
                seen += 1;
                meter.reach(seen);
                if !tenants.is_empty() && !tenants.contains(&loaded.secret.tenant) {
                    continue;
                }
                let arn = loaded.secret.arn.clone();
                match self.portable(loaded) {
                    Ok(Some(portable)) => {
                        visit(&portable)?;
                        report.secrets += 1;
                        report.versions += portable.values.len() as u64;
                    }
                    // Gone, or as good as gone.
                    Ok(None) => {}
                    Err(error) if options.skips_unreadable && is_unreadable(error.kind()) => {
                        report.skipped.push(SkippedSecret { arn, error });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// A secret with its values, as of one moment. `None`: it is gone, or its recovery window is over.
    fn portable(&self, mut loaded: Loaded) -> Result<Option<Portable>> {
        let tenant = Arc::clone(&loaded.secret.tenant);
        let manager = self.handle(tenant);
        for _ in 0..ROUNDS_MAX {
            if loaded.secret.is_expired(manager.now()) {
                return Ok(None);
            }
            if let Some(portable) = open_all(&manager, &loaded)? {
                return Ok(Some(portable));
            }
            // Versions that are not there any more: the secret was changed meanwhile.
            let Loaded { secret, .. } = &loaded;
            let latest = manager.records().load(manager.tenant(), &secret.name)?;
            let Some(latest) = latest.filter(|latest| latest.secret.uid == secret.uid) else { return Ok(None) };
            loaded = latest;
        }
        Err(Error::new(ErrorKind::Contended, format!("other calls kept changing {}", loaded.secret.arn)))
    }
}

/// Opens every value of a secret. `None` if it was changed meanwhile.
fn open_all(manager: &SecretsManager, loaded: &Loaded) -> Result<Option<Portable>> {
    let mut secret = Secret::clone(&loaded.secret);
    secret.uid = uuid::Uuid::nil();
    let mut values = Vec::with_capacity(secret.versions.len());
    for version in &mut secret.versions {
        let Some(content) = &mut version.content else {
            values.push(None);
            continue;
        };
        let opened = manager.open_value(loaded, &version.id);
        let what = || format!("the value of version {} of {}", version.id, loaded.secret.arn);
        match opened.map_err(|error| about(&what(), error))? {
            Some(value) => values.push(Some(value)),
            None => return Ok(None),
        }
        content.keys.clear();
    }
    Ok(Some(Portable { secret, values }))
}

/// Whether the KMS key of a secret is in the way, and not its provider or the store.
fn is_unreadable(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::DecryptionFailure(_) | ErrorKind::KeyAccessDenied(_))
}
