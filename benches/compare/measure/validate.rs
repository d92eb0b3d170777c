//! Validation alone, against a plain checker on one thread.

use cvrsd::proto::jobs::{Job, Operation};
use serde_json::json;

use crate::{
    Bench, Result,
    client::{Body, Client, succeeded},
    daemon::{Daemon, Setup},
    figures::float,
    inputs::{self, SEED},
    report::{Comparison, Goal, Side},
    yardstick::checks,
};

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(5), bench.rows(1_000_000));
    let zip = bench.inputs.zip(rows)?;
    let zipped = zip.body()?;
    let text = inputs::text(SEED, 0..rows);
    prove(rows)?;
    let dir = bench.scratch.fresh("cvrsd")?;
    let keys = vec![("INTAKE__MAX_BODY_BYTES", (1_u64 << 38).to_string())];
    let daemon = Daemon::start(&dir, &Setup { tenants: 0, keys })?;
    let mut client = daemon.client().await?;
    let mut plain = Side::new("memchr split and 45 checks, text in memory, one thread");
    let mut from_text = Side::new("validate-only delete job on the text, start to end of the job");
    let mut as_create = Side::new("validate-only create job on the text, start to end of the job");
    let mut from_zip = Side::new("validate-only delete job on the zip, start to end of the job");
    let body = Body::text(text.clone());
    for _ in 0..runs {
        plain.values.push(checks::rows_per_second(&text, rows)?);
        from_text.values.push(rate(&mut client, Operation::Delete, &body, rows).await?);
        as_create.values.push(rate(&mut client, Operation::Create, &body, rows).await?);
        from_zip.values.push(rate(&mut client, Operation::Delete, &zipped, rows).await?);
    }
    daemon.stop()?;
    let sides = [
        ("validation of a delete, text", from_text, Goal::AtLeast(1.0, 1.5)),
        ("validation of a create, text", as_create, Goal::Open),
        ("validation of a delete, inflating a zip meanwhile", from_zip, Goal::Open),
    ];
    for (case, ours, goal) in sides {
        bench.report.compare(&Comparison {
            case: case.to_owned(),
            unit: "rows/s",
            input: json!({ "rows": rows, "text_bytes": text.len(), "zip_bytes": zip.bytes, "seed": SEED }),
            ours,
            yardstick: Some(plain.clone()),
            missing: None,
            goal,
        })?;
    }
    Ok(())
}

/// The rate by the daemon's own clock: the upload is not counted, nor is the wait for it.
async fn rate(client: &mut Client, operation: Operation, body: &Body, rows: u64) -> Result<f64> {
    let job_id = client.submit_to_validate(operation, body).await?;
    let job = client.follow(&job_id).await?;
    succeeded(&job, rows, 0)?;
    Ok(float(rows) / (end(&job)? - start(&job)?))
}

fn start(job: &Job) -> Result<f64> {
    seconds(job.start_time.as_ref())
}

fn end(job: &Job) -> Result<f64> {
    seconds(job.end_time.as_ref())
}

fn seconds(time: Option<&prost_types::Timestamp>) -> Result<f64> {
    let time = time.ok_or("a finished job without its times")?;
    Ok(float(time.seconds) + f64::from(time.nanos) / 1e9)
}

/// Shows that the plain checker does check: a spoilt cell in each of its 45 columns that can be spoilt
/// is found.
fn prove(rows: u64) -> Result<()> {
    let text = inputs::text(SEED, 0..rows.min(1));
    let good = checks::check(&text);
    let mut found = 0;
    for column in 0..45 {
        let mut lines = text.split(|byte| *byte == b'\n');
        let header = lines.next().unwrap_or_default();
        let row = lines.next().unwrap_or_default();
        let cells = row.split(|byte| *byte == b'\t').enumerate();
        let spoilt = [b'?'; 256];
        let cells: Vec<&[u8]> =
            cells.map(|(place, cell)| if place == column { &spoilt } else { cell }).collect();
        let bad = [header, b"\n", &cells.join(&b'\t'), b"\n"].concat();
        found += checks::check(&bad).faulty;
    }
    if good.faulty == 0 && found == 45 {
        return Ok(());
    }
    Err(format!("WRONG RESULT: the plain checker finds {found} of 45 spoilt cells").into())
}
