//! Section 7: what the documents leave open and this project decided.

use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::support::{
    http::{JOBS, Server},
    rows,
};

#[test]
fn s7_an_error_body_is_a_problem_on_one_line() {
    let server = Server::new();
    let answer = server.get(&format!("{JOBS}/x"));
    assert_eq!(
        answer.body,
        r#"{"type":"urn:cvrsd:error:CVRS-JOB-ID","title":"Malformed request","status":400,"detail":"the job id is not a hyphenated uuid","code":"CVRS-JOB-ID"}"#
    );
}

#[test]
fn s7_a_refused_upload_leaves_nothing_behind() {
    let server = Server::new();
    server.upload("POST", "application/zip", "no zip").problem();
    server.upload("POST", "text/plain", "").problem();
    assert_eq!(server.get(JOBS).body, r#"{"jobs":[],"nextPageToken":""}"#);
    crate::support::wait_empty(&server.daemon.dir, &["spool", "payloads"]);
}

#[test]
fn s7_a_failed_job_ends_where_a_poller_stops() {
    let server = Server::new();
    let job = server.run_full("POST", "a letter\n");
    assert_eq!((&job["status"], &job["outcome"]), (&"COMPLETED".into(), &"FAILED".into()));
    assert_eq!(job["failure"]["code"], "CVRS-HEADER");
    assert_eq!((&job["totalRecords"], &job["rowsApplied"]), (&0.into(), &0.into()));
}

#[test]
fn s7_a_file_over_the_row_limit_is_rejected_whole() {
    let server = Server::with(&[("CVRSD__INTAKE__MAX_ROWS", "3")]);
    let file = |count: usize| rows::ids(&["EV1", "EV2", "EV3", "EV4"][..count]);
    assert_eq!(server.run("DELETE", file(3))["totalRecords"], 3);
    let job = server.run_full("DELETE", file(4));
    assert_eq!(
        (&job["failure"]["code"], &job["totalRecords"]),
        (&"CVRS-FILE-ROWS".into(), &0.into())
    );
    let text = job["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#1: vaxEventId= recipId= field= message="), "{text}");
    assert!(text.contains('3'), "the reason names the limit: {text}");
}

#[test]
fn s7_a_line_over_the_length_limit_fails_the_file() {
    let server = Server::with(&[("CVRSD__INTAKE__MAX_LINE_BYTES", "2000")]);
    let line = |length: usize| format!("vax_event_id\trecip_id\nEV1\t{}\n", "x".repeat(length - 4));
    assert_eq!(server.run_full("DELETE", line(2_000))["outcome"], "PARTIAL");
    let job = server.run_full("DELETE", line(2_001));
    assert_eq!(job["failure"]["code"], "CVRS-FILE-LINE");
    assert!(job["failure"]["message"].as_str().unwrap().contains("line 2 "), "{job}");
}

#[test]
fn s7_a_column_that_stands_twice_fails_the_file() {
    let server = Server::new();
    let job = server.run_full("DELETE", "vax_event_id\tVax_Event_ID\nEV1\tEV1\n");
    assert_eq!(job["failure"]["code"], "CVRS-HEADER-DUPLICATE");
    let twice = rows::events(&["EV1"]).replace("ndc\t", "mvx\t");
    assert_eq!(server.run_full("POST", twice)["failure"]["code"], "CVRS-HEADER-DUPLICATE");
}

#[test]
fn s7_an_empty_name_fails_the_file_but_for_cells_at_its_end() {
    let server = Server::new();
    let job = server.run_full("DELETE", "vax_event_id\t\trecip_id\nEV1\t\tP1\n");
    assert_eq!(job["outcome"], "FAILED");
    assert_eq!(server.run_full("DELETE", "vax_event_id\t\t\nEV1\n")["outcome"], "PARTIAL");
}

#[test]
fn s7_bytes_that_are_not_utf_8_refuse_their_row_alone() {
    let server = Server::new();
    let mut body = b"vax_event_id\trecip_id\n".to_vec();
    body.extend_from_slice(b"EV1\t\xff\xfe\nEV2\tP2\n");
    let body = server.run("DELETE", body);
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&2.into(), &1.into()));
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#2: vaxEventId=EV1 recipId="), "{text}");
    assert!(text.contains(" field=recip_id message="), "{text}");
}

