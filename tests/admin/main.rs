//! What an operator does, with the real program on both ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod config;
mod drain;
mod explain;
mod exports;
mod level;
mod pause;
mod pty;
mod ready;
mod release;
mod scope;
mod top;
