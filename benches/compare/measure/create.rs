//! A create job on input U into an empty store: submit to COMPLETED.

use cvrsd::proto::jobs::Operation;

use super::delete::told;
use crate::{
    Bench, Result,
    daemon::{Daemon, Setup},
    report::{Comparison, Goal, Side},
    scratch,
    yardstick::{duckdb::DuckDb, postgres::Postgres, unzip},
};

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(3), bench.rows(1_000_000));
    let input = bench.inputs.zip(rows)?;
    let body = input.body()?;
    let postgres = Postgres::start(&bench.scratch, bench.args.stock)?;
    let duckdb = DuckDb::find(&bench.scratch)?;
    told(bench, unzip::version().as_deref(), postgres.as_ref(), duckdb.as_ref())?;
    let mut ours = Side::new("create job into an empty store, submit to COMPLETED");
    let mut loaded = Side::new("unzip -p, COPY, ADD PRIMARY KEY, commit");
    let mut kept = Side::new("unzip -p, CREATE TABLE AS read_csv without a key, commit");
    for _ in 0..runs {
        if let Some(postgres) = &postgres {
            loaded.values.push(postgres.load(&input.path, rows)?);
        }
        let dir = bench.scratch.fresh("cvrsd")?;
        let daemon = Daemon::start(&dir, &Setup::default())?;
        let mut client = daemon.client().await?;
        rustix::fs::sync();
        let ran = client.run(Operation::Create, &body, rows).await?;
        let counts = daemon.counts().await?;
        if counts.is_empty() || counts.iter().any(|count| *count != rows) {
            return Err(format!("WRONG RESULT: {counts:?} records are live, not {rows}").into());
        }
        ours.values.push(ran.completed.as_secs_f64());
        daemon.kill()?;
        scratch::remove(&dir)?;
        if let Some(duckdb) = &duckdb {
            kept.values.push(duckdb.load(&input.path, rows)?);
        }
    }
    let against = [
        ("PostgreSQL 15", postgres.map(|_| loaded), Goal::AtMost(1.0 / 3.0, 1.0 / 4.0)),
        ("DuckDB", duckdb.map(|_| kept), Goal::Open),
    ];
    for (name, yardstick, goal) in against {
        bench.report.compare(&Comparison {
            case: format!("create job against {name}"),
            unit: "s",
            input: input.described(),
            ours: ours.clone(),
            missing: yardstick.is_none().then_some(name),
            yardstick,
            goal,
        })?;
    }
    Ok(())
}
