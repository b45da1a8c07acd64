//! What travels from a store to its standby: positions, seeds and frames, as bytes.
//!
//! A frame is sealed in chunks under the key of the feed. What is outside of the chunks is in the associated data of each.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, FORMAT, Fields, push_field};
use crate::envelope::seal::{KEY_BYTES, Label, SealingKey, sealed_len};
use crate::error::{Error, ErrorKind, ReplicationFault, Result};
use crate::records::anchor::HeadTag;

const CHANGES_MAGIC: &[u8; 8] = b"STRONGCH";
const SEED_MAGIC: &[u8; 8] = b"STRONGSD";

/// Bytes of the body that a chunk holds.
const CHUNK_BYTES: usize = 128 * 1024;

/// Bytes of a position.
const POSITION_BYTES: usize = 3 * 16 + 8 + 16;

/// Bytes in front of the chunks of a frame.
const OUTSIDE_BYTES: usize = 8 + 2 + 1 + 1 + POSITION_BYTES + 8 + 16 + 16 + 8 + 8 + 4;

/// The seed is of a store that was made for tests.
const FOR_TESTS: u8 = 1;

pub(super) fn damaged() -> Error {
    Error::replication(ReplicationFault::Damaged)
}

/// A place in the history of a store: one of its commits.
///
/// A standby is always at one. Positions are compared by whoever has the history; for anybody else they are opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedPosition {
    pub(crate) store: Uuid,
    /// Which life of the store.
    pub(crate) instance: Uuid,
    pub(crate) feed: Uuid,
    pub(crate) epoch: u64,
    /// The end of the commit's head.
    pub(crate) tag: HeadTag,
}

impl FeedPosition {
    /// The number of the commit, as [`StoreStats::epoch`](crate::StoreStats::epoch) of the store that is followed counts.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The position as bytes, for a [`ReplicationLink`](crate::ReplicationLink) that has to send it somewhere. Nothing in it is
    /// secret.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 72] {
        let mut out = [0; POSITION_BYTES];
        let Self { store, instance, feed, epoch, tag } = self;
        let bytes = [store.as_bytes(), instance.as_bytes(), feed.as_bytes(), &epoch.to_be_bytes()[..], tag];
        for (out, byte) in out.iter_mut().zip(bytes.into_iter().flatten()) {
            *out = *byte;
        }
        out
    }

    /// The position that was made into these bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Replication`] with [`ReplicationFault::Damaged`]: there are more of them, or fewer. What they say is
    /// compared by the store whose [`changes_since`](crate::SecretStore::changes_since) is called with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new(bytes);
        let position = Self::read(&mut fields).ok_or_else(damaged)?;
        if fields.is_empty() { Ok(position) } else { Err(damaged()) }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut uuid = || Some(Uuid::from_bytes(fields.array()?));
        let (store, instance, feed) = (uuid()?, uuid()?, uuid()?);
        let epoch = u64::from_be_bytes(fields.array()?);
        Some(Self { store, instance, feed, epoch, tag: fields.array()? })
    }
}

/// What a new standby begins with: whom it follows, and the key of the feed.
///
/// Whoever has it can read the names and descriptions in frames and can make up frames, so it must reach the standby on a
/// way that nobody else can read or write. It opens no value.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Zeroizing<Vec<u8>>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(_)")
    }
}

/// A seed, taken apart.
pub(crate) struct Sown {
    pub(crate) position: FeedPosition,
    /// The copy that fills the standby.
    pub(crate) copy: Uuid,
    pub(crate) key: Zeroizing<[u8; KEY_BYTES]>,
    pub(crate) is_for_tests: bool,
}

