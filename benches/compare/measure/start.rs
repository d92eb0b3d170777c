//! The start with many finished jobs in the journal: from exec to SERVING.

use std::time::Instant;

use serde_json::json;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::jobs::Crowd;
use crate::{
    Bench, Result,
    daemon::{Daemon, Setup},
    inputs::SEED,
    report::{Comparison, Goal, Side},
};

/// As many tenants, a client each.
const TENANTS: usize = 64;

pub async fn run(bench: &mut Bench) -> Result<()> {
    let runs = bench.runs(5);
    let jobs = bench.args.jobs.unwrap_or(100_000).div_ceil(TENANTS);
    let dir = bench.scratch.fresh("cvrsd")?;
    let setup = Setup { tenants: TENANTS, keys: Vec::new() };
    let daemon = Daemon::start(&dir, &setup)?;
    let mut crowd = Crowd::gather(&daemon, TENANTS, TENANTS, jobs).await?;
    crowd.run(jobs).await?;
    daemon.stop()?;
    let mut ours = Side::new("exec to SERVING after a drain, page cache warm");
    let mut killed = Side::new("exec to SERVING after kill -9, page cache warm");
    for _ in 0..runs {
        let daemon = timed(&dir, &setup, &mut ours).await?;
        daemon.kill()?;
        let daemon = timed(&dir, &setup, &mut killed).await?;
        daemon.stop()?;
    }
    for (case, ours) in [("start after a drain", ours), ("start after kill -9", killed)] {
        bench.report.compare(&Comparison {
            case: case.to_owned(),
            unit: "s",
            // Each tenant's records came by a job of their own.
            input: json!({ "finished_jobs": TENANTS * (jobs + 1), "tenants": TENANTS, "seed": SEED }),
            ours,
            yardstick: None,
            missing: None,
            goal: Goal::AtMost(3.0, 1.0),
        })?;
    }
    Ok(())
}

async fn timed(dir: &std::path::Path, setup: &Setup, side: &mut Side) -> Result<Daemon> {
    let began = Instant::now();
    let daemon = Daemon::start(dir, setup)?;
    let mut health = HealthClient::new(daemon.endpoint()?.connect().await?);
    let answer = health.check(HealthCheckRequest { service: String::new() }).await?.into_inner();
    if answer.status() != ServingStatus::Serving {
        return Err("WRONG RESULT: the daemon wrote its addresses before it served".into());
    }
    side.values.push(began.elapsed().as_secs_f64());
    Ok(daemon)
}
