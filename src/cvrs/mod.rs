//! The CVRS file format: header, row, field table, rules and their exact texts, the record key.
//!
//! Pure functions on bytes; nothing here knows of jobs.

mod cells;
mod check;
mod codes;
mod column;
mod date;
mod field;
mod header;
mod reason;
mod row;
mod rule;
mod rules;
pub mod sample;
mod seen;
mod strict;
mod table;
mod text;
mod value;

pub use check::{Checker, RowError, RowKind};
pub use codes::ValueSet;
pub use field::{Field, Kind};
pub use header::{Header, HeaderError, Need};
pub use reason::Reason;
pub use row::{canonical_header, event_id_of, is_empty_line, redact, with_cell};
pub use rule::{Bound, Event, Party, Precision, Rule};
pub use rules::{Profile, Rules};
pub use table::{Entry, TABLE, Text};
pub use text::{Miss, fold_into, id_text, processing_text, validation_text};
pub use value::{Codes, Pattern};

#[cfg(test)]
mod tests;
