//! Section 3: which record is meant, and what each verb does to it.

use std::process::Command;

use serde_json::Value;

use crate::support::{http::Server, program, rows};

/// Rows that took effect, and the message of the first one that did not.
fn outcome(server: &Server, method: &str, file: impl AsRef<[u8]>) -> (u64, String) {
    let body: Value = server.run(method, file);
    let result = &body["storageResult"]["NON_REDACTED_DB"];
    let other = &body["storageResult"]["REDACTED_DB"];
    assert_eq!(result["recordsProcessed"], other["recordsProcessed"]);
    assert_eq!(result["processingErrorsCount"], other["processingErrorsCount"]);
    let message = result["processingErrors"][0]
        .as_str()
        .map_or("", |text| text.split_once("message=").unwrap().1);
    (result["recordsProcessed"].as_u64().unwrap(), message.to_owned())
}

fn applied() -> (u64, String) {
    (1, String::new())
}

fn refused(message: &str) -> (u64, String) {
    (0, message.to_owned())
}

/// A live record as that storage shows it.
fn record(server: &Server, storage: &str, id: &str) -> Vec<String> {
    let admin = format!("http://{}", server.daemon.admin);
    let output = Command::new(program())
        .args(["records", "get", id, "--storage", storage, "--admin", &admin])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().last().unwrap().split('\t').map(str::to_owned).collect()
}

#[test]
fn s3_1_a_delete_that_matches_nothing_is_an_error_for_each_row_and_storage() {
    let server = Server::new();
    let body = server.run("DELETE", rows::ids(&["EV1", "EV2", "EV3"]));
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        assert_eq!(body["storageResult"][storage]["processingErrorsCount"], 3);
    }
}

#[test]
fn s3_1_a_delete_file_may_be_the_file_that_created() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    server.run("POST", &file);
    assert_eq!(outcome(&server, "DELETE", &file), applied());
}

#[test]
fn s3_1_a_delete_row_may_fill_the_identifying_cells_alone() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let row = format!("EV1\t\t\tP1{}", "\t".repeat(41));
    assert_eq!(outcome(&server, "DELETE", rows::file(&[row])), applied());
}

#[test]
fn s3_1_a_delete_file_may_have_a_reduced_header() {
    let server = Server::new();
    for file in ["vax_event_id\nEV1\n", "RECIP_ID\tVAX_EVENT_ID\nP1\tEV1\n"] {
        server.run("POST", rows::events(&["EV1"]));
        assert_eq!(outcome(&server, "DELETE", file), applied(), "{file}");
    }
}

#[test]
fn s3_1_filled_cells_of_a_delete_row_are_checked_but_not_nulls_nor_dates_against_each_other() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let errors = |file: &str| server.run("DELETE", file)["validationErrorsCount"].clone();
    let long = "x".repeat(256);
    assert_eq!(errors("vax_event_id\tcvx\nEV1\tx\n"), 1, "form");
    assert_eq!(errors("vax_event_id\trecip_sex\nEV1\tX\n"), 1, "value set");
    assert_eq!(errors(&format!("vax_event_id\trecip_id\nEV1\t{long}\n")), 1, "length");
    assert_eq!(errors("vax_event_id\trecip_dob\nEV1\t2021-02-30\n"), 1, "calendar");
    assert_eq!(errors("vax_event_id\trecip_id\n\tP1\n"), 1, "vax_event_id itself");
    let dates = "vax_event_id\trecip_dob\tadmin_date\nEV1\t2999-01-01\t2019-01-01\n";
    assert_eq!(errors(dates), 0, "comparisons");
}

#[test]
fn s3_1_in_strict_a_delete_row_is_validated_like_any_other() {
    let server = Server::with(&[("CVRSD__VALIDATION__PROFILE", "strict")]);
    assert_eq!(outcome(&server, "POST", rows::events(&["EV1"])), applied());
    let body = server.run("DELETE", rows::ids(&["EV1"]));
    let result = &body["storageResult"]["NON_REDACTED_DB"];
    assert_eq!(result["recordsProcessed"], 0, "{body}");
    assert!(body["validationErrorsCount"].as_u64().unwrap() > 10, "{body}");
    assert_eq!(outcome(&server, "DELETE", rows::events(&["EV1"])), applied());
}

#[test]
fn s3_2_recip_id_is_not_part_of_the_key() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let other = rows::file(&[rows::row(&[("recip_id", "P2")])]);
    assert_eq!(outcome(&server, "POST", &other), refused("Record already exists"));
    assert_eq!(outcome(&server, "DELETE", &other), applied());
}

