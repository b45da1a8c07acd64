//! A copy of every secret, for a new standby: in frames of bounded size, while others go on changing secrets.
//!
//! A secret with many versions is carried in parts: versions first, the secret itself last. What was carried of one that
//! was changed or removed meanwhile is withdrawn in the end.

use std::collections::HashMap;

use ring::digest::{Digest, SHA256, digest};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::random_uuid;
use crate::envelope::carried::CarriedVersion;
use crate::envelope::{Envelope, StoredVersion};
use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::model::secret::Secret;
use crate::model::version::{Content, VersionId};
use crate::records::codec::encode_secret;
use crate::records::feed::body::{Versions, push_ahead, push_secret, push_withdrawn};
use crate::records::feed::fault;
use crate::records::feed::frame::{Changes, FeedPosition, Kind, Outside, Seed};
use crate::records::feed::read::identity;
use crate::records::{Loaded, Records, StoredRecord, undecodable};

/// Bytes of copied secrets that go into one frame. The next version or secret still goes into it.
const COPY_BYTES: usize = 2 * 1024 * 1024;

/// A copy that is being made.
pub(crate) struct Copying<'a> {
    records: &'a Records,
    envelope: &'a Envelope,
    position: FeedPosition,
    id: Uuid,
    frames: u64,
    body: Zeroizing<Vec<u8>>,
    give: &'a dyn Fn(&Changes) -> Result<FeedPosition>,
}

/// A version that was carried ahead of its secret, as it was then.
struct Sent {
    record: Digest,
    content: Content,
}

