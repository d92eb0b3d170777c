//! One-row delete jobs of 64 clients, submit to COMPLETED, against calls of a durable engine.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use cvrsd::proto::jobs::Operation;
use serde_json::json;

use super::sync_jobs::SyncCrowd;
use crate::{
    Bench, Result,
    client::{Body, Client, succeeded},
    daemon::{Daemon, Setup},
    figures::{digits, float, percentile},
    inputs::{self, SEED},
    report::{self, Comparison, Goal, Side},
    yardstick::restate::Restate,
};

const CLIENTS: usize = 64;
/// Connections that they share.
pub const CONNECTIONS: usize = 8;
/// Jobs of each client before anything is measured.
const WARM_UP: usize = 5;

/// How the clients spread over tenants.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    tenants: usize,
    goal: Goal,
}

/// A tenant for each client.
pub const MANY: Shape = Shape { tenants: CLIENTS, goal: Goal::AtLeast(3.0, 8.0) };
/// One tenant, whose jobs keep a strict order.
pub const ONE: Shape = Shape { tenants: 1, goal: Goal::AtLeast(1.0, 3.0) };

pub async fn run(bench: &mut Bench, shape: Shape) -> Result<()> {
    let runs = bench.runs(3);
    let jobs = bench.args.jobs.unwrap_or(6_400).div_ceil(CLIENTS);
    let restate = Restate::start(&bench.scratch).await?;
    match &restate {
        Some(restate) => bench.report.yardstick(restate.told()?)?,
        None => report::missing("Restate or its handler")?,
    }
    let dir = bench.scratch.fresh("cvrsd")?;
    let setup = Setup { tenants: shape.tenants, keys: Vec::new() };
    let daemon = Daemon::start(&dir, &setup)?;
    // Half of the rows go over gRPC, half over REST.
    let half = WARM_UP + runs * jobs;
    let mut crowd = Crowd::gather(&daemon, shape.tenants, CLIENTS, 2 * half).await?;
    let by_rest = crowd.by_rest(&daemon).await?;
    crowd.run(WARM_UP).await?;
    let mut ours = Side::new("one-row delete jobs, submit to COMPLETED");
    let mut theirs = Side::new("no-op calls, request to answer");
    let mut synchronous = Side::new("one-row deletes by the synchronous upload over REST");
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    if let Some(restate) = &restate {
        calls(restate, WARM_UP).await?;
    }
    by_rest.run(half, WARM_UP).await?;
    for run in 0..runs {
        let began = Instant::now();
        our_times.extend(crowd.run(jobs).await?);
        ours.values.push(float(jobs * CLIENTS) / began.elapsed().as_secs_f64());
        synchronous.values.push(by_rest.run(half + WARM_UP + run * jobs, jobs).await?);
        if let Some(restate) = &restate {
            let began = Instant::now();
            their_times.extend(calls(restate, jobs).await?);
            theirs.values.push(float(jobs * CLIENTS) / began.elapsed().as_secs_f64());
        }
    }
    latencies("cvrsd", &our_times, crate::child::memory(daemon.pid(), "VmHWM")?)?;
    if let Some(restate) = &restate {
        latencies("yardstick", &their_times, restate.peak()?)?;
    }
    daemon.stop()?;
    let comparison = Comparison {
        case: format!("one-row delete jobs, {CLIENTS} clients, {} tenants", shape.tenants),
        unit: "jobs/s",
        input: json!({
            "jobs": jobs * CLIENTS,
            "clients": CLIENTS,
            "tenants": shape.tenants,
            "connections": CONNECTIONS,
            "seed": SEED,
        }),
        ours,
        missing: restate.is_none().then_some("Restate"),
        yardstick: restate.map(|_| theirs),
        goal: shape.goal,
    };
    bench.report.compare(&comparison)?;
    bench.report.compare(&Comparison {
        case: format!("{}, one request each", comparison.case),
        ours: synchronous,
        goal: Goal::Open,
        ..comparison
    })
}

fn latencies(label: &str, seconds: &[f64], peak: u64) -> Result<()> {
    let ms = |share| digits(percentile(seconds, share) * 1e3);
    let (p50, p99, mib) = (ms(0.5), ms(0.99), peak >> 20);
    report::say(label, &format!("p50 {p50} ms, p99 {p99} ms a job, peak memory {mib} MiB"))
}

/// Clients with the rows that they will delete, one a job.
pub struct Crowd(Vec<Member>);

struct Member {
    client: Client,
    bodies: Arc<Vec<Body>>,
    next: usize,
}

impl Crowd {
    /// Creates so many records for each client; those of one tenant share it.
    pub async fn gather(
        daemon: &Daemon,
        tenants: usize,
        clients: usize,
        jobs: usize,
    ) -> Result<Self> {
        let connected = daemon.clients(clients, CONNECTIONS).await?;
        let rows = (clients.div_ceil(tenants) * jobs) as u64;
        let body = Body::text(inputs::text(SEED, 0..rows));
        for client in connected.iter().take(tenants) {
            client.clone().run(Operation::Create, &body, rows).await?;
        }
        let bodies = one_row_bodies(rows);
        let mut members = Vec::new();
        for (index, client) in connected.into_iter().enumerate() {
            let place = index / tenants;
            let own = bodies.iter().skip(place * jobs).take(jobs).cloned().collect();
            members.push(Member { client, bodies: Arc::new(own), next: 0 });
        }
        Ok(Self(members))
    }

    /// The same clients over REST.
    async fn by_rest(&self, daemon: &Daemon) -> Result<SyncCrowd> {
        let bodies = self.0.iter().map(|member| Arc::clone(&member.bodies)).collect();
        SyncCrowd::new(daemon, bodies).await
    }

    /// Every client runs so many jobs one after the other; gives the seconds of each.
    pub async fn run(&mut self, jobs: usize) -> Result<Vec<f64>> {
        let mut tasks = tokio::task::JoinSet::new();
        for member in &mut self.0 {
            let mut client = member.client.clone();
            let (bodies, from) = (Arc::clone(&member.bodies), member.next);
            member.next += jobs;
            tasks.spawn(async move {
                let mut seconds = Vec::with_capacity(jobs);
                for body in bodies.iter().skip(from).take(jobs) {
                    let ran = client.run(Operation::Delete, body, 1).await?;
                    succeeded(&ran.job, 1, 1)?;
                    seconds.push(ran.completed.as_secs_f64());
                }
                Ok::<_, crate::Error>(seconds)
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            all.extend(ended??);
        }
        if all.len() == jobs * self.0.len() {
            return Ok(all);
        }
        Err(format!("WRONG RESULT: {} jobs ran", all.len()).into())
    }
}

/// A file of one row for each of the first rows.
pub fn one_row_bodies(rows: u64) -> Vec<Body> {
    let text: Bytes = inputs::text(SEED, 0..rows);
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let body = |row: &[u8]| Body::text([header, b"\n", row, b"\n"].concat().into());
    let lines = text.split(|byte| *byte == b'\n').skip(1);
    lines.filter(|line| !line.is_empty()).map(body).collect()
}

/// The same number of calls of the yardstick.
async fn calls(restate: &Restate, calls: usize) -> Result<Vec<f64>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let caller = restate.clone_caller();
        tasks.spawn(async move {
            let mut seconds = Vec::with_capacity(calls);
            for _ in 0..calls {
                let began = Instant::now();
                caller.call().await?;
                seconds.push(began.elapsed().as_secs_f64());
            }
            Ok::<_, crate::Error>(seconds)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.extend(ended??);
    }
    Ok(all)
}
