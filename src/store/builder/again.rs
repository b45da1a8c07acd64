//! The settings of a builder once more: a standby is opened, or made anew, more than once.

use std::sync::Arc;

use super::{Builder, Place};

impl Builder {
    /// The same settings once more, for the same directory. `None`: the store is not to be in one.
    pub(in crate::store) fn again(&self) -> Option<Self> {
        let place = match &self.place {
            Place::Directory(path) => Place::Directory(path.clone()),
            Place::Backend(_) => return None,
        };
        Some(Self {
            place,
            provider: self.provider.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            account: self.account.clone(),
            region: self.region.clone(),
            root_key_id: self.root_key_id.clone(),
            external_anchor: self.external_anchor.clone(),
            settings: self.settings.clone(),
            functions: self.functions.clone(),
            background: self.background.clone(),
            observers: self.observers.clone(),
            ..*self
        })
    }
}
