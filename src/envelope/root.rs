//! The store's root keys and everything derived from them.

use std::sync::Arc;

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
    /// The root key of the generation before.
    Former,
}

impl Purpose {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ALL: [Self; 10] = [
        Self::Index,
        Self::Metadata,
        Self::Outer,
        Self::Token,
        Self::Header,
        Self::Manifest,
        Self::Anchor,
        Self::Seal,
        Self::Backup,
        Self::Former,
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
            Self::Former => "root/former",
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

impl KeyTime {
    pub(crate) fn is_of_generation(self, root: &RootKeys) -> bool {
        self.generation == root.generation
    }
}

/// What storage keys are made with.
#[derive(Debug)]
pub(crate) struct IndexKey {
    pub(crate) mac: Wiped<hmac::Key>,
    /// Stands in every storage key, and tells those of a generation from those of the one before and the one after.
    pub(crate) mark: u8,
}

impl IndexKey {
    pub(crate) fn new(key: &SealingKey, generation: u32) -> Self {
        let [.., mark] = generation.to_be_bytes();
        Self { mac: Wiped::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())), mark }
    }
}

/// The keys that protect metadata and structure, of one generation.
#[derive(Debug)]
pub(crate) struct RootKeys {
    pub(crate) generation: u32,
    pub(crate) index: IndexKey,
    pub(crate) metadata: SealingKey,
    pub(crate) outer: SealingKey,
    pub(crate) token: Arc<SealingKey>,
    pub(crate) header: Wiped<hmac::Key>,
    pub(crate) manifest: Wiped<hmac::Key>,
    pub(crate) anchor: Wiped<hmac::Key>,
    pub(crate) seal: Wiped<hmac::Key>,
    pub(crate) backup: Wiped<hmac::Key>,
    pub(crate) former: SealingKey,
}

impl RootKeys {
    /// Derives every key from the root key of one store and generation.
    pub(crate) fn derive(root: &DataKey, store: &Uuid, generation: u32) -> Result<Self, OpenError> {
        let key = |purpose: Purpose| purpose.key(root, store, generation);
        let mac =
            |purpose: Purpose| key(purpose).map(|key| Wiped::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())));
        Ok(Self {
            generation,
            index: IndexKey::new(&key(Purpose::Index)?, generation),
            metadata: key(Purpose::Metadata)?,
            outer: key(Purpose::Outer)?,
            token: Arc::new(key(Purpose::Token)?),
            header: mac(Purpose::Header)?,
            manifest: mac(Purpose::Manifest)?,
            anchor: mac(Purpose::Anchor)?,
            seal: mac(Purpose::Seal)?,
            backup: mac(Purpose::Backup)?,
            former: key(Purpose::Former)?,
        })
    }
}

/// Generations whose page tokens are honoured besides those in use.
const RETIRED_TOKENS_MAX: usize = 16;

/// The root keys that are in use: those of the newest generation, and, while the root key is being changed, those of the
/// one before.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    pub(crate) newest: Arc<RootKeys>,
    /// Records that have not been sealed anew yet are under these.
    pub(crate) former: Option<Arc<RootKeys>>,
    /// Page tokens of generations before are honoured until the store is closed. The keys open nothing else.
    retired_tokens: Vec<Arc<SealingKey>>,
    /// Counts the times at which the keys that wrap data keys may have become others.
    turn: u64,
}

/// When something was sealed, as far as keys are concerned. What was sealed at another time is not stored any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyTime {
    generation: u32,
    turn: u64,
}

impl Roots {
    pub(crate) fn new(newest: Arc<RootKeys>, former: Option<Arc<RootKeys>>) -> Self {
        Self { newest, former, retired_tokens: Vec::new(), turn: 0 }
    }

    /// One generation more, under which nothing is sealed yet.
    pub(crate) fn with_next(&self, next: Arc<RootKeys>) -> Self {
        Self { newest: next, former: Some(Arc::clone(&self.newest)), ..self.clone() }
    }

    /// Nothing is sealed under the generation before any more.
    pub(crate) fn without_former(&self) -> Self {
        let mut retired_tokens = self.retired_tokens.clone();
        retired_tokens.extend(self.former.as_ref().map(|former| Arc::clone(&former.token)));
        // Whoever pages on for so many changes of the root key begins anew.
        let surplus = retired_tokens.len().saturating_sub(RETIRED_TOKENS_MAX);
        retired_tokens.drain(..surplus);
        Self { newest: Arc::clone(&self.newest), former: None, retired_tokens, turn: self.turn }
    }

    /// The same, after the keys that wrap data keys may have become others.
    pub(crate) fn with_next_turn(&self) -> Self {
        Self { turn: self.turn.wrapping_add(1), ..self.clone() }
    }

    /// The present time, as far as keys are concerned.
    pub(crate) fn time(&self) -> KeyTime {
        KeyTime { generation: self.newest.generation, turn: self.turn }
    }

    /// The newest first.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<RootKeys>> {
        std::iter::once(&self.newest).chain(&self.former)
    }

    /// The generation that a storage key is of.
    pub(crate) fn of_mark(&self, mark: u8) -> Option<&Arc<RootKeys>> {
        self.each().find(|root| root.index.mark == mark)
    }

    /// Keys that open page tokens.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &SealingKey> {
        self.each().map(|root| &*root.token).chain(self.retired_tokens.iter().map(|token| &**token))
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
