//! Shipped rotation functions: two strategies for passwords, and bridges to programs and to endpoints.

pub(crate) mod alternating_users;
#[cfg(all(feature = "cli", unix))]
pub(crate) mod command;
pub(crate) mod credential;
#[cfg(feature = "cli")]
pub(crate) mod endpoint;
#[cfg(feature = "cli")]
mod event;
mod password;
pub(crate) mod single_user;
mod strategy;
#[cfg(test)]
mod tests;
