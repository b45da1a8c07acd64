//! New wraps around the same data keys, recipients, and wraps that are given up.

use std::sync::Arc;

use crate::envelope::{Recipient, Renewal, Renewed, Wanted};
use crate::error::{Error, Result};
use crate::model::secret::Secret;
use crate::model::tenant::Tenant;
use crate::model::version::{Content, KeyRole, KeyUse, KmsKeyId, VersionId};
use crate::records::Loaded;
use crate::store::keys::walk::{Change, Counts, Visit, Visitor};
use crate::store::keys::{KeyOptions, KeyProblem, Problems, Resolved, refuse_empty};
use crate::store::progress::Progress;
use crate::store::{Inner, SecretStore, SecretsManager};

/// What [`SecretStore::rewrap`] and [`SecretStore::add_recipient`] did, or would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RewrapReport {
    /// Secrets that were gone through.
    pub secrets: u64,
    /// Their versions with a value.
    pub versions: u64,
    /// Versions that got a new wrap.
    pub rewrapped_versions: u64,
    /// Whether the root key of the store got a new wrap.
    pub root_rewrapped: bool,
    /// Versions that stay as they were, because a key is in the way: the first 100.
    pub problems: Vec<KeyProblem>,
    /// How many there are.
    pub problems_total: u64,
}

/// What [`SecretStore::drop_wraps`] did, or would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DropReport {
    /// Secrets that were gone through.
    pub secrets: u64,
    /// Versions that lost a wrap.
    pub versions: u64,
    /// Whether the root key of the store lost a wrap.
    pub root_dropped: bool,
    /// Versions that keep it, because nothing else opens them: the first 100.
    pub problems: Vec<KeyProblem>,
    /// How many there are.
    pub problems_total: u64,
}

