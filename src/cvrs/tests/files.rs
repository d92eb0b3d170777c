use std::fs;

use super::*;
use crate::error::Code;

/// The validation errors of a whole file as the API spells them.
fn report(rules: &Rules, kind: RowKind, need: Need, file: &[u8]) -> Vec<String> {
    let mut lines = file.split(|byte| *byte == b'\n');
    let header = Header::parse(lines.next().unwrap(), need).unwrap();
    let mut checker = Checker::new(rules, &header, kind);
    let mut report = Vec::new();
    for (line, number) in lines.zip(2..).filter(|(line, _)| !is_empty_line(line)) {
        let mut errors = Vec::new();
        checker.check(number, line, &mut errors);
        let (mut event, mut recip) = (String::new(), String::new());
        id_text(header.event_id(line), &mut event);
        id_text(header.recip_id(line), &mut recip);
        let text = |e: &RowError| validation_text(number, &event, &recip, e.field_name(), e.reason);
        report.extend(errors.iter().map(text));
    }
    report
}

#[test]
fn the_published_good_file_has_six_errors_under_the_rules_of_2020() {
    let Some(path) = shared("samples/testgood.txt") else { return };
    let errors = report(&dch_2020(), RowKind::Full, Need::All, &fs::read(path).unwrap());
    let fields: Vec<_> = errors.iter().filter_map(|e| e.split(' ').nth(3)).collect();
    assert_eq!(
        fields,
        [
            "field=recip_middle_name",
            "field=recip_address_county",
            "field=recip_address_zip",
            "field=recip_address_state",
            "field=recip_address_zip",
            "field=recip_address_zip",
        ]
    );
    assert!(errors.iter().all(|e| e.ends_with("message=must not be null")), "{errors:#?}");
    assert!(
        errors[0].starts_with("line#3: vaxEventId=good1_notredact recipId=1 "),
        "{}",
        errors[0]
    );
}

#[test]
fn the_published_bad_files_fail_at_their_header() {
    let refused = |name: &str| {
        let path = shared(&format!("samples/{name}"))?;
        let file = fs::read(path).unwrap();
        let first = file.split(|byte| *byte == b'\n').next().unwrap();
        Some(Header::parse(first, Need::All).unwrap_err())
    };
    let Some(error) = refused("testMissingHeaders.txt") else { return };
    assert_eq!(error.code, Code::HeaderColumn);
    let missing =
        "the header lacks recip_race_2, recip_race_3, recip_race_4, recip_race_5, recip_race_6";
    assert_eq!(error.message, missing);
    assert_eq!(refused("notacvrs.txt").unwrap().code, Code::HeaderMalformed);
    assert_eq!(refused("empty.txt").unwrap().code, Code::HeaderMalformed);
}

#[test]
fn a_file_with_a_defect_in_each_row_gives_just_these_errors() {
    let file = include_bytes!("defects.txt");
    let expected = include_str!("defects.errors.txt");
    let errors = report(&dch_2021(), RowKind::Full, Need::All, file);
    assert_eq!(errors, expected.lines().collect::<Vec<_>>());
}

#[test]
fn the_same_file_as_a_delete_gives_the_errors_of_form_only() {
    let file = include_bytes!("defects.txt");
    let errors = report(&dch_2021(), RowKind::Delete, Need::Key, file);
    let comparing = ["must not be null", "or earlier", "submission date", "before admin_date"];
    let expected: Vec<_> = include_str!("defects.errors.txt")
        .lines()
        .filter(|e| e.contains("field=vax_event_id") || !comparing.iter().any(|c| e.ends_with(c)))
        .collect();
    assert_eq!(errors, expected);
}
