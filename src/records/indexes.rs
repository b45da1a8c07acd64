//! What a change of one secret means for the records: derived from the old and the new state, so that no operation
//! can forget an entry.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::envelope::SealedVersion;
use crate::error::Result;
use crate::model::secret::Secret;
use crate::model::version::VersionId;
use crate::records::catalogue::{CatalogueChange, Entry};
use crate::records::codec::{DueEntry, encode_due, encode_secret};
use crate::records::commit::{Commit, Guard, Part, Quota};
use crate::records::{Records, SecretChange, feed, keys, manifest, tasks, undecodable};
use crate::storage::Batch;

/// The commit that brings one secret from its old to its new state. `None`: the root key is another one than when its
/// versions were sealed.
///
/// A secret stays under the generation that it is under; its versions go to the newest.
pub(super) fn change(records: &Records, change: &SecretChange<'_>) -> Result<Option<Commit>> {
    let SecretChange { key, old, new, sealed, quota } = *change;
    let roots = records.roots();
    let newest = &roots.newest;
    let is_outdated = |(_, version): &(_, SealedVersion)| version.time != roots.time();
    let Some(root) = keys::mark(key.as_bytes()).and_then(|mark| roots.of_mark(mark)) else { return Ok(None) };
    // A new secret belongs under the newest, or it could be made twice.
    if sealed.iter().any(is_outdated) || (old.is_none() && root.generation != newest.generation) {
        return Ok(None);
    }
    let revision = records.next_revision.fetch_add(1, Ordering::Relaxed);
    let index = &root.index;
    let mut batch = Batch::new();

    for (id, version) in sealed {
        if let Some(new) = new {
            batch.put(keys::version(&newest.index, &new.uid, id), version.record.clone());
            if let Some(former) = &roots.former {
                batch.remove(keys::version(&former.index, &new.uid, id));
            }
        }
    }
    if let Some(old) = old {
        let stays = |id: &VersionId| {
            new.is_some_and(|new| {
                new.uid == old.secret.uid && new.version(id).is_some_and(|version| version.has_value())
            })
        };
        for gone in old.secret.versions.iter().filter(|version| version.has_value() && !stays(&version.id)) {
            for root in roots.each() {
                batch.remove(keys::version(&root.index, &old.secret.uid, &gone.id));
            }
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
        let sealed = records.seal_record(root, &entry, revision, &plaintext)?;
        batch.put(entry, sealed);
    }

    match new {
        Some(new) => {
            let plaintext = encode_secret(new).map_err(undecodable)?;
            batch.put(key.as_bytes().to_vec(), records.seal_record(root, key.as_bytes(), revision, &plaintext)?);
        }
        None => batch.remove(key.as_bytes().to_vec()),
    }

    // One that takes the place of an expired secret is a new one too: the expired one did not count any more.
    let is_new = |new: &&Secret| old.is_none_or(|old| old.secret.uid != new.uid);
    let created = new.filter(is_new);
    let effects = manifest::effects(&roots, &batch, |key| records.element(&roots, key))?;
    let told = records.keeps_changes().then(|| feed::pieces::of_change(change)).transpose()?;
    Ok(Some(Commit {
        batch,
        effects,
        told,
        time: roots.time(),
        is_sealing: !sealed.is_empty(),
        parts: vec![Part {
            guard: Guard { key: key.as_bytes().to_vec(), revision: old.map(|old| old.revision) },
            secrets_delta: i8::from(new.is_some()) - i8::from(old.is_some()),
            quota: created.zip(quota).map(|(new, (secrets_max, now))| Quota {
                tenant: new.tenant.clone(),
                secrets_max,
                now,
            }),
            catalogue: match (old, new) {
                (_, Some(new)) => {
                    CatalogueChange::Put { tenant: Arc::clone(&new.tenant), entry: Arc::new(Entry::new(new)) }
                }
                (Some(old), None) => {
                    CatalogueChange::Remove { tenant: old.secret.tenant.clone(), name: old.secret.name.clone() }
                }
                (None, None) => CatalogueChange::Nothing,
            },
        }],
    }))
}
