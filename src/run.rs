//! The one flow of every operation that changes a secret: load, decide, seal, commit, and again if somebody was faster.
//!
//! Deciding is a function of what was loaded, so doing it again is safe. No lock is held while a key provider works.

mod authorize;
pub(crate) mod replicate;

use std::sync::Arc;

use uuid::Uuid;

use crate::access::Access;
use crate::entropy::Entropy;
use crate::envelope::provider::KeyHandle;
use crate::envelope::root::{KeyTime, Roots};
use crate::envelope::{Identity, Rewrapped, SealedVersion, StoredVersion, require_usable};
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::{SecretId, SecretName};
use crate::model::secret::Secret;
use crate::model::stages::{CURRENT, PENDING, PREVIOUS};
use crate::model::value::SecretValue;
use crate::model::version::{Content, KmsKeyId, Version, VersionId};
use crate::observe::rotation::{RotationEvent, RotationEventKind};
use crate::records::keys::SecretKey;
use crate::records::{Loaded, Outcome, SecretChange, StoredRecord};
use crate::run::replicate::{Change, Noted};
use crate::store::{Replication, SecretsManager};
use crate::time::Timestamp;

/// Rounds after which a call gives up. Every lost round means that another call was committed, and what a round asked of
/// the key provider is not asked again while it still holds, so this many are lost only by a caller that is starved.
const ROUNDS_MAX: usize = 1_000;

/// What an operation may use to decide, apart from what was loaded.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a dyn Entropy,
}

/// An operation on one secret that may change it.
pub(crate) trait Operation {
    type Response;

    /// The secret it is about.
    fn secret_id(&self) -> &SecretId;

    /// What it asks for, as policies see it.
    fn access(&self) -> Access<'_>;

    /// The secret that it makes, if it makes one.
    fn new_name(&self) -> Option<&SecretName> {
        None
    }

    /// Whether it succeeds although there is no such secret.
    fn is_done_without_secret(&self) -> bool {
        false
    }

    /// Whether it changes what the caller may do afterwards.
    fn may_lock_out(&self) -> bool {
        false
    }

    /// The value it brings, if any.
    fn value(&self) -> Option<&SecretValue> {
        None
    }

    /// Picks the error, or the new state and the response. `secret` is absent if it does not exist, is out of reach or
    /// its recovery window is over. `is_same` answers an earlier [`Verdict::Compare`].
    ///
    /// Checks are made in the documented order of errors, from top to bottom.
    fn decide(
        &self,
        secret: Option<Secret>,
        is_same: Option<bool>,
        moment: &Moment<'_>,
    ) -> Result<Verdict<Self::Response>>;
}

/// What an operation decided.
#[derive(Debug)]
pub(crate) enum Verdict<R> {
    /// It must be known first whether this version has the value that the operation brings.
    Compare(VersionId),
    /// There is nothing to store.
    Answer(R),
    /// The secret changes.
    Store(Box<Plan<R>>),
    /// The secret and everything of it goes.
    Purge(R),
}

/// A change of one secret.
#[derive(Debug)]
pub(crate) struct Plan<R> {
    /// The new state. The version to seal has no content yet.
    pub(crate) secret: Secret,
    /// The version that receives the operation's value.
    pub(crate) seal: Option<VersionId>,
    pub(crate) key: KeyWork,
    pub(crate) response: R,
}

/// What is to be done with the secret's KMS key apart from sealing a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyWork {
    None,
    /// See that there is such a key, and that its state permits its use.
    Check,
    /// Wrap the labelled versions under it.
    Rewrap,
}

impl<R> Verdict<R> {
    /// Stores a state that needs no key.
    pub(crate) fn store(secret: Secret, response: R) -> Self {
        Self::Store(Box::new(Plan { secret, seal: None, key: KeyWork::None, response }))
    }
}

impl SecretsManager {
    /// The secret that an id points at, for a caller who may do this with it.
    pub(crate) fn find(&self, id: &SecretId, now: Timestamp, access: &Access<'_>) -> Result<Loaded> {
        match self.find_any(id, now)? {
            Some(loaded) => self.authorize(access, id, &loaded.secret).map(|()| loaded),
            None => self.authorize_absent(access, id, false).and(Err(Error::secret_not_found())),
        }
    }

