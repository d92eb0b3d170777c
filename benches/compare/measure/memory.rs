//! Peak memory: input X as a create job, as a delete job, and idle.

use std::time::Duration;

use cvrsd::proto::jobs::Operation;
use serde_json::json;

use crate::{
    Bench, Result, child,
    daemon::{Daemon, Setup},
    figures::float,
    report::{Comparison, Goal, Side},
};

const MIB: f64 = 1_048_576.0;
const IDLE: Duration = Duration::from_secs(2);

pub async fn run(bench: &mut Bench) -> Result<()> {
    let runs = bench.runs(3);
    let rows = bench.args.rows;
    let input = bench.inputs.x(rows)?;
    let body = input.body()?;
    let [mut idle, mut create, mut delete] = [
        "peak of a new daemon that had nothing to do for 2 s",
        "peak of a new daemon that ran X as a create job",
        "peak of a daemon on those records that ran X as a delete job",
    ]
    .map(Side::new);
    for _ in 0..runs {
        let dir = bench.scratch.fresh("cvrsd")?;
        let daemon = Daemon::start(&dir, &Setup::default())?;
        tokio::time::sleep(IDLE).await;
        idle.values.push(peak(&daemon)?);
        // The same process goes on: the peak is that since its start.
        daemon.client().await?.run(Operation::Create, &body, input.rows).await?;
        daemon.settle()?;
        create.values.push(peak(&daemon)?);
        daemon.stop()?;
        let daemon = Daemon::start(&dir, &Setup::default())?;
        daemon.client().await?.run(Operation::Delete, &body, input.rows).await?;
        daemon.settle()?;
        delete.values.push(peak(&daemon)?);
        daemon.kill()?;
    }
    let sides = [
        ("peak memory of X as a delete job", delete, Goal::AtMost(256.0, 128.0)),
        ("peak memory of X as a create job", create, Goal::AtMost(256.0, 128.0)),
        ("peak memory, idle", idle, Goal::AtMost(32.0, 16.0)),
    ];
    for (case, ours, goal) in sides {
        let is_idle = case.ends_with("idle");
        bench.report.compare(&Comparison {
            case: case.to_owned(),
            unit: "MiB",
            input: if is_idle { json!({ "jobs": 0 }) } else { input.described() },
            ours,
            yardstick: None,
            missing: None,
            goal,
        })?;
    }
    Ok(())
}

fn peak(daemon: &Daemon) -> Result<f64> {
    Ok(float(child::memory(daemon.pid(), "VmHWM")?) / MIB)
}
