//! Going through the secrets in the order of their names, changing each in one commit.

use std::sync::Arc;

use crate::envelope::SealedVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretName;
use crate::model::secret::{Owner, Secret};
use crate::model::tenant::Tenant;
use crate::model::version::VersionId;
use crate::records::{Loaded, Outcome, SecretChange};
use crate::store::keys::KeyOptions;
use crate::store::progress::{Meter, Progress};
use crate::store::{Inner, SecretsManager};

/// Secrets that are committed together.
const BATCH_SECRETS: usize = 64;

/// Bytes of sealed versions after which a batch is committed before it is full.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Rounds after which a secret that others keep changing is given up.
const ROUNDS_MAX: usize = 1_000;

/// Where a walk is: the last secret that it has passed.
pub(super) type Place = (String, String, String);

/// A secret as it is to be, with the versions that were sealed for it.
pub(super) struct Change {
    pub(super) secret: Secret,
    pub(super) sealed: Vec<(VersionId, SealedVersion)>,
    pub(super) counts: Counts,
}

/// What there is to report of a secret.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Its versions with a value.
    pub(super) versions: u64,
    /// Those that change.
    pub(super) changed: u64,
    /// Those that should change and cannot, and why.
    pub(super) problems: Vec<(Option<VersionId>, Error)>,
}

/// What a visitor does with a secret.
pub(super) trait Visitor {
    /// Works out what a secret is to become. Called again if the secret was changed meanwhile.
    fn visit(&mut self, manager: &SecretsManager, loaded: &Loaded) -> Result<Visit>;

    /// A secret is done, for good.
    fn done(&mut self, arn: &str, counts: Counts);

    /// A batch of secrets is done, up to and including this one.
    fn passed(&mut self, _place: &Place, _secrets: u64) -> Result<()> {
        Ok(())
    }
}

/// What a visit came to.
pub(super) enum Visit {
    /// The secret stays as it is.
    Unchanged(Counts),
    Changed(Box<Change>),
    /// Its records do not belong together: it was changed while it was read.
    Again,
}

impl Inner {
    /// Visits every secret that the options name, after the given place. Whatever is stored meanwhile, or was not stored yet
    /// when this began, is wrapped under the keys as they are by then.
    pub(super) fn walk(
        self: &Arc<Self>,
        options: &KeyOptions,
        after: Option<&Place>,
        step: &'static str,
        visitor: &mut dyn Visitor,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let chosen = options.tenants()?;
        // Or a value that is being stored could come too late to be visited, under the keys of before.
        self.records.begin_turn();
        let catalogue = self.records.catalogue()?;
        let mut meter = Meter::new(step, self.records.head().secrets, progress);
        for tenant in catalogue.tenants() {
            if !chosen.is_empty() && !chosen.contains(&*tenant) {
                continue;
            }
            let here = (tenant.account().to_owned(), tenant.region().to_owned());
            let mut last: Option<SecretName> = match after {
                Some((account, region, _)) if (account, region) > (&here.0, &here.1) => continue,
                Some((account, region, name)) if (account, region) == (&here.0, &here.1) => {
                    Some(SecretName::from_record(name))
                }
                _ => None,
            };
            let manager = SecretsManager {
                inner: Arc::clone(self),
                tenant: Arc::clone(&tenant),
                owner: Owner::default(),
                caller: None,
                request_id: None,
            };
            loop {
                let names = catalogue.names(&tenant, last.as_ref(), BATCH_SECRETS);
                let Some(newest) = names.last() else { break };
                let place = (here.0.clone(), here.1.clone(), newest.as_str().to_owned());
                last = Some(newest.clone());
                self.visit_all(&manager, &tenant, &names, visitor)?;
                visitor.passed(&place, names.len() as u64)?;
                meter.advance(names.len() as u64);
            }
        }
        // Whatever is reported is there, also where changes are acknowledged before they are durable.
        self.records.flush()?;
        meter.finish();
        Ok(())
    }

    fn visit_all(
        &self,
        manager: &SecretsManager,
        tenant: &Arc<Tenant>,
        names: &[SecretName],
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let mut batch: Vec<(Loaded, Change)> = Vec::new();
        let mut bytes = 0;
        for name in names {
            if let Some((loaded, change)) = self.visit_one(manager, tenant, name, visitor)? {
                bytes += change.sealed.iter().map(|(_, version)| version.record.len()).sum::<usize>();
                batch.push((loaded, change));
            }
            if bytes >= BATCH_BYTES {
                self.commit_batch(manager, tenant, std::mem::take(&mut batch), visitor)?;
                bytes = 0;
            }
        }
        self.commit_batch(manager, tenant, batch, visitor)
    }

    /// A secret and what it is to become.
    fn visit_one(
        &self,
        manager: &SecretsManager,
        tenant: &Arc<Tenant>,
        name: &SecretName,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<(Loaded, Change)>> {
        for _ in 0..ROUNDS_MAX {
            let Some(loaded) = self.records.load(tenant, name)? else { return Ok(None) };
            match visitor.visit(manager, &loaded)? {
                Visit::Unchanged(counts) => {
                    visitor.done(&loaded.secret.arn, counts);
                    return Ok(None);
                }
                Visit::Changed(change) => return Ok(Some((loaded, *change))),
                Visit::Again => {}
            }
        }
        Err(contended(name))
    }

    fn commit_batch(
        &self,
        manager: &SecretsManager,
        tenant: &Arc<Tenant>,
        mut batch: Vec<(Loaded, Change)>,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if batch.is_empty() {
                return Ok(());
            }
            let changes: Vec<_> = batch.iter().map(|(loaded, change)| change_of(loaded, change)).collect();
            let outcomes = self.records.commit_all(&changes)?;
            drop(changes);
            let mut stale = Vec::new();
            for ((loaded, change), outcome) in batch.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Done => visitor.done(&loaded.secret.arn, change.counts),
                    // Somebody else was faster: it is looked at again, as it is now.
                    Outcome::Stale | Outcome::OverQuota { .. } => stale.push(loaded.secret.name.clone()),
                }
            }
            batch = Vec::new();
            for name in stale {
                batch.extend(self.visit_one(manager, tenant, &name, visitor)?);
            }
        }
        match batch.first() {
            Some((loaded, _)) => Err(contended(&loaded.secret.name)),
            None => Ok(()),
        }
    }
}

fn change_of<'a>(loaded: &'a Loaded, change: &'a Change) -> SecretChange<'a> {
    let Change { secret, sealed, .. } = change;
    SecretChange { key: &loaded.key, old: Some(loaded), new: Some(secret), sealed, quota: None }
}

fn contended(name: &SecretName) -> Error {
    Error::new(ErrorKind::Contended, format!("other calls kept changing `{}`", name.as_str()))
}