impl SecretStore {
    /// Wraps every data key anew that is not wrapped under the newest version of its key, or under all of the store's
    /// recipients, and the store's root key likewise. The data keys stay the same, and so do the values.
    ///
    /// What a key's name leads to now is what counts: after the key provider has rotated a key, retargeted an alias or
    /// changed its passphrase, this brings everything over. The root key goes over to [`Builder::root_key_id`]'s key, if one was
    /// given; with [`KeyOptions::only`] it stays as it is.
    /// [`KeyOptions::replace_key`] moves everything from one key to another. A version whose key is gone is opened by any
    /// other of its keys, a recipient's among them, and then wrapped for the key that its own name leads to.
    ///
    /// This changes the wrapper, not the key inside: it is no help once a data key or a value has leaked. See
    /// [`reencrypt`](Self::reencrypt) for that.
    ///
    /// Each secret changes in one step, after every new wrap was shown to open. Others go on working. Interrupted, call it
    /// again: what is wrapped as it should be is passed over. One operation on keys at a time.
    ///
    /// Of a standby only the root key is wrapped anew, which is its own: versions follow those of the other store. So with
    /// [`add_recipient`](Self::add_recipient) and [`drop_wraps`](Self::drop_wraps).
    ///
    /// # Errors
    ///
    /// 1. [`ErrorKind::Contended`](crate::ErrorKind::Contended): another operation on keys is under way.
    /// 2. [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): a chosen account or Region is none.
    /// 3. [`ErrorKind::KeyProviderOutage`](crate::ErrorKind::KeyProviderOutage): the provider is failing. What was done stays.
    /// 4. [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted), [`ErrorKind::Storage`](crate::ErrorKind::Storage),
    ///    [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// A key that cannot be used is no error but a problem in the report: its versions stay as they are.
    ///
    /// [`Builder::root_key_id`]: crate::Builder::root_key_id
    ///
    /// ```
    /// use std::sync::Arc;
    /// use strongroom::{CreateSecretRequest, KeyOptions, KeyScope, LocalKeyring, SecretStore};
    ///
    /// let keyring = Arc::new(LocalKeyring::in_memory());
    /// let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1"))?;
    /// let store = SecretStore::in_memory().key_provider(Arc::clone(&keyring)).open()?;
    /// let create = CreateSecretRequest::new("db/main").kms_key_id(&key).secret_string("s3cret");
    /// store.default_secrets_manager().create_secret(create)?;
    ///
    /// keyring.rotate_key(&key)?;
    /// let report = store.rewrap(&KeyOptions::new(), &mut |_| {})?;
    /// assert_eq!((report.versions, report.rewrapped_versions), (1, 1));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn rewrap(&self, options: &KeyOptions, progress: &mut dyn FnMut(Progress)) -> Result<RewrapReport> {
        let _work = self.inner.begin_wrap_work()?;
        self.inner.rewrap_all(options, progress)
    }

    /// Adds a key that opens the store and everything in it besides each secret's own key: a recovery key, for the day on
    /// which the others are lost. Versions that are made later are wrapped for it too, as long as it is a recipient.
    ///
    /// `key` is a key id, ARN, alias or alias ARN, which the key provider looks for in the account and Region of the store's own
    /// key. It must be usable whenever a value is written. A provider that keeps the half of it that unwraps elsewhere answers
    /// `AccessDenied` where it is asked to unwrap, and is believed; one that has another key of that name is refused. Adding it again goes on where it was interrupted. A key that is a recipient under
    /// another name stays one under that name.
    ///
    /// # Limits
    ///
    /// 6 recipients.
    ///
    /// # Errors
    ///
    /// As for [`rewrap`](Self::rewrap), and before all others but the first:
    /// [`ErrorKind::KeyAccessDenied`](crate::ErrorKind::KeyAccessDenied),
    /// [`ErrorKind::EncryptionFailure`](crate::ErrorKind::EncryptionFailure): the key cannot be used;
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded): there are 6 recipients. Nothing has changed then.
    ///
    /// ```
    /// use strongroom::{KeyScope, LocalKeyring, SecretStore};
    ///
    /// let keyring = LocalKeyring::in_memory();
    /// let recovery = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1"))?;
    /// let store = SecretStore::in_memory().key_provider(keyring).open()?;
    /// store.add_recipient(&recovery, &mut |_| {})?;
    /// assert_eq!(store.recipients(), [recovery]);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn add_recipient(&self, key: impl AsRef<str>, progress: &mut dyn FnMut(Progress)) -> Result<RewrapReport> {
        let _work = self.inner.begin_wrap_work()?;
        refuse_empty(key.as_ref())?;
        self.inner.add_recipient(&KmsKeyId::parse(key.as_ref()), progress)
    }

    /// The keys that everything is wrapped for besides each secret's own, as they were given.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        let shown = |key: &KmsKeyId| key.shown().unwrap_or(crate::model::version::DEFAULT_KEY_ALIAS).to_owned();
        self.inner.envelope.recipients().iter().map(|recipient| shown(&recipient.key)).collect()
    }

    /// Removes every wrap under a key, given by its ARN or as it was written when it was used, of versions and of the root
    /// key. If it is a recipient, it ceases to be one.
    ///
    /// A version that nothing else opens keeps it, and is a problem in the report: what is left has to open the value
    /// before anything is removed. Secrets whose current key this is go on using it for new versions.
    ///
    /// # Errors
    ///
    /// As for [`rewrap`](Self::rewrap).
    pub fn drop_wraps(
        &self,
        key: impl AsRef<str>,
        options: &KeyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<DropReport> {
        let _work = self.inner.begin_wrap_work()?;
        self.inner.drop_wraps(key.as_ref(), options, progress)
    }
}

/// Recipients of a store: a version has a wrap for each of them, one under its own key, and one more while that gives way
/// to another.
const RECIPIENTS_MAX: usize = crate::envelope::WRAPS_MAX - 2;

/// What is wrapped anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Whatever is not as it should be.
    All,
    /// Only what is missing for recipients.
    Missing,
}

/// Whether a key is the one that somebody names, by its ARN or as it was written.
fn is_named(used: &KeyUse, name: &str) -> bool {
    *used.key_arn == *name || used.requested == KmsKeyId::parse(name)
}

