//! One client's submit until the durable answer beside 10,000 watchers, against the same without them, turn
//! by turn on one daemon.
//!
//! The watched job waits, as do those that are submitted, behind one whose file cannot be read: nothing runs
//! but what is measured.

use std::time::Instant;

use cvrsd::proto::jobs::{Operation, WatchJobResponse};
use serde_json::json;
use tonic::Streaming;

use super::{jobs::one_row_bodies, watch};
use crate::{
    Bench, Result,
    client::{Body, Client},
    daemon::{Daemon, Setup},
    figures::{digits, percentile},
    inputs::SEED,
    report::{self, Comparison, Goal, Side},
};

/// Submits of one turn.
const TURN: usize = 400;

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, turn) = (bench.runs(5), bench.args.jobs.unwrap_or(TURN).max(1));
    let watchers = bench.args.watchers.unwrap_or(10_000);
    let dir = bench.scratch.fresh("cvrsd")?;
    let setup = Setup { tenants: 0, keys: vec![("ENGINE__RETRY_MIN", "5m".to_owned())] };
    let daemon = Daemon::start(&dir, &setup)?;
    let watched = watch::quiet_job(&daemon).await?;
    let mut client = daemon.client().await?;
    let mut bodies = one_row_bodies(((2 * runs + 1) * turn) as u64).into_iter();
    submits(&mut client, bodies.by_ref().take(turn)).await?;
    let mut ours = Side::new(format!("p99 of submits beside {watchers} watchers"));
    let mut alone = Side::new("p99 of submits without watchers");
    let (mut all, mut all_alone) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let streams = open(&daemon, &watched, watchers).await?;
        daemon.settle()?;
        let answers = submits(&mut client, bodies.by_ref().take(turn)).await?;
        drop(streams);
        daemon.settle()?;
        let without = submits(&mut client, bodies.by_ref().take(turn)).await?;
        ours.values.push(percentile(&answers, 0.99));
        alone.values.push(percentile(&without, 0.99));
        all.extend(answers);
        all_alone.extend(without);
    }
    for (label, values) in [("watched", &all), ("alone", &all_alone)] {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| digits(percentile(values, share)));
        report::say(label, &format!("p50 {p50} ms, p90 {p90} ms, p99 {p99} ms of all submits"))?;
    }
    daemon.kill()?;
    bench.report.compare(&Comparison {
        case: "submit to durable answer beside watchers".to_owned(),
        unit: "ms",
        input: json!({ "watchers": watchers, "jobs": turn, "rows": 1, "seed": SEED }),
        ours,
        yardstick: Some(alone),
        missing: None,
        goal: Goal::Within(1.1),
    })
}

/// Watches that have told their snapshot.
async fn open(
    daemon: &Daemon,
    job_id: &str,
    watchers: usize,
) -> Result<Vec<Streaming<WatchJobResponse>>> {
    let clients = watch::connect(watchers, async || daemon.client().await).await?;
    let mut streams = Vec::with_capacity(watchers);
    for mut client in clients.iter().cycle().take(watchers).cloned() {
        let mut messages = client.watch(job_id).await?;
        messages.message().await?.ok_or("a watch without a snapshot")?;
        streams.push(messages);
    }
    Ok(streams)
}

/// Milliseconds of each submit, one after the other.
async fn submits(client: &mut Client, bodies: impl Iterator<Item = Body>) -> Result<Vec<f64>> {
    let mut answers = Vec::new();
    for body in bodies {
        let began = Instant::now();
        client.submit(Operation::Delete, &body).await?;
        answers.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(answers)
}
