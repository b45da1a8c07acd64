//! Strongroom: an embedded, encrypted, file-backed secret store with the data model of AWS Secrets Manager.

mod api;
mod clock;
mod entropy;
mod envelope;
mod error;
mod files;
mod model;
mod records;
mod run;
mod storage;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use crate::api::*;
pub use crate::clock::{Clock, SystemClock};
pub use crate::entropy::{Entropy, EntropyError, OsEntropy};
pub use crate::envelope::keyring::{KeyDescription, LocalKeyring};
pub use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState, ProviderTraits,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
pub use crate::envelope::static_key::StaticKey;
pub use crate::error::{Error, ErrorKind, KeyFault, KeyFaultReason, KeyOperation, Result};
pub use crate::model::filter::{Filter, FilterKey, SortBy, SortOrder};
pub use crate::model::limits;
pub use crate::model::tag::Tag;
pub use crate::model::value::{SecretBytes, SecretString, SecretValue};
pub use crate::storage::memory::MemoryBackend;
pub use crate::storage::sled::SledBackend;
pub use crate::storage::{
    Backend, BackendError, BackendStats, Batch, Durability, KEY_BYTES_MAX, RECORD_BYTES_MAX, Stored,
};
pub use crate::store::{Builder, MaintenanceReport, OpenMode, SecretStore, SecretsManager, StoreStats};
pub use crate::time::Timestamp;