    /// The secret that an id points at, if it can be reached, whoever asks.
    pub(crate) fn find_any(&self, id: &SecretId, now: Timestamp) -> Result<Option<Loaded>> {
        Ok(self.load(id)?.filter(|loaded| is_reachable(loaded, id, now)))
    }

    fn load(&self, id: &SecretId) -> Result<Option<Loaded>> {
        self.records().readable()?;
        match id {
            SecretId::Name(name) | SecretId::Arn { name, .. } => self.records().load(self.tenant(), name),
            SecretId::Elsewhere { .. } if self.caller().is_some() => match id.across_accounts(self.tenant()) {
                Some((tenant, name)) => self.records().load(&Arc::new(tenant), &name),
                None => Ok(None),
            },
            SecretId::Elsewhere { .. } => Ok(None),
        }
    }

    /// Runs an operation to its end.
    pub(crate) fn run<O: Operation>(&self, operation: &O) -> Result<O::Response> {
        self.records().writable()?;
        let _on_its_way = self.records().announce();
        let mut done = Done::default();
        for _ in 0..ROUNDS_MAX {
            let moment = Moment { now: self.now(), entropy: self.entropy() };
            let id = operation.secret_id();
            let roots = self.records().roots();
            let stored = self.load(id)?;
            let reachable = || stored.as_ref().filter(|loaded| is_reachable(loaded, id, moment.now));
            let secret = || reachable().map(|loaded| Secret::clone(&loaded.secret));
            let access = operation.access();
            match operation.new_name() {
                Some(name) => self.authorize_new(&access, name)?,
                None if reachable().is_none() => {
                    self.authorize_absent(&access, id, operation.is_done_without_secret())?
                }
                None => {}
            }
            if let Some(loaded) = reachable() {
                self.authorize(&access, id, &loaded.secret)?;
            }

            let mut verdict = operation.decide(secret(), None, &moment)?;
            if let Verdict::Compare(version) = verdict {
                let Some(loaded) = reachable() else { return Err(Error::secret_not_found()) };
                self.require_shared_key(&loaded.secret, loaded.secret.has_shared_key(&version))?;
                let Some(is_same) = self.compare(operation, loaded, &version, &mut done)? else { continue };
                verdict = operation.decide(secret(), Some(is_same), &moment)?;
            }
            let mut companions = Vec::new();
            let (new, sealed, response) = match verdict {
                Verdict::Answer(response) => return Ok(response),
                Verdict::Purge(response) => (None, Vec::new(), response),
                Verdict::Store(plan) => {
                    let Plan { mut secret, seal, key, response } = *plan;
                    let old = reachable();
                    if let Some(old) = old.filter(|_| operation.may_lock_out()) {
                        self.authorize_afterwards(&access, id, &old.secret, &secret)?;
                    }
                    let is_sealing = seal.is_some() || key == KeyWork::Rewrap;
                    if let Some(old) = old.filter(|_| is_sealing) {
                        self.require_shared_key(&old.secret, old.secret.kms_key_id != KmsKeyId::Default)?;
                    }
                    let work = Work { old, seal: seal.as_ref(), key };
                    let Some(sealed) = self.seal(operation, &work, &mut secret, &mut done)? else { continue };
                    // Whatever the caller called the default key.
                    secret.require_shareable_key()?;
                    if is_sealing {
                        self.require_shared_key(&secret, secret.kms_key_id != KmsKeyId::Default)?;
                    }
                    if reachable().is_some_and(|loaded| *loaded.secret == secret) {
                        return Ok(response);
                    }
                    let value = seal.as_ref().zip(operation.value());
                    let pace = self.settings().replication.mode;
                    let change = Change { old: reachable(), value, pace, is_asked: true, now: moment.now };
                    match self.companions(&change, &mut secret, &mut done)? {
                        Some(found) => companions = found,
                        None => continue,
                    }
                    (Some(secret), sealed, response)
                }
                Verdict::Compare(_) => return Err(Error::corrupted("a value was compared and is still unknown")),
            };
            let key = match (&stored, &new) {
                (Some(stored), _) => stored.key.clone(),
                (None, Some(new)) => self.records().key_of(&roots, self.tenant(), &new.name),
                (None, None) => return Ok(response),
            };
            let change = SecretChange {
                key: &key,
                old: stored.as_ref(),
                new: new.as_ref(),
                sealed: &sealed,
                quota: Some((self.settings().secrets_max, moment.now)),
            };
            match self.commit_with(&change, &companions, &mut done)? {
                Outcome::Done => {
                    self.go_on_replicating(&key, new.as_ref());
                    self.tell_of_abandonment(stored.as_ref().map(|loaded| &*loaded.secret), new.as_ref());
                    return Ok(response);
                }
                Outcome::Stale => {}
                Outcome::OverQuota { .. } => return Err(self.over_quota()),
            }
        }
        Err(Error::new(ErrorKind::Contended, "other calls kept changing the same secret"))
    }

