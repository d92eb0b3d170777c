//! A text and its rows.

use jiff::civil::Date;

use super::{LIMITS, zip::split};
use crate::{
    cvrs::{
        Checker, Field, Header, Need, Profile, Reason, RowError, RowKind, Rules, canonical_header,
        is_empty_line,
    },
    domain::MediaType,
    intake::{Lines, Stored},
};

/// The first byte says by which rules. Lines are those between newlines; the errors of a row come in the order
/// of the file's columns, and are the same for the row by itself and in canonical order.
pub fn rows(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let profile = Profile::ALL[usize::from(*first) % Profile::ALL.len()];
    let kind = if first & 0x80 == 0 { RowKind::Full } else { RowKind::Delete };
    let need = if kind == RowKind::Full { Need::All } else { Need::Key };
    let lines = read(text);
    let Some((header_line, rows)) = lines.split_first() else { return };
    let Ok(header) = Header::parse(header_line, need) else { return };
    let rules = rules(profile);
    let mut checker = Checker::new(&rules, &header, kind);
    for (number, row) in (2..).zip(rows).filter(|(_, row)| !is_empty_line(row)) {
        let errors = check(&mut checker, number, row);
        check_order(&header, &errors, profile);
        if profile == Profile::Strict {
            continue;
        }
        let alone = check(&mut Checker::new(&rules, &header, kind), number, row);
        assert_eq!(alone, errors);
        check_canonical(&header, &rules, kind, row, &errors);
    }
}

/// The lines of the text where none is too long.
fn read(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Lines::open(Stored::Memory(text), MediaType::Text, Some(LIMITS)).unwrap();
    let expected = split(text);
    for line in &expected {
        if line.len() > LIMITS.max_line_bytes {
            assert!(lines.next().is_err(), "a line that is too long");
            return Vec::new();
        }
        assert_eq!(lines.next().unwrap().unwrap().bytes, line);
    }
    assert_eq!(lines.next(), Ok(None));
    expected
}

fn rules(profile: Profile) -> Rules {
    Rules {
        profile,
        admin_date_min: Date::constant(2020, 12, 2),
        admin_type_max: profile.admin_type_max(),
        submission_date: Date::constant(2026, 11, 23),
        future_tolerance_days: 1,
    }
}

fn check(checker: &mut Checker, number: u64, row: &[u8]) -> Vec<RowError> {
    let mut errors = Vec::new();
    checker.check(number, row, &mut errors);
    for error in &errors {
        assert!(!error.reason.code().is_empty() && !error.reason.to_string().is_empty());
    }
    errors
}

fn is_damage(errors: &[RowError]) -> bool {
    errors.iter().any(|error| matches!(error.reason, Reason::Cells(_) | Reason::Utf8))
}

fn check_order(header: &Header, errors: &[RowError], profile: Profile) {
    if is_damage(errors) {
        assert_eq!(errors.len(), 1, "a damaged row has one error");
        return;
    }
    let places: Vec<_> =
        errors.iter().filter_map(|error| error.field).map(|field| header.place(field)).collect();
    if profile == Profile::Strict {
        return;
    }
    assert_eq!(places.len(), errors.len());
    assert!(places.iter().all(Option::is_some), "an error of a column that is not there");
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
}

/// The row as it is stored has the same errors.
fn check_canonical(header: &Header, rules: &Rules, kind: RowKind, row: &[u8], errors: &[RowError]) {
    if is_damage(errors) {
        return;
    }
    let mut stored = Vec::new();
    header.canonical(row, &mut stored);
    assert_eq!(memchr::memchr_iter(b'\t', &stored).count(), Field::ALL.len() - 1);
    let canonical = Header::parse(canonical_header().as_bytes(), Need::All).unwrap();
    assert_eq!(canonical.event_id(&stored), header.event_id(row));
    // A value may end with a carriage return; at the end of a line it is taken for the line's, and is another value.
    if stored.ends_with(b"\r") {
        return;
    }
    let again = check(&mut Checker::new(rules, &canonical, kind), 2, &stored);
    let named = |errors: &[RowError]| {
        let mut named: Vec<_> =
            errors.iter().map(|e| (e.field_name(), e.reason.to_string())).collect();
        named.sort_unstable();
        named
    };
    assert_eq!(named(&again), named(errors));
    let mut twice = Vec::new();
    canonical.canonical(&stored, &mut twice);
    assert_eq!(twice, stored);
}
