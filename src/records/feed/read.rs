//! Reading the feed of a store: frames of consecutive commits, in which every secret appears once, as it was last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::envelope::root::RootKeys;
use crate::envelope::{Envelope, Identity, StoredVersion};
use crate::error::{ErrorKind, ReplicationFault, Result};
use crate::model::secret::Secret;
use crate::model::version::VersionId;
use crate::records::anchor::HeadTag;
use crate::records::codec::decode_secret;
use crate::records::feed::body::{push_removal, push_secret};
use crate::records::feed::frame::{Changes, FeedPosition, Kind, Outside};
use crate::records::feed::pieces::{self, Piece, Place};
use crate::records::feed::{ENTRY, KeptLog, fault};
use crate::records::{Records, keys};

/// Bytes of kept commits that a frame is made of at most, unless one commit has more.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was kept of one commit.
pub(super) struct Entries {
    /// The end of the head before it.
    pub(super) previous: HeadTag,
    stream: Vec<u8>,
    root: Arc<RootKeys>,
}

/// A version as it was kept.
struct KeptVersion<'a> {
    record: &'a [u8],
    root: &'a RootKeys,
}

impl Records {
    /// What was kept of a commit that must be there.
    pub(super) fn entries_of(&self, epoch: u64) -> Result<Entries> {
        let read = |sequence: u32| -> Result<(Zeroizing<Vec<u8>>, Arc<RootKeys>)> {
            let damaged = || fault(ReplicationFault::LogDamaged { epoch });
            let found = self.look_up(|root| {
                let key = keys::change(root.index.mark, epoch, sequence);
                Ok(self.read(&key)?.map(|record| (key, record)))
            })?;
            let (key, record) = found.ok_or_else(damaged)?;
            let (_, bytes) = self.open_record(&key, &record).map_err(|error| match error.kind() {
                ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. } => damaged().with_source(error),
                _ => error,
            })?;
            Ok((bytes, record.root))
        };
        let damaged = || fault(ReplicationFault::LogDamaged { epoch });
        let (first, root) = read(0)?;
        let ([ENTRY], rest) = first.split_first_chunk().ok_or_else(damaged)? else { return Err(damaged()) };
        let (count, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (previous, part) = rest.split_first_chunk().ok_or_else(damaged)?;
        let mut stream = part.to_vec();
        for sequence in 1..u32::from_be_bytes(*count) {
            stream.extend_from_slice(&read(sequence)?.0);
        }
        Ok(Entries { previous: *previous, stream, root })
    }

    pub(super) fn kept(&self) -> Result<Arc<KeptLog>> {
        self.log()?.ok_or_else(|| fault(ReplicationFault::NotKeepingChanges))
    }

    /// The newest commit that standbys may have, and the end of its head. Makes commits durable only if all others were given.
    pub(super) fn newest_to_give(&self, given: u64) -> Result<(u64, (u64, HeadTag))> {
        if given >= self.anchors.reached() && self.newest().0 > self.anchors.reached() {
            self.flush()?;
        }
        // In this order: what is reached is never ahead of the newest.
        let reached = self.anchors.reached();
        let newest = self.newest();
        Ok((reached.min(newest.0), newest))
    }

    /// What was committed after a position: as many commits as fit, and at least one if there is one.
    pub(crate) fn changes_since(
        &self,
        envelope: &Envelope,
        instance: Uuid,
        position: &FeedPosition,
        max_bytes: usize,
    ) -> Result<Changes> {
        self.usable()?;
        let log = self.kept()?;
        let result = self.read_changes(&log, envelope, instance, position, max_bytes.min(FRAME_BYTES_MAX));
        if let Err(error) = &result
            && matches!(error.kind(), ErrorKind::Replication(ReplicationFault::LogDamaged { .. }))
        {
            // Somebody may have removed meanwhile what was being read.
            self.require_kept(&log, position.epoch)?;
        }
        result
    }

    /// Refuses a position whose next commit was kept and is kept no longer.
    pub(super) fn require_kept(&self, log: &KeptLog, position: u64) -> Result<()> {
        // Whoever commits says only afterwards what the commit has removed.
        self.while_nobody_commits(|| ());
        if self.kept()?.feed != log.feed {
            return Err(fault(ReplicationFault::NotKeepingChanges));
        }
        begins_later(log, position)
    }

