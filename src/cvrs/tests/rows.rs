use super::*;

fn deleted(header: &str, row: &str) -> Vec<String> {
    let header = Header::parse(header.as_bytes(), Need::Key).unwrap();
    errors_of(&dch_2021(), &header, RowKind::Delete, row.as_bytes())
}

#[test]
fn a_delete_needs_its_event_id_and_nothing_else() {
    assert_eq!(deleted("vax_event_id", "E1"), [""; 0]);
    assert_eq!(deleted("vax_event_id\trecip_id", "\tP1"), ["vax_event_id: must not be null"]);
    assert_eq!(deleted(canonical_header(), "E1"), [""; 0]);
    assert_eq!(deleted(canonical_header(), &"\t".repeat(44)), ["vax_event_id: must not be null"]);
}

#[test]
fn a_delete_checks_form_value_and_length_of_what_is_there() {
    let header = "vax_event_id\trecip_sex\trecip_address_zip\tmvx\tadmin_date";
    assert_eq!(
        deleted(header, "E1\tX\t1\tLONG\t2021-13"),
        [
            "recip_sex: must be one of [F, M, U]",
            "recip_address_zip: must be a valid ZIP. 5 digit or 5 digit + 4 are acceptable",
            "mvx: maximum length is 3",
            r#"admin_date: invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#,
        ]
    );
    let long = "x".repeat(256);
    assert_eq!(deleted("vax_event_id", &long), ["vax_event_id: maximum length is 255"]);
}

#[test]
fn a_delete_compares_no_dates_and_requires_no_dose() {
    let header = "vax_event_id\trecip_dob\tadmin_date\tvax_refusal\tdose_num";
    for admin_date in ["1999-01-01", "2999-01-01"] {
        assert_eq!(deleted(header, &format!("E1\t3000-01-01\t{admin_date}\tNO\t")), [""; 0]);
    }
}

#[test]
fn errors_come_in_the_order_of_the_files_columns() {
    let mut fields = Field::ALL;
    fields.reverse();
    let header = fields.map(Field::name).join("\t");
    let header = Header::parse(header.as_bytes(), Need::All).unwrap();
    let errors = errors_of(&dch_2020(), &header, RowKind::Full, b"");
    let null: Vec<_> = fields
        .iter()
        .filter(|field| {
            TABLE.iter().any(|entry| {
                entry.field == **field
                    && entry.rule == Rule::NotNull
                    && entry.holds(Profile::Dch2020, RowKind::Full)
            })
        })
        .map(|f| format!("{}: must not be null", f.name()))
        .collect();
    assert_eq!(errors, null);
}

#[test]
fn cells_that_a_row_does_not_have_are_null() {
    let whole = row(&[(Field::CmorbidStatus, ""), (Field::Serology, "")]);
    let short = whole.strip_suffix(b"\t\t").unwrap();
    let expected = ["cmorbid_status: must not be null", "serology: must not be null"];
    for cut in [whole.clone(), short.to_vec(), [short, b"\r"].concat(), [short, b"\t"].concat()] {
        assert_eq!(full(&dch_2021(), &cut), expected);
    }
    let tabs = full(&dch_2021(), &b"\t".repeat(44));
    assert_eq!(tabs, full(&dch_2021(), b"\t"));
    assert_eq!(tabs.len(), 23);
}

#[test]
fn surplus_cells_are_fine_while_they_are_empty() {
    let good = row(&[]);
    assert_eq!(full(&dch_2021(), &[&good[..], b"\t\t\t\r"].concat()), [""; 0]);
    let text = ": row has filled cells beyond the header's last column, number 45";
    let broken = row(&[(Field::Cvx, "x"), (Field::VaxEventId, "")]);
    for surplus in [&b"\tx"[..], b"\t ", b"\t\t\tx\t", b"\t\xff"] {
        assert_eq!(full(&dch_2021(), &[&broken[..], surplus].concat()), [text]);
    }
    // A header's empty cells at its end are no columns.
    assert_eq!(deleted("vax_event_id\t\t", "E1\t\t"), [""; 0]);
    assert_eq!(deleted("vax_event_id\t\t", "E1\t\tx").len(), 1);
}

