//! A disk whose syncs take long: what is not a write answers as ever.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cvrsd::{exit::Exit, proto::jobs::Operation};

use crate::{
    is_complete,
    scene::{block_on, text},
    strace::{Fault, Strace},
    support::{
        self, Daemon,
        jobs::{self, Upload},
        model::Model,
    },
};

const SYNC_TAKES: Duration = Duration::from_millis(250);
/// What nine of ten reads stay within. There is a sync at nearly any time, so if reads waited for it, most
/// would not; a single one may have to wait for a processor.
const READ_TAKES: Duration = Duration::from_millis(100);

#[test]
fn on_a_slow_disk_submits_wait_and_reads_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (data, mut model) = (dir.path().join("data"), Model::default());
    let daemon = support::start(&data, &[]);
    let file = text(0..600);
    let expected = model.apply(Operation::Create, &file);
    let strace = slow(&daemon, dir.path(), SYNC_TAKES);
    block_on(async {
        let mut client = daemon.jobs().await;
        let began = Instant::now();
        let (job_id, _) =
            jobs::submit(&mut client, &Upload::text(Operation::Create, &file)).await.unwrap();
        assert!(began.elapsed() > 3 * SYNC_TAKES, "body, its directory and the journal are synced");
        let done = AtomicBool::new(false);
        let watching = async {
            let (events, ended) = jobs::watch(&mut client.clone(), &job_id, 0).await;
            done.store(true, Ordering::Release);
            ended.unwrap();
            events
        };
        let (events, mut reads) = tokio::join!(watching, read_until(&daemon, &job_id, &done));
        reads.sort_unstable();
        let (most, slowest) = (reads[reads.len() * 9 / 10], reads[reads.len() - 1]);
        println!("{} reads, nine of ten within {most:?}, all within {slowest:?}", reads.len());
        assert!(most < READ_TAKES, "reads took {most:?}");
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert!(seqs.is_sorted() && seqs.len() > 2, "{seqs:?}");
        let job = jobs::get(&mut client, &job_id).await;
        expected.check(&job, &jobs::errors(&mut client, &job_id).await);
        model.check_live(&daemon.admin).await;
    });
    assert!(daemon.stop().success());
    strace.calls();
}

/// Reads in every way until told to stop; how long each took.
async fn read_until(daemon: &Daemon, job_id: &str, done: &AtomicBool) -> Vec<Duration> {
    let mut client = daemon.jobs().await;
    let mut reads = Vec::new();
    while !done.load(Ordering::Acquire) {
        for path in ["livez", "readyz"] {
            let began = Instant::now();
            let answer = reqwest::get(format!("http://{}/{path}", daemon.admin)).await.unwrap();
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            reads.push(began.elapsed());
        }
        let began = Instant::now();
        jobs::get(&mut client, job_id).await;
        reads.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    reads
}

/// Takes half a minute, so it runs where all points are asked for.
#[test]
fn a_sync_that_takes_longer_than_a_commit_may_ends_the_daemon() {
    if !is_complete() {
        println!("SKIPPED: CVRSD_FAULT_EVERY is not 1");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let daemon = support::start(&dir.path().join("data"), &[]);
    let stall = cvrsd::limits::COMMIT_STALL;
    let strace = slow(&daemon, dir.path(), stall + Duration::from_mins(1));
    let began = Instant::now();
    block_on(async {
        let upload = Upload::text(Operation::Create, &text(0..2));
        let refusal = jobs::submit(&mut daemon.jobs().await, &upload).await;
        assert!(refusal.is_err(), "it was answered");
    });
    let took = began.elapsed();
    // It holds the thread that syncs until its time is over.
    drop(strace);
    assert_eq!(daemon.wait().code(), Some(Exit::Stopped as i32));
    assert!(took > stall && took < stall + stall / 4, "{took:?}");
}

/// A drain is bounded, also where the journal's last sync does not come back.
#[test]
fn a_sync_that_hangs_in_a_drain_ends_the_daemon_and_the_next_start_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let env = [("CVRSD__ENGINE__DRAIN_TIMEOUT", "2s")];
    let daemon = support::start(&data, &env);
    let (mut model, file) = (Model::default(), text(0..2));
    let expected = model.apply(Operation::Create, &file);
    let upload = Upload::text(Operation::Create, &file).request_id("hangs");
    let strace = slow(&daemon, dir.path(), cvrsd::limits::COMMIT_STALL * 2);
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let refused = block_on(async { jobs::submit(&mut daemon.jobs().await, &upload).await });
            assert!(refused.is_err(), "it was answered");
        });
        // By then it has come to the sync.
        thread::sleep(Duration::from_secs(3));
        daemon.signal("TERM");
        // It is withdrawn once the drain is over.
        while data.join("listen.json").exists() {
            assert!(began.elapsed() < cvrsd::limits::COMMIT_STALL, "it drains on");
            thread::sleep(Duration::from_millis(20));
        }
        // It holds the thread that syncs until its time is over.
        drop(strace);
    });
    assert_eq!(daemon.wait().code(), Some(Exit::Stopped as i32));
    let daemon = support::start(&data, &[]);
    block_on(async {
        let mut client = daemon.jobs().await;
        let (job_id, _) = jobs::submit(&mut client, &upload).await.unwrap();
        let job = jobs::wait(&mut client, &job_id).await;
        expected.check(&job, &jobs::errors(&mut client, &job_id).await);
        model.check_live(&daemon.admin).await;
    });
    assert!(daemon.stop().success());
}

fn slow(daemon: &Daemon, scratch: &Path, sync: Duration) -> Strace {
    let what = format!("delay_enter={}", sync.as_micros());
    Strace::attach(daemon.pid(), scratch, Some(&Fault::at_syncs(&what)))
}
