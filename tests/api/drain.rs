//! Ending well, and cutting those who would prevent it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::support::{Daemon, files, spawn, start, wait_empty, wait_ready};

pub const JOBS: &str = "/v0/async/cvrs/jobs";

/// Sends the head of an upload and the first bytes of its body.
pub fn half_an_upload(daemon: &Daemon, body: &[u8], sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&daemon.rest).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let head = format!(
        "POST {JOBS} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        daemon.rest,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..sent]).unwrap();
    stream
}

/// Reads one whole answer of a connection that is closed after it.
pub fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_string(&mut text);
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn while_draining_callers_are_told_so_and_an_upload_on_its_way_may_end() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let body = files::text(1, 0..200);
    let mut upload = half_an_upload(&daemon, &body, 10_000);
    tokio::time::sleep(Duration::from_millis(200)).await;
    daemon.signal("TERM");
    let ready = format!("http://{}/readyz", daemon.admin);
    let began = Instant::now();
    while reqwest::get(&ready).await.unwrap().status() != 503 {
        assert!(began.elapsed() < Duration::from_secs(10), "still ready after SIGTERM");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let live = format!("http://{}/livez", daemon.admin);
    assert_eq!(reqwest::get(live).await.unwrap().status(), 200);
    let client = reqwest::Client::new();
    let late = client.post(daemon.url(JOBS)).header("content-type", "text/plain").body("x");
    let late = late.send().await.unwrap();
    assert_eq!(late.status(), 503);
    let problem: serde_json::Value = late.json().await.unwrap();
    assert_eq!(problem["code"], "CVRS-DRAINING");
    upload.write_all(&body[10_000..]).unwrap();
    assert!(answer(upload).starts_with("HTTP/1.1 202"));
    assert!(daemon.wait().success());
    let daemon = start(dir.path(), &[]);
    wait_empty(dir.path(), &["payloads"]);
    let url = format!("http://{}/metrics", daemon.admin);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("cvrsd_jobs_completed_total{outcome=\"SUCCEEDED\"} 1"), "{metrics}");
}

#[test]
fn an_upload_that_a_drain_cannot_wait_for_is_refused_and_the_daemon_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__ENGINE__DRAIN_TIMEOUT", "2s")]);
    let body = files::text(1, 0..200);
    let upload = half_an_upload(&daemon, &body, 10_000);
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    daemon.signal("TERM");
    let text = answer(upload);
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    assert!(text.contains("CVRS-DRAINING"), "{text}");
    assert!(daemon.wait().success());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn an_upload_that_only_trickles_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__INTAKE__IDLE_TIMEOUT", "1s")]);
    let body = files::text(1, 0..2_000);
    let mut upload = half_an_upload(&daemon, &body, 0);
    let mut trickle = upload.try_clone().unwrap();
    let began = Instant::now();
    let sender = std::thread::spawn(move || {
        // Until the other side has had enough.
        for byte in body {
            if trickle.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut first = [0; 12];
    upload.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(upload);
    daemon.kill();
    sender.join().unwrap();
    wait_empty(dir.path(), &["payloads"]);
}

#[test]
fn addresses_that_a_kill_left_behind_are_gone_before_the_next_start_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &[]).kill();
    let stale = dir.path().join("listen.json");
    assert!(stale.exists());
    let mut child = spawn(dir.path(), &[]);
    let began = Instant::now();
    while stale.exists() {
        assert!(began.elapsed() < Duration::from_secs(10), "the old addresses still stand");
        std::thread::yield_now();
    }
    assert!(wait_ready(dir.path(), &mut child).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(start(dir.path(), &[]).stop().success());
    assert!(!stale.exists());
}
