//! What jobs leave goes once its clock has run out, and nothing else does.

use std::{fs, time::Instant};

use serde_json::Value;

use crate::support::{
    PATIENCE, files,
    http::{JOBS, Server},
    verify, wait_empty,
};

/// Rows of which two are not valid.
fn text_with_errors() -> Vec<u8> {
    let text = String::from_utf8(files::text(1, 0..6)).unwrap();
    let rows: Vec<String> = text
        .lines()
        .enumerate()
        .map(
            |(n, row)| if n == 2 || n == 4 { files::with_cell(row, 3, "") } else { row.to_owned() },
        )
        .collect();
    rows.join("\n").into_bytes()
}

/// Waits until that is answered so.
fn until(server: &Server, path: &str, status: u16) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.get(path);
        if answer.status == status {
            return answer.json();
        }
        assert!(Instant::now() < deadline, "{path} is still {answer:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Waits until the metrics say that so many were purged.
fn until_counted(server: &Server, what: &str, count: u64) {
    let expected = format!("cvrsd_purged_total{{what=\"{what}\"}} {count}\n");
    let url = format!("http://{}/metrics", server.daemon.admin);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics =
            runtime.block_on(async { reqwest::get(&url).await.unwrap().text().await.unwrap() });
        if metrics.contains(&expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{expected} is not in {metrics}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_purged_job_is_not_found_its_key_makes_another_and_what_it_did_stays() {
    let server =
        Server::with(&[("CVRSD__RETENTION__REPORTS", "1s"), ("CVRSD__RETENTION__JOBS", "1s")]);
    let headers = [("Content-Type", "text/plain"), ("Idempotency-Key", "monday")];
    let submit = || server.call("POST", JOBS, &headers, &text_with_errors()).accepted();
    let id = submit();
    let refused = until(&server, &format!("{JOBS}/{id}"), 404);
    assert_eq!(refused["code"], "CVRS-JOB-NOT-FOUND");
    for path in ["errors", "events"] {
        assert_eq!(server.get(&format!("{JOBS}/{id}/{path}")).status, 404, "{path}");
    }
    assert_eq!(server.get(JOBS).body, r#"{"jobs":[],"nextPageToken":""}"#);
    let data = server.daemon.dir.clone();
    wait_empty(&data, &["reports", "payloads", "work"]);
    let again = submit();
    assert_ne!(again, id);
    // The four valid rows are live, so the same rows are refused now.
    let body = server.wait(&again);
    assert!(body.contains("Record already exists"), "{body}");
    until(&server, &format!("{JOBS}/{again}"), 404);
    until_counted(&server, "jobs", 2);
    let Server { daemon, dir: _dir } = server;
    assert!(daemon.stop().success());
    verify(&data);
}

#[test]
fn a_report_is_gone_before_its_job_which_keeps_its_counts() {
    let server = Server::with(&[("CVRSD__RETENTION__REPORTS", "1s")]);
    let id = server.submit("POST", text_with_errors());
    let job = server.wait(&id);
    assert!(job.contains("must not be null"), "{job}");
    let refused = until(&server, &format!("{JOBS}/{id}/errors"), 404);
    assert_eq!(refused["code"], "CVRS-REPORT-PURGED");
    let job = server.get(&format!("{JOBS}/{id}?view=full")).json();
    assert_eq!(job["validationErrorsCount"], 2);
    assert_eq!(job["validationErrors"], serde_json::json!([]));
    assert_eq!(job["truncated"], true);
    assert_eq!(job["rowsApplied"], 4);
    let data = server.daemon.dir.clone();
    wait_empty(&data, &["reports"]);
    until_counted(&server, "reports", 1);
    let Server { daemon, dir: _dir } = server;
    assert!(daemon.stop().success());
    verify(&data);
}

#[test]
fn payloads_stay_as_long_as_they_are_asked_to_also_small_ones_and_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let kept = [("CVRSD__RETENTION__PAYLOADS", "1h")];
    let start = |env: &[(&str, &str)]| {
        let daemon = crate::support::start(&data, env);
        Server { daemon, dir: tempfile::tempdir().unwrap() }
    };
    let server = start(&kept);
    let text = text_with_errors();
    let id = server.submit("POST", &text);
    server.wait(&id);
    assert!(server.daemon.stop().success());
    let server = start(&kept);
    assert_eq!(fs::read(data.join("payloads").join(&id)).unwrap(), text);
    assert!(server.daemon.stop().success());
    verify(&data);
    let server = start(&[("CVRSD__RETENTION__PAYLOADS", "1s")]);
    wait_empty(&data, &["payloads"]);
    assert_eq!(server.get(&format!("{JOBS}/{id}")).status, 200);
    assert!(server.daemon.stop().success());
}
