//! The store's header: what has to be known before anything can be opened. Two copies, so that one damaged block loses
//! nothing.

use ring::{digest, hmac};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::envelope::ad::{self, FORMAT, Fields, push_field};
use crate::envelope::provider::{DataKey, KEY_NAME_BYTES_MAX, WRAPPED_KEY_BYTES_MAX, WrappedKey};
use crate::envelope::root::RootKeys;
use crate::envelope::seal::{Label, SUITE};
use crate::envelope::{Recipient, unopened};
use crate::error::{Error, ErrorKind, Result};
use crate::model::tenant::Tenant;
use crate::model::version::{KeyRole, KmsKeyId};

const MAGIC: &[u8; 8] = b"STRONGRM";

/// The oldest reader that understands what this version writes.
const MIN_READER: u16 = 1;

/// The store was made with a clock or a random source for tests.
pub(crate) const TEST_ONLY: u16 = 1;

/// Every flag that this version knows. Unknown flags are fatal: they may change the meaning of anything.
const KNOWN_FLAGS: u16 = TEST_ONLY;

/// A copy begins at a multiple of this.
const BLOCK_BYTES: usize = 4096;
const CHECKSUM_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// Wraps of the root key that a header may have.
pub(crate) const WRAPS_MAX: usize = 64;

/// Longest sealed root key of the generation before.
const FORMER_BYTES_MAX: usize = 512;

/// What a wrap is for.
const MAIN: u8 = 0;
const RECOVERY: u8 = 1;

/// Longest header that is read: far above what this version ever writes.
pub(crate) const HEADER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The parts of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u16,
    pub(crate) store: Uuid,
    /// Which life of the store this is: a store that is restored begins a new one, to which the anchor and the seal of
    /// an earlier one say nothing.
    pub(crate) instance: Uuid,
    /// Generation of the root key.
    pub(crate) generation: u32,
    /// The root key, wrapped at least once.
    pub(crate) wraps: Vec<RootWrap>,
    /// The root key of the generation before, sealed under this one, as long as records are under it. Empty: none are.
    pub(crate) former: Vec<u8>,
}

/// The root key, wrapped for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootWrap {
    /// The key as somebody wrote it.
    pub(crate) requested: KmsKeyId,
    pub(crate) role: KeyRole,
    pub(crate) wrapped: WrappedKey,
}

/// A header as it was read, before the key that authenticates it is known.
#[derive(Debug)]
pub(crate) struct ReadHeader {
    pub(crate) header: Header,
    body: Vec<u8>,
    /// Of every copy that is whole and has this body: the authentication code itself may be damaged.
    macs: Vec<[u8; MAC_BYTES]>,
}

impl Header {
    fn body(&self) -> Vec<u8> {
        let Self { flags, store, instance, generation, wraps, former } = self;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&MIN_READER.to_be_bytes());
        out.extend_from_slice(&SUITE.to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(store.as_bytes());
        out.extend_from_slice(&generation.to_be_bytes());
        push_field(&mut out, instance.as_bytes());
        out.extend_from_slice(&u16::try_from(wraps.len()).unwrap_or(u16::MAX).to_be_bytes());
        for RootWrap { requested, role, wrapped: WrappedKey { provider, key_arn, key_version, blob } } in wraps {
            out.push(match role {
                KeyRole::Secret => MAIN,
                KeyRole::Recovery => RECOVERY,
            });
            push_field(&mut out, requested.shown().unwrap_or_default().as_bytes());
            push_field(&mut out, provider.as_bytes());
            push_field(&mut out, key_arn.as_bytes());
            push_field(&mut out, key_version.as_bytes());
            push_field(&mut out, blob);
        }
        push_field(&mut out, former);
        out
    }

    /// The account and Region in which the keys of the store are looked for, if they can be told from its key.
    pub(crate) fn home(&self) -> Option<Tenant> {
        let main = self.wraps.iter().rfind(|wrap| wrap.role == KeyRole::Secret)?;
        let mut parts = main.wrapped.key_arn.split(':').skip(3);
        let (region, account) = (parts.next()?, parts.next()?);
        Tenant::parse(account, region).ok()
    }