    /// Brings to replicas what did not fit into the commit, or sees to it that somebody does.
    fn go_on_replicating(&self, key: &SecretKey, new: Option<&Secret>) {
        let Some(new) = new.filter(|new| new.replication_due().is_some()) else { return };
        if new.links.due(self.now()).next().is_some() && self.settings().replication.mode == Replication::Synchronous {
            // What comes of it is noted with the links, and a failure to do even that is found by whoever maintains the store.
            let _ = self.replicate(key);
        }
        self.ring();
    }

    /// Tells observers if a rotation was ended by somebody.
    fn tell_of_abandonment(&self, old: Option<&Secret>, new: Option<&Secret>) {
        let Some((secret, job)) = old.and_then(|old| old.job().map(|job| (old, job))) else { return };
        let same = new.filter(|new| new.uid == secret.uid);
        let is_kept = same.and_then(Secret::job).is_some_and(|kept| kept.token == job.token);
        if !is_kept {
            let (kind, attempt) = (RotationEventKind::RotationAbandoned, Some(job.attempts));
            self.tell_of(secret, kind, job.token.as_str(), attempt, None);
        }
    }

    /// Tells observers of an event in the rotation of a secret.
    pub(crate) fn tell_of(
        &self,
        secret: &Secret,
        kind: RotationEventKind,
        version_id: &str,
        attempt: Option<u32>,
        reason: Option<&str>,
    ) {
        let (tenant, secret_arn, at) = (&*secret.tenant, secret.arn.as_str(), self.now());
        self.observers().rotation(&RotationEvent { kind, tenant, secret_arn, version_id, attempt, reason, at });
    }

    fn over_quota(&self) -> Error {
        let most = self.settings().secrets_max;
        Error::limit_exceeded(format!("You can have at most {most} secrets in an account and Region."))
    }

    /// The value of a version. `None` if the secret was changed while it was being read.
    ///
    /// # Errors
    ///
    /// Also if the version is there and its value is not, or does not fit: that is damage.
    pub(crate) fn open_value(&self, loaded: &Loaded, id: &VersionId) -> Result<Option<SecretValue>> {
        self.with_version(loaded, id, |stored| self.envelope().open(stored))
    }

