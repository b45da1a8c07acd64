//! Test doubles and conformance suites for the seams (feature `testing`).
//!
//! Everything here is deterministic: the same seed and the same calls give the same bytes and the same faults. Nothing
//! here is for production: a store that is made with [`ManualClock`] or [`SeededEntropy`] is marked as one for tests.
//!
//! * [`ManualClock`] and [`SeededEntropy`] stand in for time and randomness.
//! * [`FaultyBackend`] fails when it is told to; [`RecordingBackend`] remembers every commit, so that every moment at
//!   which a crash could have happened can be opened again.
//! * [`FaultyProvider`] is a key provider that fails, answers nonsense or stops when it is told to, or by a seeded chance;
//!   [`RecordingProvider`] remembers every call, and checks their encryption contexts.
//! * [`mod@format`] gives the sealing construction by itself, for test vectors and for the floor of benches.
//! * [`backend_conformance`], [`key_provider_conformance`] and [`key_provider_state_conformance`] check an implementation of
//!   a seam against its contract.

mod backends;
mod conformance;
mod doubles;
pub mod format;
#[doc(hidden)]
pub mod fuzzing;
mod providers;

pub use backends::{FaultyBackend, RecordingBackend};
pub use conformance::{backend_conformance, key_provider_conformance, key_provider_state_conformance};
pub use doubles::{ManualClock, SeededEntropy};
pub use providers::{FaultyProvider, ProviderOperation, RecordedCall, RecordingProvider, ReplyFault};
