//! A delete of 10,000 rows out of stores of growing size, against the same out of the smallest.

use std::ops::Range;

use cvrsd::proto::jobs::Operation;
use serde_json::json;

use crate::{
    Bench, Result,
    client::{Body, Client, succeeded},
    daemon::{Daemon, Setup},
    figures::count,
    inputs::{self, SEED},
    report::{Comparison, Goal, Side},
};

/// Rows of one job that fills a store.
const PART: u64 = 1_000_000;
const STORES: [u64; 3] = [1_000_000, 3_000_000, 30_000_000];

struct Store {
    rows: u64,
    daemon: Daemon,
    client: Client,
    side: Side,
}

pub async fn run(bench: &mut Bench) -> Result<()> {
    let (runs, rows) = (bench.runs(7), bench.rows(10_000));
    let sizes =
        if bench.args.stores.is_empty() { STORES.to_vec() } else { bench.args.stores.clone() };
    let mut stores = Vec::new();
    for size in sizes {
        if size < rows * (runs as u64 + 1) {
            return Err(format!("a store of {size} rows is too small for {runs} runs").into());
        }
        let dir = bench.scratch.fresh(&format!("cvrsd-{size}"))?;
        let daemon = Daemon::start(&dir, &roomy())?;
        let mut client = daemon.client().await?;
        fill(&mut client, 0..size).await?;
        daemon.settle()?;
        let what =
            format!("{rows} rows spread over {} live rows, submit to COMPLETED", count(size));
        stores.push(Store { rows: size, daemon, client, side: Side::new(what) });
    }
    // The first run of each warms it up.
    for run in 0..=runs as u64 {
        for store in &mut stores {
            let body = spread(store.rows, rows, run);
            rustix::fs::sync();
            let ran = store.client.run(Operation::Delete, &body, rows).await?;
            if run > 0 {
                store.side.values.push(ran.completed.as_secs_f64());
            }
        }
    }
    let mut measured = Vec::new();
    for Store { rows: size, daemon, side, .. } in stores {
        let left = size - rows * (runs as u64 + 1);
        if daemon.counts().await?.iter().any(|count| *count != left) {
            return Err(format!("WRONG RESULT: not {left} records are left of {size}").into());
        }
        daemon.kill()?;
        measured.push((size, side));
    }
    let (smallest, yardstick) = measured.first().cloned().ok_or("no store was asked for")?;
    for (size, ours) in measured {
        let same = size == smallest;
        bench.report.compare(&Comparison {
            case: format!("delete of {} rows out of {}", count(rows), count(size)),
            unit: "s",
            input: json!({ "rows": rows, "live_rows": size, "seed": SEED }),
            ours,
            yardstick: (!same).then(|| yardstick.clone()),
            missing: None,
            goal: if same { Goal::Open } else { Goal::AtMost(1.5, 1.1) },
        })?;
    }
    Ok(())
}

/// A daemon that takes texts of any size.
pub fn roomy() -> Setup {
    let keys = vec![
        ("INTAKE__MAX_BODY_BYTES", (1_u64 << 38).to_string()),
        ("INTAKE__MAX_INFLATED_BYTES", (1_u64 << 38).to_string()),
        ("INTAKE__MAX_ROWS", "100000000".to_owned()),
    ];
    Setup { tenants: 0, keys }
}

/// Creates those rows of the sample, in jobs of a million.
pub async fn fill(client: &mut Client, rows: Range<u64>) -> Result<()> {
    let mut from = rows.start;
    while from < rows.end {
        let to = rows.end.min(from + PART);
        let text = inputs::text_stream(SEED, from..to);
        let job_id = client.submit_text(Operation::Create, text).await?;
        succeeded(&client.follow(&job_id).await?, to - from, to - from)?;
        from = to;
    }
    Ok(())
}

/// So many rows, evenly spread over the store, others in each run.
fn spread(size: u64, rows: u64, run: u64) -> Body {
    let step = size / rows;
    Body::text(inputs::text(SEED, (0..rows).map(|n| n * step + run)))
}
