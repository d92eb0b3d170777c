//! Clients that share no code with the daemon: the examples by grpcio and by curl, and clients that
//! break off in the middle of an upload.
//!
//! Needs `python3` with `venv` and `pip`, and `curl`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod broken_off;
mod curl;
mod python;
mod quick_start;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cvrsd::proto::jobs::{ListJobsRequest, Operation};
use support::{
    Daemon,
    jobs::{self, Upload},
    wait_empty,
};

/// A file of the repository.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs it to its end; gives what it printed.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} ended with {status}\n{stdout}{stderr}");
    stdout
}

/// Fails the test, saying what to install, unless that works.
fn need(command: &mut Command, install: &str) {
    let output = command.output();
    let works = output.is_ok_and(|output| output.status.success());
    assert!(works, "{command:?} does not work; on Debian: apt-get install {install}");
}

/// Waits until nothing is left of the uploads that were broken off, and checks that they made no job
/// and took no idempotency key: the same bytes, whole, are a new job.
async fn left_nothing(daemon: &Daemon, key: &str, text: &[u8]) {
    wait_empty(&daemon.dir, &["spool", "payloads"]);
    let mut client = daemon.jobs().await;
    let listed = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.jobs, []);
    let upload = Upload::text(Operation::Delete, text).request_id(key);
    let (_, seq) = jobs::submit(&mut client, &upload).await.unwrap();
    assert_eq!(seq, 1, "a new job");
    jobs::run(&mut client, &upload).await;
    let listed = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.jobs.len(), 1);
    assert_eq!(listed.jobs[0].content_length, text.len() as u64);
}
