//! The CVRS file format: header, row, field table, rules and their exact texts, the record key.
//!
//! Pure functions on bytes; nothing here knows of jobs.

mod rules;
pub mod sample;

pub use rules::{Profile, Rules};
