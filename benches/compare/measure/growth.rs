//! Time and memory per row, over the rows of a job and over the rows of the store.

use std::fs;

use cvrsd::proto::jobs::Operation;

use super::share::{fill, roomy};
use crate::{
    Bench, Result, child,
    client::{Client, succeeded},
    daemon::Daemon,
    figures::{count, float},
    inputs::{self, SEED},
    machine, report, scratch,
};

const ROWS: [u64; 7] = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];
const STORES: [u64; 5] = [0, 1_000_000, 3_000_000, 10_000_000, 30_000_000];
/// Rows of the jobs on the stores.
const ROWS_ON_STORE: u64 = 100_000;
const HEADER: &str =
    "curve\toperation\trows\tstore_rows\trun\tseconds\tus_per_row\tpeak_mib\tbytes_per_row";

/// One measured job.
struct Point {
    curve: &'static str,
    operation: &'static str,
    rows: u64,
    store: u64,
    run: usize,
    seconds: f64,
    peak: u64,
}

pub async fn run(bench: &mut Bench) -> Result<()> {
    let runs = bench.runs(1);
    let most = bench.rows(10_000_000);
    let mut stores = bench.args.stores.clone();
    if stores.is_empty() {
        stores = STORES.to_vec();
    }
    let mut lines = vec![HEADER.to_owned()];
    for run in 0..runs {
        for rows in ROWS.into_iter().filter(|rows| *rows <= most) {
            over_rows(bench, rows, run, &mut lines).await?;
        }
        over_stores(bench, &stores, run, &mut lines).await?;
    }
    let table = &bench.args.table;
    if let Some(dir) = table.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(table, lines.join("\n") + "\n")?;
    let machine = serde_json::to_string_pretty(&machine::describe(bench.scratch.path())?)?;
    fs::write(table.with_extension("machine.json"), machine + "\n")?;
    report::say("table", &table.display().to_string())?;
    report::say("next", "cargo bench --bench compare -- plot")
}

/// A create into an empty store and a delete of all of it, each by a daemon of its own.
async fn over_rows(bench: &Bench, rows: u64, run: usize, lines: &mut Vec<String>) -> Result<()> {
    let dir = bench.scratch.fresh("cvrsd")?;
    for (operation, name) in [(Operation::Create, "create"), (Operation::Delete, "delete")] {
        let daemon = Daemon::start(&dir, &roomy())?;
        daemon.settle()?;
        let seconds = timed(&mut daemon.client().await?, operation, 0, rows).await?;
        daemon.settle()?;
        let peak = child::memory(daemon.pid(), "VmHWM")?;
        let store = if operation == Operation::Create { 0 } else { rows };
        keep(lines, &Point { curve: "rows", operation: name, rows, store, run, seconds, peak })?;
        daemon.stop()?;
    }
    scratch::remove(&dir)
}

/// A delete and a create of the same rows, on a store that grows.
async fn over_stores(
    bench: &Bench,
    stores: &[u64],
    run: usize,
    lines: &mut Vec<String>,
) -> Result<()> {
    let dir = bench.scratch.fresh("cvrsd")?;
    let mut filled = ROWS_ON_STORE;
    for store in stores {
        let daemon = Daemon::start(&dir, &roomy())?;
        if *store > filled {
            fill(&mut daemon.client().await?, filled..*store).await?;
            filled = *store;
        }
        daemon.settle()?;
        daemon.stop()?;
        // The first ones create what the store lacks, so that it is of that size before the delete.
        for (operation, name) in [(Operation::Create, "create"), (Operation::Delete, "delete")] {
            let daemon = Daemon::start(&dir, &roomy())?;
            daemon.settle()?;
            let seconds = timed(&mut daemon.client().await?, operation, 0, ROWS_ON_STORE).await?;
            daemon.settle()?;
            let peak = child::memory(daemon.pid(), "VmHWM")?;
            let (curve, rows, store) = ("store", ROWS_ON_STORE, *store);
            keep(lines, &Point { curve, operation: name, rows, store, run, seconds, peak })?;
            daemon.stop()?;
        }
    }
    scratch::remove(&dir)
}

/// Seconds from the durable answer to COMPLETED: the text is made while it is sent, and the time of
/// that is the generator's.
async fn timed(client: &mut Client, operation: Operation, from: u64, rows: u64) -> Result<f64> {
    let text = inputs::text_stream(SEED, from..from + rows);
    let job_id = client.submit_text(operation, text).await?;
    let began = std::time::Instant::now();
    let job = client.follow(&job_id).await?;
    let seconds = began.elapsed().as_secs_f64();
    succeeded(&job, rows, rows)?;
    Ok(seconds)
}

fn keep(lines: &mut Vec<String>, point: &Point) -> Result<()> {
    let Point { curve, operation, rows, store, run, seconds, peak } = point;
    let us = seconds * 1e6 / float(*rows);
    let (mib, each) = (float(*peak) / 1_048_576.0, float(*peak) / float(*rows));
    lines.push(format!(
        "{curve}\t{operation}\t{rows}\t{store}\t{run}\t{seconds:.4}\t{us:.4}\t{mib:.1}\t{each:.1}"
    ));
    report::line(&format!(
        "  {operation} of {:>10} rows, {:>10} in the store: {seconds:.3} s, {us:.3} µs a row, peak {mib:.0} MiB",
        count(*rows),
        count(*store),
    ))
}