    /// Keys that everything is wrapped under besides its own.
    pub(crate) fn recipients(&self) -> Vec<Recipient> {
        let mut recipients: Vec<Recipient> = Vec::new();
        for wrap in self.wraps.iter().filter(|wrap| wrap.role == KeyRole::Recovery) {
            // One whose key has a newer version is there twice for a moment.
            recipients.retain(|recipient| recipient.key != wrap.requested);
            recipients.push(Recipient { key: wrap.requested.clone(), root: wrap.wrapped.clone() });
        }
        recipients
    }

    /// Seals the root key of a generation under the next one.
    pub(crate) fn seal_former(
        next: &RootKeys,
        store: &Uuid,
        former: &DataKey,
        generation: u32,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        let ad = ad::former_root(store, generation);
        let mut out = generation.to_be_bytes().to_vec();
        next.former.seal_into(Label::FormerRoot, ad.as_bytes(), former.expose(), entropy, &mut out)?;
        Ok(out)
    }

    /// The root key of the generation before, if records are still under it.
    pub(crate) fn former_root(&self, root: &RootKeys) -> Result<Option<(DataKey, u32)>> {
        if self.former.is_empty() {
            return Ok(None);
        }
        let damaged = || Error::corrupted("the header's former root key is damaged");
        let (generation, sealed) = self.former.split_first_chunk().ok_or_else(damaged)?;
        let generation = u32::from_be_bytes(*generation);
        if generation.checked_add(1) != Some(self.generation) {
            return Err(Error::corrupted("the header's former root key is not of the generation before"));
        }
        let ad = ad::former_root(&self.store, generation);
        let opened = root.former.open(Label::FormerRoot, ad.as_bytes(), sealed).map_err(unopened)?;
        let key = DataKey::from_slice(&opened).ok_or_else(damaged)?;
        Ok(Some((key, generation)))
    }

    /// Both copies.
    pub(crate) fn encode(&self, key: &hmac::Key) -> Vec<u8> {
        let body = self.body();
        let mut copy = Vec::with_capacity(body.len() + 128);
        push_field(&mut copy, &body);
        copy.extend_from_slice(digest::digest(&digest::SHA256, &body).as_ref());
        copy.extend_from_slice(hmac::sign(key, &body).as_ref());
        copy.resize(copy.len().next_multiple_of(BLOCK_BYTES), 0);
        [copy.as_slice(), copy.as_slice()].concat()
    }

    /// How many of the two copies are whole.
    pub(crate) fn whole_copies(bytes: &[u8]) -> usize {
        copies(bytes).into_iter().filter_map(whole_copy).count()
    }

    /// The first copy that is whole.
    ///
    /// # Errors, in this order
    ///
    /// [`ErrorKind::NotAStore`] if neither copy begins like a header, [`ErrorKind::Corrupted`] if both are damaged,
    /// [`ErrorKind::UnsupportedFormat`] for a newer format, a newer suite or an unknown flag.
    pub(crate) fn read(bytes: &[u8]) -> Result<ReadHeader> {
        let copies = copies(bytes);
        let whole: Vec<_> = copies.into_iter().filter_map(whole_copy).collect();
        let Some((body, _)) = whole.first() else {
            let like_a_header = copies.into_iter().any(|copy| copy.get(4..12) == Some(MAGIC.as_slice()));
            return Err(if like_a_header {
                Error::corrupted("both copies of the store's header are damaged")
            } else {
                Error::new(
                    ErrorKind::NotAStore,
                    "`store.hdr` is not the header of a store, or is damaged beyond recognition",
                )
            });
        };
        let header = parse_body(body)?;
        let macs = whole.iter().filter(|(other, _)| other == body).map(|(_, mac)| **mac).collect();
        Ok(ReadHeader { header, body: body.to_vec(), macs })
    }
}

