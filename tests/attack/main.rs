//! Files that were made to hurt. Each is sent over REST and over gRPC; each is refused or ends as its
//! line of the table says, in little time and memory, leaves nothing behind, and the daemon goes on.
//!
//! Times are bound for an optimised daemon: `scripts/attack.sh` runs the same tables against one. The
//! daemon that is built with the tests gets more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod run;
mod sizes;
mod texts;
mod zips;
mod zips_layout;