impl Records {
    /// What a new standby begins with.
    pub(crate) fn seed(&self, instance: Uuid, is_for_tests: bool) -> Result<Seed> {
        self.usable()?;
        let copy = random_uuid(&*self.entropy)?;
        loop {
            let log = self.kept()?;
            let (epoch, newest) = self.newest_to_give(u64::MAX)?;
            match self.tag_of(epoch, newest) {
                Ok(tag) => {
                    let position = FeedPosition { store: self.store, instance, feed: log.feed, epoch, tag };
                    return Ok(Seed::new(position, copy, log.key.expose(), is_for_tests));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Replication(ReplicationFault::LogDamaged { .. })) => {
                    match self.require_kept(&log, epoch).map_err(|error| error.kind().clone()) {
                        // So many were committed meanwhile that this one is kept no longer.
                        Err(ErrorKind::Replication(ReplicationFault::BeginsLater { .. })) => {}
                        _ => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins to copy secrets to the standby that a seed has made. Frames are given in their order.
    pub(crate) fn copying<'a>(
        &'a self,
        envelope: &'a Envelope,
        seed: &Seed,
        give: &'a dyn Fn(&Changes) -> Result<FeedPosition>,
    ) -> Result<Copying<'a>> {
        let sown = seed.sown()?;
        let (position, id, body) = (sown.position, sown.copy, Zeroizing::new(Vec::new()));
        Ok(Copying { records: self, envelope, position, id, frames: 0, body, give })
    }
}

impl Copying<'_> {
    /// Copies a secret with all of its versions, as they are between two changes, unless it is gone. Whether it is not.
    pub(crate) fn secret(&mut self, loaded: Loaded) -> Result<bool> {
        let mut sent = HashMap::new();
        let mut now = loaded;
        loop {
            let carried = self.versions(&now.secret, &mut sent)?;
            let uid = now.secret.uid;
            match self.records.load_by_key(&now.key)? {
                Some(latest) if latest.revision == now.revision => {
                    let carried = carried?;
                    sent.retain(|id, _| !now.secret.version(id).is_some_and(|version| version.has_value()));
                    self.withdraw(&uid, sent);
                    push_secret(&mut self.body, &encode_secret(&now.secret).map_err(undecodable)?, &carried);
                    self.give_if_full()?;
                    return Ok(true);
                }
                // It was changed while it was read.
                Some(latest) => {
                    if latest.secret.uid != uid {
                        self.withdraw(&uid, std::mem::take(&mut sent));
                    }
                    now = latest;
                }
                None => {
                    self.withdraw(&uid, sent);
                    self.give_if_full()?;
                    return Ok(false);
                }
            }
        }
    }

    /// The versions of a secret that have not been sent as they are. What would be too much for one frame is sent. The inner
    /// error is that one of them cannot be read, because it is damaged, or because the secret was changed.
    fn versions(&mut self, secret: &Secret, sent: &mut HashMap<VersionId, Sent>) -> Result<Result<Versions>> {
        let mut carried = Vec::new();
        let mut bytes = 0_usize;
        for version in &secret.versions {
            let Some(content) = &version.content else { continue };
            let (record, one) = match self.version(secret, &version.id, content) {
                Ok(read) => read,
                Err(error) if *error.kind() == ErrorKind::Corrupted => return Ok(Err(error)),
                Err(error) => return Err(error),
            };
            let is_same = |sent: &Sent| sent.record.as_ref() == record.as_ref() && sent.content == *content;
            if sent.get(&version.id).is_some_and(is_same) {
                continue;
            }
            bytes = bytes.saturating_add(one.value.len()).saturating_add(one.wraps.iter().map(Vec::len).sum());
            carried.push((version.id.clone(), Sent { record, content: content.clone() }, one));
            if bytes >= COPY_BYTES {
                bytes = 0;
                let mut part = Versions::new();
                for (id, is, one) in std::mem::take(&mut carried) {
                    sent.insert(id.clone(), is);
                    part.push((id, one));
                }
                push_ahead(&mut self.body, &encode_secret(secret).map_err(undecodable)?, &part);
                self.give_body()?;
            }
        }
        Ok(Ok(carried.into_iter().map(|(id, _, one)| (id, one)).collect()))
    }

    fn version(&self, secret: &Secret, id: &VersionId, content: &Content) -> Result<(Digest, CarriedVersion)> {
        let Some(StoredRecord { stored, root }) = self.records.load_version(secret, id)? else {
            return Err(Error::corrupted("the value of a version is missing"));
        };
        let (identity, current) = (identity(secret, id), &secret.kms_key_id);
        let read = StoredVersion { root: &root, identity, current, content, record: stored.as_ref() };
        Ok((digest(&SHA256, stored.as_ref()), self.envelope.carry_out(&read)?))
    }

    fn withdraw(&mut self, uid: &Uuid, sent: HashMap<VersionId, Sent>) {
        if !sent.is_empty() {
            push_withdrawn(&mut self.body, uid, &sent.into_keys().collect::<Vec<_>>());
        }
    }

    fn give_if_full(&mut self) -> Result<()> {
        if self.body.len() >= COPY_BYTES { self.give_body() } else { Ok(()) }
    }

    fn give_body(&mut self) -> Result<()> {
        (self.give)(&self.frame(Kind::Copy, 0)?)?;
        self.body.clear();
        self.frames = self.frames.saturating_add(1);
        Ok(())
    }

    /// Ends the copy: the standby is whole when it has come to the commit that is the newest now. Gives where it is.
    pub(crate) fn end(mut self) -> Result<FeedPosition> {
        if !self.body.is_empty() {
            self.give_body()?;
        }
        self.records.flush()?;
        (self.give)(&self.frame(Kind::EndOfCopy, self.records.newest().0)?)
    }

    fn frame(&self, kind: Kind, complete_at: u64) -> Result<Changes> {
        let log = self.records.kept()?;
        let position = self.position;
        if log.feed != position.feed {
            return Err(fault(ReplicationFault::NotKeepingChanges));
        }
        let (from, to, copy, index) = (position, position, self.id, self.frames);
        let outside = Outside { kind, is_latest: false, from, to, copy, index, complete_at };
        Changes::seal(&log.key, outside, &self.body, &*self.records.entropy)
    }
}
