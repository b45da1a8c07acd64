//! The one flow of every operation that changes a secret: load, decide, seal, commit, and again if somebody was faster.
//!
//! Deciding is a function of what was loaded, so doing it again is safe. No lock is held while a key provider works.

use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::provider::KeyHandle;
use crate::envelope::{Identity, Rewrapped, SealedVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::SecretId;
use crate::model::secret::Secret;
use crate::model::stages::{CURRENT, PENDING, PREVIOUS};
use crate::model::value::SecretValue;
use crate::model::version::{KmsKeyId, VersionId};
use crate::records::{Loaded, Outcome, SecretChange};
use crate::store::SecretsManager;
use crate::time::Timestamp;

/// Rounds after which a call gives up. Every lost round means that another call was committed, and lost rounds call no
/// key provider, so this many are lost only by a caller that is starved on purpose.
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
    /// See that there is such a key.
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
    /// The secret that an id points at, if it can be reached.
    pub(crate) fn find(&self, id: &SecretId, now: Timestamp) -> Result<Option<Loaded>> {
        Ok(self.load(id)?.filter(|loaded| is_reachable(loaded, id, now)))
    }

    fn load(&self, id: &SecretId) -> Result<Option<Loaded>> {
        match id {
            SecretId::Name(name) | SecretId::Arn { name, .. } => self.records().load(self.tenant(), name),
            SecretId::Elsewhere { .. } => Ok(None),
        }
    }

    /// Runs an operation to its end.
    pub(crate) fn run<O: Operation>(&self, operation: &O) -> Result<O::Response> {
        let _on_its_way = self.records().announce();
        let mut sealed_before = None;
        for _ in 0..ROUNDS_MAX {
            let moment = Moment { now: self.now(), entropy: self.entropy() };
            let id = operation.secret_id();
            let stored = self.load(id)?;
            let reachable = || stored.as_ref().filter(|loaded| is_reachable(loaded, id, moment.now));
            let secret = || reachable().map(|loaded| loaded.secret.clone());

            let mut verdict = operation.decide(secret(), None, &moment)?;
            if let Verdict::Compare(version) = verdict {
                let Some(loaded) = reachable() else { return Err(Error::secret_not_found()) };
                let Some(existing) = self.open_value(loaded, &version)? else { continue };
                let is_same = operation.value() == Some(&existing);
                verdict = operation.decide(secret(), Some(is_same), &moment)?;
            }
            let (new, sealed, response) = match verdict {
                Verdict::Answer(response) => return Ok(response),
                Verdict::Purge(response) => (None, Vec::new(), response),
                Verdict::Store(plan) => {
                    let Plan { mut secret, seal, key, response } = *plan;
                    let work = Work { old: reachable(), seal: seal.as_ref(), key };
                    let Some(sealed) = self.seal(operation, &work, &mut secret, &mut sealed_before)? else { continue };
                    if reachable().is_some_and(|loaded| loaded.secret == secret) {
                        return Ok(response);
                    }
                    (Some(secret), sealed, response)
                }
                Verdict::Compare(_) => return Err(Error::corrupted("a value was compared and is still unknown")),
            };
            let key = match (&stored, &new) {
                (Some(stored), _) => stored.key.clone(),
                (None, Some(new)) => self.records().key_of(self.tenant(), &new.name),
                (None, None) => return Ok(response),
            };
            let change = SecretChange {
                key: &key,
                old: stored.as_ref(),
                new: new.as_ref(),
                sealed: &sealed,
                secrets_max: self.settings().secrets_max,
            };
            match self.records().commit(&change)? {
                Outcome::Done => return Ok(response),
                Outcome::Stale => sealed_before = sealed.into_iter().next(),
                Outcome::OverQuota => return Err(self.over_quota()),
            }
        }
        Err(Error::new(ErrorKind::Contended, "other calls kept changing the same secret"))
    }

    fn over_quota(&self) -> Error {
        let most = self.settings().secrets_max;
        Error::limit_exceeded(format!("You can have at most {most} secrets in an account and Region."))
    }

    /// The value of a version. `None` if it went away while it was being read.
    ///
    /// # Errors
    ///
    /// Also if the version is there and its value is not: that is damage.
    pub(crate) fn open_value(&self, loaded: &Loaded, id: &VersionId) -> Result<Option<SecretValue>> {
        let Loaded { secret, key, revision } = loaded;
        let Some(content) = secret.version(id).and_then(|version| version.content.as_ref()) else { return Ok(None) };
        let Some(record) = self.records().load_version(secret, id)? else {
            let is_unchanged = self.records().load_by_key(key)?.is_some_and(|latest| latest.revision == *revision);
            return if is_unchanged { Err(Error::corrupted("the value of a version is missing")) } else { Ok(None) };
        };
        let opened = self.envelope().open(self.identity(secret, id), &secret.kms_key_id, content, record.as_ref());
        match opened {
            // A changed secret may have been wrapped anew between the two reads.
            Err(error) if *error.kind() == ErrorKind::Corrupted => {
                let latest = self.records().load_by_key(key)?;
                if latest.is_some_and(|latest| latest.revision == *revision) { Err(error) } else { Ok(None) }
            }
            opened => opened.map(Some),
        }
    }

    fn identity<'a>(&'a self, secret: &'a Secret, version: &'a VersionId) -> Identity<'a> {
        Identity { tenant: self.tenant(), arn: &secret.arn, uid: &secret.uid, version }
    }

    /// Encrypts what a plan brings, and writes into the new state how to open it. `None` if a version went away.
    fn seal<O: Operation>(
        &self,
        operation: &O,
        work: &Work<'_>,
        secret: &mut Secret,
        sealed_before: &mut Option<(VersionId, SealedVersion)>,
    ) -> Result<Option<Vec<(VersionId, SealedVersion)>>> {
        let Work { old, seal, key } = *work;
        if seal.is_none() && key == KeyWork::None {
            return Ok(Some(Vec::new()));
        }
        let kms_key_id = secret.kms_key_id.clone();
        let before = sealed_before.take().filter(|(id, version)| {
            seal == Some(id) && old.is_some_and(|old| old.secret.uid == secret.uid) && is_under(version, &kms_key_id)
        });
        // What was sealed in a lost round is still good, and asks nothing of the provider.
        if let (Some(before), KeyWork::None) = (before, key) {
            set_content(secret, &before);
            return Ok(Some(vec![before]));
        }
        let handle = self.envelope().resolve(self.tenant(), &kms_key_id)?;
        let mut sealed = Vec::new();
        if let (Some(id), Some(value)) = (seal, operation.value()) {
            let version = self.envelope().seal(self.identity(secret, id), &kms_key_id, &handle, value)?;
            sealed.push((id.clone(), version));
        }
        if let (KeyWork::Rewrap, Some(old)) = (key, old) {
            match self.rewrap(old, secret, seal, &handle)? {
                Some(rewrapped) => sealed.extend(rewrapped),
                None => return Ok(None),
            }
        }
        for version in &sealed {
            set_content(secret, version);
        }
        Ok(Some(sealed))
    }

    /// Wraps the labelled versions under the secret's new key, but for the one that was just sealed under it.
    fn rewrap(
        &self,
        old: &Loaded,
        secret: &Secret,
        but: Option<&VersionId>,
        key: &KeyHandle,
    ) -> Result<Option<Vec<(VersionId, SealedVersion)>>> {
        let mut ids: Vec<&VersionId> = Vec::new();
        for id in [CURRENT, PENDING, PREVIOUS].into_iter().filter_map(|label| secret.stages.holder(label)) {
            if Some(id) != but && !ids.contains(&id) {
                ids.push(id);
            }
        }
        let mut rewrapped = Vec::new();
        for id in ids {
            let Some(content) = secret.version(id).and_then(|version| version.content.as_ref()) else { continue };
            let Some(record) = self.records().load_version(secret, id)? else { return Ok(None) };
            let identity = self.identity(secret, id);
            let current = &old.secret.kms_key_id;
            match self.envelope().rewrap(identity, current, content, record.as_ref(), &secret.kms_key_id, key)? {
                Rewrapped::Added(version) => rewrapped.push((id.clone(), version)),
                Rewrapped::Unchanged => {}
            }
        }
        Ok(Some(rewrapped))
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
        SecretId::Arn { arn, .. } => loaded.secret.arn == *arn,
        SecretId::Elsewhere { .. } => false,
    };
    is_meant && !loaded.secret.is_expired(now)
}

fn is_under(version: &SealedVersion, kms_key_id: &KmsKeyId) -> bool {
    version.content.keys.iter().all(|key| key.requested == *kms_key_id)
}

fn set_content(secret: &mut Secret, (id, sealed): &(VersionId, SealedVersion)) {
    if let Some(version) = secret.version_mut(id) {
        version.content = Some(sealed.content.clone());
    }
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
