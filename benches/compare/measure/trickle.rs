//! One-row jobs beside two big jobs of other tenants, against the same on an idle daemon.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::Operation;
use serde_json::json;

use super::jobs::one_row_bodies;
use crate::{
    Bench, Result,
    client::{Body, Client, succeeded},
    daemon::{Daemon, Setup},
    figures::{digits, percentile},
    inputs::{self, SEED},
    report::{self, Comparison, Goal, Side},
};

/// Of the two big jobs, and of the trickle.
const TENANTS: usize = 3;
/// Between the end of a one-row job and the next.
const PAUSE: Duration = Duration::from_millis(5);
/// Rounds of two big creates and two big deletes at most, in one run.
const ROUNDS_MAX: usize = 40;

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(1), bench.rows(1_000_000));
    let samples = bench.args.jobs.unwrap_or(1_000).max(1);
    let big = bench.inputs.zip(rows)?;
    let body = big.body()?;
    let mut busy = Side::new("p99 of one-row jobs beside two big ones, submit to COMPLETED");
    let mut idle = Side::new("p99 of one-row jobs on the idle daemon, submit to COMPLETED");
    for _ in 0..runs {
        let dir = bench.scratch.fresh("cvrsd")?;
        let daemon = Daemon::start(&dir, &Setup { tenants: TENANTS, keys: Vec::new() })?;
        let mut clients = daemon.clients(TENANTS, TENANTS).await?.into_iter();
        let (Some(first), Some(second), Some(client)) =
            (clients.next(), clients.next(), clients.next())
        else {
            return Err("too few clients".into());
        };
        let mut trickle = Trickle::new(client, samples).await?;
        daemon.settle()?;
        let calm = trickle.take(samples).await?;
        let beside = rounds(&mut trickle, [first, second], &body, rows, samples).await?;
        for (label, values) in [("idle", &calm), ("busy", &beside)] {
            let [p50, p90, p99, max] =
                [0.5, 0.9, 0.99, 1.0].map(|share| digits(percentile(values, share)));
            let n = values.len();
            let told = format!("p50 {p50}, p90 {p90}, p99 {p99}, most {max} ms, n={n}");
            report::say(label, &told)?;
        }
        idle.values.push(percentile(&calm, 0.99));
        busy.values.push(percentile(&beside, 0.99));
        daemon.kill()?;
    }
    bench.report.compare(&Comparison {
        case: "one-row jobs beside two big jobs of other tenants, p99".to_owned(),
        unit: "ms",
        input: json!({ "big_rows": rows, "zip_bytes": big.bytes, "one_row_jobs": samples, "seed": SEED }),
        ours: busy,
        yardstick: Some(idle),
        missing: None,
        goal: Goal::Within(10.0),
    })
}

/// A tenant's one-row jobs, one after the other.
pub struct Trickle {
    client: Client,
    bodies: Vec<Body>,
    /// Jobs so far; rows are created again once all are deleted.
    ran: usize,
}

impl Trickle {
    pub async fn new(mut client: Client, jobs: usize) -> Result<Self> {
        let rows = jobs as u64;
        client.run(Operation::Create, &Body::text(inputs::text(SEED, 0..rows)), rows).await?;
        Ok(Self { client, bodies: one_row_bodies(rows), ran: 0 })
    }

    /// Submit to the durable answer and to COMPLETED of the next job.
    pub async fn next(&mut self) -> Result<(Duration, Duration)> {
        let pass = self.ran / self.bodies.len();
        let body = self.bodies.get(self.ran % self.bodies.len()).ok_or("no row is left")?;
        // Each pass over the rows deletes what the one before created.
        let operation = if pass.is_multiple_of(2) { Operation::Delete } else { Operation::Create };
        self.ran += 1;
        let ran = self.client.run(operation, body, 1).await?;
        succeeded(&ran.job, 1, 1)?;
        Ok((ran.accepted, ran.completed))
    }

    /// Milliseconds to COMPLETED of so many jobs.
    async fn take(&mut self, jobs: usize) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for _ in 0..jobs {
            all.push(self.next().await?.1.as_secs_f64() * 1e3);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(all)
    }
}

/// Milliseconds of one-row jobs that were submitted while both big jobs ran.
async fn rounds(
    trickle: &mut Trickle,
    big: [Client; 2],
    body: &Body,
    rows: u64,
    samples: usize,
) -> Result<Vec<f64>> {
    let mut beside = Vec::new();
    for round in 0..ROUNDS_MAX {
        let operation = if round.is_multiple_of(2) { Operation::Create } else { Operation::Delete };
        let running = AtomicUsize::new(0);
        let [first, second] = &big;
        let both = async {
            tokio::try_join!(
                counted(first.clone(), operation, body, rows, &running),
                counted(second.clone(), operation, body, rows, &running)
            )
        };
        let small = async {
            let began = Instant::now();
            while running.load(Ordering::Relaxed) < 2 && began.elapsed() < Duration::from_mins(1) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            while running.load(Ordering::Relaxed) == 2 {
                beside.push(trickle.next().await?.1.as_secs_f64() * 1e3);
                tokio::time::sleep(PAUSE).await;
            }
            Ok::<_, crate::Error>(())
        };
        tokio::try_join!(both, small)?;
        if beside.len() >= samples {
            break;
        }
    }
    Ok(beside)
}

/// Runs a big job; counts it as running from its durable answer to its end.
async fn counted(
    mut client: Client,
    operation: Operation,
    body: &Body,
    rows: u64,
    running: &AtomicUsize,
) -> Result<()> {
    let job_id = client.submit(operation, body).await?;
    running.fetch_add(1, Ordering::Relaxed);
    let job = client.follow(&job_id).await;
    // Above two once one has ended: the round's samples are over.
    running.fetch_add(2, Ordering::Relaxed);
    succeeded(&job?, rows, rows)
}
