//! One client: submit of one row until the durable answer, against the sync of 4 KiB.

use cvrsd::proto::jobs::Operation;
use serde_json::json;

use super::jobs::one_row_bodies;
use crate::{
    Bench, Result,
    client::Body,
    daemon::{Daemon, Setup},
    figures::{digits, percentile},
    inputs::{self, SEED},
    report::{self, Comparison, Goal, Side},
    yardstick::sync::Synced,
};

const WARM_UP: usize = 20;

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, jobs) = (bench.runs(5), bench.args.jobs.unwrap_or(200).max(1));
    let rows = (WARM_UP + runs * jobs) as u64;
    let dir = bench.scratch.fresh("cvrsd")?;
    let daemon = Daemon::start(&dir, &Setup::default())?;
    let mut client = daemon.client().await?;
    client.run(Operation::Create, &Body::text(inputs::text(SEED, 0..rows)), rows).await?;
    daemon.settle()?;
    let mut synced = Synced::new(&dir.join("synced"))?;
    let mut bodies = one_row_bodies(rows).into_iter();
    for body in bodies.by_ref().take(WARM_UP) {
        client.run(Operation::Delete, &body, 1).await?;
    }
    let mut ours = Side::new("p50 of submits, one row, until the durable answer");
    let mut floor = Side::new("p50 of appends of 4 KiB with fdatasync, one after each job");
    let (mut all, mut all_synced) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (mut answers, mut syncs) = (Vec::new(), Vec::new());
        for body in bodies.by_ref().take(jobs) {
            // The job itself ends before the sync, so neither disturbs the other.
            let ran = client.run(Operation::Delete, &body, 1).await?;
            answers.push(ran.accepted.as_secs_f64() * 1e3);
            syncs.push(synced.seconds()? * 1e3);
        }
        ours.values.push(percentile(&answers, 0.5));
        floor.values.push(percentile(&syncs, 0.5));
        all.extend(answers);
        all_synced.extend(syncs);
    }
    for (label, values) in [("cvrsd", &all), ("yardstick", &all_synced)] {
        let [p90, p99] = [0.9, 0.99].map(|share| digits(percentile(values, share)));
        report::say(label, &format!("p90 {p90} ms, p99 {p99} ms"))?;
    }
    daemon.stop()?;
    bench.report.compare(&Comparison {
        case: "one client, submit to durable answer".to_owned(),
        unit: "ms",
        input: json!({ "jobs": jobs, "rows": 1, "seed": SEED }),
        ours,
        yardstick: Some(floor),
        missing: None,
        goal: Goal::AtMost(8.0, 4.0),
    })
}
