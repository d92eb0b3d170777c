//! grpcio: the example client, the standard services, and uploads that are given up.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use cvrsd::proto::jobs::Operation;

use crate::{
    left_nothing, need, run, source,
    support::{
        files,
        jobs::{self, Upload},
        start,
    },
};

/// Small batches, so that a job has many events and a kill finds it half done.
const SMALL_STEPS: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "1000"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "1ms"),
    ("CVRSD__ENGINE__RETRY_MIN", "10ms"),
];

/// The Python with grpcio and our stubs. It is made by the example's own set-up, once for as long as
/// neither that nor the protocol changes.
fn python() -> Command {
    let probe = ["-c", "import ensurepip, venv"];
    need(Command::new("python3").args(probe), "python3 python3-venv");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = place.join("python");
    // Tests run side by side, also in processes of their own.
    let lock = File::create(place.join("python.lock")).unwrap();
    lock.lock().unwrap();
    let (made_of, stamp) = (made_of(), venv.join("made-of"));
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&made_of) {
        if venv.exists() {
            fs::remove_dir_all(&venv).unwrap();
        }
        run(Command::new(source("examples/python/setup.sh")).arg(&venv));
        fs::write(stamp, made_of).unwrap();
    }
    let mut python = Command::new(venv.join("bin/python"));
    python.arg("-B").env("PYTHONUNBUFFERED", "1");
    python
}

/// Everything that the environment depends on.
fn made_of() -> String {
    let mut text = run(Command::new("python3").arg("--version"));
    for file in [
        "examples/python/setup.sh",
        "examples/python/requirements.txt",
        "proto/cvrsd/jobs/v1/job.proto",
        "proto/cvrsd/jobs/v1/job_service.proto",
    ] {
        text += &fs::read_to_string(source(file)).unwrap();
    }
    text
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn client(file: &Path, address: &str) -> Command {
    let mut command = python();
    command.arg(source("examples/python/client.py")).arg(file).args(["--server", address]);
    command
}

/// The numbers of the events that the client printed.
fn seqs(told: &str) -> Vec<u64> {
    let lines = told.lines().filter_map(|line| line.strip_prefix("seq "));
    lines.map(|line| line.split(':').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_deletes_and_tells_progress_result_and_errors() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(&dir.path().join("data"), &[]);
    let mut rust = daemon.jobs().await;
    jobs::run(&mut rust, &Upload::text(Operation::Create, &files::text(1, 0..8_000))).await;
    // More than one chunk as text; two rows that are not there, one without an id.
    let mut text = files::text(1, 0..8_002);
    assert!(text.len() > 2 << 20);
    text.extend_from_slice(b"\tx\n");
    for (name, body, deleted, missing) in
        [("a.txt", text.clone(), 8_000, 2), ("a.zip", files::zip(&text), 0, 8_002)]
    {
        let file = write(dir.path(), name, &body);
        let told = run(&mut client(&file, &daemon.grpc));
        assert!(told.contains(&format!("{} bytes taken", body.len())), "{told}");
        let seqs = seqs(&told);
        assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
        assert!(told.contains(": COMPLETED, 8003 rows read, 8002 processed"), "{told}");
        assert!(told.contains("outcome PARTIAL\n"), "{told}");
        for storage in ["NON_REDACTED_DB", "REDACTED_DB"] {
            let line = format!("{storage}: {deleted} deleted, {missing} errors\n");
            assert!(told.contains(&line), "{line}{told}");
            let errors = format!(" {storage} Record does not exist\n");
            assert_eq!(told.matches(&errors).count(), missing);
        }
        assert!(told.contains("line 8004:  vax_event_id must not be null\n"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_sees_every_event_once_though_the_daemon_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let daemon = start(&data, SMALL_STEPS);
    let address = daemon.grpc.clone();
    let text = files::text(1, 0..60_000);
    jobs::run(&mut daemon.jobs().await, &Upload::zip(Operation::Create, &text)).await;
    let file = write(dir.path(), "a.zip", &files::zip(&text));
    let mut child = client(&file, &address).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told: Vec<String> = Vec::new();
    for line in lines.by_ref() {
        told.push(line);
        if told.last().is_some_and(|line| line.contains(": PROCESSING, ")) {
            break;
        }
    }
    daemon.kill();
    let killed = SystemTime::now();
    let daemon = start(&data, &[SMALL_STEPS, &[("CVRSD__GRPC__LISTEN", &address)]].concat());
    told.extend(lines);
    let told = told.join("\n");
    assert!(child.wait().unwrap().success(), "{told}");
    let seqs = seqs(&told);
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{told}");
    assert!(told.contains("outcome SUCCEEDED"), "{told}");
    assert!(told.contains("REDACTED_DB: 60000 deleted, 0 errors"), "{told}");
    let job_id = told.strip_prefix("job ").unwrap().split(':').next().unwrap();
    let job = jobs::get(&mut daemon.jobs().await, job_id).await;
    assert_eq!(seqs.last(), Some(&job.seq));
    let ended = SystemTime::try_from(job.end_time.unwrap()).unwrap();
    assert!(ended > killed, "the job was over before the kill");
}

#[test]
fn the_python_client_tells_a_refusal_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(&dir.path().join("data"), &[]);
    let file = write(dir.path(), "a.zip", b"not a zip");
    let output = client(&file, &daemon.grpc).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("INVALID_ARGUMENT: "), "{told}");
}

#[test]
fn health_reflection_and_deadlines_work_with_grpcio() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    run(python().arg(source("tests/clients/checks.py")).args(["standard", &daemon.grpc]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_grpcio_gives_up_leaves_nothing() {
    for how in ["cancel", "cancel-with-length", "deadline", "close", "exit", "hasty"] {
        println!("{how}");
        let dir = tempfile::tempdir().unwrap();
        let daemon = start(&dir.path().join("data"), &[]);
        let text = files::text(1, 0..8_000);
        let file = write(dir.path(), "a.txt", &text);
        let mut checks = python();
        checks.arg(source("tests/clients/checks.py")).args(["abandon", how, &daemon.grpc]);
        run(checks.arg(daemon.dir.join("spool")).arg(&file));
        left_nothing(&daemon, "abandoned", &text).await;
    }
}