    fn read_changes(
        &self,
        log: &KeptLog,
        envelope: &Envelope,
        instance: Uuid,
        position: &FeedPosition,
        max_bytes: usize,
    ) -> Result<Changes> {
        if position.store != self.store {
            return Err(fault(ReplicationFault::OtherStore));
        }
        let (limit, newest) = self.newest_to_give(position.epoch)?;
        if position.instance != instance || position.epoch > limit {
            return Err(fault(ReplicationFault::Diverged));
        }
        begins_later(log, position.epoch)?;
        if position.feed != log.feed {
            let begins = log.oldest.load(Ordering::Relaxed).saturating_sub(1);
            return Err(fault(ReplicationFault::BeginsLater { position: position.epoch, begins }));
        }
        if self.tag_of(position.epoch, newest)? != position.tag {
            return Err(fault(ReplicationFault::Diverged));
        }
        let mut commits = Vec::new();
        let mut bytes = 0_usize;
        let mut to = position.epoch;
        while to < limit && (commits.is_empty() || bytes < max_bytes) {
            to = to.saturating_add(1);
            let entries = self.entries_of(to)?;
            bytes = bytes.saturating_add(entries.stream.len());
            commits.push(entries);
        }
        let outside = Outside {
            kind: Kind::Changes,
            is_latest: to == limit,
            from: *position,
            to: FeedPosition { epoch: to, tag: self.tag_of(to, newest)?, ..*position },
            copy: Uuid::nil(),
            index: 0,
            complete_at: 0,
        };
        let body = self.body(envelope, &commits, to)?;
        Changes::seal(&log.key, outside, &body, &*self.entropy)
    }

    /// The last state of every secret in some commits, with those of its versions that came with them.
    fn body(&self, envelope: &Envelope, commits: &[Entries], epoch: u64) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = || fault(ReplicationFault::LogDamaged { epoch });
        let mut states: BTreeMap<Place<'_>, Option<&[u8]>> = BTreeMap::new();
        let mut versions: HashMap<([u8; 16], &str), KeptVersion<'_>> = HashMap::new();
        for Entries { stream, root, .. } in commits {
            for piece in pieces::read(stream).ok_or_else(damaged)? {
                match piece {
                    Piece::Secret { place, record } => _ = states.insert(place, Some(record)),
                    Piece::Removal { place } => _ = states.insert(place, None),
                    Piece::Version { uid, id, record } => _ = versions.insert((uid, id), KeptVersion { record, root }),
                }
            }
        }
        let mut body = Zeroizing::new(Vec::new());
        let mut tenant = None;
        for (place, state) in states {
            let Some(record) = state else {
                push_removal(&mut body, place);
                continue;
            };
            let secret = decode_secret(record, tenant.as_ref()).map_err(|_| damaged())?;
            tenant = Some(Arc::clone(&secret.tenant));
            let mut carried = Vec::new();
            for version in &secret.versions {
                let Some(content) = &version.content else { continue };
                let kept = versions.get(&(*secret.uid.as_bytes(), version.id.as_str()));
                let Some(KeptVersion { record, root }) = kept else { continue };
                let (identity, current) = (identity(&secret, &version.id), &secret.kms_key_id);
                let stored = StoredVersion { root, identity, current, content, record };
                carried.push((version.id.clone(), envelope.carry_out(&stored).map_err(|_| damaged())?));
            }
            push_secret(&mut body, record, &carried);
        }
        Ok(body)
    }
}

pub(super) fn identity<'a>(secret: &'a Secret, version: &'a VersionId) -> Identity<'a> {
    Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version }
}

/// Refuses a position before what is kept.
fn begins_later(log: &KeptLog, position: u64) -> Result<()> {
    let oldest = log.oldest.load(Ordering::Relaxed);
    if position.saturating_add(1) < oldest {
        return Err(fault(ReplicationFault::BeginsLater { position, begins: oldest.saturating_sub(1) }));
    }
    Ok(())
}
