//! What a load balancer asks.

use std::{fs::File, io::Read};

use crate::{
    bench::{admin, run},
    support::{Daemon, command, http::Server, ready, start},
};

/// More than any disk has.
const NO_ROOM: &[(&str, &str)] = &[("CVRSD__DATA__RESERVE_BYTES", "1099511627776")];

async fn asked(daemon: &Daemon, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}{path}", daemon.admin)).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The exit code of the probe, and what it says.
fn probe(daemon: &Daemon) -> (Option<i32>, String) {
    let output = run(daemon, &["ready"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_serves_is_ready_also_while_paused_or_below_the_disk_reserve() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(&dir.path().join("data"), NO_ROOM);
    assert_eq!(asked(&daemon, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(probe(&daemon), (Some(0), "ready\n".to_owned()));
    let verbose = "/readyz?verbose";
    assert_eq!(asked(&daemon, verbose).await, (200, "ready\ndisk-reserve\n".to_owned()));
    admin(&daemon, &["pause", "--tenant", "a", "--reason", "told to nobody"]);
    assert_eq!(asked(&daemon, verbose).await, (200, "ready\ndisk-reserve\n".to_owned()));
    admin(&daemon, &["pause", "--all", "--reason", "told to nobody"]);
    assert_eq!(asked(&daemon, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(asked(&daemon, verbose).await, (200, "ready\ndisk-reserve\npaused\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_drains_is_not_ready_and_says_why() {
    let server = Server::new();
    // An upload that has begun keeps the drain from ending.
    let headers = [("Content-Type", "text/plain"), ("Content-Length", "100000")];
    let mut upload = server.open("POST", crate::support::http::JOBS, &headers);
    std::io::Write::write_all(&mut upload, &[b'x'; 10_000]).unwrap();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let spool = server.dir.path().join("data/spool");
    while std::fs::read_dir(&spool).unwrap().next().is_none() {
        assert!(std::time::Instant::now() < deadline, "the upload does not begin");
    }
    admin(&server.daemon, &["drain"]);
    let expected = (503, "not ready\ndraining\n".to_owned());
    assert_eq!(asked(&server.daemon, "/readyz?verbose").await, expected);
    assert_eq!(asked(&server.daemon, "/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(probe(&server.daemon), (Some(69), "cvrsd: not ready: NOT_SERVING\n".to_owned()));
    drop(upload);
    assert!(server.daemon.wait().success());
}

#[test]
fn a_start_below_the_disk_reserve_warns() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    let mut serve = command(&data, &[], NO_ROOM);
    drop(ready(&data, serve.stderr(File::create(&log).unwrap()).spawn().unwrap()));
    let mut text = String::new();
    File::open(&log).unwrap().read_to_string(&mut text).unwrap();
    let warning = text.lines().find(|line| line.contains("less room than data.reserve_bytes"));
    assert!(warning.is_some_and(|line| line.contains("\"WARN\"")), "{text}");
}
