//! Rows in canonical form: the 45 cells in canonical order, joined by tabs.

use std::sync::LazyLock;

use super::field::{CANONICAL_NAMES, Field};

static CANONICAL_HEADER: LazyLock<String> = LazyLock::new(|| CANONICAL_NAMES.join("\t"));

/// What the redacted storage shows instead of an identifying cell.
const REDACTED: &[u8] = b"Redacted";

/// The header line of canonical rows, without a line feed.
#[must_use]
pub fn canonical_header() -> &'static str {
    &CANONICAL_HEADER
}

/// Whether the line counts as empty: no byte, or only a carriage return.
#[must_use]
pub fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, [] | [b'\r'])
}

/// The `vax_event_id` of a canonical row.
#[must_use]
pub fn event_id_of(canonical_row: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\t', canonical_row).unwrap_or(canonical_row.len());
    canonical_row.get(..end).unwrap_or_default()
}

/// Appends a canonical row as the redacted storage shows it: names, streets and city read
/// `Redacted`, also where they are empty.
pub fn redact(canonical_row: &[u8], out: &mut Vec<u8>) {
    out.reserve(canonical_row.len() + 6 * REDACTED.len());
    let cells = canonical_row.split(|byte| *byte == b'\t');
    for (field, cell) in Field::ALL.into_iter().zip(cells) {
        if field.index() > 0 {
            out.push(b'\t');
        }
        out.extend_from_slice(if field.is_redacted() { REDACTED } else { cell });
    }
}

/// A canonical row with another value in one cell, for tests that need a certain defect.
#[must_use]
pub fn with_cell(canonical_row: &[u8], field: Field, value: &[u8]) -> Vec<u8> {
    let mut cells: Vec<_> = canonical_row.split(|byte| *byte == b'\t').collect();
    if let Some(cell) = cells.get_mut(field.index()) {
        *cell = value;
    }
    cells.join(&b'\t')
}
