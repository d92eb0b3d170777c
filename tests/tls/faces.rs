//! The three listeners inside of TLS, and what does not speak it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    bench::{Bench, stderr, stdout},
    pki::Authority,
    support::{PATIENCE, files, http::JOBS, program, start},
};

#[test]
fn the_command_line_submits_and_watches_and_reads_back_inside_of_tls() {
    let bench = Bench::plain();
    let file = bench.path().join("a.txt");
    fs::write(&file, files::text(1, 0..30)).unwrap();
    let submitted = bench.cvrsd(&["submit", "create", file.to_str().unwrap(), "--watch"]);
    assert!(submitted.status.success(), "{}", stderr(&submitted));
    assert!(stdout(&submitted).contains("SUCCEEDED"), "{submitted:?}");
    let listed = bench.cvrsd(&["list", "--output", "json"]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    let counted = bench.cvrsd(&["records", "count"]);
    assert!(stdout(&counted).contains("local\tNON_REDACTED_DB\t30\n"), "{counted:?}");
}

#[test]
fn a_command_that_does_not_trust_the_server_sends_it_nothing() {
    let bench = Bench::plain();
    let other = Authority::new(bench.path(), "other");
    for (ca, told) in [
        (other.file.to_str().unwrap(), "certificate"),
        // The system's authorities did not sign it either.
        ("", "certificate"),
    ] {
        let mut command = Command::new(program());
        command.args(["list", "--token", "secret"]).env_remove("CVRSD_CA");
        command.env("CVRSD_SERVER", format!("https://{}", bench.daemon.grpc));
        if !ca.is_empty() {
            command.args(["--ca", ca]);
        }
        let output = command.output().unwrap();
        let code = output.status.code();
        // A system without any authorities is a matter of its configuration.
        assert!(code == Some(69) || ca.is_empty() && code == Some(64), "{output:?}");
        assert!(stderr(&output).contains(told), "{output:?}");
    }
    let address = format!("https://localhost:{}", bench.daemon.grpc.rsplit_once(':').unwrap().1);
    let named = bench.cvrsd(&["list", "--server", &address]);
    assert!(named.status.success(), "{}", stderr(&named));
}

#[test]
fn rest_and_admin_are_served_in_both_versions_of_http() {
    let bench = Bench::plain();
    let (rest, admin) = (&bench.daemon.rest, &bench.daemon.admin);
    for (address, path) in [(rest, JOBS), (admin, "/readyz"), (admin, "/livez")] {
        for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let answer = bench.curl(address, path, None, &[option]);
            assert_eq!((answer.code, answer.status), (0, 200), "{answer:?}");
            assert_eq!(answer.version, version, "{answer:?}");
        }
    }
    for version in ["1.2", "1.3"] {
        let only = [format!("--tlsv{version}"), "--tls-max".to_owned(), version.to_owned()];
        let only: Vec<_> = only.iter().map(String::as_str).collect();
        assert_eq!(bench.curl(rest, JOBS, None, &only).status, 200, "TLS {version}");
    }
    let file = bench.path().join("a.txt");
    fs::write(&file, files::text(1, 0..3_000)).unwrap();
    let data = format!("@{}", file.display());
    let upload = ["-X", "POST", "-H", "Content-Type: text/plain", "--data-binary", &data];
    let answer = bench.curl(rest, "/v0/upload/cvrs/batch", None, &upload);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["storageResult"]["REDACTED_DB"]["recordsProcessed"], 3_000);
}

#[test]
fn the_page_of_the_daemon_itself_is_no_other_origin() {
    let bench = Bench::plain();
    let origin = |origin: String| {
        let header = format!("Origin: {origin}");
        bench.curl(&bench.daemon.rest, JOBS, None, &["-H", &header]).status
    };
    assert_eq!(origin(format!("https://{}", bench.daemon.rest)), 200);
    assert_eq!(origin("https://evil.example".to_owned()), 403);
}

#[test]
fn the_metrics_tell_when_the_certificate_expires() {
    let bench = Bench::plain();
    let metrics = bench.curl(&bench.daemon.admin, "/metrics", None, &[]).body;
    let line = metrics.lines().find(|l| l.starts_with("cvrsd_tls_certificate_expiry_seconds "));
    let told: f64 = line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
    // That of rcgen's default, 4096-01-01.
    assert!((told - 67_090_118_400.0).abs() < 0.5, "{told}");
    assert!(bench.log().contains("4096-01-01T00:00:00Z"), "{}", bench.log());
}

/// Everything that comes until the other side ends the connection.
fn until_the_end(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                return bytes;
            }
        }
    }
}

#[test]
fn what_is_not_tls_is_ended_at_once_and_others_are_served() {
    let bench = Bench::plain();
    let daemon = &bench.daemon;
    for address in [&daemon.grpc, &daemon.rest, &daemon.admin] {
        for request in ["GET /v0/async/cvrs/jobs HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM"] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let answer = until_the_end(stream);
            // At most an alert of TLS, never words of HTTP.
            assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "{answer:?}");
        }
        let plain = format!("http://{address}");
        let output = bench.cvrsd(&["list", "--server", &plain]);
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
    }
    assert!(bench.cvrsd(&["list"]).status.success());
    let metrics = bench.curl(&daemon.admin, "/metrics", None, &[]).body;
    assert!(metrics.contains("cvrsd_tls_handshake_failures_total "), "{metrics}");
}

#[test]
fn a_daemon_without_tls_is_told_apart_from_one_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(&dir.path().join("data"), &[]);
    let mut command = Command::new(program());
    let server = format!("https://{}", daemon.grpc);
    let output = command.args(["list", "--server", &server]).env_remove("CVRSD_CA").output();
    let output = output.unwrap();
    assert!([Some(64), Some(69)].contains(&output.status.code()), "{output:?}");
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
}

#[test]
fn long_wait_a_handshake_that_stops_is_cut_while_others_are_served() {
    let bench = Bench::plain();
    let daemon = &bench.daemon;
    let began = Instant::now();
    let mut silent = Vec::new();
    for address in [&daemon.grpc, &daemon.rest, &daemon.admin] {
        for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(bytes).unwrap();
            silent.push(stream);
        }
    }
    assert!(bench.cvrsd(&["list"]).status.success());
    assert_eq!(bench.curl(&daemon.rest, JOBS, None, &[]).status, 200);
    assert_eq!(bench.curl(&daemon.admin, "/livez", None, &[]).status, 200);
    for stream in silent {
        let answer = until_the_end(stream);
        assert!(answer.len() < 16, "{answer:?}");
    }
    assert!(began.elapsed() > Duration::from_secs(10), "they had their time");
}
