//! What the daemon tells of itself, and that it tells of nobody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod labels;
mod leak;
mod metrics;
mod traces;
