//! Strongroom: an embedded, encrypted, file-backed secret store with the data model of AWS Secrets Manager.
//!
//! # Which type to reach for
//!
//! - **To open a store**: [`SecretStore::builder`] for a directory, [`SecretStore::in_memory`] for tests,
//!   [`SecretStore::with_backend`] for a storage engine of your own.
//! - **To hold its keys**: [`LocalKeyring`] for keys with names and states in a key file, [`KeyFileProvider`] for one
//!   key in a file, [`StaticKey`] for 32 bytes in hand, [`PassphraseProvider`] for a passphrase, `OsKeyringProvider`
//!   (feature `os-keyring`) for a key in the keyring of the system, a [`KeyProvider`] of your own for a KMS.
//!   [`RouterProvider`], [`TimeoutProvider`] and [`DataKeyCache`] are put over them.
//! - **To work with secrets**: [`SecretsManager`], from [`SecretStore::default_secrets_manager`] or, for an account and a
//!   Region, [`SecretStore::secrets_manager`]. Its methods are the operations of the API, their requests and responses are
//!   named as the API names them.
//! - **To understand a failure**: [`Error::code`] and [`Error::message`] are the service's, [`Error::kind`] says more.
//! - **To change passwords regularly**: [`Builder::rotation_function`] with `SingleUser` or `AlternatingUsers` (feature
//!   `json`), with `CommandFunction` or `LambdaEndpointFunction` (feature `cli`) for code outside this process, or with a
//!   [`RotationFunction`] of your own.
//! - **To do what is due**: [`SecretStore::maintain`].
//! - **To be told of every operation**: [`Builder::observer`], with an [`Observer`] of your own, an `AuditFile` (feature
//!   `json`) or a `TracingObserver` (feature `tracing`).
//! - **To move secrets between stores**: [`SecretStore::export`] and [`SecretStore::import`].
//! - **To keep a second store that follows the first**: [`SecretStore::replicate_to`] with a [`StandbyDirectory`], or with a
//!   [`ReplicationLink`] of your own.
//!
//! # Example
//!
//! ```
//! use strongroom::{
//!     CreateSecretRequest, GetSecretValueRequest, LocalKeyring, PutSecretValueRequest, SecretStore,
//! };
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path();
//! let keyring = LocalKeyring::open_or_create(directory.join("app.keyring"))?;
//! let store = SecretStore::builder(directory.join("app.secrets")).key_provider(keyring).open()?;
//! let secrets = store.default_secrets_manager();
//!
//! secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("one"))?;
//! secrets.put_secret_value(PutSecretValueRequest::new("db/main", "two"))?;
//!
//! let current = secrets.get_secret_value(GetSecretValueRequest::new("db/main"))?;
//! let previous = secrets.get_secret_value(GetSecretValueRequest::new("db/main").version_stage("AWSPREVIOUS"))?;
//! assert_eq!(current.secret_string.unwrap().expose(), "two");
//! assert_eq!(previous.secret_string.unwrap().expose(), "one");
//! store.close()?;
//! # Ok::<(), strongroom::Error>(())
//! ```
//!
//! # Words
//!
//! A *secret* has *versions*; a version has one value, which never changes, and *staging labels*, which move. `AWSCURRENT`
//! is on the version that is read by default, `AWSPREVIOUS` on the one before it, `AWSPENDING` on one that is being
//! prepared. A version without labels is *deprecated*: readable by its id until it is removed. A *data key* encrypts one
//! version; a *KMS key* of the key provider wraps data keys; the store's *root key* protects everything else.
//!
//! # Features
//!
//! - default: the library alone.
//! - `json`: the module `wire`, which speaks the service's protocol, `serde` on requests and responses, and rotation
//!   functions for secrets that are JSON documents.
//! - `passphrase`: Argon2id for [`PassphraseProvider`], which derives with PBKDF2 without it.
//! - `os-keyring`: `OsKeyringProvider`, a key in the keyring of the operating system.
//! - `tracing`: `TracingObserver`, operations as events.
//! - `cli`: the `strongroom` command, with `json`, `passphrase` and `tracing`, and rotation functions that are programs or endpoints.
//! - `testing`: the module `testing` with test doubles and conformance suites for the seams. It only adds items.

mod access;
mod api;
mod clock;
mod entropy;
mod envelope;
mod error;
mod files;
#[cfg(feature = "json")]
mod functions;
#[cfg(feature = "json")]
mod json;
mod model;
mod observe;
mod policy;
mod records;
mod rotation;
mod rotator;
mod run;
mod storage;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
#[cfg(feature = "json")]
pub mod wire;

