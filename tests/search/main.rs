//! Finding and listing: filters, order, pages, version lists, batches, and random passwords.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

mod batch;
mod filters;
mod fixture;
mod listing;
mod order_and_paging;
mod passwords_spread;
mod random_password;
mod tokens;
mod versions;
mod words;
