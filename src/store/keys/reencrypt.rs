//! New data keys and new ciphertexts.

use std::sync::Arc;

use crate::envelope::{Recipient, Renewal, Wanted};
use crate::error::{Error, Result};
use crate::model::tenant::Tenant;
use crate::model::version::{Content, KeyRole, VersionId};
use crate::records::Loaded;
use crate::records::codec::Job;
use crate::records::keys::JobKind;
use crate::store::keys::rewrap::renew_versions;
use crate::store::keys::walk::{Counts, Place, Visit, Visitor};
use crate::store::keys::{KeyOptions, KeyProblem, Problems, Resolved};
use crate::store::progress::Progress;
use crate::store::{Inner, SecretStore, SecretsManager};

/// What [`SecretStore::reencrypt`] did, or would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReencryptReport {
    /// Secrets that were gone through, those before an interruption included.
    pub secrets: u64,
    /// Versions that got a new data key and a new ciphertext, those before an interruption included.
    pub versions: u64,
    /// Whether this call went on with one that was interrupted.
    pub was_resumed: bool,
    /// Versions that stay as they were, because a key is in the way: the first 100 that this call has met.
    pub problems: Vec<KeyProblem>,
    /// How many there are.
    pub problems_total: u64,
}

impl SecretStore {
    /// Gives every version a new data key and a new ciphertext, under the newest versions of the keys that it is wrapped
    /// under now: the answer to a data key that may have leaked. The values stay the same, and so does everything that the
    /// API shows.
    ///
    /// Each secret changes in one step, after its new wraps and its new ciphertext were shown to open. Others go on
    /// working. How far it has come is remembered in the store: interrupted, call it again with the same options, and it
    /// goes on from there, which the report says. With [`KeyOptions::anew`] it begins at the first secret all the same. The old ciphertexts stay in the storage engine's files until they happen to be written over;
    /// see [`shred`](Self::shred). One operation on keys at a time.
    ///
    /// # Errors
    ///
    /// As for [`rewrap`](Self::rewrap).
    ///
    /// ```
    /// # use strongroom::{CreateSecretRequest, KeyOptions, SecretStore, StaticKey};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
    /// let report = store.reencrypt(&KeyOptions::new(), &mut |_| {})?;
    /// assert_eq!((report.secrets, report.versions), (1, 1));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn reencrypt(&self, options: &KeyOptions, progress: &mut dyn FnMut(Progress)) -> Result<ReencryptReport> {
        let _work = self.inner.begin_key_work()?;
        self.inner.reencrypt(options, progress)
    }
}

impl Inner {
    fn reencrypt(
        self: &Arc<Self>,
        options: &KeyOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ReencryptReport> {
        let scope = options.scope();
        let begun = self
            .records
            .job(JobKind::Reencrypt)?
            .filter(|job| job.scope == scope && !options.is_dry_run && !options.is_anew);
        let mut visitor = Reencrypt {
            store: self,
            options,
            recipients: self.envelope.recipients(),
            resolved: Resolved::default(),
            report: ReencryptReport { was_resumed: begun.is_some(), ..ReencryptReport::default() },
            problems: Problems::default(),
            scope,
        };
        if let Some(job) = &begun {
            (visitor.report.secrets, visitor.report.versions) = (job.secrets, job.versions);
        }
        let after = begun.map(|job| job.after);
        self.walk(options, after.as_ref(), "encrypting anew", &mut visitor, progress)?;
        if !options.is_dry_run {
            self.records.set_job(JobKind::Reencrypt, None)?;
        }
        let Reencrypt { mut report, problems, .. } = visitor;
        (report.problems, report.problems_total) = (problems.list, problems.total);
        Ok(report)
    }
}

struct Reencrypt<'a> {
    store: &'a Inner,
    options: &'a KeyOptions,
    recipients: Vec<Recipient>,
    resolved: Resolved,
    report: ReencryptReport,
    problems: Problems,
    scope: String,
}

impl Reencrypt<'_> {
    /// New wraps under the keys that a version has, and the recipients'. Or the key that is in the way.
    fn wanted(&mut self, tenant: &Arc<Tenant>, content: &Content) -> Result<std::result::Result<Vec<Wanted>, Error>> {
        let own = content.keys.iter().filter(|used| used.role == KeyRole::Secret).map(|used| used.requested.clone());
        let own: Vec<_> = own.map(|key| (key, None)).collect();
        let recipients: Vec<_> = self.recipients.iter().map(|one| (one.key.clone(), Some(one.clone()))).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        for (requested, recipient) in own.into_iter().chain(recipients) {
            let (role, found) = match &recipient {
                None => (KeyRole::Secret, self.resolved.of_secret(self.store, tenant, &requested)?),
                Some(recipient) => (KeyRole::Recovery, self.resolved.of_recipient(self.store, recipient)?),
            };
            let key = match found {
                Ok(key) => key,
                Err(error) => return Ok(Err(error)),
            };
            let is_there = |one: &Wanted| matches!(one, Wanted::New { key: other, .. } if other.arn == key.arn);
            if !wanted.iter().any(is_there) {
                wanted.push(Wanted::New { requested, role, key });
            }
        }
        Ok(Ok(wanted))
    }
}

impl Visitor for Reencrypt<'_> {
    fn visit(&mut self, manager: &SecretsManager, loaded: &Loaded) -> Result<Visit> {
        let mut counts = Counts::default();
        let mut changes = Vec::new();
        for version in &loaded.secret.versions {
            let Some(content) = &version.content else { continue };
            counts.versions += 1;
            match self.wanted(manager.tenant(), content)? {
                Ok(wanted) => changes.push((version.id.clone(), wanted)),
                Err(error) => counts.problems.push((Some(version.id.clone()), error)),
            }
        }
        if self.options.is_dry_run {
            counts.changed = changes.len() as u64;
            return Ok(Visit::Unchanged(counts));
        }
        match renew_versions(manager, loaded, changes, Renewal::Value, &mut counts)? {
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

    fn passed(&mut self, place: &Place, _: u64) -> Result<()> {
        if self.options.is_dry_run {
            return Ok(());
        }
        let ReencryptReport { secrets, versions, .. } = self.report;
        let job = Job { scope: self.scope.clone(), after: place.clone(), secrets, versions };
        self.store.records.set_job(JobKind::Reencrypt, Some(&job))
    }
}
