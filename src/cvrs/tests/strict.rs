//! The profile `strict` as a whole, against the published samples and reports where they are there.

use std::fs;

use super::*;

/// Line, code, column and text of each error of a file.
type Told = Vec<(u64, String, String, String)>;

fn told(rules: &Rules, kind: RowKind, need: Need, file: &[u8]) -> Told {
    let mut lines = file.split(|byte| *byte == b'\n');
    let header = Header::parse(lines.next().unwrap(), need).unwrap();
    let mut checker = Checker::new(rules, &header, kind);
    let mut told = Vec::new();
    for (number, line) in (2..).zip(lines).filter(|(_, line)| !is_empty_line(line)) {
        let mut errors = Vec::new();
        checker.check(number, line, &mut errors);
        let one = |e: &RowError| {
            (number, e.reason.code().to_owned(), e.field_name().to_owned(), e.reason.to_string())
        };
        told.extend(errors.iter().map(one));
    }
    told
}

/// The day after all dates of the samples but those that are meant to lie in the future.
fn then() -> Rules {
    Rules { submission_date: date(2020, 12, 1), ..strict() }
}

#[test]
fn the_published_good_file_has_no_error() {
    let Some(path) = shared("samples/testgood.txt") else { return };
    let file = fs::read(path).unwrap();
    assert_eq!(told(&then(), RowKind::Full, Need::All, &file), []);
    assert_eq!(told(&then(), RowKind::Delete, Need::Key, &file), []);
    let Some(path) = shared("samples/expected-reports/testgood.txt.rpt") else { return };
    let report = fs::read_to_string(path).unwrap();
    assert!(report.contains("has 0 errors in 0 of 33 records"), "{report}");
}

#[test]
fn the_published_bad_file_has_just_the_published_errors() {
    let Some(path) = shared("samples/expected-reports/testerror.txt.rpt.json") else { return };
    let report: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let mut expected: Told = Vec::new();
    for entry in report["detail"].as_array().unwrap() {
        let message = without_values(&text(entry, "message"));
        let line = entry["line"].as_u64().unwrap() + 1;
        expected.push((line, text(entry, "code"), text(entry, "field"), message));
    }
    // Theirs are ordered by code within a line, ours by column.
    expected.sort_by_key(|(line, _, field, _)| (*line, Field::from_name(field).unwrap().index()));
    let file = fs::read(shared("samples/testerror.txt").unwrap()).unwrap();
    let found = told(&then(), RowKind::Full, Need::All, &file);
    assert_eq!(found, expected);
    assert_eq!(found.len(), 176);
    let mut lines: Vec<_> = found.iter().map(|(line, ..)| *line).collect();
    lines.dedup();
    assert_eq!(lines, (2..=53).collect::<Vec<_>>());
}

/// The published text without the values in brackets.
fn without_values(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some(from) = text.find(" (") {
        // The regular expressions have brackets too, but stand behind the value.
        let to = from + text[from..].find(')').unwrap() + 1;
        text.replace_range(from..to, "");
    }
    text
}

#[test]
fn our_own_file_breaks_every_code() {
    let rows = include_bytes!("strict.txt");
    let found = told(&strict(), RowKind::Full, Need::All, rows);
    let expected = include_str!("strict.errors.txt");
    let lines: Vec<_> = found.iter().map(|(l, c, f, t)| format!("{l} {c} {f}: {t}")).collect();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    let broken: std::collections::BTreeSet<_> = found.iter().map(|(_, c, ..)| &**c).collect();
    let strict = TABLE.iter().filter(|e| e.profiles.contains(&Profile::Strict)).map(|e| e.code);
    assert_eq!(broken, strict.collect());
}

#[test]
fn a_second_row_with_an_id_names_the_first_line_of_all() {
    let row = |id: &str| row(&[(Field::VaxEventId, id)]);
    let rows = [row("A1"), row("a1"), row("B"), row("A1"), row(""), row(""), row("á"), row("Á")];
    let file = [&[canonical_header().as_bytes().to_vec()], &rows[..]].concat().join(&b'\n');
    for kind in [RowKind::Full, RowKind::Delete] {
        let found = told(&strict(), kind, Need::All, &file);
        let seen: Vec<_> = found.iter().map(|(line, code, ..)| (*line, &**code)).collect();
        let expected = [(3, "BUSR013"), (5, "BUSR013"), (6, "REQD001"), (7, "REQD001")];
        assert_eq!(seen, expected);
        assert_eq!(found[0].3, "Value of vax_event_id duplicates vax_event_id at line 2");
        assert_eq!(found[1].3, "Value of vax_event_id duplicates vax_event_id at line 2");
    }
}

#[test]
fn the_id_of_a_row_that_cannot_be_read_is_not_seen() {
    let good = row(&[(Field::VaxEventId, "A1")]);
    let long = [&good[..], b"\tx"].concat();
    let bad = with_cell(&good, Field::AdminName, b"\xff");
    let file = [canonical_header().as_bytes(), &long, &bad, &good].join(&b'\n');
    let codes: Vec<_> =
        told(&strict(), RowKind::Full, Need::All, &file).into_iter().map(|t| t.1).collect();
    assert_eq!(codes, ["CVRS-ROW-CELLS", "CVRS-ROW-UTF8"]);
}

