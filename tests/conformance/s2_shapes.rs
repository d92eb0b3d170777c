//! Section 2.1: the shape of a body with errors.

use serde_json::Value;

use crate::support::{http::Server, rows};

/// A row with three errors.
fn bad(id: &str) -> String {
    let changes = [("vax_event_id", id), ("recip_sex", "X"), ("cvx", "x"), ("serology", "maybe")];
    rows::row(&changes)
}

#[test]
fn s2_1_counts_are_of_errors_and_not_of_records() {
    let server = Server::new();
    let body = server.run("POST", rows::file(&[bad("EV1"), bad("EV2")]));
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&2.into(), &6.into()));
    assert_eq!(body["validationErrors"].as_array().unwrap().len(), 6);
}

#[test]
fn s2_1_members_come_in_their_order() {
    let server = Server::new();
    let raw = server.run_raw("POST", rows::file(&[bad("EV1")]));
    let members = [
        r#"{"id":"#,
        r#","status":"#,
        r#","storageResult":{"NON_REDACTED_DB":{"status":"#,
        r#","recordsProcessed":"#,
        r#","processingErrorsCount":"#,
        r#","processingErrors":"#,
        r#"},"REDACTED_DB":{"#,
        r#","totalRecords":"#,
        r#","validationErrors":["#,
        r#","validationErrorsCount":"#,
        r#","truncated":"#,
    ];
    let mut at = 0;
    for member in members {
        at +=
            raw[at..].find(member).unwrap_or_else(|| panic!("{member} is not behind {at}: {raw}"));
    }
}

#[test]
fn s2_1_truncated_tells_whether_the_lists_were_cut() {
    let server = Server::new();
    let few: Value = server.run("POST", rows::file(&[bad("EV1")]));
    assert_eq!(few["truncated"], false);
    let many: Vec<_> = (0..100).map(|n| bad(&format!("EV{n}"))).collect();
    let many = server.run("POST", rows::file(&many));
    assert_eq!((&many["truncated"], &many["validationErrorsCount"]), (&true.into(), &300.into()));
}

#[test]
fn s2_1_a_cut_body_fills_its_4000_characters_and_no_more() {
    let server = Server::new();
    let many: Vec<_> = (10_000..10_300).map(|n| bad(&format!("EV{n}"))).collect();
    let raw = server.run_raw("POST", rows::file(&many));
    let body: Value = serde_json::from_str(&raw).unwrap();
    let listed = body["validationErrors"].as_array().unwrap();
    // Every row's errors have the same lengths, so the next one is as long as its like before it.
    let next = listed[listed.len() - 3].as_str().unwrap();
    let next = serde_json::to_string(next).unwrap().chars().count() + 1;
    let length = raw.chars().count();
    assert!(length <= 4_000 && length + next > 4_000, "{length} and {next}");
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let errors = &body["storageResult"][storage]["processingErrors"];
        assert_eq!(errors.as_array().unwrap().len(), 0);
    }
}

#[test]
fn s2_1_validation_errors_fill_the_body_before_processing_errors() {
    let server = Server::with(&[("CVRSD__REST__INLINE_ERROR_CHARS", "1000")]);
    let mut file: Vec<_> = (0..20).map(|n| bad(&format!("EV{n}"))).collect();
    file.push(rows::event("EV100"));
    let body = server.run("PUT", rows::file(&file));
    assert_eq!(body["truncated"], true);
    assert!(!body["validationErrors"].as_array().unwrap().is_empty());
    let result = &body["storageResult"]["NON_REDACTED_DB"];
    assert_eq!(result["processingErrorsCount"], 1);
    assert_eq!(result["processingErrors"].as_array().unwrap().len(), 0);
}

#[test]
fn s2_1_errors_come_by_line_and_by_the_files_own_columns() {
    let server = Server::new();
    let names: Vec<&str> = rows::COLUMNS.iter().map(|(name, _)| *name).rev().collect();
    let backwards = |row: String| -> String {
        let mut cells: Vec<_> = row.split('\t').collect();
        cells.reverse();
        cells.join("\t")
    };
    let file = [names.join("\t"), backwards(bad("EV1")), backwards(bad("EV2"))].join("\n");
    let body = server.run("POST", file);
    let errors: Vec<_> = body["validationErrors"].as_array().unwrap().iter().collect();
    let told: Vec<_> = errors
        .iter()
        .map(|e| {
            let parts: Vec<_> = e.as_str().unwrap().splitn(5, ' ').collect();
            (parts[0].to_owned(), parts[3].to_owned())
        })
        .collect();
    let fields = ["field=serology", "field=cvx", "field=recip_sex"];
    let expected: Vec<_> = ["line#2:", "line#3:"]
        .iter()
        .flat_map(|line| fields.iter().map(|f| ((*line).to_owned(), (*f).to_owned())))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn s2_1_errors_of_the_complete_storage_come_before_those_of_the_redacted_one() {
    let server = Server::new();
    let id = server.submit("DELETE", rows::ids(&["EV1", "EV2"]));
    server.wait(&id);
    let report = server.get(&format!("/v0/async/cvrs/jobs/{id}/errors")).body;
    let told: Vec<_> = report
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|cells| (cells[2].to_owned(), cells[0].to_owned()))
        .collect();
    let expected = [
        ("NON_REDACTED_DB", "2"),
        ("NON_REDACTED_DB", "3"),
        ("REDACTED_DB", "2"),
        ("REDACTED_DB", "3"),
    ];
    assert_eq!(told, expected.map(|(storage, line)| (storage.to_owned(), line.to_owned())));
}
