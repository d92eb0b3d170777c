//! Section 4.1: the conventions of a file.

use serde_json::Value;

use crate::support::{http::Server, rows};

/// Runs the file as a create, whose every row must take effect.
fn creates(file: impl AsRef<[u8]>, records: u64) -> Value {
    let body = Server::new().run_full("POST", file);
    assert_eq!(body["rowsApplied"], records, "{body}");
    assert_eq!(body["outcome"], "SUCCEEDED");
    body
}

#[test]
fn s4_1_utf_8() {
    creates(rows::file(&[rows::row(&[("recip_last_name", "Ñandú 王")])]), 1);
    let mut bytes = rows::events(&["EV1"]).into_bytes();
    let at = bytes.windows(8).position(|w| w == b"Lovelace").unwrap();
    bytes[at] = 0xff;
    let body = Server::new().run("POST", bytes);
    let text = body["validationErrors"][0].as_str().unwrap();
    let start = "line#2: vaxEventId=EV1 recipId=P1 field=recip_last_name message=";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(body["validationErrorsCount"], 1);
}

#[test]
fn s4_1_a_byte_order_mark_is_stripped() {
    creates(format!("\u{feff}{}", rows::events(&["EV1"])), 1);
}

#[test]
fn s4_1_tabs_separate_and_quotes_are_characters() {
    let server = Server::new();
    let body = server.run_full("POST", rows::file(&[rows::row(&[("recip_last_name", "\"A\"")])]));
    assert_eq!(body["outcome"], "SUCCEEDED");
    let quoted = rows::events(&["\"EV\t1\""]);
    assert_eq!(server.run("POST", quoted)["validationErrorsCount"], 1, "a tab in quotes separates");
    let commas = rows::events(&["EV1"]).replace('\t', ",");
    assert_eq!(server.run_full("POST", commas)["failure"]["code"], "CVRS-HEADER");
}

#[test]
fn s4_1_lf() {
    creates(rows::events(&["EV1", "EV2"]), 2);
}

#[test]
fn s4_1_crlf() {
    creates(rows::events(&["EV1", "EV2"]).replace('\n', "\r\n"), 2);
}

#[test]
fn s4_1_the_header_is_read_in_any_case() {
    let file = |header: String| format!("{header}\n{}\n", rows::event("EV1"));
    creates(file(rows::header().to_uppercase()), 1);
    creates(file(rows::header().replace("vax", "Vax")), 1);
    creates(file(rows::header().replace('\t', " \t ")), 1);
}

#[test]
fn s4_1_the_first_line_is_the_header() {
    for file in ["\n".to_owned() + &rows::events(&["EV1"]), rows::event("EV1") + "\n"] {
        let body = Server::new().run_full("POST", file);
        assert_eq!(body["failure"]["code"], "CVRS-HEADER");
    }
}

#[test]
fn s4_1_dates_are_days_or_months_of_the_calendar() {
    let server = Server::new();
    let errors = |date: &str| {
        let row = rows::row(&[("recip_dob", date)]);
        server.run("PUT", rows::file(&[row]))["validationErrorsCount"].clone()
    };
    for good in ["1975-12-10", "1975-12", "2000-02-29"] {
        assert_eq!(errors(good), 0, "{good}");
    }
    for bad in ["1975", "1975-13", "1975-02-29", "19751210", "12/10/1975", " 1975-12-10"] {
        assert_eq!(errors(bad), 1, "{bad}");
    }
}

#[test]
fn s4_1_data_are_not_case_sensitive() {
    let lower = [
        ("ext_type", "i"),
        ("recip_sex", "f"),
        ("recip_address_state", "mi"),
        ("recip_race_1", "unk"),
        ("vax_admin_site", "llfa"),
        ("dose_num", "inv"),
        ("admin_type", "unk"),
        ("vax_refusal", "No"),
        ("cmorbid_status", "yes"),
    ];
    creates(rows::file(&[rows::row(&lower)]), 1);
}

#[test]
fn s4_1_two_events_of_a_person_on_one_day_are_two_records() {
    creates(rows::events(&["EV1", "EV2"]), 2);
}

#[test]
fn s4_1_empty_lines_are_no_rows() {
    creates(rows::events(&["EV1"]) + "\n\r\n\n", 1);
    creates(rows::events(&["EV1"]).trim_end(), 1);
}

#[test]
fn s4_1_a_tab_at_the_end_of_a_line_is_no_cell() {
    let file = rows::events(&["EV1", "EV2"]);
    creates(file.replace('\n', "\t\n"), 2);
    let rows_alone = format!("{}\n{}\t\n", rows::header(), rows::event("EV1"));
    creates(rows_alone, 1);
}

#[test]
fn s4_1_a_short_row_has_nulls_at_its_end() {
    let row = rows::event("EV1");
    let (short, _) = row.rsplit_once('\t').unwrap();
    let body = Server::new().run("POST", rows::file(&[short.to_owned()]));
    assert_eq!(
        body["validationErrors"][0],
        "line#2: vaxEventId=EV1 recipId=P1 field=serology message=must not be null"
    );
}

#[test]
fn s4_1_surplus_filled_cells_are_one_error_of_the_row() {
    let row = rows::row(&[("cvx", "x")]) + "\tsurplus";
    let body = Server::new().run("POST", rows::file(&[row]));
    assert_eq!(body["validationErrorsCount"], 1, "nothing else of the row is checked");
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#2: vaxEventId=EV1 recipId=P1 field= message="), "{text}");
}

#[test]
fn s4_1_a_row_of_only_tabs_is_a_row_of_nulls() {
    let body = Server::new().run("POST", rows::file(&["\t".repeat(44)]));
    assert_eq!(body["totalRecords"], 1);
    assert!(body["validationErrorsCount"].as_u64().unwrap() > 20);
}

#[test]
fn s4_1_a_header_without_rows_succeeds_with_zeros() {
    let body = creates(rows::file(&[]), 0);
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&0.into(), &0.into()));
    assert_eq!(body["storageResult"]["REDACTED_DB"]["status"], "SUCCESS");
}

#[test]
fn s4_1_a_body_without_a_header_fails() {
    let server = Server::new();
    for body in ["\u{feff}", "\n", "\r\n\r\n", "\t\t\n"] {
        let job = server.run_full("POST", body);
        assert_eq!(job["outcome"], "FAILED", "{body:?}");
        let text = job["validationErrors"][0].as_str().unwrap();
        assert!(text.starts_with("line#1: vaxEventId= recipId= field= message="), "{text}");
    }
}
