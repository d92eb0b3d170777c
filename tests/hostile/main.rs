//! Clients that mean ill or are merely broken: slow, silent, endless, or very many. Each is cut or refused
//! within bounds of time and memory, leaves nothing behind, and others are served meanwhile.
//!
//! `CVRSD_IDLE_CONNECTIONS` (1,000) is how many idle connections each listener gets, `CVRSD_WATCHERS` (500) how
//! many watch one job.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    missing_docs,
    reason = "a test fails by panicking, and prints what it measured"
)]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod connections;
mod floods;
mod frames;
mod slow;
mod watchers;

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
