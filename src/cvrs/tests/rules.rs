use std::fs;

use super::*;

const DATE_TEXT: &str = r#"invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#;

#[test]
fn columns_and_types_are_the_published_ones() {
    let Some(path) = shared("spec/cvrs-v2-fields.tsv") else { return };
    let published = fs::read_to_string(path).unwrap();
    let published: Vec<_> = published.lines().skip(1).map(tsv_cells).collect();
    assert_eq!(published.len(), Field::ALL.len());
    for (field, cells) in Field::ALL.into_iter().zip(published) {
        let kind = match field.kind() {
            Kind::String => "String",
            Kind::Date => "Date",
            Kind::Coded => "Coded Value",
        };
        assert_eq!([field.name(), kind], [cells[1].as_str(), cells[3].as_str()]);
        assert_eq!(field.index() + 1, cells[0].parse::<usize>().unwrap());
    }
}

#[test]
fn dose_and_series_may_be_null_unless_the_refusal_is_no_in_any_case() {
    let cells = |refusal| {
        row(&[(Field::VaxRefusal, refusal), (Field::DoseNum, ""), (Field::VaxSeriesComplete, "")])
    };
    let both = ["dose_num: must not be null", "vax_series_complete: must not be null"];
    for refusal in ["NO", "no", "No", " nO "] {
        assert_eq!(full(&dch_2021(), &cells(refusal)), both, "{refusal}");
    }
    assert_eq!(full(&dch_2021(), &cells("yes")), [""; 0]);
    assert_eq!(full(&dch_2021(), &cells("")), ["vax_refusal: must not be null"]);
    assert_eq!(full(&dch_2021(), &cells("N")), ["vax_refusal: must be one of [YES, NO]"]);
}

#[test]
fn the_profiles_differ_in_county_type_and_dates() {
    let county = row(&[(Field::RecipAddressCounty, "")]);
    assert_eq!(full(&dch_2020(), &county), ["recip_address_county: must not be null"]);
    assert_eq!(full(&dch_2021(), &county), [""; 0]);

    let kind = |value| row(&[(Field::AdminType, value)]);
    assert_eq!(full(&dch_2020(), &kind("42")), [r#"admin_type: must be [1-28] or "UNK""#]);
    assert_eq!(full(&dch_2021(), &kind("42")), [""; 0]);
    assert_eq!(full(&dch_2021(), &kind("43")), [r#"admin_type: must be [1-42] or "UNK""#]);

    let dates = row(&[(Field::AdminDate, "2019-01-01"), (Field::RecipDob, "2019-01-02")]);
    assert_eq!(full(&dch_2020(), &dates), [""; 0]);
    assert_eq!(
        full(&dch_2021(), &dates),
        [
            "recip_dob: recip_dob must be on or before admin_date",
            "admin_date: admin_date should not be on December 1, 2020 or earlier",
        ]
    );
}

#[test]
fn an_admin_date_lies_between_the_first_day_and_the_submission_with_its_tolerance() {
    let given = |date| full(&dch_2021(), &row(&[(Field::AdminDate, date)]));
    let early = ["admin_date: admin_date should not be on December 1, 2020 or earlier"];
    let late = ["admin_date: admin_date must be on or before submission date"];
    for date in ["2020-12-02", "2020-12", "2023-02-01", "2023-02"] {
        assert_eq!(given(date), [""; 0], "{date}");
    }
    for date in ["2020-12-01", "2020-11"] {
        assert_eq!(given(date), early, "{date}");
    }
    for date in ["2023-02-02", "2023-03"] {
        assert_eq!(given(date), late, "{date}");
    }
    for date in ["2019-02-29", "tomorrow", " 2021-01-01", " "] {
        assert_eq!(given(date), [format!("admin_date: {DATE_TEXT}")], "{date}");
    }
}

#[test]
fn the_lower_bound_text_names_the_day_before_the_setting() {
    let rules = Rules { admin_date_min: date(2021, 3, 1), ..dch_2021() };
    let errors = full(&rules, &row(&[(Field::AdminDate, "2021-02-28")]));
    assert_eq!(errors, ["admin_date: admin_date should not be on February 28, 2021 or earlier"]);
}

#[test]
fn bounds_at_the_ends_of_the_calendar_let_every_date_pass() {
    let rules = Rules {
        admin_date_min: date(-9999, 1, 1),
        submission_date: date(9999, 12, 31),
        future_tolerance_days: u32::MAX,
        ..dch_2021()
    };
    for day in ["0001-01-01", "9999-12-31"] {
        let born = (Field::RecipDob, "0001-01-01");
        assert_eq!(full(&rules, &row(&[(Field::AdminDate, day), born])), [""; 0]);
    }
}

#[test]
fn a_birth_is_compared_with_an_admin_date_that_is_one() {
    let given = |born, admin| {
        full(&dch_2021(), &row(&[(Field::RecipDob, born), (Field::AdminDate, admin)]))
    };
    let after = ["recip_dob: recip_dob must be on or before admin_date"];
    assert_eq!(given("2021-05-01", "2021-05-01"), [""; 0]);
    assert_eq!(given("2021-05-02", "2021-05-01"), after);
    assert_eq!(given("2021-05", "2021-05-01"), [""; 0]);
    assert_eq!(given("2021-06", "2021-05-01"), after);
    assert_eq!(given("2021-06-01", "2021-06"), [""; 0]);
    assert_eq!(given("2022-01-01", ""), ["admin_date: must not be null"]);
    assert_eq!(given("2022-01-01", "x"), [format!("admin_date: {DATE_TEXT}")]);
    assert_eq!(given("x", "2021-05-01"), [format!("recip_dob: {DATE_TEXT}")]);
}

#[test]
fn coded_values_lose_case_and_surrounding_spaces_and_others_do_not() {
    let padded = [
        (Field::ExtType, " i "),
        (Field::RecipAddressCounty, " 26001"),
        (Field::RecipAddressState, "mi "),
        (Field::RecipRace2, "pol"),
        (Field::Cvx, " 208 "),
        (Field::Mvx, "mod   "),
        (Field::DoseNum, "inv"),
        (Field::AdminType, " unk"),
    ];
    assert_eq!(full(&dch_2021(), &row(&padded)), [""; 0]);
    let strings = [(Field::RecipAddressZip, "48877 "), (Field::VtrcksProvPin, " 123456")];
    for (field, value) in strings {
        assert_eq!(full(&dch_2021(), &row(&[(field, value)])).len(), 1, "{}", field.name());
    }
    let tab_like = row(&[(Field::RecipSex, "\u{a0}F")]);
    assert_eq!(full(&dch_2021(), &tab_like), ["recip_sex: must be one of [F, M, U]"]);
}

#[test]
fn a_single_space_is_not_null() {
    let space = |field| full(&dch_2021(), &row(&[(field, " ")]));
    assert_eq!(space(Field::RecipMiddleName), [""; 0]);
    assert_eq!(space(Field::RecipSex), ["recip_sex: must be one of [F, M, U]"]);
    assert_eq!(space(Field::Cvx), ["cvx: must be a number"]);
}

#[test]
fn an_expiration_may_be_anything() {
    assert_eq!(full(&dch_2021(), &row(&[(Field::VaxExpiration, "next year")])), [""; 0]);
}

/// The cells of a line of the published tables, which quote cells that hold quotes.
pub(super) fn tsv_cells(line: &str) -> Vec<String> {
    let unquoted = |cell: &str| match cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => cell.to_owned(),
    };
    line.split('\t').map(unquoted).collect()
}
