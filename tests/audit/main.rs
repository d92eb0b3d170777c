//! The audit log of the real binary: what is in it, what is not, and that it survives.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; the lint spares only functions that are marked as one"
)]

mod acts;
mod kills;
mod life;
mod log;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
