//! How long commits take while the store compacts: a histogram of one-row jobs beside loads.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::Operation;
use serde_json::json;

use super::trickle::Trickle;
use crate::{
    Bench, Result,
    client::{Body, Client},
    daemon::{Daemon, Setup},
    figures::{digits, float, percentile},
    inputs::SEED,
    report::{self, Comparison, Goal, Side},
};

const LOADERS: usize = 2;
/// Upper bounds of the buckets in ms.
const BUCKETS: [f64; 13] =
    [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 125.0, 250.0, 500.0, 1_000.0, f64::INFINITY];
const PAUSE: Duration = Duration::from_millis(1);

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(3), bench.rows(1_000_000));
    let big = bench.inputs.zip(rows)?;
    let body = big.body()?;
    let dir = bench.scratch.fresh("cvrsd")?;
    let daemon = Daemon::start(&dir, &Setup { tenants: LOADERS + 1, keys: Vec::new() })?;
    let mut clients = daemon.clients(LOADERS + 1, LOADERS + 1).await?;
    let client = clients.pop().ok_or("too few clients")?;
    let mut trickle = Trickle::new(client, 5_000).await?;
    let done = AtomicBool::new(false);
    let (mut accepted, mut completed) = (Vec::new(), Vec::new());
    let small = async {
        while !done.load(Ordering::Relaxed) {
            let (answer, end) = trickle.next().await?;
            accepted.push(answer.as_secs_f64() * 1e3);
            completed.push(end.as_secs_f64() * 1e3);
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<_, crate::Error>(())
    };
    let load = async {
        let loads = clients.iter().map(|client| load(client.clone(), &body, rows, runs));
        let ended = futures_util::future::try_join_all(loads).await;
        // Compaction goes on after the last job.
        tokio::time::sleep(Duration::from_secs(3)).await;
        done.store(true, Ordering::Relaxed);
        ended.map(drop)
    };
    let began = Instant::now();
    tokio::try_join!(small, load)?;
    let seconds = began.elapsed().as_secs_f64();
    histogram("submit to durable answer (one commit of the journal)", &accepted)?;
    histogram("submit to COMPLETED (also a commit of the record store, and the turn)", &completed)?;
    let metrics = daemon.metrics().await?;
    report::line("cvrsd's own count of journal commits, seconds:")?;
    for line in metrics.lines().filter(|line| line.starts_with("cvrsd_journal_commit_seconds")) {
        report::line(&format!("  {line}"))?;
    }
    daemon.kill()?;
    let input = json!({
        "big_jobs": 2 * runs * LOADERS,
        "rows_each": rows,
        "one_row_jobs": accepted.len(),
        "seconds": seconds,
        "seed": SEED,
    });
    for (case, values) in [("commit of the journal", accepted), ("one-row job", completed)] {
        let mut ours = Side::new("p99.9 while two tenants create and delete in turn");
        ours.values.push(percentile(&values, 0.999));
        bench.report.compare(&Comparison {
            case: format!("{case} while the store compacts"),
            unit: "ms",
            input: input.clone(),
            ours,
            yardstick: None,
            missing: None,
            goal: Goal::Within(250.0),
        })?;
    }
    Ok(())
}

/// Creates and deletes the same rows, so many times.
async fn load(mut client: Client, body: &Body, rows: u64, times: usize) -> Result<()> {
    for _ in 0..times {
        client.run(Operation::Create, body, rows).await?;
        client.run(Operation::Delete, body, rows).await?;
    }
    Ok(())
}

fn histogram(what: &str, values: &[f64]) -> Result<()> {
    report::line(&format!("{what}, n={}", values.len()))?;
    let mut below = 0.0;
    for bound in BUCKETS {
        let inside = values.iter().filter(|v| **v > below && **v <= bound).count();
        let share = 100.0 * float(inside) / float(values.len().max(1));
        let bar = "#".repeat((0..60).take_while(|step| f64::from(*step) < share * 0.6).count());
        report::line(&format!("  ≤ {:>7} ms {inside:>7} {share:>6.2} % {bar}", digits(bound)))?;
        below = bound;
    }
    let [p50, p99, p999, max] =
        [0.5, 0.99, 0.999, 1.0].map(|share| digits(percentile(values, share)));
    report::line(&format!("  p50 {p50}, p99 {p99}, p99.9 {p999}, most {max} ms"))
}
