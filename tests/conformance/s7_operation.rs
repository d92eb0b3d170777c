//! Section 7: what clients and operators need around a job.

use serde_json::Value;

use crate::support::{
    http::{JOBS, Server},
    rows,
};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// Batches of a few rows, each with its own sync, so that a job takes long.
const SLOW: (&str, &str) = ("CVRSD__ENGINE__CHECKPOINT_ROWS", "5");

fn many(count: usize) -> String {
    rows::file(&(0..count).map(|n| rows::event(&format!("EV{n}"))).collect::<Vec<_>>())
}

#[test]
fn s7_idempotent_resubmission_gives_the_same_job() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    for name in ["Idempotency-Key", "X-Request-ID"] {
        let headers = [TEXT, (name, "key-1")];
        let answer = server.call("POST", JOBS, &headers, file.as_bytes());
        assert_eq!(answer.status, 202, "the status of a submit, also for a repeat");
        let id = answer.accepted();
        server.wait(&id);
        let again = server.call("POST", JOBS, &headers, file.as_bytes());
        assert_eq!(again.accepted(), id);
        assert_eq!(again.json()["status"], "COMPLETED", "a repeat shows the present state");
    }
    let list = server.get(JOBS).json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn s7_idempotency_conflicts_on_verb_option_and_bytes() {
    let server = Server::new();
    let headers = [TEXT, ("Idempotency-Key", "key-1")];
    let file = rows::events(&["EV1"]);
    server.call("POST", JOBS, &headers, file.as_bytes()).accepted();
    let validate = format!("{JOBS}?validateOnly=true");
    let other = rows::events(&["EV2"]);
    for (method, path, body) in
        [("DELETE", JOBS, &file), ("POST", validate.as_str(), &file), ("POST", JOBS, &other)]
    {
        let answer = server.call(method, path, &headers, body.as_bytes());
        assert_eq!(answer.problem(), (409, "CVRS-REQUEST-CONFLICT".to_owned()), "{method} {path}");
    }
}

#[test]
fn s7_resubmission_without_a_key_is_a_new_job() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let [a, b] = [(); 2].map(|()| server.submit("POST", &file));
    assert_ne!(a, b);
    server.wait(&b);
    assert_eq!(server.full(&b)["rowsApplied"], 0);
}

#[test]
fn s7_jobs_are_listed_newest_first_in_pages() {
    let server = Server::new();
    assert_eq!(server.get(JOBS).body, r#"{"jobs":[],"nextPageToken":""}"#);
    let mut made: Vec<String> = (0..5).map(|_| server.submit("DELETE", "x\n")).collect();
    for id in &made {
        server.wait(id);
    }
    made.reverse();
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{JOBS}?pageSize=2&pageToken={token}")).json();
        for job in page["jobs"].as_array().unwrap() {
            listed.push(job["id"].as_str().unwrap().to_owned());
            assert_eq!(job["validationErrors"], Value::Null, "lists are left out");
            assert_eq!(job["validationErrorsCount"], 1, "counts stay");
            assert_eq!(job["truncated"], true);
        }
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made);
}

#[test]
fn s7_the_list_is_filtered_by_status_and_operation() {
    let server = Server::new();
    let create = server.submit("POST", rows::events(&["EV1"]));
    let delete = server.submit("DELETE", rows::ids(&["EV1"]));
    server.wait(&delete);
    for (query, expected) in [
        ("?operation=create", vec![&create]),
        ("?operation=delete&status=COMPLETED", vec![&delete]),
        ("?operation=update", vec![]),
        ("?status=QUEUED", vec![]),
    ] {
        let page = server.get(&format!("{JOBS}{query}")).json();
        let ids: Vec<_> =
            page["jobs"].as_array().unwrap().iter().map(|j| j["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    for query in ["?status=DONE", "?operation=drop", "?pageSize=x", "?page=1"] {
        let answer = server.get(&format!("{JOBS}{query}"));
        assert_eq!(answer.problem(), (400, "CVRS-PARAMETER".to_owned()), "{query}");
    }
}

#[test]
fn s7_cancel_ends_a_queued_job_and_says_whether_it_took_effect() {
    let server = Server::with(&[SLOW]);
    let running = server.submit("POST", many(5_000));
    let queued = server.submit("POST", rows::events(&["EVX"]));
    let cancel = |id: &str| server.call("POST", &format!("{JOBS}/{id}/cancel"), &[], b"");
    let answer = cancel(&queued);
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!((&body["cancelled"], &body["status"]), (&true.into(), &"COMPLETED".into()));
    assert_eq!(body["outcome"], "CANCELLED");
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&0.into(), &0.into()));
    assert_eq!(body["validationErrors"], Value::Array(Vec::new()));
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["recordsProcessed"], 0);
    let again = cancel(&queued);
    assert_eq!((again.status, &again.json()["cancelled"]), (200, &false.into()));
    assert_eq!(cancel(&running).json()["cancelled"], true);
    server.wait(&running);
}

