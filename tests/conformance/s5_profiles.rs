//! Section 5: what the two rule profiles take.

use std::fs;

use serde_json::Value;

use crate::support::{http::Server, rows, shared::shared};

const PROFILES: [&str; 2] = ["dch-2020", "dch-2021"];

/// The validation errors of one row with these cells under each profile, without what stands before
/// `field=`.
fn told(changes: &[(&str, &str)]) -> [Vec<String>; 2] {
    PROFILES.map(|profile| {
        let server = Server::with(&[("CVRSD__VALIDATION__PROFILE", profile)]);
        let body = server.run("POST", rows::file(&[rows::row(changes)]));
        let errors = body["validationErrors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|text| text.as_str().unwrap().split_once("field=").unwrap().1.to_owned())
            .collect()
    })
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn s5_an_empty_county_is_an_error_in_2020_alone() {
    let [old, new] = told(&[("recip_address_county", "")]);
    assert_eq!(old, ["recip_address_county message=must not be null"]);
    assert_eq!(new, nothing());
}

#[test]
fn s5_admin_types_above_28_are_an_error_in_2020_alone() {
    for value in ["32", "38", "42"] {
        let [old, new] = told(&[("admin_type", value)]);
        assert_eq!(old, [r#"admin_type message=must be [1-28] or "UNK""#], "{value}");
        assert_eq!(new, nothing(), "{value}");
    }
    let [_, new] = told(&[("admin_type", "43")]);
    assert_eq!(new, [r#"admin_type message=must be [1-42] or "UNK""#]);
}

#[test]
fn s5_the_bound_of_admin_type_is_a_setting_and_named_in_the_text() {
    let server = Server::with(&[("CVRSD__VALIDATION__ADMIN_TYPE_MAX", "30")]);
    let body = server.run("POST", rows::file(&[rows::row(&[("admin_type", "31")])]));
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.ends_with(r#"message=must be [1-30] or "UNK""#), "{text}");
}

#[test]
fn s5_an_early_admin_date_is_an_error_since_2021() {
    let [old, new] = told(&[("admin_date", "2020-12-01")]);
    assert_eq!(old, nothing());
    let text = "admin_date message=admin_date should not be on December 1, 2020 or earlier";
    assert_eq!(new, [text]);
}

#[test]
fn s5_the_first_admin_date_is_a_setting_and_the_text_names_the_day_before() {
    let server = Server::with(&[("CVRSD__VALIDATION__ADMIN_DATE_MIN", "2021-03-06")]);
    let body = server.run("POST", rows::events(&["EV1"]));
    let text = body["validationErrors"][0].as_str().unwrap();
    let message = "message=admin_date should not be on March 5, 2021 or earlier";
    assert!(text.ends_with(message), "{text}");
}

#[test]
fn s5_an_admin_date_in_the_future_is_an_error_since_2021() {
    let [old, new] = told(&[("admin_date", "2999-12-31")]);
    assert_eq!(old, nothing());
    assert_eq!(new, ["admin_date message=admin_date must be on or before submission date"]);
}

#[test]
fn s5_a_birth_after_admin_date_is_an_error_since_2021() {
    let [old, new] = told(&[("recip_dob", "2021-03-06")]);
    assert_eq!(old, nothing());
    assert_eq!(new, ["recip_dob message=recip_dob must be on or before admin_date"]);
}

#[test]
fn s5_an_empty_middle_name_and_street_2_are_an_error_in_both() {
    let expected = [
        "recip_middle_name message=must not be null",
        "recip_address_street_2 message=must not be null",
    ];
    let both = told(&[("recip_middle_name", ""), ("recip_address_street_2", "")]);
    assert_eq!(both, [expected, expected]);
}

#[test]
fn s5_what_both_profiles_accept() {
    let both = told(&[
        ("recip_race_2", "UNK"),
        ("recip_race_6", "UNK"),
        ("vax_refusal", "No"),
        ("ndc", "59267-1000-1  "),
        ("cvx", "09"),
    ]);
    assert_eq!(both, [nothing(), nothing()]);
}

#[test]
fn s5_a_date_of_wrong_format_has_the_format_error_alone() {
    let text = r#"message=invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#;
    for column in ["admin_date", "recip_dob"] {
        let expected = [format!("{column} {text}")];
        assert_eq!(told(&[(column, "31/12/2999")]), [expected.clone(), expected]);
    }
}

#[test]
fn s5_fields_are_not_checked_against_each_other() {
    let both = told(&[
        ("recip_address_county", "06037"),
        ("recip_address_state", "NY"),
        ("recip_address_zip", "99999"),
        ("mvx", "MOD"),
        ("ext_type", "P"),
    ]);
    assert_eq!(both, [nothing(), nothing()]);
    let refusal = told(&[("vax_refusal", "YES"), ("ndc", "x"), ("lot_number", "y")]);
    assert_eq!(refusal, [nothing(), nothing()]);
}

#[test]
fn s5_coded_values_are_trimmed_before_they_are_compared_but_not_before_the_null_check() {
    let both = told(&[("recip_sex", " F "), ("cmorbid_status", "NO ")]);
    assert_eq!(both, [nothing(), nothing()]);
    let [_, new] = told(&[("recip_sex", " ")]);
    assert_eq!(new, ["recip_sex message=must be one of [F, M, U]"]);
}

#[test]
fn s5_the_published_good_file_has_six_errors_under_dch_2020() {
    let Some(path) = shared("samples/testgood.txt") else { return };
    let text = fs::read(path).unwrap();
    let server = Server::with(&[("CVRSD__VALIDATION__PROFILE", "dch-2020")]);
    let body: Value = server.run("POST", text);
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&33.into(), &6.into()));
}

#[test]
fn s5_the_published_file_without_all_columns_fails_whole() {
    let Some(path) = shared("samples/testMissingHeaders.txt") else { return };
    let text = fs::read(path).unwrap();
    let job = Server::new().run_full("POST", text);
    assert_eq!(job["failure"]["code"], "CVRS-HEADER-COLUMN");
    let Some(path) = shared("samples/notacvrs.txt") else { return };
    let text = fs::read(path).unwrap();
    assert_eq!(Server::new().run_full("POST", text)["failure"]["code"], "CVRS-HEADER");
}