#[test]
fn bytes_that_are_not_utf_8_are_the_only_error_and_name_the_first_bad_column() {
    let bad = with_cell(&row(&[(Field::Cvx, "x")]), Field::RecipLastName, b"M\xfcller");
    let both = with_cell(&bad, Field::AdminName, b"\xff");
    let first = with_cell(&both, Field::VaxEventId, b"\xc3");
    assert_eq!(full(&dch_2021(), &bad), ["recip_last_name: must be valid UTF-8"]);
    assert_eq!(full(&dch_2021(), &both), ["recip_last_name: must be valid UTF-8"]);
    assert_eq!(full(&dch_2021(), &first), ["vax_event_id: must be valid UTF-8"]);
    let last = with_cell(&row(&[]), Field::Serology, b"YES\xff");
    assert_eq!(full(&dch_2021(), &last), ["serology: must be valid UTF-8"]);
    let header = Header::parse(b"vax_event_id\tother", Need::Key).unwrap();
    let errors = errors_of(&dch_2021(), &header, RowKind::Delete, b"E1\t\xff");
    assert_eq!(errors, [": must be valid UTF-8"]);
}

#[test]
fn ignored_columns_may_hold_anything_and_are_left_out() {
    let line = format!("vax_prov_suffix\t{}", canonical_header());
    let header = Header::parse(line.as_bytes(), Need::All).unwrap();
    let good = row(&[]);
    let line = [b"whatever\t", &good[..], b"\r"].concat();
    assert_eq!(errors_of(&dch_2021(), &header, RowKind::Full, &line), [""; 0]);
    let mut out = b"kept ".to_vec();
    header.canonical(&line, &mut out);
    assert_eq!(out, [b"kept ", &good[..]].concat());
}

#[test]
fn a_short_or_long_row_gets_its_45_cells() {
    let tabs = |row: &[u8]| memchr::memchr_iter(b'\t', row).count();
    let canonical_of = |line: &[u8]| {
        let mut out = Vec::new();
        canonical().canonical(line, &mut out);
        out
    };
    for line in [&b""[..], b"E1\r", b"E1\tI", &b"\t".repeat(44), &b"\t".repeat(50)] {
        assert_eq!(tabs(&canonical_of(line)), 44);
    }
    assert!(canonical_of(b"E1\tI\r").starts_with(b"E1\tI\t\t"));
}

#[test]
fn ids_are_found_wherever_their_columns_stand() {
    let header = Header::parse(b"cvx\trecip_id\tvax_event_id", Need::Key).unwrap();
    assert_eq!(header.event_id(b"208\tP1\tE1\r"), b"E1");
    assert_eq!(header.recip_id(b"208\tP1\tE1\tmore"), b"P1");
    assert_eq!(header.event_id(b"208"), b"");
    assert_eq!(header.cell(b"208\r", Field::Cvx), b"208");
    assert_eq!(header.cell(b"208\tP1\tE1", Field::Ndc), b"");
    assert_eq!(event_id_of(&row(&[(Field::VaxEventId, "E1")])), b"E1");
    assert_eq!(event_id_of(b"E1"), b"E1");
}

#[test]
fn the_redacted_row_hides_six_cells_and_keeps_the_others() {
    let plain = row(&[(Field::RecipAddressStreet2, "")]);
    let mut redacted = Vec::new();
    redact(&plain, &mut redacted);
    for field in Field::ALL {
        let shown = canonical().cell(&redacted, field).to_vec();
        let expected = match field {
            Field::RecipFirstName
            | Field::RecipMiddleName
            | Field::RecipLastName
            | Field::RecipAddressStreet
            | Field::RecipAddressStreet2
            | Field::RecipAddressCity => b"Redacted".to_vec(),
            other => canonical().cell(&plain, other).to_vec(),
        };
        assert_eq!(shown, expected, "{}", field.name());
    }
}

#[test]
fn an_empty_line_has_no_byte_or_only_a_carriage_return() {
    assert!(is_empty_line(b"") && is_empty_line(b"\r"));
    assert!(!is_empty_line(b"\t") && !is_empty_line(b" ") && !is_empty_line(b"\r\r"));
}