#[test]
fn s3_2_the_key_is_compared_without_case_and_kept_as_spelt() {
    let server = Server::new();
    server.run("POST", rows::events(&["Ev-1a"]));
    assert_eq!(
        outcome(&server, "POST", rows::events(&["EV-1A"])),
        refused("Record already exists")
    );
    assert_eq!(record(&server, "NON_REDACTED_DB", "eV-1A")[0], "Ev-1a");
    assert_eq!(outcome(&server, "DELETE", rows::ids(&["ev-1a"])), applied());
}

#[test]
fn s3_2_the_key_is_not_trimmed_and_folds_ascii_alone() {
    let server = Server::new();
    server.run("POST", rows::events(&["É1"]));
    for other in [" É1", "É1 ", "é1"] {
        let expected = refused("Record does not exist");
        assert_eq!(outcome(&server, "DELETE", rows::ids(&[other])), expected, "{other:?}");
    }
    assert_eq!(outcome(&server, "DELETE", rows::ids(&["É1"])), applied());
}

#[test]
fn s3_3_post_of_a_live_record_already_exists() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    server.run("POST", &file);
    assert_eq!(outcome(&server, "POST", &file), refused("Record already exists"));
}

#[test]
fn s3_3_post_of_an_unknown_record_inserts() {
    assert_eq!(outcome(&Server::new(), "POST", rows::events(&["EV1"])), applied());
}

#[test]
fn s3_3_post_of_a_deleted_record_restores_it() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    server.run("POST", &file);
    server.run("DELETE", &file);
    assert_eq!(outcome(&server, "POST", &file), applied());
    assert_eq!(record(&server, "NON_REDACTED_DB", "EV1")[6], "Lovelace");
}

#[test]
fn s3_3_put_of_a_live_record_replaces_every_cell() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let put = rows::row(&[("lot_number", ""), ("recip_last_name", "King"), ("recip_id", "P9")]);
    assert_eq!(outcome(&server, "PUT", rows::file(std::slice::from_ref(&put))), applied());
    assert_eq!(record(&server, "NON_REDACTED_DB", "EV1").join("\t"), put);
    let redacted = record(&server, "REDACTED_DB", "EV1");
    assert_eq!((redacted[3].as_str(), redacted[6].as_str()), ("P9", "Redacted"));
}

#[test]
fn s3_3_put_of_an_unknown_record_does_not_exist() {
    let told = outcome(&Server::new(), "PUT", rows::events(&["EV1"]));
    assert_eq!(told, refused("Record does not exist"));
}

#[test]
fn s3_3_put_of_a_deleted_record_does_not_exist() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    server.run("POST", &file);
    server.run("DELETE", &file);
    assert_eq!(outcome(&server, "PUT", &file), refused("Record does not exist"));
}

#[test]
fn s3_3_delete_of_a_live_record_deletes_it_in_every_storage() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    assert_eq!(outcome(&server, "DELETE", rows::ids(&["EV1"])), applied());
    let admin = format!("http://{}", server.daemon.admin);
    let output = Command::new(program())
        .args(["records", "get", "EV1", "--storage", "REDACTED_DB", "--admin", &admin])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn s3_3_delete_of_an_unknown_record_does_not_exist() {
    let told = outcome(&Server::new(), "DELETE", rows::ids(&["EV1"]));
    assert_eq!(told, refused("Record does not exist"));
}

#[test]
fn s3_3_delete_of_a_deleted_record_does_not_exist() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    server.run("POST", &file);
    server.run("DELETE", &file);
    assert_eq!(outcome(&server, "DELETE", &file), refused("Record does not exist"));
}

#[test]
fn s3_3_the_first_of_two_equal_ids_in_a_post_wins() {
    let server = Server::new();
    let second = rows::row(&[("vax_event_id", "ev1"), ("recip_last_name", "Second")]);
    let told = outcome(&server, "POST", rows::file(&[rows::event("EV1"), second]));
    assert_eq!(told, (1, "Record already exists".to_owned()));
    assert_eq!(record(&server, "NON_REDACTED_DB", "EV1")[6], "Lovelace");
}

#[test]
fn s3_3_the_second_delete_of_an_id_in_a_file_finds_nothing() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let told = outcome(&server, "DELETE", rows::ids(&["EV1", "EV1"]));
    assert_eq!(told, (1, "Record does not exist".to_owned()));
}

#[test]
fn s3_3_a_row_with_validation_errors_is_never_applied() {
    let server = Server::new();
    let bad = rows::row(&[("cvx", "x"), ("recip_sex", "?")]);
    let body = server.run_full("POST", rows::file(&[bad, rows::event("EV2")]));
    assert_eq!((&body["rowsValid"], &body["rowsApplied"]), (&1.into(), &1.into()));
    assert_eq!(body["validationErrorsCount"], 2);
    assert_eq!(body["outcome"], "PARTIAL");
    assert_eq!(outcome(&server, "DELETE", rows::ids(&["EV1"])), refused("Record does not exist"));
}
