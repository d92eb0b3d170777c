//! The command line as a black box, against a server that answers from a script.

#![expect(
    clippy::unwrap_used,
    reason = "a test; the lint spares only functions that are marked as one"
)]

mod server;

use std::{
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use server::{FAILED, FLAKY, MANY_ERRORS, PARTIAL, UNKNOWN, serve};

/// The program with its own command line settings and nothing of ours.
fn cvrsd(server: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cvrsd"));
    for name in ["CVRSD_TOKEN", "CVRSD_ADMIN"] {
        command.env_remove(name);
    }
    command.env("CVRSD_SERVER", server).args(args).stdin(Stdio::null());
    command
}

fn run(server: &str, args: &[&str]) -> Output {
    cvrsd(server, args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (dir, path)
}

#[test]
fn help_and_version_end_well_and_bad_usage_does_not() {
    for (args, expected) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["submit", "--help"], 0),
        (&[], 64),
        (&["nonsense"], 64),
        (&["submit", "remove", "file"], 64),
        (&["submit", "delete", "no/such/file.txt"], 64),
        (&["list", "--status", "DONE"], 64),
        (&["generate", "--rows", "many", "--out", "x"], 64),
        (&["get", "x", "--server", "ftp://127.0.0.1:1"], 64),
        (&["demo", "--rows", "0"], 64),
    ] {
        assert_eq!(code(&run("http://127.0.0.1:1", args)), expected, "{args:?}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_69() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (_dir, path) = file("a.txt", b"x");
    let path = path.to_str().unwrap();
    for args in [
        &["get", "x"][..],
        &["watch", "x"],
        &["list"],
        &["cancel", "x"],
        &["errors", "x"],
        &["submit", "delete", path],
    ] {
        assert_eq!(code(&run(&format!("http://{free}"), args)), 69, "{args:?}");
    }
    let admin = format!("http://{free}");
    assert_eq!(code(&run("", &["records", "count", "--admin", &admin])), 69);
}

#[test]
fn a_configuration_error_is_64_and_names_the_key() {
    let (_dir, path) = file("c.toml", b"[engine]\nworker = 2\n");
    let path = path.to_str().unwrap();
    for command in ["check-config", "serve"] {
        let output = run("", &[command, "--config", path]);
        assert_eq!(code(&output), 64);
        assert!(stderr(&output).contains("engine.workers"), "{}", stderr(&output));
    }
    let output = cvrsd("", &["check-config"]).env("CVRSD__GRPC__LISTEN", "0.0.0.0:1").output();
    let output = output.unwrap();
    assert_eq!(code(&output), 64);
    assert!(stderr(&output).contains("grpc.listen"));
    for endpoint in ["http://", "collector:4317", "http://user:word@collector:4317"] {
        let output = cvrsd("", &["check-config"]).env("CVRSD__TRACES__ENDPOINT", endpoint).output();
        let output = output.unwrap();
        assert_eq!(code(&output), 64, "{endpoint}");
        assert!(stderr(&output).contains("traces") && !stderr(&output).contains("word"));
    }
    assert_eq!(stdout(&run("", &["check-config"])), "ok\n");
}

#[test]
fn a_directory_without_an_audit_log_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = run("", &["audit", "verify", "--dir", dir.path().to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("there is no audit log"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_sent_whole_with_its_length_digest_and_type() {
    let (script, url) = serve().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
    let (_dir, path) = file("a.zip", &bytes);
    let args = ["submit", "delete", path.to_str().unwrap(), "--token", "Bearer t", "--output=json"];
    let output = run(&url, &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    let upload = script.uploads().pop().unwrap();
    assert!(upload.body == bytes, "the body arrived as it was");
    assert_eq!(upload.operation, "delete");
    assert_eq!(upload.token.as_deref(), Some("Bearer t"));
    assert_eq!(upload.header.media_type, "application/zip");
    assert_eq!(upload.header.content_length, Some(3_000_000));
    assert_eq!(upload.header.content_sha256.unwrap().len(), 32);
    assert!(!upload.header.validate_only);
    assert_eq!(receipt["job_id"], PARTIAL);
    assert_eq!(receipt["request_id"], upload.header.request_id);
    assert!(uuid::Uuid::parse_str(&upload.header.request_id).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_its_method_and_prints_the_job_id() {
    let (script, url) = serve().await;
    let (_dir, path) = file("a.txt", b"vax_event_id\nA\n");
    for operation in ["create", "update", "delete"] {
        let args = ["submit", operation, path.to_str().unwrap(), "--validate-only"];
        let output = run(&url, &args);
        assert_eq!((code(&output), stdout(&output)), (0, format!("{PARTIAL}\n")));
        assert_eq!(stderr(&output), "");
        let upload = script.uploads().pop().unwrap();
        assert_eq!(upload.operation, operation);
        assert!(upload.header.validate_only);
        assert_eq!(upload.header.media_type, "text/plain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_repeated_under_the_same_key_where_the_server_was_lost() {
    let (script, url) = serve().await;
    script.lose_uploads(2);
    let (_dir, path) = file("a.txt", b"vax_event_id\nA\n");
    let output = run(&url, &["submit", "create", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let keys: Vec<String> =
        script.uploads().into_iter().map(|upload| upload.header.request_id).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_where_it_was_cut_and_shows_each_event_once() {
    let (script, url) = serve().await;
    let output = run(&url, &["watch", FLAKY, "--output", "json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let messages: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<(&str, u64)> = messages
        .iter()
        .map(|m| (m["kind"].as_str().unwrap(), m["seq"].as_u64().unwrap()))
        .filter(|(kind, _)| *kind != "draining")
        .collect();
    assert_eq!(seen, [("snapshot", 1), ("event", 2), ("event", 3), ("event", 4)]);
    assert_eq!(messages.last().unwrap()["job"]["outcome"], "SUCCEEDED");
    assert_eq!(script.watched(), [0, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_after_the_newest_event_of_a_finished_job_ends_at_once() {
    let (_script, url) = serve().await;
    let output = run(&url, &["watch", PARTIAL, "--after-seq", "9"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("PARTIAL"), "{}", stdout(&output));
    assert!(stderr(&output).contains("cvrsd errors"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_job_that_failed_fails_the_command() {
    let (script, url) = serve().await;
    let output = run(&url, &["watch", FAILED]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("outcome     FAILED"), "{}", stdout(&output));
    script.answer_uploads_with(FAILED);
    let (_dir, path) = file("a.txt", b"x");
    let output = run(&url, &["submit", "delete", path.to_str().unwrap(), "--watch"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).starts_with(&format!("{FAILED}\n")), "{}", stdout(&output));
    assert!(stderr(&output).contains("no rows"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_one_line_with_its_code_and_exits_1() {
    let (_script, url) = serve().await;
    for args in [["get", UNKNOWN], ["watch", UNKNOWN], ["errors", UNKNOWN], ["cancel", UNKNOWN]] {
        let output = run(&url, &args);
        assert_eq!(code(&output), 1, "{args:?}");
        let line = stderr(&output);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("CVRS-JOB-NOT-FOUND"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_through_all_pages_in_both_forms() {
    let (_script, url) = serve().await;
    let jobs: Value =
        serde_json::from_slice(&run(&url, &["list", "--output=json"]).stdout).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 3);
    assert_eq!(jobs[0]["status"], "DE-QUEUED");
    let table = stdout(&run(&url, &["list"]));
    assert_eq!(table.lines().count(), 4, "{table}");
    let one: Value =
        serde_json::from_slice(&run(&url, &["list", "--output=json", "--limit=1"]).stdout).unwrap();
    assert_eq!(one.as_array().unwrap().len(), 1);
    let none = run(&url, &["list", "--output=json", "--status", "queued"]);
    assert_eq!(stdout(&none), "[]\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_says_whether_it_took_effect() {
    let (_script, url) = serve().await;
    let output = run(&url, &["cancel", PARTIAL, "--output", "json"]);
    assert_eq!(code(&output), 0);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["cancelled"], false);
    assert_eq!(answer["job"]["job_id"], PARTIAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_written_whole_with_a_header() {
    let (_script, url) = serve().await;
    let text = stdout(&run(&url, &["errors", PARTIAL]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage");
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.split('\t').count() == 8));
    let json = stdout(&run(&url, &["errors", PARTIAL, "--output", "json"]));
    assert_eq!(json.lines().count(), 2);
    let first = r#"{"line":2,"kind":"validation","storage":"","vax_event_id":"#;
    assert!(json.starts_with(first), "the members have the order of the report: {json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_job_that_has_not_ended_is_told_to_be_unfinished() {
    let (_script, url) = serve().await;
    let whole = run(&url, &["errors", PARTIAL]);
    assert_eq!((code(&whole), stderr(&whole)), (0, String::new()));
    let unfinished = run(&url, &["errors", FLAKY]);
    assert_eq!(code(&unfinished), 0);
    assert!(stderr(&unfinished).contains("had not ended"), "{}", stderr(&unfinished));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_ends_the_command_quietly() {
    let (_script, url) = serve().await;
    let mut command = cvrsd(&url, &["errors", MANY_ERRORS]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn generated_files_are_the_same_for_the_same_seed() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, more: &[&str]| {
        let path = dir.path().join(name);
        let mut args = vec!["generate", "--rows", "100", "--out", path.to_str().unwrap()];
        args.extend(more);
        assert_eq!(code(&run("", &args)), 0, "{args:?}");
        std::fs::read(path).unwrap()
    };
    assert!(make("a.txt", &["--seed", "5"]) == make("b.txt", &["--seed", "5"]));
    assert!(make("a.txt", &["--seed", "5"]) != make("b.txt", &["--seed", "6"]));
    assert!(make("a.zip", &["--zip"]) == make("a.zip", &["--zip"]));
    let missing = dir.path().join("no/such/folder.txt");
    let output = run("", &["generate", "--rows", "1", "--out", missing.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
}