pub use crate::access::Caller;
pub use crate::api::*;
pub use crate::clock::{Clock, SystemClock};
pub use crate::entropy::{Entropy, EntropyError, OsEntropy};
pub use crate::envelope::cache::DataKeyCache;
pub use crate::envelope::key_file::KeyFileProvider;
pub use crate::envelope::keyring::{KeyDescription, LocalKeyring};
#[cfg(feature = "os-keyring")]
pub use crate::envelope::os_keyring::OsKeyringProvider;
pub use crate::envelope::passphrase::{PassphraseParameters, PassphraseProvider};
pub use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KEY_NAME_BYTES_MAX, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState,
    ProviderTraits, WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
pub use crate::envelope::router::RouterProvider;
pub use crate::envelope::static_key::StaticKey;
pub use crate::envelope::timeout::TimeoutProvider;
pub use crate::error::{
    AccessFault, Error, ErrorKind, KeyFault, KeyFaultReason, KeyOperation, ReplicationFault, Result,
};
#[cfg(all(feature = "cli", unix))]
pub use crate::functions::command::CommandFunction;
#[cfg(feature = "cli")]
pub use crate::functions::endpoint::LambdaEndpointFunction;
#[cfg(feature = "json")]
pub use crate::functions::{
    alternating_users::{AlternatingUsers, UserTarget},
    credential::Credential,
    single_user::{CredentialTarget, SingleUser},
};
pub use crate::model::filter::{Filter, FilterKey, SortBy, SortOrder};
pub use crate::model::limits;
pub use crate::model::replication::{ReplicaRegionType, StatusType};
pub use crate::model::rotation::{ExternalSecretRotationMetadataItem, RotationRules};
pub use crate::model::tag::Tag;
pub use crate::model::value::{SecretBytes, SecretString, SecretValue};
pub use crate::observe::Observer;
#[cfg(feature = "json")]
pub use crate::observe::chain::AuditHash;
#[cfg(feature = "json")]
pub use crate::observe::file::{AuditFailure, AuditFile, AuditFileOptions};
pub use crate::observe::parameters::ParameterValue;
pub use crate::observe::record::{AuditRecord, UserIdentity};
pub use crate::observe::rotation::RotationEventKind;
#[cfg(feature = "tracing")]
pub use crate::observe::tracing::TracingObserver;
#[cfg(feature = "json")]
pub use crate::observe::verify::{AuditBreak, AuditBreakKind, AuditReport};
pub use crate::policy::{
    AuthorizationRequest, Decision, Effect, Evaluation, Explanation, IdentityPolicy, Policies, PolicyFault,
    PolicyFaultReason, PolicyKind, PolicySource, Principal, RequestContext, ResourcePolicy, StatementExplanation,
    StatementOutcome, StatementRef,
};
pub use crate::records::anchor::ExternalAnchor;
pub use crate::records::feed::KeptChanges;
pub use crate::records::feed::frame::{Changes, FeedPosition, Seed};
pub use crate::rotation::{RotationSchedule, RotationWindow};
pub use crate::rotator::{RotationInProgress, RotationStatus};
pub use crate::storage::memory::MemoryBackend;
pub use crate::storage::sled::SledBackend;
pub use crate::storage::{
    Backend, BackendError, BackendStats, Batch, Durability, KEY_BYTES_MAX, RECORD_BYTES_MAX, Stored,
};
pub use crate::store::{
    BackupReport, Builder, CheckRecords, CompactReport, ConflictReason, DropReport, ExportOptions, ExportReport,
    Finding, FindingKind, ImportConflict, ImportOptions, ImportReport, KeyCensus, KeyOptions, KeyProblem, KeyUsage,
    KeyUse, MaintenanceReport, OpenMode, Progress, ReencryptReport, Replication, ReplicationLink, ReplicationReport,
    RewrapReport, RootKeyReport, RotationCall, RotationError, RotationFunction, RotationStep, SalvageReport,
    SecretStore, SecretsManager, ShredReport, SkippedSecret, SpaceUse, StandbyDirectory, StandbyState, StandbyStatus,
    StoreStats, VerifyOptions, VerifyReport,
};
pub use crate::time::Timestamp;

/// The README's example is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the guide for emulators.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../docs/EMULATORS.md")]
struct Emulators;

/// Those of the guide for audit records.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../docs/AUDIT.md")]
struct Audit;

/// And those of the guide for key providers.
#[cfg(doctest)]
#[doc = include_str!("../docs/KEYS.md")]
struct Keys;

/// And those of the guide for rotation, which moves a clock.
#[cfg(all(doctest, feature = "testing", feature = "json"))]
#[doc = include_str!("../docs/ROTATION.md")]
struct Rotation;

/// And those of the guide for replication.
#[cfg(doctest)]
#[doc = include_str!("../docs/REPLICATION.md")]
struct ReplicationGuide;

/// And those of the guide for policies.
#[cfg(doctest)]
#[doc = include_str!("../docs/POLICIES.md")]
struct PolicyGuide;