impl ReadHeader {
    /// Whether the header was written by somebody who had the root key.
    pub(crate) fn authenticate(&self, key: &hmac::Key) -> Result<Header> {
        let expected = hmac::sign(key, &self.body);
        if self.macs.iter().any(|mac| expected.as_ref().ct_eq(mac.as_slice()).into()) {
            Ok(self.header.clone())
        } else {
            Err(Error::corrupted("the store's header does not authenticate: it was edited"))
        }
    }
}

/// Copies have the same size, so the second begins in the middle, wherever the first is cut or damaged.
fn copies(bytes: &[u8]) -> [&[u8]; 2] {
    let middle = (bytes.len() / 2).next_multiple_of(BLOCK_BYTES);
    [bytes, bytes.get(middle..).unwrap_or_default()]
}

fn whole_copy(bytes: &[u8]) -> Option<(&[u8], &[u8; MAC_BYTES])> {
    let mut fields = Fields::new(bytes);
    let body = fields.field(HEADER_BYTES_MAX)?;
    let checksum = fields.take(CHECKSUM_BYTES)?;
    let mac = fields.take(MAC_BYTES)?.first_chunk()?;
    (body.starts_with(MAGIC) && digest::digest(&digest::SHA256, body).as_ref() == checksum).then_some((body, mac))
}

fn parse_body(body: &[u8]) -> Result<Header> {
    let malformed =
        || Error::corrupted("the store's header cannot be read: it is damaged, or of a build before the first release");
    let mut fields = Fields::new(body);
    let mut number = |_: &str| fields.array().map(u16::from_be_bytes).ok_or_else(malformed);
    for _ in 0..MAGIC.len() / 2 {
        number("magic")?;
    }
    let _format = number("format")?;
    let min_reader = number("min reader")?;
    let suite = number("suite")?;
    let flags = number("flags")?;
    let unsupported = |what: &str, found: u16, newest: u16| {
        Error::new(
            ErrorKind::UnsupportedFormat { found, newest },
            format!("the store has {what} {found}, and this version reads up to {newest}; use a newer version"),
        )
    };
    if min_reader > FORMAT {
        return Err(unsupported("format", min_reader, FORMAT));
    }
    if suite != SUITE {
        return Err(unsupported("suite", suite, SUITE));
    }
    if flags & !KNOWN_FLAGS != 0 {
        return Err(unsupported("flags", flags, KNOWN_FLAGS));
    }
    let parse = |fields: &mut Fields<'_>| {
        let store = Uuid::from_bytes(fields.array()?);
        let generation = u32::from_be_bytes(fields.array()?);
        let instance = Uuid::from_slice(fields.field(16)?).ok()?;
        let count = u16::from_be_bytes(fields.array()?);
        if count == 0 || usize::from(count) > WRAPS_MAX {
            return None;
        }
        let mut wraps = Vec::new();
        for _ in 0..count {
            let [role] = fields.array()?;
            let role = match role {
                MAIN => KeyRole::Secret,
                RECOVERY => KeyRole::Recovery,
                _ => return None,
            };
            let requested = KmsKeyId::parse(fields.text(KEY_NAME_BYTES_MAX)?);
            let provider = fields.text(KEY_NAME_BYTES_MAX)?;
            let key_arn = fields.text(KEY_NAME_BYTES_MAX)?;
            let key_version = fields.text(KEY_NAME_BYTES_MAX)?;
            let wrapped = WrappedKey::new(provider, key_arn, key_version, fields.field(WRAPPED_KEY_BYTES_MAX)?);
            wraps.push(RootWrap { requested, role, wrapped });
        }
        let former = fields.field(FORMER_BYTES_MAX)?.to_vec();
        fields.is_empty().then_some(Header { flags, store, instance, generation, wraps, former })
    };
    parse(&mut fields).ok_or_else(malformed)
}