#[test]
fn only_strict_remembers_rows() {
    let remembers = |rules| Checker::new(&rules, &canonical(), RowKind::Full).remembers();
    assert_eq!([strict(), dch_2020(), dch_2021()].map(remembers), [true, false, false]);
}

#[test]
fn columns_that_a_delete_lacks_are_null_and_told_last() {
    let header = "recip_sex\tvax_event_id";
    let found = told(&strict(), RowKind::Delete, Need::Key, format!("{header}\nX\t \n").as_bytes());
    let fields: Vec<_> =
        found.iter().map(|(_, code, field, _)| format!("{code} {field}")).collect();
    assert_eq!(
        fields[..4],
        ["DATA007 recip_sex", "DATA005 vax_event_id", "DATA005 ext_type", "REQD001 recip_id"]
    );
    assert_eq!(fields.last().unwrap(), "REQD001 serology");
}

#[test]
fn an_event_is_a_refusal_only_by_a_yes_in_any_case() {
    let codes = |refusal: &str| {
        let row = row(&[(Field::VaxRefusal, refusal), (Field::DoseNum, "")]);
        let errors = errors_of(&strict(), &canonical(), RowKind::Full, &row);
        errors.iter().any(|e| e == "dose_num: dose_num is required for Vaccination events")
    };
    for vaccination in ["NO", "no", "", "maybe", "Y"] {
        assert!(codes(vaccination), "{vaccination}");
    }
    for refusal in ["YES", "yes", " Yes "] {
        assert!(!codes(refusal), "{refusal}");
    }
}

#[test]
fn without_an_ext_type_the_cells_tell_the_model() {
    let errors = |model, cells: &[(Field, &str)]| {
        let mut row = Vec::new();
        Sample::new(7, model).write_row(0, &mut row);
        for (field, value) in cells {
            row = with_cell(&row, *field, value.as_bytes());
        }
        errors_of(&strict(), &canonical(), RowKind::Full, &row)
    };
    let missing = ["ext_type: ext_type does not match the regular expression ^(D|P|I)$"];
    let pprl = "pprl_id: pprl_id should not be present";
    let none = (Field::ExtType, "");
    for model in [sample::Model::Redacted, sample::Model::Identified, sample::Model::Pprl] {
        assert_eq!(errors(model, &[none]), missing);
    }
    let linked = errors(sample::Model::Identified, &[none, (Field::PprlId, "x")]);
    assert_eq!(linked, [missing[0], pprl]);
    // What is no model at all is held to be redacted.
    let shown = errors(sample::Model::Identified, &[(Field::ExtType, "Q")]);
    assert_eq!(shown.len(), 7);
}

#[test]
fn zips_are_held_to_the_ranges_of_their_state() {
    let good = |state: &str, zip: &str| {
        let row = row(&[
            (Field::RecipAddressCounty, "XX"),
            (Field::RecipAddressState, state),
            (Field::RecipAddressZip, zip),
        ]);
        let errors = errors_of(&strict(), &canonical(), RowKind::Full, &row);
        !errors.iter().any(|e| {
            e.ends_with("recip_address_zip does not match recip_address_state for Recipient")
        })
    };
    for (state, zip) in [
        ("AL", "35004"),
        ("AL", "36925"),
        ("GA", "39801"),
        ("GA", "31999"),
        ("NY", "00501"),
        ("CT", "06390-0001"),
        ("MP", "96952"),
        ("VA", "20105"),
        ("va", "24658"),
        ("FM", "96941"),
        ("FM", "12345"),
        ("MA", "05501"),
    ] {
        // New York has 005 in reality, and not in the list.
        let listed = (state, zip) != ("NY", "00501");
        assert_eq!(good(state, zip), listed, "{state} {zip}");
    }
    for (state, zip) in [
        ("AL", "34999"),
        ("AL", "37000"),
        ("GA", "39701"),
        ("CT", "07001"),
        ("MP", "96953"),
        ("VA", "20205"),
        ("MA", "02801"),
        ("XX", "48001"),
        ("MI", "1529"),
    ] {
        assert!(!good(state, zip), "{state} {zip}");
    }
}

#[test]
fn every_county_lies_in_one_of_the_states() {
    let states = ValueSet::State.codes();
    assert_eq!((states.len(), ValueSet::County.codes().len()), (59, 3295));
    for county in ValueSet::County.codes() {
        let home = |state: &&&str| {
            super::super::codes::county_is_in_state(county.as_bytes(), state.as_bytes())
        };
        // 74 stands for the minor outlying islands, which are no state of the list.
        let homes = usize::from(!county.starts_with("74"));
        assert_eq!(states.iter().filter(home).count(), homes, "{county}");
    }
}

#[test]
fn dates_at_the_end_of_the_calendar_are_not_in_the_future() {
    let rules = Rules { submission_date: date(9999, 12, 31), ..strict() };
    let row = row(&[(Field::AdminDate, "9999-12-31")]);
    assert_eq!(errors_of(&rules, &canonical(), RowKind::Full, &row), [""; 0]);
}
