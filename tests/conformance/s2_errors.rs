//! Sections 2.2 and 2.3: the error strings, to the byte.

use crate::support::{http::Server, rows};

/// The one validation error of a file.
fn validation(method: &str, file: &str) -> String {
    let body = Server::new().run(method, file);
    assert_eq!(body["validationErrorsCount"], 1, "{body}");
    body["validationErrors"][0].as_str().unwrap().to_owned()
}

/// The processing errors of a file in both storages.
fn processing(server: &Server, method: &str, file: &str) -> Vec<String> {
    let body = server.run(method, file);
    ["NON_REDACTED_DB", "REDACTED_DB"]
        .iter()
        .flat_map(|s| body["storageResult"][s]["processingErrors"].as_array().unwrap().clone())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn s2_2_a_validation_error_is_spelt_as_documented() {
    let row = rows::row(&[("vax_event_id", "EV1001"), ("recip_middle_name", "")]);
    assert_eq!(
        validation("POST", &rows::file(&[row])),
        "line#2: vaxEventId=EV1001 recipId=P1 field=recip_middle_name message=must not be null"
    );
}

#[test]
fn s2_2_a_validation_error_quotes_its_message_as_documented() {
    let mut lines: Vec<_> = (1..7).map(|n| rows::event(&format!("EV100{n}"))).collect();
    let changes = [("vax_event_id", "EV1007"), ("recip_id", "P7"), ("recip_dob", "12/10/1975")];
    lines.push(rows::row(&changes));
    assert_eq!(
        validation("POST", &rows::file(&lines)),
        r#"line#8: vaxEventId=EV1007 recipId=P7 field=recip_dob message=invalid date format, expected: "YYYY-MM-DD" or "YYYY-MM""#
    );
}

#[test]
fn s2_2_a_processing_error_has_a_capital_d_and_no_line() {
    let server = Server::new();
    let row = rows::row(&[("vax_event_id", "EV1020"), ("recip_id", "P20")]);
    let file = rows::file(&[row]);
    server.run("POST", &file);
    assert_eq!(
        processing(&server, "POST", &file),
        [
            "storage=NON_REDACTED_DB vaxEventID=EV1020 recipId=P20 message=Record already exists",
            "storage=REDACTED_DB vaxEventID=EV1020 recipId=P20 message=Record already exists",
        ]
    );
}

#[test]
fn s2_2_the_header_is_line_1_and_empty_lines_count() {
    let bad = rows::row(&[("cvx", "x")]);
    let file = format!("{}\n\n\r\n{}\n\n{bad}\n", rows::header(), rows::event("EV9"));
    let server = Server::new();
    let body = server.run("POST", file);
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#6: "), "{text}");
    assert_eq!(body["totalRecords"], 2, "empty lines are no records");
}

#[test]
fn s2_2_missing_id_prints_nothing() {
    let row = rows::row(&[("vax_event_id", "")]);
    assert_eq!(
        validation("POST", &rows::file(&[row])),
        "line#2: vaxEventId= recipId=P1 field=vax_event_id message=must not be null"
    );
    assert_eq!(
        validation("DELETE", "vax_event_id\tcvx\n\t\n"),
        "line#2: vaxEventId= recipId= field=vax_event_id message=must not be null"
    );
    assert_eq!(
        processing(&Server::new(), "DELETE", "vax_event_id\nEV1\n")[0],
        "storage=NON_REDACTED_DB vaxEventID=EV1 recipId= message=Record does not exist"
    );
}

#[test]
fn s2_2_ids_are_printed_as_the_row_at_hand_spells_them() {
    let server = Server::new();
    server.run("POST", rows::events(&["Ev-A1"]));
    let row = rows::row(&[("vax_event_id", "eV-a1"), ("recip_id", "other")]);
    assert_eq!(
        processing(&server, "POST", &rows::file(&[row]))[0],
        "storage=NON_REDACTED_DB vaxEventID=eV-a1 recipId=other message=Record already exists"
    );
}

#[test]
fn s2_2_a_client_splits_an_error_at_spaces_and_equals_signs() {
    let row = rows::row(&[("vax_event_id", "EV1"), ("recip_id", "P1"), ("vax_admin_site", "XX")]);
    let text = validation("POST", &rows::file(&[row]));
    let parts: Vec<_> = text.splitn(5, ' ').collect();
    let values: Vec<_> = parts[1..].iter().map(|p| p.split_once('=').unwrap().1).collect();
    let message =
        "must be one of [LT,  LA,  LD,  LG,  LVL,  LLFA,  RT,  RA,  RD,  RG,  RVL,  RLFA]";
    assert_eq!(values, ["EV1", "P1", "vax_admin_site", message]);
}

#[test]
fn s2_2_an_id_in_a_text_has_255_characters_at_most() {
    let (fits, over) = ("é".repeat(255), "é".repeat(256));
    let text = |id: &str| {
        validation(
            "POST",
            &rows::file(&[rows::row(&[
                ("recip_id", id),
                ("cvx", if id.chars().count() > 255 { "1" } else { "x" }),
            ])]),
        )
    };
    assert!(text(&fits).contains(&format!(" recipId={fits} field=cvx ")));
    assert_eq!(
        text(&over),
        format!(
            "line#2: vaxEventId=EV1 recipId={fits} field=recip_id message=maximum length is 255"
        )
    );
}

#[test]
fn s2_2_control_characters_of_an_id_print_as_question_marks() {
    let server = Server::new();
    let told = processing(&server, "DELETE", "vax_event_id\nE\u{1b}[31m\u{0}1\n");
    assert_eq!(
        told[1],
        "storage=REDACTED_DB vaxEventID=E?[31m?1 recipId= message=Record does not exist"
    );
}

#[test]
fn s2_3_admin_date_before_the_first_vaccinations() {
    let row = rows::row(&[("admin_date", "2020-12-01")]);
    assert_eq!(
        validation("POST", &rows::file(&[row])),
        "line#2: vaxEventId=EV1 recipId=P1 field=admin_date message=admin_date should not be on December 1, 2020 or earlier"
    );
    let first = rows::row(&[("admin_date", "2020-12-02")]);
    assert_eq!(Server::new().run("POST", rows::file(&[first]))["validationErrorsCount"], 0);
}

#[test]
fn s2_3_admin_date_after_the_submission() {
    let row = rows::row(&[("admin_date", "2999-01-01")]);
    assert_eq!(
        validation("POST", &rows::file(&[row])),
        "line#2: vaxEventId=EV1 recipId=P1 field=admin_date message=admin_date must be on or before submission date"
    );
}

#[test]
fn s2_3_birth_after_the_vaccination() {
    let row = rows::row(&[("recip_dob", "2021-03-06")]);
    assert_eq!(
        validation("POST", &rows::file(&[row])),
        "line#2: vaxEventId=EV1 recipId=P1 field=recip_dob message=recip_dob must be on or before admin_date"
    );
    let same_day = rows::row(&[("recip_dob", "2021-03-05")]);
    assert_eq!(Server::new().run("POST", rows::file(&[same_day]))["validationErrorsCount"], 0);
}

#[test]
fn s2_3_record_already_exists_and_record_does_not_exist() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let told = |method: &str| {
        let errors = processing(&server, method, &file);
        errors.first().map(|text| text.split_once("message=").unwrap().1.to_owned())
    };
    assert_eq!(told("PUT").unwrap(), "Record does not exist");
    assert_eq!(told("DELETE").unwrap(), "Record does not exist");
    assert_eq!(told("POST"), None);
    assert_eq!(told("POST").unwrap(), "Record already exists");
}
