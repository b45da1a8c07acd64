//! Versions on their way from one store to its standby: taken out of the seal of one root key, put under that of another.
//!
//! Nobody is asked for a key, and no value is opened: it stays sealed under its data key, and what the key provider returned
//! for that stays as it is.

use crate::envelope::provider::WRAPPED_KEY_BYTES_MAX;
use crate::envelope::root::Roots;
use crate::envelope::wraps::{Record, Wrap};
use crate::envelope::{Envelope, Identity, SealedVersion, StoredVersion, VERSION_BYTES_MAX, damaged};
use crate::error::Result;
use crate::model::version::Content;

/// A version outside of every root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CarriedVersion {
    /// What the key provider returned for each of its keys.
    pub(crate) wraps: Vec<Vec<u8>>,
    /// The value, sealed under its data key.
    pub(crate) value: Vec<u8>,
}

impl Envelope {
    /// Takes a version out of the seal of its root key.
    pub(crate) fn carry_out(&self, stored: &StoredVersion<'_>) -> Result<CarriedVersion> {
        let record = Record::parse(stored)?;
        let wraps = self.open_wraps(stored, &record)?.iter().map(|wrap| wrap.blob().to_vec()).collect();
        Ok(CarriedVersion { wraps, value: record.value.to_vec() })
    }

    /// Puts a version under the newest root key. `content` says which keys its wraps are under.
    pub(crate) fn carry_in(
        &self,
        roots: &Roots,
        identity: &Identity<'_>,
        content: &Content,
        carried: &CarriedVersion,
    ) -> Result<SealedVersion> {
        let CarriedVersion { wraps, value } = carried;
        let fits = |wrap: &Vec<u8>| (1..=WRAPPED_KEY_BYTES_MAX).contains(&wrap.len());
        if wraps.len() != content.keys.len() || !wraps.iter().all(fits) || value.len() > VERSION_BYTES_MAX {
            return Err(damaged());
        }
        let wraps = content.keys.iter().zip(wraps).map(|(used, blob)| Wrap::carried(used, blob)).collect();
        self.assemble(roots, identity, content.kind, wraps, value)
    }
}
