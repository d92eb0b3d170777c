//! Section 1.8: `storageResult`.

use crate::support::{
    http::{JOBS, Server},
    rows,
};

#[test]
fn s1_8_the_storages_are_named_and_in_order() {
    let server = Server::new();
    let raw = server.run_raw("POST", rows::events(&["EV1"]));
    let db = r#"{"status":"SUCCESS","recordsProcessed":1,"processingErrorsCount":0,"processingErrors":[]}"#;
    let expected = format!(r#""storageResult":{{"NON_REDACTED_DB":{db},"REDACTED_DB":{db}}},"#);
    assert!(raw.contains(&expected), "{raw}");
}

#[test]
fn s1_8_status_is_success_also_where_every_row_was_refused() {
    let server = Server::new();
    let body = server.run("DELETE", rows::ids(&["EV1", "EV2"]));
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let result = &body["storageResult"][storage];
        assert_eq!(result["status"], "SUCCESS");
        assert_eq!(result["processingErrorsCount"], 2);
    }
}

#[test]
fn s1_8_processing_errors_stand_in_their_storage_and_not_on_top() {
    let server = Server::new();
    let body = server.run("DELETE", rows::ids(&["EV1"]));
    let errors = &body["storageResult"]["REDACTED_DB"]["processingErrors"];
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert!(body.get("processingErrors").is_none(), "{body}");
}

#[test]
fn s1_8_both_counts_add_up_to_the_valid_rows() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let bad = rows::row(&[("vax_event_id", "EV4"), ("serology", "maybe")]);
    let file = rows::file(&[rows::event("EV1"), rows::event("EV2"), rows::event("EV3"), bad]);
    let body = server.run_full("POST", file);
    assert_eq!((&body["totalRecords"], &body["rowsValid"]), (&4.into(), &3.into()));
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let result = &body["storageResult"][storage];
        assert_eq!(result["recordsProcessed"], 2);
        assert_eq!(result["processingErrorsCount"], 1);
    }
}

#[test]
fn s1_8_a_validate_only_job_has_an_empty_storage_result() {
    let server = Server::new();
    let path = format!("{JOBS}?validateOnly=true");
    let text = [("Content-Type", "text/plain")];
    for (body, errors) in [(rows::events(&["EV1"]), 0), ("no header\n".to_owned(), 1)] {
        let id = server.call("POST", &path, &text, body.as_bytes()).accepted();
        let raw = server.wait(&id);
        assert!(raw.contains(r#""status":"COMPLETED","storageResult":{},"totalRecords""#), "{raw}");
        assert!(raw.contains(&format!(r#""validationErrorsCount":{errors}"#)), "{raw}");
    }
    assert_eq!(server.run_full("DELETE", rows::ids(&["EV1"]))["rowsApplied"], 0);
}

#[test]
fn s1_8_counts_are_exact_where_the_list_is_cut() {
    let server = Server::new();
    let ids: Vec<_> = (0..300).map(|n| format!("EV{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let body = server.run("DELETE", rows::ids(&ids));
    assert_eq!(body["truncated"], true);
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let result = &body["storageResult"][storage];
        assert_eq!(result["processingErrorsCount"], 300);
        assert!(result["processingErrors"].as_array().unwrap().len() < 300);
    }
}
