//! The synchronous uploads.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::support::{Daemon, files, start};

const BATCH: &str = "/v0/upload/cvrs/batch";
const JOBS: &str = "/v0/async/cvrs/jobs";

async fn send(daemon: &Daemon, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, String) {
    let media = if body.starts_with(b"PK") { "application/zip" } else { "text/plain" };
    let request = Client::new().request(method, daemon.url(path)).header("content-type", media);
    let response = request.body(body).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn id(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_answers_with_the_documented_body_once_it_is_processed() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(7, 0..3);
    let done = |id: &str| {
        let db = r#"{"status":"SUCCESS","recordsProcessed":3,"processingErrorsCount":0,"processingErrors":[]}"#;
        format!(
            r#"{{"id":"{id}","storageResult":{{"NON_REDACTED_DB":{db},"REDACTED_DB":{db}}},"totalRecords":3,"validationErrors":[],"validationErrorsCount":0,"truncated":false}}"#
        )
    };
    for (method, body) in [
        (Method::POST, text.clone()),
        (Method::PUT, files::zip(&text)),
        (Method::DELETE, text.clone()),
    ] {
        let (status, body) = send(&daemon, method, BATCH, body).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, done(&id(&body)));
        let job = daemon.url(&format!("{JOBS}/{}", id(&body)));
        let job: Value = reqwest::get(job).await.unwrap().json().await.unwrap();
        assert_eq!(job["status"], "COMPLETED", "the job is visible by its id");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_listed_and_cut_with_exact_counts() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__REST__INLINE_ERROR_CHARS", "700")]);
    let (status, body) = send(&daemon, Method::DELETE, BATCH, files::text(7, 0..50)).await;
    assert_eq!(status, StatusCode::OK, "also when no row had an effect");
    assert!(body.len() <= 700, "{body}");
    assert!(body.ends_with(r#""truncated":true}"#), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["processingErrorsCount"], 50);
    let (status, body) = send(&daemon, Method::POST, BATCH, b"no header\n".to_vec()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["storageResult"]["REDACTED_DB"]["status"]),
        (StatusCode::OK, &"FAILED".into())
    );
    assert_eq!(body["validationErrorsCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_a_problem_and_a_repeat_gives_the_same_job() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let (status, body) = send(&daemon, Method::POST, BATCH, Vec::new()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("CVRS-BODY-EMPTY"), "{body}");
    let text = files::text(8, 0..2);
    let keyed = |path: &'static str, text: Vec<u8>| {
        let request = Client::new().post(daemon.url(path)).header("idempotency-key", "k1");
        request.header("content-type", "text/plain").body(text).send()
    };
    let first = keyed(JOBS, text.clone()).await.unwrap().text().await.unwrap();
    let again = keyed(BATCH, text.clone()).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    let again = again.text().await.unwrap();
    assert_eq!(id(&again), id(&first), "one space of keys for both kinds of upload");
    assert!(again.contains(r#""recordsProcessed":2"#), "{again}");
    let other = keyed(BATCH, files::text(8, 0..3)).await.unwrap();
    assert_eq!(other.status(), StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_longer_than_the_wait_goes_on_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__REST__SYNC_TIMEOUT", "1ms")]);
    let request = Client::new().post(daemon.url(BATCH)).header("content-type", "text/plain");
    let response = request.body(files::text(9, 0..20_000)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("retry-after"));
    for _ in 0..3_000 {
        let job = reqwest::get(daemon.url(&location)).await.unwrap();
        let job: Value = job.json().await.unwrap();
        if job["status"] == "COMPLETED" {
            assert_eq!(job["storageResult"]["REDACTED_DB"]["recordsProcessed"], 20_000);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_report_cannot_be_read_is_answered_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let send = async |path: &str| {
        let request = Client::new().delete(daemon.url(path)).header("idempotency-key", "k1");
        let request = request.header("content-type", "text/plain").body(files::text(8, 0..2));
        request.send().await.unwrap()
    };
    let done = send(BATCH).await;
    assert_eq!(done.status(), StatusCode::OK);
    let id = id(&done.text().await.unwrap());
    std::fs::remove_file(dir.path().join(format!("reports/{id}.tsv"))).unwrap();
    for path in [BATCH, JOBS] {
        let response = send(path).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{path}");
        assert_eq!(response.headers()["location"].to_str().unwrap(), format!("{JOBS}/{id}"));
        assert!(response.headers().contains_key("retry-after"));
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["id"], &body["status"]), (&id.clone().into(), &"COMPLETED".into()));
        assert_eq!(body["storageResult"]["REDACTED_DB"]["processingErrorsCount"], 2);
        assert_eq!(body["storageResult"]["REDACTED_DB"]["processingErrors"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_nothing() {
    use tokio::io::AsyncWriteExt;
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let text = files::text(10, 0..20_000);
    let mut socket = tokio::net::TcpStream::connect(daemon.rest.as_str()).await.unwrap();
    let head = format!(
        "POST {BATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&text).await.unwrap();
    let list = daemon.url(JOBS);
    let mut left = Some(socket);
    for _ in 0..3_000 {
        let page: Value = reqwest::get(&list).await.unwrap().json().await.unwrap();
        if let Some(job) = page["jobs"].get(0) {
            drop(left.take());
            if job["status"] == "COMPLETED" {
                assert_eq!(job["rowsApplied"], 20_000);
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_is_a_conflict_that_says_where_to_look() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "100")]);
    let url = daemon.url(BATCH);
    let upload = tokio::spawn(async move {
        let request = Client::new().post(url).header("content-type", "text/plain");
        request.body(files::text(11, 0..60_000)).send().await.unwrap()
    });
    let list = daemon.url(JOBS);
    let id = loop {
        let page: Value = reqwest::get(&list).await.unwrap().json().await.unwrap();
        if let Some(job) = page["jobs"].get(0) {
            break job["id"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let cancel = daemon.url(&format!("{JOBS}/{id}/cancel"));
    let cancel: Value = Client::new().post(cancel).send().await.unwrap().json().await.unwrap();
    assert_eq!(cancel["cancelled"], true);
    let response = upload.await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(response.headers()["location"].to_str().unwrap(), format!("{JOBS}/{id}"));
    assert!(response.text().await.unwrap().contains("CVRS-JOB-CANCELLED"));
}
