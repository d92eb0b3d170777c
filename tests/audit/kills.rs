//! Kills and damage.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use cvrsd::proto::jobs::Operation;

use crate::{
    log::{audit, entries, verified},
    support::{
        Daemon,
        jobs::{self, Upload},
        rows, spawn, start, verify, wait_exit,
    },
};

/// Daemons that are killed, one after the other.
const KILLS: u64 = 4;
const CALLERS: usize = 4;
/// What each of them submits at least before the kill.
const ACTS: usize = 10;

/// Jobs whose submit, and whose cancel, was answered.
#[derive(Default)]
struct Answered {
    submits: Vec<String>,
    cancels: Vec<String>,
}

#[test]
fn every_answered_submit_and_cancel_has_its_entry_over_kills() {
    let dir = tempfile::tempdir().unwrap();
    let answered = Mutex::new(Answered::default());
    for _ in 0..KILLS {
        let daemon = start(dir.path(), &[]);
        act_until_killed(daemon, &answered);
        verified(dir.path(), &[]);
    }
    // The next start cuts off what a kill left unfinished.
    assert!(start(dir.path(), &[]).stop().success());
    let entries = entries(dir.path());
    let of = |kind: &str| -> HashSet<String> {
        let of_kind = entries.iter().filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["job"].as_str().unwrap().to_owned()).collect()
    };
    let (submits, cancels) = (of("job.submit"), of("job.cancel"));
    let answered = answered.into_inner().unwrap();
    assert!(answered.submits.len() >= CALLERS * ACTS);
    let missing = answered.submits.iter().find(|id| !submits.contains(*id));
    assert_eq!(missing, None, "an answered submit");
    let missing = answered.cancels.iter().find(|id| !cancels.contains(*id));
    assert_eq!(missing, None, "an answered cancel");
    // One entry for each job, whether it was made by the commit or by a start.
    let made: Vec<u64> = entries
        .iter()
        .filter(|entry| entry["kind"] == "job.submit")
        .map(|entry| entry["order"].as_u64().unwrap())
        .collect();
    assert_eq!(made.iter().copied().collect::<HashSet<_>>(), (1..=made.len() as u64).collect());
    let starts = entries.iter().filter(|entry| entry["kind"] == "daemon.start").count();
    assert_eq!(starts as u64, KILLS + 1);
    verify(dir.path());
}

/// Submits and cancels from several callers at once; kills the daemon in the middle.
fn act_until_killed(daemon: Daemon, answered: &Mutex<Answered>) {
    let (address, killed) = (format!("http://{}", daemon.grpc), AtomicBool::new(false));
    let before = answered.lock().unwrap().submits.len();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (address, killed) = (&address, &killed);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(act(address, caller, killed, answered));
            });
        }
        while answered.lock().unwrap().submits.len() < before + CALLERS * ACTS {
            thread::sleep(Duration::from_millis(2));
        }
        daemon.kill();
        killed.store(true, Ordering::Release);
    });
}

async fn act(address: &str, caller: usize, killed: &AtomicBool, answered: &Mutex<Answered>) {
    let mut client = jobs::Client::connect(address.to_owned()).await.unwrap();
    let upload = Upload::text(Operation::Create, rows::events(&[&format!("E{caller}")]).as_bytes());
    while !killed.load(Ordering::Acquire) {
        let Ok((id, _)) = jobs::submit(&mut client, &upload).await else { return };
        answered.lock().unwrap().submits.push(id.clone());
        let request = cvrsd::proto::jobs::CancelJobRequest { job_id: id.clone() };
        if client.cancel_job(request).await.is_err() {
            return;
        }
        answered.lock().unwrap().cancels.push(id);
    }
}

#[test]
fn a_changed_log_is_named_by_verify_and_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    assert!(start(dir.path(), &[]).stop().success());
    let path = dir.path().join("audit/00000001.log");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("daemon.start", "daemon.stort", 1)).unwrap();
    let output = audit("verify", dir.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("00000001.log line 2: its hash is that of other bytes"), "{said}");
    assert_eq!(ended(dir.path()), Some(70));
    fs::write(&path, text).unwrap();
    assert!(start(dir.path(), &[]).stop().success());
}

fn ended(dir: &Path) -> Option<i32> {
    wait_exit(&mut spawn(dir, &[])).code()
}
