//! Callers, tokens and what they may do, from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod behalf;
mod bench;
mod command;
mod isolation;
mod keys;
mod quotas;
mod reload;
mod rows;
mod scopes;
mod tokens;