impl Seed {
    pub(crate) fn new(position: FeedPosition, copy: Uuid, key: &[u8; KEY_BYTES], is_for_tests: bool) -> Self {
        let mut out = Zeroizing::new(Vec::with_capacity(8 + 2 + 1 + POSITION_BYTES + 16 + KEY_BYTES));
        out.extend_from_slice(SEED_MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.push(if is_for_tests { FOR_TESTS } else { 0 });
        out.extend_from_slice(&position.to_bytes());
        out.extend_from_slice(copy.as_bytes());
        out.extend_from_slice(key);
        Self(out)
    }

    /// The bytes, for a [`ReplicationLink`](crate::ReplicationLink) that has to send them somewhere. They are secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The seed that [`expose`](Self::expose) gave.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Replication`] with [`ReplicationFault::Damaged`]: it is none.
    /// [`ErrorKind::UnsupportedFormat`]: a newer version made it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let seed = Self(Zeroizing::new(bytes.to_vec()));
        seed.sown().map(|_| seed)
    }

    pub(crate) fn sown(&self) -> Result<Sown> {
        let mut fields = Fields::new(&self.0);
        read_start(&mut fields, SEED_MAGIC)?;
        let mut read = || {
            let is_for_tests = match fields.array()? {
                [0] => false,
                [FOR_TESTS] => true,
                _ => return None,
            };
            let position = FeedPosition::read(&mut fields)?;
            let copy = Uuid::from_bytes(fields.array()?);
            let key = Zeroizing::new(fields.array()?);
            fields.is_empty().then_some(Sown { position, copy, key, is_for_tests })
        };
        read().ok_or_else(damaged)
    }
}

fn read_start(fields: &mut Fields<'_>, magic: &[u8; 8]) -> Result<()> {
    if fields.array().as_ref() != Some(magic) {
        return Err(damaged());
    }
    let found = fields.array().map(u16::from_be_bytes).ok_or_else(damaged)?;
    if found != FORMAT {
        let kind = ErrorKind::UnsupportedFormat { found, newest: FORMAT };
        return Err(Error::new(kind, format!("the changes have format {found}, and this version reads {FORMAT}")));
    }
    Ok(())
}

/// What a frame brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What some commits changed.
    Changes,
    /// Secrets as they were while a standby was filled.
    Copy,
    /// The end of those.
    EndOfCopy,
}

/// What stands in front of the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) kind: Kind,
    pub(crate) is_latest: bool,
    pub(crate) from: FeedPosition,
    /// Of the same feed.
    pub(crate) to: FeedPosition,
    /// The copy that the frame is of. Nil: it is of none.
    pub(crate) copy: Uuid,
    /// Of a copy: its place among the frames of the copy.
    pub(crate) index: u64,
    /// Of the end of a copy: the commit at which the standby is whole. Otherwise 0.
    pub(crate) complete_at: u64,
}

impl Outside {
    fn encode(&self, chunks: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(OUTSIDE_BYTES);
        out.extend_from_slice(CHANGES_MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.push(match self.kind {
            Kind::Changes => 0,
            Kind::Copy => 1,
            Kind::EndOfCopy => 2,
        });
        out.push(u8::from(self.is_latest));
        out.extend_from_slice(&self.from.to_bytes());
        out.extend_from_slice(&self.to.epoch.to_be_bytes());
        out.extend_from_slice(&self.to.tag);
        out.extend_from_slice(self.copy.as_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.complete_at.to_be_bytes());
        out.extend_from_slice(&chunks.to_be_bytes());
        out
    }

    fn read(fields: &mut Fields<'_>) -> Result<(Self, u32)> {
        read_start(fields, CHANGES_MAGIC)?;
        let mut read = || {
            let kind = match fields.array()? {
                [0] => Kind::Changes,
                [1] => Kind::Copy,
                [2] => Kind::EndOfCopy,
                _ => return None,
            };
            let is_latest = match fields.array()? {
                [0] => false,
                [1] => true,
                _ => return None,
            };
            let from = FeedPosition::read(fields)?;
            let to = FeedPosition { epoch: u64::from_be_bytes(fields.array()?), tag: fields.array()?, ..from };
            let copy = Uuid::from_bytes(fields.array()?);
            let (index, complete_at) = (u64::from_be_bytes(fields.array()?), u64::from_be_bytes(fields.array()?));
            let chunks = u32::from_be_bytes(fields.array()?);
            let outside = Self { kind, is_latest, from, to, copy, index, complete_at };
            (to.epoch >= from.epoch).then_some((outside, chunks))
        };
        read().ok_or_else(damaged)
    }
}

/// A frame: what consecutive commits of a store changed, for its standby.
///
/// It is authenticated as a whole, says between which two [positions](FeedPosition) it leads, and is applied as a whole. Names
/// and everything else of the secrets in it are encrypted; their values stay under their own data keys. Without the
/// [`Seed`] of the standby it is of no use to anybody.
#[derive(Clone, PartialEq, Eq)]
pub struct Changes {
    bytes: Vec<u8>,
    outside: Outside,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, outside: Outside { from, to, is_latest, .. } } = self;
        f.debug_struct("Changes")
            .field("from", &from.epoch)
            .field("to", &to.epoch)
            .field("is_latest", is_latest)
            .field("bytes", &bytes.len())
            .finish_non_exhaustive()
    }
}

