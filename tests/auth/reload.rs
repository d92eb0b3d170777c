//! `SIGHUP`.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Client, Method};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    bench::{ALL, JOBS, asked, client, client_with_secret, id_of, problem, refused, token_of},
    support::{Daemon, PATIENCE, command, files, ready},
};

/// A daemon whose log can be read.
fn serve(dir: &Path, clients: &str) -> Daemon {
    let config = dir.join("cvrsd.toml");
    write(dir, clients);
    let data = dir.join("data");
    let args = ["--config", config.to_str().unwrap()];
    let mut command = command(&data, &args, &[("CVRSD__LOG__LEVEL", "info")]);
    let log = File::create(dir.join("log")).unwrap();
    ready(&data, command.stderr(log).spawn().unwrap())
}

fn write(dir: &Path, clients: &str) {
    let text = format!("[auth]\nmode = \"token\"\n{clients}");
    std::fs::write(dir.join("cvrsd.toml"), text).unwrap();
}

/// Sends the signal and waits until the log tells of it, with these words.
async fn hang_up(daemon: &Daemon, dir: &Path, told: &str) {
    let count = || std::fs::read_to_string(dir.join("log")).unwrap().matches(told).count();
    let before = count();
    daemon.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while count() == before {
        assert!(Instant::now() < deadline, "the log does not say {told:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn generate(daemon: &Daemon, client: &str) -> reqwest::Response {
    let request = Client::new().post(daemon.url("/v0/token/gen"));
    request.body(asked(client, ALL).to_string()).send().await.unwrap()
}

async fn list(daemon: &Daemon, token: &str) -> reqwest::Response {
    let request = Client::new().get(daemon.url(JOBS)).header("authorization", token);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_and_go_and_what_is_on_its_way_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (a, b) = (client("A", "TA", ""), client("B", "TB", ""));
    let daemon = serve(dir, &format!("{a}{b}"));
    let token_a = token_of(generate(&daemon, "A").await).await;
    let token_b = token_of(generate(&daemon, "B").await).await;
    assert_eq!(problem(generate(&daemon, "C").await).await, refused(401, "CVRS-CLIENT-UNKNOWN"));

    let (pieces, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    let upload = Client::new()
        .request(Method::POST, daemon.url(JOBS))
        .header("authorization", &token_a)
        .header("content-type", "text/plain")
        .body(reqwest::Body::wrap_stream(ReceiverStream::new(body)))
        .send();
    let upload = tokio::spawn(upload);
    // More than stays in memory.
    let text = files::text(1, 0..30);
    let (first, rest) = text.split_at(5_000);
    pieces.send(Ok(Bytes::copy_from_slice(first))).await.unwrap();
    let part = dir.join("data/spool");
    let deadline = Instant::now() + PATIENCE;
    while std::fs::read_dir(&part).unwrap().next().is_none() {
        assert!(Instant::now() < deadline, "the upload does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    write(dir, &format!("{a}{}", client("C", "TC", "")));
    hang_up(&daemon, dir, "were read again").await;
    let token_c = token_of(generate(&daemon, "C").await).await;
    assert_eq!(list(&daemon, &token_c).await.status(), 200);
    assert_eq!(list(&daemon, &token_a).await.status(), 200);
    assert_eq!(problem(list(&daemon, &token_b).await).await, refused(401, "CVRS-TOKEN-INVALID"));
    assert_eq!(problem(generate(&daemon, "B").await).await, refused(401, "CVRS-CLIENT-UNKNOWN"));

    pieces.send(Ok(Bytes::copy_from_slice(rest))).await.unwrap();
    drop(pieces);
    id_of(upload.await.unwrap().unwrap()).await;

    let other = client_with_secret("A", "TA", "new", "");
    write(dir, &other);
    hang_up(&daemon, dir, "were read again").await;
    assert_eq!(problem(list(&daemon, &token_a).await).await, refused(401, "CVRS-TOKEN-INVALID"));
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    for secret in [&token_a, &token_b, &token_c, "A-secret", "B-secret"] {
        assert!(!log.contains(secret), "a token or secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_broken_file_the_clients_are_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let a = client("A", "TA", "");
    let daemon = serve(dir, &a);
    let token = token_of(generate(&daemon, "A").await).await;
    let broken = ["x", "", "[[auth.client]]\nid = \"B\"\n", &format!("{a}{a}")];
    for clients in broken {
        write(dir, clients);
        hang_up(&daemon, dir, "nothing was changed").await;
        assert_eq!(list(&daemon, &token).await.status(), 200);
        token_of(generate(&daemon, "A").await).await;
    }
    std::fs::write(dir.join("cvrsd.toml"), "").unwrap();
    hang_up(&daemon, dir, "counts from the next start").await;
    assert_eq!(list(&daemon, &token).await.status(), 200);
    let stranger = Client::new().get(daemon.url(JOBS)).send().await.unwrap();
    assert_eq!(problem(stranger).await, refused(401, "CVRS-TOKEN-MISSING"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_start_and_no_reading_again_tells_the_digest_of_a_broken_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let a = client("A", "TA", "");
    let (before, from) = a.split_once("secret_sha256 = \"").unwrap();
    let digest = from.split('"').next().unwrap();
    let broken = [
        (format!("{before}secret_sha256 = \"{digest}\n"), "line 6, column"),
        (a.replace("[[auth.client]]", "[auth.client]"), "auth.client: expected a sequence"),
    ];
    let daemon = serve(dir, &a);
    for (clients, told) in &broken {
        write(dir, clients);
        hang_up(&daemon, dir, told).await;
        let config = dir.join("cvrsd.toml");
        let args = ["--config", config.to_str().unwrap()];
        let start = command(&dir.join("other"), &args, &[]).output().unwrap();
        let stderr = String::from_utf8(start.stderr).unwrap();
        assert_eq!(start.status.code(), Some(64));
        assert!(stderr.contains(told) && !stderr.contains(digest), "{stderr}");
    }
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    assert!(!log.contains(digest), "{log}");
}
