//! Values on their way from a primary to a replica: opened with the keys of the one, sealed under the key of the other.

use crate::envelope::{SealedVersion, require_usable};
use crate::error::{ErrorKind, KeyFault, KeyFaultReason};
use crate::model::replication::copy::Copied;
use crate::model::secret::Secret;
use crate::model::value::SecretValue;
use crate::model::version::{KmsKeyId, VersionId};
use crate::run::Done;
use crate::run::replicate::{Budget, Change, Setback, Turn};
use crate::store::SecretsManager;

impl SecretsManager {
    /// Seals for a replica what it does not have yet, under its own key. Without a budget it has been in sync before, and only
    /// lacks what is new.
    pub(super) fn seal_missing(
        &self,
        change: &Change<'_>,
        primary: &Secret,
        copied: &mut Copied,
        mut catching_up: Option<&mut Budget>,
        done: &mut Done,
    ) -> Turn<Vec<(VersionId, SealedVersion)>> {
        let brings = |id: &VersionId| change.value.is_some_and(|(brought, _)| brought == id);
        let is_wanted = |id: &VersionId| primary.stages.is_labelled(id) || brings(id);
        let mut left_out = Vec::new();
        if catching_up.is_none() {
            // What a replica that was in sync does not have of the others could not be opened then.
            left_out.extend(copied.missing.extract_if(.., |id| !is_wanted(id)));
        }
        let mut sealed = Vec::new();
        if !copied.missing.is_empty() || copied.is_new {
            let roots = self.records().roots();
            done.begin(roots.time());
            let handle = self.envelope().resolve(&copied.secret.tenant, &copied.secret.kms_key_id)?;
            require_usable(&handle)?;
            if handle.aws_managed {
                copied.secret.kms_key_id = KmsKeyId::Default;
            }
            for id in std::mem::take(&mut copied.missing) {
                let exhausted = catching_up.as_deref_mut().filter(|budget| budget.bytes == 0 && !is_wanted(&id));
                if let Some(budget) = exhausted {
                    budget.is_exhausted = true;
                    left_out.push(id);
                    continue;
                }
                let requested = &copied.secret.kms_key_id;
                let is_for_key = |version: &SealedVersion| {
                    version.content.keys.first().is_some_and(|key| key.requested == *requested)
                };
                let before = done.find(copied.secret.uid, &id, None).flatten();
                let version = match before.filter(is_for_key) {
                    Some(version) => version,
                    None => {
                        let stored;
                        let value = match change.value.filter(|_| brings(&id)) {
                            Some((_, value)) => value,
                            None => match self.opened(change, primary, &id)? {
                                Some(value) => {
                                    stored = value;
                                    &stored
                                }
                                None => {
                                    left_out.push(id);
                                    continue;
                                }
                            },
                        };
                        let identity = self.identity(&copied.secret, &id);
                        let version = self.envelope().seal(&roots, identity, requested, &handle, value)?;
                        done.keep(copied.secret.uid, &id, None, Some(&version));
                        version
                    }
                };
                if let Some(budget) = catching_up.as_deref_mut() {
                    budget.bytes = budget.bytes.saturating_sub(version.record.len());
                }
                if let Some(copy) = copied.secret.version_mut(&id) {
                    copy.content = Some(version.content.clone());
                }
                sealed.push((id, version));
            }
        }
        copied.secret.versions.retain(|version| !left_out.contains(&version.id));
        Ok(sealed)
    }

    /// The value of a version that the primary has stored. `None`: nobody can read it any more, and nothing points at it, so that
    /// it does not hold the rest back.
    fn opened(&self, change: &Change<'_>, primary: &Secret, id: &VersionId) -> Turn<Option<SecretValue>> {
        let Some(old) = change.old else { return Err(Setback::Stale) };
        match self.open_value(old, id) {
            Ok(Some(value)) => Ok(Some(value)),
            Ok(None) => Err(Setback::Stale),
            Err(error) if is_lost(error.kind()) && !primary.stages.is_labelled(id) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether no key will open it again, for all that its owner has decided.
fn is_lost(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::Corrupted => true,
        ErrorKind::DecryptionFailure(KeyFault { reason, .. }) => {
            matches!(reason, KeyFaultReason::NotFound | KeyFaultReason::PendingDeletion | KeyFaultReason::Corrupt)
        }
        _ => false,
    }
}
