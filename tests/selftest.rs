//! `cvrsd selftest` as an operator runs it.

#![expect(
    clippy::unwrap_used,
    reason = "a test; the lint spares only functions that are marked as one"
)]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cvrsd"));
    // Its daemon has settings of its own.
    command.env("CVRSD__GRPC__LISTEN", "nonsense").stdin(Stdio::null());
    command.arg("selftest").arg("--dir").arg(dir).args(args);
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn rounds_of_kills_lose_nothing_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--kill", "-n", "3", "--seed", "5", "--output", "json"]);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{notes}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| found[name].as_u64().unwrap();
    assert_eq!((number("rounds"), number("lost"), number("doubled")), (3, 0, 0));
    assert!(number("kills") >= 3 && number("jobs") >= 3, "{found}");
    assert!(number("acknowledged") <= number("jobs"), "{found}");
    assert!(found["syncs_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(number("seed"), 5);
    assert!(found["file_system"].is_string(), "{found}");
    assert!(notes.contains("round 3: "), "{notes}");
    assert_eq!(files(dir.path()), 0, "its directory is gone");
}

#[test]
fn without_kills_one_round_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let value = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(
        (value("rounds"), value("kills"), value("lost")),
        ("1".into(), "0".into(), "0".into())
    );
    assert_eq!(files(dir.path()), 0, "its directory is gone");
}

#[test]
fn a_run_that_is_broken_off_names_its_files_and_leaves_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path(), &["--kill", "-n", "1000"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let kept = loop {
        let kept = std::fs::read_dir(dir.path()).unwrap().next().map(|entry| entry.unwrap().path());
        if let Some(kept) = kept.filter(|kept| kept.join("data/listen.json").exists()) {
            break kept;
        }
        assert!(Instant::now() < deadline, "it starts no daemon");
        thread::sleep(Duration::from_millis(10));
    };
    let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{notes}");
    assert!(notes.contains(kept.to_str().unwrap()), "{notes}");
    assert!(
        kept.join("data").exists() && !kept.join("data/listen.json").exists(),
        "it was stopped"
    );
}

#[test]
fn a_directory_that_is_not_there_is_bad_usage() {
    let output = run(Path::new("no/such/folder"), &["--kill"]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(run(Path::new("."), &["-n", "3"]).status.code(), Some(64), "rounds of what?");
}
