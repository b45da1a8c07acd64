//! The nouns of the API, their invariants and every legal transition. Pure: no clock, no storage, no keys.

pub(crate) mod deletion;
pub(crate) mod filter;
pub(crate) mod id;
pub mod limits;
pub(crate) mod policy;
pub(crate) mod portable;
pub(crate) mod region;
pub(crate) mod replication;
pub(crate) mod rotation;
pub(crate) mod secret;
pub(crate) mod shape;
pub(crate) mod stages;
pub(crate) mod tag;
pub(crate) mod tenant;
pub(crate) mod value;
pub(crate) mod version;
pub(crate) mod words;
