//! Section 1.6: the status of a job.

use serde_json::Value;

use crate::support::{
    http::{JOBS, Server},
    rows,
};

/// The events of a job with one invalid and two valid rows, from its submit on.
fn story() -> Vec<Value> {
    let server = Server::new();
    let bad = rows::row(&[("vax_event_id", "EV3"), ("cvx", "x")]);
    let id = server.submit("POST", rows::file(&[rows::event("EV1"), rows::event("EV2"), bad]));
    server.wait(&id);
    // Server-sent events are numbered from the submit, which is 1 and was answered already.
    let events = server.events(&id, 1);
    let seqs: Vec<_> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (2..=1 + events.len() as u64).collect::<Vec<_>>());
    events
}

/// The first event with that status.
fn first(status: &str) -> Value {
    let events = story();
    let names = ["DE-QUEUED", "VALIDATING", "PROCESSING", "COMPLETED"];
    let mut seen: Vec<&str> = events.iter().map(|e| e["status"].as_str().unwrap()).collect();
    seen.dedup();
    assert_eq!(seen, names);
    events.into_iter().find(|e| e["status"] == status).unwrap()
}

#[test]
fn s1_6_queued_knows_the_id_alone() {
    let server = Server::with(&[("CVRSD__ENGINE__CHECKPOINT_ROWS", "5")]);
    // The lane of the tenant is taken by a job that syncs a thousand times.
    let many: Vec<_> = (0..5_000).map(|n| rows::event(&format!("EV{n}"))).collect();
    let first = server.submit("POST", rows::file(&many));
    let id = server.submit("DELETE", rows::ids(&["EV1"]));
    assert_eq!(
        server.get(&format!("{JOBS}/{id}")).body,
        format!(
            r#"{{"id":"{id}","status":"QUEUED","storageResult":null,"totalRecords":null,"validationErrors":null,"validationErrorsCount":null,"truncated":false}}"#
        )
    );
    server.call("POST", &format!("{JOBS}/{first}/cancel"), &[], b"");
    server.wait(&id);
}

#[test]
fn s1_6_de_queued_has_its_hyphen_and_no_counts() {
    let event = first("DE-QUEUED");
    for member in ["storageResult", "totalRecords", "validationErrors", "validationErrorsCount"] {
        assert_eq!(event[member], Value::Null, "{member}");
    }
}

#[test]
fn s1_6_validating_has_no_counts_yet() {
    let event = first("VALIDATING");
    for member in ["storageResult", "totalRecords", "validationErrorsCount"] {
        assert_eq!(event[member], Value::Null, "{member}");
    }
}

#[test]
fn s1_6_processing_has_the_counts_of_validation() {
    let event = first("PROCESSING");
    assert_eq!(event["totalRecords"], 3);
    assert_eq!(event["validationErrorsCount"], 1);
    assert_eq!(event["storageResult"], Value::Null);
}

#[test]
fn s1_6_completed_has_everything() {
    let event = first("COMPLETED");
    assert_eq!(event["totalRecords"], 3);
    assert_eq!(event["validationErrorsCount"], 1);
    assert_eq!(event["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 2);
}

#[test]
fn s1_6_a_failed_job_is_completed_with_one_error_of_line_1() {
    let server = Server::new();
    let raw = server.run_raw("POST", "this is no header\nnor a row\n");
    let body: Value = serde_json::from_str(&raw).unwrap();
    let id = body["id"].as_str().unwrap();
    let text = body["validationErrors"][0].as_str().unwrap();
    let reason = text.strip_prefix("line#1: vaxEventId= recipId= field= message=").unwrap();
    assert!(!reason.is_empty() && !reason.contains("this is no header"), "{reason}");
    let failed = r#"{"status":"FAILED","recordsProcessed":0,"processingErrorsCount":0,"processingErrors":[]}"#;
    assert_eq!(
        raw,
        format!(
            r#"{{"id":"{id}","status":"COMPLETED","storageResult":{{"NON_REDACTED_DB":{failed},"REDACTED_DB":{failed}}},"totalRecords":0,"validationErrors":["{text}"],"validationErrorsCount":1,"truncated":false}}"#
        )
    );
    assert_eq!(server.full(id)["outcome"], "FAILED");
}

#[test]
fn s1_6_an_unknown_job_is_404() {
    let server = Server::new();
    for path in ["", "/errors", "/events"] {
        let answer = server.get(&format!("{JOBS}/018f0000-0000-7000-8000-000000000000{path}"));
        assert_eq!(answer.problem(), (404, "CVRS-JOB-NOT-FOUND".to_owned()), "{path}");
    }
}

#[test]
fn s1_6_a_malformed_job_id_is_400() {
    let server = Server::new();
    for id in ["1", "nonsense", "018f000000007000800000000000000", "%20"] {
        let answer = server.get(&format!("{JOBS}/{id}"));
        assert_eq!(answer.problem(), (400, "CVRS-JOB-ID".to_owned()), "{id}");
    }
}