    /// Does something with the stored value of a version. `None` if the secret was changed meanwhile, so that its two
    /// records do not belong together.
    pub(crate) fn with_version<T>(
        &self,
        loaded: &Loaded,
        id: &VersionId,
        work: impl FnOnce(&StoredVersion<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Loaded { secret, key, revision } = loaded;
        let Some(content) = secret.version(id).and_then(|version| version.content.as_ref()) else { return Ok(None) };
        let worked = match self.records().load_version(secret, id)? {
            Some(StoredRecord { stored, root }) => {
                let (identity, current) = (self.identity(secret, id), &secret.kms_key_id);
                work(&StoredVersion { root: &root, identity, current, content, record: stored.as_ref() })
            }
            None => Err(Error::corrupted("the value of a version is missing")),
        };
        match worked {
            Err(error) if *error.kind() == ErrorKind::Corrupted => {
                let latest = self.records().load_by_key(key)?;
                if latest.is_some_and(|latest| latest.revision == *revision) { Err(error) } else { Ok(None) }
            }
            worked => worked.map(Some),
        }
    }

    /// Whether a version has the value that the operation brings. `None` if the secret was changed meanwhile.
    fn compare<O: Operation>(
        &self,
        operation: &O,
        loaded: &Loaded,
        id: &VersionId,
        done: &mut Done,
    ) -> Result<Option<bool>> {
        let uid = loaded.secret.uid;
        if let Some((of, version, is_same)) = &done.compared
            && (*of, version) == (uid, id)
        {
            return Ok(Some(*is_same));
        }
        let Some(existing) = self.open_value(loaded, id)? else { return Ok(None) };
        let is_same = operation.value() == Some(&existing);
        done.compared = Some((uid, id.clone(), is_same));
        Ok(Some(is_same))
    }

    fn identity<'a>(&self, secret: &'a Secret, version: &'a VersionId) -> Identity<'a> {
        Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version }
    }

    /// Encrypts what a plan brings, and writes into the new state how to open it. `None` if the secret was changed
    /// meanwhile. What earlier rounds have done is not done again.
    fn seal<O: Operation>(
        &self,
        operation: &O,
        work: &Work<'_>,
        secret: &mut Secret,
        done: &mut Done,
    ) -> Result<Option<Vec<(VersionId, SealedVersion)>>> {
        let Work { old, seal, key } = *work;
        if seal.is_none() && key == KeyWork::None {
            return Ok(Some(Vec::new()));
        }
        let kms_key_id = secret.kms_key_id.clone();
        // Before the provider is asked: what it answers may be another thing afterwards.
        let roots = self.records().roots();
        done.begin(roots.time());
        let handle = match &done.key {
            Some((resolved, handle)) if *resolved == kms_key_id => handle.clone(),
            _ => {
                let handle = self.envelope().resolve(&secret.tenant, &kms_key_id)?;
                // A secret without a value must not be given a key either under which it could never have one.
                require_usable(&handle)?;
                // Whatever was sealed before was sealed under another key.
                done.sealed.clear();
                done.key = Some((kms_key_id.clone(), handle.clone()));
                handle
            }
        };
        if handle.aws_managed {
            // Whatever the caller called it: a secret under the default key shows no key.
            secret.kms_key_id = KmsKeyId::Default;
        }
        let kms_key_id = secret.kms_key_id.clone();

        let mut sealed = Vec::new();
        if let (Some(id), Some(value)) = (seal, operation.value()) {
            let version = match done.find(secret.uid, id, None) {
                Some(version) => version,
                None => {
                    let version =
                        self.envelope().seal(&roots, self.identity(secret, id), &kms_key_id, &handle, value)?;
                    done.keep(secret.uid, id, None, Some(&version));
                    Some(version)
                }
            };
            sealed.extend(version.map(|version| (id.clone(), version)));
        }
        if let (KeyWork::Rewrap, Some(old)) = (key, old) {
            match self.rewrap(&roots, old, secret, seal, &handle, done)? {
                Some(rewrapped) => sealed.extend(rewrapped),
                None => return Ok(None),
            }
        }
        for (id, version) in &sealed {
            if let Some(found) = secret.version_mut(id) {
                found.content = Some(version.content.clone());
            }
        }
        Ok(Some(sealed))
    }

