//! TLS of the listeners, client certificates, and taking both anew, by clients that verify what they get.
//!
//! Needs `curl`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod clients;
mod faces;
mod pki;
mod rotation;
mod start;
