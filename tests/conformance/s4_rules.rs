//! Section 4.3: the message of every column, on the wire.

use crate::support::{http::Server, rows};

const DATE: &str = r#"invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#;
const RACE: &str = "must be one of [1002-5, 2028-9, 2054-5, 2076-8, 2106-3, 2131-1, UNK, POL]";
const COUNTY: &str = "must be a FIPS 5-digit county code";
const STATE: &str = "must be a two-character state abbreviation";
const ZIP: &str = "must be a valid ZIP. 5 digit or 5 digit + 4 are acceptable";
const YES_NO_UNKNOWN: &str = "must be one of [YES, NO, UNK]";
const SITE: &str =
    "must be one of [LT,  LA,  LD,  LG,  LVL,  LLFA,  RT,  RA,  RD,  RG,  RVL,  RLFA]";

/// Column, whether it must not be null under `dch-2020`, and a value that it may not have with what
/// that value is told. A number is a longest length. `vax_expiration` may be anything.
const RULES: [(&str, bool, Rule); 45] = [
    ("vax_event_id", true, Rule::Length(255)),
    ("ext_type", true, Rule::Not("X", "must be one of [D, I, P]")),
    ("pprl_id", false, Rule::Length(100)),
    ("recip_id", true, Rule::Length(255)),
    ("recip_first_name", true, Rule::Length(255)),
    ("recip_middle_name", true, Rule::Length(255)),
    ("recip_last_name", true, Rule::Length(255)),
    ("recip_dob", true, Rule::Not("1975", DATE)),
    ("recip_sex", true, Rule::Not("X", "must be one of [F, M, U]")),
    ("recip_address_street", true, Rule::Length(255)),
    ("recip_address_street_2", true, Rule::Length(255)),
    ("recip_address_city", true, Rule::Length(255)),
    ("recip_address_county", true, Rule::Not("2606", COUNTY)),
    ("recip_address_state", true, Rule::Not("MIC", STATE)),
    ("recip_address_zip", true, Rule::Not("489011234", ZIP)),
    ("recip_race_1", true, Rule::Not("1", RACE)),
    ("recip_race_2", false, Rule::Not("2", RACE)),
    ("recip_race_3", false, Rule::Not("3", RACE)),
    ("recip_race_4", false, Rule::Not("4", RACE)),
    ("recip_race_5", false, Rule::Not("5", RACE)),
    ("recip_race_6", false, Rule::Not("6", RACE)),
    ("recip_ethnicity", true, Rule::Not("1", "must be one of [2135-2, 2186-5, UNK, POL]")),
    ("admin_date", true, Rule::Not("05.03.2021", DATE)),
    ("cvx", true, Rule::Not("2o8", "must be a number")),
    ("ndc", false, Rule::Length(50)),
    ("mvx", false, Rule::Length(3)),
    ("lot_number", false, Rule::Length(255)),
    ("vax_expiration", false, Rule::Free),
    ("vax_admin_site", false, Rule::Not("XX", SITE)),
    ("vax_route", false, Rule::Length(10)),
    ("dose_num", true, Rule::Not("7", r#"must be [1-6], "INV", or "UNK""#)),
    ("vax_series_complete", true, Rule::Not("Y", YES_NO_UNKNOWN)),
    ("responsible_org", true, Rule::Length(255)),
    ("admin_name", true, Rule::Length(255)),
    ("vtrcks_prov_pin", false, Rule::Not("12345", "must be six digits")),
    ("admin_type", true, Rule::Not("29", r#"must be [1-28] or "UNK""#)),
    ("admin_address_street", false, Rule::Length(255)),
    ("admin_address_street_2", false, Rule::Length(255)),
    ("admin_address_city", false, Rule::Length(255)),
    ("admin_address_county", false, Rule::Not("ABCDE", COUNTY)),
    ("admin_address_state", false, Rule::Not("M1", STATE)),
    ("admin_address_zip", false, Rule::Not("4890", ZIP)),
    ("vax_refusal", true, Rule::Not("UNK", "must be one of [YES, NO]")),
    ("cmorbid_status", true, Rule::Not("1", YES_NO_UNKNOWN)),
    ("serology", true, Rule::Not("?", YES_NO_UNKNOWN)),
];

enum Rule {
    Free,
    Length(usize),
    Not(&'static str, &'static str),
}

/// Runs one row for each case under `dch-2020` and compares the whole list of errors. A case is a
/// column, a value and what it is told, or nothing.
fn check(cases: &[(&str, String, Option<String>)]) {
    let server = Server::with(&[
        ("CVRSD__VALIDATION__PROFILE", "dch-2020"),
        ("CVRSD__REST__INLINE_ERROR_CHARS", "1000000"),
    ]);
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for (n, (column, value, message)) in cases.iter().enumerate() {
        let own = format!("EV{n}");
        lines.push(rows::row(&[(*column, value.as_str()), ("vax_event_id", &own)]));
        let shown = |name: &str, good: &str| -> String {
            if *column == name { value.chars().take(255).collect() } else { good.to_owned() }
        };
        let event = shown("vax_event_id", &own);
        let recip = shown("recip_id", "P1");
        expected.extend(message.as_ref().map(|message| {
            format!(
                "line#{}: vaxEventId={event} recipId={recip} field={column} message={message}",
                n + 2
            )
        }));
    }
    let body = server.run("POST", rows::file(&lines));
    let told: Vec<_> = body["validationErrors"].as_array().unwrap().clone();
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len());
    assert_eq!(body["totalRecords"], cases.len());
}

#[test]
fn s4_3_every_columns_message_arrives_on_the_wire() {
    let mut cases = Vec::new();
    for (column, _, rule) in RULES {
        match rule {
            Rule::Free => cases.push((column, "anything".to_owned(), None)),
            Rule::Not(value, message) => {
                cases.push((column, value.to_owned(), Some(message.to_owned())));
            }
            Rule::Length(max) => {
                let message = format!("maximum length is {max}");
                cases.push((column, "ü".repeat(max), None));
                cases.push((column, "ü".repeat(max + 1), Some(message)));
            }
        }
    }
    check(&cases);
}

#[test]
fn s4_3_every_columns_null_rule_arrives_on_the_wire() {
    let refused = |must: bool| must.then(|| "must not be null".to_owned());
    let cases: Vec<_> =
        RULES.iter().map(|(column, must, _)| (*column, String::new(), refused(*must))).collect();
    check(&cases);
}

#[test]
fn s4_3_dose_and_series_may_be_null_unless_refusal_is_no() {
    let server = Server::new();
    for (refusal, errors) in [("YES", 0), ("NO", 2), ("no", 2), (" No ", 2)] {
        let row =
            rows::row(&[("vax_refusal", refusal), ("dose_num", ""), ("vax_series_complete", "")]);
        let body = server.run("POST", rows::file(&[row]));
        assert_eq!(body["validationErrorsCount"], errors, "{refusal:?}");
    }
}