#[test]
fn s7_the_submission_date_is_the_utc_day_with_a_day_of_tolerance() {
    let server = Server::new();
    let day = |later: i64| (Timestamp::now() + (24 * later).hours()).strftime("%F").to_string();
    for (days, errors) in [(0, 0), (1, 0), (3, 1)] {
        let date = day(days);
        let row = rows::row(&[("vax_event_id", &date), ("admin_date", &date)]);
        let body = server.run("POST", rows::file(&[row]));
        assert_eq!(body["validationErrorsCount"], errors, "{date}");
    }
    let strict = Server::with(&[("CVRSD__VALIDATION__FUTURE_TOLERANCE_DAYS", "0")]);
    let row = rows::row(&[("admin_date", &day(2))]);
    assert_eq!(strict.run("POST", rows::file(&[row]))["validationErrorsCount"], 1);
}

#[test]
fn s7_progress_and_times_are_in_the_full_view_alone() {
    let server = Server::new();
    let id = server.submit("DELETE", rows::ids(&["EV1"]));
    server.wait(&id);
    let plain = server.get(&format!("{JOBS}/{id}"));
    let members = |body: &Value| body.as_object().unwrap().len();
    assert_eq!(members(&plain.json()), 7, "{plain:?}");
    let full = server.full(&id);
    for member in [
        "operation",
        "outcome",
        "seq",
        "submitTime",
        "endTime",
        "rowsValid",
        "rowsApplied",
        "warnings",
        "failure",
    ] {
        assert!(full.get(member).is_some(), "{member} is missing: {full}");
    }
    assert_eq!(members(&full), 16, "{full}");
    for time in ["submitTime", "endTime"] {
        let text = full[time].as_str().unwrap();
        assert!(text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z'), "{text}");
    }
    let operations = [("POST", "create"), ("PUT", "update"), ("DELETE", "delete")];
    for (method, operation) in operations {
        assert_eq!(server.run_full(method, "x\n")["operation"], operation);
    }
}

#[test]
fn s7_the_poll_interval_is_told_until_the_job_has_ended() {
    let server = Server::with(&[("CVRSD__ENGINE__CHECKPOINT_ROWS", "5")]);
    let many: Vec<_> = (0..5_000).map(|n| rows::event(&format!("EV{n}"))).collect();
    let submitted = server.upload("POST", "text/plain", rows::file(&many));
    let id = submitted.accepted();
    let seconds = |value: Option<&str>| value.unwrap().parse::<u32>().unwrap();
    assert!(seconds(submitted.header("retry-after")) > 0);
    let running = server.get(&format!("{JOBS}/{id}"));
    assert_ne!(running.json()["status"], "COMPLETED");
    assert!(seconds(running.header("retry-after")) > 0);
    server.call("POST", &format!("{JOBS}/{id}/cancel"), &[], b"");
    server.wait(&id);
    assert_eq!(server.get(&format!("{JOBS}/{id}")).header("retry-after"), None);
}

#[test]
fn s7_one_id_space_serves_all_three_operations() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    for (method, operation) in [("POST", "create"), ("PUT", "update"), ("DELETE", "delete")] {
        let id = server.submit(method, &file);
        server.wait(&id);
        let job = server.full(&id);
        assert_eq!((&job["operation"], &job["outcome"]), (&operation.into(), &"SUCCEEDED".into()));
    }
}

#[test]
fn s7_truncated_is_always_there() {
    let server = Server::new();
    assert_eq!(server.run("DELETE", rows::ids(&["EV1"]))["truncated"], false);
    assert_eq!(server.run("DELETE", "no header\n")["truncated"], false);
}

#[test]
fn s7_the_events_of_a_job_are_server_sent_and_resume() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    server.wait(&id);
    let newest = server.full(&id)["seq"].as_u64().unwrap();
    let path = format!("{JOBS}/{id}/events");
    let snapshot = server.get(&path);
    assert!(snapshot.body.contains("event: job\n"), "{snapshot:?}");
    assert!(snapshot.body.contains(&format!("id: {newest}\n")), "{snapshot:?}");
    assert_eq!(server.events(&id, 0).len(), 1);
    assert_eq!(server.events(&id, newest - 1).len(), 1);
    assert_eq!(server.events(&id, newest).len(), 0);
    let future = (newest + 1).to_string();
    let answer = server.call("GET", &path, &[("Last-Event-ID", &future)], b"");
    assert_eq!(answer.problem(), (400, "CVRS-SEQ-OUT-OF-RANGE".to_owned()));
}