impl Changes {
    pub(super) fn seal(key: &SealingKey, outside: Outside, body: &[u8], entropy: &dyn Entropy) -> Result<Self> {
        let count = u32::try_from(body.len().div_ceil(CHUNK_BYTES).max(1)).map_err(|_| damaged())?;
        let mut bytes = outside.encode(count);
        let front = bytes.clone();
        // An empty body is one empty chunk: what is outside has to be authenticated in any case.
        let chunks = body.chunks(CHUNK_BYTES).chain(body.is_empty().then_some(body));
        for (index, chunk) in (0..).zip(chunks) {
            let ad = ad::changes(&front, index);
            push_field(&mut bytes, &key.seal(Label::Changes, ad.as_bytes(), chunk, entropy)?);
        }
        Ok(Self { bytes, outside })
    }

    /// The bytes, for a [`ReplicationLink`](crate::ReplicationLink) that has to send them somewhere.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The frame of these bytes. Only its outline is looked at: whether it is genuine is found by the standby, whose key it is
    /// under.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Replication`] with [`ReplicationFault::Damaged`]: it is none, or was cut.
    /// [`ErrorKind::UnsupportedFormat`]: a newer version made it.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        let mut fields = Fields::new(&bytes);
        let (outside, chunks) = Outside::read(&mut fields)?;
        let chunk_max = sealed_len(CHUNK_BYTES);
        if chunks == 0 || (0..chunks).any(|_| fields.field(chunk_max).is_none()) || !fields.is_empty() {
            return Err(damaged());
        }
        Ok(Self { bytes, outside })
    }

    /// Where a standby has to be for this.
    #[must_use]
    pub fn from(&self) -> FeedPosition {
        self.outside.from
    }

    /// Where it is afterwards.
    #[must_use]
    pub fn to(&self) -> FeedPosition {
        self.outside.to
    }

    /// Whether nothing that was durable was left when this was made. Nobody should rely on it before the frame was applied.
    #[must_use]
    pub fn is_latest(&self) -> bool {
        self.outside.is_latest
    }

    /// Whether it leads nowhere: the standby had everything already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outside.kind == Kind::Changes && self.outside.from == self.outside.to
    }

    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What the frame holds, if it is genuine.
    pub(super) fn open(&self, key: &SealingKey) -> Result<Zeroizing<Vec<u8>>> {
        let (front, _) = self.bytes.split_at_checked(OUTSIDE_BYTES).ok_or_else(damaged)?;
        let mut fields = Fields::new(&self.bytes);
        let (_, chunks) = Outside::read(&mut fields)?;
        let mut body = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        for index in 0..chunks {
            let sealed = fields.field(sealed_len(CHUNK_BYTES)).ok_or_else(damaged)?;
            let ad = ad::changes(front, index);
            let chunk = key.open(Label::Changes, ad.as_bytes(), sealed).map_err(|_| damaged())?;
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use crate::records::feed::body::tests::body;
    use crate::records::feed::is_decoded;

    fn position(epoch: u64) -> FeedPosition {
        let [store, instance, feed] = [1, 2, 3].map(Uuid::from_u128);
        FeedPosition { store, instance, feed, epoch, tag: [7; 16] }
    }

    fn frame(body: &[u8]) -> Changes {
        let (from, to) = (position(1), position(2));
        let outside =
            Outside { kind: Kind::Changes, is_latest: true, from, to, copy: Uuid::nil(), index: 0, complete_at: 0 };
        Changes::seal(&SealingKey::new(&[9; 32]), outside, body, &OsEntropy::default()).unwrap()
    }

    /// Nobody without the key gets as far as a body; whoever has it still breaks nothing.
    #[test]
    fn what_is_not_what_was_written_is_refused_or_read_and_never_worse() {
        let seed = Seed::new(position(1), Uuid::from_u128(5), &[9; 32], true).expose().to_vec();
        let whole = [
            ("frame", frame(&body()).as_bytes().to_vec()),
            ("seed", seed),
            ("position", position(1).to_bytes().to_vec()),
            ("body", body()),
        ];
        let mut refused = 0;
        for (kind, bytes) in whole {
            assert!(is_decoded(kind, &bytes), "{kind}");
            for at in 0..bytes.len() {
                for byte in [0, 1, 2, 3, 0x7f, 250, 251, 253, 255] {
                    let mut changed = bytes.clone();
                    changed[at] = byte;
                    refused += usize::from(!is_decoded(kind, &changed));
                }
            }
            for length in 1..bytes.len() {
                // A body that ends between two states is one.
                let is_whole = kind == "body" && is_decoded(kind, &bytes[..length]);
                assert!(!is_decoded(kind, &bytes[..length]) || is_whole, "{kind} {length}");
            }
        }
        assert!(refused > 300, "{refused}");
    }

    #[test]
    fn a_body_of_any_size_comes_back_as_it_was() {
        let key = SealingKey::new(&[9; 32]);
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let body: Vec<u8> = (0..=250).cycle().take(length).collect();
            let frame = Changes::from_bytes(frame(&body).as_bytes()).unwrap();
            assert!(*frame.open(&key).unwrap() == body, "{length}");
            assert!(frame.open(&SealingKey::new(&[8; 32])).is_err());
        }
    }

    #[test]
    fn chunks_of_one_frame_do_not_fit_into_another_place_or_frame() {
        let key = SealingKey::new(&[9; 32]);
        let body = vec![5; 2 * CHUNK_BYTES];
        let (one, other) = (frame(&body), frame(&body));
        let length = sealed_len(CHUNK_BYTES) + 4;
        let first = OUTSIDE_BYTES..OUTSIDE_BYTES + length;
        let second = OUTSIDE_BYTES + length..OUTSIDE_BYTES + 2 * length;
        let mut swapped = one.as_bytes().to_vec();
        swapped[first.clone()].copy_from_slice(&one.as_bytes()[second.clone()]);
        swapped[second].copy_from_slice(&one.as_bytes()[first.clone()]);
        assert!(Changes::from_bytes(swapped).unwrap().open(&key).is_err());
        // Of a frame with the same front it does: it is the same text.
        let mut mixed = one.as_bytes().to_vec();
        mixed[first.clone()].copy_from_slice(&other.as_bytes()[first.clone()]);
        assert!(Changes::from_bytes(mixed).unwrap().open(&key).is_ok());
        let mut further = other.as_bytes().to_vec();
        further[OUTSIDE_BYTES - 61] ^= 1;
        assert!(Changes::from_bytes(further).is_ok_and(|further| further.open(&key).is_err()));
    }
}
