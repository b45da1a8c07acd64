//! What nobody may see: secrets in files, in output, and in memory that was given back.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod allocator;
mod files;
mod memory;
mod output;
mod wire;
