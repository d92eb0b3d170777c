//! What a store has to know of a row's cells. Rows are canonical: 45 cells joined by tabs.

use std::ops::RangeInclusive;

/// Places of the names, the streets and the city: the cells that the redacted storage hides.
const REDACTED_CELLS: [RangeInclusive<usize>; 2] = [4..=6, 9..=11];

/// The `vax_event_id`: the first cell.
pub(super) fn event_id_of(row: &[u8]) -> &[u8] {
    row.split(|byte| *byte == b'\t').next().unwrap_or_default()
}

/// Appends the row as the redacted storage shows it.
pub(super) fn redact(row: &[u8], out: &mut Vec<u8>) {
    for (place, cell) in row.split(|byte| *byte == b'\t').enumerate() {
        if place > 0 {
            out.push(b'\t');
        }
        let hidden = REDACTED_CELLS.iter().any(|cells| cells.contains(&place));
        out.extend_from_slice(if hidden { b"Redacted" } else { cell });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_cells_are_hidden_and_the_others_stay() {
        let cells: Vec<String> = (0..45).map(|place| format!("cell{place}")).collect();
        let mut shown = Vec::new();
        redact(cells.join("\t").as_bytes(), &mut shown);
        let shown = String::from_utf8(shown).unwrap();
        for (place, cell) in shown.split('\t').enumerate() {
            let hidden = [4, 5, 6, 9, 10, 11].contains(&place);
            assert_eq!(cell, if hidden { "Redacted" } else { cells[place].as_str() });
        }
        assert_eq!(shown.split('\t').count(), 45);
    }

    #[test]
    fn the_first_cell_names_the_record() {
        assert_eq!(event_id_of(b"EV1\tx\ty"), b"EV1");
        assert_eq!(event_id_of(b"EV1"), b"EV1");
        assert_eq!(event_id_of(b""), b"");
    }
}