#[test]
fn s7_a_job_that_is_cancelled_while_it_applies_tells_what_was_applied() {
    let server = Server::with(&[SLOW]);
    let id = server.submit("POST", many(10_000));
    while server.full(&id)["rowsApplied"] == 0 {}
    let answer = server.call("POST", &format!("{JOBS}/{id}/cancel"), &[], b"");
    assert_eq!(answer.json()["cancelled"], true);
    server.wait(&id);
    let body = server.full(&id);
    assert_eq!(body["outcome"], "CANCELLED");
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let result = &body["storageResult"][storage];
        assert_eq!(result["recordsProcessed"], body["rowsApplied"]);
        let [done, left] =
            ["recordsProcessed", "processingErrorsCount"].map(|m| result[m].as_u64());
        assert_eq!(done.unwrap() + left.unwrap(), 10_000);
    }
    let report = server.get(&format!("{JOBS}/{id}/errors")).body;
    let left = 10_000 - body["rowsApplied"].as_u64().unwrap();
    let told = report.lines().filter(|l| l.ends_with("\tCVRS-ROW-NOT-APPLIED\tnot applied"));
    assert_eq!(told.count() as u64, 2 * left);
}

#[test]
fn s7_the_full_error_report_is_a_table() {
    let server = Server::new();
    let bad = rows::row(&[("vax_event_id", "EV2"), ("cvx", "x")]);
    let id = server.submit("PUT", rows::file(&[rows::event("EV1"), bad]));
    server.wait(&id);
    let answer = server.get(&format!("{JOBS}/{id}/errors"));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n\
         3\tvalidation\t\tEV2\tP1\tcvx\tCVRS-ROW-FORMAT\tmust be a number\n\
         2\tprocessing\tNON_REDACTED_DB\tEV1\tP1\t\tCVRS-ROW-UNKNOWN\tRecord does not exist\n\
         2\tprocessing\tREDACTED_DB\tEV1\tP1\t\tCVRS-ROW-UNKNOWN\tRecord does not exist\n"
    );
}

#[test]
fn s7_the_full_error_report_comes_as_json_lines_too() {
    let server = Server::new();
    let id = server.submit("DELETE", rows::ids(&["EV1"]));
    server.wait(&id);
    let accept = [("Accept", "application/x-ndjson")];
    let answer = server.call("GET", &format!("{JOBS}/{id}/errors"), &accept, b"");
    let line = |storage| {
        format!(
            r#"{{"line":2,"kind":"processing","storage":"{storage}","vax_event_id":"EV1","recip_id":"","field":"","code":"CVRS-ROW-UNKNOWN","message":"Record does not exist"}}"#
        ) + "\n"
    };
    assert_eq!(answer.body, line("NON_REDACTED_DB") + &line("REDACTED_DB"));
}

#[test]
fn s7_the_full_error_report_is_never_cut() {
    let server = Server::new();
    let id = server.submit("DELETE", many(2_000));
    server.wait(&id);
    assert_eq!(server.get(&format!("{JOBS}/{id}/errors")).body.lines().count(), 1 + 2 * 2_000);
}

#[test]
fn s7_which_rows_succeeded_is_told_by_counts_for_each_storage() {
    let server = Server::new();
    server.run("POST", rows::events(&["EV1"]));
    let body = server.run_full("POST", rows::events(&["EV1", "EV2", "EV3"]));
    for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
        let result = &body["storageResult"][storage];
        assert_eq!(result["recordsProcessed"], 2);
        assert_eq!(result["processingErrorsCount"], 1);
    }
    assert_eq!((&body["rowsValid"], &body["rowsApplied"]), (&3.into(), &2.into()));
}

#[test]
fn s7_restore_by_uploading_the_creating_file_again() {
    let server = Server::new();
    let file = rows::events(&["EV1", "EV2", "EV3"]);
    for (method, applied) in
        [("POST", 3), ("DELETE", 3), ("DELETE", 0), ("POST", 3), ("POST", 0), ("DELETE", 3)]
    {
        assert_eq!(server.run_full(method, &file)["rowsApplied"], applied, "{method}");
    }
}

#[test]
fn s7_jobs_of_a_tenant_run_in_submit_order() {
    let server = Server::new();
    let file = rows::events(&["EV1"]);
    let big = server.submit("POST", many(3_000));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(server.submit("DELETE", &file));
        ids.push(server.submit("POST", &file));
    }
    for id in &ids {
        server.wait(id);
        assert_eq!(server.full(id)["outcome"], "SUCCEEDED");
    }
    let mut ends = vec![server.full(&big)["endTime"].as_str().unwrap().to_owned()];
    ends.extend(ids.iter().map(|id| server.full(id)["endTime"].as_str().unwrap().to_owned()));
    assert!(ends.is_sorted(), "{ends:?}");
}

#[test]
fn s7_rows_of_a_file_are_applied_in_file_order() {
    let server = Server::new();
    let row = |name: &str| rows::row(&[("recip_last_name", name)]);
    server.run("POST", rows::file(&[row("First")]));
    let body = server.run_full("PUT", rows::file(&[row("Second"), row("Third")]));
    assert_eq!(body["rowsApplied"], 2);
    let output = std::process::Command::new(crate::support::program())
        .args(["records", "get", "EV1", "--admin", &format!("http://{}", server.daemon.admin)])
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("\tThird\t"));
}
