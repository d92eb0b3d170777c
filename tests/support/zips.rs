//! Zips whose every field can lie: the builder that the reader's own tests use.

#[path = "../../src/intake/archive/sample.rs"]
mod sample;

pub use sample::*;
