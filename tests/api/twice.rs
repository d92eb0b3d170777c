//! Two daemons on one directory.

use std::{
    io::Read,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{Operation, Outcome};

use crate::support::{
    Daemon, command, files,
    jobs::{self, Upload},
    ready, spawn, start, wait_exit,
};

/// Starts one that is expected to find the directory in use.
fn second(dir: &Path) -> Child {
    command(dir, &[], &[]).stderr(Stdio::piped()).spawn().unwrap()
}

/// It ended with 75 and one line that says why.
fn check_in_use(mut child: Child, dir: &Path) {
    let status = wait_exit(&mut child);
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(status.code(), Some(75), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains(&format!("data directory {} is in use", dir.display())), "{text}");
}

async fn check_works(daemon: &Daemon, seed: u64) {
    let upload = Upload::text(Operation::Create, &files::text(seed, 0..100));
    let job = jobs::run(&mut daemon.jobs().await, &upload).await;
    assert_eq!(job.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_exits_with_75_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path(), &[]);
    let addresses = || std::fs::read_to_string(dir.path().join("listen.json")).unwrap();
    let before = addresses();
    // While the first one works.
    let upload = Upload::text(Operation::Create, &files::text(1, 0..20_000));
    let (id, _) = jobs::submit(&mut first.jobs().await, &upload).await.unwrap();
    check_in_use(second(dir.path()), dir.path());
    let job = jobs::wait(&mut first.jobs().await, &id).await;
    assert_eq!((job.outcome(), job.rows.unwrap().applied), (Outcome::Succeeded, 20_000));
    assert_eq!(addresses(), before, "callers still find the first");
    check_works(&first, 2).await;
    assert!(first.stop().success());
    let next = start(dir.path(), &[]);
    check_works(&next, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_start_at_once_one_serves() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut both = [second(dir.path()), second(dir.path())];
        let began = Instant::now();
        let loser = loop {
            if let Some(at) = both.iter_mut().position(|child| child.try_wait().unwrap().is_some())
            {
                break at;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "both run");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let [one, other] = both;
        let (loser, winner) = if loser == 0 { (one, other) } else { (other, one) };
        check_in_use(loser, dir.path());
        let winner = ready(dir.path(), winner);
        check_works(&winner, round).await;
        assert!(winner.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_starts_while_the_first_is_killed_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = start(dir.path(), &[]);
    for round in 0..5 {
        let upload = Upload::text(Operation::Create, &files::text(round, 0..5_000));
        let (id, _) = jobs::submit(&mut daemon.jobs().await, &upload).await.unwrap();
        let next = spawn(dir.path(), &[]);
        tokio::time::sleep(Duration::from_millis(100)).await;
        daemon.kill();
        daemon = ready(dir.path(), next);
        let job = jobs::wait(&mut daemon.jobs().await, &id).await;
        assert_eq!((job.outcome(), job.rows.unwrap().applied), (Outcome::Succeeded, 5_000));
    }
    assert!(daemon.stop().success());
}
