use jiff::civil::date;

use super::*;

pub(super) fn dch_2020() -> Rules {
    Rules {
        profile: Profile::Dch2020,
        admin_date_min: date(2020, 12, 2),
        admin_type_max: 28,
        submission_date: date(2023, 1, 1),
        future_tolerance_days: 1,
    }
}

pub(super) fn dch_2021() -> Rules {
    Rules { profile: Profile::Dch2021, admin_type_max: 42, ..dch_2020() }
}

pub(super) fn errors_of(rules: &Rules, header: &Header, kind: RowKind, row: &[u8]) -> Vec<String> {
    let mut errors = Vec::new();
    Checker::new(rules, header, kind).check(row, &mut errors);
    errors.iter().map(|e| format!("{}: {}", e.field_name(), e.reason)).collect()
}
