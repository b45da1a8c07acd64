//! The store's root key and everything derived from it.

use ring::hmac;
use uuid::Uuid;

use crate::envelope::provider::DataKey;
use crate::envelope::seal::{OpenError, SealingKey, derive};
use crate::envelope::wiped::Wiped;

/// What a derived key is for. One key, one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Storage keys.
    Index,
    /// Records without values.
    Metadata,
    /// Wrapped data keys.
    Outer,
    /// Page tokens.
    Token,
    /// The header's authentication code.
    Header,
    /// The set hash of all records.
    Manifest,
    /// The anchor's authentication code.
    Anchor,
    /// The seal's authentication code.
    Seal,
    /// A backup's authentication code.
    Backup,
}

impl Purpose {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ALL: [Self; 9] = [
        Self::Index,
        Self::Metadata,
        Self::Outer,
        Self::Token,
        Self::Header,
        Self::Manifest,
        Self::Anchor,
        Self::Seal,
        Self::Backup,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Index => "root/index",
            Self::Metadata => "root/metadata",
            Self::Outer => "root/outer",
            Self::Token => "root/token",
            Self::Header => "root/header",
            Self::Manifest => "root/manifest",
            Self::Anchor => "root/anchor",
            Self::Seal => "root/seal",
            Self::Backup => "root/backup",
        }
    }
}

impl Purpose {
    pub(crate) fn key(self, root: &DataKey, store: &Uuid, generation: u32) -> Result<SealingKey, OpenError> {
        let generation = generation.to_string();
        let info: [&[u8]; 4] = [b"strongroom/v1/", self.label().as_bytes(), b"/", generation.as_bytes()];
        derive(store.as_bytes(), root.expose(), &info)
    }
}

/// The keys that protect metadata and structure.
#[derive(Debug)]
pub(crate) struct RootKeys {
    pub(crate) index: Wiped<hmac::Key>,
    pub(crate) metadata: SealingKey,
    pub(crate) outer: SealingKey,
    pub(crate) token: SealingKey,
    pub(crate) header: Wiped<hmac::Key>,
    pub(crate) manifest: Wiped<hmac::Key>,
    pub(crate) anchor: Wiped<hmac::Key>,
    pub(crate) seal: Wiped<hmac::Key>,
    pub(crate) backup: Wiped<hmac::Key>,
}

impl RootKeys {
    /// Derives every key from the root key of one store and generation.
    pub(crate) fn derive(root: &DataKey, store: &Uuid, generation: u32) -> Result<Self, OpenError> {
        let key = |purpose: Purpose| purpose.key(root, store, generation);
        let mac =
            |purpose: Purpose| key(purpose).map(|key| Wiped::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())));
        Ok(Self {
            index: mac(Purpose::Index)?,
            metadata: key(Purpose::Metadata)?,
            outer: key(Purpose::Outer)?,
            token: key(Purpose::Token)?,
            header: mac(Purpose::Header)?,
            manifest: mac(Purpose::Manifest)?,
            anchor: mac(Purpose::Anchor)?,
            seal: mac(Purpose::Seal)?,
            backup: mac(Purpose::Backup)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_unique_and_none_begins_another() {
        let labels = Purpose::ALL.map(Purpose::label);
        for (i, a) in labels.iter().enumerate() {
            for b in labels.iter().skip(i + 1) {
                assert!(!a.starts_with(b) && !b.starts_with(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn keys_differ_by_store_by_generation_and_by_purpose() {
        let root = DataKey::from_slice(&[3; 32]).unwrap();
        let keys = |store: u128, generation| RootKeys::derive(&root, &Uuid::from_u128(store), generation).unwrap();
        let (a, b, c) = (keys(1, 1), keys(2, 1), keys(1, 2));
        assert_ne!(a.metadata.expose(), b.metadata.expose());
        assert_ne!(a.metadata.expose(), c.metadata.expose());
        assert_ne!(a.metadata.expose(), a.outer.expose());
    }
}
