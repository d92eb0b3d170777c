//! A change of a job to 10,000 watchers, time and memory of each, against a bare tonic fan-out.
//!
//! The change is a cancel: its two events, both of one commit, go to every watcher on both sides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{Operation, Status, WatchJobResponse};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Streaming;

use crate::{
    Bench, Result,
    bare::Bare,
    child,
    client::{Body, Client},
    daemon::{Daemon, Setup},
    figures::float,
    inputs::{self, SEED},
    report::{Comparison, Goal, Side},
};

/// Watchers of one connection.
const SHARE: usize = 1_000;
/// Rows of the job that keeps the lane busy until the other one's file is unreadable.
const BLOCKER_ROWS: u64 = 100_000;
const PATIENCE: Duration = Duration::from_mins(2);

/// Figures of one side.
struct Figures {
    seconds: Side,
    kib: Side,
}

impl Figures {
    fn new(what: &str) -> Self {
        let seconds = Side::new(format!("{what}, cancel to the end of the last watch"));
        Self { seconds, kib: Side::new(format!("{what}, growth of resident memory a watcher")) }
    }
}

pub async fn run(bench: &mut Bench) -> Result<()> {
    let runs = bench.runs(5);
    let watchers = bench.args.watchers.unwrap_or(10_000);
    let mut ours = Figures::new("WatchJob, both events durable");
    let mut theirs = Figures::new("bare tonic broadcast of as many messages");
    for _ in 0..runs {
        // New processes each time: memory once grown is seldom given back.
        let dir = bench.scratch.fresh("cvrsd")?;
        let setup = Setup { tenants: 0, keys: vec![("ENGINE__RETRY_MIN", "5m".to_owned())] };
        let daemon = Daemon::start(&dir, &setup)?;
        let job_id = quiet_job(&daemon).await?;
        // What the daemon kept of the memory of that would hide what watchers take.
        daemon.stop()?;
        let daemon = Daemon::start(&dir, &setup)?;
        daemon.settle()?;
        let clients = connect(watchers, async || daemon.client().await).await?;
        round(&clients, &job_id, watchers, daemon.pid(), &mut ours).await?;
        daemon.kill()?;
        let bare = Bare::start(&bench.scratch.fresh("bare")?)?;
        let clients = connect(watchers, async || bare.client().await).await?;
        round(&clients, &job_id, watchers, bare.pid(), &mut theirs).await?;
    }
    let input = json!({
        "watchers": watchers,
        "connections": watchers.div_ceil(SHARE),
        "events_each": 2,
        "seed": SEED,
    });
    let comparison = Comparison {
        case: "a cancel to all watchers, time".to_owned(),
        unit: "s",
        input,
        ours: ours.seconds,
        yardstick: Some(theirs.seconds),
        missing: None,
        goal: Goal::AtMost(2.0, 1.2),
    };
    bench.report.compare(&comparison)?;
    bench.report.compare(&Comparison {
        case: "memory of a watcher".to_owned(),
        unit: "KiB",
        ours: ours.kib,
        yardstick: Some(theirs.kib),
        ..comparison
    })
}

/// A job that is queued and stays so, on a daemon that has nothing to do: the file of the job before it
/// in its lane cannot be read, so that one waits for its next attempt.
pub async fn quiet_job(daemon: &Daemon) -> Result<String> {
    let mut client = daemon.client().await?;
    let text = Body::text(inputs::text(SEED, 0..BLOCKER_ROWS));
    let one_row = Body::text(inputs::text(SEED, 0..1));
    // Too large to be kept by the journal: it has a file, which can be taken away.
    let with_file = Body::text(inputs::text(SEED, 0..50));
    let blocker = client.submit_to_validate(Operation::Delete, &text).await?;
    let stuck = client.submit(Operation::Delete, &with_file).await?;
    let payload = daemon.data().join("payloads").join(&stuck);
    std::fs::remove_file(&payload)?;
    std::fs::create_dir(&payload)?;
    client.follow(&blocker).await?;
    let job_id = client.submit(Operation::Delete, &one_row).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let job = client.get(&stuck).await?;
        if job.retry_time.is_some() {
            daemon.settle()?;
            return Ok(job_id);
        }
        if job.status() == Status::Completed || Instant::now() > deadline {
            return Err("the job whose file cannot be read does not wait for an attempt".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As many connections as so many watchers share.
pub async fn connect(
    watchers: usize,
    client: impl AsyncFn() -> Result<Client>,
) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..watchers.div_ceil(SHARE) {
        clients.push(client().await?);
    }
    Ok(clients)
}

/// Opens the watches, waits for every snapshot, then cancels the job and waits for every copy of it.
async fn round(
    clients: &[Client],
    job_id: &str,
    watchers: usize,
    pid: u32,
    figures: &mut Figures,
) -> Result<()> {
    let before = child::memory(pid, "VmRSS")?;
    let (ready, mut all_ready) = mpsc::channel(watchers);
    let mut tasks = JoinSet::new();
    let job_id: Arc<str> = job_id.into();
    for index in 0..watchers {
        let client = clients.get(index / SHARE).ok_or("too few connections")?;
        let (mut client, job_id, ready) = (client.clone(), Arc::clone(&job_id), ready.clone());
        tasks.spawn(async move {
            let mut messages = client.watch(&job_id).await?;
            messages.message().await?.ok_or("a watch without a snapshot")?;
            ready.send(()).await?;
            last(messages).await
        });
    }
    drop(ready);
    for _ in 0..watchers {
        let one = tokio::time::timeout(PATIENCE, all_ready.recv()).await?;
        one.ok_or("not every watcher got its snapshot")?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = child::memory(pid, "VmRSS")?.saturating_sub(before);
    figures.kib.values.push(float(grown) / float(watchers) / 1_024.0);
    let mut client = clients.first().ok_or("no connection")?.clone();
    let began = Instant::now();
    if !client.cancel(&job_id).await? {
        return Err("WRONG RESULT: the cancel had no effect".into());
    }
    let mut latest = began;
    while let Some(got) = tasks.join_next().await {
        latest = latest.max(got??);
    }
    figures.seconds.values.push(latest.duration_since(began).as_secs_f64());
    Ok(())
}

/// When the terminal event came, which must be the second.
async fn last(mut messages: Streaming<WatchJobResponse>) -> Result<Instant> {
    for status in [Status::Queued, Status::Completed] {
        let message = messages.message().await?.ok_or("a watch without the event")?;
        let job = message.job.ok_or("an event without the job")?;
        if job.status() != status || message.coalesced_count > 0 {
            return Err(format!("WRONG RESULT: the event says {:?}", job.status()).into());
        }
    }
    Ok(Instant::now())
}
