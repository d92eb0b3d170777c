//! A delete job on input U, every row matching: submit to COMPLETED.

use cvrsd::proto::jobs::Operation;

use crate::{
    Bench, Result,
    client::Body,
    daemon::{Daemon, Setup},
    figures::digits,
    inputs::Input,
    report::{self, Comparison, Goal, Side},
    scratch,
    yardstick::{duckdb::DuckDb, postgres::Postgres, unzip},
};

const UNZIP: &str = "unzip -p U >/dev/null";
const POSTGRES: &str =
    "unzip -p, COPY all columns to a temporary table, DELETE USING on a primary key, commit";
const DUCKDB: &str = "unzip -p, read_csv, anti-join for misses, DELETE without a key, commit";

/// The sides of one run.
struct Sides {
    ours: Side,
    accepted: Vec<f64>,
    unzip: Option<Side>,
    postgres: Option<Side>,
    duckdb: Option<Side>,
}

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(3), bench.rows(1_000_000));
    let input = bench.inputs.zip(rows)?;
    let body = input.body()?;
    let unzip = unzip::version();
    let postgres = Postgres::start(&bench.scratch, bench.args.stock)?;
    let duckdb = DuckDb::find(&bench.scratch)?;
    told(bench, unzip.as_deref(), postgres.as_ref(), duckdb.as_ref())?;
    let mut sides = Sides {
        ours: Side::new("delete job, submit to COMPLETED, into a store at rest"),
        accepted: Vec::new(),
        unzip: unzip.map(|_| Side::new(UNZIP)),
        postgres: postgres.as_ref().map(|_| Side::new(POSTGRES)),
        duckdb: duckdb.as_ref().map(|_| Side::new(DUCKDB)),
    };
    for _ in 0..runs {
        if let Some(side) = &mut sides.unzip {
            side.values.push(unzip::seconds(&input.path)?);
        }
        ours(bench, &input, &body, &mut sides).await?;
        if let (Some(postgres), Some(side)) = (&postgres, &mut sides.postgres) {
            postgres.load(&input.path, rows)?;
            postgres.rest()?;
            side.values.push(postgres.delete(&input.path, rows)?);
        }
        if let (Some(duckdb), Some(side)) = (&duckdb, &mut sides.duckdb) {
            duckdb.load(&input.path, rows)?;
            side.values.push(duckdb.delete(&input.path, rows)?);
        }
    }
    let accepted = sides.accepted.iter().map(|s| digits(*s)).collect::<Vec<_>>().join(" ");
    report::say("cvrsd", &format!("of which until the durable answer: {accepted} s"))?;
    compare(bench, &input, sides)
}

/// Versions and settings of the yardsticks that are there, and which are not.
pub fn told(
    bench: &mut Bench,
    unzip: Option<&str>,
    postgres: Option<&Postgres>,
    duckdb: Option<&DuckDb>,
) -> Result<()> {
    match unzip {
        Some(version) => bench.report.yardstick(version.to_owned())?,
        None => report::missing("unzip")?,
    }
    match postgres {
        Some(postgres) => bench.report.yardstick(postgres.told()?)?,
        None => report::missing("PostgreSQL 15")?,
    }
    match duckdb {
        Some(duckdb) => bench.report.yardstick(duckdb.told()?),
        None => report::missing("DuckDB"),
    }
}

/// Creates the records in a new daemon, lets it rest, deletes them.
async fn ours(bench: &Bench, input: &Input, body: &Body, sides: &mut Sides) -> Result<()> {
    let dir = bench.scratch.fresh("cvrsd")?;
    let daemon = Daemon::start(&dir, &Setup::default())?;
    let mut client = daemon.client().await?;
    client.run(Operation::Create, body, input.rows).await?;
    daemon.settle()?;
    let ran = client.run(Operation::Delete, body, input.rows).await?;
    if daemon.counts().await?.iter().any(|count| *count != 0) {
        return Err("WRONG RESULT: records are live after all were deleted".into());
    }
    sides.ours.values.push(ran.completed.as_secs_f64());
    sides.accepted.push(ran.accepted.as_secs_f64());
    daemon.kill()?;
    scratch::remove(&dir)
}

fn compare(bench: &mut Bench, input: &Input, sides: Sides) -> Result<()> {
    let Sides { ours, unzip, postgres, duckdb, .. } = sides;
    let against = [
        ("delete job against inflating its input", "unzip", unzip, Goal::AtMost(0.8, 0.5)),
        (
            "delete job against PostgreSQL",
            "PostgreSQL 15",
            postgres,
            Goal::AtMost(1.0 / 7.0, 1.0 / 12.0),
        ),
        ("delete job against DuckDB", "DuckDB", duckdb, Goal::AtMost(0.6, 0.35)),
    ];
    for (case, name, yardstick, goal) in against {
        bench.report.compare(&Comparison {
            case: case.to_owned(),
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
