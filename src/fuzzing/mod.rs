//! One function for each kind of bytes that come from outside. Each takes any bytes at all, and panics where
//! something that is promised of them does not hold.
//!
//! The targets in `fuzz/` call them, and a test calls them with every input that is kept in `fuzz/corpus`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what is wrong shows by a panic"
)]

mod configuration;
mod envelopes;
mod rows;
#[cfg(test)]
mod tests;
mod tokens;
mod upload;
mod zip;

pub use self::{
    configuration::configuration, envelopes::envelopes, rows::rows, tokens::tokens, upload::upload,
    zip::zip,
};

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::intake::TextLimits;

/// Small, so that an input reaches them.
const LIMITS: TextLimits =
    TextLimits { max_inflated_bytes: 1 << 20, max_ratio: 200, max_line_bytes: 16 << 10 };

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}