impl Inner {
    /// Brings every wrap to the newest version of its key.
    pub(super) fn rewrap_all(
        self: &Arc<Self>,
        options: &KeyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RewrapReport> {
        self.rewrap(options, Which::All, progress)
    }

    fn rewrap(
        self: &Arc<Self>,
        options: &KeyOptions,
        which: Which,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RewrapReport> {
        options.check()?;
        let mut problems = Problems::default();
        let mut report = RewrapReport::default();
        let is_of_store = which == Which::All && options.tenants.is_empty();
        if is_of_store {
            // The new wraps of the root key are there before any version needs them, and the old ones go when none does.
            report.root_rewrapped = self.rewrap_root(options, &mut problems)?;
        }
        let mut recipients = self.envelope.recipients();
        // One that is being replaced is one no more.
        recipients.retain(|one| options.successor(&one.key, &one.root.key_arn) == one.key);
        let resolved = Resolved::default();
        let mut visitor = Rewrap { store: self, options, which, recipients, resolved, report, problems };
        if !self.records.is_standby() {
            self.walk(options, None, "rewrapping", &mut visitor, progress)?;
        }
        if visitor.problems.total == 0 && is_of_store && !options.is_dry_run {
            self.drop_outdated_root_wraps(options)?;
        }
        let Rewrap { mut report, problems, .. } = visitor;
        (report.problems, report.problems_total) = (problems.list, problems.total);
        Ok(report)
    }

    fn add_recipient(self: &Arc<Self>, key: &KmsKeyId, progress: &mut dyn FnMut(Progress)) -> Result<RewrapReport> {
        let handle = self.envelope.resolve_for_store(key)?;
        // One that is known by another name is one already: versions have one wrap for each key.
        let recipients = self.envelope.recipients();
        let is_known = |one: &Recipient| one.key == *key || one.root.key_arn == handle.arn;
        let is_new = !recipients.iter().any(is_known);
        if is_new && recipients.len() >= RECIPIENTS_MAX {
            return Err(Error::limit_exceeded(format!("A store has at most {RECIPIENTS_MAX} recipients.")));
        }
        if is_new {
            self.wrap_root_for(key, &handle)?;
        }
        let report = self.rewrap(&KeyOptions::new(), Which::Missing, progress)?;
        Ok(RewrapReport { root_rewrapped: is_new, ..report })
    }

    fn drop_wraps(
        self: &Arc<Self>,
        key: &str,
        options: &KeyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<DropReport> {
        options.check()?;
        refuse_empty(key)?;
        let mut visitor = Dropping { key, options, report: DropReport::default(), problems: Problems::default() };
        if options.tenants.is_empty() {
            // First of all, so that no version is wrapped for it any more.
            visitor.report.root_dropped = self.drop_root_wraps(key, options.is_dry_run, &mut visitor.problems)?;
        }
        if !self.records.is_standby() {
            self.walk(options, None, "removing wrapped keys", &mut visitor, progress)?;
        }
        let Dropping { mut report, problems, .. } = visitor;
        (report.problems, report.problems_total) = (problems.list, problems.total);
        Ok(report)
    }
}

struct Rewrap<'a> {
    store: &'a Inner,
    options: &'a KeyOptions,
    which: Which,
    recipients: Vec<Recipient>,
    resolved: Resolved,
    report: RewrapReport,
    problems: Problems,
}

impl Rewrap<'_> {
    /// The key that a secret is to use: another one if the one that it uses is, or was when it could still be found, the
    /// one that is being replaced.
    fn key_to_use(&mut self, tenant: &Arc<Tenant>, secret: &Secret) -> Result<KmsKeyId> {
        let current = &secret.kms_key_id;
        if self.options.replaced.is_none() {
            return Ok(current.clone());
        }
        let arn = match self.resolved.of_secret(self.store, tenant, current)? {
            Ok(key) => Some(key.arn),
            Err(_) => {
                let contents = secret.versions.iter().rev().filter_map(|version| version.content.as_ref());
                let used = contents.flat_map(|content| &content.keys).find(|used| used.requested == *current);
                used.map(|used| Arc::clone(&used.key_arn))
            }
        };
        Ok(self.options.successor(current, arn.as_deref().unwrap_or_default()))
    }

    /// The wraps that a version is to have, and the reason why some stay as they are.
    fn wanted(&mut self, tenant: &Arc<Tenant>, content: &Content) -> Result<(Vec<Wanted>, Option<Error>)> {
        let mut wanted: Vec<(Arc<str>, KeyRole, Wanted)> = Vec::with_capacity(content.keys.len() + 1);
        let mut problem = None;
        for (place, used) in content.keys.iter().enumerate() {
            if self.which == Which::Missing {
                wanted.push((Arc::clone(&used.key_arn), used.role, Wanted::Kept(place)));
                continue;
            }
            let requested = self.options.successor(&used.requested, &used.key_arn);
            let recipient = self.recipients.iter().find(|one| one.key == requested).cloned();
            let found = match (used.role, &recipient) {
                (KeyRole::Secret, _) => self.resolved.of_secret(self.store, tenant, &requested)?,
                (KeyRole::Recovery, Some(recipient)) => self.resolved.of_recipient(self.store, recipient)?,
                // It was one once, and is not any more; or this is a rehearsal.
                (KeyRole::Recovery, None) => continue,
            };
            let is_current = |arn: &Arc<str>, version: &Arc<str>| *arn == used.key_arn && *version == used.key_version;
            let (arn, one) = match found {
                Ok(key) if is_current(&key.arn, &key.version) && requested == used.requested => {
                    (key.arn, Wanted::Kept(place))
                }
                Ok(key) => (Arc::clone(&key.arn), Wanted::New { requested, role: used.role, key }),
                Err(error) => {
                    problem.get_or_insert(error);
                    (Arc::clone(&used.key_arn), Wanted::Kept(place))
                }
            };
            // Two names may lead to one key by now. One wrap is enough, and one that is there is as good as a new one.
            match wanted.iter_mut().find(|(other, ..)| *other == arn) {
                Some((_, role, other)) => {
                    // The key of a secret stays that, also if it is a recipient's.
                    let is_promoted = (*role, used.role) == (KeyRole::Recovery, KeyRole::Secret);
                    let is_kept = matches!((&*other, &one), (Wanted::New { .. }, Wanted::Kept(_)));
                    if is_promoted || (is_kept && *role == used.role) {
                        (*role, *other) = (used.role, one);
                    }
                }
                None => wanted.push((arn, used.role, one)),
            }
        }
        for recipient in self.recipients.clone() {
            let requested = recipient.key.clone();
            match self.resolved.of_recipient(self.store, &recipient)? {
                Ok(key) if wanted.iter().any(|(arn, ..)| *arn == key.arn) => {}
                Ok(key) => {
                    let role = KeyRole::Recovery;
                    wanted.push((Arc::clone(&key.arn), role, Wanted::New { requested, role, key }));
                }
                Err(error) => _ = problem.get_or_insert(error),
            }
        }
        if wanted.is_empty() {
            // Only keys of former recipients open it: better than none.
            return Ok(((0..content.keys.len()).map(Wanted::Kept).collect(), problem));
        }
        Ok((wanted.into_iter().map(|(.., wanted)| wanted).collect(), problem))
    }
}

/// Whether a version has exactly the wraps that it is to have.
fn is_as_wanted(content: &Content, wanted: &[Wanted]) -> bool {
    wanted.len() == content.keys.len() && wanted.iter().all(|wanted| matches!(wanted, Wanted::Kept(_)))
}

/// Gives versions of a secret the wraps that they are to have. `wanted` says which, for each that changes.
pub(super) fn renew_versions(
    manager: &SecretsManager,
    loaded: &Loaded,
    wanted: Vec<(VersionId, Vec<Wanted>)>,
    renewal: Renewal,
    counts: &mut Counts,
) -> Result<Option<Change>> {
    let mut secret = Secret::clone(&loaded.secret);
    let mut sealed = Vec::with_capacity(wanted.len());
    let roots = manager.records().roots();
    for (id, wanted) in wanted {
        let renewed =
            manager.with_version(loaded, &id, |stored| manager.envelope().renew(stored, &roots, &wanted, renewal));
        match renewed {
            Ok(None) => return Ok(None),
            Ok(Some(Renewed::Done(version))) => {
                if let Some(found) = secret.version_mut(&id) {
                    found.content = Some(version.content.clone());
                }
                counts.changed += 1;
                sealed.push((id, version));
            }
            Ok(Some(Renewed::Closed(error))) => counts.problems.push((Some(id), error)),
            Err(error) if super::is_key_in_the_way(error.kind()) => counts.problems.push((Some(id), error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Change { secret, sealed, counts: std::mem::take(counts) }))
}

impl Visitor for Rewrap<'_> {
    fn visit(&mut self, manager: &SecretsManager, loaded: &Loaded) -> Result<Visit> {
        let mut counts = Counts::default();
        let mut changes = Vec::new();
        for version in &loaded.secret.versions {
            let Some(content) = &version.content else { continue };
            counts.versions += 1;
            let (wanted, problem) = self.wanted(manager.tenant(), content)?;
            if let Some(problem) = problem {
                counts.problems.push((Some(version.id.clone()), problem));
            }
            if !is_as_wanted(content, &wanted) {
                changes.push((version.id.clone(), wanted));
            }
        }
        let mut successor = self.key_to_use(manager.tenant(), &loaded.secret)?;
        if successor != loaded.secret.kms_key_id
            && let Err(error) = self.resolved.of_secret(self.store, manager.tenant(), &successor)?
        {
            if changes.is_empty() && counts.problems.is_empty() {
                counts.problems.push((None, error));
            }
            successor = loaded.secret.kms_key_id.clone();
        }
        if self.options.is_dry_run {
            counts.changed = changes.len() as u64;
            return Ok(Visit::Unchanged(counts));
        }
        if changes.is_empty() && successor == loaded.secret.kms_key_id {
            return Ok(Visit::Unchanged(counts));
        }
        let renewed = renew_versions(manager, loaded, changes, Renewal::Wraps, &mut counts)?;
        let Some(mut change) = renewed else { return Ok(Visit::Again) };
        if change.counts.problems.is_empty() {
            change.secret.kms_key_id = successor;
        }
        if change.secret == *loaded.secret {
            return Ok(Visit::Unchanged(change.counts));
        }
        Ok(Visit::Changed(Box::new(change)))
    }

    fn done(&mut self, arn: &str, counts: Counts) {
        self.report.secrets += 1;
        self.report.versions += counts.versions;
        self.report.rewrapped_versions += counts.changed;
        counts
            .problems
            .into_iter()
            .for_each(|(id, error)| self.problems.add(arn, id.as_ref().map(VersionId::as_str), error));
    }
}

struct Dropping<'a> {
    key: &'a str,
    options: &'a KeyOptions,
    report: DropReport,
    problems: Problems,
}

impl Visitor for Dropping<'_> {
    fn visit(&mut self, manager: &SecretsManager, loaded: &Loaded) -> Result<Visit> {
        let mut counts = Counts::default();
        let mut changes = Vec::new();
        for version in &loaded.secret.versions {
            let Some(content) = &version.content else { continue };
            counts.versions += 1;
            let kept = content.keys.iter().enumerate().filter(|(_, used)| !is_named(used, self.key));
            let kept: Vec<_> = kept.map(|(place, _)| Wanted::Kept(place)).collect();
            if kept.is_empty() {
                counts.problems.push((Some(version.id.clone()), last_wrap(self.key)));
            } else if kept.len() < content.keys.len() {
                changes.push((version.id.clone(), kept));
            }
        }
        if self.options.is_dry_run {
            counts.changed = changes.len() as u64;
            return Ok(Visit::Unchanged(counts));
        }
        if changes.is_empty() {
            return Ok(Visit::Unchanged(counts));
        }
        match renew_versions(manager, loaded, changes, Renewal::Wraps, &mut counts)? {
            None => Ok(Visit::Again),
            Some(change) if change.sealed.is_empty() => Ok(Visit::Unchanged(change.counts)),
            Some(change) => Ok(Visit::Changed(Box::new(change))),
        }
    }

    fn done(&mut self, arn: &str, counts: Counts) {
        self.report.secrets += 1;
        self.report.versions += counts.changed;
        counts
            .problems
            .into_iter()
            .for_each(|(id, error)| self.problems.add(arn, id.as_ref().map(VersionId::as_str), error));
    }
}

/// Why a wrap stays.
pub(super) fn last_wrap(key: &str) -> Error {
    Error::invalid_request(format!("nothing else opens it than the key `{key}`: it is kept"))
}
