//! The CVRS file format: header, row, field table, rules and their exact texts, the record key.
//!
//! Pure functions on bytes; nothing here knows of jobs.

mod cells;
mod check;
mod column;
mod date;
mod field;
mod header;
mod reason;
mod row;
mod rules;
pub mod sample;
mod text;
mod value;

pub use check::{Checker, RowError, RowKind};
pub use field::{Codes, Field, Kind, Null, Rule};
pub use header::{Header, HeaderError, Need};
pub use reason::Reason;
pub use row::{canonical_header, event_id_of, is_empty_line, redact, with_cell};
pub use rules::{Profile, Rules};
pub use text::{Miss, fold_into, id_text, processing_text, validation_text};

#[cfg(test)]
mod tests;