    /// Wraps the labelled versions under the secret's new key, but for the one that was just sealed under it.
    fn rewrap(
        &self,
        roots: &Roots,
        old: &Loaded,
        secret: &Secret,
        but: Option<&VersionId>,
        key: &KeyHandle,
        done: &mut Done,
    ) -> Result<Option<Vec<(VersionId, SealedVersion)>>> {
        let mut ids: Vec<&VersionId> = Vec::new();
        for id in [CURRENT, PENDING, PREVIOUS].into_iter().filter_map(|label| secret.stages.holder(label)) {
            let has_value = secret.version(id).is_some_and(Version::has_value);
            if has_value && Some(id) != but && !ids.contains(&id) {
                ids.push(id);
            }
        }
        let mut rewrapped = Vec::new();
        for id in ids {
            let from = secret.version(id).and_then(|version| version.content.clone());
            let version = match done.find(secret.uid, id, from.as_ref()) {
                Some(version) => version,
                None => {
                    let wrapped = self.with_version(old, id, |stored| {
                        self.envelope().rewrap(stored, roots, &secret.kms_key_id, key)
                    })?;
                    let version = match wrapped {
                        Some(Rewrapped::Added(version)) => Some(version),
                        Some(Rewrapped::Unchanged) => None,
                        None => return Ok(None),
                    };
                    done.keep(secret.uid, id, from, version.as_ref());
                    version
                }
            };
            rewrapped.extend(version.map(|version| (id.clone(), version)));
        }
        Ok(Some(rewrapped))
    }
}

/// What earlier rounds of a call have done with the key provider. A lost round does none of it again.
#[derive(Default)]
struct Done {
    /// When it was done: at another time, nothing of it but a comparison is of use.
    time: Option<KeyTime>,
    /// The key that was found for what the caller wrote.
    key: Option<(KmsKeyId, KeyHandle)>,
    /// Whether a version of a secret has the value that the call brings.
    compared: Option<(Uuid, VersionId, bool)>,
    sealed: Vec<SealedBefore>,
    /// Replicas that have failed in this call.
    setbacks: Vec<Noted>,
    /// The primary has no room for messages of failed replicas.
    is_terse: bool,
    /// How often something was noted that leads to another commit.
    noted: usize,
    /// Uids of replicas that are to be made, by their ARNs.
    uids: Vec<(String, Uuid)>,
}

/// A version of a secret that was sealed, or wrapped anew from a state that still stands.
struct SealedBefore {
    uid: Uuid,
    id: VersionId,
    from: Option<Content>,
    /// `None`: it stays as it is.
    version: Option<SealedVersion>,
}

impl Done {
    /// Forgets what was done at another time.
    fn begin(&mut self, time: KeyTime) {
        if self.time != Some(time) {
            (self.time, self.key) = (Some(time), None);
            self.sealed.clear();
        }
    }

    fn find(&self, uid: Uuid, id: &VersionId, from: Option<&Content>) -> Option<Option<SealedVersion>> {
        let is_meant = |before: &&SealedBefore| (before.uid, &before.id, before.from.as_ref()) == (uid, id, from);
        self.sealed.iter().find(is_meant).map(|before| before.version.clone())
    }

    fn keep(&mut self, uid: Uuid, id: &VersionId, from: Option<Content>, version: Option<&SealedVersion>) {
        self.sealed.push(SealedBefore { uid, id: id.clone(), from, version: version.cloned() });
    }
}

/// What a plan asks of the envelope.
struct Work<'a> {
    old: Option<&'a Loaded>,
    seal: Option<&'a VersionId>,
    key: KeyWork,
}

fn is_reachable(loaded: &Loaded, id: &SecretId, now: Timestamp) -> bool {
    let is_meant = match id {
        SecretId::Name(_) => true,
        SecretId::Arn { arn, .. } | SecretId::Elsewhere { arn } => loaded.secret.arn == *arn,
    };
    is_meant && !loaded.secret.is_expired(now)
}

/// Letters and digits for the end of an ARN.
pub(crate) fn arn_suffix(entropy: &dyn Entropy) -> Result<String> {
    let mut dice = crate::entropy::Dice::new(entropy);
    let mut suffix = String::with_capacity(crate::model::id::SUFFIX_CHARS);
    for _ in 0..crate::model::id::SUFFIX_CHARS {
        let alphabet = crate::model::id::SUFFIX_ALPHABET;
        let index = dice.below(alphabet.len())?;
        suffix.extend(alphabet.get(index).map(|byte| char::from(*byte)));
    }
    Ok(suffix)
}

/// The uid of a new secret.
pub(crate) fn new_uid(entropy: &dyn Entropy) -> Result<Uuid> {
    Ok(crate::entropy::random_uuid(entropy)?)
}
