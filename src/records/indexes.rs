//! What a change of one secret means for the records: derived from the old and the new state, so that no operation
//! can forget an entry.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::model::secret::Secret;
use crate::model::version::VersionId;
use crate::records::catalogue::{CatalogueChange, Entry};
use crate::records::codec::{DueEntry, encode_due, encode_secret};
use crate::records::commit::{Commit, Guard, Quota};
use crate::records::{Records, SecretChange, keys, manifest, tasks, undecodable};
use crate::storage::Batch;

/// The commit that brings one secret from its old to its new state.
pub(super) fn change(records: &Records, change: &SecretChange<'_>) -> Result<Commit> {
    let SecretChange { key, old, new, sealed, quota } = *change;
    let revision = records.next_revision.fetch_add(1, Ordering::Relaxed);
    let index = &records.root.index;
    let mut batch = Batch::new();

    for (id, version) in sealed {
        if let Some(new) = new {
            batch.put(keys::version(index, &new.uid, id), version.record.clone());
        }
    }
    if let Some(old) = old {
        let stays = |id: &VersionId| {
            new.is_some_and(|new| {
                new.uid == old.secret.uid && new.version(id).is_some_and(|version| version.has_value())
            })
        };
        for gone in old.secret.versions.iter().filter(|version| version.has_value() && !stays(&version.id)) {
            batch.remove(keys::version(index, &old.secret.uid, &gone.id));
        }
    }

    let before: Vec<_> = old.map(|old| tasks(&old.secret).collect()).unwrap_or_default();
    let after: Vec<_> = new.map(|new| tasks(new).collect()).unwrap_or_default();
    for (at, task) in before.iter().filter(|entry| !after.contains(entry)) {
        batch.remove(keys::due(index, *at, *task, key));
    }
    for (at, task) in after.iter().filter(|entry| !before.contains(entry)) {
        let entry = keys::due(index, *at, *task, key);
        let plaintext = encode_due(&DueEntry { secret: key.as_bytes().to_vec() }).map_err(undecodable)?;
        let sealed = records.seal_record(&entry, revision, &plaintext)?;
        batch.put(entry, sealed);
    }

    match new {
        Some(new) => {
            let plaintext = encode_secret(new).map_err(undecodable)?;
            batch.put(key.as_bytes().to_vec(), records.seal_record(key.as_bytes(), revision, &plaintext)?);
        }
        None => batch.remove(key.as_bytes().to_vec()),
    }

    // One that takes the place of an expired secret is a new one too: the expired one did not count any more.
    let is_new = |new: &&Secret| old.is_none_or(|old| old.secret.uid != new.uid);
    let created = new.filter(is_new);
    let effects = manifest::effects(&records.root.manifest, &batch, |key| records.element(key))?;
    Ok(Commit {
        batch,
        effects,
        guard: Guard { key: key.as_bytes().to_vec(), revision: old.map(|old| old.revision) },
        secrets_delta: i8::from(new.is_some()) - i8::from(old.is_some()),
        quota: created.zip(quota).map(|(new, (secrets_max, now))| Quota {
            tenant: new.tenant.clone(),
            secrets_max,
            now,
        }),
        catalogue: match (old, new) {
            (_, Some(new)) => CatalogueChange::Put(Arc::new(Entry::new(key, new))),
            (Some(old), None) => {
                CatalogueChange::Remove { tenant: old.secret.tenant.clone(), name: old.secret.name.clone() }
            }
            (None, None) => CatalogueChange::Nothing,
        },
    })
}
