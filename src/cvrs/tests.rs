mod document;
mod files;
mod header;
mod properties;
mod rows;
mod rules;
mod strict;
mod table;

use std::path::{Path, PathBuf};

use jiff::civil::date;

use super::{sample::Sample, *};

/// `dch-2020` with the default bounds.
pub(super) fn dch_2020() -> Rules {
    Rules {
        profile: Profile::Dch2020,
        admin_date_min: date(2020, 12, 2),
        admin_type_max: 28,
        submission_date: date(2023, 1, 31),
        future_tolerance_days: 1,
    }
}

/// `dch-2021` with the default bounds.
pub(super) fn dch_2021() -> Rules {
    Rules { profile: Profile::Dch2021, admin_type_max: 42, ..dch_2020() }
}

/// `strict`, with the day of the two dates above.
pub(super) fn strict() -> Rules {
    Rules { profile: Profile::Strict, ..dch_2020() }
}

/// The canonical header.
pub(super) fn canonical() -> Header {
    Header::parse(canonical_header().as_bytes(), Need::All).unwrap()
}

/// `field: text` of each error of the row.
pub(super) fn errors_of(rules: &Rules, header: &Header, kind: RowKind, row: &[u8]) -> Vec<String> {
    let mut errors = Vec::new();
    Checker::new(rules, header, kind).check(2, row, &mut errors);
    errors.iter().map(|e| format!("{}: {}", e.field_name(), e.reason)).collect()
}

/// The errors of a full row under the canonical header.
fn full(rules: &Rules, row: &[u8]) -> Vec<String> {
    errors_of(rules, &canonical(), RowKind::Full, row)
}

/// A valid row with some other cells.
fn row(cells: &[(Field, &str)]) -> Vec<u8> {
    let mut row = Vec::new();
    Sample::new(7, sample::Model::Identified).write_row(0, &mut row);
    for (field, value) in cells {
        row = with_cell(&row, *field, value.as_bytes());
    }
    row
}

/// A file of the published material, where that lies beside the project. `scripts/test.sh` names the
/// tests that check nothing without it.
///
/// # Panics
/// Where it is missing and `CVRSD_NEED_SHARED` is 1.
pub(super) fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared", "../../shared"].map(|up| root.join(up).join(name));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        let needed = std::env::var("CVRSD_NEED_SHARED").is_ok_and(|value| value == "1");
        assert!(!needed, "{name} is not in ../shared, and CVRSD_NEED_SHARED is 1");
        println!("SKIPPED: {name} of the published material is not there");
    }
    found
}
