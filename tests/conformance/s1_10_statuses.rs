//! Section 1.10: status codes. 401 and 403 are beside section 1.4; 500 needs a broken disk.

use std::{io::Write, net::TcpStream};

use crate::support::{
    http::{self, Answer, JOBS, Server},
    rows,
};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[test]
fn s1_10_status_200_is_what_completed_requests_answer() {
    let server = Server::new();
    let id = server.submit("POST", rows::events(&["EV1"]));
    server.wait(&id);
    for path in ["", "/errors", "/events", "?view=full"] {
        assert_eq!(server.get(&format!("{JOBS}/{id}{path}")).status, 200, "{path}");
    }
    assert_eq!(server.get(JOBS).status, 200);
    let cancel = format!("{JOBS}/{id}/cancel");
    assert_eq!(server.call("POST", &cancel, &[], b"").status, 200);
}

#[test]
fn s1_10_status_202_is_accepted_with_location_and_state() {
    let server = Server::new();
    let answer = server.upload("POST", "text/plain", rows::events(&["EV1"]));
    assert_eq!(answer.status, 202);
    assert!(answer.header("location").is_some() && answer.header("retry-after").is_some());
    assert_eq!(answer.json()["status"], "QUEUED");
}

#[test]
fn s1_10_status_400_is_missing_or_invalid_information() {
    let server = Server::new();
    let empty = server.upload("POST", "text/plain", "");
    assert_eq!(empty.problem(), (400, "CVRS-BODY-EMPTY".to_owned()));
    let key = [TEXT, ("Idempotency-Key", "two words\u{e4}")];
    let answer = server.call("POST", JOBS, &key, rows::events(&["EV1"]).as_bytes());
    assert_eq!(answer.problem(), (400, "CVRS-REQUEST-ID".to_owned()));
}

#[test]
fn s1_10_status_404_is_a_uri_that_does_not_exist() {
    let server = Server::new();
    for path in ["/", "/v0", "/v1/async/cvrs/jobs", "/v0/async/cvrs/jobs/"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        answer.problem();
    }
}

#[test]
fn s1_10_status_405_is_a_verb_that_is_not_supported() {
    let server = Server::new();
    let id = "018f0000-0000-7000-8000-000000000000";
    for (method, path) in [
        ("PATCH", JOBS.to_owned()),
        ("DELETE", format!("{JOBS}/{id}")),
        ("GET", format!("{JOBS}/{id}/cancel")),
        ("POST", format!("{JOBS}/{id}/errors")),
    ] {
        let answer = server.call(method, &path, &[], b"");
        assert_eq!(answer.problem(), (405, "CVRS-METHOD".to_owned()), "{method} {path}");
        assert!(answer.header("allow").is_some_and(|allow| !allow.is_empty()), "{answer:?}");
    }
}

#[test]
fn s1_10_status_409_is_a_key_that_was_used_otherwise() {
    let server = Server::new();
    let key = [TEXT, ("Idempotency-Key", "k-1")];
    let file = rows::events(&["EV1"]);
    server.call("POST", JOBS, &key, file.as_bytes()).accepted();
    let answer = server.call("PUT", JOBS, &key, file.as_bytes());
    assert_eq!(answer.problem(), (409, "CVRS-REQUEST-CONFLICT".to_owned()));
}

#[test]
fn s1_10_status_413_is_a_body_that_is_too_large() {
    let server = Server::with(&[("CVRSD__INTAKE__MAX_BODY_BYTES", "1000")]);
    let answer = server.upload("POST", "text/plain", vec![b'x'; 1_000]);
    assert_eq!(answer.problem(), (413, "CVRS-BODY-TOO-LARGE".to_owned()));
    server.submit("POST", vec![b'x'; 999]);
}

#[test]
fn s1_10_status_415_is_a_wrong_content_type() {
    let server = Server::new();
    for media in ["application/json", "text/csv", "application/x-www-form-urlencoded", ""] {
        let answer = server.upload("DELETE", media, rows::ids(&["EV1"]));
        assert_eq!(answer.problem(), (415, "CVRS-MEDIA-TYPE-UNSUPPORTED".to_owned()), "{media}");
    }
}

/// An upload that stands still after its first bytes, and the bytes that it still has to send.
fn held(server: &Server) -> (TcpStream, Vec<u8>) {
    // Empty lines count for nothing; with them it is too long to stay in memory.
    let body = [rows::events(&["EV1"]).into_bytes(), b"\n".repeat(10_000)].concat();
    let length = body.len().to_string();
    let mut stream = server.open("POST", JOBS, &[TEXT, ("Content-Length", &length)]);
    stream.write_all(&body[..5_000]).unwrap();
    let spool = server.daemon.dir.join("spool");
    while std::fs::read_dir(&spool).unwrap().next().is_none() {
        std::thread::yield_now();
    }
    (stream, body[5_000..].to_vec())
}

fn seconds(answer: &Answer) -> u32 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn s1_10_status_429_is_a_quota_with_retry_after() {
    let server = Server::with(&[("CVRSD__INTAKE__UPLOADS_MAX", "1")]);
    let large = [rows::ids(&["EV1"]).into_bytes(), b"\n".repeat(10_000)].concat();
    // One that has stood still for long makes room; on a busy machine that may be before the next one comes.
    let beside = |_| {
        let (stream, rest) = held(&server);
        let answer = server.upload("DELETE", "text/plain", &large);
        (answer.status == 429).then_some((stream, rest, answer))
    };
    let (mut stream, rest, refused) = (0..10).find_map(beside).unwrap();
    assert_eq!(refused.problem(), (429, "CVRS-UPLOADS-EXHAUSTED".to_owned()));
    assert!(seconds(&refused) > 0);
    stream.write_all(&rest).unwrap();
    http::read(stream).accepted();
}

#[test]
fn s1_10_status_503_is_a_daemon_that_drains_with_retry_after() {
    let server = Server::new();
    let (mut stream, rest) = held(&server);
    server.daemon.signal("TERM");
    // Until it has seen the signal it still accepts.
    let mut answers = (0..500).map(|_| server.upload("DELETE", "text/plain", rows::ids(&["EV1"])));
    let refused = answers.find(|answer| answer.status != 202).unwrap();
    assert_eq!(refused.problem(), (503, "CVRS-DRAINING".to_owned()));
    assert!(seconds(&refused) > 0);
    stream.write_all(&rest).unwrap();
    http::read(stream).accepted();
}
