//! The commands: each opens the store, makes one call, and prints what it gave.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod maintain;
pub(crate) mod policy;
pub(crate) mod put;
pub(crate) mod random_password;
pub(crate) mod replicas;
pub(crate) mod replicate;
pub(crate) mod restore;
pub(crate) mod restore_backup;
pub(crate) mod rotation;
pub(crate) mod salvage;
pub(crate) mod stage;
pub(crate) mod standby;
pub(crate) mod tag;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod versions;

use crate::failure::Failure;

/// `KEY=VALUE`, split at the first `=`.
fn pair<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::usage(format!("{option} wants KEY=VALUE, and got `{text}`")))
}
