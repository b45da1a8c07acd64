//! Associated data: what a sealed text is bound to, in one canonical encoding.
//!
//! Every field is its length as four big-endian bytes, then its bytes; numbers are big-endian. Written by hand, so that
//! no change of a serialiser can ever change it.

use uuid::Uuid;

use crate::model::tenant::Tenant;
use crate::model::value::ValueKind;

/// The format that associated data names. Changes with every byte of every construction.
pub(crate) const FORMAT: u16 = 1;

/// Associated data under construction.
#[derive(Debug, Clone)]
pub(crate) struct Ad(Vec<u8>);

impl Ad {
    /// Begins with the tag of the record kind.
    pub(crate) fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(256)).bytes(kind.as_bytes())
    }

    pub(crate) fn bytes(mut self, field: &[u8]) -> Self {
        push_field(&mut self.0, field);
        self
    }

    pub(crate) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    pub(crate) fn u8(self, field: u8) -> Self {
        self.bytes(&[field])
    }

    pub(crate) fn u16(self, field: u16) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(crate) fn u64(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(crate) fn uuid(self, field: &Uuid) -> Self {
        self.bytes(field.as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a value is bound to: its secret, its version and its form.
pub(crate) fn value(store: &Uuid, tenant: &Tenant, arn: &str, uid: &Uuid, version: &str, kind: ValueKind) -> Ad {
    let kind = match kind {
        ValueKind::String => 0,
        ValueKind::Binary => 1,
    };
    let scope = Ad::new("val").u16(FORMAT).uuid(store).text(tenant.partition()).text(tenant.account());
    scope.text(tenant.region()).text(arn).uuid(uid).text(version).u8(kind)
}

/// What a wrapped data key is bound to: its version, the key that wrapped it, and its place in the list.
pub(crate) fn data_key(
    store: &Uuid,
    uid: &Uuid,
    version: &str,
    [provider, arn, key_version]: [&str; 3],
    index: u8,
) -> Ad {
    let version = Ad::new("dek").u16(FORMAT).uuid(store).uuid(uid).text(version);
    version.text(provider).text(arn).text(key_version).u8(index)
}

/// What a record without a value is bound to: the key it is stored under, and its revision.
pub(crate) fn record(store: &Uuid, key: &[u8], revision: u64) -> Ad {
    Ad::new("met").u16(FORMAT).uuid(store).bytes(key).u64(revision)
}

/// What the head record is bound to.
pub(crate) fn head(store: &Uuid, epoch: u64) -> Ad {
    Ad::new("head").u16(FORMAT).uuid(store).u64(epoch)
}

/// What a page token is bound to: whose it is, the query, and when it was issued.
pub(crate) fn token(store: &Uuid, tenant: &Tenant, query_digest: &[u8], issued_at_millis: i64) -> Ad {
    let scope = Ad::new("tok").uuid(store).text(tenant.account()).text(tenant.region());
    scope.bytes(query_digest).bytes(&issued_at_millis.to_be_bytes())
}

/// What the root key of the generation before is bound to, and the generation that it is of.
pub(crate) fn former_root(store: &Uuid, generation: u32) -> Ad {
    Ad::new("root").u16(FORMAT).uuid(store).bytes(&generation.to_be_bytes())
}

/// What a chunk of an export is bound to: its export, and its place in it.
pub(crate) fn export(format: u16, export: &Uuid, index: u64) -> Ad {
    Ad::new("exp").u16(format).uuid(export).u64(index)
}

/// What a chunk of a frame of changes is bound to: everything outside of the frame's chunks, and its place among them.
pub(crate) fn changes(outside: &[u8], index: u32) -> Ad {
    Ad::new("chg").u16(FORMAT).bytes(outside).bytes(&index.to_be_bytes())
}

/// What a data key under a key of a local provider is bound to.
pub(crate) fn wrap(context: &[u8], key_arn: &str, key_version: u32) -> Ad {
    Ad::new("wrap").bytes(context).text(key_arn).bytes(&key_version.to_be_bytes())
}

/// Appends one length-prefixed field.
pub(crate) fn push_field(out: &mut Vec<u8>, field: &[u8]) {
    // Fields are parts of requests and records, all of which are bounded far below 4 GiB.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(field);
}

/// Reads fields written by [`push_field`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes, as they are.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// The next length-prefixed field, at most `max` bytes long.
    pub(crate) fn field(&mut self, max: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        if length > max { None } else { self.take(length) }
    }

    pub(crate) fn text(&mut self, max: usize) -> Option<&'a str> {
        std::str::from_utf8(self.field(max)?).ok()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_fields_have_the_same_encoding() {
        let joined = Ad::new("met").text("ab").text("c");
        assert_ne!(joined.as_bytes(), Ad::new("met").text("a").text("bc").as_bytes());
        assert_ne!(joined.as_bytes(), Ad::new("met").text("abc").as_bytes());
        assert_eq!(&joined.as_bytes()[..9], [0, 0, 0, 3, b'm', b'e', b't', 0, 0]);
    }

    #[test]
    fn reading_past_the_end_or_past_the_bound_is_refused() {
        for bytes in [&[][..], &[0, 0, 0], &[0, 0, 0, 2, 1], &[255, 255, 255, 255, 0]] {
            assert_eq!(Fields::new(bytes).field(16), None, "{bytes:?}");
        }
        assert_eq!(Fields::new(&[0, 0, 0, 2, 1, 2]).field(1), None);
        assert_eq!(Fields::new(&[0, 0, 0, 2, 1, 2]).field(2), Some(&[1, 2][..]));
    }
}
