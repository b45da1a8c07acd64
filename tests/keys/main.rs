//! Keys: what the state of a KMS key means for secrets, the key file, the suites for implementers, and what a store does
//! when it is opened and maintained.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

mod blocked;
mod cache;
mod conformance;
mod doubles;
mod fixture;
mod header_copies;
mod header_replaced;
mod hostile;
mod interrupted_change;
#[cfg(unix)]
mod key_file;
mod keyring;
#[cfg(unix)]
mod keyring_file;
mod kms;
mod kms_errors;
mod kms_forms;
mod kms_rights;
mod kms_service;
mod kms_wire;
mod maintenance;
mod name_made_once;
mod odd_answers;
mod opening;
mod operations;
mod os_keyring;
mod outages_and_callbacks;
mod passphrase;
mod passphrase_change;
mod passphrase_store;
mod pbkdf2;
mod providers;
mod races;
mod recipients;
mod recipients_and_limits;
mod recording;
mod replaced_keys;
mod replies;
mod rewrap;
mod root_key;
mod router;
mod static_key;
mod timeout;
mod wraps_many;
